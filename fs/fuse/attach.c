#include "fs/fuse/attach.h"
#include "fs/fuse/check.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define SAID 512

/* What libfuse has said last in this thread. */
static _Thread_local char libfuse_said[SAID];

static void log_libfuse(enum fuse_log_level level, const char *fmt, va_list ap)
{
	vsnprintf(libfuse_said, SAID, fmt, ap);
	libfuse_said[strcspn(libfuse_said, "\n")] = '\0';
	log_line(level <= FUSE_LOG_ERR ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s", libfuse_said);
}

void attach_log(void)
{
	fuse_set_log_func(log_libfuse);
}

/*
 * Mounts while standard error, which fusermount3 inherits, goes into a pipe: what it says belongs into
 * our one line. Returns what fuse_session_mount() does, and what was said.
 */
static int mount_listening(struct fuse_session *se, const char *mountpoint, char ret_said[SAID])
{
	int fd[2];
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	ret_said[0] = '\0';
	if (saved < 0 || pipe2(fd, O_CLOEXEC) < 0) {
		if (saved >= 0)
			close(saved);
		return fuse_session_mount(se, mountpoint);
	}
	dup2(fd[1], STDERR_FILENO);
	int r = fuse_session_mount(se, mountpoint);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fd[1]);
	fcntl(fd[0], F_SETFL, O_NONBLOCK); /* some process may still hold the other end */
	ssize_t n = read(fd[0], ret_said, SAID - 1);
	close(fd[0]);
	ret_said[n > 0 ? n : 0] = '\0';
	return r;
}

static int complain(const char *mountpoint, char *said)
{
	said[strcspn(said, "\n")] = '\0';
	const char *why = *libfuse_said ? libfuse_said : *said ? said : "refused";
	check_complain("cannot mount on %s: %s; look at who may mount, and at the directory's owner",
		mountpoint, why);
	return -1;
}

/*
 * The directory itself, not what its path may mean a moment later: a neighbour who can write above it could
 * put a symlink there between the check and the mount. -1: it is not what was checked.
 */
static int open_mountpoint(const char *mountpoint)
{
	char link[32], path[PATH_MAX];
	int dir = open(mountpoint, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
	ssize_t n = dir < 0 ? -1 : readlink(link, path, sizeof path - 1);
	if (n >= 0 && (size_t)n == strlen(mountpoint) && memcmp(path, mountpoint, (size_t)n) == 0)
		return dir;
	if (dir >= 0)
		close(dir);
	return -1;
}

/*
 * A mountpoint may refuse writes, so that nothing lands in it while nothing is mounted; fusermount3
 * asks for the right to write there of anybody but root. So its owner's bit is lent for the moment.
 */
static bool lend_write(int dir, const struct stat *st)
{
	return geteuid() != 0 && faccessat(dir, ".", W_OK, 0) < 0 &&
	       fchmod(dir, (st->st_mode & 07777) | S_IWUSR) == 0;
}

int attach(struct fuse_session *se, const char *mountpoint, int *ret_dir)
{
	_cleanup_close_ int dir = open_mountpoint(mountpoint);
	char said[SAID] = "", at[32];
	struct stat st;
	if (dir < 0 || fstat(dir, &st) < 0) {
		libfuse_said[0] = '\0';
		return complain(mountpoint, said);
	}
	bool lent = lend_write(dir, &st);
	snprintf(at, sizeof at, "/proc/self/fd/%d", dir);
	libfuse_said[0] = '\0';
	/* fusermount3, which mounts for everybody else, takes the same care itself. */
	int r = mount_listening(se, geteuid() == 0 ? at : mountpoint, said);
	if (lent && fchmod(dir, st.st_mode & 07777) < 0)
		log_warning("cannot take back the right to write in the mountpoint: %m");
	if (r != 0)
		return complain(mountpoint, said);
	*ret_dir = dir;
	dir = -1;
	return 0;
}
