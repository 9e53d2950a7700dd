/*
 * brief.h: what lists of sessions show of one, read without rendering, counting or storing anything. For fs/views.
 *
 * It is what session.json would say if somebody looked at it now. Of a session that is not in memory four records are
 * read and nothing is brought there (fs/core/cold.h); so a walk over all sessions costs that and no more.
 */
#ifndef SCRIBEFS_FS_SESSION_BRIEF_H
#define SCRIBEFS_FS_SESSION_BRIEF_H

#include "fs/session/session.h"

/* Strings are owned. Times are ms since 1970. */
struct session_brief {
	uint64_t stamp; /* of the container, before it was read; 0: it is not in memory */
	uint8_t id[16];
	char *title, *agent; /* agent: NULL none */
	const char *state;   /* a constant */
	unsigned interrupted; /* enum interrupted (transcript.h) */
	int64_t created, activity, changed;
	int64_t until; /* when time alone changes one of these; INT64_MAX: never */
	uint32_t messages;
	uint64_t tokens;
	struct stat dir, document; /* mode, owner and group only, of it and of session.json … */
	uint64_t document_ino;	   /* … 0: there is none */
	bool has_xattrs;	   /* one of them has some, ACLs perhaps */
};
void session_brief_release(struct session_brief *b);

/* Where the session lies: the directory of the workflow, which is not in .trash, its name and its user's. */
struct session_where {
	uint64_t workflow;
	const char *user_name, *workflow_name;
};

/* What is kept from one session of a walk to the next; freed at its end, and that soon. */
struct session_walk;
int session_walk_open(struct sessions *s, struct session_walk **ret_walk);
void session_walk_close(struct session_walk *walk); /* NULL is fine */

/* @walk may be NULL. -ENOENT: it is no session, or gone. -EBADMSG. */
int session_brief(struct sessions *s, uint64_t session, const struct session_where *where, struct session_walk *walk,
	struct session_brief *ret_brief);

struct transcript;
/*
 * The messages alone, with number, role, time, size, header and tokens. -EBUSY: the session is in memory, or has
 * something that its inodes do not tell, as archived messages: transcript_open() has it.
 */
int session_brief_messages(struct sessions *s, uint64_t session, uint64_t workflow, struct session_walk *walk,
	struct transcript **ret_transcript);

#endif
