/*
 * work_messages.c: writing messages, DIR/session-NNN/messages/NNN.md.
 *
 *   create DIR SESSIONS MESSAGES          makes them, 0.1 to 24 KB of words each
 *   durable DIR COUNT SESSIONS MESSAGES   COUNT times: open a message, append a paragraph, fsync,
 * close writers DIR THREADS EACH SESSIONS MESSAGES   THREADS do so at once, each EACH times, on
 * messages of their own stream DIR COUNT                      COUNT appends of 40 bytes through one
 * open file echo DIR COUNT                        COUNT times what a shell does for `echo … >>
 * FILE` save DIR COUNT SESSIONS MESSAGES      COUNT times what an editor does: read, temporary
 * file, fsync, rename
 */
#include "work.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALLEST 100.0
#define LARGEST 24576.0
#define LINE 40

static void create(const char *dir, const long *number)
{
	static char text[32768];
	char path[PATH_SIZE];
	words(text, sizeof text);
	double start = now();
	for (long s = 1; s <= number[0]; s++) {
		snprintf(path, sizeof path, "%s/session-%03ld", dir, s);
		make_dir(path);
		snprintf(path, sizeof path, "%s/session-%03ld/messages", dir, s);
		make_dir(path);
		for (long m = 1; m <= number[1]; m++) {
			snprintf(
			        path, sizeof path, "%s/session-%03ld/messages/%03ld.md", dir, s, m);
			size_t size = some_size(SMALLEST, LARGEST);
			new_file(path, text + dice() % (sizeof text - size), size);
		}
	}
	printf("%.6f\n", now() - start);
}

/* The n-th message there is, round and round through the sessions. */
static void message_path(
        const char *dir, long n, long sessions, long messages, char path[PATH_SIZE])
{
	snprintf(path, PATH_SIZE, "%s/session-%03ld/messages/%03ld.md", dir, 1 + n % sessions,
	        1 + n / sessions % messages);
}

static void append_durably(const char *path, const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0)
		die("open", path);
	write_all(fd, text, size, path);
	if (fsync(fd) < 0)
		die("fsync", path);
	if (close(fd) < 0)
		die("close", path);
}

static void durable(const char *dir, const long *number)
{
	static char text[1000];
	char path[PATH_SIZE];
	words(text, sizeof text);
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		message_path(dir, n, number[1], number[2], path);
		append_durably(path, text, 200 + dice() % 800);
	}
	printf("%.6f\n", now() - start);
}

struct writer {
	const char *dir, *text;
	const long *number;
	long index;
	pthread_barrier_t *barrier;
	pthread_t thread;
};

static void *write_durably(void *arg)
{
	struct writer *w = arg;
	char path[PATH_SIZE];
	dice_seed((uint64_t)w->index);
	message_path(w->dir, w->index, w->number[2], w->number[3], path);
	pthread_barrier_wait(w->barrier);
	for (long n = 0; n < w->number[1]; n++)
		append_durably(path, w->text, 200 + dice() % 800);
	return NULL;
}

static void writers(const char *dir, const long *number)
{
	static char text[1000];
	pthread_barrier_t barrier;
	struct writer *w = calloc((size_t)number[0], sizeof *w);
	if (!w)
		die("memory for", "writers");
	words(text, sizeof text);
	pthread_barrier_init(&barrier, NULL, (unsigned)number[0] + 1);
	for (long i = 0; i < number[0]; i++) {
		w[i] = (struct writer){dir, text, number, i, &barrier, 0};
		if (pthread_create(&w[i].thread, NULL, write_durably, &w[i]) != 0)
			die("thread for", "writers");
	}
	pthread_barrier_wait(&barrier);
	double start = now();
	for (long i = 0; i < number[0]; i++)
		pthread_join(w[i].thread, NULL);
	printf("%.6f\n", now() - start);
	free(w);
}

static void stream(const char *dir, const long *number)
{
	char path[PATH_SIZE], text[LINE];
	words(text, sizeof text);
	message_path(dir, 0, 1, 1, path);
	double start = now();
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0)
		die("open", path);
	for (long n = 0; n < number[0]; n++)
		write_all(fd, text, sizeof text, path);
	if (close(fd) < 0)
		die("close", path);
	printf("%.6f\n", now() - start);
}

/* A shell opens the file, puts it in the place of its standard output, and closes both. */
static void echo(const char *dir, const long *number)
{
	char path[PATH_SIZE], text[LINE];
	words(text, sizeof text);
	message_path(dir, 1, 2, 1, path);
	int place = dup(STDERR_FILENO);
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
		if (fd < 0 || dup2(fd, place) < 0 || close(fd) < 0)
			die("open", path);
		write_all(place, text, sizeof text, path);
		if (dup2(STDERR_FILENO, place) < 0)
			die("close", path);
	}
	printf("%.6f\n", now() - start);
}

static void save_one(const char *path, const char *temporary, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size);
	if (n < 0 || close(fd) < 0)
		die("read", path);
	text[0] = (char)('a' + dice() % 26);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die("create", temporary);
	write_all(fd, text, (size_t)n, temporary);
	if (fsync(fd) < 0 || close(fd) < 0)
		die("fsync", temporary);
	if (rename(temporary, path) < 0)
		die("rename", path);
}

static void save(const char *dir, const long *number)
{
	static char text[65536];
	char path[PATH_SIZE], temporary[PATH_SIZE + 8];
	double start = now();
	for (long n = 0; n < number[0]; n++) {
		/* From the last message backwards: those at the front have grown by now. */
		message_path(dir, number[1] * number[2] - 1 - n, number[1], number[2], path);
		snprintf(temporary, sizeof temporary, "%s.tmp", path);
		save_one(path, temporary, text, sizeof text);
	}
	printf("%.6f\n", now() - start);
}

const struct verb verbs_messages[] = {
        {"create", 2, create},
        {"durable", 3, durable},
        {"writers", 4, writers},
        {"stream", 1, stream},
        {"echo", 1, echo},
        {"save", 3, save},
        {NULL, 0, NULL},
};
