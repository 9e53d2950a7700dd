#include "kv/backup/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#define TEXT_MAX (64u << 20)

bool backup_name_valid(const char *name)
{
	size_t len = strnlen(name, BACKUP_NAME_MAX + 1);
	return len > 0 && len <= BACKUP_NAME_MAX && name[0] != '.' && !strchr(name, '/');
}

bool backup_is(const char *path)
{
	_cleanup_free_ char *name = NULL;
	return asprintf(&name, "%s/complete", path) >= 0 && access(name, F_OK) == 0;
}

int folder_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(fd);
	return r;
}

int backup_wait(const char *folder)
{
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -1 : flock(fd, LOCK_SH);
	while (fd >= 0 && r < 0 && errno == EINTR)
		r = flock(fd, LOCK_SH);
	return r < 0 ? -errno : 0;
}

int folder_open_dir(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- names ----------------------------------------------------------------------------------- */

void folder_names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int folder_names(int dir, char ***ret_names, size_t *ret_n)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	char **names = NULL;
	size_t n = 0, cap = 0;
	int r = d ? 0 : -errno;
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			char **more = reallocarray(names, cap, sizeof *more);
			if (!more) {
				r = -ENOMEM;
				break;
			}
			names = more;
		}
		names[n] = strdup(e->d_name);
		if (!names[n])
			r = -ENOMEM;
		else
			n++;
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (r < 0) {
		folder_names_free(names, n);
		return r;
	}
	if (n > 0)
		qsort(names, n, sizeof *names, by_text);
	*ret_names = names;
	*ret_n = n;
	return 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Empties the directory @fd; directories in it are emptied to @depth more levels. */
static int remove_inside(int fd, int depth)
{
	char **names = NULL;
	size_t n = 0;
	int r = folder_names(fd, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (unlinkat(fd, names[i], 0) == 0 || errno == ENOENT)
			continue;
		if ((errno == EISDIR || errno == EPERM) && depth > 0) {
			_cleanup_close_ int sub = folder_open_dir(fd, names[i]);
			r = sub < 0 ? sub : remove_inside(sub, depth - 1);
			if (r == 0 && unlinkat(fd, names[i], AT_REMOVEDIR) < 0)
				r = -errno;
		} else {
			r = -errno;
		}
	}
	folder_names_free(names, n);
	return r;
}

