/*
 * json_stream.h: JSON of any size read from a file, a value at a time, in bounded memory: what json.h of fs/session is
 * too small for. Strict but for numbers, which go out as they are. One thread.
 *
 * Everything returns -EBADMSG where the document is no JSON, or another value than was asked for, -EIO where it cannot
 * be read.
 */
#ifndef SCRIBEFS_TOOLS_JSON_STREAM_H
#define SCRIBEFS_TOOLS_JSON_STREAM_H

#include "kv/buf.h"

#include <stdbool.h>
#include <stdio.h>

struct json_stream {
	FILE *file;
	uint64_t at; /* bytes read, for messages */
};

#define JSON_KEY 272 /* bytes of a key; a longer one is cut, and so none that anybody knows */

/* The next character but blanks, which stays; -EBADMSG at the end. */
int json_stream_peek(struct json_stream *s);
/*
 * For objects and arrays: *first is true before the first call. 1: a member's value, or an element, comes next; 0: it
 * was closed.
 */
int json_stream_member(struct json_stream *s, bool *first, char ret_key[JSON_KEY]);
int json_stream_element(struct json_stream *s, bool *first);
/* A string, decoded, in parts of any length. What @put returns below 0 is returned. */
int json_stream_string(struct json_stream *s, int (*put)(void *arg, const char *data, size_t len), void *arg);
/* One of up to @max bytes into @ret_text, NUL-terminated behind its length. -E2BIG. */
int json_stream_text(struct json_stream *s, size_t max, struct buf *ret_text);
/* Any value as it stands there, of up to @max bytes (-E2BIG); NULL: it is passed over, whatever its size. */
int json_stream_raw(struct json_stream *s, size_t max, struct buf *ret_raw);
/* Nothing but blanks follows. */
int json_stream_end(struct json_stream *s);

#endif
