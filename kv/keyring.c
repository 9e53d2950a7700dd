/*
 * An opened keyring: the master key and every domain's key, unwrapped.
 *
 * Keys lie in slabs of locked memory that are given back at close only, so that a pointer to one
 * never dangles. A change takes `change`, then the file's lock, reads the file (a tool may have
 * changed slots), writes it, and only then takes `lock` to show the new table: a lookup never waits
 * for the disk.
 */
#include "kv/keyring_file.h"
#include "kv/keys.h"
#include "kv/secret.h"

#include <errno.h>
#include <string.h>

#define SLAB_KEYS 120 /* fills a page */

struct key_slab {
	struct key_slab *next;
	size_t used;
	struct seal_key *keys; /* locked memory */
};

struct domain_entry {
	uint32_t number;
	struct seal_key *key;
};

struct keyring {
	int dir;
	uint8_t id[16];
	enum kv_cipher cipher;
	bool read_only;
	uint8_t *master; /* locked memory */

	pthread_mutex_t change;	  /* taken before `lock` */
	struct keyring_file file; /* as last read or written; `change` */
	struct key_slab *slabs;	  /* `change` */

	pthread_rwlock_t lock;
	struct domain_entry *entry; /* by rising number; `lock` */
	size_t entries;		    /* `lock` */
};

int keyring_cipher_by_name(const char *name, enum kv_cipher *ret_cipher)
{
	if (strcmp(name, "xchacha20-poly1305") == 0 || strcmp(name, "xchacha20") == 0)
		*ret_cipher = KV_CIPHER_XCHACHA20_POLY1305;
	else if (strcmp(name, "aes-256-gcm") == 0 || strcmp(name, "aes") == 0)
		*ret_cipher = KV_CIPHER_AES_256_GCM;
	else
		return -EINVAL;
	return 0;
}

bool keyring_cipher_available(enum kv_cipher cipher)
{
	if (sodium_init() < 0)
		return false;
	return cipher == KV_CIPHER_XCHACHA20_POLY1305 ||
		(cipher == KV_CIPHER_AES_256_GCM && crypto_aead_aes256gcm_is_available());
}

/* ---- derived keys ---------------------------------------------------------------------------- */

static void master_derive(const uint8_t master[32], uint64_t purpose, uint8_t ret_key[32])
{
	crypto_kdf_derive_from_key(ret_key, 32, purpose, "scribefs", master);
}

void keyring_mac_key(const uint8_t master[32], uint8_t ret_key[32])
{
	master_derive(master, KEYRING_PURPOSE_MAC, ret_key);
}

void keyring_derive(const struct keyring *k, uint64_t purpose, uint8_t ret_key[32])
{
	master_derive(k->master, purpose, ret_key);
}

int keyring_domain_append(struct keyring_file *f, const uint8_t master[32], const uint8_t key[32])
{
	if (f->last_domain == UINT32_MAX)
		return -ENOSPC;
	struct keyring_domain *grown =
		reallocarray(f->domain, f->domains + 1, sizeof *f->domain);
	if (!grown)
		return -ENOMEM;
	f->domain = grown;
	_cleanup_secret_ uint8_t *wrapping = sodium_malloc(32);
	if (!wrapping)
		return -ENOMEM;
	master_derive(master, KEYRING_PURPOSE_WRAP, wrapping);
	struct keyring_domain *d = &f->domain[f->domains];
	*d = (struct keyring_domain){
		.number = f->domains == 0 ? 0 : f->last_domain + 1, .generation = 1};
	uint8_t ad[KEYRING_AD_MAX];
	keyring_wrap(wrapping, ad, keyring_domain_ad(f, d, ad), key, d->wrapped);
	f->last_domain = d->number;
	f->domains++;
	return 0;
}

/* ---- open ------------------------------------------------------------------------------------ */

