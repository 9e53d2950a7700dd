/*
 * Dictionaries: their rows, those in memory, and packing with them. The contracts are pack.h's and dictionary.h's.
 */
#include "kv/dictionary.h"

#include "kv/bytes.h"
#include "kv/kv_internal.h"
#include "kv/pack.h"

#include <zdict.h>

#define FORMAT 1
#define HEAD 9
#define KEY_BYTES (KV_ROW_KEY_BYTES + 4)
#define LEVEL 19
#define LOADED_MAX 32 /* some 100 KiB each */
#define SAMPLES_MIN 16

/* ---- rows ------------------------------------------------------------------------------------ */

static const uint8_t kinds[] = {KV_ROW_DICTIONARY, KV_ROW_DICTIONARY_COPY};

static void row_key(uint32_t domain, uint8_t kind, uint32_t number, uint8_t ret_key[KEY_BYTES])
{
	kv_row_key(domain, kind, ret_key);
	put_be32(ret_key + KV_ROW_KEY_BYTES, number);
}

/* One copy, checked. -ENOENT, -EBADMSG, -EPROTONOSUPPORT. */
static int read_copy(struct kv *kv, uint32_t domain, uint8_t kind, uint32_t number, struct buf *ret_row)
{
	_cleanup_buf_ struct buf sealed = {0};
	uint8_t key[KEY_BYTES];
	int r;

	row_key(domain, kind, number, key);
	r = kv_enter(kv);
	if (r < 0)
		return r;
	r = kv->ops->get(kv->engine, NULL, KV_SYS, key, sizeof key, &sealed);
	kv_leave(kv);
	if (r == 0)
		r = kv_open_value(kv, KV_SYS, key, sizeof key, sealed.data, sealed.len, ret_row);
	if (r < 0)
		return r;
	if (ret_row->len < 1 || ret_row->data[0] != FORMAT)
		return ret_row->len ? -EPROTONOSUPPORT : -EBADMSG;
	return ret_row->len > HEAD &&
			ZDICT_getDictID(ret_row->data + HEAD, ret_row->len - HEAD) == KV_DICTIONARY_FIRST_ID + number
		? 0
		: -EBADMSG;
}

/* The one or the other. */
static int read_row(struct kv *kv, uint32_t domain, uint32_t number, struct buf *ret_row)
{
	int r = read_copy(kv, domain, kinds[0], number, ret_row);

	if (r == -EBADMSG || r == -EIO || r == -ENOENT)
		r = read_copy(kv, domain, kinds[1], number, ret_row);
	return r;
}

/* The highest number of the rows of @kind; 0: none. */
static int highest(struct kv *kv, uint32_t domain, uint8_t kind, uint32_t *ret_number)
{
	uint8_t prefix[KV_ROW_KEY_BYTES];
	struct kv_engine_iter *it;
	int r = kv_enter(kv);

	if (r < 0)
		return r;
	kv_row_key(domain, kind, prefix);
	r = kv->ops->iter_open(kv->engine, NULL, KV_SYS, prefix, sizeof prefix, &it);
	if (r == 0) {
		size_t len;

		r = kv->ops->iter_seek_back(it, NULL, 0);
		const uint8_t *key = r > 0 ? kv->ops->iter_key(it, &len) : NULL;
		*ret_number = key && len == KEY_BYTES ? get_be32(key + KV_ROW_KEY_BYTES) : 0;
		kv->ops->iter_free(it);
	}
	kv_leave(kv);
	return r < 0 ? r : 0;
}

static int newest(struct kv *kv, uint32_t domain, uint32_t *ret_number)
{
	uint32_t copy = 0;
	int r = highest(kv, domain, kinds[0], ret_number), r2 = highest(kv, domain, kinds[1], &copy);

	if (r < 0 && r2 < 0)
		return r;
	if (r < 0 || copy > *ret_number)
		*ret_number = copy;
	return *ret_number ? 0 : -ENOENT;
}

static int write_rows(struct kv *kv, uint32_t domain, uint32_t number, const struct buf *row)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	uint8_t key[KEY_BYTES];
	int r = kv_txn_begin(kv, &txn);

	for (size_t i = 0; r == 0 && i < sizeof kinds; i++) {
		row_key(domain, kinds[i], number, key);
		r = txn_put_row(txn, key, sizeof key, row->data, row->len);
	}
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

int kv_dictionary_get_info(struct kv *kv, uint32_t domain, struct kv_dictionary_info *ret_info)
{
	_cleanup_buf_ struct buf row = {0};
	uint32_t number;
	int r = newest(kv, domain, &number);

	if (r == 0)
		r = read_row(kv, domain, number, &row);
	if (r == 0)
		*ret_info = (struct kv_dictionary_info){.number = number, .trained_from = get_be64(row.data + 1)};
	return r;
}

/* ---- training -------------------------------------------------------------------------------- */

