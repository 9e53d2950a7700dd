#include "fs/core/acl.h"
#include "fs/core/core_internal.h"
#include "fs/core/xattr.h"

#include <linux/limits.h>
#include <sys/xattr.h>

enum namespace { NS_USER, NS_PLAIN /* trusted and security */, NS_ACL_ACCESS, NS_ACL_DEFAULT };

static int name_namespace(const char *name, enum namespace *ret_ns)
{
	static const struct {
		const char *prefix;
		enum namespace ns;
	} spaces[] = {{"user.", NS_USER}, {"trusted.", NS_PLAIN}, {"security.", NS_PLAIN}};
	size_t len = strlen(name);
	if (!len || len > XATTR_NAME_MAX)
		return -ERANGE;
	if (!strcmp(name, XATTR_NAME_ACL_ACCESS) || !strcmp(name, XATTR_NAME_ACL_DEFAULT)) {
		*ret_ns = !strcmp(name, XATTR_NAME_ACL_ACCESS) ? NS_ACL_ACCESS : NS_ACL_DEFAULT;
		return 0;
	}
	for (size_t i = 0; i < sizeof spaces / sizeof spaces[0]; i++) {
		size_t n = strlen(spaces[i].prefix);
		if (strncmp(name, spaces[i].prefix, n))
			continue;
		if (len == n)
			return -EINVAL;
		*ret_ns = spaces[i].ns;
		return 0;
	}
	return -EOPNOTSUPP;
}

static int setxattr_once(struct core *core, const struct cred *who, uint64_t ino, const char *name,
	const void *value, size_t size, int flags)
{
	_cleanup_inode_ struct inode *inode = NULL;
	_cleanup_(op_end) struct op op;
	enum namespace ns;
	op_begin(&op, core, who);
	int r = name_namespace(name, &ns);
	if (r == 0)
		r = inode_get(core, ino, NULL, &inode);
	if (r < 0)
		return r;
	struct irec *rec = op_stage(&op, inode);
	if (!rec)
		return -ENOMEM;
	if (ns == NS_ACL_ACCESS || ns == NS_ACL_DEFAULT)
		r = acl_store(&op, inode, ns == NS_ACL_DEFAULT, value, size);
	else if (ns == NS_USER && !S_ISREG(rec->mode) && !S_ISDIR(rec->mode))
		r = -EPERM;
	else
		r = xattr_put(&op, inode, name, value, size, flags);
	if (r < 0)
		return r;
	rec->ctime = op.now;
	return op_commit(&op);
}

int core_setxattr(struct core *core, const struct cred *who, uint64_t ino, const char *name,
	const void *value, size_t size, int flags)
{
	if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) || flags == (XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	return OP_RETRY(setxattr_once(core, who, ino, name, value, size, flags));
}

static int removexattr_once(struct core *core, const struct cred *who, uint64_t ino,
	const char *name)
{
	_cleanup_inode_ struct inode *inode = NULL;
	_cleanup_(op_end) struct op op;
	enum namespace ns;
	op_begin(&op, core, who);
	int r = name_namespace(name, &ns);
	if (r == 0)
		r = inode_get(core, ino, NULL, &inode);
	if (r < 0)
		return r;
	struct irec *rec = op_stage(&op, inode);
	if (!rec)
		return -ENOMEM;
	uint32_t before = rec->xattrs;
	if (ns == NS_ACL_ACCESS || ns == NS_ACL_DEFAULT)
		r = acl_store(&op, inode, ns == NS_ACL_DEFAULT, NULL, 0);
	else if (ns == NS_USER && !S_ISREG(rec->mode) && !S_ISDIR(rec->mode))
		r = -EPERM;
	else
		r = xattr_delete(&op, inode, name);
	if (r < 0 || rec->xattrs == before)
		return r;
	rec->ctime = op.now;
	return op_commit(&op);
}

int core_removexattr(struct core *core, const struct cred *who, uint64_t ino, const char *name)
{
	return OP_RETRY(removexattr_once(core, who, ino, name));
}

static void rwlock_unlock_p(pthread_rwlock_t **lock)
{
	if (*lock)
		pthread_rwlock_unlock(*lock);
}

/* The inode, read-locked; the caller unlocks. */
static int inode_get_locked(struct core *core, uint64_t ino, struct inode **ret_inode,
	pthread_rwlock_t **ret_lock)
{
	int r = inode_get(core, ino, NULL, ret_inode);
	if (r < 0)
		return r;
	*ret_lock = &(*ret_inode)->lock;
	pthread_rwlock_rdlock(*ret_lock);
	return 0;
}

int core_getxattr(struct core *core, uint64_t ino, const char *name, struct buf *ret_value)
{
	_cleanup_inode_ struct inode *inode = NULL;
	_cleanup_(rwlock_unlock_p) pthread_rwlock_t *lock = NULL;
	enum namespace ns;
	int r = name_namespace(name, &ns);
	/* Who may take and drop snapshots is who may write in the place. */
	if (snapshot_is_dir(ino) && strcmp(name, XATTR_NAME_ACL_ACCESS) == 0)
		ino = snapshot_present_ino(ino);
	if (r == 0)
		r = inode_get_locked(core, ino, &inode, &lock);
	if (r < 0)
		return r;
	return xattr_get(inode, name, ret_value);
}

int core_listxattr(struct core *core, uint64_t ino, struct buf *ret_names)
{
	_cleanup_inode_ struct inode *inode = NULL;
	_cleanup_(rwlock_unlock_p) pthread_rwlock_t *lock = NULL;
	int r = inode_get_locked(core, ino, &inode, &lock);
	return r < 0 ? r : xattr_list(inode, ret_names);
}
