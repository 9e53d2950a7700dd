/*
 * work_walk.c: walks over a tree, and a large directory.
 *
 *   stat DIR ENTRIES     stats everything, ENTRIES things at least
 *   read DIR ENTRIES     reads every file to its end
 *   delete DIR ENTRIES   removes everything, DIR too
 *   names DIR COUNT      makes COUNT empty files, by four threads
 *   list DIR COUNT       reads the names of a directory, COUNT at least
 */
#include "work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 4

enum walk { WALK_STAT, WALK_READ, WALK_DELETE };

static long entries;

static void read_file(int at, const char *name)
{
	static char buffer[65536];
	int fd = openat(at, name, O_RDONLY);
	if (fd < 0)
		die("open", name);
	for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) != 0;) {
		if (n < 0)
			die("read", name);
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

static void enough(long expected)
{
	if (entries >= expected)
		return;
	fprintf(stderr, "work: %ld entries found, at least %ld expected\n", entries, expected);
	exit(1);
}

static void timed_walk(const char *dir, enum walk what, long expected)
{
	double start = now();
	walk(AT_FDCWD, dir, what);
	double seconds = now() - start;
	enough(expected);
	printf("%.6f\n", seconds);
}

static void stat_all(const char *dir, const long *number)
{
	timed_walk(dir, WALK_STAT, number[0]);
}

static void read_all(const char *dir, const long *number)
{
	timed_walk(dir, WALK_READ, number[0]);
}

static void delete_all(const char *dir, const long *number)
{
	timed_walk(dir, WALK_DELETE, number[0]);
}

static const char *names_dir;
static long names_count;
static atomic_long names_next;

static void *make_names(void *unused)
{
	char path[PATH_SIZE];
	(void)unused;
	for (long n; (n = names_next++) < names_count;) {
		snprintf(path, sizeof path, "%s/a file of many %06ld.md", names_dir, n);
		new_file(path, "", 0);
	}
	return NULL;
}

static void names(const char *dir, const long *number)
{
	pthread_t thread[THREADS];
	names_dir = dir;
	names_count = number[0];
	double start = now();
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&thread[i], NULL, make_names, NULL) != 0)
			die("thread for", dir);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%.6f\n", now() - start);
}

static void list(const char *name, const long *number)
{
	double start = now();
	DIR *dir = opendir(name);
	if (!dir)
		die("open", name);
	while (readdir(dir))
		entries++;
	closedir(dir);
	double seconds = now() - start;
	enough(number[0]);
	printf("%.6f\n", seconds);
}

const struct verb verbs_walk[] = {
        {"stat", 1, stat_all},
        {"read", 1, read_all},
        {"delete", 1, delete_all},
        {"names", 1, names},
        {"list", 1, list},
        {NULL, 0, NULL},
};
