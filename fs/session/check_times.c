/*
 * check_times.c: started_at and stopped_at, which other tools write into session.json, at its top or in metadata, and
 * which are kept there as they are. That they are out of order is told, not mended: nobody knows which one is wrong.
 */
#include "fs/session/check_times.h"

#include "fs/session/json.h"
#include "fs/session/timestamp.h"

/* False: it is not there, or no time. */
static bool get_time(const struct json_object *o, const char *name, int64_t *ret_ms)
{
	_cleanup_free_ char *text = NULL;
	const char *value = json_get(o, name);
	struct timespec ts;

	if (!value || json_string(value, &text) < 0 || timestamp_parse(text, strlen(text), &ts) < 0)
		return false;
	*ret_ms = timestamp_ms(&ts);
	return true;
}

static bool in_order(const char *object)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	const char *reason;
	int64_t started, stopped;

	if (!object || json_object_parse(object, strlen(object), &o, &reason) < 0)
		return true;
	return !get_time(&o, "started_at", &started) || !get_time(&o, "stopped_at", &stopped) || started <= stopped;
}

bool check_times_in_order(const struct srec *rec)
{
	return in_order(rec->extra) && in_order(rec->metadata);
}
