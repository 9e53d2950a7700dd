#include "kv/crew.h"

#include "kv/cleanup.h"

#include <signal.h>
#include <sys/sysinfo.h>

/* Lies on its owner's stack: gone when the owner has left crew_run(). */
struct crew_row {
	void (*work)(void *arg, size_t i);
	void *arg;
	size_t n;
	_Atomic size_t next;
	unsigned inside; /* crew->lock: threads that are at it */
};

static void take_part(struct crew_row *row)
{
	for (size_t i; (i = atomic_fetch_add(&row->next, 1)) < row->n;)
		row->work(row->arg, i);
}

static void *crew_thread(void *arg)
{
	struct crew *crew = arg;

	MUTEX_GUARD(&crew->lock);
	while (!crew->ended) {
		struct crew_row *row = crew->row;

		if (!row || atomic_load(&row->next) >= row->n) {
			pthread_cond_wait(&crew->wake, &crew->lock);
			continue;
		}
		row->inside++;
		pthread_mutex_unlock(&crew->lock);
		take_part(row);
		pthread_mutex_lock(&crew->lock);
		if (--row->inside == 0)
			pthread_cond_signal(&crew->done);
	}
	return NULL;
}

/* Under crew->lock. Those that do not start are not missed. */
static void begin(struct crew *crew)
{
	int processors = get_nprocs();
	sigset_t all, old;

	crew->begun = true;
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while ((int)crew->started < processors - 1 && crew->started < CREW_MOST &&
		pthread_create(&crew->threads[crew->started], NULL, crew_thread, crew) == 0)
		crew->started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void crew_init(struct crew *crew)
{
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->wake, NULL);
	pthread_cond_init(&crew->done, NULL);
}

void crew_release(struct crew *crew)
{
	pthread_mutex_lock(&crew->lock);
	crew->ended = true;
	pthread_cond_broadcast(&crew->wake);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->started; i++)
		pthread_join(crew->threads[i], NULL);
	pthread_cond_destroy(&crew->done);
	pthread_cond_destroy(&crew->wake);
	pthread_mutex_destroy(&crew->lock);
}

/* Whether the row is the one that is shared now. */
static bool share(struct crew *crew, struct crew_row *row)
{
	MUTEX_GUARD(&crew->lock);
	if (!crew->begun)
		begin(crew);
	if (crew->row || crew->started == 0)
		return false;
	crew->row = row;
	pthread_cond_broadcast(&crew->wake);
	return true;
}

void crew_run(struct crew *crew, void (*work)(void *arg, size_t i), void *arg, size_t n)
{
	struct crew_row row = {.work = work, .arg = arg, .n = n};
	bool shared = n > 1 && share(crew, &row);

	take_part(&row);
	if (!shared)
		return;
	MUTEX_GUARD(&crew->lock);
	crew->row = NULL; /* nobody joins any more */
	while (row.inside > 0)
		pthread_cond_wait(&crew->done, &crew->lock);
}
