/*
 * news.h: what has changed among the sessions since somebody asked last, so that a table of them (fs/views'
 * catalogue) costs what has changed and not a walk. There is one who asks.
 *
 * What is noted is no more than where to look: a container that was stamped (inode.h), and a name that a user,
 * workflow or session was given. Whoever looks then finds the present, waiting for operations under way, and a
 * failed operation leaves a note for nothing. Notes are bounded: beyond NEWS_MAX they become one, `all`.
 */
#ifndef SCRIBEFS_FS_SESSION_NEWS_H
#define SCRIBEFS_FS_SESSION_NEWS_H

#include "fs/session/session.h"

#include <pthread.h>

#define NEWS_MAX 65536

struct news_name {
	uint64_t dir; /* users/, a user, .trash, a workflow … */
	char *name;   /* … in which a directory has this name now, or had */
};

struct session_news {
	bool all; /* everything is to be looked at */
	uint32_t *containers;
	size_t n_containers, room_containers;
	struct news_name *names; /* in the order in which they were given */
	size_t n_names, room_names;
};
void session_news_release(struct session_news *news);

/* From here on changes are noted, until session_news_end(). */
void session_news_begin(struct sessions *s);
void session_news_end(struct sessions *s);
/* What was noted since the last call. The containers are those of users/, users, workflows and sessions. */
void session_news_take(struct sessions *s, struct session_news *ret_news);

/* ---- within fs/session ------------------------------------------------------------------------- */

struct news {
	pthread_mutex_t lock; /* nothing is taken inside */
	bool on;
	struct session_news since;
};
void news_init(struct news *news);
void news_destroy(struct news *news);
/* A directory gets the name in @dir; in the op that gives it, with the locks held. */
void news_named(struct sessions *s, uint64_t dir, const char *name, size_t len);
/* A policy has changed, which others inherit. */
void news_all(struct sessions *s);

#endif
