/*
 * The sync of the log, without RocksDB.
 *
 * RocksDB 7.8.3 is packaged with its assertions on, and the writer of a log that has met an error must be called
 * no more: its own sync of the log runs into an assertion, and the process is gone, where a write has just failed,
 * and where it waits for a flush that is about to sync the same log and fails. Nobody outside can see either in
 * time. So the files are synced here. What a write has appended when it returns lies in its log, not in a buffer
 * of RocksDB's, and a log with a larger number follows once it is full: those from the last sync's newest on are
 * all that has anything to sync. (A flush syncs the logs before its own again, finds them clean, and tells the
 * manifest how long they are.)
 */
#include "kv/engine/rocks_internal.h"
#include "kv/log.h"

#include <errno.h>
#include <string.h>

int rocks_sync(struct kv_engine *e)
{
	int r;

	if (e->read_only)
		return -EROFS;
	MUTEX_GUARD(&e->sync_lock);
	r = atomic_load(&e->failed);
	if (r < 0)
		return r;
	rocks_room_sync(e); /* what is written from here on may be the next one's */
	r = rocks_log_sync(e->dir, &e->synced_log);
	if (r < 0) {
		log_error("database: sync: %s", strerror(-r));
		atomic_store(&e->failed, r);
		return r;
	}
	/* A write that failed meanwhile may have been told of dropped pages in our place: each error is told once. */
	return atomic_load(&e->failed);
}
