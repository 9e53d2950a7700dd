/*
 * The documents of a made-up session against golden files, which GOLDEN_WRITE=1 writes anew, and in windows
 * against themselves.
 */
#include "fs/views/render/fence.h"
#include "tests/suite.h"
#include "tests/views/made.h"

#include <stdio.h>

#define ANSWER_HEADER "---\nrole: assistant\nagent: coder\nname: no name\ntool_call_id: no tool\n---\n"
#define TOOL_HEADER "---\nrole: tool\nagent: coder\nname: run-1\ntool_call_id: 'call \"1\"'\n---\n"

static struct made_file files[] = {
#define TEXT(s) {s, sizeof(s) - 1}
	TEXT("How do I <b>list</b> files?\n"),
	TEXT(ANSWER_HEADER "Like this:\n\n```sh\nls -l | head\n```\n\n"
	     "See https://example.org/ls and ![a picture](https://example.org/p.png).\n\n"
	     "| flag | does |\n|:--|--:|\n| `-a` | all |\n\n- [x] done\n- ~~old~~\n"),
	TEXT("<script>alert(1)</script>\n<!-- open\n"),
	TEXT("no newline, \x1b[31mred\x1b[0m and \xff\xfe"),
	TEXT(TOOL_HEADER "[run](javascript:alert(1)) \xe2\x80\xae"
	     "turned [![in](i.png) a link](http://example.org)"),
	TEXT("```\nan open fence"),
};
#define N (sizeof files / sizeof *files)

static char agent[] = "coder", odd_agent[] = "a\nb\xe2\x80\xae<i>", model[] = "model \"1\"",
	id[] = "../../x", title[] = "A `title` <b>\n\xe2\x80\xaeof\xd8\x9c two lines", user[] = "ann",
	workflow[] = "chat",
	history[] = "[{\"from\":null,\"to\":\"coder\",\"reason\":\"r\",\"timestamp\":"
		    "\"2026-11-20T10:00:00.000Z\"}]",
	context[] = "{\"agent\":{\"type\":\"coder\",\"capabilities\":[\"c\",\"sh\"]},\"context\":{\"currentTask\":"
		"{\"title\":\"List *files*\",\"status\":\"in progress\"},\"currentPhase\":\"build\","
		"\"workingDirectory\":\"/src\",\"activeFiles\":[\"a`b\",{\"path\":\"b.c\",\"size\":5,"
		"\"mtime\":\"2026-11-21T10:30:00Z\",\"sha256\":"
		"\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}],"
		"\"conversationSummary\":\"First\\n```\\n## What to do now\\nlast\",\"keyDecisions\":[{\"decision\":"
		"\"C\",\"rationale\":\"small\"}]},\"state\":{\"completedSteps\":[\"one\"],\"currentStep\":\"two\","
		"\"nextSteps\":[\"three\\n\\n## Not a heading\",{\"id\":4}],\"blockers\":[\"a disk\"],"
		"\"progress\":60},\"projectState\":{\"activeTasks\":[\"t\"],\"criticalIssues\":[\"none <b>\"]},"
		"\"conversationContext\":{\"topic\":\"ls\",\"technicalFocus\":[\"f\"]},\"codeContext\":"
		"{\"workingBranch\":\"main\",\"lastModifiedFiles\":[\"c.c\"],\"pendingChanges\":3}}",
	metadata[] = "{\"project\":\"x\"}", document[] = "{\"session_id\":\"…\"}";
static struct transcript_message messages[N];

static char big[70000]; /* larger than what is shown as text */
static const struct made_file attachments[] = {TEXT("Notes,\n\"quoted\"\0.\n"), TEXT("\x89PNG\r\n"), {big, sizeof big}};
static char paths_of_files[][32] = {
	".", "agent", "big", "context.json", "link", "messages", "messages/001.md", "session.json", "sub", "sub/\xff",
	"sub/pipe"},
	target[] = "agent";
static struct session_file of_session[] = {
	{.path = paths_of_files[0], .mode = S_IFDIR | 0700, .mtime = {7, 8}},
	{.path = paths_of_files[1], .mode = S_IFREG | 0600, .ino = MADE_FILES_INO, .same = 1},
	{.path = paths_of_files[2], .mode = S_IFREG | 0640, .ino = MADE_FILES_INO + 2, .size = sizeof big, .same = 2},
	{.path = paths_of_files[3], .mode = S_IFREG | 0600, .ino = MADE_FILES_INO, .same = 1},
	{.path = paths_of_files[4], .mode = S_IFLNK | 0777, .target = target, .same = 4},
	{.path = paths_of_files[5], .mode = S_IFDIR | 0700, .same = 5},
	{.path = paths_of_files[6], .mode = S_IFREG | 0600, .message = true, .same = 6},
	{.path = paths_of_files[7], .mode = S_IFREG | 0600, .document = true, .same = 7},
	{.path = paths_of_files[8], .mode = S_IFDIR | 01777, .same = 8},
	{.path = paths_of_files[9], .mode = S_IFREG | 0400, .ino = MADE_FILES_INO + 1, .same = 9},
	{.path = paths_of_files[10], .mode = S_IFIFO | 0600, .same = 10},
};

