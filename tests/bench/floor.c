/*
 * floor: what a filesystem through libfuse takes at least. Everything is in memory: no store, no
 * cipher, no permissions but the kernel's. It agrees with the kernel on what scribefs agrees on
 * (several threads, clone_fd, attributes with the names, timeouts of a day, no write-back cache)
 * and is asked the same requests: it answers FLUSH and FSYNC at once, and GETXATTR with ENODATA.
 *
 *   floor MOUNTPOINT        serves in the foreground until it is unmounted
 */
#define FUSE_USE_VERSION 312
#include "floor_tree.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOREVER 86400.0
#define THREADS 16
#define LARGEST_IO ((unsigned)1 << 20)

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct node *root;

static struct node *node_of(fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? root : (struct node *)(uintptr_t)ino;
}

static struct fuse_entry_param entry_of(struct node *node)
{
	return (struct fuse_entry_param){
	        .ino = node == root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node,
	        .attr = node->attr,
	        .attr_timeout = FOREVER,
	        .entry_timeout = FOREVER,
	};
}

static void floor_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->want |=
	        conn->capable &
	        (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
	                FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_ATOMIC_O_TRUNC |
	                FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA);
	conn->want &=
	        ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE |
	                    FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
	                    FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS);
	if (conn->max_write > LARGEST_IO)
		conn->max_write = LARGEST_IO;
	if (conn->max_readahead > LARGEST_IO)
		conn->max_readahead = LARGEST_IO;
	conn->max_background = 4 * THREADS;
	conn->congestion_threshold = 3 * THREADS;
}

static void floor_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.entry_timeout = FOREVER};
	pthread_rwlock_wrlock(&lock);
	struct dentry *found = node_find(node_of(parent), name);
	if (found) {
		found->node->nlookup++;
		entry = entry_of(found->node);
	}
	pthread_rwlock_unlock(&lock);
	fuse_reply_entry(req, &entry);
}

static void forget_one(fuse_ino_t ino, uint64_t count)
{
	pthread_rwlock_wrlock(&lock);
	struct node *node = node_of(ino);
	node->nlookup -= count < node->nlookup ? count : node->nlookup;
	if (node != root)
		node_settle(node);
	pthread_rwlock_unlock(&lock);
}

static void floor_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	forget_one(ino, count);
	fuse_reply_none(req);
}

static void floor_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget_one(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void floor_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_rwlock_rdlock(&lock);
	struct stat attr = node_of(ino)->attr;
	pthread_rwlock_unlock(&lock);
	fuse_reply_attr(req, &attr, FOREVER);
}

static int change(struct node *node, const struct stat *attr, int valid)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if ((valid & FUSE_SET_ATTR_SIZE) && node_resize(node, (size_t)attr->st_size) < 0)
		return ENOMEM;
	if (valid & FUSE_SET_ATTR_SIZE)
		node_touch(node);
	if (valid & FUSE_SET_ATTR_MODE)
		node->attr.st_mode = (node->attr.st_mode & S_IFMT) | (attr->st_mode & 07777);
	if (valid & FUSE_SET_ATTR_UID)
		node->attr.st_uid = attr->st_uid;
	if (valid & FUSE_SET_ATTR_GID)
		node->attr.st_gid = attr->st_gid;
	if (valid & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW))
		node->attr.st_atim = valid & FUSE_SET_ATTR_ATIME_NOW ? t : attr->st_atim;
	if (valid & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW))
		node->attr.st_mtim = valid & FUSE_SET_ATTR_MTIME_NOW ? t : attr->st_mtim;
	node->attr.st_ctim = t;
	return 0;
}

static void floor_setattr(
        fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_rwlock_wrlock(&lock);
	struct node *node = node_of(ino);
	int error = change(node, attr, valid);
	struct stat after = node->attr;
	pthread_rwlock_unlock(&lock);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_attr(req, &after, FOREVER);
}

/* 0 or an errno; the kernel knows the new node then. */
static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev,
        const char *target, struct fuse_entry_param *ret_entry)
{
	const struct fuse_ctx *caller = fuse_req_ctx(req);
	int error = 0;
	pthread_rwlock_wrlock(&lock);
	struct node *dir = node_of(parent);
	struct node *node =
	        node_find(dir, name) ? NULL : node_new(mode, rdev, caller->uid, caller->gid);
	if (!node) {
		error = node_find(dir, name) ? EEXIST : ENOMEM;
	} else if ((target && node_resize(node, strlen(target)) < 0) ||
	           node_link(dir, name, node) < 0) {
		error = ENOMEM;
		node->attr.st_nlink = 0;
		node_settle(node);
	} else {
		if (target)
			memcpy(node->data, target, strlen(target));
		node->nlookup++;
		*ret_entry = entry_of(node);
	}
	pthread_rwlock_unlock(&lock);
	return error;
}

