/* Threads that share a row of work: each piece is done once, whoever asks and however many ask at once. */
#include "kv/crew.h"
#include "tests/suite.h"

#include <check.h>
#include <string.h>

#define PIECES 1000
#define ASKERS 4
#define ROWS 200

static struct crew crew;

static void count(void *arg, size_t i)
{
	_Atomic unsigned *done = arg;

	atomic_fetch_add(&done[i], 1);
}

static void ask(size_t n)
{
	static _Thread_local _Atomic unsigned done[PIECES];

	size_t right = 0;

	memset((void *)done, 0, sizeof done);
	crew_run(&crew, count, (void *)done, n);
	for (size_t i = 0; i < PIECES; i++)
		right += atomic_load(&done[i]) == (i < n);
	ck_assert_uint_eq(right, PIECES);
}

START_TEST(each_piece_once)
{
	crew_init(&crew);
	for (size_t n = 0; n < 20; n++)
		ask(n);
	ask(PIECES);
	crew_release(&crew);
}
END_TEST

static void *asker(void *arg)
{
	(void)arg;
	for (size_t row = 0; row < ROWS; row++)
		ask(PIECES - row);
	return NULL;
}

START_TEST(several_at_once)
{
	pthread_t threads[ASKERS];

	crew_init(&crew);
	for (size_t i = 0; i < ASKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, asker, NULL), 0);
	for (size_t i = 0; i < ASKERS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	crew_release(&crew);
}
END_TEST

START_TEST(never_asked)
{
	crew_init(&crew);
	crew_release(&crew);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("crew");
	tcase_add_test(t, each_piece_once);
	tcase_add_test(t, several_at_once);
	tcase_add_test(t, never_asked);
	return run_case("crew", t);
}
