/*
 * link_tree.c: views/: the sessions by time, state, day, workflow, agent and id, as symbolic links into users/.
 *
 * Everybody gets a tree of his own: a link is there for whoever could find the session in users/ and read its
 * session.json, and for nobody else, also where it would only show by the number behind an equal title. Nothing is
 * cached by the kernel.
 */
#include "fs/views/links.h"

#include "fs/session/timestamp.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

#define COOKIE_FIRST 16 /* of what follows the dots */
#define UP "../"

static int links_start(struct sessions *sessions, struct catalogue *catalogue, void **ret_state)
{
	*ret_state = catalogue;
	return 0;
}

/* ---- attributes -------------------------------------------------------------------------------- */

/* Whether @who sees a session in the directory of a grouped view. */
static bool has_any(struct catalogue *c, const struct viewer *who, const struct link_place *p)
{
	for (size_t i = 0; i < c->by_number.n; i++)
		if (link_holds(p, c->by_number.at[i]) && catalogue_visible(c->by_number.at[i], who))
			return true;
	return false;
}

static int session_of(struct catalogue *c, const struct viewer *who, const struct link_place *p,
	struct catalogue_session **ret_session)
{
	*ret_session = catalogue_session(c, p->value << 8);
	return *ret_session && catalogue_visible(*ret_session, who) ? 0 : -ENOENT;
}

static int target_of(const struct link_place *p, const struct catalogue_session *s, struct buf *ret_target)
{
	int r = buf_printf(ret_target, "%s" UP UP "users/", link_view_grouped(p->kind) ? UP : "");

	return r < 0 ? r : catalogue_path(s, ret_target);
}

static int attr_of_link(struct catalogue *c, const struct viewer *who, const struct link_place *p, struct stat *st)
{
	_cleanup_buf_ struct buf target = {0};
	struct catalogue_session *s;
	int r = session_of(c, who, p, &s);

	if (r == 0)
		r = target_of(p, s, &target);
	if (r < 0)
		return r;
	st->st_mode = S_IFLNK | 0777;
	st->st_nlink = 1;
	st->st_uid = s->dir.uid;
	st->st_gid = s->dir.gid;
	st->st_size = (off_t)target.len;
	st->st_atim = st->st_mtim = st->st_ctim = timestamp_from_ms(s->activity);
	return 0;
}

static int attr_locked(struct catalogue *c, const struct viewer *who, const struct link_place *p, struct stat *st)
{
	if (p->what == LINKS_LINK)
		return attr_of_link(c, who, p, st);
	if (p->what == LINKS_GROUP && !link_group_fixed(p->kind, p->value) && !has_any(c, who, p))
		return -ENOENT;
	st->st_mode = S_IFDIR | 0555;
	st->st_nlink = 2;
	st->st_atim = st->st_mtim = st->st_ctim = c->changed;
	return 0;
}

/* @st: what root.c sets of each number is in there. */
static int links_getattr(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	struct link_place p;
	int r = link_place_of(ino, &p) ? catalogue_lock(state) : -ENOENT;

	*ret_fleeting = true;
	if (r < 0)
		return r;
	r = attr_locked(state, who, &p, ret_st);
	catalogue_unlock(state);
	return r;
}

static int links_readlink(void *state, const struct viewer *who, uint64_t ino, struct buf *ret_target)
{
	struct catalogue_session *s;
	struct link_place p;
	int r = !link_place_of(ino, &p) ? -ENOENT : p.what != LINKS_LINK ? -EINVAL : catalogue_lock(state);

	if (r < 0)
		return r;
	r = session_of(state, who, &p, &s);
	if (r == 0)
		r = target_of(&p, s, ret_target);
	catalogue_unlock(state);
	return r;
}

/* ---- names --------------------------------------------------------------------------------------- */

static int find_view(const char *name, struct link_place *ret_place)
{
	for (unsigned kind = LINKS_ROOT + 1; kind < LINK_KINDS; kind++)
		if (strcmp(name, link_view_name((enum link_kind)kind)) == 0) {
			*ret_place = (struct link_place){.kind = (enum link_kind)kind};
			return 0;
		}
	return -ENOENT;
}

