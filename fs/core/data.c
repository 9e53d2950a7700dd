/*
 * data.c: a file's bytes within operations: what is buffered goes into a transaction, is published
 * or stays; truncation; reading; deletion of records in the background.
 */
#include "fs/core/chunk.h"
#include "fs/core/past.h"

/* Records that a truncation deletes itself; the worker does the rest. */
#define TRUNCATE_BUDGET 256
/* Transactions of one call of data_delete_records(). */
#define DELETE_ROUNDS 32

bool data_dirty(const struct inode *inode)
{
	return inode->data.content || inode->attr_dirty || inode->data.edit;
}

uint64_t data_stored(const struct inode *inode)
{
	uint64_t stored = inode->rec.map.stored;

	if (inode->rec.body != INODE_MAPPED)
		return (inode->rec.size + 511) & ~511ull;
	for (size_t i = 0; i < inode->data.dirty.count; i++) {
		const struct dirty_chunk *c = &inode->data.dirty.chunks[i];
		stored += (uint64_t)c->length - c->replaced;
	}
	if (!inode->data.dirty.count)
		stored += inode->inline_data.len;
	return stored;
}

/* The edit's chunks, under the map's new version. */
static int store_chunks(struct data_edit *e)
{
	size_t n = e->dirty.count;
	_cleanup_free_ struct key *keys = n ? reallocarray(NULL, n, sizeof *keys) : NULL;
	_cleanup_free_ struct kv_insert *inserts = n ? reallocarray(NULL, n, sizeof *inserts) : NULL;

	if (n && (!keys || !inserts))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct dirty_chunk *c = &e->dirty.chunks[i];
		int r = map_edit_set(e->map, c->index, c->length);

		if (r < 0)
			return r;
		keys[i] = map_chunk_key(e->inode, c->index, map_edit_version(e->map));
		inserts[i] = (struct kv_insert){.key = keys[i].bytes, .key_len = keys[i].len,
			.value = c->bytes, .value_len = c->length};
	}
	return kv_txn_insert_many(e->op->txn, KV_DATA, inserts, n);
}

/* Buffered chunks and changes of the map go into the transaction. */
static int store_mapped(struct op *op, struct inode *inode, struct irec *rec)
{
	struct map_root root;
	struct data_edit *e;
	int r = edit_get(op, inode, rec, &e);

	if (r == 0)
		r = edit_map(e);
	if (r < 0)
		return r;
	e->stored = true;
	r = store_chunks(e);
	if (r == 0)
		r = map_edit_write(e->map, &root);
	if (r < 0)
		return r;
	if (root.stored != inode->rec.map.stored)
		kv_txn_count(op->txn, inode->container->domain, KV_COUNT_BYTES,
			(int64_t)(root.stored - inode->rec.map.stored));
	rec->map = root;
	return 0;
}

int data_stage(struct op *op, struct inode *inode, struct irec *rec)
{
	const struct data_edit *e = inode->data.edit;
	int r = 0;

	if (!S_ISREG(rec->mode) || (!inode->data.content && !e))
		return 0;
	if (rec->body == INODE_MAPPED && !(e && e->map) && tail_is_all(inode))
		r = tail_stage(op, inode, rec);
	else if (rec->body == INODE_MAPPED || (e && e->map))
		r = store_mapped(op, inode, rec);
	if (rec->body != INODE_MAPPED)
		rec->body = rec->size ? INODE_INLINE : INODE_EMPTY;
	return r;
}

void data_forget(struct inode *inode)
{
	atomic_fetch_sub(&inode->core->dirty_bytes, inode->data.dirty_bytes);
	inode->data.dirty_bytes = 0;
	dirty_release(&inode->data.dirty);
	inode->data.content = false;
	inode->data.error = 0;
	if (data_unlist(inode))
		inode_put(inode); /* the op or file that we are called for holds another */
}

void data_publish(struct inode *inode)
{
	struct data_edit *e = steal_ptr(inode->data.edit);

	if (e) {
		if (e->stored)
			map_edit_publish(e->map);
		if (e->changed) {
			inode->untaken = true;
			container_stamp(inode->container);
		}
		edit_free(e);
	}
	/* The record was stored with all that was buffered (or the inode is gone). */
	data_forget(inode);
	if (inode->ghost && inode->rec.body == INODE_MAPPED) {
		inode->rec.body = INODE_EMPTY; /* its chunks are being deleted */
		inode->rec.size = 0;
		buf_release(&inode->inline_data);
		inode->rec.map = (struct map_root){.next_version = inode->rec.map.next_version,
			.chunk_shift = inode->rec.map.chunk_shift};
	}
}

