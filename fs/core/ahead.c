#include "fs/core/ahead.h"

#include "fs/core/data.h"

#include <signal.h>

enum window_state { WINDOW_NONE, WINDOW_WANTED, WINDOW_ON_ITS_WAY, WINDOW_READ };

struct window {
	enum window_state state;
	uint64_t number; /* offset by AHEAD_WINDOW */
	uint8_t *bytes;	 /* AHEAD_WINDOW, once it was used */
	size_t len;
	unsigned takers; /* who copy from it: it is not used anew meanwhile */
	struct map_root of; /* the file as it was */
	uint64_t size;
};

struct ahead {
	struct inode *inode; /* the file's; a reference while it is queued */
	pthread_mutex_t lock; /* the windows */
	pthread_cond_t changed;
	struct window windows[AHEAD_WINDOWS];
	/* reader->lock: */
	unsigned refs; /* the file, the queue */
	bool queued;
	struct ahead *next;
};

struct reader {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ahead *queue, **queue_end;
	unsigned streams, started;
	bool stop;
	pthread_t threads[AHEAD_THREADS];
};

/* ---- streams --------------------------------------------------------------------------------- */

static void ahead_put(struct reader *reader, struct ahead *a)
{
	bool last;

	pthread_mutex_lock(&reader->lock);
	last = --a->refs == 0;
	reader->streams -= last;
	pthread_mutex_unlock(&reader->lock);
	if (!last)
		return;
	for (unsigned i = 0; i < AHEAD_WINDOWS; i++)
		free(a->windows[i].bytes);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static struct window *find(struct ahead *a, uint64_t number)
{
	for (unsigned i = 0; i < AHEAD_WINDOWS; i++)
		if (a->windows[i].state != WINDOW_NONE && a->windows[i].number == number)
			return &a->windows[i];
	return NULL;
}

/* Whether the file can be told from one with other bytes, now. inode->lock is held. */
static bool settled(const struct inode *inode)
{
	return inode->rec.body == INODE_MAPPED && inode->data.dirty.count == 0;
}

static bool is_current(const struct window *w, const struct inode *inode)
{
	const struct map_root *was = &w->of, *is = &inode->rec.map;

	return settled(inode) && w->size == inode->rec.size && was->next_version == is->next_version &&
	       was->root.type == is->root.type && was->root.version == is->root.version &&
	       was->root.length == is->root.length && was->depth == is->depth &&
	       was->chunk_shift == is->chunk_shift;
}

/* ---- the threads ----------------------------------------------------------------------------- */

static void enqueue(struct reader *reader, struct ahead *a)
{
	MUTEX_GUARD(&reader->lock);
	if (a->queued || reader->stop)
		return;
	a->queued = true;
	a->refs++;
	inode_ref(a->inode);
	a->next = NULL;
	*reader->queue_end = a;
	reader->queue_end = &a->next;
	pthread_cond_signal(&reader->wake);
}

static void fill(struct inode *inode, struct window *w)
{
	ssize_t n = 0;

	if (!w->bytes)
		w->bytes = malloc(AHEAD_WINDOW);
	pthread_rwlock_rdlock(&inode->lock);
	if (w->bytes && settled(inode)) {
		w->of = inode->rec.map;
		w->size = inode->rec.size;
		n = data_read(inode, w->bytes, AHEAD_WINDOW, w->number * AHEAD_WINDOW);
	}
	pthread_rwlock_unlock(&inode->lock);
	w->len = n > 0 ? (size_t)n : 0;
}

/* Under a->lock. The first that is wanted; *@ret_more: there is another. */
static struct window *first_wanted(struct ahead *a, bool *ret_more)
{
	struct window *first = NULL;

	*ret_more = false;
	for (unsigned i = 0; i < AHEAD_WINDOWS; i++) {
		struct window *w = &a->windows[i];

		if (w->state != WINDOW_WANTED)
			continue;
		*ret_more = first != NULL;
		if (!first || w->number < first->number)
			first = w;
	}
	return first;
}

/* One that is on its way is this thread's alone; the next may be another's. */
static void fill_wanted(struct reader *reader, struct ahead *a)
{
	struct window *w;
	bool more;

	MUTEX_GUARD(&a->lock);
	while ((w = first_wanted(a, &more))) {
		w->state = WINDOW_ON_ITS_WAY;
		pthread_mutex_unlock(&a->lock);
		if (more)
			enqueue(reader, a);
		fill(a->inode, w);
		pthread_mutex_lock(&a->lock);
		w->state = w->len ? WINDOW_READ : WINDOW_NONE;
		pthread_cond_broadcast(&a->changed);
	}
}

static struct ahead *next_stream(struct reader *reader)
{
	struct ahead *a;

	MUTEX_GUARD(&reader->lock);
	while (!reader->queue && !reader->stop)
		pthread_cond_wait(&reader->wake, &reader->lock);
	if (reader->stop)
		return NULL;
	a = reader->queue;
	reader->queue = a->next;
	if (!reader->queue)
		reader->queue_end = &reader->queue;
	a->queued = false;
	return a;
}

static void *reader_thread(void *arg)
{
	struct reader *reader = arg;
	struct ahead *a;

	while ((a = next_stream(reader))) {
		struct inode *inode = a->inode;

		fill_wanted(reader, a);
		ahead_put(reader, a);
		inode_put(inode);
	}
	return NULL;
}

/* Under reader->lock. Whether there is a thread. */
static bool start(struct reader *reader)
{
	sigset_t all, old;

	if (reader->started)
		return true;
	/* Signals are for the threads that expect them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (reader->started < AHEAD_THREADS &&
		pthread_create(&reader->threads[reader->started], NULL, reader_thread, reader) == 0)
		reader->started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return reader->started > 0;
}

int reader_init(struct core *core)
{
	struct reader *reader = calloc(1, sizeof *reader);

	if (!reader)
		return -ENOMEM;
	reader->queue_end = &reader->queue;
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->wake, NULL);
	core->reader = reader;
	return 0;
}

void reader_stop(struct core *core)
{
	struct reader *reader = core->reader;

	if (!reader)
		return;
	pthread_mutex_lock(&reader->lock);
	reader->stop = true;
	pthread_cond_broadcast(&reader->wake);
	pthread_mutex_unlock(&reader->lock);
	for (unsigned i = 0; i < reader->started; i++)
		pthread_join(reader->threads[i], NULL);
	for (struct ahead *a = reader->queue, *next; a; a = next) {
		struct inode *inode = a->inode;

		next = a->next;
		ahead_put(reader, a);
		inode_put(inode);
	}
	pthread_cond_destroy(&reader->wake);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
	core->reader = NULL;
}

/* ---- readers --------------------------------------------------------------------------------- */

/* Where the file has no stream yet it gets one, unless there are many. */
static struct ahead *stream_of(struct reader *reader, struct file *file)
{
	struct ahead *a = atomic_load(&file->ahead);

	if (a)
		return a;
	MUTEX_GUARD(&reader->lock);
	a = atomic_load(&file->ahead);
	if (a || reader->streams >= AHEAD_STREAMS || !start(reader))
		return a;
	a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->changed, NULL);
	a->inode = file->inode;
	a->refs = 1;
	reader->streams++;
	atomic_store(&file->ahead, a);
	return a;
}

void ahead_wait(struct file *file, uint64_t offset)
{
	struct ahead *a = atomic_load(&file->ahead);
	struct window *w;

	if (!a)
		return;
	MUTEX_GUARD(&a->lock);
	while ((w = find(a, offset / AHEAD_WINDOW)) && w->state == WINDOW_ON_ITS_WAY)
		pthread_cond_wait(&a->changed, &a->lock);
	if (w && w->state == WINDOW_WANTED)
		w->state = WINDOW_NONE; /* whoever asks is faster */
}

size_t ahead_take(struct file *file, void *data, size_t size, uint64_t offset)
{
	struct ahead *a = atomic_load(&file->ahead);
	size_t from = (size_t)(offset % AHEAD_WINDOW);
	struct window *w;

	if (!a)
		return 0;
	MUTEX_GUARD(&a->lock);
	w = find(a, offset / AHEAD_WINDOW);
	if (!w || w->state != WINDOW_READ || !is_current(w, file->inode))
		return 0;
	if (offset + size > w->size && offset < w->size)
		size = (size_t)(w->size - offset);
	if (from + size > w->len)
		return 0;
	w->takers++;
	pthread_mutex_unlock(&a->lock);
	memcpy(data, w->bytes + from, size);
	pthread_mutex_lock(&a->lock);
	w->takers--;
	return size;
}

/* Under a->lock. Whether a window that was wanted neither is there nor will be. */
static bool want(struct ahead *a, uint64_t number, uint64_t current)
{
	if (find(a, number))
		return false;
	for (unsigned i = 0; i < AHEAD_WINDOWS; i++) {
		struct window *w = &a->windows[i];
		bool passed = w->number < current || w->number > current + AHEAD_WINDOWS;

		if (w->state == WINDOW_ON_ITS_WAY || w->takers || (w->state != WINDOW_NONE && !passed))
			continue;
		w->state = WINDOW_WANTED;
		w->number = number;
		return true;
	}
	return false;
}

/* Reads of several threads come in any order, near to each other. */
static bool goes_on(struct file *file, uint64_t offset, size_t n)
{
	uint64_t next = atomic_load(&file->next);
	bool near = offset <= next + AHEAD_WINDOW && offset + AHEAD_WINDOW >= next;

	if (near && offset + n <= next)
		return false;
	atomic_store(&file->next, offset + n);
	if (!near)
		atomic_store(&file->streak, 0);
	return near && atomic_fetch_add(&file->streak, 1) >= AHEAD_AFTER;
}

void ahead_note(struct core *core, struct file *file, uint64_t offset, size_t n)
{
	uint64_t current = (offset + n - 1) / AHEAD_WINDOW;
	struct ahead *a;
	bool any = false;

	if (n < AHEAD_READ_MIN || !goes_on(file, offset, n))
		return;
	a = stream_of(core->reader, file);
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	for (uint64_t i = 1; i < AHEAD_WINDOWS; i++)
		any |= want(a, current + i, current);
	pthread_mutex_unlock(&a->lock);
	if (any)
		enqueue(core->reader, a);
}

void ahead_end(struct file *file)
{
	struct ahead *a = atomic_load(&file->ahead);

	if (a)
		ahead_put(file->inode->core->reader, a);
}
