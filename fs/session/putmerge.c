/* putmerge.c: putmerge.h has the idea. */
#include "fs/session/putmerge.h"

#include <stdio.h>

struct merged {
	struct inode *dir, *from, *holder; /* in the present, in the snapshot, and where the copies lie */
	size_t above;			   /* index of the one that has it, with @name; the session's is its own */
	size_t stay;			   /* entries of @dir that do */
	struct buf in, out;		   /* struct dentry, in the flip */
	char name[CORE_NAME_MAX + 1];
};

/* Numbers of the present, sorted when they are complete. */
struct numbers {
	uint64_t *of;
	size_t n, cap;
};

struct putmerge {
	struct putback *p;
	struct numbers changed; /* since the snapshot, and the directories above */
	struct numbers kept;	/* files, and directories with all below them */
	struct merged **dirs;
	size_t n;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int numbers_add(struct numbers *all, uint64_t number)
{
	if (all->n == all->cap) {
		size_t cap = all->cap ? 2 * all->cap : 64;
		uint64_t *of = reallocarray(all->of, cap, sizeof *of);
		if (!of)
			return -ENOMEM;
		all->of = of;
		all->cap = cap;
	}
	all->of[all->n++] = number;
	return 0;
}

static void numbers_sort(struct numbers *all)
{
	if (all->n)
		qsort(all->of, all->n, sizeof *all->of, by_number);
}

static bool numbers_have(const struct numbers *all, uint64_t number)
{
	return all->n && bsearch(&number, all->of, all->n, sizeof number, by_number);
}

void putmerge_free(struct putmerge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++) {
		inode_put(m->dirs[i]->dir);
		inode_put(m->dirs[i]->from);
		inode_put(m->dirs[i]->holder);
		buf_release(&m->dirs[i]->in);
		buf_release(&m->dirs[i]->out);
		free(m->dirs[i]);
	}
	free(m->dirs);
	free(m->changed.of);
	free(m->kept.of);
	free(m);
}

/* ---- the plan -------------------------------------------------------------------------------- */

/*
 * The op of the flip stages the directory and the holder of each; and the names of a session that mean something, of
 * then and of now, with what a rendering takes.
 */
#define MERGED_MOST ((OP_STAGED - 12) / 2)

/* Takes a reference to each. -EOPNOTSUPP: these are too many. */
static int add_dir(struct putmerge *m, struct inode *dir, struct inode *from, struct inode *holder, size_t above,
        const char *name)
{
	if (m->n == MERGED_MOST)
		return -EOPNOTSUPP;
	struct merged **dirs = reallocarray(m->dirs, m->n + 1, sizeof *dirs);
	struct merged *d = dirs ? calloc(1, sizeof *d) : NULL;

	if (dirs)
		m->dirs = dirs;
	if (!d)
		return -ENOMEM;
	d->dir = inode_ref(dir);
	d->from = inode_ref(from);
	d->holder = inode_ref(holder);
	d->above = above;
	snprintf(d->name, sizeof d->name, "%s", name);
	m->dirs[m->n++] = d;
	return 0;
}

