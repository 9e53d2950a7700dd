/*
 * digest.h: check sums as b2sum(1) prints them (BLAKE2b-512, RFC 7693), and MACs (BLAKE2b-256, keyed).
 * Internal to kv/backup.
 */
#ifndef SCRIBEFS_KV_DIGEST_H
#define SCRIBEFS_KV_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_BYTES 64
#define DIGEST_HEX (2 * DIGEST_BYTES + 1)
#define DIGEST_MAC_HEX 65

struct backup_watch;
/* Counts what is read for backup_watch. May be NULL where one is asked for. */
struct digest_meter {
	const struct backup_watch *watch;
	uint64_t done, total;
};
/* Tells the watcher of @bytes more. -ECANCELED. */
int digest_count(struct digest_meter *meter, uint64_t bytes);

/*
 * The check sum of what @fd (positioned anywhere; read with pread) holds, in hex with a NUL. Where @copy_to is
 * not -1 the bytes are written to it, too. *@ret_size: bytes read. -ECANCELED, -EIO …
 */
int digest_file(int fd, int copy_to, struct digest_meter *meter, char ret_hex[DIGEST_HEX], uint64_t *ret_size);
void digest_bytes(const void *data, size_t len, char ret_hex[DIGEST_HEX]);
void digest_mac(const void *data, size_t len, const uint8_t key[32], char ret_hex[DIGEST_MAC_HEX]);
/* In constant time; strings of the same length. */
bool digest_equal(const char *a, const char *b);

#endif
