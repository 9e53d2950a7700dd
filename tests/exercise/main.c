/*
 * exercise: random operations against a model. README.md says what for and how; --help the options.
 */
#include "kv/log.h"
#include "tests/exercise/trial.h"

#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EPISODE 20000 /* steps on one tree */
#define DIR_MAX 400   /* bytes of our folder's path */

static const struct form forms[] = {
	{.name = "core"},
	{.name = "rocks", .rocks = true},
	{.name = "layer", .sessions = true},
	{.name = "session", .sessions = true, .rules = true},
	{.name = "mount", .mount = true},
	{.name = "parallel", .mount = true, .every = 400},
	{.name = "mount-session", .mount = true, .rules = true},
	{.name = "together", .mount = true},
};

struct options {
	const struct form *form;
	uint64_t seed, ops, episode;
	const char *script, *save;
	unsigned processes;
	struct target_options target;
};

static const char help[] =
	"exercise [OPTION…]: random operations, each answer compared with a model\n"
	"  --form FORM      core (the default), rocks, layer, session: in this process, on fs/core in memory,\n"
	"                   on RocksDB, through fs/session, and the rules of sessions;\n"
	"                   mount, parallel, mount-session, together: on a mount of its own\n"
	"  --seed S         the first seed (else one is drawn, and printed)\n"
	"  --ops N          steps in all (20000)\n"
	"  --episode N      steps on one tree (20000); each has the next seed\n"
	"  --processes N    for parallel and together (4)\n"
	"  --script FILE    performs these steps instead\n"
	"  --save FILE      where the script of a failure goes too\n"
	"  --program PATH   scribefs, for the forms on a mount\n"
	"  --scratch DIR    where stores are made (TMPDIR, /var/tmp)\n"
	"Exit status 0, 1 after a difference, 2 where it cannot run.\n";

/* ---- the end of a failure -------------------------------------------------------------------- */

static void print_script(FILE *out, const struct options *o, uint64_t seed, const struct step *steps,
	uint64_t n)
{
	fprintf(out, "# exercise --form %s --seed %llu --script FILE\n", o->form->name,
		(unsigned long long)seed);
	for (uint64_t i = 0; i < n; i++)
		step_print(out, &steps[i]);
}

static void save_script(const struct options *o, uint64_t seed, const struct step *steps, uint64_t n)
{
	FILE *out = o->save ? fopen(o->save, "w") : NULL;
	if (!out)
		return;
	print_script(out, o, seed, steps, n);
	fclose(out);
	printf("the script is in %s\n", o->save);
}

static void explain(struct options *o, uint64_t seed, struct record *record)
{
	uint64_t n = record->n, left;
	struct step *steps = malloc(n * sizeof *steps);
	if (!steps)
		abort();
	memcpy(steps, record->steps, n * sizeof *steps);
	printf("FAIL: form %s, seed %llu, step %llu: %s\n  at: ", o->form->name, (unsigned long long)seed,
		(unsigned long long)n, record->why);
	step_print(stdout, &steps[n - 1]);
	printf("  again: exercise --form %s --seed %llu --ops %llu\n", o->form->name,
		(unsigned long long)seed, (unsigned long long)n);
	fflush(stdout);
	left = shrink(o->form, &o->target, seed, steps, n, record);
	if (!left)
		printf("  it does not fail again alone; the whole script has %llu steps\n", (unsigned long long)n);
	else
		trial_run(o->form, &o->target, seed, steps, left, record);
	if (left) {
		printf("  shrunk to %llu steps: %s\n", (unsigned long long)left, record->why);
		print_script(stdout, o, seed, steps, left);
	}
	save_script(o, seed, steps, left ? left : n);
	free(steps);
	fflush(stdout);
}

/* ---- forms ----------------------------------------------------------------------------------- */

static bool run_episodes(struct options *o, struct record *record)
{
	uint64_t done = 0, skipped = 0;
	for (uint64_t seed = o->seed; done < o->ops; seed++) {
		uint64_t n = o->ops - done < o->episode ? o->ops - done : o->episode;
		if (!trial_run(o->form, &o->target, seed, NULL, n, record)) {
			explain(o, seed, record);
			return false;
		}
		done += record->n;
		skipped += record->skipped;
	}
	printf("ok: form %s, seeds %llu…%llu, %llu steps without a difference (%llu had nothing to do)\n",
		o->form->name, (unsigned long long)o->seed,
		(unsigned long long)(o->seed + (o->ops - 1) / o->episode), (unsigned long long)done,
		(unsigned long long)skipped);
	return true;
}

