#include "kv/engine/rocks_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define BATCH_KEEP_BYTES (1u << 20) /* a larger batch's memory is given back */
#define LOG_OVERHEAD 12		    /* bytes of a write in the log besides key and value, about */
#define DATA_DELETES_MAX 2048       /* 8 to 64 MiB of values */
#define SETTLE_MS 3000		    /* a checkpoint waits at most this long for compactions */
#define SETTLE_STEP_MS 10

static const rocksdb_readoptions_t *read_options(
	const struct kv_engine *e, const struct kv_engine_view *view)
{
	return view ? view->read : e->read;
}

/* Takes over @slice, which may be NULL: not found. */
static int take_value(rocksdb_pinnableslice_t *slice, struct buf *ret_value)
{
	size_t len;
	const char *value;
	int r;

	if (!slice)
		return -ENOENT;
	value = rocksdb_pinnableslice_value(slice, &len);
	r = buf_set(ret_value, value, len);
	rocksdb_pinnableslice_destroy(slice);
	return r;
}

int rocks_get(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	const void *key, size_t key_len, struct buf *ret_value)
{
	rocksdb_pinnableslice_t *slice;
	char *error = NULL;

	if ((int)family >= e->families)
		return -ENOENT;
	slice = rocksdb_get_pinned_cf(
		e->db, read_options(e, view), e->family[family], key, key_len, &error);
	return error ? rocks_error(e, "get", error) : take_value(slice, ret_value);
}

/* @slice NULL: not found, or @error, which is taken over. */
static struct kv_engine_value look_at_value(
	struct kv_engine *e, rocksdb_pinnableslice_t *slice, char *error)
{
	struct kv_engine_value value = {.result = error ? rocks_error(e, "get", error) : -ENOENT};

	if (slice) {
		value.data = rocksdb_pinnableslice_value(slice, &value.len);
		value.result = 0;
	}
	return value;
}

static int rocks_multi_get(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	size_t n, const void *const *keys, const size_t *key_lens, kv_engine_take *take, void *arg)
{
	rocksdb_pinnableslice_t *slices[MULTI_GET_MAX] = {0};
	struct kv_engine_value values[MULTI_GET_MAX];
	char *errors[MULTI_GET_MAX] = {0};

	for (size_t at = 0, m; at < n; at += m) {
		m = n - at < MULTI_GET_MAX ? n - at : MULTI_GET_MAX;
		if ((int)family < e->families)
			rocksdb_batched_multi_get_cf(e->db, read_options(e, view), e->family[family], m,
				(const char *const *)keys + at, key_lens + at, slices, errors, false);
		for (size_t i = 0; i < m; i++)
			values[i] = look_at_value(e, slices[i], errors[i]);
		take(arg, at, m, values);
		for (size_t i = 0; i < m; i++)
			if (slices[i])
				rocksdb_pinnableslice_destroy(slices[i]);
	}
	return 0;
}

/* Begins to write the write buffer of a family into a table. */
static void begin_flush(struct kv_engine *e, enum kv_family family)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();
	char *error = NULL;

	rocksdb_flushoptions_set_wait(o, 0);
	rocksdb_flush_cf(e->db, o, e->family[family], &error);
	rocksdb_flushoptions_destroy(o);
	rocks_error(e, "flush", error);
}

/*
 * Deletes of large values are small, and might wait in the write buffer for a day; the values'
 * space is only free after they reach a table and it is compacted. Whoever empties a full disk
 * waits for that.
 */
static void flush_deletes(struct kv_engine *e)
{
	begin_flush(e, KV_DATA);
	e->data_deletes = 0;
}

/* Of all families: a log is kept for the sake of the one that was not written for the longest. */
static void rocks_shrink(struct kv_engine *e)
{
	for (enum kv_family f = 0; f < KV_FAMILIES && !atomic_load(&e->failed); f++)
		begin_flush(e, f);
}

