/*
 * transcript_json.c: transcript.json, which has all of a session: `scribefs import` makes the same one of it, byte for
 * byte. A message or a file a line, compact; tools/transcript.h tells what is in it.
 *
 * What is no UTF-8, and what is larger than TEXT_MAX, is in base64, so that the size of the document is known without
 * reading large files, and a window of it is rendered by reading no more than that.
 */
#include "fs/session/title.h"
#include "fs/views/render/message_json.h"
#include "kv/kv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysmacros.h>

#define TEXT_MAX (64u << 10)
#define PART 3072 /* bytes of a file that are encoded at once; three are four characters */

/* Between the elements of an array, each on a line of its own. */
static void next_line(struct sink *out, bool first)
{
	sink_text(out, first ? "\n" : ",\n");
}

/* ---- base64 ------------------------------------------------------------------------------------ */

static void put_base64(struct sink *out, const void *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = data;
	char text[PART / 3 * 4];
	size_t n = 0;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		v |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < len ? p[i + 2] : 0;
		text[n++] = digits[v >> 18];
		text[n++] = digits[v >> 12 & 63];
		text[n++] = i + 1 < len ? digits[v >> 6 & 63] : '=';
		text[n++] = i + 2 < len ? digits[v & 63] : '=';
		if (n == sizeof text) {
			sink_put(out, text, n);
			n = 0;
		}
	}
	sink_put(out, text, n);
}

/* Exactly @size bytes: what is missing, as it was truncated meanwhile, is zero. False: it cannot be read. */
static bool read_part(const struct transcript *t, uint64_t ino, unsigned char *part, size_t size, uint64_t offset)
{
	ssize_t n = t->read_file(t, ino, part, size, offset);

	if (n < 0)
		return false;
	memset(part + n, 0, size - (size_t)n);
	return true;
}

/* The file in base64. Of what lies outside of the window the size alone. False: it cannot be read. */
static bool put_file_base64(const struct transcript *t, uint64_t ino, uint64_t size, struct sink *out)
{
	unsigned char part[PART];
	uint64_t parts = (size + PART - 1) / PART, first = 0;
	bool whole = true;

	if (out->from > out->at)
		first = (out->from - out->at) / (PART / 3 * 4);
	first = first < parts ? first : parts ? parts - 1 : 0;
	sink_skip(out, first * (PART / 3 * 4), 'A');
	for (uint64_t at = first * PART; at < size && out->error == 0;) {
		size_t n = size - at < PART ? (size_t)(size - at) : PART;
		if (out->at >= out->to) {
			sink_skip(out, (size - at + 2) / 3 * 4, 'A');
			break;
		}
		if (!read_part(t, ino, part, n, at)) {
			whole = false;
			memset(part, 0, n);
		}
		put_base64(out, part, n);
		at += n;
	}
	return whole;
}

/* ---- members ----------------------------------------------------------------------------------- */

/* "key":"text", or "key_base64" where it is no UTF-8. */
static void put_name(struct sink *out, const char *key, const char *text)
{
	size_t len = strlen(text);

	if (utf8_valid(text, len)) {
		sink_printf(out, "\"%s\":\"", key);
		sink_json(out, text, len);
	} else {
		sink_printf(out, "\"%s_base64\":\"", key);
		put_base64(out, text, len);
	}
	sink_text(out, "\"");
}

struct attributes {
	struct sink *out;
	unsigned n;
};

static void put_xattr(void *arg, const char *name, const struct buf *value)
{
	struct attributes *a = arg;

	sink_text(a->out, a->n++ ? "," : ",\"xattrs\":{");
	sink_json_string(a->out, name);
	sink_text(a->out, ":\"");
	put_base64(a->out, value->data, value->len);
	sink_text(a->out, "\"");
}

/* ,"mode","uid","gid","mtime" and, where there are any, "xattrs". Of @of only these are looked at. */
static void put_attributes(const struct transcript *t, const struct session_file *of, struct sink *out)
{
	struct attributes a = {.out = out};

	sink_printf(out, ",\"mode\":\"%04o\",\"uid\":%" PRIu32 ",\"gid\":%" PRIu32 ",\"mtime\":\"%lld.%09ld\"",
		of->mode & 07777, of->uid, of->gid, (long long)of->mtime.tv_sec, of->mtime.tv_nsec);
	if (t->xattrs && t->xattrs(t, of->ino, put_xattr, &a) == -ENOMEM && out->error == 0)
		out->error = -ENOMEM;
	if (a.n)
		sink_text(out, "}");
}

/* ---- messages ---------------------------------------------------------------------------------- */

struct check {
	struct sink sink; /* first: put() gets a pointer to it */
	bool valid;
};

