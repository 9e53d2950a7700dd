/*
 * kv_internal.h: what the files of kv share. Internal to kv (and its tests and fsck:
 * kv_verify_sum).
 *
 * Who may touch what:
 *   kv->commit.lock      the queue of transactions that wait, and who leads
 *   the leader           conflict table, sum, counters.recent, the scratch memory: one thread at a
 *                        time leads, and hands over under commit.lock
 *   counters.lock        counters.table: the leader changes it, any thread reads
 *   flusher.lock         the waiters
 *   busy.lock            the slots of `busy`
 *   gate.lock            nothing; it goes with the gate's condition
 *   crew.lock            the row of work that is shared
 *   dictionaries' lock   those in memory; held while a value is decompressed with one
 *   atomics              published, synced, dirty_since, the cached free space, health
 * None of these is held while another is taken, nor across a call of the engine.
 */
#ifndef SCRIBEFS_KV_INTERNAL_H
#define SCRIBEFS_KV_INTERNAL_H

#include "kv/crew.h"
#include "kv/dictionary.h"
#include "kv/engine/engine.h"
#include "kv/keys.h"
#include "kv/kv.h"
#include "kv/seal.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KV_KEY_MIN 4 /* the domain */

/* ---- the sum over all records (sum.c) -------------------------------------------------------- */

/* An additive multiset hash, mod 2^128. */
__extension__ typedef unsigned __int128 kv_sum;

/* The element of a record of KV_META, whose version @id tells, or of a write-once one (@id NULL). */
kv_sum kv_sum_element(const struct kv *kv, enum kv_family family, const void *key, size_t key_len,
	const uint8_t id[SEAL_ID_BYTES]);
/* The identity of a sealed value as it is stored; zeros for one that is too short to have any. */
void kv_sum_identity(const void *sealed, size_t sealed_len, uint8_t ret_id[SEAL_ID_BYTES]);
/*
 * Recomputes the sum by a scan of all records and compares it with the commit row's, both as of
 * now. 0, or -EBADMSG where they differ (records were added, removed or replaced behind kv's back).
 */
int kv_verify_sum(struct kv *kv);

/* ---- counters (counters.c) ------------------------------------------------------------------- */

#define KV_RECENT 16 /* domains whose counters stand in the commit row */

struct kv_count {
	uint32_t domain;
	int64_t value[KV_COUNTERS];
};

struct kv_counters {
	pthread_rwlock_t lock;
	struct kv_count *table; /* every domain that has any, by number */
	size_t n, cap;
	uint32_t recent[KV_RECENT]; /* the least recently changed first */
	unsigned recent_n;
};

/* ---- rows of KV_SYS (row.c) ------------------------------------------------------------------ */

#define KV_ROW_KEY_BYTES 5 /* u32 domain, u8 kind */
#define KV_ROW_COMMIT 1
#define KV_ROW_COUNTERS 2
#define KV_ROW_DICTIONARY 3	/* dictionary.h */
#define KV_ROW_DICTIONARY_COPY 4
#define KV_COMMIT_ROW_MAX (28 + KV_RECENT * (4 + 8 * KV_COUNTERS))
#define KV_COUNTERS_ROW_BYTES (4 + 8 * KV_COUNTERS)

struct kv_commit_row {
	uint64_t sequence;
	uint16_t line; /* see seen.c */
	kv_sum sum;
	unsigned n;
	struct kv_count count[KV_RECENT]; /* the least recently changed first */
};

void kv_row_key(uint32_t domain, uint8_t kind, uint8_t ret_key[KV_ROW_KEY_BYTES]);
/* Returns the length. */
size_t kv_commit_row_encode(const struct kv_commit_row *row, uint8_t ret_bytes[KV_COMMIT_ROW_MAX]);
/* -EBADMSG, -EPROTONOSUPPORT. */
int kv_commit_row_decode(const void *data, size_t len, struct kv_commit_row *ret_row);
void kv_counters_row_encode(const struct kv_count *count, uint8_t ret_bytes[KV_COUNTERS_ROW_BYTES]);
int kv_counters_row_decode(
	uint32_t domain, const void *data, size_t len, struct kv_count *ret_count);
