/*
 * test_golden.c: fixed bytes of fs/core's records, so that the format cannot change unnoticed.
 */
#include "fs/core/core_internal.h"
#include "fs/core/map.h"
#include "tests/suite.h"

#include <check.h>
#include <stdio.h>

static char *hex(const void *data, size_t len)
{
	static char text[8192];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)data)[i]);
	return text;
}

static const char FILE_RECORD[] =
	"01010800080000818000000001000000020000000112345678000000000000002a"
	"0000000000000005000000000000020000000000000000090000000000000000"
	"000000006553f10000000001" "000000006553f10000000002"
	"fffffffffffffffe00000003" "000000006553f10000000004"
	"0003616263" "0000000568656c6c6f";

static struct irec file_record(void)
{
	return (struct irec){.mode = S_IFREG | 0600, .uid = 1, .gid = 2, .nlink = 1,
		.generation = 0x12345678, .role = 8, .body = INODE_INLINE, .size = 5, .parent = 512,
		.number = 42, .change = 9, .atime = {0x6553f100, 1}, .mtime = {0x6553f100, 2},
		.ctime = {-2, 3}, .btime = {0x6553f100, 4}};
}

START_TEST(inode_of_a_file)
{
	struct irec rec = file_record(), back;
	struct blob *facts = blob_new("abc", 3), *facts_back;
	struct buf bytes = {0}, record = {0}, inline_back = {0};

	ck_assert_int_eq(buf_append(&bytes, "hello", 5), 0);
	ck_assert_int_eq(irec_encode(&rec, &bytes, facts, &record), 0);
	ck_assert_str_eq(hex(record.data, record.len), FILE_RECORD);
	ck_assert_int_eq(irec_decode(record.data, record.len, &back, &inline_back, &facts_back), 0);
	ck_assert_mem_eq(&back, &rec, sizeof rec);
	ck_assert_uint_eq(inline_back.len, 5);
	ck_assert_uint_eq(facts_back->len, 3);
	for (size_t len = 0; len < record.len; len++)
		ck_assert_int_lt(
			irec_decode(record.data, len, &back, &inline_back, &facts_back), 0);
	record.data[0] = 2;
	ck_assert_int_eq(irec_decode(record.data, record.len, &back, &inline_back, &facts_back),
		-EPROTONOSUPPORT);
	blob_unref(facts);
	blob_unref(facts_back);
	buf_release(&bytes);
	buf_release(&record);
	buf_release(&inline_back);
}
END_TEST

static const char MAPPED_RECORD[] =
	"01020000060000818000000000000000000000000100000000000000000000000000000000000900"
	"00000000000000000100000000000000000000000000000000000000000000000000000000000000"
	"00000000000000000000000000000000000000000000000000000000000000000000000003000000"
	"000000000100000000000000020f0200000000000000070000000000008000010000000000000000"
	"000006";

START_TEST(inode_of_a_mapped_file)
{
	struct irec rec = {.mode = S_IFREG | 0600, .nlink = 1, .body = INODE_MAPPED, .size = 0x90000,
		.parent = 1, .xattrs = 3, .xattr_sum = {1, 2},
		.map = {.chunk_shift = 15, .depth = 2, .next_version = 7, .stored = 0x8000,
			.root = {MAP_RECORD, 0, 6}}};
	struct buf record = {0}, inline_back = {0}, none = {0};
	struct blob *facts;
	struct irec back;

	ck_assert_int_eq(irec_encode(&rec, &none, NULL, &record), 0);
	ck_assert_str_eq(hex(record.data, record.len), MAPPED_RECORD);
	ck_assert_int_eq(irec_decode(record.data, record.len, &back, &inline_back, &facts), 0);
	ck_assert_mem_eq(&back, &rec, sizeof rec);
	buf_release(&record);
	buf_release(&inline_back);
}
END_TEST

static const char TAILED_RECORD[] =
	"01020000140000818000000000000000000000000100000000000000000000000000000000000070"
	"05000000000000000100000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000000f000000000000"
	"0000070000000000008000010070000000000000000006" "000000057461696c21";