static void check_part(struct sink *out, const char *text, size_t len)
{
	struct check *c = (struct check *)out;

	c->valid = c->valid && utf8_valid(text, len);
}

static bool is_utf8(const struct transcript *t, size_t i)
{
	struct check c = {.sink = {.whole = true}, .valid = true};

	content_stream(t, i, 0, false, &c.sink, check_part);
	return c.valid;
}

static void put_header(const struct transcript *t, size_t i, struct sink *out)
{
	_cleanup_buf_ struct buf header = {0};
	uint32_t len = t->messages[i].header;

	if (!len || buf_resize(&header, len) < 0)
		return;
	ssize_t n = t->read(t, i, header.data, len, 0);
	if (n <= 0)
		return;
	sink_text(out, ",\"header\":\"");
	sink_json(out, (const char *)header.data, (size_t)n);
	sink_text(out, "\"");
}

static void put_message(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];

	sink_mark(out, i);
	next_line(out, i == 0);
	sink_printf(out, "{\"file\":\"messages/%s%03" PRIu32 ".md\"", m->archived ? "archive/" : "", m->number);
	const struct session_file file = {
		.ino = m->ino, .mode = m->mode, .uid = m->uid, .gid = m->gid, .mtime = m->mtime};
	if (!m->unreadable) {
		put_attributes(t, &file, out);
		put_header(t, i, out);
	}
	sink_text(out, ",");
	put_chat(t, i, out);
	put_facts_json(t, i, out);
	put_counts_json(t, i, out);
	if (!m->unreadable && !is_utf8(t, i)) {
		sink_text(out, ",\"base64\":\"");
		put_file_base64(t, m->ino, m->size, out);
		sink_text(out, "\"");
	}
	sink_text(out, "}");
}

/* ---- files ------------------------------------------------------------------------------------- */

static const char *type_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	default:
		return "file";
	}
}

static void put_content(const struct transcript *t, const struct session_file *f, struct sink *out)
{
	_cleanup_buf_ struct buf text = {0};

	sink_printf(out, ",\"size\":%" PRIu64, f->size);
	if (f->size <= TEXT_MAX) {
		if (buf_resize(&text, (size_t)f->size) < 0) {
			out->error = out->error ? out->error : -ENOMEM;
			return;
		}
		if (f->size == 0 || (read_part(t, f->ino, text.data, text.len, 0) &&
					    utf8_valid((const char *)text.data, text.len))) {
			sink_text(out, ",\"text\":\"");
			sink_json(out, (const char *)text.data, text.len);
			sink_text(out, "\"");
			return;
		}
	}
	sink_text(out, ",\"base64\":\"");
	bool whole = put_file_base64(t, f->ino, f->size, out);
	sink_text(out, whole ? "\"" : "\",\"error\":\"unreadable\"");
}

static void put_file(const struct transcript *t, const struct session_file *f, bool same, struct sink *out)
{
	sink_text(out, "{");
	put_name(out, "path", f->path);
	sink_printf(out, ",\"type\":\"%s\"", type_of(f->mode));
	if (same) {
		sink_text(out, ",");
		put_name(out, "same_as", t->files.at[f->same].path);
		sink_text(out, "}");
		return;
	}
	if (f->target) {
		sink_text(out, ",");
		put_name(out, "target", f->target);
	}
	if (S_ISCHR(f->mode) || S_ISBLK(f->mode))
		sink_printf(out, ",\"major\":%u,\"minor\":%u", major(f->device), minor(f->device));
	put_attributes(t, f, out);
	if (S_ISREG(f->mode) && !f->document)
		put_content(t, f, out);
	sink_text(out, "}");
}

/* Each message has a line of its own above; one with several names is the same as its first. */
static void put_files(const struct transcript *t, struct sink *out)
{
	size_t first = sink_first(out) > t->n ? sink_first(out) - t->n - 1 : 0;

	if (sink_first(out) <= t->n && sink_wants(out)) {
		sink_mark(out, t->n);
		sink_text(out, "\n],\n\"files\":[");
	}
	for (size_t i = first; i < t->files.n && sink_wants(out); i++) {
		const struct session_file *f = &t->files.at[i];
		if (f->message && f->same == i)
			continue;
		sink_mark(out, t->n + 1 + i);
		next_line(out, i == 0);
		put_file(t, f, f->same != i, out);
	}
	if (sink_wants(out))
		sink_text(out, "\n]}\n");
}

void render_json(const struct transcript *t, struct sink *out)
{
	if (sink_wants_head(out)) {
		sink_text(out, "{\"format\":\"scribefs transcript 2\",\"session\":");
		sink_text(out, t->document ? t->document : "{}");
		sink_text(out, ",\n\"messages\":[");
	}
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++)
		put_message(t, i, out);
	put_files(t, out);
}
