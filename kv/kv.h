/*
 * kv.h: an encrypted, transactional, ordered key-value store. The lowest layer; it knows no files.
 *
 * A store is a directory: `keyring` (format, slots, wrapped keys: keyring.h), `mark` (the last synced
 * commit), `lock` (held by the one process that has it open), `busy` (what that one is at) and `db/` (the
 * engine's). FORMAT.md gives every byte, SECURITY.md who can see and change what.
 *
 * Keys are plain, ordered byte strings of 4 to KV_KEY_MAX bytes whose first four bytes, big-endian,
 * name a *domain*. Each domain has a random key of its own in the keyring; every value of that domain
 * is compressed where it pays, and sealed with it; the associated data is the store's id, the family
 * and the whole key. Domain 0 is the store's own and always there.
 *
 * Threading: a struct kv may be used by any number of threads; a transaction, view or iterator by one
 * thread, which also frees it, and soon: the engine cannot be opened anew while there is one. Errors are 0 or -errno:
 *   -ENOENT no such record          -EBADMSG failed authentication or decoding
 *   -EAGAIN transaction conflict    -ENOKEY  the domain is locked or gone
 *   -EROFS  opened read-only        -ENOSPC  no room      -EIO the disk    -ENOMEM
 */
#ifndef SCRIBEFS_KV_KV_H
#define SCRIBEFS_KV_KV_H

#include "kv/buf.h"
#include "kv/cleanup.h"
#include "kv/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_KEY_MAX 64		  /* bytes of a key */
#define KV_VALUE_MAX (16u << 20) /* plain bytes of a value */

/* Numbers are part of the format. */
enum kv_family {
	KV_SYS = 0,  /* kv's own: commit row, counters. Not for callers. */
	KV_META = 1, /* small records, overwritten in place */
	KV_DATA = 2, /* write-once: a key is inserted once, deleted once, never overwritten */
	KV_HISTORY = 3, /* what snapshots see of records that have changed; write-once too */
	KV_FAMILIES = 4,
	/* reserved: 4 search index */
};

struct kv;
struct kv_txn;
struct kv_view;
struct kv_iter;
struct kv_engine_ops;

/* ---- open ------------------------------------------------------------------------------------ */

struct kv_options {
	bool read_only;
	const struct kv_engine_ops *engine; /* NULL: RocksDB. Tests pass the in-memory one. */
	void *engine_arg;		    /* handed to the engine's open */
	size_t cache_bytes;		    /* of blocks, an eighth more for chunks; 0: 4 to 32 MiB, by its size */
	size_t memtable_bytes;		    /* all write buffers together; 0: 16 MiB */
	uint64_t reserve_bytes;		    /* of the disk, kept for deletes and for opening; 0: 64 MiB */
	unsigned sync_seconds;	/* everything is synced at most this long after its commit; 0: 5 */
	bool repair; /* for check.h: damage is no reason for read-only, and stays marked until kv_settle() */
	/*
	 * An existing folder outside of the store, the user's own, in which is kept how far stores had
	 * come (a file each, by the store's id). NULL: an older copy in the store's place goes unnoticed.
	 */
	const char *seen_dir;
	bool accept_older;	/* open an older one, which is remembered: it is told from all others then */
	struct kv_older *older; /* may be NULL: filled where the store is an older one */
};

/* What a store has come to, and had come to when it was last seen. */
struct kv_older {
	uint64_t sequence, seen;
	int64_t when; /* seconds since 1970 */
};

/* What open found, for the one line that the caller prints. */
struct kv_state {
	bool damaged;	     /* the log ended before the last synced commit: opened read-only */
	bool unclean;	     /* the last process died (or mark_lost); what it had committed was recovered */
	bool unsettled;	     /* so it was, or an open before, and kv_busy_settle() was not called since */
	bool mark_lost;	     /* `mark` was missing or failed authentication */
	bool read_only;	     /* asked for, or because of damage, or since it is a backup */
	bool backup;	     /* it is a backup (backup/backup.h): opened read-only */
	uint64_t sequence;   /* of the last commit that is there */
	uint64_t expected;   /* of the last synced commit by `mark` */
	bool seen_lost;	     /* it has commits, and seen_dir knew nothing of it: it was not compared */
	int seen_error;	     /* nothing can be kept in seen_dir: -errno */
	bool accepted;	     /* it is older than when it was last seen, as accept_older allows */
};

