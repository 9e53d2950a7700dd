/* Messages: numbers, taking in, facts, what renames and links do. */
#include "fs/session/session_internal.h"
#include "fs/session/transcript.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <pthread.h>
#include <stdio.h>

#define M1 MESSAGES "/001.md"
#define M2 MESSAGES "/002.md"

START_TEST(numbers_are_the_highest_ever_plus_one)
{
	ck_assert_uint_eq(tree_next("a"), 1);
	ck_assert_uint_eq(tree_next("b"), 2);
	ck_assert_int_eq(tree_unlink(M2), 0);
	ck_assert_uint_eq(tree_next("c"), 3);
	tree_write(MESSAGES "/1000.md", "d");
	tree_write(MESSAGES "/0007.md", "plain");
	ck_assert_uint_eq(tree_next("e"), 1001);
	ck_assert_int_eq(tree_mkdir(MESSAGES "/2000.md"), 0);
	ck_assert_uint_eq(tree_next("f"), 2001);
	tree_write(MESSAGES "/x", "x");
	ck_assert_int_eq(tree_rename(MESSAGES "/x", MESSAGES "/3000.md"), 0);
	tree_reopen();
	ck_assert_uint_eq(tree_next("g"), 3001);
	tree_expect_field("message_count", "7");
	tree_write(MESSAGES "/999999999.md", "last");
	ck_assert_int_eq(tree_write_flags(MESSAGES "/next.md", "x", 0, NULL), -ENOSPC);
	ck_assert_str_eq(tree_read(MESSAGES "/1001.md"), "e");
}
END_TEST

START_TEST(front_matter)
{
	tree_write(M1, "---\nrole: assistant\ntimestamp: 2024-01-02T03:04:05.678Z\nagent: "
	               "coder\nmodel: m\n"
	               "tokens: 120\nid: own-id\nother: kept\n---\nThe answer.\n");
	ck_assert_str_eq(tree_attribute(M1, "role"), "assistant");
	ck_assert_str_eq(tree_attribute(M1, "timestamp"), "2024-01-02T03:04:05.678Z");
	ck_assert_str_eq(tree_attribute(M1, "agent"), "coder");
	ck_assert_str_eq(tree_attribute(M1, "model"), "m");
	ck_assert_str_eq(tree_attribute(M1, "tokens"), "120");
	ck_assert_str_eq(tree_attribute(M1, "id"), "own-id");
	ck_assert_str_eq(tree_attribute(M1, "name"), "001.md");
	struct stat st = tree_stat(M1);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1704164645);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 678000000);
	tree_expect_field("last_activity", "2024-01-02T03:04:05.678Z");
	tree_expect_field("total_tokens", "120");
	/* without: estimated, and an id from the session's and the number */
	tree_write(M2, "12345678");
	ck_assert_str_eq(tree_attribute(M2, "tokens"), "~2");
	ck_assert_str_eq(tree_attribute(M2, "role"), "user");
	ck_assert_uint_eq(strlen(tree_attribute(M2, "id")), 36);
	tree_expect_field("total_tokens", "122");
}
END_TEST

START_TEST(a_time_that_the_caller_set_stays)
{
	tree_write(M1, "---\ntimestamp: 2024-01-02T03:04:05Z\n---\nx");
	tree_set_mtime(M1, 1000, 5);
	ck_assert_int_eq(tree_stat(M1).st_mtim.tv_sec, 1000);
	ck_assert_str_eq(tree_attribute(M1, "timestamp"), "2024-01-02T03:04:05.000Z");
	/* no front matter: the earlier of birth and mtime, so a copy with its time restored has it
	 * too */
	tree_write(M2, "x");
	tree_set_mtime(M2, 1500000000, 250000000);
	ck_assert_str_eq(tree_attribute(M2, "timestamp"), "2017-07-14T02:40:00.250Z");
	tree_expect_field("last_activity", "2024-01-02T03:04:05.000Z");
	/* as rsync does it: written and dated under another name */
	tree_write(MESSAGES "/.003.md.Xy", "---\ntimestamp: 2024-05-05T00:00:00Z\n---\nx");
	tree_set_mtime(MESSAGES "/.003.md.Xy", 2000, 0);
	ck_assert_int_eq(tree_rename(MESSAGES "/.003.md.Xy", MESSAGES "/003.md"), 0);
	ck_assert_int_eq(tree_stat(MESSAGES "/003.md").st_mtim.tv_sec, 2000);
	tree_expect_field("last_activity", "2024-05-05T00:00:00.000Z");
}
END_TEST

