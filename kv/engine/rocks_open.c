/*
 * How RocksDB is set up. The choices:
 *  - One column family per kv_family, since records of KV_META (hundreds of bytes, rewritten) and
 * of KV_DATA (4 to 32 KiB, write-once) want other block sizes and are compacted apart.
 *  - Chunks have a small cache of their own: what is read of a file the kernel keeps, and they would drive out the
 *    rest. The indexes of their tables lie beside the cache, some 200 KiB for 64 MiB.
 *  - A store that is older than a family gets it when it is opened; one that is only read has it empty.
 *  - Recovery stops at the first damaged record of the log (point in time): a torn tail is what a
 *    crash leaves. That it did not stop too early is checked above, by the commit's sequence.
 *  - RocksDB replays its logs over holes without a word. So the logs of a crash are looked at first
 *    (rocks_log.c): opened for writing, what lies behind a hole is cut off; read-only, it is left and
 *    RocksDB is given a copy of what lies before it. kv judges what the logs hold before they are cut
 *    or rewritten (open_judged), so nothing that was synced is lost.
 *  - A log is replayed once. What kv judges is found in the logs by the same look; only where it lies in
 *    the tables and in the logs, and the tables' may be the later one, is there a recovery in memory first.
 *  - Logs are not recycled: an old record must not be taken for one of the new log.
 *  - The kernel is not told that tables are read at random: it would not read ahead, and a large file's
 *    chunks lie one after the other.
 *  - Tables of records are small, and so is the first level below the newest ones. What is compacted into a level
 *    is written anew with all of that level that lies between its keys, which for the newest tables is all of it; from
 *    there down it is a table at a time. So a small change leaves most of a store's tables as they are, which
 *    backups share; of files' chunks it leaves all, for they are compacted late.
 *  - Values are sealed, so compression is off: they do not compress.
 *  - Close flushes the write buffers, so that the log of a cleanly closed store is empty: a flipped
 *    byte at rest is then in a table, where it hits one block and not all that follows.
 *  - A database is created only where there is none: RocksDB takes a directory that lost its
 * CURRENT file for an empty one and would delete the tables in it.
 *  - RocksDB writes nothing to its own text log, which is an empty file: on a full disk the second
 *    line that cannot be written to it aborts the process (7.8.3 is packaged with its assertions
 *    on). It has no name for that level, so it cannot write its OPTIONS file, which nobody needs;
 *    what it leaves of that is removed as soon as it is open. A read-only open has no text log; a
 *    directory for it that cannot be is how that is asked for.
 *
 * RocksDB starts its threads while it opens, and ends the process where one cannot be started. So it is looked first
 * whether so many can be, and -EAGAIN if not.
 *
 * RocksDB creates its files with the umask of the process, and a umask is process-wide: what keeps
 * others out is the mode of the directory, 0700.
 */
#include "kv/engine/rocks_internal.h"

#include "kv/threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMTABLE_BYTES_DEFAULT (16u << 20)
#define OPEN_FILES_MAX 256
#define OPENING_THREADS 4
#define ROCKS_THREADS (OPENING_THREADS + 4) /* one flushes, one compacts, one looks at the clock; one to spare */
#define POINT_IN_TIME_RECOVERY 2
#define SKIPPING_RECOVERY 3
#define LOG_LEVEL_NONE 6
#define NO_DIRECTORY "/dev/null/none"
#define DELETES_WINDOW 128
#define DATA_FIRST_LEVEL 40
#define DATA_LEVEL_BYTES (512u << 20)
#define LEVEL_BASE_BYTES (8u << 20)

static const char *const family_names[KV_FAMILIES] = {"default", "meta", "data",
	"history"};

static rocksdb_block_based_table_options_t *table_options(enum kv_family family, struct kv_engine *e)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, family == KV_DATA ? e->data_cache : e->cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, family != KV_DATA);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_filter_policy(
		t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_whole_key_filtering(t, 1);
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_block_based_options_set_block_size(t, family == KV_DATA ? 16 << 10 : 4 << 10);
	return t;
}

