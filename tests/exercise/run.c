#include "tests/exercise/run.h"

#include "tests/exercise/sessions.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#define TARGET_MAX 4095 /* bytes of a symlink's target */

void run_init(struct run *run, struct target *t, struct model *m)
{
	struct stat st;
	*run = (struct run){.t = t, .m = m, .bytes = malloc(RUN_IO), .seen = malloc(RUN_IO)};
	if (!run->bytes || !run->seen)
		abort();
	m->versions = t->kills;
	clock_gettime(CLOCK_REALTIME, &run->started);
	if (t->ops->stat(t, "", 0, &st) < 0)
		abort();
	m->root->times[TIME_A] = st.st_atim;
	m->root->times[TIME_M] = st.st_mtim;
	m->root->times[TIME_C] = st.st_ctim;
}

void run_release(struct run *run)
{
	run->t->ops->free(run->t);
	if (run->sessions)
		sessions_model_free(run->sessions);
	for (unsigned i = 0; i < STEP_PASTS; i++)
		if (run->pasts[i])
			model_free(run->pasts[i]);
	model_free(run->m);
	free(run->bytes);
	free(run->seen);
}

void run_fail(struct run *run, const char *fmt, ...)
{
	va_list ap;
	if (run->failed)
		return;
	run->failed = true;
	va_start(ap, fmt);
	vsnprintf(run->why, sizeof run->why, fmt, ap);
	va_end(ap);
}

void run_path(const struct step_path *path, char ret_text[RUN_PATH])
{
	size_t at = 0;
	ret_text[0] = '\0';
	for (unsigned i = 0; i < step_path_depth(path); i++)
		at += (size_t)snprintf(ret_text + at, RUN_PATH - at, "%s%s", i ? "/" : "",
			step_name(path->name[i] - 1u));
}

void run_begin(struct run *run)
{
	clock_gettime(CLOCK_REALTIME, &run->began);
}

void run_end(struct run *run)
{
	clock_gettime(CLOCK_REALTIME, &run->ended);
}

static const char *answer(int64_t r, char text[64])
{
	snprintf(text, 64, "%lld%s%s", (long long)r, r < 0 ? " " : "",
		r < 0 ? strerrorname_np((int)-r) : "");
	return text;
}

