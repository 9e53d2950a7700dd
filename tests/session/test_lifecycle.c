/* .trash, cleanup, limits: what time and policies do to sessions. Hours pass by the session layer's clock. */
#include "fs/session/lifecycle.h"
#include "fs/session/transcript.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define TRASHED "u/.trash/w/s"

static void setup(void)
{
	tree_setup();
	ck_assert_int_eq(lifecycle_start(sessions, false), 0);
}

static void reopen(void)
{
	int64_t shift = atomic_load(&sessions->clock_shift);
	tree_reopen();
	atomic_store(&sessions->clock_shift, shift);
	ck_assert_int_eq(lifecycle_start(sessions, false), 0);
}

static void pass(int64_t ms)
{
	atomic_fetch_add(&sessions->clock_shift, ms);
	lifecycle_pass(sessions);
}

static void set_policy(const char *path, const char *name, const char *value)
{
	char full[64];
	snprintf(full, sizeof full, "user.scribefs.%s", name);
	ck_assert_int_eq(session_setxattr(sessions, &who, tree_find(path), full, value, strlen(value), 0), 0);
}

static void expect_in(const char *session, const char *what)
{
	char path[256];
	snprintf(path, sizeof path, "%s/session.json", session);
	const char *text = tree_read(path);
	ck_assert_msg(strstr(text, what) != NULL, "no %s in %s", what, text);
}

static void delete_session(void)
{
	tree_edit("\"state\": \"active\"", "\"state\": \"deleted\"", true);
	pass(0);
	ck_assert_uint_eq(tree_find(SESSION), 0);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
}

START_TEST(an_edit_moves_it_to_the_trash_and_mv_brings_it_back)
{
	tree_next("Hello\n");
	uint64_t ino = tree_find(SESSION);
	delete_session();
	ck_assert_uint_eq(tree_find(TRASHED), ino);
	expect_in(TRASHED, "\"state\": \"deleted\"");
	expect_in(TRASHED, "\"deleted_at\": \"2");
	reopen();
	expect_in(TRASHED, "\"state\": \"deleted\"");
	ck_assert_int_eq(tree_rename(TRASHED, SESSION), 0);
	tree_expect_field("state", "active");
	ck_assert_ptr_null(strstr(tree_read(JSON), "deleted_at"));
	pass(0);
	ck_assert_uint_eq(tree_find(SESSION), ino);
	/* and another time, where the name is taken by then */
	ck_assert_int_eq(tree_mkdir(TRASHED), 0);
	delete_session();
	ck_assert_uint_eq(tree_find("u/.trash/w/s.2"), ino);
	expect_in("u/.trash/w/s.2", "\"title\": \"Hello\"");
}
END_TEST

START_TEST(a_long_name_is_cut_for_its_suffix)
{
	char name[256] = "", path[300], trashed[300];
	for (int i = 0; i < 127; i++)
		strcat(name, "\xc3\xa4");
	snprintf(path, sizeof path, "u/w/%s", name);
	snprintf(trashed, sizeof trashed, "u/.trash/w/%s", name);
	ck_assert_int_eq(tree_mkdir(path), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_mkdir(trashed), 0);
	struct trash_item item = {.workflow = tree_find("u/w"), .session = tree_find(path), .name = name,
	        .activity = ACTIVITY_NONE};
	ck_assert_int_eq(trash_put(sessions, &item), 0);
	trashed[strlen(trashed) - 2] = '\0';
	strcat(trashed, ".2");
	ck_assert_uint_eq(tree_find(trashed), item.session);
}
END_TEST

START_TEST(one_in_which_somebody_writes_stays)
{
	struct file *file;
	tree_next("Hello\n");
	tree_write(SESSION "/notes", "x");
	ck_assert_int_eq(session_file_open(sessions, &who, tree_find(SESSION "/notes"), O_WRONLY, &file), 0);
	tree_edit("\"state\": \"active\"", "\"state\": \"deleted\"", false);
	ck_assert_str_eq(tree_attribute(SESSION, "writing"), "true");
	pass(0);
	tree_expect_field("state", "deleted");
	ck_assert_int_eq(session_release(sessions, file), 0);
	ck_assert_str_eq(tree_attribute(SESSION, "writing"), "-");
	pass(0);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
}
END_TEST

START_TEST(a_crash_before_the_move)
{
	tree_next("Hello\n");
	tree_edit("\"state\": \"active\"", "\"state\": \"deleted\"", true);
	lifecycle_stop(sessions);
	tree_crash();
	ck_assert_int_eq(lifecycle_start(sessions, false), 0);
	pass(0);
	ck_assert_uint_eq(tree_find(SESSION), 0);
	expect_in(TRASHED, "\"state\": \"deleted\"");
}
END_TEST

