/*
 * test_file.c: open files: what close, fsync and time commit, what is told of errors, unlinked
 * files, very long files.
 */
#include "fs/core/core_internal.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define CHUNK (1u << CHUNK_SHIFT)

static struct store s;
static char big[3u << 20];

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)('a' + i % 23 + i / CHUNK % 3);
}

static void teardown(void)
{
	store_close(&s);
}

/* ---- commits --------------------------------------------------------------------------------- */

START_TEST(close_keeps_it)
{
	struct file *f = store_new_file(&s, "f", O_RDWR), *g = store_new_file(&s, "g", O_RDWR);
	uint64_t f_ino = file_ino(f), g_ino = file_ino(g);
	struct stat st;
	store_put(&s, f, big, 100000, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	store_put(&s, g, big, 100000, 0);
	core_file_release(s.core, f);
	store_crash(&s, false);
	store_stat(&s, f_ino, &st);
	ck_assert_int_eq(st.st_size, 100000);
	store_stat(&s, g_ino, &st);
	ck_assert_int_eq(st.st_size, 0);
	f = store_open_file(&s, f_ino, O_RDONLY);
	store_expect_at(&s, f, big, 100000, 0);
	store_done(&s, f);
	free(g); /* its inode went with the core that died */
}
END_TEST

/* As the committer sees it. */
static bool uncommitted(struct file *f, unsigned *ret_failures)
{
	struct inode *inode = file_inode(f);
	bool content;
	pthread_rwlock_rdlock(&inode->lock);
	content = inode->data.content;
	pthread_rwlock_unlock(&inode->lock);
	MUTEX_GUARD(&s.core->dirty_lock);
	*ret_failures = inode->data.failures;
	return content;
}

START_TEST(time_commits)
{
	struct file *f;
	store_close(&s);
	store_new(&s, &(struct core_options){.commit_ms = 40});
	f = store_new_file(&s, "f", O_RDWR);
	uint64_t ino = file_ino(f);
	store_put(&s, f, "hello", 5, 0);
	unsigned failures;
	for (int i = 0; i < 100 && uncommitted(f, &failures); i++)
		usleep(10000);
	ck_assert(!uncommitted(f, &failures));
	core_file_release(s.core, f);
	store_crash(&s, false);
	store_expect(&s, ino, "hello");
}
END_TEST

START_TEST(deferred_errors_are_told_once)
{
	struct file *f, *g;
	store_close(&s);
	store_new(&s, &(struct core_options){.commit_ms = 20});
	f = store_new_file(&s, "f", O_RDWR);
	g = store_open_file(&s, file_ino(f), O_RDWR);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	store_put(&s, f, big, 100000, 0);
	unsigned failures = 0;
	for (int i = 0; i < 200 && uncommitted(f, &failures) && !failures; i++)
		usleep(1000);
	/* Either the error is told, or the second try was faster: nothing is lost then. */
	int r = core_file_flush(s.core, g);
	ck_assert(r == 0 || r == -EIO);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	uint64_t ino = file_ino(f);
	core_file_release(s.core, f);
	core_file_release(s.core, g);
	store_crash(&s, false);
	f = store_open_file(&s, ino, O_RDONLY);
	store_expect_at(&s, f, big, 100000, 0);
	store_done(&s, f);
}
END_TEST

START_TEST(a_kept_error_reaches_the_next_write)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	store_put(&s, f, "a", 1, 0);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	ck_assert_int_eq(core_commit_all(s.core), -ENOSPC);
	ck_assert_int_eq(core_write(s.core, f, "b", 1, 1, false), -ENOSPC);
	store_put(&s, f, "b", 1, 1);
	uint64_t ino = file_ino(f);
	store_done(&s, f);
	store_reopen(&s);
	store_expect(&s, ino, "ab");
}
END_TEST

START_TEST(a_failed_operation_has_not_happened)
{
	uint64_t ino = store_file(&s, ROOT, "f", "abcdef");
	struct file *f = store_open_file(&s, ino, O_RDWR);
	const off_t sizes[] = {2, 0, 100, 100000};
	store_put(&s, f, "AB", 2, 0); /* buffered, and stays so */
	for (int i = 0; i < 5; i++) {
		struct stat st = {.st_size = i < 4 ? sizes[i] : 0};
		int r;
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
		if (i < 4)
			r = core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st);
		else
			r = core_fallocate(s.core, f, FALLOC_FL_ZERO_RANGE, 1, 9);
		ck_assert_int_eq(r, -EIO);
		store_expect(&s, ino, "ABcdef");
		store_chmod(&s, ino, 0600); /* takes the buffered bytes along */
		store_done(&s, f);
		store_reopen(&s);
		store_expect(&s, ino, "ABcdef");
		f = store_open_file(&s, ino, O_RDWR);
	}
	store_done(&s, f);
}
END_TEST

