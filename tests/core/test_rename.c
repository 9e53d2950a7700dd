/*
 * test_rename.c: rename: the matrix of kinds and flags, links, times, loops, containers, open
 * files.
 */
#include "fs/core/op.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO

static struct store s;

static void setup(void)
{
	store_new(&s, NULL);
}

static void teardown(void)
{
	tree_check(&s);
	store_reopen(&s);
	tree_check(&s);
	store_close(&s);
}

static int move(uint64_t from, const char *name, uint64_t to, const char *new_name, unsigned flags)
{
	return core_rename(s.core, &s.who, from, name, to, new_name, flags, NULL);
}

static nlink_t links(uint64_t ino)
{
	struct stat st;
	store_stat(&s, ino, &st);
	return st.st_nlink;
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* ---- the matrix ------------------------------------------------------------------------------ */

enum kind { NONE, REG, LNK, EMPTY_DIR, FULL_DIR, KINDS };

static uint64_t put(uint64_t parent, const char *name, enum kind kind)
{
	uint64_t ino = 0;
	if (kind == REG)
		ino = store_file(&s, parent, name, name);
	else if (kind == LNK)
		ino = store_symlink(&s, parent, name, "target");
	else if (kind != NONE)
		ino = store_make(&s, parent, name, S_IFDIR | 0700);
	if (kind == FULL_DIR)
		store_make(&s, ino, "inside", S_IFREG | 0600);
	return ino;
}

static bool is_dir(enum kind kind)
{
	return kind == EMPTY_DIR || kind == FULL_DIR;
}

/* As rename(2) has it. */
static int expected(enum kind from, enum kind to, unsigned flags)
{
	if (from == NONE)
		return -ENOENT;
	if (flags == RENAME_EXCHANGE)
		return to == NONE ? -ENOENT : 0;
	if (to == NONE)
		return 0;
	if (flags == RENAME_NOREPLACE)
		return -EEXIST;
	if (is_dir(from) && !is_dir(to))
		return -ENOTDIR;
	if (!is_dir(from) && is_dir(to))
		return -EISDIR;
	return to == FULL_DIR ? -ENOTEMPTY : 0;
}

static void one_case(enum kind from, enum kind to, unsigned flags, bool same_dir)
{
	uint64_t top = store_make(&s, ROOT, "top", S_IFDIR | 0700);
	uint64_t a = store_make(&s, top, "a", S_IFDIR | 0700), b = a;
	if (!same_dir)
		b = store_make(&s, top, "b", S_IFDIR | 0700);
	uint64_t child = put(a, "from", from), victim = put(b, "to", to);
	int want = expected(from, to, flags);
	_cleanup_buf_ struct buf before = {0};
	struct stat st;
	tree_dump(&s, &before);
	int r = move(a, "from", b, "to", flags);
	ck_assert_msg(r == want, "%d onto %d, flags %u: %d, not %d", from, to, flags, r, want);
	if (want < 0) {
		tree_expect(&s, &before);
	} else if (flags == RENAME_EXCHANGE) {
		ck_assert_uint_eq(store_find(&s, a, "from"), victim);
		ck_assert_uint_eq(store_find(&s, b, "to"), child);
		if (is_dir(to))
			ck_assert_uint_eq(store_find(&s, victim, ".."), a);
	} else {
		ck_assert_uint_eq(store_find(&s, a, "from"), 0);
		ck_assert_uint_eq(store_find(&s, b, "to"), child);
		if (victim)
			ck_assert_int_eq(core_getattr(s.core, victim, &st, NULL), -ENOENT);
	}
	if (want == 0 && is_dir(from))
		ck_assert_uint_eq(store_find(&s, child, ".."), b);
	/* Out of the way; what is in it goes with it. */
	char name[32];
	static int n;
	snprintf(name, sizeof name, "done%d", n++);
	ck_assert_int_eq(move(ROOT, "top", ROOT, name, 0), 0);
}

START_TEST(matrix)
{
	static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	for (int from = NONE; from < KINDS; from++)
		for (int to = NONE; to < KINDS; to++)
			one_case((enum kind)from, (enum kind)to, flags[_i / 2], _i % 2);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------- */

START_TEST(bad_arguments)
{
	char name[CORE_NAME_MAX + 2];
	uint64_t f = store_file(&s, ROOT, "f", "x");
	_cleanup_buf_ struct buf before = {0};
	memset(name, 'n', sizeof name - 1);
	name[CORE_NAME_MAX + 1] = '\0';
	tree_dump(&s, &before);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "g", RENAME_NOREPLACE | RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "g", RENAME_WHITEOUT), -EINVAL);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "g", 1u << 20), -EINVAL);
	ck_assert_int_eq(move(ROOT, "f", ROOT, name, 0), -ENAMETOOLONG);
	ck_assert_int_eq(move(ROOT, name, ROOT, "g", 0), -ENAMETOOLONG);
	ck_assert_int_eq(move(ROOT, "f", f, "g", 0), -ENOTDIR);
	ck_assert_int_eq(move(f, "f", ROOT, "g", 0), -ENOTDIR);
	ck_assert_int_eq(move(ROOT, "f", 987654321, "g", 0), -ENOENT);
	ck_assert_int_lt(move(ROOT, "f", ROOT, ".", 0), 0);
	ck_assert_int_lt(move(ROOT, "f", ROOT, "..", 0), 0);
	ck_assert_int_lt(move(ROOT, ".", ROOT, "g", 0), 0);
	ck_assert_int_lt(move(ROOT, "f", ROOT, "", 0), 0);
	tree_expect(&s, &before);
}
END_TEST

