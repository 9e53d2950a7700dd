/*
 * journal.h: all that happened on a recorded filesystem, in order: record.c writes it, survive.c and
 * the harness read it. A record, in the machine's own byte order:
 *
 *   u32 bytes of the whole record | u8 type | u8 0 | u16 length of the first path |
 *   u32 id of the file | u64 ns since the recording began | u64 offset or size | first path | rest
 *
 * The rest is a second path (RENAME, LINK), the bytes of a WRITE, or the text of an ACK.
 */
#ifndef SCRIBEFS_TESTS_POWER_JOURNAL_H
#define SCRIBEFS_TESTS_POWER_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

enum journal_type {
	JOURNAL_BASE = 1, /* a file that was there at the start: path, id */
	JOURNAL_CREATE,	  /* path, id; value: mode */
	JOURNAL_MKDIR,	  /* path; value: mode */
	JOURNAL_LINK,	  /* path, new path, id */
	JOURNAL_UNLINK,	  /* path, id */
	JOURNAL_RMDIR,	  /* path */
	JOURNAL_RENAME,	  /* path, new path, id (0: a directory) */
	JOURNAL_WRITE,	  /* id; value: offset; bytes */
	JOURNAL_TRUNCATE, /* id; value: size */
	JOURNAL_FSYNC,	  /* id */
	JOURNAL_FSYNCDIR, /* path */
	JOURNAL_ACK,	  /* text that the load wrote down */
};

struct journal_head {
	uint32_t bytes;
	uint8_t type;
	uint8_t zero;
	uint16_t path_len;
	uint32_t id;
	uint32_t pad;
	uint64_t time;
	uint64_t value;
};

struct journal_record {
	const struct journal_head *head;
	const char *path; /* path_len bytes, not terminated */
	const char *rest;
	size_t rest_len;
};

/* Appends to the file @fd. 0 or -errno; time is filled in. */
int journal_append(int fd, struct journal_head head, const char *path, const void *rest, size_t rest_len);

struct journal {
	const uint8_t *data;
	size_t size, at;
};

/* Maps the whole file. 0 or -errno. */
int journal_open(const char *path, struct journal *ret_journal);
void journal_close(struct journal *journal);
/* 1: the next record, 0: the end (one that is cut off ends it, too). */
int journal_next(struct journal *journal, struct journal_record *ret_record);

#endif
