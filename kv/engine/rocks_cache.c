/*
 * rocks_cache.c: RocksDB's caches of blocks. Where nobody asked for a size they grow with the store: a small one's
 * tables are in the page cache anyway, and a daemon with little to do takes little memory.
 */
#include "kv/engine/rocks_internal.h"

#define CACHE_BYTES_MAX (32u << 20)
#define CACHE_BYTES_MIN (4u << 20)
#define CACHE_PART 8	  /* of the tables' bytes */
#define DATA_CACHE_PART 8 /* of the cache for blocks of chunks, besides it */
#define LOOK_BYTES (16u << 20)

static uint64_t table_bytes(struct kv_engine *e)
{
	uint64_t bytes = 0, n;

	for (int f = 0; f < e->families; f++)
		if (rocksdb_property_int_cf(e->db, e->family[f], "rocksdb.live-sst-files-size", &n) == 0)
			bytes += n;
	return bytes;
}

void rocks_cache_new(struct kv_engine *e, size_t bytes)
{
	e->cache_grows = bytes == 0;
	if (bytes == 0)
		bytes = CACHE_BYTES_MIN;
	e->cache = rocksdb_cache_create_lru(bytes);
	e->data_cache = rocksdb_cache_create_lru(bytes / DATA_CACHE_PART);
}

void rocks_cache_fit(struct kv_engine *e)
{
	uint64_t bytes;

	if (!e->cache_grows)
		return;
	bytes = table_bytes(e) / CACHE_PART;
	if (bytes < CACHE_BYTES_MIN)
		bytes = CACHE_BYTES_MIN;
	if (bytes > CACHE_BYTES_MAX)
		bytes = CACHE_BYTES_MAX;
	rocksdb_cache_set_capacity(e->cache, bytes);
	rocksdb_cache_set_capacity(e->data_cache, bytes / DATA_CACHE_PART);
}

void rocks_cache_note(struct kv_engine *e, size_t bytes)
{
	e->since_fit += bytes;
	if (e->since_fit < LOOK_BYTES)
		return;
	e->since_fit = 0;
	rocks_cache_fit(e);
}
