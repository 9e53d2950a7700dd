/*
 * report.h: facts that a verb prints, as lines for people or as one JSON object. The only file of tools
 * that knows the JSON library.
 *
 * A row's key is its name in JSON; people see it with blanks for the underscores. Lists hold rows of
 * their own. Running out of memory is remembered and makes report_print() fail.
 */
#ifndef SCRIBEFS_TOOLS_REPORT_H
#define SCRIBEFS_TOOLS_REPORT_H

#include "kv/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct report;

/* NULL: no memory. Freed with report_free(). */
struct report *report_new(void);
void report_free(struct report *report);
DEFINE_CLEANUP(struct report *, report_free);

void report_text(struct report *report, const char *key, const char *value);
void report_number(struct report *report, const char *key, int64_t value);
/* A number, where @value is one, else text. */
void report_amount(struct report *report, const char *key, const char *value);
void report_flag(struct report *report, const char *key, bool value);
/* As text in RFC 3339, UTC. */
void report_time(struct report *report, const char *key, int64_t seconds);
/* The rows that follow belong to a new item of the list @key, until report_end_item(). */
void report_begin_item(struct report *report, const char *key);
void report_end_item(struct report *report);

/* The same for an object @key. */
void report_begin_object(struct report *report, const char *key);
/* A list of texts, empty at first, in the current item or at the top; and one more text in it. */
void report_list(struct report *report, const char *key);
void report_add(struct report *report, const char *key, const char *value);

/* {"status":"failed","error":…} on standard output: what a verb with --json says where it could not do its work. */
void report_failure(const char *error);

/* On standard output. 0 or -ENOMEM. */
int report_print(const struct report *report, bool json);

#endif
