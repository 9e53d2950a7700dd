/*
 * test_crash_mem.c: random operations, and the process or the machine dies, or the engine fails,
 * between and within them: each is there whole or not at all, and nothing is left over.
 */
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define SEEDS 12

static struct store s;
static unsigned seed;

static void setup(void)
{
	/* Nothing is committed by time: every write to the engine is the operation's own. */
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
}

static void teardown(void)
{
	store_close(&s);
}

static unsigned roll(unsigned n)
{
	return (unsigned)rand_r(&seed) % n;
}

/* ---- random operations ----------------------------------------------------------------------- */

/* Draws come first, so that the same seed gives the same operation whatever comes of it. */
struct draw {
	unsigned verb, size, flags, mode;
	uint64_t dir, dir2, ino; /* ino: what name is in dir, or 0 */
	char name[16], name2[16];
};

static uint64_t draw_dir(void)
{
	uint64_t dir = ROOT;
	char name[16];
	struct stat st;
	for (unsigned depth = roll(3); depth > 0; depth--) {
		snprintf(name, sizeof name, "d%u", roll(3));
		uint64_t child = store_find(&s, dir, name);
		if (!child)
			break;
		store_stat(&s, child, &st);
		if (!S_ISDIR(st.st_mode))
			break;
		dir = child;
	}
	return dir;
}

static void draw_name(char *name)
{
	snprintf(name, 16, "%c%u", roll(3) ? 'f' : 'd', roll(4));
}

static struct draw draw(void)
{
	static const unsigned sizes[] = {1, 100, 5000, 70000, 300000};
	struct draw d = {.verb = roll(13), .size = sizes[roll(5)], .mode = roll(01000)};
	d.flags = (unsigned[]){0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE}[roll(5)];
	d.dir = draw_dir();
	d.dir2 = draw_dir();
	draw_name(d.name);
	draw_name(d.name2);
	d.ino = store_find(&s, d.dir, d.name);
	return d;
}

static int made(int r, const struct core_entry *e)
{
	if (r == 0)
		core_forget(s.core, e->ino, 1);
	return r;
}

static int make(const struct draw *d, mode_t mode, const char *target)
{
	struct core_make m = {.mode = mode, .target = target};
	struct core_entry e;
	return made(core_make(s.core, &s.who, d->dir, d->name, &m, NULL, &e), &e);
}

static int make_link(const struct draw *d)
{
	struct core_entry e;
	return made(core_link(s.core, &s.who, d->ino, d->dir2, d->name2, NULL, &e), &e);
}

static int set_attr(const struct draw *d, unsigned what)
{
	struct stat st = {.st_mode = d->mode, .st_size = d->size, .st_uid = d->mode};
	return core_setattr(s.core, &s.who, d->ino, &st, what, &st);
}

static int write_file(const struct draw *d)
{
	static char bytes[300000];
	struct file *f;
	struct stat st;
	ssize_t n;
	store_stat(&s, d->ino, &st);
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	int r = core_file_open(s.core, &s.who, d->ino, O_WRONLY, &f);
	if (r < 0)
		return r;
	memset(bytes, 'a' + (int)(d->mode % 26), d->size);
	n = core_write(s.core, f, bytes, d->size, d->flags ? st.st_size : 0, false);
	r = core_file_flush(s.core, f);
	if (n < 0)
		r = (int)n;
	core_file_release(s.core, f);
	return r;
}

/* What the operation returned; errors of the tree's own are as good as success. */
static int perform(const struct draw *d)
{
	if (!d->ino && (d->verb == 4 || d->verb > 7))
		return 0;
	switch (d->verb) {
	case 0:
	case 1:
		return make(d, S_IFREG | 0644, NULL);
	case 2:
		return make(d, S_IFDIR | 0755, NULL);
	case 3:
		return make(d, S_IFLNK, "target");
	case 4:
		return make_link(d);
	case 5:
		return core_unlink(s.core, &s.who, d->dir, d->name, NULL);
	case 6:
		return core_rmdir(s.core, &s.who, d->dir, d->name, NULL);
	case 7:
		return core_rename(s.core, &s.who, d->dir, d->name, d->dir2, d->name2, d->flags,
			NULL);
	case 8:
		return core_setxattr(s.core, &s.who, d->ino, "user.a", d->name2, 2, 0);
	case 9:
		return core_removexattr(s.core, &s.who, d->ino, "user.a");
	case 10:
		return set_attr(d, CORE_SET_MODE | CORE_SET_UID);
	case 11:
		return set_attr(d, CORE_SET_SIZE);
	default:
		return write_file(d);
	}
}

