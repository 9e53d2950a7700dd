/*
 * dirs.c: links of directories, listing them while they change, positions in a listing, odd names.
 */
#include "suite.h"

#include <dirent.h>

#define MANY 3000

static void links(void)
{
	enter("empty", 0755, geteuid());
	WANT_TRUE(look(".").st_nlink == 2 || look(".").st_nlink == 1);
	for (int i = 0; i < 20; i++) {
		char name[10];
		long before = (long)look(".").st_nlink;
		snprintf(name, sizeof name, "%d", i);
		MUST(mkdir(name, 0755));
		if (look(".").st_nlink > 1)
			WANT_NUM(before + 1, look(".").st_nlink);
		WANT_NUM(2, look(name).st_nlink);
	}
	put("f", "x");
	long before = (long)look(".").st_nlink;
	MUST(symlink("0", "s"));
	MUST(mkfifo("p", 0644));
	WANT_NUM(before, look(".").st_nlink);
	WANT(0, rmdir("3"));
	WANT_NUM(before - 1, look(".").st_nlink);
	WANT(0, rename("4", "5/4"));
	WANT_NUM(before - 2, look(".").st_nlink);
	WANT_NUM(3, look("5").st_nlink);
	WANT(ENOTEMPTY, rmdir("5"));
	WANT(0, rename("5/4", "6"));
	WANT_NUM(2, look("5").st_nlink);
	WANT(ENOTDIR, rmdir("f"));
	WANT(ENOTDIR, rmdir("s"));
	WANT(EINVAL, rmdir("7/."));
	WANT(ENOTEMPTY, rmdir("7/.."));
	WANT(EBUSY, rmdir("/"));
	WANT_NUM(look(".").st_ino, look("7/..").st_ino);
}

static void fill(int n)
{
	for (int i = 0; i < n; i++) {
		char name[20];
		snprintf(name, sizeof name, "name-%06d", i);
		close(MUST(open(name, O_CREAT | O_WRONLY, 0644)));
	}
}

/* Marks what a listing tells in @seen; returns the number of entries that are none of ours. */
static int list(DIR *dir, unsigned char *seen)
{
	struct dirent *e;
	int others = 0, number;
	while ((e = readdir(dir)))
		if (sscanf(e->d_name, "name-%d", &number) == 1 && number < 2 * MANY)
			seen[number]++;
		else
			others++;
	return others;
}

static int count(const unsigned char *seen, int from, int to, int times)
{
	int n = 0;
	for (int i = from; i < to; i++)
		n += seen[i] == times;
	return n;
}

/* What is there all the time is listed once, whatever comes and goes meanwhile. */
static void changing(void)
{
	static unsigned char seen[2 * MANY];
	fill(MANY);
	DIR *dir = opendir(".");
	struct dirent *e;
	int number, read_ones = 0;
	while (read_ones < 100 && (e = readdir(dir)))
		if (sscanf(e->d_name, "name-%d", &number) == 1)
			seen[number]++, read_ones++;
	for (int i = 0; i < MANY; i += 3) {
		char name[20], other[20];
		snprintf(name, sizeof name, "name-%06d", i);
		snprintf(other, sizeof other, "name-%06d", MANY + i);
		if (i % 2)
			MUST(unlink(name));
		else
			MUST(rename(name, other));
	}
	list(dir, seen);
	int once = 0;
	for (int i = 0; i < MANY; i++)
		if (i % 3)
			once += seen[i] == 1;
	WANT_NUM(MANY - (MANY + 2) / 3, once);
	for (int i = MANY; i < 2 * MANY; i++)
		WANT_THAT(seen[i] <= 1, "%d listed %d times", i, seen[i]);
	/* Rewound, it tells what is there now. */
	memset(seen, 0, sizeof seen);
	rewinddir(dir);
	WANT_NUM(2, list(dir, seen));
	WANT_NUM(MANY - (MANY + 2) / 3 + (MANY + 5) / 6, count(seen, 0, 2 * MANY, 1));
	WANT_NUM(0, count(seen, 0, 2 * MANY, 2));
	put("late", "x");
	rewinddir(dir);
	WANT_NUM(3, list(dir, seen));
	closedir(dir);
}

/* Renaming each entry as it is read, to and fro, comes to an end. */
static void renaming(void)
{
	fill(500);
	DIR *dir = opendir(".");
	struct dirent *e;
	int reads = 0;
	while ((e = readdir(dir)) && ++reads < 20000)
		if (e->d_name[0] == 'n') {
			MUST(rename(e->d_name, "temporary"));
			MUST(rename("temporary", e->d_name));
		}
	WANT_THAT(reads < 5000, "%d reads of 500 entries", reads);
	closedir(dir);
	/* Removing each as it is read leaves nothing. */
	dir = opendir(".");
	while ((e = readdir(dir)))
		if (e->d_name[0] == 'n')
			MUST(unlink(e->d_name));
	rewinddir(dir);
	for (reads = 0; readdir(dir); reads++)
		;
	WANT_NUM(2, reads);
	closedir(dir);
	MUST(mkdir("sub", 0755));
	WANT(0, rmdir("sub"));
}

