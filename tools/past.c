#include "tools/past.h"

#include "fs/fuse/mountinfo.h"
#include "kv/kv.h"
#include "kv/log.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SNAPSHOTS "/.snapshots/"
#define PLACES 5 /* users/, a user, .trash, a workflow, a session */

/* The absolute path without symlinks above its last component, of which the last ones may be missing. */
static int absolute(const char *argument, char ret_path[PATH_MAX])
{
	char above[PATH_MAX], rest[PATH_MAX] = "", joined[PATH_MAX];

	if (snprintf(above, sizeof above, "%s", argument) >= (int)sizeof above)
		return -ENAMETOOLONG;
	for (;;) {
		size_t len = strlen(above);
		while (len > 1 && above[len - 1] == '/')
			above[--len] = 0;
		char *slash = strrchr(above, '/');
		const char *last = slash ? slash + 1 : above;
		if (!strcmp(last, "..") || !strcmp(last, ".") || !*last) {
			/* what these lead to is known only where it exists */
			if (!realpath(above, ret_path))
				return -errno;
			break;
		}
		if (snprintf(joined, sizeof joined, "/%s%s", last, rest) >= (int)sizeof joined)
			return -ENAMETOOLONG;
		memcpy(rest, joined, sizeof rest);
		if (!slash)
			snprintf(above, sizeof above, ".");
		else if (slash == above)
			slash[1] = 0;
		else
			*slash = 0;
		if (realpath(above, ret_path))
			break;
		if (errno != ENOENT)
			return -errno;
	}
	size_t len = strcmp(ret_path, "/") ? strlen(ret_path) : 0;
	return snprintf(ret_path + len, PATH_MAX - len, "%s", rest) < (int)(PATH_MAX - len) ? 0 : -ENAMETOOLONG;
}

size_t past_prefix(const struct past *p, int depth)
{
	size_t at = p->top;

	for (; depth > 0 && p->path[at]; depth--)
		for (at++; p->path[at] && p->path[at] != '/';)
			at++;
	return at;
}

int past_session_depth(const struct past *p)
{
	size_t user = past_prefix(p, 1), below = past_prefix(p, 2);
	bool trash = below - user == 7 && !memcmp(p->path + user, "/.trash", 7);
	int depth = trash ? 4 : 3;

	for (int i = 0; i < depth; i++) {
		size_t at = past_prefix(p, i);
		if (!p->path[at] || (p->path[at + 1] == '.' && !(trash && i == 1)))
			return INT_MAX;
	}
	return depth;
}

void past_above(const struct past *p, int depth, char ret_shown[PATH_MAX])
{
	size_t end = past_prefix(p, depth);

	if (p->snapshot[0])
		snprintf(ret_shown, PATH_MAX, "%.*s" SNAPSHOTS "%s%.*s", (int)p->place, p->path, p->snapshot,
			end > p->place ? (int)(end - p->place) : 0, p->path + p->place);
	else
		snprintf(ret_shown, PATH_MAX, "%.*s", (int)end, p->path);
}

/* In which mount, and how deep. */
static int locate(struct past *p)
{
	struct mountinfo mount;
	char existing[PATH_MAX];
	struct stat st;

	snprintf(existing, sizeof existing, "%s", p->path);
	while (lstat(existing, &st) < 0) {
		char *slash = strrchr(existing, '/');
		if (!slash || slash == existing)
			return -ENOTTY;
		*slash = 0;
	}
	if (mountinfo_find_above(existing, &mount) < 0)
		return -ENOTTY;
	size_t len = strcmp(mount.point, "/") ? strlen(mount.point) : 0;
	if (strncmp(p->path + len, "/users", 6) || (p->path[len + 6] && p->path[len + 6] != '/'))
		return -ENOTTY;
	p->top = len + 6;
	p->depth = 0;
	for (const char *c = p->path + p->top; *c; c++)
		p->depth += *c == '/';
	return 0;
}

/* Whether the snapshot @name of the place that is the first @depth components has the path. */
static bool look(struct past *p, int depth, const char *name)
{
	struct stat st;
	char root[PATH_MAX];

	if (snprintf(p->snapshot, sizeof p->snapshot, "%s", name) >= (int)sizeof p->snapshot)
		return false;
	p->place = past_prefix(p, depth);
	past_above(p, depth, root);
	past_above(p, p->depth, p->shown);
	if (lstat(p->shown, &st) < 0 || lstat(root, &st) < 0)
		return false;
	p->taken = st.st_mtim; /* of the root of a snapshot: when it was taken */
	return true;
}

