/*
 * Making a backup. The engine's checkpoint comes first (its tables are hard links to the store's where the disk
 * is the same); then each of its files gets its check sum, which an earlier backup has where it was taken from
 * the same file, and what the folder already has by content is linked to that; `complete` comes last.
 * On another disk the checkpoint is made inside the store for a moment, and goes from there.
 */
#include "kv/backup/folder.h"
#include "kv/kv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

#define LOCAL_NAME "backup.tmp" /* in the store, while one for another disk is made */

struct making {
	struct kv *kv;
	int folder;
	int dir, db;	      /* the new backup's */
	int from_dir, from_db; /* the checkpoint's: the same, or the local one */
	bool other_disk;
	struct folder_backup *known;
	size_t known_n;
	struct manifest manifest;
	struct digest_meter meter;
	uint8_t mac_key[32];
};

static void making_release(struct making *m)
{
	int *fds[] = {&m->from_db, &m->from_dir, &m->db, &m->dir, &m->folder};
	if (m->from_dir == m->dir)
		m->from_dir = m->from_db = -1;
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (*fds[i] >= 0)
			close(*fds[i]);
	folder_unload(m->known, m->known_n);
	manifest_release(&m->manifest);
	explicit_bzero(m->mac_key, sizeof m->mac_key);
}

static int load_known(struct making *m)
{
	keyring_derive(m->kv->keyring, KEYRING_PURPOSE_BACKUP, m->mac_key);
	int r = folder_load(m->folder, NULL, &m->known, &m->known_n);
	for (size_t i = 0; r == 0 && i < m->known_n; i++)
		if (memcmp(m->known[i].manifest.store_id, kv_id(m->kv), 16) != 0)
			return -EXDEV;
	if (r < 0)
		return r;
	folder_unload(steal_ptr(m->known), m->known_n);
	m->known_n = 0;
	/* Only what is authentic may lend its files. */
	return folder_load(m->folder, m->mac_key, &m->known, &m->known_n);
}

static int checkpoint_at(struct kv *kv, int folder, const char *folder_path, const char *name,
	int *ret_dir, int *ret_db)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/%s", folder_path, name) < 0)
		return -ENOMEM;
	int r = kv_checkpoint(kv, path);
	if (r < 0)
		return r;
	*ret_dir = folder_open_dir(folder, name);
	*ret_db = *ret_dir < 0 ? *ret_dir : folder_open_dir(*ret_dir, "db");
	return *ret_db < 0 ? *ret_db : 0;
}

/* The checkpoint is in @name of the folder, or in the store. */
static int take_checkpoint(struct making *m, const char *folder, const char *name)
{
	struct stat here, there;
	if (stat(m->kv->path, &here) < 0 || fstat(m->folder, &there) < 0)
		return -errno;
	m->other_disk = here.st_dev != there.st_dev;
	memcpy(m->manifest.store_id, kv_id(m->kv), 16);
	m->manifest.sequence = kv_sequence(m->kv);
	m->manifest.made = time(NULL);
	if (!m->other_disk) {
		int r = checkpoint_at(m->kv, m->folder, folder, name, &m->dir, &m->db);
		m->from_dir = m->dir;
		m->from_db = m->db;
		return r;
	}
	if (mkdirat(m->folder, name, 0700) < 0)
		return -errno;
	m->dir = folder_open_dir(m->folder, name);
	if (m->dir < 0)
		return m->dir;
	if (mkdirat(m->dir, "db", 0700) < 0)
		return -errno;
	m->db = folder_open_dir(m->dir, "db");
	if (m->db < 0)
		return m->db;
	_cleanup_close_ int store = open(m->kv->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store < 0)
		return -errno;
	int r = folder_remove(store, LOCAL_NAME); /* a crash may have left one */
	if (r < 0 && r != -ENOENT)
		return r;
	return checkpoint_at(m->kv, store, m->kv->path, LOCAL_NAME, &m->from_dir, &m->from_db);
}

/* The backup whose file was taken from the one that @st is of, and that file. */
static const struct manifest_file *known_source(const struct making *m, const struct stat *st)
{
	int64_t mtime = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	for (size_t i = m->known_n; i-- > 0;) {
		const struct manifest_file *f = manifest_find_source(
			&m->known[i].manifest, st->st_ino, (uint64_t)st->st_size, mtime);
		if (f)
			return f;
	}
	return NULL;
}

