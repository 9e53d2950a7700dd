/*
 * untaken.c: after a daemon died, whether it had taken in all that the store has of a session's files, as far as it can
 * be told from their records. Most sessions nobody was writing to, and what lists and figures show of them needs no
 * look at all messages, and nothing stored, as the one in recount.c does.
 */
#include "fs/core/cold.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"

/*
 * Messages say as of which size and time they were taken in. A save of session.json has another time than what was
 * rendered, and taking in context.json or a new agent is a change of the session.
 */
static int is_taken(void *arg, const struct irec *irec, const struct blob *facts)
{
	const struct srec *rec = arg;
	struct timespec mtime = irec->mtime, rendered = timestamp_from_ms(rec->updated);
	struct message m;

	if (irec->nlink == 0)
		return 0;
	switch (irec->role) {
	case ROLE_MESSAGE:
		return message_decode(facts, &m) == 0 && message_is_as_taken(&m, irec) ? 0 : -EBUSY;
	case ROLE_SESSION_JSON:
		if (rec->flags & SREC_FILE_STALE || !rec->version)
			return 0;
		return mtime.tv_sec == rendered.tv_sec && mtime.tv_nsec == rendered.tv_nsec ? 0 : -EBUSY;
	case ROLE_AGENT:
	case ROLE_CONTEXT:
		return timestamp_ms(&mtime) <= rec->changed ? 0 : -EBUSY;
	default:
		return 0;
	}
}

int untaken_cold(struct sessions *s, struct cold *cold, struct srec *rec)
{
	if (rec->epoch == s->epoch)
		return 0;
	int r = cold_inodes(cold, is_taken, rec);
	return r == -EBADMSG ? -EBUSY : r;
}

int untaken_warm(struct sessions *s, struct container *c, struct cold *cold, struct srec *rec)
{
	_cleanup_(cold_release) struct cold own = {.core = s->core};

	if (rec->epoch == s->epoch)
		return 0;
	pthread_rwlock_rdlock(&c->lock);
	int r = cold_begin_locked(cold ? cold : &own, c);
	if (r == 0)
		r = untaken_cold(s, cold ? cold : &own, rec);
	pthread_rwlock_unlock(&c->lock);
	return r;
}
