#include "kv/engine/rocks_internal.h"
#include "kv/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_AGAIN_SECONDS 60

/* The C API hands out only Status::ToString(): a class of error, then strerror()'s text. */
int rocks_error_number(const char *text)
{
	static const struct {
		const char *part;
		int error;
	} map[] = {
		{"No space left", -ENOSPC},
		{"Disk quota exceeded", -ENOSPC},
		{"Read-only file system", -EROFS},
		{"Permission denied", -EACCES},
		{"While lock file", -EBUSY},
		{"lock hold by current process", -EBUSY},
		{"Not supported operation in read only mode", -EROFS},
		{"Cannot allocate memory", -ENOMEM},
		{"Too many open files", -EMFILE},
		{"Corruption", -EBADMSG},
		{"does not exist (create_if_missing is false)", -EBADMSG},
		{"Column family not found", -EBADMSG},
		{"Column families not opened", -EBADMSG},
	};

	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (strstr(text, map[i].part))
			return map[i].error;
	/* A table file that is gone or cut is reported as an I/O error of its name. */
	return -EIO;
}

int rocks_error(struct kv_engine *e, const char *doing, char *text)
{
	struct timespec now;
	int error;

	if (!text)
		return 0;
	error = rocks_error_number(text);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	/* A failed disk answers every call with the same string: one line is enough. */
	if (!e || atomic_exchange(&e->logged_error, error) != error ||
		now.tv_sec - atomic_load(&e->logged_at) >= LOG_AGAIN_SECONDS) {
		if (e)
			atomic_store(&e->logged_at, (long)now.tv_sec);
		log_error("database: %s: %s", doing, text);
	}
	rocksdb_free(text);
	return error;
}
