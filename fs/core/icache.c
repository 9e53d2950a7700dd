/*
 * icache.c: inodes in memory, by number.
 *
 * An inode is found in the hash while anyone refers to it, and for a while after: the least recently used
 * of the unreferenced ones leave first, when they are too many or take more than UNUSED_BYTES. It is loaded
 * by whoever asks first: the object is hashed as INODE_LOADING with its lock write-held, so that nobody can
 * load a second, older copy beside an op that changes it; the others wait for the lock. So is a new one from
 * before the commit that makes it on: who scans the store, or is told of the change, may be quicker with its
 * number than the op. Ghosts and orphans
 * are pinned: they hold a reference of their own until neither the kernel nor an open file can reach them.
 */
#include "fs/core/chunk.h"
#include "fs/core/past.h"

#define ICACHE_BUCKETS_MIN 4096
#define UNUSED_BYTES (8u << 20)

int icache_init(struct core *core)
{
	pthread_mutex_init(&core->cache_lock, NULL);
	core->inode_buckets = ICACHE_BUCKETS_MIN;
	core->inode_hash = calloc(core->inode_buckets, sizeof *core->inode_hash);
	core->nodes = node_table_new();
	return core->inode_hash && core->nodes ? 0 : -ENOMEM;
}

static struct inode **bucket(struct core *core, uint64_t ino)
{
	return &core->inode_hash[(ino ^ ino >> 17) & (core->inode_buckets - 1)];
}

static void grow(struct core *core)
{
	size_t old_buckets = core->inode_buckets;
	struct inode **old = core->inode_hash, **hash;

	if (core->inode_count < old_buckets * 2)
		return;
	hash = calloc(old_buckets * 4, sizeof *hash);
	if (!hash)
		return;
	core->inode_hash = hash;
	core->inode_buckets = old_buckets * 4;
	for (size_t i = 0; i < old_buckets; i++)
		for (struct inode *in = old[i], *next; in; in = next) {
			struct inode **b = bucket(core, in->ino);
			next = in->hash_next;
			in->hash_next = *b;
			*b = in;
		}
	free(old);
}

static void hash_add(struct core *core, struct inode *in)
{
	struct inode **b;

	grow(core);
	b = bucket(core, in->ino);
	in->hash_next = *b;
	*b = in;
	in->hashed = true;
	core->inode_count++;
}

static void hash_remove(struct core *core, struct inode *in)
{
	struct inode **p = bucket(core, in->ino);

	if (!in->hashed)
		return;
	while (*p != in)
		p = &(*p)->hash_next;
	*p = in->hash_next;
	in->hashed = false;
	core->inode_count--;
}

/* Of the heap; of an unused inode it does not change. */
static size_t inode_bytes(const struct inode *in)
{
	return sizeof *in + in->inline_data.cap + (in->facts ? in->facts->len : 0);
}

static void lru_remove(struct core *core, struct inode *in)
{
	*(in->lru_prev ? &in->lru_prev->lru_next : &core->lru_head) = in->lru_next;
	*(in->lru_next ? &in->lru_next->lru_prev : &core->lru_tail) = in->lru_prev;
	in->lru_prev = in->lru_next = NULL;
	core->inode_unused--;
	core->inode_unused_bytes -= inode_bytes(in);
}

static void lru_append(struct core *core, struct inode *in)
{
	in->lru_prev = core->lru_tail;
	in->lru_next = NULL;
	*(core->lru_tail ? &core->lru_tail->lru_next : &core->lru_head) = in;
	core->lru_tail = in;
	core->inode_unused++;
	core->inode_unused_bytes += inode_bytes(in);
}

/* Those that leave, by lru_next. */
static struct inode *lru_trim(struct core *core)
{
	struct inode *victims = NULL;

	while (core->inode_unused > core->options.inodes || core->inode_unused_bytes > UNUSED_BYTES) {
		struct inode *in = core->lru_head;

		lru_remove(core, in);
		hash_remove(core, in);
		in->lru_next = victims;
		victims = in;
	}
	return victims;
}

static struct inode *find_ref(struct core *core, uint64_t ino)
{
	for (struct inode *in = *bucket(core, ino); in; in = in->hash_next)
		if (in->ino == ino) {
			if (in->refs++ == 0)
				lru_remove(core, in);
			return in;
		}
	return NULL;
}

static void inode_free(struct inode *in)
{
	data_drop(in);
	container_put(in->container);
	blob_unref(in->facts);
	buf_release(&in->inline_data);
	pthread_rwlock_destroy(&in->lock);
	free(in);
}

