/*
 * times.c: which of atime, mtime and ctime of which file and directory an operation moves; that one which
 * fails, or has nothing to do, moves none; and what utimensat does.
 */
#include "suite.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

enum { A = 1, M = 2, C = 4, MC = M | C, AMC = A | M | C, ANY_A = 8 /* atime may move or not */ };

/* What each operation finds: f (a file, open as fd for reading and writing), g (another), d/in, e (an empty
 * directory), s (a symlink to f), p (a fifo). */
static int fd;

#define OP(name, expr)                                                                             \
	static long do_##name(void)                                                                \
	{                                                                                          \
		return CALL(expr);                                                                 \
	}
static struct timespec both[] = {{10, 5}, {20, 6}};
static struct timespec omit[] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
static struct timespec now_omit[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
static struct timespec omit_now[] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
static char buffer[100];
static struct stat st_out;
static struct statvfs vfs_out;

OP(create, close(open("new", O_CREAT | O_WRONLY, 0644)))
OP(mkdir, mkdir("new", 0755))
OP(mkfifo, mkfifo("new", 0644))
OP(symlink, symlink("x", "new"))
OP(link, link("f", "new"))
OP(link_elsewhere, link("f", "d/new"))
OP(link_symlink, link("s", "new"))
OP(unlink, unlink("g"))
OP(unlink_fifo, unlink("p"))
OP(unlink_one_name, (link("f", "h") < 0 ? -1 : (tick(), unlink("h"))))
OP(rmdir, rmdir("e"))
OP(rename, rename("f", "new"))
OP(rename_elsewhere, rename("f", "d/new"))
OP(rename_over, rename("f", "g"))
OP(rename_dir, rename("d", "new"))
OP(rename_dir_elsewhere, rename("d", "e/new"))
OP(exchange, renameat2(AT_FDCWD, "f", AT_FDCWD, "d/in", RENAME_EXCHANGE))
OP(rename_same, rename("f", "f"))
OP(write, write(fd, "12345", 5))
OP(pwrite, pwrite(fd, "x", 1, 100))
OP(write_large, pwrite(fd, buffer, sizeof buffer, 1 << 20))
OP(write_nothing, write(fd, "", 0))
OP(truncate_down, truncate("f", 3))
OP(truncate_up, truncate("f", 10000))
OP(truncate_same, truncate("f", 7))
OP(ftruncate, ftruncate(fd, 2))
OP(ftruncate_same, ftruncate(fd, 7))
OP(open_trunc, close(open("f", O_WRONLY | O_TRUNC)))
OP(open_trunc_empty, (truncate("g", 0) < 0 ? -1 : (tick(), close(open("g", O_WRONLY | O_TRUNC)))))
OP(open_creat_there, close(open("f", O_WRONLY | O_CREAT, 0644)))
OP(fallocate, fallocate(fd, 0, 0, 100000))
OP(fallocate_keep, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000))
OP(punch, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4))
OP(zero, fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4))
OP(chmod, chmod("f", 0600))
OP(fchmod, fchmod(fd, 0600))
OP(chmod_same, chmod("f", 0644))
OP(chmod_dir, chmod("d", 0700))
OP(chown, chown("f", geteuid(), getegid()))
OP(chown_dir, chown("d", geteuid(), getegid()))
OP(lchown, lchown("s", geteuid(), getegid()))
OP(setxattr, setxattr("f", "user.n", "v", 1, 0))
OP(setxattr_dir, setxattr("d", "user.n", "v", 1, 0))
OP(removexattr, (setxattr("f", "user.n", "v", 1, 0) < 0 ? -1 : (tick(), removexattr("f", "user.n"))))
OP(utimens, utimensat(AT_FDCWD, "f", both, 0))
OP(utimens_null, utimensat(AT_FDCWD, "f", NULL, 0))
OP(utimens_omit, utimensat(AT_FDCWD, "f", omit, 0))
OP(utimens_atime, utimensat(AT_FDCWD, "f", now_omit, 0))
OP(utimens_mtime, utimensat(AT_FDCWD, "f", omit_now, 0))
OP(utimens_link, utimensat(AT_FDCWD, "s", both, AT_SYMLINK_NOFOLLOW))
OP(utimens_dir, utimensat(AT_FDCWD, "d", both, 0))
OP(futimens, futimens(fd, both))
OP(stat, stat("f", &st_out))
OP(access, access("f", R_OK))
OP(open_close, close(open("f", O_RDWR)))
OP(open_dir, close(open("d", O_RDONLY)))
OP(fsync, fsync(fd))
OP(lseek, lseek(fd, 100, SEEK_SET))
OP(seek_data, lseek(fd, 0, SEEK_DATA))
OP(getxattr, getxattr("f", "user.n", buffer, 10) < 0 ? 0 : 0)
OP(listxattr, listxattr("f", buffer, 10))
OP(statvfs, statvfs("f", &vfs_out))
OP(flock, fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK}))

