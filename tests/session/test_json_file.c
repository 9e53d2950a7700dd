/* The file session.json: rendered lazily, saved, rejected, removed. */
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

START_TEST(the_canonical_file)
{
	char expected[2048], id[64], created[64];
	tree_write(MESSAGES "/001.md",
	        "---\ntimestamp: 2024-01-02T03:04:05Z\ntokens: 3\n---\nHello\n");
	strcpy(id, tree_field("session_id"));
	strcpy(created, tree_field("created_at"));
	const char *updated = tree_field("updated_at");
	snprintf(expected, sizeof expected,
	        "{\n  \"session_id\": \"%s\",\n  \"user_id\": \"u\",\n  \"workflow_type\": \"w\",\n"
	        "  \"title\": \"Hello\",\n  \"state\": \"archived\",\n  \"created_at\": \"%s\",\n"
	        "  \"updated_at\": \"%s\",\n  \"version\": 1,\n  \"message_count\": 1,\n  "
	        "\"metadata\": {\n"
	        "    \"total_tokens\": 3,\n    \"last_activity\": \"2024-01-02T03:04:05.000Z\"\n  "
	        "},\n"
	        "  \"agent\": {\n    \"current\": null,\n    \"history\": [],\n    "
	        "\"switch_count\": 0\n  }\n}\n",
	        id, created, updated);
	ck_assert_str_eq(tree_read(JSON), expected);
	struct stat st = tree_stat(JSON);
	ck_assert_int_eq(st.st_size, (off_t)strlen(expected));
	/* the same after a restart, and nothing was written for it */
	uint64_t ino = tree_find(JSON), sequence = kv_sequence(store.kv);
	tree_read(JSON);
	ck_assert_uint_eq(kv_sequence(store.kv), sequence);
	tree_reopen();
	ck_assert_str_eq(tree_read(JSON), expected);
	ck_assert_uint_eq(tree_find(JSON), ino);
}
END_TEST

START_TEST(a_change_is_a_new_file)
{
	struct file *old;
	char before[4096], now[4096];
	struct stat dir = tree_stat(SESSION);
	uint64_t ino = tree_find(JSON);
	strcpy(before, tree_read(JSON));
	ck_assert_int_eq(core_file_open(store.core, &who, ino, O_RDONLY, &old), 0);
	tree_next("x");
	ck_assert_uint_ne(tree_find(JSON), ino);
	ssize_t n = core_read(store.core, old, now, sizeof now - 1, 0);
	ck_assert_int_ge(n, 0);
	now[n] = '\0';
	ck_assert_str_eq(now, before); /* whoever has it open reads what it was */
	ck_assert_int_eq(session_release(sessions, old), 0);
	ck_assert_int_eq(tree_stat(SESSION).st_mtim.tv_sec, dir.st_mtim.tv_sec);
	ck_assert_int_eq(tree_stat(SESSION).st_mtim.tv_nsec, dir.st_mtim.tv_nsec);
	tree_expect_field("version", "2");
}
END_TEST

START_TEST(many_changes_are_one_rendering)
{
	tree_expect_field("version", "1");
	for (int i = 0; i < 200; i++)
		tree_next("x");
	tree_expect_field("version", "2");
	tree_expect_field("message_count", "200");
}
END_TEST

START_TEST(owner_mode_and_attributes_are_kept)
{
	struct stat st = {.st_mode = 0640, .st_uid = 5, .st_gid = 6};
	struct buf value = {0};
	uint64_t ino = tree_find(JSON);
	ck_assert_int_eq(session_setattr(sessions, &who, ino, &st,
	                         CORE_SET_MODE | CORE_SET_UID | CORE_SET_GID, &st),
	        0);
	ck_assert_int_eq(session_setxattr(sessions, &who, ino, "user.mine", "v", 1, 0), 0);
	tree_next("x");
	st = tree_stat(JSON);
	ck_assert_uint_ne(st.st_ino, ino);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	ck_assert_uint_eq(st.st_uid, 5);
	ck_assert_uint_eq(st.st_gid, 6);
	ck_assert_int_eq(session_getxattr(sessions, &who, tree_find(JSON), "user.mine", &value), 0);
	ck_assert_uint_eq(value.len, 1);
	buf_release(&value);
}
END_TEST

