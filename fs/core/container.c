/*
 * container.c: containers in memory, and the handing out of inode numbers.
 *
 * Container record (KEY_CONTAINER): u8 format (1) | u8 kind | u64 granted | u64 lease_end
 * Lease row (KEY_LEASE, inode field: the run's first number): u8 format (1) | u32 domain |
 * u32 container | u32 blocks. Block counter (KEY_COUNTER): u8 format (1) | u32 granted.
 *
 * Numbers are leased ahead: blocks of 256 to a container, which grants itself LEASE_GRANT numbers at a
 * time in its record before the first of them is used. What was granted and not used before a crash is
 * lost; no number is ever handed out twice. The same holds for blocks and the store's counter of blocks.
 */
#include "fs/core/core_internal.h"

#define CONTAINER_BUCKETS 4096
#define CONTAINER_FORMAT 1
#define LEASE_BLOCK 256
#define LEASE_GRANT 64
#define LEASE_BLOCKS_MAX 1024
#define BLOCK_GRANT 16
#define BLOCK_FIRST 1 /* block 0 holds the numbers of the views */

int container_init(struct core *core)
{
	struct key key = key_make(0, 0, KEY_COUNTER, 0);
	_cleanup_buf_ struct buf value = {0};
	int r;

	core->container_buckets = CONTAINER_BUCKETS;
	core->container_hash = calloc(CONTAINER_BUCKETS, sizeof *core->container_hash);
	if (!core->container_hash)
		return -ENOMEM;
	pthread_mutex_init(&core->lease_lock, NULL);
	pthread_mutex_init(&core->rename_lock, NULL);
	core->next_block = core->granted_block = BLOCK_FIRST;
	r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	if (value.len != 5 || value.data[0] != CONTAINER_FORMAT)
		return -EBADMSG;
	core->next_block = core->granted_block = get_be32(value.data + 1);
	return 0;
}

void container_release(struct core *core)
{
	free(core->container_hash);
	pthread_mutex_destroy(&core->lease_lock);
	pthread_mutex_destroy(&core->rename_lock);
}

void core_set_session_release(struct core *core, void (*release)(void *session))
{
	core->session_release = release;
}

static struct container **bucket(struct core *core, uint32_t id)
{
	return &core->container_hash[id & (core->container_buckets - 1)];
}

static struct container *find_ref(struct core *core, uint32_t id)
{
	for (struct container *c = *bucket(core, id); c; c = c->hash_next)
		if (c->id == id) {
			c->refs++;
			return c;
		}
	return NULL;
}

static void hash_add(struct core *core, struct container *c)
{
	struct container **b = bucket(core, c->id);

	c->hash_next = *b;
	*b = c;
	c->hashed = true;
	core->container_count++;
}

static void hash_remove(struct container *c)
{
	struct container **p = bucket(c->core, c->id);

	while (*p != c)
		p = &(*p)->hash_next;
	*p = c->hash_next;
	c->hashed = false;
	c->core->container_count--;
}

static struct container *container_alloc(struct core *core, uint32_t domain, uint32_t id)
{
	struct container *c = calloc(1, sizeof *c);
	pthread_rwlockattr_t attr;

	if (!c)
		return NULL;
	c->core = core;
	c->id = id;
	c->domain = domain;
	c->refs = 1;
	atomic_store(&c->stamp, atomic_fetch_add(&core->stamp, 1) + 1);
	/* Writers first: a session that is listed all the time must still take messages. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&c->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return c;
}

static void container_free(struct container *c)
{
	if (c->session && c->core->session_release)
		c->core->session_release(c->session);
	pthread_rwlock_destroy(&c->lock);
	free(c);
}

static int container_decode(const struct buf *value, struct container *c)
{
	struct bytes_reader r = bytes_reader(value->data, value->len);

	if (read_u8(&r) != CONTAINER_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	c->kind = read_u8(&r);
	c->ino_granted = read_be64(&r);
	c->lease_end = read_be64(&r);
	c->ino_next = c->ino_granted;
	return bytes_reader_end(&r);
}

int container_get(struct core *core, uint32_t domain, uint32_t id, struct container **ret_container)
{
	struct key key = key_make(domain, id, KEY_CONTAINER, 0);
	_cleanup_buf_ struct buf value = {0};
	struct container *c, *other;
	int r;

	pthread_mutex_lock(&core->cache_lock);
	c = find_ref(core, id);
	pthread_mutex_unlock(&core->cache_lock);
	if (c) {
		*ret_container = c;
		return 0;
	}
	r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);
	if (r < 0)
		return r;
	c = container_alloc(core, domain, id);
	if (!c)
		return -ENOMEM;
	r = container_decode(&value, c);
	if (r < 0) {
		container_free(c);
		return r;
	}
	/*
	 * Nobody changes the record of a container that is not in memory, so a copy that lost the race
	 * is equal to the one that won, unless that one has lived and gone in between: then its grant
	 * has risen, and what we read is too low. Hence the second look at the record, under the lock.
	 */
	pthread_mutex_lock(&core->cache_lock);
	other = find_ref(core, id);
	if (!other) {
		r = kv_get(core->kv, NULL, KV_META, key.bytes, key.len, &value);
		if (r == 0)
			r = container_decode(&value, c);
		if (r == 0)
			hash_add(core, c);
	}
	pthread_mutex_unlock(&core->cache_lock);
	if (other || r < 0)
		container_free(c);
	if (r < 0)
		return r;
	*ret_container = other ? other : c;
	return 0;
}

