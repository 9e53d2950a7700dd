/* Automatic snapshots with a clock of the test's, which also says when the thread would work. */
#include "fs/session/auto.h"
#include "fs/session/session_internal.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define S ((int64_t)1000)
#define HOUR (3600 * S)
#define M1 MESSAGES "/001.md"
#define CONTEXT SESSION "/context.json"

static int64_t now;

static int64_t get_now(void *arg)
{
	return now;
}

static void start(bool after_crash)
{
	struct auto_options options = {.now = get_now, .after_crash = after_crash};
	ck_assert_int_eq(auto_start(sessions, &options), 0);
}

static void setup(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	now = ts.tv_sec * S;
	tree_setup();
	start(false);
}

static void set(const char *path, const char *name, const char *value)
{
	char full[64];
	snprintf(full, sizeof full, "user.scribefs.%s", name);
	ck_assert_int_eq(session_setxattr(sessions, &who, tree_find(path), full, value, strlen(value), 0), 0);
}

static void pass_after(int64_t ms)
{
	now += ms;
	auto_pass(sessions->autos);
}

static int add(void *arg, const struct snapshot_info *info)
{
	(*(unsigned *)arg)++;
	return 0;
}

static unsigned count_of(uint64_t place)
{
	unsigned n = 0;
	ck_assert_int_eq(snapshot_list(store.core, place, 0, add, &n), 0);
	return n;
}

static unsigned count(const char *path)
{
	return count_of(path ? tree_find(path) : CORE_ROOT_INO);
}

static int last(void *arg, const struct snapshot_info *info)
{
	*(struct snapshot_info *)arg = *info;
	return 0;
}

/* A file below a place in its newest snapshot; "-" where it is not in it. */
static const char *in_newest(const char *place, const char *directory, const char *name)
{
	static char text[4096];
	struct snapshot_info info = {0};
	struct core_entry e;
	struct file *file;
	ck_assert_int_eq(snapshot_list(store.core, tree_find(place), 0, last, &info), 0);
	ck_assert(info.id != 0);
	uint64_t at = info.root;
	if (directory) {
		ck_assert_int_eq(core_lookup(store.core, at, directory, &e), 0);
		at = e.ino;
	}
	if (core_lookup(store.core, at, name, &e) == -ENOENT)
		return "-";
	ck_assert_int_eq(core_file_open(store.core, &who, e.ino, O_RDONLY, &file), 0);
	ssize_t n = core_read(store.core, file, text, sizeof text - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	core_file_release(store.core, file);
	return text;
}

/* The first message, and the snapshot that comes of it. */
static void taken_first(const char *text)
{
	tree_next(text);
	pass_after(5 * S);
	ck_assert_uint_eq(count(SESSION), 1);
}

START_TEST(at_most_every_interval)
{
	tree_next("one");
	pass_after(4 * S);
	ck_assert_uint_eq(count(SESSION), 0); /* a session is filled first */
	pass_after(1 * S);
	ck_assert_uint_eq(count(SESSION), 1);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "one");
	pass_after(100 * S);
	ck_assert_uint_eq(count(SESSION), 1); /* nothing has changed */
	tree_next("two");
	pass_after(0);
	ck_assert_uint_eq(count(SESSION), 2);
	tree_next("three");
	pass_after(29 * S);
	ck_assert_uint_eq(count(SESSION), 2);
	pass_after(1 * S);
	ck_assert_uint_eq(count(SESSION), 3);
	ck_assert_str_eq(in_newest(SESSION, "messages", "003.md"), "three");
}
END_TEST

START_TEST(by_timer)
{
	tree_write(SESSION "/notes", "a");
	pass_after(29 * S);
	ck_assert_uint_eq(count(SESSION), 0);
	pass_after(1 * S);
	ck_assert_uint_eq(count(SESSION), 1);
	ck_assert_str_eq(in_newest(SESSION, NULL, "notes"), "a");
}
END_TEST

/* What is read is not changed, and what the daemon renders for a snapshot is in it. */
START_TEST(reading_is_no_change)
{
	taken_first("one");
	tree_read(M1);
	tree_read(JSON);
	core_commit_all(store.core);
	pass_after(HOUR);
	ck_assert_uint_eq(count(SESSION), 1);
}
END_TEST

