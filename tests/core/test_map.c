/*
 * test_map.c: the tree of map pages: its codec, and random changes against a plain table of what
 * each chunk is.
 */
#include "fs/core/chunk.h"
#include "tests/core/tree.h"
#include "tests/suite.h"

#include <check.h>

#define SPOTS 5
#define WIDTH 400 /* chunks around each spot: more than a page */
#define SEEDS 8
#define STEPS 60

/* Where pages of levels 0, 1, 2 … meet, and the end. */
static const uint64_t spot[SPOTS] = {0, (1 << 14) - 200, (1 << 21) - 200, 3ull << 28,
	(1ull << 35) - WIDTH};

static struct store s;
static struct inode *inode;
static struct map_root root;
static struct map_entry model[SPOTS][WIDTH];
static unsigned seed;

static void setup(void)
{
	store_new(&s, &(struct core_options){.commit_ms = 3600000});
	uint64_t ino = store_make(&s, CORE_ROOT_INO, "f", S_IFREG | 0644);
	ck_assert_int_eq(inode_get(s.core, ino, NULL, &inode), 0);
	root = (struct map_root){.chunk_shift = CHUNK_SHIFT};
	memset(model, 0, sizeof model);
}

static void teardown(void)
{
	inode_put(inode);
	store_close(&s);
}

static uint64_t roll(uint64_t n)
{
	return ((uint64_t)rand_r(&seed) << 31 ^ (uint64_t)rand_r(&seed)) % n;
}

/* ---- codec ----------------------------------------------------------------------------------- */

START_TEST(codec)
{
	struct map_page page = {.level = 0, .stored = 1ull << 40}, got = {0};
	uint8_t record[MAP_PAGE_BYTES];

	page.entries[0] = (struct map_entry){MAP_RECORD, 0xabcdef, 0x123456789abcdef0};
	page.entries[127].type = MAP_UNWRITTEN;
	map_page_encode(&page, record);
	ck_assert_int_eq(map_page_decode(record, sizeof record, &got), 0);
	ck_assert_uint_eq(got.stored, page.stored);
	ck_assert_uint_eq(got.entries[0].length, 0xabcdef);
	ck_assert_uint_eq(got.entries[0].version, 0x123456789abcdef0);
	ck_assert_uint_eq(got.entries[127].type, MAP_UNWRITTEN);
	ck_assert_uint_eq(got.entries[1].type, MAP_HOLE);
}
END_TEST

START_TEST(codec_refuses)
{
	struct map_page page = {.level = 1}, got = {.stored = 7};
	uint8_t record[MAP_PAGE_BYTES + 1] = {0};

	map_page_encode(&page, record);
	for (size_t len = 0; len < MAP_PAGE_BYTES; len += 5)
		ck_assert_int_eq(map_page_decode(record, len, &got), -EBADMSG);
	ck_assert_int_eq(map_page_decode(record, sizeof record, &got), -EBADMSG);
	record[0] = 2;
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), -EPROTONOSUPPORT);
	record[0] = 1;
	record[10] = MAP_EXTERNAL; /* reserved */
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), -EBADMSG);
	record[10] = MAP_RECORD; /* without a version */
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), -EBADMSG);
	record[21] = 1; /* now it has one … */
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), 0);
	record[13] = 1; /* … and a length, which a page has not */
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), -EBADMSG);
	record[1] = 0; /* but a chunk has */
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), 0);
	record[10] = MAP_HOLE;
	ck_assert_int_eq(map_page_decode(record, MAP_PAGE_BYTES, &got), -EBADMSG);
}
END_TEST

/* ---- changes --------------------------------------------------------------------------------- */

static void model_fill(uint64_t from, uint64_t to, uint8_t type, bool holes)
{
	for (unsigned w = 0; w < SPOTS; w++)
		for (unsigned i = 0; i < WIDTH; i++) {
			struct map_entry *e = &model[w][i];
			if (spot[w] + i >= from && spot[w] + i < to &&
				(!holes || e->type == MAP_HOLE))
				*e = (struct map_entry){.type = type};
		}
}

