/*
 * inode.h: the inode record, the inode and the container in memory, and the caches that hold them.
 * Used by core and by fs/session; nobody else.
 *
 * Invariants (and what guards them):
 *  1. inode->rec, ->inline_data, ->facts, ->data: inode->lock. To change them for a transaction they are
 *     staged (op.h): the write lock is held from staging to the end of the op.
 *  2. Entries, and all records of a container that are no single inode's: container->lock; write-locked
 *     by operations that change them, read-locked by look-up and listing.
 *  3. Lock order: containers by rising id, then inodes. Who holds an inode's lock never waits for a
 *     container's. An op that holds its containers may lock their inodes in any order.
 *  4. The record that is stored is always one that the inode had as a whole: a commit of the record takes
 *     the buffered data along (size and chunks in one batch).
 *  5. An inode without links has no record (it is a ghost, living in memory while something refers to it),
 *     or, when its data is in chunks, a record and a KEY_WORK row that deletes it after a crash.
 */
#ifndef SCRIBEFS_FS_CORE_INODE_H
#define SCRIBEFS_FS_CORE_INODE_H

#include "fs/core/core.h"
#include "fs/core/data.h"
#include "fs/core/key.h"

#include <pthread.h>
#include <time.h>

#define INODE_LOADING 1
#define INODE_INLINE_MAX 4096 /* bytes of a file that lie inside its inode record */
#define INODE_TAIL_MAX 4096   /* of a mapped file that do: data.h */

/* What follows the fixed part of the record. Numbers are part of the format. */
enum inode_body {
	INODE_EMPTY = 0,  /* directories, devices, empty files */
	INODE_INLINE = 1, /* the file's bytes */
	INODE_MAPPED = 2, /* chunks under a tree of map pages; its tail's bytes (data.h) */
	INODE_TARGET = 3, /* a symlink's target */
};

enum inode_flags {
	INODE_NUMBERED = 1,  /* directory: NNN.md are keyed by their number (name.h) */
	INODE_MTIME_SET = 2, /* a caller set mtime since the last write (utimensat) */
	INODE_CONTAINER_ROOT = 4,
	INODE_CAPABILITY = 8, /* has security.capability, which a write removes (xattr.h) */
};

/* A multiset hash: the sum mod 2^128 of keyed hashes of the elements, big-endian. */
struct msum {
	uint64_t hi, lo;
};
void msum_add(struct msum *sum, const uint8_t hash[16]);
void msum_sub(struct msum *sum, const uint8_t hash[16]);

#define IREC_EPOCH_AT 57 /* where the epoch stands in the record */

/* The record's fixed part, decoded. Plain data: copied freely. */
struct irec {
	uint32_t mode;	  /* type and permission bits */
	uint32_t uid, gid;
	uint32_t nlink;	  /* directories: 2 + subdirectories */
	uint32_t generation;
	uint32_t rdev;
	uint8_t role;	  /* what it means to the layer above; 0 is plain */
	uint8_t flags;	  /* enum inode_flags */
	uint8_t body;	  /* enum inode_body */
	uint64_t size;	  /* bytes; of a directory: entries */
	uint64_t parent;  /* directories: "..", files: a directory that has (or had) a link, for names in fsck */
	uint32_t number;  /* by a name in a numbered directory, which parent is then; 0 none */
	uint64_t change;  /* rises with each commit */
	uint64_t epoch;	  /* of the store when the record was written: how many snapshots there had been */
	struct timespec atime, mtime, ctime, btime;
	struct msum entries; /* directories: over all entries */
	uint32_t xattrs;     /* number of xattr records */
	struct msum xattr_sum;
	struct map_root map; /* mapped files: data.h */
};

/* Immutable, reference-counted bytes: the layer above's facts about an inode. */
struct blob {
	int refs; /* atomic */
	uint32_t len;
	uint8_t data[];
};
struct blob *blob_new(const void *data, size_t len); /* NULL: no memory */
struct blob *blob_ref(struct blob *b);		     /* NULL is fine */
void blob_unref(struct blob *b);

