#include "tests/fsck/damage.h"

#include "fs/session/record.h"
#include "fs/session/session.h"
#include "tests/fsck/damage_record.h"

/* ---- which ----------------------------------------------------------------------------------- */

static bool decode(const struct buf *value, struct irec *ret_rec)
{
	struct buf bytes = {0};
	struct blob *facts = NULL;
	bool good = irec_decode(value->data, value->len, ret_rec, &bytes, &facts) == 0;
	buf_release(&bytes);
	blob_unref(facts);
	return good;
}

#define INODE_IS(name, condition)                                                                  \
	static bool name(const struct record *r, const struct buf *value)                          \
	{                                                                                          \
		struct irec rec;                                                                   \
		return decode(value, &rec) && (condition);                                         \
	}
INODE_IS(is_message, rec.role == ROLE_MESSAGE)
INODE_IS(is_messages, rec.role == ROLE_MESSAGES)
INODE_IS(is_plain_dir, S_ISDIR(rec.mode) && rec.role == ROLE_PLAIN)
INODE_IS(is_session, rec.role == ROLE_SESSION)
INODE_IS(is_user, rec.role == ROLE_USER)
INODE_IS(is_workflow, rec.role == ROLE_WORKFLOW)
INODE_IS(is_users, rec.role == ROLE_USERS)
INODE_IS(is_context, rec.role == ROLE_CONTEXT)
INODE_IS(is_file, S_ISREG(rec.mode) && rec.role == ROLE_PLAIN)
INODE_IS(is_mapped, rec.body == INODE_MAPPED)
INODE_IS(has_xattrs, rec.xattrs > 0)
static bool has_tail(const struct record *r, const struct buf *value)
{
	struct irec rec;
	struct buf bytes = {0};
	struct blob *facts = NULL;
	bool has = irec_decode(value->data, value->len, &rec, &bytes, &facts) == 0 && rec.body == INODE_MAPPED &&
		   bytes.len > 0;
	buf_release(&bytes);
	blob_unref(facts);
	return has;
}
static bool entry_of_message(const struct record *r, const struct buf *value)
{
	return get_be64(r->key.bytes + KEY_PREFIX) < 1ull << 62;
}
static bool entry_of(const struct buf *value, mode_t type, bool container)
{
	struct dentry d;
	return dentry_decode(value->data, value->len, &d) == 0 && d.type == type >> 12 &&
	       !!d.container == container;
}
static bool entry_of_file(const struct record *r, const struct buf *value)
{
	return !entry_of_message(r, value) && entry_of(value, S_IFREG, false);
}
static bool entry_of_dir(const struct record *r, const struct buf *value)
{
	return entry_of(value, S_IFDIR, false);
}
static bool entry_of_container(const struct record *r, const struct buf *value)
{
	return entry_of(value, S_IFDIR, true);
}
static bool row(const struct record *r, uint8_t which)
{
	return r->key.len > KEY_PREFIX && r->key.bytes[KEY_PREFIX] == which;
}
static bool row_session(const struct record *r, const struct buf *value)
{
	return row(r, RECORD_SESSION);
}
static bool row_name(const struct record *r, const struct buf *value)
{
	return row(r, RECORD_NAME);
}
static bool row_id(const struct record *r, const struct buf *value)
{
	return row(r, RECORD_ID);
}
static bool row_day(const struct record *r, const struct buf *value)
{
	return row(r, RECORD_DAY);
}
static bool row_ring(const struct record *r, const struct buf *value)
{
	return r->key.len > KEY_PREFIX && r->key.bytes[KEY_PREFIX] >= RECORD_RING;
}

/* ---- drops and flips ------------------------------------------------------------------------- */

static int drop(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, kind, want, nth, &r);
	return error < 0 ? error : record_drop_raw(kv, &r);
}

static int flip(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, kind, want, nth, &r);
	return error < 0 ? error : record_flip_raw(kv, &r);
}

#define DAMAGE(name, how, kind, want)                                                              \
	static int name(struct kv *kv, unsigned nth)                                               \
	{                                                                                          \
		return how(kv, kind, want, nth);                                                   \
	}
