/*
 * op.c: one operation as one transaction. The contract is in op.h.
 *
 * Commit, in this order: buffered data of the staged inodes goes into the transaction (data_stage), the
 * records are encoded, the batch is committed; only then memory changes: records, facts, caches. Whoever
 * reads an inode waits for its lock, which the op holds from staging to the end, so nobody sees the
 * new state before it is in the log, or the old one after.
 */
#include "fs/core/past.h"
#include "fs/core/pins.h"
#include "kv/log.h"

#define TRIES_AT_ONCE 100
#define TRIES_MAX 10000

void op_begin(struct op *op, struct core *core, const struct cred *who)
{
	memset(op, 0, offsetof(struct op, staged));
	op->core = core;
	if (who)
		op->who = *who;
	gate_wait(&core->gate);
	clock_gettime(CLOCK_REALTIME, &op->now);
}

bool op_again(int r, struct op_tries *tries)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	if (r == -ESTALE)
		return ++tries->moved < TRIES_AT_ONCE;
	if (r != -EAGAIN)
		return false;
	if (++tries->met > TRIES_MAX) {
		log_error("an operation met others %u times and was given up; please report it", TRIES_MAX);
		return false;
	}
	if (tries->met > TRIES_AT_ONCE)
		nanosleep(&pause, NULL);
	return true;
}

static void unlock_containers(struct op *op)
{
	while (op->n_locked) {
		struct container *c = op->locked[--op->n_locked];
		pthread_rwlock_unlock(&c->lock);
		container_put(c);
	}
}

int op_lock(struct op *op, struct inode *const *inodes, unsigned n)
{
	struct container *sorted[OP_CONTAINERS];
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		struct container *c = inodes[i] ? inodes[i]->container : NULL;
		unsigned at = 0;

		if (c && !snapshot_is_present(inodes[i]->ino))
			return -EROFS;

		while (c && at < count && sorted[at]->id < c->id)
			at++;
		if (!c || (at < count && sorted[at] == c))
			continue;
		memmove(sorted + at + 1, sorted + at, (count - at) * sizeof *sorted);
		sorted[at] = c;
		count++;
	}
	for (unsigned i = 0; i < count; i++) {
		op->locked[op->n_locked++] = container_ref(sorted[i]);
		pthread_rwlock_wrlock(&sorted[i]->lock);
		if (sorted[i]->dead) {
			unlock_containers(op);
			return -ESTALE;
		}
	}
	return 0;
}

static struct staged *find_staged(struct op *op, const struct inode *inode)
{
	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].inode == inode)
			return &op->staged[i];
	return NULL;
}

void op_end(struct op *op)
{
	for (unsigned i = 0; i < op->n_staged; i++) {
		struct staged *s = &op->staged[i];
		data_abandon(s->inode);
		s->gone = s->inode->rec.nlink == 0 && !s->fresh;
		pthread_rwlock_unlock(&s->inode->lock);
	}
	unlock_containers(op);
	for (unsigned i = 0; i < op->n_staged; i++) {
		struct staged *s = &op->staged[i];
		uint64_t ino = s->inode->ino;

		blob_unref(s->facts);
		inode_put(s->inode);
		if (s->gone)
			inode_forgotten(op->core, ino);
	}
	op->n_staged = 0;
	inode_put(op->dir);
	inode_put(op->dir2);
	inode_put(op->child);
	inode_put(op->victim);
	op->dir = op->dir2 = op->child = op->victim = NULL;
	container_put(op->fresh_container);
	container_put(op->dead_container);
	op->fresh_container = op->dead_container = NULL;
	if (!op->joined)
		kv_txn_free(op->txn);
	op->txn = NULL;
}

int op_txn(struct op *op)
{
	if (op->core->options.read_only)
		return -EROFS;
	if (op->txn)
		return 0;
	/* In this order, and before the transaction: the pair that op_commit() compares is never too new. */
	op->generation = pins_generation(op->core);
	op->epoch = pins_epoch(op->core);
	return kv_txn_begin(op->core->kv, &op->txn);
}

void op_join(struct op *op, struct op *first)
{
	op->txn = first->txn;
	op->joined = true;
	op->generation = first->generation;
	op->epoch = first->epoch;
	op->now = first->now;
}

struct irec *op_stage(struct op *op, struct inode *inode)
{
	struct staged *s = find_staged(op, inode);