START_TEST(policies)
{
	int64_t value;
	struct inode *dir;
	ck_assert_int_eq(inode_get(store.core, tree_find(SESSION), NULL, &dir), 0);
	ck_assert_int_eq(session_policy(sessions, dir, "keep", &value), 0);
	ck_assert_int_eq(value, 5);
	set("u", "keep", "2");
	ck_assert_int_eq(session_policy(sessions, dir, "keep", &value), 0);
	ck_assert_int_eq(value, 2);
	set("u/w", "keep", "3");
	set("u", "keep_hourly", "0");
	set("u", "keep_daily", "0");
	ck_assert_int_eq(session_policy(sessions, dir, "keep", &value), 0);
	ck_assert_int_eq(value, 3);
	ck_assert_int_eq(session_policy(sessions, dir, "none_such", &value), -EINVAL);
	inode_put(dir);
	for (int i = 0; i < 10; i++) {
		tree_next("m");
		pass_after(30 * S);
	}
	ck_assert_uint_eq(count(SESSION), 3);
	set(SESSION, "autosnapshot", "none");
	for (int i = 0; i < 3; i++) {
		tree_next("m");
		pass_after(HOUR);
	}
	ck_assert_uint_eq(count(SESSION), 3);
	set(SESSION, "autosnapshot", "1s");
	pass_after(S);
	ck_assert_str_eq(in_newest(SESSION, "messages", "013.md"), "m");
}
END_TEST

/* Who sets a policy sees what it does, and waits for no hourly look. */
START_TEST(a_policy_is_kept_soon)
{
	for (int i = 0; i < 4; i++) {
		tree_next("m");
		pass_after(30 * S);
	}
	ck_assert_uint_eq(count(SESSION), 4);
	set("u", "keep", "0");
	set("u", "keep_hourly", "0");
	set("u", "keep_daily", "0");
	pass_after(0);
	ck_assert_uint_eq(count(SESSION), 4); /* more may be set */
	ck_assert_int_le(auto_pass(sessions->autos), now + 2 * S);
	pass_after(2 * S);
	ck_assert_uint_eq(count(SESSION), 0);
	ck_assert_int_gt(auto_pass(sessions->autos), now + 60 * S);
}
END_TEST

/* The clock is set back by a year: what waits, and what comes, is taken within two intervals, and nothing goes. */
START_TEST(a_clock_that_is_set_back)
{
	taken_first("one");
	tree_next("two");
	pass_after(0);
	now -= 365 * 24 * HOUR;
	ck_assert_int_le(auto_pass(sessions->autos), now + 30 * S);
	pass_after(30 * S);
	ck_assert_uint_eq(count(SESSION), 2);
	ck_assert_str_eq(in_newest(SESSION, "messages", "002.md"), "two");
	tree_next("three");
	pass_after(30 * S);
	ck_assert_uint_eq(count(SESSION), 3);
	/* and forward again */
	now += 365 * 24 * HOUR;
	tree_next("four");
	pass_after(30 * S);
	ck_assert_uint_eq(count(SESSION), 4);
	/* back between two lives of the daemon */
	tree_reopen();
	now -= 24 * HOUR;
	start(false);
	tree_next("five");
	pass_after(30 * S);
	pass_after(30 * S);
	ck_assert_uint_eq(count(SESSION), 5);
	ck_assert_str_eq(in_newest(SESSION, "messages", "005.md"), "five");
}
END_TEST

START_TEST(named_ones_stay)
{
	struct snapshot_info info = {0};
	set("u", "keep", "1");
	set("u", "keep_hourly", "0");
	set("u", "keep_daily", "0");
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find(SESSION), "mine", 0, NULL), 0);
	tree_next("m");
	pass_after(30 * S);
	ck_assert_int_eq(snapshot_list(store.core, tree_find(SESSION), 0, last, &info), 0);
	ck_assert_int_eq(snapshot_rename(store.core, info.id, "kept"), 0);
	for (int i = 0; i < 4; i++) {
		tree_next("m");
		pass_after(30 * S);
	}
	ck_assert_uint_eq(count(SESSION), 3);
	ck_assert_int_eq(snapshot_find(store.core, tree_find(SESSION), "kept", &info), 0);
	ck_assert_int_eq(snapshot_find(store.core, tree_find(SESSION), "mine", &info), 0);
}
END_TEST

static void step(const char *json)
{
	tree_write(CONTEXT, json);
	pass_after(5 * S);
}

