#include "tests/exercise/model.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

static struct node *node_new(struct model *m, mode_t mode)
{
	struct node *node = calloc(1, sizeof *node);
	if (!node)
		abort();
	node->mode = mode;
	node->next = m->nodes;
	m->nodes = node;
	m->n_nodes++;
	return node;
}

static void node_free(struct node *node)
{
	for (struct attr *a = node->attrs, *next; a; a = next) {
		next = a->next;
		free(a->name);
		free(a->value);
		free(a);
	}
	for (struct entry *e = node->entries, *next; e; e = next) {
		next = e->next;
		free(e);
	}
	model_kept(node);
	content_release(&node->data);
	free(node->target);
	free(node);
}

struct model *model_new(mode_t mode, uid_t uid, gid_t gid)
{
	struct model *m = calloc(1, sizeof *m);
	if (!m)
		abort();
	m->root = node_new(m, S_IFDIR | mode);
	m->root->uid = uid;
	m->root->gid = gid;
	m->root->nlink = 2;
	m->umask = 022;
	return m;
}

void model_free(struct model *m)
{
	for (struct node *node = m->nodes, *next; node; node = next) {
		next = node->next;
		node_free(node);
	}
	free(m);
}

void model_drop_if_unused(struct model *m, struct node *node)
{
	if (node->nlink || node->opens)
		return;
	for (struct node **at = &m->nodes; *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			break;
		}
	m->n_nodes--;
	node_free(node);
}

void model_touch(struct node *node, unsigned must, unsigned may)
{
	node->must |= must;
	node->may |= may;
	node->touched = true;
}

void model_changed(struct node *node)
{
	model_kept(node);
	model_touch(node, STAMP_C, 0);
}

struct entry *model_entry(const struct node *dir, unsigned name)
{
	for (struct entry *e = dir->entries; e; e = e->next)
		if (e->name == name)
			return e;
	return NULL;
}

bool model_path(const struct node *node, struct step_path *ret_path)
{
	uint8_t reversed[STEP_DEPTH];
	unsigned n = 0;
	while (node->links) {
		if (n == STEP_DEPTH)
			return false;
		reversed[n++] = (uint8_t)(node->links->name + 1);
		node = node->links->dir;
	}
	if (!S_ISDIR(node->mode) || node->nlink == 0)
		return false;
	*ret_path = (struct step_path){0};
	for (unsigned i = 0; i < n; i++)
		ret_path->name[i] = reversed[n - 1 - i];
	return true;
}

int model_slot_of(const struct model *m, const struct node *node)
{
	for (int i = 0; i < STEP_SLOTS; i++)
		if (m->slots[i].node == node)
			return i;
	return -1;
}

bool model_above(const struct node *node, const struct node *below)
{
	for (; below; below = below->links ? below->links->dir : NULL)
		if (below == node)
			return true;
	return false;
}

static int name_error(unsigned name)
{
	return strlen(step_name(name)) > 255 ? -ENAMETOOLONG : 0;
}

int model_walk(struct model *m, const struct step_path *path, struct node **ret_dir,
	unsigned *ret_name)
{
	unsigned depth = step_path_depth(path);
	struct node *at = m->root;
	if (!depth)
		return MODEL_SKIP;
	for (unsigned i = 0; i + 1 < depth; i++) {
		unsigned name = path->name[i] - 1u;
		if (!S_ISDIR(at->mode))
			return -ENOTDIR;
		if (name_error(name))
			return name_error(name);
		struct entry *e = model_entry(at, name);
		if (!e || S_ISLNK(e->node->mode)) /* every symlink here dangles */
			return -ENOENT;
		at = e->node;
	}
	if (!S_ISDIR(at->mode))
		return -ENOTDIR;
	*ret_dir = at;
	*ret_name = path->name[depth - 1] - 1u;
	return 0;
}

int model_look(struct model *m, const struct step_path *path, struct node **ret_node)
{
	struct node *dir;
	unsigned name;
	*ret_node = m->root;
	if (!path->name[0])
		return 0;
	int r = model_walk(m, path, &dir, &name);
	if (r == 0)
		r = name_error(name);
	if (r)
		return r;
	struct entry *e = model_entry(dir, name);
	if (!e)
		return -ENOENT;
	*ret_node = e->node;
	return 0;
}

struct node *model_find(struct model *m, const struct step_path *path)
{
	struct node *node;
	return model_look(m, path, &node) == 0 ? node : NULL;
}

/* ---- entries --------------------------------------------------------------------------------- */

