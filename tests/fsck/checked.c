#include "tests/fsck/checked.h"

#include "fs/session/check.h"
#include "kv/check.h"
#include "kv/keyring.h"
#include "tests/fsck/damage.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t key_file[KEYRING_KEY_FILE_BYTES] = {1, 2, 3};
static const struct kv_unlock unlock_key = {KEYRING_KEY_FILE, key_file, sizeof key_file};

/* ---- a store with one of everything ---------------------------------------------------------- */

void checked_write_big(const char *path, size_t size, off_t at)
{
	struct file *f;
	char *bytes = malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 + i / 4099 + size);
	tree_write(path, "");
	ck_assert_int_eq(core_file_open(store.core, &who, tree_find(path), O_RDWR, &f), 0);
	ck_assert_int_eq(core_write(store.core, f, bytes, size, at, false), (ssize_t)size);
	ck_assert_int_eq(core_write(store.core, f, bytes, 9, 0, false), 9);
	ck_assert_int_eq(session_flush(sessions, f), 0);
	ck_assert_int_eq(session_release(sessions, f), 0);
	free(bytes);
}

void checked_setup(void)
{
	static const char header[] = "---\nrole: assistant\ntokens: 77\n---\nan answer\n";
	tree_setup();
	for (int i = 0; i < 6; i++) {
		char text[64];
		snprintf(text, sizeof text, "question %d\n", i);
		tree_next(i % 2 ? header : text);
	}
	tree_read(JSON);
	tree_edit("\"title\": \"question 0\"", "\"title\": \"A title\"", false);
	tree_read(JSON);
	tree_write(SESSION "/notes.txt", "notes of the user\n");
	tree_write(SESSION "/context.json", "{\"state\":{\"currentStep\":\"one\"}}\n");
	ck_assert_int_eq(tree_mkdir(SESSION "/d"), 0);
	ck_assert_int_eq(tree_mkdir(SESSION "/d/e"), 0);
	tree_write(SESSION "/d/e/deep", "deep\n");
	tree_write(SESSION "/d/one", "one\n");
	checked_write_big(SESSION "/big", 200000, 0);
	checked_write_big(SESSION "/sparse", 70000, 9 << 20);
	checked_write_big(SESSION "/grown", 10000, 0);
	tree_append(SESSION "/grown", "and a tail\n");
	ck_assert_int_eq(tree_link(SESSION "/big", SESSION "/d/big too"), 0);
	ck_assert_int_eq(tree_make(SESSION "/link", S_IFLNK | 0777), 0);
	ck_assert_int_eq(core_setxattr(store.core, &who, tree_find(SESSION "/d/one"), "user.x",
	                         "y", 1, 0), 0);
	ck_assert_int_eq(core_setxattr(store.core, &who, tree_find(SESSION "/d/one"), "user.z",
	                         "w", 1, 0), 0);
	ck_assert_int_eq(tree_mkdir("u/w/SESSION-261121-004"), 0);
	tree_write("u/w/SESSION-261121-004/messages/001.md", "another\n");
	tree_write("u/plain", "plain content of the user\n");
	ck_assert_int_eq(tree_mkdir("v"), 0);
	ck_assert_int_eq(tree_mkdir("v/w"), 0);
	ck_assert_int_eq(tree_mkdir("v/w/s"), 0);
	tree_write("v/w/s/messages/003.md", "of v\n");
}

