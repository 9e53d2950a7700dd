#include "fs/views/backup_set.h"

#include "fs/session/property.h"
#include "kv/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TICK_SECONDS 10
#define RETRY_SECONDS 600 /* after a scheduled one that failed */

/* ---- the list -------------------------------------------------------------------------------- */

struct backup *backup_set_by_number(struct backup_set *set, uint16_t number)
{
	MUTEX_GUARD(&set->lock);
	for (struct backup *b = set->list; b; b = b->next)
		if (b->number == number)
			return b;
	return NULL;
}

/* FNV-1a over name and time, folded: the same in every mount, but for two that meet. With lock. */
static uint16_t number_for(struct backup_set *set, const struct backup_info *info)
{
	uint32_t h = 2166136261u;
	for (const char *p = info->name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (int shift = 0; shift < 64; shift += 8)
		h = (h ^ (uint8_t)((uint64_t)info->made >> shift)) * 16777619u;
	for (uint16_t n = (uint16_t)(h ^ h >> 16);; n++) {
		bool taken = n == 0;
		for (struct backup *b = set->list; b && !taken; b = b->next)
			taken = b->number == n;
		if (!taken)
			return n;
	}
}

/* With lock. A half-made one becomes another when it is complete: its time changes. */
static struct backup *find_known(struct backup_set *set, const struct backup_info *info)
{
	for (struct backup *b = set->list; b; b = b->next)
		if (!b->gone && strcmp(b->info.name, info->name) == 0 && b->info.made == info->made)
			return b;
	return NULL;
}

/* With lock. */
static int take_in(struct backup_set *set, const char *folder, const struct backup_info *info)
{
	struct backup *b = find_known(set, info);
	if (b) {
		b->info = *info;
		return 0;
	}
	b = calloc(1, sizeof *b);
	char *copy = strdup(folder);
	if (!b || !copy) {
		free(b);
		free(copy);
		return -ENOMEM;
	}
	b->number = number_for(set, info);
	b->folder = copy;
	b->info = *info;
	backup_copy_init(&b->copy);
	b->next = set->list;
	set->list = b;
	return 0;
}

static bool listed(const char *name, const struct backup_info *list, size_t n, int64_t made)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i].name, name) == 0 && list[i].made == made)
			return true;
	return false;
}

static int refresh_folder(struct backup_set *set, const char *folder)
{
	_cleanup_free_ struct backup_info *list = NULL;
	size_t n;
	int r = backup_list(folder, &list, &n);
	if (r < 0)
		return r;
	MUTEX_GUARD(&set->lock);
	for (struct backup *b = set->list; b; b = b->next)
		if (strcmp(b->folder, folder) == 0 && !listed(b->info.name, list, n, b->info.made))
			b->gone = true;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_in(set, folder, &list[i]);
	return r;
}

int backup_set_refresh(struct backup_set *set)
{
	int first = 0;
	for (size_t i = 0; i < set->folders_n; i++) {
		int r = refresh_folder(set, set->folders[i]);
		first = first ? first : r;
	}
	return first;
}

/* The complete one, if there are several of that name; with lock. */
static struct backup *best(struct backup_set *set, const char *name)
{
	struct backup *found = NULL;
	for (struct backup *b = set->list; b; b = b->next)
		if (!b->gone && strcmp(b->info.name, name) == 0 && (!found || b->info.state < found->info.state))
			found = b;
	return found;
}

static bool still_there(const struct backup *b)
{
	_cleanup_free_ char *path = NULL;
	return asprintf(&path, "%s/%s", b->folder, b->info.name) >= 0 && backup_is(path);
}

int backup_set_find(struct backup_set *set, const char *name, struct backup **ret_backup)
{
	pthread_mutex_lock(&set->lock);
	struct backup *b = best(set, name);
	pthread_mutex_unlock(&set->lock);
	if (!b || b->info.state == BACKUP_HALF_MADE || !still_there(b)) {
		backup_set_refresh(set);
		pthread_mutex_lock(&set->lock);
		b = best(set, name);
		pthread_mutex_unlock(&set->lock);
	}
	if (!b)
		return -ENOENT;
	*ret_backup = b;
	return 0;
}

int backup_set_enter(struct backup_set *set, struct backup *b)
{
	_cleanup_free_ char *path = NULL;
	if (b->gone || b->info.state == BACKUP_HALF_MADE)
		return -ENOENT;
	if (asprintf(&path, "%s/%s", b->folder, b->info.name) < 0)
		return -ENOMEM;
	return backup_copy_get(&b->copy, path, set->kv);
}

/* ---- making and dropping --------------------------------------------------------------------- */

/* Takes `work`; a check that is under way ends. */
static void begin_work(struct backup_set *set)
{
	atomic_store(&set->stop_check, true);
	pthread_mutex_lock(&set->work);
	atomic_store(&set->stop_check, false);
}

static void end_work(struct backup_set *set, bool check)
{
	pthread_mutex_unlock(&set->work);
	if (!check)
		return;
	MUTEX_GUARD(&set->lock);
	set->check_due = true;
	pthread_cond_signal(&set->wake);
}

