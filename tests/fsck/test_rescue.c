/*
 * test_rescue.c: what is lost comes back from snapshots of the store and from backups, the newest that is good; each
 * try is told with its reason; what is older than what was lost is told, and what could be read of it is kept.
 */
#include "fs/core/key.h"
#include "fs/core/snapshot.h"
#include "tests/fsck/checked.h"
#include "tests/fsck/damage.h"
#include "tests/suite.h"

#include <stdio.h>

#define BIG SESSION "/big"
#define NOTES SESSION "/notes.txt"

static void damage(const char *name, unsigned nth)
{
	ck_assert_int_eq(checked_damage(name, nth), 0);
}

/* The first chunk of this file. */
static void damage_of(uint64_t ino)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf sealed = {0};
	size_t len = 0;
	const uint8_t *key = NULL;
	checked_open_kv(false, false);
	ck_assert_int_eq(kv_iter_open(store.kv, NULL, NULL, KV_DATA, NULL, 0, &it), 0);
	int r = kv_iter_seek(it, NULL, 0);
	while (r > 0) {
		key = kv_iter_key(it, &len);
		if (key[8] == KEY_CHUNK && get_be32(key + 10) == ino)
			break;
		r = kv_iter_next(it);
	}
	ck_assert_int_eq(r, 1);
	ck_assert_int_eq(kv_memory_peek(store.memory, KV_DATA, key, len, &sealed), 0);
	sealed.data[sealed.len / 2] ^= 1;
	ck_assert_int_eq(kv_memory_poke(store.memory, KV_DATA, key, len, sealed.data, sealed.len), 0);
	kv_iter_free(it);
	it = NULL;
	ck_assert_int_eq(kv_close(store.kv), 0);
}

static void expect_clean(void)
{
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
}

static uint64_t sum_of(const char *path)
{
	bool readable;
	uint64_t sum = checked_sum(tree_find(path), &readable);
	ck_assert_msg(readable, "%s cannot be read", path);
	return sum;
}

static void overwrite(const char *path, off_t at, const char *text)
{
	struct file *f;
	ck_assert_int_eq(core_file_open(store.core, &who, tree_find(path), O_RDWR, &f), 0);
	ck_assert_int_eq(core_write(store.core, f, text, strlen(text), at, false), (ssize_t)strlen(text));
	ck_assert_int_eq(session_flush(sessions, f), 0);
	ck_assert_int_eq(session_release(sessions, f), 0);
}

static struct stat stat_of(const char *path)
{
	struct stat st;
	ck_assert_int_eq(core_getattr(store.core, tree_find(path), &st, NULL), 0);
	return st;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* The file has not changed since the backup: it is as it was, attributes and all. */
START_TEST(an_unchanged_file_gets_just_what_it_lost)
{
	static const char *const kinds[] = {"chunk-drop", "chunk-flip", "page-drop", "page-flip", "swap-chunks"};
	uint64_t big = sum_of(BIG), sparse = sum_of(SESSION "/sparse");
	struct stat before = stat_of(BIG), after;
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	checked_close();
	damage(kinds[_i], 0);
	ck_assert_uint_gt(checked_look(), 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("just that was taken from a backup");
	checked_expect_heard("backup one: taken");
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), big);
	ck_assert_uint_eq(sum_of(SESSION "/sparse"), sparse);
	after = stat_of(BIG);
	ck_assert_int_eq(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_uint_eq(after.st_nlink, 2);
	kv_close(kv);
}
END_TEST

/* It has: it becomes what it was, and what could be read of it is in .lost+found/, holes where nothing could. */
START_TEST(a_changed_file_becomes_older_and_its_rest_is_kept)
{
	uint64_t old = sum_of(BIG);
	struct stat was = stat_of(BIG), now, rest;
	uint64_t ino = tree_find(BIG);
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	char remnant[64];
	overwrite(BIG, 100000, "other bytes");
	overwrite(BIG, 250000, "and more");
	checked_close();
	damage("chunk-drop", 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("taken from backup one of 1970-01-01T00:16:40Z");
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), old);
	ck_assert_uint_eq(sum_of(SESSION "/d/big too"), old);
	now = stat_of(BIG);
	ck_assert_int_eq(now.st_mtim.tv_sec, was.st_mtim.tv_sec);
	ck_assert_int_eq(now.st_mtim.tv_nsec, was.st_mtim.tv_nsec);
	ck_assert_uint_eq(now.st_size, 200000);
	snprintf(remnant, sizeof remnant, SESSION "/.lost+found/#%llu", (unsigned long long)ino);
	rest = stat_of(remnant);
	ck_assert_uint_eq(rest.st_size, 250008);
	ck_assert_uint_eq(rest.st_mode & 0777, was.st_mode & 0777);
	sum_of(remnant);
	const char *text = tree_read(remnant);
	ck_assert_mem_eq(text, "\0\0\0\0\0\0\0\0\0", 9); /* the chunk that was lost */
	ck_assert_mem_eq(text + 250000, "and more", 8);
	ck_assert_ptr_nonnull(strstr(tree_read("u/.lost+found/damaged.txt"), "; taken from backup one of "));
	checked_close();
	/* What it had before is deleted in the background, and nothing of it stays. */
	expect_clean();
	checked_open();
	core_settle(store.core);
	checked_close();
	expect_clean();
	checked_open();
	kv_close(kv);
}
END_TEST

