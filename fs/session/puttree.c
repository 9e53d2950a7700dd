/*
 * puttree.c: putting back a place that holds sessions, up to the flip: what is where (the plan), and the copies that
 * lie hidden. puttree.h has the idea.
 */
#include "fs/session/puttree.h"

#include <stdio.h>

#define TRIES 5 /* while others make, move or change sessions there */

/* ---- the plan -------------------------------------------------------------------------------- */

static struct node **bucket_of(struct puttree *t, uint64_t ino)
{
	return &t->by_now[ino * 0x9e3779b97f4a7c15 >> 32 & (t->cap - 1)];
}

void puttree_set_now(struct puttree *t, struct node *n, uint64_t ino)
{
	struct node **p = n->now ? bucket_of(t, n->now) : NULL;

	while (p && *p != n)
		p = &(*p)->next_now;
	if (p)
		*p = n->next_now;
	n->now = ino;
	if (!ino)
		return;
	p = bucket_of(t, ino);
	n->next_now = *p;
	*p = n;
}

/* Room for one more, and as many buckets. */
static int grow(struct puttree *t)
{
	size_t cap = t->cap ? 2 * t->cap : 64;
	struct node **nodes = t->n < t->cap ? t->nodes : reallocarray(t->nodes, cap, sizeof *nodes);

	if (!nodes)
		return -ENOMEM;
	t->nodes = nodes;
	if (t->n < t->cap)
		return 0;
	struct node **by_now = calloc(cap, sizeof *by_now);
	if (!by_now)
		return -ENOMEM;
	free(t->by_now);
	t->by_now = by_now;
	t->cap = cap;
	for (size_t i = 0; i < t->n; i++) {
		struct node *n = nodes[i], **p = n->now ? bucket_of(t, n->now) : NULL;
		if (!p)
			continue;
		n->next_now = *p;
		*p = n;
	}
	return 0;
}

struct node *puttree_add(struct puttree *t, uint8_t role, size_t above, const char *name)
{
	struct node *n = grow(t) == 0 ? calloc(1, sizeof *n) : NULL;
	if (!n)
		return NULL;
	n->role = role;
	n->above = above;
	n->p = (struct putback){.s = t->s, .who = t->who, .each = t->each, .arg = t->arg};
	snprintf(n->name, sizeof n->name, "%s", name);
	t->nodes[t->n++] = n;
	return n;
}

static void forget_plan(struct puttree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		putback_release(&t->nodes[i]->p);
		container_put(t->nodes[i]->user);
		buf_release(&t->nodes[i]->in);
		buf_release(&t->nodes[i]->out);
		free(t->nodes[i]->entry);
		free(t->nodes[i]);
	}
	t->n = 0;
	t->going.len = 0;
	if (t->by_now)
		memset(t->by_now, 0, t->cap * sizeof *t->by_now);
}

static void puttree_release(struct puttree *t)
{
	forget_plan(t);
	free(t->nodes);
	free(t->by_now);
	buf_release(&t->going);
}

static struct node *find(struct puttree *t, uint64_t ino, bool plain)
{
	struct node *n = t->n ? *bucket_of(t, ino) : NULL;

	while (n && (n->now != ino || (n->role == ROLE_PLAIN) != plain))
		n = n->next_now;
	return n;
}

struct node *puttree_find(struct puttree *t, uint64_t ino)
{
	return find(t, ino, false);
}

struct node *puttree_find_plain(struct puttree *t, uint64_t ino)
{
	return find(t, ino, true);
}

struct listed_dir {
	uint64_t ino;
	char name[CORE_NAME_MAX + 1];
};

static int list_dir(void *arg, const struct core_dirent *entry)
{
	struct listed_dir one = {.ino = entry->ino};

	if (entry->type != S_IFDIR || strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0 ||
	        putback_is_hidden(entry->name))
		return 0;
	snprintf(one.name, sizeof one.name, "%s", entry->name);
	return buf_append(arg, &one, sizeof one);
}

int puttree_children(struct puttree *t, uint64_t dir,
        int (*each)(struct puttree *t, void *arg, struct inode *child, const char *name), void *arg)
{
	_cleanup_buf_ struct buf list = {0};
	int r = core_readdir(t->s->core, dir, 0, false, list_dir, &list);

	for (size_t i = 0; r == 0 && i < list.len; i += sizeof(struct listed_dir)) {
		const struct listed_dir *one = (const void *)(list.data + i);
		_cleanup_inode_ struct inode *child = NULL;
		r = inode_get(t->s->core, one->ino, NULL, &child);
		if (r == 0 && (node_is_holder(child->rec.role) || child->rec.role == ROLE_SESSION))
			r = each(t, arg, child, one->name);
	}
	return r;
}

static int may_touch(const struct puttree *t, const struct inode *inode)
{
	return t->who->uid == 0 || inode->rec.uid == t->who->uid ? 0 : -EPERM;
}

