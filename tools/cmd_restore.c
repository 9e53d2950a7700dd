/* `scribefs restore` and `scribefs fork`: what a snapshot has, in the present again. */
#include "fs/fuse/ioctl.h"
#include "kv/cleanup.h"
#include "kv/log.h"
#include "tools/compare.h"
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECOVERY "RECOVERY-"
#define TRIES 3000 /* of 20 ms, while others go back */

static int explain(const char *path, int error)
{
	if (error == -EPERM)
		log_error("%s: only its owner can do that, who must own what the snapshot has", path);
	else if (error == -EXDEV)
		log_error("%s: messages/ and session.json go with their session; put that back", path);
	else
		log_error("cannot put %s back: %s", path, strerror(-error));
	return STATUS_FAILED;
}

/* The daemon does one at a time. */
static int ask(const char *directory, struct scribefs_put_back *asked)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : -EBUSY;

	for (int i = 0; r == -EBUSY && i < TRIES; i++) {
		r = ioctl(fd, SCRIBEFS_IOC_PUT_BACK, asked) < 0 ? -errno : 0;
		if (r == -EBUSY)
			nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
	return r;
}

/* mkdir of the session @path, and what is above it and missing below users/. */
static int make_session(const struct past *p, const char *path)
{
	char above[PATH_MAX];

	for (int depth = 1; depth < p->depth; depth++) {
		snprintf(above, sizeof above, "%.*s", (int)past_prefix(p, depth), path);
		if (mkdir(above, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int make_and_ask(const struct past *target, struct scribefs_put_back *asked)
{
	int r = make_session(target, target->path);
	if (r < 0)
		return r;
	r = ask(target->path, asked);
	if (r < 0)
		rmdir(target->path);
	return r;
}

static int new_session(const struct past *target, const char *source, uint32_t flag)
{
	struct scribefs_put_back asked = {.flags = flag};
	struct stat st;

	if (stat(source, &st) < 0)
		return -errno;
	asked.source = st.st_ino;
	return make_and_ask(target, &asked);
}

/* ---- restore --------------------------------------------------------------------------------- */

struct choice {
	const struct past *present;
	struct past found;
	bool any, differs;
};

/* The newest that is not as the present. */
static int choose(void *arg, const struct past *past)
{
	_cleanup_(changes_release) struct changes changes = {0};
	struct choice *c = arg;
	struct stat st;

	if (!c->any)
		c->found = *past;
	c->any = true;
	if (lstat(c->present->path, &st) < 0)
		c->differs = true;
	else {
		int r = compare(past, c->present, true, &changes);
		if (r < 0)
			return r;
		c->differs = changes.n > 0;
	}
	if (c->differs)
		c->found = *past;
	return c->differs;
}

static bool lies_in_trash(const struct past *p)
{
	size_t user = past_prefix(p, 1), below = past_prefix(p, 2);
	return below - user == 7 && memcmp(p->path + user, "/.trash", 7) == 0;
}

/* Whether it is put back as a whole: users/, a user, a workflow, a session. */
static bool is_place(const struct past *p)
{
	bool trash = lies_in_trash(p);
	struct stat st;

	for (int i = 0; i < p->depth; i++)
		if (p->path[past_prefix(p, i) + 1] == '.' && !(trash && i == 1))
			return false;
	return p->depth <= (trash ? 4 : 3) && lstat(p->shown, &st) == 0 && S_ISDIR(st.st_mode);
}

static int put_back(const struct past *p, char kept[256])
{
	struct scribefs_put_back asked = {0};
	bool place = is_place(p);
	char above[PATH_MAX];
	struct stat st, now;

	if (lstat(p->shown, &st) < 0)
		return -errno;
	asked.source = st.st_ino;
	if (place && lstat(p->path, &now) < 0 && errno == ENOENT)
		return new_session(p, p->shown, SCRIBEFS_PUT_REMOVED);
	size_t end = past_prefix(p, place ? p->depth : p->depth - 1);
	snprintf(above, sizeof above, "%.*s", (int)end, p->path);
	if (place)
		asked.flags = SCRIBEFS_PUT_OTHER;
	else
		snprintf(asked.name, sizeof asked.name, "%s", p->path + end + 1);
	int r = ask(above, &asked);
	if (r == 0)
		memcpy(kept, asked.kept, sizeof asked.kept);
	return r;
}

/*
 * PATH@RECOVERY-ID where nothing is at PATH: a removed session that only its own snapshots hold has no path any
 * more. The status, or -1: it is something else.
 */
static int restore_by_id(const char *argument)
{
	struct scribefs_put_back asked = {.flags = SCRIBEFS_PUT_REMOVED};
	const char *at = strrchr(argument, '@');
	char path[PATH_MAX];
	struct past p;
	struct stat st;

	if (!at || strncmp(at + 1, RECOVERY, strlen(RECOVERY)) != 0 || lstat(argument, &st) == 0)
		return -1;
	if (snprintf(path, sizeof path, "%.*s", (int)(at - argument), argument) >= (int)sizeof path)
		return -1;
	if (lstat(path, &st) == 0 || past_find(path, &p) < 0 || p.depth != past_session_depth(&p) ||
		snprintf(asked.name, sizeof asked.name, "%s", at + 1) >= (int)sizeof asked.name)
		return -1;
	int r = make_and_ask(&p, &asked);
	if (r == -ENOENT)
		return -1;
	if (r < 0)
		return explain(argument, r);
	printf("%s is as it was in %s\n", p.path, at + 1);
	return STATUS_DONE;
}

static void no_snapshot_has(const char *argument)
{
	if (strncmp(argument, RECOVERY, strlen(RECOVERY)) == 0)
		log_error("%s says when and not where; 'scribefs restore USER/WORKFLOW/SESSION@%s' does", argument,
			argument);
	else
		log_error("no snapshot has %s; 'scribefs snapshot list --removed' of its user tells of removed "
			  "sessions, and 'scribefs restore %s@RECOVERY-ID' brings one back",
			argument, argument);
}

static int run_restore(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct past p;
	char kept[256] = "", stamp[32];
	struct tm tm;
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	r = restore_by_id(argv[0]);
	if (r >= 0)
		return r;
	if (past_find(argv[0], &p) < 0)
		return STATUS_FAILED;
	if (!p.snapshot[0]) {
		struct choice c = {.present = &p};
		r = past_each(&p, choose, &c);
		if (r < 0)
			return explain(argv[0], r);
		if (!c.any) {
			no_snapshot_has(argv[0]);
			return STATUS_FAILED;
		}
		if (!c.differs) {
			printf("%s is as all snapshots have it\n", argv[0]);
			return STATUS_DONE;
		}
		p = c.found;
	}
	if (lies_in_trash(&p) && p.depth == 2) {
		log_error("%s goes with its user; put that back", argv[0]);
		return STATUS_FAILED;
	}
	r = put_back(&p, kept);
	if (r < 0)
		return explain(argv[0], r);
	gmtime_r(&p.taken.tv_sec, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
	printf("%s is as it was in %s (%s)", p.path, p.snapshot, stamp);
	if (kept[0])
		printf("; what was there is in %s", kept);
	putchar('\n');
	return STATUS_DONE;
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* Of the present: a snapshot is taken first, and dropped when its content is in the fork. */
static int fork_present(const struct past *from, const struct past *to)
{
	char taken[PATH_MAX + 64];

	if (snprintf(taken, sizeof taken, "%s/.snapshots/fork-%ld-%d", from->path, (long)time(NULL), (int)getpid()) >=
		PATH_MAX)
		return -ENAMETOOLONG;
	if (mkdir(taken, 0700) < 0)
		return -errno;
	int r = new_session(to, taken, SCRIBEFS_PUT_FORK);
	rmdir(taken);
	return r;
}

static int run_fork(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct past from, to;
	struct stat st;
	char path[PATH_MAX];
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (past_find(argv[0], &from) < 0)
		return STATUS_FAILED;
	if (from.depth != past_session_depth(&from) || stat(from.shown, &st) < 0 || !S_ISDIR(st.st_mode)) {
		log_error("%s is no session", argv[0]);
		return STATUS_FAILED;
	}
	/* A bare name is a session beside the other. */
	if (!strchr(argv[1], '/'))
		r = snprintf(path, sizeof path, "%.*s/%s", (int)past_prefix(&from, from.depth - 1), from.path, argv[1]);
	else
		r = snprintf(path, sizeof path, "%s", argv[1]);
	if (r >= (int)sizeof path || past_find(path, &to) < 0)
		return STATUS_FAILED;
	if (to.snapshot[0] || to.depth != past_session_depth(&to)) {
		log_error("%s is no place for a session", argv[1]);
		return STATUS_FAILED;
	}
	r = from.snapshot[0] ? new_session(&to, from.shown, SCRIBEFS_PUT_FORK) : fork_present(&from, &to);
	if (r < 0) {
		log_error("cannot make %s of %s: %s", argv[1], argv[0],
			r == -EPERM ? "only the owner of a session forks it; cp -a makes a copy" : strerror(-r));
		return STATUS_FAILED;
	}
	printf("%s\n", to.path);
	return STATUS_DONE;
}

#define SNAPSHOT_HELP                                                                                       \
	"SNAPSHOT is the name of a snapshot of PATH or of a directory above it, or a time such as 10min, yesterday\n" \
	"or 2026-11-21T10:30.\n"

const struct command cmd_restore = {
	.name = "restore",
	.usage = "PATH[@SNAPSHOT]",
	.summary = "put a file, a session, a workflow or a user back to what a snapshot has",
	.help = SNAPSHOT_HELP "Without it the newest that has PATH, and not as it is now, is taken.\n\n"
			      "It happens in one step, whatever the size. What was there is kept as the snapshot\n"
			      "before-restore-TIME of the session, workflow or user, and putting that back undoes it.\n"
			      "PATH may have been removed, as long as a snapshot of a directory above it has it.\n"
			      "A session keeps its id and its snapshots. Of a workflow, a user or users/ the\n"
			      "sessions that were removed since come back, and ones that are newer go; a user has his\n"
			      ".trash.\n\n"
			      "A removed session that only its own snapshots have comes back by PATH@RECOVERY-ID,\n"
			      "with a PATH where nothing is; 'scribefs snapshot list --removed' prints the ids.\n",
	.run = run_restore,
};

const struct command cmd_fork = {
	.name = "fork",
	.usage = "PATH[@SNAPSHOT] NEW",
	.summary = "make an independent session of what a session is, or was",
	.help = SNAPSHOT_HELP "Without it the session is taken as it is now. NEW is the path of the new session, or a\n"
			      "name beside PATH. It has an id of its own, and forked_from in its session.json.\n",
	.run = run_fork,
};
