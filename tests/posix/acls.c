/*
 * acls.c: access ACLs against an evaluation of our own, default ACLs and what is inherited, what chmod and the
 * mask do to each other, who may set them, and which are refused.
 */
#include "suite.h"

#include <sys/xattr.h>

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
#define ACCESS "system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

struct entry {
	unsigned tag, perm;
	uint32_t id;
};
struct list {
	struct entry e[8];
	size_t n;
};
#define LIST(...) (struct list){{__VA_ARGS__}, COUNT(((struct entry[]){__VA_ARGS__}))}

static size_t encode(const struct list *l, unsigned char *out)
{
	size_t n = 4;
	memcpy(out, "\2\0\0\0", 4);
	for (size_t i = 0; i < l->n; i++, n += 8) {
		bool named = l->e[i].tag == USER || l->e[i].tag == GROUP;
		uint32_t id = named ? l->e[i].id : 0xffffffff;
		out[n] = (unsigned char)l->e[i].tag, out[n + 1] = 0;
		out[n + 2] = (unsigned char)l->e[i].perm, out[n + 3] = 0;
		for (int b = 0; b < 4; b++)
			out[n + 4 + (size_t)b] = (unsigned char)(id >> 8 * b);
	}
	return n;
}

static int set(const char *path, const char *kind, struct list l)
{
	unsigned char bytes[100];
	return setxattr(path, kind, bytes, encode(&l, bytes), 0);
}

/* Whether @path has just this list; none where it is empty. */
static bool has(const char *path, const char *kind, struct list l)
{
	unsigned char want[100], got[100];
	ssize_t n = getxattr(path, kind, got, sizeof got);
	size_t len = encode(&l, want);
	if (l.n == 0)
		return n < 0 && errno == ENODATA;
	return n == (ssize_t)len && memcmp(want, got, len) == 0;
}

enum who { OWNING = 1, BY_NAME = 2, BY_GROUP = 4 };

/*
 * What a list grants to one of @who's: by the first that fits of named user, groups, others. Where the mask is
 * empty Linux does not look at the list, and who is not in the owning group counts with the others.
 */
static unsigned granted(unsigned named, unsigned group_obj, unsigned group, unsigned mask, unsigned other, unsigned who)
{
	if (mask == 0)
		return who & OWNING ? 0 : other;
	if (who & BY_NAME)
		return named & mask;
	if (who & OWNING)
		return group_obj & mask;
	return who & BY_GROUP ? group & mask : other;
}

static void check_granted(const char *name, unsigned bits)
{
	int fd = open(name, O_RDONLY);
	WANT_THAT((fd >= 0) == !!(bits & 4), "read %s with %o: %s", name, bits, fd < 0 ? "no" : "yes");
	close(fd);
	fd = open(name, O_WRONLY);
	WANT_THAT((fd >= 0) == !!(bits & 2), "write %s with %o: %s", name, bits, fd < 0 ? "no" : "yes");
	close(fd);
	WANT_OP(bits & 1 ? 0 : EACCES, CALL(access(name, X_OK)), "execute %s with %o", name, bits);
	WANT_OP((bits & 6) == 6 ? 0 : EACCES, CALL(access(name, R_OK | W_OK)), "access %s with %o", name, bits);
}

static void name_of(char out[20], unsigned a, unsigned b, unsigned mask)
{
	snprintf(out, 20, "%o%o%o", a, b, mask);
}

/* A named user (BOB), the owning group (BOBS), a named group (ANNS), the mask, others. */
static void access_matrix(void)
{
	char name[20];
	for (unsigned a = 0; a < 8; a++)
		for (unsigned b = 0; b < 8; b++)
			for (unsigned mask = 0; mask < 8; mask++) {
				name_of(name, a, b, mask);
				close(MUST(open(name, O_CREAT | O_WRONLY, 0600)));
				MUST(chown(name, ANN, BOBS));
				MUST(set(name, ACCESS, LIST({USER_OBJ, 7}, {USER, a, BOB}, {GROUP_OBJ, b},
							       {GROUP, 7 - b, ANNS}, {MASK, mask}, {OTHER, 7 - a})));
				WANT_NUM(0700 | mask << 3 | (7 - a), perms(name));
			}
	static const struct {
		uid_t user;
		int extra;
		unsigned who;
	} actors[] = {{BOB, -1, BY_NAME}, {BOB, BOBS, BY_NAME | OWNING}, {NOBODYS, BOBS, OWNING},
		{NOBODYS, ANNS, BY_GROUP}, {NOBODYS, -1, 0}};
	for (size_t i = 0; i < COUNT(actors); i++)
		if (as(actors[i].user, actors[i].extra)) {
			for (unsigned a = 0; a < 8; a++)
				for (unsigned b = 0; b < 8; b++)
					for (unsigned mask = 0; mask < 8; mask++) {
						name_of(name, a, b, mask);
						check_granted(name, granted(a, b, 7 - b, mask, 7 - a, actors[i].who));
					}
			done();
		}
}

