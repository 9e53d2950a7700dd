#include "fs/views/render/fence.h"

#include <string.h>

void sink_put_text(struct sink *out, const char *text, size_t len)
{
	sink_put(out, text, len);
}

/* Of backquotes. A carriage return parts none: it may be left out. */
static size_t longest_run(const char *text, size_t len)
{
	size_t longest = 0, run = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] != '\r')
			run = text[i] == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

static void put_ticks(struct sink *out, size_t length)
{
	while (length-- > 0)
		sink_put(out, "`", 1);
}

void put_fenced(struct sink *out, const char *text, size_t len, put_text put)
{
	size_t fence = longest_run(text, len) + 3;

	put_ticks(out, fence);
	sink_text(out, "\n");
	put(out, text, len);
	if (out->last != '\n')
		sink_text(out, "\n");
	put_ticks(out, fence);
	sink_text(out, "\n");
}

/* Past the line that begins at @text, its end included: a newline, or a carriage return, which ends one too. */
static size_t line_len(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] != '\n' && text[n] != '\r')
		n++;
	return n < len ? n + 1 : n;
}

void put_indented(struct sink *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = line_len(text + i, len - i);
		if (out->last == '\n' || (out->last == '\r' && text[i] != '\n'))
			sink_text(out, "    ");
		sink_put(out, text + i, n);
		i += n;
	}
}

static bool is_role(const char *text, size_t len)
{
	static const char *const words[] = {"user", "assistant", "system", "tool", "unreadable"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (len >= strlen(words[i]) && memcmp(text, words[i], strlen(words[i])) == 0)
			return true;
	return false;
}

/* "## 12 · user": also indented, of another level, and without the mark, which a line of dashes below replaces. */
static bool is_heading(const char *text, size_t len)
{
	size_t i = 0, digits;

	while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '#'))
		i++;
	for (digits = i; i < len && text[i] >= '0' && text[i] <= '9';)
		i++;
	if (i == digits || len - i < strlen(HEADING_DOT) || memcmp(text + i, HEADING_DOT, strlen(HEADING_DOT)) != 0)
		return false;
	i += strlen(HEADING_DOT);
	return is_role(text + i, len - i);
}

bool has_heading(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i += line_len(text + i, len - i))
		if (is_heading(text + i, len - i))
			return true;
	return false;
}

void put_code_span(struct sink *out, const char *text)
{
	size_t ticks = 1;

	/* more than all of them: what stands between two may be left out */
	for (const char *p = text; *p; p++)
		ticks += *p == '`';
	bool blank = ticks > 1;
	put_ticks(out, ticks);
	sink_text(out, blank ? " " : "");
	sink_line(out, text);
	sink_text(out, blank ? " " : "");
	put_ticks(out, ticks);
}
