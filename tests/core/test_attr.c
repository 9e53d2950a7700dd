/*
 * test_attr.c: getattr and setattr: modes, owners, times, sizes, and what set-id files lose.
 */
#include "tests/core/store.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

static struct store s;

static void setup(void)
{
	store_new(&s, NULL);
}

static void teardown(void)
{
	store_close(&s);
}

static uint64_t file(mode_t mode)
{
	s.who.umask = 0;
	return store_make(&s, CORE_ROOT_INO, "f", S_IFREG | mode);
}

static int set(uint64_t ino, struct stat st, unsigned what, struct stat *ret_st)
{
	return core_setattr(s.core, &s.who, ino, &st, what, ret_st);
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void expect_stat(uint64_t ino, const struct stat *expected)
{
	struct stat st;
	store_stat(&s, ino, &st);
	ck_assert_uint_eq(st.st_ino, expected->st_ino);
	ck_assert_uint_eq(st.st_mode, expected->st_mode);
	ck_assert_uint_eq(st.st_nlink, expected->st_nlink);
	ck_assert_uint_eq(st.st_uid, expected->st_uid);
	ck_assert_uint_eq(st.st_gid, expected->st_gid);
	ck_assert_int_eq(st.st_size, expected->st_size);
	ck_assert(same(st.st_atim, expected->st_atim));
	ck_assert(same(st.st_mtim, expected->st_mtim));
	ck_assert(same(st.st_ctim, expected->st_ctim));
}

START_TEST(nothing_there)
{
	struct stat st;
	bool fleeting;
	ck_assert_int_eq(core_getattr(s.core, 12345678, &st, &fleeting), -ENOENT);
	ck_assert_int_eq(set(12345678, (struct stat){.st_mode = 0}, CORE_SET_MODE, &st), -ENOENT);
}
END_TEST

START_TEST(mode_is_kept)
{
	uint64_t f = file(0600);
	struct stat before, st;
	store_stat(&s, f, &before);
	ck_assert_int_eq(set(f, (struct stat){.st_mode = S_IFDIR | 07751}, CORE_SET_MODE, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 07751);
	ck_assert(later(st.st_ctim, before.st_ctim));
	ck_assert(same(st.st_mtim, before.st_mtim) && same(st.st_atim, before.st_atim));
	store_reopen(&s);
	expect_stat(f, &st);
}
END_TEST

START_TEST(nothing_to_set)
{
	uint64_t f = file(0600);
	struct stat before, st;
	store_stat(&s, f, &before);
	ck_assert_int_eq(set(f, (struct stat){0}, 0, &st), 0);
	expect_stat(f, &before);
}
END_TEST

START_TEST(chown_clears)
{
	uint64_t f = file(06755);
	struct stat st;
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "security.capability", "x", 1, 0), 0);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "user.kept", "x", 1, 0), 0);
	ck_assert_int_eq(set(f, (struct stat){.st_uid = 7}, CORE_SET_UID, &st), 0);
	ck_assert_uint_eq(st.st_uid, 7);
	ck_assert_uint_eq(st.st_gid, 1000);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0755);
	_cleanup_buf_ struct buf names = {0};
	ck_assert_int_eq(core_listxattr(s.core, f, &names), 0);
	ck_assert_uint_eq(names.len, sizeof "user.kept");
	/* Without group execution S_ISGID means mandatory locking: it stays. */
	store_chmod(&s, f, 06644);
	ck_assert_int_eq(set(f, (struct stat){.st_gid = 8}, CORE_SET_GID, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 02644);
	ck_assert_uint_eq(st.st_gid, 8);
	store_reopen(&s);
	expect_stat(f, &st);
}
END_TEST

START_TEST(chown_of_directories_clears_nothing)
{
	struct stat st;
	s.who.umask = 0;
	uint64_t d = store_make(&s, CORE_ROOT_INO, "d", S_IFDIR | 02775);
	ck_assert_int_eq(set(d, (struct stat){.st_uid = 7}, CORE_SET_UID, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 02775);
}
END_TEST

START_TEST(truncation_clears_when_asked)
{
	uint64_t f = file(06755);
	struct stat st;
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "security.capability", "x", 1, 0), 0);
	ck_assert_int_eq(set(f, (struct stat){.st_size = 10}, CORE_SET_SIZE, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 06755);
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getxattr(s.core, f, "security.capability", &value), -ENODATA);
	ck_assert_int_eq(set(f, (struct stat){0}, CORE_SET_SIZE | CORE_SET_KILL_PRIV, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0755);
}
END_TEST

