/*
 * record FOLDER JOURNAL MOUNTPOINT: a filesystem that keeps its files in FOLDER and writes down in
 * JOURNAL, in order, all that changes them and every sync. Where the power is cut is chosen afterwards:
 * any place in the journal will do, and survive.c makes what a disk may hold then. One thread serves,
 * so the journal's order is the order of the answers: what is written to the file .ack in the root
 * stands there as an ACK behind all that was answered before.
 *
 * It serves the few things that a store needs; anything else is refused, so that no change goes
 * unrecorded. Attributes (modes, owners, times) are passed on and not recorded.
 */
#define FUSE_USE_VERSION 314
#include "tests/power/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ACK "/.ack"
#define ACK_FD (-2)

/* The numbers by which the journal knows the files that have a name. */
struct known {
	ino_t inode;
	uint32_t id;
};

struct recorder {
	int root, journal;
	struct known *known;
	size_t known_n, known_cap;
	uint32_t last_id;
};

struct handle {
	int fd;
	uint32_t id;
	char path[]; /* of a directory */
};

static struct recorder *self(void)
{
	return fuse_get_context()->private_data;
}

static const char *relative(const char *path)
{
	return path[1] ? path + 1 : ".";
}

static struct handle *handle_of(struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

/* A change that cannot be written down makes all that follows worthless. */
static void note(struct recorder *r, enum journal_type type, uint32_t id, const char *path,
	uint64_t value, const void *rest, size_t rest_len)
{
	struct journal_head head = {.type = (uint8_t)type, .id = id, .value = value};

	if (journal_append(r->journal, head, path, rest, rest_len) < 0) {
		perror("journal");
		_exit(1);
	}
}

static uint32_t id_of_inode(struct recorder *r, ino_t inode)
{
	for (size_t i = 0; i < r->known_n; i++)
		if (r->known[i].inode == inode)
			return r->known[i].id;
	return 0;
}

static uint32_t id_of_path(struct recorder *r, const char *path)
{
	struct stat st;

	if (fstatat(r->root, relative(path), &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return 0;
	return id_of_inode(r, st.st_ino);
}

static uint32_t id_new(struct recorder *r, ino_t inode)
{
	if (r->known_n == r->known_cap) {
		r->known_cap = r->known_cap ? 2 * r->known_cap : 64;
		r->known = reallocarray(r->known, r->known_cap, sizeof *r->known);
		if (!r->known)
			abort();
	}
	r->known[r->known_n++] = (struct known){inode, ++r->last_id};
	return r->last_id;
}

/* The last name of @st goes: its inode's number may come again, as another file's. */
static void id_forget(struct recorder *r, const struct stat *st)
{
	for (size_t i = 0; i < r->known_n && st->st_nlink < 2; i++)
		if (r->known[i].inode == st->st_ino)
			r->known[i] = r->known[--r->known_n];
}

static int on_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	if ((fi && handle_of(fi)->fd == ACK_FD) || (path && !strcmp(path, ACK))) {
		*st = (struct stat){.st_mode = S_IFREG | 0600, .st_nlink = 1, .st_uid = getuid()};
		return 0;
	}
	if (fi)
		return fstat(handle_of(fi)->fd, st) < 0 ? -errno : 0;
	return fstatat(self()->root, relative(path), st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int handle_open(const char *path, int flags, mode_t mode, struct fuse_file_info *fi)
{
	struct recorder *r = self();
	struct handle *h = calloc(1, sizeof *h + strlen(path) + 1);
	struct stat st;

	if (!h)
		return -ENOMEM;
	strcpy(h->path, path);
	h->fd = strcmp(path, ACK) ? openat(r->root, relative(path), flags & ~O_APPEND, mode) : ACK_FD;
	if (h->fd == -1) {
		free(h);
		return -errno;
	}
	if (h->fd >= 0 && fstat(h->fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
		h->id = id_of_inode(r, st.st_ino);
		if (!h->id) {
			h->id = id_new(r, st.st_ino);
			note(r, JOURNAL_CREATE, h->id, path, mode & 07777, NULL, 0);
		} else if (flags & O_TRUNC) {
			note(r, JOURNAL_TRUNCATE, h->id, NULL, 0, NULL, 0);
		}
	}
	fi->direct_io = h->fd == ACK_FD;
	fi->fh = (uintptr_t)h;
	return 0;
}

static int on_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	return handle_open(path, fi->flags | O_CREAT, mode, fi);
}

static int on_open(const char *path, struct fuse_file_info *fi)
{
	return handle_open(path, fi->flags & ~(O_CREAT | O_EXCL), 0, fi);
}

static int on_opendir(const char *path, struct fuse_file_info *fi)
{
	return handle_open(path, O_RDONLY | O_DIRECTORY, 0, fi);
}

static int on_release(const char *path, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	(void)path;
	if (h->fd >= 0)
		close(h->fd);
	free(h);
	return 0;
}

static int on_read(const char *path, char *data, size_t size, off_t at, struct fuse_file_info *fi)
{
	ssize_t n = handle_of(fi)->fd == ACK_FD ? 0 : pread(handle_of(fi)->fd, data, size, at);

	(void)path;
	return n < 0 ? -errno : (int)n;
}

static int on_write(
	const char *path, const char *data, size_t size, off_t at, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	ssize_t n;

	(void)path;
	if (h->fd == ACK_FD) {
		note(self(), JOURNAL_ACK, 0, NULL, 0, data, size);
		return (int)size;
	}
	n = pwrite(h->fd, data, size, at);
	if (n < 0)
		return -errno;
	note(self(), JOURNAL_WRITE, h->id, NULL, (uint64_t)at, data, (size_t)n);
	return (int)n;
}

static int on_truncate(const char *path, off_t size, struct fuse_file_info *fi)
{
	struct recorder *r = self();
	uint32_t id = fi ? handle_of(fi)->id : id_of_path(r, path);
	int fd = fi ? handle_of(fi)->fd : openat(r->root, relative(path), O_WRONLY | O_CLOEXEC);
	int error;

	if (fd < 0)
		return fd == ACK_FD ? 0 : -errno;
	error = ftruncate(fd, size) < 0 ? errno : 0;
	if (!fi)
		close(fd);
	if (!error)
		note(r, JOURNAL_TRUNCATE, id, NULL, (uint64_t)size, NULL, 0);
	return -error;
}

static int on_fallocate(const char *path, int mode, off_t at, off_t len, struct fuse_file_info *fi)
{
	(void)path;
	/* Space that is set aside beyond the end is nothing that a cut could show. */
	if (mode != FALLOC_FL_KEEP_SIZE)
		return -EOPNOTSUPP;
	return fallocate(handle_of(fi)->fd, mode, at, len) < 0 ? -errno : 0;
}

static int on_fsync(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	if (handle_of(fi)->fd >= 0)
		note(self(), JOURNAL_FSYNC, handle_of(fi)->id, NULL, 0, NULL, 0);
	return 0;
}

static int on_fsyncdir(const char *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	note(self(), JOURNAL_FSYNCDIR, 0, handle_of(fi)->path, 0, NULL, 0);
	return 0;
}

static int on_mkdir(const char *path, mode_t mode)
{
	if (mkdirat(self()->root, relative(path), mode) < 0)
		return -errno;
	note(self(), JOURNAL_MKDIR, 0, path, mode & 07777, NULL, 0);
	return 0;
}

static int on_unlink(const char *path)
{
	struct recorder *r = self();
	uint32_t id = id_of_path(r, path);
	struct stat st;

	if (fstatat(r->root, relative(path), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		unlinkat(r->root, relative(path), 0) < 0)
		return -errno;
	id_forget(r, &st);
	note(r, JOURNAL_UNLINK, id, path, 0, NULL, 0);
	return 0;
}

static int on_rmdir(const char *path)
{
	if (unlinkat(self()->root, relative(path), AT_REMOVEDIR) < 0)
		return -errno;
	note(self(), JOURNAL_RMDIR, 0, path, 0, NULL, 0);
	return 0;
}

static int on_rename(const char *path, const char *to, unsigned int flags)
{
	struct recorder *r = self();
	uint32_t id = id_of_path(r, path);
	struct stat over;
	int replaced = fstatat(r->root, relative(to), &over, AT_SYMLINK_NOFOLLOW) == 0;

	if (flags)
		return -EINVAL;
	if (renameat(r->root, relative(path), r->root, relative(to)) < 0)
		return -errno;
	if (replaced && !S_ISDIR(over.st_mode))
		id_forget(r, &over);
	note(r, JOURNAL_RENAME, id, path, 0, to, strlen(to));
	return 0;
}

static int on_link(const char *path, const char *to)
{
	struct recorder *r = self();

	if (linkat(r->root, relative(path), r->root, relative(to), 0) < 0)
		return -errno;
	note(r, JOURNAL_LINK, id_of_path(r, path), path, 0, to, strlen(to));
	return 0;
}

static int on_readdir(const char *path, void *out, fuse_fill_dir_t fill, off_t at,
	struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	int fd = openat(handle_of(fi)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	(void)path;
	(void)at;
	(void)flags;
	if (!dir)
		return -errno;
	while ((d = readdir(dir)))
		fill(out, d->d_name, NULL, 0, 0);
	closedir(dir);
	return 0;
}

static int on_statfs(const char *path, struct statvfs *st)
{
	(void)path;
	return fstatvfs(self()->root, st) < 0 ? -errno : 0;
}

static int on_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	(void)fi;
	return path && fchmodat(self()->root, relative(path), mode, 0) < 0 ? -errno : 0;
}

static int on_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi)
{
	(void)fi;
	return path && utimensat(self()->root, relative(path), times, 0) < 0 ? -errno : 0;
}

/* What is there at the start has its number by the journal's first records. */
static void note_base(struct recorder *r, const char *prefix)
{
	int fd = openat(r->root, *prefix ? prefix + 1 : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char path[PATH_MAX];
	struct dirent *d;
	struct stat st;

	while (dir && (d = readdir(dir))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", prefix, d->d_name);
		if (fstatat(r->root, path + 1, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode)) {
			note_base(r, path);
		} else {
			uint32_t id = id_of_inode(r, st.st_ino);
			note(r, JOURNAL_BASE, id ? id : id_new(r, st.st_ino), path, 0, NULL, 0);
		}
	}
	if (dir)
		closedir(dir);
}

static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	(void)connection;
	/* A file that is unlinked while it is open is gone, as on any disk. */
	config->hard_remove = 1;
	config->nullpath_ok = 1;
	return self();
}

static const struct fuse_operations operations = {
	.init = on_init, .getattr = on_getattr, .create = on_create, .open = on_open,
	.opendir = on_opendir, .release = on_release, .releasedir = on_release, .read = on_read,
	.write = on_write, .truncate = on_truncate, .fallocate = on_fallocate, .fsync = on_fsync,
	.fsyncdir = on_fsyncdir, .mkdir = on_mkdir, .unlink = on_unlink, .rmdir = on_rmdir,
	.rename = on_rename, .link = on_link, .readdir = on_readdir, .statfs = on_statfs,
	.chmod = on_chmod, .utimens = on_utimens,
};

int main(int argc, char **argv)
{
	char single[] = "-s", foreground[] = "-f", names[] = "-ofsname=power,subtype=power";
	char *args[] = {argv[0], single, foreground, names, argv[argc - 1], NULL};
	struct recorder r = {0};

	if (argc != 4) {
		fprintf(stderr, "usage: record FOLDER JOURNAL MOUNTPOINT\n");
		return 2;
	}
	umask(0);
	r.root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r.journal = open(argv[2], O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (r.root < 0 || r.journal < 0) {
		perror("record");
		return 1;
	}
	note_base(&r, "");
	return fuse_main(5, args, &operations, &r);
}
