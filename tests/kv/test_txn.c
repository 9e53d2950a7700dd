#include "store.h"

START_TEST(own_writes_are_visible)
{
	struct kv_txn *txn;

	start(_i);
	put_now("old", "1");
	txn = begin();
	ok(put(txn, "new", "a"));
	ok(put(txn, "old", "2"));
	ok(put(txn, "old", "3"));
	holds_in(txn, NULL, KV_META, "new", "a");
	holds_in(txn, NULL, KV_META, "old", "3");
	lacks("new");
	holds("old", "1");
	ok(remove_key(txn, KV_META, "new"));
	lacks_in(txn, NULL, KV_META, "new");
	ok(remove_key(txn, KV_META, "old"));
	ok(insert(txn, KV_META, "old", "4"));
	ok(commit(txn));
	lacks("new");
	holds("old", "4");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(sees_the_store_as_of_its_start)
{
	struct kv_txn *txn;

	start(_i);
	put_now("a", "1");
	put_now("b", "1");
	txn = begin();
	put_now("a", "2");
	holds_in(txn, NULL, KV_META, "a", "1");
	holds_in(txn, NULL, KV_META, "b", "1");
	holds("a", "2");
	/* It read what has changed since, so it may not write on the strength of that. */
	ok(put(txn, "c", "x"));
	fails(commit(txn), -EAGAIN);
	lacks("c");
	finish();
}
END_TEST

START_TEST(conflicts)
{
	struct kv_txn *reader, *toucher, *writer, *inserter, *deleter, *other;

	start(_i);
	put_now("k", "1");
	reader = begin();
	toucher = begin();
	writer = begin();
	inserter = begin();
	deleter = begin();
	other = begin();
	holds_in(reader, NULL, KV_META, "k", "1");
	ok(put(reader, "r", "x"));
	ok(touch(toucher, "k"));
	ok(put(toucher, "t", "x"));
	ok(put(writer, "k", "9"));
	ok(insert(inserter, KV_META, "n", "mine"));
	ok(remove_key(deleter, KV_META, "k"));
	ok(put(other, "o", "x"));
	put_now("k", "2");
	put_now("n", "first");
	fails(commit(reader), -EAGAIN);
	fails(commit(toucher), -EAGAIN);
	fails(commit(writer), -EAGAIN);
	fails(commit(inserter), -EAGAIN);
	fails(commit(deleter), -EAGAIN);
	ok(commit(other));
	holds("k", "2");
	holds("n", "first");
	holds("o", "x");
	lacks("r");
	lacks("t");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(a_delete_conflicts_and_a_read_of_nothing_too)
{
	struct kv_txn *absent, *present, *txn;

	start(_i);
	put_now("there", "1");
	absent = begin();
	present = begin();
	lacks_in(absent, NULL, KV_META, "soon");
	ok(put(absent, "x", "1"));
	ok(touch(present, "there"));
	ok(put(present, "y", "1"));
	put_now("soon", "1");
	txn = begin();
	ok(remove_key(txn, KV_META, "there"));
	ok(commit(txn));
	fails(commit(absent), -EAGAIN);
	fails(commit(present), -EAGAIN);
	finish();
}
END_TEST

START_TEST(dropped_or_empty_changes_nothing)
{
	uint64_t before, sequence = 0;
	struct kv_txn *txn;

	start(_i);
	put_now("a", "1");
	before = kv_sequence(kv);
	txn = begin();
	ok(put(txn, "a", "2"));
	ok(put(txn, "b", "2"));
	kv_txn_count(txn, domain, KV_COUNT_BYTES, 7);
	kv_txn_free(txn);
	holds("a", "1");
	lacks("b");
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_BYTES), 0);
	txn = begin();
	holds_in(txn, NULL, KV_META, "a", "1");
	ok(kv_txn_commit(txn, &sequence));
	kv_txn_free(txn);
	ck_assert_uint_eq(sequence, before);
	ck_assert_uint_eq(kv_sequence(kv), before);
	finish();
}
END_TEST

