#include "kv/kv_internal.h"

#include "kv/bytes.h"

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

/* As it is now. What was read is kept for the transaction that often follows a look. */
static int get_recent(struct kv *kv, const void *key, size_t key_len, struct buf *ret_value)
{
	const struct kv_recent_key id = {kv_key_hash(kv, KV_META, key, key_len), key, key_len};
	_cleanup_buf_ struct buf sealed = {0};
	struct kv_recent_reading reading;
	int r;

	/* Of a domain whose key is gone nothing is told that is at hand. */
	r = keyring_domain_key(kv->keyring, get_be32(key)) ? kv_recent_get(kv, UINT64_MAX, &id, NULL, ret_value)
							    : -EAGAIN;
	if (r != -EAGAIN)
		return r;
	reading = kv_recent_reading(kv);
	r = kv->ops->get(kv->engine, NULL, KV_META, key, key_len, &sealed);
	if (r == -ENOENT)
		kv_recent_keep(kv, &reading, &id, NULL, 0, NULL);
	if (r == 0)
		r = kv_open_value(kv, KV_META, key, key_len, sealed.data, sealed.len, ret_value);
	if (r == 0)
		kv_recent_keep(kv, &reading, &id, sealed.data, sealed.len, ret_value);
	return r;
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
	if (!view && family == KV_META) {
		r = get_recent(kv, key, key_len, ret_value);
		kv_leave(kv);
		return r;
	}
	r = kv->ops->get(
		kv->engine, view ? view->engine_view : NULL, family, key, key_len, &sealed);
	kv_leave(kv);
	if (r < 0)
		return r;
	return kv_open_value(kv, family, key, key_len, sealed.data, sealed.len, ret_value);
}

/* What the engine is asked, as its arrays want it, and the run of its answers that is being opened. */
struct multi {
	struct kv *kv;
	enum kv_family family;
	struct kv_lookup *lookups;
	const void **keys;
	size_t *key_lens;
	size_t first;
	const struct kv_engine_value *values;
};

static void multi_release(struct multi *m)
{
	free(m->keys);
	free(m->key_lens);
}

static int multi_init(struct multi *m, struct kv_lookup *lookups, size_t n)
{
	m->lookups = lookups;
	m->keys = calloc(n, sizeof *m->keys);
	m->key_lens = calloc(n, sizeof *m->key_lens);
	if (!m->keys || !m->key_lens)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		m->keys[i] = lookups[i].key;
		m->key_lens[i] = lookups[i].key_len;
	}
	return 0;
}

static int open_lookup(const struct multi *m, struct kv_lookup *l, const struct kv_engine_value *value)
{
	const struct seal_key *key = keyring_domain_key(m->kv->keyring, get_be32(l->key));
	int r;

	if (value->result < 0)
		return value->result;
	if (l->room && key) {
		r = seal_open_into(&m->kv->seal, key, m->family, l->key, l->key_len, value->data, value->len,
			l->room, l->room_len);
		if (r != 0) {
			l->in_room = r > 0;
			return r < 0 ? r : 0;
		}
	}
	return kv_open_value(
		m->kv, m->family, l->key, l->key_len, value->data, value->len, &l->value);
}

static void open_one(void *arg, size_t i)
{
	const struct multi *m = arg;
	struct kv_lookup *l = &m->lookups[m->first + i];

	l->in_room = false;
	l->result = open_lookup(m, l, &m->values[i]);
}

/* From where the engine has them, without a copy. */
static void open_run(void *arg, size_t first, size_t n, const struct kv_engine_value *values)
{
	struct multi *m = arg;
	size_t bytes = 0;

	m->first = first;
	m->values = values;
	for (size_t i = 0; i < n; i++)
		bytes += values[i].len;
	if (bytes >= CREW_WORTH) {
		crew_run(&m->kv->crew, open_one, m, n);
		return;
	}
	for (size_t i = 0; i < n; i++)
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
		lookups->in_room = false;
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
		m.key_lens, open_run, &m);
	kv_leave(kv);
	return r;
}

bool kv_is_noise(const void *value, size_t len)
{
	return seal_is_noise(value, len);
}
