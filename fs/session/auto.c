/*
 * auto.c: what waits for an automatic snapshot, and the thread that takes them. The contract is auto.h's.
 */
#include "fs/session/auto_internal.h"

#include "fs/session/timestamp.h"
#include "kv/log.h"

#include <fcntl.h>
#include <unistd.h>

#define SECOND ((int64_t)1000)
#define HOUR (3600 * SECOND)
#define GATHER_MS 20 /* changes that come together are looked at together */
#define POLICY_MS 2000 /* after a change of policies what they do not keep any more goes */
#define ROOM_MS 15000	  /* who has no room waits at most this long for the next to go */
#define ROOM_WAITERS 8	  /* and so many of them, of the workers that serve requests */
#define ROOM_LOOK_MS 50
#define ROOM_BYTES (16u << 20)
#define ROOM_STEP_MS 3000 /* what a step has freed comes back within this, or the next ones go */

int64_t auto_now(const struct autos *a)
{
	return a->options.now ? a->options.now(a->options.now_arg) : session_clock(a->s);
}

int64_t auto_now_least(const struct autos *a)
{
	return a->options.now ? a->options.now(a->options.now_arg) : session_clock_least(a->s);
}

struct auto_place *auto_find(struct autos *a, uint32_t container)
{
	struct auto_place *p = a->buckets[container % AUTO_BUCKETS];

	while (p && p->container != container)
		p = p->next;
	return p;
}

static struct auto_place *get(struct autos *a, uint32_t container, uint8_t kind)
{
	struct auto_place *p = auto_find(a, container), **bucket = &a->buckets[container % AUTO_BUCKETS];

	if (p)
		return p;
	p = calloc(1, sizeof *p);
	if (!p)
		return NULL; /* its next change is told again */
	*p = (struct auto_place){.container = container, .kind = kind, .next = *bucket};
	p->waiting.last = RETENTION_NONE;
	*bucket = p;
	return p;
}

static void wake(struct autos *a)
{
	if (!a->kicked)
		pthread_cond_signal(&a->wake);
	a->kicked = true;
}

static void note_one(struct autos *a, struct auto_place *p, uint64_t epoch)
{
	if (epoch > p->epoch)
		p->epoch = epoch;
	p->latest = auto_now(a);
	if (p->pending || p->epoch < p->taken)
		return;
	p->pending = true;
	p->waiting.since = p->latest;
	wake(a);
}

void auto_note(struct autos *a, uint32_t container, uint8_t kind, uint64_t epoch)
{
	struct auto_place *p = get(a, container, kind);
	struct auto_place *user = p && p->user ? get(a, p->user, ROLE_USER) : NULL;
	struct auto_place *users = get(a, CORE_ROOT_INO >> 8, ROLE_USERS);

	if (p)
		note_one(a, p, epoch);
	if (user)
		note_one(a, user, epoch);
	if (users && users != p)
		note_one(a, users, epoch);
}

/* ---- what core tells ------------------------------------------------------------------------- */

static void changed(void *arg, const struct container *c, uint64_t epoch)
{
	struct autos *a = arg;

	MUTEX_GUARD(&a->lock);
	auto_note(a, c->id, c->id == CORE_ROOT_INO >> 8 ? ROLE_USERS : c->kind, epoch);
}

static void full(void *arg)
{
	struct autos *a = arg;

	MUTEX_GUARD(&a->lock);
	a->full = true;
	wake(a);
}

static const struct core_watch watch = {.changed = changed, .full = full};

void auto_policies_changed(struct sessions *s)
{
	struct autos *a = s->autos;

	atomic_fetch_add(&s->policies, 1);
	if (!a)
		return;
	MUTEX_GUARD(&a->lock);
	/* Not at once: several are set together. */
	int64_t soon = auto_now(a) + POLICY_MS;
	if (a->expire_at > soon)
		a->expire_at = soon;
	wake(a);
}

void auto_closed(struct sessions *s, const struct container *session, bool urgent)
{
	struct autos *a = s->autos;
	struct auto_place *p;

	if (!a)
		return;
	MUTEX_GUARD(&a->lock);
	p = auto_find(a, session->id);
	if (!p)
		return;
	p->latest = auto_now(a);
	if (p->pending && (!p->waiting.closed || (urgent && !p->waiting.urgent))) {
		p->waiting.closed = true;
		p->waiting.urgent |= urgent;
		wake(a);
	}
}

