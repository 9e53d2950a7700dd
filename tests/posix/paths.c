/*
 * paths.c: what each system call that takes a path says of a path that is no good, of a name that is of the
 * wrong type, and of what its caller has no right to.
 */
#include "suite.h"

#include <limits.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

enum {
	FOLLOW = 1,  /* a symlink at the end is followed */
	MAKE = 2,    /* the name must be free */
	REMOVE = 4,  /* takes the name away */
	CREATE = 8,  /* makes it where it is not there */
	WANT_DIR = 16,
	PLAIN = 32,  /* of a name that is there, whatever it is */
};

struct call {
	const char *name;
	long (*run)(const char *path);
	unsigned kind;
};

static long opened(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

#define CALLER(name, expr)                                                                         \
	static long call_##name(const char *path)                                                  \
	{                                                                                          \
		return CALL(expr);                                                                 \
	}
#define OPENER(name, flags)                                                                        \
	static long call_##name(const char *path)                                                  \
	{                                                                                          \
		return opened(open(path, (flags) | O_NONBLOCK, 0644));                             \
	}

OPENER(open_r, O_RDONLY)
OPENER(open_w, O_WRONLY)
OPENER(open_rw, O_RDWR)
OPENER(open_trunc, O_WRONLY | O_TRUNC)
OPENER(open_creat, O_RDWR | O_CREAT)
OPENER(open_excl, O_RDWR | O_CREAT | O_EXCL)
OPENER(open_dir, O_RDONLY | O_DIRECTORY)
OPENER(open_nofollow, O_RDONLY | O_NOFOLLOW)
OPENER(open_path, O_PATH)
OPENER(creat, O_CREAT | O_WRONLY | O_TRUNC)
CALLER(mkdir, mkdir(path, 0755))
CALLER(mkfifo, mkfifo(path, 0644))
CALLER(mknod, mknod(path, S_IFREG | 0644, 0))
CALLER(symlink, symlink("target", path))
CALLER(link_to, link("spare", path))
CALLER(link_of, link(path, "new"))
CALLER(rename_of, rename(path, "new"))
CALLER(rename_to, rename("spare", path))
CALLER(exchange, renameat2(AT_FDCWD, path, AT_FDCWD, "spare", RENAME_EXCHANGE))
CALLER(noreplace, renameat2(AT_FDCWD, "spare", AT_FDCWD, path, RENAME_NOREPLACE))
CALLER(unlink, unlink(path))
CALLER(rmdir, rmdir(path))
CALLER(chmod, chmod(path, 0755))
CALLER(chown, chown(path, geteuid(), (gid_t)-1))
CALLER(lchown, lchown(path, geteuid(), (gid_t)-1))
CALLER(truncate, truncate(path, 3))
CALLER(access, access(path, F_OK))
CALLER(faccessat, faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW))
CALLER(chdir, chdir(path))
CALLER(setxattr, setxattr(path, "user.a", "1", 1, 0))
CALLER(lsetxattr, lsetxattr(path, "user.a", "1", 1, 0))
CALLER(listxattr, listxattr(path, NULL, 0))
CALLER(llistxattr, llistxattr(path, NULL, 0))
CALLER(removexattr, removexattr(path, "user.a"))
CALLER(lremovexattr, lremovexattr(path, "user.a"))
CALLER(getxattr, getxattr(path, "user.a", NULL, 0))
CALLER(lgetxattr, lgetxattr(path, "user.a", NULL, 0))

static long call_readlink(const char *path)
{
	char text[100];
	return CALL(readlink(path, text, sizeof text));
}

static long call_stat(const char *path)
{
	struct stat st;
	return CALL(stat(path, &st));
}

static long call_lstat(const char *path)
{
	struct stat st;
	return CALL(lstat(path, &st));
}

static long call_statx(const char *path)
{
	struct statx st;
	return CALL(statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &st));
}

static long call_statvfs(const char *path)
{
	struct statvfs st;
	return CALL(statvfs(path, &st));
}

static long call_utimens(const char *path)
{
	return CALL(utimensat(AT_FDCWD, path, (struct timespec[]){{1, 1}, {2, 2}}, 0));
}

static long call_utimens_now(const char *path)
{
	return CALL(utimensat(AT_FDCWD, path, NULL, 0));
}

static long call_lutimens(const char *path)
{
	return CALL(utimensat(AT_FDCWD, path, (struct timespec[]){{1, 1}, {2, 2}}, AT_SYMLINK_NOFOLLOW));
}