START_TEST(explicit_times)
{
	uint64_t f = file(0600);
	struct stat before, st;
	const struct timespec old = {-1000000000, 123456789}, far = {5000000000, 999999999};
	store_stat(&s, f, &before);
	ck_assert_int_eq(set(f, (struct stat){.st_atim = far, .st_mtim = old},
				 CORE_SET_ATIME | CORE_SET_MTIME, &st), 0);
	ck_assert(same(st.st_atim, far) && same(st.st_mtim, old));
	ck_assert(later(st.st_ctim, before.st_ctim));
	ck_assert_int_eq(set(f, (struct stat){.st_ctim = old}, CORE_SET_CTIME, &st), 0);
	ck_assert(same(st.st_ctim, old));
	store_reopen(&s);
	expect_stat(f, &st);
}
END_TEST

START_TEST(times_now)
{
	uint64_t f = file(0600);
	struct stat st;
	const struct timespec old = {1, 1};
	ck_assert_int_eq(set(f, (struct stat){.st_atim = old, .st_mtim = old},
				 CORE_SET_ATIME | CORE_SET_MTIME, &st), 0);
	/* UTIME_OMIT of one, UTIME_NOW of the other; the kernel sends both bits for NOW. */
	ck_assert_int_eq(set(f, (struct stat){0}, CORE_SET_MTIME | CORE_SET_MTIME_NOW, &st), 0);
	ck_assert(same(st.st_atim, old) && later(st.st_mtim, old));
	ck_assert(same(st.st_mtim, st.st_ctim));
	ck_assert_int_eq(set(f, (struct stat){0}, CORE_SET_ATIME | CORE_SET_ATIME_NOW, &st), 0);
	ck_assert(same(st.st_atim, st.st_ctim));
}
END_TEST

START_TEST(sizes)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "hello world");
	struct stat before, st;
	store_stat(&s, f, &before);
	ck_assert_int_eq(set(f, (struct stat){.st_size = 5}, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(st.st_size, 5);
	ck_assert(later(st.st_mtim, before.st_mtim) && same(st.st_mtim, st.st_ctim));
	store_expect(&s, f, "hello");
	/* truncate(2) to the size that it has marks the times too. */
	before = st;
	ck_assert_int_eq(set(f, (struct stat){.st_size = 5}, CORE_SET_SIZE, &st), 0);
	ck_assert(later(st.st_mtim, before.st_mtim));
	/* An mtime beside the size wins. */
	const struct timespec old = {77, 7};
	ck_assert_int_eq(set(f, (struct stat){.st_size = 3, .st_mtim = old},
				 CORE_SET_SIZE | CORE_SET_MTIME, &st), 0);
	ck_assert(same(st.st_mtim, old));
	store_reopen(&s);
	expect_stat(f, &st);
	store_expect(&s, f, "hel");
}
END_TEST

START_TEST(sizes_refused)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "hello");
	uint64_t d = store_make(&s, CORE_ROOT_INO, "d", S_IFDIR | 0700);
	uint64_t p = store_make(&s, CORE_ROOT_INO, "p", S_IFIFO | 0600);
	uint64_t l = store_symlink(&s, CORE_ROOT_INO, "l", "f");
	struct stat before, st;
	store_stat(&s, f, &before);
	ck_assert_int_eq(set(d, (struct stat){0}, CORE_SET_SIZE, &st), -EISDIR);
	ck_assert_int_eq(set(p, (struct stat){0}, CORE_SET_SIZE, &st), -EINVAL);
	ck_assert_int_eq(set(l, (struct stat){0}, CORE_SET_SIZE, &st), -EINVAL);
	ck_assert_int_eq(set(f, (struct stat){.st_size = -1}, CORE_SET_SIZE, &st), -EINVAL);
	ck_assert_int_eq(set(f, (struct stat){.st_size = (off_t)CORE_FILE_MAX + 1},
				 CORE_SET_SIZE | CORE_SET_MODE, &st), -EFBIG);
	expect_stat(f, &before);
	store_expect(&s, f, "hello");
}
END_TEST

