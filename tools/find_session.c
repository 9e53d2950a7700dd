#include "tools/find_session.h"

#include "fs/fuse/mountinfo.h"
#include "fs/session/json.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/find_derived.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define RECOVERY "RECOVERY-"
#define CONTINUATION "CONTINUATION-"
#define SESSION_DEPTH 3 /* below users/: user, workflow, session */

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* ---- files of a session ------------------------------------------------------------------------ */

int find_read(const struct found_session *found, const char *name, struct buf *ret_text)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof path, "%s/%s", found->past.shown, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	int r = fd < 0 ? -errno : buf_resize(ret_text, JSON_MAX + 2);
	size_t done = 0;
	while (r == 0 && done < JSON_MAX + 1) {
		ssize_t n = read(fd, ret_text->data + done, JSON_MAX + 1 - done);
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n == 0)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	if (r < 0)
		return r;
	ret_text->len = done;
	ret_text->data[done] = 0;
	return 0;
}

int find_context(const struct found_session *found, struct saved_context *ret_context)
{
	struct saved_context saved = {0};
	_cleanup_buf_ struct buf text = {0};
	char path[PATH_MAX];
	struct stat st;
	int r = find_read(found, CONTEXT_NAME, &text);

	if (r == -ENOENT)
		return 1;
	if (r == 0 && snprintf(path, sizeof path, "%s/" CONTEXT_NAME, found->past.shown) < (int)sizeof path &&
		lstat(path, &st) == 0)
		saved.saved = st.st_mtim;
	if (r == 0)
		r = context_read((const char *)text.data, text.len, &saved.c, &saved.broken);
	if (r < 0 && r != -EINVAL) {
		log_error("cannot read " CONTEXT_NAME " of %s: %s", found->past.path, strerror(-r));
		return r;
	}
	*ret_context = saved;
	return 0;
}

void find_attribute(const char *directory, const char *name, char *ret_text, size_t size)
{
	char full[64];

	snprintf(full, sizeof full, "user.scribefs.%s", name);
	ssize_t n = getxattr(directory, full, ret_text, size - 1);
	ret_text[n < 0 ? 0 : n] = 0;
}

/* ---- all sessions of a mount ------------------------------------------------------------------- */

/* Calls @each for each session in @directory, which is @depth below users/, until it returns something but 0. */
static int walk(const char *directory, int depth, int (*each)(void *arg, const char *session), void *arg)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[PATH_MAX];
	int r = 0;

	if (!dir)
		return errno == EACCES || errno == ENOENT || errno == ENOTDIR ? 0 : -errno; /* not ours, or just gone */
	while (r == 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) ||
			snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
			continue;
		r = depth + 1 < SESSION_DEPTH ? walk(path, depth + 1, each, arg) : each(arg, path);
	}
	closedir(dir);
	return r;
}

