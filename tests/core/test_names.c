/*
 * test_names.c: making, finding, linking and removing: results, errors, link counts, times, and
 * rules.
 */
#include "fs/core/op.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>

#define ROOT CORE_ROOT_INO

static struct store s;

static void setup(void)
{
	store_new(&s, NULL);
}

static void teardown(void)
{
	tree_check(&s);
	store_close(&s);
}

static int make_with(uint64_t parent, const char *name, struct core_make m,
	const struct core_rule *rule)
{
	struct core_entry e;
	int r = core_make(s.core, &s.who, parent, name, &m, rule, &e);
	if (r == 0)
		core_forget(s.core, e.ino, 1);
	return r;
}

static int make(uint64_t parent, const char *name, mode_t mode)
{
	return make_with(parent, name, (struct core_make){.mode = mode, .target = "t"}, NULL);
}

static int link_to(uint64_t ino, uint64_t parent, const char *name)
{
	struct core_entry e;
	int r = core_link(s.core, &s.who, ino, parent, name, NULL, &e);
	if (r == 0)
		core_forget(s.core, e.ino, 1);
	return r;
}

static int lookup(uint64_t parent, const char *name)
{
	struct core_entry e;
	int r = core_lookup(s.core, parent, name, &e);
	if (r == 0)
		core_forget(s.core, e.ino, 1);
	return r;
}

static int unlink_of(uint64_t parent, const char *name)
{
	return core_unlink(s.core, &s.who, parent, name, NULL);
}

static int rmdir_of(uint64_t parent, const char *name)
{
	return core_rmdir(s.core, &s.who, parent, name, NULL);
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

static const char *long_name(char *buf, size_t len)
{
	memset(buf, 'n', len);
	buf[len] = '\0';
	return buf;
}

START_TEST(every_kind)
{
	static const mode_t kinds[] = {S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
	struct core_make m = {.rdev = makedev(300, 70000)};
	char name[2] = "a";
	struct stat st;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++, name[0]++) {
		m.mode = kinds[i] | 0640;
		ck_assert_int_eq(make_with(ROOT, name, m, NULL), 0);
	}
	uint64_t l = store_symlink(&s, ROOT, "link", "somewhere/else");
	for (int pass = 0; pass < 2; pass++) {
		name[0] = 'a';
		for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++, name[0]++) {
			store_stat(&s, store_find(&s, ROOT, name), &st);
			ck_assert_uint_eq(st.st_mode, kinds[i] | 0640);
			ck_assert_uint_eq(st.st_nlink, S_ISDIR(kinds[i]) ? 2 : 1);
			ck_assert_uint_eq(st.st_uid, 1000);
			ck_assert_uint_eq(st.st_gid, 1000);
			if (S_ISCHR(kinds[i]) || S_ISBLK(kinds[i]))
				ck_assert_uint_eq(st.st_rdev, makedev(300, 70000));
			else
				ck_assert_uint_eq(st.st_rdev, 0);
		}
		_cleanup_buf_ struct buf target = {0};
		store_stat(&s, l, &st);
		ck_assert_uint_eq(st.st_mode, S_IFLNK | 0777);
		ck_assert_int_eq(st.st_size, 14);
		ck_assert_int_eq(core_readlink(s.core, l, &target), 0);
		ck_assert_uint_eq(target.len, 14);
		ck_assert_mem_eq(target.data, "somewhere/else", 14);
		ck_assert_int_eq(core_readlink(s.core, store_find(&s, ROOT, "a"), &target),
			-EINVAL);
		store_reopen(&s);
	}
}
END_TEST

START_TEST(names_of_any_bytes)
{
	char name[CORE_NAME_MAX + 2];
	for (int c = 1; c < 256; c++) {
		name[0] = (char)c;
		name[1] = '\0';
		if (c == '/')
			ck_assert_int_eq(make(ROOT, name, S_IFREG | 0600), -EINVAL);
		else if (c != '.')
			ck_assert_int_eq(make(ROOT, name, S_IFREG | 0600), 0);
	}
	ck_assert_int_eq(make(ROOT, long_name(name, CORE_NAME_MAX), S_IFREG | 0600), 0);
	ck_assert_int_eq(make(ROOT, "...", S_IFREG | 0600), 0);
	ck_assert_int_eq(make(ROOT, "-rf *\n\xff\xfe", S_IFREG | 0600), 0);
	store_reopen(&s);
	ck_assert_int_eq(lookup(ROOT, long_name(name, CORE_NAME_MAX)), 0);
	ck_assert_int_eq(lookup(ROOT, long_name(name, CORE_NAME_MAX - 1)), -ENOENT);
	ck_assert_int_eq(lookup(ROOT, "-rf *\n\xff\xfe"), 0);
	ck_assert_int_eq(lookup(ROOT, "-rf *\n\xff"), -ENOENT);
	ck_assert_int_eq(lookup(ROOT, "\xff"), 0);
}
END_TEST

