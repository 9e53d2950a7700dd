/*
 * context.c: context.json, which an agent saves: what in it is worth a snapshot at once.
 */
#include "fs/session/json.h"
#include "fs/session/session_internal.h"

/* FNV-1a: it only has to notice a change. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return (hash ^ 0xff) * 0x100000001b3;
}

/* Of the three values; 0: it is no JSON object. */
static uint64_t hash_of(const char *text, size_t len)
{
	static const char *const watched[] = {"currentStep", "keyDecisions", "blockers"};
	struct json_object object = {0};
	uint64_t hash = 0xcbf29ce484222325;
	const char *reason;

	if (json_object_parse(text, len, &object, &reason) < 0)
		return 0;
	for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
		const char *value = json_get(&object, watched[i]);
		hash = mix(hash, value ? value : "");
	}
	json_object_release(&object);
	return hash | 1;
}

int context_take(struct op *op, struct inode *file, bool *ret_step)
{
	struct session_memory *memory = memory_of(file->container);
	const struct irec *irec = op_stage(op, file);
	_cleanup_buf_ struct buf text = {0};

	*ret_step = false;
	if (!memory || !irec)
		return -ENOMEM;
	if (irec->size > JSON_MAX)
		return 0;
	int r = buf_resize(&text, (size_t)irec->size);
	if (r < 0)
		return r;
	ssize_t got = data_read(file, text.data, text.len, 0);
	if (got < 0)
		return (int)got;
	uint64_t hash = hash_of(text.data ? (const char *)text.data : "", (size_t)got);
	*ret_step = hash != 0 && hash != memory->context;
	if (hash)
		memory->context = hash;
	return 0;
}
