/*
 * What is agreed on with the kernel: the session's arguments, capabilities and sizes.
 */
#include "fs/fuse/daemon.h"
#include "fs/fuse/server.h"

#include <stddef.h>

static void want(struct fuse_conn_info *conn, unsigned capability, bool on)
{
	if (on && (conn->capable & capability))
		conn->want |= capability;
	else
		conn->want &= ~capability;
}

/* The answer to INIT follows at once, so whoever waits for the mount may be told. */
static void ops_init(void *userdata, struct fuse_conn_info *conn)
{
	struct server *s = userdata;
	want(conn, FUSE_CAP_ASYNC_READ, true);
	want(conn, FUSE_CAP_ASYNC_DIO, true);
	want(conn, FUSE_CAP_PARALLEL_DIROPS, true); /* and see protocol.h */
	want(conn, FUSE_CAP_READDIRPLUS, true);
	want(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
	want(conn, FUSE_CAP_IOCTL_DIR, true);
	want(conn, FUSE_CAP_DONT_MASK, true); /* a default ACL replaces the umask */
	want(conn, FUSE_CAP_POSIX_ACL, true);
	want(conn, FUSE_CAP_CACHE_SYMLINKS, true);
	/*
	 * A new mtime does not mean that pages are stale: all writers go through this kernel, whose
	 * own pages follow. Otherwise the first stat after an append would drop the whole file.
	 */
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA, true);
	want(conn, FUSE_CAP_WRITEBACK_CACHE, false); /* sizes are never the kernel's guess */
	want(conn, FUSE_CAP_EXPORT_SUPPORT, true); /* file handles: "." is looked up */
	want(conn, FUSE_CAP_HANDLE_KILLPRIV, false); /* in favour of its second version: protocol.h */
	want(conn, FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS, false); /* the kernel's own */
	want(conn, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, false);
	if (conn->max_write > SERVER_MAX_IO)
		conn->max_write = SERVER_MAX_IO;
	if (conn->max_readahead > SERVER_MAX_IO)
		conn->max_readahead = SERVER_MAX_IO;
	conn->max_background = 4 * SERVER_THREADS;
	conn->congestion_threshold = 3 * SERVER_THREADS;
	s->served = true;
	daemon_ready(s);
}

const struct fuse_lowlevel_ops server_ops = {
	.init = ops_init,
	.lookup = ops_lookup,
	.forget = ops_forget,
	.forget_multi = ops_forget_multi,
	.mknod = ops_mknod,
	.mkdir = ops_mkdir,
	.symlink = ops_symlink,
	.link = ops_link,
	.unlink = ops_unlink,
	.rmdir = ops_rmdir,
	.rename = ops_rename,
	.readlink = ops_readlink,
	.getattr = ops_getattr,
	.setattr = ops_setattr,
	.statfs = ops_statfs,
	.open = ops_open,
	.create = ops_create,
	.read = ops_read,
	.write = ops_write,
	.flush = ops_flush,
	.release = ops_release,
	.fsync = ops_fsync,
	.fallocate = ops_fallocate,
	.lseek = ops_lseek,
	.copy_file_range = ops_copy_file_range,
	.opendir = ops_opendir,
	.readdir = ops_readdir,
	.readdirplus = ops_readdirplus,
	.releasedir = ops_releasedir,
	.fsyncdir = ops_fsyncdir,
	.setxattr = ops_setxattr,
	.getxattr = ops_getxattr,
	.listxattr = ops_listxattr,
	.removexattr = ops_removexattr,
	.ioctl = ops_ioctl,
};

/* One -o argument with everything in it. The source's name may hold commas. */
static int mount_args(const struct server *s, struct fuse_args *args)
{
	const struct mount_options *o = s->options;
	bool root = geteuid() == 0;
	_cleanup_buf_ struct buf source = {0};
	_cleanup_free_ char *opts = NULL;
	int r = buf_printf(&source, "fsname=%s", o->fsname ? o->fsname : s->store);
	if (r < 0)
		return r;
	/* As mount(8), libfuse's default notwithstanding; only root may ask for suid and dev. */
	const char *const list[] = {
		"subtype=scribefs",
		"default_permissions",
		s->read_only ? "ro" : "rw",
		o->nosuid ? "nosuid" : root ? "suid" : NULL,
		o->nodev ? "nodev" : root ? "dev" : NULL,
		o->noexec ? "noexec" : NULL,
		o->noatime ? "noatime" : NULL,
		o->allow_other ? "allow_other" : NULL,
		o->allow_root ? "allow_root" : NULL,
	};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (list[i] && fuse_opt_add_opt(&opts, list[i]) < 0)
			return -ENOMEM;
	if (fuse_opt_add_opt_escaped(&opts, (const char *)source.data) < 0 ||
		fuse_opt_add_arg(args, "scribefs") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
		fuse_opt_add_arg(args, opts) < 0)
		return -ENOMEM;
	return 0;
}

struct fuse_session *server_session_new(struct server *s)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;
	if (mount_args(s, &args) == 0)
		se = fuse_session_new(&args, &server_ops, sizeof server_ops, s);
	fuse_opt_free_args(&args);
	return se;
}
