/*
 * putback.c: putting back what a snapshot has, in one step, and making an independent session of it.
 *
 * 1. A row says where something hidden lies (a daemon that dies leaves it to the next one).
 * 2. The copy is made as .restore-<hex> beside what it is to replace (copy.c).
 * 3. In the instant of a snapshot, which keeps what is there: a file takes its name by a rename; of a session
 *    all children change places with those of the hidden directory, and its record becomes that of then, in
 *    one transaction. So the session keeps its container, its id and its snapshots.
 * 4. What is hidden now is discarded, then the row.
 */
#include "fs/session/putback.h"

#include "fs/core/xattr.h"
#include "fs/session/json.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

#include <linux/fs.h>
#include <stdio.h>

struct putback {
	struct sessions *s;
	const struct cred *who;
	struct inode *dir;  /* the session, or the directory of the entry */
	struct inode *from; /* what is put back, in its snapshot */
	unsigned flags;	    /* enum put_back_flags */
	const char *name;   /* of the entry */
	char hidden[32];    /* name of the copy */
	bool there;	    /* an entry: something has its name */
	struct srec then;   /* a session's record as it was */
	int (*each)(void *arg, const char *name);
	void *arg;
};

static void putback_release(struct putback *p)
{
	inode_put(p->dir);
	inode_put(p->from);
	srec_release(&p->then);
}

static int open_both(struct putback *p, uint64_t dir, uint64_t from)
{
	if (!snapshot_is_present(dir))
		return -EROFS;
	if (!snapshot_is_past(from))
		return -EINVAL;
	int r = inode_get(p->s->core, dir, NULL, &p->dir);
	if (r == 0)
		r = inode_get(p->s->core, from, NULL, &p->from);
	if (r == 0 && !inode_is_dir(p->dir))
		r = -ENOTDIR;
	return r == 0 && p->dir->ghost ? -ENOENT : r;
}

/* ---- what is hidden -------------------------------------------------------------------------- */

static struct key row_key(const struct container *users, uint64_t dir)
{
	struct key key = key_make(users->domain, users->id, KEY_SESSION, 0);
	key_add_u8(&key, RECORD_HIDDEN);
	if (dir)
		key_add_u64(&key, dir);
	return key;
}

/* The row that says that something hidden may lie in @dir comes or goes. */
static int row_once(struct sessions *s, uint64_t dir, bool there)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = inode_get(s->core, CORE_ROOT_INO, NULL, &users);
	if (r == 0)
		r = op_lock(&op, &users, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r;
	struct key key = row_key(users->container, dir);
	r = there ? kv_txn_put(op.txn, KV_META, key.bytes, key.len, "\1", 1)
	          : kv_txn_delete(op.txn, KV_META, key.bytes, key.len);
	return r < 0 ? r : op_commit(&op);
}

static int find_hidden(void *arg, const struct core_dirent *entry)
{
	size_t len = strlen(entry->name) + 1;
	return strncmp(entry->name, PUTBACK_PREFIX, strlen(PUTBACK_PREFIX)) ? 0 : buf_append(arg, entry->name, len);
}

/* Discards what is hidden in @dir, and the row. */
static int clear(struct sessions *s, uint64_t dir)
{
	_cleanup_buf_ struct buf names = {0};
	int r = core_readdir(s->core, dir, 0, false, find_hidden, &names);

	for (size_t at = 0; r == 0 && at < names.len; at += strlen((char *)names.data + at) + 1) {
		const char *name = (const char *)names.data + at;
		r = copy_discard(s, dir, name);
		if (s->changed)
			s->changed(s->changed_arg, dir, name);
	}
	/* The directory may be gone, and what was hidden with it. */
	return r < 0 && r != -ENOENT ? r : OP_RETRY(row_once(s, dir, false));
}

int putback_clear_all(struct sessions *s)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf dirs = {0};
	int r = inode_get(s->core, CORE_ROOT_INO, NULL, &users);
	if (r < 0)
		return r;
	struct key prefix = row_key(users->container, 0);

	r = kv_iter_open(core_kv(s->core), NULL, NULL, KV_META, prefix.bytes, prefix.len, &it);
	for (r = r < 0 ? r : kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		uint64_t dir = len == prefix.len + 8 ? get_be64(key + prefix.len) : 0;
		if ((r = buf_append(&dirs, &dir, sizeof dir)) < 0)
			return r;
	}
	for (size_t i = 0; r == 0 && i < dirs.len; i += sizeof(uint64_t)) {
		uint64_t dir;
		memcpy(&dir, dirs.data + i, sizeof dir);
		r = clear(s, dir);
	}
	return r;
}

