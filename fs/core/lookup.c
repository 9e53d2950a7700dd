/*
 * lookup.c: finding inodes by name, listing directories, reading symlinks.
 */
#include "fs/core/past.h"

int dir_get(struct core *core, uint64_t ino, struct inode **ret_dir)
{
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(core, ino, NULL, &dir);

	if (r < 0)
		return r;
	if (!inode_is_dir(dir))
		return -ENOTDIR;
	if (dir->ghost)
		return -ENOENT;
	*ret_dir = steal_ptr(dir);
	return 0;
}

/* With the container locked. */
static int find_locked(struct core *core, struct inode *dir, const char *name, size_t len, struct inode **ret_child)
{
	/* The key that hashes names may be gone with a removed directory. */
	return dir->ghost ? -ENOENT : dentry_inode(core, NULL, dir, name, len, ret_child);
}

int dir_find(struct core *core, struct inode *dir, const char *name, size_t len,
	struct inode **ret_child)
{
	int r;

	pthread_rwlock_rdlock(&dir->container->lock);
	r = find_locked(core, dir, name, len, ret_child);
	pthread_rwlock_unlock(&dir->container->lock);
	return r;
}

int entry_fill(struct inode *inode, struct core_entry *ret_entry)
{
	struct core_entry entry = {.ino = inode->ino};
	int r = node_add(inode->core->nodes, inode->ino);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&inode->lock);
	inode_stat(inode, &entry.st);
	entry.generation = inode->rec.generation;
	entry.fleeting_attr = inode->data.writers > 0 || inode->untaken;
	pthread_rwlock_unlock(&inode->lock);
	*ret_entry = entry;
	return 0;
}

/* "..", of the root itself. */
static uint64_t parent_of(struct inode *dir)
{
	uint64_t parent;

	pthread_rwlock_rdlock(&dir->lock);
	parent = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	return parent ? parent : dir->ino;
}

static int lookup_parent(struct inode *dir, struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *parent = NULL;
	int r = inode_get(dir->core, parent_of(dir), NULL, &parent);

	return r < 0 ? r : entry_fill(parent, ret_entry);
}

/* ".", of whatever has a name. */
static int lookup_self(struct core *core, uint64_t ino, struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, ino, NULL, &inode);

	if (r == 0 && (inode->ghost || inode->orphan))
		r = -ENOENT;
	return r < 0 ? r : entry_fill(inode, ret_entry);
}

int core_lookup(struct core *core, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *dir = NULL, *child = NULL;
	size_t len;
	int r = name_check(name, &len);

	if (r == 0 && strcmp(name, ".") == 0)
		return lookup_self(core, parent, ret_entry);
	if (r == 0)
		r = dir_get(core, parent, &dir);
	if (r < 0)
		return r;
	if (snapshot_is_dir(parent))
		return snapdir_lookup(dir, name, ret_entry);
	if (strcmp(name, "..") == 0)
		return lookup_parent(dir, ret_entry);
	/* The kernel knows it before the name can be taken away: what loses it then is kept for who opens it. */
	pthread_rwlock_rdlock(&dir->container->lock);
	r = find_locked(core, dir, name, len, &child);
	if (r == 0)
		r = entry_fill(child, ret_entry);
	pthread_rwlock_unlock(&dir->container->lock);
	return r;
}

int core_readlink(struct core *core, uint64_t ino, struct buf *ret_target)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, ino, NULL, &inode);

	if (r < 0)
		return r;
	if (!S_ISLNK(inode->type))
		return -EINVAL;
	inode_accessed(inode);
	return buf_set(ret_target, inode->inline_data.data, inode->inline_data.len);
}

static int list_dot(struct inode *dir, const char *name, uint64_t cookie, core_fill fill, void *arg)
{
	struct core_dirent e = {.name = name, .cookie = cookie, .type = S_IFDIR, .ino = dir->ino};

	if (cookie == NAME_COOKIE_DOTDOT)
		e.ino = parent_of(dir);
	return fill(arg, &e);
}

/*
 * One entry, with attributes where there is a @scan; a damaged one is listed by name without them, so that the rest
 * stays readable.
 */
