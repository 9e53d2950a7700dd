/* `scribefs backup`: complete copies of a store that share what they have in common. */
#include "fs/fuse/explain.h"
#include "fs/fuse/hostpath.h"
#include "fs/session/when.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/backup_place.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/report.h"
#include "tools/state_folder.h"
#include "tools/store_error.h"
#include "tools/unlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define KEEP_DEFAULT 7

struct backup_options {
	const struct command *self;
	const char *action, *at, *to, *keep;
	bool json, dry_run;
	struct unlock_options unlock;
	char **arg; /* after the action */
	int args;
	struct backup_place place;
};

static void time_text(int64_t seconds, char ret_text[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;
	strftime(ret_text, 32, "%Y-%m-%d %H:%M:%SZ", gmtime_r(&t, &tm));
}

static void size_text(uint64_t bytes, char ret_text[32])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes;
	size_t u = 0;
	for (; value >= 1024 && u < 4; u++)
		value /= 1024;
	snprintf(ret_text, 32, u ? "%.1f %s" : "%.0f %s", value, units[u]);
}

/* What went wrong with the backup @name of @folder. STATUS_FAILED. */
static int failed(const char *folder, const char *name, int error)
{
	switch (error) {
	case -EEXIST:
		log_error("there is a backup '%s' already in %s", name, folder);
		break;
	case -ENOENT:
		log_error("there is no backup '%s' in %s; 'scribefs backup list' tells which there are", name, folder);
		break;
	case -EINVAL:
		log_error("'%s' cannot be a backup's name: no dot in front, no slash, at most %d bytes", name,
			BACKUP_NAME_MAX);
		break;
	case -EBUSY:
		log_error("another process is at work on the backups in %s; try again later", folder);
		break;
	case -EXDEV:
		log_error("%s holds backups of another store; choose another folder with --to", folder);
		break;
	case -EAGAIN:
		log_error("backup '%s' in %s is half-made; 'scribefs backup drop' removes it", name, folder);
		break;
	case -EBADMSG:
		log_error("backup '%s' in %s is damaged; try an earlier one", name, folder);
		break;
	case -ENOSPC:
		log_error("there is no room for backup '%s' in %s", name, folder);
		break;
	default:
		log_error("backup '%s' in %s: %s", name, folder, strerror(-error));
	}
	return STATUS_FAILED;
}

/* ---- create ---------------------------------------------------------------------------------- */

static int verify_one(const char *folder, const char *name, const struct backup_check *with, bool quiet);

static int create_in(struct kv *kv, const char *folder, const char *name)
{
	struct progress progress;
	progress_begin(&progress, name);
	struct backup_watch watch = {.progress = progress_show, .arg = &progress};
	int r;
	do
		r = backup_create(kv, folder, name, &watch);
	while (backup_place_busy(folder, r));
	progress_end(&progress);
	if (r < 0)
		return failed(folder, name, r);
	int status = verify_one(folder, name, &(struct backup_check){.kv = kv}, true);
	if (status == STATUS_DONE)
		printf("%s/%s\n", folder, name);
	return status;
}

static int open_store(struct backup_options *o, struct kv **ret_kv)
{
	struct keyring_info info;
	_cleanup_unlock_ struct unlock unlock = {0};
	if (store_read_info(o->place.store, &info) < 0)
		return STATUS_FAILED;
	int r = unlock_get(o->self, &o->unlock, o->place.store, &info, &unlock);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	/* An older copy in the store's place must not become its newest backup. */
	char seen[PATH_MAX];
	struct kv_older older;
	const struct kv_options options = {.seen_dir = state_folder("seen", seen), .older = &older};
	r = kv_open(o->place.store, &unlock.kv, &options, ret_kv);
	if (r == -ESTALE) {
		explain_older(o->place.store, &older);
		return STATUS_FAILED;
	}
	return r < 0 ? store_failed(o->place.store, unlock.kv.type, r) : STATUS_DONE;
}

