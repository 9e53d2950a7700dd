/*
 * session.h: what a session means: which names mean what at which level, messages, session.json.
 *
 * The layer between fs/fuse (and fs/views) and fs/core. The functions below are those of core.h to which
 * the tree's rules add something; what is not here fs/fuse calls in core directly. Errors, threads and
 * ownership are as in core.h. fs/session/README.md gives the rules, the records and the data flow.
 */
#ifndef SCRIBEFS_FS_SESSION_SESSION_H
#define SCRIBEFS_FS_SESSION_SESSION_H

#include "fs/core/snapshot.h"

struct sessions;

/* Roles of inodes (irec.role). Numbers are part of the format. */
enum role {
	ROLE_PLAIN = 0,
	ROLE_USERS = 1,	       /* users/ itself */
	ROLE_USER = 2,	       /* users/<user> */
	ROLE_TRASH = 3,	       /* users/<user>/.trash */
	ROLE_WORKFLOW = 4,     /* users/<user>/<workflow>, and in .trash */
	ROLE_SESSION = 5,      /* …/<session> */
	ROLE_MESSAGES = 6,     /* …/messages */
	ROLE_SESSION_JSON = 7, /* …/session.json */
	ROLE_MESSAGE = 8,      /* …/messages/NNN.md */
	ROLE_AGENT = 9,	       /* …/agent, a regular file */
	ROLE_CONTEXT = 10,     /* …/context.json, a regular file; plain where an older program made it */
};

/*
 * Above an open @core, whose root directory has ROLE_USERS. @changed (may be NULL) is called when the
 * daemon itself changed the directory @parent, and there the entry @name that the kernel may have kept (NULL: none that
 * it keeps): from any thread, with locks held, so it must only queue (fs/fuse notifies from a thread of its own).
 */
int session_open(struct core *core, void (*changed)(void *arg, uint64_t parent, const char *name),
	void *arg, struct sessions **ret_sessions);
void session_close(struct sessions *s);
struct core *session_core(struct sessions *s);
/* How many sessions were found at the start to have been interrupted by the death of the daemon before. */
unsigned session_interrupted(const struct sessions *s);

/* Every look-up of a name goes through here: session.json is brought up to date, next.md is -ENOENT. */
int session_lookup(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry);
/* Whether a name that was not found may be cached as absent in @parent. */
bool session_negative_cacheable(struct sessions *s, uint64_t parent);

int session_make(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
	const struct core_make *make, struct core_entry *ret_entry);
/* open(O_CREAT) of a name that the kernel believes absent: made (or adopted) and opened. */
int session_create(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
	mode_t mode, int flags, struct core_entry *ret_entry, struct file **ret_file);
int session_link(struct sessions *s, const struct cred *who, uint64_t ino, uint64_t parent,
	const char *name, struct core_entry *ret_entry);
int session_unlink(struct sessions *s, const struct cred *who, uint64_t parent, const char *name);
int session_rmdir(struct sessions *s, const struct cred *who, uint64_t parent, const char *name);
int session_rename(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
	uint64_t new_parent, const char *new_name, unsigned flags);
int session_readdir(struct sessions *s, const struct cred *who, uint64_t ino, uint64_t cookie,
	bool with_attr, core_fill fill, void *arg);

int session_setattr(struct sessions *s, const struct cred *who, uint64_t ino, const struct stat *st,
	unsigned set, struct stat *ret_st);

/*
 * open(2). A session that has files open for writing when the daemon dies was interrupted. What would be lost by
 * O_TRUNC, or by writing after an idle hour, is in a snapshot first.
 */
int session_file_open(struct sessions *s, const struct cred *who, uint64_t ino, int flags,
	struct file **ret_file);
/* core_write(); where the disk is full automatic snapshots go first. */
ssize_t session_write(struct sessions *s, struct file *file, const void *data, size_t size, off_t offset,
	unsigned kill);
/* close(2) of a file: commits, and takes a message or a save of session.json in. */
int session_flush(struct sessions *s, struct file *file);
/* fsync(2), before kv_sync(): the same, and commits what others have written, though @file only reads. */
int session_sync(struct sessions *s, struct file *file);
int session_release(struct sessions *s, struct file *file);

/* user.scribefs.*: derived values by name, policies; everything else is core's. */
int session_getxattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name,
	struct buf *ret_value);
int session_setxattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name,
	const void *value, size_t size, int flags);
int session_removexattr(struct sessions *s, const struct cred *who, uint64_t ino, const char *name);

/*
 * `scribefs new`: the next SESSION-YYMMDD-NNN (UTC) of the user's in the workflow directory @workflow: the
 * highest number ever of that day and user plus one. Made as mkdir makes it. @ret_name: 32 bytes.
 */
