/*
 * check.h: a check of the whole filesystem in a store, and its repair, at the level of records: no struct
 * core is open meanwhile, and nothing is believed that another record does not bear out.
 *
 * Used by tools (`scribefs fsck`) and tests; fs/session adds what it knows through struct check_rules
 * (fs/session/check.h has them). One thread; the store is opened for this alone.
 *
 * One look is one ordered scan of both families (kv/check.h), a container at a time: in the order of keys
 * come its own records, its inodes, entries, xattrs, map pages and chunks. Of each inode of the container
 * at hand 48 bytes are kept, of each container of the store 80; everything else is read again where
 * it is needed. So time is that of reading the store once, and memory that of the largest container.
 *
 * A repair is looks that mend, until one finds nothing that it can mend (core_check_repair()). Each mend is
 * part of a transaction that leaves the records better than they were, so a repair that is interrupted
 * anywhere is just run again. What is mended, and by what:
 *
 *   a directory's count, sum, links       its entries
 *   a file's links                        the entries that lead to it
 *   an entry's generation and type        the inode, for numbers are never given twice
 *   a directory that is gone or unreadable   its entries, and the entry that leads to it; rights 0700
 *   one whose record is a file's          the same: what has entries is a directory
 *   an entry into another container       nothing, it goes; what lies there has another
 *   counters, leases, containers' records what is there
 *   a file without an entry               its own record: the directory and the number of a message; else
 *                                         .lost+found/ in the root of its container (core_check_attach())
 *
 * Snapshots (README.md): a look reads KV_HISTORY once more, after the containers, with the data that only versions
 * name. The history is never deleted or changed; a mend that overwrites or deletes what a snapshot may see
 * copies it there first, as an op does, and data below a version's bound is left to the sweep (check_past.c).
 *
 *   a part of a file's data, an inode, an attribute, a name, a session's record
 *                                         the newest copy that can be read: of a snapshot or a backup
 *
 * A copy is of the same inode number and generation. Where a file has not changed since a backup only what it lost is
 * put back. Else the whole file becomes what it was then, and what can still be read of its newer bytes is kept in
 * .lost+found/, with zeros where nothing can be. What nothing can mend, and no copy gives back, stays: a file that has
 * lost a chunk keeps its name and its other bytes. A file whose inode cannot be read loses its name. All of it is
 * told, and written to .lost+found/damaged.txt of the user.
 */
#ifndef SCRIBEFS_FS_CORE_CHECK_H
#define SCRIBEFS_FS_CORE_CHECK_H

#include "fs/core/inode.h"
#include "fs/core/name.h"

struct check;

enum check_state {
	CHECK_FOUND, /* a look found it */
	CHECK_MENDED,
	CHECK_LEFT, /* a repair has to leave it */
};

/* Valid during the call that hands it out. */
struct check_problem {
	enum check_state state;
	const char *code; /* a word for programs: README.md lists them */
	const char *path; /* "users/…", or "inode 513", "container 2", "store": where there is no path */
	uint32_t domain, container;
	uint64_t ino; /* 0: no inode's */
	const char *text;
};

/* One older copy that was looked at for what is lost: a repair tells of each, the newest first. */
struct check_try {
	const char *path;
	uint64_t ino;
	const char *source;  /* "snapshot NAME", "backup NAME" */
	int64_t time;	     /* of which moment it is, seconds since 1970 */
	const char *reason; /* why not; NULL: it was taken from here */
};

/* Who is told. */
struct check_sink {
	void (*problem)(void *arg, const struct check_problem *problem);
	void (*progress)(void *arg, uint64_t records); /* now and then */
	void (*tried)(void *arg, const struct check_try *done); /* may be NULL */
	void *arg;
};

/*
 * A backup of the store. @open is called when it is first needed, and again: 0 and the kv, which stays open, read-only,
 * until the repair is over; else -errno, and @ret_reason (a constant) says why it cannot be looked into.
 */
struct check_source {
	const char *name;
	int64_t time; /* of which moment it is, seconds since 1970 */
	int (*open)(void *arg, struct kv **ret_kv, const char **ret_reason);
	void *arg;
};

/* A record of the layer above: key (container, KEY_SESSION) and what follows it. */
struct check_row {
	uint32_t domain, container;
	uint8_t which;
	const uint8_t *more; /* of the key, after which */
	size_t more_len;
	int error; /* 0, or why it cannot be read */
	const struct buf *value;
};

