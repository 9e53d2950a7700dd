#include "fs/views/past_folder.h"

#include "fs/session/when.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LEVELS 4 /* at most, between a session and users/ */

static uint64_t ino_at(const struct snapshot_info *info, uint64_t ino)
{
	return (uint64_t)snapshot_slot(info->root) << SNAPSHOT_SLOT_SHIFT | snapshot_present_ino(ino);
}

/* Of the place, by a name or a time. */
static int find_snapshot(struct sessions *s, uint64_t place, const char *name, struct snapshot_info *ret_info)
{
	struct timespec now, time;
	int r = session_snapshot_find(s, place, name, ret_info);

	if (r != -ENOENT)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	r = when_parse(name[0] == '@' ? name + 1 : name, &now, &time);
	return r < 0 ? -ENOENT : snapshot_at(session_core(s), place, &time, ret_info);
}

static int look_up(struct sessions *s, uint64_t parent, const char *name, uint64_t *ret_ino)
{
	struct core_entry entry;
	int r = core_lookup(session_core(s), parent, name, &entry);

	if (r == 0) {
		*ret_ino = entry.ino;
		core_forget(session_core(s), entry.ino, 1);
	}
	return r;
}

/* @session 0: it is no more. */
static int find_at(struct sessions *s, uint64_t place, uint64_t workflow, uint64_t session, const char *session_name,
	const char *snapshot, uint64_t *ret_dir)
{
	struct snapshot_info info;
	int r = find_snapshot(s, place, snapshot, &info);

	if (r < 0)
		return r;
	if (place == session)
		*ret_dir = info.root;
	else
		r = look_up(s, ino_at(&info, workflow), session_name, ret_dir);
	if (r == -ENOENT && session) { /* it had another name */
		*ret_dir = ino_at(&info, session);
		r = 0;
	}
	return r == 0 && session_role(s, *ret_dir) == ROLE_SESSION ? 0 : -ENOENT;
}

static int find_split(struct sessions *s, uint64_t workflow, const char *session_name, const char *snapshot,
	uint64_t *ret_dir)
{
	uint64_t session = 0, user = 0;
	int r = look_up(s, workflow, session_name, &session);

	if (r < 0 && r != -ENOENT)
		return r;
	r = look_up(s, workflow, "..", &user);
	if (r < 0)
		return r;
	const uint64_t places[] = {session, workflow, user, CORE_ROOT_INO};
	for (size_t i = session ? 0 : 1; i < sizeof places / sizeof *places; i++)
		if (find_at(s, places[i], workflow, session, session_name, snapshot, ret_dir) == 0)
			return 0;
	return -ENOENT;
}

int past_folder_find(struct sessions *s, uint64_t workflow, const char *name, uint64_t *ret_dir)
{
	char session[CORE_NAME_MAX + 1];

	/* Both names may have an @ of their own. */
	for (const char *at = strchr(name + 1, '@'); at && at[1]; at = strchr(at + 1, '@')) {
		snprintf(session, sizeof session, "%.*s", (int)(at - name), name);
		int r = find_split(s, workflow, session, at + 1, ret_dir);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

static bool is_owners(const struct stat *st, uid_t owner)
{
	return st->st_uid == owner && (st->st_mode & 0100);
}

int past_folder_attr(struct sessions *s, uint64_t dir, struct stat *ret_st)
{
	struct core *core = session_core(s);
	struct snapshot_info info;
	struct stat st, above;
	int r = core_getattr(core, dir, &st, NULL);

	if (r == 0)
		r = snapshot_of_ino(core, dir, &info);
	if (r == 0)
		r = core_getattr(core, info.place, &above, NULL);
	if (r < 0)
		return r;
	bool owners = is_owners(&above, st.st_uid) && is_owners(&st, st.st_uid);
	for (unsigned level = 0; owners && snapshot_present_ino(dir) != info.place && level < LEVELS; level++) {
		r = look_up(s, dir, "..", &dir);
		if (r == 0)
			r = core_getattr(core, dir, &above, NULL);
		owners = r == 0 && is_owners(&above, st.st_uid);
	}
	st.st_mode &= owners ? S_IFMT | 0500 : S_IFMT;
	*ret_st = st;
	return 0;
}