static int train(const void *samples, const size_t *sizes, unsigned n, uint32_t number, struct buf *ret_row)
{
	_cleanup_buf_ struct buf raw = {0};
	ZDICT_params_t last = {.compressionLevel = LEVEL, .dictID = KV_DICTIONARY_FIRST_ID + number};
	uint64_t total = 0;
	size_t len;
	int r = buf_resize(&raw, KV_DICTIONARY_BYTES);

	if (r == 0)
		r = buf_resize(ret_row, HEAD + KV_DICTIONARY_BYTES);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < n; i++)
		total += sizes[i];
	len = n < SAMPLES_MIN ? 0 : ZDICT_trainFromBuffer(raw.data, KV_DICTIONARY_BYTES, samples, sizes, n);
	if (!len || ZDICT_isError(len))
		return -ENODATA;
	/* Only the content is taken: the tables are made anew for our level, with our number. */
	size_t head = ZDICT_getDictHeaderSize(raw.data, len);
	if (ZDICT_isError(head))
		return -ENODATA;
	len = ZDICT_finalizeDictionary(ret_row->data + HEAD, KV_DICTIONARY_BYTES, raw.data + head, len - head,
		samples, sizes, n, last);
	if (ZDICT_isError(len))
		return -ENODATA;
	put_be64(put_u8(ret_row->data, FORMAT), total);
	ret_row->len = HEAD + len;
	return 0;
}

int kv_dictionary_train(struct kv *kv, uint32_t domain, const void *samples, const size_t *sizes, unsigned n)
{
	_cleanup_buf_ struct buf row = {0};
	uint32_t number = 0;
	int r = kv->state.read_only ? -EROFS : newest(kv, domain, &number);

	if (r == -ENOENT)
		r = 0;
	if (r == 0)
		r = train(samples, sizes, n, number + 1, &row);
	/* Before anything that an older program could not read. */
	if (r == 0)
		r = keyring_require(kv->keyring, KEYRING_INCOMPAT_DICTIONARIES);
	return r < 0 ? r : write_rows(kv, domain, number + 1, &row);
}

/* ---- in memory ------------------------------------------------------------------------------- */

struct loaded {
	uint32_t domain, id;
	_Atomic uint64_t used;
	ZSTD_DDict *dictionary;
};

struct dictionaries {
	struct kv *kv;
	pthread_rwlock_t lock; /* the table; held for reading while one is in use */
	struct loaded at[LOADED_MAX];
	_Atomic uint64_t clock;
};

int dictionaries_new(struct kv *kv, struct dictionaries **ret_dictionaries)
{
	struct dictionaries *d = calloc(1, sizeof *d);

	if (!d)
		return -ENOMEM;
	d->kv = kv;
	pthread_rwlock_init(&d->lock, NULL);
	*ret_dictionaries = d;
	return 0;
}

void dictionaries_free(struct dictionaries *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < LOADED_MAX; i++)
		ZSTD_freeDDict(d->at[i].dictionary);
	pthread_rwlock_destroy(&d->lock);
	free(d);
}

void dictionaries_forget(struct dictionaries *d, uint32_t domain)
{
	pthread_rwlock_wrlock(&d->lock);
	for (size_t i = 0; i < LOADED_MAX; i++)
		if (d->at[i].dictionary && d->at[i].domain == domain) {
			ZSTD_freeDDict(d->at[i].dictionary);
			d->at[i].dictionary = NULL;
		}
	pthread_rwlock_unlock(&d->lock);
}

/* The lock is held. */
static struct loaded *find(struct dictionaries *d, uint32_t domain, uint32_t id)
{
	for (size_t i = 0; i < LOADED_MAX; i++)
		if (d->at[i].dictionary && d->at[i].domain == domain && d->at[i].id == id)
			return &d->at[i];
	return NULL;
}

/* Into the place that is free or was not used for longest. */
static int load(struct dictionaries *d, uint32_t domain, uint32_t id)
{
	_cleanup_buf_ struct buf row = {0};
	struct loaded *place = &d->at[0];
	ZSTD_DDict *dictionary;
	int r = id <= KV_DICTIONARY_FIRST_ID ? -EBADMSG : read_row(d->kv, domain, id - KV_DICTIONARY_FIRST_ID, &row);

	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	dictionary = ZSTD_createDDict(row.data + HEAD, row.len - HEAD);
	if (!dictionary)
		return -ENOMEM;
	pthread_rwlock_wrlock(&d->lock);
	if (find(d, domain, id)) {
		ZSTD_freeDDict(dictionary);
	} else {
		for (size_t i = 1; i < LOADED_MAX && place->dictionary; i++)
			if (!d->at[i].dictionary || d->at[i].used < place->used)
				place = &d->at[i];
		ZSTD_freeDDict(place->dictionary);
		place->domain = domain;
		place->id = id;
		place->dictionary = dictionary;
		place->used = atomic_fetch_add(&d->clock, 1);
	}
	pthread_rwlock_unlock(&d->lock);
	return 0;
}

