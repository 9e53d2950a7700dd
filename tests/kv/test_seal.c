/* Sealed values: round trips, what they are bound to, hostile frames, the bytes of the format. */
#include "kv/bytes.h"
#include "kv/seal.h"
#include "tests/suite.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <zstd.h>

static const struct seal_context xchacha = {.cipher = KV_CIPHER_XCHACHA20_POLY1305,
	.store_id = "store identifier"};
static const struct seal_context aes = {.cipher = KV_CIPHER_AES_256_GCM,
	.store_id = "store identifier"};
static const struct seal_key key = {.key = "a key of thirty-two bytes, fixed", .generation = 7};
static const char record_key[] = "\0\0\0\1record";
#define RECORD_KEY record_key, sizeof record_key - 1

static const struct seal_context *const contexts[] = {&xchacha, &aes};

/* The loop index picks the cipher; AES-256-GCM is passed over where the processor lacks it. */
#define CONTEXT_OR_RETURN(ctx)                                                                     \
	const struct seal_context *ctx = contexts[_i];                                             \
	if (!keyring_cipher_available(ctx->cipher))                                                \
	return

static void fill_text(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = "the same few words, again and again; "[i % 37];
}

static void seal(const struct seal_context *ctx, const void *value, size_t len, struct buf *ret)
{
	ret->len = 0;
	ck_assert_int_eq(seal_value(ctx, &key, KV_META, RECORD_KEY, value, len, ret), 0);
}

/* Only a value that is not compressed and has just that length. */
static void goes_into_its_place(
	const struct seal_context *ctx, const struct buf *sealed, const uint8_t *value, size_t len, bool plain)
{
	uint8_t *room = malloc(len + 1);
	memset(room, 0xa5, len + 1);
	ck_assert_int_eq(seal_open_into(ctx, &key, KV_META, RECORD_KEY, sealed->data, sealed->len, room, len + 1), 0);
	ck_assert_int_eq(
		seal_open_into(ctx, &key, KV_META, RECORD_KEY, sealed->data, sealed->len, room, len), plain);
	ck_assert_int_eq(room[len], 0xa5);
	if (plain)
		ck_assert_int_eq(memcmp(room, value, len), 0);
	else
		ck_assert_int_eq(room[0] == 0xa5 && memcmp(room, room + 1, len) == 0, 1);
	free(room);
}

START_TEST(round_trip_of_all_sizes)
{
	CONTEXT_OR_RETURN(ctx);
	static const size_t sizes[] = {0, 1, 63, 511, 512, 513, 4096, 100000, KV_VALUE_MAX};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		for (int random = 0; random < 2; random++) {
			size_t len = sizes[i];
			uint8_t *value = malloc(len + 1);
			if (random)
				randombytes_buf(value, len);
			else
				fill_text(value, len);
			_cleanup_buf_ struct buf sealed = {0}, opened = {0};
			seal(ctx, value, len, &sealed);
			if (random || len < 512)
				ck_assert_uint_eq(sealed.len, len + SEAL_OVERHEAD);
			else
				ck_assert_uint_lt(sealed.len, len + SEAL_OVERHEAD - len / 8);
			ck_assert_int_eq(seal_open(ctx, &key, KV_META, RECORD_KEY, sealed.data,
						 sealed.len, &opened), 0);
			ck_assert_uint_eq(opened.len, len);
			if (len)
				ck_assert_mem_eq(opened.data, value, len);
			goes_into_its_place(ctx, &sealed, value, len, random || len < 512);
			free(value);
		}
	}
}
END_TEST

#define LARGE 32768

static size_t sealed_length(const uint8_t *value)
{
	_cleanup_buf_ struct buf sealed = {0}, opened = {0};
	seal(&xchacha, value, LARGE, &sealed);
	ck_assert_int_eq(seal_open(&xchacha, &key, KV_META, RECORD_KEY, sealed.data, sealed.len, &opened), 0);
	ck_assert_uint_eq(opened.len, LARGE);
	ck_assert_mem_eq(opened.data, value, LARGE);
	return sealed.len - SEAL_OVERHEAD;
}

