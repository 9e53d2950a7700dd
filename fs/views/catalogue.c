/*
 * catalogue.c: all sessions of a mount, in memory: loaded once, then kept true by what fs/session notes.
 */
#include "fs/views/catalogue.h"

#include "fs/session/timestamp.h"
#include "fs/views/folder.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

/* ---- orders -------------------------------------------------------------------------------------- */

#define SESSION(p) (*(struct catalogue_session *const *)(p))

static int by_number(const void *a, const void *b)
{
	uint64_t x = SESSION(a)->ino, y = SESSION(b)->ino;

	return x < y ? -1 : x > y;
}

static int by_activity(const void *a, const void *b)
{
	int64_t x = SESSION(a)->activity, y = SESSION(b)->activity;

	return x != y ? (x > y ? -1 : 1) : by_number(a, b);
}

static int by_link(const void *a, const void *b)
{
	int r = strcmp(SESSION(a)->link, SESSION(b)->link);

	return r ? r : by_number(a, b);
}

static int by_id(const void *a, const void *b)
{
	int r = memcmp(SESSION(a)->id, SESSION(b)->id, 16);

	return r ? r : by_number(a, b);
}

size_t order_find(const struct order *o, const struct catalogue_session *s)
{
	size_t from = 0, to = o->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (o->compare(&o->at[middle], &s) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Room for @n in all. */
static int order_reserve(struct order *o, size_t n)
{
	size_t room = o->room ? o->room * 2 : 64;

	if (n <= o->room)
		return 0;
	struct catalogue_session **grown = realloc(o->at, room * sizeof(*o->at));
	if (!grown)
		return -ENOMEM;
	o->at = grown;
	o->room = room;
	return 0;
}

static void order_add(struct order *o, struct catalogue_session *s)
{
	size_t i = order_find(o, s);

	memmove(o->at + i + 1, o->at + i, (o->n - i) * sizeof(*o->at));
	o->at[i] = s;
	o->n++;
}

static void order_remove(struct order *o, const struct catalogue_session *s)
{
	size_t i = order_find(o, s);

	o->n--;
	memmove(o->at + i, o->at + i + 1, (o->n - i) * sizeof(*o->at));
}

#define ORDERS 4

static void orders_of(struct catalogue *c, struct order *ret_orders[ORDERS])
{
	struct order *orders[ORDERS] = {&c->by_number, &c->by_activity, &c->by_link, &c->by_id};

	memcpy(ret_orders, orders, sizeof orders);
}

/* ---- entries ------------------------------------------------------------------------------------- */

static void has_changed(struct catalogue *c)
{
	c->version++;
	c->contents++;
	clock_gettime(CLOCK_REALTIME, &c->changed);
}

struct catalogue_session *catalogue_session(struct catalogue *c, uint64_t ino)
{
	const struct catalogue_session like = {.ino = ino};
	size_t i = order_find(&c->by_number, &like);

	return i < c->by_number.n && c->by_number.at[i]->ino == ino ? c->by_number.at[i] : NULL;
}

static void remove_session(struct catalogue *c, struct catalogue_session *s)
{
	struct order *orders[ORDERS];

	orders_of(c, orders);
	for (size_t i = 0; i < ORDERS; i++)
		order_remove(orders[i], s);
	catalogue_session_release(s);
	free(s);
	has_changed(c);
}

/* Takes @fresh over. While everything is loaded there is one order, and it is none yet. */
static int add_session(struct catalogue *c, struct catalogue_session *fresh)
{
	struct catalogue_session *s = malloc(sizeof *s);
	struct order *orders[ORDERS];
	int r = s ? 0 : -ENOMEM;

	orders_of(c, orders);
	for (size_t i = 0; i < ORDERS && r == 0; i++)
		r = order_reserve(orders[i], c->by_number.n + 1);
	if (r < 0) {
		free(s);
		catalogue_session_release(fresh);
		return r;
	}
	*s = *fresh;
	if (s->until < c->until)
		c->until = s->until;
	for (size_t i = 0; i < ORDERS && c->loaded; i++)
		order_add(orders[i], s);
	if (!c->loaded)
		c->by_number.at[c->by_number.n++] = s;
	has_changed(c);
	return 0;
}

/* What cannot be read is not there for the catalogue; it hides no other. */
static bool is_gone(int r)
{
	return r == -ENOENT || r == -EBADMSG;
}

/* The session @ino lies in @workflow as @name. */
static int put_session(struct catalogue *c, uint64_t ino, struct catalogue_folder *workflow, const char *name)
{
	struct catalogue_session *old = c->loaded ? catalogue_session(c, ino) : NULL, fresh;
	int r = catalogue_read(c->sessions, workflow, ino, c->walk, &fresh);

	if (r < 0) {
		if (old && is_gone(r))
			remove_session(c, old);
		return is_gone(r) ? 0 : r;
	}
	fresh.workflow = workflow;
	fresh.name = strdup(name);
	if (!fresh.name) {
		catalogue_session_release(&fresh);
		return -ENOMEM;
	}
	if (old && catalogue_same(old, &fresh)) {
		old->until = fresh.until;
		if (fresh.until < c->until)
			c->until = fresh.until;
		if (old->stamp != fresh.stamp) {
			free(old->tally);
			old->tally = NULL;
			old->stamp = fresh.stamp;
			c->contents++;
		}
		catalogue_session_release(&fresh);
		return 0;
	}
	if (old)
		remove_session(c, old);
	return add_session(c, &fresh);
}

/* ---- folders ------------------------------------------------------------------------------------- */

static size_t folder_place(const struct catalogue *c, uint64_t ino)
{
	size_t from = 0, to = c->n_folders;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (c->folders[middle]->ino < ino)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct catalogue_folder *catalogue_folder(struct catalogue *c, uint64_t ino)
{
	size_t i = folder_place(c, ino);

	return i < c->n_folders && c->folders[i]->ino == ino ? c->folders[i] : NULL;
}

static void folder_free(struct catalogue_folder *f)
{
	rights_release(&f->rights);
	free(f->name);
	free(f);
}

/* With all that is in it. */
static void remove_folder(struct catalogue *c, struct catalogue_folder *f)
{
	if (f->role == ROLE_WORKFLOW) {
		for (size_t i = c->by_number.n; i-- > 0;)
			if (c->by_number.at[i]->workflow == f)
				remove_session(c, c->by_number.at[i]);
	} else {
		for (size_t i = c->n_folders; i-- > 0;)
			if (i < c->n_folders && c->folders[i]->parent == f)
				remove_folder(c, c->folders[i]);
	}
	size_t i = folder_place(c, f->ino);
	c->n_folders--;
	memmove(c->folders + i, c->folders + i + 1, (c->n_folders - i) * sizeof(*c->folders));
	folder_free(f);
	has_changed(c);
}

static int read_folder_rights(struct catalogue *c, struct catalogue_folder *f)
{
	struct core *core = session_core(c->sessions);
	struct rights fresh;
	struct stat st;
	int r = core_getattr(core, f->ino, &st, NULL);

	if (r == 0 && st.st_nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = rights_load(core, f->ino, &st, &fresh);
	if (r < 0)
		return r;
	if (!rights_same(&fresh, &f->rights))
		has_changed(c);
	rights_release(&f->rights);
	f->rights = fresh;
	return 0;
}

static int name_folder(struct catalogue *c, struct catalogue_folder *f, const char *name)
{
	char *copy = strdup(name);
	int r = copy ? catalogue_hash(c->sessions, name, &f->hash) : -ENOMEM;

	if (r < 0) {
		free(copy);
		return r;
	}
	free(f->name);
	f->name = copy;
	has_changed(c);
	return 0;
}

static int insert_folder(struct catalogue *c, struct catalogue_folder *f)
{
	size_t i = folder_place(c, f->ino);

	if (c->n_folders == c->room_folders) {
		size_t room = c->room_folders ? c->room_folders * 2 : 64;
		struct catalogue_folder **grown = realloc(c->folders, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->folders = grown;
		c->room_folders = room;
	}
	memmove(c->folders + i + 1, c->folders + i, (c->n_folders - i) * sizeof(*c->folders));
	c->folders[i] = f;
	c->n_folders++;
	return 0;
}

static int load_below(struct catalogue *c, struct catalogue_folder *f);
static int take_container(struct catalogue *c, uint64_t ino);

/* What is in it says in its session.json where it lies, which is a change of its own. */
static int rename_folder(struct catalogue *c, struct catalogue_folder *f, const char *name)
{
	_cleanup_free_ uint64_t *below = malloc((c->by_number.n + 1) * sizeof *below);
	size_t n = 0;
	int r = below ? name_folder(c, f, name) : -ENOMEM;

	for (size_t i = 0; i < c->by_number.n && r == 0; i++) {
		const struct catalogue_folder *w = c->by_number.at[i]->workflow;
		if (w == f || w->parent == f)
			below[n++] = c->by_number.at[i]->ino;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = take_container(c, below[i]);
	return r;
}

/* The user or workflow @ino, or users/, is @name in @parent; all that is in it, if it is new. */
static int put_folder(struct catalogue *c, uint64_t ino, uint8_t role, struct catalogue_folder *parent,
	const char *name)
{
	struct catalogue_folder *f = catalogue_folder(c, ino);

	if (f) {
		f->parent = parent;
		return strcmp(f->name, name) == 0 ? 0 : rename_folder(c, f, name);
	}
	f = calloc(1, sizeof *f);
	if (!f)
		return -ENOMEM;
	*f = (struct catalogue_folder){.ino = ino, .role = role, .parent = parent};
	int r = name_folder(c, f, name);
	if (r == 0)
		r = read_folder_rights(c, f);
	if (r == 0)
		r = insert_folder(c, f);
	if (r < 0) {
		folder_free(f);
		return is_gone(r) ? 0 : r;
	}
	return load_below(c, f);
}

/* ---- looking ------------------------------------------------------------------------------------- */

/* @name in @parent is the directory @ino; NULL: it lies where it is not shown. */
static int put_child(struct catalogue *c, struct catalogue_folder *parent, uint64_t ino, const char *name)
{
	uint8_t role = session_role(c->sessions, ino);
	struct catalogue_session *s = catalogue_session(c, ino);
	struct catalogue_folder *f = catalogue_folder(c, ino);
	bool session = role == ROLE_SESSION && parent && parent->role == ROLE_WORKFLOW;
	bool folder = (role == ROLE_WORKFLOW && parent && parent->role == ROLE_USER) ||
		      (role == ROLE_USER && parent && parent->role == ROLE_USERS);

	if (session)
		return put_session(c, ino, parent, name);
	if (folder)
		return put_folder(c, ino, role, parent, name);
	if (s)
		remove_session(c, s);
	if (f)
		remove_folder(c, f);
	return 0;
}

static int load_below(struct catalogue *c, struct catalogue_folder *f)
{
	_cleanup_(folder_entries_release) struct folder_entries entries = {0};
	int r = folder_list(c->sessions, f->ino, 0, SIZE_MAX, &entries);

	for (size_t i = 0; i < entries.n && r == 0; i++)
		r = f->role == ROLE_WORKFLOW ? put_session(c, entries.at[i].ino, f, entries.at[i].name)
					     : put_child(c, f, entries.at[i].ino, entries.at[i].name);
	return is_gone(r) ? 0 : r;
}

static void forget_all(struct catalogue *c)
{
	struct order *orders[ORDERS];

	for (size_t i = 0; i < c->by_number.n; i++) {
		catalogue_session_release(c->by_number.at[i]);
		free(c->by_number.at[i]);
	}
	orders_of(c, orders);
	for (size_t i = 0; i < ORDERS; i++)
		orders[i]->n = 0;
	for (size_t i = 0; i < c->n_folders; i++)
		folder_free(c->folders[i]);
	c->n_folders = 0;
	c->loaded = false;
}

/* One that was moved while everything was loaded may have been met twice; what was noted says where it is. */
static void drop_doubles(struct order *o)
{
	size_t n = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (n > 0 && o->at[n - 1]->ino == o->at[i]->ino) {
			catalogue_session_release(o->at[i]);
			free(o->at[i]);
		} else {
			o->at[n++] = o->at[i];
		}
	}
	o->n = n;
}

static void sort(struct order *o)
{
	if (o->n)
		qsort(o->at, o->n, sizeof(*o->at), o->compare);
}

static int load(struct catalogue *c)
{
	struct order *orders[ORDERS];

	forget_all(c);
	c->until = INT64_MAX;
	int r = session_walk_open(c->sessions, &c->walk);
	if (r == 0)
		r = put_folder(c, CORE_ROOT_INO, ROLE_USERS, NULL, "");
	session_walk_close(c->walk);
	c->walk = NULL;
	if (r < 0)
		return r;
	orders_of(c, orders);
	sort(&c->by_number);
	drop_doubles(&c->by_number);
	for (size_t i = 1; i < ORDERS; i++) {
		orders[i]->n = c->by_number.n;
		if (c->by_number.n)
			memcpy(orders[i]->at, c->by_number.at, c->by_number.n * sizeof(*c->by_number.at));
		sort(orders[i]);
	}
	c->loaded = true;
	has_changed(c);
	return 0;
}

/* Nobody has the name any more. Who had it, and has another by now, is found by a note of that. */
static void drop_name(struct catalogue *c, const struct catalogue_folder *dir, const char *name)
{
	for (size_t i = c->by_number.n; i-- > 0;)
		if (c->by_number.at[i]->workflow == dir && strcmp(c->by_number.at[i]->name, name) == 0)
			remove_session(c, c->by_number.at[i]);
	for (size_t i = c->n_folders; i-- > 0;)
		if (i < c->n_folders && c->folders[i]->parent == dir && strcmp(c->folders[i]->name, name) == 0)
			remove_folder(c, c->folders[i]);
}

/* Who has the name by now, if anybody: notes of what came later follow. */
static int take_name(struct catalogue *c, const struct news_name *named)
{
	struct core *core = session_core(c->sessions);
	const struct catalogue_folder *dir = catalogue_folder(c, named->dir);
	struct core_entry entry;
	int r = named->name[0] == '.' ? -ENOENT : core_lookup(core, named->dir, named->name, &entry);

	if (r == -ENOENT && dir)
		drop_name(c, dir, named->name);
	if (r < 0)
		return is_gone(r) ? 0 : r;
	core_forget(core, entry.ino, 1);
	if (!S_ISDIR(entry.st.st_mode))
		return 0;
	return put_child(c, catalogue_folder(c, named->dir), entry.ino, named->name);
}

static int take_container(struct catalogue *c, uint64_t ino)
{
	struct catalogue_session *s = catalogue_session(c, ino);
	struct catalogue_folder *f = catalogue_folder(c, ino);
	_cleanup_free_ char *name = NULL;

	if (s) {
		name = strdup(s->name);
		return name ? put_session(c, ino, s->workflow, name) : -ENOMEM;
	}
	int r = f ? read_folder_rights(c, f) : 0;
	if (is_gone(r)) {
		remove_folder(c, f);
		r = 0;
	}
	return r;
}

/* Those whose time has come. */
static int take_time(struct catalogue *c)
{
	_cleanup_free_ uint64_t *due = NULL;
	struct timespec clock;
	size_t n = 0;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &clock);
	int64_t now = timestamp_ms(&clock);
	if (now < c->until)
		return 0;
	due = malloc((c->by_number.n + 1) * sizeof *due);
	if (!due)
		return -ENOMEM;
	c->until = INT64_MAX;
	for (size_t i = 0; i < c->by_number.n; i++) {
		int64_t until = c->by_number.at[i]->until;
		if (until <= now)
			due[n++] = c->by_number.at[i]->ino;
		else if (until < c->until)
			c->until = until;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = take_container(c, due[i]);
	return r;
}

static int refresh(struct catalogue *c)
{
	_cleanup_(session_news_release) struct session_news news = {0};
	int r = 0;

	if (!c->noting)
		session_news_begin(c->sessions);
	c->noting = true;
	session_news_take(c->sessions, &news);
	if (!c->loaded || news.all)
		return load(c);
	for (size_t i = 0; i < news.n_names && r == 0; i++)
		r = take_name(c, &news.names[i]);
	for (size_t i = 0; i < news.n_containers && r == 0; i++)
		r = take_container(c, (uint64_t)news.containers[i] << 8);
	return r < 0 ? r : take_time(c);
}

int catalogue_lock(struct catalogue *c)
{
	pthread_mutex_lock(&c->lock);
	int r = refresh(c);
	if (r < 0) {
		/* What was noted is lost: the next look begins anew. */
		c->loaded = false;
		pthread_mutex_unlock(&c->lock);
	}
	return r;
}

void catalogue_unlock(struct catalogue *c)
{
	pthread_mutex_unlock(&c->lock);
}

int catalogue_open(struct sessions *sessions, struct catalogue **ret_catalogue)
{
	struct catalogue *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	c->sessions = sessions;
	c->by_number.compare = by_number;
	c->by_activity.compare = by_activity;
	c->by_link.compare = by_link;
	c->by_id.compare = by_id;
	pthread_mutex_init(&c->lock, NULL);
	*ret_catalogue = c;
	return 0;
}

void catalogue_close(struct catalogue *c)
{
	struct order *orders[ORDERS];

	if (!c)
		return;
	if (c->noting)
		session_news_end(c->sessions);
	forget_all(c);
	orders_of(c, orders);
	for (size_t i = 0; i < ORDERS; i++)
		free(orders[i]->at);
	free(c->folders);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
