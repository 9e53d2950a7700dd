#include "tests/faults/load.h"

#include "kv/bytes.h"
#include "kv/kv_internal.h"

#include <limits.h>
#include <stdio.h>

#define TRIES 100
#define VALUE_MAX 12000

static uint32_t roll(uint32_t *dice, uint32_t sides)
{
	*dice = *dice * 1664525u + 1013904223u;
	return (*dice >> 8) % sides;
}

/* Nothing that compresses well: the store is to grow. */
static size_t fill(uint32_t seed, enum kv_family family, uint8_t value[VALUE_MAX])
{
	size_t len = family == KV_DATA ? 2000 + seed % 10000 : 20 + seed % 700;
	uint32_t x = seed | 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		value[i] = (uint8_t)x;
	}
	return len;
}

static size_t key_of(const struct load *l, enum kv_family family, uint32_t slot, uint32_t seed,
	uint8_t key[KV_KEY_MAX])
{
	uint8_t *p = put_be32(put_be32(key, l->domain), slot);

	/* A key of KV_DATA is never used again. */
	return (size_t)((family == KV_DATA ? put_be32(p, seed) : p) - key);
}

static int put(struct load *l, struct kv_txn *txn, uint32_t slot)
{
	uint8_t key[KV_KEY_MAX], value[VALUE_MAX];
	size_t key_len = key_of(l, KV_META, slot, 0, key);

	if (roll(&l->dice, 5) == 0) {
		l->meta[slot] = 0;
		return kv_txn_delete(txn, KV_META, key, key_len);
	}
	l->meta[slot] = 1 + roll(&l->dice, 1u << 23);
	return kv_txn_put(
		txn, KV_META, key, key_len, value, fill(l->meta[slot], KV_META, value));
}

static int exchange(struct load *l, struct kv_txn *txn, uint32_t slot)
{
	uint8_t key[KV_KEY_MAX], value[VALUE_MAX];
	int r = 0;

	if (l->data[slot]) {
		size_t len = key_of(l, KV_DATA, slot, l->data[slot], key);
		r = kv_txn_delete(txn, KV_DATA, key, len);
	}
	if (r < 0)
		return r;
	l->data[slot] = ++l->next_data;
	return kv_txn_insert(txn, KV_DATA, key, key_of(l, KV_DATA, slot, l->data[slot], key), value,
		fill(l->data[slot], KV_DATA, value));
}

static int transaction(struct load *l)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	int r = kv_txn_begin(l->kv, &txn);

	for (unsigned i = 1 + roll(&l->dice, 4); r == 0 && i > 0; i--) {
		uint32_t slot = roll(&l->dice, LOAD_KEYS);
		r = roll(&l->dice, 2) ? put(l, txn, slot) : exchange(l, txn, slot);
	}
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

int load_step(struct load *l)
{
	const struct load before = *l;
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		uint32_t next_data = l->next_data;

		r = transaction(l);
		if (r == 0)
			break;
		*l = before;
		l->next_data = next_data;
		if (r != -EAGAIN)
			break;
	}
	if (r == 0 && roll(&l->dice, 6) == 0)
		r = kv_sync(l->kv);
	if (r == 0)
		return 0;
	l->dice = before.dice + 2; /* not the same once more */
	l->refused++;
	if (r != -l->allowed) {
		printf("    answered %d, allowed is %d\n", r, -l->allowed);
		return -EPROTO;
	}
	return r;
}

static bool differs(const struct load *l, enum kv_family family, uint32_t slot, bool quiet)
{
	_cleanup_buf_ struct buf b = {0};
	uint8_t key[KV_KEY_MAX], value[VALUE_MAX];
	uint32_t seed = family == KV_META ? l->meta[slot] : l->data[slot];
	int r = kv_get(l->kv, NULL, family, key, key_of(l, family, slot, seed, key), &b);
	size_t len = seed ? fill(seed, family, value) : 0;

	if (!seed && r == -ENOENT)
		return false;
	if (seed && r == 0 && b.len == len && memcmp(b.data, value, len) == 0)
		return false;
	if (!quiet)
		printf("    record %u of family %d: %d, %zu bytes; expected %zu\n", slot, family, r,
			b.len, len);
	return true;
}

static unsigned count_records(const struct load *l, enum kv_family family)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint8_t prefix[4];
	unsigned n = 0;

	put_be32(prefix, l->domain);
	if (kv_iter_open(l->kv, NULL, NULL, family, prefix, sizeof prefix, &it) < 0)
		return UINT_MAX;
	for (int r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it))
		n++;
	return n;
}

unsigned load_compare(const struct load *l)
{
	unsigned bad = 0, expected[KV_FAMILIES] = {0};

	for (uint32_t i = 0; i < LOAD_KEYS; i++) {
		bad += differs(l, KV_META, i, false) + differs(l, KV_DATA, i, false);
		expected[KV_META] += l->meta[i] != 0;
		expected[KV_DATA] += l->data[i] != 0;
	}
	for (enum kv_family f = KV_META; f <= KV_DATA; f++) {
		unsigned n = count_records(l, f);
		if (n == expected[f])
			continue;
		printf("    %u records of family %d, expected %u\n", n, f, expected[f]);
		bad++;
	}
	if (kv_verify_sum(l->kv) < 0) {
		printf("    the sum over all records is wrong\n");
		bad++;
	}
	return bad;
}

unsigned load_look(const struct load *l, uint32_t *dice)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < 4; i++)
		bad += differs(l, roll(dice, 2) ? KV_META : KV_DATA, roll(dice, LOAD_KEYS), false);
	return bad;
}
