#include "tools/context_check.h"

#include "kv/cleanup.h"
#include "tools/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct checking {
	const struct context *c;
	struct checks *checks;
	struct timespec saved;
	int error;
};

static void find(struct checking *g, enum check_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void find(struct checking *g, enum check_kind kind, const char *fmt, ...)
{
	struct context_texts *findings = &g->checks->check[kind].findings;
	char **grown = reallocarray(findings->at, findings->n + 1, sizeof *grown);
	va_list ap;

	if (grown)
		findings->at = grown;
	va_start(ap, fmt);
	if (!grown || vasprintf(&findings->at[findings->n], fmt, ap) < 0)
		g->error = -ENOMEM;
	else
		findings->n++;
	va_end(ap);
	g->checks->findings++;
	g->checks->failed |= g->checks->check[kind].critical;
}

static int path_below(const struct checking *g, const char *path, char ret_path[PATH_MAX])
{
	int n = path[0] == '/' ? snprintf(ret_path, PATH_MAX, "%s", path)
			       : snprintf(ret_path, PATH_MAX, "%s/%s", g->checks->root, path);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- project state ------------------------------------------------------------------------------ */

/* The branch that is checked out in the root. 1: no repository is there, or no branch. */
static int branch_of(const struct checking *g, char ret_branch[256])
{
	static const char ref[] = "ref: refs/heads/";
	char path[PATH_MAX], line[sizeof ref + 256];

	if (path_below(g, ".git/HEAD", path) < 0)
		return 1;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
	if (n < 0)
		return 1;
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	if (strncmp(line, ref, sizeof ref - 1) != 0) {
		snprintf(ret_branch, 256, "none");
		return 0;
	}
	snprintf(ret_branch, 256, "%.255s", line + sizeof ref - 1);
	return 0;
}

static void check_project(struct checking *g, const struct broken *broken)
{
	const struct context *c = g->c;
	char text[BROKEN_TEXT], branch[256];
	struct stat st;

	if (broken->n) {
		broken_text(broken, text);
		find(g, CHECK_PROJECT, CONTEXT_NAME " is not as documented: %s", text);
	}
	if (stat(g->checks->root, &st) < 0 || !S_ISDIR(st.st_mode))
		find(g, CHECK_PROJECT, "the working directory %s is not there", g->checks->root);
	else if (c->branch && branch_of(g, branch) == 0 && strcmp(branch, c->branch) != 0)
		find(g, CHECK_PROJECT, "branch %s is checked out, not %s", branch, c->branch);
	if (c->health && context_word_is_bad(c->health))
		find(g, CHECK_PROJECT, "project health: %s", c->health);
	if (c->build && context_word_is_bad(c->build))
		find(g, CHECK_PROJECT, "build: %s", c->build);
	for (size_t i = 0; i < c->issues.n; i++)
		if (context_item_open(&c->issues.at[i]))
			find(g, CHECK_PROJECT, "critical issue: %s", c->issues.at[i].text);
}

/* ---- files -------------------------------------------------------------------------------------- */

/* Today's times without the day. */
static void format_mtime(const struct stat *st, char ret_text[32])
{
	time_t now = time(NULL);
	struct tm then_tm, now_tm;

	localtime_r(&st->st_mtime, &then_tm);
	localtime_r(&now, &now_tm);
	bool today = then_tm.tm_year == now_tm.tm_year && then_tm.tm_yday == now_tm.tm_yday;
	strftime(ret_text, 32, today ? "%H:%M" : "%Y-%m-%d %H:%M", &then_tm);
}

static bool same_mtime(const struct context_file *f, const struct stat *st)
{
	double mtime = (double)st->st_mtim.tv_sec + (double)st->st_mtim.tv_nsec / 1e9;

	if (f->mtime == floor(f->mtime)) /* whole seconds were saved */
		return (double)st->st_mtim.tv_sec == f->mtime;
	return fabs(mtime - f->mtime) < 0.001;
}

/* By hash where one was saved, else by what was saved beside it, else by when all of it was. */
static int is_modified(const struct checking *g, const struct context_file *f, int fd, const struct stat *st)
{
	char digest[SHA256_TEXT];

	if (f->sha256 && S_ISREG(st->st_mode)) {
		int r = sha256_file(fd, digest);
		return r < 0 ? r : strcmp(digest, f->sha256) != 0;
	}
	if (f->has_size || f->has_mtime)
		return (f->has_size && f->size != (uint64_t)st->st_size) || (f->has_mtime && !same_mtime(f, st));
	return S_ISREG(st->st_mode) &&
	       (st->st_mtim.tv_sec > g->saved.tv_sec ||
		       (st->st_mtim.tv_sec == g->saved.tv_sec && st->st_mtim.tv_nsec > g->saved.tv_nsec));
}

static void check_file(struct checking *g, const struct context_file *f)
{
	char path[PATH_MAX], when[32];
	struct stat st;
	int r = path_below(g, f->path, path);

	/* O_NONBLOCK: what is a FIFO by now must not keep us. */
	_cleanup_close_ int fd = r < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (r == 0 && (fd < 0 || fstat(fd, &st) < 0))
		r = -errno;
	if (r == 0)
		r = is_modified(g, f, fd, &st);
	if (r == -ENOENT || r == -ENOTDIR) {
		find(g, CHECK_FILES, "removed %s", f->path);
	} else if (r < 0) {
		find(g, CHECK_FILES, "cannot look at %s: %s", f->path, strerror(-r));
	} else if (r > 0) {
		format_mtime(&st, when);
		find(g, CHECK_FILES, "modified %s (%s)", f->path, when);
	}
}

static bool is_in(const struct context_files *files, const char *path)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->at[i].path && strcmp(files->at[i].path, path) == 0)
			return true;
	return false;
}

