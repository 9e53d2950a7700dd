/*
 * fuzz_frontmatter.c: any bytes as the beginning of a message. Whatever is found is within bounds,
 * and the header alone says the same as the header with its text.
 */
#include "fs/session/frontmatter.h"
#include "fs/session/title.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool held)
{
	if (!held)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char title[TITLE_AUTO_MAX + 1];
	struct frontmatter whole, alone;

	frontmatter_parse(text, size, &whole);
	expect(whole.length <= size && whole.length <= FRONTMATTER_MAX);
	expect(whole.role <= MESSAGE_TOOL);
	expect(strlen(whole.id) <= FRONTMATTER_TEXT && strlen(whole.agent) <= FRONTMATTER_TEXT &&
	        strlen(whole.model) <= FRONTMATTER_TEXT && strlen(whole.name) <= FRONTMATTER_TEXT &&
	        strlen(whole.tool_call_id) <= FRONTMATTER_TEXT);
	if (whole.length) {
		frontmatter_parse(text, whole.length, &alone);
		expect(memcmp(&whole, &alone, sizeof whole) == 0);
	} else {
		expect(!whole.has_time && !whole.has_tokens && whole.role == MESSAGE_USER);
	}
	title_of_text(text + whole.length, size - whole.length, title);
	expect(utf8_valid(title, strlen(title)) && !strchr(title, '\n'));
	return 0;
}
