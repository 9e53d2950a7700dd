#include "tests/tamper/look.h"

#include "fs/session/check.h"
#include "fs/session/session.h"
#include "kv/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THINGS_MAX 4096

/* A thing of the tree: everything about it that must not change is in the hash. */
struct thing {
	char path[160];
	uint64_t hash;
};

struct things {
	struct thing *thing;
	size_t n;
	unsigned errors;
	uint64_t hit[64]; /* inodes of files that could not be read */
	unsigned hits;
	char first[200];
};

struct walk {
	struct core *core;
	struct sessions *sessions;
	struct cred who;
	struct things *things;
};

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	for (const uint8_t *p = data; len > 0; p++, len--)
		h = (h ^ *p) * 0x100000001b3u;
	return h;
}

static void note(struct things *t, const char *path, const char *what, int error)
{
	if (!t->first[0])
		snprintf(t->first, sizeof t->first, "%s, %s: %s", path, what, strerror(-error));
}

static void failed(struct walk *w, const char *path, const char *what, int error, uint64_t file)
{
	struct things *t = w->things;
	bool known = file == 0;

	note(t, path, what, error);
	t->errors++;
	for (unsigned i = 0; i < t->hits; i++)
		known |= t->hit[i] == file;
	if (!known && t->hits < 64)
		t->hit[t->hits++] = file;
}

static int read_file(struct walk *w, const struct core_entry *e, uint64_t *hash)
{
	static uint8_t data[128 << 10];
	struct file *f;
	ssize_t n = 0;
	int r = core_file_open(w->core, &w->who, e->ino, O_RDONLY, &f);

	if (r < 0)
		return r;
	for (off_t at = 0; (n = core_read(w->core, f, data, sizeof data, at)) > 0; at += n)
		*hash = mix(*hash, data, (size_t)n);
	r = core_file_release(w->core, f);
	return n < 0 ? (int)n : r;
}

/* The order of names is nobody's promise. */
static int read_xattrs(struct walk *w, uint64_t ino, uint64_t *ret_sum)
{
	_cleanup_buf_ struct buf names = {0}, value = {0};
	uint64_t sum = 0;
	int r = core_listxattr(w->core, ino, &names);

	for (size_t at = 0; r == 0 && at < names.len;) {
		const char *name = (const char *)names.data + at;
		r = core_getxattr(w->core, ino, name, &value);
		at += strlen(name) + 1;
		if (r == 0)
			sum += mix(mix(1, name, strlen(name)), value.data, value.len);
	}
	*ret_sum = sum;
	return r;
}

static int read_thing(struct walk *w, const struct core_entry *e, uint64_t *hash)
{
	_cleanup_buf_ struct buf target = {0};
	int r = 0;

	*hash = mix(*hash, &e->st.st_mode, sizeof e->st.st_mode);
	*hash = mix(*hash, &e->st.st_uid, sizeof e->st.st_uid);
	if (S_ISREG(e->st.st_mode)) {
		*hash = mix(*hash, &e->st.st_size, sizeof e->st.st_size);
		r = read_file(w, e, hash);
	} else if (S_ISLNK(e->st.st_mode)) {
		r = core_readlink(w->core, e->ino, &target);
		*hash = mix(*hash, target.data, target.len);
	}
	return r;
}

static void add(struct things *t, const char *path, const char *what, uint64_t hash)
{
	struct thing *thing = &t->thing[t->n];

	if (t->n == THINGS_MAX)
		return;
	snprintf(thing->path, sizeof thing->path, "%.150s%s", path, what);
	thing->hash = hash;
	t->n++;
}

struct names {
	char name[512][64];
	size_t n;
};

static int take_name(void *arg, const struct core_dirent *d)
{
	struct names *names = arg;

	if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
		return 0;
	if (names->n == 512)
		return -E2BIG;
	snprintf(names->name[names->n++], 64, "%s", d->name);
	return 0;
}

static void walk_dir(struct walk *w, uint64_t dir, const char *path);

static void walk_entry(struct walk *w, uint64_t dir, const char *path, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u, xattrs;
	struct core_entry e;
	char below[160];
	int r = session_lookup(w->sessions, &w->who, dir, name, &e);

	snprintf(below, sizeof below, "%.90s%s%.60s", path, *path ? "/" : "", name);
	if (r < 0) {
		failed(w, below, "look-up", r, 0);
		return;
	}
	r = read_thing(w, &e, &hash);
	if (r < 0)
		failed(w, below, "read", r, S_ISREG(e.st.st_mode) ? e.ino : 0);
	else
		add(w->things, below, "", hash);
	/* A record of their own, which may be older than the file's. */
	r = read_xattrs(w, e.ino, &xattrs);
	if (r < 0)
		failed(w, below, "attributes", r, 0);
	else
		add(w->things, below, " (xattrs)", xattrs);
	if (S_ISDIR(e.st.st_mode))
		walk_dir(w, e.ino, below);
	core_forget(w->core, e.ino, 1);
}

static void walk_dir(struct walk *w, uint64_t dir, const char *path)
{
	struct names *names = calloc(1, sizeof *names);
	int r = names ? session_readdir(w->sessions, &w->who, dir, 0, false, take_name, names)
		      : -ENOMEM;

	if (r < 0)
		failed(w, path, "list", r, 0);
	for (size_t i = 0; names && i < names->n; i++)
		walk_entry(w, dir, path, names->name[i]);
	free(names);
}

