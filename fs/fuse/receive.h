/*
 * receive.h: which thread reads the next request. Internal.
 *
 * libfuse lets every worker sleep in read(): the kernel wakes one for each request, although the thread that
 * has just served one could take it at once, and a process that works on files sends its next request within
 * microseconds. So:
 *
 *   1. Who has served a request tries to read the next one.
 *   2. Nothing there: one thread, the waiter, looks again and again for RECEIVE_SPIN_NS and then sleeps in
 *      poll(). The others are parked on a semaphore, where no request wakes them.
 *      While the flusher owes an answer it looks on, RECEIVE_OWED_NS at most: the caller goes on as soon as it
 *      has it, and a processor that slept meanwhile takes longer for what follows than the disk for a sync.
 *   3. Who got a request that takes longer than a thread's wake-up calls a parked thread where more are pending.
 *   4. A handler may take long (a large write) or wait. So while there is work a watch looks every
 *      RECEIVE_TICK_NS: where nobody waits and nothing was received since the last look, it calls a parked
 *      thread. An idle mount has no ticks: the watch sleeps, and the waiter that comes out of poll() wakes it.
 *
 * `waiting` and `parked` are a pair of flags, each written before the other one is read: a thread that parks
 * and a waiter that leaves cannot miss each other.
 */
#ifndef SCRIBEFS_FS_FUSE_RECEIVE_H
#define SCRIBEFS_FS_FUSE_RECEIVE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RECEIVE_SPIN_NS 20000
#define RECEIVE_OWED_NS 200000
#define RECEIVE_TICK_NS 1000000
#define RECEIVE_QUIET_TICKS 20 /* after these without work the watch sleeps */

struct receive {
	_Atomic bool waiting;	   /* there is a waiter */
	_Atomic unsigned parked;   /* threads on the semaphore */
	_Atomic uint64_t received; /* requests */
	_Atomic unsigned owed;	   /* answers that are the flusher's */
	_Atomic bool watch_sleeps;
	_Atomic bool ended;
	sem_t bench; /* parked threads */
	sem_t alarm; /* the sleeping watch */
	long spin_ns; /* constant: 0 on one processor */
	pthread_t watch;
};

/* Starts the watch. 0 or -errno. */
int receive_start(struct receive *r);
/* Ends it, when no thread is in receive_next() any more. */
void receive_stop(struct receive *r);

/*
 * read(2) of the next request from @fd, the calling thread's own descriptor of the device, which is made
 * non-blocking. A cancellation point.
 */
ssize_t receive_next(struct receive *r, int fd, void *buf, size_t size);

/* The answer to a request is the flusher's from here on; it was given. Any thread. */
void receive_owe(struct receive *r);
void receive_paid(struct receive *r);

#endif
