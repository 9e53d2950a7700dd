/*
 * daemon.h: the process that serves: fork and hand-over to the parent, limits, signals, systemd's
 * notify socket. Internal.
 */
#ifndef SCRIBEFS_FS_FUSE_DAEMON_H
#define SCRIBEFS_FS_FUSE_DAEMON_H

#include "fs/fuse/server.h"

/*
 * Daemon mode. Returns -1 in the child, whose end of the pipe goes to @ret_fd. In the parent it
 * returns when the child is ready (0) or has given up (1), as its exit status.
 */
int daemon_fork(int *ret_fd);
/* For the rest of the process' life: no core dumps, files of 0600, many descriptors, no SIGPIPE. */
void daemon_harden(void);
/*
 * The mount serves: leaves the terminal and lets the parent go (daemon mode), tells systemd. Called
 * once, from whichever thread answers INIT.
 */
void daemon_ready(struct server *s);
/* "STOPPING=1" and the like, to NOTIFY_SOCKET; nothing without one. */
void daemon_tell(const char *state);

/*
 * SIGTERM, SIGINT and SIGHUP end the session's loop, from a thread that waits for them. To be blocked
 * before any other thread is started.
 */
struct signals {
	struct server *server;
	pthread_t thread, loop;
	_Atomic bool over; /* the loop has ended */
};
void signals_block(void);
/* Called by the thread that runs the loop. 0 or -errno. */
int signals_start(struct signals *g, struct server *s);
void signals_stop(struct signals *g);

#endif
