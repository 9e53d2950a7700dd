#include "kv/backup/digest.h"

#include "kv/backup/backup.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define BLOCK (1u << 20)

int digest_count(struct digest_meter *meter, uint64_t bytes)
{
	const struct backup_watch *w = meter ? meter->watch : NULL;
	if (!w)
		return 0;
	meter->done += bytes;
	if (w->progress)
		w->progress(w->arg, meter->done, meter->total);
	return w->stop && atomic_load(w->stop) ? -ECANCELED : 0;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

int digest_file(int fd, int copy_to, struct digest_meter *meter, char ret_hex[DIGEST_HEX], uint64_t *ret_size)
{
	_cleanup_free_ uint8_t *block = malloc(BLOCK);
	uint8_t hash[DIGEST_BYTES];
	crypto_generichash_state state;
	uint64_t size = 0;
	int r = 0;
	if (!block)
		return -ENOMEM;
	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	for (;;) {
		ssize_t n = pread(fd, block, BLOCK, (off_t)size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		crypto_generichash_update(&state, block, (size_t)n);
		size += (uint64_t)n;
		if (copy_to >= 0)
			r = write_all(copy_to, block, (size_t)n);
		if (r == 0)
			r = digest_count(meter, (uint64_t)n);
		if (r < 0)
			return r;
	}
	crypto_generichash_final(&state, hash, sizeof hash);
	sodium_bin2hex(ret_hex, DIGEST_HEX, hash, sizeof hash);
	*ret_size = size;
	return 0;
}

void digest_bytes(const void *data, size_t len, char ret_hex[DIGEST_HEX])
{
	uint8_t hash[DIGEST_BYTES];
	crypto_generichash(hash, sizeof hash, data, len, NULL, 0);
	sodium_bin2hex(ret_hex, DIGEST_HEX, hash, sizeof hash);
}

void digest_mac(const void *data, size_t len, const uint8_t key[32], char ret_hex[DIGEST_MAC_HEX])
{
	uint8_t mac[32];
	crypto_generichash(mac, sizeof mac, data, len, key, 32);
	sodium_bin2hex(ret_hex, DIGEST_MAC_HEX, mac, sizeof mac);
}

bool digest_equal(const char *a, const char *b)
{
	size_t len = strlen(a);
	return len == strlen(b) && sodium_memcmp(a, b, len) == 0;
}
