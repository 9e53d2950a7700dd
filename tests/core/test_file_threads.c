/*
 * test_file_threads.c: several threads on the same files, with commits by time and by amount in
 * between. What it finds it finds best under the thread sanitizer.
 */
#include "fs/core/core_internal.h"
#include "fs/core/op.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define ROOT CORE_ROOT_INO
#define THREADS 4
#define LINES 400

static struct store s;
static uint64_t ino;

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 4, .dirty_bytes = 1 << 20});
	ino = store_make(&s, ROOT, "f", S_IFREG | 0644);
}

static void teardown(void)
{
	store_close(&s);
}

static void run(void *(*body)(void *))
{
	pthread_t threads[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, body, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *append_lines(void *arg)
{
	struct file *f;
	char line[32];

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY | O_APPEND, &f), 0);
	for (int i = 0; i < LINES; i++) {
		int n = snprintf(line, sizeof line, "%d %06d ..........\n", (int)(intptr_t)arg, i);
		ck_assert_int_eq(core_write(s.core, f, line, (size_t)n, 0, false), n);
		if (i % 50 == 0)
			ck_assert_int_eq(core_file_flush(s.core, f), 0);
	}
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	return NULL;
}

START_TEST(appends_lose_nothing)
{
	static char text[THREADS * LINES * 20 + 1];
	int next[THREADS] = {0}, who, n;
	struct file *f;
	ssize_t size;

	run(append_lines);
	store_reopen(&s);
	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDONLY, &f), 0);
	size = core_read(s.core, f, text, sizeof text, 0);
	ck_assert_int_eq(size, sizeof text - 1);
	for (ssize_t at = 0; at < size; at += 20) {
		ck_assert_int_eq(sscanf(text + at, "%d %d ..........\n", &who, &n), 2);
		ck_assert_int_eq(next[who]++, n);
	}
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}
END_TEST

/*
 * Each thread has its own stretch; all of them truncate behind it, punch in it, read it back and
 * sync all.
 */
static void *work_apart(void *arg)
{
	enum { STRETCH = 300000 };
	_cleanup_free_ char *bytes = malloc(STRETCH), *got = malloc(STRETCH);
	off_t base = (off_t)(intptr_t)arg * STRETCH;
	struct stat st = {.st_size = (off_t)THREADS * STRETCH};
	struct file *f;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDWR, &f), 0);
	for (int i = 0; i < 40; i++) {
		memset(bytes, 'a' + i % 26, STRETCH);
		ck_assert_int_eq(core_write(s.core, f, bytes, STRETCH, base, false), STRETCH);
		if (i % 4 == 1)
			ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &st, CORE_SET_SIZE,
						 &st), 0);
		if (i % 4 == 2)
			ck_assert_int_eq(core_commit_all(s.core), 0);
		if (i % 4 == 3) {
			ck_assert_int_eq(core_fallocate(s.core, f, 3, base + 1000, 200000), 0);
			memset(bytes + 1000, 0, 200000);
		}
		ck_assert_int_eq(core_read(s.core, f, got, STRETCH, base), STRETCH);
		ck_assert_mem_eq(got, bytes, STRETCH);
	}
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	return NULL;
}

START_TEST(stretches_are_independent)
{
	run(work_apart);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "f", NULL), 0);
	core_settle(s.core);
	tree_check(&s);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
	ck_assert_uint_eq(s.core->dirty_bytes, 0);
}
END_TEST

/* Files come and go, open and unlinked, small and large, with the committer at work on them. */
static void *come_and_go(void *arg)
{
	static char bytes[50000];
	struct core_make make = {.mode = S_IFREG | 0600};
	struct core_entry e;
	struct file *f;
	char name[32], c;

	for (int i = 0; i < 150; i++) {
		size_t n = i % 3 ? 100 : sizeof bytes;
		snprintf(name, sizeof name, "%d-%d", (int)(intptr_t)arg, i);
		ck_assert_int_eq(core_make(s.core, &s.who, ROOT, name, &make, NULL, &e), 0);
		ck_assert_int_eq(core_file_open(s.core, &s.who, e.ino, O_RDWR, &f), 0);
		ck_assert_int_eq(core_write(s.core, f, bytes, n, 0, false), (ssize_t)n);
		if (i % 5 == 0)
			usleep(5000);
		ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, name, NULL), 0);
		ck_assert_int_eq(core_write(s.core, f, bytes, n, 3000, false), (ssize_t)n);
		ck_assert_int_eq(core_read(s.core, f, &c, 1, 0), 1);
		ck_assert_int_eq(core_file_flush(s.core, f), 0);
		ck_assert_int_eq(core_file_release(s.core, f), 0);
		core_forget(s.core, e.ino, 1);
	}
	return NULL;
}

