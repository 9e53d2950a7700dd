#include "tools/backup_place.h"

#include "fs/fuse/mountinfo.h"
#include "kv/keyring.h"
#include "kv/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void backup_place_release(struct backup_place *place)
{
	backup_folders_free(place->folders, place->n);
	*place = (struct backup_place){0};
}

static int only_folder(const char *where, struct backup_place *p)
{
	char path[PATH_MAX];
	p->folders = calloc(1, sizeof *p->folders);
	if (!p->folders || !realpath(where, path) || !(p->folders[0] = strdup(path)))
		return p->folders ? -errno : -ENOMEM;
	p->n = 1;
	return 0;
}

bool backup_place_busy(const char *folder, int r)
{
	if (r != -EBUSY)
		return false;
	if (isatty(STDERR_FILENO))
		log_info("waiting for another process that is at work on the backups in %s", folder);
	return backup_wait(folder) == 0;
}

int backup_place_find(const char *where, struct backup_place *ret_place)
{
	_cleanup_backup_place_ struct backup_place p = {0};
	struct keyring_info info;
	struct mountinfo mount;
	struct stat st;
	int r = 0;
	if (stat(where, &st) < 0 || !S_ISDIR(st.st_mode)) {
		log_error("%s: %s", where, strerror(errno ? errno : ENOTDIR));
		return -ENOENT;
	}
	if (mountinfo_find_above(where, &mount) == 0) {
		strcpy(p.mount, mount.point);
		strcpy(p.store, mount.source);
	} else if (!backup_is(where) && keyring_read_info(where, &info) != -ENOENT) {
		r = mountinfo_resolve(where, p.store);
		if (r == 0 && mountinfo_find_store(p.store, &mount) == 0)
			strcpy(p.mount, mount.point);
	}
	if (r == 0)
		r = p.store[0] ? backup_folders(p.store, &p.folders, &p.n) : only_folder(where, &p);
	if (r < 0) {
		log_error("cannot tell where the backups of %s are: %s", where, strerror(-r));
		return r;
	}
	*ret_place = p;
	p = (struct backup_place){0};
	return 0;
}

static int by_made(const void *a, const void *b)
{
	const struct backup_found *x = a, *y = b;
	if (x->info.made != y->info.made)
		return x->info.made < y->info.made ? -1 : 1;
	if (x->info.sequence != y->info.sequence) /* two in one second */
		return x->info.sequence < y->info.sequence ? -1 : 1;
	return strcmp(x->info.name, y->info.name);
}

int backup_place_list(const struct backup_place *place, struct backup_found **ret_list, size_t *ret_n)
{
	_cleanup_free_ struct backup_found *found = NULL;
	size_t n = 0;
	for (size_t i = 0; i < place->n; i++) {
		_cleanup_free_ struct backup_info *list = NULL;
		size_t more;
		int r = backup_list(place->folders[i], &list, &more);
		struct backup_found *all = r < 0 ? NULL : reallocarray(found, n + more + 1, sizeof *all);
		if (!all) {
			log_error("cannot read %s: %s", place->folders[i], r < 0 ? strerror(-r) : "out of memory");
			return r < 0 ? r : -ENOMEM;
		}
		found = all;
		for (size_t k = 0; k < more; k++)
			found[n++] = (struct backup_found){.folder = place->folders[i], .info = list[k]};
	}
	if (n > 0)
		qsort(found, n, sizeof *found, by_made);
	*ret_list = steal_ptr(found);
	*ret_n = n;
	return 0;
}