/* What the layer above knows; each call may report and mend. 0 or -errno (-ENOMEM, -EIO …). */
struct check_rules {
	/* The role of a name in a directory, and whether a directory of that role is numbered. */
	uint8_t (*role)(uint8_t parent_role, const char *name, size_t len, mode_t type);
	bool (*numbered)(uint8_t role);
	/* Whether an older program gave @was to what has the role @now; NULL: never. It is no damage. */
	bool (*role_was)(uint8_t now, uint8_t was);
	int (*row)(void *arg, struct check *c, const struct check_row *row);
	/* A regular file with its facts (NULL: none), before any entry of its container. */
	int (*file)(void *arg, struct check *c, uint64_t ino, const struct irec *rec,
		const struct blob *facts);
	/* An entry that leads to something, in a directory of @dir_role. */
	int (*entry)(void *arg, struct check *c, uint64_t dir, uint8_t dir_role,
		const struct dentry *d);
	/* The end of a container of @kind whose root is there. */
	int (*end_container)(void *arg, struct check *c, uint8_t kind, const struct irec *root);
	int (*end_domain)(void *arg, struct check *c, uint32_t domain);
	/* The one name that things of this role have, or NULL. */
	const char *(*name_of_role)(uint8_t role);
	/* A name that the layer above remembers for a container that has lost its own. -ENOENT. */
	int (*name)(void *arg, struct check *c, uint32_t domain, uint32_t container,
		char ret_name[CORE_NAME_MAX + 1]);
	void *arg;
};

struct check_options {
	bool mend;
	const struct check_rules *rules; /* NULL: roles are not looked at */
	const struct check_source *sources; /* besides the store's own snapshots */
	size_t n_sources;
	struct check_sink sink;
	unsigned name_hash_bits; /* as core_options has it */
	bool keep_lost;		 /* giving names did not work: what has lost its own is left */
	struct check_memory *memory; /* core_check_repair()'s: what was tried so far */
};

/* Something that has lost its name. */
struct check_lost {
	uint32_t domain, container;
	uint64_t ino, parent;
	uint32_t number;
	uint16_t type; /* mode >> 12 */
	bool root;     /* of the container */
	uint8_t role;
	char *name; /* that an older copy of its directory has, or NULL */
};

/* Something that a mending look found unreadable: a line of damaged.txt. */
struct check_damage {
	uint32_t domain, container;
	uint64_t dir, ino; /* dir: 0 where it has no name to be taken back under */
	bool kept;	   /* it still has its name and its other bytes */
	char *path, *why;  /* why: with what came of the tries */
};

struct check_result {
	uint64_t records, inodes, containers;
	uint64_t found;	      /* problems */
	uint64_t mended;
	uint64_t mendable;    /* of those found */
	unsigned gaps;	      /* stretches that the engine could not read */
	bool sum_differs;     /* the sum over all records */
	uint64_t pending;     /* deletions in the background that go on at the next mount */
	uint64_t unused_keys, unused_leases; /* no harm: what removed users and sessions left */
	struct check_lost *lost;
	size_t n_lost;
	struct check_damage *damage; /* DAMAGE_MAX at most */
	size_t n_damage;
};
void check_result_release(struct check_result *result);

#define DAMAGE_MAX 10000

/* One look, which mends with @options->mend. 0 when it came to its end, whatever it found. */
int core_check(struct kv *kv, const struct check_options *options, struct check_result *ret_result);

/*
 * Gives names to what has lost them (@result->lost), in a core that is opened for it: a message its own
 * where that is free, a user or workflow the name that is remembered, everything else a name in
 * .lost+found/. Saves there what can be read of a file that is to be replaced by an older version, and writes what
 * became of each in @result->damage to .lost+found/damaged.txt of its user. *@ret_done: how many got names,
 * @ret_saved: how many files the next look can replace.
 */
int core_check_attach(struct kv *kv, const struct check_options *options,
	const struct check_result *result, uint64_t *ret_done, uint64_t *ret_saved);

/*
 * Mends what can be mended: looks and names in turn (@options->mend does not matter). @kv was opened with
 * kv_options.repair, and is settled on return. @ret_last is of the last look: what it found is left.
 * An error (-ENOSPC, -EIO, -ENOMEM) ends it; it can be run again.
 */
int core_check_repair(struct kv *kv, const struct check_options *options,
	struct check_result *ret_last, uint64_t *ret_mended);

/* ---- for struct check_rules ------------------------------------------------------------------ */

/*
 * A problem with @ino (0: the container at hand), as @name in directory @dir (both may be 0). Returns
 * whether it is to be mended now; @can: whether that is possible at all.
 */
bool check_tell(struct check *c, bool can, const char *code, uint64_t dir, const char *name,
	uint64_t ino, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
/* Changes of a mending look; they are committed together with others. */
int check_put(struct check *c, enum kv_family family, const struct key *key, const void *value,
	size_t len);
int check_delete(struct check *c, enum kv_family family, const void *key, size_t len);
/*
 * The record at @key (of KV_META, in the container at hand) of the newest older copy that @use takes with 0; else it
 * returns -errno. 1 it was taken, 0 none was. For the text of a problem: rescue_said().
 */
int check_rescue(struct check *c, const struct key *key, int (*use)(void *arg, const struct buf *value), void *arg);
const char *rescue_said(const struct check *c);
/* What is stored now (without changes of this look). */
int check_get(struct check *c, enum kv_family family, const struct key *key, struct buf *ret_value);
struct kv *check_kv(struct check *c);
/* The container at hand. */
uint32_t check_domain(const struct check *c);
uint32_t check_container(const struct check *c);

#endif
