/*
 * check_nodes.c: the inodes of the container at hand. They come in the order of their numbers, before
 * anything that refers to them, so the table is a sorted array and a look-up a bisection.
 */
#include "fs/core/check_rescue.h"

struct node *node_find(struct check *c, uint64_t ino)
{
	size_t low = 0, high = c->nodes.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (LIST_AT(&c->nodes, struct node, mid)->ino < ino)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == c->nodes.n || LIST_AT(&c->nodes, struct node, low)->ino != ino)
		return NULL;
	return LIST_AT(&c->nodes, struct node, low);
}

/* What an inode counts for in its domain. */
static void count(struct check *c, const struct inode_copy *copy)
{
	struct domain_count *d = domain_of(c, c->domain);

	d->inodes++;
	if (S_ISREG(copy->rec.mode))
		d->bytes += (int64_t)copy->inline_data.len;
	d->bytes += (int64_t)copy->rec.map.stored;
}

int nodes_read(struct check *c, const uint8_t *key, size_t len)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	struct node *node = LIST_ADD(&c->nodes, struct node);
	const struct irec *rec = &copy.rec;

	if (!node)
		return -ENOMEM;
	node->ino = key_ino(key);
	node->state = NODE_BAD;
	c->result->inodes++;
	if (c->value_error < 0 || len != KEY_PREFIX ||
		irec_decode(c->value.data, c->value.len, &copy.rec, &copy.inline_data,
			&copy.facts) < 0 ||
		(node->ino == (uint64_t)c->container << 8 && !S_ISDIR(rec->mode))) {
		domain_of(c, c->domain)->inodes++; /* as the counter has it */
		return 0;
	}
	count(c, &copy);
	node->parent = rec->parent;
	node->generation = rec->generation;
	node->nlink = rec->nlink;
	node->number = rec->number;
	node->mode = (uint16_t)rec->mode;
	node->role = node->want_role = rec->role;
	node->flags = rec->flags;
	node->state = (uint8_t)((rec->xattrs ? NODE_XATTRS : 0) |
				(rec->body == INODE_MAPPED ? NODE_MAPPED : 0));
	if (!c->rules || !S_ISREG(rec->mode))
		return 0;
	return c->rules->file(c->rules->arg, c, node->ino, rec, copy.facts);
}

/* ---- links ----------------------------------------------------------------------------------- */

static int set_links(struct check *c, struct node *node, uint32_t links)
{
	_cleanup_copy_ struct inode_copy copy = {0};
	int r = mend_load(c, node->ino, &copy);

	copy.rec.nlink = node->nlink = links;
	return r < 0 ? r : mend_store(c, node->ino, &copy);
}

/* Unlinked and open when its daemon ended: the next mount deletes it, if a row says so. */
static int check_orphan(struct check *c, const struct node *node)
{
	const struct work_row row = {.ino = node->ino, .kind = WORK_ORPHAN, .domain = c->domain,
		.container = c->container};

	if (work_of(c, node->ino, WORK_ORPHAN))
		return 0;
	if (!check_tell(c, true, "orphan", 0, NULL, node->ino,
		    "it is unlinked, and nothing is going to delete it"))
		return 0;
	return mend_put_work(c, &row);
}

static int drop_work(struct check *c, const struct node *node, const struct work_row *w)
{
	struct key key = key_make(0, 0, KEY_WORK, node->ino);

	key_add_u64(&key, w->sequence);
	if (!check_tell(c, true, "work", 0, NULL, node->ino,
		    "it is to be deleted in the background, and is in use"))
		return 0;
	return check_delete(c, KV_META, key.bytes, key.len);
}

/* A row that would delete what is in use. */
static int check_work(struct check *c, const struct node *node)
{
	const struct work_row *w = work_of(c, node->ino, WORK_REMOVE);

	if (!w && node->links > 0)
		w = work_of(c, node->ino, WORK_ORPHAN);
	return w && (node->links > 0 || node->nlink > 0) ? drop_work(c, node, w) : 0;
}

static int check_lost_node(struct check *c, const struct node *node)
{
	struct check_lost lost = {.domain = c->domain, .container = c->container,
		.ino = node->ino, .parent = node->parent, .number = node->number,
		.type = node->mode >> 12, .role = node->role};

	return lost_tell(c, &lost, node->generation);
}

