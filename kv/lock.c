/*
 * The store's lock: flock() on `lock`, whose content is the holder's process id. The lock belongs
 * to the open file, so it survives a fork of the daemon while the number in it would name the
 * parent: kv_open() comes after the fork.
 */
#include "kv/kv_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>

#define TRIES 5
#define TRY_NS (20 * 1000 * 1000)

/* kv_holder() takes a shared lock for an instant to look: so one refusal proves nothing. */
static int take(int fd)
{
	struct timespec pause = {.tv_nsec = TRY_NS};

	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == TRIES)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int kv_lock_take(const char *path, bool read_only, int *ret_fd)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool writable = fd >= 0;
	int r;

	if (fd < 0 && read_only && (errno == EROFS || errno == EACCES)) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT) {
			/* Never opened, on a read-only disk: nobody can write it. */
			*ret_fd = -1;
			return 0;
		}
	}
	if (fd < 0)
		return -errno;
	r = take(fd);
	if (r < 0)
		return r;
	if (writable && (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) &&
		errno != ENOSPC)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

void kv_lock_drop(int fd)
{
	if (fd < 0)
		return;
	/* The number is of no use any more; that it may stay on a full disk does no harm. */
	if (ftruncate(fd, 0) < 0)
		errno = 0;
	close(fd);
}

int kv_holder(const char *path)
{
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	struct timespec pause = {.tv_nsec = TRY_NS};
	char text[16] = "";

	if (asprintf(&name, "%s/lock", path) < 0)
		return -ENOMEM;
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	/* Between taking the lock and writing the number there is a gap. */
	for (int i = 0; i <= TRIES; i++) {
		if (flock(fd, LOCK_SH | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (pread(fd, text, sizeof text - 1, 0) < 0)
			return -errno;
		if (atoi(text) > 0)
			return atoi(text);
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}
