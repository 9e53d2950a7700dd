/*
 * Checking a backup, and mending what another has. A file of a backup may be a hard link that others share: what
 * is bad in one is bad in all of them.
 */
#include "kv/backup/folder.h"
#include "kv/kv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define MENDED_NAME "mended.tmp"

struct checking {
	int folder;
	const struct backup_check *with;
	struct folder_backup *all; /* all complete ones of the folder */
	size_t all_n;
	struct folder_backup *it; /* the one that is checked, among them */
	int store_db;		  /* the store's db/, or -1 */
	struct digest_meter meter;
	struct backup_report report;
};

static void checking_release(struct checking *c)
{
	folder_unload(c->all, c->all_n);
	if (c->store_db >= 0)
		close(c->store_db);
	if (c->folder >= 0)
		close(c->folder);
}

static void bad(struct checking *c, const char *prefix, const char *name)
{
	if (!c->report.first_bad[0])
		snprintf(c->report.first_bad, sizeof c->report.first_bad, "%s%s", prefix, name);
	c->report.bad++;
}

/* Copies @name of @dir beside the bad file if it is another file and holds what it should. 1 if so. */
static int try_copy(struct checking *c, int dir, const char *name, const struct manifest_file *file, ino_t bad_ino)
{
	char hex[DIGEST_HEX];
	uint64_t size;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || (bad_ino && st.st_ino == bad_ino))
		return 0;
	unlinkat(c->it->db, MENDED_NAME, 0);
	int r = folder_copy(dir, name, c->it->db, MENDED_NAME, NULL, hex, &size);
	if (r == 0 && strcmp(hex, file->hex) == 0)
		return 1;
	unlinkat(c->it->db, MENDED_NAME, 0);
	return r == -ENOSPC || r == -ENOMEM ? r : 0;
}

static int find_copy(struct checking *c, const struct manifest_file *file, ino_t bad_ino)
{
	int r = 0;
	for (size_t i = c->all_n; r == 0 && i-- > 0;) {
		const struct manifest_file *f = manifest_find(&c->all[i].manifest, file->hex);
		if (f)
			r = try_copy(c, c->all[i].db, f->name, file, bad_ino);
	}
	/* The store's tables keep the numbers that they had. */
	if (r == 0 && c->store_db >= 0)
		r = try_copy(c, c->store_db, file->name, file, bad_ino);
	return r;
}

/* Every backup that has the bad file gets the good one instead, or is marked. */
static int replace(struct checking *c, const struct manifest_file *file, ino_t bad_ino, bool mended)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->all_n; i++) {
		struct folder_backup *b = &c->all[i];
		const struct manifest_file *f = b == c->it ? NULL : manifest_find(&b->manifest, file->hex);
		struct stat st;
		if (!f || !bad_ino || fstatat(b->db, f->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != bad_ino)
			continue;
		c->report.others++;
		if (!mended)
			r = manifest_verdict_store(b->dir, false);
		else if (linkat(c->it->db, MENDED_NAME, b->db, MENDED_NAME, 0) < 0 ||
			renameat(b->db, MENDED_NAME, b->db, f->name) < 0 || fsync(b->db) < 0)
			r = -errno;
	}
	if (r == 0 && mended &&
		(renameat(c->it->db, MENDED_NAME, c->it->db, file->name) < 0 || fsync(c->it->db) < 0))
		r = -errno;
	return r;
}

static int check_file(struct checking *c, const struct manifest_file *file)
{
	char hex[DIGEST_HEX] = "";
	struct stat st = {0};
	int r = folder_digest(c->it->db, file->name, &c->meter, hex, &st);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	c->report.files++;
	if (r == 0 && strcmp(hex, file->hex) == 0)
		return 0;
	bad(c, "db/", file->name);
	int found = find_copy(c, file, st.st_ino);
	if (found < 0 && found != -ENOSPC)
		return found;
	c->report.mended += found > 0;
	return replace(c, file, st.st_ino, found > 0);
}

