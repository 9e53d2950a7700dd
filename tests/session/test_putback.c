/* Putting back what a snapshot has: one step, the rules' records with it, and nothing left over. */
#include "fs/core/inode.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

static char kept[CORE_NAME_MAX + 1];

static struct snapshot_info take(const char *path, const char *name)
{
	struct snapshot_info info;
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find(path), name, 0, &info), 0);
	return info;
}

static uint64_t past(const struct snapshot_info *info, const char *name)
{
	struct core_entry entry;
	ck_assert_int_eq(core_lookup(store.core, info->root, name, &entry), 0);
	core_forget(store.core, entry.ino, 1);
	return entry.ino;
}

static int put_back(const char *path, uint64_t from, unsigned flags)
{
	uint64_t session = tree_find(path);
	int r = session_put_back(sessions, &who, session, from, flags, NULL, NULL, kept);
	ck_assert_int_eq(session_put_back_end(sessions), 0);
	return r;
}

static void prepare(void)
{
	tree_next("one");
	tree_next("two");
	ck_assert_int_eq(tree_mkdir(SESSION "/sub"), 0);
	tree_write(SESSION "/sub/file", "old");
	ck_assert_int_eq(tree_link(SESSION "/sub/file", SESSION "/link"), 0);
	tree_expect_field("message_count", "2");
}

START_TEST(a_session_is_put_back)
{
	char before[4096];
	prepare();
	snprintf(before, sizeof before, "%s", tree_read(JSON));
	uint64_t container = tree_find(SESSION);
	struct snapshot_info info = take(SESSION, "a");
	ck_assert_int_eq(tree_unlink(MESSAGES "/001.md"), 0);
	tree_next("three");
	tree_write(SESSION "/sub/file", "new");
	tree_write(SESSION "/added", "x");
	ck_assert_int_eq(put_back(SESSION, info.root, 0), 0);
	ck_assert_uint_eq(tree_find(SESSION), container);
	ck_assert_str_eq(tree_list(SESSION), "link messages session.json sub ");
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
	ck_assert_str_eq(tree_read(SESSION "/sub/file"), "old");
	ck_assert_uint_eq(tree_stat(SESSION "/link").st_nlink, 2);
	ck_assert_uint_eq(tree_stat(SESSION "/link").st_ino, tree_stat(SESSION "/sub/file").st_ino);
	ck_assert_uint_eq(tree_stat(SESSION).st_nlink, 4);
	ck_assert_str_eq(tree_read(JSON), before);
	/* rules hold on: a number is used once, and saves are those of session.json */
	ck_assert_uint_eq(tree_next("four"), 4);
	tree_expect_field("message_count", "3");
	tree_edit("\"title\": \"one\"", "\"title\": \"Mine\"", false);
	tree_expect_field("title", "Mine");
	/* what was there is kept */
	struct snapshot_info was;
	ck_assert_int_eq(snapshot_find(store.core, container, kept, &was), 0);
	past(&was, "added");
}
END_TEST

START_TEST(it_is_so_after_a_crash)
{
	prepare();
	struct snapshot_info info = take(SESSION, "a");
	tree_next("three");
	ck_assert_int_eq(put_back(SESSION, info.root, 0), 0);
	tree_crash();
	ck_assert_str_eq(tree_list(SESSION), "link messages session.json sub ");
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
	tree_expect_field("message_count", "2");
}
END_TEST

START_TEST(what_a_crash_leaves_goes)
{
	prepare();
	struct snapshot_info info = take(SESSION, "a");
	uint64_t session = tree_find(SESSION);
	tree_next("three");
	/* the daemon dies before session_put_back_end() */
	ck_assert_int_eq(session_put_back(sessions, &who, session, info.root, 0, NULL, NULL, kept), 0);
	ck_assert_ptr_nonnull(strstr(tree_list(SESSION), ".restore-"));
	tree_crash();
	ck_assert_str_eq(tree_list(SESSION), "link messages session.json sub ");
	tree_expect_field("message_count", "2");
}
END_TEST

