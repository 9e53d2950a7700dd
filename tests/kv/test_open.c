/* Opening: locks, marks, what a killed process and a damaged log leave. RocksDB, but where said. */
#include "files.h"

struct amount {
	unsigned synced, unsynced;
};

static void write_records(const void *arg)
{
	const struct amount *amount = arg;
	char text[16];

	for (unsigned i = 0; i < amount->synced + amount->unsynced; i++) {
		snprintf(text, sizeof text, "r%u", i);
		put_now(text, "a value that is long enough to stand out in the log");
		if (i + 1 == amount->synced)
			ok(kv_sync(kv));
	}
}

/*
 * A process opens the store, commits @synced records, syncs, commits @unsynced more and is killed.
 * The records are r0, r1 …
 */
static void die_after(unsigned synced, unsigned unsynced)
{
	die_in(write_records, &(struct amount){synced, unsynced});
}

START_TEST(refusals)
{
	struct kv_unlock wrong = {
		.type = KEYRING_PASSPHRASE, .secret = "wrong horse!!", .secret_len = 13};
	struct kv *other = NULL;
	char path[96];

	start(_i);
	put_now("a", "1");
	shut();
	fails(kv_open(store, &wrong, &options, &other), -EKEYREJECTED);
	snprintf(path, sizeof path, "%s/empty", dir);
	fails(kv_open(path, &pass, &options, &other), -ENOENT);
	ok(mkdir(path, 0700));
	fails(kv_open(path, &pass, &options, &other), -ENOENT);
	/* And nothing was left in what is no store. */
	ok(rmdir(path));
	ck_assert_ptr_null(other);
	reopen();
	ck_assert(!state_now().unclean);
	holds("a", "1");
	finish();
}
END_TEST

