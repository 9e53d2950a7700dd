/*
 * transcript.h: a session as whoever renders it sees it: its metadata, its messages in order (those in
 * messages/archive/ too), and their bytes. For fs/views.
 *
 * Data flow. What is derived from a session is true as long as its stamp is the same: container_stamp() is
 * called for each write to a message and each change of the record, in memory only. After a restart, or when
 * the stamp has risen for nothing, `source` decides: a hash of session.json and of when the record changed.
 * It counts only where `settled`: no message is being written, and the record is older than the clock's
 * steps, so that no later change can have the same time. Nothing is locked while content is read: each
 * message is whole as of some moment, and who finds the stamp risen afterwards keeps nothing.
 */
#ifndef SCRIBEFS_FS_SESSION_TRANSCRIPT_H
#define SCRIBEFS_FS_SESSION_TRANSCRIPT_H

#include "fs/session/files.h"
#include "fs/session/frontmatter.h"
#include "fs/session/session.h"
#include "fs/session/uuid.h"

/* ---- whether something is still true ---------------------------------------------------------- */

struct session_version {
	uint64_t stamp, names;	 /* equal later: nothing has changed. Filled first … */
	uint8_t source[16];	 /* … the rest by session_version() */
	bool settled;		 /* source may be compared after a restart */
	struct timespec changed; /* the newest change of anything in it, by time too */
	uint32_t total;		 /* messages, archived ones too */
	int64_t until;		 /* ms since 1970: then time alone changes a state, or who was interrupted */
};
/* Stamp and names alone, which is cheap. -ENOENT. */
int session_stamp(struct sessions *s, uint64_t session, struct session_version *ret_version);
/* Brings session.json up to date first. -ENOENT. */
int session_version(struct sessions *s, uint64_t session, struct session_version *ret_version);
/*
 * Whether what was derived at @then still holds at @now, of which stamp and names suffice: nothing has changed, and it
 * is not yet @then's until (which who derived something of many sessions sets to the least of theirs).
 */
bool session_version_holds(struct sessions *s, const struct session_version *then,
	const struct session_version *now);

/*
 * What the owner, the group and others of the directory @session may read of all its messages, as bits 4, 2
 * and 1: those that every message grants them.
 */
int session_readers(struct sessions *s, uint64_t session, unsigned *ret_bits);

/* The bytes that fs/views keeps with the session and gets back: -ENOENT. Gone with the session. */
int session_keep(struct sessions *s, uint64_t session, const void *data, size_t len);
int session_kept(struct sessions *s, uint64_t session, struct buf *ret_data);

/* memory_size alone. */
int session_memory_size(struct sessions *s, uint64_t session, uint32_t *ret_size);

/* The names of a user (then @ret_workflow is empty), or of a workflow and its user. CORE_NAME_MAX + 1 bytes each. */
int session_names(struct sessions *s, uint64_t dir, char *ret_user, char *ret_workflow);

/* Takes those out of @bits, as session_readers() has them, that may not read its context.json. */
int session_context_readers(struct sessions *s, uint64_t session, unsigned *bits);
/*
 * Tells of each file of a session that is not as documented, what was not taken of the last save of session.json
 * included: "field: reason; …" (broken.h).
 */
typedef void (*session_problem)(void *arg, const char *file, const char *reason);
int session_problems(struct sessions *s, uint64_t session, session_problem each, void *arg);

/* ROLE_…, ROLE_PLAIN where there is none. */
uint8_t session_role(struct sessions *s, uint64_t ino);

/* ---- what is in it ---------------------------------------------------------------------------- */

/* Strings are owned by the transcript; NULL: none. Times are ms since 1970. */
struct transcript_message {
	uint32_t number;
	uint32_t header; /* bytes of front matter before the content */
	uint64_t ino, size, tokens;
	int64_t time;
	enum message_role role;
	uint32_t mode, uid, gid;
	struct timespec mtime;
	bool archived, estimated;
	bool unreadable; /* its record is damaged: number and ino only */
	char *id, *agent, *model;
};

/* Why a session did not come to its end. */
enum interrupted {
	INTERRUPTED_DAEMON = 1, /* the daemon died while a file of it was open for writing */
	INTERRUPTED_AGENT = 2,	/* no answer to the last message, or open steps, five quiet minutes, not archived */
};

typedef void (*transcript_xattr)(void *arg, const char *name, const struct buf *value);

struct transcript {
	uint8_t session_id[16];
	char *user, *workflow, *title, *agent;
	const char *state;    /* a constant; now, as session.json has it */
	unsigned interrupted; /* enum interrupted */
	int64_t until;	      /* when time alone changes one of these two; INT64_MAX: never */
	int64_t trashed;      /* since when it lies in .trash; 0: it does not */
	char *history;	   /* of agents, a JSON array */
	char *metadata;	   /* the user's own keys, a JSON object */
	char *document;	   /* session.json, compact */
	char *context;	   /* context.json as it is, where it was asked for; NULL: there is none */
	size_t context_size;
	int64_t created, activity, changed;
	uint64_t tokens, switches;
	uint32_t counted; /* message_count: those in messages/, as everywhere */
	uint32_t memory_size;
	uint64_t memory_tokens;

	uint32_t total; /* messages in all, those in messages/archive/ too */
	uint32_t from;	/* those below, from this place in their order */
	size_t n;
	struct transcript_message *messages;

	struct session_files files; /* all that lies in the session, where it was asked for */
	/* The same as read() of any file that the transcript knows, by its number. */
	ssize_t (*read_file)(const struct transcript *t, uint64_t ino, void *data, size_t size, uint64_t offset);
	/* The extended attributes that are listed of one. */
	int (*xattrs)(const struct transcript *t, uint64_t ino, transcript_xattr each, void *arg);

	/* Up to @size bytes of message @i's file at @offset; the number, short only at the end, or -errno. */
	ssize_t (*read)(const struct transcript *t, size_t i, void *data, size_t size, uint64_t offset);
	void *arg;
};

/*
 * The session with @count messages from the place @from on (UINT32_MAX: all from there); where @last, the
 * last @count instead. Only these are looked at; where @count is 0 not even how many there are (total is 0).
 */
struct transcript_range {
	uint32_t from, count;
	bool last;
	bool context; /* context.json too */
	bool files; /* all files too */
	bool brief; /* without history, metadata and document, which are NULL then */
	bool as_is; /* session.json is not rendered first, as whoever looks at messages alone does not need it */
};
int transcript_open(struct sessions *s, uint64_t session, const struct transcript_range *range,
	struct transcript **ret_transcript);
void transcript_free(struct transcript *t);
/* Its own id, or the one that follows from session and number. */
const char *transcript_id(const struct transcript *t, const struct transcript_message *m,
	char buffer[UUID_LEN + 1]);

#endif
