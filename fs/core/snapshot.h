/*
 * snapshot.h: snapshots of subtrees: taking, dropping, finding, and the numbers of what is in them.
 * Used by fs/session and whoever builds on it (automatic snapshots, restore, fork, diff, backups).
 *
 * A snapshot is of a *place*: a directory that is the root of a container (users/, a user, a workflow, a
 * session), with everything below it, other containers included, as it was at one instant. It costs
 * the same whatever lies below. What is in it is read by the functions of core.h: its inodes have numbers of
 * their own, and every function that takes a number takes these too. What would change them is -EROFS,
 * and -ESTALE once the snapshot was dropped.
 *
 *   2 bits 0 | u22 slot | u40 inode number    slot 0: the present; SNAPSHOT_DIR_SLOT: a place's .snapshots/
 *
 * The slot belongs to the snapshot for as long as there is one, and is given to another only after all
 * the others had their turn; so numbers are stable across mounts, and a file has another in each snapshot.
 *
 * The directory .snapshots/ of a place is number snapshot_dir_ino(place). core_lookup(), core_readdir(),
 * core_getattr() know it; mkdir, rmdir and rename in it are snapshot_take(), snapshot_drop() and
 * snapshot_rename(), which the layer above calls. Its owner, mode and ACL are the place's.
 *
 * How it works: README.md. Threading: any thread, no locks held. Errors as core.h.
 */
#ifndef SCRIBEFS_FS_CORE_SNAPSHOT_H
#define SCRIBEFS_FS_CORE_SNAPSHOT_H

#include "fs/core/core.h"

#define SNAPSHOT_SLOT_SHIFT 40
#define SNAPSHOT_INO_MASK ((1ull << SNAPSHOT_SLOT_SHIFT) - 1)
#define SNAPSHOT_DIR_SLOT 0x3fffffu /* the highest; the two bits above are the derived trees' */

static inline uint32_t snapshot_slot(uint64_t ino)
{
	return (uint32_t)(ino >> SNAPSHOT_SLOT_SHIFT);
}
/* Whether the number is of the present: neither in a snapshot nor a .snapshots/. */
static inline bool snapshot_is_present(uint64_t ino)
{
	return snapshot_slot(ino) == 0;
}
static inline bool snapshot_is_dir(uint64_t ino)
{
	return snapshot_slot(ino) == SNAPSHOT_DIR_SLOT;
}
static inline bool snapshot_is_past(uint64_t ino)
{
	return !snapshot_is_present(ino) && !snapshot_is_dir(ino);
}
/* The number that the same inode has (or had) in the present. */
static inline uint64_t snapshot_present_ino(uint64_t ino)
{
	return ino & SNAPSHOT_INO_MASK;
}
static inline uint64_t snapshot_dir_ino(uint64_t place)
{
	return (uint64_t)SNAPSHOT_DIR_SLOT << SNAPSHOT_SLOT_SHIFT | place;
}

/* Kept with a snapshot. Numbers are part of the format. */
enum snapshot_flags {
	SNAPSHOT_AUTO = 1,  /* taken by the daemon itself: may be dropped by it */
	SNAPSHOT_ALONE = 2, /* the caller says that nothing below the place has a container of its own (a session) */
};

struct snapshot_info {
	uint64_t id;	 /* rises by one with each snapshot of the store, never used twice */
	uint64_t place;	 /* the place's number in the present */
	uint64_t root;	 /* the place's number in the snapshot; core_lookup() etc. go on from there */
	uint32_t domain; /* the place's */
	uint8_t flags;	 /* enum snapshot_flags */
	struct timespec taken;
	/* By which people call it: no other of the store has both. The second is that of @taken, or a later one. */
	uint32_t number;
	int64_t second; /* since 1970 */
	uid_t uid; /* who took it */
	gid_t gid;
	bool removed; /* the place itself is no more; only in snapshot_list() and snapshot_numbered() */
	char name[CORE_NAME_MAX + 1];
};

