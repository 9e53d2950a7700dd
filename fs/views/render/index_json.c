/*
 * index_json.c: sessions.json and pages/NNN.json of a folder of sessions.
 */
#include "fs/views/render/render.h"

#include <inttypes.h>

static void put_listed(const struct listed_session *s, struct sink *out)
{
	sink_printf(out, "{\"session_id\":\"%s\",\"title\":", s->id);
	sink_json_string(out, s->title);
	sink_printf(out, ",\"state\":\"%s\",\"message_count\":%" PRIu32 ",\"created_at\":\"", s->state,
		s->messages);
	sink_time(out, s->created);
	sink_text(out, "\",\"last_activity\":\"");
	sink_time(out, s->activity);
	sink_text(out, "\",\"current_agent\":");
	sink_json_string(out, s->agent);
	sink_text(out, ",\"path\":");
	sink_json_string(out, s->path);
	sink_text(out, "}");
}

static void put_list(const struct listing *l, size_t from, size_t to, struct sink *out)
{
	sink_text(out, "{\"sessions\":[");
	for (size_t i = from; i < to && sink_wants(out); i++) {
		sink_text(out, i > from ? ",\n" : "\n");
		put_listed(&l->sessions[i], out);
	}
	sink_printf(out, "%s],\"total\":%zu", to > from ? "\n" : "", l->n);
}

void render_sessions(const struct listing *l, struct sink *out)
{
	put_list(l, 0, l->n, out);
	sink_text(out, "}\n");
}

void render_sessions_page(const struct listing *l, struct sink *out)
{
	size_t from = (size_t)(l->page - 1) * RENDER_SESSIONS;
	size_t to = from + RENDER_SESSIONS < l->n ? from + RENDER_SESSIONS : l->n;

	put_list(l, from < to ? from : to, to, out);
	sink_printf(out, ",\"page\":%u,\"page_size\":%u,\"total_pages\":%zu}\n", l->page,
		RENDER_SESSIONS, l->n ? (l->n + RENDER_SESSIONS - 1) / RENDER_SESSIONS : 1);
}
