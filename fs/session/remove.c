/*
 * remove.c: what the rules add to unlink and rmdir.
 */
#include "fs/session/context.h"
#include "fs/session/session_internal.h"

/* Who it was, it still is. */
static void file_of_agent_gone(struct irec *irec, struct srec *rec)
{
	irec->role = ROLE_PLAIN;
	rec->flags &= (uint16_t)~SREC_AGENT_BROKEN;
}

/* A message or session.json loses its name. Also what a rename takes away. */
int remove_meaning(struct op *op, struct inode *dir, const char *name, size_t len,
        struct inode *file, struct srec *rec)
{
	struct irec *irec = op_stage(op, file);
	uint32_t number = name_message_number(name, len);

	if (!irec)
		return -ENOMEM;
	if (irec->role == ROLE_MESSAGE && dir->rec.role == ROLE_MESSAGES && number)
		return take_message_gone(op, file, number, rec);
	if (irec->role == ROLE_SESSION_JSON && dir->rec.role == ROLE_SESSION &&
	        strcmp(name, JSON_NAME) == 0) {
		rec->flags &= (uint16_t)~SREC_JSON_AUTO;
		rec->flags |= SREC_JSON_GONE;
		irec->role = ROLE_PLAIN;
	}
	if (irec->role == ROLE_AGENT && dir->rec.role == ROLE_SESSION && strcmp(name, "agent") == 0)
		file_of_agent_gone(irec, rec);
	if (irec->role == ROLE_CONTEXT && dir->rec.role == ROLE_SESSION && strcmp(name, CONTEXT_NAME) == 0) {
		irec->role = ROLE_PLAIN;
		context_gone(op, rec);
	}
	return 0;
}

struct removal {
	struct sessions *s;
	bool kept; /* version_keep() was called */
};

static int unlink_also(struct op *op, void *arg)
{
	struct removal *removal = arg;
	_cleanup_srec_ struct srec rec = {0};
	const struct irec *irec = op_stage(op, op->child);

	int r = version_check(removal->s, op, op->child, removal->kept);
	if (r < 0 || (irec->role != ROLE_MESSAGE && irec->role != ROLE_SESSION_JSON && irec->role != ROLE_CONTEXT &&
			     irec->role != ROLE_AGENT))
		return r;
	r = json_load(op, removal->s, op->dir->container, &rec);
	if (r == 0)
		r = remove_meaning(op, op->dir, op->name, op->name_len, op->child, &rec);
	return r < 0 ? r : srec_store(op, op->dir->container, &rec);
}

int session_unlink(struct sessions *s, const struct cred *who, uint64_t parent, const char *name)
{
	struct removal removal = {.s = s};
	struct core_rule rule = {.also = unlink_also, .arg = &removal};
	int r = snapshots_refuse(parent);

	if (r == 0)
		r = core_unlink(s->core, who, parent, name, &rule);
	if (r == VERSION_UNHELD) {
		version_keep(s, parent);
		removal.kept = true;
		r = core_unlink(s->core, who, parent, name, &rule);
	}
	return r;
}

int session_discard(struct sessions *s, const struct cred *who, uint64_t parent, const char *name)
{
	struct removal removal = {.s = s, .kept = true};
	struct core_rule rule = {.also = unlink_also, .arg = &removal};

	return core_unlink(s->core, who, parent, name, &rule);
}

static int remove_part(struct op *op, struct inode *session, const char *name)
{
	_cleanup_inode_ struct inode *part = NULL;
	int r = op_lookup(op, session, name, strlen(name), &part);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	struct irec *rec = op_stage(op, part);
	if (!rec)
		return -ENOMEM;
	if (S_ISDIR(rec->mode) && rec->size > 0)
		return -ENOTEMPTY;
	r = op_remove_entry(op, session, name, strlen(name), part);
	if (r == 0 && rec->nlink == 0)
		r = op_drop_inode(op, part);
	rec->role = ROLE_PLAIN; /* whoever has it open saves nothing any more */
	return r;
}

/* A session of nothing but the untouched pair is as good as empty. core finds out whether it is. */
static int rmdir_plan(struct op *op, void *arg)
{
	_cleanup_srec_ struct srec rec = {0};

	if (op->child->rec.role != ROLE_SESSION)
		return 0;
	int r = srec_load(op, op->child->container, &rec);
	if (r < 0)
		return r == -EBADMSG ? 0
		                     : r; /* a damaged session can be removed when it is empty */
	const struct irec *irec = op_stage(op, op->child);
	unsigned parts = !!(rec.flags & SREC_MESSAGES_AUTO) + !!(rec.flags & SREC_JSON_AUTO);
	if (irec->size == 0 || irec->size != parts)
		return 0;
	if (rec.flags & SREC_MESSAGES_AUTO)
		r = remove_part(op, op->child, "messages");
	if (r == 0 && rec.flags & SREC_JSON_AUTO)
		r = remove_part(op, op->child, JSON_NAME);
	return r;
}

static int remove_session(struct op *op, struct inode *session)
{
	_cleanup_(container_putp) struct container *user = NULL;
	_cleanup_inode_ struct inode *workflow = NULL;
	_cleanup_srec_ struct srec rec = {0};
	struct container *c = session->container;
	bool taken = false;

	int r = srec_load(op, c, &rec);
	if (r == -EBADMSG)
		return op_delete_session(op, c, RECORD_SESSION);
	if (r == 0)
		r = inode_get(op->core, op_stage(op, session)->parent, NULL, &workflow);
	if (r == 0)
		r = place_user_of(op, workflow, &user);
	if (r == 0)
		r = ids_taken(op, user, rec.id, c->id, &taken); /* by what was put back in its place */
	if (r == 0 && !taken)
		r = ids_delete(op, user, rec.id);
	if (r == 0)
		r = op_delete_session(op, c, RECORD_SESSION);
	if (r == 0)
		r = op_delete_session(op, c, RECORD_KEPT);
	for (unsigned i = 0; i < RECORD_RING_SIZE && r == 0; i++)
		if (rec.ring_used & 1u << i)
			r = op_delete_session(op, c, (uint8_t)(RECORD_RING + i));
	return r;
}

int remove_records(struct op *op, struct inode *child)
{
	container_stamp(child->container);
	switch (child->rec.role) {
	case ROLE_SESSION:
		return remove_session(op, child);
	case ROLE_USER:
	case ROLE_WORKFLOW:
		return op_delete_session(op, child->container, RECORD_NAME);
	default:
		return 0;
	}
}

static int rmdir_also(struct op *op, void *arg)
{
	_cleanup_srec_ struct srec rec = {0};

	if (op->child->rec.role != ROLE_MESSAGES)
		return remove_records(op, op->child);
	int r = srec_load(op, op->dir->container, &rec);
	if (r < 0)
		return r;
	rec.flags &= (uint16_t)~SREC_MESSAGES_AUTO;
	return srec_store(op, op->dir->container, &rec);
}

int session_rmdir(struct sessions *s, const struct cred *who, uint64_t parent, const char *name)
{
	struct core_rule rule = {.plan = rmdir_plan, .also = rmdir_also};
	if (!snapshot_is_present(parent))
		return snapshots_rmdir(s, parent, name);
	return core_rmdir(s->core, who, parent, name, &rule);
}
