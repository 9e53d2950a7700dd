/*
 * memory_store.h: sorted records with versions, below the memory engine. Internal to kv/engine.
 *
 * Each write batch has a number; a record keeps the versions that some reader may still need: the
 * one at the number of each open view, and the one at the last sync. Not locked.
 */
#ifndef SCRIBEFS_KV_ENGINE_MEMORY_STORE_H
#define SCRIBEFS_KV_ENGINE_MEMORY_STORE_H

#include "kv/engine/engine.h"

struct memory_version {
	struct memory_version *older;
	uint64_t batch;
	bool deleted;
	size_t len;
	uint8_t value[];
};

struct memory_record {
	struct memory_version *newest;
	uint8_t key_len;
	uint8_t key[KV_KEY_MAX];
};

struct memory_family {
	struct memory_record **records; /* sorted */
	size_t n, cap;
};

int memory_compare(const void *a, size_t a_len, const void *b, size_t b_len);
/* The index of the first record >= @key. */
size_t memory_find(const struct memory_family *f, const void *key, size_t key_len, bool *ret_found);
/* What a reader at @batch sees; NULL: nothing, or a delete. */
const struct memory_version *memory_version_at(const struct memory_record *r, uint64_t batch);
/* Adds a version (NULL @value: a delete) and drops those that no reader at or above @keep needs. */
int memory_set(struct memory_family *f, const void *key, size_t key_len, const void *value,
	size_t value_len, uint64_t batch, uint64_t keep);
/* Drops every version above @batch. */
void memory_roll_back(struct memory_family *f, uint64_t batch);
void memory_family_release(struct memory_family *f);

/* All records as of @batch in a file, and back (as batch 1). */
int memory_dump(const struct memory_family *families, uint64_t batch, const char *path);
int memory_load(struct memory_family *families, const char *path);
/* kv_engine_ops.open_judged() of memory. */
int memory_open_judged(const char *path, const struct kv_options *options,
	const struct kv_engine_record *record, struct kv_engine **ret_engine);

#endif
