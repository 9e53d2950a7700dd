/*
 * fuzz_store.c: a store in which one record says what the input says, under a seal that is good: who has the key,
 * or a
 * mistake of ours, can write anything. It is opened, walked through and written to; then it is mended, and after that
 * there is nothing left that could be. The input: u16 which record (of all, by key), u8 what is done to it, bytes.
 */
#include "fs/core/check.h"
#include "fs/session/check.h"
#include "tests/fuzz/world.h"

#include <sys/stat.h>
#include <unistd.h>

#define RECORDS_MAX 1024
#define NODES_MAX 400
#define DEPTH_MAX 12
#define CHUNK 32768

enum { WHOLE, PATCHED, CUT, GONE, ANOTHERS, KINDS };

struct record {
	enum kv_family family;
	uint8_t key[KV_KEY_MAX];
	size_t key_len;
	struct buf sealed;
};

static struct world world;
static struct record records[RECORDS_MAX];
static size_t records_n, first; /* first: of those that are not kv's own */

/* ---- the store that it begins with ----------------------------------------------------------- */

static void each_record(void (*each)(enum kv_family family, const uint8_t *key, size_t len, const uint8_t *value,
	size_t value_len))
{
	const struct kv_options options = {.engine_arg = world.memory};
	struct kv_engine *e;
	size_t len, value_len;

	expect(kv_engine_memory.open(world.path, &options, false, &e) == 0);
	for (enum kv_family f = 0; f < KV_FAMILIES; f++) {
		struct kv_engine_iter *it;
		expect(kv_engine_memory.iter_open(e, NULL, f, NULL, 0, &it) == 0);
		for (int r = kv_engine_memory.iter_seek(it, NULL, 0); r > 0; r = kv_engine_memory.iter_next(it)) {
			const uint8_t *key = kv_engine_memory.iter_key(it, &len);
			const uint8_t *value = kv_engine_memory.iter_value(it, &value_len);
			each(f, key, len, value, value_len);
		}
		kv_engine_memory.iter_free(it);
	}
	kv_engine_memory.close(e);
}

static void keep(enum kv_family family, const uint8_t *key, size_t len, const uint8_t *value, size_t value_len)
{
	struct record *r = &records[records_n++];

	expect(records_n <= RECORDS_MAX);
	r->family = family;
	r->key_len = len;
	memcpy(r->key, key, len);
	expect(buf_append(&r->sealed, value, value_len) == 0);
	if (family == KV_SYS)
		first = records_n;
}

/* Beside the engine: how far the store was synced, or what is put back would be older than that. */
static struct buf mark;

static int mark_open(void)
{
	char path[sizeof world.path + 8];

	snprintf(path, sizeof path, "%s/mark", world.path);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	expect(fd >= 0);
	return fd;
}

static void keep_mark(void)
{
	_cleanup_close_ int fd = mark_open();

	expect(buf_resize(&mark, 4096) == 0);
	ssize_t n = pread(fd, mark.data, mark.len, 0);
	expect(n > 0);
	mark.len = (size_t)n;
}

static void put_mark_back(void)
{
	_cleanup_close_ int fd = mark_open();

	expect(pwrite(fd, mark.data, mark.len, 0) == (ssize_t)mark.len);
}

static size_t stale_n;
static struct record stale[2 * RECORDS_MAX];

static void note(enum kv_family family, const uint8_t *key, size_t len, const uint8_t *value, size_t value_len)
{
	struct record *r = &stale[stale_n++];

	expect(stale_n <= 2 * RECORDS_MAX);
	r->family = family;
	r->key_len = len;
	memcpy(r->key, key, len);
}

static void put_all_back(void)
{
	stale_n = 0;
	each_record(note);
	for (size_t i = 0; i < stale_n; i++)
		kv_memory_poke(world.memory, stale[i].family, stale[i].key, stale[i].key_len, NULL, 0);
	for (size_t i = 0; i < records_n; i++)
		expect(kv_memory_poke(world.memory, records[i].family, records[i].key, records[i].key_len,
			       records[i].sealed.data, records[i].sealed.len) == 0);
}

static void snapshot(uint64_t place, const char *name)
{
	struct snapshot_info info;

	expect(session_snapshot_take(world.sessions, &world_who, place, name, 0, &info) == 0);
}

static void set_xattr(uint64_t ino, const char *name, const void *value, size_t size)
{
	expect(session_setxattr(world.sessions, &world_who, ino, name, value, size, 0) == 0);
}

