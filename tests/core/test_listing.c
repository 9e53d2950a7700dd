/*
 * test_listing.c: readdir: completeness, positions that stay, large directories, colliding and
 * numbered names.
 */
#include "fs/core/name.h"
#include "fs/core/op.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define MANY 20000

static struct store s;

static void setup(void)
{
	store_new(&s, NULL);
}

static void setup_colliding(void)
{
	store_new(&s, &(struct core_options){.name_hash_bits = 2});
}

static void setup_few(void)
{
	store_new(&s, &(struct core_options){.inodes = 1});
}

static void teardown(void)
{
	tree_check(&s);
	store_close(&s);
}

static uint64_t make(uint64_t parent, const char *format, int n, mode_t mode)
{
	char name[32];
	snprintf(name, sizeof name, format, n);
	return store_make(&s, parent, name, mode);
}

/* Reads at most @room entries from @cookie on. */
struct page {
	unsigned room, n;
	uint64_t cookie;
	uint64_t first_ino;
	char names[64][CORE_NAME_MAX + 1];
};

static int take(void *arg, const struct core_dirent *e)
{
	struct page *p = arg;
	if (p->n == p->room)
		return 1;
	ck_assert_uint_gt(e->cookie, p->cookie);
	ck_assert_uint_lt(e->cookie, 1ull << 63);
	if (p->n == 0)
		p->first_ino = e->ino;
	p->cookie = e->cookie;
	strcpy(p->names[p->n++], e->name);
	return 0;
}

static unsigned read_page(uint64_t dir, struct page *p, unsigned room)
{
	p->room = room;
	p->n = 0;
	ck_assert_int_eq(core_readdir(s.core, dir, p->cookie, false, take, p), 0);
	return p->n;
}

/* The number in "n123", or -1 for the dots. */
static int number(const char *name)
{
	return name[0] == 'n' ? atoi(name + 1) : -1;
}

START_TEST(an_empty_one)
{
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	struct page p = {0};
	ck_assert_uint_eq(read_page(d, &p, 10), 2);
	ck_assert_str_eq(p.names[0], ".");
	ck_assert_uint_eq(p.first_ino, d);
	ck_assert_str_eq(p.names[1], "..");
	ck_assert_uint_eq(read_page(d, &p, 10), 0);
	p.cookie = NAME_COOKIE_DOT;
	ck_assert_uint_eq(read_page(d, &p, 10), 1);
	ck_assert_uint_eq(p.first_ino, ROOT);
	uint64_t f = store_make(&s, ROOT, "f", S_IFREG | 0600);
	ck_assert_int_eq(core_readdir(s.core, f, 0, false, take, &p), -ENOTDIR);
	ck_assert_int_eq(core_readdir(s.core, 987654321, 0, false, take, &p), -ENOENT);
}
END_TEST

struct attrs {
	unsigned n, stop_at;
	uint64_t ino[8];
};

static int take_attr(void *arg, const struct core_dirent *e)
{
	struct attrs *a = arg;
	if (e->name[0] == '.')
		return 0;
	if (a->n == a->stop_at)
		return 1;
	ck_assert(e->have_attr);
	ck_assert_uint_eq(e->entry.ino, e->ino);
	ck_assert_uint_eq(e->entry.st.st_mode & S_IFMT, e->type);
	a->ino[a->n++] = e->ino;
	return 0;
}

/* readdirplus: what is taken counts as a look-up, what is not taken does not. */
START_TEST(with_attributes)
{
	struct attrs a = {.stop_at = 2};
	struct stat st;
	uint64_t ino[3];
	for (int i = 0; i < 3; i++)
		ino[i] = make(ROOT, "n%d", i, i == 1 ? S_IFDIR | 0700 : S_IFREG | 0600);
	ck_assert_int_eq(core_readdir(s.core, ROOT, 0, true, take_attr, &a), 0);
	ck_assert_uint_eq(a.n, 2);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "n1", NULL), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "n0", NULL), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, ROOT, "n2", NULL), 0);
	for (int i = 0; i < 3; i++) {
		bool taken = ino[i] == a.ino[0] || ino[i] == a.ino[1];
		ck_assert_int_eq(core_getattr(s.core, ino[i], &st, NULL), taken ? 0 : -ENOENT);
	}
	core_forget(s.core, a.ino[0], 1);
	core_forget(s.core, a.ino[1], 1);
	ck_assert_int_eq(core_getattr(s.core, a.ino[0], &st, NULL), -ENOENT);
}
END_TEST

