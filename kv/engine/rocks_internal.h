/*
 * rocks_internal.h: what the files of the RocksDB engine share. Internal to kv/engine.
 *
 * rocks_open.c opens and closes, rocks_log.c looks at the logs of a crash before that, rocks.c reads
 * and writes, rocks_sync.c syncs, rocks_room.c keeps room in the log, rocks_crc.c computes its check sums,
 * rocks_cache.c sizes the caches, rocks_iter.c iterates, rocks_error.c turns RocksDB's error strings into errno.
 */
#ifndef SCRIBEFS_KV_ENGINE_ROCKS_INTERNAL_H
#define SCRIBEFS_KV_ENGINE_ROCKS_INTERNAL_H

#include "kv/engine/engine.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

struct kv_engine {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *family[KV_FAMILIES];
	int families; /* those that there are: all, but in an older store that is only read */
	rocksdb_options_t *options[KV_FAMILIES]; /* [KV_SYS] is the database's as well */
	rocksdb_cache_t *cache, *data_cache; /* of blocks; the latter KV_DATA's */
	rocksdb_readoptions_t *read;   /* the latest, check sums on */
	rocksdb_writeoptions_t *write; /* in the log, not synced */
	rocksdb_writebatch_t *batch;   /* write()'s, which one thread at a time calls */
	unsigned data_deletes; /* by write() since the last flush that it asked for */
	bool cache_grows;      /* with the store: rocks_cache.c */
	size_t since_fit;      /* bytes that write() has written since its size was looked at */
	bool read_only;
	int dir;		  /* that the database lies in; -1 where it is only read */
	int64_t room;		  /* bytes, about, that are left in the log: rocks_room.c. write()'s */
	_Atomic size_t unsynced;  /* bytes, about, that were written since the last sync */
	_Atomic bool wants_room;  /* the last sync was of a few bytes */
	pthread_mutex_t sync_lock; /* one sync at a time; it guards: */
	uint64_t synced_log;	  /* the number of the newest log that was there at the last one */
	_Atomic int failed;       /* the first error of write() or sync() */
	_Atomic int logged_error; /* the last error that was logged, and when: see rocks_error() */
	_Atomic long logged_at;
};

struct kv_engine_view {
	const rocksdb_snapshot_t *snapshot;
	rocksdb_readoptions_t *read;
};

/*
 * Takes over @text, RocksDB's error string: logs it, frees it, returns the -errno that it means.
 * The same error is logged once a minute at most. NULL is 0. @e may be NULL.
 */
int rocks_error(struct kv_engine *e, const char *doing, char *text);
/* The errno that an error string of RocksDB means; nothing is logged or freed. */
int rocks_error_number(const char *text);

/* rocks.c: as engine.h has it. */
int rocks_get(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family, const void *key,
	size_t key_len, struct buf *ret_value);

/* rocks_sync.c */
int rocks_sync(struct kv_engine *e);
/* rocks_crc.c: the CRC-32C of a fragment of the log, masked as RocksDB stores it. */
uint32_t rocks_crc(const void *bytes, size_t len);

int rocks_open(const char *path, const struct kv_options *options, bool read_only,
	struct kv_engine **ret_engine);
int rocks_open_judged(const char *path, const struct kv_options *options,
	const struct kv_engine_record *record, struct kv_engine **ret_engine);
void rocks_close(struct kv_engine *e);
/* What is in memory goes into tables. What fails stays in the log. */
void rocks_flush(struct kv_engine *e);
/* With the usual options, and no database yet. NULL: no memory. */
struct kv_engine *rocks_new(const struct kv_options *options, bool create, bool read_only);
/* For salvage: log records that are damaged are passed over, and nothing is created. */
int rocks_open_skipping(const char *path, const struct kv_options *options,
	struct kv_engine **ret_engine);
int rocks_salvage(const char *path, const struct kv_options *options);

#define ROCKS_LOG_NAME 32

/* The logs are good up to here: what follows in this log, and all later logs, lie behind a hole. */
struct rocks_hole {
	uint64_t log; /* its number */
	off_t end;    /* bytes of it */
};

/* Whether the database in directory @path has a log with anything in it: 1, 0, -errno. */
int rocks_log_any(const char *path);
/*
 * At the end, removes the empty logs of the database that lies in @dir: each open for writing begins one, and
 * RocksDB keeps it until something is written.
 */
void rocks_log_drop_empty(int dir);
/*
 * What a recovery of the logs would find. The first hole is a place that RocksDB would pass over without a
 * word; its log is 0 where there is none. The value is the last one of a record, up to there; sequence is that
 * of the batch it came with, 0 where none did.
 */
struct rocks_found {
	struct rocks_hole hole;
	uint64_t sequence;
	struct buf value;
};

/*
 * Looks through the logs from number @from on. @last_sequence: writes above it are in the logs alone; 0: unknown.
 * @wanted: the record whose last value is to be found, or NULL. @ret_found was zero. 0 or -errno.
 */
int rocks_log_scan(const char *path, uint64_t from, uint64_t last_sequence,
	const struct kv_engine_record *wanted, struct rocks_found *ret_found);
/* Makes logs of the same names and lengths, of zeros, which take no room, in the empty directory @folder. */
int rocks_log_stand_in(const char *path, const char *folder);
/* Copies all that lies before the hole to the empty directory @folder, under the same names. */
int rocks_log_copy_before(const char *path, const struct rocks_hole *hole, const char *folder);
/* Takes away all that lies behind it. On return that is durable. */
int rocks_log_cut(const char *path, const struct rocks_hole *hole);

/* The newest log in the folder @dir, opened for writing. -errno. */
int rocks_log_newest(int dir);
/*
 * Syncs the logs in @dir from number @newest on, and @dir where one of them is newer: to it @newest is set then.
 * 0 or -errno.
 */
int rocks_log_sync(int dir, uint64_t *newest);
/* By write(): makes room in the log where none is left, then says what it has used. */
void rocks_room_make(struct kv_engine *e);
void rocks_room_used(struct kv_engine *e, size_t bytes);
/* Before a sync. */
void rocks_room_sync(struct kv_engine *e);

/* Makes the caches: of @bytes, and an eighth more for chunks, or (0) of what rocks_cache_fit() finds fitting. */
void rocks_cache_new(struct kv_engine *e, size_t bytes);
/* With the database open. */
void rocks_cache_fit(struct kv_engine *e);
/* By write(). */
void rocks_cache_note(struct kv_engine *e, size_t bytes);

int rocks_iter_open(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	const void *prefix, size_t prefix_len, struct kv_engine_iter **ret_iter);
void rocks_iter_free(struct kv_engine_iter *it);
int rocks_iter_seek(struct kv_engine_iter *it, const void *key, size_t key_len);
int rocks_iter_seek_back(struct kv_engine_iter *it, const void *key, size_t key_len);
int rocks_iter_next(struct kv_engine_iter *it);
int rocks_iter_prev(struct kv_engine_iter *it);
const uint8_t *rocks_iter_key(const struct kv_engine_iter *it, size_t *ret_len);
const uint8_t *rocks_iter_value(const struct kv_engine_iter *it, size_t *ret_len);

#endif
