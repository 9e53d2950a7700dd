/*
 * explain.h: what went wrong with a store, as the one line on standard error that a person reads. Used
 * by fs/fuse and tools; includes no libfuse.
 */
#ifndef SCRIBEFS_FS_FUSE_EXPLAIN_H
#define SCRIBEFS_FS_FUSE_EXPLAIN_H

#include "kv/kv.h"
#include "kv/keyring.h"

/*
 * `scribefs: <what is wrong>; <what to do>` for @error, -errno from kv_open() or a keyring function on
 * @store. @type is the secret that was tried; 0 where none was.
 */
void explain_store(const char *store, enum keyring_slot_type type, int error);

/* The same for -EAGAIN of kv_open(): the system refuses threads. */
void explain_threads(void);

/* The same for -ESTALE of kv_open(), with what it said of the store. */
void explain_older(const char *store, const struct kv_older *older);

#endif