struct inode *inode_alloc(struct core *core, uint64_t ino, struct container *container)
{
	struct inode *in = calloc(1, sizeof *in);

	if (!in)
		return NULL;
	in->ino = ino;
	in->core = core;
	in->container = container_ref(container);
	in->refs = 1;
	pthread_rwlock_init(&in->lock, NULL);
	return in;
}

void inode_settle(struct inode *inode)
{
	inode->type = inode->rec.mode & S_IFMT;
	inode->generation = inode->rec.generation;
	inode->numbered = inode->rec.flags & INODE_NUMBERED;
}

void icache_announce(struct inode *inode)
{
	inode->state = INODE_LOADING;
	MUTEX_GUARD(&inode->core->cache_lock);
	hash_add(inode->core, inode);
}

void icache_publish(struct inode *inode)
{
	inode_settle(inode);
	inode->state = 0;
}

void icache_withdraw(struct inode *inode)
{
	inode->state = -ENOENT;
	MUTEX_GUARD(&inode->core->cache_lock);
	hash_remove(inode->core, inode);
}

struct inode *inode_ref(struct inode *inode)
{
	if (inode) {
		MUTEX_GUARD(&inode->core->cache_lock);
		inode->refs++;
	}
	return inode;
}

void inode_put(struct inode *inode)
{
	struct inode *victims = NULL;
	struct core *core;

	if (!inode)
		return;
	core = inode->core;
	pthread_mutex_lock(&core->cache_lock);
	if (--inode->refs == 0) {
		if (!inode->hashed) {
			victims = inode;
		} else {
			lru_append(core, inode);
			victims = lru_trim(core);
		}
	}
	pthread_mutex_unlock(&core->cache_lock);
	for (struct inode *next; victims; victims = next) {
		next = victims->lru_next;
		inode_free(victims);
	}
}

struct inode *inode_peek(struct core *core, uint64_t ino)
{
	MUTEX_GUARD(&core->cache_lock);

	return find_ref(core, ino);
}

/* Fills a new object from its record; its lock is held. */
static int load(struct inode *in, struct inode_scan *scan)
{
	struct key key = inode_key(in, KEY_INODE);
	_cleanup_buf_ struct buf record = {0};
	int r = 0;

	if (!scan || !inode_scan_get(scan, in, &record))
		r = past_get(in->core, &key, in->at, &record);
	if (r < 0)
		return r;
	r = irec_decode(record.data, record.len, &in->rec, &in->inline_data, &in->facts);
	if (r < 0)
		return r;
	if (in->at) {
		r = past_settle(in);
		if (r < 0)
			return r;
	}
	inode_settle(in);
	in->counted = in->rec.body == INODE_TARGET ? 0 : in->inline_data.len;
	if (in->rec.nlink == 0)
		in->orphan = true;
	return 0;
}

/* Waits until a found object is loaded; consumes the reference on failure. */
static int found(struct inode *in, struct inode **ret_inode)
{
	int state = in->state;

	if (state == INODE_LOADING) {
		pthread_rwlock_rdlock(&in->lock);
		state = in->state;
		pthread_rwlock_unlock(&in->lock);
	}
	if (state < 0) {
		inode_put(in);
		return state;
	}
	*ret_inode = in;
	return 0;
}

static int inode_container(struct core *core, uint64_t ino, struct container *hint,
	struct container **ret_container)
{
	uint32_t domain, id;
	int r;

	if (hint) {
		*ret_container = container_ref(hint);
		return 0;
	}
	r = lease_find(core, snapshot_present_ino(ino), &domain, &id);
	if (r == 0)
		r = container_get(core, domain, id, ret_container);
	if (r == -ENOENT && snapshot_is_past(ino)) /* removed since */
		r = container_removed(core, domain, id, ret_container);
	return r;
}

int inode_get_next(struct core *core, uint64_t ino, struct container *container, struct inode_scan *scan,
	struct inode **ret_inode)
{
	_cleanup_(container_putp) struct container *c = NULL;
	struct inode *in, *other;
	uint64_t at = 0;
	int r;