START_TEST(loops)
{
	uint64_t a = store_make(&s, ROOT, "a", S_IFDIR | 0700);
	uint64_t b = store_make(&s, a, "b", S_IFDIR | 0700);
	uint64_t c = store_make(&s, b, "c", S_IFDIR | 0700);
	store_make(&s, ROOT, "other", S_IFDIR | 0700);
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	ck_assert_int_eq(move(ROOT, "a", a, "x", 0), -EINVAL);
	ck_assert_int_eq(move(ROOT, "a", b, "x", 0), -EINVAL);
	ck_assert_int_eq(move(ROOT, "a", c, "x", 0), -EINVAL);
	ck_assert_int_eq(move(a, "b", b, "c", 0), -EINVAL);
	ck_assert_int_eq(move(ROOT, "a", b, "c", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(move(b, "c", ROOT, "a", RENAME_EXCHANGE), -EINVAL);
	ck_assert_int_eq(move(b, "c", ROOT, "a", 0), -ENOTEMPTY);
	tree_expect(&s, &before);
	/* Towards the root is fine. */
	ck_assert_int_eq(move(b, "c", ROOT, "c", 0), 0);
	ck_assert_int_eq(move(ROOT, "a", c, "a", 0), 0);
	ck_assert_uint_eq(store_find(&s, a, ".."), c);
	ck_assert_uint_eq(links(c), 3);
	ck_assert_uint_eq(links(b), 2);
}
END_TEST

START_TEST(two_names_of_one_file)
{
	struct core_entry e;
	uint64_t f = store_file(&s, ROOT, "f", "x");
	ck_assert_int_eq(core_link(s.core, &s.who, f, ROOT, "g", NULL, &e), 0);
	core_forget(s.core, e.ino, 1);
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "g", 0), 0);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "f", 0), 0);
	ck_assert_int_eq(move(ROOT, "f", ROOT, "g", RENAME_NOREPLACE), -EEXIST);
	tree_expect(&s, &before);
}
END_TEST

/* ---- effects --------------------------------------------------------------------------------- */

