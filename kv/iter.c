/*
 * Iterators. Without a transaction an iterator is the engine's. With one, the engine's iterator
 * (over the transaction's view) and the transaction's sorted table of writes are merged: at one key
 * the write wins, and a delete hides.
 *
 * The table may change between two moves (a caller that deletes what it walks over), so no index
 * into it is kept: each move looks for the neighbour of the current key. The engine's iterator is
 * kept at the current key or at the next one beyond it in the direction of the last move; the other
 * direction seeks anew.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

struct kv_iter {
	struct kv *kv;
	struct kv_txn *txn; /* NULL: nothing is merged */
	struct kv_engine_iter *base;
	enum kv_family family;
	bool valid;
	bool keep;
	struct kv_recent_reading reading;
	/* With a transaction only: */
	int direction; /* of the last move: 1 or -1 */
	bool base_valid;
	size_t prefix_len, key_len;
	uint8_t prefix[KV_KEY_MAX], key[KV_KEY_MAX];
};

int kv_iter_open(struct kv *kv, const struct kv_view *view, struct kv_txn *txn,
	enum kv_family family, const void *prefix, size_t prefix_len, struct kv_iter **ret_iter)
{
	_cleanup_free_ struct kv_iter *it = NULL;
	struct kv_engine_view *engine_view = txn ? txn->view : view ? view->engine_view : NULL;
	int r;

	if ((family != KV_META && !kv_write_once(family)) || prefix_len > KV_KEY_MAX || (txn && view))
		return -EINVAL;
	it = malloc(sizeof *it);
	if (!it)
		return -ENOMEM;
	it->kv = kv;
	it->txn = txn;
	it->family = family;
	it->valid = false;
	it->base_valid = false;
	it->prefix_len = prefix_len;
	it->key_len = 0;
	put_bytes(it->prefix, prefix, prefix_len);
	it->keep = false;
	r = kv_enter(kv);
	if (r < 0)
		return r;
	it->reading = kv_recent_reading(kv);
	r = kv->ops->iter_open(kv->engine, engine_view, family, prefix, prefix_len, &it->base);
	if (r < 0) {
		kv_leave(kv);
		return r;
	}
	*ret_iter = steal_ptr(it);
	return 0;
}

void kv_iter_keep(struct kv_iter *it)
{
	it->keep = it->family == KV_META && !it->txn;
}

void kv_iter_free(struct kv_iter *it)
{
	if (!it)
		return;
	it->kv->ops->iter_free(it->base);
	kv_leave(it->kv);
	free(it);
}

static int compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

static bool in_prefix(const struct kv_iter *it, const struct txn_record *record)
{
	return record->family == it->family && record->key_len >= it->prefix_len &&
	       memcmp(record->key, it->prefix, it->prefix_len) == 0;
}

/*
 * The transaction's write nearest to @key in @direction, @key itself only if @inclusive. A NULL
 * @key is the end from which that direction starts. NULL: none.
 */
static const struct txn_record *nearest_write(
	const struct kv_iter *it, const void *key, size_t key_len, int direction, bool inclusive)
{
	const struct kv_txn *txn = it->txn;
	bool found;
	size_t i;

	if (!key && direction < 0) {
		/* From behind the prefix: past every key that begins with it. */
		uint8_t end[KV_KEY_MAX];
		memset(end, 0xff, sizeof end);
		memcpy(end, it->prefix, it->prefix_len);
		i = txn_find(txn, it->family, end, sizeof end, &found);
		inclusive = true;
	} else if (!key) {
		i = txn_find(txn, it->family, it->prefix, it->prefix_len, &found);
		inclusive = true;
	} else {
		i = txn_find(txn, it->family, key, key_len, &found);
	}
	if (direction > 0) {
		if (found && !inclusive)
			i++;
		for (; i < txn->records_n && in_prefix(it, txn->records[i]); i++)
			if (txn->records[i]->write != TXN_NOTHING)
				return txn->records[i];
		return NULL;
	}
	if (found && inclusive)
		i++;
	for (; i > 0 && in_prefix(it, txn->records[i - 1]); i--)
		if (txn->records[i - 1]->write != TXN_NOTHING)
			return txn->records[i - 1];
	return NULL;
}

static int base_step(struct kv_iter *it, int direction)
{
	int r = direction > 0 ? it->kv->ops->iter_next(it->base) : it->kv->ops->iter_prev(it->base);

	it->base_valid = r > 0;
	return r;
}

static int base_seek(struct kv_iter *it, const void *key, size_t key_len, int direction)
{
	int r = direction > 0 ? it->kv->ops->iter_seek(it->base, key, key_len)
			      : it->kv->ops->iter_seek_back(it->base, key, key_len);

	it->base_valid = r > 0;
	it->direction = direction;
	return r;
}

