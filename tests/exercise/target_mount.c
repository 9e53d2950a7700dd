/*
 * target_mount.c: a mounted store, through the kernel, and its daemon: started, unmounted and killed.
 */
#include "tests/exercise/target.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_SIZE 4352

struct target_mount {
	struct target target;
	struct target_options options;
	char root[512];
	int slots[STEP_SLOTS + 1];
};

static struct target_mount *of(struct target *t)
{
	return (struct target_mount *)t;
}

static const char *full(struct target *t, const char *path, char to[PATH_SIZE])
{
	snprintf(to, PATH_SIZE, "%s%s%s", of(t)->root, *path ? "/" : "", path);
	return to;
}

static int64_t result(int64_t r)
{
	return r < 0 ? -errno : r;
}

/* ---- the daemon ------------------------------------------------------------------------------ */

/* Runs the program; its status. Its output is not ours. */
static int call(const char *const argv[])
{
	int status, null;
	pid_t pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int target_mount_start(const struct target_options *o)
{
	const char *argv[] = {o->program, "mount", o->store, o->mountpoint, "--key-file", o->key, NULL};
	return call(argv) ? -1 : 0;
}

int target_mount_stop(const struct target_options *o)
{
	const char *argv[] = {o->program, "umount", o->mountpoint, NULL};
	return call(argv) ? -1 : 0;
}

/* Whether this is the process of our store: its arguments name it. */
static bool serves(const struct target_options *o, const char *pid)
{
	char path[300], text[8192];
	ssize_t n = -1;
	int fd;
	snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof text - 1);
		close(fd);
	}
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (const char *arg = text; arg < text + n; arg += strlen(arg) + 1)
		if (!strcmp(arg, o->store) && strcmp(text + strlen(text) + 1, "mount") == 0)
			return true;
	return false;
}

int target_mount_kill(const struct target_options *o)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	pid_t pid = 0;
	while (proc && (d = readdir(proc)))
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && serves(o, d->d_name))
			pid = atoi(d->d_name);
	if (proc)
		closedir(proc);
	if (!pid || kill(pid, SIGKILL) < 0)
		return -1;
	while (kill(pid, 0) == 0)
		usleep(1000);
	umount2(o->mountpoint, MNT_DETACH);
	return 0;
}

/* The others who share the mount wait as well, while one brings it down and up. */
static int meet(const struct target_options *o, char how)
{
	char c = how;
	if (write(o->arrive, &c, 1) != 1 || read(o->go, &c, 1) != 1)
		return -EIO;
	return c == 'k' ? 0 : -EIO;
}

static int mount_reopen(struct target *t)
{
	const struct target_options *o = &of(t)->options;
	if (o->shared)
		return meet(o, 'r');
	return target_mount_stop(o) < 0 || target_mount_start(o) < 0 ? -EIO : 0;
}

static int mount_kill(struct target *t)
{
	struct target_mount *m = of(t);
	int r;
	if (m->options.shared)
		r = meet(&m->options, 'k');
	else
		r = target_mount_kill(&m->options) < 0 || target_mount_start(&m->options) < 0 ? -EIO : 0;
	for (int i = 0; i < STEP_SLOTS; i++)
		if (m->slots[i] >= 0) {
			close(m->slots[i]);
			m->slots[i] = -1;
		}
	return r;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static int mkdir_by_other(const char *path, mode_t mode)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(mkdir(path, mode) < 0 ? errno : 0);
	return pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ? -EIO : -WEXITSTATUS(status);
}

static int mount_make(struct target *t, const char *path, mode_t mode, dev_t rdev, const char *link)
{
	char p[PATH_SIZE];
	full(t, path, p);
	if (S_ISDIR(mode))
		return of(t)->options.by_other ? mkdir_by_other(p, mode & 07777)
					       : (int)result(mkdir(p, mode & 07777));
	if (S_ISLNK(mode))
		return (int)result(symlink(link, p));
	return (int)result(mknod(p, mode, rdev));
}

static int mount_link(struct target *t, const char *from, const char *to)
{
	char a[PATH_SIZE], b[PATH_SIZE];
	return (int)result(link(full(t, from, a), full(t, to, b)));
}

