/*
 * check_rescue.h: what was lost is taken from the newest older copy that has it: a version that a snapshot sees, or a
 * backup. Only for fs/core/check*.c, in a look that mends as a part of core_check_repair().
 *
 * check_rescue.c finds and tries the copies; check_copy.c takes files, their data, directories' rights and single
 * names, check_names.c the names that directories have lost.
 */
#ifndef SCRIBEFS_FS_CORE_CHECK_RESCUE_H
#define SCRIBEFS_FS_CORE_CHECK_RESCUE_H

#include "fs/core/check_internal.h"

#define RESCUE_DAMAGED "it is damaged there too"

enum rescue_state {
	RESCUE_NOT,   /* this copy is none, for a reason */
	RESCUE_TAKEN,
	RESCUE_WAITS, /* it will do; first what can be read of the newer bytes is to be saved */
};

enum rescue_from {
	RESCUE_ANYWHERE,
	RESCUE_SNAPSHOTS,
	RESCUE_BACKUPS,
	RESCUE_BACKUPS_PAST, /* also what they have for their snapshots */
};

/* Several things that are wanted of one inode's record: struct rescue, part. */
#define RESCUE_PART_NAMES 1
#define RESCUE_PART_PAST_NAMES 2
#define RESCUE_PART_XATTRS 3

/* What is wanted: a record of KV_META, found by its key, or the first that matches of those that begin so. */
struct rescue {
	struct key prefix;
	bool (*match)(void *arg, const struct buf *record); /* NULL: the key is whole */
	/*
	 * Uses the copy @record, whose data lies in @kv: enum rescue_state, with RESCUE_NOT and *@ret_reason (a
	 * constant) where it is none. -errno ends all tries.
	 */
	int (*use)(struct check *c, struct kv *kv, const struct buf *record, void *arg, const char **ret_reason);
	void *arg;
	enum rescue_from from;
	const struct check_source *told; /* may be NULL: what came of this backup and of newer ones was told before */
	const struct buf *live; /* may be NULL: the record as it is, which snapshots after @live_epoch see as well */
	uint64_t live_epoch;
	/* What it is of: as check_tell(). */
	uint64_t dir, ino;
	const char *name;
	uint64_t part; /* tells several of one kind and inode apart */
};

/* What came of it, over all looks of a repair. */
struct check_note {
	uint64_t ino, part;
	uint8_t kind;	/* of the record */
	uint8_t state;	/* enum rescue_state */
	bool saved;	/* check_attach.c has saved what it waited for */
	struct buf summary; /* "; backup a of TIME: why not; taken from snapshot b of TIME", with a NUL */
};
struct check_memory {
	struct list notes;
	struct ino_index index; /* of them */
};
void check_memory_release(struct check_memory *memory);
/* NULL: not tried yet. */
struct check_note *rescue_note(const struct check *c, uint64_t ino, uint8_t kind, uint64_t part);
/* Of any record of the inode's, or NULL. Valid until the next try. */
const char *rescue_summary(const struct check *c, uint64_t ino);

/* enum rescue_state, or -errno. RESCUE_NOT at once where it was tried before, or where there is no memory. */
int rescue_try(struct check *c, const struct rescue *want);
/* rescue_said() (check.h), after rescue_try(): "; taken from …", "; no snapshot or backup holds it". */

/* ---- check_copy.c: of the container at hand --------------------------------------------------- */

/* A file whose record is gone, to which entry @d in @dir leads, with @links in all; its number stays. */
int rescue_file(struct check *c, uint64_t dir, const struct dentry *d, uint32_t links);
/* Owner, rights and times of a directory that is made anew, in @ret_like. @generation NULL: a container's root. */
int rescue_dir(struct check *c, uint64_t dir, const char *name, uint64_t ino, const uint32_t *generation,
	struct irec *ret_like);
/* The data of @live, some of which cannot be read; @rest: some can. *@ret_same: nothing of it is older now. */
int rescue_data(struct check *c, uint64_t ino, const struct inode_copy *live, bool rest, bool *ret_same);
/* Data of @version, which snapshots up to @until see, from a backup that has just that version. */
int rescue_version(struct check *c, uint64_t ino, const struct irec *version, uint64_t until);
/* An attribute's record, under its key. */
int rescue_xattr(struct check *c, uint64_t ino, uint32_t generation, const uint8_t *key, size_t len,
	struct buf *ret_record);
/* The name that @ino had in @parent. */
int rescue_name(struct check *c, uint64_t parent, uint64_t ino, uint32_t generation, char ret_name[CORE_NAME_MAX + 1]);

/* ---- check_names.c: of the container at hand --------------------------------------------------- */

/*
 * The names that the directory of @m has lost with what they led to; @rec: its record, NULL: that is lost as well,
 * with its attributes and, of a container's root, the container's rows. They are put and counted (entry_counts()), and
 * dangle. @told: as struct rescue. enum rescue_state; *@ret_back: how many.
 */
int rescue_names(struct check *c, const struct remake *m, const struct irec *rec, const struct check_source *told,
	size_t *ret_back);
/* The attributes that @ino has in @kv, a backup, and not here. */
int rescue_xattrs(struct check *c, struct kv *kv, uint64_t ino);
/* Those that are lost of @rec, whose others come to @sum: from a backup with just those, as the record's sum proves. */
int rescue_lost_xattrs(struct check *c, uint64_t ino, const struct irec *rec, const struct msum *sum);

#endif
