/*
 * recount.c: all messages of a session looked at again: when the newest or the first one went, and
 * once after a daemon died, for what it had no time to take in.
 */
#include "fs/session/session_internal.h"

struct scan {
	struct core *core;
	struct container *container;
	struct kv_iter *it;
	bool started;
	struct inode_scan inodes; /* messages were made one after the other */
};

static void scan_release(struct scan *scan)
{
	kv_iter_free(scan->it);
	inode_scan_release(&scan->inodes);
}

static int scan_open(
        struct core *core, struct kv_txn *txn, struct inode *messages, struct scan *ret_scan)
{
	struct container *c = messages->container;
	struct key prefix = key_make(c->domain, c->id, KEY_DENTRY, messages->ino);

	ret_scan->core = core;
	ret_scan->container = c;
	ret_scan->inodes = (struct inode_scan){.core = core, .container = c->id};
	return kv_iter_open(
	        core_kv(core), NULL, txn, KV_META, prefix.bytes, prefix.len, &ret_scan->it);
}

/* The next message by rising number: 1, 0 at the end. */
static int scan_next(struct scan *scan, struct inode **ret_file, uint32_t *ret_number)
{
	_cleanup_buf_ struct buf value = {0};
	struct dentry d;

	for (;;) {
		int r = scan->started ? kv_iter_next(scan->it) : kv_iter_seek(scan->it, NULL, 0);
		scan->started = true;
		if (r <= 0)
			return r;
		r = kv_iter_value(scan->it, &value);
		if (r == 0)
			r = dentry_decode(value.data, value.len, &d);
		if (r < 0)
			return r;
		*ret_number = name_message_number(d.name, d.name_len);
		if (!*ret_number || d.type != S_IFREG >> 12)
			continue;
		r = inode_get_next(scan->core, d.ino, scan->container, &scan->inodes, ret_file);
		if (r == -EBADMSG)
			continue; /* a damaged message does not hide the others */
		return r < 0 ? r : 1;
	}
}

static int title_of(struct inode *file, struct irec *irec, char title[TITLE_AUTO_MAX + 1])
{
	struct message m;
	struct irec copy = *irec;
	return message_read(file, &copy, &m, title);
}

static int count_one(struct inode *file, uint32_t number, struct srec *rec)
{
	char title[TITLE_AUTO_MAX + 1] = "";
	struct message m;

	pthread_rwlock_rdlock(&file->lock);
	int r = message_decode(file->facts, &m);
	if (r == 0 && !rec->title_number && m.role == MESSAGE_USER && m.flags & MESSAGE_TEXT)
		r = title_of(file, &file->rec, title);
	pthread_rwlock_unlock(&file->lock);
	if (r == -ENOENT || r == -EBADMSG)
		return 0; /* never taken in, or damaged */
	return r < 0 ? r : srec_change_message(rec, number, NULL, &m, title);
}

/* One of messages/archive/: it has no facts, and is not counted; but a title and a time may be its own. */
static int look_at_archived(struct inode *file, uint32_t number, struct srec *rec)
{
	char title[TITLE_AUTO_MAX + 1];
	struct message m;

	pthread_rwlock_rdlock(&file->lock);
	struct irec copy = file->rec;
	int r = message_read(file, &copy, &m, title);
	pthread_rwlock_unlock(&file->lock);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	rec->flags |= SREC_ARCHIVED;
	if (m.time > rec->activity)
		rec->activity = m.time;
	if (m.role != MESSAGE_USER || !(m.flags & MESSAGE_TEXT) || (rec->title_number && rec->title_number <= number))
		return 0;
	rec->title_number = number;
	return srec_set(&rec->auto_title, title);
}

static int look_at_archive(struct op *op, struct inode *messages, struct srec *rec)
{
	_cleanup_(scan_release) struct scan scan = {0};
	_cleanup_inode_ struct inode *archive = NULL;
	int r = op_lookup(op, messages, ARCHIVE_NAME, strlen(ARCHIVE_NAME), &archive);

	if (r < 0 || !inode_is_dir(archive))
		return r == -ENOENT ? 0 : r;
	r = scan_open(op->core, op->txn, archive, &scan);
	while (r == 0) {
		_cleanup_inode_ struct inode *file = NULL;
		uint32_t number;
		r = scan_next(&scan, &file, &number);
		if (r <= 0)
			return r;
		r = look_at_archived(file, number, rec);
	}
	return r;
}

