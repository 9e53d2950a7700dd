/*
 * context.c: context.json as a file of a session: what its record keeps of it, and what of it is worth a snapshot at
 * once.
 */
#include "fs/session/context.h"

#include "fs/session/json.h"
#include "fs/session/messages.h"
#include "fs/session/session_internal.h"
#include "fs/session/transcript.h"

/* FNV-1a: it only has to notice a change. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return (hash ^ 0xff) * 0x100000001b3;
}

static uint64_t mix_values(uint64_t hash, const struct json_object *o)
{
	static const char *const watched[] = {"currentStep", "keyDecisions", "blockers"};

	for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
		const char *value = json_get(o, watched[i]);
		hash = mix(hash, value ? value : "");
	}
	return hash;
}

/* Of the values that are watched, in their section or at the top; 0: it is no JSON object. */
static uint64_t hash_of(const char *text, size_t len)
{
	static const char *const sections[] = {"context", "state"};
	_cleanup_(json_object_release) struct json_object object = {0};
	const char *reason;

	if (json_object_parse(text, len, &object, &reason) < 0)
		return 0;
	uint64_t hash = mix_values(0xcbf29ce484222325, &object);
	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		_cleanup_(json_object_release) struct json_object section = {0};
		const char *value = json_get(&object, sections[i]);
		if (value && json_object_parse(value, strlen(value), &section, &reason) == 0)
			hash = mix_values(hash, &section);
	}
	return hash | 1;
}

/* Its bytes with a NUL behind them; enough of one that is too large for its reader to see that. Locked, or staged. */
static int load(struct inode *file, uint64_t size, struct buf *ret_text)
{
	size_t want = size > JSON_MAX ? JSON_MAX + 1 : (size_t)size;
	int r = buf_resize(ret_text, want + 1);
	ssize_t n = r < 0 ? r : data_read(file, ret_text->data, want, 0);

	if (n < 0)
		return (int)n;
	ret_text->len = (size_t)n;
	ret_text->data[n] = 0;
	return 0;
}

int context_take(struct op *op, struct inode *file, struct srec *rec, bool *ret_step)
{
	struct session_memory *memory = memory_of(file->container);
	const struct irec *irec = op_stage(op, file);
	_cleanup_(context_release) struct context c = {0};
	_cleanup_buf_ struct buf text = {0};
	struct broken broken = {0};

	*ret_step = false;
	if (!memory || !irec)
		return -ENOMEM;
	int r = load(file, irec->size, &text);
	if (r < 0)
		return r;
	uint64_t hash = hash_of((const char *)text.data, text.len);
	*ret_step = hash != 0 && hash != memory->context;
	if (hash)
		memory->context = hash;
	r = context_read((const char *)text.data, text.len, &c, &broken);
	if (r < 0 && r != -EINVAL)
		return r;
	rec->context = 0;
	if (broken.n)
		rec->context |= CONTEXT_BROKEN;
	if (context_items_open(&c.next) > 0)
		rec->context |= CONTEXT_OPEN;
	srec_changed(rec, &op->now);
	return 0;
}

int context_find(struct sessions *s, struct inode *session, struct inode **ret_file)
{
	struct core_entry entry;
	int r = core_lookup(s->core, session->ino, CONTEXT_NAME, &entry);

	if (r < 0)
		return r;
	r = S_ISREG(entry.st.st_mode) ? inode_get(s->core, entry.ino, NULL, ret_file) : -ENOENT;
	core_forget(s->core, entry.ino, 1);
	return r;
}

int context_text(struct inode *file, struct buf *ret_text)
{
	pthread_rwlock_rdlock(&file->lock);
	int r = load(file, file->rec.size, ret_text);
	pthread_rwlock_unlock(&file->lock);
	return r;
}

void context_seen(struct inode *file)
{
	_cleanup_buf_ struct buf text = {0};

	if (context_text(file, &text) < 0)
		return;
	pthread_rwlock_wrlock(&file->container->lock);
	struct session_memory *memory = memory_of(file->container);
	if (memory)
		memory->context = hash_of((const char *)text.data, text.len);
	pthread_rwlock_unlock(&file->container->lock);
}

int context_problem_of(struct inode *file, struct buf *ret_text)
{
	_cleanup_(context_release) struct context c = {0};
	_cleanup_buf_ struct buf text = {0};
	struct broken broken = {0};
	char line[BROKEN_TEXT];
	int r = context_text(file, &text);

	if (r == 0)
		r = context_read((const char *)text.data, text.len, &c, &broken);
	if (r < 0 && r != -EINVAL)
		return r;
	if (!broken.n)
		return -ENODATA;
	broken_text(&broken, line);
	return buf_append(ret_text, line, strlen(line));
}

void context_gone(struct op *op, struct srec *rec)
{
	rec->context = 0;
	srec_changed(rec, &op->now);
}