static long do_copy(void)
{
	int from = open("g", O_RDONLY);
	off_t at = 0;
	long n = CALL(copy_file_range(from, &at, fd, &(off_t){3}, 5, 0));
	close(from);
	return n;
}

static long do_mmap_write(void)
{
	char *p = mmap(NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	p[0] = 'X';
	long r = CALL(msync(p, 7, MS_SYNC));
	munmap(p, 7);
	return r;
}

static long do_write_then_close(void)
{
	int more = open("f", O_WRONLY | O_APPEND);
	long r = CALL(write(more, "x", 1));
	close(more);
	return r;
}

#define ROW(name, ...) {#name, do_##name, 0, {__VA_ARGS__}}
#define BAD(name, error, ...) {#name, do_##name, error, {__VA_ARGS__}}

struct see {
	const char *before, *after;
	unsigned changed;
};
struct row {
	const char *name;
	long (*run)(void);
	int error;
	struct see see[4];
};

/* atime is looked at in cases of its own: a mount may have relatime or noatime. */
static const struct row rows[] = {
	ROW(create, {".", ".", MC}, {"f", "f", 0}),
	ROW(mkdir, {".", ".", MC}, {"d", "d", 0}),
	ROW(mkfifo, {".", ".", MC}),
	ROW(symlink, {".", ".", MC}),
	ROW(link, {".", ".", MC}, {"f", "f", C}),
	ROW(link_elsewhere, {".", ".", 0}, {"d", "d", MC}, {"f", "d/new", C}),
	ROW(link_symlink, {".", ".", MC}, {"s", "s", C}, {"f", "f", 0}),
	ROW(unlink, {".", ".", MC}, {"f", "f", 0}),
	ROW(unlink_fifo, {".", ".", MC}),
	ROW(unlink_one_name, {".", ".", MC}, {"f", "f", C}),
	ROW(rmdir, {".", ".", MC}, {"d", "d", 0}),
	ROW(rename, {".", ".", MC}, {"f", "new", C}),
	ROW(rename_elsewhere, {".", ".", MC}, {"d", "d", MC}, {"f", "d/new", C}),
	ROW(rename_over, {".", ".", MC}, {"f", "g", C}),
	ROW(rename_dir, {".", ".", MC}, {"d", "new", C}),
	ROW(rename_dir_elsewhere, {".", ".", MC}, {"e", "e", MC}, {"d/in", "e/new/in", 0}),
	ROW(exchange, {".", ".", MC}, {"d", "d", MC}, {"f", "d/in", C}, {"d/in", "f", C}),
	ROW(rename_same, {".", ".", 0}, {"f", "f", 0}),
	ROW(write, {"f", "f", MC}, {".", ".", 0}),
	ROW(pwrite, {"f", "f", MC}, {".", ".", 0}),
	ROW(write_large, {"f", "f", MC}, {".", ".", 0}),
	ROW(write_nothing, {"f", "f", 0}),
	ROW(write_then_close, {"f", "f", MC}, {".", ".", 0}),
	ROW(copy, {"f", "f", MC}, {"g", "g", ANY_A}),
	ROW(mmap_write, {"f", "f", MC | ANY_A}, {".", ".", 0}),
	ROW(truncate_down, {"f", "f", MC}, {".", ".", 0}),
	ROW(truncate_up, {"f", "f", MC}),
	ROW(truncate_same, {"f", "f", MC}), /* as Linux' filesystems have it */
	ROW(ftruncate, {"f", "f", MC}),
	ROW(ftruncate_same, {"f", "f", MC}),
	ROW(open_trunc, {"f", "f", MC}, {".", ".", 0}),
	ROW(open_trunc_empty, {"g", "g", MC}, {".", ".", 0}),
	ROW(open_creat_there, {"f", "f", 0}, {".", ".", 0}),
	ROW(fallocate, {"f", "f", MC}),
	ROW(punch, {"f", "f", MC}),
	ROW(zero, {"f", "f", MC}),
	ROW(chmod, {"f", "f", C}, {".", ".", 0}),
	ROW(fchmod, {"f", "f", C}),
	ROW(chmod_same, {"f", "f", C}),
	ROW(chmod_dir, {"d", "d", C}, {".", ".", 0}),
	ROW(chown, {"f", "f", C}, {".", ".", 0}),
	ROW(chown_dir, {"d", "d", C}),
	ROW(lchown, {"s", "s", C}, {"f", "f", 0}),
	ROW(setxattr, {"f", "f", C}, {".", ".", 0}),
	ROW(setxattr_dir, {"d", "d", C}, {".", ".", 0}),
	ROW(removexattr, {"f", "f", C}),
	ROW(utimens, {"f", "f", AMC}, {".", ".", 0}),
	ROW(utimens_null, {"f", "f", AMC}),
	ROW(utimens_omit, {"f", "f", 0}),
	ROW(utimens_atime, {"f", "f", A | C}),
	ROW(utimens_mtime, {"f", "f", MC}),
	ROW(utimens_link, {"s", "s", AMC}, {"f", "f", 0}),
	ROW(utimens_dir, {"d", "d", AMC}, {"d/in", "d/in", 0}),
	ROW(futimens, {"f", "f", AMC}),
	ROW(stat, {"f", "f", 0}),
	ROW(access, {"f", "f", 0}),
	ROW(open_close, {"f", "f", 0}, {".", ".", 0}),
	ROW(open_dir, {"d", "d", 0}),
	ROW(fsync, {"f", "f", 0}),
	ROW(lseek, {"f", "f", 0}),
	ROW(seek_data, {"f", "f", 0}),
	ROW(getxattr, {"f", "f", 0}),
	ROW(listxattr, {"f", "f", 0}),
	ROW(statvfs, {"f", "f", 0}),
	ROW(flock, {"f", "f", 0}),
	/* ext4 moves ctime alone here, others both or none. */
	ROW(fallocate_keep, {".", ".", 0}),
};

OP(bad_create, open("f", O_CREAT | O_EXCL | O_WRONLY, 0644))
OP(bad_mkdir, mkdir("f", 0755))
OP(bad_link, link("f", "g"))
OP(bad_link_dir, link("d", "new"))
OP(bad_symlink, symlink("x", "s"))
OP(bad_unlink, unlink("d"))
OP(bad_rmdir, rmdir("d"))
OP(bad_rename, rename("f", "d"))
OP(bad_rename2, rename("d", "f"))
OP(bad_rename3, rename("e", "d"))
OP(bad_noreplace, renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_NOREPLACE))
OP(bad_exchange, renameat2(AT_FDCWD, "f", AT_FDCWD, "new", RENAME_EXCHANGE))
OP(bad_setxattr, setxattr("f", "user.n", "v", 1, XATTR_REPLACE))
OP(bad_removexattr, removexattr("f", "user.none"))
OP(bad_xattr_name, setxattr("f", "nonsense.n", "v", 1, 0))
OP(bad_truncate, truncate("f", -1))
OP(bad_truncate_dir, truncate("d", 0))
OP(bad_open, open("d", O_WRONLY))
OP(bad_fallocate, fallocate(fd, 0, 0, 0))
OP(bad_utimens, utimensat(AT_FDCWD, "f", (struct timespec[]){{1, 1000000000}, {1, 1}}, 0))

