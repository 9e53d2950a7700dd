/*
 * rename.c: rename with NOREPLACE and EXCHANGE.
 *
 * A directory that moves to another parent could end up below itself when two such moves run at once: they
 * are serialised by rename_lock, under which the chain of parents is walked.
 */
#include "fs/core/pins.h"

#include <linux/fs.h>

struct rename {
	struct core *core;
	const struct cred *who;
	uint64_t parent, new_parent;
	const char *name, *new_name;
	unsigned flags;
	const struct core_rule *rule;
};

static int open_all(struct op *op, const struct rename *rn)
{
	int r;

	op->name = rn->name;
	op->name2 = rn->new_name;
	op->rename_flags = rn->flags;
	r = name_check(rn->name, &op->name_len);
	if (r == 0)
		r = name_check(rn->new_name, &op->name2_len);
	if (r == 0 && (name_is_dots(rn->name) || name_is_dots(rn->new_name)))
		r = -EBUSY;
	if (r == 0)
		r = dir_get(op->core, rn->parent, &op->dir);
	if (r == 0)
		r = dir_get(op->core, rn->new_parent, &op->dir2);
	if (r == 0)
		r = dir_find(op->core, op->dir, op->name, op->name_len, &op->child);
	if (r < 0)
		return r;
	r = dir_find(op->core, op->dir2, op->name2, op->name2_len, &op->victim);
	return r == -ENOENT ? 0 : r;
}

/* With everything locked: are these still the inodes of these names? */
static int check_still(struct op *op)
{
	_cleanup_inode_ struct inode *child = NULL, *victim = NULL;
	int r = op_lookup(op, op->dir, op->name, op->name_len, &child);

	if (r < 0)
		return r;
	r = op_lookup(op, op->dir2, op->name2, op->name2_len, &victim);
	if (r < 0 && r != -ENOENT)
		return r;
	return child == op->child && victim == op->victim && !op->dir2->ghost ? 0 : -ESTALE;
}

/* "..", 0 of the root. It stays what it is: rename_lock is held. */
static uint64_t parent_of(struct op *op, struct inode *dir)
{
	uint64_t parent;

	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].inode == dir)
			return dir->rec.parent; /* locked by this op */
	pthread_rwlock_rdlock(&dir->lock);
	parent = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	return parent;
}

/* -EINVAL if @below lies under @dir. */
static int check_not_below(struct op *op, struct inode *dir, struct inode *below)
{
	_cleanup_inode_ struct inode *at = inode_ref(below);

	while (at->ino != CORE_ROOT_INO) {
		struct inode *up;
		uint64_t parent;
		int r;

		if (at == dir)
			return -EINVAL;
		parent = parent_of(op, at);
		if (!parent)
			return 0;
		r = inode_get(op->core, parent, NULL, &up);
		if (r < 0)
			return r;
		inode_put(at);
		at = up;
	}
	return at == dir ? -EINVAL : 0;
}

/* A container keeps its place in the key space; what has none cannot change it. */
static int check_device(struct op *op, struct inode *child, const struct inode *to)
{
	const struct irec *rec = op_stage(op, child);

	if (!rec)
		return -ENOMEM;
	if (rec->flags & INODE_CONTAINER_ROOT)
		return to->container->domain == child->container->domain || rec->parent == to->ino
			       ? 0
			       : -EXDEV;
	return child->container == to->container ? 0 : -EXDEV;
}

