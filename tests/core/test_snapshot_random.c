/*
 * test_snapshot_random.c: random operations in users, workflows and sessions, with snapshots of all of them
 * taken and dropped in between, the store closed, killed, and its engine failing. Each snapshot must
 * show what its place was when it was taken; and when all are gone nothing of them may be left.
 */
#include "kv/kv_internal.h"
#include "tests/core/levels.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define SEEDS 16
#define KEPT 10

static struct store s;
static unsigned seed;

static struct copy {
	uint64_t id, place;
	struct buf text;
} copies[KEPT];

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000, .inodes = 20});
}

static void teardown(void)
{
	store_close(&s);
	for (int i = 0; i < KEPT; i++)
		buf_release(&copies[i].text);
}

static unsigned roll(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* ---- random operations ----------------------------------------------------------------------- */

/* Level 0 holds users, 1 workflows, 2 sessions; below that all is plain. */
static uint64_t draw_dir(unsigned deepest, unsigned *ret_level)
{
	uint64_t dir = ROOT;
	unsigned level = 0;
	char name[16];
	struct stat st;

	for (unsigned depth = roll(deepest + 1); level < depth; level++) {
		snprintf(name, sizeof name, "%c%u", level < 3 ? "uws"[level] : 'd', roll(2));
		uint64_t child = store_find(&s, dir, name);
		if (!child)
			break;
		store_stat(&s, child, &st);
		if (!S_ISDIR(st.st_mode))
			break;
		dir = child;
	}
	*ret_level = level;
	return dir;
}

static void draw_name(unsigned level, char name[16])
{
	if (level < 3 && roll(2))
		snprintf(name, 16, "%c%u", "uws"[level], roll(2));
	else
		snprintf(name, 16, "%c%u", roll(3) ? 'f' : 'd', roll(3));
}

static int forgotten(int r, const struct core_entry *e)
{
	if (r == 0)
		core_forget(s.core, e->ino, 1);
	return r;
}

static void write_file(uint64_t ino, bool flush)
{
	static const unsigned sizes[] = {1, 100, 5000, 40000, 150000};
	static char bytes[150000];
	unsigned size = sizes[roll(5)];
	off_t at = (off_t)(roll(4) ? roll(200000) : roll(2) * 5000000);
	struct file *f;

	if (core_file_open(s.core, &s.who, ino, O_WRONLY, &f) < 0)
		return;
	memset(bytes, 'a' + (int)roll(26), size);
	ck_assert_int_eq(core_write(s.core, f, bytes, size, at, false), (ssize_t)size);
	if (roll(4) == 0)
		ck_assert_int_eq(core_fallocate(s.core, f,
					 roll(2) ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
						 : FALLOC_FL_ZERO_RANGE,
					 roll(100000), 1 + roll(100000)), 0);
	/* Else it stays buffered, as close would commit it: a snapshot must take it along. */
	if (flush)
		core_file_flush(s.core, f);
	core_file_release(s.core, f);
}

static void make_something(uint64_t dir, unsigned level, const char *name)
{
	struct core_make m = {.mode = S_IFREG | 0644};
	struct core_entry e;

	if (level < 3 && strchr("uws", name[0])) {
		level_make(&s, dir, name);
		return;
	}
	if (name[0] == 'd')
		m.mode = S_IFDIR | 0755;
	else if (roll(6) == 0)
		m = (struct core_make){.mode = S_IFLNK, .target = name};
	forgotten(core_make(s.core, &s.who, dir, name, &m, NULL, &e), &e);
}

static void set_something(uint64_t ino)
{
	char value[16];
	struct stat st = {.st_mode = roll(01000), .st_uid = roll(5), .st_size = roll(200000)};
	char name[16];

	snprintf(value, sizeof value, "v%u", roll(1000));
	snprintf(name, sizeof name, "user.%u", roll(3));
	switch (roll(4)) {
	case 0:
		core_setattr(s.core, &s.who, ino, &st, CORE_SET_MODE | CORE_SET_UID, &st);
		return;
	case 1:
		core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st);
		return;
	case 2:
		core_setxattr(s.core, &s.who, ino, name, value, strlen(value), 0);
		return;
	default:
		core_removexattr(s.core, &s.who, ino, name);
	}
}

