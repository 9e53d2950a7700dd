/*
 * backups.c: backups/ in a mount: mkdir makes a backup of the whole store, rmdir drops one, and inside is the tree that
 * it holds, read-only. What is done where: backup_set.h; how a backup lies on the disk: kv/backup.
 *
 * A number in here is TREE_BASE | u16 backup << 40 | u40 inode. Backup 0 is backups/ itself; inode 0 of a backup is its
 * directory, every other one the number that the inode has in it.
 */
#include "fs/views/backup_set.h"
#include "fs/views/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define BACKUPS_TREE 2
#define BACKUPS_INO TREE_BASE(BACKUPS_TREE)
#define INNER_BITS 40
#define INNER_MASK ((1ull << INNER_BITS) - 1)
#define HALF_MADE_SUFFIX ".half-made"

static uint16_t number_of(uint64_t ino)
{
	return (uint16_t)(ino >> INNER_BITS);
}

static uint64_t ino_in(const struct backup *b, uint64_t inner)
{
	return BACKUPS_INO | (uint64_t)b->number << INNER_BITS | inner;
}

/* An inode of a backup that is open until leave(). */
struct inside {
	struct backup *b;
	uint64_t ino; /* in it */
	struct core *core;
	struct sessions *sessions;
};

static void leave(struct inside *in)
{
	if (in->b)
		backup_copy_put(&in->b->copy);
}
#define _cleanup_inside_ _cleanup_(leave)

