/*
 * text.c: transcript.txt and transcript.md.
 *
 * transcript.txt only grows while messages are added and written: nothing in it depends on what may still
 * come, so tail -f follows it.
 *
 * A line that begins with "--- " and a digit is always the beginning of a message. In a line of a message that would
 * begin so a backslash stands before the digit, and one more where there are some. It is put where the line comes to
 * look so, and not in front of it, which may have been read already. What nobody sees, as a space of no width, parts
 * nothing.
 */
#include "fs/session/markdown.h"
#include "fs/session/title.h"
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

static const char separator[] = "--- ";
enum { SEPARATOR = sizeof separator - 1, NO_SEPARATOR = SEPARATOR + 1 };

/* Characters that show nothing, or only turn what follows. Of them a carriage return is left out. */
static bool is_invisible(const char *text, unsigned n)
{
	static const char *const ranges[][2] = {{"\r", "\r"}, {"\xc2\xad", "\xc2\xad"}, {"\xd8\x9c", "\xd8\x9c"},
		{"\xe2\x80\x8b", "\xe2\x80\x8f"}, {"\xe2\x80\xaa", "\xe2\x80\xae"},
		{"\xe2\x81\xa0", "\xe2\x81\xaf"}, {"\xef\xbb\xbf", "\xef\xbb\xbf"}};

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (n == strlen(ranges[i][0]) && memcmp(text, ranges[i][0], n) >= 0 &&
			memcmp(text, ranges[i][1], n) <= 0)
			return true;
	return false;
}

/* U+2028 and U+2029 are line ends too, to some who show them. */
static bool ends_line(const char *text, unsigned n)
{
	return *text == '\n' ||
	       (n == 3 && (memcmp(text, "\xe2\x80\xa8", 3) == 0 || memcmp(text, "\xe2\x80\xa9", 3) == 0));
}

/*
 * How much of a separator the line begins with after this character, which is @n bytes long (0: no character).
 * *ret_escape: a backslash comes before it.
 */
static unsigned match(unsigned matched, const char *text, unsigned n, bool *ret_escape)
{
	*ret_escape = matched == SEPARATOR && *text >= '0' && *text <= '9';
	if (n && ends_line(text, n))
		return 0;
	if (n && is_invisible(text, n))
		return matched;
	if (matched < SEPARATOR)
		return *text == separator[matched] ? matched + 1 : NO_SEPARATOR;
	return matched == SEPARATOR && *text == '\\' ? SEPARATOR : NO_SEPARATOR;
}

static void put_content(struct sink *out, const char *text, size_t len)
{
	size_t begin = 0;

	for (size_t i = 0; i < len;) {
		unsigned n = utf8_length(text + i, len - i);
		bool escape;
		if (out->matched == NO_SEPARATOR) { /* nearly all of them */
			const char *end = memchr(text + i, '\n', len - i);
			const char *odd = memchr(text + i, '\xe2', end ? (size_t)(end - text) - i : len - i);
			end = odd ? odd : end;
			if (!end)
				break;
			i = (size_t)(end - text);
			n = utf8_length(text + i, len - i);
		}
		out->matched = match(out->matched, text + i, n, &escape);
		if (escape) {
			sink_plain(out, text + begin, i - begin);
			sink_text(out, "\\");
			begin = i;
		}
		i += n ? n : 1;
	}
	sink_plain(out, text + begin, len - begin);
}

static void put_title(struct sink *out, const char *title)
{
	unsigned matched = 0;
	bool escape = false;

	for (const char *p = title; *p && !escape && matched != NO_SEPARATOR;) {
		unsigned n = utf8_length(p, strlen(p));
		matched = match(matched, p, n, &escape);
		p += n ? n : 1;
	}
	sink_text(out, escape ? "\\" : "");
	sink_line(out, title);
}

void render_txt(const struct transcript *t, struct sink *out)
{
	char id[UUID_LEN + 1];

	if (sink_wants_head(out)) {
		uuid_format(t->session_id, id);
		put_title(out, t->title);
		sink_printf(out, "\n%s, ", id);
		sink_time(out, t->created);
		sink_text(out, "\n");
	}
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		new_paragraph(out);
		sink_text(out, separator);
		put_facts(&t->messages[i], out, ", ", sink_line);
		sink_text(out, "\n\n");
		out->matched = 0;
		content_stream(t, i, t->messages[i].header, true, out, put_content);
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
