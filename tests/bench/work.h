/*
 * work.h: what the files of the benchmark's timed half share. One process does one kind of work and
 * ends; anything that fails ends it with a line.
 */
#ifndef SCRIBEFS_BENCH_WORK_H
#define SCRIBEFS_BENCH_WORK_H

#include <stddef.h>
#include <stdint.h>

#define PATH_SIZE 4096

void die(const char *what, const char *path);

/* Seconds of the monotonic clock. */
double now(void);

/* The same sequence for every filesystem and round; of the calling thread, which may begin another
 * one. */
uint64_t dice(void);
void dice_seed(uint64_t seed);

/* Words of 2 to 9 letters, the frequent ones short: compressible as transcripts are. */
void words(char *text, size_t size);

/* Bytes between two sizes, small ones more often. */
size_t some_size(double smallest, double largest);

void write_all(int fd, const char *data, size_t size, const char *path);

/* Opens, writes once or appends, closes. */
void new_file(const char *path, const char *data, size_t size);
void make_dir(const char *path);

/* A verb prints its figures itself: seconds of what is timed come first. */
struct verb {
	const char *name;
	int numbers; /* that follow the directory or file */
	void (*run)(const char *path, const long *number);
};

extern const struct verb verbs_messages[], verbs_walk[], verbs_big[], verbs_scale[], verbs_users[];

#endif
