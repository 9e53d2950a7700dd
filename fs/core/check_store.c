/*
 * check_store.c: the end of a look: the containers of the store and the entries that lead to them, the counter
 * of inode numbers, work rows, counters and keys of the domains.
 */
#include "fs/core/check_rescue.h"

#include "kv/pack.h"

#define USERS_KIND 1 /* the container of users/: fs/session/session.h, ROLE_USERS */

static int by_id(const void *a, const void *b)
{
	const struct cont *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static struct cont *cont_find(struct check *c, uint32_t id)
{
	struct cont key = {.id = id};
	return c->conts.n ? bsearch(&key, c->conts.items, c->conts.n, sizeof key, by_id) : NULL;
}

/* The container that the problems which follow are of. */
static void stand_in(struct check *c, uint32_t domain, uint32_t container)
{
	c->domain = domain;
	c->container = container;
	c->stand_in = (struct container){.id = container, .domain = domain, .core = &c->core};
	c->nodes.n = c->fixes.n = c->danglings.n = 0;
	ino_index_clear(&c->dangling_index);
}

/* All records of the container are gone: it is made anew for what lies in it, or what a copy of it has. */
static int revive(struct check *c, const struct cont_link *link, bool *ret_revived)
{
	struct key key = key_make(link->dir_domain, link->dir_container, KEY_DENTRY, link->dir);
	struct remake m = {.ino = link->ino, .parent = link->dir, .role = link->want_role,
		.flags = INODE_CONTAINER_ROOT, .known = true, .generation = link->generation};
	_cleanup_buf_ struct buf value = {0};
	struct dentry d;
	bool wanted = false;
	int r;

	*ret_revived = false;
	if (link->want_role == ROLE_UNKNOWN || link->type != S_IFDIR >> 12)
		return 0;
	for (size_t i = 0; i < c->conts.n && !wanted; i++)
		wanted = LIST_AT(&c->conts, struct cont, i)->parent == link->ino;
	stand_in(c, link->domain, link->container);
	key_add_u64(&key, link->key);
	if (check_get(c, KV_META, &key, &value) == 0 && dentry_decode(value.data, value.len, &d) == 0) {
		m.dir = link->dir;
		m.name = d.name;
	}
	m.of_copy = !wanted;
	r = remake_dir(c, &m, "container", "its records are gone");
	*ret_revived = wanted || m.made;
	c->revived |= m.made;
	return r < 0 || !m.made ? r : space_make_record(c, link->want_role);
}

static int drop_link(struct check *c, const struct cont_link *link, const char *why, const char *said)
{
	struct key key = key_make(link->dir_domain, link->dir_container, KEY_DENTRY, link->dir);
	_cleanup_buf_ struct buf value = {0};
	struct dentry d;

	stand_in(c, link->dir_domain, link->dir_container);
	key_add_u64(&key, link->key);
	if (check_get(c, KV_META, &key, &value) < 0 ||
		dentry_decode(value.data, value.len, &d) < 0)
		return 0;
	if (!check_tell(c, true, "entry", link->dir, d.name, link->ino, "%s%s", why, said))
		return 0;
	if (mend_note(c, link->dir, d.name, link->ino, false, why) < 0)
		return -ENOMEM;
	return check_delete(c, KV_META, key.bytes, key.len);
}

/* The entry says what its container's root is; where they differ the root is right. */
static int mend_link(struct check *c, const struct cont_link *link, const struct cont *cont)
{
	struct key key = key_make(link->dir_domain, link->dir_container, KEY_DENTRY, link->dir);
	_cleanup_buf_ struct buf value = {0};
	struct dentry d;

	key_add_u64(&key, link->key);
	if (check_get(c, KV_META, &key, &value) < 0 ||
		dentry_decode(value.data, value.len, &d) < 0)
		return 0;
	if (link->generation != cont->generation || link->type != cont->type ||
		link->domain != cont->domain || link->ino != (uint64_t)cont->id << 8) {
		if (!check_tell(c, true, "entry", link->dir, d.name, link->ino,
			    "the entry is of another generation than what it leads to"))
			return 0;
		d.generation = cont->generation;
		d.type = (uint8_t)cont->type;
		d.domain = cont->domain;
		d.ino = (uint64_t)cont->id << 8;
		d.key = link->key;
		return mend_put_entry(c, link->dir, &d);
	}
	return 0;
}

static int mend_root(struct check *c, const struct cont_link *link, const struct cont *cont)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	uint64_t ino = (uint64_t)cont->id << 8;
	bool parent = cont->parent != link->dir;
	bool role = link->want_role != ROLE_UNKNOWN && cont->role != link->want_role;
	int r;

	if (!parent && !role)
		return 0;
	stand_in(c, cont->domain, cont->id);
	if (!check_tell(c, true, parent ? "parent" : "role", 0, NULL, ino, "it says that it is %s",
		    parent ? "in another directory" : "of another level"))
		return 0;
	r = mend_load(c, ino, &copy);
	copy.rec.parent = link->dir;
	if (role)
		copy.rec.role = link->want_role;
	return r < 0 ? r : mend_store(c, ino, &copy);
}

