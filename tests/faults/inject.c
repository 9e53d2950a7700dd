/*
 * inject.c: a fault layer below whatever writes a store: a library for LD_PRELOAD that makes calls
 * fail as control.h says. FAULT_DIR is the store's directory, FAULT_CONTROL the file of the
 * structure. Without these two it passes everything on.
 */
#pragma GCC visibility push(default)

#include "control.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536
#define NONE 255 /* no file of the store */

static struct fault_control *control;
static char dir[PATH_MAX];
static size_t dir_len;
static uint8_t kinds[FDS]; /* FAULT_FILES - class, so that 0 is none */

#define NEXT(name)                                                                                 \
	static __typeof__(name) *next;                                                             \
	if (!next)                                                                                 \
		next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("FAULT_CONTROL"), *below = getenv("FAULT_DIR");
	int fd;

	if (!path || !below || !realpath(below, dir))
		return;
	dir_len = strlen(dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (control == MAP_FAILED)
		control = NULL;
}

static bool ends(const char *name, const char *with)
{
	size_t a = strlen(name), b = strlen(with);

	return a >= b && strcmp(name + a - b, with) == 0;
}

static uint8_t class_of(const char *path)
{
	const char *name;

	if (!control || strncmp(path, dir, dir_len) != 0 || (path[dir_len] && path[dir_len] != '/'))
		return NONE;
	name = path + dir_len;
	if (strncmp(name, "/db", 3) == 0)
		return ends(name, ".log")	       ? FAULT_LOG
		       : ends(name, ".sst")	       ? FAULT_TABLE
		       : strstr(name, "/MANIFEST-")    ? FAULT_MANIFEST
						       : FAULT_ENGINE;
	return strcmp(name, "/mark") == 0		 ? FAULT_MARK
	       : strncmp(name, "/keyring", 8) == 0 ? FAULT_KEYRING
	       : strcmp(name, "/reserve") == 0	 ? FAULT_RESERVE
						 : FAULT_STORE;
}

/* The class of what @name means below the open directory @at. */
static uint8_t class_at(int at, const char *name)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (!control)
		return NONE;
	if (name[0] == '/')
		return class_of(name);
	if (at == AT_FDCWD)
		n = getcwd(path, sizeof path) ? (ssize_t)strlen(path) : -1;
	else {
		snprintf(link, sizeof link, "/proc/self/fd/%d", at);
		n = readlink(link, path, sizeof path - 1);
	}
	if (n < 0 || (size_t)n + strlen(name) + 2 > sizeof path)
		return NONE;
	path[n] = 0;
	if (strcmp(name, ".") != 0) {
		path[n] = '/';
		strcpy(path + n + 1, name);
	}
	return class_of(path);
}

static uint8_t class_fd(int fd)
{
	return control && fd >= 0 && fd < FDS && kinds[fd] ? (uint8_t)(FAULT_FILES - kinds[fd]) : NONE;
}

static int opened(int fd, uint8_t class)
{
	if (fd >= 0 && fd < FDS)
		kinds[fd] = class == NONE ? 0 : (uint8_t)(FAULT_FILES - class);
	return fd;
}