static const struct row bad_rows[] = {
	BAD(bad_create, EEXIST), BAD(bad_mkdir, EEXIST), BAD(bad_link, EEXIST), BAD(bad_link_dir, EPERM),
	BAD(bad_symlink, EEXIST), BAD(bad_unlink, EISDIR), BAD(bad_rmdir, ENOTEMPTY),
	BAD(bad_rename, EISDIR), BAD(bad_rename2, ENOTDIR), BAD(bad_rename3, ENOTEMPTY),
	BAD(bad_noreplace, EEXIST), BAD(bad_exchange, ENOENT), BAD(bad_setxattr, ENODATA),
	BAD(bad_removexattr, ENODATA), BAD(bad_xattr_name, EOPNOTSUPP), BAD(bad_truncate, EINVAL),
	BAD(bad_truncate_dir, EISDIR), BAD(bad_open, EISDIR), BAD(bad_fallocate, EINVAL),
	BAD(bad_utimens, EINVAL),
};

static void furnish(void)
{
	put("f", "content");
	put("g", "another");
	MUST(mkdir("d", 0755));
	MUST(mkdir("e", 0755));
	put("d/in", "x");
	MUST(symlink("f", "s"));
	MUST(mkfifo("p", 0644));
	fd = MUST(open("f", O_RDWR));
}

