/*
 * data.c: a file's bytes: reading, writing, appending, truncation, mapping, sparse files, allocation, copies.
 */
#include "suite.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define KIB 1024l
#define MIB (1024 * KIB)

/* Sizes around everything that a filesystem may care for. */
static const long sizes[] = {0, 1, 511, 512, 4095, 4096, 4097, 8191, 8192, 32767, 32768, 32769, 65536, 131071, 131072,
	131073, 300000, MIB - 1, MIB, MIB + 1};

static char model(long at)
{
	return (char)('A' + (at * 7 + at / 4096) % 26);
}

static char *pattern(long size)
{
	char *text = malloc((size_t)size + 1);
	for (long i = 0; i < size; i++)
		text[i] = model(i);
	return text;
}

/* @fd holds the pattern up to @cut, and zeros up to @size. */
static void check_bytes(int fd, long cut, long size, const char *what)
{
	char *text = malloc((size_t)size + 2);
	long n = CALL(pread(fd, text, (size_t)size + 2, 0)), bad = -1;
	for (long i = 0; i < n && bad < 0; i++)
		if (text[i] != (i < cut ? model(i) : 0))
			bad = i;
	WANT_THAT(n == size && bad < 0, "%s: %ld bytes of %ld, the first wrong one at %ld", what, n, size, bad);
	free(text);
}

static void reading_and_writing(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		long size = sizes[i];
		char name[20], *text = pattern(size), *back = malloc((size_t)size + 10);
		snprintf(name, sizeof name, "f%ld", size);
		int fd = MUST(open(name, O_CREAT | O_RDWR | O_EXCL, 0644));
		WANT_NUM(size, write(fd, text, (size_t)size));
		WANT_NUM(size, lseek(fd, 0, SEEK_CUR));
		WANT_NUM(0, read(fd, back, 10));
		WANT_NUM(size, look(name).st_size);
		WANT_NUM(size, lseek(fd, 0, SEEK_END));
		check_bytes(fd, size, size, "written");
		MUST(fsync(fd));
		MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		check_bytes(fd, size, size, "read anew");
		WANT_NUM(0, pread(fd, back, 10, size));
		WANT_NUM(0, pread(fd, back, 10, size + 100000));
		if (size > 100)
			WANT_NUM(50, pread(fd, back, 1000, size - 50));
		/* Scattered. */
		struct iovec v[3] = {{text, (size_t)size / 3}, {text + size / 3, 0},
			{text + size / 3, (size_t)(size - size / 3)}};
		WANT_NUM(size, pwritev(fd, v, 3, 0));
		struct iovec r[2] = {{back, (size_t)size / 2}, {back + size / 2, (size_t)size}};
		WANT_NUM(size, preadv(fd, r, 2, 0));
		WANT_THAT(memcmp(text, back, (size_t)size) == 0, "%ld bytes scattered", size);
		close(fd);
		free(text);
		free(back);
	}
}

static void appending(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char name[20];
		struct stat st;
		snprintf(name, sizeof name, "f%ld", sizes[i]);
		put_sized(name, (size_t)sizes[i]);
		int a = MUST(open(name, O_WRONLY | O_APPEND)), b = MUST(open(name, O_RDWR | O_APPEND));
		WANT_NUM(3, write(a, "one", 3));
		WANT_NUM(3, write(b, "two", 3));
		WANT_NUM(2, pwrite(a, "34", 2, 0)); /* Linux: appends all the same */
		MUST(fstat(b, &st));
		WANT_NUM(sizes[i] + 8, st.st_size);
		char end[9] = "";
		WANT_NUM(8, pread(b, end, 8, sizes[i]));
		WANT_THAT(strcmp(end, "onetwo34") == 0, "the end is %s", end);
		WANT_NUM(sizes[i] + 3, lseek(a, 0, SEEK_CUR)); /* pwrite leaves it */
		MUST(ftruncate(b, 2));
		WANT_NUM(1, write(a, "x", 1));
		WANT_NUM(3, look(name).st_size);
		close(a);
		close(b);
	}
}

