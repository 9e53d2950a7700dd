/*
 * auto_internal.h: what auto.c (the table and the thread) and auto_take.c (the work) owe each other.
 */
#ifndef SCRIBEFS_FS_SESSION_AUTO_INTERNAL_H
#define SCRIBEFS_FS_SESSION_AUTO_INTERNAL_H

#include "fs/session/auto.h"
#include "fs/session/retention.h"
#include "fs/session/session_internal.h"

#define AUTO_BUCKETS 4096

/* A session, a user or users/ (a workflow: only to say whose user changed), from its first change on. */
struct auto_place {
	uint32_t container;
	uint8_t kind;	   /* its directory's enum role */
	uint32_t user;	   /* container of the user that it lies in, 0 not known yet */
	bool pending;	   /* there is a change that no automatic snapshot has */
	bool unthinned;	   /* one was taken by auto_first() */
	struct waiting waiting;
	int64_t latest;	   /* when it was last heard of */
	uint64_t epoch;	   /* of the newest change */
	uint64_t taken;	   /* id of the newest automatic snapshot, 0 none is known */
	uint64_t generation; /* of keep, 0: keep, user and waiting.last were not read */
	struct retention keep;
	struct auto_place *next;
};

struct autos {
	struct sessions *s;
	struct auto_options options;
	pthread_t thread;
	/* Serves one take at a time of one place; taken before everything. */
	pthread_mutex_t take_lock;
	pthread_mutex_t lock; /* all below; nothing is taken inside */
	pthread_cond_t wake, roomy;
	struct auto_place *buckets[AUTO_BUCKETS];
	bool stop, kicked;
	bool full;	       /* a commit had no room since the last look */
	unsigned waiters;      /* in auto_make_room() */
	unsigned looks;	       /* at what could make room */
	unsigned steps;	       /* of one that goes on: snapshots were dropped */
	bool made;	       /* whether the last one dropped something */
	bool scanned;
	int64_t expire_at;     /* when all places are thinned again */
};

int64_t auto_now(const struct autos *a);
/* By which ages are counted (session_clock_least()). */
int64_t auto_now_least(const struct autos *a);
/* In the table; NULL: it is not there. a->lock is held. */
struct auto_place *auto_find(struct autos *a, uint32_t container);
/* A change of the place, and so of its user and of users/. a->lock is held. */
void auto_note(struct autos *a, uint32_t container, uint8_t kind, uint64_t epoch);

/* auto_take.c. No locks are held. Each works on a copy of the entry and stores what it learned. */
/* Reads what is not known of the place: its user, its policies, its newest automatic snapshot. -ENOENT: removed. */
int auto_learn(struct autos *a, uint32_t container, struct auto_place *ret_place);
int auto_take(struct autos *a, uint32_t container);
/* Drops what the policy does not keep. */
int auto_thin(struct autos *a, uint32_t container, const struct retention *keep, bool removed);
/* All places that have automatic snapshots, also removed ones. */
int auto_expire(struct autos *a);
/* Notes the sessions that have changes which no snapshot has. */
int auto_scan(struct autos *a);
/* Drops some of the oldest automatic snapshots; how many. */
unsigned auto_drop_oldest(struct autos *a);

#endif
