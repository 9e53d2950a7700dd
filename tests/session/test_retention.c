/* When automatic snapshots are due, and which of them stay: pure functions, with times of the test's. */
#include "fs/session/retention.h"
#include "tests/suite.h"

#define S ((int64_t)1000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define NOW (1795257000 * S) /* 2026-11-21T10:30:00Z */

static const struct retention usual = {.interval = 30 * S, .keep = 5, .hourly = 24, .daily = 30};

START_TEST(due)
{
	struct waiting w = {.since = NOW, .last = RETENTION_NONE};
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 30 * S);
	w.closed = true;
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 5 * S); /* a new session is filled first */
	w.urgent = true;
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW);
	w.urgent = false;
	w.last = NOW - 10 * S;
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 20 * S);
	w.urgent = true;
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW - 5 * S);
	w.last = NOW - 1 * S;
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 4 * S);
	w = (struct waiting){.since = NOW, .last = NOW - DAY};
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 30 * S); /* a writer may go on */
	w.closed = true;
	ck_assert_int_le(retention_due(&usual, &w, NOW), NOW);
}
END_TEST

START_TEST(a_clock_that_was_set_back)
{
	struct waiting w = {.since = NOW + DAY, .last = NOW + DAY, .closed = true};
	ck_assert_int_eq(retention_due(&usual, &w, NOW), NOW + 30 * S);
}
END_TEST

START_TEST(off)
{
	struct waiting w = {.since = NOW, .last = NOW - DAY, .closed = true, .urgent = true};
	struct retention none = usual;
	none.interval = 0;
	ck_assert_int_eq(retention_due(&none, &w, NOW), RETENTION_NEVER);
	none = (struct retention){.interval = S};
	ck_assert_int_eq(retention_due(&none, &w, NOW), RETENTION_NEVER);
	none.daily = 1;
	ck_assert_int_lt(retention_due(&none, &w, NOW), NOW);
}
END_TEST

static size_t choose(const struct retention *keep, const int64_t *taken, size_t n, int64_t now, bool removed,
        bool *drop)
{
	int64_t age[4096];
	retention_ages(taken, n, now, age);
	return retention_choose(keep, taken, age, n, removed, drop);
}

static const char *chosen(const struct retention *keep, const int64_t *taken, size_t n, int64_t now, bool removed)
{
	static char text[4096];
	bool drop[4096];
	choose(keep, taken, n, now, removed, drop);
	for (size_t i = 0; i < n; i++)
		text[i] = drop[i] ? '.' : 'x';
	text[n] = '\0';
	return text;
}

START_TEST(thinning)
{
	/* now is 10:30 */
	int64_t taken[] = {NOW - 3 * DAY - HOUR, NOW - 3 * DAY, NOW - DAY - HOUR, NOW - DAY + S, NOW - 2 * HOUR - S,
		NOW - 2 * HOUR, NOW - HOUR, NOW - 3 * S, NOW - 2 * S, NOW - S};
	struct retention keep = {.interval = S, .keep = 2, .hourly = 24, .daily = 30};
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), ".x.x.xx.xx");
	keep.keep = 4;
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), ".x.x.xxxxx");
	keep.hourly = 0;
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), ".x.x..xxxx");
	keep.daily = 0;
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), "......xxxx");
	keep.keep = 0;
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), "..........");
	keep.hourly = 2;
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), "......x..x");
	keep = (struct retention){.interval = S, .daily = 2};
	ck_assert_str_eq(chosen(&keep, taken, 10, NOW, false), "...x.....x");
	ck_assert_str_eq(chosen(&keep, taken, 0, NOW, false), "");
}
END_TEST

START_TEST(what_is_removed_expires)
{
	int64_t taken[] = {NOW - 31 * DAY, NOW - 29 * DAY, NOW - 2 * DAY};
	ck_assert_str_eq(chosen(&usual, taken, 3, NOW, false), "xxx");
	ck_assert_str_eq(chosen(&usual, taken, 3, NOW, true), ".xx");
	ck_assert_str_eq(chosen(&usual, taken, 3, NOW + 29 * DAY, true), "...");
}
END_TEST

/* The clock was wrong for a while: what was taken then is as old as the ones around it allow. */
START_TEST(ages_by_a_clock_that_was_wrong)
{
	int64_t late[] = {NOW - 2 * DAY, NOW + 900 * DAY, NOW + 901 * DAY, NOW - DAY, NOW + DAY}, age[5];
	retention_ages(late, 5, NOW, age);
	ck_assert_int_eq(age[0], 2 * DAY);
	ck_assert_int_eq(age[1], DAY);
	ck_assert_int_eq(age[2], DAY);
	ck_assert_int_eq(age[3], DAY);
	ck_assert_int_eq(age[4], 0);
	int64_t early[] = {NOW - 2 * DAY, S, 2 * S, NOW - DAY, NOW};
	retention_ages(early, 5, NOW, age);
	ck_assert_int_eq(age[1], 2 * DAY);
	ck_assert_int_eq(age[2], 2 * DAY);
	ck_assert_int_eq(age[3], DAY);
	retention_ages(early, 3, 3 * S, age);
	ck_assert_int_eq(age[0], 2 * S);
	ck_assert_int_eq(age[2], S);
	struct retention keep = {.interval = S, .daily = 3};
	ck_assert_str_eq(chosen(&keep, late, 5, NOW, false), "xxxxx");
	ck_assert_str_eq(chosen(&keep, late, 5, NOW + 2 * DAY, false), "....x");
	ck_assert_str_eq(chosen(&keep, early, 5, NOW, false), "x.xxx");
}
END_TEST

/* A month of one each half minute, thinned after each: as many stay as the policy says, and of each time. */
START_TEST(a_month)
{
	static int64_t taken[4096];
	bool drop[4096];
	size_t n = 0, most = 0;
	int64_t now = NOW;
	for (unsigned i = 0; i < 20000; i++, now += 150 * S) {
		size_t left = 0;
		taken[n++] = now;
		choose(&usual, taken, n, now, false, drop);
		for (size_t j = 0; j < n; j++)
			if (!drop[j])
				taken[left++] = taken[j];
		n = left;
		most = n > most ? n : most;
		ck_assert_int_eq(taken[n - 1], now);
	}
	now = taken[n - 1];
	ck_assert_uint_le(most, 5 + 24 + 30 + 1);
	ck_assert_uint_ge(n, 5 + 22 + 28);
	for (size_t i = 1; i < n; i++)
		ck_assert_int_le(taken[i] - taken[i - 1], now - taken[i] < 23 * HOUR ? HOUR : DAY + 23 * HOUR);
	ck_assert_int_gt(now - taken[0], 29 * DAY);
}
END_TEST

START_TEST(names)
{
	char name[RETENTION_NAME];
	retention_name(NOW, false, name);
	ck_assert_str_eq(name, "auto-2026-11-21T10-30-00Z");
	retention_name(NOW + 7, true, name);
	ck_assert_str_eq(name, "auto-2026-11-21T10-30-00.007Z");
	ck_assert(retention_is_named(name));
	ck_assert(!retention_is_named("mine"));
	retention_name(-1, true, name);
	ck_assert_str_eq(name, "auto-1969-12-31T23-59-59.999Z");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_test(c, due);
	tcase_add_test(c, a_clock_that_was_set_back);
	tcase_add_test(c, off);
	tcase_add_test(c, thinning);
	tcase_add_test(c, what_is_removed_expires);
	tcase_add_test(c, ages_by_a_clock_that_was_wrong);
	tcase_add_test(c, a_month);
	tcase_add_test(c, names);
	return run_case("retention", c);
}
