#include "fs/session/lifecycle.h"

#include "fs/session/messages.h"
#include "fs/session/timestamp.h"
#include "kv/log.h"

#include <stdio.h>

#define HOUR_MS 3600000
#define FIRST_MS 60000 /* after the start, for what a daemon that died left */
#define GATHER_MS 20   /* changes that come together are looked at together */
#define BUSY_MS 60000  /* what is left alone is looked at again, if nobody says so before */
#define TOUCHED 4096   /* more is all */

/* A session or workflow; @grown: for no other reason than that it has more in it. */
struct touched {
	uint32_t container;
	bool grown;
};

struct lifecycle {
	struct sessions *s;
	bool threaded;
	pthread_t thread;
	pthread_mutex_t lock; /* all below; nothing is taken inside */
	pthread_cond_t wake;
	bool stop, kicked, all;
	bool waiting; /* something of touched waits for a file to be closed */
	struct touched touched[TOUCHED];
	size_t n;
};

/* What the policies of a directory say; 0: nothing. */
struct rules {
	int64_t trash, cleanup, sessions, messages;
};

/* One look, at one thing or at all. */
struct round {
	struct lifecycle *l;
	int64_t now, next;
	struct repack repack;
};

/* ---- what it is told ------------------------------------------------------------------------- */

/* Once for all that the thread gathers: it would contend for the lock with each message that is made. */
static void kick(struct lifecycle *l)
{
	if (!l->kicked)
		pthread_cond_signal(&l->wake);
	l->kicked = true;
}

/* The lock is held. */
static void add(struct lifecycle *l, uint32_t container, bool grown)
{
	for (size_t i = l->n; i > 0; i--)
		if (l->touched[i - 1].container == container) {
			l->touched[i - 1].grown &= grown;
			return;
		}
	if (l->n < TOUCHED)
		l->touched[l->n++] = (struct touched){container, grown};
	else
		l->all = true;
}

static void touch(struct lifecycle *l, uint32_t container, bool grown)
{
	MUTEX_GUARD(&l->lock);
	add(l, container, grown);
	kick(l);
}

void lifecycle_touched(struct sessions *s, const struct container *c)
{
	if (s->lifecycle)
		touch(s->lifecycle, c->id, false);
}

/* Rises whenever a directory may have another policy, by its own name or by where it lies. Never 0. */
static uint64_t policies_of_now(struct sessions *s)
{
	return 1 + atomic_load(&s->policies) + atomic_load(&s->names);
}

void lifecycle_grown(struct sessions *s, const struct container *c)
{
	const struct session_memory *memory = c->session;

	if (s->lifecycle && !(memory && memory->unlimited == policies_of_now(s)))
		touch(s->lifecycle, c->id, true);
}

size_t lifecycle_waiting(struct sessions *s)
{
	MUTEX_GUARD(&s->lifecycle->lock);
	return s->lifecycle->n;
}

void lifecycle_all(struct sessions *s)
{
	struct lifecycle *l = s->lifecycle;

	if (!l)
		return;
	MUTEX_GUARD(&l->lock);
	l->all = true;
	kick(l);
}

void lifecycle_closed(struct sessions *s)
{
	struct lifecycle *l = s->lifecycle;

	if (!l)
		return;
	MUTEX_GUARD(&l->lock);
	if (l->waiting)
		kick(l);
}

static bool stopping(void *arg)
{
	struct lifecycle *l = arg;
	return __atomic_load_n(&l->stop, __ATOMIC_RELAXED);
}

/* ---- one session ----------------------------------------------------------------------------- */

static int read_rules(struct round *round, struct inode *dir, struct rules *ret_rules)
{
	struct sessions *s = round->l->s;
	struct rules rules;
	int r = session_policy(s, dir, "trash", &rules.trash);

	if (r == 0)
		r = session_policy(s, dir, "cleanup_after", &rules.cleanup);
	if (r == 0)
		r = session_policy(s, dir, "max_sessions", &rules.sessions);
	if (r == 0)
		r = session_policy(s, dir, "max_messages", &rules.messages);
	if (r == 0)
		*ret_rules = rules;
	return r;
}

static void again_at(struct round *round, int64_t time)
{
	if (time < round->next)
		round->next = time;
}

/* What cannot be done now because somebody is at work. */
static void again_later(struct round *round, const struct inode *session)
{
	struct lifecycle *l = round->l;

	again_at(round, round->now + BUSY_MS);
	pthread_mutex_lock(&l->lock);
	add(l, session->container->id, false);
	l->waiting = true;
	pthread_mutex_unlock(&l->lock);
	if (!writers_any(l->s, session->container->id)) /* he was done before we said that we wait */
		lifecycle_closed(l->s);
}

