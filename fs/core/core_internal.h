/*
 * core_internal.h: the context of core and what its files owe each other. Only for fs/core.
 */
#ifndef SCRIBEFS_FS_CORE_INTERNAL_H
#define SCRIBEFS_FS_CORE_INTERNAL_H

#include "fs/core/gate.h"
#include "fs/core/inode.h"
#include "fs/core/op.h"
#include "fs/core/snapshot.h"

#include <stdatomic.h>

struct pins;	   /* pins.c: the snapshots that there are */
struct node_table; /* nodes.c: look-up counts by inode number */
struct worker;	   /* worker.c */
struct ahead;	   /* ahead.c: what is read ahead of an open file */
struct reader;	   /* ahead.c: the thread that does */
struct committer;  /* commit.c: commits buffered data by time and amount */

struct core {
	struct kv *kv;
	struct core_options options;
	bool tails; /* may be written: the store says that it has them */

	/* Caches: icache.c and container.c. */
	pthread_mutex_t cache_lock;
	struct inode **inode_hash;
	size_t inode_buckets, inode_count, inode_unused, inode_unused_bytes;
	struct inode *lru_head, *lru_tail; /* unused ones, least recently used first */
	struct container **container_hash;
	size_t container_buckets, container_count;
	void (*session_release)(void *session);
	struct node_table *nodes;

	pthread_mutex_t lease_lock; /* the counter of blocks; taken inside container locks */
	uint32_t next_block, granted_block;
	pthread_mutex_t rename_lock; /* moves of directories between directories, before any container */

	/* Buffered data: data.c and commit.c. */
	pthread_mutex_t dirty_lock; /* the list below; only cache_lock is taken inside it */
	struct inode *dirty_head;
	size_t dirty_listed;
	_Atomic size_t dirty_bytes;
	struct map_cache *map_cache; /* map.h */
	struct committer *committer;
	struct reader *reader;

	struct worker *worker;
	_Atomic uint64_t work_sequence;

	/* Snapshots: README.md. */
	struct gate gate;
	struct pins *pins;		/* pins.h */
	int (*past_loaded)(void *arg, struct inode *inode);
	void *past_loaded_arg;
	/* core_set_watch(); called with tell_lock held, which is taken inside all others. */
	pthread_mutex_t tell_lock;
	const struct core_watch *watch;
	void *watch_arg;
	void (*stamped)(void *arg, uint32_t container); /* core_set_stamped(), likewise */
	void *stamped_arg;
	pthread_mutex_t snapshot_lock; /* one taking, dropping or renaming at a time; before all others */
	_Atomic uint64_t stamp; /* the last that container_stamp() gave */
};

struct file {
	struct inode *inode; /* a reference */
	int flags;
	/* ahead.c: */
	_Atomic(struct ahead *) ahead;
	_Atomic uint64_t next;	 /* where who reads from the front goes on */
	_Atomic unsigned streak; /* reads in a row */
};

/* nodes.c */
struct node_table *node_table_new(void);
void node_table_free(struct node_table *t);
int node_add(struct node_table *t, uint64_t ino);			 /* one more look-up; -ENOMEM */
uint64_t node_remove(struct node_table *t, uint64_t ino, uint64_t nlookup); /* what is left */
bool node_known(struct node_table *t, uint64_t ino);
/* core_bound_known(), core_known_surplus(), core_known_oldest(). */
void node_bound(struct node_table *t, size_t most, void (*crowded)(void *arg), void *arg);
size_t node_surplus(struct node_table *t);
size_t node_oldest(struct node_table *t, uint64_t *ret_inos, size_t max);

/* icache.c */
int icache_init(struct core *core);
void icache_release(struct core *core);
/* Sets what is constant, from the record. */
void inode_settle(struct inode *inode);
/* A new object for a number that was just handed out; not in the cache until icache_announce(). */
struct inode *inode_alloc(struct core *core, uint64_t ino, struct container *container);
/* With its lock write-held: found from now on, by who then waits for the lock. Before the commit that makes it … */
void icache_announce(struct inode *inode);
/* … and after it: done, or failed. */
void icache_publish(struct inode *inode);
void icache_withdraw(struct inode *inode);
/* A ghost or orphan is referenced by nobody any more: called with no locks held. */
void inode_forgotten(struct core *core, uint64_t ino);
/* A ghost or orphan gets a reference of its own, until it is forgotten. */
void inode_pin(struct inode *inode);
/* Whether someone may still reach it: an open file or the kernel. inode->lock is held. */
bool inode_reachable(const struct inode *inode);

/* scan.c: for an inode that is being loaded, and hashed: 1 @ret_record is its record as it is now, 0 look it up. */
int inode_scan_get(struct inode_scan *scan, const struct inode *inode, struct buf *ret_record);

