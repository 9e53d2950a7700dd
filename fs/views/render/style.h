/*
 * style.h: what the HTML pages share: head, policy, style sheet. A page runs and loads nothing that is not in
 * it.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_STYLE_H
#define SCRIBEFS_FS_VIEWS_RENDER_STYLE_H

#include "fs/views/render/sink.h"

/* Up to <body>. @script: whether the page's own script runs. */
void put_html_head(struct sink *out, const char *title, bool script);

#endif
