#include "tools/backup_status.h"

#include "kv/backup/backup.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct newest {
	const struct backup_info *good, *verified, *damaged; /* the newest of each; NULL: none */
};

static struct newest find_newest(const struct backup_info *list, size_t n)
{
	struct newest found = {0};

	for (size_t i = 0; i < n; i++) { /* oldest first */
		if (list[i].state == BACKUP_DAMAGED)
			found.damaged = &list[i];
		if (list[i].state == BACKUP_COMPLETE)
			found.good = &list[i];
		if (list[i].state == BACKUP_COMPLETE && list[i].verified)
			found.verified = &list[i];
	}
	return found;
}

__attribute__((format(printf, 2, 3))) static void warn(struct report *report, const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report_begin_item(report, "warnings");
	report_text(report, "backup", text);
	report_end_item(report);
}

static bool same_disk(const char *store, const char *folder)
{
	struct stat a, b;
	return stat(store, &a) == 0 && stat(folder, &b) == 0 && a.st_dev == b.st_dev;
}

static void report_folder(struct report *report, const char *folder, const struct newest *n, bool shares)
{
	report_begin_item(report, "backups");
	report_text(report, "folder", folder);
	report_flag(report, "same_disk", shares);
	if (n->good) {
		report_text(report, "newest", n->good->name);
		report_time(report, "made", n->good->made);
		if (n->good->verified)
			report_time(report, "verified", n->good->verified);
	}
	if (n->verified && n->verified != n->good) {
		report_text(report, "newest_verified", n->verified->name);
		report_time(report, "made_then", n->verified->made);
	}
	report_end_item(report);
}

static void warn_of(struct report *report, const char *folder, const struct newest *n, bool shares)
{
	if (!n->good)
		warn(report, "there is no good backup in %s; 'scribefs backup create' makes one", folder);
	else if (!n->good->verified)
		warn(report, "%s in %s was never verified; 'scribefs backup verify' reads it", n->good->name, folder);
	if (n->damaged && (!n->good || n->damaged > n->good)) /* by the list's order */
		warn(report, "%s in %s is damaged", n->damaged->name, folder);
	if (shares && n->good)
		warn(report, "%s is on the store's own disk: that protects against deletion, not against a disk that "
			     "rots or fails",
			folder);
}

void backup_status_report(struct report *report, const char *store)
{
	char **folders;
	size_t n;

	if (backup_is(store))
		return;
	int r = backup_folders(store, &folders, &n);
	if (r < 0) {
		warn(report, "cannot tell where the backups are: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ struct backup_info *list = NULL;
		size_t found;
		r = backup_list(folders[i], &list, &found);
		if (r < 0) {
			warn(report, "cannot read the backups in %s: %s", folders[i], strerror(-r));
			continue;
		}
		struct newest newest = find_newest(list, found);
		bool shares = same_disk(store, folders[i]);
		report_folder(report, folders[i], &newest, shares);
		warn_of(report, folders[i], &newest, shares);
	}
	backup_folders_free(folders, n);
}
