/*
 * remove.c: unlink and rmdir.
 */
#include "fs/core/core_internal.h"

static int open_dir(struct op *op, uint64_t parent, const char *name)
{
	int r = name_check(name, &op->name_len);

	op->name = name;
	return r < 0 ? r : dir_get(op->core, parent, &op->dir);
}

/* What is no directory is of its directory's container: one lock, and one look-up under it. */
static int open_file(struct op *op, uint64_t parent, const char *name)
{
	int r = open_dir(op, parent, name);

	if (r == 0)
		r = op_lock(op, &op->dir, 1);
	if (r == 0)
		r = op_txn(op);
	if (r == 0)
		r = op_lookup(op, op->dir, name, op->name_len, &op->child);
	if (r == 0 && inode_is_dir(op->child))
		r = -EISDIR;
	return r;
}

/* Finds the directory, locks its container too, and makes sure that it is still the one. */
static int open_both(struct op *op, uint64_t parent, const char *name)
{
	_cleanup_inode_ struct inode *again = NULL;
	int r = open_dir(op, parent, name);

	if (r == 0)
		r = dir_find(op->core, op->dir, name, op->name_len, &op->child);
	if (r == 0)
		r = op_lock(op, (struct inode *[]){op->dir, op->child}, 2);
	if (r == 0)
		r = op_txn(op);
	if (r == 0)
		r = op_lookup(op, op->dir, name, op->name_len, &again);
	if (r == 0 && again != op->child)
		r = -ESTALE;
	return r;
}

static int unlink_once(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule)
{
	_cleanup_(op_end) struct op op;
	struct irec *dir, *rec;
	int r;

	op_begin(&op, core, who);
	r = open_file(&op, parent, name);
	if (r < 0)
		return r;
	kv_txn_set_shrinking(op.txn);
	r = op_plan(&op, rule);
	if (r < 0)
		return r;
	dir = op_stage(&op, op.dir);
	rec = op_stage(&op, op.child);
	r = op_remove_entry(&op, op.dir, name, op.name_len, op.child);
	if (r == 0 && rec->nlink == 0)
		r = op_drop_inode(&op, op.child);
	if (r < 0)
		return r;
	rec->ctime = op.now;
	op_touch_dir(&op, dir);
	r = op_also(&op, rule);
	return r < 0 ? r : op_commit(&op);
}

int core_unlink(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule)
{
	return OP_RETRY(unlink_once(core, who, parent, name, rule));
}

int op_drop_dir(struct op *op, struct inode *parent, struct inode *dir)
{
	struct irec *rec = op_stage(op, dir);
	int r;

	if (!rec)
		return -ENOMEM;
	if (rec->size > 0)
		return -ENOTEMPTY;
	rec->nlink = 0;
	rec->ctime = op->now;
	r = op_drop_inode(op, dir);
	if (r == 0 && rec->flags & INODE_CONTAINER_ROOT)
		r = op_drop_container(op, dir->container);
	if (r == 0 && dir->container->domain != parent->container->domain)
		r = work_add_domain(op, dir->container->domain);
	return r;
}

static int rmdir_once(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule)
{
	_cleanup_(op_end) struct op op;
	struct irec *dir, *rec;
	int r;

	op_begin(&op, core, who);
	r = open_both(&op, parent, name);
	if (r < 0)
		return r;
	if (!inode_is_dir(op.child))
		return -ENOTDIR;
	kv_txn_set_shrinking(op.txn);
	r = op_plan(&op, rule);
	if (r < 0)
		return r;
	dir = op_stage(&op, op.dir);
	rec = op_stage(&op, op.child);
	if (rec->size > 0)
		return -ENOTEMPTY;
	r = op_remove_entry(&op, op.dir, name, op.name_len, op.child);
	if (r == 0)
		r = op_drop_dir(&op, op.dir, op.child);
	if (r < 0)
		return r;
	op_touch_dir(&op, dir);
	r = op_also(&op, rule);
	return r < 0 ? r : op_commit(&op);
}

int core_rmdir(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_rule *rule)
{
	if (strcmp(name, ".") == 0)
		return -EINVAL;
	if (strcmp(name, "..") == 0)
		return -ENOTEMPTY;
	return OP_RETRY(rmdir_once(core, who, parent, name, rule));
}
