#include "kv/threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#define MOST 64
#define GONE_MS 20

static void *wait_for_all(void *lock)
{
	pthread_mutex_lock(lock);
	pthread_mutex_unlock(lock);
	return NULL;
}

/* Threads of this process; 0 where nobody tells. */
static nlink_t count(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) < 0 ? 0 : st.st_nlink;
}

/* Who was joined counts against the limits for a moment still; others may begin meanwhile, so not for long. */
static void wait_until_gone(nlink_t before)
{
	for (unsigned ms = 0; ms < GONE_MS && count() > before; ms++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

int threads_spare(unsigned n)
{
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t threads[MOST];
	nlink_t before = count();
	unsigned started = 0;
	sigset_t all, old;

	if (n > MOST)
		n = MOST;
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_mutex_lock(&lock);
	while (started < n && pthread_create(&threads[started], NULL, wait_for_all, &lock) == 0)
		started++;
	pthread_mutex_unlock(&lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	wait_until_gone(before);
	return started < n ? -EAGAIN : 0;
}
