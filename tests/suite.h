/* suite.h: what the main functions of tests with Check share. */
#ifndef SCRIBEFS_TESTS_SUITE_H
#define SCRIBEFS_TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs and frees the suite; the exit status. */
static inline int run_suite(Suite *suite)
{
	SRunner *r = srunner_create(suite);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The same of a suite of one case. */
static inline int run_case(const char *name, TCase *tcase)
{
	Suite *suite = suite_create(name);

	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}

#endif
