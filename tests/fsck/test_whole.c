/*
 * test_whole.c: what was lost whole, a directory, a session, a workflow, a user, users/, or a block of the database,
 * comes back from the newest good backup as it was: names, numbers, bytes, rights, times, attributes, titles and ids.
 */
#include "fs/core/snapshot.h"
#include "tests/fsck/checked.h"
#include "tests/fsck/damage.h"
#include "tests/suite.h"

#include <stdio.h>
#include <time.h>

#define BLOCKS 200 /* more than the store has */

/* ---- a tree as text --------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static char *said; /* by the last repair */

static uint64_t sum_of(uint64_t ino)
{
	bool readable;
	uint64_t sum = checked_sum(ino, &readable);
	return readable ? sum : 1;
}

/* The names below @dir with all that a repair may not change; session.json is made anew, and told by its fields. */
static void add_tree(struct buf *text, uint64_t dir, const char *path)
{
	struct checked_names *names = checked_list(dir);
	qsort(names->of, names->n, sizeof names->of[0], by_name);
	for (unsigned i = 0; i < names->n; i++) {
		struct core_entry e;
		struct stat st;
		char at[512];
		if (strcmp(names->of[i].name, ".lost+found") == 0)
			continue;
		snprintf(at, sizeof at, "%s/%s", path, names->of[i].name);
		int r = session_lookup(sessions, &who, dir, names->of[i].name, &e);
		ck_assert_msg(r == 0, "%s: %s\n%s", at, strerror(-r), said ? said : "");
		core_forget(store.core, e.ino, 1);
		ck_assert_int_eq(core_getattr(store.core, e.ino, &st, NULL), 0);
		if (strcmp(names->of[i].name, "session.json") == 0)
			continue;
		buf_printf(text, "%s %llu %o %u:%u", at, (unsigned long long)st.st_ino, st.st_mode, st.st_uid,
			st.st_gid);
		if (S_ISREG(st.st_mode))
			buf_printf(text, " %lu %lld %llx %lld.%ld", (unsigned long)st.st_nlink, (long long)st.st_size,
				(unsigned long long)sum_of(e.ino), (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		buf_printf(text, "\n");
		if (S_ISDIR(st.st_mode))
			add_tree(text, e.ino, at);
	}
	free(names);
}

static char *tree_text(void)
{
	_cleanup_buf_ struct buf text = {0}, value = {0};
	uint64_t one = tree_find(SESSION "/d/one");
	add_tree(&text, CORE_ROOT_INO, "");
	static const char *const fields[] = {"session_id", "title", "message_count", "created_at"};
	for (unsigned i = 0; tree_find(JSON) && i < 4; i++)
		buf_printf(&text, "%s %s\n", fields[i], tree_field(fields[i]));
	for (unsigned i = 0; one && i < 2; i++)
		buf_printf(&text, "attribute %d\n",
			core_getxattr(store.core, one, i ? "user.z" : "user.x", &value) == 0);
	buf_printf(&text, "policy %d\n", tree_find(SESSION) &&
		core_getxattr(store.core, tree_find(SESSION), "user.scribefs.keep", &value) == 0);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	return strdup((const char *)text.data);
}

static void setup(void)
{
	checked_setup();
	ck_assert_int_eq(core_setattr(store.core, &who, tree_find(SESSION "/d/e"),
	                         &(struct stat){.st_mode = S_IFDIR | 0751}, CORE_SET_MODE, &(struct stat){0}), 0);
	ck_assert_int_eq(core_setxattr(store.core, &who, tree_find(SESSION), "user.scribefs.keep", "7", 1, 0), 0);
}

static void use_and_look(void)
{
	ck_assert_uint_eq(tree_next("the seventh\n"), 7);
	tree_write(SESSION "/d/new", "new\n");
	ck_assert_int_eq(tree_mkdir("u/w/fresh"), 0);
	core_settle(store.core);
	checked_close();
	ck_assert_msg(checked_look() == 0, "after use\n%s", checked_heard());
	checked_open();
}

/* Damages, repairs with these sources, and expects the tree that was. */
static int lose_and_repair(const char *kind, unsigned nth, const struct check_source *sources, size_t n)
{
	char *before = tree_text(), *after;
	checked_close();
	int r = checked_damage(kind, nth);
	if (r < 0) {
		free(before);
		checked_open();
		return r;
	}
	ck_assert_msg(checked_look() > 0, "%s %u: not found", kind, nth);
	uint64_t left = checked_repair_with(sources, n);
	free(said);
	said = strdup(checked_heard());
	ck_assert_msg(left == 0, "%s %u: %u left\n%s", kind, nth, (unsigned)left, said);
	ck_assert_msg(checked_look() == 0, "%s %u: after\n%s\n%s", kind, nth, checked_heard(), said);
	checked_open();
	after = tree_text();
	ck_assert_msg(strcmp(before, after) == 0, "%s %u\n%s\nbefore\n%s\nafter\n%s", kind, nth, said, before, after);
	use_and_look();
	free(before);
	free(after);
	return 0;
}

/* ---- what comes back ---------------------------------------------------------------------------- */

START_TEST(comes_back_whole)
{
	const struct damage *d = &whole_damages[_i];
	if (!strcmp(d->name, "block-gone"))
		return;
	for (unsigned nth = 0; nth < 3; nth++) {
		struct kv *kv = checked_copy("b1");
		const struct check_source sources[] = {checked_source("one", 1000, kv)};
		int r = lose_and_repair(d->name, nth, sources, 1);
		ck_assert(r == 0 || (r == -ENOENT && nth));
		kv_close(kv);
		tree_teardown();
		setup();
	}
}
END_TEST

/* Also where a snapshot has seen some of it. */
START_TEST(any_block_comes_back)
{
	for (unsigned nth = (unsigned)_i % 4; nth < BLOCKS; nth += 4) {
		if (_i >= 4) {
			ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "first", 0, NULL), 0);
			tree_write(SESSION "/notes.txt", "newer notes\n");
			tree_write(SESSION "/messages/002.md", "edited\n");
			ck_assert_int_eq(tree_unlink(SESSION "/messages/003.md"), 0);
			ck_assert_int_eq(tree_mkdir("u/w/later"), 0);
		}
		struct kv *kv = checked_copy("b1");
		const struct check_source sources[] = {checked_source("one", time(NULL) + 1, kv)};
		int r = lose_and_repair("block-gone", nth, sources, 1);
		if (r == 0 && _i >= 4) {
			ck_assert_int_eq(snapshot_drop(store.core, 1), 0);
			core_settle(store.core);
			checked_close();
			ck_assert_msg(checked_look() == 0, "%u: without the snapshot\n%s", nth, checked_heard());
			checked_open();
		}
		kv_close(kv);
		tree_teardown();
		setup();
		if (r == -ENOENT)
			return;
		ck_assert_int_eq(r, 0);
	}
	ck_abort_msg("the store has more blocks");
}
END_TEST

