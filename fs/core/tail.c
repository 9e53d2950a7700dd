/*
 * tail.c: what is appended to a file in chunks, while it lies in the inode record (data.h).
 *
 * In memory it is inode->inline_data as long as it is as stored; from the first append on it is a dirty chunk
 * without the bytes below it, which is not read for that. So a damaged chunk is met by who reads it, or by the
 * append that makes the tail too long: at the write, where someone can be told.
 */
#include "fs/core/chunk.h"

/* The first byte of the stored tail, which is not empty, in the file. */
static uint64_t tail_begin(const struct inode *inode, const struct buf *tail)
{
	return inode->rec.size - tail->len;
}

bool tail_is_all(const struct inode *inode)
{
	const struct dirty_set *dirty = &inode->data.dirty;

	return dirty->count == 1 && dirty->chunks[0].from;
}

/* The dirty chunk of a file that has none, with the tail that is stored. */
static int begin(struct inode *inode, uint64_t index, uint32_t at)
{
	const struct buf *tail = &inode->inline_data;
	struct dirty_chunk chunk;
	struct map_entry entry;
	uint64_t covered;
	int r = map_find(inode, &inode->rec.map, index, &entry, &covered);

	if (r < 0 || entry.type != MAP_RECORD || entry.length + tail->len != at)
		return r;
	r = chunk_room(inode);
	if (r == 0)
		r = chunk_new(inode, &inode->rec.map, index, &entry, false, &chunk);
	if (r < 0)
		return r;
	chunk.from = entry.length;
	chunk.length = at;
	if (tail->len)
		memcpy(chunk.bytes + chunk.from, tail->data, tail->len);
	r = data_add_dirty(inode, &chunk);
	return r < 0 ? r : 1;
}

int tail_append(struct inode *inode, const void *data, size_t size, uint64_t offset)
{
	const struct map_root *map = &inode->rec.map;
	uint32_t bytes = CHUNK_BYTES(map), at = (uint32_t)(offset & (bytes - 1));
	uint64_t index = offset >> map->chunk_shift;
	struct dirty_chunk *chunk;
	size_t before = inode->inline_data.len;

	if (!inode->core->tails || offset != inode->rec.size || at == 0 || size > bytes - at || size > INODE_TAIL_MAX)
		return 0;
	if (inode->data.dirty.count) {
		chunk = &inode->data.dirty.chunks[0];
		if (!tail_is_all(inode) || chunk->index != index || chunk->length != at)
			return 0;
		before = chunk->length - chunk->from;
	}
	if (before + size > INODE_TAIL_MAX)
		return 0;
	if (!inode->data.dirty.count) {
		int r = begin(inode, index, at);
		if (r <= 0)
			return r;
	}
	chunk = &inode->data.dirty.chunks[0];
	memcpy(chunk->bytes + at, data, size);
	chunk->length = at + (uint32_t)size;
	inode->rec.size = offset + size;
	return 1;
}

/* The tail that is stored, and the chunk that it belongs to, as one. */
static int load_whole(const struct inode *inode, struct dirty_chunk *ret_chunk)
{
	const struct buf *tail = &inode->inline_data;
	uint64_t first = tail_begin(inode, tail), index = first >> inode->rec.map.chunk_shift, end;
	uint32_t at = (uint32_t)(first & (CHUNK_BYTES(&inode->rec.map) - 1));
	struct map_entry entry;
	int r = map_find(inode, &inode->rec.map, index, &entry, &end);

	if (r == 0 && (entry.type != MAP_RECORD || entry.length != at))
		r = -EBADMSG;
	if (r == 0)
		r = chunk_new(inode, &inode->rec.map, index, &entry, true, ret_chunk);
	if (r < 0)
		return r;
	memcpy(ret_chunk->bytes + at, tail->data, tail->len);
	ret_chunk->length = at + (uint32_t)tail->len;
	return 0;
}

int tail_fold(struct inode *inode)
{
	struct dirty_chunk chunk;
	int r;

	if (inode->data.dirty.count)
		return tail_is_all(inode) ? chunk_complete(inode, &inode->data.dirty.chunks[0]) : 0;
	if (!inode->inline_data.len)
		return 0;
	r = chunk_room(inode);
	if (r == 0)
		r = load_whole(inode, &chunk);
	return r < 0 ? r : data_add_dirty(inode, &chunk);
}

int tail_stage(struct op *op, struct inode *inode, struct irec *rec)
{
	const struct dirty_chunk *chunk = &inode->data.dirty.chunks[0];
	struct data_edit *e;
	int r = edit_get(op, inode, rec, &e);

	if (r == 0)
		r = edit_save_inline(e);
	if (r < 0)
		return r;
	return buf_set(&inode->inline_data, chunk->bytes + chunk->from, chunk->length - chunk->from);
}

int tail_fold_edit(struct data_edit *e)
{
	struct inode *inode = e->inode;
	struct dirty_chunk chunk;
	int r = 0;

	if (inode->rec.body != INODE_MAPPED)
		return 0; /* inline bytes, which become a chunk */
	if (e->dirty.count && e->dirty.chunks[0].from)
		r = chunk_complete(inode, &e->dirty.chunks[0]);
	if (r < 0 || !inode->inline_data.len)
		return r;
	/* A chunk that is buffered has the stored tail in it. */
	if (!e->dirty.count) {
		r = load_whole(inode, &chunk);
		if (r < 0)
			return r;
		r = dirty_add(&e->dirty, &chunk, NULL);
		if (r < 0)
			free(chunk.bytes);
	}
	if (r == 0)
		r = edit_save_inline(e);
	if (r == 0)
		inode->inline_data.len = 0;
	return r;
}

int tail_cut(struct data_edit *e, uint64_t cut)
{
	struct inode *inode = e->inode;
	const struct buf *tail = &inode->inline_data;
	int r;

	if (e->map || inode->rec.body != INODE_MAPPED)
		return 0;
	if (e->dirty.count) {
		/* In a whole chunk the stored tail is, too, and is let go when the map is changed. */
		if (!e->dirty.chunks[0].from || e->dirty.chunks[0].index < cut)
			return 0;
		dirty_remove(&e->dirty, cut, UINT64_MAX);
	} else if (!tail->len || tail_begin(inode, tail) >> inode->rec.map.chunk_shift < cut) {
		return 0;
	}
	r = edit_save_inline(e);
	if (r == 0)
		inode->inline_data.len = 0;
	return r;
}

bool tail_find(const struct inode *inode, uint64_t index, const uint8_t **ret_bytes, uint32_t *ret_from,
	uint32_t *ret_end)
{
	const struct buf *tail = data_published_inline(inode);
	uint8_t shift = inode->rec.map.chunk_shift;

	if (tail_is_all(inode)) {
		const struct dirty_chunk *chunk = &inode->data.dirty.chunks[0];

		*ret_bytes = chunk->bytes + chunk->from;
		*ret_from = chunk->from;
		*ret_end = chunk->length;
		return chunk->index == index;
	}
	if (inode->data.dirty.count || !tail->len || tail_begin(inode, tail) >> shift != index)
		return false;
	*ret_bytes = tail->data;
	*ret_from = (uint32_t)(tail_begin(inode, tail) & ((1u << shift) - 1));
	*ret_end = *ret_from + (uint32_t)tail->len;
	return true;
}
