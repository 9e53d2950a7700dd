/*
 * target_core_attr.c: attributes and listings of the in-process target.
 */
#include "tests/exercise/target_core.h"

#include <errno.h>
#include <string.h>

int core_chmod_at(struct target *target, const char *path, mode_t mode)
{
	struct target_core *t = of(target);
	struct stat st = {.st_mode = mode};
	struct core_entry e;
	int r = target_core_follow(t, path, &e);
	if (r < 0)
		return r;
	r = target_core_set(t, e.ino, &st, CORE_SET_MODE);
	target_core_put(t, e.ino);
	return r;
}

int core_chown_at(struct target *target, const char *path, uid_t uid, gid_t gid)
{
	struct target_core *t = of(target);
	struct stat st = {.st_uid = uid, .st_gid = gid};
	struct core_entry e;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = target_core_set(t, e.ino, &st,
		CORE_SET_KILL_PRIV | (uid == UINT32_MAX ? 0 : CORE_SET_UID) |
			(gid == UINT32_MAX ? 0 : CORE_SET_GID));
	target_core_put(t, e.ino);
	return r;
}

static unsigned set_time(const struct timespec *tv, unsigned value, unsigned now)
{
	return tv->tv_nsec == UTIME_OMIT ? 0 : tv->tv_nsec == UTIME_NOW ? value | now : value;
}

int core_utimens_at(struct target *target, const char *path, const struct timespec tv[2])
{
	struct target_core *t = of(target);
	struct stat st = {.st_atim = tv[0], .st_mtim = tv[1]};
	unsigned what = set_time(&tv[0], CORE_SET_ATIME, CORE_SET_ATIME_NOW) |
			set_time(&tv[1], CORE_SET_MTIME, CORE_SET_MTIME_NOW);
	struct core_entry e;
	int r = what ? target_core_find(t, path, &e) : 0;
	if (r < 0 || !what)
		return r;
	r = target_core_set(t, e.ino, &st, what);
	target_core_put(t, e.ino);
	return r;
}

int core_setxattr_at(struct target *target, const char *path, const char *name,
	const void *value, size_t size, int flags)
{
	struct target_core *t = of(target);
	struct core_entry e;
	int r = size > 65536 ? -E2BIG : target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = t->sessions ? session_setxattr(t->sessions, &t->who, e.ino, name, value, size, flags)
			: core_setxattr(t->core, &t->who, e.ino, name, value, size, flags);
	target_core_put(t, e.ino);
	return r;
}

static ssize_t give(int r, const struct buf *b, void *to, size_t size)
{
	if (r == 0 && b->len > size)
		return -ERANGE;
	if (r == 0 && b->len)
		memcpy(to, b->data, b->len);
	return r < 0 ? r : (ssize_t)b->len;
}

ssize_t core_getxattr_at(struct target *target, const char *path, const char *name,
	void *value, size_t size)
{
	struct target_core *t = of(target);
	_cleanup_buf_ struct buf b = {0};
	struct core_entry e;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = t->sessions ? session_getxattr(t->sessions, &t->who, e.ino, name, &b)
			: core_getxattr(t->core, e.ino, name, &b);
	target_core_put(t, e.ino);
	return give(r, &b, value, size);
}

ssize_t core_listxattr_at(struct target *target, const char *path, char *names, size_t size)
{
	struct target_core *t = of(target);
	_cleanup_buf_ struct buf b = {0};
	struct core_entry e;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = core_listxattr(t->core, e.ino, &b);
	target_core_put(t, e.ino);
	return give(r, &b, names, size);
}

int core_removexattr_at(struct target *target, const char *path, const char *name)
{
	struct target_core *t = of(target);
	struct core_entry e;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = t->sessions ? session_removexattr(t->sessions, &t->who, e.ino, name)
			: core_removexattr(t->core, &t->who, e.ino, name);
	target_core_put(t, e.ino);
	return r;
}

int core_stat_at(struct target *target, const char *path, unsigned slot, struct stat *ret_st)
{
	struct target_core *t = of(target);
	struct core_entry e;
	if (!path)
		return core_getattr(t->core, t->slots[slot].ino, ret_st, NULL);
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	*ret_st = e.st;
	target_core_put(t, e.ino);
	return 0;
}

ssize_t core_readlink_at(struct target *target, const char *path, char *link, size_t size)
{
	struct target_core *t = of(target);
	_cleanup_buf_ struct buf b = {0};
	struct core_entry e;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	r = core_readlink(t->core, e.ino, &b);
	target_core_put(t, e.ino);
	return give(r, &b, link, size);
}

/* ---- listing: as the kernel does, in pieces -------------------------------------------------- */

struct listing {
	struct target_core *t;
	target_fill fill;
	void *arg;
	unsigned room;
	uint64_t cookie;
	bool got;
};

static int take(void *arg, const struct core_dirent *d)
{
	struct listing *l = arg;
	if (!l->room)
		return 1;
	l->room--;
	l->got = true;
	l->cookie = d->cookie;
	if (d->have_attr)
		core_forget(l->t->core, d->entry.ino, 1);
	l->fill(l->arg, d->name, d->ino, d->type);
	return 0;
}

int core_list_at(struct target *target, const char *path, target_fill fill, void *arg)
{
	struct target_core *t = of(target);
	struct listing l = {.t = t, .fill = fill, .arg = arg};
	struct core_entry e;
	bool plus = t->looked % 2;
	int r = target_core_find(t, path, &e);
	if (r < 0)
		return r;
	do {
		l.room = 1 + t->looked % 13;
		l.got = false;
		r = t->sessions ? session_readdir(t->sessions, &t->who, e.ino, l.cookie, plus, take, &l)
				: core_readdir(t->core, e.ino, l.cookie, plus, take, &l);
	} while (r == 0 && l.got);
	target_core_put(t, e.ino);
	return r;
}
