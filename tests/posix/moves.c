/*
 * moves.c: bytes that move in other ways than by read and write: splice, sendfile, asynchronous requests, flags of
 * one call; from and into memory that is not there, or that is a mapping of the same file.
 */
#include "suite.h"

#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define KIB 1024l
#define MIB (1024 * KIB)

static char model(long at)
{
	return (char)('a' + (at * 3 + at / 4099) % 26);
}

static char *pattern(long size)
{
	char *text = aligned_alloc(4096, (size_t)(size + 4095) / 4096 * 4096 + 4096);
	for (long i = 0; i < size; i++)
		text[i] = model(i);
	return text;
}

/* @size bytes of @fd at @at are the pattern's from @from on. */
static void check_bytes(int fd, long at, long from, long size, const char *what)
{
	char *text = malloc((size_t)size + 1);
	long n = CALL(pread(fd, text, (size_t)size, at)), bad = -1;
	for (long i = 0; i < n && bad < 0; i++)
		if (text[i] != model(from + i))
			bad = i;
	WANT_THAT(n == size && bad < 0, "%s: %ld bytes of %ld, the first wrong one at %ld", what, n, size, bad);
	free(text);
}

static void filled(const char *path, long size)
{
	char *text = pattern(size);
	int fd = MUST(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644));
	MUST(write(fd, text, (size_t)size));
	close(fd);
	free(text);
}

static void splices(void)
{
	int p[2];
	filled("from", MIB);
	put("to", "");
	MUST(pipe(p));
	int from = MUST(open("from", O_RDONLY)), to = MUST(open("to", O_RDWR));
	loff_t in = 5, out = 7;
	for (long left = MIB - 5, n; left > 0; left -= n) {
		n = MUST(splice(from, &in, p[1], NULL, 65536, SPLICE_F_MOVE));
		for (long m = n; m > 0;)
			m -= MUST(splice(p[0], NULL, to, &out, (size_t)m, SPLICE_F_MOVE));
	}
	WANT_NUM(MIB, in);
	WANT_NUM(0, splice(from, &in, p[1], NULL, 10, 0));
	check_bytes(to, 7, 5, MIB - 5, "spliced");
	WANT_NUM(0, lseek(to, 0, SEEK_CUR));
	/* What a pipe holds of a page is that page, and a write into the pipe's end is none into the file. */
	in = 0;
	WANT_NUM(10, splice(from, &in, p[1], NULL, 10, 0));
	MUST(write(p[1], "pipe", 4));
	char back[20] = "";
	WANT_NUM(14, read(p[0], back, sizeof back));
	WANT_TRUE(memcmp(back + 10, "pipe", 4) == 0);
	check_bytes(from, 0, 0, 100, "after a write into the pipe");
	int append = MUST(open("to", O_WRONLY | O_APPEND));
	WANT(EINVAL, splice(from, NULL, to, NULL, 10, 0));
	MUST(write(p[1], "x", 1));
	WANT(EINVAL, splice(p[0], NULL, append, NULL, 1, 0));
	WANT(EBADF, splice(p[0], NULL, from, NULL, 1, 0));
	WANT(ESPIPE, splice(p[0], &in, to, NULL, 1, 0));
	WANT(EINVAL, sendfile(append, from, NULL, 10));
	WANT(EBADF, sendfile(from, from, NULL, 10));
	WANT(EINVAL, sendfile(to, p[0], NULL, 10));
	int dir = MUST(open(".", O_RDONLY));
	WANT(EINVAL, splice(dir, NULL, p[1], NULL, 10, 0));
	WANT_NUM(100, sendfile(p[1], from, &(off_t){0}, 100));
}

/* ---- one call's flags ------------------------------------------------------------------------ */