/* users/ itself, of which nothing is left. */
static int check_users(struct check *c)
{
	struct remake m = {.ino = CORE_ROOT_INO, .flags = INODE_CONTAINER_ROOT};
	struct kv_state state;

	kv_get_state(c->kv, &state);
	if (cont_find(c, CORE_ROOT_INO >> 8) || (!c->conts.n && !c->leases.n && !state.sequence))
		return 0;
	stand_in(c, 0, CORE_ROOT_INO >> 8);
	m.role = USERS_KIND;
	int r = remake_dir(c, &m, "container", "its records are gone");
	c->revived |= m.made;
	return r < 0 || !m.made ? r : space_make_record(c, USERS_KIND);
}

static int check_links(struct check *c)
{
	int r = check_users(c);

	/* The list grows meanwhile: what a copy gives back may lead to what is gone as well. */
	for (size_t i = 0; i < c->links.n && r == 0; i++) {
		const struct cont_link copy = *LIST_AT(&c->links, struct cont_link, i), *link = &copy;
		struct cont *cont = cont_find(c, link->container);

		if (!cont || !cont->type) {
			bool revived;
			r = revive(c, link, &revived);
			if (r == 0 && !revived)
				r = drop_link(c, link, "all that it led to is gone",
					c->options->mend ? rescue_said(c) : "");
			continue;
		}
		stand_in(c, link->dir_domain, link->dir_container);
		if (cont->links > 0) {
			r = drop_link(c, link, "it leads to what another entry leads to", "");
			continue;
		}
		cont->links++;
		r = mend_link(c, link, cont);
		if (r == 0)
			r = mend_root(c, link, cont);
	}
	return r;
}

/* Entries whose directory its container's root names come first, so that the others are the doubles. */
static void sort_links(struct check *c)
{
	size_t first = 0;

	for (size_t i = 0; i < c->links.n; i++) {
		struct cont_link *link = LIST_AT(&c->links, struct cont_link, i), swap;
		const struct cont *cont = cont_find(c, link->container);
		struct cont_link *to = LIST_AT(&c->links, struct cont_link, first);

		if (!cont || cont->parent != link->dir)
			continue;
		swap = *to;
		*to = *link;
		*link = swap;
		first++;
	}
}

/* With the name that it had in an older copy of its directory, if it is not a message whose number says it. */
int lost_tell(struct check *c, struct check_lost *lost, uint32_t generation)
{
	char name[CORE_NAME_MAX + 1];
	int r = RESCUE_NOT;

	if (c->options->mend && !c->options->keep_lost && lost->parent && !lost->number)
		r = rescue_name(c, lost->parent, lost->ino, generation, name);
	if (r == RESCUE_TAKEN && !(lost->name = strdup(name)))
		r = -ENOMEM;
	if (r < 0)
		return r;
	check_tell(c, !c->options->keep_lost, "lost", 0, NULL, lost->ino, "no entry leads to it%s%s",
		r == RESCUE_TAKEN ? "; its name is" : "", r == RESCUE_TAKEN ? rescue_said(c) + 1 : "");
	return lost_add(c, lost);
}

