/*
 * fuzz_context.c: any bytes as a context.json. Whatever was read is whole: no element of a list without a text, every
 * string UTF-8, and what is told of a problem fits on a line.
 */
#include "fs/session/context.h"
#include "fs/session/title.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool held)
{
	if (!held)
		abort();
}

static void check_text(const char *text)
{
	expect(text && text[0] && utf8_valid(text, strlen(text)));
}

static void check_items(const struct context_items *items)
{
	for (size_t i = 0; i < items->n; i++) {
		check_text(items->at[i].text);
		for (size_t k = 0; k < items->at[i].needs.n; k++)
			check_text(items->at[i].needs.at[k]);
	}
	expect(context_items_open(items) <= items->n);
}

static void check_files(const struct context_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		expect(!files->at[i].sha256 || strlen(files->at[i].sha256) == 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct context c = {0};
	struct broken broken = {0};
	char line[BROKEN_TEXT];
	size_t place;

	int r = context_read((const char *)data, size, &c, &broken);
	expect(r == 0 || broken.n);
	broken_text(&broken, line);
	expect(strlen(line) < sizeof line && !strchr(line, '\n'));
	check_items(&c.decisions);
	check_items(&c.completed);
	check_items(&c.next);
	check_items(&c.blockers);
	check_items(&c.tasks);
	check_items(&c.pending);
	check_files(&c.active);
	check_files(&c.modified);
	for (place = 1; context_step(&c, place); place++)
		check_text(context_step(&c, place)->text);
	for (size_t i = 0; i < c.focus.n; i++)
		check_text(c.focus.at[i]);
	context_release(&c);
	return 0;
}
