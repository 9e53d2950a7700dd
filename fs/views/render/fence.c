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

void put_indented(struct sink *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		const char *newline = memchr(text + i, '\n', len - i);
		size_t n = newline ? (size_t)(newline - text) + 1 - i : len - i;
		if (out->last == '\n')
			sink_text(out, "    ");
		sink_put(out, text + i, n);
		i += n;
	}
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
