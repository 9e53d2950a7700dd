#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <sodium.h>

#define STACK_BYTES 4096 /* more than deriving a key and hashing with it take */

int kv_domain_create(struct kv *kv, uint32_t *ret_domain)
{
	return kv->state.read_only ? -EROFS : keyring_domain_create(kv->keyring, ret_domain);
}

int kv_require(struct kv *kv, uint32_t incompat)
{
	return kv->state.read_only ? -EROFS : keyring_require(kv->keyring, incompat);
}

int kv_domain_destroy(struct kv *kv, uint32_t domain)
{
	/* The key goes at once and for good; a loss of power must not bring records back without it. */
	int r = kv->state.read_only ? -EROFS : kv_dictionaries_remove(kv, domain);

	if (r == 0)
		r = kv_sync(kv);

	return r < 0 ? r : keyring_domain_destroy(kv->keyring, domain);
}

bool kv_domain_exists(const struct kv *kv, uint32_t domain)
{
	return keyring_domain_key(kv->keyring, domain) != NULL;
}

/* What derived a key and used it has left it in its frames, too. */
static void wipe_key(uint8_t key[32])
{
	sodium_memzero(key, 32);
	sodium_stackzero(STACK_BYTES);
}

int kv_hash64(struct kv *kv, uint32_t domain, uint64_t purpose, const void *data, size_t len,
	uint64_t *ret_hash)
{
	uint8_t key[32], hash[crypto_shorthash_BYTES];
	int r = keyring_domain_derive(kv->keyring, domain, purpose, key);

	if (r < 0)
		return r;
	crypto_shorthash(hash, data, len, key);
	wipe_key(key);
	*ret_hash = get_be64(hash);
	return 0;
}

int kv_hash128(struct kv *kv, uint32_t domain, uint64_t purpose, const void *data, size_t len,
	uint8_t ret_hash[16])
{
	uint8_t key[32];
	int r = keyring_domain_derive(kv->keyring, domain, purpose, key);

	if (r < 0)
		return r;
	crypto_shorthash_siphashx24(ret_hash, data, len, key);
	wipe_key(key);
	return 0;
}

void kv_random(void *ret_bytes, size_t len)
{
	seal_random(ret_bytes, len);
}
