/*
 * check_entries.c: the directories of the container at hand. The entries of one lie side by side, so its
 * sum and counts come out of one run; where they differ from its record, the difference itself often
 * tells what happened, for it is the element of the entry that was added, lost or put back.
 */
#include "fs/core/check_rescue.h"

#define ORDINALS 128u
#define HASHED_KEY (1ull << 62)
#define DETAIL_MAX 256 /* entries in disorder that are looked at in pairs */

/* A run of entries of one directory. */
struct run {
	uint64_t dir;
	struct node *node; /* NULL: there is no such inode */
	int role;	   /* -1: not known */
	struct dir_fix sum;
	uint32_t subdirs;
	uint64_t chain; /* of entries that share a hash: key of the first, and how many */
	uint32_t chained;
};

static void stand_in_dir(struct check *c, uint64_t dir, struct inode *ret_dir)
{
	const struct node *node = node_find(c, dir);

	*ret_dir = (struct inode){.ino = dir, .core = &c->core, .container = &c->stand_in,
		.type = S_IFDIR, .numbered = node && node->flags & INODE_NUMBERED};
}

int entry_hash(struct check *c, uint64_t dir, const struct dentry *d, uint8_t ret_hash[16])
{
	struct inode in;

	stand_in_dir(c, dir, &in);
	return dentry_hash(&c->core, &in, d, ret_hash);
}

/* Adds it to the directory's sum and count as they are found. */
static int count_entry(struct check *c, struct dir_fix *sum, const struct dentry *d)
{
	uint8_t hash[16];
	int r = entry_hash(c, sum->ino, d, hash);

	msum_add(&sum->sum, hash);
	sum->count++;
	return r;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static int check_child(struct check *c, const struct run *run, struct dentry *d, struct node *child)
{
	bool differs = d->generation != child->generation || d->type != child->mode >> 12;
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = 0;

	child->links++;
	if (differs && check_tell(c, true, "entry", run->dir, d->name, d->ino,
			       "the entry is of another generation than what it leads to")) {
		d->generation = child->generation;
		d->type = (uint8_t)(child->mode >> 12);
		r = mend_put_entry(c, run->dir, d);
	}
	if (r == 0 && S_ISDIR(child->mode) && child->links == 1 && child->parent != run->dir &&
		check_tell(c, true, "parent", run->dir, d->name, d->ino,
			"it says that it is in another directory")) {
		r = mend_load(c, d->ino, &copy);
		copy.rec.parent = child->parent = run->dir;
		if (r == 0)
			r = mend_store(c, d->ino, &copy);
	}
	return r;
}

/* Where among its like the entry stands: no gaps in a chain of equal hashes. */
static int check_place(struct check *c, struct run *run, const struct dentry *d, bool *ret_moved)
{
	uint64_t base = d->key & ~(uint64_t)(ORDINALS - 1);
	struct dentry moved = *d;
	int r;

	*ret_moved = false;
	if (!(d->key & HASHED_KEY))
		return 0;
	if (run->chain != base)
		run->chained = 0;
	run->chain = base;
	moved.key = base + run->chained++;
	if (moved.key == d->key)
		return 0;
	if (!check_tell(c, true, "entry", run->dir, d->name, d->ino, "it is out of its order"))
		return 0;
	*ret_moved = true;
	moved.more = moved.more || moved.key == base;
	r = mend_delete_entry(c, run->dir, d->key);
	return r < 0 ? r : mend_put_entry(c, run->dir, &moved);
}

/* A directory whose record cannot be read has the role of its name, or of its container. */
static int role_of(struct check *c, const struct run *run)
{
	if (run->node && !(run->node->state & NODE_BAD))
		return run->node->role;
	if (run->dir == (uint64_t)c->container << 8)
		return c->cont && c->cont->record ? c->cont->kind : -1;
	for (size_t i = 0; c->rules && i < c->danglings.n; i++) {
		const struct dangling *d = LIST_AT(&c->danglings, struct dangling, i);
		if (d->entry.ino == run->dir && d->role >= 0)
			return c->rules->role((uint8_t)d->role, d->entry.name, d->entry.name_len,
				S_IFDIR);
	}
	return -1;
}

static int check_entry(struct check *c, struct run *run, struct dentry *d)
{
	mode_t type = (mode_t)d->type << 12;
	uint8_t dir_role = run->role < 0 ? 0 : (uint8_t)run->role;
	bool moved, is_dir = type == S_IFDIR, known = c->rules && run->role >= 0;
	struct node *child = d->container ? NULL : node_find(c, d->ino);
	uint8_t role = known ? c->rules->role(dir_role, d->name, d->name_len, type) : ROLE_UNKNOWN;
	int r = count_entry(c, &run->sum, d);

	if (child && is_dir && !(child->state & NODE_BAD) && !S_ISDIR(child->mode) && has_entries(c, d->ino))
		child->state = NODE_BAD; /* what has entries is a directory, whatever its record says */
	run->subdirs += is_dir;
	c->entries++;
	if (r == 0)
		r = check_place(c, run, d, &moved);
	if (r < 0)
		return r;
	if (d->container) {
		r = entry_leads_out(c, run->dir, d, role);
	} else if (!child || child->state & NODE_BAD) {
		if (child)
			child->links++;
		return entry_dangles(c, run->dir, run->role, d);
	} else {
		bool numbered = known ? c->rules->numbered(dir_role)
				      : run->node && run->node->flags & INODE_NUMBERED;
		child->want_role = known ? role : child->role;
		child->want_number =
			numbered && !is_dir ? name_message_number(d->name, d->name_len) : 0;
		if (!moved)
			r = check_child(c, run, d, child);
	}
	if (r == 0 && c->rules)
		r = c->rules->entry(c->rules->arg, c, run->dir, dir_role, d);
	return r;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static bool same_sum(const struct msum *a, const struct msum *b)
{
	return a->hi == b->hi && a->lo == b->lo;
}

static int end_run(struct check *c, struct run *run)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	struct dir_fix *fix;
	int r;

	if (run->node) {
		run->node->subdirs = run->subdirs;
		run->node->state |= NODE_LISTED;
	}
	if (run->node && !(run->node->state & NODE_BAD)) {
		r = mend_load(c, run->dir, &copy);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		if (copy.rec.size == run->sum.count &&
			same_sum(&copy.rec.entries, &run->sum.sum))
			return 0;
	}
	fix = LIST_ADD(&c->fixes, struct dir_fix);
	if (!fix)
		return -ENOMEM;
	*fix = run->sum;
	return 0;
}

static int read_entry(struct check *c, struct run *run)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->meta, &len);
	struct dentry d;

	if (len == KEY_PREFIX + 8 && c->value_error == 0 &&
		dentry_decode(c->value.data, c->value.len, &d) == 0) {
		d.key = get_be64(key + KEY_PREFIX);
		return check_entry(c, run, &d);
	}
	if (!check_tell(c, true, "entry", 0, NULL, run->dir, "an entry in it cannot be read"))
		return 0;
	int r = mend_note(c, 0, NULL, run->dir, true, "an entry of it could not be read");
	return r < 0 ? r : check_delete(c, KV_META, key, len);
}