START_TEST(forks_are_new_sessions)
{
	char id[64];
	prepare();
	snprintf(id, sizeof id, "%s", tree_field("session_id"));
	struct snapshot_info info = take(SESSION, "a");
	ck_assert_int_eq(tree_mkdir("u/w/fork"), 0);
	ck_assert_int_eq(put_back("u/w/fork", info.root, PUT_BACK_FORK), 0);
	ck_assert_str_eq(tree_list("u/w/fork/messages"), "001.md 002.md ");
	const char *text = tree_read("u/w/fork/session.json");
	ck_assert_ptr_nonnull(strstr(text, "\"forked_from\": {"));
	ck_assert_ptr_nonnull(strstr(text, "\"message_count\": 2"));
	ck_assert_ptr_nonnull(strstr(strstr(text, "forked_from"), id));
	/* its own id comes first, and is another */
	ck_assert(strstr(text, id) > strstr(text, "forked_from"));
	/* only over what nobody has touched */
	ck_assert_int_eq(put_back("u/w/fork", info.root, PUT_BACK_FORK), -ENOTEMPTY);
	/* and a session is not put back to what another was, */
	ck_assert_int_eq(put_back("u/w/fork", info.root, 0), -EXDEV);
	/* unless it stands in its place: what it is keeps its own id while the other has the old one */
	tree_next("of the session alone");
	tree_write("u/w/fork/messages/009.md", "of the fork");
	ck_assert_int_eq(put_back("u/w/fork", info.root, PUT_BACK_OTHER), 0);
	ck_assert_str_eq(tree_list("u/w/fork/messages"), "001.md 002.md ");
	ck_assert_ptr_null(strstr(tree_read("u/w/fork/session.json"), id));
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md 003.md ");
}
END_TEST

START_TEST(entries_are_put_back)
{
	prepare();
	struct snapshot_info info = take(SESSION, "a");
	uint64_t session = tree_find(SESSION);
	tree_write(SESSION "/sub/file", "new");
	tree_write(SESSION "/sub/more", "x");
	ck_assert_int_eq(session_put_entry(sessions, &who, session, "sub", past(&info, "sub"), kept), 0);
	ck_assert_str_eq(tree_list(SESSION "/sub"), "file ");
	ck_assert_str_eq(tree_read(SESSION "/sub/file"), "old");
	ck_assert_str_eq(tree_list(SESSION), "link messages session.json sub ");
	ck_assert_int_eq(
		session_put_entry(sessions, &who, session, "messages", past(&info, "messages"), kept), -EXDEV);
	ck_assert_int_eq(
		session_put_entry(sessions, &who, session, "session.json", past(&info, "session.json"), kept), -EXDEV);
}
END_TEST

/* What changed, moved, went and came in a workflow and a user. */
static void change_places(void)
{
	tree_next("three");
	ck_assert_int_eq(tree_mkdir("u/w/new"), 0);
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_rename("u/w/other", "u/v/elsewhere"), 0);
	ck_assert_int_eq(tree_rename("u/w", "u/renamed"), 0);
}

START_TEST(a_user_is_put_back)
{
	prepare();
	ck_assert_int_eq(tree_mkdir("u/w/other"), 0);
	uint64_t session = tree_find(SESSION), other = tree_find("u/w/other"), workflow = tree_find("u/w");
	struct snapshot_info info = take("u", "a");
	change_places();
	ck_assert_int_eq(put_back("u", info.root, 0), 0);
	ck_assert_str_eq(tree_list("u"), "w ");
	ck_assert_str_eq(tree_list("u/w"), "other s ");
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
	/* they are what they were, not copies */
	ck_assert_uint_eq(tree_find(SESSION), session);
	ck_assert_uint_eq(tree_find("u/w/other"), other);
	ck_assert_uint_eq(tree_find("u/w"), workflow);
	tree_expect_field("workflow_type", "w");
	tree_expect_field("message_count", "2");
	ck_assert_uint_eq(tree_stat("u").st_nlink, 3);
	ck_assert_uint_eq(tree_stat("u/w").st_nlink, 4);
	/* and after a crash */
	tree_crash();
	ck_assert_str_eq(tree_list("u"), "w ");
	ck_assert_str_eq(tree_list("u/w"), "other s ");
	/* what was there is kept */
	struct snapshot_info was;
	ck_assert_int_eq(snapshot_find(store.core, tree_find("u"), kept, &was), 0);
	past(&was, "renamed");
	past(&was, "v");
}
END_TEST

START_TEST(removed_sessions_come_back_with_their_place)
{
	char id[64];
	prepare();
	snprintf(id, sizeof id, "%s", tree_field("session_id"));
	struct snapshot_info info = take("u/w", "a");
	uint64_t container = tree_find(SESSION);
	ck_assert_int_eq(tree_unlink(MESSAGES "/001.md"), 0);
	ck_assert_int_eq(tree_rename(SESSION, "u/w/away"), 0);
	ck_assert_int_eq(put_back("u/w", info.root, 0), 0);
	ck_assert_uint_eq(tree_find(SESSION), container);
	ck_assert_str_eq(tree_list("u/w"), "s ");
	/* one that lies elsewhere by now stays there: a copy has an id of its own */
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	ck_assert_int_eq(tree_rename(SESSION, "u/v/s"), 0);
	ck_assert_int_eq(put_back("u/w", info.root, 0), 0);
	ck_assert_uint_eq(tree_find("u/v/s"), container);
	ck_assert_uint_ne(tree_find(SESSION), container);
	ck_assert_str_ne(tree_field("session_id"), id);
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
	ck_assert_uint_eq(tree_next("three"), 3);
	/* not over another place, nor over what is in use */
	ck_assert_int_eq(put_back("u/v", info.root, 0), -EXDEV);
	ck_assert_int_eq(put_back("u/v", info.root, PUT_BACK_REMOVED), -ENOTEMPTY);
	ck_assert_int_eq(put_back("u/w", info.root, PUT_BACK_FORK), -EINVAL);
}
END_TEST

