/*
 * One rwlock over sorted arrays. A handle (struct kv_engine) belongs to the life of the store in
 * which it was opened: after a crash it is dead, and only answers -EIO.
 */
#include "kv/engine/memory.h"

#include "kv/bytes.h"
#include "kv/engine/memory_store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

struct kv_memory {
	pthread_rwlock_t lock; /* guards all but the atomics */
	struct memory_family families[KV_FAMILIES];
	uint64_t batch, synced;
	unsigned life; /* counts crashes */
	struct kv_engine_view *views;
	_Atomic unsigned calls[KV_MEMORY_CALLS], fail_at[KV_MEMORY_CALLS];
	_Atomic int fail_error[KV_MEMORY_CALLS], fail_on[KV_MEMORY_CALLS];
	_Atomic unsigned sync_microseconds;
	_Atomic bool breaks;
	_Atomic int fail_after;
	struct kv_write *late; /* what keep_late() kept */
	size_t late_n;
};

struct kv_engine {
	struct kv_memory *memory;
	unsigned life;
	bool owned, read_only;
};

struct kv_engine_view {
	struct kv_engine_view *next, **at;
	uint64_t batch;
};

struct kv_engine_iter {
	struct kv_engine *engine;
	struct kv_engine_view *view; /* its own, where none was given */
	enum kv_family family;
	uint64_t batch;
	bool valid;
	uint8_t prefix[KV_KEY_MAX], key[KV_KEY_MAX];
	size_t prefix_len, key_len;
	struct buf value;
};

struct kv_memory *kv_memory_new(void)
{
	struct kv_memory *m = calloc(1, sizeof *m);

	if (m)
		pthread_rwlock_init(&m->lock, NULL);
	return m;
}

void kv_memory_free(struct kv_memory *m)
{
	if (!m)
		return;
	for (int f = 0; f < KV_FAMILIES; f++)
		memory_family_release(&m->families[f]);
	pthread_rwlock_destroy(&m->lock);
	free(m);
}

void kv_memory_fail(struct kv_memory *m, enum kv_memory_call call, unsigned nth, int error)
{
	atomic_store(&m->fail_error[call], error);
	atomic_store(&m->fail_at[call], nth ? atomic_load(&m->calls[call]) + nth : 0);
}

unsigned kv_memory_calls(struct kv_memory *m, enum kv_memory_call call)
{
	return atomic_load(&m->calls[call]);
}

void kv_memory_slow_sync(struct kv_memory *m, unsigned microseconds)
{
	atomic_store(&m->sync_microseconds, microseconds);
}

void kv_memory_fail_on(struct kv_memory *m, enum kv_memory_call call, int error)
{
	atomic_store(&m->fail_on[call], error);
}

void kv_memory_fail_after(struct kv_memory *m, int error)
{
	atomic_store(&m->fail_after, error);
}

void kv_memory_lose(struct kv_memory *m)
{
	pthread_rwlock_wrlock(&m->lock);
	for (int f = 0; f < KV_FAMILIES; f++)
		memory_roll_back(&m->families[f], m->synced);
	m->batch = m->synced;
	pthread_rwlock_unlock(&m->lock);
}

void kv_memory_breaks(struct kv_memory *m, bool breaks)
{
	atomic_store(&m->breaks, breaks);
}

static int called(struct kv_memory *m, enum kv_memory_call call)
{
	unsigned n = atomic_fetch_add(&m->calls[call], 1) + 1;

	return n == atomic_load(&m->fail_at[call]) ? atomic_load(&m->fail_error[call])
						    : atomic_load(&m->fail_on[call]);
}

void kv_memory_crash(struct kv_memory *m, bool power_loss)
{
	pthread_rwlock_wrlock(&m->lock);
	m->life++;
	if (power_loss) {
		for (int f = 0; f < KV_FAMILIES; f++)
			memory_roll_back(&m->families[f], m->synced);
		m->batch = m->synced;
	}
	pthread_rwlock_unlock(&m->lock);
}

int kv_memory_peek(struct kv_memory *m, enum kv_family family, const void *key, size_t key_len,
	struct buf *ret_value)
{
	const struct memory_family *f = &m->families[family];
	const struct memory_version *v = NULL;
	bool found;
	size_t i;
	int r = -ENOENT;

	pthread_rwlock_rdlock(&m->lock);
	i = memory_find(f, key, key_len, &found);
	if (found)
		v = memory_version_at(f->records[i], m->batch);
	if (v)
		r = buf_set(ret_value, v->value, v->len);
	pthread_rwlock_unlock(&m->lock);
	return r;
}