static int hide(struct putback *p)
{
	uint64_t random;

	kv_random(&random, sizeof random);
	snprintf(p->hidden, sizeof p->hidden, PUTBACK_PREFIX "%016llx", (unsigned long long)random);
	int r = clear(p->s, p->dir->ino);
	return r < 0 ? r : OP_RETRY(row_once(p->s, p->dir->ino, true));
}

/* ---- the instant ----------------------------------------------------------------------------- */

/* Calls @then in the instant of a snapshot before-restore-TIME of @p's place; its name into @ret_kept. */
static int keep_then(struct putback *p, int (*then)(void *arg), char *ret_kept)
{
	uint64_t place = container_root(p->dir->container);
	struct timespec now;
	struct tm tm;
	char stamp[32], name[CORE_NAME_MAX + 1];
	int r = -EEXIST;

	if (p->dir->ino == place && p->dir->rec.role == ROLE_SESSION)
		json_freshen(p->s, p->dir);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
	for (int n = 1; r == -EEXIST && n < 1000; n++) {
		snprintf(name, sizeof name, n == 1 ? "before-restore-%s" : "before-restore-%s.%d", stamp, n);
		struct snapshot_info other;
		if (snapshot_find(p->s->core, place, name, &other) == 0)
			continue;
		r = snapshot_take_then(p->s->core, p->who, place, name,
		        p->dir->container->kind == ROLE_SESSION ? SNAPSHOT_ALONE : 0, then, p, NULL);
	}
	if (r == 0)
		memcpy(ret_kept, name, sizeof name);
	return r;
}

/* ---- an entry -------------------------------------------------------------------------------- */

static int rename_entry(void *arg)
{
	struct putback *p = arg;
	bool dir = inode_is_dir(p->from);
	unsigned flags = p->there && dir ? RENAME_EXCHANGE : 0;
	int r = session_rename(p->s, p->who, p->dir->ino, p->hidden, p->dir->ino, p->name, flags);

	/* What stands there is of another kind than what is put back. */
	if (r == -EISDIR && p->there)
		r = session_rename(p->s, p->who, p->dir->ino, p->hidden, p->dir->ino, p->name, RENAME_EXCHANGE);
	return r;
}

static int check_entry(struct putback *p)
{
	uint8_t role = p->from->rec.role;
	struct core_entry entry;
	int r = session_lookup(p->s, p->who, p->dir->ino, p->name, &entry);

	p->there = r == 0;
	if (r == 0)
		core_forget(p->s->core, entry.ino, 1);
	else if (r != -ENOENT)
		return r;
	/* These follow from the session: it is put back as a whole. */
	if (role == ROLE_MESSAGES || role == ROLE_SESSION_JSON ||
	        (p->dir->rec.role == ROLE_SESSION && strcmp(p->name, JSON_NAME) == 0))
		return -EXDEV;
	return p->from->rec.flags & INODE_CONTAINER_ROOT ? -EXDEV : 0;
}

int session_put_entry(struct sessions *s, const struct cred *who, uint64_t dir, const char *name, uint64_t from,
        char ret_kept[CORE_NAME_MAX + 1])
{
	_cleanup_(putback_release) struct putback p = {.s = s, .who = who, .name = name};
	int r = open_both(&p, dir, from);

	if (r == 0)
		r = check_entry(&p);
	if (r == 0)
		r = hide(&p);
	if (r < 0)
		return r;
	r = copy_entry(s, who, from, p.dir, p.hidden);
	if (r == 0)
		r = keep_then(&p, rename_entry, ret_kept);
	int cleared = clear(s, dir);
	return r < 0 ? r : cleared;
}

/* ---- a session ------------------------------------------------------------------------------- */

static int hidden_plan(struct op *op, void *arg)
{
	op->role = ROLE_PLAIN;
	return 0;
}

/* The directory, which nobody may enter, and the copy in it. */
static int make_hidden(struct putback *p)
{
	struct core_rule rule = {.plan = hidden_plan};
	struct core_make what = {.mode = S_IFDIR};
	_cleanup_inode_ struct inode *hidden = NULL;
	struct core_entry entry;
	int r = core_make(p->s->core, p->who, p->dir->ino, p->hidden, &what, &rule, &entry);

	if (r < 0)
		return r;
	core_forget(p->s->core, entry.ino, 1);
	r = inode_get(p->s->core, entry.ino, p->dir->container, &hidden);
	return r < 0 ? r : copy_session(p->s, p->who, p->from->ino, hidden, p->dir->ino);
}

