/* `scribefs status`: what can be said of a store without a secret, and of a mount by its daemon. */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/mountinfo.h"
#include "kv/keyring.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/backup_status.h"
#include "tools/options.h"
#include "tools/slots.h"
#include "tools/store_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static const char *cipher_name(enum kv_cipher cipher)
{
	switch (cipher) {
	case KV_CIPHER_XCHACHA20_POLY1305:
		return "xchacha20-poly1305";
	case KV_CIPHER_AES_256_GCM:
		return "aes-256-gcm";
	}
	return "unknown";
}

static void report_store(struct report *report, const char *store, const struct keyring_info *info)
{
	char id[37], point[PATH_MAX];
	struct mountinfo mount;
	slots_id_text(info->id, id);
	report_text(report, "store", store);
	report_text(report, "id", id);
	report_number(report, "format", info->format);
	report_text(report, "cipher", cipher_name(info->cipher));
	int holder = kv_holder(store);
	report_flag(report, "in_use", holder > 0);
	if (holder > 0)
		report_number(report, "process", holder);
	if (mountinfo_resolve(store, point) == 0 && mountinfo_find_store(point, &mount) == 0)
		report_text(report, "mountpoint", mount.point);
	slots_report(report, info);
}

static void report_mount(struct report *report, const struct mountinfo *mount,
	const struct scribefs_status *status)
{
	char id[37];
	slots_id_text(status->store_id, id);
	report_text(report, "mountpoint", mount->point);
	report_text(report, "store", mount->source);
	report_text(report, "id", id);
	report_text(report, "cipher", status->cipher);
	report_text(report, "version", status->version);
	report_number(report, "process", status->pid);
	report_time(report, "started", status->started);
	report_flag(report, "read_only", status->flags & SCRIBEFS_READ_ONLY);
	report_flag(report, "damaged", status->flags & SCRIBEFS_DAMAGED);
	report_flag(report, "unclean", status->flags & SCRIBEFS_UNCLEAN);
	report_flag(report, "mark_lost", status->flags & SCRIBEFS_MARK_LOST);
	report_text(report, "disk", status->flags & SCRIBEFS_DISK_FAILED ? "failed"
				    : status->flags & SCRIBEFS_DISK_FULL ? "full"
									 : "well");
	report_number(report, "bad_records", (int64_t)status->bad_records);
	report_number(report, "sequence", (int64_t)status->sequence);
	report_number(report, "synced", (int64_t)status->synced);
	report_number(report, "inodes", (int64_t)status->inodes);
	report_number(report, "bytes", (int64_t)status->bytes);
	report_number(report, "containers", (int64_t)status->containers);
}

static int print(const struct report *report, bool json)
{
	if (!report || report_print(report, json) < 0) {
		log_error("out of memory");
		return STATUS_FAILED;
	}
	return STATUS_DONE;
}

static int status_of_mount(const char *path, const struct mountinfo *mount, bool json)
{
	struct scribefs_status status;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, SCRIBEFS_IOC_STATUS, &status) < 0) {
		log_error("cannot ask the daemon of %s: %m", mount->point);
		return STATUS_FAILED;
	}
	status.cipher[sizeof status.cipher - 1] = 0;
	status.version[sizeof status.version - 1] = 0;
	_cleanup_(report_freep) struct report *report = report_new();
	if (report)
		report_mount(report, mount, &status);
	if (report)
		backup_status_report(report, mount->source);
	return print(report, json);
}

static int status_of_store(const char *store, bool json)
{
	struct keyring_info info;
	if (store_read_info(store, &info) < 0)
		return STATUS_FAILED;
	_cleanup_(report_freep) struct report *report = report_new();
	if (report)
		report_store(report, store, &info);
	if (report)
		backup_status_report(report, store);
	return print(report, json);
}

static int run_status(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {{"json", 0, OPTION_FLAG, &json}, {0}};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	struct mountinfo mount;
	r = mountinfo_find_above(argv[0], &mount);
	if (r == 0)
		return status_of_mount(argv[0], &mount, json);
	if (r == -ENOTCONN) {
		log_error("the daemon of the mount at %s died; 'scribefs umount %s' detaches it, then "
			  "mount again",
			argv[0], argv[0]);
		return STATUS_FAILED;
	}
	return status_of_store(argv[0], json);
}

const struct command cmd_status = {
	.name = "status",
	.usage = "STORE|MOUNTPOINT [--json]",
	.summary = "tell the state of a store or of a mount",
	.help = "Needs no secret. Of a store: its format, cipher and slots, and who has it open. Of a\n"
		"mount (any path in it): its daemon, commits and counts. Of both: the newest good backup in each\n"
		"folder, when it was made and verified, and a warning where there is none.\n\n"
		"Options:\n"
		"  --json                  print it as JSON\n",
	.run = run_status,
};
