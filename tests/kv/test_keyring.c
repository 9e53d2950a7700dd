/* The keyring: stores, slots and domains, and its bytes. */
#include "tests/kv/keyring_store.h"
#include "tests/suite.h"

#include <time.h>

/* ---- create and open ------------------------------------------------------------------------- */

START_TEST(create_and_open)
{
	create(&pass);
	struct stat st;
	ck_assert_int_eq(stat(store, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(stat(keyring_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);

	ck_assert_int_eq(try_open(&wrong), -EKEYREJECTED);
	ck_assert_int_eq(try_open(&file), -EKEYREJECTED);
	static const struct kv_unlock empty = SECRET(KEYRING_PASSPHRASE, "");
	ck_assert_int_eq(try_open(&empty), -EKEYREJECTED);
	struct keyring *k = open_store(&pass);
	ck_assert_int_eq(keyring_cipher(k), KV_CIPHER_XCHACHA20_POLY1305);
	ck_assert(!keyring_read_only(k));
	ck_assert_ptr_nonnull(keyring_domain_key(k, 0));
	ck_assert_uint_eq(keyring_domain_key(k, 0)->generation, 1);
	ck_assert_ptr_null(keyring_domain_key(k, 1));

	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_mem_eq(info.id, keyring_id(k), 16);
	ck_assert_uint_eq(info.format, 1);
	ck_assert_uint_eq(info.slots, 1);
	ck_assert_uint_eq(info.domains, 1);
	ck_assert_int_eq(info.slot[0].type, KEYRING_PASSPHRASE);
	ck_assert_uint_eq(info.slot[0].memlimit, 8192);
	ck_assert_int_le(info.slot[0].created, time(NULL));
	ck_assert_int_gt(info.slot[0].created, time(NULL) - 100);
	keyring_close(k);
}
END_TEST

START_TEST(create_refuses)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = file};
	ck_assert_int_eq(keyring_open(store, &file, &(struct keyring *){NULL}), -ENOENT);
	ck_assert_int_eq(mkdir(store, 0755), 0);
	ck_assert_int_eq(try_open(&file), -ENOENT);
	char other[128];
	snprintf(other, sizeof other, "%s/other", store);
	close(open(other, O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(keyring_create(store, &init, NULL), -ENOTEMPTY);
	unlink(other);

	static const struct kv_unlock bad[] = {
		SECRET(KEYRING_PASSPHRASE, ""),
		SECRET(KEYRING_KEY_FILE, "only thirty-one bytes of secret"),
		SECRET(KEYRING_RECOVERY, "R100-8J4C-T4AN-K7F2-4SNA-XWSQ-FEZW-0J6H-B7YQ-6K30"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		init.first = bad[i];
		ck_assert_int_eq(keyring_create(store, &init, NULL), -EINVAL);
		ck_assert_int_eq(access(keyring_path, F_OK), -1);
	}
	init.first = file;
	init.recovery = true;
	ck_assert_int_eq(keyring_create(store, &init, NULL), -EINVAL);
	init.recovery = false;
	/* An empty directory is taken, also with what a crash left in it. */
	char stale[160];
	snprintf(stale, sizeof stale, "%s.new", keyring_path);
	close(open(stale, O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(keyring_create(store, &init, NULL), 0);
	ck_assert_int_eq(access(stale, F_OK), -1);
	struct stat st;
	stat(store, &st);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
	ck_assert_int_eq(keyring_create(store, &init, NULL), -EEXIST);
	ck_assert_int_eq(try_open(&file), 0);
	/* A directory that it made itself is gone again where it failed. */
	char fresh[128];
	snprintf(fresh, sizeof fresh, "%s/fresh", dir);
	init.first = bad[0];
	ck_assert_int_eq(keyring_create(fresh, &init, NULL), -EINVAL);
	ck_assert_int_eq(access(fresh, F_OK), -1);
}
END_TEST

START_TEST(ciphers)
{
	enum kv_cipher cipher;
	ck_assert_int_eq(keyring_cipher_by_name("xchacha20-poly1305", &cipher), 0);
	ck_assert_int_eq(cipher, KV_CIPHER_XCHACHA20_POLY1305);
	ck_assert_int_eq(keyring_cipher_by_name("aes", &cipher), 0);
	ck_assert_int_eq(cipher, KV_CIPHER_AES_256_GCM);
	ck_assert_int_eq(keyring_cipher_by_name("rot13", &cipher), -EINVAL);
	struct keyring_init init = {.cipher = KV_CIPHER_AES_256_GCM, .first = file};
	if (!keyring_cipher_available(KV_CIPHER_AES_256_GCM)) {
		ck_assert_int_eq(keyring_create(store, &init, NULL), -EOPNOTSUPP);
		return;
	}
	ck_assert_int_eq(keyring_create(store, &init, NULL), 0);
	struct keyring *k = open_store(&file);
	ck_assert_int_eq(keyring_cipher(k), KV_CIPHER_AES_256_GCM);
	keyring_close(k);
}
END_TEST

/* ---- slots ----------------------------------------------------------------------------------- */

START_TEST(slots_come_and_go)
{
	unsigned slot = 99;
	create(&file);
	ck_assert_int_eq(keyring_slot_add(store, &wrong, &file2, "x", &slot), -EKEYREJECTED);
	ck_assert_int_eq(keyring_slot_add(store, &file, &file2, "two\x1b[2J", &slot), -EINVAL);
	ck_assert_uint_eq(slot, 99);
	ck_assert_int_eq(keyring_slot_add(store, &file, &file2, "the second", &slot), 0);
	ck_assert_uint_eq(slot, 1);
	ck_assert_int_eq(try_open(&file), 0);
	ck_assert_int_eq(try_open(&file2), 0);

	ck_assert_int_eq(keyring_slot_remove(store, &file2, 7), -ENOENT);
	ck_assert_int_eq(keyring_slot_remove(store, &file2, 0), 0);
	ck_assert_int_eq(try_open(&file), -EKEYREJECTED);
	ck_assert_int_eq(keyring_slot_remove(store, &file2, 1), -EPERM);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_uint_eq(info.slots, 1);
	ck_assert_uint_eq(info.slot[0].number, 1);
	ck_assert_str_eq(info.slot[0].label, "the second");

	/* The lowest free number, up to the last one. */
	for (unsigned i = 0; i < KEYRING_SLOTS - 1; i++) {
		ck_assert_int_eq(keyring_slot_add(store, &file2, &file, NULL, &slot), 0);
		ck_assert_uint_eq(slot, i == 0 ? 0 : i + 1);
	}
	ck_assert_int_eq(keyring_slot_add(store, &file2, &file, NULL, &slot), -ENOSPC);
	ck_assert_int_eq(try_open(&file), 0);
}
END_TEST

START_TEST(slot_changes)
{
	unsigned slot;
	create(&file);
	ck_assert_int_eq(keyring_slot_add(store, &file, &file2, "kept", &slot), 0);
	static const struct kv_unlock third = SECRET(KEYRING_KEY_FILE,
		"and a third file with 32 bytes..");
	ck_assert_int_eq(keyring_slot_change(store, &file2, -1, &third), 0);
	ck_assert_int_eq(try_open(&file2), -EKEYREJECTED);
	ck_assert_int_eq(try_open(&third), 0);
	ck_assert_int_eq(try_open(&file), 0);
	ck_assert_int_eq(keyring_slot_change(store, &file, 1, &file2), 0);
	ck_assert_int_eq(try_open(&third), -EKEYREJECTED);
	ck_assert_int_eq(try_open(&file2), 0);
	ck_assert_int_eq(keyring_slot_change(store, &file, 5, &third), -ENOENT);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_str_eq(info.slot[1].label, "kept");
}
END_TEST

START_TEST(calibrated_passphrase)
{
	unsigned slot;
	create(&file);
	ck_assert_int_eq(keyring_slot_add(store, &file, &pass, "p", &slot), 0);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_uint_eq(info.slot[1].memlimit, 64u << 20);
	ck_assert_uint_ge(info.slot[1].opslimit, 3);
	ck_assert_int_eq(try_open(&pass), 0);
}
END_TEST

START_TEST(recovery_key)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = file,
		.recovery = true};
	char text[2][KEYRING_RECOVERY_TEXT];
	unsigned slot;
	ck_assert_int_eq(keyring_create(store, &init, text[0]), 0);
	ck_assert_int_eq(keyring_slot_add_recovery(store, &file, "drawer", text[1], &slot), 0);
	ck_assert_uint_eq(slot, 2);
	ck_assert_str_ne(text[0], text[1]);
	for (int i = 0; i < 2; i++) {
		struct kv_unlock u = {KEYRING_RECOVERY, text[i], strlen(text[i])};
		ck_assert_int_eq(try_open(&u), 0);
		u.secret_len--;
		ck_assert_int_eq(try_open(&u), -EKEYREJECTED);
	}
	struct kv_unlock first = {KEYRING_RECOVERY, text[0], strlen(text[0])};
	ck_assert_int_eq(keyring_slot_change(store, &first, 0, &file2), 0);
	ck_assert_int_eq(try_open(&file2), 0);
	ck_assert_int_eq(keyring_slot_add(store, &file2, &first, "x", &slot), -EINVAL);
	ck_assert_int_eq(keyring_slot_remove(store, &file2, 1), 0);
	ck_assert_int_eq(try_open(&first), -EKEYREJECTED);
}
END_TEST

/* ---- domains --------------------------------------------------------------------------------- */

START_TEST(domains)
{
	create(&file);
	struct keyring *k = open_store(&file);
	uint32_t domain = 99;
	uint8_t keys[300][SEAL_KEY_BYTES];
	for (uint32_t i = 1; i < 300; i++) {
		ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
		ck_assert_uint_eq(domain, i);
		memcpy(keys[i], keyring_domain_key(k, i)->key, SEAL_KEY_BYTES);
		ck_assert_mem_ne(keys[i], keys[i - 1], SEAL_KEY_BYTES);
	}
	const struct seal_key *gone = keyring_domain_key(k, 299);
	ck_assert_int_eq(keyring_domain_destroy(k, 299), 0);
	ck_assert_int_eq(keyring_domain_destroy(k, 7), 0);
	ck_assert_int_eq(keyring_domain_destroy(k, 7), -ENOENT);
	ck_assert_int_eq(keyring_domain_destroy(k, 0), -EPERM);
	ck_assert_ptr_null(keyring_domain_key(k, 7));
	/* The pointer lives on; the key is gone, and not zeros, which anybody could seal with. */
	ck_assert_mem_ne(gone->key, keys[299], SEAL_KEY_BYTES);
	ck_assert(!sodium_is_zero(gone->key, SEAL_KEY_BYTES));
	uint8_t derived[2][32];
	ck_assert_int_eq(keyring_domain_derive(k, 7, 1, derived[0]), -ENOKEY);
	ck_assert_int_eq(keyring_domain_derive(k, 8, 1, derived[0]), 0);
	keyring_close(k);

	k = open_store(&file);
	ck_assert_ptr_null(keyring_domain_key(k, 7));
	ck_assert_ptr_null(keyring_domain_key(k, 299));
	for (uint32_t i = 1; i < 299; i++)
		if (i != 7)
			ck_assert_mem_eq(keyring_domain_key(k, i)->key, keys[i], SEAL_KEY_BYTES);
	ck_assert_int_eq(keyring_domain_derive(k, 8, 1, derived[1]), 0);
	ck_assert_mem_eq(derived[0], derived[1], 32);
	ck_assert_int_eq(keyring_domain_derive(k, 8, 2, derived[1]), 0);
	ck_assert_mem_ne(derived[0], derived[1], 32);
	/* A number is never given twice, the highest neither. */
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	ck_assert_uint_eq(domain, 300);
	keyring_close(k);
}
END_TEST

START_TEST(domains_beside_slots)
{
	create(&file);
	struct keyring *k = open_store(&file);
	unsigned slot;
	uint32_t domain;
	ck_assert_int_eq(keyring_slot_add(store, &file, &file2, "", &slot), 0);
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	ck_assert_int_eq(keyring_slot_change(store, &file, 0, &file), 0);
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	ck_assert_int_eq(keyring_domain_destroy(k, 1), 0);
	keyring_close(k);
	k = open_store(&file2);
	ck_assert_ptr_null(keyring_domain_key(k, 1));
	ck_assert_ptr_nonnull(keyring_domain_key(k, 2));
	keyring_close(k);
}
END_TEST

START_TEST(old_file_put_back)
{
	create(&file);
	struct keyring *k = open_store(&file);
	uint32_t domain;
	_cleanup_(buf_releasep) struct buf old = {0};
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	read_file(&old);
	ck_assert_int_eq(keyring_domain_create(k, &domain), 0);
	write_file(old.data, old.len);
	domain = 99;
	ck_assert_int_eq(keyring_domain_create(k, &domain), -ESTALE);
	ck_assert_int_eq(keyring_domain_destroy(k, 2), -ESTALE);
	ck_assert_uint_eq(domain, 99);
	ck_assert_ptr_nonnull(keyring_domain_key(k, 2));
	unlink(keyring_path);
	ck_assert_int_eq(keyring_domain_create(k, &domain), -ENOENT);
	keyring_close(k);
}
END_TEST

static void *create_domains(void *arg)
{
	for (int i = 0; i < 25; i++) {
		uint32_t domain;
		if (keyring_domain_create(arg, &domain) < 0 || !keyring_domain_key(arg, domain) ||
			(i % 2 && keyring_domain_destroy(arg, domain) < 0))
			return arg;
	}
	return NULL;
}

START_TEST(domains_from_threads)
{
	create(&file);
	struct keyring *k = open_store(&file);
	pthread_t thread[4];
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, create_domains, k), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;
		pthread_join(thread[i], &failed);
		ck_assert_ptr_null(failed);
	}
	keyring_close(k);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_uint_eq(info.domains, 1 + 4 * 13);
}
END_TEST

/* ---- golden: a change here is a change of the format ----------------------------------------- */

static const char golden[] =
	"5343524942454b5200000001000000000000000000000000676f6c64656e2073746f72652069642e"
	"01010000000000050000000200000000000000000000000000020600000000006553f10000000000"
	"0000000000000000000000007369787465656e206279746520736c74676f6c64656e000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000006e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6efdcae468"
	"17735440ca4dc05767f4a09af7c2418da93ad6f2e355a796a9ae5da8a719d5ccf06292c3d3fc0600"
	"f7f3de9e0000000000010100000000000000000000000000000000000000000000000000904528a5"
	"00ef8a87652fd20de26be08ffd1b795e26476afd0b9b0a087bb4aba99ed5fc69eda1de80ccb95921"
	"bc75655900000003000101000303030303030303030303030303030303030303030303038ab8d5d0"
	"025854404e59d6a6fc0e26e24686276f824c53968773200acb1f55c6f9904bcef4a484922dda7566"
	"304a95b4a9d67a396dff657b9c2f684b453b46bd31905ea32504a8936aa6abf3755c87ac61ab6624"
	"1c8ef2edb101416994c289c2";

START_TEST(golden_file)
{
	uint8_t bytes[512], derived[32];
	size_t len;
	char hex[65];
	ck_assert_int_eq(sodium_hex2bin(bytes, sizeof bytes, golden, strlen(golden), NULL, &len,
				 NULL), 0);
	ck_assert_int_eq(mkdir(store, 0700), 0);
	write_file(bytes, len);
	struct keyring_info info;
	ck_assert_int_eq(keyring_read_info(store, &info), 0);
	ck_assert_int_eq(info.slot[0].created, 1700000000);
	ck_assert_str_eq(info.slot[0].label, "golden");
	struct keyring *k = open_store(&file);
	ck_assert_mem_eq(keyring_id(k), "golden store id.", 16);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof hex, keyring_domain_key(k, 0)->key, 32),
		"6400000000000000000000000000000000000000000000000000000000000000");
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof hex, keyring_domain_key(k, 3)->key, 32),
		"6403000000000000000000000000000000000000000000000000000000000000");
	keyring_derive(k, KEYRING_PURPOSE_MARK, derived);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof hex, derived, 32),
		"08901445207b8f937bd8127e832472d7716437b9dde69b5ef0e08edf8ccfa501");
	ck_assert_int_eq(keyring_domain_derive(k, 3, 1000, derived), 0);
	ck_assert_str_eq(sodium_bin2hex(hex, sizeof hex, derived, 32),
		"4991b9456bd15f90ea6013dc9f53f189ba1a2fd354009979f84a84b7e0a1b5ba");
	keyring_close(k);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("keyring");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, create_and_open);
	tcase_add_test(t, create_refuses);
	tcase_add_test(t, ciphers);
	tcase_add_test(t, slots_come_and_go);
	tcase_add_test(t, slot_changes);
	tcase_add_test(t, calibrated_passphrase);
	tcase_add_test(t, recovery_key);
	tcase_add_test(t, domains);
	tcase_add_test(t, domains_beside_slots);
	tcase_add_test(t, old_file_put_back);
	tcase_add_test(t, domains_from_threads);
	tcase_add_test(t, golden_file);
	return run_case("keyring", t);
}
