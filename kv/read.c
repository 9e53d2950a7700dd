#include "kv/kv_internal.h"

int kv_view_open(struct kv *kv, struct kv_view **ret_view)
{
	_cleanup_free_ struct kv_view *view = malloc(sizeof *view);
	int r;

	if (!view)
		return -ENOMEM;
	view->kv = kv;
	r = kv_enter(kv);
	if (r < 0)
		return r;
	r = kv->ops->view_open(kv->engine, &view->engine_view);
	if (r < 0) {
		kv_leave(kv);
		return r;
	}
	*ret_view = steal_ptr(view);
	return 0;
}

void kv_view_free(struct kv_view *view)
{
	if (!view)
		return;
	view->kv->ops->view_free(view->kv->engine, view->engine_view);
	kv_leave(view->kv);
	free(view);
}

int kv_get(struct kv *kv, const struct kv_view *view, enum kv_family family, const void *key,
	size_t key_len, struct buf *ret_value)
{
	_cleanup_buf_ struct buf sealed = {0};
	int r = kv_check_key(family, key, key_len);

	if (r == 0)
		r = kv_enter(kv);
	if (r < 0)
		return r;
	r = kv->ops->get(
		kv->engine, view ? view->engine_view : NULL, family, key, key_len, &sealed);
	kv_leave(kv);
	if (r < 0)
		return r;
	return kv_open_value(kv, family, key, key_len, sealed.data, sealed.len, ret_value);
}

/* What the engine is asked, as its arrays want it, and what becomes of its answers. */
struct multi {
	struct kv *kv;
	enum kv_family family;
	struct kv_lookup *lookups;
	const void **keys;
	size_t *key_lens;
	struct buf *values;
	int *results;
	size_t n;
};

static void multi_release(struct multi *m)
{
	for (size_t i = 0; m->values && i < m->n; i++)
		buf_release(&m->values[i]);
	free(m->keys);
	free(m->key_lens);
	free(m->values);
	free(m->results);
}

static int multi_init(struct multi *m, struct kv_lookup *lookups, size_t n)
{
	m->lookups = lookups;
	m->keys = calloc(n, sizeof *m->keys);
	m->key_lens = calloc(n, sizeof *m->key_lens);
	m->values = calloc(n, sizeof *m->values);
	m->results = calloc(n, sizeof *m->results);
	m->n = n;
	if (!m->keys || !m->key_lens || !m->values || !m->results)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		m->keys[i] = lookups[i].key;
		m->key_lens[i] = lookups[i].key_len;
	}
	return 0;
}

static void open_one(void *arg, size_t i)
{
	const struct multi *m = arg;
	struct kv_lookup *l = &m->lookups[i];

	l->result = m->results[i];
	if (l->result == 0)
		l->result = kv_open_value(m->kv, m->family, l->key, l->key_len, m->values[i].data,
			m->values[i].len, &l->value);
	/* Given back at once: a run of file data is large. */
	buf_release(&m->values[i]);
}

static void open_all(struct multi *m)
{
	size_t bytes = 0;

	for (size_t i = 0; i < m->n; i++)
		bytes += m->values[i].len;
	if (bytes >= CREW_WORTH) {
		crew_run(&m->kv->crew, open_one, m, m->n);
		return;
	}
	for (size_t i = 0; i < m->n; i++)
		open_one(m, i);
}

int kv_multi_get(struct kv *kv, const struct kv_view *view, enum kv_family family,
	struct kv_lookup *lookups, size_t n)
{
	_cleanup_(multi_release) struct multi m = {.kv = kv, .family = family};
	int r = 0;

	if (n == 0)
		return 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = kv_check_key(family, lookups[i].key, lookups[i].key_len);
	if (r == 0 && n == 1) { /* most files are one chunk */
		lookups->result = kv_get(kv, view, family, lookups->key, lookups->key_len, &lookups->value);
		return 0;
	}
	if (r == 0)
		r = multi_init(&m, lookups, n);
	if (r == 0)
		r = kv_enter(kv);
	if (r < 0)
		return r;
	r = kv->ops->multi_get(kv->engine, view ? view->engine_view : NULL, family, n, m.keys,
		m.key_lens, m.values, m.results);
	kv_leave(kv);
	if (r < 0)
		return r;
	open_all(&m);
	return 0;
}

bool kv_is_noise(const void *value, size_t len)
{
	return seal_is_noise(value, len);
}