START_TEST(a_failed_write_leaves_nothing)
{
	struct kv_txn *txn;
	uint64_t before;

	start(ON_MEMORY);
	put_now("a", "1");
	before = kv_sequence(kv);
	txn = begin();
	ok(put(txn, "a", "2"));
	ok(insert(txn, KV_DATA, "d", "2"));
	kv_txn_count(txn, domain, KV_COUNT_BYTES, 7);
	kv_memory_fail(memory, KV_MEMORY_WRITE, 1, -EIO);
	fails(commit(txn), -EIO);
	ck_assert_uint_eq(kv_sequence(kv), before);
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_BYTES), 0);
	holds("a", "1");
	lacks_in(NULL, NULL, KV_DATA, "d");
	ok(kv_verify_sum(kv));
	/* And the same keys can be written by the next one. */
	txn = begin();
	ok(put(txn, "a", "3"));
	ok(insert(txn, KV_DATA, "d", "3"));
	ok(commit(txn));
	ck_assert_uint_eq(kv_sequence(kv), before + 1);
	holds("a", "3");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(a_failed_read_fails_the_commit)
{
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("a", "1");
	shut(); /* what was just written needs no read */
	reopen();
	txn = begin();
	ok(put(txn, "a", "2"));
	kv_memory_fail(memory, KV_MEMORY_GET, 1, -EIO);
	fails(commit(txn), -EIO);
	holds("a", "1");
	finish();
}
END_TEST

START_TEST(limits)
{
	struct kv_txn *txn;
	uint8_t key[KV_KEY_MAX + 1] = {0};
	_cleanup_buf_ struct buf b = {0}, big = {0};

	start(_i);
	ok(buf_resize(&big, KV_VALUE_MAX + 1));
	put_be32(key, domain);
	txn = begin();
	for (size_t len = 0; len <= sizeof key; len++) {
		int expect = len < 4 || len > KV_KEY_MAX ? -EINVAL : 0;

		fails(kv_txn_put(txn, KV_META, key, len, "v", 1), expect);
		fails(kv_txn_touch(txn, KV_META, key, len), expect);
		fails(kv_txn_get(txn, KV_META, key, len, &b), expect);
		fails(kv_txn_delete(txn, KV_META, key, len), expect);
		fails(kv_get(kv, NULL, KV_META, key, len, &b), expect ? expect : -ENOENT);
	}
	fails(kv_txn_put(txn, KV_META, NULL, 8, "v", 1), -EINVAL);
	fails(kv_txn_put(txn, KV_SYS, key, 8, "v", 1), -EINVAL);
	fails(kv_txn_put(txn, KV_FAMILIES, key, 8, "v", 1), -EINVAL);
	fails(kv_txn_put(txn, KV_DATA, key, 8, "v", 1), -EINVAL);
	fails(kv_get(kv, NULL, KV_SYS, key, 8, &b), -EINVAL);
	fails(kv_txn_insert(txn, KV_META, key, 9, big.data, KV_VALUE_MAX + 1), -EINVAL);
	ok(kv_txn_insert(txn, KV_DATA, key, 9, big.data, KV_VALUE_MAX));
	ok(kv_txn_insert(txn, KV_DATA, key, 10, NULL, 0));
	ok(kv_txn_commit(txn, NULL));
	fails(kv_txn_commit(txn, NULL), -EINVAL);
	fails(kv_txn_put(txn, KV_META, key, 8, "v", 1), -EINVAL);
	fails(kv_txn_delete(txn, KV_META, key, 8), -EINVAL);
	kv_txn_free(txn);
	ok(kv_get(kv, NULL, KV_DATA, key, 9, &b));
	ck_assert_uint_eq(b.len, KV_VALUE_MAX);
	ck_assert_mem_eq(b.data, big.data, b.len);
	ok(kv_get(kv, NULL, KV_DATA, key, 10, &b));
	ck_assert_uint_eq(b.len, 0);
	kv_txn_free(NULL);
	kv_view_free(NULL);
	kv_iter_free(NULL);
	finish();
}
END_TEST

