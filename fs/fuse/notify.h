/*
 * notify.h: tells the kernel that the daemon itself has replaced an entry, from a thread of its own.
 * Internal.
 *
 * The kernel takes the directory's lock for it, which a process may hold whose request waits for an
 * answer: sent from a handler it would deadlock. The names in question have timeout 0, so that a
 * message which finds the queue full may be dropped; what it adds is that watchers and readers of
 * cached listings see the change at once.
 */
#ifndef SCRIBEFS_FS_FUSE_NOTIFY_H
#define SCRIBEFS_FS_FUSE_NOTIFY_H

#include "fs/fuse/server.h"

int notify_start(struct fuse_session *se, struct notify **ret_notify);
/* While requests are still served, else it may wait for ever. Later messages are dropped. */
void notify_stop(struct notify *n);
void notify_free(struct notify *n);

/* Any thread, also with locks held: never blocks. */
void notify_entry(struct notify *n, uint64_t parent, const char *name);

#endif
