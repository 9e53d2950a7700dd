/*
 * check_repair.c: looks that mend, until one finds nothing that it could mend. What one mends may show what lies
 * behind it: a directory that is there again shows files whose entries are wrong. What has to be left is
 * told once, as the last look found it.
 */
#include "fs/core/check_rescue.h"

#include <errno.h>

#define ROUNDS 10
#define LEFT_MAX 10000

struct left {
	struct check_problem problem; /* code is a constant, path and text are ours */
};

struct rounds {
	struct check_sink sink; /* the caller's */
	struct list left;	/* of the look under way */
};

static void left_clear(struct rounds *r)
{
	for (size_t i = 0; i < r->left.n; i++) {
		struct left *left = LIST_AT(&r->left, struct left, i);
		free((char *)left->problem.path);
		free((char *)left->problem.text);
	}
	r->left.n = 0;
}

static void hear(void *arg, const struct check_problem *problem)
{
	struct rounds *r = arg;
	struct left *left;

	if (problem->state != CHECK_LEFT) {
		r->sink.problem(r->sink.arg, problem);
		return;
	}
	left = r->left.n < LEFT_MAX ? LIST_ADD(&r->left, struct left) : NULL;
	if (!left)
		return;
	left->problem = *problem;
	left->problem.path = strdup(problem->path);
	left->problem.text = strdup(problem->text);
	if (!left->problem.path || !left->problem.text) {
		free((char *)left->problem.path);
		free((char *)left->problem.text);
		r->left.n--;
	}
}

static void progress(void *arg, uint64_t records)
{
	struct rounds *r = arg;

	if (r->sink.progress)
		r->sink.progress(r->sink.arg, records);
}

static void tried(void *arg, const struct check_try *done)
{
	struct rounds *r = arg;

	r->sink.tried(r->sink.arg, done);
}

static int round_once(struct kv *kv, struct check_options *options, struct check_result *ret_result)
{
	struct kv_state state;
	uint64_t done = 0, saved = 0;
	int r = core_check(kv, options, ret_result);

	if (r < 0)
		return r;
	kv_get_state(kv, &state);
	if (ret_result->sum_differs || state.damaged) {
		r = kv_settle(kv);
		if (r < 0)
			return r;
	}
	if (!ret_result->n_lost && !ret_result->n_damage)
		return 0;
	r = core_check_attach(kv, options, ret_result, &done, &saved);
	if (r == -ENOMEM || r == -ENOSPC || r == -EIO)
		return r;
	/* What stays without a name must not be tried for ever. */
	ret_result->mendable += saved;
	options->keep_lost = r < 0 || done < ret_result->n_lost;
	return 0;
}

int core_check_repair(struct kv *kv, const struct check_options *options,
	struct check_result *ret_last, uint64_t *ret_mended)
{
	struct rounds rounds = {.sink = options->sink};
	struct check_options looks = *options;
	struct check_memory memory = {0};
	int r = 0;

	looks.mend = true;
	looks.memory = &memory;
	looks.sink.tried = options->sink.tried ? tried : NULL;
	looks.sink.progress = progress;
	looks.sink.arg = &rounds;
	looks.sink.problem = options->sink.problem ? hear : NULL;
	*ret_last = (struct check_result){0};
	*ret_mended = 0;
	for (unsigned i = 0; i < ROUNDS; i++) {
		check_result_release(ret_last);
		left_clear(&rounds);
		r = round_once(kv, &looks, ret_last);
		*ret_mended += ret_last->mended;
		if (r < 0 || !ret_last->mendable)
			break;
	}
	if (r == 0)
		r = kv_settle(kv);
	for (size_t i = 0; i < rounds.left.n; i++)
		rounds.sink.problem(
			rounds.sink.arg, &LIST_AT(&rounds.left, struct left, i)->problem);
	left_clear(&rounds);
	free(rounds.left.items);
	check_memory_release(&memory);
	return r;
}