START_TEST(insert_of_what_is_known_to_be_there)
{
	struct kv_txn *txn;

	start(_i);
	put_now("a", "1");
	txn = begin();
	holds_in(txn, NULL, KV_META, "a", "1");
	fails(insert(txn, KV_META, "a", "2"), -EEXIST);
	ok(insert(txn, KV_META, "b", "1"));
	fails(insert(txn, KV_META, "b", "2"), -EEXIST);
	ok(remove_key(txn, KV_META, "b"));
	ok(insert(txn, KV_META, "b", "3"));
	ok(commit(txn));
	holds("b", "3");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

static int copy(struct kv_txn *txn, const char *from, const char *to)
{
	struct key a = key_in(domain, from), b = key_in(domain, to);

	return kv_txn_copy(txn, KV_META, a.bytes, a.len, KV_HISTORY, b.bytes, b.len);
}

START_TEST(copy_of_what_stands_there)
{
	struct kv_txn *txn, *other;
	char text[3000];

	start(_i);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	put_now("long", text);
	put_now("short", "s");
	txn = begin();
	ok(copy(txn, "long", "long1"));
	ok(copy(txn, "short", "short1"));
	fails(copy(txn, "short", "short1"), -EEXIST);
	fails(copy(txn, "none", "none1"), -ENOENT);
	ok(put(txn, "short", "2"));
	fails(copy(txn, "short", "short2"), -EINVAL);
	ok(remove_key(txn, KV_META, "long"));
	ok(commit(txn));
	holds_in(NULL, NULL, KV_HISTORY, "long1", text);
	holds_in(NULL, NULL, KV_HISTORY, "short1", "s");
	lacks_in(NULL, NULL, KV_HISTORY, "none1");
	lacks_in(NULL, NULL, KV_HISTORY, "short2");
	lacks("long");
	holds("short", "2");
	ok(kv_verify_sum(kv));
	/* It has read what it copies. */
	txn = begin();
	ok(copy(txn, "short", "short3"));
	other = begin();
	ok(put(other, "short", "3"));
	ok(commit(other));
	fails(commit(txn), -EAGAIN);
	lacks_in(NULL, NULL, KV_HISTORY, "short3");
	finish();
}
END_TEST

START_TEST(data_is_inserted_and_deleted)
{
	struct kv_txn *txn;

	start(_i);
	txn = begin();
	ok(insert(txn, KV_DATA, "c1", "chunk"));
	ok(insert(txn, KV_DATA, "c2", "chunk two"));
	ok(insert(txn, KV_DATA, "gone", "x"));
	ok(remove_key(txn, KV_DATA, "gone"));
	ok(commit(txn));
	holds_in(NULL, NULL, KV_DATA, "c1", "chunk");
	lacks_in(NULL, NULL, KV_DATA, "gone");
	lacks("c1");
	ok(kv_verify_sum(kv));
	txn = begin();
	ok(remove_key(txn, KV_DATA, "c1"));
	ok(commit(txn));
	lacks_in(NULL, NULL, KV_DATA, "c1");
	holds_in(NULL, NULL, KV_DATA, "c2", "chunk two");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(a_large_transaction)
{
	struct kv_txn *txn;
	char text[16], value[64];

	start(_i);
	txn = begin();
	/* In an order that is neither up nor down. */
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "%05u", i * 7919 % 3000);
		snprintf(value, sizeof value, "value of %s", text);
		ok(put(txn, text, value));
	}
	for (unsigned d = 1; d < 40; d++)
		kv_txn_count(txn, d, KV_COUNT_INODES, d);
	ok(commit(txn));
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "%05u", i);
		snprintf(value, sizeof value, "value of %s", text);
		holds(text, value);
	}
	for (unsigned d = 1; d < 40; d++)
		ck_assert_int_eq(kv_counter(kv, d, KV_COUNT_INODES), d);
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(a_swapped_value_is_noticed)
{
	struct key a, b;
	_cleanup_buf_ struct buf value_a = {0}, value_b = {0}, out = {0};
	struct kv_lookup lookups[3];
	struct kv_iter *it;
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("a", "one");
	put_now("b", "two");
	put_now("c", "three");
	shut();
	reopen();
	a = key_in(domain, "a");
	b = key_in(domain, "b");
	ok(kv_memory_peek(memory, KV_META, a.bytes, a.len, &value_a));
	ok(kv_memory_peek(memory, KV_META, b.bytes, b.len, &value_b));
	ok(kv_memory_poke(memory, KV_META, a.bytes, a.len, value_b.data, value_b.len));
	ok(kv_memory_poke(memory, KV_META, b.bytes, b.len, value_a.data, value_a.len));
	fails(look(NULL, NULL, KV_META, "a", &out), -EBADMSG);
	txn = begin();
	fails(look(txn, NULL, KV_META, "b", &out), -EBADMSG);
	kv_txn_free(txn);
	lookups[0] = (struct kv_lookup){.key = a.bytes, .key_len = a.len};
	lookups[1] = (struct kv_lookup){.key = b.bytes, .key_len = b.len};
	b.bytes[4] = 'c';
	lookups[2] = (struct kv_lookup){.key = b.bytes, .key_len = b.len};
	lookups[1].key = "\0\0\0\0zz";
	lookups[1].key_len = 6;
	ok(kv_multi_get(kv, NULL, KV_META, lookups, 3));
	ck_assert_int_eq(lookups[0].result, -EBADMSG);
	ck_assert_int_eq(lookups[1].result, -ENOENT);
	ck_assert_int_eq(lookups[2].result, 0);
	ck_assert_mem_eq(lookups[2].value.data, "three", 5);
	buf_release(&lookups[2].value);
	/* An iteration goes on past it. */
	ok(kv_iter_open(kv, NULL, NULL, KV_META, a.bytes, 4, &it));
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 1);
	fails(kv_iter_value(it, &out), -EBADMSG);
	ck_assert_int_eq(kv_iter_next(it), 1);
	fails(kv_iter_value(it, &out), -EBADMSG);
	ck_assert_int_eq(kv_iter_next(it), 1);
	ok(kv_iter_value(it, &out));
	ck_assert_int_eq(kv_iter_next(it), 0);
	kv_iter_free(it);
	/* A value that is cut to nothing is no crash either. */
	ok(kv_memory_poke(memory, KV_META, a.bytes, a.len, "", 0));
	fails(look(NULL, NULL, KV_META, "a", &out), -EBADMSG);
	finish();
}
END_TEST

