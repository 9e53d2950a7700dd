/* `scribefs diff`: what changed between two moments. */
#include "kv/log.h"
#include "tools/compare.h"
#include "tools/options.h"
#include "tools/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_path(const char *path)
{
	for (; *path; path++)
		if ((unsigned char)*path < ' ' || *path == '\\' || *path == 127)
			printf("\\%03o", (unsigned char)*path);
		else
			putchar(*path);
}

static void print_lines(const struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		printf("%c ", (char)c->list[i].kind);
		if (c->list[i].from) {
			print_path(c->list[i].from);
			printf(" -> ");
		}
		print_path(c->list[i].path);
		putchar('\n');
	}
}

static int print_json(const struct changes *c)
{
	_cleanup_(report_freep) struct report *report = report_new();
	for (size_t i = 0; report && i < c->n; i++) {
		report_begin_item(report, "changes");
		report_text(report, "status", (char[]){(char)c->list[i].kind, 0});
		report_text(report, "path", c->list[i].path);
		if (c->list[i].from)
			report_text(report, "from", c->list[i].from);
		report_end_item(report);
	}
	return report ? report_print(report, true) : -ENOMEM;
}

static int run_diff(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {{"json", 0, OPTION_FLAG, &json}, {0}};
	_cleanup_(changes_release) struct changes changes = {0};
	struct past a, b;
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (past_find(argv[0], &a) < 0 || past_find(argv[1], &b) < 0)
		return STATUS_FAILED;
	r = compare(&a, &b, false, &changes);
	if (r == 0 && json)
		r = print_json(&changes);
	else if (r == 0)
		print_lines(&changes);
	if (r < 0) {
		log_error("cannot compare %s and %s: %s", argv[0], argv[1], strerror(-r));
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

const struct command cmd_diff = {
	.name = "diff",
	.usage = "PATH[@SNAPSHOT] PATH[@SNAPSHOT] [--json]",
	.summary = "list what changed between two moments",
	.help = "A line for each name: A added, M modified, D removed, R renamed (OLD -> NEW); a directory ends in\n"
		"a slash, and '.' is PATH itself. Times alone are no change. SNAPSHOT is the name of a snapshot of\n"
		"PATH or of a directory above it, or a time such as 10min, yesterday or 2026-11-21T10:30; without it\n"
		"the present is meant. For two moments of one PATH only what changed is read.\n\n"
		"Options:\n"
		"  --json                  print them as JSON\n",
	.run = run_diff,
};
