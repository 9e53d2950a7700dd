/*
 * save.c: somebody's save of session.json is merged into the record; the file itself is rendered
 * again at the next look. What cannot be merged is put aside as session.json.rejected.
 */
#include "fs/core/xattr.h"
#include "fs/session/json.h"
#include "fs/session/lifecycle.h"
#include "fs/session/session_internal.h"
#include "fs/session/uuid.h"

#define XATTR_REASON "user.scribefs.reason"

/* The rendering of @version into @ret_row from its byte 8 on. -ENOENT. */
static int get_ring(struct op *op, struct container *c, uint64_t version, struct buf *ret_row)
{
	int r = op_get_session(op, c, (uint8_t)(RECORD_RING + version % RECORD_RING_SIZE), ret_row);
	if (r < 0)
		return r;
	if (ret_row->len < 8)
		return -EBADMSG;
	return get_be64(ret_row->data) == version ? 0 : -ENOENT;
}

static int set_copied_from(struct srec *rec, const uint8_t id[16])
{
	struct json_object extra = {0};
	_cleanup_buf_ struct buf text = {0};
	char value[UUID_LEN + 3] = "\"";
	const char *reason;
	int r = rec->extra ? json_object_parse(rec->extra, strlen(rec->extra), &extra, &reason) : 0;

	uuid_format(id, value + 1);
	strcat(value, "\"");
	if (r == 0)
		r = json_set_key(&extra, "\"copied_from\"", value);
	if (r == 0)
		r = json_object_text(&extra, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r == 0)
		r = srec_set(&rec->extra, (const char *)text.data);
	json_object_release(&extra);
	return r == -EINVAL ? -EBADMSG : r;
}

/* The session becomes the one that the document is of. *ret_copy: that one is still there, so it is
 * a copy. */
static int take_id(struct op *op, struct container *c, struct container *user, const uint8_t id[16],
        struct srec *rec, bool *ret_copy)
{
	if (memcmp(id, rec->id, 16) == 0)
		return 0;
	int r = ids_taken(op, user, id, c->id, ret_copy);
	if (r < 0)
		return r;
	if (*ret_copy)
		return set_copied_from(rec, id);
	r = ids_delete(op, user, rec->id);
	if (r == 0)
		r = ids_put(op, user, id, c->id);
	memcpy(rec->id, id, 16);
	return r;
}

/*
 * From here on the session is to become byte for byte what the document says, once its messages are there. A @copy
 * stays itself, with a version of its own (0 here), but till then its messages are those that the document tells of.
 */
static int claim(struct op *op, struct container *c, const struct place *place,
        const struct merge *m, bool copy, struct srec *rec)
{
	struct shown shown = {.title = m->title ? m->title : "", .messages = m->messages, .tokens = m->tokens,
	        .state = rec->claim_state, .trash = place->trash};

	rec->claim_version = copy ? 0 : m->version;
	if (!copy && rec->version_high < m->version)
		rec->version_high = m->version;
	rec->flags |= SREC_CLAIM;
	rec->flags &= (uint16_t)~SREC_CLAIM_MATCHED;
	return render_hash(op, c->domain, rec, place, &shown, rec->claim_hash);
}

/*
 * A state that time gives is nobody's; whether time gave it when the document was written, its own times say. One that
 * was deleted and does not lie in .trash has been brought back.
 */
static void restore_state(const struct merge *m, const struct moment *moment, struct srec *rec)
{
	uint8_t automatic = srec_automatic_state(rec, moment);

	rec->claim_state = m->state == STATE_AUTO ? automatic : m->state;
	rec->claim_until = moment->now + RESTORED_HOLDS_MS;
	rec->state = m->state == automatic || m->state == STATE_DELETED ? STATE_AUTO : m->state;
	if (m->has_updated && m->has_activity)
		rec->flags |= SREC_STATE_RESTORED;
}

static int restore(struct op *op, struct inode *session, const struct place *place, const struct moment *moment,
        const struct merge *m, struct srec *rec)
{
	bool copy = false;

	rec->flags &= (uint16_t) ~(SREC_CLAIM | SREC_CLAIM_MATCHED | SREC_STATE_RESTORED);
	rec->claim_updated = m->updated;
	rec->claim_activity = m->activity;
	restore_state(m, moment, rec);
	if (!place->trash)
		rec->trashed = 0;
	int r = m->has_id ? take_id(op, session->container, place->user, m->id, rec, &copy) : 0;
	if (r < 0 || !m->has_version || !m->has_updated || !m->has_activity)
		return r;
	return claim(op, session->container, place, m, copy, rec);
}

