/*
 * worker.c: deletion in the background, restartable at any point.
 *
 * Work row (KEY_WORK in domain 0, container 0; inode, u64 sequence):
 *   u8 format (1) | u8 kind | u32 domain | u32 container | u64 from_chunk | u64 max_version
 *   | u64 min_version, where it is not 0
 * sequence: 0 for what concerns the whole inode (ORPHAN, then REMOVE), the version for TAIL, the domain
 * for DOMAIN (inode 0), 2^63 and the id for SWEEP (inode 0). Versions below min_version are a snapshot's.
 *
 * ORPHAN   an unlinked inode that someone still has open: its record and data are kept. When the last
 *          reference goes, or at the next start, the record is deleted and the row becomes REMOVE.
 * REMOVE   delete all chunks and map pages of the inode; there is no inode record any more.
 * TAIL     delete the chunks cut off by a truncation.
 * DOMAIN   a user's directory was removed: delete what is left below the domain, then its key, once no
 *          snapshot needs any of it.
 * SWEEP    a snapshot of the container was dropped: free what it alone held. from_chunk 1: nothing below the
 *          place has a container of its own.
 */
#include "fs/core/past.h"
#include "fs/core/sweep.h"

#include "kv/log.h"

#define WORK_FORMAT 1
#define ROWS_MAX 4096	/* of one pass */
#define WORK_BUDGET 256 /* records deleted in one transaction */
#define RETRY_SECONDS 5	/* after an error: a disk that was full or failed may be well again */

struct worker {
	struct core *core;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake, idle;
	bool kicked, busy, stop;
	_Atomic bool leftover; /* an orphan could not be finished: the next pass does it */
};

struct work {
	uint64_t ino, sequence;
	uint8_t kind;
	uint32_t domain, container;
	uint64_t from_chunk, min_version, max_version;
};

static struct key work_key(uint64_t ino, uint64_t sequence)
{
	struct key key = key_make(0, 0, KEY_WORK, ino);

	key_add_u64(&key, sequence);
	return key;
}

