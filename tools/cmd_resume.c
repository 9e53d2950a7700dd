/* `scribefs resume`: what the next agent needs to go on with a session, as exports/ has it. */
#include "fs/session/timestamp.h"
#include "kv/cleanup.h"
#include "kv/log.h"
#include "tools/options.h"
#include "tools/report.h"
#include "tools/resume_report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QUICK_SECONDS (24 * 3600) /* a last message that is younger wants no whole history */

struct resume_options {
	const struct command *self;
	bool last, quick, full, emergency, json;
	const char *task, *step;
	char error[1024]; /* the last that was logged */
};

static const char *mode_of(const struct resume_options *o, const char *activity)
{
	struct timespec then, now;

	if (o->quick || o->full || o->emergency)
		return o->quick ? "quick" : o->full ? "full" : "emergency";
	clock_gettime(CLOCK_REALTIME, &now);
	if (timestamp_parse(activity, strlen(activity), &then) < 0)
		return "full";
	return now.tv_sec - then.tv_sec < QUICK_SECONDS ? "quick" : "full";
}

static int copy_out(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[64 << 10];
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, part, sizeof part)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && fwrite(part, 1, (size_t)n, stdout) != (size_t)n)
			return 0; /* main() tells that standard output failed */
	}
	return 0;
}

static int print_document(const struct resume_facts *f)
{
	const char *suffix = strcmp(f->mode, "quick") == 0 ? "" : f->mode;
	char path[PATH_MAX + 32];

	snprintf(path, sizeof path, "%s/resume%s%s.md", f->found->exports, *suffix ? "-" : "", suffix);
	int r = copy_out(path);
	if (r == -EACCES)
		log_error("%s: you may not read all that its resume is made of", f->found->past.path);
	else if (r == -ENOENT)
		log_error("%s has no documents: it was moved to the trash, or is no more", f->found->past.path);
	else if (r < 0)
		log_error("cannot read %s: %s", path, strerror(-r));
	return r;
}

static int print_all(const struct resume_options *o, const struct resume_facts *f)
{
	if (f->found->chosen) /* nobody knows yet which one it is */
		log_info("%s%s%s", f->found->past.path, f->found->past.snapshot[0] ? "@" : "", f->found->past.snapshot);
	int r = print_document(f);
	if (r < 0)
		return r;
	if (f->checks && strcmp(f->mode, "full") == 0)
		resume_print_files(f->checks);
	if (f->saved && (o->task || f->from))
		resume_print_task(f);
	if (f->checks && f->checks->failed && strcmp(f->mode, "emergency") != 0)
		log_warning("what was saved does not hold any more ('scribefs context check' tells what); "
			    "'--emergency' is what is left to go on with");
	return 0;
}

/* The task and the step that were asked for, or are being worked on. */
static int choose(const struct resume_options *o, struct resume_facts *f)
{
	const char *step = o->step ? o->step : f->found->step[0] ? f->found->step : NULL;

	f->wanted_task = o->task;
	if (!f->saved) {
		if (!o->task && !step)
			return 0;
		log_error("%s has no " CONTEXT_NAME ", which would name its tasks and steps", f->found->past.path);
		return -ENOENT;
	}
	if (o->task)
		f->task = resume_find_task(&f->saved->c, o->task);
	else if (f->saved->c.task.text)
		f->task = &f->saved->c.task;
	if (o->task && !f->task && !o->json) {
		log_error("the context of %s names no task '%s'", f->found->past.path, o->task);
		return -ENOENT;
	}
	if (step && !context_find_step(&f->saved->c, step, &f->from)) {
		log_error("the context of %s has no step '%s'", f->found->past.path, step);
		return -ENOENT;
	}
	return 0;
}

/* A program that asked for JSON gets some. */
static int failed(const struct resume_options *o)
{
	if (o->json)
		report_failure(o->error);
	return STATUS_FAILED;
}

static int resume(const struct resume_options *o, const struct found_session *found)
{
	struct resume_facts f = {.found = found};
	struct saved_context saved = {0};
	_cleanup_(checks_release) struct checks checks = {0};
	char messages[24];
	bool nothing = false;

	find_attribute(found->past.shown, "title", f.title, sizeof f.title);
	find_attribute(found->past.shown, "last_activity", f.activity, sizeof f.activity);
	find_attribute(found->past.shown, "session_id", f.session_id, sizeof f.session_id);
	find_attribute(found->past.shown, "message_count", messages, sizeof messages);
	if (options_number(messages, UINT32_MAX, &f.messages) < 0)
		f.messages = 0;
	f.mode = mode_of(o, f.activity);
	int r = find_context(found, &saved);
	if (r == 0) {
		f.saved = &saved;
		f.checks = &checks;
		r = checks_run(&saved, NULL, &checks);
		if (r < 0)
			log_error("cannot check the context: %s", strerror(-r));
	}
	if (r >= 0)
		r = choose(o, &f);
	if (r == 0)
		r = o->json ? resume_print_json(&f, &nothing) : print_all(o, &f);
	context_release(&saved.c);
	if (r < 0)
		return failed(o);
	return nothing ? STATUS_FAILED : STATUS_DONE;
}

static int run_resume(const struct command *self, int argc, char **argv)
{
	struct resume_options o = {.self = self};
	const struct option_spec specs[] = {
		{"last", 0, OPTION_FLAG, &o.last},
		{"quick", 0, OPTION_FLAG, &o.quick},
		{"full", 0, OPTION_FLAG, &o.full},
		{"emergency", 0, OPTION_FLAG, &o.emergency},
		{"task", 0, OPTION_TEXT, &o.task},
		{"from-step", 0, OPTION_TEXT, &o.step},
		{"json", 0, OPTION_FLAG, &o.json},
		{0},
	};
	struct found_session found;
	int n;
	int r = options_parse(self, argc, argv, specs, 0, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (o.quick + o.full + o.emergency > 1) {
		options_wrong(self, "one of --quick, --full and --emergency");
		return STATUS_USAGE;
	}
	log_keep(o.error, sizeof o.error);
	if (find_session(n ? argv[0] : NULL, &found) < 0)
		return failed(&o);
	if (o.last && !found.chosen) {
		options_wrong(self, "--last goes with no SESSION");
		return STATUS_USAGE;
	}
	return resume(&o, &found);
}

const struct command cmd_resume = {
	.name = "resume",
	.usage = "[SESSION|--last] [--quick|--full|--emergency] [--task T] [--from-step S] [--json]",
	.summary = "print what the next agent needs to go on with a session",
	.help = "SESSION is the path of a session or of something in it, in users/, views/ or exports/, or as in\n"
		"sessions.json; PATH@SNAPSHOT; the name of a session; a session_id; a recovery id; or\n"
		"CONTINUATION-YYMMDD-NNN-STEP: SESSION-YYMMDD-NNN when STEP was its current step.\n"
		"A mountpoint, a user or a workflow, or nothing, is the newest session in there, those that were\n"
		"interrupted first. Without --quick, --full or --emergency it is quick where the last message is less\n"
		"than 24 hours old, else full.\n\n"
		"Options:\n"
		"  --last                  the newest session, as without SESSION\n"
		"  --quick                 task, state of the project, decisions, the last messages\n"
		"  --full                  also all messages, and which files have changed since\n"
		"  --emergency             the same in 2,000 characters\n"
		"  --task T                what is known of the task T, by its id or text\n"
		"  --from-step S           the steps from S on, by its id, text or place\n"
		"  --json                  print status, summary, next steps and warnings as JSON\n",
	.run = run_resume,
};
