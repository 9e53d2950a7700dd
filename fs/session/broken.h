/*
 * broken.h: which fields of a document that somebody saved are not as documented, in the order in which they were met.
 * Pure, any thread. What is told of them is ASCII on one line, whatever the document.
 */
#ifndef SCRIBEFS_FS_SESSION_BROKEN_H
#define SCRIBEFS_FS_SESSION_BROKEN_H

#include <stddef.h>

#define BROKEN_FIELD 96 /* bytes */
#define BROKEN_MAX 8	/* fields that are named; the others are counted */

struct broken {
	struct {
		char field[BROKEN_FIELD]; /* as "state.nextSteps[2].status"; empty: the document as a whole */
		const char *reason;	  /* a constant */
	} at[BROKEN_MAX];
	size_t n; /* how many there are, also of those that have no place */
};
/* @reason lives on. */
void broken_add(struct broken *b, const char *field, const char *reason);
/* "field: reason; field: reason; and 3 more", without a field the reason alone. NUL-terminated; "": all is well. */
#define BROKEN_TEXT (BROKEN_MAX * (BROKEN_FIELD + 80) + 32)
void broken_text(const struct broken *b, char ret_text[BROKEN_TEXT]);

#endif
