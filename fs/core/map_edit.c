/*
 * map_edit.c: changes to a map within a transaction.
 *
 * A node is a page that is being changed; its children hang on it as they are loaded. A place in
 * the tree is an entry and the node below it (NULL: not loaded, or the entry is no page); its
 * height is the number of levels below: a chunk has 0, the root the map's depth. Every change of
 * what is allocated goes to the root's sum first, and each node on the way back up adds the
 * difference to its own.
 */
#include "fs/core/map.h"

#include "fs/core/core_internal.h"

struct map_node {
	struct map_page *page; /* version: of the stored record that it replaces, 0 none */
	bool touched;
	struct map_node *child[MAP_FANOUT];
};

struct map_edit {
	const struct inode *inode;
	struct kv_txn *txn;
	struct map_root root;
	struct map_node *top;
	uint64_t version, kept;
	uint64_t changes; /* of entries: tells a node whether something below it changed */
	/* of the fill that is under way */
	uint64_t from, to, done;
	enum map_type type;
	unsigned flags, budget;
	bool leftover;
};

/* Chunks below an entry of this height. */
static uint64_t span(unsigned height)
{
	return 1ull << (MAP_FANOUT_SHIFT * height);
}

int map_edit_new(const struct inode *inode, struct kv_txn *txn, const struct map_root *root,
	struct map_edit **ret_edit)
{
	struct map_edit *e = calloc(1, sizeof *e);

	if (!e)
		return -ENOMEM;
	e->inode = inode;
	e->txn = txn;
	e->root = *root;
	e->version = root->next_version ? root->next_version : 1;
	if (!e->root.chunk_shift)
		e->root.chunk_shift = CHUNK_SHIFT;
	*ret_edit = e;
	return 0;
}

void map_edit_keep(struct map_edit *e, uint64_t version)
{
	e->kept = version;
}

static void node_free(struct map_node *node)
{
	if (!node)
		return;
	for (unsigned i = 0; i < MAP_FANOUT; i++)
		node_free(node->child[i]);
	map_page_unref(node->page);
	free(node);
}

void map_edit_free(struct map_edit *e)
{
	if (!e)
		return;
	node_free(e->top);
	free(e);
}

uint64_t map_edit_version(const struct map_edit *e)
{
	return e->version;
}

uint64_t map_edit_stored(const struct map_edit *e)
{
	return e->root.stored;
}

bool map_edit_leftover(const struct map_edit *e)
{
	return e->leftover;
}

static uint64_t unwritten_bytes(const struct map_edit *e, unsigned height)
{
	return span(height) << e->root.chunk_shift;
}

/*
 * A node for a place that has none: the stored page, or one whose entries are all like the place's.
 */
static int open_node(struct map_edit *e, struct map_entry *entry, unsigned height, uint64_t first,
	struct map_node **slot)
{
	_cleanup_(map_page_unrefp) struct map_page *stored = NULL;
	uint64_t index = first >> (MAP_FANOUT_SHIFT * height);
	struct map_node *node;
	struct map_page *page;

	if (*slot)
		return 0;
	if (entry->type == MAP_RECORD) {
		int r = map_page_get(e->inode, height - 1, index, entry->version, &stored);
		if (r < 0)
			return r;
	}
	node = calloc(1, sizeof *node);
	page = malloc(sizeof *page);
	if (!node || !page) {
		free(node);
		free(page);
		return -ENOMEM;
	}
	if (stored) {
		*page = *stored;
		page->refs = 1;
	} else {
		*page = (struct map_page){.refs = 1, .level = (uint8_t)(height - 1),
			.ino = e->inode->ino, .index = index,
			.stored = entry->type == MAP_UNWRITTEN ? unwritten_bytes(e, height) : 0};
		for (unsigned i = 0; i < MAP_FANOUT; i++)
			page->entries[i].type = entry->type;
		node->touched = true;
		*entry = (struct map_entry){.type = MAP_RECORD};
	}
	node->page = page;
	*slot = node;
	return 0;
}

/* Adds levels on top until chunk @index has a place. */
static int deepen(struct map_edit *e, uint64_t index)
{
	while (index >= span(e->root.depth)) {
		struct map_entry old = e->root.root;
		struct map_node *below = e->top;
		uint64_t stored = e->root.stored;
		int r;

		if (e->root.depth == 8)
			return -EFBIG;
		e->root.depth++;
		if (old.type == MAP_HOLE)
			continue;
		e->root.root = (struct map_entry){.type = MAP_HOLE};
		e->top = NULL;
		r = open_node(e, &e->root.root, e->root.depth, 0, &e->top);
		if (r < 0) {
			e->root.depth--;
			e->root.root = old;
			e->top = below;
			return r;
		}
		e->top->page->entries[0] = old;
		e->top->page->stored = stored;
		e->top->child[0] = below;
		e->changes++;
	}
	return 0;
}