static bool moved(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

static unsigned changes(const struct stat *a, const struct stat *b)
{
	return (moved(&a->st_atim, &b->st_atim) ? A : 0) | (moved(&a->st_mtim, &b->st_mtim) ? M : 0) |
	       (moved(&a->st_ctim, &b->st_ctim) ? C : 0);
}

static const char *letters(unsigned set)
{
	static const char *const text[] = {"none", "a", "m", "am", "c", "ac", "mc", "amc"};
	return text[set];
}

static void run_row(const struct row *row)
{
	struct stat was[4];
	size_t n = 0;
	enter(row->name, 0755, geteuid());
	furnish();
	for (; n < 4 && row->see[n].before; n++)
		was[n] = look(row->see[n].before);
	tick();
	WANT_OP(row->error, row->run(), "%s", row->name);
	for (size_t i = 0; i < n; i++) {
		struct stat is = look(row->see[i].after);
		unsigned got = changes(&was[i], &is), want = row->see[i].changed;
		if (want & ANY_A) {
			want &= ~(unsigned)ANY_A;
			got &= MC;
		}
		WANT_THAT(got == want, "%s: times of %s: expected %s, got %s", row->name, row->see[i].before,
			letters(want), letters(got));
		WANT_THAT(is.st_ctim.tv_sec >= was[i].st_ctim.tv_sec, "%s: ctime goes back", row->name);
	}
	close(fd);
	leave();
}

static void every_operation(void)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i]);
}

static void operations_of_a_user(void)
{
	if (as(ANN, 0)) {
		enter("anns", 0755, ANN);
		every_operation();
		done();
	}
}