/*
 * The codec. Appends the record to @ret_record. @inline_data is the file's bytes (INODE_INLINE), its tail
 * (INODE_MAPPED) or the target; @facts may be NULL. Decoding replaces @ret_inline and hands over @ret_facts. -EBADMSG,
 * -EPROTONOSUPPORT.
 */
int irec_encode(const struct irec *rec, const struct buf *inline_data, const struct blob *facts,
	struct buf *ret_record);
int irec_decode(const void *data, size_t len, struct irec *ret_rec, struct buf *ret_inline,
	struct blob **ret_facts);
/* Whether the last @len bytes of a mapped file lie in one chunk, and not at its start; or 0. */
bool irec_may_have_tail(const struct irec *rec, size_t len);

struct container {
	uint32_t id, domain;
	struct core *core;
	int refs; /* core->cache_lock, and the next two */
	bool hashed;
	struct container *hash_next;
	pthread_rwlock_t lock;
	/* the record, under lock: */
	uint8_t kind;	      /* the layer above's; part of the record */
	uint64_t ino_next;    /* the next number to hand out */
	/* numbers below are covered by the committed record: after a crash it goes on here */
	uint64_t ino_granted;
	uint64_t lease_end;   /* end of the run of blocks that ino_next lies in */
	bool dead;	      /* removed; whoever finds it looks up again */
	/*
	 * Another number, unique while the store is open, after each change of what the layer above derives
	 * from: read it (under lock) before what is derived from, and an equal one later says that it holds.
	 */
	_Atomic uint64_t stamp;
	_Atomic uint64_t touched; /* rises with each change of anything in it, likewise */
	_Atomic bool noted; /* core_set_stamped(): this one was told, and container_again() not called */
	_Atomic uint64_t told; /* core_set_watch(): 1 + the epoch of the last change that was told */
	/* lock: the epoch in which row 0 of the session layer was written last, 0 not known: that row says none */
	uint64_t row_epoch;
	void *session;	      /* the session layer's state, freed by what core_set_session_release() was given */
};

struct inode {
	uint64_t ino;
	struct core *core;
	struct container *container; /* a reference */
	/* of the record, set before others find it and never changed: read without a lock */
	mode_t type; /* S_IFMT bits */
	uint32_t generation;
	bool numbered; /* INODE_NUMBERED */
	uint64_t at;   /* the snapshot that it is seen in, 0 the present (snapshot.h) */
	/* core->cache_lock (icache.c): */
	int refs;
	struct inode *hash_next, *lru_prev, *lru_next;
	/* lock: */
	pthread_rwlock_t lock;
	_Atomic int state; /* 0 good, INODE_LOADING (by who holds lock), -errno could not be loaded */
	struct irec rec;
	struct buf inline_data; /* INODE_INLINE: current bytes, also uncommitted ones; INODE_TARGET; MAPPED: the tail */
	struct blob *facts;
	struct data data; /* buffered chunks, open counts */
	_Atomic bool ghost; /* no record in the store: unlinked and small (invariant 5); a directory's is final */
	bool orphan;	  /* record and KEY_WORK row, no links */
	bool pinned;	  /* ghost or orphan: holds a reference of its own until forgotten; core->cache_lock */
	bool hashed;	  /* in the cache; core->cache_lock */
	uint64_t counted; /* bytes of inline data in the domain's counter */
	/* map.next_version of the newest version of the record in the history: past.h */
	uint64_t kept;
	bool kept_known;
	bool attr_dirty;  /* rec has changes (times, size) that wait for a commit */
	bool untaken;	  /* written since the session layer took it in (fs/session) */
};

/* icache.c: by number; @container is a hint (may be NULL: the lease rows say). -ENOENT, -EBADMSG. */
int inode_get(struct core *core, uint64_t ino, struct container *container, struct inode **ret_inode);

