/*
 * check_times.c: started_at and stopped_at, which other tools write into session.json, at its top or in metadata, and
 * which are kept there as they are. That they are no times or out of order is told, not mended: nobody knows what would
 * be right.
 */
#include "fs/session/check_times.h"

#include "fs/session/json.h"
#include "fs/session/timestamp.h"

/* 1: it is there; 0: it is not, or null; -EINVAL: it is no time. */
static int get_time(const struct json_object *o, const char *name, int64_t *ret_ms)
{
	_cleanup_free_ char *text = NULL;
	const char *value = json_get(o, name);
	struct timespec ts;

	if (!value || json_type(value) == JSON_NULL)
		return 0;
	int r = json_string(value, &text);
	if (r == 0)
		r = timestamp_parse(text, strlen(text), &ts);
	if (r < 0)
		return r == -ENOMEM ? 0 : -EINVAL;
	*ret_ms = timestamp_ms(&ts);
	return 1;
}

static const char *problem_of(const char *object)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	const char *reason;
	int64_t started, stopped;

	if (!object || json_object_parse(object, strlen(object), &o, &reason) < 0)
		return NULL;
	int has_started = get_time(&o, "started_at", &started), has_stopped = get_time(&o, "stopped_at", &stopped);
	if (has_started < 0)
		return "its started_at is no time";
	if (has_stopped < 0)
		return "its stopped_at is no time";
	return has_started && has_stopped && started > stopped ? "its stopped_at is before its started_at" : NULL;
}

const char *check_times_problem(const struct srec *rec)
{
	const char *problem = problem_of(rec->extra);
	return problem ? problem : problem_of(rec->metadata);
}
