/*
 * chunk.c: sets of buffered chunks, and edits of a file's data within an op.
 */
#include "fs/core/chunk.h"
#include "fs/core/past.h"

size_t dirty_lower(const struct dirty_set *set, uint64_t index)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (set->chunks[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct dirty_chunk *dirty_find(const struct dirty_set *set, uint64_t index)
{
	size_t i = dirty_lower(set, index);

	return i < set->count && set->chunks[i].index == index ? &set->chunks[i] : NULL;
}

int dirty_add(struct dirty_set *set, const struct dirty_chunk *chunk,
	struct dirty_chunk **ret_chunk)
{
	size_t i = dirty_lower(set, chunk->index);

	if (set->count == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 8;
		struct dirty_chunk *chunks = reallocarray(set->chunks, cap, sizeof *chunks);
		if (!chunks)
			return -ENOMEM;
		set->chunks = chunks;
		set->cap = cap;
	}
	memmove(&set->chunks[i + 1], &set->chunks[i], (set->count - i) * sizeof *set->chunks);
	set->chunks[i] = *chunk;
	set->count++;
	if (ret_chunk)
		*ret_chunk = &set->chunks[i];
	return 0;
}

void dirty_remove(struct dirty_set *set, uint64_t from, uint64_t to)
{
	size_t first = dirty_lower(set, from), end = dirty_lower(set, to);

	if (first >= end)
		return;
	for (size_t i = first; i < end; i++)
		if (!set->chunks[i].borrowed)
			free(set->chunks[i].bytes);
	memmove(&set->chunks[first], &set->chunks[end], (set->count - end) * sizeof *set->chunks);
	set->count -= end - first;
}

void dirty_release(struct dirty_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		if (!set->chunks[i].borrowed)
			free(set->chunks[i].bytes);
	free(set->chunks);
	*set = (struct dirty_set){0};
}

static uint32_t allocated(const struct map_root *map, const struct map_entry *entry)
{
	if (entry->type == MAP_UNWRITTEN)
		return CHUNK_BYTES(map);
	return entry->type == MAP_RECORD ? entry->length : 0;
}

/* The stored bytes of a chunk. */
static int load(const struct inode *inode, uint64_t index, const struct map_entry *entry, uint8_t *to)
{
	struct key key = map_chunk_key(inode, index, entry->version);
	_cleanup_buf_ struct buf value = {0};
	int r = kv_get(inode->core->kv, NULL, KV_DATA, key.bytes, key.len, &value);

	if (r == -ENOENT || (r == 0 && value.len != entry->length))
		return -EBADMSG;
	if (r == 0)
		memcpy(to, value.data, value.len);
	return r;
}

int chunk_new(const struct inode *inode, const struct map_root *map, uint64_t index,
	const struct map_entry *entry, bool stored, struct dirty_chunk *ret_chunk)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	uint32_t length = 0;

	if (entry->length > CHUNK_BYTES(map))
		return -EBADMSG;
	bytes = calloc(1, CHUNK_BYTES(map));
	if (!bytes)
		return -ENOMEM;
	if (stored && entry->type == MAP_RECORD) {
		int r = load(inode, index, entry, bytes);
		if (r < 0)
			return r;
		length = entry->length;
	}
	*ret_chunk = (struct dirty_chunk){.index = index, .bytes = steal_ptr(bytes),
		.length = length, .replaced = allocated(map, entry)};
	return 0;
}

int chunk_room(const struct inode *inode)
{
	struct kv_space space;
	int r = kv_space(inode->core->kv, &space);

	if (r == 0 && space.available < CHUNK_BYTES(&inode->rec.map) + inode->core->dirty_bytes)
		r = -ENOSPC;
	return r;
}

int chunk_complete(const struct inode *inode, struct dirty_chunk *chunk)
{
	struct map_entry entry;
	uint64_t end;
	int r;

	if (!chunk->from)
		return 0;
	r = map_find(inode, &inode->rec.map, chunk->index, &entry, &end);
	if (r == 0 && (entry.type != MAP_RECORD || entry.length != chunk->from))
		r = -EBADMSG;
	if (r == 0)
		r = load(inode, chunk->index, &entry, chunk->bytes);
	if (r == 0)
		chunk->from = 0;
	return r;
}

/* The bytes of a chunk as smaller ones. */
static int cut_up(const struct dirty_chunk *whole, unsigned shift, struct dirty_set *ret_set)
{
	uint32_t bytes = 1u << shift;

	for (uint32_t at = 0; at < whole->length; at += bytes) {
		uint32_t length = whole->length - at < bytes ? whole->length - at : bytes;
		struct dirty_chunk part = {.index = at >> shift, .bytes = calloc(1, bytes), .length = length,
			.replaced = at ? 0 : whole->replaced};
		int r = part.bytes ? dirty_add(ret_set, &part, NULL) : -ENOMEM;

		if (r < 0) {
			free(part.bytes);
			return r;
		}
		memcpy(part.bytes, whole->bytes + at, length);
	}
	return 0;
}

/* Whether the file is a plain one that has its first chunk, or nothing, in chunks of the usual size. */
static bool may_split(const struct inode *inode)
{
	const struct map_root *map = &inode->rec.map;
	const struct dirty_set *dirty = &inode->data.dirty;

	return !inode->rec.role && map->chunk_shift == CHUNK_SHIFT && map->depth == 0 &&
	       map->root.type != MAP_UNWRITTEN && dirty->count <= 1 &&
	       (dirty->count == 0 || (dirty->chunks[0].index == 0 && dirty->chunks[0].length > 0));
}

/* What there is in memory of the first chunk becomes @parts. */
static void take_parts(struct inode *inode, struct dirty_set *parts)
{
	struct data *data = &inode->data;
	size_t bytes = parts->count << CHUNK_SHIFT_NOISE;

	dirty_release(&data->dirty);
	data->dirty = *parts;
	*parts = (struct dirty_set){0};
	atomic_fetch_sub(&inode->core->dirty_bytes, data->dirty_bytes);
	atomic_fetch_add(&inode->core->dirty_bytes, bytes);
	data->dirty_bytes = bytes;
	inode->rec.map.chunk_shift = CHUNK_SHIFT_NOISE;
}

int chunk_split(struct inode *inode, const void *data, size_t size, uint64_t end)
{
	const struct map_root *map = &inode->rec.map;
	const struct dirty_set *dirty = &inode->data.dirty;
	_cleanup_(dirty_release) struct dirty_set parts = {0};
	struct dirty_chunk whole = {0};
	int r;

	if (end <= CHUNK_BYTES(map) || !may_split(inode) || !kv_is_noise(data, size))
		return 0;
	if (dirty->count)
		whole = dirty->chunks[0];
	else if (map->root.type == MAP_RECORD && chunk_new(inode, map, 0, &map->root, true, &whole) < 0)
		return 0;
	r = cut_up(&whole, CHUNK_SHIFT_NOISE, &parts);
	if (!dirty->count)
		free(whole.bytes);
	if (r == 0)
		take_parts(inode, &parts);
	return r;
}

void chunk_shorten(struct dirty_chunk *chunk, uint32_t length)
{
	if (length >= chunk->length)
		return;
	memset(chunk->bytes + length, 0, chunk->length - length);
	chunk->length = length;
}

int edit_get(struct op *op, struct inode *inode, struct irec *rec, struct data_edit **ret_edit)
{
	const struct dirty_set *dirty = &inode->data.dirty;
	struct data_edit *e = inode->data.edit;
	int r = op_txn(op);

	if (r < 0)
		return r;
	if (e) {
		*ret_edit = e;
		return 0;
	}
	e = calloc(1, sizeof *e);
	if (!e)
		return -ENOMEM;
	e->op = op;
	e->inode = inode;
	e->rec = rec;
	if (dirty->count) {
		e->dirty.chunks = reallocarray(NULL, dirty->count, sizeof *dirty->chunks);
		if (!e->dirty.chunks) {
			free(e);
			return -ENOMEM;
		}
		memcpy(e->dirty.chunks, dirty->chunks, dirty->count * sizeof *dirty->chunks);
		e->dirty.count = e->dirty.cap = dirty->count;
		for (size_t i = 0; i < dirty->count; i++)
			e->dirty.chunks[i].borrowed = true;
	}
	inode->data.edit = e;
	*ret_edit = e;
	return 0;
}

void edit_free(struct data_edit *e)
{
	map_edit_free(e->map);
	dirty_release(&e->dirty);
	buf_release(&e->old_inline);
	free(e);
}

int edit_save_inline(struct data_edit *e)
{
	int r;

	if (e->inline_saved)
		return 0;
	r = buf_append(&e->old_inline, e->inode->inline_data.data, e->inode->inline_data.len);
	e->inline_saved = r == 0;
	return r;
}

int edit_map(struct data_edit *e)
{
	uint64_t kept;
	int r;

	if (e->map)
		return 0;
	r = op_kept_version(e->op, e->inode, &kept);
	if (r == 0)
		r = map_edit_new(e->inode, e->op->txn, &e->rec->map, &e->map);
	if (r == 0)
		map_edit_keep(e->map, kept);
	return r < 0 ? r : tail_fold_edit(e);
}

int edit_chunk(struct data_edit *e, uint64_t index, bool make, struct dirty_chunk **ret_chunk)
{
	struct dirty_chunk *found = dirty_find(&e->dirty, index), chunk;
	struct map_entry entry;
	int r;

	if (found && found->borrowed) {
		uint8_t *bytes = malloc(CHUNK_BYTES(&e->rec->map));
		if (!bytes)
			return -ENOMEM;
		memcpy(bytes, found->bytes, CHUNK_BYTES(&e->rec->map));
		found->bytes = bytes;
		found->borrowed = false;
	}
	if (found) {
		*ret_chunk = found;
		return 0;
	}
	r = edit_map(e);
	if (r == 0)
		r = map_edit_find(e->map, index, &entry);
	if (r < 0)
		return r;
	if (entry.type != MAP_RECORD && !make) {
		*ret_chunk = NULL;
		return 0;
	}
	r = chunk_new(e->inode, &e->rec->map, index, &entry, true, &chunk);
	if (r < 0)
		return r;
	r = dirty_add(&e->dirty, &chunk, ret_chunk);
	if (r < 0)
		free(chunk.bytes);
	return r;
}

int edit_become_mapped(struct data_edit *e)
{
	struct inode *inode = e->inode;
	struct dirty_chunk *chunk;
	int r = edit_save_inline(e);

	if (r < 0)
		return r;
	e->rec->body = INODE_MAPPED;
	if (!e->rec->map.chunk_shift)
		e->rec->map.chunk_shift = CHUNK_SHIFT;
	if (!inode->inline_data.len)
		return 0;
	r = edit_chunk(e, 0, true, &chunk);
	if (r < 0)
		return r;
	memcpy(chunk->bytes, inode->inline_data.data, inode->inline_data.len);
	chunk->length = (uint32_t)inode->inline_data.len;
	inode->inline_data.len = 0;
	return 0;
}
