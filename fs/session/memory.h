/*
 * memory.h: what the session layer keeps in memory of a container (container->session). No content
 * and no copy of a record: who made the session, whether its session.json is up to date, what was looked at.
 * Changed with the container write-locked, read with it read-locked.
 */
#ifndef SCRIBEFS_FS_SESSION_MEMORY_H
#define SCRIBEFS_FS_SESSION_MEMORY_H

#include "fs/core/inode.h"
#include "fs/session/state.h"

struct session_memory {
	pid_t maker;        /* the process that made it in this daemon's life, 0 unknown */
	int64_t made;       /* CLOCK_BOOTTIME in ms: a maker that began later is another process */
	unsigned untouched; /* of the record's SREC_MESSAGES_AUTO and SREC_JSON_AUTO, as long as
	                       maker is known */
	/* maker.c, of a maker that is known; times as maker_now() has them: */
	int64_t busy;         /* when something was made in the session last, or `making` was closed */
	uint64_t making;      /* the file that was made last, 0 none */
	unsigned missed;      /* the part that the maker looked for last and did not find … */
	int64_t missed_since; /* … and when he did so first */
	bool fresh;         /* session.json is as the records have it … */
	uint64_t fresh_names; /* … and was when sessions->names was this … */
	int64_t fresh_until;  /* … up to this time, ms since 1970, when its state changes */
	struct ages ages;     /* the policies of then; where there are none, `aged` is false */
	bool aged;
	uint64_t context;     /* context.c: of the context.json that was seen last, 0 none */
	bool checked;         /* the record's epoch has been compared */
	bool numbered;        /* recovery.c: the next is known */
	uint32_t number;      /* NNN of its name, SESSION-YYMMDD-NNN; 0: it has none */
	uint64_t unlimited;   /* lifecycle.c: no policy limited what it holds when policies were these */
};

/* Made on first use; NULL: no memory. The container is write-locked, or not yet published. */
struct session_memory *memory_of(struct container *c);
/* A record has changed. */
void memory_stale(struct container *c);

#endif
