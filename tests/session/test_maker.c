/* What the process that made a session sees of the pair that was made with it. */
#include "fs/session/session_internal.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <pthread.h>
#include <sys/syscall.h>

#define OWN "u/w/own"
#define OTHER_PROCESS 1

static void setup(void)
{
	tree_setup();
	who.pid = getpid();
	ck_assert_int_eq(tree_mkdir(OWN), 0);
}

static void as_other(void)
{
	who.pid = OTHER_PROCESS;
}

static void as_maker(void)
{
	who.pid = getpid();
}

START_TEST(the_pair_does_not_exist)
{
	ck_assert_str_eq(tree_list(OWN), "");
	ck_assert_uint_eq(tree_find(OWN "/messages"), 0);
	ck_assert_uint_eq(tree_find(OWN "/session.json"), 0);
	as_other();
	ck_assert_str_eq(tree_list(OWN), "messages session.json ");
	as_maker();
	ck_assert_str_eq(tree_list(OWN), "");
	ck_assert_str_eq(tree_list(SESSION), "messages session.json "); /* made by another */
	ck_assert_int_eq(tree_rmdir(OWN), 0);
}
END_TEST

START_TEST(mkdir_adopts)
{
	as_other();
	uint64_t ino = tree_find(OWN "/messages");
	as_maker();
	ck_assert_int_eq(tree_make(OWN "/messages", S_IFDIR | 0700), 0);
	ck_assert_uint_eq(tree_find(OWN "/messages"), ino);
	ck_assert_uint_eq(tree_stat(OWN "/messages").st_mode & 07777, 0700);
	ck_assert_int_eq(tree_mkdir(OWN "/messages"), -EEXIST);
	ck_assert_str_eq(tree_list(OWN), "messages ");
	ck_assert_int_eq(tree_rmdir(OWN), -ENOTEMPTY);
}
END_TEST

START_TEST(create_adopts)
{
	ck_assert_int_eq(
	        tree_write_flags(OWN "/session.json", "{\"title\": \"T\"}", O_EXCL, NULL), 0);
	ck_assert_ptr_nonnull(strstr(tree_read(OWN "/session.json"), "\"title\": \"T\""));
	ck_assert_int_eq(tree_write_flags(OWN "/session.json", "{}", O_EXCL, NULL), -EEXIST);
	ck_assert_str_eq(tree_list(OWN), "session.json ");
	ck_assert_int_eq(tree_rmdir(OWN), -ENOTEMPTY);
}
END_TEST

START_TEST(rename_adopts)
{
	const char *name;
	tree_write(OWN "/tmp", "{\"title\": \"T\"}");
	uint64_t dir = tree_parent(OWN "/tmp", &name);
	ck_assert_int_eq(session_rename(sessions, &who, dir, "tmp", dir, "session.json", 1), 0);
	ck_assert_ptr_nonnull(strstr(tree_read(OWN "/session.json"), "\"title\": \"T\""));
}
END_TEST

START_TEST(what_another_writes_is_there)
{
	as_other();
	ck_assert_int_eq(tree_write_flags(OWN "/messages/next.md", "x", 0, NULL), 0);
	as_maker();
	ck_assert_str_eq(tree_list(OWN), "messages ");
	ck_assert_str_eq(tree_read(OWN "/messages/001.md"), "x");
	ck_assert_int_eq(tree_rmdir(OWN), -ENOTEMPTY);
}
END_TEST

static void *look_from_thread(void *arg)
{
	who.pid = (pid_t)syscall(SYS_gettid);
	ck_assert_int_ne(who.pid, getpid());
	*(uint64_t *)arg = tree_find(OWN "/messages");
	return NULL;
}

START_TEST(its_threads_are_the_maker_too)
{
	pthread_t thread;
	uint64_t found = 1;
	ck_assert_int_eq(pthread_create(&thread, NULL, look_from_thread, &found), 0);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(found, 0);
}
END_TEST

