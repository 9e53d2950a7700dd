/* files.h: for tests of kv on RocksDB: a process that dies with the store open, and harm to its files. */
#ifndef SCRIBEFS_TESTS_KV_FILES_H
#define SCRIBEFS_TESTS_KV_FILES_H

#include "store.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

static inline char *in_store(const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/%s", store, name);
	return path;
}

static inline struct kv_state state_now(void)
{
	struct kv_state state;

	kv_get_state(kv, &state);
	return state;
}

/* Closes the store; a process of its own opens it, does @work and is killed. */
static inline void die_in(void (*work)(const void *arg), const void *arg)
{
	pid_t pid;
	int status;

	shut();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		reopen();
		work(arg);
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* How many of the records r0, r1 … are there. */
static inline unsigned records_there(void)
{
	_cleanup_buf_ struct buf b = {0};
	char text[16];
	unsigned n = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "r%u", i);
		n += look(NULL, NULL, KV_META, text, &b) == 0;
	}
	return n;
}

static inline off_t size_of(const char *path)
{
	struct stat st;

	ok(stat(path, &st));
	return st.st_size;
}

/* Of a log: behind it are the zeros that the engine keeps ahead. */
static inline off_t end_of_records(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t at = size_of(path);
	uint8_t byte = 0;

	ck_assert_int_ge(fd, 0);
	while (at > 0 && byte == 0)
		ck_assert_int_eq(pread(fd, &byte, 1, --at), 1);
	close(fd);
	return byte ? at + 1 : 0;
}

/* The files of the database that hold anything and whose names end in @ending, by name; how many. */
static inline size_t find_files(const char *ending, char (*ret_paths)[160], size_t max)
{
	struct dirent **entries;
	size_t found = 0;
	int n = scandir(in_store("db"), &entries, NULL, alphasort);

	ck_assert_int_ge(n, 0);
	for (int i = 0; i < n; i++) {
		char path[400];

		snprintf(path, sizeof path, "%s/db/%s", store, entries[i]->d_name);
		if (strstr(entries[i]->d_name, ending) && size_of(path) > 0 && found < max)
			snprintf(ret_paths[found++], 160, "%.159s", path);
		free(entries[i]);
	}
	free(entries);
	return found;
}

/* The largest of them. */
static inline void find_file(const char *ending, char ret_path[160])
{
	char paths[64][160];
	size_t n = find_files(ending, paths, 64), best = 0;

	ck_assert_uint_gt(n, 0);
	for (size_t i = 1; i < n; i++)
		if (size_of(paths[i]) > size_of(paths[best]))
			best = i;
	strcpy(ret_path, paths[best]);
}

static inline void flip_byte(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

#endif
