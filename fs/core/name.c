/*
 * name.c: entries of directories.
 *
 *   0  u8   format (1)
 *   1  u8   flags: 1 more names share this hash, 2 the child has a container of its own
 *   2  u8   type (mode >> 12)
 *   3  u64  inode, u32 generation, u64 epoch
 *  23  flag 2: u32 domain, u32 container of the child
 *      u8   length of the name, bytes
 */
#include "fs/core/past.h"
#include "fs/core/snapshot.h"

#include <stdio.h>

#define DENTRY_FORMAT 1
#define ORDINAL_BITS 7
#define ORDINALS (1u << ORDINAL_BITS)
#define HASHED_KEY (1ull << 62)
#define HASH_BITS 55
#define HASH_PURPOSE_NAME 1
#define HASH_PURPOSE_ENTRY 2

enum { DENTRY_MORE = 1, DENTRY_CONTAINER = 2 };

uint32_t name_message_number(const char *name, size_t len)
{
	uint32_t number = 0;
	size_t digits = len - 3;

	if (len < 6 || digits > 9 || memcmp(name + digits, ".md", 3) != 0)
		return 0;
	for (size_t i = 0; i < digits; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		number = number * 10 + (uint32_t)(name[i] - '0');
	}
	return digits > 3 && name[0] == '0' ? 0 : number;
}

size_t name_of_message(uint32_t number, char *ret_name)
{
	return (size_t)snprintf(ret_name, 16, "%03u.md", number);
}

size_t dentry_encode(const struct dentry *d, uint8_t *ret_record)
{
	uint8_t *p = ret_record;

	p = put_u8(p, DENTRY_FORMAT);
	p = put_u8(p, (uint8_t)((d->more ? DENTRY_MORE : 0) | (d->container ? DENTRY_CONTAINER : 0)));
	p = put_u8(p, d->type);
	p = put_be64(p, d->ino);
	p = put_be32(p, d->generation);
	p = put_be64(p, d->epoch);
	if (d->container)
		p = put_be32(put_be32(p, d->domain), d->container);
	p = put_u8(p, (uint8_t)d->name_len);
	p = put_bytes(p, d->name, d->name_len);
	return (size_t)(p - ret_record);
}