static void flags_of_a_call(void)
{
	char text[20] = "";
	put("f", "0123456789");
	int fd = MUST(open("f", O_RDWR)), append = MUST(open("f", O_RDWR | O_APPEND));
	struct iovec v = {.iov_base = (char[]){"abc"}, .iov_len = 3}, back = {text, 10};
	WANT_NUM(3, pwritev2(fd, &v, 1, 0, RWF_DSYNC));
	WANT_NUM(3, pwritev2(fd, &v, 1, 3, RWF_SYNC));
	WANT_NUM(3, pwritev2(fd, &v, 1, 0, RWF_APPEND));
	WANT_NUM(13, look("f").st_size);
	WANT_NUM(0, lseek(fd, 0, SEEK_CUR));
	WANT_NUM(3, pwritev2(fd, &v, 1, -1, RWF_APPEND));
	WANT_NUM(16, lseek(fd, 0, SEEK_CUR));
	WANT_NUM(10, preadv2(fd, &back, 1, 0, RWF_HIPRI));
	WANT_TRUE(memcmp(text, "abcabc6789", 10) == 0);
	WANT(EOPNOTSUPP, preadv2(fd, &back, 1, 0, 1 << 30));
	/* The kernel may refuse to try without waiting; it never gives wrong bytes. */
	long n = CALL(preadv2(fd, &back, 1, 0, RWF_NOWAIT));
	WANT_THAT(n == 10 || n == -EAGAIN || n == -EOPNOTSUPP, "RWF_NOWAIT: %ld", n);
	WANT_NUM(3, pwritev2(append, &v, 1, 0, 0));
	WANT_NUM(19, look("f").st_size);
#ifdef RWF_NOAPPEND
	WANT_NUM(3, pwritev2(append, &v, 1, 0, RWF_NOAPPEND));
	WANT_NUM(19, look("f").st_size);
#endif
	/* O_APPEND put on and taken off an open file. */
	MUST(fcntl(fd, F_SETFL, O_APPEND));
	WANT_NUM(O_APPEND, fcntl(fd, F_GETFL) & O_APPEND);
	MUST(lseek(fd, 0, SEEK_SET));
	WANT_NUM(1, write(fd, "x", 1));
	WANT_NUM(20, look("f").st_size);
	WANT_NUM(20, lseek(fd, 0, SEEK_CUR));
	MUST(fcntl(fd, F_SETFL, 0));
	MUST(lseek(fd, 0, SEEK_SET));
	WANT_NUM(1, write(fd, "y", 1));
	WANT_NUM(20, look("f").st_size);
	MUST(fcntl(append, F_SETFL, 0));
	WANT_NUM(1, pwrite(append, "z", 1, 1));
	WANT_NUM(20, look("f").st_size);
	WANT_TRUE(strncmp(content("f"), "yz", 2) == 0);
	/* Vectors. */
	struct iovec none[3] = {{0}};
	WANT_NUM(0, writev(fd, none, 3));
	WANT_NUM(0, readv(fd, none, 0));
	none[1] = (struct iovec){text, (size_t)-1};
	WANT(EINVAL, writev(fd, none, 3));
	WANT_NUM(20, look("f").st_size);
}

/* ---- asynchronous ---------------------------------------------------------------------------- */

static long aio(aio_context_t context, struct iocb *one)
{
	struct io_event event;
	one->aio_data = 77;
	struct iocb *list[] = {one};
	long r = CALL(syscall(SYS_io_submit, context, 1l, list));
	if (r < 0)
		return r;
	if (CALL(syscall(SYS_io_getevents, context, 1l, 1l, &event, NULL)) != 1 || event.data != 77)
		return -EPROTO;
	return (long)event.res;
}

static void asynchronous(void)
{
	static const int flags[] = {0, O_DIRECT, O_DSYNC};
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 8u, &context) < 0)
		return;
	char *text = pattern(64 * KIB), *back = aligned_alloc(4096, 64 * KIB);
	for (size_t i = 0; i < COUNT(flags); i++) {
		int fd = MUST(open("f", O_CREAT | O_TRUNC | O_RDWR | flags[i], 0644));
		struct iocb cb = {.aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)text, .aio_nbytes = 64 * KIB,
			.aio_lio_opcode = IOCB_CMD_PWRITE, .aio_offset = 64 * KIB};
		WANT_NUM(64 * KIB, aio(context, &cb));
		WANT_NUM(128 * KIB, look("f").st_size);
		struct iovec v[2] = {{text, 32 * KIB}, {text + 32 * KIB, 32 * KIB}};
		cb = (struct iocb){.aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)v, .aio_nbytes = 2,
			.aio_lio_opcode = IOCB_CMD_PWRITEV};
		WANT_NUM(64 * KIB, aio(context, &cb));
		cb = (struct iocb){.aio_fildes = (uint32_t)fd, .aio_lio_opcode = IOCB_CMD_FSYNC};
		WANT_NUM(0, aio(context, &cb));
		cb.aio_lio_opcode = IOCB_CMD_FDSYNC;
		WANT_NUM(0, aio(context, &cb));
		for (long at = 0; at <= 64 * KIB; at += 64 * KIB) {
			memset(back, 0, 64 * KIB);
			cb = (struct iocb){.aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)back,
				.aio_nbytes = 64 * KIB, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_offset = at};
			WANT_NUM(64 * KIB, aio(context, &cb));
			WANT_TRUE(memcmp(text, back, 64 * KIB) == 0);
		}
		cb.aio_offset = 128 * KIB;
		WANT_NUM(0, aio(context, &cb));
		cb.aio_offset = 96 * KIB;
		WANT_NUM(32 * KIB, aio(context, &cb)); /* up to the end */
		close(fd);
	}
	syscall(SYS_io_destroy, context);
	free(text);
	free(back);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Two pages, of which the second is not there. */