static int work_put(struct kv_txn *txn, const struct work *w)
{
	struct key key = work_key(w->ino, w->sequence);
	uint8_t value[34], *p = value;

	p = put_u8(put_u8(p, WORK_FORMAT), w->kind);
	p = put_be32(put_be32(p, w->domain), w->container);
	p = put_be64(put_be64(p, w->from_chunk), w->max_version);
	if (w->min_version)
		p = put_be64(p, w->min_version);
	return kv_txn_put(txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
}

int work_add(struct op *op, enum work_kind kind, struct inode *inode, uint64_t from_chunk,
	uint64_t max_version)
{
	struct work w = {.ino = inode->ino, .sequence = kind == WORK_TAIL ? max_version : 0,
		.kind = (uint8_t)kind, .domain = inode->container->domain,
		.container = inode->container->id, .from_chunk = from_chunk,
		.max_version = max_version};

	int r = kind == WORK_ORPHAN ? 0 : op_kept_version(op, inode, &w.min_version);

	op->kick = op->kick || kind != WORK_ORPHAN;
	return r < 0 ? r : work_put(op->txn, &w);
}

int work_add_sweep(struct kv_txn *txn, uint64_t id, uint32_t domain, uint32_t container, bool alone)
{
	struct work w = {.sequence = 1ull << 63 | id, .kind = WORK_SWEEP, .domain = domain,
		.container = container, .from_chunk = alone};

	return work_put(txn, &w);
}

int work_add_domain(struct op *op, uint32_t domain)
{
	struct work w = {.sequence = domain, .kind = WORK_DOMAIN, .domain = domain};

	op->kick = true;
	return work_put(op->txn, &w);
}

static int work_read(struct kv_iter *it, struct work *ret_work)
{
	_cleanup_buf_ struct buf value = {0};
	struct bytes_reader r;
	struct work w;
	size_t len;
	const uint8_t *key = kv_iter_key(it, &len);
	int error;

	if (len != KEY_PREFIX + 8)
		return -EBADMSG;
	w.ino = (uint64_t)key[9] << 32 | get_be32(key + 10);
	w.sequence = get_be64(key + KEY_PREFIX);
	error = kv_iter_value(it, &value);
	if (error < 0)
		return error;
	r = bytes_reader(value.data, value.len);
	if (read_u8(&r) != WORK_FORMAT)
		return -EPROTONOSUPPORT;
	w.kind = read_u8(&r);
	w.domain = read_be32(&r);
	w.container = read_be32(&r);
	w.from_chunk = read_be64(&r);
	w.max_version = read_be64(&r);
	w.min_version = value.len > 26 ? read_be64(&r) : 0;
	if (bytes_reader_end(&r) < 0)
		return -EBADMSG;
	*ret_work = w;
	return 0;
}

static int work_drop(struct kv_txn *txn, uint64_t ino, uint64_t sequence)
{
	struct key key = work_key(ino, sequence);

	return kv_txn_delete(txn, KV_META, key.bytes, key.len);
}

/* Deletes the record and xattrs of an orphan; its row goes, or becomes REMOVE where there is much data. */
static int orphan_done(struct core *core, struct inode *inode)
{
	_cleanup_(op_end) struct op op;
	int r;

	op_begin(&op, core, NULL);
	r = op_txn(&op);
	if (r < 0)
		return r;
	kv_txn_set_shrinking(op.txn);
	if (!op_stage(&op, inode))
		return -ENOMEM;
	if (!inode->orphan)
		return 0;
	/*
	 * At the start others open and unlink already, and a look-up may have found it as it was
	 * forgotten: it waits for them. Their forgetting waits for our lock, and finds the pin.
	 */
	if (inode_reachable(inode)) {
		inode_pin(inode);
		return 0;
	}
	op.staged[0].gone = true;
	r = data_delete_small(&op, inode, &op.staged[0].rec);
	if (r == 0)
		r = work_add(&op, WORK_REMOVE, inode, 0, 0);
	else if (r > 0)
		r = work_drop(op.txn, inode->ino, 0);
	if (r == 0)
		r = xattr_drop_all(&op, inode);
	if (r < 0)
		return r;
	kv_txn_count(op.txn, inode->container->domain, KV_COUNT_INODES, -1);
	return op_commit(&op);
}

int work_orphan_done(struct core *core, struct inode *inode)
{
	int r = OP_RETRY(orphan_done(core, inode));

	if (r < 0 && core->worker)
		core->worker->leftover = true;
	return r;
}

/* Unless it has become a row of another kind in the meantime. */
static int work_delete(struct core *core, const struct work *w)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct key key = work_key(w->ino, w->sequence);
	int r = kv_txn_begin(core->kv, &txn);

	if (r == 0)
		r = kv_txn_get(txn, KV_META, key.bytes, key.len, &value);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (value.len < 2 || value.data[1] != w->kind)
		return 0;
	kv_txn_set_shrinking(txn);
	r = work_drop(txn, w->ino, w->sequence);
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

/* An orphan that a start found. -ENOENT: it has no record. */
static int finish_orphan(struct core *core, const struct work *w)
{
	_cleanup_(container_putp) struct container *c = NULL;
	_cleanup_inode_ struct inode *inode = NULL;
	int r = container_get(core, w->domain, w->container, &c);

	if (r == -ENOENT) /* removed while the file was open */
		r = container_removed(core, w->domain, w->container, &c);
	if (r == 0)
		r = inode_get(core, w->ino, c, &inode);
	return r < 0 ? r : work_orphan_done(core, inode);
}

/* Up to WORK_BUDGET records of a domain. 1: there may be more. */
static int delete_domain_records(struct core *core, uint32_t domain, enum kv_family family)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint8_t prefix[4];
	unsigned n = 0;
	int r = kv_txn_begin(core->kv, &txn);

	put_be32(prefix, domain);
	if (r == 0)
		r = kv_iter_open(core->kv, NULL, NULL, family, prefix, sizeof prefix, &it);
	if (r < 0)
		return r;
	kv_txn_set_shrinking(txn);
	for (r = kv_iter_seek(it, NULL, 0); r > 0 && n < WORK_BUDGET; r = kv_iter_next(it), n++) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		int error = kv_txn_delete(txn, family, key, len);
		if (error < 0)
			return error;
	}
	if (r >= 0 && n > 0)
		r = kv_txn_commit(txn, NULL);
	return r < 0 ? r : n == WORK_BUDGET;
}

static int remove_domain(struct core *core, uint32_t domain)
{
	int r, more;

	do {
		more = delete_domain_records(core, domain, KV_META);
		if (more < 0)
			return more;
		r = delete_domain_records(core, domain, KV_DATA);
		if (r < 0)
			return r;
	} while (more || r);
	r = kv_domain_destroy(core->kv, domain);
	return r == -ENOENT ? 0 : r;
}

/* 1: done, the row can go. 0: not now. */
static int work_do(struct worker *worker, const struct work *w, bool starting)
{
	struct core *core = worker->core;
	int r;

	switch (w->kind) {
	case WORK_ORPHAN:
		if (!starting)
			return 0;
		r = finish_orphan(core, w);
		return r == -ENOENT ? 1 : r;
	case WORK_REMOVE:
	case WORK_TAIL:
		do
			r = data_delete_records(core, w->domain, w->container, w->ino,
				w->from_chunk, w->min_version,
				w->kind == WORK_TAIL ? w->max_version : UINT64_MAX, WORK_BUDGET);
		while (r > 0 && !__atomic_load_n(&worker->stop, __ATOMIC_RELAXED));
		return r < 0 ? r : r == 0;
	case WORK_DOMAIN:
		r = remove_domain(core, w->domain);
		return r < 0 ? r : 1;
	case WORK_SWEEP:
		/* The row is there a moment before the snapshot leaves memory: a sweep then would keep all of it. */
		pthread_mutex_lock(&core->snapshot_lock);
		pthread_mutex_unlock(&core->snapshot_lock);
		return sweep_run(core, w->domain, w->container, w->from_chunk == 1, &worker->stop);
	default:
		return -EBADMSG;
	}
}

