#include "kv/backup/backup.h"
#include "kv/kv_internal.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>

static int join_path(const struct kv *kv, const char *name, char **ret_path)
{
	return asprintf(ret_path, "%s/%s", kv->path, name) < 0 ? -ENOMEM : 0;
}

static int take_lock(struct kv *kv)
{
	_cleanup_free_ char *lock = NULL, *keyring = NULL;
	int r = join_path(kv, "lock", &lock);

	if (r == 0)
		r = join_path(kv, "keyring", &keyring);
	if (r < 0)
		return r;
	/* First, so that no file appears in a directory that is no store. */
	if (access(keyring, F_OK) < 0)
		return -errno;
	return kv_lock_take(lock, kv->options.read_only, &kv->lock_fd);
}

static int open_keyring(struct kv *kv, const struct kv_unlock *unlock)
{
	int r = keyring_open(kv->path, unlock, &kv->keyring);

	if (r < 0)
		return r;
	kv->own_key = keyring_domain_key(kv->keyring, 0);
	kv->secrets = sodium_malloc(sizeof *kv->secrets);
	if (!kv->own_key || !kv->secrets)
		return kv->own_key ? -ENOMEM : -EBADMSG;
	keyring_derive(kv->keyring, KEYRING_PURPOSE_TREE, kv->secrets->tree);
	keyring_derive(kv->keyring, KEYRING_PURPOSE_MARK, kv->secrets->mark);
	keyring_derive(kv->keyring, KEYRING_PURPOSE_SEEN, kv->secrets->seen);
	keyring_derive(kv->keyring, KEYRING_PURPOSE_BUSY, kv->secrets->busy);
	randombytes_buf(kv->secrets->conflict, sizeof kv->secrets->conflict);
	kv->seal.cipher = keyring_cipher(kv->keyring);
	memcpy(kv->seal.store_id, keyring_id(kv->keyring), sizeof kv->seal.store_id);
	return dictionaries_new(kv, &kv->seal.dictionaries);
}

static void close_engine(struct kv *kv)
{
	if (kv->engine)
		kv->ops->close(kv->engine);
	kv->engine = NULL;
}

/* The commit row of the engine, which is closed if it fails. One that is damaged itself is damage to live with. */
static int read_row(struct kv *kv, struct kv_commit_row *ret_row)
{
	int r = kv_commit_row_read(kv, kv->engine, NULL, ret_row);

	if (r == -EBADMSG) {
		*ret_row = (struct kv_commit_row){0};
		kv->state.damaged = true;
		return 0;
	}
	if (r < 0)
		close_engine(kv);
	return r;
}

static int open_engine(struct kv *kv, bool read_only, struct kv_commit_row *ret_row)
{
	_cleanup_free_ char *path = NULL;
	int r = join_path(kv, "db", &path);

	if (r == 0)
		r = kv->ops->open(path, &kv->options, read_only, &kv->engine);
	if (r < 0) {
		kv->engine = NULL;
		return r;
	}
	return read_row(kv, ret_row);
}

/* The mark's word on an engine that opened: did the recovery reach the last synced commit? */
static void judge(struct kv *kv, const struct kv_commit_row *row)
{
	if (row->sequence < kv->state.expected)
		kv->state.damaged = true;
}

struct opening {
	struct kv *kv;
	struct kv_commit_row row; /* that was judged */
};

/*
 * An engine that is opened for writing rewrites its log as it recovers it, so what a log holds
 * beyond a damaged record would be gone for good. So the engine tells first which commit it would come
 * to: also where the last process closed the store, for on a full disk a log is left over.
 */
static int judge_commit(void *arg, const struct buf *sealed)
{
	struct opening *o = arg;
	int r = sealed ? kv_commit_row_open(o->kv, sealed, &o->row) : 0;

	if (r == -EBADMSG)
		return -ECANCELED;
	if (r < 0)
		return r;
	judge(o->kv, &o->row);
	r = kv_seen_check(o->kv, &o->row);
	return r == 0 && o->kv->state.damaged ? -ECANCELED : r;
}

static int open_judged(struct kv *kv, struct kv_commit_row *ret_row)
{
	_cleanup_free_ char *path = NULL;
	struct opening o = {.kv = kv};
	uint8_t key[KV_ROW_KEY_BYTES];
	const struct kv_engine_record record = {.family = KV_SYS,
		.key = key,
		.key_len = sizeof key,
		.judge = judge_commit,
		.arg = &o};
	int r = join_path(kv, "db", &path);

	kv_row_key(0, KV_ROW_COMMIT, key);
	if (r == 0)
		r = kv->ops->open_judged(path, &kv->options, &record, &kv->engine);
	if (r < 0)
		kv->engine = NULL;
	else
		r = read_row(kv, ret_row);
	/* It came to another end than was seen before. */
	if (r == 0 && ret_row->sequence < o.row.sequence)
		kv->state.damaged = true;
	return r;
}

