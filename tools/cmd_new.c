/* `scribefs new`: the next session of a workflow, made through the mount. */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/mountinfo.h"
#include "kv/kv.h"
#include "kv/log.h"
#include "tools/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define CONTEXT_MAX (64u << 20) /* bytes: a context is a document, no archive */

/* mkdir of what is missing of users/USER/WORKFLOW; what is above that must be there. */
static int make_workflow(const char *workflow)
{
	char user[PATH_MAX];
	if (snprintf(user, sizeof user, "%s", workflow) >= (int)sizeof user)
		return -ENAMETOOLONG;
	for (size_t len = strlen(user); len > 1 && user[len - 1] == '/';)
		user[--len] = 0;
	char *slash = strrchr(user, '/');
	if (slash && slash != user) {
		*slash = 0;
		if (mkdir(user, 0700) < 0 && errno != EEXIST)
			return -errno;
	}
	return mkdir(workflow, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* Before anything is made: a file that cannot be read must not leave an empty session behind. */
static int read_context(const char *path, struct buf *ret_content)
{
	_cleanup_close_ int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	if (fd < 0)
		return -errno;
	for (;;) {
		size_t done = ret_content->len;
		if (done > CONTEXT_MAX)
			return -EFBIG;
		int r = buf_resize(ret_content, done + (64u << 10));
		if (r < 0)
			return r;
		ssize_t n = read(fd, ret_content->data + done, ret_content->len - done);
		if (n < 0 && errno != EINTR)
			return -errno;
		ret_content->len = done + (size_t)(n < 0 ? 0 : n);
		if (n == 0)
			return 0;
	}
}

static int write_context(const char *session, const struct buf *content)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/context.json", session) >= (int)sizeof path)
		return -ENAMETOOLONG;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	size_t done = 0;
	while (done < content->len) {
		ssize_t n = write(fd, content->data + done, content->len - done);
		if (n < 0 && errno != EINTR) {
			int r = -errno;
			close(fd);
			return r;
		}
		done += (size_t)(n < 0 ? 0 : n);
	}
	return close(fd) < 0 ? -errno : 0;
}

static int failed(const char *workflow, int error)
{
	if (error == -ENOTTY)
		log_error("%s does not lie in a mount of scribefs; name MOUNTPOINT/users/USER/WORKFLOW",
			workflow);
	else if (error == -EINVAL || error == -ENOTDIR || error == -EPERM)
		log_error("%s is no workflow; name MOUNTPOINT/users/USER/WORKFLOW", workflow);
	else
		log_error("cannot make a session in %s: %s", workflow, strerror(-error));
	return STATUS_FAILED;
}

/* That the first missing directory would be made in a mount of ours, and not beside one. */
static bool lies_in_mount(const char *workflow)
{
	char above[PATH_MAX];
	struct mountinfo mount;
	if (snprintf(above, sizeof above, "%s", workflow) >= (int)sizeof above)
		return false;
	for (int level = 0; level < 4; level++) {
		if (mountinfo_find_above(above, &mount) == 0)
			return true;
		struct stat st;
		if (stat(above, &st) == 0)
			return false;
		char *slash = strrchr(above, '/');
		if (!slash || slash == above)
			snprintf(above, sizeof above, "%s", slash ? "/" : ".");
		else
			*slash = 0;
	}
	return false;
}

static int make_session(const char *workflow, const char *title, const struct buf *context)
{
	struct scribefs_new asked = {0};
	if (snprintf(asked.title, sizeof asked.title, "%s", title ? title : "") >=
		(int)sizeof asked.title) {
		log_error("the title is longer than %zu bytes", sizeof asked.title - 1);
		return STATUS_FAILED;
	}
	int r = lies_in_mount(workflow) ? make_workflow(workflow) : -ENOTTY;
	if (r < 0)
		return failed(workflow, r);
	_cleanup_close_ int dir = open(workflow, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || ioctl(dir, SCRIBEFS_IOC_NEW, &asked) < 0)
		return failed(workflow, -errno);
	char path[PATH_MAX];
	size_t len = strlen(workflow);
	while (len > 1 && workflow[len - 1] == '/')
		len--;
	snprintf(path, sizeof path, "%.*s/%.31s", (int)len, workflow, asked.name);
	if (context) {
		r = write_context(path, context);
		if (r < 0) {
			log_error("made %s, but cannot write its context.json: %s", path, strerror(-r));
			return STATUS_FAILED;
		}
	}
	printf("%s\n", path);
	return STATUS_DONE;
}

static int run_new(const struct command *self, int argc, char **argv)
{
	const char *title = NULL, *context_file = NULL;
	const struct option_spec specs[] = {
		{"title", 0, OPTION_TEXT, &title},
		{"context", 0, OPTION_TEXT, &context_file},
		{0},
	};
	int n;
	int r = options_parse(self, argc, argv, specs, 1, 1, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	_cleanup_buf_ struct buf context = {0};
	if (context_file) {
		r = read_context(context_file, &context);
		if (r < 0) {
			log_error("cannot read %s: %s", context_file, strerror(-r));
			return STATUS_FAILED;
		}
	}
	return make_session(argv[0], title, context_file ? &context : NULL);
}

const struct command cmd_new = {
	.name = "new",
	.usage = "MOUNTPOINT/users/USER/WORKFLOW [--title T] [--context F]",
	.summary = "make the next session in a workflow and print its path",
	.help = "The session is named SESSION-YYMMDD-NNN, by the day in UTC. USER and WORKFLOW are made\n"
		"where they do not exist.\n\n"
		"Options:\n"
		"  --title T               the session's title\n"
		"  --context F             F becomes its context.json ('-': standard input)\n",
	.run = run_new,
};
