#include "tools/holders.h"

#include "kv/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

static void closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}
#define _cleanup_dir_ _cleanup_(closedir_p)

static bool path_is_below(const char *path, const char *point)
{
	size_t len = strlen(point);
	return !strncmp(path, point, len) && (path[len] == '/' || path[len] == ' ' || !path[len]);
}

static bool link_is_below(int proc, const char *name, const char *point, char ret_path[PATH_MAX])
{
	ssize_t n = readlinkat(proc, name, ret_path, PATH_MAX - 1);
	if (n < 0)
		return false;
	ret_path[n] = 0;
	return path_is_below(ret_path, point);
}

static bool fd_is_below(int proc, const char *point, char ret_path[PATH_MAX])
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_dir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	struct dirent *e;
	while ((e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]) &&
			link_is_below(fd, e->d_name, point, ret_path))
			return true;
	return false;
}

/* A line of maps: range permissions offset major:minor inode path. */
static bool map_is_below(int proc, dev_t dev, char ret_path[PATH_MAX])
{
	int fd = openat(proc, "maps", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	FILE *f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return false;
	}
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	bool found = false;
	while (!found && getline(&line, &cap, f) > 0) {
		unsigned major_number, minor_number;
		int at = 0;
		if (sscanf(line, "%*s %*s %*s %x:%x %*u %n", &major_number, &minor_number, &at) < 2)
			continue;
		found = at && makedev(major_number, minor_number) == dev;
		if (found) {
			line[strcspn(line, "\n")] = 0;
			snprintf(ret_path, PATH_MAX, "%s", line + at);
		}
	}
	fclose(f);
	return found;
}

/* What of the process keeps the mount busy, or NULL. */
static const char *holds(int proc, const char *point, dev_t dev, char ret_path[PATH_MAX])
{
	if (link_is_below(proc, "cwd", point, ret_path))
		return "stands in";
	if (link_is_below(proc, "root", point, ret_path))
		return "has its root at";
	if (link_is_below(proc, "exe", point, ret_path))
		return "runs";
	if (fd_is_below(proc, point, ret_path))
		return "has open";
	if (map_is_below(proc, dev, ret_path))
		return "has mapped";
	return NULL;
}

static void read_name(int proc, char *ret_name, size_t size)
{
	snprintf(ret_name, size, "?");
	_cleanup_close_ int fd = openat(proc, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret_name, size - 1);
	if (n > 0) {
		ret_name[n] = 0;
		ret_name[strcspn(ret_name, "\n")] = 0;
	}
}

static int describe(const char *pid, int proc, const char *how, const char *path, struct buf *text)
{
	char name[32];
	read_name(proc, name, sizeof name);
	return buf_printf(text, "%sprocess %s (%s) %s %s", text->len ? ", " : "", pid, name, how, path);
}

int holders_describe(const char *point, dev_t dev, struct buf *ret_text)
{
	enum { NAMED = 5 }; /* a hundred of them would help nobody */
	_cleanup_dir_ DIR *dir = opendir("/proc");
	if (!dir)
		return -errno;
	int found = 0;
	struct dirent *e;
	while ((e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		_cleanup_close_ int proc =
			openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc < 0)
			continue;
		char path[PATH_MAX];
		const char *how = holds(proc, point, dev, path);
		if (!how)
			continue;
		int r = found < NAMED ? describe(e->d_name, proc, how, path, ret_text) : 0;
		if (r < 0)
			return r;
		found++;
	}
	if (found > NAMED)
		buf_printf(ret_text, " and %d more", found - NAMED);
	return found;
}
