/*
 * Requests about extended attributes.
 */
#include "fs/fuse/reply.h"

#include <linux/xattr.h>

/*
 * An ACL set by somebody outside the file's group takes the set-group-id bit away, as chmod does; the
 * kernel does that itself for chmod and leaves it to us here (FUSE_SETXATTR_ACL_KILL_SGID).
 */
static int acl_kill_sgid(fuse_req_t req, const struct cred *who, uint64_t ino)
{
	struct server *s = server_of(req);
	struct stat st;
	if (who->uid == 0)
		return 0;
	int r = core_getattr(s->core, ino, &st, NULL);
	if (r < 0 || !(st.st_mode & S_ISGID) || access_in_group(req, who, st.st_gid))
		return r;
	st.st_mode &= (mode_t)~S_ISGID;
	return session_setattr(s->sessions, who, ino, &st, CORE_SET_MODE, &st);
}

void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	int flags)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	int r = views_owns(ino) ? -EPERM : 0;
	if (r == 0 && strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS) == 0)
		r = acl_kill_sgid(req, &who, ino);
	if (r == 0)
		r = session_setxattr(s->sessions, &who, ino, name, value, size, flags);
	reply_error(req, ino, r);
}

void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	_cleanup_buf_ struct buf value = {0};
	int r = views_owns(ino) ? views_getxattr(s->views, ino, name, &value)
				: session_getxattr(s->sessions, &who, ino, name, &value);
	if (r == 0)
		reply_xattr(req, &value, size);
	else
		reply_error(req, ino, r);
}

/* The names of trusted attributes are for root, as elsewhere; the kernel hides only their values. */
static void hide_trusted(struct buf *names)
{
	char *list = (char *)names->data;
	size_t len, kept = 0;
	for (size_t at = 0; at < names->len; at += len) {
		len = strlen(list + at) + 1;
		if (strncmp(list + at, XATTR_TRUSTED_PREFIX, XATTR_TRUSTED_PREFIX_LEN) == 0)
			continue;
		memmove(list + kept, list + at, len);
		kept += len;
	}
	names->len = kept;
}

void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	_cleanup_buf_ struct buf names = {0};
	int r = views_owns(ino) ? views_listxattr(server_of(req)->views, ino, &names)
				: core_listxattr(server_of(req)->core, ino, &names);
	if (r == 0 && fuse_req_ctx(req)->uid != 0)
		hide_trusted(&names);
	if (r == 0)
		reply_xattr(req, &names, size);
	else
		reply_error(req, ino, r);
}

void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	reply_error(req, ino,
		views_owns(ino) ? -EPERM : session_removexattr(s->sessions, &who, ino, name));
}