DAMAGE(entry_drop, drop, KEY_DENTRY, entry_of_message)
DAMAGE(entry_flip, flip, KEY_DENTRY, entry_of_message)
DAMAGE(entry_drop_file, drop, KEY_DENTRY, entry_of_file)
DAMAGE(entry_drop_dir, drop, KEY_DENTRY, entry_of_dir)
DAMAGE(entry_drop_container, drop, KEY_DENTRY, entry_of_container)
DAMAGE(inode_drop, drop, KEY_INODE, is_message)
DAMAGE(inode_flip, flip, KEY_INODE, is_message)
DAMAGE(inode_drop_mapped, drop, KEY_INODE, is_mapped)
DAMAGE(inode_flip_file, flip, KEY_INODE, is_file)
DAMAGE(dir_drop, drop, KEY_INODE, is_plain_dir)
DAMAGE(dir_flip, flip, KEY_INODE, is_plain_dir)
DAMAGE(messages_drop, drop, KEY_INODE, is_messages)
DAMAGE(messages_flip, flip, KEY_INODE, is_messages)
DAMAGE(session_root_drop, drop, KEY_INODE, is_session)
DAMAGE(session_root_flip, flip, KEY_INODE, is_session)
DAMAGE(workflow_root_drop, drop, KEY_INODE, is_workflow)
DAMAGE(user_root_drop, drop, KEY_INODE, is_user)
DAMAGE(users_drop, drop, KEY_INODE, is_users)
DAMAGE(chunk_drop, drop, KEY_CHUNK, NULL)
DAMAGE(chunk_flip, flip, KEY_CHUNK, NULL)
DAMAGE(page_drop, drop, KEY_MAP, NULL)
DAMAGE(page_flip, flip, KEY_MAP, NULL)
DAMAGE(xattr_drop, drop, KEY_XATTR, NULL)
DAMAGE(xattr_flip, flip, KEY_XATTR, NULL)
DAMAGE(xattr_inode_drop, drop, KEY_INODE, has_xattrs)
DAMAGE(container_drop, drop, KEY_CONTAINER, NULL)
DAMAGE(container_flip, flip, KEY_CONTAINER, NULL)
DAMAGE(lease_drop, drop, KEY_LEASE, NULL)
DAMAGE(lease_flip, flip, KEY_LEASE, NULL)
DAMAGE(counter_drop, drop, KEY_COUNTER, NULL)
DAMAGE(counter_flip, flip, KEY_COUNTER, NULL)
DAMAGE(session_drop, drop, KEY_SESSION, row_session)
DAMAGE(session_flip, flip, KEY_SESSION, row_session)
DAMAGE(name_drop, drop, KEY_SESSION, row_name)
DAMAGE(name_flip, flip, KEY_SESSION, row_name)
DAMAGE(id_drop, drop, KEY_SESSION, row_id)
DAMAGE(id_flip, flip, KEY_SESSION, row_id)
DAMAGE(day_drop, drop, KEY_SESSION, row_day)
DAMAGE(ring_drop, drop, KEY_SESSION, row_ring)
DAMAGE(ring_flip, flip, KEY_SESSION, row_ring)

/* ---- authentic and wrong --------------------------------------------------------------------- */

struct copy {
	struct irec rec;
	struct buf bytes;
	struct blob *facts;
};

static int load(struct kv *kv, const struct key *key, struct copy *ret)
{
	_cleanup_buf_ struct buf value = {0};
	int r = kv_get(kv, NULL, KV_META, key->bytes, key->len, &value);
	return r < 0 ? r : irec_decode(value.data, value.len, &ret->rec, &ret->bytes, &ret->facts);
}

static int store(struct kv *kv, const struct key *key, struct copy *copy)
{
	_cleanup_buf_ struct buf record = {0};
	int r = irec_encode(&copy->rec, &copy->bytes, copy->facts, &record);
	if (r == 0)
		r = record_put(kv, KV_META, key, record.data, record.len);
	buf_release(&copy->bytes);
	blob_unref(copy->facts);
	return r;
}