void data_abandon(struct inode *inode)
{
	struct data_edit *e = steal_ptr(inode->data.edit);
	struct map_root *map = &inode->rec.map;

	if (!e)
		return;
	if (e->inline_saved) {
		buf_release(&inode->inline_data);
		inode->inline_data = e->old_inline;
		e->old_inline = (struct buf){0};
	}
	/* A commit that failed may be in the log for all that: its keys are not used again. */
	if (e->stored) {
		map->next_version = map_edit_version(e->map) + 1;
		if (!map->chunk_shift)
			map->chunk_shift = CHUNK_SHIFT;
	}
	edit_free(e);
}

void data_drop(struct inode *inode)
{
	data_abandon(inode);
	data_unlist(inode); /* the list's reference is not given back: nobody counts any more */
	atomic_fetch_sub(&inode->core->dirty_bytes, inode->data.dirty_bytes);
	dirty_release(&inode->data.dirty);
}

/* ---- length ---------------------------------------------------------------------------------- */

static int resize_inline(struct data_edit *e, uint64_t size)
{
	int r = edit_save_inline(e);

	if (r == 0)
		r = buf_resize(&e->inode->inline_data, size);
	if (r == 0)
		e->rec->body = size ? INODE_INLINE : INODE_EMPTY;
	return r;
}

static int shrink_mapped(struct data_edit *e, uint64_t size)
{
	uint32_t bytes = CHUNK_BYTES(&e->rec->map), rest = (uint32_t)(size & (bytes - 1));
	uint64_t cut = (size + bytes - 1) >> e->rec->map.chunk_shift;
	struct dirty_chunk *chunk;
	int r = tail_cut(e, cut);

	if (r == 0)
		r = edit_map(e);
	/* Zeros after the new end, so that a later extension reads zeros. */
	if (r == 0 && rest) {
		r = edit_chunk(e, cut - 1, false, &chunk);
		if (r == 0 && chunk)
			chunk_shorten(chunk, rest);
	}
	if (r < 0)
		return r;
	dirty_remove(&e->dirty, cut, UINT64_MAX);
	r = map_edit_fill(e->map, cut, UINT64_MAX, MAP_HOLE, MAP_FILL_LAZY, TRUNCATE_BUDGET, NULL);
	if (r < 0)
		return r;
	if (size == 0)
		e->rec->body = INODE_EMPTY;
	if (!map_edit_leftover(e->map))
		return 0;
	return work_add(e->op, WORK_TAIL, e->inode, cut, map_edit_version(e->map) - 1);
}

int data_resize(struct op *op, struct inode *inode, struct irec *rec, uint64_t size)
{
	struct data_edit *e;
	int r;

	if (size > CORE_FILE_MAX)
		return -EFBIG;
	r = edit_get(op, inode, rec, &e);
	if (r < 0)
		return r;
	e->changed = true;
	if (size < rec->size) /* works on a full disk too */
		kv_txn_set_shrinking(op->txn);
	if (rec->body != INODE_MAPPED && size > INODE_INLINE_MAX)
		r = edit_become_mapped(e);
	else if (rec->body != INODE_MAPPED)
		r = resize_inline(e, size);
	else
		r = size < rec->size ? shrink_mapped(e, size) : edit_map(e);
	if (r == 0)
		rec->size = size;
	return r;
}

int data_replace(struct op *op, struct inode *inode, struct irec *rec, const void *bytes,
	size_t len)
{
	struct data_edit *e;
	int r = data_resize(op, inode, rec, 0);

	if (r == 0)
		r = data_resize(op, inode, rec, len);
	if (r == 0)
		r = edit_get(op, inode, rec, &e);
	if (r < 0)
		return r;
	e->changed = false;
	if (rec->body != INODE_MAPPED) {
		if (len)
			memcpy(inode->inline_data.data, bytes, len);
		return 0;
	}
	for (size_t at = 0, n; at < len && r == 0; at += n) {
		struct dirty_chunk *chunk;

		n = len - at < CHUNK_BYTES(&rec->map) ? len - at : CHUNK_BYTES(&rec->map);
		r = edit_chunk(e, at >> rec->map.chunk_shift, true, &chunk);
		if (r == 0) {
			memcpy(chunk->bytes, (const uint8_t *)bytes + at, n);
			chunk->length = (uint32_t)n;
		}
	}
	return r;
}

