/*
 * past_folder.h: exports/<user>/<workflow>/<session>@<snapshot>/: a session of a snapshot. Found by name, never listed.
 * The snapshot is one of the session or of what is above it, the innermost first; its name, its recovery id, or a time.
 * Internal to exports.
 */
#ifndef SCRIBEFS_FS_VIEWS_PAST_FOLDER_H
#define SCRIBEFS_FS_VIEWS_PAST_FOLDER_H

#include "fs/views/documents.h"

/* The session's directory in the snapshot, for a name in the workflow @workflow. -ENOENT. */
int past_folder_find(struct sessions *s, uint64_t workflow, const char *name, uint64_t *ret_dir);
/*
 * Attributes of the directory @dir of a snapshot, as far as its owner could see it in .snapshots/: the place of the
 * snapshot and all that is between are his, too. Nobody else's: rights of then do not tell what others may see now.
 */
int past_folder_attr(struct sessions *s, uint64_t dir, struct stat *ret_st);

#endif