START_TEST(times)
{
	struct stat f_before, v, a_after, b_after, f_after;
	struct core_entry e;
	uint64_t a = store_make(&s, ROOT, "a", S_IFDIR | 0700);
	uint64_t b = store_make(&s, ROOT, "b", S_IFDIR | 0700);
	uint64_t f = store_file(&s, a, "f", "x"), victim = store_file(&s, b, "v", "y");
	ck_assert_int_eq(core_link(s.core, &s.who, victim, ROOT, "kept", NULL, &e), 0);
	core_forget(s.core, e.ino, 1);
	store_stat(&s, f, &f_before);
	ck_assert_int_eq(move(a, "f", b, "v", 0), 0);
	store_stat(&s, f, &f_after);
	store_stat(&s, a, &a_after);
	store_stat(&s, b, &b_after);
	store_stat(&s, victim, &v);
	ck_assert(same(f_after.st_mtim, f_before.st_mtim) &&
		  !same(f_after.st_ctim, f_before.st_ctim));
	ck_assert(same(a_after.st_mtim, f_after.st_ctim) && same(a_after.st_ctim, f_after.st_ctim));
	ck_assert(same(b_after.st_mtim, f_after.st_ctim) && same(b_after.st_ctim, f_after.st_ctim));
	ck_assert(same(v.st_ctim, f_after.st_ctim) && v.st_nlink == 1);
	store_expect(&s, victim, "y");
	store_expect(&s, store_find(&s, b, "v"), "x");
}
END_TEST

START_TEST(directory_link_counts)
{
	uint64_t a = store_make(&s, ROOT, "a", S_IFDIR | 0700);
	uint64_t b = store_make(&s, ROOT, "b", S_IFDIR | 0700);
	store_make(&s, a, "d", S_IFDIR | 0700);
	store_file(&s, b, "f", "x");
	ck_assert_int_eq(move(a, "d", b, "f", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(links(a), 2);
	ck_assert_uint_eq(links(b), 3);
	store_make(&s, b, "e", S_IFDIR | 0700);
	ck_assert_int_eq(move(b, "e", b, "f", 0), 0);
	ck_assert_uint_eq(links(b), 3);
	ck_assert_int_eq(move(b, "f", a, "f2", 0), 0);
	ck_assert_uint_eq(links(a), 3);
	ck_assert_uint_eq(links(b), 2);
}
END_TEST

START_TEST(over_an_open_file)
{
	static char big[50000];
	struct file *f;
	char got[8];
	memset(big, 'o', sizeof big - 1);
	uint64_t old = store_file(&s, ROOT, "f", big);
	store_file(&s, ROOT, "f~", "new");
	ck_assert_int_eq(core_file_open(s.core, &s.who, old, O_RDONLY, &f), 0);
	ck_assert_int_eq(move(ROOT, "f~", ROOT, "f", 0), 0);
	store_expect(&s, store_find(&s, ROOT, "f"), "new");
	ck_assert_int_eq(core_read(s.core, f, got, 4, 40000), 4);
	ck_assert_mem_eq(got, "oooo", 4);
	ck_assert_uint_eq(links(old), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
}
END_TEST

static int with_container(struct op *op, void *arg)
{
	op->container_kind = 7;
	op->new_domain = *(bool *)arg;
	return 0;
}

static uint64_t make_container(uint64_t parent, const char *name, bool domain)
{
	struct core_rule rule = {.plan = with_container, .arg = &domain};
	struct core_make m = {.mode = S_IFDIR | 0700};
	struct core_entry e;
	ck_assert_int_eq(core_make(s.core, &s.who, parent, name, &m, &rule, &e), 0);
	core_forget(s.core, e.ino, 1);
	return e.ino;
}

START_TEST(between_containers)
{
	struct core_entry e;
	uint64_t u1 = make_container(ROOT, "u1", true), u2 = make_container(ROOT, "u2", true);
	uint64_t w1 = make_container(u1, "w1", false), w2 = make_container(u1, "w2", false);
	uint64_t s1 = make_container(w1, "s1", false), d = store_make(&s, s1, "d", S_IFDIR | 0700);
	uint64_t f = store_file(&s, d, "f", "x");
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	ck_assert_int_eq(move(d, "f", w1, "f", 0), -EXDEV);
	ck_assert_int_eq(move(s1, "d", w1, "d", 0), -EXDEV);
	ck_assert_int_eq(move(d, "f", u2, "f", 0), -EXDEV);
	ck_assert_int_eq(move(w1, "s1", u2, "s1", 0), -EXDEV);
	ck_assert_int_eq(core_link(s.core, &s.who, f, w1, "f", NULL, &e), -EXDEV);
	tree_expect(&s, &before);
	/* A whole container moves within its domain at once, and keeps what is in it. */
	ck_assert_int_eq(move(w1, "s1", w2, "moved", 0), 0);
	ck_assert_int_eq(move(d, "f", s1, "f", 0), 0);
	store_reopen(&s);
	ck_assert_uint_eq(store_find(&s, w2, "moved"), s1);
	ck_assert_uint_eq(store_find(&s, s1, ".."), w2);
	store_expect(&s, store_find(&s, s1, "f"), "x");
	uint64_t s2 = make_container(w1, "s2", false);
	ck_assert_int_eq(move(w1, "s2", w2, "moved", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(store_find(&s, w1, "s2"), s1);
	ck_assert_uint_eq(store_find(&s, w2, "moved"), s2);
	ck_assert_int_eq(move(ROOT, "u1", ROOT, "renamed", 0), 0);
	ck_assert_uint_eq(store_find(&s, ROOT, "renamed"), u1);
	/* An empty one can be replaced and removed: its records go. */
	size_t containers = tree_records(&s, KEY_CONTAINER);
	ck_assert_int_eq(core_unlink(s.core, &s.who, s1, "f", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, s1, "d", NULL), 0);
	ck_assert_int_eq(move(w2, "moved", w1, "s2", 0), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, w1, "s2", NULL), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_CONTAINER), containers - 2);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "u2", NULL), 0);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CONTAINER), containers - 3);
}
END_TEST