START_TEST(domains)
{
	uint32_t second;
	_cleanup_buf_ struct buf b = {0};
	uint64_t h1, h2;
	uint8_t wide[16], wider[16];
	struct kv_txn *txn;
	struct key k;

	start(_i);
	put_now("mine", "1");
	ok(kv_domain_create(kv, &second));
	ck_assert_uint_ne(second, domain);
	k = key_in(second, "theirs");
	txn = begin();
	ok(kv_txn_put(txn, KV_META, k.bytes, k.len, "2", 1));
	ok(commit(txn));
	ok(kv_hash64(kv, domain, 1, "name", 4, &h1));
	ok(kv_hash64(kv, second, 1, "name", 4, &h2));
	ck_assert_uint_ne(h1, h2);
	ok(kv_hash64(kv, domain, 2, "name", 4, &h2));
	ck_assert_uint_ne(h1, h2);
	ok(kv_hash64(kv, domain, 1, "name", 4, &h2));
	ck_assert_uint_eq(h1, h2);
	ok(kv_hash128(kv, domain, 1, "name", 4, wide));
	ok(kv_hash128(kv, domain, 1, "nam", 3, wider));
	ck_assert_mem_ne(wide, wider, sizeof wide);

	ok(kv_domain_destroy(kv, second));
	ck_assert(!kv_domain_exists(kv, second));
	ck_assert(kv_domain_exists(kv, domain));
	fails(kv_get(kv, NULL, KV_META, k.bytes, k.len, &b), -ENOKEY);
	fails(kv_hash64(kv, second, 1, "name", 4, &h2), -ENOKEY);
	fails(kv_hash128(kv, second, 1, "name", 4, wide), -ENOKEY);
	txn = begin();
	fails(kv_txn_put(txn, KV_META, k.bytes, k.len, "3", 1), -ENOKEY);
	fails(kv_txn_get(txn, KV_META, k.bytes, k.len, &b), -ENOKEY);
	/* What cannot be read any more can still be swept. */
	ok(kv_txn_delete(txn, KV_META, k.bytes, k.len));
	ok(commit(txn));
	fails(kv_get(kv, NULL, KV_META, k.bytes, k.len, &b), -ENOENT);
	holds("mine", "1");
	ok(kv_verify_sum(kv));
	fails(kv_domain_destroy(kv, second), -ENOENT);
	finish();
}
END_TEST

