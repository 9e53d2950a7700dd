/*
 * check_copy.c: files, their data, rights and names out of older copies. check_rescue.h has the contracts.
 *
 * Data is read once in full before anything is written, so that a copy which is damaged itself costs nothing. It is
 * stored under versions that this file never had, and the inode's record, which makes it the file's, comes last: who is
 * interrupted leaves chunks that no map names.
 */
#include "fs/core/check_rescue.h"

#include <time.h>

#define CHANGE_STEP (1u << 20) /* beyond the changes that a lost record may have counted */

/* ---- data ------------------------------------------------------------------------------------ */

enum copy_step {
	COPY_READ,  /* can all of it be read? */
	COPY_STORE, /* under new versions */
	COPY_MAP,
	COPY_SAME, /* what of it cannot be read here, under its own keys */
};

struct copy {
	struct check *c;
	struct kv *from;
	struct inode inode; /* stands in, for keys */
	enum copy_step step;
	uint64_t version;
	struct map_edit *edit;
	struct buf value;
};

/* Puts a record that cannot be read here where it was. */
static int put_same(struct copy *w, const struct key *key)
{
	_cleanup_buf_ struct buf here = {0};
	int r = kv_get(w->c->kv, NULL, KV_DATA, key->bytes, key->len, &here);

	if (r == -ENOMEM || (r == 0 && here.len == w->value.len))
		return r;
	return check_put(w->c, KV_DATA, key, w->value.data, w->value.len);
}

static int copy_chunk(struct copy *w, const struct map_entry *entry, uint64_t index)
{
	struct key key = map_chunk_key(&w->inode, index, entry->version);
	int r;

	if (w->step == COPY_MAP)
		return map_edit_set(w->edit, index, entry->length);
	r = kv_get(w->from, NULL, KV_DATA, key.bytes, key.len, &w->value);
	if (r == 0 && w->value.len != entry->length)
		r = -EBADMSG;
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (w->step == COPY_SAME)
		return put_same(w, &key);
	if (w->step == COPY_READ)
		return 0;
	key = map_chunk_key(&w->inode, index, w->version);
	return check_put(w->c, KV_DATA, &key, w->value.data, w->value.len);
}

static int copy_entry(struct copy *w, const struct map_entry *entry, unsigned height, uint64_t index)
{
	_cleanup_free_ struct map_page *page = NULL;
	struct key key;
	int r;

	if (entry->type != MAP_RECORD)
		return 0; /* what is allocated and not written reads as a hole does */
	if (height == 0)
		return copy_chunk(w, entry, index);
	page = malloc(sizeof *page);
	if (!page)
		return -ENOMEM;
	key = map_page_key(&w->inode, height - 1, index, entry->version);
	r = kv_get(w->from, NULL, KV_DATA, key.bytes, key.len, &w->value);
	if (r == 0)
		r = map_page_decode(w->value.data, w->value.len, page);
	if (r == 0 && page->level != height - 1)
		r = -EBADMSG;
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (w->step == COPY_SAME)
		r = put_same(w, &key);
	for (unsigned i = 0; r == 0 && i < MAP_FANOUT; i++)
		r = copy_entry(w, &page->entries[i], height - 1, (index << MAP_FANOUT_SHIFT) + i);
	return r;
}

static int copy_step(struct copy *w, const struct irec *rec, enum copy_step step)
{
	w->step = step;
	return rec->body == INODE_MAPPED ? copy_entry(w, &rec->map.root, rec->map.depth, 0) : 0;
}

static struct copy copy_from(struct check *c, struct kv *from, uint64_t ino)
{
	return (struct copy){.c = c, .from = from,
		.inode = {.ino = ino, .core = &c->core, .container = &c->stand_in}};
}

/* Whether all data of @rec can be read in @from: 0 or -EBADMSG. */
static int can_read(struct check *c, struct kv *from, uint64_t ino, const struct irec *rec)
{
	struct copy w = copy_from(c, from, ino);
	int r = copy_step(&w, rec, COPY_READ);

	buf_release(&w.value);
	return r;
}

