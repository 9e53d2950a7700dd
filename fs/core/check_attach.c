/*
 * check_attach.c: names for what has lost them, and the list of what was damaged: by the ordinary
 * operations, in a core that is opened once the records are in order.
 *
 * .lost+found/ lies in the root directory of the container that a thing belongs to (its session, workflow or
 * user): what is in a container cannot be renamed out of it, and goes with it into snapshots. Its name
 * begins with a dot, so it is plain content at every level, and means nothing.
 */
#include "fs/core/check_internal.h"

#include <stdio.h>
#include <time.h>

#define LOST_FOUND ".lost+found"
#define LIST_NAME "damaged.txt"
#define LIST_MAX (1u << 20)
#define USER_KIND 2 /* containers of users: fs/session/session.h, ROLE_USER */

struct attach {
	struct core *core;
	struct kv *kv;
	const struct check_options *options;
	uint64_t done;
};

static uint8_t role_in(const struct attach *a, const struct inode *dir, const char *name, mode_t type)
{
	const struct check_rules *rules = a->options->rules;

	return rules ? rules->role(dir->rec.role, name, strlen(name), type) : 0;
}

/* ---- within an op ---------------------------------------------------------------------------- */

/* .lost+found of @root, staged; it is made where there is none. */
static int lost_found(struct attach *a, struct op *op, struct inode *root, struct inode **ret_dir)
{
	const struct irec *like = op_stage(op, root);
	struct irec *rec;
	int r = op_lookup(op, root, LOST_FOUND, strlen(LOST_FOUND), ret_dir);

	if (r != -ENOENT)
		return r < 0 ? r : inode_is_dir(*ret_dir) ? 0 : -ENOTDIR;
	r = op_new_inode(op, root->container, S_IFDIR | 0700,
		role_in(a, root, LOST_FOUND, S_IFDIR), ret_dir);
	if (r < 0)
		return r;
	inode_ref(*ret_dir);
	rec = op_stage(op, *ret_dir);
	rec->uid = like->uid;
	rec->gid = like->gid;
	return op_add_entry(op, root, LOST_FOUND, strlen(LOST_FOUND), *ret_dir);
}

/* The name that is free in @dir: @name, or with a number behind it. */
static int free_name(struct op *op, struct inode *dir, const char *name, char ret_name[64])
{
	struct dentry d;
	int r = 0;

	for (unsigned i = 0; i < 1000; i++) {
		if (i == 0)
			snprintf(ret_name, 64, "%s", name);
		else
			snprintf(ret_name, 64, "%.50s-%u", name, i);
		r = op_find(op, dir, ret_name, strlen(ret_name), &d);
		if (r)
			return r == -ENOENT ? 0 : r;
	}
	return -EEXIST;
}

static int name_child(struct attach *a, struct op *op, struct inode *dir, const char *name,
	struct inode *child)
{
	struct irec *rec = op_stage(op, child);
	int r;

	if (!rec)
		return -ENOMEM;
	/* What the entry adds to its links comes on top of what they are without one. */
	rec->nlink = S_ISDIR(rec->mode) ? rec->nlink >= 2 ? rec->nlink - 2 : 0 : 0;
	r = op_add_entry(op, dir, name, strlen(name), child);
	if (r < 0)
		return r;
	rec->role = role_in(a, dir, name, rec->mode & S_IFMT);
	op_touch_dir(op, op_stage(op, dir));
	return op_commit(op);
}

/* ---- lost things ----------------------------------------------------------------------------- */

