#include "store.h"

static void at(struct kv_iter *it, const char *text)
{
	struct key k = key_in(domain, text);
	size_t len;
	const uint8_t *key = kv_iter_key(it, &len);

	ck_assert_uint_eq(len, k.len);
	ck_assert_mem_eq(key, k.bytes, len);
}

static struct kv_iter *open_at(struct kv_txn *txn, const char *prefix)
{
	struct key k = key_in(domain, prefix);
	struct kv_iter *it = NULL;

	ok(kv_iter_open(kv, NULL, txn, KV_META, k.bytes, k.len, &it));
	return it;
}

static int seek_to(struct kv_iter *it, const char *text, bool back)
{
	struct key k = key_in(domain, text);

	return back ? kv_iter_seek_back(it, k.bytes, k.len) : kv_iter_seek(it, k.bytes, k.len);
}

/* With a transaction or without (the second half of the loop's range), on each engine. */
static struct kv_txn *maybe_txn(int i)
{
	return i >= ENGINES ? begin() : NULL;
}

START_TEST(walks_both_ways)
{
	static const char *const names[] = {"a/1", "a/2", "a/3", "b/1", "c"};
	struct kv_txn *txn;
	struct kv_iter *it;
	struct buf value = {0};

	start(_i % ENGINES);
	for (size_t i = 0; i < 5; i++)
		put_now(names[i], names[i]);
	txn = maybe_txn(_i);
	it = open_at(txn, "a/");
	fails(kv_iter_value(it, &value), -ENOENT);
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 1);
	at(it, "a/1");
	ok(kv_iter_value(it, &value));
	ck_assert_mem_eq(value.data, "a/1", 3);
	buf_release(&value);
	ck_assert_int_eq(kv_iter_next(it), 1);
	at(it, "a/2");
	ck_assert_int_eq(kv_iter_prev(it), 1);
	at(it, "a/1");
	ck_assert_int_eq(kv_iter_next(it), 1);
	ck_assert_int_eq(kv_iter_next(it), 1);
	at(it, "a/3");
	ck_assert_int_eq(kv_iter_next(it), 0);
	ck_assert_int_eq(kv_iter_next(it), 0);
	ck_assert_int_eq(kv_iter_seek_back(it, NULL, 0), 1);
	at(it, "a/3");
	ck_assert_int_eq(kv_iter_prev(it), 1);
	ck_assert_int_eq(kv_iter_prev(it), 1);
	at(it, "a/1");
	ck_assert_int_eq(kv_iter_prev(it), 0);
	ck_assert_int_eq(kv_iter_prev(it), 0);
	kv_iter_free(it);
	it = open_at(txn, "x");
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 0);
	ck_assert_int_eq(kv_iter_seek_back(it, NULL, 0), 0);
	kv_iter_free(it);
	kv_txn_free(txn);
	finish();
}
END_TEST

START_TEST(seeks_between_and_outside)
{
	static const char *const names[] = {"a", "b/2", "b/4", "b/6", "c"};
	struct kv_txn *txn;
	struct kv_iter *it;

	start(_i % ENGINES);
	for (size_t i = 0; i < 5; i++)
		put_now(names[i], names[i]);
	txn = maybe_txn(_i);
	it = open_at(txn, "b/");
	ck_assert_int_eq(seek_to(it, "b/4", false), 1);
	at(it, "b/4");
	ck_assert_int_eq(seek_to(it, "b/3", false), 1);
	at(it, "b/4");
	ck_assert_int_eq(seek_to(it, "b/7", false), 0);
	ck_assert_int_eq(seek_to(it, "a", false), 1);
	at(it, "b/2");
	ck_assert_int_eq(seek_to(it, "", false), 1);
	at(it, "b/2");
	ck_assert_int_eq(seek_to(it, "c", false), 0);
	ck_assert_int_eq(seek_to(it, "b/4", true), 1);
	at(it, "b/4");
	ck_assert_int_eq(seek_to(it, "b/5", true), 1);
	at(it, "b/4");
	ck_assert_int_eq(seek_to(it, "b/1", true), 0);
	ck_assert_int_eq(seek_to(it, "c", true), 1);
	at(it, "b/6");
	ck_assert_int_eq(seek_to(it, "a", true), 0);
	ck_assert_int_eq(seek_to(it, "", true), 0);
	kv_iter_free(it);
	kv_txn_free(txn);
	finish();
}
END_TEST