int backup_set_make(struct backup_set *set, const char *name)
{
	int first = 0;
	if (set->read_only || set->folders_n == 0)
		return -EROFS;
	/* What is buffered is part of the moment. */
	int r = core_commit_all(set->core);
	if (r < 0)
		return r;
	begin_work(set);
	for (size_t i = 0; i < set->folders_n; i++) {
		r = backup_create(set->kv, set->folders[i], name, NULL);
		first = first ? first : r;
	}
	end_work(set, true);
	backup_set_refresh(set);
	return first;
}

/* The copies of it that nobody uses are closed. -EBUSY: one is in use. */
static int leave_all(struct backup_set *set, const char *name)
{
	MUTEX_GUARD(&set->lock);
	for (struct backup *b = set->list; b; b = b->next)
		if (strcmp(b->info.name, name) == 0 && !backup_copy_close_idle(&b->copy, true))
			return -EBUSY;
	return 0;
}

int backup_set_drop(struct backup_set *set, const char *name)
{
	int first = 0;
	bool found = false;
	if (set->read_only)
		return -EROFS;
	begin_work(set);
	int r = leave_all(set, name);
	for (size_t i = 0; r == 0 && i < set->folders_n; i++) {
		int one = backup_drop(set->folders[i], name);
		found = found || one == 0;
		if (one < 0 && one != -ENOENT)
			first = first ? first : one;
	}
	end_work(set, false);
	backup_set_refresh(set);
	if (r < 0 || first < 0)
		return r < 0 ? r : first;
	return found ? 0 : -ENOENT;
}

/* ---- the keeper ------------------------------------------------------------------------------ */

/* A policy of users/. */
static int64_t setting(struct backup_set *set, const char *name)
{
	_cleanup_buf_ struct buf value = {0};
	char attribute[64];
	const struct property *p = property_find(name);
	int64_t number;
	snprintf(attribute, sizeof attribute, PROPERTY_PREFIX "%s", name);
	if (core_getxattr(set->core, CORE_ROOT_INO, attribute, &value) < 0 ||
		property_parse(p, value.data, value.len, &number) < 0)
		return property_fallback(p);
	return number;
}

/* Drops what the schedule made in @folder and what is more than @keep. */
static void thin(struct backup_set *set, const char *folder, int64_t keep)
{
	_cleanup_free_ struct backup_info *list = NULL;
	size_t n;
	if (backup_list(folder, &list, &n) < 0)
		return;
	for (size_t i = n; i-- > 0;) {
		if (strncmp(list[i].name, BACKUP_AUTO_PREFIX, strlen(BACKUP_AUTO_PREFIX)) != 0 ||
			list[i].state != BACKUP_COMPLETE || keep-- > 0)
			continue;
		backup_set_drop(set, list[i].name);
	}
}

/*
 * Seconds since 1970 of the newest one that every folder has, and its commit. What says to be made later than @now was
 * made by a clock that was wrong: it holds no other back.
 */
static int64_t newest(struct backup_set *set, int64_t now, uint64_t *ret_sequence)
{
	int64_t oldest = INT64_MAX;
	*ret_sequence = 0;
	for (size_t f = 0; f < set->folders_n; f++) {
		_cleanup_free_ struct backup_info *list = NULL;
		size_t n;
		int64_t made = 0;
		if (backup_list(set->folders[f], &list, &n) < 0)
			return 0;
		for (size_t i = 0; i < n; i++)
			if (list[i].state == BACKUP_COMPLETE && list[i].made >= made && list[i].made <= now) {
				made = list[i].made;
				*ret_sequence = list[i].sequence;
			}
		oldest = made < oldest ? made : oldest;
	}
	return oldest == INT64_MAX ? 0 : oldest;
}

