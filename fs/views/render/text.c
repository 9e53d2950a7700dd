/*
 * text.c: transcript.txt and transcript.md.
 *
 * transcript.txt only grows while messages are added and written: nothing in it depends on what may still
 * come, so tail -f follows it.
 */
#include "fs/session/markdown.h"
#include "fs/views/render/fence.h"
#include "kv/kv.h"

#include <errno.h>
#include <string.h>

static void put_facts(const struct transcript_message *m, struct sink *out, const char *between,
	void (*text)(struct sink *out, const char *text))
{
	sink_printf(out, "%u%s", m->number, between);
	if (m->unreadable) {
		sink_text(out, "unreadable");
		return;
	}
	sink_text(out, message_role_name(m->role));
	sink_text(out, between);
	sink_time(out, m->time);
	if (m->agent) {
		sink_text(out, between);
		text(out, m->agent);
	}
	if (m->model) {
		sink_text(out, between);
		text(out, m->model);
	}
}

/* An empty line, whether or not there is a newline at the end. */
static void new_paragraph(struct sink *out)
{
	sink_text(out, out->last == '\n' ? "\n" : "\n\n");
}

void render_txt(const struct transcript *t, struct sink *out)
{
	char id[UUID_LEN + 1];

	if (sink_wants_head(out)) {
		uuid_format(t->session_id, id);
		sink_line(out, t->title);
		sink_printf(out, "\n%s, ", id);
		sink_time(out, t->created);
		sink_text(out, "\n");
	}
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		new_paragraph(out);
		sink_text(out, "--- ");
		put_facts(&t->messages[i], out, ", ", sink_line);
		sink_text(out, "\n\n");
		content_stream(t, i, t->messages[i].header, true, out, sink_plain);
	}
}

/*
 * As it is where it ends with itself, else inside of a fence, or indented where it is too large to be looked at, or
 * where a line of it looks like one of our headings: a line that begins with "## N · role" is always ours.
 */
static void put_markdown(const struct transcript *t, size_t i, struct sink *out)
{
	_cleanup_buf_ struct buf content = {0};
	int r = content_load(t, i, &content);
	const char *text = content.data ? (const char *)content.data : "";

	if (r == 0 && has_heading(text, content.len)) {
		put_indented(out, text, content.len);
	} else if (r == -EFBIG) {
		content_stream(t, i, t->messages[i].header, false, out, put_indented);
	} else if (r < 0) {
		sink_text(out, "*This message cannot be read.*");
		out->error = out->error ? out->error : r == -ENOMEM ? r : 0;
	} else if (markdown_ends(text, content.len)) {
		sink_put(out, text, content.len);
	} else {
		put_fenced(out, text, content.len, sink_put_text);
	}
}

void render_md(const struct transcript *t, struct sink *out)
{
	char id[UUID_LEN + 1];

	if (sink_wants_head(out)) {
		uuid_format(t->session_id, id);
		sink_text(out, "# ");
		sink_markdown_line(out, t->title);
		sink_printf(out, "\n\nSession %s of ", id);
		sink_time(out, t->created);
		sink_text(out, ".\n");
	}
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		new_paragraph(out);
		sink_text(out, "## ");
		put_facts(&t->messages[i], out, HEADING_DOT, sink_markdown_line);
		sink_text(out, "\n\n");
		put_markdown(t, i, out);
	}
	if (out->last != '\n')
		sink_text(out, "\n");
}
