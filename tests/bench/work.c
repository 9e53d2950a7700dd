/*
 * work.c: the timed half of the benchmark. `work VERB DIR [NUMBER…]` does one kind of work on a tree of
 * sessions with plain system calls, one thread, and prints the seconds that it took.
 *
 *   create DIR SESSIONS MESSAGES   DIR/session-NNN/messages/NNN.md, 0.1 to 24 KB of words each
 *   durable DIR COUNT SESSIONS MESSAGES   COUNT times: open a message, append a paragraph, fsync, close
 *   stream DIR COUNT               COUNT appends of 40 bytes through one open file
 *   stat DIR ENTRIES               a walk that stats everything, ENTRIES things at least
 *   read DIR ENTRIES               a walk that reads every file to its end
 *   delete DIR ENTRIES             a walk that removes everything, DIR too
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SMALLEST 100.0
#define LARGEST 24576.0

static void die(const char *what, const char *path)
{
	fprintf(stderr, "work: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The same sequence for every filesystem and round (xorshift64*). */
static uint64_t state = 88172645463325252u;
static uint64_t dice(void)
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

/* Words of 2 to 9 letters, the frequent ones short: compressible as transcripts are. */
static void words(char *text, size_t size)
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

static size_t message_size(void)
{
	return (size_t)(SMALLEST * pow(LARGEST / SMALLEST, fraction()));
}

static void write_all(int fd, const char *data, size_t size, const char *path)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);
		if (n < 0)
			die("write", path);
		data += n;
		size -= (size_t)n;
	}
}

static void make_dir(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		die("mkdir", path);
}

static void create(const char *dir, int sessions, int messages)
{
	static char text[32768];
	char path[4096];
	words(text, sizeof text);
	double start = now();
	for (int s = 1; s <= sessions; s++) {
		snprintf(path, sizeof path, "%s/session-%03d", dir, s);
		make_dir(path);
		snprintf(path, sizeof path, "%s/session-%03d/messages", dir, s);
		make_dir(path);
		for (int m = 1; m <= messages; m++) {
			snprintf(path, sizeof path, "%s/session-%03d/messages/%03d.md", dir, s, m);
			int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
			if (fd < 0)
				die("create", path);
			size_t size = message_size();
			write_all(fd, text + dice() % (sizeof text - size), size, path);
			if (close(fd) < 0)
				die("close", path);
		}
	}
	printf("%.6f\n", now() - start);
}

/* The n-th message there is, round and round through the sessions. */
static void message_path(const char *dir, int n, int sessions, int messages, char path[4096])
{
	snprintf(path, 4096, "%s/session-%03d/messages/%03d.md", dir, 1 + n % sessions,
		1 + n / sessions % messages);
}

static void durable(const char *dir, int count, int sessions, int messages)
{
	static char text[1000];
	char path[4096];
	words(text, sizeof text);
	double start = now();
	for (int n = 0; n < count; n++) {
		message_path(dir, n, sessions, messages, path);
		int fd = open(path, O_WRONLY | O_APPEND);
		if (fd < 0)
			die("open", path);
		write_all(fd, text, 200 + dice() % 800, path);
		if (fsync(fd) < 0)
			die("fsync", path);
		if (close(fd) < 0)
			die("close", path);
	}
	printf("%.6f\n", now() - start);
}

static void stream(const char *dir, int count)
{
	char path[4096], text[40];
	words(text, sizeof text);
	message_path(dir, 0, 1, 1, path);
	double start = now();
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0)
		die("open", path);
	for (int n = 0; n < count; n++)
		write_all(fd, text, sizeof text, path);
	if (close(fd) < 0)
		die("close", path);
	printf("%.6f\n", now() - start);
}

enum walk { WALK_STAT, WALK_READ, WALK_DELETE };

static uint64_t entries, bytes;

static void read_file(int at, const char *name)
{
	static char buffer[65536];
	int fd = openat(at, name, O_RDONLY);
	if (fd < 0)
		die("open", name);
	for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0;) {
		if (n < 0)
			die("read", name);
		bytes += (uint64_t)n;
	}
	close(fd);
}

static void walk(int at, const char *name, enum walk what)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		die("open", name);
	for (struct dirent *entry; (entry = readdir(dir));) {
		struct stat st;
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		entries++;
		if (what == WALK_STAT && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			die("stat", entry->d_name);
		if (entry->d_type == DT_DIR)
			walk(fd, entry->d_name, what);
		else if (what == WALK_READ && entry->d_type == DT_REG)
			read_file(fd, entry->d_name);
		else if (what == WALK_DELETE && unlinkat(fd, entry->d_name, 0) < 0)
			die("unlink", entry->d_name);
	}
	closedir(dir);
	if (what == WALK_DELETE && unlinkat(at, name, AT_REMOVEDIR) < 0)
		die("rmdir", name);
}

static void timed_walk(const char *dir, enum walk what, uint64_t expected)
{
	double start = now();
	walk(AT_FDCWD, dir, what);
	double seconds = now() - start;
	if (entries < expected) {
		fprintf(stderr, "work: %ju entries found, at least %ju expected\n", (uintmax_t)entries,
			(uintmax_t)expected);
		exit(1);
	}
	printf("%.6f\n", seconds);
}

int main(int argc, char **argv)
{
	int number[3] = {0};
	if (argc < 3 || argc > 6)
		return 2;
	for (int i = 3; i < argc; i++)
		number[i - 3] = atoi(argv[i]);
	const char *verb = argv[1], *dir = argv[2];
	if (!strcmp(verb, "create"))
		create(dir, number[0], number[1]);
	else if (!strcmp(verb, "durable"))
		durable(dir, number[0], number[1], number[2]);
	else if (!strcmp(verb, "stream"))
		stream(dir, number[0]);
	else if (!strcmp(verb, "stat"))
		timed_walk(dir, WALK_STAT, (uint64_t)number[0]);
	else if (!strcmp(verb, "read"))
		timed_walk(dir, WALK_READ, (uint64_t)number[0]);
	else if (!strcmp(verb, "delete"))
		timed_walk(dir, WALK_DELETE, (uint64_t)number[0]);
	else
		return 2;
	return 0;
}
