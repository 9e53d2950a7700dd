/*
 * folder.h: the sessions below users/, a user or a workflow, for the documents that list them, and who may
 * read such a list; and the walk that the catalogue begins with. Internal to fs/views.
 */
#ifndef SCRIBEFS_FS_VIEWS_FOLDER_H
#define SCRIBEFS_FS_VIEWS_FOLDER_H

#include "fs/views/catalogue.h"
#include "fs/views/render/render.h"

struct folder {
	struct listing listing; /* owns its sessions */
	char *path;
	unsigned readers;	 /* bits 4, 2, 1: its owner, group, others may read all that is listed */
	struct timespec changed; /* the newest change of what is listed */
};

/*
 * @dir: a directory with the role of users/, a user or a workflow. Sessions are left out where its owner could not
 * read them, or their session.json. Where an ACL stands on the way nobody but the owner is let in. -ENOENT.
 */
int folder_open(struct catalogue *c, uint64_t dir, struct folder *ret_folder);
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

#endif