/* scan.c: loading many inodes of one container. Begins with core and container set and is released; one thread's. */
struct inode_scan {
	struct core *core;
	uint32_t container;
	bool off;      /* look-ups from now on */
	uint64_t last; /* number that was asked for */
	struct kv_iter *it;
	uint64_t stands;   /* number that it stands at, 0 none */
	uint64_t sequence; /* of the commits that it shows at least */
};
void inode_scan_release(struct inode_scan *scan);
/* inode_get() of one that may be near the last of @scan, which may be NULL. */
int inode_get_next(struct core *core, uint64_t ino, struct container *container, struct inode_scan *scan,
	struct inode **ret_inode);

struct inode *inode_ref(struct inode *inode);
void inode_put(struct inode *inode);
/* Whether any inode in memory is untaken. For the end, when no requests come any more. */
bool inode_any_untaken(struct core *core);
/* Only if it is in memory; else NULL. */
struct inode *inode_peek(struct core *core, uint64_t ino);
void inode_stat(const struct inode *inode, struct stat *ret_st); /* caller holds inode->lock */
bool inode_is_dir(const struct inode *inode);
/* relatime: whether a read at @now moves atime (not younger than the last change, or a day old). */
bool irec_atime_stale(const struct irec *rec, const struct timespec *now);

/* container.c */
int container_get(struct core *core, uint32_t domain, uint32_t id, struct container **ret_container);
struct container *container_ref(struct container *c);
void container_put(struct container *c);
/* Something in it changed, or is about to within an op that holds its lock. */
void container_stamp(struct container *c);
/*
 * @stamped is called when a container is stamped, with locks held: it only notes it. Once for each, until
 * container_again(); who calls that and then takes the container's lock sees all that was not told. NULL: no more,
 * also none that is under way.
 */
void core_set_stamped(struct core *core, void (*stamped)(void *arg, uint32_t container), void *arg);
void container_again(struct core *core, uint32_t container);
/* When a container leaves memory, @release is called with its session pointer. Once, at start. */
void core_set_session_release(struct core *core, void (*release)(void *session));
/*
 * Called for each inode of a snapshot when it is loaded, its lock held; what it changes in the record and the
 * inline bytes is what is seen of it. It must take no container's lock. Once, at start.
 */
void core_set_past_loaded(struct core *core, int (*loaded)(void *arg, struct inode *inode), void *arg);
/*
 * For automatic snapshots. Called with locks held: they only note it. NULL: no more, also none that is under way.
 * changed: something in the container was changed and committed in @epoch (op.h): the snapshots with ids up to
 * that do not have it. Only the first change of each epoch is told; read times are none.
 * full: a commit got -ENOSPC, or kept something for snapshots on a full disk.
 */
struct core_watch {
	void (*changed)(void *arg, const struct container *c, uint64_t epoch);
	void (*full)(void *arg);
};
void core_set_watch(struct core *core, const struct core_watch *watch, void *arg);
/*
 * Whether a snapshot has the inode as it is now, content and all. The caller holds its lock. An inode of a snapshot
 * is held.
 */
int inode_is_held(struct inode *inode, bool *ret_held);
/* Whether something in the container was changed since the newest snapshot that covers it. Reads all its inodes. */
int container_is_held(struct core *core, uint32_t domain, uint32_t id, const bool *stop, bool *ret_held);
/* When an inode of a snapshot was modified: the root of one shows when that was taken instead. */
int inode_past_mtime(struct inode *inode, struct timespec *ret_mtime);
/* Calls @each for the entries of a directory of the past, by rising key, until it returns something else than 0. */
struct dentry;
int past_entries(struct inode *dir, int (*each)(void *arg, struct inode *dir, const struct dentry *d),
	void *arg);
/* The inode of an entry; a missing or different one is -EBADMSG. */
int dentry_child(struct core *core, struct inode *dir, const struct dentry *d,
	struct inode **ret_child);

DEFINE_CLEANUP(struct inode *, inode_put);
DEFINE_CLEANUP(struct container *, container_put);
DEFINE_CLEANUP(struct blob *, blob_unref);
#define _cleanup_inode_ _cleanup_(inode_putp)

#endif
