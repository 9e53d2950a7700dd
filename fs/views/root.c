/*
 * root.c: the mount's root directory, which holds users/ and the derived trees, and the way from an inode
 * number to its tree.
 */
#include "fs/views/tree.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

DEFINE_CLEANUP(struct views *, views_close);

#define COOKIE_USERS 3 /* after the dots; the trees' follow */

/* Also the order in a listing. Names, ids and ranges are for ever. */
static const struct tree *const trees[] = {&tree_backups, &tree_exports, &tree_readme, &tree_links,
	&tree_status};
#define TREES (sizeof trees / sizeof *trees)

struct views {
	struct sessions *sessions;
	struct catalogue *catalogue;
	struct timespec started;
	void *state[TREES];
	unsigned n_started;
};

static bool has_number(const struct tree *t, uint64_t ino)
{
	return (ino >= t->first && ino <= t->last) || (t->beyond && ino >= t->beyond);
}

/* The tree that @ino belongs to, with its state; NULL: none. */
static const struct tree *tree_of(struct views *v, uint64_t ino, void **ret_state)
{
	for (size_t i = 0; i < TREES; i++)
		if (has_number(trees[i], ino)) {
			*ret_state = v->state[i];
			return trees[i];
		}
	return NULL;
}

int views_open(struct sessions *sessions, struct views **ret_views)
{
	_cleanup_(views_closep) struct views *v = calloc(1, sizeof *v);
	int r = 0;

	if (!v)
		return -ENOMEM;
	v->sessions = sessions;
	clock_gettime(CLOCK_REALTIME, &v->started);
	r = catalogue_open(sessions, &v->catalogue);
	for (size_t i = 0; i < TREES && r == 0; i++) {
		if (trees[i]->start)
			r = trees[i]->start(sessions, v->catalogue, &v->state[i]);
		if (r == 0)
			v->n_started++;
	}
	if (r < 0)
		return r;
	*ret_views = steal_ptr(v);
	return 0;
}

void views_close(struct views *v)
{
	while (v && v->n_started > 0) {
		const struct tree *t = trees[--v->n_started];
		if (t->stop)
			t->stop(v->state[v->n_started]);
	}
	if (v)
		catalogue_close(v->catalogue);
	free(v);
}

/* What a tree need not set: owner and group of users/, the times of the mount. */
static int default_attr(struct views *v, uint64_t ino, struct stat *ret_st)
{
	struct stat users;
	int r = core_getattr(session_core(v->sessions), CORE_ROOT_INO, &users, NULL);

	if (r < 0)
		return r;
	*ret_st = (struct stat){
		.st_ino = ino, .st_uid = users.st_uid, .st_gid = users.st_gid, .st_blksize = 4096};
	ret_st->st_atim = ret_st->st_mtim = ret_st->st_ctim = v->started;
	return 0;
}

int views_getattr(struct views *v, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	bool fleeting = false;
	struct stat st;
	void *state;
	const struct tree *t = tree_of(v, ino, &state);
	int r = t || ino == VIEWS_ROOT_INO ? default_attr(v, ino, &st) : -ENOENT;

	if (r == 0 && t)
		r = t->getattr(state, who, ino, &st, &fleeting);
	if (r < 0)
		return r;
	if (!t) {
		st.st_mode = S_IFDIR | 0555;
		st.st_nlink = 3;
		for (size_t i = 0; i < TREES; i++)
			st.st_nlink += trees[i]->type == S_IFDIR;
	}
	*ret_st = st;
	if (ret_fleeting)
		*ret_fleeting = fleeting;
	return 0;
}

static int own_entry(struct views *v, const struct viewer *who, uint64_t ino, struct core_entry *ret_entry)
{
	struct core_entry entry = {.ino = ino, .generation = 1};
	int r = views_getattr(v, who, ino, &entry.st, &entry.fleeting_attr);

	if (r == 0)
		*ret_entry = entry;
	return r;
}

static int users_entry(struct views *v, struct core_entry *ret_entry)
{
	/* core knows the directory by its number only: it stands in nothing of core's */
	return core_lookup(session_core(v->sessions), CORE_ROOT_INO, ".", ret_entry);
}

static int root_lookup(struct views *v, const struct viewer *who, const char *name, struct core_entry *ret_entry)
{
	if (strcmp(name, "users") == 0)
		return users_entry(v, ret_entry);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return own_entry(v, who, VIEWS_ROOT_INO, ret_entry);
	for (size_t i = 0; i < TREES; i++)
		if (strcmp(name, trees[i]->name) == 0)
			return own_entry(v, who, trees[i]->first, ret_entry);
	return -ENOENT;
}

