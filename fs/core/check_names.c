/*
 * check_names.c: names that were lost with all that they led to. README.md tells the whole, "What is lost whole".
 *
 * Only the names are put back here, and what belongs to a directory itself; what they lead to dangles then, and is
 * taken piece by piece from the newest copy of each (check_dangling.c, check_store.c). A snapshot shares with the
 * present what is lost now, so names come from a backup; snapshots are asked where no backup has the directory.
 */
#include "fs/core/check_rescue.h"
#include "fs/core/past.h"
#include "fs/core/pins.h"

struct found_name {
	struct dentry d;
	uint8_t hash[16];
	bool wanted;
};

struct lost_names {
	uint64_t dir;
	uint32_t generation;
	uint8_t role;
	const struct irec *rec; /* of the directory; NULL: it is lost as well */
	struct list found;
	size_t back;
	bool unreadable;
};

/* ---- what a copy has ------------------------------------------------------------------------- */

static struct key name_key(struct check *c, uint64_t dir, const struct dentry *d)
{
	struct key key = key_make(c->domain, c->container, KEY_DENTRY, dir);

	key_add_u64(&key, d->key);
	return key;
}

/* Whether it was removed and not lost: then the history has it, if a snapshot saw it. */
static bool was_removed(struct check *c, const struct key *key, const struct dentry *d)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_HISTORY, key->bytes, key->len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct dentry old;
		if (kv_iter_value(it, &value) == 0 && value.len &&
			dentry_decode(value.data, value.len, &old) == 0 && old.ino == d->ino &&
			old.generation == d->generation)
			return true;
	}
	return false;
}

static bool wants_container(struct check *c, const struct lost_names *lost, const struct dentry *d)
{
	struct key key = key_make(d->domain, d->container, KEY_INODE, d->ino);
	_cleanup_copy_ struct inode_copy root = {0};
	_cleanup_buf_ struct buf record = {0};

	if (!kv_domain_exists(c->kv, d->domain))
		return false;
	for (size_t i = 0; i < c->works.n; i++) {
		const struct work_row *w = LIST_AT(&c->works, struct work_row, i);
		if (w->kind == WORK_DOMAIN && w->domain == d->domain)
			return false;
	}
	if (check_get(c, KV_META, &key, &record) < 0 ||
		irec_decode(record.data, record.len, &root.rec, &root.inline_data, &root.facts) < 0)
		return true;
	return root.rec.parent == lost->dir && root.rec.generation == d->generation;
}

static bool wants_node(struct check *c, const struct lost_names *lost, const struct dentry *d)
{
	const struct node *node = node_find(c, d->ino);

	if (!node || node->state & NODE_BAD)
		return may_be_ours(c, d->ino);
	if (node->generation != d->generation)
		return false;
	if (!node->links && node->parent == lost->dir)
		return true;
	return !S_ISDIR(node->mode) && node->nlink > node->links;
}

static bool wants(struct check *c, const struct lost_names *lost, const struct dentry *d, bool past)
{
	struct key key = name_key(c, lost->dir, d);
	_cleanup_buf_ struct buf value = {0};

	if (check_get(c, KV_META, &key, &value) == 0 || work_of(c, d->ino, 0) ||
		(!past && was_removed(c, &key, d)))
		return false;
	return d->container ? wants_container(c, lost, d) : wants_node(c, lost, d);
}

static int add_found(struct check *c, struct lost_names *lost, const struct dentry *d, bool past)
{
	struct found_name *found;

	if (!wants(c, lost, d, past))
		return 0;
	found = LIST_ADD(&lost->found, struct found_name);
	if (!found)
		return -ENOMEM;
	found->d = *d;
	found->wanted = true;
	return entry_hash(c, lost->dir, d, found->hash);
}

/* The names that the directory has in @kv, or as the snapshot that is being tried sees them. */
static int gather_names(struct check *c, struct kv *kv, struct lost_names *lost)
{
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, lost->dir);
	bool past = kv == c->kv;
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(kv, NULL, NULL, past ? KV_HISTORY : KV_META, prefix.bytes, prefix.len, &it);

	lost->found.n = 0;
	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		struct dentry d;
		int opened;

		if (len != KEY_PREFIX + 8 + (past ? VERSION_TAIL : 0))
			continue;
		if (past && (get_be64(key + len - 8) >= c->tried_pin ||
				    get_be64(key + len - VERSION_TAIL) < c->tried_pin))
			continue;
		opened = kv_iter_value(it, &value);
		if (opened == 0 && value.len)
			opened = dentry_decode(value.data, value.len, &d);
		if (opened == -ENOMEM)
			return opened;
		lost->unreadable |= opened < 0;
		if (opened < 0 || !value.len)
			continue;
		d.key = get_be64(key + KEY_PREFIX);
		if (add_found(c, lost, &d, past) < 0)
			return -ENOMEM;
	}
	lost->unreadable |= r < 0; /* what lies behind cannot be read there */
	return 0;
}

