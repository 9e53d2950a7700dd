#include "kv/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t cap)
{
	if (cap <= b->cap)
		return 0;
	/* Half as much again: many small appends copy each byte a bounded number of times. */
	size_t grown = b->cap + b->cap / 2;
	if (grown < cap)
		grown = cap < 64 ? 64 : cap;
	uint8_t *data = realloc(b->data, grown);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = grown;
	return 0;
}

int buf_resize(struct buf *b, size_t len)
{
	int r = buf_reserve(b, len);
	if (r < 0)
		return r;
	if (len > b->len)
		memset(b->data + b->len, 0, len - b->len);
	b->len = len;
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
	if (len == 0)
		return 0;
	if (len > SIZE_MAX - b->len)
		return -ENOMEM;
	int r = buf_reserve(b, b->len + len);
	if (r < 0)
		return r;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int buf_set(struct buf *b, const void *data, size_t len)
{
	int r = buf_reserve(b, len ? len : 1);
	if (r < 0)
		return r;
	b->len = 0;
	return buf_append(b, data, len);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || buf_reserve(b, b->len + (size_t)n + 1) < 0)
		return -ENOMEM;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}