static void truncation(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t j = 0; j < COUNT(sizes); j++) {
			char *text = pattern(sizes[i]);
			long low = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
			int fd = MUST(open("f", O_CREAT | O_RDWR | O_TRUNC, 0644));
			MUST(write(fd, text, (size_t)sizes[i]));
			if (j % 2)
				MUST(fsync(fd));
			if (j % 3)
				WANT(0, ftruncate(fd, sizes[j]));
			else
				WANT(0, truncate("f", sizes[j]));
			WANT_NUM(sizes[j], look("f").st_size);
			check_bytes(fd, low, sizes[j], "truncated");
			WANT(0, ftruncate(fd, sizes[j] + 5000));
			check_bytes(fd, low, sizes[j] + 5000, "and grown");
			WANT(0, ftruncate(fd, 100));
			WANT(0, ftruncate(fd, 10000));
			check_bytes(fd, low < 100 ? low : 100, 10000, "and cut, and grown");
			close(fd);
			free(text);
		}
}

static void holes_by_writing(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int fd = MUST(open("f", O_CREAT | O_RDWR | O_TRUNC, 0644));
		MUST(write(fd, "A", 1));
		WANT_NUM(sizes[i] + 5, lseek(fd, sizes[i] + 5, SEEK_SET));
		WANT_NUM(1, look("f").st_size); /* seeking makes nothing */
		WANT_NUM(1, write(fd, "", 1));
		check_bytes(fd, 1, sizes[i] + 6, "a hole");
		close(fd);
	}
}

static void many_offsets(void)
{
	char *text = pattern(MIB), *back = malloc((size_t)MIB);
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	unsigned seed = 12345;
	memset(back, 0, (size_t)MIB);
	for (int i = 0; i < 600; i++) {
		seed = seed * 1103515245 + 12345;
		long at = (seed >> 8) % (MIB - 70000);
		seed = seed * 1103515245 + 12345;
		long n = (seed >> 8) % (i % 10 ? 300 : 70000) + 1;
		WANT_NUM(n, pwrite(fd, text + at, (size_t)n, at));
		memcpy(back + at, text + at, (size_t)n);
		char got[300];
		long len = n < 300 ? n : 300;
		WANT_NUM(len, pread(fd, got, (size_t)len, at));
		WANT_TRUE(memcmp(got, text + at, (size_t)len) == 0);
	}
	long size = look("f").st_size;
	char *all = malloc((size_t)MIB);
	WANT_NUM(size, pread(fd, all, (size_t)MIB, 0));
	WANT_TRUE(memcmp(all, back, (size_t)size) == 0);
	MUST(fsync(fd));
	MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	WANT_NUM(size, pread(fd, all, (size_t)MIB, 0));
	WANT_TRUE(memcmp(all, back, (size_t)size) == 0);
	close(fd);
	free(text);
	free(back);
	free(all);
}

static void other_flags(void)
{
	static const int flags[] = {O_SYNC, O_DSYNC, O_NONBLOCK, O_CLOEXEC, O_NOCTTY, O_NOATIME, O_ASYNC, O_DIRECT};
	char *page = aligned_alloc(4096, 8192), *back = aligned_alloc(4096, 8192);
	memset(page, 'p', 8192);
	for (size_t i = 0; i < COUNT(flags); i++) {
		int fd = open("f", O_CREAT | O_RDWR | O_TRUNC | flags[i], 0644);
		if (fd < 0 && flags[i] == O_DIRECT && errno == EINVAL)
			continue;
		WANT_NUM(8192, write(fd, page, 8192));
		WANT_NUM(8192, pread(fd, back, 8192, 0));
		WANT_TRUE(memcmp(page, back, 8192) == 0);
		WANT(0, fdatasync(fd));
		WANT(0, fsync(fd));
		WANT_NUM(8192, look("f").st_size);
		close(fd);
	}
	/* Direct and buffered access to one file agree. */
	int fd = open("f", O_RDWR | O_DIRECT), buffered = MUST(open("f", O_RDWR));
	if (fd >= 0) {
		memset(page, 'q', 4096);
		WANT_NUM(4096, pread(buffered, back, 4096, 0));
		WANT_NUM(4096, pwrite(fd, page, 4096, 0));
		WANT_NUM(4096, pread(buffered, back, 4096, 0));
		WANT_NUM('q', back[100]);
		WANT_NUM(1, pwrite(buffered, "r", 1, 4096));
		WANT_NUM(4096, pread(fd, back, 4096, 4096));
		WANT_NUM('r', back[0]);
	}
	int dir = MUST(open(".", O_RDONLY | O_DIRECTORY));
	WANT(0, fsync(dir));
	WANT(0, fdatasync(dir));
	free(page);
	free(back);
}