/* A container's root goes back into the directory that it names, under a name that is known or made up. */
static int attach_root(struct attach *a, const struct check_lost *lost)
{
	_cleanup_inode_ struct inode *dir = NULL, *child = NULL;
	_cleanup_(container_putp) struct container *c = NULL;
	const struct check_rules *rules = a->options->rules;
	struct check names = {.kv = a->kv, .options = a->options};
	char name[CORE_NAME_MAX + 1], free[64];
	_cleanup_(op_end) struct op op;
	int r;

	if (!rules || rules->name(rules->arg, &names, lost->domain, lost->container, name) < 0 ||
		strlen(name) > 50)
		snprintf(name, sizeof name, "lost+found-%llu", (unsigned long long)lost->ino);
	op_begin(&op, a->core, NULL);
	r = inode_get(a->core, lost->parent ? lost->parent : CORE_ROOT_INO, NULL, &dir);
	if (r == 0)
		r = container_get(a->core, lost->domain, lost->container, &c);
	if (r == 0)
		r = inode_get(a->core, lost->ino, c, &child);
	if (r == 0 && (!inode_is_dir(dir) || role_in(a, dir, name, S_IFDIR) != lost->role))
		r = -ENOTDIR;
	if (r == 0)
		r = op_lock(&op, (struct inode *[]){dir, child}, 2);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = free_name(&op, dir, name, free);
	return r < 0 ? r : name_child(a, &op, dir, free, child);
}

/* A message whose number is free goes back to it, messages/ to its place, if that is free. */
static bool known_name(struct attach *a, struct op *op, const struct check_lost *lost,
	struct inode *dir, char name[64])
{
	const struct check_rules *rules = a->options->rules;
	const char *of_role = rules ? rules->name_of_role(lost->role) : NULL;
	struct dentry d;

	if (!inode_is_dir(dir) || dir->ghost)
		return false;
	if (of_role)
		snprintf(name, 64, "%s", of_role);
	else if (lost->number && dir->numbered)
		name[name_of_message(lost->number, name)] = '\0';
	else
		return false;
	return role_in(a, dir, name, (mode_t)lost->type << 12) == lost->role &&
	       op_find(op, dir, name, strlen(name), &d) == -ENOENT;
}

static int attach_inode(struct attach *a, const struct check_lost *lost)
{
	_cleanup_inode_ struct inode *dir = NULL, *child = NULL, *root = NULL, *found = NULL;
	_cleanup_(container_putp) struct container *c = NULL;
	_cleanup_(op_end) struct op op;
	char name[64], free[64];
	int r;

	op_begin(&op, a->core, NULL);
	r = container_get(a->core, lost->domain, lost->container, &c);
	if (r == 0)
		r = inode_get(a->core, lost->ino, c, &child);
	if (r == 0)
		r = inode_get(a->core, (uint64_t)c->id << 8, c, &root);
	if (r == 0)
		r = op_lock(&op, &root, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r;
	if (lost->parent && inode_get(a->core, lost->parent, c, &dir) == 0 &&
		known_name(a, &op, lost, dir, name))
		return name_child(a, &op, dir, name, child);
	r = lost_found(a, &op, root, &found);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "#%llu", (unsigned long long)lost->ino);
	r = free_name(&op, found, name, free);
	return r < 0 ? r : name_child(a, &op, found, free, child);
}

static int attach_one(struct attach *a, const struct check_lost *lost)
{
	return lost->root ? attach_root(a, lost) : attach_inode(a, lost);
}

/* ---- damaged files --------------------------------------------------------------------------- */

/* The file keeps its inode and gets other bytes; what is left of the old ones is deleted. */
static int restore_bytes(struct op *op, struct inode *file, const struct buf *bytes)
{
	struct irec *rec = op_stage(op, file);
	uint64_t next;
	int r;

	if (!rec)
		return -ENOMEM;
	next = rec->map.next_version;
	if (rec->body == INODE_MAPPED) {
		r = work_add(op, WORK_TAIL, file, 0, next - 1);
		if (r < 0)
			return r;
	}
	rec->map = (struct map_root){.chunk_shift = rec->map.chunk_shift, .next_version = next};
	rec->body = INODE_EMPTY;
	rec->size = 0;
	return data_replace(op, file, rec, bytes->data, bytes->len);
}