/* ---- which of them ---------------------------------------------------------------------------- */

static bool is_zero(const struct msum *sum)
{
	return !sum->hi && !sum->lo;
}

/*
 * The directory's sum lacks the elements of just those that were lost: it tells where they are all, one, or all but
 * one of what the copy has more. Else all come back, what was removed since then with them.
 */
static void choose(struct check *c, struct lost_names *lost)
{
	const struct dir_fix *fix = fix_of(c, lost->dir);
	struct msum all, one;
	uint8_t bytes[16];
	size_t only = SIZE_MAX, but = SIZE_MAX;

	if (!lost->rec || !fix)
		return;
	put_be64(put_be64(bytes, fix->sum.hi), fix->sum.lo);
	one = lost->rec->entries; /* what is lacking */
	msum_sub(&one, bytes);
	all = one;
	for (size_t i = 0; i < lost->found.n; i++)
		msum_sub(&all, LIST_AT(&lost->found, struct found_name, i)->hash);
	if (is_zero(&all))
		return;
	for (size_t i = 0; i < lost->found.n; i++) {
		const struct found_name *found = LIST_AT(&lost->found, struct found_name, i);
		struct msum without = one, rest = all;

		msum_sub(&without, found->hash);
		msum_add(&rest, found->hash);
		only = is_zero(&without) ? i : only;
		but = is_zero(&rest) ? i : but;
	}
	for (size_t i = 0; i < lost->found.n; i++)
		if (i == but || (but == SIZE_MAX && only != SIZE_MAX && i != only))
			LIST_AT(&lost->found, struct found_name, i)->wanted = false;
}

static int put_name(struct check *c, struct lost_names *lost, struct dentry *d)
{
	mode_t type = (mode_t)d->type << 12;
	bool known = c->rules && lost->role != ROLE_UNKNOWN;
	struct node *node = d->container ? NULL : node_find(c, d->ino);
	int r = mend_put_entry(c, lost->dir, d);

	if (r == 0)
		r = entry_counts(c, lost->dir, d, 1);
	if (r < 0)
		return r;
	lost->back++;
	if (d->container)
		return entry_leads_out(c, lost->dir, d,
			known ? c->rules->role(lost->role, d->name, d->name_len, type) : ROLE_UNKNOWN);
	if (node)
		node->links++;
	return node && !(node->state & NODE_BAD) ? 0 : entry_dangles(c, lost->dir, known ? lost->role : -1, d);
}

/* ---- what belongs to the directory itself ------------------------------------------------------ */

/* Puts the records of @kv whose keys begin so, where there are none that can be read. */
static int put_absent(struct check *c, struct kv *kv, const struct key *prefix,
	bool (*want)(struct check *c, const uint8_t *key, size_t len))
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0}, here = {0};
	int r = kv_iter_open(kv, NULL, NULL, KV_META, prefix->bytes, prefix->len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct key key = {0};
		const uint8_t *at = kv_iter_key(it, &key.len);
		int opened;

		if (key.len > KEY_MAX || (want && !want(c, at, key.len)))
			continue;
		memcpy(key.bytes, at, key.len);
		opened = check_get(c, KV_META, &key, &here);
		if (opened != 0 && opened != -ENOMEM) {
			opened = kv_iter_value(it, &value);
			if (opened == 0)
				opened = check_put(c, KV_META, &key, value.data, value.len);
			else if (opened != -ENOMEM)
				opened = 0;
		}
		if (opened < 0)
			return opened;
	}
	return 0;
}

static bool has_pin(struct check *c, const uint8_t *key, size_t len)
{
	for (size_t i = 0; len == KEY_PREFIX + 8 && i < c->pins.n; i++) {
		const struct pin_row *pin = LIST_AT(&c->pins, struct pin_row, i);
		if (pin->container == c->container && pin->id == get_be64(key + KEY_PREFIX))
			return true;
	}
	return false;
}

int rescue_xattrs(struct check *c, struct kv *kv, uint64_t ino)
{
	struct key prefix = key_make(c->domain, c->container, KEY_XATTR, ino);

	return put_absent(c, kv, &prefix, NULL);
}

struct lost_xattrs {
	uint64_t ino;
	const struct irec *rec;
	const struct msum *sum;
};

