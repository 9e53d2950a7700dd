/*
 * tree.h: the session layer on the in-memory engine, for tests: paths below users/ instead of inode
 * numbers. Everything that is not under test must succeed: failures are assertions.
 */
#ifndef SCRIBEFS_TESTS_SESSION_TREE_H
#define SCRIBEFS_TESTS_SESSION_TREE_H

#include "fs/session/session.h"
#include "tests/core/store.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern struct store store;
extern struct sessions *sessions;
extern struct cred who;

#define SESSION "u/w/s"
#define MESSAGES SESSION "/messages"
#define JSON SESSION "/session.json"

/* Before and after each test: a store with the user u, the workflow w and the session s in it. */
void tree_setup(void);
void tree_teardown(void);
void tree_reopen(void);
void tree_crash(void);

/* The number of the last part's directory, and that part. */
uint64_t tree_parent(const char *path, const char **ret_name);
uint64_t tree_find(const char *path);         /* 0: there is none */
int tree_make(const char *path, mode_t mode); /* the call's result */
int tree_mkdir(const char *path);
int tree_unlink(const char *path);
int tree_rmdir(const char *path);
int tree_rename(const char *from, const char *to);
int tree_link(const char *from, const char *to);
/* open(O_CREAT | flags), write, close; the number through @ret_ino (may be NULL). */
int tree_write_flags(const char *path, const char *text, int flags, uint64_t *ret_ino);
void tree_write(const char *path, const char *text); /* truncates, must succeed */
void tree_append(const char *path, const char *text);
/* Through next.md; returns the number of the message. */
unsigned tree_next(const char *text);
/* The content in a buffer of the helper's, valid until the next call. */
const char *tree_read(const char *path);
struct stat tree_stat(const char *path);
void tree_set_mtime(const char *path, int64_t s, long ns);
/* user.scribefs.@name of @path, "-" where there is none; valid until the next call. */
const char *tree_attribute(const char *path, const char *name);
/* The member's text in session.json up to the end of its line, e.g. "\"title\": \"x\"," → "x";
 * numbers as they are. */
const char *tree_field(const char *name);
void tree_expect_field(const char *name, const char *value);
/* The names in a directory, sorted, each followed by a space. */
const char *tree_list(const char *path);
/* Replaces the first @from in session.json's text by @to and saves it, in place or by rename. */
void tree_edit(const char *from, const char *to, bool by_rename);

#endif