int dictionary_decompress(struct dictionaries *d, uint32_t domain, ZSTD_DCtx *context, const void *frame, size_t len,
	void *ret_content, size_t size)
{
	uint32_t id = ZSTD_getDictID_fromFrame(frame, len);

	/* Another may take the place of what was just loaded: not often, so again. */
	for (;;) {
		pthread_rwlock_rdlock(&d->lock);
		struct loaded *l = find(d, domain, id);
		size_t n = 0;
		if (l) {
			l->used = atomic_fetch_add(&d->clock, 1);
			n = ZSTD_decompress_usingDDict(context, ret_content, size, frame, len, l->dictionary);
		}
		pthread_rwlock_unlock(&d->lock);
		if (l)
			return ZSTD_isError(n) || n != size ? -EBADMSG : 0;
		int r = load(d, domain, id);
		if (r < 0)
			return r;
	}
}

/* ---- packing --------------------------------------------------------------------------------- */

struct kv_packer {
	struct kv *kv;
	uint32_t domain;
	ZSTD_CDict *dictionary;
};

int kv_packer_open(struct kv *kv, uint32_t domain, struct kv_packer **ret_packer)
{
	_cleanup_(kv_packer_freep) struct kv_packer *p = NULL;
	_cleanup_buf_ struct buf row = {0};
	uint32_t number;
	int r = newest(kv, domain, &number);

	if (r == 0)
		r = read_row(kv, domain, number, &row);
	if (r < 0)
		return r;
	p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->kv = kv;
	p->domain = domain;
	p->dictionary = ZSTD_createCDict(row.data + HEAD, row.len - HEAD, LEVEL);
	if (!p->dictionary)
		return -ENOMEM;
	*ret_packer = steal_ptr(p);
	return 0;
}

void kv_packer_free(struct kv_packer *p)
{
	if (!p)
		return;
	ZSTD_freeCDict(p->dictionary);
	free(p);
}

int kv_txn_pack(struct kv_txn *txn, struct kv_packer *p, enum kv_family family, const void *key, size_t key_len,
	struct kv_packed *sums)
{
	int r = kv_check_key(family, key, key_len);
	struct kv_packed one = {.records = 1};

	if (r == 0 && get_be32(key) != p->domain)
		r = -EINVAL;
	if (r == 0)
		r = txn_pack_record(txn, family, key, key_len, p->dictionary, &one);
	if (r < 0)
		return r;
	sums->records++;
	sums->packed += one.packed;
	sums->plain += one.plain;
	sums->before += one.before;
	sums->after += one.after;
	return 0;
}

/* ---- check ----------------------------------------------------------------------------------- */

static int check_one(struct kv *kv, uint32_t domain, uint32_t number, bool mend, unsigned *mendable, unsigned *lost)
{
	_cleanup_buf_ struct buf a = {0}, b = {0};
	int ra = read_copy(kv, domain, kinds[0], number, &a), rb = read_copy(kv, domain, kinds[1], number, &b);

	if (ra == -ENOENT && rb == -ENOENT)
		return 0; /* the numbers have no gaps, but a user who is about to go has none any more */
	if (ra < 0 && rb < 0) {
		++*lost;
		return 0;
	}
	if (ra == 0 && rb == 0)
		return 0;
	++*mendable;
	return mend ? write_rows(kv, domain, number, ra == 0 ? &a : &b) : 0;
}

int kv_dictionaries_check(struct kv *kv, bool mend, unsigned *ret_mendable, unsigned *ret_lost)
{
	_cleanup_free_ uint32_t *domains = NULL;
	unsigned mendable = 0, lost = 0;
	size_t n;
	int r = keyring_domains(kv->keyring, &domains, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		uint32_t last = 0;
		r = newest(kv, domains[i], &last);
		for (uint32_t number = 1; r == 0 && number <= last; number++)
			r = check_one(kv, domains[i], number, mend, &mendable, &lost);
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0)
		return r;
	*ret_mendable = mendable;
	*ret_lost = lost;
	return 0;
}

/* By kv_domain_destroy(): what is left would be unreadable, and so is only taken away. */
int kv_dictionaries_remove(struct kv *kv, uint32_t domain)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	uint8_t key[KEY_BYTES];
	uint32_t last;
	int r = newest(kv, domain, &last);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = kv_txn_begin(kv, &txn);
	for (uint32_t number = 1; r == 0 && number <= last; number++)
		for (size_t i = 0; r == 0 && i < sizeof kinds; i++) {
			row_key(domain, kinds[i], number, key);
			r = txn_delete_row(txn, key, sizeof key);
		}
	if (r < 0)
		return r;
	kv_txn_set_shrinking(txn);
	r = kv_txn_commit(txn, NULL);
	dictionaries_forget(kv->seal.dictionaries, domain);
	return r;
}
