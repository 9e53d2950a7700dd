/*
 * Requests of our own tools that look into the past: going back, and what changed (ioctl.h).
 *
 * The kernel keeps names for long, so after a session was put back it is told all that may be others now, before
 * the tool gets its answer. It takes the directory's lock for that, which a process may hold that waits for an
 * answer; our caller does not hold it, and the other requests are served by other threads: only one thread may
 * be here at a time.
 */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/reply.h"

#include <stdio.h>

/* Both must be the caller's: else he could bring back, or take away, what is another's. */
static int check_owner(struct server *s, const struct cred *who, uint64_t target, uint64_t source)
{
	struct stat st;
	int r = core_getattr(s->core, target, &st, NULL);

	if (r == 0 && who->uid != 0 && st.st_uid != who->uid)
		r = -EPERM;
	if (r == 0)
		r = core_getattr(s->core, source, &st, NULL);
	if (r == 0 && who->uid != 0 && st.st_uid != who->uid)
		r = -EPERM;
	return r;
}

struct told {
	uint64_t dir;
	char name[CORE_NAME_MAX + 1];
};

static int collect(void *arg, uint64_t dir, const char *name)
{
	struct told told = {.dir = dir};

	snprintf(told.name, sizeof told.name, "%s", name);
	return buf_append(arg, &told, sizeof told);
}

static int put_whole(struct server *s, const struct cred *who, uint64_t ino, struct scribefs_put_back *asked)
{
	_cleanup_buf_ struct buf names = {0};
	int r = session_put_back(s->sessions, who, ino, asked->source, asked->flags, collect, &names, asked->kept);
	uint64_t last = 0;

	for (size_t at = 0; at < names.len; at += sizeof(struct told)) {
		const struct told *told = (const void *)(names.data + at);
		fuse_lowlevel_notify_inval_entry(s->se, told->dir, told->name, strlen(told->name));
		if (told->dir != last)
			fuse_lowlevel_notify_inval_inode(s->se, told->dir, 0, 0);
		last = told->dir;
	}
	int ended = session_put_back_end(s->sessions);
	return r < 0 ? r : ended;
}

static int put_entry(struct server *s, const struct cred *who, uint64_t ino, struct scribefs_put_back *asked)
{
	int r = server_check_name(asked->name);

	if (r == 0)
		r = session_put_entry(s->sessions, who, ino, asked->name, asked->source, asked->kept);
	if (r == 0)
		fuse_lowlevel_notify_inval_entry(s->se, ino, asked->name, strlen(asked->name));
	return r;
}

/* What a recovery id stands for, of a session that has no path any more. */
static int find_removed(struct server *s, const struct cred *who, struct scribefs_put_back *asked)
{
	struct snapshot_info info;
	int r = session_removed_find(s->sessions, who, asked->name, &info);

	asked->name[0] = '\0';
	if (r == 0)
		asked->source = info.root;
	return r;
}

static int put_back(struct server *s, fuse_req_t req, uint64_t ino, struct scribefs_put_back *asked)
{
	struct cred who = server_cred(req);

	if (s->read_only)
		return -EROFS;
	if (!memchr(asked->name, '\0', sizeof asked->name) || asked->flags & (asked->flags - 1) ||
		asked->flags > SCRIBEFS_PUT_OTHER ||
		asked->reserved)
		return -EINVAL;
	int r = asked->flags == SCRIBEFS_PUT_REMOVED && !asked->source ? find_removed(s, &who, asked) : 0;
	if (r == 0 && (views_owns(ino) || views_owns(asked->source)))
		r = -EPERM;
	if (r == 0 && asked->flags && asked->name[0])
		r = -EINVAL;
	if (r == 0)
		r = check_owner(s, &who, ino, asked->source);
	if (r == 0)
		r = access_may_create(req, &who, ino);
	if (r < 0)
		return r;
	if (atomic_exchange(&s->putting_back, true))
		return -EBUSY;
	who.umask = 0; /* what is made has the rights that it had */
	r = (asked->name[0] ? put_entry : put_whole)(s, &who, ino, asked);
	atomic_store(&s->putting_back, false);
	return r;
}

void ops_put_back(fuse_req_t req, fuse_ino_t ino, const void *in)
{
	struct server *s = server_of(req);
	struct scribefs_put_back asked;
	int r;

	memcpy(&asked, in, sizeof asked);
	memset(asked.kept, 0, sizeof asked.kept);
	r = put_back(s, req, ino, &asked);
	if (r < 0)
		reply_error(req, ino, r);
	else
		fuse_reply_ioctl(req, 0, &asked, sizeof asked);
}

/* ---- changes --------------------------------------------------------------------------------- */

static int add_change(void *arg, uint64_t ino, bool many)
{
	struct scribefs_changes *out = arg;

	out->many |= many;
	if (out->n == SCRIBEFS_CHANGES)
		return 1;
	out->ino[out->n++] = ino;
	return 0;
}

void ops_changes(fuse_req_t req, fuse_ino_t ino, const void *in)
{
	struct server *s = server_of(req);
	struct scribefs_changes asked;
	int r;

	memcpy(&asked, in, sizeof asked);
	asked.n = 0;
	asked.more = asked.many = 0;
	if (views_owns(ino) || views_owns(asked.other))
		r = -EINVAL;
	else
		r = snapshot_changes(s->core, ino, asked.other, &asked.after, add_change, &asked);
	asked.more = r > 0;
	if (r < 0)
		reply_error(req, ino, r);
	else
		fuse_reply_ioctl(req, 0, &asked, sizeof asked);
}
