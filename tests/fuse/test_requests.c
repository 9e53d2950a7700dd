/* What single requests answer, as a program sees it. */
#include "fs/fuse/ioctl.h"
#include "tests/fuse/served.h"
#include "tests/suite.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NOBODY 65534

static struct served s;

static void setup(void)
{
	served_new(&s);
	served_start(&s);
	ck_assert_int_eq(chmod(served_path(&s, "users"), 0755), 0);
	ck_assert_int_eq(mkdir(served_path(&s, "users/u"), 0755), 0);
	struct stat st;
	ck_assert_int_eq(stat(served_path(&s, "users/u"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700); /* as home folders; what follows is for others, too */
	ck_assert_int_eq(chmod(served_path(&s, "users/u"), 0755), 0);
}

static void teardown(void)
{
	served_remove(&s);
}

static const char *at(const char *name)
{
	return served_path(&s, name);
}

static int make_file(const char *name, mode_t mode)
{
	int fd = open(at(name), O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	return fd;
}

START_TEST(root_cannot_be_changed)
{
	struct stat st;
	ck_assert_int_eq(stat(at(""), &st), 0);
	ck_assert_int_lt(mkdir(at("x"), 0700), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(open(at("x"), O_CREAT | O_WRONLY, 0600), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(unlink(at("README.md")), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(open(at("README.md"), O_WRONLY), 0);
	ck_assert_int_eq(errno, EROFS);
	ck_assert_int_lt(rename(at("users"), at("y")), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_lt(rename(at("README.md"), at("users/u/r")), 0);
	ck_assert(errno == EPERM || errno == EXDEV);
	ck_assert_int_lt(setxattr(at("README.md"), "user.a", "b", 1, 0), 0);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(access(at("nothing"), F_OK), -1);
	ck_assert_int_eq(errno, ENOENT);
	char text[64];
	int fd = open(at("README.md"), O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(read(fd, text, sizeof text), 0);
	ck_assert_int_eq(pread(fd, text, sizeof text, 1 << 20), 0);
	close(fd);
}
END_TEST

START_TEST(names_have_a_limit)
{
	char name[300] = "users/u/";
	memset(name + 8, 'n', 255);
	close(make_file(name, 0600));
	name[8 + 255] = 'n';
	ck_assert_int_lt(open(at(name), O_CREAT | O_WRONLY, 0600), 0);
	ck_assert_int_eq(errno, ENAMETOOLONG);
	ck_assert_int_lt(access(at(name), F_OK), 0);
	ck_assert_int_eq(errno, ENAMETOOLONG);
}
END_TEST

/* Runs @act as @uid and returns the mode of the file afterwards. */
static mode_t mode_after(uid_t uid, void (*act)(const char *path))
{
	struct stat st;
	const char *path = at("users/u/suid");
	ck_assert_int_eq(chmod(path, 06777), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(setgid(uid) < 0 || setuid(uid) < 0 ? 1 : (act(path), 0));
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void do_write(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0)
		_exit(2);
}
static void do_truncate(const char *path)
{
	if (truncate(path, 1) < 0)
		_exit(2);
}
static void do_open_trunc(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || close(fd) < 0)
		_exit(2);
}
static void do_fallocate(const char *path)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0 || fallocate(fd, 0, 0, 100) < 0 || close(fd) < 0)
		_exit(2);
}
static void do_chown(const char *path)
{
	if (chown(path, 0, 5) < 0)
		_exit(2);
}

START_TEST(privileges_are_cleared)
{
	close(make_file("users/u/suid", 06777));
	ck_assert_uint_eq(mode_after(NOBODY, do_write), 0777);
	ck_assert_uint_eq(mode_after(NOBODY, do_truncate), 0777);
	ck_assert_uint_eq(mode_after(NOBODY, do_open_trunc), 0777);
	ck_assert_uint_eq(mode_after(NOBODY, do_fallocate), 0777);
	ck_assert_uint_eq(mode_after(0, do_chown), 0777);
	/* Whoever has CAP_FSETID keeps them. */
	ck_assert_uint_eq(mode_after(0, do_write), 06777);
	ck_assert_uint_eq(mode_after(0, do_truncate), 06777);
	ck_assert_uint_eq(mode_after(0, do_open_trunc), 06777);
}
END_TEST

START_TEST(xattrs_ask_for_sizes)
{
	char value[64];
	close(make_file("users/u/x", 0600));
	const char *path = at("users/u/x");
	ck_assert_int_eq(listxattr(path, NULL, 0), 0);
	ck_assert_int_eq(setxattr(path, "user.key", "value", 5, XATTR_CREATE), 0);
	ck_assert_int_lt(setxattr(path, "user.key", "value", 5, XATTR_CREATE), 0);
	ck_assert_int_eq(errno, EEXIST);
	ck_assert_int_eq(getxattr(path, "user.key", NULL, 0), 5);
	ck_assert_int_lt(getxattr(path, "user.key", value, 4), 0);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(getxattr(path, "user.key", value, 5), 5);
	ck_assert_mem_eq(value, "value", 5);
	ck_assert_int_eq(setxattr(path, "user.empty", "", 0, 0), 0);
	ck_assert_int_eq(getxattr(path, "user.empty", value, sizeof value), 0);
	ck_assert_int_eq(listxattr(path, value, sizeof value), 9 + 11);
	ck_assert_int_lt(listxattr(path, value, 5), 0);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(removexattr(path, "user.key"), 0);
	ck_assert_int_lt(getxattr(path, "user.key", value, 5), 0);
	ck_assert_int_eq(errno, ENODATA);
}
END_TEST

#define FILES 700

START_TEST(listing_is_complete)
{
	static bool seen[FILES];
	char name[64];
	struct stat st;
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "users/u/file-%d", i);
		close(make_file(name, 0600));
	}
	/* With and without attributes, cold and from the kernel's cache. */
	for (int round = 0; round < 4; round++) {
		int n = 0;
		memset(seen, 0, sizeof seen);
		DIR *dir = opendir(at("users/u"));
		ck_assert_ptr_nonnull(dir);
		for (struct dirent *d; (d = readdir(dir));) {
			int i = -1;
			if (sscanf(d->d_name, "file-%d", &i) != 1)
				continue;
			ck_assert_int_lt(i, FILES);
			ck_assert(!seen[i]);
			seen[i] = true;
			n++;
			if (round & 1) {
				ck_assert_int_eq(fstatat(dirfd(dir), d->d_name, &st, 0), 0);
				ck_assert_uint_eq(st.st_ino, d->d_ino);
			}
		}
		closedir(dir);
		ck_assert_int_eq(n, FILES);
	}
}
END_TEST

START_TEST(big_requests_keep_every_byte)
{
	size_t size = (3u << 20) + 12345;
	char *data = malloc(size), *got = malloc(size);
	ck_assert(data && got);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 2654435761u >> 24);
	int fd = make_file("users/u/big", 0600);
	ck_assert_int_eq(pwrite(fd, data, size, 7), (ssize_t)size);
	int copy = make_file("users/u/copy", 0600);
	off_t from = 7;
	while (from < (off_t)size + 7)
		ck_assert_int_gt(copy_file_range(fd, &from, copy, NULL, size, 0), 0);
	close(fd);
	ck_assert_int_eq(pread(copy, got, size, 0), (ssize_t)size);
	ck_assert(memcmp(data, got, size) == 0);
	/* What a page of the kernel's cache held before an append is no news to it. */
	ck_assert_int_eq(pwrite(copy, "tail", 4, (off_t)size), 4);
	ck_assert_int_eq(pread(copy, got, 4, (off_t)size), 4);
	ck_assert_mem_eq(got, "tail", 4);
	ck_assert_int_eq(lseek(copy, 0, SEEK_HOLE), (off_t)size + 4);
	close(copy);
	free(data);
	free(got);
}
END_TEST

#define SYNCERS 40

static void *sync_one(void *arg)
{
	char name[128];
	snprintf(name, sizeof name, "%s/users/u/sync-%d", s.mountpoint, *(int *)arg);
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	bool good = fd >= 0;
	for (int i = 0; i < 5; i++)
		good = good && write(fd, "x", 1) == 1 && fsync(fd) == 0;
	return good && close(fd) == 0 ? arg : NULL;
}

START_TEST(many_wait_for_the_disk)
{
	pthread_t thread[SYNCERS];
	int number[SYNCERS];
	for (int i = 0; i < SYNCERS; i++) {
		number[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, sync_one, &number[i]), 0);
	}
	for (int i = 0; i < SYNCERS; i++) {
		void *good;
		pthread_join(thread[i], &good);
		ck_assert_ptr_nonnull(good);
	}
	int dir = open(at("users/u"), O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(fsync(dir), 0);
	struct scribefs_status status;
	ck_assert_int_eq(ioctl(dir, SCRIBEFS_IOC_STATUS, &status), 0);
	ck_assert_uint_eq(status.synced, status.sequence);
	close(dir);
}
END_TEST

START_TEST(strange_ioctls_are_refused)
{
	struct scribefs_new asked;
	int fd = make_file("users/u/i", 0600);
	ck_assert_int_lt(ioctl(fd, _IOR('S', 99, int), &asked), 0);
	ck_assert_int_eq(errno, ENOTTY);
	ck_assert_int_lt(ioctl(fd, SCRIBEFS_IOC_NEW, &asked), 0);
	ck_assert_int_eq(errno, ENOTDIR);
	close(fd);
	/* The title does not end. */
	int dir = open(at("users/u"), O_RDONLY | O_DIRECTORY);
	memset(&asked, 'x', sizeof asked);
	ck_assert_int_lt(ioctl(dir, SCRIBEFS_IOC_NEW, &asked), 0);
	ck_assert_int_eq(errno, EINVAL);
	close(dir);
}
END_TEST

/* Whether @uid of the group @gid may make a session in the workflow. */
static int new_as(uid_t uid, gid_t gid)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct scribefs_new asked = {.title = "t"};
		int dir = open(at("users/u/w"), O_RDONLY | O_DIRECTORY);
		if (dir < 0 || setgid(gid) < 0 || setuid(uid) < 0)
			_exit(200);
		_exit(ioctl(dir, SCRIBEFS_IOC_NEW, &asked) < 0 ? errno : 0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(new_session_needs_the_right_to_write)
{
	ck_assert_int_eq(mkdir(at("users/u/w"), 0775), 0);
	ck_assert_int_eq(chmod(at("users/u/w"), 0775), 0);
	ck_assert_int_eq(chown(at("users/u/w"), 1000, 2000), 0);
	ck_assert_int_eq(new_as(0, 0), 0);
	ck_assert_int_eq(new_as(1000, 1), 0);
	ck_assert_int_eq(new_as(1001, 2000), 0);
	ck_assert_int_eq(new_as(1001, 1), EACCES);
	/* u::rwx u:1002:-wx u:1003:r-x g::rwx m::rwx o::r-x */
	static const unsigned char acl[] = {2, 0, 0, 0,
		1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 3, 0, 0xea, 3, 0, 0, 2, 0, 5, 0, 0xeb, 3, 0, 0,
		4, 0, 7, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255,
		32, 0, 5, 0, 255, 255, 255, 255};
	ck_assert_int_eq(setxattr(at("users/u/w"), "system.posix_acl_access", acl, sizeof acl, 0), 0);
	ck_assert_int_eq(new_as(1002, 1), 0);
	ck_assert_int_eq(new_as(1003, 2000), EACCES);
	ck_assert_int_eq(new_as(1004, 2000), 0);
	ck_assert_int_eq(new_as(1004, 1), EACCES);
}
END_TEST

int main(void)
{
	if (!served_possible())
		return 77;
	served_begin();
	TCase *tc = tcase_create("answers");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, root_cannot_be_changed);
	tcase_add_test(tc, names_have_a_limit);
	tcase_add_test(tc, privileges_are_cleared);
	tcase_add_test(tc, xattrs_ask_for_sizes);
	tcase_add_test(tc, listing_is_complete);
	tcase_add_test(tc, big_requests_keep_every_byte);
	tcase_add_test(tc, many_wait_for_the_disk);
	tcase_add_test(tc, strange_ioctls_are_refused);
	tcase_add_test(tc, new_session_needs_the_right_to_write);
	int failed = run_case("requests", tc);
	served_end();
	return failed;
}
