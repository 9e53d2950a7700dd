/* `scribefs snapshot`: what mkdir, ls and rmdir in .snapshots/ do, and what they cannot tell. */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/mountinfo.h"
#include "kv/log.h"
#include "tools/options.h"
#include "tools/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct snapshot_options {
	const struct command *self;
	bool json, removed;
	char place[PATH_MAX]; /* without @NAME */
	const char *name;     /* NULL: none was given */
};

static int failed(const struct snapshot_options *o, const char *what, int error)
{
	if (error == -EINVAL || error == -ENOTTY || error == -ENOTDIR)
		log_error("%s has no snapshots; name users/, a user, a workflow or a session in a mount", o->place);
	else
		log_error("cannot %s %s%s%s: %s", what, o->place, o->name ? "@" : "", o->name ? o->name : "",
			strerror(-error));
	return STATUS_FAILED;
}

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* PATH or PATH@NAME; a path may have an @ of its own. */
static void split(struct snapshot_options *o, const char *argument, bool wants_name)
{
	snprintf(o->place, sizeof o->place, "%s", argument);
	char *at = strrchr(o->place, '@');
	if (at && at[1] && !strchr(at, '/') && (wants_name || !is_directory(o->place))) {
		*at = 0;
		o->name = argument + (at - o->place) + 1;
	}
}

static int path_of(const struct snapshot_options *o, const char *name, char ret_path[PATH_MAX])
{
	return snprintf(ret_path, PATH_MAX, "%s/.snapshots/%s", o->place, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int create(const struct snapshot_options *o)
{
	char path[PATH_MAX], now[32];
	time_t t = time(NULL);
	struct tm tm;
	strftime(now, sizeof now, "%Y-%m-%dT%H-%M-%SZ", gmtime_r(&t, &tm));
	int r = path_of(o, o->name ? o->name : now, path);
	if (r == 0 && mkdir(path, 0700) < 0)
		r = errno == ENOENT && is_directory(o->place) ? -EINVAL : -errno;
	if (r < 0)
		return failed(o, "take a snapshot of", r);
	printf("%s\n", path);
	return STATUS_DONE;
}

static int drop(const struct snapshot_options *o)
{
	char path[PATH_MAX];
	struct mountinfo mount;
	if (!o->name) {
		options_wrong(o->self, "drop wants PATH@NAME");
		return STATUS_USAGE;
	}
	int r = path_of(o, o->name, path);
	/* Elsewhere it would be somebody's own directory. */
	if (r == 0 && mountinfo_find_above(o->place, &mount) < 0)
		r = -ENOTTY;
	if (r == 0 && rmdir(path) < 0)
		r = -errno;
	return r < 0 ? failed(o, "drop", r) : STATUS_DONE;
}

static void print_head(const struct snapshot_options *o)
{
	printf("%-36s  %-20s  %10s  %s%s\n", "NAME", "TAKEN", "HOLDS", "RECOVERY ID",
		o->removed ? "                  SESSION" : "");
}

/* Names and titles may hold anything: in a line, and on a terminal, they must not. */
static void print_one(struct scribefs_snapshot *s)
{
	log_clean(s->name);
	log_clean(s->user);
	log_clean(s->workflow);
	log_clean(s->title);
	char taken[32];
	time_t t = (time_t)s->taken;
	struct tm tm;
	strftime(taken, sizeof taken, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	printf("%-36s  %-20s  %10" PRIu64 "  %s", s->name, taken, s->held, s->recovery);
	if (s->flags & SCRIBEFS_SNAPSHOT_REMOVED)
		printf("  %s/%s %s %s", s->user, s->workflow, s->session_id, s->title);
	putchar('\n');
}

static void report_one(struct report *report, const struct scribefs_snapshot *s)
{
	report_begin_item(report, "snapshots");
	report_text(report, "name", s->name);
	report_time(report, "taken", s->taken);
	report_text(report, "recovery_id", s->recovery);
	report_flag(report, "automatic", s->flags & SCRIBEFS_SNAPSHOT_AUTO);
	report_number(report, "holds", (int64_t)s->held);
	report_number(report, "uid", s->uid);
	if (s->flags & SCRIBEFS_SNAPSHOT_REMOVED) {
		report_text(report, "user", s->user);
		report_text(report, "workflow", s->workflow);
		report_text(report, "session_id", s->session_id);
		report_text(report, "title", s->title);
	}
	report_end_item(report);
}

static int list(const struct snapshot_options *o)
{
	_cleanup_close_ int dir = open(o->place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(report_freep) struct report *report = o->json ? report_new() : NULL;
	struct scribefs_snapshot s = {0};
	if (dir < 0)
		return failed(o, "list the snapshots of", -errno);
	for (bool first = true;; first = false) {
		s.flags = o->removed ? SCRIBEFS_SNAPSHOT_REMOVED : 0;
		if (ioctl(dir, SCRIBEFS_IOC_SNAPSHOT, &s) < 0)
			break;
		if (report)
			report_one(report, &s);
		else if (first)
			print_head(o);
		if (!report)
			print_one(&s);
	}
	if (errno != ENODATA)
		return failed(o, "list the snapshots of", -errno);
	if (o->json && (!report || report_print(report, true) < 0))
		return failed(o, "list the snapshots of", -ENOMEM);
	return STATUS_DONE;
}

static int run_snapshot(const struct command *self, int argc, char **argv)
{
	struct snapshot_options o = {.self = self};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &o.json},
		{"removed", 0, OPTION_FLAG, &o.removed},
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (n < 2 && strcmp(argv[0], "list") != 0) {
		options_wrong(self, "expected %s", self->usage);
		return STATUS_USAGE;
	}
	split(&o, n < 2 ? "." : argv[1], strcmp(argv[0], "drop") == 0);
	if (strcmp(argv[0], "create") == 0)
		return create(&o);
	if (strcmp(argv[0], "list") == 0)
		return list(&o);
	if (strcmp(argv[0], "drop") == 0)
		return drop(&o);
	options_wrong(self, "no 'snapshot %s'; there are create, list and drop", argv[0]);
	return STATUS_USAGE;
}

const struct command cmd_snapshot = {
	.name = "snapshot",
	.usage = "create PATH[@NAME] | list [PATH] [--removed] [--json] | drop PATH@NAME",
	.summary = "take, list and drop snapshots of a session, workflow, user or users/",
	.help = "The same as mkdir, ls and rmdir in PATH/.snapshots/. NAME is the time where none is given; drop\n"
		"takes a recovery id as well. list prints of each snapshot its name, when it was taken, how many\n"
		"bytes it holds that nothing else does, and its recovery id; without PATH of the directory at hand.\n\n"
		"Options:\n"
		"  --removed               (list, of users/ or a user) those of what was removed there\n"
		"  --json                  print the list as JSON\n",
	.run = run_snapshot,
};
