/*
 * test_snapshot.c: what a snapshot shows and refuses, what it costs, where containers move and go, one instant
 * for all writers, what comes back, and the bytes of its records.
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

static struct snapshot_info take(uint64_t place, const char *name)
{
	struct snapshot_info info;

	ck_assert_int_eq(snapshot_take(s.core, &s.who, place, name, 0, &info), 0);
	ck_assert_str_eq(info.name, name);
	ck_assert_uint_eq(info.place, place);
	return info;
}

static void drop(const struct snapshot_info *info)
{
	ck_assert_int_eq(snapshot_drop(s.core, info->id), 0);
	core_settle(s.core);
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

static void rewrite(uint64_t ino, const char *text, off_t at)
{
	struct file *f;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY, &f), 0);
	ck_assert_int_eq(core_write(s.core, f, text, strlen(text), at, false), (ssize_t)strlen(text));
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
}

START_TEST(names)
{
	struct snapshot_info a = take(session, "a"), b = take(session, "b"), found;
	uint64_t plain = store_make(&s, session, "plain", S_IFDIR | 0755);
	struct timespec before = {a.taken.tv_sec - 1, 0}, after = {b.taken.tv_sec + 1, 0};

	ck_assert_uint_eq(b.id, a.id + 1);
	ck_assert_uint_ne(a.root, b.root);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, session, "a", 0, NULL), -EEXIST);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, session, ".", 0, NULL), -EEXIST);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, session, "a/b", 0, NULL), -EINVAL);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, plain, "x", 0, NULL), -EINVAL);
	ck_assert_int_eq(snapshot_take(s.core, &s.who, a.root, "x", 0, NULL), -EINVAL);
	ck_assert_int_eq(snapshot_rename(s.core, a.id, "b"), -EEXIST);
	ck_assert_int_eq(snapshot_rename(s.core, a.id, "c"), 0);
	ck_assert_int_eq(snapshot_find(s.core, session, "a", &found), -ENOENT);
	store_reopen(&s);
	ck_assert_int_eq(snapshot_find(s.core, session, "c", &found), 0);
	ck_assert_uint_eq(found.id, a.id);
	ck_assert_uint_eq(found.root, a.root);
	ck_assert_uint_eq(found.uid, 1000);
	ck_assert(found.taken.tv_sec == a.taken.tv_sec && found.taken.tv_nsec == a.taken.tv_nsec);
	ck_assert_int_eq(snapshot_at(s.core, session, &before, &found), -ENOENT);
	ck_assert_int_eq(snapshot_at(s.core, session, &a.taken, &found), 0);
	ck_assert_uint_eq(found.id, a.id);
	ck_assert_int_eq(snapshot_at(s.core, session, &after, &found), 0);
	ck_assert_uint_eq(found.id, b.id);
	ck_assert_int_eq(snapshot_find(s.core, workflow, "c", &found), -ENOENT);
	ck_assert_int_eq(snapshot_drop(s.core, 77), -ENOENT);
	ck_assert_uint_eq(snapshot_count(s.core, session), 2);
	ck_assert_uint_eq(snapshot_count(s.core, 0), 2);
	drop(&a);
	drop(&b);
	/* Neither ids nor slots come again so soon. */
	found = take(session, "c");
	ck_assert_uint_eq(found.id, b.id + 1);
	ck_assert_uint_gt(found.root, b.root);
	store_reopen(&s);
	drop(&found);
}
END_TEST