/*
 * Opens the store in directory @path. @options may be NULL. The keyring is unlocked with @unlock (see
 * keyring.h), whose secrets are not kept.
 * -ENOENT no store there · -EBUSY another process holds it (kv_holder() says which) ·
 * -EKEYREJECTED wrong secret · -EBADMSG damaged keyring or engine metadata · -EPROTONOSUPPORT a newer
 * format or an unknown incompatible feature · -EOPNOTSUPP this processor lacks the store's cipher ·
 * -ESTALE older than when it was last seen (see seen_dir) and nothing was changed ·
 * -EROFS the disk is read-only and read_only was not asked for · -EAGAIN threads cannot be started (a limit
 * of processes) and nothing was changed · -EACCES, -EIO, -ENOMEM.
 * The caller frees with kv_close(). A daemon opens after it has forked: a thread is started here.
 */
int kv_open(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv **ret_kv);
/* Commits are synced, threads joined, keys wiped. 0 or the sync's -errno; @kv is gone either way. */
int kv_close(struct kv *kv);
/*
 * What opens another copy of the same store (a backup), as long as @kv is open: for kv_open() and
 * keyring_*(). Nothing to wipe.
 */
struct kv_unlock kv_unlock_as(const struct kv *kv);
/* The process id that holds the store at @path, 0 if none does, or -errno. */
int kv_holder(const char *path);
void kv_get_state(const struct kv *kv, struct kv_state *ret_state);
/* Its directory, as it was given; valid as long as @kv. */
const char *kv_path(const struct kv *kv);
/* The store's id, 16 bytes, valid as long as @kv. */
const uint8_t *kv_id(const struct kv *kv);
/*
 * Before records of a form that older programs would misread are written: features without which the store must not
 * be opened (KEYRING_INCOMPAT_*). On return the keyring says so, synced. -EROFS, -ENOSPC, -EIO.
 */
int kv_require(struct kv *kv, uint32_t incompat);
/* "xchacha20-poly1305" or "aes-256-gcm". */
const char *kv_cipher_name(const struct kv *kv);

/* ---- domains --------------------------------------------------------------------------------- */

/*
 * A new domain with a random key: its number, never used before in this store. On return the keyring
 * is on disk and synced.
 */
int kv_domain_create(struct kv *kv, uint32_t *ret_domain);
/*
 * Syncs what was committed, so that what refers to the domain does not come back, and deletes the
 * domain's key: its records are unreadable from then on. -ENOENT. Synced on return.
 */
int kv_domain_destroy(struct kv *kv, uint32_t domain);
bool kv_domain_exists(const struct kv *kv, uint32_t domain);

/*
 * Keyed hashes (pseudo-random functions under a key derived from the domain's for @purpose, which is
 * any caller's constant): for names in keys, and for additive multiset hashes. -ENOKEY.
 */
int kv_hash64(struct kv *kv, uint32_t domain, uint64_t purpose, const void *data, size_t len,
	uint64_t *ret_hash);
int kv_hash128(struct kv *kv, uint32_t domain, uint64_t purpose, const void *data, size_t len,
	uint8_t ret_hash[16]);
/* Random bytes from the system's generator, seeded and good for keys and ids. */
void kv_random(void *ret_bytes, size_t len);

/* ---- transactions ---------------------------------------------------------------------------- */

/*
 * A transaction sees the store as of its start, plus its own writes. kv_txn_commit() applies all of
 * it in one atomic batch, or nothing: it returns -EAGAIN where a key that the transaction read
 * (kv_txn_get, kv_txn_touch) or wrote was committed by another since the start. The check may also
 * fail spuriously (a hash decides): the caller starts again. So it does where the disk failed: a new
 * beginning waits until it works again, for some seconds; then the commit returns the disk's error.
 * Scans are not recorded, so there is no phantom detection: guard a condition over many keys by one
 * record that both sides write.
 */