static void failures(void)
{
	static const char *const all[] = {"f", "g", "d", "e", "s", "p", "d/in", "."};
	furnish();
	struct stat was[COUNT(all)];
	for (size_t i = 0; i < COUNT(all); i++)
		was[i] = look(all[i]);
	tick();
	for (size_t r = 0; r < COUNT(bad_rows); r++) {
		WANT_OP(bad_rows[r].error, bad_rows[r].run(), "%s", bad_rows[r].name);
		for (size_t i = 0; i < COUNT(all); i++) {
			struct stat is = look(all[i]);
			unsigned got = changes(&was[i], &is);
			WANT_THAT(got == 0, "%s: times of %s: %s changed", bad_rows[r].name, all[i], letters(got));
			WANT_NUM(was[i].st_nlink, is.st_nlink);
		}
	}
}

/* What is new has its times from now, and its parent the same. */
static void new_ones(void)
{
	static long (*const makers[])(void) = {do_create, do_mkdir, do_mkfifo, do_symlink};
	for (size_t i = 0; i < COUNT(makers); i++) {
		char dir[10];
		snprintf(dir, sizeof dir, "%zu", i);
		enter(dir, 0755, geteuid());
		struct stat was = look(".");
		tick();
		WANT(0, makers[i]());
		struct stat new = look("new"), parent = look(".");
		WANT_TRUE(moved(&was.st_mtim, &new.st_mtim));
		WANT_TRUE(new.st_mtim.tv_sec == new.st_ctim.tv_sec && new.st_mtim.tv_nsec == new.st_ctim.tv_nsec);
		WANT_TRUE(new.st_atim.tv_sec == new.st_ctim.tv_sec);
		WANT_TRUE(parent.st_mtim.tv_sec == parent.st_ctim.tv_sec);
		leave();
	}
}

/* A read marks atime where it is not younger than the last change: relatime, the default of Linux. */
static void access_times(void)
{
	char text[20];
	struct stat was, is;
	furnish();
	DIR *list = NULL;
	static const struct timespec old[] = {{1000, 1}, {2000, 1}};
	MUST(utimensat(AT_FDCWD, "g", old, 0));
	MUST(utimensat(AT_FDCWD, "d", old, 0));
	MUST(utimensat(AT_FDCWD, "s", old, AT_SYMLINK_NOFOLLOW));
	tick();
	was = look("g");
	int g = MUST(open("g", O_RDONLY | O_NOATIME));
	MUST(posix_fadvise(g, 0, 0, POSIX_FADV_DONTNEED));
	MUST(read(g, text, 5));
	is = look("g");
	WANT_THAT(changes(&was, &is) == 0, "O_NOATIME: %s", letters(changes(&was, &is)));
	close(g);
	g = MUST(open("g", O_RDONLY));
	MUST(posix_fadvise(g, 0, 0, POSIX_FADV_DONTNEED));
	MUST(read(g, text, 5));
	is = look("g");
	WANT_THAT(changes(&was, &is) == A, "read: %s", letters(changes(&was, &is)));
	was = is;
	tick();
	MUST(pread(g, text, 5, 0));
	is = look("g");
	WANT_THAT(changes(&was, &is) == 0, "a second read: %s", letters(changes(&was, &is)));
	close(g);
	was = look("d");
	list = opendir("d");
	while (list && readdir(list))
		;
	closedir(list);
	is = look("d");
	WANT_THAT(changes(&was, &is) == A, "readdir: %s", letters(changes(&was, &is)));
	was = look("s");
	MUST(readlink("s", text, sizeof text));
	is = look("s");
	WANT_THAT(changes(&was, &is) == A, "readlink: %s", letters(changes(&was, &is)));
}

