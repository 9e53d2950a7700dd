/*
 * The flusher: one thread that syncs the engine for all that wait, so that no caller's thread waits
 * for the disk unless it wants to. It takes every waiter there is, notes the last published commit,
 * syncs, writes the mark, and answers them all; who comes meanwhile is served by the next round. On
 * its own it syncs in time before something has been unsynced for sync_seconds, and looks at the free
 * space once a second. The mark is synced after the answers, now and then; and how far it was synced is
 * told outside of the store (seen.c).
 *
 * A sync that failed is final for the engine: the kernel may have dropped the pages that it could
 * not write, so that a second fsync would succeed over a hole. It is healed (heal.c) by writing the
 * data anew; who waits is answered after that, or when commits are no longer held up.
 */
#include "kv/kv_internal.h"

#include <sched.h>
#include <signal.h>
#include <time.h>

#define EXPECT_NS 200000
#define TICK_MS 1000
#define SYNC_SECONDS_DEFAULT 5
#define MARK_MS 4000

int64_t kv_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t kv_synced(const struct kv *kv)
{
	return atomic_load(&((struct kv *)kv)->flusher.synced);
}

void kv_flusher_note(struct kv *kv)
{
	int64_t none = 0;

	if (atomic_load(&kv->flusher.dirty_since) == 0)
		atomic_compare_exchange_strong(&kv->flusher.dirty_since, &none, kv_now_ms());
}

/* A mark that could not be written lags, which costs detection and no data. */
static void note_synced(struct kv *kv, uint64_t sequence)
{
	atomic_store(&kv->flusher.synced, sequence);
	(void)kv_mark_write(kv, &kv->mark, sequence, false);
}

/* One sync of all that is published. The flusher's thread, or after it is joined. */
static int sync_once(struct kv *kv)
{
	struct kv_flusher *f = &kv->flusher;
	uint64_t sequence;
	int r = kv_health_error(kv);

	if (r < 0)
		return r;
	/* Before the sequence is read: a commit after that sets it again. */
	atomic_store(&f->dirty_since, 0);
	sequence = atomic_load(&kv->commit.published);
	if (sequence == atomic_load(&f->synced))
		return 0;
	r = kv->ops->sync(kv->engine);
	if (r < 0) {
		kv_health_fail(kv, r);
		return r;
	}
	note_synced(kv, sequence);
	return 0;
}

static int heal(struct kv *kv)
{
	/* Commits wait for the healing, so that this is the last one. */
	uint64_t sequence = atomic_load(&kv->commit.published);
	int r = kv_heal(kv);

	if (r == 0)
		note_synced(kv, sequence);
	return r;
}

static bool stopping(struct kv_flusher *f)
{
	MUTEX_GUARD(&f->lock);
	return f->stop;
}

/* As long as commits are held up: who waits for a sync is not told of what can be made good. */
static int heal_for_waiters(struct kv *kv)
{
	struct timespec pause = {.tv_nsec = 50000000};
	int r = heal(kv);

	while (r < 0 && kv_health_check(kv) == -EAGAIN && !stopping(&kv->flusher)) {
		nanosleep(&pause, NULL);
		r = heal(kv);
	}
	return r;
}

static void serve(struct kv *kv, struct kv_waiter *waiters, size_t n)
{
	int r = sync_once(kv);

	if (r < 0)
		r = heal_for_waiters(kv);
	for (size_t i = 0; i < n; i++)
		waiters[i].done(waiters[i].arg, r);
}

static bool sync_due(struct kv *kv, int64_t now)
{
	unsigned seconds =
		kv->options.sync_seconds ? kv->options.sync_seconds : SYNC_SECONDS_DEFAULT;
	int64_t since = atomic_load(&kv->flusher.dirty_since);

	/* The next look is a tick away, and what is committed now was written up to a second ago. */
	return kv_health_error(kv) == 0 && since &&
	       now + 2 * TICK_MS >= since + (int64_t)seconds * 1000;
}

static bool mark_due(const struct kv *kv, int64_t now, int64_t synced)
{
	return kv->mark.unsynced && now - synced >= MARK_MS;
}

static void wait_tick(struct kv_flusher *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TICK_MS / 1000;
	pthread_cond_timedwait(&f->wake, &f->lock, &until);
}

/* A waiter is on its way: being awake when it comes saves it the thread's wake-up. With lock, given up meanwhile. */
static void await_expected(struct kv_flusher *f)
{
	struct timespec start, now;

	pthread_mutex_unlock(&f->lock);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!atomic_load(&f->come) &&
		 (now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < EXPECT_NS);
	atomic_store(&f->expected, false);
	pthread_mutex_lock(&f->lock);
}

