/*
 * What RocksDB's logs hold after a crash. RocksDB replays its logs up to the first record that is
 * damaged. What it does not see is a hole: zeros where a block never reached the disk, or a log that
 * lost its end while the next one is there; it passes over both and goes on with what lies behind
 * (7.8), so that a commit is lost and later ones are not. Each batch names its sequence number, and
 * these are dense; so here the batches are counted before RocksDB opens the logs.
 *
 * A log is a row of blocks of 32 KiB. A fragment in it, which never crosses a block, all numbers
 * little-endian:
 *
 *    0  u32   CRC-32C of what follows from byte 6 on, masked
 *    4  u16   length of the data
 *    6  u8    type: 1 a whole record, 2 its first, 3 a middle, 4 its last fragment; 0: space unused
 *    7        data
 *
 * A record is a batch: u64 sequence number of its first write, u32 how many writes, the writes:
 *
 *    0  u8    5: put, 4: delete; of the first family 1 and 0, and then no
 *       var   family
 *       var   length of the key, the key
 *       var   of a put: length of the value, the value
 *
 * The scan also finds the last value of one record, so that a caller can judge what a recovery would
 * find before there is one. A batch that is no such row of writes is where RocksDB stops, too.
 */
#include "kv/engine/rocks_internal.h"

#include "kv/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 32768u
#define HEAD_BYTES 7u
#define BATCH_HEAD_BYTES 12u

enum { FRAGMENT_NONE, FRAGMENT_WHOLE, FRAGMENT_FIRST, FRAGMENT_MIDDLE, FRAGMENT_LAST };

enum { WRITE_DELETE_FIRST, WRITE_PUT_FIRST, WRITE_DELETE = 4, WRITE_PUT };

struct scan {
	const struct kv_engine_record *wanted; /* or NULL */
	struct rocks_found *found;
	uint64_t next; /* the sequence number that the next batch must have; 0: none was there yet */
	uint64_t first_max; /* … that the first one may have; 0: any */
	const uint8_t *data;
	size_t size, at;
	struct buf batch; /* that is being put together */
	bool inside;	  /* a record has begun and not ended */
	size_t good; /* where the last batch that was expected ends */
};

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | p[bytes];
	return n;
}

/*
 * Takes the next fragment. 1: it is @ret_type's; 0: the log ends here, or RocksDB stops here.
 * FRAGMENT_NONE: the rest of the block is unused, or so it looks.
 */
static int next_fragment(
	struct scan *s, unsigned *ret_type, const uint8_t **ret_data, size_t *ret_len)
{
	size_t left = BLOCK_BYTES - s->at % BLOCK_BYTES, len;
	const uint8_t *p;

	if (left < HEAD_BYTES) {
		s->at += left;
		left = BLOCK_BYTES;
	}
	if (s->at >= s->size || s->size - s->at < HEAD_BYTES)
		return 0;
	p = s->data + s->at;
	len = get_le(p + 4, 2);
	*ret_type = p[6];
	if (len == 0 && *ret_type == FRAGMENT_NONE) {
		s->at += left;
		return 1;
	}
	if (*ret_type > FRAGMENT_LAST || HEAD_BYTES + len > left ||
		HEAD_BYTES + len > s->size - s->at ||
		get_le(p, 4) != rocks_crc(p + 6, len + 1))
		return 0;
	*ret_data = p + HEAD_BYTES;
	*ret_len = len;
	s->at += HEAD_BYTES + len;
	return 1;
}

/* Takes the next batch: 1, 0 as next_fragment(), or -ENOMEM. */
static int next_batch(struct scan *s)
{
	const uint8_t *data = NULL;
	unsigned type;
	size_t len;

	while (next_fragment(s, &type, &data, &len)) {
		bool begins = type == FRAGMENT_WHOLE || type == FRAGMENT_FIRST;

		if (type == FRAGMENT_NONE ? s->inside : s->inside == begins)
			return 0;
		if (type == FRAGMENT_NONE)
			continue;
		if (begins)
			s->batch.len = 0;
		if (buf_append(&s->batch, data, len) < 0)
			return -ENOMEM;
		s->inside = type == FRAGMENT_FIRST || type == FRAGMENT_MIDDLE;
		if (!s->inside)
			return s->batch.len >= BATCH_HEAD_BYTES;
	}
	return 0;
}

/* A number of seven bits a byte, the lowest ones first. */
static uint32_t read_varint(struct bytes_reader *r)
{
	uint32_t n = 0;

	for (unsigned shift = 0; shift < 32; shift += 7) {
		uint8_t byte = read_u8(r);

		n |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return n;
	}
	r->bad = true;
	return 0;
}

