/*
 * check.h: what may be wrong before a mount, and its one line on standard error:
 * `scribefs: <what is wrong>; <what to do>`. Internal.
 */
#ifndef SCRIBEFS_FS_FUSE_CHECK_H
#define SCRIBEFS_FS_FUSE_CHECK_H

#include "fs/fuse/server.h"

/*
 * Resolves both paths, to be freed, and looks at all that can be looked at without opening the store. A
 * dead mount of ours on the mountpoint is detached. 0, or -1 after the line.
 */
int check_mount(const struct mount_options *options, char **ret_store, char **ret_mountpoint);
/*
 * Waits some seconds for a daemon that holds the store and serves it no more: after umount(8) it still
 * has to close it.
 */
void check_wait_closing(const char *store);

/* One line to standard error, whether or not the log goes there. */
void check_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