/* The group bits of a mode are the mask where there is one. */
static void chmod_and_mask(void)
{
	put("f", "x");
	MUST(set("f", ACCESS, LIST({USER_OBJ, 6}, {USER, 7, BOB}, {GROUP_OBJ, 5}, {MASK, 6}, {OTHER, 1})));
	WANT_NUM(0661, perms("f"));
	for (mode_t mode = 0; mode < 01000; mode += 7) {
		WANT(0, chmod("f", mode));
		WANT_NUM(mode, perms("f"));
		WANT_THAT(has("f", ACCESS, LIST({USER_OBJ, mode >> 6}, {USER, 7, BOB}, {GROUP_OBJ, 5},
						   {MASK, mode >> 3 & 7}, {OTHER, mode & 7})),
			"the ACL after chmod %03o", mode);
	}
	/* chown keeps it, set-id bits do not touch it. */
	MUST(chmod("f", 06750));
	WANT(0, chown("f", ANN, ANNS));
	WANT_NUM(0750, perms("f"));
	WANT_TRUE(has("f", ACCESS, LIST({USER_OBJ, 7}, {USER, 7, BOB}, {GROUP_OBJ, 5}, {MASK, 5}, {OTHER, 0})));
	/* Removed: the mode keeps its bits. */
	WANT(0, removexattr("f", ACCESS));
	WANT_NUM(0750, perms("f"));
	WANT_TRUE(has("f", ACCESS, (struct list){.n = 0}));
	/* One of three entries is a mode and no ACL. */
	WANT(0, set("f", ACCESS, LIST({USER_OBJ, 6}, {GROUP_OBJ, 4}, {OTHER, 0})));
	WANT_NUM(0640, perms("f"));
	WANT_TRUE(has("f", ACCESS, (struct list){.n = 0}));
}

static void refused(void)
{
	put("f", "x");
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "s"));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 6})));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 6}, {GROUP_OBJ, 4})));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 6}, {USER, 4, BOB}, {GROUP_OBJ, 4}, {OTHER, 0})));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 8}, {GROUP_OBJ, 4}, {OTHER, 0})));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 6}, {GROUP_OBJ, 4}, {OTHER, 0}, {OTHER, 0})));
	WANT(EINVAL, set("f", ACCESS, LIST({GROUP_OBJ, 4}, {USER_OBJ, 6}, {OTHER, 0})));
	WANT(EINVAL, set("f", ACCESS, LIST({USER_OBJ, 6}, {GROUP_OBJ, 4}, {64, 0}, {OTHER, 0})));
	WANT(EINVAL, setxattr("f", ACCESS, "\2\0\0\0x", 5, 0));
	WANT(EOPNOTSUPP, setxattr("f", ACCESS, "\1\0\0\0", 4, 0));
	WANT(EINVAL, setxattr("f", ACCESS, "", 1, 0));
	WANT(EACCES, set("f", DEFAULT, LIST({USER_OBJ, 6}, {GROUP_OBJ, 4}, {OTHER, 0})));
	WANT(EOPNOTSUPP, lsetxattr("s", ACCESS, "\2\0\0\0", 4, 0));
	WANT_NUM(0644, perms("f"));
	WANT(ENODATA, getxattr("f", ACCESS, NULL, 0));
	WANT(ENODATA, getxattr("d", DEFAULT, NULL, 0));
	MUST(chown("f", ANN, ANN));
	if (as(BOB, 0)) {
		WANT(EPERM, set("f", ACCESS, LIST({USER_OBJ, 7}, {GROUP_OBJ, 7}, {OTHER, 7})));
		WANT(EPERM, set("d", DEFAULT, LIST({USER_OBJ, 7}, {GROUP_OBJ, 7}, {OTHER, 7})));
		WANT(EPERM, removexattr("f", ACCESS));
		WANT(ENODATA, getxattr("f", ACCESS, NULL, 0));
		done();
	}
	if (as(ANN, 0)) {
		WANT(0, set("f", ACCESS, LIST({USER_OBJ, 6}, {USER, 4, BOB}, {GROUP_OBJ, 4}, {MASK, 4}, {OTHER, 0})));
		done();
	}
	if (as(BOB, 0)) {
		unsigned char bytes[100];
		WANT_NUM(44, getxattr("f", ACCESS, bytes, sizeof bytes));
		WANT(ERANGE, getxattr("f", ACCESS, bytes, 10));
		done();
	}
}

