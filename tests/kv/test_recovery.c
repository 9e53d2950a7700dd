/* The recovery key's text: forgiving about how it is written, unforgiving about what. */
#include "kv/keyring.h"
#include "kv/keyring_file.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

static const uint8_t key[20] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
	0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01, 0x23, 0x45, 0x67};
/* Golden: a change here is a change of the format. */
static const char golden[] = "R100-8J4C-T4AN-K7F2-4SNA-XWSQ-FEZW-0J6H-B7YQ-6K30";

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static int parse(const char *text)
{
	uint8_t got[20];
	int r = keyring_recovery_parse(text, strlen(text), got);
	if (r == 0)
		ck_assert_mem_eq(got, key, sizeof key);
	return r;
}

START_TEST(golden_text)
{
	char text[KEYRING_RECOVERY_TEXT];
	keyring_recovery_format(key, text);
	ck_assert_str_eq(text, golden);
	ck_assert_int_eq(parse(golden), 0);
}
END_TEST

START_TEST(round_trips)
{
	for (int i = 0; i < 1000; i++) {
		uint8_t made[20], got[20];
		char text[KEYRING_RECOVERY_TEXT];
		randombytes_buf(made, sizeof made);
		keyring_recovery_format(made, text);
		ck_assert_uint_eq(strlen(text), 49);
		ck_assert_int_eq(keyring_recovery_parse(text, strlen(text), got), 0);
		ck_assert_mem_eq(got, made, sizeof made);
	}
}
END_TEST

START_TEST(as_people_write_it)
{
	char text[128] = "\t ", *p = text + 2;
	for (const char *c = golden; *c; c++) {
		if (*c == '-')
			continue;
		*p++ = *c == '0' ? 'o' : *c == '1' ? 'l' : *c >= 'A' ? (char)(*c | 0x20) : *c;
		*p++ = ' ';
	}
	strcpy(p, "-\r\n");
	ck_assert_int_eq(parse(text), 0);
}
END_TEST

/* Every place, every other symbol. */
START_TEST(one_mistyped_symbol)
{
	char text[sizeof golden];
	for (size_t i = 0; i < sizeof golden - 1; i++) {
		if (golden[i] == '-')
			continue;
		for (const char *c = alphabet; *c; c++) {
			strcpy(text, golden);
			text[i] = *c;
			ck_assert_int_eq(parse(text), *c == golden[i] ? 0 : -EINVAL);
		}
	}
}
END_TEST

START_TEST(two_swapped_neighbours)
{
	char text[sizeof golden];
	for (size_t i = 0; i + 1 < sizeof golden - 1; i++) {
		size_t j = golden[i + 1] == '-' ? i + 2 : i + 1;
		if (golden[i] == '-' || golden[i] == golden[j])
			continue;
		strcpy(text, golden);
		text[i] = golden[j];
		text[j] = golden[i];
		ck_assert_int_eq(parse(text), -EINVAL);
	}
}
END_TEST

START_TEST(up_to_four_errors)
{
	for (int round = 0; round < 20000; round++) {
		char text[sizeof golden];
		strcpy(text, golden);
		for (int errors = 0; errors < 4; errors++) {
			uint32_t at = randombytes_uniform(sizeof golden - 1);
			if (text[at] != '-')
				text[at] = alphabet[randombytes_uniform(32)];
		}
		ck_assert_int_eq(parse(text), strcmp(text, golden) == 0 ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(no_such_text)
{
	char text[128];
	ck_assert_int_eq(parse(""), -EINVAL);
	for (size_t len = 0; len < sizeof golden - 1; len++) {
		uint8_t got[20];
		ck_assert_int_eq(keyring_recovery_parse(golden, len, got), -EINVAL);
	}
	strcpy(text, golden);
	strcat(text, "0");
	ck_assert_int_eq(parse(text), -EINVAL);
	/* No symbol at all in one place: U, a letter with an accent, a NUL. */
	static const char bad[] = {'U', 'u', '*', '\xc3', '\0'};
	for (size_t i = 0; i < sizeof bad; i++) {
		uint8_t got[20];
		strcpy(text, golden);
		text[7] = bad[i];
		ck_assert_int_eq(keyring_recovery_parse(text, sizeof golden - 1, got), -EINVAL);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("recovery");
	tcase_add_test(t, golden_text);
	tcase_add_test(t, round_trips);
	tcase_add_test(t, as_people_write_it);
	tcase_add_test(t, one_mistyped_symbol);
	tcase_add_test(t, two_swapped_neighbours);
	tcase_add_test(t, up_to_four_errors);
	tcase_add_test(t, no_such_text);
	return run_case("recovery", t);
}