/* A record that cannot be read, of something without a name; its data goes with it. */
static int check_bad_node(struct check *c, const struct node *node)
{
	struct key key = key_make(c->domain, c->container, KEY_INODE, node->ino);
	struct work_row row = {.ino = node->ino, .kind = WORK_REMOVE, .domain = c->domain,
		.container = c->container};
	int r;

	if (!check_tell(c, true, "inode", 0, NULL, node->ino,
		    "its record cannot be read, and no entry leads to it"))
		return 0;
	r = mend_note(c, 0, NULL, node->ino, false, "its record could not be read");
	if (r == 0)
		r = check_delete(c, KV_META, key.bytes, key.len);
	return r < 0 ? r : mend_put_work(c, &row);
}

static int check_count(struct check *c, struct node *node)
{
	uint32_t links = S_ISDIR(node->mode) ? 2 + node->subdirs : node->links;

	if (node->nlink == links)
		return 0;
	if (!check_tell(c, true, "links", 0, NULL, node->ino, "it says %u links, and has %u",
		    node->nlink, links))
		return 0;
	return set_links(c, node, links);
}

static bool role_differs(const struct check *c, const struct node *node)
{
	if (!c->rules || (!S_ISDIR(node->mode) && node->links != 1) || node->role == node->want_role)
		return false;
	return !c->rules->role_was || !c->rules->role_was(node->want_role, node->role);
}

static int check_meaning(struct check *c, struct node *node)
{
	bool number = !S_ISDIR(node->mode) && node->links == 1 && node->number != node->want_number;
	bool role = role_differs(c, node);
	_cleanup_copy_ struct inode_copy copy = {0};
	int r;

	if (!number && !role)
		return 0;
	if (!check_tell(c, true, role ? "role" : "number", 0, NULL, node->ino,
		    "it says that it is of another %s than its name", role ? "kind" : "number"))
		return 0;
	r = mend_load(c, node->ino, &copy);
	if (role)
		copy.rec.role = node->want_role;
	if (role && S_ISDIR(node->mode))
		copy.rec.flags = (uint8_t)((copy.rec.flags & ~INODE_NUMBERED) |
					   (c->rules->numbered(node->want_role) ? INODE_NUMBERED : 0));
	if (number)
		copy.rec.number = node->want_number;
	return r < 0 ? r : mend_store(c, node->ino, &copy);
}

static int settle_node(struct check *c, struct node *node)
{
	bool root = node->ino == (uint64_t)c->container << 8;
	int r;

	if (node->state & NODE_BAD)
		return node->links ? 0 : check_bad_node(c, node);
	r = check_work(c, node);
	if (r < 0)
		return r;
	if (!root && node->links == 0)
		return node->nlink == 0 ? check_orphan(c, node) : check_lost_node(c, node);
	r = check_count(c, node);
	return r < 0 ? r : check_meaning(c, node);
}

/* ---- cycles ---------------------------------------------------------------------------------- */

/* Directories that contain each other, and so hang on nothing: one of them loses its entry. */
static int break_cycle(struct check *c, struct node *node)
{
	struct dentry d;
	int r = entry_to(c, node->parent, node->ino, &d);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (!check_tell(c, true, "loop", node->parent, d.name, node->ino,
		    "the directory lies within itself"))
		return 0;
	return mend_delete_entry(c, node->parent, d.key);
}

static int check_reached(struct check *c, struct node *start)
{
	struct node *node = start, *end;

	while (node && S_ISDIR(node->mode) && !(node->state & (NODE_REACHED | NODE_WALKING)) &&
		node->links && node->ino != (uint64_t)c->container << 8) {
		node->state |= NODE_WALKING;
		node = node_find(c, node->parent);
	}
	end = node && node->state & NODE_WALKING ? node : NULL;
	for (node = start; node && node->state & NODE_WALKING; node = node_find(c, node->parent)) {
		node->state &= (uint8_t)~NODE_WALKING;
		node->state |= NODE_REACHED;
	}
	return end ? break_cycle(c, end) : 0;
}

uint64_t nodes_nameless(const struct check *c, uint64_t dir)
{
	uint64_t n = 0;

	for (size_t i = 0; i < c->nodes.n; i++) {
		const struct node *node = LIST_AT(&c->nodes, struct node, i);
		n += node->parent == dir && node->links == 0 && node->nlink > 0 && !(node->state & NODE_BAD) &&
		     node->ino != dir;
	}
	return n;
}

int nodes_settle(struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < c->nodes.n && r == 0; i++)
		r = settle_node(c, LIST_AT(&c->nodes, struct node, i));
	for (size_t i = 0; i < c->nodes.n && r == 0; i++) {
		struct node *node = LIST_AT(&c->nodes, struct node, i);
		if (S_ISDIR(node->mode) && !(node->state & (NODE_BAD | NODE_REACHED)))
			r = check_reached(c, node);
	}
	return r;
}