START_TEST(one_holder)
{
	struct kv *other = NULL;
	pid_t pid;
	int status;

	start(_i);
	ck_assert_int_eq(kv_holder(store), getpid());
	fails(kv_open(store, &pass, &options, &other), -EBUSY);
	pid = fork();
	if (pid == 0) {
		struct kv_options rocks = {0};
		int r = kv_open(store, &pass, &rocks, &other);
		_exit(r == -EBUSY && kv_holder(store) == getppid() ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	shut();
	ck_assert_int_eq(kv_holder(store), 0);
	ck_assert_int_eq(kv_holder("/nonexistent"), 0);
	reopen();
	finish();
}
END_TEST

START_TEST(closed_in_order)
{
	struct kv_state state;

	start(_i);
	state = state_now();
	ck_assert(!state.unclean && !state.damaged && !state.mark_lost && !state.read_only);
	put_now("a", "1");
	put_now("a", "2");
	shut();
	reopen();
	state = state_now();
	ck_assert(!state.unclean && !state.damaged && !state.mark_lost && !state.read_only);
	ck_assert_uint_eq(state.sequence, 2);
	ck_assert_uint_eq(state.expected, 2);
	ck_assert_uint_eq(kv_sequence(kv), 2);
	ck_assert_uint_eq(kv_synced(kv), 2);
	ck_assert_str_eq(kv_cipher_name(kv), "xchacha20-poly1305");
	finish();
}
END_TEST

static int count_logs(void)
{
	char path[128];
	struct dirent *d;
	int n = 0;

	snprintf(path, sizeof path, "%s/db", store);
	DIR *db = opendir(path);
	ck_assert_ptr_nonnull(db);
	while ((d = readdir(db)))
		n += strstr(d->d_name, ".log") != NULL;
	closedir(db);
	return n;
}

START_TEST(empty_logs_do_not_add_up)
{
	start(ON_ROCKS);
	put_now("k", "1");
	for (int i = 0; i < 5; i++) {
		shut();
		reopen();
	}
	ck_assert_int_le(count_logs(), 2);
	holds("k", "1");
	put_now("k", "2");
	shut();
	reopen();
	holds("k", "2");
	finish();
}
END_TEST

START_TEST(modes)
{
	static const char *const names[] = {"", "db", "mark", "lock", "keyring"};
	struct stat st;

	start(ON_ROCKS);
	put_now("a", "1");
	for (size_t i = 0; i < 5; i++) {
		ok(stat(in_store(names[i]), &st));
		ck_assert_uint_eq(st.st_mode & 077, 0);
	}
	finish();
}
END_TEST

START_TEST(killed)
{
	struct kv_state state;

	start(ON_ROCKS);
	die_after(20, 30);
	ck_assert_int_eq(kv_holder(store), 0);
	reopen();
	state = state_now();
	ck_assert(state.unclean && !state.damaged && !state.mark_lost);
	ck_assert_uint_eq(state.expected, 20);
	ck_assert_uint_eq(state.sequence, 50);
	ck_assert_uint_eq(records_there(), 50);
	ok(kv_verify_sum(kv));
	put_now("after", "1");
	shut();
	reopen();
	ck_assert(!state_now().unclean);
	ck_assert_uint_eq(records_there(), 50);
	finish();
}
END_TEST

START_TEST(killed_before_the_first_sync)
{
	start(ON_ROCKS);
	die_after(0, 3);
	reopen();
	ck_assert(state_now().unclean && !state_now().damaged);
	ck_assert_uint_eq(records_there(), 3);
	finish();
}
END_TEST

START_TEST(a_flipped_byte_below_the_mark)
{
	struct kv_state state;
	struct kv_txn *txn;
	char log[160];
	off_t size, end;

	start(ON_ROCKS);
	die_after(200, 10);
	find_file(".log", log);
	size = size_of(log);
	end = end_of_records(log);
	flip_byte(log, end / 2);
	for (int again = 0; again < 2; again++) {
		unsigned there;

		reopen();
		state = state_now();
		ck_assert(state.damaged && state.read_only && state.unclean);
		ck_assert_uint_eq(state.expected, 200);
		ck_assert_uint_lt(state.sequence, 200);
		there = records_there();
		ck_assert_uint_eq(there, state.sequence);
		ck_assert_uint_ge(there, 50);
		ok(kv_verify_sum(kv));
		txn = begin();
		ok(put(txn, "x", "1"));
		fails(commit(txn), -EROFS);
		shut();
		/* The log is as it was: what lies behind the damage is not lost by looking. */
		ck_assert_int_eq(size_of(log), size);
	}
	flip_byte(log, end / 2);
	reopen();
	ck_assert(!state_now().damaged);
	ck_assert_uint_eq(records_there(), 210);
	finish();
}
END_TEST

START_TEST(a_flipped_byte_above_the_mark)
{
	char log[160];

	start(ON_ROCKS);
	die_after(50, 100);
	find_file(".log", log);
	flip_byte(log, end_of_records(log) * 9 / 10);
	reopen();
	/* As a crash may leave it: what was promised is there. */
	ck_assert(state_now().unclean && !state_now().damaged);
	ck_assert_uint_ge(records_there(), 50);
	ck_assert_uint_lt(records_there(), 150);
	ck_assert_uint_eq(records_there(), kv_sequence(kv));
	ok(kv_verify_sum(kv));
	put_now("on", "1");
	finish();
}
END_TEST

START_TEST(a_flipped_byte_in_a_table)
{
	_cleanup_buf_ struct buf b = {0};
	unsigned lost = 0;
	uint8_t value[400];
	char path[160];
	struct kv_iter *it;
	int r;

	start(ON_ROCKS);
	for (unsigned i = 0; i < 500; i++) {
		struct kv_txn *txn = begin();
		struct key k = key_in(domain, "");

		put_be32(k.bytes + 4, i);
		kv_random(value, sizeof value);
		put_be32(value, i);
		ok(kv_txn_put(txn, KV_META, k.bytes, 8, value, sizeof value));
		ok(commit(txn));
	}
	shut();
	find_file(".sst", path);
	flip_byte(path, size_of(path) / 2);
	reopen();
	ck_assert(!state_now().damaged);
	for (unsigned i = 0; i < 500; i++) {
		struct key k = key_in(domain, "");

		put_be32(k.bytes + 4, i);
		r = kv_get(kv, NULL, KV_META, k.bytes, 8, &b);
		ck_assert(r == 0 || r == -EBADMSG);
		if (r == 0)
			ck_assert_uint_eq(get_be32(b.data), i);
		lost += r < 0;
	}
	/* One block of a few records. */
	ck_assert_uint_ge(lost, 1);
	ck_assert_uint_le(lost, 20);
	ck_assert_int_lt(kv_verify_sum(kv), 0);
	ok(kv_iter_open(kv, NULL, NULL, KV_META, "", 0, &it));
	for (r = kv_iter_seek(it, NULL, 0); r > 0;)
		r = kv_iter_next(it);
	fails(r, -EBADMSG);
	kv_iter_free(it);
	finish();
}
END_TEST

START_TEST(marks_that_are_lost)
{
	start(_i);
	put_now("a", "1");
	ok(kv_sync(kv));
	put_now("a", "2");
	shut();
	/* One slot of the two: the other still speaks. */
	flip_byte(in_store("mark"), 30);
	reopen();
	ck_assert(!state_now().mark_lost && !state_now().damaged);
	shut();
	flip_byte(in_store("mark"), 30);
	flip_byte(in_store("mark"), 64 + 30);
	reopen();
	ck_assert(!state_now().damaged);
	shut();
	flip_byte(in_store("mark"), 5);
	flip_byte(in_store("mark"), 64 + 63);
	reopen();
	ck_assert(state_now().mark_lost && !state_now().damaged && !state_now().read_only);
	ck_assert_uint_eq(kv_sequence(kv), 2);
	shut();
	reopen();
	ck_assert(!state_now().mark_lost);
	shut();
	ok(unlink(in_store("mark")));
	reopen();
	ck_assert(state_now().mark_lost);
	holds("a", "2");
	put_now("a", "3");
	shut();
	reopen();
	ck_assert(!state_now().mark_lost && !state_now().unclean);
	finish();
}
END_TEST

START_TEST(an_engine_that_is_gone)
{
	struct kv *other = NULL;

	start(ON_ROCKS);
	put_now("a", "1");
	shut();
	ok(suite_remove(in_store("db")));
	fails(kv_open(store, &pass, &options, &other), -EBADMSG);
	ck_assert_int_ne(access(in_store("db"), F_OK), 0);
	options.read_only = true;
	fails(kv_open(store, &pass, &options, &other), -EBADMSG);
	finish();
}
END_TEST

START_TEST(read_only_leaves_the_log_alone)
{
	char log[160];
	off_t size;

	start(ON_ROCKS);
	die_after(5, 5);
	find_file(".log", log);
	size = size_of(log);
	options.read_only = true;
	reopen();
	ck_assert(state_now().unclean && state_now().read_only);
	ck_assert_uint_eq(records_there(), 10);
	ck_assert_int_eq(kv_holder(store), getpid());
	shut();
	ck_assert_int_eq(size_of(log), size);
	options.read_only = false;
	reopen();
	ck_assert(state_now().unclean);
	ck_assert_uint_eq(records_there(), 10);
	finish();
}
END_TEST

START_TEST(a_checkpoint_is_a_store)
{
	char copy[112];
	struct kv *original;
	struct kv_txn *txn;

	start(_i);
	put_now("a", "1");
	txn = begin();
	ok(insert(txn, KV_DATA, "d", "chunk"));
	kv_txn_count(txn, domain, KV_COUNT_BYTES, 5);
	ok(commit(txn));
	snprintf(copy, sizeof copy, "%s/copy", dir);
	ok(kv_checkpoint(kv, copy));
	fails(kv_checkpoint(kv, copy), -EEXIST);
	put_now("a", "2");
	original = kv;
	options.engine_arg = NULL;
	ok(kv_open(copy, &pass, &options, &kv));
	ck_assert_int_eq(kv_holder(copy), getpid());
	ck_assert(!state_now().unclean && !state_now().damaged && !state_now().mark_lost);
	holds("a", "1");
	holds_in(NULL, NULL, KV_DATA, "d", "chunk");
	ck_assert_int_eq(kv_counter(kv, domain, KV_COUNT_BYTES), 5);
	ok(kv_verify_sum(kv));
	put_now("a", "elsewhere");
	shut();
	kv = original;
	holds("a", "2");
	finish();
}
END_TEST

START_TEST(a_checkpoint_that_fails_leaves_nothing)
{
	char copy[112];

	start(_i);
	put_now("a", "1");
	ok(unlink(in_store("keyring")));
	snprintf(copy, sizeof copy, "%s/copy", dir);
	fails(kv_checkpoint(kv, copy), -ENOENT);
	ck_assert_int_ne(access(copy, F_OK), 0);
	holds("a", "1");
	finish();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("open");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, refusals, 0, ENGINES);
	tcase_add_loop_test(t, one_holder, 0, ENGINES);
	tcase_add_loop_test(t, closed_in_order, 0, ENGINES);
	tcase_add_test(t, empty_logs_do_not_add_up);
	tcase_add_test(t, modes);
	tcase_add_test(t, killed);
	tcase_add_test(t, killed_before_the_first_sync);
	tcase_add_test(t, a_flipped_byte_below_the_mark);
	tcase_add_test(t, a_flipped_byte_above_the_mark);
	tcase_add_test(t, a_flipped_byte_in_a_table);
	tcase_add_loop_test(t, marks_that_are_lost, 0, ENGINES);
	tcase_add_test(t, an_engine_that_is_gone);
	tcase_add_test(t, read_only_leaves_the_log_alone);
	tcase_add_loop_test(t, a_checkpoint_is_a_store, 0, ENGINES);
	tcase_add_loop_test(t, a_checkpoint_that_fails_leaves_nothing, 0, ENGINES);
	return run_case("open", t);
}
