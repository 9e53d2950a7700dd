/*
 * folder.h: the files of a backup folder. Internal to kv/backup.
 */
#ifndef SCRIBEFS_KV_FOLDER_H
#define SCRIBEFS_KV_FOLDER_H

#include "kv/backup/backup.h"
#include "kv/backup/manifest.h"

#include <sys/stat.h>

/* A descriptor of the directory, locked against other makers, checkers and droppers; -EBUSY, -ENOENT. */
int folder_lock(const char *path);
/* A descriptor of the directory @name in @dir, which is no symbolic link. */
int folder_open_dir(int dir, const char *name);

/* One complete backup of a folder, as others look into it. */
struct folder_backup {
	char name[BACKUP_NAME_MAX + 1];
	int dir, db;
	struct manifest manifest;
};
/*
 * All that are complete and whose manifests are sound (authentic, with @mac_key), oldest first. A damaged
 * one is left out.
 */
int folder_load(int folder, const uint8_t *mac_key, struct folder_backup **ret_list, size_t *ret_n);
void folder_unload(struct folder_backup *list, size_t n);

/* A small file's bytes, with a NUL behind them that is not counted; one within them is -EBADMSG. -ENOENT. */
int folder_read_text(int dir, const char *name, struct buf *ret_text);
/* Replaces the file, synced. */
int folder_write_text(int dir, const char *name, const struct buf *text);

/* The names in @dir, sorted, without those that begin with a dot; the caller frees each and the array. */
int folder_names(int dir, char ***ret_names, size_t *ret_n);
void folder_names_free(char **names, size_t n);

/* Removes the directory @name in @dir, which holds files and directories of files (one level). */
int folder_remove(int dir, const char *name);

/*
 * Copies @from_dir/@name to a new file @to_name of @to_dir, synced, mode 0600; -EEXIST. The check sum and the number of
 * bytes are what was read.
 */
int folder_copy(int from_dir, const char *name, int to_dir, const char *to_name, struct digest_meter *meter,
	char ret_hex[DIGEST_HEX], uint64_t *ret_size);
/* The check sum of a file. *@ret_stat: of it. -EBADMSG: no regular file. */
int folder_digest(int dir, const char *name, struct digest_meter *meter, char ret_hex[DIGEST_HEX],
	struct stat *ret_stat);

#endif
