/*
 * kept.h: the sizes of a session's documents, and the record (shelf.h) in which they outlive the daemon. Pure.
 */
#ifndef SCRIBEFS_FS_VIEWS_KEPT_H
#define SCRIBEFS_FS_VIEWS_KEPT_H

#include "kv/buf.h"

#include <stdbool.h>

#define KEPT_MAX 1024 /* documents in a record: pages beyond are rendered again */

struct kept_size {
	uint32_t document;
	uint64_t size;
};
struct kept_sizes {
	struct kept_size *at;
	size_t n, room;
};
void kept_release(struct kept_sizes *sizes);
bool kept_get(const struct kept_sizes *sizes, uint32_t document, uint64_t *ret_size);
/* Out of memory it is not remembered. */
void kept_set(struct kept_sizes *sizes, uint32_t document, uint64_t size);

void kept_forget(struct kept_sizes *sizes, uint32_t document);

/* @files: the sum of all files (fs/session/files.h) for which sizes of what is made of them hold. */
int kept_encode(const uint8_t source[16], unsigned readers, uint64_t files, const struct kept_sizes *sizes,
	struct buf *ret_record);
/* -ENOENT: of another source or version. -EBADMSG. @ret_sizes is empty before, and released on failure. */
int kept_decode(const struct buf *record, const uint8_t source[16], unsigned *ret_readers, uint64_t *ret_files,
	struct kept_sizes *ret_sizes);

#endif
