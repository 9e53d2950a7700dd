/* user.scribefs.*: derived values and policies. */
#include "tests/suite.h"
#include "tests/session/tree.h"

static int set(const char *path, const char *name)
{
	return session_setxattr(sessions, &who, tree_find(path), name, "5", 1, 0);
}

START_TEST(derived_values)
{
	tree_next("hi\n");
	ck_assert_str_eq(tree_attribute(SESSION, "title"), "hi");
	ck_assert_str_eq(tree_attribute(SESSION, "state"), "active");
	ck_assert_str_eq(tree_attribute(SESSION, "message_count"), "1");
	ck_assert_str_eq(tree_attribute(SESSION, "session_id"), tree_field("session_id"));
	ck_assert_str_eq(tree_attribute(SESSION, "role"), "-");
	ck_assert_str_eq(tree_attribute("u/w", "title"), "-");
	ck_assert_str_eq(tree_attribute(JSON, "role"), "-");
	ck_assert_str_eq(tree_attribute(MESSAGES "/001.md", "number"), "1");
	ck_assert_str_eq(tree_attribute(MESSAGES "/001.md", "agent"), "-");
	struct buf names = {0};
	ck_assert_int_eq(core_listxattr(store.core, tree_find(MESSAGES "/001.md"), &names), 0);
	ck_assert_uint_eq(names.len, 0); /* or copies with -X would break */
	buf_release(&names);
}
END_TEST

START_TEST(policies)
{
	ck_assert_int_eq(set("u", "user.scribefs.keep"), 0);
	ck_assert_str_eq(tree_attribute("u", "keep"), "5");
	ck_assert_int_eq(set(SESSION, "user.scribefs.max_messages"), 0);
	ck_assert_int_eq(set(SESSION, "user.scribefs.nonsense"), -EINVAL);
	ck_assert_int_eq(set(SESSION, "user.scribefs."), -EINVAL);
	ck_assert_int_eq(set(SESSION, "user.scribefs.title"), -EPERM);
	tree_next("hi\n");
	ck_assert_int_eq(set(MESSAGES "/001.md", "user.scribefs.role"), -EPERM);
	ck_assert_int_eq(set(MESSAGES "/001.md", "user.scribefs.keep"), -EINVAL);
	ck_assert_int_eq(set(MESSAGES "/001.md", "user.scribefsx"), 0);
	ck_assert_int_eq(set(MESSAGES "/001.md", "user.scribefs.reason"), 0);
	ck_assert_int_eq(
	        session_removexattr(sessions, &who, tree_find("u"), "user.scribefs.keep"), 0);
	ck_assert_str_eq(tree_attribute("u", "keep"), "-");
	ck_assert_int_eq(
	        session_removexattr(sessions, &who, tree_find(SESSION), "user.scribefs.title"),
	        -EPERM);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("xattrs");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_add_test(c, derived_values);
	tcase_add_test(c, policies);
	return run_case("xattrs", c);
}
