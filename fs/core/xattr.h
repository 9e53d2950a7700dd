/*
 * xattr.h: extended attributes as records (xattr_record.c), below the calls of core.h (xattr.c):
 * for acl.c, attr.c and whoever changes an inode's bytes.
 *
 * One record an attribute in KV_META, key (inode, KEY_XATTR) and u64: the high 55 bits of
 * kv_hash64() of the name << 7 | ordinal. Names whose hashes collide have the ordinals 0, 1, …
 * without gaps; the name in the record is compared on every hit.
 *
 *   u16 length of the name | name | value
 *
 * irec.xattrs counts an inode's records (0: nothing is looked up) and irec.xattr_sum is the
 * multiset hash of kv_hash128() of each record, checked by a complete listing.
 */
#ifndef SCRIBEFS_FS_CORE_XATTR_H
#define SCRIBEFS_FS_CORE_XATTR_H

#include "fs/core/op.h"

#define XATTR_TOTAL_MAX (1u << 20) /* bytes of all records of one inode; ENOSPC beyond */

#define XATTR_NAME_ACL_ACCESS "system.posix_acl_access"
#define XATTR_NAME_ACL_DEFAULT "system.posix_acl_default"
#define XATTR_NAME_CAPABILITY "security.capability"

/* What is committed; the caller holds inode->lock. They replace the output. -ENODATA, -EBADMSG. */
int xattr_get(struct inode *inode, const char *name, struct buf *ret_value);
int xattr_list(struct inode *inode, struct buf *ret_names);

/*
 * The rest take an inode that the op has staged and keep its record's count and sum; the caller
 * sets ctime. Names and values are within Linux's limits (core_setxattr() checks them).
 */

/* The value, with what the op itself has changed, replaces @ret_value. -ENODATA. */
int xattr_read(struct op *op, struct inode *inode, const char *name, struct buf *ret_value);
/*
 * @flags as setxattr(2)'s: -EEXIST, -ENODATA. -ENOSPC too many or too much. -EOPNOTSUPP: a ghost,
 * which has no record that a record of its own could belong to.
 */
int xattr_put(struct op *op, struct inode *inode, const char *name, const void *value, size_t size,
	int flags);
/* -ENODATA. */
int xattr_delete(struct op *op, struct inode *inode, const char *name);
/* Removes the file capabilities, if there are any: its bytes or its owner change. */
int xattr_kill_capability(struct op *op, struct inode *inode);

#endif
