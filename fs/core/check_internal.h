/*
 * check_internal.h: what the files of the check share. Only for fs/core/check*.c.
 *
 * check.c runs a look over the containers; check_space.c has leases and work, check_store.c what belongs to
 * the store as a whole (containers, counters, keys), check_nodes.c the inodes of a container, check_entries.c its
 * directories, check_dangling.c entries that lead nowhere, check_data.c xattrs, maps and chunks; check_past.c
 * snapshots and their history; check_path.c names things, check_mend.c writes.
 */
#ifndef SCRIBEFS_FS_CORE_CHECK_INTERNAL_H
#define SCRIBEFS_FS_CORE_CHECK_INTERNAL_H

#include "fs/core/check.h"
#include "fs/core/core_internal.h"
#include "fs/core/map.h"
#include "kv/check.h"

enum node_state {
	NODE_BAD = 1,	  /* the record cannot be read, or is no directory's where there must be one */
	NODE_XATTRS = 2,  /* says that it has xattrs, and none were seen yet */
	NODE_MAPPED = 4,  /* its data has not been looked at yet */
	NODE_REACHED = 8, /* directories: its parents lead to the root */
	NODE_WALKING = 16,
	NODE_LISTED = 32, /* directories: its entries were seen */
	NODE_MADE = 64,	  /* was missing, and has been made anew by this look */
	NODE_TORN = 128,  /* a page of its map cannot be read: what lay below is nobody's now */
};

/* Whether there are versions (past.h) of records whose keys begin so: what they need is left alone. */
bool history_below(struct check *c, const void *prefix, size_t len);

/* An inode of the container at hand: 48 bytes. */
struct node {
	uint64_t ino, parent;
	uint32_t generation, nlink;
	uint32_t links;	  /* entries that were found */
	uint32_t subdirs; /* directories: entries of directories in it */
	uint32_t number, want_number;
	uint16_t mode;
	uint8_t role, want_role, flags, state;
};

/* A directory whose record does not say what its entries are. */
struct dir_fix {
	uint64_t ino;
	struct msum sum;
	uint64_t count;
};

/* An entry of the container at hand that leads to an inode that is not there, or cannot be read. */
struct dangling {
	uint64_t dir;
	int role; /* of that directory, -1: not known */
	struct dentry entry;
	bool done;
};

struct lease {
	uint64_t first, end; /* inode numbers */
	uint32_t domain, container;
	uint32_t claim_domain, claim_container; /* who else has a number of it in use; 0: nobody */
};

struct work_row {
	uint64_t ino, sequence;
	uint8_t kind;
	uint32_t domain, container;
	uint64_t from_chunk, max_version;
};

/* A container of the store. */
struct cont {
	uint32_t id, domain;
	uint32_t generation; /* of its root */
	uint32_t links;
	uint64_t parent; /* of its root */
	uint64_t granted, lease_end, highest; /* highest: inode number in use */
	uint16_t type;	 /* of its root; 0: there is none */
	uint8_t kind, role;
	bool record;
};

/* An entry that leads to another container. */
struct cont_link {
	uint64_t dir, key, ino;
	uint32_t dir_domain, dir_container;
	uint32_t domain, container, generation;
	uint8_t type, want_role;
};

/* A snapshot. */
struct pin_row {
	uint32_t domain, container, slot;
	uint64_t id;
	int64_t taken; /* seconds since 1970 */
	bool named;    /* its snapshot row was seen, and is good */
	bool bad;      /* only container and id are known: the row cannot be read */
};

struct domain_count {
	uint32_t domain;
	bool keyless;	  /* its key is gone */
	uint64_t records; /* that were opened */
	uint64_t sealed;  /* that could not be, for want of the key */
	int64_t inodes, bytes, containers;
};

struct page_seen {
	uint64_t ino, index, version;
	uint8_t level;
	bool bad, named;
};

struct list {
	void *items;
	size_t n, cap;
};
/* Room for one more, zeroed; NULL: no memory. */
void *list_add(struct list *list, size_t size);
#define LIST_ADD(list, type) ((type *)list_add(list, sizeof(type)))
#define LIST_AT(list, type, i) (&((type *)(list)->items)[i])

/* Items of a list by the inode that each is of; several may be of one. */
struct ino_index {
	struct ino_slot {
		uint64_t ino;
		size_t item; /* plus 1; 0: free */
	} *slots;
	size_t n, cap;
};
int ino_index_add(struct ino_index *index, uint64_t ino, size_t item);
/* The next item of @ino, SIZE_MAX: no more. *@at begins as 0. */
size_t ino_index_next(const struct ino_index *index, uint64_t ino, size_t *at);
void ino_index_clear(struct ino_index *index);
void ino_index_release(struct ino_index *index);

