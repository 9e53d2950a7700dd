/*
 * harm.h: what is done to a store on disk by one who has no key: to its files as they are, and to the sealed
 * records in them by way of the engine. For tests/tamper.
 */
#ifndef SCRIBEFS_TESTS_TAMPER_HARM_H
#define SCRIBEFS_TESTS_TAMPER_HARM_H

#include "kv/kv.h"

#include <sys/types.h>

/* Numbers by seed (splitmix64). */
struct dice {
	uint64_t state;
};
uint64_t dice_draw(struct dice *d, uint64_t below);

enum harm {
	/* of a file */
	HARM_FLIP, HARM_CUT, HARM_ZERO, HARM_REMOVE, HARM_OLDER, HARM_EXCHANGE,
	/* of a record */
	HARM_RECORD_FLIP, HARM_RECORD_CUT, HARM_RECORD_DROP, HARM_RECORD_SWAP, HARM_RECORD_REPLAY,
	HARM_RECORD_REVIVE, HARM_KINDS
};
extern const char *const harm_names[HARM_KINDS];

/* Names of all files of the store, "db/000012.sst", but for `lock`; the caller frees all. */
int harm_files(const char *store, char ***ret_files, size_t *ret_n);
/* The size of @file, or -errno. */
off_t harm_size(const char *store, const char *file);
/* One bit of the byte at @at. */
int harm_flip(const char *store, const char *file, off_t at, unsigned bit);

/*
 * Does it, as the dice have it; @older is an earlier state of the store. @ret_text: what was done. Returns 1
 * where it changed nothing (there is none to do it to), -errno where it could not be done.
 * *@ret_data: only one file's data was hit.
 */
int harm(const char *store, const char *older, enum harm kind, struct dice *dice, char ret_text[200],
	bool *ret_data);

#endif
