/* `scribefs import`: a session of its transcript.json, through the mount. */
#include "fs/fuse/ioctl.h"
#include "kv/cleanup.h"
#include "kv/log.h"
#include "tools/options.h"
#include "tools/transcript_import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

DEFINE_CLEANUP(FILE *, fclose);

static bool is_session(const char *path)
{
	return getxattr(path, "user.scribefs.session_id", NULL, 0) > 0;
}

/* The session's directory, made: the next one of a workflow, or one of a name that nothing has yet. */
static int make_session(const char *where, char ret_path[PATH_MAX])
{
	struct scribefs_new asked = {0};
	_cleanup_close_ int dir = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t len = strlen(where);

	while (len > 1 && where[len - 1] == '/')
		len--;
	if (dir >= 0 && is_session(where))
		return -EEXIST;
	if (dir >= 0 && ioctl(dir, SCRIBEFS_IOC_NEW, &asked) < 0)
		return -errno;
	if (dir < 0 && (errno != ENOENT || mkdir(where, 0700) < 0))
		return -errno;
	int n = snprintf(ret_path, PATH_MAX, "%.*s%s%.31s", (int)len, where, asked.name[0] ? "/" : "", asked.name);
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	if (dir >= 0 || is_session(ret_path))
		return 0;
	rmdir(ret_path); /* it was made where no session belongs */
	return -ENOTTY;
}

static void tell_failure(const char *file, const char *session, const char *at, const struct json_stream *s, int error)
{
	if (error == -EPROTONOSUPPORT)
		log_error("%s is no transcript.json of scribefs, or of a later one", file);
	else if (error == -EBADMSG)
		log_error("%s is no such document from byte %llu on", file, (unsigned long long)s->at);
	else
		log_error("cannot import %s%s%s: %s", file, *at ? ": " : "", at, strerror(-error));
	if (error != -EPROTONOSUPPORT)
		log_error("%s has what could be read; remove it", session);
}

static int import(const char *file, FILE *in, const char *session)
{
	char at[PATH_MAX] = "";
	struct json_stream s = {.file = in};
	struct import_tree t = {.top = open(session, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	int r = t.top < 0 ? -errno : 0;

	/* Its maker sees no messages/ until he makes it. */
	if (r == 0 && mkdirat(t.top, "messages", 0700) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = transcript_import(&s, &t, at);
	if (r < 0)
		tell_failure(file, session, at, &s, r);
	else if (t.refused)
		log_warning("%u extended attributes could not be set", t.refused);
	import_tree_release(&t);
	if (t.top >= 0)
		close(t.top);
	return r;
}

static int run_import(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	char path[PATH_MAX];
	int n;
	int r = options_parse(self, argc, argv, specs, 2, 2, &n);
	if (r)
		return r > 0 ? STATUS_DONE : STATUS_USAGE;
	_cleanup_(fclosep) FILE *in = strcmp(argv[0], "-") ? fopen(argv[0], "re") : fdopen(dup(STDIN_FILENO), "re");
	if (!in) {
		log_error("cannot read %s: %s", argv[0], strerror(errno));
		return STATUS_FAILED;
	}
	r = make_session(argv[1], path);
	if (r == -EEXIST)
		log_error("%s is there already; name a workflow, or a session that is not there yet", argv[1]);
	else if (r == -ENOTTY || r == -EINVAL)
		log_error("%s is no place of a session; name MOUNTPOINT/users/USER/WORKFLOW[/SESSION]", argv[1]);
	else if (r == -ENOENT)
		log_error("there is no workflow for %s; mkdir it first", argv[1]);
	else if (r < 0)
		log_error("cannot make %s: %s", argv[1], strerror(-r));
	if (r < 0)
		return STATUS_FAILED;
	umask(0);
	if (import(argv[0], in, path) < 0)
		return STATUS_FAILED;
	printf("%s\n", path);
	return STATUS_DONE;
}

const struct command cmd_import = {
	.name = "import",
	.usage = "FILE.json MOUNTPOINT/users/USER/WORKFLOW[/SESSION]",
	.summary = "make a session of a transcript.json and print its path",
	.help = "FILE.json is what exports/USER/WORKFLOW/SESSION/transcript.json was ('-': standard input).\n"
		"All that it has comes back, byte for byte, with modes, times and attributes; the owners, too,\n"
		"if root imports. The session is the next one of the workflow, or SESSION, which must not be\n"
		"there yet. If its session_id is in use by another session of the user, it gets one of its own.\n",
	.run = run_import,
};
