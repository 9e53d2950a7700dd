/*
 * check_user.c: rows of ids and of days against the sessions that there are. They are kept until the domain ends.
 */
#include "fs/session/check_rows.h"

static int by_id(const void *a, const void *b)
{
	const struct id_row *x = a, *y = b;
	int r = memcmp(x->id, y->id, 16);
	if (r == 0)
		r = x->container < y->container ? -1 : x->container > y->container;
	/* The session's own before the row that tells of it. */
	return r ? r : (x->user > y->user) - (x->user < y->user);
}

static struct key id_key(struct check *c, uint32_t user, const uint8_t id[16])
{
	struct key key = row_key(c, user, RECORD_ID);
	key.len = (size_t)(put_bytes(key.bytes + key.len, id, 16) - key.bytes);
	return key;
}

/* Rows and sessions with one id and one container lie side by side once they are sorted. */
static void pair_ids(struct session_check *s)
{
	if (s->ids.n)
		qsort(s->ids.items, s->ids.n, sizeof(struct id_row), by_id);
	for (size_t i = 0; i + 1 < s->ids.n; i++) {
		struct id_row *id = ROWS_AT(&s->ids, struct id_row, i), *next = id + 1;
		if (!id->user && next->user && next->container == id->container &&
		        memcmp(next->id, id->id, 16) == 0)
			id->paired = next->paired = true;
	}
}

/* Rows that no session answers to go; then, with @missing, sessions get the rows that they lack. */
static int check_ids(struct session_check *s, struct check *c, bool missing)
{
	int r = 0;

	for (size_t i = 0; i < s->ids.n && r == 0; i++) {
		struct id_row *id = ROWS_AT(&s->ids, struct id_row, i);
		struct key key = id_key(c, id->user ? id->user : s->user, id->id);
		uint8_t value[4];

		if (id->paired || !s->user || !!id->user == missing)
			continue;
		if (id->user) {
			if (check_tell(c, true, "session-id", 0, NULL, (uint64_t)id->user << 8,
			            "the row of an id names a session that is not there"))
				r = check_delete(c, KV_META, key.bytes, key.len);
		} else if (check_tell(c, true, "session-id", 0, NULL, (uint64_t)id->container << 8,
		                   "no row of its user's tells of its id")) {
			put_be32(value, id->container);
			r = check_put(c, KV_META, &key, value, sizeof value);
		}
	}
	return r;
}

static int check_days(struct session_check *s, struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < s->days.n && r == 0; i++) {
		const struct day_row *name = ROWS_AT(&s->days, struct day_row, i);
		uint32_t highest = 0;
		uint8_t value[4];

		if (name->user || !s->user)
			continue;
		for (size_t k = 0; k < s->days.n; k++) {
			const struct day_row *row = ROWS_AT(&s->days, struct day_row, k);
			if (row->user && row->day == name->day && row->number > highest)
				highest = row->number;
		}
		if (highest >= name->number ||
		        !check_tell(c, true, "session-day", 0, NULL, (uint64_t)s->user << 8,
		                "the highest number of SESSION-%06u is %u, not %u", name->day,
		                name->number, highest))
			continue;
		struct key key = row_key(c, s->user, RECORD_DAY);
		key.len = (size_t)(put_be32(key.bytes + key.len, name->day) - key.bytes);
		put_be32(value, name->number);
		r = check_put(c, KV_META, &key, value, sizeof value);
	}
	return r;
}

int check_user_end(void *arg, struct check *c, uint32_t domain)
{
	struct session_check *s = arg;
	pair_ids(s);
	int r = check_ids(s, c, false);
	if (r == 0)
		r = check_ids(s, c, true);
	if (r == 0)
		r = check_days(s, c);
	s->ids.n = s->days.n = 0;
	s->user = 0;
	s->container = 0;
	return r;
}
