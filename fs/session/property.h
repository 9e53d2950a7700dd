/*
 * property.h: the policies of a directory: their names, what their values mean, what holds where none is set. A
 * policy is the extended attribute user.scribefs.NAME of users/, a user, a workflow or a session, and is inherited
 * downwards until it is set again (as ZFS does it). Pure functions, any thread; also used by tools/.
 */
#ifndef SCRIBEFS_FS_SESSION_PROPERTY_H
#define SCRIBEFS_FS_SESSION_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROPERTY_PREFIX "user.scribefs."
#define PROPERTY_TEXT 32 /* bytes for a value's text with its NUL */

enum property_kind {
	PROPERTY_COUNT,	   /* 0 … 999,999,999 */
	PROPERTY_DURATION, /* in milliseconds; written 500ms, 30s, 15min, 1h, 30d, 2w; "none" or 0: never */
};

struct property {
	const char *name; /* without the prefix */
	enum property_kind kind;
	const char *fallback; /* the value where none is set */
	const char *summary;  /* a few words for people */
};

/* In the order in which people read them. NULL behind the last. */
const struct property *property_at(size_t i);
/* NULL: there is none of that name (without the prefix). */
const struct property *property_find(const char *name);
/* -EINVAL. */
int property_parse(const struct property *p, const void *text, size_t len, int64_t *ret_value);
/* Whether it is of the whole store, so that it has a meaning at users/ alone. */
bool property_of_store(const struct property *p);
int64_t property_fallback(const struct property *p);

#endif
