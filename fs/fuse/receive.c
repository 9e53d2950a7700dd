#include "fs/fuse/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define SHORT_WRITE 8192 /* bytes of the request */

/* The descriptor that this thread has made non-blocking, plus one. */
static _Thread_local int prepared;

static bool over(const struct timespec *start, long ns)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000000L + now.tv_nsec - start->tv_nsec >= ns;
}

static bool nothing_there(ssize_t n)
{
	return n < 0 && errno == EAGAIN;
}

static ssize_t spin(const struct receive *r, int fd, void *buf, size_t size)
{
	struct timespec start, paid;
	ssize_t n;
	clock_gettime(CLOCK_MONOTONIC, &start);
	paid = start;
	do {
		n = read(fd, buf, size);
		if (nothing_there(n) && r->spin_ns && atomic_load(&r->owed) && !over(&start, RECEIVE_OWED_NS))
			clock_gettime(CLOCK_MONOTONIC, &paid);
	} while (nothing_there(n) && !over(&paid, r->spin_ns));
	return n;
}

void receive_owe(struct receive *r)
{
	atomic_fetch_add(&r->owed, 1);
}

void receive_paid(struct receive *r)
{
	atomic_fetch_sub(&r->owed, 1);
}

static void wake_watch(struct receive *r)
{
	if (atomic_load_explicit(&r->watch_sleeps, memory_order_relaxed) &&
		atomic_exchange(&r->watch_sleeps, false))
		sem_post(&r->alarm);
}

/* The waiter's part. */
static ssize_t wait_for_one(struct receive *r, int fd, void *buf, size_t size)
{
	ssize_t n = spin(r, fd, buf, size);
	while (nothing_there(n)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, -1) < 0)
			break;
		n = read(fd, buf, size);
	}
	atomic_store(&r->waiting, false);
	wake_watch(r);
	return n;
}

static void park(struct receive *r)
{
	atomic_fetch_add(&r->parked, 1);
	if (atomic_load(&r->waiting))
		sem_wait(&r->bench);
	atomic_fetch_sub(&r->parked, 1);
}

static void call_parked(struct receive *r)
{
	if (atomic_load(&r->parked) > 0 && !atomic_load(&r->waiting))
		sem_post(&r->bench);
}

/* Answered from memory, sooner than another thread wakes up. */
static bool is_short(const struct fuse_in_header *header)
{
	switch (header->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
	case FUSE_GETATTR:
	case FUSE_GETXATTR:
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		return true;
	case FUSE_WRITE:
		return header->len < SHORT_WRITE;
	default:
		return false;
	}
}

static bool more_pending(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 0) > 0 && p.revents & POLLIN;
}

ssize_t receive_next(struct receive *r, int fd, void *buf, size_t size)
{
	if (prepared != fd + 1) {
		fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK);
		prepared = fd + 1;
	}
	ssize_t n = read(fd, buf, size);
	while (nothing_there(n)) {
		if (!atomic_exchange(&r->waiting, true)) {
			n = wait_for_one(r, fd, buf, size);
			break;
		}
		park(r);
		n = read(fd, buf, size);
	}
	if (n <= 0)
		return n;
	atomic_fetch_add_explicit(&r->received, 1, memory_order_relaxed);
	if (atomic_load(&r->parked) > 0 && !is_short(buf) && more_pending(fd))
		call_parked(r);
	return n;
}

/* While there is work. */
static void watch_ticks(struct receive *r)
{
	const struct timespec tick = {.tv_nsec = RECEIVE_TICK_NS};
	uint64_t last = atomic_load(&r->received);
	for (unsigned quiet = 0; quiet < RECEIVE_QUIET_TICKS && !atomic_load(&r->ended);) {
		nanosleep(&tick, NULL);
		uint64_t now = atomic_load(&r->received);
		bool waiting = atomic_load(&r->waiting);
		if (!waiting && now == last)
			call_parked(r);
		quiet = waiting && now == last ? quiet + 1 : 0;
		last = now;
	}
}

static void *watch(void *arg)
{
	struct receive *r = arg;
	while (!atomic_load(&r->ended)) {
		watch_ticks(r);
		atomic_store(&r->watch_sleeps, true);
		/* The waiter may have left just before. */
		if (!atomic_load(&r->waiting) && atomic_exchange(&r->watch_sleeps, false))
			continue;
		while (sem_wait(&r->alarm) < 0)
			;
	}
	return NULL;
}

int receive_start(struct receive *r)
{
	*r = (struct receive){.spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? RECEIVE_SPIN_NS : 0};
	sem_init(&r->bench, 0, 0);
	sem_init(&r->alarm, 0, 0);
	return -pthread_create(&r->watch, NULL, watch, r);
}

void receive_stop(struct receive *r)
{
	atomic_store(&r->ended, true);
	sem_post(&r->alarm);
	pthread_join(r->watch, NULL);
	sem_destroy(&r->bench);
	sem_destroy(&r->alarm);
}
