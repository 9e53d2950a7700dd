/*
 * mountpoint.h: the directory below a mount: checked before, and refusing writes while nothing is
 * mounted.
 */
#ifndef SCRIBEFS_TOOLS_MOUNTPOINT_H
#define SCRIBEFS_TOOLS_MOUNTPOINT_H

#include <limits.h>

/*
 * Makes @path ready: the mount of a daemon that died is detached, and it must be a directory on which no
 * scribefs stands. @ret_path: without symlinks. 0, or -errno after one line.
 */
int mountpoint_prepare(const char *path, char ret_path[PATH_MAX]);

/*
 * A mountpoint that refuses writes (0500) is no mountpoint to fusermount3, which asks for write
 * permission. So it gets the permission for as long as it takes: a process of its own, which holds the
 * directory below open, takes it away again when the mount stands or when this process and its children
 * are gone. Does nothing where that is not needed. Call it right before the mount. 0 or -errno.
 */
int mountpoint_open_for_mount(const char *path);

#endif
