#include "store.h"

struct answer {
	_Atomic unsigned calls;
	_Atomic int error;
};

static void answered(void *arg, int error)
{
	struct answer *a = arg;

	atomic_store(&a->error, error);
	atomic_fetch_add(&a->calls, 1);
}

static void wait_answers(struct answer *answers, unsigned n)
{
	for (unsigned tries = 0; tries < 30000; tries++) {
		unsigned done = 0;

		for (unsigned i = 0; i < n; i++)
			done += atomic_load(&answers[i].calls);
		if (done == n)
			return;
		usleep(1000);
	}
	ck_abort_msg("not all waiters were answered");
}

START_TEST(what_is_synced_survives_and_no_more)
{
	struct kv_state state;

	start(ON_MEMORY);
	put_now("a", "1");
	ok(kv_sync(kv));
	ck_assert_uint_eq(kv_synced(kv), kv_sequence(kv));
	put_now("b", "1");
	put_now("a", "2");
	ck_assert_uint_lt(kv_synced(kv), kv_sequence(kv));
	kv_memory_crash(memory, true);
	fails(kv_close(kv), -EIO);
	reopen();
	kv_get_state(kv, &state);
	ck_assert(state.unclean && !state.damaged && !state.mark_lost && !state.read_only);
	ck_assert_uint_eq(state.sequence, 1);
	ck_assert_uint_eq(state.expected, 1);
	holds("a", "1");
	lacks("b");
	ok(kv_verify_sum(kv));
	put_now("b", "3");
	finish();
}
END_TEST

START_TEST(a_dead_process_loses_nothing)
{
	struct kv_state state;

	start(ON_MEMORY);
	put_now("a", "1");
	kv_memory_crash(memory, false);
	fails(kv_close(kv), -EIO);
	reopen();
	kv_get_state(kv, &state);
	ck_assert(state.unclean && !state.damaged);
	holds("a", "1");
	/* What was recovered counts as synced, so it has to be. */
	ck_assert_uint_eq(kv_synced(kv), 1);
	kv_memory_crash(memory, true);
	kv_close(kv);
	reopen();
	kv_get_state(kv, &state);
	ck_assert(!state.damaged);
	holds("a", "1");
	finish();
}
END_TEST

START_TEST(a_key_goes_after_what_refers_to_it)
{
	struct key k;
	struct kv_txn *txn;
	uint32_t gone;

	start(ON_MEMORY);
	ok(kv_domain_create(kv, &gone));
	k = key_in(gone, "a");
	txn = begin();
	ok(kv_txn_put(txn, KV_META, k.bytes, k.len, "1", 1));
	ok(commit(txn));
	ok(kv_sync(kv));
	txn = begin();
	ok(kv_txn_delete(txn, KV_META, k.bytes, k.len));
	ok(commit(txn));
	ok(kv_domain_destroy(kv, gone));
	kv_memory_crash(memory, true);
	kv_close(kv);
	reopen();
	ck_assert(!kv_domain_exists(kv, gone));
	fails(kv_memory_peek(memory, KV_META, k.bytes, k.len, &(struct buf){0}), -ENOENT);
	finish();
}
END_TEST

START_TEST(a_log_that_ends_before_the_mark_is_damage)
{
	struct kv_state state;
	struct key k = {.len = KV_ROW_KEY_BYTES};
	_cleanup_buf_ struct buf row = {0};
	struct kv_txn *txn;

	start(ON_MEMORY);
	put_now("a", "1");
	kv_row_key(0, KV_ROW_COMMIT, k.bytes);
	ok(kv_memory_peek(memory, KV_SYS, k.bytes, k.len, &row));
	put_now("a", "2");
	ok(kv_sync(kv));
	kv_memory_crash(memory, false);
	kv_close(kv);
	ok(kv_memory_poke(memory, KV_SYS, k.bytes, k.len, row.data, row.len));
	reopen();
	kv_get_state(kv, &state);
	ck_assert(state.damaged && state.read_only);
	ck_assert_uint_eq(state.sequence, 1);
	ck_assert_uint_eq(state.expected, 2);
	txn = begin();
	ok(put(txn, "a", "3"));
	fails(commit(txn), -EROFS);
	holds("a", "2");
	shut();
	/* It stays so, and a row that does not open is damage too. */
	ok(kv_memory_poke(memory, KV_SYS, k.bytes, k.len, "garbage", 7));
	reopen();
	kv_get_state(kv, &state);
	ck_assert(state.damaged && state.read_only);
	holds("a", "2");
	finish();
}
END_TEST

START_TEST(nothing_to_sync_is_answered_at_once)
{
	struct answer a = {0};
	unsigned syncs;

	start(ON_MEMORY);
	put_now("a", "1");
	ok(kv_sync(kv));
	syncs = kv_memory_calls(memory, KV_MEMORY_SYNC);
	kv_sync_async(kv, answered, &a);
	ck_assert_uint_eq(atomic_load(&a.calls), 1);
	ck_assert_int_eq(atomic_load(&a.error), 0);
	ok(kv_sync(kv));
	ck_assert_uint_eq(kv_memory_calls(memory, KV_MEMORY_SYNC), syncs);
	finish();
}
END_TEST

START_TEST(one_sync_serves_all)
{
	static struct answer answers[200];

	start(ON_MEMORY);
	kv_memory_slow_sync(memory, 20000);
	put_now("a", "1");
	for (unsigned i = 0; i < 200; i++)
		kv_sync_async(kv, answered, &answers[i]);
	wait_answers(answers, 200);
	for (unsigned i = 0; i < 200; i++)
		ck_assert_int_eq(atomic_load(&answers[i].error), 0);
	ck_assert_uint_le(kv_memory_calls(memory, KV_MEMORY_SYNC), 2);
	finish();
}
END_TEST

