/*
 * message.h: what is known of a message: its facts, kept with its inode (inode->facts).
 * Pure but for message_read(). Any thread.
 *
 *   0  u8   format (1)
 *   1  u8   role (frontmatter.h)
 *   2  u8   flags: 1 tokens are an estimate, 2 the time is the front matter's, 4 there is a text
 *   3  u16  names: how many NNN.md the inode has (hard links)
 *   5  u32  length of the front matter
 *   9  u64  time, ms since 1970 (two's complement)
 *  17  u64  tokens
 *  25  u64  the inode's size, and
 *  33  u64  s, u32 ns: its mtime, when it was taken in
 *  45  u8   length, bytes: id · the same: agent · model
 */
#ifndef SCRIBEFS_FS_SESSION_MESSAGE_H
#define SCRIBEFS_FS_SESSION_MESSAGE_H

#include "fs/core/inode.h"
#include "fs/session/frontmatter.h"
#include "fs/session/title.h"

enum message_flags { MESSAGE_ESTIMATED = 1, MESSAGE_TIMED = 2, MESSAGE_TEXT = 4 };

struct message {
	uint8_t role; /* enum message_role */
	uint8_t flags;
	uint16_t names;
	uint32_t header; /* bytes */
	int64_t time;    /* ms */
	uint64_t tokens;
	uint64_t size;
	struct timespec mtime;
	bool trouble; /* it reports an error; known to message_read() only, not stored */
	/* empty: none given */
	char id[FRONTMATTER_TEXT + 1], agent[FRONTMATTER_TEXT + 1], model[FRONTMATTER_TEXT + 1];
};

/* -ENOMEM. The caller owns the blob. */
int message_encode(const struct message *m, struct blob **ret_facts);
/* @facts may be NULL: -ENOENT. -EBADMSG, -EPROTONOSUPPORT. */
int message_decode(const struct blob *facts, struct message *ret_message);
/* Whether the file has not been written since. */
bool message_is_as_taken(const struct message *m, const struct irec *rec);

/*
 * Reads the file, whose lock the caller holds (an op has it staged; @rec is the staged record).
 * Where the front matter has a time and no caller has set mtime, @rec's mtime becomes it.
 * @ret_title is the beginning of the text, empty where there is none. names becomes 1.
 */
int message_read(struct inode *inode, struct irec *rec, struct message *ret_message,
        char ret_title[TITLE_AUTO_MAX + 1]);
/* The time of one whose front matter has none: the earlier of birth and mtime. */
int64_t message_file_time(const struct irec *rec);

#endif
