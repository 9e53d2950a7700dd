#include "kv/kv_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>

#define COPY_BYTES 4096

static int copy_keyring(const struct kv *kv, int to_dir)
{
	_cleanup_free_ char *from = NULL;
	_cleanup_close_ int in = -1, out = -1;
	uint8_t bytes[COPY_BYTES];
	ssize_t n;

	if (asprintf(&from, "%s/keyring", kv->path) < 0)
		return -ENOMEM;
	/* It is replaced by renaming, so what is open stays whole. */
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = openat(to_dir, "keyring", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		return -errno;
	while ((n = read(in, bytes, sizeof bytes)) > 0) {
		ssize_t written = write(out, bytes, (size_t)n);
		if (written != n)
			return written < 0 ? -errno : -ENOSPC;
	}
	if (n < 0 || fsync(out) < 0)
		return -errno;
	return 0;
}

/* The copy holds at least every commit up to @sequence, all of it synced by the engine. */
static int write_mark(struct kv *kv, const char *path, uint64_t sequence)
{
	_cleanup_free_ char *name = NULL;
	struct kv_mark mark = {.fd = -1};
	int r;

	if (asprintf(&name, "%s/mark", path) < 0)
		return -ENOMEM;
	r = kv_mark_open(kv, name, false, &mark);
	if (r == -ENOENT && mark.fd >= 0)
		r = kv_mark_write(kv, &mark, sequence, true);
	if (r == 0 && fsync(mark.fd) < 0)
		r = -errno;
	if (mark.fd >= 0)
		close(mark.fd);
	return r;
}

static void remove_files(int dir_fd)
{
	DIR *dir = fdopendir(dir_fd);
	struct dirent *d;

	if (!dir) {
		close(dir_fd);
		return;
	}
	while ((d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
}

/* One that failed half way is no store: it goes, and what is shared by hard links stays. */
static void remove_checkpoint(const char *path, int dir_fd)
{
	int db = openat(dir_fd, "db", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (db >= 0)
		remove_files(db);
	unlinkat(dir_fd, "db", AT_REMOVEDIR);
	unlinkat(dir_fd, "keyring", 0);
	unlinkat(dir_fd, "mark", 0);
	rmdir(path);
}

static int sync_parent(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int kv_checkpoint(struct kv *kv, const char *path)
{
	_cleanup_free_ char *db = NULL;
	_cleanup_close_ int dir_fd = -1;
	uint64_t sequence;
	int r;

	if (asprintf(&db, "%s/db", path) < 0)
		return -ENOMEM;
	if (mkdir(path, 0700) < 0)
		return -errno;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		r = -errno;
		rmdir(path);
		return r;
	}
	sequence = kv_sequence(kv);
	r = kv_health_error(kv);
	if (r == 0)
		r = kv_enter(kv);
	if (r == 0) {
		r = kv->ops->checkpoint(kv->engine, db);
		kv_leave(kv);
	}
	/* After the records, so that the keys of all domains that they name are in it. */
	if (r == 0)
		r = copy_keyring(kv, dir_fd);
	if (r == 0)
		r = write_mark(kv, path, sequence);
	if (r == 0 && fsync(dir_fd) < 0)
		r = -errno;
	if (r == 0)
		r = sync_parent(path);
	if (r < 0)
		remove_checkpoint(path, dir_fd);
	return r;
}
