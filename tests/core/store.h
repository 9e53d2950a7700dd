/*
 * store.h: a core on the in-memory engine, for tests. Everything that is not under test must
 * succeed: failures are assertions. Include <check.h> too.
 */
#ifndef SCRIBEFS_TESTS_CORE_STORE_H
#define SCRIBEFS_TESTS_CORE_STORE_H

#include "fs/core/core.h"
#include "kv/engine/memory.h"

struct store {
	char path[64]; /* the keyring's; removed by store_close() */
	struct kv_memory *memory;
	struct kv *kv;
	struct core *core;
	struct core_options options; /* of the next open, too */
	struct cred who;	     /* uid and gid 1000, umask 022 */
};

/* A new store with an open core; @options may be NULL. The root is 0755 and belongs to 1000. */
void store_new(struct store *s, const struct core_options *options);
/* Closes and opens: nothing is left in memory but what was committed. */
void store_reopen(struct store *s);
/* Its halves, with what a test does to the records in between. */
void store_shut(struct store *s);
void store_open_kv(struct store *s);
/* The process dies (and the machine, with @power_loss), and the store is opened again. */
void store_crash(struct store *s, bool power_loss);
void store_close(struct store *s);

uint64_t store_make(struct store *s, uint64_t parent, const char *name, mode_t mode);
uint64_t store_symlink(struct store *s, uint64_t parent, const char *name, const char *target);
/* With @contents, NUL-terminated, written and closed. */
uint64_t store_file(struct store *s, uint64_t parent, const char *name, const char *contents);
/* The inode number, or 0 where there is none; the look-up is forgotten again. */
uint64_t store_find(struct store *s, uint64_t parent, const char *name);
void store_stat(struct store *s, uint64_t ino, struct stat *ret_st);
void store_chmod(struct store *s, uint64_t ino, mode_t mode);
/* That reading it gives @contents. */
void store_expect(struct store *s, uint64_t ino, const char *contents);

struct file *store_open_file(struct store *s, uint64_t ino, int flags);
/* A new one in the root. */
struct file *store_new_file(struct store *s, const char *name, int flags);
void store_put(struct store *s, struct file *f, const void *data, size_t size, off_t at);
/* Flushed and released. */
void store_done(struct store *s, struct file *f);
/* That reading @size bytes at @at gives @data. */
void store_expect_at(struct store *s, struct file *f, const void *data, size_t size, off_t at);

#endif
