/*
 * check.c: scans for a check of the whole store, and the end of a repair.
 *
 * Past a gap. An iterator that meets a block that cannot be read stops there and does not know where the
 * next one begins. A seek to a key fails where the key falls into a bad block and works elsewhere, so the
 * end of the gap is looked for: first in steps that double, eight to each power of two, so that a good
 * block between two bad ones is hardly passed over; then by halving. Keys are taken as numbers of
 * GAP_BYTES bytes.
 */
#include "kv/check.h"

#include "kv/bytes.h"
#include "kv/kv_internal.h"

#define GAP_BYTES 40 /* the longest key that fs/ uses; a longer one is cut, and so a little later */
#define GAP_STEPS 8

struct kv_scan {
	struct kv *kv;
	enum kv_family family;
	struct kv_engine_iter *it;
	bool started, valid;
	unsigned gaps;
	kv_sum sum;
	size_t last_len; /* the last key that was seen: where a gap begins */
	uint8_t last[KV_KEY_MAX];
};

/* ---- gaps ------------------------------------------------------------------------------------ */

/* @a + @n << @bit, from the right; false where it does not fit. */
static bool number_add(const uint8_t a[GAP_BYTES], unsigned n, unsigned bit, uint8_t ret[GAP_BYTES])
{
	unsigned carry = n << bit % 8;
	int i = GAP_BYTES - 1 - (int)(bit / 8);

	memcpy(ret, a, GAP_BYTES);
	for (; i >= 0 && carry; i--) {
		carry += ret[i];
		ret[i] = (uint8_t)carry;
		carry >>= 8;
	}
	return carry == 0;
}

/* The middle of two; false where there is nothing between them. */
static bool number_middle(
	const uint8_t low[GAP_BYTES], const uint8_t high[GAP_BYTES], uint8_t ret[GAP_BYTES])
{
	unsigned carry = 0, rest = 0;

	for (int i = GAP_BYTES - 1; i >= 0; i--) {
		carry += (unsigned)low[i] + high[i];
		ret[i] = (uint8_t)carry;
		carry >>= 8;
	}
	rest = carry;
	for (int i = 0; i < GAP_BYTES; i++) {
		unsigned v = rest << 8 | ret[i];
		ret[i] = (uint8_t)(v >> 1);
		rest = v & 1;
	}
	return memcmp(ret, low, GAP_BYTES) != 0;
}

/*
 * A seek by an iterator of its own, which takes the place of *@it: after an error RocksDB's answers depend on
 * where the iterator was before.
 */
static int probe(struct kv *kv, enum kv_family family, struct kv_engine_iter **it,
	const uint8_t at[GAP_BYTES])
{
	if (*it)
		kv->ops->iter_free(*it);
	*it = NULL;
	int r = kv->ops->iter_open(kv->engine, NULL, family, NULL, 0, it);
	return r < 0 ? r : kv->ops->iter_seek(*it, at, GAP_BYTES);
}

int kv_pass_gap(struct kv *kv, enum kv_family family, struct kv_engine_iter **it,
	const uint8_t *key, size_t key_len)
{
	uint8_t low[GAP_BYTES] = {0}, high[GAP_BYTES], at[GAP_BYTES];
	bool found = false;

	memcpy(low, key, key_len < GAP_BYTES ? key_len : GAP_BYTES);
	memcpy(at, low, GAP_BYTES);
	for (unsigned bit = 0; bit < 8 * GAP_BYTES - 3 && !found; bit++)
		for (unsigned n = GAP_STEPS; n < 2 * GAP_STEPS && !found; n++) {
			if (!number_add(at, n, bit, high))
				break;
			found = probe(kv, family, it, high) >= 0;
			if (!found)
				memcpy(low, high, GAP_BYTES);
		}
	if (!found)
		return 0;
	while (number_middle(low, high, at))
		memcpy(probe(kv, family, it, at) >= 0 ? high : low, at, GAP_BYTES);
	return probe(kv, family, it, high);
}

/* ---- scans ----------------------------------------------------------------------------------- */

int kv_scan_open(struct kv *kv, enum kv_family family, struct kv_scan **ret_scan)
{
	struct kv_scan *scan = calloc(1, sizeof *scan);
	int r;

	if (!scan)
		return -ENOMEM;
	scan->kv = kv;
	scan->family = family;
	r = kv_enter(kv);
	if (r == 0) {
		r = kv->ops->iter_open(kv->engine, NULL, family, NULL, 0, &scan->it);
		if (r < 0)
			kv_leave(kv);
	}
	if (r < 0) {
		free(scan);
		return r;
	}
	*ret_scan = scan;
	return 0;
}