int entries_read(struct check *c)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->meta, &len);
	struct run run = {.dir = key_ino(key)};
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, run.dir);
	int r = 0;

	run.node = node_find(c, run.dir);
	if (run.node && !S_ISDIR(run.node->mode))
		run.node->state = NODE_BAD;
	run.role = role_of(c, &run);
	run.sum.ino = run.dir;
	while (r >= 0 && at_prefix(c->meta, c->meta_at, &prefix)) {
		r = read_entry(c, &run);
		if (r >= 0)
			r = scan_step(c, c->meta, &c->meta_at);
	}
	return r < 0 ? r : end_run(c, &run);
}

/* ---- differences ----------------------------------------------------------------------------- */

struct dir_fix *fix_of(struct check *c, uint64_t dir)
{
	for (size_t i = 0; i < c->fixes.n; i++)
		if (LIST_AT(&c->fixes, struct dir_fix, i)->ino == dir)
			return LIST_AT(&c->fixes, struct dir_fix, i);
	return NULL;
}

/* What the entries have more than the record says. */
static void difference(const struct dir_fix *fix, const struct irec *rec, struct msum *ret)
{
	uint8_t stored[16];

	put_be64(put_be64(stored, rec->entries.hi), rec->entries.lo);
	*ret = fix->sum;
	msum_sub(ret, stored);
}

int entry_counts(struct check *c, uint64_t dir, const struct dentry *d, int sign)
{
	struct dir_fix *fix = fix_of(c, dir);
	struct node *node = node_find(c, dir);
	_cleanup_copy_ struct inode_copy copy = {0};
	uint8_t hash[16];
	int r;

	if (!fix) {
		r = mend_load(c, dir, &copy);
		fix = r == 0 ? LIST_ADD(&c->fixes, struct dir_fix) : NULL;
		if (!fix)
			return r < 0 ? r : -ENOMEM;
		*fix = (struct dir_fix){.ino = dir, .sum = copy.rec.entries, .count = copy.rec.size};
	}
	r = entry_hash(c, dir, d, hash);
	(sign > 0 ? msum_add : msum_sub)(&fix->sum, hash);
	fix->count += (uint64_t)(int64_t)sign;
	if (node && d->type == S_IFDIR >> 12)
		node->subdirs += (uint32_t)sign;
	return r;
}

