#include "fs/views/folder.h"

#include "fs/session/timestamp.h"

#include <errno.h>
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

/* The bits of @want that @r grants the owner, group and others of @top, as 4, 2, 1. */
static unsigned grants(const struct rights *top, const struct rights *r, unsigned want)
{
	unsigned other = (r->mode & want) == want, bits = other;

	if (r->uid == top->uid ? (r->mode >> 6 & want) == want : other)
		bits |= 4;
	if (r->gid == top->gid ? (r->mode >> 3 & want) == want : other)
		bits |= 2;
	if (r->acl.len)
		bits &= r->uid == top->uid ? 4 : 0;
	return top->uid == 0 ? bits | 4 : bits;
}

/* Those of all that leads to the session, and of its session.json, in which stands what a list says. */
static unsigned readers_of(const struct catalogue_folder *top, const struct catalogue_session *s)
{
	const struct catalogue_folder *f = s->workflow;
	unsigned bits = grants(&top->rights, &s->dir, RIGHT_READ | RIGHT_SEARCH);

	if (s->has_document)
		bits &= grants(&top->rights, &s->document, RIGHT_READ);
	else
		bits &= top->rights.uid == 0 || s->dir.uid == top->rights.uid ? 4 : 0;
	for (; f != top; f = f->parent)
		bits &= grants(&top->rights, &f->rights, RIGHT_READ | RIGHT_SEARCH);
	return bits;
}

static bool is_below(const struct catalogue_folder *top, const struct catalogue_folder *f)
{
	while (f && f != top)
		f = f->parent;
	return f != NULL;
}

static void newest(struct timespec *newest, const struct timespec *t)
{
	if (t->tv_sec > newest->tv_sec ||
		(t->tv_sec == newest->tv_sec && t->tv_nsec > newest->tv_nsec))
		*newest = *t;
}

static int add_session(struct folder *f, const struct catalogue_session *s)
{
	struct listed_session *l = &f->listing.sessions[f->listing.n++];
	_cleanup_buf_ struct buf path = {0};
	struct timespec changed = timestamp_from_ms(s->changed);
	int r = catalogue_path(s, &path);

	*l = (struct listed_session){.title = strdup(s->title), .agent = s->agent ? strdup(s->agent) : NULL,
		.state = s->state, .messages = s->messages, .created = s->created, .activity = s->activity};
	uuid_format(s->id, l->id);
	if (r == 0)
		l->path = strndup((const char *)path.data, path.len);
	newest(&f->changed, &changed);
	return !l->title || !l->path || (s->agent && !l->agent) ? -ENOMEM : 0;
}

static int add_sessions(struct catalogue *c, const struct catalogue_folder *top, struct folder *f)
{
	int r = 0;

	f->listing.sessions = calloc(c->by_activity.n + 1, sizeof *f->listing.sessions);
	if (!f->listing.sessions)
		return -ENOMEM;
	for (size_t i = 0; i < c->by_activity.n && r == 0; i++) {
		const struct catalogue_session *s = c->by_activity.at[i];
		unsigned bits = is_below(top, s->workflow) ? readers_of(top, s) : 0;
		if (!(bits & 4))
			continue; /* its owner could not read it */
		f->readers &= bits;
		r = add_session(f, s);
	}
	return r;
}

/* The times of directories, which are no part of what the catalogue keeps. */
static void take_times(struct catalogue *c, const struct catalogue_folder *top, struct folder *f)
{
	for (size_t i = 0; i < c->n_folders; i++) {
		struct stat st;
		if (is_below(top, c->folders[i]) &&
			core_getattr(session_core(c->sessions), c->folders[i]->ino, &st, NULL) == 0)
			newest(&f->changed, &st.st_mtim);
	}
}

static int path_of(const struct catalogue_folder *top, char **ret_path)
{
	int n = top->role == ROLE_WORKFLOW ? asprintf(ret_path, "%s/%s", top->parent->name, top->name)
					   : asprintf(ret_path, "%s", top->name);
	return n < 0 ? -ENOMEM : 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct listed_session *x = a, *y = b;

	if (x->activity != y->activity)
		return x->activity > y->activity ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int fill(struct catalogue *c, uint64_t dir, struct folder *f)
{
	const struct catalogue_folder *top = catalogue_folder(c, dir);

	if (!top)
		return -ENOENT;
	int r = path_of(top, &f->path);
	if (r < 0) {
		f->path = NULL;
		return r;
	}
	f->readers = 7 & grants(&top->rights, &top->rights, RIGHT_READ | RIGHT_SEARCH);
	take_times(c, top, f);
	return add_sessions(c, top, f);
}

int folder_open(struct catalogue *c, uint64_t dir, struct folder *ret_folder)
{
	struct folder f = {0};
	int r = catalogue_lock(c);

	if (r < 0)
		return r;
	r = fill(c, dir, &f);
	catalogue_unlock(c);
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
