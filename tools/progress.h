/*
 * progress.h: how far long work is, on a terminal's standard error; nothing in a pipe.
 */
#ifndef SCRIBEFS_TOOLS_PROGRESS_H
#define SCRIBEFS_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *label;
	bool terminal;
	int percent; /* shown last, -1: none */
};

void progress_begin(struct progress *p, const char *label);
/* @arg is a struct progress: fits backup_watch. */
void progress_show(void *arg, uint64_t done, uint64_t total);
/* Takes the line away. Can be called twice. */
void progress_end(struct progress *p);

#endif
