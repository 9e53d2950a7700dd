#include "kv/engine/rocks_internal.h"

#include <errno.h>
#include <string.h>

struct kv_engine_iter {
	struct kv_engine *engine;
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *read;
	/* RocksDB keeps pointers to the bounds: they live as long as the iterator. */
	uint8_t lower[KV_KEY_MAX];
	uint8_t upper[KV_KEY_MAX];
};

/* The least key above all that begin with the prefix. Its length; 0: there is none (all 0xff). */
static size_t prefix_end(uint8_t *ret_upper, const void *prefix, size_t len)
{
	memcpy(ret_upper, prefix, len);
	while (len > 0 && ret_upper[len - 1] == 0xff)
		len--;
	if (len > 0)
		ret_upper[len - 1]++;
	return len;
}

int rocks_iter_open(struct kv_engine *e, struct kv_engine_view *view, enum kv_family family,
	const void *prefix, size_t prefix_len, struct kv_engine_iter **ret_iter)
{
	struct kv_engine_iter *it;

	if (prefix_len > KV_KEY_MAX)
		return -EINVAL;
	it = malloc(sizeof *it);
	if (!it)
		return -ENOMEM;
	it->engine = e;
	it->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(it->read, 1);
	if (view)
		rocksdb_readoptions_set_snapshot(it->read, view->snapshot);
	if (prefix_len) {
		size_t upper_len = prefix_end(it->upper, prefix, prefix_len);

		memcpy(it->lower, prefix, prefix_len);
		rocksdb_readoptions_set_iterate_lower_bound(
			it->read, (const char *)it->lower, prefix_len);
		if (upper_len)
			rocksdb_readoptions_set_iterate_upper_bound(
				it->read, (const char *)it->upper, upper_len);
	}
	if ((int)family >= e->families) { /* over nothing: between two equal bounds */
		family = KV_SYS;
		memset(it->lower, 0xff, sizeof it->lower);
		rocksdb_readoptions_set_iterate_lower_bound(
			it->read, (const char *)it->lower, sizeof it->lower);
		rocksdb_readoptions_set_iterate_upper_bound(
			it->read, (const char *)it->lower, sizeof it->lower);
	}
	it->it = rocksdb_create_iterator_cf(e->db, it->read, e->family[family]);
	*ret_iter = it;
	return 0;
}

void rocks_iter_free(struct kv_engine_iter *it)
{
	rocksdb_iter_destroy(it->it);
	rocksdb_readoptions_destroy(it->read);
	free(it);
}

static int standing(struct kv_engine_iter *it)
{
	char *error = NULL;

	if (rocksdb_iter_valid(it->it))
		return 1;
	rocksdb_iter_get_error(it->it, &error);
	return rocks_error(it->engine, "iterate", error);
}

int rocks_iter_seek(struct kv_engine_iter *it, const void *key, size_t key_len)
{
	if (key)
		rocksdb_iter_seek(it->it, key, key_len);
	else
		rocksdb_iter_seek_to_first(it->it);
	return standing(it);
}

int rocks_iter_seek_back(struct kv_engine_iter *it, const void *key, size_t key_len)
{
	if (key)
		rocksdb_iter_seek_for_prev(it->it, key, key_len);
	else
		rocksdb_iter_seek_to_last(it->it);
	return standing(it);
}

int rocks_iter_next(struct kv_engine_iter *it)
{
	if (rocksdb_iter_valid(it->it))
		rocksdb_iter_next(it->it);
	return standing(it);
}

int rocks_iter_prev(struct kv_engine_iter *it)
{
	if (rocksdb_iter_valid(it->it))
		rocksdb_iter_prev(it->it);
	return standing(it);
}

const uint8_t *rocks_iter_key(const struct kv_engine_iter *it, size_t *ret_len)
{
	return (const uint8_t *)rocksdb_iter_key(it->it, ret_len);
}

const uint8_t *rocks_iter_value(const struct kv_engine_iter *it, size_t *ret_len)
{
	return (const uint8_t *)rocksdb_iter_value(it->it, ret_len);
}
