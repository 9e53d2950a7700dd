#include "tests/power/disk.h"
#include "tests/power/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u
#define PAGE 4096u

/* Of a file, after its last fsync; a truncation has no data. */
struct change {
	const char *data;
	uint64_t at; /* a truncation: the size */
	size_t len;
	uint64_t order; /* the record's number */
};

struct file {
	uint8_t *durable;
	size_t size;
	struct change *changes;
	size_t n, cap;
	mode_t mode;
};

struct name_op {
	enum journal_type type;
	char *path, *to;
	uint32_t id;
	mode_t mode;
	uint64_t order;
	bool durable;
};

struct name {
	char *path;
	uint32_t id; /* 0: a directory */
	mode_t mode;
};

struct disk {
	const struct disk_cut *cut;
	const char *base;
	uint64_t dice;
	struct file *files; /* by id */
	size_t files_n;
	struct name_op *ops;
	size_t ops_n, ops_cap;
	struct name *names; /* as they are made up at the end */
	size_t names_n, names_cap;
	uint64_t moment; /* DISK_PREFIX: the record that was under way */
};

static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t below(uint64_t *state, uint64_t n)
{
	return n ? draw(state) % n : 0;
}

struct disk_cut disk_cut_drawn(uint64_t records, uint64_t seed)
{
	static const enum disk_rest rests[] = {DISK_NONE, DISK_ALL, DISK_PREFIX, DISK_RANDOM, DISK_RANDOM,
		DISK_RANDOM, DISK_RANDOM, DISK_RANDOM};
	uint64_t dice = seed;
	struct disk_cut cut = {.records = records, .seed = seed};

	cut.names = (enum disk_names)below(&dice, DISK_NAMES);
	cut.rest = rests[below(&dice, 8)];
	cut.garbage = below(&dice, 6) == 0;
	return cut;
}

static void *grown(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap ? 2 * *cap : 32;
	list = reallocarray(list, *cap, size);
	if (!list)
		abort();
	return list;
}

/* ---- up to the cut --------------------------------------------------------------------------- */

static struct file *file_of(struct disk *d, uint32_t id)
{
	if (id >= d->files_n) {
		d->files = reallocarray(d->files, id + 64, sizeof *d->files);
		if (!d->files)
			abort();
		memset(d->files + d->files_n, 0, (id + 64 - d->files_n) * sizeof *d->files);
		d->files_n = id + 64;
	}
	return &d->files[id];
}

static void resize(struct file *f, size_t size)
{
	if (size > f->size) {
		f->durable = realloc(f->durable, size);
		if (!f->durable)
			abort();
		memset(f->durable + f->size, 0, size - f->size);
	}
	f->size = size;
}

static void settle(struct file *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct change *c = &f->changes[i];

		if (!c->data) {
			resize(f, c->at);
			continue;
		}
		if (c->at + c->len > f->size)
			resize(f, c->at + c->len);
		memcpy(f->durable + c->at, c->data, c->len);
	}
	f->n = 0;
}

static int load(struct disk *d, uint32_t id, const char *path)
{
	struct file *f = file_of(d, id);
	char name[PATH_MAX];
	struct stat st;
	int fd;

	snprintf(name, sizeof name, "%s%s", d->base, path);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	resize(f, (size_t)st.st_size);
	f->mode = st.st_mode & 07777;
	if (f->size && read(fd, f->durable, f->size) != st.st_size) {
		close(fd);
		return -EIO;
	}
	close(fd);
	return 0;
}

static bool in_directory(const char *path, const char *dir)
{
	const char *slash = strrchr(path, '/');
	size_t len = (size_t)(slash - path);

	return len ? strlen(dir) == len && !strncmp(path, dir, len) : !strcmp(dir, "/");
}

static void names_synced(struct disk *d, const struct journal_head *head, const char *dir)
{
	for (size_t i = 0; i < d->ops_n; i++) {
		struct name_op *op = &d->ops[i];
		bool named = op->type == JOURNAL_CREATE || op->type == JOURNAL_LINK ||
			     op->type == JOURNAL_RENAME;

		if (d->cut->names == DISK_EXT4)
			op->durable = true;
		else if (dir && (in_directory(op->path, dir) || (op->to && in_directory(op->to, dir))))
			op->durable = true;
		else if (!dir && d->cut->names == DISK_LOOSE && named && op->id == head->id)
			op->durable = true;
	}
}