/* Opens what the engine has as the commit row. -EBADMSG, -EPROTONOSUPPORT. */
int kv_commit_row_open(const struct kv *kv, const struct buf *sealed, struct kv_commit_row *ret_row);
/* Reads the commit row; one that is not there yet is all zeros. @view may be NULL. */
int kv_commit_row_read(struct kv *kv, struct kv_engine *engine, struct kv_engine_view *view,
	struct kv_commit_row *ret_row);

/* ---- transactions (txn.c) -------------------------------------------------------------------- */

enum txn_write { TXN_NOTHING, TXN_PUT, TXN_DELETE };
enum txn_old { TXN_OLD_UNKNOWN, TXN_OLD_ABSENT, TXN_OLD_PRESENT };

/* A key that the transaction read or wrote. */
struct txn_record {
	uint64_t hash;
	size_t sealed_at; /* of TXN_PUT: in txn->sealed */
	size_t sealed_len;
	uint8_t family;
	uint8_t key_len;
	uint8_t write; /* enum txn_write */
	uint8_t old;   /* enum txn_old: what stood there at the start */
	uint16_t plain_len;
	const uint8_t *plain; /* of TXN_PUT: the value itself, in the arena, if kv_recent_note() keeps such; or NULL */
	uint8_t old_id[SEAL_ID_BYTES];
	uint8_t key[];
};

enum txn_state { TXN_OPEN, TXN_QUEUED, TXN_LEADS, TXN_DONE };

#define TXN_INLINE_RECORDS 24
#define TXN_INLINE_ARENA 4096
#define TXN_INLINE_COUNTS 4

struct txn_chunk;
struct kv_txn {
	struct kv *kv;
	struct kv_engine_view *view;
	uint64_t start; /* the last published sequence when it began */
	bool shrinking;
	int error;                   /* of kv_txn_count(), for the commit to return */
	struct txn_record **records; /* by family and key */
	size_t records_n, records_cap;
	size_t writes;     /* how many records are put or deleted */
	kv_sum sum;        /* what the writes add to the store's, set before it is queued */
	struct buf sealed; /* all sealed values, one after the other */
	struct buf scratch;
	struct txn_record *scratch_of; /* whose value it is, as of the start; NULL: nobody's */
	struct kv_count *counts; /* deltas */
	size_t counts_n, counts_cap;
	struct txn_chunk *chunks;
	uint8_t *arena_at;
	size_t arena_left;

	/* commit.c; the first three under commit.lock */
	enum txn_state state;
	struct kv_txn *next;
	pthread_cond_t wake;
	int result;
	uint64_t sequence;

	struct txn_record *inline_records[TXN_INLINE_RECORDS];
	struct kv_count inline_counts[TXN_INLINE_COUNTS];
	_Alignas(16) uint8_t inline_arena[TXN_INLINE_ARENA];
};

/* -EINVAL where a caller may not name this family or key. */
int kv_check_key(enum kv_family family, const void *key, size_t key_len);
/* Opens a sealed value of any family; -ENOKEY where its domain has no key. */
int kv_open_value(struct kv *kv, enum kv_family family, const void *key, size_t key_len,
	const void *sealed, size_t sealed_len, struct buf *ret_value);
