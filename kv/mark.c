/*
 * The mark: how far the store was synced, kept outside the engine, so that a recovery of the engine
 * that ends too early is told from a crash. Two slots of 64 bytes, written in turn:
 *
 *    0  u32   magic "sfmk"
 *    4  u8    format (1)
 *    5  u8    flags: bit 0 clean (closed in order); others 0
 *    6  u16   0
 *    8  16    store id
 *   24  u64   sequence: every commit up to it was synced
 *   32  u64   number of this write; the slot is number mod 2, the highest authentic one counts
 *   40  24    BLAKE2b-192 over bytes 0–39 under KEYRING_PURPOSE_MARK
 *
 * It is written after a sync and not synced with it: it may lag, it is never ahead. It is synced itself
 * before the first commit of an open, every few seconds, and at a close: so the loss of power leaves one,
 * with the right flag, and no more than the last seconds' commits beyond it.
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <fcntl.h>
#include <sodium.h>

#define MARK_MAGIC 0x73666d6b
#define MARK_FORMAT 1
#define MARK_CLEAN 0x01
#define SLOT_BYTES 64
#define MAC_AT 40
#define MAC_BYTES (SLOT_BYTES - MAC_AT)

static void slot_mac(const uint8_t key[32], const uint8_t *slot, uint8_t ret_mac[MAC_BYTES])
{
	crypto_generichash(ret_mac, MAC_BYTES, slot, MAC_AT, key, 32);
}

static int slot_decode(const uint8_t key[32], const uint8_t id[16], const uint8_t *slot, size_t index,
	struct kv_mark *ret)
{
	struct bytes_reader r = bytes_reader(slot, MAC_AT);
	uint8_t mac[MAC_BYTES], flags;

	slot_mac(key, slot, mac);
	if (sodium_memcmp(mac, slot + MAC_AT, MAC_BYTES) != 0)
		return -EBADMSG;
	if (read_be32(&r) != MARK_MAGIC || read_u8(&r) != MARK_FORMAT)
		return -EBADMSG;
	flags = read_u8(&r);
	if ((flags & ~MARK_CLEAN) || read_be16(&r) != 0)
		return -EBADMSG;
	if (memcmp(read_bytes(&r, 16), id, 16) != 0)
		return -EBADMSG;
	ret->sequence = read_be64(&r);
	ret->number = read_be64(&r);
	ret->clean = flags & MARK_CLEAN;
	return ret->number % 2 == index ? 0 : -EBADMSG;
}

/* Of the open file @fd. 0, -ENOENT: it is empty, -EBADMSG: neither slot is authentic. */
static int read_slots(int fd, const uint8_t key[32], const uint8_t id[16], struct kv_mark *ret_mark)
{
	uint8_t slots[2 * SLOT_BYTES] = {0};
	struct kv_mark mark = {.fd = fd};
	ssize_t n = pread(fd, slots, sizeof slots, 0);
	int r = n == 0 ? -ENOENT : -EBADMSG;

	for (size_t i = 0; i < 2 && n > 0; i++) {
		struct kv_mark found = {.fd = fd};
		if (slot_decode(key, id, slots + i * SLOT_BYTES, i, &found) < 0)
			continue;
		if (r == 0 && found.number < mark.number)
			continue;
		mark = found;
		r = 0;
	}
	*ret_mark = mark;
	return r;
}

int kv_mark_open(struct kv *kv, const char *path, bool read_only, struct kv_mark *ret_mark)
{
	int fd = open(path, (read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0600);
	if (fd < 0) {
		ret_mark->fd = -1;
		return -errno;
	}
	return read_slots(fd, kv->secrets->mark, keyring_id(kv->keyring), ret_mark);
}

int kv_mark_check(const char *path, const struct keyring *keyring)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t key[32];
	struct kv_mark mark;

	if (fd < 0)
		return -errno;
	keyring_derive(keyring, KEYRING_PURPOSE_MARK, key);
	int r = read_slots(fd, key, keyring_id(keyring), &mark);
	explicit_bzero(key, sizeof key);
	return r;
}

int kv_mark_write(struct kv *kv, struct kv_mark *mark, uint64_t sequence, bool clean)
{
	uint8_t slot[SLOT_BYTES];
	uint64_t number = mark->number + 1;
	uint8_t *p = put_be32(slot, MARK_MAGIC);
	ssize_t n;

	if (kv->mending)
		return 0;
	p = put_u8(p, MARK_FORMAT);
	p = put_u8(p, clean ? MARK_CLEAN : 0);
	p = put_be16(p, 0);
	p = put_bytes(p, keyring_id(kv->keyring), 16);
	p = put_be64(p, sequence);
	put_be64(p, number);
	slot_mac(kv->secrets->mark, slot, slot + MAC_AT);
	n = pwrite(mark->fd, slot, sizeof slot, (off_t)(number % 2 * SLOT_BYTES));
	if (n != (ssize_t)sizeof slot)
		return n < 0 ? -errno : -ENOSPC;
	mark->number = number;
	mark->sequence = sequence;
	mark->clean = clean;
	mark->unsynced = true;
	return 0;
}

void kv_mark_sync(struct kv_mark *mark)
{
	if (mark->unsynced && fdatasync(mark->fd) == 0)
		mark->unsynced = false;
}