int kv_txn_begin(struct kv *kv, struct kv_txn **ret_txn);
/* Drops it, committed or not. NULL is fine. */
void kv_txn_free(struct kv_txn *txn);
/* As kv_get(), with what the transaction itself writes. -ENOENT, -EBADMSG, -ENOKEY. */
int kv_txn_get(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	struct buf *ret_value);
/* Records that the transaction depends on this key, without reading it. */
int kv_txn_touch(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len);
/* Sets a record of KV_META. Sealing is done here, in the caller's thread. The bytes are copied. */
int kv_txn_put(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len);
/*
 * As put where the caller knows that the key is not there (required where write-once): saves a look-up.
 * -EEXIST where this transaction has itself read or put it; else the caller is believed.
 */
int kv_txn_insert(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len);

struct kv_insert {
	const void *key, *value;
	size_t key_len, value_len;
};
/* Many of them, by different keys, in the order given. What is large is sealed by several threads. */
int kv_txn_insert_many(struct kv_txn *txn, enum kv_family family, const struct kv_insert *inserts, size_t n);
/*
 * kv_txn_insert() of what stands at the key @from of @from_family, of the same domain; nothing in this transaction has
 * written that. It is sealed anew but not decompressed. -ENOENT, -EBADMSG.
 */
int kv_txn_copy(struct kv_txn *txn, enum kv_family from_family, const void *from, size_t from_len,
	enum kv_family family, const void *key, size_t key_len);
/* Deletes a record, there or not in KV_META; where write-once it must be there. */
int kv_txn_delete(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len);

/* Counters of a domain, folded by the committer, so that they are no hot keys. */
enum kv_counter { KV_COUNT_INODES, KV_COUNT_BYTES, KV_COUNT_CONTAINERS, KV_COUNT_SPARE, KV_COUNTERS };
void kv_txn_count(struct kv_txn *txn, uint32_t domain, enum kv_counter counter, int64_t delta);

/*
 * Commits. On return the batch is in the engine's log in the kernel's page cache: it survives the
 * death of this process, and the loss of power after the next sync. @txn must still be freed.
 * @ret_sequence (or NULL) gets the number of the commit, dense and rising. An empty one commits
 * nothing and returns the last number.
 * -EAGAIN conflict · -ENOSPC: the disk is nearly full and the transaction is not marked shrinking.
 */
int kv_txn_commit(struct kv_txn *txn, uint64_t *ret_sequence);
/* This transaction makes room (deletes, truncates): it may use the reserve. */
void kv_txn_set_shrinking(struct kv_txn *txn);

/* ---- reading --------------------------------------------------------------------------------- */

/* A consistent view of all families as of now. Freed before kv_close(). */
int kv_view_open(struct kv *kv, struct kv_view **ret_view);
void kv_view_free(struct kv_view *view);

/* @view may be NULL: the latest. Replaces the content of @ret_value; of an empty value there is an address, too. */
int kv_get(struct kv *kv, const struct kv_view *view, enum kv_family family, const void *key,
	size_t key_len, struct buf *ret_value);

struct kv_lookup {
	const void *key;
	size_t key_len;
	/* Where a value of just this length may go at once; of no meaning after a failure. NULL: none. */
	void *room;
	size_t room_len;
	bool in_room;	  /* the value is there, and not in: */
	struct buf value; /* zero it before; released by the caller */
	int result;	  /* 0, -ENOENT, -EBADMSG, -ENOKEY */
};
/*
 * Many at once, in the order given; what is large is opened by several threads. 0 if all lookups were answered,
 * whatever their result.
 */
int kv_multi_get(struct kv *kv, const struct kv_view *view, enum kv_family family,
	struct kv_lookup *lookups, size_t n);

/*
 * An iterator over the keys that begin with @prefix (at most KV_KEY_MAX bytes). @txn may be NULL; if
 * given, the transaction's own uncommitted writes are merged in and @view must be NULL.
 */
int kv_iter_open(struct kv *kv, const struct kv_view *view, struct kv_txn *txn,
	enum kv_family family, const void *prefix, size_t prefix_len, struct kv_iter **ret_iter);