/* Opens as the daemon does, and reads all. */
static int walk(const char *path, struct things *things, struct kv_state *ret_state)
{
	const struct core_options options = {.root_role = ROLE_USERS, .root_mode = 0755};
	struct core_options as = options;
	struct walk w = {.things = things};
	struct kv *kv;
	int r = kv_open(path, &tamper_key, NULL, &kv);

	if (r < 0)
		return r;
	kv_get_state(kv, ret_state);
	as.read_only = ret_state->read_only;
	r = core_open(kv, &as, &w.core);
	if (r == 0) {
		r = session_open(w.core, NULL, NULL, &w.sessions);
		if (r == 0) {
			walk_dir(&w, CORE_ROOT_INO, "");
			session_close(w.sessions);
		}
		(void)core_close(w.core);
	}
	(void)kv_close(kv);
	return r;
}

int look_list(const char *path, const char *list)
{
	struct things things = {.thing = calloc(THINGS_MAX, sizeof(struct thing))};
	struct kv_state state;
	int r = things.thing ? walk(path, &things, &state) : -ENOMEM;
	FILE *f = r == 0 ? fopen(list, "w") : NULL;

	for (size_t i = 0; f && i < things.n; i++)
		fprintf(f, "%016llx %s\n", (unsigned long long)things.thing[i].hash,
			things.thing[i].path);
	if (f)
		fclose(f);
	free(things.thing);
	if (r == 0 && things.errors) {
		fprintf(stderr, "%s\n", things.first);
		return -EIO;
	}
	return r;
}

static struct things load_list(const char *list)
{
	struct things t = {.thing = calloc(THINGS_MAX, sizeof(struct thing))};
	FILE *f = t.thing ? fopen(list, "r") : NULL;
	unsigned long long hash;

	while (f && t.n < THINGS_MAX &&
		fscanf(f, "%llx %159[^\n]", &hash, t.thing[t.n].path) == 2)
		t.thing[t.n++].hash = hash;
	if (f)
		fclose(f);
	return t;
}

static const struct thing *find_thing(const struct things *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->thing[i].path, path) == 0)
			return &t->thing[i];
	return NULL;
}

/* Whether any thing of an earlier state was this one: a name put back may lead to what moved since. */
static bool was(const struct things *t, const struct thing *thing)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->thing[i].hash == thing->hash)
			return true;
	return false;
}

/*
 * Of a log that ended early there are states between the two; and what is rendered from records of which
 * one is older was perhaps never so. Both are told, the one by the mount and the other by fsck.
 */
static bool in_between(const struct things *wanted, const struct things *older, const char *path, bool told)
{
	const struct thing *now = find_thing(wanted, path), *then = find_thing(older, path);

	return strstr(path, "/session.json") || (told && !(now && then && now->hash == then->hash));
}

static void compare(struct things *found, struct things *wanted, struct things *older,
	struct seen *seen)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct thing *thing = &found->thing[i], *want = find_thing(wanted, thing->path);
		if (want && want->hash == thing->hash) {
			seen->same++;
			continue;
		}
		bool known = was(wanted, thing) || was(older, thing) ||
			     in_between(wanted, older, thing->path, seen->told);
		seen->older += known;
		seen->wrong += !known;
		note(found, thing->path, known ? "older" : "wrong", 0);
	}
	for (size_t i = 0; i < wanted->n; i++)
		if (!find_thing(found, wanted->thing[i].path)) {
			seen->gone++;
			note(found, wanted->thing[i].path, "is not there", -ENOENT);
		}
}

void look_mount(const char *path, const char *list, const char *older, struct seen *seen)
{
	struct things found = {.thing = calloc(THINGS_MAX, sizeof(struct thing))};
	struct things wanted = load_list(list), before = load_list(older);
	struct kv_state state = {0};

	seen->opened = walk(path, &found, &state);
	seen->told = state.damaged || state.mark_lost;
	seen->errors = found.errors;
	seen->inodes_hit = found.hits;
	if (seen->opened == 0)
		compare(&found, &wanted, &before, seen);
	memcpy(seen->first, found.first, sizeof seen->first);
	free(found.thing);
	free(wanted.thing);
	free(before.thing);
}

static void hear(void *arg, const struct check_problem *problem)
{
	(void)problem;
	*(bool *)arg = true;
}

void look_fsck(const char *path, struct seen *seen)
{
	const struct kv_options options = {.read_only = true};
	struct session_check *sessions = session_check_new();
	const struct check_options how = {.rules = session_check_rules(sessions),
		.sink = {.problem = hear, .arg = &seen->fsck}};
	struct check_result result = {0};
	struct kv_state state = {0};
	struct kv *kv;
	int r = kv_open(path, &tamper_key, &options, &kv);

	if (r == 0) {
		kv_get_state(kv, &state);
		r = core_check(kv, &how, &result);
		seen->fsck |= result.found > 0 || result.gaps > 0;
		check_result_release(&result);
		(void)kv_close(kv);
	}
	seen->fsck |= r < 0 || state.damaged;
	session_check_free(sessions);
}