START_TEST(noise_is_told_from_what_compresses)
{
	uint8_t value[LARGE];
	/* Noise that repeats itself: not tried. */
	randombytes_buf(value, LARGE / 2);
	memcpy(value + LARGE / 2, value, LARGE / 2);
	ck_assert_uint_eq(sealed_length(value), LARGE);
	/* Text that is noise in six bits of eight. */
	randombytes_buf(value, LARGE);
	for (size_t i = 0; i < LARGE; i++)
		value[i] = 32 + value[i] % 64;
	ck_assert_uint_lt(sealed_length(value), LARGE - LARGE / 8);
	/* Records that begin, and end, with a random number. */
	for (size_t at = 0; at < 64; at += 56) {
		fill_text(value, LARGE);
		for (size_t i = 0; i < LARGE; i += 64)
			randombytes_buf(value + i + at, 8);
		ck_assert_uint_lt(sealed_length(value), LARGE / 2);
	}
	/* Noise but for its last quarter. */
	randombytes_buf(value, LARGE);
	fill_text(value + LARGE / 4 * 3, LARGE / 4);
	ck_assert_uint_lt(sealed_length(value), LARGE - LARGE / 8);
}
END_TEST

START_TEST(value_too_large)
{
	uint8_t *value = calloc(1, KV_VALUE_MAX + 1);
	_cleanup_buf_ struct buf sealed = {0};
	ck_assert_int_eq(seal_value(&xchacha, &key, KV_META, RECORD_KEY, value, KV_VALUE_MAX + 1,
				 &sealed), -E2BIG);
	ck_assert_uint_eq(sealed.len, 0);
	free(value);
}
END_TEST

START_TEST(appends_and_never_repeats)
{
	CONTEXT_OR_RETURN(ctx);
	_cleanup_buf_ struct buf sealed = {0};
	ck_assert_int_eq(buf_append(&sealed, "before", 6), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(seal_value(ctx, &key, KV_META, RECORD_KEY, "value", 5, &sealed),
			0);
	size_t one = SEAL_OVERHEAD + 5;
	ck_assert_uint_eq(sealed.len, 6 + 2 * one);
	ck_assert_mem_eq(sealed.data, "before", 6);
	uint8_t id[2][SEAL_ID_BYTES];
	seal_identity(sealed.data + 6, one, id[0]);
	seal_identity(sealed.data + 6 + one, one, id[1]);
	ck_assert_mem_ne(id[0], id[1], 24);
	ck_assert_mem_ne(id[0] + 24, id[1] + 24, 16);
	ck_assert_mem_eq(id[0], sealed.data + 6 + 4, 24);
	ck_assert_mem_eq(id[0] + 24, sealed.data + 6 + one - 16, 16);
}
END_TEST

START_TEST(every_bit_counts)
{
	CONTEXT_OR_RETURN(ctx);
	uint8_t value[600];
	fill_text(value, sizeof value);
	_cleanup_buf_ struct buf sealed = {0}, opened = {0};
	seal(ctx, value, sizeof value, &sealed);
	ck_assert_int_eq(buf_append(&opened, "kept", 4), 0);
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		sealed.data[bit / 8] ^= 1 << bit % 8;
		ck_assert_int_eq(seal_open(ctx, &key, KV_META, RECORD_KEY, sealed.data, sealed.len,
					 &opened), -EBADMSG);
		sealed.data[bit / 8] ^= 1 << bit % 8;
	}
	for (size_t len = 0; len < sealed.len; len++)
		ck_assert_int_eq(seal_open(ctx, &key, KV_META, RECORD_KEY, sealed.data, len,
					 &opened), -EBADMSG);
	ck_assert_int_eq(buf_append(&sealed, "", 1), 0);
	ck_assert_int_eq(seal_open(ctx, &key, KV_META, RECORD_KEY, sealed.data, sealed.len,
				 &opened), -EBADMSG);
	ck_assert_uint_eq(opened.len, 4);
	ck_assert_mem_eq(opened.data, "kept", 4);
}
END_TEST

START_TEST(every_bit_counts_in_place_too)
{
	CONTEXT_OR_RETURN(ctx);
	uint8_t value[600], room[600];
	randombytes_buf(value, sizeof value);
	_cleanup_buf_ struct buf sealed = {0};
	seal(ctx, value, sizeof value, &sealed);
	for (size_t bit = 0; bit < sealed.len * 8; bit++) {
		/* One that says it is compressed is not for this; seal_open() refuses it. */
		int refused = bit == 8 ? 0 : -EBADMSG;
		sealed.data[bit / 8] ^= 1 << bit % 8;
		ck_assert_int_eq(seal_open_into(ctx, &key, KV_META, RECORD_KEY, sealed.data, sealed.len, room,
					 sizeof room), refused);
		sealed.data[bit / 8] ^= 1 << bit % 8;
	}
	for (size_t len = 0; len < sealed.len; len++)
		ck_assert_int_eq(seal_open_into(ctx, &key, KV_META, RECORD_KEY, sealed.data, len, room, sizeof room),
			len < SEAL_OVERHEAD ? -EBADMSG : 0);
	ck_assert_int_eq(
		seal_open_into(ctx, &key, KV_META, "\0\0\0\1recorD", 10, sealed.data, sealed.len, room, sizeof room),
		-EBADMSG);
}
END_TEST

