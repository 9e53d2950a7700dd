/*
 * core.h: a POSIX filesystem on kv transactions: inodes, entries, data, xattrs, orphans.
 *
 * Used by fs/session (and fs/fuse for what needs no rule); uses kv. It knows no FUSE and does not know
 * what a session means: a layer above adds rules to an operation (struct core_rule) and gives inodes a
 * role that core stores. Permission checks are the kernel's (default_permissions); core keeps what the
 * kernel leaves to a filesystem: setgid inheritance, umask against default ACLs, clearing of suid bits.
 *
 * Every function may be called from any thread, takes inode numbers, and returns 0 or -errno as the
 * manual page of the system call has it; -EBADMSG means that a record failed its authentication.
 * Each namespace or attribute operation is one transaction: whole or absent after any crash.
 * Lock order: fs/README.md.
 */
#ifndef SCRIBEFS_FS_CORE_CORE_H
#define SCRIBEFS_FS_CORE_CORE_H

#include "kv/kv.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define CORE_NAME_MAX 255
#define CORE_ROOT_INO 256	     /* the root of the stored tree (users/); numbers below are the views' */
#define CORE_FILE_MAX (1ull << 50)   /* bytes; EFBIG beyond */
#define CORE_LINK_MAX 1000000	     /* hard links of one inode; EMLINK beyond */

struct core;
struct op;
struct inode;

/* Who asks. The umask applies where the parent has no default ACL. */
struct cred {
	uid_t uid;
	gid_t gid;
	pid_t pid; /* of the calling thread, 0 for the daemon itself */
	mode_t umask;
};

struct core_options {
	bool read_only;
	uint8_t root_role;	/* for the root directory when the store is new */
	uid_t root_uid;		/* and its owner and mode */
	gid_t root_gid;
	mode_t root_mode;	/* permission bits */
	unsigned commit_ms;	/* buffered data is committed at most this long after its write; 0: 1000 */
	size_t dirty_bytes;	/* bound on buffered data of all files; 0: 32 MiB */
	size_t inodes;		/* kept in memory when nobody uses them, as far as 8 MiB hold them; 0: 16384 */
	bool noatime;		/* reading marks no atime */
	unsigned name_hash_bits; /* tests: fewer bits, so that names collide; 0: all */
};

/* Opens the tree in @kv, making an empty one in a new store, and starts the background worker. */
int core_open(struct kv *kv, const struct core_options *options, struct core **ret_core);
/* Commits what is buffered, joins the worker. 0 or the first error. @kv stays open. */
int core_close(struct core *core);
struct kv *core_kv(struct core *core);
/* Waits until background deletion has nothing to do (tests, unmount of benchmarks). */
void core_settle(struct core *core);

/*
 * What a layer above adds to an operation. @plan is called with all locks held and nothing staged; it
 * may refuse (-errno), set op->name (creations), op->role and what else op.h says. @also is called when the
 * operation's own changes are staged, and may stage more; if it fails, nothing happened.
 */
struct core_rule {
	int (*plan)(struct op *op, void *arg);
	int (*also)(struct op *op, void *arg);
	void *arg;
};

/* ---- names ----------------------------------------------------------------------------------- */

/* A found or made inode. Each one that is returned counts as one look-up: core_forget() undoes it. */
struct core_entry {
	uint64_t ino;
	uint32_t generation;
	struct stat st;
	bool fleeting_name; /* the kernel must ask again for the name */
	bool fleeting_attr; /* … and for the attributes (a writer is at work) */
};

/* -ENOENT, -ENOTDIR. "." may be asked of what is no directory, and is -ENOENT of what has no name any more. */
int core_lookup(struct core *core, uint64_t parent, const char *name, struct core_entry *ret_entry);
void core_forget(struct core *core, uint64_t ino, uint64_t nlookup);

/*
 * A bound on the inodes that the kernel knows, for one that can be asked to forget some. While it knows more than
 * @most, @crowded is called now and then, with locks held: it may only wake a thread, which asks how many are too
 * many, and for which. NULL: none any more.
 */
void core_bound_known(struct core *core, size_t most, void (*crowded)(void *arg), void *arg);
size_t core_known_surplus(struct core *core); /* above the bound: what is to go, an eighth of the bound and more */
/* Up to @max of those that were looked up the longest ago, each once in a while. How many. */
size_t core_known_oldest(struct core *core, uint64_t *ret_inos, size_t max);

/* What is to be made. For a symlink @target, for a device @rdev. */
struct core_make {
	mode_t mode; /* type and permission bits, umask not yet applied */
	dev_t rdev;
	const char *target;
};
/* mkdir, mknod, symlink and the making half of open(O_CREAT). -EEXIST. @rule may be NULL. */
int core_make(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_make *make, const struct core_rule *rule, struct core_entry *ret_entry);
int core_link(struct core *core, const struct cred *who, uint64_t ino, uint64_t parent,
	const char *name, const struct core_rule *rule, struct core_entry *ret_entry);
