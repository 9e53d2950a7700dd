/*
 * space.c: fallocate's modes, SEEK_DATA and SEEK_HOLE, blocks, and the ends of what a file can be.
 */
#include "suite.h"

#include <sys/statvfs.h>

#define KIB 1024l
#define MIB (1024 * KIB)
#define TIB (MIB * MIB)
#define KEEP FALLOC_FL_KEEP_SIZE
#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static const long offsets[] = {0, 1, 100, 4095, 4096, 5000, 32768, 40000, 65535, 65536, 99999, 100000, 131072, 200000};

/* 100000 bytes of 'd', then @mode on a range; compared byte for byte. */
static void try_range(int mode, long from, long to, bool synced)
{
	char *bytes = malloc(400000), *want = malloc(400000);
	long size = 100000;
	int fd = MUST(open("f", O_CREAT | O_RDWR | O_TRUNC, 0644));
	memset(want, 0, 400000);
	memset(want, 'd', 100000);
	MUST(write(fd, want, 100000));
	if (synced)
		MUST(fsync(fd));
	WANT_OP(0, CALL(fallocate(fd, mode, from, to - from)), "fallocate %d of %ld up to %ld", mode, from, to);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(want + from, 0, (size_t)(to - from));
	if (!(mode & KEEP) && to > size)
		size = to;
	struct stat st;
	MUST(fstat(fd, &st));
	WANT_NUM(size, st.st_size);
	long n = CALL(pread(fd, bytes, 400000, 0));
	WANT_THAT(n == size && memcmp(bytes, want, (size_t)size) == 0, "mode %d, %ld up to %ld: the bytes", mode,
		from, to);
	MUST(fsync(fd));
	MUST(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	n = CALL(pread(fd, bytes, 400000, 0));
	WANT_THAT(n == size && memcmp(bytes, want, (size_t)size) == 0, "mode %d, %ld up to %ld: read anew", mode,
		from, to);
	close(fd);
	free(bytes);
	free(want);
}

static void ranges(void)
{
	static const int modes[] = {0, KEEP, PUNCH, FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | KEEP};
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	bool zero = fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 1) == 0; /* tmpfs has none */
	close(fd);
	for (size_t m = 0; m < COUNT(modes); m++)
		for (size_t i = 0; i < COUNT(offsets) && (zero || !(modes[m] & FALLOC_FL_ZERO_RANGE)); i++)
			for (size_t j = i + 1; j < COUNT(offsets); j++)
				try_range(modes[m], offsets[i], offsets[j], (i + j) % 2);
}

static void refused(void)
{
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	MUST(write(fd, "content", 7));
	static const int unknown[] = {FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE, FALLOC_FL_UNSHARE_RANGE};
	if (!suite_plain())
		for (size_t i = 0; i < COUNT(unknown); i++)
			WANT(EOPNOTSUPP, fallocate(fd, unknown[i], 0, 4096));
	WANT(EOPNOTSUPP, fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4));
	WANT(EINVAL, fallocate(fd, 0, -4, 4));
	WANT(EINVAL, fallocate(fd, PUNCH, 4, 0));
	WANT(EFBIG, fallocate(fd, 0, INT64_MAX - 100, 200));
	WANT(EFBIG, fallocate(fd, 0, INT64_MAX - 5000, 4096));
	WANT_NUM(7, look("f").st_size);
	WANT(EISDIR, open(".", O_RDWR));
	int dir = MUST(open(".", O_RDONLY));
	WANT(EBADF, fallocate(dir, 0, 0, 1));
	int p[2];
	MUST(pipe(p));
	WANT(ESPIPE, fallocate(p[1], 0, 0, 1));
	WANT_NUM(EINVAL, posix_fallocate(fd, 0, 0));
	WANT_NUM(0, posix_fallocate(fd, 5, 10));
	WANT_NUM(15, look("f").st_size);
}

