/* Making a store, and the verbs on its slots. A slot's change touches no data and no other slot. */
#include "kv/keyring_file.h"
#include "kv/kv.h"
#include "kv/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- create ---------------------------------------------------------------------------------- */

/* 0 if the directory may become a store. What a crash of an earlier attempt left does not count. */
static int directory_empty(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		return -e;
	}
	int r = 0;
	for (;;) {
		errno = 0;
		struct dirent *entry = readdir(d);
		if (!entry) {
			if (errno != 0)
				r = -errno;
			break;
		}
		const char *name = entry->d_name;
		if (strcmp(name, KEYRING_NAME) == 0) {
			r = -EEXIST;
			break;
		}
		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
			strcmp(name, KEYRING_NAME_NEW) != 0)
			r = -ENOTEMPTY;
	}
	closedir(d);
	return r;
}

/* Adds a slot with the lowest number that is free. -ENOSPC, -EINVAL. */
static int slot_insert(struct keyring_file *f, const struct kv_unlock *secret, const char *label,
	uint64_t opslimit, uint64_t memlimit, const uint8_t master[32], unsigned *ret_slot)
{
	if (f->slots == KEYRING_SLOTS)
		return -ENOSPC;
	if (!label)
		label = "";
	if (!keyring_label_valid(label, strlen(label)))
		return -EINVAL;
	unsigned at = 0;
	while (at < f->slots && f->slot[at].info.number == at)
		at++;
	struct keyring_slot s = {.info.number = at};
	strcpy(s.info.label, label);
	int r = keyring_slot_make(f, &s, secret, opslimit, memlimit, master);
	if (r < 0)
		return r;
	memmove(&f->slot[at + 1], &f->slot[at], (f->slots - at) * sizeof f->slot[0]);
	f->slot[at] = s;
	f->slots++;
	*ret_slot = at;
	return 0;
}

/* A new recovery key in a slot of its own. */
static int slot_insert_recovery(struct keyring_file *f, const char *label,
	const uint8_t master[32], char ret_text[KEYRING_RECOVERY_TEXT], unsigned *ret_slot)
{
	_cleanup_secret_ uint8_t *secret = sodium_malloc(20 + KEYRING_RECOVERY_TEXT);
	if (!secret)
		return -ENOMEM;
	char *text = (char *)secret + 20;
	randombytes_buf(secret, 20);
	keyring_recovery_format(secret, text);
	struct kv_unlock unlock = {KEYRING_RECOVERY, text, strlen(text)};
	int r = slot_insert(f, &unlock, label, 0, 0, master, ret_slot);
	if (r == 0)
		strcpy(ret_text, text);
	return r;
}

static int write_file(int dir, const struct keyring_file *f, const uint8_t master[32])
{
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	if (!mac_key)
		return -ENOMEM;
	keyring_mac_key(master, mac_key);
	int r = keyring_file_encode(f, mac_key, &bytes);
	bool replaced;
	return r < 0 ? r : keyring_disk_replace(dir, &bytes, &replaced);
}

/* Everything of keyring_create() but the making of the directory. */
static int create_in(int dir, const struct keyring_init *init,
	char ret_recovery[KEYRING_RECOVERY_TEXT])
{
	_cleanup_close_ int lock = keyring_disk_lock(dir);
	if (lock < 0)
		return lock;
	int r = directory_empty(dir);
	if (r < 0)
		return r;
	if (fchmod(dir, 0700) < 0)
		return -errno;

	_cleanup_keyring_file_ struct keyring_file f = {.cipher = init->cipher};
	_cleanup_secret_ uint8_t *keys = sodium_malloc(64);
	if (!keys)
		return -ENOMEM;
	uint8_t *master = keys, *domain = keys + 32;
	char text[KEYRING_RECOVERY_TEXT] = "";
	unsigned slot;
	randombytes_buf(f.id, sizeof f.id);
	randombytes_buf(keys, 64);
	r = slot_insert(&f, &init->first, NULL, init->opslimit, init->memlimit, master, &slot);
	if (r == 0 && init->recovery)
		r = slot_insert_recovery(&f, NULL, master, text, &slot);
	if (r == 0)
		r = keyring_domain_append(&f, master, domain);
	if (r == 0)
		r = write_file(dir, &f, master);
	if (r == 0 && init->recovery)
		strcpy(ret_recovery, text);
	sodium_memzero(text, sizeof text);
	return r;
}

