/* States: by age, by the user, in copies; and who was interrupted. Hours pass by the session layer's clock. */
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/transcript.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static void pass(int64_t ms)
{
	atomic_fetch_add(&sessions->clock_shift, ms);
}

static void set_policy(const char *path, const char *name, const char *value)
{
	char full[64];
	snprintf(full, sizeof full, "user.scribefs.%s", name);
	ck_assert_int_eq(session_setxattr(sessions, &who, tree_find(path), full, value, strlen(value), 0), 0);
}

static unsigned interrupted(void)
{
	struct transcript_range none = {0};
	struct transcript *t;
	ck_assert_int_eq(transcript_open(sessions, tree_find(SESSION), &none, &t), 0);
	unsigned bits = t->interrupted;
	transcript_free(t);
	return bits;
}

START_TEST(by_age)
{
	const struct ages ages = {.idle = 10, .archive = 30}, none = {0}, late = {.idle = 50, .archive = 30};
	ck_assert_int_eq(state_at(&ages, 100, 109), STATE_ACTIVE);
	ck_assert_int_eq(state_at(&ages, 100, 50), STATE_ACTIVE);
	ck_assert_int_eq(state_at(&ages, 100, 110), STATE_IDLE);
	ck_assert_int_eq(state_at(&ages, 100, 130), STATE_ARCHIVED);
	ck_assert_int_eq(state_at(&none, 100, INT64_MAX), STATE_ACTIVE);
	ck_assert_int_eq(state_at(&late, 100, 140), STATE_ARCHIVED);
	ck_assert_int_eq(state_at(&ages, INT64_MAX, 140), STATE_ACTIVE);
	ck_assert_int_eq(state_until(&ages, 100, 105), 110);
	ck_assert_int_eq(state_until(&ages, 100, 110), 130);
	ck_assert_int_eq(state_until(&ages, 100, 130), TIME_NEVER);
	ck_assert_int_eq(state_until(&late, 100, 105), 130);
	ck_assert_int_eq(state_until(&none, 100, 105), TIME_NEVER);
	ck_assert_int_eq(state_since(&ages, 100, 105), INT64_MIN);
	ck_assert_int_eq(state_since(&ages, 100, 129), 110);
	ck_assert_int_eq(state_since(&ages, 100, 199), 130);
}
END_TEST

START_TEST(time_alone_renders_anew)
{
	char updated[64];
	tree_next("Hello\n");
	tree_expect_field("state", "active");
	tree_expect_field("version", "1");
	strcpy(updated, tree_field("updated_at"));
	uint64_t sequence = kv_sequence(store.kv);
	pass(HOUR - 2000);
	tree_expect_field("state", "active");
	ck_assert_uint_eq(kv_sequence(store.kv), sequence);
	pass(3000);
	tree_expect_field("state", "idle");
	tree_expect_field("version", "2");
	ck_assert_str_ne(tree_field("updated_at"), updated);
	/* it says when it became so, and not when somebody looked */
	strcpy(updated, tree_field("updated_at"));
	struct stat st = tree_stat(JSON);
	sequence = kv_sequence(store.kv);
	pass(DAY);
	tree_expect_field("updated_at", updated);
	ck_assert_uint_eq(kv_sequence(store.kv), sequence);
	ck_assert_int_eq(tree_stat(JSON).st_mtim.tv_sec, st.st_mtim.tv_sec);
	pass(30 * DAY);
	tree_expect_field("state", "archived");
	ck_assert_int_eq(tree_stat(JSON).st_mtim.tv_sec - st.st_mtim.tv_sec, 30 * 86400 - 3600);
	tree_next("again\n");
	atomic_store(&sessions->clock_shift, 0);
	tree_expect_field("state", "active");
}
END_TEST

START_TEST(by_policy)
{
	tree_next("---\ntimestamp: 2026-01-02T03:04:05Z\n---\nHello\n");
	tree_expect_field("state", "archived");
	set_policy("u", "archive", "none");
	tree_expect_field("state", "idle");
	set_policy("u/w", "idle", "0");
	tree_expect_field("state", "active");
	set_policy(SESSION, "archive", "1d");
	tree_expect_field("state", "archived");
	ck_assert_str_eq(tree_attribute(SESSION, "state"), "archived");
}
END_TEST

