/*
 * space.c: which ranges of a file are allocated: fallocate, SEEK_DATA and SEEK_HOLE; and copies of
 * ranges.
 *
 * Allocation is by whole chunks. Punching or zeroing a range changes the map for the chunks that it
 * covers and buffers the two at its ends, in one op; only where very many records go is it several,
 * one after the other, each of which leaves a file that a crash may show.
 */
#include "fs/core/chunk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>

#define PUNCH_BUDGET 1024	/* records deleted in one op */
#define COPY_PIECE (1u << 20) /* bytes */
#define COPY_MAX (16u << 20)  /* of one call, so that it holds its thread for a moment only */

struct range {
	uint64_t from, end;
	int mode;
};

/* What is to be allocated must have room now; nothing keeps it for later. */
static int check_room(const struct data_edit *e)
{
	uint64_t before = e->inode->rec.map.stored, after = map_edit_stored(e->map);
	struct kv_space space;
	int r;

	if (after <= before)
		return 0;
	r = kv_space(e->inode->core->kv, &space);
	return r < 0 ? r : after - before > space.available ? -ENOSPC : 0;
}

static int allocate(struct data_edit *e, const struct range *range)
{
	uint8_t shift = e->rec->map.chunk_shift;
	int r = edit_map(e);

	if (r == 0)
		r = map_edit_fill(e->map, range->from >> shift, ((range->end - 1) >> shift) + 1,
			MAP_UNWRITTEN, MAP_FILL_HOLES, 0, NULL);
	return r < 0 ? r : check_room(e);
}

/* Zeros within one chunk. */
static int zero_part(struct data_edit *e, uint64_t index, uint32_t from, uint32_t end)
{
	struct dirty_chunk *chunk;
	int r = edit_chunk(e, index, false, &chunk);

	if (r < 0 || !chunk)
		return r;
	if (end > chunk->length)
		end = chunk->length;
	if (from < end)
		memset(chunk->bytes + from, 0, end - from);
	return 0;
}

/* 1: range->from is where to go on. */
static int clear_mapped(struct data_edit *e, struct range *range)
{
	uint8_t shift = e->rec->map.chunk_shift;
	uint32_t bytes = CHUNK_BYTES(&e->rec->map), mask = bytes - 1;
	uint64_t whole = (range->from + mask) >> shift, end = range->end >> shift, done = 0;
	uint32_t head = (uint32_t)(range->from & mask), tail = (uint32_t)(range->end & mask);
	bool punch = range->mode & FALLOC_FL_PUNCH_HOLE;
	int r = edit_map(e);

	if (tail && range->end >= e->rec->size) { /* nothing but zeros follows */
		end++;
		tail = 0;
	}
	if (r == 0 && head)
		r = zero_part(e, range->from >> shift, head, end < whole ? tail : bytes);
	if (r == 0 && tail && end >= whole)
		r = zero_part(e, end, 0, tail);
	if (r < 0)
		return r;
	if (whole < end) {
		r = map_edit_fill(e->map, whole, end, punch ? MAP_HOLE : MAP_UNWRITTEN, 0,
			PUNCH_BUDGET, &done);
		if (r < 0)
			return r;
		dirty_remove(&e->dirty, whole, r > 0 ? done : end);
	}
	if (r > 0) {
		range->from = done << shift;
		return 1;
	}
	return punch ? 0 : allocate(e, range);
}

static int change_inline(struct data_edit *e, const struct range *range)
{
	struct buf *bytes = &e->inode->inline_data;
	uint64_t end = range->end < bytes->len ? range->end : bytes->len;
	int r = edit_save_inline(e);

	if (r < 0)
		return r;
	if (range->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && range->from < end)
		memset(bytes->data + range->from, 0, end - range->from);
	if (range->mode & FALLOC_FL_KEEP_SIZE || range->end <= bytes->len)
		return 0;
	return buf_resize(bytes, range->end);
}

