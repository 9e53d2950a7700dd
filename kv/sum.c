#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <sodium.h>

kv_sum kv_sum_element(const struct kv *kv, enum kv_family family, const void *key, size_t key_len,
	const uint8_t id[SEAL_ID_BYTES])
{
	uint8_t text[1 + KV_KEY_MAX + SEAL_ID_BYTES], hash[crypto_shorthash_siphashx24_BYTES];
	uint8_t *p = put_u8(text, (uint8_t)family);

	p = put_bytes(p, key, key_len);
	if (id)
		p = put_bytes(p, id, SEAL_ID_BYTES);
	crypto_shorthash_siphashx24(hash, text, (size_t)(p - text), kv->secrets->tree);
	return (kv_sum)get_be64(hash) << 64 | get_be64(hash + 8);
}

void kv_sum_identity(const void *sealed, size_t sealed_len, uint8_t ret_id[SEAL_ID_BYTES])
{
	if (sealed_len >= SEAL_OVERHEAD)
		seal_identity(sealed, sealed_len, ret_id);
	else
		memset(ret_id, 0, SEAL_ID_BYTES);
}

static int add_family(
	struct kv *kv, struct kv_engine_view *view, enum kv_family family, kv_sum *sum)
{
	struct kv_engine_iter *it;
	int r = kv->ops->iter_open(kv->engine, view, family, NULL, 0, &it);

	if (r < 0)
		return r;
	for (r = kv->ops->iter_seek(it, NULL, 0); r > 0; r = kv->ops->iter_next(it)) {
		size_t key_len, value_len;
		const uint8_t *key = kv->ops->iter_key(it, &key_len);
		uint8_t id[SEAL_ID_BYTES];

		if (key_len > KV_KEY_MAX) {
			r = -EBADMSG;
			break;
		}
		if (family == KV_META) {
			const uint8_t *value = kv->ops->iter_value(it, &value_len);
			kv_sum_identity(value, value_len, id);
		}
		*sum += kv_sum_element(kv, family, key, key_len, family == KV_META ? id : NULL);
	}
	kv->ops->iter_free(it);
	return r;
}

int kv_verify_sum(struct kv *kv)
{
	struct kv_engine_view *view;
	struct kv_commit_row row;
	kv_sum sum = 0;
	int r = kv_enter(kv);

	if (r < 0)
		return r;
	r = kv->ops->view_open(kv->engine, &view);
	if (r < 0) {
		kv_leave(kv);
		return r;
	}
	r = kv_commit_row_read(kv, kv->engine, view, &row);
	for (enum kv_family f = KV_META; r == 0 && f < KV_FAMILIES; f++)
		r = add_family(kv, view, f, &sum);
	kv->ops->view_free(kv->engine, view);
	kv_leave(kv);
	if (r == 0 && sum != row.sum)
		r = -EBADMSG;
	return r;
}
