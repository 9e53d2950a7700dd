/* The check sum of RocksDB's log: as RFC 3720 has it, by either way. */
#include "kv/engine/crc.h"
#include "tests/suite.h"

#include <check.h>
#include <string.h>

#define BYTES 300

static void expect(const void *bytes, size_t len, uint32_t crc)
{
	ck_assert_uint_eq(crc_extend(0, bytes, len), crc);
	ck_assert_uint_eq(crc_extend_plain(0, bytes, len), crc);
}

START_TEST(golden)
{
	uint8_t bytes[32] = {0};

	expect("", 0, 0);
	expect("123456789", 9, 0xe3069283);
	expect(bytes, sizeof bytes, 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	expect(bytes, sizeof bytes, 0x62a8ab43);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	expect(bytes, sizeof bytes, 0x46dd794e);
}
END_TEST

START_TEST(any_place_and_length)
{
	uint8_t bytes[BYTES];

	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * i + 7 * i);
	for (size_t from = 0; from < 9; from++)
		for (size_t end = from; end < BYTES; end++)
			ck_assert_uint_eq(crc_extend(5, bytes + from, end - from),
				crc_extend_plain(5, bytes + from, end - from));
}
END_TEST

START_TEST(goes_on)
{
	const char *text = "a log that is put together of many pieces";
	uint32_t whole = crc_extend(0, text, strlen(text));

	for (size_t i = 0; i <= strlen(text); i++)
		ck_assert_uint_eq(crc_extend(crc_extend(0, text, i), text + i, strlen(text) - i), whole);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("crc");
	tcase_add_test(t, golden);
	tcase_add_test(t, any_place_and_length);
	tcase_add_test(t, goes_on);
	return run_case("crc", t);
}
