#include "fs/session/broken.h"

#include <stdio.h>

void broken_add(struct broken *b, const char *field, const char *reason)
{
	if (b->n < BROKEN_MAX) {
		snprintf(b->at[b->n].field, BROKEN_FIELD, "%s", field);
		b->at[b->n].reason = reason;
	}
	b->n++;
}

void broken_text(const struct broken *b, char ret_text[BROKEN_TEXT])
{
	size_t named = b->n < BROKEN_MAX ? b->n : BROKEN_MAX;
	int at = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < named; i++) {
		const char *field = b->at[i].field;
		at += snprintf(ret_text + at, BROKEN_TEXT - (size_t)at, "%s%s%s%.78s", i ? "; " : "", field,
			field[0] ? ": " : "", b->at[i].reason);
	}
	if (b->n > named)
		snprintf(ret_text + at, BROKEN_TEXT - (size_t)at, "; and %zu more", b->n - named);
}