/* ---- reading --------------------------------------------------------------------------------- */

#define READ_BATCH 64 /* chunks that are fetched at once */

struct read_batch {
	unsigned n;
	struct kv_lookup lookups[READ_BATCH];
	struct key keys[READ_BATCH];
	struct map_entry entries[READ_BATCH];
	uint8_t *to[READ_BATCH];
	uint32_t from[READ_BATCH], size[READ_BATCH]; /* the part of the chunk that is wanted */
};

static void read_batch_release(struct read_batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		buf_release(&b->lookups[i].value);
	b->n = 0;
}

/* The part of a chunk of @length bytes; zeros follow it. */
static void copy_part(uint8_t *to, const uint8_t *bytes, uint32_t length, uint32_t from,
	uint32_t size)
{
	uint32_t n = from >= length ? 0 : length - from < size ? length - from : size;

	if (n)
		memcpy(to, bytes + from, n);
	memset(to + n, 0, size - n);
}

/* What was found for chunk @i of the batch goes where it is wanted, unless it is there. */
static int read_batch_take(const struct read_batch *b, unsigned i)
{
	const struct kv_lookup *l = &b->lookups[i];
	uint32_t length = b->entries[i].length;

	if (l->result < 0)
		return l->result == -ENOENT ? -EBADMSG : l->result;
	if (l->in_room) {
		memset(b->to[i] + length, 0, b->size[i] - length);
		return 0;
	}
	if (l->value.len != length)
		return -EBADMSG;
	copy_part(b->to[i], l->value.data, length, b->from[i], b->size[i]);
	return 0;
}

static int read_batch_run(struct inode *inode, struct read_batch *b)
{
	int r = b->n ? kv_multi_get(inode->core->kv, NULL, KV_DATA, b->lookups, b->n) : 0;

	for (unsigned i = 0; i < b->n && r == 0; i++)
		r = read_batch_take(b, i);
	read_batch_release(b);
	return r;
}

/* From what is stored, tail aside. */
static int read_stored(struct inode *inode, struct read_batch *b, uint64_t index, uint32_t from,
	uint32_t size, uint8_t *to)
{
	struct map_entry entry;
	uint64_t end;
	int r;

	r = map_find(inode, &inode->rec.map, index, &entry, &end);
	if (r < 0)
		return r;
	if (entry.type != MAP_RECORD || from >= entry.length) {
		memset(to, 0, size);
		return 0;
	}
	if (b->n == READ_BATCH) {
		r = read_batch_run(inode, b);
		if (r < 0)
			return r;
	}
	b->keys[b->n] = map_chunk_key(inode, index, entry.version);
	b->lookups[b->n] = (struct kv_lookup){
		.key = b->keys[b->n].bytes, .key_len = b->keys[b->n].len};
	if (from == 0 && size >= entry.length) {
		b->lookups[b->n].room = to;
		b->lookups[b->n].room_len = entry.length;
	}
	b->entries[b->n] = entry;
	b->to[b->n] = to;
	b->from[b->n] = from;
	b->size[b->n] = size;
	b->n++;
	return 0;
}

static int read_part(struct inode *inode, struct read_batch *b, uint64_t index, uint32_t from,
	uint32_t size, uint8_t *to)
{
	const struct dirty_chunk *chunk = dirty_find(&inode->data.dirty, index);
	uint32_t begins, ends, below;
	const uint8_t *tail;

	if (chunk && !chunk->from) {
		copy_part(to, chunk->bytes, chunk->length, from, size);
		return 0;
	}
	if (!tail_find(inode, index, &tail, &begins, &ends))
		return read_stored(inode, b, index, from, size, to);
	below = from >= begins ? 0 : begins - from < size ? begins - from : size;
	if (below < size)
		copy_part(to + below, tail, ends - begins, from + below - begins, size - below);
	return below ? read_stored(inode, b, index, from, below, to) : 0;
}

const struct buf *data_published_inline(const struct inode *inode)
{
	const struct data_edit *e = inode->data.edit;

	return e && e->inline_saved ? &e->old_inline : &inode->inline_data;
}

