/*
 * data.h: a file's bytes: buffered in memory, stored inside the inode record while small, in chunks
 * under a tree of map pages beyond.
 *
 * Chunks of 2^chunk_shift bytes are written whole under a new version and never in place, so the only copy is
 * never overwritten: CHUNK_SHIFT at first, for large ones compress better; CHUNK_SHIFT_NOISE from the second chunk
 * on in a plain file that does not compress, so that a write into it rewrites little (chunk_split()).
 *
 * A map page has MAP_FANOUT entries; leaves (level 0) point to chunks, inner pages to pages. The root entry lies
 * in the inode record.
 * An entry is
 *
 *   u8 type (map_type) | u24 length | u64 version        12 bytes
 *
 * length: of a chunk's plain bytes (trailing bytes up to the chunk's size are zeros), 0 for pages.
 * The version is in the key of the record that the entry points to, and so in its associated data:
 * a chunk or page is vouched for by the page above it and at last by the inode. A missing record is
 * -EBADMSG, never zeros; a hole is MAP_HOLE. MAP_UNWRITTEN is allocated by fallocate and reads as
 * zeros; both may stand at any level and then cover the whole range below. depth 0: the root entry
 * is the only chunk.
 *
 * The tail: bytes that were appended to a mapped file lie in the inode record, up to INODE_TAIL_MAX of them, so that
 * an append rewrites neither the chunk nor the map. They belong to the last chunk, a MAP_RECORD, right behind the
 * length that its entry says, and end the file. They are at most the rest of that chunk. Only appends keep
 * a tail (tail.c); whatever else changes the bytes, or the map, puts it into its chunk first. So a file whose tail
 * is another one has another size or another map.
 *
 * Versions are irec.map.next_version, raised at each commit of data, so that no key is used twice.
 */
#ifndef SCRIBEFS_FS_CORE_DATA_H
#define SCRIBEFS_FS_CORE_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct inode;
struct irec;
struct op;
struct core;

#define CHUNK_SHIFT 15
#define CHUNK_SHIFT_NOISE 12
#define MAP_FANOUT 128
#define MAP_FANOUT_SHIFT 7

enum map_type { MAP_HOLE = 0, MAP_RECORD = 1, MAP_UNWRITTEN = 2, MAP_EXTERNAL = 3 /* reserved */ };

struct map_entry {
	uint8_t type;	 /* enum map_type */
	uint32_t length; /* 24 bits */
	uint64_t version;
};

struct map_root {
	uint8_t chunk_shift;
	uint8_t depth;	       /* levels of pages; 0: root is a chunk's entry */
	uint64_t next_version; /* of the next commit of data */
	uint64_t stored;       /* bytes allocated: lengths of chunks, and of unwritten ranges */
	struct map_entry root;
};

/* A chunk whose bytes in memory are newer than the stored ones. */
struct dirty_chunk {
	uint64_t index;
	uint8_t *bytes;	   /* a whole chunk; zeros from length on */
	uint32_t length;   /* up to the last byte that was ever written */
	uint32_t replaced; /* bytes allocated for what it replaces in the committed map */
	bool borrowed;	   /* bytes belong to another set (chunk.h) */
	/*
	 * Not 0: a tail. What the map's entry names is as long, and stands for the bytes below, which are not in
	 * memory; it is then the only chunk of its set.
	 */
	uint32_t from;
};

/* Sorted by index. */
struct dirty_set {
	struct dirty_chunk *chunks;
	size_t count, cap;
};

struct data_edit; /* chunk.h: what an op does to the data, until it is published */

/* Embedded in struct inode, under its lock. Zeroed is empty. */
struct data {
	struct dirty_set dirty;
	size_t dirty_bytes; /* memory; what this inode adds to core's sum */
	struct data_edit *edit;
	bool content; /* the bytes, or their number, are not as stored */
	int error; /* of a deferred commit, to be told once to the next write, fsync or close */
	int opens, writers; /* struct files, and those that may write */
	/* core's list of inodes with uncommitted changes, each a reference: core->dirty_lock */
	struct inode *dirty_prev, *dirty_next;
	bool on_dirty_list;
	unsigned failures; /* of commits since the last good one */
	uint64_t due_ms;   /* CLOCK_MONOTONIC: when the committer takes it */
};

/*
 * For op.c. With the inode staged: puts all buffered data into the op's transaction and brings @rec
 * (the staged record) up to date (body, map, size). Nothing in memory changes until data_publish()
 * (the commit succeeded) or data_abandon() (it did not: the buffers are as before). A file
 * whose map is cut to nothing is empty, and may be inline again.
 */
int data_stage(struct op *op, struct inode *inode, struct irec *rec);
void data_publish(struct inode *inode);
/* Also called by op_end() for every staged inode: an op may fail before it stages the data. */
void data_abandon(struct inode *inode);

/* Bytes allocated for the file's data, buffered data included (st_blocks). inode->lock is held. */
uint64_t data_stored(const struct inode *inode);

/* Whether anything is uncommitted: buffered data, or attr_dirty. inode->lock is held. */
bool data_dirty(const struct inode *inode);
/* Puts the inode on core's dirty list; data_publish() takes it off. inode->lock (write) is held. */
void data_mark_dirty(struct inode *inode);

/* Changes the length within an op (the inode is staged; rec is the staged record). -EFBIG. */
int data_resize(struct op *op, struct inode *inode, struct irec *rec, uint64_t size);
/*
 * Replaces the whole content within an op; times are the caller's. For what the daemon itself
 * writes.
 */
int data_replace(struct op *op, struct inode *inode, struct irec *rec, const void *bytes,
	size_t len);
/* As core_read(), with inode->lock held: what a reader outside of the op sees. */
ssize_t data_read(struct inode *inode, void *data, size_t size, uint64_t offset);
/* Frees the buffers of an inode that is leaving memory. */
void data_drop(struct inode *inode);

/*
 * With the inode staged for its end: deletes the data of a file of one chunk in the op itself. Returns 1 when
 * nothing of it remains, 0 when there is more, which is the worker's (WORK_REMOVE), or -errno.
 */
int data_delete_small(struct op *op, struct inode *inode, const struct irec *rec);

/*
 * For the worker: deletes records of a removed file's data or of a truncated tail, at most @budget
 * in one transaction (all chunks with index >= @from_chunk and versions from @min_version to @max_version,
 * and the map pages that covered only these). Returns 1 when more remains, 0 when done, or -errno. Restartable:
 * it deletes what it finds by scanning keys.
 */
int data_delete_records(struct core *core, uint32_t domain, uint32_t container, uint64_t ino,
	uint64_t from_chunk, uint64_t min_version, uint64_t max_version, unsigned budget);

#endif
