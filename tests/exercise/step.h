/*
 * step.h: one operation as it is drawn, recorded, printed, read back and replayed. A step says all that it
 * needs by itself, so any part of a recorded list is a valid list too, and can be tried on a fresh tree.
 *
 * A script is a step a line: `verb key=value …`, keys that are zero left out; # begins a comment. Names
 * are of a fixed vocabulary (step_name), paths are slashes between them, "/" the exercised tree's root.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_STEP_H
#define SCRIBEFS_TESTS_EXERCISE_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STEP_DEPTH 8
#define STEP_SLOTS 8 /* open files */
#define STEP_PASTS 4 /* snapshots at a time */
#define STEP_CHECK_SLOT STEP_SLOTS /* one more, for looking at files */

#define STEP_VERBS(V)                                                                              \
	V(mkdir) V(mknod) V(symlink) V(link) V(rename) V(unlink) V(rmdir) V(open) V(close)         \
	V(write) V(pwrite) V(pread) V(ftruncate) V(truncate) V(fallocate) V(seek) V(copy)          \
	V(fsync) V(mmap_write) V(mmap_private) V(chmod) V(chown) V(utimens) V(setxattr)            \
	V(getxattr) V(removexattr) V(setacl) V(removeacl) V(stat) V(list) V(umask) V(check)        \
	V(snap) V(unsnap) V(past) V(change_past) V(reopen) V(kill)                                  \
	V(next) V(message) V(append) V(forget) V(renumber) V(title) V(stale) V(agent) V(session)   \
	V(drop) V(move) V(copy_session) V(restore) V(verify)

enum step_verb {
#define V(verb) VERB_##verb,
	STEP_VERBS(V)
#undef V
	STEP_VERB_COUNT
};

/* Indexes of names plus 1, ended by 0; the empty path is the root. */
struct step_path {
	uint8_t name[STEP_DEPTH + 1];
};

struct step {
	uint8_t verb, slot, slot2; /* slots count from 0 */
	struct step_path path, path2;
	uint32_t mode, flags, seed;
	uint64_t offset, offset2, length;
};

/* The name of an index, as the filesystem sees it; NULL beyond the end. Indexes count from 0. */
const char *step_name(unsigned index);
unsigned step_names(void); /* how many there are */
unsigned step_path_depth(const struct step_path *path);

const char *step_verb_name(unsigned verb);
/* Prints a line. */
void step_print(FILE *out, const struct step *step);
/* Reads a script; the caller frees *ret_steps. Returns the number, or -1 after a line about what is wrong. */
long step_read(FILE *in, struct step **ret_steps);

#endif
