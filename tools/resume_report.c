#include "tools/resume_report.h"

#include "kv/log.h"
#include "tools/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct context_item *in_items(const struct context_items *items, const char *name)
{
	for (size_t i = 0; i < items->n; i++)
		if (context_item_named(&items->at[i], name))
			return &items->at[i];
	return NULL;
}

const struct context_item *resume_find_task(const struct context *c, const char *name)
{
	const struct context_items *lists[] = {&c->tasks, &c->next, &c->completed, &c->completions};
	const struct context_item *found = NULL;

	if (context_item_named(&c->task, name))
		return &c->task;
	if (context_item_named(&c->step, name))
		return &c->step;
	for (size_t i = 0; i < sizeof lists / sizeof *lists && !found; i++)
		found = in_items(lists[i], name);
	return found;
}

/* Calls @each for the open steps to go on with: from the one that was asked for, else the current one. */
static void each_next(
	const struct resume_facts *f, void (*each)(void *arg, const struct context_item *step), void *arg)
{
	const struct context *c = &f->saved->c;
	const struct context_item *step;

	for (size_t place = f->from ? f->from : c->completed.n + 1; (step = context_step(c, place)); place++)
		if (f->from || context_item_open(step))
			each(arg, step);
}

/* ---- lines --------------------------------------------------------------------------------------- */

static void print_clean(const char *before, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return;
	log_clean(copy);
	printf("%s%s", before, copy);
	free(copy);
}

static void print_step(void *arg, const struct context_item *step)
{
	unsigned *n = arg;
	char before[32];

	snprintf(before, sizeof before, "%u. ", ++*n);
	print_clean(before, step->text);
	if (step->status)
		print_clean(", ", step->status);
	putchar('\n');
}

void resume_print_task(const struct resume_facts *f)
{
	const struct context_item *task = f->task;
	unsigned n = 0;

	printf("\n## What was asked for\n\n");
	if (f->wanted_task && task) {
		print_clean("- Task: ", task->text);
		if (task->status)
			print_clean("\n- Status: ", task->status);
		for (size_t i = 0; i < task->needs.n; i++)
			print_clean("\n- Needs: ", task->needs.at[i]);
		printf("\n");
	}
	printf("- Next actions:\n\n");
	each_next(f, print_step, &n);
	if (n == 0)
		printf("None are recorded.\n");
}

void resume_print_files(const struct checks *checks)
{
	const struct context_texts *findings = &checks->check[CHECK_FILES].findings;

	printf("\n## Files since then\n\n");
	for (size_t i = 0; i < findings->n; i++) {
		print_clean("- ", findings->at[i]);
		putchar('\n');
	}
	if (findings->n == 0)
		printf("None of those that are recorded has changed.\n");
}

/* ---- JSON ---------------------------------------------------------------------------------------- */

static void add_next(void *arg, const struct context_item *step)
{
	report_add(arg, "nextActions", step->text);
}

static void add_summary(struct report *report, const struct resume_facts *f)
{
	const struct context *c = f->saved ? &f->saved->c : NULL;
	char text[2048];

	if (c && c->summary) {
		report_text(report, "contextSummary", c->summary);
		return;
	}
	snprintf(text, sizeof text, "%s: %llu messages, the last at %s", c && c->task.text ? c->task.text : f->title,
		(unsigned long long)f->messages, f->activity);
	report_text(report, "contextSummary", text);
}

static void add_warnings(struct report *report, const struct resume_facts *f)
{
	report_list(report, "warnings");
	if (!f->saved)
		report_add(report, "warnings", "there is no " CONTEXT_NAME);
	if (f->wanted_task && !f->task)
		report_add(report, "warnings", "the context names no such task");
	for (size_t i = 0; f->checks && i < CHECKS; i++)
		for (size_t k = 0; k < f->checks->check[i].findings.n; k++)
			report_add(report, "warnings", f->checks->check[i].findings.at[k]);
	if (f->checks && f->checks->failed)
		report_add(report, "warnings",
			"what was saved does not hold any more; "
			"'scribefs resume --emergency' is what is left to go on with");
}

static void add_steps(struct report *report, const struct resume_facts *f)
{
	const struct context *c = f->saved ? &f->saved->c : NULL;

	report_list(report, "nextSteps");
	for (size_t i = 0; c && i < c->next.n; i++)
		if (context_item_open(&c->next.at[i]))
			report_add(report, "nextSteps", c->next.at[i].text);
}

static void add_task(struct report *report, const struct resume_facts *f)
{
	const struct context *c = &f->saved->c;
	const struct context_item *step = f->from ? context_step(c, f->from) : &c->step;

	if (f->task) {
		report_begin_object(report, "taskContext");
		report_text(report, "task", f->task->text);
		if (f->task->id)
			report_text(report, "id", f->task->id);
		if (f->task->status)
			report_text(report, "status", f->task->status);
		if (c->phase || c->project_phase)
			report_text(report, "phase", c->phase ? c->phase : c->project_phase);
		report_list(report, "dependencies");
		for (size_t i = 0; i < f->task->needs.n; i++)
			report_add(report, "dependencies", f->task->needs.at[i]);
		report_end_item(report);
	}
	if (step && step->text)
		report_text(report, "currentStep", step->text);
	if (c->progress)
		report_amount(report, "progress", c->progress);
	report_list(report, "nextActions");
	each_next(f, add_next, report);
}

int resume_print_json(const struct resume_facts *f, bool *ret_failed)
{
	_cleanup_(report_freep) struct report *report = report_new();
	bool failed = !f->saved && f->messages == 0;
	bool partial = !f->saved || f->saved->broken.n || f->checks->failed || (f->wanted_task && !f->task);

	if (!report)
		return -ENOMEM;
	report_text(report, "status", failed ? "failed" : partial ? "partial" : "success");
	report_text(report, "session", f->found->past.path);
	if (f->found->past.snapshot[0])
		report_text(report, "snapshot", f->found->past.snapshot);
	report_text(report, "session_id", f->session_id);
	report_text(report, "title", f->title);
	report_text(report, "last_activity", f->activity);
	report_text(report, "mode", f->mode);
	add_summary(report, f);
	add_steps(report, f);
	add_warnings(report, f);
	if (f->saved)
		add_task(report, f);
	*ret_failed = failed;
	return report_print(report, true);
}