#define CHANGE(name, want, change)                                                                 \
	static int name(struct kv *kv, unsigned nth)                                               \
	{                                                                                          \
		_cleanup_record_ struct record r = {0};                                            \
		struct copy copy = {0};                                                            \
		int error = record_find(kv, KEY_INODE, want, nth, &r);                                    \
		if (error == 0)                                                                    \
			error = load(kv, &r.key, &copy);                                           \
		if (error < 0)                                                                     \
			return error;                                                              \
		struct irec *rec = &copy.rec;                                                      \
		change;                                                                            \
		return store(kv, &r.key, &copy);                                                   \
	}
CHANGE(wrong_links, is_file, rec->nlink += 3)
CHANGE(wrong_links_dir, is_session, rec->nlink += 1)
CHANGE(unlinked, is_message, rec->nlink = 0)
CHANGE(wrong_count, is_messages, rec->size += 1)
CHANGE(wrong_sum, is_session, rec->entries.lo ^= 1)
CHANGE(wrong_parent, is_messages, rec->parent += 1)
CHANGE(wrong_parent_session, is_session, rec->parent = CORE_ROOT_INO)
CHANGE(wrong_generation, is_message, rec->generation += 1)
CHANGE(wrong_generation_session, is_session, rec->generation += 1)
CHANGE(wrong_number, is_message, rec->number += 7)
CHANGE(wrong_role, is_file, rec->role = ROLE_AGENT)
CHANGE(wrong_role_context, is_context, rec->role = ROLE_AGENT)
CHANGE(older_role_context, is_context, rec->role = ROLE_PLAIN)
CHANGE(wrong_role_dir, is_messages, rec->role = ROLE_PLAIN)
CHANGE(wrong_stored, is_mapped, rec->map.stored += 512)
CHANGE(wrong_size, is_mapped, rec->size -= 5)
CHANGE(wrong_xattrs, has_xattrs, rec->xattrs += 1)
CHANGE(wrong_kind_dir, is_plain_dir, rec->mode = S_IFIFO | 0600)
CHANGE(wrong_kind_session, is_session, rec->mode = S_IFIFO | 0600)
CHANGE(tail_of_nothing, has_tail, rec->map.root = (struct map_entry){0})

/* An entry of a session or workflow that leads to a directory that another container has. */
static int entry_elsewhere(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0}, other = {0};
	_cleanup_buf_ struct buf value = {0};
	uint8_t record[DENTRY_MAX];
	struct dentry d;
	int error = record_find_read(kv, KEY_DENTRY, entry_of_container, nth, &r, &value);

	for (unsigned i = 0; error == 0 && (i == 0 || memcmp(other.key.bytes, r.key.bytes, 8) == 0); i++) {
		buf_release(&other.sealed);
		error = record_find(kv, KEY_INODE, is_messages, i, &other);
	}
	if (error == 0)
		error = dentry_decode(value.data, value.len, &d);
	if (error < 0)
		return error;
	d.ino = (uint64_t)other.key.bytes[9] << 32 | get_be32(other.key.bytes + 10);
	d.domain = d.container = 0;
	return record_put(kv, KV_META, &r.key, record, dentry_encode(&d, record));
}

static int lease_elsewhere(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	_cleanup_buf_ struct buf value = {0};
	int error = record_find_read(kv, KEY_LEASE, NULL, nth, &r, &value);

	if (error < 0)
		return error;
	put_be32(value.data + 5, 1000);
	return record_put(kv, KV_META, &r.key, value.data, value.len);
}

