/*
 * recent.c: records that were written or read a moment ago, as they were published last: a session's record and a
 * directory's inode are read and written again by each of many small transactions, and an entry is looked up before
 * it is made, moved or removed. Finding them in the engine and opening them costs more than all else about them.
 *
 * A slot holds one record, or that there is none, by its hash; a later one with the same slot takes its place. The
 * leader of a commit notes what it wrote before it publishes the sequence, so a transaction whose start is not below
 * a slot's sequence is to see just that: had it been written since, the slot would say so. Whoever started earlier
 * asks the engine.
 *
 * What was read is kept only if no transaction was noted since before the engine was asked: else the slot of one that
 * wrote this record may have been taken over by another, and nothing would tell that what was read is old. A commit
 * that is in the engine and not noted yet will note its own records over it.
 */
#include "kv/kv_internal.h"

struct kv_recent_slot {
	uint64_t hash, sequence; /* sequence 0: empty */
	size_t len;		 /* of value, as the caller gave it; RECENT_VALUE + 1: only its identity is kept */
	bool present;		 /* else: it was deleted */
	uint8_t key_len;
	uint8_t key[KV_KEY_MAX];
	uint8_t id[SEAL_ID_BYTES];
	uint8_t value[RECENT_VALUE];
};

int kv_recent_init(struct kv *kv)
{
	struct kv_recent *recent = &kv->recent;

	pthread_mutex_init(&recent->lock, NULL);
	recent->slots = calloc(RECENT_SLOTS, sizeof *recent->slots);
	return recent->slots ? 0 : -ENOMEM;
}

void kv_recent_release(struct kv *kv)
{
	if (!kv->recent.slots)
		return;
	free(kv->recent.slots);
	kv->recent.slots = NULL;
	pthread_mutex_destroy(&kv->recent.lock);
}

/* The slot is the key's, who says what it has. The lock is held. */
static struct kv_recent_slot *take(struct kv_recent *recent, const struct kv_recent_key *key, uint64_t sequence)
{
	struct kv_recent_slot *slot = &recent->slots[key->hash & (RECENT_SLOTS - 1)];

	slot->hash = key->hash;
	slot->sequence = sequence;
	slot->present = false;
	slot->key_len = (uint8_t)key->len;
	memcpy(slot->key, key->key, key->len);
	return slot;
}

/* @value NULL: it is not kept. */
static void fill(struct kv_recent_slot *slot, const void *sealed, size_t sealed_len, const void *value, size_t len)
{
	slot->present = true;
	kv_sum_identity(sealed, sealed_len, slot->id);
	slot->len = value && len <= RECENT_VALUE ? len : RECENT_VALUE + 1;
	if (slot->len <= RECENT_VALUE && len)
		memcpy(slot->value, value, len);
}

void kv_recent_note(struct kv *kv, const struct kv_txn *txn)
{
	struct kv_recent *recent = &kv->recent;

	MUTEX_GUARD(&recent->lock);
	atomic_fetch_add(&recent->generation, 1);
	for (size_t i = 0; i < txn->records_n; i++) {
		const struct txn_record *record = txn->records[i];
		const struct kv_recent_key key = {record->hash, record->key, record->key_len};
		struct kv_recent_slot *slot;

		if (record->family != KV_META || !txn_record_emitted(record))
			continue;
		slot = take(recent, &key, txn->sequence);
		if (record->write == TXN_PUT)
			fill(slot, txn->sealed.data + record->sealed_at, record->sealed_len, record->plain,
				record->plain_len);
	}
}

void kv_recent_drop(struct kv *kv)
{
	struct kv_recent *recent = &kv->recent;

	MUTEX_GUARD(&recent->lock);
	atomic_fetch_add(&recent->generation, 1);
	for (size_t i = 0; i < RECENT_SLOTS; i++)
		recent->slots[i].sequence = 0;
}

struct kv_recent_reading kv_recent_reading(struct kv *kv)
{
	uint64_t generation = atomic_load(&kv->recent.generation);

	return (struct kv_recent_reading){generation, atomic_load(&kv->commit.published)};
}

void kv_recent_keep(struct kv *kv, const struct kv_recent_reading *reading, const struct kv_recent_key *key,
	const void *sealed, size_t sealed_len, const struct buf *value)
{
	struct kv_recent *recent = &kv->recent;
	struct kv_recent_slot *slot;

	MUTEX_GUARD(&recent->lock);
	if (atomic_load(&recent->generation) != reading->generation)
		return;
	slot = take(recent, key, reading->sequence);
	if (value)
		fill(slot, sealed, sealed_len, value->data, value->len);
}

int kv_recent_get(struct kv *kv, uint64_t start, const struct kv_recent_key *key, uint8_t ret_id[SEAL_ID_BYTES],
	struct buf *ret_value)
{
	struct kv_recent *recent = &kv->recent;
	const struct kv_recent_slot *slot = &recent->slots[key->hash & (RECENT_SLOTS - 1)];

	MUTEX_GUARD(&recent->lock);
	if (slot->sequence == 0 || slot->sequence > start || slot->hash != key->hash ||
		slot->key_len != key->len || memcmp(slot->key, key->key, key->len) != 0)
		return -EAGAIN;
	if (!slot->present)
		return -ENOENT;
	if (ret_value && slot->len > RECENT_VALUE)
		return -EAGAIN;
	if (ret_value && buf_set(ret_value, slot->value, slot->len) < 0)
		return -ENOMEM;
	if (ret_id)
		memcpy(ret_id, slot->id, SEAL_ID_BYTES);
	return 0;
}
