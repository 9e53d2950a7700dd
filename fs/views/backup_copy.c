#include "fs/views/backup_copy.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define CACHE_BYTES (4u << 20) /* a look into the past need not be fast */
#define INODES 1024

static int64_t now_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

void backup_copy_init(struct backup_copy *c)
{
	memset(c, 0, sizeof *c);
	pthread_mutex_init(&c->lock, NULL);
}

static void close_layers(struct backup_copy *c)
{
	if (c->sessions)
		session_close(c->sessions);
	if (c->core)
		core_close(c->core);
	if (c->kv)
		kv_close(c->kv);
	c->sessions = NULL;
	c->core = NULL;
	c->kv = NULL;
}

void backup_copy_release(struct backup_copy *c)
{
	close_layers(c);
	pthread_mutex_destroy(&c->lock);
}

static int open_layers(struct backup_copy *c, const char *path, const struct kv *like)
{
	const struct kv_options store = {.read_only = true, .cache_bytes = CACHE_BYTES};
	const struct core_options tree = {.read_only = true, .root_role = ROLE_USERS, .inodes = INODES};
	struct kv_unlock unlock = kv_unlock_as(like);
	int r = kv_open(path, &unlock, &store, &c->kv);
	if (r == 0)
		r = core_open(c->kv, &tree, &c->core);
	if (r == 0)
		r = session_open(c->core, NULL, NULL, &c->sessions);
	if (r < 0)
		close_layers(c);
	return r;
}

int backup_copy_get(struct backup_copy *c, const char *path, const struct kv *like)
{
	MUTEX_GUARD(&c->lock);
	int r = c->kv ? 0 : open_layers(c, path, like);
	if (r == 0)
		c->users++;
	return r;
}

void backup_copy_put(struct backup_copy *c)
{
	MUTEX_GUARD(&c->lock);
	c->users--;
	c->used = now_seconds();
}

bool backup_copy_close_idle(struct backup_copy *c, bool now)
{
	MUTEX_GUARD(&c->lock);
	if (c->kv && c->users == 0 && (now || now_seconds() - c->used >= BACKUP_COPY_IDLE_SECONDS))
		close_layers(c);
	return !c->kv;
}
