/*
 * place.c: which user and workflow a session belongs to, and their names for session.json.
 *
 * A directory does not know its own name: users and workflows have it in a row of their own
 * (RECORD_NAME), set when they are made or renamed. Workflows stay below their user for good, so
 * their container and their user's are found without further locks.
 */
#include "fs/session/property.h"
#include "fs/session/session_internal.h"
#include "fs/session/transcript.h"

void place_release(struct place *p)
{
	container_put(p->user);
	p->user = NULL;
}

static uint64_t parent_of(struct op *op, struct inode *inode)
{
	for (unsigned i = 0; i < op->n_staged; i++)
		if (op->staged[i].inode == inode)
			return op->staged[i].rec.parent;
	pthread_rwlock_rdlock(&inode->lock);
	uint64_t parent = inode->rec.parent;
	pthread_rwlock_unlock(&inode->lock);
	return parent;
}

static int get_name(struct op *op, struct container *c, char ret_name[CORE_NAME_MAX + 1])
{
	_cleanup_buf_ struct buf value = {0};
	int r = session_record_get(op->core, c, RECORD_NAME, &value);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	if (value.len > CORE_NAME_MAX)
		return -EBADMSG;
	memcpy(ret_name, value.data, value.len);
	ret_name[value.len] = '\0';
	return 0;
}

int place_user_of(struct op *op, struct inode *dir, struct container **ret_user)
{
	_cleanup_inode_ struct inode *up = NULL;
	int r = inode_get(op->core, parent_of(op, dir), NULL, &up);
	if (r < 0)
		return r;
	*ret_user = container_ref(up->container);
	return 0;
}

/* Between a workflow and its user .trash may stand. */
static int user_of_workflow(struct op *op, struct inode *workflow, struct place *place)
{
	_cleanup_inode_ struct inode *up = NULL;
	int r = inode_get(op->core, parent_of(op, workflow), NULL, &up);

	if (r < 0)
		return r;
	place->trash = up->rec.role == ROLE_TRASH;
	place->user = container_ref(up->container);
	return 0;
}

int place_of_session(struct op *op, struct container *session, struct place *ret_place)
{
	_cleanup_inode_ struct inode *root = NULL, *workflow = NULL;
	struct place place = {0};

	int r = inode_get(op->core, container_root(session), session, &root);
	if (r == 0)
		r = inode_get(op->core, parent_of(op, root), NULL, &workflow);
	if (r == 0)
		r = get_name(op, workflow->container, place.workflow_name);
	if (r == 0)
		r = user_of_workflow(op, workflow, &place);
	if (r == 0)
		r = get_name(op, place.user, place.user_name);
	if (r < 0) {
		place_release(&place);
		return r;
	}
	*ret_place = place;
	return 0;
}

int place_in_trash(struct op *op, struct inode *workflow, bool *ret_trash)
{
	_cleanup_inode_ struct inode *up = NULL;
	int r = inode_get(op->core, parent_of(op, workflow), NULL, &up);

	if (r == 0)
		*ret_trash = up->rec.role == ROLE_TRASH;
	return r;
}

struct moment place_moment(struct sessions *s, const struct container *session, const struct place *place)
{
	const struct session_memory *memory = session->session;
	struct moment m = {.now = session_clock(s), .trash = place->trash};

	if (memory && memory->aged)
		m.ages = memory->ages;
	else
		m.ages = (struct ages){.idle = property_fallback(property_find("idle")),
			.archive = property_fallback(property_find("archive"))};
	return m;
}

int place_put_name(struct op *op, struct container *c, const char *name, size_t len)
{
	container_stamp(c);
	return op_put_session(op, c, RECORD_NAME, name, len);
}

int session_names(struct sessions *s, uint64_t ino, char *ret_user, char *ret_workflow)
{
	_cleanup_(container_putp) struct container *user = NULL;
	_cleanup_inode_ struct inode *dir = NULL;
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = inode_get(s->core, ino, NULL, &dir);
	if (r < 0)
		return r;
	*ret_workflow = '\0';
	if (dir->rec.role == ROLE_USER)
		return get_name(&op, dir->container, ret_user);
	if (dir->rec.role != ROLE_WORKFLOW)
		return -ENOENT;
	r = get_name(&op, dir->container, ret_workflow);
	if (r == 0)
		r = place_user_of(&op, dir, &user);
	return r < 0 ? r : get_name(&op, user, ret_user);
}
