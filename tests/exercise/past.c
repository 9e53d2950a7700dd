/*
 * past.c: snapshots: each is compared with a copy of the model's tree as of when it was taken. What differs by
 * design: inode numbers, which must be its own; the time at which a file was read last; the times of a
 * snapshot's top; and that nothing can be changed.
 */
#include "tests/exercise/run.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void name_of(struct run *run, unsigned which, char ret_path[RUN_PATH])
{
	snprintf(ret_path, RUN_PATH, "%s/x%u", run->t->snapshots, which);
}

/* Where the exercised tree is in it. */
static void top_of(struct run *run, unsigned which, char ret_path[RUN_PATH])
{
	snprintf(ret_path, RUN_PATH, "%s/x%u%s", run->t->snapshots, which, run->t->inside);
}

static void take(struct run *run, unsigned which)
{
	struct model *past;
	char path[RUN_PATH];
	name_of(run, which, path);
	if (!run_same(run, run->pasts[which] ? -EEXIST : 0, run->t->ops->make(run->t, path, S_IFDIR | 0755, 0, NULL)) ||
		run->pasts[which])
		return;
	past = run->pasts[which] = model_copy_tree(run->m);
	for (struct node *node = run->m->nodes; node; node = node->next)
		model_kept(node); /* what was written is stored, for both */
	if (!*run->t->inside) /* the top's are the snapshot's */
		past->root->must = STAMP_M | STAMP_C;
	run_end(run);
	top_of(run, which, path);
	compare_attributes(run, past->root, path);
}

static void drop(struct run *run, unsigned which)
{
	struct stat st;
	char path[RUN_PATH];
	name_of(run, which, path);
	run_same(run, run->pasts[which] ? 0 : -ENOENT, run->t->ops->rmdir(run->t, path));
	run_same(run, -ENOENT, run->t->ops->stat(run->t, path, 0, &st));
	if (run->pasts[which])
		model_free(run->pasts[which]);
	run->pasts[which] = NULL;
}

static void compare_past(struct run *run, unsigned which)
{
	char path[RUN_PATH];
	top_of(run, which, path);
	compare_tree(run, run->pasts[which]->root, path);
	compare_numbers(run, run->pasts[which]);
	for (struct node *node = run->pasts[which]->nodes; node; node = node->next) {
		node->may = 0; /* looking at it leaves no trace there */
		node->touched = node->atime_lost = false;
	}
}

void compare_pasts(struct run *run)
{
	for (unsigned i = 0; i < STEP_PASTS && !run->failed; i++)
		if (run->pasts[i])
			compare_past(run, i);
}

/* Tries to change what is at @path, the top or below it: the answer, or MODEL_SKIP. */
static int change(struct run *run, const struct node *node, char path[RUN_PATH], bool top, unsigned how)
{
	const struct target_ops *ops = run->t->ops;
	size_t len = strlen(path);
	bool dir = S_ISDIR(node->mode);
	switch (S_ISLNK(node->mode) ? 0 : how % 4) {
	case 0:
		return top ? MODEL_SKIP : dir ? ops->rmdir(run->t, path) : ops->unlink(run->t, path);
	case 1:
		return ops->chmod(run->t, path, 0600);
	case 2:
		return ops->setxattr(run->t, path, "trusted.t", "x", 1, 0);
	default:
		if (S_ISREG(node->mode))
			return ops->open(run->t, STEP_CHECK_SLOT, path, O_WRONLY, 0);
		if (!dir)
			return MODEL_SKIP;
		snprintf(path + len, RUN_PATH - len, "/new");
		return ops->make(run->t, path, S_IFDIR | 0755, 0, NULL);
	}
}

static int try_to_change(struct run *run, const struct step *s, unsigned which)
{
	struct node *node = model_find(run->pasts[which], &s->path);
	bool top = !s->path.name[0];
	char path[RUN_PATH], below[RUN_PATH];
	size_t len;
	int r;
	if (!node)
		return MODEL_SKIP;
	top_of(run, which, path);
	run_path(&s->path, below);
	len = strlen(path);
	if (snprintf(path + len, RUN_PATH - len, "%s%s", top ? "" : "/", below) >= (int)(RUN_PATH - len))
		return MODEL_SKIP;
	r = change(run, node, path, top, s->seed);
	return r == MODEL_SKIP ? r : run_same(run, -EROFS, r);
}

int past_step(struct run *run, const struct step *s)
{
	unsigned which = s->flags % STEP_PASTS;
	if (s->verb == VERB_snap)
		take(run, which);
	else if (s->verb == VERB_unsnap)
		drop(run, which);
	else if (!run->pasts[which])
		return MODEL_SKIP;
	else if (s->verb == VERB_change_past)
		return try_to_change(run, s, which);
	else
		compare_past(run, which);
	return 0;
}
