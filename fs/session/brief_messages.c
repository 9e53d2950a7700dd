/*
 * brief_messages.c: the messages of a session that is not in memory, as far as figures need them, by one pass over its
 * inodes. Whatever is not plain is left to transcript_open(): -EBUSY.
 */
#include "fs/session/brief_internal.h"
#include "fs/session/session_internal.h"
#include "fs/session/transcript.h"

struct gathering {
	uint64_t dir; /* messages/ */
	struct transcript_message *messages;
	size_t n, room;
};

static int add(struct gathering *g, const struct transcript_message *m)
{
	if (g->n == g->room) {
		size_t room = g->room ? g->room * 2 : 32;
		struct transcript_message *grown = realloc(g->messages, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		g->messages = grown;
		g->room = room;
	}
	g->messages[g->n++] = *m;
	return 0;
}

/* One that has several names, lies elsewhere or was written since is none of the plain ones. */
static int gather(void *arg, const struct irec *rec, const struct blob *facts)
{
	struct gathering *g = arg;
	struct message m;

	if (rec->role != ROLE_MESSAGE || rec->nlink == 0)
		return 0;
	if (rec->parent != g->dir || message_decode(facts, &m) < 0 || m.names != 1 || !message_is_as_taken(&m, rec))
		return -EBUSY;
	const struct transcript_message one = {.number = rec->number, .header = m.header, .size = rec->size,
	        .tokens = m.tokens, .time = m.time, .role = (enum message_role)m.role};
	return add(g, &one);
}

static int by_number(const void *a, const void *b)
{
	const struct transcript_message *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int gather_all(struct sessions *s, struct cold *cold, uint32_t domain, uint64_t session, struct gathering *g)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_buf_ struct buf value = {0};
	struct irec dir;
	int r = cold_begin(cold, domain, (uint32_t)(session >> 8));

	if (r == 0)
		r = cold_session(cold, RECORD_SESSION, &value);
	if (r == 0)
		r = srec_decode(value.data, value.len, &rec);
	if (r == 0)
		r = cold_child(cold, session, "messages", &g->dir, &dir);
	if (r == 0 && (dir.role != ROLE_MESSAGES || rec.flags & (SREC_ARCHIVED | SREC_RECOUNT)))
		r = -EBUSY;
	if (r == 0)
		r = cold_inodes(cold, gather, g);
	if (r == 0 && g->n != rec.messages)
		r = -EBUSY;
	return r == -EBADMSG || r == -ENOENT ? -EBUSY : r;
}

int session_brief_messages(struct sessions *s, uint64_t session, uint64_t workflow, struct session_walk *walk,
        struct transcript **ret_transcript)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct gathering g = {0};
	int r = inode_get(s->core, workflow, NULL, &dir);

	if (r == 0)
		r = gather_all(s, &walk->cold, dir->container->domain, session, &g);
	struct transcript *t = r == 0 ? calloc(1, sizeof *t) : NULL;
	if (!t) {
		free(g.messages);
		return r < 0 ? r : -ENOMEM;
	}
	if (g.n)
		qsort(g.messages, g.n, sizeof *g.messages, by_number);
	t->messages = g.messages;
	t->n = t->total = t->counted = (uint32_t)g.n;
	*ret_transcript = t;
	return 0;
}