int folder_remove(int dir, const char *name)
{
	_cleanup_close_ int fd = folder_open_dir(dir, name);
	if (fd < 0)
		return fd;
	int r = remove_inside(fd, 1);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

static int open_file(int dir, const char *name, struct stat *ret_stat)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	int r = fstat(fd, ret_stat) < 0 ? -errno : !S_ISREG(ret_stat->st_mode) ? -EBADMSG : 0;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int folder_digest(int dir, const char *name, struct digest_meter *meter, char ret_hex[DIGEST_HEX],
	struct stat *ret_stat)
{
	uint64_t size;
	_cleanup_close_ int fd = open_file(dir, name, ret_stat);
	return fd < 0 ? fd : digest_file(fd, -1, meter, ret_hex, &size);
}

int folder_copy(int from_dir, const char *name, int to_dir, const char *to_name, struct digest_meter *meter,
	char ret_hex[DIGEST_HEX], uint64_t *ret_size)
{
	struct stat st;
	_cleanup_close_ int from = open_file(from_dir, name, &st);
	if (from < 0)
		return from;
	_cleanup_close_ int to = openat(to_dir, to_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	int r = digest_file(from, to, meter, ret_hex, ret_size);
	if (r == 0 && fsync(to) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(to_dir, to_name, 0);
	return r;
}

/* ---- small files ------------------------------------------------------------------------------ */

int folder_read_text(int dir, const char *name, struct buf *ret_text)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > TEXT_MAX)
		return -EBADMSG;
	int r = buf_resize(ret_text, (size_t)st.st_size + 1);
	if (r < 0)
		return r;
	ssize_t n = pread(fd, ret_text->data, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return n < 0 ? -errno : -EBADMSG;
	ret_text->data[st.st_size] = 0;
	ret_text->len = (size_t)st.st_size;
	return memchr(ret_text->data, 0, ret_text->len) ? -EBADMSG : 0;
}

int folder_write_text(int dir, const char *name, const struct buf *text)
{
	char temporary[32];
	snprintf(temporary, sizeof temporary, "%s.new", name);
	unlinkat(dir, temporary, 0);
	_cleanup_close_ int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < text->len;) {
		ssize_t n = write(fd, text->data + done, text->len - done);
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	if (fsync(fd) < 0 || renameat(dir, temporary, dir, name) < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

/* ---- backups --------------------------------------------------------------------------------- */

void folder_unload(struct folder_backup *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		manifest_release(&list[i].manifest);
		if (list[i].db >= 0)
			close(list[i].db);
		if (list[i].dir >= 0)
			close(list[i].dir);
	}
	free(list);
}

static int by_age(const void *a, const void *b)
{
	const struct folder_backup *x = a, *y = b;
	if (x->manifest.made != y->manifest.made)
		return x->manifest.made < y->manifest.made ? -1 : 1;
	if (x->manifest.sequence != y->manifest.sequence)
		return x->manifest.sequence < y->manifest.sequence ? -1 : 1;
	return strcmp(x->name, y->name);
}

int folder_load(int folder, const uint8_t *mac_key, struct folder_backup **ret_list, size_t *ret_n)
{
	char **names = NULL;
	size_t n = 0, found = 0;
	int r = folder_names(folder, &names, &n);
	if (r < 0)
		return r;
	struct folder_backup *list = calloc(n + 1, sizeof *list);
	r = list ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct folder_backup b = {.dir = folder_open_dir(folder, names[i])};
		b.db = b.dir < 0 ? -1 : folder_open_dir(b.dir, "db");
		r = b.db < 0 || !backup_name_valid(names[i]) ? -EBADMSG
							     : manifest_load(b.dir, mac_key, &b.manifest, NULL);
		if (r == 0) {
			strcpy(b.name, names[i]);
			list[found++] = b;
			continue;
		}
		if (b.db >= 0)
			close(b.db);
		if (b.dir >= 0)
			close(b.dir);
		if (r != -ENOMEM)
			r = 0;
	}
	folder_names_free(names, n);
	if (r < 0) {
		folder_unload(list, found);
		return r;
	}
	qsort(list, found, sizeof *list, by_age);
	*ret_list = list;
	*ret_n = found;
	return 0;
}

/* Adds up what is in @dir and one level below. */
static int measure(int dir, int depth, struct backup_info *info)
{
	char **names = NULL;
	size_t n = 0;
	int r = folder_names(dir, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct stat st;
		if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = errno == ENOENT ? 0 : -errno;
		} else if (S_ISDIR(st.st_mode) && depth > 0) {
			_cleanup_close_ int sub = folder_open_dir(dir, names[i]);
			r = sub < 0 ? sub : measure(sub, depth - 1, info);
		} else if (S_ISREG(st.st_mode)) {
			info->bytes += (uint64_t)st.st_size;
			if (st.st_nlink == 1)
				info->own += (uint64_t)st.st_size;
		}
	}
	folder_names_free(names, n);
	return r;
}

static int describe(int folder, const char *name, struct backup_info *ret_info)
{
	struct backup_info info = {.state = BACKUP_COMPLETE};
	_cleanup_manifest_ struct manifest m = {0};
	struct stat st;
	bool ok = true;
	_cleanup_close_ int dir = folder_open_dir(folder, name);
	if (dir < 0)
		return dir;
	if (fstat(dir, &st) < 0)
		return -errno;
	strcpy(info.name, name);
	info.made = st.st_mtime;
	int r = manifest_load(dir, NULL, &m, NULL);
	if (r == -EAGAIN) {
		info.state = BACKUP_HALF_MADE;
	} else if (r < 0) {
		info.state = BACKUP_DAMAGED;
	} else {
		info.made = m.made;
		info.sequence = m.sequence;
		memcpy(info.store_id, m.store_id, sizeof info.store_id);
		manifest_verdict_load(dir, &info.verified, &ok);
		if (!ok)
			info.state = BACKUP_DAMAGED;
	}
	r = measure(dir, 1, &info);
	if (r == 0)
		*ret_info = info;
	return r;
}

int backup_get(const char *folder, const char *name, struct backup_info *ret_info)
{
	if (!backup_name_valid(name))
		return -ENOENT;
	_cleanup_close_ int fd = folder_open_dir(AT_FDCWD, folder);
	return fd < 0 ? fd : describe(fd, name, ret_info);
}

static int by_made(const void *a, const void *b)
{
	const struct backup_info *x = a, *y = b;
	if (x->made != y->made)
		return x->made < y->made ? -1 : 1;
	if (x->sequence != y->sequence) /* two in one second */
		return x->sequence < y->sequence ? -1 : 1;
	return strcmp(x->name, y->name);
}

/*
 * Those of @list, in the order of by_made(), that say to be made later than now were made by a clock that was wrong:
 * each goes before the first that has a later commit.
 */
static void order_future(struct backup_info *list, size_t n, int64_t now)
{
	size_t i = 0;
	while (i < n && list[i].made <= now)
		i++;
	for (; i < n; i++) {
		struct backup_info one = list[i];
		size_t j = 0;
		while (j < i && list[j].sequence <= one.sequence)
			j++;
		memmove(list + j + 1, list + j, (i - j) * sizeof *list);
		list[j] = one;
	}
}

int backup_list(const char *folder, struct backup_info **ret_list, size_t *ret_n)
{
	char **names = NULL;
	size_t n = 0, found = 0;
	_cleanup_close_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return -errno;
	int r = fd < 0 ? 0 : folder_names(fd, &names, &n);
	if (r < 0)
		return r;
	struct backup_info *list = calloc(n + 1, sizeof *list);
	for (size_t i = 0; list && i < n; i++)
		if (backup_name_valid(names[i]) && describe(fd, names[i], &list[found]) == 0)
			found++;
	folder_names_free(names, n);
	if (!list)
		return -ENOMEM;
	qsort(list, found, sizeof *list, by_made);
	order_future(list, found, (int64_t)time(NULL));
	*ret_list = list;
	*ret_n = found;
	return 0;
}

int backup_drop(const char *folder, const char *name)
{
	if (!backup_name_valid(name))
		return -ENOENT;
	_cleanup_close_ int fd = folder_lock(folder);
	if (fd < 0)
		return fd;
	_cleanup_close_ int dir = folder_open_dir(fd, name);
	if (dir < 0)
		return dir;
	/* First: what is left by a crash from here on is half-made. */
	if ((unlinkat(dir, "complete", 0) < 0 && errno != ENOENT) || fsync(dir) < 0)
		return -errno;
	int r = folder_remove(fd, name);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int backup_clean(const char *folder, unsigned *ret_n)
{
	char **names = NULL;
	size_t n = 0;
	*ret_n = 0;
	_cleanup_close_ int fd = folder_lock(folder);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = folder_names(fd, &names, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int dir = folder_open_dir(fd, names[i]);
		if (dir < 0 || faccessat(dir, "complete", F_OK, 0) == 0)
			continue;
		/* An empty one, or one with a store's parts: nobody's folder of other things is emptied. */
		if (unlinkat(fd, names[i], AT_REMOVEDIR) < 0) {
			if (faccessat(dir, "db", F_OK, 0) < 0 && faccessat(dir, "db.tmp", F_OK, 0) < 0)
				continue;
			r = folder_remove(fd, names[i]);
		}
		*ret_n += r == 0;
	}
	folder_names_free(names, n);
	return r;
}

int backup_update_slots(const char *folder, const char *store, const struct kv_unlock *unlock)
{
	char **names = NULL;
	size_t n = 0;
	_cleanup_close_ int fd = folder_lock(folder);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int r = folder_names(fd, &names, &n), first = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_free_ char *path = NULL;
		if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
			first = -ENOMEM;
		else if (backup_is(path)) {
			int one = keyring_slots_copy(store, unlock, path);
			first = first ? first : one;
		}
	}
	folder_names_free(names, n);
	return r ? r : first;
}
