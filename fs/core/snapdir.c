/*
 * snapdir.c: .snapshots/ of a place: its attributes, the names in it.
 *
 * Its inode object stands in no cache and is made for each who asks: what it shows are the place's owner and
 * mode, as many links as there are snapshots, and the time of the newest one. Cookies are ids, above those of
 * the dots.
 */
#include "fs/core/pins.h"

static void fill_record(struct inode *dir, const struct inode *place)
{
	struct core *core = dir->core;
	struct irec *rec = &dir->rec;
	uint32_t container = place->container->id;
	struct snapshot_info info;
	uint64_t newest = 0;

	*rec = (struct irec){.mode = place->rec.mode, .uid = place->rec.uid, .gid = place->rec.gid,
		.generation = place->rec.generation, .parent = place->ino,
		.mtime = place->rec.btime, .btime = place->rec.btime};
	rec->nlink = 2 + (uint32_t)pins_of(core, container);
	rec->size = rec->nlink - 2;
	if (pins_newest_of(core, container, &newest) && pins_get(core, newest, &info) == 0)
		rec->mtime = info.taken;
	rec->atime = rec->ctime = rec->mtime;
}

int snapdir_inode(struct core *core, uint64_t ino, struct inode **ret_dir)
{
	_cleanup_inode_ struct inode *place = NULL;
	struct inode *dir;
	int r = inode_get(core, snapshot_present_ino(ino), NULL, &place);

	if (r < 0)
		return r;
	dir = inode_alloc(core, ino, place->container);
	if (!dir)
		return -ENOMEM;
	pthread_rwlock_rdlock(&place->lock);
	r = place->rec.flags & INODE_CONTAINER_ROOT && !place->ghost ? 0 : -ENOENT;
	fill_record(dir, place);
	pthread_rwlock_unlock(&place->lock);
	if (r < 0) {
		inode_put(dir);
		return r;
	}
	inode_settle(dir);
	dir->untaken = true; /* the kernel must not keep what it shows */
	*ret_dir = dir;
	return 0;
}

static int entry_of(struct core *core, uint64_t ino, struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(core, ino, NULL, &inode);

	return r < 0 ? r : entry_fill(inode, ret_entry);
}

int snapdir_lookup(struct inode *dir, const char *name, struct core_entry *ret_entry)
{
	uint64_t place = snapshot_present_ino(dir->ino);
	struct snapshot_info info;
	int r;

	if (strcmp(name, "..") == 0)
		return entry_of(dir->core, place, ret_entry);
	r = snapshot_find(dir->core, place, name, &info);
	return r < 0 ? r : entry_of(dir->core, info.root, ret_entry);
}

static int list_one(struct inode *dir, const struct snapshot_info *info, bool with_attr,
	core_fill fill, void *arg)
{
	struct core_dirent e = {.name = info->name, .cookie = info->id + NAME_COOKIE_DOTDOT,
		.type = S_IFDIR, .ino = info->root};
	int r;

	e.have_attr = with_attr && entry_of(dir->core, info->root, &e.entry) == 0;
	e.entry.fleeting_name = true; /* dropped ones must not be found, and nobody is told */
	r = fill(arg, &e);
	if (r != 0 && e.have_attr)
		core_forget(dir->core, e.ino, 1);
	return r;
}

int snapdir_list(struct inode *dir, uint64_t cookie, bool with_attr, core_fill fill, void *arg)
{
	struct core_dirent dots[] = {
		{.name = ".", .cookie = NAME_COOKIE_DOT, .type = S_IFDIR, .ino = dir->ino},
		{.name = "..", .cookie = NAME_COOKIE_DOTDOT, .type = S_IFDIR, .ino = dir->rec.parent},
	};
	struct snapshot_info info;
	uint64_t after;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < 2; i++)
		if (cookie < dots[i].cookie)
			r = fill(arg, &dots[i]);
	after = cookie > NAME_COOKIE_DOTDOT ? cookie - NAME_COOKIE_DOTDOT : 0;
	while (r == 0 && (r = pins_next(dir->core, dir->container->id, after, &info)) == 0) {
		after = info.id;
		r = list_one(dir, &info, with_attr, fill, arg);
	}
	return r == -ENOENT || r > 0 ? 0 : r;
}
