/* `scribefs fsck`: checks a store that nobody has open, and mends it. */
#include "fs/session/check.h"
#include "kv/check.h"
#include "kv/log.h"
#include "tools/fsck_backups.h"
#include "tools/fsck_report.h"
#include "tools/options.h"
#include "tools/store_error.h"
#include "tools/unlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct fsck {
	const char *store, *backup_dir;
	bool repair;
	struct unlock unlock;
	struct session_check *sessions;
	struct check_options options;
	struct fsck_backups backups;
	struct fsck_report report;
	bool rebuild; /* the engine's files need it */
};

/* An error that is of the store's database, and not of the way to it. */
static bool is_engine_damage(int error)
{
	return error == -EBADMSG || error == -EIO;
}

static int could_not(struct fsck *f, int error)
{
	store_failed(f->store, f->unlock.kv.type, error);
	return FSCK_COULD_NOT;
}

/* 1: there is nothing in it yet. */
static int open_store(struct fsck *f, bool repair, struct kv **ret_kv)
{
	const struct kv_options options = {.read_only = !repair, .repair = repair};
	int r = kv_open(f->store, &f->unlock.kv, &options, ret_kv);

	return r == -ENOENT && !repair ? 1 : r;
}

/* One look that changes nothing. 0, or -errno where it could not be done. */
static int look(struct fsck *f)
{
	struct check_result result = {0};
	struct kv_state state;
	struct kv *kv;
	int r = open_store(f, false, &kv);

	if (r > 0)
		return 0;
	if (is_engine_damage(r)) {
		fsck_report_store(&f->report, CHECK_FOUND, "database",
			"the database cannot be opened: files of its own are damaged or missing");
		f->rebuild = true;
		return 0;
	}
	if (r < 0)
		return r;
	kv_get_state(kv, &state);
	if (state.damaged) {
		char text[160];
		snprintf(text, sizeof text, "the log ends at commit %llu; %llu was on the disk",
			(unsigned long long)state.sequence, (unsigned long long)state.expected);
		fsck_report_store(&f->report, CHECK_FOUND, "log", text);
		f->rebuild = true;
	}
	r = core_check(kv, &f->options, &result);
	if (is_engine_damage(r)) {
		fsck_report_store(&f->report, CHECK_FOUND, "database",
			"what the database keeps of itself cannot be read");
		f->rebuild = true;
		r = 0;
	}
	f->rebuild |= result.gaps > 0;
	fsck_report_result(&f->report, &result);
	check_result_release(&result);
	kv_close(kv);
	return r;
}

/* 0; 1: it cannot be done, which was told; -errno. */
static int rebuild(struct fsck *f)
{
	const struct kv_options options = {0};
	struct kv_rebuilt rebuilt;
	char text[200];
	int r = kv_rebuild(f->store, &f->unlock.kv, &options, &rebuilt);

	if (is_engine_damage(r)) {
		if (f->backups.n)
			snprintf(text, sizeof text,
				"nothing of the database can be opened; `scribefs backup restore` makes a store of "
				"one of its %zu backups",
				f->backups.n);
		else
			snprintf(text, sizeof text,
				"nothing of the database can be opened; no snapshot or backup holds it");
		fsck_report_store(&f->report, CHECK_LEFT, "database", text);
		return 1;
	}
	if (r < 0)
		return r;
	snprintf(text, sizeof text,
		"the database was made anew from what can be read of it; the old one is %s/%s",
		f->store, rebuilt.kept);
	fsck_report_store(&f->report, CHECK_MENDED, "database", text);
	if (rebuilt.sequence < rebuilt.expected) {
		snprintf(text, sizeof text, "commits %llu to %llu are lost, in part or whole",
			(unsigned long long)rebuilt.sequence + 1,
			(unsigned long long)rebuilt.expected);
		fsck_report_store(&f->report, CHECK_MENDED, "log", text);
	}
	return 0;
}

