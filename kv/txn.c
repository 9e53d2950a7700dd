/*
 * A transaction: an engine's view as of its start, and a table of the keys that it read or wrote,
 * sorted, so that iterators can merge it. Values are sealed here, in the caller's thread, one after
 * the other into one buffer; records lie in an arena; a small transaction allocates nothing but
 * itself, the view and that buffer.
 *
 * The start is the last published sequence, taken before the view is opened: the view may then show
 * a commit that is not published yet, and a key that it wrote counts as a conflict, which is safe.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"
#include "kv/pack.h"

#define PACK_MIN 100 /* bytes: below, a frame with the number of its dictionary saves nothing */

int kv_check_key(enum kv_family family, const void *key, size_t key_len)
{
	if (family != KV_META && !kv_write_once(family))
		return -EINVAL;
	return !key || key_len < KV_KEY_MIN || key_len > KV_KEY_MAX ? -EINVAL : 0;
}

int kv_open_value(struct kv *kv, enum kv_family family, const void *key, size_t key_len,
	const void *sealed, size_t sealed_len, struct buf *ret_value)
{
	const struct seal_key *seal_key = keyring_domain_key(kv->keyring, get_be32(key));

	if (!seal_key)
		return -ENOKEY;
	return seal_open(&kv->seal, seal_key, family, key, key_len, sealed, sealed_len, ret_value);
}

int kv_txn_begin(struct kv *kv, struct kv_txn **ret_txn)
{
	struct kv_txn *txn = malloc(sizeof *txn);
	int r;

	if (!txn)
		return -ENOMEM;
	memset(txn, 0, offsetof(struct kv_txn, inline_records));
	txn->kv = kv;
	txn_table_init(txn);
	txn->counts = txn->inline_counts;
	txn->counts_cap = TXN_INLINE_COUNTS;
	kv_health_wait(kv);
	r = kv_enter(kv);
	if (r < 0) {
		free(txn);
		return r;
	}
	txn->start = atomic_load(&kv->commit.published);
	r = kv->ops->view_open(kv->engine, &txn->view);
	if (r < 0) {
		kv_leave(kv);
		free(txn);
		return r;
	}
	*ret_txn = txn;
	return 0;
}

void kv_txn_free(struct kv_txn *txn)
{
	if (!txn)
		return;
	txn->kv->ops->view_free(txn->kv->engine, txn->view);
	kv_leave(txn->kv);
	txn_table_release(txn);
	if (txn->counts != txn->inline_counts)
		free(txn->counts);
	buf_release(&txn->sealed);
	buf_release(&txn->scratch);
	free(txn);
}

/* Gets what stood there at the start into txn->scratch, if it is not in it, and notes it. -ENOENT, other errors. */
static int read_old(struct kv_txn *txn, struct txn_record *record)
{
	if (record->old == TXN_OLD_ABSENT || txn->scratch_of == record)
		return record->old == TXN_OLD_ABSENT ? -ENOENT : 0;
	txn->scratch_of = NULL;
	int r = txn->kv->ops->get(
		txn->kv->engine, txn->view, record->family, record->key, record->key_len, &txn->scratch);

	if (r == 0)
		kv_sum_identity(txn->scratch.data, txn->scratch.len, record->old_id);
	if (r == -ENOENT) {
		record->old = TXN_OLD_ABSENT;
	} else if (r == 0) {
		record->old = TXN_OLD_PRESENT;
		txn->scratch_of = record;
	}
	return r;
}

/* What recent.c knows of it; @ret_value NULL: no more than its identity. -ENOENT; -EAGAIN: nothing. */
static int recall_old(struct kv_txn *txn, struct txn_record *record, struct buf *ret_value)
{
	const struct kv_recent_key key = {record->hash, record->key, record->key_len};
	int r = record->family == KV_META ? kv_recent_get(txn->kv, txn->start, &key, record->old_id, ret_value)
					  : -EAGAIN;

	if (r == 0 || r == -ENOENT)
		record->old = r == 0 ? TXN_OLD_PRESENT : TXN_OLD_ABSENT;
	return r;
}

static int look_at_old(struct kv_txn *txn, struct txn_record *record)
{
	int r = recall_old(txn, record, NULL);

	return r == -EAGAIN ? read_old(txn, record) : r;
}

