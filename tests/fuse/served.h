/*
 * served.h: a new store that is mounted in a directory of its own by a child process, for tests.
 */
#ifndef SCRIBEFS_TESTS_FUSE_SERVED_H
#define SCRIBEFS_TESTS_FUSE_SERVED_H

#include "fs/fuse/mount.h"

#include <limits.h>
#include <sys/types.h>

struct served {
	char dir[72], store[80], mountpoint[80];
	struct mount_options options; /* of the next start */
	pid_t daemon;		      /* in the foreground; 0: none */
};

/* Whether this machine lets us mount; a test program that cannot is to be skipped. */
bool served_possible(void);
/*
 * Before and after all tests of a program: the folder that everything is made in. Its removal also
 * unmounts what a test left behind that failed; its daemon dies with it.
 */
void served_begin(void);
void served_end(void);

/* All of them fail the test where they fail. */
void served_new(struct served *s);
void served_start(struct served *s);
/* Sends @sig and returns the exit status (or minus the signal that ended it). */
int served_kill(struct served *s, int sig);
/* umount(8), and the exit status. */
int served_umount(struct served *s);
void served_remove(struct served *s);

/* Runs mount_run() in a child; its exit status, and what it wrote to standard error in @ret_line. */
int served_try(const struct mount_options *options, char ret_line[1024]);

/* "<mountpoint>/<name>", valid until the eighth call after it. */
const char *served_path(const struct served *s, const char *name);

#endif