bool container_is_warm(struct core *core, uint32_t id)
{
	bool warm = false;

	MUTEX_GUARD(&core->cache_lock);
	for (struct container *c = *bucket(core, id); c && !warm; c = c->hash_next)
		warm = c->id == id;
	return warm;
}

int container_removed(struct core *core, uint32_t domain, uint32_t id,
	struct container **ret_container)
{
	struct container *c = container_alloc(core, domain, id);

	if (!c)
		return -ENOMEM;
	c->dead = true;
	*ret_container = c;
	return 0;
}

struct container *container_ref(struct container *c)
{
	if (c) {
		MUTEX_GUARD(&c->core->cache_lock);
		c->refs++;
	}
	return c;
}

void container_put(struct container *c)
{
	bool last;

	if (!c)
		return;
	pthread_mutex_lock(&c->core->cache_lock);
	last = --c->refs == 0;
	if (last && c->hashed)
		hash_remove(c);
	pthread_mutex_unlock(&c->core->cache_lock);
	if (last)
		container_free(c);
}

void container_stamp(struct container *c)
{
	struct core *core = c->core;

	atomic_store(&c->stamp, atomic_fetch_add(&core->stamp, 1) + 1);
	if (atomic_load(&c->noted) || atomic_exchange(&c->noted, true))
		return;
	MUTEX_GUARD(&core->tell_lock);
	if (core->stamped)
		core->stamped(core->stamped_arg, c->id);
}

void core_set_stamped(struct core *core, void (*stamped)(void *arg, uint32_t container), void *arg)
{
	pthread_mutex_lock(&core->tell_lock);
	core->stamped = stamped;
	core->stamped_arg = arg;
	pthread_mutex_unlock(&core->tell_lock);
	MUTEX_GUARD(&core->cache_lock);
	for (size_t i = 0; i < core->container_buckets; i++)
		for (struct container *c = core->container_hash[i]; c; c = c->hash_next)
			atomic_store(&c->noted, false);
}

void container_again(struct core *core, uint32_t id)
{
	MUTEX_GUARD(&core->cache_lock);
	for (struct container *c = *bucket(core, id); c; c = c->hash_next)
		if (c->id == id)
			atomic_store(&c->noted, false);
}

void container_publish(struct container *c)
{
	MUTEX_GUARD(&c->core->cache_lock);

	hash_add(c->core, c);
}

void container_withdraw(struct container *c)
{
	c->dead = true;
	MUTEX_GUARD(&c->core->cache_lock);
	hash_remove(c);
}

static int put_record(struct kv_txn *txn, const struct container *c, uint64_t granted,
	uint64_t lease_end, bool fresh)
{
	struct key key = key_make(c->domain, c->id, KEY_CONTAINER, 0);
	uint8_t value[18], *p = value;

	p = put_u8(put_u8(p, CONTAINER_FORMAT), c->kind);
	p = put_be64(put_be64(p, granted), lease_end);
	return (fresh ? kv_txn_insert : kv_txn_put)(txn, KV_META, key.bytes, key.len, value,
		(size_t)(p - value));
}