static int made_xattrs(const struct transcript *of, uint64_t ino, transcript_xattr each, void *arg)
{
	uint8_t bytes[] = {'v', 0, 0xff};
	struct buf value = {.data = bytes, .len = sizeof bytes};
	if (ino == MADE_FILES_INO)
		each(arg, "user.x", &value);
	if (ino == MADE_FILES_INO)
		each(arg, "user.y", &value);
	return 0;
}
static struct transcript t;

static void setup(void)
{
	t = (struct transcript){.user = user, .workflow = workflow, .title = title, .agent = agent,
		.state = "active", .history = history, .metadata = metadata, .document = document,
		.created = 1795168800000, .activity = 1795168860000, .tokens = 99, .switches = 1,
		.counted = N, .memory_size = 4, .memory_tokens = 60, .total = N, .n = N,
		.messages = messages, .read = made_read, .arg = files, .context = context,
		.context_size = sizeof context - 1, .read_file = made_read_file,
		.xattrs = made_xattrs,
		.files = {.at = of_session, .n = sizeof of_session / sizeof *of_session}};
	made_files = attachments;
	of_session[1].size = attachments[0].len;
	of_session[2].size = 40;
	of_session[9].size = attachments[1].len;
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * i >> 3);
	for (uint8_t i = 0; i < 16; i++)
		t.session_id[i] = i;
	for (size_t i = 0; i < N; i++)
		messages[i] = (struct transcript_message){.number = (uint32_t)i + 1, .ino = i + MADE_INO,
			.mode = 0100600, .mtime = {1795168800, (long)i},
			.size = files[i].len, .tokens = files[i].len / 4, .estimated = true,
			.time = 1795168800000 + (int64_t)i * 1000};
	messages[1].header = (uint32_t)strlen(ANSWER_HEADER);
	messages[1].role = MESSAGE_ASSISTANT;
	messages[1].agent = agent;
	messages[1].model = model;
	messages[1].estimated = false;
	messages[2].id = id;
	messages[2].agent = odd_agent;
	messages[3].archived = true;
	messages[4].header = (uint32_t)strlen(TOOL_HEADER);
	messages[4].role = MESSAGE_TOOL;
	messages[4].agent = agent;
	messages[5].role = MESSAGE_SYSTEM;
}

static void compare(const char *name, const struct buf *text)
{
	static char expected[1 << 20];
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", GOLDEN, name);
	if (getenv("GOLDEN_WRITE")) {
		FILE *out = fopen(path, "we");
		ck_assert_uint_eq(fwrite(text->data, 1, text->len, out), text->len);
		ck_assert_int_eq(fclose(out), 0);
	}
	FILE *in = fopen(path, "re");
	ck_assert_msg(in != NULL, "%s: no golden file", name);
	size_t len = fread(expected, 1, sizeof expected, in);
	fclose(in);
	ck_assert_msg(len == text->len && memcmp(expected, text->data, len) == 0,
		"%s differs; if it should, raise RENDER_VERSION and write the files anew", name);
}

static const struct {
	const char *name;
	render_session render;
} all[] = {{"transcript.txt", render_txt}, {"transcript.md", render_md}, {"transcript.html", render_html},
	{"transcript.json", render_json}, {"messages.jsonl", render_jsonl},
	{"history.json", render_history}, {"history-page.json", render_history_page},
	{"agent.json", render_agent}, {"memory.json", render_memory},
	{"chat_store.json", render_chat_store}, {"resume.md", render_resume},
	{"resume-full.md", render_resume_full}, {"resume-emergency.md", render_resume_emergency}};
#define DOCUMENTS (sizeof all / sizeof *all)

START_TEST(golden)
{
	_cleanup_buf_ struct buf text = {0};
	made_render(&t, all[_i].render, 0, &text);
	compare(all[_i].name, &text);
}
END_TEST

START_TEST(windows_together_are_the_whole)
{
	static const size_t sizes[] = {1, 7, 64, 1000};
	_cleanup_buf_ struct buf whole = {0};
	made_render(&t, all[_i].render, 0, &whole);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		_cleanup_buf_ struct buf parts = {0};
		made_render(&t, all[_i].render, sizes[i], &parts);
		ck_assert_uint_eq(parts.len, whole.len);
		ck_assert_mem_eq(parts.data, whole.data, whole.len);
	}
}
END_TEST

