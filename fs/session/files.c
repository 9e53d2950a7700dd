/*
 * files.c: a walk through all that lies in a session.
 */
#include "fs/session/files.h"

#include "fs/session/session_internal.h"

#include <stdio.h>

#define DEPTH_MAX 128 /* levels of directories; what lies deeper is left out with an error */

void session_files_release(struct session_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free(files->at[i].path);
		free(files->at[i].target);
	}
	free(files->at);
	*files = (struct session_files){0};
}

struct name {
	char *name;
	uint64_t ino;
};

static int collect(void *arg, const struct core_dirent *d)
{
	struct name one = {.ino = d->ino};

	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	one.name = strdup(d->name);
	int r = one.name ? buf_append(arg, &one, sizeof one) : -ENOMEM;
	if (r < 0)
		free(one.name);
	return r;
}

static void names_release(struct buf *names)
{
	for (size_t i = 0; i < names->len; i += sizeof(struct name))
		free(((struct name *)(void *)(names->data + i))->name);
	buf_release(names);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

struct walk {
	struct sessions *s;
	struct session_files *files;
	struct buf links; /* size_t: places of those that have several names */
};

/* Its own place, or that of the file that has another name already. */
static int find_same(struct walk *w, const struct stat *st, size_t place, size_t *ret_same)
{
	const struct session_files *files = w->files;

	*ret_same = place;
	if (S_ISDIR(st->st_mode) || st->st_nlink < 2)
		return 0;
	for (size_t i = 0; i < w->links.len; i += sizeof place) {
		size_t other;
		memcpy(&other, w->links.data + i, sizeof other);
		if (files->at[other].ino == st->st_ino) {
			*ret_same = other;
			return 0;
		}
	}
	return buf_append(&w->links, &place, sizeof place);
}

static int read_target(struct core *core, uint64_t ino, char **ret_target)
{
	_cleanup_buf_ struct buf target = {0};
	int r = core_readlink(core, ino, &target);

	if (r == 0)
		r = buf_append(&target, "", 1);
	if (r == 0)
		*ret_target = (char *)steal_ptr(target.data);
	return r;
}

static struct session_file *add(struct session_files *files)
{
	if (files->n == files->room) {
		size_t room = files->room ? files->room * 2 : 32;
		struct session_file *grown = reallocarray(files->at, room, sizeof *grown);
		if (!grown)
			return NULL;
		files->at = grown;
		files->room = room;
	}
	files->at[files->n] = (struct session_file){0};
	return &files->at[files->n++];
}

static bool is_message(uint8_t role, const char *path, const char *name, mode_t mode)
{
	bool archived = role == ROLE_PLAIN && strncmp(path, "messages/" ARCHIVE_NAME "/", 17) == 0 && path + 17 == name;

	return S_ISREG(mode) && (role == ROLE_MESSAGES || archived) && name_message_number(name, strlen(name)) > 0;
}

static int walk(struct walk *w, uint64_t dir, const char *path, unsigned depth);

static int visit(struct walk *w, uint64_t dir, const char *above, const struct name *name, unsigned depth)
{
	struct core *core = w->s->core;
	_cleanup_free_ char *path = NULL;
	struct stat st;
	size_t place = w->files->n, same;
	int r = core_getattr(core, name->ino, &st, NULL);

	if (r < 0)
		return r == -ENOENT || r == -ESTALE ? 0 : r; /* just gone */
	if (asprintf(&path, "%s%s%s", above, *above ? "/" : "", name->name) < 0)
		return -ENOMEM;
	r = find_same(w, &st, place, &same);
	struct session_file *f = r < 0 ? NULL : add(w->files);
	if (!f)
		return r < 0 ? r : -ENOMEM;
	*f = (struct session_file){.path = strdup(path), .ino = name->ino, .size = (uint64_t)st.st_size,
		.device = st.st_rdev, .mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid,
		.mtime = st.st_mtim, .ctime = st.st_ctim, .same = same};
	if (!f->path)
		return -ENOMEM;
	uint8_t role = session_dir_role(w->s, dir);
	f->message = is_message(role, path, path + strlen(path) - strlen(name->name), st.st_mode);
	f->document = role == ROLE_SESSION && S_ISREG(st.st_mode) && strcmp(path, JSON_NAME) == 0;
	if (S_ISLNK(st.st_mode))
		return read_target(core, name->ino, &f->target);
	return S_ISDIR(st.st_mode) ? walk(w, name->ino, path, depth + 1) : 0;
}

static int walk(struct walk *w, uint64_t dir, const char *path, unsigned depth)
{
	_cleanup_(names_release) struct buf names = {0};

	if (depth > DEPTH_MAX)
		return -ELOOP;
	int r = core_readdir(w->s->core, dir, 0, false, collect, &names);
	if (names.len)
		qsort(names.data, names.len / sizeof(struct name), sizeof(struct name), by_name);
	for (size_t i = 0; i < names.len && r == 0; i += sizeof(struct name))
		r = visit(w, dir, path, (const struct name *)(const void *)(names.data + i), depth);
	return r;
}

static int load_top(struct sessions *s, uint64_t session, struct session_files *files)
{
	struct session_file *f = add(files);
	struct stat st;
	int r = f ? core_getattr(s->core, session, &st, NULL) : -ENOMEM;

	if (r < 0)
		return r;
	*f = (struct session_file){.path = strdup("."), .ino = session, .mode = st.st_mode, .uid = st.st_uid,
		.gid = st.st_gid, .mtime = st.st_mtim, .ctime = st.st_ctim};
	return f->path ? 0 : -ENOMEM;
}

int session_files_load(struct sessions *s, uint64_t session, struct session_files *ret_files)
{
	struct session_files files = {0};
	struct walk w = {.s = s, .files = &files};
	int r = load_top(s, session, &files);

	if (r == 0)
		r = walk(&w, session, "", 0);
	buf_release(&w.links);
	if (r < 0)
		session_files_release(&files);
	else
		*ret_files = files;
	return r;
}

int session_touched(struct sessions *s, uint64_t session, uint64_t *ret_touched)
{
	_cleanup_inode_ struct inode *inode = NULL;
	int r = inode_get(s->core, session, NULL, &inode);

	if (r == 0) /* an op that is at work holds the lock */
		pthread_rwlock_rdlock(&inode->container->lock);
	if (r < 0)
		return r;
	*ret_touched = inode->at ? 0 : atomic_load(&inode->container->touched);
	pthread_rwlock_unlock(&inode->container->lock);
	return 0;
}

/* FNV-1a. */
static void mix(uint64_t *hash, const void *data, size_t len)
{
	for (const uint8_t *p = data; len > 0; p++, len--)
		*hash = (*hash ^ *p) * 0x100000001b3;
}

static unsigned grants(const struct stat *top, const struct stat *st)
{
	mode_t want = S_ISDIR(st->st_mode) ? 5 : 4, other = (st->st_mode & want) == want;
	unsigned bits = other;

	if (st->st_uid == top->st_uid ? (st->st_mode >> 6 & want) == want : other)
		bits |= 4;
	if (st->st_gid == top->st_gid ? (st->st_mode >> 3 & want) == want : other)
		bits |= 2;
	return bits;
}

int session_files_sum(struct sessions *s, uint64_t session, struct session_files_sum *ret_sum)
{
	_cleanup_(session_files_release) struct session_files files = {0};
	struct session_files_sum sum = {.hash = 0xcbf29ce484222325, .readers = 7};
	struct stat top, st;
	int r = session_files_load(s, session, &files);

	if (r == 0)
		r = core_getattr(s->core, session, &top, NULL);
	for (size_t i = 0; i < files.n && r == 0; i++) {
		const struct session_file *f = &files.at[i];
		mix(&sum.hash, f->path, strlen(f->path) + 1);
		mix(&sum.hash, &f->ino, sizeof f->ino);
		mix(&sum.hash, &f->size, sizeof f->size);
		mix(&sum.hash, &f->ctime, sizeof f->ctime);
		if (f->ctime.tv_sec > sum.changed.tv_sec ||
			(f->ctime.tv_sec == sum.changed.tv_sec && f->ctime.tv_nsec > sum.changed.tv_nsec))
			sum.changed = f->ctime;
		if (!S_ISLNK(f->mode) && i > 0 && core_getattr(s->core, f->ino, &st, NULL) == 0)
			sum.readers &= grants(&top, &st);
	}
	sum.hash |= 1;
	if (r == 0)
		*ret_sum = sum;
	return r;
}
