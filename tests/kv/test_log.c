/*
 * RocksDB's log after a crash. What is left of it is always all up to some commit, never with a hole; and
 * where that commit is below the mark it is damage, and nothing is written.
 */
#include "files.h"

#define BLOCK 32768 /* of RocksDB's log */
#define RECORDS 200
#define SMALL (1u << 20) /* write buffers */
#define PLACES 40	 /* of a log that are tried out */

struct load {
	unsigned synced, total; /* a sync after so many; 0: none */
};

static void put_sized(unsigned number, size_t len)
{
	struct kv_txn *txn = begin();
	uint8_t value[4096];
	char text[16];
	struct key k;

	kv_random(value, len);
	snprintf(text, sizeof text, "r%u", number);
	k = key_in(domain, text);
	ok(kv_txn_put(txn, KV_META, k.bytes, k.len, value, len));
	ok(commit(txn));
}

/* Of the log that is written to. */
static off_t log_size(void)
{
	char logs[8][160];
	size_t n = find_files(".log", logs, 8);

	return n ? size_of(logs[n - 1]) : 0;
}

/*
 * Records whose sizes are such that each block of the log ends with the end of a record: what is missing
 * in whole blocks is missing without a trace in the others.
 */
static void write_aligned(const void *arg)
{
	const struct load *load = arg;
	off_t before = log_size();
	size_t len = 1500, overhead;

	put_sized(100, len);
	overhead = (size_t)(log_size() - before) - len;
	for (unsigned i = 101; i < 100 + load->total; i++) {
		size_t left = BLOCK - (size_t)log_size() % BLOCK;

		len = left < 3500 ? left - overhead : 1500;
		put_sized(i, len);
		if (i == 100 + load->synced)
			ok(kv_sync(kv));
	}
}

static void zero(const char *path, off_t at, size_t len)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t zeros[4096] = {0};

	ck_assert_int_ge(fd, 0);
	for (size_t done = 0; done < len; done += sizeof zeros)
		ck_assert_int_eq(pwrite(fd, zeros, sizeof zeros, at + (off_t)done), sizeof zeros);
	close(fd);
}

/* Keeps the store as it was found, and takes it up again. */
static void keep_as_found(void)
{
	char command[400];

	snprintf(command, sizeof command, "cp -a %s %s/found", store, dir);
	ok(system(command));
}

static void as_found(void)
{
	char command[400];

	snprintf(command, sizeof command, "rm -r %s && cp -a %s/found %s", store, dir, store);
	ok(system(command));
}

/*
 * Opens what is left. It may be refused (0 is returned); else it must be all up to some record, and not
 * less than @synced of them without a word. Returns 1, 2 with the word of damage.
 */
static int left(unsigned first, unsigned synced, unsigned *ret_there)
{
	_cleanup_buf_ struct buf b = {0};
	char text[24];
	int r = kv_open(store, &pass, &options, &kv);

	if (r < 0) {
		kv = NULL;
		fails(r, -EBADMSG);
		return 0;
	}
	*ret_there = records_there();
	snprintf(text, sizeof text, "r%u", first + *ret_there - 1);
	if (*ret_there)
		ok(look(NULL, NULL, KV_META, text, &b));
	ok(kv_verify_sum(kv));
	ck_assert(state_now().damaged == state_now().read_only);
	ck_assert(state_now().damaged || *ret_there >= synced);
	r = state_now().damaged ? 2 : 1;
	shut();
	return r;
}

START_TEST(a_block_that_never_reached_the_disk)
{
	struct load load = {.synced = _i ? RECORDS - 5 : 20, .total = RECORDS};
	unsigned there;
	char log[160];
	off_t size;

	start(ON_ROCKS);
	die_in(write_aligned, &load);
	find_file(".log", log);
	size = size_of(log);
	ck_assert_int_gt(size, 5 * BLOCK);
	zero(log, 3 * BLOCK, BLOCK);
	ck_assert_int_eq(left(100, load.synced, &there), _i ? 2 : 1);
	ck_assert_uint_lt(there, 80);
	ck_assert_uint_gt(there, 40);
	/* Below the mark nothing was changed; above it the store goes on from there. */
	if (_i) {
		ck_assert_int_eq(size_of(log), size);
	} else {
		reopen();
		put_now("after", "1");
		shut();
		ck_assert_int_eq(left(100, load.synced, &there), 1);
	}
	finish();
}
END_TEST