START_TEST(the_users_holds_until_a_message)
{
	tree_next("Hello\n");
	tree_edit("\"active\"", "\"archived\"", _i);
	tree_expect_field("state", "archived");
	pass(2 * HOUR);
	tree_expect_field("state", "archived");
	tree_edit("\"title\": \"Hello\"", "\"title\": \"Mine\"", _i);
	tree_expect_field("state", "archived");
	tree_reopen();
	tree_expect_field("state", "archived");
	tree_next("again\n");
	tree_expect_field("state", "active");
	/* what time gives anyway is nobody's */
	pass(2 * HOUR);
	tree_expect_field("state", "idle");
	tree_edit("\"idle\"", "\"active\"", _i);
	tree_expect_field("state", "active");
	tree_edit("\"active\"", "\"idle\"", _i);
	pass(31 * DAY);
	tree_expect_field("state", "archived");
}
END_TEST

/* session.json comes back into another store @age after it was written. */
static void restore(const char *edit_to, int64_t before, int64_t age, char *ret_text)
{
	char text[4096];
	tree_next("---\nid: x\n---\nHello\n");
	pass(before);
	tree_read(JSON);
	if (edit_to)
		tree_edit("\"active\"", edit_to, true);
	strcpy(text, tree_read(JSON));
	struct stat st = tree_stat(MESSAGES "/001.md");
	tree_teardown();
	tree_setup();
	pass(before + age);
	tree_write(SESSION "/.x", "---\nid: x\n---\nHello\n");
	tree_set_mtime(SESSION "/.x", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	ck_assert_int_eq(tree_rename(SESSION "/.x", MESSAGES "/001.md"), 0);
	tree_write(SESSION "/.x", text);
	ck_assert_int_eq(tree_rename(SESSION "/.x", JSON), 0);
	ck_assert_str_eq(tree_read(JSON), text);
	tree_reopen();
	atomic_store(&sessions->clock_shift, before + age);
	ck_assert_str_eq(tree_read(JSON), text);
	strcpy(ret_text, text);
}

START_TEST(a_copy_of_one_that_is_idle)
{
	char text[4096];
	restore(NULL, 2 * HOUR, 60000, text);
	tree_expect_field("state", "idle");
	pass(30 * DAY);
	tree_expect_field("state", "archived");
}
END_TEST

START_TEST(a_copy_of_one_that_the_user_archived)
{
	char text[4096];
	restore("\"archived\"", 0, 60000, text);
	pass(3 * HOUR);
	tree_expect_field("state", "archived");
	ck_assert_str_eq(tree_read(JSON), text);
}
END_TEST

/* session.json first, and nobody looks at it until another message has come. */
START_TEST(a_copy_that_goes_on)
{
	char text[4096];
	tree_next("Hello\n");
	tree_read(JSON);
	tree_edit("\"active\"", "\"archived\"", true);
	strcpy(text, tree_read(JSON));
	tree_teardown();
	tree_setup();
	tree_write(JSON, text);
	tree_write(MESSAGES "/001.md", "Hello\n");
	if (_i == 1)
		tree_write(MESSAGES "/001.md", "Hello, or so\n");
	if (_i == 2)
		ck_assert_int_eq(tree_unlink(MESSAGES "/001.md"), 0);
	if (_i == 3)
		ck_assert_int_eq(tree_rename(MESSAGES "/001.md", SESSION "/aside"), 0);
	if (_i < 4)
		ck_assert_uint_eq(tree_next("and more\n"), 2);
	tree_expect_field("state", _i < 4 ? "active" : "archived");
}
END_TEST

START_TEST(a_copy_that_is_edited)
{
	char text[4096];
	restore("\"archived\"", 0, 60000, text);
	tree_edit("\"archived\"", "\"active\"", _i);
	tree_expect_field("state", "active");
}
END_TEST

/* What came back is what it was, so that a second rsync sends nothing; then time goes on. */
START_TEST(a_copy_that_time_overtook)
{
	char text[4096];
	restore(NULL, 0, DAY, text);
	pass(50 * 60000);
	ck_assert_str_eq(tree_read(JSON), text);
	tree_expect_field("state", "active");
	pass(11 * 60000);
	tree_expect_field("state", "idle");
	tree_expect_field("message_count", "1");
}
END_TEST

START_TEST(an_agent_that_stopped)
{
	tree_next("---\nrole: user\n---\nWhat?\n");
	ck_assert_uint_eq(interrupted(), 0);
	pass(6 * 60000);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
	tree_next("---\nrole: assistant\n---\nThat.\n");
	ck_assert_uint_eq(interrupted(), 0);
	pass(HOUR);
	ck_assert_uint_eq(interrupted(), 0);
	/* the answer goes away again: the last one is the question */
	ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
	pass(HOUR);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
	tree_reopen();
	pass(3 * HOUR);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
}
END_TEST

START_TEST(nobody_waits_for_what_is_archived)
{
	struct session_version v, now;
	tree_next("---\nrole: user\n---\nWhat?\n");
	pass(6 * 60000);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
	tree_edit("\"state\": \"active\"", "\"state\": \"archived\"", false);
	pass(HOUR);
	ck_assert_uint_eq(interrupted(), 0);
	tree_edit("\"state\": \"archived\"", "\"state\": \"idle\"", false);
	pass(HOUR);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	pass(30 * DAY);
	ck_assert_int_eq(session_stamp(sessions, tree_find(SESSION), &now), 0);
	ck_assert(!session_version_holds(sessions, &v, &now));
	ck_assert_uint_eq(interrupted(), 0);
}
END_TEST

START_TEST(an_agent_at_work)
{
	struct file *file;
	tree_next("---\nrole: user\n---\nWhat?\n");
	ck_assert_int_eq(session_file_open(sessions, &who, tree_find(MESSAGES "/001.md"), O_WRONLY, &file), 0);
	pass(HOUR);
	ck_assert_uint_eq(interrupted(), 0);
	ck_assert_int_eq(session_release(sessions, file), 0);
	ck_assert_uint_eq(interrupted(), INTERRUPTED_AGENT);
}
END_TEST

static int64_t changed(void)
{
	struct session_version v;
	struct transcript_range none = {0};
	struct transcript *t;
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(transcript_open(sessions, tree_find(SESSION), &none, &t), 0);
	ck_assert_int_eq(timestamp_ms(&v.changed), t->changed);
	transcript_free(t);
	return timestamp_ms(&v.changed);
}

/* What is copied by size and mtime misses no resume.md that came to say so. */
START_TEST(to_be_interrupted_is_a_change)
{
	tree_next("---\nrole: user\n---\nWhat?\n");
	int64_t before = changed();
	pass(4 * 60000);
	ck_assert_int_eq(changed(), before);
	pass(2 * 60000);
	ck_assert_int_eq(changed(), before + 5 * 60000);
	pass(60000);
	ck_assert_int_eq(changed(), before + 5 * 60000);
}
END_TEST

START_TEST(what_is_derived_knows_how_long)
{
	struct session_version v, now;
	tree_next("---\nrole: assistant\n---\nThat.\n");
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(session_stamp(sessions, tree_find(SESSION), &now), 0);
	ck_assert(session_version_holds(sessions, &v, &now));
	pass(HOUR);
	ck_assert(!session_version_holds(sessions, &v, &now));
	tree_next("---\nrole: tool\n---\nThis.\n");
	atomic_store(&sessions->clock_shift, 0);
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	ck_assert_int_eq(session_stamp(sessions, tree_find(SESSION), &now), 0);
	ck_assert(session_version_holds(sessions, &v, &now));
	pass(6 * 60000);
	ck_assert(!session_version_holds(sessions, &v, &now));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("states");
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_add_test(c, by_age);
	tcase_add_test(c, time_alone_renders_anew);
	tcase_add_test(c, by_policy);
	tcase_add_loop_test(c, the_users_holds_until_a_message, 0, 2);
	tcase_add_test(c, a_copy_of_one_that_is_idle);
	tcase_add_test(c, a_copy_of_one_that_the_user_archived);
	tcase_add_loop_test(c, a_copy_that_goes_on, 0, 5);
	tcase_add_loop_test(c, a_copy_that_is_edited, 0, 2);
	tcase_add_test(c, a_copy_that_time_overtook);
	tcase_add_test(c, an_agent_that_stopped);
	tcase_add_test(c, nobody_waits_for_what_is_archived);
	tcase_add_test(c, an_agent_at_work);
	tcase_add_test(c, to_be_interrupted_is_a_change);
	tcase_add_test(c, what_is_derived_knows_how_long);
	return run_case("states", c);
}
