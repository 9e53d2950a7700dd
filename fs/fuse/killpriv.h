/*
 * killpriv.h: FUSE_HANDLE_KILLPRIV_V2, which libfuse 3.14 does not know. Internal; goes away with a
 * libfuse that does.
 *
 * Without it every WRITE is preceded by a GETXATTR of security.capability. With it suid, sgid and
 * capabilities are the filesystem's to clear, when a flag in the request says so: in SETATTR libfuse
 * hands it on (FUSE_SET_ATTR_KILL_SUID), in WRITE, OPEN and CREATE it does not. So the session reads and
 * writes the device through two functions of ours: one looks at each request, the other adds the
 * capability to the reply to INIT where the kernel has offered it.
 */
#ifndef SCRIBEFS_FS_FUSE_KILLPRIV_H
#define SCRIBEFS_FS_FUSE_KILLPRIV_H

#include "fs/fuse/server.h"

/* On a session that is mounted and not yet served. 0 or -errno. Splicing is off afterwards. */
int killpriv_install(struct server *s);
/* Whether the request that this thread handles asks to clear them (a WRITE, OPEN or CREATE). */
bool killpriv_asked(void);

#endif
