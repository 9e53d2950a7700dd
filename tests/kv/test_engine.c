/* The contract of kv/engine/engine.h, asked of both engines alike, below kv. */
#include "store.h"

#include "kv/engine/rocks_internal.h"

#include <dlfcn.h>

static const struct kv_engine_ops *ops;
static struct kv_engine *engine;
static char db[96];

static void open_engine(bool read_only)
{
	ok(ops->open(db, &options, read_only, &engine));
}

static void start_engine(int i)
{
	suite_folder(dir);
	snprintf(db, sizeof db, "%s/db", dir);
	options = (struct kv_options){0};
	ops = i == ON_MEMORY ? &kv_engine_memory : &kv_engine_rocks;
	if (i == ON_MEMORY)
		options.engine_arg = memory = kv_memory_new();
	open_engine(false);
}

static void stop_engine(void)
{
	ops->close(engine);
	finish();
}

#define CHECK_SUM "_ZN7rocksdb6crc32c6ExtendEjPKcm"
#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static struct kv_write set(enum kv_family family, const char *key, const char *value)
{
	return (struct kv_write){.family = family,
		.key = (const uint8_t *)key,
		.key_len = strlen(key),
		.value = (const uint8_t *)value,
		.value_len = value ? strlen(value) : 0};
}

static void write_one(enum kv_family family, const char *key, const char *value)
{
	struct kv_write w = set(family, key, value);

	ok(ops->write(engine, &w, 1));
}

static void has(
	struct kv_engine_view *view, enum kv_family family, const char *key, const char *value)
{
	_cleanup_buf_ struct buf b = {0};

	ok(buf_append(&b, "what was there", 14));
	ok(ops->get(engine, view, family, key, strlen(key), &b));
	ck_assert_uint_eq(b.len, strlen(value));
	ck_assert_mem_eq(b.data, value, b.len);
}

static void has_not(struct kv_engine_view *view, enum kv_family family, const char *key)
{
	_cleanup_buf_ struct buf b = {0};

	fails(ops->get(engine, view, family, key, strlen(key), &b), -ENOENT);
	ck_assert_uint_eq(b.len, 0);
}

START_TEST(writes_and_gets)
{
	start_engine(_i);
	struct kv_write batch[] = {set(KV_META, "key1", "one"), set(KV_DATA, "key1", "data"),
		set(KV_SYS, "key1", ""), set(KV_META, "key2", "two"), set(KV_META, "key1", "uno"),
		set(KV_META, "key2", NULL), set(KV_META, "never", NULL)};

	ok(ops->write(engine, batch, 7));
	has(NULL, KV_META, "key1", "uno");
	has(NULL, KV_DATA, "key1", "data");
	has(NULL, KV_SYS, "key1", "");
	has_not(NULL, KV_META, "key2");
	has_not(NULL, KV_META, "never");
	has_not(NULL, KV_META, "key");
	ok(ops->sync(engine));
	stop_engine();
}
END_TEST

START_TEST(views_stand_still)
{
	struct kv_engine_view *first, *second;

	start_engine(_i);
	write_one(KV_META, "key1", "a");
	ok(ops->view_open(engine, &first));
	write_one(KV_META, "key1", "b");
	ok(ops->view_open(engine, &second));
	write_one(KV_META, "key1", NULL);
	write_one(KV_META, "key2", "c");
	ok(ops->sync(engine));
	for (int i = 0; i < 20; i++)
		write_one(KV_META, "key1", "d");
	has(first, KV_META, "key1", "a");
	has(second, KV_META, "key1", "b");
	has_not(second, KV_META, "key2");
	ops->view_free(engine, first);
	write_one(KV_META, "key1", "e");
	has(second, KV_META, "key1", "b");
	has(NULL, KV_META, "key1", "e");
	ops->view_free(engine, second);
	stop_engine();
}
END_TEST

struct taken {
	size_t n;
	int results[100];
	char text[100][16];
};

/* Runs come in order, and what they show is gone afterwards. */
static void take(void *arg, size_t first, size_t n, const struct kv_engine_value *values)
{
	struct taken *t = arg;

	ck_assert_uint_eq(first, t->n);
	for (size_t i = 0; i < n; i++) {
		t->results[t->n] = values[i].result;
		if (values[i].result == 0)
			memcpy(t->text[t->n], values[i].data, values[i].len);
		t->n++;
	}
}

START_TEST(gets_many)
{
	const void *keys[100];
	size_t lens[100];
	char text[100][16];
	struct taken taken = {0};
	struct kv_engine_view *view;

	start_engine(_i);
	for (int i = 0; i < 100; i++) {
		snprintf(text[i], sizeof text[i], "k%03d", i);
		keys[i] = text[i];
		lens[i] = 4;
		if (i % 2)
			write_one(KV_DATA, text[i], text[i]);
	}
	ok(ops->view_open(engine, &view));
	write_one(KV_DATA, "k001", "later");
	ok(ops->multi_get(engine, view, KV_DATA, 100, keys, lens, take, &taken));
	ck_assert_uint_eq(taken.n, 100);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(taken.results[i], i % 2 ? 0 : -ENOENT);
		if (i % 2)
			ck_assert_str_eq(taken.text[i], text[i]);
	}
	ops->view_free(engine, view);
	stop_engine();
}
END_TEST

