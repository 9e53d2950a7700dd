/*
 * test_fsck.c: each kind of damage, to each of the first records that it can be done to: it is found,
 * mended as far as it can be, the second look is clean, and no file's bytes are gone but those whose only
 * record was hit. On the in-memory engine; scenario/fsck.sh does it to stores on disk.
 */
#include "fs/core/snapshot.h"
#include "tests/fsck/checked.h"
#include "tests/fsck/damage.h"
#include "tests/suite.h"

#include <stdio.h>

/* ---- what is there --------------------------------------------------------------------------- */

#define FILES_MAX 128
struct files {
	unsigned n, unreadable;
	uint64_t sum[FILES_MAX];
	char path[FILES_MAX][256];
};

static void walk(struct files *files, uint64_t dir, const char *path)
{
	struct checked_names *names = checked_list(dir);
	for (unsigned i = 0; i < names->n; i++) {
		char *at = files->path[files->n];
		struct core_entry e;
		bool readable;
		ck_assert_uint_lt(files->n, FILES_MAX);
		snprintf(at, 256, "%s/%s", path, names->of[i].name);
		int r = session_lookup(sessions, &who, dir, names->of[i].name, &e);
		ck_assert_msg(r == 0, "%s: %s", at, strerror(-r));
		core_forget(store.core, e.ino, 1);
		if (S_ISDIR(names->of[i].type)) {
			char below[256];
			strcpy(below, at);
			walk(files, e.ino, below);
		} else if (S_ISREG(names->of[i].type) && strcmp(names->of[i].name, "session.json")) {
			files->sum[files->n] = checked_sum(e.ino, &readable);
			files->unreadable += !readable;
			files->n++;
		}
	}
	free(names);
}

static void list_files(struct files *ret)
{
	*ret = (struct files){0};
	walk(ret, CORE_ROOT_INO, "");
}

/* How many of the files of @before have their bytes nowhere any more. */
static unsigned missing(const struct files *before, const struct files *after)
{
	bool taken[FILES_MAX] = {0};
	unsigned n = 0;
	for (unsigned i = 0; i < before->n; i++) {
		unsigned k = 0;
		while (k < after->n && (taken[k] || after->sum[k] != before->sum[i]))
			k++;
		if (k < after->n)
			taken[k] = true;
		else
			n++;
	}
	return n;
}

/* What a mount would do with it: sessions take messages, all can be removed. */
static void use(void)
{
	struct files files;
	if (tree_find("u/w/s/messages"))
		ck_assert_int_eq(tree_write_flags("u/w/s/messages/next.md", "more\n", 0, NULL), 0);
	ck_assert_int_ge(tree_mkdir("u/w/fresh"), -EEXIST);
	tree_write("u/w/fresh/messages/001.md", "fresh\n");
	list_files(&files);
	for (unsigned i = 0; i < files.n; i++)
		ck_assert_int_eq(tree_unlink(files.path[i] + 1), 0);
	core_settle(store.core);
}

static void damage_and_mend(const struct damage *d, unsigned nth)
{
	struct files before, after;
	list_files(&before);
	checked_close();
	int r = checked_damage(d->name, nth);
	if (r == -ENOENT) {
		ck_assert_msg(nth > 0, "%s: the store has no such record", d->name);
		checked_open();
		return;
	}
	ck_assert_msg(r == 0, "%s: %s", d->name, strerror(-r));
	ck_assert_msg(checked_look() > 0, "%s %u: not found", d->name, nth);
	uint64_t left = checked_repair();
	char *said = strdup(checked_heard());
	ck_assert_msg(!left == !d->left, "%s %u: %u left\n%s", d->name, nth, (unsigned)left, said);
	uint64_t again = checked_look();
	ck_assert_msg(!again == !d->left, "%s %u: after the repair\n%safter\n%s", d->name, nth,
	        checked_heard(), said);
	checked_open();
	list_files(&after);
	unsigned gone = missing(&before, &after);
	ck_assert_msg(gone <= d->lost + (d->left ? 4 : 0), "%s %u: %u files gone\n%s", d->name, nth,
	        gone, said);
	ck_assert_msg(!after.unreadable == !d->left, "%s %u: %u unreadable\n%s", d->name, nth,
	        after.unreadable, said);
	use();
	free(said);
	checked_close();
	ck_assert_msg(checked_look() == 0, "%s %u: after use\n%s", d->name, nth, checked_heard());
	checked_open();
}

