#include "fs/session/state.h"

static int64_t later(int64_t time, int64_t ms)
{
	int64_t sum;
	return __builtin_add_overflow(time, ms, &sum) ? TIME_NEVER : sum;
}

static bool is_past(int64_t age, int64_t activity, int64_t now)
{
	return age > 0 && now >= later(activity, age);
}

enum session_state state_at(const struct ages *ages, int64_t activity, int64_t now)
{
	if (is_past(ages->archive, activity, now))
		return STATE_ARCHIVED;
	return is_past(ages->idle, activity, now) ? STATE_IDLE : STATE_ACTIVE;
}

int64_t state_since(const struct ages *ages, int64_t activity, int64_t now)
{
	switch (state_at(ages, activity, now)) {
	case STATE_ARCHIVED:
		return later(activity, ages->archive);
	case STATE_IDLE:
		return later(activity, ages->idle);
	default:
		return INT64_MIN;
	}
}

int64_t state_until(const struct ages *ages, int64_t activity, int64_t now)
{
	int64_t idle = ages->idle > 0 ? later(activity, ages->idle) : TIME_NEVER;
	int64_t archive = ages->archive > 0 ? later(activity, ages->archive) : TIME_NEVER;

	if (archive <= now)
		return TIME_NEVER;
	return idle > now && idle < archive ? idle : archive;
}

int64_t srec_activity(const struct srec *rec)
{
	int64_t activity = rec->flags & SREC_CLAIM_MATCHED ? rec->claim_activity : rec->activity;
	return activity == ACTIVITY_NONE ? rec->created : activity;
}

int64_t srec_last_change(const struct srec *rec)
{
	int64_t changed = rec->changed ? rec->changed : rec->created;
	return rec->updated > changed ? rec->updated : changed;
}

/*
 * The user's own. One that a restored document brought is the user's only where time would not have given it when that
 * was written, by the policies as they are (which may come back after it).
 */
static bool is_held(const struct srec *rec, const struct moment *m)
{
	if (rec->state == STATE_AUTO)
		return false;
	int64_t activity = rec->claim_activity == ACTIVITY_NONE ? rec->created : rec->claim_activity;
	return !(rec->flags & SREC_STATE_RESTORED) ||
	       rec->state != state_at(&m->ages, activity, rec->claim_updated);
}

static bool claim_shows(const struct srec *rec, const struct moment *m)
{
	return rec->flags & SREC_CLAIM_MATCHED && m->now < rec->claim_until &&
	       rec->claim_state != STATE_AUTO && rec->claim_state != STATE_DELETED;
}

uint8_t srec_automatic_state(const struct srec *rec, const struct moment *m)
{
	return m->trash ? STATE_DELETED : (uint8_t)state_at(&m->ages, srec_activity(rec), m->now);
}

uint8_t srec_state(const struct srec *rec, const struct moment *m)
{
	if (m->trash)
		return STATE_DELETED;
	if (is_held(rec, m))
		return rec->state;
	return claim_shows(rec, m) ? rec->claim_state : srec_automatic_state(rec, m);
}

uint8_t srec_claimed_state(const struct srec *rec, const struct moment *m)
{
	if (m->trash || is_held(rec, m) || rec->claim_state == STATE_DELETED)
		return srec_state(rec, m);
	return rec->claim_state;
}

int64_t srec_state_since(const struct srec *rec, const struct moment *m)
{
	if (m->trash || is_held(rec, m) || claim_shows(rec, m))
		return INT64_MIN;
	return state_since(&m->ages, srec_activity(rec), m->now);
}

int64_t srec_state_until(const struct srec *rec, const struct moment *m)
{
	if (m->trash || is_held(rec, m))
		return TIME_NEVER;
	return claim_shows(rec, m) ? rec->claim_until : state_until(&m->ages, srec_activity(rec), m->now);
}