static int take_away(struct check *c, uint64_t dir, const struct dentry *d)
{
	int r = mend_delete_entry(c, dir, d->key);

	return r < 0 ? r : entry_counts(c, dir, d, -1);
}

/* An entry that was put back: the sum is as if it were not there, and it is one of two or leads nowhere. */
static int find_extra(struct check *c, const struct dir_fix *fix, const struct irec *rec)
{
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, fix->ino);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct msum want;
	int r;

	if (fix->count != rec->size + 1)
		return 0;
	difference(fix, rec, &want);
	r = kv_iter_open(c->kv, NULL, c->txn, KV_META, prefix.bytes, prefix.len, &it);
	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct dentry d;
		struct node *child;
		uint8_t hash[16];
		struct msum sum = {0};
		size_t len;

		if (kv_iter_value(it, &value) < 0 ||
			dentry_decode(value.data, value.len, &d) < 0 ||
			entry_hash(c, fix->ino, &d, hash) < 0)
			continue;
		msum_add(&sum, hash);
		if (!same_sum(&sum, &want))
			continue;
		d.key = get_be64(kv_iter_key(it, &len) + KEY_PREFIX);
		child = node_find(c, d.ino);
		if (!child || child->state & NODE_BAD || child->links < 2)
			return 0; /* dangling ones go anyway; the only one of an inode is kept */
		if (!check_tell(c, true, "extra", fix->ino, d.name, d.ino,
			    "an entry that its directory does not know"))
			return 0;
		child->links--;
		return take_away(c, fix->ino, &d);
	}
	return 0;
}

/* The entry that the inode's own record tells of: NNN.md of its number. */
static int find_number(struct check *c, struct dir_fix *fix, const struct irec *rec)
{
	struct msum want, sum;
	int r = 0;

	if (fix->count >= rec->size || !(rec->flags & INODE_NUMBERED))
		return 0;
	for (size_t i = 0; i < c->nodes.n && r == 0; i++) {
		struct node *node = LIST_AT(&c->nodes, struct node, i);
		struct dentry d = {.key = (uint64_t)node->number << 7, .ino = node->ino,
			.generation = node->generation, .type = (uint8_t)(node->mode >> 12)};
		struct key key = key_make(c->domain, c->container, KEY_DENTRY, fix->ino);
		_cleanup_buf_ struct buf value = {0};
		uint8_t hash[16];

		if (node->links || !node->nlink || !node->number || node->parent != fix->ino ||
			node->state & NODE_BAD || S_ISDIR(node->mode))
			continue;
		d.name_len = name_of_message(node->number, d.name);
		key_add_u64(&key, d.key);
		if (check_get(c, KV_META, &key, &value) != -ENOENT ||
			entry_hash(c, fix->ino, &d, hash) < 0)
			continue;
		/* With one entry missing its element is the difference, and proves it. */
		difference(fix, rec, &want);
		sum = want;
		msum_add(&sum, hash);
		if (fix->count + 1 == rec->size && !same_sum(&sum, &(struct msum){0}))
			continue;
		if (!check_tell(c, true, "lost", fix->ino, d.name, d.ino, "its entry is missing"))
			continue;
		node->links++;
		node->want_number = node->number;
		r = mend_put_entry(c, fix->ino, &d);
		if (r == 0)
			r = entry_counts(c, fix->ino, &d, 1);
	}
	return r;
}

/* An entry put back to an older one: it leads nowhere, and what it should lead to has no other. */
static int find_older(struct check *c, struct dir_fix *fix, const struct irec *rec)
{
	for (size_t i = 0; i < c->danglings.n && i < DETAIL_MAX; i++) {
		struct dangling *old = LIST_AT(&c->danglings, struct dangling, i);
		unsigned tried = 0;

		if (old->dir != fix->ino || old->done || fix->count != rec->size)
			continue;
		for (size_t k = 0; k < c->nodes.n && tried < DETAIL_MAX; k++) {
			struct node *node = LIST_AT(&c->nodes, struct node, k);
			struct dentry d = old->entry;
			uint8_t was[16], now[16];
			struct msum sum = fix->sum;

			if (node->links || !node->nlink || node->parent != fix->ino ||
				node->state & NODE_BAD)
				continue;
			tried++;
			d.ino = node->ino;
			d.generation = node->generation;
			d.type = (uint8_t)(node->mode >> 12);
			if (entry_hash(c, fix->ino, &old->entry, was) < 0 ||
				entry_hash(c, fix->ino, &d, now) < 0)
				continue;
			msum_sub(&sum, was);
			msum_add(&sum, now);
			if (!same_sum(&sum, &rec->entries))
				continue;
			if (!check_tell(c, true, "older", fix->ino, d.name, d.ino,
				    "the entry was put back to an older one"))
				return 0;
			old->done = true;
			node->links++;
			fix->sum = sum;
			return mend_put_entry(c, fix->ino, &d);
		}
	}
	return 0;
}

