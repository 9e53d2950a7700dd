/*
 * attach.h: mounting, and what libfuse and its helper say about it. Internal.
 */
#ifndef SCRIBEFS_FS_FUSE_ATTACH_H
#define SCRIBEFS_FS_FUSE_ATTACH_H

#include "fs/fuse/server.h"

/* Sends libfuse's messages to the log. Once, before a session is made. */
void attach_log(void);
/*
 * Mounts the session on @mountpoint, a path without symlinks. 0, or -1 after one line on standard error.
 * @ret_dir: the directory below the mount, which unmounting needs: to be closed after that.
 */
int attach(struct fuse_session *se, const char *mountpoint, int *ret_dir);

#endif
