/*
 * steady.h: the time by which things are dropped because they are old, and waits that no clock prolongs.
 *
 * A clock may be wrong, and set right later: a machine that starts in 1970 or in 2036 must not empty .trash nor thin a
 * month of snapshots for that. So this time runs on by itself (CLOCK_BOOTTIME), and follows the clock at once where the
 * two agree within a minute, else when the clock has said so for a day. Pure but for the waiting; the caller locks.
 */
#ifndef SCRIBEFS_FS_SESSION_STEADY_H
#define SCRIBEFS_FS_SESSION_STEADY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define STEADY_UNKNOWN INT64_MIN

struct steady {
	int64_t time, beat; /* ms since 1970, and where CLOCK_BOOTTIME was then, in ms */
	bool doubts;	    /* the clock says something else: */
	int64_t ahead, since; /* by so much, since that beat */
};
/*
 * @known: when the store was in use, STEADY_UNKNOWN: nobody knows. A clock that is up to a day later is believed.
 */
void steady_begin(struct steady *s, int64_t known, int64_t clock, int64_t beat);
int64_t steady_now(struct steady *s, int64_t clock, int64_t beat);

/* A condition that is waited for by CLOCK_MONOTONIC, and the moment @ms from now, an hour at most. */
void steady_cond_init(pthread_cond_t *cond);
struct timespec steady_in(int64_t ms);

#endif