static bool look_everywhere(struct past *p, const char *name)
{
	char time[NAME_MAX + 1];

	for (int depth = p->depth < PLACES - 1 ? p->depth : PLACES - 1; depth >= 0; depth--)
		if (look(p, depth, name))
			return true;
	if (snprintf(time, sizeof time, "@%s", name) >= (int)sizeof time || name[0] == '@')
		return false;
	return look_everywhere(p, time);
}

/* PLACE/.snapshots/NAME/REST: what PLACE/REST was. */
static int from_shown(struct past *p)
{
	char *at = strstr(p->path, SNAPSHOTS), name[PATH_MAX], rest[PATH_MAX];

	if (!at)
		return locate(p);
	snprintf(name, sizeof name, "%s", at + strlen(SNAPSHOTS));
	char *slash = strchr(name, '/');
	snprintf(rest, sizeof rest, "%s", slash ? slash : "");
	if (slash)
		*slash = 0;
	*at = 0;
	int r = locate(p);
	if (r < 0)
		return r;
	int depth = p->depth;
	if (snprintf(at, (size_t)(p->path + sizeof p->path - at), "%s", rest) >= p->path + sizeof p->path - at)
		return -ENAMETOOLONG;
	r = locate(p);
	return r < 0 ? r : look(p, depth, name) ? 0 : -ENOENT;
}

static int find(const char *argument, struct past *p)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	*p = (struct past){0};
	if (lstat(argument, &st) == 0 || !strchr(argument, '@')) {
		r = absolute(argument, p->path);
		if (r == 0)
			r = from_shown(p);
		if (r == 0 && !p->snapshot[0])
			memcpy(p->shown, p->path, sizeof p->shown);
		return r;
	}
	r = -ENOENT;
	const char *last = strrchr(argument, '/');
	for (const char *at = strchr(last ? last : argument, '@'); at; at = strchr(at + 1, '@')) {
		*p = (struct past){0};
		if (snprintf(path, sizeof path, "%.*s", (int)(at - argument), argument) >= (int)sizeof path)
			return -ENAMETOOLONG;
		r = absolute(path, p->path);
		if (r == 0)
			r = locate(p);
		if (r == 0 && look_everywhere(p, at + 1))
			return 0;
		r = r < 0 ? r : -ENOENT;
	}
	return r;
}

int past_find(const char *argument, struct past *ret_past)
{
	int r = find(argument, ret_past);

	if (r == -ENOTTY)
		log_error("%s does not lie in users/ of a mount of scribefs", argument);
	else if (r == -ENOENT && strchr(argument, '@'))
		log_error("%s: no such snapshot, or it does not have that", argument);
	else if (r < 0)
		log_error("%s: %s", argument, strerror(-r));
	return r;
}

/* ---- all that there are ---------------------------------------------------------------------- */

static int list_place(const struct past *p, int depth, struct buf *found)
{
	char path[PATH_MAX];
	struct past one = *p;
	struct dirent *entry;
	int r = 0;

	if (snprintf(path, sizeof path, "%.*s/.snapshots", (int)past_prefix(p, depth), p->path) >= (int)sizeof path)
		return -ENAMETOOLONG;
	DIR *dir = opendir(path);
	if (!dir)
		return 0; /* no place, or not ours to see */
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strncmp(entry->d_name, PAST_KEPT, strlen(PAST_KEPT)) &&
			look(&one, depth, entry->d_name))
			r = buf_append(found, &one, sizeof one);
	closedir(dir);
	return r;
}

static int newest_first(const void *a, const void *b)
{
	const struct past *x = a, *y = b;

	if (x->taken.tv_sec != y->taken.tv_sec)
		return x->taken.tv_sec < y->taken.tv_sec ? 1 : -1;
	return (x->taken.tv_nsec < y->taken.tv_nsec) - (x->taken.tv_nsec > y->taken.tv_nsec);
}

int past_each(const struct past *p, int (*each)(void *arg, const struct past *past), void *arg)
{
	_cleanup_buf_ struct buf found = {0};
	int r = 0;

	for (int depth = 0; r == 0 && depth < PLACES && depth <= p->depth; depth++)
		r = list_place(p, depth, &found);
	if (found.len)
		qsort(found.data, found.len / sizeof *p, sizeof *p, newest_first);
	for (size_t i = 0; r == 0 && i < found.len; i += sizeof *p)
		r = each(arg, (const struct past *)(const void *)(found.data + i));
	return r;
}
