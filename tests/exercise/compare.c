#include "tests/exercise/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_FLAGS (O_RDONLY | O_NOATIME | O_NOFOLLOW)

static bool before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static bool equal(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static void expect_time(struct run *run, struct node *node, const char *path, unsigned which,
	const struct timespec *now)
{
	static const char *const names[] = {"atime", "mtime", "ctime"};
	const struct timespec *from = &run->began;
	struct timespec *old = &node->times[which];
	bool fresh = !before(now, from) && !before(&run->ended, now), same = equal(now, old);
	bool must = node->must & 1u << which, may = node->may & 1u << which;
	if (which == TIME_A && node->atime_lost) { /* as of some time before */
		must = false;
		same = true;
	} else if (which == TIME_A && !run->t->exact_atime) { /* reads ahead come when they come */
		same = same || !before(now, &run->started);
	}
	if (must ? !fresh : may ? !fresh && !same : !same)
		run_fail(run, "%s of %s is %lld.%09ld, %s %lld.%09ld", names[which], path,
			(long long)now->tv_sec, now->tv_nsec, must ? "must be after" : "was",
			(long long)(must ? from : old)->tv_sec, (must ? from : old)->tv_nsec);
	*old = *now;
}

static void expect_number(struct run *run, const char *path, const char *what, uint64_t expected,
	uint64_t got)
{
	if (expected != got)
		run_fail(run, "%s of %s is %llu (0%llo), expected %llu (0%llo)", what, path,
			(unsigned long long)got, (unsigned long long)got, (unsigned long long)expected,
			(unsigned long long)expected);
}

static void expect_stat(struct run *run, struct node *node, const char *path, const struct stat *st)
{
	expect_number(run, path, "mode", node->mode, st->st_mode);
	expect_number(run, path, "owner", node->uid, st->st_uid);
	expect_number(run, path, "group", node->gid, st->st_gid);
	expect_number(run, path, "link count", node->nlink, st->st_nlink);
	if (S_ISREG(node->mode) || S_ISLNK(node->mode))
		expect_number(run, path, "size", node->data.size, (uint64_t)st->st_size);
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		expect_number(run, path, "device", node->rdev, st->st_rdev);
	if (!node->ino)
		node->ino = st->st_ino;
	expect_number(run, path, "inode number", node->ino, st->st_ino);
	expect_time(run, node, path, TIME_A, &st->st_atim);
	expect_time(run, node, path, TIME_M, &st->st_mtim);
	expect_time(run, node, path, TIME_C, &st->st_ctim);
	node->must = node->may = 0;
	node->touched = node->atime_lost = false;
}

static void compare_one(struct run *run, struct node *node, const char *path, unsigned slot)
{
	char name[64];
	struct stat st;
	int r = run->t->ops->stat(run->t, path, slot, &st);
	snprintf(name, sizeof name, "slot %u", slot);
	if (r < 0)
		run_fail(run, "stat of %s: %s", path ? path : name, strerror(-r));
	else
		expect_stat(run, node, !path ? name : *path ? path : "/", &st);
}

void compare_attributes(struct run *run, struct node *node, const char *path)
{
	compare_one(run, node, path, 0);
}

void compare_touched(struct run *run)
{
	for (struct node *node = run->m->nodes; node && !run->failed; node = node->next) {
		int slot = model_slot_of(run->m, node);
		char text[RUN_PATH];
		struct step_path path;
		if (!node->touched)
			continue;
		if (model_path(node, &path)) {
			run_path(&path, text);
			compare_one(run, node, text, 0);
		} else if (slot >= 0) {
			compare_one(run, node, NULL, (unsigned)slot);
		}
	}
}

/* ---- xattrs ---------------------------------------------------------------------------------- */

size_t compare_encode_acl(const struct acl_list *acl, uint8_t ret_value[4 + 8 * ACL_ITEMS])
{
	uint8_t *p = ret_value + 4;
	memcpy(ret_value, "\2\0\0\0", 4);
	for (unsigned i = 0; i < acl->n; i++, p += 8) {
		const struct acl_item *e = &acl->items[i];
		for (unsigned b = 0; b < 2; b++) {
			p[b] = (uint8_t)(e->tag >> 8 * b);
			p[2 + b] = (uint8_t)(e->perm >> 8 * b);
		}
		for (unsigned b = 0; b < 4; b++)
			p[4 + b] = (uint8_t)(e->id >> 8 * b);
	}
	return (size_t)(p - ret_value);
}

static void expect_attr(struct run *run, const char *path, const char *name, const void *value,
	size_t size)
{
	ssize_t n = run->t->ops->getxattr(run->t, path, name, run->seen, 65536);
	if (n != (ssize_t)size || memcmp(run->seen, value, size))
		run_fail(run, "%s of %s is not what it was set to (%zd, expected %zu)", name, path, n, size);
}

static unsigned expect_acl(struct run *run, const char *path, const char *name,
	const struct acl_list *acl)
{
	uint8_t value[4 + 8 * ACL_ITEMS];
	if (acl->n)
		expect_attr(run, path, name, value, compare_encode_acl(acl, value));
	return acl->n > 0;
}

static void compare_attrs(struct run *run, struct node *node, const char *path)
{
	char names[65536];
	unsigned expected = expect_acl(run, path, "system.posix_acl_access", &node->access) +
			    expect_acl(run, path, "system.posix_acl_default", &node->defaults);
	unsigned listed = 0;
	ssize_t n = run->t->ops->listxattr(run->t, path, names, sizeof names);
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1)
		listed++;
	for (const struct attr *a = node->attrs; a; a = a->next) {
		expect_attr(run, path, a->name, a->value, a->size);
		expected++;
	}
	if (n < 0 || listed != expected)
		run_fail(run, "%u xattrs of %s are listed (%zd), expected %u", listed, path, n, expected);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Whether what is read from @from to @end is that; the rest is zeros and holes. */
static bool same_range(struct run *run, const struct content *data, uint64_t from, uint64_t end)
{
	while (from < end) {
		size_t len = end - from < RUN_IO ? end - from : RUN_IO;
		ssize_t n = run->t->ops->read(run->t, STEP_CHECK_SLOT, (int64_t)from, run->seen, len);
		if (n != (ssize_t)len)
			return false;
		content_read(data, from, run->bytes, len);
		if (memcmp(run->bytes, run->seen, len))
			return false;
		from += len;
	}
	return true;
}

/* The open file, segment by segment. *ret_at: where it differs. */
static bool same_bytes(struct run *run, const struct content *data, uint64_t *ret_at)
{
	for (uint64_t at = 0, end; at < data->size; at = end) {
		int64_t from = run->t->ops->seek(run->t, STEP_CHECK_SLOT, (int64_t)at, SEEK_DATA), to;
		*ret_at = at;
		if (from == -ENXIO)
			return content_is_zero(data, at, data->size);
		if (from < (int64_t)at || !content_is_zero(data, at, (uint64_t)from))
			return false;
		to = run->t->ops->seek(run->t, STEP_CHECK_SLOT, from, SEEK_HOLE);
		*ret_at = (uint64_t)from;
		if (to <= from || to > (int64_t)data->size ||
			!same_range(run, data, (uint64_t)from, (uint64_t)to))
			return false;
		end = (uint64_t)to;
	}
	return true;
}

static void compare_bytes(struct run *run, struct node *node, const char *path)
{
	uint64_t at = 0;
	int r = run->t->ops->open(run->t, STEP_CHECK_SLOT, path, CHECK_FLAGS, 0);
	if (r < 0) {
		run_fail(run, "open of %s: %s", path, strerror(-r));
		return;
	}
	if (!same_bytes(run, &node->data, &at))
		run_fail(run, "%s has other bytes after %llu", path, (unsigned long long)at);
	run->t->ops->close(run->t, STEP_CHECK_SLOT);
}

/* ---- the tree -------------------------------------------------------------------------------- */

struct listed {
	struct run *run;
	struct node *dir;
	const char *path;
	unsigned n;
	bool dot, dotdot;
};

static void expect_entry(void *arg, const char *name, ino_t ino, mode_t type)
{
	struct listed *l = arg;
	struct entry *e = NULL;
	if (!strcmp(name, ".") || !strcmp(name, "..")) {
		if (name[1] ? l->dotdot : l->dot)
			run_fail(l->run, "%s lists %s twice", l->path, name);
		*(name[1] ? &l->dotdot : &l->dot) = true;
		return;
	}
	for (unsigned i = 0; i < step_names() && !e; i++)
		if (!strcmp(step_name(i), name))
			e = model_entry(l->dir, i);
	l->n++;
	if (!e)
		run_fail(l->run, "%s lists %s", l->path, name);
	else if ((e->node->mode & S_IFMT) != type || (e->node->ino && e->node->ino != ino))
		run_fail(l->run, "%s lists %s as another (%llu, type 0%o)", l->path, name,
			(unsigned long long)ino, type);
}

static void compare_listing(struct run *run, struct node *node, const char *path)
{
	struct listed l = {.run = run, .dir = node, .path = path};
	int r = run->t->ops->list(run->t, path, expect_entry, &l);
	if (r < 0)
		run_fail(run, "listing %s: %s", path, strerror(-r));
	else if (l.n != node->n_entries || !l.dot || !l.dotdot)
		run_fail(run, "%s lists %u names, expected %u", path, l.n, node->n_entries);
	model_touch(node, 0, STAMP_A);
}

static void compare_link(struct run *run, struct node *node, const char *path)
{
	char link[4096];
	ssize_t n = run->t->ops->readlink(run->t, path, link, sizeof link);
	if (n != (ssize_t)node->data.size || memcmp(link, node->target, (size_t)n))
		run_fail(run, "%s leads elsewhere", path);
	node->atime_lost = true; /* marked between two steps; another name may lead here, too */
}

void compare_tree(struct run *run, struct node *node, char path[RUN_PATH])
{
	size_t len = strlen(path);
	compare_one(run, node, path, 0);
	if (!run->failed)
		compare_attrs(run, node, path);
	if (!run->failed && S_ISREG(node->mode))
		compare_bytes(run, node, path);
	if (!run->failed && S_ISLNK(node->mode))
		compare_link(run, node, path);
	if (!run->failed && S_ISDIR(node->mode))
		compare_listing(run, node, path);
	for (struct entry *e = node->entries; e && !run->failed; e = e->next) {
		snprintf(path + len, RUN_PATH - len, "%s%s", len ? "/" : "", step_name(e->name));
		compare_tree(run, e->node, path);
	}
	path[len] = '\0';
}

static void expect_own(struct run *run, const struct node *a, const struct node *others)
{
	for (const struct node *b = others; b; b = b->next)
		if (a->ino && a->ino == b->ino)
			run_fail(run, "inode number %llu is given twice", (unsigned long long)a->ino);
}

void compare_numbers(struct run *run, const struct model *m)
{
	for (const struct node *a = m->nodes; a; a = a->next) {
		expect_own(run, a, a->next);
		if (m != run->m)
			expect_own(run, a, run->m->nodes);
		for (unsigned i = 0; i < STEP_PASTS; i++)
			if (run->pasts[i] && run->pasts[i] != m)
				expect_own(run, a, run->pasts[i]->nodes);
	}
}

void compare_all(struct run *run)
{
	char path[RUN_PATH] = "";
	run_end(run);
	compare_tree(run, run->m->root, path);
	compare_numbers(run, run->m);
	run_end(run);
}

/* ---- after a crash --------------------------------------------------------------------------- */

/* Whether the file that came back has this size, time and bytes. */
static bool is_state(struct run *run, const struct stat *st, const struct content *data,
	const struct timespec *mtime)
{
	uint64_t at;
	return (uint64_t)st->st_size == data->size && equal(&st->st_mtim, mtime) &&
	       same_bytes(run, data, &at);
}

static void adopt_file(struct run *run, struct node *node, const char *path)
{
	struct stat st;
	size_t k = 0;
	int r = run->t->ops->stat(run->t, path, 0, &st);
	if (r == 0)
		r = run->t->ops->open(run->t, STEP_CHECK_SLOT, path, CHECK_FLAGS, 0);
	if (r < 0) {
		run_fail(run, "%s after a crash: %s", path, strerror(-r));
		return;
	}
	while (k < node->n_versions &&
		!is_state(run, &st, &node->versions[k].data, &node->versions[k].mtime))
		k++;
	if (k < node->n_versions) {
		if (before(&node->times[TIME_C], &st.st_ctim))
			run_fail(run, "%s has a ctime that it never had", path);
		content_release(&node->data);
		content_copy(&node->versions[k].data, &node->data);
		node->times[TIME_M] = node->versions[k].mtime;
		node->times[TIME_C] = st.st_ctim;
	} else if (!is_state(run, &st, &node->data, &node->times[TIME_M])) {
		run_fail(run, "%s (%lld bytes) is in no state that it had since it was last kept", path,
			(long long)st.st_size);
	}
	run->t->ops->close(run->t, STEP_CHECK_SLOT);
}

void compare_crashed(struct run *run)
{
	for (struct node *node = run->m->nodes; node && !run->failed; node = node->next) {
		char text[RUN_PATH];
		struct step_path path;
		node->atime_lost = true;
		if (!node->n_versions)
			continue;
		if (model_path(node, &path)) {
			run_path(&path, text);
			adopt_file(run, node, text);
		}
		model_kept(node);
	}
}
