/*
 * pack.h: records that nobody will change for long, compressed harder than a commit has time for: zstd at a high level
 * with a dictionary that was trained on the domain's own records. Reading them needs nothing of this header.
 *
 * Data flow. kv_dictionary_train() makes the domain's next dictionary out of samples and stores it twice in KV_SYS,
 * sealed with the domain's key (dictionary.c): once a record is packed with it, it is needed for ever. Before the
 * first one the keyring says that the store has dictionaries, so that an older program refuses it. kv_txn_pack()
 * replaces a record by the same bytes packed. It changes nothing that anybody sees, so write-once records may be
 * packed, too; it conflicts with others' writes as any write does. A user whose key is destroyed takes his
 * dictionaries with him.
 *
 * Threading: a packer belongs to one thread. Errors as in kv.h.
 */
#ifndef SCRIBEFS_KV_PACK_H
#define SCRIBEFS_KV_PACK_H

#include "kv/kv.h"

struct kv_packer;

/*
 * Trains on @n samples that lie one after the other in @samples, and commits. Some hundred samples, and a hundred
 * times KV_DICTIONARY_BYTES in all, are best. -ENODATA: too few or too small to learn anything from.
 */
#define KV_DICTIONARY_BYTES (64u << 10)
int kv_dictionary_train(struct kv *kv, uint32_t domain, const void *samples, const size_t *sizes, unsigned n);

struct kv_dictionary_info {
	uint32_t number;       /* of the domain's newest, from 1 */
	uint64_t trained_from; /* bytes of its samples */
};
/* -ENOENT: the domain has none. */
int kv_dictionary_get_info(struct kv *kv, uint32_t domain, struct kv_dictionary_info *ret_info);

/* A packer with the domain's newest dictionary. -ENOENT there is none. Freed before kv_close(). */
int kv_packer_open(struct kv *kv, uint32_t domain, struct kv_packer **ret_packer);
void kv_packer_free(struct kv_packer *p);
DEFINE_CLEANUP(struct kv_packer *, kv_packer_free);

struct kv_packed {
	uint64_t records, packed; /* looked at; with a dictionary now */
	uint64_t plain;		  /* bytes of their values */
	uint64_t before, after;	  /* bytes as they are stored */
};
/*
 * Packs the record in @txn, which has not written it, if that saves a sixteenth. Adds to @sums what came of it; true
 * once the commit succeeds. -ENOENT, -EBADMSG.
 */
int kv_txn_pack(struct kv_txn *txn, struct kv_packer *p, enum kv_family family, const void *key, size_t key_len,
	struct kv_packed *sums);

/*
 * For a check: looks whether both copies of each dictionary can be read, and with @mend replaces a damaged one by the
 * other. @ret_mendable: how many copies are damaged whose other is well; @ret_lost: dictionaries of which none is.
 */
int kv_dictionaries_check(struct kv *kv, bool mend, unsigned *ret_mendable, unsigned *ret_lost);

#endif
