/*
 * orphans.c: files without a name that are still open: all that can be done to a file can be done to them.
 */
#include "suite.h"

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/xattr.h>

/* Sizes on both sides of what is kept in one record. */
static const size_t sizes[] = {0, 10, 4096, 5000, 200000};

static void everything(void)
{
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (int way = 0; way < 3; way++) { /* unlinked, replaced, both of two names gone */
			struct stat st, was;
			char text[10] = "";
			put_sized("f", sizes[i]);
			was = look("f");
			int fd = MUST(open("f", O_RDWR)), other = MUST(open("f", O_RDONLY));
			if (way == 1) {
				put("g", "new");
				MUST(rename("g", "f"));
			} else if (way == 2) {
				MUST(link("f", "h"));
				MUST(unlink("f"));
				MUST(unlink("h"));
			} else {
				MUST(unlink("f"));
			}
			WANT(0, fstat(fd, &st));
			WANT_NUM(0, st.st_nlink);
			WANT_NUM(was.st_ino, st.st_ino);
			WANT_NUM(sizes[i], st.st_size);
			WANT_TRUE(st.st_ctim.tv_sec > 0);
			WANT_NUM(5, pwrite(fd, "hello", 5, (off_t)sizes[i]));
			WANT_NUM(5, pread(other, text, 10, (off_t)sizes[i]));
			WANT_TRUE(memcmp(text, "hello", 5) == 0);
			WANT(0, fchmod(fd, 0640));
			WANT(0, fchown(fd, geteuid(), getegid()));
			WANT(0, futimens(fd, (struct timespec[]){{5, 0}, {7, 0}}));
			WANT(0, fsync(fd));
			WANT(0, fdatasync(fd));
			WANT(0, fstat(other, &st));
			WANT_NUM(0640, st.st_mode & 07777);
			WANT_NUM(7, st.st_mtim.tv_sec);
			WANT(0, fsetxattr(fd, "user.a", "value", 5, 0));
			WANT_NUM(5, fgetxattr(other, "user.a", text, 10));
			WANT_NUM(7, flistxattr(fd, NULL, 0));
			WANT(0, fremovexattr(fd, "user.a"));
			WANT(ENODATA, fgetxattr(other, "user.a", text, 10));
			WANT(0, ftruncate(fd, 100000));
			WANT_NUM(4, pwrite(fd, "far!", 4, 300000));
			WANT_NUM(4, pread(fd, text, 4, 300000));
			WANT(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 50000));
			WANT(0, flock(fd, LOCK_EX));
			WANT(0, ftruncate(fd, 0));
			char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			WANT(0, ftruncate(fd, 4096));
			if (p != MAP_FAILED)
				p[0] = 'm';
			WANT_NUM(1, pread(other, text, 1, 0));
			WANT_NUM('m', text[0]);
			munmap(p, 4096);
			close(fd);
			WANT_NUM(1, pread(other, text, 1, 0));
			WANT_NUM('m', text[0]);
			close(other);
			WANT_NUM(way == 1, there("f"));
			if (way == 1)
				MUST(unlink("f"));
		}
}

/* With attributes and ACLs it had before. */
static void with_attributes(void)
{
	char text[10];
	put("f", "x");
	MUST(setxattr("f", "user.old", "old", 3, 0));
	int fd = MUST(open("f", O_RDWR));
	MUST(unlink("f"));
	WANT_NUM(3, fgetxattr(fd, "user.old", text, 10));
	WANT(0, fsetxattr(fd, "user.new", "new", 3, 0));
	WANT_NUM(18, flistxattr(fd, NULL, 0));
	WANT(0, fremovexattr(fd, "user.old"));
	WANT(ENODATA, fgetxattr(fd, "user.old", text, 10));
	WANT(0, fchmod(fd, 0751));
	close(fd);
	put("f", "x");
	WANT_NUM(0, listxattr("f", NULL, 0));
}

/* Reached through /proc, and handed to another process. */
static void reopened(void)
{
	char path[40];
	put("f", "content");
	int fd = MUST(open("f", O_RDWR));
	MUST(unlink("f"));
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = MUST(open(path, O_RDWR));
	WANT_NUM(7, lseek(again, 0, SEEK_END));
	WANT_NUM(4, write(again, "more", 4));
	close(fd);
	if (child()) {
		char text[20] = "";
		WANT_NUM(11, pread(again, text, 20, 0));
		WANT_TRUE(strcmp(text, "contentmore") == 0);
		done();
	}
	WANT(ENOENT, open("f", O_RDONLY));
	close(again);
}

static void many(void)
{
	int fds[200];
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = MUST(open("same name", O_CREAT | O_RDWR | O_EXCL, 0644));
		MUST(write(fds[i], &i, sizeof i));
		MUST(unlink("same name"));
	}
	for (size_t i = 0; i < COUNT(fds); i++) {
		size_t got = 0;
		WANT_NUM(sizeof i, pread(fds[i], &got, sizeof got, 0));
		WANT_NUM(i, got);
		close(fds[i]);
	}
}

const struct posix_case orphan_cases[] = {
	{"orphan_everything", everything},
	{"orphan_attributes", with_attributes},
	{"orphan_reopened", reopened},
	{"orphan_many", many},
	{0},
};