START_TEST(views)
{
	struct kv_view *view;

	start(_i);
	put_now("a", "1");
	ok(kv_view_open(kv, &view));
	put_now("a", "2");
	put_now("b", "2");
	holds_in(NULL, view, KV_META, "a", "1");
	lacks_in(NULL, view, KV_META, "b");
	holds("a", "2");
	kv_view_free(view);
	finish();
}
END_TEST

START_TEST(many_at_once)
{
	struct kv_lookup lookups[150] = {0};
	struct key keys[150];
	char text[16];

	start(_i);
	for (int i = 0; i < 150; i++) {
		snprintf(text, sizeof text, "k%d", i);
		keys[i] = key_in(domain, text);
		if (i % 3)
			put_now(text, text);
		lookups[149 - i].key = keys[i].bytes;
		lookups[149 - i].key_len = keys[i].len;
	}
	ok(kv_multi_get(kv, NULL, KV_META, lookups, 150));
	for (int i = 0; i < 150; i++) {
		struct kv_lookup *l = &lookups[149 - i];

		ck_assert_int_eq(l->result, i % 3 ? 0 : -ENOENT);
		if (l->result == 0)
			ck_assert_mem_eq(l->value.data, keys[i].bytes + 4, keys[i].len - 4);
		buf_release(&l->value);
	}
	for (int i = 0; i < 2; i++) {
		ok(kv_multi_get(kv, NULL, KV_META, &lookups[149 - i], 1));
		ck_assert_int_eq(lookups[149 - i].result, i ? 0 : -ENOENT);
		buf_release(&lookups[149 - i].value);
	}
	ok(kv_multi_get(kv, NULL, KV_META, NULL, 0));
	fails(kv_multi_get(kv, NULL, KV_META, &(struct kv_lookup){.key = "ab", .key_len = 2}, 1), -EINVAL);
	lookups[7].key_len = 2;
	fails(kv_multi_get(kv, NULL, KV_META, lookups, 150), -EINVAL);
	finish();
}
END_TEST

#define LARGE 40
#define LARGE_BYTES 12000

/* Every third one compresses, one is empty. */
static void fill_large(uint8_t *bytes, size_t i)
{
	kv_random(bytes, LARGE_BYTES);
	if (i % 3 == 0)
		memset(bytes, (int)i, LARGE_BYTES);
}