/* Links the folder's file of this content to @name in the new backup. 1 done, 0 there is none, or -errno. */
static int link_known(struct making *m, const char *hex, const char *name)
{
	for (size_t i = m->known_n; i-- > 0;) {
		const struct manifest_file *f = manifest_find(&m->known[i].manifest, hex);
		if (!f)
			continue;
		if (linkat(m->known[i].db, f->name, m->db, name, 0) == 0)
			return 1;
		if (errno != EMLINK && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* The new backup's file gives way to one of the same content that the folder has. */
static int share(struct making *m, const struct manifest_file *file, const struct stat *st)
{
	for (size_t i = 0; i < m->known_n; i++) {
		const struct manifest_file *f = manifest_find(&m->known[i].manifest, file->hex);
		struct stat other;
		if (f && fstatat(m->known[i].db, f->name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
			other.st_ino == st->st_ino && other.st_dev == st->st_dev)
			return 0;
	}
	static const char temporary[] = "shared.tmp";
	int r = link_known(m, file->hex, temporary);
	if (r > 0 && renameat(m->db, temporary, m->db, file->name) < 0)
		r = -errno;
	return r < 0 ? r : 0;
}

static int add_file(struct making *m, const char *name, struct manifest_file *f)
{
	struct stat st;
	if (strlen(name) > MANIFEST_NAME_MAX)
		return -EBADMSG;
	if (fstatat(m->from_db, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	strcpy(f->name, name);
	f->source_ino = st.st_ino;
	f->source_size = (uint64_t)st.st_size;
	f->source_mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	const struct manifest_file *known = known_source(m, &st);
	if (known)
		strcpy(f->hex, known->hex);
	if (m->other_disk) {
		uint64_t size;
		int r = known ? link_known(m, f->hex, name) : 0;
		if (r != 0)
			return r < 0 ? r : 0;
		r = folder_copy(m->from_db, name, m->db, name, &m->meter, f->hex, &size);
		if (r == 0 && fstatat(m->db, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		return r < 0 ? r : share(m, f, &st);
	}
	int r = known ? 0 : folder_digest(m->from_db, name, &m->meter, f->hex, &st);
	return r < 0 ? r : share(m, f, &st);
}

static void measure(struct making *m, char **names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		if (fstatat(m->from_db, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && !known_source(m, &st))
			m->meter.total += (uint64_t)st.st_size;
	}
}

static int add_files(struct making *m)
{
	char **names = NULL;
	size_t n = 0;
	int r = folder_names(m->from_db, &names, &n);
	if (r < 0)
		return r;
	measure(m, names, n);
	m->manifest.file = calloc(n + 1, sizeof *m->manifest.file);
	if (!m->manifest.file)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = add_file(m, names[i], &m->manifest.file[i]);
		m->manifest.files += r == 0;
	}
	folder_names_free(names, n);
	return r;
}

static int copy_rest(struct making *m)
{
	static const char *const names[] = {"keyring", "mark"};
	char hex[DIGEST_HEX];
	uint64_t size;
	int r = 0;
	for (size_t i = 0; m->other_disk && r == 0 && i < 2; i++)
		r = folder_copy(m->from_dir, names[i], m->dir, names[i], NULL, hex, &size);
	return r;
}

static int make(struct making *m, const char *folder, const char *name)
{
	int r = load_known(m);
	if (r == 0)
		r = take_checkpoint(m, folder, name);
	if (r == 0)
		r = add_files(m);
	if (r == 0)
		r = copy_rest(m);
	if (r == 0 && (fsync(m->db) < 0 || fsync(m->dir) < 0))
		r = -errno;
	if (r == 0)
		r = manifest_store(m->dir, &m->manifest, m->mac_key);
	if (r == 0 && fsync(m->folder) < 0)
		r = -errno;
	return r;
}

static void remove_local(struct making *m)
{
	_cleanup_close_ int store = open(m->kv->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store >= 0)
		folder_remove(store, LOCAL_NAME);
}

int backup_create(struct kv *kv, const char *folder, const char *name, const struct backup_watch *watch)
{
	_cleanup_(making_release) struct making m = {.kv = kv, .folder = -1, .dir = -1, .db = -1, .from_dir = -1,
		.from_db = -1, .meter.watch = watch};
	if (!backup_name_valid(name))
		return -EINVAL;
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	m.folder = folder_lock(folder);
	if (m.folder < 0)
		return m.folder;
	if (faccessat(m.folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	int r = make(&m, folder, name);
	if (m.other_disk)
		remove_local(&m);
	if (r < 0 && r != -EEXIST && r != -EXDEV)
		folder_remove(m.folder, name);
	return r;
}