/* A directory that lies in itself. */
static int loop(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0}, e = {0};
	_cleanup_buf_ struct buf value = {0};
	struct copy copy = {0};
	struct dentry d;
	uint8_t record[DENTRY_MAX];
	uint64_t ino = 0;
	int error = record_find(kv, KEY_INODE, is_plain_dir, nth, &r);

	for (unsigned i = 0; error == 0; i++) {
		buf_release(&e.sealed);
		error = record_find_read(kv, KEY_DENTRY, entry_of_dir, i, &e, &value);
		if (error == 0)
			error = dentry_decode(value.data, value.len, &d);
		ino = (uint64_t)r.key.bytes[9] << 32 | get_be32(r.key.bytes + 10);
		if (error == 0 && d.ino == ino)
			break;
	}
	if (error == 0)
		error = load(kv, &r.key, &copy);
	if (error < 0)
		return error;
	error = record_drop_raw(kv, &e);
	struct key inside = r.key;
	inside.bytes[8] = KEY_DENTRY;
	key_add_u64(&inside, get_be64(e.key.bytes + KEY_PREFIX));
	if (error == 0)
		error = record_put(kv, KV_META, &inside, record, dentry_encode(&d, record));
	copy.rec.parent = ino;
	return error < 0 ? error : store(kv, &r.key, &copy);
}

/* An inode of which nobody knows: nlink 1, no entry. */
static int extra_inode(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	struct copy copy = {0};
	struct key key;
	int error = record_find(kv, KEY_INODE, is_message, nth, &r);

	if (error == 0)
		error = load(kv, &r.key, &copy);
	if (error < 0)
		return error;
	key = r.key;
	key.bytes[13] = (uint8_t)(key.bytes[13] + 30);
	return store(kv, &key, &copy);
}

static int extra_chunk(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_CHUNK, NULL, nth, &r);
	if (error < 0)
		return error;
	put_be64(r.key.bytes + KEY_PREFIX + 8, 1ull << 40);
	return record_put(kv, KV_DATA, &r.key, "surplus", 7);
}

static int extra_page(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	_cleanup_buf_ struct buf value = {0};
	int error = record_find_read(kv, KEY_MAP, NULL, nth, &r, &value);
	if (error < 0)
		return error;
	put_be64(r.key.bytes + KEY_PREFIX + 9, 1ull << 40);
	return record_put(kv, KV_DATA, &r.key, value.data, value.len);
}

static int extra_strange(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_INODE, is_session, nth, &r);
	if (error < 0)
		return error;
	r.key.bytes[8] = 13;
	return record_put(kv, KV_META, &r.key, "strange", 7);
}

/* A session's id that a second session's row claims. */
static int extra_id(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_SESSION, row_id, nth, &r);
	if (error < 0)
		return error;
	r.key.bytes[r.key.len - 1] ^= 1;
	return record_put(kv, KV_META, &r.key, "\0\0\0\1", 4);
}

/* A row that tells the worker to delete the data of a file in use. */
static int work_on_used(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_INODE, is_mapped, nth, &r);
	if (error < 0)
		return error;
	uint8_t value[26] = {1, WORK_REMOVE};
	struct key key = key_make(0, 0, KEY_WORK,
		(uint64_t)r.key.bytes[9] << 32 | get_be32(r.key.bytes + 10));
	key_add_u64(&key, 0);
	memcpy(value + 2, r.key.bytes, 8);
	return record_put(kv, KV_META, &key, value, sizeof value);
}

static int work_on_user(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_INODE, is_user, nth, &r);
	if (error < 0)
		return error;
	uint8_t value[26] = {1, WORK_DOMAIN};
	struct key key = key_make(0, 0, KEY_WORK, 0);
	key_add_u64(&key, get_be32(r.key.bytes));
	memcpy(value + 2, r.key.bytes, 4);
	return record_put(kv, KV_META, &key, value, sizeof value);
}

/* A session's record says the id of another. */
static int wrong_id(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0}, other = {0};
	_cleanup_buf_ struct buf value = {0}, from = {0}, changed = {0};
	_cleanup_srec_ struct srec rec = {0}, twin = {0};
	int error = record_find_read(kv, KEY_SESSION, row_session, nth, &r, &value);

	if (error == 0)
		error = record_find_read(kv, KEY_SESSION, row_session, nth ? 0 : 1, &other, &from);
	if (error == 0)
		error = srec_decode(value.data, value.len, &rec);
	if (error == 0)
		error = srec_decode(from.data, from.len, &twin);
	if (error < 0)
		return error;
	memcpy(rec.id, twin.id, sizeof rec.id);
	error = srec_encode(&rec, &changed);
	return error < 0 ? error : record_put(kv, KV_META, &r.key, changed.data, changed.len);
}

