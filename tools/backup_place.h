/*
 * backup_place.h: what WHERE means in `scribefs backup`: a store, a path in its mount, or a folder of backups.
 */
#ifndef SCRIBEFS_TOOLS_BACKUP_PLACE_H
#define SCRIBEFS_TOOLS_BACKUP_PLACE_H

#include "kv/backup/backup.h"

#include <limits.h>
#include <stdbool.h>

struct backup_place {
	char store[PATH_MAX]; /* "": WHERE is a folder, and the store may be lost */
	char mount[PATH_MAX]; /* "": it is not mounted */
	char **folders;	      /* at least one */
	size_t n;
};

/* Where @r is -EBUSY: waits for whoever is at work on the backups in @folder. Whether to try again. */
bool backup_place_busy(const char *folder, int r);
/* 0, or -errno after one line. */
int backup_place_find(const char *where, struct backup_place *ret_place);
void backup_place_release(struct backup_place *place);
#define _cleanup_backup_place_ _cleanup_(backup_place_release)

/* A backup and the folder that it is in; points into the place and @info. */
struct backup_found {
	const char *folder;
	struct backup_info info;
};
/* All of all folders, oldest first; the caller frees. 0, or -errno after one line. */
int backup_place_list(const struct backup_place *place, struct backup_found **ret_list, size_t *ret_n);

#endif
