/*
 * owners.c: chown and chmod: who may, what set-id bits and capabilities become of it and of writing; the group
 * of what is made in setgid directories.
 */
#include "suite.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>

static const char capability[20] = {1, 0, 0, 2, 0, 4}; /* VFS_CAP_REVISION_2, one bit */

enum { FILE_, DIR_, FIFO_, SOCK_, CHR_, BLK_, TYPES };
static const char *const types[] = {"file", "dir", "fifo", "socket", "chardev", "blockdev"};

static void make_all(void)
{
	put("file", "content");
	MUST(mkdir("dir", 0755));
	MUST(mkfifo("fifo", 0644));
	MUST(mknod("socket", S_IFSOCK | 0644, 0));
	MUST(mknod("chardev", S_IFCHR | 0644, 1 << 8 | 3));
	MUST(mknod("blockdev", S_IFBLK | 0644, 1 << 8 | 3));
	MUST(symlink("file", "link"));
}

/* Every mode of twelve bits that is worth it, on each type. */
static void chmod_all(void)
{
	make_all();
	for (size_t t = 0; t < TYPES; t++)
		for (mode_t mode = 0; mode < 010000; mode += mode < 0777 ? 37 : 511) {
			WANT(0, chmod(types[t], mode));
			WANT_THAT(perms(types[t]) == mode, "chmod %04o %s: %04o", mode, types[t], perms(types[t]));
		}
	WANT(0, chmod("link", 0640));
	WANT_NUM(0640, perms("file"));
	WANT_NUM(0777, perms("link"));
	WANT(EOPNOTSUPP, fchmodat(AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW));
	WANT(0, chmod("file", 0100640)); /* type bits do not count */
	WANT_NUM(0640, perms("file"));
}

static void chmod_rights(void)
{
	make_all();
	for (size_t t = 0; t < TYPES; t++) {
		MUST(chown(types[t], ANN, ANNS));
		MUST(chmod(types[t], 0666));
		if (as(BOB, ANNS)) {
			WANT(EPERM, chmod(types[t], 0777));
			WANT(EPERM, chown(types[t], BOB, -1));
			WANT(EPERM, chown(types[t], -1, ANNS));
			done();
		}
		if (as(ANN, 0)) {
			WANT(0, chmod(types[t], 0751));
			WANT(EPERM, chown(types[t], BOB, -1));
			WANT(EPERM, chown(types[t], -1, BOBS));
			WANT(EPERM, chown(types[t], ROOT, -1));
			WANT(0, chown(types[t], -1, ANN));
			WANT(0, chown(types[t], ANN, ANNS));
			WANT(0, lchown(types[t], -1, ANN));
			done();
		}
		struct stat st = look(types[t]);
		WANT_THAT(st.st_uid == ANN && st.st_gid == ANN, "%s: %u:%u", types[t], st.st_uid, st.st_gid);
		WANT_NUM(0751, perms(types[t]));
	}
	MUST(lchown("link", ANN, ANNS));
	if (as(ANN, 0)) {
		WANT(0, lchown("link", -1, ANN));
		WANT(EPERM, lchown("link", BOB, -1));
		done();
	}
	WANT_NUM(ANN, look("link").st_gid);
}

/* The setgid bit is only for those who are in the group; on a file and on a directory. */
static void chmod_setgid(void)
{
	make_all();
	for (size_t t = 0; t < TYPES; t++) {
		MUST(chown(types[t], ANN, NOBODYS));
		if (as(ANN, 0)) {
			WANT(0, chmod(types[t], 02755));
			done();
		}
		WANT_THAT(perms(types[t]) == 0755, "g+s outside of the group: %s: %04o", types[t], perms(types[t]));
		if (as(ANN, NOBODYS)) {
			WANT(0, chmod(types[t], 02755));
			done();
		}
		WANT_THAT(perms(types[t]) == 02755, "g+s in the group: %s: %04o", types[t], perms(types[t]));
		if (as(ANN, 0)) {
			WANT(0, chmod(types[t], 06711));
			done();
		}
		WANT_THAT(perms(types[t]) == 04711, "u+s,g+s: %s: %04o", types[t], perms(types[t]));
		WANT(0, chmod(types[t], 06711));
		WANT_NUM(06711, perms(types[t]));
	}
}

/* chown takes set-id bits from everything but directories, whoever calls it. */
static void chown_clears(void)
{
	static const struct {
		uid_t actor;
		uid_t uid;
		gid_t gid;
	} calls[] = {{ANN, -1, ANN}, {ANN, ANN, -1}, {ANN, ANN, ANNS}, {ROOT, BOB, -1}, {ROOT, -1, BOBS},
		{ROOT, ANN, ANNS}};
	static const mode_t modes[] = {06777, 06555, 04711, 02711, 02766, 02644, 06644, 01777, 07777};
	make_all();
	for (size_t t = 0; t < TYPES; t++)
		for (size_t c = 0; c < COUNT(calls); c++)
			for (size_t m = 0; m < COUNT(modes); m++) {
				mode_t mode = modes[m], want = mode;
				MUST(chown(types[t], ANN, ANNS));
				MUST(chmod(types[t], mode));
				if (t != DIR_) {
					want &= ~(mode_t)S_ISUID;
					if (mode & S_IXGRP)
						want &= ~(mode_t)S_ISGID;
				}
				if (calls[c].actor != ROOT && as(calls[c].actor, 0)) {
					WANT(0, chown(types[t], calls[c].uid, calls[c].gid));
					done();
				} else if (calls[c].actor == ROOT) {
					WANT(0, chown(types[t], calls[c].uid, calls[c].gid));
				}
				WANT_THAT(perms(types[t]) == want, "chown(%d, %d) of %s, %04o, by %s: %04o, not %04o",
					(int)calls[c].uid, (int)calls[c].gid, types[t], mode,
					user_name(calls[c].actor), perms(types[t]), want);
			}
}

