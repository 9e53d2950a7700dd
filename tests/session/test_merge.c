/* Three-way merging of session.json, without a store. */
#include "fs/session/session_internal.h"
#include "fs/session/uuid.h"
#include "tests/suite.h"

#define ID "00010203-0405-4607-8809-0a0b0c0d0e0f"
#define OTHER "ff010203-0405-4607-8809-0a0b0c0d0e0f"
#define BASE                                                                                       \
	"{\"session_id\":\"" ID "\",\"title\":\"Auto\",\"state\":\"active\","                      \
	"\"created_at\":\"2026-11-21T10:30:00.000Z\",\"version\":3,\"message_count\":2,"           \
	"\"metadata\":{\"total_tokens\":9,\"a\":1,\"b\":2},"                                       \
	"\"agent\":{\"current\":\"x\",\"history\":[],\"switch_count\":0},\"extra\":[1]}"

static struct srec rec;

static void setup(void)
{
	rec = (struct srec){0};
	ck_assert_int_eq(uuid_parse(ID, 36, rec.id), 0);
	ck_assert_int_eq(srec_set(&rec.metadata, "{\"a\":1,\"b\":2}"), 0);
	ck_assert_int_eq(srec_set(&rec.extra, "{\"extra\":[1]}"), 0);
	ck_assert_int_eq(srec_set(&rec.agent, "x"), 0);
}

static const struct moment moment = {.now = 1795257000000}; /* time alone makes nothing idle */

static void teardown(void)
{
	srec_release(&rec);
}

static char told[BROKEN_TEXT]; /* by the last one */

static enum merge_kind merge(const char *text, const char *base)
{
	_cleanup_(merge_release) struct merge m = {0};
	const char *reason = NULL;
	ck_assert_int_eq(merge_document(&rec, text, strlen(text), base, base ? strlen(base) : 0,
	                         &moment, &m, &reason),
	        0);
	broken_text(&m.broken, told);
	return m.kind;
}

START_TEST(what_was_left_alone_stays)
{
	ck_assert_int_eq(srec_set(&rec.title, "Meanwhile"), 0);
	rec.state = STATE_ARCHIVED;
	ck_assert_int_eq(srec_set(&rec.agent, "y"), 0);
	ck_assert_int_eq(srec_set(&rec.history, "[{\"from\":\"x\"}]"), 0);
	rec.switches = 1;
	ck_assert_int_eq(srec_set(&rec.metadata, "{\"a\":5,\"c\":3}"), 0);
	ck_assert_int_eq(merge(BASE, BASE), MERGE_EDIT);
	ck_assert_str_eq(rec.title, "Meanwhile");
	ck_assert_int_eq(rec.state, STATE_ARCHIVED);
	ck_assert_str_eq(rec.agent, "y");
	ck_assert_str_eq(rec.history, "[{\"from\":\"x\"}]");
	ck_assert_str_eq(rec.metadata, "{\"a\":5,\"c\":3}");
	ck_assert_str_eq(rec.extra, "{\"extra\":[1]}");
	ck_assert_uint_eq(rec.switches, 1);
}
END_TEST

START_TEST(what_differs_is_the_users)
{
	ck_assert_int_eq(
	        merge("{\"session_id\":\"" ID
	              "\",\"title\":\"Mine\",\"state\":\"idle\",\"version\":3,"
	              "\"created_at\":\"2020-01-01T00:00:00Z\",\"message_count\":77,"
	              "\"metadata\":{\"total_tokens\":1,\"a\":1,\"d\":[true]},"
	              "\"agent\":{\"current\":\"z\",\"history\":[],\"switch_count\":0},\"new\":{}}",
	                BASE),
	        MERGE_EDIT);
	ck_assert_str_eq(rec.title, "Mine");
	ck_assert_int_eq(rec.state, STATE_IDLE);
	ck_assert_int_eq(rec.created, 1577836800000);
	ck_assert_str_eq(rec.metadata, "{\"a\":1,\"d\":[true]}"); /* b was taken out */
	ck_assert_str_eq(rec.extra, "{\"new\":{}}");
	ck_assert_str_eq(rec.agent, "z");
	ck_assert_uint_eq(rec.switches, 1);
	ck_assert_str_eq(rec.history, "[{\"from\":\"x\",\"to\":\"z\",\"reason\":\"session.json\","
	                              "\"timestamp\":\"2026-11-21T10:30:00.000Z\"}]");
}
END_TEST

