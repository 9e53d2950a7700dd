#include "tests/fsck/damage_record.h"

void record_release(struct record *r)
{
	buf_release(&r->sealed);
}

int record_put_raw(struct kv *kv, const struct record *r, const void *value, size_t len)
{
	const struct kv_write w = {.family = r->family, .key = r->key.bytes, .key_len = r->key.len,
		.value = value, .value_len = len};
	return kv->ops->write(kv->engine, &w, 1);
}

int record_drop_raw(struct kv *kv, const struct record *r)
{
	return record_put_raw(kv, r, NULL, 0);
}

int record_flip_raw(struct kv *kv, struct record *r)
{
	r->sealed.data[r->sealed.len / 2] ^= 0x10;
	return record_put_raw(kv, r, r->sealed.data, r->sealed.len);
}

int record_find(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth, struct record *ret)
{
	enum kv_family family = kind < 16 ? KV_META : KV_DATA;
	_cleanup_buf_ struct buf value = {0};
	struct kv_iter *it;
	int r = kv_iter_open(kv, NULL, NULL, family, NULL, 0, &it);

	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		if (len > KEY_MAX || key[8] != kind || kv_iter_value(it, &value) < 0)
			continue;
		ret->family = family;
		ret->key.len = len;
		memcpy(ret->key.bytes, key, len);
		if ((!want || want(ret, &value)) && nth-- == 0)
			break;
	}
	kv_iter_free(it);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return kv->ops->get(kv->engine, NULL, family, ret->key.bytes, ret->key.len, &ret->sealed);
}

int record_put(struct kv *kv, enum kv_family family, const struct key *key, const void *value,
	size_t len)
{
	struct kv_txn *txn;
	int r = kv_txn_begin(kv, &txn);
	if (r < 0)
		return r;
	r = family == KV_META ? kv_txn_put(txn, family, key->bytes, key->len, value, len)
			      : kv_txn_insert(txn, family, key->bytes, key->len, value, len);
	if (r == 0)
		r = kv_txn_commit(txn, NULL);
	kv_txn_free(txn);
	return r;
}

int record_find_read(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth, struct record *ret,
	struct buf *ret_value)
{
	int r = record_find(kv, kind, want, nth, ret);

	return r < 0 ? r : kv_get(kv, NULL, ret->family, ret->key.bytes, ret->key.len, ret_value);
}
