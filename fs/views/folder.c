#include "fs/views/folder.h"

#include "fs/session/timestamp.h"

#include <errno.h>
#include <linux/xattr.h>
#include <stdio.h>
#include <string.h>

void folder_entries_release(struct folder_entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->at[i].name);
	free(e->at);
	*e = (struct folder_entries){0};
}

struct collect {
	struct folder_entries *entries;
	size_t max;
};

/* Called with the container's lock held. */
static int collect(void *arg, const struct core_dirent *d)
{
	struct collect *c = arg;
	struct folder_entries *e = c->entries;

	if (d->type != S_IFDIR || d->name[0] == '.')
		return 0;
	if (e->n == c->max)
		return 1;
	if (e->n == e->room) {
		size_t room = e->room ? e->room * 2 : 32;
		struct folder_entry *grown = realloc(e->at, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		e->at = grown;
		e->room = room;
	}
	char *name = strdup(d->name);
	if (!name)
		return -ENOMEM;
	e->at[e->n++] = (struct folder_entry){.name = name, .ino = d->ino, .cookie = d->cookie};
	return 0;
}

int folder_list(struct sessions *s, uint64_t dir, uint64_t cookie, size_t max,
	struct folder_entries *ret_entries)
{
	struct folder_entries entries = {0};
	struct collect c = {.entries = &entries, .max = max};
	int r = core_readdir(session_core(s), dir, cookie, false, collect, &c);

	if (r < 0)
		folder_entries_release(&entries);
	else
		*ret_entries = entries;
	return r;
}

unsigned folder_grants(const struct stat *dir, const struct stat *st, unsigned want)
{
	unsigned other = (st->st_mode & want) == want, bits = other;

	if (st->st_uid == dir->st_uid ? (st->st_mode >> 6 & want) == want : other)
		bits |= 4;
	if (st->st_gid == dir->st_gid ? (st->st_mode >> 3 & want) == want : other)
		bits |= 2;
	return bits;
}

struct walk {
	struct sessions *s;
	struct folder *f;
	struct stat top;
	size_t room;
};

/* What of @bits is left below the directory. */
static int pass(struct walk *w, uint64_t ino, unsigned want, unsigned *bits, struct stat *ret_st)
{
	_cleanup_buf_ struct buf acl = {0};
	int r = core_getattr(session_core(w->s), ino, ret_st, NULL);

	if (r < 0)
		return r;
	*bits &= folder_grants(&w->top, ret_st, want);
	r = core_getxattr(session_core(w->s), ino, XATTR_NAME_POSIX_ACL_ACCESS, &acl);
	if (r == 0)
		*bits &= ret_st->st_uid == w->top.st_uid ? 4 : 0;
	if (w->top.st_uid == 0)
		*bits |= 4;
	return r == -ENODATA ? 0 : r;
}

static void newest(struct timespec *newest, const struct timespec *t)
{
	if (t->tv_sec > newest->tv_sec ||
		(t->tv_sec == newest->tv_sec && t->tv_nsec > newest->tv_nsec))
		*newest = *t;
}

static int join(const char *path, const char *name, char **ret_path)
{
	int n = *path ? asprintf(ret_path, "%s/%s", path, name) : asprintf(ret_path, "%s", name);
	return n < 0 ? -ENOMEM : 0;
}

static int add_session(struct walk *w, uint64_t ino, char **path, unsigned bits)
{
	struct listing *l = &w->f->listing;
	struct transcript *t;
	struct transcript_range none = {0};
	int r = transcript_open(w->s, ino, &none, &t);

	if (r < 0)
		return r == -EBADMSG || r == -ENOENT ? 0 : r; /* damaged or gone, it hides no other */
	if (l->n == w->room) {
		size_t room = w->room ? w->room * 2 : 64;
		struct listed_session *grown = realloc(l->sessions, room * sizeof *grown);
		if (!grown) {
			transcript_free(t);
			return -ENOMEM;
		}
		l->sessions = grown;
		w->room = room;
	}
	struct listed_session *s = &l->sessions[l->n++];
	*s = (struct listed_session){.title = steal_ptr(t->title), .agent = steal_ptr(t->agent),
		.path = steal_ptr(*path), .state = t->state, .messages = t->counted,
		.created = t->created, .activity = t->activity};
	uuid_format(t->session_id, s->id);
	struct timespec changed = timestamp_from_ms(t->changed);
	newest(&w->f->changed, &changed);
	if (t->until < w->f->until)
		w->f->until = t->until;
	w->f->readers &= bits;
	transcript_free(t);
	return 0;
}

static int walk_dir(struct walk *w, uint64_t dir, const char *path, unsigned bits);

static int walk_entry(struct walk *w, const struct folder_entry *e, const char *path, unsigned bits)
{
	uint8_t role = session_role(w->s, e->ino);
	_cleanup_free_ char *below = NULL;
	struct stat st;

	if (role != ROLE_USER && role != ROLE_WORKFLOW && role != ROLE_SESSION)
		return 0;
	int r = pass(w, e->ino, 5, &bits, &st);
	if (r < 0 || !(bits & 4))
		return r == -ENOENT || r == -EBADMSG ? 0 : r;
	r = join(path, e->name, &below);
	if (r < 0)
		return r;
	if (role == ROLE_SESSION)
		return add_session(w, e->ino, &below, bits);
	newest(&w->f->changed, &st.st_mtim);
	return walk_dir(w, e->ino, below, bits);
}

static int walk_dir(struct walk *w, uint64_t dir, const char *path, unsigned bits)
{
	_cleanup_(folder_entries_release) struct folder_entries entries = {0};
	int r = folder_list(w->s, dir, 0, SIZE_MAX, &entries);

	for (size_t i = 0; i < entries.n && r == 0; i++)
		r = walk_entry(w, &entries.at[i], path, bits);
	return r;
}

/* Users and workflows know their names. */
static int path_of(struct sessions *s, uint64_t dir, uint8_t role, char **ret_path)
{
	char name[2][CORE_NAME_MAX + 1] = {"", ""};
	int r = role == ROLE_USERS ? 0 : session_names(s, dir, name[0], name[1]);

	if (r < 0)
		return r;
	*ret_path = strdup(name[0]);
	if (*ret_path && name[1][0]) {
		_cleanup_free_ char *user = *ret_path;
		r = join(user, name[1], ret_path);
	}
	return r < 0 ? r : *ret_path ? 0 : -ENOMEM;
}

static int newest_first(const void *a, const void *b)
{
	const struct listed_session *x = a, *y = b;

	if (x->activity != y->activity)
		return x->activity > y->activity ? -1 : 1;
	return strcmp(x->path, y->path);
}

int folder_open(struct sessions *s, uint64_t dir, struct folder *ret_folder)
{
	struct folder f = {.readers = 7, .until = INT64_MAX};
	struct walk w = {.s = s, .f = &f};
	uint8_t role = session_role(s, dir);
	unsigned bits = 7;

	if (role != ROLE_USERS && role != ROLE_USER && role != ROLE_WORKFLOW)
		return -ENOENT;
	int r = core_getattr(session_core(s), dir, &w.top, NULL);
	struct stat st = w.top;
	if (r == 0)
		r = pass(&w, dir, 5, &bits, &st);
	f.readers = bits;
	f.changed = st.st_mtim;
	if (r == 0)
		r = path_of(s, dir, role, &f.path);
	if (r == 0)
		r = walk_dir(&w, dir, f.path, bits | 4);
	if (r < 0) {
		folder_release(&f);
		return r;
	}
	if (f.listing.n)
		qsort(f.listing.sessions, f.listing.n, sizeof *f.listing.sessions, newest_first);
	f.listing.path = f.path;
	*ret_folder = f;
	return 0;
}

void folder_release(struct folder *f)
{
	for (size_t i = 0; i < f->listing.n; i++) {
		free(f->listing.sessions[i].title);
		free(f->listing.sessions[i].agent);
		free(f->listing.sessions[i].path);
	}
	free(f->listing.sessions);
	free(f->path);
	*f = (struct folder){0};
}
