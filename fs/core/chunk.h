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
 * A new chunk in memory: zeros, or with @load the stored bytes that @entry names. The caller frees
 * ret_chunk->bytes.
 */
int chunk_new(const struct inode *inode, const struct map_root *map, uint64_t index,
	const struct map_entry *entry, bool load, struct dirty_chunk *ret_chunk);
/*
 * Before a write of @size bytes up to @end: a plain file that grows beyond its first chunk and is noise gets smaller
 * ones from then on. What there is of it is buffered in them; the map's only entry still names the record that
 * chunk 0 replaces. Where that cannot be read, or there is more, the chunks stay as they are. -ENOMEM.
 */
int chunk_split(struct inode *inode, const void *data, size_t size, uint64_t end);
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
