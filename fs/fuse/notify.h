/*
 * notify.h: tells the kernel that the daemon itself has changed a directory, from a thread of its own.
 * Internal.
 *
 * Mostly the directory's attributes alone are taken from the kernel: names that the daemon changes have timeout 0
 * or are not kept as absent, and a listing is read anew where the times say so. For a single name the kernel takes
 * the directory's lock, which a process may hold whose request waits for an answer: sent from a handler it would
 * deadlock, and a daemon that is killed in the middle of it stays with its mount until that is aborted
 * (umount -f). So that is left to the rare change of names that are kept (a session that is put back).
 * A message that finds the queue full is dropped.
 *
 * And it asks the kernel to forget names that nobody has looked up for long, where it knows too many
 * (FUSE_NOTIFY_PRUNE, include/uapi/linux/fuse.h, since Linux 6.18; libfuse 3.14 does not have it). An older kernel
 * says that it does not know the message, and keeps them until it needs the memory itself.
 */
#ifndef SCRIBEFS_FS_FUSE_NOTIFY_H
#define SCRIBEFS_FS_FUSE_NOTIFY_H

#include "fs/fuse/server.h"

/* @core is to stay until notify_stop(). */
int notify_start(struct fuse_session *se, struct core *core, size_t names, struct notify **ret_notify);
/* While requests are still served, else it may wait for ever. Later messages are dropped. */
void notify_stop(struct notify *n);
void notify_free(struct notify *n);

/* Any thread, also with locks held: never blocks. @name: NULL, or one that the kernel may have kept. */
void notify_entry(struct notify *n, uint64_t parent, const char *name);

#endif
