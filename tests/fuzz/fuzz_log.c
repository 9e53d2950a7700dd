/*
 * fuzz_log.c: RocksDB's logs after a crash, as rocks_log.c looks through them. Each is made of fragments whose
 * check sums
 * are good, of batches that are nearly so; or the input as such. A hole lies within the log that it is in, and
 * what is
 * cut there has none any more and the same last value.
 */
#include "kv/engine/rocks_internal.h"
#include "tests/fuzz/world.h"

#include <sys/stat.h>
#include <unistd.h>

#define LOGS 3
#define BLOCK 32768u

static char folder[PATH_MAX];
static uint64_t sequence;

static void put_le(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (; bytes--; v >>= 8)
		*p++ = (uint8_t)v;
}

static void put_fragment(struct buf *log, uint8_t type, const uint8_t *data, size_t len, bool good)
{
	uint8_t head[7];
	struct buf sum = {0};

	expect(buf_append(&sum, &type, 1) == 0 && buf_append(&sum, data, len) == 0);
	put_le(head, rocks_crc(sum.data, sum.len) ^ !good, 4);
	put_le(head + 4, len, 2);
	head[6] = type;
	expect(buf_append(log, head, sizeof head) == 0 && buf_append(log, data, len) == 0);
	buf_release(&sum);
}

/* A batch in as many fragments as the ends of blocks want. */
static void put_batch(struct buf *log, const struct buf *batch, bool good)
{
	static const uint8_t zeros[7];
	size_t at = 0;

	do {
		size_t room = BLOCK - log->len % BLOCK;
		if (room < 7) {
			expect(buf_append(log, zeros, room) == 0);
			room = BLOCK;
		}
		size_t part = batch->len - at < room - 7 ? batch->len - at : room - 7;
		bool last = at + part == batch->len;
		put_fragment(log, at == 0 ? last ? 1 : 2 : last ? 4 : 3, batch->data + at, part, good);
		at += part;
	} while (at < batch->len);
}

static void add_write(struct buf *batch, struct input *in, uint8_t how)
{
	static const uint8_t tags[] = {5, 5, 1, 4, 0, 5, 5, 9};
	uint8_t tag = tags[how & 7];
	struct input key = input_part(in, 1 + input_u8(in) % 4u);
	size_t len = (tag == 5 || tag == 1) ? input_u8(in) * (how & 64 ? 300u : 1u) : 0;
	uint8_t part[16], *p = part;

	*p++ = tag;
	if (tag == 5 || tag == 4)
		*p++ = how >> 3 & 3;
	if (how & 32) { /* the key that is looked for */
		p = put_bytes(put_u8(p, 3), "key", 3);
	} else {
		*p++ = (uint8_t)key.left;
		p = put_bytes(p, key.p, key.left);
	}
	expect(buf_append(batch, part, (size_t)(p - part)) == 0);
	if (tag != 5 && tag != 1)
		return;
	for (p = part; len >= 128; len >>= 7)
		*p++ = (uint8_t)(len | 128);
	*p++ = (uint8_t)len;
	len = (size_t)(how & 64 ? 0 : len);
	expect(buf_append(batch, part, (size_t)(p - part)) == 0);
	for (; len > 0; len--)
		expect(buf_append(batch, "v", 1) == 0);
}

static void make_log(struct input *in, struct buf *log)
{
	for (unsigned n = input_u8(in) % 16; n > 0 && in->left; n--) {
		uint8_t how = input_u8(in), writes = how & 7;
		struct buf batch = {0};
		expect(buf_resize(&batch, 12) == 0);
		sequence += how == 0x55 ? input_u8(in) : 0; /* a hole */
		put_le(batch.data, sequence, 8);
		put_le(batch.data + 8, writes, 4);
		for (uint8_t i = 0; i < writes; i++)
			add_write(&batch, in, input_u8(in));
		if ((how & 0xf8) == 0xf8) { /* a large one, over blocks */
			size_t at = batch.len;
			expect(buf_resize(&batch, at + 60000) == 0);
			memset(batch.data + at, 5, 60000);
		}
		sequence += writes;
		put_batch(log, &batch, how != 0xaa);
		buf_release(&batch);
		if (how == 0xab) {
			struct input part = input_part(in, input_u8(in));
			put_fragment(log, input_u8(in) % 6, part.p, part.left, true);
		}
		if (how == 0xac) /* unused to the end of the block */
			expect(buf_resize(log, log->len + BLOCK - log->len % BLOCK) == 0);
	}
}

static void write_log(unsigned number, const struct buf *log)
{
	char path[64];

	snprintf(path, sizeof path, "%s/%06u.log", folder, number);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	expect(fd >= 0 && write(fd, log->data, log->len) == (ssize_t)log->len);
}

static off_t size_of(uint64_t number)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "%s/%06u.log", folder, (unsigned)number);
	return stat(path, &st) < 0 ? -1 : st.st_size;
}

static void check(uint64_t last)
{
	const struct kv_engine_record wanted = {.family = KV_META, .key = "key", .key_len = 3};
	struct rocks_found found = {0}, again = {0};

	expect(rocks_log_scan(folder, 2, last, &wanted, &found) == 0);
	if (found.hole.log) {
		expect(found.hole.end <= size_of(found.hole.log));
		expect(rocks_log_cut(folder, &found.hole) == 0);
		expect(rocks_log_scan(folder, 2, last, &wanted, &again) == 0);
		expect(!again.hole.log && again.sequence == found.sequence && again.value.len == found.value.len);
	}
	buf_release(&found.value);
	buf_release(&again.value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct input in = {data, size};
	uint8_t how = input_u8(&in);

	if (!made)
		make_folder(folder);
	made = true;
	sequence = 1 + input_u8(&in);
	for (unsigned i = 1; i <= LOGS; i++) {
		struct buf log = {0};
		if (how & 1)
			make_log(&in, &log);
		else
			expect(buf_append(&log, in.p, in.left) == 0);
		if (how & 2 && log.len)
			log.len -= how % log.len;
		write_log(i, &log);
		buf_release(&log);
	}
	check(how & 4 ? 1 + how : 0);
	return 0;
}
