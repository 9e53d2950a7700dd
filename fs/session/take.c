/*
 * take.c: taking in: a message's facts go to its inode and the sums into the session's record, in
 * the one transaction that also commits the file's buffered bytes.
 */
#include "fs/session/auto.h"
#include "fs/session/session_internal.h"

/* @more: names that the file gets by this op (0: it has been written). */
static int take(struct op *op, struct inode *file, uint32_t number, uint16_t more, struct srec *rec)
{
	struct irec *irec = op_stage(op, file);
	char title[TITLE_AUTO_MAX + 1];
	struct message old, m;
	struct blob *facts;

	if (!irec)
		return -ENOMEM;
	int r = message_decode(op_facts(op, file), &old);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		/* none yet, or unreadable ones, which a look at all messages replaces */
		if (r != -ENOENT)
			rec->flags |= SREC_RECOUNT;
		old.names = 0;
		more = 1;
	}
	r = message_read(file, irec, &m, title);
	if (r < 0)
		return r;
	m.names = (uint16_t)(old.names + more);
	for (unsigned i = 0; i < old.names && r == 0; i++)
		r = srec_change_message(rec, number, &old, &m, title);
	if (more && r == 0)
		r = srec_change_message(rec, number, NULL, &m, title);
	if (r == 0)
		r = message_encode(&m, &facts);
	if (r < 0)
		return r;
	srec_settle_title(rec);
	op_set_facts(op, file, facts);
	irec->role = ROLE_MESSAGE;
	rec->trouble = m.trouble;
	srec_changed(rec, &op->now);
	return 0;
}

int take_message(struct op *op, struct inode *file, uint32_t number, struct srec *rec)
{
	return take(op, file, number, 1, rec);
}

int take_message_gone(struct op *op, struct inode *file, uint32_t number, struct srec *rec)
{
	struct irec *irec = op_stage(op, file);
	struct blob *facts = NULL;
	struct message old;

	if (!irec)
		return -ENOMEM;
	int r = message_decode(op_facts(op, file), &old);
	if (r < 0) {
		old = (struct message){0};
		rec->flags |= SREC_RECOUNT;
	} else {
		r = srec_change_message(rec, number, &old, NULL, NULL);
		if (r < 0)
			return r;
	}
	srec_changed(rec, &op->now);
	if (old.names > 1) {
		old.names--;
		r = message_encode(&old, &facts);
		if (r < 0)
			return r;
	} else {
		irec->role = ROLE_PLAIN;
	}
	op_set_facts(op, file, facts);
	return 0;
}

struct taking {
	struct sessions *s;
	struct inode *file;
	bool urgent;
};

static void taken(struct op *op, void *arg)
{
	const struct taking *t = arg;
	struct inode *file = t->file;

	file->untaken = false;
	if (file->rec.role == ROLE_MESSAGE || t->urgent)
		auto_closed(t->s, file->container, t->urgent);
}

static int take_in_once(struct sessions *s, struct inode *file)
{
	_cleanup_inode_ struct inode *session = NULL;
	_cleanup_srec_ struct srec rec = {0};
	struct taking taking = {.s = s, .file = file};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	op.published = taken;
	op.published_arg = &taking;
	int r = op_lock(&op, &file, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r == -ESTALE ? 0 : r; /* the session is gone */
	const struct irec *irec = op_stage(&op, file);
	if (!file->untaken)
		return 0;
	if (irec->role == ROLE_MESSAGE && irec->nlink > 0) {
		/* messages/ lost its meaning: the session was put back to what it was before (putback.c) */
		if (session_dir_role(s, irec->parent) != ROLE_MESSAGES)
			return 0;
		r = json_load(&op, s, file->container, &rec);
		if (r == 0)
			r = take(&op, file, irec->number, 0, &rec);
		taking.urgent = rec.trouble;
	} else if (irec->role == ROLE_SESSION_JSON) {
		r = inode_get(s->core, container_root(file->container), file->container, &session);
		if (r == 0)
			r = srec_load(&op, file->container, &rec);
		if (r == 0)
			r = save_take(&op, s, session, file, &rec);
	} else if (irec->role == ROLE_AGENT && irec->nlink > 0) {
		r = srec_load(&op, file->container, &rec);
		if (r == 0)
			r = agent_take(&op, file, &rec);
	} else if (irec->role == ROLE_CONTEXT && irec->nlink > 0) {
		r = srec_load(&op, file->container, &rec);
		if (r == 0)
			r = context_take(&op, file, &rec, &taking.urgent);
	} else {
		return 0;
	}
	if (r == 0)
		r = srec_store(&op, file->container, &rec);
	return r < 0 ? r : op_commit(&op);
}

int take_in(struct sessions *s, struct inode *file)
{
	return OP_RETRY(take_in_once(s, file));
}
