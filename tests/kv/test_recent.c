/* Records that were just written, or read, are found without the engine, and only by who may see them. */
#include "store.h"

static void no_gets(bool fail)
{
	kv_memory_fail_on(memory, KV_MEMORY_GET, fail ? -EIO : 0);
}

START_TEST(found_without_the_engine)
{
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("k", "1");
	put_now("k", "2");
	no_gets(true);
	txn = begin();
	holds_in(txn, NULL, KV_META, "k", "2");
	ok(put(txn, "k", "3"));
	ok(commit(txn));
	put_now("k", "4"); /* which reads nothing, and yet knows what it replaces */
	txn = begin();
	ok(remove_key(txn, KV_META, "k"));
	ok(commit(txn));
	txn = begin();
	lacks_in(txn, NULL, KV_META, "k");
	ok(insert(txn, KV_META, "k", "5"));
	ok(commit(txn));
	no_gets(false);
	holds("k", "5");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(an_older_view_asks_the_engine)
{
	struct kv_txn *before, *between;

	start(ON_MEMORY);
	before = begin();
	put_now("k", "1");
	between = begin();
	put_now("k", "2");
	lacks_in(before, NULL, KV_META, "k");
	holds_in(between, NULL, KV_META, "k", "1");
	kv_txn_free(before);
	kv_txn_free(between);
	finish();
}
END_TEST

START_TEST(of_a_large_one_only_the_identity)
{
	static char large[4 * RECENT_VALUE];
	struct kv_txn *txn;

	start(ON_MEMORY);
	for (size_t i = 0; i < sizeof large - 1; i++)
		large[i] = (char)(' ' + i * i % 91 * 7 % 90);
	put_now("k", large);
	no_gets(true);
	put_now("k", large);
	txn = begin();
	ok(remove_key(txn, KV_META, "k"));
	ok(commit(txn));
	no_gets(false);
	lacks("k");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(a_refused_write_is_not_noted)
{
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("k", "1");
	kv_memory_fail(memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	txn = begin();
	ok(put(txn, "k", "2"));
	fails(commit(txn), -ENOSPC);
	txn = begin();
	holds_in(txn, NULL, KV_META, "k", "1");
	kv_txn_free(txn);
	finish();
}
END_TEST

START_TEST(a_slot_is_taken_over)
{
	enum { KEYS = 3 * RECENT_SLOTS };
	char key[16], value[16];
	struct kv_txn *txn;

	start(ON_MEMORY);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "k%d", i);
		snprintf(value, sizeof value, "v%d", i);
		put_now(key, value);
	}
	txn = begin();
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof key, "k%d", i);
		snprintf(value, sizeof value, "v%d", i);
		holds_in(txn, NULL, KV_META, key, value);
	}
	kv_txn_free(txn);
	finish();
}
END_TEST

/* Of what was read last, and of what is not there, no second look at the engine is needed; others are read anew. */
START_TEST(what_was_read_is_read_once)
{
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("a", "1");
	put_now("b", "2");
	shut();
	reopen();
	txn = begin();
	lacks_in(txn, NULL, KV_META, "c");
	holds_in(txn, NULL, KV_META, "b", "2");
	holds_in(txn, NULL, KV_META, "a", "1");
	put_now("a", "3");
	put_now("c", "3");
	kv_memory_fail_on(memory, KV_MEMORY_GET, -EIO);
	holds_in(txn, NULL, KV_META, "a", "1");
	lacks_in(txn, NULL, KV_META, "c");
	kv_memory_fail_on(memory, KV_MEMORY_GET, 0);
	holds_in(txn, NULL, KV_META, "b", "2");
	holds_in(txn, NULL, KV_META, "a", "1");
	ok(put(txn, "a", "4"));
	holds_in(txn, NULL, KV_META, "a", "4");
	kv_txn_free(txn);
	holds("a", "3");
	finish();
}
END_TEST

static size_t slot_of(const char *text)
{
	struct key key = key_in(domain, text);

	return kv_key_hash(kv, KV_META, key.bytes, key.len) & (RECENT_SLOTS - 1);
}

/* Each opening has a hash of its own: one by which none of "a", "b" and "c" takes another's slot. */
static void reopen_apart(void)
{
	do {
		shut();
		reopen();
	} while (slot_of("a") == slot_of("b") || slot_of("a") == slot_of("c") || slot_of("b") == slot_of("c"));
}

/* A look keeps what it found, and that there was nothing, for the transaction after it. */
START_TEST(what_was_looked_at_is_kept)
{
	_cleanup_buf_ struct buf value = {0};
	struct key a, prefix;
	struct kv_iter *it;
	struct kv_txn *txn;

	start(ON_MEMORY);
	a = key_in(domain, "a");
	prefix = key_in(domain, "");
	put_now("a", "1");
	put_now("b", "2");
	reopen_apart();
	holds("a", "1");
	lacks("c");
	ok(kv_iter_open(kv, NULL, NULL, KV_META, prefix.bytes, prefix.len, &it));
	kv_iter_keep(it);
	for (int r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it))
		ok(kv_iter_value(it, &value));
	kv_iter_free(it);
	no_gets(true);
	holds("b", "2");
	txn = begin();
	holds_in(txn, NULL, KV_META, "a", "1");
	lacks_in(txn, NULL, KV_META, "c");
	ok(remove_key(txn, KV_META, "b"));
	ok(put(txn, "a", "3"));
	ok(insert(txn, KV_META, "c", "4"));
	ok(commit(txn));
	no_gets(false);
	lacks("b");
	ok(kv_get(kv, NULL, KV_META, a.bytes, a.len, &value));
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

