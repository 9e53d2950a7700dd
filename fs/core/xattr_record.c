#include "fs/core/xattr.h"

#include "fs/core/past.h"

#include <linux/limits.h>
#include <sys/xattr.h>

#define XATTR_NAME_PURPOSE 0x7861747472206b65 /* "xattr ke": names in keys */
#define XATTR_SUM_PURPOSE 0x7861747472207375  /* "xattr su": elements of irec.xattr_sum */
#define XATTR_HASH_BITS 55
#define XATTR_ORDINALS 128
#define XATTR_RECORD_MAX (2 + XATTR_NAME_MAX + XATTR_SIZE_MAX)

/* ---- records --------------------------------------------------------------------------------- */

struct xattr {
	const char *name; /* not NUL-terminated; both point into the record */
	size_t name_len;
	const uint8_t *value;
	size_t size;
};

static int xattr_parse(const struct buf *record, struct xattr *ret_attr)
{
	struct bytes_reader r = bytes_reader(record->data, record->len);
	struct xattr a = {.name_len = read_be16(&r)};
	a.name = (const char *)read_bytes(&r, a.name_len);
	if (r.bad || !a.name_len || a.name_len > XATTR_NAME_MAX)
		return -EBADMSG;
	a.value = r.p;
	a.size = (size_t)(r.end - r.p);
	*ret_attr = a;
	return 0;
}

static bool xattr_is(const struct xattr *a, const char *name)
{
	return a->name_len == strlen(name) && !memcmp(a->name, name, a->name_len);
}

static int xattr_format(const char *name, const void *value, size_t size, struct buf *ret_record)
{
	uint8_t len[2];
	put_be16(len, (uint16_t)strlen(name));
	int r = buf_set(ret_record, len, sizeof len);
	if (r == 0)
		r = buf_append(ret_record, name, strlen(name));
	return r < 0 ? r : buf_append(ret_record, value, size);
}

/* The record's element in the multiset hash. */
static int xattr_element(struct inode *inode, const struct buf *record, uint8_t ret_hash[16])
{
	return kv_hash128(inode->core->kv, inode->container->domain, XATTR_SUM_PURPOSE,
		record->data, record->len, ret_hash);
}

static int xattr_hash(struct inode *inode, const char *name, uint64_t *ret_hash)
{
	unsigned bits = inode->core->options.name_hash_bits;
	uint64_t hash;
	int r = kv_hash64(inode->core->kv, inode->container->domain, XATTR_NAME_PURPOSE, name,
		strlen(name), &hash);
	if (r < 0)
		return r;
	if (!bits || bits > XATTR_HASH_BITS)
		bits = XATTR_HASH_BITS;
	*ret_hash = hash >> (64 - bits);
	return 0;
}

static struct key xattr_key(const struct inode *inode, uint64_t hash, unsigned ordinal)
{
	struct key key = inode_key(inode, KEY_XATTR);
	key_add_u64(&key, hash << 7 | ordinal);
	return key;
}

/* What is committed where @txn is NULL; the inode's lock keeps it still. */
static int record_get(struct inode *inode, struct kv_txn *txn, const struct key *key,
	struct buf *ret_record)
{
	if (txn)
		return kv_txn_get(txn, KV_META, key->bytes, key->len, ret_record);
	return past_get(inode->core, key, inode->at, ret_record);
}

struct slot {
	uint64_t hash;
	unsigned ordinal;
	struct buf record;
};

static inline void slot_release(struct slot *slot)
{
	buf_release(&slot->record);
}

/* 0 and its slot, or -ENODATA and the slot where it would lie: none where ordinals ran out. */
static int slot_find(struct inode *inode, struct kv_txn *txn, const char *name,
	struct slot *ret_slot)
{
	struct xattr a;
	int r = xattr_hash(inode, name, &ret_slot->hash);
	if (r < 0)
		return r;
	for (ret_slot->ordinal = 0; ret_slot->ordinal < XATTR_ORDINALS; ret_slot->ordinal++) {
		struct key key = xattr_key(inode, ret_slot->hash, ret_slot->ordinal);
		r = record_get(inode, txn, &key, &ret_slot->record);
		if (r < 0)
			return r == -ENOENT ? -ENODATA : r;
		r = xattr_parse(&ret_slot->record, &a);
		if (r < 0 || xattr_is(&a, name))
			return r;
	}
	return -ENODATA;
}

