/*
 * check_data.c: xattrs, map pages and chunks of the container at hand.
 *
 * A file's map is walked from the root in its inode, in the order of chunks; the scan over the chunks'
 * records goes along with it. So each chunk that a map names is found, missing or unreadable, each chunk
 * that none names is passed by, and nothing of a file is kept but the pages on the way down. Pages come
 * before all chunks: their keys and whether they can be read are kept, 32 bytes each, for 4 MiB of data.
 */
#include "fs/core/check_rescue.h"

/* ---- xattrs ---------------------------------------------------------------------------------- */

#define XATTR_SUM_PURPOSE 0x7861747472207375 /* xattr_record.c */

struct xattr_run {
	uint64_t ino;
	uint32_t count;
	struct msum sum;
};

static bool xattr_good(const struct buf *record)
{
	return record->len > 2 && get_be16(record->data) > 0 && get_be16(record->data) + 2u <= record->len;
}

int xattr_hash(struct check *c, const struct buf *record, uint8_t ret_hash[16])
{
	return kv_hash128(c->kv, c->domain, XATTR_SUM_PURPOSE, record->data, record->len, ret_hash);
}

static int count_xattr(struct check *c, struct xattr_run *run, const struct buf *record)
{
	uint8_t hash[16];
	int r = xattr_hash(c, record, hash);

	msum_add(&run->sum, hash);
	run->count++;
	return r;
}

/* One that cannot be read: its older value, or it goes. */
static int lost_xattr(struct check *c, struct xattr_run *run, const struct node *node)
{
	size_t len;
	const uint8_t *at = kv_scan_key(c->meta, &len);
	_cleanup_buf_ struct buf record = {0};
	struct key key = {.len = len};
	int r = RESCUE_NOT;

	memcpy(key.bytes, at, len <= KEY_MAX ? len : KEY_MAX);
	if (c->options->mend && !(node->state & NODE_BAD))
		r = rescue_xattr(c, run->ino, node->generation, at, len, &record);
	if (r < 0)
		return r;
	if (!check_tell(c, true, "xattr", 0, NULL, run->ino, "an extended attribute cannot be read%s",
		    c->options->mend ? rescue_said(c) : ""))
		return 0;
	if (mend_note(c, 0, NULL, run->ino, true, "an extended attribute could not be read") < 0)
		return -ENOMEM;
	if (r != RESCUE_TAKEN || !xattr_good(&record))
		return check_delete(c, KV_META, at, len);
	r = check_put(c, KV_META, &key, record.data, record.len);
	return r < 0 ? r : count_xattr(c, run, &record);
}

/* In a mending look what they are of may come back where its entry is settled; else the next look sees to them. */
static bool may_come_back(const struct check *c, uint64_t ino)
{
	bool root = ino == (uint64_t)c->container << 8 && (c->nodes.n || c->entries);

	return c->options->mend && (root || dangles(c, ino));
}

static int read_xattr(struct check *c, struct xattr_run *run, const struct node *node)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->meta, &len);
	bool good = c->value_error == 0 && len == KEY_PREFIX + 8 && xattr_good(&c->value);

	if (!node && may_come_back(c, run->ino))
		return 0;
	if (node)
		return good ? count_xattr(c, run, &c->value) : lost_xattr(c, run, node);
	if (work_of(c, run->ino, WORK_REMOVE))
		return 0;
	if (!check_tell(c, true, "xattr", 0, NULL, run->ino, "extended attributes of a file that is not there"))
		return 0;
	return check_delete(c, KV_META, key, len);
}