static int master_get(const struct keyring_file *f, const struct kv_unlock *unlock,
	unsigned *ret_index, uint8_t ret_master[32])
{
	if (unlock->type != KEYRING_OPENED)
		return keyring_slot_unlock(f, unlock, ret_index, ret_master);
	*ret_index = 0;
	memcpy(ret_master, ((const struct keyring *)unlock->secret)->master, 32);
	return 0;
}

int keyring_unlock_file(int dir, const struct kv_unlock *unlock, struct keyring_file *ret_file,
	unsigned *ret_index, uint8_t ret_master[32])
{
	if (sodium_init() < 0)
		return -EIO;
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_keyring_file_ struct keyring_file f = {0};
	int r = keyring_disk_read(dir, &bytes);
	if (r == 0)
		r = keyring_file_decode(bytes.data, bytes.len, &f);
	if (r < 0)
		return r;

	_cleanup_secret_ uint8_t *master = sodium_malloc(32);
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	if (!master || !mac_key)
		return -ENOMEM;
	unsigned index;
	r = master_get(&f, unlock, &index, master);
	if (r < 0)
		return r;
	keyring_mac_key(master, mac_key);
	r = keyring_file_verify(bytes.data, bytes.len, mac_key);
	if (r < 0)
		return r;
	*ret_file = f;
	f = (struct keyring_file){0};
	*ret_index = index;
	memcpy(ret_master, master, 32);
	return 0;
}

/* A place for a key in locked memory, or NULL. */
static struct seal_key *slab_take(struct keyring *k)
{
	if (!k->slabs || k->slabs->used == SLAB_KEYS) {
		_cleanup_free_ struct key_slab *slab = calloc(1, sizeof *slab);
		if (!slab)
			return NULL;
		slab->keys = sodium_allocarray(SLAB_KEYS, sizeof *slab->keys);
		if (!slab->keys)
			return NULL;
		slab->next = k->slabs;
		k->slabs = steal_ptr(slab);
	}
	return &k->slabs->keys[k->slabs->used++];
}

static int unwrap_domains(struct keyring *k)
{
	_cleanup_secret_ uint8_t *wrapping = sodium_malloc(32);
	k->entry = calloc(k->file.domains, sizeof *k->entry);
	if (!wrapping || !k->entry)
		return -ENOMEM;
	keyring_derive(k, KEYRING_PURPOSE_WRAP, wrapping);
	for (size_t i = 0; i < k->file.domains; i++) {
		const struct keyring_domain *d = &k->file.domain[i];
		struct seal_key *key = slab_take(k);
		if (!key)
			return -ENOMEM;
		uint8_t ad[KEYRING_AD_MAX];
		size_t ad_len = keyring_domain_ad(&k->file, d, ad);
		int r = keyring_unwrap(wrapping, ad, ad_len, d->wrapped, key->key);
		if (r < 0)
			return r;
		key->generation = d->generation;
		k->entry[k->entries++] = (struct domain_entry){.number = d->number, .key = key};
	}
	return 0;
}

int keyring_open(const char *path, const struct kv_unlock *unlock, struct keyring **ret_keyring)
{
	_cleanup_(keyring_closep) struct keyring *k = calloc(1, sizeof *k);
	if (!k)
		return -ENOMEM;
	pthread_mutex_init(&k->change, NULL);
	pthread_rwlock_init(&k->lock, NULL);
	k->dir = keyring_disk_open(path);
	if (k->dir < 0)
		return k->dir;
	if (sodium_init() < 0)
		return -EIO;
	k->master = sodium_malloc(32);
	if (!k->master)
		return -ENOMEM;
	unsigned index;
	int r = keyring_unlock_file(k->dir, unlock, &k->file, &index, k->master);
	if (r < 0)
		return r;
	memcpy(k->id, k->file.id, sizeof k->id);
	k->cipher = k->file.cipher;
	k->read_only = (k->file.ro_compat & ~KEYRING_RO_COMPAT) != 0;
	if (!keyring_cipher_available(k->cipher))
		return -EOPNOTSUPP;
	r = unwrap_domains(k);
	if (r < 0)
		return r;
	*ret_keyring = steal_ptr(k);
	return 0;
}

