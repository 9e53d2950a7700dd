/*
 * target_core.c: fs/core, or fs/session above it, called as fs/fuse calls it on behalf of the kernel. What the
 * kernel itself does is done here: walking paths, keeping what is open, positions, checks before a call.
 */
#include "fs/session/session_internal.h"
#include "tests/exercise/target_core.h"

#include "kv/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

static const uint8_t key_file[KEYRING_KEY_FILE_BYTES] = {4, 5, 6};
static const struct kv_unlock unlock_key = {KEYRING_KEY_FILE, key_file, sizeof key_file};

/* ---- walking --------------------------------------------------------------------------------- */

int target_core_look(struct target_core *t, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	if (t->sessions)
		return session_lookup(t->sessions, &t->who, parent, name, ret_entry);
	if (parent == t->root && strcmp(name, ".snapshots") == 0)
		return core_lookup(t->core, snapshot_dir_ino(parent), ".", ret_entry);
	return core_lookup(t->core, parent, name, ret_entry);
}

void target_core_put(struct target_core *t, uint64_t ino)
{
	unsigned at = t->looked % HELD;
	if (t->looked++ % 5) {
		core_forget(t->core, ino, 1);
		return;
	}
	if (t->held[at])
		core_forget(t->core, t->held[at], 1);
	t->held[at] = ino;
}

/* The directory of the last part, and that part. */
static int walk(struct target_core *t, const char *path, uint64_t *ret_parent, const char **ret_name)
{
	uint64_t at = t->root;
	const char *slash;
	while ((slash = strchr(path, '/'))) {
		char name[512];
		struct core_entry e;
		snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
		int r = target_core_look(t, at, name, &e);
		if (r < 0)
			return r;
		target_core_put(t, e.ino);
		if (S_ISLNK(e.st.st_mode))
			return -ENOENT;
		if (!S_ISDIR(e.st.st_mode))
			return -ENOTDIR;
		at = e.ino;
		path = slash + 1;
	}
	*ret_parent = at;
	*ret_name = path;
	return 0;
}

int target_core_find(struct target_core *t, const char *path, struct core_entry *ret_entry)
{
	const char *name;
	uint64_t parent;
	if (!*path)
		return target_core_look(t, t->root, ".", ret_entry);
	int r = walk(t, path, &parent, &name);
	return r < 0 ? r : target_core_look(t, parent, name, ret_entry);
}