static int add_node(struct puttree *t, void *arg, struct inode *child, const char *name)
{
	const size_t *above = arg;
	struct node *n = puttree_add(t, child->rec.role, *above, name);
	size_t self = t->n - 1;

	if (!n)
		return -ENOMEM;
	n->then = child->ino;
	n->p.from = inode_ref(child);
	int r = may_touch(t, child);
	if (r == 0 && n->role == ROLE_SESSION)
		return putback_load_then(&n->p);
	return r < 0 ? r : puttree_children(t, child->ino, add_node, &self);
}

static int parent_of(struct core *core, uint64_t ino, uint64_t *ret_parent)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, ino, NULL, &inode);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&inode->lock);
	*ret_parent = inode->rec.parent;
	pthread_rwlock_unlock(&inode->lock);
	return 0;
}

/* Whether the directory @ino lies below the top. */
static int lies_in(struct puttree *t, uint64_t ino, bool *ret_in)
{
	uint64_t top = t->nodes[0]->now;
	int r = 0;

	for (int depth = 0; r == 0 && ino && ino != top && ino != CORE_ROOT_INO && depth < 8; depth++)
		r = parent_of(t->s->core, ino, &ino);
	*ret_in = ino == top;
	return r;
}

static int note_change(void *arg, uint64_t ino, bool many)
{
	return 1;
}

static int find_now(struct puttree *t, struct node *n)
{
	_cleanup_inode_ struct inode *inode = NULL;
	bool in = false;
	uint64_t lies = 0, after = 0, ino = snapshot_present_ino(n->then);
	int r = inode_get(t->s->core, ino, NULL, &inode);

	if (r == -ENOENT || r == -ESTALE)
		return -ENOENT;
	if (r == 0 && (inode->ghost || inode->generation != n->p.from->generation))
		return -ENOENT;
	if (r == 0)
		r = parent_of(t->s->core, ino, &lies);
	if (r == 0)
		r = lies_in(t, lies, &in);
	if (r < 0 || !in)
		return r < 0 ? r : -ENOENT;
	puttree_set_now(t, n, ino);
	n->lies = lies;
	if (!n->p.dir)
		n->p.dir = inode_ref(inode);
	r = may_touch(t, inode);
	if (r == 0 && n->role == ROLE_TRASH)
		r = t->nodes[n->above]->changed;
	else if (r == 0)
		r = snapshot_changes(t->s->core, n->then, ino, &after, note_change, NULL);
	n->changed = r > 0;
	return r < 0 ? r : 0;
}

int puttree_locate(struct puttree *t, struct node *n)
{
	puttree_set_now(t, n, 0);
	n->lies = 0;
	n->changed = true;
	int r = find_now(t, n);
	return r == -ENOENT ? 0 : r;
}

static int add_going(struct puttree *t, void *arg, struct inode *child, const char *name)
{
	uint32_t id = child->container->id;

	if (puttree_find(t, child->ino))
		return 0;
	int r = may_touch(t, child);
	if (r == 0 && child->rec.role != ROLE_TRASH)
		r = buf_append(&t->going, &id, sizeof id);
	return r < 0 || child->rec.role == ROLE_SESSION ? r : puttree_children(t, child->ino, add_going, NULL);
}

int puttree_find_going(struct puttree *t)
{
	int r = 0;

	t->going.len = 0;
	for (size_t i = 0; r == 0 && i < t->n; i++)
		if (node_is_holder(t->nodes[i]->role) && t->nodes[i]->now && t->nodes[i]->changed)
			r = puttree_children(t, t->nodes[i]->now, add_going, NULL);
	return r;
}

/* All that the snapshot has, and where it is now. The top is the first, and known. */
static int plan_tree(struct puttree *t, struct inode *top, struct inode *from)
{
	struct node *first = puttree_add(t, from->rec.role, 0, "");
	size_t above = 0;

	if (!first)
		return -ENOMEM;
	first->then = from->ino;
	puttree_set_now(t, first, top->ino);
	first->changed = true;
	first->p.dir = inode_ref(top);
	first->p.from = inode_ref(from);
	first->p.flags = t->flags;
	int r = puttree_children(t, from->ino, add_node, &above);
	for (size_t i = 1; r == 0 && i < t->n; i++)
		r = puttree_locate(t, t->nodes[i]);
	return r < 0 ? r : puttree_find_going(t);
}

/* ---- the copies ------------------------------------------------------------------------------ */

struct making {
	struct node *n;
	uint64_t parent;
};

static int make_plan_of(struct op *op, void *arg)
{
	const struct making *m = arg;

	op->role = m->n->role;
	op->container_kind = m->n->role == ROLE_TRASH ? 0 : m->n->role;
	op->new_domain = m->n->role == ROLE_USER;
	return 0;
}

