/*
 * writers.c: which sessions have files open for writing. A session that has some when the daemon dies was
 * interrupted; so the first handle notes it with kv (which costs a write into the page cache and no
 * commit), the last one takes the note back. A file that is only read is nobody's work and not counted.
 */
#include "fs/session/auto.h"
#include "fs/session/lifecycle.h"
#include "fs/session/transcript.h"

#include <fcntl.h>

#define QUIET_MS 300000  /* an agent that did nothing for so long has stopped */
#define WRITING_MS 60000 /* one that is writing is at work */

struct writing {
	struct writing *next;
	uint32_t container, domain;
	unsigned handles;
	uint32_t busy; /* kv's note */
};

static struct writing **find(struct sessions *s, uint32_t container)
{
	struct writing **p = &s->writing[container % SESSION_WRITERS];

	while (*p && (*p)->container != container)
		p = &(*p)->next;
	return p;
}

static bool counts(const struct file *file, const struct container *c)
{
	return file_may_write(file) && c->kind == ROLE_SESSION;
}

/* Where there is no memory it is not noted. */
static void opened(struct sessions *s, struct file *file)
{
	const struct container *c = file_inode(file)->container;

	if (!counts(file, c))
		return;
	MUTEX_GUARD(&s->writers_lock);
	struct writing **p = find(s, c->id), *w = *p;
	if (!w) {
		w = *p = calloc(1, sizeof *w);
		if (!w)
			return;
		w->container = c->id;
		w->domain = c->domain;
		w->busy = kv_busy_begin(core_kv(s->core), (uint64_t)c->domain << 32 | c->id);
	}
	w->handles++;
}

int session_file_open(struct sessions *s, const struct cred *who, uint64_t ino, int flags,
        struct file **ret_file)
{
	int r;

	auto_before_open(s, ino, flags);
	if (flags & O_TRUNC)
		version_keep_file(s, ino, 0);
	r = core_file_open(s->core, who, ino, flags, ret_file);
	if (r == 0)
		opened(s, *ret_file);
	return r;
}

bool writers_any(struct sessions *s, uint32_t session)
{
	MUTEX_GUARD(&s->writers_lock);
	return *find(s, session) != NULL;
}

static bool unfinished(const struct srec *rec)
{
	return rec->context & CONTEXT_OPEN ||
	       (rec->last_number && (rec->last_role == MESSAGE_USER || rec->last_role == MESSAGE_TOOL));
}

unsigned session_interruption(struct sessions *s, uint32_t session, const struct srec *rec,
        const struct moment *m, int64_t *until, int64_t *changed)
{
	unsigned bits = rec->flags & SREC_INTERRUPTED ? INTERRUPTED_DAEMON : 0;
	int64_t quiet = rec->flags & SREC_CLAIM_MATCHED ? rec->claim_updated : rec->changed;
	int64_t due = quiet + QUIET_MS;
	uint8_t state = srec_state(rec, m);

	if (m->trash)
		return 0;
	if (!unfinished(rec) || state == STATE_ARCHIVED || state == STATE_DELETED)
		return bits;
	if (writers_any(s, session) && due < m->now + WRITING_MS)
		due = m->now + WRITING_MS; /* looked at again */
	if (m->now >= due) {
		*changed = due > *changed ? due : *changed;
		return bits | INTERRUPTED_AGENT;
	}
	if (due < *until)
		*until = due;
	return bits;
}

int session_look(struct sessions *s, struct inode *session, const struct srec *rec, struct session_now *ret_now,
        int64_t *changed)
{
	struct container *c = session->container;
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = place_of_session(&op, c, &ret_now->place);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&c->lock);
	struct moment moment = place_moment(s, c, &ret_now->place);
	pthread_rwlock_unlock(&c->lock);
	ret_now->state = srec_state(rec, &moment);
	ret_now->until = srec_state_until(rec, &moment);
	ret_now->interrupted = session_interruption(s, c->id, rec, &moment, &ret_now->until, changed);
	return 0;
}

void writers_closed(struct sessions *s, struct file *file)
{
	const struct container *c = file_inode(file)->container;

	if (!counts(file, c))
		return;
	MUTEX_GUARD(&s->writers_lock);
	struct writing **p = find(s, c->id), *w = *p;
	if (!w || --w->handles > 0)
		return;
	*p = w->next;
	kv_busy_end(core_kv(s->core), w->busy);
	free(w);
	lifecycle_closed(s);
}

void writers_release(struct sessions *s)
{
	for (size_t i = 0; i < SESSION_WRITERS; i++)
		while (s->writing[i]) {
			struct writing *w = s->writing[i];
			s->writing[i] = w->next;
			free(w);
		}
}

static int interrupt_once(struct sessions *s, struct inode *session)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r == 0)
		r = srec_load(&op, session->container, &rec);
	if (r < 0 || rec.flags & SREC_INTERRUPTED)
		return r;
	rec.flags |= SREC_INTERRUPTED;
	srec_changed(&rec, &op.now);
	r = srec_store(&op, session->container, &rec);
	return r < 0 ? r : op_commit(&op);
}

/* 1: it is marked; 0: there is no such session any more, or it cannot be read. */
static int interrupt(struct sessions *s, uint32_t container)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = inode_get(s->core, (uint64_t)container << 8, NULL, &session);

	if (r == 0 && session->rec.role == ROLE_SESSION)
		r = OP_RETRY(interrupt_once(s, session));
	else if (r == 0)
		r = -ENOENT;
	if (r == -ENOENT || r == -EBADMSG || r == -ENOKEY || r == -EPROTONOSUPPORT)
		return 0;
	return r < 0 ? r : 1;
}

void writers_interrupted(struct sessions *s)
{
	_cleanup_free_ uint64_t *words = NULL;
	struct kv *kv = core_kv(s->core);
	size_t n;
	int r = kv_busy_left(kv, &words, &n);

	for (size_t i = 0; i < n && r >= 0; i++) {
		r = interrupt(s, (uint32_t)words[i]);
		s->interrupted += r > 0;
	}
	if (r >= 0) /* else the next mount tries again */
		kv_busy_settle(kv);
}

unsigned session_interrupted(const struct sessions *s)
{
	return s->interrupted;
}
