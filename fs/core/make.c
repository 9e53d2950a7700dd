/*
 * make.c: everything that gives a name to an inode, new (mkdir, mknod, symlink, create) or old (link).
 */
#include "fs/core/acl.h"
#include "fs/core/core_internal.h"

#include <limits.h>
#include <sys/sysmacros.h>

int name_check(const char *name, size_t *ret_len)
{
	size_t len = strlen(name);

	if (len == 0 || memchr(name, '/', len))
		return -EINVAL;
	if (len > CORE_NAME_MAX)
		return -ENAMETOOLONG;
	*ret_len = len;
	return 0;
}

bool name_is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int op_plan(struct op *op, const struct core_rule *rule)
{
	return rule && rule->plan ? rule->plan(op, rule->arg) : 0;
}

int op_also(struct op *op, const struct core_rule *rule)
{
	return rule && rule->also ? rule->also(op, rule->arg) : 0;
}

static int open_parent(struct op *op, uint64_t ino, const char *name, struct inode **ret_dir)
{
	size_t len;
	int r = name_check(name, &len);

	if (r == 0 && name_is_dots(name))
		r = -EEXIST;
	return r < 0 ? r : dir_get(op->core, ino, ret_dir);
}

static int make_symlink(struct inode *child, struct irec *rec, const char *target)
{
	size_t len = strlen(target);

	if (len == 0)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	rec->body = INODE_TARGET;
	rec->size = len;
	return buf_append(&child->inline_data, target, len);
}

/* What a child takes from the directory it is made in: group and setgid, default ACL or umask. */
static int inherit(struct op *op, struct inode *child, const struct core_make *make)
{
	const struct irec *dir = op_stage(op, op->dir);
	struct irec *rec = op_stage(op, child);

	if (dir->mode & S_ISGID) {
		rec->gid = dir->gid;
		if (S_ISDIR(make->mode))
			rec->mode |= S_ISGID;
	}
	if (S_ISLNK(make->mode))
		return make_symlink(child, rec, make->target);
	return acl_inherit(op, op->dir, child, rec->mode);
}

static int make_child(struct op *op, const struct core_make *make, struct inode **ret_child)
{
	mode_t mode = make->mode & (S_IFMT | 07777);
	struct irec *rec;
	int r;

	if (S_ISLNK(mode))
		mode = S_IFLNK | 0777;
	if (op->container_kind)
		r = op_new_container(op, op->dir, op->container_kind, op->new_domain, mode, op->role,
			ret_child);
	else
		r = op_new_inode(op, op->dir->container, mode, op->role, ret_child);
	if (r < 0)
		return r;
	rec = op_stage(op, *ret_child);
	rec->flags |= op->inode_flags;
	if (S_ISCHR(mode) || S_ISBLK(mode))
		rec->rdev = (uint32_t)makedev(major(make->rdev), minor(make->rdev));
	return 0;
}

/* As entry_fill(), for an inode that the op has locked. */
int op_entry(struct op *op, struct inode *inode, struct core_entry *ret_entry)
{
	struct core_entry entry = {.ino = inode->ino, .generation = inode->rec.generation};
	int r = node_add(op->core->nodes, inode->ino);

	if (r < 0)
		return r;
	inode_stat(inode, &entry.st);
	entry.fleeting_attr = inode->data.writers > 0 || inode->untaken;
	*ret_entry = entry;
	return 0;
}

static int make_once(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_make *make, const struct core_rule *rule, struct core_entry *ret_entry)
{
	_cleanup_(op_end) struct op op;
	struct dentry found;
	struct irec *dir;
	int r;

	op_begin(&op, core, who);
	op.name = name;
	r = open_parent(&op, parent, name, &op.dir);
	if (r == 0)
		r = op_lock(&op, (struct inode *[]){op.dir}, 1);
	if (r == 0 && op.dir->ghost)
		r = -ENOENT;
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r;
	op.name_len = strlen(op.name);
	r = op_plan(&op, rule);
	if (r < 0)
		return r;
	r = op_find(&op, op.dir, op.name, op.name_len, &found);
	if (r != -ENOENT)
		return r < 0 ? r : -EEXIST;
	dir = op_stage(&op, op.dir);
	r = make_child(&op, make, &op.child);
	if (r < 0)
		return r;
	inode_ref(op.child);
	r = inherit(&op, op.child, make);
	if (r == 0)
		r = op_add_entry(&op, op.dir, op.name, op.name_len, op.child);
	if (r < 0)
		return r;
	op_touch_dir(&op, dir);
	r = op_also(&op, rule);
	if (r == 0)
		r = op_commit(&op);
	if (r < 0)
		return r;
	return op_entry(&op, op.child, ret_entry);
}

int core_make(struct core *core, const struct cred *who, uint64_t parent, const char *name,
	const struct core_make *make, const struct core_rule *rule, struct core_entry *ret_entry)
{
	return OP_RETRY(make_once(core, who, parent, name, make, rule, ret_entry));
}

static int link_once(struct core *core, const struct cred *who, uint64_t ino, uint64_t parent,
	const char *name, const struct core_rule *rule, struct core_entry *ret_entry)
{
	_cleanup_(op_end) struct op op;
	struct irec *dir, *rec;
	int r;

	op_begin(&op, core, who);
	op.name = name;
	op.name_len = strlen(name);
	r = open_parent(&op, parent, name, &op.dir);
	if (r == 0)
		r = inode_get(core, ino, NULL, &op.child);
	if (r < 0)
		return r;
	if (inode_is_dir(op.child))
		return -EPERM;
	r = op_lock(&op, (struct inode *[]){op.dir, op.child}, 2);
	if (r == 0 && op.dir->ghost)
		r = -ENOENT;
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = op_plan(&op, rule);
	if (r < 0)
		return r;
	dir = op_stage(&op, op.dir);
	rec = op_stage(&op, op.child);
	if (rec->nlink == 0)
		return -ENOENT;
	if (rec->nlink >= CORE_LINK_MAX)
		return -EMLINK;
	if (op.child->container != op.dir->container)
		return -EXDEV;
	r = op_add_entry(&op, op.dir, op.name, op.name_len, op.child);
	if (r < 0)
		return r;
	rec->ctime = op.now;
	op_touch_dir(&op, dir);
	r = op_also(&op, rule);
	if (r == 0)
		r = op_commit(&op);
	return r < 0 ? r : op_entry(&op, op.child, ret_entry);
}

int core_link(struct core *core, const struct cred *who, uint64_t ino, uint64_t parent,
	const char *name, const struct core_rule *rule, struct core_entry *ret_entry)
{
	return OP_RETRY(link_once(core, who, ino, parent, name, rule, ret_entry));
}
