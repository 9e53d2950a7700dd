/* Times, ids and titles. */
#include "fs/session/timestamp.h"
#include "fs/session/title.h"
#include "fs/session/uuid.h"

#include "tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int64_t parse(const char *text)
{
	struct timespec ts;
	int r = timestamp_parse(text, strlen(text), &ts);
	return r < 0 ? r : timestamp_ms(&ts);
}

START_TEST(times_are_read)
{
	ck_assert_int_eq(parse("2026-11-21T10:30:00Z"), 1795257000000);
	ck_assert_int_eq(parse("2026-11-21 10:30:00.1239Z"), 1795257000123);
	ck_assert_int_eq(parse("2026-11-21T12:30:00+02:00"), 1795257000000);
	ck_assert_int_eq(parse("2026-11-21T09:00-0130"), 1795257000000);
	ck_assert_int_eq(parse("2026-11-21"), 1795219200000);
	ck_assert_int_eq(parse("1969-12-31T23:59:59.999Z"), -1);
	ck_assert_int_eq(parse("2024-02-29"), 1709164800000);
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const bad[] = {"", "2026", "2026-13-01", "2026-02-29", "2026-11-21T",
	        "21.11.2026", "2026-11-21T25:00:00Z", "2026-11-21T10:30:00X",
	        "2026-11-21T10:30:00+2", "0000-01-01", "2026-11-21T10:30:00.Z",
	        "2026-11-21T10:30:00Z ", "2026-11-21T10:30:00+99:00"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(parse(bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(times_are_written)
{
	char text[TIMESTAMP_LEN + 1];
	timestamp_format(1795257000123, text);
	ck_assert_str_eq(text, "2026-11-21T10:30:00.123Z");
	timestamp_format(-1, text);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999Z");
	timestamp_format(INT64_MAX, text);
	ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
	timestamp_format(INT64_MIN, text);
	ck_assert_str_eq(text, "0000-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(ids)
{
	uint8_t id[16], other[16];
	char text[UUID_LEN + 1];

	ck_assert_int_eq(uuid_parse("0123ABCD-4567-89ab-cdef-0123456789ab", 36, id), 0);
	uuid_format(id, text);
	ck_assert_str_eq(text, "0123abcd-4567-89ab-cdef-0123456789ab");
	ck_assert_int_eq(uuid_parse("0123abcd-4567-89ab-cdef-0123456789a", 35, other), -EINVAL);
	ck_assert_int_eq(uuid_parse("0123abcd-4567-89ab-cdef-0123456789ag", 36, other), -EINVAL);
	ck_assert_int_eq(uuid_parse("0123abcd04567-89ab-cdef-0123456789ab", 36, other), -EINVAL);
	uuid_random(other);
	ck_assert_uint_eq(other[6] >> 4, 4);
	ck_assert_uint_eq(other[8] >> 6, 2);
	/* part of the format: copies in other stores have the same */
	uuid_of_message(id, 7, other);
	uuid_format(other, text);
	ck_assert_str_eq(text, "74e24847-7164-8dc3-bcf9-478db3a96732");
	uuid_of_message(id, 8, id);
	ck_assert_mem_ne(id, other, 16);
}
END_TEST

static const char *title(const char *text)
{
	static char buffer[TITLE_AUTO_MAX + 1];
	title_of_text(text, strlen(text), buffer);
	return buffer;
}

START_TEST(titles)
{
	ck_assert_str_eq(title("\n  \t\n  How do I …? \r\nMore"), "How do I …?");
	ck_assert_str_eq(title(""), "");
	ck_assert_str_eq(title(" \n\t\r\n"), "");
	ck_assert_str_eq(title("tab\there"), "tab here");
	ck_assert_str_eq(title("bad \xff\xc3 bytes \xed\xa0\x80"),
	        "bad \xef\xbf\xbd\xef\xbf\xbd bytes "
	        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	ck_assert_str_eq(title("12345678901234567890123456789012345678901234567890"),
	        "12345678901234567890123456789012345678901234567890");
	ck_assert_str_eq(title("123456789012345678901234567890123456789012345678901"),
	        "12345678901234567890123456789012345678901234567890...");
	char wide[61 * 4 + 1] = "";
	for (int i = 0; i < 61; i++)
		strcat(wide, "🙂");
	ck_assert_uint_eq(strlen(title(wide)), TITLE_AUTO_MAX);
}
END_TEST

START_TEST(utf8)
{
	ck_assert(utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82", 10));
	ck_assert(!utf8_valid("\xc0\x80", 2));
	ck_assert(!utf8_valid("\xe0\x80\x80", 3));
	ck_assert(!utf8_valid("\xf4\x90\x80\x80", 4));
	ck_assert(!utf8_valid("\xe2\x82", 2));
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("text");
	tcase_add_test(c, times_are_read);
	tcase_add_test(c, what_is_no_time_is_refused);
	tcase_add_test(c, times_are_written);
	tcase_add_test(c, ids);
	tcase_add_test(c, titles);
	tcase_add_test(c, utf8);
	return run_case("text", c);
}
