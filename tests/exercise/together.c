/*
 * together.c: several processes at the same files of one mount. What each step gives depends on the others, what
 * all of them leave behind does not: appends are whole and in order, numbers of messages are given once, a counter
 * under a lock counts everything, and a file that is passed on by renames is always in one place.
 */
#include "tests/exercise/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LINE_MAX_BYTES 400
#define TOKENS 5

static const char *root;

__attribute__((format(printf, 1, 0)))
static const char *at(const char *fmt, unsigned n, char path[512])
{
	char name[256];
	snprintf(name, sizeof name, fmt, n);
	snprintf(path, 512, "%s/%s", root, name);
	return path;
}

static _Noreturn void wrong(const char *what)
{
	printf("FAIL: form together: %s (%s)\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static size_t compose(char line[LINE_MAX_BYTES + 64], unsigned who, unsigned i)
{
	int n = sprintf(line, "%u %u ", who, i);
	size_t len = (size_t)n + (who * 37 + i * 101) % LINE_MAX_BYTES;
	memset(line + n, 'a' + (int)(i % 26), len - (size_t)n);
	line[len++] = '\n';
	line[len] = '\0';
	return len;
}

/* ---- what each does -------------------------------------------------------------------------- */

static void append(unsigned who, unsigned i)
{
	char path[512], line[LINE_MAX_BYTES + 64];
	size_t len = compose(line, who, i);
	int fd = open(at("appends", 0, path), O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 || write(fd, line, len) != (ssize_t)len || close(fd) < 0)
		wrong("append");
}

static void send_message(unsigned who, unsigned i)
{
	char path[512], name[64], line[LINE_MAX_BYTES + 64];
	size_t len = compose(line, who, i);
	int fd = open(at("messages/next.md", 0, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, "user.scribefs.name", name, sizeof name - 1);
	if (n <= 0 || write(fd, line, len) != (ssize_t)len || close(fd) < 0)
		wrong("next.md");
	name[n] = '\0';
	/* Under the name that it said, nobody else's words. */
	char back[LINE_MAX_BYTES + 64];
	snprintf(path, sizeof path, "%s/messages/%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, back, sizeof back) != (ssize_t)len || memcmp(back, line, len) || close(fd) < 0)
		wrong("a message is another than was written");
}

static void count(unsigned who, unsigned i)
{
	struct flock lock = {.l_type = F_WRLCK};
	char path[512], text[32] = "";
	bool whole = i % 2; /* either kind of lock, each on a file of its own */
	int fd = open(at(whole ? "counter2" : "counter", 0, path), O_RDWR | O_CLOEXEC);
	if (fd < 0 || (whole ? flock(fd, LOCK_EX) : fcntl(fd, F_SETLKW, &lock)) < 0 ||
		pread(fd, text, sizeof text - 1, 0) < 0)
		wrong("counter");
	int len = snprintf(text, sizeof text, "%lu", strtoul(text, NULL, 10) + 1);
	if (pwrite(fd, text, (size_t)len, 0) != len || close(fd) < 0)
		wrong("counter");
}

/* Some other may have been faster: then it is not there any more. */
static void pass_on(unsigned who, unsigned i)
{
	char from[512], to[512];
	unsigned token = i % TOKENS;
	at(who % 2 ? "left/token%u" : "right/token%u", token, from);
	at(who % 2 ? "right/token%u" : "left/token%u", token, to);
	if (rename(from, to) < 0 && errno != ENOENT)
		wrong("rename");
}

static void make_and_remove(unsigned who, unsigned i)
{
	char path[512];
	at("shared%u", i % 7, path);
	if (i % 2 ? mkdir(path, 0755) < 0 && errno != EEXIST : rmdir(path) < 0 && errno != ENOENT)
		wrong("mkdir or rmdir");
}

static _Noreturn void work(unsigned who, unsigned ops, uint64_t seed)
{
	static void (*const steps[])(unsigned, unsigned) = {append, send_message, count, pass_on, make_and_remove};
	alarm(1200);
	for (unsigned i = 0; i < ops; i++)
		steps[(seed + who * 7 + i) % 5](who, i);
	_exit(0);
}

/* ---- what they leave ------------------------------------------------------------------------- */

static unsigned difference(const char *what, uint64_t expected, uint64_t got)
{
	if (expected == got)
		return 0;
	printf("FAIL: form together: %s: %llu, expected %llu\n", what, (unsigned long long)got,
		(unsigned long long)expected);
	return 1;
}

static uint64_t steps_of(unsigned kind, unsigned processes, unsigned ops, uint64_t seed, unsigned odd)
{
	uint64_t n = 0;
	for (unsigned who = 0; who < processes; who++)
		for (unsigned i = 0; i < ops; i++)
			n += (seed + who * 7 + i) % 5 == kind && (odd > 1 || i % 2 == odd);
	return n;
}

static unsigned check_appends(unsigned processes, uint64_t expected)
{
	char path[512], *line = NULL, want[LINE_MAX_BYTES + 64];
	unsigned last[64] = {0}, who, i;
	uint64_t lines = 0, torn = 0;
	size_t cap = 0;
	FILE *in = fopen(at("appends", 0, path), "r");
	for (; in && getline(&line, &cap, in) > 0; lines++) {
		if (sscanf(line, "%u %u ", &who, &i) != 2 || who >= processes || i + 1 < last[who]) {
			torn++;
			continue;
		}
		compose(want, who, i);
		torn += strcmp(line, want) != 0;
		last[who] = i + 1;
	}
	free(line);
	if (in)
		fclose(in);
	return difference("appended lines", expected, lines) + difference("torn or swapped lines", 0, torn);
}

static unsigned check_messages(uint64_t expected)
{
	char path[512];
	uint64_t there = 0;
	bool more = access(at("messages/%03u.md", (unsigned)expected + 1, path), F_OK) == 0;
	for (unsigned i = 1; i <= expected; i++)
		there += access(at("messages/%03u.md", i, path), F_OK) == 0;
	return difference("messages from 1 on", expected, there) + difference("one message more", false, more);
}

static unsigned check_counter(const char *name, uint64_t expected)
{
	char path[512], text[32] = "";
	FILE *in = fopen(at(name, 0, path), "r");
	if (in) {
		if (!fgets(text, sizeof text, in))
			text[0] = '\0';
		fclose(in);
	}
	return difference(name, expected, strtoul(text, NULL, 10));
}

static unsigned check_tokens(void)
{
	char left[512], right[512];
	unsigned there = 0;
	for (unsigned i = 0; i < TOKENS; i++)
		there += (access(at("left/token%u", i, left), F_OK) == 0) !=
			 (access(at("right/token%u", i, right), F_OK) == 0);
	return difference("files that are in one of two folders", TOKENS, there);
}

static void touch(const char *fmt, unsigned n)
{
	char path[512];
	int fd = open(at(fmt, n, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || close(fd) < 0)
		wrong(path);
}

/* A session, and in it what they share. */
static void prepare(const struct target_options *options, char session[400])
{
	static const char *const dirs[] = {"/users/u", "/w", "/s", "/messages"}, *const plain[] = {"left", "right"};
	char path[512];
	size_t len = (size_t)snprintf(session, 400, "%s", options->mountpoint);
	for (unsigned i = 0; i < 4; i++) {
		snprintf(session + len, 400 - len, "%s", dirs[i]);
		if (mkdir(session, 0755) < 0 && errno != EEXIST)
			wrong(session);
		len += i < 3 ? strlen(dirs[i]) : 0;
	}
	session[len] = '\0';
	root = session;
	for (unsigned i = 0; i < 2; i++)
		if (mkdir(at(plain[i], 0, path), 0755) < 0)
			wrong(path);
	touch("appends", 0);
	touch("counter", 0);
	touch("counter2", 0);
	for (unsigned i = 0; i < TOKENS; i++)
		touch("left/token%u", i);
}

unsigned together(const struct target_options *options, unsigned processes, unsigned ops, uint64_t seed,
	uint64_t *ret_ops)
{
	char session[400];
	unsigned failed = 0;
	int status;
	prepare(options, session);
	fflush(NULL);
	for (unsigned who = 0; who < processes; who++)
		if (fork() == 0)
			work(who, ops, seed);
	while (wait(&status) > 0 || errno == EINTR)
		failed += status != 0;
	*ret_ops = (uint64_t)processes * ops;
	/* Once as it is, and once as a new daemon finds it. */
	for (unsigned round = 0; round < 2 && !failed; round++) {
		failed += check_appends(processes, steps_of(0, processes, ops, seed, 2));
		failed += check_messages(steps_of(1, processes, ops, seed, 2));
		failed += check_counter("counter", steps_of(2, processes, ops, seed, 0));
		failed += check_counter("counter2", steps_of(2, processes, ops, seed, 1));
		failed += check_tokens();
		failed += target_mount_kill(options) < 0 || target_mount_start(options) < 0;
	}
	return failed;
}
