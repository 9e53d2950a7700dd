#include "fs/core/acl.h"
#include "fs/core/core_internal.h"
#include "fs/core/xattr.h"

#define MODE_BITS 07777

int core_getattr(struct core *core, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, ino, NULL, &inode);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&inode->lock);
	inode_stat(inode, ret_st);
	if (ret_fleeting)
		*ret_fleeting = inode->data.writers > 0 || inode->untaken;
	pthread_rwlock_unlock(&inode->lock);
	return 0;
}

void irec_kill_set_id(struct irec *rec, unsigned kill)
{
	if (!(kill & CORE_SET_KILL_PRIV) || S_ISDIR(rec->mode))
		return;
	rec->mode &= ~(uint32_t)S_ISUID;
	if (rec->mode & S_IXGRP || kill & CORE_SET_KILL_SGID)
		rec->mode &= ~(uint32_t)S_ISGID;
}

void inode_accessed(struct inode *inode)
{
	const struct core_options *options = &inode->core->options;
	struct timespec now;
	bool stale;

	if (options->read_only || options->noatime || inode->at)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	pthread_rwlock_rdlock(&inode->lock);
	stale = irec_atime_stale(&inode->rec, &now);
	pthread_rwlock_unlock(&inode->lock);
	if (!stale)
		return;
	pthread_rwlock_wrlock(&inode->lock);
	if (!inode->ghost || !inode_is_dir(inode)) {
		inode->rec.atime = now;
		inode->attr_dirty = true;
		data_mark_dirty(inode);
	}
	pthread_rwlock_unlock(&inode->lock);
}

static int set_owner_and_mode(struct op *op, struct inode *inode, struct irec *rec,
	const struct stat *st, unsigned set)
{
	int r = 0;
	/* The kernel decides for truncation (CAP_FSETID keeps the bits) and leaves chown to us. */
	if (set & (CORE_SET_UID | CORE_SET_GID))
		set |= CORE_SET_KILL_PRIV;
	irec_kill_set_id(rec, set);
	if (set & (CORE_SET_SIZE | CORE_SET_KILL_PRIV) && !S_ISDIR(rec->mode))
		r = xattr_kill_capability(op, inode);
	if (set & CORE_SET_UID)
		rec->uid = st->st_uid;
	if (set & CORE_SET_GID)
		rec->gid = st->st_gid;
	if (r < 0 || !(set & CORE_SET_MODE))
		return r;
	rec->mode = (rec->mode & S_IFMT) | (st->st_mode & MODE_BITS);
	return acl_follow_mode(op, inode);
}

static int set_size(struct op *op, struct inode *inode, struct irec *rec, off_t size)
{
	if (S_ISDIR(rec->mode))
		return -EISDIR;
	if (!S_ISREG(rec->mode) || size < 0)
		return -EINVAL;
	if ((uint64_t)size > CORE_FILE_MAX)
		return -EFBIG;
	int r = op_txn(op);
	if (r == 0)
		r = data_resize(op, inode, rec, (uint64_t)size);
	if (r < 0)
		return r;
	rec->mtime = op->now;
	rec->flags &= (uint8_t)~INODE_MTIME_SET;
	return 0;
}

static void set_times(struct op *op, struct irec *rec, const struct stat *st, unsigned set)
{
	if (set & CORE_SET_ATIME_NOW)
		rec->atime = op->now;
	else if (set & CORE_SET_ATIME)
		rec->atime = st->st_atim;
	if (set & CORE_SET_MTIME_NOW) {
		rec->mtime = op->now;
		rec->flags &= (uint8_t)~INODE_MTIME_SET;
	} else if (set & CORE_SET_MTIME) {
		rec->mtime = st->st_mtim;
		rec->flags |= INODE_MTIME_SET;
	}
	rec->ctime = set & CORE_SET_CTIME ? st->st_ctim : op->now;
}

static int setattr_once(struct core *core, const struct cred *who, uint64_t ino,
	const struct stat *st, unsigned set, struct stat *ret_st)
{
	_cleanup_inode_ struct inode *inode = NULL;
	_cleanup_(op_end) struct op op;
	op_begin(&op, core, who);
	int r = inode_get(core, ino, NULL, &inode);
	if (r < 0)
		return r;
	struct irec *rec = op_stage(&op, inode);
	if (!rec)
		return -ENOMEM;
	r = set_owner_and_mode(&op, inode, rec, st, set);
	/* Last, for only a commit that fails takes it back. */
	if (r == 0 && (set & CORE_SET_SIZE))
		r = set_size(&op, inode, rec, st->st_size);
	if (r < 0)
		return r;
	set_times(&op, rec, st, set);
	r = op_commit(&op);
	if (r < 0)
		return r;
	inode_stat(inode, ret_st);
	return 0;
}

int core_setattr(struct core *core, const struct cred *who, uint64_t ino, const struct stat *st,
	unsigned set, struct stat *ret_st)
{
	if (!set)
		return core_getattr(core, ino, ret_st, NULL);
	return OP_RETRY(setattr_once(core, who, ino, st, set, ret_st));
}
