/*
 * frozen.c: on a mount that is read-only (-r): every change is EROFS, whatever else would be wrong with it,
 * and reading works. DIR holds a folder `frozen` with a file, a directory and a symlink (`posix-suite.sh`).
 */
#include "suite.h"

#include <sys/xattr.h>

static void changes(void)
{
	struct timespec times[] = {{1, 1}, {1, 1}};
	int fd = MUST(open("file", O_RDONLY));
	WANT(EROFS, open("file", O_WRONLY));
	WANT(EROFS, open("file", O_RDWR));
	WANT(EROFS, open("file", O_WRONLY | O_TRUNC));
	WANT(EROFS, open("new", O_CREAT | O_WRONLY, 0644));
	WANT(0, open("file", O_CREAT | O_RDONLY, 0644));
	WANT(EEXIST, open("file", O_CREAT | O_EXCL | O_RDONLY, 0644));
	WANT(EROFS, truncate("file", 0));
	WANT(EROFS, mkdir("new", 0755));
	WANT(EEXIST, mkdir("dir", 0755));
	WANT(EROFS, mkfifo("new", 0644));
	WANT(EROFS, symlink("x", "new"));
	WANT(EROFS, link("file", "new"));
	WANT(EROFS, unlink("file"));
	WANT(EROFS, rmdir("dir"));
	WANT(EROFS, rename("file", "new"));
	WANT(EROFS, chmod("file", 0600));
	WANT(EROFS, fchmod(fd, 0600));
	WANT(EROFS, chown("file", 1, 1));
	WANT(EROFS, lchown("link", 1, 1));
	WANT(EROFS, utimensat(AT_FDCWD, "file", times, 0));
	WANT(EROFS, utimensat(AT_FDCWD, "file", NULL, 0));
	WANT(EROFS, setxattr("file", "user.a", "1", 1, 0));
	WANT(EROFS, removexattr("file", "user.kept"));
	WANT(EROFS, access("file", W_OK));
	WANT(EROFS, access(".", W_OK));
	close(fd);
}

static void reading(void)
{
	char text[20];
	WANT_TRUE(strcmp(content("file"), "content\n") == 0);
	WANT(0, access("file", R_OK));
	WANT_NUM(4, readlink("link", text, sizeof text));
	WANT_NUM(1, getxattr("file", "user.kept", text, sizeof text));
	struct stat was = look("file");
	tick();
	content("file");
	WANT_NUM(was.st_atim.tv_nsec, look("file").st_atim.tv_nsec);
	int fd = MUST(open("file", O_RDONLY));
	WANT(0, fsync(fd));
	close(fd);
}

static void both(void)
{
	changes();
	reading();
}

const struct posix_case read_only_cases[] = {
	{"frozen", both},
	{0},
};