static int check_kinds(const struct op *op)
{
	bool child_dir = inode_is_dir(op->child), victim_dir;

	if (op->rename_flags & RENAME_EXCHANGE)
		return op->victim ? 0 : -ENOENT;
	if (!op->victim)
		return 0;
	if (op->rename_flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (op->victim == op->dir)
		return -ENOTEMPTY; /* the child is in it */
	victim_dir = inode_is_dir(op->victim);
	if (child_dir && !victim_dir)
		return -ENOTDIR;
	if (!child_dir && victim_dir)
		return -EISDIR;
	return 0;
}

static int check_all(struct op *op)
{
	bool exchange = op->rename_flags & RENAME_EXCHANGE;
	int r = check_kinds(op);

	if (r == 0)
		r = check_device(op, op->child, op->dir2);
	if (r == 0 && exchange)
		r = check_device(op, op->victim, op->dir);
	if (r < 0 || op->dir == op->dir2)
		return r;
	if (inode_is_dir(op->child))
		r = check_not_below(op, op->child, op->dir2);
	if (r == 0 && exchange && inode_is_dir(op->victim))
		r = check_not_below(op, op->victim, op->dir);
	return r;
}

static int stage_exchange(struct op *op)
{
	int r = op_replace_entry(op, op->dir, op->name, op->name_len, op->child, op->victim);

	if (r < 0)
		return r;
	return op_replace_entry(op, op->dir2, op->name2, op->name2_len, op->victim, op->child);
}

static int stage_move(struct op *op)
{
	struct irec *victim;
	int r = op_remove_entry(op, op->dir, op->name, op->name_len, op->child);

	if (r < 0)
		return r;
	if (!op->victim)
		return op_add_entry(op, op->dir2, op->name2, op->name2_len, op->child);
	victim = op_stage(op, op->victim);
	if (!victim)
		return -ENOMEM;
	if (S_ISDIR(victim->mode) && victim->size > 0)
		return -ENOTEMPTY;
	r = op_replace_entry(op, op->dir2, op->name2, op->name2_len, op->victim, op->child);
	if (r < 0)
		return r;
	victim->ctime = op->now;
	if (S_ISDIR(victim->mode))
		return op_drop_dir(op, op->dir2, op->victim);
	return victim->nlink == 0 ? op_drop_inode(op, op->victim) : 0;
}

/* What lies in a container of its own keeps the snapshots of the place that it leaves. */
static int leave_place(struct op *op, struct inode *child)
{
	const struct irec *rec = child ? op_stage(op, child) : NULL;

	if (!rec || !(rec->flags & INODE_CONTAINER_ROOT) || op->dir->container == op->dir2->container)
		return 0;
	return pins_leave_place(op, child->container);
}

static int stage_rename(struct op *op)
{
	struct irec *dir = op_stage(op, op->dir), *dir2 = op_stage(op, op->dir2);
	struct irec *child = op_stage(op, op->child);
	bool exchange = op->rename_flags & RENAME_EXCHANGE;
	int r;

	if (!dir || !dir2 || !child)
		return -ENOMEM;
	r = leave_place(op, op->child);
	if (r == 0 && exchange)
		r = leave_place(op, op->victim);
	if (r == 0)
		r = exchange ? stage_exchange(op) : stage_move(op);
	if (r < 0)
		return r;
	child->ctime = op->now;
	if (exchange)
		op_stage(op, op->victim)->ctime = op->now;
	op_touch_dir(op, dir);
	op_touch_dir(op, dir2);
	return 0;
}

static int rename_locked(struct op *op, const struct rename *rn)
{
	int r = op_lock(op, (struct inode *[]){op->dir, op->dir2, op->child, op->victim}, 4);

	if (r == 0)
		r = op_txn(op);
	if (r == 0)
		r = check_still(op);
	if (r == 0)
		r = op_plan(op, rn->rule);
	if (r == 0)
		r = check_all(op);
	if (r < 0)
		return r;
	if (op->child == op->victim)
		return 0; /* two links to one file: nothing to do */
	r = stage_rename(op);
	if (r == 0)
		r = op_also(op, rn->rule);
	return r < 0 ? r : op_commit(op);
}

static int rename_once(const struct rename *rn)
{
	_cleanup_(mutex_unlock_p) pthread_mutex_t *moves = NULL;
	_cleanup_(op_end) struct op op;
	int r;

	op_begin(&op, rn->core, rn->who);
	r = open_all(&op, rn);
	if (r < 0)
		return r;
	if (op.dir != op.dir2)
		moves = mutex_lock_ret(&rn->core->rename_lock);
	return rename_locked(&op, rn);
}

int core_rename(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned flags, const struct core_rule *rule)
{
	struct rename rn = {core, who, parent, new_parent, name, new_name, flags, rule};

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	return OP_RETRY(rename_once(&rn));
}
