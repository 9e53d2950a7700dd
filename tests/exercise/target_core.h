/*
 * target_core.h: what the halves of the in-process target share: target_core.c has names, files and the store,
 * target_core_attr.c attributes and listings. Nobody else's.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_TARGET_CORE_H
#define SCRIBEFS_TESTS_EXERCISE_TARGET_CORE_H

#include "fs/session/session.h"
#include "kv/engine/memory.h"
#include "tests/exercise/target.h"

#define HELD 16 /* names that the kernel happens to remember */

struct opened {
	struct file *file; /* NULL: closed */
	uint64_t ino;
	int flags;
	int64_t position;
};

struct target_core {
	struct target target;
	char store[256], tree[64];
	struct kv_memory *memory; /* NULL: RocksDB */
	struct kv *kv;
	struct core *core;
	struct sessions *sessions; /* NULL: core alone */
	struct core_options options;
	struct cred who;
	uint64_t root;
	struct opened slots[STEP_SLOTS + 1];
	uint64_t held[HELD];
	unsigned looked;
};

static inline struct target_core *of(struct target *t)
{
	return (struct target_core *)t;
}

int target_core_look(struct target_core *t, uint64_t parent, const char *name, struct core_entry *ret_entry);
/* The kernel keeps some of what it looked up, and forgets it at some time. */
void target_core_put(struct target_core *t, uint64_t ino);
/* The inode of a path, with a look-up that the caller gives back. */
int target_core_find(struct target_core *t, const char *path, struct core_entry *ret_entry);
/* As that, for calls that follow a symlink, and all of these lead nowhere. */
int target_core_follow(struct target_core *t, const char *path, struct core_entry *ret_entry);
/* setattr */
int target_core_set(struct target_core *t, uint64_t ino, const struct stat *st, unsigned what);

/* As in struct target_ops. */
int core_chmod_at(struct target *target, const char *path, mode_t mode);
int core_chown_at(struct target *target, const char *path, uid_t uid, gid_t gid);
int core_utimens_at(struct target *target, const char *path, const struct timespec tv[2]);
int core_setxattr_at(struct target *target, const char *path, const char *name, const void *value, size_t size,
	int flags);
ssize_t core_getxattr_at(struct target *target, const char *path, const char *name, void *value, size_t size);
ssize_t core_listxattr_at(struct target *target, const char *path, char *names, size_t size);
int core_removexattr_at(struct target *target, const char *path, const char *name);
int core_stat_at(struct target *target, const char *path, unsigned slot, struct stat *ret_st);
ssize_t core_readlink_at(struct target *target, const char *path, char *link, size_t size);
int core_list_at(struct target *target, const char *path, target_fill fill, void *arg);

#endif
