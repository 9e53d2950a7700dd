/* Random bytes: with and without a generator in the process, in a fork, and in several threads. */
#include "kv/random.h"
#include "tests/suite.h"

#include <check.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BYTES 24

static void fill(void *state, uint8_t ret_bytes[BYTES])
{
	static const uint8_t zeros[BYTES];

	memset(ret_bytes, 0, BYTES);
	random_bytes(state, ret_bytes, BYTES);
	ck_assert_mem_ne(ret_bytes, zeros, BYTES);
}

static void check_differ(void *state)
{
	uint8_t drawn[200][BYTES];

	for (int i = 0; i < 200; i++) {
		fill(state, drawn[i]);
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(drawn[i], drawn[j], BYTES);
	}
}

START_TEST(no_bytes_twice)
{
	void *state = random_new();

	check_differ(state);
	check_differ(NULL);
	random_free(state);
	random_free(NULL);
}
END_TEST

START_TEST(a_copy_of_the_process_draws_others)
{
	void *state = random_new();
	uint8_t ours[BYTES], theirs[BYTES];
	int to[2], status;

	fill(state, ours); /* seeded before the fork */
	ck_assert_int_eq(pipe(to), 0);
	pid_t pid = fork();
	if (pid == 0) {
		random_bytes(state, ours, BYTES);
		_exit(write(to[1], ours, BYTES) == BYTES ? 0 : 1);
	}
	fill(state, ours);
	ck_assert_int_eq(read(to[0], theirs, BYTES), BYTES);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_mem_ne(ours, theirs, BYTES);
	random_free(state);
}
END_TEST

static void *draw_some(void *arg)
{
	void *state = random_new();

	for (int i = 0; i < 1000; i++)
		fill(state, arg);
	random_free(state);
	return NULL;
}

START_TEST(threads_have_their_own)
{
	pthread_t threads[4];
	uint8_t last[4][BYTES];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, draw_some, last[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(last[i], last[j], BYTES);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("random");
	tcase_add_test(t, no_bytes_twice);
	tcase_add_test(t, a_copy_of_the_process_draws_others);
	tcase_add_test(t, threads_have_their_own);
	return run_case("random", t);
}
