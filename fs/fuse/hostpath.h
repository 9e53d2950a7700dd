/*
 * hostpath.h: paths of the host that a command is given: the store, the mountpoint. Knows no libfuse, so that
 * the tools use it too.
 *
 * A symlink that somebody else has made is not followed: in a directory where others may write, a path of
 * theirs would lead a daemon (maybe root's) wherever they like.
 */
#ifndef SCRIBEFS_FS_FUSE_HOSTPATH_H
#define SCRIBEFS_FS_FUSE_HOSTPATH_H

#include <limits.h>
#include <sys/types.h>

/*
 * The path without symlinks, "." and "..", as far as it exists; what does not exist stays as it is. -ELOOP,
 * -ENAMETOOLONG; -EPERM: a symlink on the way is neither the caller's nor root's, its path is in @ret_path.
 */
int hostpath_resolve(const char *path, char ret_path[PATH_MAX]);
/* The line for what hostpath_resolve() refuses. */
#define HOSTPATH_FOREIGN "%s is a symlink of another user's and is not followed; name what it points to"

#endif
