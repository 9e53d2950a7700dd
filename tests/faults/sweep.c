/*
 * sweep: fails calls of the store's files, one by one, under a load on a store of kv's, and checks
 * what must hold: the errno reaches the caller, nothing that was acknowledged is lost and nothing
 * that was refused appears, reading goes on, and when the fault is over writing goes on, without a
 * new opening.
 *
 *   fault_sweep --set POINT|off FILE     for the control file of another program
 *   fault_sweep [--library FILE] [--jobs N] [--seed N] [--points N] [--time SECONDS] [POINT…]
 *
 * Without POINTs it counts the calls of a run without faults, and takes --points (default 60) of all
 * calls and forms by --seed; with --time new ones until the time is over. Each is a process of its
 * own, in which the library of inject.c lies below RocksDB. Exit status 0, or 1 with the points that
 * failed, which can be given as arguments.
 */
#include "kv/bytes.h"
#include "kv/kv_internal.h"
#include "kv/keyring.h"
#include "tests/faults/load.h"
#include "tests/faults/point.h"

#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define WARM_STEPS 120
#define STEPS 250
#define FAILING_STEPS 5
#define WELL_TENTHS 300 /* how long it may take until writing goes on */
#define JOBS_MAX 64
#define POINT_SECONDS 120

static const struct kv_unlock pass = {
	.type = KEYRING_PASSPHRASE, .secret = "a passphrase", .secret_len = 12};
static const struct kv_options options = {
	.memtable_bytes = 512 << 10, .cache_bytes = 1 << 20, .reserve_bytes = 4 << 20, .sync_seconds = 1};

static void *map(const char *file, size_t size)
{
	int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *p;

	if (file && (fd < 0 || ftruncate(fd, (off_t)size) < 0))
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (file ? 0 : MAP_ANONYMOUS), fd, 0);
	if (fd >= 0)
		close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- one point, in a process of its own ------------------------------------------------------ */

struct run {
	const char *store;
	struct point point;
	struct fault_control *control;
	struct load *load;  /* what changes */
	struct load *still; /* what is read all the time */
	_Atomic bool stop;
	_Atomic unsigned misread;
	unsigned bad;
};

__attribute__((format(printf, 3, 4))) static void expect(
	struct run *run, bool holds, const char *fmt, ...)
{
	va_list ap;

	if (holds)
		return;
	run->bad++;
	printf("    ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* Opening a table that is not open yet may fail, then. */
static bool may_misread(const struct run *run)
{
	return run->point.call == FAULT_OPEN && run->point.file == FAULT_TABLE;
}

static int open_store(struct run *run)
{
	struct kv *kv;
	int r = kv_open(run->store, &pass, &options, &kv);

	if (r == 0)
		run->load->kv = run->still->kv = kv;
	return r;
}

/* A process makes the store and dies. */
static void warm_up(struct run *run)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305,
		.first = pass,
		.opslimit = 1,
		.memlimit = 8192};
	int status;
	pid_t child = fork();

	if (child == 0) {
		bool ok = keyring_create(run->store, &init, NULL) == 0 && open_store(run) == 0 &&
			  kv_domain_create(run->load->kv, &run->load->domain) == 0 &&
			  kv_domain_create(run->load->kv, &run->still->domain) == 0;
		for (int i = 0; ok && i < WARM_STEPS; i++)
			ok = load_step(run->load) == 0 && load_step(run->still) == 0;
		_exit(ok ? 0 : 1);
	}
	expect(run, waitpid(child, &status, 0) == child && status == 0, "no store: status %x", status);
}

