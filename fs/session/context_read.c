/*
 * context_read.c: context.json read by a table of its fields.
 */
#include "fs/session/context.h"
#include "fs/session/json.h"
#include "fs/session/timestamp.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct broken broken;
	char path[BROKEN_FIELD]; /* of what is being read */
};

/* ---- paths of problems ------------------------------------------------------------------------ */

/* Returns what shortens the path again. */
static size_t enter(struct reading *r, const char *name)
{
	size_t len = strlen(r->path);
	snprintf(r->path + len, sizeof r->path - len, "%s%s", len ? "." : "", name);
	return len;
}

static size_t enter_element(struct reading *r, size_t index)
{
	size_t len = strlen(r->path);
	snprintf(r->path + len, sizeof r->path - len, "[%zu]", index);
	return len;
}

static void leave(struct reading *r, size_t len)
{
	r->path[len] = '\0';
}

static void problem(struct reading *r, const char *reason)
{
	broken_add(&r->broken, r->path, reason);
}

/* ---- values ------------------------------------------------------------------------------------ */

static bool is_absent(const char *value)
{
	return !value || json_type(value) == JSON_NULL;
}

/* A string; what cannot be one of ours (it has a NUL) is as good as an empty one, and that as none. */
static int read_string(const char *value, char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	int r = json_string(value, &text);

	if (r == 0 && text[0])
		*ret_text = steal_ptr(text);
	return r == -EINVAL ? 0 : r;
}

static int read_text(struct reading *rd, const char *value, char **ret_text)
{
	if (json_type(value) == JSON_STRING)
		return read_string(value, ret_text);
	problem(rd, "must be a string");
	return 0;
}

/* As it is written. */
static int read_verbatim(const char *value, char **ret_text)
{
	*ret_text = strdup(value);
	return *ret_text ? 0 : -ENOMEM;
}

static int read_state(struct reading *rd, const char *value, char **ret_text)
{
	enum json_type type = json_type(value);

	if (type == JSON_STRING)
		return read_string(value, ret_text);
	if (type == JSON_NUMBER || type == JSON_OBJECT)
		return read_verbatim(value, ret_text);
	problem(rd, "must be a string, a number or an object");
	return 0;
}

static int read_name(struct reading *rd, const char *value, char **ret_text)
{
	enum json_type type = json_type(value);

	if (type == JSON_STRING)
		return read_string(value, ret_text);
	if (type == JSON_NUMBER)
		return read_verbatim(value, ret_text);
	problem(rd, "must be a string or a number");
	return 0;
}

/* ---- lists ------------------------------------------------------------------------------------- */

typedef int (*read_element)(struct reading *rd, const char *value, void *element);

/* What all lists of context.h look like. */
struct list {
	char *at;
	size_t n;
};

/* Adds what @value is; nothing where that says nothing. */
static int add_element(struct reading *rd, const char *value, size_t size, read_element read, struct list *list)
{
	static const char nothing[sizeof(struct context_item) + sizeof(struct context_file)];
	char *grown = realloc(list->at, (list->n + 1) * size);

	if (!grown)
		return -ENOMEM;
	list->at = grown;
	char *element = memset(grown + list->n * size, 0, size);
	int r = read(rd, value, element);
	if (memcmp(element, nothing, size) != 0)
		list->n++;
	return r;
}

/* @one: a string by itself is a list of one. */
static int read_list(struct reading *rd, const char *value, bool one, size_t size, read_element read,
	void *ret_list)
{
	const char *p = value, *element;
	size_t len, index = 0;
	int r = 0;

	if (one && json_type(value) == JSON_STRING)
		return add_element(rd, value, size, read, ret_list);
	if (json_type(value) != JSON_ARRAY) {
		problem(rd, one ? "must be an array or a string" : "must be an array");
		return 0;
	}
	while (r == 0 && json_array_next(&p, &element, &len)) {
		_cleanup_free_ char *text = strndup(element, len);
		size_t path = enter_element(rd, index++);
		r = text ? add_element(rd, text, size, read, ret_list) : -ENOMEM;
		leave(rd, path);
	}
	return r;
}

static int read_text_element(struct reading *rd, const char *value, void *element)
{
	return read_text(rd, value, element);
}

