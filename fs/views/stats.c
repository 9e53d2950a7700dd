/*
 * stats.c: the figures of status/stats.json, added up from what the catalogue keeps for each session.
 */
#include "fs/views/stats.h"

#include "fs/views/links.h"
#include "kv/backup/backup.h"
#include "kv/cleanup.h"

#include <errno.h>
#include <string.h>

#define AT_ONCE 64 /* sessions whose messages are looked at between two locks of the catalogue */
#define ROUNDS 4

/* ---- sizes --------------------------------------------------------------------------------------- */

struct folder_list {
	struct backup_info *at;
	size_t n;
};

static bool is_listed(const struct folder_list *lists, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < lists[i].n; k++)
			if (lists[i].at[k].state != BACKUP_HALF_MADE && strcmp(lists[i].at[k].name, name) == 0)
				return true;
	return false;
}

/* A backup that is in several folders is one, of several sizes. */
static void add_backups(char **folders, size_t n, struct stats_sizes *sizes)
{
	struct folder_list *lists = calloc(n ? n : 1, sizeof *lists);

	for (size_t i = 0; i < n && lists; i++) {
		if (backup_list(folders[i], &lists[i].at, &lists[i].n) < 0)
			lists[i] = (struct folder_list){0};
		for (size_t k = 0; k < lists[i].n; k++) {
			if (lists[i].at[k].state == BACKUP_HALF_MADE)
				continue;
			sizes->backup_size += lists[i].at[k].bytes;
			sizes->backups += !is_listed(lists, i, lists[i].at[k].name);
		}
	}
	for (size_t i = 0; i < n && lists; i++)
		free(lists[i].at);
	free(lists);
}

void stats_sizes(struct sessions *s, struct stats_sizes *ret_sizes)
{
	struct kv *kv = core_kv(session_core(s));
	int64_t total = kv_counter_total(kv, KV_COUNT_BYTES);
	struct kv_state state;
	char **folders;
	size_t n;

	*ret_sizes = (struct stats_sizes){.total = total > 0 ? (uint64_t)total : 0};
	kv_get_state(kv, &state);
	if (state.backup || !kv_path(kv) || backup_folders(kv_path(kv), &folders, &n) < 0)
		return;
	add_backups(folders, n, ret_sizes);
	backup_folders_free(folders, n);
}

/* ---- messages ------------------------------------------------------------------------------------ */

struct untold {
	uint64_t ino, workflow;
};

/* Up to AT_ONCE sessions without a tally, from the number @from on. The catalogue is locked. */
static size_t find_untold(struct catalogue *c, const struct viewer *who, uint64_t from, struct untold ret_at[AT_ONCE])
{
	const struct catalogue_session like = {.ino = from};
	size_t n = 0;

	for (size_t i = order_find(&c->by_number, &like); i < c->by_number.n && n < AT_ONCE; i++) {
		const struct catalogue_session *s = c->by_number.at[i];
		if (!s->tally && catalogue_visible(s, who))
			ret_at[n++] = (struct untold){.ino = s->ino, .workflow = s->workflow->ino};
	}
	return n;
}

static int take_one(struct catalogue *c, const struct untold *one, struct session_walk *walk, struct tally *ret_tally)
{
	int r = tally_take(c->sessions, one->ino, one->workflow, walk, ret_tally);

	if (r == -ENOENT || r == -EBADMSG) { /* gone by now, or damaged */
		*ret_tally = (struct tally){0};
		r = 0;
	}
	return r;
}

/* The catalogue is locked. */
static int put_tally(struct catalogue *c, uint64_t ino, const struct tally *tally)
{
	struct catalogue_session *s = catalogue_session(c, ino);

	if (!s || s->tally)
		return 0;
	s->tally = malloc(sizeof *s->tally);
	if (!s->tally)
		return -ENOMEM;
	*s->tally = *tally;
	return 0;
}

/*
 * Looks at messages without holding the catalogue's lock: at the first time these may be all of the store. What
 * changes meanwhile is noted, and loses its tally when the catalogue is locked the next time.
 */
static int tell_some(struct catalogue *c, const struct viewer *who, struct session_walk *walk, uint64_t *from,
	size_t *ret_n)
{
	struct untold at[AT_ONCE];
	struct tally tallies[AT_ONCE];
	int r = catalogue_lock(c);

	if (r < 0)
		return r;
	*ret_n = find_untold(c, who, *from, at);
	catalogue_unlock(c);
	for (size_t i = 0; i < *ret_n && r == 0; i++)
		r = take_one(c, &at[i], walk, &tallies[i]);
	if (r < 0 || *ret_n == 0)
		return r;
	*from = at[*ret_n - 1].ino + 1;
	r = catalogue_lock(c);
	if (r < 0)
		return r;
	for (size_t i = 0; i < *ret_n && r == 0; i++)
		r = put_tally(c, at[i].ino, &tallies[i]);
	catalogue_unlock(c);
	return r;
}

