/*
 * compare.c: two trees side by side, directory by directory. What is in one alone is gathered, and what
 * has the same inode number in both lists is a rename.
 */
#include "tools/compare.h"

#include "fs/fuse/ioctl.h"
#include "kv/buf.h"
#include "kv/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define INO_MASK ((1ull << 40) - 1) /* of a number: which inode, in whichever snapshot */

/* What may differ in one container; whole: everything may. */
struct set {
	bool whole;
	uint64_t *ino; /* sorted */
	size_t n, cap;
};

struct entry {
	char name[NAME_MAX + 1];
	uint64_t ino;
	bool dir;
};

struct entries {
	struct entry *list; /* sorted by name */
	size_t n, cap;
};

/* What one tree has and the other does not. */
struct single {
	char *path;
	uint64_t ino;
	bool dir, matched;
};

struct singles {
	struct single *list;
	size_t n, cap;
};

struct walk {
	const char *a, *b;
	int session; /* levels below the top that may be containers of their own */
	bool any;
	struct singles gone, come;
	struct changes *changes;
};

static void set_release(struct set *s)
{
	free(s->ino);
}

static void entries_release(struct entries *e)
{
	free(e->list);
}

static void singles_release(struct singles *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->list[i].path);
	free(s->list);
}

void changes_release(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->list[i].path);
		free(c->list[i].from);
	}
	free(c->list);
	*c = (struct changes){0};
}

/* Room for one more. */
static int grow(void **list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return 0;
	size_t wanted = *cap ? 2 * *cap : 32;
	void *grown = realloc(*list, wanted * size);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	*cap = wanted;
	return 0;
}

static int add_change(struct walk *w, enum change_kind kind, const char *path, bool dir, const char *from)
{
	struct changes *c = w->changes;
	struct change one = {.kind = kind};
	int r = grow((void **)&c->list, c->n, &c->cap, sizeof *c->list);

	if (r == 0 && asprintf(&one.path, "%s%s", *path ? path : ".", dir && *path ? "/" : "") < 0)
		r = -ENOMEM;
	if (r == 0 && from && asprintf(&one.from, "%s%s", from, dir ? "/" : "") < 0) {
		free(one.path);
		r = -ENOMEM;
	}
	if (r == 0)
		c->list[c->n++] = one;
	return r < 0 ? r : w->any;
}

static int add_single(struct singles *s, const char *path, const struct entry *e)
{
	int r = grow((void **)&s->list, s->n, &s->cap, sizeof *s->list);
	char *copy = r == 0 ? strdup(path) : NULL;

	if (!copy)
		return -ENOMEM;
	s->list[s->n++] = (struct single){.path = copy, .ino = e->ino, .dir = e->dir};
	return 0;
}

/* ---- what may differ ------------------------------------------------------------------------- */