/* The parent is the one that it will have; a session has a record from the beginning. */
static int make_also_of(struct op *op, void *arg)
{
	const struct making *m = arg;
	struct node *n = m->n;
	struct session_memory *memory = memory_of(op->child->container);

	op_stage(op, op->child)->parent = m->parent;
	if (n->role == ROLE_TRASH)
		return 0;
	if (!memory)
		return -ENOMEM;
	memory->checked = true;
	if (n->role != ROLE_SESSION)
		return place_put_name(op, op->child->container, n->name, strlen(n->name));
	n->p.then.ring_used = 0;
	n->p.then.epoch = n->p.s->epoch;
	return srec_store(op, op->child->container, &n->p.then);
}

static int copy_node(struct puttree *t, struct node *n, struct inode *to, uint64_t parent)
{
	if (n->role == ROLE_SESSION)
		return copy_new_session(t->s, t->who, n->p.from->ino, to);
	return copy_plain(t->s, t->who, n->p.from->ino, to, parent);
}

/* The container of the user whose workflow @workflow is, or will be. */
static int find_user(struct puttree *t, const struct node *workflow, struct container **ret_user)
{
	_cleanup_inode_ struct inode *up = NULL;
	uint64_t parent;
	int r = parent_of(t->s->core, workflow->p.dir->ino, &parent);

	if (r == 0)
		r = inode_get(t->s->core, parent, NULL, &up);
	if (r == 0)
		*ret_user = container_ref(up->container);
	return r;
}

/* One that is no more: in the new directory above, or hidden in the one that is there. */
static int make_anew(struct puttree *t, struct node *n)
{
	struct node *above = t->nodes[n->above];
	struct making m = {.n = n, .parent = above->p.dir->ino};
	struct core_rule rule = {.plan = make_plan_of, .also = make_also_of, .arg = &m};
	struct core_make what = {.mode = S_IFDIR | 0700};
	struct core_entry entry;
	uint64_t dir = above->p.dir->ino;
	int r = 0;

	if (above->now && !above->changed)
		return -EAGAIN; /* what had it has lost it since */
	if (above->now) {
		r = core_lookup(t->s->core, dir, above->p.hidden, &entry);
		if (r < 0)
			return r;
		core_forget(t->s->core, entry.ino, 1);
		dir = entry.ino;
	}
	n->p.flags = PUT_BACK_REMOVED;
	r = n->role == ROLE_SESSION ? find_user(t, above, &n->user) : 0;
	if (r == 0)
		r = core_make(t->s->core, t->who, dir, n->name, &what, &rule, &entry);
	if (r < 0)
		return r;
	core_forget(t->s->core, entry.ino, 1);
	r = inode_get(t->s->core, entry.ino, NULL, &n->p.dir);
	return r < 0 ? r : copy_node(t, n, n->p.dir, n->p.dir->ino);
}

static int make_copies(struct puttree *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		struct node *n = t->nodes[i];
		_cleanup_inode_ struct inode *hidden = NULL;
		if (!n->changed)
			continue;
		if (!n->now) {
			r = make_anew(t, n);
			continue;
		}
		if (n->role == ROLE_SESSION) {
			r = putback_fill(&n->p, t->whole);
			continue;
		}
		r = putback_hide(&n->p);
		if (r == 0)
			r = putback_make_hidden(&n->p, &hidden);
		if (r == 0)
			r = copy_node(t, n, hidden, n->now);
	}
	return r;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int flip(void *arg)
{
	return puttree_flip(arg);
}

static int try_once(struct puttree *t, struct inode *top, struct inode *from, char *ret_kept)
{
	int r = plan_tree(t, top, from);

	if (r == 0)
		r = make_copies(t);
	if (r == 0)
		r = putback_keep_then(&t->nodes[0]->p, flip, t, ret_kept);
	if (r < 0)
		putback_clear_all(t->s);
	return r;
}

int puttree_restore(struct sessions *s, const struct cred *who, struct inode *top, struct inode *from, unsigned flags,
        int (*each)(void *arg, uint64_t dir, const char *name), void *arg, char ret_kept[CORE_NAME_MAX + 1])
{
	_cleanup_(puttree_release) struct puttree t = {.s = s, .who = who, .flags = flags & ~(unsigned)PUT_BACK_OTHER,
	        .each = each, .arg = arg};
	int r = -EAGAIN;

	if (!node_is_holder(from->rec.role) || from->rec.role == ROLE_TRASH || top->rec.role != from->rec.role ||
	        flags & PUT_BACK_FORK)
		return -EINVAL;
	if (!flags && snapshot_present_ino(from->ino) != top->ino)
		return -EXDEV;
	if (t.flags && top->rec.size > 0)
		return -ENOTEMPTY;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++) {
		forget_plan(&t);
		t.whole = i > 1;
		r = try_once(&t, top, from, ret_kept);
	}
	if (r == 0) {
		atomic_fetch_add(&s->names, 1);
		atomic_fetch_add(&s->policies, 1);
	}
	return r == -EAGAIN ? -EBUSY : r;
}