static int mount_rename(struct target *t, const char *from, const char *to, unsigned flags)
{
	char a[PATH_SIZE], b[PATH_SIZE];
	return (int)result(renameat2(AT_FDCWD, full(t, from, a), AT_FDCWD, full(t, to, b), flags));
}

static int mount_unlink(struct target *t, const char *path)
{
	char p[PATH_SIZE];
	return (int)result(unlink(full(t, path, p)));
}

static int mount_rmdir(struct target *t, const char *path)
{
	char p[PATH_SIZE];
	return (int)result(rmdir(full(t, path, p)));
}

static int mount_open(struct target *t, unsigned slot, const char *path, int flags, mode_t mode)
{
	char p[PATH_SIZE];
	int fd = open(full(t, path, p), flags | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	of(t)->slots[slot] = fd;
	return 0;
}

static int mount_close(struct target *t, unsigned slot)
{
	int fd = of(t)->slots[slot];
	of(t)->slots[slot] = -1;
	return (int)result(close(fd));
}

static ssize_t mount_write(struct target *t, unsigned slot, int64_t offset, const void *bytes, size_t len)
{
	int fd = of(t)->slots[slot];
	return result(offset < 0 ? write(fd, bytes, len) : pwrite(fd, bytes, len, offset));
}

static ssize_t mount_read(struct target *t, unsigned slot, int64_t offset, void *bytes, size_t len)
{
	return result(pread(of(t)->slots[slot], bytes, len, offset));
}

static int mount_truncate(struct target *t, const char *path, unsigned slot, int64_t size)
{
	char p[PATH_SIZE];
	return (int)result(path ? truncate(full(t, path, p), size) : ftruncate(of(t)->slots[slot], size));
}

static int mount_fallocate(struct target *t, unsigned slot, int mode, int64_t offset, int64_t len)
{
	return (int)result(fallocate(of(t)->slots[slot], mode, offset, len));
}

static int64_t mount_seek(struct target *t, unsigned slot, int64_t offset, int whence)
{
	/* The position is write's. */
	int fd = of(t)->slots[slot];
	off_t was = lseek(fd, 0, SEEK_CUR);
	int64_t at = result(lseek(fd, offset, whence));
	lseek(fd, was, SEEK_SET);
	return at;
}

static ssize_t mount_copy(struct target *t, unsigned in, int64_t in_offset, unsigned out,
	int64_t out_offset, size_t len)
{
	off_t from = in_offset, to = out_offset;
	return result(copy_file_range(of(t)->slots[in], &from, of(t)->slots[out], &to, len, 0));
}

static int mount_fsync(struct target *t, unsigned slot, bool data_only)
{
	int fd = of(t)->slots[slot];
	return (int)result(data_only ? fdatasync(fd) : fsync(fd));
}

static int map_bytes(int fd, bool shared, uint64_t offset, const void *bytes, size_t len, void *seen)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = offset / page * page;
	size_t at = offset - from;
	uint8_t *map = mmap(NULL, at + len, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE, fd,
		(off_t)from);
	int r = 0;
	if (map == MAP_FAILED)
		return -errno;
	if (shared)
		memcpy(seen, map + at, len);
	memcpy(map + at, bytes, len);
	if (!shared)
		memcpy(seen, map + at, len);
	else if (msync(map, at + len, MS_SYNC) < 0)
		r = -errno;
	munmap(map, at + len);
	return r;
}

static int mount_map(struct target *t, const char *path, bool shared, int flags, uint64_t offset,
	const void *bytes, size_t len, void *before)
{
	char p[PATH_SIZE];
	int fd = open(full(t, path, p), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags), r;
	if (fd < 0)
		return -errno;
	r = map_bytes(fd, shared, offset, bytes, len, before);
	close(fd);
	return r;
}

static int mount_chmod(struct target *t, const char *path, mode_t mode)
{
	char p[PATH_SIZE];
	return (int)result(chmod(full(t, path, p), mode));
}

