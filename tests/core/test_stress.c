/*
 * test_stress.c: threads that do at random what programs do, in a few directories and on a few
 * names, with hardly an inode kept in memory and names that collide; then everything is counted
 * again. What goes wrong in between is found best under the sanitizers, for longer: STRESS_SECONDS in
 * the environment.
 */
#include "fs/core/core_internal.h"
#include "kv/kv_internal.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define ROOT CORE_ROOT_INO
#define THREADS 8
#define SECONDS 2
#define HANDLES 6
#define HELD 24
#define NAMES 12
#define REACH (200 << 10) /* bytes of a file */

static struct store s;
static uint64_t dirs[6];
static _Atomic bool stop;

struct actor {
	pthread_t thread;
	unsigned seed;
	unsigned long done;
	struct file *files[HANDLES];
	uint64_t held[HELD]; /* look-ups that the kernel would remember; 0 none */
};

static unsigned pick(struct actor *a, unsigned n)
{
	return (unsigned)rand_r(&a->seed) % n;
}

/* What losing a race, or a wrong guess, may give; anything else is a defect. */
static void allow(const char *what, int r)
{
	switch (-r) {
	case ENOENT: case EEXIST: case ENOTEMPTY: case EISDIR: case ENOTDIR: case EINVAL:
	case EXDEV: case EPERM: case ENODATA: case EOPNOTSUPP: case ENXIO: case ELOOP: case EBADF:
		return;
	default:
		ck_assert_msg(r >= 0, "%s: %s", what, strerror(-r));
	}
}

static uint8_t pattern(uint64_t ino, uint64_t at)
{
	return (uint8_t)((ino * 31 + at * 7 + (at >> 9)) % 251 + 1);
}

/* A directory: one of those that stay, or one that somebody made in between. */
static uint64_t some_dir(struct actor *a)
{
	unsigned i = pick(a, HELD);

	return pick(a, 4) || !a->held[i] ? dirs[pick(a, 6)] : a->held[i];
}

static void some_name(struct actor *a, char ret_name[8])
{
	snprintf(ret_name, 8, "%c%u", "fffds"[pick(a, 5)], pick(a, NAMES));
}

static void hold(struct actor *a, const struct core_entry *e)
{
	unsigned i = pick(a, HELD);

	if (a->held[i])
		core_forget(s.core, a->held[i], 1);
	a->held[i] = e->ino;
	if (e->st.st_nlink == 0) { /* found while it was being removed */
		core_forget(s.core, e->ino, 1);
		a->held[i] = 0;
	}
}

/* Directories in the root whose name begins with s have containers of their own, s0 a domain. */
static int plan_container(struct op *op, void *arg)
{
	if (op->dir->ino == ROOT && op->name[0] == 's') {
		op->container_kind = 2;
		op->new_domain = op->name[1] == '0';
	}
	return 0;
}

static void do_make(struct actor *a)
{
	const struct core_rule rule = {.plan = plan_container};
	struct core_make make = {.mode = S_IFREG | 0644};
	uint64_t dir = some_dir(a);
	struct core_entry e;
	char name[8];
	int r;

	some_name(a, name);
	if (name[0] == 'd' || name[0] == 's')
		make.mode = S_IFDIR | 0755;
	if (name[0] == 's')
		dir = ROOT;
	if (pick(a, 20) == 0)
		make = (struct core_make){.mode = S_IFLNK, .target = "there"};
	r = core_make(s.core, &s.who, dir, name, &make, &rule, &e);
	allow("make", r);
	if (r == 0)
		hold(a, &e);
}

static void do_remove(struct actor *a)
{
	uint64_t dir = some_dir(a);
	char name[8];

	some_name(a, name);
	if (name[0] == 's')
		dir = ROOT;
	if (name[0] == 'f')
		allow("unlink", core_unlink(s.core, &s.who, dir, name, NULL));
	else
		allow("rmdir", core_rmdir(s.core, &s.who, dir, name, NULL));
}

