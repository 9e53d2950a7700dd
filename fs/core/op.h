/*
 * op.h: one operation of the filesystem as one transaction: lock, stage, commit, publish.
 * Used by core and by fs/session; nobody else.
 *
 *   _cleanup_(op_end) struct op op;
 *   op_begin(&op, core, who);
 *   op_lock(&op, …containers…);          all at once, sorted inside
 *   … read, check, refuse …
 *   rec = op_stage(&op, inode);          write-locks the inode; rec is a copy to change
 *   op_add_entry(…), op_put(…) …
 *   r = op_commit(&op);                  encodes staged records, commits, then publishes to memory
 *
 * If anything fails nothing in memory has changed: op_end() drops everything and unlocks. On -EAGAIN (a
 * conflict, maybe spurious) the caller runs the whole operation again; OP_RETRY does that.
 */
#ifndef SCRIBEFS_FS_CORE_OP_H
#define SCRIBEFS_FS_CORE_OP_H

#include "fs/core/inode.h"
#include "fs/core/name.h"

#define OP_CONTAINERS 6
#define OP_MOVED 2
#define OP_STAGED 32

struct staged {
	struct inode *inode; /* a reference, write-locked */
	struct irec rec;     /* becomes inode->rec */
	struct blob *facts;  /* becomes inode->facts; a reference */
	bool fresh;	     /* has no record yet */
	bool gone;	     /* the record is deleted by this op; the inode becomes a ghost */
	bool kept;	     /* the record that it had is copied to the history by this op */
};

struct op {
	struct core *core;
	struct cred who;
	struct kv_txn *txn;
	bool joined; /* txn is another's */
	struct timespec now;
	/* Since op_txn(): what is written is of this epoch, if no snapshot comes or goes before the commit. */
	uint64_t epoch, generation;
	struct container *locked[OP_CONTAINERS]; /* write-locked, references, by rising id */
	unsigned n_locked;
	unsigned n_staged;

	/*
	 * What a rule (core.h) sees. dir: the parent; dir2: rename's new parent; child: what is removed,
	 * renamed, linked, or in `also` what was made; victim: what a rename replaces or exchanges with.
	 * They are loaded and their containers locked, not staged, in plan. (In rmdir plan may stage the removal
	 * of what is in child: emptiness is judged after it.)
	 */
	struct inode *dir, *dir2, *child, *victim;
	const char *name, *name2; /* plan of a creation may point name to name_buf */
	size_t name_len, name2_len;
	char name_buf[CORE_NAME_MAX + 1];
	unsigned rename_flags;

	/* Set by plan for what is made: */
	uint8_t role;
	uint8_t inode_flags;	/* enum inode_flags to add */
	uint8_t container_kind; /* not 0: a directory that gets a container of its own */
	bool new_domain;	/* … and a domain */

	/* What op_find() found last, or missed; forgotten when an entry changes. */
	struct {
		struct inode *dir; /* NULL: nothing */
		size_t len;
		char name[CORE_NAME_MAX];
		int result; /* 0 or -ENOENT */
		struct dentry entry;
	} found;

	struct container *fresh_container; /* made by this op; in the cache once published */
	struct container *dead_container;  /* removed by this op; a reference */
	struct container *row_of;	   /* whose row 0 of the session layer it writes; it is locked */
	bool kick;			   /* wake the worker after the commit */
	uint32_t moved[OP_MOVED];	   /* containers that leave the place where they lay (pins.h) */
	unsigned n_moved;

	/* Called after a successful commit, locks still held. */
	void (*published)(struct op *op, void *arg);
	void *published_arg;

	struct staged staged[OP_STAGED]; /* n_staged of them: op_begin() leaves the others as they are */
};

void op_begin(struct op *op, struct core *core, const struct cred *who);
/* Write-locks the containers of the given inodes (NULLs and duplicates are fine). -ESTALE: one died. */
int op_lock(struct op *op, struct inode *const *inodes, unsigned n);
void op_end(struct op *op); /* for _cleanup_ */

/* Starts the transaction if there is none yet. */
int op_txn(struct op *op);

/*
 * Several ops as one transaction: each has locks and staged inodes of its own, of containers that no other has; all
 * containers are locked before the first begins the transaction. op_join() gives @op that of @first, which is ended
 * last. No op may look at an inode that another has staged.
 * Only in the instant of a snapshot (snapshot_take_then()): else they would take locks in no order.
 */
void op_join(struct op *op, struct op *first);

/*
 * The staged copy of the inode's record, to be changed. The first call locks the inode for writing, a
 * further one returns the same copy. NULL: too many. On commit ctime, change and times are as set by
 * the caller: staging alone changes nothing.
 */
