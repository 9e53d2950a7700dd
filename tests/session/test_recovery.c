/* What a daemon that died had no time to take in, and stores that cannot be written. */
#include "tests/session/suite.h"
#include "tests/session/tree.h"

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

int main(void)
{
	TCase *c = tcase_create("recovery");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_add_test(c, a_message_that_was_being_written);
	tcase_add_test(c, a_message_that_is_open_at_the_end);
	tcase_add_test(c, a_save_that_was_not_closed);
	tcase_add_test(c, an_agent_that_was_not_closed);
	tcase_add_test(c, nothing_is_lost_by_dying_between_operations);
	tcase_add_test(c, a_store_that_is_read_only);
	return suite_run("recovery", c);
}