static int settle_xattrs(struct check *c, const struct xattr_run *run)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = mend_load(c, run->ino, &copy), back = RESCUE_NOT;

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	if (copy.rec.xattrs == run->count && copy.rec.xattr_sum.hi == run->sum.hi &&
		copy.rec.xattr_sum.lo == run->sum.lo)
		return 0;
	strcpy(c->rescued, "");
	if (c->options->mend && run->count < copy.rec.xattrs)
		back = rescue_lost_xattrs(c, run->ino, &copy.rec, &run->sum);
	if (back < 0)
		return back;
	if (!check_tell(c, true, "xattr", 0, NULL, run->ino,
		    "it says %u extended attributes and has %u, or others%s", copy.rec.xattrs,
		    run->count, rescue_said(c)) || back == RESCUE_TAKEN)
		return 0;
	copy.rec.xattrs = run->count;
	copy.rec.xattr_sum = run->sum;
	return mend_store(c, run->ino, &copy);
}

int xattrs_read(struct check *c)
{
	size_t len;
	struct xattr_run run = {.ino = key_ino(kv_scan_key(c->meta, &len))};
	struct key prefix = key_make(c->domain, c->container, KEY_XATTR, run.ino);
	struct node *node = node_find(c, run.ino);
	int r = 0;

	while (r >= 0 && at_prefix(c->meta, c->meta_at, &prefix)) {
		r = read_xattr(c, &run, node);
		if (r >= 0)
			r = scan_step(c, c->meta, &c->meta_at);
	}
	if (r < 0 || !node || node->state & NODE_BAD)
		return r < 0 ? r : 0;
	node->state &= (uint8_t)~NODE_XATTRS;
	return settle_xattrs(c, &run);
}

/* ---- pages ----------------------------------------------------------------------------------- */

static int read_pages(struct check *c)
{
	_cleanup_buf_ struct buf value = {0};
	struct map_page page;
	int r = 0;

	while (r >= 0 && c->data_at > 0) {
		size_t len;
		const uint8_t *key = kv_scan_key(c->data, &len);
		struct page_seen *seen;

		if (len != KEY_PREFIX + 17 || get_be32(key) != c->domain ||
			get_be32(key + 4) != c->container || key[8] != KEY_MAP)
			break;
		seen = LIST_ADD(&c->pages, struct page_seen);
		if (!seen)
			return -ENOMEM;
		seen->ino = key_ino(key);
		seen->level = key[KEY_PREFIX];
		seen->index = get_be64(key + KEY_PREFIX + 1);
		seen->version = get_be64(key + KEY_PREFIX + 9);
		seen->bad = kv_scan_value(c->data, &value) < 0 ||
			    map_page_decode(value.data, value.len, &page) < 0 ||
			    page.level != seen->level;
		c->data_records++;
		r = scan_step(c, c->data, &c->data_at);
	}
	return r < 0 ? r : 0;
}

static int compare_pages(const void *a, const void *b)
{
	const struct page_seen *x = a, *y = b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->index != y->index)
		return x->index < y->index ? -1 : 1;
	return x->version < y->version ? -1 : x->version > y->version;
}

/* They came in the order of their keys. */
static struct page_seen *page_find(
	struct check *c, uint64_t ino, uint8_t level, uint64_t index, uint64_t version)
{
	struct page_seen key = {.ino = ino, .level = level, .index = index, .version = version};

	return c->pages.n
		? bsearch(&key, c->pages.items, c->pages.n, sizeof key, compare_pages)
		: NULL;
}

/* ---- a file ---------------------------------------------------------------------------------- */

/* A file's map on its walk. */
struct walk {
	struct check *c;
	struct inode inode; /* stands in, for keys and pages */
	const struct irec *rec;
	struct buf value;
	uint64_t stored; /* bytes that its chunks and ranges come to */
	uint64_t end;	 /* of the last chunk, in bytes */
	uint64_t good_chunks, bad_chunks, first_bad;
	bool bad_page;
};

static bool at_chunk(struct check *c, uint64_t ino, uint64_t *ret_index, uint64_t *ret_version)
{
	size_t len;
	const uint8_t *key;

	if (c->data_at <= 0)
		return false;
	key = kv_scan_key(c->data, &len);
	if (len != KEY_PREFIX + 16 || get_be32(key) != c->domain ||
		get_be32(key + 4) != c->container || key[8] != KEY_CHUNK || key_ino(key) != ino)
		return false;
	*ret_index = get_be64(key + KEY_PREFIX);
	*ret_version = get_be64(key + KEY_PREFIX + 8);
	return true;
}

