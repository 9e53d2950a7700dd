/* suite.h: the main function of a test of this folder. */
#ifndef SCRIBEFS_TESTS_SESSION_SUITE_H
#define SCRIBEFS_TESTS_SESSION_SUITE_H

#include <check.h>
#include <stdlib.h>

/* Runs one case; its setup and teardown may be NULL. */
static inline int suite_run(const char *name, TCase *c)
{
	Suite *s = suite_create(name);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