int views_lookup(struct views *v, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry)
{
	void *state;
	const struct tree *t = tree_of(v, parent, &state);

	if (parent == VIEWS_ROOT_INO)
		return root_lookup(v, who, name, ret_entry);
	if (!t)
		return -ENOENT;
	if (parent == t->first && strcmp(name, "..") == 0)
		return own_entry(v, who, VIEWS_ROOT_INO, ret_entry);
	return t->lookup ? t->lookup(state, who, parent, name, ret_entry) : -ENOTDIR;
}

static int list_one(struct views *v, const struct viewer *who, struct core_dirent *e, bool with_attr, core_fill fill,
	void *arg)
{
	bool users = e->ino == CORE_ROOT_INO, dots = e->name[0] == '.';

	if (with_attr && !dots) {
		int r = users ? users_entry(v, &e->entry) : own_entry(v, who, e->ino, &e->entry);
		if (r < 0)
			return r;
		e->have_attr = true;
	}
	int r = fill(arg, e);
	if (r != 0 && users && e->have_attr)
		core_forget(session_core(v->sessions), e->ino, 1);
	return r;
}

static int root_readdir(struct views *v, const struct viewer *who, uint64_t cookie, bool with_attr, core_fill fill,
	void *arg)
{
	struct core_dirent entries[COOKIE_USERS + TREES] = {
	        {.name = ".", .type = S_IFDIR, .ino = VIEWS_ROOT_INO},
	        {.name = "..", .type = S_IFDIR, .ino = VIEWS_ROOT_INO},
	        {.name = "users", .type = S_IFDIR, .ino = CORE_ROOT_INO},
	};

	for (size_t i = 0; i < TREES; i++)
		entries[COOKIE_USERS + i] = (struct core_dirent){
		        .name = trees[i]->name, .type = trees[i]->type, .ino = trees[i]->first};
	for (size_t i = (size_t)cookie; i < COOKIE_USERS + TREES; i++) {
		entries[i].cookie = i + 1;
		int r = list_one(v, who, &entries[i], with_attr, fill, arg);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}

int views_readdir(struct views *v, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	if (ino == VIEWS_ROOT_INO)
		return root_readdir(v, who, cookie, with_attr, fill, arg);
	return t && t->readdir ? t->readdir(state, who, ino, cookie, with_attr, fill, arg) : -ENOTDIR;
}

bool views_settled(uint64_t ino)
{
	for (size_t i = 0; i < TREES; i++)
		if (has_number(trees[i], ino))
			return trees[i]->settled;
	return false;
}

int views_mkdir(struct views *v, uint64_t parent, const char *name, struct core_entry *ret_entry)
{
	void *state;
	const struct tree *t = tree_of(v, parent, &state);

	return t && t->mkdir ? t->mkdir(state, parent, name, ret_entry) : -EPERM;
}

int views_rmdir(struct views *v, uint64_t parent, const char *name)
{
	void *state;
	const struct tree *t = tree_of(v, parent, &state);

	return t && t->rmdir ? t->rmdir(state, parent, name) : -EPERM;
}

int views_listxattr(struct views *v, uint64_t ino, struct buf *ret_names)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	return t && t->listxattr ? t->listxattr(state, ino, ret_names) : 0;
}

bool views_constant(uint64_t ino)
{
	return ino == VIEWS_ROOT_INO;
}

int views_readlink(struct views *v, const struct viewer *who, uint64_t ino, struct buf *ret_target)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	return t && t->readlink ? t->readlink(state, who, ino, ret_target) : -EINVAL;
}

int views_getxattr(struct views *v, uint64_t ino, const char *name, struct buf *ret_value)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	return t && t->getxattr ? t->getxattr(state, ino, name, ret_value) : -ENODATA;
}

int views_file_open(struct views *v, uint64_t ino, void **ret_file)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	if (ino == VIEWS_ROOT_INO)
		return -EISDIR;
	if (!t)
		return -ENOENT;
	*ret_file = NULL;
	return t->open ? t->open(state, ino, ret_file) : 0;
}

ssize_t views_read(struct views *v, uint64_t ino, void *file, void *data, size_t size, off_t offset)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	return t && t->read ? t->read(state, ino, file, data, size, offset) : -EISDIR;
}

void views_file_release(struct views *v, uint64_t ino, void *file)
{
	void *state;
	const struct tree *t = tree_of(v, ino, &state);

	if (t && t->release)
		t->release(state, file);
}
