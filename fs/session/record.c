/*
 * record.c: the session record.
 *
 *   0  u8   format (3; 2 has not the last two strings, 1 neither what stands at 162 to 185)
 *   1  u16  flags (srec_flags)
 *   3  u8   state
 *   4  16   session_id
 *  20  u64  created, u64 updated, u64 changed: ms since 1970
 *  44  u64  version, u64 the highest version ever
 *  60  u32  messages, u64 tokens, u64 activity
 *  80  u32  the highest number ever, u32 the title's message
 *  88  u64  epoch
 *  96  u16  ring slots in use
 *  98  16   hash of the last rendering
 * 114  16   claim: hash, u64 version, u64 updated, u64 activity
 * 154  u64  agent switches
 * 162  u32  the highest number in messages/, u8 its role
 * 167  u8   context (srec_context)
 * 168  u8   state in the last rendering, u8 the claim's
 * 170  u64  until when the claim's state is shown, u64 when it was moved to .trash
 * 186  u32 length, bytes: title · automatic title · agent · agent history · metadata · extra · whom the file `agent`
 *      named last · what of the last save was not taken
 */
#include "fs/session/record.h"

#include "fs/session/memory.h"
#include "fs/session/timestamp.h"

#include <limits.h>

#define SREC_FORMAT 3
#define SREC_FIXED 186
#define SREC_STRINGS 8
#define SREC_STRINGS_BEFORE 6 /* of formats 1 and 2 */

/* The strings in the order of the record. */
static void strings_of(struct srec *rec, char **ret_fields[SREC_STRINGS])
{
	char **fields[SREC_STRINGS] = {&rec->title, &rec->auto_title, &rec->agent, &rec->history,
	        &rec->metadata, &rec->extra, &rec->agent_file, &rec->broken};
	memcpy(ret_fields, fields, sizeof fields);
}

void srec_release(struct srec *rec)
{
	char **fields[SREC_STRINGS];
	strings_of(rec, fields);
	for (unsigned i = 0; i < SREC_STRINGS; i++) {
		free(*fields[i]);
		*fields[i] = NULL;
	}
}

