/* From a secret to the master key: Argon2id and its limits, key files, recovery keys, wraps. */
#include "kv/keyring_file.h"
#include "kv/secret.h"

#include <errno.h>
#include <string.h>
#include <time.h>

_Static_assert(KEYRING_SALT == crypto_pwhash_SALTBYTES, "salt");
_Static_assert(KEYRING_SALT == crypto_generichash_blake2b_SALTBYTES, "salt");
_Static_assert(KEYRING_WRAPPED == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES + 32 +
		crypto_aead_xchacha20poly1305_ietf_ABYTES,
	"wrap");

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

#define MEMLIMIT_DEFAULT (64u << 20)
#define MEMLIMIT_MAX (1u << 30)
/* A pass over 1 GiB takes about a second, so a forged file costs half a minute a slot at most. */
#define PASS_BYTES_MAX (UINT64_C(32) << 30)
/* RFC 9106 recommends three passes where memory is 64 MiB. */
#define OPSLIMIT_MIN 3
#define CALIBRATION_NS INT64_C(500000000)

#define PASSPHRASE_MAX (1u << 20)
#define KEY_FILE_MAX (64u << 10)

/* ---- wraps ----------------------------------------------------------------------------------- */

void keyring_wrap(const uint8_t wrapping[32], const uint8_t *ad, size_t ad_len,
	const uint8_t key[32], uint8_t ret_wrapped[KEYRING_WRAPPED])
{
	randombytes_buf(ret_wrapped, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret_wrapped + NONCE, NULL, key, 32, ad, ad_len,
		NULL, ret_wrapped, wrapping);
}

int keyring_unwrap(const uint8_t wrapping[32], const uint8_t *ad, size_t ad_len,
	const uint8_t wrapped[KEYRING_WRAPPED], uint8_t ret_key[32])
{
	_cleanup_secret_ uint8_t *key = sodium_malloc(32);
	if (!key)
		return -ENOMEM;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(key, NULL, NULL, wrapped + NONCE,
		    KEYRING_WRAPPED - NONCE, ad, ad_len, wrapped, wrapping) != 0)
		return -EBADMSG;
	memcpy(ret_key, key, 32);
	return 0;
}

/* ---- Argon2id -------------------------------------------------------------------------------- */

bool keyring_limits_valid(uint64_t opslimit, uint64_t memlimit)
{
	return opslimit >= crypto_pwhash_OPSLIMIT_MIN && memlimit >= crypto_pwhash_MEMLIMIT_MIN &&
		memlimit <= MEMLIMIT_MAX && opslimit <= PASS_BYTES_MAX / memlimit;
}

static int argon2id(const void *passphrase, size_t len, const uint8_t salt[KEYRING_SALT],
	uint64_t opslimit, uint64_t memlimit, uint8_t ret_key[32])
{
	/* The limits are in range: what fails is the allocation. It is unmapped on return. */
	return crypto_pwhash(ret_key, 32, passphrase, len, salt, opslimit, (size_t)memlimit,
		       crypto_pwhash_ALG_ARGON2ID13) == 0 ?
		0 :
		-ENOMEM;
}

/* Processor time of this thread: a busy machine must not make for a weak slot. */
static int64_t thread_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int calibrate(uint64_t memlimit, uint64_t *ret_opslimit)
{
	static const uint8_t salt[KEYRING_SALT];
	uint8_t key[32];
	int64_t before = thread_ns();
	int r = argon2id("calibration", 11, salt, 1, memlimit, key);
	if (r < 0)
		return r;
	int64_t pass = thread_ns() - before;
	uint64_t opslimit = (uint64_t)(CALIBRATION_NS / (pass > 0 ? pass : 1));
	uint64_t most = PASS_BYTES_MAX / memlimit;
	if (opslimit < OPSLIMIT_MIN)
		opslimit = OPSLIMIT_MIN;
	*ret_opslimit = opslimit > most ? most : opslimit;
	return 0;
}

