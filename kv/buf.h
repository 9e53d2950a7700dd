/*
 * buf.h: a growing byte buffer, the shape in which values are handed out.
 *
 * Zero-initialised is empty. Owned by whoever declares it; `_cleanup_(buf_release)` frees it. Not
 * locked. Any layer may include it.
 */
#ifndef SCRIBEFS_KV_BUF_H
#define SCRIBEFS_KV_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* NULL while empty and never grown */
	size_t len;    /* bytes used */
	size_t cap;    /* bytes allocated */
};

/* Frees the memory and leaves the buffer empty. */
void buf_release(struct buf *b);
/* Makes room for @cap bytes in all, keeping the content. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t cap);
/* Sets the length to @len; new bytes are zero. 0 or -ENOMEM. */
int buf_resize(struct buf *b, size_t len);
/* Appends @len bytes. 0 or -ENOMEM; on failure nothing changed. */
int buf_append(struct buf *b, const void *data, size_t len);
/* Makes these @len bytes the content; there is an address also of none. 0 or -ENOMEM; on failure nothing changed. */
int buf_set(struct buf *b, const void *data, size_t len);
/* Appends as printf does (no terminating NUL is counted). 0 or -ENOMEM. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