static unsigned walk(enum kv_family family, const void *prefix, size_t len, bool back)
{
	struct kv_engine_iter *it;
	unsigned n = 0;
	int r;

	ok(ops->iter_open(engine, NULL, family, prefix, len, &it));
	for (r = back ? ops->iter_seek_back(it, NULL, 0) : ops->iter_seek(it, NULL, 0); r > 0;
		r = back ? ops->iter_prev(it) : ops->iter_next(it)) {
		size_t key_len;
		const uint8_t *key = ops->iter_key(it, &key_len);

		ck_assert_uint_ge(key_len, len);
		ck_assert_mem_eq(key, prefix, len);
		n++;
	}
	ok(r);
	ops->iter_free(it);
	return n;
}

START_TEST(iterates_within_the_prefix)
{
	static const char *const keys[] = {"a", "b", "b\xff", "b\xff\xff", "c", "\xff", "\xff\xff"};
	struct kv_engine_iter *it;
	uint8_t long_prefix[KV_KEY_MAX + 1] = {0};
	size_t len;

	start_engine(_i);
	for (size_t i = 0; i < 7; i++)
		write_one(KV_META, keys[i], "v");
	write_one(KV_META, "bb", "v");
	write_one(KV_META, "bb", NULL);
	for (int back = 0; back < 2; back++) {
		ck_assert_uint_eq(walk(KV_META, "", 0, back), 7);
		ck_assert_uint_eq(walk(KV_META, "b", 1, back), 3);
		ck_assert_uint_eq(walk(KV_META, "b\xff", 2, back), 2);
		ck_assert_uint_eq(walk(KV_META, "b\xff\xff", 3, back), 1);
		ck_assert_uint_eq(walk(KV_META, "\xff", 1, back), 2);
		ck_assert_uint_eq(walk(KV_META, "\xff\xff", 2, back), 1);
		ck_assert_uint_eq(walk(KV_META, "\xff\xff\xff", 3, back), 0);
		ck_assert_uint_eq(walk(KV_DATA, "b", 1, back), 0);
	}
	fails(ops->iter_open(engine, NULL, KV_META, long_prefix, sizeof long_prefix, &it), -EINVAL);
	ok(ops->iter_open(engine, NULL, KV_META, "b", 1, &it));
	/* What was written after it was opened is not seen. */
	write_one(KV_META, "bc", "v");
	ck_assert_int_eq(ops->iter_seek(it, BYTES("bb")), 1);
	ck_assert_mem_eq(ops->iter_key(it, &len), "b\xff", 2);
	ck_assert_mem_eq(ops->iter_value(it, &len), "v", 1);
	ck_assert_int_eq(ops->iter_prev(it), 1);
	ops->iter_key(it, &len);
	ck_assert_uint_eq(len, 1);
	ck_assert_int_eq(ops->iter_prev(it), 0);
	ck_assert_int_eq(ops->iter_seek(it, BYTES("a")), 1);
	ck_assert_int_eq(ops->iter_seek(it, BYTES("c")), 0);
	ck_assert_int_eq(ops->iter_seek_back(it, BYTES("a")), 0);
	ck_assert_int_eq(ops->iter_seek_back(it, BYTES("\xff")), 1);
	ops->iter_key(it, &len);
	ck_assert_uint_eq(len, 3);
	ops->iter_free(it);
	stop_engine();
}
END_TEST

START_TEST(stays_after_a_close)
{
	start_engine(_i);
	write_one(KV_META, "key1", "one");
	ops->close(engine);
	open_engine(false);
	has(NULL, KV_META, "key1", "one");
	write_one(KV_META, "key2", "two");
	ops->close(engine);
	open_engine(true);
	has(NULL, KV_META, "key2", "two");
	struct kv_write w = set(KV_META, "key3", "three");
	fails(ops->write(engine, &w, 1), -EROFS);
	has_not(NULL, KV_META, "key3");
	stop_engine();
}
END_TEST

START_TEST(a_checkpoint_stands_alone)
{
	char copy[96];
	struct kv_engine *original;

	start_engine(_i);
	write_one(KV_META, "key1", "one");
	write_one(KV_DATA, "key1", "data");
	snprintf(copy, sizeof copy, "%s/copy", dir);
	ok(ops->checkpoint(engine, copy));
	write_one(KV_META, "key1", "changed");
	write_one(KV_META, "key2", "new");
	ck_assert_int_lt(ops->checkpoint(engine, copy), 0);
	original = engine;
	options.engine_arg = NULL;
	ok(ops->open(copy, &options, false, &engine));
	has(NULL, KV_META, "key1", "one");
	has(NULL, KV_DATA, "key1", "data");
	has_not(NULL, KV_META, "key2");
	write_one(KV_META, "key1", "elsewhere");
	ops->close(engine);
	engine = original;
	has(NULL, KV_META, "key1", "changed");
	stop_engine();
}
END_TEST

