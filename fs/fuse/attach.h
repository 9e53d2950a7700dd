/*
 * attach.h: mounting, and what libfuse and its helper say about it. Internal.
 */
#ifndef SCRIBEFS_FS_FUSE_ATTACH_H
#define SCRIBEFS_FS_FUSE_ATTACH_H

#include "fs/fuse/server.h"

/* Sends libfuse's messages to the log. Once, before a session is made. */
void attach_log(void);
/* Mounts the session on @mountpoint. 0, or -1 after one line on standard error. */
int attach(struct fuse_session *se, const char *mountpoint);

#endif
