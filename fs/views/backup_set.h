/*
 * backup_set.h: the backups of the mounted store, as backups/ shows them: which there are, in which folders, what is
 * done with them (made, checked, dropped, by people or by the schedule), and the copies that are open. Internal to
 * fs/views.
 *
 * The schedule is the properties user.scribefs.backup (how often, as "1d"; none or 0: never) and
 * user.scribefs.backup_keep (how many of its own stay, 7) of users/.
 *
 * Threading: any thread. `lock` guards the list. `work`, taken before it, is held by who works in the folders
 * (making, checking, dropping); a check gives way to the others (`stop_check`) and is done again later. One thread,
 * the keeper, checks new backups, makes the scheduled ones and closes copies that nobody uses.
 */
#ifndef SCRIBEFS_FS_VIEWS_BACKUP_SET_H
#define SCRIBEFS_FS_VIEWS_BACKUP_SET_H

#include "fs/views/backup_copy.h"
#include "kv/backup/backup.h"

#include <stdatomic.h>

struct backup {
	uint16_t number;  /* 1 … 65535, from its name and time */
	bool gone;	  /* dropped, but somebody has it open */
	char *folder;	  /* the first that has it */
	struct backup_info info;
	struct backup_copy copy;
	struct backup *next;
};

struct backup_set {
	struct sessions *sessions; /* the mounted store's */
	struct core *core;
	struct kv *kv;
	char **folders; /* constant */
	size_t folders_n;
	bool read_only;

	pthread_mutex_t work;
	_Atomic bool stop_check;

	pthread_mutex_t lock;
	struct backup *list; /* lock; entries stay until the end */
	pthread_t keeper;
	bool has_keeper;
	pthread_cond_t wake; /* lock */
	bool stop;	     /* lock */
	bool check_due;	     /* lock: something is not checked yet */
	int64_t next_try;    /* keeper: seconds of CLOCK_MONOTONIC, before which the schedule does nothing */
};

/* Cleans what an interrupted daemon left half-made, and starts the keeper. 0 or -errno. */
int backup_set_open(struct sessions *sessions, struct backup_set **ret_set);
void backup_set_close(struct backup_set *set);

/* Reads the folders anew. */
int backup_set_refresh(struct backup_set *set);
/* -ENOENT. The result lives as long as @set. */
int backup_set_find(struct backup_set *set, const char *name, struct backup **ret_backup);
struct backup *backup_set_by_number(struct backup_set *set, uint16_t number);

/* Opens it where it is not; undone by backup_copy_put(). */
int backup_set_enter(struct backup_set *set, struct backup *b);

/* Of the mounted store as of now, in every folder. -EROFS, -EEXIST, … */
int backup_set_make(struct backup_set *set, const char *name);
/* From every folder. -EBUSY: files of it are open. */
int backup_set_drop(struct backup_set *set, const char *name);

#endif