START_TEST(copied_to_another_place)
{
	CONTEXT_OR_RETURN(ctx);
	static const char other[] = "\0\0\0\1other";
	uint8_t value[2000];
	fill_text(value, sizeof value);
	static const size_t sizes[] = {0, 5, sizeof value};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t len = sizes[i];
		_cleanup_buf_ struct buf sealed = {0}, copied = {0}, opened = {0};
		seal(ctx, value, len, &sealed);
		ck_assert_int_eq(buf_append(&copied, "before", 6), 0);
#define COPY(c, k, family, ...)                                                                    \
	seal_copy(c, k, family, __VA_ARGS__, &sealed, KV_HISTORY, other, sizeof other, &copied)
		ck_assert_int_eq(COPY(ctx, &key, KV_META, RECORD_KEY), 0);
		ck_assert_uint_eq(copied.len, 6 + sealed.len);
		ck_assert_mem_eq(copied.data, "before", 6);
		ck_assert_mem_ne(copied.data + 6 + 4, sealed.data + 4, 24);
		ck_assert_int_eq(seal_open(ctx, &key, KV_HISTORY, other, sizeof other, copied.data + 6,
					 sealed.len, &opened), 0);
		ck_assert_uint_eq(opened.len, len);
		if (len)
			ck_assert_mem_eq(opened.data, value, len);
		ck_assert_int_eq(seal_open(ctx, &key, KV_META, RECORD_KEY, copied.data + 6, sealed.len,
					 &opened), -EBADMSG);
		/* Only what opens where it stood is copied. */
		ck_assert_int_eq(COPY(ctx, &key, KV_DATA, RECORD_KEY), -EBADMSG);
		ck_assert_int_eq(COPY(ctx, &key, KV_META, record_key, sizeof record_key), -EBADMSG);
		struct seal_key later = key;
		later.generation++;
		ck_assert_int_eq(COPY(ctx, &later, KV_META, RECORD_KEY), -EBADMSG);
		for (size_t bit = 0; bit < sealed.len * 8; bit += 7) {
			sealed.data[bit / 8] ^= 1 << bit % 8;
			ck_assert_int_eq(COPY(ctx, &key, KV_META, RECORD_KEY), -EBADMSG);
			sealed.data[bit / 8] ^= 1 << bit % 8;
		}
		sealed.len = SEAL_OVERHEAD - 1;
		ck_assert_int_eq(COPY(ctx, &key, KV_META, RECORD_KEY), -EBADMSG);
#undef COPY
	}
}
END_TEST

START_TEST(bound_to_its_place)
{
	CONTEXT_OR_RETURN(ctx);
	_cleanup_buf_ struct buf sealed = {0}, opened = {0};
	seal(ctx, "value", 5, &sealed);
#define OPENS(c, k, family, ...)                                                                   \
	seal_open(c, k, family, __VA_ARGS__, sealed.data, sealed.len, &opened)
	ck_assert_int_eq(OPENS(ctx, &key, KV_META, RECORD_KEY), 0);
	ck_assert_int_eq(OPENS(ctx, &key, KV_DATA, RECORD_KEY), -EBADMSG);
	ck_assert_int_eq(OPENS(ctx, &key, KV_META, record_key, sizeof record_key - 2), -EBADMSG);
	ck_assert_int_eq(OPENS(ctx, &key, KV_META, record_key, sizeof record_key), -EBADMSG);
	ck_assert_int_eq(OPENS(ctx, &key, KV_META, "\0\0\0\2record", 10), -EBADMSG);
	struct seal_context other_store = *ctx;
	other_store.store_id[15] ^= 1;
	ck_assert_int_eq(OPENS(&other_store, &key, KV_META, RECORD_KEY), -EBADMSG);
	struct seal_key other = key;
	other.key[31] ^= 1;
	ck_assert_int_eq(OPENS(ctx, &other, KV_META, RECORD_KEY), -EBADMSG);
	other = key;
	other.generation++;
	ck_assert_int_eq(OPENS(ctx, &other, KV_META, RECORD_KEY), -EBADMSG);
	uint8_t long_key[KV_KEY_MAX + 1] = {0};
	ck_assert_int_eq(OPENS(ctx, &key, KV_META, long_key, sizeof long_key), -EBADMSG);
#undef OPENS
}
END_TEST

