/*
 * mount.h: serves a store at a mountpoint until it is unmounted. The daemon's one entry point.
 *
 * The only folder that includes libfuse. Handlers decode, call one function of fs/session, fs/views or
 * fs/core, and reply exactly once; a sign flip and -EBADMSG to EIO happen in reply.c and nowhere else.
 */
#ifndef SCRIBEFS_FS_FUSE_MOUNT_H
#define SCRIBEFS_FS_FUSE_MOUNT_H

#include "kv/kv.h"
#include "kv/keyring.h"

#define MOUNT_BACKUP_DIRS 8

struct mount_options {
	const char *store, *mountpoint;
	bool read_only, allow_other, allow_root, sync, foreground;
	bool nosuid, nodev, noexec, noatime; /* handed to the kernel; atime is also core's */
	int log_level;			     /* enum log_level */
	const char *log_target; /* "syslog", "stderr"; NULL: stderr in the foreground, else syslog */
	size_t cache_bytes;		     /* 0: kv's default */
	size_t names;			     /* that the kernel is to know at most; 0: notify.c's default */
	const char *backup_dirs[MOUNT_BACKUP_DIRS]; /* where backups go as well; made where missing */
	unsigned backup_dirs_n;
	const char *fsname;		     /* what mount(8) shows; NULL: the store's path */
	const char *seen_dir;		     /* as kv_options have it */
	bool watched; /* watch.h: the program answers to WATCH_NAME */
	bool accept_older;
};

/*
 * Checks the mountpoint, opens the store with @unlock (after the fork in daemon mode: the store's lock
 * is the daemon's), mounts and serves. In daemon mode the parent returns 0 when the mount serves, or 1
 * after the daemon's one line on standard error; in the foreground it returns at unmount or
 * SIGTERM/SIGINT. NOTIFY_SOCKET is told READY=1 (systemd). The exit status: 0, or 1 after one line on
 * standard error. The daemon's own process ends in here.
 *
 * A mount of ours at the mountpoint whose daemon has died is detached first. The secret's bytes, which
 * must be writable, are wiped in the process that serves as soon as the store is open.
 */
int mount_run(const struct mount_options *options, const struct kv_unlock *unlock);

/*
 * All that can be wrong without the secret, for who is going to ask somebody for it: 0, or 1 after one
 * line on standard error. mount_run() looks again.
 */
int mount_check(const struct mount_options *options);

#endif
