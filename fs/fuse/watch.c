#include "fs/fuse/watch.h"
#include "fs/fuse/mountinfo.h"
#include "kv/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define ENDED SIGUSR1	/* the daemon's main thread has ended */
#define MNT_ID_UNIQUE 0x4000u /* STATX_MNT_ID_UNIQUE: younger than some C libraries */
#define GRACE_MS 500 /* for the rest of its threads: nothing holds them up but the kernel's own locks */

static void silence(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close_range(STDERR_FILENO + 1, ~0u, 0);
}

void watch_start(const char *point)
{
	char daemon[24];
	sigset_t set, old;
	pid_t pid;

	snprintf(daemon, sizeof daemon, "%d", (int)getpid());
	/* A terminal's signals are for the daemon; it ends when that has ended. */
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, &old);
	pid = fork();
	if (pid == 0) {
		silence();
		execl("/proc/self/exe", WATCH_NAME, daemon, point, (char *)NULL);
		_exit(1);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		log_warning("nobody watches over the mount: %s", strerror(errno));
}

/*
 * The number of the mount at @point that is never given again (Linux 6.8), else 0. It asks the daemon nothing, who may
 * not answer any more.
 */
static uint64_t mount_number(const char *point)
{
	const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
	struct statx st;

	if (statx(AT_FDCWD, point, flags, MNT_ID_UNIQUE, &st) < 0 || !(st.stx_mask & MNT_ID_UNIQUE))
		return 0;
	return st.stx_mnt_id;
}

/* By the control filesystem, which lets the owner of the mount do it; else as root. */
static void abort_connection(const struct mountinfo *mount)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/sys/fs/fuse/connections/%u/abort", minor(mount->device));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) == 1)
		return;
	umount2(mount->point, MNT_FORCE | UMOUNT_NOFOLLOW);
}

/* Whether all threads of the daemon are gone: then we are somebody else's child. */
static bool gone(pid_t daemon)
{
	for (unsigned ms = 0; ms < GRACE_MS; ms += 10) {
		if (getppid() != daemon)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return getppid() != daemon;
}

int watch_main(int argc, char **argv)
{
	pid_t daemon = argc == 3 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	struct mountinfo before, now;
	uint64_t number;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, ENDED);
	if (daemon <= 0 || prctl(PR_SET_PDEATHSIG, ENDED) < 0 || getppid() != daemon ||
		mountinfo_find(argv[2], &before) < 0)
		return 1;
	number = mount_number(argv[2]);
	while (sigwait(&set, &sig) != 0)
		;
	/*
	 * Who mounts anew, as soon as the daemon has given up its store, gets the same device number, at the same
	 * place and from the same source: the mount must be the one that we were started for.
	 */
	if (!gone(daemon) && mountinfo_find(argv[2], &now) == 0 && now.ours && now.device == before.device &&
		strcmp(now.source, before.source) == 0 && mount_number(argv[2]) == number && getppid() == daemon)
		abort_connection(&now);
	return 0;
}
