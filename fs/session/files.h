/*
 * files.h: everything that lies in a session, for a document that has all of it (transcript.json). For fs/views.
 *
 * Nothing is locked between two files: who has read `touched` before and finds it the same afterwards has seen the
 * session as of one moment.
 */
#ifndef SCRIBEFS_FS_SESSION_FILES_H
#define SCRIBEFS_FS_SESSION_FILES_H

#include "fs/session/session.h"

/* Strings are owned. */
struct session_file {
	char *path;   /* below the session; "." itself */
	char *target; /* of a symbolic link, else NULL */
	uint64_t ino, size;
	uint64_t device; /* of a device, as st_rdev */
	uint32_t mode, uid, gid; /* mode: with its type */
	struct timespec mtime, ctime;
	size_t same;  /* the first with the same inode: its own place, but for a hard link */
	bool message; /* messages/NNN.md or messages/archive/NNN.md, a regular file */
	bool document; /* session.json */
};
struct session_files {
	struct session_file *at; /* a directory before what it holds, names in the order of their bytes */
	size_t n, room;
};
int session_files_load(struct sessions *s, uint64_t session, struct session_files *ret_files);
void session_files_release(struct session_files *files);

/* Another number after each change of anything in the session, unique while the store is open. -ENOENT. */
int session_touched(struct sessions *s, uint64_t session, uint64_t *ret_touched);

struct session_files_sum {
	uint64_t hash;		 /* of what the files are, by their times; never 0 */
	struct timespec changed; /* the newest ctime */
	unsigned readers;	 /* as session_readers(), of all of them */
};
int session_files_sum(struct sessions *s, uint64_t session, struct session_files_sum *ret_sum);

#endif