START_TEST(every_damage)
{
	for (unsigned nth = 0; nth < 4; nth++) {
		if (nth) {
			tree_teardown();
			checked_setup();
		}
		damage_and_mend(&damages[_i], nth);
	}
}
END_TEST

START_TEST(a_good_store_is_clean)
{
	checked_close();
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	ck_assert_int_eq(checked_repair(), 0);
	ck_assert_msg(checked_told.len == 0, "%s", checked_heard());
	checked_open();
	struct files files;
	list_files(&files);
	ck_assert_uint_gt(files.n, 10);
}
END_TEST

/* context.json got a role of its own late: one without it is as good. */
START_TEST(an_older_context_is_no_damage)
{
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(older_role.apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
}
END_TEST

/* The bytes of its map are lost and the tail with them, but not the file. */
START_TEST(a_file_outlives_a_tail_of_nothing)
{
	checked_close();
	ck_assert_int_eq(checked_damage("tail-of-nothing", 0), 0);
	ck_assert_int_eq(checked_repair(), 0);
	checked_open();
	ck_assert_uint_ne(tree_find(SESSION "/grown"), 0);
	ck_assert_str_eq(tree_read(SESSION "/grown"), "");
	tree_append(SESSION "/grown", "anew\n");
	ck_assert_str_eq(tree_read(SESSION "/grown"), "anew\n");
}
END_TEST

/* Where a directory is made anew the lease of its number is not asked: it may be wrong as well. */
START_TEST(a_directory_whose_number_another_has)
{
	static struct files before, after;

	for (int i = 0; i < 300; i++) {
		tree_write(SESSION "/x", "");
		ck_assert_int_eq(tree_unlink(SESSION "/x"), 0);
	}
	ck_assert_int_eq(tree_mkdir(SESSION "/late"), 0); /* not in the session's first block of numbers */
	tree_write(SESSION "/late/file", "late\n");
	list_files(&before);
	checked_close();
	ck_assert_int_eq(checked_damage("lease-elsewhere", (unsigned)_i), 0);
	ck_assert_int_eq(checked_damage("dir-drop", 2), 0);
	ck_assert_msg(checked_repair() == 0, "%s", checked_heard());
	ck_assert_ptr_nonnull(strstr(checked_heard(), "/late [directory]"));
	ck_assert_msg(!strstr(checked_heard(), "[container]"), "%s", checked_heard());
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	list_files(&after);
	ck_assert_uint_eq(missing(&before, &after), 0);
}
END_TEST

/* What waits for a restart is no damage: an open file that is unlinked, a large file being deleted. */
START_TEST(a_crash_is_no_damage)
{
	struct file *f;
	ck_assert_int_eq(core_file_open(store.core, &who, tree_find(SESSION "/big"), O_RDWR, &f), 0);
	tree_unlink(SESSION "/big");
	tree_unlink(SESSION "/d/big too");
	ck_assert_int_eq(core_write(store.core, f, "x", 1, 100000, false), 1);
	ck_assert_int_eq(core_file_flush(store.core, f), 0);
	kv_memory_crash(store.memory, false);
	core_file_release(store.core, f);
	free(sessions);
	core_close(store.core);
	kv_close(store.kv);
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	core_settle(store.core);
	checked_close();
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
}
END_TEST

START_TEST(without_sources_it_says_so)
{
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(damage_find("inode-drop")->apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	checked_repair();
	checked_open();
	const char *list = tree_read("u/.lost+found/damaged.txt");
	ck_assert_ptr_nonnull(strstr(list, "\tusers/u/w/s/messages/001.md\t"));
	ck_assert_ptr_nonnull(strstr(list, "; no snapshot or backup holds it\n"));
	/* The number is not given again, and the counts say what is there. */
	tree_expect_field("message_count", "5");
	ck_assert_uint_eq(tree_next("the seventh\n"), 7);
}
END_TEST

START_TEST(names_and_numbers_come_back)
{
	uint64_t ino = tree_find(SESSION "/messages/003.md");
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(damage_find("entry-drop")->apply(store.kv, 2), 0);
	ck_assert_int_eq(damage_find("session-drop")->apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	ck_assert_int_eq(checked_repair(), 0);
	checked_open();
	ck_assert_uint_eq(tree_find(SESSION "/messages/003.md"), ino);
	tree_expect_field("title", "A title");
	tree_expect_field("message_count", "6");
}
END_TEST

/* ---- with snapshots -------------------------------------------------------------------------- */

#define PLACES 4

/* What they see, below each. */
static void list_past(struct files past[PLACES])
{
	struct snapshot_info info;
	for (uint64_t id = 1; id <= PLACES; id++) {
		past[id - 1] = (struct files){0};
		ck_assert_int_eq(snapshot_get(store.core, id, &info), 0);
		walk(&past[id - 1], info.root, "");
	}
}

static void change_all(void)
{
	tree_write(SESSION "/notes.txt", "others\n");
	tree_append(SESSION "/messages/001.md", "more of it\n");
	tree_next("one more\n");
	checked_write_big(SESSION "/big", 90000, 300000);
	ck_assert_int_eq(tree_unlink(SESSION "/sparse"), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/messages/002.md"), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/d/big too"), 0);
	ck_assert_int_eq(tree_rename(SESSION "/d/e/deep", SESSION "/d/moved"), 0);
	ck_assert_int_eq(core_setxattr(store.core, &who, tree_find(SESSION "/d/one"), "user.x",
	                         "other", 5, 0), 0);
}

static void setup_snapshots(void)
{
	static const char *const places[PLACES] = {"u/w/s", "u/w", "u", "v"};
	checked_setup();
	for (unsigned i = 0; i < PLACES; i++)
		ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(places[i]), "snap", 0, NULL), 0);
	change_all();
	ck_assert_int_eq(tree_unlink("v/w/s/messages/003.md"), 0);
	ck_assert_int_eq(tree_mkdir("u/x"), 0);
	ck_assert_int_eq(tree_rename("u/w/s", "u/x/moved"), 0);
	ck_assert_int_eq(tree_rename("u/x/moved", "u/w/s"), 0);
}