static void *read_on(void *arg)
{
	struct run *run = arg;
	struct timespec pause = {.tv_nsec = 1000000};
	uint32_t dice = 7;

	while (!atomic_load(&run->stop)) {
		atomic_fetch_add(&run->misread, load_look(run->still, &dice));
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* The store is opened while it fails, if that is the point. */
static void opening(struct run *run)
{
	int r;

	memset(run->control->counted, 0, sizeof run->control->counted);
	if (run->point.opening)
		point_set(&run->point, run->control);
	r = open_store(run);
	if (run->point.opening) {
		point_take_back(run->control);
		expect(run, r == 0 || r == -run->point.error, "opening answered %d", r);
		if (r < 0)
			r = open_store(run);
	}
	expect(run, r == 0, "the store does not open: %d", r);
}

static void failing(struct run *run)
{
	bool lasting = run->point.form == FORM_LASTING;
	int failures = 0, r;

	run->load->allowed = run->point.error;
	for (int i = 0; i < STEPS && failures < FAILING_STEPS; i++) {
		r = load_step(run->load);
		expect(run, r != -EPROTO, "a wrong errno");
		failures += r < 0 && lasting;
	}
	if (failures && !may_misread(run))
		expect(run, load_compare(run->load) == 0, "while it fails reading differs");
	point_take_back(run->control);
}

static void well_again(struct run *run)
{
	struct timespec tenth = {.tv_nsec = 100000000};
	int r = -EIO;

	for (int i = 0; r < 0 && i < WELL_TENTHS; i++) {
		r = load_step(run->load);
		if (r < 0)
			nanosleep(&tenth, NULL);
	}
	expect(run, r == 0, "writing does not go on: %d", r);
	run->load->allowed = 0;
	for (int i = 0; r == 0 && i < STEPS / 4; i++)
		expect(run, load_step(run->load) == 0, "and then it failed again");
	expect(run, kv_sync(run->load->kv) == 0, "it cannot be synced");
	expect(run, load_compare(run->load) == 0, "then records differ");
}

static void reopened(struct run *run)
{
	struct kv_state state;
	int r = kv_close(run->load->kv);

	expect(run, r == 0, "closing answered %d", r);
	r = open_store(run);
	expect(run, r == 0, "it does not open again: %d", r);
	if (r < 0)
		return;
	kv_get_state(run->load->kv, &state);
	expect(run, !state.damaged && !state.read_only && !state.unclean && !state.mark_lost,
		"it was not closed well");
	expect(run, load_compare(run->load) == 0 && load_compare(run->still) == 0,
		"after a new opening records differ");
	kv_close(run->load->kv);
}

static int run_point(const char *store, const char *control, const char *text)
{
	struct run run = {.store = store, .control = map(control, sizeof *run.control)};
	pthread_t reader;

	setvbuf(stdout, NULL, _IOLBF, 0);
	run.load = map(NULL, sizeof *run.load);
	run.still = map(NULL, sizeof *run.still);
	if (!run.control || !run.load || !run.still || point_parse(text, &run.point) < 0)
		return 2;
	run.load->dice = 1;
	run.still->dice = 2;
	warm_up(&run);
	if (run.bad == 0)
		opening(&run);
	if (run.bad || (run.point.opening && run.point.nth == 0))
		return run.bad != 0; /* 0: counted */
	if (!run.point.opening) {
		memset(run.control->counted, 0, sizeof run.control->counted);
		point_set(&run.point, run.control);
	}
	expect(&run, pthread_create(&reader, NULL, read_on, &run) == 0, "no thread");
	failing(&run);
	if (run.point.nth == 0)
		_exit(run.bad != 0); /* counted */
	well_again(&run);
	atomic_store(&run.stop, true);
	pthread_join(reader, NULL);
	expect(&run, may_misread(&run) || run.misread == 0, "%u records were not read", run.misread);
	reopened(&run);
	printf("    fired %llu, refused %u\n", (unsigned long long)run.control->fired,
		run.load->refused);
	return run.bad ? 1 : run.point.nth && run.control->fired == 0 ? 3 : 0;
}

/* ---- many points ----------------------------------------------------------------------------- */

struct job {
	pid_t pid;
	char dir[256];
	struct point point;
};

struct sweep {
	const char *self, *library;
	int jobs_max;
	struct job jobs[JOBS_MAX];
	int running;
	unsigned done, failed, missed, refused;
	uint32_t dice;
	uint64_t opening[FAULT_CALLS][FAULT_FILES], loading[FAULT_CALLS][FAULT_FILES];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void start_job(struct sweep *s, const struct point *point)
{
	struct job *job = s->jobs;
	char store[300], control[300], out[300], text[POINT_TEXT];

	while (job->pid)
		job++;
	*job = (struct job){.point = *point};
	snprintf(job->dir, sizeof job->dir, "%s/scribefs-fault-XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp");
	if (!mkdtemp(job->dir))
		exit(2);
	snprintf(store, sizeof store, "%s/store", job->dir);
	snprintf(control, sizeof control, "%s/control", job->dir);
	snprintf(out, sizeof out, "%s/out", job->dir);
	point_text(point, text);
	if (!map(control, sizeof(struct fault_control)) || mkdir(store, 0700) < 0)
		exit(2);
	fflush(NULL);
	job->pid = fork();
	if (job->pid == 0) {
		int fd = open(out, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		setenv("FAULT_DIR", store, 1);
		setenv("FAULT_CONTROL", control, 1);
		setenv("LD_PRELOAD", s->library, 1);
		alarm(POINT_SECONDS);
		execl(s->self, s->self, "--one", text, store, control, NULL);
		_exit(2);
	}
	s->running++;
}

static void show(const char *dir)
{
	char path[300], line[512];
	FILE *f;

	snprintf(path, sizeof path, "%s/out", dir);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		fputs(line, stdout);
	if (f)
		fclose(f);
}

static void read_counts(struct sweep *s, const struct job *job)
{
	char path[300];
	struct fault_control *control;

	snprintf(path, sizeof path, "%s/control", job->dir);
	control = map(path, sizeof *control);
	if (!control)
		exit(2);
	memcpy(job->point.opening ? s->opening : s->loading, control->counted,
		sizeof control->counted);
	munmap(control, sizeof *control);
}

static void end_job(struct sweep *s)
{
	int status, exited;
	pid_t pid = wait(&status);
	struct job *job = s->jobs;
	char text[POINT_TEXT];

	while (job->pid != pid)
		job++;
	point_text(&job->point, text);
	exited = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	s->done++;
	s->missed += exited == 3;
	if (exited != 0 && exited != 3) {
		s->failed++;
		printf("FAIL: %s (status %x)\n", text, (unsigned)status);
		show(job->dir);
	}
	if (job->point.nth == 0)
		read_counts(s, job);
	nftw(job->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	job->pid = 0;
	s->running--;
}

static void sweep_one(struct sweep *s, const struct point *point)
{
	while (s->running >= s->jobs_max)
		end_job(s);
	start_job(s, point);
}

static void finish(struct sweep *s)
{
	while (s->running)
		end_job(s);
}

static uint32_t roll(struct sweep *s, uint32_t sides)
{
	s->dice = s->dice * 1664525u + 1013904223u;
	return (s->dice >> 8) % sides;
}

/* A call and a file that were met, one as often as the other; the first and the last time oftener. */
static struct point choose(struct sweep *s)
{
	struct point p;
	uint64_t n;

	do {
		p = (struct point){.call = roll(s, FAULT_CALLS),
			.file = roll(s, FAULT_FILES),
			.error = roll(s, 2) ? EIO : ENOSPC,
			.form = roll(s, FORMS),
			.opening = roll(s, 3) == 0};
		n = (p.opening ? s->opening : s->loading)[p.call][p.file];
	} while (n == 0 || ((p.form == FORM_PARTIAL || p.form == FORM_AFTER) && p.call != FAULT_WRITE));
	p.nth = roll(s, 6) == 0 ? 1 : roll(s, 8) == 0 ? (int64_t)n : 1 + roll(s, (uint32_t)n);
	return p;
}

static void count(struct sweep *s)
{
	sweep_one(s, &(struct point){.opening = true});
	sweep_one(s, &(struct point){0});
	finish(s);
	if (s->failed)
		exit(1);
	s->done = 0;
}

/* For a program of which somebody else takes care. */
static int set_point(const char *text, const char *file)
{
	struct fault_control *control = map(file, sizeof *control);
	struct point point;

	if (!control || (strcmp(text, "off") != 0 && point_parse(text, &point) < 0))
		return 2;
	point_take_back(control);
	if (strcmp(text, "off") != 0)
		point_set(&point, control);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"library", required_argument, NULL, 'l'},
		{"jobs", required_argument, NULL, 'j'}, {"seed", required_argument, NULL, 's'},
		{"points", required_argument, NULL, 'p'}, {"time", required_argument, NULL, 't'}, {0}};
	static struct sweep s = {.self = "/proc/self/exe", .jobs_max = 8, .dice = 1};
	unsigned points = 60, seconds = 0;
	time_t began = time(NULL);
	struct point point;
	int c;

	if (argc == 5 && strcmp(argv[1], "--one") == 0)
		return run_point(argv[3], argv[4], argv[2]);
	if (argc == 4 && strcmp(argv[1], "--set") == 0)
		return set_point(argv[2], argv[3]);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'l')
			s.library = optarg;
		else if (c == 'j')
			s.jobs_max = atoi(optarg);
		else if (c == 's')
			s.dice = (uint32_t)atoi(optarg);
		else if (c == 'p')
			points = (unsigned)atoi(optarg);
		else if (c == 't')
			seconds = (unsigned)atoi(optarg);
		else
			return 2;
	}
	if (!s.library || s.jobs_max < 1 || s.jobs_max > JOBS_MAX)
		return 2;
	for (int i = optind; i < argc; i++) {
		if (point_parse(argv[i], &point) < 0)
			return 2;
		sweep_one(&s, &point);
	}
	if (optind == argc) {
		printf("seed %u\n", s.dice);
		count(&s);
		for (unsigned i = 0; seconds ? time(NULL) < began + seconds : i < points; i++) {
			point = choose(&s);
			sweep_one(&s, &point);
		}
	}
	finish(&s);
	printf("%u points, %u did not come up, %u failed\n", s.done, s.missed, s.failed);
	return s.failed ? 1 : 0;
}