int dentry_decode(const void *data, size_t len, struct dentry *ret_dentry)
{
	struct bytes_reader r = bytes_reader(data, len);
	const uint8_t *name;
	unsigned flags;

	if (read_u8(&r) != DENTRY_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	flags = read_u8(&r);
	ret_dentry->type = read_u8(&r);
	ret_dentry->ino = read_be64(&r);
	ret_dentry->generation = read_be32(&r);
	ret_dentry->epoch = read_be64(&r);
	ret_dentry->more = flags & DENTRY_MORE;
	ret_dentry->domain = ret_dentry->container = 0;
	if (flags & DENTRY_CONTAINER) {
		ret_dentry->domain = read_be32(&r);
		ret_dentry->container = read_be32(&r);
	}
	ret_dentry->name_len = read_u8(&r);
	name = read_bytes(&r, ret_dentry->name_len);
	if (bytes_reader_end(&r) < 0 || flags > 3 || !ret_dentry->name_len ||
		memchr(name, 0, ret_dentry->name_len) || memchr(name, '/', ret_dentry->name_len))
		return -EBADMSG;
	memcpy(ret_dentry->name, name, ret_dentry->name_len);
	ret_dentry->name[ret_dentry->name_len] = '\0';
	return 0;
}

int name_key_hashed(struct core *core, uint32_t domain, const char *name, size_t len, uint64_t *ret_key)
{
	uint64_t hash;
	int r = kv_hash64(core->kv, domain, HASH_PURPOSE_NAME, name, len, &hash);

	if (r < 0)
		return r;
	hash >>= 64 - HASH_BITS;
	if (core->options.name_hash_bits)
		hash >>= HASH_BITS - core->options.name_hash_bits;
	*ret_key = HASHED_KEY | hash << ORDINAL_BITS;
	return 0;
}

/* The key of ordinal 0 of a name. */
static int name_key(struct core *core, struct inode *dir, const char *name, size_t len,
	uint64_t *ret_key)
{
	uint32_t number = dir->numbered ? name_message_number(name, len) : 0;

	if (!number)
		return name_key_hashed(core, dir->container->domain, name, len, ret_key);
	*ret_key = (uint64_t)number << ORDINAL_BITS;
	return 0;
}

int dentry_get(struct core *core, struct kv_txn *txn, struct inode *dir, uint64_t key,
	struct dentry *ret_dentry)
{
	struct key k = inode_key(dir, KEY_DENTRY);
	_cleanup_buf_ struct buf value = {0};
	int r;

	key_add_u64(&k, key);
	r = txn && !dir->at ? kv_txn_get(txn, KV_META, k.bytes, k.len, &value)
			    : past_get(core, &k, dir->at, &value);
	if (r < 0)
		return r;
	r = dentry_decode(value.data, value.len, ret_dentry);
	ret_dentry->key = key;
	return r;
}

int dentry_find(struct core *core, struct kv_txn *txn, struct inode *dir, const char *name, size_t len,
	struct dentry *ret_dentry)
{
	uint64_t base;
	int r = name_key(core, dir, name, len, &base);

	if (r < 0)
		return r;
	for (unsigned ordinal = 0; ordinal < ORDINALS; ordinal++) {
		r = dentry_get(core, txn, dir, base + ordinal, ret_dentry);
		if (r == -ENOENT)
			ret_dentry->key = base + ordinal;
		if (r < 0)
			return r;
		if (ret_dentry->name_len == len && memcmp(ret_dentry->name, name, len) == 0)
			return 0;
		if (ordinal == 0 && !ret_dentry->more) {
			ret_dentry->key = base + 1;
			return -ENOENT;
		}
	}
	ret_dentry->key = 0; /* no room for another name of this hash */
	return -ENOENT;
}

int dentry_hash(struct core *core, struct inode *dir, const struct dentry *d, uint8_t ret_hash[16])
{
	uint8_t element[20 + CORE_NAME_MAX], *p = element;

	p = put_be64(put_be64(p, snapshot_present_ino(dir->ino)), d->ino);
	p = put_be32(p, d->generation);
	p = put_bytes(p, d->name, d->name_len);
	return kv_hash128(core->kv, dir->container->domain, HASH_PURPOSE_ENTRY, element,
		(size_t)(p - element), ret_hash);
}

int op_find(struct op *op, struct inode *dir, const char *name, size_t len,
	struct dentry *ret_dentry)
{
	int r;

	if (op->found.dir == dir && op->found.len == len &&
		memcmp(op->found.name, name, len) == 0) {
		*ret_dentry = op->found.entry;
		return op->found.result;
	}
	r = dentry_find(op->core, op->txn, dir, name, len, ret_dentry);
	if (r == 0 || r == -ENOENT) {
		op->found.dir = dir;
		op->found.len = len;
		memcpy(op->found.name, name, len);
		op->found.result = r;
		op->found.entry = *ret_dentry;
	}
	return r;
}

static int dentry_put(struct op *op, struct inode *dir, const struct dentry *d)
{
	struct key k = inode_key(dir, KEY_DENTRY);
	struct dentry now = *d;
	uint8_t record[DENTRY_MAX];
	size_t len;

	now.epoch = op->epoch;
	len = dentry_encode(&now, record);
	op->found.dir = NULL;
	key_add_u64(&k, d->key);
	return op_put(op, dir->container, &k, record, len);
}

static int dentry_delete(struct op *op, struct inode *dir, uint64_t key)
{
	struct key k = inode_key(dir, KEY_DENTRY);

	op->found.dir = NULL;
	key_add_u64(&k, key);
	return op_delete(op, dir->container, &k);
}

static void dentry_set_child(struct dentry *d, struct inode *dir, struct inode *child,
	const struct irec *rec)
{
	bool own = child->container != dir->container;

	d->ino = child->ino;
	d->generation = rec->generation;
	d->type = (uint8_t)(rec->mode >> 12);
	d->domain = own ? child->container->domain : 0;
	d->container = own ? child->container->id : 0;
}

/* What an entry adds to its directory; @sign is 1 or -1. */
static int account_dir(struct op *op, struct inode *dir, const struct dentry *d, struct irec *dir_rec, int sign)
{
	uint8_t hash[16];
	int r = dentry_hash(op->core, dir, d, hash);

	if (r < 0)
		return r;
	(sign > 0 ? msum_add : msum_sub)(&dir_rec->entries, hash);
	if (d->type == S_IFDIR >> 12)
		dir_rec->nlink += (uint32_t)sign;
	return 0;
}

/* Of several names one that is a message's is remembered: by it the file is taken in. Before the links are counted. */
static void account_place(struct irec *child, const struct inode *dir, uint32_t number, int sign)
{
	if (sign > 0 && (number || !child->number || child->nlink == 0)) {
		child->parent = dir->ino;
		child->number = number;
	} else if (sign < 0 && number == child->number && child->nlink > 1) {
		child->number = 0;
	}
}

/* … and to its child. */
static int account(struct op *op, struct inode *dir, const struct dentry *d, struct irec *dir_rec,
	struct irec *child_rec, int sign)
{
	bool is_dir = S_ISDIR(child_rec->mode);
	int r = account_dir(op, dir, d, dir_rec, sign);

	if (r < 0)
		return r;
	account_place(child_rec, dir,
		dir_rec->flags & INODE_NUMBERED && !is_dir ? name_message_number(d->name, d->name_len) : 0, sign);
	child_rec->nlink += (uint32_t)(is_dir ? 2 * sign : sign);
	return 0;
}

/* Where the name, which @dir does not have, goes: @ret_dentry->key. Marks the first of its chain. */
static int find_room(struct op *op, struct inode *dir, const char *name, size_t len, struct dentry *ret_dentry)
{
	struct dentry first;
	int r = op_find(op, dir, name, len, ret_dentry);

	if (r == 0)
		return -EEXIST;
	if (r != -ENOENT)
		return r;
	if (!ret_dentry->key)
		return -ENOSPC;
	if (!(ret_dentry->key & (ORDINALS - 1)))
		return 0;
	r = dentry_get(op->core, op->txn, dir, ret_dentry->key & ~(uint64_t)(ORDINALS - 1), &first);
	if (r < 0 || first.more)
		return r;
	first.more = true;
	return dentry_put(op, dir, &first);
}

int op_add_entry(struct op *op, struct inode *dir, const char *name, size_t len, struct inode *child)
{
	struct irec *dir_rec = op_stage(op, dir), *child_rec = op_stage(op, child);
	struct dentry d;
	int r;

	if (!dir_rec || !child_rec)
		return -ENOMEM;
	r = find_room(op, dir, name, len, &d);
	if (r < 0)
		return r;
	dentry_set_child(&d, dir, child, child_rec);
	d.more = false;
	d.name_len = len;
	memcpy(d.name, name, len);
	r = dentry_put(op, dir, &d);
	if (r < 0)
		return r;
	dir_rec->size++;
	return account(op, dir, &d, dir_rec, child_rec, 1);
}

/* Takes the record at @d->key out, and moves the last of its chain into the gap. */
static int chain_delete(struct op *op, struct inode *dir, const struct dentry *d)
{
	uint64_t base = d->key & ~(uint64_t)(ORDINALS - 1), last = d->key;
	struct dentry first, moved;
	int r;

	if (!(d->key & HASHED_KEY))
		return dentry_delete(op, dir, d->key);
	first = *d;
	if (d->key != base) {
		r = dentry_get(op->core, op->txn, dir, base, &first);
		if (r < 0)
			return r;
	}
	while (first.more && last + 1 < base + ORDINALS) {
		r = dentry_get(op->core, op->txn, dir, last + 1, &moved);
		if (r == -ENOENT)
			break;
		if (r < 0)
			return r;
		last++;
	}
	if (last != d->key) {
		r = dentry_get(op->core, op->txn, dir, last, &moved);
		if (r < 0)
			return r;
		moved.key = d->key;
		moved.more = d->key == base;
		r = dentry_put(op, dir, &moved);
		if (r < 0)
			return r;
	}
	return dentry_delete(op, dir, last);
}

int op_remove_entry(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode *child)
{
	struct irec *dir_rec = op_stage(op, dir), *child_rec = op_stage(op, child);
	struct dentry d;
	int r;

	if (!dir_rec || !child_rec)
		return -ENOMEM;
	r = op_find(op, dir, name, len, &d);
	if (r == 0 && d.ino != child->ino)
		r = -ESTALE;
	if (r == 0)
		r = chain_delete(op, dir, &d);
	if (r < 0)
		return r;
	dir_rec->size--;
	return account(op, dir, &d, dir_rec, child_rec, -1);
}

int op_take_entry(struct op *op, struct inode *dir, const struct dentry *entry)
{
	struct irec *dir_rec = op_stage(op, dir);
	struct dentry d;
	int r;

	if (!dir_rec)
		return -ENOMEM;
	r = op_find(op, dir, entry->name, entry->name_len, &d);
	if (r == 0)
		r = chain_delete(op, dir, &d);
	if (r < 0)
		return r;
	dir_rec->size--;
	return account_dir(op, dir, &d, dir_rec, -1);
}

int op_give_entry(struct op *op, struct inode *dir, const struct dentry *entry)
{
	struct irec *dir_rec = op_stage(op, dir);
	struct dentry room, d = *entry;
	int r;

	if (!dir_rec)
		return -ENOMEM;
	r = find_room(op, dir, d.name, d.name_len, &room);
	if (r < 0)
		return r;
	d.key = room.key;
	d.more = false;
	r = dentry_put(op, dir, &d);
	if (r < 0)
		return r;
	dir_rec->size++;
	return account_dir(op, dir, &d, dir_rec, 1);
}

int op_replace_entry(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode *old_child, struct inode *new_child)
{
	struct irec *dir_rec = op_stage(op, dir);
	struct irec *old_rec = op_stage(op, old_child), *new_rec = op_stage(op, new_child);
	struct dentry d;
	int r;

	if (!dir_rec || !old_rec || !new_rec)
		return -ENOMEM;
	r = op_find(op, dir, name, len, &d);
	if (r == 0 && d.ino != old_child->ino)
		r = -ESTALE;
	if (r == 0)
		r = account(op, dir, &d, dir_rec, old_rec, -1);
	if (r < 0)
		return r;
	dentry_set_child(&d, dir, new_child, new_rec);
	r = dentry_put(op, dir, &d);
	return r < 0 ? r : account(op, dir, &d, dir_rec, new_rec, 1);
}

int dentry_inode(struct core *core, struct kv_txn *txn, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child)
{
	struct dentry d;
	int r = dentry_find(core, txn, dir, name, len, &d);

	return r < 0 ? r : dentry_child(core, dir, &d, ret_child);
}

int dentry_next_child(struct core *core, struct inode *dir, const struct dentry *d,
	struct inode_scan *scan, struct inode **ret_child)
{
	_cleanup_(container_putp) struct container *own = NULL;
	_cleanup_inode_ struct inode *child = NULL;
	int r;

	if (d->container) {
		r = container_get(core, d->domain, d->container, &own);
		if (r == -ENOENT && dir->at) /* removed since */
			r = container_removed(core, d->domain, d->container, &own);
		if (r < 0)
			return r == -ENOENT ? -EBADMSG : r;
	}
	r = inode_get_next(core, dentry_ino(dir, d), own ? own : dir->container, scan, &child);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r; /* an entry's inode is there, or was taken away */
	if (child->generation != d->generation || child->type >> 12 != d->type)
		return -EBADMSG;
	*ret_child = steal_ptr(child);
	return 0;
}

int dentry_child(struct core *core, struct inode *dir, const struct dentry *d,
	struct inode **ret_child)
{
	return dentry_next_child(core, dir, d, NULL, ret_child);
}

int op_lookup(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child)
{
	struct dentry d;
	int r = op_find(op, dir, name, len, &d);

	return r < 0 ? r : dentry_child(op->core, dir, &d, ret_child);
}
