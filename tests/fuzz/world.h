/*
 * world.h: what fuzzers share: an assertion, the input in pieces, and a store on the in-memory engine.
 * Every fuzzer is one file that includes it.
 */
#ifndef SCRIBEFS_TESTS_FUZZ_WORLD_H
#define SCRIBEFS_TESTS_FUZZ_WORLD_H

#include "fs/session/session.h"
#include "kv/bytes.h"
#include "kv/cleanup.h"
#include "kv/engine/memory.h"
#include "kv/keyring.h"
#include "kv/kv.h"
#include "kv/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define expect(held) ((held) ? (void)0 : expect_failed(#held, __FILE__, __LINE__))

static inline void expect_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* ---- the input ------------------------------------------------------------------------------- */

struct input {
	const uint8_t *p;
	size_t left;
};

/* 0 where nothing is left. */
static inline uint8_t input_u8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint16_t input_u16(struct input *in)
{
	uint16_t high = input_u8(in);

	return (uint16_t)(high << 8 | input_u8(in));
}

/* @len bytes, or what is left. */
static inline struct input input_part(struct input *in, size_t len)
{
	struct input part = {in->p, len < in->left ? len : in->left};

	in->p += part.left;
	in->left -= part.left;
	return part;
}

/* Makes a folder in TMPDIR. It stays: who runs a fuzzer removes that (tests/fuzz/run). */
static inline void make_folder(char ret_path[PATH_MAX])
{
	const char *in = getenv("TMPDIR");
	int n = snprintf(ret_path, PATH_MAX, "%s/scribefs-fuzz-XXXXXX", in ? in : "/tmp");

	expect(n < PATH_MAX && mkdtemp(ret_path));
}

/* ---- a store --------------------------------------------------------------------------------- */

static const uint8_t world_secret[KEYRING_KEY_FILE_BYTES] = {1, 2, 3};
static const struct kv_unlock world_unlock = {KEYRING_KEY_FILE, world_secret, sizeof world_secret};
static const struct cred world_who = {.uid = 1000, .gid = 1000, .pid = 0, .umask = 022};

struct world {
	char path[PATH_MAX]; /* the keyring's */
	struct kv_memory *memory;
	struct kv *kv;
	struct core *core;
	struct sessions *sessions;
};

static inline int world_open_kv(struct world *w, bool repair)
{
	struct kv_options options = {.engine = &kv_engine_memory, .engine_arg = w->memory, .repair = repair};

	return kv_open(w->path, &world_unlock, &options, &w->kv);
}

/* What was opened is there also where it returns -errno. */
static inline int world_open(struct world *w)
{
	static const struct core_options options = {
		.root_role = ROLE_USERS, .root_uid = 1000, .root_gid = 1000, .root_mode = 0755, .commit_ms = 3600000};
	int r = world_open_kv(w, false);

	if (r == 0)
		r = core_open(w->kv, &options, &w->core);
	return r < 0 ? r : session_open(w->core, NULL, NULL, &w->sessions);
}

static inline void world_close(struct world *w)
{
	if (w->sessions)
		session_close(w->sessions);
	if (w->core)
		core_close(w->core);
	if (w->kv)
		kv_close(w->kv);
	w->sessions = NULL;
	w->core = NULL;
	w->kv = NULL;
}

static inline void world_new(struct world *w)
{
	struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305, .first = world_unlock};

	*w = (struct world){0};
	make_folder(w->path);
	log_setup(LOG_LEVEL_ERROR, true);
	w->memory = kv_memory_new();
	expect(w->memory && keyring_create(w->path, &init, NULL) == 0);
	expect(world_open(w) == 0);
}

/* The inode of what is made. */
static inline uint64_t world_make(struct world *w, uint64_t parent, const char *name, mode_t mode, const char *target)
{
	struct core_make make = {.mode = mode, .target = target};
	struct core_entry e;

	expect(session_make(w->sessions, &world_who, parent, name, &make, &e) == 0);
	core_forget(w->core, e.ino, 1);
	return e.ino;
}

static inline uint64_t world_write(struct world *w, uint64_t parent, const char *name, const void *text, size_t len,
	off_t at)
{
	struct core_entry e;
	struct file *f;

	expect(session_create(w->sessions, &world_who, parent, name, 0600, O_RDWR, &e, &f) == 0);
	expect(session_write(w->sessions, f, text, len, at, 0) == (ssize_t)len);
	expect(session_flush(w->sessions, f) == 0);
	session_release(w->sessions, f);
	core_forget(w->core, e.ino, 1);
	return e.ino;
}

/* 0: there is none. */
static inline uint64_t world_find(struct world *w, uint64_t parent, const char *name)
{
	struct core_entry e;

	if (session_lookup(w->sessions, &world_who, parent, name, &e) < 0)
		return 0;
	core_forget(w->core, e.ino, 1);
	return e.ino;
}

#endif