/* Outside of the group setgid goes also where the group may not execute. */
static void chown_by_a_stranger(void)
{
	make_all();
	for (size_t t = 0; t < TYPES; t++) {
		MUST(chown(types[t], ANN, NOBODYS));
		MUST(chmod(types[t], 02644));
		if (as(ANN, 0)) {
			WANT(0, chown(types[t], -1, ANN));
			done();
		}
		WANT_THAT(perms(types[t]) == (t == DIR_ ? 02644 : 0644), "%s: %04o", types[t], perms(types[t]));
	}
}

static void owner_numbers(void)
{
	put("f", "x");
	static const uid_t values[] = {0, 1, 65534, 65535, 65536, 4294967294u, 2147483648u};
	for (size_t i = 0; i < COUNT(values); i++) {
		WANT(0, chown("f", values[i], values[COUNT(values) - 1 - i]));
		struct stat st = look("f");
		WANT_NUM(values[i], st.st_uid);
		WANT_NUM(values[COUNT(values) - 1 - i], st.st_gid);
		WANT(0, chown("f", -1, 5));
		WANT_NUM(values[i], look("f").st_uid);
		WANT(0, chown("f", 6, -1));
		WANT_NUM(5, look("f").st_gid);
	}
}

/* ---- what changes a file's bytes ------------------------------------------------------------- */

static long w_write(int fd)
{
	return CALL(pwrite(fd, "x", 1, 0));
}

static long w_ftruncate(int fd)
{
	return CALL(ftruncate(fd, 3));
}

static long w_truncate(int fd)
{
	return CALL(truncate("f", 4));
}

static long w_open_trunc(int fd)
{
	return CALL(close(open("f", O_WRONLY | O_TRUNC)));
}

static long w_fallocate(int fd)
{
	return CALL(fallocate(fd, 0, 0, 100));
}

static long w_punch(int fd)
{
	return CALL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2));
}

static long w_zero(int fd)
{
	return CALL(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 2));
}

static long w_copy(int fd)
{
	int from = open("source", O_RDONLY);
	long n = CALL(copy_file_range(from, NULL, fd, NULL, 3, 0));
	close(from);
	return n;
}

static long w_nothing(int fd)
{
	return CALL(write(fd, "", 0));
}

static long w_read(int fd)
{
	char c;
	return CALL(pread(fd, &c, 1, 0));
}

static const struct {
	const char *name;
	long (*run)(int fd);
	bool changes;
} writers[] = {{"write", w_write, true}, {"ftruncate", w_ftruncate, true}, {"truncate", w_truncate, true},
	{"O_TRUNC", w_open_trunc, true}, {"fallocate", w_fallocate, true}, {"a hole", w_punch, true},
	{"zeros", w_zero, true}, {"copy_file_range", w_copy, true}, {"write of nothing", w_nothing, false},
	{"read", w_read, false}};

/*
 * As Linux has it: without CAP_FSETID suid goes, and setgid where the group may execute, or the caller is not
 * in the group. Root's writes keep both.
 */
static mode_t after_write(mode_t mode, uid_t actor, bool in_group)
{
	if (actor == ROOT)
		return mode;
	mode_t left = mode & ~(mode_t)S_ISUID;
	if ((mode & S_IXGRP) || !in_group)
		left &= ~(mode_t)S_ISGID;
	return left;
}

static void write_clears(void)
{
	static const struct {
		uid_t user;
		int extra;
		bool in_group;
	} who[] = {{ANN, ANNS, true}, {ANN, -1, false}, {BOB, -1, false}, {BOB, ANNS, true}, {ROOT, 0, true}};
	static const mode_t modes[] = {06777, 04777, 02777, 06766, 02766, 0766, 07777};
	put("source", "source");
	for (size_t w = 0; w < COUNT(writers); w++)
		for (size_t a = 0; a < COUNT(who); a++)
			for (size_t m = 0; m < COUNT(modes); m++) {
				put("f", "content");
				MUST(chown("f", ANN, ANNS));
				MUST(chmod("f", modes[m]));
				if (as(who[a].user, who[a].extra)) {
					int fd = MUST(open("f", O_RDWR));
					WANT_OP(0, writers[w].run(fd), "%s", writers[w].name);
					done();
				}
				mode_t want = writers[w].changes ? after_write(modes[m], who[a].user, who[a].in_group)
								 : modes[m];
				WANT_THAT(perms("f") == want, "%s by %s%s: %04o becomes %04o, not %04o",
					writers[w].name, user_name(who[a].user),
					who[a].in_group ? " in the group" : "", modes[m], perms("f"), want);
				MUST(unlink("f"));
			}
}

