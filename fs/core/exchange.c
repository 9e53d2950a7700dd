/*
 * exchange.c: the children of two directories change places in one transaction: how a session is put back as a
 * whole. op.h says what holds.
 *
 * First all entries are taken out of both, then all are given: so no name is in the way of another.
 */
#include "fs/core/core_internal.h"

static size_t entries_count(const struct buf *e)
{
	return e->len / sizeof(struct dentry);
}

static const struct dentry *entries_at(const struct buf *e, size_t i)
{
	return (const struct dentry *)(const void *)(e->data + i * sizeof(struct dentry));
}

int op_read_entries(struct op *op, struct inode *dir, uint64_t but, struct buf *entries)
{
	struct key prefix = inode_key(dir, KEY_DENTRY);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct dentry d;
	int r = kv_iter_open(op->core->kv, NULL, op->txn, KV_META, prefix.bytes, prefix.len, &it);

	if (r < 0)
		return r;
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		memset(&d, 0, sizeof d);
		r = kv_iter_value(it, &value);
		if (r == 0)
			r = dentry_decode(value.data, value.len, &d);
		if (r == 0 && d.ino != but)
			r = buf_append(entries, &d, sizeof d);
		if (r < 0)
			return r;
	}
	return r;
}

static int take_all(struct op *op, struct inode *dir, const struct buf *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < entries_count(e); i++)
		r = op_take_entry(op, dir, entries_at(e, i));
	return r;
}

static int give_all(struct op *op, struct inode *dir, const struct buf *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < entries_count(e); i++)
		r = op_give_entry(op, dir, entries_at(e, i));
	return r;
}

static int tell(const struct buf *e, int (*each)(void *arg, const char *name), void *arg)
{
	int r = 0;

	for (size_t i = 0; each && r == 0 && i < entries_count(e); i++)
		r = each(arg, entries_at(e, i)->name);
	return r;
}

int op_exchange_children(struct op *op, struct inode *dir, struct inode *hidden,
	int (*each)(void *arg, const char *name), void *arg)
{
	_cleanup_buf_ struct buf here = {0}, there = {0};
	int r = op_read_entries(op, dir, hidden->ino, &here);

	if (r == 0)
		r = op_read_entries(op, hidden, 0, &there);
	if (r == 0)
		r = take_all(op, dir, &here);
	if (r == 0)
		r = take_all(op, hidden, &there);
	if (r == 0)
		r = give_all(op, dir, &there);
	if (r == 0)
		r = give_all(op, hidden, &here);
	if (r == 0)
		r = tell(&here, each, arg);
	return r < 0 ? r : tell(&there, each, arg);
}
