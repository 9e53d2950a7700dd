#include "fs/session/auto.h"
#include "fs/session/session_internal.h"
#include "tests/session/tree.h"

#include "kv/cleanup.h"

#include <stdio.h>
#include <stdlib.h>

struct store store;
struct sessions *sessions;
struct cred who = {.uid = 1000, .gid = 1000, .pid = 0, .umask = 022};
static char content[1 << 20];

static void open_sessions(void)
{
	ck_assert_int_eq(session_open(store.core, NULL, NULL, &sessions), 0);
}

void tree_setup(void)
{
	store_new(&store, &(struct core_options){.root_role = ROLE_USERS});
	open_sessions();
	ck_assert_int_eq(tree_mkdir("u"), 0);
	ck_assert_int_eq(tree_mkdir("u/w"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION), 0);
}

void tree_teardown(void)
{
	session_close(sessions);
	store_close(&store);
}

void tree_reopen(void)
{
	session_close(sessions);
	store_reopen(&store);
	open_sessions();
}

void tree_crash(void)
{
	auto_release(sessions);
	writers_release(sessions);
	free(sessions); /* who dies closes nothing */
	store_crash(&store, false);
	open_sessions();
}

uint64_t tree_parent(const char *path, const char **ret_name)
{
	uint64_t at = CORE_ROOT_INO;
	for (;;) {
		size_t len = strcspn(path, "/");
		if (!path[len]) {
			*ret_name = path;
			return at;
		}
		char name[CORE_NAME_MAX + 1] = "";
		struct core_entry e;
		memcpy(name, path, len);
		int r = session_lookup(sessions, &who, at, name, &e);
		if (r == -ENOENT)
			return 0;
		ck_assert_int_eq(r, 0);
		core_forget(store.core, e.ino, 1);
		at = e.ino;
		path += len + 1;
	}
}

uint64_t tree_find(const char *path)
{
	const char *name;
	struct core_entry e;
	uint64_t parent = tree_parent(path, &name);
	if (!parent)
		return 0;
	int r = session_lookup(sessions, &who, parent, name, &e);
	if (r == -ENOENT)
		return 0;
	ck_assert_int_eq(r, 0);
	core_forget(store.core, e.ino, 1);
	return e.ino;
}

int tree_make(const char *path, mode_t mode)
{
	const char *name;
	struct core_entry e;
	struct core_make make = {.mode = mode, .target = S_ISLNK(mode) ? "target" : NULL};
	uint64_t parent = tree_parent(path, &name);
	int r = session_make(sessions, &who, parent, name, &make, &e);
	if (r == 0)
		core_forget(store.core, e.ino, 1);
	return r;
}

int tree_mkdir(const char *path)
{
	return tree_make(path, S_IFDIR | 0755);
}

int tree_unlink(const char *path)
{
	const char *name;
	uint64_t parent = tree_parent(path, &name);
	return session_unlink(sessions, &who, parent, name);
}

int tree_rmdir(const char *path)
{
	const char *name;
	uint64_t parent = tree_parent(path, &name);
	return session_rmdir(sessions, &who, parent, name);
}

int tree_rename(const char *from, const char *to)
{
	const char *name, *new_name;
	uint64_t parent = tree_parent(from, &name), new_parent = tree_parent(to, &new_name);
	return session_rename(sessions, &who, parent, name, new_parent, new_name, 0);
}

int tree_link(const char *from, const char *to)
{
	const char *name;
	struct core_entry e;
	uint64_t parent = tree_parent(to, &name);
	int r = session_link(sessions, &who, tree_find(from), parent, name, &e);
	if (r == 0)
		core_forget(store.core, e.ino, 1);
	return r;
}

static void write_all(struct file *file, const char *text)
{
	size_t len = strlen(text);
	if (len)
		ck_assert_int_eq(core_write(store.core, file, text, len, 0, false), (ssize_t)len);
}

int tree_write_flags(const char *path, const char *text, int flags, uint64_t *ret_ino)
{
	const char *name;
	struct core_entry e;
	struct file *file;
	uint64_t parent = tree_parent(path, &name);
	int r = session_create(
	        sessions, &who, parent, name, 0644, O_WRONLY | O_CREAT | flags, &e, &file);
	if (r < 0)
		return r;
	write_all(file, text);
	ck_assert_int_eq(session_flush(sessions, file), 0);
	ck_assert_int_eq(session_release(sessions, file), 0);
	core_forget(store.core, e.ino, 1);
	if (ret_ino)
		*ret_ino = e.ino;
	return 0;
}

