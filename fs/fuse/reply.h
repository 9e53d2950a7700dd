/*
 * reply.h: the one place where a result becomes an answer to the kernel: signs flip, errors that a
 * program would misread are translated, look-ups that the kernel never saw are taken back. Internal.
 *
 * Each function answers @req, once; @req is gone afterwards.
 */
#ifndef SCRIBEFS_FS_FUSE_REPLY_H
#define SCRIBEFS_FS_FUSE_REPLY_H

#include "fs/fuse/server.h"

/*
 * @error is 0 or -errno. -EBADMSG becomes EIO and, at most once a second, a line that names @ino; an
 * error that the kernel would take for "never ask again" (ENOSYS) or for its own does not go out.
 */
void reply_error(fuse_req_t req, uint64_t ino, int error);

void reply_entry(fuse_req_t req, const struct core_entry *entry);
/* There is no such name in @parent, and the kernel may remember that where @keep. */
void reply_absent(fuse_req_t req, bool keep);
void reply_attr(fuse_req_t req, const struct stat *st, bool fleeting);
/* Opened; releases @file (NULL: none) if the caller has gone. @entry: made by CREATE, or NULL. */
void reply_open(fuse_req_t req, const struct core_entry *entry, struct file *file,
	struct fuse_file_info *fi);
/* The same of a file of the views, @view its state, which the daemon changes under its readers. */
void reply_open_view(fuse_req_t req, uint64_t ino, void *view, struct fuse_file_info *fi);
/* What getxattr and listxattr ask for: the length where @size is 0, ERANGE where it is too small. */
void reply_xattr(fuse_req_t req, const struct buf *value, size_t size);
/*
 * Answers when every commit made so far survives the loss of power, from the flusher's thread: no
 * worker waits for the disk.
 */
void reply_when_synced(fuse_req_t req);
/* Returns when reply_when_synced() owes no answer. The flusher must be running. */
void reply_settle(struct server *s);

/* For readdirplus. */
void reply_fill_entry(const struct core_entry *entry, struct fuse_entry_param *ret_param);

#endif