/* What is buffered stays bounded, and so it does while nothing can be committed. */
START_TEST(buffers_are_bounded)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	ssize_t n = 0;
	for (off_t at = 0; at < 16 << 20; at += 1 << 18) {
		store_put(&s, f, big, 1 << 18, at);
		ck_assert_uint_lt(s.core->dirty_bytes, 1 << 20);
	}
	for (off_t at = 0; at < 16 << 20; at += 1 << 18) {
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
		n = core_write(s.core, f, big, 1 << 18, at, false);
		ck_assert(n == 1 << 18 || n == -EIO);
		ck_assert_uint_le(s.core->dirty_bytes, 3 << 19);
	}
	ck_assert_int_eq(n, -EIO);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 0, 0);
	store_done(&s, f);
	ck_assert_uint_eq(s.core->dirty_bytes, 0);
}
END_TEST

/* ---- rules ----------------------------------------------------------------------------------- */

START_TEST(open_rules)
{
	struct file *f;
	uint64_t dir = store_make(&s, ROOT, "d", S_IFDIR | 0755);
	uint64_t ino = store_file(&s, ROOT, "f", "hello");
	struct stat st;
	ck_assert_int_eq(core_file_open(s.core, &s.who, dir, O_RDWR, &f), -EISDIR);
	ck_assert_int_eq(core_file_open(s.core, &s.who, 1 << 20, O_RDWR, &f), -ENOENT);
	f = store_open_file(&s, ino, O_RDONLY);
	ck_assert_int_eq(core_write(s.core, f, "x", 1, 0, false), -EBADF);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, 0, 1), -EBADF);
	store_done(&s, f);
	f = store_open_file(&s, ino, O_WRONLY | O_TRUNC);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_size, 0);
	store_put(&s, f, "new", 3, 0);
	store_done(&s, f);
	store_expect(&s, ino, "new");
	f = store_open_file(&s, ino, O_RDWR);
	ck_assert_int_eq(core_write(s.core, f, "xy", 2, CORE_FILE_MAX - 1, 0), 1);
	ck_assert_int_eq(core_write(s.core, f, "xy", 2, CORE_FILE_MAX, 0), -EFBIG);
	ck_assert_int_eq(core_write(s.core, f, "xy", 2, INT64_MAX - 1, false), -EFBIG);
	store_put(&s, f, "x", 1, CORE_FILE_MAX - 1);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_size, (off_t)CORE_FILE_MAX);
	st.st_size = CORE_FILE_MAX + 1;
	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st), -EFBIG);
	store_done(&s, f);
}
END_TEST

START_TEST(appends_go_to_the_end)
{
	struct file *f = store_new_file(&s, "f", O_WRONLY | O_APPEND);
	struct file *g = store_open_file(&s, file_ino(f), O_WRONLY | O_APPEND);
	store_put(&s, f, "one ", 4, 0);
	store_put(&s, g, "two ", 4, 0);
	store_put(&s, f, "three", 5, 1000);
	store_expect(&s, file_ino(f), "one two three");
	store_done(&s, f);
	store_done(&s, g);
}
END_TEST

START_TEST(writes_mark_times_and_bits)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	uint64_t ino = file_ino(f);
	struct stat before, after, set = {.st_mtim = {1000, 1}, .st_mode = 06775};
	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &set, CORE_SET_MTIME | CORE_SET_MODE,
				 &before), 0);
	ck_assert_int_eq(before.st_mtim.tv_sec, 1000);
	ck_assert_uint_eq(before.st_mode & 07777, 06775);
	store_put(&s, f, "x", 1, 0);
	store_stat(&s, ino, &after);
	ck_assert_int_gt(after.st_mtim.tv_sec, 1000);
	ck_assert_uint_eq(after.st_mode & 07777, 06775);
	ck_assert(file_inode(f)->untaken);
	ck_assert_int_eq(core_write(s.core, f, "x", 1, 0, CORE_SET_KILL_PRIV), 1);
	store_stat(&s, ino, &after);
	ck_assert_uint_eq(after.st_mode & 07777, 00775);
	/* relatime: the first read after a write moves it, the next does not. */
	char c;
	set.st_atim = (struct timespec){1000, 1};
	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &set, CORE_SET_ATIME, &before), 0);
	ck_assert_int_eq(core_read(s.core, f, &c, 1, 0), 1);
	store_stat(&s, ino, &before);
	ck_assert_int_gt(before.st_atim.tv_sec, 1000);
	ck_assert_int_eq(core_read(s.core, f, &c, 1, 0), 1);
	store_stat(&s, ino, &after);
	ck_assert_mem_eq(&before.st_atim, &after.st_atim, sizeof after.st_atim);
	store_done(&s, f);
	store_reopen(&s); /* commits it */
	store_stat(&s, ino, &before);
	ck_assert_mem_eq(&before.st_atim, &after.st_atim, sizeof after.st_atim);
}
END_TEST