/* .snapshots/ as core shows it. */
START_TEST(directory)
{
	uint64_t dir = snapshot_dir_ino(session);
	struct core_entry e;
	struct stat st;
	struct snapshot_info a = take(session, "a");

	store_chmod(&s, session, 0711);
	store_stat(&s, dir, &st);
	ck_assert_uint_eq(st.st_ino, dir);
	ck_assert_uint_eq(st.st_mode, S_IFDIR | 0711);
	ck_assert_uint_eq(st.st_nlink, 3);
	ck_assert_int_eq(st.st_mtim.tv_sec, a.taken.tv_sec);
	ck_assert_int_eq(core_lookup(s.core, dir, "a", &e), 0);
	ck_assert_uint_eq(e.ino, a.root);
	ck_assert_uint_eq(e.st.st_mode, S_IFDIR | 0755); /* of that moment */
	ck_assert_int_eq(e.st.st_mtim.tv_nsec, a.taken.tv_nsec);
	core_forget(s.core, e.ino, 1);
	ck_assert_int_eq(core_lookup(s.core, a.root, "..", &e), 0);
	ck_assert_uint_eq(e.ino, dir);
	core_forget(s.core, e.ino, 1);
	ck_assert_int_eq(core_lookup(s.core, dir, "..", &e), 0);
	ck_assert_uint_eq(e.ino, session);
	core_forget(s.core, e.ino, 1);
	ck_assert_int_eq(core_lookup(s.core, dir, "b", &e), -ENOENT);
	ck_assert_int_eq(core_getattr(s.core, snapshot_dir_ino(store_make(&s, session, "d",
					 S_IFDIR | 0755)), &st, NULL), -ENOENT);
	drop(&a);
	ck_assert_int_eq(core_lookup(s.core, dir, "a", &e), -ENOENT);
}
END_TEST

START_TEST(nothing_in_it_changes)
{
	uint64_t f = store_file(&s, session, "f", "text"), past;
	struct snapshot_info a = take(session, "a");
	struct core_make make = {.mode = S_IFREG | 0644};
	struct core_entry e;
	struct stat st = {.st_mode = 0600};
	struct file *file;
	char text[8];

	ck_assert_int_eq(core_unlink(s.core, &s.who, session, "f", NULL), 0);
	past = store_find(&s, a.root, "f");
	ck_assert_uint_eq(snapshot_present_ino(past), f);
	store_expect(&s, past, "text");
	ck_assert_int_eq(core_make(s.core, &s.who, a.root, "x", &make, NULL, &e), -EROFS);
	ck_assert_int_eq(core_link(s.core, &s.who, past, session, "x", NULL, &e), -EROFS);
	ck_assert_int_eq(core_unlink(s.core, &s.who, a.root, "f", NULL), -EROFS);
	ck_assert_int_eq(core_rename(s.core, &s.who, a.root, "f", session, "f", 0, NULL), -EROFS);
	ck_assert_int_eq(core_setattr(s.core, &s.who, past, &st, CORE_SET_MODE, &st), -EROFS);
	ck_assert_int_eq(core_setattr(s.core, &s.who, past, &st, CORE_SET_SIZE, &st), -EROFS);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, past, "user.a", "b", 1, 0), -EROFS);
	ck_assert_int_eq(core_file_open(s.core, &s.who, past, O_RDWR, &file), -EROFS);
	ck_assert_int_eq(core_file_open(s.core, &s.who, past, O_RDONLY | O_TRUNC, &file), -EROFS);
	store_expect(&s, past, "text");
	ck_assert_int_eq(core_file_open(s.core, &s.who, past, O_RDONLY, &file), 0);
	drop(&a);
	ck_assert_int_eq(core_read(s.core, file, text, 4, 0), -ESTALE);
	ck_assert_int_eq(core_file_release(s.core, file), 0);
	ck_assert_int_eq(core_getattr(s.core, past, &st, NULL), -ESTALE);
	ck_assert_int_eq(core_lookup(s.core, a.root, "f", &e), -ESTALE);
}
END_TEST

