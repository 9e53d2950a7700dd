/*
 * version.c: whether what was derived from a session is still true, and what fs/views keeps with it.
 */
#include "fs/session/messages.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/transcript.h"

#define HASH_PURPOSE_SOURCE 0x736f7572u
#define SETTLED_MS 2000 /* a later change cannot have the same time, unless the clock is set back by more */

static int get_session(struct sessions *s, uint64_t ino, struct inode **ret_session)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = inode_get(s->core, ino, NULL, &session);

	if (r < 0)
		return r;
	if (!inode_is_dir(session) || session->rec.role != ROLE_SESSION || session->ghost)
		return -ENOENT;
	*ret_session = steal_ptr(session);
	return 0;
}

int session_stamp(struct sessions *s, uint64_t ino, struct session_version *ret_version)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = get_session(s, ino, &session);

	if (r < 0)
		return r;
	if (session->at) { /* it never changes; its number is another's one day */
		struct snapshot_info info;
		r = snapshot_of_ino(s->core, ino, &info);
		if (r == 0)
			*ret_version = (struct session_version){.stamp = info.id, .until = TIME_NEVER};
		return r;
	}
	struct session_version v = {.names = atomic_load(&s->names)};
	/* An op that is at work has stamped and not yet committed: it holds the lock. */
	pthread_rwlock_rdlock(&session->container->lock);
	v.stamp = atomic_load(&session->container->stamp);
	pthread_rwlock_unlock(&session->container->lock);
	*ret_version = v;
	return 0;
}

bool session_version_holds(struct sessions *s, const struct session_version *then,
	const struct session_version *now)
{
	return then->stamp == now->stamp && then->names == now->names && session_clock(s) < then->until;
}

static void see_writer(struct inode *file, bool *writing, struct timespec *changed)
{
	pthread_rwlock_rdlock(&file->lock);
	if (file->untaken) {
		const struct timespec *t = &file->rec.ctime;
		*writing = true;
		if (t->tv_sec > changed->tv_sec || (t->tv_sec == changed->tv_sec && t->tv_nsec > changed->tv_nsec))
			*changed = *t;
	}
	pthread_rwlock_unlock(&file->lock);
}

/* Whether a message is being written, with the newest of their changes. */
static int look_for_writers(struct sessions *s, struct inode *session, bool *ret_writing,
	struct timespec *changed, uint32_t *ret_total)
{
	_cleanup_(message_list_release) struct message_list list = {0};
	int r = message_list_load(s, session, &list);

	*ret_writing = false;
	*ret_total = (uint32_t)list.n;
	for (size_t i = 0; i < list.n && r == 0; i++) {
		_cleanup_inode_ struct inode *file = inode_peek(s->core, list.at[i].ino);
		if (file && file->state == 0) /* else not in memory: nobody has it open */
			see_writer(file, ret_writing, changed);
	}
	return r;
}

/* context.json is no message, and some documents are rendered from it. */
static int look_for_context(struct sessions *s, struct inode *session, bool *writing, struct timespec *changed)
{
	_cleanup_inode_ struct inode *file = NULL;
	int r = context_find(s, session, &file);

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	see_writer(file, writing, changed);
	return 0;
}

/* What the documents say beside the messages: session.json, and the policies of the memory. */
static int hash_source(struct sessions *s, struct inode *session, const struct srec *rec, unsigned interrupted,
	uint8_t ret_hash[16])
{
	uint8_t text[16 + 3 * 8 + 13], *p = put_bytes(text, rec->rendered_hash, 16);
	struct memory_policy memory;
	int r = policy_memory(s, session, &memory);

	if (r < 0)
		return r;
	p = put_be64(put_be64(put_be64(p, (uint64_t)rec->changed), rec->version), (uint64_t)rec->updated);
	put_u8(put_be64(put_be32(p, memory.size), memory.tokens), (uint8_t)interrupted);
	return kv_hash128(core_kv(s->core), session->container->domain, HASH_PURPOSE_SOURCE, text,
		sizeof text, ret_hash);
}

/* Of a snapshot. Nothing is kept of it, so there is no source. */
static int past_version(struct sessions *s, struct inode *session, struct session_version *v)
{
	_cleanup_(message_list_release) struct message_list list = {0};
	_cleanup_srec_ struct srec rec = {0};
	int r = record_read_past(s, session, &rec);

	if (r == 0)
		r = message_list_load(s, session, &list);
	v->changed = timestamp_from_ms(srec_last_change(&rec));
	v->total = (uint32_t)list.n;
	return r;
}