/* Whether the background is going to delete this record, now or when a snapshot is dropped. */
static bool doomed(struct check *c, uint64_t ino, uint64_t first_chunk, uint64_t version)
{
	struct key key = key_make(c->domain, c->container, KEY_INODE, ino);

	if (history_below(c, key.bytes, key.len))
		return true; /* a snapshot may have it */
	for (size_t i = 0; i < c->works.n; i++) {
		const struct work_row *w = LIST_AT(&c->works, struct work_row, i);
		if (w->kind == WORK_DOMAIN && w->domain == c->domain)
			return true;
		if (w->ino != ino)
			continue;
		if (w->kind == WORK_REMOVE ||
			(w->kind == WORK_TAIL && first_chunk >= w->from_chunk &&
				version <= w->max_version))
			return true;
	}
	return false;
}

/* The chunk at hand is one that no map names. */
static int unnamed_chunk(struct check *c, uint64_t ino, uint64_t index, uint64_t version, bool keep)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->data, &len);
	int r = 0;

	c->data_records++;
	if (!keep && !doomed(c, ino, index, version) &&
		check_tell(c, true, "chunk", 0, NULL, ino, "chunk %llu of version %llu is in no map",
			(unsigned long long)index, (unsigned long long)version))
		r = check_delete(c, KV_DATA, key, len);
	return r < 0 ? r : scan_step(c, c->data, &c->data_at);
}

static void bad_chunk(struct walk *w, uint64_t index)
{
	if (w->bad_chunks++ == 0)
		w->first_bad = index;
}

/* A chunk that the map names: the scan goes on to where it should be. */
static int visit_chunk(struct walk *w, uint64_t index, const struct map_entry *entry)
{
	struct check *c = w->c;
	uint64_t ino = w->inode.ino, at, version;
	int r = 1;

	w->stored += entry->length;
	w->end = (index << w->rec->map.chunk_shift) + entry->length;
	while (r >= 0 && at_chunk(c, ino, &at, &version) &&
		(at < index || (at == index && version < entry->version)))
		r = unnamed_chunk(c, ino, at, version, w->bad_page);
	if (r < 0)
		return r;
	if (!at_chunk(c, ino, &at, &version) || at != index || version != entry->version) {
		bad_chunk(w, index);
		return 0;
	}
	c->data_records++;
	if (kv_scan_value(c->data, &w->value) < 0 || w->value.len != entry->length)
		bad_chunk(w, index);
	else
		w->good_chunks++;
	r = scan_step(c, c->data, &c->data_at);
	return r < 0 ? r : 0;
}

static int load_page(struct walk *w, unsigned level, uint64_t index, uint64_t version,
	struct map_page *ret_page)
{
	struct key key = map_page_key(&w->inode, level, index, version);
	struct page_seen *seen = page_find(w->c, w->inode.ino, (uint8_t)level, index, version);
	int r;

	if (seen)
		seen->named = true;
	if (!seen || seen->bad)
		return -EBADMSG;
	r = kv_get(w->c->kv, NULL, KV_DATA, key.bytes, key.len, &w->value);
	return r < 0 ? r : map_page_decode(w->value.data, w->value.len, ret_page);
}

