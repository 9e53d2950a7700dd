#include "fs/core/past.h"

#include "fs/core/pins.h"

/* Where the epoch stands in a record of this kind; 0: it has none. */
static size_t epoch_offset(uint8_t kind)
{
	return kind == KEY_INODE ? IREC_EPOCH_AT : kind == KEY_DENTRY ? DENTRY_EPOCH_AT : 0;
}

static int epoch_of(uint8_t kind, const struct buf *record, uint64_t *ret_epoch)
{
	size_t at = epoch_offset(kind);

	if (record->len < at + 8)
		return -EBADMSG;
	*ret_epoch = get_be64(record->data + at);
	return 0;
}

static uint8_t kind_of(const struct key *key)
{
	return key->bytes[8];
}

/* ---- keeping --------------------------------------------------------------------------------- */

int op_pin(struct op *op, struct container *c, uint64_t *ret_pin)
{
	*ret_pin = 0;
	if (c == op->fresh_container || !pins_count(op->core))
		return 0;
	return pins_newest(op->core, c->domain, c->id, ret_pin);
}

/* Whether there is a version that snapshots from @pin on see; also one of the op's own. */
static int version_since(struct op *op, const struct key *key, uint64_t pin)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	struct key from = *key;
	int r = kv_iter_open(op->core->kv, NULL, op->txn, KV_HISTORY, key->bytes, key->len, &it);

	key_add_u64(&from, pin);
	return r < 0 ? r : kv_iter_seek(it, from.bytes, from.len);
}

int op_keep(struct op *op, struct container *c, const struct key *key)
{
	_cleanup_buf_ struct buf old = {0};
	struct key version = *key;
	uint64_t pin, from = 0;
	int r = op_pin(op, c, &pin), found;

	if (r < 0 || !pin)
		return r;
	found = kv_txn_get(op->txn, KV_META, key->bytes, key->len, &old);
	if (found < 0 && found != -ENOENT)
		return found;
	if (epoch_offset(kind_of(key))) {
		r = found == 0 ? epoch_of(kind_of(key), &old, &from) : 0;
		if (r < 0 || found < 0 || from >= pin)
			return r;
	} else {
		r = version_since(op, key, pin);
		if (r != 0)
			return r < 0 ? r : 0;
		if (found < 0)
			old.len = 0;
	}
	key_add_u64(&version, op->epoch);
	key_add_u64(&version, from);
	r = kv_txn_insert(op->txn, KV_HISTORY, version.bytes, version.len, old.data, old.len);
	return r < 0 ? r : 1;
}

int op_keep_inode(struct op *op, const struct key *key, uint64_t from)
{
	struct key version = *key;

	key_add_u64(&version, op->epoch);
	key_add_u64(&version, from);
	int r = kv_txn_copy(op->txn, KV_META, key->bytes, key->len, KV_HISTORY, version.bytes, version.len);
	return r == -ENOENT ? 0 : r < 0 ? r : 1; /* damage took it: nothing to keep */
}

int op_put(struct op *op, struct container *c, const struct key *key, const void *value, size_t len)
{
	int r = op_keep(op, c, key);

	return r < 0 ? r : kv_txn_put(op->txn, KV_META, key->bytes, key->len, value, len);
}

int op_delete(struct op *op, struct container *c, const struct key *key)
{
	int r = op_keep(op, c, key);

	return r < 0 ? r : kv_txn_delete(op->txn, KV_META, key->bytes, key->len);
}

/* next_version of the newest version of the inode's record, 0 where there is none. */
static int newest_version(struct inode *inode, uint64_t *ret_version)
{
	struct key prefix = inode_key(inode, KEY_INODE);
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	_cleanup_buf_ struct buf value = {0}, body = {0};
	struct irec rec = {0};
	int r = kv_iter_open(inode->core->kv, NULL, NULL, KV_HISTORY, prefix.bytes, prefix.len, &it);

	if (r == 0)
		r = kv_iter_seek_back(it, NULL, 0);
	if (r > 0) {
		r = kv_iter_value(it, &value);
		if (r == 0)
			r = irec_decode(value.data, value.len, &rec, &body, &facts);
	}
	if (r < 0)
		return r;
	*ret_version = rec.map.next_version;
	return 0;
}

