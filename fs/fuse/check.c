#include "fs/fuse/check.h"
#include "fs/fuse/mountinfo.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CLOSING_MS 5000

void check_complain(const char *fmt, ...)
{
	char text[PATH_MAX * 2 + 512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
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

static int check_store(const char *path, char **ret_store)
{
	struct stat st;
	_cleanup_free_ char *store = path ? realpath(path, NULL) : NULL;
	if (!store && errno == ENOENT)
		return refuse("there is no store at %s; make one with `scribefs init %s`", path, path);
	if (!store)
		return refuse("%s: %m", path ? path : "no store");
	if (stat(store, &st) < 0)
		return refuse("%s: %m", path);
	if (!S_ISDIR(st.st_mode))
		return refuse("%s is not a store but a file; name the store's directory", path);
	*ret_store = steal_ptr(store);
	return 0;
}

/* realpath() for a path whose last component cannot be looked at. */
static char *resolve_parent(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return NULL;
	size_t len = strlen(copy);
	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	char *slash = strrchr(copy, '/');
	const char *name = slash ? slash + 1 : copy;
	if (slash)
		*slash = '\0';
	_cleanup_free_ char *parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	char *joined = NULL;
	if (parent && asprintf(&joined, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		joined = NULL;
	return joined;
}

/*
 * The resolved mountpoint, freed of a daemon's dead mount. Its attributes may be in the kernel's cache
 * still: only statfs(2) tells for certain.
 */
static int resolve_mountpoint(const char *path, char **ret_mountpoint)
{
	_cleanup_free_ char *at = strdup(path); /* absolute, once a dead mount was met */
	for (int i = 0; i < 8 && at; i++) {
		struct stat st;
		struct statfs fs;
		_cleanup_free_ char *resolved = realpath(at, NULL);
		if (resolved && statfs(resolved, &fs) == 0 && stat(resolved, &st) == 0) {
			if (!S_ISDIR(st.st_mode))
				return refuse("%s is not a directory; name one to mount on", path);
			*ret_mountpoint = steal_ptr(resolved);
			return 0;
		}
		if (errno != ENOTCONN)
			break;
		char *below = resolve_parent(at);
		free(at);
		at = below;
		if (!at || mountinfo_is_ours(at) != 1 || mountinfo_detach(at) < 0)
			return refuse("%s is a dead mount; detach it with `fusermount3 -u -z %s`", path,
				path);
	}
	if (errno == ENOENT)
		return refuse("the mountpoint %s does not exist; make it with `mkdir -p %s`", path, path);
	return refuse("the mountpoint %s: %m", path);
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
		return refuse("%s is not allowed here; put user_allow_other into /etc/fuse.conf, or mount "
			      "without it", o->allow_other ? "allow_other" : "allow_root");
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return 0;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return refuse("there is no /dev/fuse; load the module with `modprobe fuse` (in a "
			      "container: --device /dev/fuse --cap-add SYS_ADMIN)");
	return refuse("/dev/fuse: %m; ask for access to it");
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
	if (mountinfo_is_ours(mountpoint) == 1)
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
	for (int ms = 0; ms < CLOSING_MS; ms += 20) {
		if (kv_holder(store) <= 0 || mountinfo_serves(store))
			return;
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
}

static const char *secret_name(const struct kv_unlock *unlock)
{
	switch (unlock->type) {
	case KEYRING_PASSPHRASE:
		return "wrong passphrase";
	case KEYRING_KEY_FILE:
		return "wrong key file";
	case KEYRING_RECOVERY:
		return "wrong recovery key";
	}
	return "wrong secret";
}

/* Either the keyring or the engine's own files are no good: the first can be told without a secret. */
static void explain_damage(const char *store)
{
	struct keyring_info info;
	if (keyring_read_info(store, &info) == -EBADMSG)
		check_complain("the keyring of %s is damaged; put the copy from a backup in its place",
			store);
	else
		check_complain("the database of %s is damaged; run `scribefs fsck %s`", store, store);
}

void check_explain_open(const char *store, const struct kv_unlock *unlock, int error)
{
	int holder;
	switch (error) {
	case -ENOENT:
		check_complain("%s is not a store; make one with `scribefs init %s`", store, store);
		break;
	case -EBUSY:
		holder = kv_holder(store);
		if (holder > 0)
			check_complain("%s is in use by process %d; unmount it first", store, holder);
		else
			check_complain("%s is in use; try again", store);
		break;
	case -EKEYREJECTED:
		check_complain("%s for %s; try again", secret_name(unlock), store);
		break;
	case -EBADMSG:
		explain_damage(store);
		break;
	case -EPROTONOSUPPORT:
		check_complain("%s was made by a newer scribefs; update this one", store);
		break;
	case -EOPNOTSUPP:
		check_complain("this processor cannot open the cipher of %s; use a machine that has "
			       "AES instructions", store);
		break;
	case -EROFS:
		check_complain("the disk of %s is read-only; mount with -o ro", store);
		break;
	case -EACCES:
	case -EPERM:
		check_complain("no permission to open %s; run as its owner", store);
		break;
	default:
		check_complain("cannot open %s: %s", store, strerror(-error));
	}
}
