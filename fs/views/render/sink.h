/*
 * sink.h: where a renderer writes: counts every byte, keeps those of a window, and knows how to write a text
 * into a JSON string, into HTML, into a line. Owned by one thread. Errors stick: a renderer checks nothing.
 *
 * A document that is larger than a window is rendered again for the next one, from the message in which that
 * begins: renderers say where each message starts (sink_mark()) and must then depend on nothing but its index
 * and the last byte.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_SINK_H
#define SCRIBEFS_FS_VIEWS_RENDER_SINK_H

#include "kv/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The beginning of a message in the document. Zeroed: the document's own. */
struct sink_mark {
	uint64_t at;
	size_t index;
	char last; /* the byte before */
	bool set;
};

struct sink {
	uint64_t at;	   /* bytes so far */
	uint64_t from, to; /* those that are kept */
	bool whole;	   /* go on after `to`, for the number of bytes */
	struct buf bytes;
	char last;
	unsigned matched; /* text.c's: how much of a separator the line begins with */
	int error; /* -errno, the first */
	struct sink_mark start; /* where this rendering begins */
	struct sink_mark next;	/* the last one at or before `to` */
};

/* Whether the document's head is wanted, and the message to begin with. */
static inline bool sink_wants_head(const struct sink *s)
{
	return !s->start.set;
}
static inline size_t sink_first(const struct sink *s)
{
	return s->start.index;
}
/* Whether anything more is. */
static inline bool sink_wants(const struct sink *s)
{
	return s->error == 0 && (s->whole || s->at < s->to);
}
void sink_mark(struct sink *s, size_t index);

void sink_put(struct sink *s, const void *data, size_t len);
/* @n bytes that nobody wants now, of which none lies in the window, are counted; the last is @last. */
void sink_skip(struct sink *s, uint64_t n, char last);
void sink_text(struct sink *s, const char *text);
void sink_printf(struct sink *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* RFC 3339, UTC, milliseconds. */
void sink_time(struct sink *s, int64_t ms);

/* Each of these may be called for one text in parts that end between characters. What is no UTF-8 becomes U+FFFD. */
void sink_json(struct sink *s, const char *text, size_t len); /* inside of quotes */
void sink_html(struct sink *s, const char *text, size_t len); /* also inside of an attribute */
/* What is HTML already: control characters, which it may not have, become U+FFFD. */
void sink_markup(struct sink *s, const char *html, size_t len);
/* For a terminal: control characters but newline and tab become their pictures. */
void sink_plain(struct sink *s, const char *text, size_t len);
/* The same on one line, where nothing can turn the direction of what follows. */
void sink_line(struct sink *s, const char *text);
/* That for Markdown: what means something is escaped. */
void sink_markdown_line(struct sink *s, const char *text);

/* "text", or null. */
void sink_json_string(struct sink *s, const char *text);
void sink_html_string(struct sink *s, const char *text);

#endif
