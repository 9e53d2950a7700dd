#include "fs/fuse/notify.h"

#include <stdio.h>
#include <sys/uio.h>
#include <time.h>

#define QUEUE 256
#define NAMES_DEFAULT 250000 /* 6 MB here, less than a second of an unmount */
#define FORGET_AT_ONCE 256
#define FORGET_AGAIN_SECONDS 1 /* the kernel may be unable to */
#define NOTIFY_PRUNE 9

struct message {
	uint64_t parent;
	char name[CORE_NAME_MAX + 1]; /* "": the directory alone */
};

struct notify {
	struct fuse_session *se;
	struct core *core;
	pthread_t thread;
	struct timespec forgot; /* the thread's: when it asked last */
	bool running; /* of whoever starts and stops it */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	bool stop, crowded;
	unsigned first, n;
	struct message queue[QUEUE];
};

/* 0, -errno: -EINVAL from a kernel that cannot. */
static int ask_to_forget(struct notify *n, uint64_t *inos, size_t count)
{
	struct {
		uint32_t count, padding;
		uint64_t spare;
	} prune = {.count = (uint32_t)count};
	struct {
		uint32_t len;
		int32_t code;
		uint64_t unique;
	} head = {.len = (uint32_t)(sizeof head + sizeof prune + count * sizeof *inos), .code = NOTIFY_PRUNE};
	const struct iovec parts[] = {
		{&head, sizeof head}, {&prune, sizeof prune}, {inos, count * sizeof *inos}};

	return writev(fuse_session_fd(n->se), parts, 3) < 0 ? -errno : 0;
}

static bool stopping(struct notify *n)
{
	MUTEX_GUARD(&n->lock);
	return n->stop;
}

static void forget_oldest(struct notify *n)
{
	uint64_t inos[FORGET_AT_ONCE];
	size_t surplus = core_known_surplus(n->core);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (now.tv_sec - n->forgot.tv_sec < FORGET_AGAIN_SECONDS)
		return;
	n->forgot = now;
	while (surplus > 0 && !stopping(n)) {
		size_t count = core_known_oldest(n->core, inos, surplus < FORGET_AT_ONCE ? surplus : FORGET_AT_ONCE);
		if (count == 0)
			break;
		if (ask_to_forget(n, inos, count) == -EINVAL) {
			log_debug("the kernel cannot be asked to forget names");
			core_bound_known(n->core, 0, NULL, NULL);
			break;
		}
		surplus -= count;
	}
}

/* With a lock of core's. */
static void crowded(void *arg)
{
	struct notify *n = arg;
	MUTEX_GUARD(&n->lock);
	n->crowded = true;
	pthread_cond_signal(&n->wake);
}

static void *notify_run(void *arg)
{
	struct notify *n = arg;
	for (;;) {
		pthread_mutex_lock(&n->lock);
		while (!n->stop && n->n == 0 && !n->crowded)
			pthread_cond_wait(&n->wake, &n->lock);
		if (n->stop) {
			pthread_mutex_unlock(&n->lock);
			return NULL;
		}
		if (n->n == 0) {
			n->crowded = false;
			pthread_mutex_unlock(&n->lock);
			forget_oldest(n);
			continue;
		}
		struct message m = n->queue[n->first];
		n->first = (n->first + 1) % QUEUE;
		n->n--;
		pthread_mutex_unlock(&n->lock);
		/* -ENOENT: the kernel does not know the directory or the name. */
		if (m.name[0])
			fuse_lowlevel_notify_inval_entry(n->se, m.parent, m.name, strlen(m.name));
		fuse_lowlevel_notify_inval_inode(n->se, m.parent, -1, 0);
	}
}

int notify_start(struct fuse_session *se, struct core *core, size_t names, struct notify **ret_notify)
{
	struct notify *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->se = se;
	n->core = core;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wake, NULL);
	*ret_notify = n;
	int r = pthread_create(&n->thread, NULL, notify_run, n);
	n->running = r == 0;
	if (n->running)
		core_bound_known(core, names ? names : NAMES_DEFAULT, crowded, n);
	return -r;
}

void notify_stop(struct notify *n)
{
	if (!n)
		return;
	if (n->running)
		core_bound_known(n->core, 0, NULL, NULL);
	pthread_mutex_lock(&n->lock);
	n->stop = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	if (n->running)
		pthread_join(n->thread, NULL);
	n->running = false;
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	notify_stop(n);
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void notify_entry(struct notify *n, uint64_t parent, const char *name)
{
	if (!n)
		return;
	MUTEX_GUARD(&n->lock);
	if (n->stop || n->n == QUEUE)
		return;
	struct message *m = &n->queue[(n->first + n->n) % QUEUE];
	m->parent = parent;
	snprintf(m->name, sizeof m->name, "%s", name ? name : "");
	n->n++;
	pthread_cond_signal(&n->wake);
}