/* The three names that have a meaning in a session get it in @dir, or lose it. */
static int set_roles(struct op *op, struct inode *dir, uint8_t dir_role)
{
	static const char *const names[] = {"messages", JSON_NAME, "agent"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		_cleanup_inode_ struct inode *child = NULL;
		int r = op_lookup(op, dir, names[i], strlen(names[i]), &child);
		if (r == -ENOENT)
			continue;
		struct irec *rec = r == 0 ? op_stage(op, child) : NULL;
		if (!rec)
			return r < 0 ? r : -ENOMEM;
		rec->role = rules_role(dir_role, names[i], strlen(names[i]), rec->mode & S_IFMT);
	}
	return 0;
}

/* Rights, times and attributes of the session's own directory. */
static int put_root(struct op *op, struct putback *p)
{
	_cleanup_buf_ struct buf names = {0};
	struct irec *rec = op_stage(op, p->dir);
	const struct irec *then = &p->from->rec; /* it does not change any more */
	int r = rec->xattrs ? xattr_list(p->dir, &names) : 0;

	for (size_t at = 0; r == 0 && at < names.len; at += strlen((char *)names.data + at) + 1)
		r = xattr_delete(op, p->dir, (const char *)names.data + at);
	if (r == 0 && then->xattrs) {
		pthread_rwlock_rdlock(&p->from->lock);
		r = copy_xattrs(op, p->from, p->dir);
		pthread_rwlock_unlock(&p->from->lock);
	}
	rec->mode = then->mode;
	if (p->who->uid == 0) {
		rec->uid = then->uid;
		rec->gid = then->gid;
	}
	rec->atime = then->atime;
	rec->mtime = then->mtime;
	if (p->flags)
		rec->btime = p->flags & PUT_BACK_FORK ? rec->btime : then->btime;
	rec->ctime = op->now;
	return r;
}

/* The id: the session's own; one that was removed gets its old one where nobody has it by now. */
static int put_id(struct op *op, struct putback *p, const struct srec *now)
{
	_cleanup_(container_putp) struct container *user = NULL;
	_cleanup_inode_ struct inode *workflow = NULL;
	bool taken = false;

	if (p->flags & PUT_BACK_REMOVED && memcmp(p->then.id, now->id, 16) != 0) {
		int r = inode_get(op->core, op_stage(op, p->dir)->parent, NULL, &workflow);
		if (r == 0)
			r = place_user_of(op, workflow, &user);
		if (r == 0)
			r = ids_taken(op, user, p->then.id, p->dir->container->id, &taken);
		if (r < 0)
			return r;
		if (!taken) {
			r = ids_delete(op, user, now->id);
			return r < 0 ? r : ids_put(op, user, p->then.id, p->dir->container->id);
		}
	}
	if (memcmp(p->then.id, now->id, 16) != 0)
		srec_changed(&p->then, &op->now);
	memcpy(p->then.id, now->id, 16);
	return 0;
}

/* The rendering that is put back is one that a save may be based on. */
static int put_rendering(struct op *op, struct putback *p, struct inode *hidden)
{
	_cleanup_inode_ struct inode *file = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct srec *rec = &p->then;

	if (!rec->version || rec->flags & (SREC_CHANGED | SREC_RECOUNT | SREC_FILE_STALE | SREC_JSON_GONE))
		return 0;
	int r = op_lookup(op, hidden, JSON_NAME, strlen(JSON_NAME), &file);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	const struct irec *irec = op_stage(op, file);
	if (!irec || irec->size > JSON_MAX)
		return irec ? 0 : -ENOMEM;
	r = buf_resize(&text, (size_t)irec->size);
	if (r == 0 && data_read(file, text.data, text.len, 0) != (ssize_t)text.len)
		r = -EIO;
	return r < 0 ? r : json_put_ring(op, p->dir->container, rec, &text);
}

static int put_record(struct op *op, struct putback *p, struct inode *hidden)
{
	_cleanup_srec_ struct srec now = {0};
	struct container *c = p->dir->container;
	struct session_memory *memory = memory_of(c);
	int r = memory ? srec_load(op, c, &now) : -ENOMEM;

	if (r == 0 && p->flags && !(now.flags & SREC_MESSAGES_AUTO && now.flags & SREC_JSON_AUTO))
		r = -ENOTEMPTY; /* somebody was there already */
	if (r == -EBADMSG && !p->flags)
		r = 0; /* what a damaged session is put back for */
	if (r == 0 && (p->flags || now.created))
		r = put_id(op, p, &now);
	if (r < 0)
		return r;
	if (now.version_high > p->then.version_high)
		p->then.version_high = now.version_high;
	if (now.number_high > p->then.number_high)
		p->then.number_high = now.number_high;
	p->then.ring_used = now.ring_used;
	p->then.epoch = p->s->epoch;
	r = put_rendering(op, p, hidden);
	if (r == 0)
		r = srec_store(op, c, &p->then);
	memory->maker = 0;
	memory->untouched = 0;
	memory->checked = true;
	return r;
}

