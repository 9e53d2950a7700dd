/*
 * crew.h: a few threads that share a row of like pieces of work with the thread that has it: sealing and opening
 * of what is large. Any thread.
 *
 * The threads start with the first row, and wait for the next one after it. One row at a time is shared: who
 * comes meanwhile does all of its own, as does everybody where there is one processor.
 */
#ifndef SCRIBEFS_KV_CREW_H
#define SCRIBEFS_KV_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define CREW_MOST 3 /* threads besides the caller's */
/* Bytes to be sealed or opened that are worth waking a thread for. */
#define CREW_WORTH ((size_t)64 << 10)

struct crew_row;

/* Embedded; zeroed but for crew_init(). */
struct crew {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;  /* the threads: a row, or the end */
	pthread_cond_t done;  /* the row's owner: nobody is at it any more */
	struct crew_row *row; /* NULL: none is shared */
	pthread_t threads[CREW_MOST];
	unsigned started;
	bool begun, ended;
};

void crew_init(struct crew *crew);
/* Joins the threads. No row may be under way. */
void crew_release(struct crew *crew);
/* Calls @work with each of 0 … @n - 1, in any order and side by side; returns when all calls have returned. */
void crew_run(struct crew *crew, void (*work)(void *arg, size_t i), void *arg, size_t n);

#endif
