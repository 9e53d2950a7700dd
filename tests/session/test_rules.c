/* Which names mean what, what may be made where, and what may move. */
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <linux/fs.h>

static uint8_t role(const char *path)
{
	return session_negative_cacheable(sessions, tree_find(path)) ? 1 : 0;
}

START_TEST(users_hold_users_only)
{
	ck_assert_int_eq(tree_make("file", S_IFREG | 0644), -EPERM);
	ck_assert_int_eq(tree_make("link", S_IFLNK), -EPERM);
	ck_assert_int_eq(tree_make("fifo", S_IFIFO | 0644), -EPERM);
	ck_assert_int_eq(tree_mkdir(".hidden"), -EPERM);
	ck_assert_int_eq(tree_mkdir("v"), 0);
	ck_assert_int_eq(tree_make("u/file", S_IFREG | 0644), 0);
	ck_assert_int_eq(tree_rename("u/file", "file"), -EPERM);
	ck_assert_int_eq(tree_link("u/file", "file"), -EPERM);
	ck_assert_int_eq(tree_rename("u", ".u"), -EPERM);
	ck_assert_int_eq(tree_rename("v", "x"), 0);
}
END_TEST

START_TEST(snapshots_is_reserved)
{
	ck_assert_int_eq(tree_mkdir(".snapshots"), -EPERM);
	ck_assert_int_eq(tree_mkdir("u/.snapshots"), -EPERM);
	ck_assert_int_eq(tree_mkdir("u/w/.snapshots"), -EPERM);
	ck_assert_int_eq(tree_make(SESSION "/.snapshots", S_IFREG | 0644), -EPERM);
	ck_assert_int_eq(tree_mkdir(SESSION "/sub"), 0);
	ck_assert_int_eq(tree_rename(SESSION "/sub", SESSION "/.snapshots"), -EPERM);
	ck_assert_int_eq(tree_mkdir(SESSION "/sub/.snapshots"), 0);
}
END_TEST