static void write_plain(const void *arg)
{
	const struct load *load = arg;

	for (unsigned i = 0; i < load->total; i++) {
		put_sized(i, 300 + i);
		if (i + 1 == load->synced)
			ok(kv_sync(kv));
	}
}

START_TEST(any_flipped_byte)
{
	struct load load = {.synced = 80, .total = 100};
	unsigned there, damaged = 0, whole = 0;
	char log[160];
	off_t size;

	start(ON_ROCKS);
	die_in(write_plain, &load);
	keep_as_found();
	find_file(".log", log);
	size = end_of_records(log);
	for (off_t at = 0; at < size; at += size / PLACES + 1) {
		flip_byte(log, at);
		if (left(0, load.synced, &there) == 1)
			whole++;
		else
			damaged++;
		as_found();
	}
	/* Those behind the mark are a torn tail. */
	ck_assert_uint_gt(damaged, PLACES / 2);
	ck_assert_uint_gt(whole, PLACES / 12);
	ck_assert_int_eq(left(0, load.total, &there), 1);
	finish();
}
END_TEST

START_TEST(any_length)
{
	struct load load = {.synced = 80, .total = 100};
	unsigned there, damaged = 0, whole = 0;
	char log[160];
	off_t size;

	start(ON_ROCKS);
	die_in(write_plain, &load);
	keep_as_found();
	find_file(".log", log);
	size = end_of_records(log);
	for (off_t at = 0; at < size; at += size / PLACES + 1) {
		ok(truncate(log, at));
		if (left(0, load.synced, &there) == 1)
			whole++;
		else
			damaged++;
		as_found();
	}
	ck_assert_uint_gt(damaged, PLACES / 2);
	ck_assert_uint_gt(whole, PLACES / 12);
	ok(unlink(log));
	ck_assert_int_ne(left(0, load.synced, &there), 1);
	finish();
}
END_TEST

START_TEST(any_tail)
{
	struct load load = {.synced = 100, .total = 100};
	uint8_t tail[70000];
	unsigned there;
	char log[160];
	int fd;

	start(ON_ROCKS);
	die_in(write_plain, &load);
	keep_as_found();
	find_file(".log", log);
	for (size_t len = 1; len < sizeof tail; len = 3 * len + 1) {
		for (int garbage = 0; garbage < 2; garbage++) {
			memset(tail, 0, sizeof tail);
			if (garbage)
				kv_random(tail, sizeof tail);
			fd = open(log, O_WRONLY | O_APPEND | O_CLOEXEC);
			ck_assert_int_eq(write(fd, tail, len), (ssize_t)len);
			close(fd);
			ck_assert_int_eq(left(0, load.synced, &there), 1);
			ck_assert_uint_eq(there, 100);
			as_found();
		}
	}
	finish();
}
END_TEST

/* A few bytes between two syncs: the engine keeps zeros ahead of the end. */
static void write_synced_each(const void *arg)
{
	const struct load *load = arg;

	for (unsigned i = 0; i < load->total; i++) {
		put_sized(i, 2000);
		if (i < load->synced)
			ok(kv_sync(kv));
	}
}

START_TEST(room_ahead_of_the_end)
{
	struct load load = {.synced = RECORDS - 10, .total = RECORDS};
	unsigned there;
	char log[160];
	off_t end, size;

	start(ON_ROCKS);
	die_in(write_synced_each, &load);
	keep_as_found();
	find_file(".log", log);
	size = size_of(log);
	end = end_of_records(log);
	ck_assert_int_gt(end, RECORDS * 2000);
	ck_assert_int_gt(size, end + BLOCK);
	ck_assert_int_eq(left(0, load.total, &there), 1);
	ck_assert_uint_eq(there, RECORDS);
	/* Nothing is lost by what happens to the room … */
	for (off_t at = end; at < size; at += (size - end) / 5 + 1) {
		as_found();
		ok(truncate(log, at));
		ck_assert_int_eq(left(0, load.total, &there), 1);
		as_found();
		flip_byte(log, at);
		ck_assert_int_eq(left(0, load.total, &there), 1);
		ck_assert_uint_eq(there, RECORDS);
	}
	/* … nor hidden by it: what was synced, and what was not. */
	as_found();
	zero(log, 3 * BLOCK, BLOCK);
	ck_assert_int_eq(left(0, load.synced, &there), 2);
	as_found();
	zero(log, end - 3 * 4096, 3 * 4096);
	ck_assert_int_eq(left(0, load.synced, &there), 1);
	ck_assert_uint_lt(there, RECORDS);
	finish();
}
END_TEST

