/*
 * import_tree.h: what `scribefs import` makes in a session's directory: files of a transcript.json, which nobody
 * trusts: no path leaves the directory or goes through a symbolic link. One thread.
 */
#ifndef SCRIBEFS_TOOLS_IMPORT_TREE_H
#define SCRIBEFS_TOOLS_IMPORT_TREE_H

#include "kv/buf.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

#define IMPORT_XATTRS (1u << 20) /* bytes of a file's extended attributes */

struct import_attributes {
	mode_t mode;
	unsigned uid, gid; /* taken by root alone */
	bool has_mode, has_uid, has_gid, has_mtime;
	struct timespec mtime;
	struct buf xattrs; /* name, NUL, u32 length in the machine's order, value; one after the other */
};

/* One element of messages or files. */
struct import_entry {
	char path[PATH_MAX], target[PATH_MAX], same_as[PATH_MAX]; /* "": not given */
	mode_t type; /* S_IFMT bits; 0: not given, a regular file */
	struct import_attributes attributes;
	unsigned major, minor;
	struct buf header;
	int fd; /* of the file that is being written; -1: none yet */
};
void import_entry_release(struct import_entry *e);

struct import_directory {
	char *path;
	struct import_attributes attributes;
};

struct import_tree {
	int top; /* the session's directory */
	struct buf directories; /* struct import_directory: their attributes are set at the end */
	struct import_attributes document; /* what was told of session.json */
	unsigned refused; /* attributes that could not be set */
};
void import_tree_release(struct import_tree *t);

/* A file's bytes begin: it is made, or made empty again. */
int import_open(struct import_tree *t, struct import_entry *e);
/* The entry is complete: attributes and times, and whatever has no bytes. Its buffers may be taken. */
int import_finish(struct import_tree *t, struct import_entry *e);
/* session.json, and what directories were told to be. */
int import_end(struct import_tree *t, const struct buf *document);

#endif
