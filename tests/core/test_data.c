/*
 * test_data.c: one file against a plain image of it in memory: random writes, truncations, punched,
 * zeroed and allocated ranges, commits, failing commits and reopens, near 0, far out and at the end
 * of what a file may be.
 */
#include "fs/core/chunk.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define CHUNK (1u << CHUNK_SHIFT)
#define WINDOW (1u << 20)
#define WINDOWS 3
#define SEEDS 24
#define STEPS 150

static const uint64_t base[WINDOWS] = {0, 5ull << 33, CORE_FILE_MAX - WINDOW};

static struct store s;
static struct file *file;
static uint64_t ino;
static unsigned seed;
static uint8_t image[WINDOWS][WINDOW];
static uint64_t size;

static uint64_t roll(uint64_t n)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % n;
}

static void open_file(void)
{
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDWR, &file), 0);
}

static void close_file(void)
{
	ck_assert_int_eq(core_file_flush(s.core, file), 0);
	ck_assert_int_eq(core_file_release(s.core, file), 0);
}

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	ino = store_make(&s, ROOT, "f", S_IFREG | 0644);
	open_file();
	memset(image, 0, sizeof image);
	size = 0;
}

static void teardown(void)
{
	close_file();
	store_close(&s);
}

/* What the file holds in [from, end) becomes @bytes, or zeros. */
static void image_set(uint64_t from, uint64_t end, const uint8_t *bytes)
{
	for (unsigned w = 0; w < WINDOWS; w++) {
		uint64_t a = from > base[w] ? from : base[w];
		uint64_t b = end < base[w] + WINDOW ? end : base[w] + WINDOW;
		if (a < b && bytes)
			memcpy(image[w] + (a - base[w]), bytes + (a - from), b - a);
		else if (a < b)
			memset(image[w] + (a - base[w]), 0, b - a);
	}
}

static void check_size(void)
{
	struct stat st;

	store_stat(&s, ino, &st);
	ck_assert_uint_eq((uint64_t)st.st_size, size);
}

static void check_content(void)
{
	static uint8_t got[WINDOW];

	check_size();
	for (unsigned w = 0; w < WINDOWS; w++) {
		uint64_t most = size > base[w] ? size - base[w] : 0;
		ssize_t n = core_read(s.core, file, got, WINDOW, (off_t)base[w]);
		ck_assert_int_eq(n, most < WINDOW ? (ssize_t)most : WINDOW);
		ck_assert_mem_eq(got, image[w], (size_t)n);
	}
}

/* Committed: what is allocated is what the map says, and each chunk is one record. */
static void check_records(void)
{
	const struct inode *inode = file_inode(file);
	const struct map_root *map = &inode->rec.map;
	uint64_t stored = 0, index = 0, end;
	size_t chunks = 0;
	struct map_entry entry;
	struct stat st;

	core_settle(s.core);
	for (; index < UINT64_MAX; index = end) {
		ck_assert_int_eq(map_find(inode, map, index, &entry, &end), 0);
		chunks += entry.type == MAP_RECORD;
		stored += entry.type == MAP_RECORD      ? entry.length
			  : entry.type == MAP_UNWRITTEN ? (end - index) << map->chunk_shift
							: 0;
	}
	ck_assert_uint_eq(map->stored, stored);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), chunks);
	if (!chunks && stored == 0)
		ck_assert_uint_eq(tree_records(&s, KEY_MAP), 0);
	if (inode->rec.body != INODE_MAPPED) {
		ck_assert_uint_eq(stored, 0);
		stored = inode->rec.body == INODE_INLINE ? inode->rec.size : 0;
	} else {
		stored += inode->inline_data.len;
	}
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), (int64_t)stored);
	store_stat(&s, ino, &st);
	ck_assert_int_eq(st.st_blocks, (blkcnt_t)((stored + 511) / 512));
}

/* ---- random steps ---------------------------------------------------------------------------- */