static void edits(bool by_rename)
{
	tree_next("automatic\n");
	tree_edit("\"title\": \"automatic\"", "\"title\": \"Mine\"", by_rename);
	tree_expect_field("title", "Mine");
	tree_expect_field("message_count", "1");
	tree_edit(
	        "\"last_activity\"", "\"big\": 12345678901234567890, \"last_activity\"", by_rename);
	tree_next("more");
	tree_expect_field("big", "12345678901234567890");
	tree_expect_field("title", "Mine");
	tree_expect_field("message_count", "2");
	tree_edit("\"title\": \"Mine\"", "\"title\": \"automatic\"", by_rename);
	tree_write(MESSAGES "/001.md", "changed");
	tree_expect_field("title", "changed"); /* it was the automatic one again */
	tree_edit("\"state\": \"active\"", "\"state\": \"archived\"", by_rename);
	tree_reopen();
	tree_expect_field("state", "archived");
	ck_assert_str_eq(tree_attribute(SESSION, "state"), "archived");
}

START_TEST(edits_in_place)
{
	edits(false);
}
END_TEST

START_TEST(edits_by_rename)
{
	edits(true);
}
END_TEST

START_TEST(a_save_through_a_stale_descriptor)
{
	static char text[4096];
	struct file *file;
	uint64_t ino = tree_find(JSON);
	const char *now = tree_read(JSON), *state = strstr(now, "active");
	snprintf(text, sizeof text, "%.*sidle%s", (int)(state - now), now, state + 6);
	size_t len = strlen(text);
	ck_assert_int_eq(core_file_open(store.core, &who, ino, O_RDWR, &file), 0);
	tree_next("meanwhile\n");
	tree_expect_field("title", "meanwhile"); /* another file stands there now */
	struct stat st = {.st_size = 0};
	ck_assert_int_eq(session_setattr(sessions, &who, ino, &st, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(core_write(store.core, file, text, len, 0, false), (ssize_t)len);
	ck_assert_int_eq(session_release(sessions, file), 0);
	tree_expect_field("state", "idle");
	tree_expect_field("title", "meanwhile");
	tree_expect_field("message_count", "1");
}
END_TEST

START_TEST(broken_saves_are_kept_aside)
{
	char before[4096];
	tree_next("hello\n");
	strcpy(before, tree_read(JSON));
	tree_write(JSON, "{\"title\": \"cut");
	ck_assert_str_eq(tree_read(JSON), before);
	ck_assert_str_eq(tree_read(SESSION "/session.json.rejected"), "{\"title\": \"cut");
	ck_assert_str_eq(
	        tree_attribute(SESSION "/session.json.rejected", "reason"), "it is not valid JSON");
	tree_write(SESSION "/tmp", "[]");
	ck_assert_int_eq(tree_rename(SESSION "/tmp", JSON), 0);
	ck_assert_str_eq(tree_read(JSON), before);
	ck_assert_str_eq(tree_read(SESSION "/session.json.rejected"), "[]");
	ck_assert_str_eq(tree_list(SESSION), "messages session.json session.json.rejected ");
	tree_write(JSON, "");
	ck_assert_str_eq(tree_read(JSON), before);
	tree_edit("\"title\": \"hello\"", "\"title\": \"good\"", false);
	tree_expect_field("title", "good");
}
END_TEST

START_TEST(a_huge_save_is_kept_aside)
{
	static char text[(1 << 20) + 100];
	memset(text, ' ', sizeof text - 1);
	text[0] = '{';
	text[sizeof text - 2] = '}';
	tree_write(JSON, text);
	ck_assert_uint_eq(
	        (uint64_t)tree_stat(SESSION "/session.json.rejected").st_size, sizeof text - 1);
	tree_expect_field("message_count", "0");
}
END_TEST

START_TEST(removed_it_stays_away)
{
	char id[64];
	strcpy(id, tree_field("session_id"));
	ck_assert_int_eq(tree_unlink(JSON), 0);
	tree_next("x");
	ck_assert_str_eq(tree_list(SESSION), "messages ");
	tree_reopen();
	ck_assert_uint_eq(tree_find(JSON), 0);
	tree_write(JSON, "{\"title\": \"Back\"}");
	tree_expect_field("title", "Back");
	tree_expect_field("session_id", id);
	tree_expect_field("message_count", "1");
	/* renamed away it is a plain file */
	ck_assert_int_eq(tree_rename(JSON, SESSION "/session.json~"), 0);
	ck_assert_uint_eq(tree_find(JSON), 0);
	tree_write(SESSION "/session.json~", "anything");
	ck_assert_str_eq(tree_read(SESSION "/session.json~"), "anything");
}
END_TEST

START_TEST(the_agents_file)
{
	tree_write(SESSION "/agent", "claude\n");
	tree_expect_field("current", "claude");
	tree_expect_field("switch_count", "0");
	tree_write(SESSION "/agent", "claude\n");
	tree_write(SESSION "/agent", "agent: codex # tests fail\n");
	tree_expect_field("current", "codex");
	tree_expect_field("switch_count", "1");
	tree_expect_field("reason", "tests fail");
	tree_expect_field("from", "claude");
	tree_write(SESSION "/tmp", "{\"agent\": \"third\", \"reason\": \"r\"}");
	ck_assert_int_eq(tree_rename(SESSION "/tmp", SESSION "/agent"), 0);
	tree_expect_field("current", "third");
	tree_write(SESSION "/agent", "\n \n");
	tree_write(SESSION "/agent", "{\"x\": 1}");
	ck_assert_int_eq(tree_unlink(SESSION "/agent"), 0);
	tree_expect_field("current", "third");
	tree_expect_field("switch_count", "2");
	ck_assert_str_eq(tree_attribute(SESSION, "agent"), "third");
}
END_TEST

START_TEST(an_edit_and_the_agents_file)
{
	tree_write(SESSION "/agent", "claude\n");
	tree_edit("\"current\": \"claude\"", "\"current\": \"codex\"", false);
	tree_expect_field("switch_count", "1");
	tree_expect_field("file", "claude");
	ck_assert_str_eq(tree_read(SESSION "/agent"), "claude\n");
	tree_write(SESSION "/agent", "agent: claude\n"); /* the same again */
	tree_crash();
	tree_expect_field("current", "codex");
	tree_expect_field("switch_count", "1");
	tree_write(SESSION "/agent", "codex\n");
	tree_expect_field("switch_count", "1");
	ck_assert_ptr_null(strstr(tree_read(JSON), "\"file\""));
	tree_write(SESSION "/agent", "claude\n"); /* another word than the last */
	tree_expect_field("current", "claude");
	tree_expect_field("switch_count", "2");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("json_file");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, the_canonical_file);
	tcase_add_test(c, a_change_is_a_new_file);
	tcase_add_test(c, many_changes_are_one_rendering);
	tcase_add_test(c, owner_mode_and_attributes_are_kept);
	tcase_add_test(c, edits_in_place);
	tcase_add_test(c, edits_by_rename);
	tcase_add_test(c, a_save_through_a_stale_descriptor);
	tcase_add_test(c, broken_saves_are_kept_aside);
	tcase_add_test(c, a_huge_save_is_kept_aside);
	tcase_add_test(c, removed_it_stays_away);
	tcase_add_test(c, the_agents_file);
	tcase_add_test(c, an_edit_and_the_agents_file);
	return run_case("json_file", c);
}
