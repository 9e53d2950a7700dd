/*
 * json.c: transcript.json, messages.jsonl, history.json and its pages, agent.json. Compact, a message a line.
 */
#include "fs/session/json.h"
#include "fs/session/title.h"
#include "fs/views/render/message_json.h"
#include "kv/kv.h"

#include <inttypes.h>
#include <string.h>

/* Between the elements of an array, each on a line of its own; @index counts from the document's first. */
static void next_line(struct sink *out, size_t index)
{
	sink_text(out, index ? ",\n" : "\n");
}

/* ---- transcript.json --------------------------------------------------------------------------- */

static void put_base64(struct sink *out, const char *text, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;
		v |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < len ? p[i + 2] : 0;
		char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
			i + 1 < len ? digits[v >> 6 & 63] : '=', i + 2 < len ? digits[v & 63] : '='};
		sink_put(out, four, 4);
	}
}

/* What JSON's strings cannot hold: the whole file in base64, which parts of 3 bytes need. */
static bool put_file_base64(const struct transcript *t, size_t i, struct sink *out)
{
	char part[3 << 14];
	size_t kept = 0;

	for (uint64_t at = 0; at < t->messages[i].size && sink_wants(out);) {
		ssize_t n = t->read(t, i, part + kept, sizeof part - kept, at);
		if (n <= 0)
			return n == 0;
		at += (uint64_t)n;
		size_t len = kept + (size_t)n, whole = len - len % 3;
		put_base64(out, part, whole);
		kept = len - whole;
		memmove(part, part + whole, kept);
	}
	put_base64(out, part, kept);
	return true;
}

struct check {
	struct sink sink; /* first: put() gets a pointer to it */
	bool valid;
};

static void check_part(struct sink *out, const char *text, size_t len)
{
	struct check *c = (struct check *)out;

	c->valid = c->valid && utf8_valid(text, len);
}

static bool is_utf8(const struct transcript *t, size_t i)
{
	struct check c = {.sink = {.whole = true}, .valid = true};

	content_stream(t, i, 0, false, &c.sink, check_part);
	return c.valid;
}

static void put_header(const struct transcript *t, size_t i, struct sink *out)
{
	_cleanup_buf_ struct buf header = {0};
	uint32_t len = t->messages[i].header;

	if (!len || buf_resize(&header, len) < 0)
		return;
	ssize_t n = t->read(t, i, header.data, len, 0);
	if (n <= 0)
		return;
	sink_text(out, ",\"header\":\"");
	sink_json(out, (const char *)header.data, (size_t)n);
	sink_text(out, "\"");
}

void render_json(const struct transcript *t, struct sink *out)
{
	if (sink_wants_head(out)) {
		sink_text(out, "{\"format\":\"scribefs transcript 1\",\"session\":");
		sink_text(out, t->document ? t->document : "{}");
		sink_text(out, ",\n\"messages\":[");
	}
	for (size_t i = sink_first(out); i < t->n && sink_wants(out); i++) {
		const struct transcript_message *m = &t->messages[i];
		sink_mark(out, i);
		next_line(out, i);
		sink_printf(out, "{\"file\":\"messages/%s%03" PRIu32 ".md\",",
			m->archived ? "archive/" : "", m->number);
		put_chat(t, i, out);
		put_facts_json(t, i, out);
		put_counts_json(t, i, out);
		put_header(t, i, out);
		if (!m->unreadable && !is_utf8(t, i)) {
			sink_text(out, ",\"base64\":\"");
			put_file_base64(t, i, out);
			sink_text(out, "\"");
		}
		sink_text(out, "}");
	}
	if (sink_wants(out))
		sink_text(out, "\n]}\n");
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