/* Every time that a program may set comes back, before 1970 and after 2038 as well. */
static void set_times(void)
{
	static const struct timespec values[] = {{0, 0}, {0, 1}, {1, 999999999}, {2147483647, 5}, {2147483648, 5},
		{4294967296, 7}, {4102444800, 123456789}, {-1, 0}, {-1, 500}, {-86400, 999999999},
		{-2147483647, 1}, {1 << 30, 0}};
	put("f", "x");
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "s"));
	static const char *const names[] = {"f", "d", "s"};
	for (size_t n = 0; n < COUNT(names); n++)
		for (size_t i = 0; i < COUNT(values); i++) {
			struct timespec set[] = {values[i], values[(i + 1) % COUNT(values)]};
			WANT(0, utimensat(AT_FDCWD, names[n], set, AT_SYMLINK_NOFOLLOW));
			struct stat st = look(names[n]);
			WANT_THAT(!moved(&st.st_atim, &set[0]), "atime of %s: %ld.%09ld", names[n],
				(long)st.st_atim.tv_sec, st.st_atim.tv_nsec);
			WANT_THAT(!moved(&st.st_mtim, &set[1]), "mtime of %s: %ld.%09ld", names[n],
				(long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		}
	struct timespec bad[] = {{1, 1000000000}, {1, 1}};
	WANT(EINVAL, utimensat(AT_FDCWD, "f", bad, 0));
	bad[0].tv_nsec = -1;
	WANT(EINVAL, utimensat(AT_FDCWD, "f", bad, 0));
	WANT(EINVAL, utimensat(AT_FDCWD, "f", NULL, 0x4000));
}

/* Set through a descriptor that has written, they stay when it is closed; and a later write moves them. */
static void times_after_writing(void)
{
	for (size_t size = 5; size <= 500000; size *= 100) {
		char name[20];
		struct timespec set[] = {{5000, 5}, {6000, 6}};
		snprintf(name, sizeof name, "f%zu", size);
		put_sized(name, size);
		int f = MUST(open(name, O_RDWR));
		MUST(write(f, "hello", 5));
		WANT(0, futimens(f, set));
		MUST(close(f));
		struct stat st = look(name);
		WANT_NUM(6000, st.st_mtim.tv_sec);
		WANT_NUM(5000, st.st_atim.tv_sec);
		f = MUST(open(name, O_RDWR));
		MUST(write(f, "x", 1));
		MUST(fstat(f, &st));
		WANT_TRUE(st.st_mtim.tv_sec > 6000);
		MUST(close(f));
		WANT_TRUE(look(name).st_mtim.tv_sec > 6000);
	}
}

/* Who may set times: to now whoever may write, to anything else the owner. */
static void rights_to_times(void)
{
	static const struct timespec half[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
	static const struct timespec nows[] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
	put("f", "x");
	MUST(chown("f", ANN, ANN));
	MUST(chmod("f", 0666));
	put("ro", "x");
	if (as(BOB, 0)) {
		WANT(EPERM, utimensat(AT_FDCWD, "f", both, 0));
		WANT(EPERM, utimensat(AT_FDCWD, "f", half, 0));
		WANT(0, utimensat(AT_FDCWD, "f", NULL, 0));
		WANT(0, utimensat(AT_FDCWD, "f", nows, 0));
		WANT(0, utimensat(AT_FDCWD, "f", omit, 0));
		WANT(EACCES, utimensat(AT_FDCWD, "ro", NULL, 0));
		WANT(EACCES, utimensat(AT_FDCWD, "ro", nows, 0));
		WANT(EPERM, utimensat(AT_FDCWD, "ro", both, 0));
		WANT(0, utimensat(AT_FDCWD, "ro", omit, 0));
		done();
	}
	MUST(chmod("f", 0));
	if (as(ANN, 0)) {
		WANT(0, utimensat(AT_FDCWD, "f", both, 0));
		WANT(0, utimensat(AT_FDCWD, "f", NULL, 0));
		WANT(0, utimensat(AT_FDCWD, "f", half, 0));
		done();
	}
}

const struct posix_case time_cases[] = {
	{"time_operations", every_operation},
	{"time_operations_of_a_user", operations_of_a_user, .root = true},
	{"time_failures", failures},
	{"time_new_ones", new_ones},
	{"time_access", access_times},
	{"time_set", set_times},
	{"time_after_writing", times_after_writing},
	{"time_rights", rights_to_times, .root = true},
	{0},
};