static int wrong_session(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	_cleanup_buf_ struct buf value = {0}, changed = {0};
	_cleanup_srec_ struct srec rec = {0};
	int error = record_find_read(kv, KEY_SESSION, row_session, nth, &r, &value);
	if (error == 0)
		error = srec_decode(value.data, value.len, &rec);
	if (error < 0)
		return error;
	rec.messages += 5;
	rec.tokens += 1000;
	rec.number_high = 1;
	error = srec_encode(&rec, &changed);
	return error < 0 ? error : record_put(kv, KV_META, &r.key, changed.data, changed.len);
}

static int wrong_name(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	int error = record_find(kv, KEY_SESSION, row_name, nth, &r);
	return error < 0 ? error : record_put(kv, KV_META, &r.key, "another", 7);
}

static int wrong_counters(struct kv *kv, unsigned nth)
{
	struct kv_txn *txn;
	int r = kv_domain_exists(kv, 1 + nth) ? kv_txn_begin(kv, &txn) : -ENOENT;
	if (r < 0)
		return r;
	kv_txn_count(txn, 1 + nth, KV_COUNT_INODES, 12);
	kv_txn_count(txn, 1 + nth, KV_COUNT_BYTES, -3);
	r = kv_txn_commit(txn, NULL);
	kv_txn_free(txn);
	return r;
}

/* ---- put back, swapped ----------------------------------------------------------------------- */

static int replay(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	_cleanup_buf_ struct buf value = {0};
	int error = record_find_read(kv, kind, want, nth, &r, &value);
	/* The same once more is a newer version; then the older one comes back. */
	if (error == 0)
		error = record_put(kv, KV_META, &r.key, value.data, value.len);
	return error < 0 ? error : record_put_raw(kv, &r, r.sealed.data, r.sealed.len);
}
DAMAGE(replay_inode, replay, KEY_INODE, is_message)
DAMAGE(replay_session, replay, KEY_SESSION, row_session)

static int swap(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth)
{
	_cleanup_record_ struct record a = {0}, b = {0};
	int error = record_find(kv, kind, want, nth, &a);
	if (error == 0)
		error = record_find(kv, kind, want, nth + 1, &b);
	if (error == 0)
		error = record_put_raw(kv, &a, b.sealed.data, b.sealed.len);
	return error < 0 ? error : record_put_raw(kv, &b, a.sealed.data, a.sealed.len);
}
DAMAGE(swap_inodes, swap, KEY_INODE, is_message)
DAMAGE(swap_chunks, swap, KEY_CHUNK, NULL)
DAMAGE(swap_entries, swap, KEY_DENTRY, entry_of_message)

/* Bytes of another file's entry under a name of its own cannot be made: it is the older one that comes back. */
static int entry_older(struct kv *kv, unsigned nth)
{
	_cleanup_record_ struct record r = {0};
	_cleanup_buf_ struct buf value = {0};
	uint8_t record[DENTRY_MAX];
	struct dentry d;
	int error = record_find_read(kv, KEY_DENTRY, entry_of_message, nth, &r, &value);
	if (error == 0)
		error = dentry_decode(value.data, value.len, &d);
	if (error < 0)
		return error;
	d.ino += 40; /* what it led to is gone, as after a rename over it */
	d.generation ^= 1;
	return record_put(kv, KV_META, &r.key, record, dentry_encode(&d, record));
}

static int row_flip(struct kv *kv, unsigned nth)
{
	struct record r = {.family = KV_SYS, .key = {.len = KV_ROW_KEY_BYTES}};
	kv_row_key(0, KV_ROW_COMMIT, r.key.bytes);
	int error = kv->ops->get(kv->engine, NULL, KV_SYS, r.key.bytes, r.key.len, &r.sealed);
	if (error == 0)
		error = record_flip_raw(kv, &r);
	record_release(&r);
	return error;
}

