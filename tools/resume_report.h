/*
 * resume_report.h: what `scribefs resume` tells beside the document: of one task, of the steps from one on, and all as
 * JSON.
 */
#ifndef SCRIBEFS_TOOLS_RESUME_REPORT_H
#define SCRIBEFS_TOOLS_RESUME_REPORT_H

#include "tools/context_check.h"

struct resume_facts {
	const struct found_session *found;
	const char *mode; /* "quick", "full", "emergency" */
	const struct saved_context *saved; /* NULL: there is no context.json */
	const struct checks *checks;	   /* NULL with it */
	const char *wanted_task;	   /* NULL: none was asked for */
	const struct context_item *task;   /* that one, or the current one, if there is any */
	size_t from;			   /* the step to go on from, from 1; 0: the current one */
	uint64_t messages;
	char title[1024], activity[40], session_id[40];
};
/* On standard output. 0 or -ENOMEM. *ret_failed: there is nothing to go on with. */
int resume_print_json(const struct resume_facts *facts, bool *ret_failed);
/* The sections that follow the document. */
void resume_print_task(const struct resume_facts *facts);
void resume_print_files(const struct checks *checks);

/* Of any list, by id or text. NULL. */
const struct context_item *resume_find_task(const struct context *c, const char *name);

#endif