START_TEST(the_trash_is_emptied)
{
	tree_next("---\ntimestamp: 2020-01-02T03:04:05Z\n---\nHello\n");
	ck_assert_int_eq(tree_mkdir(SESSION "/a"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/a/b"), 0);
	tree_write(SESSION "/a/b/c", "x");
	tree_edit("\"state\": \"archived\"", "\"state\": \"deleted\"", true);
	pass(0);
	/* by when it came there, and not by its messages */
	pass(30 * DAY - 60000);
	ck_assert_uint_ne(tree_find(TRASHED "/a/b/c"), 0);
	set_policy("u", "trash", "none");
	pass(DAY);
	ck_assert_uint_ne(tree_find(TRASHED "/a/b/c"), 0);
	set_policy("u", "trash", "30d");
	struct file *file;
	ck_assert_int_eq(session_file_open(sessions, &who, tree_find(TRASHED "/a/b/c"), O_WRONLY, &file), 0);
	pass(0);
	ck_assert_uint_ne(tree_find(TRASHED "/a/b/c"), 0);
	ck_assert_int_eq(session_release(sessions, file), 0);
	pass(0);
	ck_assert_uint_eq(tree_find(TRASHED), 0);
	ck_assert_str_eq(tree_list("u/.trash"), "");
}
END_TEST

static void set_clock(int64_t ms)
{
	atomic_store(&sessions->clock_set, ms);
	lifecycle_pass(sessions);
}

/* Nothing is deleted before its time by a clock that is wrong, when it is looked at or when it comes there. */
START_TEST(the_trash_and_a_wrong_clock)
{
	tree_next("Hello\n");
	delete_session();
	set_clock(400 * DAY);
	pass(23 * HOUR);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
	set_clock(0);
	pass(29 * DAY - HOUR);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
	pass(2 * HOUR);
	ck_assert_uint_eq(tree_find(TRASHED), 0);

	set_clock(-400 * DAY);
	ck_assert_int_eq(tree_mkdir(SESSION), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_rename(SESSION, TRASHED), 0);
	pass(HOUR);
	set_clock(0);
	pass(29 * DAY);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
	pass(2 * DAY);
	ck_assert_uint_eq(tree_find(TRASHED), 0);
}
END_TEST

START_TEST(by_hand_into_the_trash)
{
	tree_next("Hello\n");
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_rename(SESSION, TRASHED), 0);
	expect_in(TRASHED, "\"deleted_at\"");
	/* out and in again: it waits anew */
	atomic_fetch_add(&sessions->clock_shift, 29 * DAY);
	ck_assert_int_eq(tree_rename(TRASHED, SESSION), 0);
	ck_assert_int_eq(tree_rename(SESSION, TRASHED), 0);
	pass(2 * DAY);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
	pass(29 * DAY);
	ck_assert_uint_eq(tree_find(TRASHED), 0);
}
END_TEST

START_TEST(a_workflow_in_the_trash)
{
	tree_next("Hello\n");
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_rename("u/w", "u/.trash/w"), 0);
	expect_in(TRASHED, "\"state\": \"deleted\"");
	pass(0);
	expect_in(TRASHED, "\"deleted_at\"");
	/* it comes back, and another time it waits anew */
	pass(29 * DAY);
	ck_assert_int_eq(tree_rename("u/.trash/w", "u/w"), 0);
	pass(0);
	ck_assert_int_eq(tree_rename("u/w", "u/.trash/w"), 0);
	pass(2 * DAY);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
	pass(30 * DAY);
	ck_assert_uint_eq(tree_find(TRASHED), 0);
}
END_TEST

START_TEST(cleanup_after)
{
	tree_next("---\ntimestamp: 2026-01-02T03:04:05Z\n---\nHello\n");
	pass(0);
	ck_assert_uint_ne(tree_find(SESSION), 0);
	ck_assert_int_eq(tree_mkdir("u/w/new"), 0);
	set_policy("u", "cleanup_after", "24h");
	pass(0);
	ck_assert_uint_eq(tree_find(SESSION), 0);
	ck_assert_uint_ne(tree_find("u/w/new"), 0);
	pass(DAY + 1000);
	ck_assert_uint_eq(tree_find("u/w/new"), 0);
	ck_assert_str_eq(tree_list("u/.trash/w"), "new s ");
}
END_TEST

START_TEST(cleanup_looks_at_the_messages_that_there_are)
{
	set_policy("u", "cleanup_after", "24h");
	tree_next("---\ntimestamp: 2026-01-02T03:04:05Z\n---\nHello\n");
	tree_next("new\n");
	pass(0);
	ck_assert_uint_ne(tree_find(SESSION), 0);
	ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
	pass(0);
	ck_assert_uint_ne(tree_find(TRASHED), 0);
}
END_TEST

