/* The life of a mount: start, refusals, ends of every kind, and what is there afterwards. */
#include "fs/fuse/ioctl.h"
#include "tests/fuse/served.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct served s;

static void setup(void)
{
	served_new(&s);
}

static void teardown(void)
{
	served_remove(&s);
}

static const char *at(const char *name)
{
	return served_path(&s, name);
}

static void write_file(const char *name, const char *text, int extra)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | extra, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
	ck_assert_int_eq(close(fd), 0);
}

static void expect_file(const char *name, const char *text)
{
	char got[256] = "";
	int fd = open(at(name), O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, got, sizeof got - 1), 0);
	close(fd);
	ck_assert_str_eq(got, text);
}

static struct scribefs_status status_of(void)
{
	struct scribefs_status status = {0};
	int fd = open(s.mountpoint, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ioctl(fd, SCRIBEFS_IOC_STATUS, &status), 0);
	close(fd);
	return status;
}

START_TEST(status_tells_who_serves)
{
	served_start(&s);
	struct scribefs_status status = status_of();
	ck_assert_int_eq((int)status.pid, s.daemon);
	ck_assert_str_eq(status.cipher, "xchacha20-poly1305");
	ck_assert_uint_eq(status.flags, 0);
	ck_assert_int_ge(status.started, (long)time(NULL) - 60);
	ck_assert_uint_ge(status.sequence, status.synced);
	ck_assert_int_eq(served_umount(&s), 0);
}
END_TEST

START_TEST(survives_an_end)
{
	static const int ends[] = {0, SIGTERM, SIGINT, SIGHUP, SIGKILL};
	int sig = ends[_i];
	served_start(&s);
	ck_assert_int_eq(mkdir(at("users/u"), 0700), 0);
	write_file("users/u/a", "one", 0);
	if (sig == 0)
		ck_assert_int_eq(served_umount(&s), 0);
	else
		ck_assert_int_eq(served_kill(&s, sig), sig == SIGKILL ? -SIGKILL : 0);
	/* After SIGKILL the dead mount is in the way. */
	served_start(&s);
	expect_file("users/u/a", "one");
	ck_assert_uint_eq(status_of().flags, sig == SIGKILL ? SCRIBEFS_UNCLEAN : 0);
	ck_assert_int_eq(served_umount(&s), 0);
}
END_TEST

START_TEST(ends_while_files_are_open)
{
	served_start(&s);
	ck_assert_int_eq(mkdir(at("users/u"), 0700), 0);
	int fd = open(at("users/u/a"), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "open", 4), 4);
	ck_assert_int_eq(served_kill(&s, SIGTERM), 0);
	close(fd);
	served_start(&s);
	expect_file("users/u/a", "open");
}
END_TEST

