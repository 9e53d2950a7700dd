/*
 * renames.c: every type of thing renamed onto every other, within a directory and between two, with each flag,
 * as root and as an ordinary user; ancestors; several names of one file; what stays as it was on failure.
 */
#include "suite.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/sysmacros.h>

enum kind { NONE, REG, EMPTY, FULL, TO_FILE, TO_DIR, DANGLING, FIFO, SOCKET, DEVICE, KINDS };
static const char *const kind_names[] = {"nothing", "a file", "an empty dir", "a full dir", "a link to a file",
	"a link to a dir", "a dangling link", "a fifo", "a socket", "a device"};

static bool is_dir(enum kind k)
{
	return k == EMPTY || k == FULL;
}

static void make_socket(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	MUST(bind(fd, (struct sockaddr *)&at, sizeof at));
	close(fd);
}

static void make(enum kind k, const char *path)
{
	char inside[100];
	switch (k) {
	case REG:
		put(path, path);
		break;
	case EMPTY:
	case FULL:
		MUST(mkdir(path, 0755));
		snprintf(inside, sizeof inside, "%s/inside", path);
		if (k == FULL)
			put(inside, "x");
		break;
	case TO_FILE:
		MUST(symlink("../file", path));
		break;
	case TO_DIR:
		MUST(symlink("../dir", path));
		break;
	case DANGLING:
		MUST(symlink("nowhere", path));
		break;
	case FIFO:
		MUST(mkfifo(path, 0644));
		break;
	case SOCKET:
		make_socket(path);
		break;
	case DEVICE:
		MUST(mknod(path, S_IFCHR | 0644, makedev(1, 3)));
		break;
	default:
		break;
	}
}

static int expected(enum kind from, enum kind to, unsigned flags)
{
	if (from == NONE)
		return ENOENT;
	if (flags == RENAME_EXCHANGE)
		return to == NONE ? ENOENT : 0;
	if (to == NONE)
		return 0;
	if (flags == RENAME_NOREPLACE)
		return EEXIST;
	if (is_dir(from) && !is_dir(to))
		return ENOTDIR;
	if (!is_dir(from) && is_dir(to))
		return EISDIR;
	return to == FULL ? ENOTEMPTY : 0;
}

struct seen {
	struct stat parent1, parent2, from, to;
};

