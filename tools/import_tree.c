#include "tools/import_tree.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DOCUMENT "session.json"

void import_entry_release(struct import_entry *e)
{
	if (e->fd >= 0)
		close(e->fd);
	e->fd = -1;
	buf_release(&e->attributes.xattrs);
	buf_release(&e->header);
}

static size_t directories_of(const struct import_tree *t)
{
	return t->directories.len / sizeof(struct import_directory);
}

static struct import_directory *directory_at(struct import_tree *t, size_t i)
{
	return (struct import_directory *)(void *)t->directories.data + i;
}

void import_tree_release(struct import_tree *t)
{
	for (size_t i = 0; i < directories_of(t); i++) {
		free(directory_at(t, i)->path);
		buf_release(&directory_at(t, i)->attributes.xattrs);
	}
	buf_release(&t->directories);
	buf_release(&t->document.xattrs);
}

/* ---- places -------------------------------------------------------------------------------------- */

static int open_beneath(int top, const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC | O_NOFOLLOW,
		.mode = flags & O_CREAT ? mode : 0, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, top, path, &how, sizeof how);

	return fd < 0 ? -errno : (int)fd;
}

/* The directory of @path, made where it is missing, and the last part. To be closed. */
static int open_above(const struct import_tree *t, const char *path, const char **ret_name)
{
	char above[PATH_MAX];
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	if (!**ret_name || !strcmp(*ret_name, "..") || !strcmp(*ret_name, "."))
		return -EINVAL;
	snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	int fd = open_beneath(t->top, above, O_PATH | O_DIRECTORY, 0);
	if (fd != -ENOENT || !slash)
		return fd;
	const char *name;
	_cleanup_close_ int parent = open_above(t, above, &name);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open_beneath(t->top, above, O_PATH | O_DIRECTORY, 0);
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static void set_xattrs(struct import_tree *t, int fd, const struct buf *xattrs)
{
	for (size_t at = 0; at < xattrs->len;) {
		const char *name = (const char *)xattrs->data + at;
		uint32_t len;
		at += strlen(name) + 1;
		memcpy(&len, xattrs->data + at, sizeof len);
		at += sizeof len;
		t->refused += fsetxattr(fd, name, xattrs->data + at, len, 0) < 0;
		at += len;
	}
}

/* Root's files are those of their owners, as tar has it; everybody else's are his own. */
static uid_t owner_of(const struct import_attributes *a)
{
	return a->has_uid && geteuid() == 0 ? a->uid : (uid_t)-1;
}

static gid_t group_of(const struct import_attributes *a)
{
	return a->has_gid && geteuid() == 0 ? a->gid : (gid_t)-1;
}

static int set_attributes(struct import_tree *t, int fd, const struct import_attributes *a)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};

	if (fchown(fd, owner_of(a), group_of(a)) < 0)
		return -errno;
	set_xattrs(t, fd, &a->xattrs);
	if (a->has_mode && fchmod(fd, a->mode) < 0)
		return -errno;
	return a->has_mtime && futimens(fd, times) < 0 ? -errno : 0;
}

/* ---- entries ------------------------------------------------------------------------------------- */

int import_open(struct import_tree *t, struct import_entry *e)
{
	const char *name;

	if (e->fd >= 0)
		return ftruncate(e->fd, 0) < 0 || lseek(e->fd, 0, SEEK_SET) < 0 ? -errno : 0;
	if (!e->path[0] || (e->type && !S_ISREG(e->type)))
		return -EINVAL;
	_cleanup_close_ int above = open_above(t, e->path, &name);
	if (above < 0)
		return above;
	e->fd = openat(above, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return e->fd < 0 ? -errno : 0;
}

static int finish_file(struct import_tree *t, struct import_entry *e)
{
	int r = e->fd < 0 ? import_open(t, e) : 0;

	if (r == 0)
		r = set_attributes(t, e->fd, &e->attributes);
	if (e->fd >= 0 && close(e->fd) < 0 && r == 0)
		r = -errno;
	e->fd = -1;
	return r;
}

static int link_same(struct import_tree *t, const struct import_entry *e)
{
	const char *from, *to;
	_cleanup_close_ int old = open_above(t, e->same_as, &from), above = open_above(t, e->path, &to);

	if (old < 0 || above < 0)
		return old < 0 ? old : above;
	/* A message with two names was written as two. */
	if (unlinkat(above, to, 0) < 0 && errno != ENOENT)
		return -errno;
	return linkat(old, from, above, to, 0) < 0 ? -errno : 0;
}

/* Symbolic links, FIFOs, sockets, devices. */
static int make_special(struct import_tree *t, const struct import_entry *e)
{
	const struct import_attributes *a = &e->attributes;
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, a->mtime};
	const char *name;
	_cleanup_close_ int above = open_above(t, e->path, &name);
	int r = above < 0 ? above : 0;

	if (r == 0 && S_ISLNK(e->type))
		r = symlinkat(e->target, above, name) < 0 ? -errno : 0;
	else if (r == 0)
		r = mknodat(above, name, e->type | (a->mode & 07777), makedev(e->major, e->minor)) < 0 ? -errno : 0;
	if (r == 0 && fchownat(above, name, owner_of(a), group_of(a), AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == 0 && S_ISFIFO(e->type) && a->has_mode && fchmodat(above, name, a->mode, 0) < 0)
		r = -errno;
	if (r == 0 && a->has_mtime && utimensat(above, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r;
}

static int keep(struct import_tree *t, struct import_entry *e)
{
	struct import_directory d = {.path = strdup(e->path), .attributes = e->attributes};
	int r = d.path ? buf_append(&t->directories, &d, sizeof d) : -ENOMEM;

	if (r == 0)
		e->attributes.xattrs = (struct buf){0};
	else
		free(d.path);
	return r;
}

static int make_directory(struct import_tree *t, struct import_entry *e)
{
	const char *name;

	if (strcmp(e->path, ".") != 0) {
		_cleanup_close_ int above = open_above(t, e->path, &name);
		if (above < 0)
			return above;
		if (mkdirat(above, name, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return keep(t, e);
}

int import_finish(struct import_tree *t, struct import_entry *e)
{
	if (!e->path[0])
		return -EINVAL;
	if (e->same_as[0])
		return link_same(t, e);
	if (S_ISDIR(e->type))
		return make_directory(t, e);
	if (e->type && !S_ISREG(e->type))
		return make_special(t, e);
	if (strcmp(e->path, DOCUMENT) == 0 && e->fd < 0) {
		buf_release(&t->document.xattrs);
		t->document = e->attributes;
		e->attributes.xattrs = (struct buf){0};
		return 0;
	}
	return finish_file(t, e);
}

static int write_document(struct import_tree *t, const struct buf *document)
{
	_cleanup_close_ int fd = openat(t->top, DOCUMENT, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < document->len) {
		ssize_t n = write(fd, document->data + done, document->len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return set_attributes(t, fd, &t->document);
}

int import_end(struct import_tree *t, const struct buf *document)
{
	size_t n = directories_of(t);
	int r = write_document(t, document);

	/* From below: what is made in a directory changes its time. */
	while (r == 0 && n-- > 0) {
		const struct import_directory *d = directory_at(t, n);
		_cleanup_close_ int fd = open_beneath(t->top, d->path, O_RDONLY | O_DIRECTORY, 0);
		r = fd < 0 ? fd : set_attributes(t, fd, &d->attributes);
	}
	return r;
}