int keyring_create(const char *path, const struct keyring_init *init,
	char ret_recovery[KEYRING_RECOVERY_TEXT])
{
	if (init->first.type == KEYRING_RECOVERY || (init->recovery && !ret_recovery))
		return -EINVAL;
	if (!keyring_cipher_available(init->cipher))
		return -EOPNOTSUPP;
	bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	_cleanup_close_ int dir = keyring_disk_open(path);
	int r = dir < 0 ? dir : create_in(dir, init, ret_recovery);
	/* One that was there may be what an init left that did not come so far. */
	if (r == 0) {
		_cleanup_close_ int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* A parent that may not be read can only be left to the file system. */
		if (parent >= 0 && fsync(parent) < 0)
			r = -errno;
	}
	if (r < 0 && made)
		rmdir(path);
	return r;
}

/* ---- slots ----------------------------------------------------------------------------------- */

int keyring_read_info(const char *path, struct keyring_info *ret_info)
{
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_keyring_file_ struct keyring_file f = {0};
	if (sodium_init() < 0)
		return -EIO;
	_cleanup_close_ int dir = keyring_disk_open(path);
	if (dir < 0)
		return dir;
	int r = keyring_disk_read(dir, &bytes);
	if (r == 0)
		r = keyring_file_decode(bytes.data, bytes.len, &f);
	if (r < 0)
		return r;
	*ret_info = (struct keyring_info){
		.format = KEYRING_FORMAT,
		.compat = f.compat,
		.ro_compat = f.ro_compat,
		.incompat = f.incompat,
		.cipher = f.cipher,
		.slots = f.slots,
		.domains = (unsigned)f.domains,
	};
	memcpy(ret_info->id, f.id, sizeof f.id);
	for (unsigned i = 0; i < f.slots; i++)
		ret_info->slot[i] = f.slot[i].info;
	return 0;
}

/* A keyring that is being changed by path. */
struct change {
	int dir, lock;
	struct keyring_file file;
	uint8_t *master;
	unsigned opened; /* place of the slot that the secret opened */
};

static void change_release(struct change *c)
{
	keyring_file_release(&c->file);
	sodium_free(c->master);
	if (c->lock >= 0)
		close(c->lock);
	if (c->dir >= 0)
		close(c->dir);
}
#define _cleanup_change_ _cleanup_(change_release)

static int change_begin(const char *path, const struct kv_unlock *unlock, struct change *c)
{
	if (sodium_init() < 0)
		return -EIO;
	c->dir = keyring_disk_open(path);
	if (c->dir < 0)
		return c->dir;
	c->lock = keyring_disk_lock(c->dir);
	if (c->lock < 0)
		return c->lock;
	c->master = sodium_malloc(32);
	if (!c->master)
		return -ENOMEM;
	return keyring_unlock_file(c->dir, unlock, &c->file, &c->opened, c->master);
}

/* The place of slot @number, or -ENOENT. */
static int slot_find(const struct keyring_file *f, unsigned number)
{
	for (unsigned i = 0; i < f->slots; i++)
		if (f->slot[i].info.number == number)
			return (int)i;
	return -ENOENT;
}

int keyring_slot_add(const char *path, const struct kv_unlock *unlock,
	const struct kv_unlock *added, const char *label, unsigned *ret_slot)
{
	_cleanup_change_ struct change c = {.dir = -1, .lock = -1};
	if (added->type == KEYRING_RECOVERY)
		return -EINVAL;
	unsigned slot;
	int r = change_begin(path, unlock, &c);
	if (r == 0)
		r = slot_insert(&c.file, added, label, 0, 0, c.master, &slot);
	if (r == 0)
		r = write_file(c.dir, &c.file, c.master);
	if (r == 0)
		*ret_slot = slot;
	return r;
}

