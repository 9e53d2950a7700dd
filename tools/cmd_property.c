/* `scribefs set`, `get` and `inherit`: the policies of directories, which are their attributes user.scribefs.*. */
#include "fs/fuse/mountinfo.h"
#include "fs/session/property.h"
#include "kv/log.h"
#include "tools/options.h"
#include "tools/report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* The resolved path of @argument, which must be a directory below users/ of a mount. -errno after one line. */
static int find_directory(const char *argument, char ret_path[PATH_MAX], size_t *ret_top)
{
	struct mountinfo mount;
	struct stat st;
	if (!realpath(argument, ret_path) || stat(ret_path, &st) < 0) {
		log_error("%s: %m", argument);
		return -errno;
	}
	size_t len = mountinfo_find_above(ret_path, &mount) == 0 ? strlen(mount.point) : 0;
	if (len == 1)
		len = 0; /* mounted at / */
	if (!S_ISDIR(st.st_mode) || (len == 0 && mount.point[0] != '/') || strncmp(ret_path + len, "/users", 6) != 0 ||
		(ret_path[len + 6] && ret_path[len + 6] != '/')) {
		log_error("%s is no directory in users/ of a mount of scribefs", argument);
		return -ENOTDIR;
	}
	*ret_top = len + 6;
	return 0;
}

static void attribute_name(const struct property *p, char ret_name[64])
{
	snprintf(ret_name, 64, "%s%s", PROPERTY_PREFIX, p->name);
}

static const struct property *known(const struct command *self, const char *name)
{
	const struct property *p = property_find(name);
	if (!p)
		options_wrong(self, "no property '%s'; 'scribefs get all PATH' shows them all", name);
	return p;
}

static int failed(const char *path, const char *what)
{
	log_error("cannot change %s of %s: %m", what, path);
	return STATUS_FAILED;
}

/* ---- set ------------------------------------------------------------------------------------- */

/* A word NAME=VALUE. NULL after one line. */
static const struct property *assignment(const struct command *self, char *word, const char **ret_value)
{
	char *equals = strchr(word, '=');
	int64_t value;
	if (!equals) {
		options_wrong(self, "'%s' is no NAME=VALUE", word);
		return NULL;
	}
	*equals = 0;
	const struct property *p = known(self, word);
	if (p && property_parse(p, equals + 1, strlen(equals + 1), &value) < 0) {
		options_wrong(self, "%s takes %s, not '%s'", p->name,
			p->kind == PROPERTY_COUNT ? "a number" : "a time such as 30s, 15min, 1h, 30d or none",
			equals + 1);
		return NULL;
	}
	*ret_value = equals + 1;
	return p;
}

static int run_set(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const struct property *property[64];
	const char *value[64];
	char path[PATH_MAX], name[64];
	size_t top;
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 64, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	/* All of it is looked at before anything is done. */
	for (int i = 0; i < n - 1; i++) {
		property[i] = assignment(self, argv[i], &value[i]);
		if (!property[i])
			return STATUS_USAGE;
	}
	if (find_directory(argv[n - 1], path, &top) < 0)
		return STATUS_FAILED;
	for (int i = 0; i < n - 1; i++)
		if (property_of_store(property[i]) && path[top]) {
			log_error("%s is of the whole store: set it at users/", property[i]->name);
			return STATUS_FAILED;
		}
	for (int i = 0; i < n - 1; i++) {
		attribute_name(property[i], name);
		if (setxattr(path, name, value[i], strlen(value[i]), 0) < 0)
			return failed(argv[n - 1], property[i]->name);
	}
	return STATUS_DONE;
}

/* ---- inherit --------------------------------------------------------------------------------- */