/* The file that lost its inode: a new one under its name. */
static int restore_file(struct attach *a, struct op *op, struct inode *dir, const char *name,
	const struct buf *bytes)
{
	const struct irec *like = op_stage(op, dir);
	struct inode *file;
	struct irec *rec;
	int r = op_new_inode(op, dir->container, S_IFREG | (like->mode & 0600),
		role_in(a, dir, name, S_IFREG), &file);

	if (r < 0)
		return r;
	rec = op_stage(op, file);
	rec->uid = like->uid;
	rec->gid = like->gid;
	r = data_replace(op, file, rec, bytes->data, bytes->len);
	return r < 0 ? r : op_add_entry(op, dir, name, strlen(name), file);
}

static int restore(struct attach *a, const struct check_damage *d, const struct buf *bytes)
{
	_cleanup_inode_ struct inode *dir = NULL, *file = NULL;
	_cleanup_(op_end) struct op op;
	int r;

	op_begin(&op, a->core, NULL);
	r = inode_get(a->core, d->dir, NULL, &dir);
	if (r == 0 && d->kept)
		r = inode_get(a->core, d->ino, NULL, &file);
	if (r == 0)
		r = op_lock(&op, &dir, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = file ? restore_bytes(&op, file, bytes)
			 : restore_file(a, &op, dir, strrchr(d->path, '/') + 1, bytes);
	return r < 0 ? r : op_commit(&op);
}

/* Each try is told with its reason. */
static void try_sources(struct attach *a, const struct check_damage *d, struct buf *ret_what)
{
	for (size_t i = 0; d->dir && i < a->options->n_sources; i++) {
		const struct check_source *s = &a->options->sources[i];
		_cleanup_buf_ struct buf bytes = {0};
		const char *reason = "cannot be written";

		if (s->fetch(s->arg, d->path, &bytes, &reason) == 0 &&
			restore(a, d, &bytes) == 0) {
			buf_printf(ret_what, "; taken from %s", s->name);
			a->done++;
			return;
		}
		buf_printf(ret_what, "; %s: %s", s->name, reason);
	}
	buf_printf(ret_what, "; no snapshot or backup holds it");
}

/* The root of the user whose domain it is: the first container of that kind. */
static int user_root(struct attach *a, uint32_t domain, struct inode **ret_root)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct key at = key_make(domain, 0, KEY_CONTAINER, 0);
	int r = kv_iter_open(a->kv, NULL, NULL, KV_META, at.bytes, 4, &it);

	if (r < 0)
		return r;
	while ((r = kv_iter_seek(it, at.bytes, 8)) > 0) {
		size_t len;
		const uint8_t *key = kv_iter_key(it, &len);
		uint32_t container = len >= 8 ? get_be32(key + 4) : UINT32_MAX;

		/* The container's own record is the first of its records. */
		if (len >= KEY_PREFIX && key[8] == KEY_CONTAINER &&
			kv_iter_value(it, &value) == 0 && value.len > 1 &&
			value.data[1] == USER_KIND)
			return inode_get(a->core, (uint64_t)container << 8, NULL, ret_root);
		if (container == UINT32_MAX)
			break;
		put_be32(at.bytes + 4, container + 1);
	}
	return r < 0 ? r : -ENOENT;
}

/* damaged.txt in .lost+found of @root, staged; it is made where there is none. */
static int find_list(struct attach *a, struct op *op, struct inode *root, struct inode **ret_list)
{
	_cleanup_inode_ struct inode *dir = NULL;
	const struct irec *like;
	struct irec *rec;
	int r = lost_found(a, op, root, &dir);

	if (r == 0)
		r = op_lookup(op, dir, LIST_NAME, strlen(LIST_NAME), ret_list);
	if (r != -ENOENT)
		return r;
	r = op_new_inode(op, root->container, S_IFREG | 0600, 0, ret_list);
	if (r < 0)
		return r;
	inode_ref(*ret_list);
	like = op_stage(op, root);
	rec = op_stage(op, *ret_list);
	rec->uid = like->uid;
	rec->gid = like->gid;
	return op_add_entry(op, dir, LIST_NAME, strlen(LIST_NAME), *ret_list);
}