static void make_aged(const char *name, int year)
{
	char path[64], text[128];
	snprintf(path, sizeof path, "u/w/%s", name);
	ck_assert_int_eq(tree_mkdir(path), 0);
	strcat(path, "/messages/001.md");
	snprintf(text, sizeof text, "---\ntimestamp: %d-01-02T03:04:05Z\n---\nx\n", year);
	tree_write(path, text);
}

START_TEST(max_sessions)
{
	set_policy("u/w", "max_sessions", "2");
	make_aged("a", 2023);
	make_aged("b", 2021);
	make_aged("c", 2022);
	pass(0);
	ck_assert_str_eq(tree_list("u/w"), "a s ");
	ck_assert_str_eq(tree_list("u/.trash/w"), "b c ");
	set_policy("u/w", "max_sessions", "0");
	make_aged("d", 2020);
	pass(0);
	ck_assert_str_eq(tree_list("u/w"), "a d s ");
}
END_TEST

/* Every message would cost a look at its session. */
START_TEST(growth_is_told_only_where_there_is_a_limit)
{
	tree_next("1\n");
	ck_assert_int_eq(tree_mkdir("u/w/s2"), 0);
	pass(0);
	ck_assert_uint_eq(lifecycle_waiting(sessions), 0);
	tree_next("2\n");
	ck_assert_int_eq(tree_mkdir("u/w/s4"), 0);
	ck_assert_uint_eq(lifecycle_waiting(sessions), 0);
	set_policy("u/w", "max_messages", "3");
	tree_next("3\n");
	ck_assert_uint_eq(lifecycle_waiting(sessions), 1);
	pass(0);
	tree_next("4\n");
	ck_assert_uint_eq(lifecycle_waiting(sessions), 1);
	pass(0);
	ck_assert_str_eq(tree_list(MESSAGES), "002.md 003.md 004.md archive ");
	/* and where the limit is another's */
	ck_assert_int_eq(tree_mkdir("u/free"), 0);
	ck_assert_int_eq(tree_mkdir("u/free/s"), 0);
	tree_write("u/free/s/messages/001.md", "1\n");
	pass(0);
	tree_write("u/free/s/messages/002.md", "2\n");
	ck_assert_uint_eq(lifecycle_waiting(sessions), 0);
	ck_assert_int_eq(tree_rename("u/free/s", "u/w/s3"), 0);
	pass(0);
	tree_write("u/w/s3/messages/003.md", "3\n");
	ck_assert_uint_eq(lifecycle_waiting(sessions), 1);
}
END_TEST

/* What is archived answers as it did in messages/. */
static void expect_archived(const char *archive, const char *id, const char *time)
{
	char path[96];

	snprintf(path, sizeof path, "%s/001.md", archive);
	ck_assert_str_eq(tree_attribute(path, "id"), id);
	ck_assert_str_eq(tree_attribute(path, "number"), "1");
	ck_assert_str_eq(tree_attribute(path, "name"), "001.md");
	ck_assert_str_eq(tree_attribute(path, "role"), "user");
	ck_assert_str_eq(tree_attribute(path, "timestamp"), time);
	ck_assert_str_eq(tree_attribute(path, "tokens"), "~4");
	ck_assert_str_eq(tree_attribute(path, "agent"), "-");
	snprintf(path, sizeof path, "%s/002.md", archive);
	ck_assert_str_eq(tree_attribute(path, "id"), "mine");
	ck_assert_str_eq(tree_attribute(path, "number"), "2");
	ck_assert_str_eq(tree_attribute(path, "role"), "assistant");
}

