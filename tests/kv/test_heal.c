#include "store.h"

/* An engine that a failed write breaks: kv opens it anew. */
static void start_breaking(void)
{
	start(ON_MEMORY);
	kv_memory_breaks(memory, true);
}

/* As fs/core does: begins anew while it is told so. */
static int put_again(const char *text, const char *value)
{
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < 100; i++) {
		struct kv_txn *txn = begin();

		r = put(txn, text, value);
		if (r == 0)
			r = kv_txn_commit(txn, NULL);
		kv_txn_free(txn);
	}
	return r;
}

START_TEST(a_commit_begins_anew_and_succeeds)
{
	struct kv_txn *txn;

	start_breaking();
	put_now("a", "1");
	kv_memory_fail(memory, KV_MEMORY_WRITE, 1, -EIO);
	txn = begin();
	ok(put(txn, "b", "1"));
	fails(commit(txn), -EAGAIN);
	ok(put_again("b", "2"));
	ok(kv_health_error(kv));
	holds("a", "1");
	holds("b", "2");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

/* The bytes of the refused batch are there all the same: its callers were told that they are not. */
START_TEST(a_refused_batch_is_taken_back)
{
	struct key c = {.len = 0};
	struct kv_txn *txn;
	uint64_t sequence;

	start_breaking();
	put_now("a", "1");
	put_now("b", "1");
	sequence = kv_sequence(kv);
	kv_memory_fail_after(memory, -EIO);
	txn = begin();
	ok(put(txn, "a", "2"));
	ok(put(txn, "c", "2"));
	c = key_in(domain, "b");
	ok(kv_txn_delete(txn, KV_META, c.bytes, c.len));
	fails(commit(txn), -EAGAIN);
	while (kv_health_error(kv))
		usleep(1000);
	holds("a", "1");
	holds("b", "1");
	lacks("c");
	ck_assert_uint_eq(kv_sequence(kv), sequence);
	ok(kv_verify_sum(kv));
	put_now("c", "3");
	ck_assert_uint_eq(kv_sequence(kv), sequence + 1);
	shut();
	reopen();
	holds("a", "1");
	holds("b", "1");
	holds("c", "3");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

/* The first opening cannot take it back: whoever reads then must not be believed when the second one has done so. */
START_TEST(what_was_read_of_a_refused_batch_is_forgotten)
{
	_cleanup_buf_ struct buf value = {0};
	struct kv_view *view;
	struct kv_txn *txn;
	struct key a;
	bool read = false;

	start_breaking();
	put_now("a", "1");
	shut();
	reopen();
	a = key_in(domain, "a");
	ok(kv_view_open(kv, &view)); /* nothing is opened anew as long as there is one */
	kv_memory_fail_after(memory, -EIO);
	txn = begin();
	ok(put(txn, "a", "2"));
	fails(commit(txn), -EAGAIN);
	kv_memory_fail_on(memory, KV_MEMORY_WRITE, -EIO);
	kv_view_free(view);
	for (int i = 0; i < 300 && !read; i++) {
		if (kv_get(kv, NULL, KV_META, a.bytes, a.len, &value) == 0)
			read = value.len == 1 && value.data[0] == '2';
		usleep(10000);
	}
	ck_assert(read);
	kv_memory_fail_on(memory, KV_MEMORY_WRITE, 0);
	while (kv_health_error(kv))
		usleep(1000);
	holds("a", "1");
	put_now("a", "3");
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

START_TEST(an_error_that_lasts_reaches_the_caller_and_ends)
{
	start_breaking();
	put_now("a", "1");
	kv_memory_fail_on(memory, KV_MEMORY_WRITE, -ENOSPC);
	/* A disk that takes files and yet fails each write of the engine. */
	fails(put_again("b", "1"), -ENOSPC);
	holds("a", "1");
	kv_memory_fail_on(memory, KV_MEMORY_WRITE, 0);
	for (int i = 0; i < 100 && put_again("b", "2") < 0; i++)
		usleep(100000);
	holds("b", "2");
	ok(kv_sync(kv));
	finish();
}
END_TEST

/* The disk has lost what it had taken: who has the engine open must not go on as if it were there. */
START_TEST(lost_commits_are_not_passed_over)
{
	start_breaking();
	put_now("a", "1");
	ok(kv_sync(kv));
	put_now("b", "1");
	kv_memory_fail(memory, KV_MEMORY_SYNC, 1, -EIO);
	kv_memory_lose(memory);
	fails(kv_sync(kv), -EIO);
	while (!atomic_load(&kv->health.lost)) /* it looks again before it says so */
		usleep(10000);
	fails(put_again("c", "1"), -EIO);
	fails(kv_close(kv), -EIO);
	reopen();
	holds("a", "1");
	lacks("b");
	finish();
}
END_TEST

static void *hold_view(void *arg)
{
	struct kv_view *view;

	ok(kv_view_open(kv, &view));
	atomic_store((_Atomic int *)arg, 1);
	while (atomic_load((_Atomic int *)arg) == 1)
		usleep(1000);
	holds_in(NULL, view, KV_META, "a", "1");
	kv_view_free(view);
	return NULL;
}

START_TEST(a_view_keeps_the_engine)
{
	_Atomic int step = 0;
	pthread_t thread;
	struct kv_txn *txn;

	start_breaking();
	put_now("a", "1");
	pthread_create(&thread, NULL, hold_view, &step);
	while (atomic_load(&step) == 0)
		usleep(1000);
	kv_memory_fail(memory, KV_MEMORY_WRITE, 1, -EIO);
	txn = begin();
	ok(put(txn, "b", "1"));
	fails(commit(txn), -EAGAIN);
	usleep(1500000);
	fails(kv_health_error(kv), -EIO);
	holds("a", "1");
	atomic_store(&step, 2);
	pthread_join(thread, NULL);
	ok(put_again("b", "1"));
	finish();
}
END_TEST

static _Atomic bool enough;

static void *work(void *arg)
{
	char name[16];
	unsigned n = 0;

	snprintf(name, sizeof name, "w%u", *(unsigned *)arg);
	while (!atomic_load(&enough)) {
		ok(put_again(name, "x"));
		holds(name, "x");
		if (++n % 16 == 0)
			ok(kv_sync(kv));
	}
	return NULL;
}

START_TEST(threads_go_on_while_it_is_healed)
{
	pthread_t threads[8];
	unsigned numbers[8];

	start_breaking();
	atomic_store(&enough, false);
	for (unsigned i = 0; i < 8; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		usleep(300000);
		kv_memory_fail(memory, i % 2 ? KV_MEMORY_WRITE : KV_MEMORY_SYNC, 3, -EIO);
	}
	usleep(500000);
	atomic_store(&enough, true);
	for (unsigned i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	ok(kv_sync(kv));
	ok(kv_verify_sum(kv));
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("heal");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_commit_begins_anew_and_succeeds);
	tcase_add_test(t, a_refused_batch_is_taken_back);
	tcase_add_test(t, what_was_read_of_a_refused_batch_is_forgotten);
	tcase_add_test(t, an_error_that_lasts_reaches_the_caller_and_ends);
	tcase_add_test(t, lost_commits_are_not_passed_over);
	tcase_add_test(t, a_view_keeps_the_engine);
	tcase_add_test(t, threads_go_on_while_it_is_healed);
	return run_case("heal", t);
}
