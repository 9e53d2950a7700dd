/* `scribefs umount`: ends a mount, and returns when all of it is in the store. */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/mountinfo.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/holders.h"
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#define PATIENCE_MS 5000  /* then a line says that it takes long */
#define LONGEST_MS 300000 /* then it has failed */

static int open_process(int pid)
{
	return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

/*
 * A descriptor for the daemon's process, or -1. The store's lock tells without a request that a stuck
 * daemon would not answer; the mount itself is asked where its source is no path (-o fsname).
 */
static int daemon_of(const struct mountinfo *mount)
{
	int holder = mount->source[0] == '/' ? kv_holder(mount->source) : 0;
	if (holder > 0)
		return open_process(holder);
	struct scribefs_status status = {0};
	/* Closed before the unmount, which it would keep busy. */
	_cleanup_close_ int fd = open(mount->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SCRIBEFS_IOC_STATUS, &status) < 0)
		return -1;
	return open_process((int)status.pid);
}

/* The kernel has let go; the daemon now commits and syncs what is left. */
static int wait_for_end(int process, const char *point)
{
	struct pollfd polled = {.fd = process, .events = POLLIN};
	int r = poll(&polled, 1, PATIENCE_MS);
	if (r == 0) {
		log_info("%s is unmounted; its daemon is still writing", point);
		r = poll(&polled, 1, LONGEST_MS - PATIENCE_MS);
	}
	if (r > 0)
		return STATUS_DONE;
	log_error("the daemon of %s has not ended in %d s; see what it does before you use the store",
		point, LONGEST_MS / 1000);
	return STATUS_FAILED;
}

static int say_busy(const struct mountinfo *mount)
{
	_cleanup_buf_ struct buf who = {0};
	int n = holders_describe(mount->point, mount->device, &who);
	if (n > 0)
		log_error("%s is busy: %.*s; end that and try again", mount->point, (int)who.len,
			(const char *)who.data);
	else
		log_error("%s is busy, by a process of another user or another mount in it; as root "
			  "'scribefs umount' can say which",
			mount->point);
	return STATUS_FAILED;
}

static int detach_dead(const char *point)
{
	int r = mountinfo_unmount(point, true);
	if (r < 0) {
		log_error("cannot detach the dead mount at %s: %s", point, strerror(-r));
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

static int unmount(const struct mountinfo *mount)
{
	_cleanup_close_ int process = daemon_of(mount);
	int r = mountinfo_unmount(mount->point, false);
	if (r == -EBUSY)
		return say_busy(mount);
	if (r == -ENOPKG)
		log_error("fusermount3 is missing; install the package fuse3");
	else if (r < 0)
		log_error("cannot unmount %s: %s; unmount it as the user who mounted it", mount->point,
			strerror(-r));
	if (r < 0)
		return STATUS_FAILED;
	return process < 0 ? STATUS_DONE : wait_for_end(process, mount->point);
}

static int run_umount(const struct command *self, int argc, char **argv)
{
	bool dead_only = false;
	const struct option_spec specs[] = {{"dead", 0, OPTION_FLAG, &dead_only}, {0}};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	char point[PATH_MAX];
	struct mountinfo mount;
	r = mountinfo_resolve(argv[0], point);
	if (r == 0)
		r = mountinfo_find(point, &mount);
	if (r == 0 && !mount.ours)
		r = -ENOENT;
	bool dead = r == 0 && mountinfo_is_dead(point);
	if (dead_only && !dead)
		return STATUS_DONE;
	if (r < 0) {
		log_error("%s is no mount of scribefs; 'findmnt -t fuse.scribefs' lists them", argv[0]);
		return STATUS_FAILED;
	}
	return dead ? detach_dead(point) : unmount(&mount);
}

const struct command cmd_umount = {
	.name = "umount",
	.usage = "MOUNTPOINT [--dead]",
	.summary = "end the mount at MOUNTPOINT, everything committed",
	.help = "Returns when the daemon has committed and synced everything and has ended. A mount\n"
		"that is in use stays, and the line names the processes. One whose daemon died is\n"
		"detached.\n\n"
		"Options:\n"
		"  --dead                  only detach a mount whose daemon died; otherwise do nothing\n",
	.run = run_umount,
};
