/*
 * auto.h: automatic snapshots: which sessions, users and users/ itself have changed since their last one, when the
 * next is due, and which are dropped again. Only for fs/session and its tests; README.md tells the whole.
 *
 * Core tells of the first change of each container in each epoch (core_set_watch()); a thread of its own resolves whose
 * policy holds, takes what is due and thins what there is. No record is kept: after a clean end nothing waits, and
 * after a crash the thread compares each session with its newest snapshot (container_is_held()).
 *
 * Threading: any thread. autos->lock is a leaf: nothing is taken inside. auto_first() takes a snapshot, so no
 * lock is held by who calls it; auto_closed() only notes.
 */
#ifndef SCRIBEFS_FS_SESSION_AUTO_H
#define SCRIBEFS_FS_SESSION_AUTO_H

#include "fs/session/session.h"

struct autos;
struct container;

struct auto_options {
	int64_t (*now)(void *arg); /* ms since 1970; NULL: the clock */
	void *now_arg;
	bool threaded;	  /* false: auto_pass() is called by the test */
	bool after_crash; /* what a daemon that died left is looked for */
};

/* Sets @s's. Nothing is done on a store that cannot be written. */
int auto_start(struct sessions *s, const struct auto_options *options);
/* Takes what waits of sessions, ends the thread. */
void auto_stop(struct sessions *s);
/* The end of auto_stop() alone, for who has no thread: nothing is taken, as where the process dies. */
void auto_release(struct sessions *s);
/* Takes and drops what is due. Returns when there is something to do again, RETENTION_NEVER: nothing is known. */
int64_t auto_pass(struct autos *a);

/* A policy was set or removed: what session_policy() said may not hold any more. */
void auto_policies_changed(struct sessions *s);
/* A message of the session was taken in; @urgent: it, or context.json, is a reason to take a snapshot at once. */
void auto_closed(struct sessions *s, const struct container *session, bool urgent);
/*
 * The content of a message or context.json of the session would be lost: takes a snapshot where the policy has any. No
 * locks are held. What fails here does not keep anybody from his change.
 */
void auto_first(struct sessions *s, struct container *session);
/* Somebody opens a file, maybe for writing: the same, after an idle hour. */
void auto_before_open(struct sessions *s, uint64_t ino, int flags);
/*
 * After -ENOSPC: drops the oldest automatic snapshots, as long as there are any and nothing else makes room, and waits
 * for it. True: it is worth another try. No locks are held.
 */
bool auto_make_room(struct sessions *s);

#endif