START_TEST(make_refused)
{
	char name[PATH_MAX + 1];
	uint64_t f = store_file(&s, ROOT, "f", "x");
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	for (int i = 0; i < 3; i++) {
		mode_t mode = (mode_t[]){S_IFREG, S_IFDIR, S_IFLNK}[i] | 0700;
		ck_assert_int_eq(make(ROOT, "f", mode), -EEXIST);
		ck_assert_int_eq(make(ROOT, "d", mode), -EEXIST);
		ck_assert_int_eq(make(ROOT, ".", mode), -EEXIST);
		ck_assert_int_eq(make(ROOT, "..", mode), -EEXIST);
		ck_assert_int_eq(make(ROOT, "", mode), -EINVAL);
		ck_assert_int_eq(make(ROOT, "a/b", mode), -EINVAL);
		ck_assert_int_eq(make(ROOT, long_name(name, CORE_NAME_MAX + 1), mode),
			-ENAMETOOLONG);
		ck_assert_int_eq(make(f, "x", mode), -ENOTDIR);
		ck_assert_int_eq(make(987654321, "x", mode), -ENOENT);
	}
	struct core_make m = {.mode = S_IFLNK, .target = ""};
	ck_assert_int_eq(make_with(ROOT, "l", m, NULL), -ENOENT);
	m.target = long_name(name, PATH_MAX);
	ck_assert_int_eq(make_with(ROOT, "l", m, NULL), -ENAMETOOLONG);
	tree_expect(&s, &before);
	m.target = long_name(name, PATH_MAX - 1);
	ck_assert_int_eq(make_with(d, "l", m, NULL), 0);
	_cleanup_buf_ struct buf target = {0};
	store_reopen(&s);
	ck_assert_int_eq(core_readlink(s.core, store_find(&s, d, "l"), &target), 0);
	ck_assert_uint_eq(target.len, PATH_MAX - 1);
}
END_TEST

START_TEST(lookup_errors)
{
	char name[CORE_NAME_MAX + 2];
	uint64_t f = store_file(&s, ROOT, "f", "x");
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	uint64_t e = store_make(&s, d, "e", S_IFDIR | 0700);
	ck_assert_int_eq(lookup(ROOT, "nothing"), -ENOENT);
	ck_assert_int_eq(lookup(f, "x"), -ENOTDIR);
	ck_assert_int_eq(lookup(987654321, "x"), -ENOENT);
	ck_assert_int_eq(lookup(ROOT, long_name(name, CORE_NAME_MAX + 1)), -ENAMETOOLONG);
	ck_assert_uint_eq(store_find(&s, e, "."), e);
	ck_assert_uint_eq(store_find(&s, e, ".."), d);
	ck_assert_uint_eq(store_find(&s, d, ".."), ROOT);
	ck_assert_uint_eq(store_find(&s, ROOT, ".."), ROOT);
}
END_TEST

/* Whatever has a name is found by its number alone, loaded or not, and nothing else is. */
START_TEST(found_by_number)
{
	uint64_t file = store_file(&s, ROOT, "f", "content"), dir = store_make(&s, ROOT, "d", S_IFDIR | 0755),
		 link = store_symlink(&s, ROOT, "s", "f"), open_one = store_file(&s, ROOT, "o", "open");
	ck_assert_int_eq(lookup(file, "."), 0);
	store_reopen(&s);
	ck_assert_int_eq(lookup(file, "."), 0);
	ck_assert_int_eq(lookup(dir, "."), 0);
	ck_assert_int_eq(lookup(link, "."), 0);
	ck_assert_int_eq(lookup(file, ".."), -ENOTDIR);
	ck_assert_int_eq(lookup(1 << 30, "."), -ENOENT);
	struct file *f = store_open_file(&s, open_one, O_RDWR);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "o", NULL), 0);
	ck_assert_int_eq(lookup(open_one, "."), -ENOENT);
	store_done(&s, f);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "d", NULL), 0);
	ck_assert_int_eq(lookup(file, "."), -ENOENT);
	ck_assert_int_eq(lookup(dir, "."), -ENOENT);
}
END_TEST

