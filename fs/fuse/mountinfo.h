/*
 * mountinfo.h: what the kernel says is mounted where. Internal; no threads.
 */
#ifndef SCRIBEFS_FS_FUSE_MOUNTINFO_H
#define SCRIBEFS_FS_FUSE_MOUNTINFO_H

#include <stdbool.h>

/* 1 if the topmost mount on @path (resolved) is a scribefs, 0 another or none, or -errno. */
int mountinfo_is_ours(const char *path);
/* Whether a scribefs is mounted whose source is @store. */
bool mountinfo_serves(const char *store);
/* Takes the topmost mount off @path, also from under those who use it. 0 or -errno. */
int mountinfo_detach(const char *path);

#endif