/* ---- in the caller's own thread -------------------------------------------------------------- */

void auto_first(struct sessions *s, struct container *session)
{
	struct autos *a = s->autos;
	struct auto_place place;

	if (!a)
		return;
	{
		MUTEX_GUARD(&a->lock);
		if (!get(a, session->id, ROLE_SESSION))
			return;
	}
	if (auto_learn(a, session->id, &place) < 0 || retention_is_off(&place.keep))
		return;
	(void)auto_take(a, session->id);
	MUTEX_GUARD(&a->lock);
	struct auto_place *p = auto_find(a, session->id);
	if (p) {
		p->unthinned = true;
		wake(a);
	}
}

/* A session that nobody has heard of in this daemon's life: whether what it has is older than an hour and unheld. */
static bool was_idle(struct sessions *s, struct inode *inode, int64_t now)
{
	_cleanup_inode_ struct inode *root = NULL;
	bool held = true, idle = false;

	if (inode_get(s->core, container_root(inode->container), inode->container, &root) < 0)
		return false;
	for (int i = 0; i < 2; i++) {
		struct inode *at = i ? inode : root;
		pthread_rwlock_rdlock(&at->lock);
		if (held && inode_is_held(at, &held) < 0)
			held = true;
		idle = timestamp_ms(&at->rec.ctime) < now - HOUR;
		pthread_rwlock_unlock(&at->lock);
		if (!idle)
			return false;
	}
	return !held;
}

void auto_before_open(struct sessions *s, uint64_t ino, int flags)
{
	_cleanup_inode_ struct inode *inode = NULL;
	struct autos *a = s->autos;
	bool known, idle;

	if (!a || (flags & O_ACCMODE) == O_RDONLY || !snapshot_is_present(ino) ||
		inode_get(s->core, ino, NULL, &inode) < 0 || inode->container->kind != ROLE_SESSION)
		return;
	int64_t now = auto_now(a);
	{
		MUTEX_GUARD(&a->lock);
		struct auto_place *p = get(a, inode->container->id, ROLE_SESSION);
		if (!p)
			return;
		known = p->latest > 0;
		idle = p->pending && p->latest < now - HOUR;
		p->latest = now;
	}
	if (idle || (!known && was_idle(s, inode, now)))
		auto_first(s, inode->container);
}

bool auto_make_room(struct sessions *s)
{
	struct autos *a = s->autos;
	struct timespec until;
	unsigned looks;

	if (!a || !a->options.threaded)
		return false;
	until = steady_in(ROOM_MS);
	MUTEX_GUARD(&a->lock);
	if (a->waiters == ROOM_WAITERS)
		return false;
	a->waiters++;
	looks = a->looks;
	a->full = true;
	wake(a);
	int r = 0;
	while (a->looks == looks && !a->stop && r == 0) {
		unsigned steps = a->steps;
		r = pthread_cond_timedwait(&a->roomy, &a->lock, &until);
		if (a->steps == steps)
			continue;
		r = 0;
		until = steady_in(ROOM_MS);
	}
	a->waiters--;
	return a->looks != looks && a->made;
}

/* ---- the pass -------------------------------------------------------------------------------- */

/* A clock that was set back: what seems to come later is of now. The lock is held. */
static void set_back(struct auto_place *p, int64_t now)
{
	if (p->latest > now)
		p->latest = now;
	if (p->waiting.since > now)
		p->waiting.since = now;
	if (p->waiting.last > now)
		p->waiting.last = now;
}

/* The containers of what waits; what has not been heard of for an hour and waits for nothing is forgotten. */
static size_t collect(struct autos *a, int64_t now, uint32_t **ret_containers)
{
	uint32_t *found = NULL;
	size_t n = 0, cap = 0;

	MUTEX_GUARD(&a->lock);
	for (size_t i = 0; i < AUTO_BUCKETS; i++)
		for (struct auto_place **at = &a->buckets[i], *p; (p = *at);) {
			set_back(p, now);
			if (!p->pending && !p->unthinned && p->latest < now - HOUR) {
				*at = p->next;
				free(p);
				continue;
			}
			at = &p->next;
			if (!p->pending && !p->unthinned)
				continue;
			if (n == cap) {
				cap = cap ? 2 * cap : 64;
				uint32_t *more = reallocarray(found, cap, sizeof *found);
				if (!more)
					goto out; /* the others have their turn later */
				found = more;
			}
			found[n++] = p->container;
		}
out:
	*ret_containers = found;
	return n;
}