static int list_entry(struct inode *dir, const struct dentry *d, struct inode_scan *scan, core_fill fill,
	void *arg)
{
	struct core_dirent e = {.name = d->name, .cookie = d->key, .ino = dentry_ino(dir, d),
		.type = (mode_t)d->type << 12};
	_cleanup_inode_ struct inode *child = NULL;
	int r;

	if (scan && dentry_next_child(dir->core, dir, d, scan, &child) == 0) {
		r = entry_fill(child, &e.entry);
		if (r < 0)
			return r;
		e.have_attr = true;
	}
	r = fill(arg, &e);
	if (r != 0 && e.have_attr)
		core_forget(dir->core, e.ino, 1);
	return r;
}

/* What a listing of the past has seen, if it began at the start. */
struct seen {
	uint64_t n;
	struct msum sum;
};

static int see(struct inode *dir, const struct dentry *d, struct seen *seen)
{
	uint8_t hash[16];
	int r = dir->at ? dentry_hash(dir->core, dir, d, hash) : 0;

	if (r == 0 && dir->at) {
		msum_add(&seen->sum, hash);
		seen->n++;
	}
	return r;
}

/* At its end: a version that is missing, added or replayed is noticed here. */
static int check_seen(const struct inode *dir, uint64_t from, const struct seen *seen)
{
	const struct irec *rec = &dir->rec;

	if (!dir->at || from > NAME_COOKIE_DOTDOT)
		return 0;
	return seen->n == rec->size && seen->sum.hi == rec->entries.hi &&
			       seen->sum.lo == rec->entries.lo
		       ? 0
		       : -EBADMSG;
}

static int list_entries(struct inode *dir, uint64_t cookie, bool with_attr, core_fill fill, void *arg)
{
	struct seen seen = {0};
	_cleanup_(inode_scan_release) struct inode_scan scan = {.core = dir->core, .container = dir->container->id};
	struct key prefix = inode_key(dir, KEY_DENTRY), from = prefix;
	_cleanup_(past_iter_freep) struct past_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	const uint8_t *key;
	size_t len;
	int r;

	key_add_u64(&from, cookie + 1);
	r = past_iter_open(dir->core, &prefix, &from, dir->at, &it);
	while (r == 0 && (r = past_iter_next(it, &key, &len, &value)) > 0) {
		struct dentry d;

		if (len != KEY_PREFIX + 8)
			return -EBADMSG;
		r = dentry_decode(value.data, value.len, &d);
		if (r < 0)
			return r;
		d.key = get_be64(key + KEY_PREFIX);
		r = see(dir, &d, &seen);
		if (r == 0)
			r = list_entry(dir, &d, with_attr ? &scan : NULL, fill, arg);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return r < 0 ? r : check_seen(dir, cookie, &seen);
}

int past_entries(struct inode *dir, int (*each)(void *arg, struct inode *dir, const struct dentry *d),
	void *arg)
{
	struct key prefix = inode_key(dir, KEY_DENTRY);
	_cleanup_(past_iter_freep) struct past_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	const uint8_t *key;
	struct dentry d;
	size_t len;
	int r = past_iter_open(dir->core, &prefix, NULL, dir->at, &it);

	while (r == 0 && (r = past_iter_next(it, &key, &len, &value)) > 0) {
		r = dentry_decode(value.data, value.len, &d);
		if (r == 0)
			r = each(arg, dir, &d);
	}
	return r;
}

int core_readdir(struct core *core, uint64_t ino, uint64_t cookie, bool with_attr, core_fill fill,
	void *arg)
{
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(core, ino, NULL, &dir); /* not dir_get(): a removed one is empty */

	if (r < 0)
		return r;
	if (!inode_is_dir(dir))
		return -ENOTDIR;
	if (snapshot_is_dir(ino))
		return snapdir_list(dir, cookie, with_attr, fill, arg);
	if (cookie < NAME_COOKIE_DOT) {
		inode_accessed(dir);
		r = list_dot(dir, ".", NAME_COOKIE_DOT, fill, arg);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	if (cookie < NAME_COOKIE_DOTDOT) {
		r = list_dot(dir, "..", NAME_COOKIE_DOTDOT, fill, arg);
		if (r != 0)
			return r < 0 ? r : 0;
		cookie = NAME_COOKIE_DOTDOT;
	}
	if (dir->ghost)
		return 0;
	pthread_rwlock_rdlock(&dir->container->lock);
	r = list_entries(dir, cookie, with_attr, fill, arg);
	pthread_rwlock_unlock(&dir->container->lock);
	return r;
}