/* ---- mapping --------------------------------------------------------------------------------- */

static void mapping(void)
{
	put_sized("f", 10000);
	int fd = MUST(open("f", O_RDWR));
	char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), back[16];
	char *q = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED || q == MAP_FAILED)
		suite_die(__FILE__, __LINE__, "mmap");
	MUST(pwrite(fd, "written", 7, 4093)); /* over a page's end */
	WANT_TRUE(memcmp(p + 4093, "written", 7) == 0);
	memcpy(p + 8190, "mapped", 6);
	WANT_NUM(6, pread(fd, back, 6, 8190));
	WANT_TRUE(memcmp(back, "mapped", 6) == 0);
	q[0] = '!';
	WANT_NUM(1, pread(fd, back, 1, 0));
	WANT_NUM('a', back[0]);
	WANT_NUM(0, p[10000]); /* the rest of the last page */
	WANT(0, msync(p, 16384, MS_ASYNC));
	WANT(0, msync(p, 16384, MS_SYNC));
	WANT(0, msync(p, 16384, MS_SYNC | MS_INVALIDATE));
	WANT(EINVAL, msync(p + 1, 1, MS_SYNC));
	WANT(EINVAL, msync(p, 1, MS_SYNC | MS_ASYNC));
	WANT_NUM(10000, look("f").st_size);
	if (child()) {
		memcpy(p + 100, "child", 5);
		done();
	}
	WANT_TRUE(memcmp(p + 100, "child", 5) == 0);
	close(fd); /* the mapping lives on */
	memcpy(p + 200, "after close", 11);
	munmap(p, 16384);
	fd = MUST(open("f", O_RDONLY));
	WANT_NUM(11, pread(fd, back, 11, 200));
	WANT_TRUE(memcmp(back, "after close", 11) == 0);
	close(fd);
	fd = MUST(open("f", O_RDWR));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST(ftruncate(fd, 5000));
	MUST(ftruncate(fd, 20));
	WANT_NUM(0, p[20]); /* cut off, so zero */
	MUST(ftruncate(fd, 4096));
	WANT_NUM(0, p[20]);
	p[4000] = 'z';
	munmap(p, 4096);
	MUST(unlink("f"));
	WANT_NUM(1, pread(fd, back, 1, 4000));
	WANT_NUM('z', back[0]);
	close(fd);
}

/*
 * What is written to the last page beyond the end of the file is no part of it, when it grows either. FUSE's
 * kernel side clears it when it writes the page, and not when the file grows before that.
 */
static void mapping_tail(void)
{
	for (int way = suite_plain() ? 0 : 1; way < 3; way++) {
		char back[100] = "";
		int fd = MUST(open("f", O_CREAT | O_RDWR | O_TRUNC, 0644));
		MUST(write(fd, "content", 7));
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		p[0] = 'C';
		p[50] = '!';
		if (way == 1)
			WANT(0, msync(p, 4096, MS_SYNC));
		if (way == 2)
			munmap(p, 4096);
		MUST(ftruncate(fd, 8192));
		WANT_NUM(100, pread(fd, back, 100, 0));
		WANT_NUM('C', back[0]);
		WANT_NUM(0, back[50]);
		if (way != 2)
			munmap(p, 4096);
		close(fd);
		fd = MUST(open("f", O_RDONLY));
		WANT_NUM(100, pread(fd, back, 100, 0));
		WANT_NUM(0, back[50]);
		close(fd);
	}
}