/*
 * Every table of the first level holds map pages, which come before all chunks, and so overlaps each other one and
 * what lies below: the compaction of a few writes a large file anew from its front. So it waits for many, some
 * 300 MB. They have filters, so that a look-up reads one of them.
 */
static void compact_late(rocksdb_options_t *o)
{
	rocksdb_options_set_level0_file_num_compaction_trigger(o, DATA_FIRST_LEVEL);
	rocksdb_options_set_level0_slowdown_writes_trigger(o, 2 * DATA_FIRST_LEVEL);
	rocksdb_options_set_level0_stop_writes_trigger(o, 3 * DATA_FIRST_LEVEL);
	rocksdb_options_set_max_bytes_for_level_base(o, DATA_LEVEL_BYTES);
}

static rocksdb_options_t *family_options(
	enum kv_family family, const struct kv_options *options, struct kv_engine *e)
{
	rocksdb_options_t *o = rocksdb_options_create();
	rocksdb_block_based_table_options_t *table = table_options(family, e);
	size_t memtable =
		options->memtable_bytes ? options->memtable_bytes : MEMTABLE_BYTES_DEFAULT;

	rocksdb_options_set_block_based_table_factory(o, table);
	rocksdb_block_based_options_destroy(table);
	rocksdb_options_set_compression(o, rocksdb_no_compression);
	rocksdb_options_set_write_buffer_size(o, memtable / 2);
	rocksdb_options_set_max_write_buffer_number(o, 3);
	rocksdb_options_set_compaction_style(o, rocksdb_level_compaction);
	rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
	rocksdb_options_set_target_file_size_base(o, family == KV_DATA ? 64u << 20 : 4u << 20);
	if (family == KV_DATA)
		compact_late(o);
	else
		rocksdb_options_set_max_bytes_for_level_base(o, LEVEL_BASE_BYTES);
	rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
	rocksdb_options_set_memtable_whole_key_filtering(o, 1);
	/*
	 * A table with a run of deletes is compacted soon: that is what frees the space. Not so a run in which each
	 * delete has a new version beside it: to free the few MB that were overwritten in a large file all of it
	 * would be written anew.
	 */
	rocksdb_options_add_compact_on_deletion_collector_factory(
		o, DELETES_WINDOW, DELETES_WINDOW / 4 * 3);
	return o;
}

static void database_options(
	rocksdb_options_t *o, const struct kv_options *options, bool create, bool read_only)
{
	size_t memtable =
		options->memtable_bytes ? options->memtable_bytes : MEMTABLE_BYTES_DEFAULT;

	rocksdb_options_set_create_if_missing(o, create);
	rocksdb_options_set_create_missing_column_families(o, 1);
	rocksdb_options_set_paranoid_checks(o, 1);
	rocksdb_options_set_recycle_log_file_num(o, 0);
	rocksdb_options_set_db_write_buffer_size(o, memtable);
	rocksdb_options_set_max_total_wal_size(o, 2 * (uint64_t)memtable);
	rocksdb_options_set_max_open_files(o, OPEN_FILES_MAX);
	rocksdb_options_set_max_file_opening_threads(o, OPENING_THREADS);
	/* Listings read the tables in order, and the kernel reads on where it is not told otherwise. */
	rocksdb_options_set_advise_random_on_open(o, 0);
	rocksdb_options_set_max_background_jobs(o, 2);
	rocksdb_options_set_bytes_per_sync(o, 1 << 20);
	rocksdb_options_set_wal_bytes_per_sync(o, 1 << 20);
	/* kv has one committer: no writers to run side by side. */
	rocksdb_options_set_allow_concurrent_memtable_write(o, 0);
	rocksdb_options_set_info_log_level(o, LOG_LEVEL_NONE);
	rocksdb_options_set_keep_log_file_num(o, 2);
	if (read_only)
		rocksdb_options_set_db_log_dir(o, NO_DIRECTORY);
	rocksdb_options_set_stats_dump_period_sec(o, 0);
	rocksdb_options_set_stats_persist_period_sec(o, 0);
	rocksdb_options_set_skip_stats_update_on_db_open(o, 1);
	rocksdb_options_set_max_manifest_file_size(o, 4 << 20);
}

