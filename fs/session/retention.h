/*
 * retention.h: when an automatic snapshot is due, and which of those that there are stay. Pure, any thread. Times are
 * ms since 1970 and come from the caller.
 */
#ifndef SCRIBEFS_FS_SESSION_RETENTION_H
#define SCRIBEFS_FS_SESSION_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RETENTION_NEVER INT64_MAX /* it is never due */
#define RETENTION_NONE INT64_MIN  /* there was none */
#define RETENTION_URGENT_MS 5000  /* what cannot wait waits this long after the last one, and a first one so long */
#define RETENTION_NAME 40	  /* bytes of a name */
#define RETENTION_PREFIX "auto-"

/* The policies autosnapshot, keep, keep_hourly and keep_daily, or those of a user or of users/. */
struct retention {
	int64_t interval; /* ms; 0: none are taken */
	int64_t keep, hourly, daily;
};
/* None is taken, or none would stay. */
bool retention_is_off(const struct retention *keep);

struct waiting {
	int64_t since; /* the first change that no automatic snapshot has */
	int64_t last;  /* when the newest was taken; RETENTION_NONE */
	bool closed;   /* a message was closed since: it is due as soon as the last one is old enough */
	bool urgent;
};
int64_t retention_due(const struct retention *keep, const struct waiting *w, int64_t now);

/*
 * How old each of @n snapshots is, of which the clock said @taken, in the order in which they were taken. Where that
 * shows the clock to have been wrong the age is the lowest that the others leave possible.
 */
void retention_ages(const int64_t *taken, size_t n, int64_t now, int64_t *ret_age);
/*
 * Of @n snapshots, the oldest first, taken at @taken and so old: sets @ret_drop of those that go. The newest @keep
 * stay; of the others the newest of each hour (UTC) for so many hours, and the newest of each day for so many days.
 * Where the place itself is @removed, all go that are older than that. Returns how many go.
 */
size_t retention_choose(const struct retention *keep, const int64_t *taken, const int64_t *age, size_t n,
        bool removed, bool *ret_drop);

/* auto-2026-11-21T10-30-00Z, or with milliseconds auto-2026-11-21T10-30-00.123Z. */
void retention_name(int64_t time, bool with_ms, char ret_name[RETENTION_NAME]);
/* Whether it is still so named: one that a person gave another name stays. */
bool retention_is_named(const char *name);

#endif