static int run_inherit(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	char path[PATH_MAX], name[64];
	size_t top;
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 64, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	for (int i = 0; i < n - 1; i++)
		if (!known(self, argv[i]))
			return STATUS_USAGE;
	if (find_directory(argv[n - 1], path, &top) < 0)
		return STATUS_FAILED;
	for (int i = 0; i < n - 1; i++) {
		attribute_name(property_find(argv[i]), name);
		if (removexattr(path, name) < 0 && errno != ENODATA)
			return failed(argv[n - 1], argv[i]);
	}
	return STATUS_DONE;
}

/* ---- get ------------------------------------------------------------------------------------- */

/* The value at @path or the nearest directory above it, which *@ret_source (in @path's bytes) is then. */
static int look_up(const char *path, size_t top, const struct property *p, char ret_value[PROPERTY_TEXT],
	char ret_source[PATH_MAX])
{
	char name[64];
	attribute_name(p, name);
	snprintf(ret_source, PATH_MAX, "%s", path);
	for (size_t len = strlen(ret_source); len >= top; ret_source[len] = 0) {
		ssize_t n = getxattr(ret_source, name, ret_value, PROPERTY_TEXT - 1);
		if (n >= 0) {
			ret_value[n] = 0;
			return 0;
		}
		if (errno != ENODATA)
			return -errno;
		while (len > 0 && ret_source[--len] != '/')
			;
	}
	snprintf(ret_value, PROPERTY_TEXT, "%s", p->fallback);
	ret_source[0] = 0;
	return 0;
}

static int show_one(struct report *report, const char *path, size_t top, const struct property *p)
{
	char value[PROPERTY_TEXT], source[PATH_MAX];
	int r = look_up(path, top, p, value, source);
	if (r < 0) {
		log_error("cannot read %s: %s", path, strerror(-r));
		return r;
	}
	const char *from = !source[0] ? "default" : !strcmp(source, path) ? "local" : source + top - strlen("users");
	if (!report) {
		printf("%-18s  %-8s  %-24s  %s\n", p->name, value, from, p->summary);
		return 0;
	}
	report_begin_item(report, "properties");
	report_text(report, "name", p->name);
	report_text(report, "value", value);
	report_text(report, "source", from);
	report_end_item(report);
	return 0;
}

static int run_get(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {{"json", 0, OPTION_FLAG, &json}, {0}};
	char path[PATH_MAX];
	size_t top;
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 64, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	bool all = n == 2 && !strcmp(argv[0], "all");
	for (int i = 0; !all && i < n - 1; i++)
		if (!known(self, argv[i]))
			return STATUS_USAGE;
	if (find_directory(argv[n - 1], path, &top) < 0)
		return STATUS_FAILED;
	_cleanup_(report_freep) struct report *report = json ? report_new() : NULL;
	for (size_t i = 0; all ? !!property_at(i) : (int)i < n - 1; i++)
		if (show_one(report, path, top, all ? property_at(i) : property_find(argv[i])) < 0)
			return STATUS_FAILED;
	if (json && (!report || report_print(report, true) < 0)) {
		log_error("out of memory");
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

#define PATH_HELP                                                                                          \
	"PATH is users/ of a mount, a user, a workflow or a session. What is set there holds for all that lies\n" \
	"below, until it is set again; backup, backup_keep and store_… are set at users/ only. It is the attribute\n" \
	"user.scribefs.NAME: setfattr and rsync -X carry it.\n"

const struct command cmd_set = {
	.name = "set",
	.usage = "NAME=VALUE … PATH",
	.summary = "set policies of a directory, for all that lies below it",
	.help = PATH_HELP,
	.run = run_set,
};

const struct command cmd_get = {
	.name = "get",
	.usage = "all|NAME … PATH [--json]",
	.summary = "tell the policies that hold for a directory, and where each comes from",
	.help = PATH_HELP "\nOptions:\n"
			  "  --json                  print them as JSON\n",
	.run = run_get,
};

const struct command cmd_inherit = {
	.name = "inherit",
	.usage = "NAME … PATH",
	.summary = "unset policies of a directory, so that those from above hold again",
	.help = PATH_HELP,
	.run = run_inherit,
};
