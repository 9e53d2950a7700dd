/*
 * pins.h: which snapshots there are, and which containers they cover. Only for fs/core.
 *
 * All pins are in memory, under a lock of their own, inside of which only cache_lock is taken and kv read.
 * They change only while the gate is closed (gate.h). Where a container lay and when is read from
 * its place rows and its root's inode, and kept (README.md, "Snapshots").
 *
 * Place row (KEY_PLACE, u64 until): u8 format (1) | u32 domain | u32 container | u64 from: it lay there
 * for the snapshots in (from, until].
 * Pin row (KEY_PIN): u8 format (2) | u8 flags | u32 domain | u32 slot | i64 seconds | u32 nanoseconds
 *     | u32 number | i64 second, which format 1 has not: these are as they would have been
 * Epoch row (KEY_EPOCH): u8 format (1) | u64 epoch | u32 next slot
 */
#ifndef SCRIBEFS_FS_CORE_PINS_H
#define SCRIBEFS_FS_CORE_PINS_H

#include "fs/core/core_internal.h"
#include "fs/core/snapshot.h"

struct pin {
	uint64_t id;
	uint32_t slot;
	uint32_t domain, container;
	uint8_t flags; /* enum snapshot_flags */
	struct timespec taken;
	uint32_t number; /* with second: unique */
	int64_t second;
	char *name; /* NULL: not read yet */
	uid_t uid;  /* with the name */
	gid_t gid;
	struct pin *slot_next, *numbered_next;
};

#define PIN_FORMAT 1	 /* of all rows but those of pins */
#define PIN_ROW_FORMAT 2 /* the newest */
#define SLOT_BUCKETS 4096
#define NUMBERED_BUCKETS 4096
#define PLACE_BUCKETS 1024 /* at first; there may be as many places as sessions */
#define LINEAGE_BUCKETS 4096

/* The pins of one place, by rising id. */
struct place_pins {
	uint32_t container;
	struct pin **pins;
	size_t n, cap;
	struct place_pins *next;
};

struct past_place {
	uint32_t domain, container;
	uint64_t from, until;
};

/* Where a container lies, and lay. */
struct lineage {
	uint32_t domain, container;
	uint32_t parent_domain, parent; /* 0: it is the root's, or no more */
	uint64_t since;
	struct past_place *past;
	size_t n_past;
	uint64_t newest, generation; /* the newest pin that covers it, worked out at generation; 0 not yet */
	struct lineage *next;
};

struct pins {
	pthread_mutex_t lock; /* all below but the atomics */
	_Atomic uint64_t epoch, generation;
	_Atomic size_t n;
	uint32_t next_slot;
	struct pin **all; /* by rising id */
	size_t cap;
	struct pin *slots[SLOT_BUCKETS];
	struct pin *numbered[NUMBERED_BUCKETS];
	struct place_pins **places; /* a hash table that grows */
	size_t place_buckets, n_places;
	struct lineage *lineages[LINEAGE_BUCKETS];
	size_t n_lineages;
};

/* A place row. -EBADMSG, -EPROTONOSUPPORT. */
int place_decode(const uint8_t *key, size_t len, const struct buf *value, struct past_place *ret_place);
int pins_open(struct core *core);
void pins_close(struct core *core);

/* Raised whenever a pin comes or goes; the epoch first. */
uint64_t pins_generation(struct core *core);
uint64_t pins_epoch(struct core *core);
/* Live pins in the store. */
size_t pins_count(struct core *core);
bool pins_last_taken(struct core *core, struct timespec *ret_taken); /* false: there are none */

/* The newest pin that covers the container, 0 none. */
int pins_newest(struct core *core, uint32_t domain, uint32_t container, uint64_t *ret_id);
/* All that cover it, by rising id; the caller frees. */
int pins_all(struct core *core, uint32_t domain, uint32_t container, uint64_t **ret_ids, size_t *ret_n);
/* Whether the container lies in, or is, @place now. */
int pins_lies_in(struct core *core, uint32_t domain, uint32_t container, uint32_t place, bool *ret_in);
/* The id of the live snapshot with this slot, 0 none. */
uint64_t pins_id_of_slot(struct core *core, uint32_t slot, uint32_t *ret_container);

/*
 * In an op: the container leaves the place where it lies, for another or for good. Stages a row where there
 * are pins; op_commit() calls pins_moved() for op->moved.
 */
int pins_leave_place(struct op *op, struct container *c);
void pins_moved(struct core *core, uint32_t container);

/* For snapshot.c, which alone changes the set. The rows of a new pin and its epoch go into @txn. */
int pins_stage(struct core *core, struct kv_txn *txn, struct pin *pin);
/* After the commit, the gate closed. @pin is theirs from here on. */
void pins_add(struct core *core, struct pin *pin);
int pins_reserve(struct core *core, uint32_t container); /* room, so that pins_add() cannot fail */
void pins_remove(struct core *core, uint64_t id);
/* A copy of the next pin above @after, of @container, or of all where it is 0. -ENOENT. */
int pins_next(struct core *core, uint32_t container, uint64_t after, struct snapshot_info *ret_info);
int pins_get(struct core *core, uint64_t id, struct snapshot_info *ret_info);
int pins_numbered(struct core *core, uint32_t number, int64_t second, struct snapshot_info *ret_info);
/* Of a place that has no number of its own: three digits of its container's, which it keeps for life. */
static inline uint32_t pins_number_of(uint32_t container)
{
	return container % 1000;
}
int pins_find(struct core *core, uint32_t container, const char *name, struct snapshot_info *ret_info);
/* The newest one that was taken of this place itself; false: there is none. */
bool pins_newest_of(struct core *core, uint32_t container, uint64_t *ret_id);
size_t pins_of(struct core *core, uint32_t container); /* how many */
void pins_rename(struct core *core, uint64_t id, char *name); /* takes it over */

/* watch.c: for op_commit() */
void watch_changed(struct core *core, struct container *c, uint64_t epoch);
void watch_full(struct core *core);

/* What pins.c and lineage.c owe each other; pins->lock is held. */
struct place_pins *place_find(struct pins *p, uint32_t container);
/* The index of the first pin with an id above @id. */
size_t pins_above(struct pin *const *pins, size_t n, uint64_t id);
void lineages_forget(struct pins *p);

#endif
