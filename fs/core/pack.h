/*
 * pack.h: what a container holds, packed (kv/pack.h): for sessions that nobody touches any more.
 *
 * Nothing that anybody sees changes, no inode is locked or loaded: records are replaced by the same bytes in fewer, a
 * few in each transaction, live ones and those of the past. Who writes meanwhile is not kept waiting, and wins. After a
 * crash some are packed and some are not; the next call goes on.
 *
 * Called by fs/session's background work, one call at a time. Any thread.
 */
#ifndef SCRIBEFS_FS_CORE_PACK_H
#define SCRIBEFS_FS_CORE_PACK_H

#include "fs/core/core.h"
#include "kv/pack.h"

/*
 * Packs the container whose root directory is @dir, after training a dictionary on the records of its domain where
 * there is none yet, or only one from far fewer bytes than there are now. What came of it replaces @ret_sums.
 * -ENODATA: the domain holds too little to learn from; -ECANCELED: *@stop became true (read without a lock).
 */
int core_pack(struct core *core, uint64_t dir, const bool *stop, struct kv_packed *ret_sums);

#endif