void txn_table_init(struct kv_txn *txn);
void txn_table_release(struct kv_txn *txn);
/* Room that lasts as long as the transaction. NULL: no memory. At most 16 KiB. */
void *txn_arena(struct kv_txn *txn, size_t len);
/* Finds the record of a key that the caller has checked, or adds one. -ENOMEM. */
int txn_record_of(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	struct txn_record **ret_record);
/* The index of the first record >= (family, key); *@ret_found: whether it is that one. */
size_t txn_find(const struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	bool *ret_found);
/* Learns what the writes replace and sets txn->sum. In the caller's thread, before it is queued. */
int txn_prepare(struct kv_txn *txn);
/* A row of KV_SYS, which the sum over all records leaves out; sealed with the key of the key's domain. */
int txn_put_row(struct kv_txn *txn, const void *key, size_t key_len, const void *value, size_t value_len);
int txn_delete_row(struct kv_txn *txn, const void *key, size_t key_len);
/* kv_txn_pack() of one record. */
struct kv_packed;
int txn_pack_record(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const ZSTD_CDict *dictionary, struct kv_packed *ret_packed);
/* The rows of a domain whose key is about to go. */
int kv_dictionaries_remove(struct kv *kv, uint32_t domain);
/* Whether the record is part of the batch: a delete of what was not there is not. */
static inline bool txn_record_emitted(const struct txn_record *r)
{
	return r->write == TXN_PUT || (r->write == TXN_DELETE && r->old != TXN_OLD_ABSENT);
}

/* ---- commit (commit.c) ----------------------------------------------------------------------- */

#define KV_CONFLICT_SLOTS (1u << 16)

struct kv_commit {
	pthread_mutex_t lock;
	struct kv_txn *queue, **queue_end;
	bool led;

	uint64_t *conflict; /* by hash: the last sequence that wrote such a key */
	kv_sum sum;
	struct kv_write *writes;
	size_t writes_n, writes_cap;
	struct kv_count *staged; /* new absolute counters of the group's domains */
	size_t staged_n, staged_cap;
	struct buf rows;

	_Atomic uint64_t published;
	uint16_t line; /* of every commit row; set by the open */
};

int kv_commit_init(struct kv *kv, const struct kv_commit_row *row);
void kv_commit_release(struct kv *kv);
/* During the open: a commit of nothing, which puts the store on the line @line. Not synced. */
int kv_commit_line(struct kv *kv, uint16_t line);
/* Queues it, and returns when its group is written or refused: 0 or -errno. */
int kv_commit_run(struct kv *kv, struct kv_txn *txn);

/* ---- what was just written or read (recent.c) ------------------------------------------------- */

#define RECENT_SLOTS 1024 /* a power of two */
#define RECENT_VALUE 768  /* bytes of the largest value that is kept */

struct kv_recent {
	pthread_mutex_t lock;
	struct kv_recent_slot *slots;
	_Atomic uint64_t generation; /* rises with each transaction that is noted; lock, to change it */
};

/* The state of things before the engine is asked for what is to be kept. */
struct kv_recent_reading {
	uint64_t generation, sequence;
};

/* By which conflicts and recent records are found: keyed, anew at each open. */
uint64_t kv_key_hash(const struct kv *kv, enum kv_family family, const void *key, size_t key_len);
int kv_recent_init(struct kv *kv);
void kv_recent_release(struct kv *kv);
/* By the leader of a commit, for each transaction of its group, before they are published. */
void kv_recent_note(struct kv *kv, const struct kv_txn *txn);
/* A record of KV_META; @hash is kv_key_hash(). */
struct kv_recent_key {
	uint64_t hash;
	const void *key;
	size_t len;
};
/*
 * What a transaction that began at @start (UINT64_MAX: a reader of now) is to see: 0, with the record's identity and
 * @ret_value, each of which may be NULL; -ENOENT: it is not there; -EAGAIN: not known here; -ENOMEM.
 */
int kv_recent_get(struct kv *kv, uint64_t start, const struct kv_recent_key *key, uint8_t ret_id[SEAL_ID_BYTES],
	struct buf *ret_value);
/* Nothing is at hand any more: the engine was opened anew, and what it shows may have been undone. */
void kv_recent_drop(struct kv *kv);
struct kv_recent_reading kv_recent_reading(struct kv *kv);
/*
 * Keeps what the engine said since, unless something was committed in between: @value, sealed as @sealed, or NULL:
 * there is none.
 */
void kv_recent_keep(struct kv *kv, const struct kv_recent_reading *reading, const struct kv_recent_key *key,
	const void *sealed, size_t sealed_len, const struct buf *value);

