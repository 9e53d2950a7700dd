#include "tests/core/tree.h"

#include "fs/core/core_internal.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#define SEEN_MAX 65536

struct walk {
	struct store *s;
	struct buf *text; /* or NULL */
	bool whole; /* with the times of the top */
	char path[4096];
	/* What was seen: inode numbers, how often, and as how many xattrs. */
	struct seen {
		uint64_t ino;
		uint32_t entries, nlink;
	} *seen;
	size_t n_seen;
	size_t entries, xattrs;
};

struct names {
	struct name {
		uint64_t ino;
		mode_t type;
		char name[CORE_NAME_MAX + 1];
	} *list;
	size_t n;
};

static int collect(void *arg, const struct core_dirent *e)
{
	struct names *names = arg;
	if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
		return 0;
	names->list = realloc(names->list, (names->n + 1) * sizeof *names->list);
	ck_assert_ptr_nonnull(names->list);
	struct name *n = &names->list[names->n++];
	n->ino = e->ino;
	n->type = e->type;
	strcpy(n->name, e->name);
	return 0;
}

static void print_data(struct walk *w, uint64_t ino, const struct stat *st)
{
	uint8_t bytes[65536];
	uint64_t sum = 14695981039346656037u;
	struct file *f;
	off_t at = 0;
	ssize_t n;
	if (!st->st_size)
		return;
	ck_assert_int_eq(core_file_open(w->s->core, &w->s->who, ino, O_RDONLY, &f), 0);
	while ((n = core_read(w->s->core, f, bytes, sizeof bytes, at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ bytes[i]) * 1099511628211u;
		at += n;
	}
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(at, st->st_size);
	core_file_release(w->s->core, f);
	buf_printf(w->text, " sum %016llx", (unsigned long long)sum);
}

static void print_xattrs(struct walk *w, uint64_t ino, const struct buf *names)
{
	for (size_t at = 0; at < names->len;) {
		const char *name = (const char *)names->data + at;
		_cleanup_buf_ struct buf value = {0};
		ck_assert_int_eq(core_getxattr(w->s->core, ino, name, &value), 0);
		buf_printf(w->text, " %s=%.*s", name, (int)value.len, (const char *)value.data);
		at += strlen(name) + 1;
	}
}

static void print_one(struct walk *w, uint64_t ino, const struct stat *st)
{
	_cleanup_buf_ struct buf value = {0};
	buf_printf(w->text, "%s %o ino %llu links %u owner %u:%u size %lld", w->path, st->st_mode,
		(unsigned long long)snapshot_present_ino(ino), (unsigned)st->st_nlink, st->st_uid, st->st_gid,
		(long long)st->st_size);
	if (w->path[0] || w->whole)
		buf_printf(w->text, " m %lld.%09ld c %lld.%09ld", (long long)st->st_mtim.tv_sec,
			st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	if (S_ISLNK(st->st_mode)) {
		ck_assert_int_eq(core_readlink(w->s->core, ino, &value), 0);
		buf_printf(w->text, " -> %.*s", (int)value.len, (const char *)value.data);
	}
	if (S_ISREG(st->st_mode))
		print_data(w, ino, st);
	ck_assert_int_eq(core_listxattr(w->s->core, ino, &value), 0);
	print_xattrs(w, ino, &value);
	buf_printf(w->text, "\n");
}

static void note(struct walk *w, uint64_t ino, const struct stat *st)
{
	_cleanup_buf_ struct buf names = {0};
	w->entries++;
	for (size_t i = 0; i < w->n_seen; i++)
		if (w->seen[i].ino == ino) {
			w->seen[i].entries++;
			return;
		}
	ck_assert_uint_lt(w->n_seen, SEEN_MAX);
	w->seen[w->n_seen++] = (struct seen){ino, 1, (uint32_t)st->st_nlink};
	ck_assert_int_eq(core_listxattr(w->s->core, ino, &names), 0);
	for (size_t i = 0; i < names.len; i++)
		w->xattrs += !names.data[i];
}

static void walk(struct walk *w, uint64_t ino)
{
	struct stat st;
	struct names names = {0};
	size_t len = strlen(w->path), subdirs = 0;
	store_stat(w->s, ino, &st);
	if (w->text)
		print_one(w, ino, &st);
	if (w->seen)
		note(w, ino, &st);
	if (!S_ISDIR(st.st_mode))
		return;
	ck_assert_int_eq(core_readdir(w->s->core, ino, 0, false, collect, &names), 0);
	for (size_t i = 0; i < names.n; i++) {
		ck_assert_uint_eq(store_find(w->s, ino, names.list[i].name), names.list[i].ino);
		subdirs += S_ISDIR(names.list[i].type);
		snprintf(w->path + len, sizeof w->path - len, "/%s", names.list[i].name);
		walk(w, names.list[i].ino);
	}
	w->path[len] = '\0';
	ck_assert_msg(st.st_nlink == subdirs + 2, "%s: %u links, %zu directories", w->path,
		(unsigned)st.st_nlink, subdirs);
	free(names.list);
}

void tree_dump_from(struct store *s, uint64_t ino, struct buf *ret_text)
{
	struct walk w = {.s = s, .text = ret_text};
	ret_text->len = 0;
	walk(&w, ino);
	ck_assert_int_eq(buf_append(ret_text, "", 1), 0);
}

void tree_dump(struct store *s, struct buf *ret_text)
{
	struct walk w = {.s = s, .text = ret_text, .whole = true};
	ret_text->len = 0;
	walk(&w, CORE_ROOT_INO);
	ck_assert_int_eq(buf_append(ret_text, "", 1), 0);
}

void tree_expect(struct store *s, const struct buf *text)
{
	_cleanup_buf_ struct buf now = {0};
	tree_dump(s, &now);
	ck_assert_str_eq((const char *)now.data, (const char *)text->data);
}

size_t tree_records(struct store *s, enum key_kind kind)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	size_t n = 0, len;
	int r = kv_iter_open(s->kv, NULL, NULL, kind < 16 ? KV_META : KV_DATA, NULL, 0, &it);
	ck_assert_int_eq(r, 0);
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it)) {
		const uint8_t *key = kv_iter_key(it, &len);
		n += len > 8 && key[8] == kind;
	}
	ck_assert_int_eq(r, 0);
	return n;
}

