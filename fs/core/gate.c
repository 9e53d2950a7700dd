#include "fs/core/gate.h"

void gate_init(struct gate *g)
{
	pthread_rwlockattr_t attr;

	/* Writers first: a snapshot must not wait for ever behind those who write all the time. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&g->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

void gate_release(struct gate *g)
{
	pthread_rwlock_destroy(&g->lock);
}

static bool is_closer(struct gate *g)
{
	return atomic_load(&g->closing) && pthread_equal(atomic_load(&g->closer), pthread_self());
}

void gate_enter(struct gate *g)
{
	pthread_rwlock_rdlock(&g->lock);
}

bool gate_try(struct gate *g)
{
	return is_closer(g) || pthread_rwlock_tryrdlock(&g->lock) == 0;
}

void gate_leave(struct gate *g)
{
	if (!is_closer(g))
		pthread_rwlock_unlock(&g->lock);
}

void gate_wait(struct gate *g)
{
	if (!atomic_load(&g->closing) || is_closer(g))
		return;
	pthread_rwlock_rdlock(&g->lock);
	pthread_rwlock_unlock(&g->lock);
}

void gate_close(struct gate *g)
{
	atomic_fetch_add(&g->closing, 1);
	pthread_rwlock_wrlock(&g->lock);
	atomic_store(&g->closer, pthread_self());
}

void gate_open(struct gate *g)
{
	atomic_store(&g->closer, (pthread_t)0);
	pthread_rwlock_unlock(&g->lock);
	/* Last: who tried in vain is to wait as long as this thread may be interrupted before it has opened. */
	atomic_fetch_sub(&g->closing, 1);
}
