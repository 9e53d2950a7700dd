/*
 * What this user has seen of a store: how far it had come, kept outside of it, so that an older copy
 * put in its place is noticed. One file a store, SEEN_DIR/ID, two slots of 512 bytes written in turn:
 *
 *    0  u32   magic "sfsn"
 *    4  u8    format (1)
 *    5  u8    n: lines that follow, 0 … 16
 *    6  u16   0
 *    8  16    store id
 *   24  u64   number of this write; the slot is number mod 2, the highest authentic one counts
 *   32  n × { u64 sequence, i64 seconds since 1970, u16 line }, then zeros
 *  488  24    BLAKE2b-192 over bytes 0–487 under KEYRING_PURPOSE_SEEN
 *
 * Lines. Copies of one store that go on separately have the same id, and each is older than the other
 * now and then. So whoever accepts an older state gives that copy a line of its own: a random number
 * in its commit row, of which nothing has been seen yet. A store that was never accepted has line 0.
 *
 * Order. The sequence that is written was synced before, and only ever rises: after a power cut the
 * file may lag and is never ahead. It is open from before the mount to its end, since its folder may
 * come to lie below the mountpoint; several processes (copies of one store) take turns by flock().
 */
#include "kv/kv_internal.h"

#include "kv/bytes.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define SEEN_MAGIC 0x7366736e
#define SEEN_FORMAT 1
#define SLOT_BYTES KV_SEEN_SLOT_BYTES
#define MAC_AT 488
#define MAC_BYTES (SLOT_BYTES - MAC_AT)
#define WRITE_MS 30000

int kv_seen_decode(const uint8_t slot[SLOT_BYTES], const uint8_t id[16], const uint8_t key[32],
	size_t index, struct kv_seen_table *ret_table)
{
	struct bytes_reader r = bytes_reader(slot, MAC_AT);
	struct kv_seen_table table = {0};
	uint8_t mac[MAC_BYTES];

	crypto_generichash(mac, MAC_BYTES, slot, MAC_AT, key, 32);
	if (sodium_memcmp(mac, slot + MAC_AT, MAC_BYTES) != 0)
		return -EBADMSG;
	if (read_be32(&r) != SEEN_MAGIC || read_u8(&r) != SEEN_FORMAT)
		return -EBADMSG;
	table.n = read_u8(&r);
	if (read_be16(&r) != 0 || table.n > KV_SEEN_LINES)
		return -EBADMSG;
	if (memcmp(read_bytes(&r, 16), id, 16) != 0)
		return -EBADMSG;
	table.number = read_be64(&r);
	for (unsigned i = 0; i < table.n; i++) {
		table.line[i].sequence = read_be64(&r);
		table.line[i].when = (int64_t)read_be64(&r);
		table.line[i].line = read_be16(&r);
	}
	if (table.number % 2 != index)
		return -EBADMSG;
	*ret_table = table;
	return 0;
}

void kv_seen_encode(const struct kv_seen_table *table, const uint8_t id[16], const uint8_t key[32],
	uint8_t ret_slot[SLOT_BYTES])
{
	uint8_t *p = ret_slot;

	memset(ret_slot, 0, SLOT_BYTES);
	p = put_be32(p, SEEN_MAGIC);
	p = put_u8(p, SEEN_FORMAT);
	p = put_u8(p, (uint8_t)table->n);
	p = put_be16(p, 0);
	p = put_bytes(p, id, 16);
	p = put_be64(p, table->number);
	for (unsigned i = 0; i < table->n; i++) {
		p = put_be64(p, table->line[i].sequence);
		p = put_be64(p, (uint64_t)table->line[i].when);
		p = put_be16(p, table->line[i].line);
	}
	crypto_generichash(ret_slot + MAC_AT, MAC_BYTES, ret_slot, MAC_AT, key, 32);
}

/* -ENOENT empty, -EBADMSG neither slot is authentic. */
static int read_table(const struct kv *kv, struct kv_seen_table *ret_table)
{
	uint8_t slots[2 * SLOT_BYTES] = {0};
	struct kv_seen_table found[2];
	ssize_t n = pread(kv->seen.fd, slots, sizeof slots, 0);
	bool good[2];

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	for (size_t i = 0; i < 2; i++)
		good[i] = kv_seen_decode(slots + i * SLOT_BYTES, keyring_id(kv->keyring),
				  kv->secrets->seen, i, &found[i]) == 0;
	if (!good[0] && !good[1])
		return -EBADMSG;
	*ret_table = good[1] && (!good[0] || found[1].number > found[0].number) ? found[1]
										 : found[0];
	return 0;
}

static struct kv_seen_line *find_line(struct kv_seen_table *table, uint16_t line)
{
	for (unsigned i = 0; i < table->n; i++)
		if (table->line[i].line == line)
			return &table->line[i];
	return NULL;
}