START_TEST(inheritance)
{
	struct stat st;
	s.who.umask = 027;
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 01777);
	store_stat(&s, d, &st);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 01750);
	store_stat(&s, store_make(&s, d, "f", S_IFREG | 06666), &st);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 06640);
	ck_assert_uint_eq(st.st_gid, 1000);
	/* setgid directories hand on their group, and to directories the bit. */
	st.st_gid = 55;
	ck_assert_int_eq(core_setattr(s.core, &s.who, d, &st, CORE_SET_GID, &st), 0);
	store_chmod(&s, d, 02770);
	store_stat(&s, store_make(&s, d, "g", S_IFREG | 0666), &st);
	ck_assert_uint_eq(st.st_gid, 55);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0640);
	store_stat(&s, store_make(&s, d, "sub", S_IFDIR | 0777), &st);
	ck_assert_uint_eq(st.st_gid, 55);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 02750);
	store_stat(&s, store_symlink(&s, d, "l", "x"), &st);
	ck_assert_uint_eq(st.st_gid, 55);
}
END_TEST

START_TEST(times_of_making)
{
	struct stat before, dir, child;
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	store_stat(&s, d, &before);
	store_stat(&s, store_make(&s, d, "f", S_IFREG | 0600), &child);
	store_stat(&s, d, &dir);
	ck_assert(same(child.st_atim, child.st_mtim) && same(child.st_mtim, child.st_ctim));
	ck_assert(same(dir.st_mtim, child.st_ctim) && same(dir.st_ctim, child.st_ctim));
	ck_assert(!same(before.st_mtim, dir.st_mtim));
	ck_assert(same(before.st_atim, dir.st_atim));
}
END_TEST

START_TEST(hard_links)
{
	struct stat before, st, dir;
	uint64_t f = store_file(&s, ROOT, "f", "contents");
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	uint64_t l = store_symlink(&s, ROOT, "l", "f");
	store_stat(&s, f, &before);
	ck_assert_int_eq(link_to(f, d, "g"), 0);
	ck_assert_int_eq(link_to(l, d, "m"), 0);
	ck_assert_uint_eq(links(f), 2);
	ck_assert_uint_eq(links(l), 2);
	store_stat(&s, f, &st);
	ck_assert(same(st.st_mtim, before.st_mtim) && !same(st.st_ctim, before.st_ctim));
	ck_assert_int_eq(link_to(f, d, "g"), -EEXIST);
	ck_assert_int_eq(link_to(f, ROOT, "d"), -EEXIST);
	ck_assert_int_eq(link_to(d, ROOT, "e"), -EPERM);
	ck_assert_int_eq(link_to(f, l, "x"), -ENOTDIR);
	ck_assert_int_eq(link_to(987654321, ROOT, "x"), -ENOENT);
	store_reopen(&s);
	ck_assert_uint_eq(store_find(&s, d, "g"), f);
	store_stat(&s, f, &before);
	ck_assert_int_eq(unlink_of(ROOT, "f"), 0);
	ck_assert_uint_eq(store_find(&s, ROOT, "f"), 0);
	store_stat(&s, f, &st);
	store_stat(&s, ROOT, &dir);
	ck_assert_uint_eq(st.st_nlink, 1);
	ck_assert(!same(st.st_ctim, before.st_ctim) && same(st.st_mtim, before.st_mtim));
	ck_assert(same(dir.st_mtim, st.st_ctim) && same(dir.st_ctim, st.st_ctim));
	store_expect(&s, f, "contents");
	ck_assert_int_eq(unlink_of(d, "g"), 0);
	ck_assert_int_eq(core_getattr(s.core, f, &st, NULL), -ENOENT);
}
END_TEST

START_TEST(unlink_and_rmdir_errors)
{
	uint64_t f = store_file(&s, ROOT, "f", "x");
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	store_make(&s, d, "e", S_IFDIR | 0700);
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	ck_assert_int_eq(unlink_of(ROOT, "d"), -EISDIR);
	ck_assert_int_eq(unlink_of(ROOT, "nothing"), -ENOENT);
	ck_assert_int_eq(unlink_of(f, "x"), -ENOTDIR);
	ck_assert_int_eq(rmdir_of(ROOT, "f"), -ENOTDIR);
	ck_assert_int_eq(rmdir_of(ROOT, "d"), -ENOTEMPTY);
	ck_assert_int_eq(rmdir_of(ROOT, "nothing"), -ENOENT);
	ck_assert_int_eq(rmdir_of(d, "."), -EINVAL);
	ck_assert_int_eq(rmdir_of(d, ".."), -ENOTEMPTY);
	ck_assert_int_eq(rmdir_of(f, "x"), -ENOTDIR);
	tree_expect(&s, &before);
}
END_TEST

