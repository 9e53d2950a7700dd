/*
 * test_known.c: what the kernel knows is counted, and bounded: who is named to be forgotten was not looked up for
 * long, and each once in a while.
 */
#include "fs/core/core_internal.h"
#include "tests/suite.h"

#include <check.h>
#include <stdlib.h>

#define MOST 4096

static struct node_table *t;
static unsigned calls;

static void setup(void)
{
	t = node_table_new();
	ck_assert_ptr_nonnull(t);
	calls = 0;
}

static void teardown(void)
{
	node_table_free(t);
}

static void crowded(void *arg)
{
	(*(unsigned *)arg)++;
}

static void look_up(uint64_t first, uint64_t last)
{
	for (uint64_t ino = first; ino <= last; ino++)
		ck_assert_int_eq(node_add(t, ino), 0);
}

START_TEST(counts)
{
	look_up(1, 5000);
	look_up(1, 1);
	ck_assert_uint_eq(node_remove(t, 1, 1), 1);
	ck_assert(node_known(t, 1));
	ck_assert_uint_eq(node_remove(t, 1, 1), 0);
	ck_assert(!node_known(t, 1));
	ck_assert_uint_eq(node_remove(t, 1, 1), 0);
	look_up(2, 2);
	ck_assert_uint_eq(node_remove(t, 2, 7), 0);
	ck_assert(node_known(t, 5000));
	ck_assert_uint_eq(node_surplus(t), 0);
}
END_TEST

START_TEST(asks_when_crowded)
{
	node_bound(t, MOST, crowded, &calls);
	look_up(1, MOST);
	ck_assert_uint_eq(calls, 0);
	ck_assert_uint_eq(node_surplus(t), 0);
	look_up(MOST + 1, 2 * MOST);
	ck_assert_uint_eq(calls, MOST / 1024);
	ck_assert_uint_eq(node_surplus(t), 2 * MOST - (MOST - MOST / 8));
	node_bound(t, 0, NULL, NULL);
	look_up(2 * MOST + 1, 3 * MOST);
	ck_assert_uint_eq(calls, MOST / 1024);
	ck_assert_uint_eq(node_surplus(t), 0);
}
END_TEST

START_TEST(names_the_oldest_once)
{
	static uint8_t named[2 * MOST + 1];
	uint64_t inos[100];
	size_t n, total = 0;

	node_bound(t, MOST, crowded, &calls);
	look_up(1, 2 * MOST);
	look_up(1, 100); /* again */
	while ((n = node_oldest(t, inos, 100)) > 0)
		for (size_t i = 0; i < n; i++, total++) {
			ck_assert_uint_ge(inos[i], 101);
			ck_assert_uint_le(inos[i], 2 * MOST - (MOST / 2 - 100 - 256));
			ck_assert_uint_eq(named[inos[i]]++, 0);
		}
	ck_assert_uint_ge(total, 2 * MOST - 100 - MOST / 2 - 256);
	/* Those that the kernel could not give up are asked again when it is long ago once more. */
	look_up(3 * MOST, 4 * MOST);
	ck_assert_uint_gt(node_oldest(t, inos, 100), 0);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("known");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, counts);
	tcase_add_test(c, asks_when_crowded);
	tcase_add_test(c, names_the_oldest_once);
	return run_case("known", c);
}
