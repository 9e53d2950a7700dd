#include "fs/views/held.h"

#include <stdatomic.h>
#include <stdlib.h>

struct rendering *rendering_ref(struct rendering *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void rendering_unref(struct rendering *r)
{
	if (r && atomic_fetch_sub(&r->refs, 1) == 1) {
		buf_release(&r->bytes);
		free(r);
	}
}

static size_t bucket_of(uint64_t ino)
{
	return (ino ^ ino >> 24) % HELD_BUCKETS;
}

void held_remove(struct held_cache *c, struct held *h)
{
	struct held **p = &c->hash[bucket_of(h->ino)];

	while (*p != h)
		p = &(*p)->hash_next;
	*p = h->hash_next;
	*(h->prev ? &h->prev->next : &c->first) = h->next;
	*(h->next ? &h->next->prev : &c->last) = h->prev;
	c->bytes -= h->rendering->bytes.len;
	rendering_unref(h->rendering);
	free(h);
}

struct held *held_find(struct held_cache *c, uint64_t ino)
{
	struct held *h = c->hash[bucket_of(ino)];

	while (h && h->ino != ino)
		h = h->hash_next;
	return h;
}

static void held_front(struct held_cache *c, struct held *h)
{
	h->prev = NULL;
	h->next = c->first;
	*(c->first ? &c->first->prev : &c->last) = h;
	c->first = h;
}

void held_add(struct held_cache *c, uint64_t ino, const struct session_version *v,
	struct rendering *r)
{
	struct held *old = held_find(c, ino), *h;

	if (old)
		held_remove(c, old);
	if (!r->whole || !(h = malloc(sizeof *h)))
		return;
	size_t b = bucket_of(ino);
	*h = (struct held){.ino = ino, .version = *v, .rendering = rendering_ref(r),
		.hash_next = c->hash[b]};
	c->hash[b] = h;
	held_front(c, h);
	c->bytes += r->bytes.len;
	while (c->bytes > SHELF_BYTES && c->last != h)
		held_remove(c, c->last);
}

void held_empty(struct held_cache *c)
{
	while (c->first)
		held_remove(c, c->first);
}
