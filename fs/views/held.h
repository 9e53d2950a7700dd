/*
 * held.h: the bytes of documents that were read last, SHELF_BYTES of them; the least recently made go. Internal to
 * shelf.c, under its lock.
 */
#ifndef SCRIBEFS_FS_VIEWS_HELD_H
#define SCRIBEFS_FS_VIEWS_HELD_H

#include "fs/views/shelf.h"

#define HELD_BUCKETS 4096

struct held {
	uint64_t ino;
	struct session_version version;
	struct rendering *rendering; /* a reference */
	struct held *hash_next, *prev, *next;
};
struct held_cache {
	struct held *hash[HELD_BUCKETS], *first, *last;
	size_t bytes;
};
/* NULL. */
struct held *held_find(struct held_cache *c, uint64_t ino);
/* In the place of an older one; what is not whole is not held. */
void held_add(struct held_cache *c, uint64_t ino, const struct session_version *v, struct rendering *r);
void held_remove(struct held_cache *c, struct held *h);
void held_empty(struct held_cache *c);

#endif
