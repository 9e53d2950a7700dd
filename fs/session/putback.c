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
#include "fs/session/putmerge.h"
#include "fs/session/timestamp.h"
#include "fs/session/uuid.h"

#include <linux/fs.h>
#include <stdio.h>

void putback_release(struct putback *p)
{
	inode_put(p->dir);
	inode_put(p->from);
	srec_release(&p->then);
	putmerge_free(p->merge);
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

/* ---- the instant ----------------------------------------------------------------------------- */

/* Calls @then in the instant of a snapshot before-restore-TIME of @p's place; its name into @ret_kept. */
int putback_keep_then(struct putback *p, int (*then)(void *arg), void *arg, char *ret_kept)
{
	struct snapshot_info kept = {0};
	uint64_t place = container_root(p->dir->container);
	_cleanup_inode_ struct inode *root = NULL;
	struct timespec now;
	struct tm tm;
	char stamp[32], name[CORE_NAME_MAX + 1];
	int r = inode_get(p->s->core, place, p->dir->container, &root);

	if (r < 0)
		return r;
	if (p->dir->ino == place && p->dir->rec.role == ROLE_SESSION)
		json_freshen(p->s, p->dir);
	struct snapshot_new asked = {.name = name, .flags = root->rec.role == ROLE_SESSION ? SNAPSHOT_ALONE : 0,
	        .number = recovery_number(p->s, root)};
	r = -EEXIST;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
	for (int n = 1; r == -EEXIST && !kept.id && n < 1000; n++) {
		snprintf(name, sizeof name, n == 1 ? "before-restore-%s" : "before-restore-%s.%d", stamp, n);
		struct snapshot_info other;
		if (snapshot_find(p->s->core, place, name, &other) == 0)
			continue;
		r = snapshot_take_then(p->s->core, p->who, place, &asked, then, arg, &kept);
	}
	/* What failed has changed nothing; and what was made for this was empty before. */
	if (kept.id && (r < 0 || p->flags))
		snapshot_drop(p->s->core, kept.id);
	else if (r == 0)
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
		r = putback_hide(&p);
	if (r < 0)
		return r;
	r = copy_entry(s, who, from, p.dir, p.hidden);
	if (r == 0)
		r = putback_keep_then(&p, rename_entry, &p, ret_kept);
	int cleared = putback_clear_all(s);
	return r < 0 ? r : cleared;
}

/* ---- a session ------------------------------------------------------------------------------- */

static int hidden_plan(struct op *op, void *arg)
{
	op->role = ROLE_PLAIN;
	return 0;
}

static int hidden_also(struct op *op, void *arg)
{
	copy_keep_times(op, op->dir);
	return 0;
}

/* A directory that nobody may enter. */
int putback_make_hidden(struct putback *p, struct inode **ret_hidden)
{
	struct core_rule rule = {.plan = hidden_plan, .also = hidden_also};
	struct core_make what = {.mode = S_IFDIR};
	struct core_entry entry;
	int r = core_make(p->s->core, p->who, p->dir->ino, p->hidden, &what, &rule, &entry);

	if (r < 0)
		return r;
	core_forget(p->s->core, entry.ino, 1);
	return inode_get(p->s->core, entry.ino, p->dir->container, ret_hidden);
}

/* The four names that have a meaning in a session get it in @dir, or lose it. */
static int set_roles(struct op *op, struct inode *dir, uint8_t dir_role)
{
	static const char *const names[] = {"messages", JSON_NAME, "agent", "context.json"};

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
int putback_put_root(struct op *op, struct putback *p)
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
	if (r == 0)
		r = inode_past_mtime(p->from, &rec->mtime);
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

	if ((p->flags & PUT_BACK_REMOVED || p->other) && memcmp(p->then.id, now->id, 16) != 0) {
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
int putback_put_rendering(struct op *op, struct putback *p, struct inode *hidden)
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
	r = putback_put_rendering(op, p, hidden);
	if (r == 0)
		r = srec_store(op, c, &p->then);
	memory->maker = 0;
	memory->untouched = 0;
	memory->checked = true;
	return r;
}

static int tell_name(void *arg, const char *name)
{
	struct putback *p = arg;
	return p->each(p->arg, p->dir->ino, name);
}

int putback_exchange_in(struct op *op, struct putback *p)
{
	_cleanup_inode_ struct inode *hidden = NULL;
	int r = op_lookup(op, p->dir, p->hidden, strlen(p->hidden), &hidden);

	if (r == 0 && (!op_stage(op, p->dir) || !op_stage(op, hidden)))
		r = -ENOMEM;
	if (r == 0)
		r = put_record(op, p, hidden);
	if (r == 0 && p->merge)
		r = putmerge_flip(op, p->merge);
	else if (r == 0)
		r = op_exchange_children(op, p->dir, hidden, p->each ? tell_name : NULL, p);
	if (r == 0)
		r = set_roles(op, p->dir, ROLE_SESSION);
	if (r == 0)
		r = set_roles(op, hidden, ROLE_PLAIN);
	return r < 0 ? r : putback_put_root(op, p);
}

static int exchange_once(struct putback *p)
{
	_cleanup_(op_end) struct op op;

	op_begin(&op, p->s->core, p->who);
	int r = op_lock(&op, &p->dir, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = putback_exchange_in(&op, p);
	return r < 0 ? r : op_commit(&op);
}

static int exchange(void *arg)
{
	struct putback *p = arg;
	int r = p->merge ? putmerge_check(p->merge) : 0;

	return r < 0 ? r : OP_RETRY(exchange_once(p));
}

/* ---- … and where it comes from --------------------------------------------------------------- */

int putback_load_then(struct putback *p)
{
	_cleanup_buf_ struct buf value = {0};

	if (p->from->rec.role != ROLE_SESSION)
		return -EINVAL;
	int r = session_record_get_at(p->s->core, p->from->container, RECORD_SESSION, p->from->at, &value);
	if (r == 0)
		r = srec_decode(value.data, value.len, &p->then);
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

static int fill(struct putback *p, bool whole)
{
	_cleanup_inode_ struct inode *hidden = NULL;
	int r = putback_hide(p);

	putmerge_free(p->merge);
	p->merge = NULL;
	if (r == 0)
		r = putback_make_hidden(p, &hidden);
	if (r < 0)
		return r;
	return whole ? copy_session(p->s, p->who, p->from->ino, hidden, p->dir->ino)
	             : putmerge_plan(p, hidden, &p->merge);
}

int putback_fill(struct putback *p, bool whole)
{
	int r = fill(p, whole);
	return r == -EOPNOTSUPP && !whole ? fill(p, true) : r;
}

static int put_back_session(struct putback *p, char ret_kept[CORE_NAME_MAX + 1])
{
	struct snapshot_info info;
	int r = putback_load_then(p);

	bool same = p->from->container->id == p->dir->container->id;

	/* To another session belongs another's history. */
	if (r == 0 && !p->flags && !p->other && !same)
		r = -EXDEV;
	if (r == 0)
		r = snapshot_of_ino(p->s->core, p->from->ino, &info);
	if (r == 0 && p->flags & PUT_BACK_FORK)
		r = say_fork(p, info.name, &info.taken);
	if (r < 0)
		return r;
	if (p->flags) {
		r = putback_fill(p, true);
		return r < 0 ? r : exchange(p);
	}
	json_freshen(p->s, p->dir); /* before the plan, for the instant does */
	for (int whole = !same; whole < 2; whole++) {
		r = putback_fill(p, whole);
		if (r == 0)
			r = putback_keep_then(p, exchange, p, ret_kept);
		if (r != -EAGAIN && r != -EBUSY)
			break; /* else something changed that was to stay */
	}
	return r;
}

int session_put_back(struct sessions *s, const struct cred *who, uint64_t dir, uint64_t from,
        unsigned flags, int (*each)(void *arg, uint64_t dir, const char *name), void *arg,
        char ret_kept[CORE_NAME_MAX + 1])
{
	_cleanup_(putback_release) struct putback p = {
	        .s = s, .who = who, .flags = flags & ~(unsigned)PUT_BACK_OTHER, .other = flags & PUT_BACK_OTHER,
	        .each = each, .arg = arg};
	int r = open_both(&p, dir, from);

	if (r < 0)
		return r;
	if (p.dir->rec.role != ROLE_SESSION)
		return puttree_restore(s, who, p.dir, p.from, flags, each, arg, ret_kept);
	return put_back_session(&p, ret_kept);
}

int session_put_back_end(struct sessions *s)
{
	return putback_clear_all(s);
}