static int check_files(struct checking *c)
{
	const struct manifest *m = &c->it->manifest;
	int r = 0;
	for (size_t i = 0; i < m->files; i++) {
		struct stat st;
		if (fstatat(c->it->db, m->file[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			c->meter.total += (uint64_t)st.st_size;
	}
	for (size_t i = 0; r == 0 && i < m->files; i++)
		r = check_file(c, &m->file[i]);
	return r;
}

static bool mark_is_good(const char *path, const struct keyring *keyring)
{
	_cleanup_free_ char *mark = NULL;
	return asprintf(&mark, "%s/mark", path) >= 0 && kv_mark_check(mark, keyring) == 0;
}

/*
 * The key of the MACs, where a secret is at hand: 1. Also shows that the keyring opens and whether the store's mark is
 * authentic; without a secret, that the keyring is whole by its digest: 0.
 */
static int mac_key(const char *path, const struct backup_check *with, uint8_t ret_key[32], bool *ret_mark)
{
	struct kv_unlock unlock;
	struct keyring_info info;
	struct keyring *keyring;
	*ret_mark = true;
	if (!with->kv && !with->unlock)
		return keyring_read_info(path, &info);
	unlock = with->kv ? kv_unlock_as(with->kv) : *with->unlock;
	int r = keyring_open(path, &unlock, &keyring);
	if (r < 0)
		return r;
	keyring_derive(keyring, KEYRING_PURPOSE_BACKUP, ret_key);
	*ret_mark = mark_is_good(path, keyring);
	keyring_close(keyring);
	return 1;
}

/* What can be said without reading db/. 0, 1: it is no good and *@ret_report says why, or -errno. */
static int check_outside(struct checking *c, const char *path, const char *name)
{
	_cleanup_manifest_ struct manifest m = {0};
	_cleanup_close_ int dir = folder_open_dir(c->folder, name);
	uint8_t key[32];
	const char *what = "db";
	bool marked;
	if (dir < 0)
		return dir;
	if (faccessat(dir, "complete", F_OK, 0) < 0)
		return -EAGAIN;
	int keyed = mac_key(path, c->with, key, &marked);
	if (keyed == -ENOMEM || (keyed == -EKEYREJECTED && !c->with->kv))
		return keyed;
	if (keyed < 0) {
		bad(c, "", "keyring");
		return 1;
	}
	int r = manifest_load(dir, keyed ? key : NULL, &m, &what);
	explicit_bzero(key, sizeof key);
	if (r == 0)
		r = folder_load(c->folder, NULL, &c->all, &c->all_n);
	for (size_t i = 0; r == 0 && i < c->all_n; i++)
		if (strcmp(c->all[i].name, name) == 0)
			c->it = &c->all[i];
	if (r == -EBADMSG || r == -EPROTONOSUPPORT || (r == 0 && !c->it))
		r = 1;
	if (r == 0 && !marked)
		bad(c, "", "mark");
	if (r > 0)
		bad(c, "", what);
	return r;
}

int backup_verify(const char *folder, const char *name, const struct backup_check *with,
	const struct backup_watch *watch, struct backup_report *ret_report)
{
	_cleanup_(checking_release) struct checking c = {.with = with, .store_db = -1, .meter.watch = watch};
	_cleanup_free_ char *path = NULL, *db = NULL;
	const char *store = with->kv ? with->kv->path : with->store;
	if (!backup_name_valid(name))
		return -ENOENT;
	c.folder = folder_lock(folder);
	if (c.folder < 0)
		return c.folder;
	if (asprintf(&path, "%s/%s", folder, name) < 0 || asprintf(&db, "%s/db", store ? store : "") < 0)
		return -ENOMEM;
	if (store)
		c.store_db = folder_open_dir(AT_FDCWD, db);
	int r = check_outside(&c, path, name);
	if (r == 0)
		r = check_files(&c);
	if (r < 0)
		return r;
	_cleanup_close_ int dir = folder_open_dir(c.folder, name);
	r = dir < 0 ? dir : manifest_verdict_store(dir, c.report.bad == c.report.mended);
	if (r == -EROFS || r == -EACCES)
		r = 0; /* a mirror that may only be read */
	if (r == 0)
		*ret_report = c.report;
	return r;
}
