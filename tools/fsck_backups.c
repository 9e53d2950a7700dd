#include "tools/fsck_backups.h"

#include "kv/backup/backup.h"
#include "kv/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_BYTES (4u << 20)

struct fsck_backup {
	struct fsck_backups *all;
	char *path;
	struct backup_info info;
	struct kv *kv;
	bool failed;
	const char *reason;
};

static const char *reason_of(int error)
{
	switch (error) {
	case -EKEYREJECTED:
	case -ENOKEY:
		return "this store's keys do not open it";
	case -EBADMSG:
	case -EIO:
		return "its database is damaged";
	case -EBUSY:
		return "it is in use";
	case -EPROTONOSUPPORT:
		return "it is of another version";
	default:
		return "it cannot be opened";
	}
}

static int open_backup(void *arg, struct kv **ret_kv, const char **ret_reason)
{
	struct fsck_backup *b = arg;
	const struct kv_options options = {.read_only = true, .cache_bytes = CACHE_BYTES};
	struct kv_unlock unlock = kv_unlock_as(b->all->like);
	int r = b->failed ? -EIO : 0;

	if (r == 0 && !b->kv) {
		if (b->info.state == BACKUP_HALF_MADE) {
			r = -EAGAIN;
			b->reason = "it is half-made";
		} else if (memcmp(b->info.store_id, kv_id(b->all->like), sizeof b->info.store_id)) {
			r = -EXDEV;
			b->reason = "it is of another store";
		} else {
			r = kv_open(b->path, &unlock, &options, &b->kv);
			b->reason = reason_of(r);
		}
		b->failed = r < 0;
	}
	*ret_reason = b->reason;
	if (r == 0)
		*ret_kv = b->kv;
	return r;
}

static int add_folder(struct fsck_backups *all, const char *folder)
{
	_cleanup_free_ struct backup_info *list = NULL;
	struct fsck_backup *grown;
	size_t n;
	int r = backup_list(folder, &list, &n);

	if (r < 0) {
		log_error("the backups in %s cannot be read: %s", folder, strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	grown = reallocarray(all->backup, all->n + n + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	all->backup = grown;
	for (size_t i = 0; i < n; i++) {
		struct fsck_backup *b = &all->backup[all->n];
		*b = (struct fsck_backup){.all = all, .info = list[i]};
		if (asprintf(&b->path, "%s/%s", folder, list[i].name) < 0)
			return -ENOMEM;
		all->n++;
	}
	return 0;
}

static int make_sources(struct fsck_backups *all)
{
	all->source = calloc(all->n + 1, sizeof *all->source);
	if (!all->source)
		return -ENOMEM;
	for (size_t i = 0; i < all->n; i++)
		all->source[i] = (struct check_source){.name = all->backup[i].path,
			.time = all->backup[i].info.made, .open = open_backup, .arg = &all->backup[i]};
	return 0;
}

int fsck_backups_find(const char *store, const char *more, struct fsck_backups *ret_backups)
{
	char **folders = NULL;
	size_t n = 0;
	bool has = false;
	int r = backup_folders(store, &folders, &n);

	*ret_backups = (struct fsck_backups){0};
	if (r < 0 && r != -ENOMEM) {
		log_error("cannot tell where the backups of %s are: %s", store, strerror(-r));
		r = 0;
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		has |= more && strcmp(folders[i], more) == 0;
		r = add_folder(ret_backups, folders[i]);
	}
	if (r == 0 && more && !has)
		r = add_folder(ret_backups, more);
	backup_folders_free(folders, n);
	return r < 0 ? r : make_sources(ret_backups);
}

void fsck_backups_release(struct fsck_backups *all)
{
	for (size_t i = 0; i < all->n; i++) {
		if (all->backup[i].kv)
			kv_close(all->backup[i].kv);
		free(all->backup[i].path);
	}
	free(all->backup);
	free(all->source);
	*all = (struct fsck_backups){0};
}
