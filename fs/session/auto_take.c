/*
 * auto_take.c: taking, thinning and dropping automatic snapshots. auto_internal.h is the contract.
 */
#include "fs/session/auto_internal.h"

#include "fs/session/timestamp.h"

#include <stdio.h>

#define HOUR (3600 * (int64_t)1000)
#define LEVELS 64

static bool is_automatic(const struct snapshot_info *info)
{
	return info->flags & SNAPSHOT_AUTO && retention_is_named(info->name);
}

/* ---- learning -------------------------------------------------------------------------------- */

static const char *prefix_of(uint8_t kind)
{
	return kind == ROLE_USERS ? "store_" : kind == ROLE_USER ? "user_" : "";
}

static int read_policy(struct sessions *s, struct inode *dir, uint8_t kind, struct retention *ret_keep)
{
	struct retention keep;
	const struct {
		const char *name;
		int64_t *value;
	} all[] = {{"autosnapshot", &keep.interval}, {"keep", &keep.keep}, {"keep_hourly", &keep.hourly},
		{"keep_daily", &keep.daily}};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char name[32];
		snprintf(name, sizeof name, "%s%s", prefix_of(kind), all[i].name);
		int r = session_policy(s, dir, name, all[i].value);
		if (r < 0)
			return r;
	}
	*ret_keep = keep;
	return 0;
}

/* The user that a workflow or session lies in. */
static int find_user(struct sessions *s, struct inode *dir, uint32_t *ret_user)
{
	_cleanup_inode_ struct inode *at = inode_ref(dir);

	for (unsigned level = 0; level < LEVELS && at->rec.role != ROLE_USER; level++) {
		struct inode *up = NULL;
		pthread_rwlock_rdlock(&at->lock);
		uint64_t parent = at->rec.parent;
		pthread_rwlock_unlock(&at->lock);
		int r = inode_get(s->core, parent, NULL, &up);
		if (r < 0)
			return r;
		inode_put(at);
		at = up;
	}
	if (at->rec.role != ROLE_USER)
		return -ELOOP;
	*ret_user = at->container->id;
	return 0;
}

static int newest(void *arg, const struct snapshot_info *info)
{
	struct auto_place *p = arg;

	if (is_automatic(info)) {
		p->taken = info->id;
		p->waiting.last = timestamp_ms(&info->taken);
	}
	return 0;
}

static int learn(struct sessions *s, struct inode *dir, struct auto_place *p)
{
	int r = 0;

	if (!p->user && (p->kind == ROLE_SESSION || p->kind == ROLE_WORKFLOW))
		r = find_user(s, dir, &p->user);
	if (r == 0 && p->kind != ROLE_WORKFLOW)
		r = read_policy(s, dir, p->kind, &p->keep);
	if (r == 0 && !p->taken && p->kind != ROLE_WORKFLOW)
		r = snapshot_list(s->core, dir->ino, 0, newest, p);
	return r;
}

int auto_learn(struct autos *a, uint32_t container, struct auto_place *ret_place)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct sessions *s = a->s;
	uint64_t generation = 1 + atomic_load(&s->policies) + atomic_load(&s->names);
	struct auto_place *in, p;

	pthread_mutex_lock(&a->lock);
	in = auto_find(a, container);
	if (in)
		p = *in;
	pthread_mutex_unlock(&a->lock);
	if (!in)
		return -ENOENT;
	if (p.generation == generation) {
		*ret_place = p;
		return 0;
	}
	int r = inode_get(s->core, (uint64_t)container << 8, NULL, &dir);
	if (r == 0 && dir->ghost)
		r = -ENOENT;
	if (r == 0)
		r = learn(s, dir, &p);
	if (r < 0)
		return r;
	MUTEX_GUARD(&a->lock);
	in = auto_find(a, container);
	if (!in)
		return -ENOENT;
	bool had_user = in->user != 0;
	in->keep = p.keep;
	in->user = p.user;
	in->generation = generation;
	if (!in->taken) {
		in->taken = p.taken;
		/* The clock may have been set back since. */
		in->waiting.last = p.waiting.last < auto_now(a) ? p.waiting.last : auto_now(a);
	}
	*ret_place = *in;
	if (!had_user && p.user && in->pending)
		auto_note(a, container, in->kind, in->epoch); /* now its user hears of it */
	return 0;
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* The first change that the new one does not have, if any, waits from here on. */
static void taken(struct autos *a, uint32_t container, const struct snapshot_info *info)
{
	MUTEX_GUARD(&a->lock);
	struct auto_place *p = auto_find(a, container);

	if (!p)
		return;
	p->taken = info->id;
	/* By our own clock, which is a test's. */
	p->waiting = (struct waiting){.last = auto_now(a), .since = auto_now(a)};
	p->pending = p->epoch >= info->id;
}

