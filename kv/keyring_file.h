/*
 * keyring_file.h: the keyring's bytes, decoded, and the pieces that keyring*.c share. Internal to
 * the keyring; FORMAT.md has the byte tables. sodium_init() was called by whoever calls these.
 *
 * Threading: none of its own; a struct belongs to its caller.
 */
#ifndef SCRIBEFS_KV_KEYRING_FILE_H
#define SCRIBEFS_KV_KEYRING_FILE_H

#include "kv/keyring.h"

#define KEYRING_NAME "keyring"
#define KEYRING_NAME_NEW "keyring.new"
#define KEYRING_FORMAT 1
#define KEYRING_FILE_MAX (16u << 20) /* bytes; some 200,000 domains */

#define KEYRING_WRAPPED 72 /* a wrapped 32-byte key: nonce (24), ciphertext (32), tag (16) */
#define KEYRING_SALT 16

#define KEYRING_HEADER_BYTES 64
#define KEYRING_SLOT_HEADER_BYTES 108
#define KEYRING_SLOT_BYTES (KEYRING_SLOT_HEADER_BYTES + KEYRING_WRAPPED)
#define KEYRING_DOMAIN_HEADER_BYTES 8
#define KEYRING_DOMAIN_BYTES (KEYRING_DOMAIN_HEADER_BYTES + KEYRING_WRAPPED)
#define KEYRING_MAC_BYTES 32
#define KEYRING_DIGEST_BYTES 16

/* The features that this program knows, of each mask. */
#define KEYRING_RO_COMPAT 0
#define KEYRING_INCOMPAT (KEYRING_INCOMPAT_DICTIONARIES | KEYRING_INCOMPAT_TAILS)

struct keyring_slot {
	struct keyring_slot_info info;
	uint8_t salt[KEYRING_SALT];
	uint8_t wrapped[KEYRING_WRAPPED]; /* the master key */
};

struct keyring_domain {
	uint32_t number;
	uint16_t generation; /* of its key, from 1 */
	uint8_t wrapped[KEYRING_WRAPPED];
};

struct keyring_file {
	uint32_t compat, ro_compat, incompat;
	uint8_t id[16];
	enum kv_cipher cipher;
	uint32_t last_domain; /* the highest number ever given */
	unsigned slots;
	struct keyring_slot slot[KEYRING_SLOTS]; /* by rising number */
	size_t domains;
	struct keyring_domain *domain; /* by rising number; owned */
};

void keyring_file_release(struct keyring_file *f);

/* ---- bytes (keyring_file.c) ------------------------------------------------------------------ */

/*
 * Decodes and checks all that can be checked without a key: sizes, order, limits and the digest.
 * -EPROTONOSUPPORT newer or with unknown incompatible features, -EBADMSG damaged, -ENOMEM.
 */
int keyring_file_decode(const void *data, size_t len, struct keyring_file *ret_file);
/* Whether the decoded bytes carry the MAC under @mac_key. -EBADMSG. */
int keyring_file_verify(const void *data, size_t len, const uint8_t mac_key[32]);
/*
 * Replaces @ret_bytes. -ENOSPC: more than KEYRING_FILE_MAX, -EROFS: the file has features that only
 * allow reading, -ENOMEM.
 */
int keyring_file_encode(const struct keyring_file *f, const uint8_t mac_key[32],
	struct buf *ret_bytes);

/* The associated data of a wrap: 8 + 16 + 1 bytes and the header of the slot or domain. */
#define KEYRING_AD_MAX (25 + KEYRING_SLOT_HEADER_BYTES)
size_t keyring_slot_ad(const struct keyring_file *f, const struct keyring_slot *s,
	uint8_t ret_ad[KEYRING_AD_MAX]);
size_t keyring_domain_ad(const struct keyring_file *f, const struct keyring_domain *d,
	uint8_t ret_ad[KEYRING_AD_MAX]);

/* Whether a label may stand in a slot: short enough, and safe to print. */
bool keyring_label_valid(const char *label, size_t len);

/* ---- disk (keyring_disk.c) ------------------------------------------------------------------- */

/* A descriptor of the store's directory, or -errno. */
int keyring_disk_open(const char *path);
/* The whole file, replacing @ret_bytes. -ENOENT, -EBADMSG: no regular file, or far too large. */
int keyring_disk_read(int dir, struct buf *ret_bytes);
/* A descriptor that holds the keyring's lock until it is closed, or -errno. Waits. */
int keyring_disk_lock(int dir);
/*
 * Puts @bytes in the place of the file, durably; the caller holds the lock. On failure
 * @ret_replaced says which of the two is there: true only where the directory could not be synced.
 */
int keyring_disk_replace(int dir, const struct buf *bytes, bool *ret_replaced);

/* ---- wraps and slots (keyring_slot.c) -------------------------------------------------------- */

/* Fresh nonce each time. */
void keyring_wrap(const uint8_t wrapping[32], const uint8_t *ad, size_t ad_len,
	const uint8_t key[32], uint8_t ret_wrapped[KEYRING_WRAPPED]);
/* -EBADMSG; @ret_key is then untouched. */
int keyring_unwrap(const uint8_t wrapping[32], const uint8_t *ad, size_t ad_len,
	const uint8_t wrapped[KEYRING_WRAPPED], uint8_t ret_key[32]);

/* Whether stored Argon2id parameters are ones that this program would run. */
bool keyring_limits_valid(uint64_t opslimit, uint64_t memlimit);
/*
 * Makes the slot @number of @f (its label set by the caller) hold @master under @secret. A limit of
 * 0 is chosen here. -EINVAL: too short a secret, or limits out of range; -ENOMEM.
 */
int keyring_slot_make(const struct keyring_file *f, struct keyring_slot *s,
	const struct kv_unlock *secret, uint64_t opslimit, uint64_t memlimit,
	const uint8_t master[32]);
/* Tries all slots of the secret's type. -EKEYREJECTED, -ENOMEM. */
int keyring_slot_unlock(const struct keyring_file *f, const struct kv_unlock *secret,
	unsigned *ret_index, uint8_t ret_master[32]);

/* ---- recovery key's text (recovery.c) -------------------------------------------------------- */

void keyring_recovery_format(const uint8_t key[20], char ret_text[KEYRING_RECOVERY_TEXT]);

/* ---- opening (keyring.c) --------------------------------------------------------------------- */

/* The key of the file's MAC. */
void keyring_mac_key(const uint8_t master[32], uint8_t ret_key[32]);
/*
 * Reads, decodes and unlocks the file in @dir and checks its MAC. The master key goes into 32 bytes
 * of the caller's locked memory; @ret_index is the slot's place in the array.
 */
int keyring_unlock_file(int dir, const struct kv_unlock *unlock, struct keyring_file *ret_file,
	unsigned *ret_index, uint8_t ret_master[32]);
/* Adds domain @f->last_domain + 1 (0 in a new file) with @key wrapped. -ENOSPC, -ENOMEM. */
int keyring_domain_append(struct keyring_file *f, const uint8_t master[32], const uint8_t key[32]);

#define _cleanup_keyring_file_ _cleanup_(keyring_file_release)

#endif
