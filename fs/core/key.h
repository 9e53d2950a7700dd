/*
 * key.h: the keys of core's records. The layout is part of the format (kv/FORMAT.md).
 *
 *   u32 domain | u32 container | u8 kind | u40 inode | …          all big-endian
 *
 * A domain is a user (0: the store's own and users/ itself). A container is a session, or the users
 * folder, a user or a workflow for the plain content in them; its number is that of the first block of
 * inode numbers that was leased to it, and the inode of its root directory is the first of that block.
 * An inode number is 40 bits: u32 block | u8 within the block.
 */
#ifndef SCRIBEFS_FS_CORE_KEY_H
#define SCRIBEFS_FS_CORE_KEY_H

#include "kv/bytes.h"

/*
 * Numbers are part of the format. 1–15 lie in KV_META, 16–31 in KV_DATA; those of 2–5 may have versions in
 * KV_HISTORY (past.h).
 */
enum key_kind {
	KEY_CONTAINER = 1, /* inode 0: the container's record */
	KEY_SESSION = 2,   /* inode 0: the session layer's record; u8 after it: which */
	KEY_INODE = 3,
	KEY_DENTRY = 4, /* inode: the directory; u64 entry key (name.h) */
	KEY_XATTR = 5,	/* u64: hash of the name << 7 | ordinal */
	KEY_SNAPSHOT = 6, /* inode 0; u64 id: who took it, its name (snapshot.c) */
	KEY_PLACE = 7,	  /* inode 0; u64 until: where the container lay up to then (pins.c) */
	/* in domain 0, container 0 only: */
	KEY_LEASE = 8,	 /* inode field: first inode number of a run of blocks */
	KEY_COUNTER = 9, /* inode 0: the next free block */
	KEY_WORK = 10,	 /* inode: orphans and background deletions; u64: sequence */
	KEY_PIN = 11,	 /* inode field: container; u64 id of a snapshot of it (snapshot.c) */
	KEY_EPOCH = 12,	 /* inode 0: how many snapshots there were (snapshot.c) */
	/* KV_DATA: */
	KEY_MAP = 16,	/* u8 level, u64 index, u64 version */
	KEY_CHUNK = 17, /* u64 index, u64 version */
};

#define KEY_MAX 40

struct key {
	uint8_t bytes[KEY_MAX];
	size_t len;
};

static inline struct key key_make(uint32_t domain, uint32_t container, enum key_kind kind,
	uint64_t ino)
{
	struct key k;
	uint8_t *p = put_be32(k.bytes, domain);
	p = put_be32(p, container);
	p = put_u8(p, (uint8_t)kind);
	p = put_u8(p, (uint8_t)(ino >> 32));
	p = put_be32(p, (uint32_t)ino);
	k.len = (size_t)(p - k.bytes);
	return k;
}
static inline void key_add_u64(struct key *k, uint64_t v)
{
	k->len = (size_t)(put_be64(k->bytes + k->len, v) - k->bytes);
}
static inline void key_add_u8(struct key *k, uint8_t v)
{
	k->bytes[k->len++] = v;
}
#define KEY_KIND_END 9 /* bytes of domain, container and kind */
#define KEY_PREFIX 14 /* bytes of domain, container, kind, inode */

#endif
