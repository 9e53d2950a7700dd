/*
 * file.c: open files, and attributes that a message's facts depend on.
 */
#include "fs/session/auto.h"
#include "fs/session/session_internal.h"

/* Whether it was written since it was taken in and means something. What means nothing is taken in with that. */
static bool wants_taking(struct inode *inode)
{
	pthread_rwlock_wrlock(&inode->lock);
	uint8_t role = inode->rec.role;
	bool means = role == ROLE_MESSAGE || role == ROLE_SESSION_JSON || role == ROLE_AGENT ||
	             role == ROLE_CONTEXT;
	bool wants = inode->untaken && means;
	if (!means)
		inode->untaken = false;
	pthread_rwlock_unlock(&inode->lock);
	return wants;
}

ssize_t session_write(struct sessions *s, struct file *file, const void *data, size_t size, off_t offset,
        unsigned kill)
{
	ssize_t n;

	/* Each time at least one snapshot has gone. */
	do
		n = core_write(s->core, file, data, size, offset, kill);
	while (n == -ENOSPC && auto_make_room(s));
	return n;
}

static int flush_once(struct sessions *s, struct file *file, bool sync)
{
	struct inode *inode = file_inode(file);
	int r = wants_taking(inode) ? take_in(s, inode) : 0;
	int committed = sync ? core_file_sync(s->core, file) : core_file_flush(s->core, file);
	return committed < 0 ? committed : r;
}

static int flush(struct sessions *s, struct file *file, bool sync)
{
	int r;

	do
		r = flush_once(s, file, sync);
	while (r == -ENOSPC && auto_make_room(s));
	return r;
}

int session_flush(struct sessions *s, struct file *file)
{
	return flush(s, file, false);
}

int session_sync(struct sessions *s, struct file *file)
{
	return flush(s, file, true);
}

int session_release(struct sessions *s, struct file *file)
{
	struct inode *inode = file_inode(file);
	/* a mapping writes after the close */
	int r = wants_taking(inode) ? take_in(s, inode) : 0;
	writers_closed(s, file);
	if (file_may_write(file))
		maker_closed(s, inode);
	int released = core_file_release(s->core, file);
	return released < 0 ? released : r;
}

/* Truncated, or given another time, by name: nobody will close it. */
static int attributes_changed(struct sessions *s, struct inode *inode, unsigned set)
{
	bool open;

	if (!(set & (CORE_SET_SIZE | CORE_SET_MTIME | CORE_SET_MTIME_NOW)))
		return 0;
	pthread_rwlock_wrlock(&inode->lock);
	uint8_t role = inode->rec.role;
	if (role == ROLE_MESSAGE)
		inode->untaken = true; /* a truncation has set it already */
	open = inode->data.writers > 0;
	pthread_rwlock_unlock(&inode->lock);
	return !open && wants_taking(inode) ? take_in(s, inode) : 0;
}

static int mark_changed_once(struct sessions *s, struct inode *message)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &message, 1);
	if (r == 0)
		r = srec_load(&op, message->container, &rec);
	if (r < 0)
		return r == -ESTALE ? 0 : r;
	srec_changed(&rec, &op.now);
	r = srec_store(&op, message->container, &rec);
	return r < 0 ? r : op_commit(&op);
}

/* Owner or mode: what exports/ shows, and to whom, follows from those of directories and messages. */
static int rights_changed(struct sessions *s, struct inode *inode, unsigned set)
{
	if (!(set & (CORE_SET_MODE | CORE_SET_UID | CORE_SET_GID)))
		return 0;
	pthread_rwlock_rdlock(&inode->lock);
	bool message = inode->rec.role == ROLE_MESSAGE && !inode->untaken;
	bool shows = inode->rec.role == ROLE_SESSION_JSON ||
	             (inode_is_dir(inode) && inode->rec.role != ROLE_PLAIN);
	pthread_rwlock_unlock(&inode->lock);
	if (shows)
		container_stamp(inode->container);
	return message ? OP_RETRY(mark_changed_once(s, inode)) : 0;
}

int session_setattr(struct sessions *s, const struct cred *who, uint64_t ino, const struct stat *st,
        unsigned set, struct stat *ret_st)
{
	_cleanup_inode_ struct inode *inode = NULL;

	int r = snapshots_refuse(ino);
	if (r == 0 && set & CORE_SET_SIZE)
		version_keep_file(s, ino, (uint64_t)st->st_size);
	if (r == 0)
		r = core_setattr(s->core, who, ino, st, set, ret_st);
	if (r == 0)
		r = inode_get(s->core, ino, NULL, &inode);
	if (r == 0)
		r = attributes_changed(s, inode, set);
	if (r == 0)
		r = rights_changed(s, inode, set);
	/* a truncated message's time may be its front matter's again */
	return r == 0 && set & CORE_SET_SIZE ? core_getattr(s->core, ino, ret_st, NULL) : r;
}
