/*
 * backup_copy.h: a backup as it is looked into: its own kv, core and sessions, read-only, opened at the first look
 * and closed when nobody has looked for a while. Internal to fs/views.
 *
 * Threading: any thread; each copy has a lock, held while it is opened and closed only.
 */
#ifndef SCRIBEFS_FS_VIEWS_BACKUP_COPY_H
#define SCRIBEFS_FS_VIEWS_BACKUP_COPY_H

#include "fs/session/session.h"
#include "kv/kv.h"

#include <pthread.h>

#define BACKUP_COPY_IDLE_SECONDS 60

struct backup_copy {
	pthread_mutex_t lock;
	struct kv *kv; /* NULL: closed */
	struct core *core;
	struct sessions *sessions;
	unsigned users;	 /* who must not find it closed */
	int64_t used;	 /* seconds, monotonic: when the last one went */
};

void backup_copy_init(struct backup_copy *c);
/* Nobody uses it any more. */
void backup_copy_release(struct backup_copy *c);

/*
 * Opens the backup at @path with the keys of @like where it is not open. Each success is undone by one
 * backup_copy_put(). -errno as kv_open().
 */
int backup_copy_get(struct backup_copy *c, const char *path, const struct kv *like);
void backup_copy_put(struct backup_copy *c);
/* Closes it if nobody uses it, and has not for BACKUP_COPY_IDLE_SECONDS or @now. Whether it is closed. */
bool backup_copy_close_idle(struct backup_copy *c, bool now);

#endif