int session_version(struct sessions *s, uint64_t ino, struct session_version *ret_version)
{
	_cleanup_inode_ struct inode *session = NULL;
	_cleanup_srec_ struct srec rec = {0};
	struct session_version v;
	struct session_now look = {0};
	struct timespec now;
	bool writing = false;

	int r = session_stamp(s, ino, &v);
	if (r == 0)
		r = get_session(s, ino, &session);
	if (r == 0 && session->at) {
		r = past_version(s, session, &v);
		if (r == 0)
			*ret_version = v;
		return r;
	}
	if (r == 0)
		r = json_freshen(s, session);
	if (r == 0)
		r = record_read(s, session->container, &rec);
	if (r < 0)
		return r;
	int64_t changed = srec_last_change(&rec);
	r = session_look(s, session, &rec, &look, &changed);
	place_release(&look.place);
	if (r < 0)
		return r;
	v.until = look.until;
	v.changed = timestamp_from_ms(changed);
	r = look_for_writers(s, session, &writing, &v.changed, &v.total);
	if (r == 0)
		r = look_for_context(s, session, &writing, &v.changed);
	if (r == 0)
		r = hash_source(s, session, &rec, look.interrupted, v.source);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	v.settled = !writing && timestamp_ms(&now) - rec.changed > SETTLED_MS;
	*ret_version = v;
	return 0;
}

/* The bits of @want (4 read, 1 search) that a file of the session's grants to each class of its directory. */
static unsigned grants(const struct irec *dir, const struct irec *file, unsigned want)
{
	unsigned other = (file->mode & want) == want, bits = other;

	if (file->uid == dir->uid ? (file->mode >> 6 & want) == want : other)
		bits |= 4;
	if (file->gid == dir->gid ? (file->mode >> 3 & want) == want : other)
		bits |= 2;
	return bits;
}

static int narrow(struct sessions *s, const struct irec *dir, uint64_t ino, unsigned want, unsigned *bits)
{
	_cleanup_inode_ struct inode *file = NULL;
	int r = inode_get(s->core, ino, NULL, &file);

	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r; /* gone, or shown without content */
	pthread_rwlock_rdlock(&file->lock);
	*bits &= grants(dir, &file->rec, want);
	pthread_rwlock_unlock(&file->lock);
	return 0;
}

int session_readers(struct sessions *s, uint64_t ino, unsigned *ret_bits)
{
	_cleanup_(message_list_release) struct message_list list = {0};
	_cleanup_inode_ struct inode *session = NULL;
	unsigned bits = 7;

	int r = get_session(s, ino, &session);
	if (r == 0)
		r = message_list_load(s, session, &list);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&session->lock);
	struct irec dir = session->rec;
	pthread_rwlock_unlock(&session->lock);
	for (unsigned i = 0; i < 2 && r == 0; i++)
		if (list.dirs[i])
			r = narrow(s, &dir, list.dirs[i], 5, &bits);
	/* Where nobody but the owner comes in, and all is the owner's, what others may does not matter. */
	for (size_t i = 0; i < list.n && r == 0 && bits != 0; i++)
		r = narrow(s, &dir, list.at[i].ino, 4, &bits);
	if (r == 0)
		*ret_bits = bits;
	return r;
}

int session_context_readers(struct sessions *s, uint64_t ino, unsigned *bits)
{
	_cleanup_inode_ struct inode *session = NULL, *file = NULL;
	int r = get_session(s, ino, &session);

	if (r == 0)
		r = context_find(s, session, &file);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	pthread_rwlock_rdlock(&session->lock);
	struct irec dir = session->rec;
	pthread_rwlock_unlock(&session->lock);
	return narrow(s, &dir, file->ino, 4, bits);
}

static int keep_once(struct sessions *s, struct inode *session, const void *data, size_t len)
{
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = op_put_session(&op, session->container, RECORD_KEPT, data, len);
	return r < 0 ? r : op_commit(&op);
}

int session_keep(struct sessions *s, uint64_t ino, const void *data, size_t len)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = get_session(s, ino, &session);

	return r < 0 ? r : OP_RETRY(keep_once(s, session, data, len));
}

int session_kept(struct sessions *s, uint64_t ino, struct buf *ret_data)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = get_session(s, ino, &session);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&session->container->lock);
	r = session_record_get(s->core, session->container, RECORD_KEPT, ret_data);
	pthread_rwlock_unlock(&session->container->lock);
	return r;
}

uint8_t session_role(struct sessions *s, uint64_t ino)
{
	return session_dir_role(s, ino);
}

int session_memory_size(struct sessions *s, uint64_t ino, uint32_t *ret_size)
{
	_cleanup_inode_ struct inode *session = NULL;
	struct memory_policy policy;
	int r = get_session(s, ino, &session);

	if (r == 0)
		r = policy_memory(s, session, &policy);
	if (r == 0)
		*ret_size = policy.size;
	return r;
}
