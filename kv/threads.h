/*
 * threads.h: whether threads can be started, asked before somebody does who cannot bear a no: RocksDB ends the
 * process where the system refuses it a thread (RLIMIT_NPROC, a cgroup's pids.max, memory for a stack).
 */
#ifndef SCRIBEFS_KV_THREADS_H
#define SCRIBEFS_KV_THREADS_H

/*
 * Starts @n threads that do nothing, beside each other, and ends them: 0, or -EAGAIN where not all of them could be.
 * When it returns they count no more. Others may take the room meanwhile.
 */
int threads_spare(unsigned n);

#endif