int find_users(const char *near, char ret_users[PATH_MAX])
{
	struct mountinfo mount;
	int r = mountinfo_find_above(near ? near : ".", &mount);

	if (r < 0 && !near)
		r = mountinfo_find_only(&mount);
	if (r == -EMLINK)
		log_error("several stores are mounted; name a path in one of them");
	else if (r < 0 && near)
		log_error("%s does not lie in a mount of scribefs", near);
	else if (r < 0)
		log_error("no store is mounted; 'scribefs mount' does that");
	if (r < 0)
		return r;
	return snprintf(ret_users, PATH_MAX, "%s/users", mount.point) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* ---- the one to go on with --------------------------------------------------------------------- */

struct choice {
	char path[PATH_MAX], activity[40];
	bool interrupted;
};

static int choose(void *arg, const char *session)
{
	struct choice *c = arg;
	char activity[40], interrupted[16];

	find_attribute(session, "last_activity", activity, sizeof activity);
	find_attribute(session, "interrupted", interrupted, sizeof interrupted);
	bool is = interrupted[0] != 0;
	if (!activity[0] || (c->interrupted && !is) ||
		(c->interrupted == is && strcmp(activity, c->activity) <= 0)) /* RFC 3339 in UTC sorts */
		return 0;
	c->interrupted = is;
	snprintf(c->path, sizeof c->path, "%s", session);
	memcpy(c->activity, activity, sizeof activity);
	return 0;
}

static int find_newest(const char *directory, int depth, struct found_session *found)
{
	struct choice c = {0};
	int r = walk(directory, depth, choose, &c);

	if (r < 0) {
		log_error("cannot look for sessions in %s: %s", directory, strerror(-r));
		return r;
	}
	if (!c.path[0]) {
		log_error("there is no session in %s", directory);
		return -ENOENT;
	}
	found->chosen = true;
	return past_find(c.path, &found->past);
}

/* ---- by name ------------------------------------------------------------------------------------ */

struct by_name {
	const char *name, *snapshot; /* of the one or the other */
	char path[PATH_MAX];
	unsigned n;
};

static int match(void *arg, const char *session)
{
	struct by_name *b = arg;
	char past[PATH_MAX];
	struct stat st;

	if (b->name && strcmp(strrchr(session, '/') + 1, b->name) != 0)
		return 0;
	if (b->snapshot && (snprintf(past, sizeof past, "%s/.snapshots/%s", session, b->snapshot) >= (int)sizeof past ||
				   lstat(past, &st) < 0))
		return 0;
	if (b->n == 0)
		snprintf(b->path, sizeof b->path, "%s", session);
	b->n++;
	return b->snapshot ? 1 : 0; /* no other has it */
}

/* The one session of this name, or that has this snapshot. -ENOENT silently. */
static int find_match(const char *users, struct by_name *b)
{
	int r = walk(users, 0, match, b);

	if (r == 0 && b->n > 1) {
		log_error("%u sessions are called %s; name the path of one, as %s", b->n, b->name, b->path);
		return -EEXIST;
	}
	return r < 0 ? r : b->n ? 0 : -ENOENT;
}

/* ---- ids ---------------------------------------------------------------------------------------- */

/* A moment of a session. Of a larger place it names no session. */
static int find_recovery(const char *users, const char *id, struct found_session *found)
{
	struct by_name b = {.snapshot = id};
	char word[PATH_MAX + NAME_MAX + 2];
	int r = find_match(users, &b);

	if (r == -ENOENT)
		log_error("no session has a snapshot %s; 'scribefs snapshot list' tells which there are (of a snapshot "
			  "of a workflow, a user or users/ name PATH@%s)",
			id, id);
	if (r < 0)
		return r;
	snprintf(word, sizeof word, "%s@%s", b.path, id);
	return past_find(word, &found->past);
}

/* Whether the step was the current one. 0: yes; 1: it is a step of then; 2: neither. */
static int stands_at(const struct past *past, const char *step)
{
	struct found_session at = {.past = *past};
	struct saved_context saved = {0};
	size_t place;
	int r = 2;

	if (find_context(&at, &saved) == 0) {
		const struct context_item *found = context_find_step(&saved.c, step, &place);
		r = found == NULL ? 2 : found == &saved.c.step ? 0 : 1;
	}
	context_release(&saved.c);
	return r;
}

struct moment {
	const char *step;
	struct past current, any;
	bool has_any;
};

static int is_moment(void *arg, const struct past *past)
{
	struct moment *m = arg;
	int r = stands_at(past, m->step);

	if (r == 0)
		m->current = *past;
	if (r == 1 && !m->has_any) {
		m->any = *past;
		m->has_any = true;
	}
	return r == 0;
}

static int find_continuation(const char *users, const char *id, struct found_session *found)
{
	unsigned day, number;
	int end = 0;
	char name[32];
	struct by_name b = {.name = name};

	if (sscanf(id + strlen(CONTINUATION), "%6u-%u-%n", &day, &number, &end) != 2 || end == 0 ||
		!id[strlen(CONTINUATION) + (size_t)end]) {
		log_error("%s is no CONTINUATION-YYMMDD-NNN-STEP", id);
		return -EINVAL;
	}
	const char *step = id + strlen(CONTINUATION) + end;
	snprintf(name, sizeof name, "SESSION-%06u-%03u", day, number);
	int r = find_match(users, &b);
	if (r == -ENOENT)
		log_error("there is no session %s", name);
	if (r == 0)
		r = past_find(b.path, &found->past);
	if (r < 0)
		return r;
	snprintf(found->step, sizeof found->step, "%s", step);
	struct moment m = {.step = step};
	int now = stands_at(&found->past, step);
	if (now == 0)
		return 0;
	r = past_each(&found->past, is_moment, &m);
	if (r == 1)
		found->past = m.current;
	else if (now != 1 && m.has_any)
		found->past = m.any;
	else if (now != 1) {
		log_error("%s has no step %s, now or in a snapshot", name, step);
		return -ENOENT;
	}
	return 0;
}

/* ---- words --------------------------------------------------------------------------------------- */

/* Something in a session stands for it. */
static int up_to_session(const char *word, struct found_session *found)
{
	struct past *p = &found->past;
	int depth = past_session_depth(p);

	if (depth == INT_MAX || p->depth < depth) {
		log_error("%s is no session", word);
		return -EINVAL;
	}
	p->path[past_prefix(p, depth)] = 0;
	p->depth = depth;
	past_above(p, depth, p->shown);
	return 0;
}

/* A mountpoint, users/, a user or a workflow: how deep below users/ it is, and where. -1: neither. */
static int depth_above_sessions(const char *word, char ret_directory[PATH_MAX])
{
	struct mountinfo mount;
	char path[PATH_MAX];
	struct stat st;

	if (stat(word, &st) < 0 || !S_ISDIR(st.st_mode) || !realpath(word, path) ||
		mountinfo_find_above(path, &mount) < 0)
		return -1;
	size_t len = strcmp(mount.point, "/") ? strlen(mount.point) : 0;
	const char *below = path + len;
	if (!*below || !strcmp(below, "/")) {
		snprintf(ret_directory, PATH_MAX, "%.*s/users", (int)len, path);
		return 0;
	}
	if (strcmp(below, "/users") != 0 && !begins(below, "/users/"))
		return -1;
	int depth = 0;
	for (const char *p = below + 6; *p; p++)
		depth += *p == '/';
	snprintf(ret_directory, PATH_MAX, "%s", path);
	return depth < SESSION_DEPTH && !strstr(below, "/.") ? depth : -1;
}

/* A word without a slash that is no file here: an id, or a session's name. */
static int find_by_word(const char *near, const char *word, struct found_session *found)
{
	char users[PATH_MAX], path[PATH_MAX + NAME_MAX + 2], name[NAME_MAX + 1];
	struct by_name b = {.name = name};
	int r = find_users(near, users);

	if (r < 0)
		return r;
	if (begins(word, RECOVERY))
		return find_recovery(users, word, found);
	if (begins(word, CONTINUATION))
		return find_continuation(users, word, found);
	size_t len = strcspn(word, "@");
	snprintf(name, sizeof name, "%.*s", (int)(len < NAME_MAX ? len : NAME_MAX), word);
	r = find_match(users, &b);
	if (r == -ENOENT && word[len])
		return past_find(word, &found->past); /* one that is no more */
	if (r == -ENOENT)
		log_error("there is no session %s", name);
	if (r < 0)
		return r;
	snprintf(path, sizeof path, "%s%s", b.path, word + len);
	return past_find(path, &found->past);
}

static int find_word(const char *word, struct found_session *found)
{
	char directory[PATH_MAX];
	const char *slash = strrchr(word, '/'), *last = slash ? slash + 1 : word;
	struct stat st;

	int depth = depth_above_sessions(word, directory);
	if (depth >= 0)
		return find_newest(directory, depth, found);
	if (lstat(word, &st) < 0 && (begins(last, RECOVERY) || begins(last, CONTINUATION))) {
		snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - word) : 0, word);
		return find_by_word(slash ? directory : NULL, last, found);
	}
	snprintf(directory, sizeof directory, "%.*s", (int)strcspn(word, "@"), word);
	if (!slash && lstat(word, &st) < 0 && (!directory[0] || lstat(directory, &st) < 0))
		return find_by_word(NULL, word, found);
	return past_find(word, &found->past);
}

static int set_exports(struct found_session *found)
{
	const struct past *p = &found->past;
	size_t len = p->top - strlen("/users");
	int n = snprintf(found->exports, sizeof found->exports, "%.*s/exports%s%s%s", (int)len, p->path,
		p->path + p->top, p->snapshot[0] ? "@" : "", p->snapshot);

	return n < (int)sizeof found->exports ? 0 : -ENAMETOOLONG;
}

int find_session(const char *word, struct found_session *ret_found)
{
	char users[PATH_MAX], real[FIND_WORD];
	int r = word ? find_derived(word, real) : 0;

	*ret_found = (struct found_session){0};
	if (r < 0)
		return r;
	if (r > 0)
		word = real;
	if (word) {
		r = find_word(word, ret_found);
	} else {
		r = find_users(NULL, users);
		if (r == 0)
			r = find_newest(users, 0, ret_found);
	}
	if (r == 0)
		r = up_to_session(word ? word : ret_found->past.path, ret_found);
	return r < 0 ? r : set_exports(ret_found);
}
