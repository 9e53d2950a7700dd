/*
 * sync_race [TRIALS [DIR]]: a write to the log fails while others sync it, again and again: the process lives on, and
 * everybody is told. Each trial is a process with a store of its own in DIR ($TMPDIR, /var/tmp), where write(2) to a
 * log begins to fail at some moment. Exit status 0, or 1 where one of them died.
 */
#include "kv/bytes.h"
#include "kv/engine/engine.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNCERS 3

static _Atomic bool failing;
static _Atomic bool over;

/* RocksDB's, too: a definition in the program comes first. */
__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t len)
{
	static _Atomic(ssize_t (*)(int, const void *, size_t)) next;
	ssize_t (*call)(int, const void *, size_t) = atomic_load(&next);
	char link[64], path[512];

	if (!call) {
		*(void **)&call = dlsym(RTLD_NEXT, "write");
		atomic_store(&next, call);
	}
	if (atomic_load(&failing)) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(link, path, sizeof path - 1);
		if (n > 4 && memcmp(path + n - 4, ".log", 4) == 0) {
			errno = EIO;
			return -1;
		}
	}
	return call(fd, data, len);
}

static void *sync_again(void *arg)
{
	struct kv_engine *e = arg;

	while (!atomic_load(&over) && kv_engine_rocks.sync(e) == 0)
		;
	return NULL;
}

static int trial(const char *dir, unsigned seed)
{
	const struct kv_engine_ops *ops = &kv_engine_rocks;
	const struct kv_options options = {0};
	pthread_t threads[SYNCERS];
	struct kv_engine *e;
	char path[512];
	int r = 0;

	snprintf(path, sizeof path, "%s/db", dir);
	if (ops->open(path, &options, false, &e) < 0)
		return 2;
	for (unsigned i = 0; i < SYNCERS; i++)
		if (pthread_create(&threads[i], NULL, sync_again, e) != 0)
			return 2;
	for (unsigned i = 0; r == 0; i++) {
		uint8_t key[4];
		const struct kv_write w = {
			.family = KV_META, .key = key, .key_len = sizeof key, .value = key, .value_len = sizeof key};
		put_be32(key, i);
		if (i == 20 + seed % 50)
			atomic_store(&failing, true);
		r = ops->write(e, &w, 1);
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < SYNCERS; i++)
		pthread_join(threads[i], NULL);
	/* The log has failed for good, for who syncs as well. */
	if (ops->sync(e) == 0)
		return 3;
	atomic_store(&failing, false);
	ops->close(e);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned trials = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100, died = 0;
	const char *tmp = argc > 2 ? argv[2] : getenv("TMPDIR");
	char command[512], dir[256];

	for (unsigned i = 0; i < trials; i++) {
		snprintf(dir, sizeof dir, "%s/scribefs-sync-race.XXXXXX", tmp ? tmp : "/var/tmp");
		if (!mkdtemp(dir))
			return 77;
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			if (!freopen("/dev/null", "w", stderr))
				_exit(4);
			_exit(trial(dir, i));
		}
		waitpid(pid, &status, 0);
		if (status != 0) {
			died++;
			printf("trial %u: %s %d\n", i, WIFSIGNALED(status) ? "signal" : "status",
				WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		}
		snprintf(command, sizeof command, "rm -rf '%s'", dir);
		if (system(command) != 0)
			return 77;
	}
	printf("%u trials, %u died\n", trials, died);
	return died != 0;
}