/* What is made below a default ACL: masks come from the mode asked for, the umask does not count. */
static void inherited(void)
{
	struct list d = LIST({USER_OBJ, 7}, {USER, 6, BOB}, {GROUP_OBJ, 5}, {MASK, 7}, {OTHER, 4});
	MUST(mkdir("d", 0755));
	MUST(set("d", DEFAULT, d));
	WANT_NUM(0755, perms("d"));
	for (mode_t mode = 0; mode < 01000; mode += 73) {
		umask(mode & 1 ? 077 : 0);
		unsigned u = mode >> 6 & 7, g = mode >> 3 & 7, o = mode & 4;
		struct list want = LIST({USER_OBJ, u}, {USER, 6, BOB}, {GROUP_OBJ, 5}, {MASK, g}, {OTHER, o});
		close(MUST(open("d/f", O_CREAT | O_WRONLY, mode)));
		WANT_THAT(has("d/f", ACCESS, want), "the ACL of a file of %03o", mode);
		WANT_NUM(u << 6 | g << 3 | o, perms("d/f"));
		WANT(ENODATA, getxattr("d/f", DEFAULT, NULL, 0));
		MUST(mkdir("d/sub", mode));
		WANT_THAT(has("d/sub", ACCESS, want), "the ACL of a directory of %03o", mode);
		WANT_THAT(has("d/sub", DEFAULT, d), "the default ACL of a directory of %03o", mode);
		MUST(mkfifo("d/p", mode));
		WANT_THAT(has("d/p", ACCESS, want), "the ACL of a fifo of %03o", mode);
		MUST(symlink("x", "d/s"));
		WANT_NUM(0777, perms("d/s"));
		WANT(0, unlink("d/f"));
		WANT(0, unlink("d/p"));
		WANT(0, unlink("d/s"));
		WANT(0, rmdir("d/sub"));
	}
	/* A default of three entries sets the mode and leaves no ACL. */
	umask(077);
	MUST(set("d", DEFAULT, LIST({USER_OBJ, 7}, {GROUP_OBJ, 5}, {OTHER, 1})));
	close(MUST(open("d/f", O_CREAT | O_WRONLY, 0666)));
	WANT_NUM(0640, perms("d/f"));
	WANT(ENODATA, getxattr("d/f", ACCESS, NULL, 0));
	MUST(mkdir("d/sub", 0777));
	WANT_NUM(0751, perms("d/sub"));
	WANT_TRUE(has("d/sub", DEFAULT, LIST({USER_OBJ, 7}, {GROUP_OBJ, 5}, {OTHER, 1})));
	/* A rename or link brings its own rights along. */
	close(MUST(open("g", O_CREAT | O_WRONLY, 0666)));
	MUST(rename("g", "d/g"));
	WANT_NUM(0600, perms("d/g"));
	WANT(0, removexattr("d", DEFAULT));
	MUST(unlink("d/f"));
	close(MUST(open("d/f", O_CREAT | O_WRONLY, 0666)));
	WANT_NUM(0600, perms("d/f"));
	umask(022);
}

/* An ACL set by an owner outside of the group takes the setgid bit, as chmod does. */
static void setgid_bit(void)
{
	struct list l = LIST({USER_OBJ, 7}, {USER, 7, BOB}, {GROUP_OBJ, 5}, {MASK, 7}, {OTHER, 5});
	put("f", "x");
	MUST(mkdir("d", 0755));
	static const char *const names[] = {"f", "d"};
	for (size_t i = 0; i < COUNT(names); i++) {
		MUST(chown(names[i], ANN, NOBODYS));
		MUST(chmod(names[i], 02755));
		if (as(ANN, NOBODYS)) {
			WANT(0, set(names[i], ACCESS, l));
			done();
		}
		WANT_NUM(02775, perms(names[i]));
		if (as(ANN, 0)) {
			WANT(0, set(names[i], ACCESS, l));
			done();
		}
		WANT_NUM(0775, perms(names[i]));
		MUST(chmod(names[i], 02755));
		WANT(0, set(names[i], ACCESS, l));
		WANT_NUM(02775, perms(names[i]));
	}
	MUST(chmod("d", 02777));
	if (as(ANN, 0)) { /* a default ACL is no change of the mode */
		WANT(0, set("d", DEFAULT, l));
		done();
	}
	WANT_NUM(02777, perms("d"));
}

/* Directories: search and write by ACL. */
static void directories(void)
{
	MUST(mkdir("d", 0700));
	put("d/f", "x");
	for (unsigned p = 0; p < 8; p++) {
		MUST(set("d", ACCESS, LIST({USER_OBJ, 7}, {USER, p, BOB}, {GROUP_OBJ, 0}, {MASK, 7}, {OTHER, 0})));
		if (as(BOB, 0)) {
			WANT(p & 1 ? 0 : EACCES, access("d/f", F_OK));
			WANT((p & 3) == 3 ? 0 : EACCES, mkdir("d/new", 0755));
			WANT((p & 3) == 3 ? 0 : EACCES, rename("d/f", "d/g"));
			WANT(p & 4 ? 0 : EACCES, open("d", O_RDONLY));
			WANT(p & 4 ? 0 : EACCES, access("d", R_OK));
			done();
		}
		if (there("d/g"))
			MUST(rename("d/g", "d/f"));
		if (there("d/new"))
			MUST(rmdir("d/new"));
		if (as(ANN, 0)) {
			WANT(EACCES, access("d/f", F_OK));
			done();
		}
	}
}

const struct posix_case acl_cases[] = {
	{"acl_access", access_matrix, .root = true},
	{"acl_chmod", chmod_and_mask, .root = true},
	{"acl_refused", refused, .root = true},
	{"acl_inherited", inherited},
	{"acl_setgid", setgid_bit, .root = true},
	{"acl_directories", directories, .root = true},
	{0},
};