	if (snapshot_is_dir(ino))
		return snapdir_inode(core, ino, ret_inode);
	r = snapshot_is_past(ino) ? past_open(core, ino, &at) : 0;
	if (r < 0)
		return r;
	other = inode_peek(core, ino);
	if (other)
		return found(other, ret_inode);
	r = inode_container(core, ino, container, &c);
	if (r < 0)
		return r;
	in = inode_alloc(core, ino, c);
	if (!in)
		return -ENOMEM;
	in->state = INODE_LOADING;
	in->at = at;
	pthread_rwlock_wrlock(&in->lock);
	pthread_mutex_lock(&core->cache_lock);
	other = find_ref(core, ino);
	if (!other)
		hash_add(core, in);
	pthread_mutex_unlock(&core->cache_lock);
	if (other) {
		pthread_rwlock_unlock(&in->lock);
		inode_put(in);
		return found(other, ret_inode);
	}
	r = load(in, scan);
	if (r < 0) {
		pthread_mutex_lock(&core->cache_lock);
		hash_remove(core, in);
		pthread_mutex_unlock(&core->cache_lock);
	}
	in->state = r;
	pthread_rwlock_unlock(&in->lock);
	if (r < 0) {
		inode_put(in);
		return r;
	}
	*ret_inode = in;
	return 0;
}

int inode_get(struct core *core, uint64_t ino, struct container *container, struct inode **ret_inode)
{
	return inode_get_next(core, ino, container, NULL, ret_inode);
}

bool inode_any_untaken(struct core *core)
{
	MUTEX_GUARD(&core->cache_lock);

	for (size_t i = 0; i < core->inode_buckets; i++)
		for (struct inode *in = core->inode_hash[i]; in; in = in->hash_next)
			if (in->untaken && in->rec.nlink > 0)
				return true;
	return false;
}

bool inode_is_dir(const struct inode *inode)
{
	return S_ISDIR(inode->type);
}

void inode_pin(struct inode *inode)
{
	MUTEX_GUARD(&inode->core->cache_lock);

	if (!inode->pinned && inode->hashed) { /* else it is on its way out (inode_forgotten()) */
		inode->pinned = true;
		inode->refs++;
	}
}

bool inode_reachable(const struct inode *inode)
{
	return inode->data.opens > 0 || node_known(inode->core->nodes, inode->ino);
}

void inode_forgotten(struct core *core, uint64_t ino)
{
	_cleanup_inode_ struct inode *in = inode_peek(core, ino);
	bool last, orphan;

	if (!in)
		return;
	pthread_rwlock_rdlock(&in->lock);
	orphan = in->orphan;
	last = (in->ghost || orphan) && !inode_reachable(in);
	pthread_rwlock_unlock(&in->lock);
	if (!last)
		return;
	pthread_mutex_lock(&core->cache_lock);
	last = in->pinned;
	in->pinned = false;
	if (last) {
		/* An orphan stays to be found until its record is deleted: nobody loads it anew. */
		if (!orphan)
			hash_remove(core, in);
		in->refs--; /* the pin; ours keeps it alive */
	}
	pthread_mutex_unlock(&core->cache_lock);
	if (!last)
		return;
	pthread_rwlock_wrlock(&in->lock);
	if (!inode_reachable(in))
		data_forget(in);
	pthread_rwlock_unlock(&in->lock);
	if (orphan)
		work_orphan_done(core, in);
}

void core_forget(struct core *core, uint64_t ino, uint64_t nlookup)
{
	if (node_remove(core->nodes, ino, nlookup) == 0)
		inode_forgotten(core, ino);
}

void core_bound_known(struct core *core, size_t most, void (*crowded)(void *arg), void *arg)
{
	node_bound(core->nodes, crowded ? most : 0, crowded, arg);
}

size_t core_known_surplus(struct core *core)
{
	return node_surplus(core->nodes);
}

size_t core_known_oldest(struct core *core, uint64_t *ret_inos, size_t max)
{
	return node_oldest(core->nodes, ret_inos, max);
}

void inode_stat(const struct inode *inode, struct stat *ret_st)
{
	const struct irec *rec = &inode->rec;
	struct stat st = {
		.st_ino = inode->ino,
		.st_mode = rec->mode,
		.st_nlink = rec->nlink,
		.st_uid = rec->uid,
		.st_gid = rec->gid,
		.st_rdev = rec->rdev,
		.st_size = S_ISDIR(rec->mode) ? 4096 : (off_t)rec->size,
		.st_blksize = 1 << CHUNK_SHIFT,
		.st_atim = rec->atime,
		.st_mtim = rec->mtime,
		.st_ctim = rec->ctime,
	};

	if (S_ISREG(rec->mode))
		st.st_blocks = (blkcnt_t)((data_stored(inode) + 511) / 512);
	*ret_st = st;
}

void icache_release(struct core *core)
{
	for (size_t i = 0; i < core->inode_buckets && core->inode_hash; i++)
		for (struct inode *in = core->inode_hash[i], *next; in; in = next) {
			next = in->hash_next;
			inode_free(in);
		}
	free(core->inode_hash);
	node_table_free(core->nodes);
	pthread_mutex_destroy(&core->cache_lock);
}
