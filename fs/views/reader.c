#include "fs/views/reader.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

struct reader {
	struct shelves *shelves;
	uint64_t ino;
	pthread_mutex_t lock; /* guards what follows */
	struct rendering *rendering;
	bool ended; /* the reader has met the end */
	/* where the rendering is not whole: */
	struct buf window;
	uint64_t window_at;
	struct sink_mark next; /* where a window after this one begins to be rendered */
};

int reader_open(struct shelves *shelves, uint64_t ino, struct reader **ret_reader)
{
	struct reader *r = calloc(1, sizeof *r);
	int error = r ? shelf_take(shelves, ino, &r->rendering) : -ENOMEM;

	if (error < 0) {
		free(r);
		return error;
	}
	r->shelves = shelves;
	r->ino = ino;
	pthread_mutex_init(&r->lock, NULL);
	*ret_reader = r;
	return 0;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	rendering_unref(r->rendering);
	buf_release(&r->window);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static int take_newest(struct reader *r)
{
	struct rendering *newest;
	int error = shelf_take(r->shelves, r->ino, &newest);

	if (error < 0)
		return error;
	if (newest == r->rendering) {
		rendering_unref(newest);
		return 0;
	}
	rendering_unref(r->rendering);
	r->rendering = newest;
	r->ended = false;
	r->window.len = 0;
	r->next = (struct sink_mark){0};
	return 0;
}

/* A window that has the byte at @offset, if there still is one. */
static int move_window(struct reader *r, uint64_t offset)
{
	struct sink sink = {.from = offset, .to = offset + RENDERING_MAX};

	if (r->window.len > 0 && offset >= r->window_at && offset - r->window_at < r->window.len)
		return 0;
	if (r->next.set && r->next.at <= offset) {
		sink.start = r->next;
		sink.at = r->next.at;
		sink.last = r->next.last;
	}
	buf_release(&r->window);
	int error = shelf_render(r->shelves, r->ino, &sink);
	if (error < 0) {
		buf_release(&sink.bytes);
		return error;
	}
	r->window = sink.bytes;
	r->window_at = offset;
	if (sink.next.set)
		r->next = sink.next;
	return 0;
}

ssize_t reader_read(struct reader *r, void *data, size_t size, uint64_t offset)
{
	MUTEX_GUARD(&r->lock);
	int error = r->ended ? take_newest(r) : 0;

	if (error < 0)
		return error;
	const struct buf *bytes = &r->rendering->bytes;
	uint64_t at = 0, left = offset < r->rendering->size ? r->rendering->size - offset : 0;
	if (left > 0 && !r->rendering->whole) {
		error = move_window(r, offset);
		if (error < 0)
			return error;
		bytes = &r->window;
		at = r->window_at;
		left = bytes->len - (offset - at); /* less where it has changed meanwhile */
	}
	size_t n = left < size ? (size_t)left : size;
	if (n > 0)
		memcpy(data, bytes->data + (offset - at), n);
	else if (size > 0)
		r->ended = true;
	return (ssize_t)n;
}