ssize_t data_read(struct inode *inode, void *data, size_t size, uint64_t offset)
{
	_cleanup_(read_batch_release) struct read_batch batch;
	uint32_t bytes = CHUNK_BYTES(&inode->rec.map);
	uint8_t *to = data;
	int r;

	batch.n = 0;
	if (offset >= inode->rec.size)
		return 0;
	if (size > inode->rec.size - offset)
		size = inode->rec.size - offset;
	if (inode->rec.body != INODE_MAPPED) {
		memcpy(to, data_published_inline(inode)->data + offset, size);
		return (ssize_t)size;
	}
	for (size_t at = 0, n; at < size; at += n) {
		uint32_t from = (uint32_t)((offset + at) & (bytes - 1));

		n = size - at < bytes - from ? size - at : bytes - from;
		r = read_part(inode, &batch, (offset + at) >> inode->rec.map.chunk_shift, from,
			(uint32_t)n, to + at);
		if (r < 0)
			return r;
	}
	r = read_batch_run(inode, &batch);
	return r < 0 ? r : (ssize_t)size;
}

/* ---- deletion in the background -------------------------------------------------------------- */

int data_delete_small(struct op *op, struct inode *inode, const struct irec *rec)
{
	const struct map_root *map = &rec->map;
	uint64_t kept;
	struct key key;
	int r;

	if (rec->body != INODE_MAPPED)
		return 1;
	if (map->depth > 0)
		return 0;
	if (map->root.type != MAP_RECORD)
		return 1;
	r = op_kept_version(op, inode, &kept);
	if (r < 0 || map->root.version < kept)
		return r < 0 ? r : 1;
	key = map_chunk_key(inode, 0, map->root.version);
	r = kv_txn_delete(op->txn, KV_DATA, key.bytes, key.len);
	return r < 0 ? r : 1;
}

struct deletion {
	uint64_t from_chunk, min_version, max_version;
};

/* Whether a record of KV_DATA is to go, by its key. */
static bool doomed(const struct deletion *d, enum key_kind kind, const uint8_t *key, size_t len)
{
	const uint8_t *p = key + KEY_PREFIX;
	uint64_t index, version;
	unsigned shift = 0;

	if (kind == KEY_MAP && len == KEY_PREFIX + 17)
		shift = MAP_FANOUT_SHIFT * (*p++ + 1u);
	else if (kind != KEY_CHUNK || len != KEY_PREFIX + 16)
		return false;
	index = get_be64(p);
	version = get_be64(p + 8);
	if (version < d->min_version || version > d->max_version || shift > 63)
		return false;
	return index << shift >= d->from_chunk;
}

/* One transaction of up to @budget deletes at the iterator. 1: there may be more. */
static int delete_round(struct core *core, struct kv_iter *it, int at, enum key_kind kind,
	const struct deletion *d, unsigned budget)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	unsigned n = 0;
	int r = kv_txn_begin(core->kv, &txn);

	if (r < 0)
		return r;
	kv_txn_set_shrinking(txn);
	for (; at > 0 && n < budget; at = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		if (!doomed(d, kind, key, len))
			continue;
		r = kv_txn_delete(txn, KV_DATA, key, len);
		if (r < 0)
			return r;
		n++;
	}
	if (at < 0)
		return at;
	r = n ? kv_txn_commit(txn, NULL) : 0;
	return r < 0 ? r : at;
}

static int delete_kind(struct core *core, const struct key *prefix, enum key_kind kind,
	const struct deletion *d, unsigned budget)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	struct key first = *prefix;
	int r = kv_iter_open(core->kv, NULL, NULL, KV_DATA, prefix->bytes, prefix->len, &it);

	if (r < 0)
		return r;
	if (kind == KEY_CHUNK)
		key_add_u64(&first, d->from_chunk);
	r = kv_iter_seek(it, first.bytes, first.len);
	for (unsigned round = 0; r > 0 && round < DELETE_ROUNDS; round++)
		r = delete_round(core, it, r, kind, d, budget);
	return r;
}

int data_delete_records(struct core *core, uint32_t domain, uint32_t container, uint64_t ino,
	uint64_t from_chunk, uint64_t min_version, uint64_t max_version, unsigned budget)
{
	const struct deletion d = {
		.from_chunk = from_chunk, .min_version = min_version, .max_version = max_version};
	struct key chunks = key_make(domain, container, KEY_CHUNK, ino);
	struct key pages = key_make(domain, container, KEY_MAP, ino);
	int r = delete_kind(core, &chunks, KEY_CHUNK, &d, budget);

	return r ? r : delete_kind(core, &pages, KEY_MAP, &d, budget);
}
