/*
 * suite.h: what the main functions of tests with Check share. While a suite runs TMPDIR is a folder of its own, which
 * is removed afterwards: also what a test has left there that failed, or died.
 */
#ifndef SCRIBEFS_TESTS_SUITE_H
#define SCRIBEFS_TESTS_SUITE_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static inline int suite_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* With all that is in it, but for what is mounted there. As nftw() returns. */
static inline int suite_remove(const char *path)
{
	return nftw(path, suite_remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Makes a folder, of which at most 64 bytes are the path. */
static inline void suite_folder(char ret_path[64])
{
	ck_assert_int_lt(snprintf(ret_path, 64, "%s/XXXXXX", getenv("TMPDIR")), 64);
	ck_assert_ptr_nonnull(mkdtemp(ret_path));
}

/* Runs and frees the suite; the exit status. */
static inline int run_suite(Suite *suite)
{
	const char *outer = getenv("TMPDIR");
	SRunner *r = srunner_create(suite);
	char folder[64];
	int failed;

	/* In tests/run's folder, which goes also where this process is killed. */
	snprintf(folder, sizeof folder, "%s/scribefs-XXXXXX", outer && strlen(outer) <= 40 ? outer : "/tmp");
	if (!mkdtemp(folder) || setenv("TMPDIR", folder, 1) < 0) {
		perror(folder);
		return EXIT_FAILURE;
	}
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	suite_remove(folder);
	*strrchr(folder, '/') = '\0';
	setenv("TMPDIR", folder, 1); /* of the next suite */
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
