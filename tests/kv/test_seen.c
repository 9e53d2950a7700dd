/* What is kept of a store outside of it: older states, copies, and records that are lost. RocksDB, but where said. */
#include "store.h"

#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/wait.h>

#define HALF_MINUTE 40000

static char seen[128], file[200];
static struct kv_older older;

static struct kv_state state_now(void)
{
	struct kv_state state;

	kv_get_state(kv, &state);
	return state;
}

/* A store with a folder for what was seen of it, opened once and closed. */
static void begin_seen(int engine)
{
	start(engine);
	snprintf(seen, sizeof seen, "%s/seen", dir);
	ok(mkdir(seen, 0700));
	options.seen_dir = seen;
	options.older = &older;
	older = (struct kv_older){0};
	shut();
	reopen();
	snprintf(file, sizeof file, "%s/", seen);
	for (int i = 0; i < 16; i++)
		sprintf(file + strlen(file), "%02x", kv_id(kv)[i]);
}

static void shell(const char *fmt, ...)
{
	char command[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	ok(system(command));
}

static void copy_store(const char *to)
{
	shell("rm -rf '%s/%s' && cp -a '%s' '%s/%s'", dir, to, store, dir, to);
}

static void put_back(const char *from)
{
	shell("rm -rf '%s' && cp -a '%s/%s' '%s'", store, dir, from, store);
}

static void add(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put_now("a", "a value");
}

/* As many commits in an open of its own. */
static void use(unsigned n)
{
	reopen();
	add(n);
	shut();
}

static void refused(uint64_t at, uint64_t was)
{
	struct kv *other = NULL;

	fails(kv_open(store, &pass, &options, &other), -ESTALE);
	ck_assert_uint_eq(older.sequence, at);
	ck_assert_uint_eq(older.seen, was);
	ck_assert_int_gt(older.when, 1700000000);
	ck_assert_int_eq(kv_holder(store), 0);
}

/* What stands in the file for line 0. */
static uint64_t told(void)
{
	uint64_t number[2], sequence[2];
	uint8_t slots[1024] = {0};
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_ge(read(fd, slots, sizeof slots), 512);
	close(fd);
	for (int i = 0; i < 2; i++) {
		number[i] = get_be64(slots + 512 * i + 24);
		sequence[i] = get_be64(slots + 512 * i + 32);
	}
	return sequence[number[1] > number[0]];
}

START_TEST(an_older_store_is_refused)
{
	begin_seen(ON_ROCKS);
	ck_assert(!state_now().seen_lost && !state_now().seen_error);
	add(5);
	shut();
	copy_store("old");
	use(7);
	reopen();
	ck_assert(!state_now().seen_lost && !state_now().accepted);
	shut();
	put_back("old");
	refused(5, 12);
	refused(5, 12);
	options.read_only = true;
	refused(5, 12);
	options.read_only = false;
	/* Nothing was written into it. */
	shell("diff -r '%s' '%s/old'", store, dir);
	finish();
}
END_TEST

START_TEST(an_accepted_one_is_remembered)
{
	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("old");
	use(7);
	copy_store("new");
	put_back("old");
	options.accept_older = true;
	reopen();
	ck_assert(state_now().accepted);
	ck_assert_uint_eq(older.seen, 12);
	ck_assert_uint_eq(kv_sequence(kv), 6);
	ck_assert_uint_eq(kv_synced(kv), 6);
	ok(kv_verify_sum(kv));
	shut();
	options.accept_older = false;
	for (int i = 0; i < 3; i++) {
		reopen();
		ck_assert(!state_now().accepted && !state_now().seen_lost);
		add(1);
		shut();
	}
	copy_store("accepted");
	/* The acceptance was for that one: the old state itself is as old as before. */
	put_back("old");
	refused(5, 12);
	/* The state that was given up is not older than it was, and both go on side by side. */
	for (int i = 0; i < 3; i++) {
		put_back("new");
		use(1);
		copy_store("new");
		put_back("accepted");
		use(20);
		copy_store("accepted");
	}
	put_back("new");
	use(1);
	finish();
}
END_TEST

/* The accepted one is protected like any other. */
START_TEST(an_accepted_one_can_be_rolled_back_too)
{
	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("old");
	use(7);
	put_back("old");
	options.accept_older = true;
	use(3);
	options.accept_older = false;
	copy_store("accepted");
	use(20);
	put_back("accepted");
	refused(9, 29);
	finish();
}
END_TEST

START_TEST(accepting_what_is_not_older_changes_nothing)
{
	uint64_t sequence;

	begin_seen(_i);
	add(5);
	sequence = kv_sequence(kv);
	shut();
	options.accept_older = true;
	reopen();
	ck_assert(!state_now().accepted);
	ck_assert_uint_eq(kv_sequence(kv), sequence);
	ck_assert_uint_eq(kv->commit.line, 0);
	finish();
}
END_TEST

START_TEST(accepted_and_read_only_is_for_once)
{
	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("old");
	use(7);
	put_back("old");
	options.accept_older = options.read_only = true;
	reopen();
	ck_assert(state_now().accepted && state_now().read_only);
	holds("a", "a value");
	shut();
	options.accept_older = options.read_only = false;
	refused(5, 12);
	finish();
}
END_TEST

START_TEST(a_copy_that_went_on_is_known)
{
	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("copy");
	/* The copy is used first: the original, which has moved less, is the older one, once. */
	use(9);
	copy_store("original");
	put_back("copy");
	options.accept_older = true;
	use(1);
	options.accept_older = false;
	use(1);
	copy_store("copy");
	put_back("original");
	use(1);
	put_back("copy");
	use(1);
	finish();
}
END_TEST

START_TEST(a_record_that_is_lost_or_damaged)
{
	uint8_t byte;
	int fd;

	begin_seen(_i);
	add(3);
	shut();
	ok(unlink(file));
	reopen();
	ck_assert(state_now().seen_lost && !state_now().read_only && !state_now().accepted);
	shut();
	reopen();
	ck_assert(!state_now().seen_lost);
	shut();
	/* One slot of the two: the other still speaks. */
	for (int slot = 0; slot < 2; slot++) {
		fd = open(file, O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(pread(fd, &byte, 1, 512 * slot + 35), 1);
		byte ^= 1;
		ck_assert_int_eq(pwrite(fd, &byte, 1, 512 * slot + 35), 1);
		close(fd);
		options.read_only = true; /* which writes none anew */
		reopen();
		ck_assert(state_now().seen_lost == (slot == 1));
		shut();
		options.read_only = false;
	}
	ok(truncate(file, 300));
	reopen();
	ck_assert(state_now().seen_lost);
	shut();
	ok(truncate(file, 0));
	reopen();
	ck_assert(state_now().seen_lost);
	shut();
	reopen();
	ck_assert(!state_now().seen_lost);
	finish();
}
END_TEST

START_TEST(one_of_another_store)
{
	char first[200];

	begin_seen(ON_ROCKS);
	add(50);
	shut();
	strcpy(first, file);
	ok(suite_remove(store));
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305,
		.first = pass,
		.opslimit = 1,
		.memlimit = 8192};
	ok(keyring_create(store, &init, NULL));
	reopen();
	ck_assert(!state_now().seen_lost);
	ok(kv_domain_create(kv, &domain));
	add(2);
	snprintf(file, sizeof file, "%s/", seen);
	for (int i = 0; i < 16; i++)
		sprintf(file + strlen(file), "%02x", kv_id(kv)[i]);
	shut();
	ck_assert_str_ne(first, file);
	/* Under the other's key it says nothing. */
	shell("cp '%s' '%s'", first, file);
	reopen();
	ck_assert(state_now().seen_lost);
	finish();
}
END_TEST

START_TEST(a_folder_that_cannot_be_used)
{
	begin_seen(_i);
	add(3);
	shut();
	options.seen_dir = "/nonexistent";
	reopen();
	ck_assert_int_eq(state_now().seen_error, -ENOENT);
	ck_assert(!state_now().seen_lost);
	add(1);
	shut();
	/* Not through a link, and no FIFO that would hang us. */
	options.seen_dir = seen;
	ok(unlink(file));
	ok(symlink("elsewhere", file));
	reopen();
	ck_assert_int_eq(state_now().seen_error, -ELOOP);
	shut();
	ok(unlink(file));
	ok(mkfifo(file, 0600));
	reopen();
	ck_assert_int_lt(state_now().seen_error, 0);
	add(1);
	shut();
	ok(unlink(file));
	options.read_only = true;
	reopen();
	ck_assert(state_now().seen_lost && !state_now().seen_error);
	shut();
	ck_assert_int_ne(access(file, F_OK), 0);
	finish();
}
END_TEST

START_TEST(never_ahead_of_what_is_synced)
{
	begin_seen(ON_ROCKS);
	add(2);
	ok(kv_sync(kv));
	kv_seen_write(kv);
	ck_assert_uint_eq(told(), 2);
	add(30);
	ck_assert_uint_lt(kv_synced(kv), kv_sequence(kv));
	kv_seen_write(kv);
	ck_assert_uint_eq(told(), kv_synced(kv));
	ok(kv_sync(kv));
	kv_seen_write(kv);
	ck_assert_uint_eq(told(), 32);
	shut();
	ck_assert_uint_eq(told(), 32);
	/* It does not go back. */
	reopen();
	ck_assert_uint_eq(told(), 32);
	finish();
}
END_TEST

START_TEST(written_now_and_then)
{
	int64_t now = 1000000;

	begin_seen(_i);
	add(1);
	ok(kv_sync(kv));
	kv->seen.told_at = now;
	kv_seen_tick(kv, now + 1000);
	ck_assert_uint_eq(told(), 0);
	kv_seen_tick(kv, now + HALF_MINUTE);
	ck_assert_uint_eq(told(), 1);
	finish();
}
END_TEST

START_TEST(two_that_write_take_turns)
{
	int fd;

	begin_seen(_i);
	add(1);
	ok(kv_sync(kv));
	fd = open(file, O_RDWR | O_CLOEXEC);
	ok(flock(fd, LOCK_EX));
	kv_seen_write(kv);
	ck_assert_uint_eq(told(), 0);
	close(fd);
	kv_seen_write(kv);
	ck_assert_uint_eq(told(), 1);
	finish();
}
END_TEST

/* As a loss of power leaves it: what was told is there, and what was not synced is not. */
START_TEST(a_power_cut_is_no_older_store)
{
	pid_t pid;
	int status;

	begin_seen(ON_ROCKS);
	shut();
	pid = fork();
	if (pid == 0) {
		reopen();
		add(20);
		ok(kv_sync(kv));
		shell("rm -rf '%s/cut' && cp -a '%s' '%s/cut'", dir, store, dir);
		add(50);
		kv_seen_write(kv);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	put_back("cut");
	reopen();
	ck_assert(state_now().unclean && !state_now().damaged && !state_now().seen_lost);
	ck_assert_uint_ge(kv_sequence(kv), 20);
	finish();
}
END_TEST

/* A log that was cut below the mark, and the mark taken away, so that nothing in the store knows. */
START_TEST(a_cut_log_without_a_mark)
{
	char path[160];

	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("old");
	use(20);
	put_back("old");
	snprintf(path, sizeof path, "%s/mark", store);
	ok(unlink(path));
	refused(5, 25);
	/* All of it gone: no new, empty store comes up. */
	snprintf(path, sizeof path, "%s/db", store);
	ok(suite_remove(path));
	struct kv *other = NULL;
	fails(kv_open(store, &pass, &options, &other), -EBADMSG);
	ck_assert_int_ne(access(path, F_OK), 0);
	finish();
}
END_TEST

/* The mark is the present one, so the engine lost what it had: damage, and no older store. */
START_TEST(an_older_engine_under_the_present_mark)
{
	begin_seen(ON_ROCKS);
	add(5);
	shut();
	copy_store("old");
	use(20);
	shell("rm -rf '%s/db' && cp -a '%s/old/db' '%s/db'", store, dir, store);
	/* Closed in order, so its log is taken at its word: it is just too short. */
	reopen();
	ck_assert(state_now().damaged && state_now().read_only && !state_now().accepted);
	finish();
}
END_TEST

START_TEST(more_lines_than_there_is_room_for)
{
	begin_seen(ON_ROCKS);
	add(3);
	shut();
	copy_store("old");
	use(5);
	for (int i = 0; i < 2 * KV_SEEN_LINES; i++) {
		put_back("old");
		options.accept_older = true;
		reopen();
		/* In the end line 0 is forgotten, and with it that this is an older one. */
		ck_assert(state_now().accepted || i >= KV_SEEN_LINES - 1);
		shut();
		options.accept_older = false;
		reopen();
		ck_assert(!state_now().seen_lost);
		ck_assert_uint_le(kv->seen.table.n, KV_SEEN_LINES);
		shut();
	}
	finish();
}
END_TEST

START_TEST(golden_bytes)
{
	static const char *const golden =
		"7366736e01020000"
		"000102030405060708090a0b0c0d0e0f"
		"0000000000000007"
		"0000000000000102" "0000000065000000" "0000"
		"00000000000000ff" "0000000065000001" "abcd";
	struct kv_seen_table table = {.number = 7, .n = 2,
		.line = {{.sequence = 0x102, .when = 0x65000000}, {0xff, 0x65000001, 0xabcd}}};
	static const uint8_t key[32] = {1, 2, 3};
	uint8_t slot[KV_SEEN_SLOT_BYTES], id[16], mac[24];
	char hex[2 * KV_SEEN_SLOT_BYTES + 1];
	struct kv_seen_table back;

	for (int i = 0; i < 16; i++)
		id[i] = (uint8_t)i;
	kv_seen_encode(&table, id, key, slot);
	for (size_t i = 0; i < sizeof slot; i++)
		sprintf(hex + 2 * i, "%02x", slot[i]);
	ck_assert(strncmp(hex, golden, strlen(golden)) == 0);
	for (size_t i = strlen(golden) / 2; i < 488; i++)
		ck_assert_uint_eq(slot[i], 0);
	ok(crypto_generichash(mac, 24, slot, 488, key, 32));
	ck_assert_mem_eq(slot + 488, mac, 24);
	ok(kv_seen_decode(slot, id, key, 1, &back));
	ck_assert_uint_eq(back.n, 2);
	ck_assert_uint_eq(back.line[1].line, 0xabcd);
	ck_assert_uint_eq(back.line[0].sequence, 0x102);
	fails(kv_seen_decode(slot, id, key, 0, &back), -EBADMSG);
	id[0] ^= 1;
	fails(kv_seen_decode(slot, id, key, 1, &back), -EBADMSG);
	id[0] ^= 1;
	for (size_t i = 0; i < sizeof slot; i++) {
		slot[i] ^= 0x40;
		fails(kv_seen_decode(slot, id, key, 1, &back), -EBADMSG);
		slot[i] ^= 0x40;
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("seen");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, an_older_store_is_refused);
	tcase_add_test(t, an_accepted_one_is_remembered);
	tcase_add_test(t, an_accepted_one_can_be_rolled_back_too);
	tcase_add_loop_test(t, accepting_what_is_not_older_changes_nothing, 0, ENGINES);
	tcase_add_test(t, accepted_and_read_only_is_for_once);
	tcase_add_test(t, a_copy_that_went_on_is_known);
	tcase_add_loop_test(t, a_record_that_is_lost_or_damaged, 0, ENGINES);
	tcase_add_test(t, one_of_another_store);
	tcase_add_loop_test(t, a_folder_that_cannot_be_used, 0, ENGINES);
	tcase_add_test(t, never_ahead_of_what_is_synced);
	tcase_add_loop_test(t, written_now_and_then, 0, ENGINES);
	tcase_add_loop_test(t, two_that_write_take_turns, 0, ENGINES);
	tcase_add_test(t, a_power_cut_is_no_older_store);
	tcase_add_test(t, a_cut_log_without_a_mark);
	tcase_add_test(t, an_older_engine_under_the_present_mark);
	tcase_add_test(t, more_lines_than_there_is_room_for);
	tcase_add_test(t, golden_bytes);
	return run_case("seen", t);
}