/* What an entry of height 0 says goes away. */
static int drop_chunk(struct map_edit *e, const struct map_entry *entry, uint64_t index)
{
	if (entry->type == MAP_UNWRITTEN) {
		e->root.stored -= unwritten_bytes(e, 0);
	} else if (entry->type == MAP_RECORD) {
		struct key key = map_chunk_key(e->inode, index, entry->version);

		e->root.stored -= entry->length;
		if (entry->version < e->kept)
			return 0;
		if (!e->budget) {
			e->leftover = true;
			return 0;
		}
		e->budget--;
		return kv_txn_delete(e->txn, KV_DATA, key.bytes, key.len);
	}
	return 0;
}

static int set_at(struct map_edit *e, struct map_entry *entry, struct map_node **slot,
	unsigned height, uint64_t index, uint32_t length)
{
	uint64_t stored = e->root.stored, first = index & ~(span(height) - 1);
	unsigned i;
	int r;

	if (height == 0) {
		r = drop_chunk(e, entry, index);
		*entry = (struct map_entry){
			.type = MAP_RECORD, .length = length, .version = e->version};
		e->root.stored += length;
		e->changes++;
		return r;
	}
	r = open_node(e, entry, height, first, slot);
	if (r < 0)
		return r;
	i = (unsigned)((index - first) >> (MAP_FANOUT_SHIFT * (height - 1)));
	r = set_at(e, &(*slot)->page->entries[i], &(*slot)->child[i], height - 1, index, length);
	(*slot)->touched = true;
	(*slot)->page->stored += e->root.stored - stored;
	return r;
}

int map_edit_set(struct map_edit *e, uint64_t index, uint32_t length)
{
	int r = deepen(e, index);

	e->budget = UINT32_MAX;
	return r < 0 ? r : set_at(e, &e->root.root, &e->top, e->root.depth, index, length);
}

int map_edit_find(struct map_edit *e, uint64_t index, struct map_entry *ret_entry)
{
	struct map_entry entry = e->root.root;
	const struct map_node *node = e->top;

	if (index >= span(e->root.depth))
		entry = (struct map_entry){.type = MAP_HOLE};
	for (unsigned height = e->root.depth; height > 0 && entry.type == MAP_RECORD; height--) {
		_cleanup_(map_page_unrefp) struct map_page *page = NULL;
		unsigned shift = MAP_FANOUT_SHIFT * (height - 1);
		unsigned i = (unsigned)(index >> shift) & (MAP_FANOUT - 1);
		int r;

		if (node) {
			entry = node->page->entries[i];
			node = node->child[i];
			continue;
		}
		r = map_page_get(e->inode, height - 1, index >> shift >> MAP_FANOUT_SHIFT,
			entry.version, &page);
		if (r < 0)
			return r;
		entry = page->entries[i];
	}
	*ret_entry = entry;
	return 0;
}

/* A page whose entries all say the same is no page, but that entry. */
static int collapse(struct map_edit *e, struct map_entry *entry, struct map_node **slot)
{
	const struct map_page *page = (*slot)->page;
	int r = 0;

	for (unsigned i = 0; i < MAP_FANOUT; i++)
		if (page->entries[i].type == MAP_RECORD ||
			page->entries[i].type != page->entries[0].type)
			return 0;
	*entry = (struct map_entry){.type = page->entries[0].type};
	if (page->version && page->version >= e->kept) {
		struct key key =
			map_page_key(e->inode, page->level, page->index, page->version);
		e->budget -= e->budget > 0;
		r = kv_txn_delete(e->txn, KV_DATA, key.bytes, key.len);
	}
	node_free(*slot);
	*slot = NULL;
	return r;
}

/* Cuts a stored page off with all that is below it; the worker deletes the records. */
static int leave_page(struct map_edit *e, struct map_entry *entry, unsigned height, uint64_t first)
{
	_cleanup_(map_page_unrefp) struct map_page *page = NULL;
	int r = map_page_get(e->inode, height - 1, first >> (MAP_FANOUT_SHIFT * height),
		entry->version, &page);

	if (r < 0)
		return r;
	e->root.stored -= page->stored;
	*entry = (struct map_entry){.type = e->type};
	e->changes++;
	e->leftover = true;
	return 0;
}

/* Whether the fill changes an entry that is no page. */
static bool fills(const struct map_edit *e, const struct map_entry *entry)
{
	return e->flags & MAP_FILL_HOLES ? entry->type == MAP_HOLE : entry->type != e->type;
}

