/* test_op.c: operations that meet others are run again. */
#include "fs/core/core_internal.h"
#include "kv/log.h"
#include "tests/suite.h"

#include <check.h>

static int meet(int *left, int error)
{
	return *left > 0 ? (--*left, error) : 0;
}

/* Whoever has closed the gate may lose the processor before it is open again: that is no error of those who wait. */
START_TEST(begun_anew_as_often_as_it_takes)
{
	int left = 400;

	ck_assert_int_eq(OP_RETRY(meet(&left, -EAGAIN)), 0);
	ck_assert_int_eq(left, 0);
	left = 400;
	ck_assert_int_eq(OP_RETRY(meet(&left, -ESTALE)), -ENOENT);
	left = 400;
	ck_assert_int_eq(OP_RETRY(meet(&left, -ENOSPC)), -ENOSPC);
	ck_assert_int_eq(left, 399);
}
END_TEST

/* Somewhere it ends, and says so: of the ten seconds the last few pauses. */
START_TEST(given_up_in_the_end)
{
	static char line[200];
	struct op_tries tries = {.met = 9990};

	log_keep(line, sizeof line);
	while (op_again(-EAGAIN, &tries))
		ck_assert_uint_lt(tries.met, 100000);
	ck_assert_ptr_nonnull(strstr(line, "was given up"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("op");

	tcase_add_test(t, begun_anew_as_often_as_it_takes);
	tcase_add_test(t, given_up_in_the_end);
	return run_case("op", t);
}