/* attr.c: relatime, in memory: stored when something else is, or after a while. No locks held. */
void inode_accessed(struct inode *inode);
/* attr.c: suid, and sgid where the group may execute or @kill has CORE_SET_KILL_SGID. */
void irec_kill_set_id(struct irec *rec, unsigned kill);

/* container.c */
int container_init(struct core *core);
void container_release(struct core *core);
/* A new one is found from now on; where the commit that makes it fails it is dead. */
void container_publish(struct container *c);
void container_withdraw(struct container *c);
bool container_is_warm(struct core *core, uint32_t id); /* it is in memory */
/* One that stands in for a removed container, whose orphans are to be deleted. Not in the cache. */
int container_removed(struct core *core, uint32_t domain, uint32_t id,
	struct container **ret_container);
/* Numbers: the next of @c, leasing a block or raising the grant in the op's transaction when needed. */
int container_next_ino(struct op *op, struct container *c, uint64_t *ret_ino);
int container_new(struct op *op, uint32_t domain, uint8_t kind, struct container **ret_container);
/* Who owns this number, by the lease rows. */
int lease_find(struct core *core, uint64_t ino, uint32_t *ret_domain, uint32_t *ret_container);

/* name.c */
int dentry_get(struct core *core, struct kv_txn *txn, struct inode *dir, uint64_t key,
	struct dentry *ret_dentry);
/* The child's number as it is seen in @dir: of the same snapshot. */
static inline uint64_t dentry_ino(const struct inode *dir, const struct dentry *d)
{
	return (dir->ino & ~SNAPSHOT_INO_MASK) | d->ino;
}
/* dentry_child(), of one after the other. */
int dentry_next_child(struct core *core, struct inode *dir, const struct dentry *d,
	struct inode_scan *scan, struct inode **ret_child);
/* The inode of a name; a missing or different one is -EBADMSG. */
int dentry_inode(struct core *core, struct kv_txn *txn, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child);

/* make.c, remove.c: steps that the namespace operations share. */
int op_plan(struct op *op, const struct core_rule *rule);
int op_also(struct op *op, const struct core_rule *rule);
/* -ENOTEMPTY; its container too, and the domain that it has apart from @parent. */
int op_drop_dir(struct op *op, struct inode *parent, struct inode *dir);
int op_entry(struct op *op, struct inode *inode, struct core_entry *ret_entry);

/* make.c: 0, -EINVAL (empty), -ENAMETOOLONG. */
int name_check(const char *name, size_t *ret_len);
bool name_is_dots(const char *name); /* "." or ".." */
/* lookup.c: what the kernel gets; counts a look-up. */
int entry_fill(struct inode *inode, struct core_entry *ret_entry);
/* A directory that can be worked in: -ENOENT when it is a ghost, -ENOTDIR. */
int dir_get(struct core *core, uint64_t ino, struct inode **ret_dir);
/* Finds a child under the container's read lock; -ENOENT in a ghost. */
int dir_find(struct core *core, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child);

/* worker.c: deletion in the background. The rows are KEY_WORK in domain 0. */
int worker_start(struct core *core);
void worker_stop(struct core *core);
void worker_kick(struct core *core);
enum work_kind {
	WORK_ORPHAN = 1,
	WORK_REMOVE = 2,
	WORK_TAIL = 3,
	WORK_DOMAIN = 4,
	WORK_SWEEP = 5,
};
/* Stages a row in the op: @from_chunk and @max_version for WORK_TAIL. The worker is woken after the commit. */
int work_add(struct op *op, enum work_kind kind, struct inode *inode, uint64_t from_chunk,
	uint64_t max_version);
/* Turns an orphan's row into WORK_REMOVE (last reference gone). */
int work_orphan_done(struct core *core, struct inode *inode);
int work_add_domain(struct op *op, uint32_t domain);
int work_add_sweep(struct kv_txn *txn, uint64_t id, uint32_t domain, uint32_t container, bool alone);

/* commit.c (data): the thread that commits what is older than commit_ms. */
int committer_start(struct core *core);
void committer_stop(struct core *core);
/* Commits one inode's buffered changes; no locks held. With @keep_error the error stays for the next close. */
int commit_inode(struct core *core, struct inode *inode, bool keep_error);
/* Commits what is buffered of files in the container @place and those that lie in it, up to the first error. */
int commit_below(struct core *core, uint32_t place);
/* snapdir.c: .snapshots/ of a place, an inode that is made anew for each who asks. */
int snapdir_inode(struct core *core, uint64_t ino, struct inode **ret_dir);
int snapdir_lookup(struct inode *dir, const char *name, struct core_entry *ret_entry);
int snapdir_list(struct inode *dir, uint64_t cookie, bool with_attr, core_fill fill, void *arg);


/* xattr.c: deletes all xattr records of an inode that is being dropped. */
int xattr_drop_all(struct op *op, struct inode *inode);

static inline struct key inode_key(const struct inode *inode, enum key_kind kind)
{
	return key_make(inode->container->domain, inode->container->id, kind, inode->ino);
}

#endif
