#include "kv/backup/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int copy_tables(int from_dir, int to_dir, const struct manifest *m, struct digest_meter *meter)
{
	_cleanup_close_ int from = folder_open_dir(from_dir, "db");
	if (from < 0)
		return from;
	if (mkdirat(to_dir, "db", 0700) < 0)
		return -errno;
	_cleanup_close_ int to = folder_open_dir(to_dir, "db");
	if (to < 0)
		return to;
	for (size_t i = 0; i < m->files; i++) {
		struct stat st;
		if (fstatat(from, m->file[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			meter->total += (uint64_t)st.st_size;
	}
	for (size_t i = 0; i < m->files; i++) {
		char hex[DIGEST_HEX];
		uint64_t size;
		int r = folder_copy(from, m->file[i].name, to, m->file[i].name, meter, hex, &size);
		if (r == -ENOENT || (r == 0 && strcmp(hex, m->file[i].hex) != 0))
			r = -EBADMSG;
		if (r < 0)
			return r;
	}
	return fsync(to) < 0 ? -errno : 0;
}

/* The keyring comes last: without it the directory is no store. */
static int copy_all(int from, int to, struct digest_meter *meter)
{
	_cleanup_manifest_ struct manifest m = {0};
	char hex[DIGEST_HEX];
	uint64_t size;
	int r = manifest_load(from, NULL, &m, NULL);
	if (r == 0)
		r = copy_tables(from, to, &m, meter);
	if (r == 0)
		r = folder_copy(from, "mark", to, "mark", NULL, hex, &size);
	if (r == -ENOENT) /* a lost mark is a notice, not a loss */
		r = 0;
	if (r == 0)
		r = folder_copy(from, "keyring", to, "keyring", NULL, hex, &size);
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	return r;
}

/* Takes away what copy_all() made. */
static void undo(int to, const char *path, bool made)
{
	folder_remove(to, "db");
	unlinkat(to, "mark", 0);
	unlinkat(to, "keyring", 0);
	if (made)
		rmdir(path);
}

static int check_empty(int dir)
{
	char **names = NULL;
	size_t n = 0;
	int r = folder_names(dir, &names, &n);
	if (r < 0)
		return r;
	folder_names_free(names, n);
	return n > 0 ? -ENOTEMPTY : 0;
}

int backup_restore(const char *folder, const char *name, const char *path, const struct backup_watch *watch)
{
	struct digest_meter meter = {.watch = watch};
	if (!backup_name_valid(name))
		return -ENOENT;
	_cleanup_close_ int dir = folder_open_dir(AT_FDCWD, folder);
	_cleanup_close_ int from = dir < 0 ? dir : folder_open_dir(dir, name);
	if (from < 0)
		return from;
	bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	_cleanup_close_ int to = folder_open_dir(AT_FDCWD, path);
	if (to < 0)
		return to;
	int r = check_empty(to);
	if (r < 0)
		return r;
	if (fchmod(to, 0700) < 0)
		return -errno;
	r = copy_all(from, to, &meter);
	if (r < 0)
		undo(to, path, made);
	return r;
}
