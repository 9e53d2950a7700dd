/* .snapshots/ of the levels, times by name, and session.json as it was. */
#include "fs/session/when.h"
#include "tests/session/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

START_TEST(session_json_is_of_that_moment)
{
	static const char *const places[] = {SESSION, "u/w", "u"};
	static const char *const inside[] = {"", "/s", "/w/s"};
	char path[128], now[4096];

	tree_next("First question\n");
	tree_read(JSON);
	tree_next("Second\n"); /* nobody looks before the snapshot is taken */
	if (_i & 4)
		tree_unlink(MESSAGES "/001.md"); /* … which leaves the title to be looked for */
	snprintf(path, sizeof path, "%s/.snapshots/a", places[_i & 3]);
	ck_assert_int_eq(tree_mkdir(path), 0);
	strcpy(now, tree_read(JSON));
	tree_next("Third\n");
	ck_assert_int_eq(tree_rename(SESSION, "u/w/moved"), 0);
	tree_read("u/w/moved/session.json");
	snprintf(path, sizeof path, "%s/.snapshots/a%s/session.json",
	        _i & 3 ? places[_i & 3] : "u/w/moved", inside[_i & 3]);
	ck_assert_str_eq(tree_read(path), now);
	ck_assert_int_eq(tree_stat(path).st_size, (off_t)strlen(now));
	tree_reopen();
	ck_assert_str_eq(tree_read(path), now);
}
END_TEST

START_TEST(rules)
{
	ck_assert_int_eq(tree_mkdir(SESSION "/.snapshots/a"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/.snapshots/a"), -EEXIST);
	ck_assert_int_eq(tree_mkdir(SESSION "/.snapshots/@now"), -EINVAL);
	ck_assert_int_eq(tree_make(SESSION "/.snapshots/f", S_IFREG | 0600), -EPERM);
	ck_assert_uint_eq(tree_find(MESSAGES "/.snapshots"), 0);
	ck_assert_uint_eq(tree_find(SESSION "/.snapshots/@now"), tree_find(SESSION "/.snapshots/a"));
	ck_assert_int_eq(tree_rename(SESSION "/.snapshots/a", SESSION "/b"), -EPERM);
	ck_assert_int_eq(tree_rename(SESSION "/.snapshots/a", SESSION "/.snapshots/b"), 0);
	ck_assert_str_eq(tree_list(SESSION "/.snapshots"), "b ");
	ck_assert_str_eq(tree_attribute(SESSION "/.snapshots/b", "state"), "active");
	ck_assert_int_eq(tree_unlink(SESSION "/.snapshots/b/session.json"), -EROFS);
	ck_assert_int_eq(tree_rmdir(SESSION "/.snapshots/b/messages"), -EROFS);
	ck_assert_int_eq(tree_link(SESSION "/.snapshots/b/session.json", SESSION "/x"), -EXDEV);
	ck_assert_int_eq(tree_rmdir(SESSION "/.snapshots/b"), 0);
	ck_assert_int_eq(tree_rmdir(SESSION "/.snapshots/b"), -ENOENT);
}
END_TEST

START_TEST(times)
{
	const struct timespec now = {1795256400, 5}; /* 2026-11-21T10:20:00Z */
	static const struct {
		const char *text;
		int64_t seconds;
		long ns;
	} good[] = {{"now", 1795256400, 5}, {"10min", 1795255800, 5}, {"2h", 1795249200, 5},
	        {"30s", 1795256370, 5}, {"3d", 1794997200, 5}, {"1w", 1794651600, 5},
	        {"yesterday", 1795170000, 5}, {"2026-11-21T10:20:00Z", 1795256400, 0},
	        {"2026-11-21T10:20", 1795256400, 0}, {"2026-11-20", 1795219199, 999999999}};
	static const char *const bad[] = {"", "soon", "10", "min", "-1h", "10 min", "1y", "2026-13-01"};
	struct timespec got;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_int_eq(when_parse(good[i].text, &now, &got), 0);
		ck_assert_msg(got.tv_sec == good[i].seconds && got.tv_nsec == good[i].ns, "%s: %lld",
		        good[i].text, (long long)got.tv_sec);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(when_parse(bad[i], &now, &got), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("snapshots");
	tcase_add_checked_fixture(t, tree_setup, tree_teardown);
	tcase_add_loop_test(t, session_json_is_of_that_moment, 0, 3);
	tcase_add_loop_test(t, session_json_is_of_that_moment, 4, 7);
	tcase_add_test(t, rules);
	tcase_add_test(t, times);
	return suite_run("snapshots", t);
}
