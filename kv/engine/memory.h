/*
 * memory.h: the engine in memory, and how tests drive it. Internal to kv and tests.
 *
 * A struct kv_memory is the disk: pass it as kv_options.engine_arg, and several opens, one after
 * the other, find the same records. Without one an open has its own, which starts with what
 * kv_checkpoint() left in the directory, or empty. Any thread.
 */
#ifndef SCRIBEFS_KV_ENGINE_MEMORY_H
#define SCRIBEFS_KV_ENGINE_MEMORY_H

#include "kv/engine/engine.h"

struct kv_memory;

enum kv_memory_call { KV_MEMORY_GET, KV_MEMORY_WRITE, KV_MEMORY_SYNC, KV_MEMORY_CALLS };

/* NULL: no memory. */
struct kv_memory *kv_memory_new(void);
/* No engine may have it open. NULL is fine. */
void kv_memory_free(struct kv_memory *m);

/*
 * The @nth call of this kind from now on (1: the next) fails once with @error (-errno) and does
 * nothing; a get within a multi_get counts. @nth 0 takes the order back.
 */
void kv_memory_fail(struct kv_memory *m, enum kv_memory_call call, unsigned nth, int error);
/* Every call of this kind fails with @error, until it is 0. */
void kv_memory_fail_on(struct kv_memory *m, enum kv_memory_call call, int error);
/* Whether a write that fails is told to have broken the engine. */
void kv_memory_breaks(struct kv_memory *m, bool breaks);
/* The next write fails with @error, and yet whoever opens next finds it done. */
void kv_memory_fail_after(struct kv_memory *m, int error);
/* Everything after the last sync is gone, and nobody is told. */
void kv_memory_lose(struct kv_memory *m);
/* How many calls of this kind were made. */
unsigned kv_memory_calls(struct kv_memory *m, enum kv_memory_call call);
/* How long each sync takes, in microseconds, so that waiters gather. */
void kv_memory_slow_sync(struct kv_memory *m, unsigned microseconds);
/*
 * The process dies; with @power_loss everything after the last sync is gone as well. Whoever has it
 * open gets -EIO from every later call, so that kv_close() of it leaves no trace; the next open
 * finds the records that are left.
 */
void kv_memory_crash(struct kv_memory *m, bool power_loss);

/* The stored bytes behind kv's back. -ENOENT. */
int kv_memory_peek(struct kv_memory *m, enum kv_family family, const void *key, size_t key_len,
	struct buf *ret_value);
/* Replaces or adds them; a NULL @value deletes. */
int kv_memory_poke(struct kv_memory *m, enum kv_family family, const void *key, size_t key_len,
	const void *value, size_t value_len);

#endif
