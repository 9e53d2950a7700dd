/* `scribefs mount`: becomes the daemon of a store. */
#include "fs/fuse/mount.h"
#include "fs/fuse/mountinfo.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/mount_options.h"
#include "tools/options.h"
#include "tools/state_folder.h"
#include "tools/store_error.h"
#include "tools/unlock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int serve(const struct command *self, struct mount_options *options,
	const struct unlock_options *unlock_options)
{
	struct keyring_info info;
	struct mountinfo mount;
	char store[PATH_MAX], seen[PATH_MAX];
	/* What can be wrong without the secret comes before somebody types it. */
	if (mount_check(options) || store_read_info(options->store, &info) < 0)
		return STATUS_FAILED;
	/* A store that is held and not served is being closed: mount_run() waits for that. */
	if (mountinfo_resolve(options->store, store) == 0 &&
		mountinfo_find_store(store, &mount) == 0 && kv_holder(store) > 0)
		return store_failed(options->store, 0, -EBUSY);
	_cleanup_unlock_ struct unlock unlock = {0};
	int r = unlock_get(self, unlock_options, options->store, &info, &unlock);
	if (r < 0)
		return r == -EINVAL ? STATUS_USAGE : STATUS_FAILED;
	options->seen_dir = state_folder("seen", seen);
	return mount_run(options, &unlock.kv);
}

static int run_mount(const struct command *self, int argc, char **argv)
{
	_cleanup_buf_ struct buf list = {0};
	struct mount_options options = {.log_level = LOG_LEVEL_INFO};
	struct unlock_options unlock = {0};
	const struct option_spec specs[] = {
		{"foreground", 'f', OPTION_FLAG, &options.foreground},
		{"options", 'o', OPTION_LIST, &list},
		{"accept-older", 0, OPTION_FLAG, &options.accept_older},
		UNLOCK_SPECS(&unlock),
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	if (buf_append(&list, "", 1) < 0) {
		log_error("out of memory");
		return STATUS_FAILED;
	}
	options.store = argv[0];
	options.mountpoint = argv[1];
	options.watched = true;
	if (mount_options_parse(self, (char *)list.data, &options, &unlock) < 0)
		return STATUS_USAGE;
	return serve(self, &options, &unlock);
}

const struct command cmd_mount = {
	.name = "mount",
	.usage = "STORE MOUNTPOINT [-f] [-o OPTIONS] [--accept-older] [SECRET]",
	.summary = "mount the store STORE at the directory MOUNTPOINT",
	.help = "Returns when the mount serves. A mount whose daemon died is detached first.\n\n"
		"Options:\n"
		"  -f, --foreground        stay; tell systemd when it serves; log to standard error\n"
		"  --accept-older          open a store that is older than when it was last seen here\n"
		"  -o, --options OPTIONS   comma separated (\\, is a comma within one):\n"
		"    ro, rw                nothing can be changed; or it can (the default)\n"
		"    allow_other           other users may enter, under the usual permissions\n"
		"    allow_root            root may enter\n"
		"    sync                  close(2) is as good as fsync(2)\n"
		"    cache=SIZE            memory for blocks read from the store: 32M, 1G …\n"
		"    names=N               how many names the kernel keeps at most (250000)\n"
		"    backup_dir=DIR        backups go there as well, now and later (also several times)\n"
		"    log=LEVEL             error, warning, info (the default) or debug\n"
		"    log_to=TARGET         syslog or stderr\n"
		"    nosuid, nodev, noexec, noatime\n"
		"    fsname=NAME           what mount(8) shows instead of the store's path\n"
		"    passphrase_file=F, passphrase_command=C, key_file=F, recovery_key_file=F\n"
		"                          as the options below, for fstab\n"
		"  What mount(8) and fstab pass besides is taken too: defaults, auto, noauto, user,\n"
		"  users, owner, group, _netdev, nofail, dev, suid, exec, atime, async, x-*.\n" UNLOCK_HELP,
	.run = run_mount,
};