/* Chunks and pages that were ever stored of the file and are there still have versions below *@version. */
static int above_versions(struct check *c, uint64_t ino, enum key_kind kind, uint64_t *version)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	struct key prefix = key_make(c->domain, c->container, kind, ino);
	size_t len;
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_DATA, prefix.bytes, prefix.len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		const uint8_t *key = kv_iter_key(it, &len);
		uint64_t found = len >= KEY_PREFIX + 16 ? get_be64(key + len - 8) : 0;
		if (found >= *version && found < UINT64_MAX)
			*version = found + 1;
	}
	return r;
}

/* Stores the data of @rec, which can be read, under version @version or above, and makes it @rec's. */
static int store_data(struct check *c, struct kv *from, uint64_t ino, struct irec *rec, uint64_t version)
{
	struct copy w = copy_from(c, from, ino);
	int r = above_versions(c, ino, KEY_CHUNK, &version);

	if (r == 0)
		r = above_versions(c, ino, KEY_MAP, &version);
	w.version = version || rec->body != INODE_MAPPED ? version : 1;
	if (r == 0)
		r = copy_step(&w, rec, COPY_STORE);
	if (r == 0 && rec->body == INODE_MAPPED) {
		const struct map_root empty = {.chunk_shift = rec->map.chunk_shift, .next_version = w.version};
		r = mend_begin(c);
		if (r == 0)
			r = map_edit_new(&w.inode, c->txn, &empty, &w.edit);
		if (r == 0)
			r = copy_step(&w, rec, COPY_MAP);
		if (r == 0)
			r = map_edit_write(w.edit, &rec->map);
		map_edit_free(w.edit);
	} else if (r == 0) {
		rec->map = (struct map_root){.chunk_shift = CHUNK_SHIFT, .next_version = w.version};
	}
	buf_release(&w.value);
	return r;
}

/* What the file had before, and no snapshot has, is deleted in the background. */
static int drop_older(struct check *c, uint64_t ino, const struct irec *rec)
{
	struct work_row row = {.ino = ino, .kind = WORK_TAIL, .domain = c->domain, .container = c->container};
	uint64_t end = rec->map.next_version;

	/* A file in chunks was stored under the last version before it. */
	row.max_version = rec->body == INODE_MAPPED ? end - 2 : end - 1;
	row.sequence = row.max_version;
	return end < 2 || row.max_version == 0 ? 0 : mend_put_work(c, &row);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct lost_file {
	uint64_t dir;
	const struct dentry *d;
	uint32_t links;
};

static int take_file(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_file *lost = arg;
	_cleanup_copy_ struct inode_copy copy = {0};
	struct irec *rec = &copy.rec;
	int r = irec_decode(record->data, record->len, rec, &copy.inline_data, &copy.facts);

	if (r == 0 && (rec->generation != lost->d->generation || rec->mode >> 12 != lost->d->type)) {
		*ret_reason = "that is another file";
		return RESCUE_NOT;
	}
	if (r == 0)
		r = can_read(c, kv, lost->d->ino, rec);
	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	r = store_data(c, kv, lost->d->ino, rec, rec->map.next_version);
	rec->nlink = lost->links;
	rec->parent = lost->dir;
	rec->change += CHANGE_STEP;
	clock_gettime(CLOCK_REALTIME, &rec->ctime);
	if (r == 0)
		r = mend_store(c, lost->d->ino, &copy);
	if (r == 0 && kv != c->kv)
		r = rescue_xattrs(c, kv, lost->d->ino);
	if (r == 0)
		r = drop_older(c, lost->d->ino, rec);
	return r < 0 ? r : RESCUE_TAKEN;
}

int rescue_file(struct check *c, uint64_t dir, const struct dentry *d, uint32_t links)
{
	struct lost_file lost = {.dir = dir, .d = d, .links = links};
	const struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, d->ino),
		.use = take_file, .arg = &lost, .dir = dir, .name = d->name, .ino = d->ino};

	return rescue_try(c, &want);
}

