/*
 * when.h: the TIME of .snapshots/@TIME. Pure, any thread.
 *
 *   2026-11-21T10:30:00Z, 2026-11-21T10:30, 2026-11-21   as timestamp.h; no zone is UTC
 *   90s, 10min, 2h, 3d, 1w                               so long ago
 *   now, yesterday                                       0 and 24 hours ago
 *
 * A date alone is its last instant: @2026-11-21 is the newest of that day.
 */
#ifndef SCRIBEFS_FS_SESSION_WHEN_H
#define SCRIBEFS_FS_SESSION_WHEN_H

#include <time.h>

/* -EINVAL. */
int when_parse(const char *text, const struct timespec *now, struct timespec *ret_time);

#endif
