/*
 * shrink.c: delta debugging. Steps are taken out in ever smaller pieces as long as something still fails, and
 * what is left is made smaller.
 */
#include "tests/exercise/trial.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 3000

struct shrinking {
	const struct form *form;
	const struct target_options *options;
	uint64_t seed;
	struct record *record;
	unsigned tries;
	uint8_t verb; /* of the step that failed: another's failure is another one */
};

static bool fails(struct shrinking *s, const struct step *steps, uint64_t n)
{
	if (s->tries == TRIES)
		return false;
	s->tries++;
	return !trial_run(s->form, s->options, s->seed, steps, n, s->record) &&
	       s->record->steps[s->record->n - 1].verb == s->verb;
}

/* One pass that leaves out each piece of @size; returns the number of steps left. */
static uint64_t leave_out(struct shrinking *s, struct step *steps, uint64_t n, uint64_t size)
{
	struct step *some = malloc(n * sizeof *some);
	if (!some)
		abort();
	for (uint64_t at = 0; at < n && s->tries < TRIES;) {
		uint64_t end = at + size < n ? at + size : n, left = n - (end - at);
		memcpy(some, steps, at * sizeof *some);
		memcpy(some + at, steps + end, (n - end) * sizeof *some);
		if (left && fails(s, some, left)) {
			/* What comes after the failure is of no use. */
			n = s->record->n < left ? s->record->n : left;
			memcpy(steps, some, n * sizeof *some);
		} else {
			at = end;
		}
	}
	free(some);
	return n;
}

static void make_smaller(struct shrinking *s, struct step *steps, uint64_t n)
{
	static const uint64_t lengths[] = {1, 100, 4097, 32769};
	for (uint64_t i = 0; i < n; i++)
		for (unsigned k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
			struct step was = steps[i];
			if (was.length <= lengths[k])
				break;
			steps[i].length = lengths[k];
			if (fails(s, steps, n))
				break;
			steps[i] = was;
		}
}

/* A path below @from is below @to instead. False: it would be too deep. */
static bool rewrite(struct step_path *path, const struct step_path *from, const struct step_path *to)
{
	unsigned n = step_path_depth(from), m = step_path_depth(to), depth = step_path_depth(path);
	struct step_path now = *to;
	if (depth < n || memcmp(path->name, from->name, n) != 0)
		return true;
	if (m + depth - n > STEP_DEPTH)
		return false;
	memcpy(now.name + m, path->name + n, depth - n);
	*path = now;
	return true;
}

/* Leaves out one step that moved or made a directory; what came after goes to where it was, or would be. */
static uint64_t leave_out_move(struct shrinking *s, struct step *steps, uint64_t n, uint64_t at)
{
	struct step gone = steps[at], *some = malloc(n * sizeof *some);
	struct step_path to = gone.path, from = gone.path2;
	bool good = gone.verb == VERB_rename || gone.verb == VERB_mkdir;
	if (!some)
		abort();
	if (gone.verb == VERB_mkdir) {
		from = gone.path;
		to.name[step_path_depth(&to) - 1] = 0;
	}
	memcpy(some, steps, at * sizeof *some);
	memcpy(some + at, steps + at + 1, (n - at - 1) * sizeof *some);
	for (uint64_t i = at; i < n - 1 && good; i++)
		good = rewrite(&some[i].path, &from, &to) && rewrite(&some[i].path2, &from, &to);
	if (good && n > 1 && fails(s, some, n - 1)) {
		n = s->record->n;
		memcpy(steps, some, n * sizeof *some);
	}
	free(some);
	return n;
}

uint64_t shrink(const struct form *form, const struct target_options *options, uint64_t seed,
	struct step *steps, uint64_t n, struct record *record)
{
	struct form alone = *form;
	struct shrinking s = {.form = &alone, .options = options, .seed = seed, .record = record,
		.verb = steps[n - 1].verb};
	uint64_t before;
	alone.every = 0;
	if (!fails(&s, steps, n))
		return 0;
	n = record->n;
	for (uint64_t size = (n + 1) / 2; size; size = size > 1 ? (size + 1) / 2 : 0) {
		do {
			before = n;
			n = leave_out(&s, steps, n, size);
		} while (n < before && size == 1);
		if (size > n)
			size = n;
	}
	do {
		before = n;
		for (uint64_t i = n; i-- > 0;)
			if (i < n)
				n = leave_out_move(&s, steps, n, i);
		n = leave_out(&s, steps, n, 1);
	} while (n < before);
	make_smaller(&s, steps, n);
	return n;
}
