/*
 * engine.h: what kv asks of an ordered store. Internal to kv; two engines implement it: RocksDB
 * (rocks.c) and memory (memory.c), which tests can tell to fail. A distributed transactional store
 * could: there is nothing here that such a one does not offer.
 *
 * An engine sees plain keys and sealed values. All functions may be called from any thread; the
 * committer makes sure that write() is called by one thread at a time and in commit order. Errors are
 * -errno: -ENOENT, -EIO, -ENOSPC, -EBADMSG (the engine's own check sums or metadata), -ENOMEM; an
 * engine's own error text is logged once where it appears.
 */
#ifndef SCRIBEFS_KV_ENGINE_H
#define SCRIBEFS_KV_ENGINE_H

#include "kv/buf.h"
#include "kv/kv.h"

struct kv_engine;
struct kv_engine_view;
struct kv_engine_iter;

struct kv_write {
	enum kv_family family;
	const uint8_t *key;
	size_t key_len;
	const uint8_t *value; /* NULL: delete */
	size_t value_len;
};

/* A record by which a caller judges a store before it is opened for writing. */
struct kv_engine_record {
	enum kv_family family;
	const void *key;
	size_t key_len;
	/* @value: the record's as the recovery would leave it; NULL: none. < 0: it is not to be opened. */
	int (*judge)(void *arg, const struct buf *value);
	void *arg;
};

/* What a look-up found; result: 0 or -errno. */
struct kv_engine_value {
	const void *data;
	size_t len;
	int result;
};

#define MULTI_GET_MAX 64 /* values that are looked up and taken at once */

typedef void kv_engine_take(void *arg, size_t first, size_t n, const struct kv_engine_value *values);

struct kv_engine_ops {
	const char *name;

	/*
	 * Opens what lies in directory @path (created if absent and not read_only). With @read_only
	 * nothing on disk is changed, log included: the recovery happens in memory.
	 */
	int (*open)(const char *path, const struct kv_options *options, bool read_only,
		struct kv_engine **ret_engine);
	/*
	 * For writing, if the judge of @record lets it: he is asked before anything on disk is changed, and < 0 of
	 * his is returned. Where there is no store this is -ENOENT.
	 */
	int (*open_judged)(const char *path, const struct kv_options *options,
		const struct kv_engine_record *record, struct kv_engine **ret_engine);
	void (*close)(struct kv_engine *e);

	/* Replaces @ret_value. @view may be NULL. */
	int (*get)(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
		const void *key, size_t key_len, struct buf *ret_value);
	/*
	 * For keys of one family: @take is given the values of @n keys from @first on, which are valid until it
	 * returns, until all were. It does not use the engine.
	 */
	int (*multi_get)(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
		size_t n, const void *const *keys, const size_t *key_lens, kv_engine_take *take, void *arg);

	/* All of it or nothing, in the log of the kernel's page cache on return, not synced. */
	int (*write)(struct kv_engine *e, const struct kv_write *writes, size_t n);
	/* Whether a write() that failed makes it fail from now on, until it is closed and opened anew. */
	bool (*broken)(struct kv_engine *e);
	/* All that write() returned for before the call survives the loss of power. May run beside write(). */
	int (*sync)(struct kv_engine *e);

	/*
	 * The disk is short of room: begins to give back what is kept of records that were deleted and
	 * logs that are in tables. The flusher's.
	 */
	void (*shrink)(struct kv_engine *e);

	int (*view_open)(struct kv_engine *e, struct kv_engine_view **ret_view);
	void (*view_free)(struct kv_engine *e, struct kv_engine_view *view);

	/* Bounded to keys that begin with @prefix; positions as kv_iter_*. Key and value until it moves. */
	int (*iter_open)(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
		const void *prefix, size_t prefix_len, struct kv_engine_iter **ret_iter);
	void (*iter_free)(struct kv_engine_iter *it);
	int (*iter_seek)(struct kv_engine_iter *it, const void *key, size_t key_len);
	int (*iter_seek_back)(struct kv_engine_iter *it, const void *key, size_t key_len);
	int (*iter_next)(struct kv_engine_iter *it);
	int (*iter_prev)(struct kv_engine_iter *it);
	const uint8_t *(*iter_key)(const struct kv_engine_iter *it, size_t *ret_len);
	const uint8_t *(*iter_value)(const struct kv_engine_iter *it, size_t *ret_len);

	/* A complete copy as of now in the new directory @path. */
	int (*checkpoint)(struct kv_engine *e, const char *path);

	/*
	 * For check.h: makes the files in @path, a copy that nobody else has, such that open() takes them:
	 * metadata anew from the tables, the log read past what is damaged in it. NULL: cannot be done.
	 */
	int (*salvage)(const char *path, const struct kv_options *options);
};

extern const struct kv_engine_ops kv_engine_rocks;
extern const struct kv_engine_ops kv_engine_memory; /* memory.h says how tests drive it */

#endif
