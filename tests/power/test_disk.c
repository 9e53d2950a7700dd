/* The model of the disk itself: what is synced is always there, what is not may be torn, by the seed. */
#include "tests/power/disk.h"
#include "tests/power/journal.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEEDS 100

static char dir[64];
static int journal;
static uint64_t records;

#define ok(x) ck_assert_int_eq((x), 0)

static char *in(const char *name)
{
	static char path[4][160];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static void start(void)
{
	int fd;

	suite_folder(dir);
	ok(mkdir(in("base"), 0700));
	fd = open(in("base/old"), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "old", 3), 3);
	close(fd);
	journal = open(in("journal"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	records = 0;
}

static void finish(void)
{
	close(journal);
	ok(suite_remove(dir));
}

static void add(enum journal_type type, uint32_t id, const char *path, uint64_t value, const void *rest,
	size_t len)
{
	struct journal_head head = {.type = (uint8_t)type, .id = id, .value = value};

	ok(journal_append(journal, head, path, rest, len));
	records++;
}

/* What is left with @seed lies in "out". */
static struct disk_cut cut(uint64_t seed)
{
	struct disk_cut drawn = disk_cut_drawn(records, seed);

	suite_remove(in("out"));
	ok(disk_survive(in("journal"), in("base"), &drawn, in("out")));
	return drawn;
}

/* The size, or -1. */
static int read_out(const char *name, uint8_t *ret_bytes, size_t max)
{
	char path[32];
	int fd, n;

	snprintf(path, sizeof path, "out/%s", name);
	fd = open(in(path), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = (int)read(fd, ret_bytes, max);
	close(fd);
	return n;
}

START_TEST(what_is_synced_is_there)
{
	uint8_t bytes[40000], got[40000];

	start();
	memset(bytes, 'a', sizeof bytes);
	add(JOURNAL_BASE, 1, "/old", 0, NULL, 0);
	add(JOURNAL_MKDIR, 0, "/d", 0700, NULL, 0);
	add(JOURNAL_FSYNCDIR, 0, "/", 0, NULL, 0);
	add(JOURNAL_CREATE, 2, "/d/new", 0600, NULL, 0);
	add(JOURNAL_WRITE, 2, NULL, 0, bytes, sizeof bytes);
	add(JOURNAL_FSYNC, 2, NULL, 0, NULL, 0);
	add(JOURNAL_RENAME, 2, "/d/new", 0, "/d/name", 7);
	add(JOURNAL_FSYNCDIR, 0, "/d", 0, NULL, 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		cut(seed);
		ck_assert_int_eq(read_out("old", got, sizeof got), 3);
		ck_assert_int_eq(read_out("d/new", got, sizeof got), -1);
		ck_assert_int_eq(read_out("d/name", got, sizeof got), sizeof got);
		ck_assert_mem_eq(got, bytes, sizeof got);
	}
	finish();
}
END_TEST

START_TEST(what_is_not_is_torn)
{
	unsigned whole = 0, none = 0, torn = 0, within_a_page = 0, absent = 0, shorter = 0;
	uint8_t bytes[40960], got[40960];

	start();
	memset(bytes, 'a', sizeof bytes);
	add(JOURNAL_BASE, 1, "/old", 0, NULL, 0);
	add(JOURNAL_CREATE, 2, "/f", 0600, NULL, 0);
	add(JOURNAL_WRITE, 2, NULL, 0, bytes, sizeof bytes);
	add(JOURNAL_FSYNC, 2, NULL, 0, NULL, 0);
	add(JOURNAL_FSYNCDIR, 0, "/", 0, NULL, 0);
	memset(bytes, 'b', sizeof bytes);
	add(JOURNAL_WRITE, 2, NULL, 0, bytes, sizeof bytes);
	add(JOURNAL_CREATE, 3, "/g", 0600, NULL, 0);
	add(JOURNAL_WRITE, 3, NULL, 0, bytes, sizeof bytes);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		unsigned b = 0, mixed = 0;
		int n;

		cut(seed);
		ck_assert_int_eq(read_out("f", got, sizeof got), sizeof got);
		for (size_t s = 0; s < sizeof got / 512; s++) {
			/* A sector is never torn, and never of anything that was not written. */
			for (size_t i = 0; i < 512; i++)
				ck_assert_uint_eq(got[s * 512 + i], got[s * 512]);
			ck_assert(got[s * 512] == 'a' || got[s * 512] == 'b');
			b += got[s * 512] == 'b';
			mixed += s % 8 && got[s * 512] != got[s * 512 - 512];
		}
		whole += b == sizeof got / 512;
		none += b == 0;
		torn += b > 0 && b < sizeof got / 512;
		within_a_page += mixed > 0;
		n = read_out("g", got, sizeof got);
		absent += n < 0;
		shorter += n >= 0 && n < (int)sizeof got;
	}
	ck_assert_uint_gt(whole, SEEDS / 20);
	ck_assert_uint_gt(none, SEEDS / 20);
	ck_assert_uint_gt(torn, SEEDS / 5);
	ck_assert_uint_gt(within_a_page, SEEDS / 10);
	ck_assert_uint_gt(absent, SEEDS / 10);
	ck_assert_uint_gt(shorter, SEEDS / 20);
	finish();
}
END_TEST

START_TEST(names_are_as_durable_as_the_model_says)
{
	unsigned lost[DISK_NAMES] = {0}, times[DISK_NAMES] = {0}, both = 0, neither = 0;
	uint8_t got[8];

	start();
	add(JOURNAL_BASE, 1, "/old", 0, NULL, 0);
	add(JOURNAL_CREATE, 2, "/f", 0600, NULL, 0);
	add(JOURNAL_FSYNC, 2, NULL, 0, NULL, 0);
	add(JOURNAL_RENAME, 1, "/old", 0, "/moved", 6);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct disk_cut drawn = cut(seed);
		bool old = read_out("old", got, sizeof got) == 3, moved = read_out("moved", got, sizeof got) == 3;

		times[drawn.names]++;
		lost[drawn.names] += read_out("f", got, sizeof got) < 0;
		/* A rename is whole or absent. */
		both += old && moved;
		neither += !old && !moved;
	}
	ck_assert_uint_eq(lost[DISK_EXT4], 0);
	ck_assert_uint_eq(lost[DISK_LOOSE], 0);
	ck_assert_uint_gt(lost[DISK_POSIX], times[DISK_POSIX] / 10);
	ck_assert_uint_eq(both + neither, 0);
	finish();
}
END_TEST

START_TEST(a_seed_says_all)
{
	uint8_t bytes[20000], first[20000], second[20000];
	int n;

	start();
	memset(bytes, 'a', sizeof bytes);
	add(JOURNAL_BASE, 1, "/old", 0, NULL, 0);
	for (uint32_t i = 0; i < 20; i++)
		add(JOURNAL_WRITE, 1, NULL, i * 700, bytes, 900);
	for (uint64_t seed = 0; seed < 50; seed++) {
		cut(seed);
		n = read_out("old", first, sizeof first);
		cut(seed);
		ck_assert_int_eq(read_out("old", second, sizeof second), n);
		ck_assert_mem_eq(first, second, (size_t)n);
	}
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("disk");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, what_is_synced_is_there);
	tcase_add_test(t, what_is_not_is_torn);
	tcase_add_test(t, names_are_as_durable_as_the_model_says);
	tcase_add_test(t, a_seed_says_all);
	return run_case("disk", t);
}