static void reply_made(fuse_req_t req, int error, const struct fuse_entry_param *entry)
{
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_entry(req, entry);
}

static void floor_mknod(
        fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, mode, rdev, NULL, &entry);
	reply_made(req, error, &entry);
}

static void floor_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFDIR | mode, 0, NULL, &entry);
	reply_made(req, error, &entry);
}

static void floor_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFLNK | 0777, 0, target, &entry);
	reply_made(req, error, &entry);
}

static void floor_create(
        fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	int error = make(req, parent, name, S_IFREG | (mode & 07777), 0, NULL, &entry);
	fi->keep_cache = 1;
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_create(req, &entry, fi);
}

static void floor_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	pthread_rwlock_wrlock(&lock);
	struct node *node = node_of(ino), *dir = node_of(parent);
	int error = node_find(dir, name) ? EEXIST : -node_link(dir, name, node);
	if (!error) {
		node->nlookup++;
		entry = entry_of(node);
	}
	pthread_rwlock_unlock(&lock);
	reply_made(req, error, &entry);
}

static void floor_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[4097];
	pthread_rwlock_rdlock(&lock);
	const struct node *node = node_of(ino);
	size_t size = (size_t)node->attr.st_size < sizeof target ? (size_t)node->attr.st_size
	                                                         : sizeof target - 1;
	memcpy(target, node->data, size);
	pthread_rwlock_unlock(&lock);
	target[size] = '\0';
	fuse_reply_readlink(req, target);
}

static int remove_name(struct node *dir, const char *name, bool directory)
{
	struct dentry *entry = node_find(dir, name);
	if (!entry)
		return ENOENT;
	struct node *node = entry->node;
	if (directory && node->children > 0)
		return ENOTEMPTY;
	node_unlink(dir, entry);
	node_settle(node);
	return 0;
}

static void floor_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	pthread_rwlock_wrlock(&lock);
	int error = remove_name(node_of(parent), name, false);
	pthread_rwlock_unlock(&lock);
	fuse_reply_err(req, error);
}

static void floor_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	pthread_rwlock_wrlock(&lock);
	int error = remove_name(node_of(parent), name, true);
	pthread_rwlock_unlock(&lock);
	fuse_reply_err(req, error);
}

static int rename_locked(
        struct node *from, const char *name, struct node *to, const char *new_name, unsigned flags)
{
	struct dentry *entry = node_find(from, name), *target = node_find(to, new_name);
	if (flags & ~1u) /* RENAME_NOREPLACE */
		return EINVAL;
	if (!entry)
		return ENOENT;
	if (target && (flags & 1u))
		return EEXIST;
	struct node *node = entry->node;
	if (target && target->node == node)
		return 0;
	int error = target ? remove_name(to, new_name, S_ISDIR(target->node->attr.st_mode)) : 0;
	if (error)
		return error;
	node_unlink(from, entry);
	if (S_ISDIR(node->attr.st_mode))
		node->attr.st_nlink++; /* it stays a directory */
	return -node_link(to, new_name, node);
}

static void floor_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
        const char *new_name, unsigned flags)
{
	pthread_rwlock_wrlock(&lock);
	int error = rename_locked(node_of(parent), name, node_of(new_parent), new_name, flags);
	pthread_rwlock_unlock(&lock);
	fuse_reply_err(req, error);
}

static void floor_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->keep_cache = 1;
	if (fi->flags & O_TRUNC) {
		pthread_rwlock_wrlock(&lock);
		node_resize(node_of(ino), 0);
		node_touch(node_of(ino));
		pthread_rwlock_unlock(&lock);
	}
	fuse_reply_open(req, fi);
}

static void floor_read(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_rwlock_rdlock(&lock);
	const struct node *node = node_of(ino);
	size_t end = (size_t)node->attr.st_size, at = (size_t)offset < end ? (size_t)offset : end;
	fuse_reply_buf(req, node->data + at, size < end - at ? size : end - at);
	pthread_rwlock_unlock(&lock);
}

