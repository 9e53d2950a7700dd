/*
 * sweep.c: freeing what no snapshot needs any more, and counting what one alone holds.
 *
 * Versions of one record lie side by side. One is needed if a live pin that covers its container is in
 * (from, until], or, where from is not known (0), above the until of the version before.
 *
 * With a version of a mapped file's inode go the chunks and pages that are in its map and in no other. Their
 * lives are runs of versions: so they are those that are not older than the end of the version before
 * (its next_version) and not in the map of the one after, be that a version or the present. A page is at
 * least as new as what is below it, so the walk goes down only where there is something.
 */
#include "fs/core/sweep.h"

#include "fs/core/map.h"
#include "fs/core/past.h"
#include "fs/core/pins.h"

#define BATCH 256	/* versions of small records deleted in one transaction */
#define DATA_BATCH 8192 /* chunks and pages */

struct version {
	uint64_t until, from;
	bool needed;
	struct snapshot_held *sole; /* counting: of the only snapshot that sees it */
	size_t bytes; /* of the record */
};

/* Not sweeping, but counting what each snapshot holds alone; by rising id. */
struct count {
	struct snapshot_held *all;
	size_t n, cap;
	uint32_t domain; /* of the first one's place … */
	bool alone;	 /* … and whether that has all that it shows */
};

/* A record's versions, by rising until. */
struct group {
	struct key key;
	struct version *versions;
	size_t n, cap;
};

struct sweep {
	struct core *core;
	uint32_t domain, container;
	uint64_t *pins;
	size_t n_pins;
	const bool *stop;
	struct kv_txn *txn; /* deletes of small records that wait */
	unsigned waiting;
	struct count *count; /* NULL: sweeping */
};

static void group_release(struct group *g)
{
	free(g->versions);
}

static void sweep_release(struct sweep *s)
{
	kv_txn_free(s->txn);
	free(s->pins);
}

static bool stopped(const struct sweep *s)
{
	return s->stop && __atomic_load_n(s->stop, __ATOMIC_RELAXED);
}

static struct key version_key(const struct group *g, const struct version *v)
{
	struct key key = g->key;

	key_add_u64(&key, v->until);
	key_add_u64(&key, v->from);
	return key;
}

/* How many pins are in (from, until], two for more; *@ret_first is the first. */
static unsigned pinned(const struct sweep *s, uint64_t from, uint64_t until, uint64_t *ret_first)
{
	size_t low = 0, high = s->n_pins;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->pins[mid] <= from)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == s->n_pins || s->pins[low] > until)
		return 0;
	*ret_first = s->pins[low];
	return low + 1 < s->n_pins && s->pins[low + 1] <= until ? 2 : 1;
}

static int compare_held(const void *a, const void *b)
{
	uint64_t x = ((const struct snapshot_held *)a)->id, y = ((const struct snapshot_held *)b)->id;

	return x < y ? -1 : x > y;
}

static struct snapshot_held *held_find(const struct count *count, uint64_t id)
{
	const struct snapshot_held key = {.id = id};

	return count->n ? bsearch(&key, count->all, count->n, sizeof key, compare_held) : NULL;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* What a version of an inode's record, or the present one, says of its data. */
struct mapping {
	bool mapped;
	struct map_root map;
};

struct walk {
	const struct inode *inode; /* a stand-in, for keys */
	struct mapping newer;
	uint64_t low; /* next_version of the older one */
	struct key *keys; /* DATA_BATCH; NULL: only count */
	size_t n;
	uint64_t bytes;
	bool missing; /* a page was not there: an earlier sweep came so far */
};

static int load_page(const struct inode *inode, unsigned level, uint64_t index, uint64_t version,
	struct map_page *ret_page)
{
	struct key key = map_page_key(inode, level, index, version);
	_cleanup_buf_ struct buf value = {0};
	int r = kv_get(inode->core->kv, NULL, KV_DATA, key.bytes, key.len, &value);

