#include "fs/fuse/daemon.h"
#include "fs/fuse/notify.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <sys/wait.h>

#define FILES_WANTED 65536

static int wait_for_child(pid_t child, int fd)
{
	char byte;
	ssize_t n;
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	close(fd);
	if (n == 1)
		return 0;
	/* It has told why on standard error, which it shares with us, unless it was killed. */
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		fprintf(stderr, "scribefs: the daemon was killed by signal %d while it started\n",
			WTERMSIG(status));
	return 1;
}

int daemon_fork(int *ret_fd)
{
	int fd[2];
	fflush(NULL); /* else both would write what is buffered */
	if (pipe2(fd, O_CLOEXEC) < 0) {
		fprintf(stderr, "scribefs: pipe: %m\n");
		return 1;
	}
	pid_t child = fork();
	if (child < 0) {
		fprintf(stderr, "scribefs: fork: %m\n");
		close(fd[0]);
		close(fd[1]);
		return 1;
	}
	if (child > 0) {
		close(fd[1]);
		return wait_for_child(child, fd[0]);
	}
	close(fd[0]);
	*ret_fd = fd[1];
	return -1;
}

void daemon_harden(void)
{
	/* Keys and text are in this memory. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});

	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_WANTED) {
		files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0)
		log_warning("cannot leave the current directory: %m");
	/* One arena a processor: what each of sixteen workers has freed is no use to the others. */
	mallopt(M_ARENA_MAX, get_nprocs() > 2 ? get_nprocs() : 2);
	/*
	 * Buffers of a READ come from the heap, not from a mapping made anew for each. The engine's write buffers, in
	 * blocks of that size, do not: between smaller things what they free would not be given back.
	 */
	mallopt(M_MMAP_THRESHOLD, SERVER_MAX_IO);
	mallopt(M_TRIM_THRESHOLD, 8 * SERVER_MAX_IO);
}

void daemon_tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;
	if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract namespace */
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (void *)&to, size) < 0)
		log_warning("systemd's notify socket: %m");
}

static void leave_terminal(bool keep_stderr)
{
	setsid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!keep_stderr)
		dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

void daemon_ready(struct server *s)
{
	char state[64];
	snprintf(state, sizeof state, "READY=1\nMAINPID=%d", (int)getpid());
	daemon_tell(state);
	if (s->parent_fd < 0)
		return;
	const char *target = s->options->log_target;
	leave_terminal(target && strcmp(target, "stderr") == 0);
	ssize_t n = write(s->parent_fd, "1", 1);
	(void)n; /* a parent that has gone does not mind */
	close(s->parent_fd);
	s->parent_fd = -1;
}

/* ---- signals --------------------------------------------------------------------------------- */

#define WAKE SIGUSR2

static void end_signals(sigset_t *ret_set)
{
	sigemptyset(ret_set);
	sigaddset(ret_set, SIGTERM);
	sigaddset(ret_set, SIGINT);
	sigaddset(ret_set, SIGHUP);
}

static void nothing(int sig)
{
}

void signals_block(void)
{
	sigset_t set;
	end_signals(&set);
	sigaddset(&set, WAKE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* Not SA_RESTART: the loop's wait must return. */
	sigaction(WAKE, &(struct sigaction){.sa_handler = nothing}, NULL);
}

static void *signals_run(void *arg)
{
	struct signals *g = arg;
	sigset_t set;
	int sig;
	end_signals(&set);
	while (sigwait(&set, &sig) != 0)
		;
	if (atomic_load(&g->over))
		return NULL;
	/* While requests are answered: a message may wait for a lock that one of them holds. */
	notify_stop(g->server->notify);
	fuse_session_exit(g->server->se);
	/* That only sets a flag. The loop may be about to wait: one wake-up may come too early. */
	while (!atomic_load(&g->over)) {
		pthread_kill(g->loop, WAKE);
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return NULL;
}

int signals_start(struct signals *g, struct server *s)
{
	sigset_t wake;
	*g = (struct signals){.server = s, .loop = pthread_self()};
	int r = pthread_create(&g->thread, NULL, signals_run, g);
	if (r != 0)
		return -r;
	sigemptyset(&wake);
	sigaddset(&wake, WAKE);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	return 0;
}

void signals_stop(struct signals *g)
{
	atomic_store(&g->over, true);
	pthread_kill(g->thread, SIGTERM);
	pthread_join(g->thread, NULL);
}
