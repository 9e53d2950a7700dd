/* .snapshots/ of the levels, times by name, and session.json as it was. */
#include "fs/core/snapshot.h"
#include "fs/session/when.h"
#include "tests/suite.h"
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

/* ---- recovery ids ----------------------------------------------------------------------------- */

#define NUMBERED "u/w/SESSION-261128-007"

static struct snapshot_info take(const char *path, const char *name)
{
	struct snapshot_info info;
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find(path), name, 0, &info), 0);
	return info;
}

/* Its id, of which it is shown that it means this one and no other. */
static const char *id_of(uint64_t snapshot)
{
	static char text[RECOVERY_ID];
	struct snapshot_info info, found;
	ck_assert_int_eq(snapshot_get(store.core, snapshot, &info), 0);
	session_recovery_id(&info, text);
	ck_assert_int_eq(session_recovery_find(sessions, 0, text, &found), 0);
	ck_assert_uint_eq(found.id, snapshot);
	ck_assert_int_eq(session_recovery_find(sessions, info.place, text, &found), 0);
	ck_assert_int_eq(session_recovery_find(sessions, info.place + 256, text, &found), -ENOENT);
	return text;
}

static void expect_number(uint64_t snapshot, const char *number)
{
	ck_assert_msg(strncmp(id_of(snapshot) + strlen("RECOVERY-YYMMDD-"), number, strlen(number)) == 0, "%s",
	        id_of(snapshot));
}

START_TEST(no_two_have_the_same_recovery_id)
{
	static char ids[30][RECOVERY_ID];
	struct snapshot_info taken[30];
	char name[16], path[96];

	ck_assert_int_eq(tree_mkdir(NUMBERED), 0);
	ck_assert_int_eq(tree_mkdir("u2"), 0);
	ck_assert_int_eq(tree_mkdir("u2/w"), 0);
	ck_assert_int_eq(tree_mkdir("u2/w/SESSION-261128-007"), 0);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "n%d", i);
		taken[i] = take(i % 3 ? NUMBERED : "u2/w/SESSION-261128-007", name);
		strcpy(ids[i], id_of(taken[i].id));
		ck_assert_int_ge(taken[i].second, taken[i].taken.tv_sec);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(ids[i], ids[k]);
	}
	ck_assert_int_eq(tree_rmdir(NUMBERED "/.snapshots/n4"), 0);
	ck_assert_int_eq(session_recovery_find(sessions, 0, ids[4], &taken[4]), -ENOENT);
	tree_reopen();
	for (int i = 0; i < 30; i++)
		if (i != 4)
			ck_assert_str_eq(id_of(taken[i].id), ids[i]);
	snprintf(path, sizeof path, NUMBERED "/.snapshots/%s", ids[5]);
	ck_assert_uint_eq(tree_find(path), taken[5].root);
	snprintf(path, sizeof path, NUMBERED "/.snapshots/%s", ids[6]);
	ck_assert_uint_eq(tree_find(path), 0);
	ck_assert_int_eq(session_recovery_find(sessions, 0, "RECOVERY-261128-007", &taken[0]), -ENOENT);
	ck_assert_int_eq(session_recovery_find(sessions, 0, "RECOVERY-261131-007-000000", &taken[0]), -ENOENT);
}
END_TEST

START_TEST(a_recovery_id_is_for_good)
{
	static char first[RECOVERY_ID], second[RECOVERY_ID], third[RECOVERY_ID];
	struct snapshot_info a, b, c, found;

	ck_assert_int_eq(tree_mkdir(NUMBERED), 0);
	a = take(NUMBERED, "a");
	expect_number(a.id, "007-");
	strcpy(first, id_of(a.id));
	ck_assert_int_eq(tree_rename(NUMBERED, "u/w/SESSION-261128-1008"), 0);
	ck_assert_str_eq(id_of(a.id), first);
	b = take("u/w/SESSION-261128-1008", "b");
	expect_number(b.id, "1008-");
	strcpy(second, id_of(b.id));
	tree_reopen(); /* the name is looked for */
	c = take("u/w/SESSION-261128-1008", "c");
	expect_number(c.id, "1008-");
	strcpy(third, id_of(c.id));
	ck_assert_int_eq(session_removed_find(sessions, &who, first, &found), -ENOENT);
	ck_assert_int_eq(tree_rmdir("u/w/SESSION-261128-1008"), 0);
	ck_assert_str_eq(id_of(a.id), first);
	ck_assert_str_eq(id_of(b.id), second);
	ck_assert_str_eq(id_of(c.id), third);
	ck_assert_int_eq(session_removed_find(sessions, &who, first, &found), 0);
	ck_assert_uint_eq(found.id, a.id);
	ck_assert_int_eq(session_removed_find(sessions, &(struct cred){.uid = who.uid + 1}, first, &found), -ENOENT);
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
	tcase_add_test(t, no_two_have_the_same_recovery_id);
	tcase_add_test(t, a_recovery_id_is_for_good);
	return run_case("snapshots", t);
}
