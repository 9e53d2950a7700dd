/*
 * Requests about files. fi->fh is core's struct file, or what the views keep for one of theirs.
 */
#include "fs/fuse/protocol.h"
#include "fs/fuse/reply.h"

#include <fcntl.h>

static void open_view(fuse_req_t req, uint64_t ino, struct fuse_file_info *fi)
{
	void *view = NULL;
	int r = (fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC) ? -EROFS : 0;
	if (r == 0)
		r = views_file_open(server_of(req)->views, ino, &view);
	if (r == 0)
		reply_open_view(req, ino, view, fi);
	else
		reply_error(req, ino, r);
}

/*
 * Where an append goes is the kernel's to say, which knows the size and holds the inode's lock. The flag is put on and
 * taken off while a file is open, or for one write, and does not hold for pages that come from a mapping.
 */
static int flags_of(const struct fuse_file_info *fi)
{
	return fi->flags & ~O_APPEND;
}

void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct file *file = NULL;
	int r = 0;
	if (views_owns(ino)) {
		open_view(req, ino, fi);
		return;
	}
	if ((fi->flags & O_TRUNC) && protocol_kills_priv())
		r = server_kill_priv(req, &who, ino);
	if (r == 0)
		r = session_file_open(s->sessions, &who, ino, flags_of(fi), &file);
	if (r == 0)
		reply_open(req, NULL, file, fi);
	else
		reply_error(req, ino, r);
}

void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct core_entry entry;
	struct file *file = NULL;
	int r = views_owns(parent) ? -EPERM : server_check_name(name);
	if (r == 0)
		r = session_create(s->sessions, &who, parent, name, mode, flags_of(fi), &entry, &file);
	if (r == 0)
		reply_open(req, &entry, file, fi);
	else
		reply_error(req, parent, r);
}

void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	if (size > SERVER_MAX_IO)
		size = SERVER_MAX_IO;
	_cleanup_free_ char *data = malloc(size ? size : 1);
	ssize_t n = -ENOMEM;
	if (data)
		n = views_owns(ino)
			? views_read(s->views, ino, server_view_file(fi), data, size, offset)
			: core_read(s->core, server_file(ino, fi), data, size, offset);
	if (n >= 0)
		fuse_reply_buf(req, data, (size_t)n);
	else
		reply_error(req, ino, (int)n);
}

void ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct file *file = server_file(ino, fi);
	struct cred who = server_cred(req);
	unsigned kill = 0;
	ssize_t n = !file ? -EROFS : protocol_kills_priv() ? access_kills(req, &who, ino, &kill) : 0;
	if (n == 0)
		n = session_write(s->sessions, file, data, size, offset, kill);
	if (n >= 0)
		fuse_reply_write(req, (size_t)n);
	else
		reply_error(req, ino, (int)n);
}

/* close(2), of each descriptor; with the option `sync` it is as good as fsync(2). */
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct file *file = server_file(ino, fi);
	bool durable = file && s->options->sync && file_may_write(file);
	int r = file ? session_flush(s->sessions, file) : 0;
	if (r == 0 && durable)
		reply_when_synced(req);
	else
		reply_error(req, ino, r);
}

void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct file *file = server_file(ino, fi);
	if (views_owns(ino))
		views_file_release(s->views, ino, server_view_file(fi));
	/* Nobody sees the answer; an error here has been told at flush, or is a damaged record's. */
	reply_error(req, ino, file ? session_release(s->sessions, file) : 0);
}

void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct file *file = server_file(ino, fi);
	if (file)
		kv_sync_soon(s->kv);
	int r = file ? session_sync(s->sessions, file) : 0;
	if (r == 0)
		reply_when_synced(req);
	else
		reply_error(req, ino, r);
}

void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct file *file = server_file(ino, fi);
	int r = file ? server_kill_priv(req, &who, ino) : -EROFS;
	if (r == 0)
		r = core_fallocate(s->core, file, mode, offset, length);
	reply_error(req, ino, r);
}

/* A file of the views has no holes. */
static off_t lseek_view(fuse_req_t req, uint64_t ino, off_t offset, int whence)
{
	_cleanup_asker_ struct asker asker;
	struct stat st;
	asker_init(req, &asker);
	int r = views_getattr(server_of(req)->views, &asker.viewer, ino, &st, NULL);
	if (r < 0)
		return r;
	if (offset < 0 || offset >= st.st_size)
		return -ENXIO;
	return whence == SEEK_HOLE ? st.st_size : offset;
}

void ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct file *file = server_file(ino, fi);
	off_t at = -EINVAL;
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		at = file ? core_lseek(s->core, file, offset, whence)
			  : lseek_view(req, ino, offset, whence);
	if (at >= 0)
		fuse_reply_lseek(req, at);
	else
		reply_error(req, ino, (int)at);
}

void ops_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct file *in = server_file(ino_in, fi_in), *out = server_file(ino_out, fi_out);
	ssize_t n = 0;
	if (flags != 0)
		n = -EINVAL;
	else if (!in || !out)
		n = -EXDEV; /* the kernel reads and writes instead */
	else
		n = server_kill_priv(req, &who, ino_out);
	if (n == 0)
		n = core_copy_range(s->core, in, off_in, out, off_out, len);
	if (n >= 0)
		fuse_reply_write(req, (size_t)n);
	else
		reply_error(req, ino_out, (int)n);
}
