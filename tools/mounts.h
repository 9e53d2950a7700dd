/*
 * mounts.h: what the kernel knows about scribefs mounts, and taking them away.
 */
#ifndef SCRIBEFS_TOOLS_MOUNTS_H
#define SCRIBEFS_TOOLS_MOUNTS_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct mount_entry {
	char point[PATH_MAX];
	char source[PATH_MAX]; /* the store, unless -o fsname says otherwise */
	bool scribefs;
	dev_t dev;
	uid_t owner; /* who mounted it */
};

/*
 * The absolute path of @path without symlinks. Unlike realpath() it works for the mountpoint of a daemon
 * that died, whose last component cannot be looked at. 0 or -errno.
 */
int mounts_resolve(const char *path, char ret_path[PATH_MAX]);
/* The uppermost mount that stands right at the resolved path @point. -ENOENT: none. */
int mounts_find(const char *point, struct mount_entry *ret_entry);
/* The mount of scribefs that @path lies in. -ENOENT: none. */
int mounts_find_above(const char *path, struct mount_entry *ret_entry);
/* A scribefs mount whose source is the resolved path @store. -ENOENT: none. */
int mounts_find_store(const char *store, struct mount_entry *ret_entry);
/* Whether the daemon behind the mount at @point is gone. */
bool mounts_is_dead(const char *point);
/*
 * Unmounts @point, as root by itself and else by fusermount3. @detach takes it out of the tree though it
 * is in use. 0, -EBUSY, or another -errno.
 */
int mounts_unmount(const char *point, bool detach);

#endif