/* Under the lock. The oldest state that may still be asked for. */
static uint64_t oldest_needed(const struct kv_memory *m)
{
	uint64_t oldest = m->synced;

	for (const struct kv_engine_view *v = m->views; v; v = v->next)
		if (v->batch < oldest)
			oldest = v->batch;
	return oldest;
}

int kv_memory_poke(struct kv_memory *m, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len)
{
	int r;

	pthread_rwlock_wrlock(&m->lock);
	r = memory_set(
		&m->families[family], key, key_len, value, value_len, m->batch, oldest_needed(m));
	pthread_rwlock_unlock(&m->lock);
	return r;
}

static void apply_late(struct kv_memory *m);

static int memory_open(const char *path, const struct kv_options *options, bool read_only,
	struct kv_engine **ret_engine)
{
	_cleanup_free_ struct kv_engine *e = calloc(1, sizeof *e);
	_cleanup_free_ char *file = NULL;
	int r;

	if (!e || asprintf(&file, "%s/records", path) < 0)
		return -ENOMEM;
	e->memory = options->engine_arg;
	e->owned = !e->memory;
	e->read_only = read_only;
	if (e->owned)
		e->memory = kv_memory_new();
	if (!e->memory)
		return -ENOMEM;
	if (e->owned) {
		r = memory_load(e->memory->families, file);
		if (r < 0) {
			kv_memory_free(e->memory);
			return r;
		}
		e->memory->batch = e->memory->synced = 1;
	}
	apply_late(e->memory);
	e->life = e->memory->life;
	*ret_engine = steal_ptr(e);
	return 0;
}

static void memory_close(struct kv_engine *e)
{
	if (e->owned)
		kv_memory_free(e->memory);
	free(e);
}

/* Under the lock. */
static int read_value(const struct kv_engine *e, const struct kv_engine_view *view,
	enum kv_family family, const void *key, size_t key_len, struct buf *ret_value)
{
	const struct memory_family *f = &e->memory->families[family];
	const struct memory_version *v = NULL;
	bool found;
	size_t i = memory_find(f, key, key_len, &found);

	if (e->life != e->memory->life)
		return -EIO;
	if (found)
		v = memory_version_at(f->records[i], view ? view->batch : e->memory->batch);
	if (!v)
		return -ENOENT;
	return buf_set(ret_value, v->value, v->len);
}

static int memory_get(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	const void *key, size_t key_len, struct buf *ret_value)
{
	int r = called(e->memory, KV_MEMORY_GET);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&e->memory->lock);
	r = read_value(e, view, family, key, key_len, ret_value);
	pthread_rwlock_unlock(&e->memory->lock);
	return r;
}

static int memory_multi_get(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	size_t n, const void *const *keys, const size_t *key_lens, kv_engine_take *take, void *arg)
{
	struct kv_engine_value values[MULTI_GET_MAX];
	struct buf bufs[MULTI_GET_MAX] = {0};
	for (size_t at = 0, m; at < n; at += m) {
		m = n - at < MULTI_GET_MAX ? n - at : MULTI_GET_MAX;
		for (size_t i = 0; i < m; i++) {
			values[i].result = memory_get(e, view, family, keys[at + i], key_lens[at + i], &bufs[i]);
			values[i].data = bufs[i].data;
			values[i].len = bufs[i].len;
		}
		take(arg, at, m, values);
	}
	for (size_t i = 0; i < MULTI_GET_MAX; i++)
		buf_release(&bufs[i]);
	return 0;
}

static int apply(struct kv_memory *m, const struct kv_write *writes, size_t n)
{
	uint64_t keep = oldest_needed(m);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct kv_write *w = &writes[i];
		r = memory_set(&m->families[w->family], w->key, w->key_len, w->value, w->value_len,
			m->batch + 1, keep);
	}
	if (r == 0) {
		m->batch++;
		return 0;
	}
	for (int f = 0; f < KV_FAMILIES; f++)
		memory_roll_back(&m->families[f], m->batch);
	return r;
}

static void *memdup(const void *data, size_t len)
{
	void *copy = malloc(len + 1);

	return copy ? memcpy(copy, data, len) : NULL;
}

