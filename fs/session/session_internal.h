/*
 * session_internal.h: the context of the session layer and what its files owe each other. Only for
 * fs/session.
 */
#ifndef SCRIBEFS_FS_SESSION_INTERNAL_H
#define SCRIBEFS_FS_SESSION_INTERNAL_H

#include "fs/session/broken.h"
#include "fs/session/memory.h"
#include "fs/session/news.h"
#include "fs/session/record.h"
#include "fs/session/session.h"
#include "fs/session/state.h"
#include "fs/session/steady.h"

#include <stdatomic.h>

#define SESSION_WRITERS 256 /* buckets */

struct sessions {
	struct core *core;
	void (*changed)(void *arg, uint64_t parent, const char *name);
	void *changed_arg;
	uint64_t epoch; /* how often a daemon died on this store; constant */
	_Atomic uint64_t policies; /* raised when a policy is set or removed */
	struct autos *autos;	   /* auto.h; NULL: there are none */
	struct lifecycle *lifecycle; /* lifecycle.h; NULL: there is none */
	_Atomic uint64_t
	        names; /* raised when a user, workflow or session gets another name or place */
	unsigned interrupted; /* constant */
	struct news news;     /* news.h */
	pthread_mutex_t writers_lock; /* writers.c; nothing but kv's is taken inside */
	struct writing *writing[SESSION_WRITERS];
	_Atomic int64_t clock_shift; /* ms; tests let hours pass */
	_Atomic int64_t clock_set;   /* ms; by so much tests set the clock forward */
	pthread_mutex_t steady_lock; /* open.c; nothing is taken inside */
	struct steady steady;
	bool steady_begun;
};

/* The root directory of a container has its first number. */
static inline uint64_t container_root(const struct container *c)
{
	return (uint64_t)c->id << 8;
}

/* past_json.c: the directory that @dir lies in; above the top of a snapshot it is the present one. */
int past_dir_above(struct inode *dir, struct inode **ret_parent);

struct memory_policy {
	uint32_t size;
	uint64_t tokens;
};
int policy_memory(struct sessions *s, struct inode *session, struct memory_policy *ret_policy);
int policy_ages(struct sessions *s, struct inode *session, struct ages *ret_ages);

#define ARCHIVE_NAME "archive" /* in messages/ */

/* open.c: the role of a directory (it never changes), ROLE_PLAIN where there is none. */
uint8_t session_dir_role(struct sessions *s, uint64_t ino);

/*
 * policy.c: the value of a policy of property.h for a directory that has it, inherits it or has the fallback; of a
 * snapshot's as far as that reaches.
 * No locks are held. It holds as long as s->policies and s->names are what they were.
 */
int session_policy(struct sessions *s, struct inode *dir, const char *property, int64_t *ret_value);

/* place.c: where a session lies. */
struct place {
	struct container *user; /* a reference */
	char user_name[CORE_NAME_MAX + 1];
	char workflow_name[CORE_NAME_MAX + 1];
	bool trash; /* it lies in .trash */
};
void place_release(struct place *p);
#define _cleanup_place_ _cleanup_(place_release)
/* In an op with the session's container locked. */
int place_of_session(struct op *op, struct container *session, struct place *ret_place);
/* Now; the policies as they were when session.json was last looked at. The container is locked. */
struct moment place_moment(struct sessions *s, const struct container *session, const struct place *place);
int64_t session_clock(struct sessions *s); /* ms since 1970 */
/*
 * The same by steady.h, where it is about what is dropped when it is old: how late it is at least, by which ages are
 * counted, and at most, which is noted of what begins to age.
 */
int64_t session_clock_least(struct sessions *s);
int64_t session_clock_most(struct sessions *s);
/* The container of the user that @dir, a workflow's directory, belongs to. */
int place_user_of(struct op *op, struct inode *dir, struct container **ret_user);
/* Whether @workflow, a workflow's directory, lies in .trash. In an op. */
int place_in_trash(struct op *op, struct inode *workflow, bool *ret_trash);
/* Stores the name of a user or workflow with its container. */
int place_put_name(struct op *op, struct container *c, const char *name, size_t len);

