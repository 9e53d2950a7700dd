/*
 * sessions.h: the session form: what DESIGN.md section 1 says of sessions, messages and session.json, as a
 * model of its own, and steps that are compared with it. The target's tree is a workflow directory.
 *
 * sessions.c draws and performs, sessions_check.c compares.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_SESSIONS_H
#define SCRIBEFS_TESTS_EXERCISE_SESSIONS_H

#include "tests/exercise/draw.h"
#include "tests/exercise/run.h"

#define SESSIONS 4 /* names: those of the first of the vocabulary */
#define SESSION_TEXT 65536
#define SESSION_TITLE 256

enum message_kind { KIND_USER, KIND_OTHER };

struct message_model {
	unsigned number;
	bool user;		 /* its role */
	bool old;		 /* of a time that makes a session archived */
	uint64_t tokens;	 /* as given, or a quarter of the bytes */
	char title[SESSION_TITLE]; /* what a title of it would be, "" none */
	size_t len;
	char *text;
};

struct session_model {
	bool exists;
	char id[40], created[40], copied_from[40]; /* "" not known yet, or none */
	char title[SESSION_TITLE];		   /* the user's own, "" the automatic one */
	bool any_title;				   /* a copy of one without a title of its own */
	char state[16], agent[32]; /* state: the user's, "" what time gives */
	int mine; /* a key of the user's, 0 none */
	bool rejected;
	unsigned switches, high, n;
	struct message_model *messages; /* by number */
	uint64_t version;		/* as last seen */
	char *stale;			/* a text of session.json that an editor still has */
	uint64_t stale_version;
};

struct sessions_model {
	struct session_model s[SESSIONS];
	char text[SESSION_TEXT], other[SESSION_TEXT];
};

struct sessions_model *sessions_model_new(void);
void sessions_model_free(struct sessions_model *m);
/* Any step, in this form. */
void sessions_step(struct run *run, const struct step *step);
void sessions_draw(struct draw *draw, struct run *run, struct step *ret_step);

/* sessions_check.c */
void sessions_verify(struct run *run, unsigned which);
/* The parts of a message that count, from its text. */
void sessions_parse(struct message_model *m);
/* The state that time gives: of the newest message, or now where there is none. */
const char *sessions_state(const struct session_model *s);
/* What session.json's title must be; *ret_title: SESSION_TITLE. */
void sessions_title(const struct session_model *s, char *ret_title);
/* Whole files, through slot 0; both fail the run where they do not succeed. The text is NUL-terminated. */
size_t sessions_read(struct run *run, const char *path, char ret_text[SESSION_TEXT]);
void sessions_write(struct run *run, const char *path, int flags, const char *text, size_t len);

#endif
