/*
 * The sync of the log, kept apart from writes to it.
 *
 * A log that could not be written to must not be synced: where the writer of the log has an error that RocksDB has not
 * told us of yet, the sync runs into an assertion of RocksDB's (7.8.3 is packaged with its assertions on), and the
 * process is gone. So who writes and who syncs exclude each other, but not for the time that the disk takes: the lock
 * is given up for fdatasync(2), which is the only call in a sync that waits.
 *
 * RocksDB has no hook there, so fdatasync() is ours: the definition in a program comes before the C library's. It is
 * the next one's, be it the C library's or that of a library of tests, for every thread that is in no sync.
 */
#include "kv/engine/rocks_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct kv_engine *syncing;

typedef int (*sync_call)(int fd);

static sync_call next_call(void)
{
	static _Atomic(sync_call) next;
	sync_call call = atomic_load(&next);

	if (!call) {
		*(void **)&call = dlsym(RTLD_NEXT, "fdatasync");
		atomic_store(&next, call);
	}
	return call;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	struct kv_engine *e = syncing;
	sync_call next = next_call();
	int r;

	if (e)
		pthread_mutex_unlock(&e->log_lock);
	r = next ? next(fd) : (int)syscall(SYS_fdatasync, fd);
	if (!e)
		return r;
	int error = errno;
	pthread_mutex_lock(&e->log_lock);
	/* A write failed meanwhile: RocksDB goes no further with an error, and the log is not good anyway. */
	if (r == 0 && atomic_load(&e->failed)) {
		error = EIO;
		r = -1;
	}
	errno = error;
	return r;
}

int rocks_sync(struct kv_engine *e)
{
	char *error = NULL;
	int r;

	/* One after the other: a second one would wait within RocksDB, with the lock that the first one needs. */
	pthread_mutex_lock(&e->sync_lock);
	pthread_mutex_lock(&e->log_lock);
	r = atomic_load(&e->failed);
	if (r == 0) {
		rocks_room_sync(e); /* what is written from here on may be the next one's */
		syncing = e;
		rocksdb_flush_wal(e->db, 1, &error);
		syncing = NULL;
		r = rocks_error(e, "sync", error);
		if (r < 0 && !atomic_load(&e->failed))
			atomic_store(&e->failed, r);
	}
	pthread_mutex_unlock(&e->log_lock);
	pthread_mutex_unlock(&e->sync_lock);
	return r;
}
