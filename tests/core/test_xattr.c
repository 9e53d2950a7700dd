/*
 * test_xattr.c: extended attributes: flags, namespaces, limits, collisions, damage, and what is
 * left behind.
 */
#include "fs/core/core_internal.h"
#include "fs/core/xattr.h"
#include "tests/core/store.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <sys/xattr.h>

static struct store s;
static uint64_t f; /* a file */

static void setup(void)
{
	store_new(&s, NULL);
	f = store_make(&s, CORE_ROOT_INO, "f", S_IFREG | 0600);
}

/* Names have few hash bits, so that nearly all collide. */
static void setup_colliding(void)
{
	store_new(&s, &(struct core_options){.name_hash_bits = 1});
	f = store_make(&s, CORE_ROOT_INO, "f", S_IFREG | 0600);
}

static void teardown(void)
{
	store_close(&s);
}

static int put(uint64_t ino, const char *name, const char *value, int flags)
{
	return core_setxattr(s.core, &s.who, ino, name, value, strlen(value), flags);
}

static void expect(uint64_t ino, const char *name, const char *value)
{
	_cleanup_buf_ struct buf got = {0};
	int r = core_getxattr(s.core, ino, name, &got);
	if (!value) {
		ck_assert_int_eq(r, -ENODATA);
		return;
	}
	ck_assert_msg(r == 0, "%s: %d", name, r);
	ck_assert_uint_eq(got.len, strlen(value));
	if (got.len)
		ck_assert_mem_eq(got.data, value, got.len);
}

static int names_of(uint64_t ino, size_t *ret_n)
{
	_cleanup_buf_ struct buf names = {0};
	int r = core_listxattr(s.core, ino, &names);
	if (r < 0)
		return r;
	*ret_n = 0;
	for (size_t i = 0; i < names.len; i++)
		*ret_n += !names.data[i];
	return 0;
}

static void expect_names(uint64_t ino, size_t n)
{
	size_t got;
	ck_assert_int_eq(names_of(ino, &got), 0);
	ck_assert_uint_eq(got, n);
}

/* All xattr records in the store, of whatever inode. */
static size_t count_records(void)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	size_t n = 0, len;
	ck_assert_int_eq(kv_iter_open(s.kv, NULL, NULL, KV_META, NULL, 0, &it), 0);
	for (int r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it))
		n += kv_iter_key(it, &len)[8] == KEY_XATTR && len == KEY_PREFIX + 8;
	return n;
}

START_TEST(set_get_list_remove)
{
	struct stat before, st;
	expect(f, "user.a", NULL);
	expect_names(f, 0);
	store_stat(&s, f, &before);
	ck_assert_int_eq(put(f, "user.a", "one", 0), 0);
	store_stat(&s, f, &st);
	ck_assert(st.st_ctim.tv_nsec != before.st_ctim.tv_nsec);
	ck_assert(st.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
	ck_assert_int_eq(put(f, "user.empty", "", 0), 0);
	ck_assert_int_eq(put(f, "security.x", "two", 0), 0);
	ck_assert_int_eq(put(f, "trusted.x", "three", 0), 0);
	ck_assert_int_eq(put(f, "user.a", "another", 0), 0);
	expect_names(f, 4);
	store_reopen(&s);
	expect(f, "user.a", "another");
	expect(f, "user.empty", "");
	expect(f, "security.x", "two");
	expect(f, "trusted.x", "three");
	expect_names(f, 4);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "user.a"), 0);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "user.a"), -ENODATA);
	expect(f, "user.a", NULL);
	expect(f, "user.empty", "");
	expect_names(f, 3);
}
END_TEST

