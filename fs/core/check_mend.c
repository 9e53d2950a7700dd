/*
 * check_mend.c: the writes of a mending look. They gather in one transaction, which is committed when it has
 * some hundred and where a step ends; what belongs together is put together.
 */
#include "fs/core/check_rescue.h"

#include <stdio.h>
#include <time.h>

#define WRITES_MAX 512

int mend_commit(struct check *c)
{
	int r = c->txn_writes ? kv_txn_commit(c->txn, NULL) : 0;

	kv_txn_free(c->txn);
	c->txn = NULL;
	c->txn_writes = 0;
	return r;
}

int mend_begin(struct check *c)
{
	int r = 0;

	if (c->txn_writes >= WRITES_MAX)
		r = mend_commit(c);
	if (r == 0 && !c->txn) {
		r = kv_txn_begin(c->kv, &c->txn);
		/* A repair needs little, and a full disk is no reason to stay damaged. */
		if (r == 0)
			kv_txn_set_shrinking(c->txn);
	}
	return r;
}

int check_put(struct check *c, enum kv_family family, const struct key *key, const void *value,
	size_t len)
{
	int r = mend_begin(c);

	if (r < 0)
		return r;
	c->txn_writes++;
	return family == KV_META ? past_put(c, key, value, len)
				 : kv_txn_insert(c->txn, family, key->bytes, key->len, value, len);
}

int check_delete(struct check *c, enum kv_family family, const void *key, size_t len)
{
	struct key record = {.len = len};
	uint64_t epoch;
	int r = mend_begin(c);

	if (r == 0 && family == KV_META && len <= KEY_MAX) {
		memcpy(record.bytes, key, len);
		r = past_keep(c, &record, &epoch);
	}
	if (r < 0)
		return r;
	c->txn_writes++;
	return kv_txn_delete(c->txn, family, key, len);
}

int check_get(struct check *c, enum kv_family family, const struct key *key, struct buf *ret_value)
{
	int r = c->txn ? kv_txn_get(c->txn, family, key->bytes, key->len, ret_value)
		       : kv_get(c->kv, NULL, family, key->bytes, key->len, ret_value);

	/* What lies in a block that the engine cannot read cannot be read: no reason to end the look. */
	return r == -EIO ? -EBADMSG : r;
}

void inode_copy_release(struct inode_copy *copy)
{
	buf_release(&copy->inline_data);
	blob_unref(copy->facts);
	copy->facts = NULL;
}

static struct key key_of(struct check *c, uint64_t ino, enum key_kind kind)
{
	uint32_t domain = c->domain, container = c->container;

	/* What the scan has shown in this container, or has entries there, lies there, whatever a lease says. */
	if (!node_find(c, ino) && !fix_of(c, ino) && ino >> 8 != c->container)
		place_of(c, ino, &domain, &container);
	return key_make(domain, container, kind, ino);
}

int mend_load(struct check *c, uint64_t ino, struct inode_copy *ret_copy)
{
	struct key key = key_of(c, ino, KEY_INODE);
	_cleanup_buf_ struct buf record = {0};
	int r = check_get(c, KV_META, &key, &record);

	inode_copy_release(ret_copy);
	return r < 0 ? r
		     : irec_decode(record.data, record.len, &ret_copy->rec, &ret_copy->inline_data,
			       &ret_copy->facts);
}

int mend_store(struct check *c, uint64_t ino, const struct inode_copy *copy)
{
	struct key key = key_of(c, ino, KEY_INODE);
	_cleanup_buf_ struct buf record = {0};
	struct irec rec = copy->rec;
	int r;

	rec.change++;
	r = irec_encode(&rec, &copy->inline_data, copy->facts, &record);
	return r < 0 ? r : check_put(c, KV_META, &key, record.data, record.len);
}

int mend_put_entry(struct check *c, uint64_t dir, const struct dentry *d)
{
	struct key key = key_of(c, dir, KEY_DENTRY);
	uint8_t record[DENTRY_MAX];
	size_t len = dentry_encode(d, record);

	key_add_u64(&key, d->key);
	return check_put(c, KV_META, &key, record, len);
}

int mend_delete_entry(struct check *c, uint64_t dir, uint64_t entry)
{
	struct key key = key_of(c, dir, KEY_DENTRY);

	key_add_u64(&key, entry);
	return check_delete(c, KV_META, key.bytes, key.len);
}

int mend_make_dir(struct check *c, uint64_t ino, uint32_t generation, uint64_t parent, uint8_t role,
	uint8_t flags, const struct dir_fix *entries, uint32_t subdirs, const struct irec *like)
{
	struct inode_copy copy = {.rec = {.mode = S_IFDIR | 0700, .uid = c->users.uid,
		.gid = c->users.gid, .nlink = 2 + subdirs, .generation = generation,
		.parent = parent, .role = role, .flags = flags}};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	copy.rec.atime = copy.rec.mtime = copy.rec.ctime = copy.rec.btime = now;
	if (like) {
		copy.rec.mode = like->mode;
		copy.rec.uid = like->uid;
		copy.rec.gid = like->gid;
		copy.rec.mtime = like->mtime;
		copy.rec.btime = like->btime;
		copy.rec.xattrs = like->xattrs;
		copy.rec.xattr_sum = like->xattr_sum;
	}
	if (entries) {
		copy.rec.size = entries->count;
		copy.rec.entries = entries->sum;
	}
	if (c->rules && c->rules->numbered(role))
		copy.rec.flags |= INODE_NUMBERED;
	return mend_store(c, ino, &copy);
}

int mend_put_work(struct check *c, const struct work_row *row)
{
	struct key key = key_make(0, 0, KEY_WORK, row->ino);
	bool deletes = row->kind == WORK_REMOVE || row->kind == WORK_TAIL;
	uint64_t min_version = deletes ? past_kept_version(c, row) : 0;
	uint8_t value[34], *p = value;

	key_add_u64(&key, row->sequence);
	p = put_u8(put_u8(p, 1), row->kind);
	p = put_be32(put_be32(p, row->domain), row->container);
	p = put_be64(put_be64(p, row->from_chunk), row->max_version);
	if (min_version)
		p = put_be64(p, min_version);
	return check_put(c, KV_META, &key, value, (size_t)(p - value));
}

int mend_note(struct check *c, uint64_t dir, const char *name, uint64_t ino, bool kept,
	const char *why)
{
	struct check_result *result = c->result;
	struct check_damage *all, *d;
	const char *path, *tries = rescue_summary(c, ino);

	if (!c->options->mend || result->n_damage == DAMAGE_MAX)
		return 0;
	all = reallocarray(result->damage, result->n_damage + 1, sizeof *all);
	if (!all)
		return -ENOMEM;
	result->damage = all;
	path = check_path(c, dir, name, ino);
	d = &all[result->n_damage];
	*d = (struct check_damage){.domain = c->domain, .container = c->container, .dir = dir,
		.ino = ino, .kept = kept, .path = strdup(path)};
	result->n_damage++;
	if (asprintf(&d->why, "%s%s", why, tries ? tries : "; no snapshot or backup holds it") < 0)
		d->why = NULL;
	return d->path && d->why ? 0 : -ENOMEM;
}