static void expect_clean(const char *when)
{
	checked_close();
	ck_assert_msg(checked_look() == 0, "%s: %s", when, checked_heard());
	ck_assert_int_eq(checked_repair(), 0);
	ck_assert_msg(checked_told.len == 0, "%s: %s", when, checked_heard());
	checked_open();
}

START_TEST(snapshots_are_no_damage)
{
	static struct files before[PLACES], after[PLACES];
	list_past(before);
	expect_clean("changed");
	list_past(after);
	ck_assert_mem_eq(before, after, sizeof before);
	for (uint64_t id = PLACES; id > 0; id--) {
		ck_assert_int_eq(snapshot_drop(store.core, id), 0);
		expect_clean("dropped");
		core_settle(store.core);
		expect_clean("swept");
	}
}
END_TEST

START_TEST(damage_to_snapshots_is_found)
{
	const struct damage *d = &snapshot_damages[_i];
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(d->apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	ck_assert_msg(checked_look() > 0, "%s: not found", d->name);
	uint64_t left = checked_repair();
	ck_assert_msg(!left == !d->left, "%s: %u left\n%s", d->name, (unsigned)left, checked_heard());
	ck_assert_msg(!checked_look() == !d->left, "%s: %s", d->name, checked_heard());
	checked_open();
	tree_append(SESSION "/notes.txt", "and more\n");
}
END_TEST

/* The @nth record of a family, one bit of it flipped; false: there are fewer. @ret_what names it. */
static bool flip_record(enum kv_family family, unsigned nth, char ret_what[80])
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf sealed = {0};
	size_t len;
	int at = snprintf(ret_what, 80, "family %d, record %u: ", family, nth);

	ck_assert_int_eq(kv_iter_open(store.kv, NULL, NULL, family, NULL, 0, &it), 0);
	int r = kv_iter_seek(it, NULL, 0);
	while (r > 0 && nth--)
		r = kv_iter_next(it);
	if (r <= 0)
		return false;
	const uint8_t *key = kv_iter_key(it, &len);
	for (size_t i = 0; i < len && at < 78; i++)
		at += snprintf(ret_what + at, 80 - (size_t)at, "%02x", key[i]);
	ck_assert_int_eq(kv_memory_peek(store.memory, family, key, len, &sealed), 0);
	sealed.data[sealed.len / 2] ^= 0x10;
	ck_assert_int_eq(kv_memory_poke(store.memory, family, key, len, sealed.data, sealed.len), 0);
	return true;
}