void kv_scan_free(struct kv_scan *scan)
{
	if (!scan)
		return;
	if (scan->it)
		scan->kv->ops->iter_free(scan->it);
	kv_leave(scan->kv);
	free(scan);
}

static void add_element(struct kv_scan *scan)
{
	uint8_t id[SEAL_ID_BYTES];
	bool meta = scan->family == KV_META;

	if (meta) {
		size_t value_len;
		const uint8_t *value = scan->kv->ops->iter_value(scan->it, &value_len);
		kv_sum_identity(value, value_len, id);
	}
	scan->sum += kv_sum_element(
		scan->kv, scan->family, scan->last, scan->last_len, meta ? id : NULL);
}

int kv_scan_next(struct kv_scan *scan)
{
	const struct kv_engine_ops *ops = scan->kv->ops;
	const uint8_t *key;
	int r;

	do {
		r = scan->started ? ops->iter_next(scan->it) : ops->iter_seek(scan->it, NULL, 0);
		scan->started = true;
		if (r < 0 && r != -ENOMEM) {
			scan->gaps++;
			r = kv_pass_gap(scan->kv, scan->family, &scan->it, scan->last,
				scan->last_len);
		}
		scan->valid = r > 0;
		if (r <= 0)
			return r;
		key = ops->iter_key(scan->it, &scan->last_len);
		if (scan->last_len > KV_KEY_MAX)
			scan->last_len = KV_KEY_MAX;
		memcpy(scan->last, key, scan->last_len);
		add_element(scan);
	} while (scan->last_len < KV_KEY_MIN); /* no key of ours: only the sum tells of it */
	return 1;
}

const uint8_t *kv_scan_key(const struct kv_scan *scan, size_t *ret_len)
{
	*ret_len = scan->last_len;
	return scan->last;
}

int kv_scan_value(struct kv_scan *scan, struct buf *ret_value)
{
	size_t len;
	const uint8_t *value = scan->kv->ops->iter_value(scan->it, &len);

	return kv_open_value(
		scan->kv, scan->family, scan->last, scan->last_len, value, len, ret_value);
}

unsigned kv_scan_gaps(const struct kv_scan *scan)
{
	return scan->gaps;
}

static int sum_of(struct kv *kv, enum kv_family family, kv_sum *sum)
{
	_cleanup_(kv_scan_freep) struct kv_scan *scan = NULL;
	int r = kv_scan_open(kv, family, &scan);

	if (r < 0)
		return r;
	while ((r = kv_scan_next(scan)) > 0)
		;
	*sum += scan->sum;
	return r;
}

int kv_scan_verify(struct kv *kv, const struct kv_scan *meta, const struct kv_scan *data)
{
	kv_sum sum = meta->sum + data->sum;
	int r = sum_of(kv, KV_HISTORY, &sum);

	return r < 0 ? r : sum == kv->commit.sum ? 0 : -EBADMSG;
}

int kv_domains(struct kv *kv, uint32_t **ret_domains, size_t *ret_n)
{
	return keyring_domains(kv->keyring, ret_domains, ret_n);
}

/* ---- the end of a repair --------------------------------------------------------------------- */

int kv_settle(struct kv *kv)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	kv_sum sum = 0;
	int r = 0;

	for (enum kv_family f = KV_META; r == 0 && f < KV_FAMILIES; f++)
		r = sum_of(kv, f, &sum);
	if (r < 0)
		return r;
	/* Nobody else commits: the leader's fields are ours. */
	kv->commit.sum = sum;
	if (atomic_load(&kv->commit.published) < kv->state.expected)
		atomic_store(&kv->commit.published, kv->state.expected);
	r = kv_txn_begin(kv, &txn);
	if (r < 0)
		return r;
	kv_txn_set_shrinking(txn);
	kv_txn_count(txn, 0, KV_COUNT_SPARE, 0); /* a batch of the commit row alone */
	r = kv_txn_commit(txn, NULL);
	if (r == 0) {
		kv->mending = false;
		kv->state.damaged = false;
		r = kv_sync(kv);
	}
	return r;
}