int auto_take(struct autos *a, uint32_t container)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct sessions *s = a->s;
	struct snapshot_info info;
	char name[RETENTION_NAME];
	int64_t now = auto_now(a);

	MUTEX_GUARD(&a->take_lock);
	int r = inode_get(s->core, (uint64_t)container << 8, NULL, &dir);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&dir->lock);
	struct cred who = {.uid = dir->rec.uid, .gid = dir->rec.gid};
	pthread_rwlock_unlock(&dir->lock);
	retention_name(now, false, name);
	r = session_snapshot_take(s, &who, dir->ino, name, SNAPSHOT_AUTO, &info);
	for (int i = 0; r == -EEXIST && i < 1000; i++) {
		retention_name(now + i, true, name);
		r = session_snapshot_take(s, &who, dir->ino, name, SNAPSHOT_AUTO, &info);
	}
	if (r == 0)
		taken(a, container, &info);
	return r;
}

/* ---- dropping -------------------------------------------------------------------------------- */

/* The automatic snapshots of a place, by rising id. */
struct automatic {
	struct one {
		uint64_t id;
		uint64_t place;
		int64_t taken;
		uint8_t flags;
		bool removed;
	} *all;
	size_t n, cap;
};

static void automatic_release(struct automatic *list)
{
	free(list->all);
}

static int add_automatic(void *arg, const struct snapshot_info *info)
{
	struct automatic *list = arg;

	if (!is_automatic(info))
		return 0;
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 64;
		struct one *more = reallocarray(list->all, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		list->all = more;
		list->cap = cap;
	}
	list->all[list->n++] = (struct one){.id = info->id, .place = info->place,
		.taken = timestamp_ms(&info->taken), .flags = info->flags, .removed = info->removed};
	return 0;
}

static int drop_chosen(struct autos *a, const struct one *all, size_t n, const struct retention *keep, bool removed)
{
	_cleanup_free_ int64_t *times = calloc(n + 1, sizeof *times);
	_cleanup_free_ int64_t *ages = calloc(n + 1, sizeof *ages);
	_cleanup_free_ bool *drop = calloc(n + 1, sizeof *drop);
	int r = 0;

	if (!times || !ages || !drop)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		times[i] = all[i].taken;
	retention_ages(times, n, auto_now_least(a), ages);
	if (retention_choose(keep, times, ages, n, removed, drop) == 0)
		return 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (drop[i])
			r = snapshot_drop(a->s->core, all[i].id);
		if (r == -ENOENT)
			r = 0; /* somebody else has */
	}
	return r;
}

int auto_thin(struct autos *a, uint32_t container, const struct retention *keep, bool removed)
{
	_cleanup_(automatic_release) struct automatic list = {0};
	int r = snapshot_list(a->s->core, (uint64_t)container << 8, 0, add_automatic, &list);

	return r < 0 ? r : drop_chosen(a, list.all, list.n, keep, removed);
}