static int read_name_element(struct reading *rd, const char *value, void *element)
{
	return read_name(rd, value, element);
}

/* ---- items -------------------------------------------------------------------------------------- */

/* What an item is called, the first that is there. */
static const char *const item_texts[] = {"title", "name", "text", "description", "task", "step", "decision",
	"summary", "topic", NULL};

static int read_member(struct reading *rd, const struct json_object *o, const char *key,
	int (*read)(struct reading *rd, const char *value, char **ret_text), char **field)
{
	const char *value = json_get(o, key);
	_cleanup_free_ char *text = NULL;

	if (is_absent(value))
		return 0;
	size_t path = enter(rd, key);
	int r = read(rd, value, &text);
	leave(rd, path);
	if (r == 0 && !*field)
		*field = steal_ptr(text);
	return r;
}

static int read_item_object(struct reading *rd, const struct json_object *o, struct context_item *item)
{
	static const char *const needs[] = {"dependencies", "dependsOn"};
	int r = 0;

	for (const char *const *key = item_texts; *key && r == 0; key++)
		r = read_member(rd, o, *key, read_text, &item->text);
	if (r == 0)
		r = read_member(rd, o, "id", read_name, &item->id);
	if (r == 0)
		r = read_member(rd, o, "status", read_text, &item->status);
	if (r == 0)
		r = read_member(rd, o, "reason", read_text, &item->reason);
	if (r == 0)
		r = read_member(rd, o, "rationale", read_text, &item->reason);
	for (size_t i = 0; i < 2 && r == 0; i++) {
		const char *value = json_get(o, needs[i]);
		if (is_absent(value))
			continue;
		size_t path = enter(rd, needs[i]);
		r = read_list(rd, value, true, sizeof(char *), read_name_element, &item->needs);
		leave(rd, path);
	}
	return r;
}

static int read_item(struct reading *rd, const char *value, void *element)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	struct context_item *item = element;
	enum json_type type = json_type(value);
	const char *reason;

	if (type == JSON_STRING)
		return read_string(value, &item->text);
	if (type == JSON_NUMBER)
		return read_verbatim(value, &item->text);
	if (type != JSON_OBJECT) {
		problem(rd, "must be a string, a number or an object");
		return 0;
	}
	int r = json_object_parse(value, strlen(value), &o, &reason);
	if (r == 0)
		r = read_item_object(rd, &o, item);
	if (r == 0 && !item->text)
		r = read_verbatim(item->id ? item->id : value, &item->text);
	return r;
}

/* ---- files -------------------------------------------------------------------------------------- */