struct check {
	struct kv *kv;
	const struct check_options *options;
	const struct check_rules *rules;
	struct check_result *result;
	struct core core; /* stands in for an open one: kv and options only */

	struct kv_scan *meta, *data;
	int meta_at, data_at; /* 1: stands at a record */
	struct buf value;     /* of the record at hand */
	int value_error;

	struct kv_txn *txn; /* of a mending look */
	unsigned txn_writes;

	struct list leases, works, conts, links, domains; /* by rising number */
	uint32_t blocks;   /* the counter's, 0: none */
	bool blocks_bad;
	struct list pins, bad_pins; /* check_past.c */
	uint32_t next_slot;	    /* of snapshots, 0: not known */
	char rescued[320]; /* check_rescue.c: what came of the last try */
	const struct check_source *taken_from; /* with "; taken from …" there; NULL: a snapshot */
	uint64_t tried_pin; /* the snapshot that is being tried, 0: a backup */
	bool revived;	    /* this look has made a container anew */
	uint64_t epoch, newest_pin;
	struct irec users; /* the root directory, whose owner new directories get */

	/* The container at hand. */
	uint32_t domain, container;
	struct container stand_in;
	struct cont *cont;
	struct list nodes, fixes, danglings, pages;
	struct ino_index dangling_index;
	uint64_t entries, data_records;
	uint64_t path_dir; /* the last directory whose path was asked for, and that */
	struct buf path;
};

/* check.c */
bool at_prefix(const struct kv_scan *scan, int at, const struct key *prefix);
int scan_step(struct check *c, struct kv_scan *scan, int *at); /* also opens the value into c->value */
static inline uint64_t key_ino(const uint8_t *key)
{
	return (uint64_t)key[9] << 32 | get_be32(key + 10);
}

/* check_nodes.c */
struct node *node_find(struct check *c, uint64_t ino);
int nodes_read(struct check *c, const uint8_t *key, size_t len);
/* After entries, xattrs and data: links, numbers, roles, what has lost its name. */
int nodes_settle(struct check *c);
/* What lay in the directory last and has no entry now: it is there, and gets a name. */
uint64_t nodes_nameless(const struct check *c, uint64_t dir);

/* check_entries.c */
int entries_read(struct check *c);
int entries_settle(struct check *c);
#define ROLE_UNKNOWN 0xff
/* The entry's element in its directory's sum. */
int entry_hash(struct check *c, uint64_t dir, const struct dentry *d, uint8_t ret_hash[16]);

struct dir_fix *fix_of(struct check *c, uint64_t dir);
/* What @dir is to say of its entries after @d came (@sign 1) or went (-1). */
int entry_counts(struct check *c, uint64_t dir, const struct dentry *d, int sign);

/* check_dangling.c */
/* An entry in @dir, of that role (-1: not known), that leads to what is not there, or to another container. */
int entry_dangles(struct check *c, uint64_t dir, int role, const struct dentry *d);
int entry_leads_out(struct check *c, uint64_t dir, const struct dentry *d, uint8_t role);
bool dangles(const struct check *c, uint64_t ino); /* an entry does that leads to it */
int danglings_settle(struct check *c);
/* A directory whose record is gone. */
struct remake {
	uint64_t dir;	  /* as check_tell(): where it has the name, 0 */
	const char *name;
	uint64_t ino, parent; /* parent 0: as the copy has it */
	uint8_t role, flags;  /* role ROLE_UNKNOWN: likewise */
	bool of_copy;	     /* only if a copy has it */
	bool known;	     /* generation is */
	uint32_t generation; /* else that of the copy, or a new one */
	bool made;	     /* on return */
};
/* Made anew, with rights, attributes and names that it has lost from the newest copies that have them. */
int remake_dir(struct check *c, struct remake *m, const char *code, const char *why);
/* Entries without their directory, to which nothing leads either. */
int settle_stray(struct check *c, const struct dir_fix *fix);
bool has_entries(struct check *c, uint64_t dir);
/* How many directories are named in @dir. */
uint32_t subdirs_of(struct check *c, uint64_t dir);

