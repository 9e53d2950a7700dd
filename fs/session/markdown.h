/*
 * markdown.h: the text of a message as GitHub Flavored Markdown. The only place that knows cmark-gfm. Pure,
 * any thread.
 *
 * The parser has inputs for which it takes quadratic time, and tables and references whose HTML is far larger
 * than the text, and nesting without bounds. What is larger than MARKDOWN_MAX or could be one of these (counted
 * before and after) is not parsed: -EFBIG, and whoever asks shows it as it is.
 */
#ifndef SCRIBEFS_FS_SESSION_MARKDOWN_H
#define SCRIBEFS_FS_SESSION_MARKDOWN_H

#include "kv/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define MARKDOWN_MAX (256u << 10) /* bytes */

struct markdown;

/* Valid UTF-8 or not. -EFBIG, -ENOMEM. */
int markdown_parse(const char *text, size_t len, struct markdown **ret_markdown);
void markdown_free(struct markdown *m);

struct markdown_counts {
	unsigned links, code_blocks; /* images are links */
};
struct markdown_counts markdown_count(const struct markdown *m);

/*
 * Appends it as HTML that can do nothing: raw HTML is shown as text, images are links to them, links that
 * run something lead nowhere. @m is changed: it can be rendered once.
 */
int markdown_html(struct markdown *m, struct buf *out);

/*
 * Whether a heading after @text would be a heading: no fence, no HTML block of the text swallows what
 * follows it. False where that is not known.
 */
bool markdown_ends(const char *text, size_t len);

#endif
