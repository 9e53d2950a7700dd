#include "fs/session/brief_internal.h"
#include "fs/session/messages.h"
#include "fs/session/session_internal.h"
#include "fs/session/timestamp.h"
#include "fs/session/transcript.h"

#include <stdio.h>

void session_brief_release(struct session_brief *b)
{
	free(b->title);
	free(b->agent);
	*b = (struct session_brief){0};
}

int session_walk_open(struct sessions *s, struct session_walk **ret_walk)
{
	struct session_walk *walk = calloc(1, sizeof *walk);

	if (!walk)
		return -ENOMEM;
	walk->cold.core = s->core;
	*ret_walk = walk;
	return 0;
}

void session_walk_close(struct session_walk *walk)
{
	if (walk)
		cold_release(&walk->cold);
	free(walk);
}

/* ---- what is stored ------------------------------------------------------------------------------- */

static void take_rights(const struct irec *irec, struct stat *ret_st, struct session_brief *b)
{
	*ret_st = (struct stat){.st_mode = irec->mode, .st_uid = irec->uid, .st_gid = irec->gid};
	b->has_xattrs |= irec->xattrs > 0;
}

/* -EBUSY: it is in memory, or wants more than its records: it is read in the ordinary way. */
static int read_cold(struct sessions *s, struct cold *cold, uint32_t domain, uint64_t ino, struct srec *rec,
	struct session_brief *b)
{
	_cleanup_buf_ struct buf value = {0};
	struct irec irec;
	int r = cold_begin(cold, domain, (uint32_t)(ino >> 8));

	if (r == 0)
		r = cold_session(cold, RECORD_SESSION, &value);
	if (r == 0)
		r = srec_decode(value.data, value.len, rec);
	if (r == 0 && rec->flags & SREC_RECOUNT)
		r = -EBUSY;
	if (r == 0)
		r = untaken_cold(s, cold, rec);
	if (r == 0)
		r = cold_inode(cold, ino, &irec);
	if (r < 0)
		return r;
	if (irec.role != ROLE_SESSION || irec.nlink == 0)
		return -ENOENT;
	take_rights(&irec, &b->dir, b);
	r = cold_child(cold, ino, JSON_NAME, &b->document_ino, &irec);
	if (r == 0 && S_ISREG(irec.mode))
		take_rights(&irec, &b->document, b);
	else
		b->document_ino = 0;
	if (b->has_xattrs) /* policies of its own, ACLs */
		return -EBUSY;
	return r == -ENOENT ? 0 : r;
}

static int read_document(struct sessions *s, struct inode *session, struct session_brief *b)
{
	_cleanup_inode_ struct inode *file = NULL;
	struct container *c = session->container;
	struct dentry d;

	pthread_rwlock_rdlock(&c->lock);
	int r = dentry_find(s->core, NULL, session, JSON_NAME, strlen(JSON_NAME), &d);
	if (r == 0)
		r = dentry_child(s->core, session, &d, &file);
	pthread_rwlock_unlock(&c->lock);
	if (r < 0 || !S_ISREG(file->type))
		return r == -ENOENT ? 0 : r;
	b->document_ino = file->ino;
	pthread_rwlock_rdlock(&file->lock);
	take_rights(&file->rec, &b->document, b);
	pthread_rwlock_unlock(&file->lock);
	return 0;
}

static int read_record(struct sessions *s, struct inode *session, struct srec *rec, struct session_brief *b)
{
	struct session_version version;
	int r = session_stamp(s, session->ino, &version);

	if (r == 0)
		r = record_read(s, session->container, rec);
	if (r == 0)
		b->stamp = version.stamp;
	return r;
}

static int read_warm(struct sessions *s, struct inode *session, struct session_walk *walk, struct srec *rec,
	struct session_brief *b)
{
	int r = read_record(s, session, rec, b);

	if (r == 0)
		r = untaken_warm(s, session->container, walk ? &walk->cold : NULL, rec);
	if (r == -EBUSY || (r == 0 && rec->flags & SREC_RECOUNT)) {
		srec_release(rec);
		*rec = (struct srec){0};
		r = json_freshen(s, session); /* which looks at all messages */
		if (r == 0)
			r = read_record(s, session, rec, b);
	}
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&session->lock);
	take_rights(&session->rec, &b->dir, b);
	pthread_rwlock_unlock(&session->lock);
	return read_document(s, session, b);
}