/* What write(2) returned for is in it, what has no name any more is not. */
START_TEST(buffers_and_orphans)
{
	static char big[100000];
	uint64_t small = store_make(&s, session, "small", S_IFREG | 0644);
	uint64_t large = store_make(&s, session, "large", S_IFREG | 0644);
	uint64_t gone = store_file(&s, session, "gone", "gone");
	struct file *a, *b, *c;
	struct snapshot_info snap;

	memset(big, 'x', sizeof big);
	ck_assert_int_eq(core_file_open(s.core, &s.who, small, O_WRONLY, &a), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, large, O_WRONLY, &b), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, gone, O_WRONLY, &c), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, session, "gone", NULL), 0);
	ck_assert_int_eq(core_write(s.core, a, "buffered", 8, 0, false), 8);
	ck_assert_int_eq(core_write(s.core, b, big, sizeof big, 0, false), sizeof big);
	ck_assert_int_eq(core_write(s.core, c, big, sizeof big, 0, false), sizeof big);
	snap = take(workflow, "now");
	ck_assert_int_eq(core_write(s.core, a, "later...", 8, 0, false), 8);
	ck_assert_int_eq(core_write(s.core, b, "later", 5, 50000, false), 5);
	core_file_release(s.core, a);
	core_file_release(s.core, b);
	core_file_release(s.core, c);
	store_crash(&s, false);
	uint64_t past = store_find(&s, snap.root, "session");
	store_expect(&s, store_find(&s, past, "small"), "buffered");
	ck_assert_uint_eq(store_find(&s, past, "gone"), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, store_find(&s, past, "large"), O_RDONLY, &b), 0);
	static char got[sizeof big];
	ck_assert_int_eq(core_read(s.core, b, got, sizeof got, 0), sizeof got);
	ck_assert_mem_eq(got, big, sizeof big);
	core_file_release(s.core, b);
	store_expect(&s, store_find(&s, session, "small"), "later...");
	drop(&snap);
	ck_assert_uint_eq(history(), 0);
	tree_check(&s);
}
END_TEST

/* One put more, once; none for those whom no snapshot covers. */
START_TEST(costs)
{
	uint64_t other = level_make(&s, workflow, "other");
	uint64_t f = store_file(&s, session, "f", "text"), g = store_file(&s, other, "g", "text");
	struct snapshot_info snaps[200];

	rewrite(f, "new", 0);
	ck_assert_uint_eq(history(), 0);
	for (int i = 0; i < 200; i++) {
		char name[16];
		snprintf(name, sizeof name, "%d", i);
		snaps[i] = take(other, name);
	}
	rewrite(f, "new", 0);
	store_file(&s, session, "new", "new");
	ck_assert_uint_eq(history(), 0);
	for (int i = 0; i < 10; i++)
		rewrite(g, "new", 0);
	ck_assert_uint_eq(history(), 1);
	store_file(&s, other, "new", "new"); /* the directory's inode */
	store_file(&s, other, "more", "new");
	ck_assert_uint_eq(history(), 2);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, g, "user.a", "1", 1, 0), 0);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, g, "user.a", "2", 1, 0), 0);
	ck_assert_uint_eq(history(), 3); /* that there was none */
	ck_assert_uint_eq(level_held(&s, other, snaps[0].id), 0); /* the others hold the same */
	for (int i = 0; i < 199; i++)
		ck_assert_int_eq(snapshot_drop(s.core, snaps[i].id), 0);
	core_settle(s.core);
	ck_assert_uint_eq(history(), 3);
	ck_assert_uint_gt(level_held(&s, other, snaps[199].id), 300);
	store_expect(&s, store_find(&s, snaps[199].root, "g"), "text");
	drop(&snaps[199]);
	ck_assert_uint_eq(history(), 0);
	rewrite(g, "newer", 0);
	ck_assert_uint_eq(history(), 0);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
}
END_TEST

/* A session that moves is whole in the snapshots of where it was, and in none of where it came to before. */
START_TEST(moves)
{
	uint64_t to = level_make(&s, user, "to"), f = store_file(&s, session, "f", "one");
	struct snapshot_info here = take(workflow, "here"), there = take(to, "there"), both, later;

	ck_assert_int_eq(core_rename(s.core, &s.who, workflow, "session", to, "moved", 0, NULL), 0);
	rewrite(f, "two", 0);
	ck_assert_uint_eq(store_find(&s, there.root, "moved"), 0);
	store_expect(&s, store_find(&s, store_find(&s, here.root, "session"), "f"), "one");
	both = take(user, "both");
	later = take(to, "later");
	if (_i)
		store_reopen(&s);
	rewrite(f, "six", 0);
	store_expect(&s, store_find(&s, store_find(&s, here.root, "session"), "f"), "one");
	store_expect(&s, store_find(&s, store_find(&s, later.root, "moved"), "f"), "two");
	uint64_t in_both = store_find(&s, store_find(&s, both.root, "to"), "moved");
	store_expect(&s, store_find(&s, in_both, "f"), "two");
	drop(&there);
	drop(&later);
	store_expect(&s, store_find(&s, in_both, "f"), "two");
	/* Its first workflow goes, and with it nothing of the past. */
	ck_assert_int_eq(core_rmdir(s.core, &s.who, user, "workflow", NULL), 0);
	drop(&both);
	if (_i)
		store_reopen(&s);
	store_expect(&s, store_find(&s, store_find(&s, here.root, "session"), "f"), "one");
	rewrite(f, "ten", 0);
	store_expect(&s, store_find(&s, store_find(&s, here.root, "session"), "f"), "one");
	drop(&here);
	ck_assert_uint_eq(history(), 0);
	tree_check(&s);
}
END_TEST