/* Takes one write of a batch; false: it is none that we make. */
static bool next_write(struct bytes_reader *r, struct kv_write *ret_write)
{
	uint8_t tag = read_u8(r);
	bool puts = tag == WRITE_PUT || tag == WRITE_PUT_FIRST;
	struct kv_write w = {0};

	if (tag != WRITE_PUT && tag != WRITE_DELETE && tag != WRITE_PUT_FIRST && tag != WRITE_DELETE_FIRST)
		return false;
	if (tag == WRITE_PUT || tag == WRITE_DELETE)
		w.family = (enum kv_family)read_varint(r);
	w.key_len = read_varint(r);
	w.key = read_bytes(r, w.key_len);
	if (puts) {
		w.value_len = read_varint(r);
		w.value = read_bytes(r, w.value_len);
	}
	*ret_write = w;
	return !r->bad;
}

static bool is_wanted(const struct scan *s, const struct kv_write *w)
{
	const struct kv_engine_record *wanted = s->wanted;

	return wanted && w->value && w->family == wanted->family && w->key_len == wanted->key_len &&
	       memcmp(w->key, wanted->key, w->key_len) == 0;
}

/* Reads the batch: 1, 0: RocksDB stops at it, or -ENOMEM. */
static int take_batch(struct scan *s, uint64_t sequence, uint32_t writes)
{
	struct bytes_reader r = bytes_reader(
		s->batch.data + BATCH_HEAD_BYTES, s->batch.len - BATCH_HEAD_BYTES);
	struct kv_write w, last = {0};

	for (uint32_t i = 0; i < writes; i++) {
		if (!next_write(&r, &w))
			return 0;
		if (is_wanted(s, &w))
			last = w;
	}
	if (bytes_reader_end(&r) < 0)
		return 0;
	if (!last.value)
		return 1;
	s->found->sequence = sequence;
	return buf_set(&s->found->value, last.value, last.value_len) < 0 ? -ENOMEM : 1;
}

/* One log, from its beginning. 1: there is a hole behind s->good, 0: none, or -ENOMEM. */
static int scan_log(struct scan *s)
{
	int r;

	s->at = s->good = 0;
	s->inside = false;
	while ((r = next_batch(s)) > 0) {
		uint64_t sequence = get_le(s->batch.data, 8);
		uint32_t writes = (uint32_t)get_le(s->batch.data + 8, 4);

		if (s->next ? sequence != s->next : s->first_max && sequence > s->first_max)
			return 1;
		r = take_batch(s, sequence, writes);
		if (r <= 0)
			return r;
		s->next = sequence + writes;
		s->good = s->at;
	}
	return r;
}

static int scan_file(struct scan *s, int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *data;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	s->data = data;
	s->size = (size_t)st.st_size;
	r = scan_log(s);
	munmap(data, (size_t)st.st_size);
	return r;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The numbers of the logs in the folder @at, rising. */
static int list_logs(int at, uint64_t **ret_logs, size_t *ret_n)
{
	_cleanup_free_ uint64_t *logs = NULL;
	size_t n = 0, cap = 0;
	int fd = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *d;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		char *end;
		uint64_t number = strtoull(d->d_name, &end, 10);

		if (end == d->d_name || strcmp(end, ".log"))
			continue;
		if (n == cap) {
			uint64_t *more = reallocarray(logs, cap = 2 * cap + 16, sizeof *logs);
			if (!more) {
				closedir(dir);
				return -ENOMEM;
			}
			logs = more;
		}
		logs[n++] = number;
	}
	closedir(dir);
	if (n)
		qsort(logs, n, sizeof *logs, compare_numbers);
	*ret_logs = steal_ptr(logs);
	*ret_n = n;
	return 0;
}

static void log_name(uint64_t number, char ret_name[ROCKS_LOG_NAME])
{
	snprintf(ret_name, ROCKS_LOG_NAME, "%06llu.log", (unsigned long long)number);
}

int rocks_log_any(const char *path)
{
	_cleanup_free_ uint64_t *logs = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[ROCKS_LOG_NAME];
	struct stat st;
	size_t n = 0;
	int r = dir < 0 ? -errno : list_logs(dir, &logs, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		log_name(logs[i], name);
		if (fstatat(dir, name, &st, 0) == 0 && st.st_size > 0)
			return 1;
	}
	return 0;
}