START_TEST(flags)
{
	ck_assert_int_eq(put(f, "user.a", "x", XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(put(f, "user.a", "x", XATTR_CREATE), 0);
	ck_assert_int_eq(put(f, "user.a", "y", XATTR_CREATE), -EEXIST);
	expect(f, "user.a", "x");
	ck_assert_int_eq(put(f, "user.a", "z", XATTR_REPLACE), 0);
	expect(f, "user.a", "z");
	ck_assert_int_eq(put(f, "user.a", "y", 4), -EINVAL);
	ck_assert_int_eq(put(f, "user.a", "y", XATTR_CREATE | XATTR_REPLACE), -EINVAL);
}
END_TEST

START_TEST(namespaces)
{
	uint64_t link = store_symlink(&s, CORE_ROOT_INO, "l", "f");
	uint64_t fifo = store_make(&s, CORE_ROOT_INO, "p", S_IFIFO | 0600);
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(put(f, "a", "x", 0), -EOPNOTSUPP);
	ck_assert_int_eq(put(f, "other.a", "x", 0), -EOPNOTSUPP);
	ck_assert_int_eq(put(f, "system.other", "x", 0), -EOPNOTSUPP);
	ck_assert_int_eq(put(f, "user.", "x", 0), -EINVAL);
	ck_assert_int_eq(put(f, "", "x", 0), -ERANGE);
	ck_assert_int_eq(put(link, "user.a", "x", 0), -EPERM);
	ck_assert_int_eq(put(fifo, "user.a", "x", 0), -EPERM);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, fifo, "user.a"), -EPERM);
	ck_assert_int_eq(put(link, "trusted.a", "x", 0), 0);
	ck_assert_int_eq(put(fifo, "security.a", "x", 0), 0);
	ck_assert_int_eq(put(CORE_ROOT_INO, "user.a", "x", 0), 0);
	ck_assert_int_eq(core_getxattr(s.core, f, "other.a", &value), -EOPNOTSUPP);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "other.a"), -EOPNOTSUPP);
	ck_assert_int_eq(put(99999999, "user.a", "x", 0), -ENOENT);
}
END_TEST

START_TEST(sizes)
{
	char name[XATTR_NAME_MAX + 2] = "user.";
	char *big = calloc(1, XATTR_SIZE_MAX + 1);
	_cleanup_buf_ struct buf value = {0};
	memset(name + 5, 'n', XATTR_NAME_MAX - 5);
	memset(big, 'v', XATTR_SIZE_MAX + 1);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, name, big, XATTR_SIZE_MAX, 0), 0);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, name, big, XATTR_SIZE_MAX + 1, 0),
		-E2BIG);
	ck_assert_int_eq(core_getxattr(s.core, f, name, &value), 0);
	ck_assert_uint_eq(value.len, XATTR_SIZE_MAX);
	name[XATTR_NAME_MAX] = 'n';
	ck_assert_int_eq(put(f, name, "x", 0), -ERANGE);
	ck_assert_int_eq(core_getxattr(s.core, f, name, &value), -ERANGE);
	free(big);
}
END_TEST

START_TEST(room_for_values)
{
	char *big = calloc(1, XATTR_SIZE_MAX), name[32];
	int n = 0, r;
	do {
		snprintf(name, sizeof name, "user.%d", n);
		r = core_setxattr(s.core, &s.who, f, name, big, XATTR_SIZE_MAX, 0);
	} while (r == 0 && ++n < 100);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(n, 15); /* XATTR_TOTAL_MAX, but for the names */
	expect_names(f, 15);
	/* In the room of another there is room. */
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, "user.3", big, XATTR_SIZE_MAX, 0), 0);
	ck_assert_int_eq(put(f, "user.3", "small", 0), 0);
	ck_assert_int_eq(core_setxattr(s.core, &s.who, f, name, big, XATTR_SIZE_MAX, 0), 0);
	expect_names(f, 16);
	free(big);
}
END_TEST

