#include "fs/views/render/stats.h"

#include <inttypes.h>
#include <string.h>

static void put_groups(struct sink *out, const char *key, const struct stats_groups *groups)
{
	sink_printf(out, ",\n\"%s\":{", key);
	for (size_t i = 0; i < groups->n; i++) {
		sink_text(out, i ? "," : "");
		sink_json_string(out, groups->at[i].name);
		sink_printf(out, ":%" PRIu64, groups->at[i].sessions);
	}
	sink_text(out, "}");
}

/* To two places, without floating point, whose decimal point is the locale's. */
static void put_average(struct sink *out, const char *key, uint64_t sum, uint64_t n)
{
	uint64_t whole = n ? sum / n : 0, rest = n ? sum % n * 100 / n : 0;

	sink_printf(out, "\"%s\":%" PRIu64 ".%02" PRIu64, key, whole, rest);
}

/* @unit: what a bound is divided by. */
static void put_classes(struct sink *out, const uint64_t *bounds, const uint64_t *counts, unsigned n, uint64_t unit)
{
	sink_text(out, ",\"distribution\":[");
	for (unsigned i = 0; i < n; i++) {
		sink_text(out, i ? ",{\"below\":" : "{\"below\":");
		if (i < n - 1)
			sink_printf(out, "%" PRIu64, bounds[i] / unit);
		else
			sink_text(out, "null");
		sink_printf(out, ",\"count\":%" PRIu64 "}", counts[i]);
	}
	sink_text(out, "]}");
}

static void put_messages(struct sink *out, const struct stats *s)
{
	sink_printf(out, ",\n\"messages\":{\"total\":%" PRIu64, tally_messages(&s->sum));
	for (unsigned role = 0; role < TALLY_ROLES; role++)
		sink_printf(out, ",\"%s\":%" PRIu64, message_role_name((uint8_t)role), s->sum.roles[role]);
	sink_text(out, ",");
	put_average(out, "average_per_session", tally_messages(&s->sum), s->sessions);
	sink_printf(out, "},\n\"message_length\":{\"total\":%" PRIu64 ",", s->sum.bytes);
	put_average(out, "average", s->sum.bytes, tally_messages(&s->sum));
	put_classes(out, tally_lengths, s->sum.lengths, TALLY_LENGTHS, 1);
	sink_printf(out, ",\n\"tokens\":{\"total\":%" PRIu64 ",", s->tokens);
	put_average(out, "average_per_session", s->tokens, s->sessions);
	sink_printf(out, "},\n\"response_time\":{\"count\":%" PRIu64 ",", s->sum.answers);
	put_average(out, "average_seconds", s->sum.answers ? s->sum.waited / s->sum.answers : 0, 1000);
	put_classes(out, tally_waits, s->sum.waits, TALLY_WAITS, 1000);
}

static void put_most_active(struct sink *out, const struct stats_groups *workflows)
{
	const struct stats_group *most = NULL;

	for (size_t i = 0; i < workflows->n; i++)
		if (workflows->at[i].messages > (most ? most->messages : 0))
			most = &workflows->at[i];
	sink_text(out, ",\n\"most_active_workflow\":");
	sink_json_string(out, most ? most->name : NULL);
}

#define PEAKS 3

static void put_hours(struct sink *out, const uint64_t hours[24])
{
	bool named[24] = {false};

	sink_text(out, ",\n\"messages_by_hour\":[");
	for (unsigned i = 0; i < 24; i++)
		sink_printf(out, "%s%" PRIu64, i ? "," : "", hours[i]);
	sink_text(out, "],\n\"peak_hours\":[");
	for (unsigned n = 0; n < PEAKS; n++) {
		unsigned peak = 24;
		for (unsigned i = 0; i < 24; i++)
			if (!named[i] && hours[i] > (peak < 24 ? hours[peak] : 0))
				peak = i;
		if (peak == 24)
			break;
		named[peak] = true;
		sink_printf(out, "%s%u", n ? "," : "", peak);
	}
	sink_text(out, "]");
}

void render_stats(const struct stats *s, struct sink *out)
{
	sink_printf(out, "{\"session_count\":%" PRIu64 ",\n\"backup_count\":%" PRIu64 ",\n\"total_size\":%" PRIu64
			 ",\n\"backup_size\":%" PRIu64 ",\n\"interrupted\":%" PRIu64,
		s->sessions, s->sizes.backups, s->sizes.total, s->sizes.backup_size, s->interrupted);
	put_groups(out, "sessions_by_state", &s->states);
	put_groups(out, "sessions_by_workflow", &s->workflows);
	put_groups(out, "sessions_by_day", &s->days);
	put_messages(out, s);
	put_most_active(out, &s->workflows);
	put_hours(out, s->sum.hours);
	sink_text(out, "}\n");
}