/* ids.c: rows of the user's container. */
int ids_put(struct op *op, struct container *user, const uint8_t id[16], uint32_t container);
int ids_delete(struct op *op, struct container *user, const uint8_t id[16]);
/* The container of the session that holds it. -ENOENT. */
int ids_holder(struct op *op, struct container *user, const uint8_t id[16], uint32_t *ret_container);
/* Whether another session than @container holds it. */
int ids_taken(struct op *op, struct container *user, const uint8_t id[16], uint32_t container,
        bool *ret_taken);
/* The number in SESSION-YYMMDD-NNN, with the day as the number YYMMDD; 0 for other names. */
uint32_t ids_session_number(const char *name, size_t len, uint32_t *ret_day);

/* recovery.c: the number that recovery ids of the place @dir have, 0: one of core's. No locks are held. */
uint32_t recovery_number(struct sessions *s, struct inode *dir);
/* The session has a name, or another one. The container is write-locked, or not yet published. */
void recovery_named(struct container *session, const char *name, size_t len);
int ids_get_day(struct op *op, struct container *user, uint32_t day, uint32_t *ret_number);
int ids_raise_day(struct op *op, struct container *user, uint32_t day, uint32_t number);

/* maker.c */
pid_t maker_process(pid_t thread); /* its thread group; @thread itself where /proc does not say */
int64_t maker_clock(void);         /* CLOCK_BOOTTIME, ms */
/* The process of @thread makes the session. */
void maker_begin(struct sessions *s, struct session_memory *memory, pid_t thread);
/* In the session, write-locked, something is made or gets a name: the regular file of this number, or 0. */
void maker_goes_on(struct sessions *s, struct container *c, uint64_t file);
/* A file that was open for writing is closed. No locks are held. */
void maker_closed(struct sessions *s, struct inode *file);
/* The maker looks for a part that does not exist for it. False: from now on it does. */
bool maker_misses(struct sessions *s, struct inode *dir, unsigned part);
/*
 * The automatic parts (SREC_MESSAGES_AUTO, SREC_JSON_AUTO) of the session directory @dir that do
 * not exist for @who. *ret_pending: those that do not exist for its maker, who lives.
 */
unsigned maker_hidden(
        struct sessions *s, const struct cred *who, struct inode *dir, unsigned *ret_pending);
/* mkdir messages, create session.json by the maker: 1 adopted, 0 not hidden (any more). */
int maker_adopt(
        struct sessions *s, const struct cred *who, uint64_t parent, const char *name, mode_t mode);

/* writers.c */
/* Whether a file of the session, the container of this number, is open for writing. */
bool writers_any(struct sessions *s, uint32_t session);
/*
 * enum interrupted of a session; *until is lowered to when time alone changes that, *changed raised to when it did. The
 * record is freshened, and no lock of the container's is held.
 */
unsigned session_interruption(struct sessions *s, uint32_t session, const struct srec *rec,
        const struct moment *m, int64_t *until, int64_t *changed);
/* What time makes of a session, and where that is. */
struct session_now {
	struct place place;   /* to be released */
	uint8_t state;        /* enum state */
	int64_t until;        /* when time alone makes any of it another; TIME_NEVER */
	unsigned interrupted; /* enum interrupted */
};
/* *changed: as session_interruption(). The record is freshened, and no lock of the container's is held. */
int session_look(struct sessions *s, struct inode *session, const struct srec *rec, struct session_now *ret_now,
        int64_t *changed);
/* Before a file is released. */
void writers_closed(struct sessions *s, struct file *file);
void writers_release(struct sessions *s);
/* At the start: marks the sessions in which a daemon that died had files open for writing. */
void writers_interrupted(struct sessions *s);

/* snapshots.c: for numbers that are not of the present */
#define SNAPSHOTS_NAME ".snapshots"
/* What a change of @ino gets: 0 in the present, -EROFS in a snapshot, -EPERM in .snapshots/ itself. */
int snapshots_refuse(uint64_t ino);
/* .snapshots of @parent; -ENOENT where there is none. */
int snapshots_lookup_dir(struct sessions *s, uint64_t parent, struct core_entry *ret_entry);
int snapshots_lookup(struct sessions *s, uint64_t parent, const char *name, struct core_entry *ret_entry);
int snapshots_make(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        const struct core_make *make, struct core_entry *ret_entry);
int snapshots_rmdir(struct sessions *s, uint64_t parent, const char *name);
int snapshots_rename(struct sessions *s, uint64_t parent, const char *name, uint64_t new_parent,
        const char *new_name, unsigned flags);

