/*
 * catalogue.h: all sessions of a mount, in memory, as lists of them show them. README.md tells how it is kept true.
 * Internal to fs/views.
 *
 * Loaded when it is first looked at. Each look takes in what has changed since the one before (fs/session/news.h), so
 * it costs what has changed. It takes some 500 bytes for a session. What lies in .trash is not in it, and neither is a
 * session that cannot be read.
 *
 * Threading: one lock, held while it is brought up to date and while somebody looks; above all locks of fs/session and
 * fs/core. Everything below is read with it, and changed by catalogue.c alone.
 */
#ifndef SCRIBEFS_FS_VIEWS_CATALOGUE_H
#define SCRIBEFS_FS_VIEWS_CATALOGUE_H

#include "fs/session/brief.h"
#include "fs/session/news.h"
#include "fs/session/transcript.h"
#include "fs/views/rights.h"

/* users/, a user or a workflow. */
struct catalogue_folder {
	uint64_t ino;
	uint8_t role;
	struct catalogue_folder *parent; /* NULL: of users/ */
	char *name;
	uint64_t hash; /* of a workflow's name: catalogue_hash() */
	struct rights rights;
};

struct tally;
struct catalogue_session {
	uint64_t ino;
	uint64_t stamp; /* of the container, before it was read; 0: it was not in memory */
	struct catalogue_folder *workflow;
	char *name, *title, *agent; /* agent: NULL none */
	char *link;		    /* the title as a name (link_name.h) */
	char *agent_link;	    /* the agent as one, or NULL */
	uint64_t agent_hash;
	const char *state; /* a constant */
	uint8_t id[16];
	int64_t created, activity, changed; /* ms since 1970 */
	uint32_t messages;
	uint64_t tokens;
	unsigned interrupted; /* enum interrupted */
	int64_t until;	      /* ms: when state or that changes by time alone, INT64_MAX: never */
	struct rights dir, document; /* of session.json … */
	bool has_document;	     /* … if it is there */
	struct tally *tally;	     /* tally.h; NULL: nobody has asked yet, or it has changed since */
};

/* All of them in some order, which is total. */
struct order {
	struct catalogue_session **at;
	size_t n, room;
	int (*compare)(const void *, const void *);
};

struct catalogue {
	struct sessions *sessions;
	struct session_walk *walk; /* while everything is loaded */
	pthread_mutex_t lock;
	bool noting, loaded;
	uint64_t version;	 /* rises with each change of what a list shows */
	uint64_t contents;	 /* … and of anything in any session */
	int64_t until;		 /* the first of the sessions' */
	struct timespec changed; /* when that was, CLOCK_REALTIME */
	struct order by_number, by_activity, by_link, by_id; /* activity: the latest first, the others rising */
	struct catalogue_folder **folders; /* by number */
	size_t n_folders, room_folders;
};

int catalogue_open(struct sessions *sessions, struct catalogue **ret_catalogue);
void catalogue_close(struct catalogue *c);
/* Brings it up to date. 0: it is locked, or -errno. */
int catalogue_lock(struct catalogue *c);
void catalogue_unlock(struct catalogue *c);

/* NULL: none. */
struct catalogue_folder *catalogue_folder(struct catalogue *c, uint64_t ino);
struct catalogue_session *catalogue_session(struct catalogue *c, uint64_t ino);
/* Whether @who could find the session in users/ and read its session.json. */
bool catalogue_visible(const struct catalogue_session *s, const struct viewer *who);
/* The place of the first in @o that is not before @s, of which only what the order compares is looked at. */
size_t order_find(const struct order *o, const struct catalogue_session *s);
/* USER/WORKFLOW/SESSION, appended. */
int catalogue_path(const struct catalogue_session *s, struct buf *ret_path);
/* A number for a name, the same in every mount of the store. */
int catalogue_hash(struct sessions *s, const char *name, uint64_t *ret_hash);

/* ---- catalogue_read.c --------------------------------------------------------------------------- */

/* The facts of the session, which lies in @workflow, but name and workflow. @walk may be NULL. -ENOENT, -EBADMSG. */
int catalogue_read(struct sessions *s, const struct catalogue_folder *workflow, uint64_t ino,
	struct session_walk *walk, struct catalogue_session *ret_session);
void catalogue_session_release(struct catalogue_session *s);
/* Whether a list that shows @a would show @b likewise. */
bool catalogue_same(const struct catalogue_session *a, const struct catalogue_session *b);

#endif