/* Names that were lost with all that they led to. */
static int find_lost(struct check *c, const struct dir_fix *fix, const struct irec *rec)
{
	const struct node *node = node_find(c, fix->ino);
	const struct remake m = {.ino = fix->ino, .generation = rec->generation,
		.role = node ? node->role : ROLE_UNKNOWN};
	size_t back = 0;
	int r;

	if (!c->options->mend || fix->count >= rec->size)
		return 0;
	r = rescue_names(c, &m, rec, NULL, &back);
	if (r != RESCUE_TAKEN)
		return r < 0 ? r : 0;
	check_tell(c, true, "directory", 0, NULL, fix->ino, "%llu names in it were lost, and %zu are back%s",
		(unsigned long long)(rec->size - (fix->count - back)), back, rescue_said(c));
	return mend_note(c, 0, NULL, fix->ino, true, "names in it were lost");
}

static int settle_fix(struct check *c, uint64_t dir)
{
	struct dir_fix *fix = fix_of(c, dir);
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = mend_load(c, dir, &copy);

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	r = find_extra(c, fix, &copy.rec);
	if (r == 0)
		r = find_older(c, fix, &copy.rec);
	if (r == 0)
		r = find_number(c, fix, &copy.rec);
	return r < 0 ? r : find_lost(c, fix, &copy.rec);
}

/* ---- the end of it ---------------------------------------------------------------------------- */

/* The records of directories become what their entries are. */
static int write_fix(struct check *c, const struct dir_fix *fix)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	const struct check_note *tried;
	int r = mend_load(c, fix->ino, &copy);
	bool none;

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	if (copy.rec.size == fix->count && same_sum(&copy.rec.entries, &fix->sum))
		return 0;
	tried = rescue_note(c, fix->ino, KEY_INODE, RESCUE_PART_NAMES);
	none = tried && tried->state == RESCUE_NOT &&
	       fix->count + nodes_nameless(c, fix->ino) < copy.rec.size;
	if (!check_tell(c, true, "directory", 0, NULL, fix->ino,
		    "it says %llu entries and has %llu, or others%s", (unsigned long long)copy.rec.size,
		    (unsigned long long)fix->count, none ? "; no snapshot or backup holds what is lost" : ""))
		return 0;
	if (none && mend_note(c, 0, NULL, fix->ino, true, "names in it were lost") < 0)
		return -ENOMEM;
	copy.rec.size = fix->count;
	copy.rec.entries = fix->sum;
	return mend_store(c, fix->ino, &copy);
}

/* Directories that say they have entries, none of which were seen. */
static int add_empty(struct check *c)
{
	for (size_t i = 0; i < c->nodes.n; i++) {
		const struct node *node = LIST_AT(&c->nodes, struct node, i);
		_cleanup_copy_ struct inode_copy copy = {0};
		struct dir_fix *fix;

		if (!S_ISDIR(node->mode) || node->state & (NODE_LISTED | NODE_BAD))
			continue;
		if (mend_load(c, node->ino, &copy) < 0 ||
			(!copy.rec.size && same_sum(&copy.rec.entries, &(struct msum){0})))
			continue;
		fix = LIST_ADD(&c->fixes, struct dir_fix);
		if (!fix)
			return -ENOMEM;
		fix->ino = node->ino;
	}
	return 0;
}

int entries_settle(struct check *c)
{
	int r = add_empty(c);
	size_t fixes = c->fixes.n;

	for (size_t i = 0; i < fixes && r == 0; i++)
		r = settle_fix(c, LIST_AT(&c->fixes, struct dir_fix, i)->ino);
	if (r == 0)
		r = danglings_settle(c);
	for (size_t i = 0; i < fixes && r == 0; i++) {
		const struct dir_fix fix = *LIST_AT(&c->fixes, struct dir_fix, i);
		const struct node *node = node_find(c, fix.ino);
		if (!node || (node->state & NODE_BAD && !node->links))
			r = settle_stray(c, &fix);
	}
	for (size_t i = 0; i < c->fixes.n && r == 0; i++)
		r = write_fix(c, LIST_AT(&c->fixes, struct dir_fix, i));
	return r;
}