START_TEST(after_a_restart_nobody_is)
{
	tree_reopen();
	ck_assert_str_eq(tree_list(OWN), "messages session.json ");
	ck_assert_int_eq(tree_rmdir(OWN), 0); /* still untouched */
}
END_TEST

START_TEST(removed_by_others)
{
	as_other();
	ck_assert_int_eq(tree_rmdir(OWN), 0);
	as_maker();
	ck_assert_uint_eq(tree_find(OWN), 0);
}
END_TEST

static void pass(int64_t ms)
{
	atomic_fetch_add(&sessions->clock_shift, ms);
}

START_TEST(it_ends_when_nothing_is_made)
{
	pass(4000);
	ck_assert_str_eq(tree_list(OWN), "");
	tree_write(OWN "/notes", "x");
	pass(4000);
	ck_assert_str_eq(tree_list(OWN), "notes ");
	ck_assert_int_eq(tree_mkdir(OWN "/files"), 0);
	pass(4000);
	ck_assert_int_eq(tree_link(OWN "/notes", OWN "/files/notes"), 0);
	pass(4000);
	ck_assert_uint_eq(tree_find(OWN "/messages"), 0);
	pass(1000);
	ck_assert_str_eq(tree_list(OWN), "files messages notes session.json ");
	ck_assert_int_eq(tree_write_flags(OWN "/messages/next.md", "x", 0, NULL), 0);
	ck_assert_int_eq(tree_mkdir(OWN "/messages"), -EEXIST);
	ck_assert_int_eq(tree_write_flags(OWN "/session.json", "{}", O_EXCL, NULL), -EEXIST);
}
END_TEST

START_TEST(not_while_a_file_is_written)
{
	struct core_entry e;
	struct file *file;
	uint64_t dir = tree_find(OWN);
	ck_assert_int_eq(session_create(sessions, &who, dir, "large", 0644, O_WRONLY, &e, &file), 0);
	core_forget(store.core, e.ino, 1);
	pass(60000);
	ck_assert_str_eq(tree_list(OWN), "large ");
	ck_assert_int_eq(session_flush(sessions, file), 0);
	ck_assert_int_eq(session_release(sessions, file), 0);
	pass(4000);
	ck_assert_str_eq(tree_list(OWN), "large ");
	ck_assert_int_eq(tree_mkdir(OWN "/messages"), 0);
	pass(4000);
	ck_assert_uint_eq(tree_find(OWN "/session.json"), 0);
	pass(1000);
	ck_assert_uint_ne(tree_find(OWN "/session.json"), 0);
}
END_TEST

START_TEST(it_ends_when_the_maker_looks_again)
{
	ck_assert_uint_eq(tree_find(OWN "/messages"), 0);
	pass(900);
	ck_assert_uint_eq(tree_find(OWN "/messages"), 0);
	ck_assert_uint_eq(tree_find(OWN "/session.json"), 0);
	pass(900);
	ck_assert_uint_eq(tree_find(OWN "/messages"), 0); /* another one than the last */
	pass(1000);
	ck_assert_uint_ne(tree_find(OWN "/messages"), 0);
	ck_assert_str_eq(tree_list(OWN), "messages session.json ");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("maker");
	tcase_add_checked_fixture(c, setup, tree_teardown);
	tcase_add_test(c, the_pair_does_not_exist);
	tcase_add_test(c, mkdir_adopts);
	tcase_add_test(c, create_adopts);
	tcase_add_test(c, rename_adopts);
	tcase_add_test(c, what_another_writes_is_there);
	tcase_add_test(c, its_threads_are_the_maker_too);
	tcase_add_test(c, after_a_restart_nobody_is);
	tcase_add_test(c, removed_by_others);
	tcase_add_test(c, it_ends_when_nothing_is_made);
	tcase_add_test(c, not_while_a_file_is_written);
	tcase_add_test(c, it_ends_when_the_maker_looks_again);
	return run_case("maker", c);
}
