/* Packed records: what they save, that they say the same, damaged dictionaries, others' writes. */
#include "store.h"

#include "kv/check.h"
#include "kv/pack.h"

#define RECORDS 400

static size_t text_of(unsigned i, char text[1024])
{
	static const char *const words[] = {"session", "the tests pass", "please refactor", "src/main.c", "error:",
		"undefined reference", "commit message", "def run(self):", "return None", "#include", "assistant"};
	uint32_t seed = i * 2654435761u + 1;
	size_t len = (size_t)snprintf(text, 1024, "---\nrole: user\nid: %08x\n---\n", seed);

	while (len < 300 + i % 300) {
		seed = seed * 1664525u + 1013904223u;
		len += (size_t)snprintf(text + len, 1024 - len, "%s %u ", words[(seed >> 16) % 11], seed >> 28);
	}
	return len;
}

static size_t key_of(unsigned i, uint8_t key[16])
{
	return (size_t)(put_be32(put_be32(key, domain), i) - key);
}

static int write_one(unsigned i, enum kv_family family)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
	char text[1024];
	uint8_t key[16];
	size_t len = text_of(i, text), key_len = key_of(i, key);
	int r = kv_txn_begin(kv, &txn);

	if (r == 0)
		r = kv_txn_insert(txn, family, key, key_len, text, len);
	return r < 0 ? r : kv_txn_commit(txn, NULL);
}

static void fill(void)
{
	for (unsigned i = 0; i < RECORDS; i++)
		ok(write_one(i, i % 2 ? KV_META : KV_DATA));
}

static int train(void)
{
	_cleanup_buf_ struct buf samples = {0};
	size_t sizes[RECORDS];
	char text[1024];

	for (unsigned i = 0; i < RECORDS; i++) {
		sizes[i] = text_of(i, text);
		ok(buf_append(&samples, text, sizes[i]));
	}
	return kv_dictionary_train(kv, domain, samples.data, sizes, RECORDS);
}

static void pack_all(struct kv_packed *sums)
{
	_cleanup_(kv_packer_freep) struct kv_packer *p = NULL;

	ok(kv_packer_open(kv, domain, &p));
	for (unsigned i = 0; i < RECORDS; i++) {
		_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL;
		uint8_t key[16];
		size_t key_len = key_of(i, key);

		ok(kv_txn_begin(kv, &txn));
		ok(kv_txn_pack(txn, p, i % 2 ? KV_META : KV_DATA, key, key_len, sums));
		ok(kv_txn_commit(txn, NULL));
	}
}

static int read_one(unsigned i)
{
	_cleanup_buf_ struct buf value = {0};
	char text[1024];
	uint8_t key[16];
	size_t len = text_of(i, text);
	int r = kv_get(kv, NULL, i % 2 ? KV_META : KV_DATA, key, key_of(i, key), &value);

	if (r < 0)
		return r;
	ck_assert_uint_eq(value.len, len);
	ck_assert_mem_eq(value.data, text, len);
	return 0;
}

static void read_all(void)
{
	for (unsigned i = 0; i < RECORDS; i++)
		ok(read_one(i));
}

START_TEST(says_the_same_in_less)
{
	struct kv_packed sums = {0}, again = {0};
	struct kv_dictionary_info info;
	unsigned mendable, lost;

	start(_i);
	fill();
	fails(kv_dictionary_get_info(kv, domain, &info), -ENOENT);
	ok(train());
	ok(kv_dictionary_get_info(kv, domain, &info));
	ck_assert_uint_eq(info.number, 1);
	ck_assert_uint_gt(info.trained_from, RECORDS * 300);
	pack_all(&sums);
	ck_assert_uint_eq(sums.records, RECORDS);
	ck_assert_uint_eq(sums.packed, RECORDS);
	ck_assert_uint_lt(sums.after, sums.before * 3 / 4);
	read_all();
	/* The sum over all records is right, and there is nothing more to do. */
	ok(kv_verify_sum(kv));
	pack_all(&again);
	ck_assert_uint_eq(again.before, sums.after);
	ck_assert_uint_eq(again.after, sums.after);
	shut();
	reopen();
	read_all();
	ok(kv_verify_sum(kv));
	ok(kv_dictionaries_check(kv, false, &mendable, &lost));
	ck_assert_uint_eq(mendable + lost, 0);
	/* A second one beside the first. */
	ok(train());
	ok(kv_dictionary_get_info(kv, domain, &info));
	ck_assert_uint_eq(info.number, 2);
	read_all();
	ok(kv_domain_destroy(kv, domain));
	fails(read_one(0), -ENOKEY);
	finish();
}
END_TEST

START_TEST(needs_something_to_learn)
{
	size_t sizes[100] = {0};
	struct kv_packer *p;

	start(_i);
	fails(kv_dictionary_train(kv, domain, "", sizes, 0), -ENODATA);
	fails(kv_dictionary_train(kv, domain, "", sizes, 100), -ENODATA);
	fails(kv_packer_open(kv, domain, &p), -ENOENT);
	finish();
}
END_TEST