	return r < 0 ? r : map_page_decode(value.data, value.len, ret_page);
}

/* The entry of this height that covers chunk @first; a hole where the tree has none such. */
static int entry_at(const struct inode *inode, const struct map_root *map, unsigned height,
	uint64_t first, struct map_entry *ret_entry)
{
	struct map_entry entry = map->root;

	*ret_entry = (struct map_entry){.type = MAP_HOLE};
	if (height > map->depth || first >> (MAP_FANOUT_SHIFT * map->depth) > 0)
		return 0;
	for (unsigned at = map->depth; at > height && entry.type == MAP_RECORD; at--) {
		_cleanup_(map_page_unrefp) struct map_page *page = NULL;
		int r = map_page_get(inode, at - 1, first >> (MAP_FANOUT_SHIFT * at), entry.version,
			&page);
		if (r < 0)
			return r;
		entry = page->entries[first >> (MAP_FANOUT_SHIFT * (at - 1)) & (MAP_FANOUT - 1)];
	}
	*ret_entry = entry;
	return 0;
}

static int note(struct walk *w, const struct key *key, uint64_t bytes)
{
	w->bytes += bytes;
	if (!w->keys)
		return 0;
	w->keys[w->n++] = *key;
	return w->n == DATA_BATCH;
}

/* Notes what only this map has at and below the entry, pages after what they list. 1: the batch is full. */
static int walk(struct walk *w, const struct map_entry *entry, unsigned height, uint64_t first)
{
	struct map_entry newer = {.type = MAP_HOLE};
	struct map_page page;
	struct key key;
	int r = 0;

	if (entry->type != MAP_RECORD || entry->version < w->low)
		return 0;
	if (w->newer.mapped)
		r = entry_at(w->inode, &w->newer.map, height, first, &newer);
	if (r < 0 || (newer.type == MAP_RECORD && newer.version == entry->version))
		return r;
	if (height == 0) {
		key = map_chunk_key(w->inode, first, entry->version);
		return note(w, &key, key.len + entry->length);
	}
	r = load_page(w->inode, height - 1, first >> (MAP_FANOUT_SHIFT * height), entry->version, &page);
	if (r == -ENOENT) {
		w->missing = true;
		return 0;
	}
	for (unsigned i = 0; r == 0 && i < MAP_FANOUT; i++)
		r = walk(w, &page.entries[i], height - 1,
			first + ((uint64_t)i << (MAP_FANOUT_SHIFT * (height - 1))));
	if (r != 0)
		return r;
	key = map_page_key(w->inode, height - 1, first >> (MAP_FANOUT_SHIFT * height), entry->version);
	return note(w, &key, key.len + MAP_PAGE_BYTES);
}

static int decode_mapping(const struct buf *value, struct mapping *ret_mapping)
{
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	_cleanup_buf_ struct buf body = {0};
	struct irec rec;
	int r = irec_decode(value->data, value->len, &rec, &body, &facts);

	if (r == 0)
		*ret_mapping = (struct mapping){rec.body == INODE_MAPPED, rec.map};
	return r;
}

static int read_mapping(struct core *core, const struct group *g, const struct version *v,
	struct mapping *ret_mapping)
{
	struct key key = version_key(g, v);
	_cleanup_buf_ struct buf value = {0};
	int r = kv_get(core->kv, NULL, KV_HISTORY, key.bytes, key.len, &value);

	if (r == -ENOKEY) { /* the user is forgotten, and nobody reads what is left */
		*ret_mapping = (struct mapping){0};
		return 0;
	}
	return r < 0 ? r : decode_mapping(&value, ret_mapping);
}

static int delete_noted(struct sweep *s, const struct walk *w, bool check, struct kv_txn *txn)
{
	_cleanup_buf_ struct buf value = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->n; i++) {
		const struct key *key = &w->keys[i];
		int there = check ? kv_get(s->core->kv, NULL, KV_DATA, key->bytes, key->len, &value) : 0;

		if (there != -ENOENT)
			r = kv_txn_delete(txn, KV_DATA, key->bytes, key->len);
	}
	return r;
}