START_TEST(a_session_is_born_whole)
{
	ck_assert_str_eq(tree_list(SESSION), "messages session.json ");
	ck_assert_int_eq(role(SESSION), 0);
	ck_assert_int_eq(role(MESSAGES), 0);
	ck_assert_int_eq(role("u/w"), 0); /* `scribefs new` makes names there */
	ck_assert_int_eq(tree_make("u/w/private", S_IFDIR | 0700), 0);
	ck_assert_uint_eq(tree_stat("u/w/private/messages").st_mode, S_IFDIR | 0700);
	ck_assert_uint_eq(tree_stat("u/w/private/session.json").st_mode, S_IFREG | 0600);
	ck_assert_uint_eq(tree_stat("u/w/private/session.json").st_uid, 1000);
	/* plain things stand beside */
	ck_assert_int_eq(tree_mkdir("u/w/.git"), 0);
	ck_assert_str_eq(tree_list("u/w/.git"), "");
	ck_assert_int_eq(tree_mkdir("u/.obsidian"), 0);
	ck_assert_int_eq(tree_mkdir("u/.obsidian/x"), 0);
	ck_assert_int_eq(tree_mkdir("u/.obsidian/x/y"), 0);
	ck_assert_str_eq(tree_list("u/.obsidian/x/y"), "");
	ck_assert_int_eq(tree_mkdir(SESSION "/tree"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/tree/messages"), 0);
	ck_assert_int_eq(tree_make(SESSION "/tree/messages/001.md", S_IFREG | 0644), 0);
	tree_expect_field("message_count", "0");
}
END_TEST

START_TEST(a_default_acl_is_inherited)
{
	/* user::rwx user:5:rwx group::r-x mask::rwx other::--- */
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 5, 0,
	        0, 0, 4, 0, 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 0, 0,
	        255, 255, 255, 255};
	struct buf value = {0};
	ck_assert_int_eq(session_setxattr(sessions, &who, tree_find("u/w"),
	                         "system.posix_acl_default", acl, sizeof acl, 0),
	        0);
	ck_assert_int_eq(tree_mkdir("u/w/shared"), 0);
	ck_assert_uint_eq(tree_stat("u/w/shared").st_mode & 07777, 0750);
	ck_assert_uint_eq(tree_stat("u/w/shared/messages").st_mode & 07777, 0750);
	ck_assert_uint_eq(tree_stat("u/w/shared/session.json").st_mode & 07777, 0640);
	ck_assert_int_eq(session_getxattr(sessions, &who, tree_find("u/w/shared/messages"),
	                         "system.posix_acl_default", &value),
	        0);
	ck_assert_uint_eq(value.len, sizeof acl);
	uint64_t before = tree_find("u/w/shared/session.json");
	tree_write("u/w/shared/messages/001.md", "x");
	uint64_t after = tree_find("u/w/shared/session.json");
	ck_assert_uint_ne(before, after);
	ck_assert_int_eq(
	        session_getxattr(sessions, &who, after, "system.posix_acl_access", &value), 0);
	buf_release(&value);
}
END_TEST

START_TEST(the_trash_holds_sessions)
{
	ck_assert_int_eq(tree_mkdir("u/.trash"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w"), 0);
	ck_assert_int_eq(tree_mkdir("u/.trash/w/s2"), 0);
	ck_assert_str_eq(tree_list("u/.trash/w/s2"), "messages session.json ");
	ck_assert_int_eq(tree_rename(SESSION, "u/.trash/w/s"), 0);
	ck_assert_ptr_nonnull(strstr(tree_read("u/.trash/w/s/session.json"), "\"user_id\": \"u\""));
	ck_assert_int_eq(tree_rename("u/.trash/w/s", SESSION), 0);
	ck_assert_int_eq(tree_rename("u/w", "u/.trash/w3"), 0);
	ck_assert_int_eq(
	        tree_rename("u/.trash/w3/s", "u/.trash/s"), -EXDEV); /* it would be a workflow */
}
END_TEST

START_TEST(moves)
{
	ck_assert_int_eq(tree_mkdir("u/w2"), 0);
	ck_assert_int_eq(tree_mkdir("v"), 0);
	ck_assert_int_eq(tree_mkdir("v/w"), 0);
	tree_write(SESSION "/note", "x");
	ck_assert_int_eq(tree_mkdir(SESSION "/dir"), 0);
	ck_assert_int_eq(tree_mkdir("u/w/s2"), 0);
	/* what would mean something else */
	ck_assert_int_eq(tree_rename(SESSION "/dir", "u/w/s3"), -EXDEV);
	ck_assert_int_eq(tree_rename(SESSION "/dir", SESSION "/messages2"), 0);
	ck_assert_int_eq(tree_rename(MESSAGES, SESSION "/old"), -EXDEV);
	ck_assert_int_eq(tree_rename("u/w", "u/.w"), -EXDEV);
	ck_assert_int_eq(tree_rename(SESSION, "u/s"), -EXDEV);
	/* from one container into another */
	ck_assert_int_eq(tree_rename(SESSION "/note", "u/w/s2/note"), -EXDEV);
	ck_assert_int_eq(tree_rename(SESSION "/note", "u/w/note"), -EXDEV);
	ck_assert_int_eq(tree_link(SESSION "/note", "u/w/s2/note"), -EXDEV);
	ck_assert_int_eq(tree_rename(SESSION, "v/w/s"), -EXDEV);
	ck_assert_int_eq(tree_rename("u/w2", "v/w2"), -EXDEV);
	/* within a user at once, and session.json says where it is now */
	tree_expect_field("workflow_type", "w");
	ck_assert_int_eq(tree_rename(SESSION, "u/w2/moved"), 0);
	ck_assert_ptr_nonnull(
	        strstr(tree_read("u/w2/moved/session.json"), "\"workflow_type\": \"w2\""));
	ck_assert_int_eq(tree_rename("u/w2", "u/w3"), 0);
	ck_assert_ptr_nonnull(
	        strstr(tree_read("u/w3/moved/session.json"), "\"workflow_type\": \"w3\""));
	ck_assert_int_eq(tree_rename("u", "renamed"), 0);
	ck_assert_ptr_nonnull(
	        strstr(tree_read("renamed/w3/moved/session.json"), "\"user_id\": \"renamed\""));
}
END_TEST

START_TEST(next_md_is_for_writing_only)
{
	ck_assert_uint_eq(tree_find(MESSAGES "/next.md"), 0);
	ck_assert_int_eq(tree_mkdir(MESSAGES "/next.md"), -EPERM);
	ck_assert_int_eq(tree_make(MESSAGES "/next.md", S_IFLNK), -EPERM);
	ck_assert_int_eq(tree_make(MESSAGES "/next.md", S_IFREG | 0644), -EPERM);
	tree_write(MESSAGES "/draft", "x");
	ck_assert_int_eq(tree_rename(MESSAGES "/draft", MESSAGES "/next.md"), -EXDEV);
	ck_assert_int_eq(tree_link(MESSAGES "/draft", MESSAGES "/next.md"), -EXDEV);
	ck_assert_int_eq(tree_mkdir(SESSION "/sub"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/sub/next.md"), 0);
}
END_TEST

START_TEST(removing)
{
	ck_assert_int_eq(tree_mkdir("u/w/s2"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/s2"), 0);
	ck_assert_uint_eq(tree_find("u/w/s2"), 0);
	ck_assert_uint_eq(tree_next("x"), 1);
	ck_assert_int_eq(tree_rmdir(SESSION), -ENOTEMPTY);
	ck_assert_int_eq(tree_rmdir(MESSAGES), -ENOTEMPTY);
	ck_assert_int_eq(tree_unlink(MESSAGES "/001.md"), 0);
	ck_assert_int_eq(tree_rmdir(SESSION), -ENOTEMPTY); /* it has had a message */
	ck_assert_int_eq(tree_rmdir(MESSAGES), 0);
	ck_assert_int_eq(tree_unlink(JSON), 0);
	ck_assert_str_eq(tree_list(SESSION), "");
	ck_assert_int_eq(tree_rmdir(SESSION), 0);
	ck_assert_int_eq(tree_rmdir("u/w"), 0);
	ck_assert_int_eq(tree_rmdir("u"), 0);
	ck_assert_int_eq(tree_mkdir("u"), 0);
	ck_assert_int_eq(tree_mkdir("u/w"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION), 0);
	ck_assert_uint_eq(tree_next("x"), 1);
}
END_TEST

START_TEST(named_sessions)
{
	char name[32], again[32];
	struct core_entry e;
	uint64_t w = tree_find("u/w");
	ck_assert_int_eq(session_new(sessions, &who, w, "Hello", name, &e), 0);
	core_forget(store.core, e.ino, 1);
	ck_assert_int_eq(strncmp(name, "SESSION-", 8), 0);
	ck_assert_str_eq(name + 14, "-001");
	ck_assert_str_eq(tree_attribute("u/w", "title"), "-");
	char path[64] = "u/w/";
	strcat(path, name);
	ck_assert_str_eq(tree_attribute(path, "title"), "Hello");
	/* the highest ever of that day and user: by hand, removed, in another workflow */
	memcpy(again, name, 15);
	strcpy(again + 15, "041");
	ck_assert_int_eq(tree_mkdir("u/w2"), 0);
	strcpy(path, "u/w2/");
	strcat(path, again);
	ck_assert_int_eq(tree_mkdir(path), 0);
	ck_assert_int_eq(tree_rmdir(path), 0);
	ck_assert_int_eq(session_new(sessions, &who, w, NULL, name, &e), 0);
	core_forget(store.core, e.ino, 1);
	ck_assert_str_eq(name + 14, "-042");
	tree_reopen();
	ck_assert_int_eq(session_new(sessions, &who, w, NULL, name, &e), 0);
	core_forget(store.core, e.ino, 1);
	ck_assert_str_eq(name + 14, "-043");
	ck_assert_int_lt(session_new(sessions, &who, tree_find("u"), NULL, name, &e), 0);
	ck_assert_int_lt(session_new(sessions, &who, tree_find(SESSION), NULL, name, &e), 0);
}
END_TEST

#define RACED SESSION "/raced"
static _Atomic bool raced;

static void *remove_it(void *arg)
{
	while (!raced)
		tree_unlink(RACED);
	return arg;
}

/* open(2) with O_CREAT and without O_EXCL finds a file or makes one, whoever removes it meanwhile. */
START_TEST(a_file_that_comes_and_goes)
{
	pthread_t threads[2];

	raced = false;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, remove_it, NULL), 0);
	for (int i = 0; i < 4000; i++) {
		ck_assert_int_eq(tree_write_flags(RACED, "", 0, NULL), 0);
		tree_write_flags(RACED, "", 0, NULL); /* and this one may find it */
	}
	raced = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("rules");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, users_hold_users_only);
	tcase_add_test(c, a_file_that_comes_and_goes);
	tcase_add_test(c, snapshots_is_reserved);
	tcase_add_test(c, a_session_is_born_whole);
	tcase_add_test(c, a_default_acl_is_inherited);
	tcase_add_test(c, the_trash_holds_sessions);
	tcase_add_test(c, moves);
	tcase_add_test(c, next_md_is_for_writing_only);
	tcase_add_test(c, removing);
	tcase_add_test(c, named_sessions);
	return run_case("rules", c);
}
