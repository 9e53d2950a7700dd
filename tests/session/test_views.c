/* The mount's root. */
#include "fs/views/root.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

static struct views *views;
static char names[256];
static const struct viewer viewer;

static void setup(void)
{
	tree_setup();
	ck_assert_int_eq(views_open(sessions, &views), 0);
}

static void teardown(void)
{
	views_close(views);
	tree_teardown();
}

static int collect(void *arg, const struct core_dirent *e)
{
	int *room = arg;
	if (room && (*room)-- == 0)
		return 1;
	if (e->have_attr && e->ino == CORE_ROOT_INO)
		core_forget(store.core, e->ino, 1);
	strcat(strcat(names, e->name), " ");
	return 0;
}

START_TEST(it_holds_a_readme_and_users)
{
	struct core_entry e;
	struct stat st;
	char text[8192];
	void *file;
	ck_assert_int_eq(views_readdir(views, &viewer, VIEWS_ROOT_INO, 0, true, collect, NULL), 0);
	ck_assert_str_eq(names, ". .. users backups exports README.md views status ");
	ck_assert_int_eq(views_lookup(views, &viewer, VIEWS_ROOT_INO, "users", &e), 0);
	ck_assert_uint_eq(e.ino, CORE_ROOT_INO);
	core_forget(store.core, e.ino, 1);
	ck_assert_int_eq(views_lookup(views, &viewer, VIEWS_ROOT_INO, "nothing", &e), -ENOENT);
	ck_assert_int_eq(views_lookup(views, &viewer, VIEWS_ROOT_INO, "README.md", &e), 0);
	ck_assert(views_owns(e.ino));
	ck_assert_int_eq(views_file_open(views, e.ino, &file), 0);
	ck_assert_int_eq(views_getattr(views, &viewer, e.ino, &st, NULL), 0);
	ck_assert_int_eq(views_read(views, e.ino, file, text, sizeof text, 0), st.st_size);
	ck_assert_int_eq(memcmp(text, "# scribefs\n", 11), 0);
	ck_assert_int_eq(views_read(views, e.ino, file, text, sizeof text, st.st_size), 0);
	views_file_release(views, e.ino, file);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0444);
	ck_assert_int_eq(views_getattr(views, &viewer, VIEWS_ROOT_INO, &st, NULL), 0);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0555);
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_int_eq(views_file_open(views, VIEWS_ROOT_INO, &file), -EISDIR);
	ck_assert_int_eq(views_lookup(views, &viewer, e.ino, "x", &e), -ENOTDIR);
	ck_assert_int_eq(views_getattr(views, &viewer, 77, &st, NULL), -ENOENT);
}
END_TEST

START_TEST(listing_goes_on_where_it_stopped)
{
	int room = 3;
	names[0] = '\0';
	ck_assert_int_eq(views_readdir(views, &viewer, VIEWS_ROOT_INO, 0, true, collect, &room), 0);
	ck_assert_str_eq(names, ". .. users ");
	names[0] = '\0';
	ck_assert_int_eq(views_readdir(views, &viewer, VIEWS_ROOT_INO, 3, true, collect, NULL), 0);
	ck_assert_str_eq(names, "backups exports README.md views status ");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("views");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, it_holds_a_readme_and_users);
	tcase_add_test(c, listing_goes_on_where_it_stopped);
	return run_case("views", c);
}
