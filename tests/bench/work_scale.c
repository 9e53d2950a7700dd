/*
 * work_scale.c: a store that grows to millions of messages, and work on parts of it. Session N lies
 * in DIR/uNNN/wN/session-NNNNN: a hundred in a workflow, ten workflows of a user, a hundred
 * messages in each.
 *
 *   load DIR FIRST LAST THREADS      makes sessions FIRST to LAST - 1; prints the seconds, the longest time that
 *                                    one message took, and how many took more than 200 ms
 *   pick-create DIR COUNT SESSIONS   a new message in each of COUNT places: 50 sessions of the first SESSIONS
 *   pick-read, pick-stat             COUNT messages that are there, of 50 sessions
 *   pick-list                        lists the messages of COUNT sessions
 *   pick-delete                      removes what pick-create made
 *
 * Each prints the seconds it took.
 */
#include "work.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES 100
#define SPREAD 50
#define SMALLEST 100.0
#define LARGEST 2048.0
#define STALL 0.2
#define MOST_THREADS 64

static void session_path(const char *dir, long session, const char *below, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/u%03ld/w%ld/session-%05ld%s", dir, session / 1000,
	        session / 100 % 10, session % 100000, below);
}

static void message_path(const char *dir, long session, long message, char path[PATH_SIZE])
{
	char below[48];
	snprintf(below, sizeof below, "/messages/%03ld.md", message);
	session_path(dir, session, below, path);
}

static struct {
	const char *dir;
	char text[8192];
	long last;
	atomic_long next;
} load_plan;

struct loader {
	pthread_t thread;
	double longest;
	long stalls;
};

static void make_session(const char *dir, long session)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/u%03ld", dir, session / 1000);
	make_dir(path);
	snprintf(path, sizeof path, "%s/u%03ld/w%ld", dir, session / 1000, session / 100 % 10);
	make_dir(path);
	session_path(dir, session, "", path);
	make_dir(path);
	session_path(dir, session, "/messages", path);
	make_dir(path);
}

static void timed_message(struct loader *l, long session, long message)
{
	char path[PATH_SIZE];
	message_path(load_plan.dir, session, message, path);
	size_t size = some_size(SMALLEST, LARGEST);
	double start = now();
	new_file(path, load_plan.text + dice() % (sizeof load_plan.text - size), size);
	double seconds = now() - start;
	l->longest = seconds > l->longest ? seconds : l->longest;
	l->stalls += seconds > STALL;
}

static void *load_some(void *arg)
{
	struct loader *l = arg;
	for (long s; (s = load_plan.next++) < load_plan.last;) {
		dice_seed((uint64_t)s);
		make_session(load_plan.dir, s);
		for (long m = 1; m <= MESSAGES; m++)
			timed_message(l, s, m);
	}
	return NULL;
}

static void load(const char *dir, const long *number)
{
	struct loader loader[MOST_THREADS] = {0};
	long threads = number[2] < MOST_THREADS ? number[2] : MOST_THREADS, stalls = 0;
	double longest = 0;
	words(load_plan.text, sizeof load_plan.text);
	load_plan.dir = dir;
	load_plan.next = number[0];
	load_plan.last = number[1];
	double start = now();
	for (long i = 0; i < threads; i++)
		if (pthread_create(&loader[i].thread, NULL, load_some, &loader[i]) != 0)
			die("thread for", dir);
	for (long i = 0; i < threads; i++) {
		pthread_join(loader[i].thread, NULL);
		longest = loader[i].longest > longest ? loader[i].longest : longest;
		stalls += loader[i].stalls;
	}
	printf("%.6f %.6f %ld\n", now() - start, longest, stalls);
}

/* The place of the n-th pick: as many sessions whatever the size, or deeper paths would count as
 * cost. */
static void pick(
        const char *dir, long n, long count, long sessions, long first, char path[PATH_SIZE])
{
	long each = (count + SPREAD - 1) / SPREAD;
	dice_seed((uint64_t)(1000 + n / each));
	message_path(dir, (long)(dice() % (uint64_t)sessions), first + n % each, path);
}

/* New messages may fall into one session more than once, where there are few: each spread has its
 * numbers. */
static void pick_new(const char *dir, long n, long count, long sessions, char path[PATH_SIZE])
{
	long each = (count + SPREAD - 1) / SPREAD;
	pick(dir, n, count, sessions, 1000 + n / each * each, path);
}

static void pick_create(const char *dir, const long *number)
{
	static char text[8192];
	char path[PATH_SIZE];
	words(text, sizeof text);
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		pick_new(dir, n, number[0], number[1], path);
		size_t size = some_size(SMALLEST, LARGEST);
		new_file(path, text + dice() % (sizeof text - size), size);
	}
	printf("%.6f\n", now() - start);
}

static void pick_read(const char *dir, const long *number)
{
	char path[PATH_SIZE], buffer[65536];
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		pick(dir, n, number[0], number[1], 1, path);
		int fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, buffer, sizeof buffer) < 1 ||
		        read(fd, buffer, sizeof buffer) != 0)
			die("read", path);
		close(fd);
	}
	printf("%.6f\n", now() - start);
}

static void pick_stat(const char *dir, const long *number)
{
	char path[PATH_SIZE];
	struct stat st;
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		pick(dir, n, number[0], number[1], 1, path);
		if (stat(path, &st) < 0)
			die("stat", path);
	}
	printf("%.6f\n", now() - start);
}

static void pick_list(const char *dir, const long *number)
{
	char path[PATH_SIZE];
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		long session = (long)(dice() % (uint64_t)number[1]), found = 0;
		session_path(dir, session, "/messages", path);
		DIR *list = opendir(path);
		if (!list)
			die("open", path);
		while (readdir(list))
			found++;
		closedir(list);
		if (found < MESSAGES)
			die("too few messages in", path);
	}
	printf("%.6f\n", now() - start);
}

static void pick_delete(const char *dir, const long *number)
{
	char path[PATH_SIZE];
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		pick_new(dir, n, number[0], number[1], path);
		if (unlink(path) < 0)
			die("unlink", path);
	}
	printf("%.6f\n", now() - start);
}

const struct verb verbs_scale[] = {
        {"load", 3, load},
        {"pick-create", 2, pick_create},
        {"pick-read", 2, pick_read},
        {"pick-stat", 2, pick_stat},
        {"pick-list", 2, pick_list},
        {"pick-delete", 2, pick_delete},
        {NULL, 0, NULL},
};