/* What does not compress and is of that length lies in its room, the rest is handed out. */
static void in_their_rooms(struct kv_lookup lookups[LARGE], uint8_t bytes[LARGE][LARGE_BYTES])
{
	static uint8_t rooms[LARGE][LARGE_BYTES];

	for (size_t i = 0; i < LARGE; i++) {
		memset(rooms[i], 0xa5, LARGE_BYTES);
		lookups[i].value = (struct buf){0};
		lookups[i].room = i == 5 ? NULL : rooms[i];
		lookups[i].room_len = i == 8 ? LARGE_BYTES - 1 : LARGE_BYTES;
	}
	ok(kv_multi_get(kv, NULL, KV_DATA, lookups, LARGE));
	for (size_t i = 0; i < LARGE; i++) {
		bool there = i % 3 && i != 5 && i != 7 && i != 8;

		ok(lookups[i].result);
		ck_assert_int_eq(lookups[i].in_room, there);
		ck_assert_uint_eq(lookups[i].value.len, there || i == 7 ? 0 : LARGE_BYTES);
		if (there)
			ck_assert_int_eq(memcmp(rooms[i], bytes[i], LARGE_BYTES), 0);
		else
			ck_assert_int_eq(rooms[i][0], 0xa5);
		buf_release(&lookups[i].value);
	}
}

START_TEST(large_ones_at_once)
{
	static uint8_t bytes[LARGE][LARGE_BYTES];
	struct kv_lookup lookups[LARGE] = {0};
	struct kv_insert inserts[LARGE];
	struct key keys[LARGE];
	struct kv_txn *txn;
	char text[16];

	start(_i);
	for (size_t i = 0; i < LARGE; i++) {
		snprintf(text, sizeof text, "k%zu", i);
		keys[i] = key_in(domain, text);
		fill_large(bytes[i], i);
		inserts[i] = (struct kv_insert){.key = keys[i].bytes, .key_len = keys[i].len,
			.value = bytes[i], .value_len = i == 7 ? 0 : LARGE_BYTES};
		lookups[i].key = keys[i].bytes;
		lookups[i].key_len = keys[i].len;
	}
	txn = begin();
	ok(kv_txn_insert_many(txn, KV_DATA, inserts, LARGE));
	fails(kv_txn_insert_many(txn, KV_DATA, inserts, LARGE), -EEXIST);
	ok(commit(txn));
	ok(kv_multi_get(kv, NULL, KV_DATA, lookups, LARGE));
	for (size_t i = 0; i < LARGE; i++) {
		ok(lookups[i].result);
		ck_assert_uint_eq(lookups[i].value.len, inserts[i].value_len);
		ck_assert_int_eq(memcmp(lookups[i].value.data, bytes[i], inserts[i].value_len), 0);
		buf_release(&lookups[i].value);
	}
	in_their_rooms(lookups, bytes);
	ok(kv_verify_sum(kv));
	txn = begin();
	inserts[LARGE - 1].key_len = 2;
	fails(kv_txn_insert_many(txn, KV_DATA, inserts, LARGE), -EINVAL);
	kv_txn_free(txn);
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("txn");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, own_writes_are_visible, 0, ENGINES);
	tcase_add_loop_test(t, sees_the_store_as_of_its_start, 0, ENGINES);
	tcase_add_loop_test(t, conflicts, 0, ENGINES);
	tcase_add_loop_test(t, a_delete_conflicts_and_a_read_of_nothing_too, 0, ENGINES);
	tcase_add_loop_test(t, dropped_or_empty_changes_nothing, 0, ENGINES);
	tcase_add_test(t, a_failed_write_leaves_nothing);
	tcase_add_test(t, a_failed_read_fails_the_commit);
	tcase_add_loop_test(t, limits, 0, ENGINES);
	tcase_add_loop_test(t, insert_of_what_is_known_to_be_there, 0, ENGINES);
	tcase_add_loop_test(t, copy_of_what_stands_there, 0, ENGINES);
	tcase_add_loop_test(t, data_is_inserted_and_deleted, 0, ENGINES);
	tcase_add_loop_test(t, a_large_transaction, 0, ENGINES);
	tcase_add_test(t, a_swapped_value_is_noticed);
	tcase_add_loop_test(t, domains, 0, ENGINES);
	tcase_add_loop_test(t, views, 0, ENGINES);
	tcase_add_loop_test(t, many_at_once, 0, ENGINES);
	tcase_add_loop_test(t, large_ones_at_once, 0, ENGINES);
	return run_case("txn", t);
}
