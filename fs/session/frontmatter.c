#include "fs/session/frontmatter.h"

#include "fs/session/timestamp.h"
#include "kv/cleanup.h"

#include <string.h>
#include <yaml.h>

static const char *const role_names[] = {"user", "assistant", "system", "tool"};

const char *message_role_name(enum message_role role)
{
	return role_names[role <= MESSAGE_TOOL ? role : MESSAGE_USER];
}

/* Length of the line at @p if it is "---" (blanks may follow), with its newline; else 0. */
static size_t fence(const char *p, size_t len)
{
	if (len < 3 || memcmp(p, "---", 3) != 0)
		return 0;
	size_t i = 3;
	while (i < len && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r'))
		i++;
	if (i == len)
		return i;
	return p[i] == '\n' ? i + 1 : 0;
}

/* Where the header's YAML lies: 0 if there is no header. */
static size_t find_header(const char *data, size_t len, size_t *ret_start, size_t *ret_end)
{
	if (len > FRONTMATTER_MAX)
		len = FRONTMATTER_MAX;
	size_t start = fence(data, len);
	if (!start || data[start - 1] != '\n')
		return 0;
	for (size_t at = start; at < len;) {
		size_t close = fence(data + at, len - at);
		if (close) {
			*ret_start = start;
			*ret_end = at;
			return at + close;
		}
		const char *newline = memchr(data + at, '\n', len - at);
		if (!newline)
			return 0;
		at = (size_t)(newline - data) + 1;
	}
	return 0;
}

static void take_text(char field[FRONTMATTER_TEXT + 1], const char *value, size_t len)
{
	if (len > FRONTMATTER_TEXT || memchr(value, '\0', len))
		return;
	memcpy(field, value, len);
	field[len] = '\0';
}

static void take_tokens(struct frontmatter *h, const char *value, size_t len)
{
	uint64_t n = 0;
	if (len == 0 || len > 15)
		return;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return;
		n = n * 10 + (uint64_t)(value[i] - '0');
	}
	h->tokens = n;
	h->has_tokens = true;
}

static bool is_one_of(const char *value, size_t len, const char *const *words)
{
	for (; *words; words++)
		if (len == strlen(*words) && memcmp(value, *words, len) == 0)
			return true;
	return false;
}

static void take_error(struct frontmatter *h, const char *key, const char *value, size_t len)
{
	static const char *const none[] = {"", "false", "False", "no", "none", "None", "null", "~", "0", NULL};
	static const char *const failed[] = {"error", "failed", NULL};

	if (strcmp(key, "error") == 0)
		h->error |= !is_one_of(value, len, none);
	else if (strcmp(key, "status") == 0)
		h->error |= is_one_of(value, len, failed);
}

static void take_value(struct frontmatter *h, const char *key, const char *value, size_t len)
{
	if (strcmp(key, "id") == 0) {
		take_text(h->id, value, len);
	} else if (strcmp(key, "agent") == 0) {
		take_text(h->agent, value, len);
	} else if (strcmp(key, "model") == 0) {
		take_text(h->model, value, len);
	} else if (strcmp(key, "name") == 0) {
		take_text(h->name, value, len);
	} else if (strcmp(key, "tool_call_id") == 0) {
		take_text(h->tool_call_id, value, len);
	} else if (strcmp(key, "tokens") == 0) {
		take_tokens(h, value, len);
	} else if (strcmp(key, "timestamp") == 0) {
		h->has_time = timestamp_parse(value, len, &h->time) == 0;
	} else if (strcmp(key, "role") == 0) {
		for (unsigned i = 0; i <= MESSAGE_TOOL; i++)
			if (len == strlen(role_names[i]) && memcmp(value, role_names[i], len) == 0)
				h->role = (enum message_role)i;
	} else {
		take_error(h, key, value, len);
	}
}

/* Where the parser stands: within the top mapping (depth 1) keys and values take turns. */
struct walk {
	struct frontmatter *header;
	unsigned depth;
	bool done;     /* the document has ended */
	bool have_key; /* at depth 1 the next node is a value */
	char key[FRONTMATTER_TEXT + 1];
};

static void walk_scalar(struct walk *w, const yaml_event_t *e)
{
	const char *text = (const char *)e->data.scalar.value;
	if (w->depth != 1)
		return;
	if (w->have_key)
		take_value(w->header, w->key, text, e->data.scalar.length);
	else
		w->key[0] = '\0', take_text(w->key, text, e->data.scalar.length);
	w->have_key = !w->have_key;
}

/* False: the header is none. */
static bool walk_event(struct walk *w, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (w->depth == 0 && e->type != YAML_MAPPING_START_EVENT)
			return false;
		return ++w->depth <= FRONTMATTER_DEPTH;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		if (--w->depth == 1) {
			if (!w->have_key)
				w->key[0] = '\0';
			w->have_key = !w->have_key;
		}
		return true;
	case YAML_SCALAR_EVENT:
		if (w->depth == 0)
			return false;
		walk_scalar(w, e);
		return true;
	case YAML_ALIAS_EVENT:
		if (w->depth == 1) {
			if (!w->have_key)
				w->key[0] = '\0';
			w->have_key = !w->have_key;
		}
		return w->depth > 0;
	case YAML_DOCUMENT_START_EVENT:
		return !w->done;
	case YAML_DOCUMENT_END_EVENT:
		w->done = true;
		return true;
	default:
		return true;
	}
}

static bool parse_yaml(const char *yaml, size_t len, struct frontmatter *header)
{
	yaml_parser_t parser;
	struct walk walk = {.header = header};
	bool more = true, good = true;

	if (!yaml_parser_initialize(&parser))
		return false;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, len);
	while (more && good) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			good = false;
			break;
		}
		good = walk_event(&walk, &event);
		more = event.type != YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return good && walk.done;
}

void frontmatter_parse(const char *data, size_t len, struct frontmatter *ret_header)
{
	size_t start = 0, end = 0;
	*ret_header = (struct frontmatter){0};

	size_t length = find_header(data, len, &start, &end);
	if (!length)
		return;
	struct frontmatter header = {.length = length};
	bool blank = strspn(data + start, " \t\r\n") >= end - start;
	if (blank || parse_yaml(data + start, end - start, &header))
		*ret_header = header;
}