static void floor_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size,
        off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	pthread_rwlock_wrlock(&lock);
	struct node *node = node_of(ino);
	size_t end = (size_t)offset + size;
	int error = end > (size_t)node->attr.st_size ? -node_resize(node, end) : 0;
	if (!error) {
		memcpy(node->data + offset, bytes, size);
		node_touch(node);
	}
	pthread_rwlock_unlock(&lock);
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_write(req, size);
}

static void floor_done(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

static void floor_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	floor_done(req, ino, fi);
}

static void floor_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	fuse_reply_open(req, fi);
}

/* Bytes of one entry in buf, which has room for size: 0 where it does not fit. Cookies are slots
 * plus three. */
static size_t add(fuse_req_t req, char *buf, size_t size, const char *name, struct node *node,
        off_t next, bool plus)
{
	struct fuse_entry_param entry = entry_of(node);
	size_t need = plus ? fuse_add_direntry_plus(req, buf, size, name, &entry, next)
	                   : fuse_add_direntry(req, buf, size, name, &node->attr, next);
	if (need > size)
		return 0;
	if (plus && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		node->nlookup++;
	return need;
}

static void read_names(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	char *buf = malloc(size);
	size_t used = 0, n;
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_rwlock_wrlock(&lock);
	struct node *dir = node_of(ino);
	for (size_t at = (size_t)offset; at < dir->list_size + 2; at++, used += n) {
		struct dentry *entry = at < 2 ? NULL : dir->list[at - 2];
		n = 0;
		if (at >= 2 && !entry)
			continue;
		n = add(req, buf + used, size - used,
		        at == 0   ? "."
		        : at == 1 ? ".."
		                  : entry->name,
		        entry                    ? entry->node
		        : at == 1 && dir->parent ? dir->parent
		                                 : dir,
		        (off_t)at + 1, plus);
		if (n == 0)
			break;
	}
	pthread_rwlock_unlock(&lock);
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void floor_readdir(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	read_names(req, ino, size, offset, false);
}

static void floor_readdirplus(
        fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)fi;
	read_names(req, ino, size, offset, true);
}

static void floor_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino, (void)name, (void)size;
	fuse_reply_err(req, ENODATA);
}

static const struct fuse_lowlevel_ops operations = {
        .init = floor_init,
        .lookup = floor_lookup,
        .forget = floor_forget,
        .forget_multi = floor_forget_multi,
        .getattr = floor_getattr,
        .setattr = floor_setattr,
        .mknod = floor_mknod,
        .mkdir = floor_mkdir,
        .symlink = floor_symlink,
        .create = floor_create,
        .link = floor_link,
        .readlink = floor_readlink,
        .unlink = floor_unlink,
        .rmdir = floor_rmdir,
        .rename = floor_rename,
        .open = floor_open,
        .read = floor_read,
        .write = floor_write,
        .flush = floor_done,
        .release = floor_done,
        .fsync = floor_fsync,
        .opendir = floor_opendir,
        .readdir = floor_readdir,
        .readdirplus = floor_readdirplus,
        .releasedir = floor_done,
        .fsyncdir = floor_fsync,
        .getxattr = floor_getxattr,
};

static int serve(const char *mountpoint)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	fuse_opt_add_arg(&args, "floor");
	fuse_opt_add_arg(&args, "-odefault_permissions,fsname=floor,subtype=floor");
	struct fuse_session *se = fuse_session_new(&args, &operations, sizeof operations, NULL);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int status = 1;
	if (se && config && fuse_set_signal_handlers(se) == 0 &&
	        fuse_session_mount(se, mountpoint) == 0) {
		fuse_loop_cfg_set_clone_fd(config, 1);
		fuse_loop_cfg_set_max_threads(config, THREADS);
		fuse_loop_cfg_set_idle_threads(config, THREADS);
		status = fuse_session_loop_mt(se, config) != 0;
		fuse_session_unmount(se);
	}
	if (config)
		fuse_loop_cfg_destroy(config);
	if (se)
		fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	return status;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: floor MOUNTPOINT\n");
		return 2;
	}
	root = node_new(S_IFDIR | 0700, 0, getuid(), getgid());
	if (!root)
		return 1;
	root->attr.st_nlink++;
	root->nlookup = 1;
	return serve(argv[1]);
}
