#include "tests/tamper/harm.h"

#include "fs/core/key.h"
#include "kv/kv_internal.h"
#include "tests/tamper/look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const harm_names[HARM_KINDS] = {"flipped bits", "files cut short", "blocks of zeros",
	"files removed", "files put back", "files exchanged", "records flipped", "records cut short",
	"records dropped", "records swapped", "records put back", "deleted records put back"};

uint64_t dice_draw(struct dice *d, uint64_t below)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return below ? z % below : 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_files(const char *store, const char *below, char ***files, size_t *n)
{
	char path[512];
	struct dirent *d;

	snprintf(path, sizeof path, "%s/%s", store, below);
	DIR *dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char name[300];
		if (d->d_name[0] == '.' || strcasecmp(d->d_name, "lock") == 0)
			continue;
		snprintf(name, sizeof name, "%s%s", below, d->d_name);
		if (d->d_type == DT_DIR) {
			strcat(name, "/");
			list_files(store, name, files, n);
			continue;
		}
		*files = realloc(*files, (*n + 1) * sizeof **files);
		(*files)[(*n)++] = strdup(name);
	}
	if (dir)
		closedir(dir);
}

int harm_files(const char *store, char ***ret_files, size_t *ret_n)
{
	*ret_files = NULL;
	*ret_n = 0;
	list_files(store, "", ret_files, ret_n);
	if (*ret_n)
		qsort(*ret_files, *ret_n, sizeof **ret_files, compare_names);
	return *ret_n ? 0 : -ENOENT;
}

off_t harm_size(const char *store, const char *file)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", store, file);
	return stat(path, &st) < 0 ? -errno : st.st_size;
}

int harm_flip(const char *store, const char *file, off_t at, unsigned bit)
{
	char path[512];
	uint8_t byte;

	snprintf(path, sizeof path, "%s/%s", store, file);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &byte, 1, at) != 1)
		return -EIO;
	byte ^= (uint8_t)(1u << bit);
	return pwrite(fd, &byte, 1, at) == 1 ? 0 : -EIO;
}

static int zero(const char *path, off_t size, struct dice *dice, char *text)
{
	static const uint8_t zeros[4096];
	off_t at = (off_t)dice_draw(dice, (uint64_t)size) & ~(off_t)511;
	size_t len = size - at < 4096 ? (size_t)(size - at) : 4096;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	sprintf(text, ", %zu bytes at %lld", len, (long long)at);
	return fd >= 0 && pwrite(fd, zeros, len, at) == (ssize_t)len ? 0 : -EIO;
}

static int copy(const char *from, const char *to)
{
	char data[64 << 10];
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out =
		in < 0 ? -1 : open(to, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n = 0;

	if (in < 0)
		return 1;
	while (out >= 0 && (n = read(in, data, sizeof data)) > 0)
		if (write(out, data, (size_t)n) != n)
			return -EIO;
	return out < 0 || n < 0 ? -EIO : 0;
}

static int exchange(const char *store, char **files, size_t n, const char *file, struct dice *dice,
	char *text)
{
	const char *other = files[dice_draw(dice, n)];
	char a[512], b[512], c[512];

	if (strcmp(file, other) == 0)
		return 1;
	snprintf(a, sizeof a, "%s/%s", store, file);
	snprintf(b, sizeof b, "%s/%s", store, other);
	snprintf(c, sizeof c, "%s/exchange", store);
	sprintf(text, " with %.80s", other);
	return rename(a, c) < 0 || rename(b, a) < 0 || rename(c, b) < 0 ? -errno : 0;
}

static int harm_file(const char *store, const char *older, enum harm kind, struct dice *dice, char *text)
{
	char path[512], from[512], **files;
	size_t n;
	int r = harm_files(store, &files, &n);

	if (r < 0)
		return r;
	const char *file = files[dice_draw(dice, n)];
	off_t size = harm_size(store, file);
	snprintf(path, sizeof path, "%s/%s", store, file);
	snprintf(from, sizeof from, "%s/%s", older, file);
	text += sprintf(text, "%.80s", file);
	if (kind == HARM_REMOVE) {
		r = unlink(path) < 0 ? -errno : 0;
	} else if (kind == HARM_OLDER) {
		r = copy(from, path);
	} else if (kind == HARM_EXCHANGE) {
		r = exchange(store, files, n, file, dice, text);
	} else if (size == 0) {
		r = 1;
	} else if (kind == HARM_FLIP) {
		off_t at = (off_t)dice_draw(dice, (uint64_t)size);
		sprintf(text, " at %lld of %lld", (long long)at, (long long)size);
		r = harm_flip(store, file, at, (unsigned)dice_draw(dice, 8));
	} else if (kind == HARM_CUT) {
		off_t at = (off_t)dice_draw(dice, (uint64_t)size);
		sprintf(text, " at %lld of %lld", (long long)at, (long long)size);
		r = truncate(path, at) < 0 ? -errno : 0;
	} else {
		r = zero(path, size, dice, text);
	}
	for (size_t i = 0; i < n; i++)
		free(files[i]);
	free(files);
	return r;
}

/* ---- records --------------------------------------------------------------------------------- */

struct record {
	enum kv_family family;
	uint8_t key[KV_KEY_MAX];
	size_t key_len;
	struct buf sealed;
};

struct records {
	struct record *record;
	size_t n;
};

static void records_release(struct records *all)
{
	for (size_t i = 0; i < all->n; i++)
		buf_release(&all->record[i].sealed);
	free(all->record);
}
#define _cleanup_records_ _cleanup_(records_release)

static int load(struct kv *kv, struct records *all)
{
	for (enum kv_family family = KV_SYS; family < KV_FAMILIES; family++) {
		struct kv_engine_iter *it;
		int r = kv->ops->iter_open(kv->engine, NULL, family, NULL, 0, &it);
		for (r = r < 0 ? r : kv->ops->iter_seek(it, NULL, 0); r > 0;
			r = kv->ops->iter_next(it)) {
			size_t len;
			all->record = realloc(all->record, (all->n + 1) * sizeof *all->record);
			struct record *rec = &all->record[all->n++];
			const uint8_t *bytes = kv->ops->iter_key(it, &rec->key_len);
			*rec = (struct record){.family = family, .key_len = rec->key_len};
			memcpy(rec->key, bytes, rec->key_len);
			bytes = kv->ops->iter_value(it, &len);
			buf_append(&rec->sealed, bytes, len);
		}
		if (r < 0)
			return r;
		kv->ops->iter_free(it);
	}
	return all->n ? 0 : -ENOENT;
}

static int put(struct kv *kv, const struct record *r, const struct buf *value)
{
	const struct kv_write w = {.family = r->family, .key = r->key, .key_len = r->key_len,
		.value = value ? value->data : NULL, .value_len = value ? value->len : 0};
	return kv->ops->write(kv->engine, &w, 1);
}

static const struct record *same_key(const struct records *all, const struct record *as)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->record[i].family == as->family && all->record[i].key_len == as->key_len &&
			memcmp(all->record[i].key, as->key, as->key_len) == 0)
			return &all->record[i];
	return NULL;
}

