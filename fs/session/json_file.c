/*
 * json_file.c: the file session.json, rendered when somebody looks for it and it is stale.
 *
 * Each rendering that differs is a new inode in the place of the old one, so that whoever has the
 * old one open reads what it was, and no page of it that the kernel keeps is ever wrong. While
 * somebody's save is under way (inode->untaken) the file is left alone.
 */
#include "fs/core/xattr.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"

/*
 * Decides what is shown as version, updated_at and activity. A rendering that says the same as the
 * last one keeps all of it. One that says what a restored file had said (the claim) is that file
 * again.
 */
static int settle_claim(struct op *op, uint32_t domain, struct srec *rec, const struct place *place,
        const struct moment *moment, const struct shown *shown)
{
	struct shown claimed = *shown;
	uint8_t hash[16];

	if (!(rec->flags & SREC_CLAIM))
		return 0;
	claimed.state = srec_claimed_state(rec, moment);
	int r = render_hash(op, domain, rec, place, &claimed, hash);
	if (r == 0 && memcmp(hash, rec->claim_hash, 16) == 0 && !rec->claim_version)
		rec->flags &= (uint16_t)~SREC_CLAIM; /* a copy, and now complete */
	else if (r == 0 && memcmp(hash, rec->claim_hash, 16) == 0)
		rec->flags |= SREC_CLAIM_MATCHED;
	else if (r == 0 && rec->flags & SREC_CLAIM_MATCHED)
		rec->flags &= (uint16_t) ~(SREC_CLAIM | SREC_CLAIM_MATCHED);
	return r;
}

/* Another rendering. Where time alone has made it one, that was when its state changed and not now. */
static void settle_version(struct op *op, struct srec *rec, const struct moment *moment, const struct shown *shown)
{
	int64_t since = shown->state == rec->shown_state ? INT64_MIN : srec_state_since(rec, moment);

	rec->version = ++rec->version_high;
	if (!(rec->flags & SREC_CHANGED) && since <= rec->updated)
		rec->changed = timestamp_ms(&op->now);
	if (rec->flags & SREC_CHANGED || since <= rec->updated)
		rec->updated = rec->changed;
	if (since > rec->updated)
		rec->updated = since;
}

/* What @rec says; its title is in @rec or in @automatic. */
static struct shown shown_of(struct srec *rec, const struct moment *moment, char automatic[TITLE_AUTO_MAX + 1])
{
	srec_settle_title(rec);
	return (struct shown){.messages = rec->messages, .tokens = rec->tokens, .trash = moment->trash,
	        .title = srec_title(rec, automatic)};
}

int json_load(struct op *op, struct sessions *s, struct container *c, struct srec *rec)
{
	_cleanup_place_ struct place place = {0};
	char automatic[TITLE_AUTO_MAX + 1];

	int r = srec_load(op, c, rec);
	if (r < 0 || !srec_is_restoring(rec))
		return r;
	r = place_of_session(op, c, &place);
	if (r < 0)
		return r;
	struct moment moment = place_moment(s, c, &place);
	struct shown shown = shown_of(rec, &moment, automatic);
	return settle_claim(op, c->domain, rec, &place, &moment, &shown);
}

int json_settle(struct op *op, uint32_t domain, struct srec *rec, const struct place *place,
        const struct moment *moment, struct shown *ret_shown, bool *ret_changed)
{
	char automatic[TITLE_AUTO_MAX + 1];
	uint8_t hash[16];
	uint64_t version = rec->version;
	struct shown shown = shown_of(rec, moment, automatic);

	int r = settle_claim(op, domain, rec, place, moment, &shown);
	bool claimed = rec->flags & SREC_CLAIM_MATCHED;
	shown.activity = claimed ? rec->claim_activity : rec->activity;
	shown.state = srec_state(rec, moment);
	if (r == 0)
		r = render_hash(op, domain, rec, place, &shown, hash);
	if (r < 0)
		return r;
	if (claimed && shown.state == rec->claim_state) {
		rec->version = rec->claim_version;
		rec->updated = rec->claim_updated;
	} else if (memcmp(hash, rec->rendered_hash, 16) != 0 || !rec->version) {
		settle_version(op, rec, moment, &shown);
	}
	rec->shown_state = shown.state;
	*ret_changed = version != rec->version || rec->flags & SREC_FILE_STALE ||
	               memcmp(hash, rec->rendered_hash, 16) != 0;
	memcpy(rec->rendered_hash, hash, 16);
	rec->flags &= (uint16_t) ~(SREC_CHANGED | SREC_FILE_STALE);
	shown.title = NULL; /* automatic is ours */
	shown.version = rec->version;
	shown.updated = rec->updated;
	*ret_shown = shown;
	return 0;
}