static bool is_sha256(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

/* As far as a pattern in a schema can tell: digits where they belong, and a zone. */
static bool is_rfc3339(const char *text)
{
	static const char form[] = "dddd-dd-ddTdd:dd:dd";
	const char *p = text;

	for (const char *f = form; *f; f++, p++)
		if (*f == 'd' ? *p < '0' || *p > '9' : *f == 'T' ? !*p || !strchr("Tt ", *p) : *p != *f)
			return false;
	if (*p == '.') {
		size_t digits = strspn(p + 1, "0123456789");
		if (digits == 0)
			return false;
		p += 1 + digits;
	}
	if (*p == 'Z' || *p == 'z')
		return p[1] == '\0';
	return (*p == '+' || *p == '-') && strspn(p + 1, "0123456789") == 2 && p[3] == ':' &&
	       strspn(p + 4, "0123456789") == 2 && p[6] == '\0';
}

static int read_mtime(struct reading *rd, const char *value, struct context_file *file)
{
	_cleanup_free_ char *text = NULL;
	struct timespec ts;

	if (json_type(value) == JSON_NUMBER) {
		file->has_mtime = json_number(value, &file->mtime) == 0 && file->mtime >= 0;
		if (!file->has_mtime)
			problem(rd, "must not be negative");
		return 0;
	}
	int r = json_type(value) == JSON_STRING ? read_string(value, &text) : 0;
	if (r < 0)
		return r;
	if (!text || !is_rfc3339(text)) {
		problem(rd, "must be a time as 2026-11-21T10:30:00Z, or seconds since 1970");
	} else if (timestamp_parse(text, strlen(text), &ts) == 0) {
		file->has_mtime = true;
		file->mtime = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	}
	return 0;
}

static int read_sha256(struct reading *rd, const char *value, char **ret_text)
{
	_cleanup_free_ char *text = NULL;
	int r = json_type(value) == JSON_STRING ? read_string(value, &text) : 0;

	if (r < 0)
		return r;
	if (!text || !is_sha256(text)) {
		problem(rd, "must be a SHA-256 of 64 hexadecimal digits");
		return 0;
	}
	for (char *p = text; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	*ret_text = steal_ptr(text);
	return 0;
}

static int read_path(struct reading *rd, const char *value, char **ret_path)
{
	_cleanup_free_ char *text = NULL;
	int r = read_text(rd, value, &text);

	if (r == 0 && json_type(value) == JSON_STRING && strcmp(value, "\"\"") == 0)
		problem(rd, "must not be empty");
	else if (r == 0)
		*ret_path = steal_ptr(text);
	return r;
}

static int read_file_object(struct reading *rd, const struct json_object *o, struct context_file *file)
{
	const char *size = json_get(o, "size"), *mtime = json_get(o, "mtime");
	int r = read_member(rd, o, "path", read_path, &file->path);

	if (r == 0)
		r = read_member(rd, o, "sha256", read_sha256, &file->sha256);
	if (r == 0 && !is_absent(size)) {
		size_t path = enter(rd, "size");
		file->has_size = json_integer(size, &file->size) == 0;
		if (!file->has_size)
			problem(rd, "must be a number of bytes");
		leave(rd, path);
	}
	if (r == 0 && !is_absent(mtime)) {
		size_t path = enter(rd, "mtime");
		r = read_mtime(rd, mtime, file);
		leave(rd, path);
	}
	if (r == 0 && is_absent(json_get(o, "path")))
		problem(rd, "must have a path");
	return r;
}

static int read_file(struct reading *rd, const char *value, void *element)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	struct context_file *file = element;
	const char *reason;

	if (json_type(value) == JSON_STRING)
		return read_path(rd, value, &file->path);
	if (json_type(value) != JSON_OBJECT) {
		problem(rd, "must be a path, or an object that has one");
		return 0;
	}
	int r = json_object_parse(value, strlen(value), &o, &reason);
	return r < 0 ? r : read_file_object(rd, &o, file);
}

/* ---- the table ---------------------------------------------------------------------------------- */

enum kind {
	TEXT,  /* a string */
	STATE, /* a string, a number or an object */
	TEXTS, /* an array of strings, or one */
	ITEM,
	ITEMS,	    /* an array */
	ITEMS_OR_1, /* or a string */
	FILES,
};

static const struct field {
	const char *section, *key;
	enum kind kind;
	size_t at;
} fields[] = {
#define AT(field) offsetof(struct context, field)
	{"agent", "type", TEXT, AT(agent_type)},
	{"agent", "capabilities", TEXTS, AT(capabilities)},
	{"agent", "specialization", TEXT, AT(specialization)},
	{"context", "currentTask", ITEM, AT(task)},
	{"context", "currentPhase", TEXT, AT(phase)},
	{"context", "workingDirectory", TEXT, AT(directory)},
	{"context", "activeFiles", FILES, AT(active)},
	{"context", "conversationSummary", TEXT, AT(summary)},
	{"context", "keyDecisions", ITEMS, AT(decisions)},
	{"state", "completedSteps", ITEMS, AT(completed)},
	{"state", "currentStep", ITEM, AT(step)},
	{"state", "nextSteps", ITEMS, AT(next)},
	{"state", "blockers", ITEMS, AT(blockers)},
	{"state", "progress", STATE, AT(progress)},
	{"projectState", "currentPhase", TEXT, AT(project_phase)},
	{"projectState", "activeTasks", ITEMS, AT(tasks)},
	{"projectState", "recentCompletions", ITEMS, AT(completions)},
	{"projectState", "projectHealth", STATE, AT(health)},
	{"projectState", "criticalIssues", ITEMS, AT(issues)},
	{"conversationContext", "topic", TEXT, AT(topic)},
	{"conversationContext", "subTopic", TEXT, AT(subtopic)},
	{"conversationContext", "technicalFocus", TEXTS, AT(focus)},
	{"conversationContext", "recentDiscussions", ITEMS, AT(discussions)},
	{"codeContext", "lastModifiedFiles", FILES, AT(modified)},
	{"codeContext", "workingBranch", TEXT, AT(branch)},
	{"codeContext", "pendingChanges", ITEMS_OR_1, AT(pending)},
	{"codeContext", "buildStatus", STATE, AT(build)},
#undef AT
};
#define FIELDS (sizeof fields / sizeof *fields)

static int read_field(struct reading *rd, const struct field *f, const char *value, struct context *c)
{
	void *target = (char *)c + f->at;

	switch (f->kind) {
	case TEXT:
		return read_text(rd, value, target);
	case STATE:
		return read_state(rd, value, target);
	case TEXTS:
		return read_list(rd, value, true, sizeof(char *), read_text_element, target);
	case ITEM:
		return read_item(rd, value, target);
	case ITEMS:
	case ITEMS_OR_1:
		return read_list(rd, value, f->kind == ITEMS_OR_1, sizeof(struct context_item), read_item, target);
	case FILES:
		return read_list(rd, value, false, sizeof(struct context_file), read_file, target);
	}
	return 0;
}

/* All fields of the section, which is @value. */
static int read_section(struct reading *rd, const char *section, const char *value, struct context *c)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	const char *reason;
	int r = 0;

	if (json_type(value) != JSON_OBJECT) {
		problem(rd, "must be an object");
		return 0;
	}
	r = json_object_parse(value, strlen(value), &o, &reason);
	for (size_t i = 0; i < FIELDS && r == 0; i++) {
		const char *field = json_get(&o, fields[i].key);
		if (strcmp(fields[i].section, section) != 0 || is_absent(field))
			continue;
		size_t path = enter(rd, fields[i].key);
		r = read_field(rd, &fields[i], field, c);
		leave(rd, path);
	}
	return r;
}

