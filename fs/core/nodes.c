/*
 * nodes.c: how often the kernel has looked an inode up: an open-addressing table, 16 bytes an entry, so
 * that the kernel may remember many names without the daemon keeping as many inodes.
 *
 * There is a bound all the same, or ten million names were 270 MB here, some 10 GB in the kernel, and half a
 * minute of an unmount. Each entry has the time of its last look-up, by a clock that 256 look-ups move on. Where
 * the kernel knows too many it is asked to forget some whose last look-up is as many look-ups ago as half of the
 * bound: a hand goes round the table as in the clock algorithm, and gives the time anew to whom it names, so that
 * one that is in use is not asked for again soon.
 */
#include "fs/core/core_internal.h"

#define SEEN_BITS 24
#define SEEN_SHIFT 8

struct node {
	uint64_t ino; /* 0 free */
	uint64_t count : 40, seen : SEEN_BITS;
};

struct node_table {
	pthread_mutex_t lock;
	struct node *slots;
	size_t capacity; /* a power of two */
	size_t used;
	uint64_t added; /* look-ups, ever */
	size_t hand, most; /* most 0: no bound */
	void (*crowded)(void *arg);
	void *crowded_arg;
};

#define NODES_MIN 1024
#define SEEN_MASK ((1u << SEEN_BITS) - 1)
#define CROWDED_EVERY 1024

struct node_table *node_table_new(void)
{
	struct node_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->slots = calloc(NODES_MIN, sizeof *t->slots);
	if (!t->slots) {
		free(t);
		return NULL;
	}
	t->capacity = NODES_MIN;
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void node_table_free(struct node_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->slots);
	free(t);
}

static size_t node_home(const struct node_table *t, uint64_t ino)
{
	return (size_t)(ino * 0x9e3779b97f4a7c15ull >> 20) & (t->capacity - 1);
}

/* The slot of @ino, or the free one where it would stand. */
static size_t node_slot(const struct node_table *t, uint64_t ino)
{
	size_t i = node_home(t, ino);

	while (t->slots[i].ino && t->slots[i].ino != ino)
		i = (i + 1) & (t->capacity - 1);
	return i;
}

static int node_resize(struct node_table *t, size_t capacity)
{
	struct node *old = t->slots, *slots = calloc(capacity, sizeof *slots);
	size_t n = t->capacity;

	if (!slots)
		return -ENOMEM;
	t->slots = slots;
	t->capacity = capacity;
	for (size_t i = 0; i < n; i++)
		if (old[i].ino)
			t->slots[node_slot(t, old[i].ino)] = old[i];
	free(old);
	return 0;
}

int node_add(struct node_table *t, uint64_t ino)
{
	MUTEX_GUARD(&t->lock);
	size_t i;

	if (t->used * 4 >= t->capacity * 3) {
		int r = node_resize(t, t->capacity * 2);
		if (r < 0)
			return r;
	}
	i = node_slot(t, ino);
	if (!t->slots[i].ino) {
		t->slots[i].ino = ino;
		t->used++;
	}
	t->slots[i].count++;
	t->slots[i].seen = ++t->added >> SEEN_SHIFT;
	if (t->most && t->used > t->most && t->added % CROWDED_EVERY == 0)
		t->crowded(t->crowded_arg);
	return 0;
}

void node_bound(struct node_table *t, size_t most, void (*crowded)(void *arg), void *arg)
{
	MUTEX_GUARD(&t->lock);

	t->most = most;
	t->crowded = crowded;
	t->crowded_arg = arg;
}

size_t node_surplus(struct node_table *t)
{
	MUTEX_GUARD(&t->lock);
	size_t wanted = t->most - t->most / 8;

	return t->most && t->used > t->most ? t->used - wanted : 0;
}

size_t node_oldest(struct node_table *t, uint64_t *ret_inos, size_t max)
{
	MUTEX_GUARD(&t->lock);
	uint32_t now = (t->added >> SEEN_SHIFT) & SEEN_MASK, old = (uint32_t)(t->most / 2 >> SEEN_SHIFT);
	size_t n = 0;

	for (size_t i = 0; n < max && i < t->capacity; i++) {
		struct node *node = &t->slots[t->hand++ & (t->capacity - 1)];

		if (!node->ino || ((now - node->seen) & SEEN_MASK) < old)
			continue;
		node->seen = now;
		ret_inos[n++] = node->ino;
	}
	return n;
}

/* Closes the gap at @i, so that probing needs no tombstones. */
static void node_erase(struct node_table *t, size_t i)
{
	size_t mask = t->capacity - 1, j = i;

	for (;;) {
		j = (j + 1) & mask;
		if (!t->slots[j].ino)
			break;
		if (((j - node_home(t, t->slots[j].ino)) & mask) >= ((j - i) & mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i] = (struct node){0};
	t->used--;
}

uint64_t node_remove(struct node_table *t, uint64_t ino, uint64_t nlookup)
{
	MUTEX_GUARD(&t->lock);
	size_t i = node_slot(t, ino);

	if (!t->slots[i].ino)
		return 0;
	if (t->slots[i].count > nlookup) {
		t->slots[i].count -= nlookup;
		return t->slots[i].count;
	}
	node_erase(t, i);
	if (t->capacity > NODES_MIN && t->used * 8 < t->capacity)
		node_resize(t, t->capacity / 2); /* on failure it stays as large as it is */
	return 0;
}

bool node_known(struct node_table *t, uint64_t ino)
{
	MUTEX_GUARD(&t->lock);

	return t->slots[node_slot(t, ino)].ino != 0;
}
