/*
 * work_big.c: one large file of bytes that do not compress, and what the disk itself takes for a
 * flush.
 *
 *   bigwrite FILE MB       writes it in pieces of 128 KiB, fsync, close
 *   bigread FILE MB        reads it from the front to its end
 *   randread FILE COUNT    COUNT reads of 4 KiB, anywhere in it
 *   randwrite FILE COUNT   COUNT such writes, then fsync, close
 *   flush FILE COUNT       COUNT times: append 4 KiB, fdatasync
 */
#include "work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)128 << 10)
#define NOISE ((size_t)16 << 20)
#define PAGE ((size_t)4096)

static char *noise(void)
{
	char *bytes = malloc(NOISE);
	if (!bytes)
		die("memory for", "noise");
	for (size_t at = 0; at < NOISE; at += sizeof(uint64_t)) {
		uint64_t word = dice();
		memcpy(bytes + at, &word, sizeof word);
	}
	return bytes;
}

static void finish(int fd, const char *path)
{
	if (fsync(fd) < 0 || close(fd) < 0)
		die("fsync", path);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags, 0600);
	if (fd < 0)
		die("open", path);
	return fd;
}

static void bigwrite(const char *path, const long *number)
{
	char *bytes = noise();
	size_t size = (size_t)number[0] << 20;
	double start = now();
	int fd = open_or_die(path, O_WRONLY | O_CREAT | O_EXCL);
	for (size_t at = 0; at < size; at += PIECE)
		write_all(fd, bytes + at % NOISE, PIECE, path);
	finish(fd, path);
	printf("%.6f\n", now() - start);
	free(bytes);
}

static void bigread(const char *path, const long *number)
{
	static char buffer[PIECE];
	size_t size = (size_t)number[0] << 20, at = 0;
	double start = now();
	int fd = open_or_die(path, O_RDONLY);
	for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0; at += (size_t)n)
		if (n < 0)
			die("read", path);
	close(fd);
	double seconds = now() - start;
	if (at != size) {
		fprintf(stderr, "work: %s: %zu bytes, %zu expected\n", path, at, size);
		exit(1);
	}
	printf("%.6f\n", seconds);
}

static off_t some_page(int fd, const char *path)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || (size_t)st.st_size < PAGE)
		die("stat", path);
	return (off_t)(dice() % ((uint64_t)st.st_size / PAGE) * PAGE);
}

static void randread(const char *path, const long *number)
{
	static char buffer[PAGE];
	double start = now();
	int fd = open_or_die(path, O_RDONLY);
	for (long n = 0; n < number[0]; n++)
		if (pread(fd, buffer, sizeof buffer, some_page(fd, path)) != (ssize_t)sizeof buffer)
			die("read", path);
	close(fd);
	printf("%.6f\n", now() - start);
}

static void randwrite(const char *path, const long *number)
{
	char *bytes = noise();
	double start = now();
	int fd = open_or_die(path, O_WRONLY);
	for (long n = 0; n < number[0]; n++)
		if (pwrite(fd, bytes + (size_t)n * PAGE % NOISE, PAGE, some_page(fd, path)) !=
		        (ssize_t)PAGE)
			die("write", path);
	finish(fd, path);
	printf("%.6f\n", now() - start);
	free(bytes);
}

static void flush(const char *path, const long *number)
{
	static char page[PAGE];
	int fd = open_or_die(path, O_WRONLY | O_CREAT | O_APPEND);
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		write_all(fd, page, sizeof page, path);
		if (fdatasync(fd) < 0)
			die("fdatasync", path);
	}
	printf("%.6f\n", now() - start);
	close(fd);
}

const struct verb verbs_big[] = {
        {"bigwrite", 1, bigwrite},
        {"bigread", 1, bigread},
        {"randread", 1, randread},
        {"randwrite", 1, randwrite},
        {"flush", 1, flush},
        {NULL, 0, NULL},
};