START_TEST(a_writer_makes_it_fleeting)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "x");
	struct file *reader, *writer;
	struct stat st;
	bool fleeting = true;
	store_reopen(&s);
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_RDONLY, &reader), 0);
	ck_assert_int_eq(core_getattr(s.core, f, &st, &fleeting), 0);
	ck_assert(!fleeting);
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_WRONLY, &writer), 0);
	ck_assert_int_eq(core_getattr(s.core, f, &st, &fleeting), 0);
	ck_assert(fleeting);
	ck_assert_int_eq(core_file_release(s.core, writer), 0);
	ck_assert_int_eq(core_file_release(s.core, reader), 0);
	ck_assert_int_eq(core_getattr(s.core, f, &st, &fleeting), 0);
	ck_assert(!fleeting);
}
END_TEST

START_TEST(an_unlinked_file)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "hello");
	struct file *open;
	struct stat st;
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_RDWR, &open), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, CORE_ROOT_INO, "f", NULL), 0);
	ck_assert_int_eq(set(f, (struct stat){.st_mode = 0640}, CORE_SET_MODE, &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	ck_assert_uint_eq(st.st_nlink, 0);
	ck_assert_int_eq(set(f, (struct stat){.st_size = 4}, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(st.st_size, 4);
	/* With an attribute it is a record again, and one that goes with the last who holds it. */
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "user.a", "x", 1, 0), 0);
	char text[8];
	ck_assert_int_eq(core_read(s.core, open, text, sizeof text, 0), 4);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "user.a"), 0);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "user.a"), -ENODATA);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "user.b", "y", 1, 0), 0);
	ck_assert_int_eq(core_file_release(s.core, open), 0);
	core_settle(s.core);
	ck_assert_int_eq(core_getattr(s.core, f, &st, NULL), -ENOENT);
}
END_TEST

START_TEST(a_failing_commit_changes_nothing)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "hello");
	struct stat before, st;
	store_stat(&s, f, &before);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	ck_assert_int_eq(set(f, (struct stat){.st_mode = 07777, .st_size = 2, .st_uid = 3},
				 CORE_SET_MODE | CORE_SET_SIZE | CORE_SET_UID, &st), -ENOSPC);
	expect_stat(f, &before);
	store_expect(&s, f, "hello");
	ck_assert_int_eq(set(f, (struct stat){.st_size = 2}, CORE_SET_SIZE, &st), 0);
	store_expect(&s, f, "he");
}
END_TEST

START_TEST(read_only)
{
	uint64_t f = store_file(&s, CORE_ROOT_INO, "f", "hello");
	struct stat before, st;
	store_stat(&s, f, &before);
	s.options.read_only = true;
	store_reopen(&s);
	ck_assert_int_eq(set(f, (struct stat){.st_mode = 0}, CORE_SET_MODE, &st), -EROFS);
	ck_assert_int_eq(set(f, (struct stat){.st_size = 0}, CORE_SET_SIZE, &st), -EROFS);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "user.a", "x", 1, 0), -EROFS);
	expect_stat(f, &before);
	store_expect(&s, f, "hello");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("attr");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_there);
	tcase_add_test(t, mode_is_kept);
	tcase_add_test(t, nothing_to_set);
	tcase_add_test(t, chown_clears);
	tcase_add_test(t, chown_of_directories_clears_nothing);
	tcase_add_test(t, truncation_clears_when_asked);
	tcase_add_test(t, explicit_times);
	tcase_add_test(t, times_now);
	tcase_add_test(t, sizes);
	tcase_add_test(t, sizes_refused);
	tcase_add_test(t, a_writer_makes_it_fleeting);
	tcase_add_test(t, an_unlinked_file);
	tcase_add_test(t, a_failing_commit_changes_nothing);
	tcase_add_test(t, read_only);
	return run_case("attr", t);
}