static void done_waiting(struct autos *a, uint32_t container)
{
	MUTEX_GUARD(&a->lock);
	struct auto_place *p = auto_find(a, container);

	if (p)
		p->pending = p->unthinned = false;
}

/* It has its turn as if it had changed just now. */
static void put_off(struct autos *a, uint32_t container, int64_t now)
{
	MUTEX_GUARD(&a->lock);
	struct auto_place *p = auto_find(a, container);

	if (p)
		p->waiting = (struct waiting){.since = now, .last = p->waiting.last};
}

/* Takes, thins, or says when. */
static int64_t serve(struct autos *a, uint32_t container, int64_t now)
{
	struct auto_place p;
	bool thin;

	int r = auto_learn(a, container, &p);
	if (r < 0 || p.kind == ROLE_WORKFLOW) {
		done_waiting(a, container); /* it is no more, or cannot be read: its next change is told */
		return RETENTION_NEVER;
	}
	int64_t due = p.pending ? retention_due(&p.keep, &p.waiting, now) : RETENTION_NEVER;
	thin = p.unthinned;
	if (due <= now) {
		r = auto_take(a, container);
		thin = thin || r == 0;
		due = now + p.keep.interval;
		if (r < 0)
			put_off(a, container, now);
		if (r < 0 && r != -ENOSPC && r != -ENOENT) /* removed meanwhile */
			log_warning("automatic snapshot: %s", strerror(-r));
	}
	if (!thin)
		return due;
	{
		MUTEX_GUARD(&a->lock);
		struct auto_place *in = auto_find(a, container);
		if (in)
			in->unthinned = false;
	}
	r = auto_thin(a, container, &p.keep, false);
	if (r < 0)
		log_warning("thinning automatic snapshots: %s", strerror(-r));
	return due;
}

static bool stopping(struct autos *a)
{
	MUTEX_GUARD(&a->lock);
	return a->stop;
}

/* Whether the disk has room again. The engine needs a moment to give back what was deleted. */
static bool has_room(struct autos *a)
{
	struct kv_space space = {0};

	for (int waited = 0; !stopping(a); waited += ROOM_LOOK_MS) {
		if (kv_space(core_kv(a->s->core), &space) == 0 && space.available >= ROOM_BYTES)
			return true;
		if (waited >= ROOM_STEP_MS)
			return false;
		usleep(ROOM_LOOK_MS * 1000);
	}
	return false;
}

/* Who waits for room waits on: some are gone. */
static void note_step(struct autos *a)
{
	MUTEX_GUARD(&a->lock);
	a->steps++;
	pthread_cond_broadcast(&a->roomy);
}

/* Automatic snapshots go, oldest first, until there is room or none is left. */
static void make_room(struct autos *a)
{
	unsigned dropped = 0, step;
	{
		MUTEX_GUARD(&a->lock);
		if (!a->full)
			return;
	}
	while ((step = auto_drop_oldest(a)) > 0) {
		dropped += step;
		note_step(a);
		core_settle(a->s->core);
		if (!a->options.threaded || has_room(a))
			break;
	}
	if (dropped)
		log_warning("the disk is full: dropped %u automatic snapshots, oldest first", dropped);
	MUTEX_GUARD(&a->lock);
	a->full = false;
	a->looks++;
	a->made = dropped > 0;
	pthread_cond_broadcast(&a->roomy);
}