START_TEST(titles_follow_the_first_user_message)
{
	ck_assert_int_eq(strncmp(tree_field("title"), "Chat ", 5), 0);
	tree_write(M1, "---\nrole: system\n---\nYou are\n");
	ck_assert_int_eq(strncmp(tree_field("title"), "Chat ", 5), 0);
	tree_write(MESSAGES "/003.md", "third\n");
	tree_expect_field("title", "third");
	tree_write(M2, "second\n");
	tree_expect_field("title", "second");
	tree_write(M2, "\n\n");
	tree_expect_field("title", "third");
	tree_append(M2, "again\n");
	tree_expect_field("title", "again");
	ck_assert_int_eq(tree_unlink(M2), 0);
	tree_expect_field("title", "third");
	ck_assert_int_eq(tree_unlink(MESSAGES "/003.md"), 0);
	ck_assert_int_eq(strncmp(tree_field("title"), "Chat ", 5), 0);
}
END_TEST

START_TEST(renames_make_and_unmake_messages)
{
	char id[64];
	tree_write(M1, "one\n");
	strcpy(id, tree_attribute(M1, "id"));
	/* an editor: the old one aside, a new one under the name */
	ck_assert_int_eq(tree_rename(M1, MESSAGES "/001.md~"), 0);
	tree_expect_field("message_count", "0");
	ck_assert_str_eq(tree_attribute(MESSAGES "/001.md~", "role"), "-");
	tree_write(M1, "one, edited\n");
	tree_expect_field("message_count", "1");
	tree_expect_field("title", "one, edited");
	ck_assert_str_eq(tree_attribute(M1, "id"), id);
	/* or a temporary file over it */
	tree_write(MESSAGES "/tmp", "one, once more\n");
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M1), 0);
	tree_expect_field("message_count", "1");
	tree_expect_field("title", "one, once more");
	ck_assert_str_eq(tree_attribute(M1, "id"), id);
	ck_assert_str_eq(tree_attribute(M1, "number"), "1");
	/* to another number, and over one */
	tree_write(M2, "two\n");
	ck_assert_int_eq(tree_rename(M1, MESSAGES "/005.md"), 0);
	tree_expect_field("message_count", "2");
	tree_expect_field("title", "two");
	ck_assert_str_eq(tree_attribute(MESSAGES "/005.md", "number"), "5");
	ck_assert_int_eq(tree_rename(MESSAGES "/005.md", M2), 0);
	tree_expect_field("message_count", "1");
	tree_expect_field("title", "one, once more");
	/* out of messages/ and in again */
	ck_assert_int_eq(tree_rename(M2, SESSION "/draft.md"), 0);
	tree_expect_field("message_count", "0");
	ck_assert_int_eq(tree_rename(SESSION "/draft.md", MESSAGES "/009.md"), 0);
	tree_expect_field("message_count", "1");
	ck_assert_uint_eq(tree_next("x"), 10);
}
END_TEST

