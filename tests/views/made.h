/*
 * made.h: a transcript that is made up, for tests of renderers: messages whose files are in memory.
 */
#ifndef SCRIBEFS_TESTS_VIEWS_MADE_H
#define SCRIBEFS_TESTS_VIEWS_MADE_H

#include "fs/views/render/render.h"
#include "kv/kv.h"

#include <stdlib.h>
#include <string.h>

struct made_file {
	const char *data;
	size_t len;
};

static ssize_t made_read(const struct transcript *t, size_t i, void *data, size_t size, uint64_t offset)
{
	const struct made_file *f = &((const struct made_file *)t->arg)[i];
	size_t n = offset < f->len ? f->len - (size_t)offset : 0;

	n = n < size ? n : size;
	if (n)
		memcpy(data, f->data + offset, n);
	return (ssize_t)n;
}

/* Numbers from MADE_INO on are those of @t->arg; those from MADE_FILES_INO on of made_files, which a test sets. */
#define MADE_INO 300
#define MADE_FILES_INO 1000
static const struct made_file *made_files;

static inline ssize_t made_read_file(
	const struct transcript *t, uint64_t ino, void *data, size_t size, uint64_t offset)
{
	if (ino < MADE_FILES_INO)
		return made_read(t, (size_t)ino - MADE_INO, data, size, offset);
	struct transcript other = {.arg = (void *)(uintptr_t)made_files};
	return made_read(&other, (size_t)ino - MADE_FILES_INO, data, size, offset);
}

/* The document in windows of @window bytes, as a reader of a large one gets it; 0: at once. */
static inline void made_render(const struct transcript *t, render_session render, size_t window,
	struct buf *ret_text)
{
	struct sink_mark next = {0};
	uint64_t at = 0, end = UINT64_MAX;

	while (at < end) {
		struct sink s = {.from = at, .to = window ? at + window : UINT64_MAX, .whole = !window};
		if (next.set && next.at <= at) {
			s.start = next;
			s.at = next.at;
			s.last = next.last;
		}
		render(t, &s);
		if (s.error || buf_append(ret_text, s.bytes.data, s.bytes.len) < 0)
			abort();
		if (s.bytes.len < window || !window)
			end = at + s.bytes.len;
		at += s.bytes.len;
		if (s.next.set)
			next = s.next;
		buf_release(&s.bytes);
	}
}

#endif
