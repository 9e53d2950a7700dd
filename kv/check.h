/*
 * check.h: what a check of a whole store asks of kv, beyond kv.h: ordered scans that open every record
 * and pass over what the engine cannot read, the sum over all records, and the two steps of a repair
 * that only kv can do: a new engine made of what is left of a damaged one, and a commit row that says
 * what is there.
 *
 * Used by fs/core/check*, fs/session/check* and `scribefs fsck`. The store is opened for the check alone:
 * one thread, no transaction is under way while a scan runs but the checker's own, which a scan does
 * not see.
 *
 * A repair: kv_rebuild() where the engine needs it; kv_open() with kv_options.repair, by which damage of
 * kv's own rows or a log that ended early is no reason for read-only; transactions; kv_settle(); kv_close().
 * Until kv_settle() `mark` stays as it was: whoever dies half way leaves a store that still says that
 * it is damaged.
 */
#ifndef SCRIBEFS_KV_CHECK_H
#define SCRIBEFS_KV_CHECK_H

#include "kv/kv.h"

struct kv_scan;

/* All records of @family (KV_META, KV_DATA) in the order of keys, as of now. */
int kv_scan_open(struct kv *kv, enum kv_family family, struct kv_scan **ret_scan);
void kv_scan_free(struct kv_scan *scan);
/* Moves to the first, then the next record: 1, 0 past the end, -errno (-ENOMEM). */
int kv_scan_next(struct kv_scan *scan);
/* The key there; valid until it moves. */
const uint8_t *kv_scan_key(const struct kv_scan *scan, size_t *ret_len);
/* Opens the value there: 0, -EBADMSG, -ENOKEY, -ENOMEM. Replaces @ret_value. */
int kv_scan_value(struct kv_scan *scan, struct buf *ret_value);
/* Stretches that the engine could not read, so far: nobody knows which records lay in them. */
unsigned kv_scan_gaps(const struct kv_scan *scan);
DEFINE_CLEANUP(struct kv_scan *, kv_scan_free);

/*
 * Whether two scans that have reached their ends (of KV_META and KV_DATA) saw just the records that the
 * commit row vouches for: 0, or -EBADMSG: some were added, removed or replaced behind kv's back.
 */
int kv_scan_verify(struct kv *kv, const struct kv_scan *meta, const struct kv_scan *data);

/* The numbers of the domains that have a key, rising; the caller frees the array. */
int kv_domains(struct kv *kv, uint32_t **ret_domains, size_t *ret_n);

/*
 * After the transactions of a repair: the sum becomes that of the records which are there, the sequence
 * rises above the one that was expected, everything is synced and marked. On return a store that was
 * opened with kv_options.repair is an ordinary one.
 */
int kv_settle(struct kv *kv);

struct kv_rebuilt {
	char kept[64];	   /* the name, in the store's directory, that the old engine files have now */
	unsigned gaps;	   /* stretches that were lost */
	uint64_t sequence; /* of the last commit that the new engine has, 0: unknown */
	uint64_t expected; /* of the last one that was synced, by `mark` */
};
/*
 * Makes a new engine directory of what can be read of the old one, and puts it in its place once it has
 * been opened and read to its end. The old files are kept beside it. What an earlier call left is
 * removed. Nobody has the store open (-EBUSY). Errors as kv_open(); -EBADMSG: there is nothing that could
 * be opened, and nothing was changed. Free space: as much as the store has.
 */
int kv_rebuild(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv_rebuilt *ret_rebuilt);

#endif