static int note_removed(void *arg, const struct snapshot_info *info)
{
	*(unsigned *)arg += info->removed;
	return 0;
}

/* Who is removed stays in the snapshots, and its key with it, until they are dropped. */
START_TEST(removals)
{
	unsigned removed = 0;
	uint32_t domain;
	struct snapshot_info all, own;

	store_file(&s, session, "f", "text");
	all = take(ROOT, "all");
	own = take(session, "own");
	domain = own.domain;
	ck_assert_uint_ne(domain, 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, session, "f", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, workflow, "session", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, user, "workflow", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "user", NULL), 0);
	core_settle(s.core);
	if (_i)
		store_crash(&s, false);
	ck_assert(kv_domain_exists(s.kv, domain));
	ck_assert_uint_eq(store_find(&s, ROOT, "user"), 0);
	ck_assert_int_eq(snapshot_list(s.core, 0, 0, note_removed, &removed), 0);
	ck_assert_uint_eq(removed, 1);
	store_expect(&s, store_find(&s, own.root, "f"), "text");
	uint64_t past = store_find(&s, store_find(&s, store_find(&s, all.root, "user"), "workflow"),
		"session");
	store_expect(&s, store_find(&s, past, "f"), "text");
	drop(&own);
	store_expect(&s, store_find(&s, past, "f"), "text");
	ck_assert(kv_domain_exists(s.kv, domain));
	drop(&all);
	ck_assert_uint_eq(history(), 0);
	ck_assert(!kv_domain_exists(s.kv, domain));
	tree_check(&s);
}
END_TEST

/* ---- one instant ----------------------------------------------------------------------------- */

static _Atomic bool stop;

static unsigned read_number(uint64_t ino)
{
	struct file *f;
	char text[16] = "";

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_RDONLY, &f), 0);
	ck_assert_int_ge(core_read(s.core, f, text, 10, 0), 0);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	return (unsigned)strtoul(text, NULL, 10);
}

#define MADE_EACH 32 /* numbers */