/* What this transaction has put there. */
static int get_own(struct kv_txn *txn, const struct txn_record *record, struct buf *ret_value)
{
	if (!record->plain)
		return kv_open_value(txn->kv, record->family, record->key, record->key_len,
			txn->sealed.data + record->sealed_at, record->sealed_len, ret_value);
	return buf_set(ret_value, record->plain, record->plain_len);
}

int kv_txn_get(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	struct buf *ret_value)
{
	struct txn_record *record;
	int r = kv_check_key(family, key, key_len);

	if (r == 0)
		r = txn_record_of(txn, family, key, key_len, &record);
	if (r < 0)
		return r;
	if (record->write == TXN_DELETE)
		return -ENOENT;
	if (!keyring_domain_key(txn->kv->keyring, get_be32(key)))
		return -ENOKEY;
	if (record->write == TXN_PUT)
		return get_own(txn, record, ret_value);
	if (record->old != TXN_OLD_ABSENT && txn->scratch_of != record) {
		r = recall_old(txn, record, ret_value);
		if (r != -EAGAIN)
			return r;
	}
	r = read_old(txn, record);
	if (r < 0)
		return r;
	return kv_open_value(
		txn->kv, family, key, key_len, txn->scratch.data, txn->scratch.len, ret_value);
}

int kv_txn_touch(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len)
{
	struct txn_record *record;
	int r = kv_check_key(family, key, key_len);

	return r < 0 ? r : txn_record_of(txn, family, key, key_len, &record);
}

/* The record and the key to seal with. @fresh: the caller says that nothing is there. */
static int put_begin(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len, bool fresh,
	struct txn_record **ret_record, const struct seal_key **ret_seal_key)
{
	struct txn_record *record;
	int r;

	if (txn->state != TXN_OPEN)
		return -EINVAL;
	*ret_seal_key = keyring_domain_key(txn->kv->keyring, get_be32(key));
	if (!*ret_seal_key)
		return -ENOKEY;
	r = txn_record_of(txn, family, key, key_len, &record);
	if (r < 0)
		return r;
	if (fresh && (record->write == TXN_PUT ||
			     (record->write == TXN_NOTHING && record->old == TXN_OLD_PRESENT)))
		return -EEXIST;
	*ret_record = record;
	return 0;
}

/* What was sealed at @at is its value. */
static void put_end(struct kv_txn *txn, struct txn_record *record, size_t at, size_t len, bool fresh)
{
	if (fresh && record->write == TXN_NOTHING)
		record->old = TXN_OLD_ABSENT;
	if (record->write == TXN_NOTHING)
		txn->writes++;
	record->write = TXN_PUT;
	record->sealed_at = at;
	record->sealed_len = len;
	record->plain = NULL;
}

/* Where there is no memory, what is read again is opened again. */
static void keep_plain(struct kv_txn *txn, struct txn_record *record, const void *value, size_t len)
{
	uint8_t *plain = record->family == KV_META && len <= RECENT_VALUE ? txn_arena(txn, len) : NULL;

	if (!plain)
		return;
	if (len)
		memcpy(plain, value, len);
	record->plain = plain;
	record->plain_len = (uint16_t)len;
}

static int put_record(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len, bool fresh)
{
	const struct seal_key *seal_key;
	struct txn_record *record;
	size_t at = txn->sealed.len;
	int r = value_len > KV_VALUE_MAX ? -EINVAL : 0;

	if (r == 0)
		r = put_begin(txn, family, key, key_len, fresh, &record, &seal_key);
	if (r == 0)
		r = seal_value(&txn->kv->seal, seal_key, family, key, key_len, value, value_len,
			&txn->sealed);
	if (r < 0)
		return r;
	put_end(txn, record, at, txn->sealed.len - at, fresh);
	keep_plain(txn, record, value, value_len);
	return 0;
}

int kv_txn_put(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len)
{
	int r = family == KV_META ? kv_check_key(family, key, key_len) : -EINVAL;

	return r < 0 ? r : put_record(txn, family, key, key_len, value, value_len, false);
}

int kv_txn_insert(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len)
{
	int r = kv_check_key(family, key, key_len);

	return r < 0 ? r : put_record(txn, family, key, key_len, value, value_len, true);
}

