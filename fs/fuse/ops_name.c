/*
 * Requests about names. In the views' own directories nothing can be made, moved or removed: EPERM.
 */
#include "fs/fuse/reply.h"

#include <limits.h>

/* An inode that the kernel has forgotten, and a file handle names. What does not lead there is -ENOENT: ESTALE. */
static void lookup_self(fuse_req_t req, uint64_t ino)
{
	struct server *s = server_of(req);
	_cleanup_asker_ struct asker asker;
	struct core_entry entry = {0};
	asker_init(req, &asker);
	int r = views_owns(ino) ? views_lookup(s->views, &asker.viewer, ino, ".", &entry)
				: core_lookup(s->core, ino, ".", &entry);
	if (r == -ENOTDIR) /* a document */
		r = -ENOENT;
	entry.fleeting_attr = true; /* of session.json they would be */
	if (r == 0)
		reply_entry(req, &entry);
	else
		reply_error(req, ino, r);
}

void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (strcmp(name, ".") == 0) {
		lookup_self(req, parent);
		return;
	}
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	_cleanup_asker_ struct asker asker;
	struct core_entry entry;
	bool view = views_owns(parent);
	int r = server_check_name(name);
	asker_init(req, &asker);
	if (r == 0)
		r = view ? views_lookup(s->views, &asker.viewer, parent, name, &entry)
			 : session_lookup(s->sessions, &who, parent, name, &entry);
	if (r == 0)
		reply_entry(req, &entry);
	else if (r == -ENOENT)
		reply_absent(req, view ? views_constant(parent)
				       : session_negative_cacheable(s->sessions, parent));
	else
		reply_error(req, parent, r);
}

void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
	struct server *s = server_of(req);
	if (!views_owns(ino))
		core_forget(s->core, ino, nlookup);
	fuse_reply_none(req);
}

void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct server *s = server_of(req);
	for (size_t i = 0; i < count; i++)
		if (!views_owns(forgets[i].ino))
			core_forget(s->core, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* Whether an entry called @name may be made or removed in @parent, as far as this layer knows. */
static int check_change(uint64_t parent, const char *name)
{
	return views_owns(parent) ? -EPERM : server_check_name(name);
}

static void make(fuse_req_t req, uint64_t parent, const char *name, const struct core_make *what)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct core_entry entry;
	int r = check_change(parent, name);
	if (r == 0)
		r = session_make(s->sessions, &who, parent, name, what, &entry);
	if (r == 0)
		reply_entry(req, &entry);
	else
		reply_error(req, parent, r);
}

void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	make(req, parent, name, &(struct core_make){.mode = mode, .rdev = rdev});
}

static void make_in_view(fuse_req_t req, uint64_t parent, const char *name)
{
	struct core_entry entry;
	int r = server_check_name(name);
	if (r == 0)
		r = views_mkdir(server_of(req)->views, parent, name, &entry);
	if (r == 0)
		reply_entry(req, &entry);
	else
		reply_error(req, parent, r);
}

void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	if (views_owns(parent))
		make_in_view(req, parent, name);
	else
		make(req, parent, name, &(struct core_make){.mode = S_IFDIR | (mode & 07777)});
}

void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	if (strnlen(target, PATH_MAX) == PATH_MAX)
		reply_error(req, parent, -ENAMETOOLONG);
	else
		make(req, parent, name, &(struct core_make){.mode = S_IFLNK | 0777, .target = target});
}

void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct core_entry entry;
	int r = views_owns(ino) ? -EPERM : check_change(parent, name);
	if (r == 0)
		r = session_link(s->sessions, &who, ino, parent, name, &entry);
	if (r == 0)
		reply_entry(req, &entry);
	else
		reply_error(req, parent, r);
}

void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	int r = check_change(parent, name);
	reply_error(req, parent, r ? r : session_unlink(s->sessions, &who, parent, name));
}

void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	int r = server_check_name(name);
	if (r == 0)
		r = views_owns(parent) ? views_rmdir(s->views, parent, name)
				       : session_rmdir(s->sessions, &who, parent, name);
	reply_error(req, parent, r);
}

void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned flags)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	int r = check_change(parent, name);
	if (r == 0)
		r = check_change(new_parent, new_name);
	if (r == 0)
		r = session_rename(s->sessions, &who, parent, name, new_parent, new_name, flags);
	reply_error(req, parent, r);
}

void ops_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct server *s = server_of(req);
	_cleanup_buf_ struct buf target = {0};
	_cleanup_asker_ struct asker asker;
	asker_init(req, &asker);
	int r = views_owns(ino) ? views_readlink(s->views, &asker.viewer, ino, &target)
				: core_readlink(s->core, ino, &target);
	if (r == 0)
		r = buf_append(&target, "", 1);
	if (r == 0)
		fuse_reply_readlink(req, (const char *)target.data);
	else
		reply_error(req, ino, r);
}
