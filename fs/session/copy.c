/*
 * copy.c: a tree of the past made anew in the present, with all that the inodes have: bytes, holes, modes,
 * owners, birth times, attributes, hard links, and what is known of messages. One op an inode.
 *
 * The copy lies below a directory that nobody looks into (putback.c), so it may stand half made.
 */
#include "fs/core/xattr.h"
#include "fs/session/putback.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PIECE (1u << 20)

/* Inodes with several names that were copied: their numbers then and now, by rising first. */
struct links {
	uint64_t (*pairs)[2];
	size_t n, cap;
};

struct copy {
	struct core *core;
	struct cred who;
	struct links links;
};

/* What is copied of a directory's children. */
enum children {
	ALL,
	OF_SESSION, /* not what was hidden in it; what its names would mean, they do not mean yet */
	OF_NEW,	    /* not what was hidden in it */
	OF_HOLDER,  /* … nor what holds sessions, or is one */
};

/* One name to be made. */
struct place_at {
	struct inode *dir;
	const char *name;
	uint64_t parent; /* what it has for "..": dir's number, or that of where it will come */
	bool top;	 /* what the name would mean, it does not mean yet */
};

static size_t links_above(const struct links *l, uint64_t ino)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (l->pairs[mid][0] < ino)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int links_add(struct links *l, uint64_t then, uint64_t now)
{
	size_t at = links_above(l, then);

	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		void *grown = realloc(l->pairs, cap * sizeof *l->pairs);
		if (!grown)
			return -ENOMEM;
		l->pairs = grown;
		l->cap = cap;
	}
	memmove(l->pairs + at + 1, l->pairs + at, (l->n - at) * sizeof *l->pairs);
	l->pairs[at][0] = then;
	l->pairs[at][1] = now;
	l->n++;
	return 0;
}

int copy_xattrs(struct op *op, struct inode *from, struct inode *to)
{
	_cleanup_buf_ struct buf names = {0}, value = {0};
	int r = xattr_list(from, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;
		r = xattr_get(from, name, &value);
		if (r == 0)
			r = xattr_put(op, to, name, value.data, value.len, 0);
		at += strlen(name) + 1;
	}
	return r;
}

void copy_keep_times(struct op *op, struct inode *dir)
{
	struct irec *rec = op_stage(op, dir);

	rec->mtime = dir->rec.mtime;
	rec->ctime = dir->rec.ctime;
}

/* All but the bytes in chunks; @from is locked. */
static int copy_record(struct op *op, struct inode *from, bool top, struct inode *to)
{
	struct irec *rec = op_stage(op, to);
	const struct irec *like = &from->rec;
	int r = 0;

	rec->uid = like->uid;
	rec->gid = like->gid;
	rec->rdev = like->rdev;
	rec->flags = like->flags & (INODE_NUMBERED | INODE_MTIME_SET);
	rec->atime = like->atime;
	rec->mtime = like->mtime;
	rec->btime = like->btime;
	if (like->body == INODE_INLINE) {
		r = data_replace(op, to, rec, from->inline_data.data, from->inline_data.len);
	} else if (like->body == INODE_TARGET) {
		rec->body = INODE_TARGET;
		rec->size = like->size;
		r = buf_append(&to->inline_data, from->inline_data.data, from->inline_data.len);
	}
	if (r == 0 && from->facts && !top)
		op_set_facts(op, to, blob_ref(from->facts));
	return r < 0 || !like->xattrs ? r : copy_xattrs(op, from, to);
}

static int add(struct op *op, const struct place_at *at, struct inode *child)
{
	int r = op_add_entry(op, at->dir, at->name, strlen(at->name), child);

	if (r == 0)
		op_stage(op, child)->parent = at->parent;
	return r;
}

static int make_once(struct copy *copy, struct inode *from, const struct place_at *at, uint64_t *ret_ino)
{
	_cleanup_(op_end) struct op op;
	struct inode *dir = at->dir, *to;

	op_begin(&op, copy->core, &copy->who);
	int r = op_lock(&op, &dir, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&from->lock);
	r = op_new_inode(&op, dir->container, from->rec.mode, at->top ? ROLE_PLAIN : from->rec.role, &to);
	if (r == 0) {
		to->type = from->type;
		r = copy_record(&op, from, at->top, to);
	}
	pthread_rwlock_unlock(&from->lock);
	if (r == 0)
		r = add(&op, at, to);
	if (r == 0)
		r = op_commit(&op);
	if (r == 0)
		*ret_ino = to->ino;
	return r;
}

