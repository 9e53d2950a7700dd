/*
 * manifest.h: what a backup says of itself. Internal to kv/backup.
 *
 * `manifest`, a line for each file of db/, by name, as `b2sum -c manifest` reads it:
 *
 *     <128 hex digits>  db/000012.sst
 *
 * `sources`, a line for each of the same files: the file of the store that it was taken from, so that the next
 * backup need not read it again:
 *
 *     <inode> <bytes> <mtime in ns> <128 hex digits> <name without db/>
 *
 * `complete`, written last, each value on a line of its own in this order:
 *
 *     scribefs-backup 1
 *     store <32 hex digits>
 *     made <seconds since 1970>
 *     sequence <commit>
 *     manifest <128 hex digits, of the file>
 *     sources <128 hex digits, of the file>
 *     mac <64 hex digits: BLAKE2b-256 of all lines before, under KEYRING_PURPOSE_BACKUP>
 *
 * `verified`: `ok <seconds>` or `bad <seconds>` of the last check. Not under a MAC: it is a note, and who can
 * write it can flip bytes as well.
 */
#ifndef SCRIBEFS_KV_MANIFEST_H
#define SCRIBEFS_KV_MANIFEST_H

#include "kv/backup/digest.h"
#include "kv/buf.h"
#include "kv/cleanup.h"

#define MANIFEST_NAME_MAX 63 /* of a file in db/ */

struct manifest_file {
	char name[MANIFEST_NAME_MAX + 1];
	char hex[DIGEST_HEX];
	uint64_t source_ino, source_size;
	int64_t source_mtime;
};

struct manifest {
	uint8_t store_id[16];
	int64_t made;
	uint64_t sequence;
	struct manifest_file *file; /* by name */
	size_t files;
};

void manifest_release(struct manifest *m);
#define _cleanup_manifest_ _cleanup_(manifest_release)

/*
 * Reads it from the backup's directory @dir and compares check sums; @mac_key is 32 bytes, or NULL: then nothing
 * is authenticated. -EAGAIN half-made (no `complete`), -EBADMSG. *@ret_bad (may be NULL) names the file.
 */
int manifest_load(int dir, const uint8_t *mac_key, struct manifest *ret_manifest, const char **ret_bad);
/* Sorts the files, writes and syncs all three, `complete` last. */
int manifest_store(int dir, struct manifest *m, const uint8_t mac_key[32]);

/* A file whose content has this check sum, or that was taken from this one; or NULL. */
const struct manifest_file *manifest_find(const struct manifest *m, const char *hex);
const struct manifest_file *manifest_find_source(const struct manifest *m, uint64_t ino, uint64_t size,
	int64_t mtime);

/* `verified`: seconds (0: never), and whether all was well. */
int manifest_verdict_load(int dir, int64_t *ret_when, bool *ret_ok);
int manifest_verdict_store(int dir, bool ok);

#endif