static int repair(struct fsck *f)
{
	struct check_result last = {0};
	uint64_t mended;
	struct kv *kv;
	int r = fsck_backups_find(f->store, f->backup_dir, &f->backups), closed;

	if (r == 0 && f->rebuild)
		r = rebuild(f);
	if (r > 0)
		return 0;
	if (r == 0)
		r = open_store(f, true, &kv);
	if (r < 0)
		return r;
	f->backups.like = kv;
	f->options.sources = f->backups.source;
	f->options.n_sources = f->backups.n;
	r = core_check_repair(kv, &f->options, &last, &mended);
	fsck_backups_release(&f->backups);
	check_result_release(&last);
	closed = kv_close(kv);
	return r < 0 ? r : closed;
}

static int check_store(struct fsck *f)
{
	int r = look(f);

	if (r < 0)
		return could_not(f, r);
	if (f->repair && f->report.found) {
		r = repair(f);
		if (r < 0) {
			could_not(f, r);
			log_error("the repair of %s is not complete; run it again", f->store);
			return FSCK_COULD_NOT;
		}
	}
	return fsck_report_end(&f->report, f->store, f->repair);
}

/* What is read here is everybody's text, and keys. */
static void keep_to_ourselves(void)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	umask(0077);
}

static int run_fsck(const struct command *self, int argc, char **argv)
{
	struct unlock_options secrets = {0};
	struct fsck f = {0};
	bool json = false;
	const struct option_spec specs[] = {
		{"repair", 0, OPTION_FLAG, &f.repair},
		{"backup-dir", 0, OPTION_TEXT, &f.backup_dir},
		{"json", 0, OPTION_FLAG, &json},
		UNLOCK_SPECS(&secrets),
		{0},
	};
	struct keyring_info info;
	int n, r = options_parse(self, argc, argv, specs, 1, 1, &n), status = FSCK_COULD_NOT;

	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	f.store = argv[0];
	keep_to_ourselves();
	if (store_read_info(f.store, &info) < 0)
		return FSCK_COULD_NOT;
	r = unlock_get(self, &secrets, f.store, &info, &f.unlock);
	if (r < 0)
		return FSCK_COULD_NOT;
	f.sessions = session_check_new();
	if (f.sessions && fsck_report_init(&f.report, json) == 0) {
		f.options.rules = session_check_rules(f.sessions);
		f.options.sink = fsck_report_sink(&f.report);
		status = check_store(&f);
	} else {
		log_error("out of memory");
	}
	fsck_backups_release(&f.backups);
	fsck_report_release(&f.report);
	session_check_free(f.sessions);
	unlock_release(&f.unlock);
	return status;
}

const struct command cmd_fsck = {
	.name = "fsck",
	.usage = "STORE [--repair] [--backup-dir DIR] [--json] [SECRET]",
	.summary = "check a store that is not mounted, and mend it",
	.help = "Opens every record of the store and compares what they say of each other: names, links,\n"
		"directories, sizes, data, messages and counts, keys. Names what is wrong, by path where it\n"
		"can. Without --repair nothing is changed.\n\n"
		"Options:\n"
		"  --repair                mend what follows from other records, and take what is lost from the\n"
		"                          store's snapshots and backups, the newest that is good; each one that\n"
		"                          was tried in vain is told. What is lost whole, a directory, session,\n"
		"                          workflow or user, comes back with its name. A file that changed since\n"
		"                          becomes what it was then, and what could be read of it goes to\n"
		"                          .lost+found/ of its session, workflow or user, as does what has lost\n"
		"                          its name. damaged.txt there, of the user, lists all of it. An\n"
		"                          interrupted repair is run again.\n"
		"  --backup-dir DIR        look for backups there as well\n"
		"  --json                  print it as JSON\n\n"
		"Exit status: 0 nothing is wrong, 1 everything was mended, 4 something is wrong still, 8 it could\n"
		"not be checked.\n\n" UNLOCK_HELP,
	.run = run_fsck,
};
