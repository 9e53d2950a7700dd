/* What a daemon that died had no time to take in, and stores that cannot be written. */
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define M1 MESSAGES "/001.md"

/* Leaves it open, as the death of the daemon finds it. */
static struct file *write_open(const char *path, const char *text)
{
	struct file *file;
	ck_assert_int_eq(
	        core_file_open(store.core, &who, tree_find(path), O_WRONLY | O_TRUNC, &file), 0);
	ck_assert_int_eq(
	        core_write(store.core, file, text, strlen(text), 0, false), (ssize_t)strlen(text));
	ck_assert_int_eq(core_commit(store.core, tree_find(path)), 0);
	return file;
}

static void crash_with(struct file *file)
{
	tree_crash();
	free(file); /* all that it referred to went with the core */
}

START_TEST(a_message_that_was_being_written)
{
	tree_next("short");
	tree_next("other");
	tree_expect_field("total_tokens", "4");
	crash_with(write_open(M1, "---\nrole: tool\ntokens: 70\n---\nlong"));
	tree_expect_field("total_tokens", "72");
	tree_expect_field("title", "other");
	ck_assert_str_eq(tree_attribute(M1, "role"), "tool");
	tree_reopen();
	tree_expect_field("total_tokens", "72");
}
END_TEST

/* Unmounted, or ended by a signal, while somebody writes: no close comes any more. */
START_TEST(a_message_that_is_open_at_the_end)
{
	tree_next("short");
	struct file *file = write_open(M1, "---\nrole: tool\ntokens: 70\n---\nlong");
	tree_reopen();
	free(file);
	tree_expect_field("total_tokens", "70");
	ck_assert_str_eq(tree_attribute(M1, "role"), "tool");
}
END_TEST

START_TEST(a_save_that_was_not_closed)
{
	static char text[4096];
	tree_next("hello");
	strcpy(text, tree_read(JSON));
	memcpy(strstr(text, "hello"), "HELLO", 5);
	crash_with(write_open(JSON, text));
	tree_expect_field("title", "HELLO");
	crash_with(write_open(JSON, "{\"half"));
	tree_expect_field("title", "HELLO");
	ck_assert_str_eq(tree_read(SESSION "/session.json.rejected"), "{\"half");
}
END_TEST

/* The look at all after a crash comes while somebody saves: what stands there by then is not a save. */
START_TEST(a_save_that_is_under_way)
{
	static char text[4096];
	struct file *file;
	tree_next("hello");
	strcpy(text, tree_read(JSON));
	memcpy(strstr(text, "hello"), "HELLO", 5);
	uint64_t ino = tree_find(JSON);
	tree_crash();
	ck_assert_int_eq(core_file_open(store.core, &who, ino, O_WRONLY | O_TRUNC, &file), 0);
	ck_assert_int_eq(core_write(store.core, file, text, 5, 0, false), 5);
	ck_assert_uint_eq(tree_find(JSON), ino);
	ck_assert_uint_eq(tree_find(SESSION "/session.json.rejected"), 0);
	ck_assert_int_eq(core_write(store.core, file, text + 5, strlen(text) - 5, 5, false),
	        (ssize_t)strlen(text) - 5);
	ck_assert_int_eq(session_flush(sessions, file), 0);
	ck_assert_int_eq(session_release(sessions, file), 0);
	tree_expect_field("title", "HELLO");
	ck_assert_uint_eq(tree_find(SESSION "/session.json.rejected"), 0);
}
END_TEST

START_TEST(an_agent_that_was_not_closed)
{
	tree_write(SESSION "/agent", "a");
	crash_with(write_open(SESSION "/agent", "b"));
	tree_expect_field("current", "b");
	tree_expect_field("switch_count", "1");
	tree_crash();
	tree_expect_field("switch_count", "1");
}
END_TEST

START_TEST(nothing_is_lost_by_dying_between_operations)
{
	for (int i = 0; i < 20; i++) {
		tree_next("12345678");
		if (i % 5 == 0)
			tree_crash();
	}
	tree_expect_field("message_count", "20");
	tree_expect_field("total_tokens", "40");
	ck_assert_uint_eq(tree_next("x"), 21);
}
END_TEST

START_TEST(a_store_that_is_read_only)
{
	tree_next("x");
	tree_field("version");
	tree_next("y");
	store.options.read_only = true;
	tree_reopen();
	tree_expect_field("message_count", "1"); /* the last rendering */
	ck_assert_str_eq(tree_attribute(SESSION, "message_count"), "2");
	ck_assert_int_eq(tree_mkdir("u/w/s2"), -EROFS);
	ck_assert_int_eq(tree_write_flags(MESSAGES "/next.md", "x", 0, NULL), -EROFS);
	store.options.read_only = false;
	tree_reopen();
	tree_expect_field("message_count", "2");
}
END_TEST

static bool is_interrupted(void)
{
	return strstr(tree_read(JSON), "\n  \"interrupted\": true,\n") != NULL;
}

static struct file *open_file(const char *path, int flags)
{
	struct file *file;
	ck_assert_int_eq(session_file_open(sessions, &who, tree_find(path), flags, &file), 0);
	return file;
}

