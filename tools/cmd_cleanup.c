/* `scribefs cleanup`: sessions without a message for long go to .trash, by renames in the mount, as whoever asks. */
#include "fs/fuse/mountinfo.h"
#include "fs/session/property.h"
#include "fs/session/timestamp.h"
#include "kv/cleanup.h"
#include "kv/log.h"
#include "tools/find_session.h"
#include "tools/options.h"
#include "tools/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SESSION_DEPTH 3 /* below users/ */
#define SUFFIXES 10000	/* sessions of one name in one workflow's trash */

struct cleanup {
	bool dry_run, json;
	int64_t before; /* ms since 1970 */
	size_t users;	/* bytes of a path up to and with "/users" */
	struct report *report;
	unsigned moved, busy, failed;
};

/* ---- where --------------------------------------------------------------------------------------- */

/* The directory in users/ that is meant, and how far below users/ it lies. -errno after one line. */
static int find_place(const char *word, struct cleanup *c, char ret_path[PATH_MAX], int *ret_depth)
{
	struct mountinfo mount;
	int r = mountinfo_find_above(word ? word : ".", &mount);

	if (r < 0 && !word)
		r = mountinfo_find_only(&mount);
	if (r < 0) {
		if (word)
			log_error("%s does not lie in a mount of scribefs", word);
		else
			log_error("%s; name a path in one",
				r == -EMLINK ? "several stores are mounted" : "no store is mounted");
		return r;
	}
	char users[PATH_MAX + 8];
	snprintf(users, sizeof users, "%s/users", strcmp(mount.point, "/") ? mount.point : "");
	c->users = strlen(users);
	if (!word || (realpath(word, ret_path) && strcmp(ret_path, mount.point) == 0))
		snprintf(ret_path, PATH_MAX, "%s", users);
	else if (!realpath(word, ret_path)) {
		log_error("%s: %m", word);
		return -errno;
	}
	const char *below = ret_path + c->users;
	*ret_depth = 0;
	if (strncmp(ret_path, users, c->users) != 0 || (*below && *below != '/')) {
		log_error("%s does not lie in users/", word);
		return -EINVAL;
	}
	for (; *below; below += strcspn(below + 1, "/") + 1, ++*ret_depth)
		if (below[1] == '.')
			*ret_depth = SESSION_DEPTH;
	if (*ret_depth > SESSION_DEPTH) {
		log_error("%s is no user, workflow or session, or lies in .trash", word);
		return -EINVAL;
	}
	return 0;
}

/* ---- one session --------------------------------------------------------------------------------- */

static int need_dir(const char *path, const char *like)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (lstat(like, &st) < 0 || (mkdir(path, st.st_mode & 07777) < 0 && errno != EEXIST))
		return -errno;
	return 0;
}

/* users/USER/.trash/WORKFLOW/NAME, with a suffix where that is taken. */
static int move(const struct cleanup *c, const char *path, char ret_to[PATH_MAX])
{
	char user[PATH_MAX], workflow[PATH_MAX], dir[PATH_MAX];
	const char *name = strrchr(path, '/') + 1;
	int user_len = (int)(c->users + 1 + strcspn(path + c->users + 1, "/"));
	int workflow_len = (int)(name - 1 - path);

	snprintf(user, sizeof user, "%.*s", user_len, path);
	snprintf(workflow, sizeof workflow, "%.*s", workflow_len, path);
	if (snprintf(dir, sizeof dir, "%s/.trash%s", user, workflow + user_len) >= (int)sizeof dir - NAME_MAX)
		return -ENAMETOOLONG;
	dir[user_len + (int)strlen("/.trash")] = 0;
	struct stat st;
	if (lstat(dir, &st) < 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	dir[user_len + (int)strlen("/.trash")] = '/';
	int r = need_dir(dir, workflow);
	for (unsigned n = 1; r == 0 && n <= SUFFIXES; n++) {
		char suffix[16] = "";
		if (n > 1)
			snprintf(suffix, sizeof suffix, ".%u", n);
		int room = NAME_MAX - (int)strlen(suffix);
		if (snprintf(ret_to, PATH_MAX, "%s/%.*s%s", dir, room, name, suffix) >= PATH_MAX)
			return -ENAMETOOLONG;
		if (renameat2(AT_FDCWD, path, AT_FDCWD, ret_to, RENAME_NOREPLACE) == 0)
			return 0;
		r = errno == EEXIST ? 0 : -errno;
	}
	return r < 0 ? r : -EEXIST;
}

static void tell(struct cleanup *c, const char *path, const char *activity, const char *to, bool busy)
{
	if (!c->report) {
		printf("%s  last message %s%s%s%s\n", path + c->users + 1, activity,
			busy ? "  somebody is writing: left" : "", to ? "  → " : "", to ? to + c->users + 1 : "");
		return;
	}
	report_begin_item(c->report, "sessions");
	report_text(c->report, "path", path);
	report_text(c->report, "last_activity", activity);
	report_flag(c->report, "writing", busy);
	report_flag(c->report, "moved", to != NULL);
	if (to)
		report_text(c->report, "to", to);
	report_end_item(c->report);
}

static void clean_one(struct cleanup *c, const char *path)
{
	char activity[64], writing[16], to[PATH_MAX];
	struct timespec last;

	find_attribute(path, "last_activity", activity, sizeof activity);
	if (!activity[0] || timestamp_parse(activity, strlen(activity), &last) < 0 || timestamp_ms(&last) > c->before)
		return;
	find_attribute(path, "writing", writing, sizeof writing);
	if (writing[0]) {
		c->busy++;
		tell(c, path, activity, NULL, true);
		return;
	}
	int r = c->dry_run ? 0 : move(c, path, to);
	if (r < 0) {
		c->failed++;
		log_error("cannot move %s to .trash: %s", path, strerror(-r));
		return;
	}
	c->moved++;
	tell(c, path, activity, c->dry_run ? NULL : to, false);
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* The names first: what is moved must not disturb the listing. */
static int list_names(const char *directory, char ***ret_names, size_t *ret_n)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char **names = NULL;
	size_t n = 0, room = 0;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		if (n == room) {
			room = room ? room * 2 : 64;
			char **grown = reallocarray(names, room, sizeof *names);
			r = grown ? 0 : -ENOMEM;
			names = grown ? grown : names;
		}
		if (r == 0 && !(names[n++] = strdup(entry->d_name))) {
			n--;
			r = -ENOMEM;
		}
	}
	closedir(dir);
	*ret_names = names;
	*ret_n = n;
	return r;
}

