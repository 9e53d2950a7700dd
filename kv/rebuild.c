/*
 * rebuild.c: a new engine directory out of a damaged one. Never a change of the old one until the new
 * one is known to be good:
 *
 *   db.rebuild    a copy of db/: tables by hard links (nobody changes a table), all else by bytes. The
 *                 engine mends it (ops->salvage): metadata made anew, the log read past its damage.
 *   db.rebuilt    only where the copy has stretches that cannot be read: all other records of it,
 *                 as they are, sealed. A table with a bad block would stop the engine's compaction.
 *   db            the old one, until it changes places with the new one in one step
 *   db.damaged…   where the old one is kept
 *
 * Records are not opened here: what is wrong with them the checker finds.
 */
#include "kv/check.h"
#include "kv/kv_internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define COPY_BYTES (1u << 20)
#define BATCH_RECORDS 1024
#define BATCH_BYTES (4u << 20)
#define KEPT_MAX 1000

struct rebuild {
	struct kv *kv;
	int dir; /* the store's */
	char *copy, *fresh;
	const char *good; /* the name of the one that takes the place of db/ */
	struct kv_rebuilt *result;
};

/* ---- directories of plain files -------------------------------------------------------------- */

static int remove_tree(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;
	struct dirent *d;
	DIR *entries;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	entries = fdopendir(fd);
	if (!entries) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (d = readdir(entries))) {
		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		if (unlinkat(fd, d->d_name, 0) == 0)
			continue;
		r = errno == EISDIR || errno == EPERM ? remove_tree(fd, d->d_name) : -errno;
	}
	closedir(entries);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

static int copy_bytes(int from, int to, const char *name)
{
	_cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int out = -1;
	_cleanup_free_ uint8_t *bytes = malloc(COPY_BYTES);
	ssize_t n;

	if (in < 0)
		return -errno;
	if (!bytes)
		return -ENOMEM;
	out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return -errno;
	while ((n = read(in, bytes, COPY_BYTES)) > 0) {
		ssize_t written = write(out, bytes, (size_t)n);
		if (written != n)
			return written < 0 ? -errno : -ENOSPC;
	}
	/* What a bad sector hides of a file of metadata is lost; the rest may do. */
	return 0;
}

static bool is_table(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && strcmp(dot, ".sst") == 0;
}

