#include "fs/views/render/message_json.h"

#include "fs/session/markdown.h"
#include "kv/kv.h"

#include <inttypes.h>
#include <string.h>

/* A participant's name in the OpenAI chat form. */
static bool is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == len;
}

/* Whether the header can have one of the keys, which few have: parsing YAML costs more than the rest. */
static bool may_name(const struct buf *header)
{
	return memmem(header->data, header->len, "name", 4) ||
	       memmem(header->data, header->len, "tool_call_id", 12);
}

static void load_names(const struct transcript *t, size_t i, struct frontmatter *ret_header)
{
	_cleanup_buf_ struct buf header = {0};
	uint32_t len = t->messages[i].header;

	*ret_header = (struct frontmatter){0};
	if (!len || len > FRONTMATTER_MAX || buf_resize(&header, len) < 0)
		return;
	ssize_t n = t->read(t, i, header.data, len, 0);
	header.len = n > 0 ? (size_t)n : 0;
	if (may_name(&header))
		frontmatter_parse((const char *)header.data, header.len, ret_header);
}

/* The header's own name goes before the agent's. */
static void put_names(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];
	struct frontmatter header;

	load_names(t, i, &header);
	const char *name = is_name(header.name) ? header.name : m->agent;
	if (name && is_name(name))
		sink_printf(out, ",\"name\":\"%s\"", name);
	if (m->role != MESSAGE_TOOL || !header.tool_call_id[0])
		return;
	sink_text(out, ",\"tool_call_id\":");
	sink_json_string(out, header.tool_call_id);
}

void put_chat(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];

	sink_printf(out, "\"role\":\"%s\",\"content\":\"", message_role_name(m->role));
	bool whole = content_stream(t, i, m->header, false, out, sink_json);
	sink_text(out, whole ? "\"" : "\",\"error\":\"unreadable\"");
	put_names(t, i, out);
}

void put_facts_json(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];
	char id[UUID_LEN + 1];

	sink_text(out, ",\"id\":");
	sink_json_string(out, transcript_id(t, m, id));
	sink_printf(out, ",\"number\":%" PRIu32, m->number);
	if (m->unreadable)
		return;
	sink_text(out, ",\"timestamp\":\"");
	sink_time(out, m->time);
	sink_text(out, "\",\"agent\":");
	sink_json_string(out, m->agent);
	sink_text(out, ",\"model\":");
	sink_json_string(out, m->model);
	sink_printf(out, ",\"tokens\":%" PRIu64 ",\"tokens_estimated\":%s", m->tokens,
		m->estimated ? "true" : "false");
}

void put_counts_json(const struct transcript *t, size_t i, struct sink *out)
{
	_cleanup_buf_ struct buf content = {0};
	struct markdown *markdown = NULL;

	if (content_load(t, i, &content) == 0 &&
		markdown_parse(content.data ? (char *)content.data : "", content.len, &markdown) == 0) {
		struct markdown_counts counts = markdown_count(markdown);
		sink_printf(out, ",\"links\":%u,\"code_blocks\":%u", counts.links, counts.code_blocks);
	} else {
		sink_text(out, ",\"links\":null,\"code_blocks\":null");
	}
	markdown_free(markdown);
	sink_printf(out, ",\"size\":%" PRIu64, t->messages[i].size);
}

void put_switches(const struct transcript *t, struct sink *out)
{
	sink_text(out, ",\"agent_history\":");
	sink_text(out, t->history ? t->history : "[]");
}

void put_session_id(const struct transcript *t, struct sink *out)
{
	char id[UUID_LEN + 1];

	uuid_format(t->session_id, id);
	sink_printf(out, "\"session_id\":\"%s\"", id);
}