/* To be read only: as it was asked for, or since it is damaged. */
static int open_to_read(struct kv *kv, struct kv_commit_row *ret_row)
{
	int r = open_engine(kv, true, ret_row);

	if (r < 0)
		return r == -ENOENT && kv->state.expected ? -EBADMSG : r;
	judge(kv, ret_row);
	return kv_seen_check(kv, ret_row);
}

static int open_to_write(struct kv *kv, bool judged, struct kv_commit_row *ret_row)
{
	int r = judged ? open_judged(kv, ret_row) : open_engine(kv, false, ret_row);

	if (r == -ENOSPC) {
		kv_space_give(kv);
		r = judged ? open_judged(kv, ret_row) : open_engine(kv, false, ret_row);
	}
	if (r == 0)
		judge(kv, ret_row);
	return judged && r == -ENOENT && kv->state.expected ? -EBADMSG : r;
}

static int open_checked(struct kv *kv, struct kv_commit_row *ret_row)
{
	struct stat st;
	_cleanup_free_ char *db = NULL;
	bool known = kv->state.expected || kv_seen_highest(kv);
	int r = join_path(kv, "db", &db);

	if (r < 0)
		return r;
	/* With commits behind it, an engine that is gone must not come up as a new, empty one. */
	if (known && !kv->options.engine_arg && stat(db, &st) < 0)
		return errno == ENOENT ? -EBADMSG : -errno;
	if (kv->options.read_only)
		return open_to_read(kv, ret_row);
	r = open_to_write(kv, known && !kv->options.repair, ret_row);
	return r == -ECANCELED ? open_to_read(kv, ret_row) : r;
}

static int open_mark(struct kv *kv, bool *ret_found)
{
	_cleanup_free_ char *path = NULL;
	int r = join_path(kv, "mark", &path);

	if (r == 0)
		r = kv_mark_open(kv, path, kv->options.read_only, &kv->mark);
	*ret_found = r == 0;
	if (r == 0) {
		kv->state.expected = kv->mark.sequence;
		kv->state.unclean = !kv->mark.clean;
	}
	return r == -ENOENT || r == -EBADMSG ? 0 : r;
}