	if (s)
		return &s->rec;
	if (op->n_staged == OP_STAGED)
		return NULL;
	s = &op->staged[op->n_staged++];
	*s = (struct staged){.inode = inode_ref(inode)};
	pthread_rwlock_wrlock(&inode->lock);
	s->rec = inode->rec;
	s->facts = blob_ref(inode->facts);
	return &s->rec;
}

void op_set_facts(struct op *op, struct inode *inode, struct blob *facts)
{
	struct staged *s = find_staged(op, inode);

	if (s) {
		blob_unref(s->facts);
		s->facts = facts;
	} else {
		blob_unref(facts);
	}
}

struct blob *op_facts(struct op *op, struct inode *inode)
{
	struct staged *s = find_staged(op, inode);

	return s ? s->facts : NULL;
}

void op_touch_dir(struct op *op, struct irec *dir)
{
	dir->mtime = dir->ctime = op->now;
}

int op_new_inode(struct op *op, struct container *container, mode_t mode, uint8_t role,
	struct inode **ret_inode)
{
	struct inode *inode;
	struct irec *rec;
	uint64_t ino;
	int r = op_txn(op);

	if (r == 0)
		r = container_next_ino(op, container, &ino);
	if (r < 0)
		return r;
	inode = inode_alloc(op->core, ino, container);
	if (!inode)
		return -ENOMEM;
	rec = op_stage(op, inode);
	inode_put(inode); /* the op holds it */
	if (!rec)
		return -ENOMEM;
	op->staged[op->n_staged - 1].fresh = true;
	rec->mode = (uint32_t)mode;
	rec->role = role;
	rec->uid = op->who.uid;
	rec->gid = op->who.gid;
	kv_random(&rec->generation, sizeof rec->generation);
	rec->atime = rec->mtime = rec->ctime = rec->btime = op->now;
	kv_txn_count(op->txn, container->domain, KV_COUNT_INODES, 1);
	*ret_inode = inode;
	return 0;
}

int op_new_container(struct op *op, struct inode *parent, uint8_t kind, bool new_domain, mode_t mode,
	uint8_t role, struct inode **ret_root)
{
	uint32_t domain = parent->container->domain;
	struct irec *rec;
	int r = op_txn(op);

	if (r == 0 && new_domain)
		r = kv_domain_create(op->core->kv, &domain);
	if (r == 0)
		r = container_new(op, domain, kind, &op->fresh_container);
	if (r == 0)
		r = op_new_inode(op, op->fresh_container, mode, role, ret_root);
	if (r < 0)
		return r;
	rec = op_stage(op, *ret_root);
	rec->flags |= INODE_CONTAINER_ROOT;
	kv_txn_count(op->txn, domain, KV_COUNT_CONTAINERS, 1);
	return 0;
}

int op_drop_inode(struct op *op, struct inode *inode)
{
	struct irec *rec = op_stage(op, inode);
	struct staged *s = find_staged(op, inode);
	bool mapped;
	int r;

	if (!rec)
		return -ENOMEM;
	mapped = rec->body == INODE_MAPPED;
	if (inode->ghost || inode->orphan)
		return 0;
	/*
	 * Whom the kernel knows it may still open: an open() is a look-up and a request of its own. A
	 * directory is a ghost at once, which tells everybody that it takes no entries any more.
	 */
	if (!S_ISDIR(rec->mode) && inode_reachable(inode) && (mapped || rec->xattrs))
		return work_add(op, WORK_ORPHAN, inode, 0, 0);
	s->gone = true;
	kv_txn_count(op->txn, inode->container->domain, KV_COUNT_INODES, -1);
	r = data_delete_small(op, inode, rec);
	if (r == 0)
		r = work_add(op, WORK_REMOVE, inode, 0, 0);
	return r < 0 ? r : xattr_drop_all(op, inode);
}

int op_drop_container(struct op *op, struct container *c)
{
	struct key key = key_make(c->domain, c->id, KEY_CONTAINER, 0);
	int r = kv_txn_delete(op->txn, KV_META, key.bytes, key.len);

	if (r == 0)
		r = pins_leave_place(op, c);
	if (r < 0)
		return r;
	kv_txn_count(op->txn, c->domain, KV_COUNT_CONTAINERS, -1);
	op->dead_container = container_ref(c);
	return 0;
}

static struct key session_key(const struct container *c, uint8_t which)
{
	struct key key = key_make(c->domain, c->id, KEY_SESSION, 0);

	key_add_u8(&key, which);
	return key;
}

