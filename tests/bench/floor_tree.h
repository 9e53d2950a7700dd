/*
 * floor_tree.h: the nodes of floor, in memory. Nothing here locks: the caller holds the tree's
 * lock, for writing where something changes.
 */
#ifndef SCRIBEFS_BENCH_FLOOR_TREE_H
#define SCRIBEFS_BENCH_FLOOR_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct node;

struct dentry {
	struct node *node;
	struct dentry *next; /* in its bucket */
	size_t slot;         /* in its directory's list */
	char name[];
};

struct node {
	struct stat attr;
	uint64_t nlookup; /* references of the kernel's */
	char *data;       /* of a file, or a symlink's target */
	size_t capacity;
	struct dentry **buckets; /* of a directory */
	size_t bucket_count, children;
	struct dentry **list; /* in the order of readdir; NULL: removed */
	size_t list_size, list_capacity;
	struct node *parent;
};

/* Linked nowhere yet; NULL without memory. */
struct node *node_new(mode_t mode, dev_t rdev, uid_t uid, gid_t gid);

/* NULL where there is no such name. */
struct dentry *node_find(const struct node *dir, const char *name);

/* 0, -ENOMEM. The name must not be there. Counts links. */
int node_link(struct node *dir, const char *name, struct node *node);
void node_unlink(struct node *dir, struct dentry *entry);

/* Frees a node that nobody knows any more. */
void node_settle(struct node *node);

/* Makes the file as long as size; new bytes are zeros. 0, -ENOMEM. */
int node_resize(struct node *file, size_t size);

void node_touch(struct node *node);

#endif