/* An open file loses its name, is written to, and is closed. */
static void orphan(uint64_t dir, const char *name, uint64_t ino)
{
	struct file *f;

	if (core_file_open(s.core, &s.who, ino, O_WRONLY, &f) < 0)
		return;
	core_unlink(s.core, &s.who, dir, name, NULL);
	core_write(s.core, f, name, 2, (off_t)roll(70000), false);
	core_file_flush(s.core, f);
	core_file_release(s.core, f);
}

static void remove_all(uint64_t dir, const char *name);

struct names {
	char name[64][16];
	unsigned n;
};

static int collect(void *arg, const struct core_dirent *e)
{
	struct names *names = arg;

	if (e->name[0] != '.')
		snprintf(names->name[names->n++], 16, "%s", e->name);
	return names->n == 64;
}

static void remove_below(uint64_t dir)
{
	struct names names = {0};

	ck_assert_int_eq(core_readdir(s.core, dir, 0, false, collect, &names), 0);
	for (unsigned i = 0; i < names.n; i++)
		remove_all(dir, names.name[i]);
}

static void remove_all(uint64_t dir, const char *name)
{
	uint64_t ino = store_find(&s, dir, name);
	struct stat st;

	if (!ino)
		return;
	store_stat(&s, ino, &st);
	if (S_ISDIR(st.st_mode)) {
		remove_below(ino);
		core_rmdir(s.core, &s.who, dir, name, NULL);
	} else {
		core_unlink(s.core, &s.who, dir, name, NULL);
	}
}

/* A session goes to another workflow, or to another name, or two change places. */
static void move_container(void)
{
	char u[16], w[16], name[16], name2[16];
	uint64_t user, from, to;

	snprintf(u, sizeof u, "u%u", roll(2));
	user = store_find(&s, ROOT, u);
	snprintf(w, sizeof w, "w%u", roll(2));
	from = user ? store_find(&s, user, w) : 0;
	w[1] = (char)(w[1] ^ (roll(4) ? 1 : 0));
	to = user ? store_find(&s, user, w) : 0;
	if (!from || !to)
		return;
	snprintf(name, sizeof name, "s%u", roll(2));
	snprintf(name2, sizeof name2, "s%u", roll(2));
	core_rename(s.core, &s.who, from, name, to, name2,
		(unsigned[]){0, RENAME_NOREPLACE, RENAME_EXCHANGE}[roll(3)], NULL);
}

static void perform(void)
{
	unsigned level, level2;
	uint64_t dir = draw_dir(4, &level), dir2 = draw_dir(4, &level2), ino;
	char name[16], name2[16];
	struct core_entry e;
	struct stat st;

	if (roll(8) == 0) {
		move_container();
		return;
	}
	draw_name(level, name);
	draw_name(level2, name2);
	ino = store_find(&s, dir, name);
	if (!ino) {
		make_something(dir, level, name);
		return;
	}
	store_stat(&s, ino, &st);
	switch (roll(14)) {
	case 0:
		if (!strchr("uws", name2[0]))
			forgotten(core_link(s.core, &s.who, ino, dir2, name2, NULL, &e),
				&e);
		return;
	case 1:
		core_unlink(s.core, &s.who, dir, name, NULL);
		return;
	case 2:
		core_rmdir(s.core, &s.who, dir, name, NULL);
		return;
	case 3:
	case 4:
	case 5: /* what has a container of its own stays on its level, as the session layer has it */
		if ((!strchr("uws", name[0]) && !strchr("uws", name2[0])) ||
			(level == level2 && name[0] == name2[0]))
			core_rename(s.core, &s.who, dir, name, dir2, name2,
				(unsigned[]){0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE}[roll(4)], NULL);
		return;
	case 6:
		if (roll(4) == 0)
			remove_all(dir, name);
		return;
	case 7:
		if (S_ISREG(st.st_mode))
			orphan(dir, name, ino);
		return;
	case 8:
	case 9:
		set_something(ino);
		return;
	default:
		if (S_ISREG(st.st_mode))
			write_file(ino, roll(2));
	}
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static void take(struct copy *c)
{
	struct snapshot_info info;
	unsigned level;
	char name[32];

	c->place = draw_dir(3, &level);
	snprintf(name, sizeof name, "s%u", roll(1000000));
	ck_assert_int_eq(snapshot_take(s.core, &s.who, c->place, name,
				 level == 3 ? SNAPSHOT_ALONE : 0, &info), 0);
	c->id = info.id;
	tree_dump_from(&s, c->place, &c->text);
}

static void expect(const struct copy *c)
{
	_cleanup_buf_ struct buf now = {0};
	struct snapshot_info info;

	ck_assert_int_eq(snapshot_get(s.core, c->id, &info), 0);
	ck_assert_uint_eq(info.place, c->place);
	tree_dump_from(&s, info.root, &now);
	ck_assert_msg(now.len == c->text.len && !memcmp(now.data, c->text.data, now.len),
		"snapshot %llu was\n%s\nis\n%s", (unsigned long long)c->id, c->text.data, now.data);
}

static void expect_all(void)
{
	for (int i = 0; i < KEPT; i++)
		if (copies[i].id)
			expect(&copies[i]);
}

static void take_or_drop(void)
{
	struct copy *c = &copies[roll(KEPT)];

	if (c->id) {
		ck_assert_int_eq(snapshot_drop(s.core, c->id), 0);
		c->id = 0;
	} else {
		take(c);
	}
}

static size_t history(void)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	size_t n = 0;
	int r = kv_iter_open(s.kv, NULL, NULL, KV_HISTORY, NULL, 0, &it);

	ck_assert_int_eq(r, 0);
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it))
		n++;
	return n;
}

