#include "fs/views/rights.h"

#include <endian.h>
#include <errno.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <string.h>

enum { TAG_USER = 2, TAG_GROUP_OBJ = 4, TAG_GROUP = 8, TAG_MASK = 16, TAG_OTHER = 32 };

int rights_load(struct core *core, uint64_t ino, const struct stat *st, struct rights *ret_rights)
{
	struct rights rights = {.uid = st->st_uid, .gid = st->st_gid, .mode = st->st_mode & 0777};
	int r = core_getxattr(core, ino, XATTR_NAME_POSIX_ACL_ACCESS, &rights.acl);

	if (r < 0 && r != -ENODATA) {
		rights_release(&rights);
		return r;
	}
	if (r < 0)
		rights.acl.len = 0;
	*ret_rights = rights;
	return 0;
}

void rights_release(struct rights *r)
{
	buf_release(&r->acl);
}

bool rights_same(const struct rights *a, const struct rights *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->mode == b->mode && a->acl.len == b->acl.len &&
	       (a->acl.len == 0 || memcmp(a->acl.data, b->acl.data, a->acl.len) == 0);
}

static bool in_group(const struct viewer *who, gid_t gid)
{
	return who->gid == gid || (who->in_group && who->in_group(who->arg, gid));
}

/* What the list grants to somebody who is not the owner. */
static bool acl_grants(const struct rights *r, const struct viewer *who, unsigned want)
{
	const size_t head = sizeof(struct posix_acl_xattr_header);
	const struct posix_acl_xattr_entry *e = (const void *)(r->acl.data + head);
	size_t n = (r->acl.len - head) / sizeof *e;
	unsigned mask = 7, other = 0, user = 0;
	bool named = false, member = false, group_grants = false;

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
			if (in_group(who, tag == TAG_GROUP ? id : r->gid)) {
				member = true;
				group_grants |= (perm & mask & want) == want;
			}
		} else if (tag == TAG_OTHER) {
			other = perm;
		}
	}
	if (named)
		return (user & mask & want) == want;
	return member ? group_grants : (other & want) == want;
}

bool rights_grant(const struct rights *r, const struct viewer *who, unsigned want)
{
	if (who->uid == 0)
		return true;
	if (who->uid == r->uid)
		return (r->mode >> 6 & want) == want;
	if (r->acl.len >= sizeof(struct posix_acl_xattr_header))
		return acl_grants(r, who, want);
	/* The groups of a caller are found out only where it matters. */
	unsigned group = r->mode >> 3 & want, other = r->mode & want;
	if ((group == want) == (other == want))
		return other == want;
	return in_group(who, r->gid) ? group == want : other == want;
}
