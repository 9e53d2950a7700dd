/*
 * Sealed values: the input as such, the input as a compressed frame that somebody with the key
 * sealed, and the input as a value that must come back.
 */
#include "kv/bytes.h"
#include "kv/seal.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct seal_context ctx = {.cipher = KV_CIPHER_XCHACHA20_POLY1305};
static const struct seal_key key = {.generation = 1};
#define RECORD_KEY "\0\0\0\1key", 7

static void open_frame(const uint8_t *frame, size_t size)
{
	_cleanup_buf_ struct buf sealed = {0}, value = {0};
	uint8_t ad[8 + 16 + 1 + 1 + 7 + 4] = "scribefs";
	if (buf_resize(&sealed, SEAL_OVERHEAD + size) < 0)
		return;
	put_be16(put_u8(put_u8(sealed.data, 1), 1), key.generation);
	uint8_t *p = put_u8(put_u8(ad + 24, KV_DATA), 7);
	put_bytes(put_bytes(p, RECORD_KEY), sealed.data, 4);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed.data + 28, NULL, frame, size, ad,
		sizeof ad, NULL, sealed.data + 4, key.key);
	int r = seal_open(&ctx, &key, KV_DATA, RECORD_KEY, sealed.data, sealed.len, &value);
	/* It passes authentication, so only the frame can be refused; a good one has a value. */
	if (r < 0 ? value.data != NULL : value.data == NULL || value.len > KV_VALUE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf sealed = {0}, value = {0};
	if (seal_open(&ctx, &key, KV_DATA, RECORD_KEY, data, size, &value) == 0)
		abort(); /* nobody sealed that */
	open_frame(data, size);
	if (seal_value(&ctx, &key, KV_DATA, RECORD_KEY, data, size, &sealed) < 0)
		return 0;
	if (seal_open(&ctx, &key, KV_DATA, RECORD_KEY, sealed.data, sealed.len, &value) < 0 ||
		value.len != size || (size && memcmp(value.data, data, size) != 0))
		abort();
	return 0;
}
