/* What callers are busy with: told after a death, gone after a close, and of no harm when it is damaged. */
#include "store.h"

#include <signal.h>
#include <sodium.h>
#include <sys/wait.h>

static char *path(void)
{
	static char text[160];

	snprintf(text, sizeof text, "%s/busy", store);
	return text;
}

static off_t size_now(void)
{
	struct stat st;

	ok(stat(path(), &st));
	return st.st_size;
}

/* The file as it is goes on to the next open, as after a death. */
static void die(void)
{
	char command[400];

	snprintf(command, sizeof command, "cp '%s' '%s/kept'", path(), dir);
	ok(system(command));
	shut();
	snprintf(command, sizeof command, "cp '%s/kept' '%s'", dir, path());
	ok(system(command));
	reopen();
}

static void left(size_t n, const uint64_t *words)
{
	_cleanup_free_ uint64_t *found = NULL;
	size_t found_n;

	ok(kv_busy_left(kv, &found, &found_n));
	ck_assert_uint_eq(found_n, n);
	for (size_t i = 0; i < n; i++)
		ck_assert_uint_eq(found[i], words[i]);
}

static void flip(off_t at)
{
	int fd = open(path(), O_RDWR | O_CLOEXEC);
	uint8_t byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

START_TEST(told_after_a_death)
{
	uint32_t b;

	start(_i);
	ck_assert_uint_ne(kv_busy_begin(kv, 7), 0);
	b = kv_busy_begin(kv, 8);
	ck_assert_uint_ne(kv_busy_begin(kv, UINT64_MAX - 1), 0);
	kv_busy_end(kv, b);
	left(0, NULL); /* ours are not the dead one's */
	die();
	left(2, (uint64_t[]){7, UINT64_MAX - 1});
	/* Those of this process go beside them; and until they are settled, none is lost by the next death. */
	b = kv_busy_begin(kv, 9);
	die();
	left(3, (uint64_t[]){7, 9, UINT64_MAX - 1});
	kv_busy_settle(kv);
	left(0, NULL);
	ck_assert_int_eq(size_now(), 0);
	finish();
}
END_TEST

START_TEST(gone_after_a_close)
{
	start(_i);
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_uint_ne(kv_busy_begin(kv, i), 0);
	ck_assert_int_eq(size_now(), 100 * KV_BUSY_SLOT_BYTES);
	shut();
	ck_assert_int_eq(size_now(), 0);
	reopen();
	left(0, NULL);
	/* Left unsettled they outlive a close. */
	kv_busy_begin(kv, 5);
	die();
	kv_busy_begin(kv, 6);
	shut();
	reopen();
	left(1, (uint64_t[]){5});
	finish();
}
END_TEST

static bool unsettled(void)
{
	struct kv_state state;

	kv_get_state(kv, &state);
	return state.unsettled;
}

START_TEST(a_death_is_known_until_it_is_settled)
{
	pid_t pid;

	start(ON_ROCKS);
	ck_assert(!unsettled());
	shut();
	pid = fork();
	if (pid == 0) {
		reopen();
		put_now("a", "1");
		kv_busy_begin(kv, 4);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	/* Opened by somebody who knows nothing of it, and closed in order, twice. */
	for (int i = 0; i < 3; i++) {
		reopen();
		ck_assert(unsettled());
		left(1, (uint64_t[]){4});
		if (i < 2)
			shut();
	}
	kv_busy_settle(kv);
	ck_assert_int_eq(size_now(), 0);
	shut();
	reopen();
	ck_assert(!unsettled());
	finish();
}
END_TEST

START_TEST(slots_are_used_again)
{
	uint32_t b[10];

	start(_i);
	for (int round = 0; round < 1000; round++) {
		for (int i = 0; i < 10; i++)
			b[i] = kv_busy_begin(kv, 1);
		for (int i = 0; i < 10; i++)
			kv_busy_end(kv, b[(i * 7 + round) % 10]);
	}
	ck_assert_int_eq(size_now(), 10 * KV_BUSY_SLOT_BYTES);
	for (int i = 0; i < KV_BUSY_SLOTS; i++)
		ck_assert_uint_ne(kv_busy_begin(kv, 1), 0);
	ck_assert_uint_eq(kv_busy_begin(kv, 1), 0);
	kv_busy_end(kv, 0);
	kv_busy_end(kv, 77);
	ck_assert_uint_eq(kv_busy_begin(kv, 1), 77);
	finish();
}
END_TEST

START_TEST(read_only)
{
	start(ON_ROCKS);
	kv_busy_begin(kv, 1);
	die();
	shut();
	options.read_only = true;
	reopen();
	ck_assert_uint_eq(kv_busy_begin(kv, 1), 0);
	left(0, NULL);
	kv_busy_settle(kv);
	shut();
	options.read_only = false;
	reopen();
	left(1, (uint64_t[]){1});
	finish();
}
END_TEST

START_TEST(damage_is_no_word)
{
	start(_i);
	kv_busy_begin(kv, 1);
	kv_busy_begin(kv, 2);
	kv_busy_begin(kv, 3);
	for (int i = 0; i < KV_BUSY_SLOT_BYTES; i++) {
		flip(KV_BUSY_SLOT_BYTES + i);
		die();
		left(2, (uint64_t[]){1, 3});
		flip(KV_BUSY_SLOT_BYTES + i);
	}
	die();
	left(3, (uint64_t[]){1, 2, 3});
	/* A slot in another's place says nothing; a torn end neither. */
	ok(truncate(path(), KV_BUSY_SLOT_BYTES + 20));
	die();
	left(1, (uint64_t[]){1});
	shut();
	ok(unlink(path()));
	ok(mkdir(path(), 0700));
	reopen();
	ck_assert_uint_eq(kv_busy_begin(kv, 1), 0);
	left(0, NULL);
	put_now("a", "1");
	shut();
	ok(rmdir(path()));
	reopen();
	finish();
}
END_TEST

START_TEST(golden_bytes)
{
	uint8_t slot[KV_BUSY_SLOT_BYTES], id[16], key[32] = {9}, mac[16];
	/* Slot 5: bytes 0–15, store id, u32 slot. */
	uint8_t text[36] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 4};
	uint64_t word;

	for (int i = 0; i < 16; i++)
		id[i] = text[16 + i] = (uint8_t)(0xa0 + i);
	text[35] = 5;
	kv_busy_encode(0x300000104, id, key, 5, slot);
	ck_assert_mem_eq(slot, text, 16);
	ok(crypto_generichash(mac, 16, text, sizeof text, key, 32));
	ck_assert_mem_eq(slot + 16, mac, 16);
	ok(kv_busy_decode(slot, id, key, 5, &word));
	ck_assert_uint_eq(word, 0x300000104);
	fails(kv_busy_decode(slot, id, key, 6, &word), -EBADMSG);
	memset(slot, 0, sizeof slot);
	fails(kv_busy_decode(slot, id, key, 5, &word), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("busy");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, told_after_a_death, 0, ENGINES);
	tcase_add_loop_test(t, gone_after_a_close, 0, ENGINES);
	tcase_add_test(t, a_death_is_known_until_it_is_settled);
	tcase_add_loop_test(t, slots_are_used_again, 0, ENGINES);
	tcase_add_test(t, read_only);
	tcase_add_loop_test(t, damage_is_no_word, 0, ENGINES);
	tcase_add_test(t, golden_bytes);
	return run_case("busy", t);
}