struct lost_data {
	uint64_t ino;
	const struct inode_copy *live;
	bool rest, saved, same;
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether the file has not changed in between. */
static bool same_moment(const struct irec *a, const struct irec *b)
{
	return a->change == b->change && same_time(&a->ctime, &b->ctime) && a->size == b->size &&
	       a->body == b->body && a->map.depth == b->map.depth &&
	       a->map.next_version == b->map.next_version && a->map.root.version == b->map.root.version;
}

/* The file as it was then: its bytes, the time of their last change and what they say; the rest of @live stays. */
static int become(struct check *c, struct kv *kv, const struct lost_data *lost, struct inode_copy *then)
{
	_cleanup_copy_ struct inode_copy now = {.rec = lost->live->rec};
	struct irec old = lost->live->rec;
	int r = store_data(c, kv, lost->ino, &then->rec, old.map.next_version);

	now.rec.body = then->rec.body;
	now.rec.size = then->rec.size;
	now.rec.map = then->rec.map;
	now.rec.mtime = then->rec.mtime;
	now.rec.flags = (uint8_t)((old.flags & ~INODE_MTIME_SET) | (then->rec.flags & INODE_MTIME_SET));
	clock_gettime(CLOCK_REALTIME, &now.rec.ctime);
	now.facts = blob_ref(then->facts);
	if (r == 0)
		r = buf_append(&now.inline_data, then->inline_data.data, then->inline_data.len);
	if (r == 0)
		r = mend_store(c, lost->ino, &now);
	return r < 0 ? r : drop_older(c, lost->ino, &now.rec);
}

static int take_data(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	struct lost_data *lost = arg;
	const struct irec *live = &lost->live->rec;
	_cleanup_copy_ struct inode_copy then = {0};
	struct copy w = copy_from(c, kv, lost->ino);
	int r = irec_decode(record->data, record->len, &then.rec, &then.inline_data, &then.facts);

	if (r == 0 && (then.rec.generation != live->generation || !S_ISREG(then.rec.mode))) {
		*ret_reason = "that is another file";
		return RESCUE_NOT;
	}
	if (r == 0 && kv == c->kv && same_moment(&then.rec, live)) {
		*ret_reason = "it shares what is damaged";
		return RESCUE_NOT;
	}
	if (r == 0)
		r = can_read(c, kv, lost->ino, &then.rec);
	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	if (same_moment(&then.rec, live)) {
		lost->same = true;
		r = copy_step(&w, live, COPY_SAME);
		buf_release(&w.value);
		return r < 0 ? r : RESCUE_TAKEN;
	}
	if (lost->rest && !then.rec.size) {
		*ret_reason = "it was empty then";
		return RESCUE_NOT;
	}
	if (lost->rest && !lost->saved)
		return RESCUE_WAITS;
	r = become(c, kv, lost, &then);
	return r < 0 ? r : RESCUE_TAKEN;
}

int rescue_data(struct check *c, uint64_t ino, const struct inode_copy *live, bool rest, bool *ret_same)
{
	const struct check_note *note = rescue_note(c, ino, KEY_INODE, 0);
	struct lost_data lost = {.ino = ino, .live = live, .rest = rest, .saved = note && note->saved};
	_cleanup_buf_ struct buf record = {0};
	struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, ino), .use = take_data,
		.arg = &lost, .live = &record, .live_epoch = live->rec.epoch, .ino = ino};
	int r = irec_encode(&live->rec, &live->inline_data, live->facts, &record);

	r = r < 0 ? r : rescue_try(c, &want);
	*ret_same = lost.same;
	return r;
}

struct lost_version {
	uint64_t ino;
	const struct irec *rec;
};

static bool is_version(void *arg, const struct buf *record)
{
	const struct lost_version *lost = arg;
	_cleanup_copy_ struct inode_copy copy = {0};

	return record->len && irec_decode(record->data, record->len, &copy.rec, &copy.inline_data, &copy.facts) == 0 &&
	       copy.rec.generation == lost->rec->generation && same_moment(&copy.rec, lost->rec);
}

static int take_version(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_version *lost = arg;
	struct copy w = copy_from(c, kv, lost->ino);
	int r = copy_step(&w, lost->rec, COPY_READ);

	(void)record;
	(void)ret_reason;
	if (r == 0)
		r = copy_step(&w, lost->rec, COPY_SAME);
	buf_release(&w.value);
	return r == 0 ? RESCUE_TAKEN : r == -EBADMSG ? RESCUE_NOT : r;
}

