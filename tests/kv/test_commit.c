#include "store.h"

/* Adds @delta to a domain's bytes in a transaction of its own. */
static void count_now(uint32_t in, int64_t delta)
{
	struct kv_txn *txn = begin();

	kv_txn_count(txn, in, KV_COUNT_BYTES, delta);
	ok(commit(txn));
}

START_TEST(row_bytes)
{
	static const uint8_t golden[] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0xa0, 1, 2, 3, 4, 5, 6,
		7, 0xb0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4};
	struct kv_commit_row row = {.sequence = 0x102, .n = 1}, back;
	uint8_t bytes[KV_COMMIT_ROW_MAX + 1];
	size_t len;

	row.sum = (kv_sum)0xa001020304050607 << 64 | 0xb001020304050607;
	row.count[0] = (struct kv_count){.domain = 9, .value = {1, -2, 3, 4}};
	len = kv_commit_row_encode(&row, bytes);
	ck_assert_uint_eq(len, sizeof golden);
	ck_assert_mem_eq(bytes, golden, len);
	ok(kv_commit_row_decode(bytes, len, &back));
	ck_assert_uint_eq(back.sequence, row.sequence);
	ck_assert(back.sum == row.sum);
	ck_assert_int_eq(back.count[0].value[1], -2);
	for (size_t cut = 0; cut < len; cut++)
		fails(kv_commit_row_decode(bytes, cut, &back), -EBADMSG);
	fails(kv_commit_row_decode(bytes, len + 1, &back), -EBADMSG);
	bytes[1] = KV_RECENT + 1;
	fails(kv_commit_row_decode(bytes, len, &back), -EBADMSG);
	bytes[1] = 1;
	bytes[3] = 1;
	fails(kv_commit_row_decode(bytes, len, &back), -EBADMSG);
	/* A line, in the second format and no other. */
	row.line = 0x123;
	len = kv_commit_row_encode(&row, bytes);
	ck_assert_mem_eq(bytes, ((uint8_t[]){2, 1, 0x01, 0x23}), 4);
	ck_assert_mem_eq(bytes + 4, golden + 4, len - 4);
	ok(kv_commit_row_decode(bytes, len, &back));
	ck_assert_uint_eq(back.line, 0x123);
	bytes[2] = bytes[3] = 0;
	fails(kv_commit_row_decode(bytes, len, &back), -EBADMSG);
	bytes[0] = 3;
	fails(kv_commit_row_decode(bytes, len, &back), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(counters_row_bytes)
{
	struct kv_count count = {.domain = 5, .value = {1, -1, INT64_MAX, INT64_MIN}}, back;
	uint8_t bytes[KV_COUNTERS_ROW_BYTES];

	kv_counters_row_encode(&count, bytes);
	ok(kv_counters_row_decode(5, bytes, sizeof bytes, &back));
	ck_assert_uint_eq(back.domain, 5);
	ck_assert_mem_eq(back.value, count.value, sizeof count.value);
	for (size_t cut = 0; cut < sizeof bytes; cut++)
		fails(kv_counters_row_decode(5, bytes, cut, &back), -EBADMSG);
	bytes[2] = 1;
	fails(kv_counters_row_decode(5, bytes, sizeof bytes, &back), -EBADMSG);
	bytes[0] = 9;
	fails(kv_counters_row_decode(5, bytes, sizeof bytes, &back), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(counters_outlive_the_row)
{
	int64_t expect[60] = {0}, total = 0;
	uint32_t seed = 3;

	start(_i);
	for (int round = 0; round < 300; round++) {
		struct kv_txn *txn = begin();

		for (uint32_t n = 1 + dice(&seed, 25); n > 0; n--) {
			uint32_t d = dice(&seed, 60);
			int64_t delta = (int64_t)dice(&seed, 2000) - 1000;
			kv_txn_count(txn, d, KV_COUNT_BYTES, delta);
			expect[d] += delta;
			total += delta;
		}
		ok(commit(txn));
		if (round % 100 == 50) {
			shut();
			reopen();
		}
	}
	for (uint32_t d = 0; d < 60; d++)
		ck_assert_int_eq(kv_counter(kv, d, KV_COUNT_BYTES), expect[d]);
	shut();
	reopen();
	for (uint32_t d = 0; d < 60; d++)
		ck_assert_int_eq(kv_counter(kv, d, KV_COUNT_BYTES), expect[d]);
	ck_assert_int_eq(kv_counter_total(kv, KV_COUNT_BYTES), total);
	ck_assert_int_eq(kv_counter_total(kv, KV_COUNT_INODES), 0);
	finish();
}
END_TEST

#define THREADS 8
#define ROUNDS 150

struct worker {
	pthread_t thread;
	unsigned number, conflicts;
};

static int read_number(struct kv_txn *txn, const char *text)
{
	_cleanup_buf_ struct buf b = {0};
	int r = look(txn, NULL, KV_META, text, &b);

	if (r == -ENOENT)
		return 0;
	ok(r);
	ok(buf_append(&b, "", 1));
	return atoi((const char *)b.data);
}

/* Each round counts, writes a record of its own, and adds one to a record that all share. */
static void *work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		char own[24], value[16];
		int r;

		snprintf(own, sizeof own, "own/%u/%u", w->number, i);
		do {
			struct kv_txn *txn = begin();

			snprintf(value, sizeof value, "%d", read_number(txn, "shared") + 1);
			ok(put(txn, "shared", value));
			ok(insert(txn, KV_DATA, own, value));
			kv_txn_count(txn, domain, KV_COUNT_INODES, 1);
			kv_txn_count(txn, 100 + w->number, KV_COUNT_BYTES, 2);
			r = commit(txn);
			ck_assert(r == 0 || r == -EAGAIN);
			w->conflicts += r < 0;
		} while (r < 0);
	}
	return NULL;
}

START_TEST(no_update_is_lost_between_threads)
{
	struct worker workers[THREADS];
	uint64_t before;

	start(_i);
	before = kv_sequence(kv);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	ck_assert_int_eq(read_number(NULL, "shared"), THREADS * ROUNDS);
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_INODES), THREADS * ROUNDS);
	for (uint32_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(kv_counter(kv, 100 + i, KV_COUNT_BYTES), 2 * ROUNDS);
	/* Dense: refused ones took no number. */
	ck_assert_uint_eq(kv_sequence(kv), before + THREADS * ROUNDS);
	ok(kv_verify_sum(kv));
	shut();
	reopen();
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_INODES), THREADS * ROUNDS);
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

