/*
 * opens.c: open's flags, the errors of calls on descriptors, and those of what is no path.
 */
#include "suite.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void creation(void)
{
	struct stat st;
	WANT(ENOENT, open("f", O_RDWR));
	int fd = MUST(open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
	MUST(fstat(fd, &st));
	WANT_NUM(0640, st.st_mode & 07777);
	WANT_NUM(0, st.st_size);
	WANT_NUM(1, st.st_nlink);
	WANT_TRUE(S_ISREG(st.st_mode));
	WANT_NUM(geteuid(), st.st_uid);
	WANT_NUM(getegid(), st.st_gid);
	WANT_NUM(4, write(fd, "1234", 4));
	WANT(EEXIST, open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
	WANT(EEXIST, open("f", O_RDONLY | O_CREAT | O_EXCL | O_TRUNC, 0640));
	WANT(0, close(MUST(open("f", O_RDWR | O_CREAT, 0600))));
	WANT_NUM(0640, perms("f")); /* the mode is for new ones */
	WANT_NUM(4, look("f").st_size);
	WANT(0, close(MUST(open("f", O_RDWR | O_TRUNC))));
	WANT_NUM(0, look("f").st_size);
	WANT_NUM(0, lseek(fd, 0, SEEK_END));
	close(fd);
	MUST(symlink("f", "s"));
	MUST(symlink("nowhere", "dangling"));
	WANT(EEXIST, open("s", O_CREAT | O_EXCL | O_RDWR, 0644));
	WANT(EEXIST, open("dangling", O_CREAT | O_EXCL | O_RDWR, 0644));
	WANT(ELOOP, open("s", O_RDONLY | O_NOFOLLOW));
	WANT(ELOOP, open("dangling", O_CREAT | O_NOFOLLOW | O_RDWR, 0644));
	WANT(0, close(MUST(open("dangling", O_CREAT | O_RDWR, 0644))));
	WANT_NUM(1, there("nowhere"));
	WANT(0, close(MUST(open("s", O_PATH | O_NOFOLLOW))));
	WANT(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
	WANT(EISDIR, open(".", O_RDWR));
	WANT(EISDIR, open(".", O_WRONLY));
	WANT(EISDIR, open(".", O_RDONLY | O_TRUNC));
	WANT(EISDIR, open(".", O_RDONLY | O_CREAT, 0644));
	/* FUSE knows no nameless files; ext4 and tmpfs do. */
	if (!suite_plain())
		WANT(EOPNOTSUPP, open(".", O_TMPFILE | O_RDWR, 0600));
}

/* Type and permission bits of everything that can be made, for each umask. */
static void modes_and_umasks(void)
{
	static const mode_t masks[] = {0, 022, 027, 077, 0777, 0123}, modes[] = {0, 0777, 0666, 0640, 01777, 0111};
	for (size_t k = 0; k < COUNT(masks); k++)
		for (size_t m = 0; m < COUNT(modes); m++) {
			mode_t want = modes[m] & ~masks[k];
			umask(masks[k]);
			int fd = MUST(open("f", O_CREAT | O_WRONLY | O_EXCL, modes[m]));
			close(fd);
			MUST(mkdir("d", modes[m]));
			MUST(mkfifo("p", modes[m]));
			MUST(mknod("r", S_IFREG | modes[m], 0));
			MUST(mknod("s", S_IFSOCK | modes[m], 0));
			MUST(symlink("x", "l"));
			umask(022);
			WANT_NUM(S_IFREG | want, look("f").st_mode);
			WANT_NUM(S_IFDIR | want, look("d").st_mode);
			WANT_NUM(S_IFIFO | want, look("p").st_mode);
			WANT_NUM(S_IFREG | want, look("r").st_mode);
			WANT_NUM(S_IFSOCK | want, look("s").st_mode);
			WANT_NUM(S_IFLNK | 0777, look("l").st_mode);
			WANT(0, unlink("f"));
			WANT(0, rmdir("d"));
			WANT(0, unlink("p"));
			WANT(0, unlink("r"));
			WANT(0, unlink("s"));
			WANT(0, unlink("l"));
		}
	WANT(EINVAL, mknod("x", S_IFMT, 0));
	WANT(EPERM, mknod("x", S_IFDIR | 0755, 0));
}

static void bad_descriptors(void)
{
	char text[10];
	struct stat st;
	struct statvfs vfs;
	struct iovec iov = {text, 1};
	WANT(EBADF, read(-1, text, 1));
	WANT(EBADF, write(-1, text, 1));
	WANT(EBADF, fstat(-1, &st));
	WANT(EBADF, fsync(-1));
	WANT(EBADF, fdatasync(-1));
	WANT(EBADF, ftruncate(-1, 0));
	WANT(EBADF, fchmod(-1, 0));
	WANT(EBADF, fchown(-1, 0, 0));
	WANT(EBADF, lseek(-1, 0, SEEK_SET));
	WANT(EBADF, close(-1));
	WANT(EBADF, fallocate(-1, 0, 0, 1));
	WANT(EBADF, fstatvfs(-1, &vfs));
	WANT(EBADF, fchdir(-1));
	WANT(EBADF, futimens(-1, NULL));
	WANT(EBADF, openat(-1, "x", O_RDONLY));
	WANT(EBADF, mkdirat(-1, "x", 0755));
	WANT(EBADF, renameat(-1, "x", -1, "y"));
	WANT(EBADF, copy_file_range(-1, NULL, -1, NULL, 1, 0));
	put("f", "content");
	int r = MUST(open("f", O_RDONLY)), w = MUST(open("f", O_WRONLY)), d = MUST(open(".", O_RDONLY)),
	    p = MUST(open("f", O_PATH));
	WANT(EBADF, write(r, "x", 1));
	WANT(EBADF, pwrite(r, "x", 1, 0));
	WANT(EBADF, pwritev(r, &iov, 1, 0));
	WANT(EBADF, read(w, text, 1));
	WANT(EBADF, pread(w, text, 1, 0));
	WANT(EBADF, preadv(w, &iov, 1, 0));
	WANT(EINVAL, ftruncate(r, 0));
	WANT(EBADF, fallocate(r, 0, 0, 1));
	WANT(EISDIR, read(d, text, 1));
	WANT(EBADF, write(d, text, 1));
	WANT(EINVAL, ftruncate(d, 0));
	WANT(ENOTDIR, openat(r, "x", O_RDONLY));
	WANT(ENOTDIR, mkdirat(r, "x", 0755));
	WANT(ENOTDIR, fchdir(r));
	WANT(EBADF, read(p, text, 1));
	WANT(EBADF, fchmod(p, 0600));
	WANT(EBADF, fsync(p));
	WANT(EBADF, ftruncate(p, 0));
	WANT(0, fstat(p, &st));
	WANT(EINVAL, pread(r, text, 1, -1));
	WANT(EINVAL, pwrite(w, text, 1, -1));
	WANT(EINVAL, lseek(r, -1, SEEK_SET));
	WANT(EINVAL, lseek(r, -100, SEEK_END));
	WANT(EINVAL, lseek(r, 0, 99));
	WANT(ENXIO, lseek(r, 7, SEEK_DATA));
	WANT(ENXIO, lseek(r, 7, SEEK_HOLE));
	WANT(ENXIO, lseek(r, -1, SEEK_DATA));
	static struct iovec many[IOV_MAX + 1];
	WANT(EINVAL, readv(r, many, IOV_MAX + 1));
	WANT(EINVAL, ftruncate(w, -1));
	WANT(EINVAL, fallocate(w, 0, -1, 1));
	WANT(EINVAL, fallocate(w, 0, 0, 0));
	WANT(EINVAL, fallocate(w, 0, 0, -1));
	WANT(EOPNOTSUPP, fallocate(w, 0x1000, 0, 1));
	WANT(EOPNOTSUPP, fallocate(w, FALLOC_FL_PUNCH_HOLE, 0, 1));
	WANT(ENODEV, mmap(NULL, 1, PROT_READ, MAP_SHARED, d, 0) == MAP_FAILED ? -1 : 0);
	WANT(EACCES, mmap(NULL, 1, PROT_READ, MAP_SHARED, w, 0) == MAP_FAILED ? -1 : 0);
	WANT(EACCES, mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, r, 0) == MAP_FAILED ? -1 : 0);
	WANT(EINVAL, mmap(NULL, 1, PROT_READ, MAP_SHARED, r, 1) == MAP_FAILED ? -1 : 0);
	WANT(EINVAL, mmap(NULL, 0, PROT_READ, MAP_SHARED, r, 0) == MAP_FAILED ? -1 : 0);
	WANT(EINVAL, unlinkat(AT_FDCWD, "f", 0x1));
	WANT(EINVAL, fchownat(AT_FDCWD, "f", 0, 0, 0x1));
	WANT(EINVAL, linkat(AT_FDCWD, "f", AT_FDCWD, "g", 0x2));
	WANT(EINVAL, faccessat(AT_FDCWD, "f", 8, 0));
	WANT(ENOTTY, isatty(r) ? 0 : -1);
}

/* The right is checked when it is opened, not when it is used. */
static void rights_stay(void)
{
	char text[10] = "";
	MUST(chmod(".", 0777));
	if (as(ANN, 0)) {
		int fd = MUST(open("f", O_RDWR | O_CREAT | O_EXCL, 0)), r;
		WANT(EACCES, open("f", O_RDONLY));
		WANT_NUM(5, write(fd, "12345", 5));
		WANT_NUM(3, pread(fd, text, 3, 0));
		WANT(0, ftruncate(fd, 2));
		WANT(0, fchmod(fd, 0444));
		WANT(0, fsync(fd));
		WANT(EACCES, open("f", O_WRONLY));
		r = MUST(open("f", O_RDONLY));
		WANT_NUM(2, read(r, text, 10));
		WANT(0, fchmod(r, 0));
		WANT_NUM(1, pread(r, text, 1, 0));
		WANT_NUM(1, pwrite(fd, "x", 1, 5));
		WANT(0, fallocate(fd, 0, 0, 100));
		WANT(0, futimens(r, NULL));
		done();
	}
}

/* RLIMIT_FSIZE is a limit with EFBIG and SIGXFSZ; RLIMIT_NOFILE one with EMFILE. */
static void process_limits(void)
{
	struct rlimit limit = {1000, 1000};
	put("f", "x");
	if (child()) {
		char block[2000] = "";
		int fd = MUST(open("f", O_RDWR));
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGXFSZ);
		sigprocmask(SIG_BLOCK, &set, NULL);
		MUST(setrlimit(RLIMIT_FSIZE, &limit));
		WANT_NUM(1000, write(fd, block, 2000));
		WANT(EFBIG, write(fd, "x", 1));
		WANT(EFBIG, pwrite(fd, "x", 1, 5000));
		WANT(EFBIG, ftruncate(fd, 1001));
		WANT(0, ftruncate(fd, 1000));
		WANT(EFBIG, fallocate(fd, 0, 0, 2000));
		WANT_NUM(1000, look("f").st_size);
		done();
	}
	if (child()) {
		limit = (struct rlimit){20, 20};
		MUST(setrlimit(RLIMIT_NOFILE, &limit));
		while (open("f", O_RDONLY) >= 0)
			;
		WANT_NUM(EMFILE, errno);
		WANT(EMFILE, open("new", O_CREAT | O_WRONLY, 0644));
		WANT_NUM(0, there("new"));
		done();
	}
}

static void running_programs(void)
{
	put("prog", "#!/bin/sh\nexit 7\n");
	MUST(chmod("prog", 0755));
	int status;
	pid_t pid = MUST(fork());
	if (pid == 0) {
		execl("./prog", "prog", (char *)NULL);
		_exit(1);
	}
	MUST(waitpid(pid, &status, 0));
	WANT_NUM(7, WEXITSTATUS(status));
	MUST(chmod("prog", 0644));
	WANT(EACCES, access("prog", X_OK));
	WANT(EACCES, execl("./prog", "prog", (char *)NULL));
	WANT(0, access("prog", R_OK | W_OK));
	/* A program that runs cannot be written. */
	MUST(system("cp /bin/sleep sleep && chmod 755 sleep"));
	pid = MUST(fork());
	if (pid == 0) {
		execl("./sleep", "sleep", "60", (char *)NULL);
		_exit(1);
	}
	char path[40], text[200] = "";
	snprintf(path, sizeof path, "/proc/%d/comm", pid);
	for (int i = 0; i < 1000 && strncmp(text, "sleep", 5) != 0; i++) {
		tick();
		snprintf(text, sizeof text, "%s", content(path));
	}
	WANT(ETXTBSY, open("sleep", O_WRONLY));
	WANT(ETXTBSY, truncate("sleep", 0));
	WANT(0, unlink("sleep"));
	kill(pid, SIGKILL);
	MUST(waitpid(pid, &status, 0));
	int fd = MUST(open("busy", O_CREAT | O_RDWR, 0755));
	MUST(write(fd, "x", 1));
	WANT(ETXTBSY, execl("./busy", "busy", (char *)NULL));
	close(fd);
	WANT(ENOEXEC, execl("./busy", "busy", (char *)NULL));
}

/* Devices, FIFOs and sockets are what they are through the mount. */
static void special_files(void)
{
	char text[8] = "";
	MUST(mkfifo("p", 0644));
	WANT(ENXIO, open("p", O_WRONLY | O_NONBLOCK));
	int r = MUST(open("p", O_RDONLY | O_NONBLOCK)), w = MUST(open("p", O_WRONLY | O_NONBLOCK));
	WANT_NUM(3, write(w, "abc", 3));
	WANT_NUM(3, read(r, text, 8));
	WANT(ESPIPE, lseek(r, 0, SEEK_CUR));
	WANT(EINVAL, truncate("p", 0));
	MUST(mknod("s", S_IFSOCK | 0644, 0));
	WANT(ENXIO, open("s", O_RDONLY));
	if (!suite_is_root())
		return;
	MUST(mknod("null", S_IFCHR | 0666, 1 << 8 | 3));
	WANT_NUM(1 << 8 | 3, look("null").st_rdev);
	WANT_NUM(S_IFCHR | 0644, look("null").st_mode);
	MUST(mknod("block", S_IFBLK | 0600, 259 << 8 | 70000 % 256));
	WANT_TRUE(S_ISBLK(look("block").st_mode));
	if (as(ANN, 0)) {
		WANT(EPERM, mknod("d", S_IFCHR | 0666, 1 << 8 | 3));
		WANT(EPERM, mknod("b", S_IFBLK | 0666, 1 << 8 | 3));
		WANT(0, mkfifo("q", 0644));
		WANT(0, mknod("t", S_IFSOCK | 0644, 0));
		done();
	}
}

const struct posix_case open_cases[] = {
	{"open_creation", creation},
	{"open_modes", modes_and_umasks},
	{"open_descriptors", bad_descriptors},
	{"open_rights_stay", rights_stay, .root = true},
	{"open_limits", process_limits},
	{"open_programs", running_programs},
	{"open_special", special_files},
	{0},
};