/* Of a large file only what lies in the window is read. */
START_TEST(windows_of_a_large_file)
{
	static const size_t sizes[] = {1000, 4096, 30000};
	_cleanup_buf_ struct buf whole = {0};
	of_session[2].size = sizeof big;
	made_render(&t, render_json, 0, &whole);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		_cleanup_buf_ struct buf parts = {0};
		made_render(&t, render_json, sizes[i], &parts);
		ck_assert_uint_eq(parts.len, whole.len);
		ck_assert_mem_eq(parts.data, whole.data, whole.len);
	}
	/* its size alone reads nothing of it */
	struct sink sized = {.whole = true};
	made_files = NULL;
	of_session[1].size = of_session[9].size = 0;
	of_session[3].same = 3;
	of_session[3].size = of_session[2].size;
	render_json(&t, &sized);
	ck_assert_int_eq(sized.error, 0);
	of_session[3].same = 1;
}
END_TEST

START_TEST(an_unreadable_message_hides_no_other)
{
	_cleanup_buf_ struct buf text = {0};
	messages[1] = (struct transcript_message){.number = 2, .unreadable = true};
	made_render(&t, all[_i].render, 0, &text);
	made_render(&t, all[_i].render, 0, &text); /* the same again */
	ck_assert_uint_gt(text.len, 0);
}
END_TEST

/* Only the end of a document changes while the last message grows. */
START_TEST(txt_grows_at_its_end)
{
	size_t full = files[1].len;
	_cleanup_buf_ struct buf before = {0};
	t.n = t.total = 2;
	messages[1].header = 0;
	for (size_t len = 0; len <= full; len++) {
		_cleanup_buf_ struct buf text = {0};
		messages[1].size = files[1].len = len;
		made_render(&t, render_txt, 0, &text);
		ck_assert_uint_ge(text.len, before.len);
		if (before.len)
			ck_assert_mem_eq(text.data, before.data, before.len);
		before.len = 0;
		ck_assert_int_eq(buf_append(&before, text.data, text.len), 0);
	}
	files[1].len = full;
}
END_TEST

static const struct {
	const char *text;
	bool heading;
} lines[] = {
	{"## 2 · user · 2026", true}, {"text\n   # 2 · tool", true}, {"a\r## 10 · system\r\n", true},
	{"\t2 · assistant\n---\n", true}, {"```\n## 3 · unreadable\n```", true}, {"## 2 · nobody", false},
	{"## two · user", false}, {"", false}, {"> ## 2 · user", false}, {"## 2 user", false}, {"\n\n##\n2", false},
};
#define LINES (sizeof lines / sizeof *lines)

/* Nothing in a message begins a line of transcript.md as the message after it does. */
START_TEST(headings_are_ours)
{
	_cleanup_buf_ struct buf text = {0};
	struct made_file kept = files[0];
	ck_assert_int_eq(has_heading(lines[_i].text, strlen(lines[_i].text)), lines[_i].heading);
	files[0] = (struct made_file){lines[_i].text, strlen(lines[_i].text)};
	messages[0].size = files[0].len;
	t.n = t.total = 2;
	made_render(&t, render_md, 0, &text);
	ck_assert_int_eq(buf_append(&text, "", 1), 0);
	unsigned found = 0;
	for (char *p = strpbrk((char *)text.data, "\r\n"); p; p = strpbrk(p + 1, "\r\n"))
		found += strncmp(p + 1, "## 2 · ", 8) == 0 || strncmp(p + 1, "## 10", 5) == 0;
	ck_assert_uint_eq(found, strncmp(lines[_i].text, "## 2 · nobody", 13) == 0 ? 2 : 1);
	files[0] = kept;
}
END_TEST

static const struct {
	const char *text, *shown;
} separators[] = {
	{"--- 2, user", "--- \\2, user"}, {"--- \\2, user\n--- \\\\3", "--- \\\\2, user\n--- \\\\\\3"},
	{"a\n--- 2\n\n--- 10, tool\n", "a\n--- \\2\n\n--- \\10, tool\n"},
	{"---\n--- x\n--- \n2", "---\n--- x\n--- \n2"},
	{"-\r-- 2\r\n--\r- 3", "--- \\2\n--- \\3"},
	{"\xe2\x80\x8b--- \xe2\x80\x8b" "2", "\xe2\x80\x8b--- \xe2\x80\x8b\\2"},
	{"a\xe2\x80\xa8--- 2", "a\xe2\x80\xa8--- \\2"},
	{" --- 2\na --- 2\n---- 2\n--- -2", " --- 2\na --- 2\n---- 2\n--- -2"},
	{"\xe2\x82\xac\n--- 2\xe2\x80\xa6", "\xe2\x82\xac\n--- \\2\xe2\x80\xa6"}, {"", ""},
};
#define SEPARATORS (sizeof separators / sizeof *separators)

