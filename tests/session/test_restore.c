/* Copies and restores: byte for byte, whatever the order. */
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>
#include <stdlib.h>

#define COPY "u/w/copy"
#define N 4

static char json[4096];
static char texts[N][64];
static struct stat times[N], json_stat;

/* A session with a past, remembered as a backup has it. */
static void make_original(void)
{
	char path[64];
	tree_next("---\ntimestamp: 2024-01-02T03:04:05Z\n---\nFirst question\n");
	tree_next("---\nrole: assistant\ntokens: 30\n---\nAnswer\n");
	tree_next("no header\n");
	tree_next("");
	tree_set_mtime(MESSAGES "/003.md", 1700000000, 123456789);
	tree_write(SESSION "/agent", "one");
	tree_write(SESSION "/agent", "two");
	tree_edit("\"current\": \"two\"", "\"current\": \"three\"", false); /* the file still says two */
	tree_edit("\"state\": \"active\"", "\"state\": \"idle\"", false);
	tree_edit("\"last_activity\"", "\"mine\": [1, 2.50], \"last_activity\"", false);
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof path, MESSAGES "/%03d.md", i + 1);
		strcpy(texts[i], tree_read(path));
		times[i] = tree_stat(path);
	}
	strcpy(json, tree_read(JSON));
	json_stat = tree_stat(JSON);
}

static void remove_original(void)
{
	char path[64];
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof path, MESSAGES "/%03d.md", i + 1);
		ck_assert_int_eq(tree_unlink(path), 0);
	}
	ck_assert_int_eq(tree_unlink(JSON), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/agent"), 0);
	ck_assert_int_eq(tree_rmdir(MESSAGES), 0);
	ck_assert_int_eq(tree_rmdir(SESSION), 0);
}

/* @by_rename: rsync; else as tar and copytree, the time set after the close. */
static void restore_message(const char *session, int i, bool by_rename)
{
	char path[64], temp[64];
	snprintf(path, sizeof path, "%s/messages/%03d.md", session, i + 1);
	snprintf(temp, sizeof temp, "%s/messages/.%03d.md.x", session, i + 1);
	tree_write(by_rename ? temp : path, texts[i]);
	tree_set_mtime(by_rename ? temp : path, times[i].st_mtim.tv_sec, times[i].st_mtim.tv_nsec);
	if (by_rename)
		ck_assert_int_eq(tree_rename(temp, path), 0);
}

static void restore_json(const char *session, bool by_rename)
{
	char path[64], temp[64];
	snprintf(path, sizeof path, "%s/session.json", session);
	snprintf(temp, sizeof temp, "%s/.session.json.x", session);
	tree_write(by_rename ? temp : path, json);
	tree_set_mtime(
	        by_rename ? temp : path, json_stat.st_mtim.tv_sec, json_stat.st_mtim.tv_nsec);
	if (by_rename)
		ck_assert_int_eq(tree_rename(temp, path), 0);
}

static void expect_original(void)
{
	ck_assert_str_eq(tree_read(JSON), json);
	struct stat st = tree_stat(JSON);
	ck_assert_int_eq(st.st_mtim.tv_sec, json_stat.st_mtim.tv_sec);
	ck_assert_int_eq(st.st_mtim.tv_nsec, json_stat.st_mtim.tv_nsec);
}

static void restores(bool json_first, bool by_rename, bool look)
{
	make_original();
	remove_original();
	ck_assert_int_eq(tree_mkdir(SESSION), 0);
	if (json_first)
		restore_json(SESSION, by_rename);
	for (int i = N - 1; i >= 0; i--) {
		restore_message(SESSION, i, by_rename);
		if (look)
			tree_read(JSON);
	}
	if (!json_first && !look)
		tree_write(SESSION "/agent", "two");
	if (!json_first)
		restore_json(SESSION, by_rename);
	if (json_first || look)
		tree_write(SESSION "/agent", "two");
	expect_original();
	tree_write(SESSION "/agent", "two"); /* over what is there, with the same */
	expect_original();
	tree_reopen();
	expect_original();
	/* the next change goes on from there */
	uint64_t version = strtoull(tree_field("version"), NULL, 10);
	tree_next("new\n");
	ck_assert_uint_gt(strtoull(tree_field("version"), NULL, 10), version);
	tree_expect_field("message_count", "5");
	tree_expect_field("state", "active"); /* the user's held until a new message */
	tree_expect_field("title", "First question");
}

START_TEST(all_orders)
{
	restores(_i & 1, _i & 2, _i & 4);
}
END_TEST