static void fill_session(uint64_t s)
{
	static char big[3 * CHUNK];
	static const uint8_t acl[] = "\2\0\0\0\1\0\6\0\377\377\377\377\2\0\4\0\350\3\0\0\4\0\0\0\377\377\377\377"
				     "\20\0\4\0\377\377\377\377\40\0\0\0\377\377\377\377";
	uint64_t messages = world_find(&world, s, "messages");
	uint64_t plain = world_make(&world, s, "plain", S_IFDIR | 0755, NULL);
	struct core_entry e;

	if (!messages)
		messages = world_make(&world, s, "messages", S_IFDIR | 0755, NULL);
	world_write(&world, messages, "next.md", "How?\n", 5, 0);
	world_write(&world, messages, "next.md", "---\nrole: assistant\nmodel: m\n---\nSo.\n", 36, 0);
	uint64_t file = world_write(&world, plain, "small", "small", 5, 0);
	for (size_t i = 0; i < sizeof big; i++)
		big[i] = (char)(i * 7 + i / CHUNK);
	world_write(&world, plain, "big", big, sizeof big, 0);
	world_write(&world, plain, "sparse", big, CHUNK, (off_t)1 << 33);
	world_make(&world, plain, "link", S_IFLNK | 0777, "small");
	world_make(&world, plain, "fifo", S_IFIFO | 0600, NULL);
	expect(session_link(world.sessions, &world_who, file, plain, "second", &e) == 0);
	core_forget(world.core, e.ino, 1);
	set_xattr(file, "user.a", "value", 5);
	set_xattr(file, "system.posix_acl_access", acl, sizeof acl - 1);
	set_xattr(s, "user.scribefs.keep", "3", 1);
}

static void begin(void)
{
	world_new(&world);
	uint64_t u = world_make(&world, CORE_ROOT_INO, "u", S_IFDIR | 0755, NULL);
	uint64_t w = world_make(&world, u, "w", S_IFDIR | 0755, NULL);
	uint64_t w2 = world_make(&world, u, "w2", S_IFDIR | 0755, NULL);
	uint64_t s = world_make(&world, w, "s", S_IFDIR | 0755, NULL);
	fill_session(s);
	world_make(&world, w, "other", S_IFDIR | 0755, NULL);
	snapshot(s, "before");
	snapshot(u, "all");
	uint64_t messages = world_find(&world, s, "messages");
	world_write(&world, messages, "next.md", "More.\n", 6, 0);
	world_write(&world, s, "agent", "coder\n", 6, 0);
	world_write(&world, s, "context.json", "{\"task\":\"t\"}", 12, 0);
	expect(session_unlink(world.sessions, &world_who, world_find(&world, s, "plain"), "big") == 0);
	expect(session_rename(world.sessions, &world_who, w, "other", w2, "moved", 0) == 0);
	world_find(&world, s, "session.json");
	world_close(&world);
	each_record(keep);
	keep_mark();
	expect(records_n > first + 40);
}

/* ---- one record ------------------------------------------------------------------------------ */

static struct buf told; /* of the record, by the repair and by the look after it: for who reads of a failure */

static void tell_record(const char *what, const struct record *r)
{
	expect(buf_printf(&told, "%s: family %d, key ", what, r->family) == 0);
	for (size_t i = 0; i < r->key_len; i++)
		expect(buf_printf(&told, "%02x", r->key[i]) == 0);
	expect(buf_printf(&told, "\n") == 0);
}

static int change(struct buf *value, unsigned how, struct input in)
{
	if (how == CUT) {
		value->len = value->len ? input_u16(&in) % value->len : 0;
		return 0;
	}
	if (how == WHOLE)
		value->len = 0;
	if (how != PATCHED)
		return buf_append(value, in.p, in.left);
	/* A place, how much, the bytes: again and again. */
	while (in.left > 2 && value->len) {
		size_t at = input_u16(&in) % value->len;
		struct input part = input_part(&in, 1 + input_u8(&in) % 8u);
		memcpy(value->data + at, part.p, part.left < value->len - at ? part.left : value->len - at);
	}
	return 0;
}

static void forge(struct input in)
{
	const struct record *r = &records[first + input_u16(&in) % (records_n - first)];
	unsigned how = input_u8(&in) % KINDS;
	_cleanup_buf_ struct buf value = {0};
	struct kv_txn *txn;

	told.len = 0;
	tell_record("changed", r);
	expect(world_open_kv(&world, false) == 0);
	expect(kv_get(world.kv, NULL, r->family, r->key, r->key_len, &value) == 0);
	if (how == ANOTHERS) {
		const struct record *other = &records[first + input_u16(&in) % (records_n - first)];
		tell_record("with the value of", other);
		expect(kv_get(world.kv, NULL, other->family, other->key, other->key_len, &value) == 0);
		how = PATCHED;
	}
	/* Most families take no record over another one. */
	expect(kv_txn_begin(world.kv, &txn) == 0);
	expect(kv_txn_delete(txn, r->family, r->key, r->key_len) == 0 && kv_txn_commit(txn, NULL) == 0);
	kv_txn_free(txn);
	if (how != GONE && change(&value, how, in) == 0) {
		expect(kv_txn_begin(world.kv, &txn) == 0);
		expect(kv_txn_insert(txn, r->family, r->key, r->key_len, value.data, value.len) == 0);
		expect(kv_txn_commit(txn, NULL) == 0);
		kv_txn_free(txn);
	}
	world_close(&world);
}