START_TEST(a_corrected_message_keeps_its_time)
{
	char birth[40];
	/* restored with its old time, then corrected by an editor */
	tree_write(M1, "one");
	tree_set_mtime(M1, 1500000000, 250000000);
	for (int i = 0; i < 2; i++) {
		tree_write(MESSAGES "/tmp", "one, corrected");
		ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M1), 0);
		ck_assert_str_eq(tree_attribute(M1, "timestamp"), "2017-07-14T02:40:00.250Z");
		tree_expect_field("last_activity", "2017-07-14T02:40:00.250Z");
	}
	ck_assert_int_ne(tree_stat(M1).st_mtim.tv_sec, 1500000000);
	/* a later look at all messages finds the same */
	tree_crash();
	tree_expect_field("last_activity", "2017-07-14T02:40:00.250Z");
	/* as rsync does it: the time that it set, or the file's own birth */
	tree_write(MESSAGES "/tmp", "one, restored");
	tree_set_mtime(MESSAGES "/tmp", 1600000000, 0);
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M1), 0);
	ck_assert_str_eq(tree_attribute(M1, "timestamp"), "2020-09-13T12:26:40.000Z");
	/* never dated: its birth stays */
	tree_write(M2, "two");
	strcpy(birth, tree_attribute(M2, "timestamp"));
	usleep(3000);
	tree_write(MESSAGES "/tmp", "two, corrected");
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M2), 0);
	ck_assert_str_eq(tree_attribute(M2, "timestamp"), birth);
	/* another message in its place is another one, with its own time */
	ck_assert_int_eq(tree_rename(M2, M1), 0);
	ck_assert_str_eq(tree_attribute(M1, "timestamp"), birth);
	/* times in the front matter are nobody's birth */
	tree_write(M2, "---\ntimestamp: 2011-01-02T03:04:05Z\n---\nx");
	tree_write(MESSAGES "/tmp", "---\ntimestamp: 2012-01-02T03:04:05Z\n---\nx");
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M2), 0);
	ck_assert_str_eq(tree_attribute(M2, "timestamp"), "2012-01-02T03:04:05.000Z");
	tree_write(MESSAGES "/tmp", "x");
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M2), 0);
	ck_assert_str_ne(tree_attribute(M2, "timestamp"), "2012-01-02T03:04:05.000Z");
}
END_TEST

START_TEST(exchange)
{
	const char *name;
	uint64_t dir = tree_parent(M1, &name);
	tree_write(M1, "one\n");
	tree_write(MESSAGES "/x", "plain, longer\n");
	ck_assert_int_eq(session_rename(sessions, &who, dir, "001.md", dir, "x", 2), 0);
	tree_expect_field("message_count", "1");
	tree_expect_field("title", "plain, longer");
	ck_assert_str_eq(tree_attribute(MESSAGES "/x", "role"), "-");
	tree_write(M2, "two\n");
	ck_assert_int_eq(session_rename(sessions, &who, dir, "001.md", dir, "002.md", 2), 0);
	tree_expect_field("message_count", "2");
	tree_expect_field("title", "two");
}
END_TEST

START_TEST(links_count_as_names)
{
	tree_write(M1, "12345678");
	ck_assert_int_eq(tree_link(M1, M2), 0);
	tree_expect_field("message_count", "2");
	tree_expect_field("total_tokens", "4");
	tree_append(M1, "12345678");
	tree_expect_field("total_tokens", "8");
	ck_assert_int_eq(tree_link(M1, SESSION "/plain"), 0);
	ck_assert_int_eq(tree_unlink(M1), 0);
	tree_expect_field("message_count", "1");
	ck_assert_int_eq(tree_unlink(M2), 0);
	tree_expect_field("message_count", "0");
	tree_expect_field("total_tokens", "0");
	ck_assert_str_eq(tree_attribute(SESSION "/plain", "role"), "-");
}
END_TEST

static uint32_t number_of(const char *path)
{
	struct inode *inode;
	ck_assert_int_eq(inode_get(store.core, tree_find(path), NULL, &inode), 0);
	uint32_t number = inode->rec.number;
	inode_put(inode);
	return number;
}