static uint64_t some_offset(void)
{
	static const unsigned reach[] = {200, 5000, 100000, WINDOW - 70000};
	uint64_t at = roll(reach[roll(4)]);

	if (roll(4) == 0)
		at = at / CHUNK * CHUNK;
	return base[roll(3) ? 0 : roll(WINDOWS)] + at;
}

static size_t some_length(void)
{
	static const unsigned reach[] = {100, 5000, 70000};

	return roll(8) ? 1 + roll(reach[roll(3)]) : CHUNK;
}

static void step_write(void)
{
	static uint8_t bytes[70001];
	uint64_t at = some_offset();
	size_t len = some_length();

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(1 + roll(255));
	ck_assert_int_eq(core_write(s.core, file, bytes, len, (off_t)at, false), (ssize_t)len);
	image_set(at, at + len, bytes);
	size = at + len > size ? at + len : size;
}

static void step_append(void)
{
	static uint8_t bytes[1500];
	size_t len = 1 + roll(sizeof bytes);

	if (size > CORE_FILE_MAX - len)
		return;
	memset(bytes, 1 + (int)roll(255), len);
	ck_assert_int_eq(core_write(s.core, file, bytes, len, (off_t)size, false), (ssize_t)len);
	image_set(size, size + len, bytes);
	size += len;
}

static void step_truncate(void)
{
	struct stat st = {.st_size = roll(4) ? (off_t)some_offset() : (off_t)roll(2)};

	ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st), 0);
	size = (uint64_t)st.st_size;
	image_set(size, CORE_FILE_MAX, NULL);
}

static void step_fallocate(void)
{
	static const int modes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
	int mode = modes[roll(5)];
	uint64_t at = some_offset(), end = at + some_length();

	if (mode & FALLOC_FL_PUNCH_HOLE && roll(3) == 0)
		end = at < base[1] ? base[roll(WINDOWS)] + WINDOW - roll(70000) : end;
	ck_assert_int_eq(
		core_fallocate(s.core, file, mode, (off_t)at, (off_t)(end - at)), 0);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		image_set(at, end, NULL);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size)
		size = end;
}

/* A commit that fails is told once; what was buffered stays, and the next one stores it. */
static void step_fail(void)
{
	bool dirty;
	int r;

	if (roll(2))
		step_write();
	else
		step_append();
	dirty = file_inode(file)->data.content; /* not when the write itself had to commit */
	if (!dirty)
		return;
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	r = core_file_flush(s.core, file);
	ck_assert_int_eq(r, -EIO);
	ck_assert(file_inode(file)->data.content);
	check_content();
}

/* An operation that fails has not happened, whatever of it was already prepared. */
static void step_fail_op(void)
{
	struct stat st = {.st_size = (off_t)some_offset()};
	uint64_t at = some_offset(), len = some_length();
	int mode = roll(2) ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE, r;

	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -EIO);
	if (roll(2))
		r = core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st);
	else
		r = core_fallocate(s.core, file, mode, (off_t)at, (off_t)len);
	ck_assert_int_eq(r, -EIO);
	check_content();
}

static void step(void)
{
	switch (roll(18)) {
	case 0:
		step_truncate();
		break;
	case 1:
	case 2:
		step_fallocate();
		break;
	case 3:
		ck_assert_int_eq(core_file_flush(s.core, file), 0);
		check_records();
		break;
	case 4:
		close_file();
		if (roll(4) == 0)
			store_reopen(&s);
		open_file();
		check_content();
		break;
	case 5:
		step_fail();
		break;
	case 6:
		step_fail_op();
		break;
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		step_append();
		break;
	default:
		step_write();
	}
}

START_TEST(follows_the_model)
{
	seed = (unsigned)_i + 1;
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		if (roll(8) == 0)
			check_content();
		else
			check_size();
	}
	check_content();
	close_file();
	store_reopen(&s);
	open_file();
	check_content();
	check_records();
	close_file();
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	core_settle(s.core);
	tree_check(&s);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
	ino = store_make(&s, ROOT, "f", S_IFREG | 0644);
	open_file();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("model");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, follows_the_model, 0, SEEDS);
	tcase_set_timeout(tc, 120);
	return run_case("data", tc);
}