int keyring_slot_add_recovery(const char *path, const struct kv_unlock *unlock, const char *label,
	char ret_text[KEYRING_RECOVERY_TEXT], unsigned *ret_slot)
{
	_cleanup_change_ struct change c = {.dir = -1, .lock = -1};
	char text[KEYRING_RECOVERY_TEXT];
	unsigned slot;
	int r = change_begin(path, unlock, &c);
	if (r == 0)
		r = slot_insert_recovery(&c.file, label, c.master, text, &slot);
	if (r == 0)
		r = write_file(c.dir, &c.file, c.master);
	if (r == 0) {
		strcpy(ret_text, text);
		*ret_slot = slot;
	}
	sodium_memzero(text, sizeof text);
	return r;
}

int keyring_slot_remove(const char *path, const struct kv_unlock *unlock, unsigned slot)
{
	_cleanup_change_ struct change c = {.dir = -1, .lock = -1};
	int r = change_begin(path, unlock, &c);
	if (r < 0)
		return r;
	int at = slot_find(&c.file, slot);
	if (at < 0)
		return at;
	if (c.file.slots == 1)
		return -EPERM;
	c.file.slots--;
	memmove(&c.file.slot[at], &c.file.slot[at + 1],
		(c.file.slots - (unsigned)at) * sizeof c.file.slot[0]);
	return write_file(c.dir, &c.file, c.master);
}

int keyring_slot_change(const char *path, const struct kv_unlock *unlock, int slot,
	const struct kv_unlock *changed)
{
	_cleanup_change_ struct change c = {.dir = -1, .lock = -1};
	if (changed->type == KEYRING_RECOVERY)
		return -EINVAL;
	int r = change_begin(path, unlock, &c);
	if (r < 0)
		return r;
	int at = slot < 0 ? (int)c.opened : slot_find(&c.file, (unsigned)slot);
	if (at < 0)
		return at;
	r = keyring_slot_make(&c.file, &c.file.slot[at], changed, 0, 0, c.master);
	return r < 0 ? r : write_file(c.dir, &c.file, c.master);
}

/* Reads the keyring in @dir, which has the master key @master. */
static int read_with(int dir, const uint8_t master[32], struct keyring_file *ret_file)
{
	_cleanup_buf_ struct buf bytes = {0};
	_cleanup_keyring_file_ struct keyring_file f = {0};
	_cleanup_secret_ uint8_t *mac_key = sodium_malloc(32);
	if (!mac_key)
		return -ENOMEM;
	keyring_mac_key(master, mac_key);
	int r = keyring_disk_read(dir, &bytes);
	if (r == 0)
		r = keyring_file_decode(bytes.data, bytes.len, &f);
	if (r == 0)
		r = keyring_file_verify(bytes.data, bytes.len, mac_key);
	if (r < 0)
		return r;
	*ret_file = f;
	f = (struct keyring_file){0};
	return 0;
}

/* The master key of the keyring in @dir, if @unlock opens it. */
static int master_of(int dir, const struct kv_unlock *unlock, uint8_t ret_master[32])
{
	_cleanup_keyring_file_ struct keyring_file f = {0};
	unsigned opened;
	return keyring_unlock_file(dir, unlock, &f, &opened, ret_master);
}

int keyring_slots_copy(const char *from, const struct kv_unlock *unlock, const char *to)
{
	_cleanup_keyring_file_ struct keyring_file source = {0}, f = {0};
	_cleanup_close_ int from_dir = keyring_disk_open(from), to_dir = keyring_disk_open(to);
	if (from_dir < 0 || to_dir < 0)
		return from_dir < 0 ? from_dir : to_dir;
	_cleanup_secret_ uint8_t *master = sodium_malloc(32);
	_cleanup_close_ int lock = keyring_disk_lock(to_dir);
	if (lock < 0 || !master)
		return master ? lock : -ENOMEM;
	/* The slot that it opened may just have left the store, or never have been in the copy. */
	int r = master_of(to_dir, unlock, master);
	if (r == -EKEYREJECTED)
		r = master_of(from_dir, unlock, master);
	if (r == 0)
		r = read_with(from_dir, master, &source);
	if (r == 0)
		r = read_with(to_dir, master, &f);
	if (r < 0)
		return r;
	f.slots = source.slots;
	memcpy(f.slot, source.slot, sizeof f.slot);
	return write_file(to_dir, &f, master);
}