/*
 * Takes one of the subtree below the directory @place, as @name. What write(2) has returned for is in
 * it, wherever it was buffered; an operation is in it whole or not at all; and of two changes by one caller the
 * later one is never in it without the earlier. Whole or absent after a crash.
 * -EINVAL: @place is no place · -EEXIST · -ENOENT it was removed · -EROFS · -ENOSPC.
 * @ret_info may be NULL.
 */
int snapshot_take(struct core *core, const struct cred *who, uint64_t place, const char *name,
	unsigned flags, struct snapshot_info *ret_info);
struct snapshot_new {
	const char *name;
	unsigned flags;
	uint32_t number; /* 0: one that follows from the place */
};
/*
 * As snapshot_take(), and calls @then in the same instant: nobody changes anything between what the snapshot
 * shows and what @then (NULL: nothing), which may run ops of its own, does. A crash leaves both or the snapshot
 * alone. Where @then fails the snapshot stays, and its error is returned.
 */
int snapshot_take_then(struct core *core, const struct cred *who, uint64_t place, const struct snapshot_new *asked,
	int (*then)(void *arg), void *arg, struct snapshot_info *ret_info);
/*
 * Drops the one with this id. Short: what it alone held comes back in the background (core_settle()
 * waits for it). Its numbers are -ESTALE from here on. -ENOENT.
 */
int snapshot_drop(struct core *core, uint64_t id);
/* -EEXIST: @name is another's, of the same place. -ENOENT. */
int snapshot_rename(struct core *core, uint64_t id, const char *name);

/* By name, of a place (which may be removed). -ENOENT. */
int snapshot_find(struct core *core, uint64_t place, const char *name, struct snapshot_info *ret_info);
int snapshot_get(struct core *core, uint64_t id, struct snapshot_info *ret_info);
/* The one with this number and second, wherever it was taken. -ENOENT. */
int snapshot_numbered(struct core *core, uint32_t number, int64_t second, struct snapshot_info *ret_info);
/* The newest one of @place that was taken at or before @time. -ENOENT. */
int snapshot_at(struct core *core, uint64_t place, const struct timespec *time,
	struct snapshot_info *ret_info);
/* The snapshot that a past number lies in. -ESTALE. */
int snapshot_of_ino(struct core *core, uint64_t ino, struct snapshot_info *ret_info);
/*
 * Calls @each for the snapshots of @place (0: of the whole store, also of places that are no more), with ids
 * above @after, by rising id, until it returns something else than 0, which is returned then.
 */
int snapshot_list(struct core *core, uint64_t place, uint64_t after,
	int (*each)(void *arg, const struct snapshot_info *info), void *arg);
/* How many live ones @place has; 0: the whole store. */
size_t snapshot_count(struct core *core, uint64_t place);
/* When the newest one of the whole store was taken; false: there is none. From memory. */
bool snapshot_last_taken(struct core *core, struct timespec *ret_taken);

/*
 * For a comparison: which inodes of @a's container two moments may show differently. @a and @b are numbers of
 * one inode, a container's root, as it is in two snapshots or in one and the present. @each gets numbers of the
 * present, with the directories from there up to the place (so some come again), until it returns something
 * else than 0, which is returned then. *@after (0 at first) is where the next call goes on. An inode that
 * came or went is told by its directory; one that has more links, which may be anywhere, with @many. Reads
 * the history of the container's inodes and no more. -EINVAL: not one place.
 */
int snapshot_changes(struct core *core, uint64_t a, uint64_t b, uint64_t *after,
	int (*each)(void *arg, uint64_t ino, bool many), void *arg);

/*
 * What would come back if one alone were dropped, in bytes of records, keys included, for each snapshot of @place, by
 * rising id; @place 0: for each of the store, as far as it lies in @domain (0: all of it). One pass over the
 * history of what the place covers, however many there are. The caller frees.
 */
struct snapshot_held {
	uint64_t id, bytes;
};
int snapshot_held(struct core *core, uint64_t place, uint32_t domain, struct snapshot_held **ret_held, size_t *ret_n);

#endif
