/*
 * past.h: the words PATH and PATH@SNAPSHOT of the verbs that go back: where in a mount they lie.
 *
 * SNAPSHOT is a name or a TIME, of any of the places above PATH, the innermost first. A PATH that exists is
 * never taken for a PATH@SNAPSHOT, and one in .snapshots/ is taken for what it shows.
 */
#ifndef SCRIBEFS_TOOLS_PAST_H
#define SCRIBEFS_TOOLS_PAST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define PAST_KEPT "before-restore-" /* snapshots that a restore has taken */

struct past {
	char path[PATH_MAX];	 /* in the present, absolute, whether it exists or not */
	size_t top;		 /* where in it "/users" ends */
	int depth;		 /* components after that */
	char snapshot[NAME_MAX + 1]; /* empty: the present */
	size_t place;		 /* where in path the place ends that the snapshot is of */
	char shown[PATH_MAX];	 /* where to look at it */
	struct timespec taken;
};

/* -ENOENT, -ENOTTY (in no mount) …, after one line. */
int past_find(const char *argument, struct past *ret_past);
/* Components that are a session's directory: 3, 4 in .trash; deeper ones are in it. INT_MAX: none is above. */
int past_session_depth(const struct past *p);
/* How much of path its first @depth components are. */
size_t past_prefix(const struct past *p, int depth);
/* Where the directory of the first @depth components is looked at, no less deep than the place. */
void past_above(const struct past *p, int depth, char ret_shown[PATH_MAX]);

/*
 * Calls @each for what the snapshots of all places above have at @p's path, newest first, without those that
 * restores took, until it returns something else than 0, which is returned then.
 */
int past_each(const struct past *p, int (*each)(void *arg, const struct past *past), void *arg);

#endif
