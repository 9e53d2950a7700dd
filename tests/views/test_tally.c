/* What a session's messages add to the figures. */
#include "fs/views/tally.h"
#include "fs/views/render/stats.h"
#include "tests/suite.h"

#include <string.h>

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

START_TEST(a_document_of_them)
{
	struct stats_group states[] = {{(char *)(uintptr_t)"active", 2, 6}};
	struct stats_group workflows[] = {
		{(char *)(uintptr_t)"a\"b", 1, 2}, {(char *)(uintptr_t)"chat", 1, 4}, {(char *)(uintptr_t)"x", 0, 0}};
	struct stats s = {.sizes = {10, 1, 20}, .sessions = 2, .interrupted = 1, .tokens = 7,
		.states = {states, 1}, .workflows = {workflows, 3}};
	struct sink out = {.to = UINT64_MAX};
	tally_of(&transcript, &s.sum);
	render_stats(&s, &out);
	ck_assert_int_eq(out.error, 0);
	ck_assert_int_eq(buf_append(&out.bytes, "", 1), 0);
	ck_assert_str_eq((const char *)out.bytes.data,
		"{\"session_count\":2,\n\"backup_count\":1,\n\"total_size\":10,\n\"backup_size\":20,\n"
		"\"interrupted\":1,\n\"sessions_by_state\":{\"active\":2},\n"
		"\"sessions_by_workflow\":{\"a\\\"b\":1,\"chat\":1,\"x\":0},\n\"sessions_by_day\":{},\n"
		"\"messages\":{\"total\":6,\"user\":2,\"assistant\":3,\"system\":0,\"tool\":1,"
		"\"average_per_session\":3.00},\n"
		"\"message_length\":{\"total\":2000201,\"average\":333366.83,\"distribution\":["
		"{\"below\":100,\"count\":4},{\"below\":300,\"count\":1},{\"below\":1000,\"count\":0},"
		"{\"below\":3000,\"count\":0},{\"below\":10000,\"count\":0},{\"below\":100000,\"count\":0},"
		"{\"below\":1000000,\"count\":0},{\"below\":null,\"count\":1}]},\n"
		"\"tokens\":{\"total\":7,\"average_per_session\":3.50},\n"
		"\"response_time\":{\"count\":1,\"average_seconds\":5.00,\"distribution\":["
		"{\"below\":1,\"count\":0},{\"below\":5,\"count\":0},{\"below\":15,\"count\":1},"
		"{\"below\":60,\"count\":0},{\"below\":300,\"count\":0},{\"below\":3600,\"count\":0},"
		"{\"below\":86400,\"count\":0},{\"below\":null,\"count\":0}]},\n"
		"\"most_active_workflow\":\"chat\",\n\"messages_by_hour\":"
		"[2,0,3,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],\n\"peak_hours\":[2,0,23]}\n");
	buf_release(&out.bytes);
}
END_TEST

START_TEST(nothing_at_all)
{
	struct stats s = {0};
	struct sink out = {.to = UINT64_MAX};
	render_stats(&s, &out);
	ck_assert_int_eq(buf_append(&out.bytes, "", 1), 0);
	ck_assert_ptr_nonnull(strstr((const char *)out.bytes.data, "\"average_seconds\":0.00"));
	ck_assert_ptr_nonnull(strstr((const char *)out.bytes.data, "\"most_active_workflow\":null"));
	ck_assert_ptr_nonnull(strstr((const char *)out.bytes.data, "\"peak_hours\":[]}"));
	buf_release(&out.bytes);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("tally");
	tcase_add_test(c, it_counts);
	tcase_add_test(c, a_document_of_them);
	tcase_add_test(c, nothing_at_all);
	return run_case("tally", c);
}