START_TEST(generation_is_readable)
{
	_cleanup_buf_ struct buf sealed = {0};
	seal(&xchacha, "value", 5, &sealed);
	uint16_t generation = 0;
	ck_assert_int_eq(seal_generation(sealed.data, sealed.len, &generation), 0);
	ck_assert_uint_eq(generation, 7);
	generation = 99;
	ck_assert_int_eq(seal_generation(sealed.data, SEAL_OVERHEAD - 1, &generation), -EBADMSG);
	sealed.data[0] = 2;
	ck_assert_int_eq(seal_generation(sealed.data, sealed.len, &generation), -EBADMSG);
	ck_assert_uint_eq(generation, 99);
}
END_TEST

/* Seals @frame as if it were compressed, by the format's text and not with the code under test. */
static void seal_frame(const void *frame, size_t len, struct buf *ret)
{
	uint8_t ad[8 + 16 + 1 + 1 + sizeof record_key - 1 + 4];
	ck_assert_int_eq(buf_resize(ret, SEAL_OVERHEAD + len), 0);
	put_be16(put_u8(put_u8(ret->data, 1), 1), key.generation);
	randombytes_buf(ret->data + 4, 24);
	uint8_t *p = put_bytes(ad, "scribefs", 8);
	p = put_bytes(p, xchacha.store_id, 16);
	p = put_u8(put_u8(p, KV_META), sizeof record_key - 1);
	p = put_bytes(put_bytes(p, RECORD_KEY), ret->data, 4);
	ck_assert_uint_eq((size_t)(p - ad), sizeof ad);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret->data + 28, NULL, frame, len, ad, sizeof ad,
		NULL, ret->data + 4, key.key);
}

static int open_frame(const void *frame, size_t len, struct buf *ret_value)
{
	_cleanup_buf_ struct buf sealed = {0};
	seal_frame(frame, len, &sealed);
	return seal_open(&xchacha, &key, KV_META, RECORD_KEY, sealed.data, sealed.len, ret_value);
}

START_TEST(hostile_frames)
{
	uint8_t frame[4096], text[1000];
	_cleanup_buf_ struct buf value = {0};
	fill_text(text, sizeof text);
	size_t len = ZSTD_compress(frame, sizeof frame, text, sizeof text, 1);
	ck_assert_int_eq(open_frame(frame, len, &value), 0);
	ck_assert_uint_eq(value.len, sizeof text);
	ck_assert_mem_eq(value.data, text, sizeof text);

	/* A frame that promises 1 TiB, and one that promises a byte more than a value may have. */
	static const uint8_t bomb[] = {
		0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0};
	ck_assert_uint_eq(ZSTD_getFrameContentSize(bomb, sizeof bomb), UINT64_C(1) << 40);
	ck_assert_int_eq(open_frame(bomb, sizeof bomb, &value), -EBADMSG);
	uint8_t *large = calloc(1, KV_VALUE_MAX + 1);
	len = ZSTD_compress(frame, sizeof frame, large, KV_VALUE_MAX + 1, 1);
	ck_assert(!ZSTD_isError(len));
	ck_assert_int_eq(open_frame(frame, len, &value), -EBADMSG);
	len = ZSTD_compress(frame, sizeof frame, large, KV_VALUE_MAX, 1);
	ck_assert_int_eq(open_frame(frame, len, &value), 0);
	ck_assert_uint_eq(value.len, KV_VALUE_MAX);
	free(large);

	/* One that keeps its size to itself. */
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	len = ZSTD_compress2(c, frame, sizeof frame, text, sizeof text);
	ZSTD_freeCCtx(c);
	ck_assert_int_eq(open_frame(frame, len, &value), -EBADMSG);

	/* Cut short, empty, and no frame at all. */
	len = ZSTD_compress(frame, sizeof frame, text, sizeof text, 1);
	ck_assert_int_eq(open_frame(frame, len - 1, &value), -EBADMSG);
	ck_assert_int_eq(open_frame(frame, 0, &value), -EBADMSG);
	ck_assert_int_eq(open_frame(text, sizeof text, &value), -EBADMSG);
	ck_assert_uint_eq(value.len, KV_VALUE_MAX);
}
END_TEST