static void *work_alone(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct kv_txn *txn = begin();
		char text[24];

		snprintf(text, sizeof text, "t%u/%u", w->number, i);
		ok(put(txn, text, "x"));
		kv_txn_count(txn, domain, KV_COUNT_INODES, 1);
		/* Not even a false conflict can be excluded; a failed write cannot either. */
		w->conflicts += commit(txn) < 0;
	}
	return NULL;
}

START_TEST(a_failed_write_among_threads)
{
	struct worker workers[THREADS];
	unsigned lost = 0;
	uint64_t before;

	start(ON_MEMORY);
	before = kv_sequence(kv);
	kv_memory_fail(memory, KV_MEMORY_WRITE, 40, -EIO);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		ck_assert_int_eq(
			pthread_create(&workers[i].thread, NULL, work_alone, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		lost += workers[i].conflicts;
	}
	ck_assert_uint_ge(lost, 1);
	ck_assert_uint_eq(kv_sequence(kv), before + THREADS * ROUNDS - lost);
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_INODES), THREADS * ROUNDS - lost);
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

static void random_change(struct kv_txn *txn, uint32_t *seed)
{
	static const char *const values[] = {"", "x", "a longer value, of some length"};
	char text[16];
	int r = 0;

	snprintf(text, sizeof text, "r%u", dice(seed, 40));
	switch (dice(seed, 6)) {
	case 0:
		ok(remove_key(txn, KV_META, text));
		break;
	case 1: {
		_cleanup_buf_ struct buf b = {0};
		r = look(txn, NULL, KV_META, text, &b);
		if (r == -ENOENT)
			r = insert(txn, KV_META, text, values[1]);
		break;
	}
	case 2: {
		_cleanup_buf_ struct buf b = {0};
		r = look(txn, NULL, KV_DATA, text, &b);
		r = r == -ENOENT ? insert(txn, KV_DATA, text, values[2])
				 : remove_key(txn, KV_DATA, text);
		break;
	}
	default:
		ok(put(txn, text, values[dice(seed, 3)]));
	}
	ok(r);
}

