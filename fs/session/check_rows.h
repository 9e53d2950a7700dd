/*
 * check_rows.h: what the files of the sessions' check share. check.c looks at rows, messages and sessions,
 * check_user.c at what concerns a user: ids and days.
 */
#ifndef SCRIBEFS_FS_SESSION_CHECK_ROWS_H
#define SCRIBEFS_FS_SESSION_CHECK_ROWS_H

#include "fs/session/check.h"
#include "fs/session/session_internal.h"

struct fact {
	uint64_t ino, tokens;
	int64_t time;
	uint16_t names; /* NNN.md that were found */
	bool title;	/* gives one */
};

struct id_row {
	uint8_t id[16];
	uint32_t container; /* whose session it is */
	uint32_t user;	    /* the container of the row; 0: of a session's record */
	bool paired;
	bool twin; /* another session has this id, and keeps it */
};

struct day_row {
	uint32_t day, number, user; /* user 0: of a name */
};

struct rows {
	void *items;
	size_t n, cap;
};

struct session_check {
	struct check_rules rules;
	/* The container at hand. */
	uint32_t container;
	struct srec rec;
	int rec_error; /* -ENOENT: no row was seen */
	uint16_t ring; /* rows of renderings that were seen */
	uint64_t ring_version; /* of the newest, and its text */
	struct buf ring_text;
	struct rows facts;
	/* What its entries come to. */
	uint32_t messages, number_high, title_number;
	uint64_t tokens;
	int64_t activity;
	bool shared; /* a message has several names: which of them gives the title depends */
	/* The domain at hand. */
	struct rows ids, days;
	uint32_t user;
};

/* Room for one more, zeroed; NULL: no memory. */
void *rows_add(struct rows *rows, size_t size);
#define ROWS_ADD(rows, type) ((type *)rows_add(rows, sizeof(type)))
#define ROWS_AT(rows, type, i) (&((type *)(rows)->items)[i])

static inline struct key row_key(struct check *c, uint32_t container, uint8_t which)
{
	struct key key = key_make(check_domain(c), container, KEY_SESSION, 0);
	key_add_u8(&key, which);
	return key;
}

/* check_user.c: struct check_rules' end_domain. */
int check_user_end(void *arg, struct check *c, uint32_t domain);

#endif