int op_kept_version(struct op *op, struct inode *inode, uint64_t *ret_version)
{
	uint64_t pin;
	int r;

	*ret_version = 0;
	if (!pins_epoch(op->core) || !inode->rec.map.next_version)
		return 0;
	if (!inode->ghost && !inode->orphan) {
		r = op_pin(op, inode->container, &pin);
		if (r < 0)
			return r;
		if (inode->rec.epoch < pin) { /* op_commit() will keep it as it is stored */
			*ret_version = inode->rec.map.next_version;
			return 0;
		}
	}
	if (!inode->kept_known) {
		r = newest_version(inode, &inode->kept);
		if (r < 0)
			return r;
		inode->kept_known = true;
	}
	*ret_version = inode->kept;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The version that @at sees: -ENOENT where there is none; an empty value is one, of what was not there. */
static int version_get(struct core *core, const struct key *key, uint64_t at, struct buf *ret_value)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	struct key from = *key;
	const uint8_t *found;
	size_t len;
	int r = kv_iter_open(core->kv, NULL, NULL, KV_HISTORY, key->bytes, key->len, &it);

	key_add_u64(&from, at);
	if (r == 0)
		r = kv_iter_seek(it, from.bytes, from.len);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	found = kv_iter_key(it, &len);
	if (len != key->len + VERSION_TAIL)
		return -EBADMSG;
	if (get_be64(found + key->len + 8) < at)
		return kv_iter_value(it, ret_value);
	ret_value->len = 0; /* that one came later */
	return 0;
}

int past_get(struct core *core, const struct key *key, uint64_t at, struct buf *ret_value)
{
	_cleanup_buf_ struct buf version = {0};
	uint64_t epoch;
	int r = kv_get(core->kv, NULL, KV_META, key->bytes, key->len, ret_value), found;

	if (!at)
		return r;
	if (r == 0 && epoch_offset(kind_of(key))) {
		r = epoch_of(kind_of(key), ret_value, &epoch);
		if (r == 0 && epoch < at)
			return 0;
		r = r < 0 ? r : -ENOENT;
	}
	found = version_get(core, key, at, &version);
	if (found == -ENOENT)
		return r;
	if (found < 0)
		return found;
	if (!version.len)
		return -ENOENT;
	buf_release(ret_value);
	*ret_value = version;
	version = (struct buf){0};
	return 0;
}

struct past_iter {
	uint64_t at;
	size_t prefix_len;
	struct kv_view *view;
	struct kv_iter *live, *versions;
	int live_here, version_here; /* 1: it stands at a record */
	bool started;
	struct key from, key;
	struct buf scratch;
};

int past_iter_open(struct core *core, const struct key *prefix, const struct key *from, uint64_t at,
	struct past_iter **ret_iter)
{
	_cleanup_(past_iter_freep) struct past_iter *it = calloc(1, sizeof *it);
	int r;

	if (!it)
		return -ENOMEM;
	it->at = at;
	it->from = from ? *from : *prefix;
	r = at ? kv_view_open(core->kv, &it->view) : 0;
	if (r == 0)
		r = kv_iter_open(core->kv, it->view, NULL, KV_META, prefix->bytes, prefix->len,
			&it->live);
	if (r == 0 && !at)
		kv_iter_keep(it->live); /* who lists a directory may remove what is in it */
	if (r == 0 && at)
		r = kv_iter_open(core->kv, it->view, NULL, KV_HISTORY, prefix->bytes, prefix->len,
			&it->versions);
	if (r < 0)
		return r;
	*ret_iter = steal_ptr(it);
	return 0;
}

void past_iter_free(struct past_iter *it)
{
	if (!it)
		return;
	kv_iter_free(it->live);
	kv_iter_free(it->versions);
	kv_view_free(it->view);
	buf_release(&it->scratch);
	free(it);
}

static int start(struct past_iter *it)
{
	it->started = true;
	it->live_here = kv_iter_seek(it->live, it->from.bytes, it->from.len);
	if (it->live_here >= 0 && it->versions)
		it->version_here = kv_iter_seek(it->versions, it->from.bytes, it->from.len);
	return it->live_here < 0 ? it->live_here : it->version_here < 0 ? it->version_here : 0;
}

static int take_key(struct past_iter *it, const uint8_t *key, size_t len)
{
	if (len > KEY_MAX - VERSION_TAIL)
		return -EBADMSG;
	memcpy(it->key.bytes, key, len);
	it->key.len = len;
	return 0;
}

/* The live record where it stands: 1 it counts and its value is in scratch, 0 it does not. Moves on. */
static int take_live(struct past_iter *it)
{
	uint64_t epoch;
	int r = kv_iter_value(it->live, &it->scratch), counts = 1;

	if (r == 0 && it->at && epoch_offset(kind_of(&it->key))) {
		r = epoch_of(kind_of(&it->key), &it->scratch, &epoch);
		counts = epoch < it->at;
	}
	it->live_here = kv_iter_next(it->live);
	return r < 0 ? r : it->live_here < 0 ? it->live_here : counts;
}

