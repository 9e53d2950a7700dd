/* damage_whole.c: all records of a thing are gone, as where tables or blocks of the database are. */
#include "fs/core/core_internal.h"
#include "fs/session/session.h"
#include "kv/kv_internal.h"
#include "tests/fsck/damage.h"

#define RUN 12

/* Whose records are dropped. */
struct victim {
	uint32_t domain, container; /* 0: all of the domain's */
	uint64_t ino;		    /* 0: all of the container's */
	uint64_t name_of;	    /* entries that lead to it as well */
};

static bool hits(const struct victim *v, const uint8_t *key, size_t len, const struct buf *value)
{
	uint64_t ino = len >= KEY_PREFIX ? (uint64_t)key[9] << 32 | get_be32(key + 10) : 0;
	struct dentry d;

	if (len < KEY_PREFIX || (get_be32(key) == 0 && get_be32(key + 4) == 0))
		return false;
	if (v->name_of && key[8] == KEY_DENTRY && dentry_decode(value->data, value->len, &d) == 0 &&
		d.ino == v->name_of)
		return true;
	return get_be32(key) == v->domain && (!v->container || get_be32(key + 4) == v->container) &&
	       (!v->ino || ino == v->ino);
}

static int drop_key(struct kv *kv, enum kv_family family, const uint8_t *key, size_t len)
{
	const struct kv_write w = {.family = family, .key = key, .key_len = len};
	return kv->ops->write(kv->engine, &w, 1);
}

static int drop_all(struct kv *kv, enum kv_family family, const struct victim *v)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	int r = kv_iter_open(kv, NULL, NULL, family, NULL, 0, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		uint8_t key[KV_KEY_MAX];
		size_t len;
		const uint8_t *at = kv_iter_key(it, &len);
		memcpy(key, at, len);
		if (family == KV_META && kv_iter_value(it, &value) < 0)
			continue;
		if (hits(v, key, len, &value) && drop_key(kv, family, key, len) < 0)
			return -EIO;
	}
	return r;
}

/* The @nth inode of this role, and its place. */
static int find_role(struct kv *kv, uint8_t role, unsigned nth, struct victim *ret)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0}, bytes = {0};
	int r = kv_iter_open(kv, NULL, NULL, KV_META, NULL, 0, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		struct irec rec;
		struct blob *facts = NULL;
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		if (len != KEY_PREFIX || key[8] != KEY_INODE || kv_iter_value(it, &value) < 0 ||
			irec_decode(value.data, value.len, &rec, &bytes, &facts) < 0)
			continue;
		blob_unref(facts);
		if (rec.role != role || !S_ISDIR(rec.mode) || nth--)
			continue;
		*ret = (struct victim){.domain = get_be32(key), .container = get_be32(key + 4),
			.ino = (uint64_t)key[9] << 32 | get_be32(key + 10)};
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static int whole(struct kv *kv, uint8_t role, unsigned nth, bool name, bool domain)
{
	struct victim v;
	int r = find_role(kv, role, nth, &v);

	if (r < 0)
		return r;
	v.name_of = name ? v.ino : 0;
	if (role != ROLE_PLAIN)
		v.ino = 0;
	if (domain)
		v.container = 0;
	r = drop_all(kv, KV_META, &v);
	return r < 0 ? r : drop_all(kv, KV_DATA, &v);
}

#define WHOLE(name, role, with_name, domain)                                                       \
	static int name(struct kv *kv, unsigned nth)                                               \
	{                                                                                          \
		return whole(kv, role, nth, with_name, domain);                                    \
	}
WHOLE(session_gone, ROLE_SESSION, false, false)
WHOLE(session_and_name, ROLE_SESSION, true, false)
WHOLE(workflow_gone, ROLE_WORKFLOW, false, false)
WHOLE(workflow_and_name, ROLE_WORKFLOW, true, false)
WHOLE(user_gone, ROLE_USER, false, false)
WHOLE(user_all, ROLE_USER, false, true)
WHOLE(user_all_and_name, ROLE_USER, true, true)
WHOLE(users_gone, ROLE_USERS, false, false)
WHOLE(dir_gone, ROLE_PLAIN, false, false)
WHOLE(dir_and_name, ROLE_PLAIN, true, false)

/* A block of the database: some records whose keys follow each other. The store's own have copies elsewhere. */
static int block_gone(struct kv *kv, unsigned nth)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	unsigned at = 0, dropped = 0;
	int r = kv_iter_open(kv, NULL, NULL, KV_META, NULL, 0, &it);

	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0 && dropped < RUN; r = kv_iter_next(it)) {
		uint8_t key[KV_KEY_MAX];
		size_t len;
		const uint8_t *found = kv_iter_key(it, &len);
		if (get_be32(found) == 0 && get_be32(found + 4) == 0)
			continue;
		memcpy(key, found, len);
		if (at++ >= nth * (RUN / 2)) {
			dropped++;
			if (drop_key(kv, KV_META, key, len) < 0)
				return -EIO;
		}
	}
	return r < 0 ? r : dropped ? 0 : -ENOENT;
}

const struct damage whole_damages[] = {
	{"session-gone", session_gone},
	{"session-and-name-gone", session_and_name},
	{"workflow-gone", workflow_gone},
	{"workflow-and-name-gone", workflow_and_name},
	{"user-root-gone", user_gone},
	{"user-gone", user_all},
	{"user-and-name-gone", user_all_and_name},
	{"users-gone", users_gone},
	{"dir-gone", dir_gone},
	{"dir-and-name-gone", dir_and_name},
	{"block-gone", block_gone},
	{0},
};