static void name_changed(struct disk *d, const struct journal_record *r, char *path, uint64_t order)
{
	const struct journal_head *head = r->head;
	bool two = head->type == JOURNAL_RENAME || head->type == JOURNAL_LINK;

	d->ops = grown(d->ops, d->ops_n, &d->ops_cap, sizeof *d->ops);
	d->ops[d->ops_n++] = (struct name_op){.type = head->type,
		.path = path,
		.to = two ? strndup(r->rest, r->rest_len) : NULL,
		.id = head->id,
		.mode = (mode_t)head->value,
		.order = order,
		.durable = head->type == JOURNAL_BASE};
	if (head->type == JOURNAL_CREATE)
		file_of(d, head->id)->mode = (mode_t)head->value;
}

static int replay_one(struct disk *d, const struct journal_record *r, uint64_t order)
{
	const struct journal_head *head = r->head;
	char *path = strndup(r->path, head->path_len);
	struct file *f;
	int error = 0;

	switch (head->type) {
	case JOURNAL_WRITE:
	case JOURNAL_TRUNCATE:
		f = file_of(d, head->id);
		f->changes = grown(f->changes, f->n, &f->cap, sizeof *f->changes);
		f->changes[f->n++] =
			(struct change){.data = head->type == JOURNAL_WRITE ? r->rest : NULL,
				.at = head->value,
				.len = r->rest_len,
				.order = order};
		break;
	case JOURNAL_FSYNC:
		settle(file_of(d, head->id));
		names_synced(d, head, NULL);
		break;
	case JOURNAL_FSYNCDIR:
		names_synced(d, head, path);
		break;
	case JOURNAL_ACK:
		break;
	case JOURNAL_BASE:
		error = load(d, head->id, path);
		/* fall through */
	default:
		name_changed(d, r, path, order);
		return error;
	}
	free(path);
	return 0;
}

static int replay(struct disk *d, struct journal *journal)
{
	struct journal_record record;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < d->cut->records && journal_next(journal, &record); i++)
		r = replay_one(d, &record, i);
	return r;
}

/* ---- names that are left --------------------------------------------------------------------- */

static struct name *name_find(struct disk *d, const char *path)
{
	for (size_t i = 0; i < d->names_n; i++)
		if (!strcmp(d->names[i].path, path))
			return &d->names[i];
	return NULL;
}

static void name_set(struct disk *d, const char *path, uint32_t id, mode_t mode)
{
	struct name *name = name_find(d, path);

	if (!name) {
		d->names = grown(d->names, d->names_n, &d->names_cap, sizeof *d->names);
		name = &d->names[d->names_n++];
		name->path = strdup(path);
	}
	name->id = id;
	name->mode = mode;
}

static void name_drop(struct disk *d, const char *path)
{
	struct name *name = name_find(d, path);

	if (!name)
		return;
	free(name->path);
	*name = d->names[--d->names_n];
}

/* A directory takes along what lies in it. */
static void move_directory(struct disk *d, const char *from, const char *to)
{
	size_t len = strlen(from);

	for (size_t i = 0; i < d->names_n; i++) {
		struct name *n = &d->names[i];
		char path[PATH_MAX];

		if (strncmp(n->path, from, len) || (n->path[len] && n->path[len] != '/'))
			continue;
		snprintf(path, sizeof path, "%s%s", to, n->path + len);
		free(n->path);
		n->path = strdup(path);
	}
}

static void apply_name(struct disk *d, const struct name_op *op)
{
	struct name *old = name_find(d, op->path);

	switch (op->type) {
	case JOURNAL_MKDIR:
	case JOURNAL_CREATE:
	case JOURNAL_BASE:
		name_set(d, op->path, op->id, op->mode);
		break;
	case JOURNAL_LINK:
		name_set(d, op->to, op->id, 0);
		break;
	case JOURNAL_RENAME:
		if (!op->id) {
			move_directory(d, op->path, op->to);
			break;
		}
		/* The new name is true even where what made the old one is lost. */
		if (old && old->id == op->id)
			name_drop(d, op->path);
		name_set(d, op->to, op->id, 0);
		break;
	default:
		if (old && old->id == op->id)
			name_drop(d, op->path);
	}
}