struct irec *op_stage(struct op *op, struct inode *inode);
/* Replaces the facts of a staged inode. Takes over @facts. */
void op_set_facts(struct op *op, struct inode *inode, struct blob *facts);
struct blob *op_facts(struct op *op, struct inode *inode);

/* POSIX time marks on a staged record: op->now. */
void op_touch_dir(struct op *op, struct irec *dir); /* mtime and ctime */

/*
 * A new inode in @container with the next number, staged with nlink 0 and all times now. It belongs to
 * the op until published; ret_inode stays valid until op_end() (take a reference to keep it longer).
 */
int op_new_inode(struct op *op, struct container *container, mode_t mode, uint8_t role,
	struct inode **ret_inode);
/*
 * A new container of @kind for a directory that will stand in @parent's: its root directory's inode, staged
 * as op_new_inode() does. With @new_domain a domain is made for it too.
 */
int op_new_container(struct op *op, struct inode *parent, uint8_t kind, bool new_domain, mode_t mode,
	uint8_t role, struct inode **ret_root);

/* Entries. The directory and child are staged by these; nlink, size, sums and parent are kept right. */
int op_add_entry(struct op *op, struct inode *dir, const char *name, size_t len, struct inode *child);
int op_remove_entry(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode *child);
/* Points an existing entry to another inode (rename over, session.json's new one). */
int op_replace_entry(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode *old_child, struct inode *new_child);
/*
 * Takes an entry out of a directory, or gives it one, and nothing else: the child is not looked at, so its
 * links are right only when it is given to another directory by the same op; its parent is the caller's.
 */
int op_take_entry(struct op *op, struct inode *dir, const struct dentry *entry);
int op_give_entry(struct op *op, struct inode *dir, const struct dentry *entry);
/*
 * exchange.c: all that is in @dir, but @hidden, changes places with all that is in the directory @hidden, an
 * entry of it; both are of one container, which is locked. However many there are, no child is staged: what
 * is in @hidden was made with @dir as its parent already, and what comes to it keeps @dir's number, and
 * is for deletion. @each (may be NULL) is told the names that come or go.
 */
int op_exchange_children(struct op *op, struct inode *dir, struct inode *hidden,
	int (*each)(void *arg, const char *name), void *arg);
/* Appends all entries of @dir, as struct dentry, but that of the inode @but (0: none). */
int op_read_entries(struct op *op, struct inode *dir, uint64_t but, struct buf *entries);
/* The container leaves the one that it lies in for another: what a snapshot of that has of it stays. */
int op_leave_place(struct op *op, struct container *c);
/* dentry_find() within the op, which remembers the last answer. */
int op_find(struct op *op, struct inode *dir, const char *name, size_t len,
	struct dentry *ret_dentry);
/* Looks one up: -ENOENT. Committed state, or the op's own changes. */
int op_lookup(struct op *op, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child);

/* After nlink fell to 0: deletes the record, or makes it an orphan, and what hangs on it. */
int op_drop_inode(struct op *op, struct inode *inode);
/* Removes a container's own records (its root is dropped by op_drop_inode). */
int op_drop_container(struct op *op, struct container *container);

/*
 * A record of the layer above: u8 @which after (container, KEY_SESSION). Snapshots have those below
 * SESSION_KEPT.
 */
#define SESSION_KEPT 3
int op_put_session(struct op *op, struct container *c, uint8_t which, const void *value, size_t len);
int op_get_session(struct op *op, struct container *c, uint8_t which, struct buf *ret_value);
int op_delete_session(struct op *op, struct container *c, uint8_t which);

/* -EAGAIN: run the whole operation again. -EROFS. */
int op_commit(struct op *op);
/* The same for ops that are joined, all or none; the first has the transaction. */
int op_commit_all(struct op *const *ops, size_t n);

/*
 * Whether what ended with @r is to be run again. Who meets others again and again pauses in between, for up to
 * some ten seconds; the op's locks are given back by then. Giving up is logged.
 */
struct op_tries {
	unsigned met, moved; /* -EAGAIN, -ESTALE */
};
bool op_again(int r, struct op_tries *tries);

#define OP_RETRY(expr)                                                                             \
	__extension__({                                                                            \
		struct op_tries tries_ = {0};                                                      \
		int r_;                                                                            \
		do                                                                                 \
			r_ = (expr);                                                               \
		while (op_again(r_, &tries_));                                                     \
		r_ == -EAGAIN ? -EIO : r_ == -ESTALE ? -ENOENT : r_;                               \
	})

/* As op_get_session() outside of an op, under the container's lock. */
int session_record_get(struct core *core, struct container *c, uint8_t which, struct buf *ret_value);
/* As the snapshot @at sees it (@which below SESSION_KEPT). */
int session_record_get_at(struct core *core, struct container *c, uint8_t which, uint64_t at,
	struct buf *ret_value);

#endif
