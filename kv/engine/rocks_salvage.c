/*
 * rocks_salvage.c: RocksDB's files made usable again, in a copy.
 *
 * First the usual way in, but past damaged records of the log: where tables and MANIFEST are good that
 * is all. Else RocksDB's own repair: it reads every table, turns the logs into tables and writes a new
 * MANIFEST and CURRENT. It knows a column family only from a table in it, and drops what a log holds
 * of any other, so a young store, all of which is in its log, would come out empty. Hence a seed: for each
 * family a table with a delete of a key that is never used, made in a database of its own, with the same
 * families and so the same numbers of them, and put among the copy's tables under numbers that are free.
 */
#include "kv/engine/rocks_internal.h"

#include "kv/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define SEED_DIR "seed"

static unsigned long file_number(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".sst") || !strcmp(dot, ".log")) ? strtoul(name, NULL, 10) : 0;
}

/* The highest number of a file in @dir. */
static unsigned long highest(int dir)
{
	DIR *entries = fdopendir(dup(dir));
	unsigned long n = 0;
	struct dirent *d;

	while (entries && (d = readdir(entries)))
		if (file_number(d->d_name) > n)
			n = file_number(d->d_name);
	if (entries)
		closedir(entries);
	return n;
}

/* Opens and closes it, by which the log becomes a table. */
static int open_once(const char *path, const struct kv_options *options)
{
	struct kv_engine *e;
	int r = rocks_open_skipping(path, options, &e);

	if (r == 0)
		rocks_close(e);
	return r;
}

/* A database with one table in each family. */
static int make_seed(const char *path, const struct kv_options *options)
{
	static const uint8_t key[] = {0};
	struct kv_write writes[KV_FAMILIES];
	struct kv_engine *e;
	int r = rocks_open(path, options, false, &e);

	if (r < 0)
		return r;
	for (int f = 0; f < KV_FAMILIES; f++)
		writes[f] = (struct kv_write){.family = f, .key = key, .key_len = sizeof key};
	r = kv_engine_rocks.write(e, writes, KV_FAMILIES);
	rocks_close(e);
	return r;
}

/* Moves the seed's tables up into the database, and removes what is left of the seed. */
static int move_seed(const char *path)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int seed = -1;
	unsigned long next;
	struct dirent *d;
	DIR *entries;
	char name[32];
	int r = 0;

	if (dir < 0)
		return -errno;
	seed = openat(dir, SEED_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	entries = seed < 0 ? NULL : fdopendir(dup(seed));
	if (!entries)
		return -errno;
	next = highest(dir);
	while (r == 0 && (d = readdir(entries))) {
		const char *dot = strrchr(d->d_name, '.');
		if (dot && strcmp(dot, ".sst") == 0) {
			snprintf(name, sizeof name, "%06lu.sst", ++next);
			r = renameat(seed, d->d_name, dir, name) < 0 ? -errno : 0;
		} else {
			unlinkat(seed, d->d_name, 0);
		}
	}
	closedir(entries);
	if (r == 0)
		unlinkat(dir, SEED_DIR, AT_REMOVEDIR);
	return r;
}

static int repair(const char *path, const struct kv_options *options)
{
	_cleanup_free_ char *seed = NULL;
	struct kv_engine *e;
	char *error = NULL;
	int r;

	if (asprintf(&seed, "%s/" SEED_DIR, path) < 0)
		return -ENOMEM;
	r = make_seed(seed, options);
	if (r == 0)
		r = move_seed(path);
	if (r < 0)
		return r;
	e = rocks_new(options, false, false);
	if (!e)
		return -ENOMEM;
	rocksdb_repair_db(e->options[KV_SYS], path, &error);
	r = rocks_error(NULL, "repair", error);
	rocks_close(e);
	return r;
}

int rocks_salvage(const char *path, const struct kv_options *options)
{
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return -errno;
	if (highest(dir) == 0) /* no table, no log: nothing to make anything of */
		return -EBADMSG;
	r = open_once(path, options);
	if (r == 0 || r == -ENOSPC || r == -ENOMEM || r == -EACCES || r == -EROFS)
		return r;
	r = repair(path, options);
	return r < 0 ? r : open_once(path, options);
}
