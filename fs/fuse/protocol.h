/*
 * protocol.h: what the kernel's protocol has and libfuse 3.14 does not know. Internal; goes away with a
 * libfuse that does.
 *
 * FUSE_HANDLE_KILLPRIV_V2: without it every WRITE is preceded by a GETXATTR of security.capability, with
 * it only the first one of an inode. Suid, sgid and capabilities are then the filesystem's to
 * clear, when a flag in the request says so: in SETATTR libfuse hands it on (FUSE_SET_ATTR_KILL_SUID), in
 * WRITE and OPEN it does not.
 * FUSE_PARALLEL_DIROPS: libfuse takes the wish and does not tell the kernel.
 *
 * So the session reads and writes the device through two functions of ours: one looks at each request,
 * the other adds both to the reply to INIT where the kernel has offered them.
 */
#ifndef SCRIBEFS_FS_FUSE_PROTOCOL_H
#define SCRIBEFS_FS_FUSE_PROTOCOL_H

#include "fs/fuse/server.h"

/* On a session that is mounted and not yet served. 0 or -errno. Splicing is off afterwards. */
int protocol_install(struct server *s);
/* Whether the request that this thread handles, a WRITE, OPEN or CREATE, asks to clear them. */
bool protocol_kills_priv(void);

#endif
