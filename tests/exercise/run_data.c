#include "tests/exercise/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

static void do_open(struct run *run, const struct step *s)
{
	char path[RUN_PATH];
	int expected = model_open(run->m, s->slot, &s->path, (int)s->flags, s->mode);
	if (expected == MODEL_SKIP)
		return;
	run_path(&s->path, path);
	run_same(run, expected,
		run->t->ops->open(run->t, s->slot, path, (int)s->flags | O_NOFOLLOW, s->mode & 07777));
}

static void do_write(struct run *run, const struct step *s)
{
	size_t len = s->length < RUN_IO ? s->length : RUN_IO;
	int64_t offset = s->verb == VERB_write ? -1 : (int64_t)s->offset;
	ssize_t expected;
	content_fill(run->bytes, len, s->seed);
	expected = model_write(run->m, s->slot, offset, run->bytes, len);
	if (expected != MODEL_SKIP)
		run_same(run, expected, run->t->ops->write(run->t, s->slot, offset, run->bytes, len));
}

static void expect_bytes(struct run *run, uint64_t offset, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (run->bytes[i] != run->seen[i]) {
			run_fail(run, "byte %llu is %02x, expected %02x", (unsigned long long)(offset + i),
				run->seen[i], run->bytes[i]);
			return;
		}
}

/* relatime: whether the read has to move the access time. */
static void read_marks(struct run *run, struct node *node)
{
	const struct timespec *a = &node->times[TIME_A], *now = &run->began;
	bool stale = now->tv_sec - a->tv_sec >= 24 * 60 * 60;
	for (unsigned i = TIME_M; i <= TIME_C; i++) {
		const struct timespec *other = &node->times[i];
		stale = stale || a->tv_sec < other->tv_sec ||
			(a->tv_sec == other->tv_sec && a->tv_nsec <= other->tv_nsec);
	}
	if (run->t->exact_atime && !node->must) {
		node->may &= ~STAMP_A;
		node->must |= stale ? STAMP_A : 0;
	}
}

static void do_read(struct run *run, const struct step *s)
{
	size_t len = s->length < RUN_IO ? s->length : RUN_IO;
	ssize_t expected = model_read(run->m, s->slot, s->offset, run->bytes, len), n;
	if (expected == MODEL_SKIP)
		return;
	n = run->t->ops->read(run->t, s->slot, (int64_t)s->offset, run->seen, len);
	if (!run_same(run, expected, n) || n <= 0)
		return;
	expect_bytes(run, s->offset, (size_t)n);
	if (!(run->m->slots[s->slot].flags & O_NOATIME))
		read_marks(run, run->m->slots[s->slot].node);
}

static void do_truncate(struct run *run, const struct step *s)
{
	struct slot *slot = &run->m->slots[s->slot];
	struct node *node = slot->node;
	char path[RUN_PATH];
	int expected = 0;
	if (s->verb == VERB_ftruncate) {
		if (!node)
			return;
		expected = (slot->flags & O_ACCMODE) == O_RDONLY ? -EINVAL : 0;
	} else {
		expected = model_look(run->m, &s->path, &node);
		if (expected == 0)
			expected = S_ISLNK(node->mode) ? -ENOENT : S_ISDIR(node->mode) ? -EISDIR
						: S_ISREG(node->mode) ? 0 : -EINVAL;
	}
	if (expected == 0)
		model_truncate(run->m, node, s->length);
	run_path(&s->path, path);
	run_same(run, expected,
		run->t->ops->truncate(run->t, s->verb == VERB_truncate ? path : NULL, s->slot,
			(int64_t)s->length));
}

/* Whole chunks that were punched hold no data. */
static void expect_hole(struct run *run, const struct step *s)
{
	const uint64_t chunk = 32768, size = run->m->slots[s->slot].node->data.size;
	uint64_t from = (s->offset + chunk - 1) / chunk * chunk, end = (s->offset + s->length) / chunk * chunk;
	if (end > size)
		end = size;
	if (from >= end || size <= 4096)
		return;
	int64_t at = run->t->ops->seek(run->t, s->slot, (int64_t)from, SEEK_DATA);
	if (at != -ENXIO && at < (int64_t)end)
		run_fail(run, "data at %lld in the hole from %llu to %llu", (long long)at,
			(unsigned long long)from, (unsigned long long)end);
}