/* past_json.c: for core_set_past_loaded() */
int past_json_loaded(void *arg, struct inode *file);

/* rules.c */
uint8_t rules_role(uint8_t parent_role, const char *name, size_t len, mode_t type);
/* Whether @name may be made in a directory of @parent_role: 0, -EPERM. */
int rules_check_name(uint8_t parent_role, const char *name, size_t len, mode_t type);
bool rules_is_next(uint8_t parent_role, const char *name);

/*
 * rename.c: the daemon itself renames, where nothing has the new name (-EEXIST). -EBUSY: the session @ino has files
 * open for writing, or another activity than @activity; -ENOENT: the name is not @ino's any more.
 */
struct rename_expected {
	uint64_t ino;
	int64_t activity; /* for files: any */
};
int rename_by_daemon(struct sessions *s, uint64_t parent, const char *name, uint64_t new_parent,
        const char *new_name, const struct rename_expected *expected);
/* remove.c: unlink(2) that takes no snapshot of a message that none has: it lay in .trash for long. */
int session_discard(struct sessions *s, const struct cred *who, uint64_t parent, const char *name);

/* take.c: a file that got or lost a meaning, inside an op that has @dir and @file staged. */
int take_message(struct op *op, struct inode *file, uint32_t number, struct srec *rec);
int take_message_gone(struct op *op, struct inode *file, uint32_t number, struct srec *rec);
/* In ops of their own. */
int take_in(struct sessions *s, struct inode *file);

/* make.c: the session's record and pair, for a directory that the op makes. */
struct make {
	struct sessions *s;
	bool create;       /* by open(O_CREAT) */
	const char *title; /* the user's, or NULL */
	bool numbered;     /* session_new(): the name is the next SESSION-YYMMDD-NNN … */
	char *name;        /* … and goes here, 32 bytes */
	mode_t type;       /* S_IFMT bits */
	struct srec rec;   /* loaded in plan for what is made in messages/ */
	bool have_rec;
};
int make_plan(struct op *op, void *arg);
int make_also(struct op *op, void *arg);

/* remove.c: the rows of a session, user or workflow whose directory @child goes. */
int remove_records(struct op *op, struct inode *child);
/*
 * @file lost its name in @dir (staged): it is no message, or no session.json, any more. Also for
 * renames.
 */
int remove_meaning(struct op *op, struct inode *dir, const char *name, size_t len,
        struct inode *file, struct srec *rec);

/* recount.c: all messages looked at again. In an op with the container locked, messages not staged.
 */
int recount(struct op *op, struct inode *session, struct srec *rec);
/* After a daemon died: takes in what it had no time for. No locks held. */
int recount_after_crash(struct sessions *s, struct inode *session);

/*
 * untaken.c: -EBUSY: @rec is of before a daemon's death, and something may have been written that was not taken in. The
 * first is of the container that @cold is at; the second of one whose lock is not held, @cold may be NULL.
 */
struct cold;
int untaken_cold(struct sessions *s, struct cold *cold, struct srec *rec);
int untaken_warm(struct sessions *s, struct container *c, struct cold *cold, struct srec *rec);

/* render.c */
struct shown {
	const char *title;
	uint8_t state;
	bool trash;
	uint64_t version;
	int64_t updated, activity;
	uint32_t messages;
	uint64_t tokens;
};
/* The canonical session.json, appended. */
int render_session(const struct srec *rec, const struct place *place, const struct shown *shown,
        struct buf *out);
const char *state_name(uint8_t state);
/* -EINVAL: no state. */
int state_parse(const char *name, uint8_t *ret_state);
/* A hash of the rendering without version and times of its own. */
int render_hash(struct op *op, uint32_t domain, const struct srec *rec,
        const struct place *place, const struct shown *shown, uint8_t ret_hash[16]);

/* json_file.c: the file session.json. */
#define JSON_NAME "session.json"
#define JSON_REJECTED "session.json.rejected"
/* Brings it up to date; no locks held. A store that cannot be written keeps the old one. */
int json_freshen(struct sessions *s, struct inode *session);
/*
 * Decides what is shown as version, updated_at and activity, and sets rec's; *ret_changed: whether that is
 * another file than the last rendering. Of @op only core and now are used.
 */
