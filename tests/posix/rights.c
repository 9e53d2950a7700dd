/*
 * rights.c: all 512 modes against owner, group, a supplementary group, others and root, for files and
 * directories; who may remove and rename where the sticky bit is set.
 */
#include "suite.h"

#include <dirent.h>

struct actor {
	uid_t user;
	int extra; /* as() */
	unsigned shift; /* which three bits count */
};
/* Everything belongs to ANN and the group BOBS. */
static const struct actor actors[] = {
	{ANN, -1, 6}, {ANN, BOBS, 6}, {BOB, BOBS, 3}, {BOB, -1, 0}, {BOB, ANNS, 0}, {NOBODYS, BOBS, 3}};

static long opened(const char *name, int flags)
{
	int fd = open(name, flags);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -errno : 0;
}

static void check_file(const char *name, unsigned bits, bool root, unsigned mode)
{
	bool r = root || bits & 4, w = root || bits & 2, x = root ? mode & 0111 : bits & 1;
	struct stat st;
	WANT_OP(r ? 0 : EACCES, opened(name, O_RDONLY), "read %s", name);
	WANT_OP(w ? 0 : EACCES, opened(name, O_WRONLY), "write %s", name);
	WANT_OP(r && w ? 0 : EACCES, opened(name, O_RDWR),
		"read and write %s", name);
	WANT_OP(r ? 0 : EACCES, CALL(access(name, R_OK)), "access(%s, R_OK)", name);
	WANT_OP(w ? 0 : EACCES, CALL(access(name, W_OK)), "access(%s, W_OK)", name);
	WANT_OP(x ? 0 : EACCES, CALL(access(name, X_OK)), "access(%s, X_OK)", name);
	WANT_OP(w ? 0 : EACCES, CALL(truncate(name, 0)), "truncate %s", name);
	WANT_OP(0, CALL(lstat(name, &st)), "stat of %s", name);
}

static void files(void)
{
	char name[10];
	for (unsigned mode = 0; mode < 512; mode++) {
		snprintf(name, sizeof name, "%03o", mode);
		int fd = MUST(open(name, O_CREAT | O_WRONLY, 0600));
		MUST(fchown(fd, ANN, BOBS));
		MUST(fchmod(fd, mode));
		close(fd);
	}
	for (size_t a = 0; a < COUNT(actors); a++)
		if (as(actors[a].user, actors[a].extra)) {
			for (unsigned mode = 0; mode < 512; mode++) {
				snprintf(name, sizeof name, "%03o", mode);
				check_file(name, mode >> actors[a].shift & 7, false, mode);
			}
			done();
		}
	for (unsigned mode = 0; mode < 512; mode += 3) {
		snprintf(name, sizeof name, "%03o", mode);
		check_file(name, 0, true, mode);
	}
}

static void check_dir(const char *name, unsigned bits)
{
	bool r = bits & 4, w = bits & 2, x = bits & 1, wx = w && x;
	char in[20], new[20], other[20], sub[20];
	struct stat st;
	snprintf(in, sizeof in, "%s/in", name);
	snprintf(new, sizeof new, "%s/new", name);
	snprintf(other, sizeof other, "%s/other", name);
	snprintf(sub, sizeof sub, "%s/sub", name);
	DIR *list = opendir(name);
	WANT_THAT(!!list == r, "opendir %s", name);
	if (list)
		closedir(list);
	WANT_OP(x ? 0 : EACCES, CALL(lstat(in, &st)), "stat of %s", in);
	WANT_OP(x ? 0 : EACCES, CALL(access(in, R_OK)), "access of %s", in);
	WANT_OP(x ? ENOENT : EACCES, CALL(lstat(new, &st)), "stat of %s", new);
	WANT_OP(r ? 0 : EACCES, CALL(access(name, R_OK)), "access(%s, R_OK)", name);
	WANT_OP(w ? 0 : EACCES, CALL(access(name, W_OK)), "access(%s, W_OK)", name);
	WANT_OP(x ? 0 : EACCES, CALL(access(name, X_OK)), "access(%s, X_OK)", name);
	WANT_OP(wx ? 0 : EACCES, CALL(mknod(new, S_IFREG | 0600, 0)), "mknod %s", new);
	WANT_OP(wx ? EEXIST : EACCES, CALL(mknod(new, S_IFREG | 0600, 0)), "mknod %s again", new);
	WANT_OP(wx ? 0 : EACCES, CALL(rename(wx ? new : in, other)), "rename %s", new);
	WANT_OP(wx ? 0 : EACCES, CALL(rename(in, new)), "rename %s", in);
	if (wx)
		MUST(rename(new, in));
	WANT_OP(wx ? 0 : EACCES, CALL(mkdir(sub, 0700)), "mkdir %s", sub);
	if (wx) {
		WANT_OP(0, CALL(rmdir(sub)), "rmdir %s", sub);
		WANT_OP(0, CALL(unlink(other)), "unlink %s", other);
		WANT_OP(0, CALL(link(in, other)), "link %s", in);
		WANT_OP(0, CALL(unlink(other)), "unlink %s", other);
		WANT_OP(0, CALL(symlink("x", other)), "symlink %s", other);
		WANT_OP(0, CALL(unlink(other)), "unlink %s", other);
	} else {
		WANT_OP(EACCES, CALL(unlink(in)), "unlink %s", in);
		WANT_OP(EACCES, CALL(link("in", new)), "link %s", new);
		WANT_OP(EACCES, CALL(symlink("x", new)), "symlink %s", new);
		WANT_OP(EACCES, CALL(open(new, O_CREAT | O_WRONLY, 0600)), "create %s", new);
	}
	WANT_OP(x ? 0 : EACCES, CALL(chdir(name) < 0 ? -1 : (leave(), 0)), "chdir %s", name);
}