static void seeking(void)
{
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	WANT(ENXIO, lseek(fd, 0, SEEK_DATA));
	WANT(ENXIO, lseek(fd, 0, SEEK_HOLE));
	char *block = malloc(65536);
	memset(block, 'x', 65536);
	for (long i = 0; i < 8; i++)
		MUST(pwrite(fd, block, 65536, i * MIB));
	MUST(ftruncate(fd, 8 * MIB));
	for (int round = 0; round < 2; round++) {
		for (long i = 0; i < 8; i++) {
			WANT_NUM(i * MIB, lseek(fd, i * MIB, SEEK_DATA));
			WANT_NUM(i * MIB + 65535, lseek(fd, i * MIB + 65535, SEEK_DATA));
			WANT_NUM(i * MIB + 65536, lseek(fd, i * MIB, SEEK_HOLE));
			WANT_NUM(i * MIB + 65536, lseek(fd, i * MIB + 65536, SEEK_HOLE));
			WANT_NUM(i * MIB + 500000, lseek(fd, i * MIB + 500000, SEEK_HOLE));
			if (i < 7)
				WANT_NUM((i + 1) * MIB, lseek(fd, i * MIB + 65536, SEEK_DATA));
			else
				WANT(ENXIO, lseek(fd, i * MIB + 65536, SEEK_DATA));
		}
		WANT(ENXIO, lseek(fd, 8 * MIB, SEEK_DATA));
		WANT(ENXIO, lseek(fd, 8 * MIB, SEEK_HOLE));
		MUST(fsync(fd));
	}
	/* What is punched is a hole, what is only allocated may be either. */
	MUST(fallocate(fd, PUNCH, 0, 3 * MIB));
	WANT_NUM(0, lseek(fd, 0, SEEK_HOLE));
	WANT_NUM(3 * MIB, lseek(fd, 0, SEEK_DATA));
	MUST(ftruncate(fd, MIB));
	WANT(ENXIO, lseek(fd, 0, SEEK_DATA));
	struct stat st;
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	WANT_NUM(0, st.st_blocks);
	/* The end of a file counts as a hole. */
	MUST(ftruncate(fd, 0));
	MUST(pwrite(fd, block, 1000, 0));
	WANT_NUM(1000, lseek(fd, 0, SEEK_HOLE));
	WANT_NUM(999, lseek(fd, 999, SEEK_DATA));
	WANT(ENXIO, lseek(fd, 1000, SEEK_DATA));
	free(block);
}

static void blocks(void)
{
	struct stat st;
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	MUST(fstat(fd, &st));
	WANT_NUM(0, st.st_blocks);
	WANT_TRUE(st.st_blksize >= 512);
	MUST(ftruncate(fd, 100 * MIB));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	WANT_TRUE(st.st_blocks < 100);
	MUST(fallocate(fd, 0, 0, MIB));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	WANT_TRUE(st.st_blocks >= 2048 || !suite_plain());
	MUST(fallocate(fd, PUNCH, 0, 100 * MIB));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	WANT_TRUE(st.st_blocks < 100);
	struct statvfs vfs;
	MUST(statvfs(".", &vfs));
	WANT_NUM(255, vfs.f_namemax);
	WANT_TRUE(vfs.f_bsize > 0 && vfs.f_frsize > 0);
	WANT_TRUE(vfs.f_blocks >= vfs.f_bfree && vfs.f_bfree >= vfs.f_bavail);
	MUST(fstatvfs(fd, &vfs));
}

/* 8 TiB and more where it is ours; then EFBIG, and nothing has changed. */
static void large(void)
{
	char text[10] = "";
	long most = suite_plain() ? 15 * TIB : 1024 * TIB;
	static const long at[] = {MIB, 2048 * MIB - 1, 2048 * MIB, 4096 * MIB - 3, 4096 * MIB, TIB, 8 * TIB};
	int fd = MUST(open("f", O_CREAT | O_RDWR, 0644));
	for (size_t i = 0; i < COUNT(at); i++) {
		WANT_NUM(5, pwrite(fd, "large", 5, at[i] - 5));
		WANT_NUM(at[i], look("f").st_size);
		WANT_NUM(5, pread(fd, text, 10, at[i] - 5));
		WANT_TRUE(memcmp(text, "large", 5) == 0);
		WANT_NUM(at[i], lseek(fd, 0, SEEK_END));
	}
	WANT(EFBIG, pwrite(fd, "x", 1, INT64_MAX - 1));
	WANT(EFBIG, ftruncate(fd, INT64_MAX));
	WANT(EFBIG, truncate("f", INT64_MAX));
	WANT(EINVAL, lseek(fd, INT64_MAX, SEEK_END));
	if (!suite_plain()) {
		WANT(0, ftruncate(fd, most));
		WANT(EFBIG, ftruncate(fd, most + 1));
		WANT(EFBIG, pwrite(fd, "x", 1, most));
		WANT_NUM(4, pwrite(fd, "more!", 5, most - 4)); /* as much as there is room for */
		WANT_NUM(most, look("f").st_size);
		WANT(EFBIG, fallocate(fd, 0, most - 1, 4096));
	}
	WANT_NUM(5, pread(fd, text, 5, MIB - 5));
	WANT_TRUE(memcmp(text, "large", 5) == 0);
	MUST(ftruncate(fd, 0));
}

const struct posix_case space_cases[] = {
	{"space_ranges", ranges},
	{"space_refused", refused},
	{"space_seek", seeking},
	{"space_blocks", blocks},
	{"space_large", large},
	{0},
};
