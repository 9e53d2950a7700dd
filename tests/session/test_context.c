/* context.json: its reader, and what a session knows of it. */
#include "fs/session/context.h"
#include "fs/session/transcript.h"
#include "kv/cleanup.h"
#include "tests/suite.h"
#include "tests/session/tree.h"

#include <stdio.h>

#define CONTEXT SESSION "/context.json"

static const char full[] =
	"{\"agent\": {\"type\": \"coder\", \"capabilities\": [\"c\", \"sh\"], \"specialization\": \"files\"},\n"
	" \"context\": {\"currentTask\": {\"id\": 7, \"title\": \"Write it\", \"status\": \"in progress\"},\n"
	"  \"currentPhase\": \"build\", \"workingDirectory\": \"/src\",\n"
	"  \"activeFiles\": [\"a.c\", {\"path\": \"b.c\", \"size\": 5, \"mtime\": \"2026-11-21T10:30:00.5Z\",\n"
	"   \"sha256\": \"E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\"},\n"
	"   {\"path\": \"c\", \"mtime\": 1795257000.25}],\n"
	"  \"conversationSummary\": \"We\\nwrote.\",\n"
	"  \"keyDecisions\": [{\"decision\": \"C\", \"rationale\": \"it is small\"}, \"tabs\"]},\n"
	" \"state\": {\"completedSteps\": [\"one\", 2], \"currentStep\": \"three\",\n"
	"  \"nextSteps\": [{\"step\": \"four\", \"dependsOn\": [\"three\", 2]},\n"
	"   {\"id\": \"x\", \"status\": \"Done\"}],\n"
	"  \"blockers\": [], \"progress\": 60},\n"
	" \"projectState\": {\"currentPhase\": \"build\", \"activeTasks\": [], \"recentCompletions\": [\"p\"],\n"
	"  \"projectHealth\": {\"score\": 1}, \"criticalIssues\": null},\n"
	" \"conversationContext\": {\"topic\": \"t\", \"subTopic\": \"s\", \"technicalFocus\": \"f\",\n"
	"  \"recentDiscussions\": [\"d\"]},\n"
	" \"codeContext\": {\"lastModifiedFiles\": [\"a.c\"], \"workingBranch\": \"main\",\n"
	"  \"pendingChanges\": \"many\", \"buildStatus\": \"ok\"},\n"
	" \"aiAgentState\": {\"mood\": 1}, \"mine\": [1, 2]}";

static struct context c;
static struct broken wrong;

static int read_it(const char *text)
{
	context_release(&c);
	wrong = (struct broken){0};
	return context_read(text, strlen(text), &c, &wrong);
}