int kv_counters_init(struct kv *kv, const struct kv_commit_row *row);
void kv_counters_release(struct kv *kv);
/* Adds a transaction's deltas to commit.staged; nothing else changes. Leader only. -ENOMEM. */
int kv_counters_stage(struct kv *kv, const struct kv_txn *txn);
/*
 * Works out which domains stand in the commit row after commit.staged; @ret_row gets them with
 * their new values, @evicted those that need a row of their own now. Nothing changes. Returns how
 * many.
 */
size_t kv_counters_plan(struct kv *kv, struct kv_commit_row *ret_row, struct kv_count *evicted);
/* Room in the table for all that is staged, so that kv_counters_install() cannot fail. */
int kv_counters_reserve(struct kv *kv);
void kv_counters_install(struct kv *kv, const struct kv_commit_row *row);

/* ---- mark (mark.c) --------------------------------------------------------------------------- */

struct kv_mark {
	int fd;          /* -1: none */
	uint64_t number; /* of the last slot that was written */
	uint64_t sequence;
	bool clean;
	bool unsynced; /* written since the last kv_mark_sync() */
};

/*
 * Opens `mark` in the store's directory and reads it. 0, -ENOENT there is none, -EBADMSG neither
 * slot is authentic (the file stays open for writing).
 */
int kv_mark_open(struct kv *kv, const char *path, bool read_only, struct kv_mark *ret_mark);
/* Whether the file says something authentic; changes nothing. 0, -ENOENT, -EBADMSG. */
int kv_mark_check(const char *path, const struct keyring *keyring);
/* Overwrites the older slot (nothing while a repair is under way). Not synced: that it lags does no harm. */
int kv_mark_write(struct kv *kv, struct kv_mark *mark, uint64_t sequence, bool clean);
/* So that the loss of power leaves what was written. Where it fails the mark lags. */
void kv_mark_sync(struct kv_mark *mark);

/* ---- open in steps (kv.c) -------------------------------------------------------------------- */

/* Lock, keyring and mark of the store, for kv_rebuild(); no engine. Freed with kv_release(). */
int kv_hold(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv **ret_kv);
void kv_release(struct kv *kv);
/*
 * Puts another iterator, over all of @family, in the place of one whose move from @key on failed; it
 * stands at the first record above that can be read: 1, or 0 there is none.
 */
int kv_pass_gap(struct kv *kv, enum kv_family family, struct kv_engine_iter **it,
	const uint8_t *key, size_t key_len);

/* ---- what was seen of the store, outside of it (seen.c) ---------------------------------------- */

#define KV_SEEN_LINES 16
#define KV_SEEN_SLOT_BYTES 512

struct kv_seen_line {
	uint64_t sequence;
	int64_t when; /* seconds since 1970 */
	uint16_t line;
};

struct kv_seen_table {
	uint64_t number; /* of the write that it is from */
	unsigned n;
	struct kv_seen_line line[KV_SEEN_LINES];
};

struct kv_seen { /* after the open: the flusher's */
	int fd;	 /* -1: none is kept */
	struct kv_seen_table table;
	uint64_t told; /* the sequence at the last write */
	int64_t told_at; /* ms */
};

/* One slot of the file, the one at @index. -EBADMSG. */
void kv_seen_encode(const struct kv_seen_table *table, const uint8_t id[16], const uint8_t key[32],
	uint8_t ret_slot[KV_SEEN_SLOT_BYTES]);
int kv_seen_decode(const uint8_t slot[KV_SEEN_SLOT_BYTES], const uint8_t id[16],
	const uint8_t key[32], size_t index, struct kv_seen_table *ret_table);

/* Opens and reads the file; what goes wrong is in state.seen_error and never fails the store's open. */
void kv_seen_open(struct kv *kv);
void kv_seen_close(struct kv *kv);
/* The highest sequence of any line. */
uint64_t kv_seen_highest(const struct kv *kv);
/* -ESTALE: the store that holds @row is older than what was seen. Accepted: 0, in state.accepted. */
int kv_seen_check(struct kv *kv, const struct kv_commit_row *row);
bool kv_seen_knows(const struct kv *kv, uint16_t line);
/* A number that no line has. */
uint16_t kv_seen_new_line(const struct kv *kv);
/* Writes down what is synced by now. Not synced itself. */
void kv_seen_write(struct kv *kv);
/* The same, half a minute after the last time at the earliest. */
void kv_seen_tick(struct kv *kv, int64_t now_ms);

