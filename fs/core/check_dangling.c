/*
 * check_dangling.c: entries of the container at hand that lead nowhere, and entries whose directory is not there.
 * What is taken from older copies for one may be a directory with entries of its own, which are settled in turn.
 */
#include "fs/core/check_rescue.h"

#include <stdio.h>

int entry_leads_out(struct check *c, uint64_t dir, const struct dentry *d, uint8_t role)
{
	struct cont_link *link = LIST_ADD(&c->links, struct cont_link);

	if (!link)
		return -ENOMEM;
	*link = (struct cont_link){.dir = dir, .key = d->key, .ino = d->ino,
		.dir_domain = c->domain, .dir_container = c->container, .domain = d->domain,
		.container = d->container, .generation = d->generation, .type = d->type,
		.want_role = role};
	return 0;
}

int entry_dangles(struct check *c, uint64_t dir, int role, const struct dentry *d)
{
	struct dangling *dangling = LIST_ADD(&c->danglings, struct dangling);

	if (!dangling)
		return -ENOMEM;
	dangling->dir = dir;
	dangling->role = role;
	dangling->entry = *d;
	return ino_index_add(&c->dangling_index, d->ino, c->danglings.n - 1);
}

bool dangles(const struct check *c, uint64_t ino)
{
	size_t at = 0;

	return ino_index_next(&c->dangling_index, ino, &at) != SIZE_MAX;
}

bool has_entries(struct check *c, uint64_t dir)
{
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, dir);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;

	return kv_iter_open(c->kv, NULL, c->txn, KV_META, prefix.bytes, prefix.len, &it) == 0 &&
	       kv_iter_seek(it, NULL, 0) > 0;
}

uint32_t subdirs_of(struct check *c, uint64_t dir)
{
	struct key prefix = key_make(c->domain, c->container, KEY_DENTRY, dir);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	uint32_t n = 0;
	int r = kv_iter_open(c->kv, NULL, c->txn, KV_META, prefix.bytes, prefix.len, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct dentry d;
		if (kv_iter_value(it, &value) == 0 &&
			dentry_decode(value.data, value.len, &d) == 0)
			n += d.type == S_IFDIR >> 12;
	}
	return n;
}

/* What the directory is to say of its entries. */
static int need_fix(struct check *c, uint64_t dir)
{
	struct dir_fix *fix = fix_of(c, dir) ? NULL : LIST_ADD(&c->fixes, struct dir_fix);

	if (fix)
		fix->ino = dir;
	return fix || fix_of(c, dir) ? 0 : -ENOMEM;
}

int remake_dir(struct check *c, struct remake *m, const char *code, const char *why)
{
	char rights[64 + sizeof c->rescued] = "rights 0700", names[64 + sizeof c->rescued] = "";
	const struct check_source *from = NULL;
	bool root = m->flags & INODE_CONTAINER_ROOT;
	int taken = RESCUE_NOT, r = 0;
	struct irec like;
	size_t back = 0;

	if (c->options->mend)
		taken = rescue_dir(c, m->dir, m->name, m->ino, m->known ? &m->generation : NULL, &like);
	if (taken < 0 || (m->of_copy && taken != RESCUE_TAKEN))
		return taken < 0 ? taken : 0;
	if (taken == RESCUE_TAKEN)
		snprintf(rights, sizeof rights, "older rights%s", rescue_said(c));
	if (!m->known && taken != RESCUE_TAKEN)
		kv_random(&m->generation, sizeof m->generation);
	else if (!m->known)
		m->generation = like.generation;
	if (m->role == ROLE_UNKNOWN)
		m->role = taken == RESCUE_TAKEN ? like.role : root ? space_likely_kind(c) : 0;
	if (!m->parent && taken == RESCUE_TAKEN)
		m->parent = like.parent;
	if (c->options->mend) {
		r = need_fix(c, m->ino);
		from = c->taken_from;
		if (r == 0 && taken == RESCUE_TAKEN)
			r = rescue_names(c, m, NULL, from, &back);
	}
	if (r < 0)
		return r;
	if (back)
		snprintf(names, sizeof names, "; %zu names in it are back%s", back,
			from == c->taken_from ? "" : rescue_said(c));
	m->made = check_tell(c, true, code, m->dir, m->name, m->ino, "%s; what is in it is kept, with %s%s", why,
		rights, names);
	if (!m->made)
		return 0;
	r = mend_note(c, m->dir, m->name, m->ino, true, why);
	return r < 0 ? r
		     : mend_make_dir(c, m->ino, m->generation, m->parent, m->role, m->flags, fix_of(c, m->ino),
			       subdirs_of(c, m->ino), taken == RESCUE_TAKEN ? &like : NULL);
}

