/*
 * model.h: a filesystem as POSIX and DESIGN.md have it, in memory, as simple as it can be: what the real one
 * is compared with. It shares no code with the product. Every call returns what the system call must:
 * >= 0, -errno, or MODEL_SKIP for what is not to be tried (a FIFO is not opened). Permissions are
 * root's: nothing is refused for want of rights. Not locked; running out of memory aborts.
 *
 * Files: model.c names, model_attr.c attributes, model_data.c bytes and open files.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_MODEL_H
#define SCRIBEFS_TESTS_EXERCISE_MODEL_H

#include "tests/exercise/content.h"
#include "tests/exercise/step.h"

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define MODEL_SKIP 100000
#define MODEL_ALSO 8

/* Time stamps, as indexes and as bits. */
enum { TIME_A, TIME_M, TIME_C, TIMES };
#define STAMP_A (1u << TIME_A)
#define STAMP_M (1u << TIME_M)
#define STAMP_C (1u << TIME_C)

struct acl_item {
	uint16_t tag, perm;
	uint32_t id;
};

#define ACL_ITEMS 8
struct acl_list {
	unsigned n; /* 0: there is none */
	struct acl_item items[ACL_ITEMS];
};

struct attr {
	struct attr *next;
	char *name;
	uint8_t *value;
	size_t size;
};

/* A state that a file had since what it held was last acknowledged to be kept. */
struct version {
	struct content data;
	struct timespec mtime;
};

struct node;
struct entry {
	struct entry *next;	 /* of the directory */
	struct entry *next_link; /* of the node */
	struct node *dir, *node;
	uint8_t name; /* step_name(name) */
};

struct node {
	struct node *next; /* of all */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	unsigned nlink, opens;
	dev_t rdev;
	ino_t ino; /* as the target has it, 0 before it was seen */
	char *target;
	struct content data;
	struct attr *attrs;
	struct acl_list access, defaults;
	struct entry *entries, *links;
	unsigned n_entries;
	/* Stamps as they were last seen, or set by a call. must and may: what has changed since. */
	struct timespec times[TIMES];
	unsigned must, may;
	bool touched;	 /* its attributes are to be compared after this step */
	bool atime_lost;       /* a crash may have taken what was seen of it */
	struct node *copy;     /* model_copy_tree() */
	/* What a crash may bring back, oldest first; the last is followed by what is there now. */
	struct version *versions;
	size_t n_versions;
};

struct slot {
	struct node *node; /* NULL: closed */
	int flags;
	uint64_t position;
	bool wrote;
};

struct model {
	struct node *root, *nodes;
	unsigned n_nodes;
	struct slot slots[STEP_SLOTS];
	mode_t umask;
	bool versions; /* crashes come: versions are kept */
	/* Errors that would be as good as the one returned, where several apply. */
	int also[MODEL_ALSO];
	unsigned n_also;
};

struct model *model_new(mode_t mode, uid_t uid, gid_t gid);
void model_free(struct model *m);
/* The tree as it is now: without files that are only open, inode numbers, and when something was read last. */
struct model *model_copy_tree(const struct model *m);

/* NULL where there is none; the last part is not followed. */
struct node *model_find(struct model *m, const struct step_path *path);
/* A path to a node; false: it has none any more, or one too deep for a step. */
bool model_path(const struct node *node, struct step_path *ret_path);
/* The slot through which a node is open, -1 none. */
int model_slot_of(const struct model *m, const struct node *node);
struct entry *model_entry(const struct node *dir, unsigned name);
/* Whether @node is @below or above it. */
bool model_above(const struct node *node, const struct node *below);
void model_touch(struct node *node, unsigned must, unsigned may);
/* A call changed its record: ctime, and what was written before is stored along with it. */
void model_changed(struct node *node);

int model_mkdir(struct model *m, const struct step_path *path, mode_t mode);
int model_mknod(struct model *m, const struct step_path *path, mode_t mode, dev_t rdev);
int model_symlink(struct model *m, const struct step_path *path, const char *target);
int model_link(struct model *m, const struct step_path *from, const struct step_path *to);
int model_rename(struct model *m, const struct step_path *from, const struct step_path *to,
	unsigned flags);
int model_unlink(struct model *m, const struct step_path *path);
int model_rmdir(struct model *m, const struct step_path *path);
/* Walks to the last part's directory; *ret_name: index of the last part. 0, -errno, MODEL_SKIP. */
int model_walk(struct model *m, const struct step_path *path, struct node **ret_dir,
	unsigned *ret_name);
/* The node itself, or why there is none. */
int model_look(struct model *m, const struct step_path *path, struct node **ret_node);
/* A new regular file, at a name that is free (model_open). */
struct node *model_create(struct model *m, struct node *dir, unsigned name, mode_t mode);
void model_drop_if_unused(struct model *m, struct node *node);

/* model_attr.c */
int model_chmod(struct model *m, const struct step_path *path, mode_t mode);
/* UINT32_MAX leaves one as it is. */
int model_chown(struct model *m, const struct step_path *path, uid_t uid, gid_t gid);
/* @tv: as utimensat's, UTIME_NOW and UTIME_OMIT too. */
int model_utimens(struct model *m, const struct step_path *path, const struct timespec tv[2]);
int model_setxattr(struct model *m, const struct step_path *path, const char *name,
	const void *value, size_t size, int flags);
int model_getxattr(struct model *m, const struct step_path *path, const char *name,
	const struct attr **ret_attr);
int model_removexattr(struct model *m, const struct step_path *path, const char *name);
int model_setacl(struct model *m, const struct step_path *path, bool defaults,
	const struct acl_list *acl);
int model_removeacl(struct model *m, const struct step_path *path, bool defaults);
/* What a child of @dir starts with. */
void model_inherit(struct model *m, const struct node *dir, struct node *child, mode_t mode);

/* model_data.c */
int model_open(struct model *m, unsigned slot, const struct step_path *path, int flags, mode_t mode);
int model_close(struct model *m, unsigned slot);
/* @offset -1: at the position. Returns @len. */
ssize_t model_write(struct model *m, unsigned slot, int64_t offset, const void *bytes, size_t len);
ssize_t model_read(struct model *m, unsigned slot, uint64_t offset, void *bytes, size_t len);
int model_truncate(struct model *m, struct node *node, uint64_t size);
int model_fallocate(struct model *m, unsigned slot, int mode, uint64_t offset, uint64_t len);
ssize_t model_copy(struct model *m, unsigned in, uint64_t in_offset, unsigned out,
	uint64_t out_offset, size_t len);
/* The bytes of a shared mapping change. */
void model_map_write(struct model *m, struct node *node, uint64_t offset, const void *bytes,
	size_t len);
/* What the file holds now survives a crash. */
void model_kept(struct node *node);
/* Everybody's files are closed, cleanly (all is kept) or by a crash. */
void model_close_all(struct model *m, bool clean);

#endif
