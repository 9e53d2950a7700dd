/*
 * fsck_backups.h: the backups of a store, for its repair (struct check_source): those in its backup folders and in one
 * that the caller names. Each is opened at the first look into it.
 */
#ifndef SCRIBEFS_TOOLS_FSCK_BACKUPS_H
#define SCRIBEFS_TOOLS_FSCK_BACKUPS_H

#include "fs/core/check.h"
#include "kv/cleanup.h"

struct fsck_backup;

struct fsck_backups {
	struct fsck_backup *backup;
	struct check_source *source; /* of each */
	size_t n;
	struct kv *like; /* the store, opened: its keys open the backups */
};

/*
 * Those of the store at @store, and in the folder @more (NULL: none). A folder that cannot be read is one line, and has
 * none. @ret_backups stays where it is until fsck_backups_release(), which closes them. -ENOMEM.
 */
int fsck_backups_find(const char *store, const char *more, struct fsck_backups *ret_backups);
void fsck_backups_release(struct fsck_backups *backups);

#endif
