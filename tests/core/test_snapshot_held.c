/*
 * test_snapshot_held.c: what each snapshot holds alone, of random histories: what one pass says of it comes back when
 * it is dropped, to the byte.
 */
#include "fs/core/pins.h"
#include "kv/kv_internal.h"
#include "tests/core/levels.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO

static struct store s;
static uint64_t user, workflow, session;

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	user = level_make(&s, ROOT, "user");
	workflow = level_make(&s, user, "workflow");
	session = level_make(&s, workflow, "session");
}

static void teardown(void)
{
	store_close(&s);
}

static void rewrite(uint64_t ino, const char *text, off_t at)
{
	struct file *f;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY, &f), 0);
	ck_assert_int_eq(core_write(s.core, f, text, strlen(text), at, false), (ssize_t)strlen(text));
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}

/* All that dropping a snapshot may bring back. */
static uint64_t bytes_of(enum kv_family family)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	uint64_t bytes = 0;
	size_t len;
	int r = kv_iter_open(s.kv, NULL, NULL, family, NULL, 0, &it);

	ck_assert_int_eq(r, 0);
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		kv_iter_key(it, &len);
		ck_assert_int_eq(kv_iter_value(it, &value), 0);
		bytes += len + value.len;
	}
	return bytes;
}

/* Makes, rewrites in part, cuts, removes. */
static void change(unsigned *seed, uint64_t dir, int round)
{
	static char text[3 << CHUNK_SHIFT];
	char name[16];

	memset(text, 'a' + round % 26, sizeof text - 1);
	snprintf(name, sizeof name, "%d", rand_r(seed) % 4);
	uint64_t ino = store_find(&s, dir, name);
	if (!ino) {
		text[rand_r(seed) % 2 ? 10 : sizeof text - 1] = '\0';
		store_file(&s, dir, name, text);
	} else if (rand_r(seed) % 6 == 0) {
		ck_assert_int_eq(core_unlink(s.core, &s.who, dir, name, NULL), 0);
	} else if (rand_r(seed) % 6 == 0) {
		const struct stat to = {.st_size = rand_r(seed) % (int)sizeof text};
		struct stat is;
		ck_assert_int_eq(core_setattr(s.core, &s.who, ino, &to, CORE_SET_SIZE, &is), 0);
	} else if (rand_r(seed) % 4 == 0) {
		ck_assert_int_eq(core_setxattr(s.core, &s.who, ino, "user.a", text, 5, 0), 0);
	} else {
		text[1000] = '\0';
		rewrite(ino, text, rand_r(seed) % (2 << CHUNK_SHIFT));
	}
}

/* In one pass over all it is the same as over those of a place, and what a drop brings back. */
START_TEST(what_each_holds_alone)
{
	uint64_t second = level_make(&s, workflow, "second"), sessions[] = {session, second};
	uint64_t places[] = {session, second, workflow, user, ROOT};
	struct snapshot_info snaps[20];
	unsigned seed = (unsigned)_i;
	size_t n = sizeof snaps / sizeof *snaps;
	char name[16];

	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < 8; k++)
			change(&seed, sessions[rand_r(&seed) % 2], (int)i);
		uint64_t place = places[rand_r(&seed) % 5];
		snprintf(name, sizeof name, "s%zu", i);
		unsigned alone = place == session || place == second ? SNAPSHOT_ALONE : 0;
		ck_assert_int_eq(snapshot_take(s.core, &s.who, place, name, alone, &snaps[i]), 0);
	}
	for (int k = 0; k < 8; k++)
		change(&seed, sessions[k % 2], (int)n);
	core_settle(s.core);
	for (; n > 0; n--) {
		size_t i = (size_t)rand_r(&seed) % n;
		uint64_t before = bytes_of(KV_HISTORY) + bytes_of(KV_DATA), held = level_held(&s, 0, snaps[i].id);
		ck_assert_uint_eq(level_held(&s, snaps[i].place, snaps[i].id), held);
		ck_assert_int_eq(snapshot_drop(s.core, snaps[i].id), 0);
		core_settle(s.core);
		ck_assert_uint_eq(before - bytes_of(KV_HISTORY) - bytes_of(KV_DATA), held);
		snaps[i] = snaps[n - 1];
	}
	ck_assert_uint_eq(bytes_of(KV_HISTORY), 0);
	tree_check(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("snapshot_held");
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_each_holds_alone, 0, 8);
	return run_case("snapshot_held", t);
}
