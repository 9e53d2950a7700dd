#include "tools/passphrase.h"

#include "kv/kv.h"
#include "kv/log.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* One byte more than a secret may have, so that a longer one is noticed. */
#define SECRET_PAGES (PASSPHRASE_MAX + 4096)

int secret_alloc(struct secret *ret_secret)
{
	char *data = mmap(
		NULL, SECRET_PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED) {
		log_error("out of memory");
		return -ENOMEM;
	}
	(void)mlock(data, SECRET_PAGES); /* RLIMIT_MEMLOCK may be 0: then it is not locked */
	(void)madvise(data, SECRET_PAGES, MADV_DONTDUMP);
	*ret_secret = (struct secret){.data = data};
	return 0;
}

void secret_release(struct secret *secret)
{
	if (secret->data) {
		explicit_bzero(secret->data, SECRET_PAGES);
		munmap(secret->data, SECRET_PAGES);
	}
	*secret = (struct secret){0};
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static void strip_newline(struct secret *secret)
{
	if (secret->len && secret->data[secret->len - 1] == '\n')
		secret->len--;
}

static int read_all(int fd, struct secret *secret)
{
	while (secret->len <= PASSPHRASE_MAX) {
		ssize_t n = read(fd, secret->data + secret->len, PASSPHRASE_MAX + 1 - secret->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		secret->len += (size_t)n;
	}
	return -EFBIG;
}

int secret_from_file(const char *path, bool line, struct secret *ret_secret)
{
	bool standard_input = !strcmp(path, "-");
	_cleanup_close_ int opened = standard_input ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (!standard_input && opened < 0) {
		int r = -errno;
		log_error("cannot open %s: %m", path);
		return r;
	}
	_cleanup_passphrase_ struct secret secret = {0};
	int r = secret_alloc(&secret);
	if (r < 0)
		return r;
	r = read_all(standard_input ? STDIN_FILENO : opened, &secret);
	if (r < 0) {
		log_error("cannot read %s: %s", standard_input ? "standard input" : path,
			r == -EFBIG ? "more than 64 KiB is no passphrase or key file" : strerror(-r));
		return r;
	}
	if (line)
		strip_newline(&secret);
	*ret_secret = secret;
	secret = (struct secret){0};
	return 0;
}

/* Starts @command with its standard output in a pipe; returns the reading end or -errno. */
static int start_command(const char *command, pid_t *ret_pid)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid < 0) {
		int r = -errno;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	if (pid == 0) {
		if (dup2(ends[1], STDOUT_FILENO) >= 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*ret_pid = pid;
	return ends[0];
}

int secret_from_command(const char *command, struct secret *ret_secret)
{
	_cleanup_passphrase_ struct secret secret = {0};
	int r = secret_alloc(&secret);
	if (r < 0)
		return r;
	pid_t pid = -1;
	int fd = start_command(command, &pid);
	if (fd < 0) {
		log_error("cannot run the passphrase command: %s", strerror(-fd));
		return fd;
	}
	r = read_all(fd, &secret);
	close(fd); /* before the wait, so that a command that prints without end is told */
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0) {
		log_error("cannot read from the passphrase command: %s", strerror(-r));
		return r;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		log_error("the passphrase command failed (%s %d); try it by hand",
			WIFEXITED(status) ? "exit status" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		return -ECANCELED;
	}
	strip_newline(&secret);
	*ret_secret = secret;
	secret = (struct secret){0};
	return 0;
}

/* The name lasts after a power cut only when its directory is synced too. */
static int sync_parent(const char *path)
{
	char copy[PATH_MAX];
	if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
		return -ENAMETOOLONG;
	_cleanup_close_ int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

int secret_make_file(const char *path, size_t len, struct secret *ret_secret)
{
	_cleanup_passphrase_ struct secret secret = {0};
	int r = secret_alloc(&secret);
	if (r < 0)
		return r;
	kv_random(secret.data, len);
	secret.len = len;
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, secret.data, len);
	if (n < 0 || fsync(fd) < 0)
		r = -errno;
	else if ((size_t)n != len)
		r = -EIO;
	else
		r = sync_parent(path);
	if (r < 0) {
		unlink(path);
		return r;
	}
	*ret_secret = secret;
	secret = (struct secret){0};
	return 0;
}