static void do_fallocate(struct run *run, const struct step *s)
{
	int mode = (int)s->flags;
	int expected = model_fallocate(run->m, s->slot, mode, s->offset, s->length);
	if (expected == MODEL_SKIP)
		return;
	if (run_same(run, expected,
		    run->t->ops->fallocate(run->t, s->slot, mode, (int64_t)s->offset, (int64_t)s->length)) &&
		expected == 0 && mode & FALLOC_FL_PUNCH_HOLE)
		expect_hole(run, s);
}

static void do_seek(struct run *run, const struct step *s)
{
	struct node *node = run->m->slots[s->slot].node;
	int whence = s->flags & 1 ? SEEK_HOLE : SEEK_DATA;
	uint64_t size, from = s->offset;
	int64_t at;
	if (!node)
		return;
	size = node->data.size;
	at = run->t->ops->seek(run->t, s->slot, (int64_t)from, whence);
	if (from >= size) {
		run_same(run, -ENXIO, at);
	} else if (whence == SEEK_DATA) {
		if (at != -ENXIO && (at < (int64_t)from || at >= (int64_t)size))
			run_fail(run, "data after %llu is found at %lld", (unsigned long long)from, (long long)at);
		else if (!content_is_zero(&node->data, from, at < 0 ? size : (uint64_t)at))
			run_fail(run, "data between %llu and %lld is not found", (unsigned long long)from,
				(long long)at);
	} else if (at < (int64_t)from || at > (int64_t)size) {
		run_fail(run, "a hole after %llu is found at %lld", (unsigned long long)from, (long long)at);
	}
}

static void do_copy(struct run *run, const struct step *s)
{
	size_t len = s->length < RUN_IO ? s->length : RUN_IO;
	ssize_t expected = model_copy(run->m, s->slot, s->offset, s->slot2, s->offset2, len), n;
	if (expected == MODEL_SKIP)
		return;
	n = run->t->ops->copy(run->t, s->slot, (int64_t)s->offset, s->slot2, (int64_t)s->offset2, len);
	run_same(run, expected, n);
}

static void do_fsync(struct run *run, const struct step *s)
{
	struct slot *slot = &run->m->slots[s->slot];
	if (!slot->node)
		return;
	if (run_same(run, 0, run->t->ops->fsync(run->t, s->slot, s->flags & 1)))
		model_kept(slot->node);
}

static void do_map(struct run *run, const struct step *s)
{
	struct node *node = model_find(run->m, &s->path);
	bool shared = s->verb == VERB_mmap_write;
	size_t len = s->length < 65536 ? s->length : 65536;
	char path[RUN_PATH];
	int r;
	if (!run->t->maps || !node || !S_ISREG(node->mode) || !len || s->offset >= node->data.size)
		return;
	if (len > node->data.size - s->offset)
		len = node->data.size - s->offset;
	content_read(&node->data, s->offset, run->bytes, len);
	content_fill(run->bytes + len, len, s->seed);
	run_path(&s->path, path);
	r = run->t->ops->map(run->t, path, shared, (int)s->flags & O_APPEND, s->offset, run->bytes + len, len,
		run->seen);
	if (!run_same(run, 0, r))
		return;
	if (shared) {
		expect_bytes(run, s->offset, len);
		model_map_write(run->m, node, s->offset, run->bytes + len, len);
		model_kept(node);
		return;
	}
	memcpy(run->bytes, run->bytes + len, len);
	expect_bytes(run, s->offset, len);
	model_touch(node, 0, STAMP_A);
}

static void do_close(struct run *run, const struct step *s)
{
	int expected = model_close(run->m, s->slot);
	if (expected != MODEL_SKIP)
		run_same(run, expected, run->t->ops->close(run->t, s->slot));
}

void run_data(struct run *run, const struct step *s)
{
	switch (s->verb) {
	case VERB_open:
		do_open(run, s);
		break;
	case VERB_close:
		do_close(run, s);
		break;
	case VERB_write:
	case VERB_pwrite:
		do_write(run, s);
		break;
	case VERB_pread:
		do_read(run, s);
		break;
	case VERB_ftruncate:
	case VERB_truncate:
		do_truncate(run, s);
		break;
	case VERB_fallocate:
		do_fallocate(run, s);
		break;
	case VERB_seek:
		do_seek(run, s);
		break;
	case VERB_copy:
		do_copy(run, s);
		break;
	case VERB_fsync:
		do_fsync(run, s);
		break;
	default:
		do_map(run, s);
	}
}