/* check_data.c */
int xattrs_read(struct check *c);
int data_check(struct check *c);
/* An attribute's element in the sum of its inode's. */
int xattr_hash(struct check *c, const struct buf *record, uint8_t ret_hash[16]);

#define LEASE_BLOCK 256 /* container.c: inode numbers of a block */

/* check_space.c */
/* A block of inode numbers. */
int space_put_lease(struct check *c, uint64_t first, uint32_t domain, uint32_t container);
int space_store_record(struct check *c, const uint8_t *key, size_t len);
int space_sort(struct check *c);
const struct lease *lease_of(const struct check *c, uint64_t ino);
/* Whether no lease gives the number to another container than the one at hand. */
bool may_be_ours(const struct check *c, uint64_t ino);
/* A row of work on this inode; kind 0: any. */
const struct work_row *work_of(const struct check *c, uint64_t ino, uint8_t kind);
int space_container_record(struct check *c);
int space_container_settle(struct check *c);
struct domain_count *domain_of(struct check *c, uint32_t domain);

/* The record of the container at hand: its numbers go on at the end of its last run, so that none is given twice. */
int space_make_record(struct check *c, uint8_t kind);
/* Where nothing says what kind it is of: users/, or a session. */
uint8_t space_likely_kind(const struct check *c);

/* check_store.c: all containers have been seen. */
int store_settle(struct check *c);
/* Before all else. @ret_lost: records cannot be read that are not damaged themselves: nothing may be mended. */
int store_dictionaries(struct check *c, bool *ret_lost);
int lost_add(struct check *c, const struct check_lost *lost);
int lost_tell(struct check *c, struct check_lost *lost, uint32_t generation); /* a problem, and added */

/* check_past.c: the store's own rows of snapshots, and a place's. */
int past_epoch_row(struct check *c);
int past_pin_row(struct check *c, const uint8_t *key, size_t len);
int past_snapshot_row(struct check *c, const uint8_t *key, size_t len);
int past_place_row(struct check *c, const uint8_t *key, size_t len);
/* After the containers: epoch, names and the history. */
int past_settle_look(struct check *c);
/*
 * In c->txn, before a record is overwritten or deleted: copies it to the history where a snapshot may see it,
 * as op_keep() does; the newest pin of the store counts for every container. *@ret_epoch: what a new
 * record has to say, 0: as it is.
 */
int past_keep(struct check *c, const struct key *key, uint64_t *ret_epoch);
/* past_keep() and kv_txn_put(). */
int past_put(struct check *c, const struct key *key, const void *value, size_t len);
/* Versions of data below it are the history's: for rows of work. */
uint64_t past_kept_version(struct check *c, const struct work_row *row);

/* check_path.c: "users/…", or "inode N". With @name: of that name in directory @dir. */
const char *check_path(struct check *c, uint64_t dir, const char *name, uint64_t ino);
/* What an inode number belongs to, by the leases or as the container at hand. */
bool place_of(const struct check *c, uint64_t ino, uint32_t *ret_domain, uint32_t *ret_container);
/* The entry that leads to @ino in directory @dir. -ENOENT. */
int entry_to(struct check *c, uint64_t dir, uint64_t ino, struct dentry *ret_entry);

/* check_mend.c */
int mend_commit(struct check *c);
/* c->txn is there, with room for some writes. */
int mend_begin(struct check *c);
struct inode_copy {
	struct irec rec;
	struct buf inline_data;
	struct blob *facts;
};
void inode_copy_release(struct inode_copy *copy);
#define _cleanup_copy_ _cleanup_(inode_copy_release)
/* -ENOENT, -EBADMSG. Also what this look has changed already. */
int mend_load(struct check *c, uint64_t ino, struct inode_copy *ret_copy);
int mend_store(struct check *c, uint64_t ino, const struct inode_copy *copy);
int mend_put_entry(struct check *c, uint64_t dir, const struct dentry *d);
int mend_delete_entry(struct check *c, uint64_t dir, uint64_t key);
/* A directory anew: rights, owner and times of @like; NULL: 0700, the owner of users/, now. */
int mend_make_dir(struct check *c, uint64_t ino, uint32_t generation, uint64_t parent, uint8_t role,
	uint8_t flags, const struct dir_fix *entries, uint32_t subdirs, const struct irec *like);
int mend_put_work(struct check *c, const struct work_row *row);
/* For damaged.txt, in a mending look: @ino, as @name in @dir where that is known. */
int mend_note(struct check *c, uint64_t dir, const char *name, uint64_t ino, bool kept,
	const char *why);

#endif
