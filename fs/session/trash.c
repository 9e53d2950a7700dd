/*
 * trash.c: a session goes to users/<user>/.trash/<workflow>/<session>, and is removed from there. The contract is
 * lifecycle.h's. The move is a rename like anybody's, made by the daemon: rename.c notes when, and says no where the
 * session is another one by then.
 */
#include "fs/session/lifecycle.h"

#include "fs/session/transcript.h"

#include <linux/fs.h>
#include <stdio.h>

#define TRASH_NAME ".trash"
#define SUFFIXES 10000 /* sessions of one name in one workflow's trash */

static const struct cred daemon_cred = {.umask = 077};

static int find_child(struct sessions *s, uint64_t dir, const char *name, uint64_t *ret_ino)
{
	struct core_entry entry;
	int r = core_lookup(s->core, dir, name, &entry);

	if (r < 0)
		return r;
	core_forget(s->core, entry.ino, 1);
	*ret_ino = entry.ino;
	return 0;
}

static void tell(struct sessions *s, uint64_t parent, const char *name)
{
	if (s->changed)
		s->changed(s->changed_arg, parent, name);
}

/* The directory @name in @parent, of the owner and with the rights of @like; -ENOTDIR where that is something else. */
static int need_dir(struct sessions *s, uint64_t parent, const char *name, uint64_t like, mode_t mode, uint8_t role,
        uint64_t *ret_ino)
{
	struct core_make make = {.mode = S_IFDIR | mode};
	struct core_entry entry;
	struct stat st;
	int r = find_child(s, parent, name, ret_ino);

	if (r == -ENOENT) {
		r = core_getattr(s->core, like, &st, NULL);
		if (r == 0)
			r = session_make(s, &(struct cred){.uid = st.st_uid, .gid = st.st_gid}, parent, name, &make,
			        &entry);
		if (r == 0) {
			core_forget(s->core, entry.ino, 1);
			*ret_ino = entry.ino;
			tell(s, parent, name);
		} else if (r == -EEXIST) {
			r = find_child(s, parent, name, ret_ino);
		}
	}
	return r == 0 && session_dir_role(s, *ret_ino) != role ? -ENOTDIR : r;
}

/* .trash/<workflow> of the user that @workflow lies in. */
static int need_trash(struct sessions *s, uint64_t workflow, uint64_t *ret_dir)
{
	char user[CORE_NAME_MAX + 1], name[CORE_NAME_MAX + 1];
	_cleanup_inode_ struct inode *dir = NULL;
	struct stat st;
	uint64_t trash;
	int r = inode_get(s->core, workflow, NULL, &dir);

	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&dir->lock);
	uint64_t parent = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	if (session_dir_role(s, parent) != ROLE_USER)
		return -EBUSY; /* it lies in .trash already, or has just been moved */
	r = session_names(s, workflow, user, name);
	if (r == 0)
		r = core_getattr(s->core, workflow, &st, NULL);
	if (r == 0)
		r = need_dir(s, parent, TRASH_NAME, parent, 0700, ROLE_TRASH, &trash);
	return r < 0 ? r : need_dir(s, trash, name, workflow, st.st_mode & 07777, ROLE_WORKFLOW, ret_dir);
}

