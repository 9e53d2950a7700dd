/*
 * check.c: one look over the store. The contract is in check.h.
 *
 * The store's own records come first, for they have the lowest keys; then the containers, one after
 * the other. Two scans run side by side, over KV_META and KV_DATA; each stands at its next record.
 */
#include "fs/core/check_internal.h"

#define PROGRESS_RECORDS 4096

void *list_add(struct list *list, size_t size)
{
	void *item;

	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap + list->cap / 2 : 16;
		void *items = reallocarray(list->items, cap, size);
		if (!items)
			return NULL;
		list->items = items;
		list->cap = cap;
	}
	item = (char *)list->items + list->n++ * size;
	memset(item, 0, size);
	return item;
}

/* ---- an index -------------------------------------------------------------------------------- */

static struct ino_slot *slot_of(const struct ino_index *index, uint64_t ino, size_t step)
{
	uint64_t hash = ino * 0x9e3779b97f4a7c15u;

	return &index->slots[((hash >> 32) + step) & (index->cap - 1)];
}

static void index_insert(struct ino_index *index, uint64_t ino, size_t item)
{
	size_t step = 0;

	while (slot_of(index, ino, step)->item)
		step++;
	*slot_of(index, ino, step) = (struct ino_slot){.ino = ino, .item = item};
}

int ino_index_add(struct ino_index *index, uint64_t ino, size_t item)
{
	if (index->n * 2 >= index->cap) {
		struct ino_index grown = {.n = index->n, .cap = index->cap ? index->cap * 2 : 64};

		grown.slots = calloc(grown.cap, sizeof *grown.slots);
		if (!grown.slots)
			return -ENOMEM;
		for (size_t i = 0; i < index->cap; i++)
			if (index->slots[i].item)
				index_insert(&grown, index->slots[i].ino, index->slots[i].item);
		free(index->slots);
		*index = grown;
	}
	index_insert(index, ino, item + 1);
	index->n++;
	return 0;
}

size_t ino_index_next(const struct ino_index *index, uint64_t ino, size_t *at)
{
	while (index->cap) {
		const struct ino_slot *slot = slot_of(index, ino, (*at)++);
		if (!slot->item)
			break;
		if (slot->ino == ino)
			return slot->item - 1;
	}
	return SIZE_MAX;
}

void ino_index_clear(struct ino_index *index)
{
	if (index->n)
		memset(index->slots, 0, index->cap * sizeof *index->slots);
	index->n = 0;
}

void ino_index_release(struct ino_index *index)
{
	free(index->slots);
	*index = (struct ino_index){0};
}

static void list_release(struct list *list)
{
	free(list->items);
	*list = (struct list){0};
}

void check_result_release(struct check_result *result)
{
	for (size_t i = 0; i < result->n_lost; i++)
		free(result->lost[i].name);
	free(result->lost);
	for (size_t i = 0; i < result->n_damage; i++) {
		free(result->damage[i].path);
		free(result->damage[i].why);
	}
	free(result->damage);
	*result = (struct check_result){0};
}

struct kv *check_kv(struct check *c)
{
	return c->kv;
}

uint32_t check_domain(const struct check *c)
{
	return c->domain;
}

uint32_t check_container(const struct check *c)
{
	return c->container;
}

/* ---- scanning -------------------------------------------------------------------------------- */

bool at_prefix(const struct kv_scan *scan, int at, const struct key *prefix)
{
	size_t len;
	const uint8_t *key;

	if (at <= 0)
		return false;
	key = kv_scan_key(scan, &len);
	return len >= prefix->len && memcmp(key, prefix->bytes, prefix->len) == 0;
}

int scan_step(struct check *c, struct kv_scan *scan, int *at)
{
	const struct check_sink *sink = &c->options->sink;
	struct domain_count *domain;
	size_t len;
	int r = kv_scan_next(scan);

	*at = r;
	if (r <= 0)
		return r;
	c->result->records++;
	if (c->result->records % PROGRESS_RECORDS == 0 && sink->progress)
		sink->progress(sink->arg, c->result->records);
	domain = domain_of(c, get_be32(kv_scan_key(scan, &len)));
	if (!domain)
		return -ENOMEM;
	/* A value of KV_META is opened as the scan comes to it; those of KV_DATA where they are wanted. */
	if (scan == c->meta)
		c->value_error = kv_scan_value(scan, &c->value);
	if (domain->keyless)
		domain->sealed++;
	else
		domain->records++;
	return c->value_error == -ENOMEM ? -ENOMEM : 1;
}

