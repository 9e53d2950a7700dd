#include "tools/find_derived.h"

#include "fs/fuse/mountinfo.h"
#include "kv/log.h"
#include "tools/find_session.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define UUID_LEN 36
#define SESSION_DEPTH 3 /* below users/ and exports/ */

static bool lies_in(const char *below, const char *tree)
{
	size_t len = strlen(tree);

	return strncmp(below, tree, len) == 0 && (below[len] == '/' || below[len] == '\0');
}

/* What of the path, which has no symlinks, comes after the mountpoint; NULL: it lies in no mount. */
static const char *below_mount(const char *path)
{
	struct mountinfo mount;

	if (mountinfo_find_above(path, &mount) < 0)
		return NULL;
	return path + (strcmp(mount.point, "/") ? strlen(mount.point) : 0);
}

static int put(char ret_word[FIND_WORD], const char *path, const char *suffix)
{
	return snprintf(ret_word, FIND_WORD, "%s%s", path, suffix) < FIND_WORD ? 1 : -ENAMETOOLONG;
}

/* Whether the name itself, whatever it leads to, lies in views/. */
static bool is_view(const char *path)
{
	char above[PATH_MAX], resolved[PATH_MAX];

	snprintf(above, sizeof above, "%s", path);
	char *slash = strrchr(above, '/');
	if (slash)
		slash[slash == above] = '\0';
	const char *below = realpath(slash ? above : ".", resolved) ? below_mount(resolved) : NULL;
	return below && lies_in(below, "/views");
}

/* The folder of users/ that a path of exports/ mirrors, or lies in. */
static int from_exports(const char *resolved, const char *below, bool document, const char *suffix,
	char ret_word[FIND_WORD])
{
	char path[PATH_MAX];
	size_t len = strlen("/exports");
	int depth = 0;

	while (below[len] && depth < SESSION_DEPTH) {
		size_t part = 1 + strcspn(below + len + 1, "/");
		if (document && !below[len + part])
			break; /* of this level */
		len += part;
		depth++;
	}
	int n = snprintf(path, sizeof path, "%.*s/users%.*s", (int)(below - resolved), resolved,
		(int)(len - strlen("/exports")), below + strlen("/exports"));
	return n < (int)sizeof path ? put(ret_word, path, suffix) : -ENAMETOOLONG;
}

static int from_path(const char *word, size_t len, const char *suffix, char ret_word[FIND_WORD])
{
	char path[PATH_MAX], resolved[PATH_MAX];
	struct stat st;

	while (len > 1 && word[len - 1] == '/')
		len--;
	if (len == 0 || snprintf(path, sizeof path, "%.*s", (int)len, word) >= (int)sizeof path ||
		lstat(path, &st) < 0 || !realpath(path, resolved))
		return 0;
	const char *below = below_mount(resolved);
	if (!below)
		return 0;
	if (lies_in(below, "/exports"))
		return from_exports(resolved, below, !S_ISDIR(st.st_mode), suffix, ret_word);
	return S_ISLNK(st.st_mode) && lies_in(below, "/users") && is_view(path) ? put(ret_word, resolved, suffix) : 0;
}

static bool is_uuid(const char *text)
{
	for (size_t i = 0; i < UUID_LEN; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* Two users may have a session of the same id: then the others have a number behind it in views/id/. */
static int from_id(const char *id, const char *suffix, char ret_word[FIND_WORD])
{
	char path[PATH_MAX], link[PATH_MAX + NAME_MAX + 2], resolved[PATH_MAX];
	struct dirent *entry;
	unsigned n = 0;
	int r = find_users(NULL, path);

	if (r < 0)
		return r;
	strcpy(path + strlen(path) - strlen("users"), "views"); /* no longer */
	strcat(path, "/id");
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (strncasecmp(entry->d_name, id, UUID_LEN) == 0) {
			snprintf(link, sizeof link, "%s/%s", path, entry->d_name);
			n++;
		}
	if (dir)
		closedir(dir);
	if (n == 0)
		log_error("there is no session with the id %s", id);
	if (n > 1)
		log_error("%u sessions have the id %s; name the path of one", n, id);
	if (n != 1)
		return n ? -EEXIST : -ENOENT;
	return realpath(link, resolved) ? put(ret_word, resolved, suffix) : -errno;
}

/* USER/WORKFLOW/SESSION, which is nothing where we stand. */
static int from_listed(const char *word, size_t len, const char *suffix, char ret_word[FIND_WORD])
{
	char path[FIND_WORD];
	int slashes = 0;
	struct stat st;

	for (size_t i = 0; i < len; i++)
		slashes += word[i] == '/';
	if (word[0] == '/' || slashes != SESSION_DEPTH - 1 || find_users(NULL, path) < 0)
		return 0;
	size_t at = strlen(path);
	if (snprintf(path + at, sizeof path - at, "/%.*s", (int)len, word) >= (int)(sizeof path - at) ||
		lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	return put(ret_word, path, suffix);
}

int find_derived(const char *word, char ret_word[FIND_WORD])
{
	const char *slash = strrchr(word, '/'), *last = slash ? slash + 1 : word, *at = strrchr(last, '@');
	size_t whole = strlen(word), before = at ? (size_t)(at - word) : whole;
	char id[UUID_LEN + 1] = "";
	struct stat st;

	int r = from_path(word, whole, "", ret_word);
	if (r == 0 && at)
		r = from_path(word, before, at, ret_word);
	if (r != 0 || lstat(word, &st) == 0)
		return r;
	if (!slash && before == UUID_LEN && is_uuid(word)) {
		memcpy(id, word, UUID_LEN);
		return from_id(id, word + before, ret_word);
	}
	r = from_listed(word, whole, "", ret_word);
	return r == 0 && at ? from_listed(word, before, at, ret_word) : r;
}