/* Where nothing can be read of it there is nothing to keep. */
START_TEST(a_file_without_any_good_part_leaves_no_rest)
{
	checked_write_big(SESSION "/one chunk", 20000, 0);
	uint64_t old = sum_of(SESSION "/one chunk");
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	overwrite(SESSION "/one chunk", 0, "newer");
	ck_assert_int_eq(tree_unlink(BIG), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/d/big too"), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/sparse"), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/grown"), 0);
	core_settle(store.core);
	checked_close();
	damage("chunk-flip", 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(SESSION "/one chunk"), old);
	ck_assert_uint_eq(tree_find(SESSION "/.lost+found"), 0);
	kv_close(kv);
}
END_TEST

START_TEST(the_older_of_two_backups_where_the_newer_is_damaged_too)
{
	uint64_t big = sum_of(BIG);
	struct kv *older = checked_copy("b1"), *newer = checked_copy("b2");
	const struct check_source sources[] = {checked_source("other", 500, NULL), checked_source("older", 1000, older),
	        checked_source("newer", 2000, newer)};
	ck_assert_int_eq(damage_find("chunk-flip")->apply(newer, 0), 0);
	checked_close();
	damage("chunk-drop", 0);
	ck_assert_msg(checked_repair_with(sources, 3) == 0, "%s", checked_heard());
	const char *first = strstr(checked_heard(), "backup newer: it is damaged there too"),
	           *then = strstr(checked_heard(), "backup older: taken");
	ck_assert_msg(first && then && first < then, "%s", checked_heard());
	ck_assert_ptr_null(strstr(checked_heard(), "other"));
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), big);
	kv_close(older);
	kv_close(newer);
}
END_TEST

START_TEST(none_is_told_with_every_reason)
{
	struct kv *empty = checked_copy("b1");
	ck_assert_int_eq(damage_find("chunk-flip")->apply(empty, 0), 0);
	const struct check_source sources[] = {checked_source("lost", 3000, NULL), checked_source("bad", 1000, empty)};
	checked_close();
	damage("chunk-drop", 0);
	ck_assert_uint_eq(checked_repair_with(sources, 2), 1);
	checked_expect_heard("backup lost: it cannot be opened");
	checked_expect_heard("backup bad: it is damaged there too");
	checked_expect_heard("left: users/u/w/s/d/big too [data]: 1 chunks of it cannot be read, the first at byte 0; "
	             "no snapshot or backup holds it");
	checked_open();
	const char *list = tree_read("u/.lost+found/damaged.txt");
	ck_assert_ptr_nonnull(strstr(list, "; backup lost of 1970-01-01T00:50:00Z: it cannot be opened; backup bad "));
	ck_assert_ptr_nonnull(strstr(list, ": it is damaged there too; no snapshot or backup holds it\n"));
	kv_close(empty);
}
END_TEST

/* ---- snapshots ------------------------------------------------------------------------------- */

START_TEST(a_snapshot_has_the_version_before)
{
	uint64_t old = sum_of(BIG);
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(SESSION), "first", 0, NULL), 0);
	overwrite(BIG, 0, "other bytes");
	checked_close();
	damage("chunk-flip", 1); /* the new one of two chunks of one place */
	ck_assert_msg(checked_repair() == 0, "%s", checked_heard());
	checked_expect_heard("snapshot first: taken");
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), old);
	ck_assert_int_eq(snapshot_drop(store.core, 1), 0);
	core_settle(store.core);
	checked_close();
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), old);
}
END_TEST