int context_read(const char *text, size_t len, struct context *ret_context, struct broken *ret_broken)
{
	static const char *const sections[] = {"agent", "context", "state", "projectState",
		"conversationContext", "codeContext", "aiAgentState"};
	_cleanup_(json_object_release) struct json_object o = {0};
	struct context c = {0};
	struct reading rd = {0};
	const char *reason;

	int r = json_object_parse(text, len, &o, &reason);
	if (r < 0) {
		if (r == -EINVAL)
			broken_add(&rd.broken, "", reason);
		*ret_broken = rd.broken;
		return r;
	}
	for (size_t i = 0; i < sizeof sections / sizeof *sections && r == 0; i++) {
		const char *value = json_get(&o, sections[i]);
		if (is_absent(value))
			continue;
		size_t path = enter(&rd, sections[i]);
		r = read_section(&rd, sections[i], value, &c);
		leave(&rd, path);
	}
	if (r < 0) {
		context_release(&c);
		return r;
	}
	*ret_context = c;
	*ret_broken = rd.broken;
	return 0;
}

/* ---- memory ------------------------------------------------------------------------------------- */

static void texts_release(struct context_texts *texts)
{
	for (size_t i = 0; i < texts->n; i++)
		free(texts->at[i]);
	free(texts->at);
}

static void item_release(struct context_item *item)
{
	free(item->text);
	free(item->id);
	free(item->status);
	free(item->reason);
	texts_release(&item->needs);
}

static void items_release(struct context_items *items)
{
	for (size_t i = 0; i < items->n; i++)
		item_release(&items->at[i]);
	free(items->at);
}

static void files_release(struct context_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->at[i].path);
		free(files->at[i].sha256);
	}
	free(files->at);
}

void context_release(struct context *c)
{
	for (size_t i = 0; i < FIELDS; i++) {
		void *field = (char *)c + fields[i].at;
		switch (fields[i].kind) {
		case TEXT:
		case STATE:
			free(*(char **)field);
			break;
		case TEXTS:
			texts_release(field);
			break;
		case ITEM:
			item_release(field);
			break;
		case ITEMS:
		case ITEMS_OR_1:
			items_release(field);
			break;
		case FILES:
			files_release(field);
			break;
		}
	}
	*c = (struct context){0};
}