static void drop_all(void)
{
	for (int i = 0; i < KEPT; i++)
		if (copies[i].id) {
			ck_assert_int_eq(snapshot_drop(s.core, copies[i].id), 0);
			copies[i].id = 0;
		}
	core_settle(s.core);
	ck_assert_uint_eq(history(), 0);
	ck_assert_uint_eq(snapshot_count(s.core, 0), 0);
}

static void check_store(void)
{
	core_settle(s.core);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
}

START_TEST(shows_what_was)
{
	seed = (unsigned)_i + 1;
	for (int i = 0; i < 8; i++)
		perform();
	for (int round = 0; round < 12; round++) {
		for (unsigned i = roll(50); i > 0; i--) {
			perform();
			if (roll(12) == 0)
				take_or_drop();
		}
		if (roll(3) == 0)
			store_reopen(&s);
		else if (roll(3) == 0)
			store_crash(&s, false);
		else if (roll(2) == 0)
			core_settle(s.core);
		expect_all();
		check_store();
	}
	drop_all();
	tree_check(&s);
	check_store();
	remove_below(ROOT);
	core_settle(s.core);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK) + tree_records(&s, KEY_MAP), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_INODE), 1);
}
END_TEST

/* The engine fails once, somewhere; then the process dies. */
START_TEST(fails_and_dies)
{
	seed = (unsigned)_i + 1000;
	for (int round = 0; round < 25; round++) {
		for (unsigned i = roll(25); i > 0; i--)
			perform();
		core_commit_all(s.core);
		core_settle(s.core);
		struct copy *c = &copies[roll(KEPT)];
		_cleanup_buf_ struct buf before = {0};
		uint64_t place = c->place, newest = 0;
		struct snapshot_info info;
		unsigned level;
		if (!c->id) {
			place = draw_dir(3, &level);
			tree_dump_from(&s, place, &before);
		}
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1 + roll(c->id ? 5 : 2), -EIO);
		if (c->id) {
			if (snapshot_drop(s.core, c->id) == 0)
				c->id = 0;
			core_settle(s.core); /* the sweep may be what fails */
		} else if (snapshot_take(s.core, &s.who, place, "new", 0, &info) == 0) {
			newest = info.id;
		}
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 0, 0);
		store_crash(&s, false);
		if (newest) {
			ck_assert_int_eq(snapshot_find(s.core, place, "new", &info), 0);
			ck_assert_uint_eq(info.id, newest);
			char name[16];
			snprintf(name, sizeof name, "n%d", round);
			ck_assert_int_eq(snapshot_rename(s.core, newest, name), 0);
			c->id = newest;
			c->place = place;
			buf_release(&c->text);
			c->text = before;
			before = (struct buf){0};
		} else {
			ck_assert_int_eq(snapshot_find(s.core, place, "new", &info), -ENOENT);
		}
		expect_all();
		check_store();
	}
	drop_all();
	tree_check(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("random");
	tcase_set_timeout(t, 250);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, shows_what_was, 0, SEEDS);
	tcase_add_loop_test(t, fails_and_dies, 0, SEEDS);
	return run_case("snapshot-random", t);
}
