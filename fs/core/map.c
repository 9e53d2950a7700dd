/*
 * map.c: map pages: codec, cache, look-up.
 */
#include "fs/core/map.h"

#include "fs/core/core_internal.h"

#define PAGE_FORMAT 1
#define CACHE_SLOTS 2048 /* about 4 MiB of pages */

struct map_cache {
	pthread_mutex_t lock;
	struct map_page *slots[CACHE_SLOTS];
};

void map_page_encode(const struct map_page *page, uint8_t ret_record[MAP_PAGE_BYTES])
{
	uint8_t *p = put_u8(ret_record, PAGE_FORMAT);

	p = put_u8(p, page->level);
	p = put_be64(p, page->stored);
	for (unsigned i = 0; i < MAP_FANOUT; i++) {
		const struct map_entry *e = &page->entries[i];
		p = put_be32(p, (uint32_t)e->type << 24 | e->length);
		p = put_be64(p, e->version);
	}
}

static bool entry_sane(const struct map_entry *e, unsigned level)
{
	if (e->type == MAP_RECORD)
		return e->version > 0 && (level == 0) == (e->length > 0);
	return e->type <= MAP_UNWRITTEN && e->length == 0 && e->version == 0;
}

int map_page_decode(const void *data, size_t len, struct map_page *ret_page)
{
	struct bytes_reader r = bytes_reader(data, len);
	struct map_entry entries[MAP_FANOUT];
	uint64_t stored;
	uint8_t level;

	if (read_u8(&r) != PAGE_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	level = read_u8(&r);
	stored = read_be64(&r);
	for (unsigned i = 0; i < MAP_FANOUT; i++) {
		uint32_t word = read_be32(&r);
		entries[i] = (struct map_entry){.type = (uint8_t)(word >> 24),
			.length = word & 0xffffff, .version = read_be64(&r)};
		if (!entry_sane(&entries[i], level))
			return -EBADMSG;
	}
	if (bytes_reader_end(&r) < 0)
		return -EBADMSG;
	ret_page->level = level;
	ret_page->stored = stored;
	memcpy(ret_page->entries, entries, sizeof entries);
	return 0;
}

void map_page_unref(struct map_page *page)
{
	if (page && __atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(page);
}

struct map_cache *map_cache_new(void)
{
	struct map_cache *cache = calloc(1, sizeof *cache);

	if (cache)
		pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void map_cache_free(struct map_cache *cache)
{
	if (!cache)
		return;
	for (unsigned i = 0; i < CACHE_SLOTS; i++)
		map_page_unref(cache->slots[i]);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static unsigned slot_of(uint64_t ino, unsigned level, uint64_t index)
{
	uint64_t h = (ino * 0x9e3779b97f4a7c15u + index * 0xff51afd7ed558ccdu) ^ level;

	return (unsigned)(h >> 40 ^ h) & (CACHE_SLOTS - 1);
}

static struct map_page *cache_find(struct map_cache *cache, uint64_t ino, unsigned level,
	uint64_t index, uint64_t version)
{
	struct map_page *page;

	if (!cache)
		return NULL;
	MUTEX_GUARD(&cache->lock);
	page = cache->slots[slot_of(ino, level, index)];
	if (!page || page->ino != ino || page->level != level || page->index != index ||
		page->version != version)
		return NULL;
	__atomic_add_fetch(&page->refs, 1, __ATOMIC_RELAXED);
	return page;
}

void map_cache_add(struct map_cache *cache, struct map_page *page)
{
	struct map_page **slot, *old;

	if (!cache)
		return;
	__atomic_add_fetch(&page->refs, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&cache->lock);
	slot = &cache->slots[slot_of(page->ino, page->level, page->index)];
	old = *slot;
	*slot = page;
	pthread_mutex_unlock(&cache->lock);
	map_page_unref(old);
}

struct key map_page_key(const struct inode *inode, unsigned level, uint64_t index, uint64_t version)
{
	struct key key = inode_key(inode, KEY_MAP);

	key_add_u8(&key, (uint8_t)level);
	key_add_u64(&key, index);
	key_add_u64(&key, version);
	return key;
}

struct key map_chunk_key(const struct inode *inode, uint64_t index, uint64_t version)
{
	struct key key = inode_key(inode, KEY_CHUNK);

	key_add_u64(&key, index);
	key_add_u64(&key, version);
	return key;
}

int map_page_get(const struct inode *inode, unsigned level, uint64_t index, uint64_t version,
	struct map_page **ret_page)
{
	struct map_cache *cache = inode->core->map_cache;
	_cleanup_(map_page_unrefp) struct map_page *page = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct key key;
	int r;

	page = cache_find(cache, inode->ino, level, index, version);
	if (page) {
		*ret_page = steal_ptr(page);
		return 0;
	}
	key = map_page_key(inode, level, index, version);
	r = kv_get(inode->core->kv, NULL, KV_DATA, key.bytes, key.len, &value);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	page = malloc(sizeof *page);
	if (!page)
		return -ENOMEM;
	*page = (struct map_page){.refs = 1, .ino = inode->ino, .index = index, .version = version};
	r = map_page_decode(value.data, value.len, page);
	if (r == 0 && page->level != level)
		r = -EBADMSG;
	if (r < 0)
		return r;
	map_cache_add(cache, page);
	*ret_page = steal_ptr(page);
	return 0;
}

int map_find(const struct inode *inode, const struct map_root *root, uint64_t index,
	struct map_entry *ret_entry, uint64_t *ret_end)
{
	struct map_entry entry = root->root;
	unsigned height = root->depth;

	if (index >> (MAP_FANOUT_SHIFT * height) > 0) {
		*ret_entry = (struct map_entry){.type = MAP_HOLE};
		*ret_end = UINT64_MAX;
		return 0;
	}
	for (; height > 0 && entry.type == MAP_RECORD; height--) {
		_cleanup_(map_page_unrefp) struct map_page *page = NULL;
		unsigned shift = MAP_FANOUT_SHIFT * (height - 1);
		int r = map_page_get(inode, height - 1, index >> shift >> MAP_FANOUT_SHIFT,
			entry.version, &page);
		if (r < 0)
			return r;
		entry = page->entries[index >> shift & (MAP_FANOUT - 1)];
	}
	*ret_entry = entry;
	*ret_end = ((index >> (MAP_FANOUT_SHIFT * height)) + 1) << (MAP_FANOUT_SHIFT * height);
	return 0;
}