/* Which number a file has goes by its name in messages/, whatever other names come and go. */
START_TEST(a_message_with_a_link_beside_it)
{
	tree_next("12345678");
	ck_assert_int_eq(tree_link(M1, SESSION "/beside"), 0);
	tree_append(M1, "12345678");
	tree_expect_field("total_tokens", "4");
	ck_assert_uint_eq(number_of(M1), 1);
	ck_assert_int_eq(tree_rename(SESSION "/beside", SESSION "/other"), 0);
	ck_assert_int_eq(tree_rename(M1, M2), 0);
	ck_assert_uint_eq(number_of(M2), 2);
	ck_assert_int_eq(tree_unlink(M2), 0);
	ck_assert_uint_eq(number_of(SESSION "/other"), 0);
	ck_assert_int_eq(tree_rename(SESSION "/other", M1), 0);
	tree_expect_field("total_tokens", "4");
	ck_assert_uint_eq(number_of(M1), 1);
}
END_TEST

START_TEST(truncation_counts)
{
	struct stat st = {.st_size = 4};
	tree_write(M1, "12345678");
	ck_assert_int_eq(
	        session_setattr(sessions, &who, tree_find(M1), &st, CORE_SET_SIZE, &st), 0);
	ck_assert_int_eq(st.st_size, 4);
	tree_expect_field("total_tokens", "1");
	tree_expect_field("title", "1234");
}
END_TEST

START_TEST(large_messages)
{
	static char text[300000];
	memset(text, 'x', sizeof text - 1);
	memcpy(text, "---\nrole: tool\n---\n", 19);
	tree_write(M1, text);
	ck_assert_str_eq(tree_attribute(M1, "role"), "tool");
	ck_assert_str_eq(tree_attribute(M1, "tokens"), "~74995");
	tree_append(M1, "yyyyyyyy");
	ck_assert_str_eq(tree_attribute(M1, "tokens"), "~74997");
	tree_write(MESSAGES "/tmp", text);
	ck_assert_int_eq(tree_rename(MESSAGES "/tmp", M2), 0);
	tree_expect_field("total_tokens", "149992");
}
END_TEST

START_TEST(streaming_is_taken_in_at_each_sync)
{
	const char *name;
	struct core_entry e;
	struct file *file;
	uint64_t dir = tree_parent(M1, &name);
	ck_assert_int_eq(
	        session_create(sessions, &who, dir, name, 0644, O_RDWR | O_CREAT, &e, &file), 0);
	tree_expect_field("message_count", "1");
	tree_expect_field("total_tokens", "0");
	ck_assert_int_eq(core_write(store.core, file, "12345678", 8, 0, false), 8);
	ck_assert_int_eq(session_flush(sessions, file), 0);
	tree_expect_field("total_tokens", "2");
	ck_assert_int_eq(core_write(store.core, file, "12345678", 8, 8, false), 8);
	ck_assert_int_eq(session_release(sessions, file), 0);
	core_forget(store.core, e.ino, 1);
	tree_expect_field("total_tokens", "4");
}
END_TEST

START_TEST(odd_content_never_fails)
{
	static const char *const odd[] = {"", "---", "---\n[", "\xff\xfe\x80",
	        "---\nrole: [\n---\n", "---\nid: \"\\0\"\n---\n",
	        "---\ntimestamp: 9999-12-31\n---\n",
	        "---\ntimestamp: 0001-01-01\ntokens: 999999999999999\n---\n"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		char path[64];
		snprintf(path, sizeof path, MESSAGES "/%03zu.md", i + 1);
		tree_write(path, odd[i]);
		ck_assert_str_eq(tree_read(path), odd[i]);
		tree_field("title");
	}
	tree_expect_field("message_count", "8");
}
END_TEST

#define WRITERS 4
#define EACH 25

static void *writer(void *arg)
{
	uint64_t dir = *(uint64_t *)arg;
	for (int i = 0; i < EACH; i++) {
		struct core_entry e;
		struct file *file;
		int r = session_create(
		        sessions, &who, dir, "next.md", 0644, O_WRONLY | O_CREAT, &e, &file);
		if (r < 0 || core_write(store.core, file, "1234", 4, 0, false) != 4 ||
		        session_flush(sessions, file) < 0 || session_release(sessions, file) < 0)
			return arg;
		core_forget(store.core, e.ino, 1);
	}
	return NULL;
}