START_TEST(no_version_leaves_the_rest_alone)
{
	ck_assert_int_eq(merge("{\"title\":\"Mine\",\"metadata\":{\"d\":1}}", BASE), MERGE_EDIT);
	ck_assert_str_eq(rec.title, "Mine");
	ck_assert_str_eq(rec.metadata, "{\"a\":1,\"b\":2,\"d\":1}");
	ck_assert_str_eq(rec.extra, "{\"extra\":[1]}");
	ck_assert_str_eq(rec.agent, "x");
}
END_TEST

START_TEST(a_state_that_time_gives_is_nobodys)
{
	rec.state = STATE_ARCHIVED;
	ck_assert_int_eq(merge("{\"session_id\":\"" ID "\",\"state\":\"idle\",\"version\":3}", BASE), MERGE_EDIT);
	ck_assert_int_eq(rec.state, STATE_IDLE);
	ck_assert_int_eq(merge("{\"session_id\":\"" ID "\",\"state\":\"active\",\"version\":3}",
	                         "{\"state\":\"idle\",\"version\":3}"),
	        MERGE_EDIT);
	ck_assert_int_eq(rec.state, STATE_AUTO);
}
END_TEST

START_TEST(wrong_types_do_no_harm)
{
	ck_assert_int_eq(merge("{\"session_id\":5,\"title\":[],\"state\":\"sleepy\",\"version\":3,"
	                       "\"created_at\":1,"
	                       "\"metadata\":[],\"agent\":\"x\",\"message_count\":\"x\"}",
	                         BASE),
	        MERGE_EDIT);
	ck_assert_ptr_null(rec.title);
	ck_assert_int_eq(rec.state, STATE_AUTO);
	ck_assert_str_eq(rec.agent, "x");
	ck_assert_str_eq(told, "session_id: must be a UUID; metadata: must be an object; agent: must be an object; "
			       "title: must be a string without NUL; state: must be active, idle, archived or deleted; "
			       "created_at: must be a time as 2026-11-21T10:30:00Z");
	merge(BASE, BASE);
	ck_assert_str_eq(told, "");
}
END_TEST

#define AGENT(members) "{\"version\":3,\"agent\":{" members "}}"

START_TEST(what_is_wrong_in_agent_is_told)
{
	merge(AGENT("\"current\":\"\",\"history\":{},\"switch_count\":-1"), BASE);
	ck_assert_str_eq(told, "agent.history: must be an array; agent.switch_count: must be a whole number; "
			       "agent.current: must be a name, or null");
	merge(AGENT("\"current\":\"a\\u0000b\""), BASE);
	ck_assert_str_eq(told, "agent.current: must be a name, or null");
	ck_assert_str_eq(rec.agent, "x");
	merge("{\"title\":\"a\\u0000b\",\"version\":3.5,\"interrupted\":1}", BASE);
	ck_assert_str_eq(told, "version: must be a whole number; interrupted: must be true or false; "
			       "title: must be a string without NUL");
	/* also of a restored one */
	merge("{\"state\":\"gone\",\"version\":3}", NULL);
	ck_assert_str_eq(told, "state: must be active, idle, archived or deleted");
}
END_TEST

START_TEST(what_the_file_said_is_restored)
{
	ck_assert_int_eq(srec_set(&rec.agent_file, "x"), 0);
	merge(AGENT("\"current\":\"y\",\"file\":\"z\""), NULL);
	ck_assert_str_eq(rec.agent_file, "z");
	merge(AGENT("\"current\":\"y\""), NULL);
	ck_assert_str_eq(rec.agent_file, "z");
	merge(AGENT("\"current\":\"x\",\"file\":\"a\""), BASE); /* an edit: not for anybody to say */
	ck_assert_str_eq(rec.agent_file, "z");
}
END_TEST

START_TEST(many_wrong_fields_are_counted)
{
	struct broken broken = {0};
	char text[BROKEN_TEXT], field[2 * BROKEN_FIELD];

	memset(field, 'f', sizeof field - 1);
	field[sizeof field - 1] = '\0';
	broken_text(&broken, text);
	ck_assert_str_eq(text, "");
	for (int i = 0; i < BROKEN_MAX + 3; i++)
		broken_add(&broken, i ? field : "", "must be right");
	broken_text(&broken, text);
	ck_assert(strncmp(text, "must be right; ffff", 19) == 0);
	ck_assert_str_eq(text + strlen(text) - 27, ": must be right; and 3 more");
}
END_TEST

