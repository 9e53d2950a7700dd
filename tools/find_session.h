/*
 * find_session.h: the word SESSION of the verbs that go on with one: a path, also of something in it; PATH@SNAPSHOT
 * (past.h); the name of a session; RECOVERY-YYMMDD-NNN-HHMMSS, which is a snapshot; CONTINUATION-YYMMDD-NNN-STEP, which
 * is a step of SESSION-YYMMDD-NNN, at the moment at which it was the current one; what find_derived.h knows. A
 * directory that holds sessions, or no word at all, is the session to go on with: the newest that was interrupted, else
 * the newest.
 */
#ifndef SCRIBEFS_TOOLS_FIND_SESSION_H
#define SCRIBEFS_TOOLS_FIND_SESSION_H

#include "fs/session/context.h"
#include "tools/past.h"

struct found_session {
	struct past past;	    /* its directory; shown is where to read it */
	char exports[PATH_MAX];	    /* its folder in exports/ */
	char step[NAME_MAX + 1];    /* of a CONTINUATION-…; else empty */
	bool chosen;		    /* nobody named it */
};
/* @word NULL: none. -errno after one line. */
int find_session(const char *word, struct found_session *ret_found);

/* users/ of the mount that @near (NULL: the working directory) lies in, or of the only one. -errno after one line. */
int find_users(const char *near, char ret_users[PATH_MAX]);

/*
 * Its context.json. 0; 1: there is none. -errno after one line. @ret_context is to be released; a document that is no
 * JSON leaves it empty and the problem said.
 */
struct saved_context {
	struct context c;
	struct broken broken;
	struct timespec saved; /* its mtime */
};
int find_context(const struct found_session *found, struct saved_context *ret_context);

/* A file of the session's directory, NUL-terminated, of 1 MiB and one byte at most. -errno, silently. */
struct buf;
int find_read(const struct found_session *found, const char *name, struct buf *ret_text);
/* user.scribefs.@name of the session's directory; "" where there is none. */
void find_attribute(const char *directory, const char *name, char *ret_text, size_t size);

#endif
