/*
 * frontmatter.h: the YAML header of a message: what stands between a first line "---" and the next
 * line
 * "---". The only place that knows libyaml. Pure functions, any thread.
 *
 * The header is optional and nobody's input can be wrong: one that is longer than FRONTMATTER_MAX,
 * is no YAML mapping, nests deeper than FRONTMATTER_DEPTH or names nothing but anchors is simply
 * content. Aliases are never expanded (a known key that has one for a value counts as absent), so
 * memory and time are bounded by the header's length.
 */
#ifndef SCRIBEFS_FS_SESSION_FRONTMATTER_H
#define SCRIBEFS_FS_SESSION_FRONTMATTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define FRONTMATTER_MAX (64u << 10) /* bytes up to the end of the second "---" line */
#define FRONTMATTER_DEPTH 32
#define FRONTMATTER_TEXT 255 /* bytes of a string that is kept; a longer one counts as absent */

/* Numbers are part of the format (message.h). */
enum message_role { MESSAGE_USER = 0, MESSAGE_ASSISTANT = 1, MESSAGE_SYSTEM = 2, MESSAGE_TOOL = 3 };

struct frontmatter {
	size_t length; /* bytes of the header with both lines; the content follows. 0: none */
	enum message_role role; /* MESSAGE_USER where none of the four is given */
	bool has_time, has_tokens;
	bool error; /* "error" has a value other than false, no, none, null and 0, or "status" is error or failed */
	struct timespec time;
	uint64_t tokens;
	char id[FRONTMATTER_TEXT + 1], agent[FRONTMATTER_TEXT + 1], model[FRONTMATTER_TEXT + 1];
	char name[FRONTMATTER_TEXT + 1], tool_call_id[FRONTMATTER_TEXT + 1]; /* of the OpenAI chat form */
};

/* @data: the beginning of the file, FRONTMATTER_MAX bytes of it suffice. */
void frontmatter_parse(const char *data, size_t len, struct frontmatter *ret_header);
const char *message_role_name(enum message_role role);

#endif