void keyring_close(struct keyring *k)
{
	if (!k)
		return;
	while (k->slabs) {
		struct key_slab *slab = k->slabs;
		k->slabs = slab->next;
		sodium_free(slab->keys);
		free(slab);
	}
	sodium_free(k->master);
	keyring_file_release(&k->file);
	free(k->entry);
	if (k->dir >= 0)
		close(k->dir);
	pthread_rwlock_destroy(&k->lock);
	pthread_mutex_destroy(&k->change);
	free(k);
}

const uint8_t *keyring_id(const struct keyring *k)
{
	return k->id;
}

enum kv_cipher keyring_cipher(const struct keyring *k)
{
	return k->cipher;
}

bool keyring_read_only(const struct keyring *k)
{
	return k->read_only;
}

/* ---- domains --------------------------------------------------------------------------------- */

/* The place of the first entry whose number is not below @domain; `lock` or `change` is held. */
static size_t entry_find(const struct keyring *k, uint32_t domain)
{
	size_t low = 0, high = k->entries;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (k->entry[mid].number < domain)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool entry_is(const struct keyring *k, size_t at, uint32_t domain)
{
	return at < k->entries && k->entry[at].number == domain;
}

const struct seal_key *keyring_domain_key(struct keyring *k, uint32_t domain)
{
	pthread_rwlock_rdlock(&k->lock);
	size_t at = entry_find(k, domain);
	const struct seal_key *key = entry_is(k, at, domain) ? k->entry[at].key : NULL;
	pthread_rwlock_unlock(&k->lock);
	return key;
}

int keyring_domains(struct keyring *k, uint32_t **ret_domains, size_t *ret_n)
{
	uint32_t *domains;

	pthread_rwlock_rdlock(&k->lock);
	*ret_n = k->entries;
	domains = calloc(k->entries + 1, sizeof *domains);
	for (size_t i = 0; domains && i < k->entries; i++)
		domains[i] = k->entry[i].number;
	pthread_rwlock_unlock(&k->lock);
	if (!domains)
		return -ENOMEM;
	*ret_domains = domains;
	return 0;
}

int keyring_domain_derive(struct keyring *k, uint32_t domain, uint64_t purpose, uint8_t ret_key[32])
{
	int r = -ENOKEY;
	pthread_rwlock_rdlock(&k->lock);
	size_t at = entry_find(k, domain);
	if (entry_is(k, at, domain)) {
		crypto_kdf_derive_from_key(ret_key, 32, purpose, "kvdomain", k->entry[at].key->key);
		r = 0;
	}
	pthread_rwlock_unlock(&k->lock);
	return r;
}

/* Whether the file still has the domains that this process last saw there. */
static bool same_domains(const struct keyring_file *a, const struct keyring_file *b)
{
	if (memcmp(a->id, b->id, sizeof a->id) != 0 || a->last_domain != b->last_domain ||
		a->domains != b->domains)
		return false;
	for (size_t i = 0; i < a->domains; i++)
		if (a->domain[i].number != b->domain[i].number ||
			memcmp(a->domain[i].wrapped, b->domain[i].wrapped, KEYRING_WRAPPED) != 0)
			return false;
	return true;
}

/*
 * Takes the file's lock and reads the file. The slots may be new, the domains may not: whoever has
 * the store open is the only one to change them, so a difference is an old file put back, and going
 * on from it would give a number out twice. `change` is held.
 */
static int change_begin(struct keyring *k, const uint8_t mac_key[32], int *ret_lock,
	struct keyring_file *ret_file)
{
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_close_ int lock = keyring_disk_lock(k->dir);
	if (lock < 0)
		return lock;
	int r = keyring_disk_read(k->dir, &bytes);
	if (r == 0)
		r = keyring_file_decode(bytes.data, bytes.len, &f);
	if (r == 0)
		r = keyring_file_verify(bytes.data, bytes.len, mac_key);
	if (r < 0)
		return r;
	if (!same_domains(&f, &k->file))
		return -ESTALE;
	*ret_lock = lock;
	lock = -1;
	*ret_file = f;
	f = (struct keyring_file){0};
	return 0;
}

/* Writes @f and makes it ours; @f is then the old one. `change` and the file's lock are held. */
static int change_finish(struct keyring *k, const uint8_t mac_key[32], struct keyring_file *f,
	bool *ret_replaced)
{
	_cleanup_buf_ struct buf bytes = {0};
	*ret_replaced = false;
	int r = keyring_file_encode(f, mac_key, &bytes);
	if (r == 0)
		r = keyring_disk_replace(k->dir, &bytes, ret_replaced);
	if (*ret_replaced) {
		struct keyring_file old = k->file;
		k->file = *f;
		*f = old;
	}
	return r;
}

int keyring_domain_create(struct keyring *k, uint32_t *ret_domain)
{
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	if (!mac_key)
		return -ENOMEM;
	keyring_mac_key(k->master, mac_key);
	MUTEX_GUARD(&k->change);
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_close_ int lock = -1;
	int r = change_begin(k, mac_key, &lock, &f);
	if (r < 0)
		return r;

	/* All memory first: a domain that is on disk must be in the table too. */
	struct domain_entry *grown = reallocarray(NULL, k->entries + 1, sizeof *grown);
	struct seal_key *key = slab_take(k);
	if (!grown || !key) {
		free(grown);
		return -ENOMEM;
	}
	randombytes_buf(key->key, sizeof key->key);
	key->generation = 1;
	r = keyring_domain_append(&f, k->master, key->key);
	uint32_t domain = f.last_domain;
	bool replaced = false;
	if (r == 0)
		r = change_finish(k, mac_key, &f, &replaced);
	if (!replaced) {
		free(grown);
		return r;
	}
	memcpy(grown, k->entry, k->entries * sizeof *grown);
	grown[k->entries] = (struct domain_entry){.number = domain, .key = key};
	struct domain_entry *old = k->entry;
	pthread_rwlock_wrlock(&k->lock);
	k->entry = grown;
	k->entries++;
	pthread_rwlock_unlock(&k->lock);
	free(old);
	if (r == 0)
		*ret_domain = domain;
	return r;
}

int keyring_require(struct keyring *k, uint32_t incompat)
{
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_close_ int lock = -1;
	bool replaced;

	if (!mac_key)
		return -ENOMEM;
	keyring_mac_key(k->master, mac_key);
	MUTEX_GUARD(&k->change);
	if ((k->file.incompat & incompat) == incompat)
		return 0;
	int r = change_begin(k, mac_key, &lock, &f);
	if (r < 0)
		return r;
	f.incompat |= incompat;
	return change_finish(k, mac_key, &f, &replaced);
}

int keyring_domain_destroy(struct keyring *k, uint32_t domain)
{
	if (domain == 0)
		return -EPERM;
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	if (!mac_key)
		return -ENOMEM;
	keyring_mac_key(k->master, mac_key);
	MUTEX_GUARD(&k->change);
	size_t at = entry_find(k, domain);
	if (!entry_is(k, at, domain))
		return -ENOENT;
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_close_ int lock = -1;
	int r = change_begin(k, mac_key, &lock, &f);
	if (r < 0)
		return r;
	/* The file's table and ours have the same order. */
	memmove(&f.domain[at], &f.domain[at + 1], (f.domains - at - 1) * sizeof *f.domain);
	f.domains--;
	bool replaced;
	r = change_finish(k, mac_key, &f, &replaced);
	if (!replaced)
		return r;
	pthread_rwlock_wrlock(&k->lock);
	/*
	 * Random bytes, not zeros: a thread that took the pointer before may still seal with it,
	 * and what it writes must be readable to nobody.
	 */
	randombytes_buf(k->entry[at].key->key, SEAL_KEY_BYTES);
	memmove(&k->entry[at], &k->entry[at + 1], (k->entries - at - 1) * sizeof *k->entry);
	k->entries--;
	pthread_rwlock_unlock(&k->lock);
	return r;
}
