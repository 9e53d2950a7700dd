/*
 * map.h: the tree of map pages of one file: look-up, and changes within a transaction. data.h says
 * what the tree is; this is used by fs/core's data files only.
 *
 * A page record (KEY_MAP: u8 level, u64 index, u64 version) is
 *
 *   u8 format (1) | u8 level | u64 stored | MAP_FANOUT entries of 12 bytes
 *
 * stored: bytes allocated below the page, so that a whole tree can be cut off without reading its
 * leaves. Page @index of level l covers the chunks from index << 7 (l + 1) on. Pages are immutable
 * once they are stored and versions never repeat, so the cache of decoded pages needs no
 * invalidation.
 */
#ifndef SCRIBEFS_FS_CORE_MAP_H
#define SCRIBEFS_FS_CORE_MAP_H

#include "fs/core/data.h"
#include "fs/core/key.h"
#include "kv/cleanup.h"

struct kv_txn;

#define MAP_PAGE_BYTES (10 + MAP_FANOUT * 12)

struct map_page {
	int refs; /* atomic */
	uint8_t level;
	uint64_t ino, index, version, stored;
	struct map_entry entries[MAP_FANOUT];
};

void map_page_encode(const struct map_page *page, uint8_t ret_record[MAP_PAGE_BYTES]);
/* Level, stored and entries of @ret_page. -EBADMSG, -EPROTONOSUPPORT. */
int map_page_decode(const void *data, size_t len, struct map_page *ret_page);
void map_page_unref(struct map_page *page);
DEFINE_CLEANUP(struct map_page *, map_page_unref);

/* Recently used pages of all files; any thread. NULL is an empty one that keeps nothing. */
struct map_cache;
struct map_cache *map_cache_new(void);
void map_cache_free(struct map_cache *cache);
/* Of a committed page; takes a reference of its own. */
void map_cache_add(struct map_cache *cache, struct map_page *page);

struct key map_page_key(const struct inode *inode, unsigned level, uint64_t index,
	uint64_t version);
struct key map_chunk_key(const struct inode *inode, uint64_t index, uint64_t version);

/* A stored page; a missing one is -EBADMSG. The caller drops it with map_page_unref(). */
int map_page_get(const struct inode *inode, unsigned level, uint64_t index, uint64_t version,
	struct map_page **ret_page);

/*
 * The entry that covers chunk @index of the committed map @root. *@ret_end is the first chunk that
 * it does not cover (UINT64_MAX: none follows). -EBADMSG.
 */
int map_find(const struct inode *inode, const struct map_root *root, uint64_t index,
	struct map_entry *ret_entry, uint64_t *ret_end);

/* ---- changes (map_edit.c) -------------------------------------------------------------------- */

/*
 * Changes to a map within a transaction: pages are loaded as they are touched and written by
 * map_edit_write() under the edit's version; records of chunks and pages that are replaced are
 * deleted in the transaction at once. If it is not committed the edit is just freed.
 */
struct map_edit;

int map_edit_new(const struct inode *inode, struct kv_txn *txn, const struct map_root *root,
	struct map_edit **ret_edit);
/* Records with versions below @version are a snapshot's as well: they are let go of and not deleted. */
void map_edit_keep(struct map_edit *edit, uint64_t version);
void map_edit_free(struct map_edit *edit);
/* The version under which this transaction's chunks and pages are stored. */
uint64_t map_edit_version(const struct map_edit *edit);
/* Bytes allocated by now. */
uint64_t map_edit_stored(const struct map_edit *edit);
/* As map_find(), with the changes. */
int map_edit_find(struct map_edit *edit, uint64_t index, struct map_entry *ret_entry);

/* Chunk @index is stored by this transaction, @length bytes. */
int map_edit_set(struct map_edit *edit, uint64_t index, uint32_t length);

enum map_fill {
	MAP_FILL_HOLES = 1, /* only what is a hole: allocation */
	MAP_FILL_LAZY = 2,  /* beyond @budget leave the records to WORK_TAIL: truncation */
};
/*
 * Makes the chunks from @from up to @to (not included) @type: MAP_HOLE or MAP_UNWRITTEN. When
 * @budget records are deleted it stops (returns 1, and *@ret_done says from where to go on, after a
 * commit), or with MAP_FILL_LAZY it goes on without deleting (map_edit_leftover()). 0 done.
 */
int map_edit_fill(struct map_edit *edit, uint64_t from, uint64_t to, enum map_type type,
	unsigned flags, unsigned budget, uint64_t *ret_done);
/* Whether records were left undeleted. Their versions are below map_edit_version(). */
bool map_edit_leftover(const struct map_edit *edit);

/* Writes the touched pages. @ret_root: its next_version is the edit's plus one. */
int map_edit_write(struct map_edit *edit, struct map_root *ret_root);
/* After the commit: keeps the new pages in the cache. */
void map_edit_publish(struct map_edit *edit);

#endif