static void perform_some(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct draw d = draw();
		int r = perform(&d);
		ck_assert_msg(r != -EIO && r != -EBADMSG && r != -ESTALE && r != -EAGAIN,
			"verb %u: %d", d.verb, r);
	}
}

/* ---- death ----------------------------------------------------------------------------------- */

START_TEST(killed_between)
{
	_cleanup_buf_ struct buf before = {0};
	seed = (unsigned)_i + 1;
	for (int round = 0; round < 4; round++) {
		perform_some(60);
		tree_dump(&s, &before);
		store_crash(&s, false);
		tree_expect(&s, &before);
		tree_check(&s);
	}
}
END_TEST

static bool tree_is(const struct buf *text)
{
	_cleanup_buf_ struct buf now = {0};
	tree_dump(&s, &now);
	return now.len == text->len && !memcmp(now.data, text->data, now.len);
}

/*
 * A write to the engine fails: the operation is undone in memory, and absent after a crash. What
 * was written to a file stays to be read instead, and release tries once more to commit it.
 */
START_TEST(killed_within)
{
	_cleanup_buf_ struct buf before = {0}, after = {0};
	unsigned failed = 0;
	seed = (unsigned)_i + 100;
	perform_some(30);
	for (int round = 0; round < 60; round++) {
		struct draw d = draw();
		core_settle(s.core);
		tree_dump(&s, &before);
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1 + roll(2), -EIO);
		int r = perform(&d);
		kv_memory_fail(s.memory, KV_MEMORY_WRITE, 0, 0);
		tree_dump(&s, &after);
		if (r == -EIO) {
			failed++;
			if (d.verb < 12)
				tree_expect(&s, &before);
		}
		if (roll(4) == 0 || (r == -EIO && d.verb >= 12)) {
			store_crash(&s, false);
			if (r != -EIO || !tree_is(&before))
				tree_expect(&s, &after);
			tree_check(&s);
		}
	}
	ck_assert_uint_gt(failed, 5);
}
END_TEST

/* After a loss of power the tree is what it was after one of the operations since the last sync. */
START_TEST(power_loss)
{
	enum { OPS = 25 };
	seed = (unsigned)_i + 200;
	for (int round = 0; round < 4; round++) {
		struct buf states[OPS + 1] = {0};
		unsigned n = 0, found = 0;
		_cleanup_buf_ struct buf now = {0};
		perform_some(20);
		ck_assert_int_eq(core_commit_all(s.core), 0);
		ck_assert_int_eq(kv_sync(s.kv), 0);
		tree_dump(&s, &states[n++]);
		for (unsigned ops = roll(OPS); ops > 0; ops--) {
			perform_some(1);
			tree_dump(&s, &states[n++]);
		}
		store_crash(&s, true);
		tree_dump(&s, &now);
		for (unsigned i = 0; i < n; i++) {
			found += states[i].len == now.len &&
				 !memcmp(states[i].data, now.data, now.len);
			buf_release(&states[i]);
		}
		ck_assert_uint_ge(found, 1);
		tree_check(&s);
	}
}
END_TEST

/* A record that cannot be read: the operation fails whole, and all is well when it can be. */
START_TEST(failing_reads)
{
	_cleanup_buf_ struct buf before = {0}, after = {0};
	unsigned failed = 0;
	seed = (unsigned)_i + 300;
	perform_some(40);
	for (int round = 0; round < 40; round++) {
		struct draw d = draw();
		tree_dump(&s, &before);
		store_reopen(&s);
		core_settle(s.core);
		if (d.verb > 11)
			continue;
		kv_memory_fail(s.memory, KV_MEMORY_GET, 1 + roll(5), -EIO);
		int r = perform(&d);
		kv_memory_fail(s.memory, KV_MEMORY_GET, 0, 0);
		failed += r == -EIO;
		if (r < 0)
			tree_expect(&s, &before);
		tree_dump(&s, &after);
		store_reopen(&s);
		tree_expect(&s, &after);
	}
	tree_check(&s);
	ck_assert_uint_gt(failed, 0);
}
END_TEST

/* ---- orphans --------------------------------------------------------------------------------- */