static bool same_container(const struct check *c, const struct kv_scan *scan, int at)
{
	size_t len;
	const uint8_t *key;

	if (at <= 0)
		return false;
	key = kv_scan_key(scan, &len);
	return len >= 8 && get_be32(key) == c->domain && get_be32(key + 4) == c->container;
}

/* A record that this version knows no use for; a short key, or a kind in a place where it cannot be. */
static int strange(struct check *c)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->meta, &len);

	if (!check_tell(c, true, "strange-record", 0, NULL, 0, "a record of a kind that is not known"))
		return 0;
	return check_delete(c, KV_META, key, len);
}

static int session_row(struct check *c, const uint8_t *key, size_t len)
{
	struct check_row row = {.domain = c->domain, .container = c->container,
		.error = c->value_error, .value = &c->value};

	if (!c->rules || len < KEY_PREFIX + 1)
		return c->rules ? strange(c) : 0;
	row.which = key[KEY_PREFIX];
	row.more = key + KEY_PREFIX + 1;
	row.more_len = len - KEY_PREFIX - 1;
	return c->rules->row(c->rules->arg, c, &row);
}

/* One record of the container at hand; those of entries and xattrs are taken in runs. */
static int read_record(struct check *c)
{
	size_t len;
	const uint8_t *key = kv_scan_key(c->meta, &len);
	int r;

	if (len < KEY_PREFIX)
		r = strange(c);
	else if (c->domain == 0 && c->container == 0)
		r = space_store_record(c, key, len);
	else if (key[8] == KEY_CONTAINER)
		r = space_container_record(c);
	else if (key[8] == KEY_SESSION)
		r = session_row(c, key, len);
	else if (key[8] == KEY_INODE)
		r = nodes_read(c, key, len);
	else if (key[8] == KEY_DENTRY)
		return entries_read(c);
	else if (key[8] == KEY_XATTR)
		return xattrs_read(c);
	else if (key[8] == KEY_SNAPSHOT)
		r = past_snapshot_row(c, key, len);
	else if (key[8] == KEY_PLACE)
		r = past_place_row(c, key, len);
	else
		r = strange(c);
	return r < 0 ? r : scan_step(c, c->meta, &c->meta_at);
}

/* ---- containers ------------------------------------------------------------------------------ */

/* Without the key of its domain nothing of it can be said, or may be touched. */
static int pass_over(struct check *c)
{
	int r = 0;

	while (r >= 0 && same_container(c, c->meta, c->meta_at))
		r = scan_step(c, c->meta, &c->meta_at);
	while (r >= 0 && same_container(c, c->data, c->data_at))
		r = scan_step(c, c->data, &c->data_at);
	return r < 0 ? r : 0;
}

static void container_begin(struct check *c)
{
	c->stand_in = (struct container){.id = c->container, .domain = c->domain, .core = &c->core};
	c->cont = NULL;
	c->nodes.n = c->fixes.n = c->danglings.n = c->pages.n = 0;
	ino_index_clear(&c->dangling_index);
	c->entries = c->data_records = 0;
	c->path_dir = 0;
}

static int end_container(struct check *c)
{
	uint64_t root = (uint64_t)c->container << 8;
	_cleanup_copy_ struct inode_copy copy = {0};
	const struct node *node = node_find(c, root);

	if (!c->rules || !node || node->state & NODE_BAD || !c->cont ||
		mend_load(c, root, &copy) < 0)
		return 0;
	return c->rules->end_container(c->rules->arg, c, c->cont->kind, &copy.rec);
}

static int check_container_at(struct check *c)
{
	const struct domain_count *domain = domain_of(c, c->domain);
	int r = 0;

	if (!domain)
		return -ENOMEM;
	if (domain->keyless)
		return pass_over(c);
	container_begin(c);
	while (r >= 0 && same_container(c, c->meta, c->meta_at))
		r = read_record(c);
	if (c->domain == 0 && c->container == 0)
		return r < 0 ? r : space_sort(c);
	if (r >= 0)
		r = data_check(c);
	if (r >= 0)
		r = space_container_settle(c);
	if (r >= 0)
		r = entries_settle(c);
	if (r >= 0)
		r = nodes_settle(c);
	if (r >= 0)
		r = end_container(c);
	return r < 0 ? r : 0;
}