/*
 * For these the C API has no functions of their own.
 *  - What is written lies beside what was written before, of the same container and kind, which is what a key
 *    begins with. RocksDB remembers for each such beginning where the last record went into the write buffer, and
 *    seeks the next one from there.
 *  - Without RocksDB's fallocate() for the log, which leaves its length alone: a sync of a small commit is
 *    slower with it (160 against 131 µs on ext4), and it takes room on a full disk that holds nothing.
 *    rocks_room.c does better.
 *  - The manifest says which logs were synced, and how far: one of several that is missing or too
 *    short refuses the open. The one that is written to is the mark's to judge.
 */
static int options_by_name(rocksdb_options_t *const options[KV_FAMILIES])
{
	static const char *const beside[KV_FAMILIES] = {
		[KV_SYS] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.5",
		[KV_META] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.9",
		[KV_DATA] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.9",
		[KV_HISTORY] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.9",
	};
	char *error = NULL;

	for (int f = 0; !error && f < KV_FAMILIES; f++)
		rocksdb_get_options_from_string(options[f], beside[f], options[f], &error);
	if (!error)
		rocksdb_get_options_from_string(options[KV_SYS],
			"allow_fallocate=false;track_and_verify_wals_in_manifest=true", options[KV_SYS], &error);
	return rocks_error(NULL, "options", error);
}

/* Whether @path holds no data yet: absent, empty, or what a crash in the first creation left. */
static int look_at(const char *path, bool *ret_nothing)
{
	DIR *dir = opendir(path);
	bool nothing = true;
	struct dirent *d;

	if (!dir) {
		if (errno != ENOENT)
			return -errno;
		*ret_nothing = true;
		return 0;
	}
	while ((d = readdir(dir))) {
		const char *dot = strrchr(d->d_name, '.');
		if (!strcmp(d->d_name, "CURRENT") ||
			(dot && (!strcmp(dot, ".sst") || !strcmp(dot, ".log"))))
			nothing = false;
	}
	closedir(dir);
	*ret_nothing = nothing;
	return 0;
}

