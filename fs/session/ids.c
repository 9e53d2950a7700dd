/*
 * ids.c: rows of a user's container with more in the key: who holds a session id, and how far the
 * numbers of SESSION-YYMMDD-NNN have come on a day.
 */
#include "fs/session/session_internal.h"

static struct key id_key(const struct container *user, const uint8_t id[16])
{
	struct key key = key_make(user->domain, user->id, KEY_SESSION, 0);
	key_add_u8(&key, RECORD_ID);
	key.len = (size_t)(put_bytes(key.bytes + key.len, id, 16) - key.bytes);
	return key;
}

static struct key day_key(const struct container *user, uint32_t day)
{
	struct key key = key_make(user->domain, user->id, KEY_SESSION, 0);
	key_add_u8(&key, RECORD_DAY);
	key.len = (size_t)(put_be32(key.bytes + key.len, day) - key.bytes);
	return key;
}

static int get_u32(struct op *op, const struct key *key, uint32_t *ret_value)
{
	_cleanup_buf_ struct buf value = {0};
	int r = kv_txn_get(op->txn, KV_META, key->bytes, key->len, &value);
	if (r < 0)
		return r;
	if (value.len != 4)
		return -EBADMSG;
	*ret_value = get_be32(value.data);
	return 0;
}

static int put_u32(struct op *op, const struct key *key, uint32_t v)
{
	uint8_t value[4];
	put_be32(value, v);
	return kv_txn_put(op->txn, KV_META, key->bytes, key->len, value, sizeof value);
}

int ids_put(struct op *op, struct container *user, const uint8_t id[16], uint32_t container)
{
	struct key key = id_key(user, id);
	return put_u32(op, &key, container);
}

int ids_delete(struct op *op, struct container *user, const uint8_t id[16])
{
	struct key key = id_key(user, id);
	return kv_txn_delete(op->txn, KV_META, key.bytes, key.len);
}

int ids_holder(struct op *op, struct container *user, const uint8_t id[16], uint32_t *ret_container)
{
	struct key key = id_key(user, id);
	return get_u32(op, &key, ret_container);
}

int ids_taken(struct op *op, struct container *user, const uint8_t id[16], uint32_t container,
        bool *ret_taken)
{
	uint32_t holder;
	int r = ids_holder(op, user, id, &holder);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_taken = r == 0 && holder != container;
	return 0;
}

uint32_t ids_session_number(const char *name, size_t len, uint32_t *ret_day)
{
	uint32_t day = 0, number = 0;

	if (len < 18 || len > 23 || memcmp(name, "SESSION-", 8) != 0 || name[14] != '-')
		return 0;
	for (size_t i = 8; i < len; i++) {
		if (i == 14)
			continue;
		if (name[i] < '0' || name[i] > '9')
			return 0;
		uint32_t *v = i < 14 ? &day : &number;
		*v = *v * 10 + (uint32_t)(name[i] - '0');
	}
	if (len > 18 && name[15] == '0')
		return 0;
	*ret_day = day;
	return number;
}

int ids_get_day(struct op *op, struct container *user, uint32_t day, uint32_t *ret_number)
{
	struct key key = day_key(user, day);
	int r = get_u32(op, &key, ret_number);
	if (r != -ENOENT)
		return r;
	*ret_number = 0;
	return 0;
}

int ids_raise_day(struct op *op, struct container *user, uint32_t day, uint32_t number)
{
	struct key key = day_key(user, day);
	uint32_t highest;
	int r = ids_get_day(op, user, day, &highest);
	return r < 0 || highest >= number ? r : put_u32(op, &key, number);
}