/* A change through a mapping moves mtime when it is written, at the latest when the mapping ends. */
static void mapping_times(void)
{
	for (int way = 0; way < 3; way++) {
		put_sized("f", 10000);
		MUST(utimensat(AT_FDCWD, "f", (struct timespec[]){{1000, 0}, {1000, 0}}, 0));
		int fd = MUST(open("f", O_RDWR));
		char *p = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		struct stat was = look("f");
		tick();
		p[5] = 'x';
		if (way == 0)
			WANT(0, msync(p, 10000, MS_SYNC));
		else if (way == 1)
			munmap(p, 10000);
		else
			WANT(0, fsync(fd));
		struct stat is = look("f");
		WANT_TRUE(is.st_mtim.tv_sec > 1000);
		WANT_TRUE(is.st_ctim.tv_sec != was.st_ctim.tv_sec || is.st_ctim.tv_nsec != was.st_ctim.tv_nsec);
		if (way != 1)
			munmap(p, 10000);
		close(fd);
	}
}

/* Beyond the end of the file there is nothing: SIGBUS. */
static sigjmp_buf caught;
static void on_bus(int sig)
{
	siglongjmp(caught, sig);
}

static void mapping_beyond(void)
{
	put_sized("f", 5000);
	int fd = MUST(open("f", O_RDWR));
	volatile char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	volatile int signals = 0;
	signal(SIGBUS, on_bus);
	WANT_NUM(0, p[8191]);
	if (sigsetjmp(caught, 1) == 0)
		WANT_NUM(0, p[8192]);
	else
		signals++;
	MUST(ftruncate(fd, 0));
	if (sigsetjmp(caught, 1) == 0)
		WANT_NUM(0, p[0]);
	else
		signals++;
	WANT_NUM(2, signals);
	MUST(ftruncate(fd, 16384));
	WANT_NUM(0, p[16383]);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void copies(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *text = pattern(sizes[i]);
		int from = MUST(open("from", O_CREAT | O_RDWR | O_TRUNC, 0644)),
		    to = MUST(open("to", O_CREAT | O_RDWR | O_TRUNC, 0644));
		MUST(write(from, text, (size_t)sizes[i]));
		loff_t in = 0, out = 0;
		long left = sizes[i] + 10, n;
		while ((n = CALL(copy_file_range(from, &in, to, &out, (size_t)left, 0))) > 0)
			left -= n;
		WANT_NUM(0, n);
		WANT_NUM(10, left);
		WANT_NUM(sizes[i], in);
		check_bytes(to, sizes[i], sizes[i], "copied");
		off_t at = 0;
		MUST(ftruncate(to, 0));
		MUST(lseek(to, 0, SEEK_SET));
		for (left = sizes[i]; left > 0; left -= n)
			n = MUST(sendfile(to, from, &at, (size_t)left));
		check_bytes(to, sizes[i], sizes[i], "sent");
		close(from);
		close(to);
		free(text);
	}
	int f = MUST(open("from", O_RDWR)), r = MUST(open("from", O_RDONLY)), a = MUST(open("to", O_RDWR | O_APPEND)),
	    w = MUST(open("to", O_WRONLY)), d = MUST(open(".", O_RDONLY));
	loff_t zero = 0, five = 5, end = 1 << 30;
	WANT(EINVAL, copy_file_range(f, &zero, f, &five, 100, 0));
	WANT(EBADF, copy_file_range(f, NULL, r, NULL, 100, 0));
	WANT(EBADF, copy_file_range(w, NULL, f, NULL, 100, 0));
	WANT(EBADF, copy_file_range(f, NULL, a, NULL, 100, 0));
	WANT(EISDIR, copy_file_range(d, NULL, w, NULL, 100, 0));
	WANT(EINVAL, copy_file_range(f, NULL, w, NULL, 100, 1));
	WANT_NUM(0, copy_file_range(f, &end, w, NULL, 100, 0));
	WANT_NUM(0, copy_file_range(f, NULL, w, NULL, 0, 0));
}

const struct posix_case data_cases[] = {
	{"data_read_write", reading_and_writing},
	{"data_append", appending},
	{"data_truncate", truncation},
	{"data_holes", holes_by_writing},
	{"data_offsets", many_offsets},
	{"data_flags", other_flags},
	{"data_map", mapping},
	{"data_map_tail", mapping_tail},
	{"data_map_times", mapping_times},
	{"data_map_beyond", mapping_beyond},
	{"data_copy", copies},
	{0},
};
