/*
 * Requests of `scribefs snapshot list` (ioctl.h).
 *
 * Each asks for one snapshot, but what each of them holds alone is counted for all at once, by the first request of a
 * list, and remembered up to its end; of several lists at a time, and of those that nobody goes on with, for the
 * newest few.
 */
#include "fs/fuse/ioctl.h"
#include "fs/fuse/reply.h"

#include <stdio.h>
#include <stdlib.h>

void held_lists_init(struct held_lists *lists)
{
	*lists = (struct held_lists){0};
	pthread_mutex_init(&lists->lock, NULL);
}

void held_lists_release(struct held_lists *lists)
{
	for (size_t i = 0; i < HELD_LISTS; i++)
		free(lists->at[i].all);
	pthread_mutex_destroy(&lists->lock);
}

/* NULL: not there. The lock is held. */
static struct held_list *find_list(struct held_lists *lists, uint64_t dir, bool removed)
{
	for (size_t i = 0; i < HELD_LISTS; i++)
		if (lists->at[i].all && lists->at[i].dir == dir && lists->at[i].removed == removed)
			return &lists->at[i];
	return NULL;
}

/* Where a new one goes: in place of an older one of the same, or of the oldest. The lock is held. */
static struct held_list *room_for(struct held_lists *lists, uint64_t dir, bool removed)
{
	struct held_list *room = find_list(lists, dir, removed);

	for (size_t i = 0; !room && i < HELD_LISTS; i++)
		if (!lists->at[i].all)
			room = &lists->at[i];
	if (!room) {
		room = &lists->at[0];
		for (size_t i = 1; i < HELD_LISTS; i++)
			if (lists->at[i].number < room->number)
				room = &lists->at[i];
	}
	free(room->all);
	return room;
}

static bool is_counted(struct server *s, uint64_t dir, bool removed)
{
	MUTEX_GUARD(&s->held.lock);
	return find_list(&s->held, dir, removed) != NULL;
}

static int count(struct server *s, uint64_t dir, bool removed)
{
	struct held_list fresh = {.dir = dir, .removed = removed};
	int r = session_snapshot_held(s->sessions, dir, removed, &fresh.all, &fresh.n);

	if (r < 0)
		return r;
	MUTEX_GUARD(&s->held.lock);
	struct held_list *room = room_for(&s->held, dir, removed);
	fresh.number = ++s->held.numbers;
	*room = fresh;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t x = ((const struct snapshot_held *)a)->id, y = ((const struct snapshot_held *)b)->id;
	return x < y ? -1 : x > y;
}

/* 0 of one that was taken since they were counted: it shows what there is. */
static uint64_t held_by(struct server *s, uint64_t dir, bool removed, uint64_t id)
{
	MUTEX_GUARD(&s->held.lock);
	const struct held_list *list = find_list(&s->held, dir, removed);
	const struct snapshot_held key = {.id = id}, *found;

	found = list ? bsearch(&key, list->all, list->n, sizeof key, compare_ids) : NULL;
	return found ? found->bytes : 0;
}

static void forget(struct server *s, uint64_t dir, bool removed)
{
	MUTEX_GUARD(&s->held.lock);
	struct held_list *list = find_list(&s->held, dir, removed);

	if (list)
		free(steal_ptr(list->all));
}

/* Whose sessions were where is the owner's to know. */
static int may_see_removed(struct server *s, const struct cred *who, uint64_t dir)
{
	struct stat st;
	int r = core_getattr(s->core, dir, &st, NULL);
	if (r < 0)
		return r;
	return who->uid == 0 || who->uid == st.st_uid ? 0 : -EACCES;
}

static void tell_session(struct server *s, const struct snapshot_info *info, struct scribefs_snapshot *out)
{
	const struct session_snapshot_field fields[] = {
		{"user_id", out->user, sizeof out->user},
		{"workflow_type", out->workflow, sizeof out->workflow},
		{"session_id", out->session_id, sizeof out->session_id},
		{"title", out->title, sizeof out->title},
	};
	session_snapshot_fields(s->sessions, info, fields, sizeof fields / sizeof *fields);
}

void ops_next_snapshot(fuse_req_t req, uint64_t dir, const struct scribefs_snapshot *asked)
{
	struct server *s = server_of(req);
	struct cred who = server_cred(req);
	struct snapshot_info info;
	bool removed = asked->flags & SCRIBEFS_SNAPSHOT_REMOVED;
	int r = views_owns(dir) ? -EINVAL : removed ? may_see_removed(s, &who, dir) : 0;
	if (r == 0)
		r = session_snapshot_next(s->sessions, dir, removed, asked->id, &info);
	if (r == -ENODATA)
		forget(s, dir, removed);
	if (r == 0 && (!asked->id || !is_counted(s, dir, removed)))
		r = count(s, dir, removed);
	if (r < 0) {
		reply_error(req, dir, r);
		return;
	}
	struct scribefs_snapshot out = {.id = info.id, .uid = info.uid, .taken = info.taken.tv_sec,
		.held = held_by(s, dir, removed, info.id)};
	out.flags = (info.removed ? SCRIBEFS_SNAPSHOT_REMOVED : 0) |
		    (info.flags & SNAPSHOT_AUTO ? SCRIBEFS_SNAPSHOT_AUTO : 0);
	snprintf(out.name, sizeof out.name, "%s", info.name);
	session_recovery_id(&info, out.recovery);
	if (info.removed)
		tell_session(s, &info, &out);
	fuse_reply_ioctl(req, 0, &out, sizeof out);
}