void kv_seen_open(struct kv *kv)
{
	_cleanup_free_ char *path = NULL;
	char id[33];
	struct stat st;
	int flags = (kv->options.read_only ? O_RDONLY : O_RDWR | O_CREAT) | O_NOFOLLOW | O_NONBLOCK |
		    O_CLOEXEC;

	if (!kv->options.seen_dir)
		return;
	sodium_bin2hex(id, sizeof id, keyring_id(kv->keyring), 16);
	if (asprintf(&path, "%s/%s", kv->options.seen_dir, id) < 0) {
		kv->state.seen_error = -ENOMEM;
		return;
	}
	kv->seen.fd = open(path, flags, 0600);
	if (kv->seen.fd < 0 || fstat(kv->seen.fd, &st) < 0)
		kv->state.seen_error = -errno;
	else if (!S_ISREG(st.st_mode))
		kv->state.seen_error = -EINVAL;
	/* A read-only open makes no file: there is just none. */
	if (kv->state.seen_error == -ENOENT && kv->options.read_only)
		kv->state.seen_error = 0;
	if (kv->state.seen_error == 0 && kv->seen.fd >= 0)
		(void)read_table(kv, &kv->seen.table);
	else
		kv_seen_close(kv);
}

void kv_seen_close(struct kv *kv)
{
	if (kv->seen.fd >= 0)
		close(kv->seen.fd);
	kv->seen.fd = -1;
}

uint64_t kv_seen_highest(const struct kv *kv)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < kv->seen.table.n; i++)
		if (kv->seen.table.line[i].sequence > highest)
			highest = kv->seen.table.line[i].sequence;
	return highest;
}

int kv_seen_check(struct kv *kv, const struct kv_commit_row *row)
{
	const struct kv_seen_line *seen = find_line(&kv->seen.table, row->line);
	/* A log that ends before the store's own mark is damage, which is told as such. */
	uint64_t reached = row->sequence > kv->state.expected ? row->sequence : kv->state.expected;

	if (!seen || seen->sequence <= reached)
		return 0;
	if (kv->options.older)
		*kv->options.older = (struct kv_older){
			.sequence = reached, .seen = seen->sequence, .when = seen->when};
	if (!kv->options.accept_older)
		return -ESTALE;
	kv->state.accepted = true;
	return 0;
}

bool kv_seen_knows(const struct kv *kv, uint16_t line)
{
	struct kv_seen_table table = kv->seen.table;

	return find_line(&table, line) != NULL;
}

uint16_t kv_seen_new_line(const struct kv *kv)
{
	uint16_t line;

	do
		line = (uint16_t)(1 + randombytes_uniform(UINT16_MAX));
	while (kv_seen_knows(kv, line));
	return line;
}

/* The line's place in the table: its own, a free one, or that which was seen least lately. */
static struct kv_seen_line *place_for(struct kv_seen_table *table, uint16_t line)
{
	struct kv_seen_line *place = find_line(table, line);

	if (place)
		return place;
	if (table->n < KV_SEEN_LINES) {
		place = &table->line[table->n++];
	} else {
		place = &table->line[0];
		for (unsigned i = 1; i < table->n; i++)
			if (table->line[i].when < place->when)
				place = &table->line[i];
	}
	*place = (struct kv_seen_line){.line = line};
	return place;
}

static void write_locked(struct kv *kv, uint64_t synced)
{
	struct kv_seen_table table;
	struct kv_seen_line *place;
	uint8_t slot[SLOT_BYTES];

	/* What another process wrote counts; where it cannot be read, what we know. */
	if (read_table(kv, &table) < 0)
		table = kv->seen.table;
	place = place_for(&table, kv->commit.line);
	if (synced > place->sequence)
		place->sequence = synced;
	place->when = time(NULL);
	table.number++;
	kv_seen_encode(&table, keyring_id(kv->keyring), kv->secrets->seen, slot);
	if (pwrite(kv->seen.fd, slot, sizeof slot, (off_t)(table.number % 2 * SLOT_BYTES)) ==
		(ssize_t)sizeof slot)
		kv->seen.table = table;
}

void kv_seen_write(struct kv *kv)
{
	/* First: what is synced later is not told. */
	uint64_t synced = kv_synced(kv);

	if (kv->seen.fd < 0 || kv->state.read_only)
		return;
	/* One that could not be written lags, which costs detection and no data. */
	if (flock(kv->seen.fd, LOCK_EX | LOCK_NB) < 0)
		return;
	write_locked(kv, synced);
	flock(kv->seen.fd, LOCK_UN);
	kv->seen.told = synced;
}

void kv_seen_tick(struct kv *kv, int64_t now_ms)
{
	if (kv_synced(kv) == kv->seen.told || now_ms - kv->seen.told_at < WRITE_MS)
		return;
	kv_seen_write(kv);
	kv->seen.told_at = now_ms;
}
