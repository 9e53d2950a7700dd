/*
 * test_damage.c: chunks and map pages that are missing, swapped or replayed are errors, never other
 * bytes; what they do not concern stays readable.
 */
#include "fs/core/chunk.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#define ROOT CORE_ROOT_INO
#define CHUNK (1u << CHUNK_SHIFT)

static struct store s;
static char big[3 * CHUNK];

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)('a' + i % 23 + i / CHUNK % 3);
}

static void teardown(void)
{
	store_close(&s);
}

static struct key chunk_key(struct file *f, uint64_t index)
{
	const struct inode *inode = file_inode(f);
	struct map_entry e;
	uint64_t end;
	ck_assert_int_eq(map_find(inode, &inode->rec.map, index, &e, &end), 0);
	ck_assert_uint_eq(e.type, MAP_RECORD);
	return map_chunk_key(inode, index, e.version);
}

static void peek(const struct key *key, struct buf *ret)
{
	ck_assert_int_eq(kv_memory_peek(s.memory, KV_DATA, key->bytes, key->len, ret), 0);
}

static void poke(const struct key *key, const struct buf *value)
{
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_DATA, key->bytes, key->len,
				 value ? value->data : NULL, value ? value->len : 0), 0);
}

/* Chunk 1 cannot be read, nor any request that meets it; all others can. */
static void expect_damage_in_1(struct file *f)
{
	char got[CHUNK * 2];
	ck_assert_int_eq(core_read(s.core, f, got, 1, CHUNK), -EBADMSG);
	ck_assert_int_eq(core_read(s.core, f, got, sizeof got, 0), -EBADMSG);
	/* Nor may it be mended by accident with zeros. */
	ck_assert_int_eq(core_write(s.core, f, "x", 1, CHUNK + 5, false), -EBADMSG);
	store_expect_at(&s, f, big, CHUNK, 0);
	store_expect_at(&s, f, big + 2 * CHUNK, CHUNK, 2 * CHUNK);
}

/* What keeps a store from being opened is told, and no new root put over the old one. */
START_TEST(a_root_that_is_lost_in_part)
{
	struct key root = key_make(0, ROOT >> 8, KEY_INODE, ROOT), container = key_make(0, ROOT >> 8, KEY_CONTAINER, 0),
		   lease = key_make(0, 0, KEY_LEASE, ROOT);
	const struct key *lost[] = {&root, &lease, &container};
	struct buf was = {0};

	store_make(&s, ROOT, "dir", S_IFDIR | 0755);
	store_shut(&s);
	ck_assert_int_eq(kv_memory_peek(s.memory, KV_META, lost[_i]->bytes, lost[_i]->len, &was), 0);
	kv_memory_poke(s.memory, KV_META, lost[_i]->bytes, lost[_i]->len, NULL, 0);
	store_open_kv(&s);
	ck_assert_int_eq(core_open(s.kv, &s.options, &s.core), -EBADMSG);
	ck_assert_int_eq(kv_close(s.kv), 0);
	kv_memory_poke(s.memory, KV_META, lost[_i]->bytes, lost[_i]->len, was.data, was.len);
	buf_release(&was);
	store_open_kv(&s);
	ck_assert_int_eq(core_open(s.kv, &s.options, &s.core), 0);
	ck_assert_uint_ne(store_find(&s, ROOT, "dir"), 0);
}
END_TEST

START_TEST(a_missing_chunk_is_no_hole)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	store_put(&s, f, big, 3 * CHUNK, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	struct key key = chunk_key(f, 1);
	poke(&key, NULL);
	expect_damage_in_1(f);
	/* Written as a whole it is good again. */
	store_put(&s, f, big, CHUNK, CHUNK);
	store_expect_at(&s, f, big, CHUNK, CHUNK);
	store_done(&s, f);
}
END_TEST

START_TEST(swapped_chunks)
{
	struct file *f = store_new_file(&s, "f", O_RDWR), *g = store_new_file(&s, "g", O_RDWR);
	_cleanup_buf_ struct buf a = {0}, b = {0};
	store_put(&s, f, big, 3 * CHUNK, 0);
	store_put(&s, g, big, 3 * CHUNK, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	ck_assert_int_eq(core_file_flush(s.core, g), 0);
	struct key kf = chunk_key(f, 1), kg = chunk_key(g, 1);
	peek(&kf, &a);
	peek(&kg, &b);
	poke(&kf, &b);
	poke(&kg, &a);
	expect_damage_in_1(f);
	expect_damage_in_1(g);
	store_done(&s, f);
	store_done(&s, g);
}
END_TEST

START_TEST(an_old_chunk_replayed)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	_cleanup_buf_ struct buf old = {0};
	store_put(&s, f, big, 3 * CHUNK, 0);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	struct key key = chunk_key(f, 1);
	peek(&key, &old);
	store_put(&s, f, "new", 3, CHUNK);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	struct key next = chunk_key(f, 1);
	ck_assert_mem_ne(key.bytes, next.bytes, key.len);
	poke(&next, &old);
	expect_damage_in_1(f);
	store_done(&s, f);
}
END_TEST

START_TEST(a_missing_page)
{
	struct file *f = store_new_file(&s, "f", O_RDWR);
	uint64_t ino = file_ino(f);
	store_put(&s, f, big, CHUNK, 0);
	store_put(&s, f, big, CHUNK, 1 << 30);
	ck_assert_int_eq(core_file_flush(s.core, f), 0);
	const struct inode *inode = file_inode(f);
	struct key key = map_page_key(inode, 0, 0, inode->rec.map.root.version);
	store_done(&s, f);
	store_reopen(&s);
	poke(&key, NULL);
	f = store_open_file(&s, ino, O_RDWR);
	char got[10];
	ck_assert_int_eq(core_read(s.core, f, got, 10, 0), -EBADMSG);
	ck_assert_int_eq(core_read(s.core, f, got, 10, CHUNK), -EBADMSG);
	ck_assert_int_eq(core_write(s.core, f, "x", 1, 0, false), -EBADMSG);
	store_expect_at(&s, f, big, CHUNK, 1 << 30);
	store_done(&s, f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("damage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_root_that_is_lost_in_part, 0, 3);
	tcase_add_test(tc, a_missing_chunk_is_no_hole);
	tcase_add_test(tc, swapped_chunks);
	tcase_add_test(tc, an_old_chunk_replayed);
	tcase_add_test(tc, a_missing_page);
	return run_case("damage", tc);
}