/* ---- what it comes to ----------------------------------------------------------------------------- */

/*
 * As json_freshen() would, and nothing is stored. 1: that would be a change of now, as after another name of the user
 * or workflow, whose time has to be stored, or each look would find another.
 */
static int settle(struct sessions *s, uint32_t domain, uint32_t container, const struct session_where *where,
	const struct ages *ages, struct srec *rec, struct session_brief *b)
{
	struct moment moment = {.now = session_clock(s), .ages = *ages};
	char automatic[TITLE_AUTO_MAX + 1];
	struct op op = {.core = s->core};
	struct place place = {0};
	int64_t before = rec->changed;
	struct shown shown;
	bool changed;

	clock_gettime(CLOCK_REALTIME, &op.now);
	snprintf(place.user_name, sizeof place.user_name, "%s", where->user_name);
	snprintf(place.workflow_name, sizeof place.workflow_name, "%s", where->workflow_name);
	int r = json_settle(&op, domain, rec, &place, &moment, &shown, &changed);
	if (r < 0)
		return r;
	memcpy(b->id, rec->id, sizeof b->id);
	b->state = state_name(shown.state);
	b->created = rec->created;
	b->activity = srec_activity(rec);
	b->changed = srec_last_change(rec);
	b->messages = rec->messages;
	b->tokens = rec->tokens;
	b->until = srec_state_until(rec, &moment);
	b->interrupted = session_interruption(s, container, rec, &moment, &b->until, &b->changed);
	b->title = strdup(srec_title(rec, automatic));
	b->agent = rec->agent ? strdup(rec->agent) : NULL;
	return !b->title || (rec->agent && !b->agent) ? -ENOMEM : rec->changed != before;
}

/* Its domain and policies, if none of its own say otherwise. */
struct context {
	uint32_t domain;
	struct ages ages;
};

static int look_at_workflow(struct sessions *s, uint64_t ino, struct context *ret_context)
{
	_cleanup_inode_ struct inode *workflow = NULL;
	int r = inode_get(s->core, ino, NULL, &workflow);

	if (r < 0)
		return r;
	ret_context->domain = workflow->container->domain;
	return policy_ages(s, workflow, &ret_context->ages);
}

static int brief_cold(struct sessions *s, uint64_t ino, const struct session_where *where, struct session_walk *walk,
	const struct context *context, struct session_brief *b)
{
	_cleanup_srec_ struct srec rec = {0};
	int r = read_cold(s, &walk->cold, context->domain, ino, &rec, b);

	if (r == 0)
		r = settle(s, context->domain, (uint32_t)(ino >> 8), where, &context->ages, &rec, b);
	return r > 0 ? -EBUSY : r;
}

static int brief_warm(struct sessions *s, uint64_t ino, const struct session_where *where, struct session_walk *walk,
	bool freshen, const struct context *context, struct session_brief *b)
{
	_cleanup_inode_ struct inode *session = NULL;
	_cleanup_srec_ struct srec rec = {0};
	struct ages ages;
	int r = inode_get(s->core, ino, NULL, &session);

	if (r == 0 && (!inode_is_dir(session) || session->rec.role != ROLE_SESSION || session->ghost))
		r = -ENOENT;
	if (r == 0 && freshen)
		r = json_freshen(s, session);
	if (r == 0)
		r = read_warm(s, session, walk, &rec, b);
	if (r == 0)
		r = policy_ages(s, session, &ages);
	return r < 0 ? r : settle(s, context->domain, session->container->id, where, &ages, &rec, b);
}

int session_brief(struct sessions *s, uint64_t session, const struct session_where *where, struct session_walk *walk,
	struct session_brief *ret_brief)
{
	struct session_brief b = {0};
	struct context context;
	int r = look_at_workflow(s, where->workflow, &context);

	if (r < 0)
		return r;
	r = walk ? brief_cold(s, session, where, walk, &context, &b) : -EBUSY;
	for (unsigned tries = 0; r == -EBUSY || (r > 0 && tries < 3); tries++) {
		session_brief_release(&b);
		r = brief_warm(s, session, where, walk, r > 0, &context, &b);
	}
	if (r < 0)
		session_brief_release(&b);
	else
		*ret_brief = b;
	return r < 0 ? r : 0;
}