void kv_iter_free(struct kv_iter *it);
/* For one without a view: what it reads is likely to be written, or looked up, next. */
void kv_iter_keep(struct kv_iter *it);
/*
 * Position at the first key >= @key (seek) or the last key <= @key (seek_back) within the prefix; NULL
 * means the first or the last of all. Then kv_iter_next() / kv_iter_prev() move. All return 1 at a
 * record, 0 past the end, -errno (-EIO) on failure.
 */
int kv_iter_seek(struct kv_iter *it, const void *key, size_t key_len);
int kv_iter_seek_back(struct kv_iter *it, const void *key, size_t key_len);
int kv_iter_next(struct kv_iter *it);
int kv_iter_prev(struct kv_iter *it);
/* The key at which it stands; valid until it moves. */
const uint8_t *kv_iter_key(const struct kv_iter *it, size_t *ret_len);
/* Opens the value there. A failure (-EBADMSG) does not stop the iteration. As kv_get(). */
int kv_iter_value(struct kv_iter *it, struct buf *ret_value);

/* Whether the bytes of a value of some KiB are as frequent as in noise: it is not compressed. */
bool kv_is_noise(const void *value, size_t len);

int64_t kv_counter(struct kv *kv, uint32_t domain, enum kv_counter counter);
/* The sum over all domains. */
int64_t kv_counter_total(struct kv *kv, enum kv_counter counter);

/* ---- durability ------------------------------------------------------------------------------ */

/*
 * Returns when every commit that was made before the call survives the loss of power. Where the disk
 * fails it waits some seconds for the engine to be opened anew, which makes it good; else its error.
 */
int kv_sync(struct kv *kv);
/*
 * The same without waiting: @done is called once with 0 or -errno, from the flusher's thread (one disk
 * flush serves all that wait), or before the return where nothing is unsynced. It must not block.
 */
void kv_sync_async(struct kv *kv, void (*done)(void *arg, int error), void *arg);
/* The caller is about to sync, after a commit: the flusher wakes up meanwhile. A hint. */
void kv_sync_soon(struct kv *kv);
/* The number of the last commit, and of the last synced one. */
uint64_t kv_sequence(const struct kv *kv);
uint64_t kv_synced(const struct kv *kv);

/*
 * Words that are told to the next open if this process dies: for what is of interest only then and would
 * cost a commit each time. A few thousand at once; they outlive the process, and a loss of power when
 * they are some seconds old. They are no secrets: who reads the store's files sees them.
 */
/* Begins one; the result ends it. 0: it is not noted (read-only, no room), which kv_busy_end() takes too. */
uint32_t kv_busy_begin(struct kv *kv, uint64_t word);
void kv_busy_end(struct kv *kv, uint32_t busy);
/*
 * Those of the process that died, to be freed. They stay, and state.unsettled with them, over further opens (of
 * who knows nothing of them, and closes in order), until they are said to be settled.
 */
int kv_busy_left(struct kv *kv, uint64_t **ret_words, size_t *ret_n);
void kv_busy_settle(struct kv *kv);

/* A complete store that opens by itself, in the new directory @path (hard links where possible). */
int kv_checkpoint(struct kv *kv, const char *path);

struct kv_space {
	uint64_t total;	    /* bytes of the disk that the store lies on */
	uint64_t available; /* bytes that may still be written, the reserve taken off */
};
int kv_space(struct kv *kv, struct kv_space *ret_space);

enum kv_disk {
	KV_DISK_WELL,
	KV_DISK_FULL,	/* growing commits get -ENOSPC */
	KV_DISK_FAILED, /* commits and syncs get the error of the disk; opened anew as soon as it works */
};
/* How it is with the disk now. */
enum kv_disk kv_disk(struct kv *kv);

static inline bool kv_write_once(enum kv_family family)
{
	return family == KV_DATA || family == KV_HISTORY;
}

DEFINE_CLEANUP(struct kv_txn *, kv_txn_free);
DEFINE_CLEANUP(struct kv_view *, kv_view_free);
DEFINE_CLEANUP(struct kv_iter *, kv_iter_free);
static inline void buf_releasep(struct buf *b)
{
	buf_release(b);
}
#define _cleanup_buf_ _cleanup_(buf_releasep)

#endif
