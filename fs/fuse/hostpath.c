#include "fs/fuse/hostpath.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40

struct walk {
	char done[PATH_MAX]; /* resolved, without a slash at its end: "" is the root */
	char rest[PATH_MAX];
	unsigned links;
};

static void go_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/');
	if (slash)
		*slash = 0;
}

/* The next component leaves rest; -ENAMETOOLONG. */
static int take(struct walk *w, char name[NAME_MAX + 1])
{
	const char *from = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(from, "/");
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, from, len);
	name[len] = 0;
	memmove(w->rest, from + len, strlen(from + len) + 1);
	return 0;
}

/* done is a symlink: what it says goes before the rest. */
static int follow(struct walk *w, uid_t owner)
{
	char target[PATH_MAX];
	if (owner != 0 && owner != geteuid())
		return -EPERM;
	if (++w->links > LINKS_MAX)
		return -ELOOP;
	ssize_t n = readlink(w->done, target, sizeof target - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	size_t len = strlen(w->rest);
	if ((size_t)n + len >= sizeof w->rest)
		return -ENAMETOOLONG;
	memmove(w->rest + n, w->rest, len + 1);
	memcpy(w->rest, target, (size_t)n);
	if (target[0] == '/')
		w->done[0] = 0;
	else
		go_up(w);
	return 0;
}

static int step(struct walk *w)
{
	char name[NAME_MAX + 1];
	struct stat st;
	int r = take(w, name);
	if (r < 0 || !*name || strcmp(name, ".") == 0)
		return r;
	if (strcmp(name, "..") == 0) {
		go_up(w);
		return 0;
	}
	size_t len = strlen(w->done);
	if (len + 1 + strlen(name) >= sizeof w->done)
		return -ENAMETOOLONG;
	w->done[len] = '/';
	strcpy(w->done + len + 1, name);
	return lstat(w->done, &st) == 0 && S_ISLNK(st.st_mode) ? follow(w, st.st_uid) : 0;
}

int hostpath_resolve(const char *path, char ret_path[PATH_MAX])
{
	struct walk w = {.done = ""};
	int r = 0;
	if (strlen(path) >= sizeof w.rest)
		return -ENAMETOOLONG;
	if (path[0] != '/' && !getcwd(w.done, sizeof w.done))
		return -errno;
	if (strcmp(w.done, "/") == 0)
		w.done[0] = 0;
	strcpy(w.rest, path);
	while (r == 0 && *w.rest)
		r = step(&w);
	if (r == 0 || r == -EPERM)
		snprintf(ret_path, PATH_MAX, "%s", *w.done ? w.done : "/");
	return r;
}