/* Whatever record it is: it is found, and after the repair all is good, or told to be left. */
START_TEST(each_flip_is_found)
{
	static const enum kv_family families[] = {KV_META, KV_DATA, KV_HISTORY};
	char what[80];

	for (unsigned nth = 0;; nth++) {
		checked_close();
		checked_open_kv(true, false);
		bool there = flip_record(families[_i], nth, what);
		ck_assert_int_eq(kv_close(store.kv), 0);
		if (!there)
			break;
		ck_assert_msg(checked_look() > 0, "%s: not found", what);
		uint64_t left = checked_repair();
		char *said = strdup(checked_heard());
		ck_assert_msg(checked_look() == left, "%s: of %u left\n%s\nafter\n%s", what, (unsigned)left,
			checked_heard(), said);
		free(said);
		checked_open();
		tree_append(SESSION "/notes.txt", "more\n");
		tree_teardown();
		setup_snapshots();
	}
	checked_open();
}
END_TEST

/* Where a session lay comes back from a backup: then snapshots show it there. */
START_TEST(a_place_of_then_comes_back)
{
	static struct files before[PLACES], after[PLACES];

	list_past(before);
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	checked_close();
	ck_assert_int_eq(checked_damage("place-flip", 0), 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("where it lay for older snapshots cannot be read; ");
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	list_past(after);
	ck_assert_mem_eq(before, after, sizeof before);
	kv_close(kv);
}
END_TEST

/* The row with its name says of which epoch and place it is: it shows what it showed. With a backup it is as it was. */
START_TEST(a_snapshot_that_lost_its_record_shows_the_same)
{
	const struct damage *d = damage_find(_i % 2 ? "pin-flip" : "pin-drop");
	bool backup = _i / 2 % 2;
	static struct files before[PLACES], after[PLACES];
	struct snapshot_info was[PLACES], now;
	list_past(before);
	for (uint64_t id = 1; id <= PLACES; id++)
		ck_assert_int_eq(snapshot_get(store.core, id, &was[id - 1]), 0);
	struct kv *kv = backup ? checked_copy("b1") : NULL;
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(d->apply(store.kv, (unsigned)_i / 4), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("has lost its record");
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	list_past(after);
	ck_assert_mem_eq(before, after, sizeof before);
	for (uint64_t id = 1; id <= PLACES; id++) {
		ck_assert_int_eq(snapshot_get(store.core, id, &now), 0);
		ck_assert_str_eq(now.name, was[id - 1].name);
		ck_assert_int_le(now.taken.tv_sec - was[id - 1].taken.tv_sec, 1);
		if (backup)
			ck_assert_mem_eq(&now.taken, &was[id - 1].taken, sizeof now.taken);
		for (uint64_t other = 1; other < id; other++) {
			ck_assert_int_eq(snapshot_get(store.core, other, &was[other - 1]), 0);
			ck_assert_uint_ne(now.root, was[other - 1].root);
		}
	}
	/* Another one has numbers of its own. */
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "next", 0, &now), 0);
	ck_assert_uint_eq(now.id, PLACES + 1);
	ck_assert_int_eq(snapshot_drop(store.core, 1), 0);
	core_settle(store.core);
	if (kv)
		kv_close(kv);
	expect_clean("dropped");
}
END_TEST

