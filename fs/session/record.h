/*
 * record.h: the session's record and what else the session layer stores beside the inodes: rows
 * under (container, KEY_SESSION, which). README.md has the bytes of each. Under the container's
 * lock.
 */
#ifndef SCRIBEFS_FS_SESSION_RECORD_H
#define SCRIBEFS_FS_SESSION_RECORD_H

#include "fs/core/op.h"
#include "fs/session/message.h"

/* Numbers are part of the format. */
enum record_which {
	RECORD_SESSION = 0, /* a session: struct srec */
	RECORD_NAME = 2,    /* a user, a workflow: its directory's name, for session.json */
	RECORD_ID = 3,	    /* a user; key: + 16 bytes session_id; u32 container of its session */
	RECORD_DAY = 4,	    /* a user; key: + u32 YYMMDD; u32 the highest SESSION-YYMMDD-NNN ever */
	RECORD_STORE = 5,   /* users/: u64 how often a daemon died on this store */
	RECORD_KEPT = 6,    /* a session: what fs/views keeps with it (transcript.h) */
	RECORD_HIDDEN = 10,  /* users/; key: + u64 directory in which something hidden may lie (putback.h); u8 1 */
	RECORD_RING = 16,   /* 16 … 31, a session: 16 + version mod 16: u64 version | rendering */
};
#define RECORD_RING_SIZE 16

enum srec_flags {
	SREC_MESSAGES_AUTO = 1,	  /* messages/ is mkdir's, and nothing was made in it */
	SREC_JSON_AUTO = 2,	  /* session.json was never saved by anybody */
	SREC_JSON_GONE = 4,	  /* session.json was unlinked or renamed away */
	SREC_CHANGED = 8,	  /* facts have changed since the last rendering */
	SREC_RECOUNT = 16,	  /* activity or title need a look at all messages */
	SREC_FILE_STALE = 32,	  /* the file is not the last rendering: a save was taken in */
	SREC_CLAIM = 64,	  /* claim_* hold what a restored session.json said */
	SREC_CLAIM_MATCHED = 128, /* and the session has come to be so */
	SREC_INTERRUPTED = 256,	  /* the daemon died while a file of it was open for writing */
	SREC_STATE_RESTORED = 512, /* state is a restored document's: see state.c */
	SREC_ARCHIVED = 1024,	  /* messages/archive/ holds some, of which title and activity may be */
	SREC_PACKED = 2048,	  /* its records were packed, and no message has changed since */
	SREC_PACKED_SAID = 4096,  /* a restored document says so, and soon it will be */
	SREC_AGENT_BROKEN = 8192, /* the file `agent` names nobody */
};

/* Numbers are part of the format. Automatic: see state.h. */
enum session_state {
	STATE_AUTO = 0,
	STATE_ACTIVE = 1,
	STATE_IDLE = 2,
	STATE_ARCHIVED = 3,
	STATE_DELETED = 4
};
#define STATES 5

/* What context.json says of the session. */
enum srec_context {
	CONTEXT_OPEN = 1,   /* it has next steps that are open */
	CONTEXT_BROKEN = 2, /* it is no JSON, or breaks the schema */
};

#define ACTIVITY_NONE INT64_MIN

/* Times are ms since 1970. Strings are owned, NULL is empty; those in JSON are compact text. */
struct srec {
	uint16_t flags;
	uint8_t state;
	uint8_t id[16];
	int64_t created, updated, changed;
	uint64_t version, version_high; /* version: of the last rendering */
	uint32_t messages;
	uint64_t tokens;
	int64_t activity;      /* the newest message's time, or ACTIVITY_NONE */
	uint32_t number_high;  /* of any NNN.md ever */
	uint32_t title_number; /* the message that auto_title comes from, 0 none */
	uint64_t epoch;     /* RECORD_STORE's when the messages were last known to be as counted */
	uint16_t ring_used; /* bit n: RECORD_RING + n exists */
	uint8_t rendered_hash[16];
	uint8_t claim_hash[16];
	uint64_t claim_version;
	int64_t claim_updated, claim_activity;
	uint64_t switches;
	uint32_t last_number; /* the highest number in messages/, 0 none … */
	uint8_t last_role;    /* … and that message's role */
	uint8_t context;      /* enum srec_context */
	uint8_t shown_state;  /* in the last rendering */
	uint8_t claim_state;
	int64_t claim_until; /* how long claim_state is shown though time has gone on */
	int64_t trashed;     /* when it came to lie in .trash; 0: it does not, or is not known yet */
	bool trouble;     /* not stored: the message that was just taken in reports an error */
	char *title;      /* the user's */
	char *auto_title; /* of the first user message */
	char *agent;      /* agent.current */
	char *history;    /* JSON array */
	char *metadata;   /* JSON object: the user's keys */
	char *extra;      /* JSON object: unknown keys of the top level */
	char *agent_file; /* whom the file `agent` named last */
	char *broken;     /* what of the last save of session.json was not taken, and why */
};
void srec_release(struct srec *rec);
int srec_encode(const struct srec *rec, struct buf *ret_record); /* appends */
int srec_decode(
        const void *data, size_t len, struct srec *ret_rec); /* -EBADMSG, -EPROTONOSUPPORT */

/* In an op with the container locked. A session without a record is -EBADMSG. */
int srec_load(struct op *op, struct container *c, struct srec *ret_rec);
/* Also marks the session's rendering as to be looked at again. */
int srec_store(struct op *op, struct container *c, const struct srec *rec);
/* Replaces a string; NULL or "" is empty. -ENOMEM. */
int srec_set(char **field, const char *text);

/* Facts have changed at op->now. */
void srec_changed(struct srec *rec, const struct timespec *now);
/*
 * The message @number is now @m, NULL: gone; it was @old, NULL: none. @title: see message_read().
 * Sets SREC_RECOUNT where only a look at all messages can tell.
 */
int srec_change_message(struct srec *rec, uint32_t number, const struct message *old,
        const struct message *m, const char *title);
/* Whether what comes is what a restored session.json told of. */
bool srec_is_restoring(const struct srec *rec);
/*
 * The name NNN.md with @number came. A message above all before ends SREC_INTERRUPTED and the user's state, but for
 * those that a restore brings.
 */
void srec_number_used(struct srec *rec, uint32_t number, bool message);
/*
 * A user's title that is equal to the automatic one counts as automatic, as when session.json comes back
 * before the message that gave it.
 */
void srec_settle_title(struct srec *rec);
/* The title that is shown; NUL-terminated in @buffer where it is the one from the id. */
const char *srec_title(const struct srec *rec, char buffer[TITLE_AUTO_MAX + 1]);

#define _cleanup_srec_ _cleanup_(srec_release)

#endif