int rescue_version(struct check *c, uint64_t ino, const struct irec *version, uint64_t until)
{
	struct lost_version lost = {.ino = ino, .rec = version};
	const struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, ino), .match = is_version,
		.use = take_version, .arg = &lost, .from = RESCUE_BACKUPS_PAST, .ino = ino, .part = until};

	return rescue_try(c, &want);
}

/* ---- directories, attributes, names ---------------------------------------------------------- */

struct lost_dir {
	const uint32_t *generation;
	struct irec *ret_like;
};

static int take_dir(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_dir *lost = arg;
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = irec_decode(record->data, record->len, &copy.rec, &copy.inline_data, &copy.facts);

	(void)c;
	(void)kv;
	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	if (!S_ISDIR(copy.rec.mode) || (lost->generation && copy.rec.generation != *lost->generation)) {
		*ret_reason = "that is another directory";
		return RESCUE_NOT;
	}
	*lost->ret_like = copy.rec;
	return RESCUE_TAKEN;
}

int rescue_dir(struct check *c, uint64_t dir, const char *name, uint64_t ino, const uint32_t *generation,
	struct irec *ret_like)
{
	struct lost_dir lost = {.generation = generation, .ret_like = ret_like};
	const struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, ino), .use = take_dir,
		.arg = &lost, .dir = dir, .name = name, .ino = ino};

	return rescue_try(c, &want);
}

struct lost_xattr {
	struct key inode;
	uint32_t generation;
	struct buf *ret_record;
};

static int take_xattr(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_xattr *lost = arg;
	_cleanup_copy_ struct inode_copy copy = {0};
	_cleanup_buf_ struct buf of = {0};
	int r = 0;

	/* In a backup the number may be another file's; a version of this store's is of this one. */
	if (kv != c->kv)
		r = kv_get(kv, NULL, KV_META, lost->inode.bytes, lost->inode.len, &of);
	if (r == 0 && kv != c->kv)
		r = irec_decode(of.data, of.len, &copy.rec, &copy.inline_data, &copy.facts);
	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	if (kv != c->kv && copy.rec.generation != lost->generation) {
		*ret_reason = "that is another file";
		return RESCUE_NOT;
	}
	r = buf_set(lost->ret_record, record->data, record->len);
	return r < 0 ? r : RESCUE_TAKEN;
}

int rescue_xattr(struct check *c, uint64_t ino, uint32_t generation, const uint8_t *key, size_t len,
	struct buf *ret_record)
{
	struct lost_xattr lost = {.inode = key_make(c->domain, c->container, KEY_INODE, ino),
		.generation = generation, .ret_record = ret_record};
	struct rescue want = {.use = take_xattr, .arg = &lost, .ino = ino};

	if (len != KEY_PREFIX + 8)
		return RESCUE_NOT;
	want.prefix.len = len;
	memcpy(want.prefix.bytes, key, len);
	want.part = get_be64(key + KEY_PREFIX);
	return rescue_try(c, &want);
}

struct lost_name {
	uint64_t ino;
	uint32_t generation;
	char *ret_name;
};

static bool leads_to(void *arg, const struct buf *record)
{
	const struct lost_name *lost = arg;
	struct dentry d;

	return dentry_decode(record->data, record->len, &d) == 0 && d.ino == lost->ino &&
	       d.generation == lost->generation;
}

static int take_name(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_name *lost = arg;
	struct dentry d;
	int r = dentry_decode(record->data, record->len, &d);

	(void)c;
	(void)kv;
	(void)ret_reason;
	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	memcpy(lost->ret_name, d.name, d.name_len);
	lost->ret_name[d.name_len] = '\0';
	return RESCUE_TAKEN;
}

int rescue_name(struct check *c, uint64_t parent, uint64_t ino, uint32_t generation, char ret_name[CORE_NAME_MAX + 1])
{
	struct lost_name lost = {.ino = ino, .generation = generation, .ret_name = ret_name};
	struct rescue want = {.match = leads_to, .use = take_name, .arg = &lost, .ino = ino};
	uint32_t domain, container;

	if (!place_of(c, parent, &domain, &container))
		return RESCUE_NOT;
	want.prefix = key_make(domain, container, KEY_DENTRY, parent);
	return rescue_try(c, &want);
}