/* Row 0 goes with nearly every op. Where it was written since the newest pin the history is not asked. */
static int put_row(struct op *op, struct container *c, const struct key *key, const void *value, size_t len)
{
	uint64_t pin;
	int r = op_pin(op, c, &pin);

	if (r == 0 && c->row_epoch < pin)
		r = op_keep(op, c, key);
	op->row_of = c;
	return r < 0 ? r : kv_txn_put(op->txn, KV_META, key->bytes, key->len, value, len);
}

int op_put_session(struct op *op, struct container *c, uint8_t which, const void *value, size_t len)
{
	struct key key = session_key(c, which);

	if (which == 0)
		return put_row(op, c, &key, value, len);
	if (which < SESSION_KEPT)
		return op_put(op, c, &key, value, len);
	return kv_txn_put(op->txn, KV_META, key.bytes, key.len, value, len);
}

int op_get_session(struct op *op, struct container *c, uint8_t which, struct buf *ret_value)
{
	struct key key = session_key(c, which);

	return kv_txn_get(op->txn, KV_META, key.bytes, key.len, ret_value);
}

int op_delete_session(struct op *op, struct container *c, uint8_t which)
{
	struct key key = session_key(c, which);

	if (which < SESSION_KEPT)
		return op_delete(op, c, &key);
	return kv_txn_delete(op->txn, KV_META, key.bytes, key.len);
}

int session_record_get(struct core *core, struct container *c, uint8_t which, struct buf *ret_value)
{
	struct key key = session_key(c, which);

	return kv_get(core->kv, NULL, KV_META, key.bytes, key.len, ret_value);
}

int session_record_get_at(struct core *core, struct container *c, uint8_t which, uint64_t at,
	struct buf *ret_value)
{
	struct key key = session_key(c, which);

	return past_get(core, &key, at, ret_value);
}

/* Counts inline bytes; chunks are counted where they are written. */
static void count_inline(struct op *op, const struct staged *s, uint64_t counted)
{
	if (counted != s->inode->counted)
		kv_txn_count(op->txn, s->inode->container->domain, KV_COUNT_BYTES,
			(int64_t)(counted - s->inode->counted));
}

static uint64_t inline_bytes(const struct staged *s)
{
	return !s->gone && S_ISREG(s->rec.mode) ? s->inode->inline_data.len : 0;
}

/* Nothing is stored of a ghost, unless it outgrew memory or has records of its own: it becomes an orphan. */
static bool outgrown(const struct staged *s)
{
	return s->rec.body == INODE_MAPPED || s->rec.xattrs > 0;
}

/*
 * An orphan is in no snapshot that does not have it in its history by now: it was kept when its last name
 * went.
 */
static int keep_staged(struct op *op, struct staged *s, const struct key *key)
{
	const struct inode *inode = s->inode;
	uint64_t pin;
	int r;

	if (s->fresh || inode->ghost || inode->orphan)
		return 0;
	r = op_pin(op, inode->container, &pin);
	if (r < 0 || inode->rec.epoch >= pin)
		return r;
	r = op_keep_inode(op, key, inode->rec.epoch);
	s->kept = r > 0;
	return r < 0 ? r : 0;
}

/* Puts one staged inode into the transaction. */
static int put_staged(struct op *op, struct staged *s, struct buf *record)
{
	struct key key = inode_key(s->inode, KEY_INODE);
	int r;

	s->rec.change++;
	s->rec.epoch = op->epoch;
	r = keep_staged(op, s, &key);
	if (r < 0)
		return r;
	if (s->gone) {
		count_inline(op, s, 0);
		if (s->inode->rec.map.stored)
			kv_txn_count(op->txn, s->inode->container->domain, KV_COUNT_BYTES,
				-(int64_t)s->inode->rec.map.stored);
		return s->fresh ? 0 : kv_txn_delete(op->txn, KV_META, key.bytes, key.len);
	}
	if (data_dirty(s->inode)) {
		r = data_stage(op, s->inode, &s->rec);
		if (r < 0)
			return r;
	}
	if (s->inode->ghost) {
		if (!outgrown(s))
			return 0;
		r = work_add(op, WORK_ORPHAN, s->inode, 0, 0);
		if (r < 0)
			return r;
		kv_txn_count(op->txn, s->inode->container->domain, KV_COUNT_INODES, 1);
	}
	count_inline(op, s, inline_bytes(s));
	record->len = 0;
	r = irec_encode(&s->rec, &s->inode->inline_data, s->facts, record);
	if (r < 0)
		return r;
	return (s->fresh ? kv_txn_insert : kv_txn_put)(op->txn, KV_META, key.bytes, key.len,
		record->data, record->len);
}

