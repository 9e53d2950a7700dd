/*
 * target.h: the filesystem that is exercised, as system calls see it: paths below the exercised tree ("" is its
 * root, never a slash at an end), files by slot, >= 0 or -errno. One thread.
 *
 * target_core.c calls fs/core, or fs/session, in this process, and does what the kernel does above them;
 * target_mount.c calls the kernel.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_TARGET_H
#define SCRIBEFS_TESTS_EXERCISE_TARGET_H

#include "tests/exercise/step.h"

#include <sys/stat.h>
#include <sys/types.h>

/* Of a listing; "." and ".." come too. */
typedef void (*target_fill)(void *arg, const char *name, ino_t ino, mode_t type);

struct target {
	const struct target_ops *ops;
	bool lax;	  /* of several errors that apply any may come */
	bool exact_atime; /* every read reaches the filesystem: relatime to the letter */
	bool maps;	  /* there is mmap */
	bool kills;	  /* kill works */
	/* .snapshots/ of the place that holds the tree, and where the tree is in each that is made there. */
	const char *snapshots, *inside;
};

struct target_ops {
	/* Type by @mode: mkdir, mknod, symlink to @link. */
	int (*make)(struct target *t, const char *path, mode_t mode, dev_t rdev, const char *link);
	int (*link)(struct target *t, const char *from, const char *to);
	int (*rename)(struct target *t, const char *from, const char *to, unsigned flags);
	int (*unlink)(struct target *t, const char *path);
	int (*rmdir)(struct target *t, const char *path);
	/* O_NOFOLLOW is understood. */
	int (*open)(struct target *t, unsigned slot, const char *path, int flags, mode_t mode);
	int (*close)(struct target *t, unsigned slot);
	/* @offset -1: at the position. */
	ssize_t (*write)(struct target *t, unsigned slot, int64_t offset, const void *bytes, size_t len);
	ssize_t (*read)(struct target *t, unsigned slot, int64_t offset, void *bytes, size_t len);
	/* @path NULL: the slot. */
	int (*truncate)(struct target *t, const char *path, unsigned slot, int64_t size);
	int (*fallocate)(struct target *t, unsigned slot, int mode, int64_t offset, int64_t len);
	int64_t (*seek)(struct target *t, unsigned slot, int64_t offset, int whence);
	ssize_t (*copy)(struct target *t, unsigned in, int64_t in_offset, unsigned out,
		int64_t out_offset, size_t len);
	int (*fsync)(struct target *t, unsigned slot, bool data_only);
	/*
	 * Maps the file, gives what is seen at @offset in @before, writes @bytes there, and where it is
	 * shared syncs. Without shared, *@before is what the mapping shows after the write. @flags: more for its
	 * open(2).
	 */
	int (*map)(struct target *t, const char *path, bool shared, int flags, uint64_t offset, const void *bytes,
		size_t len, void *before);
	int (*chmod)(struct target *t, const char *path, mode_t mode);
	int (*chown)(struct target *t, const char *path, uid_t uid, gid_t gid);
	int (*utimens)(struct target *t, const char *path, const struct timespec tv[2]);
	int (*setxattr)(struct target *t, const char *path, const char *name, const void *value,
		size_t size, int flags);
	ssize_t (*getxattr)(struct target *t, const char *path, const char *name, void *value,
		size_t size);
	ssize_t (*listxattr)(struct target *t, const char *path, char *names, size_t size);
	int (*removexattr)(struct target *t, const char *path, const char *name);
	int (*stat)(struct target *t, const char *path, unsigned slot, struct stat *ret_st);
	ssize_t (*readlink)(struct target *t, const char *path, char *link, size_t size);
	int (*list)(struct target *t, const char *path, target_fill fill, void *arg);
	void (*umask)(struct target *t, mode_t umask);
	/* Slots are closed before; the tree is there again afterwards. */
	int (*reopen)(struct target *t);
	/* As by kill -9: open slots are gone. */
	int (*kill)(struct target *t);
	void (*free)(struct target *t);
};

struct target_options {
	const char *scratch; /* an existing directory for stores */
	const char *tree;    /* the exercised tree, below the mountpoint or users/; made */
	bool rocks;	     /* in process: RocksDB, else in memory */
	bool sessions;	     /* in process: through fs/session, in a session's plain/ */
	unsigned seed;	     /* chooses what the store is opened with */
	bool timed;	     /* buffered data is committed by time too */
	/* a mount: */
	const char *program, *store, *key, *mountpoint;
	bool by_other;	  /* mkdir by a process that ends: who makes a session sees it differently */
	bool shared;	  /* several processes use the mount: reopen and kill are another's, */
	int arrive, go;	  /* … who is told by a byte here, and tells by one there */
};

struct target *target_core_new(const struct target_options *options);
struct target *target_mount_new(const struct target_options *options);

/* target_mount.c: the daemon of a mount, for the forms that start it themselves. 0 or -1 after a line. */
int target_mount_start(const struct target_options *options);
int target_mount_stop(const struct target_options *options);
int target_mount_kill(const struct target_options *options);

#endif