int core_unlink(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule);
int core_rmdir(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule);
/* @flags: RENAME_NOREPLACE, RENAME_EXCHANGE; others -EINVAL. */
int core_rename(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned flags, const struct core_rule *rule);
int core_readlink(struct core *core, uint64_t ino, struct buf *ret_target);

/*
 * Lists @ino from the position @cookie (0: the start, "." and ".." first). @fill is called for each entry
 * with the cookie after it; where @with_attr, @entry has attributes and counts as a look-up for every
 * entry but the dots (fill takes it over; else ino and type only). It returns 0 to go on, 1 when full
 * (that entry is not taken), or -errno. Positions are stable while entries come and go.
 */
struct core_dirent {
	const char *name; /* NUL-terminated */
	uint64_t cookie;  /* of the next entry */
	mode_t type;	  /* S_IFMT bits */
	uint64_t ino;
	bool have_attr;
	struct core_entry entry;
};
typedef int (*core_fill)(void *arg, const struct core_dirent *entry);
int core_readdir(struct core *core, uint64_t ino, uint64_t cookie, bool with_attr, core_fill fill,
	void *arg);

/* ---- attributes ------------------------------------------------------------------------------ */

/* @ret_fleeting may be NULL: whether the kernel must not keep them (a writer is at work). */
int core_getattr(struct core *core, uint64_t ino, struct stat *ret_st, bool *ret_fleeting);

enum {
	CORE_SET_MODE = 1, CORE_SET_UID = 2, CORE_SET_GID = 4, CORE_SET_SIZE = 8, CORE_SET_ATIME = 16,
	CORE_SET_MTIME = 32, CORE_SET_ATIME_NOW = 64, CORE_SET_MTIME_NOW = 128,
	CORE_SET_CTIME = 256,	   /* to st_ctim; else it becomes now */
	CORE_SET_KILL_PRIV = 512,  /* chown, truncate: clear suid, sgid and capabilities as POSIX has it */
	CORE_SET_KILL_SGID = 1024, /* with it: sgid also where the group may not execute */
};
/* Truncation goes through here too (the caller has checked the right to write). */
int core_setattr(struct core *core, const struct cred *who, uint64_t ino, const struct stat *st,
	unsigned set, struct stat *ret_st);

/* @flags: XATTR_CREATE, XATTR_REPLACE. ACLs come as system.posix_acl_*: mode and mask follow them. */
int core_setxattr(struct core *core, const struct cred *who, uint64_t ino, const char *name,
	const void *value, size_t size, int flags);
/* The value replaces @ret_value. -ENODATA. */
int core_getxattr(struct core *core, uint64_t ino, const char *name, struct buf *ret_value);
/* NUL-terminated names, one after the other. */
int core_listxattr(struct core *core, uint64_t ino, struct buf *ret_names);
int core_removexattr(struct core *core, const struct cred *who, uint64_t ino, const char *name);

int core_statfs(struct core *core, struct statvfs *ret_st);

/* ---- files ----------------------------------------------------------------------------------- */

/*
 * An open file. Opened once per open(2), released once. It keeps the inode alive when unlinked. @flags
 * are open(2)'s: O_ACCMODE, O_TRUNC (done here), O_APPEND (each write goes to the end).
 */
struct file;
int core_file_open(struct core *core, const struct cred *who, uint64_t ino, int flags,
	struct file **ret_file);
/* Commits what is buffered; its error has nowhere to go but here. @file is gone. */
int core_file_release(struct core *core, struct file *file);
struct inode *file_inode(struct file *file);
uint64_t file_ino(const struct file *file);
/* Whether it was opened for writing. */
bool file_may_write(const struct file *file);

/* Up to @size bytes at @offset into @data; returns the number (short only at the end) or -errno. */
ssize_t core_read(struct core *core, struct file *file, void *data, size_t size, off_t offset);
/*
 * All of it, or what is left up to CORE_FILE_MAX; -errno. @kill: CORE_SET_KILL_PRIV and _SGID where the kernel
 * asks to clear suid and sgid.
 */
ssize_t core_write(struct core *core, struct file *file, const void *data, size_t size, off_t offset,
	unsigned kill);
/* close(2): commits what is buffered; also returns the error of an earlier deferred commit, once. */
int core_file_flush(struct core *core, struct file *file);
/* fsync(2), before kv_sync(): the same, and through a handle that only reads too, for what others have written. */
int core_file_sync(struct core *core, struct file *file);
/* Commits what is buffered of the inode. Durability is then kv_sync()'s. */
int core_commit(struct core *core, uint64_t ino);
/* Of all inodes (syncfs, snapshots, unmount). */
int core_commit_all(struct core *core);
/* @mode: fallocate(2)'s; -EOPNOTSUPP for collapse and insert. */
int core_fallocate(struct core *core, struct file *file, int mode, off_t offset, off_t length);
/* SEEK_DATA and SEEK_HOLE; returns the offset, -ENXIO. */
off_t core_lseek(struct core *core, struct file *file, off_t offset, int whence);
/* Copies up to 16 MiB at a time. */
ssize_t core_copy_range(struct core *core, struct file *in, off_t in_offset, struct file *out,
	off_t out_offset, size_t size);

#endif
