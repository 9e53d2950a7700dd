/*
 * What callers are busy with: words that the next open gets if this process dies, and that cost no commit.
 * The file `busy`, slots of 32 bytes, a slot without a word is zeros:
 *
 *    0  u8    format (1)
 *    1  u8    0 (7 times)
 *    8  u64   word
 *   16  16    BLAKE2b-128 over bytes 0–15, store id and u32 slot under KEYRING_PURPOSE_BUSY
 *
 * A write of one slot, into the page cache, is what kv_busy_begin() and kv_busy_end() cost: it outlives
 * the process. It is synced some seconds later, off the callers' way, so that after a loss of power it may
 * lag by these. Whatever fails here fails nobody: a word is then not told.
 *
 * Words that were found stay in their slots until kv_busy_settle(): a death before that loses none. So does
 * KV_BUSY_DIED, which each open after a death adds: `mark` says it to the next open alone.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <fcntl.h>
#include <sodium.h>

#define BUSY_FORMAT 1
#define SLOT_BYTES KV_BUSY_SLOT_BYTES
#define MAC_AT 16
#define SYNC_MS 5000

static void slot_mac(const uint8_t *slot, const uint8_t id[16], const uint8_t key[32], uint32_t number,
	uint8_t ret_mac[16])
{
	uint8_t text[MAC_AT + 16 + 4], *p = put_bytes(text, slot, MAC_AT);

	p = put_bytes(p, id, 16);
	put_be32(p, number);
	crypto_generichash(ret_mac, 16, text, sizeof text, key, 32);
}

void kv_busy_encode(uint64_t word, const uint8_t id[16], const uint8_t key[32], uint32_t number,
	uint8_t ret_slot[SLOT_BYTES])
{
	memset(ret_slot, 0, SLOT_BYTES);
	put_u8(ret_slot, BUSY_FORMAT);
	put_be64(ret_slot + 8, word);
	slot_mac(ret_slot, id, key, number, ret_slot + MAC_AT);
}

int kv_busy_decode(const uint8_t slot[SLOT_BYTES], const uint8_t id[16], const uint8_t key[32],
	uint32_t number, uint64_t *ret_word)
{
	uint8_t mac[16];

	if (sodium_is_zero(slot, SLOT_BYTES))
		return -ENOENT;
	slot_mac(slot, id, key, number, mac);
	if (sodium_memcmp(mac, slot + MAC_AT, 16) != 0 || slot[0] != BUSY_FORMAT ||
		!sodium_is_zero(slot + 1, 7))
		return -EBADMSG;
	*ret_word = get_be64(slot + 8);
	return 0;
}

/* Under the lock, or alone. */
static void write_slot(struct kv *kv, uint32_t number, const uint8_t slot[SLOT_BYTES])
{
	(void)!pwrite(kv->busy.fd, slot, SLOT_BYTES, (off_t)number * SLOT_BYTES);
	kv->busy.changed = true;
}

static void clear_slot(struct kv *kv, uint32_t number)
{
	static const uint8_t zeros[SLOT_BYTES];

	write_slot(kv, number, zeros);
	kv->busy.taken[number] = 0;
	if (number < kv->busy.first_free)
		kv->busy.first_free = number;
}

/* What stands in the file: words of a process that died, or slots that nobody can read. */
static void read_left(struct kv *kv)
{
	static const size_t bytes = KV_BUSY_SLOTS * SLOT_BYTES;
	_cleanup_free_ uint8_t *slots = malloc(bytes);
	ssize_t n = slots ? pread(kv->busy.fd, slots, bytes, 0) : 0;

	for (uint32_t i = 0; n > 0 && i < (size_t)n / SLOT_BYTES; i++) {
		uint64_t word;
		int r = kv_busy_decode(slots + (size_t)i * SLOT_BYTES, keyring_id(kv->keyring),
			kv->secrets->busy, i, &word);
		if (r == 0)
			kv->busy.taken[i] = KV_BUSY_LEFT;
		kv->state.unsettled |= r == 0 && word == KV_BUSY_DIED;
	}
}

