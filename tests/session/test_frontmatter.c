/* The YAML header of messages: what is one, what it says, and what is content. */
#include "fs/session/frontmatter.h"
#include "fs/session/timestamp.h"

#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

static struct frontmatter parse(const char *text)
{
	struct frontmatter h;
	frontmatter_parse(text, strlen(text), &h);
	return h;
}

START_TEST(all_keys)
{
	const char *text =
	        "---\nid: m-1\nrole: assistant\ntimestamp: 2026-11-21T10:30:00.5Z\nagent: 'coder'\n"
	        "model: \"x y\"\ntokens: 120\nothers: [1, {a: b}]\nname: search\ntool_call_id: call_1\n"
	        "---\nThe text.\n";
	struct frontmatter h = parse(text);
	ck_assert_str_eq(text + h.length, "The text.\n");
	ck_assert_str_eq(h.id, "m-1");
	ck_assert_int_eq(h.role, MESSAGE_ASSISTANT);
	ck_assert(h.has_time);
	ck_assert_int_eq(timestamp_ms(&h.time), 1795257000500);
	ck_assert_str_eq(h.agent, "coder");
	ck_assert_str_eq(h.model, "x y");
	ck_assert_str_eq(h.name, "search");
	ck_assert_str_eq(h.tool_call_id, "call_1");
	ck_assert(h.has_tokens);
	ck_assert_uint_eq(h.tokens, 120);
}
END_TEST

START_TEST(nothing_is_required)
{
	struct frontmatter h = parse("---\n---\ntext");
	ck_assert_uint_eq(h.length, 8);
	ck_assert_int_eq(h.role, MESSAGE_USER);
	ck_assert(!h.has_time && !h.has_tokens && !h.id[0]);
	ck_assert_uint_eq(parse("---\r\nrole: tool\r\n---\r\ntext").length, 22);
	ck_assert_int_eq(parse("---\r\nrole: tool\r\n---\r\ntext").role, MESSAGE_TOOL);
	ck_assert_int_eq(parse("---\nrole: system\n---").role, MESSAGE_SYSTEM);
}
END_TEST

START_TEST(odd_values_count_as_absent)
{
	struct frontmatter h =
	        parse("---\nrole: wizard\ntokens: -5\ntimestamp: soon\nid: [a]\nagent: {b: c}\n"
	              "model: *x\n---\n");
	ck_assert_uint_gt(h.length, 0);
	ck_assert(h.role == MESSAGE_USER && !h.has_tokens && !h.has_time);
	ck_assert(!h.id[0] && !h.agent[0] && !h.model[0]);
	h = parse("---\nrole: wizard\ntokens: 1e5\ntimestamp: soon\nid: [a, b]\nagent: {id: c, "
	          "role: tool}\n---\n");
	ck_assert_uint_gt(h.length, 0);
	ck_assert_int_eq(h.role, MESSAGE_USER);
	ck_assert(!h.has_tokens && !h.has_time && !h.id[0] && !h.agent[0]);
	char text[1000] = "---\nid: ";
	memset(text + 8, 'x', 300);
	strcpy(text + 308, "\n---\n");
	ck_assert_str_eq(parse(text).id, "");
	ck_assert_uint_gt(parse(text).length, 0);
}
END_TEST

START_TEST(what_is_no_header_is_content)
{
	static const char *const bad[] = {"", "---", "---\n", "text\n---\nrole: tool\n---\n",
	        "----\nrole: tool\n---\n", "---\nrole: tool\n", "---\nrole: tool\n----\n",
	        " ---\nrole: tool\n---\n", "---\n- a\n- b\n---\n", "---\njust text\n---\n",
	        "---\nrole: [tool\n---\n", "---\nrole: \"tool\n---\n", "---\n\tx: y\n---\n",
	        "---\na: b: c\n---\n", "---\n{\n---\n", "---\nrole: tool\n...\nx: y\n---\n",
	        "---\n\xff\xfe: y\n---\n", "---\na: \x01\n---\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(parse(bad[i]).length == 0, "%zu: %s", i, bad[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(parse(bad[i]).role == MESSAGE_USER, "%zu: %s", i, bad[i]);
}
END_TEST

START_TEST(bombs_are_content)
{
	static char deep[3000], wide[FRONTMATTER_MAX + 100];
	strcpy(deep, "---\na: ");
	memset(deep + 7, '[', 1000);
	memset(deep + 1007, ']', 1000);
	strcpy(deep + 2007, "\n---\n");
	ck_assert_uint_eq(parse(deep).length, 0);

	const char *laughs =
	        "---\na: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\n"
	        "c: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c]\nrole: "
	        "tool\n---\n";
	ck_assert_int_eq(parse(laughs).role, MESSAGE_TOOL); /* never expanded, so no harm */

	strcpy(wide, "---\nrole: tool\nx: ");
	memset(wide + 19, 'y', FRONTMATTER_MAX);
	strcpy(wide + 19 + FRONTMATTER_MAX, "\n---\n");
	ck_assert_uint_eq(parse(wide).length, 0);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("frontmatter");
	tcase_add_test(c, all_keys);
	tcase_add_test(c, nothing_is_required);
	tcase_add_test(c, odd_values_count_as_absent);
	tcase_add_test(c, what_is_no_header_is_content);
	tcase_add_test(c, bombs_are_content);
	return run_case("frontmatter", c);
}