START_TEST(directory_links)
{
	struct stat st;
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	ck_assert_uint_eq(links(ROOT), 3);
	store_make(&s, d, "e", S_IFDIR | 0700);
	store_file(&s, d, "f", "x");
	ck_assert_uint_eq(links(d), 3);
	ck_assert_uint_eq(links(ROOT), 3);
	ck_assert_int_eq(unlink_of(d, "f"), 0);
	ck_assert_int_eq(rmdir_of(d, "e"), 0);
	ck_assert_uint_eq(links(d), 2);
	ck_assert_int_eq(rmdir_of(ROOT, "d"), 0);
	ck_assert_uint_eq(links(ROOT), 2);
	ck_assert_int_eq(core_getattr(s.core, d, &st, NULL), -ENOENT);
	ck_assert_int_eq(make(ROOT, "d", S_IFDIR | 0700), 0);
	ck_assert_uint_ne(store_find(&s, ROOT, "d"), d);
}
END_TEST

/* The kernel may hold on to what was removed: it is still answered, and never found again. */
START_TEST(removed_but_known)
{
	struct core_entry e;
	struct stat st;
	store_make(&s, ROOT, "d", S_IFDIR | 0700);
	ck_assert_int_eq(core_lookup(s.core, ROOT, "d", &e), 0);
	ck_assert_int_eq(rmdir_of(ROOT, "d"), 0);
	store_stat(&s, e.ino, &st);
	ck_assert_uint_eq(st.st_nlink, 0);
	ck_assert_int_eq(lookup(e.ino, "x"), -ENOENT);
	ck_assert_int_eq(make(e.ino, "x", S_IFREG | 0600), -ENOENT);
	ck_assert_int_eq(make(e.ino, "x", S_IFDIR | 0700), -ENOENT);
	core_forget(s.core, e.ino, 1);
	ck_assert_int_eq(core_getattr(s.core, e.ino, &st, NULL), -ENOENT);
	store_make(&s, ROOT, "f", S_IFREG | 0600);
	ck_assert_int_eq(core_lookup(s.core, ROOT, "f", &e), 0);
	ck_assert_int_eq(core_lookup(s.core, ROOT, "f", &e), 0);
	ck_assert_int_eq(unlink_of(ROOT, "f"), 0);
	ck_assert_int_eq(link_to(e.ino, ROOT, "g"), -ENOENT);
	core_forget(s.core, e.ino, 1);
	ck_assert_uint_eq(links(e.ino), 0);
	core_forget(s.core, e.ino, 1);
	ck_assert_int_eq(core_getattr(s.core, e.ino, &st, NULL), -ENOENT);
}
END_TEST

START_TEST(unlinked_but_open)
{
	static char big[100000];
	struct stat st;
	struct file *small_file, *big_file;
	char got[16];
	memset(big, 'b', sizeof big - 1);
	uint64_t f = store_file(&s, ROOT, "f", "small"), g = store_file(&s, ROOT, "g", big);
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_RDWR, &small_file), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, g, O_RDWR, &big_file), 0);
	ck_assert_int_eq(unlink_of(ROOT, "f"), 0);
	ck_assert_int_eq(unlink_of(ROOT, "g"), 0);
	ck_assert_uint_eq(links(f), 0);
	ck_assert_int_eq(core_read(s.core, small_file, got, sizeof got, 0), 5);
	ck_assert_mem_eq(got, "small", 5);
	ck_assert_int_eq(core_read(s.core, big_file, got, sizeof got, 99990), 9);
	ck_assert_mem_eq(got, "bbbbbbbbb", 9);
	ck_assert_int_eq(core_write(s.core, small_file, "SM", 2, 0, false), 2);
	ck_assert_int_eq(core_write(s.core, big_file, "BB", 2, 50000, false), 2);
	ck_assert_int_eq(core_file_flush(s.core, small_file), 0);
	ck_assert_int_eq(core_file_flush(s.core, big_file), 0);
	ck_assert_int_eq(core_read(s.core, small_file, got, sizeof got, 0), 5);
	ck_assert_mem_eq(got, "SMall", 5);
	ck_assert_int_eq(core_read(s.core, big_file, got, 4, 49999), 4);
	ck_assert_mem_eq(got, "bBBb", 4);
	ck_assert_int_eq(core_file_release(s.core, small_file), 0);
	ck_assert_int_eq(core_file_release(s.core, big_file), 0);
	ck_assert_int_eq(core_getattr(s.core, f, &st, NULL), -ENOENT);
	ck_assert_int_eq(core_getattr(s.core, g, &st, NULL), -ENOENT);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
}
END_TEST

