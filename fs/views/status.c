/*
 * status.c: status/: what there is on the whole, as files: stats.json, and sessions.json of all sessions,
 * problems.json of what is not as documented.
 *
 * They are those of the owner of users/, and of what he sees; only he and root may read them. A document is made when
 * somebody looks and something has changed; an open one stays as it was.
 */
#include "fs/views/folder.h"
#include "fs/views/problems.h"
#include "fs/views/stats.h"
#include "fs/views/tree.h"

#include "kv/cleanup.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define STATUS_TREE 4
#define STATUS_INO TREE_BASE(STATUS_TREE)
#define DOCUMENTS 3

struct status;
/* Appended to @out; *@ret_contents: of the catalogue, as of before. */
typedef int (*make_document)(struct status *s, const struct stats_sizes *sizes, struct sink *out,
	uint64_t *ret_contents);
static int make_stats(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents);
static int make_sessions(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents);
static int make_problems(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents);

/* Their places are their numbers, from 1 on, for ever. */
static const struct {
	const char *name;
	make_document make;
} documents[DOCUMENTS] = {
	{"stats.json", make_stats},
	{"sessions.json", make_sessions},
	{"problems.json", make_problems},
};

/* The bytes of a document at one moment. */
struct text {
	_Atomic unsigned refs;
	struct buf bytes;
};

struct status {
	struct sessions *sessions;
	struct catalogue *catalogue;
	pthread_mutex_t lock; /* guards what follows; above the catalogue's */
	struct {
		struct text *text; /* NULL: none was made yet … */
		uint64_t contents; /* … else as of then */
		struct stats_sizes sizes;
		struct timespec changed;
	} made[DOCUMENTS];
};

static void text_unref(struct text *t)
{
	if (t && atomic_fetch_sub(&t->refs, 1) == 1) {
		buf_release(&t->bytes);
		free(t);
	}
}

static int status_start(struct sessions *sessions, struct catalogue *catalogue, void **ret_state)
{
	struct status *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->sessions = sessions;
	s->catalogue = catalogue;
	pthread_mutex_init(&s->lock, NULL);
	*ret_state = s;
	return 0;
}

