/*
 * hidden.c: what is not in its place yet, or not any more, while something is put back: .restore-<16 hex digits> in the
 * directory that it is for. A row says where it lies, so that the daemon after one that died discards it, and nothing
 * else that has such a name.
 */
#include "fs/session/putback.h"

#include <ctype.h>
#include <stdio.h>

#define ROW_FORMAT 2 /* 1 had no number: whatever had such a name was meant */
#define ROW_BYTES 9
#define DIGITS 16

bool putback_is_hidden(const char *name)
{
	size_t prefix = strlen(PUTBACK_PREFIX);

	if (strncmp(name, PUTBACK_PREFIX, prefix) != 0 || strlen(name) != prefix + DIGITS)
		return false;
	for (const char *c = name + prefix; *c; c++)
		if (!isxdigit((unsigned char)*c) || isupper((unsigned char)*c))
			return false;
	return true;
}

static void name_of(uint64_t random, char ret_name[PUTBACK_NAME])
{
	snprintf(ret_name, PUTBACK_NAME, PUTBACK_PREFIX "%016llx", (unsigned long long)random);
}

static struct key row_key(const struct container *users, uint64_t dir)
{
	struct key key = key_make(users->domain, users->id, KEY_SESSION, 0);
	key_add_u8(&key, RECORD_HIDDEN);
	if (dir)
		key_add_u64(&key, dir);
	return key;
}

/* The row of @dir says @random from now on; 0: there is none. */
static int row_once(struct sessions *s, uint64_t dir, uint64_t random)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_(op_end) struct op op;
	uint8_t value[ROW_BYTES];

	op_begin(&op, s->core, NULL);
	int r = inode_get(s->core, CORE_ROOT_INO, NULL, &users);
	if (r == 0)
		r = op_lock(&op, &users, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r;
	struct key key = row_key(users->container, dir);
	put_be64(put_u8(value, ROW_FORMAT), random);
	r = random ? kv_txn_put(op.txn, KV_META, key.bytes, key.len, value, sizeof value)
	           : kv_txn_delete(op.txn, KV_META, key.bytes, key.len);
	return r < 0 ? r : op_commit(&op);
}

static int find_hidden(void *arg, const struct core_dirent *entry)
{
	return putback_is_hidden(entry->name) ? buf_append(arg, entry->name, strlen(entry->name) + 1) : 0;
}

/* The names that the row of @dir means, each with its NUL. */
static int read_row(struct sessions *s, uint64_t dir, struct buf *names)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_buf_ struct buf value = {0};
	char name[PUTBACK_NAME];
	int r = inode_get(s->core, CORE_ROOT_INO, NULL, &users);

	if (r < 0)
		return r;
	struct key key = row_key(users->container, dir);
	r = kv_get(core_kv(s->core), NULL, KV_META, key.bytes, key.len, &value);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (value.len != ROW_BYTES || value.data[0] != ROW_FORMAT)
		return core_readdir(s->core, dir, 0, false, find_hidden, names);
	name_of(get_be64(value.data + 1), name);
	return buf_append(names, name, strlen(name) + 1);
}

/* Discards what is hidden in @dir, and the row. */
static int clear(struct sessions *s, uint64_t dir)
{
	_cleanup_buf_ struct buf names = {0};
	int r = read_row(s, dir, &names);

	for (size_t at = 0; r == 0 && at < names.len; at += strlen((char *)names.data + at) + 1) {
		const char *name = (const char *)names.data + at;
		r = copy_discard(s, dir, name);
		if (r == -ENOENT)
			r = 0; /* it was not made, or the directory is gone with it */
		if (s->changed)
			s->changed(s->changed_arg, dir, name);
	}
	return r < 0 && r != -ENOENT ? r : OP_RETRY(row_once(s, dir, 0));
}

int putback_clear_all(struct sessions *s)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf dirs = {0};
	int r = inode_get(s->core, CORE_ROOT_INO, NULL, &users);
	if (r < 0)
		return r;
	struct key prefix = row_key(users->container, 0);

	r = kv_iter_open(core_kv(s->core), NULL, NULL, KV_META, prefix.bytes, prefix.len, &it);
	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		uint64_t dir = len == prefix.len + 8 ? get_be64(key + prefix.len) : 0;
		if ((r = buf_append(&dirs, &dir, sizeof dir)) < 0)
			return r;
	}
	for (size_t i = 0; r == 0 && i < dirs.len; i += sizeof(uint64_t)) {
		uint64_t dir;
		memcpy(&dir, dirs.data + i, sizeof dir);
		r = clear(s, dir);
	}
	return r;
}

int putback_hide(struct putback *p)
{
	uint64_t random = 0;

	while (!random)
		kv_random(&random, sizeof random);
	name_of(random, p->hidden);
	int r = clear(p->s, p->dir->ino);
	return r < 0 ? r : OP_RETRY(row_once(p->s, p->dir->ino, random));
}