static int64_t after(int64_t time, int64_t ms)
{
	int64_t sum;
	return __builtin_add_overflow(time, ms, &sum) ? TIME_NEVER : sum;
}

/* The record as it is, or, where it waits for a look at all messages, after that. */
static int current_record(struct sessions *s, struct inode *session, struct srec *ret_rec)
{
	int r = record_read(s, session->container, ret_rec);

	if (r < 0 || !(ret_rec->flags & SREC_RECOUNT || ret_rec->epoch != s->epoch))
		return r;
	srec_release(ret_rec);
	*ret_rec = (struct srec){0};
	r = json_freshen(s, session);
	return r < 0 ? r : record_read(s, session->container, ret_rec);
}

static int look_in_trash(struct round *round, const struct rules *rules, const struct trash_item *item,
        struct inode *session)
{
	struct sessions *s = round->l->s;
	_cleanup_srec_ struct srec rec = {0};
	int r = record_read(s, session->container, &rec);

	if (r < 0)
		return r;
	if (!rec.trashed) { /* its workflow was moved, or an older program did */
		rec.trashed = session_clock_most(s);
		r = trash_stamp(s, item->session, rec.trashed);
	}
	if (r < 0 || rules->trash <= 0)
		return r;
	if (after(rec.trashed, rules->trash) > round->now) {
		again_at(round, after(rec.trashed, rules->trash));
		return 0;
	}
	if (writers_any(s, session->container->id))
		return -EBUSY;
	return trash_purge(s, item, stopping, round->l);
}

/* Whether it is to go to .trash. Decided by the record first, which costs no look at the messages. */
static int is_due(struct round *round, const struct rules *rules, struct inode *session, struct srec *rec,
        bool *ret_due)
{
	*ret_due = rec->state == STATE_DELETED;
	if (*ret_due || rules->cleanup <= 0)
		return 0;
	if (rec->flags & SREC_RECOUNT || after(srec_activity(rec), rules->cleanup) <= round->now) {
		srec_release(rec);
		*rec = (struct srec){0};
		int r = current_record(round->l->s, session, rec);
		if (r < 0)
			return r;
	}
	int64_t due = after(srec_activity(rec), rules->cleanup);
	*ret_due = due <= round->now;
	if (!*ret_due)
		again_at(round, due);
	return 0;
}

static int look_alive(struct round *round, const struct rules *rules, struct trash_item *item, struct inode *session)
{
	struct sessions *s = round->l->s;
	_cleanup_srec_ struct srec rec = {0};
	bool due = false, moved;
	int r = record_read(s, session->container, &rec);

	if (r == 0 && rec.trashed) /* its workflow came back */
		r = trash_stamp(s, item->session, 0);
	if (r == 0)
		r = is_due(round, rules, session, &rec, &due);
	if (r < 0)
		return r;
	if (due) {
		item->activity = rec.activity;
		return trash_put(s, item);
	}
	if (rules->messages > 0)
		r = archive_messages(s, item->session, (uint32_t)rules->messages, &moved);
	return r < 0 ? r : repack_session(&round->repack, session);
}

/* ---- a workflow ------------------------------------------------------------------------------ */

struct entry {
	uint64_t ino;
	int64_t activity, since;
	bool gone;
	char name[CORE_NAME_MAX + 1];
};

static int list_one(void *arg, const struct core_dirent *d)
{
	struct entry e = {.ino = d->ino};

	if (d->type != S_IFDIR || strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	snprintf(e.name, sizeof e.name, "%s", d->name);
	return buf_append(arg, &e, sizeof e);
}

static struct entry *entry_at(const struct buf *list, size_t i)
{
	return (struct entry *)(void *)(list->data + i * sizeof(struct entry));
}

static int look_session(struct round *round, const struct rules *inherited, uint64_t workflow, bool trash,
        struct entry *e)
{
	_cleanup_inode_ struct inode *session = NULL;
	struct trash_item item = {.workflow = workflow, .session = e->ino, .name = e->name};
	struct rules rules = *inherited;
	int r = inode_get(round->l->s->core, e->ino, NULL, &session);

	if (r == 0 && session->rec.role != ROLE_SESSION)
		r = -ENOENT;
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&session->lock);
	bool own = session->rec.xattrs > 0;
	pthread_rwlock_unlock(&session->lock);
	if (own)
		r = read_rules(round, session, &rules);
	if (r == 0)
		r = trash ? look_in_trash(round, &rules, &item, session) : look_alive(round, &rules, &item, session);
	if (r == -EBUSY)
		again_later(round, session);
	return r;
}

/* Damage and what is not there any more hide no other session; what else there is is told once an hour. */
static bool goes_on(struct round *round, int r, const char *what)
{
	if (r == -ECANCELED)
		return false;
	if (r < 0 && r != -ENOENT && r != -EBUSY && r != -EBADMSG && r != -ENOKEY)
		log_warning("%s: %s", what, strerror(-r));
	return !stopping(round->l);
}