/*
 * Deletes the version at @key with what its map alone has: in one transaction if it is not much. If it is, an
 * interruption is seen by the next sweep, which finds pages gone (each batch takes some).
 */
static int free_version(struct sweep *s, const struct key *key, const struct mapping *mapping,
	struct walk *w)
{
	bool again = false;
	int more;

	do {
		_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
		int r = kv_txn_begin(s->core->kv, &txn);

		if (r < 0)
			return r;
		kv_txn_set_shrinking(txn);
		w->n = 0;
		more = mapping->mapped ? walk(w, &mapping->map.root, mapping->map.depth, 0) : 0;
		r = more < 0 ? more : delete_noted(s, w, again || more || w->missing, txn);
		if (r == 0 && !more)
			r = kv_txn_delete(txn, KV_HISTORY, key->bytes, key->len);
		if (r == 0)
			r = kv_txn_commit(txn, NULL);
		if (r < 0)
			return r;
		again = true;
	} while (more && !stopped(s));
	return 0;
}

/* ---- inodes ---------------------------------------------------------------------------------- */

/* The present inode, write-locked, so that no op lets go of data meanwhile; NULL where it is no more. */
static int lock_present(struct sweep *s, uint64_t ino, struct inode **ret_inode)
{
	_cleanup_(container_putp) struct container *c = NULL;
	struct inode *inode;
	int r = container_get(s->core, s->domain, s->container, &c);

	if (r == -ENOENT) /* but an open file of it may still be there */
		r = container_removed(s->core, s->domain, s->container, &c);
	if (r == 0)
		r = inode_get(s->core, ino, c, &inode);
	*ret_inode = NULL;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	pthread_rwlock_wrlock(&inode->lock);
	inode->kept_known = false;
	*ret_inode = inode;
	return 0;
}

static void unlock_present(struct inode **inode)
{
	if (*inode)
		pthread_rwlock_unlock(&(*inode)->lock);
	inode_put(*inode);
}

static int group_add(struct group *g, const uint8_t *key, size_t len, size_t bytes)
{
	if (g->n == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 16;
		struct version *more = reallocarray(g->versions, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		g->versions = more;
		g->cap = cap;
	}
	g->versions[g->n++] = (struct version){.until = get_be64(key + len),
		.from = get_be64(key + len + 8), .bytes = bytes};
	return 0;
}

/* Says which versions are needed (counting: by none or by several); false: all are. */
static bool decide(const struct sweep *s, struct group *g)
{
	uint64_t before = 0, first;
	bool any = false;

	for (size_t i = 0; i < g->n; i++) {
		struct version *v = &g->versions[i];
		uint64_t from = v->from > before ? v->from : before;
		unsigned pins = pinned(s, from, v->until, &first);

		v->sole = s->count && pins == 1 ? held_find(s->count, first) : NULL;
		v->needed = s->count ? !v->sole : pins > 0;
		any |= !v->needed;
		before = v->until;
	}
	return any;
}

/* The pins by now. Before an iterator is opened they would miss one whose versions it shows. */
static int read_pins(struct sweep *s)
{
	free(steal_ptr(s->pins));
	return pins_all(s->core, s->domain, s->container, &s->pins, &s->n_pins);
}

/* With the inode locked: there may be a newer version by now, and a newer pin. */
static int reread(struct sweep *s, struct group *g)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	size_t len;
	int r = kv_iter_open(s->core->kv, NULL, NULL, KV_HISTORY, g->key.bytes, g->key.len, &it);

	g->n = 0;
	if (r == 0)
		r = kv_iter_seek(it, NULL, 0);
	while (r > 0) {
		const uint8_t *key = kv_iter_key(it, &len);

		r = s->count ? kv_iter_value(it, &value) : 0;
		if (r == 0)
			r = group_add(g, key, g->key.len, len + value.len);
		if (r == 0)
			r = kv_iter_next(it);
	}
	if (r == 0 && !s->count)
		r = read_pins(s);
	if (r == 0)
		decide(s, g);
	return r;
}

