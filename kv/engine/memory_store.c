#include "kv/engine/memory_store.h"

#include "kv/bytes.h"

#include <stdio.h>

int memory_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
	size_t n = a_len < b_len ? a_len : b_len;
	int c = n ? memcmp(a, b, n) : 0;

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

size_t memory_find(const struct memory_family *f, const void *key, size_t key_len, bool *ret_found)
{
	size_t low = 0, high = f->n;

	*ret_found = false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct memory_record *r = f->records[mid];
		int c = memory_compare(r->key, r->key_len, key, key_len);
		if (c == 0) {
			*ret_found = true;
			return mid;
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct memory_version *memory_version_at(const struct memory_record *r, uint64_t batch)
{
	const struct memory_version *v = r->newest;

	while (v && v->batch > batch)
		v = v->older;
	return v && !v->deleted ? v : NULL;
}

static void versions_free(struct memory_version *v)
{
	while (v) {
		struct memory_version *older = v->older;
		free(v);
		v = older;
	}
}

static int add_record(struct memory_family *f, size_t at, const void *key, size_t key_len)
{
	struct memory_record *record;

	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 64;
		struct memory_record **records = reallocarray(f->records, cap, sizeof *records);
		if (!records)
			return -ENOMEM;
		f->records = records;
		f->cap = cap;
	}
	record = calloc(1, sizeof *record);
	if (!record)
		return -ENOMEM;
	memcpy(record->key, key, key_len);
	record->key_len = (uint8_t)key_len;
	memmove(&f->records[at + 1], &f->records[at], (f->n - at) * sizeof *f->records);
	f->records[at] = record;
	f->n++;
	return 0;
}

int memory_set(struct memory_family *f, const void *key, size_t key_len, const void *value,
	size_t value_len, uint64_t batch, uint64_t keep)
{
	struct memory_version *v = malloc(sizeof *v + value_len), *needed;
	bool found;
	size_t at = memory_find(f, key, key_len, &found);

	if (!v)
		return -ENOMEM;
	if (!found && add_record(f, at, key, key_len) < 0) {
		free(v);
		return -ENOMEM;
	}
	v->batch = batch;
	v->deleted = !value;
	v->len = value ? value_len : 0;
	if (value)
		memcpy(v->value, value, value_len);
	v->older = f->records[at]->newest;
	f->records[at]->newest = v;
	for (needed = v; needed && needed->batch > keep;)
		needed = needed->older;
	if (needed) {
		versions_free(needed->older);
		needed->older = NULL;
	}
	return 0;
}

void memory_roll_back(struct memory_family *f, uint64_t batch)
{
	for (size_t i = 0; i < f->n; i++) {
		struct memory_version **newest = &f->records[i]->newest;

		while (*newest && (*newest)->batch > batch) {
			struct memory_version *gone = *newest;
			*newest = gone->older;
			free(gone);
		}
	}
}

void memory_family_release(struct memory_family *f)
{
	for (size_t i = 0; i < f->n; i++) {
		versions_free(f->records[i]->newest);
		free(f->records[i]);
	}
	free(f->records);
	*f = (struct memory_family){0};
}

int memory_dump(const struct memory_family *families, uint64_t batch, const char *path)
{
	FILE *file = fopen(path, "wxe");
	int r = 0;

	if (!file)
		return -errno;
	for (int f = 0; f < KV_FAMILIES; f++) {
		for (size_t i = 0; i < families[f].n; i++) {
			const struct memory_record *record = families[f].records[i];
			const struct memory_version *v = memory_version_at(record, batch);
			uint8_t head[6];

			if (!v)
				continue;
			put_be32(put_u8(put_u8(head, (uint8_t)f), record->key_len),
				(uint32_t)v->len);
			fwrite(head, sizeof head, 1, file);
			fwrite(record->key, record->key_len, 1, file);
			fwrite(v->value, 1, v->len, file);
		}
	}
	if (fflush(file) != 0 || ferror(file) || fsync(fileno(file)) < 0)
		r = errno ? -errno : -EIO;
	fclose(file);
	return r;
}

static int load_record(struct memory_family *families, FILE *file, struct buf *value)
{
	uint8_t head[6], key[KV_KEY_MAX];
	size_t len, n = fread(head, 1, sizeof head, file);
	int r;

	if (n == 0)
		return 0;
	if (n != sizeof head || head[0] >= KV_FAMILIES || head[1] > KV_KEY_MAX)
		return -EBADMSG;
	len = get_be32(head + 2);
	r = buf_resize(value, len + 1);
	if (r < 0)
		return r;
	if (fread(key, 1, head[1], file) != head[1] || fread(value->data, 1, len, file) != len)
		return -EBADMSG;
	r = memory_set(&families[head[0]], key, head[1], value->data, len, 1, 0);
	return r < 0 ? r : 1;
}

int memory_load(struct memory_family *families, const char *path)
{
	_cleanup_buf_ struct buf value = {0};
	FILE *file = fopen(path, "re");
	int r;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	do
		r = load_record(families, file, &value);
	while (r > 0);
	fclose(file);
	return r;
}

int memory_open_judged(const char *path, const struct kv_options *options,
	const struct kv_engine_record *record, struct kv_engine **ret_engine)
{
	const struct kv_engine_ops *ops = &kv_engine_memory;
	_cleanup_buf_ struct buf value = {0};
	struct kv_engine *e;
	int r = ops->open(path, options, false, &e);

	if (r < 0)
		return r;
	r = ops->get(e, NULL, record->family, record->key, record->key_len, &value);
	if (r == 0 || r == -ENOENT)
		r = record->judge(record->arg, r == 0 ? &value : NULL);
	if (r < 0) {
		ops->close(e);
		return r;
	}
	*ret_engine = e;
	return 0;
}