void tree_write(const char *path, const char *text)
{
	ck_assert_int_eq(tree_write_flags(path, text, O_TRUNC, NULL), 0);
}

void tree_append(const char *path, const char *text)
{
	ck_assert_int_eq(tree_write_flags(path, text, O_APPEND, NULL), 0);
}

unsigned tree_next(const char *text)
{
	uint64_t ino;
	struct buf value = {0};
	ck_assert_int_eq(tree_write_flags(MESSAGES "/next.md", text, 0, &ino), 0);
	ck_assert_int_eq(session_getxattr(sessions, &who, ino, "user.scribefs.number", &value), 0);
	ck_assert_int_eq(buf_append(&value, "", 1), 0);
	unsigned number = (unsigned)strtoul((const char *)value.data, NULL, 10);
	buf_release(&value);
	return number;
}

const char *tree_read(const char *path)
{
	struct file *file;
	uint64_t ino = tree_find(path);
	ck_assert_msg(ino != 0, "no %s", path);
	ck_assert_int_eq(core_file_open(store.core, &who, ino, O_RDONLY, &file), 0);
	ssize_t n = core_read(store.core, file, content, sizeof content - 1, 0);
	ck_assert_int_ge(n, 0);
	content[n] = '\0';
	ck_assert_int_eq(session_release(sessions, file), 0);
	return content;
}

struct stat tree_stat(const char *path)
{
	struct stat st;
	ck_assert_int_eq(core_getattr(store.core, tree_find(path), &st, NULL), 0);
	return st;
}

void tree_set_mtime(const char *path, int64_t s, long ns)
{
	struct stat st = {.st_mtim = {s, ns}};
	ck_assert_int_eq(
	        session_setattr(sessions, &who, tree_find(path), &st, CORE_SET_MTIME, &st), 0);
}

const char *tree_attribute(const char *path, const char *name)
{
	static char text[4096];
	char full[128];
	_cleanup_buf_ struct buf value = {0};
	snprintf(full, sizeof full, "user.scribefs.%s", name);
	int r = session_getxattr(sessions, &who, tree_find(path), full, &value);
	if (r == -ENODATA)
		return "-";
	ck_assert_int_eq(r, 0);
	snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.data);
	return text;
}

const char *tree_field(const char *name)
{
	static char value[4096];
	char key[128];
	snprintf(key, sizeof key, "\"%s\": ", name);
	const char *text = tree_read(JSON), *at = strstr(text, key);
	ck_assert_msg(at != NULL, "no %s in %s", name, text);
	at += strlen(key);
	size_t len = strcspn(at, "\n");
	if (len && at[len - 1] == ',')
		len--;
	if (*at == '"') {
		at++;
		len -= 2;
	}
	snprintf(value, sizeof value, "%.*s", (int)len, at);
	return value;
}

void tree_expect_field(const char *name, const char *value)
{
	const char *got = tree_field(name);
	ck_assert_msg(strcmp(got, value) == 0, "%s is %s, not %s", name, got, value);
}

static char names[64][CORE_NAME_MAX + 1];
static size_t n_names;

static int collect(void *arg, const struct core_dirent *entry)
{
	if (entry->have_attr && entry->name[0] != '.')
		core_forget(store.core, entry->entry.ino, 1);
	if (strcmp(entry->name, ".") && strcmp(entry->name, ".."))
		strcpy(names[n_names++], entry->name);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

const char *tree_list(const char *path)
{
	static char text[8192];
	n_names = 0;
	ck_assert_int_eq(
	        session_readdir(sessions, &who, tree_find(path), 0, true, collect, NULL), 0);
	qsort(names, n_names, sizeof *names, compare);
	text[0] = '\0';
	for (size_t i = 0; i < n_names; i++)
		strcat(strcat(text, names[i]), " ");
	return text;
}

void tree_edit(const char *from, const char *to, bool by_rename)
{
	static char text[1 << 16];
	const char *before = tree_read(JSON), *at = strstr(before, from);
	ck_assert_msg(at != NULL, "no %s in %s", from, before);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - before), before, to, at + strlen(from));
	tree_write(by_rename ? SESSION "/.tmp" : JSON, text);
	if (by_rename)
		ck_assert_int_eq(tree_rename(SESSION "/.tmp", JSON), 0);
}