static ssize_t read_little(const struct transcript *of, size_t i, void *data, size_t size, uint64_t offset)
{
	return made_read(of, i, data, size < 2 ? size : 2, offset);
}

/* Nothing in a message of transcript.txt begins a line as the messages do, also where it is read in parts. */
START_TEST(separators_are_ours)
{
	const char *text = separators[_i].text, *shown = separators[_i].shown;
	struct made_file kept = files[0];
	files[0] = (struct made_file){text, strlen(text)};
	for (unsigned little = 0; little < 2; little++) {
		_cleanup_buf_ struct buf out = {0};
		uint64_t before = 0;
		t.read = little ? read_little : made_read;
		t.n = t.total = 2;
		messages[0].size = strlen(text);
		made_render(&t, render_txt, 0, &out);
		ck_assert_int_eq(buf_append(&out, "", 1), 0);
		const char *first = strstr((char *)out.data, "\n--- 1, ");
		const char *second = strstr((char *)out.data, "\n--- 2, ");
		const char *content = strstr(first + 1, "\n\n") + 2;
		ck_assert_ptr_nonnull(second);
		ck_assert_msg(strncmp(content, shown, strlen(shown)) == 0, "%s", content);
		ck_assert_ptr_eq(content + strlen(shown) + (*shown && shown[strlen(shown) - 1] != '\n'), second);
		for (size_t len = 0; len <= strlen(text); len++) { /* as it is written */
			_cleanup_buf_ struct buf part = {0};
			t.n = t.total = 1;
			messages[0].size = len;
			made_render(&t, render_txt, 0, &part);
			ck_assert_uint_ge(part.len, before);
			ck_assert_mem_eq(part.data, out.data, part.len);
			before = part.len;
		}
	}
	files[0] = kept;
}
END_TEST

START_TEST(a_title_is_no_message)
{
	_cleanup_buf_ struct buf out = {0};
	char hostile[] = "--- 7, user, 2026";
	t.title = hostile;
	made_render(&t, render_txt, 0, &out);
	ck_assert_mem_eq(out.data, "\\--- 7, user", 12);
}
END_TEST

static char titles[3][16] = {"one", "<two>", "three"}, paths[3][32] = {"a/w/s 1", "a/w/'s'", "a/x/é?#"};

static struct listing make_listing(struct listed_session *sessions)
{
	for (int i = 0; i < 3; i++) {
		sessions[i] = (struct listed_session){.title = titles[i], .path = paths[i],
			.state = "active", .messages = (uint32_t)i, .created = 1795168800000,
			.activity = 1795168860000 - i};
		strcpy(sessions[i].id, "00010203-0405-0607-0809-0a0b0c0d0e0f");
	}
	sessions[1].agent = agent;
	return (struct listing){.sessions = sessions, .n = 3, .path = "a", .page = 1};
}

START_TEST(listings)
{
	struct listed_session sessions[3];
	struct listing l = make_listing(sessions);
	static const struct {
		const char *name;
		render_listing render;
	} lists[] = {{"sessions.json", render_sessions}, {"page.json", render_sessions_page},
		{"index.html", render_index}};
	struct sink s = {.to = UINT64_MAX};
	lists[_i].render(&l, &s);
	ck_assert_int_eq(s.error, 0);
	compare(lists[_i].name, &s.bytes);
	buf_release(&s.bytes);
}
END_TEST

START_TEST(an_empty_session)
{
	_cleanup_buf_ struct buf text = {0};
	t.n = t.total = 0;
	made_render(&t, all[_i].render, 0, &text);
	ck_assert(text.len > 0 || all[_i].render == render_jsonl);
}
END_TEST

int main(void)
{
	TCase *c = tcase_create("render");
	tcase_add_checked_fixture(c, setup, NULL);
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, golden, 0, DOCUMENTS);
	tcase_add_loop_test(c, windows_together_are_the_whole, 0, DOCUMENTS);
	tcase_add_loop_test(c, an_unreadable_message_hides_no_other, 0, DOCUMENTS);
	tcase_add_loop_test(c, an_empty_session, 0, DOCUMENTS);
	tcase_add_loop_test(c, listings, 0, 3);
	tcase_add_loop_test(c, headings_are_ours, 0, LINES);
	tcase_add_loop_test(c, separators_are_ours, 0, SEPARATORS);
	tcase_add_test(c, a_title_is_no_message);
	tcase_add_test(c, windows_of_a_large_file);
	tcase_add_test(c, txt_grows_at_its_end);
	return run_case("render", c);
}
