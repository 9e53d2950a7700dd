/*
 * holders.h: which processes keep a mount busy.
 */
#ifndef SCRIBEFS_TOOLS_HOLDERS_H
#define SCRIBEFS_TOOLS_HOLDERS_H

#include "kv/buf.h"

#include <sys/types.h>

/*
 * Appends to @ret_text, comma separated, the processes that have their working directory, root,
 * program, an open file or a mapping on the mount at @point with the device number @dev: "process 12
 * (vim) has open /mnt/x", the first few of them. Reads only what /proc says, so that it cannot hang on a
 * daemon that does not answer. Processes of other users are seen by root only. Returns how many there
 * are, or -errno.
 */
int holders_describe(const char *point, dev_t dev, struct buf *ret_text);

#endif
