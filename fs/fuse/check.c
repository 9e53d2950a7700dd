#include "fs/fuse/check.h"
#include "fs/fuse/explain.h"
#include "fs/fuse/hostpath.h"
#include "fs/fuse/mountinfo.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#define CLOSING_MS 5000
#define ENDING_MS 500
#define LOOK_MS 20

static void wait_a_look(void)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000l}, NULL);
}

void check_complain(const char *fmt, ...)
{
	char text[PATH_MAX * 2 + 512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_clean(text);
	fprintf(stderr, "scribefs: %s\n", text);
}

static int refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int refuse(const char *fmt, ...)
{
	char text[PATH_MAX * 2 + 512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	check_complain("%s", text);
	return -1;
}

/* Whether @path is @dir or below it; both resolved. */
static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);
	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* @ret_path: as hostpath_resolve(). 0, or -1 after the line where a symlink is somebody else's. */
static int check_links(const char *path, char ret_path[PATH_MAX])
{
	int r = path ? hostpath_resolve(path, ret_path) : -ENOENT;
	if (r == -EPERM)
		return refuse(HOSTPATH_FOREIGN, ret_path);
	if (r < 0)
		ret_path[0] = '\0';
	return 0;
}

static int check_store(const char *path, char **ret_store)
{
	struct stat st;
	char walked[PATH_MAX];
	if (check_links(path, walked) < 0)
		return -1;
	_cleanup_free_ char *store = path ? realpath(path, NULL) : NULL;
	if (store && strcmp(store, walked) != 0)
		return refuse("%s changes while it is looked at", path);
	int r = !path ? -ENOENT : !store || stat(store, &st) < 0 ? -errno : 0;
	if (r == 0 && !S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	if (r < 0) {
		explain_store(path ? path : "", 0, r);
		return -1;
	}
	/* Who owns it can replace its files by symlinks at any time. */
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return refuse("the store %s belongs to another user (%u); run as that user", path,
			(unsigned)st.st_uid);
	*ret_store = steal_ptr(store);
	return 0;
}

/* Takes away what dead daemons have left at @at. A daemon that just ends takes its own away at the same time. */
static int detach_dead(const char *at)
{
	struct mountinfo mount;
	int r = 0;
	for (int ms = 0; mountinfo_is_dead(at); ms += LOOK_MS) {
		if (mountinfo_find(at, &mount) == 0)
			r = mount.ours ? mountinfo_unmount(at, true) : -EBUSY;
		if (r == -EINVAL || r == -ENOENT)
			r = 0;
		if (r < 0 || ms >= CLOSING_MS)
			return -EBUSY;
		wait_a_look();
	}
	return 0;
}

/* Whether a daemon of ours serves @at; one that is about to end may answer still, so it is looked at for a moment. */
static bool stays_mounted(const char *at)
{
	struct mountinfo mount;
	for (int ms = 0; mountinfo_find(at, &mount) == 0 && mount.ours; ms += LOOK_MS) {
		if (ms >= ENDING_MS || detach_dead(at) < 0)
			return true;
		wait_a_look();
	}
	return false;
}

/* The resolved mountpoint, freed of a daemon's dead mount. */
static int resolve_mountpoint(const char *path, char **ret_mountpoint)
{
	char at[PATH_MAX], walked[PATH_MAX];
	if (check_links(path, walked) < 0)
		return -1;
	int r = mountinfo_resolve(path, at);
	if (r == 0 && strcmp(at, walked) != 0)
		return refuse("%s changes while it is looked at", path);
	if (r == 0 && detach_dead(at) < 0)
		return refuse("%s is a dead mount; detach it with `fusermount3 -u -z %s`", path, path);
	struct stat st;
	if (r == 0 && stat(at, &st) < 0)
		r = -errno;
	if (r == -ENOENT)
		return refuse("the mountpoint %s does not exist; make it with `mkdir -p %s`", path,
			path);
	if (r < 0)
		return refuse("the mountpoint %s: %s", path, strerror(-r));
	if (!S_ISDIR(st.st_mode))
		return refuse("%s is not a directory; name one to mount on", path);
	*ret_mountpoint = strdup(at);
	return *ret_mountpoint ? 0 : refuse("out of memory");
}

/* Whether /etc/fuse.conf lets users ask for allow_other. */
static bool conf_allows_other(void)
{
	FILE *f = fopen("/etc/fuse.conf", "re");
	char line[256], word[32];
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f))
		found = sscanf(line, " %31s", word) == 1 && strcmp(word, "user_allow_other") == 0;
	if (f)
		fclose(f);
	return found;
}

static int check_fuse(const struct mount_options *o)
{
	if (o->allow_other && o->allow_root)
		return refuse("allow_other and allow_root exclude each other; give one of them");
	if ((o->allow_other || o->allow_root) && geteuid() != 0 && !conf_allows_other())
		return refuse("%s is not allowed here; put user_allow_other into /etc/fuse.conf, or "
			      "mount without it", o->allow_other ? "allow_other" : "allow_root");
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return refuse("there is no /dev/fuse; load the module with `modprobe fuse` (in a "
			      "container: --device /dev/fuse --cap-add SYS_ADMIN)");
	return refuse("/dev/fuse: %m; ask for access to it");
}

/* A path that is no path yet is looked at as far as it exists. */
static int check_backup_dirs(const struct mount_options *o, const char *store, const char *mountpoint)
{
	for (unsigned i = 0; i < o->backup_dirs_n; i++) {
		const char *dir = o->backup_dirs[i];
		char path[PATH_MAX];
		if (check_links(dir, path) < 0)
			return -1;
		if (is_below(path, mountpoint) || is_below(path, store))
			return refuse("backups in %s would lie in the %s; choose another folder for backup_dir=", dir,
				is_below(path, store) ? "store itself" : "mount");
	}
	return 0;
}

int check_mount(const struct mount_options *o, char **ret_store, char **ret_mountpoint)
{
	_cleanup_free_ char *store = NULL, *mountpoint = NULL;
	if (!o->mountpoint || !*o->mountpoint)
		return refuse("no mountpoint; name the directory to mount on");
	if (check_store(o->store, &store) < 0 || resolve_mountpoint(o->mountpoint, &mountpoint) < 0)
		return -1;
	if (is_below(mountpoint, store))
		return refuse("the mountpoint %s lies in the store; choose one outside of %s",
			o->mountpoint, o->store);
	/* The engine opens its files by name, and would ask itself for them. */
	if (is_below(store, mountpoint))
		return refuse("the mountpoint %s would hide the store %s; choose another one",
			o->mountpoint, o->store);
	if (check_backup_dirs(o, store, mountpoint) < 0)
		return -1;
	if (stays_mounted(mountpoint))
		return refuse("%s is mounted already; unmount it first with `scribefs umount %s`",
			o->mountpoint, o->mountpoint);
	if (check_fuse(o) < 0)
		return -1;
	*ret_store = steal_ptr(store);
	*ret_mountpoint = steal_ptr(mountpoint);
	return 0;
}

void check_wait_closing(const char *store)
{
	for (int ms = 0; ms < CLOSING_MS; ms += LOOK_MS) {
		struct mountinfo mount;
		if (kv_holder(store) <= 0 || mountinfo_find_store(store, &mount) == 0)
			return;
		wait_a_look();
	}
}
