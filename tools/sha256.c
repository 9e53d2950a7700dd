#include "tools/sha256.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define PART (256u << 10)

int sha256_file(int fd, char ret_text[SHA256_TEXT])
{
	_cleanup_free_ unsigned char *part = malloc(PART);
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	ssize_t n;

	if (!part)
		return -ENOMEM;
	crypto_hash_sha256_init(&state);
	while ((n = read(fd, part, PART)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		crypto_hash_sha256_update(&state, part, (unsigned long long)n);
	}
	crypto_hash_sha256_final(&state, hash);
	sodium_bin2hex(ret_text, SHA256_TEXT, hash, sizeof hash);
	return 0;
}
