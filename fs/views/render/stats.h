/*
 * stats.h: stats.json: figures of sessions, as a document.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_STATS_H
#define SCRIBEFS_FS_VIEWS_RENDER_STATS_H

#include "fs/views/render/sink.h"
#include "fs/views/tally.h"

struct stats_sizes {
	uint64_t total;		       /* bytes of the content of all files */
	uint64_t backups, backup_size; /* complete ones; bytes of all of their files */
};

struct stats_group {
	char *name; /* owned */
	uint64_t sessions, messages;
};
struct stats_groups {
	struct stats_group *at; /* by name, each name once */
	size_t n;
};

struct stats {
	struct stats_sizes sizes;
	uint64_t sessions, interrupted, tokens;
	struct stats_groups states, workflows, days;
	struct tally sum;
};
void render_stats(const struct stats *s, struct sink *out);

#endif