int lost_add(struct check *c, const struct check_lost *lost)
{
	struct check_result *result = c->result;
	struct check_lost *all =
		reallocarray(result->lost, result->n_lost + 1, sizeof *result->lost);

	if (!all)
		return -ENOMEM;
	result->lost = all;
	all[result->n_lost++] = *lost;
	return 0;
}

static int lost_containers(struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < c->conts.n && r == 0; i++) {
		const struct cont *cont = LIST_AT(&c->conts, struct cont, i);
		struct check_lost lost = {.domain = cont->domain, .container = cont->id,
			.ino = (uint64_t)cont->id << 8, .parent = cont->parent,
			.type = cont->type, .root = true, .role = cont->role};

		if (cont->links || !cont->type || cont->id == CORE_ROOT_INO >> 8)
			continue;
		stand_in(c, cont->domain, cont->id);
		r = lost_tell(c, &lost, cont->generation);
	}
	return r;
}

static int check_blocks(struct check *c)
{
	struct key key = key_make(0, 0, KEY_COUNTER, 0);
	uint64_t end = 2;
	uint8_t value[5];

	for (size_t i = 0; i < c->leases.n; i++)
		if (LIST_AT(&c->leases, struct lease, i)->end / LEASE_BLOCK > end)
			end = LIST_AT(&c->leases, struct lease, i)->end / LEASE_BLOCK;
	for (size_t i = 0; i < c->conts.n; i++)
		if (LIST_AT(&c->conts, struct cont, i)->id + 1ull > end)
			end = LIST_AT(&c->conts, struct cont, i)->id + 1ull;
	stand_in(c, 0, 0);
	if (c->blocks >= end || end > UINT32_MAX || (!c->conts.n && !c->leases.n))
		return 0;
	if (!check_tell(c, true, "numbers", 0, NULL, 0,
		    "the counter of blocks of inode numbers is %s",
		    c->blocks_bad ? "unreadable" : "too low"))
		return 0;
	put_be32(put_u8(value, 1), (uint32_t)end);
	return check_put(c, KV_META, &key, value, sizeof value);
}

/* What removed sessions leave: no harm, and taken away by a mending look. */
static int unused_leases(struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < c->leases.n && r == 0; i++) {
		const struct lease *lease = LIST_AT(&c->leases, struct lease, i);
		struct key key = key_make(0, 0, KEY_LEASE, lease->first);
		uint8_t prefix[8];
		bool pending = false;

		put_be32(put_be32(prefix, lease->domain), lease->container);
		if (cont_find(c, lease->container) || history_below(c, prefix, sizeof prefix))
			continue;
		for (size_t k = 0; k < c->works.n && !pending; k++)
			pending = LIST_AT(&c->works, struct work_row, k)->container ==
				  lease->container;
		if (pending || c->result->gaps || c->revived)
			continue;
		if (lease->claim_container) {
			if (check_tell(c, true, "lease", 0, NULL, 0,
				    "the inode numbers from %llu on are leased to a container that there is not",
				    (unsigned long long)lease->first))
				r = space_put_lease(c, lease->first, lease->claim_domain, lease->claim_container);
			continue;
		}
		c->result->unused_leases++;
		if (c->options->mend)
			r = check_delete(c, KV_META, key.bytes, key.len);
	}
	return r;
}

static bool domain_has_container(struct check *c, uint32_t domain)
{
	for (size_t i = 0; i < c->conts.n; i++)
		if (LIST_AT(&c->conts, struct cont, i)->domain == domain)
			return true;
	return false;
}