static void entry_add(struct node *dir, unsigned name, struct node *node)
{
	struct entry *e = calloc(1, sizeof *e);
	if (!e)
		abort();
	*e = (struct entry){.next = dir->entries, .next_link = node->links, .dir = dir,
		.node = node, .name = (uint8_t)name};
	dir->entries = e;
	dir->n_entries++;
	node->links = e;
	if (S_ISDIR(node->mode)) {
		dir->nlink++;
		node->nlink += 2;
	} else {
		node->nlink++;
	}
}

static void entry_remove(struct entry *gone)
{
	struct node *dir = gone->dir, *node = gone->node;
	for (struct entry **at = &dir->entries; *at; at = &(*at)->next)
		if (*at == gone) {
			*at = gone->next;
			break;
		}
	for (struct entry **at = &node->links; *at; at = &(*at)->next_link)
		if (*at == gone) {
			*at = gone->next_link;
			break;
		}
	dir->n_entries--;
	if (S_ISDIR(node->mode)) {
		dir->nlink--;
		node->nlink -= 2;
	} else {
		node->nlink--;
	}
	free(gone);
}

static void copy_attrs(const struct node *from, struct node *to)
{
	for (const struct attr *a = from->attrs; a; a = a->next) {
		struct attr *copy = malloc(sizeof *copy);
		if (!copy)
			abort();
		*copy = (struct attr){.next = to->attrs, .name = strdup(a->name), .value = malloc(a->size + 1),
			.size = a->size};
		if (!copy->name || !copy->value)
			abort();
		memcpy(copy->value, a->value, a->size);
		to->attrs = copy;
	}
}

/* Links come with the entries. */
static void copy_node(const struct node *from, struct node *to)
{
	to->uid = from->uid;
	to->gid = from->gid;
	to->rdev = from->rdev;
	to->access = from->access;
	to->defaults = from->defaults;
	to->target = from->target ? strdup(from->target) : NULL;
	if (from->target && !to->target)
		abort();
	content_copy(&from->data, &to->data);
	copy_attrs(from, to);
	memcpy(to->times, from->times, sizeof to->times);
	to->atime_lost = true;
}

struct model *model_copy_tree(const struct model *m)
{
	struct model *copy = model_new(m->root->mode & 07777, 0, 0);
	copy_node(m->root, copy->root);
	for (struct node *node = m->nodes; node; node = node->next) {
		node->copy = node == m->root ? copy->root : node->nlink ? node_new(copy, node->mode) : NULL;
		if (node->copy && node != m->root)
			copy_node(node, node->copy);
	}
	for (struct node *dir = m->nodes; dir; dir = dir->next)
		for (const struct entry *e = dir->entries; e; e = e->next)
			entry_add(dir->copy, e->name, e->node->copy);
	return copy;
}

/* Where something is to be made: the name must be free. */
static int free_name(struct model *m, const struct step_path *path, struct node **ret_dir,
	unsigned *ret_name)
{
	int r = model_walk(m, path, ret_dir, ret_name);
	if (r == 0)
		r = name_error(*ret_name);
	if (r)
		return r;
	return model_entry(*ret_dir, *ret_name) ? -EEXIST : 0;
}

static struct node *make(struct model *m, struct node *dir, unsigned name, mode_t mode)
{
	struct node *node = node_new(m, mode);
	model_inherit(m, dir, node, mode);
	entry_add(dir, name, node);
	model_touch(node, STAMP_A | STAMP_M | STAMP_C, 0);
	model_touch(dir, STAMP_M | STAMP_C, 0);
	return node;
}

struct node *model_create(struct model *m, struct node *dir, unsigned name, mode_t mode)
{
	return make(m, dir, name, S_IFREG | (mode & 07777));
}

int model_mkdir(struct model *m, const struct step_path *path, mode_t mode)
{
	struct node *dir;
	unsigned name;
	int r = free_name(m, path, &dir, &name);
	if (r == 0)
		make(m, dir, name, S_IFDIR | (mode & 01777));
	return r;
}

int model_mknod(struct model *m, const struct step_path *path, mode_t mode, dev_t rdev)
{
	struct node *dir;
	unsigned name;
	int r = free_name(m, path, &dir, &name);
	if (r == 0)
		make(m, dir, name, mode)->rdev = S_ISCHR(mode) || S_ISBLK(mode) ? rdev : 0;
	return r;
}

int model_symlink(struct model *m, const struct step_path *path, const char *target)
{
	struct node *dir, *node;
	unsigned name;
	int r = free_name(m, path, &dir, &name);
	if (r)
		return r;
	node = make(m, dir, name, S_IFLNK | 0777);
	node->target = strdup(target);
	node->data.size = strlen(target);
	return 0;
}

