/*
 * chunk.h: buffered chunks of one file, and what an op does to its data until it is published. Used
 * by fs/core's data files only; everything is guarded by the inode's lock.
 *
 * An edit is built beside the inode's own state: its set borrows the bytes of the inode's dirty
 * chunks and copies those that it changes. After the commit the inode's set is empty, for all of it
 * was stored with the op; if the op fails the edit is thrown away and the inode's set is as it was.
 */
#ifndef SCRIBEFS_FS_CORE_CHUNK_H
#define SCRIBEFS_FS_CORE_CHUNK_H

#include "fs/core/core_internal.h"
#include "fs/core/map.h"

#define CHUNK_BYTES(map) (1u << (map)->chunk_shift)

struct data_edit {
	struct op *op;
	struct inode *inode;
	struct irec *rec;      /* the staged record */
	struct map_edit *map;  /* NULL: the map is not changed yet */
	struct dirty_set dirty;
	bool inline_saved;     /* inline_data was changed; old_inline is what it was */
	struct buf old_inline;
	bool stored;	       /* records were put under the map's version */
	bool changed;	       /* bytes that a user sees changed by the op itself */
};

/* The chunk, or NULL. Valid until the set changes. */
struct dirty_chunk *dirty_find(const struct dirty_set *set, uint64_t index);
/* The first chunk at or after @index, or set->count. */
size_t dirty_lower(const struct dirty_set *set, uint64_t index);
/* Takes over chunk->bytes (unless borrowed). -ENOMEM: it stays the caller's. */
int dirty_add(struct dirty_set *set, const struct dirty_chunk *chunk,
	struct dirty_chunk **ret_chunk);
/* Removes the chunks from @from up to @to (not included). */
void dirty_remove(struct dirty_set *set, uint64_t from, uint64_t to);
void dirty_release(struct dirty_set *set);

/*
 * A new chunk in memory: zeros, or with @stored the bytes that @entry names. The caller frees
 * ret_chunk->bytes.
 */
int chunk_new(const struct inode *inode, const struct map_root *map, uint64_t index,
	const struct map_entry *entry, bool stored, struct dirty_chunk *ret_chunk);
/* -ENOSPC where there is no room for one more: early, while there is someone to tell. A look at a cached number. */
int chunk_room(const struct inode *inode);
/*
 * Before a write of @size bytes up to @end: a plain file that grows beyond its first chunk and is noise gets smaller
 * ones from then on. What there is of it is buffered in them; the map's only entry still names the record that
 * chunk 0 replaces. Where that cannot be read, or there is more, the chunks stay as they are. -ENOMEM.
 */
int chunk_split(struct inode *inode, const void *data, size_t size, uint64_t end);
/* The stored bytes below a tail come into memory, below its own: it is a chunk as others then. */
int chunk_complete(const struct inode *inode, struct dirty_chunk *chunk);
/* Sets the length; bytes beyond become zeros. */
void chunk_shorten(struct dirty_chunk *chunk, uint32_t length);

/* The inode's edit in this op, begun on the first call. -EROFS, -ENOMEM. */
int edit_get(struct op *op, struct inode *inode, struct irec *rec, struct data_edit **ret_edit);
void edit_free(struct data_edit *e);
/* Before inline_data is changed. */
int edit_save_inline(struct data_edit *e);
/* Starts to change the map. */
int edit_map(struct data_edit *e);
/*
 * The chunk as the op has it by now, to be changed; NULL where there is nothing (a hole,
 * unwritten). With @make a hole becomes a chunk of zeros.
 */
int edit_chunk(struct data_edit *e, uint64_t index, bool make, struct dirty_chunk **ret_chunk);
/* A file that is not mapped becomes so: its bytes are the first chunk. */
int edit_become_mapped(struct data_edit *e);

/* file.c: adds to what is buffered, in the inode and in all. Takes over chunk->bytes, also where it fails: -ENOMEM. */
int data_add_dirty(struct inode *inode, const struct dirty_chunk *chunk);

/*
 * tail.c, with inode->lock held for writing. Appends to the tail, or begins one: 1, or 0 where that is not what the
 * write is, or there would be too much of it.
 */
int tail_append(struct inode *inode, const void *data, size_t size, uint64_t offset);
/* Before any other write: what there is of a tail goes into its chunk, in memory. */
int tail_fold(struct inode *inode);
/* As a commit begins: whether nothing but a tail is buffered; then it becomes the one that is stored. */
bool tail_is_all(const struct inode *inode);
int tail_stage(struct op *op, struct inode *inode, struct irec *rec);
/* Before an edit changes the map: likewise, in the edit. */
int tail_fold_edit(struct data_edit *e);
/* Before that, in an edit that cuts the file: a tail in chunk @cut or beyond goes, and its chunk is not read. */
int tail_cut(struct data_edit *e, uint64_t cut);
/* The tail of which a byte is in chunk @index, to be read: its bytes, and where in the chunk they begin and end. */
bool tail_find(const struct inode *inode, uint64_t index, const uint8_t **ret_bytes, uint32_t *ret_from,
	uint32_t *ret_end);
/* data.c: the inline bytes, or the tail, that are committed: not what an op that has not committed yet made of them. */
const struct buf *data_published_inline(const struct inode *inode);

/* data.c: nothing is buffered any more: stored, or never to be. inode->lock (write) is held. */
void data_forget(struct inode *inode);
/* commit.c: takes it off core's list; true: its reference is the caller's to put. */
bool data_unlist(struct inode *inode);
/*
 * commit.c: commits what is buffered, or else returns the error of an earlier commit, once. No
 * locks.
 */
int commit_or_tell(struct core *core, struct inode *inode);

#endif
