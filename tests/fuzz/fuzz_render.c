/*
 * fuzz_render.c: any bytes as two messages of a session (a NUL byte parts them). Pages hold no markup but the
 * renderer's, JSON is JSON, windows of a document are the document, and what is to be short is short. The second
 * message is the session's context.json, too.
 */
#include "fs/session/json.h"
#include "fs/session/title.h"
#include "tests/views/made.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool held)
{
	if (!held)
		abort();
}

static bool holds(const struct buf *text, const char *what)
{
	return text->len && memmem(text->data, text->len, what, strlen(what));
}

static size_t times(const struct buf *text, const char *what)
{
	const uint8_t *p = text->data, *end = p + text->len;
	size_t n = 0;

	for (; p && (p = memmem(p, (size_t)(end - p), what, strlen(what))); p++)
		n++;
	return n;
}

static void check_html(const struct transcript *t)
{
	_cleanup_buf_ struct buf text = {0};

	made_render(t, render_html, 0, &text);
	expect(utf8_valid((char *)text.data, text.len));
	expect(!holds(&text, "<script") && !holds(&text, "<img") && !holds(&text, "<!--"));
	expect(!holds(&text, "href=\"javascript:") && times(&text, "</main>") == 1);
	expect(times(&text, "<article") == t->n && times(&text, "</article>") == t->n);
	for (size_t i = 0; i < text.len; i++)
		expect(text.data[i] >= 0x20 || text.data[i] == '\n' || text.data[i] == '\t');
}

static void check_json(const struct transcript *t, render_session render)
{
	_cleanup_(json_object_release) struct json_object o = {0};
	_cleanup_buf_ struct buf text = {0};
	const char *why;

	made_render(t, render, 0, &text);
	expect(text.len > JSON_MAX || json_object_parse((char *)text.data, text.len, &o, &why) == 0);
}

static void check_windows(const struct transcript *t, render_session render, size_t window)
{
	_cleanup_buf_ struct buf whole = {0}, parts = {0};

	made_render(t, render, 0, &whole);
	made_render(t, render, window, &parts);
	expect(whole.len == parts.len && memcmp(whole.data, parts.data, whole.len) == 0);
}

static void check_emergency(const struct transcript *t)
{
	_cleanup_buf_ struct buf text = {0};
	size_t points = 0;

	made_render(t, render_resume_emergency, 0, &text);
	for (size_t i = 0; i < text.len; i++)
		points += (text.data[i] & 0xc0) != 0x80;
	expect(points <= RESUME_EMERGENCY && utf8_valid((char *)text.data, text.len));
	expect(holds(&text, "\nAcknowledge that you go on"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char title[] = "title", empty[] = "{}", none[] = "[]";
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t first = nul ? (size_t)(nul - data) : size;
	struct made_file files[2] = {{(const char *)data, first},
		{nul ? (const char *)nul + 1 : "", nul ? size - first - 1 : 0}};
	struct transcript_message messages[2] = {{.number = 1, .ino = MADE_INO, .size = files[0].len},
		{.number = 2, .ino = MADE_INO + 1, .size = files[1].len, .role = MESSAGE_ASSISTANT}};
	struct session_file attachments[2] = {{.path = empty, .mode = S_IFDIR | 0700},
		{.path = title, .mode = S_IFREG | 0600, .ino = MADE_FILES_INO, .size = files[1].len, .same = 1}};
	struct transcript t = {.title = title, .user = title, .workflow = title, .state = "active",
		.history = none, .metadata = empty, .document = empty, .total = 2, .n = 2,
		.messages = messages, .read = made_read, .read_file = made_read_file, .arg = files, .memory_size = 2,
		.memory_tokens = 10, .files = {.at = attachments, .n = 2}};
	made_files = &files[1];

	if (size > 1 << 16)
		return 0;
	check_html(&t);
	check_json(&t, render_json);
	check_json(&t, render_history);
	check_json(&t, render_chat_store);
	check_windows(&t, render_txt, size / 3 + 16);
	check_windows(&t, render_json, size / 3 + 64);
	check_windows(&t, render_md, size / 2 + 16);
	check_windows(&t, render_html, size + 512);
	t.context = (char *)(uintptr_t)files[1].data;
	t.context_size = files[1].len;
	check_windows(&t, render_resume, size / 2 + 64);
	check_windows(&t, render_resume_full, size / 2 + 64);
	check_emergency(&t);
	return 0;
}
