/*
 * timestamp.h: times as session.json and front matter write them: RFC 3339 in UTC with
 * milliseconds. Pure functions, any thread. Inside the session layer a time is milliseconds since
 * 1970 (int64_t).
 */
#ifndef SCRIBEFS_FS_SESSION_TIMESTAMP_H
#define SCRIBEFS_FS_SESSION_TIMESTAMP_H

#include <stdint.h>
#include <stddef.h>
#include <time.h>

#define TIMESTAMP_LEN 24 /* 2026-11-21T10:30:00.000Z */

/* Rounds down to the millisecond. */
int64_t timestamp_ms(const struct timespec *ts);
struct timespec timestamp_from_ms(int64_t ms);
/* Years outside of 0000–9999 are written as the nearest that fits. NUL-terminated. */
void timestamp_format(int64_t ms, char ret_text[TIMESTAMP_LEN + 1]);
/*
 * RFC 3339, and what YAML and people write: a space for the T, no seconds, a date alone, no zone
 * (then UTC). -EINVAL, also for years outside of 0001–9999.
 */
int timestamp_parse(const char *text, size_t len, struct timespec *ret_ts);

#endif