/* Whether this call fails; errno is set. */
static bool fails(enum fault_call call, uint8_t class)
{
	int64_t nth;

	if (class == NONE)
		return false;
	__atomic_fetch_add(&control->counted[call][class], 1, __ATOMIC_RELAXED);
	nth = __atomic_load_n(&control->nth, __ATOMIC_ACQUIRE);
	if (nth <= 0 || !(control->calls & 1u << call) || !(control->files & 1u << class))
		return false;
	if (nth > 1) {
		if (__atomic_fetch_sub(&control->nth, 1, __ATOMIC_ACQ_REL) > 1)
			return false;
	} else if (!control->lasting &&
		   !__atomic_compare_exchange_n(
			   &control->nth, &nth, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		return false;
	}
	__atomic_fetch_add(&control->fired, 1, __ATOMIC_RELAXED);
	errno = control->error;
	return true;
}

static ssize_t set_error(void)
{
	errno = control->error;
	return -1;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int real_openat(int at, const char *name, int flags, mode_t mode)
{
	NEXT(openat);
	return next(at, name, flags, mode);
}

static int open_at(int at, const char *name, int flags, mode_t mode)
{
	uint8_t class = class_at(at, name);

	if (fails(FAULT_OPEN, class))
		return -1;
	return opened(real_openat(at, name, flags, mode), class);
}

#define MODE(flags)                                                                                \
	mode_t mode = 0;                                                                           \
	if (flags & (O_CREAT | __O_TMPFILE)) {                                                     \
		va_list ap;                                                                        \
		va_start(ap, flags);                                                               \
		mode = va_arg(ap, mode_t);                                                         \
		va_end(ap);                                                                        \
	}

int open(const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(at, name, flags, mode);
}

int openat64(int at, const char *name, int flags, ...)
{
	MODE(flags)
	return open_at(at, name, flags | O_LARGEFILE, mode);
}

int __open_2(const char *name, int flags);
int __open_2(const char *name, int flags)
{
	return open_at(AT_FDCWD, name, flags, 0);
}

int __open64_2(const char *name, int flags);
int __open64_2(const char *name, int flags)
{
	return open_at(AT_FDCWD, name, flags | O_LARGEFILE, 0);
}

int __openat64_2(int at, const char *name, int flags);
int __openat64_2(int at, const char *name, int flags)
{
	return open_at(at, name, flags | O_LARGEFILE, 0);
}

FILE *fopen(const char *name, const char *mode)
{
	NEXT(fopen);
	return fails(FAULT_OPEN, class_at(AT_FDCWD, name)) ? NULL : next(name, mode);
}

FILE *fopen64(const char *name, const char *mode)
{
	NEXT(fopen64);
	return fails(FAULT_OPEN, class_at(AT_FDCWD, name)) ? NULL : next(name, mode);
}

int close(int fd)
{
	NEXT(close);
	if (fd >= 0 && fd < FDS)
		kinds[fd] = 0;
	return next(fd);
}

/* ---- writing --------------------------------------------------------------------------------- */

static ssize_t real_write(int fd, const void *data, size_t n)
{
	NEXT(write);
	return next(fd, data, n);
}

static ssize_t real_pwrite(int fd, const void *data, size_t n, off_t at)
{
	NEXT(pwrite64);
	return next(fd, data, n, at);
}

/* How many of @n bytes are written all the same. */
static size_t remains(size_t n)
{
	return control->after ? n : control->partial ? n / 2 : 0;
}

ssize_t write(int fd, const void *data, size_t n)
{
	if (!fails(FAULT_WRITE, class_fd(fd)))
		return real_write(fd, data, n);
	if (remains(n) && real_write(fd, data, remains(n)) < 0)
		return -1;
	return set_error();
}

static ssize_t write_at(int fd, const void *data, size_t n, off_t at)
{
	if (!fails(FAULT_WRITE, class_fd(fd)))
		return real_pwrite(fd, data, n, at);
	if (remains(n) && real_pwrite(fd, data, remains(n), at) < 0)
		return -1;
	return set_error();
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	return write_at(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at)
{
	return write_at(fd, data, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	NEXT(writev);
	return fails(FAULT_WRITE, class_fd(fd)) ? -1 : next(fd, v, n);
}

int fsync(int fd)
{
	NEXT(fsync);
	return fails(FAULT_SYNC, class_fd(fd)) ? -1 : next(fd);
}

int fdatasync(int fd)
{
	NEXT(fdatasync);
	return fails(FAULT_SYNC, class_fd(fd)) ? -1 : next(fd);
}

int sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	NEXT(sync_file_range);
	/* Without flags it does nothing, and programs ask so whether there is such a call. */
	return flags && fails(FAULT_RANGE, class_fd(fd)) ? -1 : next(fd, at, n, flags);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
	NEXT(fallocate);
	return fails(FAULT_ALLOCATE, class_fd(fd)) ? -1 : next(fd, mode, at, n);
}

int fallocate64(int fd, int mode, off_t at, off_t n)
{
	NEXT(fallocate64);
	return fails(FAULT_ALLOCATE, class_fd(fd)) ? -1 : next(fd, mode, at, n);
}

int ftruncate(int fd, off_t n)
{
	NEXT(ftruncate);
	return fails(FAULT_TRUNCATE, class_fd(fd)) ? -1 : next(fd, n);
}

int ftruncate64(int fd, off_t n)
{
	NEXT(ftruncate64);
	return fails(FAULT_TRUNCATE, class_fd(fd)) ? -1 : next(fd, n);
}

/* ---- names ----------------------------------------------------------------------------------- */

int rename(const char *from, const char *to)
{
	NEXT(rename);
	return fails(FAULT_RENAME, class_at(AT_FDCWD, to)) ? -1 : next(from, to);
}

int renameat(int from_at, const char *from, int to_at, const char *to)
{
	NEXT(renameat);
	return fails(FAULT_RENAME, class_at(to_at, to)) ? -1 : next(from_at, from, to_at, to);
}

int unlink(const char *name)
{
	NEXT(unlink);
	return fails(FAULT_UNLINK, class_at(AT_FDCWD, name)) ? -1 : next(name);
}

int unlinkat(int at, const char *name, int flags)
{
	NEXT(unlinkat);
	return fails(FAULT_UNLINK, class_at(at, name)) ? -1 : next(at, name, flags);
}