/* Moves across each other from several threads: never a loop, never a lost directory. */
static void *mover(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char names[3][2] = {"a", "b", "c"};
	for (int i = 0; i < 400; i++) {
		const char *from = names[rand_r(&seed) % 3], *to = names[rand_r(&seed) % 3];
		uint64_t parent = ROOT, target = ROOT, up;
		for (int depth = rand_r(&seed) % 3; depth > 0; depth--)
			if ((up = store_find(&s, parent, names[rand_r(&seed) % 3])))
				parent = up;
		for (int depth = rand_r(&seed) % 3; depth > 0; depth--)
			if ((up = store_find(&s, target, names[rand_r(&seed) % 3])))
				target = up;
		int r = move(parent, from, target, to, rand_r(&seed) % 2 ? RENAME_NOREPLACE : 0);
		ck_assert_msg(
			r == 0 || r == -ENOENT || r == -EINVAL || r == -ENOTEMPTY || r == -EEXIST,
			"%d", r);
	}
	return NULL;
}

START_TEST(many_movers)
{
	pthread_t threads[4];
	uint64_t a = store_make(&s, ROOT, "a", S_IFDIR | 0700);
	uint64_t b = store_make(&s, a, "b", S_IFDIR | 0700);
	store_file(&s, store_make(&s, b, "c", S_IFDIR | 0700), "inside", "x");
	store_file(&s, b, "inside", "y");
	store_file(&s, a, "inside", "z");
	for (size_t i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, mover, (void *)(i + 1)), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	_cleanup_buf_ struct buf text = {0};
	tree_dump(&s, &text);
	int files = 0;
	for (const char *p = (const char *)text.data; (p = strstr(p, "/inside ")); p++)
		files++;
	ck_assert_int_eq(files, 3);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("rename");
	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, matrix, 0, 6);
	tcase_add_test(t, bad_arguments);
	tcase_add_test(t, loops);
	tcase_add_test(t, two_names_of_one_file);
	tcase_add_test(t, times);
	tcase_add_test(t, directory_link_counts);
	tcase_add_test(t, over_an_open_file);
	tcase_add_test(t, between_containers);
	tcase_add_test(t, many_movers);
	return run_case("rename", t);
}
