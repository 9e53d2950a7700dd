/*
 * commit.c: when buffered data is committed: by the thread here after a while, by its owner on
 * close, fsync or when there is too much of it, by whoever wants all of it.
 *
 * An inode with uncommitted changes is on core's list, which holds a reference, from the change to
 * the commit that stores it (data_publish()). A commit that fails leaves it there, and the thread
 * tries again after a while; who asked is told, or else the error waits in data.error for the next
 * who can be.
 */
#include "fs/core/chunk.h"
#include "fs/core/pins.h"

#define BATCH 64 /* inodes that the thread takes off the list at a time */
#define ATTR_MS 60000 /* a changed atime can wait */
#define RETRY_MS_MAX 30000
#define LISTED_MAX 4096 /* with more inodes listed nothing waits: they cannot leave memory */

struct committer {
	struct core *core;
	pthread_t thread;
	pthread_cond_t wake; /* with core->dirty_lock, which guards the rest */
	bool stop;
	uint64_t asleep_until; /* ms; 0: awake */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The thread wakes this often while something is due. */
static uint64_t tick(const struct core *core)
{
	return core->options.commit_ms / 4 + 1;
}

void data_mark_dirty(struct inode *inode)
{
	struct core *core = inode->core;
	struct data *d = &inode->data;
	struct committer *c = core->committer;
	uint64_t commit_ms = core->options.commit_ms;
	uint64_t due = now_ms() + (d->content ? commit_ms - commit_ms / 4 : ATTR_MS);

	if (inode->ghost && inode->rec.body != INODE_MAPPED)
		return; /* lives and dies in memory */
	MUTEX_GUARD(&core->dirty_lock);
	if (!d->on_dirty_list) {
		d->on_dirty_list = true;
		inode_ref(inode);
		d->dirty_prev = NULL;
		d->dirty_next = core->dirty_head;
		if (d->dirty_next)
			d->dirty_next->data.dirty_prev = inode;
		core->dirty_head = inode;
		core->dirty_listed++;
		d->due_ms = due;
	} else if (due < d->due_ms && !d->failures) {
		d->due_ms = due;
	}
	if (c && (d->due_ms < c->asleep_until || core->dirty_listed > LISTED_MAX))
		pthread_cond_signal(&c->wake);
}

bool data_unlist(struct inode *inode)
{
	struct core *core = inode->core;
	struct data *d = &inode->data;

	MUTEX_GUARD(&core->dirty_lock);
	d->failures = 0;
	if (!d->on_dirty_list)
		return false;
	if (d->dirty_next)
		d->dirty_next->data.dirty_prev = d->dirty_prev;
	*(d->dirty_prev ? &d->dirty_prev->data.dirty_next : &core->dirty_head) = d->dirty_next;
	d->dirty_prev = d->dirty_next = NULL;
	d->on_dirty_list = false;
	core->dirty_listed--;
	return true;
}

static int commit_once(struct core *core, struct inode *inode)
{
	_cleanup_(op_end) struct op op;

	op_begin(&op, core, NULL);
	if (!op_stage(&op, inode))
		return -ENOMEM;
	return data_dirty(inode) ? op_commit(&op) : 0;
}

int commit_inode(struct core *core, struct inode *inode, bool keep_error)
{
	int r = OP_RETRY(commit_once(core, inode));
	unsigned failures;
	uint64_t wait;

	if (r == 0)
		return 0;
	if (keep_error) {
		pthread_rwlock_wrlock(&inode->lock);
		inode->data.error = r;
		pthread_rwlock_unlock(&inode->lock);
	}
	MUTEX_GUARD(&core->dirty_lock);
	failures = inode->data.failures++;
	wait = (uint64_t)core->options.commit_ms << (failures < 8 ? failures : 8);
	inode->data.due_ms = now_ms() + (wait < RETRY_MS_MAX ? wait : RETRY_MS_MAX);
	return r;
}

int commit_or_tell(struct core *core, struct inode *inode)
{
	bool dirty;
	int r;

	pthread_rwlock_wrlock(&inode->lock);
	dirty = inode->data.content;
	r = inode->data.error;
	inode->data.error = 0;
	pthread_rwlock_unlock(&inode->lock);
	return dirty ? commit_inode(core, inode, false) : r;
}

int core_commit(struct core *core, uint64_t ino)
{
	_cleanup_inode_ struct inode *inode = inode_peek(core, ino);

	return inode ? commit_or_tell(core, inode) : 0;
}

/* References to everything on the list; dirty_lock keeps each of them alive until it has ours. */
static int collect_all(struct core *core, struct inode ***ret_inodes, size_t *ret_n)
{
	struct inode **inodes;
	size_t n = 0;

	MUTEX_GUARD(&core->dirty_lock);
	inodes = calloc(core->dirty_listed + 1, sizeof *inodes);
	if (!inodes)
		return -ENOMEM;
	for (struct inode *in = core->dirty_head; in; in = in->data.dirty_next)
		inodes[n++] = inode_ref(in);
	*ret_inodes = inodes;
	*ret_n = n;
	return 0;
}

int core_commit_all(struct core *core)
{
	_cleanup_free_ struct inode **inodes = NULL;
	size_t n = 0;
	int first = collect_all(core, &inodes, &n);

	for (size_t i = 0; i < n; i++) {
		int r = commit_inode(core, inodes[i], true);
		if (r < 0 && first == 0)
			first = r;
		inode_put(inodes[i]);
	}
	return first;
}

/* Whether it has buffered bytes that a snapshot of @place shows. */
static int is_below(struct core *core, struct inode *inode, uint32_t place, bool *ret_below)
{
	const struct container *c = inode->container;
	bool content;

	*ret_below = false;
	pthread_rwlock_rdlock(&inode->lock);
	content = inode->data.content && inode->rec.nlink > 0;
	pthread_rwlock_unlock(&inode->lock);
	return content ? pins_lies_in(core, c->domain, c->id, place, ret_below) : 0;
}

int commit_below(struct core *core, uint32_t place)
{
	_cleanup_free_ struct inode **inodes = NULL;
	size_t n = 0;
	int first = collect_all(core, &inodes, &n);

	for (size_t i = 0; i < n; i++) {
		bool below = false;
		int r = first == 0 ? is_below(core, inodes[i], place, &below) : 0;

		if (r == 0 && below)
			r = commit_inode(core, inodes[i], true);
		if (r < 0)
			first = r;
		inode_put(inodes[i]);
	}
	return first;
}

/* References to what is due. Called with dirty_lock held; *@ret_next: when the next one is. */
static size_t collect_due(struct core *core, struct inode *inodes[BATCH], uint64_t *ret_next)
{
	bool crowded = core->dirty_listed > LISTED_MAX;
	uint64_t now = now_ms(), next = UINT64_MAX;
	size_t n = 0;

	for (struct inode *in = core->dirty_head; in && n < BATCH; in = in->data.dirty_next) {
		if (in->data.due_ms <= now || (crowded && !in->data.failures))
			inodes[n++] = inode_ref(in);
		else if (in->data.due_ms < next)
			next = in->data.due_ms;
	}
	*ret_next = n == BATCH ? now : next;
	return n;
}

static void sleep_until(struct committer *c, uint64_t ms)
{
	uint64_t soonest = now_ms() + tick(c->core);
	struct timespec until;

	if (ms < soonest)
		ms = soonest;
	until = (struct timespec){.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000};
	c->asleep_until = ms;
	if (ms > UINT64_MAX / 2)
		pthread_cond_wait(&c->wake, &c->core->dirty_lock);
	else
		pthread_cond_timedwait(&c->wake, &c->core->dirty_lock, &until);
	c->asleep_until = 0;
}

static void *commit_thread(void *arg)
{
	struct committer *c = arg;
	struct core *core = c->core;
	struct inode *inodes[BATCH];
	uint64_t next;

	pthread_mutex_lock(&core->dirty_lock);
	while (!c->stop) {
		size_t n = collect_due(core, inodes, &next);

		if (n == 0) {
			sleep_until(c, next);
			continue;
		}
		pthread_mutex_unlock(&core->dirty_lock);
		for (size_t i = 0; i < n; i++) {
			commit_inode(core, inodes[i], true);
			inode_put(inodes[i]);
		}
		pthread_mutex_lock(&core->dirty_lock);
	}
	pthread_mutex_unlock(&core->dirty_lock);
	return NULL;
}

int committer_start(struct core *core)
{
	pthread_condattr_t attr;
	struct committer *c;

	if (core->options.read_only)
		return 0;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->core = core;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&c->thread, NULL, commit_thread, c) != 0) {
		pthread_cond_destroy(&c->wake);
		free(c);
		return -EAGAIN;
	}
	core->committer = c;
	return 0;
}

void committer_stop(struct core *core)
{
	struct committer *c = core->committer;

	if (!c)
		return;
	pthread_mutex_lock(&core->dirty_lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&core->dirty_lock);
	pthread_join(c->thread, NULL);
	core->committer = NULL;
	pthread_cond_destroy(&c->wake);
	free(c);
}
