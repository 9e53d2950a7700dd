/*
 * test_tail.c: what is appended to a file in chunks lies in its inode's record: that it does, and that whatever
 * comes after an append finds it.
 */
#include "fs/core/chunk.h"
#include "kv/keyring.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>

#define ROOT CORE_ROOT_INO
#define CHUNK (1u << CHUNK_SHIFT)
#define FIRST 10000 /* bytes that are in a chunk before the appends */

static struct store s;
static struct file *f;
static uint64_t ino;
static uint8_t image[4 * CHUNK];
static size_t size;

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	for (size_t i = 0; i < sizeof image; i++)
		image[i] = (uint8_t)(1 + i % 251);
	f = store_new_file(&s, "f", O_RDWR);
	ino = file_ino(f);
	store_put(&s, f, image, FIRST, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	size = FIRST;
}

static void teardown(void)
{
	store_done(&s, f);
	tree_check(&s);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
	store_close(&s);
}

static uint64_t version(void)
{
	return file_inode(f)->rec.map.root.version;
}

static size_t tail(void)
{
	return file_inode(f)->inline_data.len;
}

static void append(size_t len)
{
	store_put(&s, f, image + size, len, (off_t)size);
	size += len;
}

static void commit(void)
{
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES),
		(int64_t)(file_inode(f)->rec.map.stored + file_inode(f)->inline_data.len));
}

static void again(void)
{
	store_done(&s, f);
	store_reopen(&s);
	f = store_open_file(&s, ino, O_RDWR);
}

/* Whole, in pieces that begin and end everywhere around where the tail begins, and as stat tells it. */
static void expect_image(void)
{
	struct stat st;
	uint8_t got[8];

	store_expect_at(&s, f, image, size, 0);
	for (size_t at = FIRST - 20; at < size; at += 7)
		store_expect_at(&s, f, image + at, size - at < 64 ? size - at : 64, (off_t)at);
	ck_assert_int_eq(core_read(s.core, f, got, sizeof got, (off_t)size), 0);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_size, (off_t)size);
}

START_TEST(an_append_leaves_the_chunk)
{
	uint64_t was = version();
	struct stat st;

	for (int i = 0; i < 4; i++) {
		append(1000);
		expect_image();
		store_stat(&s, ino, &st);
		ck_assert_int_eq(st.st_blocks, (blkcnt_t)((size + 511) / 512));
		commit();
		ck_assert_uint_eq(version(), was);
		ck_assert_uint_eq(tail(), size - FIRST);
		expect_image();
	}
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_blocks, (blkcnt_t)((size + 511) / 512));
	again();
	ck_assert_uint_eq(tail(), 4000);
	expect_image();
	/* Too long for the record; the next tail begins behind the new chunk. */
	append(97);
	commit();
	ck_assert_uint_ne(version(), was);
	ck_assert_uint_eq(tail(), 0);
	expect_image();
	was = version();
	append(1);
	commit();
	ck_assert_uint_eq(version(), was);
	ck_assert_uint_eq(tail(), 1);
	again();
	expect_image();
}
END_TEST

START_TEST(the_end_of_a_chunk)
{
	for (int i = 0; size < 3 * CHUNK; i++) {
		append(i % 3 ? 1013 : 3000);
		if (i % 4)
			commit();
		ck_assert_uint_le(tail(), INODE_TAIL_MAX);
	}
	commit();
	expect_image();
	again();
	expect_image();
}
END_TEST

/* Exactly to the end of the chunk: what follows begins another one. */
START_TEST(a_full_chunk)
{
	append(CHUNK - FIRST - 100);
	commit();
	append(100);
	commit();
	ck_assert_uint_eq(tail(), 100);
	append(50);
	expect_image();
	commit();
	ck_assert_uint_eq(tail(), 0);
	again();
	expect_image();
}
END_TEST

static int cut_to(size_t to)
{
	struct stat st = {.st_size = (off_t)to};

	return core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st);
}

static void set_size(size_t to)
{
	ck_assert_int_eq(cut_to(to), 0);
	if (to > size)
		memset(image + size, 0, to - size);
	size = to;
}

