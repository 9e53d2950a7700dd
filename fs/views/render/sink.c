#include "fs/views/render/sink.h"

#include "fs/session/json.h"
#include "fs/session/timestamp.h"
#include "fs/session/title.h"
#include "kv/kv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

void sink_mark(struct sink *s, size_t index)
{
	if (s->at <= s->to)
		s->next = (struct sink_mark){
			.at = s->at, .index = index, .last = s->last, .set = true};
}

void sink_put(struct sink *s, const void *data, size_t len)
{
	uint64_t begin = s->at, end = s->at + len;

	if (len == 0 || s->error)
		return;
	s->at = end;
	s->last = ((const char *)data)[len - 1];
	uint64_t from = begin > s->from ? begin : s->from, to = end < s->to ? end : s->to;
	if (from < to)
		s->error = buf_append(
			&s->bytes, (const char *)data + (from - begin), (size_t)(to - from));
}

void sink_skip(struct sink *s, uint64_t n, char last)
{
	if (n == 0 || s->error)
		return;
	if (s->at < s->to && s->at + n > s->from)
		s->error = -EINVAL; /* a renderer's mistake */
	s->at += n;
	s->last = last;
}

void sink_text(struct sink *s, const char *text)
{
	sink_put(s, text, strlen(text));
}

void sink_printf(struct sink *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		s->error = s->error ? s->error : -EOVERFLOW; /* a renderer's mistake */
	else
		sink_put(s, text, (size_t)n);
}

void sink_time(struct sink *s, int64_t ms)
{
	char text[TIMESTAMP_LEN + 1];

	timestamp_format(ms, text);
	sink_put(s, text, TIMESTAMP_LEN);
}

void sink_json(struct sink *s, const char *text, size_t len)
{
	_cleanup_buf_ struct buf escaped = {0};

	if (s->error)
		return;
	s->error = json_escape(&escaped, text, len);
	sink_put(s, escaped.data, escaped.len);
}

void sink_json_string(struct sink *s, const char *text)
{
	if (!text) {
		sink_text(s, "null");
		return;
	}
	sink_text(s, "\"");
	sink_json(s, text, strlen(text));
	sink_text(s, "\"");
}

static const char *html_of(char c)
{
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* HTML has no control characters but these. */
static bool is_control(const char *p, unsigned n)
{
	unsigned char c = (unsigned char)p[0];

	if (n == 2)
		return c == 0xc2 && (unsigned char)p[1] < 0xa0;
	return n == 1 && ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f);
}

/* @escape: what means something in HTML too. */
static void put_html(struct sink *s, const char *text, size_t len, bool escape)
{
	size_t begin = 0;

	for (size_t i = 0; i < len;) {
		unsigned n = utf8_length(text + i, len - i);
		const char *instead = escape && n == 1 ? html_of(text[i]) : NULL;
		if (n == 0 || is_control(text + i, n))
			instead = text[i] == '\r' ? "" : REPLACEMENT;
		n = n ? n : 1;
		if (instead) {
			sink_put(s, text + begin, i - begin);
			sink_text(s, instead);
			begin = i + n;
		}
		i += n;
	}
	if (len > begin) /* what is empty may have no address */
		sink_put(s, text + begin, len - begin);
}

void sink_html(struct sink *s, const char *text, size_t len)
{
	put_html(s, text, len, true);
}

void sink_markup(struct sink *s, const char *html, size_t len)
{
	put_html(s, html, len, false);
}

void sink_html_string(struct sink *s, const char *text)
{
	sink_html(s, text, strlen(text));
}

void sink_plain(struct sink *s, const char *text, size_t len)
{
	size_t begin = 0;

	for (size_t i = 0; i < len;) {
		unsigned n = utf8_length(text + i, len - i);
		char picture[4] = "\xe2\x90\x80"; /* U+2400 and the character */
		const char *instead = NULL;
		if (n == 0 || (n == 2 && is_control(text + i, n))) {
			instead = REPLACEMENT;
		} else if (is_control(text + i, n)) {
			picture[2] = (char)(0x80 + (text[i] == 0x7f ? 0x21 : text[i]));
			instead = text[i] == '\r' ? "" : picture;
		}
		n = n ? n : 1;
		if (instead) {
			sink_put(s, text + begin, i - begin);
			sink_text(s, instead);
			begin = i + n;
		}
		i += n;
	}
	if (len > begin) /* what is empty may have no address */
		sink_put(s, text + begin, len - begin);
}

/* Marks and embeddings of direction: U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. */
static bool turns(const char *p, unsigned n)
{
	const unsigned char *c = (const unsigned char *)p;

	if (n == 2)
		return c[0] == 0xd8 && c[1] == 0x9c;
	if (n != 3 || c[0] != 0xe2)
		return false;
	return (c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae))) ||
	       (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

static void line(struct sink *s, const char *text, const char *escaped)
{
	for (size_t len = strlen(text), i = 0; i < len;) {
		unsigned n = utf8_length(text + i, len - i);
		if (n == 1 && strchr("\n\t\r", text[i]))
			sink_text(s, " ");
		else if (n == 1 && strchr(escaped, text[i]))
			sink_printf(s, "\\%c", text[i]);
		else if (n == 0 || !turns(text + i, n))
			sink_plain(s, text + i, n ? n : 1);
		i += n ? n : 1;
	}
}

void sink_line(struct sink *s, const char *text)
{
	line(s, text, "");
}

void sink_markdown_line(struct sink *s, const char *text)
{
	line(s, text, "\\`*_[]<>#|~&!");
}
