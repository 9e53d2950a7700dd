/*
 * server.h: what the files of fs/fuse share: the one context of the daemon, which is the session's
 * userdata, and the tables of handlers. Internal.
 *
 * A handler runs in one of libfuse's worker threads: it decodes, calls one function of fs/session,
 * fs/views or fs/core, and replies exactly once, through reply.h. Nothing in here is locked across such
 * a call.
 */
#ifndef SCRIBEFS_FS_FUSE_SERVER_H
#define SCRIBEFS_FS_FUSE_SERVER_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "fs/fuse/mount.h"
#include "fs/fuse/receive.h"
#include "fs/session/session.h"
#include "fs/views/root.h"
#include "kv/cleanup.h"
#include "kv/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define SERVER_THREADS 16	       /* workers, at most and idle */
#define SERVER_MAX_IO (1u << 20)       /* bytes of one READ or WRITE, as libfuse's buffers have it */
#define SERVER_LONG_TIMEOUT 86400.0    /* seconds: the daemon is the only writer */

struct notify;

/* ops_snapshots.c: what the snapshots of a directory hold, while they are listed. */
#define HELD_LISTS 4
struct held_list {
	uint64_t dir;
	bool removed;
	uint64_t number; /* rises */
	struct snapshot_held *all; /* by rising id; NULL: there is no list */
	size_t n;
};
struct held_lists {
	pthread_mutex_t lock; /* all below */
	uint64_t numbers;
	struct held_list at[HELD_LISTS];
};
void held_lists_init(struct held_lists *lists);
void held_lists_release(struct held_lists *lists);

struct server {
	/* Constant while requests are served. */
	const struct mount_options *options;
	char *store, *mountpoint; /* absolute */
	struct kv *kv;
	struct core *core;
	struct sessions *sessions;
	struct views *views;
	struct fuse_session *se;
	struct notify *notify;
	bool read_only; /* asked for, or because of damage */
	int below_fd; /* the directory below the mount, by which root unmounts; or -1 */
	time_t started;

	/* Written by whoever handles INIT, before any other request. */
	int parent_fd; /* daemon mode: the pipe on which the parent waits, then -1 */
	bool served;   /* INIT was answered */

	/* protocol.c: the INIT that is to be answered (0: none), and the flags that its answer gets */
	_Atomic uint64_t init_unique;
	uint32_t init_flags; /* set before init_unique */

	struct receive receive; /* while requests are served */

	/* reply.c: replies that the flusher owes, under lock; the shutdown waits for none. */
	pthread_mutex_t lock;
	pthread_cond_t idle;
	unsigned owed;

	_Atomic bool putting_back; /* ops_past.c: somebody is */
	struct held_lists held;	   /* ops_snapshots.c */
	_Atomic int64_t last_bad_line; /* seconds: the last line about a record that is no good */
	_Atomic uint64_t bad_records;  /* how many requests met one */
};

static inline struct server *server_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct cred server_cred(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	return (struct cred){.uid = ctx->uid, .gid = ctx->gid, .pid = ctx->pid, .umask = ctx->umask};
}

/* What the kernel sent as a name: 0, -EINVAL or -ENAMETOOLONG. */
static inline int server_check_name(const char *name)
{
	size_t len = strnlen(name, CORE_NAME_MAX + 1);
	if (len == 0)
		return -EINVAL;
	return len > CORE_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* NULL for the files of the views. */
static inline struct file *server_file(uint64_t ino, const struct fuse_file_info *fi)
{
	return fi && !views_owns(ino) ? (struct file *)(uintptr_t)fi->fh : NULL;
}

/* What the views keep for a file of theirs, which may be nothing. */
static inline void *server_view_file(const struct fuse_file_info *fi)
{
	return (void *)(uintptr_t)fi->fh;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Every handler, for fuse_session_new() (init.c). */
extern const struct fuse_lowlevel_ops server_ops;

/* ops_name.c */
void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ops_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void ops_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ops_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void ops_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void ops_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
	const char *new_name, unsigned flags);
void ops_readlink(fuse_req_t req, fuse_ino_t ino);

/* ops_attr.c */
void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
	struct fuse_file_info *fi);
void ops_statfs(fuse_req_t req, fuse_ino_t ino);

/* ops_file.c */
void ops_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi);
void ops_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi);
void ops_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
	struct fuse_file_info *fi);
void ops_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void ops_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
	struct fuse_file_info *fi);
void ops_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
	struct fuse_file_info *fi);
void ops_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags);

/* ops_dir.c */
void ops_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	struct fuse_file_info *fi);
void ops_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* ops_xattr.c */
void ops_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
	int flags);
void ops_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void ops_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void ops_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops_ioctl.c */
void ops_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg, struct fuse_file_info *fi,
	unsigned flags, const void *in, size_t in_size, size_t out_size);

/* ops_past.c: requests of ioctl.h */
struct scribefs_snapshot;
void ops_next_snapshot(fuse_req_t req, uint64_t dir, const struct scribefs_snapshot *asked);
void ops_put_back(fuse_req_t req, fuse_ino_t ino, const void *in);
void ops_changes(fuse_req_t req, fuse_ino_t ino, const void *in);

/* ---- around the requests --------------------------------------------------------------------- */

/* A session that is not mounted yet, or NULL after one line. (init.c) */
struct fuse_session *server_session_new(struct server *s);

/*
 * Clears suid, sgid (and capabilities) as POSIX has it where the kernel leaves it to us and tells
 * nothing: fallocate and copy_file_range by anybody but root. (ops_attr.c)
 */
int server_kill_priv(fuse_req_t req, const struct cred *who, uint64_t ino);
/* Adds CORE_SET_KILL_* to @set, as the wish of the kernel to clear set-id bits means it for this caller. (access.c) */
int access_kills(fuse_req_t req, const struct cred *who, uint64_t ino, unsigned *set);

/* Who asks, for fs/views; @ret_asker stays where it is. As long as the request is not answered. (access.c) */
struct asker {
	fuse_req_t req;
	struct viewer viewer;
	gid_t *gid; /* NULL: not read yet */
	int gid_n;
};
void asker_init(fuse_req_t req, struct asker *ret_asker);
void asker_release(struct asker *a);
#define _cleanup_asker_ _cleanup_(asker_release)

/* Whether @who may make entries in the directory @ino: 0, -EACCES or -errno. (access.c) */
int access_may_create(fuse_req_t req, const struct cred *who, uint64_t ino);
/* Whether the caller is of the group @gid, also by its supplementary groups. (access.c) */
bool access_in_group(fuse_req_t req, const struct cred *who, gid_t gid);

#endif
