#include "tools/transcript_import.h"

#include "fs/session/json.h"
#include "kv/cleanup.h"
#include "kv/kv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MAX (1u << 20)

/* ---- bytes --------------------------------------------------------------------------------------- */

static int write_all(void *arg, const char *data, size_t len)
{
	const int *fd = arg;

	while (len > 0) {
		ssize_t n = write(*fd, data, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

struct base64 {
	int (*put)(void *arg, const char *data, size_t len);
	void *arg;
	uint32_t bits;
	unsigned n, padding;
};

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Part of a string in base64; it ends with a whole group, or base64_whole() is false. */
static int put_decoded(void *arg, const char *data, size_t len)
{
	struct base64 *b = arg;
	char out[3072];
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++) {
		int value = value_of(data[i]);
		if (data[i] == '=' ? b->n < 2 : value < 0 || b->padding)
			return -EBADMSG;
		b->padding += data[i] == '=';
		b->bits = b->bits << 6 | (value < 0 ? 0 : (uint32_t)value);
		if (++b->n < 4)
			continue;
		for (unsigned k = 0; k < 3 - (b->padding < 3 ? b->padding : 2); k++)
			out[n++] = (char)(b->bits >> (16 - 8 * k));
		b->n = 0;
		if (n > sizeof out - 3) {
			r = b->put(b->arg, out, n);
			n = 0;
		}
	}
	return r < 0 || n == 0 ? r : b->put(b->arg, out, n);
}

static int read_base64(struct json_stream *s, int (*put)(void *arg, const char *data, size_t len), void *arg)
{
	struct base64 b = {.put = put, .arg = arg};
	int r = json_stream_string(s, put_decoded, &b);

	return r < 0 ? r : b.n == 0 && b.padding <= 2 ? 0 : -EBADMSG;
}

struct room {
	char *text;
	size_t len;
};

static int put_path(void *arg, const char *data, size_t len)
{
	struct room *room = arg;

	if (room->len + len >= PATH_MAX || memchr(data, '\0', len))
		return -EBADMSG;
	memcpy(room->text + room->len, data, len);
	room->len += len;
	return 0;
}

static int read_path(struct json_stream *s, bool base64, char ret_path[PATH_MAX])
{
	struct room room = {.text = ret_path};
	int r = base64 ? read_base64(s, put_path, &room) : json_stream_string(s, put_path, &room);

	ret_path[room.len] = '\0';
	return r == 0 && room.len == 0 ? -EBADMSG : r;
}

/* ---- members of an element ----------------------------------------------------------------------- */

static int read_type(struct json_stream *s, mode_t *ret_type)
{
	static const struct {
		const char *name;
		mode_t type;
	} types[] = {{"file", S_IFREG}, {"directory", S_IFDIR}, {"symlink", S_IFLNK}, {"fifo", S_IFIFO},
		{"socket", S_IFSOCK}, {"character device", S_IFCHR}, {"block device", S_IFBLK}};
	_cleanup_buf_ struct buf text = {0};
	int r = json_stream_text(s, 32, &text);

	for (size_t i = 0; r == 0 && i < sizeof types / sizeof *types; i++)
		if (strcmp((const char *)text.data, types[i].name) == 0) {
			*ret_type = types[i].type;
			return 0;
		}
	return r < 0 ? r : -EBADMSG;
}

static int read_mode(struct json_stream *s, struct import_attributes *a)
{
	_cleanup_buf_ struct buf text = {0};
	int r = json_stream_text(s, 8, &text);
	char *end;

	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;
	unsigned long mode = strtoul((const char *)text.data, &end, 8);
	if (*end || end == (const char *)text.data || mode > 07777)
		return -EBADMSG;
	a->mode = (mode_t)mode;
	a->has_mode = true;
	return 0;
}

static int read_mtime(struct json_stream *s, struct import_attributes *a)
{
	_cleanup_buf_ struct buf text = {0};
	int r = json_stream_text(s, 40, &text);
	char *end, *nanoseconds;

	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;
	a->mtime.tv_sec = strtoll((const char *)text.data, &end, 10);
	if (end == (const char *)text.data || *end != '.')
		return -EBADMSG;
	a->mtime.tv_nsec = strtol(end + 1, &nanoseconds, 10);
	if (*nanoseconds || nanoseconds != end + 10 || a->mtime.tv_nsec < 0)
		return -EBADMSG;
	a->has_mtime = true;
	return 0;
}

static int read_number(struct json_stream *s, unsigned *ret_number)
{
	_cleanup_buf_ struct buf raw = {0};
	uint64_t number;
	int r = json_stream_raw(s, 32, &raw);

	if (r == 0)
		r = buf_append(&raw, "", 1);
	if (r == 0 && (json_integer((const char *)raw.data, &number) < 0 || number > UINT32_MAX))
		r = -EBADMSG;
	if (r == 0)
		*ret_number = (unsigned)number;
	return r;
}

static int put_value(void *arg, const char *data, size_t len)
{
	struct buf *xattrs = arg;

	return xattrs->len + len > IMPORT_XATTRS ? -E2BIG : buf_append(xattrs, data, len);
}

static int read_xattrs(struct json_stream *s, struct buf *xattrs)
{
	char name[JSON_KEY];
	bool first = true;
	int r;

	while ((r = json_stream_member(s, &first, name)) > 0) {
		size_t at = xattrs->len + strlen(name) + 1;
		uint32_t len = 0;
		r = put_value(xattrs, name, strlen(name) + 1);
		if (r == 0)
			r = put_value(xattrs, (const char *)&len, sizeof len);
		if (r == 0)
			r = read_base64(s, put_value, xattrs);
		if (r < 0)
			return r;
		len = (uint32_t)(xattrs->len - at - sizeof len);
		memcpy(xattrs->data + at, &len, sizeof len);
	}
	return r;
}

static int read_content(struct json_stream *s, struct import_tree *t, struct import_entry *e, bool base64)
{
	int r = import_open(t, e);

	if (r == 0 && base64)
		return read_base64(s, write_all, &e->fd);
	if (r == 0 && e->header.len)
		r = write_all(&e->fd, (const char *)e->header.data, e->header.len);
	return r < 0 ? r : json_stream_string(s, write_all, &e->fd);
}

static int read_header(struct json_stream *s, struct import_entry *e)
{
	if (e->fd >= 0)
		return -EBADMSG; /* its content was before */
	int r = json_stream_text(s, HEADER_MAX, &e->header);
	return r == -E2BIG ? -EBADMSG : r;
}

static int read_member(struct json_stream *s, struct import_tree *t, struct import_entry *e, const char *key)
{
	static const char *const paths[] = {"file", "path", "path_base64", "target", "target_base64", "same_as",
		"same_as_base64"};

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (strcmp(key, paths[i]) == 0)
			return read_path(s, strstr(key, "_base64") != NULL,
				*key == 't' ? e->target : *key == 's' ? e->same_as : e->path);
	if (strcmp(key, "type") == 0)
		return read_type(s, &e->type);
	if (strcmp(key, "mode") == 0)
		return read_mode(s, &e->attributes);
	if (strcmp(key, "mtime") == 0)
		return read_mtime(s, &e->attributes);
	if (strcmp(key, "xattrs") == 0)
		return read_xattrs(s, &e->attributes.xattrs);
	if (strcmp(key, "header") == 0)
		return read_header(s, e);
	if (strcmp(key, "content") == 0 || strcmp(key, "text") == 0 || strcmp(key, "base64") == 0)
		return read_content(s, t, e, *key == 'b');
	if (strcmp(key, "uid") == 0 || strcmp(key, "gid") == 0) {
		*(*key == 'u' ? &e->attributes.has_uid : &e->attributes.has_gid) = true;
		return read_number(s, *key == 'u' ? &e->attributes.uid : &e->attributes.gid);
	}
	if (strcmp(key, "major") == 0 || strcmp(key, "minor") == 0)
		return read_number(s, key[1] == 'a' ? &e->major : &e->minor);
	return json_stream_raw(s, 0, NULL);
}

static int read_element(struct json_stream *s, struct import_tree *t, char ret_where[PATH_MAX])
{
	struct import_entry e = {.fd = -1};
	char key[JSON_KEY];
	bool first = true;
	int r;

	while ((r = json_stream_member(s, &first, key)) > 0) {
		r = read_member(s, t, &e, key);
		if (r < 0)
			break;
	}
	memcpy(ret_where, e.path, PATH_MAX);
	if (r == 0)
		r = import_finish(t, &e);
	import_entry_release(&e);
	if (r == 0)
		ret_where[0] = '\0';
	return r;
}

/* ---- the document ------------------------------------------------------------------------------- */

/* session.json in its canonical form. */
static int read_session(struct json_stream *s, struct buf *ret_document)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_buf_ struct buf raw = {0}, text = {0};
	const char *why;
	int r = json_stream_raw(s, JSON_MAX, &raw);

	if (r == 0)
		r = json_object_parse((const char *)raw.data, raw.len, &o, &why);
	if (r == 0)
		r = json_object_text(&o, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	ret_document->len = 0;
	if (r == 0)
		r = json_pretty(ret_document, (const char *)text.data, 0);
	if (r == 0)
		r = buf_append(ret_document, "\n", 1);
	return r == -EINVAL || r == -E2BIG ? -EBADMSG : r;
}

static int read_format(struct json_stream *s)
{
	_cleanup_buf_ struct buf text = {0};
	int r = json_stream_text(s, 64, &text);

	if (r == 0 && strcmp((const char *)text.data, "scribefs transcript 1") != 0 &&
		strcmp((const char *)text.data, "scribefs transcript 2") != 0)
		r = -EPROTONOSUPPORT;
	return r == -E2BIG ? -EPROTONOSUPPORT : r;
}

static int read_elements(struct json_stream *s, struct import_tree *t, char ret_where[PATH_MAX])
{
	bool first = true;
	int r;

	while ((r = json_stream_element(s, &first)) > 0) {
		r = read_element(s, t, ret_where);
		if (r < 0)
			return r;
	}
	return r;
}

int transcript_import(struct json_stream *s, struct import_tree *t, char ret_where[PATH_MAX])
{
	_cleanup_buf_ struct buf document = {0};
	bool first = true, known = false;
	char key[JSON_KEY];
	int r;

	ret_where[0] = '\0';
	while ((r = json_stream_member(s, &first, key)) > 0) {
		if (!known && strcmp(key, "format") != 0)
			return -EPROTONOSUPPORT; /* it stands first */
		known = true;
		if (strcmp(key, "format") == 0)
			r = read_format(s);
		else if (strcmp(key, "session") == 0)
			r = read_session(s, &document);
		else if (strcmp(key, "messages") == 0 || strcmp(key, "files") == 0)
			r = read_elements(s, t, ret_where);
		else
			r = json_stream_raw(s, 0, NULL);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = json_stream_end(s);
	if (r == 0 && !document.len)
		r = -EBADMSG;
	return r < 0 ? r : import_end(t, &document);
}