bool run_same(struct run *run, int64_t expected, int64_t got)
{
	char want[64], have[64];
	bool same = expected == got;
	if (!same && run->t->lax && expected < 0)
		for (unsigned i = 0; i < run->m->n_also; i++)
			same = same || got == run->m->also[i];
	if (!same)
		run_fail(run, "answer %s, expected %s", answer(got, have), answer(expected, want));
	return same;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int do_make(struct run *run, const struct step *s, const char *path)
{
	char link[TARGET_MAX + 1];
	size_t len = 1 + s->length % TARGET_MAX;
	int expected;
	if (s->verb == VERB_mkdir) {
		expected = model_mkdir(run->m, &s->path, s->mode);
		return expected == MODEL_SKIP ||
		       run_same(run, expected,
			       run->t->ops->make(run->t, path, S_IFDIR | (s->mode & 01777), 0, NULL));
	}
	if (s->verb == VERB_mknod) {
		expected = model_mknod(run->m, &s->path, s->mode, (dev_t)s->seed);
		return expected == MODEL_SKIP ||
		       run_same(run, expected,
			       run->t->ops->make(run->t, path, s->mode, (dev_t)s->seed, NULL));
	}
	/* None of them leads anywhere. */
	for (size_t i = 0; i < len; i++)
		link[i] = i % 97 == 96 ? '/' : (char)('A' + (s->seed + i) % 26);
	link[len] = '\0';
	expected = model_symlink(run->m, &s->path, link);
	return expected == MODEL_SKIP ||
	       run_same(run, expected, run->t->ops->make(run->t, path, S_IFLNK | 0777, 0, link));
}

/* Levels below a directory. */
static unsigned height(const struct node *node)
{
	unsigned highest = 0;
	for (const struct entry *e = node->entries; e; e = e->next) {
		unsigned h = 1 + height(e->node);
		highest = h > highest ? h : highest;
	}
	return highest;
}

/* Not deeper than paths can be. */
static bool too_deep(struct run *run, const struct step_path *from, const struct step_path *to)
{
	const struct node *node = model_find(run->m, from);
	return node && height(node) + step_path_depth(to) > STEP_DEPTH;
}

static int do_rename(struct run *run, const struct step *s, const char *path)
{
	char to[RUN_PATH];
	int expected;
	if (too_deep(run, &s->path, &s->path2) ||
		(s->flags & RENAME_EXCHANGE && too_deep(run, &s->path2, &s->path)))
		return MODEL_SKIP;
	run_path(&s->path2, to);
	expected = model_rename(run->m, &s->path, &s->path2, s->flags);
	return expected == MODEL_SKIP ||
	       run_same(run, expected, run->t->ops->rename(run->t, path, to, s->flags));
}

static int do_name(struct run *run, const struct step *s, const char *path)
{
	char to[RUN_PATH];
	int expected;
	switch (s->verb) {
	case VERB_link:
		run_path(&s->path2, to);
		expected = model_link(run->m, &s->path, &s->path2);
		return expected == MODEL_SKIP ||
		       run_same(run, expected, run->t->ops->link(run->t, path, to));
	case VERB_unlink:
		expected = model_unlink(run->m, &s->path);
		return expected == MODEL_SKIP ||
		       run_same(run, expected, run->t->ops->unlink(run->t, path));
	default:
		expected = model_rmdir(run->m, &s->path);
		return expected == MODEL_SKIP ||
		       run_same(run, expected, run->t->ops->rmdir(run->t, path));
	}
}

/* ---- attributes ------------------------------------------------------------------------------ */

static const char *const attr_names[] = {"user.a", "user.b", "user.c", "trusted.t", "security.s",
	"user.0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
	"567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
	"567890123456789012345678901234567890123456789012345678901234567890123",
	"user.\xc3\xa4", "unknown.x"};

static const char *attr_name(const struct step *s)
{
	return attr_names[s->mode % (sizeof attr_names / sizeof attr_names[0])];
}

static void acl_of(uint32_t seed, struct acl_list *acl)
{
	static const uint16_t tags[] = {1, 2, 2, 4, 8, 16, 32};
	bool named = seed & 1 << 28, group = seed & 1 << 29, mask = seed & 1 << 30 || named || group;
	acl->n = 0;
	for (unsigned i = 0; i < 7; i++) {
		uint16_t tag = tags[i];
		if ((tag == 2 && !named) || (tag == 8 && !group) || (tag == 16 && !mask))
			continue;
		acl->items[acl->n++] = (struct acl_item){.tag = tag,
			.perm = seed >> 3 * i & 7,
			.id = tag == 2 || tag == 8 ? 1000 + i : UINT32_MAX};
	}
}

static void set_xattr(struct run *run, const struct step *s, const char *path)
{
	size_t len = s->length % 66000;
	int expected;
	content_fill(run->bytes, len, s->seed);
	expected = model_setxattr(run->m, &s->path, attr_name(s), run->bytes, len, (int)s->flags);
	run_same(run, expected,
		run->t->ops->setxattr(run->t, path, attr_name(s), run->bytes, len, (int)s->flags));
}

static void get_xattr(struct run *run, const struct step *s, const char *path)
{
	const struct attr *a;
	int expected = model_getxattr(run->m, &s->path, attr_name(s), &a);
	ssize_t n = run->t->ops->getxattr(run->t, path, attr_name(s), run->seen, 65536);
	if (run_same(run, expected < 0 ? expected : (int64_t)a->size, n) && n > 0 &&
		memcmp(run->seen, a->value, (size_t)n))
		run_fail(run, "another value of %s", attr_name(s));
}

static void set_acl(struct run *run, const struct step *s, const char *path)
{
	static const char *const names[] = {"system.posix_acl_access", "system.posix_acl_default"};
	uint8_t value[4 + 8 * ACL_ITEMS];
	struct acl_list acl;
	bool defaults = s->flags & 1;
	int expected;
	if (s->verb == VERB_removeacl) {
		expected = model_removeacl(run->m, &s->path, defaults);
		run_same(run, expected, run->t->ops->removexattr(run->t, path, names[defaults]));
		return;
	}
	acl_of(s->seed, &acl);
	expected = model_setacl(run->m, &s->path, defaults, &acl);
	size_t len = compare_encode_acl(&acl, value);
	run_same(run, expected, run->t->ops->setxattr(run->t, path, names[defaults], value, len, 0));
}

static void set_times(struct run *run, const struct step *s, const char *path)
{
	struct timespec tv[2];
	for (unsigned i = 0; i < 2; i++) {
		unsigned kind = s->flags >> 4 * i & 15;
		tv[i].tv_sec = kind == 3 ? -1 - (long)(s->seed % 100000) : (long)(s->seed % 4000000000u);
		tv[i].tv_nsec = kind == 0 ? UTIME_OMIT : kind == 1 ? UTIME_NOW : (long)(s->seed % 1000000000u);
	}
	run_same(run, model_utimens(run->m, &s->path, tv), run->t->ops->utimens(run->t, path, tv));
}

static void do_attr(struct run *run, const struct step *s, const char *path)
{
	struct node *node = model_find(run->m, &s->path);
	mode_t mode = s->mode & 07777;
	switch (s->verb) {
	case VERB_chmod:
		if (node && !S_ISREG(node->mode))
			mode &= S_ISDIR(node->mode) ? 02777 : 0777;
		run_same(run, model_chmod(run->m, &s->path, mode), run->t->ops->chmod(run->t, path, mode));
		break;
	case VERB_chown: {
		uid_t uid = s->flags & 1 ? s->seed % 3 : UINT32_MAX;
		gid_t gid = s->flags & 2 || !(s->flags & 1) ? s->seed / 3 % 3 : UINT32_MAX;
		run_same(run, model_chown(run->m, &s->path, uid, gid),
			run->t->ops->chown(run->t, path, uid, gid));
		break;
	}
	case VERB_utimens:
		set_times(run, s, path);
		break;
	case VERB_setxattr:
		set_xattr(run, s, path);
		break;
	case VERB_getxattr:
		get_xattr(run, s, path);
		break;
	case VERB_removexattr:
		run_same(run, model_removexattr(run->m, &s->path, attr_name(s)),
			run->t->ops->removexattr(run->t, path, attr_name(s)));
		break;
	default:
		set_acl(run, s, path);
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

static void do_stat(struct run *run, const struct step *s, const char *path)
{
	struct node *node;
	struct stat st;
	int expected = model_look(run->m, &s->path, &node);
	run_same(run, expected, run->t->ops->stat(run->t, path, 0, &st));
	if (!expected)
		model_touch(node, 0, 0);
}

static void do_restart(struct run *run, const struct step *s)
{
	bool clean = s->verb == VERB_reopen || !run->t->kills;
	int r;
	if (clean)
		for (unsigned i = 0; i < STEP_SLOTS && !run->failed; i++)
			if (run->m->slots[i].node)
				run_same(run, 0, run->t->ops->close(run->t, i));
	model_close_all(run->m, clean);
	r = clean ? run->t->ops->reopen(run->t) : run->t->ops->kill(run->t);
	if (r < 0)
		run_fail(run, "the store does not open again: %s", strerror(-r));
	run_end(run);
	if (!clean && !run->failed)
		compare_crashed(run);
	if (!run->failed)
		compare_all(run);
	compare_pasts(run);
}

static void do_other(struct run *run, const struct step *s, const char *path)
{
	switch (s->verb) {
	case VERB_stat:
		do_stat(run, s, path);
		break;
	case VERB_umask:
		run->m->umask = s->mode & 0777;
		run->t->ops->umask(run->t, s->mode & 0777);
		break;
	case VERB_list:
	case VERB_check:
		compare_all(run);
		break;
	default:
		do_restart(run, s);
	}
}

void run_step(struct run *run, const struct step *s)
{
	char path[RUN_PATH];
	int r = 0;
	run->m->n_also = 0;
	if (run->sessions) {
		sessions_step(run, s);
		return;
	}
	run_path(&s->path, path);
	run_begin(run);
	if (s->verb <= VERB_symlink)
		r = do_make(run, s, path);
	else if (s->verb == VERB_rename)
		r = do_rename(run, s, path);
	else if (s->verb <= VERB_rmdir)
		r = do_name(run, s, path);
	else if (s->verb <= VERB_mmap_private)
		run_data(run, s);
	else if (s->verb <= VERB_removeacl)
		do_attr(run, s, path);
	else if (s->verb >= VERB_snap && s->verb <= VERB_change_past)
		r = past_step(run, s);
	else if (s->verb <= VERB_kill)
		do_other(run, s, path);
	run_end(run);
	run->skipped += r == MODEL_SKIP;
	if (!run->failed)
		compare_touched(run);
}