int session_new(struct sessions *s, const struct cred *who, uint64_t workflow, const char *title,
	char ret_name[32], struct core_entry *ret_entry);

/*
 * Snapshots of users/, a user, a workflow or a session (-EINVAL: of nothing else), as snapshot_take() and
 * snapshot_drop(), and with what belongs to a session: mkdir and rmdir in .snapshots/ are these.
 */
int session_snapshot_take(struct sessions *s, const struct cred *who, uint64_t place, const char *name,
	unsigned flags, struct snapshot_info *ret_info);
/* A snapshot by its name, or by its recovery id. -ENOENT. */
int session_snapshot_find(struct sessions *s, uint64_t place, const char *name, struct snapshot_info *ret_info);
/*
 * The recovery id of a snapshot, RECOVERY-YYMMDD-NNN-HHMMSS (recovery.c), which no other of the store has, and back;
 * @place 0: of the whole store, also of places that are no more. Each is found in .snapshots/ under its id as well.
 */
#define RECOVERY_ID 40 /* bytes */
void session_recovery_id(const struct snapshot_info *info, char ret_id[RECOVERY_ID]);
int session_recovery_find(struct sessions *s, uint64_t place, const char *id, struct snapshot_info *ret_info);
/* The same among places that are no more and were @who's (root: anybody's). */
int session_removed_find(struct sessions *s, const struct cred *who, const char *id, struct snapshot_info *ret_info);
/*
 * The next snapshot of the place @dir with an id above @after; with @removed instead those of places that are
 * no more and were @dir's, a user's or users/. -ENODATA at the end, -EINVAL where @dir can have none.
 */
int session_snapshot_next(struct sessions *s, uint64_t dir, bool removed, uint64_t after,
	struct snapshot_info *ret_info);
/* What each of these holds alone, as snapshot_held(): one pass over their history. The caller frees. */
int session_snapshot_held(struct sessions *s, uint64_t dir, bool removed, struct snapshot_held **ret_held,
	size_t *ret_n);
/* Strings of the session.json in a snapshot of a session; "" where there is none. @size: bytes of @ret_text. */
struct session_snapshot_field {
	const char *name;
	char *ret_text;
	size_t size;
};
void session_snapshot_fields(struct sessions *s, const struct snapshot_info *info,
	const struct session_snapshot_field *fields, size_t n);
/*
 * From here on sessions, users and users/ get automatic snapshots by their policies (README.md); until
 * session_close(). Starts a thread. A store that cannot be written gets none.
 */
int session_automatic_start(struct sessions *s);

/*
 * Going back (putback.c). Who asks must own what he gets, the caller has checked that. One of these at a time,
 * of the whole store: the caller sees to that. In a crash each has happened or not.
 */
enum put_back_flags {
	PUT_BACK_FORK = 1,    /* the session is a new one: it keeps its id, and says of whom it is a fork */
	PUT_BACK_REMOVED = 2, /* … in the place of the removed one, whose id it gets if it is free */
	PUT_BACK_OTHER = 4,   /* @dir may be another than @from, which stood where it stands; it gets its id if free */
};
/*
 * Makes the directory @dir, a session, workflow, user or users/, what @from, of a snapshot, was, with its rights, times
 * and attributes, in one step; a user with his .trash. With neither of the first two flags @from must be
 * the same unless the third says otherwise (-EXDEV), and what was there is kept as the snapshot @ret_kept; with one of
 * them @dir must be untouched (-ENOTEMPTY). Sessions that lie in @dir
 * still are those of then, with their ids and snapshots; ones that were removed come back with their ids; ones that are
 * newer go. -EBUSY: others make and move sessions there all the time. -EPERM: something is another user's. @each is
 * told the names that may be others now, with their directory ("." for a directory whose times are), with locks
 * held: they must be told to the kernel before session_put_back_end(), which is called in any case and removes what
 * was there.
 */
int session_put_back(struct sessions *s, const struct cred *who, uint64_t dir, uint64_t from,
	unsigned flags, int (*each)(void *arg, uint64_t dir, const char *name), void *arg,
	char ret_kept[CORE_NAME_MAX + 1]);
int session_put_back_end(struct sessions *s);
/*
 * Makes @name in @dir what @from, a file or plain directory of a snapshot, was. What was there is kept as the
 * snapshot @ret_kept of the place. -EXDEV: messages/, session.json, sessions and what is above them.
 */
int session_put_entry(struct sessions *s, const struct cred *who, uint64_t dir, const char *name, uint64_t from,
	char ret_kept[CORE_NAME_MAX + 1]);

#endif
