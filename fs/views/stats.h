/*
 * stats.h: the figures of status/stats.json, over the sessions that somebody sees. Internal to status/.
 */
#ifndef SCRIBEFS_FS_VIEWS_STATS_H
#define SCRIBEFS_FS_VIEWS_STATS_H

#include "fs/views/catalogue.h"
#include "fs/views/render/stats.h"

/* How large the store and its backups are; whatever cannot be found out is 0. */
void stats_sizes(struct sessions *s, struct stats_sizes *ret_sizes);
/*
 * The figures of the sessions that @who sees, and what the catalogue's `contents` was then. The messages of those that
 * have changed since the last time are looked at. @ret_stats: to be released.
 */
int stats_take(struct catalogue *c, const struct viewer *who, struct stats *ret_stats, uint64_t *ret_contents);
void stats_release(struct stats *s);

#endif
