/*
 * check_user.c: rows of ids and of days against the sessions that there are. They are kept until the domain ends.
 */
#include "fs/session/check_rows.h"
#include "fs/session/uuid.h"

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

/* Whether another session has its id that a row gives that one, or that comes before it. */
static bool is_taken(const struct session_check *s, size_t at)
{
	const struct id_row *all = s->ids.items, *id = all + at;

	for (const struct id_row *other = id; other-- > all && memcmp(other->id, id->id, 16) == 0;)
		if (!other->user)
			return true;
	for (const struct id_row *other = id + 1; other < all + s->ids.n && memcmp(other->id, id->id, 16) == 0; other++)
		if (!other->user && other->paired)
			return true;
	return false;
}

static int put_id(struct session_check *s, struct check *c, const struct id_row *id)
{
	struct key key = id_key(c, s->user, id->id);
	uint8_t value[4];

	put_be32(value, id->container);
	return check_put(c, KV_META, &key, value, sizeof value);
}

/* The row that has kept the id of this session. NULL: none. */
static struct id_row *kept_id(struct session_check *s, const struct id_row *id)
{
	for (size_t i = 0; i < s->ids.n; i++) {
		struct id_row *row = ROWS_AT(&s->ids, struct id_row, i);
		if (row->user && !row->paired && row->container == id->container)
			return row;
	}
	return NULL;
}

static int give_id(struct session_check *s, struct check *c, struct id_row *id, const struct id_row *kept)
{
	struct key key = row_key(c, id->container, RECORD_SESSION);
	_cleanup_buf_ struct buf value = {0}, record = {0};
	_cleanup_srec_ struct srec rec = {0};
	int r = check_get(c, KV_META, &key, &value);

	if (r == 0)
		r = srec_decode(value.data, value.len, &rec);
	if (r < 0)
		return r;
	if (kept)
		memcpy(id->id, kept->id, 16);
	else
		uuid_random(id->id);
	memcpy(rec.id, id->id, 16);
	rec.flags |= SREC_CHANGED;
	r = srec_encode(&rec, &record);
	if (r == 0)
		r = check_put(c, KV_META, &key, record.data, record.len);
	return r < 0 || kept ? r : put_id(s, c, id);
}

/* Two sessions with one id: who has no row, or comes later, gets the one that a row has kept for it, or a new one. */
static int check_twins(struct session_check *s, struct check *c)
{
	int r = 0;

	for (size_t i = 0; i < s->ids.n; i++) {
		struct id_row *id = ROWS_AT(&s->ids, struct id_row, i);
		id->twin = s->user && !id->user && !id->paired && is_taken(s, i);
	}
	for (size_t i = 0; i < s->ids.n && r == 0; i++) {
		struct id_row *id = ROWS_AT(&s->ids, struct id_row, i), *kept = id->twin ? kept_id(s, id) : NULL;

		if (!id->twin)
			continue;
		id->paired = true;
		if (kept)
			kept->paired = true;
		if (check_tell(c, true, "session-id", 0, NULL, (uint64_t)id->container << 8,
			    "its id is another session's"))
			r = give_id(s, c, id, kept);
	}
	return r;
}

/* Rows that no session answers to go; then, with @missing, sessions get the rows that they lack. */
static int check_ids(struct session_check *s, struct check *c, bool missing)
{
	int r = 0;

	for (size_t i = 0; i < s->ids.n && r == 0; i++) {
		struct id_row *id = ROWS_AT(&s->ids, struct id_row, i);
		struct key key = id_key(c, id->user ? id->user : s->user, id->id);

		if (id->paired || !s->user || !!id->user == missing)
			continue;
		if (id->user) {
			if (check_tell(c, true, "session-id", 0, NULL, (uint64_t)id->user << 8,
			            "the row of an id names a session that is not there"))
				r = check_delete(c, KV_META, key.bytes, key.len);
		} else if (check_tell(c, true, "session-id", 0, NULL, (uint64_t)id->container << 8,
		                   "no row of its user's tells of its id")) {
			r = put_id(s, c, id);
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
	int r = check_twins(s, c);
	if (r == 0)
		r = check_ids(s, c, false);
	if (r == 0)
		r = check_ids(s, c, true);
	if (r == 0)
		r = check_days(s, c);
	s->ids.n = s->days.n = 0;
	s->user = 0;
	s->container = 0;
	return r;
}