static int note_change(void *arg, uint64_t ino, bool many)
{
	struct putmerge *m = arg;
	return many ? 1 : numbers_add(&m->changed, ino);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whether no more than the time of the last access has moved: all else moves ctime. */
static bool is_same(struct inode *then, struct inode *now)
{
	pthread_rwlock_rdlock(&now->lock);
	bool same = now->generation == then->generation && !now->ghost && !inode_is_dir(now) &&
	            same_time(&now->rec.ctime, &then->rec.ctime) && same_time(&now->rec.mtime, &then->rec.mtime) &&
	            now->rec.size == then->rec.size && now->rec.nlink == then->rec.nlink &&
	            now->rec.body == then->rec.body && now->rec.map.root.version == then->rec.map.root.version;
	pthread_rwlock_unlock(&now->lock);
	return same;
}

/* What belongs to a directory besides its names and times. */
static bool same_rights(struct inode *then, struct inode *now)
{
	const struct irec *a = &then->rec, *b = &now->rec;

	pthread_rwlock_rdlock(&now->lock);
	bool same = now->generation == then->generation && !now->ghost && a->mode == b->mode && a->uid == b->uid &&
	            a->gid == b->gid && a->role == b->role && a->xattrs == b->xattrs &&
	            a->xattr_sum.hi == b->xattr_sum.hi && a->xattr_sum.lo == b->xattr_sum.lo;
	pthread_rwlock_unlock(&now->lock);
	return same;
}

/* A directory that may have kept its inode: -EOPNOTSUPP where its name leads elsewhere now. */
static int merge_dir(struct putmerge *m, size_t above, const char *name, struct inode *from, struct inode *now)
{
	struct merged *up = m->dirs[above];
	_cleanup_inode_ struct inode *holder = NULL;
	struct core_entry entry;
	int r = core_lookup(m->p->s->core, up->dir->ino, name, &entry);

	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r;
	core_forget(m->p->s->core, entry.ino, 1);
	if (entry.ino != now->ino || !same_rights(from, now))
		return -EOPNOTSUPP;
	r = copy_holder(m->p->s, m->p->who, from->ino, up->holder, name, &holder);
	return r < 0 ? r : add_dir(m, now, from, holder, above, name);
}

static int plan_child(struct putmerge *m, size_t above, uint64_t then, const char *name)
{
	struct core *core = m->p->s->core;
	struct merged *up = m->dirs[above];
	_cleanup_inode_ struct inode *from = NULL, *now = NULL;
	uint64_t ino = snapshot_present_ino(then);

	if (above == 0 && putback_is_hidden(name))
		return 0;
	up->stay++;
	if (!numbers_have(&m->changed, ino))
		return numbers_add(&m->kept, ino);
	int r = inode_get(core, then, NULL, &from);
	if (r == 0)
		r = inode_get(core, ino, NULL, &now);
	if (r < 0 && r != -ENOENT && r != -ESTALE)
		return r;
	if (now && inode_is_dir(from) && !now->ghost && now->generation == from->generation)
		return merge_dir(m, above, name, from, now);
	if (now && is_same(from, now))
		return numbers_add(&m->kept, ino);
	up->stay--;
	return copy_into(m->p->s, m->p->who, then, up->holder, name, up->dir->ino, above == 0);
}

static int plan_dir(struct putmerge *m, size_t at)
{
	_cleanup_buf_ struct buf list = {0};
	int r = copy_list(m->p->s->core, m->dirs[at]->from->ino, &list);

	for (size_t i = 0; r == 0 && i < list.len; i += sizeof(struct listed)) {
		const struct listed *one = (const void *)(list.data + i);
		r = plan_child(m, at, one->ino, one->name);
	}
	return r;
}

int putmerge_plan(struct putback *p, struct inode *hidden, struct putmerge **ret_merge)
{
	struct putmerge *m = calloc(1, sizeof *m);
	uint64_t after = 0;

	if (!m)
		return -ENOMEM;
	m->p = p;
	int r = snapshot_changes(p->s->core, p->from->ino, p->dir->ino, &after, note_change, m);
	if (r > 0)
		r = -EOPNOTSUPP;
	numbers_sort(&m->changed);
	if (r == 0)
		r = add_dir(m, p->dir, p->from, hidden, 0, "");
	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = plan_dir(m, i);
	numbers_sort(&m->kept);
	if (r == 0)
		*ret_merge = m;
	else
		putmerge_free(m);
	return r;
}

/* ---- the instant ----------------------------------------------------------------------------- */

static int check_kept(void *arg, uint64_t ino, bool many)
{
	struct putmerge *m = arg;
	_cleanup_inode_ struct inode *then = NULL, *now = NULL;

	if (many)
		return -EAGAIN;
	if (!numbers_have(&m->kept, ino))
		return 0;
	int r = inode_get(m->p->s->core, ino | (m->p->from->ino & ~SNAPSHOT_INO_MASK), NULL, &then);
	if (r == 0)
		r = inode_get(m->p->s->core, ino, NULL, &now);
	return r == 0 && is_same(then, now) ? 0 : r == 0 || r == -ENOENT || r == -ESTALE ? -EAGAIN : r;
}

int putmerge_check(struct putmerge *m)
{
	uint64_t after = 0;
	return snapshot_changes(m->p->s->core, m->p->from->ino, m->p->dir->ino, &after, check_kept, m);
}

static size_t count_of(const struct buf *entries)
{
	return entries->len / sizeof(struct dentry);
}

static const struct dentry *entry_at(const struct buf *entries, size_t i)
{
	return (const struct dentry *)(const void *)(entries->data + i * sizeof(struct dentry));
}

static bool stays(const struct putmerge *m, size_t at, const struct dentry *d)
{
	if (d->type != S_IFDIR >> 12 || numbers_have(&m->kept, d->ino))
		return numbers_have(&m->kept, d->ino);
	for (size_t i = 1; i < m->n; i++)
		if (m->dirs[i]->dir->ino == d->ino)
			return m->dirs[i]->above == at && strcmp(m->dirs[i]->name, d->name) == 0;
	return false;
}

static bool is_holder(const struct putmerge *m, uint64_t ino)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->dirs[i]->holder->ino == ino)
			return true;
	return false;
}