static int take_xattrs(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	const struct lost_xattrs *lost = arg;
	struct key prefix = key_make(c->domain, c->container, KEY_XATTR, lost->ino);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0}, here = {0};
	_cleanup_copy_ struct inode_copy copy = {0};
	struct msum sum = *lost->sum;
	int r = irec_decode(record->data, record->len, &copy.rec, &copy.inline_data, &copy.facts);

	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	r = kv_iter_open(kv, NULL, NULL, KV_META, prefix.bytes, prefix.len, &it);
	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct key key = {0};
		const uint8_t *at = kv_iter_key(it, &key.len);
		uint8_t hash[16];

		memcpy(key.bytes, at, key.len <= KEY_MAX ? key.len : 0);
		if (check_get(c, KV_META, &key, &here) == 0)
			continue;
		if (kv_iter_value(it, &value) < 0 || xattr_hash(c, &value, hash) < 0)
			return RESCUE_NOT;
		msum_add(&sum, hash);
	}
	*ret_reason = "it has others";
	if (copy.rec.generation != lost->rec->generation || sum.hi != lost->rec->xattr_sum.hi ||
		sum.lo != lost->rec->xattr_sum.lo)
		return RESCUE_NOT;
	r = rescue_xattrs(c, kv, lost->ino);
	return r < 0 ? r : RESCUE_TAKEN;
}

int rescue_lost_xattrs(struct check *c, uint64_t ino, const struct irec *rec, const struct msum *sum)
{
	struct lost_xattrs lost = {.ino = ino, .rec = rec, .sum = sum};
	const struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, ino), .use = take_xattrs,
		.arg = &lost, .from = RESCUE_BACKUPS, .ino = ino, .part = RESCUE_PART_XATTRS};

	return rescue_try(c, &want);
}

/* Of a container that has lost its root: rows of the session layer, names of snapshots, where it lay. */
static int put_rows(struct check *c, struct kv *kv)
{
	static const enum key_kind kinds[] = {KEY_SESSION, KEY_SNAPSHOT, KEY_PLACE};
	int r = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && r == 0; i++) {
		struct key prefix = key_make(c->domain, c->container, kinds[i], 0);
		r = put_absent(c, kv, &prefix, kinds[i] == KEY_SNAPSHOT ? has_pin : NULL);
	}
	return r;
}

/* ---- a directory ------------------------------------------------------------------------------- */

static int take_names(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason)
{
	struct lost_names *lost = arg;
	_cleanup_copy_ struct inode_copy copy = {0};
	size_t put = 0;
	int r = irec_decode(record->data, record->len, &copy.rec, &copy.inline_data, &copy.facts);

	if (r < 0)
		return r == -ENOMEM ? r : RESCUE_NOT;
	if (!S_ISDIR(copy.rec.mode) || copy.rec.generation != lost->generation) {
		*ret_reason = "that is another directory";
		return RESCUE_NOT;
	}
	if (!lost->rec && kv != c->kv) {
		r = rescue_xattrs(c, kv, lost->dir);
		if (r == 0 && lost->dir == (uint64_t)c->container << 8)
			r = put_rows(c, kv);
	}
	if (r == 0)
		r = gather_names(c, kv, lost);
	if (r < 0)
		return r;
	choose(c, lost);
	for (size_t i = 0; i < lost->found.n; i++)
		put += LIST_AT(&lost->found, struct found_name, i)->wanted;
	if (!put) {
		if (!lost->unreadable)
			*ret_reason = kv == c->kv ? "it shares what is lost" : "it has no name more";
		return !lost->rec && kv != c->kv && !lost->unreadable ? RESCUE_TAKEN : RESCUE_NOT;
	}
	for (size_t i = 0; i < lost->found.n && r == 0; i++) {
		struct found_name *found = LIST_AT(&lost->found, struct found_name, i);
		if (found->wanted)
			r = put_name(c, lost, &found->d);
	}
	return r < 0 ? r : RESCUE_TAKEN;
}

int rescue_names(struct check *c, const struct remake *m, const struct irec *rec, const struct check_source *told,
	size_t *ret_back)
{
	struct lost_names lost = {.dir = m->ino, .generation = m->generation, .role = m->role, .rec = rec};
	struct rescue want = {.prefix = key_make(c->domain, c->container, KEY_INODE, m->ino), .use = take_names,
		.arg = &lost, .from = RESCUE_BACKUPS, .told = told, .dir = m->dir, .name = m->name, .ino = m->ino,
		.part = RESCUE_PART_NAMES};
	int r = rescue_try(c, &want);

	if (r == RESCUE_NOT && !rec) {
		want.from = RESCUE_SNAPSHOTS;
		want.part = RESCUE_PART_PAST_NAMES;
		r = rescue_try(c, &want);
	}
	free(lost.found.items);
	*ret_back = lost.back;
	return r;
}
