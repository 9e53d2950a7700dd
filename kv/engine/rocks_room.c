/*
 * Room in the log ahead of what is written to it. The sync of a file that has grown also writes its inode,
 * which on a disk with a journal is a commit of that; one that was written inside of its length, over blocks
 * that are there, is a write of its data. So zeros are written ahead of the log's end, which RocksDB's readers
 * and rocks_log.c pass over.
 *
 * Nothing but a write() appends to the log, so between two of them its end stands still, and zeros behind its
 * length meet no record. RocksDB does not tell which log it writes to: the newest. When it has begun another
 * one, that one grows by itself until the room of the last would have been used up. Who writes much between
 * two syncs gets no room: zeros would be half of what is written, and the syncs are few. Nobody relies on the
 * room, and what fails here fails nobody.
 */
#include "kv/engine/rocks_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define ROOM_BYTES (256u << 10)
#define PIECE_BYTES 4096u	   /* a larger write makes large folios, which small writes into them pay for */
#define MUCH_BYTES (64u << 10)	   /* between two syncs */
#define DISK_LOW (1ull << 30)	   /* with less free on the disk the logs take what they hold */

static bool disk_has_room(int fd)
{
	struct statvfs disk;

	return fstatvfs(fd, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize >= DISK_LOW;
}

static void write_zeros(int fd, off_t from)
{
	static const uint8_t zeros[PIECE_BYTES];

	for (off_t at = from, n = 0; at < from + ROOM_BYTES; at += n) {
		n = PIECE_BYTES - at % PIECE_BYTES;
		if (pwrite(fd, zeros, (size_t)n, at) != n)
			return;
	}
}

void rocks_room_make(struct kv_engine *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (!atomic_load(&e->wants_room) || e->room > 0)
		return;
	e->room = ROOM_BYTES;
	fd = rocks_log_newest(e->dir);
	if (fd >= 0 && disk_has_room(fd) && fstat(fd, &st) == 0)
		write_zeros(fd, st.st_size);
}

void rocks_room_used(struct kv_engine *e, size_t bytes)
{
	e->room -= (int64_t)bytes;
	atomic_fetch_add(&e->unsynced, bytes);
}

void rocks_room_sync(struct kv_engine *e)
{
	size_t bytes = atomic_exchange(&e->unsynced, 0);

	atomic_store(&e->wants_room, bytes > 0 && bytes < MUCH_BYTES);
}