#define ONE(name, kind) {#name, call_##name, kind}
static const struct call calls[] = {
	ONE(open_r, FOLLOW), ONE(open_w, FOLLOW), ONE(open_rw, FOLLOW), ONE(open_trunc, FOLLOW),
	ONE(open_creat, FOLLOW | CREATE), ONE(open_excl, MAKE), ONE(open_dir, FOLLOW | WANT_DIR),
	ONE(open_nofollow, 0), ONE(open_path, FOLLOW | PLAIN), ONE(creat, FOLLOW | CREATE),
	ONE(mkdir, MAKE), ONE(mkfifo, MAKE), ONE(mknod, MAKE), ONE(symlink, MAKE), ONE(link_to, MAKE),
	ONE(noreplace, MAKE), ONE(link_of, 0), ONE(rename_of, REMOVE), ONE(rename_to, CREATE),
	ONE(exchange, REMOVE), ONE(unlink, REMOVE), ONE(rmdir, REMOVE | WANT_DIR), ONE(readlink, 0),
	ONE(chmod, FOLLOW), ONE(chown, FOLLOW), ONE(lchown, 0), ONE(truncate, FOLLOW),
	ONE(utimens, FOLLOW), ONE(utimens_now, FOLLOW), ONE(lutimens, 0), ONE(access, FOLLOW | PLAIN),
	ONE(faccessat, PLAIN), ONE(stat, FOLLOW | PLAIN), ONE(lstat, PLAIN), ONE(statx, FOLLOW | PLAIN),
	ONE(statvfs, FOLLOW | PLAIN), ONE(chdir, FOLLOW | WANT_DIR), ONE(setxattr, FOLLOW),
	ONE(lsetxattr, 0), ONE(listxattr, FOLLOW), ONE(llistxattr, 0), ONE(removexattr, FOLLOW),
	ONE(lremovexattr, 0), ONE(getxattr, FOLLOW), ONE(lgetxattr, 0),
};

/* A row: @path gives @error in all calls with a bit of @kinds (0: all) and none of @but, except where named. */
struct row {
	const char *path;
	int error;
	unsigned kinds, but;
	struct {
		const char *call;
		int error; /* -1: not tried */
	} except[12];
};

static int expected(const struct row *row, const struct call *call)
{
	for (size_t i = 0; i < COUNT(row->except) && row->except[i].call; i++)
		if (strcmp(row->except[i].call, call->name) == 0)
			return row->except[i].error;
	if ((row->kinds && !(call->kind & row->kinds)) || (call->kind & row->but))
		return -1;
	return row->error;
}

static void try_rows(const struct row *rows, size_t n)
{
	int here = MUST(open(".", O_RDONLY | O_DIRECTORY));
	for (size_t i = 0; i < n; i++)
		for (size_t c = 0; c < COUNT(calls); c++) {
			int error = expected(&rows[i], &calls[c]);
			if (error < 0)
				continue;
			long result = calls[c].run(rows[i].path);
			WANT_OP(error, result, "%s(%.40s%s)", calls[c].name, rows[i].path,
				strlen(rows[i].path) > 40 ? "…" : "");
			MUST(fchdir(here));
		}
	close(here);
}

static void furnish(void)
{
	put("file", "content");
	put("spare", "spare");
	MUST(mkdir("dir", 0755));
	MUST(mkdir("full", 0755));
	put("full/inside", "x");
	MUST(mkfifo("fifo", 0644));
	MUST(symlink("nowhere", "dangling"));
	MUST(symlink("loop2", "loop"));
	MUST(symlink("loop", "loop2"));
	MUST(symlink("loop3", "loop3"));
	MUST(symlink("file", "to_file"));
	MUST(symlink("dir", "to_dir"));
	MUST(mkdir("locked", 0700));
	put("locked/file", "x");
	MUST(mkdir("shown", 0755));
	put("shown/file", "x");
	MUST(mkdir("shown/dir", 0755));
	put("private", "x");
	MUST(chmod("private", 0600));
}

static char name256[257], name256_slash[260], long_path[PATH_MAX + 1], last256[300];