void checked_close(void)
{
	session_close(sessions);
	ck_assert_int_eq(core_close(store.core), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
}

void checked_open_kv(bool read_only, bool repair)
{
	const struct kv_options options = {.engine = &kv_engine_memory,
	        .engine_arg = store.memory, .read_only = read_only, .repair = repair};
	ck_assert_int_eq(kv_open(store.path, &unlock_key, &options, &store.kv), 0);
}

void checked_open(void)
{
	checked_open_kv(false, false);
	ck_assert_int_eq(core_open(store.kv, &store.options, &store.core), 0);
	ck_assert_int_eq(session_open(store.core, NULL, NULL, &sessions), 0);
}

/* ---- looking --------------------------------------------------------------------------------- */

struct buf checked_told; /* what the last look said, a line each */

static unsigned dies_at; /* at which of the things that are told the process dies */

static void die(void)
{
	if (dies_at && --dies_at == 0)
		kv_memory_crash(store.memory, false);
}

static void hear(void *arg, const struct check_problem *p)
{
	static const char *const states[] = {"", "mended: ", "left: "};
	ck_assert_int_eq(buf_printf(&checked_told, "%s%s [%s]: %s\n", states[p->state], p->path, p->code,
	                         p->text), 0);
	die();
}

static void hear_try(void *arg, const struct check_try *t)
{
	const char *reason = t->reason ? t->reason : "taken";
	ck_assert_int_eq(buf_printf(&checked_told, "%s %s: %s\n", t->path, t->source, reason), 0);
	die();
}

static struct check_options options_for(struct session_check *s)
{
	checked_told.len = 0;
	return (struct check_options){.rules = session_check_rules(s), .sink = {.problem = hear, .tried = hear_try}};
}

const char *checked_heard(void)
{
	ck_assert_int_eq(buf_append(&checked_told, "", 1), 0);
	checked_told.len--;
	return (const char *)checked_told.data;
}

/* How many problems a look finds that changes nothing. */
uint64_t checked_look(void)
{
	struct session_check *s = session_check_new();
	struct check_options options = options_for(s);
	struct check_result result;
	checked_open_kv(true, false);
	ck_assert_int_eq(core_check(store.kv, &options, &result), 0);
	struct kv_state state;
	kv_get_state(store.kv, &state);
	uint64_t found = result.found + state.damaged;
	check_result_release(&result);
	ck_assert_int_eq(kv_close(store.kv), 0);
	session_check_free(s);
	return found;
}

uint64_t checked_repair_with(const struct check_source *sources, size_t n)
{
	struct session_check *s = session_check_new();
	struct check_options options = options_for(s);
	struct check_result last;
	uint64_t mended;
	options.sources = sources;
	options.n_sources = n;
	checked_open_kv(false, true);
	ck_assert_int_eq(core_check_repair(store.kv, &options, &last, &mended), 0);
	uint64_t left = last.found;
	check_result_release(&last);
	ck_assert_int_eq(kv_close(store.kv), 0);
	session_check_free(s);
	return left;
}

uint64_t checked_repair(void)
{
	return checked_repair_with(NULL, 0);
}

struct kv *checked_copy(const char *name)
{
	const struct kv_options options = {.engine = &kv_engine_memory};
	char path[300], remove[320];
	struct kv *kv;
	ck_assert_int_eq(core_commit_all(store.core), 0);
	snprintf(path, sizeof path, "%s-%s", store.path, name);
	snprintf(remove, sizeof remove, "rm -r '%s'", path);
	ck_assert_int_eq(kv_checkpoint(store.kv, path), 0);
	ck_assert_int_eq(kv_open(path, &unlock_key, &options, &kv), 0);
	ck_assert_int_eq(system(remove), 0); /* this engine has read it */
	return kv;
}

bool checked_repair_dies(const struct check_source *sources, size_t n, unsigned at)
{
	struct session_check *s = session_check_new();
	struct check_options options = options_for(s);
	struct check_result last;
	uint64_t mended;
	options.sources = sources;
	options.n_sources = n;
	checked_open_kv(false, true);
	dies_at = at;
	int r = core_check_repair(store.kv, &options, &last, &mended);
	bool died = !dies_at;
	ck_assert(died || r == 0);
	dies_at = 0;
	check_result_release(&last);
	kv_close(store.kv);
	session_check_free(s);
	return died;
}

void checked_mend(void)
{
	struct session_check *s = session_check_new();
	struct check_options options = options_for(s);
	struct check_result result;
	options.mend = true;
	checked_open_kv(false, true);
	ck_assert_int_eq(core_check(store.kv, &options, &result), 0);
	ck_assert_uint_gt(result.mended, 0);
	check_result_release(&result);
	ck_assert_int_eq(kv_settle(store.kv), 0);
	ck_assert_int_eq(kv_close(store.kv), 0);
	session_check_free(s);
}

int checked_damage(const char *name, unsigned nth)
{
	checked_open_kv(false, false);
	int r = damage_find(name)->apply(store.kv, nth);
	ck_assert_int_eq(kv_close(store.kv), 0);
	return r;
}

static int give(void *arg, struct kv **ret_kv, const char **ret_reason)
{
	*ret_reason = "it cannot be opened";
	if (!arg)
		return -EIO;
	*ret_kv = arg;
	return 0;
}

struct check_source checked_source(const char *name, int64_t time, struct kv *kv)
{
	return (struct check_source){.name = name, .time = time, .open = give, .arg = kv};
}

static int add_name(void *arg, const struct core_dirent *e)
{
	struct checked_names *names = arg;
	if (!strcmp(e->name, ".") || !strcmp(e->name, ".."))
		return 0;
	ck_assert_uint_lt(names->n, 64);
	snprintf(names->of[names->n].name, sizeof names->of[0].name, "%s", e->name);
	names->of[names->n++].type = e->type;
	return 0;
}

struct checked_names *checked_list(uint64_t dir)
{
	struct checked_names *names = calloc(1, sizeof *names);
	ck_assert_ptr_nonnull(names);
	ck_assert_int_eq(session_readdir(sessions, &who, dir, 0, false, add_name, names), 0);
	return names;
}

uint64_t checked_sum(uint64_t ino, bool *ret_readable)
{
	static uint8_t bytes[1 << 16];
	uint64_t sum = 14695981039346656037u;
	struct file *f;
	off_t at = 0;
	ssize_t n;
	ck_assert_int_eq(core_file_open(store.core, &who, ino, O_RDONLY, &f), 0);
	while ((n = core_read(store.core, f, bytes, sizeof bytes, at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ bytes[i]) * 1099511628211u;
		at += n;
	}
	*ret_readable = n == 0;
	ck_assert_int_eq(core_file_release(store.core, f), 0);
	return sum;
}

void checked_expect_heard(const char *text)
{
	ck_assert_msg(strstr(checked_heard(), text) != NULL, "'%s' is not in\n%s", text, checked_heard());
}