static void do_rename(struct actor *a)
{
	static const unsigned flags[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	uint64_t from = some_dir(a), to = pick(a, 2) ? from : some_dir(a);
	char name[8], new_name[8];

	some_name(a, name);
	some_name(a, new_name);
	allow("rename", core_rename(s.core, &s.who, from, name, to, new_name, flags[pick(a, 5)],
				NULL));
}

static void do_link(struct actor *a)
{
	uint64_t ino = a->held[pick(a, HELD)];
	struct core_entry e;
	char name[8];
	int r;

	if (!ino)
		return;
	some_name(a, name);
	r = core_link(s.core, &s.who, ino, some_dir(a), name, NULL, &e);
	allow("link", r);
	if (r == 0)
		hold(a, &e);
}

static void do_lookup(struct actor *a)
{
	struct core_entry e;
	char name[8];
	int r;

	some_name(a, name);
	r = core_lookup(s.core, some_dir(a), name, &e);
	allow("lookup", r);
	if (r == 0)
		hold(a, &e);
}

static int take_entry(void *arg, const struct core_dirent *e)
{
	if (e->have_attr && pick(arg, 12) == 0)
		return 1; /* full */
	if (e->have_attr)
		core_forget(s.core, e->ino, 1);
	return 0;
}

static void do_list(struct actor *a)
{
	allow("readdir", core_readdir(s.core, some_dir(a), 0, pick(a, 2), take_entry, a));
}

/* What the kernel remembers is there, whatever happened to its names. */
static void do_attr(struct actor *a)
{
	uint64_t ino = a->held[pick(a, HELD)];
	struct stat st = {.st_mode = 0600 + pick(a, 64), .st_size = pick(a, REACH)};
	char name[16];

	if (!ino)
		return;
	snprintf(name, sizeof name, "user.%u", pick(a, 4));
	switch (pick(a, 5)) {
	case 0:
		ck_assert_int_eq(core_getattr(s.core, ino, &st, NULL), 0);
		break;
	case 1:
		allow("chmod", core_setattr(s.core, &s.who, ino, &st, CORE_SET_MODE, &st));
		break;
	case 2:
		allow("truncate", core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE, &st));
		break;
	case 3:
		allow("setxattr", core_setxattr(s.core, &s.who, ino, name, "value", 5, 0));
		break;
	default:
		allow("removexattr", core_removexattr(s.core, &s.who, ino, name));
	}
}

static void do_open(struct actor *a)
{
	struct file **f = &a->files[pick(a, HANDLES)];
	uint64_t ino = a->held[pick(a, HELD)];
	int r;

	if (*f) {
		if (pick(a, 2))
			allow("flush", core_file_flush(s.core, *f));
		allow("release", core_file_release(s.core, steal_ptr(*f)));
	}
	if (!ino)
		return;
	r = core_file_open(s.core, &s.who, ino, O_RDWR | (pick(a, 8) ? 0 : O_TRUNC), f);
	allow("open", r);
}

static void do_data(struct actor *a)
{
	static _Thread_local uint8_t bytes[REACH];
	struct file *f = a->files[pick(a, HANDLES)];
	size_t size = 1 + (pick(a, 3) ? pick(a, 3000) : pick(a, REACH / 2));
	uint64_t at = pick(a, 3) ? pick(a, 3000) : pick(a, REACH / 2);
	ssize_t n;

	if (!f)
		return;
	switch (pick(a, 4)) {
	case 0:
	case 1:
		for (size_t i = 0; i < size; i++)
			bytes[i] = pattern(file_ino(f), at + i);
		allow("write", (int)core_write(s.core, f, bytes, size, (off_t)at, false));
		return;
	case 2:
		allow("punch", core_fallocate(s.core, f,
				       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
				       (off_t)size));
		return;
	default:
		n = core_read(s.core, f, bytes, size, (off_t)at);
		allow("read", (int)n);
		for (ssize_t i = 0; i < n; i++)
			ck_assert_msg(!bytes[i] ||
					bytes[i] == pattern(file_ino(f), at + (uint64_t)i),
				"wrong byte");
	}
}