static void bad_paths(void)
{
	furnish();
	memset(name256, 'n', 256);
	snprintf(name256_slash, sizeof name256_slash, "%s/x", name256);
	snprintf(last256, sizeof last256, "dir/%s", name256);
	for (size_t i = 0; i < PATH_MAX; i++)
		long_path[i] = i % 2 ? '/' : '.';
	const struct row rows[] = {
		{"missing/x", ENOENT}, {"dangling/x", ENOENT}, {"file/x", ENOTDIR}, {"fifo/x", ENOTDIR},
		{"to_file/x", ENOTDIR}, {"loop/x", ELOOP}, {"loop3/x", ELOOP}, {"", ENOENT},
		{"file/.", ENOTDIR, .except = {{"mkdir", ENOTDIR}}},
		{"file/..", ENOTDIR}, {"file/../spare", ENOTDIR}, {"missing/../spare", ENOENT},
		{name256, ENAMETOOLONG}, {name256_slash, ENAMETOOLONG}, {last256, ENAMETOOLONG},
		{long_path, ENAMETOOLONG},
		{"missing", ENOENT, .but = MAKE | CREATE}, {"dir/missing", ENOENT, .but = MAKE | CREATE},
		{"dangling", ENOENT, FOLLOW, .but = CREATE | MAKE},
		{"loop", ELOOP, FOLLOW, .except = {{"open_nofollow", ELOOP}}},
		{"file", EEXIST, MAKE}, {"dir", EEXIST, MAKE}, {"full", EEXIST, MAKE},
		{"fifo", EEXIST, MAKE}, {"dangling", EEXIST, MAKE}, {"loop", EEXIST, MAKE},
		{"to_dir", EEXIST, MAKE}, {".", EEXIST, MAKE}, {"..", EEXIST, MAKE},
		{"dir/.", EEXIST, MAKE}, {"dir/..", EEXIST, MAKE},
	};
	try_rows(rows, COUNT(rows));
	WANT_NUM(0, there("new"));
	WANT_THAT(strcmp(content("spare"), "spare") == 0, "spare is %s", content("spare"));
}

static void bad_pointers(void)
{
	void *volatile bad = (void *)(uintptr_t)16; /* the compiler must not know */
	put("spare", "x");
	for (size_t c = 0; c < COUNT(calls); c++) {
		long result = calls[c].run(bad);
		WANT_OP(EFAULT, result, "%s(bad address)", calls[c].name);
	}
	int fd = MUST(open("spare", O_RDWR));
	WANT(EFAULT, read(fd, bad, 1));
	WANT(EFAULT, write(fd, bad, 1));
	WANT(EFAULT, pread(fd, bad, 1, 0));
	WANT(EFAULT, fstat(fd, bad));
	WANT(EFAULT, setxattr("spare", "user.a", bad, 1, 0));
	WANT(EFAULT, setxattr("spare", bad, "1", 1, 0));
}

static void wrong_types(void)
{
	furnish();
	const struct row rows[] = {
		{"dir", 0, .kinds = PLAIN,
			.except = {{"open_w", EISDIR}, {"open_rw", EISDIR}, {"open_trunc", EISDIR},
				{"open_creat", EISDIR}, {"creat", EISDIR}, {"truncate", EISDIR},
				{"unlink", EISDIR}, {"readlink", EINVAL}, {"link_of", EPERM},
				{"rename_to", EISDIR}, {"open_dir", 0}}},
		{"full", 0, .kinds = PLAIN, .except = {{"rmdir", ENOTEMPTY}, {"unlink", EISDIR}}},
		{".", 0, .kinds = PLAIN,
			.except = {{"rmdir", EINVAL}, {"unlink", EISDIR}, {"rename_of", EBUSY},
				{"rename_to", EBUSY}, {"exchange", EBUSY}, {"open_creat", EISDIR},
				{"open_w", EISDIR}, {"link_of", EPERM}}},
		{"dir/..", 0, .kinds = PLAIN,
			.except = {{"rmdir", ENOTEMPTY}, {"unlink", EISDIR}, {"rename_of", EBUSY},
				{"rename_to", EBUSY}, {"open_creat", EISDIR}}},
		{"file", 0, .kinds = PLAIN,
			.except = {{"rmdir", ENOTDIR}, {"open_dir", ENOTDIR}, {"chdir", ENOTDIR},
				{"readlink", EINVAL}, {"getxattr", ENODATA}, {"removexattr", ENODATA},
				{"open_nofollow", 0}}},
		{"fifo", 0, .kinds = PLAIN,
			.except = {{"rmdir", ENOTDIR}, {"open_dir", ENOTDIR}, {"chdir", ENOTDIR},
				{"readlink", EINVAL}, {"truncate", EINVAL}, {"open_w", ENXIO},
				{"setxattr", EPERM}, {"lsetxattr", EPERM}, {"getxattr", ENODATA}}},
		{"to_file", 0, .kinds = PLAIN,
			.except = {{"rmdir", ENOTDIR}, {"open_nofollow", ELOOP}, {"readlink", 0},
				{"lsetxattr", EPERM}, {"lgetxattr", ENODATA}, {"open_dir", ENOTDIR}}},
		{"to_dir", 0, .kinds = PLAIN,
			.except = {{"rmdir", ENOTDIR}, {"open_dir", 0}, {"chdir", 0}, {"unlink", -1}}},
		{"file/", ENOTDIR, .but = MAKE,
			.except = {{"open_creat", EISDIR}, {"creat", EISDIR}, {"open_excl", EISDIR},
				{"mkdir", EEXIST}, {"mkfifo", EEXIST}, {"symlink", EEXIST},
				{"link_to", EEXIST}, {"rename_to", ENOTDIR}}},
		{"absent/", ENOENT, .kinds = MAKE,
			.except = {{"open_creat", EISDIR}, {"open_excl", EISDIR}, {"mkdir", -1},
				{"rename_to", ENOTDIR}, {"noreplace", ENOTDIR}, {"creat", EISDIR}}},
		{"dangling/", ENOENT, .but = MAKE | CREATE | REMOVE,
			.except = {{"mkdir", EEXIST}}},
		{"to_file/", ENOTDIR, .but = MAKE | CREATE | REMOVE},
		{"to_dir/", 0, .kinds = PLAIN, .except = {{"rmdir", ENOTDIR}, {"unlink", ENOTDIR}}},
	};
	try_rows(rows, COUNT(rows));
}