START_TEST(room_for_names)
{
	char name[XATTR_NAME_MAX + 1] = "user.";
	int n = 0, r;
	memset(name + 5, 'n', XATTR_NAME_MAX - 5);
	do {
		snprintf(name + 5, sizeof name - 5, "%07d", n);
		name[12] = 'n';
		r = put(f, name, "", 0);
	} while (r == 0 && ++n < 1000);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_eq(n, XATTR_LIST_MAX / (XATTR_NAME_MAX + 1));
	expect_names(f, (size_t)n);
}
END_TEST

START_TEST(collisions)
{
	char name[32], value[32];
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "user.n%d", i);
		snprintf(value, sizeof value, "value %d", i);
		ck_assert_int_eq(put(f, name, value, XATTR_CREATE), 0);
	}
	expect_names(f, 100);
	/* Takes them out in another order; whatever is left is found. */
	for (int out = 0; out < 100; out++) {
		int gone = out * 37 % 100;
		snprintf(name, sizeof name, "user.n%d", gone);
		ck_assert_int_eq(core_removexattr(s.core, &s.who, f, name), 0);
		expect_names(f, (size_t)(99 - out));
		for (int i = 0; i < 100; i += 7) {
			bool there = true;
			for (int k = 0; k <= out; k++)
				there = there && k * 37 % 100 != i;
			snprintf(name, sizeof name, "user.n%d", i);
			snprintf(value, sizeof value, "value %d", i);
			expect(f, name, there ? value : NULL);
		}
	}
	ck_assert_uint_eq(count_records(), 0);
}
END_TEST

START_TEST(too_many_collisions)
{
	char name[32];
	int n = 0, r;
	do {
		snprintf(name, sizeof name, "user.n%d", n);
		r = put(f, name, "", 0);
	} while (r == 0 && ++n < 1000);
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_int_ge(n, 128);
	ck_assert_int_le(n, 256);
	expect(f, name, NULL);
	expect_names(f, (size_t)n);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, name), -ENODATA);
}
END_TEST

START_TEST(unlink_leaves_nothing)
{
	uint64_t d = store_make(&s, CORE_ROOT_INO, "d", S_IFDIR | 0700);
	for (int i = 0; i < 20; i++) {
		char name[32];
		snprintf(name, sizeof name, "user.%d", i);
		ck_assert_int_eq(put(f, name, "x", 0), 0);
		ck_assert_int_eq(put(d, name, "x", 0), 0);
	}
	ck_assert_uint_eq(count_records(), 40);
	ck_assert_int_eq(core_unlink(s.core, &s.who, CORE_ROOT_INO, "f", NULL), 0);
	ck_assert_int_eq(core_rmdir(s.core, &s.who, CORE_ROOT_INO, "d", NULL), 0);
	core_settle(s.core);
	ck_assert_uint_eq(count_records(), 0);
}
END_TEST

START_TEST(unlinked_but_open)
{
	struct file *open;
	ck_assert_int_eq(put(f, "user.a", "x", 0), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_RDONLY, &open), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, CORE_ROOT_INO, "f", NULL), 0);
	expect(f, "user.a", "x");
	ck_assert_int_eq(put(f, "user.b", "y", 0), 0);
	expect(f, "user.b", "y");
	ck_assert_int_eq(core_file_release(s.core, open), 0);
	core_settle(s.core);
	ck_assert_uint_eq(count_records(), 0);
}
END_TEST

START_TEST(unlinked_and_crashed)
{
	struct file *open;
	ck_assert_int_eq(put(f, "user.a", "x", 0), 0);
	ck_assert_int_eq(core_file_open(s.core, &s.who, f, O_RDONLY, &open), 0);
	ck_assert_int_eq(core_unlink(s.core, &s.who, CORE_ROOT_INO, "f", NULL), 0);
	kv_memory_crash(s.memory, false);
	core_file_release(s.core, open);
	store_crash(&s, false);
	core_settle(s.core);
	ck_assert_uint_eq(count_records(), 0);
}
END_TEST

