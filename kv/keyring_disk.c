/* The keyring on disk: read whole, locked, replaced atomically. */
#include "kv/keyring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

int keyring_disk_open(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

int keyring_disk_read(int dir, struct buf *ret_bytes)
{
	/* O_NONBLOCK: a FIFO in its place must not hang us. */
	_cleanup_close_ int fd =
		openat(dir, KEYRING_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > KEYRING_FILE_MAX)
		return -EBADMSG;
	int r = buf_resize(ret_bytes, (size_t)st.st_size);
	if (r < 0)
		return r;
	size_t done = 0;
	while (done < ret_bytes->len) {
		ssize_t n = read(fd, ret_bytes->data + done, ret_bytes->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

int keyring_disk_lock(int dir)
{
	/* flock() belongs to the open file: a descriptor of its own for each holder. */
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		int e = errno;
		if (e == EINTR)
			continue;
		close(fd);
		return -e;
	}
	return fd;
}

static int write_new(int dir, const struct buf *bytes)
{
	_cleanup_close_ int fd = openat(dir, KEYRING_NAME_NEW,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	size_t done = 0;
	while (done < bytes->len) {
		ssize_t n = write(fd, bytes->data + done, bytes->len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int keyring_disk_replace(int dir, const struct buf *bytes, bool *ret_replaced)
{
	*ret_replaced = false;
	/* Left behind by a crash: under the lock it is nobody's. */
	if (unlinkat(dir, KEYRING_NAME_NEW, 0) < 0 && errno != ENOENT)
		return -errno;
	int r = write_new(dir, bytes);
	if (r == 0 && renameat(dir, KEYRING_NAME_NEW, dir, KEYRING_NAME) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, KEYRING_NAME_NEW, 0);
		return r;
	}
	*ret_replaced = true;
	return fsync(dir) < 0 ? -errno : 0;
}