/* Of the store's records in @now the one that is hit; those of @then are older. */
static int harm_one(struct kv *kv, struct records *now, struct records *then, enum harm kind,
	struct dice *dice, const struct record **ret_hit)
{
	struct record *r = &now->record[dice_draw(dice, now->n)];
	struct record *other = &now->record[dice_draw(dice, now->n)];
	struct buf *value = &r->sealed;
	const struct record *known;

	*ret_hit = r;
	switch (kind) {
	case HARM_RECORD_FLIP:
		value->data[dice_draw(dice, value->len)] ^= (uint8_t)(1u << dice_draw(dice, 8));
		return put(kv, r, value);
	case HARM_RECORD_CUT:
		value->len = dice_draw(dice, value->len);
		return put(kv, r, value);
	case HARM_RECORD_DROP:
		return put(kv, r, NULL);
	case HARM_RECORD_SWAP:
		if (r == other)
			return 1;
		return put(kv, r, &other->sealed) < 0 ? -EIO : put(kv, other, value);
	default:
		*ret_hit = r = &then->record[dice_draw(dice, then->n)];
		known = same_key(now, r);
		if (kind == HARM_RECORD_REVIVE ? known != NULL
					       : !known || (known->sealed.len == r->sealed.len &&
							memcmp(known->sealed.data, r->sealed.data,
								r->sealed.len) == 0))
			return 1;
		return put(kv, r, &r->sealed);
	}
}

static int load_store(const char *path, bool read_only, struct kv **ret_kv, struct records *all)
{
	const struct kv_options options = {.read_only = read_only};
	int r = kv_open(path, &tamper_key, &options, ret_kv);

	return r < 0 ? r : load(*ret_kv, all);
}

static int harm_record(const char *store, const char *older, enum harm kind, struct dice *dice,
	char *text, bool *ret_data)
{
	_cleanup_records_ struct records now = {0}, then = {0};
	const struct record *hit = NULL;
	struct kv *kv, *old;
	int r = load_store(older, true, &old, &then);

	if (r == 0)
		r = kv_close(old);
	if (r == 0)
		r = load_store(store, false, &kv, &now);
	if (r < 0)
		return r;
	/* Most draws of an older record find that it is still the same. */
	for (unsigned tries = 0; r == 0 && tries < 200; tries++)
		if ((r = harm_one(kv, &now, &then, kind, dice, &hit)) <= 0)
			break;
		else
			r = tries == 199;
	if (hit) {
		int at = sprintf(text, "family %d, key ", hit->family);
		for (size_t i = 0; i < hit->key_len; i++)
			at += sprintf(text + at, "%02x", hit->key[i]);
		*ret_data = hit->family == KV_DATA && kind != HARM_RECORD_SWAP;
	}
	int closed = kv_close(kv);
	return r ? r : closed;
}

int harm(const char *store, const char *older, enum harm kind, struct dice *dice, char ret_text[200],
	bool *ret_data)
{
	*ret_data = false;
	ret_text[0] = 0;
	return kind < HARM_RECORD_FLIP ? harm_file(store, older, kind, dice, ret_text)
				       : harm_record(store, older, kind, dice, ret_text, ret_data);
}
