/* `scribefs context check`: whether what an agent saved of its work still holds. */
#include "kv/log.h"
#include "tools/context_check.h"
#include "tools/options.h"
#include "tools/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_checks(const struct checks *checks)
{
	for (size_t i = 0; i < CHECKS; i++) {
		const struct check *c = &checks->check[i];
		char name[32];
		snprintf(name, sizeof name, "%s", c->name);
		for (char *p = name; *p; p++)
			*p = *p == '_' ? ' ' : *p;
		printf("%s: %s\n", name, c->findings.n == 0 ? "passed" : c->critical ? "FAILED" : "changed");
		for (size_t k = 0; k < c->findings.n; k++) {
			log_clean(c->findings.at[k]);
			printf("  %s\n", c->findings.at[k]);
		}
	}
}

static int print_json(const struct found_session *found, const struct checks *checks)
{
	_cleanup_(report_freep) struct report *report = report_new();

	if (!report)
		return -ENOMEM;
	report_text(report, "session", found->past.path);
	if (found->past.snapshot[0])
		report_text(report, "snapshot", found->past.snapshot);
	report_text(report, "root", checks->root);
	report_text(report, "status", checks->failed ? "failed" : checks->findings ? "changed" : "passed");
	for (size_t i = 0; i < CHECKS; i++) {
		const struct check *c = &checks->check[i];
		report_begin_item(report, "checks");
		report_text(report, "name", c->name);
		report_flag(report, "critical", c->critical);
		report_flag(report, "passed", c->findings.n == 0);
		report_list(report, "findings");
		for (size_t k = 0; k < c->findings.n; k++)
			report_add(report, "findings", c->findings.at[k]);
		report_end_item(report);
	}
	return report_print(report, true);
}

/* A program that asked for JSON gets some. */
static int failed(bool json, const char *error)
{
	if (json)
		report_failure(error);
	return STATUS_FAILED;
}

static int run_context(const struct command *self, int argc, char **argv)
{
	const char *root = NULL;
	bool json = false;
	char error[1024] = "";
	const struct option_spec specs[] = {
		{"root", 0, OPTION_TEXT, &root},
		{"json", 0, OPTION_FLAG, &json},
		{0},
	};
	struct found_session found;
	struct saved_context saved = {0};
	_cleanup_(checks_release) struct checks checks = {0};
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (strcmp(argv[0], "check") != 0) {
		options_wrong(self, "no 'context %s'; there is check", argv[0]);
		return STATUS_USAGE;
	}
	log_keep(error, sizeof error);
	if (find_session(argv[1], &found) < 0)
		return failed(json, error);
	r = find_context(&found, &saved);
	if (r > 0)
		log_error("%s has no " CONTEXT_NAME, argv[1]);
	if (r == 0)
		r = checks_run(&saved, root, &checks);
	if (r == 0 && json)
		r = print_json(&found, &checks);
	else if (r == 0)
		print_checks(&checks);
	context_release(&saved.c);
	if (r < 0)
		log_error("cannot check %s: %s", argv[1], strerror(-r));
	if (r != 0)
		return failed(json, error);
	if (checks.failed)
		log_error("what was saved does not hold any more; go on with 'scribefs resume --emergency %s'",
			argv[1]);
	return checks.failed ? STATUS_FAILED : STATUS_DONE;
}

const struct command cmd_context = {
	.name = "context",
	.usage = "check SESSION [--root DIR] [--json]",
	.summary = "check whether a session's context.json still holds",
	.help = "Four checks: the state of the project, the files that were worked on, the tasks, and what they\n"
		"depend on. A finding in any but the files is a failure: exit status 1.\n"
		"SESSION is as for 'scribefs resume'.\n\n"
		"Options:\n"
		"  --root DIR              relative paths are below DIR, not below what context.json says\n"
		"  --json                  print the findings as JSON\n",
	.run = run_context,
};
