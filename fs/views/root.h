/*
 * root.h: what is beside users/ in a mount: the root directory itself and the derived trees that stand in
 * it. Read-only but for what views_mkdir() and views_rmdir() do: other changes are refused with -EPERM by the caller
 * (fs/fuse) for every number that views_owns(). Any thread. What a tree is: tree.h.
 */
#ifndef SCRIBEFS_FS_VIEWS_ROOT_H
#define SCRIBEFS_FS_VIEWS_ROOT_H

#include "fs/session/session.h"
#include "fs/views/rights.h"

#define VIEWS_ROOT_INO 1
#define VIEWS_BIT (1ull << 62) /* of the numbers of derived trees; core's have none above bit 61 */

static inline bool views_owns(uint64_t ino)
{
	return ino < CORE_ROOT_INO || (ino & VIEWS_BIT);
}

struct views;
/* Owner and group of the root are those of users/, its times those of the mount. */
int views_open(struct sessions *sessions, struct views **ret_views);
void views_close(struct views *v);

/*
 * As their namesakes in core.h, for numbers that views_owns(); nothing here counts look-ups. users/ is found
 * with core's own number, and counted by core. Where the kernel's checks are not enough, what is there depends on
 * who asks.
 */
int views_lookup(struct views *v, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry);
int views_getattr(struct views *v, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting);
int views_readdir(struct views *v, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg);
int views_readlink(struct views *v, const struct viewer *who, uint64_t ino, struct buf *ret_target);
int views_getxattr(struct views *v, uint64_t ino, const char *name, struct buf *ret_value);

int views_listxattr(struct views *v, uint64_t ino, struct buf *ret_names);
/* Trees in which something can be made or removed; -EPERM elsewhere. */
int views_mkdir(struct views *v, uint64_t parent, const char *name, struct core_entry *ret_entry);
int views_rmdir(struct views *v, uint64_t parent, const char *name);
/* Whether the kernel may keep the pages of the file @ino, though it is opened with a state of its own. */
bool views_settled(uint64_t ino);

/* Whether a name that was not found may be cached as absent, and a listing of @ino kept. */
bool views_constant(uint64_t ino);

/*
 * A file opened for reading; released once, with the same number. @ret_file is NULL where the tree keeps
 * nothing for it. -EISDIR. views_read() returns the number of bytes, short only at the end, or -errno.
 */
int views_file_open(struct views *v, uint64_t ino, void **ret_file);
ssize_t views_read(struct views *v, uint64_t ino, void *file, void *data, size_t size, off_t offset);
void views_file_release(struct views *v, uint64_t ino, void *file);

#endif