/* That a session is in it is found out with its attributes; that one is called so, here. */
static int find_group(struct catalogue *c, const struct viewer *who, const struct link_place *view, const char *name,
	struct link_place *ret_place)
{
	*ret_place = (struct link_place){.kind = view->kind, .what = LINKS_GROUP};
	return link_group_find(c, view->kind, name, &ret_place->value);
}

static int find(struct catalogue *c, const struct viewer *who, const struct link_place *parent, const char *name,
	struct link_place *ret_place)
{
	const struct catalogue_session *s;

	if (parent->what == LINKS_LINK)
		return -ENOTDIR;
	if (strcmp(name, ".") == 0) {
		*ret_place = *parent;
		return 0;
	}
	if (parent->kind == LINKS_ROOT)
		return find_view(name, ret_place);
	if (link_view_grouped(parent->kind) && parent->what == LINKS_VIEW)
		return find_group(c, who, parent, name, ret_place);
	s = link_find(c, who, parent, name);
	if (!s)
		return -ENOENT;
	*ret_place = (struct link_place){.kind = parent->kind, .what = LINKS_LINK, .value = s->ino >> 8};
	return 0;
}

/*
 * The kernel keeps targets for as long as it knows the inode, whose generation it compares at each look-up: a link that
 * leads elsewhere is another one of the same number. FNV-1a.
 */
static int generation_of(struct catalogue *c, const struct link_place *p, uint32_t *ret_generation)
{
	_cleanup_buf_ struct buf target = {0};
	const struct catalogue_session *s = p->what == LINKS_LINK ? catalogue_session(c, p->value << 8) : NULL;
	uint32_t hash = 0x811c9dc5;
	int r = s ? target_of(p, s, &target) : 0;

	for (size_t i = 0; i < target.len; i++)
		hash = (hash ^ target.data[i]) * 0x01000193;
	*ret_generation = s ? hash : 1;
	return r;
}

static int links_lookup(void *state, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry)
{
	struct core_entry entry = {.fleeting_name = true, .fleeting_attr = true};
	struct catalogue *c = state;
	struct link_place p;
	int r = link_place_of(parent, &p) ? catalogue_lock(c) : -ENOENT;

	if (r < 0)
		return r;
	r = find(c, who, &p, name, &p);
	if (r == 0) {
		entry.ino = link_ino(&p);
		entry.st = (struct stat){.st_ino = entry.ino, .st_uid = catalogue_folder(c, CORE_ROOT_INO)->rights.uid,
			.st_gid = catalogue_folder(c, CORE_ROOT_INO)->rights.gid, .st_blksize = 4096};
		r = attr_locked(c, who, &p, &entry.st);
	}
	if (r == 0)
		r = generation_of(c, &p, &entry.generation);
	catalogue_unlock(c);
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* ---- listings ------------------------------------------------------------------------------------ */

struct list {
	struct catalogue *c;
	const struct viewer *who;
	const struct link_place *dir;
	uint64_t cookie; /* begin after this one */
	core_fill fill;
	void *arg;
};

static int put(const struct list *l, uint64_t cookie, const char *name, const struct link_place *p)
{
	struct core_dirent d = {.name = name, .cookie = cookie, .ino = link_ino(p),
		.type = p->what == LINKS_LINK ? S_IFLNK : S_IFDIR};

	return cookie <= l->cookie ? 0 : l->fill(l->arg, &d);
}

static int put_dots(const struct list *l)
{
	int r = put(l, 1, ".", l->dir);

	return r ? r : put(l, 2, "..", l->dir);
}

static int list_views(const struct list *l)
{
	int r = 0;

	for (unsigned kind = LINKS_ROOT + 1; kind < LINK_KINDS && r == 0; kind++) {
		struct link_place p = {.kind = (enum link_kind)kind};
		r = put(l, COOKIE_FIRST + kind, link_view_name(p.kind), &p);
	}
	return r;
}

struct group {
	uint64_t value;
	const struct catalogue_session *s; /* one that is in it */
};

static int by_value(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

/* The directories with sessions that the caller sees, each once; freed by the caller. */
static int find_groups(const struct list *l, struct group **ret_groups, size_t *ret_n)
{
	const struct order *o = &l->c->by_number;
	struct group *groups = malloc((o->n + 1) * sizeof *groups);
	size_t n = 0, kept = 0;

	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < o->n; i++) {
		uint64_t value;
		if (link_group_of(l->dir->kind, o->at[i], &value) && catalogue_visible(o->at[i], l->who))
			groups[n++] = (struct group){value, o->at[i]};
	}
	qsort(groups, n, sizeof *groups, by_value);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || groups[kept - 1].value != groups[i].value)
			groups[kept++] = groups[i];
	*ret_groups = groups;
	*ret_n = kept;
	return 0;
}

