/*
 * tally.h: what the messages of a session add to the figures of status/stats.json: kept with the session in the
 * catalogue, so that a change costs one session's messages, and added up. Pure but for tally_take().
 */
#ifndef SCRIBEFS_FS_VIEWS_TALLY_H
#define SCRIBEFS_FS_VIEWS_TALLY_H

#include "fs/session/transcript.h"

#define TALLY_ROLES 4
#define TALLY_LENGTHS 8
#define TALLY_WAITS 8

/* Upper bounds, which are not met: bytes of content, ms until the answer; beyond the last one is one more. */
extern const uint64_t tally_lengths[TALLY_LENGTHS - 1];
extern const uint64_t tally_waits[TALLY_WAITS - 1];

struct tally {
	uint64_t roles[TALLY_ROLES]; /* messages by enum message_role */
	uint64_t bytes;		     /* of their contents */
	uint64_t lengths[TALLY_LENGTHS];
	uint64_t hours[24]; /* messages by the hour (UTC) of their time */
	/* an answer: a message of the role assistant right after one of the user */
	uint64_t answers, waited; /* ms in all */
	uint64_t waits[TALLY_WAITS];
};
void tally_of(const struct transcript *t, struct tally *ret_tally);
void tally_add(struct tally *sum, const struct tally *t);
uint64_t tally_messages(const struct tally *t);
/* Of the session, as it is now, which lies in the directory @workflow. @walk may be NULL. -ENOENT, -EBADMSG. */
struct session_walk;
int tally_take(struct sessions *s, uint64_t session, uint64_t workflow, struct session_walk *walk,
	struct tally *ret_tally);

#endif
