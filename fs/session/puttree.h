/*
 * puttree.h: putting back a place that holds sessions (a workflow, a user, users/): what puttree.c, which makes the
 * plan and the copies, and puttree_flip.c, which makes them the present, owe each other. Only for fs/session.
 *
 * A *node* is a directory that may hold sessions, or a session, of the snapshot. It has a container of its own, but
 * for .trash, which lies in its user's. Where that container is still somewhere below the place it is the same thing:
 * it keeps its container, and so its snapshots and open files, and what it holds changes places with a hidden copy in
 * it, as a session's does alone (putback.c); where its container did not change since it is left as it is. Where it is
 * no more, or lies outside of the place, it is made anew in the hidden directory of the node above it.
 *
 * The flip, in the instant of the snapshot before-restore-TIME, is one transaction: an op for each container that
 * has a part in it, all of them locked, all joined (op_join()). It gives and takes names. What the snapshot does not
 * have goes into the hidden directory of where it was, and is discarded afterwards, with its sessions.
 */
#ifndef SCRIBEFS_FS_SESSION_PUTTREE_H
#define SCRIBEFS_FS_SESSION_PUTTREE_H

#include "fs/session/putback.h"

struct node {
	uint64_t then; /* number in the snapshot */
	uint64_t now;  /* … in the present; 0: it is made anew. Set by puttree_set_now() */
	struct node *next_now; /* in the same bucket */
	uint64_t lies; /* where: the directory that has its name now */
	uint8_t role;  /* ROLE_PLAIN: no node of the snapshot, but what such a one lies in and what goes */
	bool changed;  /* it is not what it was; all that is made anew is */
	size_t above;  /* index of the node that had it; the top's is its own */
	struct putback p; /* dir: in the present, also the new one's; hidden: "" where it has none */
	struct container *user; /* of a session that is made anew: whose it is, a reference */
	/* In the flip: */
	struct op *op;		/* of its container; NULL: it has no part in it */
	struct dentry *entry;	/* the entry that was taken from where it lies, or NULL … */
	uint32_t left;		/* … and the container that had it */
	struct buf in, out;	/* struct dentry: what was hidden and comes, what was there and goes */
	char name[CORE_NAME_MAX + 1];
};

struct puttree {
	struct sessions *s;
	const struct cred *who;
	unsigned flags;	     /* enum put_back_flags: the top was made for this */
	bool whole;	     /* sessions are copied whole: others change them all the time */
	struct node **nodes; /* the top first, and each after the one that had it */
	size_t n, cap;
	struct node **by_now; /* the nodes that have a `now`, by it: cap buckets, which is a power of two */
	struct buf going; /* u32 containers of what goes, with all that lies in it */
	int (*each)(void *arg, uint64_t dir, const char *name);
	void *arg;
};

static inline bool node_is_holder(uint8_t role)
{
	return role == ROLE_USERS || role == ROLE_USER || role == ROLE_TRASH || role == ROLE_WORKFLOW;
}

/* puttree.c */
/* Calls @each for the present or past children of the directory @dir that are nodes. */
int puttree_children(struct puttree *t, uint64_t dir,
        int (*each)(struct puttree *t, void *arg, struct inode *child, const char *name), void *arg);
/* The node that is, in the present, the directory @ino; NULL. */
struct node *puttree_find(struct puttree *t, uint64_t ino);
/* The same of ROLE_PLAIN. */
struct node *puttree_find_plain(struct puttree *t, uint64_t ino);
void puttree_set_now(struct puttree *t, struct node *n, uint64_t ino);
struct node *puttree_add(struct puttree *t, uint8_t role, size_t above, const char *name);
/* Where the node is now, and whether it changed: sets now, lies and changed. */
int puttree_locate(struct puttree *t, struct node *n);
/* What is in the present and goes, into t->going. -EPERM: something is another user's. */
int puttree_find_going(struct puttree *t);

/* puttree_flip.c. -EAGAIN: the present is not that of the plan any more. */
int puttree_flip(struct puttree *t);

#endif
