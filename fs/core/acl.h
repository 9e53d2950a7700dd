/*
 * acl.h: POSIX access control lists: decoded, and as an inode's mode and its directory's default
 * see them.
 *
 * They come and are stored in the kernel's form, version 2, all little-endian:
 *
 *   u32 version (2) | entries: u16 tag | u16 permissions (0–7) | u32 id (of named ones, else ~0)
 *
 * in the order user::, user:NAME…, group::, group:NAME…, mask::, other::. A stored access ACL
 * always says more than the mode does, so it has a mask; the kernel checks permissions by it, core
 * keeps it and the mode in step. Pure but for the functions that take an op.
 */
#ifndef SCRIBEFS_FS_CORE_ACL_H
#define SCRIBEFS_FS_CORE_ACL_H

#include "fs/core/op.h"

enum acl_tag {
	ACL_TAG_USER_OBJ = 1,
	ACL_TAG_USER = 2,
	ACL_TAG_GROUP_OBJ = 4,
	ACL_TAG_GROUP = 8,
	ACL_TAG_MASK = 16,
	ACL_TAG_OTHER = 32,
};

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	size_t n;
	struct acl_entry entries[];
};

/*
 * *ret_acl is NULL for a list without entries; the caller frees it with free(). -EINVAL: no valid
 * ACL; -EOPNOTSUPP: another version; -ENOMEM.
 */
int acl_decode(const void *data, size_t len, struct acl **ret_acl);
/* Replaces @ret_value. -ENOMEM. */
int acl_encode(const struct acl *acl, struct buf *ret_value);
/* The nine permission bits that stand for it; *ret_same (may be NULL): they say all of it. */
mode_t acl_mode(const struct acl *acl, bool *ret_same);
/* chmod: owner, other, and the mask (group, where there is none) become those of @mode. */
void acl_set_mode(struct acl *acl, mode_t mode);
/* Takes away what @mode does not have (a new file under a default ACL); returns the bits left. */
mode_t acl_restrict(struct acl *acl, mode_t mode);

/*
 * setxattr and removexattr (@size 0) of an ACL of a staged inode: the mode follows an access ACL.
 * -EACCES: a default ACL for something that is no directory; -EOPNOTSUPP: a symlink.
 */
int acl_store(struct op *op, struct inode *inode, bool is_default, const void *value, size_t size);
/* After a chmod of a staged inode: its access ACL follows the mode. */
int acl_follow_mode(struct op *op, struct inode *inode);

/*
 * What a new child takes from its directory, both staged: the default ACL, or where there is none the umask.
 * @mode: as asked for.
 */
int acl_inherit(struct op *op, struct inode *dir, struct inode *child, mode_t mode);

#endif
