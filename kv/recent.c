/*
 * recent.c: records that were written a moment ago, as they were published last: a session's record and a
 * directory's inode are read and written again by each of many small transactions, and finding them in the engine
 * and opening them costs more than all else about them.
 *
 * A slot holds one record, by its hash; a later one with the same slot takes its place. The leader of a commit
 * notes what it wrote before it publishes the sequence, so a transaction whose start is not below a slot's
 * sequence is to see just that: had it been written since, the slot would say so. Whoever started earlier asks
 * the engine.
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

static struct kv_recent_slot *slot_of(struct kv_recent *recent, const struct txn_record *record)
{
	return &recent->slots[record->hash & (RECENT_SLOTS - 1)];
}

static void note(struct kv_recent_slot *slot, const struct kv_txn *txn, const struct txn_record *record)
{
	const uint8_t *sealed;

	slot->hash = record->hash;
	slot->sequence = txn->sequence;
	slot->key_len = record->key_len;
	memcpy(slot->key, record->key, record->key_len);
	slot->present = record->write == TXN_PUT;
	if (!slot->present)
		return;
	sealed = txn->sealed.data + record->sealed_at;
	kv_sum_identity(sealed, record->sealed_len, slot->id);
	slot->len = record->plain ? record->plain_len : RECENT_VALUE + 1;
	if (record->plain)
		memcpy(slot->value, record->plain, record->plain_len);
}

void kv_recent_note(struct kv *kv, const struct kv_txn *txn)
{
	MUTEX_GUARD(&kv->recent.lock);
	for (size_t i = 0; i < txn->records_n; i++) {
		const struct txn_record *record = txn->records[i];

		if (record->family == KV_META && txn_record_emitted(record))
			note(slot_of(&kv->recent, record), txn, record);
	}
}

int kv_recent_get(struct kv *kv, uint64_t start, struct txn_record *record, struct buf *ret_value)
{
	const struct kv_recent_slot *slot = slot_of(&kv->recent, record);

	if (record->family != KV_META)
		return -EAGAIN;
	MUTEX_GUARD(&kv->recent.lock);
	if (slot->sequence == 0 || slot->sequence > start || slot->hash != record->hash ||
		slot->key_len != record->key_len || memcmp(slot->key, record->key, record->key_len) != 0)
		return -EAGAIN;
	if (!slot->present)
		return -ENOENT;
	if (ret_value && slot->len > RECENT_VALUE)
		return -EAGAIN;
	if (ret_value) {
		ret_value->len = 0;
		if (buf_append(ret_value, slot->value, slot->len) < 0)
			return -ENOMEM;
	}
	memcpy(record->old_id, slot->id, SEAL_ID_BYTES);
	return 0;
}
