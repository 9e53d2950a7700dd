/*
 * test_putmerge.c: a session is put back by what has changed of it: what did not change keeps its inodes, and after any
 * changes the session is what the snapshot has.
 */
#include "fs/core/inode.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define STEPS 40 /* random changes between the snapshot and the restore */

static char kept[CORE_NAME_MAX + 1];

static uint64_t take(const char *name)
{
	struct snapshot_info info;
	ck_assert_int_eq(session_snapshot_take(sessions, &who, tree_find(SESSION), name, 0, &info), 0);
	return info.root;
}

static void put_back(uint64_t from)
{
	int r = session_put_back(sessions, &who, tree_find(SESSION), from, 0, NULL, NULL, kept);
	ck_assert_msg(r == 0, "%s", strerror(-r));
	ck_assert_int_eq(session_put_back_end(sessions), 0);
}

static void set_mode(const char *path, mode_t mode)
{
	struct stat st = {.st_mode = mode};
	ck_assert_int_eq(core_setattr(store.core, &who, tree_find(path), &st, CORE_SET_MODE, &st), 0);
}

/* ---- a tree as text --------------------------------------------------------------------------- */

struct names {
	unsigned n;
	char of[64][64];
};

static int add_name(void *arg, const struct core_dirent *e)
{
	struct names *names = arg;
	/* The session layer leaves out what lay hidden. */
	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0 || strncmp(e->name, ".restore-", 9) == 0)
		return 0;
	ck_assert_uint_lt(names->n, 64);
	snprintf(names->of[names->n++], 64, "%s", e->name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void add_tree(struct buf *text, uint64_t dir, const char *path)
{
	struct names names = {0};
	ck_assert_int_eq(core_readdir(store.core, dir, 0, false, add_name, &names), 0);
	qsort(names.of, names.n, sizeof names.of[0], by_name);
	for (unsigned i = 0; i < names.n; i++) {
		struct core_entry e;
		struct stat st;
		struct file *f;
		char at[256], bytes[256];
		snprintf(at, sizeof at, "%s/%s", path, names.of[i]);
		ck_assert_int_eq(core_lookup(store.core, dir, names.of[i], &e), 0);
		core_forget(store.core, e.ino, 1);
		ck_assert_int_eq(core_getattr(store.core, e.ino, &st, NULL), 0);
		buf_printf(text, "%s %o %lu %lld.%ld", at, st.st_mode, (unsigned long)st.st_nlink,
			(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		if (S_ISREG(st.st_mode)) {
			ck_assert_int_eq(core_file_open(store.core, &who, e.ino, O_RDONLY, &f), 0);
			ssize_t n = core_read(store.core, f, bytes, sizeof bytes, 0);
			ck_assert_int_ge(n, 0);
			buf_printf(text, " %lld '%.*s'", (long long)st.st_size, (int)n, bytes);
			ck_assert_int_eq(core_file_release(store.core, f), 0);
		}
		buf_printf(text, "\n");
		if (S_ISDIR(st.st_mode))
			add_tree(text, e.ino, at);
	}
}

static char *tree_text(uint64_t root)
{
	_cleanup_buf_ struct buf text = {0};
	add_tree(&text, root, "");
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return strdup((const char *)text.data);
}

static void expect_tree(uint64_t then)
{
	char *want = tree_text(then), *have = tree_text(tree_find(SESSION));
	ck_assert_msg(strcmp(want, have) == 0, "then\n%s\nnow\n%s", want, have);
	free(want);
	free(have);
}

/* ---- what stays ------------------------------------------------------------------------------- */

static void prepare(void)
{
	for (int i = 0; i < 6; i++)
		tree_next("a message\n");
	ck_assert_int_eq(tree_mkdir(SESSION "/d"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/d/e"), 0);
	tree_write(SESSION "/d/one", "one");
	tree_write(SESSION "/d/two", "two");
	tree_write(SESSION "/d/e/deep", "deep");
	tree_write(SESSION "/notes", "notes");
	tree_read(JSON);
}

START_TEST(what_did_not_change_stays)
{
	prepare();
	uint64_t then = take("a");
	const char *same[] = {MESSAGES, MESSAGES "/001.md", MESSAGES "/004.md", SESSION "/d", SESSION "/d/e",
	        SESSION "/d/e/deep", SESSION "/d/two", SESSION "/notes"};
	uint64_t was[8], one = tree_find(SESSION "/d/one"), edited = tree_find(MESSAGES "/002.md");
	for (unsigned i = 0; i < 8; i++)
		was[i] = tree_find(same[i]);
	tree_write(MESSAGES "/002.md", "edited\n");
	ck_assert_int_eq(tree_unlink(MESSAGES "/003.md"), 0);
	tree_next("a new one\n");
	tree_write(SESSION "/d/one", "changed");
	tree_write(SESSION "/d/added", "x");
	tree_read(MESSAGES "/001.md"); /* moves the time of the last access */
	put_back(then);
	expect_tree(then);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_msg(tree_find(same[i]) == was[i], "%s is another inode", same[i]);
	ck_assert_uint_ne(tree_find(SESSION "/d/one"), one);
	ck_assert_uint_ne(tree_find(MESSAGES "/002.md"), edited);
	ck_assert_str_eq(tree_read(MESSAGES "/003.md"), "a message\n");
	tree_expect_field("message_count", "6");
	ck_assert_uint_eq(tree_next("the next\n"), 8);
	/* what was there is in the snapshot that was taken */
	struct snapshot_info info;
	ck_assert_int_eq(snapshot_find(store.core, tree_find(SESSION), kept, &info), 0);
	put_back(info.root);
	expect_tree(info.root);
	ck_assert_str_eq(tree_read(MESSAGES "/002.md"), "edited\n");
	ck_assert_str_eq(tree_read(MESSAGES "/007.md"), "a new one\n");
}
END_TEST

/* Where entries alone do not tell it all is copied. */
START_TEST(what_cannot_stay_is_copied)
{
	prepare();
	ck_assert_int_eq(tree_link(SESSION "/d/one", SESSION "/d/e/linked"), 0);
	uint64_t then = take("a");
	switch (_i) {
	case 0:
		set_mode(SESSION "/d", 0700);
		break;
	case 1:
		ck_assert_int_eq(tree_rename(SESSION "/d", SESSION "/moved"), 0);
		break;
	case 2:
		tree_write(SESSION "/d/one", "through one name");
		break;
	case 3:
		ck_assert_int_eq(tree_rename(SESSION "/d/e", SESSION "/e"), 0);
		ck_assert_int_eq(tree_mkdir(SESSION "/d/e"), 0);
		break;
	default:
		ck_assert_int_eq(core_setxattr(store.core, &who, tree_find(SESSION "/d"), "user.x", "y", 1, 0), 0);
	}
	put_back(then);
	expect_tree(then);
	ck_assert_uint_eq(tree_find(SESSION "/d/one"), tree_find(SESSION "/d/e/linked"));
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getxattr(store.core, tree_find(SESSION "/d"), "user.x", &value), -ENODATA);
}
END_TEST

/* ---- any changes ------------------------------------------------------------------------------ */

static const char *const paths[] = {SESSION "/a", SESSION "/b", SESSION "/d/a", SESSION "/d/b", SESSION "/d/e/a",
        SESSION "/d/e/b", SESSION "/d/e", SESSION "/f", SESSION "/f/a", MESSAGES "/001.md", MESSAGES "/002.md",
        MESSAGES "/003.md", MESSAGES "/010.md", SESSION "/agent", SESSION "/context.json"};

static const char *any(unsigned *seed)
{
	return paths[(unsigned)rand_r(seed) % (sizeof paths / sizeof paths[0])];
}

/* Its number, or that of the directory that it would be in; 0: there is none. */
static uint64_t find(const char *path, bool dir)
{
	uint64_t ino = CORE_ROOT_INO;
	char copy[256], *rest = copy, *part;
	struct core_entry e = {.st.st_mode = S_IFDIR};
	snprintf(copy, sizeof copy, "%s", path);
	while ((part = strsep(&rest, "/")) && (rest || !dir)) {
		if (core_lookup(store.core, ino, part, &e) < 0)
			return 0;
		core_forget(store.core, e.ino, 1);
		ino = e.ino;
		if (rest && !S_ISDIR(e.st.st_mode))
			return 0;
	}
	return ino;
}

/* Each may fail, for the name may not be there, or be of another kind. */
static void change(unsigned *seed)
{
	const char *path = any(seed), *other = any(seed);
	unsigned number = (unsigned)rand_r(seed);
	if (!find(path, true) || !find(other, true))
		return;
	struct stat st = {.st_mode = number & 0700};
	char text[32];
	snprintf(text, sizeof text, "text %u", number % 1000);
	switch (number / 1000 % 9) {
	case 0:
	case 1:
	case 2:
		tree_write_flags(path, text, O_TRUNC, NULL);
		break;
	case 3:
		tree_unlink(path);
		break;
	case 4:
		tree_mkdir(path);
		break;
	case 5:
		tree_rename(path, other);
		break;
	case 6:
		if (find(path, false))
			tree_link(path, other);
		break;
	case 7:
		if (find(path, false))
			core_setattr(store.core, &who, find(path, false), &st, CORE_SET_MODE, &st);
		break;
	default:
		tree_next(text);
	}
}

START_TEST(any_changes_are_undone)
{
	unsigned seed = (unsigned)_i;
	uint64_t before, then;
	prepare();
	for (int i = 0; i < STEPS; i++)
		change(&seed);
	before = take("before");
	for (int round = 0; round < 4; round++) {
		char name[16];
		snprintf(name, sizeof name, "at %d", round);
		then = take(name);
		for (int i = 0; i < STEPS / (round + 1); i++)
			change(&seed);
		put_back(then);
		expect_tree(then);
	}
	put_back(before);
	expect_tree(before);
	tree_reopen();
	expect_tree(before);
}
END_TEST

/* Directories that stay are staged with what they take in: where there are many all is copied. */
START_TEST(many_directories_that_changed)
{
	char path[64];

	for (const char *const *name = (const char *const[]){"agent", "context.json", NULL}; *name; name++) {
		snprintf(path, sizeof path, SESSION "/%s", *name);
		tree_write(path, "{}\n");
	}
	tree_next("one\n");
	for (int i = 0; i < _i; i++) {
		snprintf(path, sizeof path, SESSION "/dir%d", i);
		ck_assert_int_eq(tree_mkdir(path), 0);
		snprintf(path, sizeof path, SESSION "/dir%d/file", i);
		tree_write(path, "then\n");
	}
	uint64_t then = take("then");
	tree_next("two\n");
	tree_append(SESSION "/agent", " ");
	tree_append(SESSION "/context.json", " ");
	for (int i = 0; i < _i; i++) {
		snprintf(path, sizeof path, SESSION "/dir%d/file", i);
		tree_write(path, "now\n");
	}
	put_back(then);
	for (int i = 0; i < _i; i++) {
		snprintf(path, sizeof path, SESSION "/dir%d/file", i);
		ck_assert_str_eq(tree_read(path), "then\n");
	}
	ck_assert_uint_eq(tree_find(SESSION "/messages/002.md"), 0);
	ck_assert_str_eq(tree_read(SESSION "/context.json"), "{}\n");
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("putmerge");
	tcase_add_checked_fixture(c, tree_setup, tree_teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, what_did_not_change_stays);
	tcase_add_loop_test(c, many_directories_that_changed, 0, 30);
	tcase_add_loop_test(c, what_cannot_stay_is_copied, 0, 5);
	tcase_add_loop_test(c, any_changes_are_undone, 0, 40);
	return run_case("putmerge", c);
}