static int sync_directory(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The accepted state is on a line of its own from here on, before anything else is committed. */
static int take_line(struct kv *kv)
{
	int r = kv_commit_line(kv, kv_seen_new_line(kv));

	return r < 0 ? r : kv->ops->sync(kv->engine);
}

/* Makes an engine that was opened and looked at ready for commits. */
static int begin_writing(struct kv *kv, const struct kv_commit_row *row)
{
	int r = 0;

	/* What was recovered beyond the mark may have been in the page cache alone. */
	if (row->sequence > kv->state.expected)
		r = kv->ops->sync(kv->engine);
	if (r == 0 && kv->state.accepted)
		r = take_line(kv);
	if (r < 0)
		return r;
	atomic_store(&kv->flusher.synced, atomic_load(&kv->commit.published));
	/* On a full disk it may not be written, and lags. */
	r = kv_mark_write(kv, &kv->mark, kv_synced(kv), false);
	if (r < 0 && r != -ENOSPC)
		return r;
	/* Before the first commit: a mark that still says clean would hide that the power went. */
	kv_mark_sync(&kv->mark);
	kv_seen_write(kv);
	kv_busy_open(kv);
	kv_space_tend(kv);
	return kv_flusher_start(kv);
}

static int open_store(struct kv *kv, const struct kv_unlock *unlock)
{
	struct kv_commit_row row;
	bool marked = false;
	int r;

	kv->state.backup = backup_is(kv->path);
	if (kv->state.backup)
		kv->options.read_only = true;
	r = take_lock(kv);
	if (r == 0)
		r = open_keyring(kv, unlock);
	/* A feature that only readers may pass over. */
	if (r == 0 && keyring_read_only(kv->keyring))
		kv->options.read_only = true;
	if (r == 0)
		r = open_mark(kv, &marked);
	/* A backup is older, as its user knows: it is one by name, and read-only. */
	if (r == 0 && !kv->state.backup)
		kv_seen_open(kv);
	if (r == 0 && !kv->options.read_only)
		kv_space_open(kv);
	if (r == 0)
		r = open_checked(kv, &row);
	if (r == 0)
		r = kv_counters_init(kv, &row);
	if (r == -EBADMSG && kv->engine) {
		kv->state.damaged = true;
		r = 0;
	}
	if (r == 0)
		r = kv_commit_init(kv, &row);
	if (r == 0)
		r = kv_recent_init(kv);
	if (r == 0)
		r = kv_space_refresh(kv);
	if (r < 0)
		return r;
	kv->state.mark_lost = !marked && row.sequence > 0;
	kv->state.unclean |= kv->state.mark_lost; /* nobody knows */
	kv->state.seen_lost = kv->options.seen_dir && !kv->state.backup && !kv->state.seen_error &&
			      row.sequence > 0 && !kv_seen_knows(kv, row.line);
	kv->state.sequence = row.sequence;
	kv->state.read_only =
		kv->options.read_only || (kv->state.damaged && !kv->options.repair);
	kv->mending = kv->options.repair;
	atomic_store(&kv->flusher.synced, row.sequence);
	if (kv->state.read_only)
		return 0;
	/* `db` and `mark` may be new. */
	if (!marked)
		r = sync_directory(kv->path);
	return r < 0 ? r : begin_writing(kv, &row);
}

void kv_release(struct kv *kv)
{
	close_engine(kv);
	kv_health_release(kv);
	kv_gate_release(&kv->gate);
	kv_space_close(kv);
	kv_commit_release(kv);
	kv_recent_release(kv);
	kv_counters_release(kv);
	if (kv->mark.fd >= 0)
		close(kv->mark.fd);
	kv_seen_close(kv);
	kv_busy_release(kv);
	dictionaries_free(kv->seal.dictionaries);
	sodium_free(kv->secrets);
	keyring_close(kv->keyring);
	kv_lock_drop(kv->lock_fd);
	pthread_mutex_destroy(&kv->commit.lock);
	pthread_rwlock_destroy(&kv->counters.lock);
	pthread_mutex_destroy(&kv->flusher.lock);
	pthread_cond_destroy(&kv->flusher.wake);
	pthread_mutex_destroy(&kv->busy.lock);
	crew_release(&kv->crew);
	free(kv->path);
	free(kv);
}

static struct kv *store_new(const char *path, const struct kv_options *options)
{
	struct kv *kv = calloc(1, sizeof *kv);
	pthread_condattr_t monotonic;

	if (!kv)
		return NULL;
	kv->path = strdup(path);
	if (!kv->path) {
		free(kv);
		return NULL;
	}
	kv->lock_fd = kv->mark.fd = kv->seen.fd = kv->busy.fd = kv->space.reserve_fd = -1;
	if (options)
		kv->options = *options;
	kv->ops = kv->options.engine ? kv->options.engine : &kv_engine_rocks;
	kv_gate_init(&kv->gate);
	crew_init(&kv->crew);
	pthread_mutex_init(&kv->commit.lock, NULL);
	pthread_rwlock_init(&kv->counters.lock, NULL);
	pthread_mutex_init(&kv->flusher.lock, NULL);
	pthread_mutex_init(&kv->busy.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&kv->flusher.wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return kv;
}

int kv_open(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv **ret_kv)
{
	struct kv *kv;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	kv = store_new(path, options);
	if (!kv)
		return -ENOMEM;
	r = open_store(kv, unlock);
	if (r < 0) {
		kv_release(kv);
		return r;
	}
	*ret_kv = kv;
	return 0;
}

int kv_hold(const char *path, const struct kv_unlock *unlock, const struct kv_options *options,
	struct kv **ret_kv)
{
	struct kv *kv;
	bool marked;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	kv = store_new(path, options);
	if (!kv)
		return -ENOMEM;
	r = take_lock(kv);
	if (r == 0)
		r = open_keyring(kv, unlock);
	if (r == 0 && keyring_read_only(kv->keyring))
		r = -EROFS;
	if (r == 0)
		r = open_mark(kv, &marked);
	if (r < 0) {
		kv_release(kv);
		return r;
	}
	*ret_kv = kv;
	return 0;
}

int kv_close(struct kv *kv)
{
	int r = kv_flusher_stop(kv);

	/* The engine goes first: should it fail to close its files, the mark says unclean. */
	close_engine(kv);
	if (r == 0)
		kv_busy_close(kv);
	if (r == 0 && !kv->state.read_only) {
		(void)kv_mark_write(kv, &kv->mark, atomic_load(&kv->commit.published), true);
		kv_mark_sync(&kv->mark);
	}
	kv_seen_write(kv);
	kv_release(kv);
	return r;
}

void kv_get_state(const struct kv *kv, struct kv_state *ret_state)
{
	*ret_state = kv->state;
}

const char *kv_path(const struct kv *kv)
{
	return kv->path;
}

struct kv_unlock kv_unlock_as(const struct kv *kv)
{
	return (struct kv_unlock){.type = KEYRING_OPENED, .secret = kv->keyring};
}

const uint8_t *kv_id(const struct kv *kv)
{
	return keyring_id(kv->keyring);
}

const char *kv_cipher_name(const struct kv *kv)
{
	return kv->seal.cipher == KV_CIPHER_AES_256_GCM ? "aes-256-gcm" : "xchacha20-poly1305";
}