/* Sweeps, or counts, the versions of one inode's record. */
static int sweep_inode(struct sweep *s, struct group *g)
{
	_cleanup_free_ struct key *keys = s->count ? NULL : calloc(DATA_BATCH, sizeof *keys);
	_cleanup_(unlock_present) struct inode *present = NULL;
	struct container container = {.domain = s->domain, .id = s->container, .core = s->core};
	struct inode stand_in = {.core = s->core, .container = &container};
	struct mapping older = {0}, now, newer;
	int r;

	if (!keys && !s->count)
		return -ENOMEM;
	stand_in.ino = (uint64_t)g->key.bytes[9] << 32 | get_be32(g->key.bytes + 10);
	r = lock_present(s, stand_in.ino, &present);
	if (r == 0)
		r = reread(s, g);
	if (r == 0)
		r = read_mapping(s->core, g, &g->versions[0], &now);
	for (size_t i = 0; r == 0 && i < g->n && !stopped(s); i++, now = newer) {
		struct key key = version_key(g, &g->versions[i]);
		struct walk w = {.inode = &stand_in, .low = older.map.next_version, .keys = keys};

		newer = (struct mapping){0};
		if (i + 1 < g->n)
			r = read_mapping(s->core, g, &g->versions[i + 1], &newer);
		else if (present && !present->ghost)
			newer = (struct mapping){present->rec.body == INODE_MAPPED, present->rec.map};
		w.newer = newer;
		if (r < 0)
			return r;
		if (g->versions[i].needed) {
			older = now;
		} else if (!s->count) {
			r = free_version(s, &key, &now, &w);
		} else {
			r = now.mapped ? walk(&w, &now.map.root, now.map.depth, 0) : 0;
			g->versions[i].sole->bytes += w.bytes + g->versions[i].bytes;
			older = now;
		}
	}
	return r < 0 ? r : 0;
}

/* ---- groups ---------------------------------------------------------------------------------- */

static int flush(struct sweep *s)
{
	int r = s->txn ? kv_txn_commit(s->txn, NULL) : 0;

	kv_txn_free(steal_ptr(s->txn));
	s->waiting = 0;
	return r;
}

static int sweep_small(struct sweep *s, const struct group *g)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->n; i++) {
		struct key key = version_key(g, &g->versions[i]);

		if (g->versions[i].needed)
			continue;
		if (s->count) {
			g->versions[i].sole->bytes += g->versions[i].bytes;
			continue;
		}
		if (!s->txn) {
			r = kv_txn_begin(s->core->kv, &s->txn);
			if (r < 0)
				return r;
			kv_txn_set_shrinking(s->txn);
		}
		r = kv_txn_delete(s->txn, KV_HISTORY, key.bytes, key.len);
		if (r == 0 && ++s->waiting == BATCH)
			r = flush(s);
	}
	return r;
}

static int sweep_group(struct sweep *s, struct group *g)
{
	if (!decide(s, g))
		return 0;
	return g->key.bytes[8] == KEY_INODE ? sweep_inode(s, g) : sweep_small(s, g);
}

/* The record at the iterator joins its group; a group that is complete is swept. */
static int take_one(struct sweep *s, struct kv_iter *it, struct group *g)
{
	_cleanup_buf_ struct buf value = {0};
	size_t len;
	const uint8_t *key = kv_iter_key(it, &len);
	int r = 0;

	if (len < KEY_PREFIX + VERSION_TAIL || len > KEY_MAX)
		return -EBADMSG;
	len -= VERSION_TAIL;
	if (len != g->key.len || memcmp(key, g->key.bytes, len) != 0) {
		r = sweep_group(s, g);
		g->n = 0;
		g->key.len = len;
		memcpy(g->key.bytes, key, len);
	}
	if (r == 0 && s->count)
		r = kv_iter_value(it, &value);
	return r < 0 ? r : group_add(g, key, len, len + VERSION_TAIL + value.len);
}

