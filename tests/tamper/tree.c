/* tree.c: what lies in the stores that are tampered with. */
#include "fs/session/session.h"
#include "tests/tamper/look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t key_file[KEYRING_KEY_FILE_BYTES] = {7, 8, 9};
const struct kv_unlock tamper_key = {KEYRING_KEY_FILE, key_file, sizeof key_file};

struct tree {
	struct kv *kv;
	struct core *core;
	struct sessions *sessions;
	struct cred who;
	int error; /* the first; what comes after it is not done */
};

static const struct core_options core_options = {.root_role = ROLE_USERS, .root_mode = 0755};

static struct tree tree_open(const char *path)
{
	struct tree t = {0};

	t.error = kv_open(path, &tamper_key, NULL, &t.kv);
	if (t.error == 0)
		t.error = core_open(t.kv, &core_options, &t.core);
	if (t.error == 0)
		t.error = session_open(t.core, NULL, NULL, &t.sessions);
	return t;
}

static int tree_close(struct tree *t)
{
	int error = t->error;

	if (t->sessions)
		session_close(t->sessions);
	if (t->core && core_close(t->core) < 0)
		error = error ? error : -EIO;
	if (t->kv && kv_close(t->kv) < 0)
		error = error ? error : -EIO;
	return error;
}

/* Who makes a session does not see what is made in it; so each call is another process's. */
static const struct cred *who(struct tree *t)
{
	t->who.pid++;
	return &t->who;
}

static uint64_t find(struct tree *t, const char *path, const char **ret_name)
{
	uint64_t at = CORE_ROOT_INO;
	const char *slash;

	while (t->error == 0 && (slash = strchr(path, '/'))) {
		struct core_entry e;
		char name[64];
		snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
		t->error = session_lookup(t->sessions, who(t), at, name, &e);
		if (t->error == 0) {
			at = e.ino;
			core_forget(t->core, e.ino, 1);
		}
		path = slash + 1;
	}
	*ret_name = path;
	return at;
}

static uint64_t make(struct tree *t, const char *path, mode_t mode, const char *target)
{
	const char *name;
	uint64_t parent = find(t, path, &name);
	const struct core_make what = {.mode = mode, .target = target};
	struct core_entry e = {0};

	if (t->error == 0)
		t->error = session_make(t->sessions, who(t), parent, name, &what, &e);
	if (t->error == 0)
		core_forget(t->core, e.ino, 1);
	return e.ino;
}

static uint64_t lookup(struct tree *t, const char *path)
{
	const char *name;
	uint64_t parent = find(t, path, &name);
	struct core_entry e = {0};

	if (t->error == 0)
		t->error = session_lookup(t->sessions, who(t), parent, name, &e);
	if (t->error == 0)
		core_forget(t->core, e.ino, 1);
	return e.ino;
}

/* @size bytes that tell @salt, from @at. */
static void put(struct tree *t, const char *path, unsigned salt, size_t size, off_t at)
{
	const char *name;
	uint64_t parent = find(t, path, &name);
	struct core_entry e;
	struct file *f;
	char *bytes = malloc(size);
	uint64_t x = salt * 0x9e3779b97f4a7c15u + 1;

	for (size_t i = 0; bytes && i < size; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		bytes[i] = (char)(salt % 2 ? x : 'a' + x % 20);
	}
	if (t->error == 0 && strcmp(name, "next.md") != 0 &&
		session_lookup(t->sessions, who(t), parent, name, &e) == 0)
		t->error = core_file_open(t->core, who(t), e.ino, O_WRONLY, &f);
	else if (t->error == 0)
		t->error = session_create(t->sessions, who(t), parent, name, 0600, O_WRONLY, &e, &f);
	if (t->error == 0 && core_write(t->core, f, bytes, size, at, false) != (ssize_t)size)
		t->error = -EIO;
	if (t->error == 0)
		t->error = session_flush(t->sessions, f);
	if (t->error == 0)
		t->error = session_release(t->sessions, f);
	if (t->error == 0)
		core_forget(t->core, e.ino, 1);
	free(bytes);
}

static void link_to(struct tree *t, const char *from, const char *to)
{
	const char *name;
	uint64_t ino = lookup(t, from), parent = find(t, to, &name);
	struct core_entry e;

	if (t->error == 0)
		t->error = session_link(t->sessions, who(t), ino, parent, name, &e);
	if (t->error == 0)
		core_forget(t->core, e.ino, 1);
}

