/*
 * txn_table.c: the keys that a transaction read or wrote, sorted, and the memory in which its records lie. A small one
 * has both inside itself.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <sodium.h>

#define ARENA_CHUNK (16u << 10)

struct txn_chunk {
	struct txn_chunk *next;
	_Alignas(16) uint8_t bytes[];
};

void txn_table_init(struct kv_txn *txn)
{
	txn->records = txn->inline_records;
	txn->records_cap = TXN_INLINE_RECORDS;
	txn->arena_at = txn->inline_arena;
	txn->arena_left = TXN_INLINE_ARENA;
}

void txn_table_release(struct kv_txn *txn)
{
	while (txn->chunks) {
		struct txn_chunk *next = txn->chunks->next;
		free(txn->chunks);
		txn->chunks = next;
	}
	if (txn->records != txn->inline_records)
		free(txn->records);
}

void *txn_arena(struct kv_txn *txn, size_t len)
{
	void *p;

	len = (len + 15) & ~(size_t)15;
	if (len > txn->arena_left) {
		struct txn_chunk *chunk = malloc(sizeof *chunk + ARENA_CHUNK);
		if (!chunk)
			return NULL;
		chunk->next = txn->chunks;
		txn->chunks = chunk;
		txn->arena_at = chunk->bytes;
		txn->arena_left = ARENA_CHUNK;
	}
	p = txn->arena_at;
	txn->arena_at += len;
	txn->arena_left -= len;
	return p;
}

static int compare(const struct txn_record *r, enum kv_family family, const void *key, size_t len)
{
	int c;

	if (r->family != family)
		return r->family < family ? -1 : 1;
	c = memcmp(r->key, key, r->key_len < len ? r->key_len : len);
	return c ? c : (int)r->key_len - (int)len;
}

size_t txn_find(const struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	bool *ret_found)
{
	size_t low = 0, high = txn->records_n;

	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = compare(txn->records[mid], family, key, key_len);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int records_grow(struct kv_txn *txn)
{
	size_t cap = txn->records_cap * 2;
	struct txn_record **records;

	if (txn->records_n < txn->records_cap)
		return 0;
	if (txn->records == txn->inline_records) {
		records = malloc(cap * sizeof *records);
		if (records)
			memcpy(records, txn->inline_records, sizeof txn->inline_records);
	} else {
		records = reallocarray(txn->records, cap, sizeof *records);
	}
	if (!records)
		return -ENOMEM;
	txn->records = records;
	txn->records_cap = cap;
	return 0;
}

uint64_t kv_key_hash(const struct kv *kv, enum kv_family family, const void *key, size_t key_len)
{
	uint8_t text[1 + KV_KEY_MAX], hash[crypto_shorthash_BYTES];

	put_bytes(put_u8(text, (uint8_t)family), key, key_len);
	crypto_shorthash(hash, text, 1 + key_len, kv->secrets->conflict);
	return get_be64(hash);
}

int txn_record_of(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	struct txn_record **ret_record)
{
	struct txn_record *record;
	bool found;
	size_t i = txn_find(txn, family, key, key_len, &found);

	if (found) {
		*ret_record = txn->records[i];
		return 0;
	}
	if (records_grow(txn) < 0)
		return -ENOMEM;
	record = txn_arena(txn, sizeof *record + key_len);
	if (!record)
		return -ENOMEM;
	memset(record, 0, sizeof *record);
	record->hash = kv_key_hash(txn->kv, family, key, key_len);
	record->family = (uint8_t)family;
	record->key_len = (uint8_t)key_len;
	memcpy(record->key, key, key_len);
	memmove(&txn->records[i + 1], &txn->records[i],
		(txn->records_n - i) * sizeof *txn->records);
	txn->records[i] = record;
	txn->records_n++;
	*ret_record = record;
	return 0;
}