/* The folder of --to, absolute, remembered as one of the store's. 0 or the status. */
static int add_folder(struct backup_options *o)
{
	char path[PATH_MAX];
	int r = hostpath_resolve(o->to, path);
	if (r == -EPERM) {
		log_error(HOSTPATH_FOREIGN, path);
		return STATUS_FAILED;
	}
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_error("cannot make %s: %m", o->to);
		return STATUS_FAILED;
	}
	if (r == 0)
		r = backup_folder_add(o->place.store, path);
	if (r == 0) {
		backup_folders_free(o->place.folders, o->place.n);
		o->place.folders = calloc(1, sizeof *o->place.folders);
		o->place.n = 0;
		if (!o->place.folders || !(o->place.folders[0] = strdup(path)))
			r = -ENOMEM;
		else
			o->place.n = 1;
	}
	if (r < 0)
		log_error("cannot use %s for backups: %s", o->to, strerror(-r));
	return r < 0 ? STATUS_FAILED : STATUS_DONE;
}

static int create_through_mount(const struct backup_options *o, const char *name)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/backups/%s", o->place.mount, name) < 0)
		return failed(o->place.mount, name, -ENOMEM);
	int r = -EBUSY;
	for (int tries = 0; r == -EBUSY && tries < 10; tries++) {
		r = mkdir(path, 0700) < 0 ? -errno : 0;
		for (size_t i = 0; i < o->place.n; i++)
			backup_place_busy(o->place.folders[i], r);
	}
	if (r < 0)
		return failed(o->place.mount, name, r);
	printf("%s\n", path);
	return STATUS_DONE;
}

static int backup_make(struct backup_options *o)
{
	char now[32];
	time_t t = time(NULL);
	struct tm tm;
	strftime(now, sizeof now, "%Y-%m-%dT%H-%M-%SZ", gmtime_r(&t, &tm));
	const char *name = o->args > 1 ? o->arg[1] : now;
	if (!o->place.store[0]) {
		log_error("%s is no store; 'backup create' makes one of a store or a mount", o->arg[0]);
		return STATUS_FAILED;
	}
	if (!backup_name_valid(name))
		return failed(o->place.folders[0], name, -EINVAL);
	if (o->to && o->place.mount[0]) {
		log_error("a mounted store makes its backups where -o backup_dir= says; unmount it, or leave --to out");
		return STATUS_FAILED;
	}
	int status = o->to ? add_folder(o) : STATUS_DONE;
	if (status)
		return status;
	if (o->place.mount[0])
		return create_through_mount(o, name);
	struct kv *kv = NULL;
	status = open_store(o, &kv);
	for (size_t i = 0; kv && i < o->place.n; i++) {
		int one = create_in(kv, o->place.folders[i], name);
		status = status ? status : one;
	}
	if (kv)
		kv_close(kv);
	return status;
}

/* ---- list ------------------------------------------------------------------------------------ */

static const char *state_name(const struct backup_info *info)
{
	switch (info->state) {
	case BACKUP_HALF_MADE:
		return "half-made";
	case BACKUP_DAMAGED:
		return "damaged";
	case BACKUP_COMPLETE:
		return info->verified ? "verified" : "complete";
	}
	return "unknown";
}