/* Keeps a batch for the next open. The error that it is told to answer. */
static int keep_late(struct kv_memory *m, const struct kv_write *writes, size_t n)
{
	struct kv_write *late = calloc(n, sizeof *late);

	for (size_t i = 0; late && i < n; i++) {
		late[i] = writes[i];
		late[i].key = memdup(writes[i].key, writes[i].key_len);
		late[i].value =
			writes[i].value ? memdup(writes[i].value, writes[i].value_len) : NULL;
	}
	m->late = late;
	m->late_n = late ? n : 0;
	return atomic_exchange(&m->fail_after, 0);
}

static void apply_late(struct kv_memory *m)
{
	struct kv_write *late;
	size_t n;

	pthread_rwlock_wrlock(&m->lock);
	late = steal_ptr(m->late);
	n = m->late_n;
	m->late_n = 0;
	if (n)
		(void)apply(m, late, n);
	pthread_rwlock_unlock(&m->lock);
	for (size_t i = 0; i < n; i++) {
		free((void *)late[i].key);
		free((void *)late[i].value);
	}
	free(late);
}

static int memory_write(struct kv_engine *e, const struct kv_write *writes, size_t n)
{
	int r = called(e->memory, KV_MEMORY_WRITE);

	if (r < 0)
		return r;
	if (e->read_only)
		return -EROFS;
	pthread_rwlock_wrlock(&e->memory->lock);
	if (e->life != e->memory->life)
		r = -EIO;
	else if (atomic_load(&e->memory->fail_after))
		r = keep_late(e->memory, writes, n);
	else
		r = apply(e->memory, writes, n);
	pthread_rwlock_unlock(&e->memory->lock);
	return r;
}

static bool memory_broken(struct kv_engine *e)
{
	return atomic_load(&e->memory->breaks);
}

static int memory_sync(struct kv_engine *e)
{
	struct kv_memory *m = e->memory;
	unsigned slow = atomic_load(&m->sync_microseconds);
	uint64_t batch;
	int r;

	pthread_rwlock_rdlock(&m->lock);
	batch = m->batch;
	pthread_rwlock_unlock(&m->lock);
	if (slow)
		usleep(slow);
	r = called(m, KV_MEMORY_SYNC);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&m->lock);
	if (e->life != m->life)
		r = -EIO;
	else if (batch > m->synced)
		m->synced = batch;
	pthread_rwlock_unlock(&m->lock);
	return r;
}

static void memory_shrink(struct kv_engine *e)
{
}

static int memory_view_open(struct kv_engine *e, struct kv_engine_view **ret_view)
{
	struct kv_memory *m = e->memory;
	struct kv_engine_view *view = malloc(sizeof *view);

	if (!view)
		return -ENOMEM;
	pthread_rwlock_wrlock(&m->lock);
	view->batch = m->batch;
	view->next = m->views;
	view->at = &m->views;
	if (view->next)
		view->next->at = &view->next;
	m->views = view;
	pthread_rwlock_unlock(&m->lock);
	*ret_view = view;
	return 0;
}

static void memory_view_free(struct kv_engine *e, struct kv_engine_view *view)
{
	pthread_rwlock_wrlock(&e->memory->lock);
	*view->at = view->next;
	if (view->next)
		view->next->at = view->at;
	pthread_rwlock_unlock(&e->memory->lock);
	free(view);
}

static void memory_iter_free(struct kv_engine_iter *it)
{
	if (it->view)
		memory_view_free(it->engine, it->view);
	buf_release(&it->value);
	free(it);
}

static int memory_iter_open(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	const void *prefix, size_t prefix_len, struct kv_engine_iter **ret_iter)
{
	struct kv_engine_iter *it;

	if (prefix_len > KV_KEY_MAX)
		return -EINVAL;
	it = calloc(1, sizeof *it);
	if (!it)
		return -ENOMEM;
	it->engine = e;
	it->family = family;
	put_bytes(it->prefix, prefix, prefix_len);
	it->prefix_len = prefix_len;
	if (!view) {
		int r = memory_view_open(e, &it->view);
		if (r < 0) {
			memory_iter_free(it);
			return r;
		}
		view = it->view;
	}
	it->batch = view->batch;
	*ret_iter = it;
	return 0;
}

/* Copies the record and its value out. */
static int stand_at(
	struct kv_engine_iter *it, const struct memory_record *r, const struct memory_version *v)
{
	int error = buf_set(&it->value, v->value, v->len);

	if (error < 0)
		return error;
	memcpy(it->key, r->key, r->key_len);
	it->key_len = r->key_len;
	it->valid = true;
	return 1;
}

