/*
 * puttree_flip.c: one transaction that makes a place that holds sessions what it was: puttree.h has the idea.
 *
 * While the ops hold inodes of several containers, nothing is looked at that another of them has staged: its lock
 * is held by this thread. So all that is read across containers was read before (recheck(), add_sources()).
 */
#include "fs/session/puttree.h"

#include "fs/session/putmerge.h"
#include "fs/session/uuid.h"

struct flip {
	struct puttree *t;
	struct op **ops; /* by rising container */
	size_t n;
};

/* Ended in the order in which they do not need each other: the first has the transaction. */
static void flip_end(struct flip *f)
{
	while (f->n > 0) {
		op_end(f->ops[--f->n]);
		free(f->ops[f->n]);
	}
	free(f->ops);
}

/* Nobody changes anything now. Is all as the plan has it? */
static int recheck(struct puttree *t)
{
	for (size_t i = 1; i < t->n; i++) {
		struct node *n = t->nodes[i];
		uint64_t was = n->now;
		bool changed = n->changed;
		int r = puttree_locate(t, n);
		if (r < 0)
			return r;
		if (n->now != was || (n->changed && !changed))
			return -EAGAIN;
		n->changed = changed;
		r = n->p.merge ? putmerge_check(n->p.merge) : 0;
		if (r < 0)
			return r;
	}
	return puttree_find_going(t);
}

/* Directories that go, out of which something is taken. */
static int add_sources(struct puttree *t)
{
	size_t planned = t->n;

	for (size_t i = 1; i < planned; i++) {
		struct node *n = t->nodes[i];
		if (!n->now || puttree_find(t, n->lies) || puttree_find_plain(t, n->lies))
			continue;
		struct node *source = puttree_add(t, ROLE_PLAIN, 0, "");
		if (!source)
			return -ENOMEM;
		puttree_set_now(t, source, n->lies);
		source->changed = true;
		int r = inode_get(t->s->core, n->lies, NULL, &source->p.dir);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- ops ------------------------------------------------------------------------------------- */

static int by_container(const void *a, const void *b)
{
	const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
	uint32_t left = x->p.dir->container->id, right = y->p.dir->container->id;
	return left < right ? -1 : left > right;
}

static int begin_one(struct flip *f, struct node *n)
{
	struct op *op = malloc(sizeof *op);
	if (!op)
		return -ENOMEM;
	op_begin(op, f->t->s->core, f->t->who);
	f->ops[f->n++] = op;
	n->op = op;
	return op_lock(op, &n->p.dir, 1);
}

/* An op for each container, and all locked before the transaction begins. */
static int begin(struct flip *f)
{
	_cleanup_free_ struct node **sorted = calloc(f->t->n, sizeof *sorted);
	size_t count = 0;
	int r = 0;

	f->ops = calloc(f->t->n, sizeof *f->ops);
	if (!sorted || !f->ops)
		return -ENOMEM;
	for (size_t i = 0; i < f->t->n; i++)
		if (f->t->nodes[i]->changed)
			sorted[count++] = f->t->nodes[i];
	qsort(sorted, count, sizeof *sorted, by_container);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (i > 0 && by_container(&sorted[i - 1], &sorted[i]) == 0)
			sorted[i]->op = sorted[i - 1]->op;
		else
			r = begin_one(f, sorted[i]);
	}
	if (r == 0)
		r = op_txn(f->ops[0]);
	for (size_t i = 1; r == 0 && i < f->n; i++)
		op_join(f->ops[i], f->ops[0]);
	return r;
}

/* ---- names ----------------------------------------------------------------------------------- */

static size_t count_of(const struct buf *entries)
{
	return entries->len / sizeof(struct dentry);
}

static const struct dentry *entry_at(const struct buf *entries, size_t i)
{
	return (const struct dentry *)(const void *)(entries->data + i * sizeof(struct dentry));
}

/* A name in the node's directory goes or comes. */
static int tell(struct node *n, const struct dentry *d)
{
	if (d->type == S_IFDIR >> 12 && node_is_holder(n->role))
		news_named(n->p.s, n->p.dir->ino, d->name, d->name_len);
	return n->p.each ? n->p.each(n->p.arg, n->p.dir->ino, d->name) : 0;
}

static int get_hidden(struct node *n, struct inode **ret_hidden)
{
	return op_lookup(n->op, n->p.dir, n->p.hidden, strlen(n->p.hidden), ret_hidden);
}

/* What a name that is there becomes: it stays, is taken for a node, or goes. */
static int take_one(struct puttree *t, struct node *n, const struct dentry *d)
{
	struct node *m = d->type == S_IFDIR >> 12 ? puttree_find(t, d->ino) : NULL;

	if (m ? t->nodes[m->above] == n && strcmp(m->name, d->name) == 0 : n->role == ROLE_PLAIN)
		return 0;
	int r = op_take_entry(n->op, n->p.dir, d);
	if (r == 0)
		r = tell(n, d);
	if (r < 0 || !m)
		return r < 0 ? r : buf_append(&n->out, d, sizeof *d);
	if (!m->op)
		return -EAGAIN; /* it moved, so it changed */
	m->entry = malloc(sizeof *d);
	if (!m->entry)
		return -ENOMEM;
	*m->entry = *d;
	m->left = n->p.dir->container->id;
	return 0;
}

static int take_names(struct puttree *t, struct node *n)
{
	_cleanup_inode_ struct inode *hidden = NULL;
	_cleanup_buf_ struct buf here = {0};
	int r = n->role == ROLE_PLAIN ? 0 : get_hidden(n, &hidden);

	if (r == 0)
		r = op_read_entries(n->op, n->p.dir, hidden ? hidden->ino : 0, &here);
	for (size_t i = 0; r == 0 && i < count_of(&here); i++)
		r = take_one(t, n, entry_at(&here, i));
	if (r == 0 && hidden)
		r = op_read_entries(n->op, hidden, 0, &n->in);
	for (size_t i = 0; r == 0 && i < count_of(&n->in); i++)
		r = op_take_entry(n->op, hidden, entry_at(&n->in, i));
	return r;
}

static int give_names(struct node *n)
{
	_cleanup_inode_ struct inode *hidden = NULL;
	int r = get_hidden(n, &hidden);

	for (size_t i = 0; r == 0 && i < count_of(&n->in); i++) {
		r = op_give_entry(n->op, n->p.dir, entry_at(&n->in, i));
		if (r == 0)
			r = tell(n, entry_at(&n->in, i));
	}
	for (size_t i = 0; r == 0 && i < count_of(&n->out); i++)
		r = op_give_entry(n->op, hidden, entry_at(&n->out, i));
	return r;
}

/* A node that lay elsewhere, or under another name. */
static int give_node(struct puttree *t, struct node *m)
{
	struct node *to = t->nodes[m->above];
	struct irec *rec = op_stage(m->op, m->p.dir);

	if (!rec || !to->op)
		return rec ? -EAGAIN : -ENOMEM;
	m->entry->name_len = strlen(m->name);
	memset(m->entry->name, 0, sizeof m->entry->name);
	memcpy(m->entry->name, m->name, m->entry->name_len);
	int r = op_give_entry(to->op, to->p.dir, m->entry);
	if (r == 0)
		r = tell(to, m->entry);
	rec->parent = to->p.dir->ino;
	if (r == 0 && m->left != to->p.dir->container->id)
		r = op_leave_place(m->op, m->p.dir->container);
	if (r == 0 && m->role != ROLE_SESSION)
		r = place_put_name(m->op, m->p.dir->container, m->name, strlen(m->name));
	return r;
}

static int move_names(struct puttree *t)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		struct node *n = t->nodes[i];
		if (n->op && n->now && n->role != ROLE_SESSION)
			r = take_names(t, n);
	}
	for (size_t i = 0; r == 0 && i < t->n; i++) {
		struct node *n = t->nodes[i];
		if (n->op && n->now && node_is_holder(n->role))
			r = give_names(n);
	}
	for (size_t i = 0; r == 0 && i < t->n; i++)
		if (t->nodes[i]->entry)
			r = give_node(t, t->nodes[i]);
	return r;
}