/* ---- from which copy, and what does not -------------------------------------------------------- */

START_TEST(none_is_told_with_every_reason)
{
	struct kv *kv = checked_copy("b1");
	ck_assert_int_eq(damage_find("session-gone")->apply(kv, 0), 0);
	const struct check_source sources[] = {checked_source("lost", 3000, NULL), checked_source("bad", 1000, kv)};
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "first", 0, NULL), 0);
	checked_close();
	checked_damage("session-gone", 0);
	ck_assert_msg(checked_repair_with(sources, 2) == 0, "%s", checked_heard());
	checked_expect_heard("users/u/w/s backup lost: it cannot be opened\n");
	checked_expect_heard("users/u/w/s backup bad: it is not there\n");
	checked_expect_heard("mended: users/u/w/s [entry]: all that it led to is gone; "
	                     "no snapshot or backup holds it\n");
	ck_assert_uint_eq(checked_look(), 0);
	checked_open();
	ck_assert_uint_eq(tree_find(SESSION), 0);
	const char *list = tree_read("u/.lost+found/damaged.txt");
	ck_assert_ptr_nonnull(strstr(list, "users/u/w/s\tall that it led to is gone; backup lost of "));
	ck_assert_ptr_nonnull(strstr(list, "; no snapshot or backup holds it\n"));
	kv_close(kv);
}
END_TEST

/* Each piece from the newest copy that has it: the newer backup has lost messages, the older one has not. */
START_TEST(pieces_come_from_the_newest_that_has_them)
{
	struct kv *older = checked_copy("b1"), *newer;
	tree_write(SESSION "/notes.txt", "newer notes\n");
	newer = checked_copy("b2");
	const struct check_source sources[] = {checked_source("older", 1000, older),
		checked_source("newer", 2000, newer)};
	ck_assert_int_eq(damage_find("inode-drop")->apply(newer, 0), 0);
	char *before = tree_text(), *after;
	checked_close();
	checked_damage("session-and-name-gone", 0);
	ck_assert_msg(checked_repair_with(sources, 2) == 0, "%s", checked_heard());
	checked_expect_heard("users/u/w/s/messages/001.md backup newer: it is not there\n");
	checked_expect_heard("users/u/w/s/messages/001.md backup older: taken\n");
	checked_expect_heard("users/u/w/s/notes.txt backup newer: taken\n");
	ck_assert_uint_eq(checked_look(), 0);
	checked_open();
	after = tree_text();
	ck_assert_msg(strcmp(before, after) == 0, "before\n%s\nafter\n%s", before, after);
	free(before);
	free(after);
	kv_close(older);
	kv_close(newer);
}
END_TEST

