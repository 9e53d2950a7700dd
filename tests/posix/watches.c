/*
 * watches.c: what watchers are told of what is done through the mount (inotify, fanotify, dnotify), and leases.
 */
#include "suite.h"

#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

/* The next event's mask, and name; 0 if there is none. */
static uint32_t next(int fd, char name[100], uint32_t *ret_cookie)
{
	static char events[65536];
	static long have, at;
	if (at >= have) {
		if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 200) <= 0)
			return 0;
		have = MUST(read(fd, events, sizeof events));
		at = 0;
	}
	struct inotify_event *e = (struct inotify_event *)(void *)(events + at);
	at += (long)(sizeof *e + e->len);
	snprintf(name, 100, "%.90s", e->len ? e->name : "");
	*ret_cookie = e->cookie;
	return e->mask;
}

static void expect(int fd, uint32_t mask, const char *name)
{
	char got[100] = "";
	uint32_t cookie, is = next(fd, got, &cookie);
	WANT_THAT((is & ~(uint32_t)IN_ISDIR) == mask && strcmp(got, name) == 0, "event %#x of %s, not %#x of %s", is,
		got, mask, name);
}

static void inotify_events(void)
{
	char name[100];
	uint32_t from, to;
	int fd = MUST(inotify_init1(IN_NONBLOCK));
	MUST(mkdir("d", 0755));
	MUST(inotify_add_watch(fd, "d", IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE)));
	int f = MUST(open("d/f", O_CREAT | O_WRONLY, 0644));
	expect(fd, IN_CREATE, "f");
	MUST(write(f, "x", 1));
	expect(fd, IN_MODIFY, "f");
	close(f);
	expect(fd, IN_CLOSE_WRITE, "f");
	MUST(chmod("d/f", 0600));
	expect(fd, IN_ATTRIB, "f");
	MUST(truncate("d/f", 0));
	expect(fd, IN_MODIFY, "f");
	MUST(utimensat(AT_FDCWD, "d/f", NULL, 0));
	expect(fd, IN_ATTRIB, "f");
	MUST(link("d/f", "d/g"));
	expect(fd, IN_CREATE, "g");
	MUST(mkdir("d/sub", 0755));
	expect(fd, IN_CREATE, "sub");
	MUST(rename("d/f", "d/h"));
	WANT_NUM(IN_MOVED_FROM, next(fd, name, &from));
	WANT_NUM(IN_MOVED_TO, next(fd, name, &to));
	WANT_TRUE(from == to && from != 0);
	MUST(unlink("d/g"));
	expect(fd, IN_DELETE, "g");
	MUST(rmdir("d/sub"));
	expect(fd, IN_DELETE, "sub");
	MUST(rename("d", "e"));
	expect(fd, IN_MOVE_SELF, "");
	int watch = MUST(inotify_add_watch(fd, "e/h", IN_DELETE_SELF | IN_ATTRIB));
	MUST(unlink("e/h"));
	/* The directory's watch and the file's: in which order is the kernel's affair. */
	uint32_t all = 0, one;
	while ((one = next(fd, name, &from)))
		all |= one;
	WANT_NUM(IN_ATTRIB | IN_DELETE | IN_DELETE_SELF | IN_IGNORED, all);
	WANT(EINVAL, inotify_rm_watch(fd, watch));
	WANT(ENOENT, inotify_add_watch(fd, "nothing", IN_CREATE));
	close(fd);
}

static volatile sig_atomic_t told;
static void tell(int sig)
{
	(void)sig;
	told++;
}

static void dnotify_signals(void)
{
	signal(SIGUSR1, tell);
	MUST(mkdir("d", 0755));
	int fd = MUST(open("d", O_RDONLY));
	MUST(fcntl(fd, F_SETSIG, SIGUSR1));
	if (fcntl(fd, F_NOTIFY, DN_CREATE | DN_DELETE | DN_RENAME | DN_MODIFY | DN_ATTRIB | DN_MULTISHOT) < 0)
		return; /* the kernel has none */
	put("d/f", "x");
	WANT_TRUE(told > 0);
	told = 0;
	MUST(chmod("d/f", 0600));
	WANT_NUM(1, told);
	MUST(rename("d/f", "d/g"));
	WANT_NUM(2, told);
	MUST(unlink("d/g"));
	WANT_NUM(3, told);
}

static void fanotify_events(void)
{
	int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY);
	if (fd < 0)
		return; /* the kernel has none */
	static struct fanotify_event_metadata events[100];
	put("f", "x");
	MUST(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ACCESS, AT_FDCWD, "f"));
	put("f", "y");
	content("f");
	uint64_t all = 0;
	long n = MUST(read(fd, events, sizeof events));
	for (struct fanotify_event_metadata *e = events; FAN_EVENT_OK(e, n); e = FAN_EVENT_NEXT(e, n)) {
		struct stat st;
		all |= e->mask;
		MUST(fstat(e->fd, &st));
		WANT_NUM(look("f").st_ino, st.st_ino);
		WANT_NUM(getpid(), e->pid);
		close(e->fd);
	}
	WANT_NUM(FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ACCESS, all);
	MUST(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, "."));
	put("g", "x");
	WANT_TRUE(read(fd, events, sizeof events) > 0);
	close(fd);
}

/* A lease is broken by who opens the file otherwise: its holder is told and the opener waits, or not. */
static void leases(void)
{
	signal(SIGIO, tell);
	put("f", "x");
	int fd = MUST(open("f", O_RDONLY));
	long r = CALL(fcntl(fd, F_SETLEASE, F_RDLCK));
	WANT_OP(0, r, "a lease for reading");
	WANT_NUM(F_RDLCK, fcntl(fd, F_GETLEASE));
	told = 0;
	WANT_TRUE(open("f", O_RDONLY) >= 0);
	WANT_NUM(0, told);
	WANT(EWOULDBLOCK, open("f", O_WRONLY | O_NONBLOCK));
	WANT_NUM(1, told);
	MUST(fcntl(fd, F_SETLEASE, F_UNLCK));
	WANT_NUM(F_UNLCK, fcntl(fd, F_GETLEASE));
	int w = MUST(open("f", O_WRONLY | O_NONBLOCK));
	WANT(EAGAIN, fcntl(fd, F_SETLEASE, F_RDLCK)); /* somebody writes */
	WANT(EAGAIN, fcntl(w, F_SETLEASE, F_RDLCK));
	WANT(EINVAL, fcntl(fd, F_SETLEASE, 77));
	int dir = MUST(open(".", O_RDONLY));
	r = CALL(fcntl(dir, F_SETLEASE, F_RDLCK));
	WANT_THAT(r == 0 || r == -EINVAL || r == -ENOTDIR, "a directory's lease: %ld", r);
	put("g", "x");
	if (as(ANN, 0)) {
		int other = MUST(open("g", O_RDONLY));
		WANT(EACCES, fcntl(other, F_SETLEASE, F_RDLCK)); /* the owner's alone */
		done();
	}
}

const struct posix_case watch_cases[] = {
	{"watch_inotify", inotify_events},
	{"watch_dnotify", dnotify_signals},
	{"watch_fanotify", fanotify_events, .root = true},
	{"watch_leases", leases},
	{0},
};
