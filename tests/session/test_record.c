/* The records of the session layer: golden bytes, round trips, damage. */
#include "fs/session/check_times.h"
#include "fs/session/record.h"
#include "tests/suite.h"

#include <stdio.h>

static struct srec example(void)
{
	struct srec rec = {.flags = SREC_CHANGED | SREC_CLAIM,
	        .state = STATE_ARCHIVED,
	        .created = 0x0102030405060708,
	        .updated = 2,
	        .changed = 3,
	        .version = 4,
	        .version_high = 5,
	        .messages = 6,
	        .tokens = 7,
	        .activity = -8,
	        .number_high = 9,
	        .title_number = 10,
	        .epoch = 11,
	        .ring_used = 0x1234,
	        .claim_version = 12,
	        .claim_updated = 13,
	        .claim_activity = ACTIVITY_NONE,
	        .switches = 14,
	        .last_number = 15,
	        .last_role = MESSAGE_TOOL,
	        .context = CONTEXT_BROKEN,
	        .shown_state = STATE_IDLE,
	        .claim_state = STATE_ACTIVE,
	        .claim_until = 16,
	        .trashed = 17};
	for (uint8_t i = 0; i < 16; i++) {
		rec.id[i] = i;
		rec.rendered_hash[i] = (uint8_t)(0x20 + i);
		rec.claim_hash[i] = (uint8_t)(0x40 + i);
	}
	ck_assert_int_eq(srec_set(&rec.title, "T"), 0);
	ck_assert_int_eq(srec_set(&rec.history, "[1]"), 0);
	ck_assert_int_eq(srec_set(&rec.extra, "{\"a\":1}"), 0);
	ck_assert_int_eq(srec_set(&rec.agent_file, "f"), 0);
	ck_assert_int_eq(srec_set(&rec.broken, "b: c"), 0);
	return rec;
}

static const char *hex(const uint8_t *data, size_t len)
{
	static char text[4096];
	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", data[i]);
	return text;
}

START_TEST(the_session_record)
{
	_cleanup_srec_ struct srec rec = example(), back = {0};
	_cleanup_buf_ struct buf bytes = {0};
	ck_assert_int_eq(srec_encode(&rec, &bytes), 0);
	ck_assert_str_eq(hex(bytes.data, bytes.len), "03"
	                                             "0048"
	                                             "03"
	                                             "000102030405060708090a0b0c0d0e0f"
	                                             "0102030405060708"
	                                             "0000000000000002"
	                                             "0000000000000003"
	                                             "0000000000000004"
	                                             "0000000000000005"
	                                             "00000006"
	                                             "0000000000000007"
	                                             "fffffffffffffff8"
	                                             "00000009"
	                                             "0000000a"
	                                             "000000000000000b"
	                                             "1234"
	                                             "202122232425262728292a2b2c2d2e2f"
	                                             "404142434445464748494a4b4c4d4e4f"
	                                             "000000000000000c"
	                                             "000000000000000d"
	                                             "8000000000000000"
	                                             "000000000000000e"
	                                             "0000000f"
	                                             "03"
	                                             "02"
	                                             "0201"
	                                             "0000000000000010"
	                                             "0000000000000011"
	                                             "00000001"
	                                             "54"
	                                             "00000000"
	                                             "00000000"
	                                             "00000003"
	                                             "5b315d"
	                                             "00000000"
	                                             "00000007"
	                                             "7b2261223a317d"
	                                             "00000001"
	                                             "66"
	                                             "00000004"
	                                             "623a2063");
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), 0);
	ck_assert_int_eq(back.activity, -8);
	ck_assert_str_eq(back.extra, "{\"a\":1}");
	ck_assert_ptr_null(back.agent);
	_cleanup_buf_ struct buf again = {0};
	ck_assert_int_eq(srec_encode(&back, &again), 0);
	ck_assert_uint_eq(again.len, bytes.len);
	ck_assert_mem_eq(again.data, bytes.data, bytes.len);
}
END_TEST

#define LAST_STRINGS (4 + 1 + 4 + 4) /* bytes of the two that came with format 3 */