/* Each with a tail that is stored, and one that is buffered. */
START_TEST(changes_of_length)
{
	static const size_t to[] = {FIRST + 900, FIRST, FIRST - 1, FIRST + 5000, CHUNK, 2 * CHUNK + 5, 100, 0};

	append(1000);
	if (_i % 2)
		commit();
	set_size(to[_i / 2]);
	expect_image();
	ck_assert_uint_eq(tail(), 0);
	again();
	expect_image();
	append(200);
	expect_image();
	commit();
	again();
	expect_image();
}
END_TEST

START_TEST(writes_into_it)
{
	static const size_t at[] = {FIRST + 999, FIRST, FIRST - 5, 0, FIRST + 995, FIRST + 1500, CHUNK + 3, 3 * CHUNK};
	size_t from = at[_i / 2], end = from + 10;

	append(1000);
	if (_i % 2)
		commit();
	if (from > size)
		memset(image + size, 0, from - size);
	memset(image + from, 'x', 10);
	store_put(&s, f, image + from, 10, (off_t)from);
	size = end > size ? end : size;
	expect_image();
	append(300);
	expect_image();
	commit();
	again();
	expect_image();
}
END_TEST

START_TEST(holes_in_it)
{
	static const int modes[] = {FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE, 0};

	append(1000);
	if (_i % 2)
		commit();
	ck_assert_int_eq(core_fallocate(s.core, f, modes[_i / 2], FIRST + 100, 500), 0);
	if (modes[_i / 2])
		memset(image + FIRST + 100, 0, 500);
	expect_image();
	ck_assert_int_eq(core_lseek(s.core, f, 0, SEEK_HOLE), (off_t)size);
	again();
	expect_image();
}
END_TEST

/* Only attributes change: it stays. */
START_TEST(it_outlives_changes_of_attributes)
{
	append(500);
	commit();
	store_chmod(&s, ino, 0600);
	ck_assert_uint_eq(tail(), 500);
	append(500);
	store_chmod(&s, ino, 0640);
	ck_assert_uint_eq(tail(), 1000);
	again();
	ck_assert_uint_eq(tail(), 1000);
	expect_image();
}
END_TEST

START_TEST(failing_commits)
{
	uint64_t was = version();

	append(500);
	commit();
	append(500);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	ck_assert_int_eq(core_file_flush(s.core, f), -EIO);
	ck_assert_uint_eq(tail(), 500);
	expect_image();
	append(500);
	expect_image();
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	ck_assert_int_eq(cut_to(5), -EIO);
	expect_image();
	commit();
	ck_assert_uint_eq(version(), was);
	ck_assert_uint_eq(tail(), 1500);
	/* A stored tail, and an operation that would have put it into its chunk. */
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	ck_assert_int_eq(cut_to(5), -EIO);
	expect_image();
	ck_assert_uint_eq(tail(), 1500);
	again();
	expect_image();
}
END_TEST

START_TEST(snapshots_have_their_own)
{
	struct snapshot_info a, b;
	uint64_t past;
	struct file *g;

	append(700);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, ROOT, "a", 0, &a), 0);
	append(800);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, ROOT, "b", 0, &b), 0);
	memset(image + size, 'z', 5000);
	append(5000);
	store_done(&s, f);
	store_reopen(&s);
	for (int i = 0; i < 2; i++) {
		past = store_find(&s, i ? b.root : a.root, "f");
		g = store_open_file(&s, past, O_RDONLY);
		store_expect_at(&s, g, image, FIRST + (i ? 1500 : 700), 0);
		ck_assert_int_eq(core_read(s.core, g, &(char){0}, 1, FIRST + (i ? 1500 : 700)), 0);
		core_file_release(s.core, g);
	}
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 2);
	ck_assert_int_eq(snapshot_drop(s.core, a.id), 0);
	core_settle(s.core);
	g = store_open_file(&s, store_find(&s, b.root, "f"), O_RDONLY);
	store_expect_at(&s, g, image, FIRST + 1500, 0);
	core_file_release(s.core, g);
	ck_assert_int_eq(snapshot_drop(s.core, b.id), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 1);
	f = store_open_file(&s, ino, O_RDWR);
	expect_image();
}
END_TEST