static int oldest_first(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->activity != y->activity)
		return x->activity < y->activity ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Keeps what an entry is by: its activity, which the record has, and creation's where there is none. */
static int read_ages(struct sessions *s, struct buf *list)
{
	for (size_t i = 0; i < list->len / sizeof(struct entry); i++) {
		struct entry *e = entry_at(list, i);
		_cleanup_inode_ struct inode *session = NULL;
		_cleanup_srec_ struct srec rec = {0};
		int r = inode_get(s->core, e->ino, NULL, &session);
		if (r == 0 && session->rec.role == ROLE_SESSION)
			r = current_record(s, session, &rec);
		e->gone = r < 0 || session->rec.role != ROLE_SESSION;
		e->since = rec.activity;
		e->activity = e->gone ? INT64_MAX : srec_activity(&rec);
	}
	qsort(list->data, list->len / sizeof(struct entry), sizeof(struct entry), oldest_first);
	return 0;
}

/* Of more sessions than are allowed the oldest go; those in which somebody writes stay, and are not made up for. */
static int limit_sessions(struct round *round, uint64_t workflow, int64_t max)
{
	_cleanup_buf_ struct buf list = {0};
	struct sessions *s = round->l->s;
	size_t n = 0;
	int r = core_readdir(s->core, workflow, 0, false, list_one, &list);

	if (r == 0 && (int64_t)(list.len / sizeof(struct entry)) > max)
		r = read_ages(s, &list);
	else
		return r;
	for (size_t i = 0; i < list.len / sizeof(struct entry); i++)
		n += !entry_at(&list, i)->gone;
	for (size_t i = 0; i < list.len / sizeof(struct entry) && (int64_t)n > max; i++) {
		const struct entry *e = entry_at(&list, i);
		_cleanup_inode_ struct inode *session = NULL;
		struct trash_item item = {
		        .workflow = workflow, .session = e->ino, .name = e->name, .activity = e->since};
		if (e->gone)
			continue;
		n--;
		r = trash_put(s, &item);
		if (r == -EBUSY && inode_get(s->core, e->ino, NULL, &session) == 0)
			again_later(round, session);
		if (!goes_on(round, r, "moving a session to .trash"))
			return -ECANCELED;
	}
	return 0;
}

/* All of a workflow's sessions; @only: but for this one. */
static int look_workflow(struct round *round, uint64_t ino, uint64_t only)
{
	_cleanup_inode_ struct inode *workflow = NULL;
	_cleanup_buf_ struct buf list = {0};
	struct sessions *s = round->l->s;
	struct rules rules;
	int r = inode_get(s->core, ino, NULL, &workflow);

	if (r == 0 && workflow->rec.role != ROLE_WORKFLOW)
		r = -ENOENT;
	if (r == 0)
		r = read_rules(round, workflow, &rules);
	if (r == 0)
		r = core_readdir(s->core, ino, 0, false, list_one, &list);
	if (r < 0)
		return r;
	pthread_rwlock_rdlock(&workflow->lock);
	bool trash = session_dir_role(s, workflow->rec.parent) == ROLE_TRASH;
	pthread_rwlock_unlock(&workflow->lock);
	for (size_t i = 0; i < list.len / sizeof(struct entry); i++) {
		struct entry *e = entry_at(&list, i);
		if (only && e->ino != only)
			continue;
		r = look_session(round, &rules, ino, trash, e);
		if (!goes_on(round, r, trash ? "emptying .trash" : "moving old sessions and messages"))
			return -ECANCELED;
	}
	return !trash && !only && rules.sessions > 0 ? limit_sessions(round, ino, rules.sessions) : 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

static int look_below(struct round *round, uint64_t dir)
{
	_cleanup_buf_ struct buf list = {0};
	struct sessions *s = round->l->s;
	uint8_t role = session_dir_role(s, dir);
	int r = 0;

	if (role == ROLE_WORKFLOW)
		return look_workflow(round, dir, 0);
	if (role != ROLE_USERS && role != ROLE_USER && role != ROLE_TRASH)
		return 0;
	r = core_readdir(s->core, dir, 0, false, list_one, &list);
	for (size_t i = 0; r == 0 && i < list.len / sizeof(struct entry); i++) {
		r = look_below(round, entry_at(&list, i)->ino);
		r = goes_on(round, r, "looking at old sessions") ? 0 : -ECANCELED;
	}
	return r;
}

/* Whether its policies limit what it may hold. If not that is remembered, and growth is not told any more. */
static int is_limited(struct sessions *s, struct inode *dir, bool *ret_limited)
{
	uint64_t policies = policies_of_now(s); /* before they are read */
	struct session_memory *memory;
	int64_t max;
	int r = session_policy(s, dir, dir->rec.role == ROLE_SESSION ? "max_messages" : "max_sessions", &max);

	if (r < 0)
		return r;
	*ret_limited = max > 0;
	if (max > 0)
		return 0;
	pthread_rwlock_wrlock(&dir->container->lock);
	memory = memory_of(dir->container);
	if (memory)
		memory->unlimited = policies;
	pthread_rwlock_unlock(&dir->container->lock);
	return 0;
}

static int look_at_one(struct round *round, const struct touched *touched)
{
	_cleanup_inode_ struct inode *dir = NULL;
	struct sessions *s = round->l->s;
	bool limited = true;
	int r = inode_get(s->core, (uint64_t)touched->container << 8, NULL, &dir);

	if (r == 0 && touched->grown)
		r = is_limited(s, dir, &limited);
	if (r < 0 || !limited)
		return r;
	pthread_rwlock_rdlock(&dir->lock);
	uint64_t parent = dir->rec.parent;
	pthread_rwlock_unlock(&dir->lock);
	if (dir->rec.role == ROLE_SESSION)
		return look_workflow(round, parent, dir->ino);
	return dir->rec.role == ROLE_WORKFLOW ? look_workflow(round, dir->ino, 0) : 0;
}

static int64_t look_at_touched(struct lifecycle *l)
{
	_cleanup_free_ struct touched *touched = NULL;
	struct round round = {.l = l, .now = session_clock_least(l->s), .next = TIME_NEVER,
	        .repack = {.s = l->s, .stop = &l->stop}};
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->n;
	touched = n ? malloc(n * sizeof *touched) : NULL;
	if (touched) {
		memcpy(touched, l->touched, n * sizeof *touched);
		l->n = 0;
		l->waiting = false;
	}
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; touched && i < n; i++)
		if (!goes_on(&round, look_at_one(&round, &touched[i]), "looking at a session"))
			break;
	repack_end(&round.repack);
	return round.next;
}