static void set(struct tree *t, const char *path, const char *name, const char *value)
{
	uint64_t ino = lookup(t, path);

	if (t->error == 0)
		t->error = session_setxattr(
			t->sessions, who(t), ino, name, value, strlen(value), 0);
}

static void move(struct tree *t, const char *from, const char *to)
{
	const char *a, *b;
	uint64_t parent = find(t, from, &a), into = find(t, to, &b);

	if (t->error == 0)
		t->error = session_rename(t->sessions, who(t), parent, a, into, b, 0);
}

static void drop(struct tree *t, const char *path)
{
	const char *name;
	uint64_t parent = find(t, path, &name);

	if (t->error == 0)
		t->error = session_unlink(t->sessions, who(t), parent, name);
}

static void messages(struct tree *t, const char *session, unsigned n, unsigned salt)
{
	char path[96];

	snprintf(path, sizeof path, "%s/messages/next.md", session);
	for (unsigned i = 0; i < n; i++)
		put(t, path, salt + i, 40 + i % 7 * 900, 0);
}

int tree_first(const char *path)
{
	const struct keyring_init init = {
		.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = tamper_key};
	int r = keyring_create(path, &init, NULL);

	if (r < 0)
		return r;
	struct tree t = tree_open(path);
	make(&t, "ann", S_IFDIR | 0700, NULL);
	make(&t, "ann/chat", S_IFDIR | 0700, NULL);
	make(&t, "ann/chat/one", S_IFDIR | 0700, NULL);
	make(&t, "ann/chat/two", S_IFDIR | 0700, NULL);
	messages(&t, "ann/chat/one", 24, 100);
	messages(&t, "ann/chat/two", 6, 200);
	make(&t, "ann/chat/one/d", S_IFDIR | 0750, NULL);
	make(&t, "ann/chat/one/d/e", S_IFDIR | 0700, NULL);
	make(&t, "ann/chat/one/link", S_IFLNK | 0777, "messages/001.md");
	put(&t, "ann/chat/one/notes", 1, 300, 0);
	put(&t, "ann/chat/one/big", 3, 300000, 0);
	put(&t, "ann/chat/one/large", 4, 5u << 20, 0);
	put(&t, "ann/chat/one/sparse", 5, 90000, 9 << 20);
	put(&t, "ann/chat/one/d/e/deep", 7, 5000, 0);
	link_to(&t, "ann/chat/one/big", "ann/chat/one/d/big too");
	set(&t, "ann/chat/one/notes", "user.first", "value");
	set(&t, "ann/chat/one/notes", "user.second", "another");
	put(&t, "ann/plain", 9, 700, 0);
	return tree_close(&t);
}

int tree_second(const char *path)
{
	struct tree t = tree_open(path);

	make(&t, "bob", S_IFDIR | 0700, NULL);
	make(&t, "bob/chat", S_IFDIR | 0700, NULL);
	make(&t, "bob/chat/three", S_IFDIR | 0700, NULL);
	messages(&t, "bob/chat/three", 3, 300);
	messages(&t, "ann/chat/one", 4, 400);
	put(&t, "ann/chat/one/messages/003.md", 11, 200, 0);
	put(&t, "ann/chat/one/messages/004.md", 12, 9000, 100);
	put(&t, "ann/chat/one/big", 13, 40000, 100000);
	put(&t, "ann/chat/one/d/e/deep", 15, 6000, 0);
	put(&t, "ann/chat/one/notes", 17, 300, 0);
	set(&t, "ann/chat/one/notes", "user.first", "changed");
	drop(&t, "ann/chat/one/messages/005.md");
	drop(&t, "ann/chat/two/messages/002.md");
	move(&t, "ann/chat/one/messages/006.md", "ann/chat/one/messages/007.md");
	move(&t, "ann/chat/two", "ann/chat/twice");
	move(&t, "ann/chat/one/d/e", "ann/chat/one/e");
	return tree_close(&t);
}

void tree_die(const char *path)
{
	struct tree t = tree_open(path);

	put(&t, "ann/chat/one/messages/008.md", 19, 400, 0);
	put(&t, "ann/chat/one/big", 21, 40000, 150000);
	messages(&t, "ann/chat/one", 12, 500);
	put(&t, "bob/chat/three/late", 23, 70000, 0);
	drop(&t, "ann/chat/one/messages/009.md");
	if (t.error == 0)
		t.error = core_commit_all(t.core);
	if (t.error == 0)
		t.error = kv_sync(t.kv);
	_exit(t.error ? 1 : 0);
}