/* Counts what begins with the @len bytes of @prefix, walking up and down. */
static unsigned count_prefix(struct kv_txn *txn, const void *prefix, size_t len)
{
	struct kv_iter *it;
	unsigned up = 0, down = 0;
	int r;

	ok(kv_iter_open(kv, NULL, txn, KV_META, prefix, len, &it));
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it))
		up++;
	ok(r);
	for (r = kv_iter_seek_back(it, NULL, 0); r > 0; r = kv_iter_prev(it))
		down++;
	ok(r);
	kv_iter_free(it);
	ck_assert_uint_eq(up, down);
	return up;
}

START_TEST(prefixes_that_end_in_ff)
{
	static const char *const names[] = {"\xfe\xff", "\xff", "\xff\xfe", "\xff\xff",
		"\xff\xff\x01", "\xff\xff\xff\xff", "\x01"};
	uint8_t prefix[KV_KEY_MAX], longest[KV_KEY_MAX];
	struct kv_txn *txn;

	start(_i % ENGINES);
	txn = begin();
	for (size_t i = 0; i < 7; i++)
		ok(put(txn, names[i], "x"));
	memset(longest, 0xff, sizeof longest);
	put_be32(longest, domain);
	ok(kv_txn_put(txn, KV_META, longest, sizeof longest, "x", 1));
	if (_i < ENGINES) {
		ok(commit(txn));
		txn = NULL;
	}
	put_be32(prefix, domain);
	prefix[4] = prefix[5] = prefix[6] = 0xff;
	ck_assert_uint_eq(count_prefix(txn, prefix, 4), 8);
	ck_assert_uint_eq(count_prefix(txn, prefix, 5), 6);
	ck_assert_uint_eq(count_prefix(txn, prefix, 6), 4);
	ck_assert_uint_eq(count_prefix(txn, prefix, 7), 2);
	ck_assert_uint_eq(count_prefix(txn, longest, sizeof longest), 1);
	ck_assert_uint_eq(count_prefix(txn, "", 0), 8);
	ck_assert_uint_eq(count_prefix(txn, "\xff\xff\xff\xff", 4), 0);
	ck_assert_uint_eq(count_prefix(txn, prefix, 3), 8);
	kv_txn_free(txn);
	finish();
}
END_TEST

START_TEST(bad_arguments)
{
	uint8_t prefix[KV_KEY_MAX + 1] = {0};
	struct kv_txn *txn;
	struct kv_view *view;
	struct kv_iter *it;

	start(_i);
	txn = begin();
	ok(kv_view_open(kv, &view));
	fails(kv_iter_open(kv, NULL, NULL, KV_META, prefix, sizeof prefix, &it), -EINVAL);
	fails(kv_iter_open(kv, NULL, NULL, KV_SYS, prefix, 4, &it), -EINVAL);
	fails(kv_iter_open(kv, view, txn, KV_META, prefix, 4, &it), -EINVAL);
	kv_view_free(view);
	kv_txn_free(txn);
	finish();
}
END_TEST

/*
 * A model: which of the keys 0 … MODEL-1 are there, and in which version. A base is committed, then
 * a transaction puts and deletes at random, and a random walk over the merged iterator is compared
 * with the model at each step, while the transaction goes on changing now and then.
 */
#define MODEL 60

struct model {
	bool there[MODEL];
	unsigned version[MODEL];
};

static void change(struct kv_txn *txn, struct model *m, uint32_t *seed)
{
	unsigned i = dice(seed, MODEL);
	char text[16], value[16];

	snprintf(text, sizeof text, "m%02u", i);
	if (dice(seed, 2)) {
		snprintf(value, sizeof value, "%u", ++m->version[i]);
		ok(put(txn, text, value));
		m->there[i] = true;
	} else {
		ok(remove_key(txn, KV_META, text));
		m->there[i] = false;
	}
}

/* The model's neighbour of @i in @direction, or -1. */
static int neighbour(const struct model *m, int i, int direction)
{
	for (i += direction; i >= 0 && i < MODEL; i += direction)
		if (m->there[i])
			return i;
	return -1;
}

static void check_at(struct kv_iter *it, const struct model *m, int i)
{
	_cleanup_buf_ struct buf b = {0};
	char text[16], value[16];

	snprintf(text, sizeof text, "m%02d", i);
	at(it, text);
	snprintf(value, sizeof value, "%u", m->version[i]);
	ok(kv_iter_value(it, &b));
	ck_assert_uint_eq(b.len, strlen(value));
	ck_assert_mem_eq(b.data, value, b.len);
}