/* All entries that go and come are taken out first, so that none is in another's way. */
static int take_names(struct op *op, struct putmerge *m, size_t at)
{
	struct merged *d = m->dirs[at];
	_cleanup_buf_ struct buf here = {0}, there = {0};
	size_t stay = 0;
	int r = op_stage(op, d->dir) && op_stage(op, d->holder) ? 0 : -ENOMEM;

	d->in.len = d->out.len = 0;
	if (r == 0)
		r = op_read_entries(op, d->dir, at == 0 ? d->holder->ino : 0, &here);
	if (r == 0)
		r = op_read_entries(op, d->holder, 0, &there);
	for (size_t i = 0; r == 0 && i < count_of(&here); i++) {
		const struct dentry *e = entry_at(&here, i);
		if (stays(m, at, e)) {
			stay++;
			continue;
		}
		r = op_take_entry(op, d->dir, e);
		if (r == 0)
			r = buf_append(&d->out, e, sizeof *e);
	}
	for (size_t i = 0; r == 0 && i < count_of(&there); i++) {
		const struct dentry *e = entry_at(&there, i);
		if (is_holder(m, e->ino))
			continue;
		r = op_take_entry(op, d->holder, e);
		if (r == 0)
			r = buf_append(&d->in, e, sizeof *e);
	}
	return r == 0 && stay != d->stay ? -EBUSY : r;
}

static int give(struct op *op, struct putmerge *m, struct merged *d, struct inode *to, const struct buf *entries)
{
	const struct putback *p = m->p;
	int r = 0;

	for (size_t i = 0; r == 0 && i < count_of(entries); i++) {
		r = op_give_entry(op, to, entry_at(entries, i));
		if (r == 0 && p->each)
			r = p->each(p->arg, d->dir->ino, entry_at(entries, i)->name);
	}
	return r;
}

int putmerge_flip(struct op *op, struct putmerge *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = take_names(op, m, i);
	for (size_t i = 0; r == 0 && i < m->n; i++) {
		struct merged *d = m->dirs[i];
		r = give(op, m, d, d->dir, &d->in);
		if (r == 0)
			r = give(op, m, d, d->holder, &d->out);
		struct irec *rec = op_stage(op, d->dir);
		if (r < 0 || i == 0)
			continue; /* the session's own are its caller's */
		rec->atime = d->from->rec.atime;
		rec->ctime = op->now;
		r = inode_past_mtime(d->from, &rec->mtime);
		if (r == 0 && m->p->each)
			r = m->p->each(m->p->arg, d->dir->ino, "."); /* its times, if no name of it */
	}
	return r;
}