static void status_stop(void *state)
{
	struct status *s = state;

	for (unsigned i = 0; i < DOCUMENTS; i++)
		text_unref(s->made[i].text);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ---- documents ----------------------------------------------------------------------------------- */

static int make_stats(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents)
{
	struct stats stats;
	struct stat users;
	int r = core_getattr(session_core(s->sessions), CORE_ROOT_INO, &users, NULL);

	if (r < 0)
		return r;
	struct viewer owner = {.uid = users.st_uid, .gid = users.st_gid};
	r = stats_take(s->catalogue, &owner, &stats, ret_contents);
	if (r < 0)
		return r;
	stats.sizes = *sizes;
	render_stats(&stats, out);
	stats_release(&stats);
	return out->error;
}

static int contents_of(struct catalogue *c, uint64_t *ret_contents)
{
	int r = catalogue_lock(c);

	if (r < 0)
		return r;
	*ret_contents = c->contents;
	catalogue_unlock(c);
	return 0;
}

static int make_sessions(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents)
{
	struct folder folder;
	int r = contents_of(s->catalogue, ret_contents);

	if (r == 0)
		r = folder_open(s->catalogue, CORE_ROOT_INO, &folder);
	if (r < 0)
		return r;
	render_sessions(&folder.listing, out);
	folder_release(&folder);
	return out->error;
}

static int make_problems(struct status *s, const struct stats_sizes *sizes, struct sink *out, uint64_t *ret_contents)
{
	struct stat users;
	int r = core_getattr(session_core(s->sessions), CORE_ROOT_INO, &users, NULL);
	struct viewer owner = {.uid = users.st_uid, .gid = users.st_gid};

	return r < 0 ? r : problems_render(s->sessions, s->catalogue, &owner, out, ret_contents);
}

/* The lock is held. */
static int make(struct status *s, unsigned i, const struct stats_sizes *sizes)
{
	struct sink sink = {.to = UINT64_MAX};
	struct text *old = s->made[i].text, *text;
	uint64_t contents;
	int r = documents[i].make(s, sizes, &sink, &contents);

	text = r == 0 ? calloc(1, sizeof *text) : NULL;
	if (!text) {
		buf_release(&sink.bytes);
		return r < 0 ? r : -ENOMEM;
	}
	s->made[i].contents = contents;
	s->made[i].sizes = *sizes;
	*text = (struct text){.refs = 1, .bytes = sink.bytes};
	if (old && old->bytes.len == text->bytes.len &&
		memcmp(old->bytes.data, text->bytes.data, old->bytes.len) == 0) {
		text_unref(text);
		return 0;
	}
	s->made[i].text = text;
	clock_gettime(CLOCK_REALTIME, &s->made[i].changed);
	text_unref(old);
	return 0;
}

/* Brings the document @i up to date; the lock is held. */
static int refresh(struct status *s, unsigned i)
{
	struct stats_sizes sizes;
	uint64_t contents;
	int r = contents_of(s->catalogue, &contents);

	if (r < 0)
		return r;
	stats_sizes(s->sessions, &sizes);
	bool same_sizes = memcmp(&sizes, &s->made[i].sizes, sizeof sizes) == 0;
	if (s->made[i].text && s->made[i].contents == contents && same_sizes)
		return 0;
	return make(s, i, &sizes);
}

/* ---- the tree ------------------------------------------------------------------------------------ */

/* Which document; DOCUMENTS: none. */
static unsigned document_of(uint64_t ino)
{
	return ino > STATUS_INO && ino - STATUS_INO <= DOCUMENTS ? (unsigned)(ino - STATUS_INO) - 1 : DOCUMENTS;
}

static int status_getattr(void *state, const struct viewer *who, uint64_t ino, struct stat *ret_st, bool *ret_fleeting)
{
	struct status *s = state;
	unsigned i = document_of(ino);

	*ret_fleeting = true;
	if (ino == STATUS_INO) {
		ret_st->st_mode = S_IFDIR | 0555;
		ret_st->st_nlink = 2;
		return 0;
	}
	if (i == DOCUMENTS)
		return -ENOENT;
	ret_st->st_mode = S_IFREG | 0400;
	ret_st->st_nlink = 1;
	/* To others not even the size says anything. */
	if (who->uid != 0 && who->uid != ret_st->st_uid)
		return 0;
	MUTEX_GUARD(&s->lock);
	int r = refresh(s, i);
	if (r < 0)
		return r;
	ret_st->st_size = (off_t)s->made[i].text->bytes.len;
	ret_st->st_blocks = (blkcnt_t)((ret_st->st_size + 511) / 512);
	ret_st->st_atim = ret_st->st_mtim = ret_st->st_ctim = s->made[i].changed;
	return 0;
}

static int status_lookup(void *state, const struct viewer *who, uint64_t parent, const char *name,
	struct core_entry *ret_entry)
{
	struct status *s = state;
	struct core_entry entry = {.generation = 1, .fleeting_name = true};
	struct stat users;

	if (parent != STATUS_INO)
		return -ENOTDIR;
	if (strcmp(name, ".") == 0)
		entry.ino = STATUS_INO;
	for (unsigned i = 0; i < DOCUMENTS; i++)
		if (strcmp(name, documents[i].name) == 0)
			entry.ino = STATUS_INO + 1 + i;
	int r = entry.ino ? core_getattr(session_core(s->sessions), CORE_ROOT_INO, &users, NULL) : -ENOENT;
	if (r < 0)
		return r;
	entry.st = (struct stat){
		.st_ino = entry.ino, .st_uid = users.st_uid, .st_gid = users.st_gid, .st_blksize = 4096};
	r = status_getattr(state, who, entry.ino, &entry.st, &entry.fleeting_attr);
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* No attributes: whoever wants the size asks. */
static int status_readdir(void *state, const struct viewer *who, uint64_t ino, uint64_t cookie, bool with_attr,
	core_fill fill, void *arg)
{
	struct core_dirent entries[2 + DOCUMENTS] = {
		{.name = ".", .type = S_IFDIR, .ino = STATUS_INO},
		{.name = "..", .type = S_IFDIR, .ino = VIEWS_ROOT_INO},
	};

	if (ino != STATUS_INO)
		return -ENOTDIR;
	for (unsigned i = 0; i < DOCUMENTS; i++)
		entries[2 + i] = (struct core_dirent){
			.name = documents[i].name, .type = S_IFREG, .ino = STATUS_INO + 1 + i};
	for (size_t i = (size_t)cookie; i < 2 + DOCUMENTS; i++) {
		entries[i].cookie = i + 1;
		int r = fill(arg, &entries[i]);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return 0;
}

static int status_open(void *state, uint64_t ino, void **ret_file)
{
	struct status *s = state;
	unsigned i = document_of(ino);

	if (i == DOCUMENTS)
		return -EISDIR;
	MUTEX_GUARD(&s->lock);
	int r = refresh(s, i);
	if (r < 0)
		return r;
	atomic_fetch_add(&s->made[i].text->refs, 1);
	*ret_file = s->made[i].text;
	return 0;
}

static ssize_t status_read(void *state, uint64_t ino, void *file, void *data, size_t size, off_t offset)
{
	const struct buf *bytes = &((const struct text *)file)->bytes;

	if (offset < 0)
		return -EINVAL;
	size_t left = (uint64_t)offset < bytes->len ? bytes->len - (size_t)offset : 0, n = left < size ? left : size;
	if (n > 0)
		memcpy(data, bytes->data + offset, n);
	return (ssize_t)n;
}

static void status_release(void *state, void *file)
{
	text_unref(file);
}

const struct tree tree_status = {
	.name = "status",
	.type = S_IFDIR,
	.first = STATUS_INO,
	.last = TREE_LAST(STATUS_TREE),
	.start = status_start,
	.stop = status_stop,
	.lookup = status_lookup,
	.getattr = status_getattr,
	.readdir = status_readdir,
	.open = status_open,
	.read = status_read,
	.release = status_release,
};
