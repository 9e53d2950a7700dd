/*
 * keep.c: no version of a message or of context.json is lost between two automatic snapshots.
 */
#include "fs/session/auto.h"
#include "fs/session/session_internal.h"

static bool is_kept(uint8_t role)
{
	return role == ROLE_MESSAGE || role == ROLE_CONTEXT;
}

int version_check(struct sessions *s, struct op *op, struct inode *file, bool kept)
{
	const struct irec *irec = op_stage(op, file);
	bool held;

	if (!irec)
		return -ENOMEM;
	if (kept || !s->autos || !is_kept(file->rec.role) || irec->size == 0)
		return 0;
	int r = inode_is_held(file, &held);
	return r < 0 ? r : held ? 0 : VERSION_UNHELD;
}

void version_keep(struct sessions *s, uint64_t dir)
{
	_cleanup_inode_ struct inode *inode = NULL;

	if (inode_get(s->core, dir, NULL, &inode) == 0)
		auto_first(s, inode->container);
}

void version_keep_file(struct sessions *s, uint64_t ino, uint64_t size)
{
	_cleanup_inode_ struct inode *file = NULL;
	bool held = true;

	if (!s->autos || !snapshot_is_present(ino) || inode_get(s->core, ino, NULL, &file) < 0)
		return;
	pthread_rwlock_rdlock(&file->lock);
	if (is_kept(file->rec.role) && file->rec.nlink > 0 && file->rec.size > size &&
	        inode_is_held(file, &held) < 0)
		held = true;
	pthread_rwlock_unlock(&file->lock);
	if (!held)
		auto_first(s, file->container);
}
