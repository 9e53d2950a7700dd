/*
 * Lines of proc_pid_mountinfo(5): id, parent, device, root, mountpoint, options, optional fields up to
 * a "-", type, source, options; blanks in a field stand as \040 and so on.
 */
#include "fs/fuse/mountinfo.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define TYPE "fuse.scribefs"

static int octal(const char *p)
{
	if (p[0] < '0' || p[0] > '3' || p[1] < '0' || p[1] > '7' || p[2] < '0' || p[2] > '7')
		return -1;
	return (p[0] - '0') << 6 | (p[1] - '0') << 3 | (p[2] - '0');
}

/* In place. */
static char *unescape(char *field)
{
	char *to = field;
	for (const char *from = field; *from; to++) {
		int c = from[0] == '\\' ? octal(from + 1) : -1;
		*to = c >= 0 ? (char)c : *from;
		from += c >= 0 ? 4 : 1;
	}
	*to = '\0';
	return field;
}

struct mounted {
	char *at, *type, *source; /* within the line */
};

static bool parse(char *line, struct mounted *ret_mounted)
{
	char *save = NULL, *field = strtok_r(line, " \n", &save);
	struct mounted m = {0};
	int i = 0;
	for (; field; field = strtok_r(NULL, " \n", &save), i++) {
		if (i == 4)
			m.at = unescape(field);
		if (i > 5 && strcmp(field, "-") == 0)
			break;
	}
	if (!field)
		return false;
	m.type = strtok_r(NULL, " \n", &save);
	m.source = m.type ? strtok_r(NULL, " \n", &save) : NULL;
	if (!m.source)
		return false;
	unescape(m.source);
	*ret_mounted = m;
	return true;
}

/* Calls @look for each mount, older ones first. 0 or -errno. */
static int each(void (*look)(const struct mounted *m, void *arg), void *arg)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return -errno;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	struct mounted m;
	while (getline(&line, &cap, f) > 0)
		if (parse(line, &m))
			look(&m, arg);
	fclose(f);
	return 0;
}

struct search {
	const char *wanted;
	bool found;
};

static void look_at(const struct mounted *m, void *arg)
{
	struct search *search = arg;
	if (strcmp(m->at, search->wanted) == 0)
		search->found = strcmp(m->type, TYPE) == 0;
}

static void look_from(const struct mounted *m, void *arg)
{
	struct search *search = arg;
	if (strcmp(m->type, TYPE) == 0 && strcmp(m->source, search->wanted) == 0)
		search->found = true;
}

int mountinfo_is_ours(const char *path)
{
	struct search search = {.wanted = path};
	int r = each(look_at, &search);
	return r < 0 ? r : search.found;
}

bool mountinfo_serves(const char *store)
{
	struct search search = {.wanted = store};
	return each(look_from, &search) == 0 && search.found;
}

int mountinfo_detach(const char *path)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	char *const argv[] = {(char[]){"fusermount3"}, (char[]){"-u"}, (char[]){"-q"}, (char[]){"-z"},
		(char[]){"--"}, (char *)path, NULL};
	pid_t pid;
	int status;
	int r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}