START_TEST(inode_with_a_tail)
{
	struct irec rec = {.mode = S_IFREG | 0600, .nlink = 1, .body = INODE_MAPPED, .size = 0x8000 + 5, .parent = 1,
		.map = {.chunk_shift = 15, .next_version = 7, .stored = 0x8000, .root = {MAP_RECORD, 0x8000, 6}}};
	struct buf record = {0}, tail = {0}, back_tail = {0};
	struct blob *facts;
	struct irec back;

	ck_assert_int_eq(buf_append(&tail, "tail!", 5), 0);
	ck_assert_int_eq(irec_encode(&rec, &tail, NULL, &record), 0);
	/* A tail begins within a chunk. */
	ck_assert_int_eq(irec_decode(record.data, record.len, &back, &back_tail, &facts), -EBADMSG);
	record.len = 0;
	rec.size = 0x7000 + 5;
	rec.map.root.length = 0x7000;
	ck_assert_int_eq(irec_encode(&rec, &tail, NULL, &record), 0);
	ck_assert_int_eq(irec_decode(record.data, record.len, &back, &back_tail, &facts), 0);
	ck_assert_mem_eq(&back, &rec, sizeof rec);
	ck_assert_uint_eq(back_tail.len, 5);
	ck_assert_mem_eq(back_tail.data, "tail!", 5);
	ck_assert_str_eq(hex(record.data, record.len), TAILED_RECORD);
	/* Not across a chunk's end, not longer than the file, and of a mapped file only. */
	for (int wrong = 0; wrong < 3; wrong++) {
		struct irec bad = rec;

		bad.size = wrong == 0 ? 0x8003 : wrong == 1 ? 3 : rec.size;
		record.len = 0;
		ck_assert_int_eq(irec_encode(&bad, &tail, NULL, &record), 0);
		if (wrong == 2)
			record.data[1] = INODE_EMPTY;
		ck_assert_int_eq(irec_decode(record.data, record.len, &back, &back_tail, &facts), -EBADMSG);
	}
	buf_release(&record);
	buf_release(&tail);
	buf_release(&back_tail);
}
END_TEST

START_TEST(entry)
{
	struct dentry d = {.ino = 0x1234, .container = 7, .domain = 3, .generation = 0x01020304,
		.type = 4, .more = true, .name_len = 4, .name = "work"};
	uint8_t record[DENTRY_MAX];
	size_t len = dentry_encode(&d, record);
	struct dentry back;

	ck_assert_str_eq(hex(record, len), "0103040000000000001234010203040000000000000000"
					   "0000000300000007" "04776f726b");
	ck_assert_int_eq(dentry_decode(record, len, &back), 0);
	ck_assert_uint_eq(back.container, 7);
	ck_assert_str_eq(back.name, "work");
	for (size_t n = 0; n < len; n++)
		ck_assert_int_lt(dentry_decode(record, n, &back), 0);
	record[len - 1] = '/';
	ck_assert_int_eq(dentry_decode(record, len, &back), -EBADMSG);
}
END_TEST

START_TEST(keys)
{
	struct key key = key_make(1, 2, KEY_DENTRY, 0x0102030405);

	key_add_u64(&key, 0x80);
	ck_assert_str_eq(hex(key.bytes, key.len), "00000001" "00000002" "04" "0102030405"
						  "0000000000000080");
}
END_TEST

START_TEST(message_numbers)
{
	static const struct {
		const char *name;
		uint32_t number;
	} names[] = {{"001.md", 1}, {"999.md", 999}, {"1000.md", 1000}, {"999999999.md", 999999999},
		{"000.md", 0}, {"0007.md", 0}, {"01.md", 0}, {"1000000000.md", 0}, {"1.md", 0},
		{"001.txt", 0}, {".md", 0}, {"next.md", 0}, {"00a.md", 0}, {"", 0}, {"+01.md", 0}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ck_assert_uint_eq(name_message_number(names[i].name, strlen(names[i].name)),
			names[i].number);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("records");

	tcase_add_test(tc, inode_of_a_file);
	tcase_add_test(tc, inode_of_a_mapped_file);
	tcase_add_test(tc, inode_with_a_tail);
	tcase_add_test(tc, entry);
	tcase_add_test(tc, keys);
	tcase_add_test(tc, message_numbers);
	return run_case("core-golden", tc);
}