static int walk_entry(struct walk *w, const struct map_entry *entry, unsigned height, uint64_t index)
{
	uint64_t stored = w->stored;
	struct map_page *page;
	int r;

	if (entry->type == MAP_UNWRITTEN)
		w->stored += 1ull << (MAP_FANOUT_SHIFT * height + w->rec->map.chunk_shift);
	if (entry->type != MAP_RECORD)
		return 0;
	if (height == 0)
		return visit_chunk(w, index, entry);
	page = malloc(sizeof *page);
	if (!page)
		return -ENOMEM;
	r = load_page(w, height - 1, index, entry->version, page);
	if (r < 0 && r != -ENOMEM) {
		w->bad_page = true;
		r = 0;
	} else if (r == 0) {
		for (unsigned i = 0; i < MAP_FANOUT && r == 0; i++)
			r = walk_entry(w, &page->entries[i], height - 1,
				(index << MAP_FANOUT_SHIFT) + i);
		if (w->stored - stored != page->stored && !w->bad_page)
			w->bad_page = true;
	}
	free(page);
	return r;
}

/* Its sum of bytes and its length, where the map itself is good; @tail bytes of it lie in its record. */
static int check_lengths(struct walk *w, size_t tail)
{
	struct check *c = w->c;
	_cleanup_copy_ struct inode_copy copy = {0};
	uint64_t end = w->end + tail;
	int r;

	if (w->bad_page || (w->stored == w->rec->map.stored && (tail ? end == w->rec->size : end <= w->rec->size)))
		return 0;
	if (!check_tell(c, true, "size", 0, NULL, w->inode.ino,
		    "it says %llu bytes, %llu of them stored, and has %llu",
		    (unsigned long long)w->rec->size, (unsigned long long)w->rec->map.stored,
		    (unsigned long long)w->stored))
		return 0;
	r = mend_load(c, w->inode.ino, &copy);
	copy.rec.map.stored = w->stored;
	if (copy.rec.size < end || tail)
		copy.rec.size = end;
	if (!irec_may_have_tail(&copy.rec, tail)) { /* it belongs to no chunk */
		copy.inline_data.len = 0;
		copy.rec.size = w->end;
	}
	return r < 0 ? r : mend_store(c, w->inode.ino, &copy);
}

/* Takes it from an older copy: *@ret_said is what came of that. Whether the file is whole again. */
static int mend_data(struct walk *w, const struct inode_copy *copy, const char **ret_said)
{
	struct check *c = w->c;
	bool same = false;
	int r = c->options->mend && !(w->bad_page && !w->rec->generation)
			? rescue_data(c, w->inode.ino, copy, w->good_chunks > 0, &same)
			: RESCUE_NOT;

	*ret_said = !c->options->mend   ? ""
		    : r == RESCUE_WAITS ? "; it is going to be taken from a copy"
					: rescue_said(c);
	if (r == RESCUE_TAKEN && same)
		*ret_said = "; just that was taken from a backup since when the file has not changed";
	return r;
}

static int tell_damage(struct walk *w, const struct inode_copy *copy)
{
	struct check *c = w->c;
	unsigned shift = w->rec->map.chunk_shift;
	const char *said, *why = w->bad_page ? "its map cannot be read in part" : "chunks of it cannot be read";
	struct dentry d;
	int r = mend_data(w, copy, &said);

	if (r < 0)
		return r;
	if (w->bad_page)
		check_tell(c, r == RESCUE_TAKEN, "map", 0, NULL, w->inode.ino, "%s%s", why, said);
	if (w->bad_chunks)
		check_tell(c, r == RESCUE_TAKEN, "data", 0, NULL, w->inode.ino,
			"%llu chunks of it cannot be read, the first at byte %llu%s",
			(unsigned long long)w->bad_chunks, (unsigned long long)w->first_bad << shift, said);
	r = entry_to(c, w->rec->parent, w->inode.ino, &d);
	return mend_note(c, r == 0 ? w->rec->parent : 0, r == 0 ? d.name : NULL, w->inode.ino, true, why);
}

