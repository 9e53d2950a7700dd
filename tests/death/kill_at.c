/*
 * kill_at.c: preloaded into the daemon, ends it with SIGKILL at a call that was chosen: so the death comes
 * in the middle of recovery, of a commit, of an unmount, and not only where a clock happens to strike.
 *
 * The environment's SCRIBEFS_KILL_AT names a file of 16 bytes, which is mapped: i64 (the machine's order) how
 * many calls are left, 0: none was chosen; i64 when: 0 before the call, 1 in it (half of a write has been done),
 * 2 after it. Whoever runs the test may write the file at any time. Calls that count are those that change files,
 * sync them, or answer the kernel.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#pragma GCC visibility push(default)

struct order {
	_Atomic int64_t left;
	_Atomic int64_t when;
};
static struct order *order;

enum { BEFORE, WITHIN, AFTER, NEVER };

__attribute__((constructor)) static void map_order(void)
{
	const char *path = getenv("SCRIBEFS_KILL_AT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED
			  : mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		order = at;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Counts a call; does not return where this is the one, and it is to be before. */
static int now(void)
{
	int64_t left = order ? atomic_load(&order->left) : 0;

	while (left > 0 && !atomic_compare_exchange_weak(&order->left, &left, left - 1))
		;
	if (left != 1)
		return NEVER;
	int when = (int)atomic_load(&order->when);
	if (when == BEFORE)
		die();
	return when;
}

static void after(int when)
{
	if (when != NEVER)
		die();
}

#define REAL(type, name, ...)                                                                      \
	static type (*real)(__VA_ARGS__);                                                          \
	if (!real)                                                                                 \
	real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *data, size_t size)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	int when = now();
	ssize_t n = real(fd, data, when == WITHIN ? size / 2 : size);
	after(when);
	return n;
}

#define PWRITE(name, text)                                                                         \
	ssize_t name(int fd, const void *data, size_t size, off_t offset)                          \
	{                                                                                          \
		REAL(ssize_t, text, int, const void *, size_t, off_t);                             \
		int when = now();                                                                  \
		ssize_t n = real(fd, data, when == WITHIN ? size / 2 : size, offset);              \
		after(when);                                                                       \
		return n;                                                                          \
	}
PWRITE(pwrite, "pwrite")
PWRITE(pwrite64, "pwrite64")

#define CALL(type, name, text, types, names)                                                       \
	type name types                                                                            \
	{                                                                                          \
		static type(*real) types;                                                          \
		if (!real)                                                                         \
			real = (type(*) types)dlsym(RTLD_NEXT, text);                              \
		int when = now();                                                                  \
		type r = real names;                                                               \
		after(when);                                                                       \
		return r;                                                                          \
	}
CALL(ssize_t, writev, "writev", (int fd, const struct iovec *v, int n), (fd, v, n))
CALL(int, fsync, "fsync", (int fd), (fd))
CALL(int, fdatasync, "fdatasync", (int fd), (fd))
CALL(int, ftruncate, "ftruncate", (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, "ftruncate64", (int fd, off_t size), (fd, size))
CALL(int, rename, "rename", (const char *from, const char *to), (from, to))
CALL(int, renameat, "renameat", (int a, const char *from, int b, const char *to), (a, from, b, to))
CALL(int, unlink, "unlink", (const char *path), (path))
CALL(int, unlinkat, "unlinkat", (int at, const char *path, int flags), (at, path, flags))