/* Values that are sealed side by side, each in a room of its own within txn->sealed. */
struct sealing {
	struct kv_txn *txn;
	enum kv_family family;
	const struct kv_insert *inserts;
	struct sealed_room {
		struct txn_record *record;
		const struct seal_key *key;
		size_t at, len;
		int result;
	} *rooms;
};

static void seal_one(void *arg, size_t i)
{
	const struct sealing *s = arg;
	const struct kv_insert *in = &s->inserts[i];
	struct sealed_room *room = &s->rooms[i];
	struct buf sealed = {.data = s->txn->sealed.data + room->at, .cap = SEAL_OVERHEAD + in->value_len};

	room->result = seal_value(&s->txn->kv->seal, room->key, s->family, in->key, in->key_len, in->value,
		in->value_len, &sealed);
	room->len = sealed.len;
}

/* Their records and rooms. *@ret_end: where the last room ends. */
static int make_rooms(struct sealing *s, size_t n, size_t *ret_end)
{
	size_t at = s->txn->sealed.len;

	for (size_t i = 0; i < n; i++) {
		const struct kv_insert *in = &s->inserts[i];
		struct sealed_room *room = &s->rooms[i];
		int r = kv_check_key(s->family, in->key, in->key_len);

		if (r == 0 && in->value_len > KV_VALUE_MAX)
			r = -EINVAL;
		if (r == 0)
			r = put_begin(s->txn, s->family, in->key, in->key_len, true, &room->record, &room->key);
		if (r < 0)
			return r;
		room->at = at;
		at += SEAL_OVERHEAD + in->value_len;
	}
	*ret_end = at;
	return buf_reserve(&s->txn->sealed, at);
}

static int insert_all(struct kv_txn *txn, enum kv_family family, const struct kv_insert *inserts, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = kv_txn_insert(txn, family, inserts[i].key, inserts[i].key_len, inserts[i].value,
			inserts[i].value_len);
	return r;
}

int kv_txn_insert_many(struct kv_txn *txn, enum kv_family family, const struct kv_insert *inserts, size_t n)
{
	_cleanup_free_ struct sealed_room *rooms = NULL;
	struct sealing s = {.txn = txn, .family = family, .inserts = inserts};
	size_t bytes = 0, end;
	int r;

	for (size_t i = 0; i < n; i++)
		bytes += inserts[i].value_len;
	if (bytes < CREW_WORTH)
		return insert_all(txn, family, inserts, n);
	s.rooms = rooms = calloc(n, sizeof *rooms);
	if (!rooms)
		return -ENOMEM;
	r = make_rooms(&s, n, &end);
	if (r < 0)
		return r;
	crew_run(&txn->kv->crew, seal_one, &s, n);
	txn->sealed.len = end;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = rooms[i].result;
		if (r == 0)
			put_end(txn, rooms[i].record, rooms[i].at, rooms[i].len, true);
	}
	return r;
}

int kv_txn_copy(struct kv_txn *txn, enum kv_family from_family, const void *from, size_t from_len,
	enum kv_family family, const void *key, size_t key_len)
{
	const struct seal_key *seal_key;
	struct txn_record *old, *record;
	size_t at = txn->sealed.len;
	int r = kv_check_key(from_family, from, from_len);

	if (r == 0)
		r = kv_check_key(family, key, key_len);
	if (r == 0)
		r = txn_record_of(txn, from_family, from, from_len, &old);
	if (r == 0 && (old->write != TXN_NOTHING || get_be32(from) != get_be32(key)))
		r = -EINVAL;
	if (r == 0)
		r = put_begin(txn, family, key, key_len, true, &record, &seal_key);
	if (r == 0)
		r = read_old(txn, old);
	if (r == 0)
		r = seal_copy(&txn->kv->seal, seal_key, from_family, from, from_len, &txn->scratch, family,
			key, key_len, &txn->sealed);
	if (r < 0)
		return r;
	put_end(txn, record, at, txn->sealed.len - at, true);
	return 0;
}

int txn_put_row(struct kv_txn *txn, const void *key, size_t key_len, const void *value, size_t value_len)
{
	return put_record(txn, KV_SYS, key, key_len, value, value_len, false);
}