/* Removes unfinished OPTIONS files. */
static void tidy(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		const char *dot = strrchr(d->d_name, '.');
		if (dot && !strcmp(dot, ".dbtmp") && !strncmp(d->d_name, "OPTIONS-", 8))
			unlinkat(dirfd(dir), d->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

/* How many of our families, in their order, the database has. */
static int count_families(struct kv_engine *e, const char *path)
{
	char *error = NULL;
	size_t n = 0;
	int have = 0;
	char **names = rocksdb_list_column_families(e->options[KV_SYS], path, &n, &error);

	for (int f = 0; !error && f < KV_FAMILIES && have == f; f++)
		for (size_t i = 0; i < n; i++)
			have += strcmp(names[i], family_names[f]) == 0;
	rocksdb_list_column_families_destroy(names, n); /* also made where it fails */
	return error ? rocks_error(e, "open", error) : have;
}

/* @logs: where the logs are; NULL: with the rest. */
static int open_database(struct kv_engine *e, const char *path, bool read_only, const char *logs)
{
	const rocksdb_options_t *options[KV_FAMILIES];
	char *error = NULL;

	rocksdb_options_set_wal_dir(e->options[KV_SYS], logs ? logs : "");
	for (int f = 0; f < KV_FAMILIES; f++)
		options[f] = e->options[f];
	e->families = read_only ? count_families(e, path) : KV_FAMILIES;
	if (e->families < 0)
		return e->families;
	if (read_only)
		e->db = rocksdb_open_for_read_only_column_families(e->options[KV_SYS], path,
			e->families, family_names, options, e->family, 0, &error);
	else
		e->db = rocksdb_open_column_families(e->options[KV_SYS], path, KV_FAMILIES,
			family_names, options, e->family, &error);
	if (error)
		e->db = NULL;
	return rocks_error(e, "open", error);
}

static void close_database(struct kv_engine *e)
{
	if (!e->db)
		return;
	for (int f = 0; f < e->families; f++)
		rocksdb_column_family_handle_destroy(e->family[f]);
	rocksdb_close(e->db);
	e->db = NULL;
}

static void empty_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
}

/* The record's value as the open database has it, for its judge. */
static int judge_opened(struct kv_engine *e, const struct kv_engine_record *record)
{
	_cleanup_buf_ struct buf value = {0};
	int r = rocks_get(e, NULL, record->family, record->key, record->key_len, &value);

	return r < 0 && r != -ENOENT ? r : record->judge(record->arg, r == 0 ? &value : NULL);
}

/*
 * Looks through the logs. Which ones count, and up to where the tables go, the manifest says: the database is
 * opened with empty logs of the same lengths, in @folder, so that it misses none, and replays none.
 */
static int look_at_logs(struct kv_engine *e, const char *path, const char *folder,
	const struct kv_engine_record *record, struct rocks_found *ret_found)
{
	uint64_t from = 0, last = 0;
	int r = rocks_log_stand_in(path, folder);

	if (r == 0)
		r = open_database(e, path, true, folder);
	if (r == 0)
		last = rocksdb_get_latest_sequence_number(e->db);
	if (r == 0 && rocksdb_property_int(e->db, "rocksdb.min-log-number-to-keep", &from) < 0)
		r = -EIO;
	close_database(e);
	empty_folder(folder);
	if (r == 0)
		r = rocks_log_scan(path, from, last, record, ret_found);
	/* What is no later than the tables may be older than they are. */
	if (ret_found->sequence <= last)
		ret_found->sequence = 0;
	return r;
}

/* @folder: empty; it gets what is left of logs with a hole. */
static int open_before_hole(struct kv_engine *e, const char *path, const struct rocks_hole *hole,
	const char *folder)
{
	int r = hole->log ? rocks_log_copy_before(path, hole, folder) : 0;

	return r < 0 ? r : open_database(e, path, true, hole->log ? folder : NULL);
}

static int judge_found(struct kv_engine *e, const char *path, const struct rocks_found *found,
	const char *folder, const struct kv_engine_record *record)
{
	int r;

	if (found->sequence)
		return record->judge(record->arg, &found->value);
	r = open_before_hole(e, path, &found->hole, folder);
	if (r == 0)
		r = judge_opened(e, record);
	close_database(e);
	return r;
}

static int open_looked_at(
	struct kv_engine *e, const char *path, const char *folder, const struct kv_engine_record *record)
{
	struct rocks_found found = {0};
	int r = look_at_logs(e, path, folder, record, &found);

	if (r == 0 && record)
		r = judge_found(e, path, &found, folder, record);
	if (r == 0 && !e->read_only && found.hole.log)
		r = rocks_log_cut(path, &found.hole);
	if (r == 0)
		r = e->read_only ? open_before_hole(e, path, &found.hole, folder)
				 : open_database(e, path, false, NULL);
	buf_release(&found.value);
	return r;
}

static int open_checked(struct kv_engine *e, const char *path, const struct kv_engine_record *record)
{
	char folder[] = "/tmp/scribefs-logs-XXXXXX";
	int r = rocks_log_any(path);

	if (r < 0)
		return r;
	if (r > 0) {
		if (!mkdtemp(folder))
			return -errno;
		r = open_looked_at(e, path, folder, record);
		empty_folder(folder);
		rmdir(folder);
		return r;
	}
	if (record) {
		r = open_database(e, path, true, NULL);
		if (r == 0)
			r = judge_opened(e, record);
		close_database(e);
	}
	return r < 0 ? r : open_database(e, path, e->read_only, NULL);
}

struct kv_engine *rocks_new(const struct kv_options *options, bool create, bool read_only)
{
	struct kv_engine *e = calloc(1, sizeof *e);

	if (!e)
		return NULL;
	e->read_only = read_only;
	e->dir = -1;
	pthread_mutex_init(&e->sync_lock, NULL);
	rocks_cache_new(e, options->cache_bytes);
	for (int f = 0; f < KV_FAMILIES; f++)
		e->options[f] = family_options(f, options, e);
	database_options(e->options[KV_SYS], options, create, read_only);
	e->read = rocksdb_readoptions_create();
	rocksdb_readoptions_set_verify_checksums(e->read, 1);
	e->write = rocksdb_writeoptions_create();
	e->batch = rocksdb_writebatch_create();
	return e;
}

struct opening {
	bool read_only;
	bool skipping;			       /* what is damaged in the logs */
	const struct kv_engine_record *record; /* to be judged first, or NULL */
};

/* Past what is damaged a hole in the logs is no reason to stop. */
static int recover(struct kv_engine *e, const char *path, const struct opening *how)
{
	int r = options_by_name(e->options);

	rocksdb_options_set_wal_recovery_mode(
		e->options[KV_SYS], how->skipping ? SKIPPING_RECOVERY : POINT_IN_TIME_RECOVERY);
	if (r < 0)
		return r;
	return how->skipping ? open_database(e, path, false, NULL) : open_checked(e, path, how->record);
}

static int open_with(const char *path, const struct kv_options *options, struct opening how,
	struct kv_engine **ret_engine)
{
	struct kv_engine *e;
	bool create = false;
	int r = look_at(path, &create);

	if (r < 0)
		return r;
	if (create && (how.read_only || how.record))
		return -ENOENT;
	if (create && how.skipping)
		return -EBADMSG;
	if (create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* It would end the process. */
	r = threads_spare(ROCKS_THREADS);
	if (r < 0)
		return r;
	e = rocks_new(options, create, how.read_only);
	if (!e)
		return -ENOMEM;
	r = recover(e, path, &how);
	if (r == 0 && !how.read_only) {
		tidy(path);
		e->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = e->dir < 0 ? -errno : 0;
	}
	if (r < 0) {
		rocks_close(e);
		return r;
	}
	rocks_cache_fit(e);
	*ret_engine = e;
	return 0;
}

int rocks_open(const char *path, const struct kv_options *options, bool read_only,
	struct kv_engine **ret_engine)
{
	return open_with(path, options, (struct opening){.read_only = read_only}, ret_engine);
}

int rocks_open_judged(const char *path, const struct kv_options *options,
	const struct kv_engine_record *record, struct kv_engine **ret_engine)
{
	return open_with(path, options, (struct opening){.record = record}, ret_engine);
}

int rocks_open_skipping(const char *path, const struct kv_options *options,
	struct kv_engine **ret_engine)
{
	return open_with(path, options, (struct opening){.skipping = true}, ret_engine);
}

void rocks_flush(struct kv_engine *e)
{
	rocksdb_flushoptions_t *o = rocksdb_flushoptions_create();

	rocksdb_flushoptions_set_wait(o, 1);
	for (int f = 0; f < KV_FAMILIES; f++) {
		char *error = NULL;
		/* Where it fails nothing is lost: the log is still there. */
		rocksdb_flush_cf(e->db, o, e->family[f], &error);
		rocks_error(e, "flush", error);
	}
	rocksdb_flushoptions_destroy(o);
}

void rocks_close(struct kv_engine *e)
{
	if (e->db && !e->read_only && !atomic_load(&e->failed))
		rocks_flush(e);
	close_database(e);
	if (e->dir >= 0) {
		rocks_log_drop_empty(e->dir);
		close(e->dir);
	}
	rocksdb_writebatch_destroy(e->batch);
	rocksdb_writeoptions_destroy(e->write);
	rocksdb_readoptions_destroy(e->read);
	for (int f = 0; f < KV_FAMILIES; f++)
		rocksdb_options_destroy(e->options[f]);
	rocksdb_cache_destroy(e->data_cache);
	rocksdb_cache_destroy(e->cache);
	pthread_mutex_destroy(&e->sync_lock);
	free(e);
}