START_TEST(into_another_store)
{
	make_original();
	tree_teardown();
	tree_setup();
	restore_json(SESSION, true);
	for (int i = 0; i < N; i++)
		restore_message(SESSION, i, true);
	expect_original();
}
END_TEST

START_TEST(a_message_streamed_over_time)
{
	/* its time is its birth; a copy knows only when it was finished */
	tree_next("begun ");
	usleep(20000);
	tree_append(MESSAGES "/001.md", "and ended\n");
	strcpy(json, tree_read(JSON));
	json_stat = tree_stat(JSON);
	strcpy(texts[0], tree_read(MESSAGES "/001.md"));
	times[0] = tree_stat(MESSAGES "/001.md");
	tree_teardown();
	tree_setup();
	restore_message(SESSION, 0, true);
	restore_json(SESSION, true);
	expect_original();
}
END_TEST

START_TEST(a_copy_beside_gets_an_id_of_its_own)
{
	make_original();
	ck_assert_int_eq(tree_mkdir(COPY), 0);
	if (_i == 1)
		restore_json(COPY, false);
	for (int i = 0; i < N; i++)
		restore_message(COPY, i, false);
	if (_i == 0)
		restore_json(COPY, false);
	const char *copy = tree_read(COPY "/session.json");
	char id[64], from[128];
	snprintf(id, sizeof id, "%.36s", strstr(json, "session_id\": \"") + 14);
	snprintf(from, sizeof from, "\"copied_from\": \"%s\"", id);
	ck_assert_ptr_nonnull(strstr(copy, from));
	ck_assert_ptr_nonnull(strstr(copy, "\"state\": \"idle\""));
	ck_assert(strncmp(strstr(copy, "session_id\": \"") + 14, id, 36) != 0);
	ck_assert_str_eq(tree_attribute(SESSION, "session_id"), id);
	expect_original();
	/* another user may hold it, and the same user when the first is gone */
	ck_assert_int_eq(tree_mkdir("v"), 0);
	ck_assert_int_eq(tree_mkdir("v/w"), 0);
	ck_assert_int_eq(tree_mkdir("v/w/s"), 0);
	restore_json("v/w/s", false);
	ck_assert_str_eq(tree_attribute("v/w/s", "session_id"), id);
	remove_original();
	ck_assert_int_eq(tree_mkdir("u/w/again"), 0);
	restore_json("u/w/again", true);
	ck_assert_str_eq(tree_attribute("u/w/again", "session_id"), id);
}
END_TEST

/* session.json came first, and nobody looked before the message changed: the title was never the user's. */
START_TEST(an_automatic_title_stays_automatic_in_a_copy)
{
	make_original();
	ck_assert_int_eq(tree_mkdir(COPY), 0);
	restore_json(COPY, _i);
	for (int i = 0; i < N; i++)
		restore_message(COPY, i, _i);
	tree_write(COPY "/messages/001.md", "Another question\n");
	ck_assert_ptr_nonnull(strstr(tree_read(COPY "/session.json"), "\"title\": \"Another question\""));
}
END_TEST

/* … and the text of a message that is gone may be a title of the user's. */
START_TEST(a_title_after_a_message_that_is_gone)
{
	tree_next("First\n");
	tree_next("Second\n");
	tree_expect_field("title", "First");
	ck_assert_int_eq(tree_unlink(MESSAGES "/001.md"), 0);
	tree_write(JSON, "{\"title\": \"First\"}");
	tree_expect_field("title", "First");
}
END_TEST

START_TEST(an_old_backup_of_it_is_taken_whole)
{
	make_original();
	for (int i = 0; i < 20; i++) {
		tree_next("x");
		tree_field("version");
	}
	tree_edit("\"title\": \"First question\"", "\"title\": \"Later\"", false);
	restore_json(SESSION, true);
	tree_expect_field("title", "First question");
	tree_expect_field("message_count", "24");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("restore");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_set_timeout(c, 30);
	tcase_add_loop_test(c, all_orders, 0, 8);
	tcase_add_test(c, into_another_store);
	tcase_add_test(c, a_message_streamed_over_time);
	tcase_add_loop_test(c, a_copy_beside_gets_an_id_of_its_own, 0, 2);
	tcase_add_loop_test(c, an_automatic_title_stays_automatic_in_a_copy, 0, 2);
	tcase_add_test(c, a_title_after_a_message_that_is_gone);
	tcase_add_test(c, an_old_backup_of_it_is_taken_whole);
	return run_case("restore", c);
}
