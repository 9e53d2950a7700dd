/*
 * fsck_report.h: what `scribefs fsck` prints: lines as it goes, or one JSON object at the end; progress on
 * standard error where that is a terminal.
 *
 *   PATH: what is wrong            a look found it
 *   tried: PATH: SOURCE, of TIME: why it is not taken from there
 *   mended: PATH: what was wrong   a repair, afterwards; where it is taken from a snapshot or backup, with which
 *   left: PATH: what is wrong      … could not mend it
 *
 * JSON: store, repair, found, mended, left (numbers), clean (as of the end), records, inodes, containers,
 * pending, unused_keys (of the first look), and the lists "problems", "repairs" and "remaining" of what was
 * found, mended and left, FSCK_LIST_MAX items at most each: code, path, user, container, inode, text. "tries", as
 * many, newest first for each thing: path, inode, source, time, taken (true or false), and reason where it was not.
 */
#ifndef SCRIBEFS_TOOLS_FSCK_REPORT_H
#define SCRIBEFS_TOOLS_FSCK_REPORT_H

#include "fs/core/check.h"
#include "tools/report.h"

#define FSCK_LIST_MAX 10000

/* As e2fsck(8) has it. */
enum { FSCK_CLEAN = 0, FSCK_MENDED = 1, FSCK_LEFT = 4, FSCK_COULD_NOT = 8 };

struct fsck_report {
	struct report *json; /* NULL: lines */
	bool terminal, progress_shown;
	uint64_t found, mended, left, tries;
	struct check_result first; /* numbers only */
};

/* -ENOMEM. */
int fsck_report_init(struct fsck_report *f, bool json);
void fsck_report_release(struct fsck_report *f);
struct check_sink fsck_report_sink(struct fsck_report *f);
/* A problem of the store as a whole, that is none of its records'. */
void fsck_report_store(struct fsck_report *f, enum check_state state, const char *code, const char *text);
/* The numbers of the first look. */
void fsck_report_result(struct fsck_report *f, const struct check_result *result);
/* The summary; the exit status. */
int fsck_report_end(struct fsck_report *f, const char *store, bool repair);

#endif