/* Entries come and go between two reads: each that was there all the time is seen exactly once. */
static void list_while_changing(int files)
{
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	char *seen = calloc((size_t)files, 1), name[32];
	struct page p = {0};
	int added = 0, removed = 0;
	for (int i = 0; i < files; i++)
		make(d, "n%d", i, S_IFREG | 0600);
	while (read_page(d, &p, 16) > 0) {
		for (unsigned i = 0; i < p.n; i++) {
			int k = number(p.names[i]);
			if (k >= 0 && k < files)
				ck_assert_int_eq(seen[k]++, 0);
		}
		snprintf(name, sizeof name, "extra%d", added++);
		store_make(&s, d, name, S_IFREG | 0600);
		/* The one at which the position stands, and one far off. */
		if (core_unlink(s.core, &s.who, d, p.names[p.n - 1], NULL) == 0)
			removed++;
		snprintf(name, sizeof name, "n%d", files - 1 - removed * 2);
		int k = number(name);
		if (!seen[k] && core_unlink(s.core, &s.who, d, name, NULL) == 0)
			seen[k] = 1;
	}
	for (int i = 0; i < files; i++)
		ck_assert_msg(seen[i] == 1, "n%d was missed", i);
	ck_assert_int_gt(removed, files / 64);
	free(seen);
}

START_TEST(changing)
{
	list_while_changing(1000);
}
END_TEST

START_TEST(many_entries)
{
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700);
	struct page p = {0};
	int found = 0;
	for (int i = 0; i < MANY; i++)
		make(d, "n%d", i, S_IFREG | 0600);
	store_reopen(&s);
	for (int i = 0; i < MANY; i += 997) {
		char name[32];
		snprintf(name, sizeof name, "n%d", i);
		ck_assert_uint_ne(store_find(&s, d, name), 0);
	}
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "d", NULL), -ENOTEMPTY);
	/* As rm -r: reads a page, removes what it read. */
	while (read_page(d, &p, 64) > 0)
		for (unsigned i = 0; i < p.n; i++)
			if (number(p.names[i]) >= 0) {
				ck_assert_int_eq(core_unlink(s.core, &s.who, d, p.names[i], NULL),
					0);
				found++;
			}
	ck_assert_int_eq(found, MANY);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, ROOT, "d", NULL), 0);
}
END_TEST

/* ---- colliding names ------------------------------------------------------------------------- */

START_TEST(collisions)
{
	enum { N = 300 };
	uint64_t d = store_make(&s, ROOT, "d", S_IFDIR | 0700), ino[N];
	char name[32], seen[N] = {0};
	for (int i = 0; i < N; i++)
		ino[i] = make(d, "n%d", i, S_IFREG | 0600);
	for (int out = 0; out < N; out++) {
		int gone = out * 77 % N, there = 0;
		snprintf(name, sizeof name, "n%d", gone);
		ck_assert_int_eq(core_unlink(s.core, &s.who, d, name, NULL), 0);
		seen[gone] = 1;
		for (int i = 0; i < N; i += 1 + out % 7) {
			snprintf(name, sizeof name, "n%d", i);
			ck_assert_uint_eq(store_find(&s, d, name), seen[i] ? 0 : ino[i]);
		}
		if (out % 50 == 0)
			tree_check(&s);
		struct page p = {0};
		while (read_page(d, &p, 64) > 0)
			there += (int)p.n;
		ck_assert_int_eq(there, N - out - 1 + 2);
	}
}
END_TEST

START_TEST(too_many_collisions)
{
	struct core_make m = {.mode = S_IFREG | 0600};
	struct core_entry e;
	char name[32];
	int n = 0, r;
	do {
		snprintf(name, sizeof name, "n%d", n);
		r = core_make(s.core, &s.who, ROOT, name, &m, NULL, &e);
		if (r == 0)
			core_forget(s.core, e.ino, 1);
	} while (r == 0 && ++n < 1000);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_ge(n, 128);
	ck_assert_uint_eq(store_find(&s, ROOT, "n0"), CORE_ROOT_INO + 1);
	ck_assert_int_lt(core_unlink(s.core, &s.who, ROOT, name, NULL), 0);
}
END_TEST

