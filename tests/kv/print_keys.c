/*
 * print_keys STORE KEYFILE: every key that opens something of a store, in hexadecimal, a line each with its name.
 * For tests/scenario/leaks.sh, which looks for them where they must not be; no part of the product.
 */
#include "kv/kv_internal.h"

#include "kv/keyring_file.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>

static void print(const char *name, const uint8_t *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		printf("%02x", key[i]);
	printf(" %s\n", name);
}

/* FORMAT.md, Slot: what a key file's bytes become. */
static void print_wrapping(const struct keyring_file *file, const uint8_t *secret, size_t len)
{
	uint8_t kek[32];

	for (unsigned i = 0; i < file->slots; i++) {
		if (file->slot[i].info.type != KEYRING_KEY_FILE)
			continue;
		crypto_generichash_blake2b_salt_personal(kek, sizeof kek, secret, len, NULL, 0,
			file->slot[i].salt, (const uint8_t *)"scribefs keyfile");
		print("key-encryption", kek, sizeof kek);
	}
}

static void print_derived(const uint8_t master[32], struct keyring *k, const struct keyring_file *file)
{
	static const char *const names[] = {"", "mac", "wrap", "mark", "sum", "seen", "busy", "backup"};
	uint8_t key[32];

	for (uint64_t purpose = 1; purpose < sizeof names / sizeof names[0]; purpose++) {
		crypto_kdf_derive_from_key(key, 32, purpose, "scribefs", master);
		print(names[purpose], key, purpose == KEYRING_PURPOSE_TREE ? 16 : 32);
	}
	/* What the layers above hash with: names, entries, renderings, attributes. */
	static const uint64_t hashes[] = {1, 2, 0x73657373, 0x7861747472206b65, 0x7861747472207375};
	for (size_t i = 0; i < file->domains; i++) {
		uint32_t domain = file->domain[i].number;
		print("domain", keyring_domain_key(k, domain)->key, 32);
		for (size_t h = 0; h < sizeof hashes / sizeof hashes[0]; h++)
			if (keyring_domain_derive(k, domain, hashes[h], key) == 0)
				print("hash", key, 16);
	}
}

int main(int argc, char **argv)
{
	uint8_t secret[65536], master[32];
	struct keyring_file file;
	struct keyring *keyring;
	unsigned index;
	int fd = argc == 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, secret, sizeof secret) : -1;
	int dir = argc == 3 ? keyring_disk_open(argv[1]) : -1;

	if (n < 0 || dir < 0)
		return 2;
	struct kv_unlock unlock = {
		.type = KEYRING_KEY_FILE, .secret = secret, .secret_len = (size_t)n};
	if (keyring_unlock_file(dir, &unlock, &file, &index, master) < 0 ||
		keyring_open(argv[1], &unlock, &keyring) < 0)
		return 1;
	print("key-file", secret, (size_t)n);
	print("master", master, sizeof master);
	print_wrapping(&file, secret, (size_t)n);
	print_derived(master, keyring, &file);
	return fflush(stdout) == 0 ? 0 : 1;
}
