/*
 * The keyring's decoder on the input as such, and on the input with what a forger gets right too:
 * magic, format, counts that fit the length, digest. What decodes must encode to the same bytes. And
 * the recovery key's text.
 */
#include "kv/bytes.h"
#include "kv/keyring_file.h"
#include "kv/kv.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRAILER (KEYRING_MAC_BYTES + KEYRING_DIGEST_BYTES)

static const uint8_t mac_key[32];

static void decode(const uint8_t *data, size_t size)
{
	static const struct kv_unlock unlock = {KEYRING_KEY_FILE,
		"thirty-two bytes that open nothing", 34};
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_buf_ struct buf again = {0};
	if (keyring_file_decode(data, size, &f) < 0)
		return;
	if (!(f.ro_compat & ~KEYRING_RO_COMPAT) &&
		(keyring_file_encode(&f, mac_key, &again) < 0 || again.len != size ||
			memcmp(again.data, data, size - TRAILER) != 0))
		abort();
	unsigned slot;
	uint8_t master[32];
	if (keyring_slot_unlock(&f, &unlock, &slot, master) != -EKEYREJECTED)
		abort();
}

static void decode_forged(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf bytes = {0};
	if (size < KEYRING_HEADER_BYTES || buf_append(&bytes, data, size) < 0)
		return;
	size_t slots = 1 + bytes.data[41] % 4;
	size_t fixed = KEYRING_HEADER_BYTES + slots * KEYRING_SLOT_BYTES + TRAILER;
	if (size < fixed)
		return;
	size_t domains = (size - fixed) / KEYRING_DOMAIN_BYTES;
	bytes.len = fixed + domains * KEYRING_DOMAIN_BYTES;
	put_be32(put_bytes(bytes.data, "SCRIBEKR", 8), KEYRING_FORMAT);
	put_be32(bytes.data + 20, 0);
	put_u8(bytes.data + 41, (uint8_t)slots);
	put_be32(bytes.data + 48, (uint32_t)domains);
	uint8_t *digest = bytes.data + bytes.len - KEYRING_DIGEST_BYTES;
	crypto_generichash(digest, KEYRING_DIGEST_BYTES, bytes.data,
		bytes.len - KEYRING_DIGEST_BYTES, NULL, 0);
	decode(bytes.data, bytes.len);
}

static void recovery_text(const uint8_t *data, size_t size)
{
	uint8_t key[20], again[20];
	char text[KEYRING_RECOVERY_TEXT];
	if (keyring_recovery_parse((const char *)data, size, key) < 0)
		return;
	keyring_recovery_format(key, text);
	if (keyring_recovery_parse(text, strlen(text), again) < 0 || memcmp(key, again, 20) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (sodium_init() < 0)
		abort();
	decode(data, size);
	decode_forged(data, size);
	recovery_text(data, size);
	return 0;
}