static int collect(struct core *core, struct work **ret_rows, size_t *ret_n)
{
	struct key prefix = key_make(0, 0, KEY_WORK, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_free_ struct work *rows = NULL;
	size_t n = 0, cap = 0;
	int error, bad = 0, r = kv_iter_open(core->kv, NULL, NULL, KV_META, prefix.bytes, 9, &it);

	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0 && n < ROWS_MAX; r = kv_iter_next(it)) {
		if (n == cap) {
			struct work *more = realloc(rows, (cap = cap ? cap * 2 : 64) * sizeof *rows);
			if (!more)
				return -ENOMEM;
			rows = more;
		}
		error = work_read(it, &rows[n]);
		if (error == 0)
			n++;
		else
			bad = error; /* the others are done all the same */
	}
	*ret_rows = steal_ptr(rows);
	*ret_n = n;
	return r < 0 ? r : bad;
}

static bool domain_has_orphan(const struct work *rows, size_t n, uint32_t domain)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].kind == WORK_ORPHAN && rows[i].domain == domain)
			return true;
	return false;
}

/*
 * One pass over the rows. 1: something was done, so look again. *@starting: orphans are leftovers, to be
 * finished; it ends when all of them had their turn.
 */
static int pass(struct worker *worker, bool *starting)
{
	_cleanup_free_ struct work *rows = NULL;
	size_t n = 0;
	int did = 0, error = collect(worker->core, &rows, &n);

	for (size_t i = 0; i < n && !__atomic_load_n(&worker->stop, __ATOMIC_RELAXED); i++) {
		int r;

		if (rows[i].kind == WORK_DOMAIN && (domain_has_orphan(rows, n, rows[i].domain) ||
							   sweep_domain_kept(worker->core, rows[i].domain)))
			continue;
		r = work_do(worker, &rows[i], *starting);
		if (r == 1)
			r = work_delete(worker->core, &rows[i]);
		if (r < 0 && r != -EAGAIN)
			error = r; /* a damaged one does not keep the others from their turn */
		did |= rows[i].kind != WORK_ORPHAN || *starting;
	}
	if (error == 0 && n < ROWS_MAX)
		*starting = false;
	return error < 0 ? error : did;
}

/* With the lock held: until there is work, or the time to try again what failed. */
static void wait_for_work(struct worker *w, bool failed)
{
	struct timespec until;

	if (!failed) {
		pthread_cond_wait(&w->wake, &w->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += RETRY_SECONDS;
	w->kicked = pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT || w->kicked;
}

static void *work_thread(void *arg)
{
	struct worker *w = arg;
	bool starting = true;
	int failed = 0;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		int r;

		if (!w->kicked) {
			w->busy = false;
			pthread_cond_broadcast(&w->idle);
			wait_for_work(w, failed < 0 && failed != -EBADMSG);
			continue;
		}
		w->kicked = false;
		w->busy = true;
		pthread_mutex_unlock(&w->lock);
		if (atomic_exchange(&w->leftover, false))
			starting = true;
		r = pass(w, &starting);
		if (r < 0 && r != failed)
			log_error("background deletion: %s", strerror(-r));
		failed = r < 0 ? r : 0;
		pthread_mutex_lock(&w->lock);
		w->kicked = w->kicked || r > 0;
	}
	w->busy = false;
	pthread_cond_broadcast(&w->idle);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int worker_start(struct core *core)
{
	pthread_condattr_t monotonic;
	struct worker *w;

	if (core->options.read_only)
		return 0;
	w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->core = core;
	w->kicked = true;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&w->idle, NULL);
	if (pthread_create(&w->thread, NULL, work_thread, w) != 0) {
		free(w);
		return -EAGAIN;
	}
	core->worker = w;
	return 0;
}

void worker_kick(struct core *core)
{
	struct worker *w = core->worker;

	if (!w)
		return;
	MUTEX_GUARD(&w->lock);
	w->kicked = true;
	pthread_cond_signal(&w->wake);
}

void core_settle(struct core *core)
{
	struct worker *w = core->worker;

	if (!w)
		return;
	MUTEX_GUARD(&w->lock);
	while (!w->stop && (w->kicked || w->busy))
		pthread_cond_wait(&w->idle, &w->lock);
}

void worker_stop(struct core *core)
{
	struct worker *w = core->worker;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	__atomic_store_n(&w->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_cond_destroy(&w->idle);
	pthread_mutex_destroy(&w->lock);
	free(steal_ptr(core->worker));
}
