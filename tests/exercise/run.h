/*
 * run.h: steps, performed on the target and on the model, and each answer compared.
 *
 * The first difference ends a run: run->failed, and what it was in run->why. One thread.
 */
#ifndef SCRIBEFS_TESTS_EXERCISE_RUN_H
#define SCRIBEFS_TESTS_EXERCISE_RUN_H

#include "tests/exercise/model.h"
#include "tests/exercise/target.h"

#include <stdarg.h>

#define RUN_PATH 4096
/* Bytes of one read or write, at most: what the kernel sends as one request. Of more a kill may leave a part. */
#define RUN_IO ((1u << 20) - 4096)

struct sessions_model;

struct run {
	struct target *t;
	struct model *m;
	struct model *pasts[STEP_PASTS]; /* as of when a snapshot was taken; NULL: there is none */
	struct sessions_model *sessions; /* the session form's; else NULL */
	struct timespec started;	 /* the run */
	struct timespec began, ended;	 /* the step at work */
	uint64_t skipped;		 /* steps that were nothing to try */
	uint8_t *bytes, *seen;		 /* RUN_IO each */
	bool failed;
	char why[1024];
};

/* Both become the run's. */
void run_init(struct run *run, struct target *t, struct model *m);
/* The store must close well, too. */
void run_release(struct run *run);
void run_step(struct run *run, const struct step *step);
void run_fail(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A script's path as the system sees it. */
void run_path(const struct step_path *path, char ret_text[RUN_PATH]);
/* Whether both said the same; false also after a difference. */
bool run_same(struct run *run, int64_t expected, int64_t got);
/* The clock before the step's calls, and after them. */
void run_begin(struct run *run);
void run_end(struct run *run);

/* run_data.c: the steps about open files. */
void run_data(struct run *run, const struct step *step);

/* past.c: the steps about snapshots. 0 or MODEL_SKIP. */
int past_step(struct run *run, const struct step *step);
/* All snapshots that there are. */
void compare_pasts(struct run *run);

/* compare.c */
/* Attributes of what the step touched, and of nothing else. */
void compare_touched(struct run *run);
/* Everything: names, attributes, bytes, holes, xattrs. */
void compare_all(struct run *run);
/* @node and all below it, which is at @path. */
void compare_tree(struct run *run, struct node *node, char path[RUN_PATH]);
void compare_attributes(struct run *run, struct node *node, const char *path);
/* An inode number stands for one thing: those of @m, which is run->m or one of run->pasts. */
void compare_numbers(struct run *run, const struct model *m);
/* After a crash: which state did each file come back with? */
void compare_crashed(struct run *run);
/* An ACL in its xattr's form; returns its length. */
size_t compare_encode_acl(const struct acl_list *acl, uint8_t ret_value[4 + 8 * ACL_ITEMS]);

#endif
