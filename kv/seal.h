/*
 * seal.h: one value, compressed where it pays, encrypted and authenticated. Internal to kv.
 *
 *   0  u8   record format (1)
 *   1  u8   flags: bit 0 zstd; bit 1 with a dictionary (dictionary.h), and bit 0 too; others 0
 *   2  u16  generation of the domain's key
 *   4  24   random nonce
 *  28  …    ciphertext, then the 16-byte tag
 *
 * Associated data: "scribefs" ‖ store id (16) ‖ family u8 ‖ key length u8 ‖ key ‖ header bytes 0–3.
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) uses the nonce as it is. AES-256-GCM uses a key of its
 * own for each record: BLAKE2b-256(domain key, "gcm" ‖ nonce[0..11]), with nonce[12..23] as its 96-bit
 * nonce, so that random nonces never wear out.
 *
 * Any thread; nothing is kept but a zstd context per thread.
 */
#ifndef SCRIBEFS_KV_SEAL_H
#define SCRIBEFS_KV_SEAL_H

#include "kv/keyring.h"
#include "kv/dictionary.h"
#include "kv/kv.h"

#define SEAL_KEY_BYTES 32
#define SEAL_OVERHEAD 44  /* header, nonce and tag */
#define SEAL_ID_BYTES 40  /* nonce and tag: what tells two versions of a record apart */

struct seal_context {
	enum kv_cipher cipher;
	uint8_t store_id[16];
	struct dictionaries *dictionaries; /* NULL: what was packed with one is -EBADMSG */
};

/* A domain's key in locked memory. */
struct seal_key {
	uint8_t key[SEAL_KEY_BYTES];
	uint16_t generation;
};

/* Random bytes as random_bytes() draws them, by the calling thread's generator. */
void seal_random(void *ret_bytes, size_t len);

/* Appends the sealed form to @ret_sealed. -ENOMEM, -E2BIG (more than KV_VALUE_MAX). */
int seal_value(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *value, size_t value_len,
	struct buf *ret_sealed);
/*
 * The same, compressed with @dictionary: 1, or 0 and nothing appended where the sealed form would have more
 * than @most bytes.
 */
int seal_packed(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *value, size_t value_len,
	const ZSTD_CDict *dictionary, size_t most, struct buf *ret_sealed);
/* Whether a value is not compressed because its bytes are about as frequent as in noise. Small ones never. */
bool seal_is_noise(const void *value, size_t len);
/* Whether a sealed value is packed. */
bool seal_is_packed(const void *sealed, size_t sealed_len);
/* Replaces @ret_value. -EBADMSG: not what was sealed here, or no sealed value at all. */
int seal_open(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *sealed, size_t sealed_len,
	struct buf *ret_value);
/*
 * The same in place, where the value has just @room_len bytes and is not compressed: 1. Else 0, and nothing was
 * done. After a failure what is in @room is of no meaning.
 */
int seal_open_into(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *sealed, size_t sealed_len, void *room,
	size_t room_len);
/* seal_value() of what is sealed in @sealed for the key @from, as it was compressed then. -EBADMSG as seal_open(). */
int seal_copy(const struct seal_context *ctx, const struct seal_key *key, enum kv_family from_family,
	const void *from, size_t from_len, const struct buf *sealed, enum kv_family family,
	const void *record_key, size_t record_key_len, struct buf *ret_sealed);
/* The key generation that a sealed value names. -EBADMSG too short or another format. */
int seal_generation(const void *sealed, size_t sealed_len, uint16_t *ret_generation);
/* Nonce and tag of a sealed value of at least SEAL_OVERHEAD bytes: identifies this version. */
void seal_identity(const void *sealed, size_t sealed_len, uint8_t ret_id[SEAL_ID_BYTES]);

#endif