/*
 * Stands at the first visible record of the prefix at or after @key (@direction 1) or at or before
 * it
 * (-1), @key itself only if @inclusive. Under the lock.
 */
static int walk_locked(
	struct kv_engine_iter *it, const void *key, size_t key_len, int direction, bool inclusive)
{
	const struct memory_family *f = &it->engine->memory->families[it->family];

	for (;;) {
		bool found;
		const struct memory_record *record;
		const struct memory_version *v;
		size_t i = memory_find(f, key, key_len, &found);

		if (direction > 0)
			i += found && !inclusive;
		else if (!found || !inclusive)
			i--; /* below zero it wraps, past the end */
		if (i >= f->n)
			return 0;
		record = f->records[i];
		if (record->key_len < it->prefix_len ||
			memcmp(record->key, it->prefix, it->prefix_len) != 0)
			return 0;
		v = memory_version_at(record, it->batch);
		if (v)
			return stand_at(it, record, v);
		key = record->key;
		key_len = record->key_len;
		inclusive = false;
	}
}

/* A NULL @key, or one before the prefix, is the end where that direction starts. */
static int walk(
	struct kv_engine_iter *it, const void *key, size_t key_len, int direction, bool inclusive)
{
	struct kv_memory *m = it->engine->memory;
	uint8_t end[KV_KEY_MAX];
	size_t end_len = direction > 0 ? it->prefix_len : sizeof end;
	int r;

	memset(end, 0xff, sizeof end);
	memcpy(end, it->prefix, it->prefix_len);
	if (!key || direction * memory_compare(key, key_len, end, end_len) < 0) {
		key = end;
		key_len = end_len;
		inclusive = true;
	}
	it->valid = false;
	pthread_rwlock_rdlock(&m->lock);
	r = it->engine->life != m->life ? -EIO
					: walk_locked(it, key, key_len, direction, inclusive);
	pthread_rwlock_unlock(&m->lock);
	return r;
}

static int memory_iter_seek(struct kv_engine_iter *it, const void *key, size_t key_len)
{
	return walk(it, key, key_len, 1, true);
}

static int memory_iter_seek_back(struct kv_engine_iter *it, const void *key, size_t key_len)
{
	return walk(it, key, key_len, -1, true);
}

static int step(struct kv_engine_iter *it, int direction)
{
	uint8_t key[KV_KEY_MAX];

	if (!it->valid)
		return 0;
	memcpy(key, it->key, it->key_len);
	return walk(it, key, it->key_len, direction, false);
}

static int memory_iter_next(struct kv_engine_iter *it)
{
	return step(it, 1);
}

static int memory_iter_prev(struct kv_engine_iter *it)
{
	return step(it, -1);
}

static const uint8_t *memory_iter_key(const struct kv_engine_iter *it, size_t *ret_len)
{
	*ret_len = it->key_len;
	return it->key;
}

static const uint8_t *memory_iter_value(const struct kv_engine_iter *it, size_t *ret_len)
{
	*ret_len = it->value.len;
	return it->value.data;
}

static int memory_checkpoint(struct kv_engine *e, const char *path)
{
	_cleanup_free_ char *file = NULL;
	int r;

	if (asprintf(&file, "%s/records", path) < 0)
		return -ENOMEM;
	if (mkdir(path, 0700) < 0)
		return -errno;
	pthread_rwlock_rdlock(&e->memory->lock);
	r = e->life != e->memory->life ? -EIO
				       : memory_dump(e->memory->families, e->memory->batch, file);
	pthread_rwlock_unlock(&e->memory->lock);
	return r;
}

const struct kv_engine_ops kv_engine_memory = {
	.name = "memory",
	.open = memory_open,
	.open_judged = memory_open_judged,
	.close = memory_close,
	.get = memory_get,
	.multi_get = memory_multi_get,
	.write = memory_write,
	.broken = memory_broken,
	.sync = memory_sync,
	.shrink = memory_shrink,
	.view_open = memory_view_open,
	.view_free = memory_view_free,
	.iter_open = memory_iter_open,
	.iter_free = memory_iter_free,
	.iter_seek = memory_iter_seek,
	.iter_seek_back = memory_iter_seek_back,
	.iter_next = memory_iter_next,
	.iter_prev = memory_iter_prev,
	.iter_key = memory_iter_key,
	.iter_value = memory_iter_value,
	.checkpoint = memory_checkpoint,
};