static int look_at_past_archived(void *arg, struct inode *archive, const struct dentry *d)
{
	_cleanup_inode_ struct inode *file = NULL;
	uint32_t number = name_message_number(d->name, d->name_len);

	if (!number || d->type != S_IFREG >> 12)
		return 0;
	int r = dentry_child(archive->core, archive, d, &file);
	return r < 0 ? (r == -EBADMSG ? 0 : r) : look_at_archived(file, number, arg);
}

static int count_past(void *arg, struct inode *messages, const struct dentry *d)
{
	_cleanup_inode_ struct inode *file = NULL;
	uint32_t number = name_message_number(d->name, d->name_len);

	bool archive = d->type == S_IFDIR >> 12 && d->name_len == strlen(ARCHIVE_NAME) &&
	               memcmp(d->name, ARCHIVE_NAME, d->name_len) == 0;

	if (!archive && (!number || d->type != S_IFREG >> 12))
		return 0;
	int r = dentry_child(messages->core, messages, d, &file);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	return archive ? past_entries(file, look_at_past_archived, arg) : count_one(file, number, arg);
}

int recount(struct op *op, struct inode *session, struct srec *rec)
{
	_cleanup_(scan_release) struct scan scan = {0};
	_cleanup_inode_ struct inode *messages = NULL;
	int r = op_lookup(op, session, "messages", 8, &messages);

	if (r < 0 && r != -ENOENT)
		return r;
	rec->messages = 0;
	rec->tokens = 0;
	rec->activity = ACTIVITY_NONE;
	rec->title_number = 0;
	rec->last_number = 0;
	rec->last_role = 0;
	rec->flags &= (uint16_t) ~(SREC_RECOUNT | SREC_ARCHIVED);
	int set = srec_set(&rec->auto_title, NULL);
	if (r == -ENOENT || set < 0)
		return set;
	if (messages->at)
		return past_entries(messages, count_past, rec);
	r = scan_open(op->core, op->txn, messages, &scan);
	while (r == 0) {
		_cleanup_inode_ struct inode *file = NULL;
		uint32_t number;
		r = scan_next(&scan, &file, &number);
		if (r <= 0)
			return r < 0 ? r : look_at_archive(op, messages, rec);
		r = count_one(file, number, rec);
	}
	return r;
}

/* Marks what has changed since it was taken in. */
static void mark_untaken(struct inode *file)
{
	struct message m;

	pthread_rwlock_wrlock(&file->lock);
	bool taken = message_decode(file->facts, &m) == 0 && message_is_as_taken(&m, &file->rec);
	if (!taken)
		file->untaken = true;
	pthread_rwlock_unlock(&file->lock);
}

static int take_in_messages(struct sessions *s, struct inode *messages)
{
	_cleanup_(scan_release) struct scan scan = {0};
	int r = scan_open(s->core, NULL, messages, &scan);

	while (r == 0) {
		_cleanup_inode_ struct inode *file = NULL;
		uint32_t number;
		r = scan_next(&scan, &file, &number);
		if (r <= 0)
			return r;
		mark_untaken(file);
		r = take_in(s, file);
	}
	return r;
}

/*
 * The file's bytes are not those of the last rendering: a save that was not taken in. One that is under way is not: its
 * close takes it in.
 */