START_TEST(daemon_mode_returns_when_it_serves)
{
	char line[1024];
	s.options.foreground = false;
	ck_assert_int_eq(served_try(&s.options, line), 0);
	ck_assert_str_eq(line, "");
	pid_t daemon = (pid_t)status_of().pid;
	ck_assert_int_eq(getsid(daemon), daemon);
	ck_assert_int_eq(kv_holder(s.store), daemon);
	ck_assert_int_eq(umount2(s.mountpoint, 0), 0);
	for (int i = 0; kv_holder(s.store) > 0; i++) {
		ck_assert_int_lt(i, 1000);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}
END_TEST

/* Exit status 1 and exactly one line, which holds @word. */
static void expect_refusal(const struct mount_options *options, const char *word)
{
	char line[1024];
	struct mount_options both = *options;
	for (int foreground = 0; foreground < 2; foreground++) {
		both.foreground = foreground;
		ck_assert_int_eq(served_try(&both, line), 1);
		ck_assert_msg(strstr(line, word) != NULL, "%s in: %s", word, line);
		ck_assert_msg(strncmp(line, "scribefs: ", 10) == 0, "%s", line);
		ck_assert_msg(strchr(line, '\n') == line + strlen(line) - 1, "one line: %s", line);
	}
}

START_TEST(refuses_bad_paths)
{
	struct mount_options o = s.options;
	char file[PATH_MAX], inside[PATH_MAX];
	snprintf(file, sizeof file, "%s/file", s.dir);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	snprintf(inside, sizeof inside, "%s/inside", s.store);
	mkdir(inside, 0700);

	o.mountpoint = "/nonexistent/mnt";
	expect_refusal(&o, "does not exist");
	o.mountpoint = file;
	expect_refusal(&o, "not a directory");
	o.mountpoint = inside;
	expect_refusal(&o, "lies in the store");
	o.mountpoint = s.dir;
	expect_refusal(&o, "would hide");
	o.mountpoint = s.mountpoint;
	o.store = "/nonexistent/store";
	expect_refusal(&o, "no store");
	o.store = file;
	expect_refusal(&o, "not a store");
	o.store = s.mountpoint;
	o.mountpoint = inside;
	expect_refusal(&o, "not a store");
}
END_TEST

START_TEST(refuses_what_is_mounted)
{
	char other[PATH_MAX];
	struct mount_options o = s.options;
	served_start(&s);
	expect_refusal(&o, "mounted already");
	snprintf(other, sizeof other, "%s/other", s.dir);
	mkdir(other, 0700);
	o.mountpoint = other;
	expect_refusal(&o, "in use by process");
	ck_assert_int_eq(served_umount(&s), 0);
}
END_TEST

START_TEST(refuses_a_damaged_keyring)
{
	char keyring[PATH_MAX];
	snprintf(keyring, sizeof keyring, "%s/keyring", s.store);
	int fd = open(keyring, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 70), 1);
	close(fd);
	expect_refusal(&s.options, "keyring");
}
END_TEST

START_TEST(read_only_refuses_changes)
{
	served_start(&s);
	ck_assert_int_eq(mkdir(at("users/u"), 0700), 0);
	write_file("users/u/a", "one", 0);
	ck_assert_int_eq(served_umount(&s), 0);
	s.options.read_only = true;
	served_start(&s);
	expect_file("users/u/a", "one");
	ck_assert_int_lt(mkdir(at("users/v"), 0700), 0);
	ck_assert_int_eq(errno, EROFS);
	ck_assert_int_lt(open(at("users/u/a"), O_WRONLY), 0);
	ck_assert_int_eq(errno, EROFS);
	ck_assert_uint_eq(status_of().flags, SCRIBEFS_READ_ONLY);
	int dir = open(at("users/u"), O_RDONLY);
	struct scribefs_new asked = {0};
	ck_assert_int_lt(ioctl(dir, SCRIBEFS_IOC_NEW, &asked), 0);
	ck_assert_int_eq(errno, EROFS);
	close(dir);
	ck_assert_int_eq(served_umount(&s), 0);
}
END_TEST

START_TEST(sync_makes_close_durable)
{
	s.options.sync = true;
	served_start(&s);
	ck_assert_int_eq(mkdir(at("users/u"), 0700), 0);
	write_file("users/u/a", "one", 0);
	struct scribefs_status status = status_of();
	ck_assert_uint_eq(status.synced, status.sequence);
	ck_assert_int_eq(served_umount(&s), 0);
}
END_TEST

int main(void)
{
	if (!served_possible())
		return 77;
	served_begin();
	TCase *tc = tcase_create("life");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, status_tells_who_serves);
	tcase_add_loop_test(tc, survives_an_end, 0, 5);
	tcase_add_test(tc, ends_while_files_are_open);
	tcase_add_test(tc, daemon_mode_returns_when_it_serves);
	tcase_add_test(tc, refuses_bad_paths);
	tcase_add_test(tc, refuses_what_is_mounted);
	tcase_add_test(tc, refuses_a_damaged_keyring);
	tcase_add_test(tc, read_only_refuses_changes);
	tcase_add_test(tc, sync_makes_close_durable);
	int failed = run_case("mount", tc);
	served_end();
	return failed;
}