static void check_map(size_t *ret_chunks)
{
	struct map_entry e;
	uint64_t end, index, stored = 0;
	size_t chunks = 0;

	for (unsigned w = 0; w < SPOTS; w++)
		for (unsigned i = 0; i < WIDTH; i++) {
			const struct map_entry *m = &model[w][i];
			ck_assert_int_eq(map_find(inode, &root, spot[w] + i, &e, &end), 0);
			ck_assert_uint_gt(end, spot[w] + i);
			ck_assert_uint_eq(e.type, m->type);
			ck_assert_uint_eq(e.length, m->length);
			ck_assert_uint_eq(e.version, m->version);
		}
	for (index = 0; index < UINT64_MAX; index = end) {
		ck_assert_int_eq(map_find(inode, &root, index, &e, &end), 0);
		chunks += e.type == MAP_RECORD;
		stored += e.type == MAP_RECORD      ? e.length
			  : e.type == MAP_UNWRITTEN ? (end - index) << CHUNK_SHIFT
						    : 0;
	}
	ck_assert_uint_eq(root.stored, stored);
	*ret_chunks = chunks;
}

static void set_some(struct map_edit *edit, struct kv_txn *txn)
{
	unsigned w = (unsigned)roll(SPOTS), first = (unsigned)roll(WIDTH);
	unsigned n = 1 + (unsigned)roll(roll(3) ? 8 : 200);

	for (unsigned i = first; i < first + n && i < WIDTH; i++) {
		uint64_t version = map_edit_version(edit);
		uint32_t length = 1 + (uint32_t)roll(1u << CHUNK_SHIFT);
		struct key key = map_chunk_key(inode, spot[w] + i, version);

		if (model[w][i].version == version) /* once in a transaction */
			continue;
		ck_assert_int_eq(kv_txn_insert(txn, KV_DATA, key.bytes, key.len, "x", 1), 0);
		ck_assert_int_eq(map_edit_set(edit, spot[w] + i, length), 0);
		model[w][i] = (struct map_entry){MAP_RECORD, length, version};
	}
}

static uint64_t some_index(void)
{
	return spot[roll(SPOTS)] + roll(WIDTH);
}

/* Returns from where on records were left to the background, or UINT64_MAX. */
static uint64_t fill_some(struct map_edit *edit)
{
	uint64_t from = some_index(), to = some_index() + 1, done;
	unsigned how = (unsigned)roll(4);

	if (roll(2))
		to = from + 1 + roll(WIDTH);
	if (from >= to)
		return UINT64_MAX;
	if (how == 0) {
		ck_assert_int_eq(map_edit_fill(edit, from, UINT64_MAX, MAP_HOLE, MAP_FILL_LAZY,
					 (unsigned)roll(100), NULL), 0);
		model_fill(from, UINT64_MAX, MAP_HOLE, false);
		return map_edit_leftover(edit) ? from : UINT64_MAX;
	}
	if (how == 1) {
		ck_assert_int_eq(map_edit_fill(edit, from, to, MAP_UNWRITTEN, MAP_FILL_HOLES, 0,
					 NULL), 0);
		model_fill(from, to, MAP_UNWRITTEN, true);
		return UINT64_MAX;
	}
	enum map_type type = how == 2 ? MAP_HOLE : MAP_UNWRITTEN;
	int r = map_edit_fill(edit, from, to, type, 0, 1 + (unsigned)roll(100), &done);
	ck_assert_int_ge(r, 0);
	if (r > 0)
		ck_assert(done > from && done < to);
	model_fill(from, r > 0 ? done : to, type, false);
	return UINT64_MAX;
}

