/*
 * cleanup.h: scope-bound release of memory, locks and descriptors.
 *
 * Any layer may include it. DEFINE_CLEANUP(type *, foo_free) makes `_cleanup_(foo_freep)` usable on
 * a variable of that type; steal_ptr() hands its value over and leaves NULL behind.
 */
#ifndef SCRIBEFS_KV_CLEANUP_H
#define SCRIBEFS_KV_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))

#define DEFINE_CLEANUP(type, func)                                                                 \
	static inline void func##p(type *p)                                                        \
	{                                                                                          \
		if (*p)                                                                            \
			func(*p);                                                                  \
	}                                                                                          \
	struct func##p_needs_semicolon

#define steal_ptr(p)                                                                               \
	__extension__({                                                                            \
		__typeof__(p) stolen_ = (p);                                                       \
		(p) = NULL;                                                                        \
		stolen_;                                                                           \
	})

static inline void free_p(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(free_p)

static inline void close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define _cleanup_close_ _cleanup_(close_p)

static inline void mutex_unlock_p(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}
static inline pthread_mutex_t *mutex_lock_ret(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}
/* Holds @m to the end of the scope. */
#define MUTEX_GUARD_(m, line)                                                                      \
	_cleanup_(mutex_unlock_p) __attribute__((unused)) pthread_mutex_t *guard_##line =          \
		mutex_lock_ret(m)
#define MUTEX_GUARD__(m, line) MUTEX_GUARD_(m, line)
#define MUTEX_GUARD(m) MUTEX_GUARD__(m, __LINE__)

#endif