static int by_place(const void *x, const void *y)
{
	const struct one *a = x, *b = y;

	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

/* The policy of a place, or of users/ where it is no more. */
static int policy_of(struct autos *a, const struct one *one, struct retention *ret_keep)
{
	_cleanup_inode_ struct inode *dir = NULL;
	uint8_t kind = one->flags & SNAPSHOT_ALONE ? ROLE_SESSION : ROLE_USER;
	int r = inode_get(a->s->core, one->removed ? CORE_ROOT_INO : one->place, NULL, &dir);

	if (r == 0 && !one->removed)
		kind = dir->rec.role;
	return r < 0 ? r : read_policy(a->s, dir, kind, ret_keep);
}

int auto_expire(struct autos *a)
{
	_cleanup_(automatic_release) struct automatic list = {0};
	int r = snapshot_list(a->s->core, 0, 0, add_automatic, &list), error = r;

	if (list.n > 1)
		qsort(list.all, list.n, sizeof *list.all, by_place);
	for (size_t i = 0, end; r == 0 && i < list.n; i = end) {
		struct retention keep;
		for (end = i + 1; end < list.n && list.all[end].place == list.all[i].place;)
			end++;
		if (__atomic_load_n(&a->stop, __ATOMIC_RELAXED))
			return -ECANCELED;
		int bad = policy_of(a, &list.all[i], &keep);
		if (bad == 0)
			bad = drop_chosen(a, list.all + i, end - i, &keep, list.all[i].removed);
		if (bad < 0 && bad != -ENOENT)
			error = bad; /* the others have their turn */
	}
	return error;
}

unsigned auto_drop_oldest(struct autos *a)
{
	_cleanup_(automatic_release) struct automatic list = {0};
	unsigned dropped = 0;

	if (snapshot_list(a->s->core, 0, 0, add_automatic, &list) < 0)
		return 0;
	for (size_t i = 0; i < list.n && i < list.n / 8 + 1; i++)
		dropped += snapshot_drop(a->s->core, list.all[i].id) == 0;
	return dropped;
}

/* ---- after a crash --------------------------------------------------------------------------- */

/* The directories in a directory. */
struct subdirs {
	uint64_t *all;
	size_t n, cap;
};

static void subdirs_release(struct subdirs *d)
{
	free(d->all);
}

static int add_subdir(void *arg, const struct core_dirent *entry)
{
	struct subdirs *d = arg;

	if (!S_ISDIR(entry->type) || strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
		return 0;
	if (d->n == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 64;
		uint64_t *more = reallocarray(d->all, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		d->all = more;
		d->cap = cap;
	}
	d->all[d->n++] = entry->ino;
	return 0;
}

static int scan_session(struct autos *a, struct inode *dir)
{
	const struct container *c = dir->container;
	bool held;
	int r = container_is_held(a->s->core, c->domain, c->id, &a->stop, &held);

	if (r < 0 || held)
		return r;
	MUTEX_GUARD(&a->lock);
	/* Its epoch is not known; what is committed from here on is told. */
	auto_note(a, c->id, ROLE_SESSION, 0);
	return 0;
}

static int scan_below(struct autos *a, uint64_t ino, unsigned level)
{
	_cleanup_(subdirs_release) struct subdirs d = {0};
	_cleanup_inode_ struct inode *dir = NULL;
	int r = inode_get(a->s->core, ino, NULL, &dir), error = 0;

	if (r < 0)
		return r;
	switch (dir->rec.role) {
	case ROLE_SESSION:
		return scan_session(a, dir);
	case ROLE_USERS:
	case ROLE_USER:
	case ROLE_TRASH:
	case ROLE_WORKFLOW:
		break;
	default:
		return 0;
	}
	r = level < LEVELS ? core_readdir(a->s->core, ino, 0, false, add_subdir, &d) : -ELOOP;
	for (size_t i = 0; r == 0 && i < d.n; i++) {
		int bad = scan_below(a, d.all[i], level + 1);
		if (bad == -ECANCELED)
			return bad;
		if (bad < 0)
			error = bad;
	}
	return r < 0 ? r : error;
}

int auto_scan(struct autos *a)
{
	return scan_below(a, CORE_ROOT_INO, 0);
}
