/* JSON: what is valid, verbatim values, the canonical form. */
#include "fs/session/json.h"
#include "kv/kv.h"

#include "tests/suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse(const char *text, struct json_object *o)
{
	const char *reason = NULL;
	int r = json_object_parse(text, strlen(text), o, &reason);
	ck_assert(r == 0 || reason);
	return r;
}

START_TEST(members_are_verbatim)
{
	struct json_object o = {0};
	ck_assert_int_eq(parse("\xef\xbb\xbf { \"a\" : 12345678901234567890 , \"b\":[ 1.50 ,{ \"c "
	                       "d\" : \"\\u00e9\\\"} \" } ],\n"
	                       "\"e\":{},\"a b\":null}",
	                         &o),
	        0);
	ck_assert_uint_eq(o.n, 4);
	ck_assert_str_eq(json_get(&o, "a"), "12345678901234567890");
	ck_assert_str_eq(json_get(&o, "b"), "[1.50,{\"c d\":\"\\u00e9\\\"} \"}]");
	ck_assert_str_eq(json_get(&o, "e"), "{}");
	ck_assert_str_eq(json_get_key(&o, "\"a b\""), "null");
	ck_assert_ptr_null(json_get(&o, "c d"));
	json_object_release(&o);
	ck_assert_int_eq(parse("{\"a\":1,\"a\":2}", &o), 0);
	ck_assert_uint_eq(o.n, 1);
	ck_assert_str_eq(json_get(&o, "a"), "2");
	json_object_release(&o);
}
END_TEST

START_TEST(what_is_not_valid_is_refused)
{
	static const char *const bad[] = {"", " ", "{", "}", "[]", "1", "\"a\"", "null", "{\"a\"}",
	        "{\"a\":}", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}",
	        "{\"a\":+1}", "{\"a\":1.e5}", "{\"a\":NaN}", "{'a':1}", "{\"a\":\"\n\"}",
	        "{\"a\":\"\xff\"}", "{\"a\":\"\\x\"}", "{a:1}", "{\"a\":\x1b{}}", "{\"a\":tru}",
	        "{\"a\":\"b}"};
	struct json_object o = {0};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(parse(bad[i], &o) == -EINVAL, "%s", bad[i]);
	const char *reason;
	ck_assert_int_eq(json_object_parse("{\"a\":1\0}", 8, &o, &reason), -EINVAL);
	static char deep[300];
	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', 100);
	memset(deep + 105, ']', 100);
	strcpy(deep + 205, "}");
	ck_assert_int_eq(parse(deep, &o), -EINVAL);
	char *large = calloc(1, JSON_MAX + 10);
	memset(large, ' ', JSON_MAX + 2);
	large[0] = '{';
	large[JSON_MAX] = '}';
	ck_assert_int_eq(parse(large, &o), -EINVAL);
	free(large);
}
END_TEST

START_TEST(members_change)
{
	struct json_object o = {0}, copy = {0};
	struct buf text = {0};
	char key[16];
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "\"k%d\"", i);
		ck_assert_int_eq(json_set_key(&o, key, "0"), 0);
	}
	for (int i = 0; i < 18; i++) {
		snprintf(key, sizeof key, "\"k%d\"", i);
		ck_assert_int_eq(json_set_key(&o, key, NULL), 0);
	}
	ck_assert_int_eq(json_set_key(&o, "\"k18\"", "[1]"), 0);
	ck_assert_int_eq(json_set_key(&o, "\"absent\"", NULL), 0);
	ck_assert_int_eq(json_copy(&o, &copy), 0);
	ck_assert_int_eq(json_object_text(&copy, &text), 0);
	ck_assert_uint_eq(text.len, strlen("{\"k18\":[1],\"k19\":0}"));
	ck_assert_mem_eq(text.data, "{\"k18\":[1],\"k19\":0}", text.len);
	json_object_release(&o);
	json_object_release(&copy);
	buf_release(&text);
}
END_TEST

START_TEST(scalars)
{
	char *s = NULL;
	uint64_t n;
	ck_assert_int_eq(json_string("\"a\\u00e9\\n\"", &s), 0);
	ck_assert_str_eq(s, "aé\n");
	free(s);
	ck_assert_int_eq(json_string("\"a\\u0000b\"", &s), -EINVAL);
	ck_assert_int_eq(json_string("5", &s), -EINVAL);
	ck_assert_int_eq(json_integer("9007199254740992", &n), 0);
	ck_assert_uint_eq(n, 9007199254740992u);
	ck_assert_int_eq(json_integer("-1", &n), -EINVAL);
	ck_assert_int_eq(json_integer("1.5", &n), -EINVAL);
	ck_assert_int_eq(json_integer("1e300", &n), -EINVAL);
	ck_assert_int_eq(json_integer("\"1\"", &n), -EINVAL);
}
END_TEST

START_TEST(the_canonical_form)
{
	struct buf out = {0};
	ck_assert_int_eq(json_pretty(&out, "{\"a\":[1,{}],\"b\":{\"c\":\"x,{\"},\"d\":[]}", 0), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	ck_assert_str_eq((char *)out.data, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    "
	                                   "\"c\": \"x,{\"\n  },\n  \"d\": []\n}");
	out.len = 0;
	ck_assert_int_eq(json_quote(&out, "a\"\\\n\t\x01\xff\xc3\xa9", 9), 0);
	ck_assert_int_eq(buf_append(&out, "", 1), 0);
	ck_assert_str_eq((char *)out.data, "\"a\\\"\\\\\\n\\t\\u0001\xef\xbf\xbd\xc3\xa9\"");
	buf_release(&out);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("json");
	tcase_add_test(c, members_are_verbatim);
	tcase_add_test(c, what_is_not_valid_is_refused);
	tcase_add_test(c, members_change);
	tcase_add_test(c, scalars);
	tcase_add_test(c, the_canonical_form);
	return run_case("json", c);
}
