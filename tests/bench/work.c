/*
 * work.c: the timed half of the benchmark. `work VERB PATH [NUMBER…]` does one kind of work with
 * plain system calls and prints the seconds that it took. Its verbs stand in work_*.c.
 */
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void die(const char *what, const char *path)
{
	fprintf(stderr, "work: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* xorshift64*, never 0. */
static _Thread_local uint64_t state = 88172645463325252u;

void dice_seed(uint64_t seed)
{
	state = 88172645463325252u ^ (seed * 0x9e3779b97f4a7c15u);
	state = state ? state : 1;
}

uint64_t dice(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717u;
}

static double fraction(void)
{
	return (double)(dice() >> 11) / 9007199254740992.0;
}

void words(char *text, size_t size)
{
	static char vocabulary[2000][10];
	if (!vocabulary[0][0]) {
		for (size_t w = 0; w < 2000; w++) {
			size_t length = 2 + dice() % (w < 100 ? 3 : 8);
			for (size_t i = 0; i < length; i++)
				vocabulary[w][i] = (char)('a' + dice() % 26);
		}
	}
	for (size_t at = 0; at < size;) {
		const char *word = vocabulary[(size_t)(2000.0 * pow(fraction(), 2.5))];
		for (; *word && at < size; word++)
			text[at++] = *word;
		if (at < size)
			text[at++] = dice() % 12 ? ' ' : '\n';
	}
}

size_t some_size(double smallest, double largest)
{
	return (size_t)(smallest * pow(largest / smallest, fraction()));
}

void write_all(int fd, const char *data, size_t size, const char *path)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0)
			die("write", path);
		data += n;
		size -= (size_t)n;
	}
}

void new_file(const char *path, const char *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die("create", path);
	write_all(fd, data, size, path);
	if (close(fd) < 0)
		die("close", path);
}

void make_dir(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("mkdir", path);
}

int main(int argc, char **argv)
{
	const struct verb *const all[] = {
	        verbs_messages, verbs_walk, verbs_big, verbs_scale, verbs_users};
	long number[8] = {0};
	if (argc < 3 || argc > 3 + 8)
		return 2;
	for (int i = 3; i < argc; i++)
		number[i - 3] = atol(argv[i]);
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		for (const struct verb *verb = all[i]; verb->name; verb++) {
			if (strcmp(verb->name, argv[1]) == 0 && argc - 3 == verb->numbers) {
				verb->run(argv[2], number);
				return 0;
			}
		}
	}
	return 2;
}