static void *flusher_run(void *arg)
{
	struct kv *kv = arg;
	struct kv_flusher *f = &kv->flusher;
	struct kv_waiter *spare = NULL;
	size_t spare_cap = 0;
	int64_t looked = kv_now_ms(), marked = looked;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		struct kv_waiter *waiters = f->waiters;
		size_t n = f->waiters_n, cap = f->waiters_cap;
		int64_t now = kv_now_ms();

		if (n == 0 && !sync_due(kv, now)) {
			if (f->stop)
				break;
			if (atomic_load(&f->expected)) {
				await_expected(f);
				continue;
			}
			if (now - looked < TICK_MS && !kv_heal_due(kv))
				wait_tick(f);
		}
		if (n) {
			f->waiters = spare;
			f->waiters_cap = spare_cap;
			f->waiters_n = 0;
			atomic_store(&f->come, false);
		}
		pthread_mutex_unlock(&f->lock);
		if (n || sync_due(kv, now))
			serve(kv, waiters, n);
		if (kv_heal_due(kv))
			(void)heal(kv);
		if (now - looked >= TICK_MS) {
			kv_space_tend(kv);
			kv_health_tell(kv);
			kv_seen_tick(kv, now);
			kv_busy_tick(kv, now);
			looked = now;
		}
		if (mark_due(kv, now, marked)) {
			kv_mark_sync(&kv->mark);
			marked = now;
		}
		pthread_mutex_lock(&f->lock);
		if (n) {
			spare = waiters;
			spare_cap = cap;
		}
	}
	pthread_mutex_unlock(&f->lock);
	free(spare);
	return NULL;
}

int kv_flusher_start(struct kv *kv)
{
	sigset_t all, old;
	int r;

	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&kv->flusher.thread, NULL, flusher_run, kv);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	kv->flusher.running = r == 0;
	return -r;
}

int kv_flusher_stop(struct kv *kv)
{
	struct kv_flusher *f = &kv->flusher;

	if (!f->running)
		return 0;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	f->running = false;
	free(f->waiters);
	f->waiters = NULL;
	return sync_once(kv);
}

void kv_flusher_wake(struct kv *kv)
{
	MUTEX_GUARD(&kv->flusher.lock);
	pthread_cond_signal(&kv->flusher.wake);
}

static int add_waiter(struct kv_flusher *f, void (*done)(void *, int), void *arg)
{
	MUTEX_GUARD(&f->lock);
	if (f->waiters_n == f->waiters_cap) {
		size_t cap = f->waiters_cap ? 2 * f->waiters_cap : 16;
		struct kv_waiter *waiters = reallocarray(f->waiters, cap, sizeof *waiters);
		if (!waiters)
			return -ENOMEM;
		f->waiters = waiters;
		f->waiters_cap = cap;
	}
	atomic_store(&f->come, true);
	f->waiters[f->waiters_n++] = (struct kv_waiter){.done = done, .arg = arg};
	pthread_cond_signal(&f->wake);
	return 0;
}

void kv_sync_soon(struct kv *kv)
{
	struct kv_flusher *f = &kv->flusher;

	if (kv->state.read_only || atomic_exchange(&f->expected, true))
		return;
	MUTEX_GUARD(&f->lock);
	pthread_cond_signal(&f->wake);
}

void kv_sync_async(struct kv *kv, void (*done)(void *arg, int error), void *arg)
{
	int r = 0;

	if (!kv->state.read_only &&
		atomic_load(&kv->commit.published) != atomic_load(&kv->flusher.synced)) {
		r = add_waiter(&kv->flusher, done, arg);
		if (r == 0)
			return;
	}
	done(arg, r);
}

struct sync_wait {
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	bool done;
	int error;
};

static void sync_done(void *arg, int error)
{
	struct sync_wait *w = arg;

	/* The signal comes before the unlock: the waiter's stack may be gone after it. */
	MUTEX_GUARD(&w->lock);
	w->done = true;
	w->error = error;
	pthread_cond_signal(&w->done_cond);
}

int kv_sync(struct kv *kv)
{
	struct sync_wait w = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .done_cond = PTHREAD_COND_INITIALIZER};

	kv_sync_async(kv, sync_done, &w);
	pthread_mutex_lock(&w.lock);
	while (!w.done)
		pthread_cond_wait(&w.done_cond, &w.lock);
	pthread_mutex_unlock(&w.lock);
	return w.error;
}
