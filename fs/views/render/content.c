/*
 * content.c: the bytes of messages as renderers want them.
 */
#include "fs/session/title.h"
#include "fs/views/render/render.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PART (64u << 10)

uint64_t content_size(const struct transcript_message *m)
{
	return m->size > m->header ? m->size - m->header : 0;
}

int content_load(const struct transcript *t, size_t i, struct buf *ret_content)
{
	const struct transcript_message *m = &t->messages[i];
	uint64_t size = content_size(m);

	if (m->unreadable)
		return -EIO;
	if (size > CONTENT_MAX)
		return -EFBIG;
	int r = buf_resize(ret_content, (size_t)size);
	if (r < 0)
		return r;
	ssize_t n = size ? t->read(t, i, ret_content->data, (size_t)size, m->header) : 0;
	if (n < 0)
		return n == -ENOMEM ? (int)n : -EIO;
	ret_content->len = (size_t)n; /* it may have been truncated meanwhile */
	return 0;
}

/* Bytes at the end of @text that may be the beginning of a character. */
static size_t unfinished(const char *text, size_t len)
{
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)text[len - back];
		if ((c & 0xc0) == 0x80)
			continue;
		unsigned need = c > 0xf4 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
		return need > back ? back : 0;
	}
	return 0;
}

size_t content_whole(const char *text, size_t len)
{
	return len - unfinished(text, len);
}

bool content_stream(const struct transcript *t, size_t i, uint64_t offset, bool open_end, struct sink *out,
	void (*put)(struct sink *out, const char *text, size_t len))
{
	const struct transcript_message *m = &t->messages[i];
	_cleanup_free_ char *part = malloc(PART);
	size_t kept = 0;

	if (!part)
		out->error = out->error ? out->error : -ENOMEM;
	if (!part || m->unreadable)
		return !m->unreadable;
	while (offset < m->size && sink_wants(out)) {
		size_t room = PART - kept, want = m->size - offset < room ? (size_t)(m->size - offset) : room;
		ssize_t n = t->read(t, i, part + kept, want, offset);
		if (n < 0)
			return false;
		if (n == 0)
			break; /* truncated meanwhile */
		offset += (uint64_t)n;
		size_t len = kept + (size_t)n;
		kept = unfinished(part, len);
		put(out, part, len - kept);
		memmove(part, part + len - kept, kept);
	}
	if (kept && !open_end)
		put(out, part, kept);
	return true;
}
