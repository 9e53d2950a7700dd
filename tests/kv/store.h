/*
 * store.h: for tests of kv: a store of its own for each test, on either engine, and short forms of
 * what they do all the time. A transaction's key is the domain and up to 60 bytes of text.
 */
#ifndef SCRIBEFS_TESTS_KV_STORE_H
#define SCRIBEFS_TESTS_KV_STORE_H

#include "kv/bytes.h"
#include "kv/engine/memory.h"
#include "kv/kv_internal.h"
#include "tests/suite.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { ON_MEMORY, ON_ROCKS, ENGINES }; /* the index of a loop test */

static char dir[64], store[96];
static struct kv_memory *memory;
static struct kv_options options;
static struct kv *kv;
static uint32_t domain;

static const struct kv_unlock pass = {
	.type = KEYRING_PASSPHRASE, .secret = "correct horse", .secret_len = 13};

#define ok(x) ck_assert_int_eq((x), 0)
#define fails(x, error) ck_assert_int_eq((x), (error))

static inline void reopen(void)
{
	ok(kv_open(store, &pass, &options, &kv));
}

static inline void shut(void)
{
	ok(kv_close(kv));
	kv = NULL;
}

/* A new store of @engine, open, with one domain. */
static inline void start(int engine)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305,
		.first = pass,
		.opslimit = 1,
		.memlimit = 8192};

	suite_folder(dir);
	snprintf(store, sizeof store, "%s/store", dir);
	ok(keyring_create(store, &init, NULL));
	options = (struct kv_options){0};
	if (engine == ON_MEMORY) {
		memory = kv_memory_new();
		ck_assert_ptr_nonnull(memory);
		options.engine = &kv_engine_memory;
		options.engine_arg = memory;
	}
	reopen();
	ok(kv_domain_create(kv, &domain));
}

static inline void finish(void)
{
	if (kv)
		shut();
	kv_memory_free(memory);
	memory = NULL;
	ok(suite_remove(dir));
}

struct key {
	uint8_t bytes[KV_KEY_MAX];
	size_t len;
};

static inline struct key key_in(uint32_t in, const char *text)
{
	struct key k;

	put_be32(k.bytes, in);
	k.len = 4 + strlen(text);
	memcpy(k.bytes + 4, text, k.len - 4);
	return k;
}

static inline struct kv_txn *begin(void)
{
	struct kv_txn *txn = NULL;

	ok(kv_txn_begin(kv, &txn));
	return txn;
}

static inline int commit(struct kv_txn *txn)
{
	int r = kv_txn_commit(txn, NULL);

	kv_txn_free(txn);
	return r;
}

static inline int put(struct kv_txn *txn, const char *text, const char *value)
{
	struct key k = key_in(domain, text);

	return kv_txn_put(txn, KV_META, k.bytes, k.len, value, strlen(value));
}

static inline int insert(
	struct kv_txn *txn, enum kv_family family, const char *text, const char *value)
{
	struct key k = key_in(domain, text);

	return kv_txn_insert(txn, family, k.bytes, k.len, value, strlen(value));
}

static inline int remove_key(struct kv_txn *txn, enum kv_family family, const char *text)
{
	struct key k = key_in(domain, text);

	return kv_txn_delete(txn, family, k.bytes, k.len);
}

static inline int touch(struct kv_txn *txn, const char *text)
{
	struct key k = key_in(domain, text);

	return kv_txn_touch(txn, KV_META, k.bytes, k.len);
}

/* Puts one record in a transaction of its own. */
static inline void put_now(const char *text, const char *value)
{
	struct kv_txn *txn = begin();

	ok(put(txn, text, value));
	ok(commit(txn));
}

/* What stands in @family at @text: in @txn, else in @view, else the latest. */
static inline int look(struct kv_txn *txn, struct kv_view *view, enum kv_family family,
	const char *text, struct buf *ret_value)
{
	struct key k = key_in(domain, text);

	return txn ? kv_txn_get(txn, family, k.bytes, k.len, ret_value)
		   : kv_get(kv, view, family, k.bytes, k.len, ret_value);
}

static inline void holds_in(struct kv_txn *txn, struct kv_view *view, enum kv_family family,
	const char *text, const char *value)
{
	_cleanup_buf_ struct buf b = {0};

	ok(look(txn, view, family, text, &b));
	ck_assert_uint_eq(b.len, strlen(value));
	ck_assert_mem_eq(b.data, value, b.len);
}

static inline void lacks_in(
	struct kv_txn *txn, struct kv_view *view, enum kv_family family, const char *text)
{
	_cleanup_buf_ struct buf b = {0};

	fails(look(txn, view, family, text, &b), -ENOENT);
}

#define holds(text, value) holds_in(NULL, NULL, KV_META, text, value)
#define lacks(text) lacks_in(NULL, NULL, KV_META, text)

/* A small generator of its own, so that a failure repeats. */
static inline uint32_t dice(uint32_t *state, uint32_t sides)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % sides;
}

#endif