static void publish_one(struct staged *s)
{
	struct inode *inode = s->inode;

	if (s->kept) {
		inode->kept = inode->rec.map.next_version;
		inode->kept_known = true;
	}
	inode->rec = s->rec;
	blob_unref(inode->facts);
	inode->facts = steal_ptr(s->facts);
	if (s->gone) {
		inode->ghost = true;
		inode->orphan = false;
		inode->counted = 0;
		data_publish(inode);
	} else {
		if (inode->ghost && outgrown(s))
			inode->ghost = false;
		if (!inode->ghost)
			inode->counted = inline_bytes(s);
		inode->orphan = s->rec.nlink == 0 && !inode->ghost;
		data_publish(inode);
	}
	inode->attr_dirty = false;
	if (s->fresh)
		icache_publish(inode);
	if (inode->ghost || inode->orphan)
		inode_pin(inode);
	s->fresh = false;
}

/*
 * The gate is held until memory says what the store does about where containers lie: a snapshot that is taken
 * next relies on it.
 */
static int commit_in_gate(struct op *const *ops, size_t n)
{
	struct op *first = ops[0];
	int r;

	if (!gate_try(&first->core->gate))
		return -EAGAIN;
	/* A snapshot came or went: what was kept, and of which epoch it is, was decided without it. */
	r = first->generation == pins_generation(first->core) ? 0 : -EAGAIN;
	if (r == 0)
		r = kv_txn_commit(first->txn, NULL);
	for (size_t i = 0; r == 0 && i < n; i++) {
		for (unsigned k = 0; k < ops[i]->n_moved; k++)
			pins_moved(first->core, ops[i]->moved[k]);
		if (ops[i]->dead_container)
			ops[i]->dead_container->dead = true;
	}
	gate_leave(&first->core->gate);
	return r;
}

/* Whether publishing this changes more than when it was read. Buffered bytes have changed the record already. */
static bool is_change(const struct staged *s)
{
	const struct timespec *was = &s->inode->rec.ctime, *is = &s->rec.ctime;

	return s->fresh || s->gone || s->inode->data.content || was->tv_sec != is->tv_sec ||
	       was->tv_nsec != is->tv_nsec;
}

static int put_all_staged(struct op *op)
{
	_cleanup_buf_ struct buf record = {0};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < op->n_staged; i++)
		r = op->staged[i].inode->at ? -EROFS : 0;
	for (unsigned i = 0; r == 0 && i < op->n_staged; i++)
		r = put_staged(op, &op->staged[i], &record);
	return r;
}

/* What is new is in the caches before it is in the store, so that nobody can load it from there beside us. */
static void announce(struct op *op)
{
	if (op->fresh_container)
		container_publish(op->fresh_container);
	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].fresh)
			icache_announce(op->staged[i].inode);
}

static void withdraw(struct op *op)
{
	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].fresh)
			icache_withdraw(op->staged[i].inode);
	if (op->fresh_container)
		container_withdraw(op->fresh_container);
}

static void publish(struct op *op)
{
	if (op->row_of)
		op->row_of->row_epoch = op->epoch;
	for (unsigned i = 0; i < op->n_staged; i++) {
		if (is_change(&op->staged[i])) {
			atomic_fetch_add(&op->staged[i].inode->container->touched, 1);
			watch_changed(op->core, op->staged[i].inode->container, op->epoch);
		}
		publish_one(&op->staged[i]);
	}
	if (op->kick)
		worker_kick(op->core);
	if (op->published)
		op->published(op, op->published_arg);
}

static bool any_kept(const struct op *op)
{
	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].kept)
			return true;
	return false;
}

int op_commit_all(struct op *const *ops, size_t n)
{
	bool kept = false;
	int r = op_txn(ops[0]);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = put_all_staged(ops[i]);
		kept |= any_kept(ops[i]);
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		announce(ops[i]);
	if (r == 0) {
		r = commit_in_gate(ops, n);
		for (size_t i = 0; r < 0 && i < n; i++)
			withdraw(ops[i]);
	}
	if (r == -ENOSPC || (r == 0 && kept && kv_disk(ops[0]->core->kv) == KV_DISK_FULL))
		watch_full(ops[0]->core);
	for (size_t i = 0; r == 0 && i < n; i++)
		publish(ops[i]);
	return r;
}

int op_commit(struct op *op)
{
	return op_commit_all(&op, 1);
}
