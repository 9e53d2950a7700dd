/* checked.h: a store of one of everything on the in-memory engine, and looks and repairs of it. */
#ifndef SCRIBEFS_TESTS_FSCK_CHECKED_H
#define SCRIBEFS_TESTS_FSCK_CHECKED_H

#include "fs/core/check.h"
#include "tests/session/tree.h"

/* Makes it and leaves it open; tree_teardown() ends it. */
void checked_setup(void);
/* @size bytes at @at of a new file, and nine at its start. */
void checked_write_big(const char *path, size_t size, off_t at);
void checked_close(void);
void checked_open(void);
/* The kv alone: closed with kv_close(store.kv). */
void checked_open_kv(bool read_only, bool repair);
/* A checkpoint of the open store, opened: for a source. */
struct kv *checked_copy(const char *name);

/* How many problems a look finds that changes nothing; the store is closed before and after. */
uint64_t checked_look(void);
/* How many a repair leaves. */
uint64_t checked_repair(void);
uint64_t checked_repair_with(const struct check_source *sources, size_t n);
/* One look that mends, and takes nothing from older copies. */
void checked_mend(void);
/* One whose process dies as the @at-th thing is told; false: it tells fewer. */
bool checked_repair_dies(const struct check_source *sources, size_t n, unsigned at);
/* The store, closed before and after, is damaged so (damage.h). 0, or -ENOENT: it has no such record. */
int checked_damage(const char *name, unsigned nth);
/* A backup to take from: @kv, or one that cannot be opened (NULL). */
struct check_source checked_source(const char *name, int64_t time, struct kv *kv);

struct checked_names {
	unsigned n;
	struct {
		char name[CORE_NAME_MAX + 1];
		mode_t type;
	} of[64];
};
/* What is in a directory, but for "." and ".."; the caller frees it. */
struct checked_names *checked_list(uint64_t dir);
/* A hash of a file's bytes, as far as they can be read. */
uint64_t checked_sum(uint64_t ino, bool *ret_readable);

/* What the last of them said, a line each: problems as "mended: PATH [CODE]: TEXT", tries as "PATH SOURCE: REASON". */
extern struct buf checked_told;
const char *checked_heard(void);
void checked_expect_heard(const char *text);

#endif