START_TEST(allocation_rules)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	struct stat st;
	ck_assert_int_eq(core_fallocate(s.core, f, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(core_fallocate(s.core, f, FALLOC_FL_PUNCH_HOLE, 0, 4096), -EOPNOTSUPP);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, -1, 5), -EINVAL);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, CORE_FILE_MAX, 1), -EFBIG);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, 0, CORE_FILE_MAX), -ENOSPC);
	store_stat(&s, file_ino(f), &st);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_blocks, 0);
	ck_assert_int_eq(core_fallocate(s.core, f, FALLOC_FL_KEEP_SIZE, 0, 1 << 20), 0);
	store_stat(&s, file_ino(f), &st);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_blocks, (1 << 20) / 512);
	st.st_size = 0;
	ck_assert_int_eq(core_setattr(s.core, &s.who, file_ino(f), &st, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(core_fallocate(s.core, f, 0, 100, 1 << 20), 0);
	store_put(&s, f, "x", 1, 50000);
	ck_assert_int_eq(core_lseek(s.core, f, 0, SEEK_DATA), CHUNK);
	ck_assert_int_eq(core_lseek(s.core, f, CHUNK + 7, SEEK_DATA), CHUNK + 7);
	ck_assert_int_eq(core_lseek(s.core, f, CHUNK + 7, SEEK_HOLE), 2 * CHUNK);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_lseek(s.core, f, 0, SEEK_DATA), CHUNK);
	ck_assert_int_eq(core_lseek(s.core, f, 2 * CHUNK, SEEK_DATA), -ENXIO);
	ck_assert_int_eq(core_lseek(s.core, f, 2 * CHUNK, SEEK_HOLE), 2 * CHUNK);
	ck_assert_int_eq(core_lseek(s.core, f, 100 + (1 << 20), SEEK_HOLE), -ENXIO);
	store_done(&s, f);
}
END_TEST

START_TEST(copies_ranges)
{
	struct file *f = store_new_file(&s, "f", O_RDWR), *g = store_new_file(&s, "g", O_RDWR);
	store_put(&s, f, big, sizeof big, 0);
	ck_assert_int_eq(core_copy_range(s.core, f, 1000, g, 5, sizeof big), sizeof big - 1000);
	store_expect_at(&s, g, big + 1000, sizeof big - 1000, 5);
	ck_assert_int_eq(core_copy_range(s.core, f, 0, f, 10, 100), -EINVAL);
	ck_assert_int_eq(core_copy_range(s.core, f, 0, f, 100, 100), 100);
	store_expect_at(&s, f, big, 100, 100);
	ck_assert_int_eq(core_copy_range(s.core, f, sizeof big, g, 0, 10), 0);
	/* what was there when it began, not what it makes itself */
	const off_t end = sizeof big;
	ck_assert_int_eq(core_copy_range(s.core, f, end - 10, f, end + 50, 1000), 10);
	store_done(&s, f);
	store_done(&s, g);
}
END_TEST

/* ---- unlinked and long ----------------------------------------------------------------------- */

START_TEST(unlinked_files_live_on)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	struct stat st = {.st_size = 2 << 20};
	store_put(&s, f, "small", 5, 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	store_expect_at(&s, f, "small", 5, 0);
	store_put(&s, f, "er", 2, 5);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_INODE), 1); /* nothing of it is stored */
	store_put(&s, f, big, 2 << 20, 7); /* too much for memory: an orphan */
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_uint_gt(tree_records(&s, KEY_CHUNK), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_INODE), 2);
	store_expect_at(&s, f, "smaller", 7, 0);
	store_expect_at(&s, f, big, 2 << 20, 7);
	ck_assert_int_eq(core_setattr(s.core, &s.who, file_ino(f), &st, CORE_SET_SIZE, &st), 0);
	store_put(&s, f, "x", 1, 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	core_settle(s.core);
	tree_check(&s);
}
END_TEST

