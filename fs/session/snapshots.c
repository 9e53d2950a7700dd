/*
 * snapshots.c: .snapshots/ in users/, users, workflows and sessions, and the trees below it, which nobody
 * changes.
 */
#include "fs/core/snapshot.h"
#include "fs/session/json.h"
#include "fs/session/session_internal.h"
#include "fs/session/when.h"

#include <fcntl.h>
#include <stdio.h>

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
	const struct snapshot_new asked = {name, flags, recovery_number(s, dir)};
	return snapshot_take_then(s->core, who, place, &asked, NULL, NULL, ret_info);
}

int session_snapshot_find(struct sessions *s, uint64_t place, const char *name, struct snapshot_info *ret_info)
{
	int r = snapshot_find(s->core, place, name, ret_info);
	return r == -ENOENT ? session_recovery_find(s, place, name, ret_info) : r;
}

struct next {
	uint32_t domain; /* 0: any */
	bool removed;
	struct snapshot_info *info;
};

static int take_next(void *arg, const struct snapshot_info *info)
{
	const struct next *next = arg;

	if (next->removed && (!info->removed || (next->domain && info->domain != next->domain)))
		return 0;
	*next->info = *info;
	return 1;
}

/* Whose snapshots are listed of @dir; *@ret_domain: of whom the removed ones are, 0 everybody. */
static int listed_of(struct sessions *s, uint64_t dir, bool removed, uint32_t *ret_domain)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = snapshot_is_present(dir) ? inode_get(s->core, dir, NULL, &inode) : -EINVAL;

	if (r < 0)
		return r;
	if (!is_place(inode->rec.role) || (removed && inode->rec.role != ROLE_USERS && inode->rec.role != ROLE_USER))
		return -EINVAL;
	*ret_domain = removed && inode->rec.role == ROLE_USER ? inode->container->domain : 0;
	return 0;
}

int session_snapshot_held(struct sessions *s, uint64_t dir, bool removed, struct snapshot_held **ret_held,
        size_t *ret_n)
{
	uint32_t domain;
	int r = listed_of(s, dir, removed, &domain);

	return r < 0 ? r : snapshot_held(s->core, removed ? 0 : dir, domain, ret_held, ret_n);
}

int session_snapshot_next(struct sessions *s, uint64_t dir, bool removed, uint64_t after,
        struct snapshot_info *ret_info)
{
	struct next next = {.removed = removed, .info = ret_info};
	int r = listed_of(s, dir, removed, &next.domain);

	if (r < 0)
		return r;
	r = snapshot_list(s->core, removed ? 0 : dir, after, take_next, &next);
	return r < 0 ? r : r == 0 ? -ENODATA : 0;
}

static int read_json(struct sessions *s, const struct snapshot_info *info, struct json_object *ret_object)
{
	_cleanup_buf_ struct buf text = {0};
	struct core_entry entry;
	struct file *file;
	const char *reason;
	int r = core_lookup(s->core, info->root, JSON_NAME, &entry);

	if (r < 0)
		return r;
	r = core_file_open(s->core, &(struct cred){0}, entry.ino, O_RDONLY, &file);
	if (r == 0) {
		r = entry.st.st_size > JSON_MAX ? -EFBIG : buf_resize(&text, (size_t)entry.st.st_size);
		ssize_t n = r < 0 ? r : core_read(s->core, file, text.data, text.len, 0);
		r = n < 0 ? (int)n : json_object_parse((const char *)text.data, (size_t)n, ret_object, &reason);
		core_file_release(s->core, file);
	}
	core_forget(s->core, entry.ino, 1);
	return r;
}

static void field(const struct json_object *object, const char *name, char *ret_text, size_t size)
{
	_cleanup_free_ char *text = NULL;
	const char *value = json_get(object, name);

	if (value && json_string(value, &text) == 0)
		snprintf(ret_text, size, "%s", text);
}

void session_snapshot_fields(struct sessions *s, const struct snapshot_info *info,
        const struct session_snapshot_field *fields, size_t n)
{
	struct json_object object = {0};

	for (size_t i = 0; i < n; i++)
		fields[i].ret_text[0] = '\0';
	if (!(info->flags & SNAPSHOT_ALONE) || read_json(s, info, &object) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		field(&object, fields[i].name, fields[i].ret_text, fields[i].size);
	json_object_release(&object);
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
	struct snapshot_info info;

	if (snapshot_is_dir(parent) && name[0] == '@')
		return lookup_time(s, parent, name + 1, ret_entry);
	int r = core_lookup(s->core, parent, name, ret_entry);
	if (r == -ENOENT && snapshot_is_dir(parent) &&
	        session_recovery_find(s, snapshot_present_ino(parent), name, &info) == 0)
		r = core_lookup(s->core, info.root, ".", ret_entry);
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
	r = session_snapshot_find(s, snapshot_present_ino(parent), name, &info);
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
	r = session_snapshot_find(s, snapshot_present_ino(parent), name, &info);
	return r < 0 ? r : snapshot_rename(s->core, info.id, new_name);
}