static bool name_survives(struct disk *d, size_t index, size_t ext4_end, uint64_t odds)
{
	const struct name_op *op = &d->ops[index];

	if (op->durable || d->cut->rest == DISK_ALL)
		return true;
	if (d->cut->rest == DISK_NONE)
		return false;
	if (d->cut->rest == DISK_PREFIX)
		return op->order < d->moment;
	return d->cut->names == DISK_EXT4 ? index < ext4_end : below(&d->dice, 4) < odds;
}

static void choose_names(struct disk *d)
{
	size_t end = below(&d->dice, d->ops_n + 1);
	uint64_t odds = 1 + below(&d->dice, 3);

	for (size_t i = 0; i < d->ops_n; i++)
		if (name_survives(d, i, end, odds))
			apply_name(d, &d->ops[i]);
}

/* ---- data that is left ----------------------------------------------------------------------- */

/* How many of the changes a sector has seen. */
static void choose_sectors(struct disk *d, const struct file *f, size_t sectors, uint32_t *ret_seen)
{
	size_t until = 0;
	uint32_t run = 0, n = (uint32_t)f->n;

	for (size_t s = 0; s < sectors; s++) {
		if (s == until) {
			uint64_t kind = below(&d->dice, 3);

			run = kind == 0 ? 0 : kind == 1 ? n : (uint32_t)below(&d->dice, n + 1u);
			until = s / 8 * 8 + 8 * (1 + below(&d->dice, below(&d->dice, 4) ? 4 : 40));
		}
		ret_seen[s] = run;
		/* Torn within a page. */
		if (below(&d->dice, 40) == 0)
			ret_seen[s] = (uint32_t)below(&d->dice, n + 1u);
	}
}

static size_t size_after(const struct file *f, size_t changes)
{
	size_t size = f->size;

	for (size_t i = 0; i < changes; i++) {
		const struct change *c = &f->changes[i];
		size_t end = c->at + c->len;

		if (!c->data || end > size)
			size = end;
	}
	return size;
}

struct rest {
	uint8_t *bytes;
	bool *touched; /* by sector */
	const uint32_t *seen;
	size_t size;
};

static void write_rest(struct rest *r, const struct change *c, uint32_t index)
{
	for (size_t at = c->at, end = c->at + c->len; at < end && at < r->size;) {
		size_t s = at / SECTOR, stop = (s + 1) * SECTOR;

		stop = stop < end ? stop : end;
		stop = stop < r->size ? stop : r->size;
		if (index < r->seen[s]) {
			memcpy(r->bytes + at, c->data + (at - c->at), stop - at);
			r->touched[s] = true;
		}
		at = stop;
	}
}

