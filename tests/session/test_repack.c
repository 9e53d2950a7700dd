/* Archived sessions are packed, say so, and read as before. */
#include "fs/session/lifecycle.h"
#include "kv/pack.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY INT64_C(86400000)
#define N 150
#define SAYS "\"compressed\": true"

static char texts[N][600];

static void setup(void)
{
	uint32_t seed = 1;

	tree_setup();
	ck_assert_int_eq(lifecycle_start(sessions, false), 0);
	for (int i = 0; i < N; i++) {
		static const char *const words[] = {"the parser", "fails on", "an empty line", "src/read.c", "I see",
		        "let me look", "at the test", "it passes now"};
		int len = sprintf(texts[i], "---\nrole: %s\n---\n", i % 2 ? "assistant" : "user");
		while (len < 500) {
			seed = seed * 1664525u + 1013904223u;
			len += sprintf(texts[i] + len, "%s %u ", words[(seed >> 16) % 8], seed >> 28);
		}
		tree_next(texts[i]);
	}
}

static void pass(int64_t ms)
{
	atomic_fetch_add(&sessions->clock_shift, ms);
	lifecycle_pass(sessions);
}

static bool says_packed(void)
{
	return strstr(tree_read(JSON), SAYS) != NULL;
}

static void expect_texts(void)
{
	char path[64];

	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof path, MESSAGES "/%03d.md", i + 1);
		ck_assert_str_eq(tree_read(path), texts[i]);
	}
}

static unsigned dictionaries(void)
{
	struct kv_dictionary_info info = {0};
	struct inode *dir;

	ck_assert_int_eq(inode_get(store.core, tree_find(SESSION), NULL, &dir), 0);
	(void)kv_dictionary_get_info(store.kv, dir->container->domain, &info);
	inode_put(dir);
	return info.number;
}

START_TEST(when_it_is_archived)
{
	pass(29 * DAY);
	tree_expect_field("state", "idle");
	ck_assert(!says_packed());
	ck_assert_uint_eq(dictionaries(), 0);
	pass(2 * DAY);
	tree_expect_field("state", "archived");
	ck_assert(says_packed());
	ck_assert_uint_eq(dictionaries(), 1);
	uint64_t version = strtoull(tree_field("version"), NULL, 10);
	pass(DAY);
	ck_assert_uint_eq(strtoull(tree_field("version"), NULL, 10), version);
	expect_texts();
	tree_reopen();
	expect_texts();
	ck_assert(says_packed());
}
END_TEST

START_TEST(a_message_ends_it)
{
	pass(31 * DAY);
	ck_assert(says_packed());
	tree_next("again\n");
	ck_assert(!says_packed());
	pass(31 * DAY);
	ck_assert(says_packed());
	tree_append(MESSAGES "/001.md", "more");
	ck_assert(!says_packed());
	pass(0);
	ck_assert(says_packed());
	ck_assert_uint_eq(dictionaries(), 1);
}
END_TEST

START_TEST(nobody_else_says_so)
{
	tree_edit("\"last_activity\"", SAYS ", \"last_activity\"", false);
	ck_assert(!says_packed());
	pass(31 * DAY);
	ck_assert(says_packed());
	tree_edit(SAYS, "\"compressed\": false", true);
	ck_assert(says_packed());
	tree_edit(",\n    " SAYS, "", true);
	ck_assert(says_packed());
}
END_TEST

/* Somebody may be comparing it with a copy. */
START_TEST(not_in_its_first_hour)
{
	ck_assert_int_eq(tree_mkdir("u/w/old"), 0);
	tree_mkdir("u/w/old/messages");
	tree_write("u/w/old/messages/001.md", "---\ntimestamp: 2020-01-02T03:04:05Z\n---\nlong ago\n");
	pass(DAY / 25);
	ck_assert_ptr_nonnull(strstr(tree_read("u/w/old/session.json"), "archived"));
	ck_assert_ptr_null(strstr(tree_read("u/w/old/session.json"), SAYS));
	pass(DAY / 25);
	ck_assert_ptr_nonnull(strstr(tree_read("u/w/old/session.json"), SAYS));
}
END_TEST

/* As a backup brings it back, into a store where it is not packed yet: the same bytes, and packed soon. */
START_TEST(a_copy_says_so_too)
{
	char path[64];

	pass(31 * DAY);
	char *json = strdup(tree_read(JSON));
	ck_assert_ptr_nonnull(strstr(json, SAYS));
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof path, MESSAGES "/%03d.md", i + 1);
		ck_assert_int_eq(tree_unlink(path), 0);
	}
	ck_assert_int_eq(tree_unlink(JSON), 0);
	ck_assert_int_eq(tree_rmdir(MESSAGES), 0);
	ck_assert_int_eq(tree_rmdir(SESSION), 0);
	ck_assert_int_eq(tree_mkdir(SESSION), 0);
	tree_write(JSON, json);
	for (int i = 0; i < N; i++) {
		snprintf(path, sizeof path, MESSAGES "/%03d.md", i + 1);
		tree_write(path, texts[i]);
	}
	ck_assert_str_eq(tree_read(JSON), json);
	pass(0);
	ck_assert_str_eq(tree_read(JSON), json);
	pass(31 * DAY);
	ck_assert(says_packed());
	expect_texts();
	free(json);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("repack");
	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, tree_teardown);
	tcase_add_test(c, when_it_is_archived);
	tcase_add_test(c, a_message_ends_it);
	tcase_add_test(c, nobody_else_says_so);
	tcase_add_test(c, not_in_its_first_hour);
	tcase_add_test(c, a_copy_says_so_too);
	return run_case("repack", c);
}
