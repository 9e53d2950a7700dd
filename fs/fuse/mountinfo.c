/*
 * Lines of proc_pid_mountinfo(5): id, parent, device, root, mountpoint, options, tags up to a "-", type,
 * source, options; blanks in a field stand as \040 and so on.
 */
#include "fs/fuse/mountinfo.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define FSTYPE "fuse.scribefs"

int mountinfo_resolve(const char *path, char ret_path[PATH_MAX])
{
	char resolved[PATH_MAX];
	if (realpath(path, resolved)) {
		memcpy(ret_path, resolved, PATH_MAX);
		return 0;
	}
	/* ENOTCONN: its daemon died, ECONNABORTED: just now. EACCES: the mount is another user's. */
	if (errno != ENOTCONN && errno != ECONNABORTED && errno != EACCES && errno != EIO)
		return -errno;
	char above[PATH_MAX];
	if (snprintf(above, sizeof above, "%s", path) >= PATH_MAX)
		return -ENAMETOOLONG;
	size_t len = strlen(above);
	while (len > 1 && above[len - 1] == '/')
		above[--len] = 0;
	char *slash = strrchr(above, '/');
	const char *name = slash ? slash + 1 : above;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -ENOTCONN;
	char name_copy[NAME_MAX + 1];
	if (snprintf(name_copy, sizeof name_copy, "%s", name) > NAME_MAX)
		return -ENAMETOOLONG;
	if (slash)
		slash[slash == above] = 0;
	if (!realpath(slash ? above : ".", resolved))
		return -errno;
	if (snprintf(ret_path, PATH_MAX, "%s/%s", strcmp(resolved, "/") ? resolved : "", name_copy) >=
		PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

/* In mountinfo a space, tab, newline and backslash are \ and three octal digits. */
static void decode(const char *field, char *ret_text)
{
	size_t n = 0;
	for (const char *p = field; *p && n < PATH_MAX - 1; n++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] && p[3]) {
			ret_text[n] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 4;
		} else {
			ret_text[n] = *p++;
		}
	}
	ret_text[n] = 0;
}

static bool parse(char *line, struct mountinfo *ret_mount)
{
	char *save, *field[5];
	for (size_t i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " \n", &save);
		if (!field[i])
			return false;
	}
	unsigned major_number, minor_number;
	if (sscanf(field[2], "%u:%u", &major_number, &minor_number) != 2)
		return false;
	char *tag;
	do
		tag = strtok_r(NULL, " \n", &save);
	while (tag && strcmp(tag, "-"));
	char *type = tag ? strtok_r(NULL, " \n", &save) : NULL;
	char *source = type ? strtok_r(NULL, " \n", &save) : NULL;
	if (!source)
		return false;
	const char *options = strtok_r(NULL, " \n", &save);
	const char *owner = options ? strstr(options, "user_id=") : NULL;
	unsigned uid = 0;
	if (owner)
		sscanf(owner, "user_id=%u", &uid);
	ret_mount->owner = uid;
	ret_mount->device = makedev(major_number, minor_number);
	ret_mount->ours = !strcmp(type, FSTYPE);
	decode(field[4], ret_mount->point);
	decode(source, ret_mount->source);
	return true;
}

/* The last line for which @wanted holds: later mounts lie over earlier ones. */
static int find(bool (*wanted)(const struct mountinfo *entry, const void *arg), const void *arg,
	struct mountinfo *ret_mount)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return -errno;
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;
	int r = -ENOENT;
	struct mountinfo entry;
	while (getline(&line, &cap, f) > 0) {
		if (!parse(line, &entry) || !wanted(&entry, arg))
			continue;
		*ret_mount = entry;
		r = 0;
	}
	fclose(f);
	return r;
}

static bool stands_at(const struct mountinfo *entry, const void *arg)
{
	return !strcmp(entry->point, arg);
}
int mountinfo_find(const char *point, struct mountinfo *ret_mount)
{
	return find(stands_at, point, ret_mount);
}

static bool is_ours(const struct mountinfo *entry, const void *arg)
{
	return entry->ours;
}
static bool is_another(const struct mountinfo *entry, const void *arg)
{
	return entry->ours && strcmp(entry->point, arg) != 0;
}
int mountinfo_find_only(struct mountinfo *ret_mount)
{
	struct mountinfo another;
	int r = find(is_ours, NULL, ret_mount);
	if (r < 0)
		return r;
	return find(is_another, ret_mount->point, &another) == 0 ? -EMLINK : 0;
}

static bool has_device(const struct mountinfo *entry, const void *arg)
{
	return entry->ours && entry->device == *(const dev_t *)arg;
}
int mountinfo_find_above(const char *path, struct mountinfo *ret_mount)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -errno;
	return find(has_device, &st.st_dev, ret_mount);
}

static bool has_source(const struct mountinfo *entry, const void *arg)
{
	return entry->ours && !strcmp(entry->source, arg);
}
int mountinfo_find_store(const char *store, struct mountinfo *ret_mount)
{
	return find(has_source, store, ret_mount);
}

/* The attributes may be in the kernel's cache still: only statfs(2) tells for certain. */
bool mountinfo_is_dead(const char *point)
{
	struct statfs fs;
	return statfs(point, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* fusermount3 is setuid root: it unmounts what its caller has mounted. */
static int run_fusermount(const char *point, bool detach)
{
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		/* Its own message says nothing that the caller does not say better. */
		int null = open("/dev/null", O_WRONLY);
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		execlp("fusermount3", "fusermount3", detach ? "-uz" : "-u", "--", point, (char *)NULL);
		_exit(127);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOPKG;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int mountinfo_unmount(const char *point, bool detach)
{
	if (umount2(point, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	struct mountinfo before, after;
	int r = mountinfo_find(point, &before);
	if (r == 0)
		r = run_fusermount(point, detach);
	/* Its exit status does not tell why: a mount of ours that is still there is busy. */
	if (r == -EPERM && before.owner == getuid() && mountinfo_find(point, &after) == 0 &&
		after.device == before.device)
		return -EBUSY;
	return r;
}
