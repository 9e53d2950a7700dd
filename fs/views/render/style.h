/*
 * style.h: what the HTML pages share: head, policy, style sheet. A page runs and loads nothing that is not in
 * it.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_STYLE_H
#define SCRIBEFS_FS_VIEWS_RENDER_STYLE_H

#include "fs/views/render/sink.h"

/* Up to <body>. @script: whether the page's own script runs. */
void put_html_head(struct sink *out, const char *title, bool script);
/* To the second, UTC; the element has all of it. */
void put_html_time(struct sink *out, int64_t ms);
/* "1 message", "2 messages". */
void put_html_count(struct sink *out, uint64_t n, const char *what);

#endif
