/*
 * fuzz_slots.c: the small files and rows of kv: `mark`, `seen`, `busy`, the commit row, a domain's counters. As
 * such, and
 * with the magic, the id and the MAC that are good. What is accepted encodes to the same bytes again.
 */
#include "kv/kv_internal.h"
#include "tests/fuzz/world.h"

#include <sodium.h>
#include <unistd.h>

#define MARK_BYTES 64
#define MARK_MAC_AT 40
#define SEEN_MAC_AT 488

static const uint8_t id[16] = {4}, key[32] = {5};

static void check_seen(const uint8_t slot[KV_SEEN_SLOT_BYTES], size_t index)
{
	uint8_t again[KV_SEEN_SLOT_BYTES];
	struct kv_seen_table table;

	if (kv_seen_decode(slot, id, key, index, &table) < 0)
		return;
	expect(table.n <= KV_SEEN_LINES && table.number % 2 == index);
	kv_seen_encode(&table, id, key, again);
	expect(memcmp(again, slot, 32 + 18 * (size_t)table.n) == 0);
}

static void seen(struct input in)
{
	uint8_t slot[KV_SEEN_SLOT_BYTES] = {0}, forge = input_u8(&in);

	memcpy(slot, in.p, in.left < sizeof slot ? in.left : sizeof slot);
	check_seen(slot, forge & 1);
	if (forge & 2)
		put_bytes(put_bytes(slot, "sfsn\1", 5) + 3, id, 16);
	if (forge & 4) {
		slot[5] %= KV_SEEN_LINES + 1;
		put_be16(slot + 6, 0);
	}
	crypto_generichash(slot + SEEN_MAC_AT, sizeof slot - SEEN_MAC_AT, slot, SEEN_MAC_AT, key, sizeof key);
	check_seen(slot, forge & 1);
}

static void check_busy(const uint8_t slot[KV_BUSY_SLOT_BYTES], uint32_t number)
{
	uint8_t again[KV_BUSY_SLOT_BYTES];
	uint64_t word;

	if (kv_busy_decode(slot, id, key, number, &word) < 0)
		return;
	kv_busy_encode(word, id, key, number, again);
	expect(memcmp(again, slot, sizeof again) == 0);
}

static void busy(struct input in)
{
	uint8_t slot[KV_BUSY_SLOT_BYTES] = {0}, text[36], number = input_u8(&in);

	memcpy(slot, in.p, in.left < sizeof slot ? in.left : sizeof slot);
	check_busy(slot, number);
	put_be32(put_bytes(put_bytes(text, slot, 16), id, 16), number);
	crypto_generichash(slot + 16, 16, text, sizeof text, key, sizeof key);
	check_busy(slot, number);
	put_bytes(slot, "\1\0\0\0\0\0\0", 8);
	put_be32(put_bytes(put_bytes(text, slot, 16), id, 16), number);
	crypto_generichash(slot + 16, 16, text, sizeof text, key, sizeof key);
	check_busy(slot, number);
}

static void rows(struct input in)
{
	uint8_t bytes[KV_COMMIT_ROW_MAX];
	struct kv_commit_row row;
	struct kv_count count;

	if (kv_commit_row_decode(in.p, in.left, &row) == 0)
		expect(kv_commit_row_encode(&row, bytes) == in.left && memcmp(bytes, in.p, in.left) == 0);
	if (kv_counters_row_decode(7, in.p, in.left, &count) == 0) {
		kv_counters_row_encode(&count, bytes);
		expect(in.left == KV_COUNTERS_ROW_BYTES && memcmp(bytes, in.p, in.left) == 0);
	}
}

/* The file, with a store's keyring. */
static void mark(struct input in)
{
	static struct world world;
	static struct keyring *keyring;
	static char path[sizeof world.path + 8];
	uint8_t slots[2 * MARK_BYTES] = {0}, mark_key[32], forge = input_u8(&in);
	size_t len = in.left < sizeof slots ? in.left : sizeof slots;

	if (!keyring) {
		world_new(&world);
		world_close(&world);
		snprintf(path, sizeof path, "%s/mark", world.path);
		expect(keyring_open(world.path, &world_unlock, &keyring) == 0);
	}
	memcpy(slots, in.p, len);
	keyring_derive(keyring, KEYRING_PURPOSE_MARK, mark_key);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *slot = slots + i * MARK_BYTES;
		if (forge & 1)
			put_bytes(slot, "sfmk\1", 5);
		if (forge & 2)
			put_be16(slot + 6, 0);
		if (forge & 4)
			put_bytes(slot + 8, keyring_id(keyring), 16);
		if (forge & 8 << i)
			crypto_generichash(slot + MARK_MAC_AT, MARK_BYTES - MARK_MAC_AT, slot, MARK_MAC_AT, mark_key,
				32);
	}
	_cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	expect(fd >= 0 && write(fd, slots, forge & 32 ? sizeof slots : len) >= 0);
	int r = kv_mark_check(path, keyring);
	expect(r == 0 || r == -ENOENT || r == -EBADMSG);
	expect(r != -ENOENT || len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	expect(sodium_init() >= 0);
	switch (input_u8(&in) % 4) {
	case 0:
		seen(in);
		break;
	case 1:
		busy(in);
		break;
	case 2:
		rows(in);
		break;
	default:
		mark(in);
	}
	return 0;
}