static int copy_database(struct rebuild *rb)
{
	_cleanup_close_ int from = openat(rb->dir, "db", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = -1;
	struct dirent *d;
	struct stat st;
	DIR *entries;
	int r = 0;

	if (from < 0)
		return errno == ENOENT ? -EBADMSG : -errno;
	if (mkdirat(rb->dir, "db.rebuild", 0700) < 0)
		return -errno;
	to = openat(rb->dir, "db.rebuild", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	entries = to < 0 ? NULL : fdopendir(dup(from));
	if (!entries)
		return -errno;
	while (r == 0 && (d = readdir(entries))) {
		if (fstatat(from, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (is_table(d->d_name) && linkat(from, d->d_name, to, d->d_name, 0) == 0)
			continue;
		r = copy_bytes(from, to, d->d_name);
	}
	closedir(entries);
	return r;
}

/* ---- records --------------------------------------------------------------------------------- */

struct batch {
	struct kv_write writes[BATCH_RECORDS];
	size_t at[BATCH_RECORDS]; /* in bytes: key, then value */
	size_t n;
	struct buf bytes;
};

static int batch_write(const struct kv_engine_ops *ops, struct kv_engine *to, struct batch *b)
{
	int r;

	for (size_t i = 0; i < b->n; i++) {
		b->writes[i].key = b->bytes.data + b->at[i];
		b->writes[i].value = b->writes[i].key + b->writes[i].key_len;
	}
	r = b->n ? ops->write(to, b->writes, b->n) : 0;
	b->n = 0;
	b->bytes.len = 0;
	return r;
}

static int batch_add(struct batch *b, const struct kv_engine_ops *ops, struct kv_engine_iter *it,
	enum kv_family family)
{
	struct kv_write *w = &b->writes[b->n];
	const uint8_t *key, *value;
	int r;

	*w = (struct kv_write){.family = family};
	key = ops->iter_key(it, &w->key_len);
	value = ops->iter_value(it, &w->value_len);
	b->at[b->n++] = b->bytes.len;
	r = buf_append(&b->bytes, key, w->key_len);
	return r < 0 ? r : buf_append(&b->bytes, value, w->value_len);
}

/* Reads a family to its end; with @to every record is written there. Adds to *@gaps. */
static int read_family(struct kv *kv, enum kv_family family, struct kv_engine *to,
	struct batch *b, unsigned *gaps)
{
	const struct kv_engine_ops *ops = kv->ops;
	struct kv_engine_iter *it;
	uint8_t last[KV_KEY_MAX];
	size_t last_len = 0;
	int r = ops->iter_open(kv->engine, NULL, family, NULL, 0, &it), error = 0;

	if (r < 0)
		return r;
	r = ops->iter_seek(it, NULL, 0);
	while (error == 0) {
		const uint8_t *key;

		if (r < 0) {
			(*gaps)++;
			r = kv_pass_gap(kv, family, &it, last, last_len);
		}
		if (r <= 0)
			break;
		key = ops->iter_key(it, &last_len);
		last_len = last_len < sizeof last ? last_len : sizeof last;
		memcpy(last, key, last_len);
		if (to)
			error = batch_add(b, ops, it, family);
		if (error == 0 && to && (b->n == BATCH_RECORDS || b->bytes.len > BATCH_BYTES))
			error = batch_write(ops, to, b);
		r = ops->iter_next(it);
	}
	if (it)
		ops->iter_free(it);
	if (error == 0 && to)
		error = batch_write(ops, to, b);
	return error < 0 ? error : r;
}

/* All of the copy, which is open as the store's engine. */
static int read_all(struct rebuild *rb, struct kv_engine *to, unsigned *gaps)
{
	_cleanup_free_ struct batch *b = calloc(1, sizeof *b);
	int r = b ? 0 : -ENOMEM;

	for (enum kv_family f = 0; r == 0 && f < KV_FAMILIES; f++)
		r = read_family(rb->kv, f, to, b, gaps);
	if (b)
		buf_release(&b->bytes);
	return r;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static int write_fresh(struct rebuild *rb)
{
	const struct kv_engine_ops *ops = rb->kv->ops;
	struct kv_engine *to;
	unsigned gaps = 0;
	int r = ops->open(rb->fresh, &rb->kv->options, false, &to);

	if (r < 0)
		return r;
	r = read_all(rb, to, &gaps);
	if (r == 0)
		r = ops->sync(to);
	ops->close(to);
	rb->good = "db.rebuilt";
	return r;
}

/* The copy is opened, read to its end, and where that shows gaps written anew. */
static int try_copy(struct rebuild *rb)
{
	const struct kv_engine_ops *ops = rb->kv->ops;
	struct kv_commit_row row = {0};
	unsigned gaps = 0;
	int r = ops->open(rb->copy, &rb->kv->options, false, &rb->kv->engine);

	if (r < 0)
		return r;
	r = kv_commit_row_read(rb->kv, rb->kv->engine, NULL, &row);
	if (r == -EBADMSG || r == -EIO)
		r = 0;
	if (r == 0)
		r = read_all(rb, NULL, &gaps);
	if (r == 0 && gaps)
		r = write_fresh(rb);
	if (r == 0)
		r = ops->sync(rb->kv->engine);
	ops->close(rb->kv->engine);
	rb->kv->engine = NULL;
	rb->result->gaps = gaps;
	rb->result->sequence = row.sequence;
	return r;
}

static int sync_tree(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Its files and entries: the engine has synced what it wrote, not the links and copies. */
	if (fd < 0 || syncfs(fd) < 0)
		return -errno;
	return 0;
}

/* The good one and db/ change places; what was db/ gets a name of its own. */
static int swap(struct rebuild *rb)
{
	char *kept = rb->result->kept;
	int r = sync_tree(rb->dir, rb->good), n = 1;

	if (r < 0)
		return r;
	do
		snprintf(kept, sizeof rb->result->kept, n == 1 ? "db.damaged" : "db.damaged.%d", n);
	while (faccessat(rb->dir, kept, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && ++n < KEPT_MAX);
	if (renameat2(rb->dir, rb->good, rb->dir, "db", RENAME_EXCHANGE) == 0) {
		if (renameat2(rb->dir, rb->good, rb->dir, kept, RENAME_NOREPLACE) < 0)
			snprintf(kept, sizeof rb->result->kept, "%s", rb->good);
	} else {
		/* A filesystem that cannot exchange: kv_rebuild() undoes the first half after a crash. */
		if (renameat(rb->dir, "db", rb->dir, kept) < 0)
			return -errno;
		if (renameat(rb->dir, rb->good, rb->dir, "db") < 0) {
			r = -errno;
			renameat(rb->dir, kept, rb->dir, "db");
			return r;
		}
	}
	return fsync(rb->dir) < 0 ? -errno : 0;
}

/* A crash between the two renames of a filesystem that cannot exchange left no db/. */
static void undo_half(struct rebuild *rb)
{
	char name[32];
	int last = 0;

	if (faccessat(rb->dir, "db", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	for (int n = 1; n < KEPT_MAX; n++) {
		snprintf(name, sizeof name, n == 1 ? "db.damaged" : "db.damaged.%d", n);
		if (faccessat(rb->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			last = n;
	}
	snprintf(name, sizeof name, last <= 1 ? "db.damaged" : "db.damaged.%d", last);
	if (last)
		renameat(rb->dir, name, rb->dir, "db");
}

static int rebuild(struct rebuild *rb)
{
	int r;

	undo_half(rb);
	r = remove_tree(rb->dir, "db.rebuild");
	if (r == 0)
		r = remove_tree(rb->dir, "db.rebuilt");
	if (r == 0)
		r = copy_database(rb);
	if (r == 0)
		r = rb->kv->ops->salvage(rb->copy, &rb->kv->options);
	if (r == 0)
		r = try_copy(rb);
	if (r == 0)
		r = swap(rb);
	/* What is left of the copy; after a failure all of it. */
	if (strcmp(rb->result->kept, "db.rebuild") != 0)
		remove_tree(rb->dir, "db.rebuild");
	if (strcmp(rb->result->kept, "db.rebuilt") != 0)
		remove_tree(rb->dir, "db.rebuilt");
	return r;
}

int kv_rebuild(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv_rebuilt *ret_rebuilt)
{
	struct kv_rebuilt result = {0};
	struct rebuild rb = {.dir = -1, .good = "db.rebuild", .result = &result};
	int r = kv_hold(path, unlock, options, &rb.kv);

	if (r < 0)
		return r;
	result.expected = rb.kv->state.expected;
	rb.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rb.dir < 0)
		r = -errno;
	else if (!rb.kv->ops->salvage)
		r = -EOPNOTSUPP;
	else if (asprintf(&rb.copy, "%s/db.rebuild", path) < 0 ||
		 asprintf(&rb.fresh, "%s/db.rebuilt", path) < 0)
		r = -ENOMEM;
	else
		r = rebuild(&rb);
	if (rb.dir >= 0)
		close(rb.dir);
	free(rb.copy);
	free(rb.fresh);
	kv_release(rb.kv);
	if (r == 0)
		*ret_rebuilt = result;
	return r;
}