void kv_busy_open(struct kv *kv)
{
	_cleanup_free_ char *path = NULL;

	kv->busy.taken = calloc(KV_BUSY_SLOTS, 1);
	if (!kv->busy.taken || asprintf(&path, "%s/busy", kv->path) < 0)
		return;
	kv->busy.fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (kv->busy.fd < 0)
		return;
	read_left(kv);
	/* Who opens next, after this one was closed in order, is to know it too. */
	if (kv->state.unclean && !kv->state.unsettled) {
		uint32_t died = kv_busy_begin(kv, KV_BUSY_DIED);
		if (died)
			kv->busy.taken[died - 1] = KV_BUSY_LEFT;
	}
	kv->state.unsettled |= kv->state.unclean;
}

void kv_busy_release(struct kv *kv)
{
	if (kv->busy.fd >= 0)
		close(kv->busy.fd);
	kv->busy.fd = -1;
	free(kv->busy.taken);
	kv->busy.taken = NULL;
}

uint32_t kv_busy_begin(struct kv *kv, uint64_t word)
{
	uint8_t slot[SLOT_BYTES];

	if (kv->busy.fd < 0)
		return 0;
	MUTEX_GUARD(&kv->busy.lock);
	uint32_t i = kv->busy.first_free;
	while (i < KV_BUSY_SLOTS && kv->busy.taken[i])
		i++;
	kv->busy.first_free = i;
	if (i == KV_BUSY_SLOTS)
		return 0;
	kv_busy_encode(word, keyring_id(kv->keyring), kv->secrets->busy, i, slot);
	write_slot(kv, i, slot);
	kv->busy.taken[i] = KV_BUSY_OURS;
	return i + 1;
}

void kv_busy_end(struct kv *kv, uint32_t busy)
{
	if (!busy)
		return;
	MUTEX_GUARD(&kv->busy.lock);
	clear_slot(kv, busy - 1);
}

int kv_busy_left(struct kv *kv, uint64_t **ret_words, size_t *ret_n)
{
	_cleanup_free_ uint64_t *words = calloc(KV_BUSY_SLOTS, sizeof *words);
	size_t n = 0;

	if (!words)
		return -ENOMEM;
	for (uint32_t i = 0; kv->busy.fd >= 0 && i < KV_BUSY_SLOTS; i++) {
		uint8_t slot[SLOT_BYTES];
		if (kv->busy.taken[i] == KV_BUSY_LEFT &&
			pread(kv->busy.fd, slot, SLOT_BYTES, (off_t)i * SLOT_BYTES) == SLOT_BYTES &&
			kv_busy_decode(slot, keyring_id(kv->keyring), kv->secrets->busy, i, &words[n]) == 0 &&
			words[n] != KV_BUSY_DIED)
			n++;
	}
	*ret_words = steal_ptr(words);
	*ret_n = n;
	return 0;
}

static void clear_all(struct kv *kv, uint8_t whose)
{
	bool none = true;

	if (kv->busy.fd < 0)
		return;
	MUTEX_GUARD(&kv->busy.lock);
	for (uint32_t i = 0; i < KV_BUSY_SLOTS; i++) {
		if (kv->busy.taken[i] == whose)
			clear_slot(kv, i);
		none &= !kv->busy.taken[i];
	}
	if (none)
		(void)!ftruncate(kv->busy.fd, 0);
}

void kv_busy_settle(struct kv *kv)
{
	clear_all(kv, KV_BUSY_LEFT);
}

void kv_busy_close(struct kv *kv)
{
	clear_all(kv, KV_BUSY_OURS);
}

void kv_busy_tick(struct kv *kv, int64_t now_ms)
{
	if (kv->busy.fd < 0 || now_ms - kv->busy.synced_at < SYNC_MS)
		return;
	pthread_mutex_lock(&kv->busy.lock);
	bool changed = kv->busy.changed;
	kv->busy.changed = false;
	pthread_mutex_unlock(&kv->busy.lock);
	kv->busy.synced_at = now_ms;
	if (changed)
		(void)fdatasync(kv->busy.fd);
}
