/*
 * past.h: the history of records: keeping what is changed for snapshots, and reading it. Only for fs/core.
 *
 * A version (KV_HISTORY) has the key of its record, u64 until, u64 from; the value is the record as it was,
 * empty where there was none. Snapshots in (from, until] see it. README.md tells the whole, "Snapshots".
 */
#ifndef SCRIBEFS_FS_CORE_PAST_H
#define SCRIBEFS_FS_CORE_PAST_H

#include "fs/core/core_internal.h"

#define VERSION_TAIL 16 /* bytes of until and from */

/* ---- keeping --------------------------------------------------------------------------------- */

/* The newest pin that covers @c, 0 none. Its answer holds for the op: else op_commit() is -EAGAIN. */
int op_pin(struct op *op, struct container *c, uint64_t *ret_pin);
/*
 * Before the record at @key (of @c, KEY_SESSION … KEY_XATTR) is overwritten or deleted by the op: copies it
 * to the history where a snapshot sees it. 1: copied, 0: not needed.
 */
int op_keep(struct op *op, struct container *c, const struct key *key);
/* The same for an inode's record of the epoch @from, which a snapshot sees. */
int op_keep_inode(struct op *op, const struct key *key, uint64_t from);
/* kv_txn_put() and kv_txn_delete() of KV_META after op_keep(). */
int op_put(struct op *op, struct container *c, const struct key *key, const void *value, size_t len);
int op_delete(struct op *op, struct container *c, const struct key *key);
/*
 * Chunks and map pages of the staged @inode with versions below *@ret_version are in a version of its record,
 * or in one that this op keeps: they are not deleted when its map lets go of them.
 */
int op_kept_version(struct op *op, struct inode *inode, uint64_t *ret_version);

/* ---- reading --------------------------------------------------------------------------------- */

/* The record as snapshot @at sees it; 0: the present. -ENOENT. Replaces @ret_value. */
int past_get(struct core *core, const struct key *key, uint64_t at, struct buf *ret_value);

/* The records whose keys begin with @prefix, as @at sees them, by rising key. */
struct past_iter;
/* @from: the first key that is wanted; NULL: all. */
int past_iter_open(struct core *core, const struct key *prefix, const struct key *from, uint64_t at,
	struct past_iter **ret_iter);
void past_iter_free(struct past_iter *it);
/* 1: *@ret_key and @ret_value (NULL: not wanted) are the next; 0: at the end. The key until the next call. */
int past_iter_next(struct past_iter *it, const uint8_t **ret_key, size_t *ret_len,
	struct buf *ret_value);

/* ---- inodes of the past ---------------------------------------------------------------------- */

/* For icache.c: whether the number's snapshot is there: 0 and its id, or -ESTALE. */
int past_open(struct core *core, uint64_t ino, uint64_t *ret_at);
/* After its record was decoded: parent and times as they are seen in the snapshot. */
int past_settle(struct inode *inode);

DEFINE_CLEANUP(struct past_iter *, past_iter_free);

#endif