static int tell_broken(struct srec *rec, const struct broken *broken)
{
	char text[BROKEN_TEXT];

	broken_text(broken, text);
	return srec_set(&rec->broken, text);
}

static int merge(struct op *op, struct sessions *s, struct inode *session, struct srec *rec, const char *text,
        size_t len, const char **ret_reason)
{
	_cleanup_(merge_release) struct merge m = {0};
	_cleanup_place_ struct place place = {0};
	struct moment moment;
	_cleanup_buf_ struct buf row = {0};
	uint64_t version;

	int r = merge_version(text, len, &version, ret_reason);
	if (r == -ENOENT)
		version = rec->version;
	else if (r < 0)
		return r;
	r = get_ring(op, session->container, version, &row);
	if (r < 0 && r != -ENOENT)
		return r;
	const char *base = r == 0 ? (const char *)row.data + 8 : NULL;
	r = place_of_session(op, session->container, &place);
	if (r < 0)
		return r;
	moment = place_moment(s, session->container, &place);
	r = merge_document(rec, text, len, base, base ? row.len - 8 : 0, &moment, &m, ret_reason);
	if (r == 0)
		r = tell_broken(rec, &m.broken);
	return r == 0 && m.kind == MERGE_RESTORE ? restore(op, session, &place, &moment, &m, rec) : r;
}

/* The name session.json.rejected for @file, whatever regular file had it before. */
static int put_rejected(struct op *op, struct inode *session, struct inode *file)
{
	_cleanup_inode_ struct inode *before = NULL;
	const size_t len = strlen(JSON_REJECTED);
	int r = op_lookup(op, session, JSON_REJECTED, len, &before);

	if (r == -ENOENT)
		return op_add_entry(op, session, JSON_REJECTED, len, file);
	if (r < 0)
		return r;
	if (inode_is_dir(before))
		return -EISDIR;
	r = op_replace_entry(op, session, JSON_REJECTED, len, before, file);
	if (r < 0 || op_stage(op, before)->nlink > 0)
		return r;
	return op_drop_inode(op, before);
}

/* The broken save is @file itself, under another name; one without a name is copied. */
static int reject(struct op *op, struct sessions *s, struct inode *session, struct inode *file, struct srec *rec,
        const struct buf *text, const char *reason)
{
	_cleanup_place_ struct place place = {0};
	struct irec *irec = op_stage(op, file);
	struct inode *aside = file;

	int r = place_of_session(op, session->container, &place);
	if (r == 0 && irec->nlink == 0) {
		r = op_new_inode(op, session->container, irec->mode, ROLE_PLAIN, &aside);
		if (r < 0)
			return r;
		struct irec *copy = op_stage(op, aside);
		copy->uid = irec->uid;
		copy->gid = irec->gid;
		r = data_replace(op, aside, copy, text->data, text->len);
	}
	if (r == 0)
		r = put_rejected(op, session, aside);
	if (r < 0)
		return r == -EISDIR ? 0 : r;
	r = xattr_put(op, aside, XATTR_REASON, reason, strlen(reason), 0);
	if (r == 0)
		r = srec_set(&rec->broken, reason);
	if (r < 0)
		return r;
	op_touch_dir(op, op_stage(op, session));
	irec->role = ROLE_PLAIN;
	struct moment moment = place_moment(s, session->container, &place);
	return aside == file ? json_replace(op, session, file, rec, &place, &moment) : 0;
}

int save_take(struct op *op, struct sessions *s, struct inode *session, struct inode *file,
        struct srec *rec)
{
	_cleanup_buf_ struct buf text = {0};
	const struct irec *irec = op_stage(op, file);
	const char *reason = NULL;

	if (!irec)
		return -ENOMEM;
	int r = buf_resize(&text, irec->size > JSON_MAX ? JSON_MAX + 1 : (size_t)irec->size);
	if (r < 0)
		return r;
	ssize_t n = data_read(file, text.data, text.len, 0);
	if (n < 0)
		return (int)n;
	text.len = (size_t)n;
	rec->flags &= (uint16_t) ~(SREC_JSON_AUTO | SREC_JSON_GONE);
	rec->flags |= SREC_FILE_STALE;
	r = merge(op, s, session, rec, (const char *)text.data, text.len, &reason);
	if (r == -EINVAL && reason)
		return reject(op, s, session, file, rec, &text, reason);
	if (r < 0)
		return r;
	if (rec->state == STATE_DELETED)
		lifecycle_touched(s, session->container);
	srec_settle_title(rec);
	srec_changed(rec, &op->now);
	return 0;
}