START_TEST(sum_is_that_of_the_records)
{
	uint32_t seed = 11;

	start(_i);
	for (int round = 0; round < 120; round++) {
		struct kv_txn *txn = begin();

		for (uint32_t n = dice(&seed, 12); n > 0; n--)
			random_change(txn, &seed);
		if (dice(&seed, 5) == 0)
			kv_txn_free(txn);
		else
			ok(commit(txn));
		if (round % 10 == 0)
			ok(kv_verify_sum(kv));
		if (round % 50 == 49) {
			shut();
			reopen();
		}
	}
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(sum_notices_what_a_seal_does_not)
{
	struct key k;
	struct kv_txn *txn;
	struct kv_view *view;
	_cleanup_buf_ struct buf old = {0}, new = {0};

	start(ON_MEMORY);
	put_now("a", "old");
	put_now("b", "other");
	txn = begin();
	ok(insert(txn, KV_DATA, "d", "chunk"));
	ok(commit(txn));
	k = key_in(domain, "a");
	ok(kv_memory_peek(memory, KV_META, k.bytes, k.len, &old));
	put_now("a", "new");
	ok(kv_memory_peek(memory, KV_META, k.bytes, k.len, &new));
	ok(kv_verify_sum(kv));
	/* An earlier version put back opens, and is noticed by the sum alone. */
	ok(kv_memory_poke(memory, KV_META, k.bytes, k.len, old.data, old.len));
	ok(kv_view_open(kv, &view)); /* others know what was written last */
	holds_in(NULL, view, KV_META, "a", "old");
	kv_view_free(view);
	fails(kv_verify_sum(kv), -EBADMSG);
	ok(kv_memory_poke(memory, KV_META, k.bytes, k.len, new.data, new.len));
	ok(kv_verify_sum(kv));
	/* A record that is gone. */
	ok(kv_memory_poke(memory, KV_META, k.bytes, k.len, NULL, 0));
	fails(kv_verify_sum(kv), -EBADMSG);
	ok(kv_memory_poke(memory, KV_META, k.bytes, k.len, new.data, new.len));
	k = key_in(domain, "d");
	ok(kv_memory_peek(memory, KV_DATA, k.bytes, k.len, &old));
	ok(kv_memory_poke(memory, KV_DATA, k.bytes, k.len, NULL, 0));
	fails(kv_verify_sum(kv), -EBADMSG);
	ok(kv_memory_poke(memory, KV_DATA, k.bytes, k.len, old.data, old.len));
	ok(kv_verify_sum(kv));
	/* And one that is cut to nothing. */
	k = key_in(domain, "b");
	ok(kv_memory_poke(memory, KV_META, k.bytes, k.len, "x", 1));
	fails(kv_verify_sum(kv), -EBADMSG);
	finish();
}
END_TEST

START_TEST(nearly_full)
{
	struct kv_txn *txn;
	struct kv_space space;

	start(_i);
	put_now("a", "1");
	ok(kv_space(kv, &space));
	ck_assert_uint_gt(space.available, 0);
	ck_assert_uint_lt(space.available, space.total);
	shut();
	options.reserve_bytes = UINT64_MAX / 2;
	reopen();
	ok(kv_space(kv, &space));
	ck_assert_uint_eq(space.available, 0);
	ck_assert_uint_gt(space.total, 0);
	txn = begin();
	ok(put(txn, "b", "1"));
	fails(commit(txn), -ENOSPC);
	lacks("b");
	holds("a", "1");
	txn = begin();
	ok(remove_key(txn, KV_META, "a"));
	kv_txn_set_shrinking(txn);
	ok(commit(txn));
	lacks("a");
	finish();
}
END_TEST

START_TEST(read_only)
{
	struct kv_txn *txn;
	uint32_t d;

	start(_i);
	put_now("a", "1");
	shut();
	options.read_only = true;
	reopen();
	holds("a", "1");
	txn = begin();
	holds_in(txn, NULL, KV_META, "a", "1");
	ok(commit(txn));
	txn = begin();
	ok(put(txn, "b", "1"));
	fails(commit(txn), -EROFS);
	txn = begin();
	kv_txn_count(txn, domain, KV_COUNT_BYTES, 1);
	fails(commit(txn), -EROFS);
	fails(kv_domain_create(kv, &d), -EROFS);
	fails(kv_domain_destroy(kv, domain), -EROFS);
	ok(kv_sync(kv));
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(sequences_rise_by_one)
{
	start(_i);
	for (uint64_t i = kv_sequence(kv); i < 20; i++) {
		struct kv_txn *txn = begin();
		uint64_t sequence = 0;

		ok(put(txn, "k", "v"));
		ok(kv_txn_commit(txn, &sequence));
		kv_txn_free(txn);
		ck_assert_uint_eq(sequence, i + 1);
		ck_assert_uint_eq(kv_sequence(kv), i + 1);
	}
	count_now(domain, 1);
	ck_assert_uint_eq(kv_sequence(kv), 21);
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("commit");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, row_bytes);
	tcase_add_test(t, counters_row_bytes);
	tcase_add_loop_test(t, counters_outlive_the_row, 0, ENGINES);
	tcase_add_loop_test(t, no_update_is_lost_between_threads, 0, ENGINES);
	tcase_add_test(t, a_failed_write_among_threads);
	tcase_add_loop_test(t, sum_is_that_of_the_records, 0, ENGINES);
	tcase_add_test(t, sum_notices_what_a_seal_does_not);
	tcase_add_loop_test(t, nearly_full, 0, ENGINES);
	tcase_add_loop_test(t, read_only, 0, ENGINES);
	tcase_add_loop_test(t, sequences_rise_by_one, 0, ENGINES);
	return run_case("commit", t);
}
