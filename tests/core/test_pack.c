/*
 * test_pack.c: a packed container reads as before, in the present and in its snapshots, also after writes, restarts
 * and a crash half way.
 */
#include "fs/core/pack.h"
#include "fs/core/snapshot.h"
#include "kv/kv_internal.h"
#include "tests/core/levels.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define FILES 120

static const bool never = false;
static struct store s;
static uint64_t session, other;

static void write_all(uint64_t ino, const char *data, size_t size)
{
	struct file *f;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY | O_TRUNC, &f), 0);
	ck_assert_int_eq(core_write(s.core, f, data, size, 0, false), (ssize_t)size);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}

/* Small ones, that lie in their inodes, and every tenth of a few chunks. */
static void write_file(uint64_t ino, unsigned seed)
{
	static const char *const words[] = {"please", "the function", "returns", "-1", "in this case", "src/parser.c",
		"a test for it", "```c\n", "assert(", "looks good", "I would rather"};
	size_t size = seed % 10 ? 400 + seed % 700 : 90000, len = 0;
	char *text = malloc(size + 64);

	while (len < size) {
		seed = seed * 1664525u + 1013904223u;
		len += (size_t)sprintf(text + len, "%s %u ", words[(seed >> 16) % 11], seed >> 29);
	}
	write_all(ino, text, size);
	free(text);
}

static void fill(uint64_t dir)
{
	char name[32];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "%03u.md", i);
		write_file(store_file(&s, dir, name, ""), i + 1);
	}
}

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	uint64_t user = level_make(&s, ROOT, "user");
	uint64_t workflow = level_make(&s, user, "workflow");
	session = level_make(&s, workflow, "session");
	other = level_make(&s, workflow, "other");
	fill(session);
	fill(other);
}

static void teardown(void)
{
	store_close(&s);
}

static struct kv_packed pack(uint64_t dir)
{
	struct core_packer *p;
	struct kv_packed sums;

	ck_assert_int_eq(core_packer_open(s.core, dir, &never, &p), 0);
	ck_assert_int_eq(core_pack(p, dir, &sums), 0);
	core_packer_free(p);
	return sums;
}

START_TEST(reads_as_before)
{
	_cleanup_buf_ struct buf before = {0};
	struct kv_packed sums, again;

	tree_dump(&s, &before);
	sums = pack(session);
	ck_assert_uint_ge(sums.packed, FILES);
	ck_assert_uint_lt(sums.after, sums.before * 3 / 4);
	tree_expect(&s, &before);
	again = pack(session);
	ck_assert_uint_eq(again.records, sums.records);
	ck_assert_uint_eq(again.before, sums.after);
	store_reopen(&s);
	tree_expect(&s, &before);
	tree_check(&s);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
	/* Another one needs no second dictionary. */
	ck_assert_uint_ge(pack(other).packed, FILES);
	tree_expect(&s, &before);
}
END_TEST

START_TEST(the_past_too)
{
	_cleanup_buf_ struct buf past = {0}, seen = {0};
	struct snapshot_info info;

	ck_assert_int_eq(snapshot_take(s.core, &s.who, session, "then", 0, &info), 0);
	tree_dump_from(&s, info.root, &past);
	for (unsigned i = 0; i < FILES; i += 2) {
		char name[32];
		snprintf(name, sizeof name, "%03u.md", i);
		write_file(store_find(&s, session, name), 1000 + i);
	}
	pack(session);
	store_reopen(&s);
	ck_assert_int_eq(snapshot_find(s.core, session, "then", &info), 0);
	tree_dump_from(&s, info.root, &seen);
	ck_assert_str_eq((char *)seen.data, (char *)past.data);
	ck_assert_int_eq(snapshot_drop(s.core, info.id), 0);
	core_settle(s.core);
	tree_check(&s);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
}
END_TEST

START_TEST(writing_goes_on)
{
	_cleanup_buf_ struct buf before = {0};

	pack(session);
	for (unsigned i = 0; i < FILES; i += 3) {
		char name[32];
		snprintf(name, sizeof name, "%03u.md", i);
		uint64_t ino = store_find(&s, session, name);
		if (i % 2)
			write_file(ino, 5000 + i);
		else
			ck_assert_int_eq(core_unlink(s.core, &s.who, session, name, NULL), 0);
	}
	core_settle(s.core);
	tree_dump(&s, &before);
	pack(session);
	store_crash(&s, false);
	tree_expect(&s, &before);
	tree_check(&s);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
}
END_TEST

START_TEST(stops_and_refuses)
{
	uint64_t empty = level_make(&s, ROOT, "newcomer");
	struct core_packer *p;
	struct kv_packed sums;
	bool stop = true;

	ck_assert_int_eq(core_packer_open(s.core, session, &stop, &p), -ECANCELED);
	ck_assert_int_eq(core_packer_open(s.core, empty, &never, &p), -ENODATA);
	ck_assert_int_eq(core_packer_open(s.core, (uint64_t)1 << 39, &never, &p), -ENOENT);
	stop = false;
	ck_assert_int_eq(core_packer_open(s.core, session, &stop, &p), 0);
	ck_assert_int_eq(core_pack(p, empty, &sums), -EXDEV);
	stop = true;
	ck_assert_int_eq(core_pack(p, session, &sums), -ECANCELED);
	core_packer_free(p);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("pack");

	tcase_set_timeout(t, 300);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reads_as_before);
	tcase_add_test(t, the_past_too);
	tcase_add_test(t, writing_goes_on);
	tcase_add_test(t, stops_and_refuses);
	return run_case("pack", t);
}