START_TEST(unlinked_files_leave_nothing)
{
	run(come_and_go);
	core_settle(s.core);
	tree_check(&s);
	ck_assert_int_eq(kv_counter_total(s.kv, KV_COUNT_BYTES), 0);
}
END_TEST

/* ---- a new inode has one object --------------------------------------------------------------- */

static pthread_t curious;
static uint64_t told;
static struct inode *seen;

static void *look(void *arg)
{
	(void)arg;
	ck_assert_int_eq(inode_get(s.core, told, NULL, &seen), 0);
	return NULL;
}

/* Who is told of a container, while the op that makes it is not done, looks for it at once. */
static void changed(void *arg, const struct container *c, uint64_t epoch)
{
	(void)arg, (void)epoch;
	if (c->id == ROOT >> 8 || told)
		return;
	told = (uint64_t)c->id << 8;
	ck_assert_int_eq(pthread_create(&curious, NULL, look, NULL), 0);
	usleep(100000);
}

static void ignore(void *arg)
{
	(void)arg;
}

static int as_container(struct op *op, void *arg)
{
	(void)arg;
	op->container_kind = 1;
	return 0;
}

START_TEST(a_new_inode_is_loaded_by_nobody_else)
{
	static const struct core_watch watch = {.changed = changed, .full = ignore};
	const struct core_rule rule = {.plan = as_container};
	const struct core_make what = {.mode = S_IFDIR | 0755};
	struct core_entry entry;

	told = 0;
	core_set_watch(s.core, &watch, NULL);
	ck_assert_int_eq(core_make(s.core, &s.who, ROOT, "d", &what, &rule, &entry), 0);
	core_set_watch(s.core, NULL, NULL);
	ck_assert_uint_eq(told, entry.ino);
	pthread_join(curious, NULL);
	struct inode *known = inode_peek(s.core, told);
	ck_assert_ptr_eq(known, seen);
	inode_put(known);
	inode_put(seen);
	core_forget(s.core, entry.ino, 1);
}
END_TEST

START_TEST(a_new_inode_that_failed_is_not_there)
{
	struct core_entry entry;

	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	const struct core_make what = {.mode = S_IFREG | 0644};
	ck_assert_int_eq(core_make(s.core, &s.who, ROOT, "g", &what, NULL, &entry), -ENOSPC);
	ck_assert_ptr_null(inode_peek(s.core, ino + 1));
	ck_assert_int_eq(core_make(s.core, &s.who, ROOT, "g", &what, NULL, &entry), 0);
	core_forget(s.core, entry.ino, 1);
	tree_check(&s);
}
END_TEST

static _Atomic bool replaced;

static void *replace_it(void *arg)
{
	for (int i = 0; i < 4000; i++) {
		store_file(&s, ROOT, "t", "what replaces it\n");
		ck_assert_int_eq(core_rename(s.core, &s.who, ROOT, "t", ROOT, "f", 0, NULL), 0);
	}
	replaced = true;
	return arg;
}

static void *open_it(void *arg)
{
	while (!replaced) {
		struct core_entry e;
		struct file *f;

		ck_assert_int_eq(core_lookup(s.core, ROOT, "f", &e), 0);
		ck_assert_int_eq(core_file_open(s.core, &s.who, e.ino, O_RDONLY, &f), 0);
		core_file_release(s.core, f);
		core_forget(s.core, e.ino, 1);
	}
	return arg;
}

/* Who has looked a name up can open what it led to, whatever it leads to by then. */
START_TEST(what_was_looked_up_can_be_opened)
{
	pthread_t threads[3];

	replaced = false;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, i ? open_it : replace_it, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("threads");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, appends_lose_nothing);
	tcase_add_test(tc, stretches_are_independent);
	tcase_add_test(tc, unlinked_files_leave_nothing);
	tcase_add_test(tc, a_new_inode_is_loaded_by_nobody_else);
	tcase_add_test(tc, a_new_inode_that_failed_is_not_there);
	tcase_add_test(tc, what_was_looked_up_can_be_opened);
	return run_case("file-threads", tc);
}