static struct seen see(const char *from, const char *to, const char *parent2)
{
	return (struct seen){look("one"), look(parent2), look(from), look(to)};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_nlink == b->st_nlink && a->st_mode == b->st_mode &&
	       same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

static void check_done(const char *what, const struct seen *was, const struct seen *is, enum kind from,
	enum kind to, unsigned flags, bool across)
{
	bool exchange = flags == RENAME_EXCHANGE;
	long up1 = 0, up2 = 0;
	WANT_THAT(is->to.st_ino == was->from.st_ino, "%s: the new name is not what was moved", what);
	WANT_THAT(is->from.st_ino == (exchange ? was->to.st_ino : 0), "%s: the old name", what);
	WANT_THAT((is->to.st_mode & S_IFMT) == (was->from.st_mode & S_IFMT), "%s: its type", what);
	WANT_THAT(!same_time(&is->to.st_ctim, &was->from.st_ctim), "%s: ctime of what was moved", what);
	WANT_THAT(!same_time(&is->parent1.st_mtim, &was->parent1.st_mtim), "%s: mtime of the old parent", what);
	WANT_THAT(!same_time(&is->parent2.st_mtim, &was->parent2.st_mtim), "%s: mtime of the new parent", what);
	WANT_THAT(!same_time(&is->parent2.st_ctim, &was->parent2.st_ctim), "%s: ctime of the new parent", what);
	if (across) {
		up1 = (exchange && is_dir(to)) - is_dir(from);
		up2 = is_dir(from) - is_dir(to);
	} else if (!exchange) {
		up1 = up2 = -is_dir(to);
	}
	WANT_THAT((long)is->parent1.st_nlink - (long)was->parent1.st_nlink == up1,
		"%s: the old parent's links: %ld, then %ld", what, (long)was->parent1.st_nlink,
		(long)is->parent1.st_nlink);
	WANT_THAT((long)is->parent2.st_nlink - (long)was->parent2.st_nlink == up2,
		"%s: the new parent's links: %ld, then %ld", what, (long)was->parent2.st_nlink,
		(long)is->parent2.st_nlink);
}

static void check_not_done(const char *what, const struct seen *was, const struct seen *is)
{
	WANT_THAT(unchanged(&was->from, &is->from), "%s: failed and changed the old name", what);
	WANT_THAT(unchanged(&was->to, &is->to), "%s: failed and changed the new name", what);
	WANT_THAT(unchanged(&was->parent1, &is->parent1), "%s: failed and changed the old parent", what);
	WANT_THAT(unchanged(&was->parent2, &is->parent2), "%s: failed and changed the new parent", what);
}

static void rename_one(enum kind from, enum kind to, unsigned flags, bool across)
{
	static unsigned number;
	char dir[20], what[200], inside[40];
	const char *parent2 = across ? "two" : "one", *new = across ? "two/to" : "one/to";
	int fd = -1;
	snprintf(dir, sizeof dir, "%u", number++);
	snprintf(what, sizeof what, "rename %s to %s%s%s", kind_names[from], kind_names[to],
		across ? " elsewhere" : "", flags == RENAME_EXCHANGE ? ", EXCHANGE" : flags ? ", NOREPLACE" : "");
	enter(dir, 0755, geteuid());
	MUST(mkdir("one", 0755));
	MUST(mkdir("two", 0755));
	make(from, "one/from");
	make(to, new);
	if (to == REG)
		fd = MUST(open(new, O_RDWR));
	struct seen was = see("one/from", new, parent2);
	tick();
	int error = expected(from, to, flags);
	long result = CALL(renameat2(AT_FDCWD, "one/from", AT_FDCWD, new, flags));
	struct seen is = see("one/from", new, parent2);
	if (WANT_OP(error, result, "%s", what)) {
		if (error)
			check_not_done(what, &was, &is);
		else
			check_done(what, &was, &is, from, to, flags, across);
	}
	snprintf(inside, sizeof inside, "%s/..", new);
	if (result == 0 && is_dir(from))
		WANT_THAT(look(inside).st_ino == is.parent2.st_ino, "%s: .. of the directory", what);
	snprintf(inside, sizeof inside, "%s/inside", new);
	if (result == 0 && from == FULL)
		WANT_THAT(there(inside), "%s: what was in it", what);
	if (fd >= 0) {
		struct stat st;
		MUST(fstat(fd, &st));
		WANT_THAT(st.st_nlink == (result == 0 && flags == 0 ? 0 : 1), "%s: links of what was open: %ld",
			what, (long)st.st_nlink);
		close(fd);
	}
	leave();
}

static void matrix(void)
{
	static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	for (enum kind from = NONE; from < KINDS; from++)
		for (enum kind to = NONE; to < KINDS; to++)
			for (size_t f = 0; f < COUNT(flags); f++) {
				if ((from == DEVICE || to == DEVICE) && !suite_is_root())
					continue;
				rename_one(from, to, flags[f], false);
				rename_one(from, to, flags[f], true);
			}
}

static void matrix_of_a_user(void)
{
	if (as(BOB, 0)) {
		enter("bobs", 0755, BOB);
		matrix();
		done();
	}
}

static void flags(void)
{
	static const unsigned bad[] = {RENAME_NOREPLACE | RENAME_EXCHANGE, RENAME_WHITEOUT | RENAME_EXCHANGE,
		8, 16, 1u << 31, 0xffffffff};
	put("a", "a");
	put("b", "b");
	for (size_t i = 0; i < COUNT(bad); i++)
		WANT(EINVAL, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", bad[i]));
	/* overlayfs' white-outs: Linux lets a filesystem refuse them. */
	if (!suite_plain())
		WANT(EINVAL, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_WHITEOUT));
	if (!suite_plain())
		WANT_TRUE(strcmp(content("a"), "a") == 0);
}

static void ancestors(void)
{
	MUST(mkdir("a", 0755));
	MUST(mkdir("a/b", 0755));
	MUST(mkdir("a/b/c", 0755));
	MUST(mkdir("other", 0755));
	put("a/f", "x");
	WANT(EINVAL, rename("a", "a/x"));
	WANT(EINVAL, rename("a", "a/b/x"));
	WANT(EINVAL, rename("a", "a/b"));
	WANT(EINVAL, rename("a", "a/b/c"));
	WANT(ENOTEMPTY, rename("a/b", "a"));
	WANT(ENOTEMPTY, rename("a/b/c", "a"));
	WANT(ENOTEMPTY, rename("a/f", "a"));
	WANT(EINVAL, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b", RENAME_EXCHANGE));
	WANT(EINVAL, renameat2(AT_FDCWD, "a/b/c", AT_FDCWD, "a", RENAME_EXCHANGE));
	WANT(EINVAL, renameat2(AT_FDCWD, "a", AT_FDCWD, "a/b/x", RENAME_NOREPLACE));
	WANT(EEXIST, renameat2(AT_FDCWD, "a/b", AT_FDCWD, "a", RENAME_NOREPLACE));
	WANT(0, rename("a", "a"));
	WANT(0, rename("a/b", "a/b"));
	WANT(0, rename("a/b/../b", "a/b"));
	WANT(EBUSY, rename("a/.", "x"));
	WANT(EBUSY, rename("a/..", "x"));
	WANT(EBUSY, rename("other", "a/."));
	WANT(EBUSY, rename("other", "a/.."));
	WANT(0, rename("a/b/", "other/b/"));
	WANT(ENOTDIR, rename("a/f", "x/"));
	WANT(ENOTDIR, rename("a/f/", "x"));
	WANT(0, rename("a", "other/b/c/a"));
	WANT_TRUE(there("other/b/c/a/f"));
	WANT(EINVAL, rename("other", "other/b/c/a/x"));
}

/* POSIX: if both are names of one file, rename does nothing and succeeds. */
static void same_file(void)
{
	put("a", "x");
	MUST(link("a", "b"));
	MUST(mkdir("dir", 0755));
	MUST(link("a", "dir/c"));
	struct stat was = look("a");
	tick();
	WANT(0, rename("a", "b"));
	WANT(0, rename("a", "dir/c"));
	WANT(EEXIST, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	WANT(0, renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
	WANT_NUM(3, look("a").st_nlink);
	WANT_NUM(1, there("b") && there("dir/c"));
	struct stat is = look("a");
	WANT_TRUE(unchanged(&was, &is));
	/* One of several names is moved, and one of several names is replaced. */
	put("d", "y");
	WANT(0, rename("a", "e"));
	WANT_NUM(3, look("e").st_nlink);
	WANT(0, rename("d", "b"));
	WANT_NUM(2, look("e").st_nlink);
	WANT_NUM(2, look("dir/c").st_nlink);
	MUST(symlink("e", "s1"));
	MUST(link("s1", "s2"));
	WANT(0, rename("s1", "s2"));
	WANT_NUM(2, look("s1").st_nlink);
}

/* A directory that is moved to another parent has its .. written: that takes the right to write in it. */
static void moved_directories(void)
{
	MUST(chmod(".", 0777));
	MUST(mkdir("to", 0777));
	MUST(chmod("to", 0777));
	MUST(mkdir("roots", 0755));
	if (as(ANN, 0)) {
		MUST(mkdir("mine", 0555));
		WANT(0, rename("mine", "mine2"));
		WANT(EACCES, rename("mine2", "to/mine"));
		MUST(chmod("mine2", 0755));
		WANT(0, rename("mine2", "to/mine"));
		WANT(0, rename("roots", "roots2"));
		WANT(EACCES, rename("roots2", "to/roots"));
		MUST(mkdir("w", 0755));
		WANT(0, renameat2(AT_FDCWD, "w", AT_FDCWD, "roots2", RENAME_EXCHANGE));
		WANT(EACCES, renameat2(AT_FDCWD, "w", AT_FDCWD, "to/mine", RENAME_EXCHANGE));
		done();
	}
}

/* Overwriting what is open: the old one is there until it is closed. */
static void over_open(void)
{
	put("old", "old");
	put("new", "new");
	int fd = MUST(open("old", O_RDWR));
	char text[10] = "";
	WANT(0, rename("new", "old"));
	WANT_NUM(3, pread(fd, text, sizeof text, 0));
	WANT_TRUE(strcmp(text, "old") == 0);
	WANT_NUM(3, write(fd, "abc", 3));
	WANT_TRUE(strcmp(content("old"), "new") == 0);
	struct stat st;
	MUST(fstat(fd, &st));
	WANT_NUM(0, st.st_nlink);
	MUST(mkdir("d1", 0755));
	MUST(mkdir("d2", 0755));
	int dir = MUST(open("d2", O_RDONLY | O_DIRECTORY));
	WANT(0, rename("d1", "d2"));
	MUST(fstat(dir, &st));
	WANT_NUM(0, st.st_nlink);
	WANT(ENOENT, openat(dir, "x", O_CREAT | O_WRONLY, 0644));
	WANT(ENOENT, mkdirat(dir, "x", 0755));
	WANT(ENOENT, symlinkat("t", dir, "x"));
	WANT(ENOENT, linkat(AT_FDCWD, "old", dir, "x", 0));
	WANT(ENOENT, renameat(AT_FDCWD, "old", dir, "x"));
}

const struct posix_case rename_cases[] = {
	{"rename_matrix", matrix},
	{"rename_matrix_of_a_user", matrix_of_a_user, .root = true},
	{"rename_flags", flags},
	{"rename_ancestors", ancestors},
	{"rename_same_file", same_file},
	{"rename_moved_directories", moved_directories, .root = true},
	{"rename_over_open", over_open},
	{0},
};