static int64_t look_at_all(struct lifecycle *l)
{
	int64_t now = session_clock_least(l->s);
	struct round round = {.l = l, .now = now, .next = now + HOUR_MS, .repack = {.s = l->s, .stop = &l->stop}};

	pthread_mutex_lock(&l->lock);
	l->all = false;
	pthread_mutex_unlock(&l->lock);
	(void)look_below(&round, CORE_ROOT_INO);
	repack_end(&round.repack);
	return round.next;
}

int64_t lifecycle_pass(struct sessions *s)
{
	int64_t next = look_at_touched(s->lifecycle), all = look_at_all(s->lifecycle);
	return next < all ? next : all;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *run(void *arg)
{
	struct lifecycle *l = arg;
	int64_t all_at = session_clock_least(l->s) + FIRST_MS;

	pthread_mutex_lock(&l->lock);
	for (int64_t next = all_at; !l->stop;) {
		int64_t now = session_clock_least(l->s);
		/* The clock was set back. */
		all_at = all_at < now + HOUR_MS ? all_at : now + HOUR_MS;
		next = next < all_at ? next : all_at;
		struct timespec ts = steady_in(next - now);
		while (!l->stop && !l->kicked && pthread_cond_timedwait(&l->wake, &l->lock, &ts) == 0)
			;
		struct timespec gather = steady_in(GATHER_MS);
		while (!l->stop && pthread_cond_timedwait(&l->wake, &l->lock, &gather) == 0)
			;
		l->kicked = false;
		bool all = l->all || session_clock_least(l->s) >= all_at, stop = l->stop;
		pthread_mutex_unlock(&l->lock);
		next = stop ? TIME_NEVER : look_at_touched(l);
		if (all && !stop)
			all_at = look_at_all(l);
		next = next < all_at ? next : all_at;
		pthread_mutex_lock(&l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

int lifecycle_start(struct sessions *s, bool threaded)
{
	struct kv_state state;
	struct lifecycle *l;

	kv_get_state(core_kv(s->core), &state);
	if (state.read_only)
		return 0;
	l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->s = s;
	l->threaded = threaded;
	pthread_mutex_init(&l->lock, NULL);
	steady_cond_init(&l->wake);
	s->lifecycle = l;
	if (threaded && pthread_create(&l->thread, NULL, run, l) != 0) {
		l->threaded = false;
		lifecycle_stop(s);
		return -EAGAIN;
	}
	return 0;
}

void lifecycle_stop(struct sessions *s)
{
	struct lifecycle *l = s->lifecycle;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	__atomic_store_n(&l->stop, true, __ATOMIC_RELAXED);
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	if (l->threaded)
		pthread_join(l->thread, NULL);
	s->lifecycle = NULL;
	pthread_cond_destroy(&l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