static int enter(struct backup_set *set, uint64_t ino, struct inside *ret_in)
{
	struct backup *b = backup_set_by_number(set, number_of(ino));
	int r = b ? backup_set_enter(set, b) : -ENOENT;
	if (r < 0)
		return r;
	*ret_in = (struct inside){
		.b = b, .ino = ino & INNER_MASK, .core = b->copy.core, .sessions = b->copy.sessions};
	return 0;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void directory_attr(const struct backup *b, struct stat *st)
{
	st->st_mode = S_IFDIR | (b->info.state == BACKUP_HALF_MADE ? 0 : 0500);
	st->st_nlink = b->info.state == BACKUP_HALF_MADE ? 2 : 3;
	st->st_mtim = st->st_ctim = st->st_atim = (struct timespec){.tv_sec = b->info.made};
}

static int backups_getattr(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	struct backup_set *set = state;
	_cleanup_inside_ struct inside in = {0};
	struct backup *b = number_of(ino) ? backup_set_by_number(set, number_of(ino)) : NULL;
	if (ino == BACKUPS_INO) {
		ret_st->st_mode = S_IFDIR | 0700;
		ret_st->st_nlink = 2;
		*ret_fleeting = true;
		return 0;
	}
	if (!b || b->gone)
		return -ENOENT;
	if (!(ino & INNER_MASK)) {
		directory_attr(b, ret_st);
		return 0;
	}
	int r = enter(set, ino, &in);
	if (r == 0)
		r = core_getattr(in.core, in.ino, ret_st, NULL);
	if (r == 0)
		ret_st->st_ino = ino;
	return r;
}

static int state_text(const struct backup *b, const char *name, struct buf *ret_value)
{
	static const char prefix[] = "user.scribefs.";
	if (strncmp(name, prefix, sizeof prefix - 1) != 0)
		return -ENODATA;
	name += sizeof prefix - 1;
	if (strcmp(name, "state") == 0)
		return buf_printf(ret_value, "%s",
			b->info.state == BACKUP_HALF_MADE ? "half-made"
			: b->info.state == BACKUP_DAMAGED ? "damaged"
			: b->info.verified		  ? "verified"
							  : "complete");
	if (strcmp(name, "made") == 0)
		return buf_printf(ret_value, "%lld", (long long)b->info.made);
	if (strcmp(name, "verified") == 0)
		return buf_printf(ret_value, "%lld", (long long)b->info.verified);
	if (strcmp(name, "bytes") == 0)
		return buf_printf(ret_value, "%llu", (unsigned long long)b->info.bytes);
	if (strcmp(name, "own_bytes") == 0)
		return buf_printf(ret_value, "%llu", (unsigned long long)b->info.own);
	if (strcmp(name, "folder") == 0)
		return buf_printf(ret_value, "%s", b->folder);
	return -ENODATA;
}

static int backups_getxattr(void *state, uint64_t ino, const char *name, struct buf *ret_value)
{
	struct backup_set *set = state;
	_cleanup_inside_ struct inside in = {0};
	struct backup *b = number_of(ino) ? backup_set_by_number(set, number_of(ino)) : NULL;
	if (!b)
		return -ENODATA;
	if (!(ino & INNER_MASK)) {
		backup_set_refresh(set);
		return state_text(b, name, ret_value);
	}
	int r = enter(set, ino, &in);
	return r < 0 ? r : session_getxattr(in.sessions, &(struct cred){0}, in.ino, name, ret_value);
}

static int backups_listxattr(void *state, uint64_t ino, struct buf *ret_names)
{
	_cleanup_inside_ struct inside in = {0};
	if (!(ino & INNER_MASK))
		return 0;
	int r = enter(state, ino, &in);
	return r < 0 ? r : core_listxattr(in.core, in.ino, ret_names);
}

static int backups_readlink(void *state, const struct viewer *who, uint64_t ino, struct buf *ret_target)
{
	_cleanup_inside_ struct inside in = {0};
	int r = ino & INNER_MASK ? enter(state, ino, &in) : -EINVAL;
	return r < 0 ? r : core_readlink(in.core, in.ino, ret_target);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* An entry of a backup's own tree becomes one of ours. */
static void translate(const struct inside *in, struct core_entry *e)
{
	e->ino = ino_in(in->b, e->ino);
	e->st.st_ino = e->ino;
	e->generation = (uint32_t)in->b->info.made;
	e->fleeting_name = e->fleeting_attr = false;
}

static void directory_entry(struct backup_set *set, struct backup *b, struct core_entry *ret_entry)
{
	struct stat users;
	*ret_entry = (struct core_entry){
		.ino = ino_in(b, 0), .generation = (uint32_t)b->info.made, .fleeting_name = true};
	if (core_getattr(set->core, CORE_ROOT_INO, &users, NULL) == 0) {
		ret_entry->st.st_uid = users.st_uid;
		ret_entry->st.st_gid = users.st_gid;
	}
	ret_entry->st.st_ino = ret_entry->ino;
	ret_entry->st.st_blksize = 4096;
	directory_attr(b, &ret_entry->st);
}

/* The name without what half-made ones have behind theirs. */
static void plain_name(const char *name, char ret_name[BACKUP_NAME_MAX + 1])
{
	size_t len = strlen(name), suffix = strlen(HALF_MADE_SUFFIX);
	if (len > suffix && strcmp(name + len - suffix, HALF_MADE_SUFFIX) == 0)
		len -= suffix;
	snprintf(ret_name, BACKUP_NAME_MAX + 1, "%.*s", (int)len, name);
}

static int top_lookup(struct backup_set *set, const char *name, struct core_entry *ret_entry)
{
	char plain[BACKUP_NAME_MAX + 1];
	struct backup *b;
	plain_name(name, plain);
	int r = backup_set_find(set, name, &b);
	if (r < 0 && strcmp(plain, name) != 0)
		r = backup_set_find(set, plain, &b);
	/* A half-made one has no other name. */
	if (r == 0 && (b->info.state == BACKUP_HALF_MADE) == (strcmp(b->info.name, name) == 0))
		r = -ENOENT;
	if (r == 0)
		directory_entry(set, b, ret_entry);
	return r;
}

static int backups_lookup(void *state, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry)
{
	struct backup_set *set = state;
	_cleanup_inside_ struct inside in = {0};
	struct core_entry e;
	if (parent == BACKUPS_INO)
		return top_lookup(set, name, ret_entry);
	int r = enter(set, parent, &in);
	if (r < 0)
		return r;
	if (in.ino != 0)
		r = session_lookup(in.sessions, &(struct cred){0}, in.ino, name, &e);
	else if (strcmp(name, "users") == 0)
		r = core_lookup(in.core, CORE_ROOT_INO, ".", &e);
	else
		r = -ENOENT;
	if (r < 0)
		return r;
	core_forget(in.core, e.ino, 1); /* nothing counts look-ups here */
	if (e.ino > INNER_MASK)
		return -ENOENT; /* its own snapshots are not shown */
	translate(&in, &e);
	*ret_entry = e;
	return 0;
}

/* ---- listings -------------------------------------------------------------------------------- */

static int top_readdir(struct backup_set *set, uint64_t cookie, core_fill fill, void *arg)
{
	int r = cookie <= 2 ? backup_set_refresh(set) : 0;
	uint64_t at = 0;
	if (r < 0)
		return r;
	for (; r == 0 && at < 2; at++)
		if (at >= cookie)
			r = fill(arg, &(struct core_dirent){.name = at ? ".." : ".", .cookie = at + 1, .type = S_IFDIR,
					      .ino = at ? VIEWS_ROOT_INO : BACKUPS_INO});
	/* By number, which is the position, so that it holds while others come and go. */
	for (uint32_t number = cookie > 2 ? (uint32_t)(cookie - 2) : 1; r == 0 && number <= UINT16_MAX; number++) {
		struct backup *b = backup_set_by_number(set, (uint16_t)number);
		struct backup *shown;
		char name[BACKUP_NAME_MAX + 16];
		if (!b || b->gone || backup_set_find(set, b->info.name, &shown) < 0 || shown != b)
			continue;
		snprintf(name, sizeof name, "%s%s", b->info.name,
			b->info.state == BACKUP_HALF_MADE ? HALF_MADE_SUFFIX : "");
		struct core_dirent d = {.name = name, .cookie = number + 3, .type = S_IFDIR, .ino = ino_in(b, 0),
			.have_attr = true};
		directory_entry(set, b, &d.entry);
		r = fill(arg, &d);
	}
	return r < 0 ? r : 0;
}

static int inner_root_readdir(const struct inside *in, uint64_t cookie, core_fill fill, void *arg)
{
	const struct core_dirent entries[] = {
		{.name = ".", .cookie = 1, .type = S_IFDIR, .ino = ino_in(in->b, 0)},
		{.name = "..", .cookie = 2, .type = S_IFDIR, .ino = BACKUPS_INO},
		{.name = "users", .cookie = 3, .type = S_IFDIR, .ino = ino_in(in->b, CORE_ROOT_INO)},
	};
	int r = 0;
	for (size_t i = (size_t)cookie; r == 0 && i < sizeof entries / sizeof *entries; i++)
		r = fill(arg, &entries[i]);
	return r < 0 ? r : 0;
}

struct translation {
	const struct inside *in;
	core_fill fill;
	void *arg;
};

static int fill_translated(void *arg, const struct core_dirent *d)
{
	struct translation *t = arg;
	struct core_dirent ours = *d;
	ours.ino = ino_in(t->in->b, d->ino);
	if (t->in->ino == CORE_ROOT_INO && strcmp(d->name, "..") == 0)
		ours.ino = ino_in(t->in->b, 0);
	if (ours.have_attr)
		translate(t->in, &ours.entry);
	int r = t->fill(t->arg, &ours);
	/* What is not taken is forgotten by who lists. */
	if (r == 0 && d->have_attr)
		core_forget(t->in->core, d->ino, 1);
	return r;
}

static int backups_readdir(void *state, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg)
{
	struct backup_set *set = state;
	_cleanup_inside_ struct inside in = {0};
	if (ino == BACKUPS_INO)
		return top_readdir(set, cookie, fill, arg);
	int r = enter(set, ino, &in);
	if (r < 0)
		return r;
	if (in.ino == 0)
		return inner_root_readdir(&in, cookie, fill, arg);
	struct translation t = {.in = &in, .fill = fill, .arg = arg};
	return session_readdir(in.sessions, &(struct cred){0}, in.ino, cookie, with_attr, fill_translated, &t);
}

/* ---- files ----------------------------------------------------------------------------------- */

struct backup_file {
	struct backup *b; /* open as long as this is */
	struct core *core;
	struct file *file;
};

static int backups_open(void *state, uint64_t ino, void **ret_file)
{
	_cleanup_inside_ struct inside in = {0};
	struct backup_file *f;
	if (!(ino & INNER_MASK))
		return -EISDIR;
	int r = enter(state, ino, &in);
	if (r < 0)
		return r;
	f = calloc(1, sizeof *f);
	r = f ? core_file_open(in.core, &(struct cred){0}, in.ino, O_RDONLY, &f->file) : -ENOMEM;
	if (r < 0) {
		free(f);
		return r;
	}
	f->b = in.b;
	f->core = in.core;
	in.b = NULL; /* the file's now */
	*ret_file = f;
	return 0;
}

static ssize_t backups_read(void *state, uint64_t ino, void *file, void *data, size_t size, off_t offset)
{
	struct backup_file *f = file;
	return core_read(f->core, f->file, data, size, offset);
}

static void backups_release(void *state, void *file)
{
	struct backup_file *f = file;
	core_file_release(f->core, f->file);
	backup_copy_put(&f->b->copy);
	free(f);
}

/* ---- making and dropping --------------------------------------------------------------------- */

static int backups_mkdir(void *state, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	size_t len = strlen(name), suffix = strlen(HALF_MADE_SUFFIX);
	if (parent != BACKUPS_INO)
		return -EROFS;
	if (len > suffix && strcmp(name + len - suffix, HALF_MADE_SUFFIX) == 0)
		return -EINVAL;
	int r = backup_set_make(state, name);
	return r < 0 ? r : top_lookup(state, name, ret_entry);
}

static int backups_rmdir(void *state, uint64_t parent, const char *name)
{
	char plain[BACKUP_NAME_MAX + 1];
	struct core_entry e;
	if (parent != BACKUPS_INO)
		return -EROFS;
	plain_name(name, plain);
	int r = top_lookup(state, name, &e);
	return r < 0 ? r : backup_set_drop(state, plain);
}

static int backups_start(struct sessions *sessions, struct catalogue *catalogue, void **ret_state)
{
	struct backup_set *set;
	int r = backup_set_open(sessions, &set);
	if (r == 0)
		*ret_state = set;
	return r;
}

static void backups_stop(void *state)
{
	backup_set_close(state);
}

const struct tree tree_backups = {
	.name = "backups",
	.type = S_IFDIR,
	.first = BACKUPS_INO,
	.last = TREE_LAST(BACKUPS_TREE),
	.settled = true,
	.start = backups_start,
	.stop = backups_stop,
	.lookup = backups_lookup,
	.getattr = backups_getattr,
	.readdir = backups_readdir,
	.readlink = backups_readlink,
	.getxattr = backups_getxattr,
	.listxattr = backups_listxattr,
	.open = backups_open,
	.read = backups_read,
	.release = backups_release,
	.mkdir = backups_mkdir,
	.rmdir = backups_rmdir,
};
