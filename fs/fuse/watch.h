/*
 * watch.h: a process that sees to it that a mount does not hang when its daemon was killed. Used by fs/fuse and by
 * tools (watch_main()); includes no libfuse.
 *
 * A thread that tells the kernel of a changed name (notify.c) may wait there for a directory's lock, which somebody has
 * who waits for the daemon. Killed at that moment the process cannot end: the thread heeds no signal, so the connection
 * stays open, and whoever uses the mount waits for ever. Aborting the connection frees them all.
 */
#ifndef SCRIBEFS_FS_FUSE_WATCH_H
#define SCRIBEFS_FS_FUSE_WATCH_H

/* The name that the process is run under, instead of a verb's program. */
#define WATCH_NAME "scribefs-watch"

/*
 * Starts it for the mount at the resolved path @point, from the thread whose end is that of the daemon. It runs this
 * program anew, so that it has none of our memory, and ends when the daemon does. A failure is logged: the mount works
 * without.
 */
void watch_start(const char *point);
/* That process: @argv is WATCH_NAME, the daemon's process id, the mountpoint. Its exit status. */
int watch_main(int argc, char **argv);

#endif