static void fight(struct kv_packer *p)
{
	_cleanup_(kv_txn_freep) struct kv_txn *txn = NULL, *other = NULL;
	struct kv_packed sums = {0};
	uint8_t key[16];

	ok(kv_txn_begin(kv, &txn));
	ok(kv_txn_pack(txn, p, KV_META, key, key_of(1, key), &sums));
	ok(kv_txn_begin(kv, &other));
	ok(kv_txn_put(other, KV_META, key, key_of(1, key), "new", 3));
	ok(kv_txn_commit(other, NULL));
	fails(kv_txn_commit(txn, NULL), -EAGAIN);
}

START_TEST(gives_way_to_others)
{
	_cleanup_buf_ struct buf value = {0};
	struct kv_packed sums = {0};
	struct kv_packer *p;
	struct kv_txn *txn;
	uint8_t key[16];

	start(_i);
	fill();
	ok(train());
	ok(kv_packer_open(kv, domain, &p));
	fight(p);
	ok(kv_get(kv, NULL, KV_META, key, key_of(1, key), &value));
	ck_assert_uint_eq(value.len, 3);
	txn = begin();
	fails(kv_txn_pack(txn, p, KV_META, key, key_of(RECORDS + 1, key), &sums), -ENOENT);
	fails(kv_txn_pack(txn, p, KV_META, "\0\0\0\0row", 7, &sums), -EINVAL);
	ck_assert_uint_eq(sums.records, 0);
	kv_txn_free(txn);
	kv_packer_free(p);
	finish();
}
END_TEST

/* The copies are one block each: what hits one of them hits nothing that cannot be read. */
static void damage(uint8_t kind)
{
	uint8_t key[9];
	struct kv_write w = {.family = KV_SYS, .key = key, .key_len = sizeof key, .value = key, .value_len = 9};

	kv_row_key(domain, kind, key);
	put_be32(key + 5, 1);
	ok(kv->ops->write(kv->engine, &w, 1));
}

START_TEST(one_copy_is_enough)
{
	struct kv_packed sums = {0};
	unsigned mendable, lost;

	start(_i);
	fill();
	ok(train());
	pack_all(&sums);
	shut();
	reopen();
	damage(KV_ROW_DICTIONARY);
	read_all();
	ok(kv_dictionaries_check(kv, true, &mendable, &lost));
	ck_assert_uint_eq(mendable, 1);
	ck_assert_uint_eq(lost, 0);
	damage(KV_ROW_DICTIONARY_COPY);
	shut();
	reopen();
	read_all();
	ok(kv_dictionaries_check(kv, false, &mendable, &lost));
	ck_assert_uint_eq(mendable, 1);
	damage(KV_ROW_DICTIONARY);
	shut();
	reopen();
	fails(read_one(0), -EBADMSG);
	ok(kv_dictionaries_check(kv, true, &mendable, &lost));
	ck_assert_uint_eq(lost, 1);
	finish();
}
END_TEST

START_TEST(an_older_program_is_refused)
{
	struct keyring_info info;

	start(ON_ROCKS);
	ok(keyring_read_info(store, &info));
	ck_assert_uint_eq(info.incompat, 0);
	ok(train());
	ok(keyring_read_info(store, &info));
	ck_assert_uint_eq(info.incompat, KEYRING_INCOMPAT_DICTIONARIES);
	finish();
}
END_TEST