static bool run_script(struct options *o, struct record *record)
{
	struct step *steps;
	FILE *in = strcmp(o->script, "-") ? fopen(o->script, "r") : stdin;
	long n = in ? step_read(in, &steps) : -1;
	if (n <= 0) {
		fprintf(stderr, "exercise: no script in %s\n", o->script);
		exit(2);
	}
	if (trial_run(o->form, &o->target, o->seed, steps, (uint64_t)n, record)) {
		printf("ok: %ld steps\n", n);
		free(steps);
		return true;
	}
	printf("FAIL: step %llu: %s\n  at: ", (unsigned long long)record->n, record->why);
	step_print(stdout, &steps[record->n - 1]);
	free(steps);
	return false;
}

/* One that has ended, or -1. */
static int ended(const pid_t *children, unsigned processes)
{
	for (unsigned i = 0; i < processes; i++) {
		siginfo_t info = {0};
		if (waitid(P_PID, (id_t)children[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid)
			return (int)i;
	}
	return -1;
}

/*
 * Waits until all have come to the step where the mount goes down; false when one has ended instead: *ret_first. The
 * others hold the pipe open, so its end is no sign of that.
 */
static bool meeting(int arrive, const pid_t *children, unsigned processes, char *ret_how, int *ret_first)
{
	struct pollfd wait = {.fd = arrive, .events = POLLIN};
	for (unsigned i = 0; i < processes;) {
		if (poll(&wait, 1, 200) > 0 && read(arrive, ret_how, 1) == 1) {
			i++;
			continue;
		}
		*ret_first = ended(children, processes);
		if (*ret_first >= 0)
			return false;
	}
	return true;
}

static void restart_mount(const struct target_options *o, char how, int go, unsigned processes)
{
	bool good = how == 'r' ? target_mount_stop(o) == 0 : target_mount_kill(o) == 0;
	char answers[64];
	good = target_mount_start(o) == 0 && good;
	memset(answers, good ? 'k' : 'x', sizeof answers);
	if (write(go, answers, processes) != (ssize_t)processes)
		abort();
}

static bool run_parallel(struct options *o, struct record *unused)
{
	unsigned count = o->processes;
	struct record *records[64];
	pid_t children[64];
	int arrive[2], go[2];
	uint64_t done = 0, n = o->ops / count < TRIAL_OPS_MAX ? o->ops / count : TRIAL_OPS_MAX;
	bool good = true, told = false;
	int first = -1;
	char how;
	if (pipe(arrive) < 0 || pipe(go) < 0)
		abort();
	o->target.shared = true;
	for (unsigned i = 0; i < count; i++) {
		records[i] = record_new();
		records[i]->arrive = arrive[1];
		records[i]->go = go[0];
		children[i] = trial_start(o->form, &o->target, o->seed + i, NULL, n, records[i]);
	}
	close(arrive[1]);
	close(go[0]);
	for (uint64_t i = 0; i < n / o->form->every && meeting(arrive[0], children, count, &how, &first); i++)
		restart_mount(&o->target, how, go[1], count);
	close(go[1]);
	for (unsigned i = 0; i < count; i++) {
		bool fine = trial_end(children[i], records[i]);
		good = good && fine;
		/* The others of one that failed wait for nothing, and end with that. */
		if (!fine && (first < 0 || first == (int)i) && !told) {
			told = true;
			o->target.shared = false;
			records[i]->arrive = records[i]->go = -1;
			explain(o, o->seed + i, records[i]);
		}
		done += records[i]->n;
		record_free(records[i]);
	}
	close(arrive[0]);
	if (good)
		printf("ok: form parallel, %u processes, seeds %llu…%llu, %llu steps without a difference\n", count,
			(unsigned long long)o->seed, (unsigned long long)(o->seed + count - 1),
			(unsigned long long)done);
	return good;
}

static bool run_together(struct options *o)
{
	uint64_t done = 0;
	unsigned wrong = together(&o->target, o->processes, (unsigned)(o->ops / o->processes), o->seed, &done);
	if (!wrong)
		printf("ok: form together, %u processes, seed %llu, %llu steps without a difference\n", o->processes,
			(unsigned long long)o->seed, (unsigned long long)done);
	return !wrong;
}

static bool run_form(struct options *o)
{
	struct record *record = record_new();
	bool good;
	if (o->script)
		good = run_script(o, record);
	else if (!strcmp(o->form->name, "together"))
		good = run_together(o);
	else if (o->form->every)
		good = run_parallel(o, record);
	else
		good = run_episodes(o, record);
	record_free(record);
	return good;
}

/* ---- a mount of our own ---------------------------------------------------------------------- */

static bool make_store(struct options *o, const char dir[DIR_MAX])
{
	static char store[DIR_MAX + 8], key[DIR_MAX + 8], mountpoint[DIR_MAX + 8];
	char line[PATH_MAX + 4 * DIR_MAX];
	snprintf(store, sizeof store, "%s/store", dir);
	snprintf(key, sizeof key, "%s/key", dir);
	snprintf(mountpoint, sizeof mountpoint, "%s/mnt", dir);
	o->target.store = store;
	o->target.key = key;
	o->target.mountpoint = mountpoint;
	snprintf(line, sizeof line, "mkdir '%s' && '%s' init '%s' --new-key-file '%s' --no-recovery-key >/dev/null",
		mountpoint, o->target.program, store, key);
	return system(line) == 0 && target_mount_start(&o->target) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int run_with_store(struct options *o)
{
	static char dir[DIR_MAX];
	bool good = false, made;
	int len = snprintf(dir, sizeof dir, "%s/scribefs-exercise-XXXXXX", o->target.scratch);
	if (len >= (int)sizeof dir || !mkdtemp(dir)) {
		perror(dir);
		return 2;
	}
	o->target.scratch = dir;
	made = !o->form->mount || make_store(o, dir);
	if (!made)
		fprintf(stderr, "exercise: no mount with %s\n", o->target.program);
	else
		good = run_form(o);
	if (o->form->mount && target_mount_stop(&o->target) < 0) {
		target_mount_kill(&o->target);
		umount2(o->target.mountpoint, MNT_DETACH);
		if (good)
			printf("FAIL: the mount does not end\n");
		good = false;
	}
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return made ? !good : 2;
}

static const struct form *form_of(const char *name)
{
	for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (!strcmp(forms[i].name, name))
			return &forms[i];
	fprintf(stderr, "exercise: no form %s\n", name);
	exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option names[] = {{"form", 1, 0, 'f'}, {"seed", 1, 0, 's'}, {"ops", 1, 0, 'n'},
		{"episode", 1, 0, 'e'}, {"processes", 1, 0, 'p'}, {"script", 1, 0, 'c'}, {"save", 1, 0, 'o'},
		{"program", 1, 0, 'P'}, {"scratch", 1, 0, 'd'}, {"help", 0, 0, 'h'}, {0}};
	for (int c; (c = getopt_long(argc, argv, "h", names, NULL)) >= 0;) {
		switch (c) {
		case 'f': o->form = form_of(optarg); break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'n': o->ops = strtoull(optarg, NULL, 0); break;
		case 'e': o->episode = strtoull(optarg, NULL, 0); break;
		case 'p': o->processes = (unsigned)atoi(optarg); break;
		case 'c': o->script = optarg; break;
		case 'o': o->save = optarg; break;
		case 'P': o->target.program = optarg; break;
		case 'd': o->target.scratch = optarg; break;
		case 'h': fputs(help, stdout); exit(0);
		default: fputs(help, stderr); exit(2);
		}
	}
	if (!o->ops || !o->episode || o->episode > TRIAL_OPS_MAX || !o->processes || o->processes > 60) {
		fputs(help, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	const char *scratch = getenv("TMPDIR");
	struct options o = {.form = &forms[0], .ops = EPISODE, .episode = EPISODE, .processes = 4,
		.target = {.scratch = scratch && *scratch ? scratch : "/var/tmp", .program = "build/scribefs"}};
	if (getrandom(&o.seed, sizeof o.seed, 0) != sizeof o.seed)
		return 2;
	o.seed %= 1000000000;
	signal(SIGPIPE, SIG_IGN);
	parse(argc, argv, &o);
	if (!o.form->mount && !o.form->rocks) /* what dies in this process takes its death for a failure of the disk */
		log_setup(LOG_LEVEL_SILENT, 0);
	return run_with_store(&o);
}
