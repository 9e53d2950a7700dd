/*
 * sessions.c: the timed part of tests/bench/snapshots: what many sessions do at once, with plain system calls. Prints
 * the seconds that it took.
 *
 *   write DIR SESSIONS FIRST MESSAGES   a thread a session: messages FIRST … of 1 KB, made, written and closed
 *   append DIR SESSIONS MESSAGES COUNT  a thread a session: COUNT times a message opened, 200 bytes appended, closed
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *dir;
static int sessions, first, messages, count;
static pthread_barrier_t barrier;

static void die(const char *what, const char *path)
{
	fprintf(stderr, "sessions: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Words, which compress about as a transcript does. */
static void words(char *text, size_t size, unsigned *seed)
{
	static const char *const vocabulary[] = {"the", "session", "of", "a", "is", "and", "snapshot", "in",
		"to", "what", "message", "it", "has", "file", "by", "directory", "was", "store", "when", "opened"};
	for (size_t at = 0; at < size;) {
		int n = snprintf(text + at, size - at, "%s%x ", vocabulary[(unsigned)rand_r(seed) % 20],
			(unsigned)rand_r(seed) % 4096);
		at += (size_t)n;
	}
}

static void put(const char *path, int flags, const char *text, size_t size)
{
	int fd = open(path, flags, 0600);
	if (fd < 0)
		die("open", path);
	if (write(fd, text, size) != (ssize_t)size)
		die("write", path);
	if (close(fd) < 0)
		die("close", path);
}

static void *write_one(void *arg)
{
	unsigned number = (unsigned)(size_t)arg, seed = number + (unsigned)first;
	char path[4096], text[1025];

	snprintf(path, sizeof path, "%s/s%03u", dir, number);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("mkdir", path);
	snprintf(path, sizeof path, "%s/s%03u/messages", dir, number);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("mkdir", path);
	pthread_barrier_wait(&barrier);
	for (int i = first; i < first + messages; i++) {
		words(text, sizeof text, &seed);
		snprintf(path, sizeof path, "%s/s%03u/messages/%03d.md", dir, number, i);
		put(path, O_WRONLY | O_CREAT | O_EXCL, text, 1024);
	}
	return NULL;
}

static void *append_one(void *arg)
{
	unsigned number = (unsigned)(size_t)arg, seed = number;
	char path[4096], text[201];

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < count; i++) {
		words(text, sizeof text, &seed);
		snprintf(path, sizeof path, "%s/s%03u/messages/%03d.md", dir, number, 1 + i % messages);
		put(path, O_WRONLY | O_APPEND, text, 200);
	}
	return NULL;
}

static void run(void *(*one)(void *))
{
	pthread_t *threads = calloc((size_t)sessions, sizeof *threads);

	pthread_barrier_init(&barrier, NULL, (unsigned)sessions + 1);
	for (int i = 0; i < sessions; i++)
		if (!threads || pthread_create(&threads[i], NULL, one, (void *)(size_t)i) != 0)
			die("pthread_create", dir);
	pthread_barrier_wait(&barrier);
	double start = now();
	for (int i = 0; i < sessions; i++)
		pthread_join(threads[i], NULL);
	printf("%.6f\n", now() - start);
	free(threads);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: sessions write|append DIR SESSIONS N N\n");
		return 2;
	}
	dir = argv[2];
	sessions = atoi(argv[3]);
	if (strcmp(argv[1], "write") == 0) {
		first = atoi(argv[4]);
		messages = atoi(argv[5]);
		run(write_one);
	} else {
		messages = atoi(argv[4]);
		count = atoi(argv[5]);
		run(append_one);
	}
	return 0;
}