/* ---- rules ----------------------------------------------------------------------------------- */

static int plan_rename(struct op *op, void *arg)
{
	strcpy(op->name_buf, arg);
	op->name = op->name_buf;
	op->name_len = strlen(op->name_buf);
	op->role = 42;
	return 0;
}

static int also_touch(struct op *op, void *arg)
{
	op_stage(op, op->dir)->gid = 4711;
	return op_add_entry(op, op->dir, "also", 4, op->child);
}

static int refuse(struct op *op, void *arg)
{
	return -EDQUOT;
}

START_TEST(a_rule_adds)
{
	char name[] = "planned";
	struct core_rule rule = {.plan = plan_rename, .also = also_touch, .arg = name};
	struct core_make m = {.mode = S_IFREG | 0600};
	struct stat st;
	ck_assert_int_eq(make_with(ROOT, "asked", m, &rule), 0);
	ck_assert_uint_eq(store_find(&s, ROOT, "asked"), 0);
	uint64_t f = store_find(&s, ROOT, "planned");
	ck_assert_uint_ne(f, 0);
	ck_assert_uint_eq(store_find(&s, ROOT, "also"), f);
	ck_assert_uint_eq(links(f), 2);
	store_stat(&s, ROOT, &st);
	ck_assert_uint_eq(st.st_gid, 4711);
	store_reopen(&s);
	_cleanup_inode_ struct inode *inode = NULL;
	ck_assert_int_eq(inode_get(s.core, f, NULL, &inode), 0);
	ck_assert_uint_eq(inode->rec.role, 42);
}
END_TEST

START_TEST(a_rule_refuses)
{
	const struct core_rule rules[] = {{.plan = refuse}, {.also = refuse}};
	struct core_make m = {.mode = S_IFREG | 0600};
	struct core_entry e;
	uint64_t f = store_file(&s, ROOT, "f", "x");
	store_make(&s, ROOT, "d", S_IFDIR | 0700);
	_cleanup_buf_ struct buf before = {0};
	tree_dump(&s, &before);
	for (int i = 0; i < 2; i++) {
		const struct core_rule *r = &rules[i];
		ck_assert_int_eq(make_with(ROOT, "g", m, r), -EDQUOT);
		ck_assert_int_eq(core_link(s.core, &s.who, f, ROOT, "g", r, &e), -EDQUOT);
		ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", r), -EDQUOT);
		ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "d", r), -EDQUOT);
		ck_assert_int_eq(core_rename(s.core, &s.who, ROOT, "f", ROOT, "h", 0, r), -EDQUOT);
	}
	tree_expect(&s, &before);
}
END_TEST

START_TEST(read_only)
{
	uint64_t f = store_file(&s, ROOT, "f", "x");
	struct core_entry e;
	store_make(&s, ROOT, "d", S_IFDIR | 0700);
	s.options.read_only = true;
	store_reopen(&s);
	ck_assert_int_eq(make(ROOT, "g", S_IFREG | 0600), -EROFS);
	ck_assert_int_eq(core_link(s.core, &s.who, f, ROOT, "g", NULL, &e), -EROFS);
	ck_assert_int_eq(unlink_of(ROOT, "f"), -EROFS);
	ck_assert_int_eq(rmdir_of(ROOT, "d"), -EROFS);
	ck_assert_int_eq(core_rename(s.core, &s.who, ROOT, "f", ROOT, "h", 0, NULL), -EROFS);
	store_expect(&s, f, "x");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("names");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_kind);
	tcase_add_test(t, names_of_any_bytes);
	tcase_add_test(t, make_refused);
	tcase_add_test(t, lookup_errors);
	tcase_add_test(t, found_by_number);
	tcase_add_test(t, inheritance);
	tcase_add_test(t, times_of_making);
	tcase_add_test(t, hard_links);
	tcase_add_test(t, unlink_and_rmdir_errors);
	tcase_add_test(t, directory_links);
	tcase_add_test(t, removed_but_known);
	tcase_add_test(t, unlinked_but_open);
	tcase_add_test(t, a_rule_adds);
	tcase_add_test(t, a_rule_refuses);
	tcase_add_test(t, read_only);
	return run_case("names", t);
}