/* A store of a program that did not remember what the file `agent` said. */
START_TEST(a_session_record_of_the_second_format)
{
	_cleanup_srec_ struct srec rec = example(), back = {0};
	_cleanup_buf_ struct buf bytes = {0};
	ck_assert_int_eq(srec_encode(&rec, &bytes), 0);
	bytes.len -= LAST_STRINGS;
	bytes.data[0] = 2;
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), 0);
	ck_assert_str_eq(back.extra, "{\"a\":1}");
	ck_assert_ptr_null(back.agent_file);
	ck_assert_ptr_null(back.broken);
	for (size_t len = 0; len < bytes.len; len++) {
		struct srec none;
		ck_assert_int_eq(srec_decode(bytes.data, len, &none), -EBADMSG);
	}
}
END_TEST

/* A store of a program that knew no states: they follow at the next look. */
START_TEST(a_session_record_of_the_first_format)
{
	_cleanup_srec_ struct srec rec = example(), back = {0};
	_cleanup_buf_ struct buf bytes = {0};
	ck_assert_int_eq(srec_encode(&rec, &bytes), 0);
	memmove(bytes.data + 162, bytes.data + 186, bytes.len - 186);
	bytes.len -= 24 + LAST_STRINGS;
	bytes.data[0] = 1;
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), 0);
	ck_assert_uint_eq(back.switches, 14);
	ck_assert_str_eq(back.title, "T");
	ck_assert_uint_eq(back.last_number, 0);
	ck_assert_int_eq(back.trashed, 0);
	ck_assert_int_eq(back.shown_state, STATE_ARCHIVED);
	ck_assert_uint_eq(back.flags, rec.flags | SREC_RECOUNT);
	for (size_t len = 0; len < bytes.len; len++) {
		struct srec none;
		ck_assert_int_eq(srec_decode(bytes.data, len, &none), -EBADMSG);
	}
}
END_TEST

START_TEST(a_damaged_session_record)
{
	_cleanup_srec_ struct srec rec = example();
	_cleanup_buf_ struct buf bytes = {0};
	struct srec back;
	ck_assert_int_eq(srec_encode(&rec, &bytes), 0);
	for (size_t len = 0; len < bytes.len; len++)
		ck_assert_int_eq(srec_decode(bytes.data, len, &back), -EBADMSG);
	ck_assert_int_eq(buf_append(&bytes, "x", 1), 0);
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), -EBADMSG);
	bytes.len--;
	bytes.data[3] = STATES;
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), -EBADMSG);
	bytes.data[3] = 0;
	bytes.data[0] = 4;
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), -EPROTONOSUPPORT);
	bytes.data[0] = 0;
	ck_assert_int_eq(srec_decode(bytes.data, bytes.len, &back), -EPROTONOSUPPORT);
}
END_TEST

START_TEST(times_that_a_tool_wrote)
{
#define ORDER "its stopped_at is before its started_at"
#define STARTED "its started_at is no time"
#define STOPPED "its stopped_at is no time"
	static const struct {
		const char *extra, *metadata, *problem;
	} cases[] = {
		{NULL, NULL, NULL},
		{"{\"started_at\":\"2026-01-02T00:00:00Z\"}", "{\"stopped_at\":\"2026-01-01T00:00:00Z\"}", NULL},
		{"{\"started_at\":\"2026-01-02T00:00:00Z\",\"stopped_at\":\"2026-01-02T00:00:00Z\"}", NULL, NULL},
		{"{\"started_at\":\"2026-01-02T00:00:00Z\",\"stopped_at\":\"2026-01-01T00:00:00Z\"}", NULL, ORDER},
		{NULL, "{\"stopped_at\":\"2026-01-01T00:00:00+02:00\",\"started_at\":\"2025-12-31T23:00:00Z\"}", ORDER},
		{"{\"started_at\":\"2026-01-02T00:00:00Z\",\"stopped_at\":null}", "{\"started_at\":null}", NULL},
		{NULL, "{\"stopped_at\":\"2026-01-01T00:00:00Z\",\"started_at\":12}", STARTED},
		{"{\"started_at\":\"2026-01-02T00:00:00Z\",\"stopped_at\":\"garbage\"}", NULL, STOPPED},
		{"{\"stopped_at\":{}}", NULL, STOPPED},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		_cleanup_srec_ struct srec rec = {0};
		ck_assert_int_eq(srec_set(&rec.extra, cases[i].extra), 0);
		ck_assert_int_eq(srec_set(&rec.metadata, cases[i].metadata), 0);
		const char *problem = check_times_problem(&rec), *wanted = cases[i].problem;
		ck_assert_msg(wanted ? problem && strcmp(problem, wanted) == 0 : !problem, "case %zu", i);
	}
#undef ORDER
#undef STARTED
#undef STOPPED
}
END_TEST