START_TEST(a_step_is_taken_at_once)
{
	taken_first("one");
	ck_assert_uint_eq(count(SESSION), 1);
	step("{\"currentStep\": 1, \"other\": 1}");
	ck_assert_uint_eq(count(SESSION), 2);
	/* Each save truncates what was there, which is held. */
	step("{\"currentStep\": 1, \"other\": 2}");
	ck_assert_uint_eq(count(SESSION), 2);
	pass_after(25 * S);
	ck_assert_uint_eq(count(SESSION), 3);
	step("{\"currentStep\": 1, \"blockers\": [\"x\"]}");
	ck_assert_uint_eq(count(SESSION), 4);
	tree_write(SESSION "/tmp", "{\"currentStep\": 2, \"blockers\": [\"x\"]}");
	ck_assert_int_eq(tree_rename(SESSION "/tmp", CONTEXT), 0);
	pass_after(4 * S);
	ck_assert_uint_eq(count(SESSION), 4);
	pass_after(1 * S);
	ck_assert_uint_eq(count(SESSION), 5);
	ck_assert_str_eq(in_newest(SESSION, NULL, "context.json"), "{\"currentStep\": 2, \"blockers\": [\"x\"]}");
}
END_TEST

/* Whether a message makes a snapshot although the last one is young. */
static bool at_once(const char *text)
{
	tree_next("the usual");
	pass_after(40 * S);
	unsigned n = count(SESSION);
	tree_next(text);
	pass_after(5 * S);
	return count(SESSION) > n;
}

START_TEST(an_error_is_taken_at_once)
{
	set("u", "keep", "100");
	ck_assert(!at_once("Error: I am a user"));
	ck_assert(at_once("---\nrole: tool\n---\n\nError: no such file"));
	ck_assert(at_once("---\nrole: assistant\n---\nTraceback (most recent call last):"));
	ck_assert(!at_once("---\nrole: tool\n---\nfine, no Error"));
	ck_assert(at_once("---\nrole: assistant\nstatus: error\n---\nsorry"));
	ck_assert(!at_once("---\nrole: tool\nerror: null\n---\nfine"));
	ck_assert(at_once("---\nrole: tool\nerror: timeout\n---\n"));
}
END_TEST

/* Each content of a message that there was, however fast they follow, while appends cost nothing. */
START_TEST(no_version_is_lost)
{
	taken_first("v1");
	unsigned n = count(SESSION);
	tree_write(M1, "v2"); /* v1 is held */
	ck_assert_uint_eq(count(SESSION), n);
	tree_append(M1, "v3");
	tree_append(M1, "v3x");
	ck_assert_uint_eq(count(SESSION), n);
	tree_write(M1, "v4");
	ck_assert_uint_eq(count(SESSION), n + 1);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "v2v3v3x");
	tree_write(MESSAGES "/tmp", "v5");
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M1), 0);
	ck_assert_uint_eq(count(SESSION), n + 2);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "v4");
	ck_assert_int_eq(tree_rename(M1, MESSAGES "/001.md~"), 0);
	ck_assert_uint_eq(count(SESSION), n + 3);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "v5");
	tree_write(M1, "v6");
	ck_assert_int_eq(tree_unlink(MESSAGES "/001.md~"), 0);
	ck_assert_uint_eq(count(SESSION), n + 3);
	struct stat st = {.st_size = 1};
	ck_assert_int_eq(session_setattr(sessions, &who, tree_find(M1), &st, CORE_SET_SIZE, &st), 0);
	ck_assert_uint_eq(count(SESSION), n + 4);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "v6");
	ck_assert_int_eq(tree_unlink(M1), 0);
	ck_assert_uint_eq(count(SESSION), n + 5);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "v");
	tree_write(CONTEXT, "{}");
	ck_assert_int_eq(tree_unlink(CONTEXT), 0);
	ck_assert_uint_eq(count(SESSION), n + 6);
	ck_assert_str_eq(in_newest(SESSION, NULL, "context.json"), "{}");
	set("u", "keep_hourly", "0");
	set("u", "keep_daily", "0");
	pass_after(0);
	ck_assert_uint_eq(count(SESSION), 5); /* keep */
}
END_TEST