static int link_once(struct copy *copy, uint64_t ino, const struct place_at *at)
{
	_cleanup_inode_ struct inode *child = NULL;
	_cleanup_(op_end) struct op op;
	struct inode *dir = at->dir;

	op_begin(&op, copy->core, &copy->who);
	int r = inode_get(copy->core, ino, dir->container, &child);
	if (r == 0)
		r = op_lock(&op, &dir, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = op_add_entry(&op, dir, at->name, strlen(at->name), child);
	return r < 0 ? r : op_commit(&op);
}

/* ---- bytes in chunks ------------------------------------------------------------------------- */

static int copy_run(struct core *core, struct file *in, struct file *out, off_t from, off_t to)
{
	while (from < to) {
		size_t size = to - from < PIECE ? (size_t)(to - from) : PIECE;
		ssize_t n = core_copy_range(core, in, from, out, from, size);
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		from += n;
	}
	return 0;
}

static int copy_runs(struct core *core, struct file *in, struct file *out)
{
	off_t at = 0, end;

	while ((at = core_lseek(core, in, at, SEEK_DATA)) >= 0) {
		end = core_lseek(core, in, at, SEEK_HOLE);
		if (end < 0)
			return (int)end;
		int r = copy_run(core, in, out, at, end);
		if (r < 0)
			return r;
		at = end;
	}
	return at == -ENXIO ? 0 : (int)at;
}

/* Writing has moved the times, and asked for what is already known of it. */
static int settle(struct copy *copy, struct inode *from, struct inode *to)
{
	struct stat st, ignored;

	pthread_rwlock_rdlock(&from->lock);
	inode_stat(from, &st);
	pthread_rwlock_unlock(&from->lock);
	int r = core_setattr(copy->core, &copy->who, to->ino, &st,
	        CORE_SET_SIZE | CORE_SET_ATIME | CORE_SET_MTIME, &ignored);
	pthread_rwlock_wrlock(&to->lock);
	to->untaken = false;
	pthread_rwlock_unlock(&to->lock);
	return r < 0 ? r : core_commit(copy->core, to->ino);
}

static int copy_bytes(struct copy *copy, struct inode *from, uint64_t ino)
{
	_cleanup_inode_ struct inode *to = NULL;
	struct file *in, *out;
	int r = inode_get(copy->core, ino, NULL, &to);

	if (r == 0)
		r = core_file_open(copy->core, &copy->who, from->ino, O_RDONLY, &in);
	if (r < 0)
		return r;
	r = core_file_open(copy->core, &copy->who, ino, O_WRONLY, &out);
	if (r == 0) {
		r = copy_runs(copy->core, in, out);
		int closed = core_file_release(copy->core, out);
		r = r < 0 ? r : closed;
	}
	core_file_release(copy->core, in);
	return r < 0 ? r : settle(copy, from, to);
}

/* ---- trees ----------------------------------------------------------------------------------- */

static int list_one(void *arg, const struct core_dirent *entry)
{
	struct listed one = {.ino = entry->ino};

	if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return 0;
	snprintf(one.name, sizeof one.name, "%s", entry->name);
	return buf_append(arg, &one, sizeof one);
}

int copy_list(struct core *core, uint64_t dir, struct buf *ret_list)
{
	return core_readdir(core, dir, 0, false, list_one, ret_list);
}

static int copy_one(struct copy *copy, uint64_t ino, const struct place_at *at);

static int is_held(struct copy *copy, uint64_t ino, bool *ret_held)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(copy->core, ino, NULL, &inode);

	if (r == 0)
		*ret_held = inode->rec.role >= ROLE_USER && inode->rec.role <= ROLE_SESSION;
	return r;
}

static int copy_children(struct copy *copy, uint64_t from, struct inode *to, uint64_t parent, enum children which)
{
	_cleanup_buf_ struct buf list = {0};
	int r = copy_list(copy->core, from, &list);

	for (size_t i = 0; r == 0 && i < list.len; i += sizeof(struct listed)) {
		const struct listed *one = (const void *)(list.data + i);
		struct place_at at = {to, one->name, parent, which == OF_SESSION};
		bool leave = which != ALL && putback_is_hidden(one->name);
		if (!leave && which == OF_HOLDER)
			r = is_held(copy, one->ino, &leave);
		if (r == 0 && !leave)
			r = copy_one(copy, one->ino, &at);
	}
	return r;
}