static int tell_all(struct catalogue *c, const struct viewer *who)
{
	struct session_walk *walk;
	int r = session_walk_open(c->sessions, &walk);

	if (r < 0)
		return r;

	for (unsigned round = 0; round < ROUNDS && r == 0; round++) {
		uint64_t from = 0;
		size_t n = 1, told = 0;
		while (r == 0 && n > 0) {
			r = tell_some(c, who, walk, &from, &n);
			told += n;
		}
		if (told == 0)
			break;
	}
	session_walk_close(walk);
	return r;
}

/* ---- sums ---------------------------------------------------------------------------------------- */

static void groups_release(struct stats_groups *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		free(groups->at[i].name);
	free(groups->at);
	*groups = (struct stats_groups){0};
}

void stats_release(struct stats *s)
{
	groups_release(&s->states);
	groups_release(&s->workflows);
	groups_release(&s->days);
}

struct member {
	uint64_t value; /* of link_group_of() */
	const struct catalogue_session *s;
};

static int by_value(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static int by_name(const void *a, const void *b)
{
	const struct stats_group *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int add_member(struct stats_groups *groups, enum link_kind kind, const struct member *m, bool fresh)
{
	char name[LINKS_NAME];

	if (fresh) {
		link_group_name(kind, m->s, name);
		groups->at[groups->n] = (struct stats_group){.name = strdup(name)};
		if (!groups->at[groups->n].name)
			return -ENOMEM;
		groups->n++;
	}
	groups->at[groups->n - 1].sessions++;
	groups->at[groups->n - 1].messages += m->s->tally ? tally_messages(m->s->tally) : 0;
	return 0;
}

/* The directories of a view with how many sessions are in each. @members: room for each of @n. */
static int group(struct catalogue_session *const *at, size_t n, enum link_kind kind, struct member *members,
	struct stats_groups *ret_groups)
{
	size_t found = 0, distinct = 0;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (link_group_of(kind, at[i], &members[found].value))
			members[found++].s = at[i];
	if (found)
		qsort(members, found, sizeof *members, by_value);
	for (size_t i = 0; i < found; i++)
		distinct += i == 0 || members[i].value != members[i - 1].value;
	*ret_groups = (struct stats_groups){.at = calloc(distinct + 1, sizeof(struct stats_group))};
	if (!ret_groups->at)
		return -ENOMEM;
	for (size_t i = 0; i < found && r == 0; i++)
		r = add_member(ret_groups, kind, &members[i], i == 0 || members[i].value != members[i - 1].value);
	if (ret_groups->n)
		qsort(ret_groups->at, ret_groups->n, sizeof *ret_groups->at, by_name);
	return r;
}

static int sum_up(struct catalogue *c, const struct viewer *who, struct stats *s)
{
	_cleanup_free_ struct catalogue_session **at = malloc((c->by_number.n + 1) * sizeof(*at));
	_cleanup_free_ struct member *members = malloc((c->by_number.n + 1) * sizeof *members);
	size_t n = 0;

	if (!at || !members)
		return -ENOMEM;
	for (size_t i = 0; i < c->by_number.n; i++) {
		struct catalogue_session *one = c->by_number.at[i];
		struct tally tally;
		if (!catalogue_visible(one, who))
			continue;
		const struct untold it = {.ino = one->ino, .workflow = one->workflow->ino};
		int r = one->tally ? 0 : take_one(c, &it, NULL, &tally); /* what has just changed */
		if (r == 0 && !one->tally)
			r = put_tally(c, one->ino, &tally);
		if (r < 0)
			return r;
		at[n++] = one;
		s->interrupted += one->interrupted != 0;
		s->tokens += one->tokens;
		tally_add(&s->sum, one->tally);
	}
	s->sessions = n;
	int r = group(at, n, LINKS_STATE, members, &s->states);
	if (r == 0)
		r = group(at, n, LINKS_WORKFLOW, members, &s->workflows);
	return r < 0 ? r : group(at, n, LINKS_DAY, members, &s->days);
}

int stats_take(struct catalogue *c, const struct viewer *who, struct stats *ret_stats, uint64_t *ret_contents)
{
	struct stats stats = {0};
	int r = tell_all(c, who);

	if (r == 0)
		r = catalogue_lock(c);
	if (r < 0)
		return r;
	*ret_contents = c->contents;
	r = sum_up(c, who, &stats);
	catalogue_unlock(c);
	if (r < 0) {
		stats_release(&stats);
		return r;
	}
	*ret_stats = stats;
	return 0;
}