int model_link(struct model *m, const struct step_path *from, const struct step_path *to)
{
	struct node *node, *dir;
	unsigned name;
	int r = model_look(m, from, &node);
	if (r == 0)
		r = free_name(m, to, &dir, &name);
	if (r)
		return r;
	if (S_ISDIR(node->mode))
		return -EPERM;
	entry_add(dir, name, node);
	model_changed(node);
	model_touch(dir, STAMP_M | STAMP_C, 0);
	return 0;
}

static int remove_entry(struct model *m, struct entry *e)
{
	struct node *dir = e->dir, *node = e->node;
	entry_remove(e);
	model_touch(dir, STAMP_M | STAMP_C, 0);
	model_changed(node);
	model_drop_if_unused(m, node);
	return 0;
}

static int existing(struct model *m, const struct step_path *path, struct entry **ret_entry)
{
	struct node *dir;
	unsigned name;
	int r = model_walk(m, path, &dir, &name);
	if (r == 0)
		r = name_error(name);
	if (r)
		return r;
	*ret_entry = model_entry(dir, name);
	return *ret_entry ? 0 : -ENOENT;
}

int model_unlink(struct model *m, const struct step_path *path)
{
	struct entry *e;
	int r = existing(m, path, &e);
	if (r)
		return r;
	return S_ISDIR(e->node->mode) ? -EISDIR : remove_entry(m, e);
}

int model_rmdir(struct model *m, const struct step_path *path)
{
	struct entry *e;
	int r = existing(m, path, &e);
	if (r)
		return r;
	if (!S_ISDIR(e->node->mode))
		return -ENOTDIR;
	return e->node->n_entries ? -ENOTEMPTY : remove_entry(m, e);
}

/* ---- rename ---------------------------------------------------------------------------------- */

/* Everything that speaks against it, in the order in which Linux says so: the first is the answer. */
static int rename_refusal(struct model *m, struct entry *e, struct node *to_dir, struct entry *over,
	unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	m->n_also = 0;
	if (over && flags & RENAME_NOREPLACE)
		m->also[m->n_also++] = -EEXIST;
	if (!over && exchange)
		m->also[m->n_also++] = -ENOENT;
	if (e->dir != to_dir && model_above(e->node, to_dir))
		m->also[m->n_also++] = -EINVAL;
	if (over && over->dir != e->dir && model_above(over->node, e->dir))
		m->also[m->n_also++] = exchange ? -EINVAL : -ENOTEMPTY;
	if (over && over->node == e->node)
		return m->n_also ? m->also[0] : MODEL_SKIP;
	if (over && !exchange && S_ISDIR(e->node->mode) && !S_ISDIR(over->node->mode))
		m->also[m->n_also++] = -ENOTDIR;
	if (over && !exchange && !S_ISDIR(e->node->mode) && S_ISDIR(over->node->mode))
		m->also[m->n_also++] = -EISDIR;
	if (over && !exchange && S_ISDIR(over->node->mode) && over->node->n_entries)
		m->also[m->n_also++] = -ENOTEMPTY;
	return m->n_also ? m->also[0] : 0;
}

static void exchange(struct entry *a, struct entry *b)
{
	struct node *a_dir = a->dir, *b_dir = b->dir, *a_node = a->node, *b_node = b->node;
	unsigned a_name = a->name, b_name = b->name;
	entry_remove(a);
	entry_remove(b);
	entry_add(a_dir, a_name, b_node);
	entry_add(b_dir, b_name, a_node);
	model_changed(a_node);
	model_changed(b_node);
}

int model_rename(struct model *m, const struct step_path *from, const struct step_path *to,
	unsigned flags)
{
	struct node *from_dir, *to_dir, *node;
	unsigned from_name, to_name;
	struct entry *e, *over;
	int r;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = model_walk(m, from, &from_dir, &from_name);
	if (r == 0)
		r = model_walk(m, to, &to_dir, &to_name);
	if (r)
		return r;
	if (name_error(to_name)) /* either name's fault may be told */
		m->also[m->n_also++] = name_error(to_name);
	if (name_error(from_name))
		return name_error(from_name);
	e = model_entry(from_dir, from_name);
	if (!e)
		return -ENOENT;
	if (name_error(to_name))
		return name_error(to_name);
	over = model_entry(to_dir, to_name);
	r = rename_refusal(m, e, to_dir, over, flags);
	if (r)
		return r == MODEL_SKIP ? 0 : r; /* two links to one file stay */
	node = e->node;
	model_touch(from_dir, STAMP_M | STAMP_C, 0);
	model_touch(to_dir, STAMP_M | STAMP_C, 0);
	if (flags & RENAME_EXCHANGE) {
		exchange(e, over);
		return 0;
	}
	if (over)
		remove_entry(m, over);
	entry_remove(e);
	entry_add(to_dir, to_name, node);
	model_changed(node);
	return 0;
}