static void positions(void)
{
	static long at[MANY + 10];
	static char names[MANY + 10][20];
	fill(MANY);
	DIR *dir = opendir(".");
	int n = 0;
	struct dirent *e;
	at[0] = telldir(dir);
	while ((e = readdir(dir)) && n < MANY + 5) {
		WANT_TRUE(e->d_ino != 0);
		snprintf(names[n++], sizeof names[0], "%.19s", e->d_name);
		at[n] = telldir(dir);
		WANT_TRUE(at[n] == e->d_off);
	}
	WANT_NUM(MANY + 2, n);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(dir, at[i]);
		e = readdir(dir);
		WANT_THAT(e && strcmp(e->d_name, names[i]) == 0, "position %d: %s, not %s", i, e ? e->d_name : "end",
			names[i]);
	}
	seekdir(dir, at[n]);
	WANT_TRUE(readdir(dir) == NULL);
	/* A position outlives the removal of what stood before it. */
	MUST(unlink(names[500][0] == 'n' ? names[500] : names[503]));
	seekdir(dir, at[1000]);
	e = readdir(dir);
	WANT_TRUE(e && strcmp(e->d_name, names[1000]) == 0);
	closedir(dir);
}

static void listed_types(void)
{
	put("f", "x");
	MUST(mkdir("d", 0755));
	MUST(symlink("x", "s"));
	MUST(mkfifo("p", 0644));
	MUST(mknod("k", S_IFSOCK | 0644, 0));
	DIR *dir = opendir(".");
	struct dirent *e;
	while ((e = readdir(dir))) {
		struct stat st = look(e->d_name);
		WANT_THAT(e->d_type == DT_UNKNOWN || e->d_type == IFTODT(st.st_mode), "type of %s: %d",
			e->d_name, e->d_type);
		if (strcmp(e->d_name, "..") != 0)
			WANT_NUM(st.st_ino, e->d_ino);
	}
	closedir(dir);
}

/* Any byte but / and NUL; case counts; what looks alike is different. */
static void odd_names(void)
{
	static const char *const odd[] = {" ", "  ", "\n", "\t", "\1", "\x7f", "\xff", "\xc3\xa9", "e\xcc\x81",
		"A", "a", "...", ". ", ".x", "-rf", "*", "?", "\\", "'", "\"", "`", "$(x)", "a:b", "con", "nul.txt",
		"x.", "%s%n", "\xed\xa0\x80"};
	for (size_t i = 0; i < COUNT(odd); i++) {
		close(MUST(open(odd[i], O_CREAT | O_EXCL | O_WRONLY, 0644)));
		WANT_NUM(1, there(odd[i]));
	}
	DIR *dir = opendir(".");
	struct dirent *e;
	size_t found = 0;
	while ((e = readdir(dir)))
		for (size_t i = 0; i < COUNT(odd); i++)
			found += strcmp(e->d_name, odd[i]) == 0;
	WANT_NUM(COUNT(odd), found);
	closedir(dir);
	for (size_t i = 0; i < COUNT(odd); i++)
		WANT(0, unlink(odd[i]));
}

static void removed(void)
{
	MUST(mkdir("d", 0755));
	int d = MUST(open("d", O_RDONLY | O_DIRECTORY));
	DIR *list_of_d = fdopendir(dup(d));
	MUST(rmdir("d"));
	struct stat st;
	MUST(fstat(d, &st));
	WANT_NUM(0, st.st_nlink);
	WANT(ENOENT, openat(d, "f", O_CREAT | O_WRONLY, 0644));
	WANT(ENOENT, mkdirat(d, "f", 0755));
	WANT(ENOENT, mkfifoat(d, "f", 0644));
	WANT(ENOENT, symlinkat("x", d, "f"));
	WANT(ENOENT, fstatat(d, "f", &st, 0));
	WANT(ENOENT, unlinkat(d, "f", 0));
	WANT(0, fstatat(d, ".", &st, 0));
	WANT(0, fchmod(d, 0700));
	WANT(0, fsync(d));
	int entries = 0;
	rewinddir(list_of_d);
	while (readdir(list_of_d))
		entries++;
	WANT_TRUE(entries == 0 || entries == 2);
	MUST(mkdir("d", 0755));
	WANT_NUM(0, fstatat(d, ".", &st, 0));
	WANT_TRUE(st.st_ino != look("d").st_ino);
	WANT(ENOENT, fstatat(d, "f", &st, 0));
	closedir(list_of_d);
}

const struct posix_case dir_cases[] = {
	{"dir_links", links},
	{"dir_changing", changing},
	{"dir_renaming", renaming},
	{"dir_positions", positions},
	{"dir_types", listed_types},
	{"dir_odd_names", odd_names},
	{"dir_removed", removed},
	{0},
};
