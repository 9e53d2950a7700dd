/*
 * What a new manifest names is on the disk before it counts. RocksDB makes a manifest the one that counts by
 * renaming a file to CURRENT, and syncs the directory afterwards. A recovery has written tables by then, whose names
 * are no more durable than the new CURRENT: POSIX lets a disk keep that one and lose the others, and the database
 * would miss a table.
 *
 * RocksDB has no hook there, so rename() is ours, as the check sums are in rocks_crc.c: the directory of a CURRENT is
 * synced before.
 */
#include "kv/engine/rocks_internal.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef int (*rename_call)(const char *from, const char *to);

static rename_call next_call(void)
{
	static _Atomic(rename_call) next;
	rename_call call = atomic_load(&next);

	if (!call) {
		*(void **)&call = dlsym(RTLD_NEXT, "rename");
		atomic_store(&next, call);
	}
	return call;
}

/* 0, or -1 with errno. */
static int sync_folder_of_current(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	_cleanup_close_ int fd = -1;

	if (!slash || strcmp(slash, "/CURRENT") != 0)
		return 0;
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to)
{
	rename_call next = next_call();

	if (sync_folder_of_current(to) < 0)
		return -1;
	return next ? next(from, to) : renameat(AT_FDCWD, from, AT_FDCWD, to);
}
