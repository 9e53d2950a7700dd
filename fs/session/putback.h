/*
 * putback.h: putting back what a snapshot has, and making independent sessions of it. Only for fs/session;
 * what others call is in session.h. README.md has the data flow ("Going back").
 */
#ifndef SCRIBEFS_FS_SESSION_PUTBACK_H
#define SCRIBEFS_FS_SESSION_PUTBACK_H

#include "fs/session/session_internal.h"

#define PUTBACK_PREFIX ".restore-"
#define PUTBACK_NAME 32 /* bytes */

/* One thing that is put back. */
struct putback {
	struct sessions *s;
	const struct cred *who;
	struct inode *dir;  /* a session, a holder of sessions, or the directory of the entry */
	struct inode *from; /* what is put back, in its snapshot */
	unsigned flags;	    /* enum put_back_flags, but … */
	bool other;	    /* … PUT_BACK_OTHER */
	const char *name;   /* of the entry */
	char hidden[PUTBACK_NAME]; /* name of the copy; empty: there is none */
	struct putmerge *merge; /* a session that is put back by what changed; NULL: as a whole */
	bool there;	    /* an entry: something has its name */
	struct srec then;   /* a session's record as it was */
	int (*each)(void *arg, uint64_t dir, const char *name); /* may be NULL */
	void *arg;
};
void putback_release(struct putback *p);

/* copy.c. All are for @who; nothing is told to the kernel, no rule of names is asked. */

/*
 * Makes all that is in the session @from, of a snapshot, in the directory @hidden of another or the same session,
 * with @parent as what the directories have for "..". The session's own parts mean nothing yet.
 */
int copy_session(struct sessions *s, const struct cred *who, uint64_t from, struct inode *hidden,
        uint64_t parent);
/* The same in the directory of a session that is made for it: all mean what they meant. */
int copy_new_session(struct sessions *s, const struct cred *who, uint64_t from, struct inode *session);
/* What a holder of sessions has beside them. */
int copy_plain(struct sessions *s, const struct cred *who, uint64_t from, struct inode *hidden, uint64_t parent);
/* What is in a directory, as an array of these; "." and ".." are left out. */
struct listed {
	uint64_t ino;
	char name[CORE_NAME_MAX + 1];
};
int copy_list(struct core *core, uint64_t dir, struct buf *ret_list);
/* Makes @from, with what is below it, as @name in @dir; it is no message. */
int copy_entry(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name);
/* The same, with @parent for ".."; without @top it means what it meant. */
int copy_into(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name,
        uint64_t parent, bool top);
/* The directory @from without what is in it, which means nothing as @name in @dir. */
int copy_holder(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name,
        struct inode **ret_holder);
/* All attributes of @from, whose lock is held, on the staged inode @to. */
int copy_xattrs(struct op *op, struct inode *from, struct inode *to);
/* What is hidden comes to and goes from the staged directory @dir as if it had never been there. */
void copy_keep_times(struct op *op, struct inode *dir);
/* Removes @name with all below it, which means nothing any more; of sessions their rows, too. */
int copy_discard(struct sessions *s, uint64_t parent, const char *name);

/* hidden.c */

/* Whether @name is one that lies hidden: only in the past this means that it is to be left out. */
bool putback_is_hidden(const char *name);
/* Says where something will lie, and chooses p->hidden; what lay there is discarded. */
int putback_hide(struct putback *p);
/* Discards all that is hidden anywhere. What a daemon that died has left, if no requests are served yet. */
int putback_clear_all(struct sessions *s);

/* putback.c */

/* Calls @then in the instant of a snapshot before-restore-TIME of p->dir's place; its name into @ret_kept. */
int putback_keep_then(struct putback *p, int (*then)(void *arg), void *arg, char *ret_kept);
/* p->hidden, a directory that nobody may enter, in p->dir. */
int putback_make_hidden(struct putback *p, struct inode **ret_hidden);
/*
 * Makes p->hidden in the session p->dir with what is to come: a plan of what changed (p->merge), or, with @whole or
 * where that cannot be, all of it.
 */
int putback_fill(struct putback *p, bool whole);
/* The record that the session p->from had. -EINVAL: it is none. */
int putback_load_then(struct putback *p);
/* In an op with the session's container locked: its children change places with the hidden ones. */
int putback_exchange_in(struct op *op, struct putback *p);
/* Rights, times and attributes of p->dir, which is staged. */
int putback_put_root(struct op *op, struct putback *p);
/* The rendering that lies in @dir is one that a save may be based on; p->then is stored by the caller. */
int putback_put_rendering(struct op *op, struct putback *p, struct inode *dir);

/* puttree.c: a holder of sessions, not .trash; else as session_put_back(). */
int puttree_restore(struct sessions *s, const struct cred *who, struct inode *top, struct inode *from, unsigned flags,
        int (*each)(void *arg, uint64_t dir, const char *name), void *arg, char ret_kept[CORE_NAME_MAX + 1]);

#endif
