#include "fs/fuse/notify.h"

#include <stdio.h>

#define QUEUE 256

struct message {
	uint64_t parent;
	char name[CORE_NAME_MAX + 1]; /* "": the directory alone */
};

struct notify {
	struct fuse_session *se;
	pthread_t thread;
	bool running; /* of whoever starts and stops it */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t wake;
	bool stop;
	unsigned first, n;
	struct message queue[QUEUE];
};

static void *notify_run(void *arg)
{
	struct notify *n = arg;
	for (;;) {
		pthread_mutex_lock(&n->lock);
		while (!n->stop && n->n == 0)
			pthread_cond_wait(&n->wake, &n->lock);
		if (n->stop) {
			pthread_mutex_unlock(&n->lock);
			return NULL;
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

int notify_start(struct fuse_session *se, struct notify **ret_notify)
{
	struct notify *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->se = se;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wake, NULL);
	*ret_notify = n;
	int r = pthread_create(&n->thread, NULL, notify_run, n);
	n->running = r == 0;
	return -r;
}

void notify_stop(struct notify *n)
{
	if (!n)
		return;
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
