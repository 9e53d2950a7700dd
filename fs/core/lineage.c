/*
 * lineage.c: where containers lie and lay, and so which pins cover them.
 */
#include "fs/core/pins.h"

#include "fs/core/past.h"

#define LINEAGES_MAX 16384 /* then all are forgotten, and read again as they are needed */
#define DEPTH_MAX 16

void lineages_forget(struct pins *p)
{
	for (size_t i = 0; i < LINEAGE_BUCKETS; i++)
		while (p->lineages[i]) {
			struct lineage *l = p->lineages[i];
			p->lineages[i] = l->next;
			free(l->past);
			free(l);
		}
	p->n_lineages = 0;
}

/* ---- what covers what ------------------------------------------------------------------------ */

int place_decode(const uint8_t *key, size_t len, const struct buf *value, struct past_place *ret_place)
{
	struct bytes_reader reader = bytes_reader(value->data, value->len);

	if (len != KEY_PREFIX + 8)
		return -EBADMSG;
	if (read_u8(&reader) != PIN_FORMAT)
		return reader.bad ? -EBADMSG : -EPROTONOSUPPORT;
	ret_place->until = get_be64(key + KEY_PREFIX);
	ret_place->domain = read_be32(&reader);
	ret_place->container = read_be32(&reader);
	ret_place->from = read_be64(&reader);
	return bytes_reader_end(&reader);
}

static int read_place(struct kv_iter *it, struct buf *value, struct past_place *ret_place)
{
	size_t len;
	const uint8_t *key = kv_iter_key(it, &len);
	int r = kv_iter_value(it, value);

	return r < 0 ? r : place_decode(key, len, value, ret_place);
}