static void *seal_many(void *arg)
{
	uint8_t value[2000];
	fill_text(value, sizeof value);
	for (int i = 0; i < 500; i++) {
		_cleanup_buf_ struct buf sealed = {0}, opened = {0};
		seal(&xchacha, value, sizeof value, &sealed);
		if (seal_open(&xchacha, &key, KV_META, RECORD_KEY, sealed.data, sealed.len,
			    &opened) < 0 || opened.len != sizeof value)
			return arg;
	}
	return NULL;
}

START_TEST(any_thread)
{
	pthread_t thread[4];
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, seal_many, (void *)&key), 0);
	for (int i = 0; i < 4; i++) {
		void *failed;
		pthread_join(thread[i], &failed);
		ck_assert_ptr_null(failed);
	}
}
END_TEST

/* ---- golden vectors: a change here is a change of the format --------------------------------- */

static const char plain_text[] = "scribefs keeps every session";

struct golden {
	const struct seal_context *ctx;
	bool long_text; /* the 600 bytes of fill_text(), compressed */
	const char *hex;
};

static const struct golden golden[] = {
	{&xchacha, false,
		"01000007eed21864341fde6709886fb39c5d56438302509b453c4dd3b32bb9d26370f38b9507125e"
		"25e276b15879026aa480d2979f839484aa300212b2d60b3d3fc8263adafe25e2"},
	{&xchacha, true,
		"01010007811b28ed1764239b0d46b0c9ba47976ce6ea765742d4bbc54f11c2f9a272c097a6c3640d"
		"270ff5f5c5580c00b900df891455fe887c899c61415615f594da7c4080f5cfa0f25cefdfbebf008a"
		"51121f1501a364bc2ec75ef5c4a25c"},
	{&aes, false,
		"0100000738e30840585f50fb36e4b47a59ebd30b7338e5ee6b256b4ac72ec8c8516a3751ed372721"
		"4d3a6cf73b7e5f6b2cdb539bb8068feee04c45e2ace14e6438124155bd522556"},
	{&aes, true,
		"010100071c22590e163898c9810613ac9fe91f86ef2058aefa7025e8248d7f589e1f42be370c42da"
		"8c3b3893825c3e03d103dbc2bac1f1d1cf88f452afd9295c8851bdc110e567dc6bf1706e4ab81f1b"
		"54b17e382c9a69170a4b8f56bc85ef"},
};

START_TEST(golden_vectors)
{
	const struct golden *g = &golden[_i];
	if (!keyring_cipher_available(g->ctx->cipher))
		return;
	uint8_t sealed[1024], text[600];
	size_t len;
	ck_assert_int_eq(sodium_hex2bin(sealed, sizeof sealed, g->hex, strlen(g->hex), NULL, &len,
				 NULL), 0);
	_cleanup_buf_ struct buf value = {0};
	ck_assert_int_eq(seal_open(g->ctx, &key, KV_META, RECORD_KEY, sealed, len, &value), 0);
	fill_text(text, sizeof text);
	ck_assert_uint_eq(value.len, g->long_text ? sizeof text : sizeof plain_text - 1);
	ck_assert_mem_eq(value.data, g->long_text ? (const void *)text : plain_text, value.len);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("seal");
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, round_trip_of_all_sizes, 0, 2);
	tcase_add_test(t, noise_is_told_from_what_compresses);
	tcase_add_test(t, value_too_large);
	tcase_add_loop_test(t, appends_and_never_repeats, 0, 2);
	tcase_add_loop_test(t, every_bit_counts, 0, 2);
	tcase_add_loop_test(t, every_bit_counts_in_place_too, 0, 2);
	tcase_add_loop_test(t, copied_to_another_place, 0, 2);
	tcase_add_loop_test(t, bound_to_its_place, 0, 2);
	tcase_add_test(t, generation_is_readable);
	tcase_add_test(t, hostile_frames);
	tcase_add_test(t, any_thread);
	tcase_add_loop_test(t, golden_vectors, 0, sizeof golden / sizeof golden[0]);
	return run_case("seal", t);
}
