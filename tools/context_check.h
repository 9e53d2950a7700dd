/*
 * context_check.h: whether what a context.json says still holds, in four checks. scribefs(1) says what each means.
 */
#ifndef SCRIBEFS_TOOLS_CONTEXT_CHECK_H
#define SCRIBEFS_TOOLS_CONTEXT_CHECK_H

#include "tools/find_session.h"

enum check_kind { CHECK_PROJECT, CHECK_FILES, CHECK_TASKS, CHECK_DEPENDENCIES, CHECKS };

struct check {
	const char *name; /* a constant, as JSON has it */
	bool critical;
	struct context_texts findings; /* each a line; none: it passed */
};
struct checks {
	struct check check[CHECKS];
	char root[PATH_MAX]; /* what relative paths are relative to */
	bool failed;	     /* a critical one has a finding */
	size_t findings;
};
/* @root NULL: the context's workingDirectory, else the working directory. 0 or -ENOMEM. */
int checks_run(const struct saved_context *saved, const char *root, struct checks *ret_checks);
void checks_release(struct checks *checks);

#endif