static int64_t monotonic(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int make_scheduled(struct backup_set *set, int64_t now)
{
	char name[64];
	time_t t = (time_t)now;
	struct tm tm;
	strftime(name, sizeof name, BACKUP_AUTO_PREFIX "%Y-%m-%dT%H-%M-%SZ", gmtime_r(&t, &tm));
	int r = backup_set_make(set, name);
	if (r == -EEXIST) /* the clock was set back by just so much: the next second has another name */
		return r;
	if (r < 0) {
		log_warning("the scheduled backup failed: %s", strerror(-r));
		set->next_try = monotonic() + RETRY_SECONDS;
		return r;
	}
	int64_t keep = setting(set, "backup_keep");
	for (size_t f = 0; f < set->folders_n; f++)
		thin(set, set->folders[f], keep);
	return 0;
}

/* Makes what is due. Returns after how many seconds it is to be asked again; a setting may change meanwhile. */
static int64_t keep_schedule(struct backup_set *set)
{
	int64_t every = (setting(set, "backup") + 999) / 1000, now = (int64_t)time(NULL);
	int64_t tick = every > 0 && every < TICK_SECONDS ? every : TICK_SECONDS;
	uint64_t sequence;
	if (every <= 0 || monotonic() < set->next_try || set->read_only)
		return TICK_SECONDS;
	int64_t left = newest(set, now, &sequence) + every - now;
	if (left > 0)
		return left < tick ? left : tick;
	if (sequence != kv_sequence(set->kv))
		make_scheduled(set, now);
	return tick;
}

static int check_one(struct backup_set *set, const char *folder, const char *name)
{
	struct backup_report report;
	struct backup_watch watch = {.stop = &set->stop_check};
	int r = -ECANCELED;
	if (pthread_mutex_trylock(&set->work) != 0)
		return r;
	if (!atomic_load(&set->stop_check))
		r = backup_verify(folder, name, &(struct backup_check){.kv = set->kv}, &watch, &report);
	pthread_mutex_unlock(&set->work);
	if (r == 0 && report.bad > report.mended)
		log_error("backup '%s' in %s is damaged (%s)", name, folder, report.first_bad);
	return r;
}

/* What was never checked; what is interrupted is due again. */
static void check_new(struct backup_set *set)
{
	bool again = false;
	for (size_t f = 0; f < set->folders_n; f++) {
		_cleanup_free_ struct backup_info *list = NULL;
		size_t n;
		if (backup_list(set->folders[f], &list, &n) < 0)
			continue;
		for (size_t i = 0; i < n && !again; i++)
			if (list[i].state == BACKUP_COMPLETE && list[i].verified == 0) {
				int r = check_one(set, set->folders[f], list[i].name);
				again = r == -ECANCELED || r == -EBUSY;
			}
	}
	backup_set_refresh(set);
	MUTEX_GUARD(&set->lock);
	set->check_due = set->check_due || again;
}

static void close_unused(struct backup_set *set)
{
	MUTEX_GUARD(&set->lock);
	for (struct backup *b = set->list; b; b = b->next)
		backup_copy_close_idle(&b->copy, false);
}

/* With lock; a signal ends it. */
static void wait_seconds(struct backup_set *set, int seconds)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_cond_timedwait(&set->wake, &set->lock, &until);
}

static void *keeper_run(void *arg)
{
	struct backup_set *set = arg;
	int64_t wait = TICK_SECONDS;
	pthread_mutex_lock(&set->lock);
	while (!set->stop) {
		wait_seconds(set, set->check_due ? 1 : (int)wait); /* a burst is checked at its end */
		if (set->stop)
			break;
		bool check = set->check_due;
		set->check_due = false;
		pthread_mutex_unlock(&set->lock);
		if (check)
			check_new(set);
		wait = keep_schedule(set);
		close_unused(set);
		pthread_mutex_lock(&set->lock);
	}
	pthread_mutex_unlock(&set->lock);
	return NULL;
}

/* ---- open and close -------------------------------------------------------------------------- */

static int start_keeper(struct backup_set *set)
{
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = -pthread_create(&set->keeper, NULL, keeper_run, set);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	set->has_keeper = r == 0;
	return r;
}

static int find_folders(struct backup_set *set)
{
	struct kv_state state;
	kv_get_state(set->kv, &state);
	set->read_only = state.read_only;
	/* A backup that is mounted by itself shows no others. */
	return state.backup ? 0 : backup_folders(kv_path(set->kv), &set->folders, &set->folders_n);
}

int backup_set_open(struct sessions *sessions, struct backup_set **ret_set)
{
	struct backup_set *set = calloc(1, sizeof *set);
	pthread_condattr_t attr;
	if (!set)
		return -ENOMEM;
	set->sessions = sessions;
	set->core = session_core(sessions);
	set->kv = core_kv(set->core);
	pthread_mutex_init(&set->work, NULL);
	pthread_mutex_init(&set->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&set->wake, &attr);
	pthread_condattr_destroy(&attr);
	int r = find_folders(set);
	for (size_t i = 0; r == 0 && !set->read_only && i < set->folders_n; i++) {
		unsigned n;
		if (backup_clean(set->folders[i], &n) == 0 && n > 0)
			log_info("%u half-made backups in %s were removed", n, set->folders[i]);
	}
	if (r == 0 && !set->read_only && set->folders_n > 0)
		r = start_keeper(set);
	if (r < 0) {
		backup_set_close(set);
		return r;
	}
	*ret_set = set;
	return 0;
}

void backup_set_close(struct backup_set *set)
{
	if (!set)
		return;
	if (set->has_keeper) {
		atomic_store(&set->stop_check, true);
		pthread_mutex_lock(&set->lock);
		set->stop = true;
		pthread_cond_signal(&set->wake);
		pthread_mutex_unlock(&set->lock);
		pthread_join(set->keeper, NULL);
	}
	while (set->list) {
		struct backup *b = set->list;
		set->list = b->next;
		backup_copy_release(&b->copy);
		free(b->folder);
		free(b);
	}
	backup_folders_free(set->folders, set->folders_n);
	pthread_cond_destroy(&set->wake);
	pthread_mutex_destroy(&set->lock);
	pthread_mutex_destroy(&set->work);
	free(set);
}