static int copy_below(struct copy *copy, uint64_t from, uint64_t ino)
{
	_cleanup_inode_ struct inode *to = NULL;
	int r = inode_get(copy->core, ino, NULL, &to);

	return r < 0 ? r : copy_children(copy, from, to, ino, ALL);
}

static int copy_one(struct copy *copy, uint64_t ino, const struct place_at *at)
{
	_cleanup_inode_ struct inode *from = NULL;
	uint64_t made;
	int r = inode_get(copy->core, ino, NULL, &from);

	if (r < 0)
		return r;
	bool dir = inode_is_dir(from), mapped = from->rec.body == INODE_MAPPED;
	bool many = !dir && from->rec.nlink > 1; /* the past stays as it is */
	size_t n = links_above(&copy->links, ino);
	if (many && n < copy->links.n && copy->links.pairs[n][0] == ino)
		return OP_RETRY(link_once(copy, copy->links.pairs[n][1], at));
	r = OP_RETRY(make_once(copy, from, at, &made));
	if (r == 0 && many)
		r = links_add(&copy->links, ino, made);
	if (r == 0 && mapped)
		r = copy_bytes(copy, from, made);
	return r < 0 || !dir ? r : copy_below(copy, ino, made);
}

static int copy_all(struct sessions *s, const struct cred *who, uint64_t from, struct inode *to, uint64_t parent,
        enum children which)
{
	struct copy copy = {.core = s->core, .who = *who};
	int r = copy_children(&copy, from, to, parent, which);

	free(copy.links.pairs);
	return r;
}

int copy_session(struct sessions *s, const struct cred *who, uint64_t from, struct inode *hidden,
        uint64_t parent)
{
	return copy_all(s, who, from, hidden, parent, OF_SESSION);
}

int copy_new_session(struct sessions *s, const struct cred *who, uint64_t from, struct inode *session)
{
	return copy_all(s, who, from, session, session->ino, OF_NEW);
}

int copy_plain(struct sessions *s, const struct cred *who, uint64_t from, struct inode *hidden, uint64_t parent)
{
	return copy_all(s, who, from, hidden, parent, OF_HOLDER);
}

int copy_into(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name,
        uint64_t parent, bool top)
{
	struct copy copy = {.core = s->core, .who = *who};
	struct place_at at = {dir, name, parent, top};
	int r = copy_one(&copy, from, &at);

	free(copy.links.pairs);
	return r;
}

int copy_entry(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name)
{
	return copy_into(s, who, from, dir, name, dir->ino, true);
}

int copy_holder(struct sessions *s, const struct cred *who, uint64_t from, struct inode *dir, const char *name,
        struct inode **ret_holder)
{
	struct copy copy = {.core = s->core, .who = *who};
	struct place_at at = {dir, name, dir->ino, true};
	_cleanup_inode_ struct inode *inode = NULL;
	uint64_t made;
	int r = inode_get(s->core, from, NULL, &inode);

	if (r == 0)
		r = OP_RETRY(make_once(&copy, inode, &at, &made));
	return r < 0 ? r : inode_get(s->core, made, NULL, ret_holder);
}

/* ---- taking away ----------------------------------------------------------------------------- */

static int discard_also(struct op *op, void *arg)
{
	copy_keep_times(op, op->dir);
	return inode_is_dir(op->child) ? remove_records(op, op->child) : 0;
}

int copy_discard(struct sessions *s, uint64_t parent, const char *name)
{
	const struct core_rule rule = {.also = discard_also};
	_cleanup_buf_ struct buf list = {0};
	struct core_entry entry;
	int r = core_lookup(s->core, parent, name, &entry);

	if (r < 0)
		return r;
	core_forget(s->core, entry.ino, 1);
	if (!S_ISDIR(entry.st.st_mode))
		return core_unlink(s->core, &(struct cred){0}, parent, name, &rule);
	r = copy_list(s->core, entry.ino, &list);
	for (size_t i = 0; r == 0 && i < list.len; i += sizeof(struct listed)) {
		r = copy_discard(s, entry.ino, ((const struct listed *)(const void *)(list.data + i))->name);
		r = r == -ENOENT ? 0 : r;
	}
	return r < 0 ? r : core_rmdir(s->core, &(struct cred){0}, parent, name, &rule);
}