static void *act(void *arg)
{
	static void (*const deeds[])(struct actor *) = {do_make, do_make, do_make, do_remove,
		do_remove, do_rename, do_rename, do_link, do_lookup, do_lookup, do_list, do_attr,
		do_attr, do_open, do_data, do_data};
	struct actor *a = arg;

	for (; !stop; a->done++)
		deeds[pick(a, sizeof deeds / sizeof deeds[0])](a);
	for (unsigned i = 0; i < HANDLES; i++)
		if (a->files[i])
			allow("release", core_file_release(s.core, a->files[i]));
	for (unsigned i = 0; i < HELD; i++)
		if (a->held[i])
			core_forget(s.core, a->held[i], 1);
	return NULL;
}

/* Bytes by the records, to be compared with the counters. */
static int64_t count_bytes(void)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0}, bytes = {0};
	int64_t sum = 0;
	int r = kv_iter_open(s.kv, NULL, NULL, KV_META, NULL, 0, &it);

	ck_assert_int_eq(r, 0);
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		_cleanup_(blob_unrefp) struct blob *facts = NULL;
		struct irec rec;
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		if (len != KEY_PREFIX || key[8] != KEY_INODE)
			continue;
		ck_assert_int_eq(kv_iter_value(it, &value), 0);
		ck_assert_int_eq(irec_decode(value.data, value.len, &rec, &bytes, &facts), 0);
		sum += rec.body == INODE_INLINE ? (int64_t)rec.size : (int64_t)rec.map.stored;
	}
	ck_assert_int_eq(r, 0);
	return sum;
}

static void check_store(void)
{
	tree_check(&s);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), count_bytes());
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_CONTAINERS),
		(int64_t)tree_records(&s, KEY_CONTAINER));
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
}

static void setup(void)
{
	const struct core_options options = {
		.commit_ms = 8, .dirty_bytes = 1 << 20, .inodes = 16, .name_hash_bits = 3};

	store_new(&s, &options);
	dirs[0] = ROOT;
	dirs[1] = store_make(&s, ROOT, "a", S_IFDIR | 0755);
	dirs[2] = store_make(&s, dirs[1], "b", S_IFDIR | 0755);
	dirs[3] = store_make(&s, dirs[2], "c", S_IFDIR | 0755);
	dirs[4] = store_make(&s, ROOT, "e", S_IFDIR | 02755);
	dirs[5] = store_make(&s, dirs[4], "g", S_IFDIR | 0755);
}

static void teardown(void)
{
	store_close(&s);
}

static void run(unsigned seed)
{
	const char *seconds = getenv("STRESS_SECONDS");
	static struct actor actors[THREADS];
	unsigned long done = 0;

	stop = false;
	for (unsigned i = 0; i < THREADS; i++) {
		actors[i] = (struct actor){.seed = seed * THREADS + i};
		ck_assert_int_eq(pthread_create(&actors[i].thread, NULL, act, &actors[i]), 0);
	}
	sleep(seconds ? (unsigned)atoi(seconds) : SECONDS);
	stop = true;
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(actors[i].thread, NULL);
		done += actors[i].done;
	}
	ck_assert_uint_gt(done, THREADS * 10);
	if (seconds)
		fprintf(stderr, "%lu operations\n", done);
}

START_TEST(everything_adds_up)
{
	_cleanup_buf_ struct buf before = {0};

	run(1);
	check_store();
	tree_dump(&s, &before);
	store_reopen(&s);
	tree_expect(&s, &before);
	check_store();
}
END_TEST

START_TEST(everything_adds_up_after_a_crash)
{
	run(2);
	store_crash(&s, false);
	check_store();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stress");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 280);
	tcase_add_test(tc, everything_adds_up);
	tcase_add_test(tc, everything_adds_up_after_a_crash);
	return run_case("stress", tc);
}