/* ---- what callers are busy with (busy.c) ------------------------------------------------------- */

#define KV_BUSY_SLOTS 4096
#define KV_BUSY_SLOT_BYTES 32
#define KV_BUSY_LEFT 1 /* by the process before */
#define KV_BUSY_OURS 2
#define KV_BUSY_DIED UINT64_MAX /* the word that says that a process died; no caller's */

struct kv_busy {
	int fd; /* -1: nothing is noted */
	pthread_mutex_t lock;
	/* under lock: */
	uint8_t *taken;	     /* by slot: 0, KV_BUSY_LEFT, KV_BUSY_OURS */
	uint32_t first_free; /* none below it is */
	bool changed;	     /* since the last sync */
	int64_t synced_at;   /* ms; the flusher's */
};

/* The word @word in slot @number of the file. -ENOENT: none, -EBADMSG. */
void kv_busy_encode(uint64_t word, const uint8_t id[16], const uint8_t key[32], uint32_t number,
	uint8_t ret_slot[KV_BUSY_SLOT_BYTES]);
int kv_busy_decode(const uint8_t slot[KV_BUSY_SLOT_BYTES], const uint8_t id[16],
	const uint8_t key[32], uint32_t number, uint64_t *ret_word);

/* In a store that is opened for writing. */
void kv_busy_open(struct kv *kv);
/* The store is closed in order: nobody is busy. */
void kv_busy_close(struct kv *kv);
void kv_busy_release(struct kv *kv);
/* Syncs what has changed, every few seconds. */
void kv_busy_tick(struct kv *kv, int64_t now_ms);
/* ---- the gate (gate.c) and healing (heal.c) --------------------------------------------------- */

struct kv_gate {
	_Atomic unsigned state; /* how many are inside, and two flags */
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

void kv_gate_init(struct kv_gate *g);
void kv_gate_release(struct kv_gate *g);
/* Until kv_leave() by the same thread the engine stays. -EIO: there is none, the disk failed. */
int kv_enter(struct kv *kv);
void kv_leave(struct kv *kv);
/* Whether this thread is inside, of any store. */
bool kv_gate_holds(void);
/* 0: nobody is inside, until it is opened. -EBUSY after @ms. */
int kv_gate_close(struct kv_gate *g, unsigned ms);
void kv_gate_open(struct kv_gate *g);

struct kv_health {
	_Atomic int error;     /* 0: well; else what commits and syncs get */
	_Atomic bool lost;     /* only a new opening of the store helps */
	_Atomic bool told;     /* the log knows of a failure, and not yet of its end */
	_Atomic int64_t since; /* ms, of that failure */
	_Atomic int64_t healed; /* ms */
	int64_t tried;         /* the flusher's own, as the next */
	unsigned looks;        /* that found less than is published, one after the other */
	/* What takes the refused batch back: set by its leader, used behind the closed gate. */
	struct kv_write *undo;
	size_t undo_n;
	struct buf undo_bytes;
};

/* 0: well. The error that commits and syncs get at last. */
int kv_health_error(const struct kv *kv);
/* The same for a commit now: -EAGAIN while it is to begin anew. */
int kv_health_check(struct kv *kv);
/* Before a transaction begins: waits a moment for the healing where commits are held up. */
void kv_health_wait(struct kv *kv);
/* The engine failed and is to be opened anew. Any thread. */
void kv_health_fail(struct kv *kv, int error);
/* By the leader whose batch was refused, before that: reads what the batch would have replaced. */
void kv_health_note_undo(struct kv *kv, const struct kv_write *writes, size_t n);
/* The flusher's: whether it is time to try again. */
bool kv_heal_due(const struct kv *kv);
/* The flusher's: tries to heal, at most once a second. 0: well, and all that is published synced. */
int kv_heal(struct kv *kv);
/* The flusher's: the line that all is well again, when it has been for a while. */
void kv_health_tell(struct kv *kv);
void kv_health_release(struct kv *kv);

/* ---- flusher, space, lock -------------------------------------------------------------------- */

struct kv_waiter {
	void (*done)(void *arg, int error);
	void *arg;
};

struct kv_flusher {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
	struct kv_waiter *waiters;
	size_t waiters_n, waiters_cap;