static void change(bool commit)
{
	struct map_entry before[SPOTS][WIDTH], e;
	struct kv_txn *txn;
	struct map_edit *edit;
	struct map_root next;
	uint64_t left;

	memcpy(before, model, sizeof before);
	ck_assert_int_eq(kv_txn_begin(s.kv, &txn), 0);
	ck_assert_int_eq(map_edit_new(inode, txn, &root, &edit), 0);
	left = roll(3) ? UINT64_MAX : fill_some(edit);
	if (roll(3))
		set_some(edit, txn);
	for (unsigned i = 0; i < 20; i++) {
		unsigned w = (unsigned)roll(SPOTS), at = (unsigned)roll(WIDTH);
		ck_assert_int_eq(map_edit_find(edit, spot[w] + at, &e), 0);
		ck_assert_uint_eq(e.type, model[w][at].type);
		ck_assert_uint_eq(e.version, model[w][at].version);
	}
	ck_assert_int_eq(map_edit_write(edit, &next), 0);
	if (commit) {
		ck_assert_int_eq(kv_txn_commit(txn, NULL), 0);
		map_edit_publish(edit);
		root = next;
	} else {
		memcpy(model, before, sizeof model);
	}
	map_edit_free(edit);
	kv_txn_free(txn);
	while (commit && left != UINT64_MAX) {
		int r = data_delete_records(s.core, inode->container->domain, inode->container->id,
			inode->ino, left, 0, root.next_version - 2, 1 + (unsigned)roll(50));
		ck_assert_int_ge(r, 0);
		if (r == 0)
			break;
	}
}

START_TEST(follows_the_model)
{
	size_t chunks;

	seed = (unsigned)_i + 1;
	for (unsigned i = 0; i < STEPS; i++) {
		change(roll(6) > 0);
		if (i % 6 == 0 || i == STEPS - 1) {
			check_map(&chunks);
			ck_assert_uint_eq(tree_records(&s, KEY_CHUNK), chunks);
		}
	}
	ck_assert_uint_ge(root.depth, 3);
	/* Without the cache it is the same. */
	map_cache_free(s.core->map_cache);
	s.core->map_cache = map_cache_new();
	check_map(&chunks);
	/* All of it goes; nothing is left. */
	ck_assert_int_eq(data_delete_records(s.core, inode->container->domain, inode->container->id,
				 inode->ino, 0, 0, UINT64_MAX, 10000), 0);
	ck_assert_uint_eq(tree_records(&s, KEY_CHUNK) + tree_records(&s, KEY_MAP), 0);
}
END_TEST

/* Whole trees of holes and unwritten ranges need no pages. */
START_TEST(ranges_are_cheap)
{
	struct kv_txn *txn;
	struct map_edit *edit;
	struct map_entry e;
	uint64_t end;

	ck_assert_int_eq(kv_txn_begin(s.kv, &txn), 0);
	ck_assert_int_eq(map_edit_new(inode, txn, &root, &edit), 0);
	ck_assert_int_eq(
		map_edit_fill(edit, 1, 1ull << 35, MAP_UNWRITTEN, MAP_FILL_HOLES, 0, NULL), 0);
	ck_assert_uint_eq(map_edit_stored(edit), CORE_FILE_MAX - (1u << CHUNK_SHIFT));
	ck_assert_int_eq(map_edit_write(edit, &root), 0);
	ck_assert_int_eq(kv_txn_commit(txn, NULL), 0);
	map_edit_free(edit);
	kv_txn_free(txn);
	ck_assert_uint_eq(tree_records(&s, KEY_MAP), 5);
	ck_assert_int_eq(map_find(inode, &root, 1ull << 34, &e, &end), 0);
	ck_assert_uint_eq(e.type, MAP_UNWRITTEN);
	ck_assert_uint_eq(end, (1ull << 34) + (1ull << 28));

	ck_assert_int_eq(kv_txn_begin(s.kv, &txn), 0);
	ck_assert_int_eq(map_edit_new(inode, txn, &root, &edit), 0);
	ck_assert_int_eq(map_edit_set(edit, 1ull << 35, 1), 0); /* one more level */
	ck_assert_int_eq(map_edit_fill(edit, 0, UINT64_MAX, MAP_HOLE, 0, 100, &end), 0);
	ck_assert_uint_eq(map_edit_stored(edit), 0);
	ck_assert_int_eq(map_edit_write(edit, &root), 0);
	ck_assert_uint_eq(root.depth, 0);
	ck_assert_uint_eq(root.root.type, MAP_HOLE);
	map_edit_free(edit);
	kv_txn_free(txn);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("map");
	TCase *tc = tcase_create("map");

	tcase_add_test(tc, codec);
	tcase_add_test(tc, codec_refuses);
	suite_add_tcase(suite, tc);
	tc = tcase_create("edit");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, follows_the_model, 0, SEEDS);
	tcase_add_test(tc, ranges_are_cheap);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
