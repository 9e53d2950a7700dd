/*
 * tamper: tampers with stores on disk, one change at a time, and looks at what the mount and fsck make of it.
 *
 *   tamper [--seed S] [--trials N] [--minutes M] [--bytes STEP] [--again N] [--dir D] [--keep]
 *
 * N changes that are drawn; --bytes: and a bit in every STEP-th byte of each small file. There are two stores: one
 * was closed, the other one's process died after a sync, so that all of the late part lies in the log. For each
 * change a process of its own has a copy, changes it, checks it, opens and reads it. Must hold, else exit status 1:
 *
 *   - no process dies, but by its own exit (a sanitizer's is none);
 *   - nothing reads as it never was;
 *   - whatever is not as it should be is told: the store is not opened, or the mount says a line, or the read
 *     fails, or fsck finds it;  what a read finds, fsck finds;
 *   - a change of one record of a file's data is an error of that file alone, and of nothing else.
 *
 * --again N: only the one with this number, and says what came of it. --keep: ends at the first failure, and leaves
 * the stores and the changed copy, as the mount left it.
 */
#include "tests/tamper/harm.h"
#include "tests/tamper/look.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SMALL 4096 /* a file of which every byte is tried */
#define HANG 120   /* seconds; only ends a trial that hangs */

struct options {
	uint64_t seed, trials, bytes, again;
	double minutes;
	bool keep; /* ends at the first failure, and leaves the stores */
	char dir[256];
};

/* Shared with the process that does it. */
struct result {
	struct seen seen;
	int harmed; /* 0, 1: nothing was done, -errno */
	bool data;
	char text[200];
};

enum fate { REFUSED, TOLD, READ, FSCK, HARMLESS, FATES };
static const char *const fate_names[FATES] = {
	"not opened", "told at the mount", "at the read", "by fsck alone", "no harm"};

struct tally {
	unsigned fate[HARM_KINDS][FATES];
	unsigned done, failures;
};

static const char *const stores[] = {"closed", "died"};
/* What each was before: its older state. */
static const char *const befores[] = {"first", "closed"};

static int shell(const char *fmt, const char *a, const char *b, const char *c)
{
	char command[1200];

	snprintf(command, sizeof command, fmt, a, b, c);
	return system(command) == 0 ? 0 : -EIO;
}

