/*
 * fence.h: text of others inside of a Markdown document, which it cannot end.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_FENCE_H
#define SCRIBEFS_FS_VIEWS_RENDER_FENCE_H

#include "fs/views/render/render.h"

/* How its bytes go out: sink_plain(), or as they are. */
typedef void (*put_text)(struct sink *out, const char *text, size_t len);
void sink_put_text(struct sink *out, const char *text, size_t len);

/* Between fences that are longer than any in it. Begins on a line of its own, and ends one. */
void put_fenced(struct sink *out, const char *text, size_t len, put_text put);
/* Code by indentation: for what is too large to be looked at as a whole. May be called in parts. */
void put_indented(struct sink *out, const char *text, size_t len);
/*
 * Whether a line of it could pass for the heading of a message in transcript.md, to a program that looks at lines or to
 * a reader of what Markdown makes of them: HEADING_DOT is what stands between its facts.
 */
#define HEADING_DOT " \xc2\xb7 "
bool has_heading(const char *text, size_t len);
/* On one line, as code. */
void put_code_span(struct sink *out, const char *text);

#endif