START_TEST(everything_documented_is_read)
{
	ck_assert_int_eq(read_it(full), 0);
	ck_assert_uint_eq(wrong.n, 0);
	ck_assert_str_eq(c.agent_type, "coder");
	ck_assert_uint_eq(c.capabilities.n, 2);
	ck_assert_str_eq(c.capabilities.at[1], "sh");
	ck_assert_str_eq(c.task.text, "Write it");
	ck_assert_str_eq(c.task.id, "7");
	ck_assert_str_eq(c.phase, "build");
	ck_assert_uint_eq(c.active.n, 3);
	ck_assert_str_eq(c.active.at[0].path, "a.c");
	ck_assert(c.active.at[1].has_size && c.active.at[1].size == 5);
	ck_assert(c.active.at[1].has_mtime && c.active.at[2].has_mtime);
	ck_assert(c.active.at[1].mtime > 1795257000.49 && c.active.at[1].mtime < 1795257000.51);
	ck_assert_str_eq(c.active.at[1].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_str_eq(c.summary, "We\nwrote.");
	ck_assert_str_eq(c.decisions.at[0].text, "C");
	ck_assert_str_eq(c.decisions.at[0].reason, "it is small");
	ck_assert_str_eq(c.completed.at[1].text, "2");
	ck_assert_str_eq(c.step.text, "three");
	ck_assert_str_eq(c.next.at[0].needs.at[1], "2");
	ck_assert_str_eq(c.next.at[1].text, "x");
	ck_assert_uint_eq(context_items_open(&c.next), 1);
	ck_assert_str_eq(c.progress, "60");
	ck_assert_str_eq(c.health, "{\"score\":1}");
	ck_assert_str_eq(c.focus.at[0], "f");
	ck_assert_str_eq(c.pending.at[0].text, "many");
	ck_assert_str_eq(c.branch, "main");
}
END_TEST

static const struct {
	const char *text, *told;
} broken[] = {
	{"{\"agent\": []}", "agent: must be an object"},
	{"{\"agent\": {\"type\": 1}}", "agent.type: must be a string"},
	{"{\"agent\": {\"capabilities\": [\"a\", 1]}}", "agent.capabilities[1]: must be a string"},
	{"{\"context\": {\"currentTask\": true}}", "context.currentTask: must be a string, a number or an object"},
	{"{\"context\": {\"activeFiles\": \"a.c\"}}", "context.activeFiles: must be an array"},
	{"{\"context\": {\"activeFiles\": [\"\"]}}", "context.activeFiles[0]: must not be empty"},
	{"{\"context\": {\"activeFiles\": [{\"size\": 1}]}}", "context.activeFiles[0]: must have a path"},
	{"{\"context\": {\"activeFiles\": [{\"path\": \"a\", \"size\": -1}]}}",
		"context.activeFiles[0].size: must be a number of bytes"},
	{"{\"context\": {\"activeFiles\": [{\"path\": \"a\", \"sha256\": \"00\"}]}}",
		"context.activeFiles[0].sha256: must be a SHA-256 of 64 hexadecimal digits"},
	{"{\"context\": {\"activeFiles\": [{\"path\": \"a\", \"mtime\": \"today\"}]}}",
		"context.activeFiles[0].mtime: must be a time as 2026-11-21T10:30:00Z, or seconds since 1970"},
	{"{\"state\": {\"nextSteps\": [\"a\", null]}}", "state.nextSteps[1]: must be a string, a number or an object"},
	{"{\"state\": {\"nextSteps\": [{\"status\": 1}]}}", "state.nextSteps[0].status: must be a string"},
	{"{\"state\": {\"nextSteps\": [{\"dependencies\": [{}]}]}}",
		"state.nextSteps[0].dependencies[0]: must be a string or a number"},
	{"{\"state\": {\"progress\": []}}", "state.progress: must be a string, a number or an object"},
	{"{\"codeContext\": {\"pendingChanges\": 3}}", "codeContext.pendingChanges: must be an array or a string"},
	{"{\"aiAgentState\": \"x\"}", "aiAgentState: must be an object"},
	{"{\"agent\": {\"type\": 1}, \"state\": {\"nextSteps\": [true, 1, null]}}",
		"agent.type: must be a string; state.nextSteps[0]: must be a string, a number or an object; "
		"state.nextSteps[2]: must be a string, a number or an object"},
};
#define BROKEN (sizeof broken / sizeof *broken)

START_TEST(what_breaks_the_shape_is_told)
{
	char text[BROKEN_TEXT];
	ck_assert_int_eq(read_it(broken[_i].text), 0);
	ck_assert_uint_gt(wrong.n, 0);
	broken_text(&wrong, text);
	ck_assert_str_eq(text, broken[_i].told);
}
END_TEST

START_TEST(what_is_good_beside_it_is_read)
{
	static const char text[] =
		"{\"context\": {\"currentPhase\": 1, \"currentTask\": \"t\", \"activeFiles\": [3, \"a\"]},"
		" \"state\": {\"nextSteps\": [false, \"go\", \"\", {\"a\": 1}]}}";
	ck_assert_int_eq(read_it(text), 0);
	ck_assert_str_eq(wrong.at[0].field, "context.currentPhase");
	ck_assert_ptr_null(c.phase);
	ck_assert_str_eq(c.task.text, "t");
	ck_assert_uint_eq(c.active.n, 1);
	ck_assert_uint_eq(c.next.n, 2);
	ck_assert_str_eq(c.next.at[0].text, "go");
	ck_assert_str_eq(c.next.at[1].text, "{\"a\":1}");
}
END_TEST

START_TEST(what_is_no_object_is_refused)
{
	ck_assert_int_eq(read_it("[1]"), -EINVAL);
	ck_assert_str_eq(wrong.at[0].reason, "it is not a JSON object");
	ck_assert_int_eq(read_it("{\"a\": "), -EINVAL);
	ck_assert_int_eq(read_it(""), -EINVAL);
	ck_assert_int_eq(read_it("{\"agent\": null, \"x\": 1}"), 0);
	ck_assert_uint_eq(wrong.n, 0);
}
END_TEST

START_TEST(steps_are_found)
{
	size_t place;
	ck_assert_int_eq(read_it(full), 0);
	ck_assert_ptr_null(context_step(&c, 0));
	ck_assert_str_eq(context_step(&c, 3)->text, "three");
	ck_assert_str_eq(context_step(&c, 4)->text, "four");
	ck_assert_ptr_null(context_step(&c, 6));
	ck_assert_str_eq(context_find_step(&c, "four", &place)->text, "four");
	ck_assert_uint_eq(place, 4);
	ck_assert_str_eq(context_find_step(&c, "3", &place)->text, "three");
	ck_assert_ptr_null(context_find_step(&c, "9", &place));
	ck_assert_ptr_null(context_find_step(&c, "five", &place));
	ck_assert_ptr_null(context_find_step(&c, "99999999999999999999", &place));
}
END_TEST

/* ---- in a session ------------------------------------------------------------------------------ */

static void hear(void *arg, const char *file, const char *reason)
{
	struct buf *heard = arg;
	bool context = strcmp(file, "context.json") == 0;

	int r = buf_printf(
		heard, "%s%s%s%s", heard->len ? " | " : "", context ? "" : file, context ? "" : "> ", reason);
	ck_assert_int_eq(r, 0);
}

/* What is told of the session: of context.json the reason alone. "-": nothing. */
static const char *told(void)
{
	static char text[2 * BROKEN_TEXT];
	_cleanup_buf_ struct buf heard = {0};

	ck_assert_int_eq(session_problems(sessions, tree_find(SESSION), hear, &heard), 0);
	snprintf(text, sizeof text, "%.*s", (int)heard.len, heard.data ? (const char *)heard.data : "");
	return heard.len ? text : "-";
}

static uint64_t stamp(void)
{
	struct session_version v;
	ck_assert_int_eq(session_stamp(sessions, tree_find(SESSION), &v), 0);
	return v.stamp;
}

static bool settled(void)
{
	struct session_version v;
	ck_assert_int_eq(session_version(sessions, tree_find(SESSION), &v), 0);
	return v.settled;
}

#define BAD_NAME "the name must be 1 to 255 bytes of UTF-8 without control characters"

START_TEST(a_broken_file_of_the_agent_is_told)
{
	tree_write(SESSION "/agent", "coder\n");
	ck_assert_str_eq(told(), "-");
	tree_write(SESSION "/agent", "co\tder\n");
	ck_assert_str_eq(told(), "agent> " BAD_NAME);
	ck_assert_str_eq(tree_attribute(SESSION "/agent", "reason"), BAD_NAME);
	tree_expect_field("current", "coder");
	tree_write(SESSION "/agent", "{\"agent\": 1}");
	ck_assert_str_eq(told(), "agent> agent, and reason if it is there, must be strings without NUL");
	tree_write(SESSION "/agent", "{\"agent\": ");
	ck_assert_str_eq(told(), "agent> it is not valid JSON");
	tree_write(SESSION "/agent", " \n"); /* blank: somebody is about to write it */
	ck_assert_str_eq(told(), "-");
	tree_write(SESSION "/agent", "# nobody\n");
	ck_assert_str_eq(told(), "agent> " BAD_NAME);
	ck_assert_int_eq(tree_unlink(SESSION "/agent"), 0);
	ck_assert_str_eq(told(), "-");
}
END_TEST

START_TEST(what_was_not_taken_of_a_save_is_told)
{
	tree_edit("\"state\": \"active\"", "\"state\": \"asleep\"", false);
	ck_assert_str_eq(told(), "session.json> state: must be active, idle, archived or deleted");
	tree_expect_field("state", "active");
	ck_assert_str_eq(tree_attribute(JSON, "reason"), "state: must be active, idle, archived or deleted");
	tree_reopen();
	ck_assert_str_eq(tree_attribute(JSON, "reason"), "state: must be active, idle, archived or deleted");
	tree_edit("\"state\": \"active\"", "\"state\": \"idle\"", true);
	ck_assert_str_eq(told(), "-");
	ck_assert_str_eq(tree_attribute(JSON, "reason"), "-");
	tree_edit("}\n", "\n", false);
	ck_assert_str_eq(told(), "session.json> it is not valid JSON");
}
END_TEST

#define BAD "{\"state\": {\"nextSteps\": \"go\"}}"
#define BAD_TOLD "state.nextSteps: must be an array"

START_TEST(a_broken_save_is_kept_and_told)
{
	ck_assert_str_eq(told(), "-");
	tree_write(CONTEXT, BAD);
	ck_assert_str_eq(tree_read(CONTEXT), BAD);
	ck_assert_str_eq(tree_attribute(CONTEXT, "reason"), BAD_TOLD);
	ck_assert_str_eq(told(), BAD_TOLD);
	tree_write(CONTEXT, "{nothing");
	ck_assert_str_eq(tree_attribute(CONTEXT, "reason"), "it is not valid JSON");
	ck_assert_str_eq(told(), "it is not valid JSON");
	tree_write(CONTEXT, "{\"state\": {\"nextSteps\": [\"go\"]}, \"mine\": 1}");
	ck_assert_str_eq(tree_attribute(CONTEXT, "reason"), "-");
	ck_assert_str_eq(told(), "-");
}
END_TEST

START_TEST(it_comes_and_goes_by_names_too)
{
	tree_write(SESSION "/new", BAD);
	ck_assert_str_eq(told(), "-");
	ck_assert_int_eq(tree_rename(SESSION "/new", CONTEXT), 0);
	ck_assert_str_eq(told(), BAD_TOLD);
	ck_assert_int_eq(tree_rename(CONTEXT, SESSION "/old"), 0);
	ck_assert_str_eq(told(), "-");
	ck_assert_int_eq(tree_link(SESSION "/old", CONTEXT), 0);
	ck_assert_str_eq(told(), BAD_TOLD);
	ck_assert_int_eq(tree_unlink(CONTEXT), 0);
	ck_assert_str_eq(told(), "-");
}
END_TEST

START_TEST(it_outlives_the_daemon)
{
	tree_write(CONTEXT, BAD);
	tree_reopen();
	ck_assert_str_eq(told(), BAD_TOLD);
	tree_crash();
	tree_field("title"); /* a look */
	ck_assert_str_eq(told(), BAD_TOLD);
}
END_TEST

START_TEST(documents_become_stale)
{
	uint64_t before = stamp();
	tree_write(CONTEXT, "{}");
	ck_assert_uint_ne(stamp(), before);
	before = stamp();
	ck_assert(!settled()); /* it has just been written */
	ck_assert_int_eq(tree_unlink(CONTEXT), 0);
	ck_assert_uint_ne(stamp(), before);
}
END_TEST

START_TEST(one_that_is_too_large_is_told)
{
	size_t len = (1 << 20) + 1;
	char *text = malloc(len + 1);
	memset(text, ' ', len);
	text[0] = '{';
	text[len - 1] = '}';
	text[len] = '\0';
	tree_write(CONTEXT, text);
	ck_assert_str_eq(told(), "it is larger than 1 MiB");
	free(text);
}
END_TEST

static void release(void)
{
	context_release(&c);
}

int main(void)
{
	TCase *t = tcase_create("context");
	tcase_add_checked_fixture(t, tree_setup, tree_teardown);
	tcase_add_checked_fixture(t, NULL, release);
	tcase_add_test(t, everything_documented_is_read);
	tcase_add_loop_test(t, what_breaks_the_shape_is_told, 0, BROKEN);
	tcase_add_test(t, what_is_good_beside_it_is_read);
	tcase_add_test(t, what_is_no_object_is_refused);
	tcase_add_test(t, steps_are_found);
	tcase_add_test(t, a_broken_save_is_kept_and_told);
	tcase_add_test(t, a_broken_file_of_the_agent_is_told);
	tcase_add_test(t, what_was_not_taken_of_a_save_is_told);
	tcase_add_test(t, it_comes_and_goes_by_names_too);
	tcase_add_test(t, it_outlives_the_daemon);
	tcase_add_test(t, documents_become_stale);
	tcase_add_test(t, one_that_is_too_large_is_told);
	return run_case("context", t);
}
