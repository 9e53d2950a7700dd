/*
 * folder.h: the sessions below users/, a user or a workflow, for the documents that list them, and who may
 * read such a list. Internal to exports.
 */
#ifndef SCRIBEFS_FS_VIEWS_FOLDER_H
#define SCRIBEFS_FS_VIEWS_FOLDER_H

#include "fs/views/render/render.h"

struct folder {
	struct listing listing; /* owns its sessions */
	char *path;
	unsigned readers;	 /* bits 4, 2, 1: its owner, group, others may read all that is listed */
	struct timespec changed; /* the newest change of what is listed */
	int64_t until;		 /* ms since 1970, when time alone changes the state of one; INT64_MAX: never */
};

/*
 * @dir: a directory with the role of users/, a user or a workflow. Sessions that its owner could not read are
 * left out, and what is hidden: names that begin with a dot. Where an ACL stands on the way nobody but the
 * owner is let in. -ENOENT.
 */
int folder_open(struct sessions *s, uint64_t dir, struct folder *ret_folder);
void folder_release(struct folder *f);

/* The directories in @dir that exports/ mirrors, by name: calls back without locks. */
struct folder_entry {
	char *name;
	uint64_t ino, cookie;
};
struct folder_entries {
	struct folder_entry *at;
	size_t n, room;
};
/* From @cookie on (core's), @max at most. */
int folder_list(struct sessions *s, uint64_t dir, uint64_t cookie, size_t max,
	struct folder_entries *ret_entries);
void folder_entries_release(struct folder_entries *e);

/* The bits of @want (4 read, 1 search) that @st grants the owner, group and others of @dir, as 4, 2, 1. */
unsigned folder_grants(const struct stat *dir, const struct stat *st, unsigned want);

#endif