START_TEST(rocks_is_not_made_anew_over_what_is_left)
{
	char path[128];
	struct kv_engine *again;
	unsigned tables = 0;

	start_engine(ON_ROCKS);
	/* Two at a time is one too many. */
	fails(ops->open(db, &options, false, &again), -EBUSY);
	write_one(KV_META, "key1", "one");
	ops->close(engine);
	snprintf(path, sizeof path, "%s/CURRENT", db);
	ok(unlink(path));
	/* Nor without the logs, which are empty. */
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "%s/%06u.log", db, i);
		unlink(path);
	}
	fails(ops->open(db, &options, false, &again), -EBADMSG);
	ck_assert_int_lt(ops->open(db, &options, true, &again), 0);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(path, sizeof path, "%s/%06u.sst", db, i);
		tables += access(path, F_OK) == 0;
	}
	ck_assert_uint_ge(tables, 1);
	finish();
}
END_TEST

START_TEST(rocks_read_only_wants_something_to_read)
{
	start_engine(ON_ROCKS);
	ops->close(engine);
	ok(suite_remove(db));
	fails(ops->open(db, &options, true, &engine), -ENOENT);
	ck_assert_int_ne(access(db, F_OK), 0);
	/* What a crash in the very first open leaves is no reason to refuse. */
	ok(mkdir(db, 0700));
	open_engine(false);
	write_one(KV_META, "key1", "one");
	stop_engine();
}
END_TEST

START_TEST(rocks_error_strings)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"IO error: No space left on device: While appending to file: /x/1.log", -ENOSPC},
		{"Corruption: block checksum mismatch in /x/000012.sst", -EBADMSG},
		{"IO error: While open a file for appending: /x: Read-only file system", -EROFS},
		{"IO error: While mkdir: /x: Permission denied", -EACCES},
		{"IO error: While lock file: /x/LOCK: Resource temporarily unavailable", -EBUSY},
		{"IO error: lock hold by current process, acquire time 1", -EBUSY},
		{"IO error: While pread: /x/000012.sst: Input/output error", -EIO},
		{"something new", -EIO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_int_eq(rocks_error_number(cases[i].text), cases[i].error);
	ok(rocks_error(NULL, "nothing", NULL));
}
END_TEST

/* RocksDB's calls go where the loader finds the name first. */
START_TEST(rocks_calls_our_check_sum)
{
	uint32_t (*first)(uint32_t, const char *, size_t);
	void *next = dlsym(RTLD_NEXT, CHECK_SUM);

	*(void **)&first = dlsym(RTLD_DEFAULT, CHECK_SUM);
	ck_assert_ptr_nonnull(*(void **)&first);
	ck_assert_ptr_ne(*(void **)&first, next);
	ck_assert_uint_eq(first(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(first(first(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

START_TEST(memory_fails_to_order)
{
	struct kv_write w = set(KV_META, "key1", "one");
	_cleanup_buf_ struct buf b = {0};

	start_engine(ON_MEMORY);
	kv_memory_fail(memory, KV_MEMORY_WRITE, 2, -ENOSPC);
	ok(ops->write(engine, &w, 1));
	fails(ops->write(engine, &w, 1), -ENOSPC);
	ok(ops->write(engine, &w, 1));
	ck_assert_uint_eq(kv_memory_calls(memory, KV_MEMORY_WRITE), 3);
	kv_memory_fail(memory, KV_MEMORY_GET, 1, -EIO);
	fails(ops->get(engine, NULL, KV_META, "key1", 4, &b), -EIO);
	ok(ops->get(engine, NULL, KV_META, "key1", 4, &b));
	kv_memory_fail(memory, KV_MEMORY_SYNC, 1, -EIO);
	kv_memory_fail(memory, KV_MEMORY_SYNC, 0, 0);
	ok(ops->sync(engine));
	write_one(KV_META, "key1", "two");
	write_one(KV_META, "key2", "two");
	kv_memory_crash(memory, true);
	fails(ops->get(engine, NULL, KV_META, "key1", 4, &b), -EIO);
	fails(ops->write(engine, &w, 1), -EIO);
	fails(ops->sync(engine), -EIO);
	ops->close(engine);
	open_engine(false);
	has(NULL, KV_META, "key1", "one");
	has_not(NULL, KV_META, "key2");
	ck_assert_uint_eq(walk(KV_META, "", 0, false), 1);
	stop_engine();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("engine");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, writes_and_gets, 0, ENGINES);
	tcase_add_loop_test(t, views_stand_still, 0, ENGINES);
	tcase_add_loop_test(t, gets_many, 0, ENGINES);
	tcase_add_loop_test(t, iterates_within_the_prefix, 0, ENGINES);
	tcase_add_loop_test(t, stays_after_a_close, 0, ENGINES);
	tcase_add_loop_test(t, a_checkpoint_stands_alone, 0, ENGINES);
	tcase_add_test(t, rocks_is_not_made_anew_over_what_is_left);
	tcase_add_test(t, rocks_read_only_wants_something_to_read);
	tcase_add_test(t, rocks_error_strings);
	tcase_add_test(t, rocks_calls_our_check_sum);
	tcase_add_test(t, memory_fails_to_order);
	return run_case("engine", t);
}