START_TEST(the_facts_of_a_message)
{
	struct message m = {.role = MESSAGE_TOOL,
	                       .flags = MESSAGE_TEXT,
	                       .names = 2,
	                       .header = 3,
	                       .time = -4,
	                       .tokens = 5,
	                       .size = 6,
	                       .mtime = {7, 8},
	                       .id = "i",
	                       .model = "mm"},
	               back;
	struct blob *facts;
	ck_assert_int_eq(message_encode(&m, &facts), 0);
	ck_assert_str_eq(hex(facts->data, facts->len), "01"
	                                               "03"
	                                               "04"
	                                               "0002"
	                                               "00000003"
	                                               "fffffffffffffffc"
	                                               "0000000000000005"
	                                               "0000000000000006"
	                                               "0000000000000007"
	                                               "00000008"
	                                               "0169"
	                                               "00"
	                                               "026d6d");
	ck_assert_int_eq(message_decode(facts, &back), 0);
	ck_assert_str_eq(back.model, "mm");
	ck_assert_int_eq(back.time, -4);
	for (uint32_t len = 0; len < facts->len; len++) {
		struct blob *cut = blob_new(facts->data, len);
		ck_assert_int_eq(message_decode(cut, &back), -EBADMSG);
		blob_unref(cut);
	}
	facts->data[1] = 4;
	ck_assert_int_eq(message_decode(facts, &back), -EBADMSG);
	facts->data[0] = 9;
	ck_assert_int_eq(message_decode(facts, &back), -EPROTONOSUPPORT);
	blob_unref(facts);
	ck_assert_int_eq(message_decode(NULL, &back), -ENOENT);
}
END_TEST

START_TEST(sums_follow_messages)
{
	_cleanup_srec_ struct srec rec = {.activity = ACTIVITY_NONE};
	struct message a = {.time = 10, .tokens = 5, .flags = MESSAGE_TEXT}, b = a;
	b.time = 20;
	b.tokens = 7;
	ck_assert_int_eq(srec_change_message(&rec, 2, NULL, &b, "second"), 0);
	ck_assert_int_eq(srec_change_message(&rec, 1, NULL, &a, "first"), 0);
	ck_assert_uint_eq(rec.messages, 2);
	ck_assert_uint_eq(rec.tokens, 12);
	ck_assert_int_eq(rec.activity, 20);
	ck_assert_str_eq(rec.auto_title, "first");
	ck_assert_uint_eq(rec.flags, 0);
	/* another text of the second: nothing to look for */
	struct message c = b;
	c.tokens = 1;
	ck_assert_int_eq(srec_change_message(&rec, 2, &b, &c, "other"), 0);
	ck_assert_uint_eq(rec.tokens, 6);
	ck_assert_str_eq(rec.auto_title, "first");
	ck_assert_uint_eq(rec.flags, 0);
	/* the newest goes, the first becomes somebody else's: only a look at all can tell */
	ck_assert_int_eq(srec_change_message(&rec, 2, &c, NULL, NULL), 0);
	ck_assert_uint_eq(rec.flags, SREC_RECOUNT);
	rec.flags = 0;
	struct message d = a;
	d.role = MESSAGE_ASSISTANT;
	ck_assert_int_eq(srec_change_message(&rec, 1, &a, &d, "first"), 0);
	ck_assert_uint_eq(rec.flags, SREC_RECOUNT);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("record");
	tcase_add_test(c, the_session_record);
	tcase_add_test(c, a_session_record_of_the_first_format);
	tcase_add_test(c, a_session_record_of_the_second_format);
	tcase_add_test(c, a_damaged_session_record);
	tcase_add_test(c, times_that_a_tool_wrote);
	tcase_add_test(c, the_facts_of_a_message);
	tcase_add_test(c, sums_follow_messages);
	return run_case("record", c);
}