/* The name that is tried as the @n-th: a suffix, and as much of the name as has room. */
static void name_of_try(const char *name, unsigned n, char ret_name[CORE_NAME_MAX + 1])
{
	char suffix[16];
	size_t len = strlen(name), more = (size_t)snprintf(suffix, sizeof suffix, ".%u", n);

	if (n == 1) {
		memcpy(ret_name, name, len + 1);
		return;
	}
	if (len + more > CORE_NAME_MAX) {
		len = CORE_NAME_MAX - more;
		while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(ret_name, name, len);
	memcpy(ret_name + len, suffix, more + 1);
}

int trash_put(struct sessions *s, const struct trash_item *item)
{
	char name[CORE_NAME_MAX + 1];
	uint64_t dir;
	int r = need_trash(s, item->workflow, &dir);

	for (unsigned n = 1; r == 0 && n <= SUFFIXES; n++) {
		name_of_try(item->name, n, name);
		r = rename_by_daemon(s, item->workflow, item->name, dir, name,
		        &(struct rename_expected){.ino = item->session, .activity = item->activity});
		if (r == 0) {
			tell(s, item->workflow, item->name);
			tell(s, dir, name);
			return 0;
		}
		r = r == -EEXIST ? 0 : r;
	}
	return r == 0 ? -EEXIST : r;
}

/* ---- for good -------------------------------------------------------------------------------- */

struct doomed {
	uint64_t parent, ino;
	bool emptied;
	char name[CORE_NAME_MAX + 1];
};

static int push(struct buf *list, uint64_t parent, uint64_t ino, const char *name)
{
	struct doomed d = {.parent = parent, .ino = ino};

	snprintf(d.name, sizeof d.name, "%s", name);
	return buf_append(list, &d, sizeof d);
}

struct listing {
	uint64_t dir;
	struct buf *dirs, *files;
};

static int list_one(void *arg, const struct core_dirent *d)
{
	struct listing *l = arg;

	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	return d->type == S_IFDIR ? push(l->dirs, l->dir, d->ino, d->name)
	                          : buf_append(l->files, d->name, strlen(d->name) + 1);
}

/* Somebody may bring it back at any moment. */
static bool is_in_trash(struct sessions *s, const struct trash_item *item)
{
	_cleanup_inode_ struct inode *session = NULL, *workflow = NULL;
	bool same = false;

	if (inode_get(s->core, item->session, NULL, &session) < 0 ||
	        inode_get(s->core, item->workflow, NULL, &workflow) < 0)
		return false;
	pthread_rwlock_rdlock(&session->lock);
	same = session->rec.parent == item->workflow;
	pthread_rwlock_unlock(&session->lock);
	pthread_rwlock_rdlock(&workflow->lock);
	uint64_t up = workflow->rec.parent;
	pthread_rwlock_unlock(&workflow->lock);
	return same && session_dir_role(s, up) == ROLE_TRASH;
}

static int remove_files(struct sessions *s, const struct trash_item *item, uint64_t dir, const struct buf *files,
        bool (*stop)(void *arg), void *arg)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < files->len;) {
		const char *name = (const char *)files->data + at;
		if (stop(arg))
			return -ECANCELED;
		if (!is_in_trash(s, item))
			return -EBUSY;
		r = session_discard(s, &daemon_cred, dir, name);
		r = r == -ENOENT ? 0 : r;
		at += strlen(name) + 1;
	}
	return r;
}

/* The workflow of what was the last one. */
static void drop_empty(struct sessions *s, uint64_t workflow)
{
	char user[CORE_NAME_MAX + 1], name[CORE_NAME_MAX + 1];
	_cleanup_inode_ struct inode *dir = NULL;

	if (inode_get(s->core, workflow, NULL, &dir) < 0 || session_names(s, workflow, user, name) < 0)
		return;
	pthread_rwlock_rdlock(&dir->lock);
	uint64_t trash = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	if (session_dir_role(s, trash) == ROLE_TRASH && session_rmdir(s, &daemon_cred, trash, name) == 0)
		tell(s, trash, name);
}

int trash_purge(struct sessions *s, const struct trash_item *item, bool (*stop)(void *arg), void *arg)
{
	_cleanup_buf_ struct buf dirs = {0};
	int r = push(&dirs, item->workflow, item->session, item->name);

	while (r == 0 && dirs.len > 0) {
		_cleanup_buf_ struct buf files = {0};
		struct doomed *last = (struct doomed *)(void *)(dirs.data + dirs.len - sizeof *last), d = *last;
		if (d.emptied) {
			dirs.len -= sizeof d;
			r = is_in_trash(s, item) ? session_rmdir(s, &daemon_cred, d.parent, d.name) : -EBUSY;
			r = r == -ENOENT ? 0 : r;
			continue;
		}
		last->emptied = true;
		struct listing l = {.dir = d.ino, .dirs = &dirs, .files = &files};
		r = core_readdir(s->core, d.ino, 0, false, list_one, &l);
		if (r == 0)
			r = remove_files(s, item, d.ino, &files, stop, arg);
	}
	if (r == 0)
		tell(s, item->workflow, item->name);
	if (r == 0)
		drop_empty(s, item->workflow);
	return r;
}

static int stamp_once(struct sessions *s, struct inode *session, int64_t time)
{
	_cleanup_srec_ struct srec rec = {0};
	_cleanup_(op_end) struct op op;

	op_begin(&op, s->core, NULL);
	int r = op_lock(&op, &session, 1);
	if (r == 0)
		r = srec_load(&op, session->container, &rec);
	if (r < 0 || rec.trashed == time)
		return r;
	rec.trashed = time;
	r = srec_store(&op, session->container, &rec);
	return r < 0 ? r : op_commit(&op);
}

int trash_stamp(struct sessions *s, uint64_t ino, int64_t time)
{
	_cleanup_inode_ struct inode *session = NULL;
	int r = inode_get(s->core, ino, NULL, &session);

	return r < 0 ? r : OP_RETRY(stamp_once(s, session, time));
}
