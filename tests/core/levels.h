/*
 * levels.h: a tree with containers as the session layer makes them: users (with a domain each), workflows,
 * sessions.
 */
#ifndef SCRIBEFS_TESTS_CORE_LEVELS_H
#define SCRIBEFS_TESTS_CORE_LEVELS_H

#include "fs/core/core_internal.h"
#include "fs/core/snapshot.h"
#include "tests/core/store.h"

#include <check.h>

static int level_plan(struct op *op, void *arg)
{
	op->container_kind = 1;
	op->new_domain = op->dir->ino == CORE_ROOT_INO;
	return 0;
}

/* A directory with a container of its own; 0 where the name is taken. */
static inline uint64_t level_make(struct store *s, uint64_t parent, const char *name)
{
	struct core_rule rule = {.plan = level_plan};
	struct core_make make = {.mode = S_IFDIR | 0755};
	struct core_entry e;
	int r = core_make(s->core, &s->who, parent, name, &make, &rule, &e);
	if (r == -EEXIST)
		return 0;
	ck_assert_int_eq(r, 0);
	core_forget(s->core, e.ino, 1);
	return e.ino;
}

/* What a snapshot holds alone, as a list of @place's (0: the store's) says. */
static inline uint64_t level_held(struct store *s, uint64_t place, uint64_t id)
{
	_cleanup_free_ struct snapshot_held *held = NULL;
	size_t n;

	ck_assert_int_eq(snapshot_held(s->core, place, 0, &held, &n), 0);
	ck_assert_uint_eq(n, snapshot_count(s->core, place));
	for (size_t i = 0; i < n; i++)
		if (held[i].id == id)
			return held[i].bytes;
	ck_abort_msg("snapshot %llu is not in the list", (unsigned long long)id);
}

#endif