/* The file was inline then; and empty in a later one, as where a snapshot is taken while it is being written. */
START_TEST(a_small_version_is_taken_and_an_empty_one_is_not)
{
	const char *path = SESSION "/grown";
	tree_write(path, "small\n");
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(SESSION), "small", 0, NULL), 0);
	tree_write(path, "");
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(SESSION), "empty", 0, NULL), 0);
	overwrite(path, 0, "big now");
	overwrite(path, 90000, "big now");
	ck_assert_int_eq(tree_unlink(BIG), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/d/big too"), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/sparse"), 0);
	uint64_t ino = tree_find(path);
	checked_close();
	damage_of(ino);
	ck_assert_msg(checked_repair() == 0, "%s", checked_heard());
	checked_expect_heard("snapshot empty: it was empty then");
	checked_expect_heard("snapshot small: taken");
	expect_clean();
	checked_open();
	ck_assert_str_eq(tree_read(path), "small\n");
	overwrite(path, 50000, "big again");
	ck_assert_uint_eq(stat_of(path).st_size, 50009);
	checked_close();
	expect_clean();
	checked_open();
}
END_TEST

/* It has the same chunk as the present, so it is lost in both; what an older one has is not. */
START_TEST(a_snapshot_that_shares_the_damage_is_none)
{
	uint64_t old = sum_of(BIG);
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(SESSION), "first", 0, NULL), 0);
	overwrite(BIG, 0, "other bytes");
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "second", 0, NULL), 0);
	checked_close();
	damage("chunk-flip", 1);
	ck_assert_uint_eq(checked_repair(), 1); /* what the second one sees is lost for good */
	checked_expect_heard("snapshot second: it shares what is damaged");
	checked_expect_heard("snapshot first: taken");
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), old);
	ck_assert_int_eq(snapshot_drop(store.core, 2), 0);
	core_settle(store.core);
	checked_close();
	expect_clean();
	checked_open();
}
END_TEST

START_TEST(snapshots_and_backups_by_time)
{
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("long ago", 1000, kv)};
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "later", 0, NULL), 0);
	tree_write(NOTES, "the newest notes\n");
	checked_close();
	damage("inode-flip-file", 1);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("users/u/w/s/notes.txt snapshot later: taken");
	ck_assert_ptr_null(strstr(checked_heard(), "long ago"));
	expect_clean();
	checked_open();
	ck_assert_str_eq(tree_read(NOTES), "notes of the user\n");
}
END_TEST

/* What only a snapshot sees comes from a backup that has just that version, as its present or in its own past. */
START_TEST(data_of_the_past_comes_back)
{
	static struct stat st;
	struct snapshot_info first;
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find(SESSION), "first", 0, &first), 0);
	struct kv *present = checked_copy("b1");
	overwrite(BIG, 0, "other bytes");
	struct kv *past = checked_copy("b2");
	const struct check_source sources[] = {checked_source("one", 1000, _i ? past : present)};
	overwrite(BIG, 0, "and others");
	checked_close();
	damage("chunk-flip", 0); /* the older one of two chunks of one place */
	ck_assert_uint_eq(checked_repair(), 1);
	checked_expect_heard("[history]");
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("backup one: taken");
	expect_clean();
	checked_open();
	uint64_t big = tree_find(BIG) | (first.root & ~SNAPSHOT_INO_MASK);
	struct file *f;
	char bytes[9];
	ck_assert_int_eq(core_getattr(store.core, big, &st, NULL), 0);
	ck_assert_int_eq(core_file_open(store.core, &who, big, O_RDONLY, &f), 0);
	ck_assert_int_eq(core_read(store.core, f, bytes, sizeof bytes, 0), 9);
	ck_assert_int_eq(core_file_release(store.core, f), 0);
	kv_close(past);
	kv_close(present);
}
END_TEST

/* ---- inodes, attributes, names, sessions ------------------------------------------------------ */

START_TEST(a_lost_inode_comes_back_whole)
{
	static const char *const kinds[] = {"inode-drop", "inode-flip", "inode-drop-mapped", "xattr-inode-drop"};
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	const char *paths[] = {SESSION "/messages/001.md", BIG, SESSION "/d/one"};
	struct stat before[3], after;
	uint64_t sums[3];
	for (unsigned i = 0; i < 3; i++) {
		before[i] = stat_of(paths[i]);
		sums[i] = sum_of(paths[i]);
	}
	checked_close();
	damage(kinds[_i], 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	checked_expect_heard("backup one: taken");
	expect_clean();
	checked_open();
	for (unsigned i = 0; i < 3; i++) {
		after = stat_of(paths[i]);
		ck_assert_uint_eq(sum_of(paths[i]), sums[i]);
		ck_assert_uint_eq(after.st_ino, before[i].st_ino);
		ck_assert_uint_eq(after.st_mode, before[i].st_mode);
		ck_assert_uint_eq(after.st_nlink, before[i].st_nlink);
		ck_assert_int_eq(after.st_mtim.tv_nsec, before[i].st_mtim.tv_nsec);
	}
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getxattr(store.core, tree_find(SESSION "/d/one"), "user.z", &value), 0);
	tree_expect_field("message_count", "6");
	ck_assert_uint_eq(tree_next("the seventh\n"), 7);
	core_settle(store.core);
	checked_close();
	expect_clean();
	checked_open();
	kv_close(kv);
}
END_TEST