START_TEST(a_failed_sync_is_made_good)
{
	struct answer answers[20] = {0};

	start(ON_MEMORY);
	put_now("a", "1");
	ok(kv_sync(kv));
	kv_memory_slow_sync(memory, 20000);
	kv_memory_fail(memory, KV_MEMORY_SYNC, 1, -EIO);
	put_now("b", "1");
	for (unsigned i = 0; i < 20; i++)
		kv_sync_async(kv, answered, &answers[i]);
	wait_answers(answers, 20);
	/* The engine was opened anew and everything synced, before anybody was answered. */
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(atomic_load(&answers[i].error), 0);
	ck_assert_uint_eq(kv_synced(kv), kv_sequence(kv));
	put_now("c", "1");
	ok(kv_sync(kv));
	kv_memory_crash(memory, true);
	kv_close(kv);
	reopen();
	holds("b", "1");
	holds("c", "1");
	finish();
}
END_TEST

START_TEST(a_sync_that_fails_on_reaches_all)
{
	struct answer answers[20] = {0};
	struct kv_state state;
	uint64_t synced;

	start(ON_MEMORY);
	put_now("a", "1");
	ok(kv_sync(kv));
	synced = kv_synced(kv);
	put_now("b", "1");
	kv_memory_fail_on(memory, KV_MEMORY_SYNC, -EIO);
	for (unsigned i = 0; i < 20; i++)
		kv_sync_async(kv, answered, &answers[i]);
	wait_answers(answers, 20);
	for (unsigned i = 0; i < 20; i++)
		ck_assert_int_eq(atomic_load(&answers[i].error), -EIO);
	fails(kv_sync(kv), -EIO);
	ck_assert_uint_eq(kv_synced(kv), synced);
	ck_assert_int_eq(kv_health_error(kv), -EIO);
	holds("b", "1");
	fails(kv_close(kv), -EIO);
	kv_memory_fail_on(memory, KV_MEMORY_SYNC, 0);
	reopen();
	kv_get_state(kv, &state);
	ck_assert(state.unclean && !state.damaged);
	ck_assert_uint_eq(state.expected, synced);
	holds("b", "1");
	put_now("d", "1");
	ok(kv_sync(kv));
	finish();
}
END_TEST

START_TEST(syncs_by_itself)
{
	start(_i);
	shut();
	options.sync_seconds = 3;
	reopen();
	put_now("a", "1");
	ck_assert_uint_lt(kv_synced(kv), kv_sequence(kv));
	for (int tenths = 0; tenths < 31 && kv_synced(kv) < kv_sequence(kv); tenths++)
		usleep(100000);
	ck_assert_uint_eq(kv_synced(kv), kv_sequence(kv));
	finish();
}
END_TEST

START_TEST(close_answers_who_waits_and_syncs)
{
	static struct answer answers[50];
	struct kv_state state;

	start(_i);
	if (memory)
		kv_memory_slow_sync(memory, 5000);
	for (unsigned i = 0; i < 50; i++) {
		put_now("a", "1");
		kv_sync_async(kv, answered, &answers[i]);
	}
	put_now("b", "last");
	shut();
	for (unsigned i = 0; i < 50; i++)
		ck_assert_uint_eq(atomic_load(&answers[i].calls), 1);
	if (memory)
		kv_memory_crash(memory, true);
	reopen();
	kv_get_state(kv, &state);
	ck_assert(!state.unclean && !state.damaged && !state.mark_lost);
	holds("b", "last");
	finish();
}
END_TEST

static void *sync_loop(void *arg)
{
	char text[16];

	for (unsigned i = 0; i < 30; i++) {
		uint64_t sequence = 0;
		int r;

		snprintf(text, sizeof text, "s%u/%u", *(unsigned *)arg, i);
		do { /* a false conflict is possible */
			struct kv_txn *txn = begin();
			ok(put(txn, text, "x"));
			r = kv_txn_commit(txn, &sequence);
			kv_txn_free(txn);
		} while (r == -EAGAIN);
		ok(r);
		ok(kv_sync(kv));
		ck_assert_uint_ge(kv_synced(kv), sequence);
	}
	return NULL;
}

START_TEST(threads_that_sync)
{
	pthread_t threads[8];
	unsigned numbers[8];

	start(_i);
	for (unsigned i = 0; i < 8; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sync_loop, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(kv_synced(kv), kv_sequence(kv));
	if (memory)
		ck_assert_uint_le(kv_memory_calls(memory, KV_MEMORY_SYNC), 240);
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("flusher");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_synced_survives_and_no_more);
	tcase_add_test(t, a_dead_process_loses_nothing);
	tcase_add_test(t, a_key_goes_after_what_refers_to_it);
	tcase_add_test(t, a_log_that_ends_before_the_mark_is_damage);
	tcase_add_test(t, nothing_to_sync_is_answered_at_once);
	tcase_add_test(t, one_sync_serves_all);
	tcase_add_test(t, a_failed_sync_is_made_good);
	tcase_add_test(t, a_sync_that_fails_on_reaches_all);
	tcase_add_loop_test(t, syncs_by_itself, 0, ENGINES);
	tcase_add_loop_test(t, close_answers_who_waits_and_syncs, 0, ENGINES);
	tcase_add_loop_test(t, threads_that_sync, 0, ENGINES);
	return run_case("flusher", t);
}
