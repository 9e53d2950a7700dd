/*
 * pack.c: walks the records of a container and packs them. The contract is pack.h's.
 */
#include "fs/core/pack.h"

#include "fs/core/core_internal.h"
#include "fs/core/inode.h"
#include "fs/core/key.h"

#include <errno.h>
#include <string.h>

#define BATCH 32
#define RETRIES 4
#define SAMPLE_BYTES (6u << 20)
#define SAMPLES_MAX 8192u
#define SAMPLE_MIN 200 /* bytes: smaller values are no messages */
/* A dictionary from less is made anew once the domain has grown by GROWTH. */
#define TRAINED_WELL (2u << 20)
#define GROWTH 8

/* ---- training -------------------------------------------------------------------------------- */

struct samples {
	struct buf bytes;
	size_t *sizes;
	unsigned n;
};

static void samples_release(struct samples *s)
{
	buf_release(&s->bytes);
	free(s->sizes);
}

static bool stopped(const bool *stop)
{
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

/* Adds each @step-th value below the domain, of those that hold what users wrote. Counts all where @step is 0. */
static int gather(struct core *core, uint32_t domain, enum kv_family family, uint64_t step, const bool *stop,
	uint64_t *count, struct samples *s)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct key prefix = key_make(domain, 0, 0, 0);
	int r = kv_iter_open(core->kv, NULL, NULL, family, prefix.bytes, 4, &it);

	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		if (stopped(stop))
			return -ECANCELED;
		if (len < KEY_PREFIX || (key[8] != KEY_INODE && key[8] != KEY_CHUNK))
			continue;
		if ((*count)++ % (step ? step : 1) || !step)
			continue;
		if (s->n == SAMPLES_MAX || s->bytes.len >= SAMPLE_BYTES)
			break;
		if (kv_iter_value(it, &value) < 0 || value.len < SAMPLE_MIN)
			continue; /* damaged ones teach nothing */
		r = buf_append(&s->bytes, value.data, value.len);
		if (r < 0)
			return r;
		s->sizes[s->n++] = value.len;
	}
	return r < 0 ? r : 0;
}

static int train(struct core *core, uint32_t domain, const bool *stop)
{
	_cleanup_(samples_release) struct samples s = {.sizes = calloc(SAMPLES_MAX, sizeof *s.sizes)};
	static const enum kv_family families[] = {KV_META, KV_DATA};
	uint64_t total = 0, at = 0;
	int r = s.sizes ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < 2; i++)
		r = gather(core, domain, families[i], 0, stop, &total, &s);
	for (size_t i = 0; r == 0 && i < 2; i++)
		r = gather(core, domain, families[i], total / SAMPLES_MAX + 1, stop, &at, &s);
	return r < 0 ? r : kv_dictionary_train(core->kv, domain, s.bytes.data, s.sizes, s.n);
}

/* Whether there is a dictionary that is good enough; makes one. */
static int prepare(struct core *core, uint32_t domain, const bool *stop)
{
	struct kv_dictionary_info info;
	int r = kv_dictionary_get_info(core->kv, domain, &info);

	if (r == -ENOENT)
		return train(core, domain, stop);
	if (r < 0 || info.trained_from >= TRAINED_WELL ||
		(uint64_t)kv_counter(core->kv, domain, KV_COUNT_BYTES) < GROWTH * info.trained_from)
		return r;
	r = train(core, domain, stop);
	return r == -ENODATA ? 0 : r;
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Keys of records of one family, rising. */
struct batch {
	uint8_t key[BATCH][KV_KEY_MAX];
	size_t len[BATCH], n;
};

/* The records after @from, which is where an earlier batch ended; its length 0: the first ones. */
static int collect(struct core *core, enum kv_family family, const struct key *prefix, const uint8_t *from,
	size_t from_len, struct batch *b)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	int r = kv_iter_open(core->kv, NULL, NULL, family, prefix->bytes, 8, &it);

	b->n = 0;
	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, from_len ? from : NULL, from_len); r > 0 && b->n < BATCH; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		if (len == from_len && memcmp(key, from, len) == 0)
			continue;
		memcpy(b->key[b->n], key, len);
		b->len[b->n++] = len;
	}
	return r < 0 ? r : 0;
}

static int pack_batch(struct core *core, struct kv_packer *p, enum kv_family family, const struct batch *b,
	struct kv_packed *sums)
{
	for (int tries = 0;; tries++) {
		_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
		struct kv_packed these = *sums;
		int r = kv_txn_begin(core->kv, &txn);

		for (size_t i = 0; r == 0 && i < b->n; i++) {
			r = kv_txn_pack(txn, p, family, b->key[i], b->len[i], &these);
			if (r == -ENOENT || r == -EBADMSG)
				r = 0; /* gone meanwhile; or damaged: fsck's to say */
		}
		if (r == 0)
			r = kv_txn_commit(txn, NULL);
		if (r == 0)
			*sums = these;
		/* Somebody works here: the next time will do. */
		if (r != -EAGAIN || tries == RETRIES)
			return r == -EAGAIN ? 0 : r;
	}
}

struct core_packer {
	struct core *core;
	uint32_t domain;
	const bool *stop;
	struct kv_packer *records;
};

static int pack_family(struct core_packer *p, enum kv_family family, const struct key *prefix, struct kv_packed *sums)
{
	uint8_t last[KV_KEY_MAX];
	size_t last_len = 0;
	struct batch b;
	int r;

	do {
		if (stopped(p->stop))
			return -ECANCELED;
		r = collect(p->core, family, prefix, last, last_len, &b);
		if (r == 0 && b.n) {
			last_len = b.len[b.n - 1];
			memcpy(last, b.key[b.n - 1], last_len);
			r = pack_batch(p->core, p->records, family, &b, sums);
		}
	} while (r == 0 && b.n);
	return r;
}

/* The container that has its root at @dir. */
static int find(struct core *core, uint64_t dir, uint32_t *ret_domain, uint32_t *ret_container)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, dir, NULL, &inode);

	if (r < 0)
		return r;
	*ret_domain = inode->container->domain;
	*ret_container = inode->container->id;
	return 0;
}

int core_packer_open(struct core *core, uint64_t dir, const bool *stop, struct core_packer **ret_packer)
{
	_cleanup_(core_packer_freep) struct core_packer *p = calloc(1, sizeof *p);
	uint32_t container;
	int r = p ? find(core, dir, &p->domain, &container) : -ENOMEM;

	if (r == 0)
		r = prepare(core, p->domain, stop);
	if (r == 0)
		r = kv_packer_open(core->kv, p->domain, &p->records);
	if (r < 0)
		return r;
	p->core = core;
	p->stop = stop;
	*ret_packer = steal_ptr(p);
	return 0;
}

void core_packer_free(struct core_packer *p)
{
	if (!p)
		return;
	kv_packer_free(p->records);
	free(p);
}

int core_pack(struct core_packer *p, uint64_t dir, struct kv_packed *ret_sums)
{
	struct kv_packed sums = {0};
	uint32_t domain, container;
	int r = find(p->core, dir, &domain, &container);

	if (r == 0 && domain != p->domain)
		r = -EXDEV;
	if (r < 0)
		return r;
	struct key prefix = key_make(domain, container, 0, 0);
	for (enum kv_family f = KV_META; r == 0 && f < KV_FAMILIES; f++)
		r = pack_family(p, f, &prefix, &sums);
	if (r == 0)
		*ret_sums = sums;
	return r;
}
