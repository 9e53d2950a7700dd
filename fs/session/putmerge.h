/*
 * putmerge.h: a session is put back by what has changed of it. Only for fs/session.
 *
 * A directory that is there still, under its name, keeps its inode and all entries of what did not change since the
 * snapshot; only what changed, came or went changes places with copies that lie in a *holder*, a directory below
 * the hidden one for each such directory. So this takes time by the change, and files that did not change stay the
 * files that they are. What did not change follows from the history (core's snapshot_changes()); in the instant of
 * the flip that is asked once more.
 */
#ifndef SCRIBEFS_FS_SESSION_PUTMERGE_H
#define SCRIBEFS_FS_SESSION_PUTMERGE_H

#include "fs/session/putback.h"

struct putmerge;

/*
 * Makes the copies of what has changed in @hidden, of p->dir since p->from. -EOPNOTSUPP: all of it is to be copied,
 * for a file has several names, a directory has moved or has other rights, or more than ten changed; @hidden may have
 * some by then.
 */
int putmerge_plan(struct putback *p, struct inode *hidden, struct putmerge **ret_merge);
void putmerge_free(struct putmerge *m);
/* In the instant, nothing locked: -EAGAIN if something has changed that was to stay. */
int putmerge_check(struct putmerge *m);
/* In an op with the session's container locked, after putmerge_check(). */
int putmerge_flip(struct op *op, struct putmerge *m);

#endif