int json_settle(struct op *op, uint32_t domain, struct srec *rec, const struct place *place,
        const struct moment *moment, struct shown *ret_shown, bool *ret_changed);
/*
 * srec_load() for who changes what messages there are: what comes after all that a restored session.json told of is
 * the restore's no more, though nobody has looked at session.json in between.
 */
int json_load(struct op *op, struct sessions *s, struct container *c, struct srec *rec);
/*
 * In an op: settles version and times of @rec and puts a new inode with the rendering in the place
 * of
 * @old (NULL: there is none). @rec is changed, and stored by the caller.
 */
int json_replace(struct op *op, struct inode *session, struct inode *old, struct srec *rec,
        const struct place *place, const struct moment *moment);

/* Keeps @text as the rendering of @rec's version, for saves that are based on it; @rec is stored by the caller. */
int json_put_ring(struct op *op, struct container *c, struct srec *rec, const struct buf *text);

/* save.c: somebody wrote session.json. In an op with @file and @session's container locked. */
int save_take(struct op *op, struct sessions *s, struct inode *session, struct inode *file,
        struct srec *rec);

/* agent.c: the agent is @to (NULL: none) from now on; the history says so where there was one
 * before. */
int agent_switch(struct srec *rec, const char *to, const char *reason, int64_t now);
/* The file `agent`, staged, was written. */
int agent_take(struct op *op, struct inode *file, struct srec *rec);
/* Why the file names nobody. -ENODATA: it does, or it is blank. The inode is not locked. */
int agent_problem_of(struct inode *file, struct buf *ret_text);

/*
 * context.c: context.json, staged, was saved: @rec knows it from now on. *ret_step: its currentStep, keyDecisions or
 * blockers are others than those that this daemon saw last.
 */
int context_take(struct op *op, struct inode *file, struct srec *rec, bool *ret_step);
/* There is none any more. */
void context_gone(struct op *op, struct srec *rec);
/* The file context.json of a session, of the present or of a snapshot. -ENOENT. */
int context_find(struct sessions *s, struct inode *session, struct inode **ret_file);
/* Its bytes, and a NUL behind them; of one that is too large, JSON_MAX and one more. The inode is not locked. */
int context_text(struct inode *file, struct buf *ret_text);
/* What is in the file now counts as seen. The inode is not locked. */
void context_seen(struct inode *file);
/* What breaks the documented shape of the file. -ENODATA: nothing does. */
int context_problem_of(struct inode *file, struct buf *ret_text);

/*
 * keep.c: no version of a message or of context.json is lost between two automatic snapshots. In an op, with @file
 * staged, which is about to lose its name or its meaning: VERSION_UNHELD where no snapshot has its content, and the op
 * ends with that; then, without locks, version_keep() and the op again, for which *@kept is true.
 */
#define VERSION_UNHELD (-EUCLEAN)
int version_check(struct sessions *s, struct op *op, struct inode *file, bool kept);
void version_keep(struct sessions *s, uint64_t dir);
/* The same for one that is about to be truncated to @size; no locks are held. */
void version_keep_file(struct sessions *s, uint64_t ino, uint64_t size);

/* merge.c: pure. */
enum merge_kind { MERGE_NOTHING, MERGE_EDIT, MERGE_RESTORE };
struct merge {
	enum merge_kind kind;
	struct broken broken; /* fields that were not taken */
	/* MERGE_RESTORE: what the document said beside what is in the record now */
	bool has_id, has_version, has_updated, has_activity;
	uint8_t id[16];
	uint64_t version;
	int64_t updated, activity;
	uint32_t messages;
	uint64_t tokens;
	uint8_t state; /* STATE_AUTO: none */
	char *title;
};
void merge_release(struct merge *m);
/* The document's version; -ENOENT none. -EINVAL with a reason: no valid document. */
int merge_version(const char *text, size_t len, uint64_t *ret_version, const char **ret_reason);
/*
 * Merges the saved document into @rec. @base: the rendering of the version that it holds, NULL:
 * unknown.
 * @moment: also for a switch of agents. The id is not set here: see save.c.
 */
int merge_document(struct srec *rec, const char *text, size_t len, const char *base,
        size_t base_len, const struct moment *moment, struct merge *ret_merge, const char **ret_reason);

#endif
