/*
 * root.h: the mount's root directory: a read-only README.md and users/. The first of the derived trees;
 * its inode numbers lie below CORE_ROOT_INO. Everything is constant: no locks.
 *
 * Changes in here are refused with -EPERM by the caller (fs/fuse) for every number that views_owns().
 */
#ifndef SCRIBEFS_FS_VIEWS_ROOT_H
#define SCRIBEFS_FS_VIEWS_ROOT_H

#include "fs/session/session.h"

#define VIEWS_ROOT_INO 1

static inline bool views_owns(uint64_t ino)
{
	return ino < CORE_ROOT_INO;
}

struct views;
/* @started: the times that the root shows. Owner and group are those of users/. */
int views_open(struct sessions *sessions, struct views **ret_views);
void views_close(struct views *v);

/* As their namesakes in core.h, for numbers that views_owns(). users/ is found with core's own number. */
int views_lookup(struct views *v, uint64_t parent, const char *name, struct core_entry *ret_entry);
int views_getattr(struct views *v, uint64_t ino, struct stat *ret_st);
int views_readdir(struct views *v, uint64_t ino, uint64_t cookie, bool with_attr, core_fill fill,
	void *arg);
/* A file's content, valid as long as @v. */
int views_content(struct views *v, uint64_t ino, const char **ret_data, size_t *ret_len);

#endif