START_TEST(failing_engine)
{
	ck_assert_int_eq(put(f, "user.a", "x", 0), 0);
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	ck_assert_int_eq(put(f, "user.a", "y", 0), -ENOSPC);
	expect(f, "user.a", "x");
	kv_memory_fail(s.memory, KV_MEMORY_WRITE, 1, -ENOSPC);
	ck_assert_int_eq(core_removexattr(s.core, &s.who, f, "user.a"), -ENOSPC);
	expect(f, "user.a", "x");
	expect_names(f, 1);
	store_reopen(&s); /* nothing of it is at hand */
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(core_getattr(s.core, f, &(struct stat){0}, NULL), 0);
	kv_memory_fail(s.memory, KV_MEMORY_GET, 1, -EIO);
	ck_assert_int_eq(core_getxattr(s.core, f, "user.a", &value), -EIO);
	ck_assert_int_eq(put(f, "user.b", "y", 0), 0);
	expect_names(f, 2);
}
END_TEST

/* The key of the only xattr record. */
static void only_key(uint8_t ret_key[KEY_PREFIX + 8])
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	size_t len, n = 0;
	ck_assert_int_eq(kv_iter_open(s.kv, NULL, NULL, KV_META, NULL, 0, &it), 0);
	for (int r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		const uint8_t *key = kv_iter_key(it, &len);
		if (key[8] != KEY_XATTR || len != KEY_PREFIX + 8)
			continue;
		memcpy(ret_key, key, len);
		n++;
	}
	ck_assert_uint_eq(n, 1);
}

START_TEST(damage_is_noticed)
{
	uint8_t key[KEY_PREFIX + 8];
	_cleanup_buf_ struct buf old = {0}, new = {0}, value = {0};
	size_t n;
	ck_assert_int_eq(put(f, "user.a", "old", 0), 0);
	only_key(key);
	ck_assert_int_eq(kv_memory_peek(s.memory, KV_META, key, sizeof key, &old), 0);
	ck_assert_int_eq(put(f, "user.a", "new", 0), 0);
	ck_assert_int_eq(kv_memory_peek(s.memory, KV_META, key, sizeof key, &new), 0);
	/* One flipped byte: at every read of the store. */
	store_reopen(&s);
	new.data[new.len / 2] ^= 1;
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_META, key, sizeof key, new.data, new.len), 0);
	ck_assert_int_eq(core_getxattr(s.core, f, "user.a", &value), -EBADMSG);
	ck_assert_int_eq(names_of(f, &n), -EBADMSG);
	/* An older record of the same name, and none at all: at a complete listing. */
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_META, key, sizeof key, old.data, old.len), 0);
	ck_assert_int_eq(names_of(f, &n), -EBADMSG);
	ck_assert_int_eq(kv_memory_poke(s.memory, KV_META, key, sizeof key, NULL, 0), 0);
	ck_assert_int_eq(names_of(f, &n), -EBADMSG);
	/* The file itself can still be removed. */
	ck_assert_int_eq(core_unlink(s.core, &s.who, CORE_ROOT_INO, "f", NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xattr");
	TCase *t = tcase_create("xattr");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, set_get_list_remove);
	tcase_add_test(t, flags);
	tcase_add_test(t, namespaces);
	tcase_add_test(t, sizes);
	tcase_add_test(t, room_for_values);
	tcase_add_test(t, room_for_names);
	tcase_add_test(t, unlink_leaves_nothing);
	tcase_add_test(t, unlinked_but_open);
	tcase_add_test(t, unlinked_and_crashed);
	tcase_add_test(t, failing_engine);
	tcase_add_test(t, damage_is_noticed);
	suite_add_tcase(suite, t);
	TCase *c = tcase_create("collisions");
	tcase_add_checked_fixture(c, setup_colliding, teardown);
	tcase_add_test(c, collisions);
	tcase_add_test(c, too_many_collisions);
	suite_add_tcase(suite, c);
	return run_suite(suite);
}