/* An entry that is no page, wholly inside the range. */
static int fill_entry(struct map_edit *e, struct map_entry *entry, unsigned height, uint64_t first)
{
	int r = 0;

	if (!fills(e, entry))
		return 0;
	if (height == 0) {
		if (entry->type == MAP_RECORD && !e->budget && !(e->flags & MAP_FILL_LAZY)) {
			e->done = first;
			return 1;
		}
		r = drop_chunk(e, entry, first);
	} else if (entry->type == MAP_UNWRITTEN) {
		e->root.stored -= unwritten_bytes(e, height);
	}
	if (e->type == MAP_UNWRITTEN)
		e->root.stored += unwritten_bytes(e, height);
	*entry = (struct map_entry){.type = e->type};
	e->changes++;
	return r;
}

static int fill_at(struct map_edit *e, struct map_entry *entry, struct map_node **slot,
	unsigned height, uint64_t first)
{
	bool whole = e->from <= first && first + span(height) <= e->to;
	bool page = height > 0 && entry->type == MAP_RECORD;
	uint64_t stored = e->root.stored, changes = e->changes;
	struct map_node *node;
	int r;

	if (whole && !page)
		return fill_entry(e, entry, height, first);
	if (!page && !fills(e, entry))
		return 0;
	if (whole && !*slot && !e->budget && (e->flags & MAP_FILL_LAZY))
		return leave_page(e, entry, height, first);
	r = open_node(e, entry, height, first, slot);
	if (r < 0)
		return r;
	node = *slot;
	for (unsigned i = 0; i < MAP_FANOUT && r == 0; i++) {
		uint64_t at = first + i * span(height - 1);
		if (at < e->to && at + span(height - 1) > e->from)
			r = fill_at(e, &node->page->entries[i], &node->child[i], height - 1, at);
	}
	node->page->stored += e->root.stored - stored;
	if (e->changes != changes)
		node->touched = true;
	if (r < 0)
		return r;
	if (node->touched) {
		int error = collapse(e, entry, slot);
		return error < 0 ? error : r;
	}
	node_free(node);
	*slot = NULL;
	return r;
}

int map_edit_fill(struct map_edit *e, uint64_t from, uint64_t to, enum map_type type,
	unsigned flags, unsigned budget, uint64_t *ret_done)
{
	int r = 0;

	if (type == MAP_UNWRITTEN && to > from)
		r = deepen(e, to - 1);
	else if (to > span(e->root.depth))
		to = span(e->root.depth);
	if (r < 0 || from >= to)
		return r;
	e->from = from;
	e->to = to;
	e->type = type;
	e->flags = flags;
	e->budget = budget;
	r = fill_at(e, &e->root.root, &e->top, e->root.depth, 0);
	if (r > 0 && ret_done)
		*ret_done = e->done;
	return r;
}

static int write_node(struct map_edit *e, struct map_entry *entry, struct map_node *node)
{
	struct map_page *page = node->page;
	uint8_t record[MAP_PAGE_BYTES];
	struct key key;
	int r;

	for (unsigned i = 0; i < MAP_FANOUT; i++)
		if (node->child[i] && node->child[i]->touched) {
			r = write_node(e, &page->entries[i], node->child[i]);
			if (r < 0)
				return r;
		}
	if (page->version && page->version >= e->kept) {
		key = map_page_key(e->inode, page->level, page->index, page->version);
		r = kv_txn_delete(e->txn, KV_DATA, key.bytes, key.len);
		if (r < 0)
			return r;
	}
	page->version = e->version;
	*entry = (struct map_entry){.type = MAP_RECORD, .version = e->version};
	map_page_encode(page, record);
	key = map_page_key(e->inode, page->level, page->index, page->version);
	return kv_txn_insert(e->txn, KV_DATA, key.bytes, key.len, record, sizeof record);
}

int map_edit_write(struct map_edit *e, struct map_root *ret_root)
{
	if (e->top && e->top->touched) {
		int r = write_node(e, &e->root.root, e->top);
		if (r < 0)
			return r;
	}
	if (e->root.root.type == MAP_HOLE)
		e->root.depth = 0;
	e->root.next_version = e->version + 1;
	*ret_root = e->root;
	return 0;
}

static void publish_node(struct map_edit *e, struct map_node *node)
{
	if (!node || !node->touched)
		return;
	for (unsigned i = 0; i < MAP_FANOUT; i++)
		publish_node(e, node->child[i]);
	map_cache_add(e->inode->core->map_cache, node->page);
}

void map_edit_publish(struct map_edit *e)
{
	publish_node(e, e->top);
}
