/*
 * limits.c: how long names, paths and symlinks may be, how many links in a row, how many names a file has, how
 * deep a tree goes.
 */
#include "suite.h"

#include <limits.h>

static void lengths(void)
{
	char name[NAME_MAX + 2], back[PATH_MAX], path[2 * PATH_MAX];
	for (size_t n = 1; n <= NAME_MAX; n += n < 250 ? 17 : 1) {
		memset(name, 'n', n);
		name[n] = 0;
		WANT(0, mkdir(name, 0755));
		WANT(0, rename(name, "x"));
		WANT(0, rename("x", name));
		WANT(0, rmdir(name));
		WANT(0, symlink(name, "s"));
		WANT_NUM(n, readlink("s", back, sizeof back));
		WANT_NUM(n, look("s").st_size);
		WANT(0, unlink("s"));
	}
	memset(name, 'n', sizeof name);
	name[NAME_MAX + 1] = 0;
	WANT(ENAMETOOLONG, mkdir(name, 0755));
	/* A symlink's target: 4095 bytes. */
	memset(path, 't', sizeof path);
	for (size_t n = 1; n < PATH_MAX; n += n < 4000 ? 333 : 5) {
		path[n] = 0;
		WANT(0, symlink(path, "s"));
		WANT_NUM(n, readlink("s", back, sizeof back));
		WANT_TRUE(memcmp(path, back, n) == 0);
		WANT_NUM(n < 10 ? n : 10, readlink("s", back, 10)); /* cut off silently */
		WANT(0, unlink("s"));
		path[n] = 't';
	}
	path[PATH_MAX] = 0;
	WANT(ENAMETOOLONG, symlink(path, "s"));
	path[PATH_MAX - 1] = 0;
	if (!suite_plain())
		WANT(0, symlink(path, "s"));
	WANT(EINVAL, readlink("s", back, 0));
	WANT(ENOENT, symlink("", "e"));
	/* A path: 4095 bytes. */
	memset(path, '/', sizeof path);
	put("f", "x");
	path[0] = '.';
	path[PATH_MAX - 2] = 'f';
	path[PATH_MAX - 1] = 0;
	WANT(0, access(path, F_OK));
	path[PATH_MAX - 2] = '/';
	path[PATH_MAX - 1] = 'f';
	path[PATH_MAX] = 0;
	WANT(ENAMETOOLONG, access(path, F_OK));
}

static void symlink_chains(void)
{
	put("0", "end");
	for (int i = 1; i <= 41; i++) {
		char name[10], target[10];
		snprintf(name, sizeof name, "%d", i);
		snprintf(target, sizeof target, "%d", i - 1);
		MUST(symlink(target, name));
	}
	WANT(0, access("40", F_OK));
	WANT(ELOOP, access("41", F_OK));
	WANT(ELOOP, open("41", O_RDONLY));
	WANT_TRUE(there("41"));
}

static void deep(void)
{
	int start = MUST(open(".", O_RDONLY));
	for (int i = 0; i < 1500; i++) {
		MUST(mkdir("deeper", 0755));
		MUST(chdir("deeper"));
	}
	put("end", "x");
	WANT_TRUE(strcmp(content("end"), "x") == 0);
	MUST(fchdir(start));
	WANT(0, rename("deeper", "moved"));
	WANT(EINVAL, rename("moved", "moved/deeper/deeper/x"));
	MUST(chdir("moved"));
	for (int i = 1; i < 1500; i++)
		MUST(chdir("deeper"));
	MUST(unlink("end"));
	for (int i = 1; i < 1500; i++) {
		MUST(chdir(".."));
		WANT(0, rmdir("deeper"));
	}
	MUST(fchdir(start));
	WANT(0, rmdir("moved"));
}

/* A file has a million names here (ext4: 65000), and then EMLINK; -p looks for ext4's. */
static void many_links(void)
{
	char name[30];
	const char *all = getenv("POSIX_LINKS");
	long most = all ? atol(all) : 2000;
	put("f", "x");
	for (long i = 1; i < most; i++) {
		snprintf(name, sizeof name, "%ld", i);
		if (link("f", name) < 0)
			WANT_NUM(0, i);
	}
	WANT_NUM(most, look("f").st_nlink);
	if (all) {
		WANT(EMLINK, link("f", "one more"));
		WANT(0, unlink("1"));
		WANT(0, link("f", "one more"));
		WANT(EMLINK, link("f", "and another"));
		WANT_NUM(most, look("f").st_nlink);
	}
	for (long i = 1; i < most; i += 2) {
		snprintf(name, sizeof name, "%ld", i);
		unlink(name);
	}
	WANT_NUM(most / 2 + (all ? 1 : 0), look("f").st_nlink);
}

static void hard_links(void)
{
	put("f", "x");
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "s"));
	MUST(symlink("nowhere", "dangling"));
	MUST(mkfifo("p", 0644));
	WANT(EPERM, link("d", "x"));
	WANT(EEXIST, link("f", "f"));
	WANT(EEXIST, link("f", "d"));
	WANT(EEXIST, link("f", "dangling"));
	WANT(ENOENT, link("missing", "x"));
	WANT(0, link("p", "p2"));
	WANT_NUM(2, look("p").st_nlink);
	WANT(0, link("s", "s2")); /* the symlink itself */
	WANT_TRUE(S_ISLNK(look("s2").st_mode));
	WANT(0, linkat(AT_FDCWD, "s", AT_FDCWD, "f2", AT_SYMLINK_FOLLOW));
	WANT_NUM(look("f").st_ino, look("f2").st_ino);
	WANT(ENOENT, linkat(AT_FDCWD, "dangling", AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
	WANT(0, chmod("f2", 0600));
	WANT_NUM(0600, perms("f"));
	put("f2", "through the other name");
	WANT_NUM(22, look("f").st_size);
	WANT(0, unlink("f"));
	WANT_NUM(1, look("f2").st_nlink);
	WANT_TRUE(strcmp(content("f2"), "through the other name") == 0);
	int fd = MUST(open("f2", O_RDONLY));
	char path[40];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	WANT(0, linkat(AT_FDCWD, path, AT_FDCWD, "f3", AT_SYMLINK_FOLLOW));
	WANT(0, unlink("f2"));
	WANT(0, unlink("f3"));
	WANT(ENOENT, linkat(AT_FDCWD, path, AT_FDCWD, "f4", AT_SYMLINK_FOLLOW));
}

const struct posix_case limit_cases[] = {
	{"limit_lengths", lengths},
	{"limit_symlinks", symlink_chains},
	{"limit_depth", deep},
	{"limit_links", many_links},
	{"limit_hard_links", hard_links},
	{0},
};
