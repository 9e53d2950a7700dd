/*
 * snapshots.c: .snapshots/ in users/, users, workflows and sessions, and the trees below it, which nobody
 * changes.
 */
#include "fs/core/snapshot.h"
#include "fs/session/session_internal.h"
#include "fs/session/when.h"

static bool is_place(uint8_t role)
{
	return role == ROLE_USERS || role == ROLE_USER || role == ROLE_WORKFLOW || role == ROLE_SESSION;
}

int snapshots_refuse(uint64_t ino)
{
	if (snapshot_is_present(ino))
		return 0;
	return snapshot_is_dir(ino) ? -EPERM : -EROFS;
}

int session_snapshot_take(struct sessions *s, const struct cred *who, uint64_t place, const char *name,
        unsigned flags, struct snapshot_info *ret_info)
{
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(s->core, place, NULL, &dir);

	if (r == 0 && !is_place(dir->rec.role))
		r = -EINVAL;
	if (r < 0)
		return r;
	if (dir->rec.role == ROLE_SESSION) {
		json_freshen(s, dir); /* in larger places: past_json.c */
		flags |= SNAPSHOT_ALONE;
	}
	return snapshot_take(s->core, who, place, name, flags, ret_info);
}

int session_snapshot_drop(struct sessions *s, uint64_t id)
{
	struct snapshot_info info;
	int r = snapshot_get(s->core, id, &info);

	if (r == 0)
		r = snapshot_drop(s->core, id);
	if (r == 0 && s->changed)
		s->changed(s->changed_arg, snapshot_dir_ino(info.place), NULL);
	return r;
}

/* ---- names ----------------------------------------------------------------------------------- */

int snapshots_lookup_dir(struct sessions *s, uint64_t parent, struct core_entry *ret_entry)
{
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(s->core, parent, NULL, &dir);

	if (r < 0)
		return r;
	if (!is_place(dir->rec.role) || !inode_is_dir(dir))
		return -ENOENT;
	return core_lookup(s->core, snapshot_dir_ino(parent), ".", ret_entry);
}

/* .snapshots/@TIME: the newest at or before then. The kernel asks again each time. */
static int lookup_time(struct sessions *s, uint64_t dir, const char *text, struct core_entry *ret_entry)
{
	struct snapshot_info info;
	struct timespec now, time;
	int r;

	clock_gettime(CLOCK_REALTIME, &now);
	r = when_parse(text, &now, &time);
	if (r == 0)
		r = snapshot_at(s->core, snapshot_present_ino(dir), &time, &info);
	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	r = core_lookup(s->core, info.root, ".", ret_entry);
	if (r == 0)
		ret_entry->fleeting_name = true;
	return r;
}

int snapshots_lookup(struct sessions *s, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	if (snapshot_is_dir(parent) && name[0] == '@')
		return lookup_time(s, parent, name + 1, ret_entry);
	int r = core_lookup(s->core, parent, name, ret_entry);
	/* The daemon drops snapshots itself. */
	if (r == 0 && snapshot_is_dir(parent))
		ret_entry->fleeting_name = true;
	return r;
}

int snapshots_make(struct sessions *s, const struct cred *who, uint64_t parent, const char *name,
        const struct core_make *make, struct core_entry *ret_entry)
{
	struct snapshot_info info;
	int r;

	if (!snapshot_is_dir(parent))
		return -EROFS;
	if (!S_ISDIR(make->mode))
		return -EPERM;
	if (name[0] == '@')
		return -EINVAL; /* would be taken for a time */
	r = session_snapshot_take(s, who, snapshot_present_ino(parent), name, 0, &info);
	return r < 0 ? r : core_lookup(s->core, info.root, ".", ret_entry);
}

int snapshots_rmdir(struct sessions *s, uint64_t parent, const char *name)
{
	struct snapshot_info info;
	int r;

	if (!snapshot_is_dir(parent))
		return -EROFS;
	r = snapshot_find(s->core, snapshot_present_ino(parent), name, &info);
	/* The kernel, which asks, takes the name away itself. */
	return r < 0 ? r : snapshot_drop(s->core, info.id);
}

int snapshots_rename(struct sessions *s, uint64_t parent, const char *name, uint64_t new_parent,
        const char *new_name, unsigned flags)
{
	struct snapshot_info info;
	int r = snapshots_refuse(new_parent);

	if (r == -EROFS || (r = snapshots_refuse(parent)) == -EROFS)
		return r;
	if (parent != new_parent)
		return -EPERM; /* not EXDEV: mv would copy it, and then fail to remove what it copied */
	if (flags & ~1u) /* RENAME_NOREPLACE is what we do anyway */
		return -EINVAL;
	if (new_name[0] == '@')
		return -EINVAL;
	r = snapshot_find(s->core, snapshot_present_ino(parent), name, &info);
	return r < 0 ? r : snapshot_rename(s->core, info.id, new_name);
}