/* A call that opens a store, in a process of its own, so that ours stays without threads. */
static int apart(int (*call)(const char *, const char *), const char *dir, const char *name)
{
	char path[300], list[300];
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(path, sizeof path, "%s/%s", dir, name);
		snprintf(list, sizeof list, "%s/%s.list", dir, name);
		int r = call(path, list);
		if (r < 0)
			fprintf(stderr, "%s: %s\n", name, strerror(-r));
		_exit(r < 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

static int do_first(const char *path, const char *list)
{
	(void)list;
	return tree_first(path);
}

static int do_second(const char *path, const char *list)
{
	(void)list;
	return tree_second(path);
}

static int do_die(const char *path, const char *list)
{
	(void)list;
	tree_die(path);
}

/* Looking writes to the store: it is done to a copy. */
static int list_copy(const char *dir, const char *name)
{
	int r = shell("cd '%s' && cp -a %s kept && true %s", dir, name, "");

	if (r == 0)
		r = apart(look_list, dir, name);
	return r < 0 ? r : shell("cd '%s' && rm -rf %s && mv kept %s", dir, name, name);
}

/* The second time: looked at once, so that what is rendered at a look is there. */
static int make_stores(const char *dir)
{
	int r = apart(do_first, dir, "first");

	if (r == 0)
		r = apart(look_list, dir, "first");
	if (r == 0)
		r = shell("cd '%s' && cp -a %s %s", dir, "first", "closed");
	if (r == 0)
		r = apart(do_second, dir, "closed");
	if (r == 0)
		r = apart(look_list, dir, "closed");
	if (r == 0)
		r = list_copy(dir, "closed");
	if (r == 0)
		r = shell("cd '%s' && cp -a %s %s", dir, "closed", "died");
	if (r == 0)
		r = apart(do_die, dir, "died");
	return r < 0 ? r : list_copy(dir, "died");
}

/* ---- one change ------------------------------------------------------------------------------ */

struct change {
	unsigned store;
	enum harm kind;
	uint64_t seed;
	const char *file; /* NULL: drawn; else its bit 1 << at % 8 at the byte at */
	off_t at;
};

static void trial(const char *dir, const struct change *c, struct result *result)
{
	struct dice dice = {.state = c->seed};
	char path[300], list[300], older[300], older_list[300];

	snprintf(path, sizeof path, "%s/trial", dir);
	snprintf(list, sizeof list, "%s/%s.list", dir, stores[c->store]);
	snprintf(older, sizeof older, "%s/%s", dir, befores[c->store]);
	snprintf(older_list, sizeof older_list, "%s/%s.list", dir, befores[c->store]);
	alarm(HANG);
	if (c->file) {
		snprintf(result->text, sizeof result->text, "%s at %lld", c->file, (long long)c->at);
		result->harmed = harm_flip(path, c->file, c->at, (unsigned)(c->at % 8));
	} else {
		result->harmed = harm(path, older, c->kind, &dice, result->text, &result->data);
	}
	if (result->harmed)
		return;
	look_fsck(path, &result->seen);
	look_mount(path, list, older_list, &result->seen);
}

static const char *verdict(const struct result *r, int status)
{
	const struct seen *s = &r->seen;

	if (status != 0)
		return WIFSIGNALED(status) ? "the process died by a signal" : "the process ended itself";
	if (r->harmed < 0)
		return "the change could not be made";
	if (s->opened < 0)
		return s->fsck ? NULL : "the store does not open, and fsck finds nothing";
	if (s->wrong)
		return "something reads as it never was";
	if (s->errors && !s->told && !s->fsck)
		return "a read fails, and fsck finds nothing";
	if ((s->older || s->gone) && !s->told && !s->errors && !s->fsck)
		return "something is older or gone, and nobody says so";
	if (r->data && (s->inodes_hit > 1 || s->older || s->wrong))
		return "data of one file was hit, and more than that file";
	return NULL;
}

static enum fate fate(const struct seen *s)
{
	if (s->opened < 0)
		return REFUSED;
	return s->told ? TOLD : s->errors ? READ : s->fsck ? FSCK : HARMLESS;
}

static int run_change(const struct options *o, const struct change *c, struct result *result,
	struct tally *tally)
{
	int status = 0;

	memset(result, 0, sizeof *result);
	if (shell("cd '%s' && rm -rf trial && cp -a %s trial && true %s", o->dir, stores[c->store], "") < 0)
		return -EIO;
	pid_t pid = fork();
	if (pid == 0) {
		/* What kv says of each damage would drown the rest. */
		if (!o->again && !freopen("/dev/null", "w", stderr))
			_exit(9);
		trial(o->dir, c, result);
		exit(0); /* for what a sanitizer does at the end */
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	const char *bad = verdict(result, status);
	const struct seen *s = &result->seen;
	if (bad || o->again)
		printf("%s: %llu: %s store, %s: %s: %s (status %x, opened %d, told %d, errors %u, older %u, gone %u, "
		       "wrong %u, same %u, fsck %d; first: %s)\n",
			bad ? "FAIL" : "ok", (unsigned long long)c->seed, stores[c->store],
			harm_names[c->kind], result->text, bad ? bad : fate_names[fate(s)],
			(unsigned)status, s->opened, s->told, s->errors, s->older, s->gone, s->wrong,
			s->same, s->fsck, s->first);
	tally->failures += bad != NULL;
	if (!bad && result->harmed == 0) {
		tally->done++;
		tally->fate[c->kind][fate(s)]++;
	}
	return 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static double minutes(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec / 60;
}

static int every_byte(const struct options *o, struct result *result, struct tally *tally)
{
	for (unsigned store = 0; store < 2; store++) {
		char path[300], **files;
		size_t n;
		int r;

		snprintf(path, sizeof path, "%s/%s", o->dir, stores[store]);
		r = harm_files(path, &files, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			off_t size = harm_size(path, files[i]);
			for (off_t at = (off_t)(o->seed % o->bytes); r == 0 && at < size && size <= SMALL;
				at += (off_t)o->bytes) {
				if (o->keep && tally->failures)
					break;
				const struct change c = {
					.store = store, .kind = HARM_FLIP, .file = files[i], .at = at};
				r = run_change(o, &c, result, tally);
			}
			free(files[i]);
		}
		free(files);
		if (r < 0)
			return r;
	}
	return 0;
}

static int drawn(const struct options *o, struct result *result, struct tally *tally)
{
	double end = minutes() + o->minutes;
	struct dice dice = {.state = o->seed};

	for (uint64_t i = 0; i < o->trials && (!o->minutes || minutes() < end) && !(o->keep && tally->failures); i++) {
		struct change c = {.seed = o->again ? o->again : dice_draw(&dice, 1u << 30) + 1};
		c.store = c.seed % 3 == 0;
		/* Flips are the half of it. */
		c.kind = c.seed / 3 % 2 ? HARM_FLIP : (enum harm)(c.seed / 6 % HARM_KINDS);
		int r = run_change(o, &c, result, tally);
		if (r < 0)
			return r;
		if (o->again)
			break;
	}
	return 0;
}

static void print_tally(const struct options *o, const struct tally *t)
{
	printf("%-26s", "");
	for (unsigned f = 0; f < FATES; f++)
		printf("%18s", fate_names[f]);
	for (unsigned k = 0; k < HARM_KINDS; k++) {
		printf("\n%-26s", harm_names[k]);
		for (unsigned f = 0; f < FATES; f++)
			printf("%18u", t->fate[k][f]);
	}
	printf("\n%u changes survived, %u failed; seed %llu\n", t->done, t->failures,
		(unsigned long long)o->seed);
}

static struct options parse(int argc, char **argv)
{
	static const struct option names[] = {{"seed", 1, NULL, 's'}, {"trials", 1, NULL, 'n'},
		{"minutes", 1, NULL, 'm'}, {"bytes", 1, NULL, 'b'}, {"again", 1, NULL, 'a'},
		{"dir", 1, NULL, 'd'}, {"keep", 0, NULL, 'k'}, {0}};
	struct options o = {.trials = 200};
	int c;

	kv_random(&o.seed, 4);
	snprintf(o.dir, sizeof o.dir, "%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");
	while ((c = getopt_long(argc, argv, "", names, NULL)) >= 0)
		switch (c) {
		case 's': o.seed = strtoull(optarg, NULL, 10); break;
		case 'n': o.trials = strtoull(optarg, NULL, 10); break;
		case 'm': o.minutes = strtod(optarg, NULL); break;
		case 'b': o.bytes = strtoull(optarg, NULL, 10); break;
		case 'a': o.again = strtoull(optarg, NULL, 10); break;
		case 'k': o.keep = true; break;
		case 'd': snprintf(o.dir, sizeof o.dir, "%s", optarg); break;
		default: exit(2);
		}
	strncat(o.dir, "/scribefs-tamper-XXXXXX", sizeof o.dir - strlen(o.dir) - 1);
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	struct result *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct tally tally = {0};
	int r;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	if (result == MAP_FAILED || !mkdtemp(o.dir)) {
		perror(o.dir);
		return 2;
	}
	printf("seed %llu\n", (unsigned long long)o.seed);
	r = make_stores(o.dir);
	if (r == 0 && o.bytes)
		r = every_byte(&o, result, &tally);
	if (r == 0)
		r = drawn(&o, result, &tally);
	if (r < 0)
		fprintf(stderr, "it could not be done: %s\n", strerror(-r));
	if (o.keep && tally.failures)
		printf("kept: %s\n", o.dir);
	else
		(void)shell("rm -rf '%s' %s %s", o.dir, "", "");
	print_tally(&o, &tally);
	return r < 0 || tally.failures || !tally.done;
}
