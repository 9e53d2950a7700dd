/*
 * check_path.c: what a problem is called. Names are looked for upwards, from an inode to the entry that
 * leads to it; in a numbered directory the inode's number says where that is, elsewhere the directory
 * is searched.
 */
#include "fs/core/check_internal.h"

#include <stdarg.h>
#include <stdio.h>

#define PATH_DEPTH 64

bool place_of(const struct check *c, uint64_t ino, uint32_t *ret_domain, uint32_t *ret_container)
{
	const struct lease *lease = lease_of(c, ino);

	*ret_domain = lease ? lease->domain : c->domain;
	*ret_container = lease ? lease->container : c->container;
	return lease || ino >> 8 == c->container;
}

/* An entry by its key, if it leads to @ino. */
static int entry_at(struct check *c, const struct key *key, uint64_t ino, struct dentry *ret_entry)
{
	_cleanup_buf_ struct buf value = {0};
	int r = check_get(c, KV_META, key, &value);

	if (r == 0)
		r = dentry_decode(value.data, value.len, ret_entry);
	if (r == 0 && ret_entry->ino != ino)
		r = -ENOENT;
	ret_entry->key = get_be64(key->bytes + KEY_PREFIX);
	return r;
}

static int entry_search(struct check *c, const struct key *prefix, uint64_t ino,
	struct dentry *ret_entry)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_META, prefix->bytes, prefix->len, &it);

	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		if (len != KEY_PREFIX + 8 || kv_iter_value(it, &value) < 0 ||
			dentry_decode(value.data, value.len, ret_entry) < 0 ||
			ret_entry->ino != ino)
			continue;
		ret_entry->key = get_be64(key + KEY_PREFIX);
		return 0;
	}
	return -ENOENT; /* also where the rest cannot be read: the scan tells of that */
}

int entry_to(struct check *c, uint64_t dir, uint64_t ino, struct dentry *ret_entry)
{
	const struct node *node = node_find(c, ino);
	uint32_t domain, container;
	struct key key;

	if (!place_of(c, dir, &domain, &container))
		return -ENOENT;
	key = key_make(domain, container, KEY_DENTRY, dir);
	if (node && node->number) {
		struct key at = key;
		key_add_u64(&at, (uint64_t)node->number << 7);
		if (entry_at(c, &at, ino, ret_entry) == 0)
			return 0;
	}
	return entry_search(c, &key, ino, ret_entry);
}

/* The directory that one of the container's entries to @ino is in: of a file with several names. */
static uint64_t dir_of(struct check *c, const struct node *node)
{
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = node && node->links ? kv_iter_open(c->kv, NULL, c->txn, KV_META, prefix.bytes, 9, &it)
				    : -ENOENT;

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		struct dentry d;

		if (len == KEY_PREFIX + 8 && kv_iter_value(it, &value) == 0 &&
			dentry_decode(value.data, value.len, &d) == 0 && d.ino == node->ino)
			return key_ino(key);
	}
	return 0;
}

/* The directory that an inode's record names; 0: it cannot be told. */
static uint64_t parent_of(struct check *c, uint64_t ino)
{
	const struct node *node = node_find(c, ino);
	_cleanup_copy_ struct inode_copy copy = {0};

	if (node)
		return node->state & NODE_BAD ? 0 : node->parent;
	return mend_load(c, ino, &copy) == 0 ? copy.rec.parent : 0;
}

static int prepend(struct buf *path, const char *text, size_t len)
{
	size_t old = path->len;
	int r = buf_resize(path, old + len);

	if (r < 0)
		return r;
	memmove(path->data + len, path->data, old);
	memcpy(path->data, text, len);
	return 0;
}

/* "users/…" of a directory into c->path; false where it hangs on nothing. */
static bool path_of_dir(struct check *c, uint64_t dir)
{
	char number[32];
	int r = 0;

	if (dir == c->path_dir && dir)
		return true;
	c->path.len = 0;
	c->path_dir = dir;
	for (unsigned depth = 0; dir != CORE_ROOT_INO && r == 0; depth++) {
		uint64_t parent = depth < PATH_DEPTH ? parent_of(c, dir) : 0;
		struct dentry d;

		if (depth == PATH_DEPTH) /* it lies in itself */
			c->path.len = 0;
		if (!parent || entry_to(c, parent, dir, &d) < 0) {
			int n = snprintf(number, sizeof number, "inode %llu", (unsigned long long)dir);
			r = prepend(&c->path, number, (size_t)n);
			c->path_dir = 0;
			return false;
		}
		r = prepend(&c->path, d.name, d.name_len);
		if (r == 0)
			r = prepend(&c->path, "/", 1);
		dir = parent;
	}
	return r == 0 && prepend(&c->path, "users", 5) == 0;
}

const char *check_path(struct check *c, uint64_t dir, const char *name, uint64_t ino)
{
	static const char unknown[] = "store";
	struct dentry d;
	size_t keep;
	int r = 0;

	if (!dir && !ino && !c->container)
		return unknown;
	if (!dir && !ino)
		ino = (uint64_t)c->container << 8;
	if (!dir && ino != CORE_ROOT_INO && (dir = parent_of(c, ino)) != 0) {
		r = entry_to(c, dir, ino, &d);
		if (r < 0 && (dir = dir_of(c, node_find(c, ino))) != 0)
			r = entry_to(c, dir, ino, &d);
		name = r == 0 ? d.name : NULL;
		r = 0;
	}
	if (!dir || (dir && !name)) {
		c->path_dir = 0;
		c->path.len = 0;
		if (ino == CORE_ROOT_INO)
			r = buf_append(&c->path, "users", 6);
		else
			r = buf_printf(&c->path, "inode %llu", (unsigned long long)ino);
	} else {
		path_of_dir(c, dir);
		keep = c->path.len;
		r = buf_printf(&c->path, "/%s", name);
		if (r == 0)
			r = buf_append(&c->path, "", 1);
		if (r == 0) {
			/* The directory's part stays for the next one; the whole lies behind it. */
			c->path.len = keep;
			return (const char *)c->path.data;
		}
	}
	if (r == 0)
		r = buf_append(&c->path, "", 1);
	return r == 0 ? (const char *)c->path.data : unknown;
}

bool check_tell(struct check *c, bool can, const char *code, uint64_t dir, const char *name,
	uint64_t ino, const char *fmt, ...)
{
	bool mend = can && c->options->mend;
	struct check_problem p = {.code = code, .domain = c->domain, .container = c->container,
		.ino = ino, .state = mend ? CHECK_MENDED : c->options->mend ? CHECK_LEFT : CHECK_FOUND};
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->result->found++;
	c->result->mendable += can;
	c->result->mended += mend;
	p.text = text;
	if (c->options->sink.problem) {
		p.path = check_path(c, dir, name, ino);
		c->options->sink.problem(c->options->sink.arg, &p);
	}
	return mend;
}