const struct damage damages[] = {
	{"entry-drop", entry_drop},
	{"entry-flip", entry_flip},
	{"entry-drop-file", entry_drop_file, .lost = 1}, /* one of two names of a file */
	{"entry-drop-dir", entry_drop_dir},
	{"entry-drop-container", entry_drop_container},
	{"entry-older", entry_older},
	{"inode-drop", inode_drop, .lost = 1},
	{"inode-flip", inode_flip, .lost = 1},
	{"inode-flip-file", inode_flip_file, .lost = 2},
	{"inode-drop-mapped", inode_drop_mapped, .lost = 2},
	{"dir-drop", dir_drop},
	{"dir-flip", dir_flip},
	{"messages-drop", messages_drop},
	{"messages-flip", messages_flip},
	{"session-root-drop", session_root_drop},
	{"session-root-flip", session_root_flip},
	{"workflow-root-drop", workflow_root_drop},
	{"user-root-drop", user_root_drop},
	{"users-drop", users_drop},
	{"chunk-drop", chunk_drop, .left = true},
	{"chunk-flip", chunk_flip, .left = true},
	{"page-drop", page_drop, .left = true},
	{"page-flip", page_flip, .left = true},
	{"xattr-drop", xattr_drop},
	{"xattr-flip", xattr_flip},
	{"xattr-inode-drop", xattr_inode_drop, .lost = 2},
	{"container-drop", container_drop},
	{"container-flip", container_flip},
	{"lease-drop", lease_drop},
	{"lease-flip", lease_flip},
	{"counter-drop", counter_drop},
	{"counter-flip", counter_flip},
	{"session-drop", session_drop},
	{"session-flip", session_flip},
	{"name-drop", name_drop},
	{"name-flip", name_flip},
	{"id-drop", id_drop},
	{"id-flip", id_flip},
	{"day-drop", day_drop},
	{"ring-drop", ring_drop},
	{"ring-flip", ring_flip},
	{"wrong-links", wrong_links},
	{"wrong-links-dir", wrong_links_dir},
	{"unlinked", unlinked},
	{"wrong-count", wrong_count},
	{"wrong-sum", wrong_sum},
	{"wrong-parent", wrong_parent},
	{"wrong-parent-session", wrong_parent_session},
	{"wrong-generation", wrong_generation},
	{"wrong-generation-session", wrong_generation_session},
	{"wrong-number", wrong_number},
	{"wrong-role", wrong_role},
	{"wrong-role-context", wrong_role_context},
	{"wrong-role-dir", wrong_role_dir},
	{"wrong-stored", wrong_stored},
	{"wrong-size", wrong_size},
	{"wrong-xattrs", wrong_xattrs},
	{"wrong-kind-dir", wrong_kind_dir},
	{"wrong-kind-session", wrong_kind_session},
	{"entry-elsewhere", entry_elsewhere},
	{"lease-elsewhere", lease_elsewhere},
	{"tail-of-nothing", tail_of_nothing, .lost = 1},
	{"wrong-session", wrong_session},
	{"wrong-id", wrong_id},
	{"wrong-name", wrong_name},
	{"wrong-counters", wrong_counters},
	{"loop", loop},
	{"extra-inode", extra_inode},
	{"extra-chunk", extra_chunk},
	{"extra-page", extra_page},
	{"extra-strange", extra_strange},
	{"extra-id", extra_id},
	{"work-on-used", work_on_used},
	{"work-on-user", work_on_user},
	{"replay-inode", replay_inode},
	{"replay-session", replay_session},
	{"swap-inodes", swap_inodes, .lost = 2},
	{"swap-chunks", swap_chunks, .left = true},
	{"swap-entries", swap_entries},
	{"commit-row-flip", row_flip},
	{0},
};

const struct damage older_role = {"older-role", older_role_context};

const struct damage *damage_find(const char *name)
{
	static const struct damage *const tables[] = {damages, snapshot_damages, whole_damages};
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (const struct damage *d = tables[i]; d->name; d++)
			if (strcmp(d->name, name) == 0)
				return d;
	return NULL;
}
