/*
 * Requests about attributes and the filesystem as a whole.
 */
#include "fs/fuse/reply.h"

void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct stat st;
	bool fleeting = false;
	_cleanup_asker_ struct asker asker;
	asker_init(req, &asker);
	int r = views_owns(ino) ? views_getattr(s->views, &asker.viewer, ino, &st, &fleeting)
				: core_getattr(s->core, ino, &st, &fleeting);
	if (r == 0)
		reply_attr(req, &st, fleeting);
	else
		reply_error(req, ino, r);
}

/* FATTR_* of the protocol, as libfuse names them, to what core sets. */
static unsigned core_set(int to_set)
{
	unsigned set = 0;
	if (to_set & FUSE_SET_ATTR_MODE)
		set |= CORE_SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		set |= CORE_SET_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		set |= CORE_SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		set |= CORE_SET_SIZE;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		set |= CORE_SET_ATIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		set |= CORE_SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		set |= CORE_SET_MTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		set |= CORE_SET_MTIME;
	/* FATTR_KILL_SUIDGID of FUSE_HANDLE_KILLPRIV_V2: chown, or truncate without CAP_FSETID. */
	if (to_set & FUSE_SET_ATTR_KILL_SUID)
		set |= CORE_SET_KILL_PRIV;
	return set;
}

void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
	struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct stat now;
	bool fleeting = false;
	unsigned set = core_set(to_set);
	int r = views_owns(ino) ? -EPERM : 0;
	if (r == 0 && set & CORE_SET_KILL_PRIV)
		r = access_kills(req, &who, ino, &set);
	if (r == 0 && set != 0)
		r = session_setattr(s->sessions, &who, ino, st, set, &now);
	/* Also for what session made of it, and whether a writer is at work. */
	if (r == 0)
		r = core_getattr(s->core, ino, &now, &fleeting);
	if (r == 0)
		reply_attr(req, &now, fleeting);
	else
		reply_error(req, ino, r);
}

int server_kill_priv(fuse_req_t req, const struct cred *who, uint64_t ino)
{
	struct server *s = server_of(req);
	struct stat st;
	if (who->uid == 0)
		return 0;
	int r = core_getattr(s->core, ino, &st, NULL);
	if (r < 0 || !(st.st_mode & (S_ISUID | S_ISGID)))
		return r;
	unsigned kill = 0;
	r = access_kills(req, who, ino, &kill);
	return r < 0 ? r : session_setattr(s->sessions, who, ino, &st, kill, &st);
}

void ops_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int r = core_statfs(server_of(req)->core, &st);
	if (r == 0)
		fuse_reply_statfs(req, &st);
	else
		reply_error(req, ino, r);
}
