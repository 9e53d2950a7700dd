#include "kv/seal.h"

#include "kv/bytes.h"
#include "kv/random.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <zstd.h>

#define SEAL_FORMAT 1
#define SEAL_ZSTD 0x01	      /* flag: the plaintext is one zstd frame that states its content's size */
#define SEAL_DICTIONARY 0x02 /* flag: and its dictionary's id */

#define SEAL_HEADER 4
#define SEAL_NONCE 24
#define SEAL_TAG 16
#define SEAL_AD_MAX (8 + 16 + 1 + 1 + KV_KEY_MAX + SEAL_HEADER)

_Static_assert(SEAL_OVERHEAD == SEAL_HEADER + SEAL_NONCE + SEAL_TAG, "seal.h");
_Static_assert(SEAL_ID_BYTES == SEAL_NONCE + SEAL_TAG, "seal.h");
_Static_assert(SEAL_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(SEAL_NONCE == 12 + crypto_aead_aes256gcm_NPUBBYTES, "nonce");
_Static_assert(SEAL_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(SEAL_TAG == crypto_aead_aes256gcm_ABYTES, "tag");

/* Below this zstd's own framing and the call cost more than is saved. */
#define COMPRESS_MIN 512
/*
 * Somebody waits for the commit of a small value: a quarter more bytes than at level 1, in three fifths of the
 * time. What rests is packed (pack.h). Whole chunks of large files may be base64 or the like, which has no matches:
 * that takes level 1's code for literals.
 */
#define COMPRESS_QUICK (-3)
#define COMPRESS_LEVEL 1
#define LARGE_MIN (32u << 10)
/* Of a large value a look at this many bytes tells whether to try, at an eighth of them where it is less large. */
#define PROBE_MIN (4u << 10)
#define PROBE_LARGE (16u << 10)
#define PROBE_BYTES 4096

/* One a thread: setting a zstd context up costs more than compressing a small record with it. */
struct codec {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	void *random; /* may be NULL */
};

static pthread_key_t codec_key;
static pthread_once_t codec_once = PTHREAD_ONCE_INIT;
static int codec_error;

static void codec_free(void *p)
{
	struct codec *c = p;
	ZSTD_freeCCtx(c->compress);
	ZSTD_freeDCtx(c->decompress);
	random_free(c->random);
	free(c);
}

static void codec_setup(void)
{
	if (sodium_init() < 0)
		codec_error = -EIO;
	else
		codec_error = -pthread_key_create(&codec_key, codec_free);
}

static int codec_get(struct codec **ret_codec)
{
	pthread_once(&codec_once, codec_setup);
	if (codec_error < 0)
		return codec_error;
	struct codec *c = pthread_getspecific(codec_key);
	if (!c) {
		c = calloc(1, sizeof *c);
		if (!c)
			return -ENOMEM;
		c->compress = ZSTD_createCCtx();
		c->decompress = ZSTD_createDCtx();
		c->random = random_new();
		if (!c->compress || !c->decompress || pthread_setspecific(codec_key, c) != 0) {
			codec_free(c);
			return -ENOMEM;
		}
	}
	*ret_codec = c;
	return 0;
}

void seal_random(void *ret_bytes, size_t len)
{
	struct codec *codec;

	random_bytes(codec_get(&codec) < 0 ? NULL : codec->random, ret_bytes, len);
}

static size_t associated_data(uint8_t ad[SEAL_AD_MAX], const struct seal_context *ctx,
	enum kv_family family, const void *record_key, size_t record_key_len,
	const uint8_t header[SEAL_HEADER])
{
	uint8_t *p = put_bytes(ad, "scribefs", 8);
	p = put_bytes(p, ctx->store_id, sizeof ctx->store_id);
	p = put_u8(p, (uint8_t)family);
	p = put_u8(p, (uint8_t)record_key_len);
	p = put_bytes(p, record_key, record_key_len);
	p = put_bytes(p, header, SEAL_HEADER);
	return (size_t)(p - ad);
}

/* The key of one AES-256-GCM record, so that its 96 random nonce bits are used under it alone. */
static void record_key_derive(const struct seal_key *key, const uint8_t nonce[SEAL_NONCE],
	uint8_t ret_key[crypto_aead_aes256gcm_KEYBYTES])
{
	uint8_t input[3 + 12];
	put_bytes(put_bytes(input, "gcm", 3), nonce, 12);
	crypto_generichash_blake2b(ret_key, crypto_aead_aes256gcm_KEYBYTES, input, sizeof input,
		key->key, sizeof key->key);
}

/* @text may be the place of the ciphertext itself. */
static int encrypt(const struct seal_context *ctx, const struct seal_key *key, const uint8_t *ad,
	size_t ad_len, const uint8_t nonce[SEAL_NONCE], const void *text, size_t len,
	uint8_t *ret_cipher)
{
	uint8_t *tag = ret_cipher + len;
	if (ctx->cipher == KV_CIPHER_XCHACHA20_POLY1305) {
		crypto_aead_xchacha20poly1305_ietf_encrypt_detached(ret_cipher, tag, NULL, text,
			len, ad, ad_len, NULL, nonce, key->key);
		return 0;
	}
	if (!keyring_cipher_available(ctx->cipher))
		return -EOPNOTSUPP;
	uint8_t record_key[crypto_aead_aes256gcm_KEYBYTES];
	record_key_derive(key, nonce, record_key);
	crypto_aead_aes256gcm_encrypt_detached(ret_cipher, tag, NULL, text, len, ad, ad_len, NULL,
		nonce + 12, record_key);
	sodium_memzero(record_key, sizeof record_key);
	return 0;
}

static int decrypt(const struct seal_context *ctx, const struct seal_key *key, const uint8_t *ad,
	size_t ad_len, const uint8_t nonce[SEAL_NONCE], const uint8_t *cipher, size_t len,
	uint8_t *ret_text)
{
	const uint8_t *tag = cipher + len;
	int r;
	if (ctx->cipher == KV_CIPHER_XCHACHA20_POLY1305) {
		r = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(ret_text, NULL, cipher, len,
			tag, ad, ad_len, nonce, key->key);
		return r == 0 ? 0 : -EBADMSG;
	}
	if (!keyring_cipher_available(ctx->cipher))
		return -EOPNOTSUPP;
	uint8_t record_key[crypto_aead_aes256gcm_KEYBYTES];
	record_key_derive(key, nonce, record_key);
	r = crypto_aead_aes256gcm_decrypt_detached(ret_text, NULL, cipher, len, tag, ad, ad_len,
		nonce + 12, record_key);
	sodium_memzero(record_key, sizeof record_key);
	return r == 0 ? 0 : -EBADMSG;
}

/*
 * Whether bytes are as frequent in @value as in noise: compressed or encrypted already. Eight are looked at
 * in each of its parts, at another place than in the part before, for it may be made of records. By the sum
 * of the squares of what is counted: where bytes alone would save an eighth it is at least twice that of
 * noise. Only what is noise and repeats itself is lost on this.
 */
static bool looks_random(const void *bytes, size_t len)
{
	const uint8_t *value = bytes;
	uint16_t count[256] = {0};
	const size_t looks = len < PROBE_LARGE ? PROBE_BYTES / 8 : PROBE_BYTES;
	const size_t parts = looks / 8, step = len / parts;
	uint32_t squares = 0;
	for (size_t i = 0; i < parts; i++) {
		const uint8_t *word = value + i * step + i * 8 % (step - 7);
		for (size_t j = 0; j < 8; j++)
			count[word[j]]++;
	}
	for (size_t i = 0; i < 256; i++)
		squares += (uint32_t)count[i] * count[i];
	/* Of noise: as many as were looked at, and a 256th of their square. */
	return squares < looks + looks / 256 * looks / 4 * 5;
}

bool seal_is_noise(const void *value, size_t len)
{
	return len >= PROBE_MIN && looks_random(value, len);
}

/* The compressed length, or 0 where less than an eighth would be saved. */
static size_t compress(struct codec *codec, const void *value, size_t len, uint8_t *ret_frame)
{
	if (len < COMPRESS_MIN || seal_is_noise(value, len))
		return 0;
	/* zstd fails as soon as the frame outgrows what would pay: no second look at its length. */
	size_t n = ZSTD_compressCCtx(codec->compress, ret_frame, len - len / 8, value, len,
		len < LARGE_MIN ? COMPRESS_QUICK : COMPRESS_LEVEL);
	return ZSTD_isError(n) ? 0 : n;
}

/*
 * Encrypts @len bytes of text in the room that was reserved behind @ret_sealed; @text NULL: they lie where the
 * ciphertext goes.
 */
static int seal_text(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, uint8_t flags, const void *text, size_t len,
	struct buf *ret_sealed)
{
	uint8_t *header = ret_sealed->data + ret_sealed->len;
	uint8_t *nonce = header + SEAL_HEADER, *cipher = nonce + SEAL_NONCE;
	uint8_t ad[SEAL_AD_MAX];
	struct codec *codec;
	int r = codec_get(&codec);
	if (r < 0)
		return r;

	put_be16(put_u8(put_u8(header, SEAL_FORMAT), flags), key->generation);
	random_bytes(codec->random, nonce, SEAL_NONCE);
	size_t ad_len = associated_data(ad, ctx, family, record_key, record_key_len, header);
	r = encrypt(ctx, key, ad, ad_len, nonce, text ? text : cipher, len, cipher);
	if (r == 0)
		ret_sealed->len += SEAL_OVERHEAD + len;
	return r;
}

int seal_value(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *value, size_t value_len,
	struct buf *ret_sealed)
{
	assert(record_key_len <= KV_KEY_MAX);
	if (value_len > KV_VALUE_MAX)
		return -E2BIG;
	struct codec *codec;
	int r = codec_get(&codec);
	if (r < 0)
		return r;
	r = buf_reserve(ret_sealed, ret_sealed->len + SEAL_OVERHEAD + value_len);
	if (r < 0)
		return r;
	size_t len = compress(codec, value, value_len,
		ret_sealed->data + ret_sealed->len + SEAL_HEADER + SEAL_NONCE);
	return seal_text(ctx, key, family, record_key, record_key_len, len ? SEAL_ZSTD : 0, len ? NULL : value,
		len ? len : value_len, ret_sealed);
}

int seal_packed(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *value, size_t value_len,
	const ZSTD_CDict *dictionary, size_t most, struct buf *ret_sealed)
{
	assert(record_key_len <= KV_KEY_MAX);
	if (value_len > KV_VALUE_MAX)
		return -E2BIG;
	if (most <= SEAL_OVERHEAD)
		return 0;
	struct codec *codec;
	int r = codec_get(&codec);
	if (r < 0)
		return r;
	r = buf_reserve(ret_sealed, ret_sealed->len + most);
	if (r < 0)
		return r;
	size_t len = ZSTD_compress_usingCDict(codec->compress,
		ret_sealed->data + ret_sealed->len + SEAL_HEADER + SEAL_NONCE, most - SEAL_OVERHEAD, value,
		value_len, dictionary);
	if (ZSTD_isError(len))
		return 0;
	r = seal_text(ctx, key, family, record_key, record_key_len, SEAL_ZSTD | SEAL_DICTIONARY, NULL, len,
		ret_sealed);
	return r < 0 ? r : 1;
}

bool seal_is_packed(const void *sealed, size_t sealed_len)
{
	return sealed_len >= SEAL_OVERHEAD && ((const uint8_t *)sealed)[1] & SEAL_DICTIONARY;
}

/* The size is looked at before anything is allocated: a frame may promise any. */
static int decompress(struct codec *codec, struct dictionaries *dictionaries, uint32_t domain,
	const struct buf *frame, struct buf *ret_value)
{
	unsigned long long size = ZSTD_getFrameContentSize(frame->data, frame->len);
	if (size > KV_VALUE_MAX) /* also ZSTD_CONTENTSIZE_UNKNOWN and _ERROR */
		return -EBADMSG;
	int r = buf_reserve(ret_value, size ? (size_t)size : 1);
	if (r < 0)
		return r;
	if (dictionaries) {
		r = dictionary_decompress(dictionaries, domain, codec->decompress, frame->data, frame->len,
			ret_value->data, (size_t)size);
		ret_value->len = r < 0 ? 0 : (size_t)size;
		return r;
	}
	size_t n = ZSTD_decompressDCtx(codec->decompress, ret_value->data, (size_t)size,
		frame->data, frame->len);
	if (ZSTD_isError(n) || n != size)
		return -EBADMSG;
	ret_value->len = n;
	return 0;
}

/* Whether it may be opened with this key. -EBADMSG. */
static int look_at_header(const struct seal_key *key, size_t record_key_len, const void *sealed, size_t sealed_len)
{
	uint16_t generation;
	int r = seal_generation(sealed, sealed_len, &generation);
	if (r == 0 && (generation != key->generation || record_key_len > KV_KEY_MAX ||
			      sealed_len - SEAL_OVERHEAD > KV_VALUE_MAX))
		r = -EBADMSG;
	return r;
}

int seal_open_into(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *sealed, size_t sealed_len, void *room,
	size_t room_len)
{
	const uint8_t *header = sealed, *nonce = header + SEAL_HEADER;
	uint8_t ad[SEAL_AD_MAX];
	int r = look_at_header(key, record_key_len, sealed, sealed_len);
	if (r < 0)
		return r;
	if (header[1] & SEAL_ZSTD || sealed_len - SEAL_OVERHEAD != room_len)
		return 0;
	size_t ad_len = associated_data(ad, ctx, family, record_key, record_key_len, header);
	r = decrypt(ctx, key, ad, ad_len, nonce, nonce + SEAL_NONCE, room_len, room);
	return r < 0 ? r : 1;
}

int seal_open(const struct seal_context *ctx, const struct seal_key *key, enum kv_family family,
	const void *record_key, size_t record_key_len, const void *sealed, size_t sealed_len,
	struct buf *ret_value)
{
	const uint8_t *header = sealed;
	int r = look_at_header(key, record_key_len, sealed, sealed_len);
	if (r < 0)
		return r;
	uint8_t flags = header[1];
	size_t len = sealed_len - SEAL_OVERHEAD;
	struct codec *codec;
	r = codec_get(&codec);
	if (r < 0)
		return r;

	_cleanup_buf_ struct buf text = {0}, value = {0};
	r = buf_reserve(&text, len ? len : 1);
	if (r < 0)
		return r;
	uint8_t ad[SEAL_AD_MAX];
	size_t ad_len = associated_data(ad, ctx, family, record_key, record_key_len, header);
	const uint8_t *nonce = header + SEAL_HEADER;
	r = decrypt(ctx, key, ad, ad_len, nonce, nonce + SEAL_NONCE, len, text.data);
	if (r < 0)
		return r;
	text.len = len;
	struct buf *result = &text;
	if (flags & SEAL_ZSTD) {
		r = decompress(codec, flags & SEAL_DICTIONARY ? ctx->dictionaries : NULL,
			record_key_len >= 4 ? get_be32(record_key) : 0, &text, &value);
		if (r < 0)
			return r;
		result = &value;
	}
	/* Swapped in whole, so that a failure leaves the caller's bytes alone. */
	buf_release(ret_value);
	*ret_value = *result;
	*result = (struct buf){0};
	return 0;
}

int seal_copy(const struct seal_context *ctx, const struct seal_key *key, enum kv_family from_family,
	const void *from, size_t from_len, const struct buf *sealed, enum kv_family family,
	const void *record_key, size_t record_key_len, struct buf *ret_sealed)
{
	uint8_t ad[SEAL_AD_MAX];
	uint16_t generation;
	int r = seal_generation(sealed->data, sealed->len, &generation);
	if (r == 0 && (generation != key->generation || from_len > KV_KEY_MAX))
		r = -EBADMSG;
	if (r == 0)
		r = buf_reserve(ret_sealed, ret_sealed->len + sealed->len);
	if (r < 0)
		return r;
	assert(record_key_len <= KV_KEY_MAX);
	size_t len = sealed->len - SEAL_OVERHEAD;
	const uint8_t *old_nonce = sealed->data + SEAL_HEADER;
	uint8_t *text = ret_sealed->data + ret_sealed->len + SEAL_HEADER + SEAL_NONCE;
	size_t ad_len = associated_data(ad, ctx, from_family, from, from_len, sealed->data);
	r = decrypt(ctx, key, ad, ad_len, old_nonce, old_nonce + SEAL_NONCE, len, text);
	return r < 0 ? r : seal_text(ctx, key, family, record_key, record_key_len, sealed->data[1], NULL, len,
				   ret_sealed);
}

int seal_generation(const void *sealed, size_t sealed_len, uint16_t *ret_generation)
{
	const uint8_t *p = sealed;
	if (sealed_len < SEAL_OVERHEAD || p[0] != SEAL_FORMAT || (p[1] & ~(SEAL_ZSTD | SEAL_DICTIONARY)) ||
		(p[1] & (SEAL_ZSTD | SEAL_DICTIONARY)) == SEAL_DICTIONARY)
		return -EBADMSG;
	*ret_generation = get_be16(p + 2);
	return 0;
}

void seal_identity(const void *sealed, size_t sealed_len, uint8_t ret_id[SEAL_ID_BYTES])
{
	assert(sealed_len >= SEAL_OVERHEAD);
	const uint8_t *p = sealed;
	uint8_t *id = put_bytes(ret_id, p + SEAL_HEADER, SEAL_NONCE);
	put_bytes(id, p + sealed_len - SEAL_TAG, SEAL_TAG);
}