static void random_walk(struct kv_txn *txn, struct model *m, uint32_t *seed)
{
	struct kv_iter *it = open_at(txn, "m");
	int here = -1;

	for (int step = 0; step < 400; step++) {
		int r, expect, move = (int)dice(seed, 8);
		char text[16];

		if (dice(seed, 10) == 0)
			change(txn, m, seed);
		if (here < 0 || move == 0) {
			bool back = dice(seed, 2);
			int to = (int)dice(seed, MODEL);
			snprintf(text, sizeof text, "m%02d", to);
			r = seek_to(it, text, back);
			expect = back ? neighbour(m, to + 1, -1) : neighbour(m, to - 1, 1);
		} else if (move < 4) {
			r = kv_iter_prev(it);
			expect = neighbour(m, here, -1);
		} else {
			r = kv_iter_next(it);
			expect = neighbour(m, here, 1);
		}
		ck_assert_int_eq(r, expect >= 0);
		here = expect;
		if (here >= 0)
			check_at(it, m, here);
	}
	kv_iter_free(it);
}

START_TEST(merged_walk_is_the_model)
{
	struct model m = {0};
	uint32_t seed = 7;

	start(_i);
	put_now("l", "before");
	put_now("n", "behind");
	for (int round = 0; round < 12; round++) {
		struct kv_txn *txn = begin();

		for (unsigned n = dice(&seed, 40); n > 0; n--)
			change(txn, &m, &seed);
		/* Keys that were only read are no records. */
		ok(touch(txn, "m1"));
		lacks_in(txn, NULL, KV_META, "m000");
		random_walk(txn, &m, &seed);
		ok(commit(txn));
		ok(kv_verify_sum(kv));
	}
	finish();
}
END_TEST

START_TEST(deletes_what_it_walks_over)
{
	struct kv_txn *txn;
	struct kv_iter *it;
	char text[16];
	unsigned n = 0;

	start(_i);
	for (unsigned i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "d%02u", i);
		put_now(text, "x");
	}
	put_now("e", "stays");
	txn = begin();
	ok(put(txn, "d25x", "mine"));
	it = open_at(txn, "d");
	for (int r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);

		ok(kv_txn_delete(txn, KV_META, key, len));
		n++;
	}
	ck_assert_uint_eq(n, 51);
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 0);
	kv_iter_free(it);
	ok(commit(txn));
	ck_assert_uint_eq(count_prefix(NULL, "", 0), 1);
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(later_commits_are_not_seen)
{
	struct kv_view *view;
	struct kv_iter *plain, *viewed, *in_txn;
	struct kv_txn *txn;
	struct key k;
	uint8_t prefix[4];

	start(_i);
	put_be32(prefix, domain);
	put_now("a", "1");
	ok(kv_view_open(kv, &view));
	txn = begin();
	ok(kv_iter_open(kv, NULL, NULL, KV_META, prefix, 4, &plain));
	put_now("b", "2");
	k = key_in(domain, "b");
	ok(kv_iter_open(kv, view, NULL, KV_META, prefix, 4, &viewed));
	ok(kv_iter_open(kv, NULL, txn, KV_META, prefix, 4, &in_txn));
	ck_assert_int_eq(kv_iter_seek(plain, k.bytes, k.len), 0);
	ck_assert_int_eq(kv_iter_seek(viewed, k.bytes, k.len), 0);
	ck_assert_int_eq(kv_iter_seek(in_txn, k.bytes, k.len), 0);
	ck_assert_int_eq(kv_iter_seek_back(viewed, NULL, 0), 1);
	at(viewed, "a");
	kv_iter_free(plain);
	kv_iter_free(viewed);
	kv_iter_free(in_txn);
	kv_view_free(view);
	kv_txn_free(txn);
	ck_assert_uint_eq(count_prefix(NULL, prefix, 4), 2);
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("iter");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, walks_both_ways, 0, 2 * ENGINES);
	tcase_add_loop_test(t, seeks_between_and_outside, 0, 2 * ENGINES);
	tcase_add_loop_test(t, prefixes_that_end_in_ff, 0, 2 * ENGINES);
	tcase_add_loop_test(t, bad_arguments, 0, ENGINES);
	tcase_add_loop_test(t, merged_walk_is_the_model, 0, ENGINES);
	tcase_add_loop_test(t, deletes_what_it_walks_over, 0, ENGINES);
	tcase_add_loop_test(t, later_commits_are_not_seen, 0, ENGINES);
	return run_case("iter", t);
}