	_Atomic bool expected; /* a waiter is on its way; */
	_Atomic bool come;     /* there is one: waiters_n, to be read without the lock */
	_Atomic uint64_t synced;
	_Atomic int64_t dirty_since; /* ms, of the first commit that is not synced; 0: none */
};

int kv_flusher_start(struct kv *kv);
/* Serves all waiters, syncs, joins. 0 or the sync's error. */
int kv_flusher_stop(struct kv *kv);
/* The committer's word that there is something to sync. */
void kv_flusher_note(struct kv *kv);
/* Something failed: it looks now and not at the next tick. */
void kv_flusher_wake(struct kv *kv);
/* Of the monotonic clock. */
int64_t kv_now_ms(void);

struct kv_space_cache {
	_Atomic uint64_t total, free; /* of the disk, at the last look */
	_Atomic uint64_t written;     /* by commits since then: an estimate */
	_Atomic uint64_t look_at;     /* with that much written the disk is looked at again */
	_Atomic uint64_t reserved;    /* bytes that the reserve takes on the disk */
	int reserve_fd;               /* -1: none */
	bool full;                    /* the flusher's own: what the log was told */
	_Atomic bool deleted;         /* by a shrinking commit, since the engine was asked to shrink */
};
/* Opens the reserve (space.c). Without one the store works, too. */
void kv_space_open(struct kv *kv);
void kv_space_close(struct kv *kv);
/* A look at the disk; by the flusher also: fills the reserve where there is room, tells the log. */
int kv_space_refresh(struct kv *kv);
void kv_space_tend(struct kv *kv);
/* What a commit of @bytes may have taken: twice as much, in the log and in a table. */
void kv_space_note(struct kv *kv, size_t bytes);
/* -ENOSPC where a growing commit is to be refused. A shrinking one may give up the reserve. */
int kv_space_check(struct kv *kv, bool shrinking);
/* Gives the reserve's blocks back to the disk, until there is room for it again. */
void kv_space_give(struct kv *kv);
/* For the engine to open again; the reserve is given up for it. -ENOSPC: there is none. */
int kv_space_make_room(struct kv *kv);

/* Takes the store's lock and writes our pid into it. -EBUSY, -EROFS, -EACCES … */
int kv_lock_take(const char *path, bool read_only, int *ret_fd);
void kv_lock_drop(int fd);

/* ---- the store ------------------------------------------------------------------------------- */

/* In locked memory. */
struct kv_secrets {
	uint8_t tree[32]; /* the first 16 bytes key the sum */
	uint8_t mark[32];
	uint8_t seen[32];
	uint8_t busy[32];
	uint8_t conflict[16]; /* random, of this process */
};

struct kv_view {
	struct kv *kv;
	struct kv_engine_view *engine_view;
};

struct kv {
	char *path;
	struct kv_options options;
	struct kv_state state; /* set by kv_open(), then constant, but for check.h's kv_settle() */
	_Atomic bool mending;  /* opened with options.repair, not settled yet: `mark` stays as it was */
	struct keyring *keyring;
	struct kv_secrets *secrets;
	struct seal_context seal;
	const struct seal_key *own_key; /* domain 0 */
	const struct kv_engine_ops *ops;
	struct kv_engine *engine; /* used within the gate; NULL: the disk failed */
	int lock_fd;
	struct kv_mark mark; /* after the open: the flusher's */
	struct kv_seen seen;
	struct kv_busy busy;
	struct kv_commit commit;
	struct kv_recent recent;
	struct kv_counters counters;
	struct kv_flusher flusher;
	struct kv_space_cache space;
	struct kv_gate gate;
	struct kv_health health;
	struct crew crew;
};

#endif