static char *half_there(void)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		suite_die(__FILE__, __LINE__, "mmap");
	munmap(p + 4096, 4096);
	memset(p, 'h', 4096);
	return p;
}

/* What could be taken from the caller's memory is written, and no more; the same for reading. */
static void bad_memory(void)
{
	static const int flags[] = {0, O_APPEND, O_DIRECT};
	static const long sizes[] = {8, 4096, 100000};
	for (size_t i = 0; i < COUNT(flags); i++)
		/* ext4 may have written what it says it has not. */
		for (size_t s = 0; s < COUNT(sizes) && !(suite_plain() && flags[i] == O_DIRECT); s++) {
			char *half = half_there();
			filled("f", sizes[s]);
			int fd = MUST(open("f", O_RDWR | flags[i]));
			WANT(EFAULT, write(fd, half + 4096, 512));
			WANT_NUM(sizes[s], look("f").st_size);
			long n = CALL(pwrite(fd, half, 8192, 0)), start = flags[i] == O_APPEND ? sizes[s] : 0;
			WANT_THAT(n == -EFAULT || (n > 0 && n <= 4096), "a buffer half of which is there: %ld", n);
			long got = n < 0 ? 0 : n, end = start + got > sizes[s] ? start + got : sizes[s];
			WANT_NUM(end, look("f").st_size);
			close(fd);
			fd = MUST(open("f", O_RDONLY));
			char *all = malloc((size_t)end + 1);
			WANT_NUM(end, read(fd, all, (size_t)end + 1));
			long bad = -1;
			for (long at = 0; at < end && bad < 0; at++)
				if (all[at] != (at >= start && at < start + got ? 'h' : model(at)))
					bad = at;
			WANT_THAT(bad < 0, "flags %#x, %ld bytes: %ld is wrong", (unsigned)flags[i], sizes[s], bad);
			n = CALL(pread(fd, half, 8192, 0));
			WANT_THAT(n == -EFAULT || (n > 0 && n <= 4096), "reading into half of it: %ld", n);
			WANT(EFAULT, pread(fd, half + 4096, 100, 0));
			munmap(half, 4096);
			free(all);
			close(fd);
		}
}

/* What a mapping of a file has changed stays where it is, though the file is open for appending. */
static void appended_and_mapped(void)
{
	int fd = MUST(open("f", O_RDWR | O_APPEND | O_CREAT, 0644));
	for (int size = 10; size <= 100000; size *= 100) {
		MUST(ftruncate(fd, size));
		char *p = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), back[2];
		p[3] = p[size - 1] = 'm';
		WANT(0, msync(p, (size_t)size, MS_SYNC));
		p[4] = 'n';
		munmap(p, (size_t)size);
		WANT(0, fsync(fd));
		MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		WANT_NUM(size, look("f").st_size);
		WANT_NUM(2, pread(fd, back, 2, 3));
		WANT_TRUE(memcmp(back, "mn", 2) == 0);
		WANT_NUM(3, write(fd, "end", 3));
		WANT_NUM(size + 3, look("f").st_size);
	}
}

