/*
 * transcript.c: a session as whoever renders it sees it.
 */
#include "fs/session/transcript.h"

#include "fs/session/json.h"
#include "fs/session/messages.h"

struct reader {
	struct sessions *s;
};

static void message_release(struct transcript_message *m)
{
	free(m->id);
	free(m->agent);
	free(m->model);
}

void transcript_free(struct transcript *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		message_release(&t->messages[i]);
	free(t->messages);
	free(t->user);
	free(t->workflow);
	free(t->title);
	free(t->agent);
	free(t->history);
	free(t->metadata);
	free(t->document);
	free(t->context);
	session_files_release(&t->files);
	free(t->arg);
	free(t);
}
DEFINE_CLEANUP(struct transcript *, transcript_free);

static ssize_t read_file(const struct transcript *t, uint64_t ino, void *data, size_t size, uint64_t offset)
{
	const struct reader *reader = t->arg;
	_cleanup_inode_ struct inode *file = NULL;
	int r = inode_get(reader->s->core, ino, NULL, &file);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&file->lock);
	ssize_t n = data_read(file, data, size, offset);
	pthread_rwlock_unlock(&file->lock);
	return n;
}

static ssize_t read_message(const struct transcript *t, size_t i, void *data, size_t size, uint64_t offset)
{
	return read_file(t, t->messages[i].ino, data, size, offset);
}

static int list_xattrs(const struct transcript *t, uint64_t ino, transcript_xattr each, void *arg)
{
	struct core *core = ((const struct reader *)t->arg)->s->core;
	_cleanup_buf_ struct buf names = {0}, value = {0};
	int r = core_listxattr(core, ino, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;
		r = core_getxattr(core, ino, name, &value);
		if (r == 0)
			each(arg, name, &value);
		at += strlen(name) + 1;
		r = r == -ENODATA ? 0 : r;
	}
	return r;
}

/* As it is taken in, or, while it is written, as it would be. The inode's lock is held. */
static int facts_of(struct inode *file, struct message *ret_message)
{
	char title[TITLE_AUTO_MAX + 1];
	struct irec rec = file->rec;

	if (!file->untaken && message_decode(file->facts, ret_message) == 0)
		return 0;
	return message_read(file, &rec, ret_message, title);
}

static int copy_text(char **field, const char *text)
{
	return *text && !(*field = strdup(text)) ? -ENOMEM : 0;
}

static int load_message(struct sessions *s, const struct message_name *name,
	struct transcript_message *ret_message)
{
	_cleanup_inode_ struct inode *file = NULL;
	struct message m;
	int r = inode_get(s->core, name->ino, NULL, &file);

	*ret_message = (struct transcript_message){
		.number = name->number, .ino = name->ino, .archived = name->archived};
	if (r == 0) {
		pthread_rwlock_rdlock(&file->lock);
		r = facts_of(file, &m);
		ret_message->size = file->rec.size;
		ret_message->mode = file->rec.mode;
		ret_message->uid = file->rec.uid;
		ret_message->gid = file->rec.gid;
		ret_message->mtime = file->rec.mtime;
		pthread_rwlock_unlock(&file->lock);
	}
	if (r == -EBADMSG || r == -ENOENT) {
		ret_message->unreadable = true; /* it does not hide the others */
		ret_message->size = 0;
		return 0;
	}
	if (r < 0)
		return r;
	ret_message->header = m.header;
	ret_message->tokens = m.tokens;
	ret_message->estimated = m.flags & MESSAGE_ESTIMATED;
	ret_message->time = m.time;
	ret_message->role = (enum message_role)m.role;
	r = copy_text(&ret_message->id, m.id);
	if (r == 0)
		r = copy_text(&ret_message->agent, m.agent);
	return r < 0 ? r : copy_text(&ret_message->model, m.model);
}

static int load_messages(struct sessions *s, struct inode *session, const struct transcript_range *range,
	struct transcript *t)
{
	_cleanup_(message_list_release) struct message_list list = {0};
	int r = range->count ? message_list_load(s, session, &list) : 0;

	if (r < 0)
		return r;
	t->total = (uint32_t)list.n;
	uint32_t count = range->count < t->total ? range->count : t->total;
	t->from = range->last ? t->total - count : range->from < t->total ? range->from : t->total;
	if (count > t->total - t->from)
		count = t->total - t->from;
	t->messages = calloc(count ? count : 1, sizeof *t->messages);
	if (!t->messages)
		return -ENOMEM;
	for (; t->n < count && r == 0; t->n++)
		r = load_message(s, &list.at[t->from + t->n], &t->messages[t->n]);
	return r;
}

