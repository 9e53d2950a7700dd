/*
 * keys.h: an opened keyring, as the rest of kv uses it. Internal to kv.
 *
 * Threading: any thread; a rwlock inside guards the table of domains. A seal_key pointer stays valid,
 * in locked memory, until keyring_close() (a destroyed domain's key is wiped in place: a use that races
 * with the destruction fails its authentication).
 */
#ifndef SCRIBEFS_KV_KEYS_H
#define SCRIBEFS_KV_KEYS_H

#include "kv/seal.h"

struct keyring;

/* Errors as kv_open(). Unlocks, checks every MAC, and keeps all domain keys unwrapped. */
int keyring_open(const char *path, const struct kv_unlock *unlock, struct keyring **ret_keyring);
/* Wipes and frees; NULL is fine. */
void keyring_close(struct keyring *k);

const uint8_t *keyring_id(const struct keyring *k); /* 16 bytes */
enum kv_cipher keyring_cipher(const struct keyring *k);
/* The file names read-only compatible features that this program does not know: -EROFS on changes. */
bool keyring_read_only(const struct keyring *k);

/* A 32-byte key derived from the master for @purpose (a constant of the caller's, part of the format). */
void keyring_derive(const struct keyring *k, uint64_t purpose, uint8_t ret_key[32]);
#define KEYRING_PURPOSE_MAC 1	/* the keyring's own */
#define KEYRING_PURPOSE_WRAP 2	/* wrapping the domains' keys */
#define KEYRING_PURPOSE_MARK 3	/* the mark file */
#define KEYRING_PURPOSE_TREE 4	/* kv's hash over all records */
#define KEYRING_PURPOSE_SEEN 5	/* what was seen of the store, outside of it */
#define KEYRING_PURPOSE_BUSY 6	/* what callers are busy with */
#define KEYRING_PURPOSE_BACKUP 7 /* a backup's MAC */

/* NULL: no such domain (0 is always there). */
const struct seal_key *keyring_domain_key(struct keyring *k, uint32_t domain);
/* Derived from the domain's key for @purpose, for kv_hash*(). -ENOKEY. */
int keyring_domain_derive(struct keyring *k, uint32_t domain, uint64_t purpose, uint8_t ret_key[32]);
/* The numbers of all domains, rising; the caller frees. -ENOMEM. */
int keyring_domains(struct keyring *k, uint32_t **ret_domains, size_t *ret_n);
/* These re-read the file under its lock (a tool may have changed slots), write and sync it. */
int keyring_domain_create(struct keyring *k, uint32_t *ret_domain);
int keyring_domain_destroy(struct keyring *k, uint32_t domain);
/* From here on only a program that knows these features opens the store. */
int keyring_require(struct keyring *k, uint32_t incompat);

DEFINE_CLEANUP(struct keyring *, keyring_close);

#endif
