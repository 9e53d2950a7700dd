/*
 * putback.h: putting back what a snapshot has, and making independent sessions of it. Only for fs/session;
 * what others call is in session.h. README.md has the data flow ("Going back").
 */
#ifndef SCRIBEFS_FS_SESSION_PUTBACK_H
#define SCRIBEFS_FS_SESSION_PUTBACK_H

#include "fs/session/session_internal.h"

/* What is not in its place yet, or not any more: <prefix><hex>, in a session's own or the file's directory. */
#define PUTBACK_PREFIX ".restore-"

/* copy.c. All are for @who; nothing is told to the kernel, no rule of names is asked. */

/*
 * Makes all that is in the session @from, of a snapshot, in the directory @hidden of another or the same session,
 * with @parent as what the directories have for "..". The session's own parts mean nothing yet.
 */
int copy_session(struct sessions *s, const struct cred *who, uint64_t from, struct inode *hidden,
        uint64_t parent);
/* Makes @from, with what is below it, as @name in @dir; it is no message. */
int copy_entry(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name);
/* All attributes of @from, whose lock is held, on the staged inode @to. */
int copy_xattrs(struct op *op, struct inode *from, struct inode *to);
/* Removes @name with all below it, which means nothing any more. */
int copy_discard(struct sessions *s, uint64_t parent, const char *name);

/* putback.c: what a daemon that died has left. No requests are served yet. */
int putback_clear_all(struct sessions *s);

#endif
