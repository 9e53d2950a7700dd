/*
 * look.h: a tree in a store, made, and looked at as the mount and fsck look at it, in this process. For
 * tests/tamper: each call opens the store and closes it.
 */
#ifndef SCRIBEFS_TESTS_TAMPER_LOOK_H
#define SCRIBEFS_TESTS_TAMPER_LOOK_H

#include "kv/kv.h"

extern const struct kv_unlock tamper_key;

/* A new store in the directory @path, with something of everything that is stored. 0 or -errno. */
int tree_first(const char *path);
/* Changes, deletes, adds: so that there is an older version of much. */
int tree_second(const char *path);
/* Adds once more, syncs, and ends the process: the store is left as a death leaves it. */
void tree_die(const char *path) __attribute__((noreturn));

struct seen {
	int opened;	     /* kv_open()'s or core_open()'s result */
	bool told;	     /* the mount says a line: the log ended early, or the mark is lost */
	unsigned same;	     /* things that are as they should be */
	unsigned errors;     /* things that could not be read: -EBADMSG, -EIO, -ENOKEY */
	unsigned inodes_hit; /* of those, regular files that were found, hard links once */
	unsigned older;	     /* as an earlier state of the store had them, or that one alone had */
	unsigned gone;	     /* not there, without an error */
	unsigned wrong;	     /* never in any state of the store: what must not be */
	char first[200];     /* the first of what is not the same */
	bool fsck;	     /* fsck has something to say, or says that the store cannot be opened */
};

/* Writes down what is in the store, a line each, into the file @list. 0 or -errno. */
int look_list(const char *path, const char *list);
/* As the mount does: opens for writing, reads all, compares with the lists, of which @older may be "". */
void look_mount(const char *path, const char *list, const char *older, struct seen *seen);
/* As fsck does: changes nothing. */
void look_fsck(const char *path, struct seen *seen);

#endif
