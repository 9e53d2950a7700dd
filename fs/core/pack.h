/*
 * pack.h: what a container holds, packed (kv/pack.h): for sessions that nobody touches any more.
 *
 * Nothing that anybody sees changes, no inode is locked or loaded: records are replaced by the same bytes in fewer, a
 * few in each transaction, live ones and those of the past. Who writes meanwhile is not kept waiting, and wins. After a
 * crash some are packed and some are not; the next call goes on.
 *
 * Called by fs/session's background work. A packer belongs to one thread.
 */
#ifndef SCRIBEFS_FS_CORE_PACK_H
#define SCRIBEFS_FS_CORE_PACK_H

#include "fs/core/core.h"
#include "kv/pack.h"

struct core_packer;

/*
 * For the domain (a user) that @dir lies in, after training a dictionary on its records where there is none yet, or
 * only one from far fewer bytes than there are now. -ENODATA: the domain holds too little to learn from; -ECANCELED:
 * *@stop became true (read without a lock; until the packer is freed). Freed before core_close().
 */
int core_packer_open(struct core *core, uint64_t dir, const bool *stop, struct core_packer **ret_packer);
void core_packer_free(struct core_packer *p);
DEFINE_CLEANUP(struct core_packer *, core_packer_free);
/*
 * Packs the container whose root directory is @dir. What came of it replaces @ret_sums. -EXDEV: another domain's;
 * -ECANCELED as above.
 */
int core_pack(struct core_packer *p, uint64_t dir, struct kv_packed *ret_sums);

#endif