/* After an error RocksDB refuses to write, mostly for good. So the first one is final; kv opens anew. */
static int rocks_write(struct kv_engine *e, const struct kv_write *writes, size_t n)
{
	char *error = NULL;
	size_t bytes = 0;
	int r = atomic_load(&e->failed);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		const struct kv_write *w = &writes[i];

		if (w->value)
			rocksdb_writebatch_put_cf(e->batch, e->family[w->family],
				(const char *)w->key, w->key_len, (const char *)w->value,
				w->value_len);
		else
			rocksdb_writebatch_delete_cf(
				e->batch, e->family[w->family], (const char *)w->key, w->key_len);
		e->data_deletes += !w->value && w->family == KV_DATA;
		bytes += w->key_len + w->value_len + LOG_OVERHEAD;
	}
	rocks_room_make(e);
	rocksdb_write(e->db, e->write, e->batch, &error);
	if (bytes <= BATCH_KEEP_BYTES) {
		rocksdb_writebatch_clear(e->batch);
	} else {
		rocksdb_writebatch_destroy(e->batch);
		e->batch = rocksdb_writebatch_create();
	}
	r = rocks_error(e, "write", error);
	if (r < 0)
		atomic_store(&e->failed, r);
	rocks_room_used(e, bytes);
	rocks_cache_note(e, bytes);
	if (r == 0 && e->data_deletes >= DATA_DELETES_MAX)
		flush_deletes(e);
	return r;
}

static bool rocks_broken(struct kv_engine *e)
{
	return atomic_load(&e->failed) < 0;
}

static int rocks_view_open(struct kv_engine *e, struct kv_engine_view **ret_view)
{
	struct kv_engine_view *view = malloc(sizeof *view);

	if (!view)
		return -ENOMEM;
	view->snapshot = rocksdb_create_snapshot(e->db);
	view->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(view->read, 1);
	rocksdb_readoptions_set_snapshot(view->read, view->snapshot);
	*ret_view = view;
	return 0;
}

static void rocks_view_free(struct kv_engine *e, struct kv_engine_view *view)
{
	rocksdb_readoptions_destroy(view->read);
	rocksdb_release_snapshot(e->db, view->snapshot);
	free(view);
}

static bool compacts(struct kv_engine *e)
{
	uint64_t n = 0;
	bool any = rocksdb_property_int(e->db, "rocksdb.num-running-compactions", &n) == 0 && n > 0;

	for (int f = 0; !any && f < e->families; f++)
		any = rocksdb_property_int_cf(e->db, e->family[f], "rocksdb.compaction-pending", &n) == 0 && n > 0;
	return any;
}

/* Tables that are about to be written anew would be of no use to the next checkpoint, which shares what is the same. */
static void settle(struct kv_engine *e)
{
	const struct timespec step = {.tv_nsec = SETTLE_STEP_MS * 1000000L};

	rocks_flush(e);
	for (int ms = 0; ms < SETTLE_MS && compacts(e); ms += SETTLE_STEP_MS)
		nanosleep(&step, NULL);
}

static int rocks_checkpoint(struct kv_engine *e, const char *path)
{
	char *error = NULL;
	if (!e->read_only)
		settle(e);
	rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(e->db, &error);

	if (!error) {
		rocksdb_checkpoint_create(checkpoint, path, 0, &error);
		rocksdb_checkpoint_object_destroy(checkpoint);
	}
	return rocks_error(e, "checkpoint", error);
}

const struct kv_engine_ops kv_engine_rocks = {
	.name = "rocksdb",
	.open = rocks_open,
	.open_judged = rocks_open_judged,
	.close = rocks_close,
	.get = rocks_get,
	.multi_get = rocks_multi_get,
	.write = rocks_write,
	.broken = rocks_broken,
	.sync = rocks_sync,
	.shrink = rocks_shrink,
	.view_open = rocks_view_open,
	.view_free = rocks_view_free,
	.iter_open = rocks_iter_open,
	.iter_free = rocks_iter_free,
	.iter_seek = rocks_iter_seek,
	.iter_seek_back = rocks_iter_seek_back,
	.iter_next = rocks_iter_next,
	.iter_prev = rocks_iter_prev,
	.iter_key = rocks_iter_key,
	.iter_value = rocks_iter_value,
	.checkpoint = rocks_checkpoint,
	.salvage = rocks_salvage,
};
