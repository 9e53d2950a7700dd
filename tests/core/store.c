#include "tests/core/store.h"

#include "kv/keyring.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const uint8_t key_file[KEYRING_KEY_FILE_BYTES] = {1, 2, 3};
static const struct kv_unlock unlock_key = {KEYRING_KEY_FILE, key_file, sizeof key_file};

void store_open_kv(struct store *s)
{
	struct kv_options options = {.engine = &kv_engine_memory, .engine_arg = s->memory};
	ck_assert_int_eq(kv_open(s->path, &unlock_key, &options, &s->kv), 0);
}

static void store_open(struct store *s)
{
	store_open_kv(s);
	ck_assert_int_eq(core_open(s->kv, &s->options, &s->core), 0);
}

void store_new(struct store *s, const struct core_options *options)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = unlock_key};
	*s = (struct store){.who = {.uid = 1000, .gid = 1000, .pid = 1, .umask = 022}};
	if (options)
		s->options = *options;
	s->options.root_uid = s->options.root_gid = 1000;
	s->options.root_mode = 0755;
	suite_folder(s->path);
	ck_assert_int_eq(keyring_create(s->path, &init, NULL), 0);
	s->memory = kv_memory_new();
	ck_assert_ptr_nonnull(s->memory);
	store_open(s);
}

void store_shut(struct store *s)
{
	ck_assert_int_eq(core_close(s->core), 0);
	ck_assert_int_eq(kv_close(s->kv), 0);
}

void store_reopen(struct store *s)
{
	store_shut(s);
	store_open(s);
}

void store_crash(struct store *s, bool power_loss)
{
	kv_memory_crash(s->memory, power_loss);
	core_close(s->core); /* cannot commit any more */
	kv_close(s->kv);
	store_open(s);
}

void store_close(struct store *s)
{
	store_shut(s);
	kv_memory_free(s->memory);
	ck_assert_int_eq(suite_remove(s->path), 0);
}

static uint64_t make(struct store *s, uint64_t parent, const char *name, const struct core_make *m)
{
	struct core_entry e;
	ck_assert_int_eq(core_make(s->core, &s->who, parent, name, m, NULL, &e), 0);
	core_forget(s->core, e.ino, 1);
	return e.ino;
}

uint64_t store_make(struct store *s, uint64_t parent, const char *name, mode_t mode)
{
	return make(s, parent, name, &(struct core_make){.mode = mode});
}

uint64_t store_symlink(struct store *s, uint64_t parent, const char *name, const char *target)
{
	return make(s, parent, name, &(struct core_make){.mode = S_IFLNK | 0777, .target = target});
}

uint64_t store_file(struct store *s, uint64_t parent, const char *name, const char *contents)
{
	uint64_t ino = store_make(s, parent, name, S_IFREG | 0644);
	struct file *f;
	ck_assert_int_eq(core_file_open(s->core, &s->who, ino, O_WRONLY, &f), 0);
	ck_assert_int_eq(core_write(s->core, f, contents, strlen(contents), 0, false),
		(ssize_t)strlen(contents));
	ck_assert_int_eq(core_file_flush(s->core, f), 0);
	ck_assert_int_eq(core_file_release(s->core, f), 0);
	return ino;
}

uint64_t store_find(struct store *s, uint64_t parent, const char *name)
{
	struct core_entry e;
	int r = core_lookup(s->core, parent, name, &e);
	if (r == -ENOENT)
		return 0;
	ck_assert_int_eq(r, 0);
	core_forget(s->core, e.ino, 1);
	return e.ino;
}

void store_stat(struct store *s, uint64_t ino, struct stat *ret_st)
{
	ck_assert_int_eq(core_getattr(s->core, ino, ret_st, NULL), 0);
}

void store_chmod(struct store *s, uint64_t ino, mode_t mode)
{
	struct stat st = {.st_mode = mode};
	ck_assert_int_eq(core_setattr(s->core, &s->who, ino, &st, CORE_SET_MODE, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, mode);
}

void store_expect(struct store *s, uint64_t ino, const char *contents)
{
	char got[8192];
	struct file *f;
	ck_assert_int_eq(core_file_open(s->core, &s->who, ino, O_RDONLY, &f), 0);
	ssize_t n = core_read(s->core, f, got, sizeof got, 0);
	ck_assert_int_eq(core_file_release(s->core, f), 0);
	ck_assert_int_eq(n, (ssize_t)strlen(contents));
	ck_assert_mem_eq(got, contents, (size_t)n);
}

struct file *store_open_file(struct store *s, uint64_t ino, int flags)
{
	struct file *f;
	ck_assert_int_eq(core_file_open(s->core, &s->who, ino, flags, &f), 0);
	return f;
}

struct file *store_new_file(struct store *s, const char *name, int flags)
{
	return store_open_file(s, store_make(s, CORE_ROOT_INO, name, S_IFREG | 0644), flags);
}

void store_put(struct store *s, struct file *f, const void *data, size_t size, off_t at)
{
	ck_assert_int_eq(core_write(s->core, f, data, size, at, false), (ssize_t)size);
}

void store_done(struct store *s, struct file *f)
{
	ck_assert_int_eq(core_file_flush(s->core, f), 0);
	ck_assert_int_eq(core_file_release(s->core, f), 0);
}

void store_expect_at(struct store *s, struct file *f, const void *data, size_t size, off_t at)
{
	_cleanup_free_ char *got = malloc(size + 1);
	ck_assert_int_eq(core_read(s->core, f, got, size, at), (ssize_t)size);
	ck_assert_mem_eq(got, data, size);
}
