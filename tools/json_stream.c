#include "tools/json_stream.h"

#include <errno.h>
#include <string.h>

#define PART 4096
#define DEPTH_MAX 256

static int get(struct json_stream *s)
{
	int c = getc_unlocked(s->file);

	if (c == EOF)
		return ferror(s->file) ? -EIO : -EBADMSG;
	s->at++;
	return c;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void unget(struct json_stream *s, int c)
{
	ungetc(c, s->file);
	s->at--;
}

/* The next one but blanks. */
static int get_token(struct json_stream *s)
{
	int c;

	do
		c = get(s);
	while (is_blank(c));
	return c;
}

int json_stream_peek(struct json_stream *s)
{
	int c = get_token(s);

	if (c >= 0)
		unget(s, c);
	return c;
}

static int expect(struct json_stream *s, int wanted)
{
	int c = get_token(s);

	return c < 0 ? c : c == wanted ? 0 : -EBADMSG;
}

/* ---- strings ----------------------------------------------------------------------------------- */

static int get_hex(struct json_stream *s, unsigned *ret_unit)
{
	*ret_unit = 0;
	for (int i = 0; i < 4; i++) {
		int c = get(s);
		if (c < 0)
			return c;
		const char *digits = "0123456789abcdefABCDEF", *p = c ? strchr(digits, c) : NULL;
		if (!p)
			return -EBADMSG;
		unsigned value = (unsigned)(p - digits);
		*ret_unit = *ret_unit << 4 | (value < 16 ? value : value - 6);
	}
	return 0;
}

static size_t put_utf8(unsigned point, char *p)
{
	if (point < 0x80) {
		p[0] = (char)point;
		return 1;
	}
	size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	for (size_t i = n - 1; i > 0; i--, point >>= 6)
		p[i] = (char)(0x80 | (point & 0x3f));
	p[0] = (char)((0xf00 >> n & 0xff) | point);
	return n;
}

/* What follows \u, both halves of a pair, as UTF-8. */
static int get_point(struct json_stream *s, char *p, size_t *len)
{
	unsigned unit, low;
	int r = get_hex(s, &unit);

	if (r == 0 && unit >= 0xd800 && unit < 0xdc00) {
		if (get(s) != '\\' || get(s) != 'u')
			return -EBADMSG;
		r = get_hex(s, &low);
		if (r == 0 && (low < 0xdc00 || low >= 0xe000))
			return -EBADMSG;
		unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
	} else if (unit >= 0xdc00 && unit < 0xe000) {
		return -EBADMSG;
	}
	if (r == 0)
		*len += put_utf8(unit, p);
	return r;
}

static int get_escape(struct json_stream *s, char *p, size_t *len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = get(s);

	if (c < 0)
		return c;
	if (c == 'u')
		return get_point(s, p, len);
	const char *found = c ? strchr(from, c) : NULL;
	if (!found)
		return -EBADMSG;
	*p = to[found - from];
	++*len;
	return 0;
}

int json_stream_string(struct json_stream *s, int (*put)(void *arg, const char *data, size_t len), void *arg)
{
	char part[PART];
	size_t len = 0;
	int r = expect(s, '"');

	while (r == 0) {
		int c = get(s);
		if (c < 0)
			return c;
		if (c == '"')
			return len ? put(arg, part, len) : 0;
		if (c < 0x20)
			return -EBADMSG;
		if (c == '\\')
			r = get_escape(s, part + len, &len);
		else
			part[len++] = (char)c;
		if (r == 0 && len > sizeof part - 8) {
			r = put(arg, part, len);
			len = 0;
		}
	}
	return r;
}

struct bounded {
	struct buf *text;
	size_t max;
};

static int put_bounded(void *arg, const char *data, size_t len)
{
	struct bounded *b = arg;

	return b->text->len + len > b->max ? -E2BIG : buf_append(b->text, data, len);
}

int json_stream_text(struct json_stream *s, size_t max, struct buf *ret_text)
{
	struct bounded b = {.text = ret_text, .max = max};

	ret_text->len = 0;
	int r = json_stream_string(s, put_bounded, &b);
	if (r == 0)
		r = buf_append(ret_text, "", 1);
	if (r == 0)
		ret_text->len--;
	return r;
}

/* ---- structure --------------------------------------------------------------------------------- */

/* 1: another one follows. */
static int next(struct json_stream *s, bool *first, int open, int close)
{
	int r = *first ? expect(s, open) : 0;

	if (r < 0)
		return r;
	int c = json_stream_peek(s);
	if (c == close) {
		get(s);
		return 0;
	}
	if (c < 0)
		return c;
	r = *first ? 0 : expect(s, ',');
	*first = false;
	return r < 0 ? r : 1;
}

struct key {
	char *text;
	size_t len;
};

static int put_key(void *arg, const char *data, size_t len)
{
	struct key *k = arg;
	size_t room = JSON_KEY - 1 - k->len, n = len < room ? len : room;

	memcpy(k->text + k->len, data, n);
	k->len += n;
	return 0;
}

int json_stream_member(struct json_stream *s, bool *first, char ret_key[JSON_KEY])
{
	struct key key = {.text = ret_key};
	int r = next(s, first, '{', '}');

	if (r <= 0)
		return r;
	r = json_stream_string(s, put_key, &key);
	ret_key[key.len] = '\0';
	if (r == 0)
		r = expect(s, ':');
	return r < 0 ? r : 1;
}

int json_stream_element(struct json_stream *s, bool *first)
{
	return next(s, first, '[', ']');
}

/* ---- values as they are ------------------------------------------------------------------------ */

static int put_raw(struct buf *raw, size_t max, int c)
{
	char byte = (char)c;

	if (!raw)
		return 0;
	return raw->len >= max ? -E2BIG : buf_append(raw, &byte, 1);
}

/* The rest of a string, its end included. */
static int raw_string(struct json_stream *s, size_t max, struct buf *raw)
{
	for (bool escaped = false;;) {
		int c = get(s);
		int r = c < 0 ? c : c < 0x20 ? -EBADMSG : put_raw(raw, max, c);
		if (r < 0)
			return r;
		if (c == '"' && !escaped)
			return 0;
		escaped = c == '\\' && !escaped;
	}
}

static bool ends_scalar(int c)
{
	return is_blank(c) || c == ',' || c == ']' || c == '}' || c == ':';
}

static int raw_scalar(struct json_stream *s, size_t max, struct buf *raw)
{
	int c = get(s), r = 0;

	for (; c >= 0 && !ends_scalar(c) && r == 0; c = r == 0 ? get(s) : c)
		r = put_raw(raw, max, c);
	if (c >= 0)
		unget(s, c);
	return r < 0 ? r : c == -EIO ? c : 0;
}

int json_stream_raw(struct json_stream *s, size_t max, struct buf *ret_raw)
{
	unsigned depth = 0;
	int r;

	do {
		int c = get_token(s);
		if (c < 0)
			return c;
		bool opens = c == '{' || c == '[', closes = c == '}' || c == ']', between = c == ',' || c == ':';
		if ((opens && ++depth > DEPTH_MAX) || ((closes || between) && depth == 0))
			return -EBADMSG;
		depth -= closes;
		if (opens || closes || between || c == '"') {
			r = put_raw(ret_raw, max, c);
		} else {
			unget(s, c);
			r = raw_scalar(s, max, ret_raw);
		}
		if (r == 0 && c == '"')
			r = raw_string(s, max, ret_raw);
	} while (r == 0 && depth > 0);
	return r;
}

int json_stream_end(struct json_stream *s)
{
	int c = get_token(s);

	return c == -EBADMSG ? 0 : c < 0 ? c : -EBADMSG;
}