/* Made by zstd 1.5.4: --train --maxdict=320 --dictID=32769, and -19 -D. */
static const uint8_t golden_dictionary[] = {
	0x37, 0xa4, 0x30, 0xec, 0x01, 0x80, 0x00, 0x00, 0x20, 0x10, 0xc8, 0x92, 0x82, 0xa4, 0x03, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x17, 0xb2, 0x25, 0xfc, 0x3b, 0x1f, 0xe0, 0x46, 0xde, 0xdd,
	0x1d, 0x68, 0xe9, 0xd4, 0xbf, 0x16, 0x42, 0x08, 0x05, 0x33, 0x00, 0x00, 0x68, 0x90, 0x08, 0x79,
	0x01, 0xdf, 0x09, 0x00, 0x00, 0x04, 0x80, 0xc1, 0x81, 0x41, 0x86, 0x24, 0x2e, 0x49, 0x56, 0x1b,
	0x4d, 0xe5, 0xc1, 0x48, 0xd6, 0x71, 0x4a, 0x19, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf4, 0x3c, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,
	0x08, 0x00, 0x00, 0x00, 0x73, 0x74, 0x73, 0x20, 0x70, 0x61, 0x73, 0x73, 0x20, 0x61, 0x73, 0x73,
	0x69, 0x73, 0x74, 0x61, 0x6e, 0x74, 0x20, 0x73, 0x70, 0x61, 0x73, 0x73, 0x20, 0x6d, 0x61, 0x69,
	0x6e, 0x2e, 0x63, 0x20, 0x61, 0x73, 0x73, 0x69, 0x73, 0x74, 0x61, 0x6e, 0x74, 0x20, 0x6d, 0x61,
	0x69, 0x6e, 0x2e, 0x63, 0x20, 0x73, 0x65, 0x73, 0x73, 0x69, 0x6f, 0x6e, 0x20, 0x72, 0x65, 0x74,
	0x75, 0x72, 0x6e, 0x20, 0x73, 0x65, 0x73, 0x73, 0x69, 0x6f, 0x73, 0x20, 0x70, 0x61, 0x73, 0x73,
	0x20, 0x65, 0x72, 0x72, 0x6f, 0x72, 0x20, 0x73, 0x65, 0x73, 0x73, 0x69, 0x6f, 0x6e, 0x20, 0x65,
	0x72, 0x72, 0x6f, 0x72, 0x20, 0x65, 0x72, 0x72, 0x6f, 0x72, 0x20, 0x74, 0x65, 0x73, 0x74, 0x73,
	0x20, 0x70, 0x61, 0x73, 0x73, 0x20, 0x74, 0x65, 0x73, 0x74, 0x73, 0x20, 0x2d, 0x2d, 0x0a, 0x72,
	0x6f, 0x6c, 0x65, 0x3a, 0x20, 0x75, 0x73, 0x65, 0x72, 0x0a, 0x2d, 0x2d, 0x2d, 0x0a, 0x73, 0x65,
	0x73, 0x73, 0x69, 0x6f, 0x6e, 0x20, 0x74, 0x65, 0x73, 0x74, 0x73, 0x20, 0x70, 0x61, 0x73, 0x73,
	0x20, 0x72, 0x65, 0x74, 0x75, 0x72, 0x6e, 0x20, 0x61, 0x73, 0x73, 0x69, 0x73, 0x74, 0x65, 0x3a,
	0x20, 0x75, 0x73, 0x65, 0x72, 0x20, 0x72, 0x65, 0x66, 0x61, 0x63, 0x74, 0x6f, 0x72, 0x20, 0x72,
	0x65, 0x74, 0x75, 0x72, 0x6e, 0x20, 0x6d, 0x61, 0x69, 0x6e, 0x2e, 0x63, 0x20, 0x6d, 0x61, 0x69};
static const uint8_t golden_frame[] = {
	0x28, 0xb5, 0x2f, 0xfd, 0x22, 0x01, 0x80, 0x34, 0xd5, 0x00, 0x00, 0x78, 0x2d, 0x74, 0x68, 0x65,
	0x2c, 0x74, 0x6f, 0x20, 0x6d, 0x61, 0x69, 0x6e, 0x2e, 0x63, 0x0a, 0x03, 0x3c, 0xf7, 0x05, 0x45,
	0x1e, 0xac, 0x05, 0xfc, 0x15};

START_TEST(golden_bytes)
{
	static const char text[] = "---\nrole: user\n---\nthe tests pass, return to main.c\n";
	uint8_t key[9], row[9 + sizeof golden_dictionary];
	struct kv_dictionary_info info;
	char opened[sizeof text];
	ZSTD_DCtx *context = ZSTD_createDCtx();
	struct kv_txn *txn;

	start(_i);
	put_be32(put_u8(put_be32(key, domain), 4), 1);
	put_bytes(put_be64(put_u8(row, 1), 123456), golden_dictionary, sizeof golden_dictionary);
	txn = begin();
	ok(txn_put_row(txn, key, sizeof key, row, sizeof row));
	ok(commit(txn));
	ok(kv_dictionary_get_info(kv, domain, &info));
	ck_assert_uint_eq(info.number, 1);
	ck_assert_uint_eq(info.trained_from, 123456);
	ok(dictionary_decompress(kv->seal.dictionaries, domain, context, golden_frame, sizeof golden_frame, opened,
		sizeof text - 1));
	ck_assert_mem_eq(opened, text, sizeof text - 1);
	fails(dictionary_decompress(kv->seal.dictionaries, domain, context, golden_frame, sizeof golden_frame - 1,
		      opened, sizeof text - 1), -EBADMSG);
	fails(dictionary_decompress(kv->seal.dictionaries, domain, context, golden_frame, sizeof golden_frame,
		      opened, sizeof text - 2), -EBADMSG);
	fails(dictionary_decompress(kv->seal.dictionaries, domain + 1, context, golden_frame, sizeof golden_frame,
		      opened, sizeof text - 1), -EBADMSG);
	ZSTD_freeDCtx(context);
	finish();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pack");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, says_the_same_in_less, 0, ENGINES);
	tcase_add_loop_test(tc, needs_something_to_learn, 0, ENGINES);
	tcase_add_loop_test(tc, gives_way_to_others, 0, ENGINES);
	tcase_add_loop_test(tc, one_copy_is_enough, 0, ENGINES);
	tcase_add_test(tc, an_older_program_is_refused);
	tcase_add_loop_test(tc, golden_bytes, 0, ENGINES);
	return run_case("pack", tc);
}