START_TEST(a_restore_is_taken_whole)
{
	_cleanup_(merge_release) struct merge m = {0};
	const char *reason, *text = "{\"session_id\":\"" OTHER
	                            "\",\"title\":\"Old\",\"state\":\"archived\",\"version\":3,"
	                            "\"created_at\":\"2020-01-01T00:00:00Z\",\"updated_at\":\"2020-"
	                            "01-02T00:00:00Z\",\"message_count\":4,"
	                            "\"metadata\":{\"total_tokens\":10,\"last_activity\":\"2020-01-"
	                            "03T00:00:00Z\",\"k\":1e2},"
	                            "\"agent\":{\"current\":\"q\",\"history\":[{\"to\":\"q\"}],"
	                            "\"switch_count\":5}}";
	ck_assert_int_eq(
	        merge_document(&rec, text, strlen(text), BASE, strlen(BASE), &moment, &m, &reason), 0);
	ck_assert_int_eq(m.kind, MERGE_RESTORE);
	ck_assert(m.has_id && m.has_version && m.has_updated && m.has_activity);
	ck_assert_uint_eq(m.id[0], 0xff);
	ck_assert_uint_eq(rec.id[0], 0); /* whether it is free is not decided here */
	ck_assert_uint_eq(m.messages, 4);
	ck_assert_uint_eq(m.tokens, 10);
	ck_assert_int_eq(m.activity, 1578009600000);
	ck_assert_str_eq(m.title, "Old");
	ck_assert_str_eq(rec.metadata, "{\"k\":1e2}");
	ck_assert_ptr_null(rec.extra);
	ck_assert_str_eq(rec.history, "[{\"to\":\"q\"}]");
	ck_assert_uint_eq(rec.switches, 5);
	/* our own id, but a version that is not known any more */
	ck_assert_int_eq(merge(BASE, NULL), MERGE_RESTORE);
}
END_TEST

START_TEST(broken_ones_change_nothing)
{
	_cleanup_(merge_release) struct merge m = {0};
	const char *reason = NULL;
	ck_assert_int_eq(
	        merge_document(&rec, "{\"title\":\"x\"", 12, NULL, 0, &moment, &m, &reason), -EINVAL);
	ck_assert_ptr_nonnull(reason);
	ck_assert_ptr_null(rec.title);
}
END_TEST

START_TEST(agents)
{
	ck_assert_int_eq(agent_switch(&rec, "x", "r", 0), 0);
	ck_assert_uint_eq(rec.switches, 0);
	ck_assert_int_eq(agent_switch(&rec, "y", "a \"b\"", 0), 0);
	ck_assert_int_eq(agent_switch(&rec, NULL, "r", 0), 0);
	ck_assert_uint_eq(rec.switches, 2);
	ck_assert_str_eq(rec.history, "[{\"from\":\"x\",\"to\":\"y\",\"reason\":\"a \\\"b\\\"\","
	                              "\"timestamp\":\"1970-01-01T00:00:00.000Z\"},{\"from\":\"y\","
	                              "\"to\":null,\"reason\":\"r\","
	                              "\"timestamp\":\"1970-01-01T00:00:00.000Z\"}]");
	ck_assert_int_eq(agent_switch(&rec, "z", "r", 0), 0); /* the first one is no switch */
	ck_assert_uint_eq(rec.switches, 2);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("merge");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_was_left_alone_stays);
	tcase_add_test(c, what_differs_is_the_users);
	tcase_add_test(c, no_version_leaves_the_rest_alone);
	tcase_add_test(c, a_state_that_time_gives_is_nobodys);
	tcase_add_test(c, wrong_types_do_no_harm);
	tcase_add_test(c, what_is_wrong_in_agent_is_told);
	tcase_add_test(c, what_the_file_said_is_restored);
	tcase_add_test(c, many_wrong_fields_are_counted);
	tcase_add_test(c, a_restore_is_taken_whole);
	tcase_add_test(c, broken_ones_change_nothing);
	tcase_add_test(c, agents);
	return run_case("merge", c);
}