/* Adds those of @lines that are not there yet, each with the date before it. */
static int add_lines(struct buf *text, const struct buf *lines, const struct timespec *now)
{
	const char *p = (const char *)lines->data, *end = p + lines->len, *next;
	char date[32];
	struct tm tm;
	int r = 0;

	gmtime_r(&now->tv_sec, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm);
	for (; p < end && r == 0; p = next) {
		next = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
		if (text->len && memmem(text->data, text->len, p, (size_t)(next - p)))
			continue;
		r = buf_printf(text, "%s", date);
		if (r == 0)
			r = buf_append(text, p, (size_t)(next - p));
	}
	return r;
}

static int write_list(struct attach *a, struct inode *root, const struct buf *lines)
{
	_cleanup_inode_ struct inode *list = NULL;
	_cleanup_buf_ struct buf text = {0};
	_cleanup_(op_end) struct op op;
	struct irec *rec;
	size_t before;
	int r;

	op_begin(&op, a->core, NULL);
	r = op_lock(&op, &root, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = find_list(a, &op, root, &list);
	if (r < 0)
		return r;
	rec = op_stage(&op, list);
	r = buf_resize(&text, rec->size < LIST_MAX ? rec->size : LIST_MAX);
	if (r == 0 && data_read(list, text.data, text.len, 0) != (ssize_t)text.len)
		text.len = 0;
	before = text.len;
	if (r == 0)
		r = add_lines(&text, lines, &op.now);
	if (r < 0 || text.len == before)
		return r;
	r = data_replace(&op, list, rec, text.data, text.len);
	rec->mtime = rec->ctime = op.now;
	return r < 0 ? r : op_commit(&op);
}

static int add_damage(struct attach *a, const struct check_damage *d, struct buf *lines)
{
	_cleanup_buf_ struct buf what = {0};
	size_t at = lines->len;
	int r;

	try_sources(a, d, &what);
	r = buf_printf(lines, "\t%s\t%s%.*s", d->path, d->why, (int)what.len,
		(const char *)what.data);
	/* A name may hold anything; a line is one line. */
	for (; at < lines->len; at++)
		if (lines->data[at] < ' ' && lines->data[at] != '\t')
			lines->data[at] = '?';
	return r < 0 ? r : buf_append(lines, "\n", 1);
}

static int list_damage(struct attach *a, const struct check_result *result)
{
	int r = 0;

	for (size_t i = 0; i < result->n_damage && r == 0;) {
		uint32_t domain = result->damage[i].domain;
		_cleanup_inode_ struct inode *root = NULL;
		_cleanup_buf_ struct buf lines = {0};

		for (; i < result->n_damage && result->damage[i].domain == domain && r == 0; i++)
			r = add_damage(a, &result->damage[i], &lines);
		if (r == 0)
			r = user_root(a, domain, &root);
		if (r == 0)
			r = OP_RETRY(write_list(a, root, &lines));
		else if (r == -ENOENT)
			r = 0; /* users/ itself has no place for it */
	}
	return r;
}

int core_check_attach(struct kv *kv, const struct check_options *options,
	const struct check_result *result, uint64_t *ret_done)
{
	const struct core_options core = {.name_hash_bits = options->name_hash_bits};
	struct attach a = {.kv = kv, .options = options};
	int r = core_open(kv, &core, &a.core), error = 0;

	if (r < 0)
		return r;
	for (size_t i = 0; i < result->n_lost; i++) {
		r = OP_RETRY(attach_one(&a, &result->lost[i]));
		if (r == 0)
			a.done++;
		else
			error = r; /* the others get theirs; the last look tells of this one */
	}
	r = list_damage(&a, result);
	if (r < 0)
		error = r;
	core_settle(a.core);
	r = core_close(a.core);
	*ret_done = a.done;
	return error == -ENOMEM || error == -ENOSPC || error == -EIO ? error : r;
}
