/*
 * html.c: transcript.html: one page that needs nothing else, with a table of the messages.
 */
#include "fs/session/markdown.h"
#include "fs/views/render/render.h"
#include "fs/views/render/style.h"
#include "kv/kv.h"

#include <errno.h>
#include <inttypes.h>

/* A name from outside: its direction stays its own. */
static void put_isolated(struct sink *out, const char *text)
{
	sink_text(out, "<bdi>");
	sink_html_string(out, text);
	sink_text(out, "</bdi>");
}

static const char *role_of(const struct transcript_message *m)
{
	return m->unreadable ? "unreadable" : message_role_name(m->role);
}

static void put_row(const struct transcript_message *m, size_t index, struct sink *out)
{
	sink_printf(out, "<tr><td><a href=\"#m%zu\">%" PRIu32 "</a></td><td>%s</td><td>", index + 1,
		m->number, role_of(m));
	if (!m->unreadable)
		put_html_time(out, m->time);
	sink_text(out, "</td><td>");
	put_isolated(out, m->agent ? m->agent : "");
	sink_text(out, "</td><td>");
	put_isolated(out, m->model ? m->model : "");
	sink_printf(out, "</td><td>%s%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
		m->estimated ? "~" : "", m->tokens, content_size(m));
}

static void put_table(const struct transcript *t, struct sink *out)
{
	sink_text(out, "<details>\n<summary>");
	put_html_count(out, t->total, "message");
	sink_text(out, "</summary>\n<div class=\"wide\">\n"
		"<table>\n<thead><tr><th>Number</th><th>Role</th><th>Time</th><th>Agent</th>"
		"<th>Model</th><th>Tokens</th><th>Bytes</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < t->n; i++)
		put_row(&t->messages[i], i, out);
	sink_text(out, "</tbody>\n</table>\n</div>\n</details>\n");
}

static void put_head(const struct transcript *t, struct sink *out)
{
	char id[UUID_LEN + 1];

	uuid_format(t->session_id, id);
	put_html_head(out, t->title, false);
	sink_text(out, "<body>\n<header>\n<h1>");
	put_isolated(out, t->title);
	sink_text(out, "</h1>\n<p class=\"faint\">");
	put_isolated(out, t->user);
	sink_text(out, " / ");
	put_isolated(out, t->workflow);
	sink_printf(out, " · %s · ", t->state);
	put_html_time(out, t->created);
	sink_text(out, " to ");
	put_html_time(out, t->activity);
	if (t->agent) {
		sink_text(out, " · ");
		put_isolated(out, t->agent);
	}
	sink_printf(out, " · %s</p>\n</header>\n", id);
	put_table(t, out);
	sink_text(out, "<main>\n");
}

static void put_content(const struct transcript *t, size_t i, struct sink *out)
{
	_cleanup_buf_ struct buf content = {0}, html = {0};
	struct markdown *markdown = NULL;

	int r = content_load(t, i, &content);
	if (r == 0)
		r = markdown_parse(content.data ? (char *)content.data : "", content.len, &markdown);
	if (r == 0)
		r = markdown_html(markdown, &html);
	markdown_free(markdown);
	if (r == 0) {
		sink_markup(out, (const char *)html.data, html.len);
	} else if (r == -EFBIG) {
		sink_text(out, "<pre class=\"plain\">");
		content_stream(t, i, t->messages[i].header, false, out, sink_html);
		sink_text(out, "</pre>\n");
	} else if (r == -EIO) {
		sink_text(out, "<p>This message cannot be read.</p>\n");
	} else {
		out->error = out->error ? out->error : r;
	}
}

static void put_message(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];

	sink_printf(out, "<article id=\"m%zu\" class=\"%s\">\n<header><b>%s</b><span>%" PRIu32 "</span>",
		i + 1, role_of(m), role_of(m), m->number);
	if (!m->unreadable) {
		sink_text(out, "<span class=\"faint\">");
		put_html_time(out, m->time);
		sink_text(out, "</span>");
	}
	if (m->agent)
		put_isolated(out, m->agent);
	if (m->model)
		put_isolated(out, m->model);
	sink_text(out, "</header>\n<div class=\"text\" dir=\"auto\">\n");
	put_content(t, i, out);
	sink_text(out, "</div>\n</article>\n");
}

void render_html(const struct transcript *t, struct sink *out)
{
	if (sink_wants_head(out))
		put_head(t, out);
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		put_message(t, i, out);
	}
	if (sink_wants(out))
		sink_text(out, "</main>\n</body>\n</html>\n");
}
