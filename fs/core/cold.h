/*
 * cold.h: records of containers that nobody has in memory, read without bringing anything there, for who looks at
 * many containers once. Used by core and by fs/session.
 *
 * A container that is not in memory has no operation under way and nothing buffered: the store has all of it. What
 * changes it afterwards is told to who waits for that (core_set_stamped()).
 *
 * One thread uses a struct cold, and releases it. One iterator serves for many containers, which lie side by side, and
 * is opened anew when something was committed in between.
 */
#ifndef SCRIBEFS_FS_CORE_COLD_H
#define SCRIBEFS_FS_CORE_COLD_H

#include "fs/core/inode.h"
#include "fs/core/name.h"

struct cold {
	struct core *core; /* zero the rest */
	uint32_t domain, container;
	struct kv_iter *it;
	uint64_t sequence; /* kv_sequence() before the iterator was opened */
	unsigned uses;
};
void cold_release(struct cold *c);

/* The calls below are about this container from now on. -EBUSY: it is in memory. */
int cold_begin(struct cold *c, uint32_t domain, uint32_t container);
/* The same for one in memory, whose lock the caller holds: what was committed of it. */
int cold_begin_locked(struct cold *c, const struct container *container);
/* Row @which of the session layer. The value replaces @ret_value. -ENOENT, -EBADMSG. */
int cold_session(struct cold *c, uint8_t which, struct buf *ret_value);
/* An inode's record. -ENOENT, -EBADMSG. */
int cold_inode(struct cold *c, uint64_t ino, struct irec *ret_rec);
/*
 * Calls @each for all inodes of the container, by rising number, until it returns something else than 0, which is
 * returned. @facts may be NULL.
 */
int cold_inodes(struct cold *c, int (*each)(void *arg, const struct irec *rec, const struct blob *facts), void *arg);
/* The inode of the entry @name of the directory @dir, which has no numbers (INODE_NUMBERED). -ENOENT, -EBADMSG. */
int cold_child(struct cold *c, uint64_t dir, const char *name, uint64_t *ret_ino, struct irec *ret_rec);

#endif