static int list_json(const struct backup_found *list, size_t n)
{
	_cleanup_(report_freep) struct report *report = report_new();
	for (size_t i = 0; report && i < n; i++) {
		const struct backup_info *b = &list[i].info;
		report_begin_item(report, "backups");
		report_text(report, "name", b->name);
		report_text(report, "folder", list[i].folder);
		report_text(report, "state", state_name(b));
		report_time(report, "made", b->made);
		if (b->verified)
			report_time(report, "verified", b->verified);
		report_number(report, "sequence", (int64_t)b->sequence);
		report_number(report, "bytes", (int64_t)b->bytes);
		report_number(report, "own_bytes", (int64_t)b->own);
		report_end_item(report);
	}
	if (!report || report_print(report, true) < 0) {
		log_error("out of memory");
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

static int backup_show(struct backup_options *o)
{
	_cleanup_free_ struct backup_found *list = NULL;
	size_t n;
	if (backup_place_list(&o->place, &list, &n) < 0)
		return STATUS_FAILED;
	if (o->json)
		return list_json(list, n);
	for (size_t i = 0; i < n; i++) {
		const struct backup_info *b = &list[i].info;
		char made[32], size[32], own[32];
		time_text(b->made, made);
		size_text(b->bytes, size);
		size_text(b->own, own);
		printf("%s  %-9s  %10s  %10s  %s%s%s\n", made, state_name(b), size, own,
			o->place.n > 1 ? list[i].folder : "", o->place.n > 1 ? "/" : "", b->name);
	}
	return STATUS_DONE;
}

/* ---- verify ---------------------------------------------------------------------------------- */

static int verify_one(const char *folder, const char *name, const struct backup_check *with, bool quiet)
{
	struct backup_report report;
	struct progress progress;
	progress_begin(&progress, name);
	struct backup_watch watch = {.progress = progress_show, .arg = &progress};
	int r;
	do
		r = backup_verify(folder, name, with, &watch, &report);
	while (backup_place_busy(folder, r));
	progress_end(&progress);
	if (r == -EKEYREJECTED)
		return store_failed(folder, with->unlock ? with->unlock->type : 0, r);
	if (r < 0)
		return failed(folder, name, r);
	if (report.bad > report.mended) {
		log_error("%s/%s is damaged: %u of %u files (%s%s) are not what they were, and nothing has them; "
			  "%u other backups share them",
			folder, name, report.bad - report.mended, report.files, report.first_bad,
			report.bad > 1 ? ", …" : "", report.others);
		return STATUS_FAILED;
	}
	if (report.mended)
		printf("%s: %u of %u files were damaged (%s%s) and are mended from other copies\n", name, report.mended,
			report.files, report.first_bad, report.mended > 1 ? ", …" : "");
	else if (!quiet)
		printf("%s: %u files are as they were written%s\n", name, report.files,
			with->kv || with->unlock ? ", authentic" : "");
	return STATUS_DONE;
}

static bool secret_given(const struct unlock_options *u)
{
	return u->passphrase_file || u->passphrase_command || u->key_file || u->recovery_key_file || u->recovery_key;
}

static bool name_wanted(const struct backup_options *o, const char *name)
{
	for (int i = 1; i < o->args; i++)
		if (!strcmp(o->arg[i], name))
			return true;
	return o->args == 1;
}

/* Every name that was given must be there. */
static int names_known(const struct backup_options *o, const struct backup_found *list, size_t n)
{
	for (int i = 1; i < o->args; i++) {
		size_t k = 0;
		while (k < n && strcmp(list[k].info.name, o->arg[i]) != 0)
			k++;
		if (k == n)
			return failed(o->place.folders[0], o->arg[i], -ENOENT);
	}
	return STATUS_DONE;
}

static int backup_check_all(struct backup_options *o)
{
	_cleanup_free_ struct backup_found *list = NULL;
	_cleanup_unlock_ struct unlock unlock = {0};
	struct backup_check with = {.store = o->place.store[0] ? o->place.store : NULL};
	size_t n;
	if (backup_place_list(&o->place, &list, &n) < 0)
		return STATUS_FAILED;
	int status = names_known(o, list, n);
	if (status)
		return status;
	if (secret_given(&o->unlock)) {
		int r = unlock_get(o->self, &o->unlock, o->arg[0], NULL, &unlock);
		if (r < 0)
			return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
		with.unlock = &unlock.kv;
	}
	for (size_t i = 0; i < n; i++) {
		if (!name_wanted(o, list[i].info.name))
			continue;
		int one = verify_one(list[i].folder, list[i].info.name, &with, false);
		status = status ? status : one;
	}
	return status;
}

/* ---- restore --------------------------------------------------------------------------------- */

static int restore_one(const struct backup_found *b, const char *to)
{
	struct progress progress;
	progress_begin(&progress, b->info.name);
	struct backup_watch watch = {.progress = progress_show, .arg = &progress};
	int r = backup_restore(b->folder, b->info.name, to, &watch);
	progress_end(&progress);
	return r;
}

static int restored(const struct backup_found *b, const char *to, int error)
{
	char made[32];
	if (error == -EEXIST || error == -ENOTEMPTY || error == -ENOTDIR) {
		log_error("%s is there already and not empty; choose another place for the restored store", to);
		return STATUS_FAILED;
	}
	if (error < 0)
		return failed(b->folder, b->info.name, error);
	time_text(b->info.made, made);
	printf("%s is the store as of %s (backup %s); mount it with --accept-older where the lost one was newer\n", to,
		made, b->info.name);
	return STATUS_DONE;
}

static int restore_at(const struct backup_options *o, const struct backup_found *list, size_t n, const char *to)
{
	struct timespec at, now;
	bool tried = false;
	clock_gettime(CLOCK_REALTIME, &now);
	if (when_parse(o->at, &now, &at) < 0) {
		options_wrong(o->self, "--at takes a time such as 2026-11-21T10:30:00Z, 10min or yesterday, not '%s'",
			o->at);
		return STATUS_USAGE;
	}
	for (size_t i = n; i-- > 0;) {
		if (list[i].info.made > at.tv_sec || list[i].info.state == BACKUP_HALF_MADE)
			continue;
		int r = restore_one(&list[i], to);
		if (r != -EBADMSG)
			return restored(&list[i], to, r);
		log_error("backup '%s' is damaged; trying the one before", list[i].info.name);
		tried = true;
	}
	log_error(tried ? "no good backup before %s" : "no backup before %s", o->at);
	return STATUS_FAILED;
}

static int backup_bring_back(struct backup_options *o)
{
	_cleanup_free_ struct backup_found *list = NULL;
	size_t n;
	if (o->args != (o->at ? 2 : 3)) {
		options_wrong(o->self, "'backup restore' takes WHERE NAME NEW_STORE, or WHERE --at TIME NEW_STORE");
		return STATUS_USAGE;
	}
	if (backup_place_list(&o->place, &list, &n) < 0)
		return STATUS_FAILED;
	if (o->at)
		return restore_at(o, list, n, o->arg[1]);
	for (size_t i = n; i-- > 0;)
		if (!strcmp(list[i].info.name, o->arg[1]))
			return restored(&list[i], o->arg[2], restore_one(&list[i], o->arg[2]));
	return failed(o->place.folders[0], o->arg[1], -ENOENT);
}

/* ---- drop and prune -------------------------------------------------------------------------- */

static int drop_one(const struct backup_options *o, const struct backup_found *b)
{
	int r;
	do
		r = o->dry_run ? 0 : backup_drop(b->folder, b->info.name);
	while (backup_place_busy(b->folder, r));
	if (r < 0)
		return failed(b->folder, b->info.name, r);
	printf("%s%s\n", o->dry_run ? "would drop " : "dropped ", b->info.name);
	return STATUS_DONE;
}

static int backup_remove(struct backup_options *o)
{
	_cleanup_free_ struct backup_found *list = NULL;
	size_t n;
	if (o->args < 2) {
		options_wrong(o->self, "'backup drop' takes WHERE NAME …");
		return STATUS_USAGE;
	}
	if (backup_place_list(&o->place, &list, &n) < 0)
		return STATUS_FAILED;
	int status = names_known(o, list, n);
	for (size_t i = 0; status == STATUS_DONE && i < n; i++)
		if (name_wanted(o, list[i].info.name))
			status = drop_one(o, &list[i]);
	return status;
}

static int backup_thin(struct backup_options *o)
{
	uint64_t keep = KEEP_DEFAULT;
	int status = STATUS_DONE;
	if (o->args != 1 || (o->keep && options_number(o->keep, 1000000, &keep) < 0)) {
		options_wrong(o->self, "'backup prune' takes WHERE and --keep NUMBER");
		return STATUS_USAGE;
	}
	for (size_t f = 0; f < o->place.n; f++) {
		_cleanup_free_ struct backup_info *list = NULL;
		size_t n;
		uint64_t kept = 0;
		int r = backup_list(o->place.folders[f], &list, &n);
		if (r < 0)
			return failed(o->place.folders[f], "", r);
		for (size_t i = n; i-- > 0;) {
			struct backup_found b = {.folder = o->place.folders[f], .info = list[i]};
			if (strncmp(list[i].name, BACKUP_AUTO_PREFIX, strlen(BACKUP_AUTO_PREFIX)) != 0 ||
				list[i].state == BACKUP_HALF_MADE ||
				(list[i].state == BACKUP_COMPLETE && kept++ < keep))
				continue;
			int one = drop_one(o, &b);
			status = status ? status : one;
		}
	}
	return status;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct backup_options *o);
} actions[] = {
	{"create", backup_make},
	{"list", backup_show},
	{"verify", backup_check_all},
	{"restore", backup_bring_back},
	{"drop", backup_remove},
	{"prune", backup_thin},
};

static int run_backup(const struct command *self, int argc, char **argv)
{
	struct backup_options o = {.self = self};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &o.json},
		{"at", 0, OPTION_TEXT, &o.at},
		{"to", 0, OPTION_TEXT, &o.to},
		{"keep", 0, OPTION_TEXT, &o.keep},
		{"dry-run", 'n', OPTION_FLAG, &o.dry_run},
		UNLOCK_SPECS(&o.unlock),
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 1000, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	o.arg = argv + 1;
	o.args = n - 1;
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
		if (strcmp(argv[0], actions[i].name))
			continue;
		if (backup_place_find(argv[1], &o.place) < 0)
			return STATUS_FAILED;
		int status = actions[i].run(&o);
		backup_place_release(&o.place);
		return status;
	}
	options_wrong(self, "no 'backup %s'; there are create, list, verify, restore, drop and prune", argv[0]);
	return STATUS_USAGE;
}