START_TEST(a_whole_session_is_removed)
{
	uint64_t ino = tree_find(SESSION);
	tree_next("one");
	tree_next("two");
	ck_assert_int_eq(tree_unlink(M1), 0);
	ck_assert_int_eq(tree_unlink(MESSAGES "/002.md"), 0);
	ck_assert_uint_eq(count(SESSION), 1); /* of both */
	ck_assert_str_eq(in_newest(SESSION, "messages", "002.md"), "two");
	ck_assert_int_eq(tree_unlink(JSON), 0);
	ck_assert_int_eq(tree_rmdir(MESSAGES), 0);
	ck_assert_int_eq(tree_rmdir(SESSION), 0);
	pass_after(29 * 24 * HOUR);
	ck_assert_uint_eq(count_of(ino), 1);
	pass_after(2 * 24 * HOUR);
	ck_assert_uint_eq(count_of(ino), 0);
}
END_TEST

START_TEST(users_and_the_store)
{
	taken_first("one");
	pass_after(15 * 60 * S);
	ck_assert_uint_eq(count("u"), 1);
	ck_assert_uint_eq(count(NULL), 1);
	pass_after(HOUR);
	ck_assert_uint_eq(count("u"), 1);
	set("u", "user_autosnapshot", "10s");
	tree_next("two");
	pass_after(0);
	pass_after(10 * S);
	ck_assert_uint_eq(count("u"), 2);
	ck_assert_uint_eq(count(NULL), 1);
	pass_after(HOUR);
	tree_mkdir("u/other");
	pass_after(0);
	pass_after(10 * S);
	ck_assert_uint_eq(count("u"), 3);
	ck_assert_uint_eq(count("u/w"), 0);
}
END_TEST

START_TEST(after_a_crash)
{
	taken_first("one");
	tree_next("two");
	tree_mkdir("u/w/t");
	tree_crash();
	start(true);
	pass_after(0);
	ck_assert_uint_eq(count(SESSION), 1);
	pass_after(HOUR / 2); /* what is read from the store is by the true clock */
	ck_assert_uint_eq(count(SESSION), 2);
	ck_assert_uint_eq(count("u/w/t"), 1);
	ck_assert_str_eq(in_newest(SESSION, "messages", "002.md"), "two");
	/* Nothing to do, also for one that died again. */
	tree_crash();
	start(true);
	pass_after(0);
	pass_after(HOUR);
	ck_assert_uint_eq(count(SESSION), 2);
	/* The version rule needs no memory. */
	tree_write(M1, "three");
	tree_crash();
	start(true);
	tree_write(M1, "four");
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "three");
}
END_TEST

START_TEST(the_end_takes_what_waits)
{
	taken_first("one");
	tree_next("two");
	tree_reopen();
	ck_assert_uint_eq(count(SESSION), 2);
	start(false);
	tree_reopen();
	ck_assert_uint_eq(count(SESSION), 2);
}
END_TEST

START_TEST(before_the_first_write_after_an_idle_hour)
{
	set("u", "autosnapshot", "1d");
	taken_first("one");
	tree_append(M1, "more");
	pass_after(2 * HOUR);
	ck_assert_uint_eq(count(SESSION), 1);
	tree_append(M1, "again");
	ck_assert_uint_eq(count(SESSION), 2);
	ck_assert_str_eq(in_newest(SESSION, "messages", "001.md"), "onemore");
	tree_append(M1, "again");
	ck_assert_uint_eq(count(SESSION), 2);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("all");
	tcase_add_checked_fixture(c, setup, tree_teardown);
	tcase_add_test(c, at_most_every_interval);
	tcase_add_test(c, by_timer);
	tcase_add_test(c, reading_is_no_change);
	tcase_add_test(c, policies);
	tcase_add_test(c, a_policy_is_kept_soon);
	tcase_add_test(c, a_clock_that_is_set_back);
	tcase_add_test(c, named_ones_stay);
	tcase_add_test(c, a_step_is_taken_at_once);
	tcase_add_test(c, an_error_is_taken_at_once);
	tcase_add_test(c, no_version_is_lost);
	tcase_add_test(c, a_whole_session_is_removed);
	tcase_add_test(c, users_and_the_store);
	tcase_add_test(c, after_a_crash);
	tcase_add_test(c, the_end_takes_what_waits);
	tcase_add_test(c, before_the_first_write_after_an_idle_hour);
	return run_case("auto", c);
}
