/*
 * name.h: entries of directories: their keys, their records, and what a name says.
 *
 * The key of an entry is 63 bits, and the cookie of a listing as well:
 *   NNN.md in a numbered directory:   number << 7                          (< 2^37)
 *   any other name:                   1 << 62 | hash (55 bits) << 7 | ordinal
 * hash: the high bits of kv_hash64() with the user's key; names that collide get ordinals 0, 1, …,
 * without gaps. Ordinal 0 has a flag that says whether there are more. Cookies 1 and 2 are "." and "..".
 * The name itself is in the sealed record and compared on every hit.
 */
#ifndef SCRIBEFS_FS_CORE_NAME_H
#define SCRIBEFS_FS_CORE_NAME_H

#include "fs/core/inode.h"

#define NAME_COOKIE_DOT 1
#define NAME_COOKIE_DOTDOT 2

/* The number of a canonical NNN.md (three digits at least, no needless zeros, 1 … 999999999), else 0. */
uint32_t name_message_number(const char *name, size_t len);
/* "007.md" … into @ret_name (16 bytes are enough); returns its length. */
size_t name_of_message(uint32_t number, char *ret_name);

#define DENTRY_MAX (34 + CORE_NAME_MAX)
#define DENTRY_EPOCH_AT 15 /* where the epoch stands in the record */

struct dentry {
	uint64_t key;	    /* with the ordinal */
	uint64_t ino;
	uint32_t container; /* of the child, and its domain */
	uint32_t domain;
	uint64_t epoch; /* as irec.epoch */
	uint32_t generation;
	uint8_t type; /* mode >> 12 */
	bool more;    /* ordinal 0: others with this hash exist */
	size_t name_len;
	char name[CORE_NAME_MAX + 1];
};

int dentry_decode(const void *data, size_t len, struct dentry *ret_dentry); /* key is the caller's */
size_t dentry_encode(const struct dentry *d, uint8_t *ret_record);	      /* at most DENTRY_MAX bytes */

/*
 * Finds @name in @dir (its container's lock held): 0, -ENOENT, -EBADMSG. @txn may be NULL (committed
 * state). On -ENOENT, ret_dentry->key is a free key for it.
 */
int dentry_find(struct core *core, struct kv_txn *txn, struct inode *dir, const char *name, size_t len,
	struct dentry *ret_dentry);
/* The first key at which a name that is no number may stand in any directory of @domain; others follow it. */
int name_key_hashed(struct core *core, uint32_t domain, const char *name, size_t len, uint64_t *ret_key);
/* The entry's element in the directory's multiset hash. */
int dentry_hash(struct core *core, struct inode *dir, const struct dentry *d, uint8_t ret_hash[16]);

#endif
