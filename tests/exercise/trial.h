/*
 * trial.h: one run of drawn or given steps on a fresh tree, in a process of its own, so that whatever happens to
 * it (a difference, a sanitizer, a hang) leaves the steps behind for another try.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_TRIAL_H
#define SCRIBEFS_TESTS_EXERCISE_TRIAL_H

#include "tests/exercise/target.h"

#include <sys/types.h>

#define TRIAL_OPS_MAX 1000000u /* steps of one trial */

struct form {
	const char *name;
	bool mount;    /* else in this process */
	bool rocks;    /* in process: RocksDB */
	bool sessions; /* in process: through fs/session */
	bool rules;    /* the session form's steps too */
	unsigned every; /* steps between restarts that several processes share; 0: drawn */
};

/* Shared with the process that runs. */
struct record {
	uint64_t n; /* steps begun */
	uint64_t skipped;
	bool failed;
	char why[1024];
	/* several processes on one mount: pipes through which they meet, -1 else */
	int arrive, go;
	struct step steps[TRIAL_OPS_MAX];
};

struct record *record_new(void);
void record_free(struct record *r);

/*
 * Draws @ops steps by @seed, or with @steps not NULL performs these @n. The outcome is in @record.
 * trial_start() returns the child; trial_end() waits for it, true where all was well.
 */
pid_t trial_start(const struct form *form, const struct target_options *options, uint64_t seed,
	const struct step *steps, uint64_t n, struct record *record);
bool trial_end(pid_t child, struct record *record);
bool trial_run(const struct form *form, const struct target_options *options, uint64_t seed,
	const struct step *steps, uint64_t n, struct record *record);

/* shrink.c: makes @steps as few and small as still fail. Returns how many are left; 0: they do not fail again. */
uint64_t shrink(const struct form *form, const struct target_options *options, uint64_t seed,
	struct step *steps, uint64_t n, struct record *record);

/* together.c: several processes at the same files, whose sums are checked. 0, or the number of differences. */
unsigned together(const struct target_options *options, unsigned processes, unsigned ops, uint64_t seed,
	uint64_t *ret_ops);

#endif
