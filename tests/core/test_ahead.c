/*
 * test_ahead.c: reading ahead: what comes of it is what stands there now, however the file changes meanwhile.
 */
#include "fs/core/ahead.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <unistd.h>

#define ROOT CORE_ROOT_INO
#define PIECE ((size_t)128 << 10)
#define SIZE ((size_t)3 << 20)
#define BEGUN (8 * PIECE) /* so much is read for the rest to be read ahead */
#define LATER (BEGUN + PIECE) /* in a window that is */

static struct store s;
static struct file *writer;
static uint64_t ino;
static uint8_t image[SIZE + PIECE], got[PIECE];

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	ino = store_make(&s, ROOT, "f", S_IFREG | 0644);
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDWR, &writer), 0);
}

static void teardown(void)
{
	ck_assert_int_eq(core_file_release(s.core, writer), 0);
	store_close(&s);
}

static void write_at(size_t at, size_t size, bool noise)
{
	if (noise)
		kv_random(image + at, size);
	else
		memset(image + at, 'a' + (int)(at / 1000 % 20), size);
	ck_assert_int_eq(core_write(s.core, writer, image + at, size, (off_t)at, 0), (ssize_t)size);
}

static void fill(bool noise)
{
	for (size_t at = 0; at < SIZE; at += PIECE)
		write_at(at, PIECE, noise);
	ck_assert_int_eq(core_file_flush(s.core, writer), 0);
}

static struct file *reader(void)
{
	struct file *f;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDONLY, &f), 0);
	return f;
}

static void read_on(struct file *f, size_t from, size_t end)
{
	for (size_t at = from; at < end; at += PIECE) {
		ssize_t n = core_read(s.core, f, got, PIECE, (off_t)at);

		ck_assert_int_eq(n, (ssize_t)(end - at < PIECE ? end - at : PIECE));
		ck_assert_mem_eq(got, image + at, (size_t)n);
	}
}

static size_t taken(struct file *f, size_t at)
{
	size_t n;

	pthread_rwlock_rdlock(&file_inode(f)->lock);
	n = ahead_take(f, got, PIECE, at);
	pthread_rwlock_unlock(&file_inode(f)->lock);
	return n;
}

/* A reader whose next window has been read. */
static struct file *begin(void)
{
	struct file *f = reader();

	read_on(f, 0, BEGUN);
	/* Streams of files that were closed may still be in use. */
	while (!atomic_load(&f->ahead)) {
		ck_assert_int_eq(core_file_release(s.core, f), 0);
		usleep(1000);
		f = reader();
		read_on(f, 0, BEGUN);
	}
	while (taken(f, LATER) == 0)
		usleep(1000);
	return f;
}

START_TEST(from_the_front_to_the_end)
{
	struct file *f;

	fill(_i);
	write_at(SIZE, 100, true);
	ck_assert_int_eq(core_file_flush(s.core, writer), 0);
	f = begin();
	read_on(f, BEGUN, SIZE + 100);
	ck_assert_int_eq(core_read(s.core, f, got, PIECE, SIZE + 100), 0);
	read_on(f, 0, SIZE + 100);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}
END_TEST

START_TEST(sees_what_was_written_since)
{
	struct file *f;

	fill(true);
	f = begin();
	write_at(LATER + 10, 1000, true);
	ck_assert_uint_eq(taken(f, LATER), 0);
	read_on(f, LATER, LATER + PIECE);
	ck_assert_int_eq(core_file_flush(s.core, writer), 0);
	ck_assert_uint_eq(taken(f, LATER), 0);
	read_on(f, LATER, SIZE);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}
END_TEST

/* Shorter, and as long again: zeros, and no longer what was there. */
START_TEST(sees_that_it_was_cut)
{
	struct stat st = {.st_size = LATER + 5};
	struct file *f;

	fill(true);
	f = begin();
	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(core_read(s.core, f, got, PIECE, LATER), 5);
	st.st_size = SIZE;
	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st), 0);
	memset(image + LATER + 5, 0, SIZE - LATER - 5);
	read_on(f, LATER, SIZE);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}
END_TEST

START_TEST(more_readers_than_streams)
{
	struct file *files[AHEAD_STREAMS + 4];
	size_t n = sizeof files / sizeof *files;

	fill(false);
	for (size_t i = 0; i < n; i++)
		files[i] = reader();
	for (size_t at = 0; at < SIZE; at += PIECE)
		for (size_t i = 0; i < n; i++)
			read_on(files[i], at, at + PIECE);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(core_file_release(s.core, files[i]), 0);
	ck_assert_int_eq(core_file_release(s.core, begin()), 0); /* they gave their places back */
}
END_TEST

static void *read_all(void *arg)
{
	struct file *f = arg;

	for (size_t at = 0; at < SIZE; at += PIECE) {
		static _Thread_local uint8_t bytes[PIECE];

		ck_assert_int_eq(core_read(s.core, f, bytes, PIECE, (off_t)at), PIECE);
		ck_assert_mem_eq(bytes, image + at, PIECE);
	}
	return NULL;
}

START_TEST(several_threads_of_one_file)
{
	struct file *f;
	pthread_t threads[4];

	fill(true);
	f = reader();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, read_all, f), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ahead");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, from_the_front_to_the_end, 0, 2);
	tcase_add_test(tc, sees_what_was_written_since);
	tcase_add_test(tc, sees_that_it_was_cut);
	tcase_add_test(tc, more_readers_than_streams);
	tcase_add_test(tc, several_threads_of_one_file);
	tcase_set_timeout(tc, 120);
	return run_case("ahead", tc);
}
