/*
 * open.c: the context of the session layer.
 */
#include "fs/session/auto.h"
#include "fs/session/lifecycle.h"
#include "fs/session/putback.h"
#include "fs/session/timestamp.h"

/*
 * The store counts the daemons that died on it. A session whose record has a lower count is
 * compared with its messages when it is first looked at (recount.c).
 */
static int read_epoch(struct core *core, struct container *users, uint64_t *ret_epoch)
{
	_cleanup_buf_ struct buf value = {0};
	int r = session_record_get(core, users, RECORD_STORE, &value);

	if (r == -ENOENT) {
		*ret_epoch = 0;
		return 0;
	}
	if (r < 0)
		return r;
	if (value.len != 8)
		return -EBADMSG;
	*ret_epoch = get_be64(value.data);
	return 0;
}

static int raise_epoch(struct core *core, struct inode *users, uint64_t epoch)
{
	_cleanup_(op_end) struct op op;
	uint8_t value[8];

	put_be64(value, epoch);
	op_begin(&op, core, NULL);
	int r = op_lock(&op, &users, 1);
	if (r == 0)
		r = op_txn(&op);
	if (r == 0)
		r = op_put_session(&op, users->container, RECORD_STORE, value, sizeof value);
	return r < 0 ? r : op_commit(&op);
}

int session_open(struct core *core, void (*changed)(void *arg, uint64_t parent, const char *name),
        void *arg, struct sessions **ret_sessions)
{
	_cleanup_inode_ struct inode *users = NULL;
	_cleanup_free_ struct sessions *s = calloc(1, sizeof *s);
	struct kv_state state;

	if (!s)
		return -ENOMEM;
	s->core = core;
	s->changed = changed;
	s->changed_arg = arg;
	pthread_mutex_init(&s->writers_lock, NULL);
	pthread_mutex_init(&s->steady_lock, NULL);
	news_init(&s->news);
	core_set_session_release(core, free);
	core_set_past_loaded(core, past_json_loaded, s);
	int r = inode_get(core, CORE_ROOT_INO, NULL, &users);
	if (r == 0)
		r = read_epoch(core, users->container, &s->epoch);
	if (r < 0)
		return r;
	kv_get_state(core_kv(core), &state);
	if (state.unsettled && !state.read_only) {
		s->epoch++;
		r = OP_RETRY(raise_epoch(core, users, s->epoch));
		if (r < 0)
			return r;
	}
	if (!state.read_only)
		writers_interrupted(s);
	/* What cannot be cleared lies there, and does no harm. */
	if (!state.read_only)
		(void)putback_clear_all(s);
	*ret_sessions = steal_ptr(s);
	return 0;
}

/*
 * A file that is still being written when the mount ends is committed, but nobody closes it, so it was not
 * taken in: the next daemon looks at the messages again, as after a crash.
 */
void session_close(struct sessions *s)
{
	_cleanup_inode_ struct inode *users = NULL;
	struct kv_state state;

	if (!s)
		return;
	lifecycle_stop(s);
	auto_stop(s);
	kv_get_state(core_kv(s->core), &state);
	if (!state.read_only && inode_any_untaken(s->core) &&
		inode_get(s->core, CORE_ROOT_INO, NULL, &users) == 0)
		(void)OP_RETRY(raise_epoch(s->core, users, s->epoch + 1)); /* else the facts lag */
	writers_release(s);
	news_destroy(&s->news);
	pthread_mutex_destroy(&s->writers_lock);
	pthread_mutex_destroy(&s->steady_lock);
	free(s);
}

int session_automatic_start(struct sessions *s)
{
	struct kv_state state;

	kv_get_state(core_kv(s->core), &state);
	int r = auto_start(s, &(struct auto_options){.threaded = true, .after_crash = state.unsettled});
	return r < 0 ? r : lifecycle_start(s, true);
}

int64_t session_clock(struct sessions *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return timestamp_ms(&now) + atomic_load(&s->clock_shift) + atomic_load(&s->clock_set);
}

/* When the store was in use before is what its last snapshot says. */
static int64_t steady_clock(struct sessions *s, int64_t clock)
{
	int64_t beat = maker_clock() + atomic_load(&s->clock_shift);
	struct timespec taken;

	MUTEX_GUARD(&s->steady_lock);
	if (!s->steady_begun)
		steady_begin(&s->steady, snapshot_last_taken(s->core, &taken) ? timestamp_ms(&taken) : STEADY_UNKNOWN,
			clock, beat);
	s->steady_begun = true;
	return steady_now(&s->steady, clock, beat);
}

int64_t session_clock_least(struct sessions *s)
{
	int64_t clock = session_clock(s), steady = steady_clock(s, clock);

	return clock < steady ? clock : steady;
}

int64_t session_clock_most(struct sessions *s)
{
	int64_t clock = session_clock(s), steady = steady_clock(s, clock);

	return clock > steady ? clock : steady;
}

struct core *session_core(struct sessions *s)
{
	return s->core;
}

uint8_t session_dir_role(struct sessions *s, uint64_t ino)
{
	_cleanup_inode_ struct inode *dir = NULL;
	if (inode_get(s->core, ino, NULL, &dir) < 0 || !inode_is_dir(dir))
		return ROLE_PLAIN;
	return dir->rec.role;
}
