/*
 * keyring_store.h: a store in a directory of its own for each test, its secrets, its file's bytes.
 */
#ifndef SCRIBEFS_TESTS_KV_KEYRING_STORE_H
#define SCRIBEFS_TESTS_KV_KEYRING_STORE_H

#include "kv/bytes.h"
#include "kv/keyring_file.h"
#include "kv/keys.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

static char dir[64], store[96], keyring_path[128];

/* Not every test uses all of them. */
#define SHARED __attribute__((unused)) static const
#define SECRET(kind, text) {.type = kind, .secret = text, .secret_len = sizeof text - 1}
SHARED struct kv_unlock pass =
	SECRET(KEYRING_PASSPHRASE, "correct horse");
SHARED struct kv_unlock wrong =
	SECRET(KEYRING_PASSPHRASE, "correct horsf");
SHARED struct kv_unlock file =
	SECRET(KEYRING_KEY_FILE, "a key file of at least 32 bytes.");
SHARED struct kv_unlock file2 =
	SECRET(KEYRING_KEY_FILE, "another file of some 32 bytes...");

static inline void setup(void)
{
	suite_folder(dir);
	snprintf(store, sizeof store, "%s/store", dir);
	snprintf(keyring_path, sizeof keyring_path, "%s/keyring", store);
}

static inline void teardown(void)
{
	char path[160];
	unlink(keyring_path);
	snprintf(path, sizeof path, "%s.new", keyring_path);
	unlink(path);
	snprintf(path, sizeof path, "%s/other", store);
	unlink(path);
	rmdir(store);
	ck_assert_int_eq(rmdir(dir), 0);
}

static inline void create(const struct kv_unlock *first)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = *first,
		.opslimit = 1, .memlimit = 8192};
	ck_assert_int_eq(keyring_create(store, &init, NULL), 0);
}

static inline int try_open(const struct kv_unlock *unlock)
{
	struct keyring *k = NULL;
	int r = keyring_open(store, unlock, &k);
	ck_assert_int_eq(r == 0, k != NULL);
	keyring_close(k);
	return r;
}

static inline struct keyring *open_store(const struct kv_unlock *unlock)
{
	struct keyring *k = NULL;
	ck_assert_int_eq(keyring_open(store, unlock, &k), 0);
	return k;
}

static inline void read_file(struct buf *ret)
{
	int fd = open(keyring_path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	struct stat st;
	fstat(fd, &st);
	ck_assert_int_eq(buf_resize(ret, (size_t)st.st_size), 0);
	ck_assert_int_eq(read(fd, ret->data, ret->len), st.st_size);
	close(fd);
}

static inline void write_file(const void *data, size_t len)
{
	int fd = open(keyring_path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
	close(fd);
}

#endif
