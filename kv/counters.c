/*
 * Counters by domain. Callers give deltas; the leader of a group folds them into absolute values,
 * so that no two transactions conflict over a counter.
 *
 * Writing one row for each domain that a commit touches would double the cost of a small commit.
 * Instead the last KV_RECENT domains that changed stand in the commit row, which is written anyway;
 * the one that leaves it gets its own row, in the same batch. On open the commit row overrides.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

/* The index of the first entry >= @domain. */
static size_t table_find(const struct kv_counters *c, uint32_t domain)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (c->table[mid].domain < domain)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static const struct kv_count *table_get(const struct kv_counters *c, uint32_t domain)
{
	size_t i = table_find(c, domain);

	return i < c->n && c->table[i].domain == domain ? &c->table[i] : NULL;
}

static int table_reserve(struct kv_counters *c, size_t more)
{
	size_t cap = c->cap ? c->cap : 16;
	struct kv_count *table;

	if (c->n + more <= c->cap)
		return 0;
	while (cap < c->n + more)
		cap *= 2;
	table = reallocarray(c->table, cap, sizeof *table);
	if (!table)
		return -ENOMEM;
	c->table = table;
	c->cap = cap;
	return 0;
}

/* Room was made before. */
static void table_set(struct kv_counters *c, const struct kv_count *count)
{
	size_t i = table_find(c, count->domain);

	if (i == c->n || c->table[i].domain != count->domain) {
		memmove(&c->table[i + 1], &c->table[i], (c->n - i) * sizeof *c->table);
		c->n++;
	}
	c->table[i] = *count;
}

static int load_row(struct kv *kv, const uint8_t *key, const void *sealed, size_t sealed_len)
{
	_cleanup_buf_ struct buf plain = {0};
	struct kv_count count;
	int r = seal_open(
		&kv->seal, kv->own_key, KV_SYS, key, KV_ROW_KEY_BYTES, sealed, sealed_len, &plain);

	if (r == 0)
		r = kv_counters_row_decode(get_be32(key), plain.data, plain.len, &count);
	if (r == 0)
		r = table_reserve(&kv->counters, 1);
	if (r == 0)
		table_set(&kv->counters, &count);
	return r;
}

static int load_rows(struct kv *kv)
{
	struct kv_engine_iter *it;
	int r = kv->ops->iter_open(kv->engine, NULL, KV_SYS, NULL, 0, &it);

	if (r < 0)
		return r;
	for (r = kv->ops->iter_seek(it, NULL, 0); r > 0; r = kv->ops->iter_next(it)) {
		size_t key_len, value_len;
		const uint8_t *key = kv->ops->iter_key(it, &key_len), *value;

		if (key_len != KV_ROW_KEY_BYTES || key[4] != KV_ROW_COUNTERS)
			continue;
		value = kv->ops->iter_value(it, &value_len);
		r = load_row(kv, key, value, value_len);
		if (r == -EBADMSG && kv->options.repair)
			continue; /* the checker counts anew */
		if (r < 0)
			break;
	}
	kv->ops->iter_free(it);
	return r;
}

int kv_counters_init(struct kv *kv, const struct kv_commit_row *row)
{
	struct kv_counters *c = &kv->counters;
	int r = load_rows(kv);

	if (r < 0)
		return r;
	r = table_reserve(c, row->n);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < row->n; i++) {
		table_set(c, &row->count[i]);
		c->recent[i] = row->count[i].domain;
	}
	c->recent_n = row->n;
	return 0;
}

void kv_counters_release(struct kv *kv)
{
	free(kv->counters.table);
	kv->counters.table = NULL;
	kv->counters.n = kv->counters.cap = 0;
}

static struct kv_count *staged_get(struct kv_commit *c, uint32_t domain)
{
	for (size_t i = 0; i < c->staged_n; i++)
		if (c->staged[i].domain == domain)
			return &c->staged[i];
	return NULL;
}

void kv_txn_count(struct kv_txn *txn, uint32_t domain, enum kv_counter counter, int64_t delta)
{
	struct kv_count *count = NULL;

	for (size_t i = 0; i < txn->counts_n && !count; i++)
		if (txn->counts[i].domain == domain)
			count = &txn->counts[i];
	if (!count) {
		if (txn->counts_n == txn->counts_cap) {
			size_t cap = txn->counts_cap * 2;
			struct kv_count *counts = malloc(cap * sizeof *counts);
			if (!counts) {
				txn->error = -ENOMEM;
				return;
			}
			memcpy(counts, txn->counts, txn->counts_n * sizeof *counts);
			if (txn->counts != txn->inline_counts)
				free(txn->counts);
			txn->counts = counts;
			txn->counts_cap = cap;
		}
		count = &txn->counts[txn->counts_n++];
		*count = (struct kv_count){.domain = domain};
	}
	count->value[counter] += delta;
}