static void directories(void)
{
	char name[20];
	put("in", "x");
	MUST(chmod("in", 0666));
	for (unsigned mode = 0; mode < 512; mode++) {
		snprintf(name, sizeof name, "%03o", mode);
		MUST(mkdir(name, 0700));
		snprintf(name, sizeof name, "%03o/in", mode);
		int fd = MUST(open(name, O_CREAT | O_WRONLY, 0600));
		MUST(fchmod(fd, 0666)); /* or protected_hardlinks would refuse links to it */
		close(fd);
		snprintf(name, sizeof name, "%03o", mode);
		MUST(chown(name, ANN, BOBS));
		MUST(chmod(name, mode));
	}
	for (size_t a = 0; a < COUNT(actors); a++)
		if (as(actors[a].user, actors[a].extra)) {
			for (unsigned mode = 0; mode < 512; mode += a ? 5 : 1) {
				snprintf(name, sizeof name, "%03o", mode);
				check_dir(name, mode >> actors[a].shift & 7);
			}
			done();
		}
}

/* ---- sticky ---------------------------------------------------------------------------------- */

static const uid_t owners[] = {ROOT, ANN, BOB};

static void fill_sticky(const char *name, uid_t dir_owner, uid_t file_owner)
{
	static const char *const files_in[] = {"f", "over", "a", "b"};
	enter(name, 0700, ROOT);
	MUST(mkdir("plain", 0777));
	MUST(chmod("plain", 0777));
	for (size_t i = 0; i < COUNT(files_in); i++) {
		put(files_in[i], "x");
		MUST(chmod(files_in[i], 0666));
		MUST(chown(files_in[i], file_owner, file_owner));
	}
	MUST(mkdir("d", 0777));
	MUST(chmod("d", 0777));
	MUST(chown("d", file_owner, file_owner));
	MUST(symlink("x", "s"));
	MUST(lchown("s", file_owner, file_owner));
	MUST(chown(".", dir_owner, dir_owner));
	MUST(chmod(".", 01777));
	leave();
}

/* In a sticky directory only the owner of the name's file or of the directory takes it away. */
static void sticky(void)
{
	for (size_t d = 0; d < COUNT(owners); d++)
		for (size_t f = 0; f < COUNT(owners); f++)
			for (size_t a = 0; a < COUNT(owners); a++) {
				char name[20];
				uid_t actor = owners[a];
				int error = actor == ROOT || actor == owners[d] || actor == owners[f] ? 0 : EPERM;
				snprintf(name, sizeof name, "%zu%zu%zu", d, f, a);
				fill_sticky(name, owners[d], owners[f]);
				if (!as(actor, 0))
					continue;
				MUST(chdir(name));
				put("mine", "x");
				WANT(0, rename("mine", "mine2"));
				WANT(error, rename("mine2", "over"));
				WANT(error, unlink("f"));
				WANT(error, rename("a", "plain/a"));
				WANT(error, renameat2(AT_FDCWD, "b", AT_FDCWD, "b2", RENAME_NOREPLACE));
				WANT(error, rmdir("d"));
				WANT(error, unlink("s"));
				put("plain/own", "x");
				WANT(error, renameat2(AT_FDCWD, "plain/own", AT_FDCWD, error ? "b" : "b2",
						    RENAME_EXCHANGE));
				done();
			}
}

const struct posix_case rights_cases[] = {
	{"rights_files", files, .root = true},
	{"rights_directories", directories, .root = true},
	{0},
};
const struct posix_case sticky_cases[] = {
	{"sticky_matrix", sticky, .root = true},
	{0},
};