static int stand_at(struct kv_iter *it, const void *key, size_t key_len)
{
	memmove(it->key, key, key_len);
	it->key_len = key_len;
	it->valid = true;
	return 1;
}

/* The engine's iterator is at its candidate, @write is the table's. Stands at the nearer one. */
static int merge(struct kv_iter *it, const struct txn_record *write, int direction)
{
	for (;;) {
		size_t base_len = 0;
		const uint8_t *base = NULL;
		int c;

		it->valid = false;
		if (it->base_valid) {
			base = it->kv->ops->iter_key(it->base, &base_len);
			if (base_len > KV_KEY_MAX)
				return -EBADMSG;
		}
		if (!base && !write)
			return 0;
		c = !write  ? -1
		    : !base ? 1
			    : direction * compare(base, base_len, write->key, write->key_len);
		if (c < 0)
			return stand_at(it, base, base_len);
		if (write->write == TXN_PUT)
			return stand_at(it, write->key, write->key_len);
		if (c == 0) {
			int r = base_step(it, direction);
			if (r < 0)
				return r;
		}
		write = nearest_write(it, write->key, write->key_len, direction, false);
	}
}

static int seek(struct kv_iter *it, const void *key, size_t key_len, int direction)
{
	int r;

	if (key && key_len > KV_KEY_MAX)
		return -EINVAL;
	r = base_seek(it, key, key_len, direction);
	it->valid = r > 0;
	if (!it->txn || r < 0)
		return r;
	/* A key outside the prefix is one of its ends. */
	if (key) {
		size_t n = key_len < it->prefix_len ? key_len : it->prefix_len;
		int c = memcmp(key, it->prefix, n);
		if (c == 0 && key_len < it->prefix_len)
			c = -1;
		if (c * direction > 0)
			return merge(it, NULL, direction);
		if (c != 0)
			key = NULL;
	}
	return merge(it, nearest_write(it, key, key_len, direction, true), direction);
}

int kv_iter_seek(struct kv_iter *it, const void *key, size_t key_len)
{
	return seek(it, key, key_len, 1);
}

int kv_iter_seek_back(struct kv_iter *it, const void *key, size_t key_len)
{
	return seek(it, key, key_len, -1);
}

static int step(struct kv_iter *it, int direction)
{
	size_t len;
	int r;

	if (!it->valid)
		return 0;
	if (!it->txn) {
		r = base_step(it, direction);
		it->valid = r > 0;
		return r;
	}
	r = 1;
	if (it->direction != direction)
		r = base_seek(it, it->key, it->key_len, direction);
	if (r >= 0 && it->base_valid) {
		const uint8_t *base = it->kv->ops->iter_key(it->base, &len);
		if (compare(base, len, it->key, it->key_len) == 0)
			r = base_step(it, direction);
	}
	if (r < 0) {
		it->valid = false;
		return r;
	}
	return merge(it, nearest_write(it, it->key, it->key_len, direction, false), direction);
}

int kv_iter_next(struct kv_iter *it)
{
	return step(it, 1);
}

int kv_iter_prev(struct kv_iter *it)
{
	return step(it, -1);
}

const uint8_t *kv_iter_key(const struct kv_iter *it, size_t *ret_len)
{
	if (!it->txn)
		return it->kv->ops->iter_key(it->base, ret_len);
	*ret_len = it->key_len;
	return it->key;
}

int kv_iter_value(struct kv_iter *it, struct buf *ret_value)
{
	size_t key_len, value_len;
	const uint8_t *key, *value;
	int r;

	if (!it->valid)
		return -ENOENT;
	key = kv_iter_key(it, &key_len);
	if (key_len < KV_KEY_MIN || key_len > KV_KEY_MAX)
		return -EBADMSG;
	if (it->txn) {
		bool found;
		size_t i = txn_find(it->txn, it->family, key, key_len, &found);
		const struct txn_record *record = found ? it->txn->records[i] : NULL;

		if (record && record->write == TXN_DELETE)
			return -ENOENT;
		if (record && record->write == TXN_PUT)
			return kv_open_value(it->kv, it->family, key, key_len,
				it->txn->sealed.data + record->sealed_at, record->sealed_len,
				ret_value);
	}
	value = it->kv->ops->iter_value(it->base, &value_len);
	r = kv_open_value(it->kv, it->family, key, key_len, value, value_len, ret_value);
	if (r == 0 && it->keep) {
		const struct kv_recent_key id = {kv_key_hash(it->kv, KV_META, key, key_len), key, key_len};
		kv_recent_keep(it->kv, &it->reading, &id, value, value_len, ret_value);
	}
	return r;
}