static void clean(struct cleanup *c, const char *directory, int depth)
{
	char **names = NULL, path[PATH_MAX];
	size_t n = 0;

	if (depth == SESSION_DEPTH) {
		clean_one(c, directory);
		return;
	}
	int r = list_names(directory, &names, &n);
	/* Another user's, or just gone. */
	if (r < 0 && r != -EACCES && r != -ENOENT && r != -ENOTDIR) {
		c->failed++;
		log_error("cannot look into %s: %s", directory, strerror(-r));
	}
	for (size_t i = 0; i < n; i++) {
		if (snprintf(path, sizeof path, "%s/%s", directory, names[i]) < (int)sizeof path)
			clean(c, path, depth + 1);
		free(names[i]);
	}
	free(names);
}

static int finish(struct cleanup *c)
{
	if (c->report) {
		report_flag(c->report, "dry_run", c->dry_run);
		report_number(c->report, c->dry_run ? "would_move" : "moved", c->moved);
		report_number(c->report, "left", c->busy);
		report_number(c->report, "failed", c->failed);
		if (report_print(c->report, true) < 0) {
			log_error("out of memory");
			return STATUS_FAILED;
		}
	} else if (!c->failed || c->moved) {
		printf("%u %s%s\n", c->moved, c->moved == 1 ? "session" : "sessions",
			c->dry_run ? " would be moved to .trash" : " moved to .trash");
	}
	return c->failed ? STATUS_FAILED : STATUS_DONE;
}

static int run_cleanup(const struct command *self, int argc, char **argv)
{
	struct cleanup c = {0};
	const char *older = NULL;
	char path[PATH_MAX];
	struct timespec now;
	int64_t age = 0;
	int n, depth = 0;
	const struct option_spec specs[] = {
		{"older-than", 0, OPTION_TEXT, &older},
		{"dry-run", 'n', OPTION_FLAG, &c.dry_run},
		{"json", 0, OPTION_FLAG, &c.json},
		{0},
	};
	int r = options_parse(self, argc, argv, specs, 0, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (!older) {
		options_wrong(self, "name an age: --older-than 30d");
		return STATUS_USAGE;
	}
	if (property_parse(property_find("cleanup_after"), older, strlen(older), &age) < 0 || age <= 0) {
		options_wrong(self, "'%s' is no age such as 12h, 30d or 8w", older);
		return STATUS_USAGE;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	c.before = timestamp_ms(&now) - age;
	if (find_place(n ? argv[0] : NULL, &c, path, &depth) < 0)
		return STATUS_FAILED;
	_cleanup_(report_freep) struct report *report = c.json ? report_new() : NULL;
	if (c.json && !report) {
		log_error("out of memory");
		return STATUS_FAILED;
	}
	c.report = report;
	clean(&c, path, depth);
	return finish(&c);
}

const struct command cmd_cleanup = {
	.name = "cleanup",
	.usage = "[PATH] --older-than AGE [--dry-run] [--json]",
	.summary = "move sessions without a message for long to .trash",
	.help = "PATH is a mountpoint, users/, a user, a workflow or a session; without one it is the mount\n"
		"of the working directory, or the only one. What counts is the time of a session's last\n"
		"message, never that of a file. Sessions in which somebody has a file open for writing are\n"
		"left. They go to users/USER/.trash/WORKFLOW/, where they are sessions still: 'mv' brings one\n"
		"back. 'scribefs set cleanup_after=30d PATH' does the same by itself, and trash= says when\n"
		"what lies in .trash is deleted.\n\n"
		"Options:\n"
		"  --older-than AGE        12h, 30d, 8w\n"
		"  --dry-run, -n           only tells which they are\n"
		"  --json                  prints one JSON object\n",
	.run = run_cleanup,
};