/* Renames and replacements within one chain of collisions. */
START_TEST(moves_within_a_chain)
{
	char from[32], to[32];
	for (int i = 0; i < 60; i++)
		make(ROOT, "n%d", i, S_IFREG | 0600);
	for (int i = 0; i < 300; i++) {
		snprintf(from, sizeof from, "n%d", i * 7 % 60);
		snprintf(to, sizeof to, "%c%d", i % 3 ? 'n' : 'm', i * 11 % 60);
		int r = core_rename(s.core, &s.who, ROOT, from, ROOT, to, 0, NULL);
		ck_assert(r == 0 || r == -ENOENT);
		if (r == 0 && strcmp(from, to)) {
			ck_assert_uint_eq(store_find(&s, ROOT, from), 0);
			ck_assert_uint_ne(store_find(&s, ROOT, to), 0);
		}
		if (i % 30 == 0)
			tree_check(&s);
	}
}
END_TEST

/* ---- numbered directories -------------------------------------------------------------------- */

static int numbered(struct op *op, void *arg)
{
	op->inode_flags = INODE_NUMBERED;
	return 0;
}

START_TEST(message_numbers)
{
	static const struct {
		const char *name;
		uint32_t number;
	} cases[] = {{"001.md", 1}, {"999.md", 999}, {"1000.md", 1000}, {"999999999.md", 999999999},
		{"000.md", 0}, {"1.md", 0}, {"01.md", 0}, {"0007.md", 0}, {"1000000000.md", 0},
		{"001.MD", 0}, {"001", 0}, {".md", 0}, {"", 0}, {"001.md~", 0}, {"a01.md", 0},
		{"-01.md", 0}, {"+01.md", 0}, {" 01.md", 0}, {"001md", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char name[16];
		ck_assert_uint_eq(name_message_number(cases[i].name, strlen(cases[i].name)),
			cases[i].number);
		if (!cases[i].number)
			continue;
		ck_assert_uint_eq(name_of_message(cases[i].number, name), strlen(cases[i].name));
		ck_assert_str_eq(name, cases[i].name);
	}
}
END_TEST

START_TEST(numbered_order)
{
	static const int order[] = {7, 1000, 3, 1, 999, 99999, 1001, 2};
	static const char *const sorted[] = {".", "..", "001.md", "002.md", "003.md", "007.md",
		"999.md", "1000.md", "1001.md", "99999.md"};
	struct core_rule rule = {.plan = numbered};
	struct core_make m = {.mode = S_IFDIR | 0700};
	struct core_entry e;
	ck_assert_int_eq(core_make(s.core, &s.who, ROOT, "d", &m, &rule, &e), 0);
	core_forget(s.core, e.ino, 1);
	store_make(&s, e.ino, "0007.md", S_IFREG | 0600);
	store_make(&s, e.ino, "plain", S_IFREG | 0600);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		make(e.ino, "%03d.md", order[i], S_IFREG | 0600);
	struct page p = {0};
	ck_assert_uint_eq(read_page(e.ino, &p, 64), 12);
	for (size_t i = 0; i < sizeof sorted / sizeof sorted[0]; i++)
		ck_assert_str_eq(p.names[i], sorted[i]);
	ck_assert_uint_ne(store_find(&s, e.ino, "0007.md"), store_find(&s, e.ino, "007.md"));
	struct core_entry dup;
	m.mode = S_IFREG | 0600;
	ck_assert_int_eq(core_make(s.core, &s.who, e.ino, "007.md", &m, NULL, &dup), -EEXIST);
	ck_assert_int_eq(core_rename(s.core, &s.who, e.ino, "007.md", e.ino, "008.md", 0, NULL), 0);
	ck_assert_uint_eq(store_find(&s, e.ino, "007.md"), 0);
	ck_assert_uint_ne(store_find(&s, e.ino, "008.md"), 0);
}
END_TEST

/* ---- listings of what is not in memory --------------------------------------------------------- */

#define MESSAGES 60

/* A numbered directory of messages of which the n-th has n bytes; nothing of it is in memory. */
static uint64_t make_messages(uint64_t ret_ino[MESSAGES + 1])
{
	struct core_rule rule = {.plan = numbered};
	struct core_make m = {.mode = S_IFDIR | 0700};
	char name[16], text[MESSAGES + 1] = "";
	struct core_entry e;
	ck_assert_int_eq(core_make(s.core, &s.who, ROOT, "d", &m, &rule, &e), 0);
	core_forget(s.core, e.ino, 1);
	for (unsigned i = 1; i <= MESSAGES; i++) {
		name_of_message(i, name);
		strcat(text, "x");
		ret_ino[i] = store_file(&s, e.ino, name, text);
	}
	store_reopen(&s);
	return e.ino;
}

struct cold {
	const uint64_t *ino;
	unsigned n, without; /* entries so far; those without attributes */
	unsigned when, what; /* at entry @when the mode of message @what is changed */
	mode_t mode[MESSAGES + 1];
};

static int take_cold(void *arg, const struct core_dirent *e)
{
	struct cold *c = arg;
	if (e->name[0] == '.')
		return 0;
	unsigned n = ++c->n;
	ck_assert_uint_eq(e->ino, c->ino[n]);
	if (n == c->when) {
		store_chmod(&s, c->ino[c->what], 0600);
		for (unsigned i = 0; i < 8; i++) /* it leaves the cache */
			store_find(&s, ROOT, "d");
	}
	if (!e->have_attr) {
		c->without++;
		return 0;
	}
	ck_assert_int_eq(e->entry.st.st_size, n);
	c->mode[n] = e->entry.st.st_mode & 07777;
	core_forget(s.core, e->ino, 1);
	return 0;
}

/* The records of inodes whose numbers follow each other are not looked up one by one. */
START_TEST(records_in_a_row)
{
	uint64_t ino[MESSAGES + 1], d = make_messages(ino);
	struct cold c = {.ino = ino};
	store_find(&s, ROOT, "d");
	unsigned before = kv_memory_calls(s.memory, KV_MEMORY_GET);
	ck_assert_int_eq(core_readdir(s.core, d, 0, true, take_cold, &c), 0);
	ck_assert_uint_eq(c.n, MESSAGES);
	ck_assert_uint_eq(c.without, 0);
	ck_assert_uint_le(kv_memory_calls(s.memory, KV_MEMORY_GET) - before, 2);
	store_expect(&s, ino[2], "xx");
}
END_TEST

/* One that is changed, and leaves the cache, while they are read is listed as it is then. */
START_TEST(changed_meanwhile)
{
	uint64_t ino[MESSAGES + 1], d = make_messages(ino);
	struct cold c = {.ino = ino, .when = 10, .what = 20};
	struct stat st;
	ck_assert_int_eq(core_readdir(s.core, d, 0, true, take_cold, &c), 0);
	ck_assert_uint_eq(c.n, MESSAGES);
	ck_assert_uint_eq(c.mode[19], 0644);
	ck_assert_uint_eq(c.mode[20], 0600);
	store_stat(&s, ino[20], &st);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

/* A damaged record is one entry without attributes; a missing one too. */
START_TEST(damaged_among_them)
{
	uint64_t ino[MESSAGES + 1], d = make_messages(ino);
	struct buf kept[2] = {0};
	struct key key[2];
	struct cold c = {.ino = ino};
	for (int i = 0; i < 2; i++) {
		key[i] = key_make(0, 1, KEY_INODE, ino[20 + 20 * i]);
		ck_assert_int_eq(kv_memory_peek(s.memory, KV_META, key[i].bytes, key[i].len, &kept[i]), 0);
		ck_assert_int_eq(kv_memory_poke(s.memory, KV_META, key[i].bytes, key[i].len, i ? NULL : "bad",
					 3), 0);
	}
	ck_assert_int_eq(core_readdir(s.core, d, 0, true, take_cold, &c), 0);
	ck_assert_uint_eq(c.n, MESSAGES);
	ck_assert_uint_eq(c.without, 2);
	for (int i = 0; i < 2; i++) {
		kv_memory_poke(s.memory, KV_META, key[i].bytes, key[i].len, kept[i].data, kept[i].len);
		buf_release(&kept[i]);
	}
	store_reopen(&s); /* it is known by now that one is not there */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("listing");
	TCase *t = tcase_create("listing"), *c = tcase_create("collisions");
	TCase *f = tcase_create("few in memory");
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_empty_one);
	tcase_add_test(t, with_attributes);
	tcase_add_test(t, changing);
	tcase_add_test(t, many_entries);
	tcase_add_test(t, message_numbers);
	tcase_add_test(t, numbered_order);
	tcase_add_test(t, records_in_a_row);
	tcase_add_test(t, damaged_among_them);
	suite_add_tcase(suite, t);
	tcase_add_checked_fixture(f, setup_few, teardown);
	tcase_add_test(f, changed_meanwhile);
	suite_add_tcase(suite, f);
	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup_colliding, teardown);
	tcase_add_test(c, collisions);
	tcase_add_test(c, too_many_collisions);
	tcase_add_test(c, moves_within_a_chain);
	suite_add_tcase(suite, c);
	return run_suite(suite);
}
