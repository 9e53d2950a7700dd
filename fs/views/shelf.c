#include "fs/views/shelf.h"

#include "fs/views/folder.h"
#include "fs/views/held.h"
#include "fs/views/kept.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define BUCKETS 4096
#define SETTLE_SECONDS 2 /* how long a session that is not settled is left alone */

struct shelf {
	uint64_t dir;
	bool session;
	struct session_version version;
	size_t total;
	unsigned readers;
	time_t settle_after; /* CLOCK_MONOTONIC; 0: it is settled, or a folder's */
	uint64_t touched; /* of the session, when … */
	struct session_files_sum files; /* … this was so: hash 0: not known … */
	bool files_known;		/* … else it may be a kept one, and the rest is not known */
	struct kept_sizes sizes;
	struct shelf *hash_next, *prev, *next; /* by use, the latest first */
};

struct shelves {
	struct sessions *sessions;
	struct catalogue *catalogue;
	_Atomic uint64_t rendered;

	pthread_mutex_t lock; /* guards what follows */
	struct shelf *shelf_hash[BUCKETS], *shelf_first, *shelf_last;
	size_t shelf_count;
	struct held_cache held;
};

static bool same_time(const struct session_version *a, const struct session_version *b)
{
	return a->stamp == b->stamp && a->names == b->names;
}

static size_t bucket_of(uint64_t ino)
{
	return (ino ^ ino >> 24) % BUCKETS;
}

/* ---- shelves ----------------------------------------------------------------------------------- */

static struct shelf *shelf_find(struct shelves *s, uint64_t dir)
{
	struct shelf *f = s->shelf_hash[bucket_of(dir)];

	while (f && f->dir != dir)
		f = f->hash_next;
	return f;
}

static void shelf_unlist(struct shelves *s, struct shelf *f)
{
	*(f->prev ? &f->prev->next : &s->shelf_first) = f->next;
	*(f->next ? &f->next->prev : &s->shelf_last) = f->prev;
}

static void shelf_front(struct shelves *s, struct shelf *f)
{
	f->prev = NULL;
	f->next = s->shelf_first;
	*(s->shelf_first ? &s->shelf_first->prev : &s->shelf_last) = f;
	s->shelf_first = f;
}

static void shelf_remove(struct shelves *s, struct shelf *f)
{
	struct shelf **p = &s->shelf_hash[bucket_of(f->dir)];

	while (*p != f)
		p = &(*p)->hash_next;
	*p = f->hash_next;
	shelf_unlist(s, f);
	kept_release(&f->sizes);
	s->shelf_count--;
	free(f);
}

static struct shelf *shelf_make(struct shelves *s, uint64_t dir)
{
	struct shelf *f = shelf_find(s, dir);

	if (f) {
		shelf_unlist(s, f);
		shelf_front(s, f);
		return f;
	}
	f = calloc(1, sizeof *f);
	if (!f)
		return NULL;
	if (s->shelf_count == SHELF_COUNT)
		shelf_remove(s, s->shelf_last);
	size_t b = bucket_of(dir);
	f->dir = dir;
	f->hash_next = s->shelf_hash[b];
	s->shelf_hash[b] = f;
	shelf_front(s, f);
	s->shelf_count++;
	return f;
}

int shelves_open(struct sessions *sessions, struct catalogue *catalogue, struct shelves **ret_shelves)
{
	struct shelves *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->sessions = sessions;
	s->catalogue = catalogue;
	pthread_mutex_init(&s->lock, NULL);
	*ret_shelves = s;
	return 0;
}

