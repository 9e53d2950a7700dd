/*
 * work_users.c: many users at once.
 *
 *   users DIR USERS MESSAGES   a thread for each user: makes DIR/uNNN/chat/session, adds MESSAGES
 * messages through next.md, reads all back; prints the seconds and the longest that a session took
 * to be made, a message to be added, and all to be read
 */
#include "work.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 1000

struct user {
	const char *dir;
	long index, messages;
	double made, added, loaded;
	pthread_t thread;
};

static pthread_barrier_t together;

static double longer(double a, double b)
{
	return a > b ? a : b;
}

static void add_messages(struct user *u, const char *session)
{
	static const char text[] =
	        "---\nrole: user\n---\nA question of some length, as people ask it.\n";
	char path[PATH_SIZE + 32];
	snprintf(path, sizeof path, "%s/messages/next.md", session);
	for (long m = 0; m < u->messages; m++) {
		double start = now();
		int fd = open(path, O_WRONLY | O_CREAT, 0600);
		if (fd < 0)
			die("open", path);
		write_all(fd, text, sizeof text - 1, path);
		if (close(fd) < 0)
			die("close", path);
		u->added = longer(u->added, now() - start);
	}
}

static void load_messages(struct user *u, const char *session)
{
	char path[PATH_SIZE + 48], buffer[4096];
	double start = now();
	for (long m = 1; m <= u->messages; m++) {
		snprintf(path, sizeof path, "%s/messages/%03ld.md", session, m);
		int fd = open(path, O_RDONLY);
		if (fd < 0 || read(fd, buffer, sizeof buffer) < 1)
			die("read", path);
		close(fd);
	}
	u->loaded = now() - start;
}

static void *one_user(void *arg)
{
	struct user *u = arg;
	char path[PATH_SIZE];
	snprintf(path, sizeof path, "%s/u%03ld", u->dir, u->index);
	make_dir(path);
	snprintf(path, sizeof path, "%s/u%03ld/chat", u->dir, u->index);
	make_dir(path);
	pthread_barrier_wait(&together);
	snprintf(path, sizeof path, "%s/u%03ld/chat/session", u->dir, u->index);
	double start = now();
	make_dir(path);
	u->made = now() - start;
	char below[PATH_SIZE + 16];
	snprintf(below, sizeof below, "%s/messages", path);
	make_dir(below);
	add_messages(u, path);
	load_messages(u, path);
	return NULL;
}

static void users(const char *dir, const long *number)
{
	static struct user user[MOST];
	long count = number[0] < MOST ? number[0] : MOST;
	double made = 0, added = 0, loaded = 0;
	pthread_barrier_init(&together, NULL, (unsigned)count + 1);
	for (long i = 0; i < count; i++) {
		user[i] = (struct user){.dir = dir, .index = i, .messages = number[1]};
		if (pthread_create(&user[i].thread, NULL, one_user, &user[i]) != 0)
			die("thread for", dir);
	}
	pthread_barrier_wait(&together);
	double start = now();
	for (long i = 0; i < count; i++) {
		pthread_join(user[i].thread, NULL);
		made = longer(made, user[i].made);
		added = longer(added, user[i].added);
		loaded = longer(loaded, user[i].loaded);
	}
	printf("%.6f %.6f %.6f %.6f\n", now() - start, made, added, loaded);
}

const struct verb verbs_users[] = {
        {"users", 2, users},
        {NULL, 0, NULL},
};