START_TEST(a_session_with_a_file_open_for_writing)
{
	static const int modes[] = {O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
	tree_next("one");
	struct file *file = open_file(M1, modes[_i]);
	ck_assert(!is_interrupted());
	crash_with(file);
	ck_assert_uint_eq(session_interrupted(sessions), 1);
	ck_assert(is_interrupted());
	/* It stays so over further deaths and restarts … */
	tree_crash();
	ck_assert_uint_eq(session_interrupted(sessions), 0);
	ck_assert(is_interrupted());
	tree_reopen();
	tree_append(M1, "more");
	tree_write(SESSION "/notes", "x");
	ck_assert(is_interrupted());
	/* … until the next message. */
	ck_assert_uint_eq(tree_next("two"), 2);
	ck_assert(!is_interrupted());
	tree_crash();
	ck_assert(!is_interrupted());
}
END_TEST

START_TEST(sessions_that_were_not_interrupted)
{
	struct file *file[4];
	tree_next("one");
	/* Only read; closed again, all of several; open in the workflow, not in the session. */
	file[0] = open_file(M1, O_RDONLY);
	file[1] = open_file(M1, O_RDWR);
	file[2] = open_file(M1, O_WRONLY);
	tree_write("u/w/plain", "x");
	file[3] = open_file("u/w/plain", O_WRONLY);
	ck_assert_int_eq(session_release(sessions, file[1]), 0);
	ck_assert_int_eq(session_release(sessions, file[2]), 0);
	tree_crash();
	free(file[0]);
	free(file[3]);
	ck_assert_uint_eq(session_interrupted(sessions), 0);
	ck_assert(!is_interrupted());
	/* Unmounted in order while somebody writes: the daemon did not die. */
	file[0] = open_file(M1, O_WRONLY);
	tree_reopen();
	free(file[0]);
	ck_assert_uint_eq(session_interrupted(sessions), 0);
	ck_assert(!is_interrupted());
}
END_TEST

START_TEST(many_interrupted_sessions)
{
	char path[64];
	struct file *file[300];
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof path, "u/w/s%d", i);
		ck_assert_int_eq(tree_mkdir(path), 0);
		strcat(path, "/file");
		tree_write(path, "x");
		file[i] = open_file(path, O_WRONLY);
	}
	/* One is deleted while it is open. */
	ck_assert_int_eq(tree_unlink("u/w/s7/file"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/s7"), 0);
	tree_crash();
	for (int i = 0; i < 300; i++)
		free(file[i]);
	ck_assert_uint_eq(session_interrupted(sessions), 299);
	ck_assert(strstr(tree_read("u/w/s299/session.json"), "\"interrupted\": true,"));
}
END_TEST

START_TEST(an_interruption_that_somebody_has_seen)
{
	tree_next("one");
	crash_with(open_file(M1, O_WRONLY));
	ck_assert(is_interrupted());
	tree_edit("\"interrupted\": true,", "", false);
	ck_assert(!is_interrupted());
	tree_edit("\"state\": \"active\",", "\"state\": \"active\", \"interrupted\": true,", true);
	ck_assert(is_interrupted());
	tree_edit("\"interrupted\": true,", "\"interrupted\": false,", false);
	ck_assert(!is_interrupted());
}
END_TEST

/* The copy's messages come after its session.json, and are no next ones. */
START_TEST(a_copy_of_an_interrupted_session)
{
	static char text[4096];
	tree_next("one");
	tree_next("two");
	crash_with(open_file(M1, O_WRONLY));
	strcpy(text, tree_read(JSON));
	ck_assert_ptr_nonnull(strstr(text, "interrupted"));
	for (int json_first = 0; json_first < 2; json_first++) {
		ck_assert_int_eq(tree_unlink(M1), 0);
		ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
		ck_assert_int_eq(tree_unlink(JSON), 0);
		ck_assert_int_eq(tree_rmdir(MESSAGES), 0);
		ck_assert_int_eq(tree_rmdir(SESSION), 0);
		ck_assert_int_eq(tree_mkdir(SESSION), 0);
		if (json_first)
			tree_write(JSON, text);
		tree_write(M1, "one");
		tree_write(MESSAGES "/002.md", "two");
		if (!json_first)
			tree_write(JSON, text);
		ck_assert_str_eq(tree_read(JSON), text);
	}
	tree_next("three");
	ck_assert(!is_interrupted());
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("recovery");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_add_test(c, a_message_that_was_being_written);
	tcase_add_test(c, a_message_that_is_open_at_the_end);
	tcase_add_test(c, a_save_that_was_not_closed);
	tcase_add_test(c, a_save_that_is_under_way);
	tcase_add_test(c, an_agent_that_was_not_closed);
	tcase_add_test(c, nothing_is_lost_by_dying_between_operations);
	tcase_add_test(c, a_store_that_is_read_only);
	tcase_add_loop_test(c, a_session_with_a_file_open_for_writing, 0, 3);
	tcase_add_test(c, sessions_that_were_not_interrupted);
	tcase_add_test(c, many_interrupted_sessions);
	tcase_add_test(c, an_interruption_that_somebody_has_seen);
	tcase_add_test(c, a_copy_of_an_interrupted_session);
	return run_case("recovery", c);
}