/* Rows on what is still there would delete it. Those on inodes are looked at with these. */
static int check_works(struct check *c)
{
	int r = 0;

	stand_in(c, 0, 0);
	for (size_t i = 0; i < c->works.n && r == 0; i++) {
		const struct work_row *w = LIST_AT(&c->works, struct work_row, i);
		struct key key = key_make(0, 0, KEY_WORK, w->ino);

		c->result->pending++;
		if (w->kind != WORK_DOMAIN || !domain_has_container(c, w->domain))
			continue;
		key_add_u64(&key, w->sequence);
		if (check_tell(c, true, "work", 0, NULL, 0,
			    "user %u is to be deleted, and is still there", w->domain))
			r = check_delete(c, KV_META, key.bytes, key.len);
	}
	return r;
}

static int check_counters(struct check *c, const struct domain_count *d)
{
	const int64_t want[] = {d->inodes, d->bytes, d->containers};
	static const enum kv_counter which[] = {
		KV_COUNT_INODES, KV_COUNT_BYTES, KV_COUNT_CONTAINERS};
	static const char *const names[] = {"inodes", "bytes", "containers"};

	for (size_t i = 0; i < 3; i++) {
		int64_t have = kv_counter(c->kv, d->domain, which[i]);

		if (have == want[i])
			continue;
		if (!check_tell(c, true, "counter", 0, NULL, 0,
			    "user %u has %lld %s and is said to have %lld", d->domain,
			    (long long)want[i], names[i], (long long)have))
			continue;
		if (!c->txn && kv_txn_begin(c->kv, &c->txn) < 0)
			return -ENOMEM;
		kv_txn_count(c->txn, d->domain, which[i], want[i] - have);
		c->txn_writes++;
	}
	return 0;
}

static int check_domains(struct check *c)
{
	_cleanup_free_ uint32_t *keys = NULL;
	uint64_t others = c->result->mended;
	size_t n;
	int r = kv_domains(c->kv, &keys, &n);

	if (r < 0)
		return r;
	stand_in(c, 0, 0);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct domain_count *d = domain_of(c, keys[i]);
		if (!d)
			return -ENOMEM;
		/* What has just been mended is counted by the next look. */
		if (!others && !c->result->gaps)
			r = check_counters(c, d);
		/* It may be all that opens a copy of what was lost here: it stays. */
		c->result->unused_keys += !d->records && keys[i];
	}
	for (size_t i = 0; i < c->domains.n && r == 0; i++) {
		const struct domain_count *d = LIST_AT(&c->domains, struct domain_count, i);
		if (d->keyless)
			check_tell(c, false, "key", 0, NULL, 0,
				"the key of user %u is not in the keyring: %llu records cannot be "
				"read; put the newest keyring in its place",
				d->domain, (unsigned long long)d->sealed);
	}
	return r;
}

int store_dictionaries(struct check *c, bool *ret_lost)
{
	unsigned mendable, lost;
	int r = kv_dictionaries_check(c->kv, c->options->mend, &mendable, &lost);

	if (r < 0)
		return r;
	stand_in(c, 0, 0);
	for (unsigned i = 0; i < mendable; i++)
		check_tell(c, true, "dictionary", 0, NULL, 0, "one of the two copies of a dictionary is damaged");
	for (unsigned i = 0; i < lost; i++)
		check_tell(c, false, "dictionary", 0, NULL, 0,
			"both copies of a dictionary are damaged: archived records of a user cannot be read; "
			"nothing is mended; restore a backup");
	*ret_lost = lost > 0;
	return 0;
}

int store_settle(struct check *c)
{
	int r;

	if (c->conts.n)
		qsort(c->conts.items, c->conts.n, sizeof(struct cont), by_id);
	c->result->containers = c->conts.n;
	sort_links(c);
	r = check_links(c);
	if (r == 0)
		r = lost_containers(c);
	if (r == 0)
		r = check_blocks(c);
	if (r == 0)
		r = unused_leases(c);
	if (r == 0)
		r = check_works(c);
	if (r == 0)
		r = check_domains(c);
	return r;
}