int kv_counters_stage(struct kv *kv, const struct kv_txn *txn)
{
	struct kv_commit *c = &kv->commit;

	if (c->staged_n + txn->counts_n > c->staged_cap) {
		size_t cap = 2 * (c->staged_n + txn->counts_n);
		struct kv_count *staged = reallocarray(c->staged, cap, sizeof *staged);
		if (!staged)
			return -ENOMEM;
		c->staged = staged;
		c->staged_cap = cap;
	}
	for (size_t i = 0; i < txn->counts_n; i++) {
		const struct kv_count *delta = &txn->counts[i];
		struct kv_count *count = staged_get(c, delta->domain);

		if (!count) {
			const struct kv_count *now = table_get(&kv->counters, delta->domain);
			count = &c->staged[c->staged_n++];
			*count = now ? *now : (struct kv_count){.domain = delta->domain};
		}
		/* Unsigned, so that a caller's mistake wraps and is not undefined. */
		for (int k = 0; k < KV_COUNTERS; k++)
			count->value[k] =
				(int64_t)((uint64_t)count->value[k] + (uint64_t)delta->value[k]);
	}
	return 0;
}

/* Moves @domain to the end of the list. True if it was full without it: *@ret_evicted left. */
static bool recent_touch(uint32_t *recent, unsigned *n, uint32_t domain, uint32_t *ret_evicted)
{
	bool evicted = false;
	unsigned i = 0;

	while (i < *n && recent[i] != domain)
		i++;
	if (i == KV_RECENT) {
		*ret_evicted = recent[0];
		evicted = true;
		i = 0;
	} else if (i == *n) {
		recent[(*n)++] = domain;
		return false;
	}
	memmove(&recent[i], &recent[i + 1], (*n - i - 1) * sizeof *recent);
	recent[*n - 1] = domain;
	return evicted;
}

size_t kv_counters_plan(struct kv *kv, struct kv_commit_row *ret_row, struct kv_count *evicted)
{
	struct kv_counters *c = &kv->counters;
	uint32_t recent[KV_RECENT], gone;
	unsigned n = c->recent_n;
	size_t evicted_n = 0;

	memcpy(recent, c->recent, sizeof recent);
	for (size_t i = 0; i < kv->commit.staged_n; i++) {
		const struct kv_count *count;

		if (!recent_touch(recent, &n, kv->commit.staged[i].domain, &gone))
			continue;
		count = staged_get(&kv->commit, gone);
		evicted[evicted_n++] = count ? *count : *table_get(c, gone);
	}
	ret_row->n = n;
	for (unsigned i = 0; i < n; i++) {
		const struct kv_count *count = staged_get(&kv->commit, recent[i]);
		ret_row->count[i] = count ? *count : *table_get(c, recent[i]);
	}
	return evicted_n;
}

int kv_counters_reserve(struct kv *kv)
{
	int r;

	if (kv->counters.n + kv->commit.staged_n <= kv->counters.cap)
		return 0;
	pthread_rwlock_wrlock(&kv->counters.lock);
	r = table_reserve(&kv->counters, kv->commit.staged_n);
	pthread_rwlock_unlock(&kv->counters.lock);
	return r;
}

void kv_counters_install(struct kv *kv, const struct kv_commit_row *row)
{
	struct kv_counters *c = &kv->counters;

	if (kv->commit.staged_n == 0)
		return;
	pthread_rwlock_wrlock(&c->lock);
	for (size_t i = 0; i < kv->commit.staged_n; i++)
		table_set(c, &kv->commit.staged[i]);
	pthread_rwlock_unlock(&c->lock);
	for (unsigned i = 0; i < row->n; i++)
		c->recent[i] = row->count[i].domain;
	c->recent_n = row->n;
}

int64_t kv_counter(struct kv *kv, uint32_t domain, enum kv_counter counter)
{
	const struct kv_count *count;
	int64_t value;

	pthread_rwlock_rdlock(&kv->counters.lock);
	count = table_get(&kv->counters, domain);
	value = count ? count->value[counter] : 0;
	pthread_rwlock_unlock(&kv->counters.lock);
	return value;
}

int64_t kv_counter_total(struct kv *kv, enum kv_counter counter)
{
	uint64_t total = 0;

	pthread_rwlock_rdlock(&kv->counters.lock);
	for (size_t i = 0; i < kv->counters.n; i++)
		total += (uint64_t)kv->counters.table[i].value[counter];
	pthread_rwlock_unlock(&kv->counters.lock);
	return (int64_t)total;
}