static int list_groups(const struct list *l)
{
	_cleanup_free_ struct group *groups = NULL;
	struct link_place p = {.kind = l->dir->kind, .what = LINKS_GROUP};
	char name[LINKS_NAME];
	size_t n;
	int r = find_groups(l, &groups, &n);

	for (uint64_t value = 0; r == 0 && link_group_fixed(p.kind, value); value++) {
		p.value = value;
		r = put(l, COOKIE_FIRST + value, link_group_fixed(p.kind, value), &p);
	}
	for (size_t i = 0; i < n && r == 0; i++) {
		p.value = groups[i].value;
		link_group_name(p.kind, groups[i].s, name);
		if (!link_group_fixed(p.kind, p.value))
			r = put(l, COOKIE_FIRST + p.value, name, &p);
	}
	return r;
}

static int put_link(const struct list *l, struct link_namer *namer, const struct catalogue_session *s)
{
	struct link_place p = {.kind = l->dir->kind, .what = LINKS_LINK, .value = s->ino >> 8};
	char name[LINKS_NAME];

	link_name(l->c, l->who, l->dir, namer, s, name);
	return put(l, COOKIE_FIRST + p.value, name, &p);
}

static int by_number(const void *a, const void *b)
{
	const struct catalogue_session *const *x = a, *const *y = b;

	return (*x)->ino < (*y)->ino ? -1 : (*x)->ino > (*y)->ino;
}

/* By rising number, so that a listing goes on where it stopped whatever has changed. */
static int list_latest(const struct list *l)
{
	struct catalogue_session *sorted[LINKS_RECENT];
	size_t n = link_latest(l->c, l->who, sorted);
	struct link_namer namer = {0};
	int r = 0;

	qsort(sorted, n, sizeof *sorted, by_number);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_link(l, &namer, sorted[i]);
	return r;
}

static int list_links(const struct list *l)
{
	const struct order *o = &l->c->by_number;
	struct catalogue_session from = {.ino = l->cookie < COOKIE_FIRST ? 0 : (l->cookie - COOKIE_FIRST + 1) << 8};
	struct link_namer namer = {0};
	int r = 0;

	for (size_t i = order_find(o, &from); i < o->n && r == 0; i++)
		if (link_holds(l->dir, o->at[i]) && catalogue_visible(o->at[i], l->who))
			r = put_link(l, &namer, o->at[i]);
	return r;
}

static int list(const struct list *l)
{
	int r = put_dots(l);

	if (r)
		return r;
	if (l->dir->kind == LINKS_ROOT)
		return list_views(l);
	if (l->dir->kind == LINKS_LATEST)
		return list_latest(l);
	return link_view_grouped(l->dir->kind) && l->dir->what == LINKS_VIEW ? list_groups(l) : list_links(l);
}

/* No attributes: the kernel would not keep them, and whoever wants them asks. */
static int links_readdir(void *state, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg)
{
	struct link_place p;
	struct list l = {.c = state, .who = who, .dir = &p, .cookie = cookie, .fill = fill, .arg = arg};
	int r = !link_place_of(ino, &p) ? -ENOENT : p.what == LINKS_LINK ? -ENOTDIR : catalogue_lock(state);

	if (r < 0)
		return r;
	r = list(&l);
	catalogue_unlock(state);
	return r < 0 ? r : 0;
}

static int links_open(void *state, uint64_t ino, void **ret_file)
{
	return -EISDIR;
}

const struct tree tree_links = {
	.name = "views",
	.type = S_IFDIR,
	.first = TREE_BASE(LINKS_TREE),
	.last = TREE_LAST(LINKS_TREE),
	.start = links_start,
	.lookup = links_lookup,
	.getattr = links_getattr,
	.readdir = links_readdir,
	.readlink = links_readlink,
	.open = links_open,
};
