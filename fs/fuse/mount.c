/*
 * The life of a mount: checks, fork, the layers from the bottom up, the loop, and down again.
 */
#include "fs/fuse/attach.h"
#include "fs/fuse/check.h"
#include "fs/fuse/daemon.h"
#include "fs/fuse/explain.h"
#include "fs/fuse/hostpath.h"
#include "fs/fuse/notify.h"
#include "fs/fuse/protocol.h"
#include "fs/fuse/reply.h"
#include "fs/fuse/watch.h"
#include "kv/backup/backup.h"
#include "kv/threads.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* The engine's, a dozen of our own and a few workers. With fewer workers than SERVER_THREADS it only takes longer. */
#define THREADS_WANTED 24

static void entry_changed(void *arg, uint64_t parent, const char *name)
{
	struct server *s = arg;
	notify_entry(s->notify, parent, name);
}

/* What the store was compared with when it was opened, or why it was not. */
static void tell_seen(const struct server *s, const struct kv_state *state, const struct kv_older *older)
{
	if (state->backup)
		check_complain("notice: %s is a backup: mounted read-only, whatever its age", s->store);
	else if (state->accepted)
		log_warning("%s is at commit %llu and was at %llu when it was last seen here; opened because "
			    "of --accept-older",
			s->store, (unsigned long long)older->sequence, (unsigned long long)older->seen);
	else if (state->seen_error)
		check_complain("notice: an older copy in the place of %s would not be noticed: cannot write in "
			       "%s: %s",
			s->store, s->options->seen_dir, strerror(-state->seen_error));
	else if (state->seen_lost)
		check_complain("notice: nothing is known in %s about how far %s had come, so it was not looked "
			       "whether it is an older copy",
			s->options->seen_dir, s->store);
}

/* Opens the store and says what is remarkable about it. 0, or -1 after one line. */
static int open_store(struct server *s, const struct kv_unlock *unlock)
{
	struct kv_older older = {0};
	const struct kv_options options = {
		.read_only = s->options->read_only,
		.cache_bytes = s->options->cache_bytes,
		.seen_dir = s->options->seen_dir,
		.accept_older = s->options->accept_older,
		.older = &older,
	};
	struct kv_state state;
	check_wait_closing(s->store);
	if (threads_spare(THREADS_WANTED) < 0) {
		explain_threads();
		return -1;
	}
	int r = kv_open(s->store, unlock, &options, &s->kv);
	if (r == 0) /* or it would stay for as long as the mount serves */
		explicit_bzero((void *)(uintptr_t)unlock->secret, unlock->secret_len);
	if (r < 0) {
		if (r == -ESTALE)
			explain_older(s->store, &older);
		else
			explain_store(s->store, unlock->type, r);
		return -1;
	}
	kv_get_state(s->kv, &state);
	tell_seen(s, &state, &older);
	s->read_only = state.read_only || s->options->read_only;
	if (state.damaged)
		check_complain("the log of %s ends at commit %llu of %llu: mounted read-only; run "
			       "`scribefs fsck %s`",
			s->store, (unsigned long long)state.sequence,
			(unsigned long long)state.expected, s->store);
	else if (state.backup)
		check_complain("%s is a backup: mounted read-only; `scribefs backup restore` makes a store "
			       "of it", s->store);
	return 0;
}

/* The folders of -o backup_dir= are the store's from now on. 0, or -1 after one line. */
static int add_backup_dirs(const struct server *s)
{
	for (unsigned i = 0; i < s->options->backup_dirs_n; i++) {
		const char *dir = s->options->backup_dirs[i];
		char path[PATH_MAX];
		int r = hostpath_resolve(dir, path);
		if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
			r = -errno;
		if (r == 0)
			r = backup_folder_add(s->store, path);
		if (r < 0) {
			check_complain("cannot use %s for backups: %s", dir, strerror(-r));
			return -1;
		}
	}
	return 0;
}

/* After a crash, for whoever reads the log. */
static void tell_recovery(const struct server *s)
{
	struct kv_state state;
	kv_get_state(s->kv, &state);
	if (state.mark_lost)
		log_warning("the mark of %s was lost: whether the end of its log is missing cannot be told; sessions "
			    "that had files open for writing: %u",
			s->store, session_interrupted(s->sessions));
	else if ((state.unclean && !state.damaged) || state.unsettled)
		log_info("the last daemon of this store died; all that it had committed is there; sessions "
			 "that had files open for writing: %u",
			session_interrupted(s->sessions));
}

