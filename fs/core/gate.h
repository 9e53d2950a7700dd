/*
 * gate.h: one instant for a snapshot. Only for fs/core.
 *
 * Whoever changes something goes through the gate while it does; a snapshot is taken while it is closed.
 * It is waited for only by who holds no lock; with locks held it is tried (op_commit()). Who has closed it
 * may take inodes' locks, and its own ops pass.
 */
#ifndef SCRIBEFS_FS_CORE_GATE_H
#define SCRIBEFS_FS_CORE_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct gate {
	pthread_rwlock_t lock;
	_Atomic unsigned closing; /* who have closed it or are about to; not 0 before it can be tried in vain */
	_Atomic pthread_t closer; /* while it is closed */
};

void gate_init(struct gate *g);
void gate_release(struct gate *g);
/* No locks held. */
void gate_enter(struct gate *g);
/* False: it is closed, or about to be. True for the closer too. */
bool gate_try(struct gate *g);
void gate_leave(struct gate *g);
/* Returns when it is open; the closer passes. No locks held. */
void gate_wait(struct gate *g);
void gate_close(struct gate *g);
void gate_open(struct gate *g);

#endif