/* session.json as it was rendered last; "{}" where there is none. */
static int load_document(struct sessions *s, struct inode *session, const struct srec *rec,
	struct transcript *t)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_buf_ struct buf row = {0}, text = {0};
	struct container *c = session->container;
	const char *why;
	int r = -ENOENT;

	if (rec->version) {
		pthread_rwlock_rdlock(&c->lock);
		r = session_record_get(
			s->core, c, (uint8_t)(RECORD_RING + rec->version % RECORD_RING_SIZE), &row);
		pthread_rwlock_unlock(&c->lock);
	}
	if (r == 0 && row.len > 8)
		r = json_object_parse((const char *)row.data + 8, row.len - 8, &o, &why);
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return r;
	r = json_object_text(&o, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	return r < 0 ? r : copy_text(&t->document, (const char *)text.data);
}

static int load_place(struct sessions *s, struct inode *session, const struct srec *rec, struct transcript *t)
{
	struct session_now now = {0};
	int r = session_look(s, session, rec, &now, &t->changed);

	if (r == 0) {
		t->state = state_name(now.state);
		t->until = now.until;
		t->interrupted = now.interrupted;
		t->trashed = now.place.trash ? rec->trashed : 0;
		r = copy_text(&t->user, now.place.user_name);
	}
	if (r == 0)
		r = copy_text(&t->workflow, now.place.workflow_name);
	place_release(&now.place);
	return r;
}

static int load_session(struct sessions *s, struct inode *session, bool brief, struct transcript *t)
{
	_cleanup_srec_ struct srec rec = {0};
	struct memory_policy memory;
	char title[TITLE_AUTO_MAX + 1];
	int r = session->at ? record_read_past(s, session, &rec) : record_read(s, session->container, &rec);

	if (r == 0)
		r = policy_memory(s, session, &memory);
	if (r < 0)
		return r;
	memcpy(t->session_id, rec.id, sizeof t->session_id);
	t->created = rec.created;
	t->changed = srec_last_change(&rec);
	t->activity = srec_activity(&rec);
	t->tokens = rec.tokens;
	t->switches = rec.switches;
	t->counted = rec.messages;
	t->memory_size = memory.size;
	t->memory_tokens = memory.tokens;
	r = copy_text(&t->title, srec_title(&rec, title));
	if (r == 0)
		r = copy_text(&t->agent, rec.agent ? rec.agent : "");
	if (r == 0 && brief)
		return load_place(s, session, &rec, t);
	if (r == 0)
		r = copy_text(&t->history, rec.history ? rec.history : "[]");
	if (r == 0)
		r = copy_text(&t->metadata, rec.metadata ? rec.metadata : "{}");
	if (r == 0 && session->at)
		return transcript_load_past(s, session, &rec, t);
	if (r == 0)
		r = load_document(s, session, &rec, t);
	return r < 0 ? r : load_place(s, session, &rec, t);
}

static int load_context(struct sessions *s, struct inode *session, struct transcript *t)
{
	_cleanup_inode_ struct inode *file = NULL;
	_cleanup_buf_ struct buf text = {0};
	int r = context_find(s, session, &file);

	if (r == 0)
		r = context_text(file, &text);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r; /* a damaged one hides nothing else */
	t->context_size = text.len;
	t->context = (char *)steal_ptr(text.data);
	return 0;
}

/* Nothing is looked at that may have been written and not taken in. */
static int bring_up_to_date(struct sessions *s, struct inode *session, const struct transcript_range *range)
{
	_cleanup_srec_ struct srec rec = {0};

	if (session->at)
		return 0;
	if (!range->as_is)
		return json_freshen(s, session);
	int r = record_read(s, session->container, &rec);
	if (r == 0)
		r = untaken_warm(s, session->container, NULL, &rec);
	return r == -EBUSY ? json_freshen(s, session) : r;
}

int transcript_open(struct sessions *s, uint64_t ino, const struct transcript_range *range,
	struct transcript **ret_transcript)
{
	_cleanup_(transcript_freep) struct transcript *t = calloc(1, sizeof *t);
	_cleanup_inode_ struct inode *session = NULL;
	struct reader *reader = t ? calloc(1, sizeof *reader) : NULL;

	if (!reader)
		return -ENOMEM;
	reader->s = s;
	t->arg = reader;
	t->read = read_message;
	t->read_file = read_file;
	t->xattrs = list_xattrs;
	int r = inode_get(s->core, ino, NULL, &session);
	if (r == 0 && (!inode_is_dir(session) || session->rec.role != ROLE_SESSION))
		r = -ENOENT;
	if (r == 0)
		r = bring_up_to_date(s, session, range);
	if (r == 0)
		r = load_session(s, session, range->brief, t);
	if (r == 0)
		r = load_messages(s, session, range, t);
	if (r == 0 && range->context)
		r = load_context(s, session, t);
	if (r == 0 && range->files)
		r = session_files_load(s, session->ino, &t->files);
	if (r < 0)
		return r;
	*ret_transcript = steal_ptr(t);
	return 0;
}

const char *transcript_id(const struct transcript *t, const struct transcript_message *m,
	char buffer[UUID_LEN + 1])
{
	uint8_t id[16];

	if (m->id)
		return m->id;
	uuid_of_message(t->session_id, m->number, id);
	uuid_format(id, buffer);
	return buffer;
}