static int scan_past(struct inode *inode,
	int (*each)(void *arg, const struct xattr *a, const struct buf *record), void *arg)
{
	struct key prefix = inode_key(inode, KEY_XATTR);
	_cleanup_(past_iter_freep) struct past_iter *it = NULL;
	_cleanup_buf_ struct buf record = {0};
	const uint8_t *key;
	struct xattr a;
	size_t len;
	int r = past_iter_open(inode->core, &prefix, NULL, inode->at, &it);
	while (r == 0 && (r = past_iter_next(it, &key, &len, &record)) > 0) {
		r = xattr_parse(&record, &a);
		if (r == 0)
			r = each(arg, &a, &record);
	}
	return r;
}

/* Calls @each for every record, in the order of keys; what it returns below 0 ends it. */
static int xattr_scan(struct inode *inode, struct kv_txn *txn,
	int (*each)(void *arg, const struct xattr *a, const struct buf *record), void *arg)
{
	struct key prefix = inode_key(inode, KEY_XATTR);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf record = {0};
	struct xattr a;
	int r;
	if (inode->at)
		return scan_past(inode, each, arg);
	r = kv_iter_open(inode->core->kv, NULL, txn, KV_META, prefix.bytes, prefix.len, &it);
	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		r = kv_iter_value(it, &record);
		if (r == 0)
			r = xattr_parse(&record, &a);
		if (r == 0)
			r = each(arg, &a, &record);
		if (r < 0)
			return r;
	}
	return r;
}

static int value_get(struct inode *inode, struct kv_txn *txn, const char *name,
	struct buf *ret_value)
{
	_cleanup_(slot_release) struct slot slot = {0};
	struct xattr a;
	int r = slot_find(inode, txn, name, &slot);
	if (r < 0)
		return r;
	xattr_parse(&slot.record, &a);
	return buf_set(ret_value, a.value, a.size);
}

/* ---- what is committed ----------------------------------------------------------------------- */

int xattr_get(struct inode *inode, const char *name, struct buf *ret_value)
{
	return inode->rec.xattrs ? value_get(inode, NULL, name, ret_value) : -ENODATA;
}

struct listing {
	struct inode *inode;
	struct buf names;
	uint32_t count;
	struct msum sum;
};

static int listing_add(void *arg, const struct xattr *a, const struct buf *record)
{
	struct listing *listing = arg;
	uint8_t hash[16];
	int r = xattr_element(listing->inode, record, hash);
	if (r == 0)
		r = buf_append(&listing->names, a->name, a->name_len);
	if (r == 0)
		r = buf_append(&listing->names, "", 1);
	if (r < 0)
		return r;
	msum_add(&listing->sum, hash);
	listing->count++;
	return 0;
}

int xattr_list(struct inode *inode, struct buf *ret_names)
{
	const struct irec *rec = &inode->rec;
	struct listing listing = {.inode = inode};
	int r = rec->xattrs ? xattr_scan(inode, NULL, listing_add, &listing) : 0;
	/* A record that is missing, added or replayed is noticed here. */
	if (r == 0 && (listing.count != rec->xattrs || listing.sum.hi != rec->xattr_sum.hi ||
			      listing.sum.lo != rec->xattr_sum.lo))
		r = -EBADMSG;
	if (r < 0) {
		buf_release(&listing.names);
		return r;
	}
	buf_release(ret_names);
	*ret_names = listing.names;
	return 0;
}

/* ---- within an op ---------------------------------------------------------------------------- */

int xattr_read(struct op *op, struct inode *inode, const char *name, struct buf *ret_value)
{
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (!rec->xattrs)
		return -ENODATA;
	int r = op_txn(op);
	return r < 0 ? r : value_get(inode, op->txn, name, ret_value);
}

struct room {
	const char *name; /* is replaced: does not count */
	size_t bytes, names;
};

static int room_add(void *arg, const struct xattr *a, const struct buf *record)
{
	struct room *room = arg;
	if (!xattr_is(a, room->name)) {
		room->bytes += record->len;
		room->names += a->name_len + 1;
	}
	return 0;
}

/* Whether a record of @size bytes for @name fits with the others into one inode and one listing. */
static int room_check(struct op *op, struct inode *inode, const struct irec *rec, const char *name,
	size_t size)
{
	struct room room = {.name = name, .bytes = size, .names = strlen(name) + 1};
	if (((uint64_t)rec->xattrs + 1) * XATTR_RECORD_MAX <= XATTR_TOTAL_MAX)
		return 0; /* so few that no sizes of theirs are too much */
	int r = xattr_scan(inode, op->txn, room_add, &room);
	if (r < 0)
		return r;
	return room.bytes > XATTR_TOTAL_MAX || room.names > XATTR_LIST_MAX ? -ENOSPC : 0;
}

