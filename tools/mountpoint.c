#include "tools/mountpoint.h"

#include "kv/cleanup.h"
#include "kv/log.h"
#include "tools/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

int mountpoint_prepare(const char *path, char ret_path[PATH_MAX])
{
	char resolved[PATH_MAX];
	struct mount_entry entry;
	int r = mounts_resolve(path, resolved);
	if (r == 0 && mounts_find(resolved, &entry) == 0 && entry.scribefs) {
		if (!mounts_is_dead(resolved)) {
			log_error("%s is mounted at %s already; 'scribefs umount %s' takes it away",
				entry.source, path, path);
			return -EBUSY;
		}
		r = mounts_unmount(resolved, true);
		if (r == 0)
			log_info("detached the mount of a daemon that died from %s", resolved);
	}
	if (r == -ENOENT) {
		log_error("the mountpoint %s does not exist; make it with mkdir", path);
		return r;
	}
	if (r < 0) {
		log_error("cannot use the mountpoint %s: %s", path, strerror(-r));
		return r;
	}
	struct stat st;
	if (stat(resolved, &st) < 0) {
		r = -errno;
		log_error("cannot use the mountpoint %s: %m", path);
		return r;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("the mountpoint %s is no directory; name one", path);
		return -ENOTDIR;
	}
	memcpy(ret_path, resolved, PATH_MAX);
	return 0;
}

static void close_twice(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

/* In the process that watches: until a mount stands at @path, or who holds the pipe's other end is gone. */
static void wait_for_mount(const char *path, int alive)
{
	int table = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	for (;;) {
		struct mount_entry entry;
		if (mounts_find(path, &entry) == 0 && entry.scribefs)
			return;
		/* The mount table reports a change since it was opened or last polled as POLLPRI. */
		struct pollfd polled[2] = {
			{.fd = alive, .events = POLLIN}, {.fd = table, .events = POLLPRI}};
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return;
		if (polled[0].revents)
			return;
	}
}

int mountpoint_open_for_mount(const char *path)
{
	struct stat st;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return -errno;
	if (geteuid() == 0 || st.st_uid != geteuid() || (st.st_mode & S_IWUSR))
		return 0;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int r = -errno;
		close_twice(ends);
		return r;
	}
	if (pid == 0) {
		/* Twice, so that nobody has to wait for it. */
		if (fork() != 0)
			_exit(0);
		close(ends[1]);
		wait_for_mount(path, ends[0]);
		fchmod(dir, st.st_mode & 07777);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(ends[0]);
	/* ends[1] stays open in this process and the daemon that it starts. */
	return fchmod(dir, (st.st_mode & 07777) | S_IWUSR) < 0 ? -errno : 0;
}
