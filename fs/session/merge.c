/*
 * merge.c: somebody's session.json into the record. Against the rendering that it was made from a
 * field is the user's only where it differs, so that what has changed meanwhile stays. A document
 * of which that rendering is not known (any more) is a restore, and is taken whole. A field of the user's that cannot
 * be what it should be stays as it was, and is told of (broken.h).
 */
#include "fs/session/json.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

static const char *const known[] = {"session_id", "user_id", "workflow_type", "title", "state",
        "created_at", "updated_at", "version", "message_count", "metadata", "agent",
        "interrupted", "deleted_at", NULL};
static const char *const derived_metadata[] = {"total_tokens", "last_activity", "compressed", NULL};

#define _cleanup_object_ _cleanup_(json_object_release)

void merge_release(struct merge *m)
{
	free(m->title);
	m->title = NULL;
}

static bool is_one_of(const char *key, const char *const *names)
{
	size_t len = strlen(key);
	for (; *names; names++)
		if (len == strlen(*names) + 2 && memcmp(key + 1, *names, len - 2) == 0)
			return true;
	return false;
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int parse_value(const char *value, struct json_object *ret_object)
{
	const char *reason;
	return json_object_parse(value, strlen(value), ret_object, &reason);
}

/* A member that is absent, or no object, has no members. */
static int get_object(const struct json_object *o, const char *name, struct json_object *ret_object)
{
	const char *value = json_get(o, name);
	int r = value ? parse_value(value, ret_object) : 0;
	return r == -EINVAL ? 0 : r;
}

static int get_string(const struct json_object *o, const char *name, char **ret_string)
{
	const char *value = json_get(o, name);
	return value ? json_string(value, ret_string) : -EINVAL;
}

static int get_time(const struct json_object *o, const char *name, int64_t *ret_ms)
{
	_cleanup_free_ char *text = NULL;
	struct timespec ts;
	int r = get_string(o, name, &text);
	if (r == 0)
		r = timestamp_parse(text, strlen(text), &ts);
	if (r == 0)
		*ret_ms = timestamp_ms(&ts);
	return r;
}

static int get_id(const struct json_object *o, uint8_t ret_id[16])
{
	_cleanup_free_ char *text = NULL;
	int r = get_string(o, "session_id", &text);
	return r < 0 ? r : uuid_parse(text, strlen(text), ret_id);
}

/* The member differs from the base's, or there is no base. */
static bool edited(const struct json_object *doc, const struct json_object *base, const char *name)
{
	const char *value = json_get(doc, name);
	return value && (!base || !same(value, json_get(base, name)));
}

/*
 * Three ways, key by key, into the object text *field. @base NULL: the document's members replace
 * all.
 * @partial: what the document leaves out stays.
 */
static int merge_members(char **field, const struct json_object *doc,
        const struct json_object *base, const char *const *except, bool partial)
{
	_cleanup_object_ struct json_object ours = {0};
	_cleanup_buf_ struct buf text = {0};
	int r = base && *field ? parse_value(*field, &ours) : 0;

	for (size_t i = 0; base && !partial && i < base->n && r == 0; i++)
		if (!json_get_key(doc, base->members[i].key))
			r = json_set_key(&ours, base->members[i].key, NULL);
	for (size_t i = 0; i < doc->n && r == 0; i++) {
		const struct json_member *m = &doc->members[i];
		if (!is_one_of(m->key, except) &&
		        !(base && same(m->value, json_get_key(base, m->key))))
			r = json_set_key(&ours, m->key, m->value);
	}
	if (r == 0)
		r = json_object_text(&ours, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r == 0)
		r = srec_set(field, ours.n ? (const char *)text.data : NULL);
	return r == -EINVAL ? -EBADMSG : r; /* *field is ours */
}

static int merge_title(struct srec *rec, const struct json_object *doc,
        const struct json_object *base, bool partial, struct broken *broken)
{
	_cleanup_free_ char *title = NULL;

	if (!json_get(doc, "title"))
		return partial ? 0 : srec_set(&rec->title, NULL);
	if (!edited(doc, base, "title"))
		return 0;
	int r = get_string(doc, "title", &title);
	if (r == -EINVAL)
		broken_add(broken, "title", "must be a string without NUL");
	return r == 0 ? srec_set(&rec->title, title) : r == -EINVAL ? 0 : r;
}

static int get_state(const struct json_object *o, uint8_t *ret_state)
{
	_cleanup_free_ char *name = NULL;
	int r = get_string(o, "state", &name);
	return r < 0 ? r : state_parse(name, ret_state);
}

/* One that time gives anyway is nobody's: it goes on by itself. */
static int merge_state(struct srec *rec, const struct json_object *doc,
        const struct json_object *base, const struct moment *moment, struct broken *broken)
{
	uint8_t state;

	if (!edited(doc, base, "state"))
		return 0;
	int r = get_state(doc, &state);
	if (r == -EINVAL)
		broken_add(broken, "state", "must be active, idle, archived or deleted");
	if (r < 0)
		return r == -EINVAL ? 0 : r;
	if (!base) /* a restored one: see save.c */
		return 0;
	rec->state = state == srec_automatic_state(rec, moment) ? STATE_AUTO : state;
	/* what a restored document said of it is over, too */
	rec->flags &= (uint16_t) ~(SREC_STATE_RESTORED | SREC_CLAIM | SREC_CLAIM_MATCHED);
	return 0;
}

/* It is there or it is not: who takes it away has seen it. */
static void merge_interrupted(struct srec *rec, const struct json_object *doc,
        const struct json_object *base, bool partial)
{
	const char *value = json_get(doc, "interrupted");

	if ((base && same(value, json_get(base, "interrupted"))) || (partial && !value))
		return;
	rec->flags &= (uint16_t)~SREC_INTERRUPTED;
	if (value && strcmp(value, "true") == 0)
		rec->flags |= SREC_INTERRUPTED;
}

/* Whether it is packed is not for anybody to say; a restored session soon will be again. */
static void merge_compressed(struct srec *rec, const struct json_object *metadata, bool restore)
{
	const char *value = json_get(metadata, "compressed");

	if (restore && value && strcmp(value, "true") == 0 && !(rec->flags & SREC_PACKED))
		rec->flags |= SREC_PACKED_SAID;
}

static int merge_history(struct srec *rec, const struct json_object *doc, struct broken *broken)
{
	const char *history = json_get(doc, "history");
	if (!json_is_array(history)) {
		broken_add(broken, "agent.history", "must be an array");
		return 0;
	}
	return srec_set(&rec->history, strcmp(history, "[]") == 0 ? NULL : history);
}

/* What the file `agent` said (agent.c), of a restored document; one that does not say leaves what is known. */
static int merge_agent_file(struct srec *rec, const struct json_object *doc)
{
	_cleanup_free_ char *name = NULL;
	int r = get_string(doc, "file", &name);

	return r == 0 ? srec_set(&rec->agent_file, name) : r == -EINVAL ? 0 : r;
}

/* 1: *ret_current is another than before (NULL: none), for the caller to free. */
static int get_current(const struct srec *rec, const struct json_object *doc, const struct json_object *base,
	struct broken *broken, char **ret_current)
{
	_cleanup_free_ char *current = NULL;
	const char *value = json_get(doc, "current");

	if (!edited(doc, base, "current"))
		return 0;
	int r = strcmp(value, "null") == 0 ? 0 : json_string(value, &current);
	if (r == -EINVAL || (r == 0 && current && !*current))
		broken_add(broken, "agent.current", "must be a name, or null");
	if (r < 0 || (current && !*current) || same(current, rec->agent))
		return r == -EINVAL ? 0 : r;
	*ret_current = steal_ptr(current);
	return 1;
}

static int merge_agent(struct srec *rec, const struct json_object *doc,
        const struct json_object *base, int64_t now, struct broken *broken)
{
	_cleanup_free_ char *current = NULL;
	bool history = edited(doc, base, "history"), count = edited(doc, base, "switch_count");
	int r = history ? merge_history(rec, doc, broken) : 0;

	if (count && r == 0 && json_integer(json_get(doc, "switch_count"), &rec->switches) < 0)
		broken_add(broken, "agent.switch_count", "must be a whole number");
	if (r == 0 && !base)
		r = merge_agent_file(rec, doc);
	if (r == 0)
		r = get_current(rec, doc, base, broken, &current);
	if (r <= 0)
		return r;
	/* who writes the history as well has written the switch himself */
	if (!base || history)
		return srec_set(&rec->agent, current);
	uint64_t switches = rec->switches;
	r = agent_switch(rec, current, "session.json", now);
	if (count)
		rec->switches = switches;
	return r;
}

/* Members that have a type and nothing else that is checked elsewhere. */
static void check_types(const struct json_object *doc, const struct json_object *base, struct broken *broken)
{
	static const char *const objects[] = {"metadata", "agent"};
	const char *interrupted = json_get(doc, "interrupted"), *version = json_get(doc, "version");
	uint64_t number;
	uint8_t id[16];

	if (json_get(doc, "session_id") && get_id(doc, id) < 0)
		broken_add(broken, "session_id", "must be a UUID");
	if (version && json_integer(version, &number) < 0)
		broken_add(broken, "version", "must be a whole number");
	for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
		if (edited(doc, base, objects[i]) && json_type(json_get(doc, objects[i])) != JSON_OBJECT)
			broken_add(broken, objects[i], "must be an object");
	if (interrupted && json_type(interrupted) != JSON_BOOL)
		broken_add(broken, "interrupted", "must be true or false");
}

static int merge_all(struct srec *rec, const struct json_object *doc,
        const struct json_object *base, bool partial, const struct moment *moment, struct broken *broken)
{
	_cleanup_object_ struct json_object agent = {0}, base_agent = {0};
	_cleanup_object_ struct json_object metadata = {0}, base_metadata = {0};
	int64_t created = rec->created;

	check_types(doc, base, broken);
	int r = get_object(doc, "agent", &agent);
	if (r == 0)
		r = get_object(doc, "metadata", &metadata);
	if (r == 0 && base)
		r = get_object(base, "agent", &base_agent);
	if (r == 0 && base)
		r = get_object(base, "metadata", &base_metadata);
	if (r == 0)
		r = merge_title(rec, doc, base, partial, broken);
	if (r == 0)
		r = merge_state(rec, doc, base, moment, broken);
	if (r == 0)
		merge_interrupted(rec, doc, base, partial);
	if (r == 0 && edited(doc, base, "created_at") && get_time(doc, "created_at", &created) < 0)
		broken_add(broken, "created_at", "must be a time as 2026-11-21T10:30:00Z");
	rec->created = created;
	if (r == 0 && !base)
		get_time(doc, "deleted_at", &rec->trashed);
	if (r == 0)
		merge_compressed(rec, &metadata, !base);
	if (r == 0 && json_get(doc, "metadata"))
		r = merge_members(&rec->metadata, &metadata, base ? &base_metadata : NULL,
		        derived_metadata, partial);
	if (r == 0)
		r = merge_agent(rec, &agent, base ? &base_agent : NULL, moment->now, broken);
	return r < 0 ? r : merge_members(&rec->extra, doc, base, known, partial);
}

/* What a claim needs of the derived fields. */
static int read_derived(const struct json_object *doc, struct merge *m)
{
	_cleanup_object_ struct json_object metadata = {0};
	uint64_t messages = 0;
	int r = get_object(doc, "metadata", &metadata);

	if (r < 0)
		return r;
	m->has_updated = get_time(doc, "updated_at", &m->updated) == 0;
	m->has_activity = get_time(&metadata, "last_activity", &m->activity) == 0;
	if (json_get(doc, "message_count"))
		json_integer(json_get(doc, "message_count"), &messages);
	m->messages = messages > UINT32_MAX ? UINT32_MAX : (uint32_t)messages;
	if (json_get(&metadata, "total_tokens"))
		json_integer(json_get(&metadata, "total_tokens"), &m->tokens);
	r = get_state(doc, &m->state);
	if (r < 0 && r != -EINVAL)
		return r;
	r = get_string(doc, "title", &m->title);
	return r == -EINVAL ? 0 : r;
}

int merge_version(const char *text, size_t len, uint64_t *ret_version, const char **ret_reason)
{
	_cleanup_object_ struct json_object doc = {0};
	int r = json_object_parse(text, len, &doc, ret_reason);
	if (r < 0)
		return r;
	const char *value = json_get(&doc, "version");
	return value && json_integer(value, ret_version) == 0 ? 0 : -ENOENT;
}

int merge_document(struct srec *rec, const char *text, size_t len, const char *base,
        size_t base_len, const struct moment *moment, struct merge *ret_merge, const char **ret_reason)
{
	_cleanup_object_ struct json_object doc = {0}, from = {0};
	_cleanup_(merge_release) struct merge m = {.kind = MERGE_EDIT};
	const char *reason;

	int r = json_object_parse(text, len, &doc, ret_reason);
	if (r < 0)
		return r;
	const char *version = json_get(&doc, "version");
	m.has_version = version && json_integer(version, &m.version) == 0;
	m.has_id = get_id(&doc, m.id) == 0;
	if ((m.has_id && memcmp(m.id, rec->id, 16) != 0) || (m.has_version && !base))
		m.kind = MERGE_RESTORE;
	if (m.kind == MERGE_EDIT && base) {
		r = json_object_parse(base, base_len, &from, &reason);
		if (r < 0)
			return r == -EINVAL ? -EBADMSG : r;
	}
	/* no version and never rendered: as if made from an empty one */
	r = merge_all(rec, &doc, m.kind == MERGE_EDIT ? &from : NULL,
	        m.kind == MERGE_EDIT && !m.has_version, moment, &m.broken);
	if (r == 0 && m.kind == MERGE_RESTORE)
		r = read_derived(&doc, &m);
	if (r < 0)
		return r;
	*ret_merge = m;
	m.title = NULL;
	return 0;
}