/* Writes n to one file, then to another, now and then makes an entry n; never closes: all is buffered. */
static void *count_up(void *arg)
{
	uint64_t dir = *(uint64_t *)arg;
	uint64_t inos[2] = {store_find(&s, dir, "a"), store_find(&s, dir, "b")};
	struct file *f[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(core_file_open(s.core, &s.who, inos[i], O_WRONLY, &f[i]), 0);
	for (unsigned n = 1; !stop; n++) {
		char text[16], name[16];
		snprintf(text, sizeof text, "%010u", n);
		snprintf(name, sizeof name, "n%u", n);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(core_write(s.core, f[i], text, 10, 0, false), 10);
		if (n % MADE_EACH)
			continue;
		store_make(&s, dir, name, S_IFREG | 0600);
		snprintf(name, sizeof name, "n%u", n - 4 * MADE_EACH);
		core_unlink(s.core, &s.who, dir, name, NULL);
	}
	for (int i = 0; i < 2; i++)
		core_file_release(s.core, f[i]);
	return NULL;
}

/* What the order of one thread's changes allows, whenever it was. */
static void check_order(uint64_t dir)
{
	unsigned a = read_number(store_find(&s, dir, "a")), b = read_number(store_find(&s, dir, "b"));
	unsigned made = (a - 1) / MADE_EACH * MADE_EACH, next = (b / MADE_EACH + 1) * MADE_EACH;
	char name[16];

	ck_assert_msg(a == b || a == b + 1, "%u %u", a, b);
	snprintf(name, sizeof name, "n%u", made);
	ck_assert(a < 2 || !made || store_find(&s, dir, name));
	snprintf(name, sizeof name, "n%u", next);
	ck_assert_uint_eq(store_find(&s, dir, name), 0);
}

START_TEST(one_instant)
{
	enum { WRITERS = 2, ROUNDS = 40 };
	pthread_t threads[WRITERS];
	uint64_t dirs[WRITERS];

	stop = false;
	for (int i = 0; i < WRITERS; i++) {
		char name[16];
		snprintf(name, sizeof name, "t%d", i);
		dirs[i] = level_make(&s, workflow, name);
		store_file(&s, dirs[i], "a", "0000000000");
		store_file(&s, dirs[i], "b", "0000000000");
		ck_assert_int_eq(pthread_create(&threads[i], NULL, count_up, &dirs[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct snapshot_info snap = take(round % 2 ? user : workflow, "now");
		uint64_t top = round % 2 ? store_find(&s, snap.root, "workflow") : snap.root;
		_cleanup_buf_ struct buf once = {0}, again = {0};
		tree_dump_from(&s, top, &once);
		for (int i = 0; i < WRITERS; i++) {
			char name[16];
			snprintf(name, sizeof name, "t%d", i);
			check_order(store_find(&s, top, name));
		}
		tree_dump_from(&s, top, &again);
		ck_assert_str_eq((char *)once.data, (char *)again.data);
		ck_assert_int_eq(snapshot_drop(s.core, snap.id), 0);
	}
	stop = true;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	core_settle(s.core);
	ck_assert_uint_eq(history(), 0);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
	tree_check(&s);
}
END_TEST

/* ---- much data ------------------------------------------------------------------------------- */

/* More chunks than one transaction frees: the engine fails in between, and the sweep goes on later. */
START_TEST(large_files)
{
	enum { CHUNKS = 20000 };
	uint64_t ino = store_make(&s, session, "sparse", S_IFREG | 0644);
	struct snapshot_info snap;
	struct file *f;
	size_t chunks;
	char c;

	ck_assert_int_eq(core_file_open(s.core, &s.who, ino, O_WRONLY, &f), 0);
	for (off_t i = 0; i < CHUNKS; i++)
		ck_assert_int_eq(core_write(s.core, f, "x", 1, i << CHUNK_SHIFT, false), 1);
	ck_assert_int_eq(core_file_release(s.core, f), 0);
	snap = take(session, "a");
	if (_i == 0) { /* one chunk changes */
		rewrite(ino, "y", (off_t)9999 << CHUNK_SHIFT);
		ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), CHUNKS + 1);
	} else {
		ck_assert_int_eq(core_unlink(s.core, &s.who, session, "sparse", NULL), 0);
		core_settle(s.core);
		ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), CHUNKS);
	}
	uint64_t past = store_find(&s, snap.root, "sparse");
	ck_assert_int_eq(core_file_open(s.core, &s.who, past, O_RDONLY, &f), 0);
	ck_assert_int_eq(core_read(s.core, f, &c, 1, (off_t)9999 << CHUNK_SHIFT), 1);
	ck_assert_int_eq(c, 'x');
	core_file_release(s.core, f);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 3, -EIO);
	ck_assert_int_eq(snapshot_drop(s.core, snap.id), 0);
	core_settle(s.core);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 0, 0);
	store_crash(&s, false);
	core_settle(s.core);
	chunks = tree_records(&s, KEY_CHUNK);
	ck_assert_uint_eq(chunks, _i == 0 ? CHUNKS : 0);
	ck_assert_uint_eq(history(), 0);
	ck_assert_int_eq(kv_verify_sum(s.kv), 0);
	tree_check(&s);
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------------- */