/* ---- what they are --------------------------------------------------------------------------- */

static bool goes(const struct puttree *t, uint32_t container)
{
	for (size_t at = 0; at < t->going.len; at += sizeof container)
		if (memcmp(t->going.data + at, &container, sizeof container) == 0)
			return true;
	return false;
}

/* One that was removed gets its old id, where nobody who stays has it by now. */
static int put_new_session(struct puttree *t, struct node *n)
{
	struct container *c = n->p.dir->container;
	struct srec *rec = &n->p.then;
	uint32_t holder;
	int r = ids_holder(n->op, n->user, rec->id, &holder);

	if (r == 0 && holder != c->id && !goes(t, holder)) {
		uuid_random(rec->id);
		srec_changed(rec, &n->op->now);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	r = ids_put(n->op, n->user, rec->id, c->id);
	if (r == 0)
		r = putback_put_rendering(n->op, &n->p, n->p.dir);
	return r < 0 ? r : srec_store(n->op, c, rec);
}

static int put_node(struct puttree *t, struct node *n)
{
	int r = 0;

	container_stamp(n->p.dir->container);
	if (n->role == ROLE_PLAIN)
		return 0;
	if (n->role == ROLE_SESSION && n->now)
		return putback_exchange_in(n->op, &n->p);
	if (n->role == ROLE_SESSION)
		r = put_new_session(t, n);
	return r < 0 ? r : putback_put_root(n->op, &n->p);
}

int puttree_flip(struct puttree *t)
{
	_cleanup_(flip_end) struct flip f = {.t = t};
	int r = recheck(t);

	if (r == 0)
		r = add_sources(t);
	if (r == 0)
		r = begin(&f);
	if (r == 0)
		r = move_names(t);
	for (size_t i = 0; r == 0 && i < t->n; i++)
		if (t->nodes[i]->op)
			r = put_node(t, t->nodes[i]);
	if (r == 0)
		r = op_commit_all(f.ops, f.n);
	return r == -ESTALE || r == -EBUSY ? -EAGAIN : r;
}
