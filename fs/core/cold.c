#include "fs/core/cold.h"

#include "fs/core/core_internal.h"

#define USES 1024 /* the engine cannot be opened anew while there is an iterator */

void cold_release(struct cold *c)
{
	kv_iter_free(c->it);
	c->it = NULL;
}

static int begin(struct cold *c, uint32_t domain, uint32_t container)
{
	struct kv *kv = c->core->kv;
	struct key prefix = key_make(domain, 0, KEY_CONTAINER, 0);

	c->container = container;
	/* What was committed before it left memory, or before its lock was free, is counted by now. */
	if (c->it && c->domain == domain && c->sequence == kv_sequence(kv) && c->uses++ < USES)
		return 0;
	cold_release(c);
	c->domain = domain;
	c->uses = 0;
	c->sequence = kv_sequence(kv);
	return kv_iter_open(kv, NULL, NULL, KV_META, prefix.bytes, 4, &c->it);
}

int cold_begin(struct cold *c, uint32_t domain, uint32_t container)
{
	return container_is_warm(c->core, container) ? -EBUSY : begin(c, domain, container);
}

int cold_begin_locked(struct cold *c, const struct container *container)
{
	return begin(c, container->domain, container->id);
}

static int get(struct cold *c, const struct key *key, struct buf *ret_value)
{
	size_t len;
	int r = kv_iter_seek(c->it, key->bytes, key->len);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	const uint8_t *at = kv_iter_key(c->it, &len);
	if (len != key->len || memcmp(at, key->bytes, len) != 0)
		return -ENOENT;
	return kv_iter_value(c->it, ret_value);
}

int cold_session(struct cold *c, uint8_t which, struct buf *ret_value)
{
	struct key key = key_make(c->domain, c->container, KEY_SESSION, 0);

	key_add_u8(&key, which);
	return get(c, &key, ret_value);
}

int cold_inode(struct cold *c, uint64_t ino, struct irec *ret_rec)
{
	struct key key = key_make(c->domain, c->container, KEY_INODE, ino);
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	_cleanup_buf_ struct buf value = {0}, content = {0};
	int r = get(c, &key, &value);

	return r < 0 ? r : irec_decode(value.data, value.len, ret_rec, &content, &facts);
}

int cold_inodes(struct cold *c, int (*each)(void *arg, const struct irec *rec, const struct blob *facts), void *arg)
{
	struct key first = key_make(c->domain, c->container, KEY_INODE, 0);
	int r = kv_iter_seek(c->it, first.bytes, first.len);

	for (; r > 0; r = kv_iter_next(c->it)) {
		_cleanup_(blob_unrefp) struct blob *facts = NULL;
		_cleanup_buf_ struct buf value = {0}, content = {0};
		struct irec rec;
		size_t len;
		const uint8_t *key = kv_iter_key(c->it, &len);

		if (len < KEY_KIND_END || memcmp(key, first.bytes, KEY_KIND_END) != 0)
			return 0;
		r = kv_iter_value(c->it, &value);
		if (r == 0)
			r = irec_decode(value.data, value.len, &rec, &content, &facts);
		if (r == 0)
			r = each(arg, &rec, facts);
		if (r != 0)
			return r;
	}
	return r;
}

static int find(struct cold *c, uint64_t dir, const char *name, struct dentry *ret_dentry)
{
	_cleanup_buf_ struct buf value = {0};
	size_t len = strlen(name);
	uint64_t first;
	int r = name_key_hashed(c->core, c->domain, name, len, &first);

	for (uint64_t key = first; r == 0; key++) {
		struct key k = key_make(c->domain, c->container, KEY_DENTRY, dir);
		key_add_u64(&k, key);
		r = get(c, &k, &value);
		if (r == 0)
			r = dentry_decode(value.data, value.len, ret_dentry);
		if (r < 0 || (ret_dentry->name_len == len && memcmp(ret_dentry->name, name, len) == 0))
			return r;
		if (key == first && !ret_dentry->more)
			return -ENOENT;
	}
	return r;
}

int cold_child(struct cold *c, uint64_t dir, const char *name, uint64_t *ret_ino, struct irec *ret_rec)
{
	struct dentry d;
	int r = find(c, dir, name, &d);

	if (r < 0)
		return r;
	r = d.container ? -ENOENT : cold_inode(c, d.ino, ret_rec);
	if (r == -ENOENT || (r == 0 && (ret_rec->generation != d.generation || ret_rec->mode >> 12 != d.type)))
		return -EBADMSG; /* an entry's inode is there */
	*ret_ino = d.ino;
	return r;
}
