#include "fs/session/retention.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR (3600 * (int64_t)1000)
#define DAY (24 * HOUR)

bool retention_is_off(const struct retention *keep)
{
	return keep->interval <= 0 || (keep->keep <= 0 && keep->hourly <= 0 && keep->daily <= 0);
}

int64_t retention_due(const struct retention *keep, const struct waiting *w, int64_t now)
{
	int64_t urgent = keep->interval < RETENTION_URGENT_MS ? keep->interval : RETENTION_URGENT_MS;
	/* A clock that was set back must not make it wait for the time that was. */
	int64_t last = w->last > now ? now : w->last, since = w->since > now ? now : w->since;

	if (retention_is_off(keep))
		return RETENTION_NEVER;
	/* While a session is being filled, copied or restored, none of its states is worth one of its own. */
	if (w->last == RETENTION_NONE)
		return w->urgent ? since : since + (w->closed ? urgent : keep->interval);
	if (w->urgent)
		return last + urgent;
	return (w->closed || last > since ? last : since) + keep->interval;
}

/* Rounds down, also before 1970. */
static int64_t period_of(int64_t time, int64_t period)
{
	return time / period - (time % period < 0);
}

/* What seems to be still to come was taken before the one after it; what seems older than one before it, after that. */
void retention_ages(const int64_t *taken, size_t n, int64_t now, int64_t *ret_age)
{
	int64_t latest = INT64_MIN, next = now;

	for (size_t i = 0; i < n; i++) {
		if (taken[i] <= now && taken[i] > latest)
			latest = taken[i];
		ret_age[i] = taken[i] <= now ? now - latest : -1;
	}
	for (size_t i = n; i-- > 0;) {
		if (ret_age[i] < 0)
			ret_age[i] = now - next;
		next = now - ret_age[i];
	}
}

size_t retention_choose(const struct retention *keep, const int64_t *taken, const int64_t *age, size_t n,
        bool removed, bool *ret_drop)
{
	int64_t hourly = keep->hourly * HOUR, daily = keep->daily * DAY;
	int64_t longest = hourly > daily ? hourly : daily;
	size_t drops = 0;

	for (size_t i = n; i-- > 0;) {
		bool newest = i + 1 == n;
		bool stays = n - i <= (uint64_t)keep->keep;
		if (age[i] < hourly)
			stays |= newest || period_of(taken[i], HOUR) != period_of(taken[i + 1], HOUR);
		if (age[i] < daily)
			stays |= newest || period_of(taken[i], DAY) != period_of(taken[i + 1], DAY);
		if (removed && age[i] >= longest)
			stays = false;
		ret_drop[i] = !stays;
		drops += !stays;
	}
	return drops;
}

void retention_name(int64_t time, bool with_ms, char ret_name[RETENTION_NAME])
{
	time_t seconds = period_of(time, 1000);
	int ms = (int)(time - (int64_t)seconds * 1000);
	struct tm tm;
	char text[RETENTION_NAME - 12];

	gmtime_r(&seconds, &tm);
	if (strftime(text, sizeof text, "%Y-%m-%dT%H-%M-%S", &tm) == 0)
		text[0] = '\0';
	if (with_ms)
		snprintf(ret_name, RETENTION_NAME, RETENTION_PREFIX "%s.%03dZ", text, ms);
	else
		snprintf(ret_name, RETENTION_NAME, RETENTION_PREFIX "%sZ", text);
}

bool retention_is_named(const char *name)
{
	return strncmp(name, RETENTION_PREFIX, strlen(RETENTION_PREFIX)) == 0;
}
