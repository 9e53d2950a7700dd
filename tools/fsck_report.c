#include "tools/fsck_report.h"

#include "kv/buf.h"
#include "kv/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const lists[] = {
	[CHECK_FOUND] = "problems", [CHECK_MENDED] = "repairs", [CHECK_LEFT] = "remaining"};
static const char *const prefixes[] = {
	[CHECK_FOUND] = "", [CHECK_MENDED] = "mended: ", [CHECK_LEFT] = "left: "};

int fsck_report_init(struct fsck_report *f, bool json)
{
	*f = (struct fsck_report){.terminal = isatty(STDERR_FILENO)};
	if (!json)
		return 0;
	f->json = report_new();
	return f->json ? 0 : -ENOMEM;
}

void fsck_report_release(struct fsck_report *f)
{
	report_free(f->json);
	f->json = NULL;
}

/* Bytes of the well-formed UTF-8 sequence at @p, whose end is a NUL; 0 where there is none. */
static size_t utf8(const unsigned char *p)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

/* A name may hold anything: what is no text, or would move the cursor, is printed as \xNN. */
static const char *printable(const char *path, struct buf *text)
{
	for (const unsigned char *p = (const unsigned char *)path; *p;) {
		size_t n = utf8(p);
		bool plain = n > 1 || (n == 1 && *p >= ' ' && *p != 0x7f && *p != '\\');
		int r = plain ? buf_append(text, p, n) : buf_printf(text, "\\x%02x", *p);
		if (r < 0)
			return "?";
		p += n ? n : 1;
	}
	return buf_append(text, "", 1) < 0 ? "?" : (const char *)text->data;
}

static void clear_progress(struct fsck_report *f)
{
	if (f->progress_shown)
		fprintf(stderr, "\r\033[K");
	f->progress_shown = false;
}

static void add_item(struct fsck_report *f, const struct check_problem *p, const char *path)
{
	report_begin_item(f->json, lists[p->state]);
	report_text(f->json, "code", p->code);
	report_text(f->json, "path", path);
	report_number(f->json, "user", p->domain);
	report_number(f->json, "container", p->container);
	report_number(f->json, "inode", (int64_t)p->ino);
	report_text(f->json, "text", p->text);
	report_end_item(f->json);
}

static void problem(void *arg, const struct check_problem *p)
{
	struct fsck_report *f = arg;
	uint64_t *count = p->state == CHECK_FOUND ? &f->found
			  : p->state == CHECK_MENDED ? &f->mended
						     : &f->left;
	_cleanup_(buf_release) struct buf text = {0};
	const char *path = printable(p->path, &text);

	clear_progress(f);
	if (!f->json)
		printf("%s%s: %s\n", prefixes[p->state], path, p->text);
	else if (*count < FSCK_LIST_MAX)
		add_item(f, p, path);
	(*count)++;
}

static void tried(void *arg, const struct check_try *t)
{
	struct fsck_report *f = arg;
	_cleanup_(buf_release) struct buf path = {0}, source = {0};
	time_t seconds = (time_t)t->time;
	char when[32];
	struct tm tm;

	clear_progress(f);
	if (!f->json) {
		/* What is taken stands in the line of what it mends. */
		if (t->reason && gmtime_r(&seconds, &tm) && strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm))
			printf("tried: %s: %s, of %s: %s\n", printable(t->path, &path),
				printable(t->source, &source), when, t->reason);
		return;
	}
	if (f->tries++ >= FSCK_LIST_MAX)
		return;
	report_begin_item(f->json, "tries");
	report_text(f->json, "path", printable(t->path, &path));
	report_number(f->json, "inode", (int64_t)t->ino);
	report_text(f->json, "source", printable(t->source, &source));
	report_time(f->json, "time", t->time);
	report_flag(f->json, "taken", !t->reason);
	if (t->reason)
		report_text(f->json, "reason", t->reason);
	report_end_item(f->json);
}

static void progress(void *arg, uint64_t records)
{
	struct fsck_report *f = arg;

	if (!f->terminal)
		return;
	f->progress_shown = true;
	fprintf(stderr, "\r%llu records", (unsigned long long)records);
}

struct check_sink fsck_report_sink(struct fsck_report *f)
{
	return (struct check_sink){.problem = problem, .progress = progress, .tried = tried, .arg = f};
}

void fsck_report_store(struct fsck_report *f, enum check_state state, const char *code, const char *text)
{
	problem(f, &(struct check_problem){
			   .state = state, .code = code, .path = "store", .text = text});
}

void fsck_report_result(struct fsck_report *f, const struct check_result *result)
{
	f->first = (struct check_result){.records = result->records, .inodes = result->inodes,
		.containers = result->containers, .pending = result->pending,
		.unused_keys = result->unused_keys};
}

static int print_json(struct fsck_report *f, const char *store, bool repair, bool clean)
{
	_cleanup_(buf_release) struct buf text = {0};

	report_text(f->json, "store", printable(store, &text));
	report_flag(f->json, "repair", repair);
	report_flag(f->json, "clean", clean);
	report_number(f->json, "found", (int64_t)f->found);
	report_number(f->json, "mended", (int64_t)f->mended);
	report_number(f->json, "left", (int64_t)f->left);
	report_number(f->json, "records", (int64_t)f->first.records);
	report_number(f->json, "inodes", (int64_t)f->first.inodes);
	report_number(f->json, "containers", (int64_t)f->first.containers);
	report_number(f->json, "pending", (int64_t)f->first.pending);
	report_number(f->json, "unused_keys", (int64_t)f->first.unused_keys);
	return report_print(f->json, true);
}

int fsck_report_end(struct fsck_report *f, const char *store, bool repair)
{
	bool clean = repair ? !f->left : !f->found;
	int status = clean ? f->found ? FSCK_MENDED : FSCK_CLEAN : FSCK_LEFT;

	clear_progress(f);
	if (f->json) {
		if (print_json(f, store, repair, clean) == 0)
			return status;
		log_error("out of memory");
		return FSCK_COULD_NOT;
	}
	if (!f->found)
		printf("%s: clean, %llu files and directories, %llu records\n", store,
			(unsigned long long)f->first.inodes, (unsigned long long)f->first.records);
	else if (!repair)
		printf("%s: %llu found; `scribefs fsck --repair` mends what it can\n", store,
			(unsigned long long)f->found);
	else
		printf("%s: %llu found, %llu mended, %llu left%s\n", store,
			(unsigned long long)f->found, (unsigned long long)f->mended,
			(unsigned long long)f->left,
			f->left ? ": no snapshot or backup holds it" : "");
	return status;
}
