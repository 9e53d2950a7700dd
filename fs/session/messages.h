/*
 * messages.h: all messages of a session in their order, those in messages/archive/ included. Internal.
 */
#ifndef SCRIBEFS_FS_SESSION_MESSAGES_H
#define SCRIBEFS_FS_SESSION_MESSAGES_H

#include "fs/session/session_internal.h"

struct message_name {
	uint64_t ino;
	uint32_t number;
	bool archived;
};
struct message_list {
	struct message_name *at; /* by number; of two with the same, the archived one first */
	size_t n, room;
	uint64_t dirs[2]; /* messages/ and messages/archive/, 0: there is none */
};
/* Takes the container's lock to read. What is damaged is left out of its directory, not of the list. */
int message_list_load(struct sessions *s, struct inode *session, struct message_list *ret_list);
void message_list_release(struct message_list *list);

/* A session's record as it is committed. Takes the container's lock to read. */
int record_read(struct sessions *s, struct container *c, struct srec *ret_rec);
/* transcript_past.c: of a session in a snapshot, as of then; and what beside it a transcript needs. */
int record_read_past(struct sessions *s, struct inode *session, struct srec *ret_rec);
struct transcript;
int transcript_load_past(struct sessions *s, struct inode *session, const struct srec *rec, struct transcript *t);

#endif
