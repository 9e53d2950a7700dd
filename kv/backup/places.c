#include "kv/backup/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define FILE_NAME "backup-folders"

void backup_folders_free(char **folders, size_t n)
{
	folder_names_free(folders, n);
}

static int add(char ***folders, size_t *n, const char *path)
{
	char **more = reallocarray(*folders, *n + 1, sizeof *more);
	if (!more)
		return -ENOMEM;
	*folders = more;
	more[*n] = strdup(path);
	if (!more[*n])
		return -ENOMEM;
	++*n;
	return 0;
}

/* The default comes where it is in use, or where there is no other. */
static int add_default(const char *store, char ***folders, size_t *n)
{
	char absolute[PATH_MAX];
	_cleanup_free_ char *path = NULL;
	if (!realpath(store, absolute))
		return -errno;
	if (asprintf(&path, "%s.backups", absolute) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < *n; i++)
		if (strcmp((*folders)[i], path) == 0)
			return 0;
	return *n == 0 || access(path, F_OK) == 0 ? add(folders, n, path) : 0;
}

int backup_folders(const char *store, char ***ret_folders, size_t *ret_n)
{
	_cleanup_(buf_release) struct buf text = {0};
	char **folders = NULL;
	size_t n = 0;
	_cleanup_close_ int dir = folder_open_dir(AT_FDCWD, store);
	if (dir < 0)
		return dir;
	int r = folder_read_text(dir, FILE_NAME, &text);
	if (r == -ENOENT)
		r = 0;
	for (char *line = (char *)text.data, *end; r == 0 && line && (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		if (line[0] == '/')
			r = add(&folders, &n, line);
	}
	if (r == 0)
		r = add_default(store, &folders, &n);
	if (r < 0) {
		backup_folders_free(folders, n);
		return r;
	}
	*ret_folders = folders;
	*ret_n = n;
	return 0;
}

int backup_folder_add(const char *store, const char *folder)
{
	_cleanup_(buf_release) struct buf text = {0};
	if (folder[0] != '/' || strchr(folder, '\n'))
		return -EINVAL;
	_cleanup_close_ int dir = folder_open_dir(AT_FDCWD, store);
	if (dir < 0)
		return dir;
	int r = folder_read_text(dir, FILE_NAME, &text);
	if (r < 0 && r != -ENOENT)
		return r;
	size_t len = strlen(folder);
	for (char *line = (char *)text.data, *end; line && (end = strchr(line, '\n')); line = end + 1)
		if ((size_t)(end - line) == len && memcmp(line, folder, len) == 0)
			return 0;
	r = buf_printf(&text, "%s\n", folder);
	return r < 0 ? r : folder_write_text(dir, FILE_NAME, &text);
}
