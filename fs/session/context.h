/*
 * context.h: context.json, which an agent saves of its work: its documented shape, and what it says. Pure
 * functions, any thread; also for fs/views and tools. tools/context.schema.json tells the shape to others, and
 * scribefs(1) to people; the tests hold the three together.
 *
 * Whatever breaks the shape is left out, the rest is read: a document with a problem is still of use to who goes on.
 */
#ifndef SCRIBEFS_FS_SESSION_CONTEXT_H
#define SCRIBEFS_FS_SESSION_CONTEXT_H

#include "fs/session/broken.h"

#include <stdbool.h>
#include <stdint.h>

#define CONTEXT_NAME "context.json"

/* Strings are owned and UTF-8; NULL: not given. */
struct context_texts {
	char **at;
	size_t n;
};
/* A task, step, decision, issue …: a text, a number, or an object that has a text. */
struct context_item {
	char *text, *id, *status, *reason;
	struct context_texts needs; /* its dependencies */
};
struct context_items {
	struct context_item *at;
	size_t n;
};
struct context_file {
	char *path;
	char *sha256; /* in lower case */
	bool has_size, has_mtime;
	uint64_t size;
	double mtime; /* seconds since 1970 */
};
struct context_files {
	struct context_file *at;
	size_t n;
};

struct context {
	/* agent */
	char *agent_type, *specialization;
	struct context_texts capabilities;
	/* context */
	struct context_item task;
	char *phase, *directory, *summary;
	struct context_files active;
	struct context_items decisions;
	/* state */
	struct context_items completed, next, blockers;
	struct context_item step;
	char *progress;
	/* projectState */
	char *project_phase, *health;
	struct context_items tasks, completions, issues;
	/* conversationContext */
	char *topic, *subtopic;
	struct context_texts focus;
	struct context_items discussions;
	/* codeContext */
	struct context_files modified;
	char *branch, *build;
	struct context_items pending;
};
void context_release(struct context *c);

/*
 * 0: read, @ret_broken says what is not as documented. -EINVAL: no JSON object, which is what is broken then. -ENOMEM.
 */
int context_read(const char *text, size_t len, struct context *ret_context, struct broken *ret_broken);

/* Whether its status, if it has one, does not say that it is over. */
bool context_item_open(const struct context_item *item);
/* Whether the word is one for something that has failed or cannot go on. */
bool context_word_is_bad(const char *word);
/* Whether @name is the id or the text of the item. */
bool context_item_named(const struct context_item *item, const char *name);
/* The number of open ones. */
size_t context_items_open(const struct context_items *items);
/*
 * The steps in their order: completed ones, the current one, those to come. NULL: no such step. @name: the id or
 * text of one, or its place from 1.
 */
const struct context_item *context_step(const struct context *c, size_t place);
const struct context_item *context_find_step(const struct context *c, const char *name, size_t *ret_place);

#endif