/* Written from a mapping of the file itself, whose pages are not in memory yet, and read into one. */
static void own_mapping(void)
{
	static const int flags[] = {0, O_DIRECT};
	for (size_t i = 0; i < COUNT(flags); i++) {
		filled("f", 64 * KIB);
		int fd = MUST(open("f", O_RDWR | flags[i])), plain_fd = MUST(open("f", O_RDWR));
		MUST(fsync(fd));
		MUST(posix_fadvise(plain_fd, 0, 0, POSIX_FADV_DONTNEED));
		char *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, plain_fd, 0);
		WANT_NUM(8 * KIB, pwrite(fd, p, 8 * KIB, 32 * KIB)); /* from elsewhere in it */
		check_bytes(plain_fd, 32 * KIB, 0, 8 * KIB, "written from a mapping");
		MUST(posix_fadvise(plain_fd, 0, 0, POSIX_FADV_DONTNEED));
		WANT_NUM(8 * KIB, pread(fd, p + 48 * KIB, 8 * KIB, 0));
		check_bytes(plain_fd, 48 * KIB, 0, 8 * KIB, "read into a mapping");
		struct iovec v[4];
		for (int k = 0; k < 4; k++)
			v[k] = (struct iovec){p + k * 4096, 4096};
		munmap(p, 64 * KIB);
		MUST(posix_fadvise(plain_fd, 0, 0, POSIX_FADV_DONTNEED));
		p = mmap(p, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, plain_fd, 0);
		WANT_NUM(16 * KIB, pwritev(fd, v, 4, 16 * KIB));
		check_bytes(plain_fd, 16 * KIB, 0, 16 * KIB, "written from four pages");
		munmap(p, 64 * KIB);
		/* Its own page, when it is in memory: nothing changes. */
		if (flags[i] == 0) {
			p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, plain_fd, 0);
			WANT_NUM('a', p[0]);
			WANT_NUM(4096, pwrite(fd, p, 4096, 0));
			check_bytes(plain_fd, 0, 0, 4096, "written onto itself");
			munmap(p, 4096);
		}
		close(fd);
		close(plain_fd);
	}
}

/* A mapping's change is seen by direct reads, and a direct write by the mapping. */
static void direct_and_mapped(void)
{
	filled("f", 64 * KIB);
	char *page = pattern(4096), *back = aligned_alloc(4096, 4096);
	int direct = open("f", O_RDWR | O_DIRECT), fd = MUST(open("f", O_RDWR));
	if (direct < 0)
		return;
	char *p = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (long at = 0; at < 64 * KIB; at += 8 * KIB) {
		p[at] = '!';
		WANT_NUM(4096, pread(direct, back, 4096, at));
		WANT_NUM('!', back[0]);
		WANT_NUM(4096, pwrite(direct, page, 4096, at));
		WANT_NUM('a', p[at]);
	}
	/* madvise punches and drops. */
	WANT(0, madvise(p + 8 * KIB, 8 * KIB, MADV_REMOVE));
	WANT_NUM(0, p[8 * KIB]);
	WANT_NUM(1, pread(fd, back, 1, 8 * KIB));
	WANT_NUM(0, back[0]);
	p[20 * KIB] = '?';
	WANT(0, madvise(p + 20 * KIB, 4 * KIB, MADV_DONTNEED));
	WANT_NUM('?', p[20 * KIB]);
	munmap(p, 64 * KIB);
	free(page);
	free(back);
}

static void advice(void)
{
	int p[2];
	filled("f", MIB);
	MUST(pipe(p));
	int fd = MUST(open("f", O_RDWR)), w = MUST(open("f", O_WRONLY));
	WANT_NUM(0, posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	WANT_NUM(EINVAL, posix_fadvise(fd, 0, 0, 77));
	WANT_NUM(ESPIPE, posix_fadvise(p[0], 0, 0, POSIX_FADV_WILLNEED));
	WANT(0, readahead(fd, 0, MIB));
	WANT(EBADF, readahead(w, 0, MIB));
	WANT(0, sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	WANT(EINVAL, sync_file_range(fd, -1, 10, SYNC_FILE_RANGE_WRITE));
	WANT(EINVAL, sync_file_range(fd, 0, 10, 77));
	WANT(ESPIPE, sync_file_range(p[0], 0, 10, SYNC_FILE_RANGE_WRITE));
	WANT(EINVAL, fsync(p[0]));
	WANT(0, fsync(MUST(open("f", O_RDONLY))));
	WANT(0, syncfs(fd));
	check_bytes(fd, 0, 0, MIB, "after advice");
}

const struct posix_case move_cases[] = {
	{"move_splice", splices},
	{"move_flags", flags_of_a_call},
	{"move_asynchronous", asynchronous},
	{"move_bad_memory", bad_memory},
	{"move_appended_and_mapped", appended_and_mapped},
	{"move_own_mapping", own_mapping},
	{"move_direct", direct_and_mapped},
	{"move_advice", advice},
	{0},
};