/* Opens the layers above the store. 0, or -1 after one line. */
static int open_layers(struct server *s)
{
	const struct core_options options = {
		.read_only = s->read_only,
		.root_role = ROLE_USERS,
		.root_uid = geteuid(),
		.root_gid = getegid(),
		.root_mode = 0700,
		.noatime = s->options->noatime,
	};
	int r = core_open(s->kv, &options, &s->core);
	if (r == 0) {
		s->se = server_session_new(s);
		r = s->se ? notify_start(s->se, s->core, s->options->names, &s->notify) : -EINVAL;
	}
	if (r == 0)
		r = session_open(s->core, entry_changed, s, &s->sessions);
	if (r == 0)
		r = session_automatic_start(s->sessions);
	if (r == 0)
		tell_recovery(s);
	if (r == 0)
		r = views_open(s->sessions, &s->views);
	if (r == -EBADMSG)
		check_complain("the root of %s is damaged; run `scribefs fsck %s`", s->store, s->store);
	else if (r == -EAGAIN)
		explain_threads();
	else if (r < 0)
		check_complain("cannot serve %s: %s", s->store, strerror(-r));
	return r < 0 ? -1 : 0;
}

/* Serves until it is unmounted or told to end. 0, or -1 after one line. */
static int run_loop(struct server *s)
{
	struct signals signals;
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int r = config ? signals_start(&signals, s) : -ENOMEM;
	if (r < 0) {
		fuse_loop_cfg_destroy(config);
		check_complain("cannot serve %s: %s", s->store, strerror(-r));
		return -1;
	}
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, SERVER_THREADS);
	fuse_loop_cfg_set_idle_threads(config, SERVER_THREADS);
	r = receive_start(&s->receive);
	if (r == 0) {
		r = fuse_session_loop_mt(s->se, config);
		receive_stop(&s->receive);
	}
	fuse_loop_cfg_destroy(config);
	signals_stop(&signals);
	daemon_tell("STOPPING=1");
	if (r < 0)
		log_error("the session with the kernel ended: %s", strerror(-r));
	if (!s->served)
		check_complain("the mount was given up before it served");
	return r < 0 || !s->served ? -1 : 0;
}

/* In reverse order. 0, or -1 after a line where something could not be committed. */
static int close_layers(struct server *s)
{
	int r = 0;
	if (s->kv)
		reply_settle(s);
	notify_stop(s->notify);
	if (s->se)
		fuse_session_unmount(s->se);
	if (s->below_fd >= 0)
		close(s->below_fd);
	if (s->views)
		views_close(s->views);
	if (s->sessions)
		session_close(s->sessions);
	if (s->core)
		r = core_close(s->core);
	if (s->kv) {
		int closed = kv_close(s->kv);
		r = r ? r : closed;
	}
	notify_free(s->notify);
	if (s->se)
		fuse_session_destroy(s->se);
	if (r < 0)
		log_error("the last changes could not be committed: %s", strerror(-r));
	return r < 0 ? -1 : 0;
}

static int serve(struct server *s, const struct kv_unlock *unlock)
{
	int r = open_store(s, unlock);
	if (r == 0)
		r = add_backup_dirs(s);
	if (r == 0)
		r = open_layers(s);
	if (r == 0)
		r = attach(s->se, s->mountpoint, &s->below_fd);
	if (r == 0) {
		r = protocol_install(s);
		if (s->options->watched)
			watch_start(s->mountpoint);
		if (r == 0)
			r = run_loop(s);
	}
	int closed = close_layers(s);
	return r != 0 || closed != 0;
}

int mount_check(const struct mount_options *options)
{
	_cleanup_free_ char *store = NULL, *mountpoint = NULL;
	return check_mount(options, &store, &mountpoint) < 0 ? 1 : 0;
}

int mount_run(const struct mount_options *options, const struct kv_unlock *unlock)
{
	struct server s = {.options = options, .parent_fd = -1, .below_fd = -1, .started = time(NULL)};
	if (check_mount(options, &s.store, &s.mountpoint) < 0)
		return 1;
	int status = options->foreground ? -1 : daemon_fork(&s.parent_fd);
	if (status < 0) {
		bool to_syslog = options->log_target ? strcmp(options->log_target, "syslog") == 0
						     : !options->foreground;
		log_setup((enum log_level)options->log_level, to_syslog);
		attach_log();
		daemon_harden();
		signals_block();
		pthread_mutex_init(&s.lock, NULL);
		held_lists_init(&s.held);
		pthread_cond_init(&s.idle, NULL);
		status = serve(&s, unlock);
		held_lists_release(&s.held);
		if (!options->foreground)
			exit(status);
	}
	free(s.store);
	free(s.mountpoint);
	return status;
}
