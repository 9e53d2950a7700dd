/*
 * keyring.h: the file that holds a store's format, slots and wrapped keys. Part of kv.
 *
 * passphrase --Argon2id--> \
 * key file ---------------->  key-encryption key --> master key --> per-purpose keys (crypto_kdf)
 * recovery key ------------> /                                  \-> the wrap of each domain's key
 *
 * Every byte of the file is authenticated: each slot wraps the master key with the file's header as
 * associated data, and a MAC under a key from the master covers the whole file. It is changed by
 * writing a new file beside it, fsync, rename, fsync of the directory; no change of slots touches data.
 * Keys live in sodium_malloc memory.
 *
 * Threading: kv serialises access to an open keyring; the path functions are for tools and take the
 * keyring's own file lock, so that they work while the store is mounted.
 */
#ifndef SCRIBEFS_KV_KEYRING_H
#define SCRIBEFS_KV_KEYRING_H

#include "kv/buf.h"
#include "kv/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYRING_SLOTS 16	    /* at most */
#define KEYRING_LABEL_MAX 64	    /* bytes of a slot's label */
#define KEYRING_KEY_FILE_BYTES 32   /* bytes of a key file that scribefs makes; at least as many are asked of others */
#define KEYRING_RECOVERY_TEXT 64    /* bytes for a recovery key's text, its NUL included */

/* Bits of the incompatible features; 0 and 1 are reserved (FORMAT.md). */
#define KEYRING_INCOMPAT_DICTIONARIES 4u /* values may be packed with a domain's dictionary (pack.h) */
#define KEYRING_INCOMPAT_TAILS 8u	 /* inodes may hold the end of a file in chunks (fs/core/data.h) */

enum keyring_slot_type {
	KEYRING_PASSPHRASE = 1, /* any bytes; trailing newline already taken off by the caller */
	KEYRING_KEY_FILE = 2,	/* the file's bytes, 32 to 64 KiB, of full entropy: no Argon2 */
	KEYRING_RECOVERY = 3,	/* the text form; case, spaces and dashes do not matter */
};
/* No slot's: an opened store with the same master key (kv_unlock_as()). */
#define KEYRING_OPENED ((enum keyring_slot_type)0)

/* What opens a store. The bytes stay the caller's, who wipes them. */
struct kv_unlock {
	enum keyring_slot_type type;
	const void *secret;
	size_t secret_len;
};

enum kv_cipher { KV_CIPHER_XCHACHA20_POLY1305 = 1, KV_CIPHER_AES_256_GCM = 2 };

/* "xchacha20-poly1305" and "aes-256-gcm" (also "xchacha20", "aes"); -EINVAL unknown. */
int keyring_cipher_by_name(const char *name, enum kv_cipher *ret_cipher);
/* Whether this processor can open it. */
bool keyring_cipher_available(enum kv_cipher cipher);

struct keyring_init {
	enum kv_cipher cipher;
	struct kv_unlock first; /* the first slot's secret; not KEYRING_RECOVERY */
	bool recovery;		/* also make a recovery slot */
	/* Argon2id: 0 means calibrate to about half a second at 64 MiB. Tests set small ones. */
	uint64_t opslimit;
	size_t memlimit;
};

/*
 * Makes a new, empty store in @path: the directory (made 0700; an empty one is taken), keyring 0600. The
 * engine's files come with the first kv_open(). With @init->recovery the text goes to @ret_recovery.
 * -EEXIST there is a store, -ENOTEMPTY another directory, -EOPNOTSUPP cipher, -EINVAL secret too
 * short (an empty passphrase, a key file of less than 32 bytes).
 */
int keyring_create(const char *path, const struct keyring_init *init,
	char ret_recovery[KEYRING_RECOVERY_TEXT]);

struct keyring_slot_info {
	unsigned number; /* 0 … KEYRING_SLOTS-1, stable */
	enum keyring_slot_type type;
	char label[KEYRING_LABEL_MAX + 1];
	int64_t created;   /* seconds since 1970 */
	uint64_t opslimit; /* Argon2id's, 0 for other types */
	uint64_t memlimit; /* bytes */
};
/* What can be said without a secret. */
struct keyring_info {
	uint8_t id[16];
	unsigned format;
	uint32_t compat, ro_compat, incompat;
	enum kv_cipher cipher;
	unsigned slots;
	struct keyring_slot_info slot[KEYRING_SLOTS];
	unsigned domains;
};
/* Reads the header and the slots (not yet authenticated). -ENOENT, -EBADMSG, -EPROTONOSUPPORT. */
int keyring_read_info(const char *path, struct keyring_info *ret_info);

/* As the verbs `scribefs key …` need them; @unlock opens the keyring first. -ENOSPC: no slot free. */
int keyring_slot_add(const char *path, const struct kv_unlock *unlock, const struct kv_unlock *added,
	const char *label, unsigned *ret_slot);
/* Adds a recovery slot; its text is shown once. */
int keyring_slot_add_recovery(const char *path, const struct kv_unlock *unlock, const char *label,
	char ret_text[KEYRING_RECOVERY_TEXT], unsigned *ret_slot);
/* -EPERM: the last slot. -ENOENT: no such slot. */
int keyring_slot_remove(const char *path, const struct kv_unlock *unlock, unsigned slot);
/* Replaces the secret of the slot that @unlock opens (or of @slot if >= 0) in one step. */
int keyring_slot_change(const char *path, const struct kv_unlock *unlock, int slot,
	const struct kv_unlock *changed);

/*
 * Gives the keyring at @to the slots that the one at @from has, and leaves its domains alone: both are of one store
 * (-EBADMSG where not), @unlock opens one of them (or did before the slots of @from changed).
 */
int keyring_slots_copy(const char *from, const struct kv_unlock *unlock, const char *to);

/*
 * A recovery key is 160 random bits, written in Crockford's base 32 with a check over all of it, in
 * groups: any one mistyped character and any two swapped neighbours are caught before it is tried.
 */
int keyring_recovery_parse(const char *text, size_t len, uint8_t ret_key[20]); /* -EINVAL */

#endif