int target_core_follow(struct target_core *t, const char *path, struct core_entry *ret_entry)
{
	int r = target_core_find(t, path, ret_entry);
	if (r == 0 && S_ISLNK(ret_entry->st.st_mode)) {
		target_core_put(t, ret_entry->ino);
		return -ENOENT;
	}
	return r;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* What the layer above fs/core does in .snapshots/. */
static int core_snap(struct target_core *t, uint64_t dir, const char *name, struct core_entry *ret_entry)
{
	struct snapshot_info info;
	int r = snapshot_take(t->core, &t->who, snapshot_present_ino(dir), name, 0, &info);
	return r < 0 ? r : core_lookup(t->core, info.root, ".", ret_entry);
}

static int core_unsnap(struct target_core *t, uint64_t dir, const char *name)
{
	struct snapshot_info info;
	int r = snapshot_find(t->core, snapshot_present_ino(dir), name, &info);
	return r < 0 ? r : snapshot_drop(t->core, info.id);
}

static int core_make_at(struct target *target, const char *path, mode_t mode, dev_t rdev,
	const char *link)
{
	struct target_core *t = of(target);
	struct core_make make = {.mode = mode, .rdev = rdev, .target = link};
	struct core_entry e;
	const char *name;
	uint64_t parent;
	if (S_ISDIR(mode))
		make.mode &= S_IFMT | 01777;
	int r = walk(t, path, &parent, &name);
	if (r == 0 && !t->sessions && snapshot_is_dir(parent))
		r = core_snap(t, parent, name, &e);
	else if (r == 0)
		r = t->sessions ? session_make(t->sessions, &t->who, parent, name, &make, &e)
				: core_make(t->core, &t->who, parent, name, &make, NULL, &e);
	if (r == 0)
		target_core_put(t, e.ino);
	return r;
}

static int core_link_at(struct target *target, const char *from, const char *to)
{
	struct target_core *t = of(target);
	struct core_entry e, over, made;
	const char *name;
	uint64_t parent;
	int r = target_core_find(t, from, &e);
	if (r < 0)
		return r;
	r = walk(t, to, &parent, &name);
	if (r == 0) {
		r = target_core_look(t, parent, name, &over);
		if (r == 0)
			target_core_put(t, over.ino);
		r = r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		r = t->sessions
			    ? session_link(t->sessions, &t->who, e.ino, parent, name, &made)
			    : core_link(t->core, &t->who, e.ino, parent, name, NULL, &made);
	if (r == 0)
		target_core_put(t, made.ino);
	target_core_put(t, e.ino);
	return r;
}

static int core_rename_at(struct target *target, const char *from, const char *to, unsigned flags)
{
	struct target_core *t = of(target);
	const char *name, *new_name;
	uint64_t parent, new_parent;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	int r = walk(t, from, &parent, &name);
	if (r == 0)
		r = walk(t, to, &new_parent, &new_name);
	if (r < 0)
		return r;
	return t->sessions ? session_rename(t->sessions, &t->who, parent, name, new_parent, new_name, flags)
			   : core_rename(t->core, &t->who, parent, name, new_parent, new_name, flags, NULL);
}

static int core_unlink_at(struct target *target, const char *path)
{
	struct target_core *t = of(target);
	const char *name;
	uint64_t parent;
	int r = walk(t, path, &parent, &name);
	if (r < 0)
		return r;
	return t->sessions ? session_unlink(t->sessions, &t->who, parent, name)
			   : core_unlink(t->core, &t->who, parent, name, NULL);
}

static int core_rmdir_at(struct target *target, const char *path)
{
	struct target_core *t = of(target);
	const char *name;
	uint64_t parent;
	int r = walk(t, path, &parent, &name);
	if (r < 0)
		return r;
	if (!t->sessions && snapshot_is_dir(parent))
		return core_unsnap(t, parent, name);
	return t->sessions ? session_rmdir(t->sessions, &t->who, parent, name)
			   : core_rmdir(t->core, &t->who, parent, name, NULL);
}

/* ---- files ----------------------------------------------------------------------------------- */

/* A new file is opened by the call that makes it. Its look-up stays with the slot. */
static int create(struct target_core *t, uint64_t parent, const char *name, int flags, mode_t mode,
	struct core_entry *ret_entry, struct file **ret_file)
{
	struct core_make make = {.mode = S_IFREG | (mode & 07777)};
	int r;
	if (t->sessions)
		return session_create(t->sessions, &t->who, parent, name, mode, flags, ret_entry, ret_file);
	r = core_make(t->core, &t->who, parent, name, &make, NULL, ret_entry);
	if (r == 0)
		r = core_file_open(t->core, &t->who, ret_entry->ino, flags & ~(O_CREAT | O_EXCL), ret_file);
	return r;
}

static int open_found(struct target_core *t, const struct core_entry *e, int flags,
	struct file **ret_file)
{
	int r = 0;
	if (flags & O_CREAT && flags & O_EXCL)
		r = -EEXIST;
	else if (S_ISLNK(e->st.st_mode))
		r = -ELOOP;
	else if (S_ISDIR(e->st.st_mode))
		r = -EISDIR;
	else
		r = core_file_open(t->core, &t->who, e->ino, flags & ~(O_CREAT | O_EXCL), ret_file);
	if (r < 0)
		target_core_put(t, e->ino);
	return r;
}

static int core_open_at(struct target *target, unsigned slot, const char *path, int flags, mode_t mode)
{
	struct target_core *t = of(target);
	struct opened *o = &t->slots[slot];
	struct core_entry e;
	const char *name;
	uint64_t parent;
	int r = walk(t, path, &parent, &name);
	if (r < 0)
		return r;
	r = target_core_look(t, parent, name, &e);
	if (r == -ENOENT && flags & O_CREAT)
		r = create(t, parent, name, flags, mode, &e, &o->file);
	else if (r == 0)
		r = open_found(t, &e, flags, &o->file);
	if (r < 0)
		return r;
	o->ino = e.ino;
	o->flags = flags;
	o->position = 0;
	return 0;
}

static int core_close_slot(struct target *target, unsigned slot)
{
	struct target_core *t = of(target);
	struct opened *o = &t->slots[slot];
	struct file *file = steal_ptr(o->file);
	int r, r2;
	if (t->sessions) {
		r = session_flush(t->sessions, file);
		r2 = session_release(t->sessions, file);
	} else {
		r = core_file_flush(t->core, file);
		r2 = core_file_release(t->core, file);
	}
	core_forget(t->core, o->ino, 1);
	return r < 0 ? r : r2;
}

static ssize_t core_write_slot(struct target *target, unsigned slot, int64_t offset,
	const void *bytes, size_t len)
{
	struct target_core *t = of(target);
	struct opened *o = &t->slots[slot];
	struct stat st;
	int64_t at = offset < 0 ? o->position : offset;
	if ((o->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (o->flags & O_APPEND) {
		int r = core_getattr(t->core, o->ino, &st, NULL);
		if (r < 0)
			return r;
		at = st.st_size;
	}
	ssize_t n = core_write(t->core, o->file, bytes, len, at, false);
	if (n >= 0 && offset < 0)
		o->position = at + n;
	return n;
}

static ssize_t core_read_slot(struct target *target, unsigned slot, int64_t offset, void *bytes,
	size_t len)
{
	struct target_core *t = of(target);
	struct opened *o = &t->slots[slot];
	return (o->flags & O_ACCMODE) == O_WRONLY ? -EBADF
						   : core_read(t->core, o->file, bytes, len, offset);
}

int target_core_set(struct target_core *t, uint64_t ino, const struct stat *st, unsigned what)
{
	struct stat now;
	return t->sessions ? session_setattr(t->sessions, &t->who, ino, st, what, &now)
			   : core_setattr(t->core, &t->who, ino, st, what, &now);
}

static int core_truncate_at(struct target *target, const char *path, unsigned slot, int64_t size)
{
	struct target_core *t = of(target);
	struct stat st = {.st_size = size};
	struct core_entry e = {.ino = t->slots[slot].ino};
	int r = 0;
	if (path) {
		r = target_core_follow(t, path, &e);
		if (r < 0)
			return r;
		r = S_ISDIR(e.st.st_mode) ? -EISDIR : S_ISREG(e.st.st_mode) ? 0 : -EINVAL;
	} else if ((t->slots[slot].flags & O_ACCMODE) == O_RDONLY) {
		return -EINVAL;
	}
	if (r == 0)
		r = target_core_set(t, e.ino, &st, CORE_SET_SIZE);
	if (path)
		target_core_put(t, e.ino);
	return r;
}

static int core_fallocate_slot(struct target *target, unsigned slot, int mode, int64_t offset,
	int64_t len)
{
	struct target_core *t = of(target);
	if (offset < 0 || len <= 0)
		return -EINVAL;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	return core_fallocate(t->core, t->slots[slot].file, mode, offset, len);
}

static int64_t core_seek_slot(struct target *target, unsigned slot, int64_t offset, int whence)
{
	return core_lseek(of(target)->core, of(target)->slots[slot].file, offset, whence);
}

static ssize_t core_copy_slots(struct target *target, unsigned in, int64_t in_offset, unsigned out,
	int64_t out_offset, size_t len)
{
	struct target_core *t = of(target);
	return core_copy_range(t->core, t->slots[in].file, in_offset, t->slots[out].file, out_offset,
		len);
}

static int core_fsync_slot(struct target *target, unsigned slot, bool data_only)
{
	struct target_core *t = of(target);
	int r = t->sessions ? session_sync(t->sessions, t->slots[slot].file)
			    : core_file_sync(t->core, t->slots[slot].file);
	return r < 0 ? r : kv_sync(t->kv);
}

static int core_map(struct target *target, const char *path, bool shared, int flags, uint64_t offset,
	const void *bytes, size_t len, void *before)
{
	return -EOPNOTSUPP;
}

static void core_umask(struct target *target, mode_t mask)
{
	of(target)->who.umask = mask;
}

/* ---- the store ------------------------------------------------------------------------------- */

static int open_store(struct target_core *t)
{
	struct kv_options options = {.engine = t->memory ? &kv_engine_memory : NULL,
		.engine_arg = t->memory, .reserve_bytes = 1};
	struct core_entry e;
	int r = kv_open(t->store, &unlock_key, &options, &t->kv);
	if (r == 0)
		r = core_open(t->kv, &t->options, &t->core);
	t->root = CORE_ROOT_INO;
	memset(t->held, 0, sizeof t->held);
	memset(t->slots, 0, sizeof t->slots);
	if (r < 0 || t->options.root_role != ROLE_USERS)
		return r;
	r = session_open(t->core, NULL, NULL, &t->sessions);
	for (const char *part = t->tree, *end; *part && r == 0; part = *end ? end + 1 : end) {
		struct core_make make = {.mode = S_IFDIR | 0755};
		char name[64];
		end = strchrnul(part, '/');
		snprintf(name, sizeof name, "%.*s", (int)(end - part), part);
		r = target_core_look(t, t->root, name, &e);
		if (r == -ENOENT)
			r = session_make(t->sessions, &t->who, t->root, name, &make, &e);
		t->root = e.ino;
	}
	return r;
}

static int core_reopen(struct target *target)
{
	struct target_core *t = of(target);
	if (t->sessions)
		session_close(t->sessions);
	int r = core_close(t->core), r2 = kv_close(t->kv);
	return r < 0 ? r : r2 < 0 ? r2 : open_store(t);
}

static int core_kill(struct target *target)
{
	struct target_core *t = of(target);
	kv_memory_crash(t->memory, false);
	if (t->sessions)
		writers_release(t->sessions);
	free(t->sessions); /* who dies closes nothing */
	t->sessions = NULL;
	for (int i = 0; i < STEP_SLOTS; i++)
		if (t->slots[i].file)
			core_file_release(t->core, t->slots[i].file);
	core_close(t->core); /* cannot commit any more */
	kv_close(t->kv);
	return open_store(t);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void core_free(struct target *target)
{
	struct target_core *t = of(target);
	for (unsigned i = 0; i <= STEP_CHECK_SLOT; i++)
		if (t->slots[i].file)
			core_close_slot(target, i);
	if (t->sessions)
		session_close(t->sessions);
	if (t->core)
		core_close(t->core);
	if (t->kv)
		kv_close(t->kv);
	kv_memory_free(t->memory);
	nftw(t->store, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(t);
}

static const struct target_ops core_ops = {core_make_at, core_link_at, core_rename_at,
	core_unlink_at, core_rmdir_at, core_open_at, core_close_slot, core_write_slot,
	core_read_slot, core_truncate_at, core_fallocate_slot, core_seek_slot, core_copy_slots,
	core_fsync_slot, core_map, core_chmod_at, core_chown_at, core_utimens_at, core_setxattr_at,
	core_getxattr_at, core_listxattr_at, core_removexattr_at, core_stat_at, core_readlink_at,
	core_list_at, core_umask, core_reopen, core_kill, core_free};

struct target *target_core_new(const struct target_options *options)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = unlock_key};
	struct target_core *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	t->target = (struct target){.ops = &core_ops, .lax = true, .exact_atime = true,
		.kills = !options->rocks,
		.snapshots = options->sessions ? "../.snapshots" : ".snapshots",
		.inside = options->sessions ? "/plain" : ""};
	t->who = (struct cred){.umask = 022};
	t->options = (struct core_options){.root_mode = 0755,
		.root_role = options->sessions ? ROLE_USERS : ROLE_PLAIN,
		.name_hash_bits = options->seed % 3 ? 0 : 2,
		.commit_ms = options->timed ? 1 : 3600000,
		.inodes = options->seed % 2 ? 4 : 0};
	snprintf(t->tree, sizeof t->tree, "%s", options->tree);
	snprintf(t->store, sizeof t->store, "%s/store-XXXXXX", options->scratch);
	if (!mkdtemp(t->store) || keyring_create(t->store, &init, NULL) < 0) {
		fprintf(stderr, "no store below %s\n", options->scratch);
		exit(2);
	}
	if (!options->rocks && !(t->memory = kv_memory_new()))
		abort();
	int r = open_store(t);
	if (r < 0) {
		fprintf(stderr, "the store does not open: %s\n", strerror(-r));
		exit(2);
	}
	return &t->target;
}