void shelves_close(struct shelves *s)
{
	if (!s)
		return;
	held_empty(&s->held);
	while (s->shelf_first)
		shelf_remove(s, s->shelf_first);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t shelves_rendered(const struct shelves *s)
{
	return atomic_load(&s->rendered);
}

static time_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Whether what is on the shelf holds at @v; the lock is held. */
static bool holds(struct shelves *s, const struct shelf *f, const struct session_version *v)
{
	return session_version_holds(s->sessions, &f->version, v) &&
	       (!f->settle_after || monotonic() < f->settle_after);
}

/* ---- a session's shelf -------------------------------------------------------------------------- */

/* Reads the kept record of this source; without one, looks at the messages' modes. */
static int load_session(struct shelves *s, struct shelf *fresh)
{
	_cleanup_buf_ struct buf record = {0};

	if (fresh->version.settled && session_kept(s->sessions, fresh->dir, &record) == 0 &&
		kept_decode(&record, fresh->version.source, &fresh->readers, &fresh->files.hash, &fresh->sizes) == 0)
		return 0;
	return session_readers(s->sessions, fresh->dir, &fresh->readers);
}

/* The shelf takes over from @fresh what it has not. The lock is held. */
static void renew(struct shelves *s, struct shelf *f, struct shelf *fresh)
{
	bool same = f->session && (session_version_holds(s->sessions, &f->version, &fresh->version) ||
		(f->version.settled && fresh->version.settled &&
		 memcmp(f->version.source, fresh->version.source, 16) == 0));

	if (!same) {
		kept_release(&f->sizes);
		f->sizes = fresh->sizes;
		f->readers = fresh->readers;
		f->files = fresh->files;
		f->files_known = false;
		fresh->sizes = (struct kept_sizes){0};
	}
	f->session = fresh->session;
	f->version = fresh->version;
	f->total = fresh->total;
	f->settle_after = fresh->settle_after;
}

/* The sizes of a settled session survive the daemon. Where they cannot, they are found out again. */
static void store(struct shelves *s, uint64_t dir)
{
	_cleanup_buf_ struct buf record = {0};
	int r = -ENOENT;

	pthread_mutex_lock(&s->lock);
	const struct shelf *f = shelf_find(s, dir);
	if (f && f->session && f->version.settled)
		r = kept_encode(f->version.source, f->readers, f->files.hash, &f->sizes, &record);
	pthread_mutex_unlock(&s->lock);
	if (r == 0)
		(void)session_keep(s->sessions, dir, record.data, record.len);
}

/* Brings a session's shelf up to date. */
static int refresh_session(struct shelves *s, uint64_t dir)
{
	struct shelf fresh = {.dir = dir, .session = true};
	int r = session_version(s->sessions, dir, &fresh.version);

	if (r == 0)
		r = load_session(s, &fresh);
	if (r < 0)
		return r;
	fresh.total = fresh.version.total;
	fresh.settle_after = fresh.version.settled ? 0 : monotonic() + SETTLE_SECONDS;
	pthread_mutex_lock(&s->lock);
	struct shelf *f = shelf_make(s, dir);
	bool waited = f && f->settle_after;
	if (f)
		renew(s, f, &fresh);
	bool settled = waited && fresh.version.settled && f->sizes.n > 0;
	pthread_mutex_unlock(&s->lock);
	kept_release(&fresh.sizes);
	if (settled)
		store(s, dir);
	return f ? 0 : -ENOMEM;
}

/* ---- what is made of all files ------------------------------------------------------------------- */

static bool has_files(uint64_t ino, bool session)
{
	const struct document *d = document_find(session, document_number(ino));

	return d && d->files;
}

/* The lock is held. */
static void take_files(struct shelves *s, uint64_t ino, uint64_t touched, const struct session_files_sum *sum)
{
	struct shelf *f = shelf_find(s, document_dir(ino));

	if (!f)
		return;
	if (f->files.hash != sum->hash) {
		struct held *h = held_find(&s->held, ino);
		if (h)
			held_remove(&s->held, h);
		kept_forget(&f->sizes, document_number(ino));
	}
	f->files = *sum;
	f->files_known = true;
	f->touched = touched;
}

/*
 * Most changes of files that are no messages raise no stamp: what is made of them is thrown away where another walk
 * through them finds another sum.
 */
static int settle_files(struct shelves *s, uint64_t ino)
{
	struct session_files_sum sum;
	uint64_t touched;
	int r = session_touched(s->sessions, document_dir(ino), &touched);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	const struct shelf *f = shelf_find(s, document_dir(ino));
	bool same = f && f->files_known && f->touched == touched;
	pthread_mutex_unlock(&s->lock);
	if (same)
		return 0;
	r = session_files_sum(s->sessions, document_dir(ino), &sum);
	if (r < 0)
		return r;
	MUTEX_GUARD(&s->lock);
	take_files(s, ino, touched, &sum);
	return 0;
}

/* The lock is held. */
static struct look look_of(const struct shelf *f, uint64_t ino, uint64_t size)
{
	struct look look = {.size = size, .changed = f->version.changed, .readers = f->readers, .total = f->total};
	const struct timespec *files = &f->files.changed;

	if (!has_files(ino, f->session))
		return look;
	look.readers &= f->files.readers;
	if (files->tv_sec > look.changed.tv_sec ||
		(files->tv_sec == look.changed.tv_sec && files->tv_nsec > look.changed.tv_nsec))
		look.changed = *files;
	return look;
}

/* ---- looking ----------------------------------------------------------------------------------- */

static int stamp_of(struct shelves *s, uint64_t dir, bool session, struct session_version *ret_version)
{
	if (session)
		return session_stamp(s->sessions, dir, ret_version);
	int r = catalogue_lock(s->catalogue);
	if (r < 0)
		return r;
	*ret_version = (struct session_version){.stamp = s->catalogue->version, .until = INT64_MAX};
	catalogue_unlock(s->catalogue);
	return 0;
}

/* 1: the shelf knows, 0: it does not. */
static int look_at_shelf(struct shelves *s, uint64_t ino, const struct session_version *v,
	struct look *ret_look)
{
	MUTEX_GUARD(&s->lock);
	struct shelf *f = shelf_find(s, document_dir(ino));

	if (!f || !holds(s, f, v))
		return 0;
	*ret_look = look_of(f, ino, 0);
	return kept_get(&f->sizes, document_number(ino), &ret_look->size);
}

static int render_session_document(struct shelves *s, uint64_t ino, const struct document *d,
	struct sink *sink)
{
	struct transcript_range range = {.count = UINT32_MAX, .context = d->context, .files = d->files};
	struct transcript *t;

	if (d->number == DOCUMENT_PAGE)
		range = (struct transcript_range){
			.from = (document_number(ino) - DOCUMENT_PAGE) * RENDER_PAGE, .count = RENDER_PAGE};
	else if (d->messages == MESSAGES_NONE)
		range.count = 0;
	else if (d->messages == MESSAGES_LAST) {
		range.last = true;
		range.count = RESUME_MESSAGES;
	}
	int r = 0;
	if (d->messages == MESSAGES_REMEMBERED) {
		range.last = true;
		r = session_memory_size(s->sessions, document_dir(ino), &range.count);
	}
	if (r == 0)
		r = transcript_open(s->sessions, document_dir(ino), &range, &t);
	if (r < 0)
		return r;
	if (d->number == DOCUMENT_PAGE && t->n == 0)
		r = -ENOENT; /* that page has gone */
	else
		d->session(t, sink);
	transcript_free(t);
	return r < 0 ? r : sink->error;
}

/* @shelf (may be NULL) gets what the listing says of itself. */
static int render_folder_document(struct shelves *s, uint64_t ino, const struct document *d,
	struct sink *sink, struct shelf *shelf)
{
	struct folder folder;
	uint32_t number = document_number(ino);
	int r = folder_open(s->catalogue, document_dir(ino), &folder);

	if (r < 0)
		return r;
	folder.listing.page = number >= DOCUMENT_PAGE ? number - DOCUMENT_PAGE + 1 : 0;
	if (folder.listing.page > document_pages_of(false, folder.listing.n))
		r = -ENOENT;
	else
		d->listing(&folder.listing, sink);
	if (shelf) {
		shelf->readers = folder.readers;
		shelf->total = folder.listing.n;
		shelf->version.changed = folder.changed;
		shelf->version.until = INT64_MAX;
	}
	folder_release(&folder);
	return r < 0 ? r : sink->error;
}

static int render(struct shelves *s, uint64_t ino, struct sink *sink, struct shelf *shelf)
{
	bool session = session_role(s->sessions, document_dir(ino)) == ROLE_SESSION;
	const struct document *d = document_find(session, document_number(ino));

	if (!d)
		return -ENOENT;
	atomic_fetch_add(&s->rendered, 1);
	return session ? render_session_document(s, ino, d, sink)
		       : render_folder_document(s, ino, d, sink, shelf);
}

int shelf_render(struct shelves *s, uint64_t ino, struct sink *sink)
{
	return render(s, ino, sink, NULL);
}

/* The lock is held. */
static void put_on_shelf(struct shelves *s, uint64_t ino, const struct session_version *v,
	struct shelf *folder, struct rendering *r)
{
	struct shelf *f = shelf_find(s, document_dir(ino));

	if (folder) {
		f = shelf_make(s, document_dir(ino));
		folder->version.stamp = v->stamp;
		folder->version.names = v->names;
		if (f && !holds(s, f, v)) {
			kept_release(&f->sizes);
			f->sizes = (struct kept_sizes){0};
		}
		if (f) {
			f->session = false;
			f->version = folder->version;
			f->readers = folder->readers;
			f->total = folder->total;
		}
	}
	struct session_version at = *v;
	at.until = f ? f->version.until : 0;
	if (f && same_time(&f->version, v))
		kept_set(&f->sizes, document_number(ino), r->size);
	held_add(&s->held, ino, &at, r);
}

/* Renders the document as of the stamp @v, which was read before. */
static int make_rendering(struct shelves *s, uint64_t ino, bool session, const struct session_version *v,
	struct rendering **ret_rendering)
{
	struct rendering *r = calloc(1, sizeof *r);
	struct sink sink = {.to = RENDERING_MAX, .whole = true};
	struct shelf folder = {0};

	if (!r)
		return -ENOMEM;
	r->refs = 1;
	int error = render(s, ino, &sink, session ? NULL : &folder);
	if (error < 0) {
		buf_release(&sink.bytes);
		free(r);
		return error;
	}
	r->size = sink.at;
	r->whole = sink.at <= RENDERING_MAX;
	if (r->whole)
		r->bytes = sink.bytes;
	else
		buf_release(&sink.bytes);
	pthread_mutex_lock(&s->lock);
	put_on_shelf(s, ino, v, session ? NULL : &folder, r);
	pthread_mutex_unlock(&s->lock);
	if (session)
		store(s, document_dir(ino));
	*ret_rendering = r;
	return 0;
}

static bool shelf_holds(struct shelves *s, uint64_t dir, const struct session_version *v)
{
	MUTEX_GUARD(&s->lock);
	const struct shelf *f = shelf_find(s, dir);

	return f && holds(s, f, v);
}

static int settle_session(struct shelves *s, uint64_t ino, bool *ret_session, struct session_version *ret_version)
{
	uint64_t dir = document_dir(ino);
	struct look look;

	*ret_session = session_role(s->sessions, dir) == ROLE_SESSION;
	int r = stamp_of(s, dir, *ret_session, ret_version);
	if (r < 0 || !*ret_session || look_at_shelf(s, ino, ret_version, &look))
		return r;
	bool fresh = shelf_holds(s, dir, ret_version);
	/* Bringing session.json up to date is a change itself, so that this may have to be done twice. */
	for (unsigned tries = 0; tries < 3 && r == 0 && !fresh; tries++) {
		r = refresh_session(s, dir);
		if (r == 0)
			r = stamp_of(s, dir, true, ret_version);
		fresh = shelf_holds(s, dir, ret_version);
	}
	return r;
}

/* The stamp, with the session's shelf brought up to it. */
static int settle(struct shelves *s, uint64_t ino, bool *ret_session, struct session_version *ret_version)
{
	int r = settle_session(s, ino, ret_session, ret_version);

	return r == 0 && has_files(ino, *ret_session) ? settle_files(s, ino) : r;
}

int shelf_look(struct shelves *s, uint64_t ino, struct look *ret_look)
{
	struct rendering *rendering = NULL;
	struct session_version v;
	bool session;

	for (unsigned tries = 0; tries < 8; tries++) {
		int r = settle(s, ino, &session, &v);
		if (r == 0 && look_at_shelf(s, ino, &v, ret_look))
			return 0;
		if (r == 0)
			r = make_rendering(s, ino, session, &v, &rendering);
		if (r < 0)
			return r;
		/* What the shelf says beside the size, also where somebody changes the session all the time. */
		pthread_mutex_lock(&s->lock);
		const struct shelf *f = shelf_find(s, document_dir(ino));
		if (f)
			*ret_look = look_of(f, ino, rendering->size);
		pthread_mutex_unlock(&s->lock);
		rendering_unref(rendering);
		if (f)
			return 0;
	}
	return -EAGAIN;
}

int shelf_take(struct shelves *s, uint64_t ino, struct rendering **ret_rendering)
{
	struct session_version v;
	bool session;
	int r = settle(s, ino, &session, &v);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	struct held *h = held_find(&s->held, ino);
	if (h && session_version_holds(s->sessions, &h->version, &v)) {
		*ret_rendering = rendering_ref(h->rendering);
		pthread_mutex_unlock(&s->lock);
		return 0;
	}
	pthread_mutex_unlock(&s->lock);
	return make_rendering(s, ino, session, &v, ret_rendering);
}

int shelf_total(struct shelves *s, uint64_t dir, size_t *ret_total)
{
	struct session_version v;
	struct look look = {0};
	struct folder folder;
	bool session;
	int r = settle(s, document_ino(dir, DOCUMENT_PAGES), &session, &v);

	if (r < 0)
		return r;
	if (session) {
		look_at_shelf(s, document_ino(dir, DOCUMENT_PAGES), &v, &look);
		*ret_total = look.total;
		return 0;
	}
	r = folder_open(s->catalogue, dir, &folder);
	if (r < 0)
		return r;
	*ret_total = folder.listing.n;
	folder_release(&folder);
	return 0;
}
