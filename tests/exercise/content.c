#include "tests/exercise/content.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void page_put(struct content_page *page)
{
	if (--page->refs == 0)
		free(page);
}

void content_release(struct content *c)
{
	for (size_t i = 0; i < c->n; i++)
		page_put(c->pages[i].page);
	free(c->pages);
	*c = (struct content){0};
}

void content_copy(const struct content *c, struct content *ret_copy)
{
	*ret_copy = (struct content){.size = c->size, .n = c->n, .cap = c->n};
	if (!c->n)
		return;
	ret_copy->pages = must(malloc(c->n * sizeof *c->pages));
	memcpy(ret_copy->pages, c->pages, c->n * sizeof *c->pages);
	for (size_t i = 0; i < c->n; i++)
		c->pages[i].page->refs++;
}

/* The first page at or after @index. */
static size_t lower(const struct content *c, uint64_t index)
{
	size_t from = 0, to = c->n;
	while (from < to) {
		size_t mid = (from + to) / 2;
		if (c->pages[mid].index < index)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* A page that is this content's alone. */
static uint8_t *page_to_write(struct content *c, uint64_t index)
{
	size_t at = lower(c, index);
	struct content_page *page, *old;
	if (at < c->n && c->pages[at].index == index && c->pages[at].page->refs == 1)
		return c->pages[at].page->bytes;
	page = must(malloc(sizeof *page));
	page->refs = 1;
	if (at < c->n && c->pages[at].index == index) {
		old = c->pages[at].page;
		memcpy(page->bytes, old->bytes, sizeof page->bytes);
		page_put(old);
		c->pages[at].page = page;
		return page->bytes;
	}
	memset(page->bytes, 0, sizeof page->bytes);
	if (c->n == c->cap) {
		c->cap = c->cap ? 2 * c->cap : 4;
		c->pages = must(realloc(c->pages, c->cap * sizeof *c->pages));
	}
	memmove(c->pages + at + 1, c->pages + at, (c->n - at) * sizeof *c->pages);
	c->pages[at] = (struct content_ref){index, page};
	c->n++;
	return page->bytes;
}

void content_write(struct content *c, uint64_t offset, const void *bytes, size_t len)
{
	for (size_t at = 0, n; at < len; at += n) {
		size_t from = (offset + at) % CONTENT_PAGE;
		n = len - at < CONTENT_PAGE - from ? len - at : CONTENT_PAGE - from;
		memcpy(page_to_write(c, (offset + at) / CONTENT_PAGE) + from,
			(const uint8_t *)bytes + at, n);
	}
	if (len && c->size < offset + len)
		c->size = offset + len;
}

size_t content_read(const struct content *c, uint64_t offset, void *bytes, size_t len)
{
	if (offset >= c->size)
		return 0;
	if (len > c->size - offset)
		len = c->size - offset;
	for (size_t at = 0, n; at < len; at += n) {
		uint64_t index = (offset + at) / CONTENT_PAGE;
		size_t from = (offset + at) % CONTENT_PAGE, i = lower(c, index);
		n = len - at < CONTENT_PAGE - from ? len - at : CONTENT_PAGE - from;
		if (i < c->n && c->pages[i].index == index)
			memcpy((uint8_t *)bytes + at, c->pages[i].page->bytes + from, n);
		else
			memset((uint8_t *)bytes + at, 0, n);
	}
	return len;
}

/* Zeros from @offset to @end, whole pages by taking them away. */
static void clear(struct content *c, uint64_t offset, uint64_t end)
{
	size_t at = lower(c, offset / CONTENT_PAGE), kept = at;
	for (; at < c->n; at++) {
		uint64_t begin = c->pages[at].index * CONTENT_PAGE;
		uint64_t from = begin > offset ? begin : offset;
		uint64_t to = begin + CONTENT_PAGE < end ? begin + CONTENT_PAGE : end;
		if (from < to && to - from == CONTENT_PAGE) {
			page_put(c->pages[at].page);
			continue;
		}
		if (from < to)
			memset(page_to_write(c, c->pages[at].index) + (from - begin), 0, to - from);
		c->pages[kept++] = c->pages[at];
	}
	c->n = kept;
}

void content_resize(struct content *c, uint64_t size)
{
	if (size < c->size)
		clear(c, size, UINT64_MAX);
	c->size = size;
}

void content_zero(struct content *c, uint64_t offset, uint64_t len)
{
	uint64_t end = len < c->size && offset < c->size - len ? offset + len : c->size;
	if (offset < end)
		clear(c, offset, end);
}

bool content_is_zero(const struct content *c, uint64_t offset, uint64_t end)
{
	for (size_t at = lower(c, offset / CONTENT_PAGE); at < c->n; at++) {
		uint64_t begin = c->pages[at].index * CONTENT_PAGE;
		uint64_t from = begin > offset ? begin : offset;
		uint64_t to = begin + CONTENT_PAGE < end ? begin + CONTENT_PAGE : end;
		if (begin >= end)
			break;
		for (uint64_t i = from; i < to; i++)
			if (c->pages[at].page->bytes[i - begin])
				return false;
	}
	return true;
}

void content_fill(uint8_t *bytes, size_t len, uint32_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;
	if (seed % 8 == 0) { /* what compresses, and sometimes zeros that are data */
		memset(bytes, seed % 32 ? (int)(seed >> 8) : 0, len);
		return;
	}
	for (size_t i = 0; i < len; i += sizeof x) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(bytes + i, &x, len - i < sizeof x ? len - i : sizeof x);
	}
}