static int lost_dir(struct check *c, const struct dangling *d, struct node *node, const char *why)
{
	const struct dentry *e = &d->entry;
	struct remake m = {.dir = d->dir, .name = e->name, .ino = e->ino, .parent = d->dir, .role = ROLE_UNKNOWN,
		.known = true, .generation = e->generation};
	int r;

	if (c->rules && d->role >= 0)
		m.role = c->rules->role((uint8_t)d->role, e->name, e->name_len, S_IFDIR);
	r = remake_dir(c, &m, "directory", why);
	if (node && m.made)
		node->state |= NODE_MADE;
	return r;
}

/* All entries that lead to it lead to it again. */
static int found_again(struct check *c, const struct dangling *d, const char *why)
{
	check_tell(c, true, "inode", d->dir, d->entry.name, d->entry.ino, "%s%s", why, rescue_said(c));
	for (size_t at = 0, i; (i = ino_index_next(&c->dangling_index, d->entry.ino, &at)) != SIZE_MAX;)
		LIST_AT(&c->danglings, struct dangling, i)->done = true;
	return mend_note(c, d->dir, d->entry.name, d->entry.ino, true, why);
}

static int drop_name(struct check *c, const struct dangling *d, const char *why)
{
	int r = mend_note(c, d->dir, d->entry.name, d->entry.ino, false, why);

	if (r == 0)
		r = mend_delete_entry(c, d->dir, d->entry.key);
	return r < 0 ? r : entry_counts(c, d->dir, &d->entry, -1);
}

/* A number of another container: what has it lies there, and nothing was lost here but the truth. */
static int leads_elsewhere(struct check *c, const struct dangling *d)
{
	static const char why[] = "it leads to what lies in another container";

	return check_tell(c, true, "entry", d->dir, d->entry.name, d->entry.ino, "%s", why) ? drop_name(c, d, why) : 0;
}

static int lost_file(struct check *c, const struct dangling *d, const struct node *node, const char *why)
{
	struct key key = key_make(c->domain, c->container, KEY_INODE, d->entry.ino);
	struct work_row row = {.ino = d->entry.ino, .kind = WORK_REMOVE, .domain = c->domain,
		.container = c->container};
	uint32_t links = 0;
	int r = RESCUE_NOT;

	for (size_t at = 0; ino_index_next(&c->dangling_index, d->entry.ino, &at) != SIZE_MAX;)
		links++;
	if (c->options->mend)
		r = rescue_file(c, d->dir, &d->entry, links);
	if (r == RESCUE_TAKEN)
		return found_again(c, d, why);
	if (r < 0 || !check_tell(c, true, "inode", d->dir, d->entry.name, d->entry.ino, "%s%s", why,
			     c->options->mend ? rescue_said(c) : ""))
		return r < 0 ? r : 0;
	r = drop_name(c, d, why);
	if (r == 0 && node)
		r = check_delete(c, KV_META, key.bytes, key.len);
	return r < 0 ? r : mend_put_work(c, &row);
}

/* Whether a name before this one has brought it back already: then it has one link more. */
static int is_back(struct check *c, const struct dangling *d)
{
	const struct check_note *note = rescue_note(c, d->entry.ino, KEY_INODE, 0);
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = note && note->state == RESCUE_TAKEN ? mend_load(c, d->entry.ino, &copy) : -ENOENT;

	if (r < 0 || copy.rec.generation != d->entry.generation || S_ISDIR(copy.rec.mode))
		return r == -ENOMEM ? r : 0;
	copy.rec.nlink++;
	r = mend_store(c, d->entry.ino, &copy);
	return r < 0 ? r : 1;
}

static int settle_dangling(struct check *c, const struct dangling *d)
{
	struct node *node = node_find(c, d->entry.ino);
	int back = node ? 0 : is_back(c, d);
	const char *why = node ? "its record cannot be read" : "its record is missing";

	if (back)
		return back < 0 ? back : 0;
	if (!node && !fix_of(c, d->entry.ino) && !may_be_ours(c, d->entry.ino))
		return leads_elsewhere(c, d);
	return d->entry.type == S_IFDIR >> 12 ? lost_dir(c, d, node, why) : lost_file(c, d, node, why);
}

int danglings_settle(struct check *c)
{
	int r = 0;

	/* The list grows meanwhile. */
	for (size_t i = 0; i < c->danglings.n && r == 0; i++) {
		const struct dangling d = *LIST_AT(&c->danglings, struct dangling, i);
		if (!d.done)
			r = settle_dangling(c, &d);
	}
	return r;
}

int settle_stray(struct check *c, const struct dir_fix *fix)
{
	struct check_lost lost = {.domain = c->domain, .container = c->container,
		.ino = fix->ino, .type = S_IFDIR >> 12};
	uint32_t generation;
	int r;

	if (dangles(c, fix->ino))
		return 0;
	if (!check_tell(c, true, "directory", 0, NULL, fix->ino,
		    "there are entries of a directory that is not there"))
		return 0;
	kv_random(&generation, sizeof generation);
	r = mend_make_dir(c, fix->ino, generation, 0, 0, 0, fix, subdirs_of(c, fix->ino), NULL);
	return r < 0 ? r : lost_add(c, &lost);
}

