/*
 * lifecycle.h: what time does to sessions: those that somebody deleted, or whose policies say so, go to .trash, what
 * lies there for long enough is removed, old messages go to messages/archive/, archived sessions are packed. Only for
 * fs/session and its tests; README.md tells the whole.
 *
 * A thread of its own looks at all of users/ a minute after the start and then once an hour, and within a moment at
 * what it was told of. Each step is one short operation, and each is decided anew from the records: a crash in between
 * loses nothing.
 *
 * Threading: any thread. lifecycle->lock is a leaf: nothing is taken inside.
 */
#ifndef SCRIBEFS_FS_SESSION_LIFECYCLE_H
#define SCRIBEFS_FS_SESSION_LIFECYCLE_H

#include "fs/core/pack.h"
#include "fs/session/session_internal.h"

/* @threaded false: lifecycle_pass() is called by the test. Nothing is done on a store that cannot be written. */
int lifecycle_start(struct sessions *s, bool threaded);
void lifecycle_stop(struct sessions *s);
/* Does what is due, in all of users/. Returns when it is to be called again, ms since 1970. */
int64_t lifecycle_pass(struct sessions *s);

/* There may be something to do in this session or workflow. Any locks may be held. */
void lifecycle_touched(struct sessions *s, const struct container *c);
/* The same after a new message or session, which matters where there is a limit. @c is locked. */
void lifecycle_grown(struct sessions *s, const struct container *c);
/* How many of these wait for a look. For tests. */
size_t lifecycle_waiting(struct sessions *s);
/* The same for all: a policy is another, or a workflow has moved. */
void lifecycle_all(struct sessions *s);
/* The last file of a session that was open for writing is closed. */
void lifecycle_closed(struct sessions *s);

/*
 * trash.c: one step each; no locks are held. -EBUSY: files of the session are open for writing, or it is not as it was
 * any more; -ENOENT: it is not there any more.
 */
struct trash_item {
	uint64_t workflow, session; /* directories */
	const char *name;
	int64_t activity; /* of the record by which it was decided */
};
int trash_put(struct sessions *s, const struct trash_item *item);
/* Removes it for good. Ends with -ECANCELED where @stop says so; what is left is removed next time. */
int trash_purge(struct sessions *s, const struct trash_item *item, bool (*stop)(void *arg), void *arg);
/* Since when it lies in .trash. */
int trash_stamp(struct sessions *s, uint64_t session, int64_t time);
/* The oldest of more than @max messages go to messages/archive/; *ret_moved tells whether any did. */
int archive_messages(struct sessions *s, uint64_t session, uint32_t max, bool *ret_moved);

/* repack.c: what a round keeps for many sessions; zeroed but for the first two. */
struct repack {
	struct sessions *s;
	const bool *stop; /* read without a lock */
	struct core_packer *packer;
	uint32_t domain; /* that the packer is of, or would be but for the error */
	int error;
	unsigned sessions;
	struct kv_packed sums;
};
/* Packs the session if it is archived, nobody writes in it and no message has changed since it was. -ECANCELED. */
int repack_session(struct repack *p, struct inode *session);
/* Tells the log what was done. */
void repack_end(struct repack *p);

#endif