/*
 * Versions of it->key: 1 one of them is seen and in scratch, 0 what is seen is that there was none, -ENOENT none
 * of them says anything. Moves on to the next key's.
 */
static int take_version(struct past_iter *it)
{
	struct key seek = it->key;
	const uint8_t *found;
	size_t len;
	int r, seen = -ENOENT;

	key_add_u64(&seek, it->at);
	r = kv_iter_seek(it->versions, seek.bytes, seek.len);
	if (r > 0) {
		found = kv_iter_key(it->versions, &len);
		if (len == seek.len + 8 && memcmp(found, it->key.bytes, it->key.len) == 0) {
			seen = 0;
			if (get_be64(found + seek.len) < it->at) {
				r = kv_iter_value(it->versions, &it->scratch);
				seen = it->scratch.len > 0;
			}
		}
	}
	if (r < 0)
		return r;
	seek.len = it->key.len;
	key_add_u64(&seek, UINT64_MAX);
	it->version_here = kv_iter_seek(it->versions, seek.bytes, seek.len);
	return it->version_here < 0 ? it->version_here : seen;
}

/* One key: 1 it is there and in scratch, 0 it is not, or -errno. */
static int step(struct past_iter *it)
{
	const uint8_t *live = NULL, *version = NULL;
	size_t live_len = 0, version_len = 0;
	int order = -1, r;

	if (it->live_here)
		live = kv_iter_key(it->live, &live_len);
	if (it->version_here) {
		version = kv_iter_key(it->versions, &version_len);
		if (version_len <= VERSION_TAIL)
			return -EBADMSG;
		version_len -= VERSION_TAIL;
		/* Keys of one kind are of one length. */
		order = !live ? 1
			      : memcmp(live, version, live_len < version_len ? live_len : version_len);
	}
	r = order <= 0 ? take_key(it, live, live_len) : take_key(it, version, version_len);
	if (r < 0)
		return r;
	if (order < 0)
		return take_live(it);
	r = take_version(it);
	if (order > 0)
		return r == -ENOENT ? 0 : r;
	if (r == -ENOENT)
		return take_live(it);
	it->live_here = kv_iter_next(it->live);
	return it->live_here < 0 ? it->live_here : r;
}

int past_iter_next(struct past_iter *it, const uint8_t **ret_key, size_t *ret_len,
	struct buf *ret_value)
{
	int r = it->started ? 0 : start(it);

	while (r == 0) {
		if (!it->live_here && !it->version_here)
			return 0;
		r = step(it);
	}
	if (r < 0)
		return r;
	*ret_key = it->key.bytes;
	*ret_len = it->key.len;
	if (ret_value) {
		struct buf swap = *ret_value;
		*ret_value = it->scratch;
		it->scratch = swap;
	}
	return 1;
}

/* ---- inodes of the past ---------------------------------------------------------------------- */

int past_open(struct core *core, uint64_t ino, uint64_t *ret_at)
{
	uint32_t container;
	uint64_t at = pins_id_of_slot(core, snapshot_slot(ino), &container);

	if (!at)
		return -ESTALE;
	*ret_at = at;
	return 0;
}

void core_set_past_loaded(struct core *core, int (*loaded)(void *arg, struct inode *inode), void *arg)
{
	core->past_loaded = loaded;
	core->past_loaded_arg = arg;
}

int inode_past_mtime(struct inode *inode, struct timespec *ret_mtime)
{
	struct key key = key_make(inode->container->domain, inode->container->id, KEY_INODE,
		snapshot_present_ino(inode->ino));
	_cleanup_(blob_unrefp) struct blob *facts = NULL;
	_cleanup_buf_ struct buf value = {0}, body = {0};
	struct irec rec;
	int r = past_get(inode->core, &key, inode->at, &value);

	if (r == 0)
		r = irec_decode(value.data, value.len, &rec, &body, &facts);
	if (r == 0)
		*ret_mtime = rec.mtime;
	return r;
}

int past_settle(struct inode *inode)
{
	struct irec *rec = &inode->rec;
	uint64_t slot = inode->ino & ~SNAPSHOT_INO_MASK;
	struct snapshot_info info;

	if (pins_get(inode->core, inode->at, &info) == 0 && info.root == inode->ino) {
		rec->parent = snapshot_dir_ino(info.place);
		rec->mtime = rec->ctime = info.taken;
	} else {
		rec->parent |= slot;
	}
	return inode->core->past_loaded
		       ? inode->core->past_loaded(inode->core->past_loaded_arg, inode)
		       : 0;
}