/* The bytes of @f that are left; NULL and 0 for an empty one. */
static uint8_t *rest_of(struct disk *d, const struct file *f, size_t *ret_size)
{
	size_t known = f->n, most = size_after(f, 0), sectors;
	struct rest r = {0};
	uint32_t *seen;

	for (size_t i = 0; i <= f->n; i++)
		most = size_after(f, i) > most ? size_after(f, i) : most;
	sectors = most / SECTOR + 1;
	seen = calloc(sectors, sizeof *seen);
	r.touched = calloc(sectors, sizeof *r.touched);
	if (!seen || !r.touched)
		abort();
	if (d->cut->rest == DISK_RANDOM) {
		choose_sectors(d, f, sectors, seen);
		known = below(&d->dice, 2) ? f->n : below(&d->dice, f->n + 1);
	} else {
		for (known = 0; known < f->n; known++)
			if (d->cut->rest == DISK_NONE ||
				(d->cut->rest == DISK_PREFIX && f->changes[known].order >= d->moment))
				break;
		for (size_t s = 0; s < sectors; s++)
			seen[s] = (uint32_t)known;
	}
	r.size = size_after(f, known);
	r.seen = seen;
	r.bytes = calloc(1, r.size + 1);
	if (!r.bytes)
		abort();
	memcpy(r.bytes, f->durable ? f->durable : r.bytes, r.size < f->size ? r.size : f->size);
	for (uint32_t i = 0; i < f->n; i++) {
		const struct change *c = &f->changes[i];

		if (c->data)
			write_rest(&r, c, i);
		else if (i < known && c->at < r.size)
			memset(r.bytes + c->at, 0, r.size - c->at);
	}
	if (d->cut->garbage)
		for (size_t at = (f->size + SECTOR - 1) / SECTOR * SECTOR; at < r.size; at++)
			if (!r.touched[at / SECTOR])
				r.bytes[at] = (uint8_t)draw(&d->dice);
	free(seen);
	free(r.touched);
	*ret_size = r.size;
	return r.bytes;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static int make_parents(char *path, size_t from)
{
	for (char *p = path + from + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

static int write_file(struct disk *d, struct name *n, const char *path)
{
	struct file *f = file_of(d, n->id);
	size_t size, done = 0;
	uint8_t *bytes = rest_of(d, f, &size);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, f->mode);
	int r = fd < 0 ? -errno : 0;

	while (r == 0 && done < size) {
		ssize_t w = write(fd, bytes + done, size - done);
		r = w < 0 ? -errno : 0;
		done += w > 0 ? (size_t)w : 0;
	}
	if (fd >= 0)
		close(fd);
	free(bytes);
	return r;
}

/* Whether the directory of @path is there: what lies in a lost one is lost. */
static bool has_home(struct disk *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[PATH_MAX];

	if (slash == path)
		return true;
	snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
	for (size_t i = 0; i < d->ops_n; i++)
		if (d->ops[i].type == JOURNAL_BASE && !strncmp(d->ops[i].path, parent, strlen(parent)) &&
			d->ops[i].path[strlen(parent)] == '/')
			return true;
	return name_find(d, parent) && has_home(d, parent);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->path, ((const struct name *)b)->path);
}

static int write_out(struct disk *d, const char *out)
{
	int r = mkdir(out, 0700) < 0 ? -errno : 0;

	/* By path, so that a folder comes before what is in it, and the dice fall the same way. */
	qsort(d->names, d->names_n, sizeof *d->names, by_path);
	for (size_t i = 0; r == 0 && i < d->names_n; i++) {
		struct name *n = &d->names[i];
		char path[PATH_MAX], first[PATH_MAX] = "";

		if (!has_home(d, n->path))
			continue;
		snprintf(path, sizeof path, "%s%s", out, n->path);
		r = make_parents(path, strlen(out));
		for (size_t j = 0; r == 0 && n->id && j < i && !*first; j++)
			if (d->names[j].id == n->id && has_home(d, d->names[j].path))
				snprintf(first, sizeof first, "%s%s", out, d->names[j].path);
		if (r < 0)
			return r;
		if (!n->id)
			r = mkdir(path, n->mode) < 0 && errno != EEXIST ? -errno : 0;
		else if (*first)
			r = link(first, path) < 0 ? -errno : 0;
		else
			r = write_file(d, n, path);
	}
	return r;
}

static void release(struct disk *d)
{
	for (size_t i = 0; i < d->files_n; i++) {
		free(d->files[i].durable);
		free(d->files[i].changes);
	}
	for (size_t i = 0; i < d->ops_n; i++) {
		free(d->ops[i].path);
		free(d->ops[i].to);
	}
	for (size_t i = 0; i < d->names_n; i++)
		free(d->names[i].path);
	free(d->files);
	free(d->ops);
	free(d->names);
}

int disk_survive(const char *journal, const char *base, const struct disk_cut *cut, const char *out)
{
	struct disk d = {.cut = cut, .base = base, .dice = cut->seed ^ 0x5eed};
	struct journal records;
	int r = journal_open(journal, &records);

	if (r < 0)
		return r;
	d.moment = cut->records - below(&d.dice, cut->records < 400 ? cut->records + 1 : 400);
	/* Changes point into the journal until the end. */
	r = replay(&d, &records);
	if (r == 0) {
		choose_names(&d);
		r = write_out(&d, out);
	}
	release(&d);
	journal_close(&records);
	return r;
}