static void without_rights(void)
{
	furnish();
	MUST(chmod(".", 0777));
	const struct row rows[] = {
		{"locked/file", EACCES, .except = {{"mkdir", EACCES}}},
		{"locked/absent", EACCES},
		{"locked/file/x", EACCES},
		{"shown/absent", EACCES, MAKE | CREATE, .except = {{"link_to", -1}}},
		{"shown/file", EEXIST, MAKE, .except = {{"link_to", -1}}},
		{"shown/file", EACCES, REMOVE, WANT_DIR},
		{"shown/dir", EACCES, REMOVE | WANT_DIR, FOLLOW},
		{"shown/file", 0, PLAIN},
		{"private", 0, PLAIN,
			.except = {{"open_r", EACCES}, {"open_w", EACCES}, {"open_rw", EACCES},
				{"open_trunc", EACCES}, {"open_creat", EACCES}, {"creat", EACCES},
				{"truncate", EACCES}, {"chmod", EPERM}, {"chown", EPERM},
				{"utimens", EPERM}, {"utimens_now", EACCES}, {"setxattr", EACCES}}},
		{"private", 0, PLAIN,
			.except = {{"lchown", EPERM}, {"lutimens", EPERM}, {"getxattr", EACCES},
				{"removexattr", EACCES}, {"lsetxattr", EACCES}, {"listxattr", 0}}},
		{"file", 0, PLAIN,
			.except = {{"open_r", 0}, {"open_w", EACCES}, {"truncate", EACCES},
				{"chmod", EPERM}, {"chown", EPERM}, {"utimens", EPERM},
				{"utimens_now", EACCES}, {"setxattr", EACCES}, {"getxattr", ENODATA}}},
		{"to_file", 0, PLAIN, .except = {{"lchown", EPERM}, {"lutimens", EPERM}}},
	};
	if (as(ANN, 0)) {
		try_rows(rows, COUNT(rows));
		done();
	}
	if (as(BOB, 0)) {
		try_rows(rows, COUNT(rows));
		done();
	}
	WANT_NUM(1, there("shown/file"));
}

/* 255 bytes are a name; 256 are not, whatever they are. */
static void longest_names(void)
{
	char name[256];
	for (size_t i = 0; i < 255; i++)
		name[i] = (char)(1 + i % 254 == '/' ? 'x' : 1 + i % 254);
	name[255] = 0;
	put("spare", "x");
	for (size_t c = 0; c < COUNT(calls); c++)
		if (calls[c].kind & (MAKE | CREATE)) {
			WANT_OP(0, calls[c].run(name), "%s(255 bytes)", calls[c].name);
			WANT_NUM(1, there(name));
			if (remove(name) < 0)
				suite_die(__FILE__, __LINE__, "remove");
			if (!there("spare"))
				put("spare", "x");
		} else {
			WANT_OP(ENOENT, calls[c].run(name), "%s(255 bytes)", calls[c].name);
		}
}

const struct posix_case path_cases[] = {
	{"path_bad", bad_paths},
	{"path_pointers", bad_pointers},
	{"path_types", wrong_types},
	{"path_rights", without_rights, .root = true},
	{"path_longest", longest_names},
	{0},
};
