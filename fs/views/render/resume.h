/*
 * resume.h: what resume.md, resume-full.md and resume-emergency.md share.
 */
#ifndef SCRIBEFS_FS_VIEWS_RENDER_RESUME_H
#define SCRIBEFS_FS_VIEWS_RENDER_RESUME_H

#include "fs/session/context.h"
#include "fs/views/render/render.h"

/* What a resume document is made of. */
struct resume {
	const struct transcript *t;
	struct context c; /* empty where there is no context.json */
	struct broken broken;
	bool has_context;
};
/* Out of memory goes to @out. */
void resume_open(const struct transcript *t, struct sink *out, struct resume *ret_resume);
void resume_release(struct resume *r);

/* The text of the task: the context's, the first next step's, the session's title. Never NULL. */
const char *resume_task(const struct resume *r);
/* The last action: the last completed step. NULL: none is known. */
const char *resume_last_action(const struct resume *r);
/* Of the context, else of the project; NULL: none. */
const char *resume_phase(const struct resume *r);
/* Whether the last message waits for an answer. */
bool resume_unanswered(const struct resume *r);

#endif