int txn_pack_record(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len,
	const ZSTD_CDict *dictionary, struct kv_packed *ret_packed)
{
	const struct seal_key *seal_key = keyring_domain_key(txn->kv->keyring, get_be32(key));
	_cleanup_buf_ struct buf value = {0};
	struct txn_record *record;
	size_t at = txn->sealed.len;
	int r = seal_key ? txn_record_of(txn, family, key, key_len, &record) : -ENOKEY;

	if (r == 0 && (record->write != TXN_NOTHING || txn->state != TXN_OPEN))
		r = -EINVAL;
	if (r == 0)
		r = read_old(txn, record);
	if (r == 0)
		r = kv_open_value(txn->kv, family, key, key_len, txn->scratch.data, txn->scratch.len, &value);
	if (r < 0)
		return r;
	ret_packed->plain = value.len;
	ret_packed->before = ret_packed->after = txn->scratch.len;
	ret_packed->packed = seal_is_packed(txn->scratch.data, txn->scratch.len);
	if (ret_packed->packed || value.len < PACK_MIN)
		return 0;
	r = seal_packed(&txn->kv->seal, seal_key, family, key, key_len, value.data, value.len, dictionary,
		txn->scratch.len - txn->scratch.len / 16, &txn->sealed);
	if (r <= 0)
		return r;
	txn->writes++;
	record->write = TXN_PUT;
	record->sealed_at = at;
	record->sealed_len = txn->sealed.len - at;
	ret_packed->after = record->sealed_len;
	ret_packed->packed = 1;
	return 0;
}

static int delete_record(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len)
{
	struct txn_record *record;
	int r = txn->state != TXN_OPEN ? -EINVAL : 0;

	if (r == 0)
		r = txn_record_of(txn, family, key, key_len, &record);
	if (r < 0)
		return r;
	if (record->write == TXN_NOTHING) {
		txn->writes++;
		if (kv_write_once(family) && record->old == TXN_OLD_UNKNOWN)
			record->old = TXN_OLD_PRESENT;
	}
	record->write = TXN_DELETE;
	return 0;
}

int kv_txn_delete(struct kv_txn *txn, enum kv_family family, const void *key, size_t key_len)
{
	int r = kv_check_key(family, key, key_len);

	return r < 0 ? r : delete_record(txn, family, key, key_len);
}

int txn_delete_row(struct kv_txn *txn, const void *key, size_t key_len)
{
	return delete_record(txn, KV_SYS, key, key_len);
}

void kv_txn_set_shrinking(struct kv_txn *txn)
{
	txn->shrinking = true;
}

int txn_prepare(struct kv_txn *txn)
{
	const struct kv *kv = txn->kv;
	kv_sum sum = 0;

	for (size_t i = 0; i < txn->records_n; i++) {
		struct txn_record *record = txn->records[i];
		bool meta = record->family == KV_META;
		uint8_t id[SEAL_ID_BYTES];

		if (record->write == TXN_NOTHING)
			continue;
		/* As of the start: where another has changed it since, the commit is refused. */
		if (record->old == TXN_OLD_UNKNOWN) {
			int r = look_at_old(txn, record);
			if (r < 0 && r != -ENOENT)
				return r;
		}
		if (record->family == KV_SYS)
			continue;
		if (record->old == TXN_OLD_PRESENT)
			sum -= kv_sum_element(kv, record->family, record->key, record->key_len,
				meta ? record->old_id : NULL);
		if (record->write != TXN_PUT)
			continue;
		kv_sum_identity(txn->sealed.data + record->sealed_at, record->sealed_len, id);
		sum += kv_sum_element(
			kv, record->family, record->key, record->key_len, meta ? id : NULL);
	}
	txn->sum = sum;
	return 0;
}

int kv_txn_commit(struct kv_txn *txn, uint64_t *ret_sequence)
{
	struct kv *kv = txn->kv;
	int r;

	if (txn->state != TXN_OPEN)
		return -EINVAL;
	if (txn->error < 0)
		return txn->error;
	if (txn->writes == 0 && txn->counts_n == 0) {
		if (ret_sequence)
			*ret_sequence = atomic_load(&kv->commit.published);
		return 0;
	}
	if (kv->state.read_only)
		return -EROFS;
	r = kv_space_check(kv, txn->shrinking);
	if (r == 0)
		r = txn_prepare(txn);
	if (r == 0)
		r = kv_commit_run(kv, txn);
	if (r < 0)
		return r;
	if (ret_sequence)
		*ret_sequence = txn->sequence;
	return 0;
}