static void check_tail(uint64_t ino, off_t size, size_t chunks)
{
	struct stat st;
	core_settle(s.core);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_size, size);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), chunks);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), (int64_t)chunks);
}

/* A long file is cut in one short transaction; the worker does the rest, also after a crash. */
START_TEST(a_long_file_is_cut)
{
	enum { CHUNKS = 3000 };
	struct file *f = store_new_file(&s, "f", O_RDWR);
	uint64_t ino = file_ino(f);
	struct stat st;
	for (off_t i = 0; i < CHUNKS; i++)
		store_put(&s, f, "x", 1, i * CHUNK);
	store_done(&s, f);
	check_tail(ino, (CHUNKS - 1) * (off_t)CHUNK + 1, CHUNKS);
	for (int i = 0; i < 2; i++) {
		st.st_size = (2500 - i * 2000) * (off_t)CHUNK - 7;
		ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st), 0);
		if (i == 0)
			store_crash(&s, false);
		f = store_open_file(&s, ino, O_RDWR);
		store_put(&s, f, "y", 1, 2600 * (off_t)CHUNK);
		ck_assert_int_eq(core_file_flush(s.core, f), 0);
		char c = 1;
		ck_assert_int_eq(core_read(s.core, f, &c, 1, 2600 * (off_t)CHUNK - 1), 1);
		ck_assert_int_eq(c, 0);
		store_done(&s, f);
		check_tail(ino, 2600 * (off_t)CHUNK + 1, 2500 - (size_t)i * 2000 + 1);
	}
	f = store_open_file(&s, ino, O_RDWR);
	store_expect_at(&s, f, "y", 1, 2600 * (off_t)CHUNK);
	for (off_t i = 0; i < 500; i++)
		store_expect_at(&s, f, "x", 1, i * CHUNK);
	store_done(&s, f);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	core_settle(s.core);
	tree_check(&s);
}
END_TEST

START_TEST(a_long_range_is_punched)
{
	enum { CHUNKS = 3000 };
	struct file *f = store_new_file(&s, "f", O_RDWR);
	for (off_t i = 0; i < CHUNKS; i++)
		store_put(&s, f, "x", 1, i * CHUNK);
	ck_assert_int_eq(core_fallocate(s.core, f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5,
				 2990 * (off_t)CHUNK - 5), 0);
	check_tail(file_ino(f), (CHUNKS - 1) * (off_t)CHUNK + 1, 11);
	store_expect_at(&s, f, "x", 1, 0);
	store_expect_at(&s, f, "\0", 1, CHUNK);
	store_expect_at(&s, f, "x", 1, 2990 * (off_t)CHUNK);
	store_done(&s, f);
}
END_TEST

START_TEST(unused_inodes_are_bounded_in_bytes)
{
	enum { FILES = 3000, BYTES = 4000 };
	char name[16];
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "f%d", i);
		struct file *f = store_new_file(&s, name, O_RDWR);
		uint64_t ino = file_ino(f);
		store_put(&s, f, big, BYTES, 0);
		store_done(&s, f);
		core_forget(s.core, ino, 1);
	}
	ck_assert_uint_gt(s.core->inode_unused, 1000);
	ck_assert_uint_lt(s.core->inode_unused * BYTES, 8u << 20);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("file");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, close_keeps_it);
	tcase_add_test(tc, time_commits);
	tcase_add_test(tc, deferred_errors_are_told_once);
	tcase_add_test(tc, a_kept_error_reaches_the_next_write);
	tcase_add_test(tc, a_failed_operation_has_not_happened);
	tcase_add_test(tc, buffers_are_bounded);
	tcase_add_test(tc, open_rules);
	tcase_add_test(tc, appends_go_to_the_end);
	tcase_add_test(tc, writes_mark_times_and_bits);
	tcase_add_test(tc, allocation_rules);
	tcase_add_test(tc, copies_ranges);
	tcase_add_test(tc, unlinked_files_live_on);
	tcase_add_test(tc, a_long_file_is_cut);
	tcase_add_test(tc, a_long_range_is_punched);
	tcase_add_test(tc, unused_inodes_are_bounded_in_bytes);
	return run_case("file", tc);
}