int xattr_put(struct op *op, struct inode *inode, const char *name, const void *value, size_t size,
	int flags)
{
	_cleanup_(slot_release) struct slot slot = {0};
	_cleanup_buf_ struct buf record = {0};
	uint8_t old_hash[16], hash[16];
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (inode->ghost && inode_is_dir(inode))
		return -ENOENT; /* a removed directory is final; a file gets a record again (op.c) */
	int r = op_txn(op);
	if (r < 0)
		return r;
	int found = slot_find(inode, op->txn, name, &slot);
	if (found < 0 && found != -ENODATA)
		return found;
	if (found == 0 && (flags & XATTR_CREATE))
		return -EEXIST;
	if (found < 0 && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (slot.ordinal == XATTR_ORDINALS)
		return -ENOSPC;
	r = xattr_format(name, value, size, &record);
	if (r == 0)
		r = room_check(op, inode, rec, name, record.len);
	if (r == 0)
		r = xattr_element(inode, &record, hash);
	if (r == 0 && found == 0)
		r = xattr_element(inode, &slot.record, old_hash);
	struct key key = xattr_key(inode, slot.hash, slot.ordinal);
	if (r == 0)
		r = op_put(op, inode->container, &key, record.data, record.len);
	if (r < 0)
		return r;
	if (found == 0)
		msum_sub(&rec->xattr_sum, old_hash);
	else
		rec->xattrs++;
	msum_add(&rec->xattr_sum, hash);
	if (!strcmp(name, XATTR_NAME_CAPABILITY))
		rec->flags |= INODE_CAPABILITY;
	return 0;
}

/* Takes the record at @slot away and moves the last one with its hash into the gap. */
static int slot_clear(struct op *op, struct inode *inode, const struct slot *slot)
{
	_cleanup_buf_ struct buf last = {0}, next = {0};
	unsigned ordinal = slot->ordinal;
	int r = 0;
	while (ordinal + 1 < XATTR_ORDINALS) {
		struct key key = xattr_key(inode, slot->hash, ordinal + 1);
		r = record_get(inode, op->txn, &key, &next);
		if (r < 0)
			break;
		struct buf swap = last;
		last = next;
		next = swap;
		ordinal++;
	}
	if (r < 0 && r != -ENOENT)
		return r;
	struct key key = xattr_key(inode, slot->hash, slot->ordinal);
	if (ordinal != slot->ordinal) {
		r = op_put(op, inode->container, &key, last.data, last.len);
		if (r < 0)
			return r;
		key = xattr_key(inode, slot->hash, ordinal);
	}
	return op_delete(op, inode->container, &key);
}

int xattr_delete(struct op *op, struct inode *inode, const char *name)
{
	_cleanup_(slot_release) struct slot slot = {0};
	uint8_t hash[16];
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (!rec->xattrs)
		return -ENODATA;
	int r = op_txn(op);
	if (r == 0)
		r = slot_find(inode, op->txn, name, &slot);
	if (r == 0)
		r = xattr_element(inode, &slot.record, hash);
	if (r == 0)
		r = slot_clear(op, inode, &slot);
	if (r < 0)
		return r;
	msum_sub(&rec->xattr_sum, hash);
	rec->xattrs--;
	if (!strcmp(name, XATTR_NAME_CAPABILITY))
		rec->flags &= (uint8_t)~INODE_CAPABILITY;
	return 0;
}

int xattr_kill_capability(struct op *op, struct inode *inode)
{
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (!(rec->flags & INODE_CAPABILITY))
		return 0;
	int r = xattr_delete(op, inode, XATTR_NAME_CAPABILITY);
	return r == -ENODATA ? 0 : r;
}

int xattr_drop_all(struct op *op, struct inode *inode)
{
	struct key prefix = inode_key(inode, KEY_XATTR);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	struct irec *rec = op_stage(op, inode);
	if (!rec)
		return -ENOMEM;
	if (!rec->xattrs)
		return 0;
	/* Keys alone say what to delete, so a damaged record is no reason to keep a file. */
	int r = op_txn(op);
	if (r == 0)
		r = kv_iter_open(inode->core->kv, NULL, op->txn, KV_META, prefix.bytes, prefix.len,
			&it);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf keys = {0};
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		if (len == prefix.len + 8 && (r = buf_append(&keys, key, len)) < 0)
			break;
	}
	for (size_t i = 0; r == 0 && i < keys.len; i += prefix.len + 8) {
		struct key key = {.len = prefix.len + 8};
		memcpy(key.bytes, keys.data + i, key.len);
		r = op_delete(op, inode->container, &key);
	}
	if (r < 0)
		return r;
	rec->xattrs = 0;
	rec->xattr_sum = (struct msum){0};
	rec->flags &= (uint8_t)~INODE_CAPABILITY;
	return 0;
}