const struct command cmd_backup = {
	.name = "backup",
	.usage = "create|list|verify|restore|drop|prune WHERE …",
	.summary = "make and keep complete copies that share what they have in common",
	.help = "WHERE is a store, its mountpoint, or a folder of backups (the store may be lost).\n\n"
		"  scribefs backup create WHERE [NAME] [--to FOLDER] [SECRET]\n"
		"  scribefs backup list WHERE [--json]\n"
		"  scribefs backup verify WHERE [NAME …] [SECRET]\n"
		"  scribefs backup restore WHERE NAME NEW_STORE\n"
		"  scribefs backup restore WHERE --at TIME NEW_STORE\n"
		"  scribefs backup drop WHERE NAME … [--dry-run]\n"
		"  scribefs backup prune WHERE [--keep N] [--dry-run]\n\n"
		"A backup is a store that opens by itself, read-only. NAME is the time where none is given. list\n"
		"shows when each was made, its state, its size, and how much of it nothing else has. verify reads\n"
		"everything, and mends from other copies what is damaged; with a secret it also tells whether what\n"
		"the backup says of itself is authentic. restore makes a new store; --at takes the newest good one\n"
		"at or before TIME. prune drops those that the schedule made (auto-…) but the newest N.\n\n"
		"Options:\n"
		"  --to FOLDER             make it there, now and later (else STORE.backups)\n"
		"  --at TIME               2026-11-21T10:30:00Z, 2026-11-21 (its end), yesterday, 10min\n"
		"  --keep N                how many good ones stay (7)\n"
		"  -n, --dry-run           only tell what would be dropped\n"
		"  --json                  print the list as JSON\n" UNLOCK_HELP,
	.run = run_backup,
};
