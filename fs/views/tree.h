/*
 * tree.h: what a derived tree is: a name in the mount's root, a range of inode numbers, and operations. A
 * tree is added by one line in root.c's table. Internal to fs/views.
 *
 * Numbers below CORE_ROOT_INO belong to what stands in the root alone. A tree of more has those with
 * VIEWS_BIT and its id (1 … 31, for ever; the upper half is the past in exports/) in the six bits below; the 56 bits
 * left are its own and must lead from a number to the thing without a table, so that they are the same in every mount.
 */
#ifndef SCRIBEFS_FS_VIEWS_TREE_H
#define SCRIBEFS_FS_VIEWS_TREE_H

#include "fs/views/catalogue.h"
#include "fs/views/root.h"

#define TREE_BITS 56
#define TREE_BASE(id) (VIEWS_BIT | (uint64_t)(id) << TREE_BITS)
#define TREE_LAST(id) (TREE_BASE(id) | ((1ull << TREE_BITS) - 1))

/*
 * Operations as their namesakes in root.h, on the state that @start made (NULL: there is none). What is
 * NULL does not exist there: -EINVAL for readlink, -ENOTDIR for names, -ENODATA for attributes.
 */
struct tree {
	const char *name;     /* in the mount's root */
	mode_t type;	      /* S_IFDIR, S_IFREG: of what the name stands for … */
	uint64_t first, last; /* … which is the first of its numbers */
	uint64_t beyond;      /* 0, or: all from here on are its too */
	bool settled;	      /* its files never change: the kernel may keep their pages */

	int (*start)(struct sessions *sessions, struct catalogue *catalogue, void **ret_state);
	void (*stop)(void *state);
	int (*lookup)(void *state, const struct viewer *who, uint64_t parent, const char *name,
		struct core_entry *ret_entry);
	int (*getattr)(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st,
		bool *ret_fleeting);
	int (*readdir)(void *state, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
		core_fill fill, void *arg);
	int (*readlink)(void *state, const struct viewer *who, uint64_t ino, struct buf *ret_target);
	int (*getxattr)(void *state, uint64_t ino, const char *name, struct buf *ret_value);
	/* NUL-terminated names, appended. NULL: none. */
	int (*listxattr)(void *state, uint64_t ino, struct buf *ret_names);
	/* NULL: nothing can be made or removed. */
	int (*mkdir)(void *state, uint64_t parent, const char *name, struct core_entry *ret_entry);
	int (*rmdir)(void *state, uint64_t parent, const char *name);
	int (*open)(void *state, uint64_t ino, void **ret_file);
	ssize_t (*read)(void *state, uint64_t ino, void *file, void *data, size_t size, off_t offset);
	void (*release)(void *state, void *file);
};

/* readme.c: README.md in the mount's root. */
extern const struct tree tree_readme;
/* backups.c: backups/. */
extern const struct tree tree_backups;
/* exports.c: every session and folder of sessions as documents. */
extern const struct tree tree_exports;
/* link_tree.c: views/. */
extern const struct tree tree_links;
/* status.c: status/. */
extern const struct tree tree_status;

#endif
