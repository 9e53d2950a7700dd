/*
 * memory.c: memory.json and chat_store.json: the last messages within a number and a budget of tokens, oldest
 * dropped, never beginning with an answer.
 */
#include "fs/views/render/message_json.h"

#include <inttypes.h>

/* The first message of them: @t has the last memory_size at most. */
static size_t first_remembered(const struct transcript *t)
{
	size_t first = t->n;
	uint64_t tokens = 0;

	while (first > 0) {
		uint64_t more = t->messages[first - 1].tokens;
		if (more > t->memory_tokens || tokens > t->memory_tokens - more)
			break;
		tokens += more;
		first--;
	}
	while (first < t->n && (t->messages[first].role == MESSAGE_ASSISTANT ||
		t->messages[first].role == MESSAGE_TOOL || t->messages[first].unreadable))
		first++;
	return first;
}

static uint64_t tokens_from(const struct transcript *t, size_t first)
{
	uint64_t tokens = 0;

	for (size_t i = first; i < t->n; i++)
		tokens += t->messages[i].tokens;
	return tokens;
}

void render_memory(const struct transcript *t, struct sink *out)
{
	size_t first = first_remembered(t);

	sink_text(out, "{");
	put_session_id(t, out);
	sink_printf(out, ",\"memory_size\":%zu,\n\"last_messages\":[", t->n - first);
	for (size_t i = first; i < t->n; i++) {
		sink_text(out, i > first ? ",\n{" : "\n{");
		put_chat(t, i, out);
		put_facts_json(t, i, out);
		sink_text(out, "}");
	}
	sink_printf(out,
		"],\n\"memory_metadata\":{\"max_messages\":%" PRIu32 ",\"token_limit\":%" PRIu64
		",\"tokens\":%" PRIu64 ",\"total_messages\":%" PRIu32 ",\"dropped\":%zu}}\n",
		t->memory_size, t->memory_tokens, tokens_from(t, first), t->total,
		t->total - (t->n - first));
}

/* Older releases read "content", newer ones "blocks". */
static void put_llama(const struct transcript *t, size_t i, struct sink *out)
{
	const struct transcript_message *m = &t->messages[i];
	char id[UUID_LEN + 1];

	sink_text(out, "{");
	put_chat(t, i, out);
	sink_text(out, ",\"additional_kwargs\":{\"id\":");
	sink_json_string(out, transcript_id(t, m, id));
	sink_text(out, "},\"blocks\":[{\"block_type\":\"text\",\"text\":\"");
	content_stream(t, i, m->header, false, out, sink_json);
	sink_text(out, "\"}]}");
}

void render_chat_store(const struct transcript *t, struct sink *out)
{
	size_t first = first_remembered(t);
	char id[UUID_LEN + 1];

	uuid_format(t->session_id, id);
	sink_printf(out, "{\"store\":{\"%s\":[", id);
	for (size_t i = first; i < t->n; i++) {
		sink_text(out, i > first ? ",\n" : "\n");
		put_llama(t, i, out);
	}
	sink_text(out, "]},\"class_name\":\"SimpleChatStore\"}\n");
}