/* What was removed or moved since the backup was not lost, as far as the directory's sum or a snapshot tells. */
START_TEST(what_was_removed_stays_away)
{
	char *before, *after;
	ck_assert_int_eq(tree_mkdir("u/w/gone"), 0);
	ck_assert_int_eq(tree_mkdir("u/w/moved"), 0);
	ck_assert_int_eq(tree_mkdir("u/other"), 0);
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	if (_i)
		ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "first", 0, NULL), 0);
	ck_assert_int_eq(tree_unlink("u/w/gone/session.json"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/gone/messages"), 0);
	ck_assert_int_eq(tree_rmdir("u/w/gone"), 0);
	ck_assert_int_eq(tree_rename("u/w/moved", "u/other/moved"), 0);
	core_settle(store.core);
	before = tree_text();
	checked_close();
	checked_damage(_i ? "workflow-gone" : "session-and-name-gone", 0);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	ck_assert_uint_eq(checked_look(), 0);
	checked_open();
	ck_assert_uint_eq(tree_find("u/w/gone"), 0);
	ck_assert_uint_eq(tree_find("u/w/moved"), 0);
	after = tree_text();
	ck_assert_msg(strcmp(before, after) == 0, "before\n%s\nafter\n%s", before, after);
	free(before);
	free(after);
	kv_close(kv);
}
END_TEST

/* A snapshot has what was changed since it was taken, names too, where no backup has anything. */
START_TEST(a_snapshot_gives_what_it_alone_has)
{
	ck_assert_int_eq(snapshot_take(store.core, &who, tree_find("u"), "first", 0, NULL), 0);
	ck_assert_int_eq(tree_unlink(SESSION "/notes.txt"), 0);
	checked_close();
	checked_damage("session-gone", 0);
	ck_assert_msg(checked_repair_with(NULL, 0) == 0, "%s", checked_heard());
	checked_expect_heard("users/u/w/s snapshot first: taken\n");
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	ck_assert_str_eq(tree_read(SESSION "/notes.txt"), "notes of the user\n");
	ck_assert_int_eq(snapshot_drop(store.core, 1), 0);
	core_settle(store.core);
	checked_close();
	ck_assert_uint_eq(checked_look(), 0);
	checked_open();
}
END_TEST

/* Its process dies at each thing that is told, in turn; the repair after all that ends as if there had been none. */
START_TEST(an_interrupted_repair_is_run_again)
{
	char *before = tree_text(), *after;
	struct kv *kv = checked_copy("b1");
	const struct check_source sources[] = {checked_source("one", 1000, kv)};
	unsigned died = 0;
	checked_close();
	checked_damage(_i ? "user-and-name-gone" : "session-gone", 0);
	for (unsigned at = 1; at < 80; at += 3)
		died += checked_repair_dies(sources, 1, at);
	ck_assert_uint_gt(died, 3);
	ck_assert_msg(checked_repair_with(sources, 1) == 0, "%s", checked_heard());
	ck_assert_msg(checked_look() == 0, "%s", checked_heard());
	checked_open();
	after = tree_text();
	ck_assert_msg(strcmp(before, after) == 0, "before\n%s\nafter\n%s", before, after);
	free(before);
	free(after);
	kv_close(kv);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("whole");
	int kinds = 0;
	while (whole_damages[kinds].name)
		kinds++;
	tcase_add_checked_fixture(c, setup, tree_teardown);
	tcase_set_timeout(c, 300);
	tcase_add_loop_test(c, comes_back_whole, 0, kinds);
	tcase_add_loop_test(c, any_block_comes_back, 0, 8);
	tcase_add_test(c, none_is_told_with_every_reason);
	tcase_add_test(c, pieces_come_from_the_newest_that_has_them);
	tcase_add_loop_test(c, what_was_removed_stays_away, 0, 2);
	tcase_add_test(c, a_snapshot_gives_what_it_alone_has);
	tcase_add_loop_test(c, an_interrupted_repair_is_run_again, 0, 2);
	return run_case("whole", c);
}