/* The lower of the two scans' next containers. */
static bool next_container(struct check *c)
{
	static const uint8_t high[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	size_t len;
	const uint8_t *meta = c->meta_at > 0 ? kv_scan_key(c->meta, &len) : high;
	const uint8_t *data = c->data_at > 0 ? kv_scan_key(c->data, &len) : high;
	const uint8_t *key = memcmp(meta, data, 8) <= 0 ? meta : data;

	if (c->meta_at <= 0 && c->data_at <= 0)
		return false;
	c->domain = get_be32(key);
	c->container = get_be32(key + 4);
	return true;
}

static int end_domain(struct check *c, uint32_t domain)
{
	uint32_t next = c->domain, container = c->container;
	int r;

	if (!c->rules)
		return 0;
	c->domain = domain;
	c->container = 0;
	c->nodes.n = 0;
	r = c->rules->end_domain(c->rules->arg, c, domain);
	c->domain = next;
	c->container = container;
	return r;
}

static int check_containers(struct check *c)
{
	uint32_t before = UINT32_MAX;
	int r = scan_step(c, c->meta, &c->meta_at);

	if (r >= 0)
		r = scan_step(c, c->data, &c->data_at);
	while (r >= 0 && next_container(c)) {
		if (before != UINT32_MAX && before != c->domain)
			r = end_domain(c, before);
		before = c->domain;
		if (r >= 0)
			r = check_container_at(c);
	}
	if (r >= 0 && before != UINT32_MAX)
		r = end_domain(c, before);
	return r < 0 ? r : 0;
}

/* ---- the look -------------------------------------------------------------------------------- */

static int settle_store(struct check *c)
{
	int r;

	r = past_settle_look(c);
	if (r < 0)
		return r;
	c->domain = c->container = 0;
	c->result->gaps += kv_scan_gaps(c->meta) + kv_scan_gaps(c->data);
	if (c->result->gaps)
		check_tell(c, false, "unreadable", 0, NULL, 0,
			"%u stretches of the database cannot be read", c->result->gaps);
	r = store_settle(c);
	if (r < 0)
		return r;
	c->result->sum_differs = kv_scan_verify(c->kv, c->meta, c->data) < 0;
	if (c->result->sum_differs)
		check_tell(c, true, "sum", 0, NULL, 0,
			"records were added, removed or put back to older ones; what else is told "
			"here may be all of it");
	return 0;
}

static int look(struct check *c)
{
	struct key key = key_make(0, CORE_ROOT_INO >> 8, KEY_INODE, CORE_ROOT_INO);
	_cleanup_buf_ struct buf record = {0}, inline_data = {0};
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	int r;

	c->users.uid = (uint32_t)geteuid();
	c->users.gid = (uint32_t)getegid();
	if (kv_get(c->kv, NULL, KV_META, key.bytes, key.len, &record) == 0)
		irec_decode(record.data, record.len, &c->users, &inline_data, &facts);
	r = kv_scan_open(c->kv, KV_META, &c->meta);
	if (r == 0)
		r = kv_scan_open(c->kv, KV_DATA, &c->data);
	if (r == 0)
		r = check_containers(c);
	if (r == 0)
		r = settle_store(c);
	return r == 0 ? mend_commit(c) : r;
}

int core_check(struct kv *kv, const struct check_options *options, struct check_result *ret_result)
{
	struct check c = {.kv = kv, .options = options, .rules = options->rules,
		.result = ret_result,
		.core = {.kv = kv, .options = {.name_hash_bits = options->name_hash_bits}}};
	struct check_options calm = *options;
	bool lost;
	int r;

	*ret_result = (struct check_result){0};
	r = store_dictionaries(&c, &lost);
	calm.mend = options->mend && !lost;
	c.options = &calm;
	if (r == 0)
		r = look(&c);
	kv_txn_free(c.txn);
	kv_scan_free(c.meta);
	kv_scan_free(c.data);
	list_release(&c.leases);
	list_release(&c.works);
	list_release(&c.conts);
	list_release(&c.links);
	list_release(&c.domains);
	list_release(&c.nodes);
	list_release(&c.fixes);
	list_release(&c.danglings);
	ino_index_release(&c.dangling_index);
	list_release(&c.pages);
	list_release(&c.pins);
	list_release(&c.bad_pins);
	buf_release(&c.value);
	buf_release(&c.path);
	return r;
}