/* Small write buffers, so that a record of KV_META waits in an old log while KV_DATA moves on. */
static void write_several_logs(const void *arg)
{
	const struct load *load = arg;
	uint8_t value[30000];
	char text[16];

	for (unsigned i = 0; i < load->total; i++) {
		struct kv_txn *txn = begin();
		struct key k;

		kv_random(value, sizeof value);
		snprintf(text, sizeof text, "r%u", i);
		ok(put(txn, text, "small"));
		snprintf(text, sizeof text, "d%u", i);
		k = key_in(domain, text);
		ok(kv_txn_insert(txn, KV_DATA, k.bytes, k.len, value, sizeof value));
		ok(commit(txn));
		if (i + 1 == load->synced)
			ok(kv_sync(kv));
		/* Tables are written in the background: a flush that is late makes no log. */
		if (i % 20 == 19)
			usleep(20000);
	}
}

/* In a program of its own: the threads with which RocksDB writes tables do not survive a fork. */
static void die_with_several_logs(const struct load *load)
{
	char synced[16], total[16], in[16];
	pid_t pid;
	int status;

	shut();
	snprintf(synced, sizeof synced, "%u", load->synced);
	snprintf(total, sizeof total, "%u", load->total);
	snprintf(in, sizeof in, "%u", domain);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		execl("/proc/self/exe", "test_log", store, in, synced, total, NULL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What this process has read from files so far; 0: unknown here. */
static uint64_t bytes_read(void)
{
	FILE *f = fopen("/proc/self/io", "re");
	unsigned long long n = 0;

	if (f && fscanf(f, "rchar: %llu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/* A start after a crash replays the logs once, beside a look at zeros that stand for them. */
START_TEST(logs_are_replayed_once)
{
	struct load load = {.synced = 90, .total = 100};
	char logs[16][160];
	uint64_t before, size = 0;
	size_t n;

	start(ON_ROCKS);
	options.memtable_bytes = SMALL;
	die_with_several_logs(&load);
	n = find_files(".log", logs, 16);
	ck_assert_uint_ge(n, 2);
	for (size_t i = 0; i < n; i++)
		size += (uint64_t)size_of(logs[i]);
	before = bytes_read();
	reopen();
	if (before)
		ck_assert_uint_lt(bytes_read() - before, 2 * size + size / 2);
	shut();
	finish();
}
END_TEST

START_TEST(several_logs)
{
	struct load load = {.synced = _i ? 90 : 0, .total = 100};
	char logs[16][160];
	unsigned there;
	size_t n;

	start(ON_ROCKS);
	options.memtable_bytes = SMALL;
	die_with_several_logs(&load);
	n = find_files(".log", logs, 16);
	ck_assert_uint_ge(n, 2);
	keep_as_found();
	ck_assert_int_eq(left(0, load.total, &there), 1);
	as_found();
	for (size_t i = 0; i < n; i++) {
		off_t size = end_of_records(logs[i]);

		for (int part = 0; part < 5; part++) {
			ok(truncate(logs[i], size * part / 5));
			left(0, load.synced, &there);
			as_found();
			flip_byte(logs[i], size * part / 5);
			left(0, load.synced, &there);
			as_found();
		}
		ok(unlink(logs[i]));
		left(0, load.synced, &there);
		as_found();
	}
	finish();
}
END_TEST

static struct load given;

START_TEST(that_program)
{
	options.memtable_bytes = SMALL;
	reopen();
	write_several_logs(&given);
	kill(getpid(), SIGKILL);
}
END_TEST

static int run_that_program(char **argv)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");
	SRunner *r = srunner_create(s);

	snprintf(store, sizeof store, "%s", argv[1]);
	domain = (uint32_t)atoi(argv[2]);
	given = (struct load){(unsigned)atoi(argv[3]), (unsigned)atoi(argv[4])};
	tcase_add_test(t, that_program);
	suite_add_tcase(s, t);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_SILENT);
	srunner_free(r);
	return 1;
}

int main(int argc, char **argv)
{
	TCase *t = tcase_create("log");

	if (argc == 5)
		return run_that_program(argv);
	tcase_set_timeout(t, 300);
		tcase_add_loop_test(t, a_block_that_never_reached_the_disk, 0, 2);
	tcase_add_test(t, any_flipped_byte);
	tcase_add_test(t, any_length);
	tcase_add_test(t, room_ahead_of_the_end);
	tcase_add_test(t, any_tail);
	tcase_add_test(t, logs_are_replayed_once);
	tcase_add_loop_test(t, several_logs, 0, 2);
	return run_case("log", t);
}