static char *record(enum kv_family family, uint32_t domain, uint32_t container, uint8_t kind)
{
	static char text[4096];
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	uint8_t prefix[9];
	size_t len, at = 0;
	const uint8_t *key;

	put_u8(put_be32(put_be32(prefix, domain), container), kind);
	ck_assert_int_eq(kv_iter_open(s.kv, NULL, NULL, family, prefix, sizeof prefix, &it), 0);
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 1);
	key = kv_iter_key(it, &len);
	ck_assert_int_eq(kv_iter_value(it, &value), 0);
	for (size_t i = 0; i < len; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%02x", key[i]);
	at += (size_t)snprintf(text + at, sizeof text - at, " ");
	for (size_t i = 0; i < value.len && i < 40; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%02x", value.data[i]);
	return text;
}

START_TEST(bytes)
{
	struct snapshot_info snap = take(session, "name");
	uint32_t id = (uint32_t)(session >> 8), from = (uint32_t)(workflow >> 8);
	uint64_t to = level_make(&s, user, "to");
	char expect[256];

	snprintf(expect, sizeof expect, "00000000" "00000000" "0b" "00%08x" "%016x" " " "02" "00"
		"%08x" "00000001" "%016llx" "%08lx" "%08x" "%016llx", id, 1, snap.domain,
		(unsigned long long)snap.taken.tv_sec, snap.taken.tv_nsec, id % 1000,
		(unsigned long long)snap.taken.tv_sec);
	ck_assert_str_eq(record(KV_META, 0, 0, KEY_PIN), expect);
	ck_assert_str_eq(record(KV_META, 0, 0, KEY_EPOCH),
		"00000000" "00000000" "0c" "0000000000" " " "01" "0000000000000001" "00000002");
	snprintf(expect, sizeof expect, "%08x" "%08x" "06" "0000000000" "%016x" " " "01" "000003e8"
		"000003e8" "6e616d65", snap.domain, id, 1);
	ck_assert_str_eq(record(KV_META, snap.domain, id, KEY_SNAPSHOT), expect);
	ck_assert_int_eq(core_rename(s.core, &s.who, workflow, "session", to, "s", 0, NULL), 0);
	snprintf(expect, sizeof expect, "%08x" "%08x" "07" "0000000000" "%016x" " " "01" "%08x" "%08x"
		"%016x", snap.domain, id, 1, snap.domain, from, 0);
	ck_assert_str_eq(record(KV_META, snap.domain, id, KEY_PLACE), expect);
	snprintf(expect, sizeof expect, "%08x" "%08x" "03" "%010llx" "%016x" "%016x" " " "0100", snap.domain,
		id, (unsigned long long)session, 1, 0);
	ck_assert_mem_eq(record(KV_HISTORY, snap.domain, id, KEY_INODE), expect, strlen(expect));
	ck_assert_int_eq(core_setxattr(s.core, &s.who, session, "user.a", "b", 1, 0), 0);
	ck_assert_ptr_nonnull(strstr(record(KV_HISTORY, snap.domain, id, KEY_XATTR),
		"0000000000000001" "0000000000000000" " "));
}
END_TEST

/* As an older program has stored it: without number and second. */
START_TEST(a_pin_of_format_1)
{
	struct snapshot_info snap = take(session, "name"), found;
	uint32_t id = (uint32_t)(session >> 8);
	struct key key = key_make(0, 0, KEY_PIN, id);
	struct kv_txn *txn;
	uint8_t value[22], *p = put_u8(put_u8(value, 1), 0);

	key_add_u64(&key, snap.id);
	p = put_be64(put_be32(put_be32(p, snap.domain), 1), (uint64_t)snap.taken.tv_sec);
	put_be32(p, (uint32_t)snap.taken.tv_nsec);
	ck_assert_int_eq(kv_txn_begin(s.kv, &txn), 0);
	ck_assert_int_eq(kv_txn_put(txn, KV_META, key.bytes, key.len, value, sizeof value), 0);
	ck_assert_int_eq(kv_txn_commit(txn, NULL), 0);
	kv_txn_free(txn);
	store_reopen(&s);
	ck_assert_int_eq(snapshot_numbered(s.core, id % 1000, snap.taken.tv_sec, &found), 0);
	ck_assert_uint_eq(found.id, snap.id);
	ck_assert_str_eq(found.name, "name");
	tree_check(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("snapshot");
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, names);
	tcase_add_test(t, directory);
	tcase_add_test(t, nothing_in_it_changes);
	tcase_add_test(t, buffers_and_orphans);
	tcase_add_test(t, costs);
	tcase_add_loop_test(t, moves, 0, 2);
	tcase_add_loop_test(t, removals, 0, 2);
	tcase_add_test(t, one_instant);
	tcase_add_loop_test(t, large_files, 0, 2);
	tcase_add_test(t, bytes);
	tcase_add_test(t, a_pin_of_format_1);
	return run_case("snapshot", t);
}
