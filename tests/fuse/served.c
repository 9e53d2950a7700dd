#include "tests/fuse/served.h"

#include "kv/cleanup.h"
#include "tests/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#define START_MS 20000

static const uint8_t key_file[KEYRING_KEY_FILE_BYTES] = {7, 8, 9};

/* A copy that may be wiped. */
static struct kv_unlock unlock_key(uint8_t copy[KEYRING_KEY_FILE_BYTES])
{
	memcpy(copy, key_file, sizeof key_file);
	return (struct kv_unlock){KEYRING_KEY_FILE, copy, sizeof key_file};
}

bool served_possible(void)
{
	_cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	return fd >= 0 && geteuid() == 0;
}

static char folder[64]; /* set before the first test */

void served_begin(void)
{
	strcpy(folder, "/tmp/scribefs-fuse-XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0755) < 0) {
		perror(folder);
		exit(1);
	}
}

void served_end(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	for (struct mntent *m; mounts && (m = getmntent(mounts));)
		if (strncmp(m->mnt_dir, folder, strlen(folder)) == 0)
			umount2(m->mnt_dir, MNT_DETACH);
	if (mounts)
		endmntent(mounts);
	suite_remove(folder);
}

void served_new(struct served *s)
{
	uint8_t copy[KEYRING_KEY_FILE_BYTES];
	const struct keyring_init init = {.cipher = KV_CIPHER_XCHACHA20_POLY1305,
		.first = unlock_key(copy)};
	*s = (struct served){.options = {.foreground = true, .allow_other = true}};
	snprintf(s->dir, sizeof s->dir, "%s/XXXXXX", folder);
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	ck_assert_int_eq(chmod(s->dir, 0755), 0);
	snprintf(s->store, sizeof s->store, "%s/store", s->dir);
	snprintf(s->mountpoint, sizeof s->mountpoint, "%s/mnt", s->dir);
	ck_assert_int_eq(mkdir(s->mountpoint, 0755), 0);
	ck_assert_int_eq(keyring_create(s->store, &init, NULL), 0);
	s->options.store = s->store;
	s->options.mountpoint = s->mountpoint;
}

static bool is_served(const struct served *s)
{
	struct statfs fs;
	return statfs(s->mountpoint, &fs) == 0 && fs.f_type == FUSE_SUPER_MAGIC;
}

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void served_start(struct served *s)
{
	ck_assert_int_eq(s->daemon, 0);
	s->daemon = fork();
	ck_assert_int_ge(s->daemon, 0);
	if (s->daemon == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		uint8_t copy[KEYRING_KEY_FILE_BYTES];
		struct kv_unlock unlock = unlock_key(copy);
		_exit(mount_run(&s->options, &unlock));
	}
	for (int ms = 0; !is_served(s); ms += 10) {
		ck_assert_int_lt(ms, START_MS);
		ck_assert_int_eq(waitpid(s->daemon, NULL, WNOHANG), 0);
		pause_ms(10);
	}
}

static int wait_for(struct served *s)
{
	int status;
	ck_assert_int_eq(waitpid(s->daemon, &status, 0), s->daemon);
	s->daemon = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int served_kill(struct served *s, int sig)
{
	ck_assert_int_eq(kill(s->daemon, sig), 0);
	return wait_for(s);
}

int served_umount(struct served *s)
{
	ck_assert_int_eq(umount2(s->mountpoint, 0), 0);
	return wait_for(s);
}

void served_remove(struct served *s)
{
	if (s->daemon > 0)
		served_kill(s, SIGKILL);
	while (umount2(s->mountpoint, MNT_DETACH) == 0)
		;
	suite_remove(s->dir);
}

int served_try(const struct mount_options *options, char ret_line[1024])
{
	int fd[2];
	ck_assert_int_eq(pipe(fd), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		uint8_t copy[KEYRING_KEY_FILE_BYTES];
		struct kv_unlock unlock = unlock_key(copy);
		dup2(fd[1], STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		_exit(mount_run(options, &unlock));
	}
	close(fd[1]);
	size_t len = 0;
	ssize_t n;
	while (len < 1023 && (n = read(fd[0], ret_line + len, 1023 - len)) > 0)
		len += (size_t)n;
	ret_line[len] = '\0';
	close(fd[0]);
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

const char *served_path(const struct served *s, const char *name)
{
	static char paths[8][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, PATH_MAX, "%s/%s", s->mountpoint, name);
	return path;
}
