#include "fs/fuse/reply.h"

#define ERRNO_LAST 511 /* the kernel refuses a reply with more, and the caller would wait for ever */

/* One line a second at most: a damaged region would fill the log otherwise. */
static void log_bad_record(struct server *s, uint64_t ino)
{
	atomic_fetch_add(&s->bad_records, 1);
	int64_t now = (int64_t)time(NULL);
	int64_t last = atomic_load(&s->last_bad_line);
	if (now != last && atomic_compare_exchange_strong(&s->last_bad_line, &last, now))
		log_error("a record of inode %llu is damaged; run scribefs fsck",
			(unsigned long long)ino);
}

/* 0 or -errno of the layers below to what a program is told: 0 or a positive errno. */
static int public_errno(int error)
{
	switch (error) {
	case -EBADMSG:
	case -EPROTONOSUPPORT:
		return EIO;
	case -EKEYREJECTED:
		return EACCES;
	case -EAGAIN: /* a regular file never blocks: programs would spin */
		return EBUSY;
	case -ENOSYS: /* the kernel would never ask again */
		return EOPNOTSUPP;
	}
	if (error <= 0 && error >= -ERRNO_LAST)
		return -error;
	log_error("an operation ended with %d, which is no error number; please report it", error);
	return EIO;
}

void reply_error(fuse_req_t req, uint64_t ino, int error)
{
	if (error == -EBADMSG)
		log_bad_record(server_of(req), ino);
	fuse_reply_err(req, public_errno(error));
}

/*
 * Seconds for which the kernel may keep attributes. It does not look again for what a write of somebody
 * else's has cleared (protocol.h), so where there is something to clear it must ask.
 */
static double attr_timeout(const struct stat *st, bool fleeting)
{
	bool clearable = S_ISREG(st->st_mode) && (st->st_mode & (S_ISUID | S_ISGID));
	return fleeting || clearable ? 0 : SERVER_LONG_TIMEOUT;
}

void reply_fill_entry(const struct core_entry *entry, struct fuse_entry_param *ret_param)
{
	*ret_param = (struct fuse_entry_param){
		.ino = entry->ino,
		.generation = entry->generation,
		.attr = entry->st,
		.attr_timeout = attr_timeout(&entry->st, entry->fleeting_attr),
		.entry_timeout = entry->fleeting_name ? 0 : SERVER_LONG_TIMEOUT,
	};
	ret_param->attr.st_ino = entry->ino;
}

static void forget_one(struct server *s, uint64_t ino)
{
	if (!views_owns(ino))
		core_forget(s->core, ino, 1);
}

void reply_entry(fuse_req_t req, const struct core_entry *entry)
{
	struct server *s = server_of(req);
	struct fuse_entry_param e;
	reply_fill_entry(entry, &e);
	if (fuse_reply_entry(req, &e) < 0)
		forget_one(s, entry->ino);
}

void reply_absent(fuse_req_t req, bool keep)
{
	if (keep)
		fuse_reply_entry(req,
			&(struct fuse_entry_param){.entry_timeout = SERVER_LONG_TIMEOUT});
	else
		fuse_reply_err(req, ENOENT);
}

void reply_attr(fuse_req_t req, const struct stat *st, bool fleeting)
{
	fuse_reply_attr(req, st, attr_timeout(st, fleeting));
}

void reply_open(fuse_req_t req, const struct core_entry *entry, struct file *file,
	struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	fi->fh = (uintptr_t)file;
	/* No other writer, so what the kernel has cached is true. */
	fi->keep_cache = 1;
	/* Saves a FLUSH where close() has nothing to say. */
	fi->noflush = (fi->flags & O_ACCMODE) == O_RDONLY;

	struct fuse_entry_param e;
	if (entry)
		reply_fill_entry(entry, &e);
	int r = entry ? fuse_reply_create(req, &e, fi) : fuse_reply_open(req, fi);
	if (r >= 0)
		return;
	/* The caller was interrupted: the kernel sends neither RELEASE nor FORGET. */
	if (file)
		session_release(s->sessions, file);
	if (entry)
		forget_one(s, entry->ino);
}

void reply_open_view(fuse_req_t req, uint64_t ino, void *view, struct fuse_file_info *fi)
{
	fi->fh = (uintptr_t)view;
	/* Each reader has a version of its own, and pages are the inode's. */
	bool settled = !view || views_settled(ino);
	fi->direct_io = !settled;
	fi->keep_cache = settled;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) < 0)
		views_file_release(server_of(req)->views, ino, view);
}

void reply_xattr(fuse_req_t req, const struct buf *value, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, value->len);
	else if (size < value->len)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, (const char *)value->data, value->len);
}

static void synced(void *arg, int error)
{
	fuse_req_t req = arg;
	struct server *s = server_of(req);
	reply_error(req, 0, error);
	receive_paid(&s->receive);
	MUTEX_GUARD(&s->lock);
	if (--s->owed == 0)
		pthread_cond_broadcast(&s->idle);
}

void reply_when_synced(fuse_req_t req)
{
	struct server *s = server_of(req);
	pthread_mutex_lock(&s->lock);
	s->owed++;
	pthread_mutex_unlock(&s->lock);
	receive_owe(&s->receive);
	kv_sync_async(s->kv, synced, req);
}

void reply_settle(struct server *s)
{
	MUTEX_GUARD(&s->lock);
	while (s->owed > 0)
		pthread_cond_wait(&s->idle, &s->lock);
}
