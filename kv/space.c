/*
 * Room on the disk. Growing commits are refused while less than MARGIN is free, so that the engine
 * has room to write what it holds in memory into a table. Besides, the file `reserve` in the store's
 * directory takes RESERVE of the disk, in blocks that nothing was ever written to. Its blocks are
 * given back, and room so made, for
 *  - deletes on a full disk, and the compactions that give their space back;
 *  - opening the engine, which writes its log's content into tables.
 * So there is room for them also where others have filled the disk. What was given back is still
 * counted as taken for growing commits, and is taken again when there is room.
 *
 * A filesystem that cannot reserve blocks has an empty file: then there is only the counting.
 */
#include "kv/kv_internal.h"

#include "kv/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define RESERVE_BYTES_DEFAULT (64u << 20)
#define MARGIN_BYTES (32u << 20)
#define LOOK_BYTES (8u << 20)
#define SCARCE_BYTES (128u << 20) /* what logs and deleted records may take is worth having */
#define OPENING_BYTES (40u << 20) /* all write buffers, and a new MANIFEST */

static uint64_t reserve_bytes(const struct kv *kv)
{
	return kv->options.reserve_bytes ? kv->options.reserve_bytes : RESERVE_BYTES_DEFAULT;
}

static void note_reserved(struct kv *kv)
{
	struct stat st;

	if (kv->space.reserve_fd >= 0 && fstat(kv->space.reserve_fd, &st) == 0)
		atomic_store(&kv->space.reserved, (uint64_t)st.st_blocks * 512);
}

void kv_space_open(struct kv *kv)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "%s/reserve", kv->path) < 0)
		return;
	kv->space.reserve_fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	note_reserved(kv);
}

void kv_space_close(struct kv *kv)
{
	if (kv->space.reserve_fd >= 0)
		close(kv->space.reserve_fd);
	kv->space.reserve_fd = -1;
}

void kv_space_give(struct kv *kv)
{
	if (atomic_exchange(&kv->space.reserved, 0) == 0)
		return;
	if (ftruncate(kv->space.reserve_fd, 0) < 0)
		note_reserved(kv);
}

int kv_space_refresh(struct kv *kv)
{
	struct statvfs st;

	if (statvfs(kv->path, &st) < 0)
		return -errno;
	atomic_store(&kv->space.total, (uint64_t)st.f_blocks * st.f_frsize);
	atomic_store(&kv->space.free, (uint64_t)st.f_bavail * st.f_frsize);
	atomic_store(&kv->space.written, 0);
	atomic_store(&kv->space.look_at, LOOK_BYTES);
	return 0;
}

/*
 * Between two refreshes tables and compactions may take as much as a fast writer, so the disk is asked after each
 * LOOK_BYTES, too. What was written lately may still be in memory only, and come a second time.
 */
void kv_space_note(struct kv *kv, size_t bytes)
{
	struct kv_space_cache *s = &kv->space;
	uint64_t written = atomic_fetch_add(&s->written, 2 * (uint64_t)bytes) + 2 * (uint64_t)bytes;
	struct statvfs st;

	if (written < atomic_load(&s->look_at) || statvfs(kv->path, &st) < 0)
		return;
	written = written / 2 < MARGIN_BYTES ? written / 2 : MARGIN_BYTES;
	atomic_store(&s->free, (uint64_t)st.f_bavail * st.f_frsize);
	atomic_store(&s->written, written);
	atomic_store(&s->look_at, written + LOOK_BYTES);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t available(struct kv *kv)
{
	uint64_t missing = less(reserve_bytes(kv), atomic_load(&kv->space.reserved));
	uint64_t left = less(atomic_load(&kv->space.free), atomic_load(&kv->space.written));

	return less(less(left, missing), MARGIN_BYTES);
}

/* Twice the margin, so that it is not taken and given back in turns. */
static void fill_reserve(struct kv *kv)
{
	uint64_t bytes = reserve_bytes(kv), reserved = atomic_load(&kv->space.reserved);

	if (kv->space.reserve_fd < 0 || reserved >= bytes || bytes > INT64_MAX ||
		available(kv) < MARGIN_BYTES)
		return;
	if (fallocate(kv->space.reserve_fd, 0, 0, (off_t)bytes) < 0 &&
		ftruncate(kv->space.reserve_fd, 0) < 0)
		errno = 0; /* it tries again */
	note_reserved(kv);
	(void)kv_space_refresh(kv);
}

/* Where there is little room, what was deleted since the last look is to make some soon. */
static void shrink(struct kv *kv)
{
	if (available(kv) < SCARCE_BYTES && kv_health_error(kv) == 0 &&
		atomic_exchange(&kv->space.deleted, false))
		kv->ops->shrink(kv->engine);
}

void kv_space_tend(struct kv *kv)
{
	bool full;

	/* Where it fails the last figures stand. */
	(void)kv_space_refresh(kv);
	fill_reserve(kv);
	shrink(kv);
	full = available(kv) == 0;
	if (full != kv->space.full && full)
		log_warning("the store's disk is full: only what makes room is written");
	else if (full != kv->space.full)
		log_info("the store's disk has room again");
	kv->space.full = full;
}

int kv_space_check(struct kv *kv, bool shrinking)
{
	if (shrinking && !atomic_load(&kv->space.deleted))
		atomic_store(&kv->space.deleted, true);
	if (available(kv))
		return 0;
	if (!shrinking)
		return -ENOSPC;
	kv_space_give(kv);
	return 0;
}

int kv_space_make_room(struct kv *kv)
{
	int r = kv_space_refresh(kv);

	if (r == 0 && atomic_load(&kv->space.free) < OPENING_BYTES) {
		kv_space_give(kv);
		r = kv_space_refresh(kv);
	}
	return r < 0 ? r : atomic_load(&kv->space.free) < OPENING_BYTES ? -ENOSPC : 0;
}

enum kv_disk kv_disk(struct kv *kv)
{
	int error = kv_health_error(kv);

	if (error)
		return error == -ENOSPC ? KV_DISK_FULL : KV_DISK_FAILED;
	return available(kv) ? KV_DISK_WELL : KV_DISK_FULL;
}

int kv_space(struct kv *kv, struct kv_space *ret_space)
{
	if (kv->state.read_only) {
		int r = kv_space_refresh(kv);
		if (r < 0)
			return r;
	}
	ret_space->total = atomic_load(&kv->space.total);
	ret_space->available = kv_health_error(kv) == -ENOSPC ? 0 : available(kv);
	return 0;
}
