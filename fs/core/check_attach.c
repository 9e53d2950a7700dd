/*
 * check_attach.c: names for what has lost them, and the list of what was damaged: by the ordinary
 * operations, in a core that is opened once the records are in order.
 *
 * .lost+found/ lies in the root directory of the container that a thing belongs to (its session, workflow or
 * user): what is in a container cannot be renamed out of it, and goes with it into snapshots. Its name
 * begins with a dot, so it is plain content at every level, and means nothing.
 */
#include "fs/core/check_rescue.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOST_FOUND ".lost+found"
#define LIST_NAME "damaged.txt"
#define LIST_MAX (1u << 20)
#define USER_KIND 2 /* containers of users: fs/session/session.h, ROLE_USER */

struct attach {
	struct core *core;
	struct kv *kv;
	const struct check_options *options;
	uint64_t done, saved;
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

	if (lost->name && strlen(lost->name) <= 50)
		snprintf(name, sizeof name, "%s", lost->name);
	else if (!rules || rules->name(rules->arg, &names, lost->domain, lost->container, name) < 0 ||
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

/* A message whose number is free goes back to it, messages/ to its place, and what has an older name to that. */
static bool known_name(struct attach *a, struct op *op, const struct check_lost *lost,
	struct inode *dir, char name[CORE_NAME_MAX + 1])
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
	else if (lost->name)
		strcpy(name, lost->name);
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
	char name[CORE_NAME_MAX + 1], free[64];
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

/* A file in .lost+found/ for what can be read of @file. */
static int make_remnant(struct attach *a, struct inode *file, uint64_t *ret_ino)
{
	_cleanup_inode_ struct inode *root = NULL, *found = NULL;
	_cleanup_(op_end) struct op op;
	struct inode *made;
	char name[64], free[64];
	struct irec *rec;
	int r;

	op_begin(&op, a->core, NULL);
	r = inode_get(a->core, (uint64_t)file->container->id << 8, file->container, &root);
	if (r == 0)
		r = op_lock(&op, &root, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = lost_found(a, &op, root, &found);
	snprintf(name, sizeof name, "#%llu", (unsigned long long)file->ino);
	if (r == 0)
		r = free_name(&op, found, name, free);
	if (r == 0)
		r = op_new_inode(&op, file->container, S_IFREG | (file->rec.mode & 0777), 0, &made);
	if (r < 0)
		return r;
	rec = op_stage(&op, made);
	rec->uid = file->rec.uid;
	rec->gid = file->rec.gid;
	*ret_ino = made->ino;
	r = op_add_entry(&op, found, free, strlen(free), made);
	return r < 0 ? r : op_commit(&op);
}

/* What cannot be read stays a hole. */
static int copy_readable(struct core *core, struct file *in, struct file *out, off_t size)
{
	_cleanup_free_ uint8_t *bytes = malloc(1u << CHUNK_SHIFT_NOISE);
	off_t at = 0;

	while (bytes && at < size) {
		off_t data = core_lseek(core, in, at, SEEK_DATA);
		ssize_t n;

		if (data == -ENXIO)
			break;
		if (data > at)
			at = data & ~(off_t)((1 << CHUNK_SHIFT_NOISE) - 1);
		n = core_read(core, in, bytes, 1u << CHUNK_SHIFT_NOISE, at);
		if (n > 0)
			n = core_write(core, out, bytes, (size_t)n, at, 0);
		if (n == -ENOMEM || n == -ENOSPC)
			return (int)n;
		at += 1 << CHUNK_SHIFT_NOISE;
	}
	return bytes ? core_file_flush(core, out) : -ENOMEM;
}

static int save_remnant(struct attach *a, uint64_t ino)
{
	const struct cred daemon = {0};
	_cleanup_inode_ struct inode *file = NULL;
	struct file *in = NULL, *out = NULL;
	struct stat st;
	uint64_t remnant = 0;
	int r = inode_get(a->core, ino, NULL, &file);

	if (r == 0)
		r = OP_RETRY(make_remnant(a, file, &remnant));
	if (r == 0)
		r = core_file_open(a->core, &daemon, ino, O_RDONLY, &in);
	if (r == 0)
		r = core_file_open(a->core, &daemon, remnant, O_RDWR, &out);
	if (r == 0)
		r = core_getattr(a->core, ino, &st, NULL);
	if (r == 0)
		r = copy_readable(a->core, in, out, st.st_size);
	if (in)
		core_file_release(a->core, in);
	if (out)
		core_file_release(a->core, out);
	if (r == 0)
		r = core_setattr(a->core, &daemon, remnant, &st, CORE_SET_SIZE | CORE_SET_MTIME, &st);
	return r;
}

/* Those that an older version is to replace: the next look does that, once what can be read of them is safe. */
static int save_remnants(struct attach *a, const struct check_result *result)
{
	const struct check names = {.options = a->options};
	int r = 0;

	for (size_t i = 0; i < result->n_damage && r == 0; i++) {
		const struct check_damage *d = &result->damage[i];
		struct check_note *note = d->kept ? rescue_note(&names, d->ino, KEY_INODE, 0) : NULL;

		if (!note || note->state != RESCUE_WAITS || note->saved)
			continue;
		r = save_remnant(a, d->ino);
		note->saved = r == 0;
		a->saved += note->saved;
		if (r < 0)
			note->state = RESCUE_NOT; /* it is left as it is */
		r = r == -ENOSPC || r == -ENOMEM || r == -EIO ? r : 0;
	}
	return r;
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

static int add_damage(const struct attach *a, const struct check_damage *d, struct buf *lines)
{
	const struct check names = {.options = a->options};
	const struct check_note *note = rescue_note(&names, d->ino, KEY_INODE, 0);
	size_t at = lines->len;
	int r;

	if (note && note->state == RESCUE_WAITS)
		return 0; /* the next look has more to tell */
	r = buf_printf(lines, "\t%s\t%s", d->path, d->why);
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
		if (!lines.len)
			continue;
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
	const struct check_result *result, uint64_t *ret_done, uint64_t *ret_saved)
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
	r = save_remnants(&a, result);
	if (r == 0)
		r = list_damage(&a, result);
	if (r < 0)
		error = r;
	core_settle(a.core);
	r = core_close(a.core);
	*ret_done = a.done;
	*ret_saved = a.saved;
	return error == -ENOMEM || error == -ENOSPC || error == -EIO ? error : r;
}
