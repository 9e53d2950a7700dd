/*
 * changes.c: what changed in a container between two moments, from the history of its inodes' records.
 *
 * A version (until, from) is what snapshots in (from, until] see. So the snapshot A and a later moment B see
 * an inode differently if the version that A sees ends before B: from < A <= until < B. Inodes that came
 * after A have no such version, but the directory that got their name has.
 */
#include "fs/core/past.h"
#include "fs/core/pins.h"

struct changes {
	struct core *core;
	struct container *c;
	uint64_t slot_a, slot_b; /* what the numbers of the two moments have beyond the inode's */
	uint64_t a, b;		 /* the snapshots; UINT64_MAX: the present */
	int (*each)(void *arg, uint64_t ino, bool many);
	void *arg;
};

/* The inode as one of the two moments has it, and all that is above it there. */
static int tell(struct changes *ch, uint64_t slot, uint64_t ino)
{
	_cleanup_inode_ struct inode *inode = NULL;
	uint64_t root = (uint64_t)ch->c->id << 8, above;
	bool many;
	int r = inode_get(ch->core, slot | ino, ch->c, &inode);

	/* Not there, or no good: then its directory says what there is to say. */
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	pthread_rwlock_rdlock(&inode->lock);
	above = snapshot_present_ino(inode->rec.parent);
	many = !inode_is_dir(inode) && inode->rec.nlink > 1;
	pthread_rwlock_unlock(&inode->lock);
	if (inode->ghost)
		return 0;
	if (ino == root)
		return ch->each(ch->arg, ino, false);
	r = ch->each(ch->arg, ino, many);
	return r != 0 || above == root || above == ino ? r : tell(ch, slot, above);
}

/* The next inode from *@ino on of which A sees a version: 1, and until when it holds. */
static int next_version(struct changes *ch, struct kv_iter *it, uint64_t *ino, uint64_t *ret_until)
{
	for (;;) {
		struct key from = key_make(ch->c->domain, ch->c->id, KEY_INODE, *ino);
		const uint8_t *found;
		uint64_t found_ino, until;
		size_t len;
		int r;

		key_add_u64(&from, ch->a);
		r = kv_iter_seek(it, from.bytes, from.len);
		if (r <= 0)
			return r;
		found = kv_iter_key(it, &len);
		if (len != KEY_PREFIX + VERSION_TAIL)
			return -EBADMSG;
		found_ino = (uint64_t)found[9] << 32 | get_be32(found + 10);
		until = get_be64(found + KEY_PREFIX);
		if (found_ino == *ino || until >= ch->a) {
			*ino = found_ino;
			if (get_be64(found + KEY_PREFIX + 8) < ch->a) {
				*ret_until = until;
				return 1;
			}
			++*ino; /* A did not have it yet */
		} else {
			*ino = found_ino;
		}
	}
}

static int scan(struct changes *ch, uint64_t *ino)
{
	struct key prefix = key_make(ch->c->domain, ch->c->id, KEY_INODE, 0);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	uint64_t until;
	int r = kv_iter_open(ch->core->kv, NULL, NULL, KV_HISTORY, prefix.bytes, 9, &it);

	while (r == 0 && (r = next_version(ch, it, ino, &until)) > 0) {
		r = 0;
		if (until < ch->b)
			r = tell(ch, ch->slot_a, *ino);
		if (r == 0 && until < ch->b)
			r = tell(ch, ch->slot_b, *ino);
		if (r == 0)
			++*ino;
	}
	return r;
}

int snapshot_changes(struct core *core, uint64_t a, uint64_t b, uint64_t *after,
	int (*each)(void *arg, uint64_t ino, bool many), void *arg)
{
	_cleanup_inode_ struct inode *first = NULL, *second = NULL;
	struct changes ch = {.core = core, .each = each, .arg = arg};
	int r = inode_get(core, a, NULL, &first);

	if (r == 0)
		r = inode_get(core, b, NULL, &second);
	if (r < 0)
		return r;
	if (first->at && (!second->at || first->at < second->at)) {
		ch.a = first->at;
		ch.b = second->at ? second->at : UINT64_MAX;
	} else {
		ch.a = second->at;
		ch.b = first->at ? first->at : UINT64_MAX;
	}
	ch.slot_a = a & ~SNAPSHOT_INO_MASK;
	ch.slot_b = b & ~SNAPSHOT_INO_MASK;
	ch.c = first->container;
	if (snapshot_present_ino(a) != snapshot_present_ino(b) ||
		snapshot_present_ino(a) != (uint64_t)ch.c->id << 8)
		return -EINVAL;
	if (first->at == second->at)
		return 0;
	if (ch.b == UINT64_MAX)
		r = commit_below(core, ch.c->id);
	return r < 0 ? r : scan(&ch, after);
}