/* A number that is another file's in the backup: that one is not taken. */
START_TEST(another_file_is_not_taken)
{
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	ck_assert_int_eq(damage_find("wrong-generation")->apply(kv, 0), 0);
	checked_close();
	damage("inode-drop", 0);
	checked_repair_with(sources, 1);
	checked_expect_heard("backup one: that is another file");
	expect_clean();
	checked_open();
	ck_assert_uint_eq(tree_find(SESSION "/messages/001.md"), 0);
	kv_close(kv);
}
END_TEST

START_TEST(attributes_names_and_rights_come_back)
{
	ck_assert_int_eq(core_setattr(store.core, &who, tree_find(SESSION "/d/e"),
	                         &(struct stat){.st_mode = S_IFDIR | 0751}, CORE_SET_MODE, &(struct stat){0}), 0);
	uint64_t notes = tree_find(NOTES);
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	checked_close();
	damage("xattr-flip", 0);
	damage("dir-flip", 1);
	damage("entry-drop-file", 0);
	damage("entry-drop-file", 1);
	damage("entry-drop-file", 1);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	expect_clean();
	checked_open();
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getxattr(store.core, tree_find(SESSION "/d/one"), "user.x", &value), 0);
	ck_assert_int_eq(core_getxattr(store.core, tree_find(SESSION "/d/one"), "user.z", &value), 0);
	ck_assert_uint_eq(stat_of(SESSION "/d/e").st_mode & 0777, 0751);
	ck_assert_uint_eq(tree_find(NOTES), notes);
	kv_close(kv);
}
END_TEST

/* Its last rendering says more than an old record; where that is gone as well the record is what there is. */
START_TEST(a_sessions_record_comes_back)
{
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	checked_close();
	damage("session-flip", 0);
	for (unsigned i = 0; i < 16; i++) {
		checked_open_kv(false, false);
		damage_find("ring-drop")->apply(store.kv, 0);
		ck_assert_int_eq(kv_close(store.kv), 0);
	}
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	expect_clean();
	checked_open();
	tree_expect_field("title", "A title");
	tree_expect_field("message_count", "6");
	kv_close(kv);
}
END_TEST

/* ---- interruption ----------------------------------------------------------------------------- */

/* Its process dies at each thing that is told, in turn; the repair after all that ends as if there had been none. */
START_TEST(an_interrupted_rescue_is_run_again)
{
	uint64_t old = sum_of(BIG), message = sum_of(SESSION "/messages/001.md");
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	unsigned died = 0;
	overwrite(BIG, 100000, "other bytes");
	checked_close();
	damage("chunk-drop", 0);
	damage("inode-drop", 0);
	for (unsigned at = 1; at < 20; at++)
		died += checked_repair_dies(sources, 1, at);
	ck_assert_uint_gt(died, 3);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	expect_clean();
	checked_open();
	ck_assert_uint_eq(sum_of(BIG), old);
	ck_assert_uint_eq(sum_of(SESSION "/messages/001.md"), message);
	kv_close(kv);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("rescue");
	tcase_add_checked_fixture(c, checked_setup, tree_teardown);
	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, an_unchanged_file_gets_just_what_it_lost, 0, 5);
	tcase_add_test(c, a_changed_file_becomes_older_and_its_rest_is_kept);
	tcase_add_test(c, a_file_without_any_good_part_leaves_no_rest);
	tcase_add_test(c, the_older_of_two_backups_where_the_newer_is_damaged_too);
	tcase_add_test(c, none_is_told_with_every_reason);
	tcase_add_test(c, a_snapshot_has_the_version_before);
	tcase_add_test(c, a_small_version_is_taken_and_an_empty_one_is_not);
	tcase_add_test(c, a_snapshot_that_shares_the_damage_is_none);
	tcase_add_test(c, snapshots_and_backups_by_time);
	tcase_add_loop_test(c, data_of_the_past_comes_back, 0, 2);
	tcase_add_loop_test(c, a_lost_inode_comes_back_whole, 0, 4);
	tcase_add_test(c, another_file_is_not_taken);
	tcase_add_test(c, attributes_names_and_rights_come_back);
	tcase_add_test(c, a_sessions_record_comes_back);
	tcase_add_test(c, an_interrupted_rescue_is_run_again);
	return run_case("rescue", c);
}