START_TEST(max_messages)
{
	struct transcript_range all = {.count = UINT32_MAX};
	struct snapshot_info info;
	struct transcript *t;
	char id[64], time[40];
	tree_next("First question\n");
	strcpy(id, tree_attribute(MESSAGES "/001.md", "id"));
	strcpy(time, tree_attribute(MESSAGES "/001.md", "timestamp"));
	tree_next("---\nrole: assistant\nid: mine\n---\nAnswer\n");
	tree_next("Second question\n");
	tree_next("---\nrole: assistant\n---\nAnswer\n");
	set_policy(SESSION, "max_messages", "2");
	pass(0);
	ck_assert_str_eq(tree_list(MESSAGES), "003.md 004.md archive ");
	ck_assert_str_eq(tree_list(MESSAGES "/archive"), "001.md 002.md ");
	tree_expect_field("message_count", "2");
	tree_expect_field("title", "First question");
	expect_archived(SESSION "/messages/archive", id, time);
	tree_write(MESSAGES "/archive/notes", "x");
	ck_assert_str_eq(tree_attribute(MESSAGES "/archive/notes", "id"), "-");
	ck_assert_int_eq(tree_unlink(MESSAGES "/archive/notes"), 0);
	ck_assert_int_eq(tree_mkdir(MESSAGES "/other"), 0);
	tree_write(MESSAGES "/other/001.md", "x");
	ck_assert_str_eq(tree_attribute(MESSAGES "/other/001.md", "id"), "-");
	ck_assert_int_eq(tree_unlink(MESSAGES "/other/001.md"), 0);
	ck_assert_int_eq(tree_rmdir(MESSAGES "/other"), 0);
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find(SESSION), "then", 0, &info), 0);
	expect_archived(SESSION "/.snapshots/then/messages/archive", id, time);
	ck_assert_uint_eq(tree_next("Third question\n"), 5);
	pass(0);
	ck_assert_str_eq(tree_list(MESSAGES), "004.md 005.md archive ");
	tree_expect_field("title", "First question");
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(transcript_open(sessions, tree_find(SESSION), &all, &t), 0);
		ck_assert_uint_eq(t->total, 5);
		char buffer[UUID_LEN + 1];
		ck_assert_str_eq(transcript_id(t, &t->messages[0], buffer), id);
		ck_assert_str_eq(transcript_id(t, &t->messages[1], buffer), "mine");
		ck_assert_str_eq(t->title, "First question");
		transcript_free(t);
		/* a look at all messages finds the same */
		lifecycle_stop(sessions);
		tree_crash();
		ck_assert_int_eq(lifecycle_start(sessions, false), 0);
	}
}
END_TEST

START_TEST(max_messages_while_somebody_writes)
{
	struct file *file;
	tree_next("one\n");
	tree_next("two\n");
	set_policy("u", "max_messages", "1");
	ck_assert_int_eq(session_file_open(sessions, &who, tree_find(MESSAGES "/001.md"), O_RDWR, &file), 0);
	pass(0);
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
	ck_assert_int_eq(session_release(sessions, file), 0);
	pass(0);
	ck_assert_str_eq(tree_list(MESSAGES), "002.md archive ");
}
END_TEST

START_TEST(a_copy_of_the_trash)
{
	char text[4096];
	tree_next("---\nid: x\n---\nHello\n");
	delete_session();
	strcpy(text, tree_read(TRASHED "/session.json"));
	struct stat st = tree_stat(TRASHED "/messages/001.md");
	lifecycle_stop(sessions);
	tree_teardown();
	setup();
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_mkdir(TRASHED), 0);
	tree_write(TRASHED "/.x", "---\nid: x\n---\nHello\n");
	tree_set_mtime(TRASHED "/.x", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	ck_assert_int_eq(tree_rename(TRASHED "/.x", TRASHED "/messages/001.md"), 0);
	pass(DAY);
	tree_write(TRASHED "/.x", text);
	ck_assert_int_eq(tree_rename(TRASHED "/.x", TRASHED "/session.json"), 0);
	ck_assert_str_eq(tree_read(TRASHED "/session.json"), text);
	pass(0);
	ck_assert_str_eq(tree_read(TRASHED "/session.json"), text);
	/* out of the trash by a copy: it lives, and stays */
	tree_write(SESSION "/.x", text);
	ck_assert_int_eq(tree_rename(SESSION "/.x", JSON), 0);
	tree_expect_field("state", "idle");
	pass(0);
	tree_expect_field("state", "idle");
	/* it is purged by when it was deleted, and not by when the copy came */
	pass(29 * DAY);
	ck_assert_uint_eq(tree_find(TRASHED), 0);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("lifecycle");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, tree_teardown);
	tcase_add_test(c, an_edit_moves_it_to_the_trash_and_mv_brings_it_back);
	tcase_add_test(c, a_long_name_is_cut_for_its_suffix);
	tcase_add_test(c, one_in_which_somebody_writes_stays);
	tcase_add_test(c, a_crash_before_the_move);
	tcase_add_test(c, the_trash_is_emptied);
	tcase_add_test(c, the_trash_and_a_wrong_clock);
	tcase_add_test(c, by_hand_into_the_trash);
	tcase_add_test(c, a_workflow_in_the_trash);
	tcase_add_test(c, cleanup_after);
	tcase_add_test(c, cleanup_looks_at_the_messages_that_there_are);
	tcase_add_test(c, max_sessions);
	tcase_add_test(c, growth_is_told_only_where_there_is_a_limit);
	tcase_add_test(c, max_messages);
	tcase_add_test(c, max_messages_while_somebody_writes);
	tcase_add_test(c, a_copy_of_the_trash);
	return run_case("lifecycle", c);
}