/* The chunk is damaged: appends do not need it, and what does says so and loses nothing. */
START_TEST(a_damaged_chunk)
{
	struct key key = map_chunk_key(file_inode(f), 0, version());
	_cleanup_buf_ struct buf good = {0};
	uint8_t got[100];

	ck_assert_int_eq(kv_memory_peek(s.memory, KV_DATA, key.bytes, key.len, &good), 0);
	again();
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_DATA, key.bytes, key.len, NULL, 0), 0);
	append(4000);
	commit();
	store_expect_at(&s, f, image + FIRST, 4000, FIRST);
	ck_assert_int_eq(core_read(s.core, f, got, sizeof got, FIRST - 1), -EBADMSG);
	ck_assert_int_eq(core_write(s.core, f, image, 97, (off_t)size, false), -EBADMSG);
	ck_assert_int_eq(core_write(s.core, f, image, 1, 0, false), -EBADMSG);
	ck_assert_int_eq(cut_to(5), -EBADMSG);
	store_expect_at(&s, f, image + FIRST, 4000, FIRST);
	ck_assert_int_eq(cut_to(FIRST + 10), -EBADMSG);
	append(50);
	ck_assert_int_eq(core_write(s.core, f, image, 97, (off_t)size, false), -EBADMSG);
	commit();
	again();
	store_expect_at(&s, f, image + FIRST, 4050, FIRST);
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_DATA, key.bytes, key.len, good.data, good.len), 0);
	expect_image();
}
END_TEST

/* Who cuts the file before the damage needs nothing of it: with a tail that is stored, and one that is buffered. */
START_TEST(a_damaged_chunk_that_goes)
{
	struct key key = map_chunk_key(file_inode(f), 0, version());

	again();
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_DATA, key.bytes, key.len, "bad", 3), 0);
	append(1000);
	if (_i)
		commit();
	ck_assert_int_eq(cut_to(0), 0);
	size = 0;
	append(100);
	commit();
	store_expect_at(&s, f, image, 100, 0);
	again();
	store_expect_at(&s, f, image, 100, 0);
}
END_TEST

START_TEST(unlinked_and_open)
{
	append(500);
	commit();
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	expect_image();
	append(500);
	commit();
	expect_image();
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	core_settle(s.core);
	tree_check(&s);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
	f = store_new_file(&s, "f", O_RDWR);
}
END_TEST

/* Noise lies in small chunks from its second one on, and the file has a tail all the same. */
START_TEST(noise)
{
	kv_random(image, sizeof image);
	store_put(&s, f, image, FIRST, 0);
	commit();
	append(2000);
	commit();
	ck_assert_uint_eq(tail(), 2000);
	append(CHUNK);
	ck_assert_uint_eq(file_inode(f)->rec.map.chunk_shift, CHUNK_SHIFT_NOISE);
	expect_image();
	commit();
	append(100);
	commit();
	ck_assert_uint_eq(tail(), 100);
	expect_image();
	again();
	expect_image();
}
END_TEST

START_TEST(the_store_says_that_it_has_them)
{
	struct keyring_info info;

	ck_assert_int_eq(keyring_read_info(s.path, &info), 0);
	ck_assert_uint_eq(info.incompat & KEYRING_INCOMPAT_TAILS, KEYRING_INCOMPAT_TAILS);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tail");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_append_leaves_the_chunk);
	tcase_add_test(tc, the_end_of_a_chunk);
	tcase_add_test(tc, a_full_chunk);
	tcase_add_loop_test(tc, changes_of_length, 0, 16);
	tcase_add_loop_test(tc, writes_into_it, 0, 16);
	tcase_add_loop_test(tc, holes_in_it, 0, 6);
	tcase_add_test(tc, it_outlives_changes_of_attributes);
	tcase_add_test(tc, failing_commits);
	tcase_add_test(tc, snapshots_have_their_own);
	tcase_add_test(tc, a_damaged_chunk);
	tcase_add_loop_test(tc, a_damaged_chunk_that_goes, 0, 2);
	tcase_add_test(tc, unlinked_and_open);
	tcase_add_test(tc, noise);
	tcase_add_test(tc, the_store_says_that_it_has_them);
	tcase_set_timeout(tc, 60);
	return run_case("tail", tc);
}