static int change_range(struct data_edit *e, struct range *range)
{
	int r = 0;

	if (e->rec->body != INODE_MAPPED) {
		if (range->end <= INODE_INLINE_MAX || range->mode & FALLOC_FL_PUNCH_HOLE)
			return change_inline(e, range);
		r = edit_become_mapped(e);
	}
	if (r < 0)
		return r;
	if (range->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return clear_mapped(e, range);
	return allocate(e, range);
}

/* 1: once more, from range->from on. */
static int fallocate_once(struct core *core, struct inode *inode, struct range *range)
{
	_cleanup_(op_end) struct op op;
	struct range next = *range;
	struct data_edit *e;
	struct irec *rec;
	int r, more;

	op_begin(&op, core, NULL);
	rec = op_stage(&op, inode);
	if (!rec)
		return -ENOMEM;
	r = edit_get(&op, inode, rec, &e);
	if (r < 0)
		return r;
	if (range->mode & FALLOC_FL_PUNCH_HOLE)
		kv_txn_set_shrinking(op.txn);
	e->changed = true;
	more = change_range(e, &next);
	if (more < 0)
		return more;
	if (!more && !(range->mode & FALLOC_FL_KEEP_SIZE) && range->end > rec->size)
		rec->size = range->end;
	rec->mtime = rec->ctime = op.now;
	rec->flags &= (uint8_t)~INODE_MTIME_SET;
	r = op_commit(&op);
	if (r < 0)
		return r;
	*range = next;
	return more;
}

int core_fallocate(struct core *core, struct file *file, int mode, off_t offset, off_t length)
{
	struct range range = {.from = (uint64_t)offset, .end = (uint64_t)offset + (uint64_t)length,
		.mode = mode};
	int what = mode & ~FALLOC_FL_KEEP_SIZE, r;

	if ((file->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (offset < 0 || length <= 0)
		return -EINVAL;
	if (what && what != FALLOC_FL_ZERO_RANGE &&
		(what != FALLOC_FL_PUNCH_HOLE || !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (range.end > CORE_FILE_MAX)
		return -EFBIG;
	do
		r = OP_RETRY(fallocate_once(core, file->inode, &range));
	while (r > 0);
	return r;
}

/*
 * Whether chunk @index holds data; *@ret_end: the first chunk after it for which the answer may
 * differ.
 */
static int chunk_kind(const struct inode *inode, uint64_t index, bool *ret_data, uint64_t *ret_end)
{
	const struct dirty_set *dirty = &inode->data.dirty;
	size_t i = dirty_lower(dirty, index);
	struct map_entry entry;
	int r;

	if (i < dirty->count && dirty->chunks[i].index == index) {
		*ret_data = true;
		*ret_end = index + 1;
		return 0;
	}
	r = map_find(inode, &inode->rec.map, index, &entry, ret_end);
	if (r < 0)
		return r;
	*ret_data = entry.type == MAP_RECORD;
	if (i < dirty->count && dirty->chunks[i].index < *ret_end)
		*ret_end = dirty->chunks[i].index;
	return 0;
}

static off_t seek_locked(const struct inode *inode, uint64_t offset, bool want_data)
{
	uint64_t size = inode->rec.size, at = offset, end;
	uint8_t shift = inode->rec.map.chunk_shift;
	bool data;

	if (offset >= size)
		return -ENXIO;
	if (inode->rec.body != INODE_MAPPED)
		return (off_t)(want_data ? offset : size);
	for (uint64_t index = at >> shift; index <= (size - 1) >> shift; index = end) {
		int r = chunk_kind(inode, index, &data, &end);
		if (r < 0)
			return r;
		if (index << shift > at)
			at = index << shift;
		if (data == want_data)
			return (off_t)at;
	}
	return want_data ? -ENXIO : (off_t)size;
}

off_t core_lseek(struct core *core, struct file *file, off_t offset, int whence)
{
	struct inode *inode = file->inode;
	off_t r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (offset < 0)
		return -ENXIO;
	pthread_rwlock_rdlock(&inode->lock);
	r = seek_locked(inode, (uint64_t)offset, whence == SEEK_DATA);
	pthread_rwlock_unlock(&inode->lock);
	return r;
}

/* @size, or less where the file ends before. */
static size_t length_from(struct inode *inode, uint64_t offset, size_t size)
{
	uint64_t end;

	pthread_rwlock_rdlock(&inode->lock);
	end = inode->rec.size;
	pthread_rwlock_unlock(&inode->lock);
	return offset >= end ? 0 : size < end - offset ? size : (size_t)(end - offset);
}

ssize_t core_copy_range(struct core *core, struct file *in, off_t in_offset, struct file *out,
	off_t out_offset, size_t size)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t done = 0;

	if ((in->flags & O_ACCMODE) == O_WRONLY || (out->flags & O_ACCMODE) == O_RDONLY ||
		out->flags & O_APPEND)
		return -EBADF;
	if (in_offset < 0 || out_offset < 0 || size > SSIZE_MAX)
		return -EINVAL;
	/* What is there now: a copy within one file may make it longer. */
	size = length_from(in->inode, (uint64_t)in_offset, size);
	if (in->inode == out->inode && (uint64_t)in_offset < (uint64_t)out_offset + size &&
		(uint64_t)out_offset < (uint64_t)in_offset + size)
		return -EINVAL;
	if (size > COPY_MAX)
		size = COPY_MAX;
	bytes = malloc(size < COPY_PIECE ? size + 1 : COPY_PIECE);
	if (!bytes)
		return -ENOMEM;
	while (done < size) {
		size_t piece = size - done < COPY_PIECE ? size - done : COPY_PIECE;
		ssize_t n = core_read(core, in, bytes, piece, in_offset + (off_t)done);

		if (n > 0)
			n = core_write(core, out, bytes, (size_t)n, out_offset + (off_t)done,
				0);
		if (n < 0 && done == 0)
			return n;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