/* File capabilities go with any change of the bytes or the owner, also by root. */
static void capabilities(void)
{
	static const uid_t users[] = {ROOT, ANN, BOB};
	put("source", "source");
	for (size_t w = 0; w < COUNT(writers); w++)
		for (size_t u = 0; u < COUNT(users); u++) {
			put("f", "content");
			MUST(chown("f", ANN, ANNS));
			MUST(chmod("f", 0777));
			MUST(setxattr("f", "security.capability", capability, sizeof capability, 0));
			if (as(users[u], 0)) {
				int fd = MUST(open("f", O_RDWR));
				WANT_OP(0, writers[w].run(fd), "%s", writers[w].name);
				done();
			}
			bool left = getxattr("f", "security.capability", NULL, 0) > 0;
			WANT_THAT(left == !writers[w].changes, "%s by %s: capability is %s", writers[w].name,
				user_name(users[u]), left ? "there" : "gone");
			MUST(unlink("f"));
		}
	put("f", "x");
	MUST(setxattr("f", "security.capability", capability, sizeof capability, 0));
	MUST(chmod("f", 0700));
	WANT_TRUE(getxattr("f", "security.capability", NULL, 0) > 0);
	MUST(chown("f", BOB, -1));
	WANT(ENODATA, getxattr("f", "security.capability", NULL, 0));
	if (as(BOB, 0)) {
		WANT(EPERM, setxattr("f", "security.capability", capability, sizeof capability, 0));
		done();
	}
}

/* ---- setgid directories ---------------------------------------------------------------------- */

static void make_named(const char *dir, mode_t mode)
{
	enter(dir, mode, ROOT);
	MUST(chown(".", -1, NOBODYS));
	MUST(chmod(".", mode));
	leave();
}

static void inheritance(void)
{
	static const struct {
		const char *dir;
		mode_t mode;
	} dirs[] = {{"plain", 0777}, {"setgid", 02777}};
	for (size_t d = 0; d < COUNT(dirs); d++) {
		bool group = dirs[d].mode & S_ISGID;
		make_named(dirs[d].dir, dirs[d].mode);
		for (int member = 0; member < 2; member++) {
			char name[20];
			snprintf(name, sizeof name, "%d", member);
			if (as(ANN, member ? NOBODYS : ANNS)) {
				gid_t want = group ? NOBODYS : ANN;
				MUST(chdir(dirs[d].dir));
				MUST(mkdir(name, 0777));
				MUST(chdir(name));
				WANT_NUM(want, look(".").st_gid);
				WANT_NUM(group ? 02755 : 0755, perms("."));
				put("f", "x");
				MUST(mkdir("d", 0700));
				MUST(mkfifo("p", 0600));
				MUST(symlink("x", "s"));
				MUST(mknod("r", S_IFREG | 0600, 0));
				WANT_NUM(want, look("f").st_gid);
				WANT_NUM(want, look("d").st_gid);
				WANT_NUM(want, look("p").st_gid);
				WANT_NUM(want, look("s").st_gid);
				WANT_NUM(want, look("r").st_gid);
				WANT_NUM(0644, perms("f"));
				WANT_NUM(group ? 02700 : 0700, perms("d"));
				/* Who is not in the group makes no setgid program of it. */
				close(MUST(open("x", O_CREAT | O_WRONLY, 02755)));
				close(MUST(open("n", O_CREAT | O_WRONLY, 02644)));
				MUST(mknod("m", S_IFREG | 02755, 0));
				mode_t bit = !group || member ? S_ISGID : 0;
				WANT_NUM(0755 | bit, perms("x"));
				WANT_NUM(02644, perms("n") | 02000);
				WANT_NUM(0755 | bit, perms("m"));
				/* A link or a rename takes a file's group along. */
				WANT(0, rename("f", "g"));
				WANT_NUM(want, look("g").st_gid);
				done();
			}
		}
	}
	MUST(chmod("plain", 0777));
	if (as(ANN, 0)) {
		put("plain/mine", "x");
		WANT(0, rename("plain/mine", "setgid/mine"));
		WANT_NUM(ANN, look("setgid/mine").st_gid);
		done();
	}
}

const struct posix_case owner_cases[] = {
	{"owner_chmod", chmod_all, .root = true},
	{"owner_rights", chmod_rights, .root = true},
	{"owner_setgid_bit", chmod_setgid, .root = true},
	{"owner_chown_clears", chown_clears, .root = true},
	{"owner_chown_by_a_stranger", chown_by_a_stranger, .root = true},
	{"owner_numbers", owner_numbers, .root = true},
	{"owner_write_clears", write_clears, .root = true},
	{"owner_capabilities", capabilities, .root = true},
	{"owner_inheritance", inheritance, .root = true},
	{0},
};