int64_t auto_pass(struct autos *a)
{
	_cleanup_free_ uint32_t *containers = NULL;
	int64_t now = auto_now(a), next;

	make_room(a);
	if (a->options.after_crash && !a->scanned) {
		a->scanned = true;
		int r = auto_scan(a);
		if (r < 0 && r != -ECANCELED)
			log_warning("looking for what no snapshot has: %s", strerror(-r));
	}
	if (a->expire_at > now + HOUR) /* the clock was set back */
		a->expire_at = now + HOUR;
	if (now >= a->expire_at) {
		a->expire_at = now + HOUR;
		int r = auto_expire(a);
		if (r < 0 && r != -ECANCELED)
			log_warning("thinning automatic snapshots: %s", strerror(-r));
	}
	next = a->expire_at;
	size_t n = collect(a, now, &containers);
	for (size_t i = 0; i < n && !stopping(a); i++) {
		int64_t due = serve(a, containers[i], now);
		if (due < next)
			next = due;
	}
	return next;
}

static void wait_until(struct autos *a, int64_t time)
{
	struct timespec ts = steady_in(time - auto_now(a));

	while (!a->stop && !a->kicked)
		if (pthread_cond_timedwait(&a->wake, &a->lock, &ts) != 0)
			return;
}

static void *run(void *arg)
{
	struct autos *a = arg;

	pthread_mutex_lock(&a->lock);
	while (!a->stop) {
		a->kicked = false;
		pthread_mutex_unlock(&a->lock);
		int64_t next = auto_pass(a);
		pthread_mutex_lock(&a->lock);
		/* At least a little, so that a thousand closes are no thousand passes. */
		struct timespec gather = steady_in(GATHER_MS);
		while (!a->stop && pthread_cond_timedwait(&a->wake, &a->lock, &gather) == 0)
			;
		wait_until(a, next);
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* ---- start and end --------------------------------------------------------------------------- */

static void release(struct autos *a)
{
	for (size_t i = 0; i < AUTO_BUCKETS; i++)
		for (struct auto_place *p; (p = a->buckets[i]);) {
			a->buckets[i] = p->next;
			free(p);
		}
	pthread_cond_destroy(&a->wake);
	pthread_cond_destroy(&a->roomy);
	pthread_mutex_destroy(&a->lock);
	pthread_mutex_destroy(&a->take_lock);
	free(a);
}

int auto_start(struct sessions *s, const struct auto_options *options)
{
	struct kv_state state;
	struct autos *a;

	kv_get_state(core_kv(s->core), &state);
	if (state.read_only)
		return 0;
	a = calloc(1, sizeof *a);
	if (!a)
		return -ENOMEM;
	a->s = s;
	a->options = *options;
	pthread_mutex_init(&a->lock, NULL);
	pthread_mutex_init(&a->take_lock, NULL);
	steady_cond_init(&a->wake);
	steady_cond_init(&a->roomy);
	a->expire_at = options->threaded ? auto_now(a) + 60 * SECOND : 0;
	if (options->threaded && pthread_create(&a->thread, NULL, run, a) != 0) {
		release(a);
		return -EAGAIN;
	}
	s->autos = a;
	core_set_watch(s->core, &watch, a);
	return 0;
}

/* Nobody asks any more. What waits of sessions is taken now: the next daemon knows nothing of it. */
static void take_rest(struct autos *a)
{
	_cleanup_free_ uint32_t *containers = NULL;
	size_t n = collect(a, auto_now(a), &containers);

	for (size_t i = 0; i < n; i++) {
		struct auto_place p;
		if (auto_learn(a, containers[i], &p) == 0 && p.kind == ROLE_SESSION && p.pending &&
			!retention_is_off(&p.keep) && auto_take(a, containers[i]) == 0)
			(void)auto_thin(a, containers[i], &p.keep, false);
	}
}

void auto_release(struct sessions *s)
{
	struct autos *a = s->autos;

	if (!a)
		return;
	core_set_watch(s->core, NULL, NULL);
	s->autos = NULL;
	release(a);
}

void auto_stop(struct sessions *s)
{
	struct autos *a = s->autos;

	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	__atomic_store_n(&a->stop, true, __ATOMIC_RELAXED);
	pthread_cond_broadcast(&a->wake);
	pthread_cond_broadcast(&a->roomy);
	pthread_mutex_unlock(&a->lock);
	if (a->options.threaded)
		pthread_join(a->thread, NULL);
	core_set_watch(s->core, NULL, NULL);
	take_rest(a);
	auto_release(s);
}