static int copy_xattrs(struct op *op, struct inode *from, struct inode *to)
{
	_cleanup_buf_ struct buf names = {0}, value = {0};
	int r = xattr_list(from, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;
		r = xattr_read(op, from, name, &value);
		if (r == 0)
			r = xattr_put(op, to, name, value.data, value.len, 0);
		at += strlen(name) + 1;
	}
	return r;
}

int json_put_ring(struct op *op, struct container *c, struct srec *rec, const struct buf *text)
{
	_cleanup_buf_ struct buf row = {0};
	unsigned slot = (unsigned)(rec->version % RECORD_RING_SIZE);
	uint8_t version[8];

	put_be64(version, rec->version);
	int r = buf_append(&row, version, sizeof version);
	if (r == 0)
		r = buf_append(&row, text->data, text->len);
	if (r == 0)
		r = op_put_session(op, c, (uint8_t)(RECORD_RING + slot), row.data, row.len);
	rec->ring_used |= (uint16_t)(1u << slot);
	return r;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

/*
 * A new inode with the bytes @text, owner, mode and attributes as @old has them. Its ctime is that
 * of the change and not of the look that found it, or an incremental backup would see its own looks
 * as changes.
 */
static int new_file(struct op *op, struct inode *session, struct inode *old, const struct srec *rec,
        const struct buf *text, struct inode **ret_file)
{
	const struct irec *like = op_stage(op, old ? old : session);
	struct inode *file;
	mode_t mode = S_IFREG | (like->mode & (old ? 07777 : 0666));

	int r = op_new_inode(op, session->container, mode, ROLE_SESSION_JSON, &file);
	if (r < 0)
		return r;
	struct irec *irec = op_stage(op, file);
	like = op_stage(op, old ? old : session);
	irec->uid = like->uid;
	irec->gid = like->gid;
	r = data_replace(op, file, irec, text->data, text->len);
	if (r == 0 && old && like->xattrs)
		r = copy_xattrs(op, old, file);
	irec->mtime = timestamp_from_ms(rec->updated);
	irec->ctime = timestamp_from_ms(srec_last_change(rec));
	if (old) {
		irec->btime = like->btime;
		if (is_later(&like->ctime, &irec->ctime))
			irec->ctime = like->ctime;
	}
	*ret_file = file;
	return r;
}

static int put_file(struct op *op, struct inode *session, struct inode *old, struct srec *rec,
        const struct place *place, struct shown *shown)
{
	_cleanup_buf_ struct buf text = {0};
	char automatic[TITLE_AUTO_MAX + 1];
	struct inode *file = NULL;

	shown->title = srec_title(rec, automatic);
	int r = render_session(rec, place, shown, &text);
	if (r == 0)
		r = json_put_ring(op, session->container, rec, &text);
	if (r == 0)
		r = new_file(op, session, old, rec, &text, &file);
	if (r < 0)
		return r;
	if (!old)
		return op_add_entry(op, session, JSON_NAME, strlen(JSON_NAME), file);
	r = op_replace_entry(op, session, JSON_NAME, strlen(JSON_NAME), old, file);
	if (r < 0)
		return r;
	struct irec *irec = op_stage(op, old);
	if (irec->nlink == 0)
		return op_drop_inode(op, old); /* who has it open may still save through it */
	irec->role = ROLE_PLAIN;
	return 0;
}

int json_replace(struct op *op, struct inode *session, struct inode *old, struct srec *rec,
        const struct place *place, const struct moment *moment)
{
	struct shown shown;
	bool changed;
	int r = json_settle(op, session->container->domain, rec, place, moment, &shown, &changed);
	return r < 0 ? r : put_file(op, session, old, rec, place, &shown);
}

/* The file that stands there, NULL where it is not ours to render now. 1: nothing stands there. */
static int find_file(struct op *op, struct inode *session, struct inode **ret_file, bool *ret_busy)
{
	_cleanup_inode_ struct inode *file = NULL;
	int r = op_lookup(op, session, JSON_NAME, strlen(JSON_NAME), &file);

	*ret_file = NULL;
	*ret_busy = false;
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	pthread_rwlock_rdlock(&file->lock);
	*ret_busy = file->untaken;
	bool ours = file->rec.role == ROLE_SESSION_JSON && !file->untaken;
	pthread_rwlock_unlock(&file->lock);
	if (ours)
		*ret_file = steal_ptr(file);
	return 0;
}

static int freshen_locked(struct op *op, struct sessions *s, struct inode *session, const struct ages *ages)
{
	_cleanup_inode_ struct inode *file = NULL;
	_cleanup_place_ struct place place = {0};
	_cleanup_srec_ struct srec rec = {0};
	struct moment moment;
	struct shown shown;
	uint64_t names = atomic_load(&s->names);
	int64_t until = TIME_NEVER;
	bool busy, changed = false;

	int r = find_file(op, session, &file, &busy);
	if (r < 0 || busy)
		return r;
	struct session_memory *memory = memory_of(session->container);
	if (!memory)
		return -ENOMEM;
	memory->ages = *ages;
	memory->aged = true;
	bool lost = r > 0;
	if (file || lost) {
		r = srec_load(op, session->container, &rec);
		lost = lost && !(rec.flags & SREC_JSON_GONE);
	}
	if (file || lost) {
		uint16_t flags = rec.flags;
		if (r == 0)
			r = place_of_session(op, session->container, &place);
		if (r == 0 && rec.flags & SREC_RECOUNT)
			r = recount(op, session, &rec);
		if (r == 0) {
			moment = place_moment(s, session->container, &place);
			r = json_settle(op, session->container->domain, &rec, &place, &moment, &shown, &changed);
		}
		changed |= lost;
		if (r == 0 && changed)
			r = put_file(op, session, file, &rec, &place, &shown);
		if (r == 0 && (changed || flags != rec.flags)) {
			r = srec_store(op, session->container, &rec);
			if (r == 0)
				r = op_commit(op);
		}
		if (r < 0)
			return r;
		until = srec_state_until(&rec, &moment);
	}
	memory->fresh = true;
	memory->fresh_until = until;
	memory->fresh_names = names;
	return 0;
}

static int freshen_once(struct sessions *s, struct inode *session, const struct ages *ages)
{
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r < 0)
		return r == -ESTALE ? 0 : r; /* removed meanwhile */
	r = op_txn(&op);
	return r < 0 ? r : freshen_locked(&op, s, session, ages);
}

int json_freshen(struct sessions *s, struct inode *session)
{
	struct container *c = session->container;
	struct ages ages;

	pthread_rwlock_rdlock(&c->lock);
	const struct session_memory *m = c->session;
	bool checked = m && m->checked;
	bool fresh = checked && m->fresh && m->fresh_names == atomic_load(&s->names) &&
	             session_clock(s) < m->fresh_until;
	pthread_rwlock_unlock(&c->lock);
	if (fresh)
		return 0;
	int r = checked ? 0 : recount_after_crash(s, session);
	if (r == 0)
		r = policy_ages(s, session, &ages);
	if (r == 0)
		r = OP_RETRY(freshen_once(s, session, &ages));
	/* Nothing can be written: the last one goes on to be read. */
	return r == -EROFS || r == -ENOSPC || r == -EIO ? 0 : r;
}
