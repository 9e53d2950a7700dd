/* What a damaged, forged, newer or misplaced keyring does. */
#include "tests/kv/keyring_store.h"
#include "tests/suite.h"

/* As somebody would who has no key: the digest is right, the MAC is not. */
static void forge(struct buf *bytes)
{
	size_t len = bytes->len - 16;
	crypto_generichash(bytes->data + len, 16, bytes->data, len, NULL, 0);
	write_file(bytes->data, bytes->len);
}

START_TEST(every_byte_counts)
{
	create(&file);
	struct keyring *k = open_store(&file);
	uint32_t domain;
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	keyring_close(k);
	_cleanup_(buf_releasep) struct buf bytes = {0};
	read_file(&bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] ^= 1;
		/* Damage is told from a wrong secret, before the secret is asked for. */
		struct keyring_info info;
		write_file(bytes.data, bytes.len);
		int r = keyring_read_info(store, &info);
		bool versioned = (i >= 8 && i < 12) || (i >= 20 && i < 24);
		ck_assert(r == -EBADMSG || (versioned && r == -EPROTONOSUPPORT));
		ck_assert_int_eq(try_open(&file), r);
		/* With a digest made to fit nothing opens either. */
		if (i < bytes.len - 16) {
			forge(&bytes);
			ck_assert_int_lt(try_open(&file), 0);
			ck_assert_int_lt(keyring_slot_change(store, &file, -1, &file2), 0);
		}
		bytes.data[i] ^= 1;
	}
	forge(&bytes);
	ck_assert_int_eq(try_open(&file), 0);
	for (size_t len = 0; len < bytes.len; len++) {
		write_file(bytes.data, len);
		ck_assert_int_eq(try_open(&file), -EBADMSG);
	}
	ck_assert_int_eq(buf_append(&bytes, "", 1), 0);
	forge(&bytes);
	ck_assert_int_eq(try_open(&file), -EBADMSG);
}
END_TEST

START_TEST(versions_and_features)
{
	create(&file);
	_cleanup_(buf_releasep) struct buf bytes = {0};
	read_file(&bytes);
	/* A newer format need not even have our length or digest. */
	put_be32(bytes.data + 8, 2);
	write_file(bytes.data, bytes.len - 9);
	struct keyring_info info;
	ck_assert_int_eq(try_open(&file), -EPROTONOSUPPORT);
	ck_assert_int_eq(keyring_read_info(store, &info), -EPROTONOSUPPORT);
	put_be32(bytes.data + 8, 0);
	forge(&bytes);
	ck_assert_int_eq(try_open(&file), -EBADMSG);
	put_be32(bytes.data + 8, 1);
	put_be32(bytes.data + 20, 1u << 31);
	forge(&bytes);
	ck_assert_int_eq(try_open(&file), -EPROTONOSUPPORT);
}
END_TEST

/* Writes the file again as a newer scribefs would, with @compat and @ro_compat set. */
static void set_features(uint32_t compat, uint32_t ro_compat)
{
	_cleanup_(buf_releasep) struct buf bytes = {0};
	struct keyring_file f;
	unsigned slot;
	uint8_t master[32], mac_key[32];
	int fd = keyring_disk_open(store);
	ck_assert_int_eq(keyring_unlock_file(fd, &file, &f, &slot, master), 0);
	close(fd);
	keyring_file_release(&f);
	read_file(&bytes);
	put_be32(bytes.data + 12, compat);
	put_be32(bytes.data + 16, ro_compat);
	keyring_mac_key(master, mac_key);
	size_t len = bytes.len - 48;
	crypto_generichash(bytes.data + len, 32, bytes.data, len, mac_key, 32);
	forge(&bytes);
}

START_TEST(features_that_may_be_ignored)
{
	uint32_t domain;
	unsigned slot;
	create(&file);
	set_features(0x80, 0);
	struct keyring *k = open_store(&file);
	ck_assert(!keyring_read_only(k));
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	keyring_close(k);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_uint_eq(info.compat, 0x80);

	set_features(0, 0x40);
	k = open_store(&file);
	ck_assert(keyring_read_only(k));
	ck_assert_ptr_nonnull(keyring_domain_key(k, 1));
	ck_assert_int_eq(keyring_domain_create(k, &domain), -EROFS);
	ck_assert_int_eq(keyring_domain_destroy(k, 1), -EROFS);
	ck_assert_ptr_nonnull(keyring_domain_key(k, 1));
	keyring_close(k);
	ck_assert_int_eq(keyring_slot_add(store, &file, &file2, "", &slot), -EROFS);
}
END_TEST

/* A forged file must not make us allocate or compute without bound. */
START_TEST(argon2_limits)
{
	create(&pass);
	_cleanup_(buf_releasep) struct buf bytes = {0};
	read_file(&bytes);
	static const struct {
		uint64_t ops, mem;
	} bad[] = {{1, UINT64_C(1) << 40}, {UINT64_C(1) << 40, 8192}, {UINT64_MAX, UINT64_MAX},
		{0, 8192}, {1, 0}, {1, 8191}, {33, 1u << 30}, {1, (1u << 30) + 1}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		put_be64(put_be64(bytes.data + 64 + 12, bad[i].ops), bad[i].mem);
		forge(&bytes);
		ck_assert_int_eq(try_open(&pass), -EBADMSG);
	}
	put_be64(put_be64(bytes.data + 64 + 12, 2), 8192);
	forge(&bytes);
	ck_assert_int_eq(try_open(&pass), -EKEYREJECTED);
}
END_TEST

START_TEST(no_regular_file)
{
	create(&file);
	char aside[160];
	snprintf(aside, sizeof aside, "%s/aside", dir);
	ck_assert_int_eq(rename(keyring_path, aside), 0);
	ck_assert_int_eq(symlink(aside, keyring_path), 0);
	ck_assert_int_eq(try_open(&file), -EBADMSG);
	unlink(keyring_path);
	ck_assert_int_eq(mkfifo(keyring_path, 0600), 0);
	ck_assert_int_eq(try_open(&file), -EBADMSG);
	unlink(keyring_path);
	/* Nor is a link in the new file's place followed. */
	char stale[160];
	snprintf(stale, sizeof stale, "%s.new", keyring_path);
	ck_assert_int_eq(rename(aside, keyring_path), 0);
	ck_assert_int_eq(symlink(aside, stale), 0);
	ck_assert_int_eq(keyring_slot_change(store, &file, -1, &file2), 0);
	ck_assert_int_eq(access(aside, F_OK), -1);
	ck_assert_int_eq(try_open(&file2), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("keyring-damage");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_byte_counts);
	tcase_add_test(t, versions_and_features);
	tcase_add_test(t, features_that_may_be_ignored);
	tcase_add_test(t, argon2_limits);
	tcase_add_test(t, no_regular_file);
	return run_case("keyring-damage", t);
}
