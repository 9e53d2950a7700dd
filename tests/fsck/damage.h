/*
 * damage.h: a store damaged on purpose, in ways that have a name: for unit tests on either engine, and for
 * the program fsck_corpus, which does it to a store on disk.
 *
 * Below the seal: bytes of records are changed, removed, put back or swapped in the engine, as a disk or an
 * attacker does. Above it: records that are authentic and wrong, as a mistake of the program would be.
 */
#ifndef SCRIBEFS_TESTS_FSCK_DAMAGE_H
#define SCRIBEFS_TESTS_FSCK_DAMAGE_H

#include "kv/kv.h"

struct damage {
	const char *name;
	/* To the @nth record that it can be done to, from 0. -ENOENT: there are fewer. */
	int (*apply)(struct kv *kv, unsigned nth);
	bool left;  /* it cannot be mended in full: fsck --repair exits with 4 */
	unsigned lost; /* names that are gone after the repair, at most */
};

/* A NULL name ends it. */
extern const struct damage damages[];
extern const struct damage snapshot_damages[]; /* of a store with snapshots */
extern const struct damage whole_damages[]; /* of a thing with all its records: only a copy has it */
/* What an older program would have written: no damage. */
extern const struct damage older_role;
/* NULL: none of that name. */
const struct damage *damage_find(const char *name);

#endif
