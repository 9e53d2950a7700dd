/*
 * Healing: an engine that met an error is closed and opened anew, under whoever uses the store.
 *
 * RocksDB takes no writes after an error of its log, of a sync or of its metadata, and its C API has
 * no way to resume. Its memory is good, and its files hold what was written to them, as far as the
 * page cache tells. So the flusher, once a second until it works:
 *
 *  1. gives up the reserve where there is no room, and tries whether the disk takes a small file;
 *  2. opens the files a second time, only to read, and compares the last commit there with the last
 *     published one. Where it is older, the disk has lost what it had taken (after a failed sync the
 *     kernel may drop pages). Once is no proof: RocksDB gets over some errors of a full disk by
 *     itself, and then gives up a log while we look. After LOOKS times the first engine, whose memory
 *     has it all, goes on for readers, and nothing more is written until somebody mounts the store
 *     anew: `lost`;
 *  3. closes the gate (gate.c), closes the engine and opens it for writing. That recovery reads the
 *     log through the page cache, and writes what it holds into new tables, which it syncs, before it
 *     gives up the log. So it is also what makes a failed sync good: the data is rewritten, and no
 *     page that was dropped is trusted;
 *  4. takes back a batch that was refused and whose bytes are in the log all the same (the write was
 *     whole and what followed it failed): its callers were told that it is not there;
 *  5. syncs, writes the mark, opens the gate.
 *
 * Meanwhile: readers are held up only from 3 to 5. A commit that fails is -EAGAIN to its caller, who
 * begins anew and waits in kv_txn_begin(), until HOLD_MS after the first failure; from then on it gets
 * the error. If the engine fails again soon after it was healed the time runs on, so that a disk that
 * fails again and again holds nobody up for long. Where 3 fails the files are opened to be read, so
 * that reading goes on.
 *
 * The leader of a commit sets health.error and, within the gate, health.undo; all else is the
 * flusher's.
 */
#include "kv/kv_internal.h"

#include "kv/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define HOLD_MS 5000 /* how long commits are held up */
#define SLICE_MS 250 /* at a time: who waits may have a lock that somebody inside waits for */
#define WELL_MS 2000 /* a failure sooner after the healing belongs to the one before */
#define AGAIN_MS 1000
#define DRAIN_MS 1000
#define LOOKS 3
#define PROBE_BYTES 65536

int kv_health_error(const struct kv *kv)
{
	return atomic_load(&((struct kv *)kv)->health.error);
}

static bool held_up(struct kv *kv)
{
	const struct kv_health *h = &kv->health;

	return atomic_load(&h->error) && !atomic_load(&h->lost) &&
	       kv_now_ms() < atomic_load(&h->since) + HOLD_MS;
}

int kv_health_check(struct kv *kv)
{
	int error = atomic_load(&kv->health.error);

	return error == 0 ? 0 : held_up(kv) ? -EAGAIN : error;
}

void kv_health_wait(struct kv *kv)
{
	struct kv_gate *g = &kv->gate;
	struct timespec until;
	int64_t ms;

	if (atomic_load(&kv->health.error) == 0 || kv_gate_holds())
		return;
	ms = kv_now_ms() + SLICE_MS;
	until = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	MUTEX_GUARD(&g->lock);
	while (held_up(kv))
		if (pthread_cond_timedwait(&g->changed, &g->lock, &until) == ETIMEDOUT)
			return;
}

static void wake(struct kv *kv)
{
	MUTEX_GUARD(&kv->gate.lock);
	pthread_cond_broadcast(&kv->gate.changed);
}

void kv_health_fail(struct kv *kv, int error)
{
	struct kv_health *h = &kv->health;

	if (!atomic_exchange(&h->told, true)) {
		atomic_store(&h->since, kv_now_ms());
		log_error("the store's disk failed (%s): until it works again nothing is written",
			strerror(-error));
	}
	atomic_store(&h->error, error);
	kv_flusher_wake(kv);
}

/* ---- a refused batch ------------------------------------------------------------------------- */

static void undo_drop(struct kv_health *h)
{
	free(h->undo);
	h->undo = NULL;
	h->undo_n = 0;
	buf_release(&h->undo_bytes);
}

/* Keys and old values, one after the other in undo_bytes, which may move: pointers come last. */
static int undo_collect(struct kv *kv, const struct kv_write *writes, size_t n, size_t *ends)
{
	struct kv_health *h = &kv->health;
	_cleanup_buf_ struct buf old = {0};

	for (size_t i = 0; i < n; i++) {
		const struct kv_write *w = &writes[i];
		int r = kv->ops->get(kv->engine, NULL, w->family, w->key, w->key_len, &old);

		if (r < 0 && r != -ENOENT)
			return r;
		h->undo[i] = (struct kv_write){
			.family = w->family, .key_len = w->key_len, .value_len = r == 0 ? old.len : 0};
		ends[i] = r == 0;
		r = buf_append(&h->undo_bytes, w->key, w->key_len);
		if (r == 0)
			r = buf_append(&h->undo_bytes, old.data, h->undo[i].value_len);
		if (r < 0)
			return r;
	}
	return 0;
}

void kv_health_note_undo(struct kv *kv, const struct kv_write *writes, size_t n)
{
	struct kv_health *h = &kv->health;
	_cleanup_free_ size_t *there = calloc(n, sizeof *there);
	const uint8_t *p;

	undo_drop(h);
	h->undo = calloc(n, sizeof *h->undo);
	if (!there || !h->undo || undo_collect(kv, writes, n, there) < 0) {
		undo_drop(h);
		return;
	}
	p = h->undo_bytes.data;
	for (size_t i = 0; i < n; i++) {
		struct kv_write *w = &h->undo[i];

		w->key = p;
		w->value = there[i] ? p + w->key_len : NULL;
		p += w->key_len + w->value_len;
	}
	h->undo_n = n;
}