void rocks_log_drop_empty(int dir)
{
	_cleanup_free_ uint64_t *logs = NULL;
	char name[ROCKS_LOG_NAME];
	struct stat st;
	size_t n = 0;

	if (list_logs(dir, &logs, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		log_name(logs[i], name);
		if (fstatat(dir, name, &st, 0) == 0 && st.st_size == 0)
			unlinkat(dir, name, 0);
	}
}

int rocks_log_scan(const char *path, uint64_t from, uint64_t last_sequence,
	const struct kv_engine_record *wanted, struct rocks_found *ret_found)
{
	_cleanup_free_ uint64_t *logs = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[ROCKS_LOG_NAME];
	struct scan s = {.first_max = last_sequence ? last_sequence + 1 : 0,
		.wanted = wanted,
		.found = ret_found};
	size_t n = 0;
	int r = dir < 0 ? -errno : list_logs(dir, &logs, &n);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		if (logs[i] < from)
			continue;
		log_name(logs[i], name);
		r = scan_file(&s, dir, name);
		if (r > 0)
			ret_found->hole = (struct rocks_hole){.log = logs[i], .end = (off_t)s.good};
	}
	buf_release(&s.batch);
	return r < 0 ? r : 0;
}

int rocks_log_newest(int dir)
{
	_cleanup_free_ uint64_t *logs = NULL;
	char name[ROCKS_LOG_NAME];
	size_t n = 0;
	int r = list_logs(dir, &logs, &n), fd;

	if (r < 0 || n == 0)
		return r < 0 ? r : -ENOENT;
	log_name(logs[n - 1], name);
	fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int rocks_log_sync(int dir, uint64_t *newest)
{
	_cleanup_free_ uint64_t *logs = NULL;
	char name[ROCKS_LOG_NAME];
	size_t n = 0;
	int r = list_logs(dir, &logs, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int fd = -1;

		if (logs[i] < *newest)
			continue;
		log_name(logs[i], name);
		fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
		/* It is gone once all of it is in tables, which are synced. */
		if (fd < 0 ? errno != ENOENT : fdatasync(fd) < 0)
			r = -errno;
	}
	if (r < 0 || n == 0 || logs[n - 1] == *newest)
		return r;
	if (fsync(dir) < 0)
		return -errno;
	*newest = logs[n - 1];
	return 0;
}

int rocks_log_stand_in(const char *path, const char *folder)
{
	_cleanup_free_ uint64_t *logs = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[ROCKS_LOG_NAME];
	struct stat st;
	size_t n = 0;
	int r = dir < 0 || to < 0 ? -errno : list_logs(dir, &logs, &n);

	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int fd = -1;

		log_name(logs[i], name);
		fd = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || fstatat(dir, name, &st, 0) < 0 || ftruncate(fd, st.st_size) < 0)
			r = -errno;
	}
	return r;
}

/* A log, or of the one with the hole what lies before it, in the folder @to. */
static int copy_log(int dir, const char *name, off_t len, int to)
{
	_cleanup_close_ int in = openat(dir, name, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (in < 0 || out < 0)
		return -errno;
	while (len > 0) {
		ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)len, 0);
		if (n < 0 && (errno == EXDEV || errno == EOPNOTSUPP || errno == EINVAL))
			n = sendfile(out, in, NULL, (size_t)len);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		len -= n;
	}
	return 0;
}

int rocks_log_copy_before(const char *path, const struct rocks_hole *hole, const char *folder)
{
	_cleanup_free_ uint64_t *logs = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int to = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[ROCKS_LOG_NAME];
	struct stat st;
	size_t n = 0;
	int r = dir < 0 || to < 0 ? -errno : list_logs(dir, &logs, &n);

	for (size_t i = 0; r == 0 && i < n && logs[i] <= hole->log; i++) {
		log_name(logs[i], name);
		if (fstatat(dir, name, &st, 0) < 0)
			return -errno;
		r = copy_log(dir, name, logs[i] < hole->log ? st.st_size : hole->end, to);
	}
	return r;
}

/* The last ones first: whenever the power goes, what is left has the hole, or nothing behind it. */
int rocks_log_cut(const char *path, const struct rocks_hole *hole)
{
	_cleanup_free_ uint64_t *logs = NULL;
	_cleanup_close_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	char name[ROCKS_LOG_NAME];
	size_t n = 0;
	int r = dir < 0 ? -errno : list_logs(dir, &logs, &n);

	if (r < 0)
		return r;
	for (size_t i = n; i > 0 && logs[i - 1] > hole->log; i--) {
		log_name(logs[i - 1], name);
		if (unlinkat(dir, name, 0) < 0 || fsync(dir) < 0)
			return -errno;
	}
	log_name(hole->log, name);
	fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, hole->end) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}
