/*
 * backup.h: backups of a store: a folder that holds complete copies of it, which share what they have in
 * common. Part of kv. README.md here tells how a folder looks and why.
 *
 * A backup is a store like any other (keyring, mark, db/), with three files more: `manifest` (a check sum of
 * each file of db/, readable by b2sum(1)), `complete` (written last: time, commit, the manifest's check sum,
 * under a MAC) and `verified` (what the last check found). A folder holds backups of one store.
 *
 * Threading: any thread; a backup that is being made, checked or dropped is locked (flock(2) on its directory)
 * against other processes: -EBUSY. Errors are 0 or -errno. All the work is plain reading and writing; it can
 * be ended by `stop` with -ECANCELED at any point, and continues with what is there the next time.
 */
#ifndef SCRIBEFS_KV_BACKUP_H
#define SCRIBEFS_KV_BACKUP_H

#include "kv/kv.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BACKUP_NAME_MAX 255
#define BACKUP_AUTO_PREFIX "auto-" /* names that the schedule makes and pruning may drop */

/* How far the work is, and how to end it. Any may be NULL or 0. */
struct backup_watch {
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* bytes; from the calling thread */
	void *arg;
	const _Atomic bool *stop;
};

enum backup_state {
	BACKUP_COMPLETE,
	BACKUP_HALF_MADE, /* being made, or what a crash left: backup_clean() */
	BACKUP_DAMAGED,	  /* complete, and the last check found what it could not mend */
};

struct backup_info {
	char name[BACKUP_NAME_MAX + 1];
	enum backup_state state;
	int64_t made;	   /* seconds since 1970, the moment whose state it holds; half-made: the folder's mtime */
	int64_t verified;  /* seconds since 1970, 0: never */
	uint64_t sequence; /* the commit that it holds at least */
	uint64_t bytes;	   /* all of its files */
	uint64_t own;	   /* of them in no other file of this disk: what dropping it gives back */
	uint8_t store_id[16];
};

/* Returns when nobody is at work on the backups in @folder: who got -EBUSY may try again. -ENOENT. */
int backup_wait(const char *folder);

/* Whether @name may name a backup: no dot in front, no slash, 1 to BACKUP_NAME_MAX bytes. */
bool backup_name_valid(const char *name);

/*
 * Makes @folder/@name of the state as of now; @folder is made (0700) where it is missing, its parent is not.
 * On the store's own disk the tables are hard links to the store's; elsewhere each is copied once, and later
 * backups link to it. -EEXIST, -EINVAL name, -EBUSY, -ENOSPC (nothing is left behind), -EXDEV: @folder
 * holds backups of another store.
 */
int backup_create(struct kv *kv, const char *folder, const char *name, const struct backup_watch *watch);

/*
 * What is in @folder, oldest first; one that says to be made later than now (the clock was wrong) stands before those
 * of later commits. The caller frees *@ret_list. A missing folder holds nothing.
 */
int backup_list(const char *folder, struct backup_info **ret_list, size_t *ret_n);
/* One of it. -ENOENT. */
int backup_get(const char *folder, const char *name, struct backup_info *ret_info);

struct backup_report {
	unsigned files;	  /* read */
	unsigned bad;	  /* of them missing or not as the manifest has them */
	unsigned mended;  /* of those taken from another backup or from the store */
	unsigned others;  /* other backups that share a bad file and were marked */
	char first_bad[80]; /* db/NAME; "manifest", "complete", "keyring" or "mark" where that is no good */
};

/*
 * Reads all of it and compares; with @kv or @unlock also the MAC, that the keyring opens and the mark. A bad file is
 * taken from another backup (or the store's db/ where @kv or @store is given) that has it with the right check sum
 * on a copy of its own; else the backup and those that share the file are marked damaged. 0 also where something
 * is bad: *@ret_report says. -ENOENT, -EBUSY, -EAGAIN: half-made. -EKEYREJECTED: wrong secret.
 */
struct backup_check {
	struct kv *kv;			/* the store, opened; or NULL */
	const struct kv_unlock *unlock; /* its secret; or NULL */
	const char *store;		/* where it lies; or NULL */
};
int backup_verify(const char *folder, const char *name, const struct backup_check *with,
	const struct backup_watch *watch, struct backup_report *ret_report);

/* Short; the space comes back with the last backup (or store) that has a file. -ENOENT, -EBUSY. */
int backup_drop(const char *folder, const char *name);
/* Removes half-made ones that nobody is making. *@ret_n: how many. */
int backup_clean(const char *folder, unsigned *ret_n);

/*
 * A new store in @path (which must not exist, or be empty) from a complete backup: a copy, no links. Checks what
 * it copies: -EBADMSG and nothing at @path where it is not as the manifest has it.
 */
int backup_restore(const char *folder, const char *name, const char *path, const struct backup_watch *watch);

/* Brings the slots of the store's keyring at @store into each backup's, after one was added, changed or removed. */
int backup_update_slots(const char *folder, const char *store, const struct kv_unlock *unlock);

/*
 * Where the backups of @store are: the folders that were added, one absolute path a line in its file `backup-folders`,
 * and the store's own path with ".backups" behind it where that exists or there is no other. The caller frees with
 * backup_folders_free().
 */
int backup_folders(const char *store, char ***ret_folders, size_t *ret_n);
void backup_folders_free(char **folders, size_t n);
/* Adds the absolute path @folder to them; one that is there stays. -EINVAL. */
int backup_folder_add(const char *store, const char *folder);

/* Whether the directory @path is a backup (and so not to be written to). */
bool backup_is(const char *path);

#endif