/* Walks the map of a file, with the scan at the file's first chunk or beyond. */
static int check_file(struct check *c, struct node *node)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	struct walk w = {.c = c, .rec = &copy.rec,
		.inode = {.ino = node->ino, .core = &c->core, .container = &c->stand_in}};
	uint64_t index, version;
	int r = mend_load(c, node->ino, &copy);

	node->state &= (uint8_t)~NODE_MAPPED;
	w.bad_page = r == -EBADMSG; /* it lies in a block that cannot be read: nothing of it is nobody's */
	if (w.bad_page)
		r = 0;
	else if (r == 0)
		r = walk_entry(&w, &copy.rec.map.root, copy.rec.map.depth, 0);
	if (w.bad_page)
		node->state |= NODE_TORN;
	while (r >= 0 && at_chunk(c, node->ino, &index, &version))
		r = unnamed_chunk(c, node->ino, index, version, w.bad_page);
	if (r >= 0)
		r = check_lengths(&w, copy.inline_data.len);
	if (r >= 0 && (w.bad_page || w.bad_chunks))
		r = tell_damage(&w, &copy);
	buf_release(&w.value);
	return r < 0 ? r : 0;
}

/* ---- the container --------------------------------------------------------------------------- */

/* Chunks of an inode that is not there, is unreadable, or has none: the record at hand is one. */
static int stray_chunks(struct check *c, uint64_t ino, const struct node *node)
{
	uint64_t index, version;
	int r = 0;

	while (r >= 0 && at_chunk(c, ino, &index, &version))
		r = unnamed_chunk(c, ino, index, version, node && node->state & NODE_BAD);
	return r;
}

static int check_chunks(struct check *c)
{
	int r = 0;

	while (r >= 0 && c->data_at > 0) {
		size_t len;
		const uint8_t *key = kv_scan_key(c->data, &len);
		struct node *node;
		uint64_t ino, index, version;

		if (len < 8 || get_be32(key) != c->domain || get_be32(key + 4) != c->container)
			break;
		ino = len >= KEY_PREFIX ? key_ino(key) : 0;
		if (!at_chunk(c, ino, &index, &version)) {
			if (check_tell(c, true, "strange-record", 0, NULL, 0,
				    "a record of a kind that is not known"))
				r = check_delete(c, KV_DATA, key, len);
			if (r >= 0)
				r = scan_step(c, c->data, &c->data_at);
			continue;
		}
		node = node_find(c, ino);
		if (node && node->state & NODE_MAPPED)
			r = check_file(c, node);
		else
			r = stray_chunks(c, ino, node);
	}
	return r;
}

static int unnamed_pages(struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < c->pages.n && r == 0; i++) {
		const struct page_seen *seen = LIST_AT(&c->pages, struct page_seen, i);
		struct node *node = node_find(c, seen->ino);
		struct inode inode = {.ino = seen->ino, .container = &c->stand_in};
		struct key key = map_page_key(&inode, seen->level, seen->index, seen->version);
		unsigned shift = MAP_FANOUT_SHIFT * (seen->level + 1u);

		if (seen->named || (node && node->state & (NODE_BAD | NODE_TORN)) || shift > 63 ||
			doomed(c, seen->ino, seen->index << shift, seen->version))
			continue;
		if (check_tell(c, true, "page", 0, NULL, seen->ino,
			    "a page of its map is in no map"))
			r = check_delete(c, KV_DATA, key.bytes, key.len);
	}
	return r;
}

int data_check(struct check *c)
{
	int r = 0;

	/* Inodes that say they have xattrs and have none. */
	for (size_t i = 0; i < c->nodes.n && r == 0; i++) {
		const struct node *node = LIST_AT(&c->nodes, struct node, i);
		if (node->state & NODE_XATTRS)
			r = settle_xattrs(c, &(struct xattr_run){.ino = node->ino});
	}
	if (r == 0)
		r = read_pages(c);
	if (r == 0)
		r = check_chunks(c);
	/* Files without any chunk of their own. */
	for (size_t i = 0; i < c->nodes.n && r >= 0; i++) {
		struct node *node = LIST_AT(&c->nodes, struct node, i);
		if (node->state & NODE_MAPPED && !(node->state & NODE_BAD))
			r = check_file(c, node);
	}
	return r < 0 ? r : unnamed_pages(c);
}
