/*
 * locks.c: record locks of processes and of open files, flock, and leases, between processes.
 */
#include "suite.h"

#include <sys/file.h>

static long set(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	return CALL(fcntl(fd, command, &l));
}

/* Who is in the way: the type, and of which process. */
static short holder(int fd, int command, off_t start, off_t len, struct flock *ret)
{
	*ret = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
	if (fcntl(fd, command, ret) < 0)
		suite_die(__FILE__, __LINE__, "F_GETLK");
	return ret->l_type;
}

static void ranges(void)
{
	static const struct {
		off_t start, len;
		bool overlaps; /* with 100 up to 200 */
	} tried[] = {{0, 100, false}, {0, 101, true}, {99, 1, false}, {100, 1, true}, {150, 10, true}, {199, 1, true},
		{200, 1, false}, {200, 0, false}, {0, 0, true}, {150, 0, true}, {1L << 40, 5, false}};
	static const short types[] = {F_RDLCK, F_WRLCK};
	put("f", "content");
	pid_t parent = getpid();
	for (size_t held = 0; held < 2; held++) {
		int fd = MUST(open("f", O_RDWR));
		WANT(0, set(fd, F_SETLK, types[held], 100, 100));
		for (size_t i = 0; i < COUNT(tried); i++)
			for (size_t t = 0; t < 2; t++)
				if (child()) {
					struct flock l;
					int mine = MUST(open("f", O_RDWR));
					bool blocked = tried[i].overlaps && (held == 1 || t == 1);
					WANT(blocked ? EAGAIN : 0,
						set(mine, F_SETLK, types[t], tried[i].start, tried[i].len));
					if (!blocked)
						WANT(0, set(mine, F_SETLK, F_UNLCK, tried[i].start, tried[i].len));
					short type = holder(mine, F_GETLK, tried[i].start, tried[i].len, &l);
					WANT_NUM(tried[i].overlaps ? types[held] : F_UNLCK, type);
					if (tried[i].overlaps) {
						WANT_NUM(parent, l.l_pid);
						WANT_NUM(100, l.l_start);
						WANT_NUM(100, l.l_len);
					}
					done();
				}
		/* Any close of the file by its owner gives them up. */
		close(MUST(open("f", O_RDONLY)));
		if (child()) {
			int mine = MUST(open("f", O_RDWR));
			WANT(0, set(mine, F_SETLK, F_WRLCK, 0, 0));
			done();
		}
		close(fd);
	}
}

static void errors(void)
{
	put("f", "x");
	int r = MUST(open("f", O_RDONLY)), w = MUST(open("f", O_WRONLY));
	WANT(EBADF, set(r, F_SETLK, F_WRLCK, 0, 1));
	WANT(EBADF, set(w, F_SETLK, F_RDLCK, 0, 1));
	WANT(EINVAL, set(w, F_SETLK, F_WRLCK, -1, 1));
	WANT(EINVAL, set(w, F_SETLK, 77, 0, 1));
	WANT(EBADF, set(-1, F_SETLK, F_WRLCK, 0, 1));
	WANT(EINVAL, flock(r, 77));
	WANT(EBADF, flock(-1, LOCK_SH));
	WANT(0, flock(r, LOCK_EX)); /* Linux: whatever it is open for */
	WANT(EINVAL, fcntl(r, F_OFD_SETLK, &(struct flock){.l_type = F_RDLCK, .l_pid = 1}));
}

/* Splitting, growing and changing the type of one's own. */
static void own_ranges(void)
{
	put("f", "x");
	int fd = MUST(open("f", O_RDWR));
	WANT(0, set(fd, F_SETLK, F_WRLCK, 0, 100));
	WANT(0, set(fd, F_SETLK, F_UNLCK, 40, 20));
	WANT(0, set(fd, F_SETLK, F_RDLCK, 0, 10));
	if (child()) {
		struct flock l;
		int mine = MUST(open("f", O_RDWR));
		WANT_NUM(F_RDLCK, holder(mine, F_GETLK, 0, 5, &l));
		WANT_NUM(F_WRLCK, holder(mine, F_GETLK, 10, 5, &l));
		WANT_NUM(10, l.l_start);
		WANT_NUM(30, l.l_len);
		WANT_NUM(F_UNLCK, holder(mine, F_GETLK, 40, 20, &l));
		WANT(0, set(mine, F_SETLK, F_WRLCK, 40, 20));
		WANT_NUM(F_WRLCK, holder(mine, F_GETLK, 60, 0, &l));
		WANT_NUM(40, l.l_len);
		done();
	}
	if (child()) {
		/* They are no child's, and its end frees its own alone. */
		WANT(EAGAIN, set(fd, F_SETLK, F_WRLCK, 20, 5));
		done();
	}
	if (child()) {
		int mine = MUST(open("f", O_RDWR));
		WANT(EAGAIN, set(mine, F_SETLK, F_WRLCK, 20, 5));
		done();
	}
}

