/*
 * The gate: who is inside uses the engine, and the engine is exchanged only while nobody is. A get
 * is inside for its call; a transaction, a view and an iterator as long as they live, since they
 * hold pieces of the engine. To enter and to leave costs one atomic operation each.
 *
 * Closing asks first: while the gate drains, a thread that holds nothing yet waits a moment before
 * it enters. Only a moment: what is inside may wait for a lock that the thread has. So nothing is
 * stuck, and with all newcomers delayed the last one inside is soon out. Then the gate is closed,
 * and who comes waits until it opens: whoever closed it waits for nobody.
 */
#include "kv/kv_internal.h"

#include <time.h>

#define CLOSED (1u << 31)
#define DRAINING (1u << 30)
#define DELAY_MS 50

/* How many pieces of engines this thread holds. They are freed by the thread that got them. */
static _Thread_local unsigned held;

bool kv_gate_holds(void)
{
	return held > 0;
}

void kv_gate_init(struct kv_gate *g)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&g->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void kv_gate_release(struct kv_gate *g)
{
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->changed);
}

static struct timespec after_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_nsec -= 1000000000;
		t.tv_sec++;
	}
	return t;
}

static void step_out(struct kv_gate *g)
{
	if (atomic_fetch_sub(&g->state, 1) != (DRAINING | 1))
		return;
	MUTEX_GUARD(&g->lock);
	pthread_cond_broadcast(&g->changed);
}

/* Until it is open; while it only drains, for a moment. */
static void wait_outside(struct kv_gate *g)
{
	struct timespec until = after_ms(DELAY_MS);

	MUTEX_GUARD(&g->lock);
	for (;;) {
		unsigned state = atomic_load(&g->state);

		if (state & CLOSED)
			pthread_cond_wait(&g->changed, &g->lock);
		else if (!(state & DRAINING) ||
			pthread_cond_timedwait(&g->changed, &g->lock, &until) == ETIMEDOUT)
			return;
	}
}

int kv_enter(struct kv *kv)
{
	struct kv_gate *g = &kv->gate;
	unsigned state = atomic_fetch_add(&g->state, 1);

	for (bool waited = held > 0; state & CLOSED || (state & DRAINING && !waited); waited = true) {
		step_out(g);
		wait_outside(g);
		state = atomic_fetch_add(&g->state, 1);
	}
	if (!kv->engine) {
		step_out(g);
		return -EIO;
	}
	held++;
	return 0;
}

void kv_leave(struct kv *kv)
{
	held--;
	step_out(&kv->gate);
}

int kv_gate_close(struct kv_gate *g, unsigned ms)
{
	struct timespec until = after_ms(ms);
	int r = 0;

	MUTEX_GUARD(&g->lock);
	atomic_fetch_or(&g->state, DRAINING);
	for (;;) {
		unsigned empty = DRAINING;

		if (atomic_compare_exchange_strong(&g->state, &empty, CLOSED))
			return 0;
		if (r == ETIMEDOUT)
			break;
		r = pthread_cond_timedwait(&g->changed, &g->lock, &until);
	}
	atomic_fetch_and(&g->state, ~DRAINING);
	pthread_cond_broadcast(&g->changed);
	return -EBUSY;
}

void kv_gate_open(struct kv_gate *g)
{
	MUTEX_GUARD(&g->lock);
	atomic_fetch_and(&g->state, ~CLOSED);
	pthread_cond_broadcast(&g->changed);
}