static int by_ino(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static bool set_has(const struct set *s, uint64_t ino)
{
	return s->whole || (s->n && bsearch(&ino, s->ino, s->n, sizeof ino, by_ino));
}

/* -EINVAL: these are no place, or not the same one. */
static int set_read(const char *a, const char *b, struct set *s)
{
	_cleanup_close_ int fd = open(a, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ struct scribefs_changes *asked = calloc(1, sizeof *asked);
	struct stat st;

	if (!asked)
		return -ENOMEM;
	if (fd < 0 || stat(b, &st) < 0)
		return -errno;
	asked->other = st.st_ino;
	do {
		uint64_t before = asked->after;
		if (ioctl(fd, SCRIBEFS_IOC_CHANGES, asked) < 0)
			return -errno;
		for (uint32_t i = 0; i < asked->n && i < SCRIBEFS_CHANGES; i++) {
			int r = grow((void **)&s->ino, s->n, &s->cap, sizeof *s->ino);
			if (r < 0)
				return r;
			s->ino[s->n++] = asked->ino[i] & INO_MASK;
		}
		s->whole |= asked->many || (asked->more && asked->after == before);
	} while (asked->more && !s->whole);
	if (s->n)
		qsort(s->ino, s->n, sizeof *s->ino, by_ino);
	return 0;
}

/* ---- one name in both ------------------------------------------------------------------------ */

static int read_whole(int fd, char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, data + done, size - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	return (int)done;
}

/* 1: they differ. */
static int compare_bytes(const char *a, const char *b)
{
	enum { PIECE = 1 << 17 };
	_cleanup_close_ int first = open(a, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_close_ int second = open(b, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *x = malloc(PIECE), *y = malloc(PIECE);

	if (first < 0 || second < 0)
		return -errno;
	if (!x || !y)
		return -ENOMEM;
	for (;;) {
		int n = read_whole(first, x, PIECE), m = n < 0 ? n : read_whole(second, y, PIECE);
		if (m < 0)
			return m;
		if (n != m || memcmp(x, y, (size_t)n) != 0)
			return 1;
		if (n == 0)
			return 0;
	}
}

static int compare_targets(const char *a, const char *b)
{
	char x[PATH_MAX], y[PATH_MAX];
	ssize_t n = readlink(a, x, sizeof x), m = readlink(b, y, sizeof y);

	if (n < 0 || m < 0)
		return -errno;
	return n != m || memcmp(x, y, (size_t)n) != 0;
}

static int compare_xattrs(const char *a, const char *b)
{
	enum { NAMES = 65536, VALUE = 65536 };
	_cleanup_free_ char *names = malloc(NAMES), *others = malloc(NAMES), *x = malloc(VALUE), *y = malloc(VALUE);

	if (!names || !others || !x || !y)
		return -ENOMEM;
	ssize_t n = llistxattr(a, names, NAMES), m = llistxattr(b, others, NAMES);
	if (n < 0 || m < 0)
		return errno == ENOTSUP ? 0 : -errno;
	if (n != m || memcmp(names, others, (size_t)n) != 0) /* the order is that of hashes of the names */
		return 1;
	for (const char *name = names; name < names + n; name += strlen(name) + 1) {
		ssize_t k = lgetxattr(a, name, x, VALUE), l = lgetxattr(b, name, y, VALUE);
		if (k < 0 || l < 0)
			return -errno;
		if (k != l || memcmp(x, y, (size_t)k) != 0)
			return 1;
	}
	return 0;
}

/* 1: something other than times differs; of directories themselves. */
static int differs(const char *a, const char *b, const struct stat *x, const struct stat *y)
{
	int r = 0;

	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid || x->st_rdev != y->st_rdev)
		return 1;
	if ((x->st_ino & INO_MASK) == (y->st_ino & INO_MASK) && x->st_ctim.tv_sec == y->st_ctim.tv_sec &&
		x->st_ctim.tv_nsec == y->st_ctim.tv_nsec)
		return 0;
	if (S_ISREG(x->st_mode))
		r = x->st_size != y->st_size ? 1 : compare_bytes(a, b);
	else if (S_ISLNK(x->st_mode))
		r = compare_targets(a, b);
	return r != 0 ? r : compare_xattrs(a, b);
}

/* ---- directories ----------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool is_dir(const char *path, const struct dirent *entry)
{
	char full[PATH_MAX];
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return snprintf(full, sizeof full, "%s/%s", path, entry->d_name) < (int)sizeof full && lstat(full, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

static int entries_read(const char *path, struct entries *e)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		r = grow((void **)&e->list, e->n, &e->cap, sizeof *e->list);
		if (r < 0)
			break;
		struct entry *one = &e->list[e->n++];
		snprintf(one->name, sizeof one->name, "%s", entry->d_name);
		one->ino = entry->d_ino & INO_MASK;
		one->dir = is_dir(path, entry);
	}
	closedir(dir);
	if (e->n)
		qsort(e->list, e->n, sizeof *e->list, by_name);
	return r;
}

/* The level of sessions there: those in .trash lie one deeper. */
static int session_level(const struct walk *w, const char *path)
{
	const char *at = strstr(path, ".trash");
	return w->session + (at && (at == path || at[-1] == '/'));
}

/* "" is the tree itself. */
static int join(const char *top, const char *below, char ret_path[PATH_MAX])
{
	return snprintf(ret_path, PATH_MAX, "%s%s%s", top, *top && *below ? "/" : "", below) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

static int walk(struct walk *w, const char *a, const char *b, const struct set *above, int level);

/* @same: the set says that it is as it was. */
static int walk_pair(struct walk *w, const char *was, const char *is, const struct set *set, int level)
{
	char a[PATH_MAX], b[PATH_MAX];
	struct stat x, y;
	int r = join(w->a, was, a);

	if (r == 0)
		r = join(w->b, is, b);
	if (r < 0)
		return r;
	if (lstat(a, &x) < 0 || lstat(b, &y) < 0)
		return -errno;
	r = differs(a, b, &x, &y);
	if (r > 0)
		r = add_change(w, CHANGE_MODIFIED, is, S_ISDIR(y.st_mode), NULL);
	return r != 0 || !S_ISDIR(x.st_mode) || !S_ISDIR(y.st_mode) ? r : walk(w, was, is, set, level);
}

static int walk_entry(struct walk *w, const char *was, const char *is, const struct entry *x,
	const struct entry *y, const struct set *set, int level)
{
	static const struct set all = {.whole = true};
	char old[PATH_MAX] = "", new[PATH_MAX] = "";
	int r = x ? join(was, x->name, old) : 0;

	if (r == 0 && y)
		r = join(is, y->name, new);
	if (r < 0)
		return r;
	if (x && y && x->dir == y->dir) {
		if (x->ino != y->ino)
			return walk_pair(w, old, new, &all, level + 1);
		if (set_has(set, x->ino) || (x->dir && level < session_level(w, old)))
			return walk_pair(w, old, new, set, level + 1);
		return 0;
	}
	if (w->any)
		return 1;
	if (x)
		r = add_single(&w->gone, old, x);
	return r < 0 || !y ? r : add_single(&w->come, new, y);
}

/* Directories of both trees, which may differ. */
static int walk(struct walk *w, const char *was, const char *is, const struct set *above, int level)
{
	_cleanup_(entries_release) struct entries x = {0}, y = {0};
	_cleanup_(set_release) struct set own = {0};
	char a[PATH_MAX], b[PATH_MAX];
	size_t i = 0, j = 0;
	int r = join(w->a, was, a);

	if (r == 0)
		r = join(w->b, is, b);
	if (r == 0 && level <= session_level(w, was)) {
		r = set_read(a, b, &own);
		if (r == 0)
			above = &own;
		r = r == -EINVAL || r == -ENOTTY ? 0 : r;
	}
	if (r == 0 && !above->whole && above->n == 0 && level >= session_level(w, was))
		return 0;
	if (r == 0)
		r = entries_read(a, &x);
	if (r == 0)
		r = entries_read(b, &y);
	while (r == 0 && (i < x.n || j < y.n)) {
		int order = i == x.n ? 1 : j == y.n ? -1 : strcmp(x.list[i].name, y.list[j].name);
		r = walk_entry(w, was, is, order <= 0 ? &x.list[i] : NULL,
			order >= 0 ? &y.list[j] : NULL, above, level);
		i += order <= 0;
		j += order >= 0;
	}
	return r;
}

/* ---- what one tree alone has ----------------------------------------------------------------- */

static int by_single(const void *a, const void *b)
{
	const struct single *x = a, *y = b;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* Those that are in both lists were renamed; what lies in them may differ. */
static int match(struct walk *w)
{
	static const struct set all = {.whole = true};
	size_t n = w->come.n;

	if (w->gone.n)
		qsort(w->gone.list, w->gone.n, sizeof *w->gone.list, by_single);
	for (size_t i = 0; i < n; i++) {
		struct single come = w->come.list[i], *found;
		size_t gone = w->gone.n;
		if (come.matched || !gone)
			continue;
		found = bsearch(&come, w->gone.list, gone, sizeof come, by_single);
		if (!found || found->matched || found->dir != come.dir)
			continue;
		found->matched = w->come.list[i].matched = true;
		int r = add_change(w, CHANGE_RENAMED, come.path, come.dir, found->path);
		if (r == 0)
			r = walk_pair(w, found->path, come.path, &all, INT_MAX);
		if (r != 0)
			return r;
		if (w->gone.n != gone)
			qsort(w->gone.list, w->gone.n, sizeof *w->gone.list, by_single);
	}
	return 0;
}

/* Adds what lies below the directories in the list; it grows meanwhile. */
static int expand(const char *top, struct singles *s)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		_cleanup_(entries_release) struct entries e = {0};
		char path[PATH_MAX];
		if (!s->list[i].dir || s->list[i].matched)
			continue;
		r = join(top, s->list[i].path, path);
		if (r == 0)
			r = entries_read(path, &e);
		for (size_t j = 0; r == 0 && j < e.n; j++) {
			r = join(s->list[i].path, e.list[j].name, path);
			if (r == 0)
				r = add_single(s, path, &e.list[j]);
		}
	}
	return r;
}

static int tell(struct walk *w, const struct singles *s, enum change_kind kind)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n; i++)
		if (!s->list[i].matched)
			r = add_change(w, kind, s->list[i].path, s->list[i].dir, NULL);
	return r;
}

static int finish(struct walk *w)
{
	int r = match(w);

	if (r == 0)
		r = expand(w->a, &w->gone);
	if (r == 0)
		r = expand(w->b, &w->come);
	if (r == 0)
		r = match(w);
	if (r == 0)
		r = tell(w, &w->gone, CHANGE_REMOVED);
	return r == 0 ? tell(w, &w->come, CHANGE_ADDED) : r;
}

static int by_path(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	return order ? order : (int)y->kind - (int)x->kind;
}

int compare(const struct past *a, const struct past *b, bool any, struct changes *ret_changes)
{
	_cleanup_(set_release) struct set set = {0};
	struct walk w = {.a = a->shown, .b = b->shown, .any = any, .changes = ret_changes};
	int session = past_session_depth(a), r = -EINVAL;
	char above[2][PATH_MAX];

	w.session = session == INT_MAX ? 3 - a->depth : session - a->depth;
	if (session != INT_MAX && a->depth > session) { /* in a session */
		past_above(a, session, above[0]);
		past_above(b, session, above[1]);
		r = strcmp(a->path, b->path) ? -EINVAL : set_read(above[0], above[1], &set);
	}
	if (r < 0)
		set.whole = true;
	r = walk_pair(&w, "", "", &set, 0);
	if (r == 0)
		r = finish(&w);
	if (r > 0 && ret_changes->n == 0)
		r = add_change(&w, CHANGE_MODIFIED, "", true, NULL);
	singles_release(&w.gone);
	singles_release(&w.come);
	if (ret_changes->n)
		qsort(ret_changes->list, ret_changes->n, sizeof *ret_changes->list, by_path);
	return r < 0 ? r : 0;
}
