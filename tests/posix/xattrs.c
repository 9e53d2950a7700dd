/*
 * xattrs.c: extended attributes: values and names of every length, flags, namespaces and who may use them, how
 * many there can be.
 */
#include "suite.h"

#include <sys/xattr.h>

static void values(void)
{
	static const size_t sizes[] = {0, 1, 2, 255, 256, 1000, 2000, 3000};
	static char value[70000], back[70000];
	put("f", "x");
	MUST(mkdir("d", 0755));
	static const char *const names[] = {"f", "d"};
	memset(value, 'v', sizeof value);
	for (size_t n = 0; n < COUNT(names); n++) {
		for (size_t i = 0; i < COUNT(sizes); i++) {
			WANT(0, setxattr(names[n], "user.v", value, sizes[i], 0));
			WANT_NUM(sizes[i], getxattr(names[n], "user.v", NULL, 0));
			WANT_NUM(sizes[i], getxattr(names[n], "user.v", back, sizeof back));
			WANT_TRUE(memcmp(value, back, sizes[i]) == 0);
			if (sizes[i] > 1)
				WANT(ERANGE, getxattr(names[n], "user.v", back, sizes[i] - 1));
		}
		/* ext4 has a block for all of them; here a value may have 64 KiB. */
		if (!suite_plain()) {
			WANT(0, setxattr(names[n], "user.v", value, 65536, 0));
			WANT_NUM(65536, getxattr(names[n], "user.v", back, sizeof back));
			WANT_TRUE(memcmp(value, back, 65536) == 0);
		}
		WANT(E2BIG, setxattr(names[n], "user.v", value, 65537, 0));
		WANT(0, removexattr(names[n], "user.v"));
		WANT(ENODATA, removexattr(names[n], "user.v"));
		WANT(ENODATA, getxattr(names[n], "user.v", NULL, 0));
		WANT_NUM(0, listxattr(names[n], NULL, 0));
	}
}

static void flags(void)
{
	put("f", "x");
	WANT(ENODATA, setxattr("f", "user.a", "1", 1, XATTR_REPLACE));
	WANT(0, setxattr("f", "user.a", "1", 1, XATTR_CREATE));
	WANT(EEXIST, setxattr("f", "user.a", "2", 1, XATTR_CREATE));
	WANT(0, setxattr("f", "user.a", "33", 2, XATTR_REPLACE));
	WANT_NUM(2, getxattr("f", "user.a", NULL, 0));
	WANT(EINVAL, setxattr("f", "user.a", "1", 1, 4));
	int fd = MUST(open("f", O_RDONLY));
	WANT(0, fsetxattr(fd, "user.b", "1", 1, 0));
	WANT_NUM(1, fgetxattr(fd, "user.b", NULL, 0));
	WANT_NUM(14, flistxattr(fd, NULL, 0));
	WANT(0, fremovexattr(fd, "user.b"));
	WANT(ENODATA, fremovexattr(fd, "user.b"));
}

static void names(void)
{
	char name[300] = "user.", list[1000];
	put("f", "x");
	WANT(ERANGE, setxattr("f", "", "1", 1, 0));
	WANT(EINVAL, setxattr("f", "user.", "1", 1, 0));
	WANT(EOPNOTSUPP, setxattr("f", "user", "1", 1, 0));
	WANT(EOPNOTSUPP, setxattr("f", "nonsense.a", "1", 1, 0));
	WANT(EOPNOTSUPP, setxattr("f", "system.nonsense", "1", 1, 0));
	WANT(EOPNOTSUPP, getxattr("f", "nonsense.a", NULL, 0));
	memset(name + 5, 'n', 250);
	WANT(0, setxattr("f", name, "1", 1, 0));
	WANT_NUM(1, getxattr("f", name, NULL, 0));
	WANT_NUM(256, listxattr("f", list, sizeof list));
	WANT_TRUE(strcmp(list, name) == 0);
	WANT(ERANGE, listxattr("f", list, 255));
	name[255] = 'n';
	WANT(ERANGE, setxattr("f", name, "1", 1, 0));
	WANT(ERANGE, getxattr("f", name, NULL, 0));
	name[255] = 0;
	WANT(0, removexattr("f", name));
	/* Any bytes. */
	WANT(0, setxattr("f", "user.\1\2\377 =/\n", "1", 1, 0));
	WANT(0, setxattr("f", "user.UPPER", "1", 1, 0));
	WANT(ENODATA, getxattr("f", "user.upper", NULL, 0));
	WANT(0, setxattr("f", "user..", "1", 1, 0));
	WANT_NUM(14 + 11 + 7, listxattr("f", list, sizeof list) + 1);
}