START_TEST(writers_at_once)
{
	const char *name;
	uint64_t dir = tree_parent(M1, &name);
	pthread_t threads[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, writer, &dir), 0);
	for (int i = 0; i < WRITERS; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
	tree_expect_field("message_count", "100");
	tree_expect_field("total_tokens", "100");
	ck_assert_uint_eq(tree_next("x"), 101);
	ck_assert_uint_ne(tree_find(MESSAGES "/100.md"), 0);
}
END_TEST

/* What is closed may be cached: else every stat of it is a request. */
START_TEST(attributes_are_fleeting_while_somebody_writes)
{
	static const char *const paths[] = {SESSION "/notes", MESSAGES "/001.md"};
	for (size_t i = 0; i < 2; i++) {
		struct file *file;
		struct stat st;
		bool fleeting;
		tree_write(paths[i], "text");
		uint64_t ino = tree_find(paths[i]);
		ck_assert_int_eq(core_getattr(store.core, ino, &st, &fleeting), 0);
		ck_assert(!fleeting);
		ck_assert_int_eq(core_file_open(store.core, &who, ino, O_WRONLY, &file), 0);
		ck_assert_int_eq(core_write(store.core, file, "more", 4, 0, false), 4);
		ck_assert_int_eq(core_getattr(store.core, ino, &st, &fleeting), 0);
		ck_assert(fleeting);
		ck_assert_int_eq(session_flush(sessions, file), 0);
		ck_assert_int_eq(session_release(sessions, file), 0);
		ck_assert_int_eq(core_getattr(store.core, ino, &st, &fleeting), 0);
		ck_assert(!fleeting);
	}
}
END_TEST

/* Whoever renders a page of them reads no other. */
START_TEST(a_page_reads_only_its_own)
{
	struct transcript_range page = {.from = 4, .count = 3};
	struct transcript *t;
	uint64_t inodes[10];
	char path[64];
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_uint_eq(tree_next("text\n"), i + 1);
		snprintf(path, sizeof path, MESSAGES "/%03u.md", i + 1);
		inodes[i] = tree_find(path);
	}
	ck_assert_ptr_nonnull(tree_read(JSON));
	tree_reopen();
	ck_assert_int_eq(transcript_open(sessions, tree_find(SESSION), &page, &t), 0);
	ck_assert_uint_eq(t->total, 10);
	ck_assert_uint_eq(t->from, 4);
	ck_assert_uint_eq(t->n, 3);
	for (unsigned i = 0; i < 10; i++) {
		struct inode *read = inode_peek(store.core, inodes[i]);
		ck_assert_int_eq(read != NULL, i >= 4 && i < 7);
		inode_put(read);
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(t->messages[i].number, i + 5);
	transcript_free(t);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("messages");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_set_timeout(c, 30);
	tcase_add_test(c, attributes_are_fleeting_while_somebody_writes);
	tcase_add_test(c, numbers_are_the_highest_ever_plus_one);
	tcase_add_test(c, front_matter);
	tcase_add_test(c, a_time_that_the_caller_set_stays);
	tcase_add_test(c, titles_follow_the_first_user_message);
	tcase_add_test(c, renames_make_and_unmake_messages);
	tcase_add_test(c, a_corrected_message_keeps_its_time);
	tcase_add_test(c, exchange);
	tcase_add_test(c, links_count_as_names);
	tcase_add_test(c, a_message_with_a_link_beside_it);
	tcase_add_test(c, truncation_counts);
	tcase_add_test(c, large_messages);
	tcase_add_test(c, streaming_is_taken_in_at_each_sync);
	tcase_add_test(c, odd_content_never_fails);
	tcase_add_test(c, a_page_reads_only_its_own);
	tcase_add_test(c, writers_at_once);
	return run_case("messages", c);
}
