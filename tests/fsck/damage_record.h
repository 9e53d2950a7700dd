/*
 * damage_record.h: what damages are made with: records found by what they say, and written below the seal or above
 * it. 0, -errno; -ENOENT: there is no such record.
 */
#ifndef SCRIBEFS_TESTS_FSCK_DAMAGE_RECORD_H
#define SCRIBEFS_TESTS_FSCK_DAMAGE_RECORD_H

#include "fs/core/core_internal.h"
#include "kv/kv_internal.h"

struct record {
	enum kv_family family;
	struct key key;
	struct buf sealed; /* as it lies in the engine; owned */
};
void record_release(struct record *r);
#define _cleanup_record_ _cleanup_(record_release)

typedef bool (*record_wanted)(const struct record *r, const struct buf *value);

/* The @nth of the kind that is wanted, in the order of keys; @want NULL: any that can be read. */
int record_find(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth, struct record *ret);
/* With what it says. */
int record_find_read(struct kv *kv, enum key_kind kind, record_wanted want, unsigned nth, struct record *ret,
	struct buf *ret_value);
/* Below the seal: these bytes, none, one bit. */
int record_put_raw(struct kv *kv, const struct record *r, const void *value, size_t len);
int record_drop_raw(struct kv *kv, const struct record *r);
int record_flip_raw(struct kv *kv, struct record *r);
/* Above it: an authentic record, in the sum. */
int record_put(struct kv *kv, enum kv_family family, const struct key *key, const void *value, size_t len);

#endif
