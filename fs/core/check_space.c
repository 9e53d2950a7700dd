/*
 * check_space.c: the store's own records (leases of inode numbers and their counter, work rows), and what
 * a container says of itself.
 */
#include "fs/core/check_rescue.h"

static int by_first(const void *a, const void *b)
{
	const struct lease *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_ino(const void *a, const void *b)
{
	const struct work_row *x = a, *y = b;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* ---- the store's own records ----------------------------------------------------------------- */

static int drop(struct check *c, const uint8_t *key, size_t len, const char *what)
{
	if (!check_tell(c, true, "store-record", 0, NULL, 0, "%s cannot be read", what))
		return 0;
	return check_delete(c, KV_META, key, len);
}

static int read_lease(struct check *c, const uint8_t *key, size_t len)
{
	struct bytes_reader r = bytes_reader(c->value.data, c->value.len);
	struct lease *lease;

	if (c->value_error == 0 && len == KEY_PREFIX) {
		read_u8(&r);
		lease = LIST_ADD(&c->leases, struct lease);
		if (!lease)
			return -ENOMEM;
		lease->first = key_ino(key);
		lease->domain = read_be32(&r);
		lease->container = read_be32(&r);
		lease->end = lease->first + (uint64_t)read_be32(&r) * LEASE_BLOCK;
		if (bytes_reader_end(&r) == 0)
			return 0;
		c->leases.n--;
	}
	return drop(c, key, len, "a lease of inode numbers");
}

static int read_work(struct check *c, const uint8_t *key, size_t len)
{
	struct bytes_reader r = bytes_reader(c->value.data, c->value.len);
	struct work_row *w;

	if (c->value_error == 0 && len == KEY_PREFIX + 8) {
		w = LIST_ADD(&c->works, struct work_row);
		if (!w)
			return -ENOMEM;
		w->ino = key_ino(key);
		w->sequence = get_be64(key + KEY_PREFIX);
		read_u8(&r);
		w->kind = read_u8(&r);
		w->domain = read_be32(&r);
		w->container = read_be32(&r);
		w->from_chunk = read_be64(&r);
		w->max_version = read_be64(&r);
		if (c->value.len > 26)
			read_be64(&r); /* min_version */
		if (bytes_reader_end(&r) == 0 && w->kind >= WORK_ORPHAN && w->kind <= WORK_SWEEP)
			return 0;
		c->works.n--;
	}
	return drop(c, key, len, "a row of background work");
}

int space_store_record(struct check *c, const uint8_t *key, size_t len)
{
	switch (key[8]) {
	case KEY_LEASE:
		return read_lease(c, key, len);
	case KEY_WORK:
		return read_work(c, key, len);
	case KEY_COUNTER:
		c->blocks_bad = c->value_error != 0 || c->value.len != 5;
		if (!c->blocks_bad)
			c->blocks = get_be32(c->value.data + 1);
		return 0;
	case KEY_PIN:
		return past_pin_row(c, key, len);
	case KEY_EPOCH:
		return past_epoch_row(c);
	default:
		return drop(c, key, len, "a record of the store");
	}
}

int space_sort(struct check *c)
{
	if (c->leases.n)
		qsort(c->leases.items, c->leases.n, sizeof(struct lease), by_first);
	if (c->works.n)
		qsort(c->works.items, c->works.n, sizeof(struct work_row), by_ino);
	return 0;
}

bool history_below(struct check *c, const void *prefix, size_t len)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	int r = kv_iter_open(c->kv, NULL, NULL, KV_HISTORY, prefix, len, &it);

	return r < 0 || kv_iter_seek(it, NULL, 0) != 0; /* one that cannot be read is one */
}

const struct lease *lease_of(const struct check *c, uint64_t ino)
{
	size_t low = 0, high = c->leases.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (LIST_AT(&c->leases, struct lease, mid)->first <= ino)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return NULL;
	struct lease *lease = LIST_AT(&c->leases, struct lease, low - 1);
	return ino < lease->end ? lease : NULL;
}

bool may_be_ours(const struct check *c, uint64_t ino)
{
	const struct lease *lease = lease_of(c, ino);

	return !lease || lease->container == c->container;
}

const struct work_row *work_of(const struct check *c, uint64_t ino, uint8_t kind)
{
	size_t low = 0, high = c->works.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (LIST_AT(&c->works, struct work_row, mid)->ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < c->works.n; low++) {
		const struct work_row *w = LIST_AT(&c->works, struct work_row, low);
		if (w->ino != ino)
			return NULL;
		if (!kind || w->kind == kind)
			return w;
	}
	return NULL;
}

struct domain_count *domain_of(struct check *c, uint32_t domain)
{
	struct domain_count *last = c->domains.n
		? LIST_AT(&c->domains, struct domain_count, c->domains.n - 1)
		: NULL;

	if (last && last->domain == domain)
		return last;
	for (size_t i = 0; i < c->domains.n; i++)
		if (LIST_AT(&c->domains, struct domain_count, i)->domain == domain)
			return LIST_AT(&c->domains, struct domain_count, i);
	last = LIST_ADD(&c->domains, struct domain_count);
	if (last) {
		last->domain = domain;
		last->keyless = !kv_domain_exists(c->kv, domain);
	}
	return last;
}

/* ---- a container ----------------------------------------------------------------------------- */

static struct cont *cont_here(struct check *c)
{
	if (!c->cont) {
		c->cont = LIST_ADD(&c->conts, struct cont);
		if (c->cont) {
			c->cont->id = c->container;
			c->cont->domain = c->domain;
		}
	}
	return c->cont;
}

int space_container_record(struct check *c)
{
	struct bytes_reader r = bytes_reader(c->value.data, c->value.len);
	struct cont *cont = cont_here(c);

	if (!cont)
		return -ENOMEM;
	if (c->value_error == 0) {
		bool known = read_u8(&r) == 1;
		cont->kind = read_u8(&r);
		cont->granted = read_be64(&r);
		cont->lease_end = read_be64(&r);
		cont->record = known && bytes_reader_end(&r) == 0;
	}
	return 0;
}

int space_put_lease(struct check *c, uint64_t first, uint32_t domain, uint32_t container)
{
	struct key key = key_make(0, 0, KEY_LEASE, first);
	uint8_t value[13];

	put_be32(put_be32(put_be32(put_u8(value, 1), domain), container), 1);
	return check_put(c, KV_META, &key, value, sizeof value);
}

/* Lease rows for the numbers in use that none covers, block by block. */
static int lease_nodes(struct check *c)
{
	uint64_t covered = 0;
	int r = 0;

	for (size_t i = 0; i < c->nodes.n && r == 0; i++) {
		const struct node *node = LIST_AT(&c->nodes, struct node, i);
		struct lease *lease = (struct lease *)lease_of(c, node->ino);

		if (node->ino < covered)
			continue;
		covered = (node->ino | 255) + 1;
		if (lease && lease->domain == c->domain && lease->container == c->container) {
			covered = lease->end;
			continue;
		}
		if (lease && !lease->claim_container) {
			lease->claim_domain = c->domain;
			lease->claim_container = c->container;
		}
		if (!check_tell(c, !lease, "lease", 0, NULL, 0,
			    "no lease covers the inode numbers from %llu on",
			    (unsigned long long)(node->ino & ~255ull)))
			continue;
		r = space_put_lease(c, node->ino & ~255ull, c->domain, c->container);
	}
	return r;
}

int space_make_record(struct check *c, uint8_t kind)
{
	struct key key = key_make(c->domain, c->container, KEY_CONTAINER, 0);
	uint64_t end = ((uint64_t)c->container + 1) * LEASE_BLOCK;
	uint8_t value[18], *p = value;

	for (size_t i = 0; i < c->leases.n; i++) {
		const struct lease *lease = LIST_AT(&c->leases, struct lease, i);
		if (lease->container == c->container && lease->end > end)
			end = lease->end;
	}
	if (c->nodes.n) {
		const struct node *last = LIST_AT(&c->nodes, struct node, c->nodes.n - 1);
		if (last->ino >= end)
			end = (last->ino | 255) + 1;
	}
	p = put_u8(put_u8(p, 1), kind);
	put_be64(put_be64(p, end), end);
	return check_put(c, KV_META, &key, value, sizeof value);
}

/* Whether there is anything here but what is being deleted. */
static bool lives(struct check *c)
{
	for (size_t i = 0; i < c->nodes.n; i++)
		if (!work_of(c, LIST_AT(&c->nodes, struct node, i)->ino, 0))
			return true;
	return c->entries > 0;
}

static int check_grant(struct check *c)
{
	struct cont *cont = c->cont;
	const struct node *last;

	if (!c->nodes.n)
		return 0;
	last = LIST_AT(&c->nodes, struct node, c->nodes.n - 1);
	cont->highest = last->ino;
	if (cont->record && cont->granted > last->ino && cont->granted <= cont->lease_end)
		return 0;
	if (!cont->record || !check_tell(c, true, "numbers", 0, NULL, 0,
				     "inode number %llu is in use, and not handed out yet",
				     (unsigned long long)last->ino))
		return 0;
	return space_make_record(c, cont->kind);
}

uint8_t space_likely_kind(const struct check *c)
{
	return c->container == CORE_ROOT_INO >> 8 ? 1 : 5;
}

static int check_record(struct check *c)
{
	const struct node *root = node_find(c, (uint64_t)c->container << 8);
	struct cont *cont = c->cont;
	int r;

	if (cont->record) {
		domain_of(c, c->domain)->containers++;
		return check_grant(c);
	}
	if (root && !(root->state & NODE_BAD) && root->role)
		cont->kind = root->role;
	if (!cont->kind)
		cont->kind = space_likely_kind(c);
	if (!check_tell(c, true, "container", 0, NULL, 0, "the container's record is missing"))
		return 0;
	r = space_make_record(c, cont->kind);
	cont->record = r == 0;
	return r;
}

static struct node *add_root(struct check *c, uint64_t ino)
{
	struct node *root;
	size_t at = 0;

	if (!LIST_ADD(&c->nodes, struct node))
		return NULL;
	while (at + 1 < c->nodes.n && LIST_AT(&c->nodes, struct node, at)->ino < ino)
		at++;
	root = LIST_AT(&c->nodes, struct node, at);
	memmove(root + 1, root, (c->nodes.n - 1 - at) * sizeof *root);
	*root = (struct node){.ino = ino, .state = NODE_BAD};
	return root;
}

static int check_root(struct check *c)
{
	uint64_t ino = (uint64_t)c->container << 8;
	struct cont *cont = c->cont;
	struct remake m = {.ino = ino, .role = cont->record ? cont->kind : ROLE_UNKNOWN,
		.flags = INODE_CONTAINER_ROOT};
	struct node *root = node_find(c, ino);
	int r;

	if (root && !(root->state & NODE_BAD)) {
		cont->generation = root->generation;
		cont->parent = root->parent;
		cont->type = root->mode >> 12;
		cont->role = root->role;
		return 0;
	}
	r = remake_dir(c, &m, "root", "its directory cannot be read");
	if (r < 0 || !m.made)
		return r;
	if (!root && !(root = add_root(c, ino)))
		return -ENOMEM;
	root->subdirs = subdirs_of(c, ino);
	*root = (struct node){.ino = ino, .generation = m.generation, .nlink = 2 + root->subdirs,
		.subdirs = root->subdirs, .parent = m.parent, .mode = S_IFDIR | 0700, .role = m.role,
		.want_role = m.role, .flags = INODE_CONTAINER_ROOT, .state = NODE_MADE | NODE_LISTED};
	cont->generation = m.generation;
	cont->parent = m.parent;
	cont->type = S_IFDIR >> 12;
	cont->role = cont->kind = m.role;
	return 0;
}

int space_container_settle(struct check *c)
{
	int r;

	if (!cont_here(c))
		return -ENOMEM;
	if (!lives(c)) {
		bool record = c->cont->record;
		struct key key = key_make(c->domain, c->container, KEY_CONTAINER, 0);
		c->conts.n--; /* it is the last one: nothing is left of it but deletions */
		c->cont = NULL;
		if (!record)
			return 0;
		domain_of(c, c->domain)->containers++;
		if (!check_tell(c, true, "container", 0, NULL, 0,
			    "container %u has a record and nothing in it", c->container))
			return 0;
		return check_delete(c, KV_META, key.bytes, key.len);
	}
	r = lease_nodes(c);
	if (r == 0)
		r = check_root(c);
	return r < 0 ? r : check_record(c);
}