static int load_past(struct core *core, const struct kv_view *view, struct lineage *l)
{
	struct key prefix = key_make(l->domain, l->container, KEY_PLACE, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(core->kv, view, NULL, KV_META, prefix.bytes, prefix.len, &it);

	if (r == 0)
		r = kv_iter_seek(it, NULL, 0);
	while (r > 0) {
		struct past_place *past =
			reallocarray(l->past, l->n_past + 1, sizeof *l->past);
		if (!past)
			return -ENOMEM;
		l->past = past;
		r = read_place(it, &value, &past[l->n_past]);
		if (r < 0)
			return r;
		l->since = past[l->n_past++].until;
		r = kv_iter_next(it);
	}
	return r;
}

/* By the parent of its root directory. */
static int load_parent(struct core *core, const struct kv_view *view, struct lineage *l)
{
	struct key key = key_make(l->domain, l->container, KEY_INODE,
		(uint64_t)l->container << 8);
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	_cleanup_buf_ struct buf value = {0}, body = {0};
	struct irec rec;
	int r = kv_get(core->kv, view, KV_META, key.bytes, key.len, &value);

	if (r == 0)
		r = irec_decode(value.data, value.len, &rec, &body, &facts);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return rec.parent ? lease_find(core, rec.parent, &l->parent_domain, &l->parent) : 0;
}

static int lineage_get(struct core *core, uint32_t domain, uint32_t container,
	struct lineage **ret_lineage)
{
	struct pins *p = core->pins;
	struct lineage **bucket = &p->lineages[container & (LINEAGE_BUCKETS - 1)], *l = *bucket;
	_cleanup_(kv_view_freep) struct kv_view *view = NULL;
	int r;

	while (l && l->container != container)
		l = l->next;
	if (l) {
		*ret_lineage = l;
		return 0;
	}
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->domain = domain;
	l->container = container;
	/* In one view: a move writes both. */
	r = kv_view_open(core->kv, &view);
	if (r == 0)
		r = load_past(core, view, l);
	if (r == 0)
		r = load_parent(core, view, l);
	if (r < 0) {
		free(l->past);
		free(l);
		return r;
	}
	l->next = *bucket;
	*bucket = l;
	p->n_lineages++;
	*ret_lineage = l;
	return 0;
}

/* Calls @each for runs of pins in (low, high] that cover the container. */
struct cover {
	struct core *core;
	int (*each)(void *arg, struct pin *const *pins, size_t n);
	void *arg;
};

static int cover(const struct cover *cv, uint32_t domain, uint32_t container, uint64_t low,
	uint64_t high, unsigned depth)
{
	struct place_pins *own = place_find(cv->core->pins, container);
	struct lineage *l;
	int r = lineage_get(cv->core, domain, container, &l);

	if (r == 0 && depth == DEPTH_MAX)
		r = -EBADMSG;
	if (r == 0 && own) {
		size_t first = pins_above(own->pins, own->n, low), end = pins_above(own->pins, own->n, high);
		if (first < end)
			r = cv->each(cv->arg, own->pins + first, end - first);
	}
	if (r == 0 && l->parent && high > l->since)
		r = cover(cv, l->parent_domain, l->parent, low > l->since ? low : l->since, high,
			depth + 1);
	for (size_t i = 0; r == 0 && i < l->n_past; i++) {
		const struct past_place *past = &l->past[i];
		uint64_t from = low > past->from ? low : past->from;
		uint64_t until = high < past->until ? high : past->until;
		if (from < until)
			r = cover(cv, past->domain, past->container, from, until, depth + 1);
	}
	return r;
}

/* Not while anybody holds a lineage. */
static void bound_lineages(struct pins *p)
{
	if (p->n_lineages > LINEAGES_MAX)
		lineages_forget(p);
}

static int take_newest(void *arg, struct pin *const *pins, size_t n)
{
	uint64_t *newest = arg;

	if (pins[n - 1]->id > *newest)
		*newest = pins[n - 1]->id;
	return 0;
}

int pins_newest(struct core *core, uint32_t domain, uint32_t container, uint64_t *ret_id)
{
	MUTEX_GUARD(&core->pins->lock);
	uint64_t generation = pins_generation(core), newest = 0;
	struct cover cv = {core, take_newest, &newest};
	struct lineage *l;
	int r;

	bound_lineages(core->pins);
	r = lineage_get(core, domain, container, &l);
	if (r == 0 && l->generation != generation) {
		r = cover(&cv, domain, container, 0, UINT64_MAX, 0);
		if (r == 0) {
			l->newest = newest;
			l->generation = generation;
		}
	}
	if (r == 0)
		*ret_id = l->newest;
	return r;
}

struct id_list {
	uint64_t *ids;
	size_t n, cap;
};

static int take_all(void *arg, struct pin *const *pins, size_t n)
{
	struct id_list *list = arg;

	if (list->n + n > list->cap) {
		size_t cap = 2 * (list->n + n);
		uint64_t *ids = reallocarray(list->ids, cap, sizeof *ids);
		if (!ids)
			return -ENOMEM;
		list->ids = ids;
		list->cap = cap;
	}
	for (size_t i = 0; i < n; i++)
		list->ids[list->n++] = pins[i]->id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int pins_all(struct core *core, uint32_t domain, uint32_t container, uint64_t **ret_ids, size_t *ret_n)
{
	struct id_list list = {0};
	struct cover cv = {core, take_all, &list};
	int r;

	pthread_mutex_lock(&core->pins->lock);
	bound_lineages(core->pins);
	r = cover(&cv, domain, container, 0, UINT64_MAX, 0);
	pthread_mutex_unlock(&core->pins->lock);
	if (r < 0) {
		free(list.ids);
		return r;
	}
	if (list.n)
		qsort(list.ids, list.n, sizeof *list.ids, compare_ids);
	*ret_ids = list.ids;
	*ret_n = list.n;
	return 0;
}

int pins_lies_in(struct core *core, uint32_t domain, uint32_t container, uint32_t place, bool *ret_in)
{
	MUTEX_GUARD(&core->pins->lock);
	struct lineage *l;

	bound_lineages(core->pins);
	for (unsigned depth = 0; container != place; depth++) {
		int r = lineage_get(core, domain, container, &l);
		if (r < 0)
			return r;
		if (!l->parent || depth == DEPTH_MAX) {
			*ret_in = false;
			return 0;
		}
		domain = l->parent_domain;
		container = l->parent;
	}
	*ret_in = true;
	return 0;
}

int pins_leave_place(struct op *op, struct container *c)
{
	struct key key = key_make(c->domain, c->id, KEY_PLACE, 0);
	uint8_t value[17], *p = put_u8(value, PIN_FORMAT);
	struct lineage *l;
	bool brief;
	int r;

	if (op->n_moved == OP_MOVED)
		return -EINVAL;
	op->moved[op->n_moved++] = c->id;
	if (!pins_count(op->core))
		return 0;
	pthread_mutex_lock(&op->core->pins->lock);
	bound_lineages(op->core->pins);
	r = lineage_get(op->core, c->domain, c->id, &l);
	brief = r == 0 && (!l->parent || l->since == op->epoch); /* no snapshot can have seen it there */
	if (r == 0)
		p = put_be64(put_be32(put_be32(p, l->parent_domain), l->parent), l->since);
	pthread_mutex_unlock(&op->core->pins->lock);
	if (r < 0 || brief)
		return r;
	key_add_u64(&key, op->epoch);
	return kv_txn_put(op->txn, KV_META, key.bytes, key.len, value, (size_t)(p - value));
}

int op_leave_place(struct op *op, struct container *c)
{
	return pins_leave_place(op, c);
}

void pins_moved(struct core *core, uint32_t container)
{
	struct lineage **at = &core->pins->lineages[container & (LINEAGE_BUCKETS - 1)], *l;

	MUTEX_GUARD(&core->pins->lock);
	while (*at && (*at)->container != container)
		at = &(*at)->next;
	l = *at;
	if (!l)
		return;
	*at = l->next;
	core->pins->n_lineages--;
	free(l->past);
	free(l);
}