#define MANY 150

/* More than one table of nodes holds: each is where it was, and the same one. */
START_TEST(many_sessions_are_put_back)
{
	static uint64_t were[MANY];
	char path[64], to[64];
	ck_assert_int_eq(tree_mkdir("u/v"), 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "u/w/s%03d", i);
		ck_assert_int_eq(tree_mkdir(path), 0);
		were[i] = tree_find(path);
	}
	struct snapshot_info info = take("u", "a");
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "u/w/s%03d", i);
		snprintf(to, sizeof to, "u/%s/t%03d", i % 3 ? "v" : "w", MANY - i);
		ck_assert_int_eq(i % 5 ? tree_rename(path, to) : tree_rmdir(path), 0);
	}
	ck_assert_int_eq(put_back("u", info.root, 0), 0);
	ck_assert_str_eq(tree_list("u/v"), "");
	for (int i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "u/w/s%03d", i);
		ck_assert_int_eq(tree_find(path) == were[i], i % 5 != 0);
		ck_assert_uint_ne(tree_find(path), 0);
	}
}
END_TEST

START_TEST(places_are_whole_after_a_crash_before_the_end)
{
	prepare();
	struct snapshot_info info = take("u", "a");
	tree_next("three");
	ck_assert_int_eq(tree_mkdir("u/w/new"), 0);
	ck_assert_int_eq(session_put_back(sessions, &who, tree_find("u"), info.root, 0, NULL, NULL, kept), 0);
	ck_assert_ptr_nonnull(strstr(tree_list("u"), ".restore-"));
	tree_crash();
	ck_assert_str_eq(tree_list("u"), "w ");
	ck_assert_str_eq(tree_list("u/w"), "s ");
	ck_assert_str_eq(tree_list(MESSAGES), "001.md 002.md ");
}
END_TEST

static int note(void *arg, uint64_t ino, bool many)
{
	struct buf *list = arg;
	return buf_append(list, &ino, sizeof ino);
}

static bool noted(const struct buf *list, uint64_t ino)
{
	for (size_t i = 0; i < list->len; i += sizeof ino)
		if (memcmp(list->data + i, &ino, sizeof ino) == 0)
			return true;
	return false;
}

START_TEST(changes_are_told)
{
	_cleanup_buf_ struct buf list = {0};
	uint64_t after = 0;
	prepare();
	tree_write(SESSION "/still", "x");
	struct snapshot_info a = take(SESSION, "a");
	ck_assert_int_eq(snapshot_changes(store.core, a.root, tree_find(SESSION), &after, note, &list), 0);
	ck_assert_uint_eq(list.len, 0);
	tree_write(SESSION "/sub/file", "new");
	struct snapshot_info b = take(SESSION, "b");
	tree_write(SESSION "/still", "y");
	after = 0;
	ck_assert_int_eq(snapshot_changes(store.core, a.root, b.root, &after, note, &list), 0);
	ck_assert(noted(&list, tree_find(SESSION "/sub/file")));
	ck_assert(!noted(&list, tree_find(SESSION "/still")));
	after = 0;
	ck_assert_int_eq(snapshot_changes(store.core, b.root, tree_find(SESSION), &after, note, &list), 0);
	ck_assert(noted(&list, tree_find(SESSION "/still")));
	after = 0;
	ck_assert_int_eq(snapshot_changes(store.core, a.root, tree_find(MESSAGES), &after, note, &list), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("putback");
	tcase_add_checked_fixture(t, tree_setup, tree_teardown);
	tcase_add_test(t, a_session_is_put_back);
	tcase_add_test(t, it_is_so_after_a_crash);
	tcase_add_test(t, what_a_crash_leaves_goes);
	tcase_add_test(t, forks_are_new_sessions);
	tcase_add_test(t, entries_are_put_back);
	tcase_add_test(t, a_user_is_put_back);
	tcase_add_test(t, removed_sessions_come_back_with_their_place);
	tcase_add_test(t, many_sessions_are_put_back);
	tcase_add_test(t, places_are_whole_after_a_crash_before_the_end);
	tcase_add_test(t, changes_are_told);
	return run_case("putback", t);
}