int srec_set(char **field, const char *text)
{
	char *copy = NULL;
	if (text && *text) {
		copy = strdup(text);
		if (!copy)
			return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

int srec_encode(const struct srec *rec, struct buf *ret_record)
{
	uint8_t fixed[SREC_FIXED], *p = fixed;
	struct srec strings = *rec;
	char **fields[SREC_STRINGS];

	p = put_u8(p, SREC_FORMAT);
	p = put_be16(p, rec->flags);
	p = put_u8(p, rec->state);
	p = put_bytes(p, rec->id, 16);
	p = put_be64(p, (uint64_t)rec->created);
	p = put_be64(p, (uint64_t)rec->updated);
	p = put_be64(p, (uint64_t)rec->changed);
	p = put_be64(put_be64(p, rec->version), rec->version_high);
	p = put_be64(put_be32(p, rec->messages), rec->tokens);
	p = put_be64(p, (uint64_t)rec->activity);
	p = put_be32(put_be32(p, rec->number_high), rec->title_number);
	p = put_be64(p, rec->epoch);
	p = put_be16(p, rec->ring_used);
	p = put_bytes(p, rec->rendered_hash, 16);
	p = put_bytes(p, rec->claim_hash, 16);
	p = put_be64(p, rec->claim_version);
	p = put_be64(p, (uint64_t)rec->claim_updated);
	p = put_be64(p, (uint64_t)rec->claim_activity);
	p = put_be64(p, rec->switches);
	p = put_u8(put_be32(p, rec->last_number), rec->last_role);
	p = put_u8(p, rec->context);
	p = put_u8(put_u8(p, rec->shown_state), rec->claim_state);
	p = put_be64(p, (uint64_t)rec->claim_until);
	p = put_be64(p, (uint64_t)rec->trashed);
	int r = buf_append(ret_record, fixed, (size_t)(p - fixed));

	strings_of(&strings, fields);
	for (unsigned i = 0; i < SREC_STRINGS && r == 0; i++) {
		const char *text = *fields[i] ? *fields[i] : "";
		uint8_t len[4];
		put_be32(len, (uint32_t)strlen(text));
		r = buf_append(ret_record, len, sizeof len);
		if (r == 0)
			r = buf_append(ret_record, text, strlen(text));
	}
	return r;
}

static void read_fixed(struct bytes_reader *r, struct srec *rec)
{
	const uint8_t *bytes;

	rec->flags = read_be16(r);
	rec->state = read_u8(r);
	if ((bytes = read_bytes(r, 16)))
		memcpy(rec->id, bytes, 16);
	rec->created = (int64_t)read_be64(r);
	rec->updated = (int64_t)read_be64(r);
	rec->changed = (int64_t)read_be64(r);
	rec->version = read_be64(r);
	rec->version_high = read_be64(r);
	rec->messages = read_be32(r);
	rec->tokens = read_be64(r);
	rec->activity = (int64_t)read_be64(r);
	rec->number_high = read_be32(r);
	rec->title_number = read_be32(r);
	rec->epoch = read_be64(r);
	rec->ring_used = read_be16(r);
	if ((bytes = read_bytes(r, 16)))
		memcpy(rec->rendered_hash, bytes, 16);
	if ((bytes = read_bytes(r, 16)))
		memcpy(rec->claim_hash, bytes, 16);
	rec->claim_version = read_be64(r);
	rec->claim_updated = (int64_t)read_be64(r);
	rec->claim_activity = (int64_t)read_be64(r);
	rec->switches = read_be64(r);
}

static void read_second(struct bytes_reader *r, struct srec *rec)
{
	rec->last_number = read_be32(r);
	rec->last_role = read_u8(r);
	rec->context = read_u8(r);
	rec->shown_state = read_u8(r);
	rec->claim_state = read_u8(r);
	rec->claim_until = (int64_t)read_be64(r);
	rec->trashed = (int64_t)read_be64(r);
}

/* The first format showed an automatic state as active, and did not know the newest message. */
static void fill_second(struct srec *rec)
{
	rec->shown_state = rec->claim_state = rec->state == STATE_AUTO ? STATE_ACTIVE : rec->state;
	if (rec->messages)
		rec->flags |= SREC_RECOUNT;
}

int srec_decode(const void *data, size_t len, struct srec *ret_rec)
{
	struct bytes_reader r = bytes_reader(data, len);
	_cleanup_srec_ struct srec rec = {0};
	char **fields[SREC_STRINGS];

	uint8_t format = read_u8(&r);
	if (format == 0 || format > SREC_FORMAT)
		return r.bad ? -EBADMSG : -EPROTONOSUPPORT;
	read_fixed(&r, &rec);
	if (format == 1)
		fill_second(&rec);
	else
		read_second(&r, &rec);
	strings_of(&rec, fields);
	for (unsigned i = 0; i < (format < 3 ? SREC_STRINGS_BEFORE : SREC_STRINGS); i++) {
		uint32_t n = read_be32(&r);
		const uint8_t *text = read_bytes(&r, n);
		if (!text || memchr(text, '\0', n))
			return -EBADMSG;
		if (n && !(*fields[i] = strndup((const char *)text, n)))
			return -ENOMEM;
	}
	if (bytes_reader_end(&r) < 0 || rec.state >= STATES || rec.shown_state >= STATES ||
	        rec.claim_state >= STATES)
		return -EBADMSG;
	*ret_rec = rec;
	rec = (struct srec){0};
	return 0;
}

int srec_load(struct op *op, struct container *c, struct srec *ret_rec)
{
	_cleanup_buf_ struct buf value = {0};
	int r = op_txn(op);
	if (r == 0)
		r = op_get_session(op, c, RECORD_SESSION, &value);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	return srec_decode(value.data, value.len, ret_rec);
}

int srec_store(struct op *op, struct container *c, const struct srec *rec)
{
	_cleanup_buf_ struct buf value = {0};
	int r = srec_encode(rec, &value);
	if (r < 0)
		return r;
	memory_stale(c);
	struct session_memory *memory = c->session;
	if (memory)
		memory->untouched &= rec->flags;
	return op_put_session(op, c, RECORD_SESSION, value.data, value.len);
}

void srec_changed(struct srec *rec, const struct timespec *now)
{
	rec->flags |= SREC_CHANGED;
	rec->changed = timestamp_ms(now);
}

static bool gives_title(const struct message *m)
{
	return m->role == MESSAGE_USER && m->flags & MESSAGE_TEXT;
}

static int change_title(
        struct srec *rec, uint32_t number, const struct message *m, const char *title)
{
	if (m && gives_title(m)) {
		if (rec->title_number && number > rec->title_number)
			return 0;
		rec->title_number = number;
		return srec_set(&rec->auto_title, title);
	}
	if (number == rec->title_number) {
		rec->flags |= SREC_RECOUNT;
		rec->title_number = 0;
	}
	return 0;
}

bool srec_is_restoring(const struct srec *rec)
{
	return rec->flags & SREC_CLAIM && !(rec->flags & SREC_CLAIM_MATCHED);
}

int srec_change_message(struct srec *rec, uint32_t number, const struct message *old,
        const struct message *m, const char *title)
{
	/* that a restored message gets its time is its restore still */
	bool only_time = old && m && old->size == m->size && old->tokens == m->tokens;
	if (!srec_is_restoring(rec) && !(rec->flags & SREC_CLAIM && only_time))
		rec->flags &= (uint16_t) ~(SREC_PACKED | SREC_PACKED_SAID);
	if (old) {
		rec->messages -= rec->messages > 0;
		rec->tokens -= old->tokens < rec->tokens ? old->tokens : rec->tokens;
		if (old->time >= rec->activity && (!m || m->time < old->time))
			rec->flags |= SREC_RECOUNT;
	}
	if (m && number >= rec->last_number) {
		rec->last_number = number;
		rec->last_role = m->role;
	} else if (!m && number == rec->last_number) {
		rec->flags |= SREC_RECOUNT;
	}
	if (m) {
		rec->messages++;
		rec->tokens += m->tokens;
		if (m->time > rec->activity)
			rec->activity = m->time;
	}
	return change_title(rec, number, m, title);
}

void srec_number_used(struct srec *rec, uint32_t number, bool message)
{
	if (number <= rec->number_high)
		return;
	rec->number_high = number;
	if (message && !srec_is_restoring(rec)) {
		/* Also what a restored document claimed is over: its removal does not bring the state back. */
		rec->flags &= (uint16_t) ~(SREC_INTERRUPTED | SREC_STATE_RESTORED | SREC_CLAIM | SREC_CLAIM_MATCHED);
		rec->state = STATE_AUTO;
	}
}

void srec_settle_title(struct srec *rec)
{
	char buffer[TITLE_AUTO_MAX + 1];

	if (rec->auto_title && !rec->title_number)
		return; /* it is of a message that is gone */
	title_of_id(rec->id, buffer);
	if (rec->title && strcmp(rec->title, rec->auto_title ? rec->auto_title : buffer) == 0) {
		free(rec->title);
		rec->title = NULL;
	}
}

const char *srec_title(const struct srec *rec, char buffer[TITLE_AUTO_MAX + 1])
{
	if (rec->title)
		return rec->title;
	if (rec->auto_title)
		return rec->auto_title;
	title_of_id(rec->id, buffer);
	return buffer;
}
