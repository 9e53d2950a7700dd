/*
 * mountinfo.h: what the kernel says is mounted where, and taking a mount away. Used by fs/fuse and tools;
 * includes no libfuse. No threads.
 */
#ifndef SCRIBEFS_FS_FUSE_MOUNTINFO_H
#define SCRIBEFS_FS_FUSE_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct mountinfo {
	char point[PATH_MAX];
	char source[PATH_MAX]; /* the store, unless -o fsname says otherwise */
	bool ours; /* a scribefs */
	dev_t device;
	uid_t owner; /* who mounted it */
};

/*
 * The absolute path of @path without symlinks. Unlike realpath() it works for the mountpoint of a daemon
 * that died, whose last component cannot be looked at. 0 or -errno.
 */
int mountinfo_resolve(const char *path, char ret_path[PATH_MAX]);
/* The uppermost mount that stands right at the resolved path @point. -ENOENT: none. */
int mountinfo_find(const char *point, struct mountinfo *ret_mount);
/* The mount of scribefs that @path lies in. -ENOENT: none. */
int mountinfo_find_above(const char *path, struct mountinfo *ret_mount);
/* The one mount of scribefs that there is. -ENOENT: none. -EMLINK: several. */
int mountinfo_find_only(struct mountinfo *ret_mount);
/* A scribefs mount whose source is the resolved path @store. -ENOENT: none. */
int mountinfo_find_store(const char *store, struct mountinfo *ret_mount);
/* Whether the daemon behind the mount at @point is gone. */
bool mountinfo_is_dead(const char *point);
/*
 * Unmounts @point, as root by itself and else by fusermount3. @detach takes it out of the tree though it
 * is in use. 0, -EBUSY, or another -errno.
 */
int mountinfo_unmount(const char *point, bool detach);

#endif
