/* The time by which things are dropped, with clocks of the test's. */
#include "fs/session/steady.h"
#include "tests/suite.h"

#define S ((int64_t)1000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define NOW (1795257000 * S)
#define YEAR (365 * DAY)

static struct steady s;

static void begin(int64_t known)
{
	steady_begin(&s, known, NOW, 7 * S);
}

/* What it says when @ms have passed since the begin and the clock is @wrong by so much. */
static int64_t after(int64_t ms, int64_t wrong)
{
	return steady_now(&s, NOW + ms + wrong, 7 * S + ms) - NOW;
}

START_TEST(a_clock_that_is_right)
{
	begin(STEADY_UNKNOWN);
	ck_assert_int_eq(after(0, 0), 0);
	ck_assert_int_eq(after(HOUR, 0), HOUR);
	ck_assert_int_eq(after(2 * HOUR, 50 * S), 2 * HOUR + 50 * S); /* it is kept right by small steps */
	ck_assert_int_eq(after(3 * HOUR, 100 * S), 3 * HOUR + 100 * S);
	ck_assert_int_eq(after(4 * HOUR, 50 * S), 4 * HOUR + 50 * S);
}
END_TEST

START_TEST(a_clock_that_is_set_and_set_back)
{
	begin(NOW - HOUR);
	ck_assert_int_eq(after(HOUR, 10 * YEAR), HOUR);
	ck_assert_int_eq(after(24 * HOUR, 10 * YEAR), DAY);
	ck_assert_int_eq(after(25 * HOUR - S, 0), 25 * HOUR - S);
	ck_assert_int_eq(after(25 * HOUR, 10 * YEAR), 25 * HOUR); /* the day begins anew */
	ck_assert_int_eq(after(26 * HOUR, -50 * YEAR), 26 * HOUR);
	ck_assert_int_eq(after(49 * HOUR, 10 * YEAR), 49 * HOUR);
	ck_assert_int_eq(after(50 * HOUR, 0), 50 * HOUR);
}
END_TEST

START_TEST(one_that_stays)
{
	begin(STEADY_UNKNOWN);
	ck_assert_int_eq(after(HOUR, YEAR), HOUR);
	ck_assert_int_eq(after(25 * HOUR - S, YEAR), 25 * HOUR - S);
	ck_assert_int_eq(after(25 * HOUR, YEAR), YEAR + 25 * HOUR);
	ck_assert_int_eq(after(26 * HOUR, YEAR), YEAR + 26 * HOUR);
	ck_assert_int_eq(after(27 * HOUR, 0), YEAR + 27 * HOUR);
	ck_assert_int_eq(after(51 * HOUR, 0), 51 * HOUR);
}
END_TEST

START_TEST(at_the_start)
{
	begin(NOW - DAY);
	ck_assert_int_eq(after(0, 0), 0);
	begin(NOW - DAY - S); /* a day is believed, more when it has stood for a day */
	ck_assert_int_eq(after(0, 0), -DAY - S);
	ck_assert_int_eq(after(23 * HOUR, 0), -HOUR - S);
	ck_assert_int_eq(after(DAY, 0), DAY);
	begin(NOW + 50 * YEAR);
	ck_assert_int_eq(after(0, 0), 50 * YEAR);
	ck_assert_int_eq(after(DAY, 0), DAY);
}
END_TEST

START_TEST(waiting)
{
	struct timespec now, at;
	clock_gettime(CLOCK_MONOTONIC, &now);
	at = steady_in(1999);
	ck_assert_int_ge(at.tv_sec, now.tv_sec + 1);
	ck_assert_int_lt(at.tv_nsec, 1000000000);
	at = steady_in(-5);
	ck_assert_int_ge(at.tv_sec, now.tv_sec);
	at = steady_in(INT64_MAX);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_le(at.tv_sec, now.tv_sec + 3600);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_test(c, a_clock_that_is_right);
	tcase_add_test(c, a_clock_that_is_set_and_set_back);
	tcase_add_test(c, one_that_stays);
	tcase_add_test(c, at_the_start);
	tcase_add_test(c, waiting);
	return run_case("steady", c);
}