/* Something was committed since the iterator was opened: what it shows is perhaps not so any more. */
START_TEST(what_may_be_old_is_not_kept)
{
	_cleanup_buf_ struct buf value = {0};
	struct key prefix;
	char key[16];
	struct kv_iter *it;

	start(ON_MEMORY);
	prefix = key_in(domain, "");
	put_now("a", "1");
	ok(kv_iter_open(kv, NULL, NULL, KV_META, prefix.bytes, prefix.len, &it));
	kv_iter_keep(it);
	ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 1);
	put_now("a", "2");
	/* Its slot is another one's by now, with all others. */
	for (int i = 0; i < 8 * RECENT_SLOTS; i++) {
		snprintf(key, sizeof key, "k%d", i);
		put_now(key, "");
	}
	ok(kv_iter_value(it, &value));
	kv_iter_free(it);
	holds("a", "2");
	finish();
}
END_TEST

/* The largest value that is kept, and one more byte. */
START_TEST(values_of_just_that_size)
{
	char value[RECENT_VALUE + 2];

	start(ON_MEMORY);
	for (size_t len = RECENT_VALUE - 1; len <= RECENT_VALUE + 1; len++) {
		for (size_t i = 0; i < len; i++)
			value[i] = (char)(' ' + i * i % 89);
		value[len] = '\0';
		put_now("k", value);
		shut();
		reopen();
		holds("k", value);
		no_gets(true);
		if (len <= RECENT_VALUE)
			holds("k", value);
		put_now("k", "small"); /* its identity is known in any case */
		no_gets(false);
		ok(kv_verify_sum(kv));
	}
	finish();
}
END_TEST

/* Nothing is told from memory of a domain that was forgotten. */
START_TEST(a_key_that_is_gone)
{
	_cleanup_buf_ struct buf value = {0};
	uint32_t other;
	struct kv_txn *txn;
	struct key k;

	start(ON_MEMORY);
	ok(kv_domain_create(kv, &other));
	k = key_in(other, "a");
	txn = begin();
	ok(kv_txn_put(txn, KV_META, k.bytes, k.len, "1", 1));
	ok(commit(txn));
	ok(kv_get(kv, NULL, KV_META, k.bytes, k.len, &value));
	ok(kv_domain_destroy(kv, other));
	fails(kv_get(kv, NULL, KV_META, k.bytes, k.len, &value), -ENOKEY);
	finish();
}
END_TEST

static void expect_nothing_at_an_address(struct buf *b)
{
	ck_assert_uint_eq(b->len, 0);
	ck_assert_ptr_nonnull(b->data);
	buf_release(b);
}

/* Who copies what was read, or looks into it, need not ask whether there is any. */
START_TEST(an_empty_value_has_an_address)
{
	struct buf b = {0};
	struct kv_txn *txn;
	struct kv_iter *it;

	start(_i);
	txn = begin();
	ok(put(txn, "k", ""));
	ok(look(txn, NULL, KV_META, "k", &b));
	expect_nothing_at_an_address(&b);
	ok(commit(txn));
	for (int round = 0; round < 2; round++) { /* from what was just written; from the engine */
		txn = begin();
		ok(look(txn, NULL, KV_META, "k", &b));
		expect_nothing_at_an_address(&b);
		kv_txn_free(txn);
		ok(look(NULL, NULL, KV_META, "k", &b));
		expect_nothing_at_an_address(&b);
		ok(kv_iter_open(kv, NULL, NULL, KV_META, NULL, 0, &it));
		ck_assert_int_eq(kv_iter_seek(it, NULL, 0), 1);
		ok(kv_iter_value(it, &b));
		expect_nothing_at_an_address(&b);
		kv_iter_free(it);
		shut();
		reopen();
	}
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("recent");

	tcase_add_test(t, found_without_the_engine);
	tcase_add_test(t, an_older_view_asks_the_engine);
	tcase_add_test(t, of_a_large_one_only_the_identity);
	tcase_add_test(t, a_refused_write_is_not_noted);
	tcase_add_test(t, a_slot_is_taken_over);
	tcase_add_test(t, what_was_read_is_read_once);
	tcase_add_test(t, what_was_looked_at_is_kept);
	tcase_add_test(t, what_may_be_old_is_not_kept);
	tcase_add_test(t, values_of_just_that_size);
	tcase_add_test(t, a_key_that_is_gone);
	tcase_add_loop_test(t, an_empty_value_has_an_address, 0, ENGINES);
	return run_case("recent", t);
}