static int exchange_once(struct putback *p)
{
	_cleanup_inode_ struct inode *hidden = NULL;
	_cleanup_(op_end) struct op op;

	op_begin(&op, p->s->core, p->who);
	int r = op_lock(&op, &p->dir, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = op_lookup(&op, p->dir, p->hidden, strlen(p->hidden), &hidden);
	if (r == 0 && (!op_stage(&op, p->dir) || !op_stage(&op, hidden)))
		r = -ENOMEM;
	if (r == 0)
		r = put_record(&op, p, hidden);
	if (r == 0)
		r = op_exchange_children(&op, p->dir, hidden, p->each, p->arg);
	if (r == 0)
		r = set_roles(&op, p->dir, ROLE_SESSION);
	if (r == 0)
		r = set_roles(&op, hidden, ROLE_PLAIN);
	if (r == 0)
		r = put_root(&op, p);
	return r < 0 ? r : op_commit(&op);
}

static int exchange(void *arg)
{
	return OP_RETRY(exchange_once(arg));
}

/* ---- … and where it comes from --------------------------------------------------------------- */

static int load_then(struct putback *p)
{
	_cleanup_buf_ struct buf value = {0};

	if (p->dir->rec.role != ROLE_SESSION || p->from->rec.role != ROLE_SESSION)
		return -EINVAL;
	int r = session_record_get_at(p->s->core, p->from->container, RECORD_SESSION, p->from->at, &value);
	if (r == 0)
		r = srec_decode(value.data, value.len, &p->then);
	/* To another session belongs another's history. */
	if (r == 0 && !p->flags && p->from->container != p->dir->container &&
	        p->from->container->id != p->dir->container->id)
		r = -EXDEV;
	return r == -ENOENT ? -EBADMSG : r;
}

static int quoted(struct buf *out, const char *key, const char *text)
{
	int r = json_quote(out, key, strlen(key));
	if (r == 0)
		r = buf_append(out, ":", 1);
	return r < 0 ? r : json_quote(out, text, strlen(text));
}

/* {"session_id":…,"snapshot":…,"time":…} as the member forked_from of the record's extra. */
static int say_fork(struct putback *p, const char *snapshot, const struct timespec *taken)
{
	_cleanup_(json_object_release) struct json_object extra = {0};
	_cleanup_buf_ struct buf value = {0}, text = {0};
	char id[UUID_LEN + 1], time[TIMESTAMP_LEN + 1];
	const char *old = p->then.extra ? p->then.extra : "{}", *reason;
	int r = json_object_parse(old, strlen(old), &extra, &reason);

	uuid_format(p->then.id, id);
	timestamp_format(timestamp_ms(taken), time);
	if (r == 0)
		r = buf_append(&value, "{", 1);
	if (r == 0)
		r = quoted(&value, "session_id", id);
	if (r == 0)
		r = buf_append(&value, ",", 1);
	if (r == 0)
		r = quoted(&value, "snapshot", snapshot);
	if (r == 0)
		r = buf_append(&value, ",", 1);
	if (r == 0)
		r = quoted(&value, "time", time);
	if (r == 0)
		r = buf_append(&value, "}", 2);
	if (r == 0)
		r = json_set_key(&extra, "\"forked_from\"", (const char *)value.data);
	if (r == 0)
		r = json_object_text(&extra, &text);
	if (r == 0)
		r = buf_append(&text, "", 1);
	return r < 0 ? r : srec_set(&p->then.extra, (const char *)text.data);
}

int session_put_back(struct sessions *s, const struct cred *who, uint64_t session, uint64_t from,
        unsigned flags, int (*each)(void *arg, const char *name), void *arg,
        char ret_kept[CORE_NAME_MAX + 1])
{
	_cleanup_(putback_release) struct putback p = {
	        .s = s, .who = who, .flags = flags, .each = each, .arg = arg};
	struct snapshot_info info;
	int r = open_both(&p, session, from);

	if (r == 0)
		r = load_then(&p);
	if (r == 0)
		r = snapshot_of_ino(s->core, from, &info);
	if (r == 0 && flags & PUT_BACK_FORK)
		r = say_fork(&p, info.name, &info.taken);
	if (r == 0)
		r = hide(&p);
	if (r < 0)
		return r;
	r = make_hidden(&p);
	if (r == 0)
		r = flags ? exchange(&p) : keep_then(&p, exchange, ret_kept);
	return r;
}

int session_put_back_end(struct sessions *s, uint64_t dir)
{
	return clear(s, dir);
}
