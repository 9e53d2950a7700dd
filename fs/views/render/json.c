/*
 * json.c: messages.jsonl, history.json and its pages, agent.json. Compact, a message a line.
 */
#include "fs/session/json.h"
#include "fs/views/render/message_json.h"

#include <inttypes.h>
#include <string.h>

/* Between the elements of an array, each on a line of its own; @index counts from the document's first. */
static void next_line(struct sink *out, size_t index)
{
	sink_text(out, index ? ",\n" : "\n");
}

/* ---- messages.jsonl ---------------------------------------------------------------------------- */

void render_jsonl(const struct transcript *t, struct sink *out)
{
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		sink_text(out, "{");
		put_chat(t, i, out);
		put_facts_json(t, i, out);
		put_counts_json(t, i, out);
		sink_text(out, "}\n");
	}
}

/* ---- history.json ------------------------------------------------------------------------------ */

static void put_messages(const struct transcript *t, struct sink *out)
{
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		sink_mark(out, i);
		next_line(out, i);
		sink_text(out, "{");
		put_chat(t, i, out);
		put_facts_json(t, i, out);
		sink_text(out, "}");
	}
	sink_text(out, t->n ? "\n]" : "]");
}

void render_history(const struct transcript *t, struct sink *out)
{
	if (sink_wants_head(out)) {
		sink_text(out, "{");
		put_session_id(t, out);
		sink_text(out, ",\n\"messages\":[");
	}
	put_messages(t, out);
	if (!sink_wants(out))
		return;
	sink_printf(out, ",\n\"message_count\":%" PRIu32 ",\"total\":%" PRIu32 ",\"last_activity\":\"", t->counted,
		t->total);
	sink_time(out, t->activity);
	sink_text(out, "\",\"current_agent\":");
	sink_json_string(out, t->agent);
	put_switches(t, out);
	sink_text(out, "}\n");
}

void render_history_page(const struct transcript *t, struct sink *out)
{
	if (sink_wants_head(out))
		sink_text(out, "{\"messages\":[");
	put_messages(t, out);
	if (sink_wants(out))
		sink_printf(out,
			",\n\"offset\":%" PRIu32 ",\"limit\":%u,\"total\":%" PRIu32 ",\"has_more\":%s}\n",
			t->from, RENDER_PAGE, t->total, t->from + t->n < t->total ? "true" : "false");
}

/* ---- agent.json -------------------------------------------------------------------------------- */

/* The newest entry's "timestamp", as it stands there; NULL: there was no switch. */
static void put_last_switch(const struct transcript *t, struct sink *out)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	const char *p = t->history ? t->history : "[]", *last = NULL, *why;
	size_t len = 0;

	while (json_array_next(&p, &last, &len))
		;
	const char *time = NULL;
	if (last && json_object_parse(last, len, &o, &why) == 0)
		time = json_get(&o, "timestamp");
	sink_text(out, time ? time : "null");
}

void render_agent(const struct transcript *t, struct sink *out)
{
	sink_text(out, "{");
	put_session_id(t, out);
	sink_text(out, ",\"current_agent\":");
	sink_json_string(out, t->agent);
	put_switches(t, out);
	sink_printf(out, ",\"switch_count\":%" PRIu64 ",\"created_at\":\"", t->switches);
	sink_time(out, t->created);
	sink_text(out, "\",\"last_switch_at\":");
	put_last_switch(t, out);
	sink_text(out, ",\"context_metadata\":");
	sink_text(out, t->metadata ? t->metadata : "{}");
	sink_text(out, "}\n");
}