/* ---- healing --------------------------------------------------------------------------------- */

/* Whether the disk takes a file: what failed may be over. */
static int probe(struct kv *kv)
{
	static const uint8_t bytes[PROBE_BYTES];
	_cleanup_free_ char *name = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	int r = 0;

	if (asprintf(&name, "%s/probe", kv->path) < 0)
		return -ENOMEM;
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	n = write(fd, bytes, sizeof bytes);
	if (n != (ssize_t)sizeof bytes)
		r = n < 0 ? -errno : -ENOSPC;
	else if (fsync(fd) < 0)
		r = -errno;
	unlink(name);
	return r;
}

/* The last commit that the files hold, by an engine of its own. */
static int look_at_files(struct kv *kv, uint64_t *ret_sequence)
{
	_cleanup_free_ char *path = NULL;
	struct kv_engine *engine;
	struct kv_commit_row row;
	int r;

	if (asprintf(&path, "%s/db", kv->path) < 0)
		return -ENOMEM;
	r = kv->ops->open(path, &kv->options, true, &engine);
	if (r < 0)
		return r;
	r = kv_commit_row_read(kv, engine, NULL, &row);
	kv->ops->close(engine);
	if (r == 0)
		*ret_sequence = row.sequence;
	return r;
}

static int give_up(struct kv *kv, uint64_t found)
{
	uint64_t published = atomic_load(&kv->commit.published);

	log_error("the store's files end with commit %" PRIu64 " where %" PRIu64
		  " was the last: nothing is written until the store is mounted anew",
		found, published);
	atomic_store(&kv->health.error, -EIO);
	atomic_store(&kv->health.lost, true);
	wake(kv);
	return -EIO;
}

/* Behind the closed gate, with the engine open for writing. */
static int settle(struct kv *kv)
{
	uint64_t published = atomic_load(&kv->commit.published);
	struct kv_commit_row row;
	int r = kv_commit_row_read(kv, kv->engine, NULL, &row);

	if (r == 0 && row.sequence > published && kv->health.undo) {
		r = kv->ops->write(kv->engine, kv->health.undo, kv->health.undo_n);
		if (r == 0)
			r = kv_commit_row_read(kv, kv->engine, NULL, &row);
	}
	if (r == 0 && row.sequence != published)
		return give_up(kv, row.sequence);
	return r == 0 ? kv->ops->sync(kv->engine) : r;
}

/* Behind the closed gate. Whatever becomes of it, the files are open again if they can be. */
static int exchange(struct kv *kv)
{
	_cleanup_free_ char *path = NULL;
	int r;

	if (asprintf(&path, "%s/db", kv->path) < 0)
		return -ENOMEM;
	if (kv->engine)
		kv->ops->close(kv->engine);
	kv->engine = NULL;
	/* What was read of a refused commit that is in the log, while it could not be undone yet. */
	kv_recent_drop(kv);
	r = kv->ops->open(path, &kv->options, false, &kv->engine);
	if (r == 0)
		return settle(kv);
	kv->engine = NULL;
	if (kv->ops->open(path, &kv->options, true, &kv->engine) < 0)
		kv->engine = NULL;
	return r;
}

static int heal(struct kv *kv)
{
	/* First: a commit that is under way may yet be published. */
	uint64_t published = atomic_load(&kv->commit.published), found = 0;
	int r = kv_space_make_room(kv);

	if (r == 0)
		r = probe(kv);
	if (r == 0)
		r = look_at_files(kv, &found);
	if (r < 0)
		return r;
	if (found < published)
		return ++kv->health.looks < LOOKS ? kv_health_error(kv) : give_up(kv, found);
	kv->health.looks = 0;
	if (kv_gate_close(&kv->gate, DRAIN_MS) < 0)
		return atomic_load(&kv->health.error);
	r = exchange(kv);
	if (r == 0) {
		undo_drop(&kv->health);
		atomic_store(&kv->health.error, 0);
		atomic_store(&kv->health.healed, kv_now_ms());
	}
	kv_gate_open(&kv->gate);
	return r;
}

/* What commits and syncs get: an engine that could not be opened is a disk that fails. */
static int disk_error(int r)
{
	return r == -ENOSPC || r == -EROFS || r == -EACCES ? r : -EIO;
}

bool kv_heal_due(const struct kv *kv)
{
	struct kv_health *h = &((struct kv *)kv)->health;

	return atomic_load(&h->error) && !atomic_load(&h->lost) &&
	       kv_now_ms() >= h->tried + AGAIN_MS;
}

int kv_heal(struct kv *kv)
{
	struct kv_health *h = &kv->health;
	int r;

	if (!kv_heal_due(kv))
		return atomic_load(&h->error);
	r = heal(kv);
	h->tried = kv_now_ms();
	if (r < 0)
		atomic_store(&h->error, disk_error(r));
	return r;
}

void kv_health_tell(struct kv *kv)
{
	struct kv_health *h = &kv->health;

	if (!atomic_load(&h->told) || atomic_load(&h->error) ||
		kv_now_ms() < atomic_load(&h->healed) + WELL_MS)
		return;
	atomic_store(&h->told, false);
	log_info("the store's disk works again, and nothing was lost");
}

void kv_health_release(struct kv *kv)
{
	undo_drop(&kv->health);
}
