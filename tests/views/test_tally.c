/* What a session's messages add to the figures. */
#include "fs/views/tally.h"
#include "tests/session/suite.h"

static struct transcript_message messages[] = {
	{.number = 1, .size = 110, .header = 11, .time = 1000, .role = MESSAGE_USER},
	{.number = 2, .size = 100, .time = 6000, .role = MESSAGE_ASSISTANT},
	{.number = 3, .size = 5, .header = 9, .time = -1, .role = MESSAGE_TOOL}, /* written just now */
	{.number = 4, .size = 2000000, .time = 7200000, .role = MESSAGE_ASSISTANT},
	{.number = 5, .unreadable = true},
	{.number = 6, .size = 1, .time = 9000000, .role = MESSAGE_USER},
	{.number = 7, .size = 1, .time = 8000000, .role = MESSAGE_ASSISTANT}, /* before what it answers */
};
static const struct transcript transcript = {.messages = messages, .n = sizeof messages / sizeof *messages};

START_TEST(it_counts)
{
	struct tally t, sum = {0};
	tally_of(&transcript, &t);
	ck_assert_uint_eq(tally_messages(&t), 6);
	ck_assert_uint_eq(t.roles[MESSAGE_USER], 2);
	ck_assert_uint_eq(t.roles[MESSAGE_ASSISTANT], 3);
	ck_assert_uint_eq(t.roles[MESSAGE_SYSTEM], 0);
	ck_assert_uint_eq(t.roles[MESSAGE_TOOL], 1);
	ck_assert_uint_eq(t.bytes, 99 + 100 + 0 + 2000000 + 1 + 1);
	ck_assert_uint_eq(t.lengths[0], 4);
	ck_assert_uint_eq(t.lengths[1], 1); /* a hundred is not below a hundred */
	ck_assert_uint_eq(t.lengths[TALLY_LENGTHS - 1], 1);
	ck_assert_uint_eq(t.hours[0], 2);
	ck_assert_uint_eq(t.hours[23], 1);
	ck_assert_uint_eq(t.hours[2], 3);
	ck_assert_uint_eq(t.answers, 1);
	ck_assert_uint_eq(t.waited, 5000);
	ck_assert_uint_eq(t.waits[2], 1);
	tally_add(&sum, &t);
	tally_add(&sum, &t);
	ck_assert_uint_eq(tally_messages(&sum), 12);
	ck_assert_uint_eq(sum.waits[2], 2);
	ck_assert_uint_eq(sum.waited, 10000);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tally");
	tcase_add_test(c, it_counts);
	return suite_run("tally", c);
}