START_TEST(orphans)
{
	static char big[200000];
	static const char *const names[] = {"inline", "mapped", "xattrs", "replaced"};
	struct file *files[4];
	uint64_t ino[4];
	struct stat st;
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 4; i++) {
		ino[i] = store_file(&s, ROOT, names[i], i % 2 ? big : "small");
		ck_assert_int_eq(core_file_open(s.core, &s.who, ino[i], O_RDWR, &files[i]), 0);
	}
	ck_assert_int_eq(core_setxattr(s.core, &s.who, ino[2], "user.a", "x", 1, 0), 0);
	store_file(&s, ROOT, "new", "new");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, names[i], NULL), 0);
	ck_assert_int_eq(core_rename(s.core, &s.who, ROOT, "new", ROOT, "replaced", 0, NULL), 0);
	for (int i = 0; i < 4; i++) {
		store_stat(&s, ino[i], &st);
		ck_assert_uint_eq(st.st_nlink, 0);
		if (i == 0) /* small, and unlinked already */
			ck_assert_int_eq(core_setxattr(s.core, &s.who, ino[i], "user.late", "x", 1, 0), 0);
		ck_assert_int_eq(core_write(s.core, files[i], "y", 1, 100000, false), 1);
		ck_assert_int_eq(core_file_flush(s.core, files[i]), 0);
	}
	if (_i == 1)
		kv_memory_crash(s.memory, false);
	for (int i = 0; i < 4; i++)
		core_file_release(s.core, files[i]);
	if (_i == 1)
		store_crash(&s, false);
	else
		store_reopen(&s);
	core_settle(s.core);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(core_getattr(s.core, ino[i], &st, NULL), -ENOENT);
	store_expect(&s, store_find(&s, ROOT, "replaced"), "new");
	tree_check(&s);
}
END_TEST

/* fsync(2) through a descriptor that only reads. */
START_TEST(synced_by_a_reader)
{
	static char big[8000]; /* in a chunk */
	const char *bytes = _i == 0 ? "small" : memset(big, 'x', sizeof big - 1);
	struct file *writer, *reader;
	uint64_t ino = store_file(&s, ROOT, "shared", "");
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY, &writer), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDONLY, &reader), 0);
	ck_assert_int_eq(core_write(s.core, writer, bytes, strlen(bytes), 0, false), strlen(bytes));
	ck_assert_int_eq(core_file_sync(s.core, reader), 0);
	ck_assert_int_eq(kv_sync(s.kv), 0);
	kv_memory_crash(s.memory, true);
	core_file_release(s.core, reader);
	core_file_release(s.core, writer);
	store_crash(&s, true);
	store_expect(&s, store_find(&s, ROOT, "shared"), bytes);
}
END_TEST

/* What the start deletes is what was left behind, never what has been unlinked since. */
START_TEST(orphans_of_now)
{
	static char big[100000];
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 100; i++) {
		struct file *f;
		char c;
		uint64_t ino = store_file(&s, ROOT, "f", big);
		store_reopen(&s);
		ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDONLY, &f), 0);
		ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
		core_settle(s.core);
		ck_assert_int_eq(core_read(s.core, f, &c, 1, 50000), 1);
		ck_assert_int_eq(core_file_release(s.core, f), 0);
	}
	core_settle(s.core);
	tree_check(&s);
}
END_TEST

/* Background deletion goes on where it was. */
START_TEST(deletion_restarts)
{
	static char big[3000000];
	memset(big, 'x', sizeof big - 1);
	for (int i = 0; i < 4; i++) {
		char name[16];
		snprintf(name, sizeof name, "f%d", i);
		store_file(&s, ROOT, name, big);
		ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, name, NULL), 0);
		store_crash(&s, false);
	}
	core_settle(s.core);
	tree_check(&s);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), 0);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
}
END_TEST

/* Numbers that were handed out are never handed out again, even if nobody heard of them. */
START_TEST(numbers_are_never_reused)
{
	uint64_t highest = 0;
	for (int round = 0; round < 6; round++) {
		for (int i = 0; i < 70; i++) {
			char name[32];
			snprintf(name, sizeof name, "%d.%d", round, i);
			uint64_t ino = store_make(&s, ROOT, name, S_IFREG | 0600);
			ck_assert_uint_gt(ino, highest);
			highest = ino;
			ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, name, NULL), 0);
		}
		store_crash(&s, false);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("crash");
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, killed_between, 0, SEEDS);
	tcase_add_loop_test(t, killed_within, 0, SEEDS);
	tcase_add_loop_test(t, power_loss, 0, SEEDS);
	tcase_add_loop_test(t, failing_reads, 0, SEEDS);
	tcase_add_loop_test(t, orphans, 0, 2);
	tcase_add_loop_test(t, synced_by_a_reader, 0, 2);
	tcase_add_test(t, orphans_of_now);
	tcase_add_test(t, deletion_restarts);
	tcase_add_test(t, numbers_are_never_reused);
	return run_case("crash", t);
}
