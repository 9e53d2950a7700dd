#include "suite.h"

#include <grp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

/* Shared by all processes of the suite. */
struct tally {
	_Atomic long checks, failures;
};
static struct tally *tally;
static bool plain;
static const char *current = "";

bool suite_plain(void)
{
	return plain;
}

bool suite_is_root(void)
{
	return geteuid() == 0;
}

void suite_check(const char *file, int line, bool good, const char *fmt, ...)
{
	char text[900];
	va_list ap;
	atomic_fetch_add(&tally->checks, 1);
	if (good)
		return;
	atomic_fetch_add(&tally->failures, 1);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	const char *base = strrchr(file, '/');
	dprintf(STDOUT_FILENO, "FAIL %s:%d: %s: %s%s%s\n", base ? base + 1 : file, line, current, text,
		getuid() ? ", as " : "", getuid() ? user_name(getuid()) : "");
}

const char *suite_errno(long result)
{
	static char texts[8][24];
	static unsigned next;
	const char *name = strerrorname_np((int)(result < 0 ? -result : result));
	char *text = texts[next++ % 8];
	if (result == 0)
		return "success";
	snprintf(text, sizeof texts[0], "%s", name ? name : "an unknown errno");
	return text;
}

void suite_die(const char *file, int line, const char *what)
{
	suite_check(file, line, false, "setting up: %s: %s", what, suite_errno(errno));
	_exit(1);
}

bool want_result(const char *file, int line, const char *op, int error, long result)
{
	bool good = error ? result == -error : result >= 0;
	suite_check(file, line, good, "%s: expected %s, got %s", op, suite_errno(error),
		result < 0 ? suite_errno(result) : "success");
	return good;
}

bool want_number(const char *file, int line, const char *op, long expected, long result)
{
	bool good = result == expected;
	suite_check(file, line, good, "%s: expected %ld, got %ld%s%s", op, expected, result,
		result < 0 && result > -200 ? " " : "",
		result < 0 && result > -200 ? suite_errno(result) : "");
	return good;
}

const char *user_name(uid_t user)
{
	return user == ROOT ? "root" : user == ANN ? "ann" : user == BOB ? "bob" : "somebody";
}

static void wait_for(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			suite_die(__FILE__, __LINE__, "waitpid");
	if (WIFSIGNALED(status))
		suite_check(__FILE__, __LINE__, false, "a process died of signal %d",
			WTERMSIG(status));
}

bool child(void)
{
	pid_t pid = fork();
	if (pid < 0)
		suite_die(__FILE__, __LINE__, "fork");
	if (pid > 0)
		wait_for(pid);
	return pid == 0;
}

bool as(uid_t user, int extra)
{
	if (!suite_is_root())
		return false;
	if (!child())
		return false;
	gid_t group = extra > 0 ? (gid_t)extra : user == ANN ? ANNS : BOBS;
	if (user != ROOT && (setgroups(extra < 0 ? 0 : 1, &group) < 0 || setresgid(user, user, user) < 0 ||
				    setresuid(user, user, user) < 0))
		suite_die(__FILE__, __LINE__, "becoming a user");
	return true;
}

void done(void)
{
	_exit(0);
}

void put(const char *path, const char *text)
{
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	MUST(write(fd, text, strlen(text)));
	MUST(close(fd));
}

void put_sized(const char *path, size_t size)
{
	char block[4096];
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)('a' + i % 26);
	for (size_t at = 0; at < size; at += sizeof block)
		MUST(write(fd, block, size - at < sizeof block ? size - at : sizeof block));
	MUST(close(fd));
}

const char *content(const char *path)
{
	static char texts[4][256];
	static unsigned next;
	char *text = texts[next++ % 4];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof texts[0] - 1);
	if (n < 0)
		snprintf(text, sizeof texts[0], "(%s)", suite_errno(errno));
	else
		text[n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

struct stat look(const char *path)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		memset(&st, 0, sizeof st);
	return st;
}

mode_t perms(const char *path)
{
	return look(path).st_mode & 07777;
}

bool there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

void tick(void)
{
	nanosleep(&(struct timespec){.tv_nsec = plain ? 12000000 : 2000000}, NULL);
}

void enter(const char *path, mode_t mode, uid_t user)
{
	MUST(mkdir(path, 0700));
	MUST(chmod(path, mode));
	if (user != geteuid())
		MUST(chown(path, user, user));
	MUST(chdir(path));
}

void leave(void)
{
	MUST(chdir(".."));
}

static void run_case(const char *dir, const struct posix_case *c)
{
	if (c->root && !suite_is_root())
		return;
	current = c->name;
	pid_t pid = fork();
	if (pid < 0)
		suite_die(__FILE__, __LINE__, "fork");
	if (pid > 0) {
		wait_for(pid);
		return;
	}
	umask(022);
	MUST(chdir(dir));
	if (c != read_only_cases) {
		MUST(mkdir(c->name, 0755));
		MUST(chmod(c->name, 0777));
	}
	MUST(chdir(c->name));
	c->run();
	_exit(0);
}

static bool wanted(const struct posix_case *c, char **names)
{
	for (size_t i = 0; names[i]; i++)
		if (strncmp(c->name, names[i], strlen(names[i])) == 0)
			return true;
	return !names[0];
}

int main(int argc, char **argv)
{
	static const struct posix_case *const all[] = {path_cases, open_cases, rename_cases, time_cases,
		rights_cases, owner_cases, acl_cases, sticky_cases, data_cases, space_cases, lock_cases,
		xattr_cases, dir_cases, limit_cases, orphan_cases, move_cases, watch_cases,
		request_cases, NULL};
	static const struct posix_case *const frozen[] = {read_only_cases, NULL};
	const struct posix_case *const *list = all;
	int option;
	while ((option = getopt(argc, argv, "pr")) != -1) {
		if (option == 'p')
			plain = true;
		else if (option == 'r')
			list = frozen;
		else
			argc = 0;
	}
	if (argc - optind < 1) {
		fprintf(stderr, "usage: posix [-p] [-r] DIR [CASE…]\n");
		return 2;
	}
	tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		return 2;
	for (; *list; list++)
		for (const struct posix_case *c = *list; c->name; c++)
			if (wanted(c, argv + optind + 1))
				run_case(argv[optind], c);
	printf("%ld checks, %ld failed\n", tally->checks, tally->failures);
	return tally->failures > 0;
}