static int sweep_container(struct core *core, uint32_t domain, uint32_t container, struct count *count,
	const bool *stop)
{
	_cleanup_(sweep_release) struct sweep s = {.core = core, .domain = domain,
		.container = container, .stop = stop, .count = count};
	_cleanup_(group_release) struct group g = {0};
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint8_t prefix[8];
	int r;

	put_be32(put_be32(prefix, domain), container);
	r = kv_iter_open(core->kv, NULL, NULL, KV_HISTORY, prefix, sizeof prefix, &it);
	if (r == 0)
		r = read_pins(&s);
	if (r == 0)
		r = kv_iter_seek(it, NULL, 0);
	while (r > 0 && !stopped(&s)) {
		r = take_one(&s, it, &g);
		if (r == 0)
			r = kv_iter_next(it);
	}
	if (r == 0)
		r = sweep_group(&s, &g);
	return r < 0 ? r : flush(&s);
}

/* The next container from @domain and @container on that has history. 1, 0 none, or -errno. */
static int next_container(struct core *core, const uint8_t *prefix, size_t prefix_len,
	uint64_t from, uint64_t *ret_found)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint8_t key[8];
	size_t len;
	int r = kv_iter_open(core->kv, NULL, NULL, KV_HISTORY, prefix, prefix_len, &it);

	put_be64(key, from);
	if (r == 0)
		r = kv_iter_seek(it, key, sizeof key);
	if (r <= 0)
		return r;
	*ret_found = get_be64(kv_iter_key(it, &len));
	return 1;
}

/*
 * All containers whose history a snapshot of the place may need: itself; below a user, what is the user's; below
 * users/, everything.
 */
static int sweep_all(struct core *core, uint32_t domain, uint32_t container, bool alone, struct count *count,
	const bool *stop)
{
	uint8_t prefix[8];
	size_t len = alone ? 8 : domain ? 4 : 0;
	uint64_t at = (uint64_t)domain << 32 | (alone ? container : 0);
	int r;

	put_be32(put_be32(prefix, domain), container);
	while ((r = next_container(core, prefix, len, at, &at)) > 0) {
		r = sweep_container(core, (uint32_t)(at >> 32), (uint32_t)at, count, stop);
		if (r < 0 || (stop && __atomic_load_n(stop, __ATOMIC_RELAXED)))
			return r;
		at++;
	}
	return r < 0 ? r : 1;
}

int sweep_run(struct core *core, uint32_t domain, uint32_t container, bool alone, const bool *stop)
{
	return sweep_all(core, domain, container, alone, NULL, stop);
}

int sweep_domain_kept(struct core *core, uint32_t domain)
{
	uint8_t prefix[4];
	uint64_t found;

	put_be32(prefix, domain);
	return next_container(core, prefix, sizeof prefix, (uint64_t)domain << 32, &found);
}

static int count_one(void *arg, const struct snapshot_info *info)
{
	struct count *count = arg;

	if (count->n == count->cap) {
		size_t cap = count->cap ? 2 * count->cap : 64;
		struct snapshot_held *more = reallocarray(count->all, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		count->all = more;
		count->cap = cap;
	}
	if (!count->n) {
		count->domain = info->domain;
		count->alone = info->flags & SNAPSHOT_ALONE;
	}
	count->all[count->n++] = (struct snapshot_held){.id = info->id};
	return 0;
}

int snapshot_held(struct core *core, uint64_t place, uint32_t domain, struct snapshot_held **ret_held, size_t *ret_n)
{
	struct count count = {0};
	int r = snapshot_list(core, place, 0, count_one, &count);

	if (r == 0 && count.n)
		r = place ? sweep_all(core, count.domain, (uint32_t)(place >> 8), count.alone, &count, NULL)
			  : sweep_all(core, domain, 0, false, &count, NULL);
	if (r < 0) {
		free(count.all);
		return r;
	}
	*ret_held = count.all;
	*ret_n = count.n;
	return 0;
}