static int mount_chown(struct target *t, const char *path, uid_t uid, gid_t gid)
{
	char p[PATH_SIZE];
	return (int)result(lchown(full(t, path, p), uid, gid));
}

static int mount_utimens(struct target *t, const char *path, const struct timespec tv[2])
{
	char p[PATH_SIZE];
	return (int)result(utimensat(AT_FDCWD, full(t, path, p), tv, AT_SYMLINK_NOFOLLOW));
}

static int mount_setxattr(struct target *t, const char *path, const char *name, const void *value,
	size_t size, int flags)
{
	char p[PATH_SIZE];
	return (int)result(lsetxattr(full(t, path, p), name, value, size, flags));
}

static ssize_t mount_getxattr(struct target *t, const char *path, const char *name, void *value, size_t size)
{
	char p[PATH_SIZE];
	return result(lgetxattr(full(t, path, p), name, value, size));
}

static ssize_t mount_listxattr(struct target *t, const char *path, char *names, size_t size)
{
	char p[PATH_SIZE];
	return result(llistxattr(full(t, path, p), names, size));
}

static int mount_removexattr(struct target *t, const char *path, const char *name)
{
	char p[PATH_SIZE];
	return (int)result(lremovexattr(full(t, path, p), name));
}

static int mount_stat(struct target *t, const char *path, unsigned slot, struct stat *ret_st)
{
	char p[PATH_SIZE];
	return (int)result(path ? lstat(full(t, path, p), ret_st) : fstat(of(t)->slots[slot], ret_st));
}

static ssize_t mount_readlink(struct target *t, const char *path, char *link, size_t size)
{
	char p[PATH_SIZE];
	return result(readlink(full(t, path, p), link, size));
}

static int mount_list(struct target *t, const char *path, target_fill fill, void *arg)
{
	char p[PATH_SIZE];
	DIR *dir = opendir(full(t, path, p));
	struct dirent *d;
	if (!dir)
		return -errno;
	while (errno = 0, (d = readdir(dir)))
		fill(arg, d->d_name, d->d_ino, DTTOIF(d->d_type));
	int r = -errno;
	closedir(dir);
	return r;
}

static void mount_umask(struct target *t, mode_t mask)
{
	umask(mask);
}

static void mount_free(struct target *t)
{
	for (int i = 0; i < STEP_SLOTS; i++)
		if (of(t)->slots[i] >= 0)
			close(of(t)->slots[i]);
	free(t);
}

static const struct target_ops mount_ops = {mount_make, mount_link, mount_rename, mount_unlink,
	mount_rmdir, mount_open, mount_close, mount_write, mount_read, mount_truncate, mount_fallocate,
	mount_seek, mount_copy, mount_fsync, mount_map, mount_chmod, mount_chown, mount_utimens,
	mount_setxattr, mount_getxattr, mount_listxattr, mount_removexattr, mount_stat, mount_readlink,
	mount_list, mount_umask, mount_reopen, mount_kill, mount_free};

struct target *target_mount_new(const struct target_options *options)
{
	struct target_mount *t = calloc(1, sizeof *t);
	struct stat st;
	if (!t)
		abort();
	t->target = (struct target){.ops = &mount_ops, .maps = true, .kills = true,
		.snapshots = "../.snapshots", .inside = "/plain"};
	t->options = *options;
	for (int i = 0; i <= STEP_SLOTS; i++)
		t->slots[i] = -1;
	umask(022);
	/* An earlier try may have left the mount without its daemon. */
	if (!options->shared && stat(options->mountpoint, &st) < 0 && target_mount_start(options) < 0)
		exit(2);
	snprintf(t->root, sizeof t->root, "%s/", options->mountpoint);
	for (const char *part = options->tree, *end; *part; part = *end ? end + 1 : end) {
		size_t len = strlen(t->root);
		end = strchrnul(part, '/');
		snprintf(t->root + len, sizeof t->root - len, "%.*s%s", (int)(end - part), part, *end ? "/" : "");
		if (mkdir(t->root, 0755) < 0 && errno != EEXIST) {
			fprintf(stderr, "cannot make %s: %s\n", t->root, strerror(errno));
			exit(2);
		}
	}
	return &t->target;
}
