/*
 * check.c: sessions in a check of the whole store. The contract is in check.h.
 *
 * In the order of keys a container shows its rows, then its files with their facts, then its entries. So
 * the facts of messages are kept (40 bytes each, of one session) until the entries say which of them
 * count. Ids and days concern a user: they are kept until the domain ends.
 */
#include "fs/session/check_rows.h"

#include "fs/session/check_times.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

void *rows_add(struct rows *rows, size_t size)
{
	if (rows->n == rows->cap) {
		size_t cap = rows->cap ? rows->cap + rows->cap / 2 : 16;
		void *items = reallocarray(rows->items, cap, size);
		if (!items)
			return NULL;
		rows->items = items;
		rows->cap = cap;
	}
	void *item = (char *)rows->items + rows->n++ * size;
	memset(item, 0, size);
	return item;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* The first call for a container forgets the one before. */
static void enter(struct session_check *s, struct check *c)
{
	if (s->container == check_container(c))
		return;
	s->container = check_container(c);
	srec_release(&s->rec);
	s->rec = (struct srec){0};
	s->rec_error = -ENOENT;
	s->ring_version = s->ring = 0;
	s->ring_text.len = s->facts.n = 0;
	s->tokens = s->messages = s->number_high = s->title_number = 0;
	s->activity = ACTIVITY_NONE;
	s->shared = false;
}

static int drop_row(struct check *c, const struct check_row *row, const char *what)
{
	struct key key = row_key(c, row->container, row->which);

	key.len = (size_t)(put_bytes(key.bytes + key.len, row->more, row->more_len) - key.bytes);
	if (!check_tell(c, true, "session-row", 0, NULL, 0, "%s cannot be read", what))
		return 0;
	return check_delete(c, KV_META, key.bytes, key.len);
}

static int ring_row(struct session_check *s, struct check *c, const struct check_row *row)
{
	uint64_t version = row->error == 0 && row->value->len >= 8 ? get_be64(row->value->data) : 0;

	if (!version || RECORD_RING + version % RECORD_RING_SIZE != row->which)
		return drop_row(c, row, "a rendering of session.json");
	s->ring |= (uint16_t)(1u << (row->which - RECORD_RING));
	if (version <= s->ring_version)
		return 0;
	s->ring_version = version;
	return buf_set(&s->ring_text, row->value->data + 8, row->value->len - 8);
}

static int id_row(struct session_check *s, struct check *c, const struct check_row *row)
{
	struct id_row *id;

	if (row->error < 0 || row->more_len != 16 || row->value->len != 4)
		return drop_row(c, row, "the row of a session's id");
	id = ROWS_ADD(&s->ids, struct id_row);
	if (!id)
		return -ENOMEM;
	memcpy(id->id, row->more, 16);
	id->container = get_be32(row->value->data);
	id->user = row->container;
	return 0;
}

static int day_row(struct session_check *s, struct check *c, const struct check_row *row)
{
	struct day_row *day;

	if (row->error < 0 || row->more_len != 4 || row->value->len != 4)
		return drop_row(c, row, "the highest number of a day");
	day = ROWS_ADD(&s->days, struct day_row);
	if (!day)
		return -ENOMEM;
	*day = (struct day_row){.day = get_be32(row->more),
	        .number = get_be32(row->value->data),
	        .user = row->container};
	return 0;
}

static int check_row(void *arg, struct check *c, const struct check_row *row)
{
	struct session_check *s = arg;

	enter(s, c);
	if (row->which >= RECORD_RING && row->which < RECORD_RING + RECORD_RING_SIZE)
		return ring_row(s, c, row);
	switch (row->which) {
	case RECORD_SESSION:
		s->rec_error = row->error;
		if (row->error == 0)
			s->rec_error = srec_decode(row->value->data, row->value->len, &s->rec);
		return s->rec_error == -ENOMEM ? -ENOMEM : 0;
	case RECORD_NAME:
		return row->error < 0 ? drop_row(c, row, "the name of a user or workflow") : 0;
	case RECORD_ID:
		return id_row(s, c, row);
	case RECORD_DAY:
		return day_row(s, c, row);
	case RECORD_KEPT:
		return row->error < 0 ? drop_row(c, row, "what exports/ keeps of a session") : 0;
	case RECORD_HIDDEN:
		return row->error < 0 ? drop_row(c, row, "where something hidden lies") : 0;
	case RECORD_STORE:
		return row->error < 0 || row->value->len != 8
		               ? drop_row(c, row, "the store's count of crashes")
		               : 0;
	default:
		return drop_row(c, row, "a row of a kind that is not known, or");
	}
}

/* ---- messages -------------------------------------------------------------------------------- */

static int check_file(void *arg, struct check *c, uint64_t ino, const struct irec *rec,
        const struct blob *facts)
{
	struct session_check *s = arg;
	struct message m;

	enter(s, c);
	if (!facts || message_decode(facts, &m) < 0)
		return 0;
	struct fact *fact = ROWS_ADD(&s->facts, struct fact);
	if (!fact)
		return -ENOMEM;
	*fact = (struct fact){.ino = ino,
	        .tokens = m.tokens,
	        .time = m.time,
	        .title = m.role == MESSAGE_USER && m.flags & MESSAGE_TEXT};
	return 0;
}

static int by_ino(const void *a, const void *b)
{
	const struct fact *x = a, *y = b;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static void count_message(struct session_check *s, uint64_t ino, uint32_t number)
{
	struct fact key = {.ino = ino}, *fact;

	/* They came in the order of inodes. */
	fact = s->facts.n ? bsearch(&key, s->facts.items, s->facts.n, sizeof key, by_ino) : NULL;
	if (!fact)
		return; /* not taken in yet: at the next look at the session */
	if (fact->names++)
		s->shared = true;
	s->messages++;
	s->tokens += fact->tokens;
	if (fact->time > s->activity)
		s->activity = fact->time;
	if (fact->title && !s->title_number)
		s->title_number = number; /* entries come by rising number */
}

/* The name that a user's or workflow's container has of its own. */
static int check_name(struct check *c, uint64_t dir, const struct dentry *d)
{
	struct key key = key_make(d->domain, d->container, KEY_SESSION, 0);
	_cleanup_buf_ struct buf value = {0};

	key_add_u8(&key, RECORD_NAME);
	int r = check_get(c, KV_META, &key, &value);
	if (r == 0 && value.len == d->name_len && !memcmp(value.data, d->name, d->name_len))
		return 0;
	if (r == -ENOKEY || !check_tell(c, true, "name", dir, d->name, d->ino, "it does not know its name"))
		return 0;
	return check_put(c, KV_META, &key, d->name, d->name_len);
}

static int add_day(struct session_check *s, const struct dentry *d)
{
	uint32_t day, number = ids_session_number(d->name, d->name_len, &day);
	struct day_row *row;

	if (!number)
		return 0;
	for (size_t i = 0; i < s->days.n; i++) {
		row = ROWS_AT(&s->days, struct day_row, i);
		if (row->user || row->day != day)
			continue;
		if (row->number < number)
			row->number = number;
		return 0;
	}
	row = ROWS_ADD(&s->days, struct day_row);
	if (!row)
		return -ENOMEM;
	*row = (struct day_row){.day = day, .number = number};
	return 0;
}

static int check_entry(void *arg, struct check *c, uint64_t dir, uint8_t dir_role,
        const struct dentry *d)
{
	struct session_check *s = arg;
	uint32_t number;

	enter(s, c);
	switch (dir_role) {
	case ROLE_MESSAGES:
		number = name_message_number(d->name, d->name_len);
		if (number > s->number_high)
			s->number_high = number;
		if (number && d->type == S_IFREG >> 12)
			count_message(s, d->ino, number);
		return 0;
	case ROLE_USERS:
	case ROLE_USER:
	case ROLE_TRASH:
		return d->container ? check_name(c, dir, d) : 0;
	case ROLE_WORKFLOW:
		return d->container ? add_day(s, d) : 0;
	default:
		return 0;
	}
}

/* ---- a session ------------------------------------------------------------------------------- */

static int store(struct session_check *s, struct check *c)
{
	struct key key = row_key(c, s->container, RECORD_SESSION);
	_cleanup_buf_ struct buf value = {0};
	int r = srec_encode(&s->rec, &value);
	return r < 0 ? r : check_put(c, KV_META, &key, value.data, value.len);
}

/* The id that a row of the user's says this session has. */
static bool id_of(struct session_check *s, uint8_t ret_id[16])
{
	for (size_t i = 0; i < s->ids.n; i++) {
		const struct id_row *id = ROWS_AT(&s->ids, struct id_row, i);
		if (id->user && id->container == s->container) {
			memcpy(ret_id, id->id, 16);
			return true;
		}
	}
	return false;
}

/* A record anew: what the last rendering says, and a look at all messages when it is next looked at. */
static int make_record(struct session_check *s, const struct irec *root)
{
	struct merge merge = {0};
	const char *reason = NULL;
	/* What time had given is given again. */
	struct moment moment = {.now = timestamp_ms(&root->btime)};
	int r = 0;

	srec_release(&s->rec);
	s->rec = (struct srec){.activity = s->activity, .messages = s->messages,
	        .tokens = s->tokens, .number_high = s->number_high};
	s->rec.created = s->rec.updated = s->rec.changed = moment.now;
	if (s->ring_text.len)
		r = merge_document(&s->rec, (const char *)s->ring_text.data, s->ring_text.len, NULL,
		        0, &moment, &merge, &reason);
	if (r == 0 && merge.has_id)
		memcpy(s->rec.id, merge.id, 16);
	else if (!id_of(s, s->rec.id))
		uuid_random(s->rec.id);
	s->rec.state = merge.state == STATE_DELETED ? STATE_AUTO : merge.state;
	s->rec.claim_updated = merge.updated;
	s->rec.claim_activity = merge.activity;
	merge_release(&merge);
	s->rec.version = s->rec.version_high = s->ring_version;
	s->rec.ring_used = s->ring;
	s->rec.flags = SREC_CHANGED | SREC_RECOUNT | SREC_FILE_STALE | SREC_STATE_RESTORED;
	/* Not the store's count of crashes: so the messages are compared with their facts, too. */
	s->rec.epoch = UINT64_MAX;
	return r == -EINVAL ? 0 : r;
}

/* Whether the sums in the record are those of its messages; they become so. */
static bool settle_counts(struct session_check *s)
{
	struct srec *rec = &s->rec;
	bool recount = rec->flags & SREC_RECOUNT, archived = rec->flags & SREC_ARCHIVED;
	bool good = rec->messages == s->messages && rec->tokens == s->tokens &&
	            rec->number_high >= s->number_high && rec->ring_used == s->ring &&
	            (recount || rec->activity == s->activity || (archived && rec->activity > s->activity)) &&
	            (recount || archived || s->shared || rec->title_number == s->title_number);

	rec->messages = s->messages;
	rec->tokens = s->tokens;
	if (rec->number_high < s->number_high)
		rec->number_high = s->number_high;
	rec->ring_used = s->ring;
	rec->activity = archived && rec->activity > s->activity ? rec->activity : s->activity;
	/* The title itself comes from the message's text, at the next look. */
	if (!good)
		rec->flags |= SREC_RECOUNT | SREC_CHANGED;
	return good;
}

static int add_id(struct session_check *s)
{
	struct id_row *id = ROWS_ADD(&s->ids, struct id_row);

	if (!id)
		return -ENOMEM;
	memcpy(id->id, s->rec.id, 16);
	id->container = s->container;
	return 0;
}

static int take_record(void *arg, const struct buf *value)
{
	struct session_check *s = arg;
	struct srec rec = {0};
	int r = srec_decode(value->data, value->len, &rec);

	if (r < 0) {
		srec_release(&rec);
		return r;
	}
	srec_release(&s->rec);
	s->rec = rec;
	id_of(s, s->rec.id);
	s->rec.flags |= SREC_CHANGED | SREC_RECOUNT | SREC_FILE_STALE;
	s->rec.epoch = UINT64_MAX;
	return 0;
}

/* 0: it has a record again; 1: it is left. Its last rendering is newer than any copy of the record. */
static int lost_session(struct session_check *s, struct check *c, const struct irec *root)
{
	struct key key = row_key(c, s->container, RECORD_SESSION);
	int taken = s->ring_text.len ? 0 : check_rescue(c, &key, take_record, s), r = 0;

	if (taken < 0)
		return taken;
	if (!check_tell(c, true, "session", 0, NULL, 0, "the session's record %s; its title and counts are %s%s",
	            s->rec_error == -ENOENT ? "is missing" : "cannot be read", taken ? "older" : "made anew",
	            taken ? rescue_said(c) : ""))
		return 1;
	if (taken)
		settle_counts(s);
	else
		r = make_record(s, root);
	return r < 0 ? r : store(s, c);
}

static int check_session(struct session_check *s, struct check *c, const struct irec *root)
{
	int r = 0;

	if (s->rec_error < 0) {
		r = lost_session(s, c, root);
		if (r != 0)
			return r < 0 ? r : 0;
	} else {
		uint32_t messages = s->rec.messages;
		uint64_t tokens = s->rec.tokens;
		if (!settle_counts(s) &&
		        check_tell(c, true, "session", 0, NULL, 0,
		                "it says %u messages of %llu tokens and has %u of %llu, or another "
		                "newest, first or highest one",
		                messages, (unsigned long long)tokens, s->messages,
		                (unsigned long long)s->tokens))
			r = store(s, c);
		const char *times = check_times_problem(&s->rec);
		if (times)
			check_tell(c, false, "session-times", 0, NULL, 0, "%s", times);
	}
	return r < 0 ? r : add_id(s);
}

static int end_container(void *arg, struct check *c, uint8_t kind, const struct irec *root)
{
	struct session_check *s = arg;

	enter(s, c);
	if (kind == ROLE_USER && !s->user)
		s->user = check_container(c);
	return kind == ROLE_SESSION ? check_session(s, c, root) : 0;
}

static int known_name(void *arg, struct check *c, uint32_t domain, uint32_t container,
        char ret_name[CORE_NAME_MAX + 1])
{
	struct key key = key_make(domain, container, KEY_SESSION, 0);
	_cleanup_buf_ struct buf value = {0};

	key_add_u8(&key, RECORD_NAME);
	int r = check_get(c, KV_META, &key, &value);
	if (r < 0 || value.len == 0 || value.len > CORE_NAME_MAX)
		return r < 0 ? r : -ENOENT;
	memcpy(ret_name, value.data, value.len);
	ret_name[value.len] = '\0';
	return 0;
}

static const char *name_of_role(uint8_t role)
{
	switch (role) {
	case ROLE_TRASH:
		return ".trash";
	case ROLE_MESSAGES:
		return "messages";
	case ROLE_SESSION_JSON:
		return JSON_NAME;
	case ROLE_AGENT:
		return "agent";
	case ROLE_CONTEXT:
		return "context.json";
	default:
		return NULL;
	}
}

static bool numbered(uint8_t role)
{
	return role == ROLE_MESSAGES;
}

/* context.json meant nothing once, and gets its role when it is next saved. */
static bool role_was(uint8_t now, uint8_t was)
{
	return now == ROLE_CONTEXT && was == ROLE_PLAIN;
}

struct session_check *session_check_new(void)
{
	struct session_check *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->rules = (struct check_rules){.role = rules_role,
	        .numbered = numbered,
	        .role_was = role_was,
	        .row = check_row,
	        .file = check_file,
	        .entry = check_entry,
	        .end_container = end_container,
	        .end_domain = check_user_end,
	        .name_of_role = name_of_role,
	        .name = known_name,
	        .arg = s};
	return s;
}

void session_check_free(struct session_check *s)
{
	if (!s)
		return;
	srec_release(&s->rec);
	buf_release(&s->ring_text);
	free(s->facts.items);
	free(s->ids.items);
	free(s->days.items);
	free(s);
}

const struct check_rules *session_check_rules(struct session_check *s)
{
	return &s->rules;
}
