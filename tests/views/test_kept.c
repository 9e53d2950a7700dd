/* The record of a session's rendered sizes: golden bytes, round trip, damage. */
#include "fs/views/kept.h"
#include "fs/views/render/render.h"
#include "kv/kv.h"
#include "tests/suite.h"

#include <errno.h>
#include <string.h>

static const uint8_t source[16] = "0123456789abcdef";

static void encode(struct buf *record)
{
	struct kept_sizes sizes = {0};
	kept_set(&sizes, 2, 7);
	kept_set(&sizes, 0x800001, 0x0102030405060708);
	kept_set(&sizes, 2, 9);
	ck_assert_int_eq(kept_encode(source, 6, 0x0f, &sizes, record), 0);
	kept_release(&sizes);
}

START_TEST(golden)
{
	static const uint8_t expected[] = {2, 0, RENDER_VERSION, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a',
		'b', 'c', 'd', 'e', 'f', 6, 0, 0, 0, 0, 0, 0, 0, 15,
		0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0x80, 0, 1, 1,
		2, 3, 4, 5, 6, 7, 8};
	_cleanup_buf_ struct buf record = {0};
	encode(&record);
	ck_assert_uint_eq(record.len, sizeof expected);
	ck_assert_mem_eq(record.data, expected, sizeof expected);
}
END_TEST

START_TEST(round_trip)
{
	_cleanup_buf_ struct buf record = {0};
	struct kept_sizes sizes = {0};
	unsigned readers;
	uint64_t files;
	uint64_t size;
	encode(&record);
	ck_assert_int_eq(kept_decode(&record, source, &readers, &files, &sizes), 0);
	ck_assert_uint_eq(readers, 6);
	ck_assert_uint_eq(files, 15);
	ck_assert(kept_get(&sizes, 2, &size) && size == 9);
	ck_assert(kept_get(&sizes, 0x800001, &size) && size == 0x0102030405060708);
	ck_assert(!kept_get(&sizes, 3, &size));
	kept_release(&sizes);
}
END_TEST

START_TEST(damage)
{
	_cleanup_buf_ struct buf record = {0};
	struct kept_sizes sizes = {0};
	unsigned readers;
	uint64_t files;
	encode(&record);
	ck_assert_int_eq(kept_decode(&record, (const uint8_t *)"0123456789abcdeX", &readers, &files, &sizes),
		-ENOENT);
	for (record.len--; record.len > 0; record.len--) {
		ck_assert_int_eq(kept_decode(&record, source, &readers, &files, &sizes), -EBADMSG);
		ck_assert_uint_eq(sizes.n, 0);
	}
	record.len = 0;
	encode(&record);
	record.data[2]++; /* another renderer */
	ck_assert_int_eq(kept_decode(&record, source, &readers, &files, &sizes), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("kept");
	tcase_add_test(c, golden);
	tcase_add_test(c, round_trip);
	tcase_add_test(c, damage);
	return run_case("kept", c);
}
