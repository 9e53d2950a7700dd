/*
 * scan.c: records of inodes that are loaded by rising number, as a listing does.
 *
 * The first of them is looked up; when the next is near, an iterator goes on from there, which finds it in the
 * block that it has at hand. It shows the store as it was when it was opened, so it serves only while nothing is
 * committed: an inode's record is asked for after the inode was hashed, and who changed it before that and
 * let it leave the cache had committed it (kv_sequence() counts that before the commit returns). Where something
 * was committed, and where the iterator does not have it, fails or shows what is damaged, the record is looked up.
 */
#include "fs/core/core_internal.h"

#define SCAN_NEAR 8 /* numbers between: so many steps are not dearer than a look-up */

void inode_scan_release(struct inode_scan *scan)
{
	kv_iter_free(scan->it);
	scan->it = NULL;
}

static int scan_open(struct inode_scan *scan, const struct key *key)
{
	/* Before the iterator is: what it does not show is counted after this. */
	scan->sequence = kv_sequence(scan->core->kv);
	int r = kv_iter_open(
		scan->core->kv, NULL, NULL, KV_META, key->bytes, KEY_KIND_END, &scan->it);

	if (r == 0)
		kv_iter_keep(scan->it);
	return r;
}

static bool is_near(uint64_t from, uint64_t ino)
{
	return ino > from && ino - from <= SCAN_NEAR;
}

/* Moves to @key, with @step from a little before it: 1 it stands there, 0 not, -errno. */
static int scan_move(struct inode_scan *scan, const struct key *key, bool step)
{
	const uint8_t *at;
	size_t len;
	int r = step ? kv_iter_next(scan->it) : kv_iter_seek(scan->it, key->bytes, key->len);

	while (r > 0) {
		at = kv_iter_key(scan->it, &len);
		if (len != key->len)
			return 0;
		int order = memcmp(at, key->bytes, len);
		if (order >= 0)
			return order == 0;
		r = kv_iter_next(scan->it);
	}
	return r;
}

int inode_scan_get(struct inode_scan *scan, const struct inode *inode, struct buf *ret_record)
{
	struct key key = inode_key(inode, KEY_INODE);
	bool near = is_near(scan->last, inode->ino);
	int r = 0;

	if (inode->at || inode->container->id != scan->container || scan->off)
		return 0;
	scan->last = inode->ino;
	if (!near)
		return 0;
	if (!scan->it)
		r = scan_open(scan, &key);
	if (r == 0)
		r = scan_move(scan, &key, is_near(scan->stands, inode->ino));
	scan->stands = inode->ino;
	if (r > 0 && kv_iter_value(scan->it, ret_record) < 0)
		r = 0;
	/* It is also not asked again: with a writer about, or damage, look-ups are as good. */
	if (r <= 0 || kv_sequence(scan->core->kv) != scan->sequence) {
		scan->off = true;
		inode_scan_release(scan);
		return 0;
	}
	return 1;
}