static void types(void)
{
	MUST(mkfifo("p", 0666));
	MUST(symlink("p", "s"));
	MUST(mknod("k", S_IFSOCK | 0666, 0));
	static const char *const all[] = {"p", "s", "k"};
	for (size_t i = 0; i < COUNT(all); i++) {
		WANT(EPERM, lsetxattr(all[i], "user.a", "1", 1, 0));
		WANT(ENODATA, lgetxattr(all[i], "user.a", NULL, 0));
		WANT(EPERM, lremovexattr(all[i], "user.a"));
		WANT_NUM(0, llistxattr(all[i], NULL, 0));
		if (!suite_is_root())
			continue;
		WANT(0, lsetxattr(all[i], "trusted.a", "12", 2, 0));
		WANT_NUM(2, lgetxattr(all[i], "trusted.a", NULL, 0));
		WANT_NUM(10, llistxattr(all[i], NULL, 0));
		WANT(0, lremovexattr(all[i], "trusted.a"));
	}
}

static void rights(void)
{
	char list[100];
	put("f", "x");
	MUST(chmod("f", 0644));
	MUST(mkdir("tmp", 01777));
	MUST(chmod("tmp", 01777));
	MUST(setxattr("f", "user.a", "1", 1, 0));
	MUST(setxattr("f", "trusted.a", "1", 1, 0));
	MUST(setxattr("f", "security.a", "1", 1, 0));
	WANT_NUM(7 + 10 + 11, listxattr("f", list, sizeof list));
	if (as(ANN, 0)) {
		WANT_NUM(1, getxattr("f", "user.a", NULL, 0));
		WANT(EACCES, setxattr("f", "user.a", "2", 1, 0));
		WANT(EACCES, removexattr("f", "user.a"));
		WANT(EPERM, setxattr("f", "trusted.a", "2", 1, 0));
		WANT(ENODATA, getxattr("f", "trusted.a", NULL, 0));
		WANT(EPERM, removexattr("f", "trusted.a"));
		WANT_NUM(1, getxattr("f", "security.a", NULL, 0));
		WANT(EPERM, setxattr("f", "security.a", "2", 1, 0));
		WANT(EPERM, removexattr("f", "security.a"));
		/* What is root's to see is not even listed. */
		WANT_NUM(7 + 11, listxattr("f", list, sizeof list));
		WANT_NUM(7 + 11, listxattr("f", NULL, 0));
		/* In a sticky directory's attributes others have no say. */
		WANT(EPERM, setxattr("tmp", "user.a", "1", 1, 0));
		done();
	}
	MUST(chmod("f", 0600));
	if (as(ANN, 0)) {
		WANT(EACCES, getxattr("f", "user.a", NULL, 0));
		WANT_NUM(7 + 11, listxattr("f", NULL, 0));
		done();
	}
	MUST(chmod("f", 0666));
	if (as(ANN, 0)) {
		WANT(0, setxattr("f", "user.b", "2", 1, 0));
		WANT(0, removexattr("f", "user.a"));
		done();
	}
}

static void many(void)
{
	char name[300], *list = malloc(70000);
	long n = 0, r = 0;
	put("f", "x");
	/* Until there is no room: a listing has 64 KiB, ext4 a block. */
	for (; n < 5000; n++) {
		snprintf(name, sizeof name, "user.%0200ld", n);
		r = CALL(setxattr("f", name, "value", 5, 0));
		if (r < 0)
			break;
	}
	WANT_OP(ENOSPC, r, "the %ldth attribute", n);
	WANT_TRUE(n >= (suite_plain() ? 5 : 300));
	WANT_NUM(n * 206, listxattr("f", list, 70000));
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof name, "user.%0200ld", i);
		WANT_NUM(5, getxattr("f", name, NULL, 0));
		if (i % 2)
			WANT(0, removexattr("f", name));
	}
	WANT_NUM((n + 1) / 2 * 206, listxattr("f", list, 70000));
	free(list);
	/* They follow a rename and a link, and go with the file. */
	MUST(link("f", "g"));
	MUST(rename("f", "h"));
	snprintf(name, sizeof name, "user.%0200d", 0);
	WANT_NUM(5, getxattr("g", name, NULL, 0));
	WANT_NUM(5, getxattr("h", name, NULL, 0));
	MUST(unlink("g"));
	MUST(unlink("h"));
	put("f", "x");
	WANT_NUM(0, listxattr("f", NULL, 0));
}

const struct posix_case xattr_cases[] = {
	{"xattr_values", values},
	{"xattr_flags", flags},
	{"xattr_names", names},
	{"xattr_types", types},
	{"xattr_rights", rights, .root = true},
	{"xattr_many", many},
	{0},
};