static int put_lease(struct kv_txn *txn, const struct container *c, uint64_t first, uint32_t blocks)
{
	struct key key = key_make(0, 0, KEY_LEASE, first);
	uint8_t value[13], *p = value;

	p = put_u8(p, CONTAINER_FORMAT);
	p = put_be32(put_be32(put_be32(p, c->domain), c->id), blocks);
	return kv_txn_insert(txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
}

/* @n blocks of the store's, its counter raised on disk before they are used. */
static int take_blocks(struct core *core, uint32_t n, uint32_t *ret_first)
{
	MUTEX_GUARD(&core->lease_lock);
	struct key key = key_make(0, 0, KEY_COUNTER, 0);

	if (core->next_block > UINT32_MAX - n - BLOCK_GRANT)
		return -ENOSPC;
	if (core->next_block + n > core->granted_block) {
		_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
		uint32_t granted = core->next_block + n + BLOCK_GRANT;
		uint8_t value[5];
		int r = kv_txn_begin(core->kv, &txn);

		put_be32(put_u8(value, CONTAINER_FORMAT), granted);
		if (r == 0)
			r = kv_txn_put(txn, KV_META, key.bytes, key.len, value, sizeof value);
		if (r == 0)
			r = kv_txn_commit(txn, NULL);
		if (r < 0)
			return r;
		core->granted_block = granted;
	}
	*ret_first = core->next_block;
	core->next_block += n;
	return 0;
}

/* Raises the grant, into a new run of blocks where the lease is used up. Commits on its own. */
static int raise_grant(struct op *op, struct container *c)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	uint64_t next = c->ino_next, lease_end = c->lease_end, granted;
	int r = kv_txn_begin(op->core->kv, &txn);

	if (r < 0)
		return r;
	if (next == lease_end) {
		uint64_t had = lease_end - (uint64_t)c->id * LEASE_BLOCK;
		uint32_t first, blocks = (uint32_t)(had / LEASE_BLOCK);

		blocks = blocks < 4 ? 4 : blocks > LEASE_BLOCKS_MAX ? LEASE_BLOCKS_MAX : blocks;
		r = take_blocks(op->core, blocks, &first);
		if (r < 0)
			return r;
		next = (uint64_t)first * LEASE_BLOCK;
		lease_end = next + (uint64_t)blocks * LEASE_BLOCK;
		r = put_lease(txn, c, next, blocks);
		if (r < 0)
			return r;
	}
	granted = next + LEASE_GRANT < lease_end ? next + LEASE_GRANT : lease_end;
	r = put_record(txn, c, granted, lease_end, false);
	if (r == 0)
		r = kv_txn_commit(txn, NULL);
	if (r < 0)
		return r;
	c->ino_next = next;
	c->ino_granted = granted;
	c->lease_end = lease_end;
	return 0;
}

int container_next_ino(struct op *op, struct container *c, uint64_t *ret_ino)
{
	if (c->ino_next == c->ino_granted) {
		int r = raise_grant(op, c);
		if (r < 0)
			return r;
	}
	*ret_ino = c->ino_next++;
	return 0;
}

int container_new(struct op *op, uint32_t domain, uint8_t kind,
	struct container **ret_container)
{
	_cleanup_(container_putp) struct container *c = NULL;
	uint32_t id;
	int r = take_blocks(op->core, 1, &id);

	if (r < 0)
		return r;
	c = container_alloc(op->core, domain, id);
	if (!c)
		return -ENOMEM;
	c->kind = kind;
	c->ino_next = (uint64_t)id * LEASE_BLOCK;
	c->lease_end = c->ino_next + LEASE_BLOCK;
	c->ino_granted = c->ino_next + LEASE_GRANT;
	r = put_lease(op->txn, c, c->ino_next, 1);
	if (r == 0)
		r = put_record(op->txn, c, c->ino_granted, c->lease_end, true);
	if (r < 0)
		return r;
	*ret_container = steal_ptr(c);
	return 0;
}

int lease_find(struct core *core, uint64_t ino, uint32_t *ret_domain, uint32_t *ret_container)
{
	struct key prefix = key_make(0, 0, KEY_LEASE, 0), at = key_make(0, 0, KEY_LEASE, ino);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct bytes_reader reader;
	uint32_t domain, container, blocks;
	const uint8_t *found;
	uint64_t first;
	size_t len;
	int r = kv_iter_open(core->kv, NULL, NULL, KV_META, prefix.bytes, 9, &it);

	if (r < 0)
		return r;
	r = kv_iter_seek_back(it, at.bytes, at.len);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	found = kv_iter_key(it, &len);
	if (len != at.len)
		return -EBADMSG;
	first = (uint64_t)found[9] << 32 | get_be32(found + 10);
	r = kv_iter_value(it, &value);
	if (r < 0)
		return r;
	reader = bytes_reader(value.data, value.len);
	if (read_u8(&reader) != CONTAINER_FORMAT)
		return -EPROTONOSUPPORT;
	domain = read_be32(&reader);
	container = read_be32(&reader);
	blocks = read_be32(&reader);
	if (bytes_reader_end(&reader) < 0)
		return -EBADMSG;
	if (ino >= first + (uint64_t)blocks * LEASE_BLOCK)
		return -ENOENT;
	*ret_domain = domain;
	*ret_container = container;
	return 0;
}
