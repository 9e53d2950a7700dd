#include "tests/exercise/trial.h"

#include "tests/exercise/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANG_SECONDS 600
#define HANG_LOOK 64 /* steps */

struct record *record_new(void)
{
	struct record *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (r == MAP_FAILED)
		abort();
	r->arrive = r->go = -1;
	return r;
}

void record_free(struct record *r)
{
	munmap(r, sizeof *r);
}

/* The step at which all who share a mount meet: it goes down under all of them. */
static bool shared_restart(const struct form *form, uint64_t at, struct step *ret_step)
{
	if (!form->every || (at + 1) % form->every)
		return false;
	*ret_step = (struct step){.verb = (at + 1) / form->every % 3 ? VERB_kill : VERB_reopen};
	return true;
}

static void perform(struct run *run, const struct form *form, uint64_t seed, const struct step *steps,
	uint64_t n, struct record *record)
{
	struct draw draw;
	draw_init(&draw, seed);
	draw.restarts = form->every ? 0 : form->mount ? 300 : 2000;
	for (uint64_t i = 0; i < n && !run->failed; i++) {
		struct step *s = &record->steps[i];
		if (steps)
			*s = steps[i];
		else if (!shared_restart(form, i, s))
			draw_step(&draw, run, s);
		record->n = i + 1;
		if (i % HANG_LOOK == 0)
			alarm(HANG_SECONDS);
		run_step(run, s);
	}
	record->skipped = run->skipped;
	if (!run->failed && !run->sessions) {
		run_begin(run);
		compare_all(run);
	}
}

static _Noreturn void child(const struct form *form, const struct target_options *options, uint64_t seed,
	const struct step *steps, uint64_t n, struct record *record)
{
	struct target_options o = *options;
	struct run run;
	char tree[64];
	/* A fresh one: other tries may have left theirs on the mount. */
	snprintf(tree, sizeof tree, "%su/w%d%s", form->mount ? "users/" : "", getpid(),
		form->rules ? "" : "/s/plain");
	o.tree = tree;
	o.rocks = form->rocks;
	o.sessions = form->sessions;
	o.timed = seed % 5 == 4;
	o.seed = (unsigned)(seed / 5);
	o.by_other = form->rules;
	o.arrive = record->arrive;
	o.go = record->go;
	run_init(&run, form->mount ? target_mount_new(&o) : target_core_new(&o), model_new(0755, 0, 0));
	if (form->rules)
		run.sessions = sessions_model_new();
	perform(&run, form, seed, steps, n, record);
	record->failed = run.failed;
	memcpy(record->why, run.why, sizeof record->why);
	if (run.failed)
		_exit(1); /* threads of the store still run */
	run_release(&run);
	exit(0);
}

pid_t trial_start(const struct form *form, const struct target_options *options, uint64_t seed,
	const struct step *steps, uint64_t n, struct record *record)
{
	pid_t pid;
	record->n = record->skipped = 0;
	record->failed = false;
	record->why[0] = '\0';
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0)
		child(form, options, seed, steps, n < TRIAL_OPS_MAX ? n : TRIAL_OPS_MAX, record);
	return pid;
}

bool trial_end(pid_t pid, struct record *record)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			abort();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
		fprintf(stderr, "exercise: cannot run here\n");
		exit(2);
	}
	if (status && !record->failed) {
		record->failed = true;
		snprintf(record->why, sizeof record->why, "the process ended with %s %d",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
	return !record->failed;
}

bool trial_run(const struct form *form, const struct target_options *options, uint64_t seed,
	const struct step *steps, uint64_t n, struct record *record)
{
	return trial_end(trial_start(form, options, seed, steps, n, record), record);
}