/* ---- looking at it --------------------------------------------------------------------------- */

struct walk {
	unsigned nodes, depth;
};
struct names {
	size_t n;
	char name[64][CORE_NAME_MAX + 1];
};

static int take_name(void *arg, const struct core_dirent *d)
{
	struct names *names = arg;

	if (d->have_attr)
		core_forget(world.core, d->entry.ino, 1);
	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	expect(strlen(d->name) <= CORE_NAME_MAX);
	strcpy(names->name[names->n++], d->name);
	return names->n == 64;
}

static void look_at_file(uint64_t ino)
{
	static char data[CHUNK];
	struct file *f;

	if (session_file_open(world.sessions, &world_who, ino, O_RDWR, &f) < 0)
		return;
	for (off_t at = 0; at < 4 * CHUNK; at += CHUNK)
		(void)core_read(world.core, f, data, sizeof data, at);
	(void)core_read(world.core, f, data, sizeof data, (off_t)1 << 33);
	(void)session_write(world.sessions, f, "x", 1, 5, 0);
	session_flush(world.sessions, f);
	session_release(world.sessions, f);
}

static void look_at(struct walk *w, uint64_t ino);

static void look_at_dir(struct walk *w, uint64_t ino)
{
	struct names *names = calloc(1, sizeof *names);

	expect(names);
	(void)session_readdir(world.sessions, &world_who, ino, 0, w->nodes & 1, take_name, names);
	if (w->depth < 5)
		strcpy(names->name[names->n < 63 ? names->n++ : 63], ".snapshots");
	for (size_t i = 0; i < names->n && w->nodes < NODES_MAX; i++) {
		struct core_entry e;
		if (session_lookup(world.sessions, &world_who, ino, names->name[i], &e) < 0)
			continue;
		look_at(w, e.ino);
		core_forget(world.core, e.ino, 1);
	}
	free(names);
}

static void look_at(struct walk *w, uint64_t ino)
{
	_cleanup_buf_ struct buf text = {0};
	struct stat st;

	if (++w->nodes > NODES_MAX || core_getattr(world.core, ino, &st, NULL) < 0)
		return;
	(void)core_listxattr(world.core, ino, &text);
	(void)session_getxattr(world.sessions, &world_who, ino, "user.a", &text);
	(void)session_getxattr(world.sessions, &world_who, ino, "user.scribefs.role", &text);
	if (S_ISLNK(st.st_mode))
		(void)core_readlink(world.core, ino, &text);
	else if (S_ISREG(st.st_mode))
		look_at_file(ino);
	else if (S_ISDIR(st.st_mode) && w->depth < DEPTH_MAX) {
		w->depth++;
		look_at_dir(w, ino);
		w->depth--;
	}
}

static void serve(void)
{
	struct walk w = {0};

	if (world_open(&world) == 0) {
		look_at(&w, CORE_ROOT_INO);
		(void)core_commit_all(world.core);
		core_settle(world.core);
	}
	world_close(&world);
}

static void hear(void *arg, const struct check_problem *p)
{
	static const char *const states[] = {"found", "mended", "left"};

	expect(buf_printf(&told, "%s: %s [%s]: %s\n", states[p->state], p->path, p->code, p->text) == 0);
}

static void hear_nothing(void *arg, uint64_t records)
{
}

static void mend(void)
{
	struct session_check *s = session_check_new();
	struct check_options options = {.rules = session_check_rules(s), .sink = {hear, hear_nothing}};
	struct check_result result = {0};
	uint64_t mended;

	if (world_open_kv(&world, true) == 0) {
		if (core_check_repair(world.kv, &options, &result, &mended) == 0) {
			check_result_release(&result);
			memset(&result, 0, sizeof result);
			expect(core_check(world.kv, &options, &result) == 0);
			if (result.mendable)
				fprintf(stderr, "%.*s", (int)told.len, (char *)told.data);
			expect(result.mendable == 0);
		}
		check_result_release(&result);
	}
	world_close(&world);
	session_check_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!records_n)
		begin();
	if (size > 4096)
		return 0;
	put_all_back();
	put_mark_back();
	forge((struct input){data, size});
	if (!(size & 1))
		serve();
	mend();
	return 0;
}