/* ---- key-encryption keys --------------------------------------------------------------------- */

/* For secrets that are keys already. @use is 16 bytes and part of the format. */
static void hash_secret(const void *secret, size_t len, const uint8_t salt[KEYRING_SALT],
	const char use[crypto_generichash_blake2b_PERSONALBYTES], uint8_t ret_key[32])
{
	crypto_generichash_blake2b_salt_personal(ret_key, 32, secret, len, NULL, 0, salt,
		(const unsigned char *)use);
}

/* The key-encryption key that @secret gives in slot @s. -EINVAL: it can be none of this type. */
static int slot_kek(const struct keyring_slot *s, const struct kv_unlock *secret,
	uint8_t ret_kek[32])
{
	size_t len = secret->secret_len;
	switch (secret->type) {
	case KEYRING_PASSPHRASE:
		if (len < 1 || len > PASSPHRASE_MAX)
			return -EINVAL;
		return argon2id(secret->secret, len, s->salt, s->info.opslimit, s->info.memlimit,
			ret_kek);
	case KEYRING_KEY_FILE:
		if (len < KEYRING_KEY_FILE_BYTES || len > KEY_FILE_MAX)
			return -EINVAL;
		hash_secret(secret->secret, len, s->salt, "scribefs keyfile", ret_kek);
		return 0;
	case KEYRING_RECOVERY:
		break;
	default:
		return -EINVAL;
	}
	_cleanup_secret_ uint8_t *key = sodium_malloc(20);
	if (!key)
		return -ENOMEM;
	int r = keyring_recovery_parse(secret->secret, len, key);
	if (r < 0)
		return r;
	hash_secret(key, 20, s->salt, "scribefs recover", ret_kek);
	return 0;
}

int keyring_slot_make(const struct keyring_file *f, struct keyring_slot *s,
	const struct kv_unlock *secret, uint64_t opslimit, uint64_t memlimit,
	const uint8_t master[32])
{
	int r;
	s->info.type = secret->type;
	s->info.created = time(NULL);
	s->info.opslimit = s->info.memlimit = 0;
	if (secret->type == KEYRING_PASSPHRASE) {
		s->info.memlimit = memlimit ? memlimit : MEMLIMIT_DEFAULT;
		s->info.opslimit = opslimit ? opslimit : 1;
		if (!keyring_limits_valid(s->info.opslimit, s->info.memlimit))
			return -EINVAL;
		if (opslimit == 0) {
			r = calibrate(s->info.memlimit, &s->info.opslimit);
			if (r < 0)
				return r;
		}
	}
	randombytes_buf(s->salt, sizeof s->salt);
	_cleanup_secret_ uint8_t *kek = sodium_malloc(32);
	if (!kek)
		return -ENOMEM;
	r = slot_kek(s, secret, kek);
	if (r < 0)
		return r;
	uint8_t ad[KEYRING_AD_MAX];
	keyring_wrap(kek, ad, keyring_slot_ad(f, s, ad), master, s->wrapped);
	return 0;
}

int keyring_slot_unlock(const struct keyring_file *f, const struct kv_unlock *secret,
	unsigned *ret_index, uint8_t ret_master[32])
{
	_cleanup_secret_ uint8_t *kek = sodium_malloc(32);
	if (!kek)
		return -ENOMEM;
	for (unsigned i = 0; i < f->slots; i++) {
		const struct keyring_slot *s = &f->slot[i];
		if (s->info.type != secret->type)
			continue;
		int r = slot_kek(s, secret, kek);
		if (r == -EINVAL)
			return -EKEYREJECTED;
		if (r < 0)
			return r;
		uint8_t ad[KEYRING_AD_MAX];
		r = keyring_unwrap(kek, ad, keyring_slot_ad(f, s, ad), s->wrapped, ret_master);
		if (r == 0)
			*ret_index = i;
		if (r != -EBADMSG)
			return r;
	}
	return -EKEYREJECTED;
}
