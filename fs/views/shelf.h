/*
 * shelf.h: what is known of rendered documents: sizes, and the bytes of those read last. Internal to exports.
 *
 * Data flow. A shelf stands for one folder of exports/. What is on it holds as long as the folder's stamp
 * does (transcript.h). If that has risen, a session's shelf holds on where its source is the same; and
 * where it is not on a shelf yet, what was kept with the session under that source is put there (sizes and
 * readers, no bytes). Only what is on no shelf is rendered, and then kept with the session if it is settled.
 *
 *   kept record, big-endian:
 *     0  u8   format (2)
 *     1  u16  RENDER_VERSION
 *     3  16   source
 *    19  u8   readers
 *    20  u64  sum of all files (fs/session/files.h), 0 not known: of what is made of them
 *    28  u16  n, then n times: u32 document, u64 size
 *
 * The lock guards all shelves; nothing is rendered, read or written under it. Bytes are bounded by
 * SHELF_BYTES, shelves by SHELF_COUNT, the least recently used go. Renderings are reference-counted: an open
 * file keeps the one that it began with.
 */
#ifndef SCRIBEFS_FS_VIEWS_SHELF_H
#define SCRIBEFS_FS_VIEWS_SHELF_H

#include "fs/views/catalogue.h"
#include "fs/views/documents.h"

#include <pthread.h>

#define SHELF_BYTES (64u << 20)
#define SHELF_COUNT 8192
#define RENDERING_MAX (16u << 20) /* bytes of a document that is held as a whole; else windows of it */

/* The bytes of a document at one moment. */
struct rendering {
	_Atomic unsigned refs;
	uint64_t size;
	bool whole; /* bytes has all of it */
	struct buf bytes;
};
struct rendering *rendering_ref(struct rendering *r);
void rendering_unref(struct rendering *r);

struct shelves;
int shelves_open(struct sessions *sessions, struct catalogue *catalogue, struct shelves **ret_shelves);
void shelves_close(struct shelves *s);
/* How many documents were rendered since the start. */
uint64_t shelves_rendered(const struct shelves *s);

struct look {
	uint64_t size;
	struct timespec changed;
	unsigned readers; /* bits 4, 2, 1 */
	size_t total;	  /* messages or sessions */
};
/* What stat says of a document: renders it if nobody knows. -ENOENT. */
int shelf_look(struct shelves *s, uint64_t ino, struct look *ret_look);
/* Its bytes now, to be unreferenced. */
int shelf_take(struct shelves *s, uint64_t ino, struct rendering **ret_rendering);
/* How many messages or sessions there are, without rendering. */
int shelf_total(struct shelves *s, uint64_t dir, size_t *ret_total);
/* A window of a document that is too large to be held; @sink says which. */
int shelf_render(struct shelves *s, uint64_t ino, struct sink *sink);

#endif
