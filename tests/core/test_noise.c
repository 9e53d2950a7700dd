/*
 * test_noise.c: files that do not compress: from their second chunk on they lie in small ones.
 */
#include "fs/core/core_internal.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>

#define ROOT CORE_ROOT_INO
#define CHUNK (1u << CHUNK_SHIFT)

static struct store s;

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
}

static void teardown(void)
{
	store_close(&s);
}

/* Writes @size bytes of noise, and keeps them in @image. */
static void put_noise(struct file *f, uint8_t *image, size_t size, off_t at)
{
	kv_random(image + at, size);
	store_put(&s, f, image + at, size, at);
}

/* Beyond its first chunk it lies in small ones, whether the first was stored before, buffered, or neither. */
START_TEST(noise_lies_in_small_chunks)
{
	static uint8_t image[5 * CHUNK];
	struct file *f = store_new_file(&s, "f", O_RDWR);
	uint64_t ino = file_ino(f);
	size_t size = _i < 2 ? 4 * CHUNK - 100 : 3 * CHUNK;
	struct stat st;

	if (_i < 2)
		put_noise(f, image, CHUNK - 100, 0);
	if (_i < 1)
		ck_assert_int_eq(core_file_flush(s.core, f), 0);
	put_noise(f, image, 3 * CHUNK, _i < 2 ? CHUNK - 100 : 0);
	store_expect_at(&s, f, image, size, 0);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_blocks, (blkcnt_t)((size + 511) / 512));
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_uint_eq(file_inode(f)->rec.map.chunk_shift, CHUNK_SHIFT_NOISE);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), (_i < 2 ? 4 : 3) * CHUNK >> CHUNK_SHIFT_NOISE);
	put_noise(f, image, 10, CHUNK + 10);
	store_expect_at(&s, f, image, size, 0);
	store_done(&s, f);
	store_reopen(&s);
	f = store_open_file(&s, ino, O_RDWR);
	store_expect_at(&s, f, image, size, 0);
	store_done(&s, f);
	tree_check(&s);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
}
END_TEST

START_TEST(what_compresses_stays_in_large_chunks)
{
	static char big[3 * CHUNK];
	struct file *f = store_new_file(&s, "f", O_RDWR);

	memset(big, 'a', sizeof big);
	store_put(&s, f, big, 3 * CHUNK, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_uint_eq(file_inode(f)->rec.map.chunk_shift, CHUNK_SHIFT);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 3);
	store_done(&s, f);
}
END_TEST

/* Cut again before it was stored, in a commit that fails first. */
START_TEST(small_chunks_are_cut_before_they_are_stored)
{
	static uint8_t image[3 * CHUNK];
	struct file *f = store_new_file(&s, "f", O_RDWR);
	struct stat st = {.st_size = CHUNK / 2 + 5};

	put_noise(f, image, CHUNK, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	put_noise(f, image, 2 * CHUNK, CHUNK);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	ck_assert_int_eq(core_setattr(s.core, &s.who, file_ino(f), &st, CORE_SET_SIZE, &st), -EIO);
	store_expect_at(&s, f, image, 3 * CHUNK, 0);
	st.st_size = CHUNK / 2 + 5;
	ck_assert_int_eq(core_setattr(s.core, &s.who, file_ino(f), &st, CORE_SET_SIZE, &st), 0);
	store_expect_at(&s, f, image, CHUNK / 2 + 5, 0);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), (CHUNK / 2 >> CHUNK_SHIFT_NOISE) + 1);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), CHUNK / 2 + 5);
	store_done(&s, f);
	tree_check(&s);
}
END_TEST

/* A snapshot has the only chunk of a file that lies in smaller ones since. */
START_TEST(a_snapshot_keeps_the_large_chunk)
{
	static uint8_t image[3u << CHUNK_SHIFT], got[sizeof image];
	enum { FIRST = 1u << CHUNK_SHIFT, CHUNKS = sizeof image >> CHUNK_SHIFT_NOISE };
	uint64_t ino = store_make(&s, ROOT, "noise", S_IFREG | 0644), past;
	struct snapshot_info snap;
	struct file *f;

	kv_random(image, sizeof image);
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDWR, &f), 0);
	ck_assert_int_eq(core_write(s.core, f, image, FIRST, 0, false), FIRST);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, ROOT, "a", 0, &snap), 0);
	ck_assert_int_eq(core_write(s.core, f, image + FIRST, sizeof image - FIRST, FIRST, false),
		(ssize_t)sizeof image - FIRST);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), CHUNKS + 1);
	ck_assert_int_eq(core_read(s.core, f, got, sizeof got, 0), (ssize_t)sizeof got);
	ck_assert_mem_eq(got, image, sizeof image);
	core_file_release(s.core, f);
	past = store_find(&s, snap.root, "noise");
	ck_assert_int_eq(core_file_open(s.core, &s.who, past, O_RDONLY, &f), 0);
	ck_assert_int_eq(core_read(s.core, f, got, sizeof got, 0), FIRST);
	ck_assert_mem_eq(got, image, FIRST);
	core_file_release(s.core, f);
	ck_assert_int_eq(snapshot_drop(s.core, snap.id), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), CHUNKS);
	tree_check(&s);
}
END_TEST

/* Chunks that end before their time: zeros follow them, whatever was where they are read to. */
START_TEST(zeros_follow_short_chunks)
{
	static uint8_t image[8 * CHUNK], got[8 * CHUNK];
	struct file *f = store_new_file(&s, "f", O_RDWR);
	const off_t size = 6 * CHUNK, small = 1 << CHUNK_SHIFT_NOISE;
	struct stat st;

	put_noise(f, image, 2 * CHUNK, 0);
	put_noise(f, image, CHUNK, 2 * CHUNK + 5);
	put_noise(f, image, 3000, 4 * CHUNK);
	put_noise(f, image, 700, 4 * CHUNK + 3 * small);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(
		core_setattr(s.core, &s.who, file_ino(f), &(struct stat){.st_size = size}, CORE_SET_SIZE, &st), 0);
	ck_assert_uint_eq(file_inode(f)->rec.map.chunk_shift, CHUNK_SHIFT_NOISE);
	for (int turn = 0; turn < 2; turn++) {
		uint64_t ino = file_ino(f);

		for (off_t at = 0; at < size; at += CHUNK / 3) {
			memset(got, 0xff, sizeof got);
			ck_assert_int_eq(core_read(s.core, f, got, sizeof got, at), size - at);
			ck_assert_int_eq(memcmp(got, image + at, (size_t)(size - at)), 0);
			ck_assert_int_eq(got[size - at], 0xff);
		}
		store_done(&s, f);
		store_reopen(&s);
		f = store_open_file(&s, ino, O_RDWR);
	}
	store_done(&s, f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("noise");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, noise_lies_in_small_chunks, 0, 3);
	tcase_add_test(tc, what_compresses_stays_in_large_chunks);
	tcase_add_test(tc, small_chunks_are_cut_before_they_are_stored);
	tcase_add_test(tc, a_snapshot_keeps_the_large_chunk);
	tcase_add_test(tc, zeros_follow_short_chunks);
	tcase_set_timeout(tc, 60);
	return run_case("noise", tc);
}