/* The present is hit where it has changed since: what the snapshots see stays as it was. */
START_TEST(a_repair_leaves_snapshots_alone)
{
	static const char *const kinds[] = {"inode-flip", "wrong-links", "wrong-count", "wrong-sum", "wrong-links-dir",
	        "wrong-number", "wrong-xattrs", "session-flip", "extra-inode", "extra-chunk", "wrong-counters"};
	static struct files before[PLACES], after[PLACES];
	list_past(before);
	checked_close();
	checked_open_kv(false, false);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		ck_assert_int_eq(damage_find(kinds[i])->apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	ck_assert_uint_gt(checked_look(), 0);
	checked_repair();
	checked_open();
	list_past(after);
	ck_assert_mem_eq(before, after, sizeof before);
}
END_TEST

/* A message that has changed since cannot be read: its name goes in the present, and snapshots have both. */
START_TEST(what_a_mend_takes_away_snapshots_keep)
{
	static struct files before[PLACES], after[PLACES];
	list_past(before);
	checked_close();
	checked_open_kv(false, false);
	ck_assert_int_eq(damage_find("inode-flip")->apply(store.kv, 0), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	checked_mend();
	checked_open();
	ck_assert_uint_eq(tree_find(SESSION "/messages/001.md"), 0);
	list_past(after);
	ck_assert_mem_eq(before, after, sizeof before);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("fsck");
	int kinds = 0;
	while (damages[kinds].name)
		kinds++;
	tcase_add_checked_fixture(c, checked_setup, tree_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, a_good_store_is_clean);
	tcase_add_test(c, an_older_context_is_no_damage);
	tcase_add_test(c, a_file_outlives_a_tail_of_nothing);
	tcase_add_loop_test(c, a_directory_whose_number_another_has, 0, 9);
	tcase_add_test(c, a_crash_is_no_damage);
	tcase_add_test(c, without_sources_it_says_so);
	tcase_add_test(c, names_and_numbers_come_back);
	tcase_add_loop_test(c, every_damage, 0, kinds);
	TCase *past = tcase_create("snapshots");
	int past_kinds = 0;
	while (snapshot_damages[past_kinds].name)
		past_kinds++;
	tcase_add_checked_fixture(past, setup_snapshots, tree_teardown);
	tcase_set_timeout(past, 120);
	tcase_add_test(past, snapshots_are_no_damage);
	tcase_add_loop_test(past, damage_to_snapshots_is_found, 0, past_kinds);
	tcase_add_loop_test(past, a_snapshot_that_lost_its_record_shows_the_same, 0, 4 * PLACES);
	tcase_add_test(past, a_place_of_then_comes_back);
	tcase_add_loop_test(past, each_flip_is_found, 0, 3);
	tcase_add_test(past, a_repair_leaves_snapshots_alone);
	tcase_add_test(past, what_a_mend_takes_away_snapshots_keep);
	int failed = run_case("fsck", c);
	return run_case("fsck", past) == EXIT_SUCCESS ? failed : EXIT_FAILURE;
}