/* That the directory's count and multiset hash are those of its entries. */
static void check_dir(struct store *s, struct inode *dir)
{
	_cleanup_(kv_iter_freep) struct kv_iter *it = NULL;
	_cleanup_buf_ struct buf value = {0};
	struct msum sum = {0};
	uint64_t n = 0;
	int r;
	struct key prefix = inode_key(dir, KEY_DENTRY);
	r = kv_iter_open(s->kv, NULL, NULL, KV_META, prefix.bytes, prefix.len, &it);
	ck_assert_int_eq(r, 0);
	for (r = kv_iter_seek(it, NULL, 0); r > 0; r = kv_iter_next(it), n++) {
		struct dentry d;
		uint8_t hash[16];
		ck_assert_int_eq(kv_iter_value(it, &value), 0);
		ck_assert_int_eq(dentry_decode(value.data, value.len, &d), 0);
		ck_assert_int_eq(dentry_hash(s->core, dir, &d, hash), 0);
		msum_add(&sum, hash);
	}
	ck_assert_uint_eq(dir->rec.size, n);
	ck_assert(dir->rec.entries.hi == sum.hi && dir->rec.entries.lo == sum.lo);
}

void tree_check(struct store *s)
{
	struct walk w = {.s = s, .seen = calloc(SEEN_MAX, sizeof *w.seen)};
	size_t mapped = 0;
	core_settle(s->core);
	walk(&w, CORE_ROOT_INO);
	for (size_t i = 0; i < w.n_seen; i++) {
		_cleanup_inode_ struct inode *inode = NULL;
		ck_assert_int_eq(inode_get(s->core, w.seen[i].ino, NULL, &inode), 0);
		ck_assert_uint_eq(w.seen[i].entries, inode_is_dir(inode) ? 1 : w.seen[i].nlink);
		mapped += inode->rec.body == INODE_MAPPED;
		if (inode_is_dir(inode))
			check_dir(s, inode);
	}
	ck_assert_uint_eq(tree_records(s, KEY_INODE), w.n_seen);
	ck_assert_uint_eq(tree_records(s, KEY_DENTRY), w.entries - 1); /* the root has none */
	ck_assert_uint_eq(tree_records(s, KEY_XATTR), w.xattrs);
	ck_assert_uint_eq(tree_records(s, KEY_WORK), 0);
	if (!mapped)
		ck_assert_uint_eq(tree_records(s, KEY_MAP) + tree_records(s, KEY_CHUNK), 0);
	ck_assert_int_eq(kv_counter_total(s->kv, KV_COUNT_INODES), (int64_t)w.n_seen);
	free(w.seen);
}