static void of_open_files(void)
{
	put("f", "x");
	int a = MUST(open("f", O_RDWR)), b = MUST(open("f", O_RDWR));
	WANT(0, set(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	WANT(EAGAIN, set(b, F_OFD_SETLK, F_WRLCK, 5, 10));
	WANT(EAGAIN, set(b, F_OFD_SETLK, F_RDLCK, 5, 10));
	WANT(0, set(b, F_OFD_SETLK, F_WRLCK, 10, 10));
	struct flock l;
	WANT_NUM(F_WRLCK, holder(b, F_OFD_GETLK, 0, 5, &l));
	WANT_TRUE(l.l_pid == -1);
	int dup_of_a = MUST(dup(a));
	close(a); /* the open file lives on */
	WANT(EAGAIN, set(b, F_OFD_SETLK, F_WRLCK, 5, 1));
	if (child()) {
		WANT(0, set(dup_of_a, F_OFD_SETLK, F_WRLCK, 0, 10)); /* shared by fork */
		done();
	}
	close(dup_of_a);
	WANT(0, set(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

static void whole_files(void)
{
	put("f", "x");
	MUST(mkdir("d", 0755));
	static const char *const names[] = {"f", "d"};
	for (size_t i = 0; i < COUNT(names); i++) {
		int a = MUST(open(names[i], O_RDONLY)), b = MUST(open(names[i], O_RDONLY));
		WANT(0, flock(a, LOCK_SH));
		WANT(0, flock(b, LOCK_SH | LOCK_NB));
		WANT(EAGAIN, flock(a, LOCK_EX | LOCK_NB));
		WANT(0, flock(b, LOCK_UN));
		WANT(0, flock(a, LOCK_EX | LOCK_NB));
		WANT(EAGAIN, flock(b, LOCK_SH | LOCK_NB));
		if (child()) {
			WANT(0, flock(a, LOCK_EX | LOCK_NB)); /* the same open file */
			int c = MUST(open(names[i], O_RDONLY));
			WANT(EAGAIN, flock(c, LOCK_EX | LOCK_NB));
			done();
		}
		close(a);
		WANT(0, flock(b, LOCK_EX | LOCK_NB));
		close(b);
	}
	/* flock and record locks do not see each other. */
	int a = MUST(open("f", O_RDWR));
	WANT(0, flock(a, LOCK_EX));
	if (child()) {
		int mine = MUST(open("f", O_RDWR));
		WANT(0, set(mine, F_SETLK, F_WRLCK, 0, 0));
		done();
	}
}

/* A wait ends when the other one lets go, also by its death; a circle is told. */
static void waiting(void)
{
	int p[2];
	char c;
	put("f", "x");
	MUST(pipe(p));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		int fd = MUST(open("f", O_RDWR));
		WANT(0, set(fd, F_SETLK, F_WRLCK, 0, 10));
		MUST(write(p[1], "1", 1));
		tick();
		_exit(0);
	}
	MUST(read(p[0], &c, 1));
	int fd = MUST(open("f", O_RDWR));
	WANT(0, set(fd, F_SETLKW, F_WRLCK, 0, 10));
	pid = MUST(fork());
	if (pid == 0) {
		int mine = MUST(open("f", O_RDWR));
		WANT(0, set(mine, F_SETLK, F_WRLCK, 20, 10));
		MUST(write(p[1], "1", 1));
		long r = set(mine, F_SETLKW, F_WRLCK, 0, 10);
		WANT_OP(0, r, "the first to wait");
		_exit(0);
	}
	MUST(read(p[0], &c, 1));
	char path[40], text[100] = "";
	snprintf(path, sizeof path, "/proc/%d/wchan", pid);
	for (int i = 0; i < 200 && !strstr(text, "lock"); i++) {
		tick();
		snprintf(text, sizeof text, "%.90s", content(path));
	}
	WANT(EDEADLK, set(fd, F_SETLKW, F_WRLCK, 20, 10));
	close(fd);
}

const struct posix_case lock_cases[] = {
	{"lock_ranges", ranges},
	{"lock_errors", errors},
	{"lock_own", own_ranges},
	{"lock_open_files", of_open_files},
	{"lock_flock", whole_files},
	{"lock_waiting", waiting},
	{0},
};
