/*
 * The one permission check that the kernel does not make for us: a session that is made by an ioctl on a
 * directory opened for reading. As access control of POSIX.1e drafts has it: owner, named users,
 * groups under the mask, others.
 */
#include "fs/fuse/server.h"

#include <endian.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>

#define WANT 3 /* write and search */

enum { TAG_USER_OBJ = 1, TAG_USER = 2, TAG_GROUP_OBJ = 4, TAG_GROUP = 8, TAG_MASK = 16, TAG_OTHER = 32 };

/* The caller's groups, its own first. */
struct groups {
	gid_t *gid;
	int n;
};

static void groups_release(struct groups *g)
{
	free(g->gid);
}

static int groups_read(fuse_req_t req, const struct cred *who, struct groups *ret_groups)
{
	int n = fuse_req_getgroups(req, 0, NULL);
	if (n < 0)
		n = 0; /* the caller has gone, or hides its status */
	gid_t *gid = calloc((size_t)n + 1, sizeof *gid);
	if (!gid)
		return -ENOMEM;
	gid[0] = who->gid;
	int got = n > 0 ? fuse_req_getgroups(req, n, gid + 1) : 0;
	*ret_groups = (struct groups){.gid = gid, .n = 1 + (got < 0 ? 0 : got < n ? got : n)};
	return 0;
}

static bool groups_have(const struct groups *g, gid_t gid)
{
	for (int i = 0; i < g->n; i++)
		if (g->gid[i] == gid)
			return true;
	return false;
}

bool access_in_group(fuse_req_t req, const struct cred *who, gid_t gid)
{
	_cleanup_(groups_release) struct groups groups = {0};
	if (who->gid == gid)
		return true;
	return groups_read(req, who, &groups) == 0 && groups_have(&groups, gid);
}

/* As Linux: without group execution the bit is no program's, and stays for whom may set it. */
int access_kills(fuse_req_t req, const struct cred *who, uint64_t ino, unsigned *set)
{
	struct stat st;
	int r = core_getattr(server_of(req)->core, ino, &st, NULL);
	if (r < 0)
		return r;
	*set |= CORE_SET_KILL_PRIV;
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == S_ISGID && who->uid != 0 &&
		!access_in_group(req, who, st.st_gid))
		*set |= CORE_SET_KILL_SGID;
	return 0;
}

/* What the list grants to somebody who is not the owner. */
static bool acl_grants(const struct buf *acl, const struct cred *who, const struct groups *groups,
	gid_t owning)
{
	const struct posix_acl_xattr_entry *e =
		(const void *)(acl->data + sizeof(struct posix_acl_xattr_header));
	size_t n = (acl->len - sizeof(struct posix_acl_xattr_header)) / sizeof *e;
	unsigned mask = 7, other = 0, user = 0;
	bool named = false, in_group = false, group_grants = false;
	for (size_t i = 0; i < n; i++)
		if (le16toh(e[i].e_tag) == TAG_MASK)
			mask = le16toh(e[i].e_perm);
	for (size_t i = 0; i < n; i++) {
		unsigned tag = le16toh(e[i].e_tag), perm = le16toh(e[i].e_perm);
		uint32_t id = le32toh(e[i].e_id);
		if (tag == TAG_USER && id == who->uid) {
			named = true;
			user = perm;
		} else if (tag == TAG_GROUP_OBJ || tag == TAG_GROUP) {
			if (groups_have(groups, tag == TAG_GROUP ? id : owning)) {
				in_group = true;
				group_grants |= (perm & mask & WANT) == WANT;
			}
		} else if (tag == TAG_OTHER) {
			other = perm;
		}
	}
	if (named)
		return (user & mask & WANT) == WANT;
	return in_group ? group_grants : (other & WANT) == WANT;
}

int access_may_create(fuse_req_t req, const struct cred *who, uint64_t ino)
{
	struct server *s = server_of(req);
	struct stat st;
	int r = core_getattr(s->core, ino, &st, NULL);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if (who->uid == 0)
		return 0;
	if (who->uid == st.st_uid)
		return (st.st_mode >> 6 & WANT) == WANT ? 0 : -EACCES;

	_cleanup_(groups_release) struct groups groups = {0};
	r = groups_read(req, who, &groups);
	if (r < 0)
		return r;
	_cleanup_buf_ struct buf acl = {0};
	r = core_getxattr(s->core, ino, XATTR_NAME_POSIX_ACL_ACCESS, &acl);
	if (r < 0 && r != -ENODATA)
		return r;
	bool granted;
	if (r == 0 && acl.len >= sizeof(struct posix_acl_xattr_header))
		granted = acl_grants(&acl, who, &groups, st.st_gid);
	else if (groups_have(&groups, st.st_gid))
		granted = (st.st_mode >> 3 & WANT) == WANT;
	else
		granted = (st.st_mode & WANT) == WANT;
	return granted ? 0 : -EACCES;
}