static int take_in_json(struct sessions *s, struct inode *session, const struct srec *rec)
{
	_cleanup_buf_ struct buf row = {0}, text = {0};
	_cleanup_inode_ struct inode *file = NULL;
	struct container *c = session->container;
	struct dentry d;

	if (rec->flags & SREC_FILE_STALE || !rec->version)
		return 0;
	pthread_rwlock_rdlock(&c->lock);
	int r = dentry_find(s->core, NULL, session, JSON_NAME, strlen(JSON_NAME), &d);
	if (r == 0)
		r = session_record_get(
		        s->core, c, (uint8_t)(RECORD_RING + rec->version % RECORD_RING_SIZE), &row);
	pthread_rwlock_unlock(&c->lock);
	if (r == 0)
		r = inode_get(s->core, d.ino, c, &file);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	pthread_rwlock_wrlock(&file->lock);
	bool busy = file->data.writers > 0;
	if (file->rec.role == ROLE_SESSION_JSON && !busy) {
		bool differs = row.len != file->rec.size + 8;
		if (!differs)
			r = buf_resize(&text, (size_t)file->rec.size);
		if (!differs && r == 0)
			differs = data_read(file, text.data, text.len, 0) != (ssize_t)text.len ||
			          memcmp(text.data, row.data + 8, text.len) != 0;
		if (r == 0 && differs)
			file->untaken = true;
	}
	pthread_rwlock_unlock(&file->lock);
	return r < 0 || busy ? r : take_in(s, file);
}

/* Its name is compared with the one that is known, so it can be taken in once more. */
static int take_in_agent(struct sessions *s, struct inode *session)
{
	_cleanup_inode_ struct inode *file = NULL;
	struct container *c = session->container;
	struct dentry d;

	pthread_rwlock_rdlock(&c->lock);
	int r = dentry_find(s->core, NULL, session, "agent", 5, &d);
	pthread_rwlock_unlock(&c->lock);
	if (r == 0 && d.type == S_IFREG >> 12)
		r = inode_get(s->core, d.ino, c, &file);
	if (r < 0 || !file)
		return r == -ENOENT ? 0 : r;
	pthread_rwlock_wrlock(&file->lock);
	file->untaken = true;
	pthread_rwlock_unlock(&file->lock);
	return take_in(s, file);
}

/* It was written and perhaps not taken in. No step that the daemon before this one has not seen. */
static int take_in_context(struct sessions *s, struct inode *session)
{
	_cleanup_inode_ struct inode *file = NULL;
	int r = context_find(s, session, &file);

	if (r < 0 || file->rec.role != ROLE_CONTEXT)
		return r == -ENOENT ? 0 : r;
	context_seen(file);
	pthread_rwlock_wrlock(&file->lock);
	file->untaken = true;
	pthread_rwlock_unlock(&file->lock);
	return take_in(s, file);
}

static int store_epoch(struct sessions *s, struct inode *session)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r == 0)
		r = srec_load(&op, session->container, &rec);
	if (r < 0)
		return r;
	rec.epoch = s->epoch;
	rec.flags |= SREC_RECOUNT;
	r = srec_store(&op, session->container, &rec);
	return r < 0 ? r : op_commit(&op);
}

static void set_checked(struct container *c)
{
	pthread_rwlock_wrlock(&c->lock);
	struct session_memory *m = memory_of(c);
	if (m)
		m->checked = true;
	pthread_rwlock_unlock(&c->lock);
}

int recount_after_crash(struct sessions *s, struct inode *session)
{
	_cleanup_inode_ struct inode *messages = NULL;
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_buf_ struct buf value = {0};
	struct container *c = session->container;
	struct dentry d;

	pthread_rwlock_rdlock(&c->lock);
	int r = session_record_get(s->core, c, RECORD_SESSION, &value);
	if (r == 0)
		r = dentry_find(s->core, NULL, session, "messages", 8, &d);
	pthread_rwlock_unlock(&c->lock);
	bool has_messages = r == 0;
	if (value.len == 0)
		return r == -ENOENT ? -EBADMSG : r;
	if (r == 0 || r == -ENOENT)
		r = srec_decode(value.data, value.len, &rec);
	if (r == 0 && rec.epoch != s->epoch) {
		if (has_messages)
			r = inode_get(s->core, d.ino, c, &messages);
		if (r == 0 && messages)
			r = take_in_messages(s, messages);
		if (r == 0)
			r = take_in_json(s, session, &rec);
		if (r == 0)
			r = take_in_agent(s, session);
		if (r == 0)
			r = take_in_context(s, session);
		if (r == 0)
			r = OP_RETRY(store_epoch(s, session));
	}
	if (r == 0)
		set_checked(c);
	return r;
}