static void check_files(struct checking *g)
{
	const struct context *c = g->c;

	for (size_t i = 0; i < c->active.n; i++)
		if (c->active.at[i].path)
			check_file(g, &c->active.at[i]);
	for (size_t i = 0; i < c->modified.n; i++)
		if (c->modified.at[i].path && !is_in(&c->active, c->modified.at[i].path))
			check_file(g, &c->modified.at[i]);
}

/* ---- tasks -------------------------------------------------------------------------------------- */

static bool are_same(const struct context_item *a, const struct context_item *b)
{
	return a->id && b->id ? strcmp(a->id, b->id) == 0 : context_item_named(a, b->id ? b->id : b->text);
}

static bool is_listed(const struct context_items *items, const struct context_item *item)
{
	for (size_t i = 0; i < items->n; i++)
		if (are_same(&items->at[i], item))
			return true;
	return false;
}

static void check_task(struct checking *g, const char *what, const struct context_item *item)
{
	const struct context *c = g->c;

	if (!item->text)
		return;
	if (item->status && context_word_is_bad(item->status))
		find(g, CHECK_TASKS, "%s is %s: %s", what, item->status, item->text);
	else if (context_item_open(item) && (is_listed(&c->completed, item) || is_listed(&c->completions, item)))
		find(g, CHECK_TASKS, "%s is also said to be completed: %s", what, item->text);
}

static void check_tasks(struct checking *g)
{
	const struct context *c = g->c;

	check_task(g, "the current task", &c->task);
	check_task(g, "the current step", &c->step);
	for (size_t i = 0; i < c->tasks.n; i++)
		check_task(g, "an active task", &c->tasks.at[i]);
	for (size_t i = 0; i < c->next.n; i++)
		check_task(g, "a next step", &c->next.at[i]);
	for (size_t i = 0; i < c->blockers.n; i++)
		if (context_item_open(&c->blockers.at[i]))
			find(g, CHECK_TASKS, "blocker: %s", c->blockers.at[i].text);
}

/* ---- dependencies ------------------------------------------------------------------------------- */

static const struct context_item *find_item(const struct context_items *items, const char *name)
{
	for (size_t i = 0; i < items->n; i++)
		if (context_item_named(&items->at[i], name))
			return &items->at[i];
	return NULL;
}

/* @now: it is being worked on, so what it needs must be there. */
static void check_need(struct checking *g, const struct context_item *item, const char *need, bool now)
{
	const struct context *c = g->c;
	char path[PATH_MAX];
	struct stat st;

	if (find_item(&c->completed, need) || find_item(&c->completions, need))
		return;
	const struct context_item *other = find_item(&c->tasks, need);
	other = other ? other : find_item(&c->next, need);
	other = other ? other : context_item_named(&c->task, need) ? &c->task : NULL;
	other = other ? other : context_item_named(&c->step, need) ? &c->step : NULL;
	if (other && now && context_item_open(other))
		find(g, CHECK_DEPENDENCIES, "%s needs %s, which is not completed", item->text, need);
	if (!other && (path_below(g, need, path) < 0 || stat(path, &st) < 0))
		find(g, CHECK_DEPENDENCIES, "%s needs %s, which is neither a task or step nor a file", item->text,
			need);
}

static void check_needs(struct checking *g, const struct context_item *item, bool now)
{
	for (size_t i = 0; item->text && context_item_open(item) && i < item->needs.n; i++)
		check_need(g, item, item->needs.at[i], now);
}

static void check_dependencies(struct checking *g)
{
	const struct context *c = g->c;

	check_needs(g, &c->task, true);
	check_needs(g, &c->step, true);
	for (size_t i = 0; i < c->tasks.n; i++)
		check_needs(g, &c->tasks.at[i], false);
	for (size_t i = 0; i < c->next.n; i++)
		check_needs(g, &c->next.at[i], false);
}

/* ------------------------------------------------------------------------------------------------- */

int checks_run(const struct saved_context *saved, const char *root, struct checks *ret_checks)
{
	struct checks checks = {.check = {
		[CHECK_PROJECT] = {.name = "project_state", .critical = true},
		[CHECK_FILES] = {.name = "files"},
		[CHECK_TASKS] = {.name = "tasks", .critical = true},
		[CHECK_DEPENDENCIES] = {.name = "dependencies", .critical = true}}};
	struct checking g = {.c = &saved->c, .checks = &checks, .saved = saved->saved};

	root = root ? root : saved->c.directory;
	snprintf(checks.root, sizeof checks.root, "%s", root ? root : ".");
	check_project(&g, &saved->broken);
	check_files(&g);
	check_tasks(&g);
	check_dependencies(&g);
	if (g.error < 0) {
		checks_release(&checks);
		return g.error;
	}
	*ret_checks = checks;
	return 0;
}

void checks_release(struct checks *checks)
{
	for (size_t i = 0; i < CHECKS; i++) {
		for (size_t k = 0; k < checks->check[i].findings.n; k++)
			free(checks->check[i].findings.at[k]);
		free(checks->check[i].findings.at);
	}
	*checks = (struct checks){0};
}
