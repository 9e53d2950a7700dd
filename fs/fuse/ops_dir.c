/*
 * Requests about directories. Listing keeps no state: a position is core's cookie.
 */
#include "fs/fuse/reply.h"

void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	/* Where the daemon itself changes nothing, what the kernel remembers of a listing stays true. */
	fi->cache_readdir = views_owns(ino) ? views_constant(ino)
					    : session_negative_cacheable(s->sessions, ino);
	fi->keep_cache = fi->cache_readdir;
	fi->fh = 0;
	fuse_reply_open(req, fi);
}

/* The answer to one READDIR or READDIRPLUS, as it fills. */
struct listing {
	fuse_req_t req;
	char *data;
	size_t len, size;
	bool plus;
	uint64_t *taken; /* inodes that count a look-up, should the caller have gone */
	size_t taken_n;
};

/* An entry with attributes takes at least this much, so that many fit at most. */
#define DIRENT_MIN 128

static int fill(void *arg, const struct core_dirent *d)
{
	struct listing *l = arg;
	size_t room = l->size - l->len, need;
	char *at = l->data + l->len;
	if (l->plus) {
		struct fuse_entry_param e = {.attr = {.st_ino = d->ino, .st_mode = d->type}};
		if (d->have_attr)
			reply_fill_entry(&d->entry, &e);
		need = fuse_add_direntry_plus(l->req, at, room, d->name, &e, (off_t)d->cookie);
	} else {
		struct stat st = {.st_ino = d->ino, .st_mode = d->type};
		need = fuse_add_direntry(l->req, at, room, d->name, &st, (off_t)d->cookie);
	}
	if (need > room)
		return 1;
	l->len += need;
	if (l->plus && d->have_attr && !views_owns(d->ino))
		l->taken[l->taken_n++] = d->ino;
	return 0;
}

static void list(fuse_req_t req, uint64_t ino, size_t size, off_t offset, bool plus)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	_cleanup_asker_ struct asker asker;
	asker_init(req, &asker);
	if (size > SERVER_MAX_IO)
		size = SERVER_MAX_IO;
	_cleanup_free_ char *data = malloc(size ? size : 1);
	_cleanup_free_ uint64_t *taken = plus ? malloc((size / DIRENT_MIN + 1) * sizeof *taken) : NULL;
	if (!data || (plus && !taken)) {
		reply_error(req, ino, -ENOMEM);
		return;
	}
	struct listing l = {.req = req, .data = data, .size = size, .plus = plus, .taken = taken};
	int r = views_owns(ino)
			? views_readdir(s->views, &asker.viewer, ino, (uint64_t)offset, plus, fill, &l)
			: session_readdir(s->sessions, &who, ino, (uint64_t)offset, plus, fill, &l);
	/* What was listed before an error is good, and the next request meets the error again. */
	if (r < 0 && l.len == 0)
		reply_error(req, ino, r);
	else if (fuse_reply_buf(req, l.data, l.len) < 0)
		for (size_t i = 0; i < l.taken_n; i++)
			core_forget(s->core, l.taken[i], 1);
}

void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	list(req, ino, size, offset, false);
}

void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	list(req, ino, size, offset, true);
}

void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	reply_error(req, ino, 0);
}

/* A change of names is in the log when its request is answered. */
void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	reply_when_synced(req);
}
